"""Positions that were opened elsewhere, taken over at their entry price, without a fee, held to where they fit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.events import LiquidationStarted, MarginCalled, SettingChanged, Traded
from ringfence.engine.setup import Fees
from ringfence.engine.state import HOUSE
from ringfence.margin.refusal import REASONS
from tests.unit.engine.small_venue import SmallVenue, of_kind, refusal, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.events import Event

D = Decimal


def adopt(
    venue: SmallVenue, side: str = "long", quantity: str = "10", price: str = "100", **more: str
) -> tuple[Event, ...]:
    """Let ann's position of X be adopted."""
    symbol, account = more.pop("symbol", "X"), more.pop("account", "ann")
    leverage, mode = D(more.pop("leverage", "10")), more.pop("mode", "cross")
    return venue.do(asked.AdoptPosition, account, symbol, side, D(quantity), D(price), leverage, mode)


def with_money(amount: str = "1000", **more: object) -> SmallVenue:
    venue = SmallVenue(rules(), **more)  # type: ignore[arg-type]
    venue.deposit("ann", amount)
    return venue


def test_a_cross_position_is_held_at_its_entry_price_and_costs_no_fee_before_there_is_any_price() -> None:
    venue = with_money(fees=Fees(D("0.1"), D("0.1"), D(0)))
    events = adopt(venue)
    (trade,) = of_kind(events, Traded)
    assert (trade.cause, trade.buyer, trade.seller, trade.buyer_entry_value) == ("adoption", "ann", HOUSE, D(10 * 100))
    assert [(one.setting, one.value) for one in of_kind(events, SettingChanged)] == [("leverage", "10")]
    assert (venue.wallet("ann"), venue.ledger("fees")) == (D(1000), D(0))
    assert (venue.held("ann"), venue.held(HOUSE)) == (D(10), D(-10))


def test_an_isolated_short_takes_its_entry_notional_by_its_leverage_from_the_wallet() -> None:
    venue = with_money()
    events = adopt(venue, "short", "30", "100", leverage="8", mode="isolated")
    assert [one.setting for one in of_kind(events, SettingChanged)] == ["leverage", "margin_mode"]
    assert venue.margin("ann") == D(30 * 100) / 8
    assert venue.wallet("ann") == 1000 - D(30 * 100) / 8
    assert venue.held("ann") == -30


def test_exactly_what_the_wallet_has_is_enough_and_a_cent_more_is_not() -> None:
    assert refusal(adopt(with_money("100"), mode="isolated")) is None
    assert refusal(adopt(with_money("99.99"), mode="isolated")) == "insufficient_balance"


def test_both_legs_of_a_hedge_are_adopted_each_in_its_own_margin() -> None:
    venue = with_money()
    venue.hedge("ann")
    adopt(venue, "long", "10", "100", mode="isolated")
    adopt(venue, "short", "20", "110", leverage="20", mode="isolated")
    assert (venue.held("ann", leg="long"), venue.held("ann", leg="short")) == (D(10), D(-20))
    assert venue.margin("ann", leg="long") == D(10 * 100) / 10
    assert venue.margin("ann", leg="short") == D(20 * 110) / 20


def test_an_inverse_position_is_entered_at_minus_its_size_by_its_price() -> None:
    venue = SmallVenue(rules())
    venue.deposit("ann", "1", "BTC")
    (trade,) = of_kind(adopt(venue, "long", "8", "40000", symbol="I", leverage="5", mode="isolated"), Traded)
    assert trade.buyer_entry_value == -D(8 * 100) / 40_000
    assert venue.ledger("isolated:ann:I:net", "BTC") == D(8 * 100) / 40_000 / 5


def test_a_position_that_is_lost_at_the_marks_is_called_and_liquidated_at_once() -> None:
    venue = with_money("100")
    venue.marks(X="100")
    adopt(venue, "long", "10", "100")
    assert not of_kind(adopt(with_money("100"), "long", "10", "100"), MarginCalled)
    venue = with_money("100")
    venue.marks(X="90.5")  # 100 + 10 · (90.5 − 100) = 5 for 905 · 0.01 = 9.05
    events = adopt(venue, "long", "10", "100")
    assert of_kind(events, MarginCalled)
    assert of_kind(events, LiquidationStarted)
    assert venue.held("ann") == 0


def held(venue: SmallVenue) -> SmallVenue:
    adopt(venue)
    return venue


def ordered(venue: SmallVenue) -> SmallVenue:
    venue.marks(X="100")
    venue.leverage("ann", "10")
    venue.buy("ann", "1", price="90")
    return venue


def hedged(venue: SmallVenue) -> SmallVenue:
    venue.hedge("ann")
    adopt(venue)
    return venue


REFUSED: list[tuple[str, Callable[[SmallVenue], tuple[Event, ...]]]] = [
    ("unknown_choice", lambda v: adopt(v, "up")),
    ("unknown_choice", lambda v: adopt(v, mode="portfolio")),
    ("not_positive", lambda v: adopt(v, quantity="0")),
    ("not_positive", lambda v: adopt(v, quantity="-1")),
    ("not_positive", lambda v: adopt(v, price="0")),
    ("not_positive", lambda v: adopt(v, price="NaN")),
    ("not_positive", lambda v: adopt(v, leverage="0.5")),
    ("not_positive", lambda v: adopt(v, leverage="Infinity")),
    ("unknown_symbol", lambda v: adopt(v, symbol="Z")),
    ("position_held", lambda v: adopt(held(v))),
    ("position_held", lambda v: adopt(held(v), "short")),  # one-way: one leg
    ("position_held", lambda v: adopt(hedged(v), "long")),
    ("margin_mode_with_position", lambda v: adopt(hedged(v), "short", mode="isolated")),
    ("margin_mode_with_orders", lambda v: adopt(ordered(v), mode="isolated")),
    ("leverage_above_tier", lambda v: adopt(v, leverage="51")),
    ("leverage_above_tier", lambda v: adopt(v, quantity="100.01", leverage="21")),  # 10,001: the second tier, 20
    ("insufficient_balance", lambda v: adopt(v, quantity="100.1", mode="isolated")),  # 10,010 ÷ 10 of 1,000
]


@pytest.mark.parametrize(("reason", "act"), REFUSED, ids=[f"{n}-{reason}" for n, (reason, _) in enumerate(REFUSED)])
def test_what_does_not_fit_is_refused_with_a_number_and_changes_nothing(
    reason: str, act: Callable[[SmallVenue], tuple[Event, ...]]
) -> None:
    venue = with_money()
    events = act(venue)
    assert refusal(events) == reason
    assert events[0].number == REASONS[reason]  # type: ignore[attr-defined]


def test_what_is_refused_leaves_leverage_mode_money_and_positions_as_they_were() -> None:
    venue = with_money()
    adopt(venue, quantity="1000", leverage="7", mode="isolated")
    trader = venue.state.trader("ann")
    assert not trader.leverage
    assert not trader.margin_mode
    assert not trader.held
    assert venue.wallet("ann") == 1000


def test_at_the_end_of_the_first_tier_its_leverage_still_holds() -> None:
    assert refusal(adopt(with_money("9999999"), quantity="99.99", leverage="50")) is None


UNPRICED: list[Callable[[SmallVenue], tuple[Event, ...]]] = [
    lambda v: v.buy("ann", "1", "Y"),
    lambda v: v.sell("ann", "1", "Y", price="101"),
    lambda v: v.leverage("ann", "5"),
    lambda v: v.do(asked.SetMarginMode, "ann", "X", "isolated"),
    lambda v: v.do(asked.AddIsolatedMargin, "ann", "X", "long", D(1)),
    lambda v: v.do(asked.RemoveIsolatedMargin, "ann", "X", "long", D(1)),
    lambda v: v.do(asked.Withdraw, "ann", "USDT", D(1)),
]


@pytest.mark.parametrize("act", UNPRICED, ids=range(len(UNPRICED)))
def test_as_long_as_a_position_has_no_mark_nothing_that_depends_on_margin_is_decided(
    act: Callable[[SmallVenue], tuple[Event, ...]],
) -> None:
    venue = with_money()
    venue.marks(Y="100")
    venue.leverage("ann", "10", "Y")
    adopt(venue)
    assert refusal(act(venue)) == "no_price"


def test_a_stop_that_is_set_off_while_another_position_has_no_mark_is_refused_and_stops_nothing_else() -> None:
    venue = with_money()
    venue.marks(Y="100")
    venue.leverage("ann", "10", "Y")
    venue.buy("ann", "1", "Y")
    venue.order("ann", "sell", "1", "Y", type="stop_market", trigger_price="95", order="stop")
    adopt(venue)
    events = venue.marks(Y="94")
    assert [event.kind for event in events] == ["prices_changed", "order_closed", "refused"]  # type: ignore[attr-defined]
    assert venue.held("ann", "Y") == 1


def test_whoever_has_a_position_without_a_mark_is_passed_over_when_others_are_deleveraged() -> None:
    venue = SmallVenue(rules())
    for name, side in (("win", "short"), ("lose", "long")):
        venue.deposit(name, "150")
        adopt(venue, side, "10", "100", account=name)
    adopt(venue, "long", "1", "100", symbol="Y", account="win")
    venue.marks(X="80")  # loses 200 of 150; the fund is empty and the market takes at 80
    assert venue.held("lose") == 0
    assert venue.held("win") == -10
