"""A portfolio account's surplus over many prices at once: exact points on a curve per coin, straight between them.

A requirement by scenarios has no formula that arrays could be put into. Units do not offset one another, so the surplus
(balance − requirement) changes coin by coin: each coin's change is assessed exactly at :data:`POINTS` prices from a
twentieth to six times its own, its risk unit moving as one, and read off between them. In floats: for likelihoods and
comparisons over many paths, never for a decision.
"""

from __future__ import annotations

from math import exp, log
from typing import TYPE_CHECKING, Any

from ringfence.margin.assess import assess
from ringfence.margin.portfolio.marks import scaled_marks
from ringfence.numbers import ONE, PRICE_PLACES, divide, exact

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.margin.assess import Assessment

POINTS = 81
_LEAST, _MOST = 0.05, 6.0


class Curve:
    """The change of a pool's surplus with the price of one coin, whose price is that of ``symbol``."""

    def __init__(self, assessment: Assessment, coin: str) -> None:
        lines = [line for line in assessment.lines if line.contract.risk_unit == coin]
        leading = next((line for line in lines if not line.contract.option), lines[0])
        self.symbol, self.mark = leading.position.symbol, float(leading.mark_price)
        self.factors, self.changes = _points(assessment, [line.position.symbol for line in lines])

    def change(self, np: Any, prices: Any) -> Any:
        """Return the change of the surplus at an array of prices of :attr:`symbol`."""
        return np.interp(np.log(prices / self.mark), self.factors, self.changes)


def curves(assessment: Assessment) -> tuple[Curve, ...]:
    """Return one curve per coin of an assessed portfolio pool."""
    return tuple(
        Curve(assessment, coin) for coin in dict.fromkeys(line.contract.risk_unit for line in assessment.lines)
    )


@exact
def _points(assessment: Assessment, symbols: list[str]) -> tuple[list[float], list[float]]:
    found = assessment.portfolio
    assert found is not None, "a curve is of a portfolio account"  # noqa: S101
    marks = {line.position.symbol: line.mark_price for line in assessment.lines}
    here = _surplus(assessment)
    logs = sorted({0.0, *(log(_LEAST) + (log(_MOST) - log(_LEAST)) * n / (POINTS - 1) for n in range(POINTS))})
    changes = []
    for place in logs:
        factor = divide(ONE * round(exp(place) * 10**9), ONE * 10**9, places=PRICE_PLACES)
        moved = scaled_marks(assessment.pool, marks, found.rulebook.contract, dict.fromkeys(symbols, factor))
        changes.append(float(_surplus(assess(assessment.pool, moved, found.rulebook, known=found.known)) - here))
    return logs, changes


def _surplus(assessment: Assessment) -> Decimal:
    return (assessment.balance_held_against or ONE * 0) - (assessment.liquidation_requirement or ONE * 0)


__all__ = ["POINTS", "Curve", "curves"]
