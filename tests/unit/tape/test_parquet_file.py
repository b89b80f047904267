"""Tapes as Parquet: types of times and prices, real files, and faults that name their row."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.errors import BadTape
from ringfence.tape import load_tape, summarise

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

NOON = datetime(2025, 10, 10, 12, tzinfo=UTC)


def written(path: Path, **columns: Any) -> Path:
    """A Parquet file of two good bars of A, with the given columns instead of or beside the usual ones."""
    usual = {
        "ts": pa.array([NOON, NOON + timedelta(minutes=1)], pa.timestamp("ms", tz="UTC")),
        "symbol": ["A", "A"],
        "open": [1.1, 1.2],
        "high": [1.3, 1.3],
        "low": [1.1, 1.1],
        "close": [1.2, 1.1],
    }
    table = pa.table({name: column for name, column in (usual | columns).items() if column is not None})
    parquet.write_table(table, path)
    return path


def fault_of(path: Path) -> BadTape:
    with pytest.raises(BadTape) as caught:
        load_tape(path)
    assert str(path) in str(caught.value.where)
    return caught.value


def test_floats_are_read_at_their_shortest_text_and_said_to_be_inexact(tmp_path: Path) -> None:
    tape = load_tape(written(tmp_path / "t.parquet"))
    assert [(bar.open, bar.close) for bar in tape.bars()] == [
        (Decimal("1.1"), Decimal("1.2")),
        (Decimal("1.2"), Decimal("1.1")),
    ]
    assert not tape.exact
    assert (tape.name, tape.price_kind, tape.price_kind_assumed) == ("t", "last", True)


def test_narrow_floats_do_not_show_digits_they_never_had(tmp_path: Path) -> None:
    narrow = {name: pa.array([0.1, 0.1], pa.float32()) for name in ("open", "high", "low", "close")}
    assert [bar.high for bar in load_tape(written(tmp_path / "t.parquet", **narrow)).bars()] == [Decimal("0.1")] * 2


@pytest.mark.parametrize("kind", ["string", "decimal", "integer"])
def test_texts_decimals_and_integers_are_exact(tmp_path: Path, kind: str) -> None:
    values = {
        "string": pa.array(["30", "40"]),
        "decimal": pa.array([Decimal("30.00"), Decimal("40.00")], pa.decimal128(20, 2)),
        "integer": pa.array([30, 40]),
    }
    tape = load_tape(written(tmp_path / "t.parquet", **dict.fromkeys(("open", "high", "low", "close"), values[kind])))
    assert tape.exact
    assert [bar.open for bar in tape.bars()] == [30, 40]


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([NOON, NOON + timedelta(minutes=1)], pa.timestamp("ns", tz="UTC")),
        pa.array([NOON, NOON + timedelta(minutes=1)], pa.timestamp("s", tz="Europe/Berlin")),
        pa.array([1760097600, 1760097660]),
        pa.array([1760097600000, 1760097660000]),
        pa.array(["2025-10-10T12:00:00Z", "2025-10-10T12:01:00Z"]),
    ],
    ids=str,
)
def test_times_may_be_timestamps_with_a_zone_epoch_numbers_or_texts(tmp_path: Path, ts: object) -> None:
    tape = load_tape(written(tmp_path / "t.parquet", ts=ts))
    assert [bar.ts for bar in tape.bars()] == [NOON, NOON + timedelta(minutes=1)]


def test_times_without_a_zone_are_refused(tmp_path: Path) -> None:
    ts = pa.array([NOON.replace(tzinfo=None)] * 2, pa.timestamp("us"))
    fault = fault_of(written(tmp_path / "t.parquet", ts=ts))
    assert str(fault.where).endswith("column ts")
    assert "tz_localize" in str(fault.hint)


@pytest.mark.parametrize("ts", [pa.array([1760097600, 7]), pa.array([1760097600, None]), pa.array([0.5, 1.5])], ids=str)
def test_a_time_that_is_none_is_refused_with_its_row(tmp_path: Path, ts: Any) -> None:
    row = 1 if pa.types.is_floating(ts.type) else 2
    assert str(fault_of(written(tmp_path / "t.parquet", ts=ts)).where).endswith(f"row {row}, column ts")


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf"), None])
def test_a_price_that_is_none_is_refused_with_its_cell(tmp_path: Path, price: float | None) -> None:
    fault = fault_of(written(tmp_path / "t.parquet", low=[1.1, price]))
    assert str(fault.where).endswith("row 2, column low")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    assert fault_of(written(tmp_path / "t.parquet", high=None)).message == "column high is missing"


def test_a_missing_symbol_is_refused_with_its_row(tmp_path: Path) -> None:
    assert str(fault_of(written(tmp_path / "t.parquet", symbol=["A", None])).where).endswith("row 2, column symbol")


def test_the_price_kind_is_read_from_a_column_or_from_the_schemas_metadata(tmp_path: Path) -> None:
    assert load_tape(written(tmp_path / "t.parquet", price_kind=["mark", "mark"])).price_kind == "mark"
    table = parquet.read_table(written(tmp_path / "t.parquet"))
    parquet.write_table(table.replace_schema_metadata({"price_kind": "index", "venue": "okx"}), tmp_path / "t.parquet")
    tape = load_tape(tmp_path / "t.parquet")
    assert (tape.price_kind, tape.price_kind_assumed, tape.provenance.venue) == ("index", False, "okx")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert fault_of(path).message == "the file cannot be read as Parquet"
    path.write_text("not Parquet at all")
    assert fault_of(path).message == "the file cannot be read as Parquet"


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet")
    parquet.write_table(parquet.read_table(path).slice(0, 0), path)
    assert fault_of(path).message == "there are no bars in it"


def test_without_pyarrow_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "ringfence[parquet]" in str(fault_of(path).hint)


def test_a_real_month_of_minutes_is_read_whole_and_without_gaps(data_dir: Path) -> None:
    tape = load_tape(data_dir / "prices" / "binance_usdm_1m_20250706_20250713_btc_eth.parquet")
    assert len(tape) == 21_436
    assert tape.symbols == ("BTCUSDT", "ETHUSDT")
    assert [tape.gaps(symbol) for symbol in tape.symbols] == [(), ()]
    assert next(tape.bars("BTCUSDT")).open == Decimal("108153.4")


def test_a_quarter_hour_of_the_real_crash_has_the_low_of_its_minutes(data_dir: Path) -> None:
    quarters = load_tape(data_dir / "prices" / "binance_usdm_15m_20231202_20260430_btc_eth_sol.parquet")
    assert quarters.resolutions["BTCUSDT"] == timedelta(minutes=15)
    crash = load_tape("2025-10-10")
    (day,) = summarise(quarters.select(symbols=["BTCUSDT"], start=crash.start, end=crash.end))
    minutes = next(summary for summary in summarise(crash) if summary.symbol == "BTCUSDT")
    assert (day.first, day.last, day.low, day.high) == (minutes.first, minutes.last, minutes.low, minutes.high)
    assert day.low_at == datetime(2025, 10, 10, 21, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("funding_rates", "columns open, high, low, close are missing"),
        ("mark_price_1h_8h", "the bar of BTCUSDT at this time is there twice"),
        ("binance_usdm_1m_crash_days", "the rows of AVAXUSDT are not in time order"),
    ],
)
def test_real_files_that_are_no_single_tape_are_refused(data_dir: Path, file: str, message: str) -> None:
    assert fault_of(data_dir / "prices" / f"{file}.parquet").message == message
