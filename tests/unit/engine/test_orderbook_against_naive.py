"""The order book does what a naive one does, order by order and change by change."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from ringfence.engine.liquidity import Consumed, Liquidity
from ringfence.engine.orderbook import Book, Incoming, RestingOrder, plan
from tests.unit.engine.book_strategies import PRICES, SIZES, incoming_orders, tapes
from tests.unit.engine.naive_book import NaiveBook, Resting, in_whole_numbers, whole
from tests.unit.engine.small_books import D, content


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


@given(tape=tapes(), operations=st.lists(incoming_orders() | CHANGES, max_size=40))
def test_the_book_does_what_a_naive_one_does(tape: Liquidity | None, operations: list[Incoming | Change]) -> None:
    both = Both(tape)
    for operation in operations:
        if isinstance(operation, Incoming):
            both.arrive(operation)
        else:
            both.change(operation)
