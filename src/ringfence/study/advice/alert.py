"""At which health to act: early enough that a wild day does not liquidate what is left.

The venue's call comes at a fixed health, mostly a little above 1. Where maintenance margin is half a percent of value,
a health of 1.25 is an eighth of a percent of price away from the end. The level here is a distance in price instead::

    level = 1 + sigmas · σ(pool, day) ÷ requirement

with the standard deviation of the pool's balance over a day, from the covariance of its symbols and what each gains per
relative move. Never below the venue's own call level. How many standard deviations is ours: ``bench/advice.py`` shows
what it is worth.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt
from typing import TYPE_CHECKING

from ringfence.numbers import ONE, ROUND_CEILING, round_to

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment
    from ringfence.study.volatility import Estimate

REACTION = 1440
"""Minutes of prices that a pool must outlast: a day. Ours."""

SIGMAS = 3.0
"""That many standard deviations of them. Crashes make several of a day's in a quarter of an hour. Ours, see bench."""

HIGHEST = Decimal(50)
"""No level above this: a pool that requires next to nothing has a health of hundreds. Ours."""

_STEP = Decimal("0.05")


def alert_level(
    assessment: Assessment, estimate: Estimate, *, minutes: float = REACTION, sigmas: float = SIGMAS
) -> Decimal | None:
    """Return the health at which to act, in steps of 0.05 up; None for a pool that requires nothing or is not known."""
    required = assessment.liquidation_requirement
    if not required or not assessment.lines:
        return None
    spread = deviation(assessment, estimate) * sqrt(minutes)
    level = ONE + Decimal(f"{sigmas * spread / float(required):.6f}")
    return min(HIGHEST, max(assessment.levels.margin_call, round_to(level, _STEP, rounding=ROUND_CEILING)))


def deviation(assessment: Assessment, estimate: Estimate) -> float:
    """Return the standard deviation of a pool's balance over a minute, in its asset."""
    slopes = dict.fromkeys(estimate.symbols, 0.0)
    for line in assessment.lines:
        slopes[line.position.symbol] += float(line.position.quantity * line.contract_value)
    weights = [slopes[symbol] for symbol in estimate.symbols]
    variance = sum(
        a * b * cell
        for a, row in zip(weights, estimate.covariance, strict=True)
        for b, cell in zip(weights, row, strict=True)
        if a and b
    )
    return sqrt(max(0.0, variance))


__all__ = ["HIGHEST", "REACTION", "SIGMAS", "alert_level", "deviation"]
