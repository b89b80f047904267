"""The order book against a naive one, and the laws of matching.

How fast it is: ``python bench/orderbook.py``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from math import ceil, floor
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.engine.liquidity import NOTHING_CONSUMED, Consumed, Liquidity
from ringfence.engine.orderbook import (
    SELF_TRADE,
    TIMES_IN_FORCE,
    Book,
    Depth,
    Incoming,
    Level,
    Plan,
    PlannedFill,
    RestingOrder,
    TickPlan,
    plan,
    plan_tick,
)

D = Decimal


def book_of(*orders: RestingOrder) -> Book:
    book = Book("BTCUSDT")
    for order in orders:
        book.rest(order)
    return book


def sell(name: str, price: str, quantity: str, sequence: int, account: str = "maker") -> RestingOrder:
    return RestingOrder(name, account, "sell", D(price), D(quantity), sequence)


def buy(name: str, price: str, quantity: str, sequence: int, account: str = "maker") -> RestingOrder:
    return RestingOrder(name, account, "buy", D(price), D(quantity), sequence)


def buying(
    quantity: str,
    limit: str | None = None,
    *,
    time_in_force: str = "GTC",
    self_trade: str = "cancel_taker",
    worst_price: str | None = None,
    account: str = "taker",
) -> Incoming:
    return Incoming(
        account=account,
        side="buy",
        quantity=D(quantity),
        limit=None if limit is None else D(limit),
        time_in_force=time_in_force,
        self_trade=self_trade,
        worst_price=None if worst_price is None else D(worst_price),
    )


# Asks of the tape: 101, 102, 103, … with 5 contracts each; bids: 99, 98, …
TAPE = Liquidity(D(100), D("0.01"), D("0.01"), D(5), None, D(1))


# ── Examples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── A naive book: one list, looked through from the start, one contract at a time ────────────────────────────────────


@dataclass
class Resting:
    """One order of the naive book."""

    id: str
    account: str
    side: str
    price: int
    left: int
    turn: int


def whole(number: Decimal) -> int:
    """A number of the book as one of the naive book."""
    assert number == int(number)
    return int(number)


def in_whole_numbers(fills: tuple[PlannedFill, ...]) -> list[tuple[str | None, int, int]]:
    return [(fill.maker_order_id, whole(fill.price), whole(fill.quantity)) for fill in fills]


class Outcome(NamedTuple):
    """What the naive book says of an incoming order."""

    fills: list[tuple[str | None, int, int]]
    resting: int
    cancelled: int
    own: list[str]
    rejected: bool


def units_of_tape(tape: Liquidity | None, side: str, used: int) -> list[int]:
    """The price of each contract the tape offers, nearest first, without the first ``used`` of them."""
    if tape is None:
        return []
    away, rounded = (1, ceil) if side == "buy" else (-1, floor)
    prices: list[int] = []
    enough = (used + 100) // int(tape.depth) + 1
    for level in range(enough if tape.levels is None else tape.levels):
        move = Fraction(tape.half_spread) + level * Fraction(tape.level_gap)
        price = rounded(Fraction(tape.mid) * (1 + away * move))
        prices += [price] * (int(tape.depth) if price > 0 else 0)
    return prices[used:]


@dataclass
class NaiveBook:
    """A list of orders."""

    orders: list[Resting] = field(default_factory=list)

    def side(self, side: str) -> list[Resting]:
        sign = -1 if side == "buy" else 1
        return sorted((o for o in self.orders if o.side == side), key=lambda o: (sign * o.price, o.turn))

    def outcome(self, tape: Liquidity | None, used: int, order: Incoming) -> Outcome:
        sign = 1 if order.side == "buy" else -1
        bound = order.limit if order.limit is not None else order.worst_price
        queue: list[tuple[int, int, int, Resting | None]] = [
            (sign * o.price, 0, o.turn, o) for o in self.orders if o.side != order.side for _ in range(o.left)
        ]
        queue += [(sign * price, 1, turn, None) for turn, price in enumerate(units_of_tape(tape, order.side, used))]
        nobody = not queue
        queue = sorted(
            (unit for unit in queue if bound is None or unit[0] <= sign * int(bound)), key=lambda unit: unit[:3]
        )
        if order.time_in_force == "post_only":
            size = int(order.quantity)
            return Outcome([], 0, size, [], rejected=True) if queue else Outcome([], size, 0, [], rejected=False)
        return self._taken(queue, order, found_none=nobody and order.limit is None)

    @staticmethod
    def _taken(queue: list[tuple[int, int, int, Resting | None]], order: Incoming, *, found_none: bool) -> Outcome:
        size = int(order.quantity)
        sign = 1 if order.side == "buy" else -1
        taken: list[tuple[str | None, int]] = []
        own: dict[str, None] = {}
        stopped = False
        for price, _, _, maker in queue:
            if len(taken) == size:
                break
            if maker is not None and maker.account == order.account and order.self_trade != "none":
                if order.self_trade in ("cancel_maker", "cancel_both"):
                    own[maker.id] = None
                if order.self_trade != "cancel_maker":
                    stopped = True
                    break
                continue
            taken.append((None if maker is None else maker.id, sign * price))
        left = size - len(taken)
        if left and (order.time_in_force == "FOK" or found_none):
            return Outcome([], 0, size, [], rejected=True)
        fills = [(maker, price, len(list(units))) for (maker, price), units in groupby(taken)]
        rests = order.limit is not None and order.time_in_force == "GTC" and not stopped
        return Outcome(fills, left if rests else 0, 0 if rests else left, list(own), rejected=False)


PRICES = st.integers(95, 105)
SIZES = st.integers(1, 6)
ACCOUNTS = st.sampled_from(["ann", "bob", "cy"])
SIDES = st.sampled_from(["buy", "sell"])


@st.composite
def incoming_orders(draw: st.DrawFn) -> Incoming:
    """Orders of every kind, small and whole."""
    limit = draw(st.none() | PRICES)
    times = [time for time in TIMES_IN_FORCE if limit is not None or time != "post_only"]
    worst = draw(st.none() | PRICES) if limit is None else None
    return Incoming(
        account=draw(ACCOUNTS),
        side=draw(SIDES),
        quantity=D(draw(st.integers(1, 15))),
        limit=None if limit is None else D(limit),
        time_in_force=draw(st.sampled_from(times)),
        self_trade=draw(st.sampled_from(SELF_TRADE)),
        worst_price=None if worst is None else D(worst),
    )


@st.composite
def tapes(draw: st.DrawFn) -> Liquidity | None:
    """Markets around 100 in whole prices, now and then none."""
    if draw(st.integers(0, 3)) == 0:
        return None
    return Liquidity(
        D(draw(st.integers(97, 103))),
        D(draw(st.integers(0, 30))).scaleb(-3),
        D(draw(st.integers(1, 20))).scaleb(-3),
        D(draw(st.integers(1, 4))),
        draw(st.none() | st.integers(1, 4)),
        D(1),
    )


class Change(NamedTuple):
    """A change of the book that is no incoming order; ``which`` picks among the orders there are."""

    kind: str
    which: int
    price: int
    quantity: int


CHANGES = st.builds(
    Change, st.sampled_from(["cancel", "reduce", "amend", "amend", "tape"]), st.integers(0, 50), PRICES, SIZES
)


@dataclass
class Both:
    """The same operations on both books, compared after each."""

    tape: Liquidity | None
    book: Book = field(default_factory=lambda: Book("BTCUSDT"))
    naive: NaiveBook = field(default_factory=NaiveBook)
    used: Counter[str] = field(default_factory=Counter)
    turn: int = 0

    def consumed(self) -> Consumed:
        return Consumed(D(self.used["buy"]), D(self.used["sell"]))

    def arrive(self, order: Incoming) -> None:
        self.turn += 1
        before = content(self.book)
        done = plan(self.book, self.tape, order, consumed=self.consumed())
        assert content(self.book) == before
        expected = self.naive.outcome(self.tape, self.used[order.side], order)
        assert in_whole_numbers(done.fills) == expected.fills
        assert (whole(done.resting), whole(done.cancelled)) == (expected.resting, expected.cancelled)
        assert list(done.cancelled_makers) == expected.own
        assert (done.rejected is not None) == expected.rejected
        assert (done.expiry is not None) == (done.cancelled > 0 and done.rejected is None)
        for maker, _, quantity in expected.fills:
            self.fill(maker, quantity, order.side)
        for name in expected.own:
            self.book.cancel(name)
            self.naive.orders = [o for o in self.naive.orders if o.id != name]
        if done.resting:
            assert order.limit is not None
            name = f"o{self.turn}"
            self.book.rest(RestingOrder(name, order.account, order.side, order.limit, done.resting, self.turn))
            self.naive.orders.append(
                Resting(name, order.account, order.side, int(order.limit), expected.resting, self.turn)
            )
        self.compare()

    def fill(self, maker: str | None, quantity: int, taker_side: str) -> None:
        if maker is None:
            self.used[taker_side] += quantity
            return
        found = next(o for o in self.naive.orders if o.id == maker)
        found.left -= quantity
        left = self.book.reduce(maker, D(quantity))
        assert (0 if left is None else left.quantity) == found.left
        self.naive.orders = [o for o in self.naive.orders if o.left]

    def change(self, change: Change) -> None:
        self.turn += 1
        if change.kind == "tape":
            self.used.clear()
            self.tape = self.tape and replace(self.tape, mid=D(change.price))
            return
        if not self.naive.orders:
            return
        order = self.naive.orders[change.which % len(self.naive.orders)]
        if change.kind == "cancel":
            self.book.cancel(order.id)
            self.naive.orders.remove(order)
        elif change.kind == "reduce":
            self.fill(order.id, min(change.quantity, order.left), "none")
        else:
            self.amend(order, change)
        self.compare()

    def amend(self, order: Resting, change: Change) -> None:
        facing = [o.price for o in self.naive.orders if o.side != order.side]
        if order.side == "buy" and facing and change.price >= min(facing):
            return
        if order.side == "sell" and facing and change.price <= max(facing):
            return
        if change.price != order.price or change.quantity > order.left:
            order.turn = self.turn
        order.price, order.left = change.price, change.quantity
        now = self.book.amend(order.id, price=D(change.price), quantity=D(change.quantity), sequence=self.turn)
        assert (whole(now.price), whole(now.quantity), now.sequence) == (order.price, order.left, order.turn)

    def compare(self) -> None:
        for side in ("buy", "sell"):
            expected = self.naive.side(side)
            found = [
                (o.id, o.account, o.side, whole(o.price), whole(o.quantity), o.sequence) for o in self.book.orders(side)
            ]
            assert found == [(o.id, o.account, o.side, o.price, o.left, o.turn) for o in expected]
            assert self.book.best(side) == (expected[0].price if expected else None)
            levels = [
                (price, sum(o.left for o in orders), len(orders))
                for price, orders in ((p, list(group)) for p, group in groupby(expected, key=lambda o: o.price))
            ]
            depth = self.book.depth(2)
            shown = depth.bids if side == "buy" else depth.asks
            assert [(whole(level.price), whole(level.quantity), level.orders) for level in shown] == levels[:2]
        assert len(self.book) == len(self.naive.orders)
        for account in ("ann", "bob", "cy"):
            mine = sorted((o for o in self.naive.orders if o.account == account), key=lambda o: o.turn)
            assert [order.id for order in self.book.orders_of(account)] == [o.id for o in mine]
        assert self.book.accounts() == tuple(sorted({o.account for o in self.naive.orders}))


def content(book: Book) -> list[str]:
    """Everything in a book, to the digits its numbers are written with."""
    return [repr(order) for side in ("buy", "sell") for order in book.orders(side)] + [repr(book.depth())]


@given(tape=tapes(), operations=st.lists(incoming_orders() | CHANGES, max_size=40))
def test_the_book_does_what_a_naive_one_does(tape: Liquidity | None, operations: list[Incoming | Change]) -> None:
    both = Both(tape)
    for operation in operations:
        if isinstance(operation, Incoming):
            both.arrive(operation)
        else:
            both.change(operation)


# ── Laws ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
