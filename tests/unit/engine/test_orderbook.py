"""The order book by examples. How fast it is: ``python bench/orderbook.py``."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from ringfence.engine.liquidity import NOTHING_CONSUMED, Consumed
from ringfence.engine.orderbook import (
    SELF_TRADE,
    Book,
    Depth,
    Level,
    Plan,
    PlannedFill,
    RestingOrder,
    TickPlan,
    plan,
    plan_tick,
)
from tests.unit.engine.small_books import TAPE, D, book_of, buy, buying, sell

if TYPE_CHECKING:
    from decimal import Decimal


def test_the_better_price_comes_first_and_at_one_price_who_came_first() -> None:
    book = book_of(sell("late", "101", "2", 3), sell("early", "101", "1", 2), sell("dear", "102", "9", 1))
    assert plan(book, None, buying("4", "102")) == Plan(
        fills=(
            PlannedFill("early", "maker", D(101), D(1)),
            PlannedFill("late", "maker", D(101), D(2)),
            PlannedFill("dear", "maker", D(102), D(1)),
        ),
        resting=D(4) - D(1) - D(2) - D(1),
        cancelled=D(0),
    )


def test_an_order_fills_at_the_makers_price_and_rests_at_its_own() -> None:
    book = book_of(sell("s", "101", "2", 1))
    assert plan(book, None, buying("5", "103")) == Plan(
        (PlannedFill("s", "maker", D(101), D(2)),), resting=D(5) - D(2), cancelled=D(0)
    )


def test_at_one_price_accounts_come_before_the_tapes_market() -> None:
    book = book_of(sell("s", "102", "2", 1))
    assert plan(book, TAPE, buying("12")).fills == (
        PlannedFill(None, None, D(101), D(5)),
        PlannedFill("s", "maker", D(102), D(2)),
        PlannedFill(None, None, D(102), D(5)),  # 12 − 5 − 2 = 5
    )


def test_levels_of_the_tape_at_one_price_are_one_fill() -> None:
    fine = replace(TAPE, level_gap=D("0.001"))  # ten levels between two price steps
    assert plan(Book("X"), fine, buying("22")).fills == (
        PlannedFill(None, None, D(101), D(5)),  # 101 exactly
        PlannedFill(None, None, D(102), D(22) - D(5)),  # 101.1, 101.2, … are rounded up
    )


def test_a_second_order_at_the_same_price_meets_what_the_first_left() -> None:
    first = plan(Book("X"), TAPE, buying("7"))
    used = NOTHING_CONSUMED.plus("buy", sum((fill.quantity for fill in first.fills), D(0)))
    assert plan(Book("X"), TAPE, buying("4"), consumed=used).fills == (
        PlannedFill(None, None, D(102), D(2) * D(5) - D(7)),
        PlannedFill(None, None, D(103), D(4) - D(3)),
    )


def test_immediate_or_cancel_leaves_nothing_on_the_book() -> None:
    book = book_of(sell("s", "101", "2", 1))
    done = plan(book, None, buying("5", "101", time_in_force="IOC"))
    assert (done.resting, done.cancelled, done.expiry) == (D(0), D(5) - D(2), "immediate_or_cancel")


def test_fill_or_kill_is_all_or_nothing() -> None:
    book = book_of(sell("s", "101", "2", 1), sell("t", "102", "2", 2))
    whole = plan(book, None, buying("4", "102", time_in_force="FOK"))
    assert [fill.quantity for fill in whole.fills] == [D(2), D(2)]
    killed = plan(book, None, buying("4.5", "102", time_in_force="FOK"))
    assert killed == Plan((), D(0), D("4.5"), rejected="fok_not_fillable")
    assert plan(book, None, buying("4.5", time_in_force="FOK")).rejected == "fok_not_fillable"


def test_post_only_rests_or_is_rejected() -> None:
    book = book_of(sell("s", "101", "2", 1))
    assert plan(book, None, buying("5", "100", time_in_force="post_only")).resting == D(5)
    assert plan(book, None, buying("5", "101", time_in_force="post_only")) == Plan(
        (), D(0), D(5), rejected="post_only_would_take"
    )
    # The tape's market counts too: its best ask is 101.
    assert plan(Book("X"), TAPE, buying("5", "101", time_in_force="post_only")).rejected == "post_only_would_take"
    assert plan(Book("X"), TAPE, buying("5", "100.5", time_in_force="post_only")).resting == D(5)


def test_a_market_order_without_anybody_on_the_other_side_is_rejected() -> None:
    assert plan(Book("X"), None, buying("5")) == Plan((), D(0), D(5), rejected="no_liquidity")
    small = replace(TAPE, levels=1)
    assert plan(Book("X"), small, buying("8")) == Plan(
        (PlannedFill(None, None, D(101), D(5)),), D(0), D(8) - D(5), expiry="no_liquidity"
    )


def test_a_market_order_goes_no_further_than_its_worst_price() -> None:
    assert plan(Book("X"), TAPE, buying("50", worst_price="102")) == Plan(
        (PlannedFill(None, None, D(101), D(5)), PlannedFill(None, None, D(102), D(5))),
        D(0),
        D(50) - D(10),
        expiry="worst_price",
    )
    assert plan(Book("X"), TAPE, buying("50", worst_price="100")) == Plan((), D(0), D(50), expiry="worst_price")


def test_self_trade_prevention_does_what_its_name_says() -> None:
    book = book_of(
        sell("other", "101", "1", 1), sell("own", "102", "2", 2, account="taker"), sell("behind", "103", "3", 3)
    )
    other = PlannedFill("other", "maker", D(101), D(1))
    own = PlannedFill("own", "taker", D(102), D(2))
    behind = PlannedFill("behind", "maker", D(103), D(3))

    def planned(self_trade: str) -> Plan:
        return plan(book, None, buying("7", "103", self_trade=self_trade))

    assert planned("none") == Plan((other, own, behind), resting=D(1), cancelled=D(0))
    assert planned("cancel_taker") == Plan((other,), D(0), D(6), expiry="self_trade")
    assert planned("cancel_maker") == Plan((other, behind), resting=D(3), cancelled=D(0), cancelled_makers=("own",))
    assert planned("cancel_both") == Plan((other,), D(0), D(6), ("own",), expiry="self_trade")


def test_an_own_order_that_is_not_reached_is_left_alone() -> None:
    book = book_of(sell("other", "101", "1", 1), sell("own", "101", "2", 2, account="taker"))
    for self_trade in SELF_TRADE:
        assert plan(book, None, buying("1", self_trade=self_trade)).cancelled_makers == ()


def test_a_killed_order_takes_no_own_orders_with_it() -> None:
    book = book_of(sell("own", "101", "2", 1, account="taker"), sell("other", "102", "2", 2))
    for self_trade in ("cancel_taker", "cancel_maker", "cancel_both"):
        killed = plan(book, None, buying("3", "102", time_in_force="FOK", self_trade=self_trade))
        assert killed == Plan((), D(0), D(3), rejected="fok_not_fillable")
    assert plan(book, None, buying("2", "102", time_in_force="FOK", self_trade="cancel_maker")) == Plan(
        (PlannedFill("other", "maker", D(102), D(2)),), D(0), D(0), ("own",)
    )


def test_a_market_order_that_meets_only_its_own_account_expires_and_is_not_rejected() -> None:
    book = book_of(sell("own", "101", "2", 1, account="taker"))
    assert plan(book, None, buying("3")) == Plan((), D(0), D(3), expiry="self_trade")
    assert plan(book, None, buying("3", self_trade="cancel_maker")) == Plan(
        (), D(0), D(3), ("own",), expiry="no_liquidity"
    )


def test_a_smaller_quantity_keeps_the_place_and_anything_else_goes_to_the_end() -> None:
    def turns(**change: Decimal) -> list[str]:
        book = book_of(buy("a", "100", "5", 1), buy("b", "100", "5", 2))
        book.amend("a", sequence=3, **change)
        return [order.id for order in book.orders("buy")]

    assert turns(quantity=D(4)) == ["a", "b"]
    assert turns(quantity=D(5)) == ["a", "b"]
    assert turns(quantity=D(6)) == ["b", "a"]
    assert turns(price=D("100.0")) == ["a", "b"]
    assert turns(price=D(99)) == ["b", "a"]
    assert turns(price=D(101)) == ["a", "b"]
    # There and back again: the place is lost.
    book = book_of(buy("a", "100", "5", 1), buy("b", "100", "5", 2))
    book.amend("a", price=D(101), sequence=3)
    assert book.amend("a", price=D(100), sequence=4) == buy("a", "100", "5", 4)
    assert [order.id for order in book.orders("buy")] == ["b", "a"]


def test_a_fill_keeps_the_place_of_what_is_left_and_a_whole_fill_takes_it_off() -> None:
    book = book_of(buy("a", "100", "5", 1), buy("b", "100", "5", 2))
    assert book.reduce("a", D(2)) == buy("a", "100", "3", 1)
    assert [order.id for order in book.orders("buy")] == ["a", "b"]
    assert book.reduce("a", D(3)) is None
    assert "a" not in book
    assert book.orders_of("maker") == (buy("b", "100", "5", 2),)


def test_depth_adds_up_each_price() -> None:
    book = book_of(buy("a", "100", "5", 1), buy("b", "100.0", "2", 2), buy("c", "99", "1", 3), sell("d", "101", "4", 4))
    assert book.depth() == Depth(
        bids=(Level(D(100), D(5) + D(2), 2), Level(D(99), D(1), 1)), asks=(Level(D(101), D(4), 1),)
    )
    assert book.depth(1).bids == (Level(D(100), D(7), 2),)
    assert book.depth(0) == Depth((), ())
    assert (book.best_bid, book.best_ask) == (D(100), D(101))
    assert (Book("X").best_bid, Book("X").best_ask) == (None, None)


def test_a_price_that_goes_through_resting_orders_fills_them_at_their_own_price() -> None:
    # The tape's asks are 101, 102, …; bids at 102 and 101 were left from before.
    book = book_of(buy("low", "101", "4", 1), buy("high", "102", "3", 2), buy("below", "100.5", "9", 3))
    filled = plan_tick(book, TAPE)
    # 5 are asked at 101: 3 for the bid at 102, 2 for that at 101; those asked at 102 are too dear for it.
    assert filled == TickPlan(
        "buy", (PlannedFill("high", "maker", D(102), D(3)), PlannedFill("low", "maker", D(101), D(2)))
    )
    assert plan_tick(book, TAPE, consumed=Consumed(buy=D(4))).fills == (
        PlannedFill("high", "maker", D(102), D(3)),  # 1 at 101, 2 at 102
    )


def test_a_price_that_only_touches_an_order_does_not_fill_it() -> None:
    assert plan_tick(book_of(buy("b", "100", "1", 1), sell("s", "100.5", "1", 2)), TAPE) == TickPlan(None, ())
    assert plan_tick(book_of(sell("s", "99", "1", 1)), TAPE) == TickPlan(
        "sell", (PlannedFill("s", "maker", D(99), D(1)),)
    )


def test_numbers_are_exact_however_long_they_are() -> None:
    long = "0." + "1" * 60
    book = book_of(sell("s", "101", long, 1))
    done = plan(book, None, buying("1", "101"))
    assert Fraction(done.fills[0].quantity) + Fraction(done.resting) == 1
    assert Fraction(done.fills[0].quantity) == Fraction(long)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (buy("a", "100", "1", 9), "rests already"),
        (buy("x", "101", "1", 9), "crosses"),
        (sell("x", "100", "1", 9), "crosses"),
        (buy("x", "90", "0", 9), "without a quantity"),
        (buy("x", "0", "1", 9), "without a quantity or a price"),
    ],
)
def test_what_cannot_rest_is_the_callers_bug(wrong: RestingOrder, says: str) -> None:
    book = book_of(buy("a", "100", "5", 1), sell("z", "101", "5", 2))
    with pytest.raises(AssertionError, match=says):
        book.rest(wrong)
    assert len(book) == 2


def test_more_cannot_be_filled_than_rests_and_an_unknown_order_cannot_change() -> None:
    book = book_of(buy("a", "100", "5", 1))
    with pytest.raises(AssertionError, match="cannot be filled"):
        book.reduce("a", D(6))
    with pytest.raises(AssertionError, match="no order 'x'"):
        book.cancel("x")
    with pytest.raises(AssertionError, match="no order 'x'"):
        book.reduce("x", D(1))
    with pytest.raises(AssertionError, match="no order 'x'"):
        book.amend("x", sequence=2)
    assert book.order("a") == buy("a", "100", "5", 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"quantity": "0"}, "quantity above 0"),
        ({"quantity": "1", "time_in_force": "GTX"}, "GTX"),
        ({"quantity": "1", "self_trade": "both"}, "self-trade prevention is one of"),
        ({"quantity": "1", "time_in_force": "post_only"}, "market order cannot be post-only"),
        ({"quantity": "1", "limit": "5", "worst_price": "6"}, "no other worst price"),
    ],
)
def test_an_incoming_order_that_means_nothing_is_the_callers_bug(change: dict[str, str], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        buying(**change)
