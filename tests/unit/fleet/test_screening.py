"""Who is called or liquidatable, worst first: what assess says of every account, and no more held than a unit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ringfence.cli.assessment_json import state_of
from ringfence.errors import BadConfiguration
from ringfence.fleet import Fleet
from ringfence.fleet.accounts import account_file_of
from ringfence.fleet.build import Request, build
from ringfence.fleet.example import example_table, write_example
from ringfence.fleet.results import screen_json, screen_table
from ringfence.fleet.screening import ALL, Found, screen
from ringfence.margin.assess import assess_account

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """A stressed example at marks 6 % down, where hundreds are called or dead."""
    made = example_table(1200, seed=5, kind="stressed")
    return made.with_marks({symbol: price * D("0.94") for symbol, price in made.terms.marks.items()})


def stated(fleet: Fleet) -> tuple[list[tuple[int, D, str, str]], dict[str, int]]:
    """Return what the exact lane says: pools called or liquidatable in order, and accounts by state."""
    rulebook = fleet.terms.rulebook()
    found, states = [], {"healthy": 0, "warning": 0, "margin_call": 0, "liquidatable": 0}
    for row in fleet.to_arrow().to_pylist():
        file = account_file_of(row, fleet.terms, fleet.terms.marks, where="")
        assessments = assess_account(file.account, file.marks, rulebook)
        states[str(state_of(assessments))] += 1
        for a in assessments:
            if a.lines and a.status in {"margin_call", "liquidatable"}:
                order = ("liquidatable", "margin_call").index(a.status)
                found.append((order, a.health or D(10) ** 30, row["account"], a.pool.name))
    return sorted(found), states


def test_a_screen_finds_exactly_whom_assess_finds_in_the_same_order(fleet: Fleet) -> None:
    expected, states = stated(fleet)
    found = screen(fleet, limit=ALL)
    assert [pool.order for pool in found.worst] == expected
    assert len(expected) > 200
    assert found.accounts == (states["healthy"] + states["warning"], states["margin_call"], states["liquidatable"], 0)
    assert sum(found.pools) > found.positions / 3


@pytest.mark.parametrize("limit", [0, 1, 7, 50, 5000])
def test_a_limit_keeps_the_worst(fleet: Fleet, limit: int) -> None:
    assert screen(fleet, limit=limit).worst == screen(fleet, limit=ALL).worst[:limit]


def test_who_is_shown_has_the_figures_of_the_exact_lane(fleet: Fleet) -> None:
    worst = screen(fleet, limit=1).worst[0]
    file = fleet.account(worst.account)
    exact = {a.pool.name: a for a in assess_account(file.account, file.marks, file.rulebook())}[worst.pool]
    assert worst == Found(
        worst.account, worst.pool, "liquidatable", "USDT", exact.balance_held_against or D(0),
        exact.liquidation_requirement or D(0), exact.health, exact.shortfall or D(0),
    )  # fmt: skip
    document = screen_json(fleet, screen(fleet, limit=1))
    assert document["worst"][0]["health"] == str(exact.health)
    assert screen_table(screen(fleet, limit=3)).num_rows == 3


def test_a_pool_without_a_mark_is_not_known_and_named(fleet: Fleet) -> None:
    marks = {symbol: price for symbol, price in fleet.terms.marks.items() if symbol != "BTCUSDT"}
    some = replace(fleet, terms=replace(fleet.terms, marks=marks))
    found = screen(some, limit=3)
    held = {row["account"] for row in fleet.positions().to_pylist() if row["symbol"] == "BTCUSDT"}
    assert 0 < found.accounts[3] <= len(held)
    assert found.pools[3] >= found.accounts[3]
    assert found.assumptions[1] == f"{found.pools[3]} pools are not known"
    assert found.assumptions[2].startswith(f"not known, {found.pools[3]} pools: no mark for BTCUSDT (")


def test_pools_that_lack_something_else_than_a_mark_are_said_to() -> None:
    rows = pa.table({"account": ["A"], "symbol": ["BTCUSDT"], "quantity": ["1"], "entry_price": ["60000"]})
    wallets = pa.table({"account": ["A"], "asset": ["USDT"], "balance": pa.array([None], pa.string())})
    made = Fleet.from_arrow(positions=rows, wallets=wallets, rulebook="binance-usdm", marks={"BTCUSDT": D(60000)})
    found = screen(made)
    assert found.pools == (0, 0, 0, 1)
    assert found.assumptions[1] == "1 pool is not known"
    assert found.assumptions[2].startswith("not known, 1 pool: no balance of USDT (A); do: ")


def test_without_any_mark_nothing_is_screened(fleet: Fleet) -> None:
    with pytest.raises(BadConfiguration, match="no marks"):
        screen(replace(fleet, terms=replace(fleet.terms, marks={})))


def test_what_the_fast_lane_does_not_hold_goes_to_the_exact_one_and_is_counted() -> None:
    rows = pa.table({
        "account": ["A", "B"], "symbol": ["BTCUSD", "BTCUSD"], "quantity": ["10000", "10000"],
        "entry_price": ["60000", "60000"], "leverage": ["10", "10"],
    })  # fmt: skip
    wallets = pa.table({"account": ["A", "B"], "asset": ["BTC", "BTC"], "balance": ["1", "0.001"]})
    made = Fleet.from_arrow(positions=rows, wallets=wallets, rulebook="bybit-inverse", marks={"BTCUSD": D(59000)})
    found = screen(made)  # a closing fee at the bankruptcy price is not linear in the mark
    assert (found.exact, found.accounts) == (2, (1, 0, 1, 0))
    assert [(pool.account, pool.status) for pool in found.worst] == [("B", "liquidatable")]


def test_a_fleet_passes_through_unit_by_unit_and_no_two_units_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole.parquet"
    write_example(900, 4, whole)
    parts = build([whole], tmp_path / "parts.parquet", Request(unit=100)).fleet
    assert parts.units == 9
    held: list[int] = []
    read = pq.ParquetFile.read_row_group

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        table = read(self, *arguments, **options)
        held.append(table.num_rows)
        return table

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    monkeypatch.setattr(pq, "read_table", None)
    assert screen(parts, limit=9).worst == screen(Fleet.open(whole), limit=9).worst
    assert held[:9] == [100] * 9
    del held[:]
    before = pa.total_allocated_bytes()
    most = 0
    for batch in parts.batches():
        most = max(most, pa.total_allocated_bytes() - before)
        del batch
    assert most < 0.5 * Fleet.open(whole).unit(0).nbytes
