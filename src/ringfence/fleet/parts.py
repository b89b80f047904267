"""What backs a basket, as arrays: one *part* per asset that it holds, owes or settles in.

With ``e`` the part's equity (balance, loans off, and PnL in the asset) and ``h`` its index, an asset counts ::

    h · F(e)    or, where its discount tiers are amounts of the account's currency,    F(h · e)

with ``F`` the lowest of a few lines: ``ask · x`` of a debt, and one line per discount tier. That it is the lowest holds
because an asset never counts for more per unit the more there is of it; whatever does not keep to that is looked at.
A requirement in the asset is charged ``h · charge``: the ask in a basket, the venue's ratio in Binance's portfolio
margin. ``h`` moves with the mark of a symbol, or stays (:mod:`ringfence.fleet.indices`).

A basket whose parts cannot move and whose settlement assets count whole needs no parts: it is one balance. Portfolio
margin by scenarios always has them (:mod:`ringfence.fleet.books`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import DOLLARS, Collateral
from ringfence.errors import BadInput
from ringfence.fleet.accounts import collateral_of, own_terms, slices_of
from ringfence.fleet.numbers_in import floats
from ringfence.fleet.schema import pyarrow
from ringfence.numbers import ONE, exact
from ringfence.portfolio_rules import ComponentTerms, UnifiedTerms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.market import Market

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_MANY = 1 << 22


class Parts(NamedTuple):
    """The parts of a unit's baskets, pool by pool. ``K`` parts; ``P`` pools; ``N`` legs; ``D`` ways to count.

    ==============  ===========  ====================================================================================
    first           P + 1 int64  the parts of pool ``p`` are ``first[p]`` up to ``first[p + 1]``; none in most pools
    leg             N int64      the part that a leg settles in, −1 elsewhere
    cash            K f64        balance in the asset, loans off
    gross           K f64        the sum of the sizes of what it is a sum of
    owed            K f64        requirement of what is owed, in the asset
    at_index        K f64        its index
    follows         K int64      row of :attr:`Market.follow` that it moves with; the last one stays
    ask             K f64        what a unit owed counts, per unit of index
    charge          K f64        what a unit required costs, per unit of index
    way             K int64      how it counts: a row of the lines
    moves_with      K int64      number in :attr:`Market.coins` of what its index moves with, −1 for none
    coin            K int64      number there of the coin that the asset itself is, −1 for none
    constant        D,T f64      each line's value at 0
    slope           D,T f64      each line's slope
    lines           D int64      how many lines there are
    currency        D bool       lines take ``h · e``
    ==============  ===========  ====================================================================================
    """

    first: Integers
    leg: Integers
    cash: Floats
    gross: Floats
    owed: Floats
    at_index: Floats
    follows: Integers
    ask: Floats
    charge: Floats
    way: Integers
    moves_with: Integers
    coin: Integers
    constant: Floats
    slope: Floats
    lines: Integers
    currency: NDArray[np.bool_]


class Found(NamedTuple):
    """The parts, and what they leave of pools: a balance where one is enough, and who is to be looked at.

    ``by_ratio``: pools that are charged a ratio of the maintenance margin, and no closing fee. ``by_scenarios``: pools
    of portfolio margin by scenarios.
    """

    parts: Parts
    balance: Floats
    gross: Floats
    look: NDArray[np.bool_]
    by_ratio: NDArray[np.bool_]
    by_scenarios: NDArray[np.bool_]


class _Ways:
    """The lines by which assets count, each set once."""

    def __init__(self) -> None:
        self.number: dict[tuple[tuple[tuple[float, float], ...], bool], int] = {}

    def of(self, terms: Collateral) -> tuple[int, float]:
        """Return the way of an asset's terms, −1 where its lines are not the lowest of themselves; and its ask."""
        lines, ask = _lines(terms)
        if lines is None:
            return -1, ask
        key = (lines, bool(terms.slices) and terms.unit == "usd")
        return self.number.setdefault(key, len(self.number)), ask

    def arrays(self) -> tuple[Floats, Floats, Integers, NDArray[np.bool_]]:
        """Return constants, slopes, how many, and which take amounts of the currency."""
        import numpy as np

        longest = max((len(lines) for lines, _ in self.number), default=1)
        shape = max(1, len(self.number)), longest
        constant, slope = np.full(shape, np.inf), np.zeros(shape)
        many, currency = np.ones(shape[0], np.int64), np.zeros(shape[0], np.bool_)
        for (lines, usd), at in self.number.items():
            constant[at, : len(lines)], slope[at, : len(lines)] = zip(*lines, strict=True)
            many[at], currency[at] = len(lines), usd
        return constant, slope, many, currency


@exact
def _lines(terms: Collateral) -> tuple[tuple[tuple[float, float], ...] | None, float]:
    """Return (value at 0, slope) of a debt's line and of each tier's, computed exactly; None where slopes ever rise."""
    before = ONE + terms.ask_buffer
    steps = terms.steps()
    if not terms.slices:
        steps = ((steps[0][0], min(steps[0][1], before)),)
    found, at = [(before * 0, before)], before * 0
    for begins, rate in steps:
        if rate > before:
            return None, float(ONE + terms.ask_buffer)
        at += begins * (before - rate)
        found.append((at, rate))
        before = rate
    return tuple((float(constant), float(slope)) for constant, slope in found), float(ONE + terms.ask_buffer)


class _Kind(NamedTuple):
    """How an asset counts: way (−1: the exact lane looks), ask, and the coin that its index moves with."""

    way: int
    ask: float
    coin: str | None


_UNKNOWN = _Kind(-1, 1.0, None)


def parts_of(batch: Any, market: Market, pool_of: Integers, leg_pool: Integers, leg_symbol: Integers) -> Found:
    """Return the parts of a unit's baskets. ``pool_of``: by account, the number of its basket, −1 without one."""
    import numpy as np

    pools = int(pool_of.max(initial=-1)) + 1 if not len(leg_pool) else int(leg_pool.max()) + 1
    balance, gross, look = np.zeros(pools), np.zeros(pools), np.zeros(pools, np.bool_)
    nothing = np.zeros(0)
    if not (pool_of >= 0).any():
        empty = np.zeros(0, np.int64)
        leg = np.full(len(leg_pool), -1)
        return Found(
            Parts(np.zeros(pools + 1, np.int64), leg, nothing, nothing, nothing, nothing, empty, nothing, nothing,
                  empty, empty, empty, np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1, np.int64),
                  np.zeros(1, np.bool_)),
            balance, gross, look, np.zeros(pools, np.bool_), np.zeros(pools, np.bool_),
        )  # fmt: skip
    unified, by_scenarios = _portfolio(batch, market, pool_of, pools, look)
    scenarios = np.append(by_scenarios, [False])  # the last one: of no basket
    in_portfolio = scenarios | (unified >= 0)
    names = {name: at for at, name in enumerate(market.assets[:-1])}
    held = _held(batch, market, pool_of, names, portfolio=in_portfolio, kept=scenarios)
    basket = np.isin(leg_pool, pool_of[pool_of >= 0])
    settled = leg_pool[basket] * _MANY + market.settle[leg_symbol[basket]]
    keys, place = np.unique(np.concatenate([held.keys, settled]), return_inverse=True)
    size = len(keys)
    mine, legs = place[: len(held.keys)], place[len(held.keys) :]
    cash, parts_gross, owed = (np.bincount(mine, weights=part, minlength=size).astype(np.float64)
                               for part in (held.net, held.size, held.owed))  # fmt: skip
    of_pool = keys // _MANY
    settles = np.zeros(size, np.bool_)
    settles[legs] = True
    kinds = _Kinds(market)
    kind, index = _kinds_of(batch, kinds, pool_of, keys, names)
    ways, asks, coins = kinds.arrays()
    way, ask = ways[kind], asks[kind]
    follows = _follows(market, kind, coins, of_pool, unified, leg_pool, leg_symbol, look)
    look[of_pool[(way < 0) | ~np.isfinite(cash) | ~np.isfinite(index)]] = True
    ratio = unified[of_pool]
    numbers = {name: at for at, name in enumerate(market.coins)}
    moves_with = np.array([numbers.get(name or "", -1) for name in coins], np.int64)[kind]
    coin = np.array([numbers.get(name or "", -1) for name in names] or [-1], np.int64)[keys % _MANY]
    parts = Parts(
        np.zeros(0, np.int64), np.full(len(leg_pool), -1), cash, parts_gross,
        np.where(in_portfolio[of_pool], owed, 0.0), index, follows, ask, np.where(ratio >= 0, ratio, ask),
        np.maximum(way, 0), moves_with, coin, *kinds.ways.arrays(),
    )  # fmt: skip
    parts.leg[basket] = legs
    return _reduced(parts, of_pool, settles, (balance, gross, look, unified[:-1] >= 0, by_scenarios), market)


def _reduced(
    parts: Parts, of_pool: Integers, settles: NDArray[np.bool_], pools: tuple[Any, Any, Any, Any, Any], market: Market
) -> Found:
    """Return the parts without those of baskets that one balance stands for."""
    import numpy as np

    balance, gross, look, by_ratio, by_scenarios = pools
    count, size = len(balance), len(of_pool)
    worth = _worth(parts)
    straight = (
        (parts.lines == 2) & (parts.slope[:, :2] == 1).all(axis=1) if parts.slope.shape[1] > 1 else parts.lines < 0
    )
    whole = (parts.at_index == 1) & (parts.ask == 1) & straight[parts.way]
    stays = parts.follows == len(market.follow)
    simple = stays & (whole | ~settles) & ~by_ratio[of_pool] & ~by_scenarios[of_pool]
    split = np.zeros(count, np.bool_)
    split[of_pool[~simple]] = True
    one = ~split[of_pool]
    balance += np.bincount(of_pool[one], weights=worth[one], minlength=count)
    bound = parts.gross * parts.at_index * parts.ask
    gross += np.bincount(of_pool[one], weights=bound[one], minlength=count)
    kept = ~one & ~look[of_pool]
    number = np.cumsum(kept) - 1
    leg = np.where(parts.leg >= 0, np.where(kept[parts.leg], number[parts.leg], -1), -1) if size else parts.leg
    first = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(of_pool[kept], minlength=count), out=first[1:])
    columns = [np.ascontiguousarray(getattr(parts, name)[kept]) for name in Parts._fields[2:12]]
    return Found(Parts._make([first, leg, *columns, *parts[12:]]), balance, gross, look, by_ratio, by_scenarios)


def _worth(parts: Parts) -> Floats:
    """Return what each part counts for without PnL, at its index."""
    import numpy as np

    amount = np.where(parts.currency[parts.way], parts.cash * parts.at_index, parts.cash)
    counted = np.min(parts.constant[parts.way] + parts.slope[parts.way] * amount[:, None], axis=1, initial=np.inf)
    found: Floats = np.where(parts.currency[parts.way], counted, counted * parts.at_index)
    return found


class _Held(NamedTuple):
    keys: Integers
    net: Floats
    size: Floats
    owed: Floats


def _held(
    batch: Any, market: Market, pool_of: Integers, names: dict[str | None, int], *, portfolio: NDArray[np.bool_],
    kept: NDArray[np.bool_],
) -> _Held:  # fmt: skip
    """Return what baskets hold: a key per balance, the balance with loans off, its size, and what is owed at a rate.

    ``kept``: pools of which an empty balance is kept, for the price that it has all the same.
    """
    import numpy as np

    lists = batch.column("wallet")
    entries = lists.flatten()
    owner = np.repeat(np.arange(batch.num_rows), np.diff(lists.offsets.to_numpy()))
    code = _coded(entries.field("asset"), names)
    amount = floats(entries.field("balance"))
    pool = pool_of[owner]
    loan = np.where((pool >= 0) & portfolio[pool], np.nan_to_num(floats(entries.field("loan"))), 0.0)
    net = amount - loan
    chosen = (pool >= 0) & ((net != 0) | (loan != 0) | kept[pool])  # what is not known is not 0
    owed = np.maximum(np.maximum(loan, -net), 0.0)
    terms = None if market.rulebook.portfolio is None else market.rulebook.portfolio.terms
    rate = 0.0
    if isinstance(terms, UnifiedTerms | ComponentTerms):
        rate = float(terms.loan_rate if isinstance(terms, UnifiedTerms) else terms.borrow_rate)
    return _Held(
        (pool * _MANY + code)[chosen], net[chosen], (np.abs(amount) + loan)[chosen], np.nan_to_num(owed[chosen]) * rate
    )


def _coded(column: Any, names: dict[str | None, int]) -> Integers:
    """Return each text's number in ``names``, which grows."""
    import numpy as np

    coded = column.dictionary_encode()
    table = np.array([names.setdefault(text, len(names)) for text in coded.dictionary.to_pylist()] or [0], np.int64)
    found: Integers = table[coded.indices.to_numpy(zero_copy_only=False)]
    return found


def _portfolio(
    batch: Any, market: Market, pool_of: Integers, pools: int, look: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return by pool the ratio that Binance's portfolio margin holds maintenance times, and whether scenarios hold it.

    The ratio is −1 elsewhere. What has no rules of portfolio margin is looked at, and so are Binance's with orders,
    whose losses come off.
    """
    import numpy as np

    pc = pyarrow().compute
    ratio = np.full(pools + 1, -1.0)  # the last one for accounts without a basket
    by_scenarios = np.zeros(pools, np.bool_)
    portfolio = pc.fill_null(pc.equal(batch.column("collateral_mode"), "portfolio"), fill_value=False)
    chosen = portfolio.to_numpy(zero_copy_only=False) & (pool_of >= 0)
    rules = market.rulebook.portfolio
    if rules is None:
        look[pool_of[chosen]] = True
    elif isinstance(rules.terms, UnifiedTerms):
        ratio[pool_of[chosen]] = float(rules.terms.liquidation_ratio)
        orders = np.diff(batch.column("orders").offsets.to_numpy()) > 0
        look[pool_of[chosen & orders]] = True
    else:
        by_scenarios[pool_of[chosen]] = True
    return ratio, by_scenarios


class _Kinds:
    """How assets of baskets count, each kind once: the venue's terms of an asset, or terms of its own."""

    def __init__(self, market: Market) -> None:
        self.ways = _Ways()
        self.found: list[_Kind] = [_UNKNOWN]
        self._market = market
        self._venue: dict[str | None, int] = {}

    def own(self, terms: Collateral) -> int:
        """Return the number of the kind of an account's own terms."""
        way, ask = self.ways.of(terms)
        self.found.append(_Kind(way, ask, terms.moves_with))
        return len(self.found) - 1

    def venue(self, asset: str | None) -> int:
        """Return the number of the kind of the venue's terms; 0 where it has none."""
        if asset not in self._venue:
            self._venue[asset] = self._by_venue(asset)
        return self._venue[asset]

    def _by_venue(self, asset: str | None) -> int:
        if asset is None:
            return 0
        try:
            terms = self._market.rulebook.collateral(asset)
        except BadInput:
            return 0
        if terms is None:
            return self.own(Collateral()) if asset in DOLLARS else 0
        return self.own(terms)

    def arrays(self) -> tuple[Integers, Floats, list[str | None]]:
        """Return way, ask and coin of every kind."""
        import numpy as np

        return (np.array([kind.way for kind in self.found], np.int64), np.array([kind.ask for kind in self.found]),
                [kind.coin for kind in self.found])  # fmt: skip


def _kinds_of(
    batch: Any, kinds: _Kinds, pool_of: Integers, keys: Integers, names: Mapping[str | None, int]
) -> tuple[Integers, Floats]:
    """Return the kind and the index of every part: as its account lists the asset, else as the venue has it."""
    import numpy as np

    lists = batch.column("collateral")
    entries = lists.flatten()
    owner = np.repeat(np.arange(batch.num_rows), np.diff(lists.offsets.to_numpy()))
    assets = list(names)
    bare = np.array([kinds.venue(asset) if asset in DOLLARS else 0 for asset in assets] or [0], np.int64)
    kind, index = bare[keys % _MANY], np.ones(len(keys))
    code = _known(entries.field("asset"), names)
    chosen = np.flatnonzero((pool_of[owner] >= 0) & (code >= 0))
    if not len(chosen):
        return kind, index
    listed = pool_of[owner[chosen]] * _MANY + code[chosen]
    order = np.argsort(listed)
    at = np.searchsorted(listed[order], keys).clip(max=len(listed) - 1)
    there = listed[order][at] == keys
    entry = order[at]
    own_kind = _entry_kinds(batch, entries.take(pyarrow().array(chosen)), owner[chosen], code[chosen], kinds)
    own_index = floats(entries.field("index"))[chosen]
    own_index = np.where(np.isnan(own_index), 1.0, own_index)
    return np.where(there, own_kind[entry], kind), np.where(there, own_index[entry], index)


def _entry_kinds(batch: Any, entries: Any, owner: Integers, code: Integers, kinds: _Kinds) -> Integers:
    """Return the kind of every listed asset. Entries that say the same are read once."""
    import numpy as np

    tiers = batch.column("tiers")
    of_tiers = np.repeat(np.arange(batch.num_rows), np.diff(tiers.offsets.to_numpy()))
    sliced = {row: slices_of({"tiers": tiers[row].as_py()}) for row in np.unique(of_tiers).tolist()}
    numbers: dict[Any, int] = {}
    own = np.zeros(len(code), np.int64)
    if sliced:
        names = entries.field("asset").to_pylist()
        own = np.array([numbers.setdefault(sliced.get(row, {}).get(name, ()), len(numbers))
                        for row, name in zip(owner.tolist(), names, strict=True)], np.int64)  # fmt: skip
    said = code * max(1, len(numbers)) + own
    for name in ("ratio", "bid_buffer", "ask_buffer"):
        said = _joined(said, floats(entries.field(name)))
    said = _joined(said, np.isnan(floats(entries.field("index"))))
    for name in ("tier_unit", "moves_with"):
        said = _joined(said, _known(entries.field(name), _Numbers()))
    _, first, place = np.unique(said, return_index=True, return_inverse=True)
    found = []
    for at in first.tolist():
        entry = entries[at].as_py()
        slices = sliced.get(int(owner[at]), {}).get(entry["asset"], ())
        stated = own_terms(entry, {entry["asset"]: slices} if slices else {})
        found.append(kinds.own(collateral_of(entry, slices)) if stated else kinds.venue(entry["asset"]))
    numbered: Integers = np.array(found, np.int64)[place]
    return numbered


class _Numbers(dict[Any, int]):
    """Numbers texts as they come."""

    def get(self, key: Any, _default: Any = None) -> int:
        return self.setdefault(key, len(self))


def _joined(codes: Integers, values: Any) -> Integers:
    """Return numbers that are equal where both ``codes`` and ``values`` are."""
    import numpy as np

    _, own = np.unique(values, return_inverse=True)
    _, joined = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    found: Integers = joined
    return found


def _known(column: Any, names: Mapping[Any, int]) -> Integers:
    """Return each text's number in ``names``, −1 where it has none."""
    import numpy as np

    coded = column.dictionary_encode("encode")
    table = np.array([names.get(text, -1) for text in coded.dictionary.to_pylist()] or [-1], np.int64)
    found: Integers = table[coded.indices.to_numpy(zero_copy_only=False)]
    return found


def _follows(
    market: Market, kind: Integers, coins: Sequence[str | None], of_pool: Integers, ratio: Floats, leg_pool: Integers,
    leg_symbol: Integers, look: NDArray[np.bool_],
) -> Integers:  # fmt: skip
    """Return the row that each part's index moves with.

    In portfolio margin a coin that positions stand on moves with them; where two contracts of it could lead, the exact
    lane looks.
    """
    import numpy as np

    stays = len(market.follow)
    rows_of = [market.follow.get(market.indices.leader(name) or "", stays) for name in coins]
    found: Integers = np.array(rows_of, np.int64)[kind]
    units = {unit: at for at, unit in enumerate(dict.fromkeys(market.units))}
    unit_of = np.array([units[unit] for unit in market.units] or [0], np.int64)
    in_ratio = ratio[leg_pool] >= 0
    if in_ratio.any():
        keys = leg_pool[in_ratio] * _MANY + unit_of[leg_symbol[in_ratio]]
        distinct, at, place = np.unique(keys, return_index=True, return_inverse=True)
        symbol = leg_symbol[in_ratio]
        first = symbol[at]
        several = np.zeros(len(distinct), np.bool_)
        several[place[symbol != first[place]]] = True
        own = of_pool * _MANY + np.array([units.get(name or "", _MANY - 1) for name in coins], np.int64)[kind]
        where = np.searchsorted(distinct, own).clip(max=len(distinct) - 1)
        led = (distinct[where] == own) & (ratio[of_pool] >= 0)
        rows = np.array([market.follow[name] if name in market.indices.standing else stays for name in market.symbols])
        found[led] = rows[first[where[led]]]
        look[of_pool[led & several[where]]] = True
    return found


__all__ = ["Found", "Parts", "parts_of"]
