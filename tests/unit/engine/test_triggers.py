"""Waiting stop and take-profit orders, and which of them a price sets off."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.engine.triggers import (
    AT_OR_ABOVE,
    AT_OR_BELOW,
    Trigger,
    Triggers,
    WaitingOrder,
    stop_direction,
    take_profit_direction,
    triggered,
)

D = Decimal


@st.composite
def waiting_orders(draw: st.DrawFn) -> list[WaitingOrder]:
    """Up to twelve orders with few different prices, in no particular order of time."""
    count = draw(st.integers(0, 12))
    triggers = st.builds(
        Trigger,
        st.integers(95, 105).map(D),
        st.sampled_from([AT_OR_ABOVE, AT_OR_BELOW]),
        st.sampled_from(["mark", "last", "index"]),
    )
    places = draw(st.permutations(range(count)))
    return [
        WaitingOrder(f"o{place}", draw(st.sampled_from("ab")), draw(triggers), sequence)
        for place, sequence in enumerate(places)
    ]


def index_of(orders: list[WaitingOrder]) -> Triggers:
    found = Triggers("BTCUSDT")
    for order in orders:
        found.wait(order)
    return found


@pytest.mark.parametrize(
    ("direction", "price", "fires"),
    [
        (AT_OR_ABOVE, "99.9", False),
        (AT_OR_ABOVE, "100", True),
        (AT_OR_ABOVE, "140", True),
        (AT_OR_BELOW, "100.1", False),
        (AT_OR_BELOW, "100", True),
        (AT_OR_BELOW, "60", True),
    ],
)
def test_a_price_that_reaches_or_jumps_over_the_trigger_sets_it_off(direction: str, price: str, fires: bool) -> None:  # noqa: FBT001
    assert triggered(Trigger(D(100), direction), D(price)) is fires


def test_stops_wait_for_the_price_to_get_worse_and_take_profits_for_it_to_get_better() -> None:
    assert (stop_direction("buy"), stop_direction("sell")) == (AT_OR_ABOVE, AT_OR_BELOW)
    assert (take_profit_direction("buy"), take_profit_direction("sell")) == (AT_OR_BELOW, AT_OR_ABOVE)


def test_orders_fire_in_the_order_they_came_whatever_their_price() -> None:
    waiting = index_of(
        [
            WaitingOrder("late", "a", Trigger(D(101), AT_OR_ABOVE), 9),
            WaitingOrder("early", "b", Trigger(D(103), AT_OR_ABOVE), 2),
            WaitingOrder("untouched", "b", Trigger(D(106), AT_OR_ABOVE), 1),
            WaitingOrder("falling", "c", Trigger(D(110), AT_OR_BELOW), 5),
        ]
    )
    assert [order.id for order in waiting.fired(by="mark", price=D(105))] == ["early", "falling", "late"]


def test_an_order_looks_at_its_own_kind_of_price() -> None:
    waiting = index_of([WaitingOrder("by last", "a", Trigger(D(100), AT_OR_ABOVE, "last"), 1)])
    assert waiting.fired(by="mark", price=D(200)) == ()
    assert [order.id for order in waiting.fired(by="last", price=D(200))] == ["by last"]


def test_asking_sets_nothing_off() -> None:
    waiting = index_of([WaitingOrder("stop", "a", Trigger(D(100), AT_OR_BELOW), 1)])
    assert waiting.fired(by="mark", price=D(99)) == waiting.fired(by="mark", price=D(99))
    assert "stop" in waiting
    assert waiting.cancel("stop").account == "a"
    assert "stop" not in waiting
    assert waiting.fired(by="mark", price=D(99)) == ()


def test_an_order_waits_once_and_leaves_once() -> None:
    stop = WaitingOrder("stop", "a", Trigger(D(100), AT_OR_BELOW), 1)
    waiting = index_of([stop])
    with pytest.raises(AssertionError, match="waits already"):
        waiting.wait(stop)
    waiting.cancel("stop")
    with pytest.raises(AssertionError, match="does not wait"):
        waiting.cancel("stop")


@given(orders=waiting_orders(), gone=st.sets(st.integers(0, 11)), price=st.integers(94, 106).map(D))
def test_the_index_finds_what_a_look_at_every_order_finds(
    orders: list[WaitingOrder], gone: set[int], price: Decimal
) -> None:
    waiting = index_of(orders)
    for place, order in enumerate(orders):
        if place in gone:
            waiting.cancel(order.id)
    left = sorted((o for place, o in enumerate(orders) if place not in gone), key=lambda order: order.sequence)
    assert len(waiting) == len(left)
    for by in ("mark", "last", "index"):
        expected = [order for order in left if order.trigger.by == by and triggered(order.trigger, price)]
        assert list(waiting.fired(by=by, price=price)) == expected
    for account in ("a", "b"):
        assert list(waiting.orders_of(account)) == [order for order in left if order.account == account]
