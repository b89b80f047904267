"""Stop and take-profit orders that wait for a price, and which of them a new price sets off.

An order waits because its condition does not hold yet: a venue refuses one that would be set off at once (ask
:func:`triggered` when it is placed). So the condition is looked at on the new price alone: a price that jumps over the
trigger sets the order off, and so does one that was held back as not believable and comes again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ringfence.numbers import Price

AT_OR_ABOVE = "at_or_above"
AT_OR_BELOW = "at_or_below"


class Trigger(NamedTuple):
    """A condition on a price. ``direction``: at_or_above or at_or_below. ``by``: which price, mark, last or index."""

    price: Price
    direction: str
    by: str = "mark"


def triggered(trigger: Trigger, price: Price) -> bool:
    """Whether ``price``, of the kind the trigger looks at, sets it off."""
    return price >= trigger.price if trigger.direction == AT_OR_ABOVE else price <= trigger.price


def stop_direction(side: str) -> str:
    """Return where the price has to go for a stop order of that side: up for a buy, down for a sell."""
    return AT_OR_ABOVE if side == "buy" else AT_OR_BELOW


def take_profit_direction(side: str) -> str:
    """Return where the price has to go for a take-profit order of that side: down for a buy, up for a sell."""
    return AT_OR_BELOW if side == "buy" else AT_OR_ABOVE


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """An order that is not on the book yet. ``sequence``: its place among those set off by the same price."""

    id: str
    account: str
    trigger: Trigger
    sequence: int


_BY_TIME = attrgetter("sequence", "id")
_BY_PRICE = attrgetter("trigger.price", "sequence", "id")
_PRICE = attrgetter("trigger.price")


class Triggers:
    """The waiting orders of one symbol, found by price in O(log n).

    :meth:`fired` changes nothing. The engine turns what it finds into events, and those take the orders out.
    A method that names an order which does not wait raises ``AssertionError``: the caller's bug.
    """

    __slots__ = ("_by_price", "_orders", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._orders: dict[str, WaitingOrder] = {}
        self._by_price: dict[tuple[str, str], list[WaitingOrder]] = {}  # (by, direction) → by price, then time

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._orders

    def wait(self, order: WaitingOrder) -> None:
        """Let an order wait."""
        if order.id in self._orders:
            raise AssertionError(f"order {order.id!r} waits already for a price of {self.symbol}")
        self._orders[order.id] = order
        key = (order.trigger.by, order.trigger.direction)
        insort(self._by_price.setdefault(key, []), order, key=_BY_PRICE)

    def cancel(self, order_id: str) -> WaitingOrder:
        """Take an order out, cancelled or set off, and return it."""
        order = self._orders.pop(order_id, None)
        if order is None:
            raise AssertionError(f"order {order_id!r} does not wait for a price of {self.symbol}")
        same_kind = self._by_price[order.trigger.by, order.trigger.direction]
        del same_kind[bisect_left(same_kind, _BY_PRICE(order), key=_BY_PRICE)]
        return order

    def fired(self, *, by: str, price: Price) -> tuple[WaitingOrder, ...]:
        """Return the orders that a new mark, last or index price (``by``) sets off, first come first."""
        rising = self._by_price.get((by, AT_OR_ABOVE), ())
        falling = self._by_price.get((by, AT_OR_BELOW), ())
        found = [
            *rising[: bisect_right(rising, price, key=_PRICE)],
            *falling[bisect_left(falling, price, key=_PRICE) :],
        ]
        found.sort(key=_BY_TIME)
        return tuple(found)

    def orders_of(self, account: str) -> tuple[WaitingOrder, ...]:
        """Return an account's waiting orders, first come first; looks through all of them."""
        return tuple(sorted((order for order in self._orders.values() if order.account == account), key=_BY_TIME))


__all__ = [
    "AT_OR_ABOVE",
    "AT_OR_BELOW",
    "Trigger",
    "Triggers",
    "WaitingOrder",
    "stop_direction",
    "take_profit_direction",
    "triggered",
]
