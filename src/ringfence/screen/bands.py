"""Price bands: between which prices a pool cannot do anything, so that nobody has to look.

A replay or a venue could assess every pool at every tick. Nearly all of that would find nothing. So after an exact
assessment a pool is given a *band* per symbol, and is looked at again only when a price reaches the edge of its band. A
band may be too narrow (then a look finds nothing), never too wide:

**Claim.** While every symbol of a pool is at the mark of the assessment or strictly inside its band, the pool crosses
none of its *watched levels*: it stays above each level that would raise an event (liquidation, margin call, warning)
and at or below each level above which an event would be armed again.

**Proof.** Let ``v`` be the vector of contract values of the pool's symbols, ``u`` that at the assessment, and let ::

    surplus_L(v) = balance(v) − L · requirement(v)

for a level ``L``: the pool is at or below ``L`` exactly where ``surplus_L ≤ 0``.

1.  *Inside its tiers the surplus is linear.* PnL is linear in contract values for every kind of contract. A leg's
    requirement is ``size · v · (rate + funding) − deduction``, or a constant where the venue measures on the entry,
    plus a closing fee that is a constant or a multiple of ``v``. Rate and deduction are those of the leg's tier. Every
    band ends at the edges of the tiers that hold at ``u`` (and at the end of the last one, where an assessment is
    refused), so inside the bands they do not change: steps and jumps of a table lie on an edge or outside, where there
    is a look. A requirement that is *frozen* at a mark is frozen at the mark of each assessment: whoever looked at
    every tick would find it moving with the mark, and that is how it is treated.
2.  *So it changes by the sum of its legs' changes*: ``surplus_L(v) = surplus_L(u) + Σ slope_i · (v_i − u_i)`` with
    ``slope_i = signed quantity_i − L · requirement slope_i``. Only moves against the sign of what is guarded do harm:
    where the surplus must stay above 0, moves with ``slope_i · (v_i − u_i) < 0``, and the other way round. Harmless
    directions need no edge.
3.  *The room is shared out.* Let ``room = |surplus_L(u)|`` and ``x_L = room ÷ Σ |slope_i| · u_i``, rounded down: the
    same relative move for all symbols. Symbol i's band ends where ``v_i`` has moved by ``x_L · u_i`` in the harmful
    direction. Strictly inside, symbol i costs less than ``|slope_i| · x_L · u_i`` (or nothing if its slope is 0), so
    all together cost less than ``room`` and the surplus keeps its sign. With several levels the narrowest band counts.
4.  *From values to prices.* A linear contract's value is ``size · price``: a relative move is the same in both. An
    inverse one's is ``size ÷ price`` rounded to 40 places, which falls (weakly) with the price. Its edges in ``v`` are
    rounded inward to 40 places and one unit further, and the prices at them inward again: a price strictly inside then
    has a value, as it is computed, rounding included, that is strictly inside too.
5.  *Where the surplus is 0* (or has the wrong sign, as with nothing required) there is no room: the bands are empty and
    the pool is looked at at every tick.

What is not linear inside a tier gets no band: a fee to close at the bankruptcy price (it depends on the pool's whole
equity), maintenance as a rounded share of a rounded initial margin, rates that grow with the size of an inverse
position, and order margin that is held against the balance and moves with the mark. Those pools are looked at at every
tick.

A property test replays random books with and without bands and compares the events.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing
from ringfence.margin.assess import closing_rate
from ringfence.numbers import (
    ONE,
    PRICE_PLACES,
    RATIO_PLACES,
    ROUND_CEILING,
    ROUND_FLOOR,
    UNIT_VALUE_PLACES,
    ZERO,
    divide,
    exact,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Price, UnitValue, Value
    from ringfence.rulebook import Policies, TierTable


NO_END = Decimal("Infinity")  #: upper end of a band that nothing ends; the lower one's is 0, which no price is below
_UNIT = ONE.scaleb(-UNIT_VALUE_PLACES)


class Band(NamedTuple):
    """The prices of one symbol strictly between ``low`` and ``high`` need no look."""

    low: Price
    high: Price


EMPTY = Band(NO_END, ZERO)


class OneSymbol(NamedTuple):
    """What one symbol of a pool does to its surplus: ``(signed − level · requirement) · value``."""

    contract: Contract
    mark: Price
    value: UnitValue
    signed: Decimal
    requirement: Decimal


class PoolBands:
    """Finds the bands of one pool, again and again. Keeps the tier edges it has once computed."""

    __slots__ = ("_edges",)

    def __init__(self) -> None:
        self._edges: dict[tuple[str, bool, int], Band] = {}

    @exact
    def around(
        self, assessment: Assessment, *, above: Iterable[Decimal], not_above: Iterable[Decimal] = ()
    ) -> dict[str, Band]:
        """Return a band per symbol inside which the pool stays above each level of ``above``, and not above the others.

        Levels are health. Where no band can be given, or none that is not empty, the result is empty: look every time.
        """
        balance, required = assessment.balance_held_against, assessment.liquidation_requirement
        if balance is None or required is None or not _is_linear(assessment):
            return {}
        return between(
            balance, required, _symbols(assessment), self._tier_edges(assessment.lines), above=above,
            not_above=not_above,
        )  # fmt: skip

    def _tier_edges(self, lines: tuple[PositionLine, ...]) -> dict[str, Band]:
        """Return the prices between which every leg of a symbol keeps its tier."""
        found: dict[str, Band] = {}
        for line in lines:
            charge, tier = line.charge, line.tier
            if tier is None or charge.table is None or charge.flat_rate is not None or not charge.tier_slope:
                continue
            symbol = line.position.symbol
            key = (symbol, line.position.quantity > 0, tier)
            edges = self._edges.get(key)
            if edges is None:
                edges = self._edges[key] = tier_band(
                    line.contract, charge.table, tier, charge.tier_slope, charge.tier_offset
                )
            other = found.get(symbol)
            found[symbol] = edges if other is None else Band(max(edges.low, other.low), min(edges.high, other.high))
        return found


def between(
    balance: Value, required: Value, symbols: dict[str, OneSymbol], edges: dict[str, Band], *,
    above: Iterable[Decimal], not_above: Iterable[Decimal],
) -> dict[str, Band]:  # fmt: skip
    """Return the bands of a pool whose surplus is linear between the ``edges`` of its tiers; empty: look every time."""
    down: dict[str, Decimal] = {}  # the narrowest relative move of each contract value, in each direction
    up: dict[str, Decimal] = {}
    for levels, sign in ((above, 1), (not_above, -1)):
        for level in levels:
            room = balance - level * required if sign > 0 else level * required - balance
            if room <= 0:
                return {}
            _share_out(room, level, sign, symbols, down, up)
    return {name: _band(symbol, down.get(name), up.get(name), edges.get(name)) for name, symbol in symbols.items()}


def _is_linear(assessment: Assessment) -> bool:
    """Whether the pool's surplus is linear in its contract values as long as no leg changes tier."""
    policies = assessment.policies
    if assessment.pool.mode.backing is Backing.BASKET or policies.closing_fee == "bankruptcy_price":
        return False
    if not orders_are_constant(assessment):
        return False
    if policies.maintenance_from_initial and any(line.charge.flat_rate is None for line in assessment.lines):
        return False
    by_size = policies.maintenance_rate_base is not None
    return not (by_size and any(line.contract.inverse for line in assessment.lines))


def orders_are_constant(assessment: Assessment) -> bool:
    """Whether no mark moves what open orders set aside from the balance, or add to the requirement.

    The margin of orders does move where it is held against the balance and counts the position's own margin at the mark
    or the loss at opening.
    """
    policies = assessment.policies
    if not assessment.orders or not policies.order_margin_deducted:
        return True
    return policies.initial_margin_at == "entry" and policies.order_cost != "with_open_loss"


def _symbols(assessment: Assessment) -> dict[str, OneSymbol]:
    """Return each symbol's slopes, its legs (of a hedge) added up."""
    found: dict[str, OneSymbol] = {}
    for line in assessment.lines:
        name = line.position.symbol
        signed = line.position.quantity * line.contract.orientation
        slope = _requirement_slope(line, assessment.policies)
        other = found.get(name)
        if other is not None:
            signed, slope = signed + other.signed, slope + other.requirement
        found[name] = OneSymbol(line.contract, line.mark_price, line.contract_value, signed, slope)
    return found


def _requirement_slope(line: PositionLine, policies: Policies) -> Decimal:
    """Return how a leg's liquidation requirement grows with the value of one contract, inside its tier."""
    charge = line.charge
    fee = charge.fee_slope
    if policies.closing_fee == "frozen_mark":
        fee = charge.size * closing_rate(line.contract, policies)
    from_leverage = policies.maintenance_rate_base is None and charge.flat_rate is not None
    follows_mark = charge.moving or (policies.maintenance_at == "frozen_mark" and not from_leverage)
    if not follows_mark or line.maintenance_rate is None:
        return fee
    return fee + charge.size * (line.maintenance_rate + charge.funding)


def _share_out(
    room: Decimal,
    level: Decimal,
    sign: int,
    symbols: dict[str, OneSymbol],
    down: dict[str, Decimal],
    up: dict[str, Decimal],
) -> None:
    """Narrow the relative moves so that together they use up less than ``room`` at ``level``.

    ``sign``: +1 where the surplus must not fall, −1 where it must not rise.
    """
    total, slopes = ZERO, []
    for name, symbol in symbols.items():
        slope = symbol.signed - level * symbol.requirement
        if slope:
            slopes.append((name, slope > 0))
            total += abs(slope) * symbol.value
    if not slopes:
        return
    move = divide(room, total, places=RATIO_PLACES, rounding=ROUND_FLOOR)
    for name, rising in slopes:
        harmful = down if rising == (sign > 0) else up
        if name not in harmful or move < harmful[name]:
            harmful[name] = move


def _band(symbol: OneSymbol, down: Decimal | None, up: Decimal | None, edges: Band | None) -> Band:
    """Return the prices at which the contract value has moved by ``down`` or ``up``, or reaches a tier's edge."""
    if symbol.contract.inverse:
        low = ZERO if up is None else _inverse_low(symbol.contract, symbol.value * (ONE + up))
        high = NO_END if down is None else _inverse_high(symbol.contract, symbol.value * (ONE - down))
    else:
        low = ZERO if down is None else symbol.mark * (ONE - down)
        high = NO_END if up is None else symbol.mark * (ONE + up)
    return Band(low, high) if edges is None else Band(max(low, edges.low), min(high, edges.high))


def tier_band(contract: Contract, table: TierTable, tier: int, slope: Decimal, offset: Decimal = ZERO) -> Band:
    """Return the prices between which ``slope`` · contract value + ``offset`` stays in a tier, rounded inward."""
    tiers = table.tiers
    floor = tiers[tier].floor - offset
    end = tiers[tier + 1].floor if tier + 1 < len(tiers) else tiers[tier].cap
    if contract.inverse:
        # A small price is a large value: the next tier's floor is the lower edge.
        low = ZERO
        if end is not None:
            low = _inverse_low(contract, divide(end - offset, slope, places=UNIT_VALUE_PLACES,
                                                rounding=ROUND_FLOOR))  # fmt: skip
        return Band(low, _inverse_high(contract, divide(floor, slope, places=UNIT_VALUE_PLACES,
                                                        rounding=ROUND_CEILING)))  # fmt: skip
    per_price = slope * contract.contract_size
    high = NO_END
    if end is not None:
        high = divide(end - offset, per_price, places=PRICE_PLACES, rounding=ROUND_FLOOR)
    low = divide(floor, per_price, places=PRICE_PLACES, rounding=ROUND_CEILING) if tier else ZERO
    return Band(low, high)


def _inverse_low(contract: Contract, value: UnitValue) -> Price:
    """Return a price above which an inverse contract is worth strictly less than ``value``."""
    inside = divide(value, ONE, places=UNIT_VALUE_PLACES, rounding=ROUND_FLOOR) - _UNIT
    if inside <= 0:
        return NO_END
    return divide(contract.contract_size, inside, places=PRICE_PLACES, rounding=ROUND_CEILING)


def _inverse_high(contract: Contract, value: UnitValue) -> Price:
    """Return a price below which an inverse contract is worth strictly more than ``value``."""
    inside = divide(value, ONE, places=UNIT_VALUE_PLACES, rounding=ROUND_CEILING) + _UNIT
    if inside <= _UNIT:
        return NO_END
    return divide(contract.contract_size, inside, places=PRICE_PLACES, rounding=ROUND_FLOOR)


__all__ = ["EMPTY", "NO_END", "Band", "OneSymbol", "PoolBands", "between", "orders_are_constant", "tier_band"]
