"""A tape through a fleet: at every price, whose pool falls.

All pools are packed once (:mod:`ringfence.screen.columns`) and screened at every update of the tape, incrementally or
by a sweep as the screen sees fit (:mod:`ringfence.screen.rings`); whom it names, the exact lane decides. A pool that
has fallen is named once and left out from then on: what its liquidation would do is not played. The fleet is held in
memory while it is watched.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.fleet.judging import ExactPools
from ringfence.fleet.pooling import market_of, pools_of, symbols_of
from ringfence.numbers import ONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.pooling import Market, Pools
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Value
    from ringfence.tape import Walk

    Floats = NDArray[np.float64]


class Fallen(NamedTuple):
    """A pool at the moment it fell to the level watched, in exact figures."""

    at: datetime
    account: str
    pool: str
    asset: str | None
    health: Decimal | None
    balance: Value
    required: Value


class Frame(NamedTuple):
    """All prices of one moment: how many, how many pools the screen named, and how many fell; seconds of the screen."""

    at: datetime
    prices: int
    named: int
    fell: int
    seconds: float


class Watched(NamedTuple):
    """A fleet after a tape. ``exact``: assessments made; ``looks``: pools that the screen cannot hold.

    ``build_seconds``: reading and packing; ``exact_seconds``: deciding.
    """

    level: Decimal
    accounts: int
    pools: int
    positions: int
    frames: tuple[Frame, ...]
    fallen: tuple[Fallen, ...]
    exact: int
    looks: int
    unknown: int
    build_seconds: float
    exact_seconds: float
    assumptions: tuple[str, ...]


class _Held:
    """The whole fleet in memory: units, their pools, and all pools as one set of columns."""

    def __init__(self, fleet: Fleet, market: Market) -> None:
        import numpy as np

        from ringfence.screen.columns import Legs, pack

        self.market = market
        self.batches = [fleet.unit(index) for index in range(fleet.units)]
        self.pools = [pools_of(batch, market) for batch in self.batches]
        self.starts = np.cumsum([0, *(len(found.balance) for found in self.pools)])
        self._lanes: dict[int, ExactPools] = {}
        marks = fleet.terms.marks
        self.prices = np.array([float(marks.get(symbol, "nan")) for symbol in market.symbols])

        def joined(part: Callable[[Pools], Any]) -> Any:
            return np.concatenate([part(found) for found in self.pools])

        legs = np.cumsum([0, *(len(found.symbol) for found in self.pools)])
        first = np.concatenate([found.first[:-1] + base for found, base in zip(self.pools, legs, strict=False)])
        apart = [found.look | (np.diff(found.parts.first) > 0) for found in self.pools]
        balance = np.concatenate([
            np.where(alone, np.nan, found.balance - 1e-14 * found.gross)
            for found, alone in zip(self.pools, apart, strict=True)
        ])  # fmt: skip
        self.columns = pack(
            market.instruments,
            Legs(
                np.append(first, legs[-1]).astype(np.int64),
                balance,
                joined(lambda found: found.instrument),
                joined(lambda found: found.quantity),
                joined(lambda found: found.entry_price),
                joined(lambda found: found.leverage),
            ),
            self.prices,
        )

    def place(self, number: int) -> tuple[int, int]:
        """Return the unit and the number in it of a pool."""
        import numpy as np

        unit = int(np.searchsorted(self.starts, number, side="right")) - 1
        return unit, number - int(self.starts[unit])

    def assess(self, number: int, marks: Mapping[str, Price]) -> Assessment | None:
        """Return the assessment of a pool; None where there is none, as for want of a mark."""
        unit, inside = self.place(number)
        lane = self._lanes.get(unit)
        if lane is None:
            lane = self._lanes[unit] = ExactPools(self.batches[unit], self.market)
        return lane.assess(self.pools[unit], inside, marks)

    def account(self, number: int) -> str:
        """Return the name of a pool's account."""
        unit, inside = self.place(number)
        name: str = self.batches[unit].column("account")[int(self.pools[unit].account[inside])].as_py()
        return name


def watch(
    fleet: Fleet,
    walk: Walk,
    *,
    level: Decimal = ONE,
    progress: Callable[[int], None] | None = None,
) -> Watched:
    """Take a fleet through the ticks of a tape and return who fell to ``level`` of health (1: liquidation), and when.

    Symbols that the tape has not, and those whose prices it stops, stay at their last marks. ``progress`` is told the
    ticks done. Raises BadConfiguration where the tape has no symbol of the fleet, or the fleet lacks marks.
    """
    started = perf_counter()
    named = tuple(walk.tape.symbols)
    market = market_of(fleet.terms.rulebook(), symbols_of(fleet), fleet.terms, named=named)
    shared = [symbol for symbol in walk.tape.symbols if symbol in market.symbols]
    if not shared:
        raise BadConfiguration(
            "the tape has no symbol of the fleet", where="--tape", expected=f"one of {', '.join(market.symbols[:5])} …",
            found=", ".join(walk.tape.symbols), hint="choose another tape",
        )  # fmt: skip
    held = _Held(fleet, market)
    run = _Run(held, dict(fleet.terms.marks), level)
    built = perf_counter() - started
    ticks = 0
    for at, prices in _frames(walk, {symbol: market.symbols.index(symbol) for symbol in shared}):
        ticks += len(prices)
        run.frame(at, prices)
        if progress is not None:
            progress(ticks)
    notes = [str(walk), "who has fallen is left out from then on; its liquidation is not played"]
    rest = len(market.symbols) - len(shared)
    if rest:
        notes.append(f"{rest} symbols that the tape lacks stay at the fleet's marks")
    return Watched(
        level, len(fleet), len(held.columns.place), int(held.columns.legs), tuple(run.frames), tuple(run.fallen),
        run.exact, len(held.columns.looks), len(run.unknown), built, run.exact_seconds, (*notes, *fleet.terms.notes),
    )  # fmt: skip


def _frames(walk: Walk, known: Mapping[str, int]) -> Iterator[tuple[datetime, list[tuple[str, Price]]]]:
    """Yield the prices of each moment."""
    prices: list[tuple[str, Price]] = []
    last = None
    for tick in walk:
        if last is not None and tick.micros != last.micros and prices:
            yield last.ts, prices
            prices = []
        last = tick
        if tick.price is not None and tick.symbol in known:
            prices.append((tick.symbol, tick.price))
    if last is not None and prices:
        yield last.ts, prices


class _Run:
    """A watch under way."""

    def __init__(self, held: _Held, marks: dict[str, Price], level: Decimal) -> None:
        from ringfence.screen.rings import Incremental
        from ringfence.screen.sweep import Sweep

        self.held, self.marks, self.level = held, marks, level
        self.frames: list[Frame] = []
        self.fallen: list[Fallen] = []
        self.unknown: set[int] = set()
        self.exact = 0
        self.exact_seconds = 0.0
        self._number = {symbol: at for at, symbol in enumerate(held.market.symbols)}
        self._prices = held.prices.copy()
        self._screen = Incremental(Sweep(held.columns, (float(level),)))

    def frame(self, at: datetime, prices: list[tuple[str, Price]]) -> None:
        """Screen the fleet at the prices of a moment, decide whom it names, and leave out who fell."""
        import numpy as np

        for symbol, price in prices:
            self.marks[symbol] = price
            self._prices[self._number[symbol]] = float(price)
        started = perf_counter()
        named = self._screen.look(self._prices)
        seconds = perf_counter() - started
        fell = [number for number in sorted(named.tolist()) if self._falls(number, at)]
        if fell:
            self._screen.take_out(np.array(fell))
        self.exact_seconds += perf_counter() - started - seconds
        self.frames.append(Frame(at, len(prices), len(named), len(fell), seconds))

    def _falls(self, number: int, at: datetime) -> bool:
        self.exact += 1
        answer = self.held.assess(number, self.marks)
        balance = None if answer is None else answer.balance_held_against
        required = None if answer is None else answer.liquidation_requirement
        if answer is None or balance is None or required is None:
            self.unknown.add(number)
            return False
        if not (answer.liquidatable if self.level == ONE else answer.reached(self.level)):
            return False
        account = self.held.account(number)
        self.fallen.append(Fallen(at, account, answer.pool.name, answer.asset, answer.health, balance, required))
        return True


__all__ = ["Fallen", "Frame", "Watched", "watch"]
