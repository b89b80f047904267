"""A basket along a line of prices: what its assets count for while their own index prices move with a mark.

**Convention.** When a mark moves by a ratio, the index of every asset that moves with its coin moves by the same ratio
(:attr:`~ringfence.account.Collateral.moves_with`: BTC with BTCUSDT and BTCUSD; a stable coin with nothing): BTC that
backs BTC positions falls with them. Where only one symbol moves, the marks of other symbols stay, of the same coin too.

The pool's surplus stays piecewise linear on a line if it is taken times a number above 0, which changes neither its
sign nor its roots. With ``v`` the value of one contract, ``v₀`` at the mark:

==============================  =================  ================================  ==============================
contract                        surplus taken      index that moves, scaled          index that stays, scaled
==============================  =================  ================================  ==============================
linear, settled in what stays   times ``v₀``       ``index · v``                     ``index · v₀``
inverse, settled in its coin    times ``v``        ``index · v₀``                    ``index · v``
==============================  =================  ================================  ==============================

A contract whose own settlement asset moves otherwise (a linear one settled in its coin, an inverse one settled in
another asset while something moves) has no such number; there the indices are held fixed, and :func:`moving_with` says
so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing, Requirement
from ringfence.contract import coin
from ringfence.margin.walk import Equity, Hinge, Leg, Walk
from ringfence.numbers import ONE, ROUND_CEILING, VALUE_PLACES, ZERO, divide, exact

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Collateral, Marks, Pool
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import AssetLine, PositionLine
    from ringfence.numbers import Price, Value


class Line(NamedTuple):
    """A number along the walk: ``constant + slope · t``."""

    slope: Decimal
    constant: Decimal

    def times(self, other: Line) -> Line:
        """Return the product; one of the two must stay where it is, or there is no line."""
        assert not (self.slope and other.slope), "a product of two moving numbers is no line"  # noqa: S101
        slope = self.slope * other.constant + self.constant * other.slope
        return Line(slope, self.constant * other.constant)

    def by(self, factor: Decimal) -> Line:
        """Return the line times a number."""
        return Line(self.slope * factor, self.constant * factor)


class Scale(NamedTuple):
    """What the surplus is taken times (``scale``), and the same times the change of an index that moves or stays."""

    scale: Line
    moving: Line
    staying: Line


STILL = Scale(Line(ZERO, ONE), Line(ZERO, ONE), Line(ZERO, ONE))  #: nothing moves but the contract


def moving_assets(pool: Pool, symbol: str) -> tuple[str, ...]:
    """Return the assets of a basket whose index moves with the mark of ``symbol``, by declaration."""
    if pool.mode.backing is not Backing.BASKET:
        return ()
    named = coin(symbol)
    return tuple([asset for asset, terms in pool.collateral.items() if terms.moves_with == named])


class Moving(NamedTuple):
    """The assets of a basket whose index moves one to one with a symbol's mark.

    ``held``: the indices stay all the same, where the surplus would be no line: see the table above.
    """

    assets: tuple[str, ...]
    held: bool


def moving_with(assessment: Assessment, symbol: str) -> Moving:
    """Return which indices move with a symbol of an assessed pool when its price is solved for."""
    assets = moving_assets(assessment.pool, symbol)
    lines = [line for line in assessment.lines if line.position.symbol == symbol]
    return Moving(assets, held=bool(lines) and _scale(assessment, lines[0])[0] is STILL and bool(assets))


def _scale(assessment: Assessment, line: PositionLine) -> tuple[Scale, frozenset[str]]:
    """Return what the surplus is taken times while a line's symbol moves, and which assets' indices move with it."""
    contract, value = line.contract, line.contract_value
    named = moving_assets(assessment.pool, line.position.symbol)
    if not named:
        return STILL, frozenset()
    moving = frozenset(_that_matter(assessment, named))
    if not moving or (contract.settle_asset in moving) != contract.inverse:
        return STILL, frozenset()
    if contract.inverse:
        return Scale(Line(ONE, ZERO), Line(ZERO, value), Line(ONE, ZERO)), moving
    return Scale(Line(ZERO, value), Line(ONE, ZERO), Line(ZERO, value)), moving


def along_symbol(assessment: Assessment, lines: list[PositionLine], health: Decimal) -> Walk | None:
    """Return a basket's surplus over ``health`` times its requirement as one symbol's contract value moves.

    None where a balance is not known. Called inside the exact context.
    """
    contract = lines[0].contract
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    if balance is None or required is None:
        return None
    scale, moving = _scale(assessment, lines[0])
    own = _own(lines)
    index = scale.moving if contract.settle_asset in moving else scale.staying
    weight = health * assessment.pool.collateral[contract.settle_asset].ask * index.constant
    legs = tuple([Leg(line.charge, ZERO, ONE, weight, line.tier or 0) for line in lines])
    slope = constant = ZERO
    hinges: list[Hinge] = []
    for held in assessment.assets:
        if held.asset != contract.settle_asset and held.asset not in moving:
            continue  # it stays as it is and stands in the pool's sums
        at = scale.moving if held.asset in moving else scale.staying
        equity, needed = held.equity, held.liquidation_requirement
        if equity is None or held.value is None or needed is None:
            return None
        aside = set_aside(held, assessment)
        balance -= held.value - aside
        required -= needed
        amount = Line(ZERO, equity)
        if held.asset == contract.settle_asset:
            amount = Line(own.signed, equity - own.pnl - own.entries)
            needed -= own.required * held.terms.ask
        straight, bends = counted(held.terms, amount.times(at), index=at, scale=scale.scale)
        fixed = -health * needed - aside
        slope += straight.slope + at.slope * fixed
        constant += straight.constant + at.constant * fixed
        hinges += bends
    others = balance - health * required
    whole = Equity(slope + scale.staying.slope * others, constant + scale.staying.constant * others)
    return Walk(legs, (whole,), ZERO, tuple(hinges))


class _Own(NamedTuple):
    signed: Decimal
    entries: Value
    pnl: Value
    required: Value


def _own(lines: list[PositionLine]) -> _Own:
    """Return what the moving symbol's legs hold: contracts by orientation, entry values, PnL and requirement."""
    quantity = entries = pnl = required = ZERO
    for line in lines:
        quantity += line.position.quantity
        entries += line.entry_value
        pnl += line.unrealised_pnl
        required += line.liquidation_requirement or ZERO
    return _Own(quantity * lines[0].contract.orientation, entries, pnl, required)


def _that_matter(assessment: Assessment, assets: tuple[str, ...]) -> list[str]:
    """Return those of ``assets`` in which the pool holds, owes or requires anything."""
    settled = {line.contract.settle_asset for line in assessment.lines}
    return [
        held.asset
        for held in assessment.assets
        if held.asset in assets and (held.asset in settled or held.equity or held.order_margin)
    ]


def set_aside(held: AssetLine, assessment: Assessment) -> Value:
    """Return what is taken off the balance for an asset's orders before the requirement is held against it."""
    if not assessment.policies.order_margin_deducted:
        return held.opening_fees
    return held.opening_fees + (held.order_margin or ZERO)


def counted(terms: Collateral, product: Line, *, index: Line, scale: Line) -> tuple[Line, list[Hinge]]:
    """Return what an asset counts for along the line, scaled: a straight part, and a bend at 0 and at each tier.

    ``product``: the amount times ``index``, which is the change of the asset's index times the scale. An amount ``a``
    counts ``a · ask`` and, above each step's amount, the step's rate more than the one below.
    """
    slope, constant = product.slope * terms.index, product.constant * terms.index
    before = ONE + terms.ask_buffer
    straight, bends = Line(slope * before, constant * before), []
    in_unit = scale if terms.unit == "usd" else index.by(terms.index)
    for begins, rate in terms.steps():
        if rate != before:
            bends.append(Hinge(rate - before, slope - begins * in_unit.slope, constant - begins * in_unit.constant))
        before = rate
    return straight, bends


@exact
def pool_at(pool: Pool, marks: Marks, moved: Marks) -> Pool:
    """Return a basket with the index of each asset moved as its coin's mark is in ``moved``, by the convention.

    The ratio of the first symbol of the coin whose mark changed; indices are divided once, to 24 places. Other pools
    come back as they are, those of portfolio margin too: there the indices follow the marks by themselves.
    """
    from dataclasses import replace

    if pool.mode.backing is not Backing.BASKET or pool.mode.requirement is Requirement.SCENARIO:
        return pool
    ratios: dict[str, tuple[Price, Price]] = {}
    for symbol, price in moved.items():
        before = marks.get(symbol)
        if before is not None and before != price:
            ratios.setdefault(coin(symbol), (price, before))
    if not ratios:
        return pool
    collateral = {}
    for asset, terms in pool.collateral.items():
        ratio = ratios.get(terms.moves_with or "")
        index = terms.index if ratio is None else divide(terms.index * ratio[0], ratio[1], places=VALUE_PLACES)
        collateral[asset] = terms if ratio is None else replace(terms, index=index)
    return replace(pool, collateral=collateral)


@exact
def amount_for(terms: Collateral, held: Value, loss: Value) -> Value | None:
    """Return how much of an asset must go so that what ``held`` of it counts for falls by ``loss`` (< 0: rises).

    Rounded down to 24 places. None where no amount counts for so much.
    """
    target = terms.value(held) - loss
    if target <= 0:
        return held - divide(target, terms.ask, places=VALUE_PLACES, rounding=ROUND_CEILING)
    base = ONE if terms.unit == "usd" else terms.index
    per_unit = terms.index if terms.unit == "usd" else ONE
    steps = terms.steps()
    for number, (begins, rate) in enumerate(steps):
        ends = steps[number + 1][0] if number + 1 < len(steps) else None
        inside = None if ends is None else (ends - begins) * rate * base
        if rate and (inside is None or target <= inside):
            amount = divide(target, rate * base * per_unit, places=VALUE_PLACES, rounding=ROUND_CEILING)
            return held - divide(begins, per_unit, places=VALUE_PLACES, rounding=ROUND_CEILING) - amount
        if inside is None:
            return None
        target -= inside
    return None


__all__ = [
    "STILL",
    "Line",
    "Scale",
    "along_symbol",
    "amount_for",
    "counted",
    "moving_assets",
    "moving_with",
    "pool_at",
    "set_aside",
]
