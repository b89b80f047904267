"""Orders from placing to filling: what is refused, every type and time in force, triggers, reduce-only, amending."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.events import OrderAmended, OrderClosed, OrderDone, OrderRested, Traded
from ringfence.engine.setup import Fees, Market
from tests.unit.engine.small_venue import SmallVenue, of_kind, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.events import Event

NOBODY = Market(
    Decimal(1) / 2, Decimal(0), Decimal(10) ** 9, 1
)  #: the tape's market is far away: traders among themselves


def _venue(*traders: str, market: Market | None = None, **more: Any) -> SmallVenue:
    venue = SmallVenue(market=market, **more) if market is not None else SmallVenue(**more)
    venue.marks(X="100", Y="50")
    for name in traders or ("ann", "bob"):
        venue.trader(name)
    return venue


# ── Refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────

REFUSED: list[tuple[str, Callable[[SmallVenue], tuple[Event, ...]]]] = [
    ("unknown_choice", lambda v: v.do(asked.PlaceOrder, "ann", "o", "X", "hold", Decimal(1), "market")),
    ("unknown_choice", lambda v: v.buy("ann", "1", type="iceberg", price="100")),
    ("unknown_choice", lambda v: v.buy("ann", "1", price="100", time_in_force="GTX")),
    ("unknown_choice", lambda v: v.buy("ann", "1", price="100", trigger_by="index")),
    ("unknown_symbol", lambda v: v.buy("ann", "1", "Z", price="100")),
    ("no_price", lambda v: v.buy("ann", "1", "I", price="100")),
    ("bad_order", lambda v: v.order("ann", "buy", None, "X", price="100")),
    ("bad_order", lambda v: v.buy("ann", "1", type="stop_market", trigger_price="110", close_position=True)),
    ("not_positive", lambda v: v.buy("ann", "0", price="100")),
    ("bad_order", lambda v: v.buy("ann", "1", type="limit")),
    ("bad_order", lambda v: v.buy("ann", "1", price="0")),
    ("bad_order", lambda v: v.buy("ann", "1", type="market", price="100")),
    ("bad_order", lambda v: v.buy("ann", "1", type="market", time_in_force="post_only")),
    ("bad_order", lambda v: v.buy("ann", "1", price="100", trigger_price="110")),
    ("bad_order", lambda v: v.buy("ann", "1", type="stop_market")),
    ("bad_order", lambda v: v.buy("ann", "1", type="stop_market", trigger_price="0")),
    ("bad_order", lambda v: v.buy("ann", "1", type="stop_market", trigger_price="90")),  # reached already
    ("bad_order", lambda v: v.buy("ann", "1", price="100", position_side="long")),  # one-way
    ("quantity_step", lambda v: v.buy("ann", "1.005", price="100")),
    ("price_step", lambda v: v.buy("ann", "1", price="100.05")),
    ("minimum_notional", lambda v: v.buy("ann", "0.01", price="99")),
    ("reduce_only", lambda v: v.sell("ann", "1", reduce_only=True)),
    ("post_only_would_take", lambda v: v.buy("ann", "1", price="100", time_in_force="post_only")),
    ("insufficient_balance", lambda v: v.buy("ann", "102", price="99")),  # needs 1,009.80
    ("leverage_above_tier", lambda v: v.buy("ann", "600")),
    ("leverage_unknown", lambda v: v.buy("ann", "1", "Y", price="50")),
    ("insufficient_balance", lambda v: v.buy("poor", "1", price="100")),
    ("unknown_order", lambda v: v.do(asked.CancelOrder, "ann", "nothing")),
    ("unknown_order", lambda v: v.do(asked.AmendOrder, "ann", "nothing", Decimal(1))),
]


@pytest.mark.parametrize(("reason", "ask"), REFUSED, ids=[f"{reason}-{n}" for n, (reason, _) in enumerate(REFUSED)])
def test_a_refused_order_leaves_nothing_behind(reason: str, ask: Callable[[SmallVenue], tuple[Event, ...]]) -> None:
    venue = _venue()
    venue.leverage("ann", "20") if reason == "leverage_above_tier" else None
    venue.deposit("ann", "100000") if reason == "leverage_above_tier" else None
    before = venue.wallet("ann")
    assert refusal(ask(venue)) == reason
    assert [venue.orders("ann"), venue.held("ann"), venue.wallet("ann")] == [[], 0, before]


def test_an_order_name_is_used_once_while_it_is_open() -> None:
    venue = _venue()
    venue.buy("ann", "1", price="90", order="mine")
    assert refusal(venue.buy("ann", "1", price="91", order="mine")) == "duplicate_order"
    assert refusal(venue.buy("bob", "1", price="91", order="mine")) is None  # another's name is his own


def test_a_market_order_is_filled_as_far_as_the_market_goes() -> None:
    one = Market(Decimal(0), Decimal(0), Decimal(100), 1)  # a single contract at 100 is all there is
    venue = _venue(market=one)
    (done,) = of_kind(venue.buy("ann", "5"), OrderDone)
    assert [done.filled, done.unfilled, venue.held("ann")] == [1, 4, 1]


# ── Types and times in force ──────────────────────────────────────────────────────────────────────────────────────


def test_a_market_order_fills_at_once_and_pays_the_taker_fee() -> None:
    venue = _venue(fees=Fees(Decimal("0.0002"), Decimal("0.0005"), Decimal(0)))
    events = venue.buy("ann", "2")
    (trade,) = of_kind(events, Traded)
    assert [trade.price, trade.quantity] == [100, 2]
    (done,) = of_kind(events, OrderDone)
    assert [done.filled, done.unfilled] == [2, 0]
    assert venue.wallet("ann") == 1000 - 200 * Decimal("0.0005")
    assert venue.ledger("fees") == 200 * Decimal("0.0005")


def test_a_limit_order_rests_until_the_tape_goes_through_it_and_pays_the_maker_fee() -> None:
    venue = _venue(fees=Fees(Decimal("0.0002"), Decimal("0.0005"), Decimal(0)))
    (rested,) = of_kind(venue.buy("ann", "2", price="95"), OrderRested)
    assert [rested.price, rested.quantity] == [95, 2]
    venue.marks(X="96")
    assert venue.held("ann") == 0
    events = venue.marks(X="94")
    assert [trade.price for trade in of_kind(events, Traded)] == [95]
    assert [closed.reason for closed in of_kind(events, OrderClosed)] == ["filled"]
    assert venue.wallet("ann") == 1000 - 2 * 95 * Decimal("0.0002")


def test_traders_trade_with_each_other_at_the_makers_price() -> None:
    venue = _venue(market=NOBODY)
    venue.sell("ann", "2", price="101")
    (trade,) = of_kind(venue.buy("bob", "2", price="105"), Traded)
    assert [trade.price, trade.buyer, trade.seller, trade.maker] == [101, "bob", "ann", "ann"]
    assert [venue.held("ann"), venue.held("bob")] == [-2, 2]


@pytest.mark.parametrize(
    ("time_in_force", "held", "rests", "done"),
    [
        ("GTC", 2, ["big"], []),
        ("IOC", 2, [], [[2, 1]]),
        ("FOK", 0, [], []),
    ],
)
def test_what_becomes_of_an_order_that_is_larger_than_the_book(
    time_in_force: str, held: int, rests: list[str], done: list[list[int]]
) -> None:
    venue = _venue(market=NOBODY)
    venue.sell("ann", "2", price="101")
    events = venue.buy("bob", "3", price="101", time_in_force=time_in_force, order="big")
    assert venue.held("bob") == held
    assert venue.orders("bob") == rests
    assert [[event.filled, event.unfilled] for event in of_kind(events, OrderDone)] == done
    assert refusal(events[:1]) == ("fill_or_kill" if time_in_force == "FOK" else None)


def test_a_fill_or_kill_order_that_fits_is_filled() -> None:
    venue = _venue(market=NOBODY)
    venue.sell("ann", "2", price="101")
    venue.buy("bob", "2", price="101", time_in_force="FOK")
    assert venue.held("bob") == 2


def test_a_post_only_order_rests_where_it_does_not_take() -> None:
    venue = _venue(market=NOBODY)
    venue.sell("ann", "2", price="101")
    assert refusal(venue.buy("bob", "1", price="101", time_in_force="post_only")) == "post_only_would_take"
    assert refusal(venue.buy("bob", "1", price="100.9", time_in_force="post_only", order="mine")) is None
    assert venue.orders("bob") == ["mine"]


def test_nobody_trades_with_himself() -> None:
    venue = _venue(market=NOBODY)
    venue.sell("ann", "2", price="101", order="old")
    events = venue.buy("ann", "2", price="101", order="new")
    assert of_kind(events, Traded) == []
    assert venue.orders("ann") == ["old"]


def test_other_self_trade_rules_are_a_choice_of_the_set_up() -> None:
    venue = _venue(market=NOBODY, self_trade="cancel_maker")
    venue.sell("ann", "2", price="101", order="old")
    venue.buy("ann", "2", price="101", order="new")
    assert venue.orders("ann") == ["new"]


# ── Margin of orders ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_resting_order_ties_up_its_margin_and_cancelling_frees_it() -> None:
    venue = _venue()
    venue.buy("ann", "100", price="90", order="large")  # 900 of 1,000
    assert refusal(venue.buy("ann", "20", price="90")) == "insufficient_balance"
    (closed,) = of_kind(venue.do(asked.CancelOrder, "ann", "large"), OrderClosed)
    assert closed.reason == "cancelled"
    assert refusal(venue.buy("ann", "20", price="90")) is None


def test_an_order_that_fills_at_once_must_pay_its_fee_too() -> None:
    venue = _venue(fees=Fees(Decimal(0), Decimal("0.01"), Decimal(0)))
    assert refusal(venue.buy("ann", "95")) == "insufficient_balance"  # 950 of margin and 95 of fee
    assert refusal(venue.buy("ann", "90")) is None  # 900 and 90


def test_cancelling_all_can_be_of_one_symbol() -> None:
    venue = _venue()
    venue.leverage("ann", "10", "Y")
    venue.buy("ann", "1", price="90", order="x")
    venue.buy("ann", "1", "Y", price="40", order="y")
    venue.do(asked.CancelAllOrders, "ann", "X")
    assert venue.orders("ann") == ["y"]
    venue.do(asked.CancelAllOrders, "ann")
    assert venue.orders("ann") == []


# ── Triggers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("type_", "trigger", "quiet", "fires"),
    [
        ("stop_market", "95", "95.1", "95"),
        ("stop_market", "95", "96", "80"),  # a gap through it
        ("take_profit_market", "110", "109.9", "110"),
        ("stop_limit", "95", "95.1", "95"),
        ("take_profit_limit", "110", "109.9", "112"),
    ],
)
def test_a_long_is_closed_when_the_mark_reaches_its_trigger(type_: str, trigger: str, quiet: str, fires: str) -> None:
    venue = _venue()
    venue.buy("ann", "1")
    limit = {"price": "70"} if type_.endswith("limit") else {}
    venue.sell("ann", "1", type=type_, trigger_price=trigger, reduce_only=True, order="exit", **limit)
    venue.marks(X=quiet)
    assert [venue.held("ann"), venue.orders("ann")] == [1, ["exit"]]
    events = venue.marks(X=fires)
    assert [event.reason for event in of_kind(events, OrderClosed)][:1] == ["triggered"]
    assert [venue.held("ann"), venue.orders("ann")] == [0, []]
    assert venue.wallet("ann") == 1000 + Decimal(fires) - 100


def test_a_trigger_by_last_does_not_look_at_the_mark() -> None:
    venue = _venue()
    venue.last(X="100")
    venue.buy("ann", "1")
    venue.sell("ann", "1", type="stop_market", trigger_price="95", trigger_by="last", reduce_only=True)
    venue.marks(X="90")
    assert venue.held("ann") == 1
    venue.last(X="94")
    assert venue.held("ann") == 0


def test_a_stop_can_open_a_position() -> None:
    venue = _venue()
    venue.buy("ann", "1", type="stop_market", trigger_price="105")
    venue.marks(X="106")
    assert venue.held("ann") == 1


def test_close_position_closes_what_there_is_when_it_fires() -> None:
    venue = _venue()
    venue.buy("ann", "1")
    venue.order("ann", "sell", None, "X", type="stop_market", trigger_price="95", close_position=True)
    venue.buy("ann", "2")
    venue.marks(X="95")
    assert venue.held("ann") == 0


def test_close_position_with_nothing_to_close_is_done() -> None:
    venue = _venue()
    venue.order("ann", "sell", None, "X", type="stop_market", trigger_price="95", close_position=True)
    (done,) = of_kind(venue.marks(X="94"), OrderDone)
    assert [done.filled, done.reason] == [0, "nothing_to_close"]


# ── Reduce-only ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reduce_only_order_is_cut_to_the_position_and_never_turns_it() -> None:
    venue = _venue()
    venue.buy("ann", "2")
    (trade,) = of_kind(venue.sell("ann", "5", reduce_only=True), Traded)
    assert [trade.quantity, venue.held("ann")] == [2, 0]


def test_resting_reduce_only_orders_shrink_with_the_position_and_go_with_it() -> None:
    venue = _venue()
    venue.buy("ann", "4")
    venue.sell("ann", "4", price="120", reduce_only=True, order="exit")
    (amended,) = of_kind(venue.sell("ann", "3"), OrderAmended)
    assert [amended.order, amended.quantity, amended.keeps_priority] == ["exit", 1, True]
    closed = of_kind(venue.sell("ann", "1"), OrderClosed)
    assert [(event.order, event.reason) for event in closed] == [("exit", "reduce_only")]


def test_reduce_only_orders_need_no_margin() -> None:
    venue = _venue()
    venue.buy("ann", "100")  # everything is tied up
    assert refusal(venue.sell("ann", "100", price="120", reduce_only=True)) is None


# ── Hedge mode ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_in_hedge_mode_both_legs_are_held_and_closed_each_by_its_side() -> None:
    venue = _venue()
    venue.hedge("ann")
    venue.buy("ann", "3", position_side="long")
    venue.sell("ann", "2", position_side="short")
    assert [venue.held("ann", leg="long"), venue.held("ann", leg="short")] == [3, -2]
    venue.sell("ann", "1", position_side="long")
    venue.buy("ann", "2", position_side="short")
    assert [venue.held("ann", leg="long"), venue.held("ann", leg="short")] == [2, 0]


def test_in_hedge_mode_an_order_against_its_leg_only_reduces() -> None:
    venue = _venue()
    venue.hedge("ann")
    venue.buy("ann", "1", position_side="long")
    venue.sell("ann", "5", position_side="long")
    assert [venue.held("ann", leg="long"), venue.held("ann", leg="short")] == [0, 0]
    assert refusal(venue.sell("ann", "1", position_side="long")) == "reduce_only"


# ── Amending ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _amend(venue: SmallVenue, order: str, price: str | None = None, quantity: str | None = None) -> tuple[Event, ...]:
    return venue.do(
        asked.AmendOrder, "ann", order, None if price is None else Decimal(price),
        None if quantity is None else Decimal(quantity),
    )  # fmt: skip


def test_an_order_that_only_shrinks_keeps_its_place_and_another_price_loses_it() -> None:
    venue = _venue()
    venue.buy("ann", "2", price="90", order="mine")
    (smaller,) = of_kind(_amend(venue, "mine", quantity="1"), OrderAmended)
    (moved,) = of_kind(_amend(venue, "mine", price="91"), OrderAmended)
    assert [smaller.keeps_priority, moved.keeps_priority] == [True, False]
    assert [moved.price, moved.quantity] == [91, 1]


def test_an_amended_order_may_not_take_and_must_be_affordable() -> None:
    venue = _venue()
    venue.buy("ann", "100", price="90", order="mine")
    assert refusal(_amend(venue, "mine", price="100")) == "post_only_would_take"
    assert refusal(_amend(venue, "mine", quantity="120")) == "insufficient_balance"
    assert refusal(_amend(venue, "mine", quantity="110")) is None  # 990


@pytest.mark.parametrize(
    ("price", "quantity", "reason"),
    [("0", None, "not_positive"), (None, "0", "not_positive"), ("90.05", None, "price_step"),
     (None, "1.005", "quantity_step")],
)  # fmt: skip
def test_an_amendment_is_held_to_the_contract(price: str | None, quantity: str | None, reason: str) -> None:
    venue = _venue()
    venue.buy("ann", "2", price="90", order="mine")
    assert refusal(_amend(venue, "mine", price, quantity)) == reason


def test_a_waiting_order_is_not_amended() -> None:
    venue = _venue()
    venue.buy("ann", "1", type="stop_market", trigger_price="110", order="mine")
    assert refusal(_amend(venue, "mine", price="90")) == "not_amendable"
