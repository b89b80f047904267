"""Where an account's status changes between two points, narrowed down to one step with few assessments.

Which points are assessed is a matter of speed: those where a curve through the nearest known surpluses crosses zero, in
floats, and the middle where that does not get ahead. What is found is decided by the exact status of both its ends.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

from ringfence.numbers import ONE, ROUND_HALF_EVEN, divide, round_to

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

_HALF = divide(ONE, ONE + ONE, places=1)
_SLOW = 3  # tries that do not halve the distance they are in, before its middle is taken


def narrowed(
    same: Decimal,
    other: Decimal,
    *,
    step: Decimal,
    changed: Callable[[Decimal], bool],
    surplus: Callable[[Decimal], float],
    tried: Sequence[Decimal],
) -> tuple[Decimal, Decimal]:
    """Return two neighbours on ``step`` between ``same`` and ``other`` with different statuses, in that order.

    ``changed``: whether a point's status is that of ``other``; ``surplus``: about 0 where it changes. ``tried``: points
    that cost little to ask about, rising; both ends are among them, and what is asked about is added by the caller.
    """
    same, other = _among(same, other, tried, changed)
    slow = 0
    while abs(other - same) > step:
        before = abs(other - same)
        guess = None if slow >= _SLOW else _guess(same, other, step=step, surplus=surplus, tried=tried)
        if guess is None or guess in (same, other):
            guess, slow = round_to((same + other) * _HALF, step, rounding=ROUND_HALF_EVEN), 0
        if guess in (same, other):
            break
        if changed(guess):
            other = guess
        else:
            same = guess
        slow = slow + 1 if abs(other - same) * 2 > before else 0
    return same, other


def _among(
    same: Decimal, other: Decimal, tried: Sequence[Decimal], changed: Callable[[Decimal], bool]
) -> tuple[Decimal, Decimal]:
    """Return the two of the points that were tried between which the status changes, by bisection."""
    low, high = min(same, other), max(same, other)
    between = [point for point in tried[bisect_left(tried, low) : bisect_left(tried, high)] if point != low]
    if same > other:
        between.reverse()
    first, last = 0, len(between)
    while first < last:
        middle = (first + last) // 2
        if changed(between[middle]):
            other, last = between[middle], middle
        else:
            same, first = between[middle], middle + 1
    return same, other


def _guess(
    same: Decimal,
    other: Decimal,
    *,
    step: Decimal,
    surplus: Callable[[Decimal], float],
    tried: Sequence[Decimal],
) -> Decimal | None:
    """Return the point on the step nearest to where a curve through known surpluses is 0; None outside."""
    low, high = min(same, other), max(same, other)
    place, end = bisect_left(tried, low), bisect_left(tried, high)
    width = float(high - low)
    near = [(float(point - low), surplus(point)) for point in (*tried[max(0, place - 1) : place], low)]
    near += [(float(point - low), surplus(point)) for point in (high, *tried[end + 1 : end + 2])]
    at = _root(near, width)
    if at is None:
        at = _root([(0.0, surplus(low)), (width, surplus(high))], width)
    if at is None:
        return None
    wide = float(step)
    steps = min(max(1, round(at / wide)), round(width / wide) - 1)
    return round_to(low + step * steps, step, rounding=ROUND_HALF_EVEN)


def _root(points: Sequence[tuple[float, float]], width: float) -> float | None:
    """Return where the curve through (place, value) ``points``, drawn as places over values, is at the value 0.

    None where values do not rise or fall throughout, or where that is not between 0 and ``width``.
    """
    values = [value for _, value in points]
    signs = {(after > before) - (after < before) for before, after in pairwise(values)}
    if len(signs) != 1 or 0 in signs:
        return None
    total = 0.0
    for i, (place, value) in enumerate(points):
        share = place
        for j, other in enumerate(values):
            if i != j:
                share *= other / (other - value)
        total += share
    return total if 0.0 <= total <= width else None


__all__ = ["narrowed"]
