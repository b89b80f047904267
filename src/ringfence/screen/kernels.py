"""The compiled sweep: price tables, surplus of every pool, tier edges. Needs numba; imported when it is used.

**A table row per instrument, side and tier** holds what one lot adds to the surplus at level ``L``::

    B = lot · (± unit value − L · (maintenance margin of its notional in that tier + closing fee))

computed with the formula sheet's own functions (:mod:`ringfence.margin.formulas`), compiled. So the inner loop only
multiplies and adds: ``constant + Σ lots · B[code]``, one gather of 8 bytes per leg. Deductions are constants within a
tier and stand in ``constant``; :func:`cross_edges` rewrites code and constant of the few legs whose tier changes.

**Error bound.** Let ``u = 2⁻⁵³``, ``s`` a pool's exact surplus at level ``0 ≤ L``, ``ŝ`` the computed one, ``k`` its
legs, and ``G = 4 (1 + L) · gross`` with ::

    gross = |balance| + |requirement given| + Σ size · (value + entry value) · (1 + highest rate)

at the marks of packing, where ``highest rate`` is that of any tier of the instrument, with funding and fee.

*Claim.* While every contract value is at most 4 times that at packing, ``|ŝ − s| ≤ (4 k + 49) · u · G``. From each
constant ``16 (k + 8) · u · G`` is taken away, more than twice that. So ``s ≤ 0`` implies a computed value below 0:
**what the exact lane would act on is never called safe.** What is looked at in vain is within
``16 (k + 12) · u · G`` of the line: of a pool of four legs, ``3 · 10⁻¹⁴ · G``.

*Proof.* ``G`` bounds the sum of the absolute values of all terms of ``s``: values grow at most fourfold, and a leg's
terms are at most ``size · value · (1 + L · highest rate)``.

1.  *Inputs.* Mark, quantity, entry, size, rate, floor are the floats nearest to the decimals that the exact lane
    computes with: ≤ u each, relatively, and a term is a product of at most six. (The exact lane's own rounding of an
    inverse value, at 40 places, is far below.)
2.  *Rows.* ``B`` takes at most 12 further roundings of terms of that size, its product with ``lots`` (exact, being
    below 2³¹) one more: together at most ``19 u · G``.
3.  *Constants* are sums of at most ``3 k + 6`` terms (balance, entry values, fees, deductions) of at most 12 roundings,
    inputs included: ``(3 k + 18) u · G``. A deduction is at most ``highest rate · notional``, as no tier asks for
    less than nothing. A constant is computed anew when a tier changes, not adjusted: nothing adds up over time.
4.  *The sum* of ``k + 1`` terms: ``(k + 1) u · G``.
5.  *Tiers.* A leg is in the tier of ``lots · lot · value · (1 + 32 u)``; those products are off by at most 10 u, so a
    leg that is above a floor is never taken to be below. One that is below by at most 42 u may be taken to be above.
    In a continuous table that costs ``L · rise of the rate · 42 u · notional``, at most ``11 u · G``; at a jump the
    upper tier asks for more, which is the safe side (an instrument for which it does not is looked at).
6.  *Lots.* A quantity between two lots is off by a share of its leg. Packing adds 2⁴⁶ times that share of its value to
    ``gross``, so that 4.5 times what it can cost is taken away; where tiers jump, such a pool is looked at.

What is not a number compares with nothing, and what is not ≥ 0 is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from ringfence.margin import formulas
from ringfence.screen.compiled import compiled, compiled_parallel, inlined
from ringfence.screen.packing import ROUND_UP, contract_value, in_tier

CHUNK = 1 << 14  #: pools that one thread takes at a time
BOUND = 2.0**-49  #: 16 u: what is taken away per unit of (legs + 8) · G
REACH = 4.0  #: how many times its value at packing a contract may be worth

_unrealised_pnl = inlined(formulas.unrealised_pnl)
_notional = inlined(formulas.notional)
_maintenance_margin = inlined(formulas.maintenance_margin)


@compiled
def unit_values(prices: Any, price_of: Any, size: Any, inverse: Any, lot: Any, values: Any) -> None:
    """Fill ``values`` (I) with the unsigned value of one lot at ``prices`` (S); NaN where there is no price."""
    for i in range(price_of.size):
        price = prices[price_of[i]]
        values[i] = lot[i] * contract_value(price, size[i], inverse[i]) if price > 0.0 else np.nan


@compiled
def fill_table(
    level: float, values: Any, inverse: Any, fee_slope: Any, moving: Any, funding: Any, rate: Any, tiers: Any,
    credit: Any, charge: Any, table: Any,
) -> None:  # fmt: skip
    """Fill ``table`` (T · 2 · I): what one lot adds to the surplus at ``level``, by tier, side and instrument."""
    count = values.size
    for i in range(count):
        value = _notional(1.0, values[i])
        unit = -value if inverse[i] else value
        long = _unrealised_pnl(1.0, unit, 0.0) * credit[i]
        short = _unrealised_pnl(-1.0, unit, 0.0) * credit[i]
        for tier in range(tiers[i]):
            required = fee_slope[i] * value
            if moving[i]:
                required += _maintenance_margin(value, rate[i, tier] + funding[i], 0.0)
            required *= level * charge[i]
            table[2 * tier * count + i] = long - required
            table[(2 * tier + 1) * count + i] = short - required


@compiled
def constant_of(
    pool: int, legs: int, level: float, margins: float, leg: int, stride: int, code: Any, cash: Any, fixed: Any,
    gross: Any, deduction: Any, moving: Any, charge: Any,
) -> float:  # fmt: skip
    """Return a pool's constant at ``level``, less ``margins`` times the error bound. ``leg``: where its first is."""
    count = moving.size
    deducted = 0.0
    for slot in range(legs):
        row = code[leg + slot * stride]
        i = row % count
        if moving[i]:
            deducted += deduction[i, row // (2 * count)] * charge[i]
    bound = margins * BOUND * (legs + 8) * REACH * (1.0 + level)
    return cash[pool] - level * (fixed[pool] - deducted) - bound * gross[pool]  # type: ignore[no-any-return]


@compiled
def fill_constants(
    level: float, margins: float, groups: Any, chunks: Any, code: Any, cash: Any, fixed: Any, gross: Any,
    deduction: Any, moving: Any, charge: Any, constant: Any,
) -> None:  # fmt: skip
    """Fill ``constant`` (P) at ``level``; ``chunks``: (group, first, end) of what one thread takes at a time."""
    for chunk in range(chunks.shape[0]):
        group = chunks[chunk, 0]
        legs, begin, pools, leg_begin = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
        for at in range(chunks[chunk, 1], chunks[chunk, 2]):
            constant[begin + at] = constant_of(
                begin + at, legs, level, margins, leg_begin + at, pools, code, cash, fixed, gross, deduction, moving,
                charge,
            )  # fmt: skip


@compiled
def _any(constant: Any, code: Any, lots: Any, table: Any, hits: Any, begin: int, legs: int, stride: int) -> int:
    """Write which of the pools of a chunk are not ≥ 0 into ``hits``; ``code`` and ``lots`` start at its first leg."""
    found = 0
    surplus = np.empty(512)
    for block in range(0, constant.size, 512):
        size = min(512, constant.size - block)
        for pool in range(size):
            surplus[pool] = constant[block + pool]
        for slot in range(legs):
            start = slot * stride + block
            rows, number = code[start : start + size], lots[start : start + size]
            for pool in range(size):
                surplus[pool] += number[pool] * table[rows[pool]]
        for pool in range(size):
            if not surplus[pool] >= 0.0:
                hits[found] = begin + block + pool
                found += 1
    return found


@compiled
def _one(constant: Any, code: Any, lots: Any, table: Any, hits: Any, begin: int) -> int:
    """Do as :func:`_any` does for pools of one leg."""
    found, size = 0, constant.size
    c0, n0 = code[:size], lots[:size]
    for pool in range(size):
        if not constant[pool] + n0[pool] * table[c0[pool]] >= 0.0:
            hits[found] = begin + pool
            found += 1
    return found


@compiled
def _two(constant: Any, code: Any, lots: Any, table: Any, hits: Any, begin: int, stride: int) -> int:
    """Do as :func:`_any` does for pools of two legs."""
    found, size = 0, constant.size
    c0, n0 = code[:size], lots[:size]
    c1, n1 = code[stride : stride + size], lots[stride : stride + size]
    for pool in range(size):
        if not constant[pool] + n0[pool] * table[c0[pool]] + n1[pool] * table[c1[pool]] >= 0.0:
            hits[found] = begin + pool
            found += 1
    return found


@compiled
def _three(constant: Any, code: Any, lots: Any, table: Any, hits: Any, begin: int, stride: int) -> int:
    """Do as :func:`_any` does for pools of three legs."""
    found, size = 0, constant.size
    c0, n0 = code[:size], lots[:size]
    c1, n1 = code[stride : stride + size], lots[stride : stride + size]
    c2, n2 = code[2 * stride : 2 * stride + size], lots[2 * stride : 2 * stride + size]
    for pool in range(size):
        if (
            not constant[pool] + n0[pool] * table[c0[pool]] + n1[pool] * table[c1[pool]] + n2[pool] * table[c2[pool]]
            >= 0.0
        ):
            hits[found] = begin + pool
            found += 1
    return found


@compiled
def _four(constant: Any, code: Any, lots: Any, table: Any, hits: Any, begin: int, stride: int) -> int:
    """Do as :func:`_any` does for pools of four legs."""
    found, size = 0, constant.size
    c0, n0 = code[:size], lots[:size]
    c1, n1 = code[stride : stride + size], lots[stride : stride + size]
    c2, n2 = code[2 * stride : 2 * stride + size], lots[2 * stride : 2 * stride + size]
    c3, n3 = code[3 * stride : 3 * stride + size], lots[3 * stride : 3 * stride + size]
    for pool in range(size):
        surplus = constant[pool]
        surplus += n0[pool] * table[c0[pool]]
        surplus += n1[pool] * table[c1[pool]]
        surplus += n2[pool] * table[c2[pool]]
        surplus += n3[pool] * table[c3[pool]]
        if not surplus >= 0.0:
            hits[found] = begin + pool
            found += 1
    return found


@compiled
def _five(constant: Any, code: Any, lots: Any, table: Any, hits: Any, begin: int, stride: int) -> int:
    """Do as :func:`_any` does for pools of five legs."""
    found, size = 0, constant.size
    c0, n0 = code[:size], lots[:size]
    c1, n1 = code[stride : stride + size], lots[stride : stride + size]
    c2, n2 = code[2 * stride : 2 * stride + size], lots[2 * stride : 2 * stride + size]
    c3, n3 = code[3 * stride : 3 * stride + size], lots[3 * stride : 3 * stride + size]
    c4, n4 = code[4 * stride : 4 * stride + size], lots[4 * stride : 4 * stride + size]
    for pool in range(size):
        surplus = constant[pool]
        surplus += n0[pool] * table[c0[pool]]
        surplus += n1[pool] * table[c1[pool]]
        surplus += n2[pool] * table[c2[pool]]
        surplus += n3[pool] * table[c3[pool]]
        surplus += n4[pool] * table[c4[pool]]
        if not surplus >= 0.0:
            hits[found] = begin + pool
            found += 1
    return found


@compiled
def look_at_piece(groups: Any, group: int, start: int, own: Any, code: Any, lots: Any, table: Any, room: Any) -> int:
    """Write which pools of a piece of a group, from ``start`` on, are not ≥ 0 into ``room``; return how many.

    ``own``: their constants.
    """
    legs, begin, pools, leg_begin = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
    first = begin + start
    rows = code[leg_begin + start : leg_begin + legs * pools]
    number = lots[leg_begin + start : leg_begin + legs * pools]
    if legs == 1:
        return _one(own, rows, number, table, room, first)
    if legs == 2:
        return _two(own, rows, number, table, room, first, pools)
    if legs == 3:
        return _three(own, rows, number, table, room, first, pools)
    if legs == 4:
        return _four(own, rows, number, table, room, first, pools)
    if legs == 5:
        return _five(own, rows, number, table, room, first, pools)
    return _any(own, rows, number, table, room, first, legs, pools)


@compiled_parallel
def sweep(groups: Any, chunks: Any, code: Any, lots: Any, constant: Any, table: Any, hits: Any, found: Any) -> int:
    """Write every pool of the chunks whose surplus is not ≥ 0 into ``hits`` (P uint32), in order; return how many.

    ``found``: room for how many each chunk has.
    """
    for chunk in prange(chunks.shape[0]):
        group, start, end = chunks[chunk, 0], chunks[chunk, 1], chunks[chunk, 2]
        begin = groups[group, 1]
        own, room = constant[begin + start : begin + end], hits[begin + start : begin + end]
        found[chunk] = look_at_piece(groups, group, start, own, code, lots, table, room)
    total = 0
    for chunk in range(chunks.shape[0]):
        start = groups[chunks[chunk, 0], 1] + chunks[chunk, 1]
        for hit in range(found[chunk]):
            hits[total] = hits[start + hit]
            total += 1
    return total


@compiled
def surpluses(
    groups: Any, chunks: Any, code: Any, lots: Any, constant: Any, table: Any, number: Any, surplus: Any
) -> None:
    """Write every pool's surplus to the place of the caller's pool in ``surplus``."""
    for chunk in range(chunks.shape[0]):
        group = chunks[chunk, 0]
        legs, begin, pools, leg_begin = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
        for at in range(chunks[chunk, 1], chunks[chunk, 2]):
            total = constant[begin + at]
            for slot in range(legs):
                leg = leg_begin + slot * pools + at
                total += lots[leg] * table[code[leg]]
            if number[begin + at] < surplus.size:
                surplus[number[begin + at]] = total


@compiled
def count_edges(code: Any, lots: Any, values: Any, floor: Any, watched: Any, counts: Any) -> None:
    """Count the legs of each instrument that may cross a tier edge while its value grows at most fourfold."""
    count = values.size
    for leg in range(code.size):
        i = code[leg] % count
        if watched[i] and lots[leg] * values[i] * REACH * ROUND_UP >= floor[i, 1]:
            counts[i] += 1


@compiled
def fill_edges(
    groups: Any, code: Any, lots: Any, values: Any, floor: Any, watched: Any, start: Any, edge_lots: Any, edge_leg: Any,
    edge_pool: Any,
) -> None:  # fmt: skip
    """Sort those legs by lots within each instrument. ``start`` (I + 1): where an instrument's legs begin."""
    count = values.size
    used = start[:-1].copy()
    for group in range(groups.shape[0]):
        legs, begin, pools, leg_begin = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
        for slot in range(legs):
            for pool in range(pools):
                leg = leg_begin + slot * pools + pool
                i = code[leg] % count
                if watched[i] and lots[leg] * values[i] * REACH * ROUND_UP >= floor[i, 1]:
                    edge_lots[used[i]], edge_leg[used[i]], edge_pool[used[i]] = lots[leg], leg, begin + pool
                    used[i] += 1
    for i in range(count):
        a, b = start[i], start[i + 1]
        order = np.argsort(edge_lots[a:b])
        edge_lots[a:b] = edge_lots[a:b][order]
        edge_leg[a:b] = edge_leg[a:b][order]
        edge_pool[a:b] = edge_pool[a:b][order]


@compiled
def place_bounds(values: Any, floor: Any, tiers: Any, start: Any, edge_lots: Any, bounds: Any, guards: Any) -> None:
    """Find where each tier begins among the sorted legs at ``values``: ``bounds`` (I, T), and its ``guards``."""
    for i in range(values.size):
        for tier in range(1, tiers[i]):
            low, high = start[i], start[i + 1]
            while low < high:
                middle = (low + high) // 2
                if in_tier(edge_lots[middle], values[i], floor[i, tier]):
                    high = middle
                else:
                    low = middle + 1
            bounds[i, tier] = low
        guard(i, floor, tiers, start, edge_lots, bounds, guards)


@compiled
def guard(i: int, floor: Any, tiers: Any, start: Any, edge_lots: Any, bounds: Any, guards: Any) -> None:
    """Set ``guards`` (I, 2) of an instrument: from the first value up to the second no leg changes its tier.

    Between the two, rounding included: each is moved inward by 64 u, where products are off by at most 3 u.
    """
    low, high = 0.0, np.inf
    for tier in range(1, tiers[i]):
        at = bounds[i, tier]
        if at < start[i + 1]:
            low = max(low, floor[i, tier] / edge_lots[at])
        if at > start[i]:
            high = min(high, floor[i, tier] / edge_lots[at - 1] * (1.0 - 2.0**-47))
    guards[i, 0], guards[i, 1] = low, high


@compiled
def cross_edges(
    values: Any, floor: Any, tiers: Any, start: Any, edge_lots: Any, edge_leg: Any, edge_pool: Any, bounds: Any,
    guards: Any, loose: Any, code: Any, changed: Any,
) -> int:  # fmt: skip
    """Bring the tiers of all legs to ``values``; write the pools concerned into ``changed`` and return how many.

    When ``changed`` is full the rest is still brought up to date, and what is returned is more than its size.
    """
    count, touched, room = values.size, 0, changed.size
    for i in range(count):
        value = values[i]
        if (guards[i, 0] <= value < guards[i, 1]) or not value > 0.0:
            continue
        a, b = start[i], start[i + 1]
        for tier in range(1, tiers[i]):
            at = bounds[i, tier]
            while at > a and in_tier(edge_lots[at - 1], value, floor[i, tier]):
                at -= 1
                if loose[edge_leg[at]]:
                    continue
                code[edge_leg[at]] += 2 * count
                if touched < room:
                    changed[touched] = edge_pool[at]
                touched += 1
            bounds[i, tier] = at
        for tier in range(tiers[i] - 1, 0, -1):
            at = bounds[i, tier]
            while at < b and not in_tier(edge_lots[at], value, floor[i, tier]):
                if not loose[edge_leg[at]]:
                    code[edge_leg[at]] -= 2 * count
                    if touched < room:
                        changed[touched] = edge_pool[at]
                    touched += 1
                at += 1
            bounds[i, tier] = at
        guard(i, floor, tiers, start, edge_lots, bounds, guards)
    return touched


@compiled
def renew_constants(
    changed: Any, apart: int, level: float, margins: float, groups: Any, code: Any, cash: Any, fixed: Any, gross: Any,
    deduction: Any, moving: Any, charge: Any, constant: Any,
) -> bool:  # fmt: skip
    """Compute the constants of the pools ``changed`` anew, but for those below ``apart``; return whether any are."""
    waiting = False
    for pool in changed:
        if pool < apart:
            waiting = True
            continue
        group = 0
        while pool >= groups[group, 1] + groups[group, 2]:
            group += 1
        legs, begin, pools, leg_begin = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
        constant[pool] = constant_of(
            pool, legs, level, margins, leg_begin + pool - begin, pools, code, cash, fixed, gross, deduction, moving,
            charge,
        )  # fmt: skip
    return waiting


@compiled
def settle_loose(
    legs_of: Any, many: int, values: Any, floor: Any, tiers: Any, watched: Any, code: Any, lots: Any, changed: Any
) -> int:
    """Bring the tiers of the loose legs, (leg, pool) in ``legs_of``, to ``values``; return how many pools changed."""
    count, touched = values.size, 0
    for at in range(many):
        leg = legs_of[at, 0]
        row = int(code[leg])
        i = row % count
        if not watched[i] or not values[i] > 0.0:
            continue
        tier = 0
        while tier + 1 < tiers[i] and in_tier(lots[leg], values[i], floor[i, tier + 1]):
            tier += 1
        if tier != row // (2 * count):
            code[leg] = tier * 2 * count + row % (2 * count)
            changed[touched] = legs_of[at, 1]
            touched += 1
    return touched


@compiled
def overwrite(
    at: int, source: int, groups: Any, from_groups: Any, code: Any, lots: Any, money: Any, from_code: Any,
    from_lots: Any, from_money: Any, loose: Any, legs_of: Any, many: int,
) -> int:  # fmt: skip
    """Copy pool ``source`` of other columns to the place ``at``; its legs are loose from now on. Return how many are.

    ``money``: cash, fixed and gross, three arrays.
    """
    group = 0
    while at >= groups[group, 1] + groups[group, 2]:
        group += 1
    other = 0
    while source >= from_groups[other, 1] + from_groups[other, 2]:
        other += 1
    for part in range(3):
        money[part][at] = from_money[part][source]
    for slot in range(groups[group, 0]):
        leg = groups[group, 3] + slot * groups[group, 2] + at - groups[group, 1]
        taken = from_groups[other, 3] + slot * from_groups[other, 2] + source - from_groups[other, 1]
        code[leg], lots[leg] = from_code[taken], from_lots[taken]
        if not loose[leg]:
            loose[leg] = 1
            legs_of[many, 0], legs_of[many, 1] = leg, at
            many += 1
    return many
