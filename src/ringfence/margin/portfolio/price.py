"""At which price of a coin a portfolio account is liquidated, by search on the exact requirement.

The surplus of equity over the requirement is piecewise in the price, with a piece for every scenario that can become
the worst and, with options, curved pieces: there is no equation to solve. The declared method: the risk unit moves as
one (:mod:`ringfence.margin.portfolio.marks`), every contract of it by the same factor, other units stay. Outward from
the marks the account is assessed at :data:`STEPS_DOWN` equal steps down to nothing and at :data:`STEPS_UP` up to
:data:`FURTHEST` times the price; in the first step at whose ends the status differs, the price is narrowed down to one
tick. The unit's other contracts have the price that belongs to the same factor, narrowed down on their own tick. So
both sides are exact: at the price returned the account is liquidatable, one tick nearer to the mark it is not. What
dies and recovers within one step can be passed over.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.assess import assess
from ringfence.margin.portfolio.crossing import narrowed
from ringfence.margin.portfolio.parts import Parts, Totals, separable
from ringfence.numbers import (
    ONE,
    PRICE_PLACES,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ZERO,
    divide,
    exact,
    round_to,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ringfence.account import Marks
    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.margin.portfolio.parts import Part
    from ringfence.numbers import Price, Rate

STEPS_DOWN = 64
STEPS_UP = 64
FURTHEST = 4
_DOUBLINGS = 8  # how often a bracket around a price that is nearly known is doubled
_STEP_PLACES = 8  # significant places of a price whose step is not known


class UnitPrices:
    """At which prices of its contracts an assessed portfolio account's health reaches a level.

    What was computed at a price of one coin is kept for other levels, and for other marks of the other coins.
    """

    def __init__(self, assessment: Assessment) -> None:
        portfolio = assessment.portfolio
        assert portfolio is not None, "only a portfolio account moves by risk units"  # noqa: S101
        self._assessment, self._rulebook, self._known = assessment, portfolio.rulebook, portfolio.known
        self.parts = Parts(assessment) if separable(assessment) else None
        self._lines: dict[str, PositionLine] = {line.position.symbol: line for line in assessment.lines}
        self._marks = {symbol: line.mark_price for symbol, line in self._lines.items()}
        self._units: dict[str, list[tuple[str, Price, bool]]] = {}
        for symbol, line in self._lines.items():
            unit = self._units.setdefault(line.contract.risk_unit, [])
            unit.append((symbol, line.mark_price, line.contract.option))
        self._there: dict[str, dict[Price, Part]] = {}
        self._tried: dict[str, list[Price]] = {}
        self._found: dict[tuple[str, Rate], tuple[Price | None, Price | None]] = {}

    @exact
    def of(self, symbol: str, health: Rate, others: Marks | None = None) -> tuple[Price | None, Price | None]:
        """Return the price of ``symbol`` below and above its mark where the account's health reaches ``health``.

        ``others``: marks of the other coins' contracts, where they are not the account's own. None where there is no
        such price, and for options, whose premium no unit moves by. An account that is below ``health`` already gets
        the prices at which it would be so no more.
        """
        if others:
            return self._searched(symbol, {**self._marks, **others}, (health,))[0]
        if (symbol, health) not in self._found:
            self._found[symbol, health] = self._searched(symbol, self._marks, (health,))[0]
        return self._found[symbol, health]

    @exact
    def at_levels(
        self, symbol: str, levels: tuple[Rate, ...], others: Marks
    ) -> list[tuple[Price | None, Price | None]]:
        """Return :meth:`of` for several levels, which share what is computed at each price."""
        return self._searched(symbol, {**self._marks, **others}, levels)

    def _searched(
        self, symbol: str, marks: Mapping[str, Price], levels: tuple[Rate, ...]
    ) -> list[tuple[Price | None, Price | None]]:
        line = self._lines[symbol]
        if line.contract.option or self._assessment.balance_held_against is None:
            return [(None, None) for _ in levels]
        leader = next(
            other for other in self._lines.values()
            if not other.contract.option and other.contract.risk_unit == line.contract.risk_unit
        )  # fmt: skip
        courses = {name: self._course(name, marks) for name in {symbol, leader.position.symbol}}
        here = courses[symbol].at(line.mark_price)
        found = []
        for health in levels:
            dead = _dead(self._assessment, here, health)
            own, first = (_Search(courses[name], health, dead=dead) for name in (symbol, leader.position.symbol))
            below, above = first.crossing(down=True), first.crossing(down=False)
            if leader.position.symbol != symbol:  # the unit moves as one: its leader's price says by which factor
                below, above = (
                    None if price is None else own.crossing_near(
                        divide(price * line.mark_price, leader.mark_price, places=PRICE_PLACES), down=down
                    )
                    for price, down in ((below, True), (above, False))
                )  # fmt: skip
            found.append((above, below) if dead else (below, above))
        return found

    def _course(self, symbol: str, marks: Mapping[str, Price]) -> _Course:
        line = self._lines[symbol]
        tried = self._tried.setdefault(symbol, [])
        return _Course(self._assessment, line.mark_price, line.contract, self._totals(symbol, marks), tried, {})

    def _totals(self, symbol: str, marks: Mapping[str, Price]) -> Callable[[Price], Totals]:
        """Return what the account's totals are at a price of ``symbol``, other coins at their ``marks``."""
        parts, coin = self.parts, self._lines[symbol].contract.risk_unit
        if parts is None:

            def whole(price: Price) -> Totals:
                at = {**marks, **self._moved(symbol, price)}
                found = assess(self._assessment.pool, at, self._rulebook, known=self._known)
                return Totals(found.balance_held_against or ZERO, found.liquidation_requirement or ZERO)

            return whole
        others = [parts.part(other, marks) for other in parts.held if other != coin]
        there = self._there.setdefault(symbol, {})

        def totals(price: Price) -> Totals:
            if price not in there:
                there[price] = parts.part(coin, self._moved(symbol, price))
            return parts.together([there[price], *others])

        return totals

    def _moved(self, symbol: str, price: Price) -> dict[str, Price]:
        """Return the marks of the unit of ``symbol`` where that is at ``price`` and the unit moved with it."""
        moved = self._lines[symbol]
        factor = divide(price, moved.mark_price, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
        unit = self._units[moved.contract.risk_unit]
        return {name: mark if option else mark * factor for name, mark, option in unit}


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


def _dead(assessment: Assessment, totals: Totals, health: Rate) -> bool:
    """Whether an account's health is at ``health`` or below, or just below it, by its venue's trigger."""
    if not totals.required:
        return bool(totals.balance < 0)
    surplus = totals.balance - health * totals.required
    return bool(surplus < 0 or (not surplus and assessment.policies.trigger == "at_or_below"))


class _Course(NamedTuple):
    """An account along the prices of one contract. ``tried``: prices whose part is known, rising; ``known``: totals."""

    assessment: Assessment
    mark: Price
    contract: Contract
    totals: Callable[[Price], Totals]
    tried: list[Price]
    known: dict[Price, Totals]

    def at(self, price: Price) -> Totals:
        """Return the account's totals at a price of the contract."""
        found = self.known.get(price)
        if found is None:
            found = self.known[price] = self.totals(price)
            place = bisect_left(self.tried, price)
            if place == len(self.tried) or self.tried[place] != price:
                insort(self.tried, price)
        return found


class _Search:
    """A search outward from a mark for where the status changes."""

    def __init__(self, course: _Course, health: Rate, *, dead: bool) -> None:
        self.course, self.mark, self.health, self.dead = course, course.mark, health, dead
        self.step = price_step(course.contract, course.mark)

    def is_dead(self, price: Price) -> bool:
        """Whether the pool is liquidatable at a price of the symbol."""
        return _dead(self.course.assessment, self.course.at(price), self.health)

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
                return self._narrowed(near, price)
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
                return self._narrowed(near, far)
        return self.crossing(down=down)

    def _narrowed(self, same: Price, other: Price) -> Price:
        """Return the dead one of the two neighbouring prices between which the status changes."""
        same, other = narrowed(
            same, other, step=self.step, tried=self.course.tried,
            changed=lambda price: self.is_dead(price) != self.dead, surplus=self._surplus,
        )  # fmt: skip
        return same if self.dead else other

    def _surplus(self, price: Price) -> float:
        totals = self.course.at(price)
        return float(totals.balance - self.health * totals.required)


__all__ = ["FURTHEST", "STEPS_DOWN", "STEPS_UP", "UnitPrices", "marks_with", "price_step"]
