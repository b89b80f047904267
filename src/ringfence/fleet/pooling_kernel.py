"""Compiled: positions in the order of their pools, and their amounts as floats. Needs numba; imported when used."""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.screen.compiled import borrowing, compiled

FEW = 64  #: positions that are sorted by moving each to its place
_ISOLATED, _CROSS, _BASKET = 0, 1, 2  # as in ringfence.fleet.market
_TWO_64 = 2.0**64
_UNIT = 1e18  # an amount of 1


@compiled
def nearest(words: Any, into: Any) -> None:
    """Fill ``into`` with 128-bit integers (N, 2; the low word first) over 10^18, as floats.

    As :func:`ringfence.fleet.numbers_in.floats` does: magnitude first, then the words put together, three roundings.
    """
    for at in range(words.shape[0]):
        low, high = words[at, 0], np.int64(words[at, 1])
        negative = high < 0
        if negative:
            low = ~low + np.uint64(1)
            high = ~high + (1 if low == 0 else 0)
        size = (np.float64(high) * _TWO_64 + np.float64(low)) / _UNIT
        into[at] = -size if negative else size


@borrowing
def _put_in_order(entry: Any, begin: int, end: int, symbol: Any, settle: Any) -> None:
    """Sort a few legs by the asset that they are settled in, those of one asset as they stand."""
    for leg in range(begin + 1, end):
        moved = entry[leg]
        place = leg
        while place > begin and settle[symbol[entry[place - 1]]] > settle[symbol[moved]]:
            entry[place] = entry[place - 1]
            place -= 1
        entry[place] = moved


@compiled
def form(offsets: Any, symbol: Any, isolated: Any, basket: Any, settle: Any, into: Any) -> int:
    """Put the positions of a unit in the order of their pools; return how many pools there are.

    ``offsets``: where the positions of each account begin, and the last one's end; ``symbol`` and ``isolated`` by
    position, ``basket`` by account, ``settle``: each symbol's asset. ``into``: ``first``, ``account``, ``kind`` and
    ``asset`` by pool (:class:`ringfence.fleet.pooling.Pools`), ``entry`` and ``pool`` by leg. Within an account: cross
    pools by asset, or the basket, then the isolated positions in their order. A basket's asset is not set.
    """
    pools = 0
    for owner in range(offsets.size - 1):
        begin, end = offsets[owner] - offsets[0], offsets[owner + 1] - offsets[0]
        shared = begin
        for at in range(begin, end):
            if not isolated[at]:
                into.entry[shared] = at
                shared += 1
        leg = shared
        for at in range(begin, end):
            if isolated[at]:
                into.entry[leg] = at
                leg += 1
        if not basket[owner]:
            if shared - begin <= FEW:
                _put_in_order(into.entry, begin, shared, symbol, settle)
            else:
                own = into.entry[begin:shared].copy()
                into.entry[begin:shared] = own[np.argsort(settle[symbol[own]], kind="mergesort")]
        for leg in range(begin, end):
            at = into.entry[leg]
            asset = settle[symbol[at]]
            if leg == begin or leg >= shared or (not basket[owner] and asset != into.asset[pools - 1]):
                kind = _ISOLATED if leg >= shared else _BASKET if basket[owner] else _CROSS
                into.first[pools], into.account[pools], into.kind[pools], into.asset[pools] = leg, owner, kind, asset
                pools += 1
            into.pool[leg] = pools - 1
    into.first[pools] = offsets[-1] - offsets[0]
    return pools


@compiled
def fill_balances(pools: Any, margin: Any, offsets: Any, held: Any, amount: Any, balance: Any) -> None:
    """Fill the balance of every pool: an isolated position's ``margin``, or what the account has of the pool's asset.

    ``margin`` by position; ``held``: the asset of each entry of a wallet, ``amount``: its balance; ``offsets``: where
    each account's entries begin. A wallet without an entry for the asset is empty; the first of several counts.
    """
    for pool in range(balance.size):
        if pools.kind[pool] != _CROSS:
            balance[pool] = margin[pools.entry[pools.first[pool]]]
            continue
        balance[pool] = 0.0
        owner = pools.account[pool]
        for at in range(offsets[owner] - offsets[0], offsets[owner + 1] - offsets[0]):
            if held[at] == pools.asset[pool]:
                balance[pool] = amount[at]
                break


__all__ = ["FEW", "fill_balances", "form", "nearest"]
