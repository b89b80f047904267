"""Compiled: balance and requirement of every pool in many scenarios at once. Needs numba; imported when it is used.

**The loop runs over scenarios.** A position's value in all scenarios is its quantity times a row of contract values, so
the innermost loops are ``balance[s] += signed · value[s]`` and ``requirement[s] += slope · value[s]`` over neighbouring
numbers: eight lanes at a time, no gather. A leg that stays in one tier over all scenarios (nearly all do) costs two
multiplications and additions a scenario; one that crosses tiers takes the one that asks for most, tier by tier.
Arrays are read with all their indices: a row taken out of one is counted as held, which costs more than its arithmetic.

**Verdicts are two-sided.** With ``u = 2⁻⁵³``, ``k`` legs and ::

    g = |parts of the balance| + Σ size · (largest value + entry value) · (1 + highest rate) + fees

the computed surplus ``balance − L · requirement`` is off by less than ``(k + 16) · 32 u · (1 + L) · g``. *Why:* each
term is a product of at most 7 inputs and intermediate results, each within 4 u of the exact one (amounts come within 3
u, :func:`ringfence.fleet.numbers_in.floats`; prices, sizes and rates are the nearest floats; a contract value has one
operation more): 28 u of the term. A deduction is at most its rate times the value. Sums of ``k + 4`` terms add ``(k +
4) u`` of the sum of sizes. Together less than ``(k + 40) u (1 + L) g``, of which the margin taken is more than ten
times as much. Beyond it the sign is certain, for "liquidatable" as for "not". Within it (an equality is always within)
the pool is *unsure*: nothing is added up of it, and the exact lane decides it in every scenario. So is a pool of a
table whose requirement jumps at a tier's edge when a value comes within ``2⁻⁴³`` of that edge; where the table is
continuous, the tiers on both sides of an edge ask for the same there, up to what the bound holds.

**Baskets** (:mod:`ringfence.fleet.parts`) are added up part by part, and each part is folded into the pool: what its
equity counts for is the lowest of a few lines, times its index in each scenario. A line that is not the lowest may be
off by more than the lowest is large, but never so much that it becomes the lowest: for an equity above 0 all its terms
are; below 0 its value at 0 only lifts it. So a part is off by its own errors times the ask, the steepest line, and
``g`` above is the sum of the parts' own, each times its largest index and the larger of ask and charge; eleven more
operations, ``(k + 51) u`` in all, leave the margin at ten times as much. An index that the exact lane rounds to 24
places is within u where it is above 10⁻⁸, which :data:`LEAST_INDEX` asks for.

**Sums** are taken in the order of the pools, in chunks of a fixed number of accounts, and chunks are added in their
order: the same to the last bit with any number of threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ringfence.margin import formulas
from ringfence.screen.compiled import borrowing, compiled, inlined
from ringfence.screen.packing import charged, contract_value, fixed_fee

CHUNK = 2_048  #: accounts that are added up together
LEAST_INDEX = 1e-8  #: of an index that moves
EDGE = 2.0**-43
BOUND = 32 * 2.0**-53
ROOM = 256  #: scenarios that are swept together

# Rows of scratch, a balance and the requirement behind it side by side. They stand a constant apart in one array, so
# that the compiler knows without asking that they do not overlap; no power of two: they share no place in a cache.
_STRIDE = ROOM + 16
_EQUITY, _REQUIRED, _DEAD, _STRUCK, _TIERS, _OWN, _ASKED, _WORTH, _ROWS = range(9)
_ACCOUNTS, _LIQUIDATABLE, _CALLED = range(3)  # rows of counts
_WORTHS, _LOSSES, _FUNDS = range(3)  # rows of amounts

_maintenance_margin = inlined(formulas.maintenance_margin)
_rate_by_size = inlined(formulas.rate_by_size)
_unrealised_pnl = inlined(formulas.unrealised_pnl)


class Rules(NamedTuple):
    """What legs are charged by, by instrument (:class:`ringfence.fleet.market.Market`); funding is in ``rate``."""

    price_of: Any
    size: Any
    inverse: Any
    fee_slope: Any
    fee_kind: Any
    fee_rate: Any
    moving: Any
    by_contracts: Any
    larger_side: Any
    isolated: Any
    jumps: Any
    bare: Any
    floor: Any
    rate: Any
    deduction: Any
    tiers: Any
    credit: Any
    charge: Any
    base_rate: Any
    rate_per_unit: Any


class Held(NamedTuple):
    """Pools and legs (:class:`ringfence.fleet.pooling.Pools`) as the kernel reads them."""

    first: Any
    account: Any
    asset: Any
    balance: Any
    gross: Any
    look: Any
    symbol: Any
    instrument: Any
    quantity: Any
    entry_price: Any
    leverage: Any
    part: Any
    part_cash: Any
    part_gross: Any
    part_owed: Any


class Prepared(NamedTuple):
    """What no scenario changes.

    By leg: ``symbol`` by number; ``signed`` gained per contract value; ``slope`` required per contract value at any
    tier; ``tiered``: the size that its tier's rate applies to (0: no tier changes anything); ``contracts``: what is
    looked up in the tiers, unsigned; ``most``: what bounds its terms per contract value; ``row``: the instrument
    charged. By pool: ``first`` leg; ``account``; ``asset``; ``cash`` (balance less entry values); ``fixed``
    requirement; ``gross`` without values; ``look``: the exact lane decides.

    Of baskets: ``part`` of a leg, −1 elsewhere; ``parts``: the first one of a pool. By part ``part_cash``,
    ``part_fixed``, ``part_gross`` as of a pool, and ``at_index``, ``follows``, ``ask``, ``charge``, ``way``; by way
    ``constant``, ``line_slope``, ``lines``, ``currency`` (:class:`ringfence.fleet.parts.Parts`).
    """

    first: Any
    account: Any
    asset: Any
    symbol: Any
    signed: Any
    slope: Any
    tiered: Any
    contracts: Any
    most: Any
    row: Any
    cash: Any
    fixed: Any
    gross: Any
    look: Any
    part: Any
    parts: Any
    part_cash: Any
    part_fixed: Any
    part_gross: Any
    at_index: Any
    follows: Any
    ask: Any
    charge: Any
    way: Any
    constant: Any
    line_slope: Any
    lines: Any
    currency: Any


class Tiers(NamedTuple):
    """Tiers by instrument: ``floor``, ``rate`` with funding, ``deduction`` as charged, how many, whether they jump."""

    floor: Any
    rate: Any
    deduction: Any
    count: Any
    jumps: Any


class Points(NamedTuple):
    """Scenarios: ``values`` of one contract (symbol, scenario), ``ends`` (symbol, 2): least and largest of them.

    ``moves`` (row of ``follows``, scenario): what an index is times its own; ``least``, ``most``: ends of each row.
    ``level``: the health of a margin call.
    """

    values: Any
    ends: Any
    moves: Any
    least: Any
    most: Any
    level: Any


class Sums(NamedTuple):
    """Sums over a unit: counts ``(scenario)``, amounts ``(asset, scenario)``, ``forced`` ``(symbol, scenario)``.

    All of them floats, whole numbers among them. ``forced`` is in contracts. The first scenario is where all start:
    ``loss`` is counted from there.
    """

    accounts: Any
    liquidatable: Any
    called: Any
    equity: Any
    loss: Any
    fund: Any
    forced: Any


@borrowing
def tier_at(amount: float, floor: Any, i: int, tiers: int) -> int:
    """Return the tier of instrument ``i`` that an amount is in. ``floor``: of all of them; it has ``tiers``."""
    tier = 0
    while tier + 1 < tiers and floor[i, tier + 1] <= amount:
        tier += 1
    return tier


@compiled
def near_edge(amount: float, floor: Any, i: int, tiers: int) -> bool:
    """Whether an amount is so close to an edge of a tier of instrument ``i`` that rounding leaves its tier open."""
    for tier in range(1, tiers):  # noqa: SIM110 - compiled
        if abs(amount - floor[i, tier]) <= EDGE * floor[i, tier]:
            return True
    return False


@compiled
def _highest(of: Any) -> Any:
    """Return by instrument the highest rate of any tier, with the fee."""
    found = np.zeros(of.tiers.size)
    for i in range(of.tiers.size):
        for tier in range(of.tiers[i]):
            found[i] = max(found[i], of.fee_slope[i] + of.rate[i, tier])
    return found


@compiled
def prepare(held: Any, of: Any, into: Any) -> None:
    """Fill :class:`Prepared`."""
    most_of = _highest(of)
    for part in range(held.part_cash.size):
        into.part_cash[part], into.part_fixed[part] = held.part_cash[part], held.part_owed[part]
        into.part_gross[part] = held.part_gross[part] + held.part_owed[part]
    for pool in range(held.first.size - 1):
        start, end = held.first[pool], held.first[pool + 1]
        cash, fixed, gross = held.balance[pool], 0.0, held.gross[pool]
        look = held.look[pool]
        for leg in range(start, end):
            i = held.instrument[leg]
            if of.larger_side[i] and not charged(start, end, leg, held.instrument, held.quantity):
                i = of.bare[i]
            size = abs(held.quantity[leg])
            at_entry = contract_value(held.entry_price[leg], of.size[i], of.inverse[i])
            rises = 1.0 if (held.quantity[leg] > 0) != of.inverse[i] else -1.0
            signed = rises * size * of.credit[i]
            own, charged_here = _unrealised_pnl(signed, 0.0, signed * at_entry), 0.0
            weighted = size * of.charge[i]
            slope, tiered, highest = of.fee_slope[i], 0.0, of.fee_slope[i]
            if of.base_rate[i] == of.base_rate[i]:
                rate, deduction = _rate_by_size(of.base_rate[i], of.rate_per_unit[i], size), 0.0
            else:
                amount = size if of.by_contracts[i] else size * at_entry
                look = look or (of.jumps[i] and (of.by_contracts[i] or not of.moving[i])
                                and near_edge(amount, of.floor, i, of.tiers[i]))  # fmt: skip
                tier = tier_at(amount, of.floor, i, of.tiers[i])
                rate, deduction = of.rate[i, tier], of.deduction[i, tier]
                highest = max(highest, most_of[i])
            highest = max(highest, of.fee_slope[i] + rate)
            if not of.moving[i]:
                charged_here += _maintenance_margin(weighted * at_entry, rate, of.charge[i] * deduction)
            elif of.by_contracts[i] or of.base_rate[i] == of.base_rate[i]:
                slope += rate
                charged_here -= of.charge[i] * deduction
            else:
                tiered = weighted
            fee = 0.0
            if of.fee_kind[i]:
                margin = held.balance[pool] if of.isolated[i] else np.nan
                fee = of.charge[i] * fixed_fee(
                    of.fee_kind[i], of.fee_rate[i], size * at_entry, margin, held.leverage[leg], rises
                )
            charged_here += fee
            most = max(of.credit[i], of.charge[i]) * size * at_entry * (1.0 + highest) + abs(fee)
            part = held.part[leg]
            if part < 0:
                cash, fixed, gross = own + cash, fixed + charged_here, gross + most
            else:
                into.part_cash[part] += own
                into.part_fixed[part] += charged_here
                into.part_gross[part] += most
            into.signed[leg], into.slope[leg] = signed, weighted * slope
            into.tiered[leg], into.row[leg], into.contracts[leg] = tiered, i, size
            into.most[leg] = max(of.credit[i], of.charge[i]) * size * (1.0 + highest)
        into.cash[pool], into.fixed[pool], into.gross[pool], into.look[pool] = cash, fixed, gross, look


@borrowing
def _fill(work: Any, row: int, width: int, equity: float, required: float) -> None:
    """Start a balance and the requirement behind it from what no scenario changes."""
    for s in range(width):
        work[row, s] = equity
        work[row + 1, s] = required


@borrowing
def _ask_tiers(leg: int, low: int, high: int, got: Any, of: Any, at: Any, width: int, work: Any) -> None:
    """Fill the row of what a leg's tiers ask for by scenario, from tier ``low`` to tier ``high``."""
    symbol, i, size, tiered = got.symbol[leg], got.row[leg], got.contracts[leg], got.tiered[leg]
    slope, less = tiered * of.rate[i, low], of.deduction[i, low]
    for s in range(width):
        work[_TIERS, s] = slope * at.values[symbol, s] - less
    for tier in range(low + 1, high + 1):
        slope, less, edge = tiered * of.rate[i, tier], of.deduction[i, tier], of.floor[i, tier]
        # In a continuous table of rising rates the tier that asks for most is the one that holds.
        if of.jumps[i]:
            for s in range(width):
                value, asked = at.values[symbol, s], work[_TIERS, s]
                work[_TIERS, s] = slope * value - less if size * value >= edge else asked
        else:
            for s in range(width):
                work[_TIERS, s] = max(work[_TIERS, s], slope * at.values[symbol, s] - less)


@borrowing
def _add_leg(  # noqa: PLR0913, PLR0917 - compiled
    leg: int, got: Any, of: Any, at: Any, width: int, work: Any, row: int, fresh: bool,  # noqa: FBT001 - compiled
    cash: float, fixed: float,
) -> bool:  # fmt: skip
    """Add a leg to the balance in ``row`` and the requirement behind it; return whether its tier is left open anywhere.

    ``fresh``: nothing stands there yet, they start from ``cash`` and ``fixed``.
    """
    symbol, i, size = got.symbol[leg], got.row[leg], got.contracts[leg]
    signed, slope, tiered = got.signed[leg], got.slope[leg], got.tiered[leg]
    low, high, less = 0, 0, 0.0
    if tiered > 0.0:
        low = tier_at(size * at.ends[symbol, 0], of.floor, i, of.count[i])
        high = tier_at(size * at.ends[symbol, 1], of.floor, i, of.count[i])
    if low == high:
        if tiered > 0.0:
            slope, less = slope + tiered * of.rate[i, low], of.deduction[i, low]
        if fresh:
            for s in range(width):
                value = at.values[symbol, s]
                work[row, s] = cash + signed * value
                work[row + 1, s] = fixed + (slope * value - less)
        else:
            for s in range(width):
                value = at.values[symbol, s]
                work[row, s] += signed * value
                work[row + 1, s] += slope * value - less
    else:
        if fresh:
            _fill(work, row, width, cash, fixed)
        _ask_tiers(leg, low, high, got, of, at, width, work)
        for s in range(width):
            value = at.values[symbol, s]
            work[row, s] += signed * value
            work[row + 1, s] += slope * value + work[_TIERS, s]
    near = False
    if tiered > 0.0 and of.jumps[i]:
        for s in range(width):
            near = near or near_edge(size * at.values[symbol, s], of.floor, i, of.count[i])
    return near


@borrowing
def _basket(pool: int, got: Any, of: Any, at: Any, width: int, work: Any) -> float:
    """Add what the parts of a basket count for and require; return the error bound as :func:`_pool` does."""
    _fill(work, _EQUITY, width, got.cash[pool], got.fixed[pool])
    gross, open_tier, terms = got.gross[pool], False, 16
    for part in range(got.parts[pool], got.parts[pool + 1]):
        _fill(work, _OWN, width, got.part_cash[part], got.part_fixed[part])
        size = got.part_gross[part]
        for leg in range(got.first[pool], got.first[pool + 1]):
            if got.part[leg] == part:
                near = _add_leg(leg, got, of, at, width, work, _OWN, False, 0.0, 0.0)  # noqa: FBT003 - compiled
                open_tier = open_tier or near
                size += got.most[leg] * at.ends[got.symbol[leg], 1]
                terms += 1
        follows, index, way = got.follows[part], got.at_index[part], got.way[part]
        in_currency, charge = got.currency[way], got.charge[part]
        if in_currency:
            for s in range(width):
                work[_OWN, s] *= index * at.moves[follows, s]
        debt = got.line_slope[way, 0]
        for s in range(width):
            work[_WORTH, s] = debt * work[_OWN, s]  # a debt's line is 0 at 0
        for line in range(1, got.lines[way]):
            constant, slope = got.constant[way, line], got.line_slope[way, line]
            for s in range(width):
                work[_WORTH, s] = min(work[_WORTH, s], constant + slope * work[_OWN, s])
        for s in range(width):
            there = index * at.moves[follows, s]
            work[_EQUITY, s] += work[_WORTH, s] if in_currency else work[_WORTH, s] * there
            work[_REQUIRED, s] += charge * there * work[_ASKED, s]
        open_tier = open_tier or (at.least[follows] < at.most[follows] and index * at.least[follows] < LEAST_INDEX)
        most = index * at.most[follows]
        gross += most * max(got.ask[part], charge) * size
        terms += 1
    return np.inf if open_tier else terms * BOUND * (1.0 + at.level) * gross


@borrowing
def _pool(pool: int, got: Any, of: Any, at: Any, width: int, work: Any) -> float:
    """Fill a pool's balance and requirement by scenario; return the error bound, infinite where a tier is left open."""
    start, end = got.first[pool], got.first[pool + 1]
    gross, open_tier = got.gross[pool], False
    for leg in range(start, end):
        near = _add_leg(leg, got, of, at, width, work, _EQUITY, leg == start, got.cash[pool], got.fixed[pool])
        open_tier = open_tier or near
        gross += got.most[leg] * at.ends[got.symbol[leg], 1]
    return np.inf if open_tier else (end - start + 16) * BOUND * (1.0 + at.level) * gross


@compiled
def sweep(got: Any, of: Any, chunks: Any, at: Any, now: Any, sums: Any, unsure: Any) -> None:
    """Add up what each of at most ``ROOM`` scenarios does to the pools of the chunks, one after the other.

    ``chunks``: the first pool of each chunk, and the last one's end. ``now``: each pool's balance where all start; NaN
    where the first of these scenarios is that, which then fills it. ``unsure``: set for pools that are looked at, of
    which nothing is added, and for those whose verdict is not certain: then the sums mean nothing, and all has to be
    swept again with these looked at. None of the pools may be a basket of parts.
    """
    work, counts = np.zeros((_ROWS, _STRIDE)), np.zeros((3, _STRIDE))
    amounts, forced = np.zeros((sums.equity.shape[0], 3, _STRIDE)), np.zeros((sums.forced.shape[0], _STRIDE))
    _sweep(got, of, chunks, at, now, sums, unsure, work, counts, amounts, forced, False)  # noqa: FBT003 - compiled


@compiled
def sweep_baskets(got: Any, of: Any, chunks: Any, at: Any, now: Any, sums: Any, unsure: Any) -> None:
    """Do as :func:`sweep` does, for pools among which are baskets of parts."""
    work, counts = np.zeros((_ROWS, _STRIDE)), np.zeros((3, _STRIDE))
    amounts, forced = np.zeros((sums.equity.shape[0], 3, _STRIDE)), np.zeros((sums.forced.shape[0], _STRIDE))
    _sweep(got, of, chunks, at, now, sums, unsure, work, counts, amounts, forced, True)  # noqa: FBT003 - compiled


@borrowing
def _sweep(  # noqa: PLR0913, PLR0917 - compiled
    got: Any, of: Any, chunks: Any, at: Any, now: Any, sums: Any, unsure: Any, work: Any, counts: Any, amounts: Any,
    forced: Any, baskets: bool,  # noqa: FBT001 - compiled
) -> None:  # fmt: skip
    """Sweep; a constant for ``baskets`` leaves the code for them out of the loop where there are none."""
    width = at.values.shape[1]
    for chunk in range(chunks.size - 1):
        hit = False
        for pool in range(chunks[chunk], chunks[chunk + 1]):
            if got.look[pool]:
                unsure[pool] = True
                continue
            if baskets and got.parts[pool] < got.parts[pool + 1]:
                bound = _basket(pool, got, of, at, width, work)
            else:
                bound = _pool(pool, got, of, at, width, work)
            if now[pool] != now[pool]:  # not a number
                now[pool] = work[_EQUITY, 0]
            certain, dies = _add_pool(work, width, at.level, bound, now[pool], got.asset[pool], counts, amounts)
            unsure[pool] = unsure[pool] or not certain
            if dies:
                hit = True
                for leg in range(got.first[pool], got.first[pool + 1]):
                    symbol, size = got.symbol[leg], got.contracts[leg]
                    for s in range(width):
                        forced[symbol, s] += work[_DEAD, s] * size
            if hit and (pool + 1 == chunks[chunk + 1] or got.account[pool + 1] != got.account[pool]):
                hit = False
                for s in range(width):
                    counts[_ACCOUNTS, s] += work[_STRUCK, s]
                    work[_STRUCK, s] = 0.0
        _add_chunk(counts, amounts, forced, width, sums)


@borrowing
def _add_pool(
    work: Any, width: int, level: float, bound: float, now: float, asset: int, counts: Any, amounts: Any
) -> Any:  # fmt: skip
    """Add one pool to the sums of its chunk; return whether all its verdicts are certain, and whether it ever dies.

    A verdict is certain where no surplus is within ``bound`` of 0. ``now``: its balance where all start.
    """
    unsure, deaths = 0, 0
    for s in range(width):
        equity, required = work[_EQUITY, s], work[_REQUIRED, s]
        surplus, spare = equity - required, equity - level * required
        unsure += not (abs(surplus) > bound and abs(spare) > bound)
        deaths += surplus < 0.0
        dead = 1.0 if surplus < 0.0 else 0.0
        called = 1.0 if spare < 0.0 else 0.0
        work[_DEAD, s] = dead
        counts[_CALLED, s] += called - dead
        amounts[asset, _WORTHS, s] += equity
        amounts[asset, _LOSSES, s] += max(now - equity, 0.0)
        counts[_LIQUIDATABLE, s] += dead
        amounts[asset, _FUNDS, s] += dead * max(-equity, 0.0)
        work[_STRUCK, s] = max(work[_STRUCK, s], dead)
    return unsure == 0, deaths > 0


@borrowing
def _add_chunk(counts: Any, amounts: Any, forced: Any, width: int, sums: Any) -> None:
    """Add the sums of a chunk to those of the unit, and start again from 0."""
    for s in range(width):
        sums.accounts[s] += counts[_ACCOUNTS, s]
        sums.liquidatable[s] += counts[_LIQUIDATABLE, s]
        sums.called[s] += counts[_CALLED, s]
    for asset in range(amounts.shape[0]):
        for s in range(width):
            sums.equity[asset, s] += amounts[asset, _WORTHS, s]
            sums.loss[asset, s] += amounts[asset, _LOSSES, s]
            sums.fund[asset, s] += amounts[asset, _FUNDS, s]
    for symbol in range(forced.shape[0]):
        for s in range(width):
            sums.forced[symbol, s] += forced[symbol, s]
    counts[:], amounts[:], forced[:] = 0.0, 0.0, 0.0


@compiled
def judge(got: Any, of: Any, at: Any, equity: Any, required: Any, state: Any) -> None:
    """Fill balance, requirement and ``state`` of every pool in one scenario.

    States: 0 sound, 1 called, 2 liquidatable, 3 look.
    """
    work = np.zeros((_ROWS, _STRIDE))
    for pool in range(equity.size):
        if got.parts[pool] < got.parts[pool + 1]:
            bound = _basket(pool, got, of, at, 1, work)
        else:
            bound = _pool(pool, got, of, at, 1, work)
        equity[pool], required[pool] = work[_EQUITY, 0], work[_REQUIRED, 0]
        surplus, spare = equity[pool] - required[pool], equity[pool] - at.level * required[pool]
        sure = abs(surplus) > bound and abs(spare) > bound
        state[pool] = 3 if got.look[pool] or not sure else int(surplus < 0.0) + int(spare < 0.0)


__all__ = [
    "BOUND",
    "CHUNK",
    "LEAST_INDEX",
    "Held",
    "Points",
    "Prepared",
    "Rules",
    "Sums",
    "Tiers",
    "judge",
    "near_edge",
    "prepare",
    "sweep",
    "sweep_baskets",
    "tier_at",
]
