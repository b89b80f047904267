"""Forced orders that move the tape's prices: by how much, for how long, and what is held against what."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine import snapshot
from ringfence.engine.events import PriceMoved, PriceRejected, PricesChanged
from ringfence.engine.impact import expected_mark
from ringfence.engine.setup import Market, PriceGuard
from ringfence.engine.setup_text import write
from ringfence.numbers import ROUND_HALF_EVEN, round_to
from tests.unit.engine.small_venue import NO_FEES, SECOND, SmallVenue, of_kind

D = Decimal
# Levels of 1,000 every 1 %, 2 % of a level back a second; everything fills somewhere on a hundred of them.
LADDER = Market(D(0), D("0.01"), D(1_000), 100, refill=D("0.02"))
TENTH = D("0.1")


def liquidated(*, impact: bool = True, **more: Any) -> SmallVenue:
    """Ann's 40 longs at 100 with 250 are sold into the market when the mark is 95: 40 of them, levels of 10.52."""
    venue = SmallVenue(market=LADDER, fees=NO_FEES, fund="100000", impact=impact, **more)
    venue.marks(X="100", Y="50")
    venue.deposit("ann", "250")
    venue.do(asked.AdoptPosition, "ann", "X", "long", D(40), D(100), D(20))
    assert venue.marks(X="95")  # 250 − 40 · 5 = 50 for 3,800 · 0.01 = 38
    venue.marks(X="94")  # 10 for 37.6
    assert venue.held("ann") == 0
    return venue


def depth(price: str) -> Decimal:
    """Contracts on a level: 1,000 at the price, down to the step of 0.01."""
    return round_to(D(1_000) / D(price), D("0.01"), rounding="ROUND_FLOOR")


def after(venue: SmallVenue, price: str, *, seconds: int = 1) -> tuple[PricesChanged, PriceMoved | None]:
    """The next mark of X, so many seconds later."""
    venue.at += (seconds - 1) * SECOND
    events = venue.marks(X=price)
    (changed,) = of_kind(events, PricesChanged)
    moved = of_kind(events, PriceMoved)
    return changed, moved[0] if moved else None


def test_what_was_forced_onto_the_market_moves_the_next_price_by_the_levels_it_used_up() -> None:
    venue = liquidated()
    changed, moved = after(venue, "94")
    assert dict(changed.marks) == {"X": D(94)}
    assert moved is not None
    left = 40 - D("0.02") * depth("94")  # one second later
    assert moved.pressure == -left
    assert moved.mark == round_to(94 * (1 - D("0.01") * left / depth("94")), TENTH, rounding=ROUND_HALF_EVEN)
    assert (moved.last, venue.state.marks["X"]) == (None, moved.mark)


def test_it_wears_off_as_the_market_refills_and_then_is_gone_for_good() -> None:
    venue = liquidated()
    _, moved = after(venue, "94", seconds=100)  # two levels of 10.63 are back
    assert moved is not None
    assert moved.pressure == -(40 - 2 * depth("94"))
    _, moved = after(venue, "94", seconds=200)
    assert moved is not None
    assert (moved.pressure, moved.mark) == (D(0), D(94))
    _, moved = after(venue, "94")
    assert moved is None
    assert venue.state.pressure == {}


def test_without_impact_nothing_is_moved_and_nothing_is_kept() -> None:
    venue = liquidated(impact=False)
    _, moved = after(venue, "94")
    assert moved is None
    assert (venue.state.pressure, venue.state.told, venue.state.marks["X"]) == ({}, {}, D(94))


def test_mark_and_last_are_moved_alike_and_other_symbols_stay() -> None:
    venue = liquidated()
    events = venue.do(asked.UpdatePrices, (("X", D(94)), ("Y", D(50))), (("X", D(94)),))
    (moved,) = of_kind(events, PriceMoved)
    assert moved.mark == moved.last == venue.state.last["X"]
    assert venue.state.marks["Y"] == 50


def test_the_next_price_is_held_against_what_the_tape_said_and_not_against_the_moved_one() -> None:
    venue = liquidated(guard=PriceGuard(jump=D("0.1"), from_index=None, stale_after=None))
    _, moved = after(venue, "94")
    assert moved is not None
    assert moved.mark is not None
    high = D(94) * D("1.1")
    assert high > moved.mark * D("1.1")  # too far from the moved mark, near enough to the tape's
    assert of_kind(venue.marks(X=str(high.quantize(TENTH))), PriceRejected) == []
    assert of_kind(venue.marks(X="130"), PriceRejected) != []


def test_who_looks_ahead_sees_the_mark_that_will_be() -> None:
    venue = liquidated()
    wanted = expected_mark(venue.state, "X", D("93.7"), venue.at + SECOND)
    _, moved = after(venue, "93.7")
    assert moved is not None
    assert moved.mark == wanted
    assert expected_mark(venue.state, "Y", D("49"), venue.at) == 49


def test_orders_meet_the_moved_market() -> None:
    venue = liquidated()
    _, moved = after(venue, "94")
    assert moved is not None
    venue.trader("bob")
    (done, *_) = venue.buy("bob", "1")
    assert done.price == moved.mark  # type: ignore[attr-defined]


def test_a_clock_that_jumps_back_wears_nothing_off() -> None:
    venue = liquidated()
    venue.at -= 60 * SECOND
    _, moved = after(venue, "94")
    assert moved is not None
    assert moved.pressure == -40


def test_without_a_price_step_prices_keep_the_places_they_have() -> None:
    from dataclasses import replace

    from tests.unit.engine.small_venue import LINEAR, TIERS, rules

    book = rules().with_tables({"X": (replace(LINEAR, price_step=None), TIERS)})
    venue = liquidated(rulebook=book)
    _, moved = after(venue, "94.00")
    assert moved is not None
    assert moved.mark is not None
    assert moved.mark.as_tuple().exponent == -2


@pytest.mark.parametrize("moved", [False, True])
def test_pressure_and_what_the_tape_said_survive_a_snapshot(*, moved: bool) -> None:
    from ringfence.engine.decide import handle
    from ringfence.engine.setup import Setup
    from ringfence.engine.state import State

    state = State(Setup(as_of="2025-10-10", market=LADDER, impact=True, start_fund={"USDT": D(10_000)}))
    for number, command in enumerate(
        (
            asked.SetUp("s", 0, write(state.setup)), asked.Deposit("d", 1, "ann", "USDT", D(500)),
            asked.UpdatePrices("p", 2, (("BTCUSDT", D(100_000)),)),
            asked.AdoptPosition("a", 3, "ann", "BTCUSDT", "long", D("0.1"), D(100_000), D(20)),
            asked.UpdatePrices("q", 4, (("BTCUSDT", D(95_000)),)),
            *([asked.UpdatePrices("r", 5, (("BTCUSDT", D(95_000)),))] if moved else []),
        )
    ):  # fmt: skip
        assert handle(state, command), number
    assert state.pressure
    assert bool(state.told) == moved
    again = snapshot.load(snapshot.dump(state))
    assert (again.digest(), again.pressure, again.told) == (state.digest(), state.pressure, state.told)
