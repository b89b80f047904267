"""The compiled parts of the incremental screen (:mod:`ringfence.screen.rings`). Needs numba; imported when it is used.

Beside what is kept of each pool (:mod:`ringfence.screen.outlooks`) there are few arrays, since handing an array to
compiled code costs as much as reading a pool. ``R`` rings, of which ring 0 are the near pools; ``B = R + 2`` boxes: one
for each ring from 1 to ``R - 1``, box 0 is not used, and two for the far pools, ``OLD`` and ``NEW``; ``U`` units.

======  =================  ====================================================================================
boxes   B, 2, S f64        the lowest and the highest price of each box; closed: infinity and 0
ends    2, R + 1, 2 U f64  where the box of each ring ends: the lowest unit, and the highest with a minus
                           (:mod:`.outlooks` on the columns); row 0: the
                           units as they are; the last row: of the far pools, whoever is one outlasting both boxes. The
                           second table: with ``EASE`` times as long a way. ``CLOSED`` where a box is closed
scan    2, 2 U f64         ends of the ring that is gone through, and where in it outlooks are too old
lines   10, S f64          innermost ends below and above, reach below and above, expected moves and the least of
                           them, prices when those were last brought up to date, boxes' width against other symbols,
                           the first triggers of pools of one long and of one short position (:mod:`.trigger_kernels`)
pieces  ?, 3 int64         (group, first, end) of the pieces in which far pools are gone through
own                        room for one outlook
moving  ?, 2 int64         of a block: which are to be put elsewhere, and where
======  =================  ====================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.screen.compiled import borrowing, compiled
from ringfence.screen.kernels import look_at_piece
from ringfence.screen.outlooks import (
    CHANGED,
    CHARGE,
    CLOSED,
    COUNT,
    CREDIT,
    EACH,
    EASE,
    FAR,
    FARTHER,
    FEE,
    FIRST,
    FLOOR,
    FUNDING,
    GONE,
    HIGHEST,
    INVERSE,
    JUMP,
    JUMPS,
    LEGS,
    LOT,
    MARGIN,
    MOST,
    MOVING,
    NEAR,
    PLACE,
    RISE,
    ROOM,
    SIZE,
    SYMBOL,
    TIERS,
    TRIGGER,
    WATCHED,
    WIDEST,
    bound_of,
    fitting,
    group_of,
    look_out,
    lowest,
    put_anew,
    surplus_of,
    within_tiers,
    write,
)
from ringfence.screen.trigger_kernels import CALLED_LONG, CALLED_SHORT, GREATEST, LEAST, pass_triggers

LOW, HIGH, _, _, MOVES, LEAST_MOVE, BEFORE, SHARE = range(8)  #: the others: with the triggers
FURTHEST = 1.0 + WIDEST + 2.0**-30  #: how far a box's end may be when a pool is put into it, against the pool
OUTWARD = 1.0 + 2.0**-30
BLOCK = 1 << 14  #: outlooks for which memory is taken beforehand
MEMORY = 4096.0  #: price updates over which expected moves are learned
CLIPPED = 3.0  #: a move of more than this many expected ones is learned from as if it were this
BOX_ENDED = -1
ANEW = 201  #: of what does not fit into any ring as it was seen from: it is looked at from where prices are
DOUBTED = 1 << 32


@compiled
def look_near(
    prices: Any, lines: Any, now: Any, outlooks: Any, lists: Any, keys: Any, key_heads: Any, candidates: Any
) -> int:
    """Write who has reached the line, or may have, into ``candidates``: near pools, and by their triggers.

    What every price costs: four comparisons a symbol, and the outlooks of the near pools. ``now``: the units, to be
    filled. Return how many there are without doubt, from the first place on, and ``DOUBTED`` times how many in doubt,
    up to the last place (of near ones ``−1 −`` the place of the outlook); or ``BOX_ENDED``.
    """
    areas, bases, owners, bends, states = (
        outlooks.areas, outlooks.bases, outlooks.owners, outlooks.bends, outlooks.states
    )  # fmt: skip
    symbols = prices.size
    ended = passed = 0
    for s in range(symbols):
        ended += not (lines[LOW, s] < prices[s] < lines[HIGH, s])
        passed += not (lines[CALLED_LONG, s] <= prices[s] <= lines[CALLED_SHORT, s])
    if ended:
        return BOX_ENDED
    be_now(prices, now)
    found = doubted = 0
    if passed:
        found, doubted = pass_triggers(prices, lines, states, lists, keys, key_heads, candidates)
    for group in range(areas.shape[1]):
        first, many, at = areas[NEAR, group, FIRST], areas[NEAR, group, EACH], areas[NEAR, group, LEGS]
        for place in range(first, first + areas[NEAR, group, COUNT]):
            if not lowest(bases[np.uint64(place)], at, many, bends, now) >= 0.0:
                owner = owners[place]
                if states[owner.pool] != owner.state:
                    bases[place] = np.inf  # left over: a candidate no more
                else:
                    surplus = within_tiers(bases[place], owner.within, at, many, outlooks, now)
                    if surplus + owner.over < 0.0:
                        candidates[found] = owner.pool
                        found += 1
                    elif not surplus >= 0.0:
                        doubted += 1
                        candidates[candidates.size - doubted] = -1 - place
            at += many
    return found + DOUBTED * doubted


@compiled
def be_now(prices: Any, now: Any) -> None:
    """Fill ``now`` with the units at prices, and minus those."""
    symbols = prices.size
    up, down = now[:symbols], now[symbols : 2 * symbols]
    for s in range(symbols):
        up[s], down[s] = prices[s], -prices[s]
    if now.size > 2 * symbols:
        up, down = now[2 * symbols : 3 * symbols], now[3 * symbols :]
        for s in range(symbols):
            up[s], down[s] = 1.0 / prices[s], -1.0 / prices[s]


@compiled
def look_passed(prices: Any, lines: Any, states: Any, lists: Any, keys: Any, key_heads: Any, candidates: Any) -> int:
    """Write those alone whose triggers prices have passed, as :func:`look_near` does; return how many."""
    found, doubted = pass_triggers(prices, lines, states, lists, keys, key_heads, candidates)
    return found + DOUBTED * doubted


@compiled
def confirm(
    found: int, doubted: int, candidates: Any, held: Any, level: float, sides: int, prices: Any, lines: Any, ends: Any,
    outlooks: Any, own: Any,
) -> int:  # fmt: skip
    """Put those of the pools in doubt that a sweep would name behind those without; return how many there are.

    The others are given a new outlook, from where prices are.
    """
    areas, read, made = outlooks.areas, 0.0, 0
    for number in range(candidates.size - doubted, candidates.size):
        if candidates[number] < 0:
            pool = outlooks.owners[-1 - candidates[number]].pool
            read += touched(pool, group_of(pool, held.groups), held, outlooks)
    if read == -np.inf:
        return 0
    for number in range(candidates.size - doubted, candidates.size):
        pool, place = candidates[number], -1 - candidates[number]
        if pool < 0:
            pool = outlooks.owners[place].pool
        group = group_of(pool, held.groups)
        if not surplus_of(pool, group, held, level, prices) >= 0.0:
            candidates[found] = pool
            found += 1
        elif place >= 0:
            base, many = look_out(pool, group, held, level, sides, prices, own), areas[NEAR, group, EACH]
            own.owner[0].state = outlooks.owners[place].state
            at = areas[NEAR, group, LEGS] + (place - areas[NEAR, group, FIRST]) * many
            write(place, at, many, base, own, outlooks)
            made += 1
    if made:
        be_born(0, prices.size, ends, outlooks.born)
        not_too_old(prices.size, outlooks.born, lines)
    return found


# ── Boxes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@compiled
def pace(prices: Any, updates: int, lines: Any) -> float:
    """Learn expected moves from those of the last ``updates`` prices; return the largest one, in expected moves."""
    share, scale = min(updates / MEMORY, 0.25), 1.0 / np.sqrt(updates)
    worst = 0.0
    for s in range(prices.size):
        move = abs(prices[s] / lines[BEFORE, s] - 1.0) * scale
        lines[BEFORE, s] = prices[s]
        expected = lines[MOVES, s]
        if not move >= 0.0:
            continue
        if move > worst * expected:
            worst = move / expected
        move = min(move, CLIPPED * expected)
        learned = np.sqrt(expected * expected + share * (move * move - expected * expected))
        lines[MOVES, s] = max(learned, lines[LEAST_MOVE, s])
    return worst


@compiled
def examine(
    prices: Any, rush: float, old: int, lines: Any, boxes: Any, ends: Any, born: Any
) -> tuple[int, bool, float]:  # fmt: skip
    """Return which boxes prices have left, whether they have rushed, and how much is spent of box ``old``.

    A bit for each box, but for those that are closed, bit 0 where outlooks of near pools are too old; negative where a
    price is missing, or outside of what errors are bounded for. Rushed: a quarter of all prices has moved by more than
    ``rush`` expected moves since they were last seen. Spent: how much of the way from its middle to its end has been
    gone, at most.
    """
    outside = moved = left = 0
    spent = 0.0
    for s in range(prices.size):
        price, before, width = prices[s], ends[0, 0, s], 1.0 + rush * lines[MOVES, s]
        outside += not (lines[LEAST, s] < price < lines[GREATEST, s])
        moved += price > before * width or price * width < before
        low, high = boxes[old, 0, s], boxes[old, 1, s]
        gone = abs(2.0 * price - low - high)
        if gone > spent * (high - low):
            spent = gone / (high - low)
    if outside:
        return -1, False, 0.0
    for s in range(prices.size):
        outside += not prices[s] <= RISE * born[NEAR, s]
    for unit in range(prices.size, born.shape[1]):
        outside += not 1.0 / prices[unit - prices.size] <= RISE * born[NEAR, unit]
    if outside:
        left = 1
    for box in range(1, boxes.shape[0]):
        if not is_closed(box, boxes):
            outside = 0
            for s in range(prices.size):
                # A symbol that had no price when the box was laid has no end in it: nobody who holds it outlasts that.
                outside += boxes[box, 1, s] > 0.0 and not (boxes[box, 0, s] < prices[s] < boxes[box, 1, s])
            if outside:
                left |= 1 << box
    return left, left != 0 and 4 * moved > prices.size, spent


@compiled
def is_closed(box: int, boxes: Any) -> bool:
    """Whether nobody can be in a box."""
    for s in range(boxes.shape[2]):  # noqa: SIM110, compiled
        if boxes[box, 1, s] != 0.0:
            return False
    return True


@compiled
def lay(which: int, outermost: int, radii: Any, prices: Any, lines: Any, boxes: Any, ends: Any) -> None:
    """Lay boxes around prices: those whose bit is in ``which``, and closed ones of rings. Then fill ``ends``.

    Boxes and ends up to ``outermost`` alone; ``R`` stands for all.
    """
    count = boxes.shape[0]
    for box in range(1, count):
        if which & (1 << box) or (box < min(count - 2, outermost + 1) and is_closed(box, boxes)):
            for s in range(prices.size):
                width = 1.0 + min(radii[box] * lines[MOVES, s] * lines[SHARE, s], WIDEST)
                boxes[box, 0, s], boxes[box, 1, s] = prices[s] / width, prices[s] * width
    be_now(prices, ends[0, 0])
    for row in range(1, min(count - 2, outermost) + 1):
        measure(row, prices, boxes, ends)


@compiled
def measure(row: int, prices: Any, boxes: Any, ends: Any) -> None:
    """Fill the ends of a ring's box; in row ``R`` those that outlast both boxes of the far pools are beyond."""
    symbols, now, ending, eased = prices.size, ends[0, 0], ends[0, row], ends[1, row]
    ending[:] = np.inf
    closed = True
    for box in range(row, row + 2 if row == boxes.shape[0] - 2 else row + 1):
        if is_closed(box, boxes):
            continue
        closed = False
        lows, highs = boxes[box, 0], boxes[box, 1]
        for first in range(0, now.size, 2 * symbols):
            here, down, up = now[first : first + symbols], ending[first : first + symbols], ending[first + symbols :]
            for s in range(symbols):
                low, high = lows[s], highs[s]
                inside = low < prices[s] < high
                if first:
                    low, high = 1.0 / high / OUTWARD, 1.0 / low * OUTWARD
                low = low if inside else CLOSED
                high = -high if inside and high <= here[s] * FURTHEST else CLOSED
                down[s] = low if low < down[s] else down[s]
                up[s] = high if high < up[s] else up[s]
    for column in range(now.size):
        known = ending[column] > CLOSED and not closed
        eased[column] = now[column] - EASE * (now[column] - ending[column]) if known else CLOSED
        ending[column] = ending[column] if known else CLOSED


@compiled
def guard(outlooks: Any, boxes: Any, lines: Any) -> None:
    """Find between which prices nobody has to be looked at anew: inside of all boxes, and of reach.

    Boxes of rings that nobody is in are closed. Outlooks of near pools hold until a unit has risen by ``RISE``.
    """
    areas, symbols, lows, highs = outlooks.areas, lines.shape[1], lines[LOW], lines[HIGH]
    lows[:], highs[:] = lines[LEAST], lines[GREATEST]
    not_too_old(symbols, outlooks.born, lines)
    for box in range(1, boxes.shape[0]):
        standing = 0
        for group in range(areas.shape[1] if box < areas.shape[0] else 0):
            standing += areas[box, group, COUNT]
        if box < areas.shape[0] and standing == 0:
            boxes[box, 0], boxes[box, 1] = np.inf, 0.0
            outlooks.born[box] = np.inf
        if is_closed(box, boxes):
            continue
        from_low, from_high = boxes[box, 0], boxes[box, 1]
        for s in range(symbols):
            lows[s] = from_low[s] if from_low[s] > lows[s] else lows[s]
            highs[s] = from_high[s] if from_high[s] < highs[s] else highs[s]


@compiled
def not_too_old(symbols: int, born: Any, lines: Any) -> None:
    """Bring the innermost ends to where a near pool's outlook gets too old, where that is nearer."""
    lows, highs = lines[LOW], lines[HIGH]
    for s in range(symbols):
        most = RISE * born[NEAR, s] / OUTWARD
        highs[s] = most if most < highs[s] else highs[s]
    for unit in range(symbols, born.shape[1]):
        least = 1.0 / (RISE * born[NEAR, unit] / OUTWARD)
        lows[unit - symbols] = least if least > lows[unit - symbols] else lows[unit - symbols]


# ── Going through rings ──────────────────────────────────────────────────────────────────────────────────────────


@compiled
def go_through(
    ring: int, group: int, begin: int, end: int, outward: int, ends: Any, scan: Any, outlooks: Any, moving: Any
) -> int:  # fmt: skip
    """Write which outlooks of a block, from ``begin`` up to ``end``, do not outlast their ring's box into ``moving``.

    Of near ones, which are too old. Where ``outward`` is not 0 also those that outlast the next box with ease. Return
    how many.
    """
    areas, bases, bends = outlooks.areas, outlooks.bases, outlooks.bends
    first, many = areas[ring, group, FIRST], areas[ring, group, EACH]
    at, found, own, further = areas[ring, group, LEGS] + begin * many, 0, scan[0], ends[1, ring + 1]
    for number in range(begin, end):
        base = bases[np.uint64(first + number)]
        moves = not lowest(base, at, many, bends, own) >= 0.0
        if ring == NEAR and moves:
            moves = is_old(at, many, bends, scan)
        if outward and not moves:
            moves = lowest(base, at, many, bends, further) >= 0.0
        if moves:
            moving[found, 0] = number
            found += 1
        at += many
    return found


@borrowing
def is_old(at: int, many: int, bends: Any, scan: Any) -> bool:
    """Whether an outlook is too old where it stands."""
    old = False
    for slot in range(many):
        old |= scan[1, bends[np.uint64(at + slot)].column] != 0.0
    return old


@borrowing
def touched(pool: int, group: int, held: Any, outlooks: Any) -> float:
    """Read what making an outlook of a pool is going to need. Return any number, for nobody to leave it out."""
    groups = held.groups
    read, total = outlooks.states[pool], held.cash[pool] + held.fixed[pool] + held.gross[pool]
    leg = groups[group, 3] + pool - groups[group, 1]
    for _ in range(groups[group, 0]):
        read |= held.code[leg] | held.lots[leg]
        leg += groups[group, 2]
    return read + total  # type: ignore[no-any-return]


@compiled
def aim(
    ring: int, group: int, found: int, outermost: int, held: Any, outlooks: Any, ends: Any, scan: Any, moving: Any
) -> float:  # fmt: skip
    """Write where each of ``moving`` is to be put: outward as far as it fits, or inward; ``ANEW`` for who is too old.

    Of who is to be made anew everything is read once that this is going to need: memory is waited for together, not
    pool by pool. Return any number.
    """
    areas, bends, read = outlooks.areas, outlooks.bends, 0.0
    first, many = areas[ring, group, FIRST], areas[ring, group, EACH]
    for number in range(found):
        place = moving[number, 0]
        at, base = areas[ring, group, LEGS] + place * many, outlooks.bases[np.uint64(first + place)]
        if is_old(at, many, bends, scan):
            target = ANEW
            read += touched(outlooks.owners[np.uint64(first + place)].pool, group, held, outlooks)
        elif ring == NEAR or lowest(base, at, many, bends, scan[0]) >= 0.0:
            target = ring + 1
            while target < outermost and lowest(base, at, many, bends, ends[1, target + 1]) >= 0.0:
                target += 1
            target = target if target < ends.shape[1] - 1 else FARTHER
        else:
            target = ring - 1
            while target > 0 and not lowest(base, at, many, bends, ends[1, target]) >= 0.0:
                target -= 1
        moving[number, 1] = target
    return read


@compiled
def put_elsewhere(
    ring: int, group: int, found: int, outermost: int, held: Any, level: float, sides: int, prices: Any, outlooks: Any,
    ends: Any, own: Any, moving: Any,
) -> bool:  # fmt: skip
    """Put those of ``moving`` where they are aimed at, the last one first; False when there was no room."""
    areas, owners, states = outlooks.areas, outlooks.owners, outlooks.states
    first, many = areas[ring, group, FIRST], areas[ring, group, EACH]
    for back in range(found):
        number, target = moving[found - 1 - back, 0], moving[found - 1 - back, 1]
        at = areas[ring, group, LEGS] + number * many
        pool, state = owners[first + number].pool, owners[first + number].state
        if target == ANEW:
            target = FARTHER
            if states[pool] == state:
                base = look_out(pool, group, held, level, sides, prices, own)
                own.owner[0].state = state
                write(first + number, at, many, base, own, outlooks)
                target = fitting(base, 0, many, own.bends, ends[1], outermost)
            if target == ring:
                continue
        if target == FARTHER:
            if states[pool] == state:
                states[pool] = (state & ~PLACE) | FAR
        else:
            count = areas[target, group, COUNT]
            if count >= areas[target, group, ROOM]:
                return False
            areas[target, group, COUNT] = count + 1
            copy(ring, number, target, count, group, outlooks)
        last = areas[ring, group, COUNT] - 1  # moves into the gap
        areas[ring, group, COUNT] = last
        if number != last:
            copy(ring, last, ring, number, group, outlooks)
    return True


@borrowing
def copy(ring: int, number: int, target: int, place: int, group: int, outlooks: Any) -> None:
    """Copy the outlook of a number in a ring to a place in another one."""
    areas, many = outlooks.areas, outlooks.areas[ring, group, EACH]
    source, into = areas[ring, group, FIRST] + number, areas[target, group, FIRST] + place
    outlooks.bases[np.uint64(into)] = outlooks.bases[np.uint64(source)]
    outlooks.owners[np.uint64(into)] = outlooks.owners[np.uint64(source)]
    at, to = areas[ring, group, LEGS] + number * many, areas[target, group, LEGS] + place * many
    for slot in range(many):
        outlooks.bends[np.uint64(to + slot)] = outlooks.bends[np.uint64(at + slot)]
        outlooks.slopes[np.uint64(to + slot)] = outlooks.slopes[np.uint64(at + slot)]


@compiled
def age(ring: int, outermost: int, symbols: int, ends: Any, scan: Any, born: Any) -> None:
    """Fill ``scan`` for a ring. Outlooks on a unit that has risen by ``RISE`` are too old: nobody outlasts that.

    Those that are left may be put into rings up to ``outermost``, in which there are older ones then.
    """
    scan[0], scan[1] = ends[0, ring], 0.0
    for first in range(0, born.shape[1], symbols):
        here, own = ends[0, 0, 2 * first :], born[ring, first:]
        for s in range(symbols):
            if not here[s] <= RISE * own[s]:
                for column in (2 * first + s, 2 * first + symbols + s):
                    scan[0, column], scan[1, column] = CLOSED, 1.0
                own[s] = here[s]
    for other in range(min(outermost + 1, born.shape[0])):
        for unit in range(born.shape[1]):
            least = born[ring, unit]
            born[other, unit] = least if least < born[other, unit] else born[other, unit]


@compiled
def renew(
    ended: int, outward: int, most: int, radii: Any, lines: Any, boxes: Any, held: Any, level: float, sides: int,
    prices: Any, outlooks: Any, ends: Any, scan: Any, own: Any, moving: Any,
) -> int:  # fmt: skip
    """Lay boxes for those that have ended, and go through their rings, outermost first.

    ``ended``: a bit for each box. ``outward``: a bit for each ring, and the near pools, of whom pools are put outward,
    too. Return how many were put elsewhere or made anew; negative when there was no room, or there would be more than
    ``most``. A block at a time, the last one first: what is put into a gap has been looked at, and what is put
    elsewhere has just been read.
    """
    areas, moved, outermost, block = outlooks.areas, 0, 1, moving.shape[0]
    rings = areas.shape[0]
    for ring in range(boxes.shape[0]):
        if (ended | outward) & (1 << ring):
            outermost = min(ring + 1, rings)
    lay(ended, outermost, radii, prices, lines, boxes, ends)
    be_born(outermost, prices.size, ends, outlooks.born)
    for back in range(rings):
        ring = rings - 1 - back
        if not (ended | outward) & (1 << ring):
            continue
        age(ring, outermost, prices.size, ends, scan, outlooks.born)
        for group in range(areas.shape[1]):
            end = areas[ring, group, COUNT]
            while end > 0:
                begin = (end - 1) // block * block
                found = go_through(ring, group, begin, end, outward & (1 << ring), ends, scan, outlooks, moving)
                if found:
                    moved += found
                    read = aim(ring, group, found, outermost, held, outlooks, ends, scan, moving)
                    if (
                        moved > most
                        or read == -np.inf
                        or not put_elsewhere(
                            ring, group, found, outermost, held, level, sides, prices, outlooks, ends, own, moving
                        )
                    ):
                        return -1
                end = begin
    guard(outlooks, boxes, lines)
    return moved


@compiled
def be_born(outermost: int, symbols: int, ends: Any, born: Any) -> None:
    """Note that outlooks of rings up to ``outermost`` may be made now."""
    for ring in range(min(outermost + 1, born.shape[0])):
        for first in range(0, born.shape[1], symbols):
            here, own = ends[0, 0, 2 * first :], born[ring, first:]
            for s in range(symbols):
                own[s] = here[s] if here[s] < own[s] else own[s]


@compiled
def place_all(
    pools: Any, held: Any, level: float, sides: int, prices: Any, outlooks: Any, ends: Any, own: Any
) -> bool:  # fmt: skip
    """Put pools that have no outlook where they belong; False when there was no room."""
    be_born(outlooks.areas.shape[0], prices.size, ends, outlooks.born)
    for pool in pools:
        group = group_of(pool, held.groups)
        if put_anew(group, pool, held, level, sides, prices, outlooks, ends[1], own) < 0:
            return False
    return True


# ── Far pools ────────────────────────────────────────────────────────────────────────────────────────────────────


@compiled
def corner_table(
    level: float, box: int, ease: float, prices: Any, boxes: Any, table: Any, terms: Any, tiers: Any, corner: Any
) -> None:
    """Fill ``corner`` with what a lot adds to the surplus where prices in a box are worst for it, or less.

    ``ease``: times the loss up to there. ``table``: what it adds at ``prices``. A leg of a tier may be at its end, so
    that it may reach the next tier, and what jumps there has to be counted.
    """
    count = terms.shape[0]
    for i in range(count):
        s, last, inverse = int(terms[i, SYMBOL]), int(terms[i, TIERS]), terms[i, INVERSE] != 0
        price, low, high = prices[s], boxes[box, 0, s], boxes[box, 1, s]
        inside = low < price < high
        here = 1.0 / price if inverse else price
        if inverse:
            low, high = 1.0 / high / OUTWARD, 1.0 / low * OUTWARD
        each, charge = terms[i, LOT] * terms[i, SIZE], level * terms[i, CHARGE]
        moving, watched = terms[i, MOVING] != 0, terms[i, WATCHED] != 0
        highest = terms[i, FEE] + (terms[i, HIGHEST] + terms[i, FUNDING] if moving else 0.0)
        known = inside and charge * highest <= terms[i, CREDIT]
        for tier in range(last):
            top, jumps = tier, 0.0
            if watched:
                while top + 1 < last and (
                    top == tier or tiers[i, top + 1, FLOOR] * here <= tiers[i, tier + 1, FLOOR] * high * OUTWARD
                ):
                    top += 1
                    if terms[i, JUMPS]:
                        jumps += tiers[i, top, JUMP] / tiers[i, top, FLOOR] * charge * each * high
            rate = terms[i, FEE] + (tiers[i, top, MOST] + terms[i, FUNDING] if moving else 0.0)
            fall = each * terms[i, CREDIT] * (here - low) + jumps
            rise = each * (terms[i, CREDIT] + charge * rate) * (high - here) + jumps
            for side in range(2):
                row = (2 * tier + side) * count + i
                loss = rise if (side != 0) != inverse else fall
                corner[row] = table[row] - loss * ease if known else -np.inf


@compiled
def anchor(
    fresh: int, first: int, most_pieces: int, most: int, pieces: Any, constants: Any, corner: Any, sums: Any, hits: Any,
    held: Any, level: float, sides: int, prices: Any, outlooks: Any, ends: Any, own: Any,
) -> tuple[int, int]:  # fmt: skip
    """Go through pieces of the far pools from ``first`` on; make outlooks of those that may not outlast the new box.

    ``fresh``: not 0 where all outlooks were let go of before, so that whoever is not gone is far, and what was made of
    it since then is left over. Return the first piece that is left, and how many are far no more; negative when
    there was no room.
    """
    made = 0
    be_born(outlooks.areas.shape[0], prices.size, ends, outlooks.born)
    for number in range(first, min(first + most_pieces, pieces.shape[0])):
        group, start, end = pieces[number, 0], pieces[number, 1], pieces[number, 2]
        begin = held.groups[group, 1]
        margin = (MARGIN - 1.0) * bound_of(held.groups[group, 0], level)
        if fresh:
            for pool in range(begin + start, begin + end):
                where = outlooks.states[pool] & PLACE
                if where not in (GONE, TRIGGER):
                    outlooks.states[pool] = ((outlooks.states[pool] & ~PLACE) + CHANGED) | FAR
        for at in range(end - start):
            sums[at] = constants[begin + start + at] - margin * held.gross[begin + start + at]
        found = look_at_piece(held.groups, group, start, sums[: end - start], held.code, held.lots, corner, hits)
        for hit in range(found):
            pool = int(hits[hit])
            if outlooks.states[pool] & PLACE != FAR:
                continue
            target = put_anew(group, pool, held, level, sides, prices, outlooks, ends[1], own)
            if target < 0:
                return number, -1
            made += target != FARTHER
        if made >= most:
            return number + 1, made
    return min(first + most_pieces, pieces.shape[0]), made
