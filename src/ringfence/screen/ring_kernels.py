"""The compiled parts of the incremental screen (:mod:`ringfence.screen.rings`). Needs numba; imported when it is used.

Beside the records (:mod:`ringfence.screen.ring_records`) there are few arrays, since handing an array to compiled code
costs as much as reading a pool. ``B = R + 2`` boxes: one for each ring from 1 to ``R - 1``, box 0 is not used, and two
for the far pools, ``OLD`` and ``NEW``; ``U`` units.

======  ===========  ==========================================================================================
boxes   B, 2, S f64  the lowest and the highest price of each box; closed: infinity and 0
ways    B + 1, 2 U   row 0: the units, twice each; then how far it is from there to the lower and the upper end of
                     each box; the last row: to those that far pools must outlast. Infinite where a box is closed
lines   10, S f64    innermost ends below and above, reach below and above, expected moves and the least of them,
                     prices when those were last brought up to date, boxes' width against other symbols, the first
                     trigger prices of pools of one long and of one short position (:mod:`ringfence.screen.triggers`)
pieces  ?, 3 int64   (group, first, end) of the pieces in which far pools are gone through
own     128 legs     room for the legs of one record
======  ===========  ==========================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.screen.compiled import compiled
from ringfence.screen.kernels import look_at_piece
from ringfence.screen.ring_records import (
    CHANGED,
    CHARGE,
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
    make,
    narrow,
    put,
    surplus_of,
)
from ringfence.screen.trigger_kernels import CALLED_LONG, CALLED_SHORT, GREATEST, LEAST, pass_triggers

LOW, HIGH, _, _, MOVES, LEAST_MOVE, BEFORE, SHARE = range(8)  #: the others: with the triggers
FURTHEST = 1.0 + WIDEST + 2.0**-30  #: how far a box's end may be when a pool is put into it, against the pool
OUTWARD = 1.0 + 2.0**-30
BLOCK = 1 << 14  #: records for which memory is taken beforehand
MEMORY = 4096.0  #: price updates over which expected moves are learned
CLIPPED = 3.0  #: a move of more than this many expected ones is learned from as if it were this
BOX_ENDED, TIER_CHANGED = -1, -2
DOUBTED = 1 << 32


@compiled
def look_near(  # noqa: C901, PLR0912
    checked: int, prices: Any, lines: Any, ways: Any, areas: Any, sums: Any, heads: Any, legs: Any, states: Any,
    edges: Any, lists: Any, keys: Any, key_heads: Any, candidates: Any,
) -> int:  # fmt: skip
    """Write the pools that have reached the line, or may have, into ``candidates``: near ones, and by their triggers.

    What every price costs: four comparisons a symbol, and the sum of the near pools. ``checked``: whether each leg's
    tier is checked, a pool with a changed one being in doubt, instead of returning that one has changed. Return how
    many there are without doubt, from the first place on, and ``DOUBTED`` times how many in doubt, up to the last
    place; or why they were not looked at.
    """
    symbols = prices.size
    ended = changed = passed = 0
    for s in range(symbols):
        ended += not (lines[LOW, s] < prices[s] < lines[HIGH, s])
        passed += not (lines[CALLED_LONG, s] <= prices[s] <= lines[CALLED_SHORT, s])
    if ended:
        return BOX_ENDED
    for s in range(symbols):
        ways[0, 2 * s] = ways[0, 2 * s + 1] = prices[s]
    for unit in range(symbols, edges.shape[1]):
        ways[0, 2 * unit] = ways[0, 2 * unit + 1] = 1.0 / prices[unit - symbols]
    if not checked:
        for unit in range(edges.shape[1]):
            changed += not (edges[0, unit] <= ways[0, 2 * unit] < edges[1, unit])
        if changed:
            return TIER_CHANGED
    found = doubted = 0
    if passed:
        found, doubted = pass_triggers(prices, lines, states, lists, keys, key_heads, candidates)
    units = ways[0]
    for group in range(areas.shape[1]):
        first, many, at = areas[NEAR, group, FIRST], areas[NEAR, group, EACH], areas[NEAR, group, LEGS]
        for number in range(areas[NEAR, group, COUNT]):
            surplus = sums[np.uint64(first + number)]
            wrong = 0
            for slot in range(many):
                leg = legs[np.uint64(at + slot)]
                unit = units[leg.column]
                surplus += leg.slope * unit
                if checked:
                    wrong += not (leg.since <= unit < leg.until)
            at += many
            if wrong or not surplus >= 0.0:
                head = heads[first + number]
                if states[head.pool] != head.state:
                    sums[first + number] = np.inf  # left over: a candidate no more
                elif not wrong and surplus < head.sure:
                    candidates[found] = head.pool
                    found += 1
                else:
                    doubted += 1
                    candidates[candidates.size - doubted] = head.pool
    return found + DOUBTED * doubted


@compiled
def look_passed(prices: Any, lines: Any, states: Any, lists: Any, keys: Any, key_heads: Any, candidates: Any) -> int:
    """Write those alone whose triggers prices have passed, as :func:`look_near` does; return how many."""
    found, doubted = pass_triggers(prices, lines, states, lists, keys, key_heads, candidates)
    return found + DOUBTED * doubted


@compiled
def confirm(found: int, doubted: int, candidates: Any, held: Any, level: float, prices: Any) -> int:
    """Put those of the pools in doubt that a sweep would name behind those without; return how many there are."""
    for place in range(candidates.size - doubted, candidates.size):
        pool = candidates[place]
        if not surplus_of(pool, group_of(pool, held.groups), held, level, prices) >= 0.0:
            candidates[found] = pool
            found += 1
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
def examine(prices: Any, rush: float, old: int, lines: Any, boxes: Any, ways: Any) -> tuple[int, bool, float]:
    """Return which boxes prices have left, whether they have rushed, and how much is spent of box ``old``.

    A bit for each box, but for those that are closed; negative where a price is missing, or outside of what errors are
    bounded for. Rushed: a quarter of all prices has moved by more than ``rush`` expected moves since they were last
    seen. Spent: how much of the way from its middle to its end has been gone, at most.
    """
    outside = moved = left = 0
    spent = 0.0
    for s in range(prices.size):
        price, before, width = prices[s], ways[0, 2 * s], 1.0 + rush * lines[MOVES, s]
        outside += not (lines[LEAST, s] < price < lines[GREATEST, s])
        moved += price > before * width or price * width < before
        low, high = boxes[old, 0, s], boxes[old, 1, s]
        gone = abs(2.0 * price - low - high)
        if gone > spent * (high - low):
            spent = gone / (high - low)
    if outside:
        return -1, False, 0.0
    for box in range(1, boxes.shape[0]):
        outside = 0
        for s in range(prices.size):
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
def lay(which: int, outermost: int, radii: Any, prices: Any, lines: Any, boxes: Any, ways: Any) -> None:
    """Lay boxes around prices: those whose bit is in ``which``, and closed ones of rings. Then fill ``ways``.

    Boxes and ways up to ``outermost`` alone; from ``R`` on that is all of them.
    """
    count = boxes.shape[0]
    for box in range(1, count):
        if which & (1 << box) or (box < min(count - 2, outermost + 1) and is_closed(box, boxes)):
            for s in range(prices.size):
                width = 1.0 + min(radii[box] * lines[MOVES, s] * lines[SHARE, s], WIDEST)
                boxes[box, 0, s], boxes[box, 1, s] = prices[s] / width, prices[s] * width
    measure(outermost, prices, boxes, ways)


@compiled
def measure(outermost: int, prices: Any, boxes: Any, ways: Any) -> None:
    """Fill ``ways``: the units, and how far it is from there to the ends of every box up to ``outermost``."""
    symbols, count = prices.size, boxes.shape[0]
    for unit in range(ways.shape[1] // 2):
        price = prices[unit % symbols]
        ways[0, 2 * unit] = ways[0, 2 * unit + 1] = price if unit < symbols else 1.0 / price
    for box in range(1, count if outermost >= count - 2 else outermost + 1):
        for unit in range(ways.shape[1] // 2):
            s = unit % symbols
            here = ways[0, 2 * unit]
            low, high = boxes[box, 0, s], boxes[box, 1, s]
            down = up = np.inf
            if low < prices[s] < high:
                if unit >= symbols:
                    low, high = 1.0 / high / OUTWARD, 1.0 / low * OUTWARD
                down = here - low
                if high <= here * FURTHEST:
                    up = high - here
            ways[box, 2 * unit], ways[box, 2 * unit + 1] = down, up
    if outermost >= count - 2:
        no_old, no_new = is_closed(count - 2, boxes), is_closed(count - 1, boxes)
        for column in range(ways.shape[1]):
            old, new = ways[count - 2, column], ways[count - 1, column]
            ways[count, column] = new if no_old else old if no_new else max(old, new)


@compiled
def guard(areas: Any, boxes: Any, lines: Any) -> None:
    """Find the innermost ends of all boxes. Those of rings that nobody is in are closed."""
    for s in range(lines.shape[1]):
        lines[LOW, s], lines[HIGH, s] = lines[LEAST, s], lines[GREATEST, s]
    for box in range(1, boxes.shape[0]):
        standing = 0
        for group in range(areas.shape[1] if box < areas.shape[0] else 0):
            standing += areas[box, group, COUNT]
        if box < areas.shape[0] and standing == 0:
            boxes[box, 0], boxes[box, 1] = np.inf, 0.0
        if is_closed(box, boxes):
            continue
        for s in range(lines.shape[1]):
            lines[LOW, s] = max(lines[LOW, s], boxes[box, 0, s])
            lines[HIGH, s] = min(lines[HIGH, s], boxes[box, 1, s])


@compiled
def renew_near(held: Any, level: float, sides: int, prices: Any, records: Any, ways: Any, own: Any) -> int:
    """Make records of near pools anew that hold no more, and find the edges of all of them; return how many were made.

    What is left over is kept, with legs that hold anywhere: it is never named.
    """
    areas, sums, heads, legs, edges = records.areas, records.sums, records.heads, records.legs, records.edges
    for unit in range(edges.shape[1]):
        edges[0, unit], edges[1, unit] = 0.0, np.inf
    made = 0
    for group in range(areas.shape[1]):
        many, at = areas[NEAR, group, EACH], areas[NEAR, group, LEGS]
        for place in range(areas[NEAR, group, FIRST], areas[NEAR, group, FIRST] + areas[NEAR, group, COUNT]):
            wrong = False
            for slot in range(many):
                leg = legs[np.uint64(at + slot)]
                unit = ways[0, leg.column]
                wrong |= (unit < leg.since) | (unit >= leg.until)
            if wrong:
                head = heads[place]
                if records.states[head.pool] == head.state:
                    sums[place], head.sure = make(head.pool, group, held, level, sides, prices, own)
                    for slot in range(many):
                        legs[at + slot] = own[slot]
                    made += 1
                else:
                    sums[place] = np.inf
                    for slot in range(many):
                        legs[at + slot].since, legs[at + slot].until = 0.0, np.inf
            narrow(at, many, legs, edges)
            at += many
    return made


# ── Going through rings ──────────────────────────────────────────────────────────────────────────────────────────


@compiled
def go_through(
    ring: int, group: int, begin: int, end: int, outward: int, outermost: int, records: Any, ways: Any, moving: Any
) -> int:  # fmt: skip
    """Sum some records of a ring, or near ones; write those that may have to go into ``moving`` (?, 2 int64).

    Those are (number, whether it must be made anew) of whom do not outlast the ring's box any more, hold no more, or,
    where ``outward`` is not 0, outlast the next box with ease. Return how many.
    """
    areas, sums, legs, rings = records.areas, records.sums, records.legs, records.areas.shape[0]
    further = min(ring + 1, outermost)
    units, own, next_one = ways[0], ways[ring], ways[further if further < rings else ways.shape[0] - 1]
    first, many = areas[ring, group, FIRST], areas[ring, group, EACH]
    at, found = areas[ring, group, LEGS] + begin * many, 0
    for number in range(begin, end):
        surplus = left = sums[np.uint64(first + number)]
        out = 0.0
        wrong = False
        for slot in range(many):
            leg = legs[np.uint64(at + slot)]
            unit = units[leg.column]
            surplus += leg.slope * unit
            if ring != NEAR:
                left += leg.slope * unit
                left -= leg.steep * own[leg.column]
            if outward:
                out += leg.steep * next_one[leg.column]
            wrong |= (unit < leg.since) | (unit >= leg.until)
        at += many
        if wrong or not left >= 0.0 or (outward and surplus - EASE * out >= 0.0):
            if ring == NEAR and not wrong and not (outward and surplus - EASE * out >= 0.0):
                continue  # what is near may be below the line
            moving[found, 0], moving[found, 1] = number, wrong
            found += 1
    return found


@compiled
def touched(ring: int, group: int, found: int, held: Any, records: Any, moving: Any) -> float:
    """Read what is going to be needed once: memory is waited for together, not pool by pool. Return any number.

    That is the heads, and all that the columns hold of pools whose records have to be made anew.
    """
    heads, first, groups = records.heads, records.areas[ring, group, FIRST], held.groups
    read, total = 0, 0.0
    for at in range(found):
        pool = heads[np.uint64(first + moving[at, 0])].pool
        read |= pool
        if moving[at, 1]:
            read |= records.states[pool]
            total += held.cash[pool] + held.fixed[pool] + held.gross[pool]
            leg = groups[group, 3] + pool - groups[group, 1]
            for _ in range(groups[group, 0]):
                read |= held.code[leg] | held.lots[leg]
                leg += groups[group, 2]
    return read + total


@compiled
def target_of(ring: int, outermost: int, constant: float, at: int, many: int, legs: Any, ways: Any, rings: int) -> int:
    """Return where a record of a ring, its legs from ``at`` on, is to be put: outward as far as it fits, or inward."""
    far, surplus, here = ways.shape[0] - 1, constant, 0.0
    for slot in range(many):
        leg = legs[np.uint64(at + slot)]
        surplus += leg.slope * ways[0, leg.column]
        here += leg.steep * ways[ring, leg.column]
    stays = ring == NEAR or surplus - here >= 0.0
    target, row = (ring if stays else NEAR), (ring + 1 if stays else ring - 1)
    while 0 < row <= max(outermost, ring):
        row = row if row < rings else far
        loss = 0.0
        for slot in range(many):
            leg = legs[np.uint64(at + slot)]
            loss += leg.steep * ways[row, leg.column]
        fits = surplus - EASE * loss >= 0.0
        if fits:
            target = row if row < far else FARTHER
        if fits != stays or row == far:
            break
        row += 1 if stays else -1
    return target


@compiled
def put_elsewhere(  # noqa: C901, PLR0912
    ring: int, group: int, found: int, outermost: int, held: Any, level: float, sides: int, prices: Any, records: Any,
    ways: Any, own: Any, moving: Any,
) -> bool:  # fmt: skip
    """Put those of ``moving`` where they belong, the last one first; False when there was no room."""
    areas, sums, heads, legs, states = records.areas, records.sums, records.heads, records.legs, records.states
    rings, first, many = areas.shape[0], areas[ring, group, FIRST], areas[ring, group, EACH]
    if touched(ring, group, found, held, records, moving) == -np.inf:
        return False
    for back in range(found):
        number, wrong = moving[found - 1 - back, 0], moving[found - 1 - back, 1]
        at = areas[ring, group, LEGS] + number * many
        head = heads[first + number]
        target = FARTHER
        if not wrong or states[head.pool] == head.state:
            if wrong:
                sums[first + number], head.sure = make(head.pool, group, held, level, sides, prices, own)
                for slot in range(many):
                    legs[at + slot] = own[slot]
            target = target_of(ring, outermost, sums[first + number], at, many, legs, ways, rings)
        if target == ring:
            if ring == NEAR:
                narrow(at, many, legs, records.edges)
            continue
        if target == FARTHER:
            if states[head.pool] == head.state:
                states[head.pool] = (head.state & ~PLACE) | FAR
        else:
            count = areas[target, group, COUNT]
            if count >= areas[target, group, ROOM]:
                return False
            areas[target, group, COUNT] = count + 1
            new = areas[target, group, LEGS] + count * many
            for slot in range(many):
                legs[np.uint64(new + slot)] = legs[np.uint64(at + slot)]
            if target == NEAR:
                narrow(new, many, legs, records.edges)
            new = areas[target, group, FIRST] + count
            sums[new] = sums[first + number]
            heads[new] = head
        last = areas[ring, group, COUNT] - 1  # moves into the gap
        areas[ring, group, COUNT] = last
        if number != last:
            sums[first + number] = sums[first + last]
            heads[first + number] = heads[first + last]
            behind = areas[ring, group, LEGS] + last * many
            for slot in range(many):
                legs[np.uint64(at + slot)] = legs[np.uint64(behind + slot)]
    return True


@compiled
def renew(
    ended: int, outward: int, most: int, radii: Any, lines: Any, boxes: Any, held: Any, level: float,
    sides: int, prices: Any, records: Any, ways: Any, own: Any, moving: Any,
) -> int:  # fmt: skip
    """Lay boxes for those that have ended, and go through their rings, outermost first.

    ``ended``: a bit for each box. ``outward``: a bit for each ring, and the near pools, of whom pools are put outward,
    too. Return how many records were put elsewhere or made anew; negative when there was no room, or there would be
    more than ``most``. A block at a time, the last one first: what is put into a gap has been looked at, and what is
    put elsewhere has just been read.
    """
    areas, moved, outermost = records.areas, 0, 1
    rings = areas.shape[0]
    for ring in range(boxes.shape[0]):
        if (ended | outward) & (1 << ring):
            outermost = min(ring + 1, rings)
    lay(ended, outermost, radii, prices, lines, boxes, ways)
    for back in range(rings):
        ring = rings - 1 - back
        if not (ended | outward) & (1 << ring):
            continue
        for group in range(areas.shape[1]):
            end = areas[ring, group, COUNT]
            while end > 0:
                begin = (end - 1) // moving.shape[0] * moving.shape[0]
                found = go_through(ring, group, begin, end, outward & (1 << ring), outermost, records, ways, moving)
                if found:
                    moved += found
                    if moved > most or not put_elsewhere(
                        ring, group, found, outermost, held, level, sides, prices, records, ways, own, moving
                    ):
                        return -1
                end = begin
    guard(areas, boxes, lines)
    return moved


@compiled
def place_all(pools: Any, held: Any, level: float, sides: int, prices: Any, records: Any, ways: Any, own: Any) -> bool:
    """Make records of pools that have none and put each where it belongs; False when there was no room."""
    for pool in pools:
        group = group_of(pool, held.groups)
        constant, sure = make(pool, group, held, level, sides, prices, own)
        many = records.areas[NEAR, group, EACH]
        target = fitting(constant, many, own, ways, records.areas.shape[0])
        if target == FARTHER:
            records.states[pool] = (records.states[pool] & ~PLACE) | FAR
        elif not put(target, group, pool, constant, sure, own, records):
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
        highest = terms[i, FEE] + (tiers[i, last - 1, MOST] + terms[i, FUNDING] if moving else 0.0)
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
    fresh: int, first: int, most_pieces: int, most: int, pieces: Any, constants: Any, corner: Any, own: Any, hits: Any,
    held: Any, level: float, sides: int, prices: Any, records: Any, ways: Any, legs: Any,
) -> tuple[int, int]:  # fmt: skip
    """Go through pieces of the far pools from ``first`` on; make records of those that may not outlast the new box.

    ``fresh``: not 0 where all records were let go of before, so that whoever is not gone is far, and what was made of
    it since then is left over. Return the first piece that is left, and how many records were made; negative when
    there was no room.
    """
    made, rings = 0, records.areas.shape[0]
    for number in range(first, min(first + most_pieces, pieces.shape[0])):
        group, start, end = pieces[number, 0], pieces[number, 1], pieces[number, 2]
        begin, many = held.groups[group, 1], records.areas[NEAR, group, EACH]
        margin = (MARGIN - 1.0) * bound_of(held.groups[group, 0], level)
        if fresh:
            for pool in range(begin + start, begin + end):
                where = records.states[pool] & PLACE
                if where not in (GONE, TRIGGER):
                    records.states[pool] = ((records.states[pool] & ~PLACE) + CHANGED) | FAR
        for at in range(end - start):
            own[at] = constants[begin + start + at] - margin * held.gross[begin + start + at]
        found = look_at_piece(held.groups, group, start, own[: end - start], held.code, held.lots, corner, hits)
        for hit in range(found):
            pool = int(hits[hit])
            if records.states[pool] & PLACE != FAR:
                continue
            constant, sure = make(pool, group, held, level, sides, prices, legs)
            target = fitting(constant, many, legs, ways, rings)
            if target == FARTHER:
                continue
            if not put(target, group, pool, constant, sure, legs, records):
                return number, -1
            made += 1
        if made >= most:
            return number + 1, made
    return min(first + most_pieces, pieces.shape[0]), made
