"""The compiled parts of the trigger prices (:mod:`ringfence.screen.triggers`). Needs numba; imported when it is used.

======  ============  ===============================================================================================
lists   2 S, 4 int64  of a symbol and a side (0: long, called while the price falls; 1: short): ``BEGIN`` and ``END`` of
                      those that are sorted, how many ``FRESH`` ones behind them are not yet, and up to where there is
                      ``ROOM``
keys    ? f64         triggers, ascending: the price for a short position, less the price for a long one
heads   ?             ``state`` of the pool when written (:mod:`.outlooks`), its place, the key that it is ``sure``
                      at. Whose state is another now has changed since, and is passed over
======  ============  ===============================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.screen.compiled import compiled
from ringfence.screen.outlooks import (
    CHARGE,
    CREDIT,
    DEDUCTION,
    FEE,
    FLOOR,
    FUNDING,
    GONE,
    HIGHEST,
    INVERSE,
    JUMPS,
    LOT,
    MOST,
    MOVING,
    PLACE,
    SIZE,
    SYMBOL,
    TIERS,
    TRIGGER,
    WATCHED,
    bound_of,
    group_of,
    row_of,
    tier_at,
    value_at,
)

BEGIN, END, FRESH, ROOM = range(4)
LEAST, GREATEST, CALLED_LONG, CALLED_SHORT = 2, 3, 8, 9  #: rows of the lines (:mod:`ringfence.screen.ring_kernels`)
MOST_FRESH = 32  #: triggers of a list that are not sorted yet, at most
TRIES = 6  #: how often a trigger is moved to the safe side, each time sixteen times further
STEP = 2.0**-46  #: the first time by this share of itself
ROUNDED = 2.0**-22  #: what rounds a key up that is stored in 32 bits
HEAD = np.dtype([("state", np.int64), ("pool", np.uint32), ("sure", np.float32)])


@compiled
def surplus_alone(pool: int, leg: int, held: Any, level: float, price: float) -> float:
    """Return the surplus of a pool of one position at ``price``, one error bound taken off."""
    terms, tiers, row = held.terms, held.tiers, int(held.code[leg])
    count = terms.shape[0]
    i = row % count
    value = value_at(i, price, terms)
    tier = tier_at(i, row // (2 * count), held.lots[leg], value, terms, tiers)
    deducted = tiers[i, tier, DEDUCTION] * terms[i, CHARGE] if terms[i, MOVING] else 0.0
    constant = held.cash[pool] - level * (held.fixed[pool] - deducted) - bound_of(1, level) * held.gross[pool]
    added = held.lots[leg] * row_of(i, (row // count) % 2 != 0, tier, value, level, terms, tiers)
    return constant + added  # type: ignore[no-any-return]


@compiled
def has_trigger(i: int, tier: int, level: float, terms: Any, tiers: Any) -> bool:
    """Whether a position's surplus is monotonic in the price. ``tier``: the one it is in, where no price changes it."""
    rate = terms[i, HIGHEST] if terms[i, WATCHED] else tiers[i, tier, MOST]
    highest = terms[i, FEE] + (rate + terms[i, FUNDING] if terms[i, MOVING] else 0.0)
    return not terms[i, JUMPS] and level * terms[i, CHARGE] * highest <= terms[i, CREDIT]


@compiled
def unit_at(target: float, pool: int, leg: int, held: Any, level: float) -> float:
    """Return about where the surplus is ``target``, in units: prices, or one over them. 0 or infinite: nowhere."""
    terms, tiers, row = held.terms, held.tiers, int(held.code[leg])
    count = terms.shape[0]
    i, short, tier = row % count, (row // count) % 2 != 0, row // (2 * count)
    number, size = held.lots[leg], terms[i, LOT] * terms[i, SIZE]
    first, last = (0, int(terms[i, TIERS]) - 1) if terms[i, WATCHED] else (tier, tier)
    rising = short != (terms[i, INVERSE] != 0)
    for step in range(last - first + 1):
        tier = first + step if rising else last - step
        slope = number * row_of(i, short, tier, 1.0, level, terms, tiers) * size
        deducted = tiers[i, tier, DEDUCTION] * terms[i, CHARGE] if terms[i, MOVING] else 0.0
        constant = held.cash[pool] - level * (held.fixed[pool] - deducted)
        low = tiers[i, tier, FLOOR] / (number * size) if tier > first else 0.0
        high = tiers[i, tier + 1, FLOOR] / (number * size) if tier < last else np.inf
        if constant + slope * (high if rising else low) < target:
            return max(low, min(high, (target - constant) / slope)) if slope else high
    return np.inf if rising else 0.0


@compiled
def trigger_of(pool: int, leg: int, held: Any, level: float, least: float, greatest: float) -> tuple[float, float]:
    """Return the keys from which a pool is a candidate, and from which it is one without doubt.

    Minus infinity: always; infinity: never.
    """
    terms, row = held.terms, int(held.code[leg])
    i, bound = row % terms.shape[0], bound_of(1, level) * held.gross[pool]
    side = 1.0 if (row // terms.shape[0]) % 2 != 0 else -1.0
    here, sure = -np.inf, np.inf
    for far in range(2):
        away = -side if far == 0 else side  # where a trigger is moved to
        unit = unit_at(-4.0 * bound if far else 4.0 * bound, pool, leg, held, level)
        price = 1.0 / unit if terms[i, INVERSE] else unit
        if far == 0 and side < 0.0 and least == 0.0 and price == 0.0:
            here = 0.0
        price = min(max(price, least), greatest)
        step = STEP
        for _ in range(TRIES):
            surplus = surplus_alone(pool, leg, held, level, price)
            if far and surplus <= -2.0 * bound:
                sure = side * price
                break
            if not far and surplus >= 2.0 * bound:
                here = side * price
                break
            price = min(max(price * (1.0 + away * step), least), greatest)
            step *= 16.0
    return here, sure + abs(sure) * ROUNDED


@compiled
def place(pool: int, leg: int, held: Any, level: float, lines: Any, states: Any, head: Any) -> tuple[int, float]:
    """Fill a head; return (list, key), the list being negative for who has no trigger."""
    row, count = int(held.code[leg]), held.terms.shape[0]
    i = row % count
    if states[pool] & PLACE == GONE or not has_trigger(i, row // (2 * count), level, held.terms, held.tiers):
        return -1, np.inf
    symbol = int(held.terms[i, SYMBOL])
    key, sure = trigger_of(pool, leg, held, level, lines[LEAST, symbol], lines[GREATEST, symbol])
    states[pool] = (states[pool] & ~PLACE) | TRIGGER
    head.state, head.pool, head.sure = states[pool], pool, sure
    return 2 * symbol + (row // count) % 2, key


@compiled
def find_all(group: int, held: Any, level: float, lines: Any, states: Any, keys: Any, heads: Any, into: Any) -> None:
    """Find the triggers of a group of pools of one position, and which list each goes ``into``."""
    begin, leg = held.groups[group, 1], held.groups[group, 3]
    for at in range(into.size):
        into[at], keys[at] = place(begin + at, leg + at, held, level, lines, states, heads[at])


@compiled
def fill(order: Any, from_keys: Any, from_heads: Any, into: Any, lists: Any, keys: Any, heads: Any) -> None:
    """Put triggers, in ``order``, at the ends of their lists."""
    for at in order:
        if into[at] >= 0:
            end = lists[into[at], END]
            keys[end], heads[end] = from_keys[at], from_heads[at]
            lists[into[at], END] = end + 1


@compiled
def copy(from_lists: Any, from_keys: Any, from_heads: Any, states: Any, lists: Any, keys: Any, heads: Any) -> None:
    """Put the triggers of sorted lists at the ends of others, without those of pools that have changed since."""
    for one in range(lists.shape[0]):
        for at in range(from_lists[one, BEGIN], from_lists[one, END]):
            if states[from_heads[at].pool] == from_heads[at].state:
                end = lists[one, END]
                keys[end], heads[end] = from_keys[at], from_heads[at]
                lists[one, END] = end + 1


@compiled
def find_first(lists: Any, keys: Any, lines: Any) -> None:
    """Write the first triggers of all lists into the lines."""
    for one in range(lists.shape[0]):
        write_first(one, lists, keys, lines)


@compiled
def write_first(one: int, lists: Any, keys: Any, lines: Any) -> None:
    """Write the first trigger of a list into the lines: a price; infinite, or minus that, where there is none."""
    key = keys[lists[one, BEGIN]] if lists[one, BEGIN] < lists[one, END] else np.inf
    for at in range(lists[one, END], lists[one, END] + lists[one, FRESH]):
        key = min(key, keys[at])
    lines[CALLED_SHORT if one % 2 else CALLED_LONG, one // 2] = key if one % 2 else -key


@compiled
def merge(one: int, lists: Any, keys: Any, heads: Any) -> None:
    """Sort the fresh triggers of a list in among the others."""
    end, many = lists[one, END], lists[one, FRESH]
    own_keys, own_heads = keys[end : end + many].copy(), heads[end : end + many].copy()
    order = np.argsort(own_keys)
    at, into = end - 1, end + many - 1
    for back in range(many):
        fresh = order[many - 1 - back]
        while at >= lists[one, BEGIN] and keys[at] > own_keys[fresh]:
            keys[into], heads[into] = keys[at], heads[at]
            at -= 1
            into -= 1
        keys[into], heads[into] = own_keys[fresh], own_heads[fresh]
        into -= 1
    lists[one, END], lists[one, FRESH] = end + many, 0


@compiled
def add(
    done: int, pools: Any, held: Any, level: float, lines: Any, states: Any, lists: Any, keys: Any, heads: Any,
    have: Any,
) -> int:  # fmt: skip
    """Add the triggers of ``pools`` from ``done`` on; return up to which there was room."""
    head = np.zeros(1, HEAD)
    for number in range(done, pools.size):
        group = group_of(pools[number], held.groups)
        if held.groups[group, 0] != 1:
            continue
        leg = held.groups[group, 3] + pools[number] - held.groups[group, 1]
        one, key = place(pools[number], leg, held, level, lines, states, head[0])
        if one < 0:
            continue
        at = lists[one, END] + lists[one, FRESH]
        if at >= lists[one, ROOM]:
            return number
        keys[at], heads[at] = key, head[0]
        have[number] = True
        lists[one, FRESH] += 1
        if lists[one, FRESH] >= MOST_FRESH:
            merge(one, lists, keys, heads)
        write_first(one, lists, keys, lines)
    return pools.size  # type: ignore[no-any-return]


@compiled
def pass_triggers(
    prices: Any, lines: Any, states: Any, lists: Any, keys: Any, heads: Any, candidates: Any
) -> tuple[int, int]:
    """Write the pools whose triggers prices have passed into ``candidates``; return how many there are of them.

    Those without doubt, from the first place on, and those in doubt, up to the last place. Triggers of pools that have
    changed since are left behind where they come first.
    """
    found = doubted = 0
    for symbol in range(prices.size):
        price = prices[symbol]
        if lines[CALLED_LONG, symbol] <= price <= lines[CALLED_SHORT, symbol]:
            continue
        for side in range(2):
            one, key = 2 * symbol + side, price if side else -price
            begin, end = lists[one, BEGIN], lists[one, END]
            at, last = begin, end + lists[one, FRESH]
            while at < last:
                if not key > keys[at]:
                    at = at + 1 if at >= end else end
                    continue
                head = heads[at]
                if states[head.pool] != head.state:
                    if at >= end:
                        last -= 1
                        keys[at], heads[at] = keys[last], heads[last]
                        continue
                    if at == begin:
                        begin += 1
                elif key >= head.sure:
                    candidates[found] = head.pool
                    found += 1
                else:
                    doubted += 1
                    candidates[candidates.size - doubted] = head.pool
                at += 1
            lists[one, BEGIN], lists[one, FRESH] = begin, last - end
            write_first(one, lists, keys, lines)
    return found, doubted
