"""Where a pool's surplus changes sign when the values of its contracts move together along a line.

Let every contract value be ``start + rate · t``. What a pool holds above a multiple of its requirement is then
piecewise linear in ``t``: PnL is linear in contract values for every kind of contract, so is the requirement within a
tier, and an asset of a basket only changes slope where its equity turns from credit to debt or reaches a discount
tier. :meth:`Walk.crossing` starts where the tiers are known and walks outward, segment by segment, changing tier where
a tier's floor is reached, until the surplus changes sign. A root is thus accepted only inside its own tier, and the
jump of a step tier is found as the point it is.

One symbol's price (:mod:`~ringfence.margin.price`) is the line on which only its contracts move, with ``t`` the value
of one contract; a combined move (:mod:`~ringfence.margin.move`) is the line on which all do, with ``t`` the move.
Points are fractions (numerator, denominator > 0): comparisons cross-multiply and nothing is rounded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.margin.lines import Charge
    from ringfence.numbers import UnitValue

Point: TypeAlias = "tuple[Decimal, Decimal]"

_LONGEST_WALK = 100_000  # segments: a ladder has some hundred tiers at most, a pool some hundred legs


class Leg(NamedTuple):
    """A position on the line: its charge, its contract value ``start + rate · t``, and its tier where the walk begins.

    ``weight``: what one unit of its requirement takes off the surplus, i.e. the health asked for, times the price at
    which a basket charges its settlement asset. Where that price moves along, the weight is ``weight · (unit + turn ·
    t)``, and the contract value ``(start + rate · t) ÷ (unit + turn · t)``, so that their product stays a line.
    """

    charge: Charge
    start: UnitValue
    rate: Decimal
    weight: Decimal
    tier: int
    unit: Decimal = ONE
    turn: Decimal = ZERO

    @property
    def heading(self) -> Decimal:
        """The sign of this is that of the contract value's change along the line; 0: it stays."""
        return self.rate * self.unit - self.start * self.turn


class Equity(NamedTuple):
    """An amount ``constant + slope · t`` along the line, and what a unit of it counts for by its sign.

    Cash and PnL of one asset; of a basket's, credit and debit differ. A fee that is due only on one side of a value is
    one too.
    """

    slope: Decimal
    constant: Decimal
    credit: Decimal = ONE
    debit: Decimal = ONE


class Hinge(NamedTuple):
    """What is added above a bend: ``weight · max(0, constant + slope · t)``, as where a discount tier begins."""

    weight: Decimal
    slope: Decimal
    constant: Decimal


class Walk:
    """A pool's surplus along a line. ``constant``: what does not move (others' requirement, other assets)."""

    __slots__ = ("_begin", "_bent", "_climbing", "_constant", "_slope", "_tiers", "legs")

    def __init__(
        self,
        legs: tuple[Leg, ...],
        equities: tuple[Equity, ...],
        constant: Decimal,
        hinges: tuple[Hinge, ...] = (),
    ) -> None:
        self.legs = legs
        self._slope, self._constant = ZERO, constant
        self._bent: list[Hinge] = []  # what counts for more on one side of 0
        for part_slope, part_constant, credit, debit in equities:
            self._slope += debit * part_slope
            self._constant += debit * part_constant
            if credit is not debit:
                self._bend(Hinge(credit - debit, part_slope, part_constant))
        for hinge in hinges:
            self._bend(hinge)
        self._climbing = [(index, leg) for index, leg in enumerate(legs) if _changes_tier(leg)]
        self._begin = [leg.tier for leg in legs]
        self._tiers: list[int] = []

    def _bend(self, hinge: Hinge) -> None:
        if hinge.weight and hinge.slope:
            self._bent.append(hinge)
        elif hinge.weight:
            self._constant += hinge.weight * max(ZERO, hinge.constant)

    def sign(self, at: Decimal) -> int:
        """Return the sign of the surplus at ``at``, where the legs' tiers hold."""
        self._tiers = self._begin[:]
        return _sign_at(at, self._terms((at, ONE), upward=True))

    def crossing(self, begin: Decimal, *, upward: bool) -> Point | None:
        """Return the point nearest to ``begin``, in one direction, where the surplus changes sign, or None.

        Begins where the legs' tiers hold. Where the surplus is 0 to begin with, that is the point if the surplus falls
        in that direction; otherwise the walk goes on as from a positive surplus. Below the lowest tier's floor the
        lowest tier goes on. None also where the walk reaches a tier whose rate is not known.
        """
        return self._crossing(begin, self.sign(begin), None, upward=upward)

    def crossings(self, begin: Decimal) -> tuple[int, Point | None, Point | None]:
        """Return the sign at ``begin``, and the crossings down and up from there: the same as asking for each alone."""
        self._tiers = self._begin[:]
        terms = self._terms((begin, ONE), upward=True)
        sign = _sign_at(begin, terms)
        both = None if self._bent else terms  # a bend at the very point is another segment downward
        return (
            sign,
            self._crossing(begin, sign, both, upward=False),
            self._crossing(begin, sign, both, upward=True),
        )

    def _crossing(
        self, begin: Decimal, sign: int, terms: tuple[Decimal, Decimal] | None, *, upward: bool
    ) -> Point | None:
        """Return :meth:`crossing`, the sign at ``begin`` known and, where given, the segment's slope and constant."""
        if sign > 0 and self._only_rises(upward=upward):
            return None
        sign = sign or 1
        point: Point = (begin, ONE)
        self._tiers = self._begin[:]
        edge, steps = self._next_edge(point, upward=upward)
        for _ in range(_LONGEST_WALK):
            if terms is None:
                terms = self._terms(point, upward=upward)
            if terms is None:
                return None
            slope, constant = terms
            here = (slope * point[0] + constant * point[1]) * sign
            nearing = (slope * sign < 0) == upward and bool(slope)  # going toward a change of sign
            if here < 0:
                return point  # the requirement jumped at this edge
            if edge is None:
                return root(slope, constant) if nearing else None
            if nearing and (slope * edge[0] + constant * edge[1]) * sign <= 0:
                return root(slope, constant)
            point = edge
            edge, steps = self._enter(point, steps, upward=upward)
            terms = None
        raise AssertionError("a walk over the tiers did not end")

    def _only_rises(self, *, upward: bool) -> bool:
        """Whether the surplus cannot fall anywhere ahead, so that a positive one has no crossing there.

        Where every ladder is smooth (:class:`~ringfence.rulebook.TierTable`) the surplus is concave: its slope falls
        from tier to tier. So the slope of the last segment ahead, upward the least and downward the greatest, decides
        for all of them. This spares a long the walk over all higher tiers, and a short that over all lower ones.
        """
        if self._bent:
            return False
        slope = self._slope
        for leg in self.legs:
            if leg.turn:
                return False
            charge = leg.charge
            per_value = charge.fee_slope
            if charge.moving and charge.flat_rate is not None:
                per_value += charge.size * (charge.flat_rate + charge.funding)
            elif charge.moving and charge.size and charge.table is not None:
                if not charge.table.smooth or charge.tier_slope != charge.size or charge.tier_offset:
                    return False  # looked up by another amount than is charged, a smooth ladder jumps too
                row = charge.table.tiers[-1 if upward == (leg.rate > 0) else 0]
                per_value += charge.size * ((row.maintenance_rate or ZERO) + charge.funding)
            slope -= leg.weight * per_value * leg.rate
        return slope >= 0 if upward else slope <= 0

    def _enter(
        self, point: Point, steps: list[tuple[int, int]], *, upward: bool
    ) -> tuple[Point | None, list[tuple[int, int]]]:
        """Change tiers at ``point`` and return the edge after it."""
        for index, step in steps:
            self._tiers[index] += step
        return self._next_edge(point, upward=upward)

    def _terms(self, point: Point, *, upward: bool) -> tuple[Decimal, Decimal] | None:
        """Return (slope, constant) of the surplus in the segment from ``point`` on; None where a rate is not known."""
        slope, constant = self._slope, self._constant
        for hinge in self._bent:
            if _positive(hinge, point, upward):
                slope += hinge.weight * hinge.slope
                constant += hinge.weight * hinge.constant
        for leg, tier in zip(self.legs, self._tiers, strict=True):
            charge = leg.charge
            per_value, fixed = charge.fee_slope, charge.fee
            if not charge.moving:
                fixed += charge.fixed or ZERO
            elif charge.flat_rate is not None:
                per_value += charge.size * (charge.flat_rate + charge.funding)
            elif charge.size and charge.table is not None:
                row = charge.table.tiers[tier]
                if row.maintenance_rate is None:
                    return None
                per_value += charge.size * (row.maintenance_rate + charge.funding)
                fixed -= row.deduction
            slope -= leg.weight * (per_value * leg.rate + fixed * leg.turn)
            constant -= leg.weight * (per_value * leg.start + fixed * leg.unit)
        return slope, constant

    def _next_edge(self, point: Point, *, upward: bool) -> tuple[Point | None, list[tuple[int, int]]]:
        """Return the nearest point where a leg changes tier or an amount changes sign, and the tier steps there."""
        best: Point | None = None
        steps: list[tuple[int, int]] = []
        for index, leg in self._climbing:
            charge = leg.charge
            floors = charge.table.floors if charge.table is not None else ()
            rising = upward == (leg.heading > 0)
            number = self._tiers[index] + rising  # the floor to be reached: the next tier's, or this one's going down
            if number >= len(floors) or number == 0:
                continue
            above = floors[number] - charge.tier_offset  # of the contract value, by the slope
            slope = charge.tier_slope * leg.rate - above * leg.turn
            if not slope:
                continue  # this value is never reached
            edge = fraction(above * leg.unit - charge.tier_slope * leg.start, slope)
            if leg.turn and _ahead(point, edge, upward=upward):
                continue  # beyond the place where the contract value has no bounds
            if best is None or _ahead(best, edge, upward=upward):
                best, steps = edge, [(index, 1 if rising else -1)]
            elif not _ahead(edge, best, upward=upward):
                steps.append((index, 1 if rising else -1))
        for hinge in self._bent:
            zero = root(hinge.slope, hinge.constant)
            if (
                zero is not None
                and _ahead(zero, point, upward=upward)
                and (best is None or _ahead(best, zero, upward=upward))
            ):
                best, steps = zero, []
        return best, steps


def _sign_at(at: Decimal, terms: tuple[Decimal, Decimal] | None) -> int:
    """Return the sign of ``slope · at + constant``; 0 where a rate is not known."""
    if terms is None:
        return 0
    total = terms[0] * at + terms[1]
    return (total > 0) - (total < 0)


def _changes_tier(leg: Leg) -> bool:
    charge = leg.charge
    by_tier = charge.moving and charge.flat_rate is None and charge.table is not None
    return bool(by_tier and charge.tier_slope and leg.heading)


def _positive(hinge: Hinge, point: Point, upward: bool) -> bool:  # noqa: FBT001 - private
    """Whether an amount is above its bend just past ``point`` in the walk's direction."""
    at = hinge.slope * point[0] + hinge.constant * point[1]
    return bool(at > 0) if at else bool((hinge.slope > 0) == upward)


def fraction(numerator: Decimal, denominator: Decimal) -> Point:
    """Return a point with its denominator made positive; a denominator of 0 is the caller's bug."""
    return (numerator, denominator) if denominator > 0 else (-numerator, -denominator)


def root(slope: Decimal, constant: Decimal) -> Point | None:
    """Return where ``slope · t + constant`` is 0, or None where it nowhere crosses it."""
    return fraction(-constant, slope) if slope else None


def _ahead(point: Point, origin: Point, *, upward: bool) -> bool:
    """Whether ``point`` lies strictly beyond ``origin`` in the direction of the walk."""
    left, right = point[0] * origin[1], origin[0] * point[1]
    return bool(left > right) if upward else bool(left < right)


__all__ = ["Equity", "Hinge", "Leg", "Point", "Walk", "root"]
