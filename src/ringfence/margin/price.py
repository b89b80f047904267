"""At which price of one symbol a pool is called, liquidated and bankrupt, the marks of its other symbols fixed.

**How a price is found.** With ``v`` the value of one contract (size · price, or size ÷ price for an inverse one), what
a pool has above a multiple of its requirement is piecewise linear in ``v`` for every kind of contract: PnL is linear,
and within a tier so is the requirement. :func:`_crossing` starts at the mark, where it knows the tiers, and walks
outward segment by segment, changing tier where a tier's floor is reached, until the surplus changes sign. So a root
is accepted only inside its own tier, a jump of a step tier is found as the price it is, and the legs of a hedge move
together. Roots are kept as fractions; each price is divided and rounded once.

Sources: Binance, liquidation price of USDⓈ-M futures (FAQ b3c689c1f50a44cabb3a84e663b81d93); the venues' own forms are
listed in the rulebooks and are this equation solved for one position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing
from ringfence.margin.assess import assess, closing_rate
from ringfence.margin.formulas import break_even_value
from ringfence.numbers import (
    ONE,
    PRICE_PLACES,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    VALUE_PLACES,
    ZERO,
    divide,
    exact,
    round_to,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Marks, Pool
    from ringfence.contract import Contract
    from ringfence.margin.assess import Assessment, PositionLine
    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Policies, Rulebook

_LONGEST_WALK = 4096  # segments; a ladder has at most some hundred tiers per leg


class LiquidationPrices(NamedTuple):
    """Where one symbol's price alone liquidates a pool. None: no such price.

    The pool is liquidated at or below ``below`` and at or above ``above`` (just past them where the venue's trigger is
    strict), other marks fixed. For a pool that is liquidatable already they are the prices at which it would stop
    being so. ``rounded``: whether the contract's price step was known and its venue rounds to it.
    """

    below: Price | None
    above: Price | None
    rounded: bool

    def of_side(self, side: str) -> Price | None:
        """Return the price that a ``long`` (below) or a ``short`` (above) is shown, or the other one if it has none."""
        first, other = (self.below, self.above) if side == "long" else (self.above, self.below)
        return first if first is not None else other


def liquidation_price(pool: Pool, symbol: str, marks: Marks, rulebook: Rulebook) -> LiquidationPrices:
    """Return the liquidation prices of ``symbol`` in ``pool``, below and above its mark, other marks fixed."""
    return liquidation_prices(assess(pool, marks, rulebook), symbol)


@exact
def liquidation_prices(assessment: Assessment, symbol: str, *, health: Decimal = ONE) -> LiquidationPrices:
    """Return the prices of ``symbol`` at which an assessed pool's health reaches ``health`` (1: is liquidated).

    Rounded to the contract's price step by the venue's policy, toward the side that acts earlier where that policy
    says so; otherwise to 24 places. A price ≤ 0 is None unless the venue reports it as it is.
    """
    lines = [line for line in assessment.lines if line.position.symbol == symbol]
    surplus = _surplus(assessment, lines, health)
    if surplus is None:
        return LiquidationPrices(None, None, rounded=False)
    contract, policies = lines[0].contract, assessment.policies
    down, up = _crossing(surplus, upward=False), _crossing(surplus, upward=True)
    if _value_sign(surplus) < 0:
        down, up = up, down  # liquidatable already: the way back up is the price it was liquidated at
    below, above = (up, down) if contract.inverse else (down, up)
    return LiquidationPrices(
        _price(below, contract, policies, toward=ROUND_CEILING),
        _price(above, contract, policies, toward=ROUND_FLOOR),
        rounded=contract.price_step is not None and policies.liquidation_price_rounding not in {"none"},
    )


class _Surplus:
    """Balance less ``health`` times requirement, as a function of one contract value: ``slope · v + constant`` by tier."""

    __slots__ = ("asset_charge", "constant", "credit", "debit", "equity", "health", "lines", "slope", "tiers", "value")

    def __init__(self, lines: list[PositionLine], value: Decimal, health: Decimal) -> None:
        self.lines = lines
        self.value = value
        self.health = health
        self.tiers = [line.tier or 0 for line in lines]
        self.slope = ZERO
        self.constant = ZERO
        self.equity: tuple[Decimal, Decimal] | None = None  # basket: (slope, constant) of the settle asset's equity
        self.credit = self.debit = self.asset_charge = ONE

    def terms(self, value_is_above_zero_equity: bool | None) -> tuple[Decimal, Decimal]:  # noqa: FBT001
        """Return (slope, constant) in the tiers the walk is in."""
        slope, constant = self.slope, self.constant
        for line, tier in zip(self.lines, self.tiers, strict=True):
            charge = line.charge
            if charge.moving:
                if charge.flat_rate is not None:
                    rate, deduction = charge.flat_rate, ZERO
                else:
                    row = charge.table.tiers[tier]  # type: ignore[union-attr] - known, or there were no surplus
                    rate, deduction = row.maintenance_rate, row.deduction if charge.size else ZERO  # type: ignore[assignment]
                slope -= self.health * self.asset_charge * (charge.size * (rate + charge.funding) + charge.fee_slope)
                constant += self.health * self.asset_charge * (deduction - charge.fee)
            else:
                slope -= self.health * self.asset_charge * charge.fee_slope
                constant -= self.health * self.asset_charge * ((charge.fixed or ZERO) + charge.fee)
        if self.equity is not None:
            weight = self.credit if value_is_above_zero_equity else self.debit
            slope += weight * self.equity[0]
            constant += weight * self.equity[1]
        return slope, constant


def _surplus(assessment: Assessment, lines: list[PositionLine], health: Decimal) -> _Surplus | None:
    """Return the pool's surplus over ``health`` times its requirement as a function of the symbol's contract value."""
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    if not lines or balance is None or required is None:
        return None
    surplus = _Surplus(lines, lines[0].contract_value, health)
    signed = lines[0].contract.orientation * sum((line.position.quantity for line in lines), ZERO)
    entries = sum((line.entry_value for line in lines), ZERO)
    own_required = sum((line.liquidation_requirement or ZERO for line in lines), ZERO)
    if assessment.pool.mode.backing is Backing.BASKET:
        asset = lines[0].contract.settle_asset
        terms = assessment.pool.collateral[asset]
        held = next(line for line in assessment.assets if line.asset == asset)
        if held.balance is None or held.value is None:
            return None
        others_pnl = held.unrealised_pnl - sum((line.unrealised_pnl for line in lines), ZERO)
        surplus.equity = (signed, held.balance + others_pnl - entries)
        surplus.credit, surplus.debit, surplus.asset_charge = terms.bid, terms.ask, terms.ask
        surplus.constant = balance - held.value - health * (required - own_required * terms.ask)
        return surplus
    own_pnl = sum((line.unrealised_pnl for line in lines), ZERO)
    surplus.slope = signed
    surplus.constant = balance - own_pnl - entries - health * (required - own_required)
    return surplus


def _value_sign(surplus: _Surplus) -> int:
    """Return the sign of the surplus at the mark."""
    positive = _equity_side(surplus, surplus.value, ONE, upward=True)
    slope, constant = surplus.terms(positive)
    total = slope * surplus.value + constant
    return (total > 0) - (total < 0)


def _equity_side(surplus: _Surplus, numerator: Decimal, denominator: Decimal, *, upward: bool) -> bool | None:
    """Whether the settle asset's equity is positive just past ``numerator ÷ denominator`` in the walk's direction."""
    if surplus.equity is None:
        return None
    slope, constant = surplus.equity
    at = slope * numerator + constant * denominator
    if at:
        return bool(at > 0)
    return bool((slope > 0) == upward)


def _crossing(surplus: _Surplus, *, upward: bool) -> tuple[Decimal, Decimal] | None:
    """Return the contract value (numerator, denominator > 0) nearest to the mark where the surplus changes sign.

    Walks away from the mark in one direction, segment by segment; a jump at a tier's edge counts as a change of sign
    there. None when the sign never changes. Downward the walk ends at value 0 (and goes on below it, in the lowest
    tier, so that a venue which reports a non-positive price can).
    """
    numerator, denominator = surplus.value, ONE
    surplus.tiers = [line.tier or 0 for line in surplus.lines]
    sign = _value_sign(surplus)
    if not sign:
        slope, _ = surplus.terms(_equity_side(surplus, numerator, denominator, upward=upward))
        return (numerator, denominator) if (slope < 0) == upward and slope else None
    for _ in range(_LONGEST_WALK):
        slope, constant = surplus.terms(_equity_side(surplus, numerator, denominator, upward=upward))
        here = slope * numerator + constant * denominator
        if (here > 0) - (here < 0) != sign:
            return numerator, denominator  # the requirement jumped at this edge
        edge, steps = _next_edge(surplus, numerator, denominator, upward=upward)
        root = _root(slope, constant)
        if (
            root is not None
            and _ahead(root, (numerator, denominator), upward=upward)
            and (edge is None or not _ahead(root, edge, upward=upward))
        ):
            return root
        if edge is None:
            return None
        numerator, denominator = edge
        for index, step in steps:
            surplus.tiers[index] += step
    raise AssertionError("a walk over the tiers did not end")


def _root(slope: Decimal, constant: Decimal) -> tuple[Decimal, Decimal] | None:
    if not slope:
        return None
    return (-constant, slope) if slope > 0 else (constant, -slope)


def _ahead(point: tuple[Decimal, Decimal], origin: tuple[Decimal, Decimal], *, upward: bool) -> bool:
    """Whether ``point`` lies strictly beyond ``origin`` in the direction of the walk; both denominators are > 0."""
    left, right = point[0] * origin[1], origin[0] * point[1]
    return left > right if upward else left < right


def _next_edge(
    surplus: _Surplus, numerator: Decimal, denominator: Decimal, *, upward: bool
) -> tuple[tuple[Decimal, Decimal] | None, list[tuple[int, int]]]:
    """Return the nearest value ahead at which a leg changes tier or the settle asset's equity changes sign.

    With it, which legs change tier there and by how much.
    """
    best: tuple[Decimal, Decimal] | None = None
    steps: list[tuple[int, int]] = []
    for index, line in enumerate(surplus.lines):
        charge = line.charge
        if not (charge.moving and charge.tier_slope and charge.table is not None and charge.flat_rate is None):
            continue
        floors = charge.table.floors
        tier = surplus.tiers[index]
        if upward:
            if tier + 1 >= len(floors):
                continue
            edge, step = (floors[tier + 1] - charge.tier_offset, charge.tier_slope), 1
        else:
            if tier == 0:
                continue
            edge, step = (floors[tier] - charge.tier_offset, charge.tier_slope), -1
        if best is None or _ahead(best, edge, upward=upward):
            best, steps = edge, [(index, step)]
        elif not _ahead(edge, best, upward=upward):
            steps.append((index, step))
    if surplus.equity is not None:
        zero = _root(*surplus.equity)
        if zero is not None and _ahead(zero, (numerator, denominator), upward=upward):
            if best is None or _ahead(best, zero, upward=upward):
                best, steps = zero, []
    return best, steps


def _price(
    value: tuple[Decimal, Decimal] | None, contract: Contract, policies: Policies, *, toward: str
) -> Price | None:
    """Return the price at a contract value, rounded by the venue's policy. ``toward`` the entry is up for a long's price."""
    if value is None:
        return None
    numerator, denominator = value
    if numerator <= 0 and (contract.inverse or policies.non_positive_price == "none"):
        return None
    price = contract.price_at(numerator, denominator, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
    return _rounded(price, policies.liquidation_price_rounding, contract.price_step, toward=toward)


def _rounded(price: Price, policy: str, step: Decimal | None, *, toward: str) -> Price:
    if step is None or policy == "none":
        return price
    if policy == "one_step_toward_entry":
        return price + step if toward == ROUND_CEILING else price - step
    if policy == "nearest":
        return round_to(price, step, rounding=ROUND_HALF_EVEN)
    if policy == "away_from_entry":
        toward = ROUND_FLOOR if toward == ROUND_CEILING else ROUND_CEILING
    return round_to(price, step, rounding=toward)


@exact
def bankruptcy_price(assessment: Assessment, line: PositionLine) -> Price | None:
    """Return the price at which ``line``'s share of the pool's equity is used up, or None where there is none.

    The share is the whole equity of a pool of one position, and equity in proportion to maintenance margin in a pool
    of several. Where the venue's bankruptcy price still pays the closing fee, that fee is left over. Rounded to the
    price step by the venue's policy. Source: the venues' pages in the rulebook; the sharing rule is ringfence's own.
    """
    equity = _equity_share(assessment, line)
    if equity is None:
        return None
    policies, contract = assessment.policies, line.contract
    signed = line.position.quantity * contract.orientation
    # equity + signed · (v − v_mark) = reserve_slope · v + reserve
    reserve_slope, reserve = ZERO, ZERO
    if policies.bankruptcy_reserve == "closing_fee":
        if policies.closing_fee in {"mark", "bankruptcy_price"}:
            reserve_slope = line.charge.size * closing_rate(contract, policies)
        else:
            reserve = line.charge.fee
    slope = signed - reserve_slope
    if not slope:
        return None
    root = _root(slope, equity - signed * line.contract_value - reserve)
    if root is None or root[0] <= 0:
        return None
    price = contract.price_at(*root, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
    toward = ROUND_CEILING if line.position.quantity > 0 else ROUND_FLOOR
    return _rounded(price, policies.bankruptcy_price_rounding, contract.price_step, toward=toward)


def _equity_share(assessment: Assessment, line: PositionLine) -> Value | None:
    """Return the part of the pool's equity, in the line's settle asset, that stands behind ``line``."""
    equity = assessment.margin_balance
    if equity is None:
        return None
    if len(assessment.lines) == 1:
        weight, total = ONE, ONE
    else:
        if assessment.maintenance_margin is None or line.maintenance_margin is None:
            return None
        weight, total = (
            line.maintenance_margin,
            sum((other.maintenance_margin or ZERO for other in assessment.lines), ZERO),
        )
        if not total:
            return None
    if assessment.pool.mode.backing is Backing.BASKET:
        terms = assessment.pool.collateral[line.contract.settle_asset]
        if len(assessment.lines) > 1:
            weight = weight * terms.ask
            total = assessment.maintenance_margin or ONE
        total = total * (terms.bid if equity > 0 else terms.ask)
        if not total:
            return None
    return (
        divide(equity * weight, total, places=VALUE_PLACES, rounding=ROUND_FLOOR) if total != ONE else equity * weight
    )


@exact
def break_even_price(line: PositionLine) -> Price | None:
    """Return the price at which closing pays for opening and closing at the taker rate; None where that is not known.

    Rounded to 24 places, half-even.
    """
    fee = line.contract.taker_fee_rate
    if fee is None:
        return None
    direction = line.contract.orientation if line.position.quantity > 0 else -line.contract.orientation
    entry = line.contract.contract_value(line.position.entry_price)
    numerator, denominator = break_even_value(entry, fee, direction)
    return line.contract.price_at(numerator, denominator, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)


__all__ = ["LiquidationPrices", "bankruptcy_price", "break_even_price", "liquidation_price", "liquidation_prices"]
