"""Books: pools of portfolio margin by scenarios (Deribit, OKX, Bybit) that arrays can value, of perpetuals and futures.

Without options a scenario gains a fixed share of what a coin's positions are worth: its loss is a straight line of two
sums (linear and inverse values), and what is charged beside it is made of absolute values, minima and steps of the same
values (:mod:`ringfence.margin.portfolio`). So one set of arrays holds all three models, and a kernel bounds a book's
balance and requirement at prices, or in a box of prices (:mod:`ringfence.fleet.book_kernel`).

**What stays with the exact lane**, each time it is asked: options; open orders; a linear contract that settles in its
own coin, and an inverse one that does not; contracts past their expiry; a symbol whose mark stands beside no index; a
coin whose spot price another coin's index gives; and whatever baskets leave to it (:mod:`ringfence.fleet.parts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.market import Market
    from ringfence.fleet.models import Models
    from ringfence.fleet.pooling import Pools

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

_MANY = 1 << 22


class Books(NamedTuple):
    """The books of a unit of a fleet. ``B`` books; ``U`` their coins; ``N`` legs, coin by coin; ``K`` parts.

    ==============  ===========  ====================================================================================
    pool            B int64      which pool of the unit it is, ascending
    units           B + 1 int64  the coins of book ``b`` are ``units[b]`` up to ``units[b + 1]``
    coin            U int64      which coin of the market
    base            U f64        its spot price at the standing marks
    spot            U f64        coins held that may hedge
    legs            U + 1 int64  the legs of coin ``u``, in the order of the account
    symbol          N int64
    quantity        N f64        signed contracts
    entry_price     N f64
    part            N int64      the part that it settles in
    first           B + 1 int64  the parts of book ``b``
    cash … owed     K f64        as of parts (:class:`ringfence.fleet.parts.Parts`)
    unit            K int64      which coin of its book, counted from its first, its index moves with; −1 none
    ==============  ===========  ====================================================================================
    """

    pool: Integers
    units: Integers
    coin: Integers
    base: Floats
    spot: Floats
    legs: Integers
    symbol: Integers
    quantity: Floats
    entry_price: Floats
    part: Integers
    first: Integers
    cash: Floats
    gross: Floats
    owed: Floats
    at_index: Floats
    follows: Integers
    ask: Floats
    way: Integers
    unit: Integers
    constant: Floats
    slope: Floats
    lines: Integers
    currency: Flags


def books_of(batch: Any, found: Pools, market: Market) -> Books:
    """Return the books of a unit; none where the market has no models."""
    import numpy as np

    models, parts = market.models, found.parts
    chosen = np.zeros(len(found.balance), np.bool_) if models is None else found.by_scenarios.copy()
    owner = np.repeat(np.arange(len(chosen)), np.diff(found.first))
    if models is not None and chosen.any():
        chosen[owner[~models.fits[found.symbol]]] = False
        orders = np.diff(batch.column("orders").offsets.to_numpy()) > 0
        chosen &= ~orders[found.account]
    keys, base, spot = _units(batch, found, market, owner, chosen)
    held = np.flatnonzero(chosen[owner])
    mine = owner[held] * _MANY + _coin(models, found.symbol[held])
    order = np.argsort(mine, kind="stable")
    held = held[order]
    pool = np.flatnonzero(chosen)
    of_part = np.flatnonzero(chosen[np.repeat(np.arange(len(chosen)), np.diff(parts.first))])
    place = np.full(len(parts.cash), -1)
    place[of_part] = np.arange(len(of_part))
    first = np.concatenate([[0], np.cumsum(np.diff(parts.first)[pool])]).astype(np.int64)
    units = np.searchsorted(keys, np.append(pool, len(chosen)) * _MANY)
    book = np.repeat(np.arange(len(pool)), np.diff(first))
    own = pool[book] * _MANY + parts.moves_with[of_part] if len(of_part) else np.zeros(0, np.int64)
    where = np.searchsorted(keys, own).clip(max=max(0, len(keys) - 1))
    led = (parts.moves_with[of_part] >= 0) & (keys[where] == own) if len(keys) else np.zeros(len(own), np.bool_)
    return Books(
        pool, units, keys % _MANY, base, spot, np.searchsorted(mine[order], np.append(keys, len(chosen) * _MANY)),
        found.symbol[held], found.quantity[held], found.entry_price[held], place[parts.leg[held]], first,
        parts.cash[of_part], parts.gross[of_part], parts.owed[of_part], parts.at_index[of_part],
        parts.follows[of_part], parts.ask[of_part], parts.way[of_part], np.where(led, where - units[book], -1),
        parts.constant, parts.slope, parts.lines, parts.currency,
    )  # fmt: skip


def _coin(models: Models | None, symbol: Integers) -> Integers:
    return symbol if models is None else models.coin[symbol]


def _units(batch: Any, found: Pools, market: Market, owner: Integers, chosen: Flags) -> tuple[Integers, Floats, Floats]:
    """Return the coins of chosen pools as keys, their spot prices and the coins that may hedge.

    A spot price is the fleet's, else that of the pool's collateral, else the standing mark of the coin's first
    position. Pools of which it is neither are taken out of ``chosen``.
    """
    import numpy as np

    models, parts = market.models, found.parts
    if models is None or not chosen.any():
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    held = np.flatnonzero(chosen[owner])
    keys, leg = np.unique(owner[held] * _MANY + models.coin[found.symbol[held]], return_index=True)
    holder = np.repeat(np.arange(len(chosen)), np.diff(parts.first))
    own = np.flatnonzero(parts.coin >= 0)
    of_part = holder[own] * _MANY + parts.coin[own]
    order = np.argsort(of_part)
    at = np.searchsorted(of_part[order], keys).clip(max=max(0, len(own) - 1))
    there = of_part[order][at] == keys if len(own) else np.zeros(len(keys), np.bool_)
    part = own[order[at]] if len(own) else np.zeros(len(keys), np.int64)
    pool, coin = keys // _MANY, keys % _MANY
    stated = models.spot_price[coin]
    price = np.where(there, parts.at_index[part] if len(parts.cash) else np.nan, np.nan)
    odd = np.isnan(stated) & there & (parts.moves_with[part] != coin if len(own) else True)
    mark = models.standing[found.symbol[held[leg]]]
    base = np.where(np.isnan(stated), np.where(there, price, mark), stated)
    chosen[pool[odd | ~(base > 0)]] = False
    hedging = _hedging(batch, spot=models.spot)[found.account[pool]]
    coins = np.where(there, parts.cash[part] if len(parts.cash) else 0.0, 0.0)
    spot = np.where(hedging, np.maximum(coins, 0.0), 0.0)
    kept = chosen[pool]
    return keys[kept], base[kept], spot[kept]


def _hedging(batch: Any, *, spot: bool) -> Flags:
    """Return by account whether coins held offset derivatives: as it says, else as the venue has it."""
    from ringfence.fleet.schema import pyarrow

    found: Flags = pyarrow().compute.fill_null(batch.column("spot_hedging"), spot).to_numpy(zero_copy_only=False)
    return found


class Places(NamedTuple):
    """Prices as books read them, scenario by scenario: ``(J, S)`` by symbol, ``(J, R)`` by row of ``follow``, and 1.

    ``price``; ``ratio``: to the standing mark; ``same``: whether it is the standing mark, to the last digit;
    ``moves``: what an index that follows a row is times its own.
    """

    price: Floats
    ratio: Floats
    same: Flags
    moves: Floats


def places_of(market: Market, marks: Sequence[Mapping[str, Decimal]], moves: Floats) -> Places:
    """Return the places of ``marks``. ``moves``: by row and scenario (:class:`ringfence.fleet.judging.Prices`)."""
    import numpy as np

    assert market.models is not None  # noqa: S101 - asked before
    before = market.indices.standing
    price = np.array([[float(at.get(symbol, "nan")) for symbol in market.symbols] for at in marks])
    same = np.array([[symbol in before and at.get(symbol) == before[symbol] for symbol in market.symbols]
                     for at in marks], np.bool_)  # fmt: skip
    ratio = price / market.models.standing
    return Places(price, ratio, same, np.ascontiguousarray(moves[:, : len(marks)].T))


__all__ = ["Books", "Places", "books_of", "places_of"]
