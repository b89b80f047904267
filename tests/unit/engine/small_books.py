"""Order books of a few orders, and the tape behind them, spelled out for tests."""

from __future__ import annotations

from decimal import Decimal

from ringfence.engine.liquidity import Liquidity
from ringfence.engine.orderbook import Book, Incoming, RestingOrder

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


def content(book: Book) -> list[str]:
    """Everything in a book, to the digits its numbers are written with."""
    return [repr(order) for side in ("buy", "sell") for order in book.orders(side)] + [repr(book.depth())]
