"""A fleet built of tables and files of any producer, and what is said of rows that cannot be."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ringfence.account import CollateralMode, MarginMode, PositionMode
from ringfence.errors import BadAccount, BadConfiguration, BadFleet, BadInput, BadRulebook
from ringfence.fleet import Fleet
from ringfence.fleet.build import Request, build
from ringfence.fleet.tables import Names

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal
DAY = date(2025, 10, 10)
POSITIONS = """account,symbol,side,quantity,entry_price,isolated_margin,leverage,mark_price
A,BTCUSDT,long,0.100,117000,,10,117590.8
B,ETHUSDT,short,2,4000,,5,4300.5
A,ETHUSDT,long,1,4000.25,200.125,20,4300.5
"""
WALLETS = "account,asset,balance\nA,USDT,1000.5\nB,USDT,-900.000000000000000001\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "positions.csv").write_text(POSITIONS)
    (tmp_path / "wallets.csv").write_text(WALLETS)
    return tmp_path


def built(folder: Path, *names: str, **request: Any) -> Fleet:
    out = folder / "out.fleet.parquet"
    asked: dict[str, Any] = {"rulebook": "binance-usdm", "as_of": DAY} | request
    return build([folder / name for name in names], out, Request(**asked)).fleet


def faults(folder: Path, *names: str, **request: Any) -> list[str]:
    with pytest.raises(BadFleet) as caught:
        built(folder, *names, **request)
    assert sorted(path.name for path in folder.iterdir() if "fleet" in path.name) == []
    return [str(fault) for fault in caught.value.faults]


def test_rows_of_csv_become_accounts_to_the_last_digit(files: Path) -> None:
    fleet = built(files, "positions.csv", "wallets.csv")
    first, second = fleet.account("A"), fleet.account("B")
    assert [(p.symbol, p.quantity, p.entry_price, p.isolated_margin, p.leverage) for p in first.account.positions] == [
        ("BTCUSDT", D("0.1"), D(117000), None, D(10)),
        ("ETHUSDT", D(1), D("4000.25"), D("200.125"), D(20)),
    ]
    assert [p.margin_mode for p in first.account.positions] == [MarginMode.CROSS, MarginMode.ISOLATED]
    assert second.account.positions[0].quantity == D(-2)
    assert second.account.wallet == {"USDT": D("-900.000000000000000001")}
    assert first.marks == {"BTCUSDT": D("117590.8"), "ETHUSDT": D("4300.5")}
    assert (fleet.terms.rulebook_name, fleet.terms.as_of, fleet.terms.exact) == ("binance-usdm", DAY, True)


@pytest.mark.parametrize("form", ["parquet", "arrow", "jsonl"])
def test_the_same_rows_make_the_same_fleet_from_parquet_arrow_and_json_lines(files: Path, form: str) -> None:
    import pyarrow.csv
    import pyarrow.ipc

    expected = built(files, "positions.csv", "wallets.csv").to_arrow()
    (files / "out.fleet.parquet").unlink()
    for name in ("positions", "wallets"):
        texts = pyarrow.csv.ConvertOptions(column_types={"quantity": pa.string(), "balance": pa.string()})
        table = pyarrow.csv.read_csv(files / f"{name}.csv", convert_options=texts)
        table = table.set_column(0, "account", table["account"].dictionary_encode())
        if form == "parquet":
            pq.write_table(table, files / f"{name}.{form}")
        elif form == "arrow":
            with pyarrow.ipc.new_file(files / f"{name}.{form}", table.schema) as writer:
                writer.write_table(table)
        else:
            (files / f"{name}.{form}").write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    found = built(files, f"positions.{form}", f"wallets.{form}")
    assert found.to_arrow().to_pylist() == expected.to_pylist()


def test_columns_of_other_names_are_mapped_and_what_is_not_used_is_said(files: Path) -> None:
    text = POSITIONS.replace("quantity", "positionAmt").replace("leverage", "levrage").replace("account", "uid")
    (files / "positions.csv").write_text(text)
    names = Names.read(["quantity=positionAmt", "positions.account=uid"])
    done = build([files / "positions.csv", files / "wallets.csv"], files / "x.fleet.parquet",
                 Request("binance-usdm", DAY, names=names))  # fmt: skip
    assert done.fleet.account("A").account.positions[0].quantity == D("0.1")
    assert done.notes == (f"{files / 'positions.csv'}: not used: levrage (did you mean leverage?)",)


def test_every_faulty_row_is_named_with_its_column_and_nothing_is_written(files: Path) -> None:
    (files / "positions.csv").write_text(
        "account,symbol,side,quantity,entry_price,isolated_margin,leverage\n"
        "A,BTCUSDT,long,0.1,117000,,10\n"
        ",BTCUSDT,long,0.1,117000,,10\n"
        "B,ETHUSDT,shirt,2,-4,,5\n"
        "C,ETHUSDT,long,nan,4000,,\n"
        "D,ETHUSDT,long,1e-19,4000,,\n"
    )
    said = "\n".join(faults(files, "positions.csv", "wallets.csv"))
    where = files / "positions.csv"
    for expected in (
        f"{where}: row 2, column account: account is missing",
        f"{where}: row 3, column side: side is not known\n  expected: long or buy or short or sell\n  found: 'shirt'",
        f"{where}: row 3, column entry_price: entry_price is not above 0\n  expected: a positive number\n  found: -4",
        f"{where}: row 4, column quantity: not a finite number",
        f"{where}: row 5, column quantity: too many decimal places\n  expected: at most 18 of them\n  found: 1e-19",
    ):
        assert expected in said


def test_faults_are_listed_up_to_the_limit_and_then_counted_on_no_further(files: Path) -> None:
    rows = "\n".join(f"A{i},BTCUSDT,long,0,117000" for i in range(50))
    (files / "positions.csv").write_text(f"account,symbol,side,quantity,entry_price\n{rows}\n")
    with pytest.raises(BadFleet) as caught:
        built(files, "positions.csv", most_faults=7)
    assert (len(caught.value.faults), caught.value.more) == (7, True)
    assert str(caught.value).startswith("more than 7 faults; nothing was written")


def test_rows_are_held_to_the_rulebook_as_account_files_are(files: Path) -> None:
    (files / "positions.csv").write_text(
        "account,symbol,quantity,entry_price,leverage\n"
        "A,BTCUSDTX,1,117000,10\n"
        "B,ETHUSDT,-200000000,4000,1\n"
        "C,ETHUSDT,1,4000,2000\n"
        "D,ETHUSDT,1,4000,20\n"
        "D,ETHUSDT,-1,4000,20\n"
        "E,ETHUSDT,1,4000,20\n"
        "E,ETHUSDT,2,4000,20\n"
    )
    said = "\n".join(faults(files, "positions.csv"))
    where = files / "positions.csv"
    for expected in (
        f"{where}: row 1, column symbol: no table for BTCUSDTX in binance-usdm",
        f"{where}: row 2, column quantity: ETHUSDT short is larger than the venue allows",
        f"{where}: row 3, column leverage: leverage 2000 is above what the tier allows",
        f"{where}: row 5, column symbol: a long and a short of ETHUSDT in one-way mode",
        f"{where}: row 7, column symbol: ETHUSDT long is there twice in one account",
    ):
        assert expected in said


def test_a_leverage_at_the_very_limit_of_its_tier_is_taken() -> None:
    limit = Fleet.from_arrow(
        positions=pa.table({"account": ["A"], "symbol": ["ETHUSDT"], "quantity": ["0.1"], "entry_price": ["4000"],
                            "leverage": [150]}),
        rulebook="binance-usdm", as_of=DAY,
    )  # fmt: skip
    assert limit.account("A").account.positions[0].leverage == D(150)


def test_accounts_of_modes_and_baskets_are_kept_and_a_missing_collateral_price_is_named(files: Path) -> None:
    (files / "accounts.csv").write_text("account,position_mode,collateral_mode\nA,hedge,\nB,,multi_asset\n")
    (files / "wallets.csv").write_text(WALLETS + "B,BTC,1\n")
    said = faults(files, "accounts.csv", "positions.csv", "wallets.csv")
    assert said[0].startswith(f"{files / 'wallets.csv'}: row 3, column asset: no collateral price for BTC")
    (files / "terms.csv").write_text("account,asset,index,ratio\nB,BTC,117000,0.95\n")
    fleet = built(files, "accounts.csv", "positions.csv", "wallets.csv", "terms.csv")
    assert fleet.account("A").account.position_mode is PositionMode.HEDGE
    second = fleet.account("B").account
    assert second.collateral_mode is CollateralMode.MULTI_ASSET
    assert (second.collateral["BTC"].index, second.collateral["BTC"].ratio) == (D(117000), D("0.95"))


def test_lines_of_account_files_make_a_fleet_and_a_faulty_line_is_named(tmp_path: Path) -> None:
    held = {"symbol": "BTCUSDT", "side": "long", "quantity": "0.1", "entry_price": "117000", "mark_price": "110000"}
    one = {
        "rulebook": "binance-usdm",
        "as_of": "2025-10-10",
        "account": {"wallet": {"USDT": "900"}, "positions": [held]},
    }
    path = tmp_path / "book.jsonl"
    path.write_text("\n".join([json.dumps(one | {"id": "first"}), json.dumps(one)]) + "\n")
    fleet = build([path], tmp_path / "book.fleet.parquet", Request()).fleet
    assert [row["account"] for row in fleet.to_arrow().to_pylist()] == ["first", "book:2"]
    assert fleet.terms.marks == {"BTCUSDT": D(110000)}
    assert fleet.account("first").account.wallet == {"USDT": D(900)}
    faulty = one | {"account": {"positions": [held | {"quantity": "-1"}]}}
    other = one | {"rulebook": "bybit-linear"}
    path.write_text("\n".join(json.dumps(each) for each in (one, faulty, other)) + "\n")
    with pytest.raises(BadFleet) as caught:
        build([path], tmp_path / "other.fleet.parquet", Request())
    assert f"{path}: line 2: account.positions[0].quantity" in str(caught.value)
    assert f"{path}: line 3: rulebook: another rulebook than the fleet's" in str(caught.value)


def test_more_rows_than_the_budget_are_spilled_and_make_the_same_accounts(files: Path) -> None:
    rows = [f"U{i % 40},{symbol},{1 + i},4000,20" for i in range(40) for symbol in ("ETHUSDT", "SOLUSDT")]
    (files / "positions.csv").write_text("account,symbol,quantity,entry_price,leverage\n" + "\n".join(rows) + "\n")
    (files / "wallets.csv").write_text("account,asset,balance\n" + "\n".join(f"U{i},USDT,{i}" for i in range(40)))
    at_once = built(files, "positions.csv", "wallets.csv").to_arrow().to_pylist()
    (files / "out.fleet.parquet").unlink()
    spilled = built(files, "positions.csv", "wallets.csv", rows_at_once=10).to_arrow().to_pylist()
    assert sorted(spilled, key=lambda row: row["account"]) == sorted(at_once, key=lambda row: row["account"])
    assert sorted(path.name for path in files.iterdir()) == ["out.fleet.parquet", "positions.csv", "wallets.csv"]


def test_an_account_in_two_sources_is_a_fault(files: Path) -> None:
    fleet = built(files, "positions.csv", "wallets.csv")
    fleet.path.rename(files / "one.parquet") if fleet.path else None
    said = faults(files, "one.parquet", "positions.csv", "wallets.csv")
    assert f"{files / 'wallets.csv'}: row 1: account A comes more than once" in said[0]
    assert f"found: also {files / 'one.parquet'}: row 1" in said[0]
    assert f"{files / 'wallets.csv'}: row 2: account B comes more than once" in said[1]


def test_an_account_that_comes_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    held = {"symbol": "BTCUSDT", "side": "long", "quantity": "0.1", "entry_price": "117000", "mark_price": "110000"}
    one = {"rulebook": "binance-usdm", "account": {"wallet": {"USDT": "900"}, "positions": [held]}}
    path = tmp_path / "book.jsonl"
    path.write_text("\n".join(json.dumps(one | {"id": name}) for name in ("x", "y", "x", "z", "x")))
    with pytest.raises(BadFleet) as caught:
        build([path], tmp_path / "out", Request())
    assert [(fault.where, fault.message, fault.found) for fault in caught.value.faults] == [
        (f"{path}: line 3", "account x comes more than once", f"also {path}: line 1"),
        (f"{path}: line 5", "account x comes more than once", f"also {path}: line 1"),
    ]


def test_faults_of_rules_name_file_and_row_however_the_accounts_came(files: Path) -> None:
    """A price that is missing, of a balance and of what a position settles in; options outside portfolio margin."""
    held = {"symbol": "BTCUSDT", "quantity": "0.1", "entry_price": "117000"}
    rows = [
        {
            "account": f"N{at}",
            "collateral_mode": "multi_asset" if at == 2 else None,
            "wallet": [{"asset": "BTC", "balance": "1"}] if at == 2 else [],
            "positions": [held],
        }
        for at in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(rows), files / "nested.parquet")
    lines = [{"id": f"L{at}", "rulebook": "binance-usdm", "as_of": "2025-10-10", "account": {
        "wallet": {"USDT": "1"}, "positions": [held | {"side": "long", "leverage": "500" if at == 11 else "5"}]}}
        for at in range(12)]  # fmt: skip
    (files / "lines.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    said = [fault.splitlines()[0] for fault in faults(files, "nested.parquet")]
    place = f"{files / 'nested.parquet'}: row 3, account N2, wallet[0], column asset"
    assert said == [f"{place}: no collateral price for BTC"]
    said = [fault.splitlines()[0] for fault in faults(files, "lines.jsonl")]
    assert [line.partition(", column")[0] for line in said] == [
        f"{files / 'lines.jsonl'}: line 12, account L11, positions[0]"
    ]


def test_rows_of_a_table_with_lists_are_counted_through_all_of_its_batches(files: Path) -> None:
    held = {"symbol": "BTCUSDT", "quantity": "0.1", "entry_price": "117000"}
    batches = [pa.RecordBatch.from_pylist([{"account": f"N{part}{at}", "position_mode": "one_way" if at else "both",
                                            "positions": [held | {"quantity": "x"} if at == part else held]}
                                           for at in range(3)]) for part in range(2)]  # fmt: skip
    with pa.OSFile(str(files / "nested.arrow"), "wb") as sink, pa.ipc.new_file(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    where = [fault.partition(": not")[0].partition(": position_mode is")[0] for fault in faults(files, "nested.arrow")]
    assert where == [
        f"{files / 'nested.arrow'}: row 1, column position_mode",
        f"{files / 'nested.arrow'}: row 1, account N00, positions[0], column quantity",
        f"{files / 'nested.arrow'}: row 4, column position_mode",
        f"{files / 'nested.arrow'}: row 5, account N11, positions[0], column quantity",
    ]


def test_a_file_that_is_given_twice_is_refused(files: Path) -> None:
    with pytest.raises(BadConfiguration, match="a file that is given twice"):
        built(files, "positions.csv", "wallets.csv", "../" + files.name + "/positions.csv")


def test_a_fleet_is_built_again_from_its_own_file_with_its_terms(files: Path) -> None:
    fleet = built(files, "positions.csv", "wallets.csv")
    assert fleet.path is not None
    again = build([fleet.path], files / "again.fleet.parquet", Request()).fleet
    assert again.terms == fleet.terms
    assert again.to_arrow().to_pylist() == fleet.to_arrow().to_pylist()


def test_without_a_rulebook_nothing_is_built(files: Path) -> None:
    with pytest.raises(
        BadConfiguration, match=r"rulebook: whose rules hold is not known(?s:.*)rulebook=NAME in Python"
    ):
        built(files, "positions.csv", "wallets.csv", rulebook=None)


def test_an_unknown_rulebook_is_told_before_a_row_is_read(files: Path) -> None:
    (files / "positions.csv").write_text("account,symbol,quantity,entry_price\nA,BTCUSDT,x,-1\n")
    with pytest.raises(BadRulebook, match="no rulebook 'binance-usd'") as caught:
        built(files, "positions.csv", "wallets.csv", rulebook="binance-usd")
    assert "binance-usdm" in (caught.value.hint or "")
    with pytest.raises(BadRulebook, match="no rulebook 'binance-usd'"):
        Fleet.from_arrow(positions=pa.table({"account": ["A"]}), rulebook="binance-usd")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "what the table holds cannot be told by its columns"),
        (b"PAR1 but not really", "cannot be read as parquet"),
    ],
)
def test_files_that_are_none_are_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "table").write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        built(tmp_path, "table")
    assert (caught.value.where or "").startswith(str(tmp_path / "table"))


def test_a_file_that_is_no_fleet_is_not_opened(tmp_path: Path) -> None:
    pq.write_table(pa.table({"account": ["A"]}), tmp_path / "x.parquet")
    with pytest.raises(BadAccount, match="not a fleet"):
        Fleet.open(tmp_path / "x.parquet")
    schema = pa.schema([("account", pa.string())], metadata={b"ringfence.fleet": b'{"schema": "ringfence.fleet/9"}'})
    pq.write_table(pa.table({"account": ["A"]}, schema=schema), tmp_path / "y.parquet")
    with pytest.raises(BadAccount, match="another kind of fleet"):
        Fleet.open(tmp_path / "y.parquet")


@pytest.mark.parametrize(
    ("content", "where", "message", "hint"),
    [
        (b"account,asset,balance\nA,USDT\nB,USDT,5\nC,USDT,6,7\n", "wallets.csv: row 1",
         "another number of fields than there are names", "leave nothing between two commas"),
        (b"account;asset;balance\nA;USDT;5\n", "wallets.csv", "what the table holds cannot be told by its columns",
         "parted by commas"),
        ("account,asset,balance\n".encode("utf-16"), "wallets.csv",
         "what the table holds cannot be told by its columns", "no text in UTF-8"),
        (b"account,collateral_mode\nA,portfolo\n", "wallets.csv: row 1, column collateral_mode",
         "collateral_mode is not known", "did you mean portfolio?"),
        (b"account,asset,balance,loan\nA,USDT,5,-1\n", "wallets.csv: row 1, column loan", "loan is negative",
         "correct loan in that row"),
    ],
)  # fmt: skip
def test_a_fault_says_where_it_is_and_what_to_do(
    tmp_path: Path, content: bytes, where: str, message: str, hint: str
) -> None:
    source = tmp_path / "wallets.csv"
    source.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        build([source], tmp_path / "out", Request("binance-usdm"))
    fault = caught.value.faults[0] if isinstance(caught.value, BadFleet) else caught.value
    assert (fault.where or "").endswith(where)
    assert fault.message == message
    assert hint in (fault.hint or "")
