"""Compiled: what a book (:mod:`ringfence.fleet.books`) has and needs at prices, or anywhere in a box of prices.

**Claim.** :func:`_bounds` gives ends between which the exact balance and requirement of a book lie at every set of
prices strictly within ``(1 ± r)`` times those given, but for an error of at most ``s = (k + 16) · 32 u · g``, with ``u
= 2⁻⁵³``, ``k`` terms (legs, parts, slices) and ``g`` the sizes that it adds up. With ``r = 0`` it is at these prices.

**Proof, without rounding.** By intervals: each number is enclosed, and each step takes an enclosure to an enclosure.

1. *A contract's value* lies between its ends at ``1 ± r``; an inverse one's is ``1 ÷ (1 ± r)``.
2. *A coin's index* is its spot price times what its leading contract has moved by, the first in the account's order
   whose mark is not the standing one (:func:`ringfence.margin.portfolio.marks.at_marks`). While a contract may stand
   where it stood, the next one may lead: the enclosure takes them in until one has surely moved, and 1 if none has. An
   asset's index moves with its coin where positions stand on that, else with its leader's mark.
3. *A part's equity* is a sum of signed values, lowest where each is at the end that hurts it. What it counts for never
   falls with it, and an index multiplies something of one sign: the lower end for what is above 0, the upper for debts.
4. *Coins that hedge* are ``max(0, min(spot, −delta))``, which never rises with delta; delta with them never falls with
   it, so that both ends of that sum are found at ends of delta.
5. *A scenario's loss* is linear in the two sums of values, and largest where each is at the end that hurts it; the
   requirement never falls with any scenario's loss, nor with any charge, nor with the index where charges are not below
   0. Absolute values and ``min(longs, shorts)`` are enclosed through the ends of each group; a centre of gravity lies
   between the outermost places of its side; slices and shocks grow with what they are taken of.

**Proof, rounding.** A value or a number of coins is a product of at most 14 inputs and intermediate results, each
within 3 u. (An index that the exact lane rounds to 24 places, and an inverse value rounded to 40, are within u while
they are above ``LEAST_INDEX`` and ``LEAST_VALUE``: below it nothing is said.) So each is within 42 u of itself, a sum
of ``k`` of them within ``(k + 44) u`` of the sum of sizes ``W``. ``max``, ``min``, ``abs`` and what offsets let an
error through unchanged. A requirement changes by at most ``steep`` for a change of one in ``W``: the shares of a
scenario, a rate per charge, twice the largest delta shock (``excess · min(most, increment · excess)`` is no steeper), a
last slice's factor; and of the delta spread four times its rate and longest time: with ``P ≤ M`` the coins of two sides
and ``p``, ``m`` their centres, the derivative of ``P · |p − m|`` in each coin is no larger than the longest time, and
the quotients add two roundings of it. Their own operations add less than 40 u of the same sizes. A requirement is
therefore within ``(k + 84) u · (steep · W + fixed)``, ``fixed`` the dampeners and thresholds beside them; the balance
is as in :mod:`ringfence.fleet.scenario_kernel`. Of ``s`` that is less than a fifth. What the exact lane rounds to 18
places, a threshold in coins and a centre in years, is a millionth of it: ``g`` counts the index and a year at the
least. Bands are made narrower than the box by more than its own ends are rounded (:mod:`ringfence.fleet.apart`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.fleet.scenario_kernel import BOUND, LEAST_INDEX
from ringfence.screen.compiled import compiled, inlined

WIDEST = 0.25  #: the largest reach that is tried
HALVINGS = 12  #: the smallest is WIDEST / 2^this
HERE = 2.0**-50  #: the reach of a box around floats that holds what they stand for
LEAST_VALUE = 1e-20  #: of an inverse contract
_MATRIX, _STRESS = 0, 1
SOUND, CALLED, LIQUIDATABLE, LOOK = 0, 1, 2, 3


@inlined
def _offset(low: Any, high: Any, many: int) -> Any:
    """Return the ends of what offsets among ``many`` groups: the smaller of all longs and all shorts."""
    long_low = long_high = short_low = short_high = 0.0
    for at in range(many):
        long_low += max(low[at], 0.0)
        long_high += max(high[at], 0.0)
        short_low += max(-high[at], 0.0)
        short_high += max(-low[at], 0.0)
    return min(long_low, short_low), min(long_high, short_high)


@inlined
def _least(low: float, high: float) -> float:
    """Return the least absolute value between two ends."""
    return max(low, -high, 0.0)


@inlined
def _sliced(amount: float, ends: Any, factors: Any) -> float:
    """Return an amount with each slice of it times its own factor."""
    total, floor = 0.0, 0.0
    for at in range(ends.size):
        total += max(0.0, min(amount, ends[at]) - floor) * factors[at]
        floor = max(floor, ends[at])
    return total


@inlined
def _apart(low: Any, high: Any, years: Any) -> Any:
    """Return the ends of how far the centres of long and of short groups lie apart."""
    ends = np.zeros((2, 2))
    ends[:, 0], ends[:, 1] = np.inf, -np.inf
    sums = np.zeros((2, 4))  # by side: weight at least and at most, weight times place at least and at most
    for at in range(low.size):
        for side in range(2):
            least = low[at] if side == 0 else -high[at]
            most = high[at] if side == 0 else -low[at]
            if most > 0.0:
                ends[side, 0], ends[side, 1] = min(ends[side, 0], years[at]), max(ends[side, 1], years[at])
                sums[side, 0] += max(least, 0.0)
                sums[side, 1] += most
                sums[side, 2] += max(least, 0.0) * years[at]
                sums[side, 3] += most * years[at]
    if ends[0, 0] > ends[0, 1] or ends[1, 0] > ends[1, 1]:
        return 0.0, 0.0
    sure = True
    for side in range(2):
        if sums[side, 0] > 0.0:
            ends[side, 0] = max(ends[side, 0], sums[side, 2] / sums[side, 1])
            ends[side, 1] = min(ends[side, 1], sums[side, 3] / sums[side, 0])
        else:
            sure = False
    most = max(ends[0, 1] - ends[1, 0], ends[1, 1] - ends[0, 0], 0.0)
    least = max(ends[0, 0] - ends[1, 1], ends[1, 0] - ends[0, 1], 0.0) if sure else 0.0
    return least, most


@inlined
def _loss(linear: Any, inverse: Any, coin: int, of: Any, in_coin: float) -> Any:
    """Return the ends of the worst scenario's loss."""
    linear_low, linear_high = linear
    inverse_low, inverse_high = inverse
    least = most = 0.0
    for at in range(of.scenarios[coin]):
        line, curve = of.linear[coin, at], of.inverted[coin, at]
        off = of.in_coin[coin, at] if in_coin > 0.0 else of.dampener[coin, at]
        low = -line * (linear_high if line > 0.0 else linear_low) - curve * (inverse_high if curve > 0.0
                                                                             else inverse_low)  # fmt: skip
        high = -line * (linear_low if line > 0.0 else linear_high) - curve * (inverse_low if curve > 0.0
                                                                              else inverse_high)  # fmt: skip
        least, most = max(least, low - off), max(most, high - off)
    return least, most


@inlined
def _charged(
    coin: int, index_low: float, index_high: float, loss_low: float, loss_high: float, held: Any, of: Any
) -> Any:
    """Return the ends of a coin's requirement. ``held``: its coins by expiry, quote and side, and all; its sums."""
    by_expiry, by_quote, by_leg, total, sums = held
    worth = sums[2]
    low, high = loss_low, loss_high
    rates = of.rates[coin]
    if of.kind == _MATRIX:
        rolled_low = rolled_high = 0.0
        for at in range(of.years.size):
            rate = max(rates[1], rates[2] * of.years[at])
            rolled_low += _least(by_expiry[0, at], by_expiry[1, at]) * rate
            rolled_high += max(abs(by_expiry[0, at]), abs(by_expiry[1, at])) * rate
        over_low = max(0.0, _least(total[0], total[1]) - rates[3] / index_low)
        over_high = max(0.0, max(abs(total[0]), abs(total[1])) - rates[3] / index_high)
        low += (rolled_low + over_low * min(rates[5], rates[4] * over_low)) * index_low
        high += (rolled_high + over_high * min(rates[5], rates[4] * over_high)) * index_high
        low += min(by_leg[0, 0], by_leg[1, 0]) * rates[6] * index_low
        high += min(by_leg[0, 1], by_leg[1, 1]) * rates[6] * index_high
        return low * rates[0], high * rates[0]
    if of.kind == _STRESS:
        stable = np.zeros((2, 2))
        stable[:, 0], stable[:, 1] = by_quote[:, 0], by_quote[:, 1] + by_quote[:, 2]
        off_low, off_high = _offset(stable[0], stable[1], 2)
        low += off_low * rates[0] * index_low
        high += off_high * rates[0] * index_high
        off_low, off_high = _offset(by_expiry[0], by_expiry[1], of.years.size)
        apart_low, apart_high = _apart(by_expiry[0], by_expiry[1], of.years)
        low += min(off_low * index_low * apart_low * rates[1], off_low * index_low * rates[2])
        high += min(off_high * index_high * apart_high * rates[1], off_high * index_high * rates[2])
        low += (by_leg[0, 0] + by_leg[1, 0]) * rates[3] * index_low
        high += (by_leg[0, 1] + by_leg[1, 1]) * rates[3] * index_high
        return low, high
    basis_low = basis_high = 0.0
    for at in range(of.years.size):
        basis_low += _least(by_expiry[0, at], by_expiry[1, at]) * of.years[at]
        basis_high += max(abs(by_expiry[0, at]), abs(by_expiry[1, at])) * of.years[at]
    low, high = low + basis_low * rates[0] * index_low, high + basis_high * rates[0] * index_high
    low = max(low, _sliced(worth[0], of.ends[0, coin], of.factors[0, coin]))
    high = max(high, _sliced(worth[1], of.ends[0, coin], of.factors[0, coin]))
    off_low, off_high = _offset(by_quote[0], by_quote[1], 3)
    low += _sliced(off_low * index_low, of.ends[1, coin], of.factors[1, coin])
    high += _sliced(off_high * index_high, of.ends[1, coin], of.factors[1, coin])
    return low, high


@inlined
def _led(unit: int, got: Any, ratio: Any, same: Any, reach: float) -> Any:
    """Return the ends of what a coin's index has moved by."""
    low, high, sure = np.inf, -np.inf, False
    for leg in range(got.legs[unit], got.legs[unit + 1]):
        symbol = got.symbol[leg]
        if reach == 0.0:
            if same[symbol]:
                continue
            low, high, sure = ratio[symbol], ratio[symbol], True
            break
        least, most = ratio[symbol] * (1.0 - reach), ratio[symbol] * (1.0 + reach)
        low, high = min(low, least), max(high, most)
        if least > 1.0 or most < 1.0:
            sure = True
            break
    return (low, high) if sure else (min(low, 1.0), max(high, 1.0))


@inlined
def _counted(way: int, equity: float, index: float, other: float, got: Any) -> float:
    """Return what an equity counts for: at ``index`` where it is above 0, at ``other`` where it is a debt."""
    if got.currency[way]:
        equity *= index if equity > 0.0 else other
    found = got.slope[way, 0] * equity
    for line in range(1, got.lines[way]):
        found = min(found, got.constant[way, line] + got.slope[way, line] * equity)
    if not got.currency[way]:
        found *= index if found > 0.0 else other
    return found  # type: ignore[no-any-return]


@inlined
def _valued(quantity: float, low: float, high: float) -> Any:
    """Return the ends of a signed quantity times what lies between two ends above 0."""
    return (quantity * low, quantity * high) if quantity > 0.0 else (quantity * high, quantity * low)


@inlined
def _leg(  # noqa: PLR0913, PLR0917 - compiled
    leg: int, part: int, own: Any, price: Any, reach: float, got: Any, of: Any, index: Any, equity: Any
) -> Any:
    """Add a position to its part's ``equity``; return the ends of its coins and of its value, a NaN where unsaid.

    ``own``: the ends of the coin's index.
    """
    symbol, quantity = got.symbol[leg], got.quantity[leg]
    size = of.size[symbol]
    if of.inverse[symbol]:
        now, entry, signed = size / price[symbol], size / got.entry_price[leg], -quantity
        low, high = now / (1.0 + reach), now / (1.0 - reach)
        coins = _valued(quantity, low, high) if low >= LEAST_VALUE else (np.nan, np.nan)
        value = (coins[0] * (own[0] if coins[0] > 0.0 else own[1]), coins[1] * (own[1] if coins[1] > 0.0 else own[0]))
    else:
        now, entry, signed = size * price[symbol], size * got.entry_price[leg], quantity
        low, high = now * (1.0 - reach), now * (1.0 + reach)
        coins = quantity * size, quantity * size
        value = _valued(quantity, low * index[0, part], high * index[1, part])
    gained = _valued(signed, low, high)
    equity[0, part] += gained[0] - signed * entry
    equity[1, part] += gained[1] - signed * entry
    equity[2, part] += abs(quantity) * (high + entry)
    return coins, value


@inlined
def _hedged(spot: float, by_expiry: Any, total: Any) -> Any:
    """Add as many of the coins held as offset what positions are short of; return the ends of how many those are."""
    low, high = max(0.0, min(spot, -total[1])), max(0.0, min(spot, -total[0]))
    if high > 0.0:
        after_low = total[0] + max(0.0, min(spot, -total[0]))
        after_high = total[1] + max(0.0, min(spot, -total[1]))
        dated_low, dated_high = total[0] - by_expiry[0, 0], total[1] - by_expiry[1, 0]
        by_expiry[0, 0] = max(by_expiry[0, 0] + low, after_low - dated_high)
        by_expiry[1, 0] = min(by_expiry[1, 0] + high, after_high - dated_low)
        total[0], total[1] = after_low, after_high
    return low, high


@compiled
def _unit(  # noqa: PLR0913, PLR0917 - compiled
    unit: int, first: int, own: Any, price: Any, reach: float, got: Any, of: Any, index: Any, equity: Any, groups: Any
) -> Any:
    """Add a coin's positions to their parts' ``equity``; return the ends of its requirement, and its sizes."""
    by_expiry, by_quote, by_leg, total, sums = groups
    by_expiry[:], by_quote[:], by_leg[:], sums[:] = 0.0, 0.0, 0.0, 0.0
    coin, sizes, in_coin = got.coin[unit], 0.0, 0.0
    for leg in range(got.legs[unit], got.legs[unit + 1]):
        symbol, side = got.symbol[leg], 0 if got.quantity[leg] > 0.0 else 1
        coins, value = _leg(leg, got.part[leg] - first, own, price, reach, got, of, index, equity)
        kind = 1 if of.inverse[symbol] else 0
        in_coin = max(in_coin, float(kind))
        for end in range(2):
            sums[kind, end] += value[end]
            by_expiry[end, of.expiry[symbol]] += coins[end]
            by_quote[end, of.quote[symbol]] += coins[end]
        least, most = _least(coins[0], coins[1]), max(abs(coins[0]), abs(coins[1]))
        largest = max(abs(value[0]), abs(value[1]))
        by_leg[side, 0] += least
        by_leg[side, 1] += most
        sums[2, 0] += _least(value[0], value[1]) * of.closing[symbol]
        sums[2, 1] += largest * of.closing[symbol]
        sizes += largest + most * own[1]
    for end in range(2):
        total[end] = by_expiry[end].sum()
    used_low, used_high = _hedged(got.spot[unit], by_expiry, total)
    sums[0, 0] += used_low * own[0]
    sums[0, 1] += used_high * own[1]
    sizes += used_high * own[1]
    loss_low, loss_high = _loss((sums[0, 0], sums[0, 1]), (sums[1, 0], sums[1, 1]), coin, of, in_coin)
    low, high = _charged(coin, own[0], own[1], loss_low, loss_high, groups, of)
    return low, high, of.steep[coin] * sizes + of.fixed[coin] + own[1]


@compiled
def _bounds(  # noqa: PLR0913, PLR0917 - compiled
    book: int, got: Any, of: Any, price: Any, ratio: Any, same: Any, moves: Any, reach: float, room: Any, found: Any
) -> bool:
    """Fill ``found``: balance at least and at most, requirement at least and at most, and ``g``, times its bound.

    Returns False where nothing can be said. ``room``: scratch.
    """
    index, equity, led, groups = room
    first, begin = got.first[book], got.units[book]
    terms = 16.0 + of.ends.shape[2]
    for unit in range(begin, got.units[book + 1]):
        low, high = _led(unit, got, ratio, same, reach)
        if not low >= LEAST_INDEX:
            return False
        led[0, unit - begin], led[1, unit - begin] = low, high
    for part in range(first, got.first[book + 1]):
        at, unit, follows = part - first, got.unit[part], got.follows[part]
        low = high = 1.0
        if unit >= 0:
            low, high = led[0, unit], led[1, unit]
        elif follows < moves.size - 1:
            low, high = moves[follows] * (1.0 - reach), moves[follows] * (1.0 + reach)
        index[0, at], index[1, at] = got.at_index[part] * low, got.at_index[part] * high
        if (unit >= 0 or follows < moves.size - 1) and not index[0, at] >= LEAST_INDEX:
            return False
        equity[0, at] = equity[1, at] = got.cash[part]
        equity[2, at] = got.gross[part]
        terms += 1.0
    required_low = required_high = gross = 0.0
    for unit in range(begin, got.units[book + 1]):
        base = got.base[unit]
        own = base * led[0, unit - begin], base * led[1, unit - begin]
        low, high, sizes = _unit(unit, first, own, price, reach, got, of, index, equity, groups)
        required_low, required_high, gross = required_low + low, required_high + high, gross + sizes
        terms += got.legs[unit + 1] - got.legs[unit]
    balance_low = balance_high = 0.0
    for part in range(first, got.first[book + 1]):
        at, way = part - first, got.way[part]
        balance_low += _counted(way, equity[0, at], index[0, at], index[1, at], got)
        balance_high += _counted(way, equity[1, at], index[1, at], index[0, at], got)
        owed = got.owed[part] * got.ask[part]
        required_low, required_high = required_low + owed * index[0, at], required_high + owed * index[1, at]
        gross += index[1, at] * (got.ask[part] * equity[2, at] + owed)
    found[0], found[1], found[2], found[3] = balance_low, balance_high, required_low, required_high
    found[4] = terms * BOUND * gross
    return bool(np.isfinite(balance_low + balance_high + required_low + required_high + gross))


@inlined
def _room(got: Any, of: Any) -> Any:
    """Return scratch for the largest book."""
    coins = parts = 1
    for book in range(got.pool.size):
        coins = max(coins, got.units[book + 1] - got.units[book])
        parts = max(parts, got.first[book + 1] - got.first[book])
    groups = np.empty((2, of.years.size)), np.empty((2, 3)), np.empty((2, 2)), np.empty(2), np.empty((3, 2))
    return np.empty((2, parts)), np.empty((3, parts)), np.empty((2, coins)), groups


@inlined
def _stands(found: Any, level: float) -> int:
    """Return the state that bounds are certain of."""
    states = np.zeros(2, np.int64)
    for at in range(2):
        health = 1.0 if at == 0 else level
        error = found[4] * (1.0 + health)
        above = found[0] - health * found[3] > error
        below = found[1] - health * found[2] < -error
        if not above and not below:
            return LOOK
        states[at] = 1 if below else 0
    return int(states[0] + states[1])


@compiled
def stand(got: Any, of: Any, at: Any, level: float, balance: Any, required: Any, state: Any) -> None:
    """Fill balance, requirement and state of every book ``(book, scenario)``; ``level``: the health of a margin call.

    States: 0 sound, 1 called, 2 liquidatable, 3 look.
    """
    room, found = _room(got, of), np.empty(5)
    for book in range(got.pool.size):
        for s in range(at.price.shape[0]):
            if not _bounds(book, got, of, at.price[s], at.ratio[s], at.same[s], at.moves[s], 0.0, room, found):
                balance[book, s], required[book, s], state[book, s] = np.nan, np.nan, LOOK
                continue
            balance[book, s], required[book, s] = found[0], found[3]
            state[book, s] = _stands(found, level)


@compiled
def settle(books: Any, got: Any, of: Any, price: Any, ratio: Any, moves: Any, level: float, reach: Any) -> None:
    """Fill ``reach`` for some books: 0 where a book is not certain to be above ``level`` of health at these prices.

    Else the book stays above it while every price that it depends on is strictly within ``(1 ± reach)`` times what it
    is: its symbols', and those that its index prices follow. "At these prices" is a box, too, wider than a float is
    away from what it stands for: so a contract may stand where it stood, and no exact mark has to say so.
    """
    room, found, nothing = _room(got, of), np.empty(5), np.zeros(0, np.bool_)
    for at in range(books.size):
        reach[at] = 0.0
        trial = HERE
        for step in range(HALVINGS + 2):
            sure = _bounds(books[at], got, of, price, ratio, nothing, moves, trial, room, found)
            above = sure and found[0] - level * found[3] > found[4] * (1.0 + level)
            if step == 0 and not above:
                break
            if step > 0 and above:
                reach[at] = trial
                break
            trial = WIDEST if step == 0 else trial * 0.5


__all__ = ["HALVINGS", "LIQUIDATABLE", "LOOK", "SOUND", "WIDEST", "settle", "stand"]
