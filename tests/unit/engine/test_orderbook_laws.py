"""The laws of matching."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ringfence.engine.liquidity import Consumed, Liquidity
from ringfence.engine.orderbook import Incoming, Plan, RestingOrder, plan, plan_tick
from tests.unit.engine.book_strategies import ACCOUNTS, SIDES, SIZES, incoming_orders, tapes
from tests.unit.engine.naive_book import in_whole_numbers, units_of_tape
from tests.unit.engine.small_books import TAPE, D, book_of, content

if TYPE_CHECKING:
    from decimal import Decimal


@st.composite
def resting_orders(draw: st.DrawFn) -> list[RestingOrder]:
    """Up to ten orders that do not cross: bids up to 99, asks from 101, some prices written with a zero more."""
    places = draw(st.permutations(range(draw(st.integers(0, 10)))))
    orders = []
    for place, sequence in enumerate(places):
        side = draw(SIDES)
        price = D(draw(st.integers(95, 99) if side == "buy" else st.integers(101, 105)))
        written = price.quantize(D("0.0")) if draw(st.booleans()) else price
        orders.append(RestingOrder(f"o{place}", draw(ACCOUNTS), side, written, D(draw(SIZES)), sequence))
    return orders


def priority(order: RestingOrder) -> tuple[Decimal, int]:
    return (-order.price if order.side == "buy" else order.price), order.sequence


@given(orders=resting_orders(), tape=tapes(), incoming=incoming_orders())
def test_no_contract_is_lost_or_made(orders: list[RestingOrder], tape: Liquidity | None, incoming: Incoming) -> None:
    done = plan(book_of(*orders), tape, incoming)
    assert sum(fill.quantity for fill in done.fills) + done.resting + done.cancelled == incoming.quantity
    assert all(fill.quantity > 0 for fill in done.fills)
    rested = {order.id: order.quantity for order in orders}
    filled = {fill.maker_order_id: fill.quantity for fill in done.fills if fill.maker_order_id is not None}
    assert all(quantity <= rested[name] for name, quantity in filled.items())
    assert filled.keys().isdisjoint(done.cancelled_makers)


@given(orders=resting_orders(), tape=tapes(), incoming=incoming_orders())
def test_nothing_trades_through_a_better_order_or_beyond_its_limit(
    orders: list[RestingOrder], tape: Liquidity | None, incoming: Incoming
) -> None:
    done = plan(book_of(*orders), tape, incoming)
    away = 1 if incoming.side == "buy" else -1
    distances = [away * fill.price for fill in done.fills]
    assert distances == sorted(distances)
    bound = incoming.limit if incoming.limit is not None else incoming.worst_price
    assert bound is None or all(distance <= away * bound for distance in distances)
    if not distances:
        return
    filled = {fill.maker_order_id: fill.quantity for fill in done.fills}
    facing = sorted((order for order in orders if order.side != incoming.side), key=priority)
    reached = [order for order in facing if away * order.price < distances[-1]]
    assert all(filled.get(o.id) == o.quantity or o.id in done.cancelled_makers for o in reached)
    # At one price nobody is filled while somebody who came before has something left.
    whole = [filled.get(o.id, D(0)) == o.quantity for o in facing if o.id not in done.cancelled_makers]
    begun = [o.id in filled for o in facing if o.id not in done.cancelled_makers]
    assert all(all(whole[:turn]) for turn, is_begun in enumerate(begun) if is_begun)


@given(orders=resting_orders(), tape=tapes(), incoming=incoming_orders())
def test_nobody_trades_with_himself_unless_he_may(
    orders: list[RestingOrder], tape: Liquidity | None, incoming: Incoming
) -> None:
    done = plan(book_of(*orders), tape, incoming)
    owners = {order.id: order.account for order in orders}
    assert all(owners[name] == incoming.account for name in done.cancelled_makers)
    if incoming.self_trade != "none":
        assert all(fill.maker_account != incoming.account for fill in done.fills)
    if incoming.self_trade in ("none", "cancel_taker"):
        assert done.cancelled_makers == ()


@given(orders=resting_orders(), tape=tapes(), incoming=incoming_orders())
def test_what_rests_never_crosses_and_only_good_till_cancelled_and_post_only_orders_rest(
    orders: list[RestingOrder], tape: Liquidity | None, incoming: Incoming
) -> None:
    done = plan(book_of(*orders), tape, incoming)
    if done.resting:
        assert incoming.limit is not None
        assert incoming.time_in_force in ("GTC", "post_only")
        assert not done.cancelled
    if incoming.time_in_force == "FOK":
        assert sum(fill.quantity for fill in done.fills) in (0, incoming.quantity)
    if done.rejected is not None:
        assert done == Plan((), D(0), incoming.quantity, rejected=done.rejected)


@given(orders=resting_orders(), tape=tapes(), incoming=incoming_orders(), data=st.data())
def test_how_a_book_was_filled_makes_no_difference_to_a_single_digit(
    orders: list[RestingOrder], tape: Liquidity | None, incoming: Incoming, data: st.DataObject
) -> None:
    book = book_of(*orders)
    again = book_of(*data.draw(st.permutations(orders)))
    # One that was there for a while leaves no trace either, not even in how a price is written.
    again.rest(RestingOrder("guest", "zoe", "buy", D("99.000"), D(1), 99))
    again.cancel("guest")
    assert content(again) == content(book)
    assert repr((again.best_bid, again.best_ask)) == repr((book.best_bid, book.best_ask))
    assert repr(plan(again, tape, incoming)) == repr(plan(book, tape, incoming))
    assert again.accounts() == book.accounts()
    assert [again.orders_of(name) for name in again.accounts()] == [book.orders_of(name) for name in book.accounts()]


@given(orders=resting_orders(), tape=tapes(), incoming=incoming_orders())
def test_a_mirrored_order_in_a_mirrored_book_has_the_mirrored_plan(
    orders: list[RestingOrder], tape: Liquidity | None, incoming: Incoming
) -> None:
    def mirrored(price: Decimal) -> Decimal:
        return 200 - price

    other = {"buy": "sell", "sell": "buy"}
    done = plan(book_of(*orders), tape and replace(tape, mid=D(100)), incoming)
    image = plan(
        book_of(*(replace(o, side=other[o.side], price=mirrored(o.price)) for o in orders)),
        tape and replace(tape, mid=D(100)),
        replace(
            incoming,
            side=other[incoming.side],
            limit=None if incoming.limit is None else mirrored(incoming.limit),
            worst_price=None if incoming.worst_price is None else mirrored(incoming.worst_price),
        ),
    )
    assert image == done._replace(fills=tuple(fill._replace(price=mirrored(fill.price)) for fill in done.fills))


@given(orders=resting_orders(), tape=tapes(), mid=st.integers(90, 110), used=st.integers(0, 20))
def test_a_tick_fills_one_by_one_what_an_ask_of_the_tape_reaches(
    orders: list[RestingOrder], tape: Liquidity | None, mid: int, used: int
) -> None:
    market = replace(tape or TAPE, mid=D(mid))
    expected: list[tuple[str, int]] = []
    for side, away in (("buy", 1), ("sell", -1)):
        offers = units_of_tape(market, side, used)
        for order in sorted((order for order in orders if order.side == side), key=priority):
            for _ in range(int(order.quantity)):
                if offers and away * offers[0] <= away * order.price:
                    offers.pop(0)
                    expected.append((order.id, int(order.price)))
    found = plan_tick(book_of(*orders), market, consumed=Consumed(D(used), D(used)))
    assert in_whole_numbers(found.fills) == [
        (name, price, len(list(units))) for (name, price), units in groupby(expected)
    ]
    sides = {order.id: order.side for order in orders}
    assert {sides[name] for name, _ in expected} == ({found.side} if found.side else set())
