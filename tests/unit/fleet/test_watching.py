"""A tape through a fleet: whoever falls is named at the moment it falls, as the exact lane finds at every price."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from ringfence.account import pools
from ringfence.errors import BadConfiguration
from ringfence.fleet.accounts import account_of
from ringfence.fleet.example import example_table
from ringfence.fleet.results import falls_by_minute, rates, watch_json, watch_table
from ringfence.fleet.watching import watch
from ringfence.margin.assess import assess
from ringfence.tape import load_tape, walk
from ringfence.tape.bars import EPOCH, MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.fleet import Fleet
    from ringfence.fleet.watching import Watched
    from ringfence.tape import Walk

D = Decimal
SYMBOLS = ("AVAXUSDT", "BTCUSDT", "LINKUSDT")


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Accounts that hold what the tape has."""
    drawn = example_table(500, seed=11, kind="stressed")
    rows = drawn.to_arrow().to_pylist()
    kept = [at for at, row in enumerate(rows) if {p["symbol"] for p in row["positions"]} & set(SYMBOLS)]
    return replace(drawn, table=drawn.to_arrow().take(kept))


@pytest.fixture(scope="module")
def path() -> Walk:
    start = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
    tape = load_tape("2025-10-10").select(symbols=SYMBOLS, start=start, end=start + timedelta(minutes=25))
    return walk(tape, 3, intermediate=0)


@pytest.fixture(scope="module")
def watched(fleet: Fleet, path: Walk) -> Watched:
    return watch(fleet, path)


def moments(fleet: Fleet, path: Walk) -> Iterator[tuple[datetime, dict[str, Decimal]]]:
    """Yield the marks of each moment of the tape."""
    marks = dict(fleet.terms.marks)
    for micros, ticks in groupby((tick for tick in path if tick.price is not None), key=lambda tick: tick.micros):
        marks |= {tick.symbol: tick.price for tick in ticks if tick.price is not None}
        yield EPOCH + micros * MICROSECOND, dict(marks)


def test_who_falls_and_when_is_what_assessing_every_pool_at_every_price_finds(
    fleet: Fleet, path: Walk, watched: Watched
) -> None:
    rulebook = fleet.terms.rulebook()
    standing = {
        (row["account"], pool.name): pool
        for row in fleet.to_arrow().to_pylist()
        for pool in pools(account_of(row), rulebook.contract, rulebook.collateral)
        if pool.positions
    }
    fell = []
    for at, marks in moments(fleet, path):
        for key, pool in list(standing.items()):
            found = assess(pool, marks, rulebook)
            if found.liquidatable:
                fell.append((at, *key, found.health))
                del standing[key]
    assert len(fell) > 30
    assert sorted(fell) == sorted((f.at, f.account, f.pool, f.health) for f in watched.fallen)


def test_a_higher_level_falls_no_later(fleet: Fleet, path: Walk, watched: Watched) -> None:
    called = {(f.account, f.pool): f.at for f in watch(fleet, path, level=D("1.25")).fallen}
    assert len(called) >= len(watched.fallen)
    assert all(called[fallen.account, fallen.pool] <= fallen.at for fallen in watched.fallen)


def test_results_say_when_and_how_fast(fleet: Fleet, watched: Watched) -> None:
    document = watch_json(fleet, watched, 2)
    assert (document["fell"], len(document["fallen"])) == (len(watched.fallen), 2)
    assert sum(count for _, count in falls_by_minute(watched)) == len(watched.fallen)
    assert watch_table(watched).num_rows == len(watched.fallen)
    assert rates(watched)["prices"] == sum(frame.prices for frame in watched.frames)


def test_a_tape_of_other_symbols_is_refused(fleet: Fleet) -> None:
    tape = load_tape("2025-10-10").select(symbols=("BTCUSDT",))
    other = replace(tape, series={"XYZUSDT": replace(tape.series["BTCUSDT"], symbol="XYZUSDT")})
    with pytest.raises(BadConfiguration, match="the tape has no symbol of the fleet"):
        watch(fleet, walk(other, 1))
