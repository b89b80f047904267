"""Compiled: how far prices may move before a basket of parts can reach a level. Needs numba; imported when it is used.

**Claim.** If :func:`settle` gives a pool the reach ``r > 0``, the pool stays above the level while every price that it
depends on (its symbols', and those that its index prices follow) is strictly within ``(1 ± r)`` times what it is.

**Proof.** By intervals, taken at their worst end one by one. A contract's value lies between its ends at ``1 ± r`` (of
an inverse one ``1 ÷ (1 ± r)``), an index between ``1 ± r`` times its own. Equity of a part is lowest where each leg's
value is at the end that hurts it. What the equity counts for rises with it (every line of :mod:`ringfence.fleet.parts`
rises), and is lowest at the lower index where it is above 0, at the upper one where it is a debt. A leg's requirement
never falls with its value (rates are not below 0, and a table whose requirement jumps down is looked at), so it is
highest at the upper end, in the tier that holds there. So the surplus is nowhere in the box below what is computed
here, up to the error bound of :mod:`ringfence.fleet.scenario_kernel`, whose sizes are those at the upper ends. Where a
jump's edge lies so close to an end that rounding leaves the tier open, that ``r`` is not taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.fleet.scenario_kernel import BOUND, LEAST_INDEX, near_edge, tier_at
from ringfence.screen.compiled import compiled

WIDEST = 0.25  #: the largest reach that is tried
HALVINGS = 12  #: the smallest is WIDEST / 2^this


@compiled
def _worst(pool: int, got: Any, of: Any, inverse: Any, values: Any, moves: Any, level: float, reach: float) -> float:
    """Return the least surplus of a pool within ``reach``, less the error bound; −inf where it cannot be said."""
    balance, required, gross, terms = got.cash[pool], got.fixed[pool], got.gross[pool], 16
    for part in range(got.parts[pool], got.parts[pool + 1]):
        equity, asked, size = got.part_cash[part], got.part_fixed[part], got.part_gross[part]
        for leg in range(got.first[pool], got.first[pool + 1]):
            if got.part[leg] != part:
                continue
            symbol, i = got.symbol[leg], got.row[leg]
            value = values[symbol]
            low = value / (1.0 + reach) if inverse[symbol] else value * (1.0 - reach)
            high = value / (1.0 - reach) if inverse[symbol] else value * (1.0 + reach)
            equity += got.signed[leg] * (low if got.signed[leg] > 0.0 else high)
            asked += got.slope[leg] * high
            if got.tiered[leg] > 0.0:
                if of.jumps[i] and near_edge(got.contracts[leg] * high, of.floor, i, of.count[i]):
                    return -np.inf
                tier = tier_at(got.contracts[leg] * high, of.floor, i, of.count[i])
                asked += got.tiered[leg] * of.rate[i, tier] * high - of.deduction[i, tier]
            size += got.most[leg] * high
            terms += 1
        follows, way = got.follows[part], got.way[part]
        stays = follows == moves.size - 1
        lower = got.at_index[part] * moves[follows] * (1.0 if stays else 1.0 - reach)
        upper = got.at_index[part] * moves[follows] * (1.0 if stays else 1.0 + reach)
        if not stays and lower < LEAST_INDEX:
            return -np.inf
        if got.currency[way]:
            equity *= lower if equity > 0.0 else upper
        counted = got.line_slope[way, 0] * equity
        for line in range(1, got.lines[way]):
            counted = min(counted, got.constant[way, line] + got.line_slope[way, line] * equity)
        if not got.currency[way]:
            counted *= lower if counted > 0.0 else upper
        balance += counted
        required += got.charge[part] * (upper if asked > 0.0 else lower) * asked
        gross += upper * max(got.ask[part], got.charge[part]) * size
        terms += 1
    return balance - level * required - terms * BOUND * (1.0 + level) * gross  # type: ignore[no-any-return]


@compiled
def settle(numbers: Any, got: Any, of: Any, inverse: Any, values: Any, moves: Any, level: float, reach: Any) -> None:
    """Fill ``reach`` for the pools ``numbers``: 0 where a pool is not certain to be above the level now.

    ``values`` of one contract by symbol, ``moves`` of an index by row, the last one 1; ``level``: of health.
    """
    for at in range(numbers.size):
        pool = numbers[at]
        found = 0.0
        if _worst(pool, got, of, inverse, values, moves, level, 0.0) > 0.0:
            trial = WIDEST
            for _ in range(HALVINGS):
                if _worst(pool, got, of, inverse, values, moves, level, trial) > 0.0:
                    found = trial
                    break
                trial *= 0.5
        reach[at] = found


__all__ = ["HALVINGS", "WIDEST", "settle"]
