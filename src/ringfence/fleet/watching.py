"""A tape through a fleet: at every price, whose pool falls.

Units are watched some at a time, each lot through the whole tape: its pools are packed once
(:mod:`ringfence.screen.columns`) and screened at every update, incrementally or by a sweep as the screen sees fit
(:mod:`ringfence.screen.rings`); what does not fit into columns has bands of its own (:mod:`ringfence.fleet.apart`).
Whom they name the exact lane decides. Lots are put together moment by moment, so that the result is the same whoever
watched which: threads of this process, or workers of a Ray cluster, also when one of them dies on the way.

**A pool that has fallen is named once,** at the moment it fell, and is off the book from then on. What its liquidation
would do, to it and to others, is not played; the account's other pools stay.
"""

from __future__ import annotations

from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.fleet.apart import Apart
from ringfence.fleet.in_turn import in_turn
from ringfence.fleet.judging import ExactPools
from ringfence.fleet.pooling import market_of, pools_of, symbols_of
from ringfence.numbers import ONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.schema import Terms
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Value
    from ringfence.tape import Walk

    Floats = NDArray[np.float64]
    Moments = Sequence[tuple[datetime, Sequence[tuple[str, Price]]]]

AT_ONCE = 8  #: units of a fleet that are watched together
_TOLD = 64  # moments between two words of progress
OFF_THE_BOOK = (
    "a pool that falls is named once and is off the book from then on: its liquidation, and what that would do to "
    "others, is not played; the account's other pools stay"
)


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
    """A fleet after a tape. ``exact``: assessments made.

    ``baskets`` and ``looks``: pools that columns cannot hold, and that compiled code or the exact lane alone values
    when a price of theirs leaves its band. ``build_seconds``: reading and packing; ``exact_seconds``: deciding.
    """

    level: Decimal
    accounts: int
    pools: int
    positions: int
    frames: tuple[Frame, ...]
    fallen: tuple[Fallen, ...]
    exact: int
    baskets: int
    looks: int
    unknown: int
    build_seconds: float
    exact_seconds: float
    assumptions: tuple[str, ...]


class LotWatched(NamedTuple):
    """What one lot of units adds: counts; by moment how many were named, how many fell, and seconds; who fell when."""

    counts: tuple[int, int, int, int, int, int, int]
    named: tuple[int, ...]
    fell: tuple[int, ...]
    seconds: tuple[float, ...]
    fallen: tuple[tuple[int, Fallen], ...]
    build_seconds: float
    exact_seconds: float


class WatchPlan:
    """What every lot of units is watched with: market, moments of the tape, level. Handed to every worker."""

    def __init__(self, fleet: Fleet, moments: Moments, level: Decimal, named: Sequence[str], at_once: int) -> None:
        self.progress: Callable[[int], None] | None = None
        self._make(fleet.terms, symbols_of(fleet), moments, level, tuple(named), at_once)

    def _make(
        self, terms: Terms, symbols: Sequence[str], moments: Moments, level: Decimal, named: tuple[str, ...],
        at_once: int,
    ) -> None:  # fmt: skip
        self.terms, self.moments, self.level, self.named, self.at_once = terms, moments, level, named, at_once
        self.market = market_of(terms.rulebook(), symbols, terms, named=named)

    def __getstate__(self) -> tuple[Any, ...]:
        """Go to another process as what it is made of: a rulebook reads files, which are there as well."""
        return self.terms, self.market.symbols, self.moments, self.level, self.named, self.at_once

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.progress = None
        self._make(*state)

    def unit(self, batches: Any) -> LotWatched:
        """Take some units through the tape."""
        run = _Run(self, batches if isinstance(batches, list) else [batches])
        told = 0
        for number, (at, prices) in enumerate(self.moments):
            run.frame(at, prices)
            told += len(prices)
            if self.progress is not None and number % _TOLD == _TOLD - 1:
                self.progress(told)
                told = 0
        if self.progress is not None:
            self.progress(told)
        return run.result()


def watch(
    fleet: Fleet,
    walk: Walk,
    *,
    level: Decimal = ONE,
    progress: Callable[[int], None] | None = None,
    lots: Callable[[WatchPlan], Iterable[LotWatched]] | None = None,
    at_once: int = AT_ONCE,
) -> Watched:
    """Take a fleet through the ticks of a tape and return who fell to ``level`` of health (1: liquidation), and when.

    Symbols that the tape has not, and those whose prices it stops, stay at their last marks. ``at_once``: units that
    are watched together. ``progress`` is told the prices done, once per lot of units each. ``lots``: who watches them
    instead, in their order (Ray). Raises BadConfiguration where the tape moves nothing of the fleet.
    """
    plan = WatchPlan(fleet, (), level, walk.tape.symbols, max(1, at_once))
    shared = [symbol for symbol in walk.tape.symbols if symbol in plan.market.follow]
    if not shared:
        raise BadConfiguration(
            "the tape has no symbol of the fleet", where="--tape",
            expected=f"one of {', '.join(plan.market.symbols[:5])} …", found=", ".join(walk.tape.symbols),
            hint="choose another tape, or another fleet",
        )  # fmt: skip
    plan.moments = tuple(_moments(walk, frozenset(shared)))
    ticks = sum(len(prices) for _, prices in plan.moments)
    told = _Told(progress)
    plan.progress = told.more if lots is None and progress is not None else None
    found: list[LotWatched] = []
    for lot in in_turn(fleet, plan) if lots is None else lots(plan):
        found.append(lot)
        if lots is not None and progress is not None:
            told.more(ticks)
    notes = [str(walk), OFF_THE_BOOK]
    rest = sum(symbol not in shared for symbol in plan.market.symbols)
    if rest:
        notes.append(f"{rest} symbols that the tape lacks stay at the fleet's marks")
    return _together(plan, found, (*notes, *fleet.terms.notes))


def _together(plan: WatchPlan, found: Sequence[LotWatched], notes: tuple[str, ...]) -> Watched:
    """Return the lots put together, moment by moment, in their order."""
    frames = []
    for number, (at, prices) in enumerate(plan.moments):
        named, fell = sum(lot.named[number] for lot in found), sum(lot.fell[number] for lot in found)
        frames.append(Frame(at, len(prices), named, fell, sum(lot.seconds[number] for lot in found)))
    fallen = sorted((pair for lot in found for pair in lot.fallen), key=lambda pair: pair[0])  # stable: lots in order
    accounts, pools, positions, exact, baskets, looks, unknown = (
        sum(count) for count in zip(*(lot.counts for lot in found), strict=True)
    )
    return Watched(
        plan.level, accounts, pools, positions, tuple(frames), tuple(one for _, one in fallen), exact, baskets, looks,
        unknown, sum(lot.build_seconds for lot in found), sum(lot.exact_seconds for lot in found), notes,
    )  # fmt: skip


class _Told:
    """Adds up what lots watched side by side have done."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self._progress, self._done, self._lock = progress, 0, Lock()

    def more(self, ticks: int) -> None:
        with self._lock:
            self._done += ticks
            if self._progress is not None:
                self._progress(self._done)


def _moments(walk: Walk, known: frozenset[str]) -> Iterator[tuple[datetime, tuple[tuple[str, Price], ...]]]:
    """Yield the prices of each moment."""
    prices: list[tuple[str, Price]] = []
    last = None
    for tick in walk:
        if last is not None and tick.micros != last.micros and prices:
            yield last.ts, tuple(prices)
            prices = []
        last = tick
        if tick.price is not None and tick.symbol in known:
            prices.append((tick.symbol, tick.price))
    if last is not None and prices:
        yield last.ts, tuple(prices)


class _Run:
    """Some units on their way through a tape: pools in columns, pools apart, and who has fallen."""

    def __init__(self, plan: WatchPlan, batches: Sequence[Any]) -> None:
        import numpy as np

        started = perf_counter()
        self.level, self.market = plan.level, plan.market
        self.marks: dict[str, Price] = dict(plan.terms.marks)
        self.batches = batches
        self.pools = [pools_of(batch, plan.market) for batch in batches]
        self.starts = np.cumsum([0, *(len(found.balance) for found in self.pools)])
        self._lanes = [ExactPools(batch, plan.market) for batch in batches]
        rows = list(plan.market.follow)
        self._prices = np.array([float(self.marks.get(symbol, "nan")) for symbol in rows])
        self._before = np.array([float(plan.market.indices.standing.get(symbol, "nan")) for symbol in rows])
        self._apart = Apart(self._lanes, self.pools, self.starts, plan.market, plan.level)
        self._screen = self._columns()
        self._values()
        self.named: list[int] = []
        self.fell: list[int] = []
        self.seconds: list[float] = []
        self.fallen: list[tuple[int, Fallen]] = []
        self.unknown: set[int] = set()
        self.exact = 0
        self.exact_seconds = 0.0
        self.build_seconds = perf_counter() - started

    def _columns(self) -> Any:
        """Pack what columns can hold, and return what screens it."""
        import numpy as np

        from ringfence.screen.columns import Legs, pack
        from ringfence.screen.rings import Incremental
        from ringfence.screen.sweep import Sweep

        apart = np.concatenate([found.look | (np.diff(found.parts.first) > 0) for found in self.pools])
        legs = np.cumsum([0, *(len(found.symbol) for found in self.pools)])
        first = np.concatenate([found.first[:-1] + base for found, base in zip(self.pools, legs, strict=False)])
        part = {
            name: np.concatenate([getattr(found, name) for found in self.pools])
            for name in ("balance", "gross", "instrument", "quantity", "entry_price", "leverage")
        }
        balance = np.where(apart, np.nan, part["balance"] - 1e-14 * part["gross"])
        held = Legs(
            np.append(first, legs[-1]).astype(np.int64), balance, part["instrument"], part["quantity"],
            part["entry_price"], part["leverage"],
        )  # fmt: skip
        columns = pack(self.market.instruments, held, self._prices[: len(self.market.symbols)])
        # Who stands apart has bands; what else does not fit is looked at at every price.
        columns.looks = np.array([number for number in columns.looks.tolist() if not apart[number]], np.uint32)
        self._stuck = len(columns.looks)
        self._pools, self._positions = len(columns.place), int(legs[-1])
        return Incremental(Sweep(columns, (float(self.level),)))

    def _values(self) -> None:
        """Compute contract values and moves of indices from the prices."""
        import numpy as np

        of, one = self.market.instruments, self.market.number[1]
        price = self._prices[: len(self.market.symbols)]
        self._value = np.where(of.inverse[one], of.size[one] / price, of.size[one] * price)
        moved = self._prices / self._before
        self._moves = np.append(np.where(np.isnan(moved), 1.0, moved), 1.0)

    def frame(self, at: datetime, prices: Sequence[tuple[str, Price]]) -> None:
        """Screen at the prices of a moment, decide whom it names, and leave out who fell."""
        import numpy as np

        started = perf_counter()
        follow, symbols = self.market.follow, len(self.market.symbols)
        for symbol, price in prices:
            self.marks[symbol] = price
            self._prices[follow[symbol]] = float(price)
        apart: list[int] = []
        if self._apart.baskets or self._apart.exact:
            self._values()
            rows = dict.fromkeys(follow[symbol] for symbol, _ in prices)
            apart = self._apart.due(rows, self._prices, self._value, self._moves)
        named = sorted([*self._screen.look(self._prices[:symbols]).tolist(), *apart])
        seconds = perf_counter() - started
        standing = set(apart)
        fell = [number for number in named if self._falls(number, at, apart=number in standing)]
        if fell:
            self._screen.take_out(np.array(fell))
            self._apart.take_out([number for number in fell if number in standing])
        self.exact_seconds += perf_counter() - started - seconds
        self.named.append(len(named))
        self.fell.append(len(fell))
        self.seconds.append(seconds)

    def _falls(self, number: int, at: datetime, *, apart: bool) -> bool:
        self.exact += 1
        unit, inside = self._place(number)
        answer = self._lanes[unit].assess(self.pools[unit], inside, self.marks)
        balance = None if answer is None else answer.balance_held_against
        required = None if answer is None else answer.liquidation_requirement
        if answer is None or balance is None or required is None:
            self.unknown.add(number)
            return False
        if not _down(answer, self.level):
            if apart:
                self._apart.place(number, answer)
            return False
        found = self.pools[unit]
        account = self.batches[unit].column("account")[int(found.account[inside])].as_py()
        fallen = Fallen(at, account, answer.pool.name, answer.asset, answer.health, balance, required)
        self.fallen.append((len(self.named), fallen))
        return True

    def _place(self, number: int) -> tuple[int, int]:
        """Return the unit and the number in it of a pool."""
        import numpy as np

        unit = int(np.searchsorted(self.starts, number, side="right")) - 1
        return unit, number - int(self.starts[unit])

    def result(self) -> LotWatched:
        """Return what these units add."""
        accounts = sum(batch.num_rows for batch in self.batches)
        counts = (accounts, self._pools, self._positions, self.exact, self._apart.baskets,
                  self._apart.exact + self._stuck, len(self.unknown))  # fmt: skip
        return LotWatched(
            counts, tuple(self.named), tuple(self.fell), tuple(self.seconds), tuple(self.fallen), self.build_seconds,
            self.exact_seconds,
        )  # fmt: skip


def _down(answer: Assessment, level: Decimal) -> bool:
    """Whether a pool stands at the level of health watched, or below it."""
    return bool(answer.liquidatable if level == ONE else answer.reached(level))


__all__ = ["AT_ONCE", "OFF_THE_BOOK", "Fallen", "Frame", "LotWatched", "WatchPlan", "Watched", "watch"]
