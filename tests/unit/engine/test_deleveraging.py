"""The fund and auto-deleveraging: who is closed, at what price, in which order, and who pays what nobody can."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ringfence.engine.deleveraging import rank_for_deleveraging
from ringfence.engine.events import InsuranceUsed, Traded
from tests.unit.engine.small_venue import SmallVenue, of_kind, rules


def _venue(*, fund: str = "0", shorts: tuple[tuple[str, str, str], ...] = (), **more: Any) -> SmallVenue:
    """Ann is long 50 at 100 in isolated margin of 500; others are short (name, deposit, quantity) at 100."""
    venue = SmallVenue(rules(sequence=("take_over",), **more), fund=fund)
    venue.marks(X="100")
    venue.trader("ann")
    venue.isolate("ann")
    for name, deposit, quantity in shorts:
        venue.trader(name, deposit)
        venue.sell(name, quantity)
    venue.buy("ann", "50")
    return venue


def _deleveraged(events: tuple[Any, ...]) -> list[str]:
    found = [trade for trade in of_kind(events, Traded) if trade.cause == "auto_deleveraging"]
    return [f"{trade.buyer} {trade.quantity} at {trade.price.normalize():f}" for trade in found]


def test_a_fund_that_can_pay_deleverages_nobody() -> None:
    venue = _venue(fund="500", shorts=(("bob", "2000", "50"),))
    events = venue.marks(X="80")  # bankrupt at 90: the fund loses 500
    assert _deleveraged(events) == []
    assert [venue.ledger("insurance"), venue.held("bob")] == [0, -50]


def test_a_fund_that_can_pay_for_a_part_sells_none_of_what_it_cannot_afford() -> None:
    venue = _venue(fund="499", shorts=(("bob", "2000", "50"),))
    events = venue.marks(X="80")
    assert _deleveraged(events) == ["bob 50 at 90"]
    assert venue.ledger("insurance") == 499
    assert venue.wallet("bob") == 2000 + 50 * 10


def test_the_most_profitable_and_most_leveraged_come_first_and_only_as_far_as_needed() -> None:
    shorts = (("rich", "9000", "30"), ("poor", "400", "30"), ("late", "2000", "30"))
    events = _venue(shorts=shorts).marks(X="80")
    # all entered at 100: the same profit; leverage decides: poor 2,400 ÷ 1,000, late 2,400 ÷ 2,600, rich 2,400 ÷ 9,600
    assert _deleveraged(events) == ["poor 30 at 90", "late 20 at 90"]


def test_those_who_lost_come_after_those_who_won() -> None:
    venue = SmallVenue(rules(sequence=("take_over",)))
    venue.marks(X="70")
    venue.trader("loser", "9000")
    venue.sell("loser", "40")
    venue.marks(X="100")
    venue.trader("winner", "9000")
    venue.sell("winner", "30")
    venue.trader("ann")
    venue.isolate("ann")
    venue.buy("ann", "50")
    assert _deleveraged(venue.marks(X="80")) == ["winner 30 at 90", "loser 20 at 90"]


def test_nobody_of_the_same_side_is_ever_deleveraged() -> None:
    venue = _venue(shorts=(("bob", "2000", "10"),))
    venue.trader("cy", "9000")
    venue.buy("cy", "20")
    events = venue.marks(X="80")
    assert all(not line.startswith("cy") for line in _deleveraged(events))
    assert venue.held("cy") == 20


def test_the_tapes_market_comes_last() -> None:
    events = _venue(shorts=(("bob", "2000", "10"),)).marks(X="80")
    assert _deleveraged(events) == ["bob 10 at 90", "@market 40 at 90"]


def test_both_legs_of_a_hedger_can_meet_his_own_bankruptcy() -> None:
    venue = SmallVenue(rules(sequence=("take_over",)))
    venue.marks(X="100")
    venue.trader("ann", "1000")
    venue.hedge("ann")
    venue.isolate("ann")
    venue.buy("ann", "50", position_side="long")
    venue.sell("ann", "10", position_side="short")
    events = venue.marks(X="80")
    assert _deleveraged(events)[:1] == ["ann 10 at 90"]


@pytest.mark.parametrize(("rank", "first"), [("leverage", "wide"), ("margin_ratio", "steep")])
def test_the_rank_is_the_venues_choice(rank: str, first: str) -> None:
    """Wide is more leveraged over two symbols; steep stands in a tier that asks for more."""
    venue = SmallVenue(rules(deleveraging_rank=rank))
    venue.marks(X="100", Y="100")
    venue.trader("wide", "2000")
    venue.leverage("wide", "10", "Y")
    venue.sell("wide", "60")
    venue.buy("wide", "90", "Y")
    venue.trader("steep", "30000")
    venue.sell("steep", "1000")
    venue.marks(X="90", Y="99")
    ranked = rank_for_deleveraging(venue.state, "X", opposite_of=Decimal(1))
    assert ranked[0] == (first, "net")


def test_a_trader_who_could_not_bear_the_price_is_passed_over() -> None:
    venue = SmallVenue(rules(sequence=("take_over",)))
    venue.marks(X="70")
    venue.trader("thin", "2500", "10")
    venue.sell("thin", "60")  # at 70
    venue.marks(X="100")  # 700 left of 2,500
    venue.trader("ann")
    venue.isolate("ann")
    venue.buy("ann", "50")
    venue.trader("bob", "9000")
    venue.sell("bob", "20")
    assert [name for name, _ in rank_for_deleveraging(venue.state, "X", opposite_of=Decimal(1))] == ["bob", "thin"]
    found = rank_for_deleveraging(venue.state, "X", opposite_of=Decimal(1), price=Decimal(112))
    assert [name for name, _ in found] == ["bob"]  # at 112 thin would owe 20


def test_what_nobody_who_won_holds_against_is_paid_by_the_venue() -> None:
    venue = SmallVenue(rules(sequence=("take_over",)))
    venue.marks(X="70")
    venue.trader("thin", "2500", "10")
    venue.sell("thin", "50")
    venue.marks(X="100")
    venue.trader("ann")
    venue.isolate("ann")
    venue.buy("ann", "50")  # the market is flat: ann against thin
    assert venue.held("@market") == 0
    events = venue.marks(X="40")
    paid = [event for event in of_kind(events, InsuranceUsed) if event.cause == "venue_pays"]
    assert paid == []  # thin gains and bears the price
    assert _deleveraged(events) == ["thin 50 at 90"]


# ── Funds by market ───────────────────────────────────────────────────────────────────────────────────────────────


def test_where_markets_have_funds_of_their_own_only_theirs_gains_and_pays() -> None:
    venue = _venue(fund="10000", insurance_fund="symbol", shorts=(("bob", "2000", "50"),))
    events = venue.marks(X="92")  # bankrupt at 90: the fund of X gains 100
    assert _deleveraged(events) == []
    assert [venue.ledger("insurance:X"), venue.ledger("insurance")] == [0, 10000]  # no breach yet: 100 of 46
    events = venue.marks(X="90.5")
    assert venue.ledger("insurance:X") == 50 * Decimal("0.5")
    venue.trader("cy")
    venue.isolate("cy")
    venue.marks(X="100")
    venue.buy("cy", "50")
    events = venue.marks(X="80")  # 500 are missing, 25 are there; the venue's own fund is not touched
    assert _deleveraged(events) == ["bob 50 at 90"]
    assert [venue.ledger("insurance:X"), venue.ledger("insurance")] == [25, 10000]
