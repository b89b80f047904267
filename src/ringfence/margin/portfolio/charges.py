"""What is added to the worst scenario because hedges offset only in part, and what is charged at the least.

Each function is one published charge, on plain numbers: the models of :mod:`ringfence.margin.portfolio` and the topics
of the published answers call the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.numbers import RATIO_PLACES, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from ringfence.numbers import Quantity, Rate, Value


class Charge(NamedTuple):
    """One component of a requirement. ``minimum``: a least charge or one that grows with size.

    Those are what the law "a book needs no more than its positions alone" leaves out. ``how``: in words, with figures.
    """

    name: str
    amount: Value
    how: str
    minimum: bool = False


def offsetting(quantities: Iterable[Quantity]) -> Quantity:
    """Return how much of the signed ``quantities`` offset each other: the smaller of all longs and all shorts."""
    long = short = ZERO
    for quantity in quantities:
        if quantity > 0:
            long += quantity
        else:
            short -= quantity
    return min(long, short)


def net_short(by_key: Mapping[object, Quantity]) -> Quantity:
    """Return the sum of what is net short under each key (a strike): Deribit, portfolio margin, older edition."""
    return sum((-net for net in by_key.values() if net < 0), ZERO)


def scaled_by_steps(amount: Decimal, steps: Iterable[tuple[Decimal | None, Decimal]]) -> Decimal:
    """Return ``amount`` with each slice of it times its own factor; above the last end, the last factor.

    ``steps``: (end of the slice, factor), ascending. Source: OKX, scaling factor of portfolio margin (4417291853837).
    """
    total, floor, factor = ZERO, ZERO, ZERO
    for end, factor in steps:
        top = amount if end is None else end
        total += max(ZERO, min(amount, top) - floor) * factor
        floor = max(floor, top)
    return total + max(ZERO, amount - floor) * factor


def components(parts: Mapping[int, Value]) -> Value:
    """Return ``max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7)`` of components by their number; absent ones are 0.

    Source: OKX, portfolio margin mode. MR7 comes scaled.
    """
    part = {index: parts.get(index, ZERO) for index in range(1, 8)}
    return max(max(part[1], part[2], part[6]) + part[3] + part[4] + part[5], part[7])


def roll_shock(net_delta: Decimal, years: Decimal, *, least: Rate, annualised: Rate) -> Decimal:
    """Return the coins charged for one expiry: ``|net delta| · max(least, annualised · years)``.

    Source: Deribit, private/pme/simulate: its example charges each expiry's net position at the least rate.
    """
    return abs(net_delta) * max(least, annualised * years)


def delta_shock(net_delta: Decimal, threshold: Decimal, *, increment: Rate, most: Rate) -> Decimal:
    """Return the coins charged on what of ``net_delta`` lies beyond ``threshold`` coins: ours (see portfolio.toml).

    ``excess · min(most, increment · excess)``.
    """
    excess = max(ZERO, abs(net_delta) - threshold)
    return excess * min(most, increment * excess)


def apart(weights: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Return how far the centres of positive and negative weights lie apart on their (weight, place) line, 18 places.

    0 where one of the two sides is empty.
    """
    sums = {True: [ZERO, ZERO], False: [ZERO, ZERO]}
    for weight, place in weights:
        side = sums[weight > 0]
        side[0] += abs(weight)
        side[1] += abs(weight) * place
    (up, up_places), (down, down_places) = sums[True], sums[False]
    if not up or not down:
        return ZERO
    return abs(divide(up_places, up, places=RATIO_PLACES) - divide(down_places, down, places=RATIO_PLACES))


__all__ = [
    "Charge",
    "apart",
    "components",
    "delta_shock",
    "net_short",
    "offsetting",
    "roll_shock",
    "scaled_by_steps",
]
