"""What changed between two dated folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ringfence.errors import BadRulebook
from ringfence.watch.tables import Change, diff_tables

if TYPE_CHECKING:
    from pathlib import Path

CONTRACTS = (
    "symbol,kind,contract_size,settle_asset,price_step,quantity_step,minimum_quantity,minimum_notional,"
    "maker_fee_rate,taker_fee_rate,liquidation_fee_rate,tier_unit,coverage"
)
TIERS = "symbol,tier,floor,cap,maintenance_rate,deduction,max_leverage"


def folder(path: Path, contracts: list[str], tiers: list[str]) -> Path:
    path.mkdir()
    (path / "contracts.csv").write_text("\n".join([CONTRACTS, *contracts]) + "\n")
    (path / "tiers.csv").write_text("\n".join([TIERS, *tiers]) + "\n")
    return path


def test_every_kind_of_change_is_told_once_contracts_first(tmp_path: Path) -> None:
    old = folder(
        tmp_path / "2026-10-01",
        ["AUSDT,linear,1,USDT,0.1,,,,,,,notional,complete", "GONE,inverse,100,BTC,,,,,,,,notional,complete"],
        ["AUSDT,1,0,100,0.01,0,50", "AUSDT,2,100,,0.02,1,25", "GONE,1,0,,0.01,0,"],
    )
    new = folder(
        tmp_path / "2026-10-02",
        ["AUSDT,linear,1,USDT,0.01,,,5,,,,notional,complete", "NEW,linear,1,USDT,,,,,,,,notional,complete"],
        ["AUSDT,1,0,200,0.01,0,50", "NEW,1,0,10,0.01,,", "NEW,2,10,,0.02,,"],
    )
    assert diff_tables(old, new) == [
        Change("contracts", "changed", "AUSDT", field="price_step", old="0.1", new="0.01"),
        Change("contracts", "changed", "AUSDT", field="minimum_notional", old="", new="5"),
        Change("contracts", "removed", "GONE", old="inverse, contract size 100, settled in BTC"),
        Change("contracts", "added", "NEW", new="linear, contract size 1, settled in USDT"),
        Change("tiers", "changed", "AUSDT", 1, "cap", "100", "200"),
        Change("tiers", "removed", "AUSDT", 2, old="from 100 at 0.02, 25x"),
        Change("tiers", "removed", "GONE", old="1 tiers"),
        Change("tiers", "added", "NEW", new="2 tiers"),
    ]


def test_a_number_spelled_otherwise_is_no_change(tmp_path: Path) -> None:
    old = folder(tmp_path / "a", ["A,linear,1,USDT,0.10,,,,,,,notional,complete"], ["A,1,0,1E+3,0.010,0,50"])
    new = folder(tmp_path / "b", ["A,linear,1.0,USDT,0.1,,,,,,,notional,complete"], ["A,1,0,1000,0.01,0,50.0"])
    assert diff_tables(old, new) == []


def test_a_change_reads_as_one_line() -> None:
    change = Change("tiers", "changed", "BTCUSDT", 2, "deduction", "", "300")
    assert str(change) == "BTCUSDT tier 2 deduction: unknown → 300"


def test_a_folder_without_tables_is_a_bad_rulebook_that_names_the_file(tmp_path: Path) -> None:
    old = folder(tmp_path / "a", [], [])
    with pytest.raises(BadRulebook, match=r"nowhere/contracts\.csv"):
        diff_tables(old, tmp_path / "nowhere")


def test_a_table_without_a_column_names_it(tmp_path: Path) -> None:
    old = folder(tmp_path / "a", [], [])
    (old / "tiers.csv").write_text("symbol,tier,floor\n")
    with pytest.raises(BadRulebook, match="no cap, maintenance_rate, deduction, max_leverage"):
        diff_tables(old, old)


def test_a_line_with_too_few_cells_is_named(tmp_path: Path) -> None:
    old = folder(tmp_path / "a", [], ["A,1,0"])
    with pytest.raises(BadRulebook, match=r"tiers\.csv: line 2"):
        diff_tables(old, old)
