"""From a unit of a fleet to collateral pools as arrays: what :func:`ringfence.account.pools` does, for all at once.

A pool is an isolated position; or the cross positions of an account that are settled in one asset; or, in an account
that shares a basket, all its cross positions. Pools that hold nothing are left out: nothing can be required of them.

A pool whose margin is more than a rate times its positions' values (:mod:`ringfence.screen.instruments`), or of which
something is not known, is *looked at*: the exact lane decides it, and results count it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode
from ringfence.fleet.market import BASKET, CROSS, ISOLATED
from ringfence.fleet.parts import Parts, parts_of
from ringfence.fleet.schema import pyarrow

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.market import Market

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_MANY = 1 << 22  # more assets, or positions of one account, than there are


class Pools(NamedTuple):
    """The pools of a unit that hold something. ``P`` pools, account by account; ``N`` legs, pool by pool.

    ==============  ===========  ====================================================================================
    first           P + 1 int64  the legs of pool ``p`` are ``first[p]`` up to ``first[p + 1]``
    account         P int64      row of the pool's account in the unit, ascending
    kind            P int8       ``ISOLATED``, ``CROSS`` or ``BASKET``
    asset           P int64      number of its asset in the market; the last one is the account's currency
    balance         P f64        what stands behind it, without unrealised PnL; in a basket what balances count for that
                                 are not among its ``parts``
    gross           P f64        the sum of the sizes of what ``balance`` is a sum of
    look            P bool       the exact lane decides, unless it is a book (:mod:`ringfence.fleet.books`)
    by_scenarios    P bool       portfolio margin by scenarios, whose parts are known: may be a book
    entry           N int64      which position of the unit the leg is
    symbol          N int64      its number in the market
    instrument      N int32      its instrument
    quantity        N f64        signed contracts
    entry_price     N f64
    leverage        N f64        NaN where it is not known
    parts           Parts        what backs baskets, asset by asset (:mod:`ringfence.fleet.parts`)
    ==============  ===========  ====================================================================================
    """

    first: Integers
    account: Integers
    kind: NDArray[np.int8]
    asset: Integers
    balance: Floats
    gross: Floats
    look: NDArray[np.bool_]
    by_scenarios: NDArray[np.bool_]
    entry: Integers
    symbol: Integers
    instrument: NDArray[np.int32]
    quantity: Floats
    entry_price: Floats
    leverage: Floats
    parts: Parts

    def named(self, pool: int, market: Market) -> str:
        """Return the pool's name, as :func:`ringfence.account.pools` gives it."""
        leg = int(self.first[pool])
        if self.kind[pool] == ISOLATED:
            return f"isolated {market.symbols[self.symbol[leg]]} {'long' if self.quantity[leg] > 0 else 'short'}"
        return f"cross {market.assets[self.asset[pool]]}" if self.kind[pool] == CROSS else "account"


def pools_of(batch: Any, market: Market) -> Pools:
    """Return the pools of a unit of a fleet."""
    import numpy as np

    pa = pyarrow()
    lists = batch.column("positions")
    entries = lists.flatten()
    symbol = _numbers(entries.field("symbol"), {name: at for at, name in enumerate(market.symbols)})
    mode = pa.compute.fill_null(batch.column("collateral_mode"), CollateralMode.SINGLE_ASSET.value)
    basket = pa.compute.not_equal(mode, CollateralMode.SINGLE_ASSET.value).to_numpy(zero_copy_only=False)
    margin = entries.field("isolated_margin")
    isolated = margin.is_valid().to_numpy(zero_copy_only=False)
    formed = _formed(lists.offsets.to_numpy(), symbol, isolated, basket, market)
    first, account, kind, asset, order, pool = formed
    balance = _balances(batch, market, formed, nearest_floats(margin))
    gross = np.abs(balance)
    symbol, shared = symbol[order], kind == BASKET
    pool_of = np.full(batch.num_rows, -1)
    pool_of[account[shared]] = np.flatnonzero(shared)
    backed = parts_of(batch, market, pool_of, pool, symbol)
    if shared.any():
        balance, gross = np.where(shared, backed.balance, balance), np.where(shared, backed.gross, gross)
    instrument = market.number[kind[pool], symbol]
    look = ~np.isfinite(balance) | _looked_at(market, pool, instrument, len(kind))
    look |= _by_orders(batch, market, account, kind)
    if shared.any():
        look |= backed.look | backed.by_scenarios
        look[pool[market.options[symbol] & shared[pool]]] = True  # of an option in a basket its premium counts, too
        look |= backed.by_ratio & _with_fees(market, pool, instrument, len(kind))
    quantity = nearest_floats(entries.field("quantity"))[order]
    leverage = np.full(len(order), np.nan)
    if market.instruments.fee_kind.any():  # nothing else asks for it
        leverage = nearest_floats(entries.field("leverage"))[order]
    return Pools(
        first, account, kind, asset, balance, gross, look, backed.by_scenarios & ~backed.look, order, symbol,
        instrument, quantity, nearest_floats(entries.field("entry_price"))[order], leverage, backed.parts,
    )  # fmt: skip


def nearest_floats(column: Any) -> Floats:
    """Return amounts as :func:`ringfence.fleet.numbers_in.floats` does, to the last bit, by compiled code."""
    import numpy as np

    from ringfence.fleet import pooling_kernel

    words = np.frombuffer(column.buffers()[1] or b"", np.uint64).reshape(-1, 2)
    found = np.empty(len(column))
    pooling_kernel.nearest(words[column.offset :][: len(found)], found)
    if column.null_count:
        found[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return found


def _numbers(column: Any, known: Mapping[str, int]) -> Integers:
    """Return each text's number in ``known``, −1 where it has none."""
    import numpy as np

    coded = column.dictionary_encode()
    table = np.array([known.get(text, -1) for text in coded.dictionary.to_pylist()] or [-1], np.int64)
    found: Integers = table[coded.indices.to_numpy(zero_copy_only=False)]
    return found


def _looked_at(market: Market, pool: Integers, instrument: NDArray[np.int32], pools: int) -> NDArray[np.bool_]:
    """Return the pools with an instrument that is looked at, or with two legs where one of them stands for both."""
    import numpy as np

    made, looked = market.instruments, np.zeros(pools, np.bool_)
    if made.look.any():
        looked[pool[made.look[instrument]]] = True
    if not made.alone.any():
        return looked
    alone = np.flatnonzero(made.alone[instrument])
    if len(alone):
        keys = np.sort(pool[alone] * _MANY + made.family[instrument[alone]])
        looked[keys[1:][keys[1:] == keys[:-1]] // _MANY] = True
    return looked


def _with_fees(market: Market, pool: Integers, instrument: NDArray[np.int32], pools: int) -> NDArray[np.bool_]:
    """Return the pools whose legs owe a closing fee."""
    import numpy as np

    fees = (market.instruments.fee_slope != 0) | (market.instruments.fee_kind != 0)
    found = np.zeros(pools, np.bool_)
    found[pool[fees[instrument]]] = True
    return found


def _by_orders(batch: Any, market: Market, account: Integers, kind: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return the shared pools of accounts with open orders, where the venue counts orders against them."""
    import numpy as np

    counts = np.diff(batch.column("orders").offsets.to_numpy())
    matter = np.array(market.orders_matter)
    found: NDArray[np.bool_] = (counts[account] > 0) & (kind != ISOLATED) & matter[kind]
    return found


class _Formed(NamedTuple):
    """The pools of a unit, and which legs they have, as the kernel puts them in order; names as in :class:`Pools`."""

    first: Integers
    account: Integers
    kind: NDArray[np.int8]
    asset: Integers
    entry: Integers
    pool: Integers


def _formed(
    offsets: Any, symbol: Integers, isolated: NDArray[np.bool_], basket: NDArray[np.bool_], market: Market
) -> _Formed:
    """Return the pools of positions: those of account ``a`` are ``offsets[a]`` up to ``offsets[a + 1]``."""
    import numpy as np

    from ringfence.fleet import pooling_kernel

    legs = len(symbol)
    room = _Formed(np.empty(legs + 1, np.int64), np.empty(legs, np.int64), np.empty(legs, np.int8),
                   np.empty(legs, np.int64), np.empty(legs, np.int64), np.empty(legs, np.int64))  # fmt: skip
    many = pooling_kernel.form(offsets, symbol, isolated, basket, market.settle, room)
    first, account, kind, asset = room.first[: many + 1], room.account[:many], room.kind[:many], room.asset[:many]
    asset[kind == BASKET] = len(market.assets) - 1
    return _Formed(first.copy(), account.copy(), kind.copy(), asset.copy(), room.entry, room.pool)


def _balances(batch: Any, market: Market, formed: _Formed, margin: Floats) -> Floats:
    """Return each pool's balance; NaN where it is not known, or not one number. ``margin`` by position."""
    import numpy as np

    from ringfence.fleet import pooling_kernel

    lists = batch.column("wallet")
    entries = lists.flatten()
    names = {name: at for at, name in enumerate(market.assets) if name is not None}
    balance = np.empty(len(formed.account))
    pooling_kernel.fill_balances(
        formed, margin, lists.offsets.to_numpy(), _numbers(entries.field("asset"), names),
        nearest_floats(entries.field("balance")), balance,
    )  # fmt: skip
    return balance


__all__ = ["Pools", "nearest_floats", "pools_of"]
