"""What the incremental screen (:mod:`ringfence.screen.rings`) keeps of a pool: an **outlook**, how low it can come.

A **unit** is a price, or one over it for an inverse contract, so that a contract's value is linear in it. An outlook is
a lower bound that holds whatever tiers the legs are in by then ::

    surplus at prices  ≥  base + Σ min(hurt · way, gain · way),  way = unit − at
    surplus at prices  ≥  base + Σ slope · way, by at most ``over``, where no leg has left its tier

``at`` is the unit that a leg was at when the outlook was made: from there a pool loses at most ``hurt`` per unit one
way, and gains at least ``gain`` the other way. For a leg that is hurt while the unit rises units count negative, so
that it is always the way down that hurts. The two differ by the requirement alone: an outlook stays within some
hundredths of what has been gone since, however often prices go to and fro. Where tables jump, each leg has a second
bend, for the jumps on the way up: these hurt both sides.

Outlooks of one ring and one number of legs stand together, in the order in which they are read. They are dense: the
last one moves into a gap.

=======  =============  ========================================================================================
areas    R, G, 5 int64  of the outlooks of a ring and of one group of pools: the first one, its first bend, how many
                        there are and there is room for, bends of each
bases    ? f64          (NaN, or minus infinity: whoever it is must be valued)
owners   ?              of each of them: ``pool``, its place in the columns, its ``state`` when written, ``over``, and
                        ``within``: no leg changes its tier before its unit has moved by this share of ``at``
bends    ?              of each of their legs: ``at``, ``hurt``, ``gain``, in 32 bits rounded so that the bound holds,
                        and its ``column`` of four times S: prices, prices with a minus, units of inverse contracts,
                        those with a minus. Where nothing is inverse there are the first two alone
slopes   ? f32          of each bend
born     R, U f64       the lowest unit at which an outlook of a ring may have been made; U: S, or twice that
states   P int64        whether a pool has an outlook (``HELD``), is ``FAR`` or ``GONE``, or has a ``TRIGGER``
                        (:mod:`ringfence.screen.triggers`), and 4 times how often it has changed. An outlook whose state
                        is not its pool's is left over from before: it says nothing and goes when it would be made
                        anew, be put among the far ones, or be named
=======  =============  ========================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ringfence.margin import formulas
from ringfence.screen.compiled import borrowing, compiled, inlined
from ringfence.screen.kernels import BOUND, REACH
from ringfence.screen.packing import in_tier

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR, FARTHER = 0, 200  #: where a pool belongs: near, in a ring from 1 on, or among the far ones
HELD, FAR, GONE, TRIGGER = 0, 1, 2, 3
CHANGED = 4  #: what a change adds to a state
PLACE = CHANGED - 1  #: what of a state says where the pool is
MOST_LEGS = 64  #: a pool of more has an outlook that always says "value me"
WIDEST = 0.4  #: no box is wider than this to either side of a price
RISE = 1.25  #: it holds until a unit has risen to this, against what it was when it was made
GROWTH = RISE * (1.0 + WIDEST) + 2.0**-20  #: how much a leg's value may grow inside of any box while it holds
MARGIN = 4.0  #: error bounds (:mod:`ringfence.screen.kernels`) that are taken off a base
EASE = 1.5  #: a pool is put where it outlasts this many times the way to the end of the box
UP, DOWN = 1.0 + 2.0**-22, 1.0 - 2.0**-22  #: rounding outward to 32 bits
SLACK = 2.0**-22  #: of what a leg can lose in all: what rounding where it was, and summing, may cost
CLOSED = -1e300  #: an end of a box that no pool outlasts

LOT, SIZE, INVERSE, FEE, MOVING, FUNDING, TIERS, WATCHED, CREDIT, CHARGE, SYMBOL, JUMPS, LOWEST, HIGHEST = range(14)
FLOOR, RATE, MOST, JUMP, DEDUCTION = range(5)
FIRST, LEGS, COUNT, ROOM, EACH = range(5)

_unrealised_pnl = inlined(formulas.unrealised_pnl)
_notional = inlined(formulas.notional)
_maintenance_margin = inlined(formulas.maintenance_margin)


class Held(NamedTuple):
    """What outlooks are made from: arrays of the columns, and the instruments.

    ``terms`` (I, 14): the columns ``LOT`` … ``HIGHEST``, the last two being rates; ``tiers`` (I, T, 5): floor, rate,
    highest rate up to here, jump of the requirement at the floor, deduction.
    """

    groups: NDArray[np.int64]
    code: NDArray[Any]
    lots: NDArray[np.int32]
    cash: NDArray[np.float64]
    fixed: NDArray[np.float64]
    gross: NDArray[np.float64]
    terms: NDArray[np.float64]
    tiers: NDArray[np.float64]


OWNER = np.dtype([("pool", np.int64), ("state", np.int64), ("over", np.float32), ("within", np.float32)])


def bend_of(columns: int) -> np.dtype[Any]:
    """Return the type of a bend, for so many columns."""
    column = np.uint16 if columns <= 1 << 16 else np.uint32
    return np.dtype([("at", np.float32), ("hurt", np.float32), ("gain", np.float32), ("column", column)])


class Outlooks(NamedTuple):
    """The arrays of the module's table."""

    areas: NDArray[np.int64]
    bases: NDArray[np.float64]
    owners: NDArray[Any]
    bends: NDArray[Any]
    slopes: NDArray[np.float32]
    born: NDArray[np.float64]
    states: NDArray[np.int64]


class Own(NamedTuple):
    """Room for one outlook: its bends and slopes, and what of its owner depends on them."""

    bends: NDArray[Any]
    slopes: NDArray[np.float32]
    owner: NDArray[Any]


@borrowing
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


@borrowing
def bound_of(legs: int, level: float) -> Any:
    """Return the error bound per unit of ``gross`` (:mod:`ringfence.screen.kernels`)."""
    return BOUND * (legs + 8) * REACH * (1.0 + level)


@borrowing
def value_at(i: int, price: float, terms: Any) -> Any:
    """Return the value of one lot, to the same bits as a sweep finds it."""
    if not price > 0.0:
        return np.nan
    return terms[i, LOT] * (terms[i, SIZE] / price if terms[i, INVERSE] else terms[i, SIZE] * price)


@borrowing
def tier_at(i: int, tier: int, number: float, value: float, terms: Any, tiers: Any) -> int:
    """Return the tier of a leg at a value of a lot, as a sweep finds it, from one it was in."""
    if terms[i, WATCHED]:
        last = int(terms[i, TIERS])
        while tier + 1 < last and in_tier(number, value, tiers[i, tier + 1, FLOOR]):
            tier += 1
        while tier > 0 and not in_tier(number, value, tiers[i, tier, FLOOR]):
            tier -= 1
    return tier


@borrowing
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


@borrowing
def bend(
    at: int, i: int, short: bool, tier: int, number: float, price: float, symbols: int, level: float, sides: int,  # noqa: FBT001
    terms: Any, tiers: Any, own: Any,
) -> Any:  # fmt: skip
    """Write a leg's bends from row ``at`` on, one a side; return (surplus, deduction, slack, within, known).

    Surplus: what it adds at ``price``. Slack: what the rounding of its bends may cost. Within: its share of ``at``. Not
    known: no bound holds, since a rate at a level is more than the whole value, or a jump is where the price is.
    """
    symbol = int(terms[i, SYMBOL])
    inverse, moving, watched = terms[i, INVERSE] != 0, terms[i, MOVING] != 0, terms[i, WATCHED] != 0
    value = value_at(i, price, terms)
    tier = tier_at(i, tier, number, value, terms, tiers)
    each = number * terms[i, LOT] * terms[i, SIZE]
    unit = 1.0 / price if inverse else price
    last, charge, top, within = int(terms[i, TIERS]), level * terms[i, CHARGE], tier, RISE - 1.0
    if watched:
        if tier > 0:
            within = min(within, 1.0 - tiers[i, tier, FLOOR] / (each * unit))
        if tier + 1 < last:
            within = min(within, tiers[i, tier + 1, FLOOR] / (each * unit) - 1.0)
        while top + 1 < last and in_tier(number, value * GROWTH, tiers[i, top + 1, FLOOR]):
            top += 1
    most = least = highest = terms[i, FEE]
    if moving:
        most += tiers[i, top, MOST] + terms[i, FUNDING]
        least += (terms[i, LOWEST] if watched else tiers[i, tier, RATE]) + terms[i, FUNDING]
        highest += (terms[i, HIGHEST] if watched else tiers[i, tier, MOST]) + terms[i, FUNDING]
    known = charge * highest <= terms[i, CREDIT]
    ahead = 0.0
    if sides == 2 and terms[i, JUMPS]:
        for higher in range(tier + 1, top + 1):
            way = tiers[i, higher, FLOOR] / each - unit
            known = known and way > 2.0**-20 * unit
            ahead += tiers[i, higher, JUMP] * charge / way
    rising = short != inverse
    column = symbol + 2 * symbols if inverse else symbol
    slack, slope = 0.0, number * row_of(i, short, tier, 1.0, level, terms, tiers) * (terms[i, LOT] * terms[i, SIZE])
    for side in range(sides):
        one = own.bends[at + side]
        up = rising or side != 0
        hurt, gain = ahead, 0.0
        if side == 0:
            hurt = each * (terms[i, CREDIT] + charge * most if rising else terms[i, CREDIT] - charge * least)
            gain = each * (terms[i, CREDIT] + charge * least if rising else terms[i, CREDIT] - charge * most)
        one.column = column + symbols if up else column
        one.at = np.float32(-unit if up else unit)
        one.hurt = np.float32(max(hurt, 1e-30) * UP)
        one.gain = np.float32(max(gain, 0.0) * DOWN)
        own.slopes[at + side] = np.float32(0.0 if side else -slope if up else slope)
        slack += hurt * unit * SLACK
    deduction = tiers[i, tier, DEDUCTION] * terms[i, CHARGE] if moving else 0.0
    return slope * unit, deduction, slack, within - 2.0**-20, known


@borrowing
def look_out(
    pool: int, group: int, held: Any, level: float, sides: int, prices: Any, own: Any
) -> float:  # fmt: skip
    """Write a pool's outlook, all but its base, into ``own``; return the base: infinite below 0 where there is none."""
    many, begin, pools, leg_begin = held.groups[group, 0], held.groups[group, 1], held.groups[group, 2], held.groups[
        group, 3]  # fmt: skip
    owner = own.owner[0]
    owner.pool, owner.over, owner.within = pool, np.inf, -1.0
    if many > MOST_LEGS:
        return -np.inf
    count, deducted, surplus, slack, within, known = held.terms.shape[0], 0.0, 0.0, 0.0, RISE, True
    for slot in range(many):
        leg = leg_begin + slot * pools + pool - begin
        row = int(held.code[leg])
        i = row % count
        added, less, rounded, near, sure = bend(
            slot * sides, i, (row // count) % 2 != 0, row // (2 * count), held.lots[leg],
            prices[int(held.terms[i, SYMBOL])], prices.size, level, sides, held.terms, held.tiers, own,
        )  # fmt: skip
        surplus += added
        deducted += less
        slack += rounded
        within = min(within, near)
        known = known and sure
    if not known:
        return -np.inf
    bound = bound_of(many, level) * held.gross[pool]
    owner.over = np.float32((2.0 * MARGIN * bound + 4.0 * slack) * UP)
    owner.within = np.float32(within)
    return held.cash[pool] - level * (held.fixed[pool] - deducted) - MARGIN * bound + surplus - slack  # type: ignore[no-any-return]


@borrowing
def lowest(base: float, at: int, many: int, bends: Any, ends: Any) -> float:
    """Return how low the surplus can be where units are at ``ends`` (2 U), or better: an outlook's bound."""
    for slot in range(many):
        one = bends[np.uint64(at + slot)]
        way = ends[one.column] - np.float64(one.at)
        hurt, gain = one.hurt * way, one.gain * way
        base += hurt if hurt < gain else gain
    return base


@borrowing
def within_tiers(base: float, within: float, at: int, many: int, outlooks: Any, now: Any) -> float:
    """Return the surplus where units are ``now``, or less, by ``over`` at most; NaN where a tier may have changed."""
    changed = False
    for slot in range(many):
        one = outlooks.bends[np.uint64(at + slot)]
        way = now[one.column] - np.float64(one.at)
        base += outlooks.slopes[np.uint64(at + slot)] * way
        changed |= not abs(way) <= within * abs(np.float64(one.at))
    return np.nan if changed else base


@borrowing
def fitting(base: float, at: int, many: int, bends: Any, eased: Any, outermost: int) -> int:
    """Return where an outlook belongs: in the widest ring, up to ``outermost``, whose box it outlasts with ease.

    ``FARTHER``: among the far ones; ``NEAR``: in none.
    """
    for back in range(outermost):
        row = outermost - back
        if lowest(base, at, many, bends, eased[row]) >= 0.0:
            return row if row < eased.shape[0] - 1 else FARTHER
    return NEAR


@borrowing
def write(place: int, at: int, many: int, base: float, own: Any, outlooks: Any) -> None:
    """Write an outlook to its place, its bends from ``at`` on."""
    outlooks.bases[np.uint64(place)] = base
    outlooks.owners[np.uint64(place)] = own.owner[0]
    for slot in range(many):
        outlooks.bends[np.uint64(at + slot)] = own.bends[slot]
        outlooks.slopes[np.uint64(at + slot)] = own.slopes[slot]


@borrowing
def put_anew(
    group: int, pool: int, held: Any, level: float, sides: int, prices: Any, outlooks: Any, eased: Any, own: Any
) -> int:  # fmt: skip
    """Put a pool that has no outlook where it belongs; return where that is, negative when there is no room there."""
    base, areas, states = look_out(pool, group, held, level, sides, prices, own), outlooks.areas, outlooks.states
    many = areas[NEAR, group, EACH]
    target = fitting(base, 0, many, own.bends, eased, eased.shape[0] - 1)
    states[pool] = (states[pool] & ~PLACE) | (FAR if target == FARTHER else HELD)
    if target == FARTHER:
        return target
    number = areas[target, group, COUNT]
    if number >= areas[target, group, ROOM]:
        return -1
    areas[target, group, COUNT] = number + 1
    own.owner[0].state = states[pool]
    write(areas[target, group, FIRST] + number, areas[target, group, LEGS] + number * many, many, base, own, outlooks)
    return target


@compiled
def forget(pools: Any, states: Any) -> None:
    """Mark pools as gone; their outlooks are left over from now on."""
    for pool in pools:
        states[pool] = ((states[pool] & ~PLACE) + CHANGED) | GONE


@borrowing
def group_of(pool: int, groups: Any) -> int:
    """Return the group of pools that a pool is in."""
    group = 0
    while pool >= groups[group, 1] + groups[group, 2]:
        group += 1
    return group
