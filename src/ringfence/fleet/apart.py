"""Pools that do not fit into columns, on a tape: each looked at again only when a price of its own leaves its band.

Baskets of several parts, and portfolio margin by scenarios of perpetuals and futures, are valued by compiled code,
which also says how far prices may move before they can reach the level (:mod:`ringfence.fleet.apart_kernel`,
:mod:`ringfence.fleet.book_kernel`). All others are assessed by the exact lane, which gives them bands where their rules
are linear inside a tier (:class:`ringfence.screen.bands.PoolBands`); where they are not, as with options in portfolio
margin, they are assessed again whenever a price of theirs moves, and at no other.

A pool whose state is not known, as for want of a mark or a rate, is assessed again only when what it lacks may have
come in: a mark of that symbol, or a price at which another tier of its table holds.

A pool's prices are those of its positions, and those that its index prices follow. Bands end at floats rounded so that
a price strictly inside them is strictly inside the exact ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ringfence.errors import BadInput
from ringfence.fleet.books import books_of
from ringfence.fleet.judging import ExactPools, prepared, tiers_of
from ringfence.fleet.market import BASKET
from ringfence.screen.bands import PoolBands, tier_band

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.books import Books
    from ringfence.fleet.market import Market
    from ringfence.fleet.pooling import Pools
    from ringfence.margin.assessment import Assessment
    from ringfence.screen.bands import Band

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_INWARD = 1e-12  # relative: what a band is made narrower by


class Apart:
    """The pools of some units that stand apart. A pool is told by its number, counted through all units.

    ``baskets`` of them, books among them, are valued by compiled code, ``exact`` by the exact lane alone, which also
    has those that lack a mark (``unmarked``, by unit and pool) until it comes in.
    """

    def __init__(
        self,
        lanes: Sequence[ExactPools],
        pools: Sequence[Pools],
        starts: Integers,
        market: Market,
        level: Decimal,
        unmarked: Sequence[NDArray[np.bool_]],
    ) -> None:
        import numpy as np

        self._market, self._level = market, level
        self._pools, self._starts = pools, starts
        self._books = [books_of(lane.batch, found, market) for lane, found in zip(lanes, pools, strict=True)]
        self._book = np.full(int(starts[-1]), -1)  # which of its unit's books a pool is
        self._fits = np.zeros(int(starts[-1]), np.bool_)  # compiled code can value it, once it has all its marks
        compiled, exact = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        pairs: list[tuple[Integers, Integers]] = []
        for unit, found in enumerate(pools):
            books, begin = self._books[unit], int(starts[unit])
            self._book[books.pool + begin] = np.arange(len(books.pool))
            mine = self._book[begin : begin + len(found.look)] >= 0
            fits = (np.diff(found.parts.first) > 0) & (mine | ~found.look)
            self._fits[begin : begin + len(fits)] = fits
            parted = np.flatnonzero(fits & ~unmarked[unit])
            looked = np.flatnonzero((found.look & ~mine) | unmarked[unit])
            compiled.append(parted + begin)
            exact.append(looked + begin)
            pairs += [_pairs(found, parted, begin, len(market.follow)),
                      self._exact_pairs(lanes[unit], found, looked, begin)]  # fmt: skip
        self._compiled = np.concatenate(compiled)
        self._exact = np.concatenate(exact)
        self._is_compiled = np.zeros(int(starts[-1]), np.bool_)
        self._is_compiled[self._compiled] = True
        self._gone = np.zeros(int(starts[-1]), np.bool_)
        self._finders: dict[int, PoolBands] = {}
        self._prepared: dict[int, Any] = {}
        self._stand(pairs)
        self._new = True

    @property
    def baskets(self) -> int:
        """How many are valued by compiled code."""
        return len(self._compiled)

    @property
    def exact(self) -> int:
        """How many are assessed by the exact lane alone."""
        return len(self._exact)

    def _exact_pairs(self, lane: ExactPools, found: Pools, looked: Integers, start: int) -> tuple[Integers, Integers]:
        """Return (pool, row of the price) for what the exact lane looks at: positions, and what indices follow."""
        import numpy as np

        legs = np.flatnonzero(np.isin(_owner(found), looked))
        numbers, rows = [_owner(found)[legs] + start], [found.symbol[legs]]
        for number in looked[found.kind[looked] == BASKET].tolist():
            try:
                collateral = lane.pool(found, number).collateral
            except BadInput:
                continue
            leaders = {self._market.indices.leader(terms.moves_with) for terms in collateral.values()}
            followed = [self._market.follow[leader] for leader in leaders if leader is not None]
            numbers.append(np.full(len(followed), number + start))
            rows.append(np.array(followed, np.int64))
        return np.concatenate(numbers), np.concatenate(rows)

    def _stand(self, pairs: list[tuple[Integers, Integers]]) -> None:
        """Sort who depends on which price, by price, and find each pool's own."""
        import numpy as np

        pool = np.concatenate([one for one, _ in pairs]) if pairs else np.zeros(0, np.int64)
        row = np.concatenate([one for _, one in pairs]) if pairs else np.zeros(0, np.int64)
        many = len(self._market.follow) + 1
        keys = np.unique(row * len(self._gone) + pool) if len(pool) else np.zeros(0, np.int64)
        self._pool, self._row = keys % max(1, len(self._gone)), keys // max(1, len(self._gone))
        self._begin = np.searchsorted(self._row, np.arange(many + 1))
        self._low, self._high = np.full(len(keys), np.inf), np.full(len(keys), -np.inf)  # empty: always outside
        self._order = np.argsort(self._pool, kind="stable")
        self._own = np.searchsorted(self._pool[self._order], np.arange(len(self._gone) + 1))
        # The innermost ends of each price: strictly between them nobody has left a band.
        self._inner = np.full((2, many), np.inf)
        self._inner[1] = -np.inf

    def due(self, moved: Iterable[int], prices: Floats, values: Floats, moves: Floats) -> list[int]:
        """Return the pools that the exact lane has to look at, after the prices in the rows ``moved`` have changed.

        ``prices`` by row; ``values`` of one contract by symbol; ``moves`` of an index by row, the last one 1.
        """
        import numpy as np

        if self._new:
            self._new = False
            left = np.concatenate([self._compiled, self._exact])
        else:
            hits = []
            for row in moved:
                price = prices[row]
                if self._inner[0, row] < price < self._inner[1, row]:
                    continue
                part = slice(self._begin[row], self._begin[row + 1])
                outside = (price <= self._low[part]) | (price >= self._high[part])
                hits.append(self._pool[part][outside])
            if not hits:
                return []
            left = np.unique(np.concatenate(hits))
        left = left[~self._gone[left]]
        chosen = self._is_compiled[left]
        asked: list[int] = left[~chosen].tolist()
        if chosen.any():
            asked += self._settled(left[chosen], prices, values, moves)
        return asked

    def _settled(self, numbers: Integers, prices: Floats, values: Floats, moves: Floats) -> list[int]:
        """Value baskets, give bands to those that are above the level, and return the others."""
        import numpy as np

        from ringfence.fleet import apart_kernel

        unit = np.searchsorted(self._starts, numbers, side="right") - 1
        reach = np.empty(len(numbers))
        inverse = self._market.instruments.inverse[self._market.number[1]]
        for one in np.unique(unit).tolist():
            mine = unit == one
            books = self._book[numbers[mine]]
            own = np.empty(len(books))
            baskets = np.empty(int((books < 0).sum()))
            if len(baskets):
                apart_kernel.settle(
                    numbers[mine][books < 0] - self._starts[one], self._ready(one), tiers_of(self._market), inverse,
                    values, moves, float(self._level), baskets,
                )  # fmt: skip
            own[books < 0] = baskets
            own[books >= 0] = self._settled_books(self._books[one], books[books >= 0], prices, moves)
            reach[mine] = own
        counts = self._own[numbers + 1] - self._own[numbers]
        at = self._order[np.concatenate([np.zeros(0, np.int64), *(
            np.arange(self._own[number], self._own[number + 1]) for number in numbers.tolist()
        )])]  # fmt: skip
        wide = np.repeat(reach, counts)
        price = prices[self._row[at]]
        safe = wide > 0
        self._low[at] = np.where(safe, price * (1.0 - wide) * (1.0 + _INWARD), np.inf)
        self._high[at] = np.where(safe, price * (1.0 + wide) * (1.0 - _INWARD), -np.inf)
        self._renew(np.unique(self._row[at]))
        found: list[int] = numbers[reach <= 0].tolist()
        return found

    def _settled_books(self, books: Books, chosen: Integers, prices: Floats, moves: Floats) -> Floats:
        """Return the reach of some books of a unit."""
        import numpy as np

        reach, models = np.empty(len(chosen)), self._market.models
        if models is not None and len(chosen):
            from ringfence.fleet import book_kernel

            own = prices[: len(models.standing)]
            book_kernel.settle(chosen, books, models, own, own / models.standing, moves, float(self._level), reach)
        return reach

    def _ready(self, unit: int) -> Any:
        if unit not in self._prepared:
            import numpy as np

            missing = np.zeros(len(self._market.symbols), np.bool_)
            self._prepared[unit] = prepared(self._pools[unit], self._market, missing=missing)
        return self._prepared[unit]

    def place(self, number: int, answer: Assessment) -> None:
        """Give a pool that the exact lane has found above the level its bands; a basket waits for its next price."""
        if self._is_compiled[number]:
            return
        if self._fits[number]:  # it lacked a mark until now
            self._is_compiled[number] = True
            own = self._order[self._own[number] : self._own[number + 1]]
            self._low[own], self._high[own] = math.inf, -math.inf
            self._renew(self._row[own].tolist())
            return
        finder = self._finders.setdefault(number, PoolBands())
        bands = finder.around(answer, above=(self._level,))
        rows = []
        for at in self._order[self._own[number] : self._own[number + 1]].tolist():
            row = int(self._row[at])
            band = bands.get(self._market.symbols[row]) if row < len(self._market.symbols) else None
            self._low[at], self._high[at] = (
                (math.inf, -math.inf) if band is None else (float(band.low), float(band.high))
            )
            rows.append(row)
        self._renew(rows)

    def wait(self, number: int, answer: Assessment | None, prices: Floats) -> None:
        """Leave a pool whose state is not known alone until a price comes that may change that.

        ``answer``: its assessment, None where there is none; ``prices`` by row, NaN where there is no mark.
        """
        import numpy as np

        own = self._order[self._own[number] : self._own[number + 1]]
        symbols = self._row[own] < len(self._market.symbols)
        lacks = symbols & np.isnan(prices[self._row[own]])
        if lacks.any():
            self._low[own], self._high[own] = np.where(lacks, math.inf, -math.inf), np.where(lacks, -math.inf, math.inf)
        else:
            bands = None if answer is None else unknown_within(answer)
            if bands is None:
                return
            for at in own.tolist():
                row = int(self._row[at])
                band = bands.get(self._market.symbols[row]) if row < len(self._market.symbols) else None
                low, high = (-math.inf, math.inf) if band is None else (float(band.low), float(band.high))
                self._low[at], self._high[at] = low, high
        self._renew(self._row[own].tolist())

    def take_out(self, numbers: Sequence[int]) -> None:
        """Leave pools out from now on."""
        for number in numbers:
            self._gone[number] = True
            at = self._order[self._own[number] : self._own[number + 1]]
            self._low[at], self._high[at] = -math.inf, math.inf
            self._renew(self._row[at].tolist())

    def _renew(self, rows: Iterable[Any]) -> None:
        """Find the innermost ends of some prices anew."""
        for row in rows:
            part = slice(self._begin[row], self._begin[row + 1])
            self._inner[0, row] = self._low[part].max(initial=-math.inf)
            self._inner[1, row] = self._high[part].min(initial=math.inf)


def unknown_within(answer: Assessment) -> dict[str, Band] | None:
    """Return the prices between which an assessment without a state stays without one; None where that is not known.

    A symbol that is not among them may go anywhere. A balance that is not known stays so at every price, as does the
    requirement of a leg without a table; that of a leg whose tier has no rate does until another tier holds.
    """
    if any(balance is None for balance in answer.pool.balances.values()):
        return {}
    for line in answer.lines:
        charge = line.charge
        if line.liquidation_requirement is not None or charge.flat_rate is not None:
            continue
        if charge.table is None:
            return {}
        tier = line.tier
        if tier is None or charge.table.tiers[tier].maintenance_rate is not None or not charge.tier_slope:
            continue
        return {
            line.position.symbol: tier_band(line.contract, charge.table, tier, charge.tier_slope, charge.tier_offset)
        }
    return None


def _owner(found: Pools) -> Integers:
    import numpy as np

    owner: Integers = np.repeat(np.arange(len(found.first) - 1), np.diff(found.first))
    return owner


def _pairs(found: Pools, parted: Integers, start: int, stays: int) -> tuple[Integers, Integers]:
    """Return (pool, row of the price) of baskets of parts."""
    import numpy as np

    legs = np.flatnonzero(np.isin(_owner(found), parted))
    holder = np.repeat(np.arange(len(found.parts.first) - 1), np.diff(found.parts.first))
    follow = (found.parts.follows < stays) & np.isin(holder, parted)
    return (
        np.concatenate([_owner(found)[legs], holder[follow]]) + start,
        np.concatenate([found.symbol[legs], found.parts.follows[follow]]),
    )


__all__ = ["Apart", "unknown_within"]
