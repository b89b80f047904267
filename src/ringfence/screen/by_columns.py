"""A host's screen over compiled columns: nearly everybody in columns, who changes or comes near in exact bands.

Whoever has no orders, was not called and is not being liquidated stands in packed columns
(:mod:`ringfence.screen.columns`), and all of them are looked through at once, at the highest level of health at which
anything can happen. Who is found, who trades or is otherwise changed, and who does not fit into columns, is taken out
and has exact bands (:class:`~ringfence.screen.by_bands.BandScreen`) from then on. So the columns are of those who do
nothing, which in a large book are nearly all, and order flow never waits for packing.

**Never safe where the exact lane would act.** What looks names every pool whose health is at or below the level, error
bound included. It looks at the marks as they will be if all of an update is believed; where that is not sure, everybody
is a suspect. Whoever it names is dealt with as a trader whose band has ended.

Needs the extra ``fleet`` (numba, NumPy). One screen belongs to one state.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from ringfence.engine.prices import all_believed
from ringfence.errors import BadInput
from ringfence.screen.by_bands import MANY, NOBODY, BandScreen
from ringfence.screen.compiled import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.account import Pool
    from ringfence.engine.commands import UpdatePrices
    from ringfence.engine.state import State
    from ringfence.engine.trader import Trader
    from ringfence.numbers import Price
    from ringfence.screen.by_bands import Placed
    from ringfence.screen.columns import Columns


class Looker(Protocol):
    """Finds the pools at or below the level it was made for: a sweep, or rings."""

    def look(self, prices: NDArray[np.float64], /) -> NDArray[np.uint32]:
        """Return the numbers of the pools to look at."""
        ...

    def take_out(self, pools: NDArray[Any], /) -> object:
        """Leave pools out from now on."""
        ...


class ColumnScreen(BandScreen):
    """Says who has to be looked at when prices change, most of them by one sweep of compiled columns.

    ``looker``: makes what looks from columns and a level; :func:`by_rings`, which sweeps when a crash makes that
    cheaper, or :func:`by_sweep` at every price. ``packed``: how many traders stand in the columns now.
    """

    def __init__(self, *, many: int = MANY, looker: Callable[[Columns, float], Looker] | None = None) -> None:
        require()
        super().__init__(many=many)
        self._make = by_rings if looker is None else looker
        self._looker: Looker | None = None
        self._owner: list[str] = []  # of each pool in the columns
        self._numbers: dict[str, list[int]] = {}  # of each trader in the columns: its pools
        self._symbols: dict[str, int] = {}
        self._prices: Any = None

    @property
    def packed(self) -> int:
        """How many traders stand in the columns now."""
        return len(self._numbers)

    def _reached(self, state: State, moved: Mapping[str, Price], command: UpdatePrices) -> dict[str, None] | None:
        hits = super()._reached(state, moved, command)
        if hits is None or self._looker is None or not self._numbers:
            return hits
        if not all_believed(state, command):
            return None
        for symbol, place in self._symbols.items():
            price = moved.get(symbol, state.marks.get(symbol))
            self._prices[place] = math.nan if price is None else float(price)
        for number in self._looker.look(self._prices):
            name = self._owner[number]
            if name in self._numbers:
                hits[name] = None
        return hits

    def _begin(self, state: State) -> dict[str, None]:
        """Pack whoever can be, and return the others."""
        for edges in self._edges.values():
            edges.clear()
        self._placed.clear()
        self._numbers.clear()
        self._owner = []
        held: list[Pool] = []
        for name, trader in state.traders.items():
            pools = [] if name in NOBODY else _packable(state, trader)
            if pools:
                self._numbers[name] = list(range(len(held), len(held) + len(pools)))
                self._owner += [name] * len(pools)
                held += pools
        self._pack(state, held)
        return {name: None for name in state.traders if name not in self._numbers}

    def _pack(self, state: State, held: list[Pool]) -> None:
        import numpy as np

        from ringfence.screen.columns import pack_pools
        from ringfence.screen.instruments import instruments

        self._looker = None
        symbols = list(dict.fromkeys(position.symbol for pool in held for position in pool.positions))
        self._symbols = {symbol: place for place, symbol in enumerate(symbols)}
        self._prices = np.full(len(symbols), math.nan)
        if not held:
            return
        levels = state.rulebook.levels
        level = math.nextafter(max(1.0, float(levels.margin_call), float(levels.warning)), math.inf)
        columns = pack_pools(instruments(state.rulebook, symbols), held, state.marks, state.rulebook)
        self._looker = self._make(columns, level)

    def _place(self, state: State, name: str, marks: Mapping[str, Price]) -> Placed | None:
        """Give a trader bands, and take it out of the columns."""
        numbers = self._numbers.pop(name, None)
        if numbers is not None and self._looker is not None:
            import numpy as np

            self._looker.take_out(np.array(numbers, np.uint32))
        return super()._place(state, name, marks)


def by_sweep(columns: Columns, level: float) -> Looker:
    """Return what looks through all columns at every price."""
    from ringfence.screen.sweep import Sweep

    return Sweep(columns, levels=(level,))


def by_rings(columns: Columns, level: float) -> Looker:
    """Return what looks through those whose band a price ends (:mod:`ringfence.screen.rings`)."""
    from ringfence.screen.rings import Incremental
    from ringfence.screen.sweep import Sweep

    return Incremental(Sweep(columns, levels=(level,)))


def _packable(state: State, trader: Trader) -> list[Pool]:
    """Return a trader's pools with positions, or nothing where it has to have exact bands."""
    if not trader.held or trader.levels or trader.liquidating or trader.orders or trader.name in state.baskets:
        return []
    if any(symbol not in state.marks for symbol, _ in trader.held):
        return []
    found = []
    for pool in state.pools(trader.name):
        if pool.positions:
            found.append(pool)
        elif pool.orders or any(balance is None or balance < 0 for balance in pool.balances.values()):
            return []
    try:
        for position in (position for pool in found for position in pool.positions):
            state.rulebook.entry(position.symbol)
    except BadInput:
        return []
    return found


__all__ = ["ColumnScreen", "Looker", "by_rings", "by_sweep"]
