"""Automatic margin replenishment, by each venue's rule; Bybit's published example: tests/scenarios."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.events import LiquidationStarted, MoneyMoved, OrderClosed
from tests.unit.engine.small_venue import SmallVenue, of_kind, rules


def _venue(policy: str, *, deposit: str = "1000", amount: str | None = None, on: bool = True) -> SmallVenue:
    """Bob is long 20 at 100 in isolated margin of 200; liquidated at about 90.9."""
    venue = SmallVenue(rules(replenishment=policy), fund="10000")
    venue.marks(X="100", Y="100")
    venue.trader("bob", deposit)
    venue.isolate("bob")
    venue.buy("bob", "20")
    if on:
        given = None if amount is None else Decimal(amount)
        venue.do(asked.SetReplenishment, "bob", "X", "on", given)
    return venue


def _added(events: tuple[Any, ...]) -> list[Decimal]:
    return [event.postings[-1].amount for event in of_kind(events, MoneyMoved) if event.cause == "replenishment"]


@pytest.mark.parametrize(
    ("policy", "amount", "added"),
    [
        ("one_initial", None, 180),  # the initial margin at the mark of 90
        ("to_initial", None, 180 - 0),  # nothing is left of 200: all of it is missing
        ("user_amount", "37", 37),
        ("user_amount", None, 180),
    ],
)
def test_how_much_is_added(policy: str, amount: str | None, added: int) -> None:
    venue = _venue(policy, amount=amount)
    events = venue.marks(X="90")
    assert _added(events) == [added]
    assert [venue.wallet("bob"), venue.margin("bob")] == [800 - added, 200 + added]
    assert of_kind(events, LiquidationStarted) == []


def test_as_many_initial_margins_as_it_takes() -> None:
    venue = _venue("one_initial", deposit="5000")
    # at 60 the margin is 600 under water and 12 are asked for: 612 ÷ 120 is six at a time
    assert _added(venue.marks(X="60")) == [6 * 120]


def test_no_more_than_is_free() -> None:
    venue = _venue("one_initial", deposit="250")
    assert _added(venue.marks(X="90.5")) == [50]


def test_what_other_positions_tie_up_is_not_free() -> None:
    venue = _venue("one_initial", deposit="300")
    venue.leverage("bob", "10", "Y")
    venue.buy("bob", "8", "Y")
    assert _added(venue.marks(X="90.5")) == [100 - 80]


def test_never_beyond_a_leverage_of_one() -> None:
    venue = _venue("user_amount", deposit="9000", amount="5000")
    (added,) = _added(venue.marks(X="90"))
    assert added == 20 * 90 - 200  # the position's value


def test_nothing_is_added_where_it_is_off_or_the_venue_has_none() -> None:
    assert _added(_venue("one_initial", on=False).marks(X="90")) == []
    off = _venue("one_initial")
    off.do(asked.SetReplenishment, "bob", "X", "off")
    assert _added(off.marks(X="90")) == []
    assert off.held("bob") == 0


def test_too_little_does_not_save_it_and_is_lost_with_it() -> None:
    venue = _venue("user_amount", amount="1")
    events = venue.marks(X="90")
    assert _added(events) == [1]
    assert of_kind(events, LiquidationStarted) != []
    assert venue.wallet("bob") == 800 - 1


def test_a_users_amount_comes_after_the_symbols_orders_are_cancelled() -> None:
    venue = _venue("user_amount", deposit="300", amount="90")
    venue.buy("bob", "5", price="80", order="low")  # ties up 40 of the 100
    events = venue.marks(X="90")
    assert [event.reason for event in of_kind(events, OrderClosed)] == ["replenishment"]
    assert _added(events) == [90]


def test_bonus_is_not_added() -> None:
    venue = _venue("one_initial", deposit="200")
    venue.bonus("bob", "500")
    assert _added(venue.marks(X="90")) == []
