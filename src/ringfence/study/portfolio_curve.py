"""A portfolio account's surplus over many prices at once: exact points on a curve per coin, straight between them.

A requirement by scenarios has no formula that arrays could be put into. Units do not offset one another, so the surplus
(balance − requirement) changes coin by coin: each coin's change is assessed exactly at :data:`POINTS` prices from a
twentieth to six times its own, its risk unit moving as one, and read off between them. They are closest where prices
are likeliest, 1 % apart up to 40 % around today's: options near their expiry bend the curve within a few percent. In
floats: for likelihoods and comparisons over many paths, never for a decision.
"""

from __future__ import annotations

from math import ceil, copysign, exp, log
from typing import TYPE_CHECKING, Any

from ringfence.margin.assess import assess
from ringfence.margin.portfolio.marks import scaled_marks
from ringfence.margin.price import unit_prices
from ringfence.numbers import ONE, PRICE_PLACES, ZERO, divide, exact

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.margin.assessment import Assessment

LEAST, MOST = 0.05, 6.0
_NEAR, _FINE, _WIDE = 0.4, 0.01, 0.06  # in logarithms: how far points are close together, how far apart there, beyond


class Curve:
    """The change of a pool's surplus and balance with the price of one coin, whose price is that of ``symbol``."""

    def __init__(self, assessment: Assessment, coin: str) -> None:
        lines = [line for line in assessment.lines if line.contract.risk_unit == coin]
        leading = next((line for line in lines if not line.contract.option), lines[0])
        self.symbol, self.mark = leading.position.symbol, float(leading.mark_price)
        self.coin = coin
        self.factors, self.changes, self.gains = _points(assessment, coin, [line.position.symbol for line in lines])

    def change(self, np: Any, prices: Any) -> Any:
        """Return the change of the surplus at an array of prices of :attr:`symbol`."""
        return np.interp(np.log(prices / self.mark), self.factors, self.changes)

    def gain(self, np: Any, prices: Any) -> Any:
        """Return the change of the margin balance, options at their value, at an array of prices."""
        return np.interp(np.log(prices / self.mark), self.factors, self.gains)


def curves(assessment: Assessment) -> tuple[Curve, ...]:
    """Return one curve per coin of an assessed portfolio pool."""
    return tuple(
        Curve(assessment, coin) for coin in dict.fromkeys(line.contract.risk_unit for line in assessment.lines)
    )


@exact
def _points(assessment: Assessment, coin: str, symbols: list[str]) -> tuple[list[float], list[float], list[float]]:
    found = assessment.portfolio
    assert found is not None, "a curve is of a portfolio account"  # noqa: S101
    marks = {line.position.symbol: line.mark_price for line in assessment.lines}
    parts = unit_prices(assessment).parts
    others = [] if parts is None else [parts.part(other, marks) for other in parts.held if other != coin]
    here, held = surplus_of(assessment), assessment.margin_balance or ZERO
    logs = places()
    changes, gains = [], []
    for place in logs:
        factor = factor_of(exp(place))
        moved = scaled_marks(assessment.pool, marks, found.rulebook.contract, dict.fromkeys(symbols, factor))
        if parts is not None:
            balance, required, lost = parts.together([parts.part(coin, moved), *others])
            changes.append(float(balance - required - here))
            gains.append(float(balance + lost - held))
            continue
        after = assess(assessment.pool, moved, found.rulebook, known=found.known)
        changes.append(float(surplus_of(after) - here))
        gains.append(float((after.margin_balance or ZERO) - held))
    return logs, changes, gains


def places() -> list[float]:
    """Return the logarithms of the ratios of a price at which points are, rising, 0 among them."""
    inside = round(_NEAR / _FINE)
    found = [_FINE * n for n in range(-inside, inside + 1)]
    for end in (log(LEAST), log(MOST)):
        reach = abs(end) - _NEAR
        steps = ceil(reach / _WIDE)
        found += [copysign(_NEAR + reach * n / steps, end) for n in range(1, steps + 1)]
    return sorted(found)


POINTS = len(places())


@exact
def factor_of(ratio: float) -> Decimal:
    """Return the factor of a price nearest to ``ratio``, to a billionth."""
    return divide(ONE * round(ratio * 10**9), ONE * 10**9, places=PRICE_PLACES)


@exact
def surplus_of(assessment: Assessment) -> Decimal:
    """Return balance − requirement of an assessed pool; what is not known counts as 0."""
    return (assessment.balance_held_against or ZERO) - (assessment.liquidation_requirement or ZERO)


__all__ = ["LEAST", "MOST", "POINTS", "Curve", "curves", "factor_of", "places", "surplus_of"]
