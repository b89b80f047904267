"""Margin calls: when a pool is called, when it is left alone, and whether the figures of a call really help."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.events import LiquidationStarted, MarginCalled
from tests.unit.engine.small_venue import SmallVenue, of_kind, rules


def _venue(deposit: str = "1000") -> SmallVenue:
    """Ann is long 99 at 100. Requirement 99 · p · 1 %, balance 1,000 + 99 · (p − 100)."""
    venue = SmallVenue(fund="100000")
    venue.marks(X="100")
    venue.trader("ann", deposit)
    venue.buy("ann", "99")
    return venue


def _calls(venue: SmallVenue, price: str) -> list[str]:
    return [event.level for event in of_kind(venue.marks(X=price), MarginCalled)]


def test_a_pool_is_called_once_at_each_level_on_its_way_down() -> None:
    # health 1.5 at 91.29, 1.25 at 91.05, 1 at 90.81
    venue = _venue()
    assert [_calls(venue, price) for price in ("92", "91.2", "91.1", "91", "90.9")] == [
        [], ["warning"], [], ["margin_call"], [],
    ]  # fmt: skip


def test_a_gap_goes_straight_to_the_worse_level() -> None:
    assert _calls(_venue(), "91") == ["margin_call"]


def test_a_called_pool_must_rise_clear_of_its_level_before_it_may_be_called_again() -> None:
    # margin call at 1.25; cleared above 1.25 · 1.05 = 1.3125, which is at about 91.11
    venue = _venue()
    assert _calls(venue, "91.0") == ["margin_call"]
    assert _calls(venue, "91.09") == []  # 1.30: above the level, not clear of it
    assert _calls(venue, "91.0") == []
    assert _calls(venue, "91.2") == ["warning"]  # 1.40: clear of the call, still below 1.5
    assert _calls(venue, "91.0") == ["margin_call"]
    assert _calls(venue, "95") == ["none"]
    assert _calls(venue, "91.2") == ["warning"]


def test_a_deposit_that_lifts_a_pool_clear_ends_the_call() -> None:
    venue = _venue()
    venue.marks(X="91")
    assert [event.level for event in of_kind(venue.deposit("ann", "200"), MarginCalled)] == ["none"]


def test_a_call_says_what_a_person_needs_to_know() -> None:
    venue = _venue()
    (call,) = of_kind(venue.marks(X="91"), MarginCalled)
    balance, required = Decimal(1000 - 99 * 9), Decimal("0.99") * 91  # 109 and 90.09
    assert [call.margin_balance, call.liquidation_requirement, call.shortfall] == [balance, required, 0]
    assert call.deposit == Decimal("1.25") * required - balance
    assert call.health is not None
    assert abs(call.health - balance / required) < Decimal("1e-15")


@pytest.mark.parametrize("less", ["0", "0.01"])
def test_the_deposit_of_a_call_brings_health_back_and_a_cent_less_does_not(less: str) -> None:
    venue = _venue()
    (call,) = of_kind(venue.marks(X="91"), MarginCalled)
    venue.deposit("ann", str(call.deposit - Decimal(less)))
    (pool,) = [one for one in venue.state.pools("ann") if one.positions]
    from ringfence.margin.assess import assess

    assessment = assess(pool, venue.state.marks, venue.state.rulebook)
    level = Decimal("1.25") * (assessment.liquidation_requirement or 0)
    assert ((assessment.balance_held_against or 0) >= level) is (less == "0")


def test_closing_the_share_that_a_call_names_brings_health_back() -> None:
    venue = _venue()
    (call,) = of_kind(venue.marks(X="91"), MarginCalled)
    assert call.reduction is not None
    assert 0 < call.reduction < 1
    closed = (99 * call.reduction).quantize(Decimal("0.01"), "ROUND_CEILING")
    venue.sell("ann", str(closed), reduce_only=True)
    (pool,) = [one for one in venue.state.pools("ann") if one.positions]
    from ringfence.margin.assess import assess

    assessment = assess(pool, venue.state.marks, venue.state.rulebook)
    assert (assessment.balance_held_against or 0) >= Decimal("1.25") * (assessment.liquidation_requirement or 0)


def test_every_pool_is_called_on_its_own() -> None:
    venue = _venue("2000")
    venue.leverage("ann", "10", "Y")
    venue.isolate("ann", "Y")
    venue.marks(Y="100")
    venue.buy("ann", "50", "Y")
    (call,) = of_kind(venue.marks(Y="91"), MarginCalled)
    assert call.pool == "isolated Y long"


def test_a_healthy_review_leaves_no_trace() -> None:
    venue = _venue()
    sequence = venue.state.sequence
    assert venue.do(asked.Review) == ()
    assert venue.state.sequence == sequence


def test_traders_that_are_proved_healthy_need_no_look() -> None:
    """Leaving out whoever is healthy gives the same events."""
    from ringfence.engine.decide import handle

    venues = [_venue(), _venue()]
    for venue in venues:
        venue.trader("bob", "100000")
        venue.buy("bob", "10")
    command = asked.UpdatePrices("p", venues[0].at + 1, (("X", Decimal(91)),))
    everyone = handle(venues[0].state, command)
    suspects = handle(venues[1].state, command, ["ann"])
    assert everyone == suspects
    assert venues[0].state.digest() == venues[1].state.digest()


def test_a_pool_without_a_known_requirement_is_never_liquidated() -> None:
    from dataclasses import replace

    from tests.unit.engine.small_venue import LINEAR, TIERS

    book = rules()
    venue = SmallVenue(replace(book, tables={"X": (LINEAR, None), "Y": (replace(LINEAR, symbol="Y"), TIERS)}))
    venue.marks(X="100")
    venue.trader("ann")
    venue.buy("ann", "99")
    assert of_kind(venue.marks(X="50"), LiquidationStarted) == []
