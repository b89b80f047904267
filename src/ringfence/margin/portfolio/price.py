"""At which price of a coin a portfolio account is liquidated, by search on the exact requirement.

The surplus of equity over the requirement is piecewise in the price, with a piece for every scenario that can become
the worst and, with options, curved pieces: there is no equation to solve. The declared method: the risk unit moves as
one (:mod:`ringfence.margin.portfolio.marks`), every contract of it by the same factor, other units stay. Outward from
the marks the account is assessed at :data:`STEPS_DOWN` equal steps down to nothing and at :data:`STEPS_UP` up to
:data:`FURTHEST` times the price; in the first step at whose ends the status differs, the price is bisected to one tick.
The unit's other contracts have the price that belongs to the same factor, bisected on their own tick. So both sides are
exact: at the price returned the account is liquidatable, one tick nearer to the mark it is not. What dies and recovers
within one step can be passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.numbers import ONE, PRICE_PLACES, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, divide, round_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price

STEPS_DOWN = 64
STEPS_UP = 64
FURTHEST = 4
_DOUBLINGS = 8  # how often a bracket around a price that is nearly known is doubled
_STEP_PLACES = 8  # significant places of a price whose step is not known


def prices_of(
    assessment: Assessment, symbol: str, *, health: Decimal, assess_at: Callable[[dict[str, Price]], Assessment]
) -> tuple[Price | None, Price | None]:
    """Return the price of ``symbol`` below and above its mark where the pool's health reaches ``health``.

    None where there is no such price, and for options, whose premium no unit moves by. ``assess_at`` assesses the pool
    at other marks. A pool that is below ``health`` already gets the prices at which it would be so no more.
    """
    portfolio = assessment.portfolio
    assert portfolio is not None  # noqa: S101 - the caller asks a portfolio account
    if (symbol, health) not in portfolio.prices:
        portfolio.prices[symbol, health] = _searched(assessment, symbol, health, assess_at)
    return portfolio.prices[symbol, health]


def _searched(
    assessment: Assessment, symbol: str, health: Decimal, assess_at: Callable[[dict[str, Price]], Assessment]
) -> tuple[Price | None, Price | None]:
    line = next(line for line in assessment.lines if line.position.symbol == symbol)
    if line.contract.option or assessment.balance_held_against is None:
        return None, None
    search = _Search(
        line.mark_price, line.contract, health,
        lambda price: assess_at(marks_with(assessment, symbol, price)), dead=_dead(assessment, health),
    )  # fmt: skip
    leader = next(
        other for other in assessment.lines
        if not other.contract.option and other.contract.risk_unit == line.contract.risk_unit
    )  # fmt: skip
    if leader.position.symbol == symbol:
        below, above = search.crossing(down=True), search.crossing(down=False)
    else:  # the unit moves as one: its leading contract's price says by which factor
        first = prices_of(assessment, leader.position.symbol, health=health, assess_at=assess_at)
        below, above = (
            None if price is None else
            search.crossing_near(divide(price * line.mark_price, leader.mark_price, places=PRICE_PLACES), down=down)
            for price, down in zip(first[::-1] if search.dead else first, (True, False), strict=True)
        )  # fmt: skip
    return (above, below) if search.dead else (below, above)


def marks_with(assessment: Assessment, symbol: str, price: Price) -> dict[str, Price]:
    """Return a pool's marks where ``symbol`` is at ``price`` and its whole risk unit moved by the same factor."""
    lines = {line.position.symbol: line for line in assessment.lines}
    moved = lines[symbol]
    factor = divide(price, moved.mark_price, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
    unit = moved.contract.risk_unit
    return {
        other: line.mark_price * factor
        if line.contract.risk_unit == unit and not line.contract.option
        else line.mark_price
        for other, line in lines.items()
    }


def price_step(contract: Contract, mark: Price) -> Price:
    """Return the tick that a price is searched to: the contract's, or eight significant places of its mark."""
    return contract.price_step or ONE.scaleb(mark.adjusted() + 1 - _STEP_PLACES)


def _dead(assessment: Assessment, health: Decimal) -> bool:
    """Whether a pool's health is at ``health`` or below, or just below it, by its venue's trigger."""
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    assert balance is not None  # noqa: S101 - asked before
    assert required is not None  # noqa: S101 - a portfolio's requirement is known
    if not required:
        return bool(balance < 0)
    surplus = balance - health * required
    return bool(surplus < 0 or (not surplus and assessment.policies.trigger == "at_or_below"))


class _Search:
    """A search outward from a mark for where the status changes."""

    def __init__(
        self, mark: Price, contract: Contract, health: Decimal, at: Callable[[Price], Assessment], *, dead: bool
    ) -> None:
        self.mark, self.health, self.at, self.dead = mark, health, at, dead
        self.step = price_step(contract, mark)
        self.known: dict[Price, bool] = {}

    def is_dead(self, price: Price) -> bool:
        """Whether the pool is liquidatable at a price of the symbol."""
        if price not in self.known:
            self.known[price] = _dead(self.at(price), self.health)
        return self.known[price]

    def _ladder(self, *, down: bool) -> Iterator[Price]:
        """Yield prices outward from the mark, on the price step, ever further."""
        reach = self.mark if down else self.mark * (FURTHEST - 1)
        for place in range(1, (STEPS_DOWN if down else STEPS_UP) + 1):
            away = divide(reach * place, ONE * (STEPS_DOWN if down else STEPS_UP), places=PRICE_PLACES)
            raw = self.mark - away if down else self.mark + away
            yield max(self.step, round_to(raw, self.step, rounding=ROUND_FLOOR if down else ROUND_CEILING))

    def crossing(self, *, down: bool) -> Price | None:
        """Return the dead price next to where the status changes first, or None where it never does."""
        near = self.mark
        for price in self._ladder(down=down):
            if price == near:
                continue
            if self.is_dead(price) != self.dead:
                return self._bisected(near, price)
            near = price
        return None

    def crossing_near(self, price: Price, *, down: bool) -> Price | None:
        """Return the same as :meth:`crossing`, known to be near ``price``; where it is not, search from the mark."""
        centre, outward = round_to(price, self.step, rounding=ROUND_HALF_EVEN), -self.step if down else self.step
        for doubling in range(_DOUBLINGS):
            near, far = centre - outward * 2**doubling, centre + outward * 2**doubling
            if far <= 0 or (near >= self.mark if down else near <= self.mark):
                break
            if self.is_dead(near) == self.dead and self.is_dead(far) != self.dead:
                return self._bisected(near, far)
        return self.crossing(down=down)

    def _bisected(self, same: Price, other: Price) -> Price:
        """Return the dead one of the two neighbouring prices between which the status changes."""
        while abs(other - same) > self.step:
            middle = round_to((same + other) * _HALF, self.step, rounding=ROUND_HALF_EVEN)
            if middle in (same, other):
                break
            if self.is_dead(middle) == self.dead:
                same = middle
            else:
                other = middle
        return same if self.dead else other


_HALF = divide(ONE, ONE + ONE, places=1)

__all__ = ["FURTHEST", "STEPS_DOWN", "STEPS_UP", "marks_with", "price_step", "prices_of"]
