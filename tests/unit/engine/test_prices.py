"""Which prices are believed, and that nothing is decided on those that are not, or that are old."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.events import LiquidationStarted, PriceRejected, PricesChanged
from ringfence.engine.setup import PriceGuard
from tests.unit.engine.small_venue import SECOND, SmallVenue, of_kind

CAREFUL = PriceGuard(jump=Decimal("0.2"), from_index=Decimal("0.1"), stale_after=60 * SECOND)


def _venue(guard: PriceGuard = CAREFUL) -> SmallVenue:
    """Ann is long 99 at 100 with 1,000: liquidated at about 90.8."""
    venue = SmallVenue(guard=guard, fund="100000")
    venue.marks(X="100")
    venue.trader("ann")
    venue.buy("ann", "99")
    return venue


def _rejected(venue: SmallVenue, price: str, index: str | None = None) -> list[str]:
    indices = () if index is None else (("X", Decimal(index)),)
    events = venue.do(asked.UpdatePrices, (("X", Decimal(price)),), (), indices)
    assert of_kind(events, LiquidationStarted) == []
    return [event.reason for event in of_kind(events, PriceRejected)]


@pytest.mark.parametrize("price", ["0", "-5", "NaN", "Infinity"])
def test_what_is_no_price_is_rejected_and_nothing_happens(price: str) -> None:
    venue = _venue()
    assert _rejected(venue, price) == ["not_positive"]
    assert [venue.state.marks["X"], venue.held("ann")] == [100, 99]


def test_a_jump_beyond_the_guard_is_a_bad_tick_and_liquidates_nobody() -> None:
    venue = _venue()
    assert _rejected(venue, "79.9") == ["jump"]
    assert venue.held("ann") == 99
    assert _rejected(venue, "120.1") == ["jump"]


def test_a_jump_to_the_very_limit_is_believed() -> None:
    venue = _venue()
    events = venue.marks(X="80")
    assert of_kind(events, LiquidationStarted) != []


def test_a_mark_away_from_the_index_liquidates_nobody() -> None:
    venue = _venue()
    assert _rejected(venue, "89.9", "100") == ["away_from_index"]
    assert venue.held("ann") == 99


def test_a_mark_near_its_index_is_believed_even_where_both_fell() -> None:
    venue = _venue()
    events = venue.do(asked.UpdatePrices, (("X", Decimal(85)),), (), (("X", Decimal(86)),))
    assert of_kind(events, LiquidationStarted) != []


def test_the_index_of_before_counts_while_no_new_one_comes() -> None:
    venue = _venue()
    venue.do(asked.UpdatePrices, (), (), (("X", Decimal(100)),))
    assert _rejected(venue, "85") == ["away_from_index"]


def test_a_symbol_can_have_a_bound_of_its_own() -> None:
    venue = _venue(PriceGuard(jump=Decimal("0.05"), from_index=None, by_symbol={"X": Decimal("0.3")}))
    assert _rejected(venue, "69") == ["jump"]
    assert of_kind(venue.marks(X="71"), PricesChanged) != []


def test_a_rejected_price_leaves_the_believed_ones_of_the_same_feed_alone() -> None:
    venue = _venue()
    venue.marks(Y="50")
    events = venue.marks(X="10", Y="51")
    assert [event.symbol for event in of_kind(events, PriceRejected)] == ["X"]
    assert [venue.state.marks["X"], venue.state.marks["Y"]] == [100, 51]


def test_nothing_is_liquidated_on_a_stale_mark() -> None:
    venue = _venue()
    venue.trader("bob", "1000", "10", "Y")
    venue.leverage("bob", "10")
    venue.marks(Y="100")
    venue.buy("bob", "99", "Y")
    venue.deposit("bob", "1000")
    venue.buy("bob", "99")  # bob holds X and Y in one pool
    venue.at += 61 * SECOND
    events = venue.marks(Y="82")  # X is a minute old
    assert of_kind(events, LiquidationStarted) == []
    events = venue.marks(X="82")
    assert {event.account for event in of_kind(events, LiquidationStarted)} == {"ann", "bob"}


def test_a_review_looks_again_at_the_prices_there_are_and_not_at_stale_ones() -> None:
    venue = _venue()
    assert venue.do(asked.Review) == ()
    venue.at += 61 * SECOND
    assert venue.do(asked.Review) == ()


def test_after_a_restart_a_fresh_mark_is_needed_first() -> None:
    venue = _venue()
    venue.do(asked.Resume)
    venue.do(asked.SettleFunding, "X", Decimal("0.099"))  # 980 of 1,000 are gone: liquidatable, were the mark fresh
    assert venue.held("ann") == 99
    events = venue.marks(X="100")
    assert of_kind(events, LiquidationStarted) != []


def test_the_same_price_again_is_no_news_to_anybody_but_is_fresh() -> None:
    venue = _venue()
    venue.at += 59 * SECOND
    venue.marks(X="100")
    venue.at += 59 * SECOND
    venue.do(asked.SettleFunding, "X", Decimal("0.099"))
    assert venue.held("ann") == 0


def test_last_and_index_alone_move_no_margin() -> None:
    venue = _venue()
    events = venue.do(asked.UpdatePrices, (), (("X", Decimal(95)),), (("X", Decimal(95)),))
    assert of_kind(events, LiquidationStarted) == []
    assert [venue.state.last["X"], venue.state.index["X"], venue.state.marks["X"]] == [95, 95, 100]
