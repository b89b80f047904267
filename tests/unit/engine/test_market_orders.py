"""How far a market order may go from the mark, and what becomes of the rest of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.engine import commands as asked
from ringfence.engine.events import OrderDone, OrderRested, Traded
from ringfence.engine.setup import Market
from tests.unit.engine.small_venue import LINEAR, NO_FEES, TIERS, SmallVenue, of_kind, refusal, rules

if TYPE_CHECKING:
    from ringfence.engine.events import Event

D = Decimal
# 10 contracts at 100, 101, 102, … and at 100, 99, 98, …; a market order goes 5 % from the mark.
LADDER = Market(D(0), D("0.01"), D(1_000), 100, take_bound=D("0.05"))


def venue(market: Market = LADDER, **more: Any) -> SmallVenue:
    """Ann with plenty of money at a mark of 100."""
    found = SmallVenue(market=market, fees=NO_FEES, **more)
    found.marks(X="100")
    found.trader("ann", "100000")
    return found


def done(events: tuple[Event, ...]) -> tuple[Decimal, Decimal, str]:
    """How much was filled, how much was not, and why."""
    (event,) = of_kind(events, OrderDone)
    return event.filled, event.unfilled, event.reason


def test_the_rest_of_a_market_order_is_cancelled_at_the_bound_and_says_so() -> None:
    events = venue().buy("ann", "100")
    assert [trade.price for trade in of_kind(events, Traded)] == [100, 101, 102, 103, 104, 105]
    assert done(events) == (D(60), D(40), "worst_price")
    events = venue().sell("ann", "100")
    assert [trade.price for trade in of_kind(events, Traded)] == [100, 99, 98, 97, 96, 95]
    assert done(events) == (D(60), D(40), "worst_price")


def test_the_bound_is_counted_from_the_mark_and_not_from_the_last_price() -> None:
    here = venue()
    here.last(X="103")  # the market stands there: 103, 104.03 …
    events = here.buy("ann", "100")
    assert [trade.price for trade in of_kind(events, Traded)] == [D(103), D("104.1")]
    assert done(events) == (D("19.4"), D("80.6"), "worst_price")  # 1,000 ÷ 103 = 9.70 contracts a level


def test_a_market_that_stands_beyond_the_bound_fills_nothing() -> None:
    here = venue()
    here.last(X="106")
    assert done(here.buy("ann", "1")) == (D(0), D(1), "worst_price")
    assert here.held("ann") == 0


def test_a_contract_s_own_bound_comes_before_the_set_up_s() -> None:
    book = rules().with_tables({"X": (replace(LINEAR, market_take_bound=D("0.02")), TIERS)})
    assert done(venue(rulebook=book).buy("ann", "100")) == (D(30), D(70), "worst_price")


def test_without_a_bound_a_market_order_goes_as_far_as_there_is_somebody() -> None:
    assert done(venue(replace(LADDER, take_bound=None)).buy("ann", "100")) == (D(100), D(0), "filled")


def test_a_limit_order_goes_to_its_limit_whatever_the_bound() -> None:
    events = venue().buy("ann", "100", price="110")
    assert sum(trade.quantity for trade in of_kind(events, Traded)) == 100


def test_a_stop_market_order_is_bound_from_the_mark_that_sets_it_off() -> None:
    here = venue()
    here.buy("ann", "60")
    here.order("ann", "sell", "60", "X", type="stop_market", trigger_price="90")
    here.do(asked.UpdatePrices, (("X", D(80)),), (("X", D(77)),))
    assert here.held("ann") == 60 - D("12.98") - D("12.98")  # at 77 and 76.2; 75.4 is below 80 · 0.95


def test_what_is_not_filled_is_not_on_the_book() -> None:
    here = venue()
    events = here.buy("ann", "100")
    assert of_kind(events, OrderRested) == []
    assert here.orders("ann") == []


def test_resting_orders_beyond_the_bound_are_not_met_either() -> None:
    here = venue(Market(D(0), D("0.01"), D(1_000), 1))
    here.trader("bob", "100000")
    for price in ("104", "105", "105.1"):
        assert refusal(here.sell("bob", "1", price=price)) is None
    assert done(here.buy("ann", "20")) == (D(12), D(8), "worst_price")
