"""The compiled parts of the incremental screen (:mod:`ringfence.screen.rings`). Needs numba; imported when it is used.

What they share is kept in few arrays, since handing an array to compiled code costs as much as reading a pool:

========  ===============  ====================================================================================
terms     I, 12 f64        per instrument: the columns ``LOT`` … ``LEVEL`` below
tiers     I, T, 5 f64      floor, rate, highest rate up to here, jump of the requirement at the floor, deduction
money     P, 4 f64         cash, fixed and gross of the columns; where the pool's legs begin in ``held``
held      N, 4 int32       instrument, side, tier (as it was at packing) and lots of each leg, pool by pool
pools     P, 2 int64       ring; when it was last valued
edges     S, 2, R f64      where the band of a bucket ends; 0 below and infinity above: it is empty
buckets   S, 2, R, 3 i64   how many pools, its first chunk, when it was last emptied
chunks    C, HELD + 1 i64  the pools of a bucket, and the next chunk; the last row holds the first unused chunk
radius    R f64            of the rings, in expected moves
lines     8, U f64         rows: innermost ends below and above, reach below and above, guards below and above, the
                           units themselves, expected moves. U: prices, then one over each where any contract is inverse
near_…                     the near pools: pool, constant, first leg; unit, slope and tier ends of each leg
counts    2 int64          near pools and their legs
legs      64, 8 f64        room for the legs of one pool
========  ===============  ====================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.margin import formulas
from ringfence.screen.compiled import compiled, inlined
from ringfence.screen.kernels import BOUND, REACH
from ringfence.screen.packing import in_tier

NEAR = 253  #: the ring of pools that are revalued at every price
STALE = 254  #: of pools whose ring has to be found anew
GONE = 255  #: of pools that were taken out
WIDEST = 0.4  #: a price may move by 40 % at most inside a band when it is laid
FURTHEST = 1.0 + WIDEST + 2.0**-30  #: how far a band's end may be when a pool is put into it, against the leg
GROWTH = 1.0 + WIDEST + 2.0**-20
HELD = 30  #: pools in a chunk of a bucket
RINGS_TRIED = 6  #: in how many rings a place is looked for
MOST_LEGS = 64  #: a pool of more is always near

LOT, SIZE, INVERSE, FEE, MOVING, FUNDING, TIERS, WATCHED, CREDIT, CHARGE, SYMBOL, JUMPS = range(12)
FLOOR, RATE, MOST, JUMP, DEDUCTION = range(5)
LOW, HIGH, LEAST, GREATEST, FROM, UNTIL, UNITS, MOVES = range(8)

_unrealised_pnl = inlined(formulas.unrealised_pnl)
_notional = inlined(formulas.notional)
_maintenance_margin = inlined(formulas.maintenance_margin)


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


@compiled
def surplus_of(
    pool: int, held: Any, money: Any, level: float, terms: Any, tiers: Any, prices: Any, legs: Any
) -> tuple[int, Any]:
    """Return (how many legs, surplus) of a pool: what a sweep computes, by the same steps, to the bit.

    ``legs`` is filled with each one's instrument, side, symbol, lots, tier, value of a lot, row and price. Of a pool of
    more than ``MOST_LEGS`` the surplus is not a number.
    """
    begin, many = int(money[pool, 3]), int(money[pool + 1, 3] - money[pool, 3])
    if many > MOST_LEGS:
        return many, np.nan
    deducted = 0.0
    for slot in range(many):
        leg = held[begin + slot]
        i, short, tier, number = leg[0], leg[1] != 0, int(leg[2]), leg[3]
        symbol = int(terms[i, SYMBOL])
        value = value_at(i, prices[symbol], terms)
        if terms[i, WATCHED]:
            last = int(terms[i, TIERS])
            while tier + 1 < last and in_tier(number, value, tiers[i, tier + 1, FLOOR]):
                tier += 1
            while tier > 0 and not in_tier(number, value, tiers[i, tier, FLOOR]):
                tier -= 1
        if terms[i, MOVING]:
            deducted += tiers[i, tier, DEDUCTION] * terms[i, CHARGE]
        legs[slot, 0], legs[slot, 1], legs[slot, 2], legs[slot, 3] = i, short, symbol, number
        legs[slot, 4], legs[slot, 5], legs[slot, 7] = tier, value, prices[symbol]
        legs[slot, 6] = row_of(i, short, tier, value, level, terms, tiers)
    total = money[pool, 0] - level * (money[pool, 1] - deducted) - bound_of(many, level) * money[pool, 2]
    for slot in range(many):
        total += legs[slot, 3] * legs[slot, 6]
    return many, total


@compiled
def gather(groups: Any, code: Any, lots: Any, count: int, held: Any, money: Any) -> None:
    """Fill ``held`` and the last column of ``money`` (one row more than there are pools) from the columns."""
    at = 0
    for group in range(groups.shape[0]):
        many, begin, pools, leg_begin = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
        for pool in range(pools):
            money[begin + pool, 3] = at
            for slot in range(many):
                leg = leg_begin + slot * pools + pool
                row = int(code[leg])
                held[at, 0], held[at, 1], held[at, 2] = row % count, (row // count) % 2, row // (2 * count)
                held[at, 3] = lots[leg]
                at += 1
    money[money.shape[0] - 1, 3] = at


@compiled
def gather_some(places: Any, groups: Any, code: Any, lots: Any, count: int, held: Any, money: Any) -> None:
    """Do as :func:`gather` does for some places, whose legs are as many as before."""
    for pool in places:
        group = 0
        while pool >= groups[group, 1] + groups[group, 2]:
            group += 1
        at = int(money[pool, 3])
        for slot in range(groups[group, 0]):
            leg = groups[group, 3] + slot * groups[group, 2] + pool - groups[group, 1]
            row = int(code[leg])
            held[at, 0], held[at, 1], held[at, 2] = row % count, (row // count) % 2, row // (2 * count)
            held[at, 3] = lots[leg]
            at += 1


@inlined
def edge_of(ring: int, side: int, symbol: int, price: float, edges: Any, radius: Any, lines: Any) -> Any:
    """Return where the band of a bucket ends: where it does, or where it will when it is laid now."""
    edge = edges[symbol, side, ring]
    if (edge > 0.0) if side == 0 else (edge < np.inf):
        return edge
    width = 1.0 + min(radius[ring] * lines[MOVES, symbol], WIDEST)
    return price / width if side == 0 else price * width


@inlined
def steepness(leg: Any, level: float, terms: Any, tiers: Any) -> Any:
    """Return by how much at most a leg's surplus falls per unit (a price, or one over it) that goes against it.

    In any tier that it reaches while its value grows by ``GROWTH``. Infinite where it may be hurt both ways: a rate at
    a level is more than the whole value.
    """
    i, number, tier, value = int(leg[0]), leg[3], int(leg[4]), leg[5]
    last = int(terms[i, TIERS])
    charge = level * terms[i, CHARGE]
    both = terms[i, FEE] + (tiers[i, last - 1, MOST] + terms[i, FUNDING] if terms[i, MOVING] else 0.0)
    if not charge * both <= terms[i, CREDIT]:
        return np.inf
    each = number * terms[i, LOT] * terms[i, SIZE]
    if (leg[1] != 0) == (terms[i, INVERSE] != 0):  # hurt while the value falls
        return each * terms[i, CREDIT]
    if terms[i, WATCHED]:
        while tier + 1 < last and in_tier(number, value * GROWTH, tiers[i, tier + 1, FLOOR]):
            tier += 1
    rate = terms[i, FEE] + (tiers[i, tier, MOST] + terms[i, FUNDING] if terms[i, MOVING] else 0.0)
    return each * (terms[i, CREDIT] + charge * rate)


@inlined
def way_to(edge: float, side: int, price: float, inverse: float) -> Any:
    """Return how many units it is to an edge; infinite when it was passed, or is further than ``GROWTH`` allows for."""
    if side == 0:
        if edge >= price or (inverse and price > edge * FURTHEST):
            return np.inf
        return 1.0 / edge - 1.0 / price if inverse else price - edge
    if edge <= price or (not inverse and edge > price * FURTHEST):
        return np.inf
    return 1.0 / price - 1.0 / edge if inverse else edge - price


@inlined
def jumps_to(leg: Any, edge: float, level: float, terms: Any, tiers: Any) -> Any:
    """Return what a leg's requirement may jump by at tier edges while its value grows up to that at ``edge``."""
    i, number, tier, price = int(leg[0]), leg[3], int(leg[4]), leg[7]
    if (edge >= price) if terms[i, INVERSE] else (edge <= price):
        return np.inf
    ending, last, total = value_at(i, edge, terms), int(terms[i, TIERS]), 0.0
    while tier + 1 < last and in_tier(number, ending, tiers[i, tier + 1, FLOOR]):
        tier += 1
        total += tiers[i, tier, JUMP]
    return total * level * terms[i, CHARGE]


@compiled
def ring_for(
    many: int, left: float, level: float, terms: Any, tiers: Any, edges: Any, radius: Any, lines: Any, legs: Any
) -> int:
    """Return the ring whose bands a pool with ``left`` to lose outlasts, else NEAR.

    Of those near its distance it is the one in which prices may go furthest: some bands are about to end.
    """
    if not left > 0.0:
        return NEAR
    exposure = 0.0  # about what one expected move costs, to begin near the right ring
    jumping = False
    for slot in range(many):
        i = int(legs[slot, 0])
        exposure += legs[slot, 3] * legs[slot, 5] * lines[MOVES, int(legs[slot, 2])]
        legs[slot, 6] = steepness(legs[slot], level, terms, tiers)
        jumping = jumping or terms[i, JUMPS] != 0
    ring = radius.size - 1
    while ring > 0 and radius[ring] * exposure > 1.6 * left:
        ring -= 1
    best, most, tried = NEAR, 0.0, 0
    while ring >= 0 and (tried < RINGS_TRIED or best == NEAR):
        loss = 0.0
        for slot in range(many):
            leg = legs[slot]
            i, side, symbol = int(leg[0]), int(leg[1]), int(leg[2])
            edge = edge_of(ring, side, symbol, leg[7], edges, radius, lines)
            loss += leg[6] * way_to(edge, side, leg[7], terms[i, INVERSE])
            if jumping and terms[i, JUMPS]:
                upward = 0 if terms[i, INVERSE] else 1
                edge = edge_of(ring, upward, symbol, leg[7], edges, radius, lines)
                loss += jumps_to(leg, edge, level, terms, tiers)
            if not loss < left:
                break
        if most < loss and loss * (1.0 + 2.0**-30) < left:
            best, most = ring, loss
        ring -= 1
        tried += 1
    return best


@compiled
def enter(
    pool: int, ring: int, side: int, symbol: int, price: float, edges: Any, buckets: Any, chunks: Any, radius: Any,
    lines: Any,
) -> bool:  # fmt: skip
    """Enter a pool into a bucket; False when there is no chunk left. The first one lays the band."""
    held = buckets[symbol, side, ring, 0]
    if held == 0:
        edge = edge_of(ring, side, symbol, price, edges, radius, lines)
        edges[symbol, side, ring] = edge
        buckets[symbol, side, ring, 1] = -1
        if side == 0:
            lines[LOW, symbol] = max(lines[LOW, symbol], edge)
        else:
            lines[HIGH, symbol] = min(lines[HIGH, symbol], edge)
    last = chunks.shape[0] - 1
    if held % HELD == 0:
        chunk = chunks[last, 0]
        if chunk < 0:
            return False
        chunks[last, 0] = chunks[chunk, HELD]
        chunks[chunk, HELD] = buckets[symbol, side, ring, 1]
        buckets[symbol, side, ring, 1] = chunk
    chunks[buckets[symbol, side, ring, 1], held % HELD] = pool
    buckets[symbol, side, ring, 0] = held + 1
    return True


@compiled
def add_near(
    pool: int, many: int, money: Any, level: float, terms: Any, tiers: Any, lines: Any, legs: Any, near_pool: Any,
    near_constant: Any, near_first: Any, near_unit: Any, near_leg: Any, counts: Any,
) -> bool:  # fmt: skip
    """Copy a pool to the near ones; False when there is no room.

    Its constant is lowered by the error of summing it in another way. A pool of too many legs has a copy that is always
    a candidate.
    """
    at, end = counts[0], counts[1]
    if at >= near_pool.size or end + MOST_LEGS >= near_unit.size:
        return False
    symbols = int(lines.shape[1])
    deducted = 0.0
    for slot in range(min(many, MOST_LEGS)):
        i, short, symbol, number, tier = int(legs[slot, 0]), legs[slot, 1] != 0, int(legs[slot, 2]), legs[slot, 3], int(
            legs[slot, 4])  # fmt: skip
        if terms[i, MOVING]:
            deducted += tiers[i, tier, DEDUCTION] * terms[i, CHARGE]
        unit = symbol + symbols // 2 if terms[i, INVERSE] else symbol
        each = terms[i, LOT] * terms[i, SIZE]
        near_unit[end] = unit
        near_leg[end] = number * row_of(i, short, tier, 1.0, level, terms, tiers) * each
        if terms[i, WATCHED]:
            if tier > 0:
                lines[FROM, unit] = max(lines[FROM, unit], tiers[i, tier, FLOOR] / (number * each) * (1.0 + 2.0**-45))
            if tier + 1 < int(terms[i, TIERS]):
                until = tiers[i, tier + 1, FLOOR] / (number * each) * (1.0 - 2.0**-45)
                lines[UNTIL, unit] = min(lines[UNTIL, unit], until)
        end += 1
    bound = 2.0 * bound_of(many, level)
    near_constant[at] = money[pool, 0] - level * (money[pool, 1] - deducted) - bound * money[pool, 2]
    if many > MOST_LEGS:
        near_constant[at] = np.nan
    near_pool[at] = pool
    near_first[at + 1] = end
    counts[0], counts[1] = at + 1, end
    return True


@compiled
def look_near(
    prices: Any, lines: Any, near_constant: Any, near_first: Any, near_unit: Any, near_leg: Any, counts: Any,
    candidates: Any,
) -> int:  # fmt: skip
    """Return how many near pools may have reached the line, written into ``candidates``; −1: a band ended, −2: a tier.

    What every price costs: two comparisons a symbol, and the sum of the near pools.
    """
    symbols = prices.size
    ended = changed = 0
    for s in range(symbols):
        lines[UNITS, s] = prices[s]
        ended += not (lines[LOW, s] < prices[s] < lines[HIGH, s])
    if lines.shape[1] > symbols:
        for s in range(symbols):
            lines[UNITS, symbols + s] = 1.0 / prices[s]
    if ended:
        return -1
    for u in range(lines.shape[1]):
        changed += not (lines[FROM, u] <= lines[UNITS, u] < lines[UNTIL, u])
    if changed:
        return -2
    found = 0
    for at in range(counts[0]):
        surplus = near_constant[at]
        for leg in range(near_first[at], near_first[at + 1]):
            surplus += near_leg[leg] * lines[UNITS, near_unit[leg]]
        if not surplus >= 0.0:
            candidates[found] = at
            found += 1
    return found


@compiled
def confirm(
    found: int, candidates: Any, held: Any, money: Any, level: float, terms: Any, tiers: Any,
    prices: Any, pools: Any, legs: Any, near_pool: Any, hits: Any,
) -> int:  # fmt: skip
    """Keep of the candidates those that a sweep would name; write the packed pools into ``hits``."""
    kept = 0
    for number in range(found):
        pool = near_pool[candidates[number]]
        if pools[pool, 0] == NEAR:
            _, surplus = surplus_of(pool, held, money, level, terms, tiers, prices, legs)
            if not surplus >= 0.0:
                hits[kept] = pool
                kept += 1
    return kept


@compiled
def ended(prices: Any, lines: Any, edges: Any, buckets: Any, waiting: Any) -> tuple[int, int]:
    """Write the buckets whose band has ended into ``waiting`` (B, 3); return how many, and how many pools they hold.

    They are guarded no more: the innermost ends are found anew without them. Negative: a price is missing, or out of
    reach of the error bound.
    """
    found = many = 0
    for s in range(prices.size):
        price = prices[s]
        if not lines[LEAST, s] < price < lines[GREATEST, s]:
            return -1, 0
    for s in range(prices.size):
        price = prices[s]
        if lines[LOW, s] < price < lines[HIGH, s]:
            continue
        low, high = lines[LEAST, s], lines[GREATEST, s]
        for ring in range(edges.shape[2]):
            for side in range(2):
                if not buckets[s, side, ring, 0]:
                    continue
                edge = edges[s, side, ring]
                if not 0.0 < edge < np.inf:
                    continue  # known to have ended
                if (price <= edge) if side == 0 else (price >= edge):
                    waiting[found, 0], waiting[found, 1], waiting[found, 2] = ring, side, s
                    edges[s, side, ring] = np.inf if side == 0 else 0.0
                    found += 1
                    many += buckets[s, side, ring, 0]
                elif side == 0:
                    low = max(low, edge)
                else:
                    high = min(high, edge)
        lines[LOW, s], lines[HIGH, s] = low, high
    return found, many


@compiled
def take(
    waiting: Any, first: int, end: int, now: int, most: int, pools: Any, edges: Any, buckets: Any, chunks: Any,
    scratch: Any,
) -> tuple[int, int]:  # fmt: skip
    """Empty buckets, one after another, until ``most`` pools are taken out of them.

    Write the pools that were still theirs into ``scratch``; return how many those are, and the first bucket that is not
    empty.
    """
    total = read = 0
    last = chunks.shape[0] - 1
    for at in range(first, end):
        ring, side, s = waiting[at, 0], waiting[at, 1], waiting[at, 2]
        left, chunk = buckets[s, side, ring, 0], buckets[s, side, ring, 1]
        while left > 0 and read < most:
            full = (left - 1) % HELD + 1
            for number in range(full):
                pool = chunks[chunk, number]
                if pools[pool, 0] == ring and pools[pool, 1] != now:
                    pools[pool, 1] = now
                    scratch[total] = pool
                    total += 1
            left -= full
            read += full
            following = chunks[chunk, HELD]
            chunks[chunk, HELD] = chunks[last, 0]
            chunks[last, 0] = chunk
            chunk = following
        buckets[s, side, ring, 0], buckets[s, side, ring, 1] = left, chunk
        if left > 0:
            return total, at
        buckets[s, side, ring, 2] = now
        edges[s, side, ring] = 0.0 if side == 0 else np.inf
    return total, end


@compiled
def clear_near(lines: Any, near_first: Any, counts: Any) -> None:
    """Forget the copies of the near pools."""
    counts[0] = counts[1] = 0
    near_first[0] = 0
    lines[FROM, :] = 0.0
    lines[UNTIL, :] = np.inf


@compiled
def take_near(now: int, pools: Any, lines: Any, near_pool: Any, near_first: Any, counts: Any, scratch: Any) -> int:
    """Forget the copies of the near pools; write the pools into ``scratch`` and return how many."""
    total = 0
    for at in range(counts[0]):
        pool = near_pool[at]
        if pools[pool, 0] == NEAR and pools[pool, 1] != now:
            pools[pool, 1] = now
            scratch[total] = pool
            total += 1
    clear_near(lines, near_first, counts)
    return total


@compiled
def distribute(
    total: int, scratch: Any, now: int, held: Any, money: Any, level: float, terms: Any,
    tiers: Any, prices: Any, pools: Any, edges: Any, buckets: Any, chunks: Any, radius: Any, lines: Any, legs: Any,
    near_pool: Any, near_constant: Any, near_first: Any, near_unit: Any, near_leg: Any, counts: Any,
) -> bool:  # fmt: skip
    """Value these pools and put each where it belongs; False when there was no room.

    Each still stands in the buckets of its ring, but for those that were emptied at the time ``now``.
    """
    good = True
    # Read all of them once: memory is waited for together, not pool by pool.
    read = 0.0
    for number in range(total):
        read += money[scratch[number], 0]
    for number in range(total):
        read += held[int(money[scratch[number], 3]), 0]
    if read == np.inf:
        return False
    for number in range(total):
        pool = scratch[number]
        before = pools[pool, 0]
        many, surplus = surplus_of(pool, held, money, level, terms, tiers, prices, legs)
        left = surplus - 4.0 * bound_of(many, level) * money[pool, 2]
        ring = ring_for(many, left, level, terms, tiers, edges, radius, lines, legs)
        pools[pool, 0] = ring
        if ring == NEAR:
            good = add_near(
                pool, many, money, level, terms, tiers, lines, legs, near_pool, near_constant, near_first, near_unit,
                near_leg, counts,
            ) and good  # fmt: skip
            continue
        for slot in range(many):
            i, symbol = int(legs[slot, 0]), int(legs[slot, 2])
            for side in range(2):
                if side != int(legs[slot, 1]) and not terms[i, JUMPS]:
                    continue
                if ring == before and buckets[symbol, side, ring, 2] != now:
                    continue
                good = enter(
                    pool, ring, side, symbol, legs[slot, 7], edges, buckets, chunks, radius, lines
                ) and good  # fmt: skip
    return good


@compiled
def empty_all(pools: Any, edges: Any, buckets: Any, chunks: Any, lines: Any, scratch: Any) -> int:
    """Empty every bucket; write every pool that is not gone into ``scratch`` and return how many there are."""
    buckets[:, :, :, 0] = 0
    edges[:, 0, :] = 0.0
    edges[:, 1, :] = np.inf
    lines[LOW, :] = lines[LEAST, :]
    lines[HIGH, :] = lines[GREATEST, :]
    last = chunks.shape[0] - 1
    for chunk in range(last):
        chunks[chunk, HELD] = chunk + 1 if chunk + 1 < last else -1
    chunks[last, 0] = 0
    total = 0
    for pool in range(pools.shape[0]):
        if pools[pool, 0] != GONE:
            pools[pool, 0] = STALE
            scratch[total] = pool
            total += 1
    return total
