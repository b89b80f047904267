"""Records of the incremental screen (:mod:`ringfence.screen.rings`): what a pool is worth, ready to be summed anew.

A pool that is near the line, or stands in a ring, has a record: a constant, and for each leg a slope and a steepness
per unit. A **unit** is a price, or one over it for an inverse contract, so that a contract's value is linear in it. At
any prices between which no leg changes its tier ::

    surplus at prices         =  constant + Σ slope · unit
    surplus anywhere in a box ≥  constant + Σ slope · unit − Σ steepness · way to the box's end

Records of one ring and one number of legs stand together, in the order in which they are read. They are dense: the
last one moves into a gap.

=====  =============  ==========================================================================================
areas  K, G, 5 int64  of a ring's records of one group of pools: first record, first leg, how many records there
                      are and there is room for, legs of each
sums   ? f64          the constant of each record (NaN: whoever it is must be valued)
heads  ?              what else there is of each record. ``sure``: below it a surplus is below 0 whatever the errors;
                      ``pool``, its place in the columns; its ``state`` when written
legs   ?              of each leg: ``column`` of the units, ``2 · unit + side``; side 0 is hurt while the unit
                      falls, 1 while it rises. ``slope``: what one unit adds to the surplus. ``steep``: by how much
                      the surplus falls at most per unit on its side, in this tier or higher ones. The record
                      holds while the unit is at least ``since`` and below ``until``: there the tier changes, or
                      steepness must be found anew
states P int64        whether a pool has a record (``HELD``), is ``FAR`` or ``GONE``, or has a ``TRIGGER``
                      (:mod:`ringfence.screen.triggers`), and 4 times how often it has changed. A record whose state
                      is not its pool's is left over from before: it says nothing and goes when it would be made
                      anew, be put among the far ones, or be named
edges  2, U f64       between units inside of these no leg of a near pool changes its tier
=====  =============  ==========================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ringfence.margin import formulas
from ringfence.screen.compiled import compiled, inlined
from ringfence.screen.kernels import BOUND, REACH
from ringfence.screen.packing import in_tier

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR, FARTHER = 0, 200  #: where a record belongs: near, in a ring from 1 on, or nowhere, its pool being far
HELD, FAR, GONE, TRIGGER = 0, 1, 2, 3
CHANGED = 4  #: what a change adds to a state
PLACE = CHANGED - 1  #: what of a state says where the pool is
MOST_LEGS = 64  #: a pool of more has a record that always says "value me"
WIDEST = 0.4  #: no box is wider than this to either side of a price
RISE = 1.25  #: a record holds until a unit has risen to this, against what it was when it was made
GROWTH = RISE * (1.0 + WIDEST) + 2.0**-20  #: how much a leg's value may grow inside of any box while its record holds
MARGIN = 4.0  #: error bounds (:mod:`ringfence.screen.kernels`) that are taken off a record's constant
SURE = 8.0  #: error bounds below 0 at which a record's surplus is one below 0 without doubt
EASE = 1.5  #: a pool is put where it outlasts this many times the way to the end of the box
UP, DOWN = 1.0 + 2.0**-22, 1.0 - 2.0**-22  #: rounding outward to 32 bits

LOT, SIZE, INVERSE, FEE, MOVING, FUNDING, TIERS, WATCHED, CREDIT, CHARGE, SYMBOL, JUMPS = range(12)
FLOOR, RATE, MOST, JUMP, DEDUCTION = range(5)
FIRST, LEGS, COUNT, ROOM, EACH = range(5)

_unrealised_pnl = inlined(formulas.unrealised_pnl)
_notional = inlined(formulas.notional)
_maintenance_margin = inlined(formulas.maintenance_margin)


class Held(NamedTuple):
    """What records are made from: arrays of the columns, and the instruments.

    ``terms`` (I, 12): the columns ``LOT`` … ``JUMPS``; ``tiers`` (I, T, 5): floor, rate, highest rate up to here, jump
    of the requirement at the floor, deduction.
    """

    groups: NDArray[np.int64]
    code: NDArray[Any]
    lots: NDArray[np.int32]
    cash: NDArray[np.float64]
    fixed: NDArray[np.float64]
    gross: NDArray[np.float64]
    terms: NDArray[np.float64]
    tiers: NDArray[np.float64]


HEAD = np.dtype([("sure", np.float64), ("pool", np.int64), ("state", np.int64)])
LEG = np.dtype(
    [("slope", np.float64), ("steep", np.float32), ("since", np.float32), ("until", np.float32), ("column", np.uint32)]
)


class Records(NamedTuple):
    """The arrays of the module's table."""

    areas: NDArray[np.int64]
    sums: NDArray[np.float64]
    heads: NDArray[Any]
    legs: NDArray[Any]
    states: NDArray[np.int64]
    edges: NDArray[np.float64]


@inlined
def row_of(i: int, short: bool, tier: int, value: float, level: float, terms: Any, tiers: Any) -> Any:  # noqa: FBT001
    """Return what one lot adds to the surplus: the sweep's table row, computed by the same steps to the same bits."""
    value = _notional(1.0, value)
    unit = -value if terms[i, INVERSE] else value
    gained = _unrealised_pnl(-1.0 if short else 1.0, unit, 0.0) * terms[i, CREDIT]
    required = terms[i, FEE] * value
    if terms[i, MOVING]:
        required += _maintenance_margin(value, tiers[i, tier, RATE] + terms[i, FUNDING], 0.0)
    required *= level * terms[i, CHARGE]
    return gained - required


@inlined
def bound_of(legs: int, level: float) -> Any:
    """Return the error bound per unit of ``gross`` (:mod:`ringfence.screen.kernels`)."""
    return BOUND * (legs + 8) * REACH * (1.0 + level)


@inlined
def value_at(i: int, price: float, terms: Any) -> Any:
    """Return the value of one lot, to the same bits as a sweep finds it."""
    if not price > 0.0:
        return np.nan
    return terms[i, LOT] * (terms[i, SIZE] / price if terms[i, INVERSE] else terms[i, SIZE] * price)


@inlined
def tier_at(i: int, tier: int, number: float, value: float, terms: Any, tiers: Any) -> int:
    """Return the tier of a leg at a value of a lot, as a sweep finds it, from one it was in."""
    if terms[i, WATCHED]:
        last = int(terms[i, TIERS])
        while tier + 1 < last and in_tier(number, value, tiers[i, tier + 1, FLOOR]):
            tier += 1
        while tier > 0 and not in_tier(number, value, tiers[i, tier, FLOOR]):
            tier -= 1
    return tier


@compiled
def surplus_of(pool: int, group: int, held: Any, level: float, prices: Any) -> float:
    """Return the surplus of a pool: what a sweep computes, by the same steps, to the bit."""
    many, begin, pools, leg_begin = held.groups[group, 0], held.groups[group, 1], held.groups[group, 2], held.groups[
        group, 3]  # fmt: skip
    terms, tiers = held.terms, held.tiers
    count = terms.shape[0]
    deducted = 0.0
    for slot in range(many):
        leg = leg_begin + slot * pools + pool - begin
        row = int(held.code[leg])
        i = row % count
        tier = tier_at(i, row // (2 * count), held.lots[leg], value_at(i, prices[int(terms[i, SYMBOL])], terms), terms,
                       tiers)  # fmt: skip
        if terms[i, MOVING]:
            deducted += tiers[i, tier, DEDUCTION] * terms[i, CHARGE]
    total = held.cash[pool] - level * (held.fixed[pool] - deducted) - bound_of(many, level) * held.gross[pool]
    for slot in range(many):
        leg = leg_begin + slot * pools + pool - begin
        row = int(held.code[leg])
        i = row % count
        value = value_at(i, prices[int(terms[i, SYMBOL])], terms)
        tier = tier_at(i, row // (2 * count), held.lots[leg], value, terms, tiers)
        total += held.lots[leg] * row_of(i, (row // count) % 2 != 0, tier, value, level, terms, tiers)
    return total  # type: ignore[no-any-return]


@inlined
def describe(  # noqa: PLR0913, PLR0917
    at: int, i: int, short: bool, tier: int, number: float, price: float, symbols: int, level: float, sides: int,  # noqa: FBT001
    terms: Any, tiers: Any, legs: Any,
) -> Any:  # fmt: skip
    """Write a leg into ``legs`` from row ``at`` on, one row for each of its ``sides``; return its deduction.

    Steepness is that of the steepest tier that the leg reaches while its value grows by ``GROWTH``. It is infinite
    where a leg may be hurt both ways, a rate at a level being more than the whole value. Where tables jump, a second
    row counts each jump ahead as if it had to be paid bit by bit on the way to it; the record holds half that way.
    """
    symbol = int(terms[i, SYMBOL])
    inverse = terms[i, INVERSE] != 0
    value = value_at(i, price, terms)
    tier = tier_at(i, tier, number, value, terms, tiers)
    each = number * terms[i, LOT] * terms[i, SIZE]
    unit = 1.0 / price if inverse else price
    last, charge, top, since, until = int(terms[i, TIERS]), level * terms[i, CHARGE], tier, 0.0, unit * RISE
    if terms[i, WATCHED]:
        while top + 1 < last and in_tier(number, value * GROWTH, tiers[i, top + 1, FLOOR]):
            top += 1
        if tier > 0:
            since = tiers[i, tier, FLOOR] / each
        if tier < top:
            until = min(until, tiers[i, tier + 1, FLOOR] / each)
    moving = terms[i, MOVING] != 0
    rate = terms[i, FEE] + (tiers[i, top, MOST] + terms[i, FUNDING] if moving else 0.0)
    highest = terms[i, FEE] + (tiers[i, last - 1, MOST] + terms[i, FUNDING] if moving else 0.0)
    rising = short != inverse
    steep = each * (terms[i, CREDIT] + charge * rate) if rising else each * terms[i, CREDIT]
    if not charge * highest <= terms[i, CREDIT]:
        steep = np.inf
    column = 2 * (symbol + symbols if inverse else symbol)
    ahead = 0.0
    if sides == 2 and terms[i, JUMPS] and tier < top:
        until = min(until, unit + 0.5 * (tiers[i, tier + 1, FLOOR] / each - unit))
        for higher in range(tier + 1, top + 1):
            way = (tiers[i, higher, FLOOR] / each - until) * DOWN
            ahead += tiers[i, higher, JUMP] * charge / way if way > 0.0 else np.inf
    for side in range(sides):
        leg = legs[at + side]
        leg.column = column + 1 if side or rising else column
        leg.slope = 0.0 if side else number * row_of(i, short, tier, 1.0, level, terms, tiers) * (
            terms[i, LOT] * terms[i, SIZE])  # fmt: skip
        leg.steep = np.float32(max(ahead if side else steep, 1e-30) * UP)
        leg.since = np.float32(since * UP)
        leg.until = np.float32(until * DOWN)
    return tiers[i, tier, DEDUCTION] * terms[i, CHARGE] if moving else 0.0


@compiled
def make(pool: int, group: int, held: Any, level: float, sides: int, prices: Any, legs: Any) -> tuple[float, float]:
    """Write the legs of a pool's record into ``legs``; return (constant, sure), NaN for a pool of too many legs."""
    many, begin, pools, leg_begin = held.groups[group, 0], held.groups[group, 1], held.groups[group, 2], held.groups[
        group, 3]  # fmt: skip
    if many > MOST_LEGS:
        return np.nan, np.nan
    count, deducted = held.terms.shape[0], 0.0
    for slot in range(many):
        leg = leg_begin + slot * pools + pool - begin
        row = int(held.code[leg])
        i = row % count
        deducted += describe(
            slot * sides, i, (row // count) % 2 != 0, row // (2 * count), held.lots[leg],
            prices[int(held.terms[i, SYMBOL])], prices.size, level, sides, held.terms, held.tiers, legs,
        )  # fmt: skip
    bound = bound_of(many, level) * held.gross[pool]
    return held.cash[pool] - level * (held.fixed[pool] - deducted) - MARGIN * bound, -SURE * bound


@compiled
def fitting(constant: float, many: int, legs: Any, ways: Any, rings: int) -> int:
    """Return where a record belongs: ``FARTHER``, the widest ring whose box its pool outlasts with ease, else ``NEAR``.

    ``ways``: row 0 the units, a row for each ring with the way to the end of its box, the last row for the far ones.
    """
    surplus = constant
    for slot in range(many):
        surplus += legs[slot].slope * ways[0, legs[slot].column]
    if not surplus >= 0.0:
        return NEAR
    for back in range(rings):
        row = ways.shape[0] - 1 if back == 0 else rings - back
        loss = 0.0
        for slot in range(many):
            loss += legs[slot].steep * ways[row, legs[slot].column]
        if surplus - EASE * loss >= 0.0:
            return FARTHER if back == 0 else row
    return NEAR


@compiled
def put(ring: int, group: int, pool: int, constant: float, sure: float, legs: Any, records: Any) -> bool:
    """Add a record to a ring, or to the near ones; False when there is no room."""
    areas = records.areas
    number, many = areas[ring, group, COUNT], areas[ring, group, EACH]
    if number >= areas[ring, group, ROOM]:
        return False
    areas[ring, group, COUNT] = number + 1
    state = (records.states[pool] & ~PLACE) | HELD
    records.states[pool] = state
    at = areas[ring, group, FIRST] + number
    records.sums[at] = constant
    head = records.heads[at]
    head.sure, head.pool, head.state = sure, pool, state
    at = areas[ring, group, LEGS] + number * many
    for slot in range(many):
        records.legs[at + slot] = legs[slot]
    if ring == NEAR:
        narrow(at, many, records.legs, records.edges)
    return True


@compiled
def narrow(begin: int, many: int, legs: Any, edges: Any) -> None:
    """Bring the edges of near pools closer together for some legs that have become near."""
    for at in range(begin, begin + many):
        leg = legs[np.uint64(at)]
        unit = leg.column // np.uint32(2)
        if not leg.since <= edges[0, unit]:
            edges[0, unit] = leg.since
        if not leg.until >= edges[1, unit]:
            edges[1, unit] = leg.until


@compiled
def forget(pools: Any, states: Any) -> None:
    """Mark pools as gone; their records are left over from now on."""
    for pool in pools:
        states[pool] = ((states[pool] & ~PLACE) + CHANGED) | GONE


@compiled
def group_of(pool: int, groups: Any) -> int:
    """Return the group of pools that a pool is in."""
    group = 0
    while pool >= groups[group, 1] + groups[group, 2]:
        group += 1
    return group
