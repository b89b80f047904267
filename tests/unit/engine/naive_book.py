"""A naive order book: one list, looked through from the start, one contract at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.engine.liquidity import Liquidity
    from ringfence.engine.orderbook import Incoming, PlannedFill


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
