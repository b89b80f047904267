"""How many small orders per second the order book plans and applies, on one core. JSON on standard output.

``python bench/orderbook.py [--orders N]``. Prices and sizes come from a fixed sequence; only the clock differs from run
to run. Three mixtures:

``rest_and_cancel``  limit orders that rest, each cancelled again: what market makers do
``rest_and_take``    every second order takes what rests best: plan, fill and reduce or leave
``market_of_a_tape`` market orders against a tape's market with 200 orders resting near it
"""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING

from ringfence.engine.liquidity import Consumed, Liquidity
from ringfence.engine.orderbook import Book, Incoming, RestingOrder, plan
from ringfence.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = Decimal("0.1")
MID = Decimal(60_000)
PRICES = [[MID - STEP * (1 + k) for k in range(500)], [MID + STEP * (1 + k) for k in range(500)]]
SIZES = [Decimal(n).scaleb(-3) for n in range(1, 100)]
TAPE = Liquidity(MID, Decimal("0.0001"), Decimal("0.0002"), Decimal(1), None, STEP)


def apply(book: Book, incoming: Incoming, name: str, sequence: int, liquidity: Liquidity | None = None) -> Consumed:
    """Plan an order and change the book as the plan says, like the engine does through events."""
    done = plan(book, liquidity, incoming)
    consumed = Consumed()
    for fill in done.fills:
        if fill.maker_order_id is None:
            consumed = consumed.plus(incoming.side, fill.quantity)
        else:
            book.reduce(fill.maker_order_id, fill.quantity)
    for order_id in done.cancelled_makers:
        book.cancel(order_id)
    if done.resting and incoming.limit is not None:
        book.rest(RestingOrder(name, incoming.account, incoming.side, incoming.limit, done.resting, sequence))
    return consumed


def limit_order(number: int, *, near: int) -> Incoming:
    """The number-th order of the sequence, resting within ``near`` price steps of the middle."""
    sells = number * 7919 % 2
    price = PRICES[sells][number * 104_729 % near]
    return Incoming(
        account=f"a{number % 50}", side="sell" if sells else "buy", quantity=SIZES[number % len(SIZES)], limit=price
    )


def filled_book(orders: int) -> Book:
    """A book with so many orders on 500 price levels a side."""
    book = Book("BTCUSDT")
    for number in range(orders):
        apply(book, limit_order(number, near=500), f"start{number}", number)
    return book


@exact
def rest_and_cancel(orders: int) -> float:
    """Seconds for ``orders`` orders, half of the operations being their cancellation."""
    book = filled_book(10_000)
    arriving = [limit_order(number, near=500) for number in range(orders)]
    started = perf_counter()
    for number, incoming in enumerate(arriving):
        apply(book, incoming, f"o{number}", 10_000 + number)
        book.cancel(f"o{number}")
    elapsed = perf_counter() - started
    assert len(book) == 10_000
    return elapsed


@exact
def rest_and_take(orders: int) -> float:
    """Seconds for ``orders`` orders, every second one taking the size of the one before."""
    book = filled_book(10_000)
    arriving = []
    for number in range(0, orders, 2):
        maker = limit_order(number, near=5)
        side = "sell" if maker.side == "buy" else "buy"
        arriving += [maker, Incoming(account="taker", side=side, quantity=maker.quantity, limit=None)]
    started = perf_counter()
    for number, incoming in enumerate(arriving):
        apply(book, incoming, f"o{number}", 10_000 + number)
    return perf_counter() - started


@exact
def market_of_a_tape(orders: int) -> float:
    """Seconds for ``orders`` market orders against the tape's market."""
    book = filled_book(200)
    arriving = [
        Incoming(account="taker", side="buy" if number % 2 else "sell", quantity=SIZES[number % 99], limit=None)
        for number in range(orders)
    ]
    started = perf_counter()
    for number, incoming in enumerate(arriving):
        apply(book, incoming, f"o{number}", 10_000 + number, TAPE)
    return perf_counter() - started


def main() -> None:
    """Time the three mixtures, the best of three runs each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=50_000, help="orders per run")
    orders = parser.parse_args().orders
    mixtures: tuple[Callable[[int], float], ...] = (rest_and_cancel, rest_and_take, market_of_a_tape)
    rates = {mixture.__name__: round(orders / min(mixture(orders) for _ in range(3))) for mixture in mixtures}
    print(json.dumps({"schema": "ringfence.bench.orderbook/1", "orders": orders, "orders_per_second": rates}, indent=2))


if __name__ == "__main__":
    main()
