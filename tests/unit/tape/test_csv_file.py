"""Tapes as CSV: what is read, and that every fault names its place and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.errors import BadTape
from ringfence.tape import load_tape, write_tape
from ringfence.tape.csv_file import read_csv_text

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.tape import Tape

NAMES = "ts,symbol,open,high,low,close\n"
GOOD = "2025-10-10T21:20:00Z,BTCUSDT,103441.30,106458.80,101516.50,104311.20\n"


def read(text: str) -> Tape:
    return read_csv_text(text, name="crash", file="crash.csv")


def fault_of(text: str) -> BadTape:
    with pytest.raises(BadTape) as caught:
        read(text)
    return caught.value


def test_prices_are_read_exactly() -> None:
    (bar,) = read(NAMES + GOOD).bars()
    assert bar.ts == datetime(2025, 10, 10, 21, 20, tzinfo=UTC)
    assert bar.symbol == "BTCUSDT"
    assert (bar.open, bar.high) == (Decimal("103441.3"), Decimal("106458.8"))
    assert (bar.low, bar.close) == (Decimal("101516.5"), Decimal("104311.2"))


def test_prices_of_different_places_and_with_exponents_keep_their_digits() -> None:
    tape = read(NAMES + "1760119200,A,1,1,1,1\n1760119260,A,2.5,1e1,0.00000000000000000001,2.5\n")
    first, second = tape.bars()
    assert first.open == 1
    assert second.high == 10
    assert second.low == Decimal(1) / Decimal(10) ** 20


@pytest.mark.parametrize(
    "ts",
    ["2025-10-10T18:00:00Z", "2025-10-10T20:00:00+02:00", "2025-10-10 18:00:00.000Z", "1760119200", "1760119200000"],
)
def test_times_are_iso_with_a_zone_or_epoch_seconds_or_milliseconds(ts: str) -> None:
    assert read(f"{NAMES}{ts},A,1,1,1,1\n").start == datetime(2025, 10, 10, 18, tzinfo=UTC)


@pytest.mark.parametrize("ts", ["2025-10-10T18:00:00", "yesterday", "", "17601192", "1760119200000000", "1760119200.5"])
def test_a_time_that_could_mean_anything_is_refused(ts: str) -> None:
    fault = fault_of(f"{NAMES}{ts},A,1,1,1,1\n")
    assert fault.where == "crash.csv: line 2, column ts"
    assert fault.found == repr(ts)
    assert "Z" in str(fault.hint)


def test_columns_may_stand_in_any_order_beside_others() -> None:
    tape = read("volume,close,low,high,open,symbol,ts\n5,2,1,4,3,A,1760119200\n")
    (bar,) = tape.bars()
    assert [bar.open, bar.high, bar.low, bar.close] == [Decimal(price) for price in (3, 4, 1, 2)]


def test_the_price_kind_is_read_from_a_header_line() -> None:
    tape = read("# price_kind: mark\n# a remark: of no importance\n" + NAMES + GOOD)
    assert (tape.price_kind, tape.price_kind_assumed, tape.stand_in) == ("mark", False, None)


def test_the_price_kind_is_read_from_a_column() -> None:
    tape = read("ts,symbol,open,high,low,close,price_kind\n1760119200,A,1,1,1,1,index\n")
    assert (tape.price_kind, tape.price_kind_assumed) == ("index", False)
    assert tape.stand_in == "index prices stand in for mark prices"


def test_a_kind_that_nothing_states_is_last_and_said_to_be_assumed() -> None:
    tape = read(NAMES + GOOD)
    assert (tape.price_kind, tape.price_kind_assumed) == ("last", True)
    assert "assumed" in str(tape.stand_in)


def test_what_the_header_says_about_the_source_is_kept() -> None:
    provenance = read(
        "# venue: binance-usdm\n# source: a recording\n# retrieved: 2026-01-02\n" + NAMES + GOOD
    ).provenance
    assert (provenance.venue, provenance.source, provenance.retrieved) == ("binance-usdm", "a recording", "2026-01-02")
    assert provenance.file == "crash.csv"


def test_symbols_may_come_in_blocks_or_interleaved() -> None:
    blocks = read(NAMES + "1760119200,A,1,1,1,1\n1760119260,A,2,2,2,2\n1760119200,B,3,3,3,3\n1760119260,B,4,4,4,4\n")
    mixed = read(NAMES + "1760119200,B,3,3,3,3\n1760119200,A,1,1,1,1\n1760119260,A,2,2,2,2\n1760119260,B,4,4,4,4\n")
    assert list(blocks.bars()) == list(mixed.bars())
    assert [(bar.symbol, int(bar.open)) for bar in blocks.bars()] == [("A", 1), ("B", 3), ("A", 2), ("B", 4)]


def test_each_symbol_has_its_own_resolution_and_its_own_gaps() -> None:
    rows = [f"{1760119200 + 60 * minute},A,1,1,1,1" for minute in (0, 1, 4, 5)]
    rows += [f"{1760119200 + 3600 * hour},B,1,1,1,1" for hour in (0, 1)]
    tape = read(NAMES + "\n".join(rows))
    assert tape.resolutions == {"A": timedelta(minutes=1), "B": timedelta(hours=1)}
    (gap,) = tape.gaps("A")
    assert (gap.start.minute, gap.end.minute) == (2, 4)
    assert tape.gaps("B") == ()


def test_a_single_bar_lasts_as_the_header_says_or_is_said_to_be_assumed() -> None:
    assert read("# resolution: 4h\n" + NAMES + GOOD).resolutions == {"BTCUSDT": timedelta(hours=4)}
    assumed = read(NAMES + GOOD)
    assert assumed.resolutions == {"BTCUSDT": timedelta(minutes=1)}
    assert assumed.notes == ("BTCUSDT has a single bar; its length of 60 s is assumed",)


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("0", "zero"),
        ("0.000", "zero"),
        ("-0", "zero"),
        ("-1", "negative"),
        ("NaN", "finite"),
        ("inf", "finite"),
        ("-Infinity", "finite"),
        ("", "missing"),
        ("one", "number"),
        ("1_000", "number"),
        ("1e99", "digits"),
        ("1e-99", "digits"),
    ],
)
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_a_price_that_is_none_is_refused_with_its_cell(price: str, reason: str, column: str) -> None:
    names = ["open", "high", "low", "close"]
    values = [price if name == column else "100" for name in names]
    fault = fault_of(f"{NAMES}{GOOD}1760131260,BTCUSDT,{','.join(values)}\n")
    assert fault.where == f"crash.csv: line 3, column {column}"
    assert reason in fault.message
    assert fault.expected
    assert "leave it out" in str(fault.hint)


@pytest.mark.parametrize(
    ("prices", "column"),
    [("5,4,6,5", "high"), ("7,6,4,5", "open"), ("3,6,4,5", "open"), ("5,6,4,7", "close"), ("5,6,4,3.999", "close")],
)
def test_a_bar_that_cannot_be_is_refused_with_its_cell(prices: str, column: str) -> None:
    assert fault_of(f"{NAMES}1760119200,A,{prices}\n").where == f"crash.csv: line 2, column {column}"


def test_rows_of_one_symbol_out_of_order_are_refused() -> None:
    fault = fault_of(f"# price_kind: last\n{NAMES}1760119260,A,1,1,1,1\n1760119260,B,1,1,1,1\n1760119200,A,1,1,1,1\n")
    assert fault.where == "crash.csv: line 5, column ts"
    assert fault.found == "2025-10-10T18:00:00Z"
    assert fault.expected == "a time after 2025-10-10T18:01:00Z"
    assert fault.hint == "sort the rows by ts"


def test_a_bar_that_is_there_twice_is_refused() -> None:
    fault = fault_of(f"{NAMES}{GOOD}{GOOD}")
    assert fault.where == "crash.csv: line 3, column ts"
    assert "twice" in fault.message


@pytest.mark.parametrize("text", ["", "\n\n", "# price_kind: mark\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    fault = fault_of(text)
    assert (fault.where, fault.message) == ("crash.csv", "the file is empty")


def test_a_file_of_column_names_only_is_refused() -> None:
    assert fault_of(NAMES).message == "there are no bars in it"


def test_a_line_that_is_cut_off_is_refused_with_the_first_missing_column() -> None:
    fault = fault_of(NAMES + GOOD + "2025-10-10T21:21:00Z,BTCUSDT,104311.20,1073")
    assert fault.where == "crash.csv: line 3, column low"
    assert fault.found == "4: 2025-10-10T21:21:00Z,BTCUSDT,104311.20,1073"


def test_a_line_with_too_many_values_is_refused() -> None:
    assert fault_of(NAMES + "1760119200,A,1,000,1,1,1\n").where == "crash.csv: line 2"


def test_a_line_that_is_no_csv_is_refused() -> None:
    assert fault_of(NAMES + '1760119200,"A,1,1,1,1\n').message == "the line is not CSV"


def test_a_missing_column_is_named_with_what_it_may_be_called() -> None:
    fault = fault_of("timestamp,symbol,open,high,low,close\n")
    assert (fault.where, fault.message) == ("crash.csv: line 1", "column ts is missing")
    assert fault.hint == "rename 'timestamp' to 'ts'"


def test_several_missing_columns_are_all_named() -> None:
    assert fault_of("1,2,3\n").message == "columns ts, symbol, open, high, low, close are missing"


def test_a_column_that_is_there_twice_is_refused() -> None:
    assert fault_of("ts,symbol,open,high,low,close,low\n").message == "column low is there twice"


def test_an_unknown_price_kind_is_refused_with_the_nearest() -> None:
    fault = fault_of("# price_kind: marks\n" + NAMES + GOOD)
    assert fault.where == "crash.csv: header, price_kind"
    assert fault.expected == "mark or last or index"
    assert fault.hint == "did you mean mark?"
    fault = fault_of("ts,symbol,open,high,low,close,price_kind\n1760119200,A,1,1,1,1,lst\n")
    assert fault.where == "crash.csv: line 2, column price_kind"


def test_two_price_kinds_in_one_tape_are_refused() -> None:
    names = "ts,symbol,open,high,low,close,price_kind\n"
    fault = fault_of(names + "1760119200,A,1,1,1,1,mark\n1760119260,A,1,1,1,1,last\n")
    assert fault.where == "crash.csv: line 3, column price_kind"
    fault = fault_of("# price_kind: last\n" + names + "1760119200,A,1,1,1,1,mark\n")
    assert "contradict" in fault.message


def test_a_row_without_a_symbol_is_refused() -> None:
    assert fault_of(NAMES + "1760119200,,1,1,1,1\n").where == "crash.csv: line 2, column symbol"


@pytest.mark.parametrize("resolution", ["1 minute", "0m", "m", "-1m", "1.5h"])
def test_a_resolution_that_cannot_be_read_is_refused(resolution: str) -> None:
    assert fault_of(f"# resolution: {resolution}\n{NAMES}{GOOD}").where == "crash.csv: header, resolution"


def test_bars_closer_than_the_stated_resolution_are_refused() -> None:
    fault = fault_of(f"# resolution: 1h\n{NAMES}1760119200,A,1,1,1,1\n1760119260,A,1,1,1,1\n")
    assert (fault.message, fault.found) == ("bars of A overlap", "60 s")


def test_a_tape_that_is_written_reads_the_same(tmp_path: Path) -> None:
    for name in ("2021-05-19", "2025-10-10"):
        tape = load_tape(name)
        target = tmp_path / "new" / f"{name}.csv"
        write_tape(tape, target)
        again = load_tape(target)
        assert list(again.bars()) == list(tape.bars())
        assert (again.price_kind, again.price_kind_assumed, again.exact) == ("last", False, True)
        assert again.provenance.source == tape.provenance.source
        assert [path.name for path in target.parent.iterdir() if path.name.startswith(".")] == []


def test_what_was_assumed_or_inexact_stays_so_when_written(tmp_path: Path) -> None:
    write_tape(read("# exact: false\n" + NAMES + GOOD), tmp_path / "t.csv")
    again = load_tape(tmp_path / "t.csv")
    assert (again.exact, again.price_kind_assumed) == (False, True)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadTape, match="cannot be written"):
        write_tape(read(NAMES + GOOD), tmp_path / "file" / "t.csv")
