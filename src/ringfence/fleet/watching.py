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

from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode
from ringfence.errors import BadConfiguration
from ringfence.fleet.apart import Apart
from ringfence.fleet.in_turn import in_turn
from ringfence.fleet.judging import UNKNOWN, ExactPools, judge, prices_of
from ringfence.fleet.market import market_of, symbols_of
from ringfence.fleet.pooling import pools_of
from ringfence.fleet.schema import pyarrow
from ringfence.fleet.stand_ins import said, stand_ins
from ringfence.fleet.unknown import noted, together, why_unknown, without_mark
from ringfence.fleet.unknown import said as unknown_said
from ringfence.fleet.watched import Fallen, Forced, Frame, Standing, Watched
from ringfence.numbers import EXACT, ONE
from ringfence.screen.compiling import clock, compile_seconds
from ringfence.tape.bars import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.pooling import Pools
    from ringfence.fleet.schema import Terms
    from ringfence.fleet.unknown import Reasons, Why
    from ringfence.fleet.watched import Moments
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price
    from ringfence.tape import Walk

    Floats = NDArray[np.float64]

AT_ONCE = 8  #: units of a fleet that are watched together
_TRIED = 48  # accounts, and as many that share a basket, that kernels are made ready with
_TRIED_MOVES = (*(1 - at * Decimal("0.0004") for at in range(100)), Decimal("0.6"), Decimal("1.5"))  # calm, a crash
_NEAR = 1e-6  # relative: floats order what is further apart; what is closer is ordered exactly
_TOLD = 64  # moments between two words of progress
OFF_THE_BOOK = (
    "a pool that falls is named once and is off the book from then on: its liquidation, and what that would do to "
    "others, is not played; the account's other pools stay"
)


class LotWatched(NamedTuple):
    """What one lot of units adds: counts; by moment how many were named, fell and were read, and seconds; who fell.

    ``forced``: by symbol, how many positions of what value fell; ``ending``: the worst at the end.
    """

    counts: tuple[int, int, int, int, int, int, int]
    named: tuple[int, ...]
    fell: tuple[int, ...]
    seconds: tuple[float, ...]
    read: tuple[int, ...]
    fallen: tuple[tuple[int, Fallen], ...]
    build_seconds: float
    exact_seconds: float
    forced: Mapping[str, tuple[int, float]]
    ending: tuple[Standing, ...]
    reasons: Reasons


class WatchPlan:
    """What every lot of units is watched with: market, moments of the tape, level. Handed to every worker."""

    ending = 0  #: how many of those that stand at the end are named

    def __init__(self, fleet: Fleet, moments: Moments, level: Decimal, named: Sequence[str], at_once: int) -> None:
        self.progress: Callable[[int], None] | None = None
        self._made_ready, self._ready = Lock(), False
        self._make(fleet.terms, symbols_of(fleet), moments, level, tuple(named), at_once)

    def _make(
        self, terms: Terms, symbols: Sequence[str], moments: Moments, level: Decimal, named: tuple[str, ...],
        at_once: int,
    ) -> None:  # fmt: skip
        self.terms, self.moments, self.level, self.named, self.at_once = terms, moments, level, named, at_once
        self.market = market_of(terms.rulebook(), symbols, terms, named=named)

    def __getstate__(self) -> tuple[Any, ...]:
        """Go to another process as what it is made of: a rulebook reads files, which are there as well."""
        return self.terms, self.market.symbols, self.moments, self.level, self.named, self.at_once, self.ending

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.progress = None
        self._made_ready, self._ready = Lock(), False
        *made, self.ending = state
        self._make(*made)

    def make_ready(self, batch: Any) -> None:
        """Have the kernels compiled, or read from disk, before any clock runs: by a few accounts and made-up prices."""
        with self._made_ready:
            if self._ready:
                return
            marks = self.terms.marks
            tried = _Run(self, [_few(batch)])
            for factor in _TRIED_MOVES:
                moved = [
                    (symbol, EXACT.multiply(marks[symbol], factor)) for symbol in self.market.follow if symbol in marks
                ]
                tried.frame(EPOCH, moved)
            tried.standing(self.ending)
            self._ready = True

    def unit(self, batches: Any) -> LotWatched:
        """Take some units through the tape."""
        batches = batches if isinstance(batches, list) else [batches]
        self.make_ready(batches[0])
        run = _Run(self, batches)
        told = 0
        for number, (at, prices) in enumerate(self.moments):
            run.frame(at, prices)
            told += len(prices)
            if self.progress is not None and number % _TOLD == _TOLD - 1:
                self.progress(told)
                told = 0
        if self.progress is not None:
            self.progress(told)
        return run.result(self.ending)


def watch(
    fleet: Fleet,
    walk: Walk,
    *,
    level: Decimal = ONE,
    progress: Callable[[int], None] | None = None,
    lots: Callable[[WatchPlan], Iterable[LotWatched]] | None = None,
    at_once: int = AT_ONCE,
    ending: int = 0,
) -> Watched:
    """Take a fleet through the ticks of a tape and return who fell to ``level`` of health (1: liquidation), and when.

    Symbols that the tape has not, and those whose prices it stops, stay at their last marks. ``at_once``: units that
    are watched together. ``progress`` is told the prices done, once per lot of units each. ``lots``: who watches them
    instead, in their order (Ray). ``ending``: how many of those left at the end are named, those nearest to the level
    (the fleet is screened once more for it). Raises BadConfiguration where the tape moves nothing of the fleet.
    """
    compiled = compile_seconds()
    taken = _taken(fleet, walk.tape.symbols)
    plan = WatchPlan(fleet, (), level, tuple(taken), max(1, at_once))
    plan.ending = ending
    moving = {symbol: name for symbol, name in taken.items() if symbol in plan.market.follow}
    plan.moments = tuple(_moments(walk, moving))
    ticks = sum(len(prices) for _, prices in plan.moments)
    told = _Told(progress)
    plan.progress = told.more if lots is None and progress is not None else None
    plan.make_ready(fleet.unit(0))
    found: list[LotWatched] = []
    for lot in in_turn(fleet, plan) if lots is None else lots(plan):
        found.append(lot)
        if lots is not None and progress is not None:
            told.more(ticks)
    notes = [str(walk), *said(moving), OFF_THE_BOOK]
    rest = sum(symbol not in moving for symbol in plan.market.symbols)
    if rest:
        those = "1 symbol that the tape lacks stays" if rest == 1 else f"{rest} symbols that the tape lacks stay"
        notes.append(f"{those} at the fleet's marks")
    unknown = sum(lot.counts[-1] for lot in found)
    notes += unknown_said(together(lot.reasons for lot in found), unknown)
    notes = [*dict.fromkeys((*notes, *fleet.terms.notes))]  # a tape that gave marks, too, says the same
    return _together(plan, found, tuple(notes), compile_seconds() - compiled)


def _taken(fleet: Fleet, known: Sequence[str]) -> dict[str, str]:
    """Return the tape's symbol for each of the fleet's that it moves, in its order: names of its own first.

    Raises BadConfiguration where it moves none of them.
    """
    symbols = symbols_of(fleet)
    found = stand_ins(dict.fromkeys((*symbols, *fleet.terms.standing)), known, fleet.terms.rulebook())
    if not found.keys() & set(symbols):
        raise BadConfiguration(
            "the tape has no symbol of the fleet", where="--tape",
            expected=f"one of {', '.join(symbols[:5])}{' …' if len(symbols) > 5 else ''}, or of their coins",
            found=", ".join(known), hint="choose another tape, or another fleet",
        )  # fmt: skip
    place = {name: at for at, name in enumerate(known)}
    return dict(sorted(found.items(), key=lambda pair: (pair[0] != pair[1], place[pair[1]], pair[0])))


def _together(plan: WatchPlan, found: Sequence[LotWatched], notes: tuple[str, ...], compiled: float) -> Watched:
    """Return the lots put together, moment by moment, in their order."""
    frames = []
    for number, (at, prices) in enumerate(plan.moments):
        named, fell = sum(lot.named[number] for lot in found), sum(lot.fell[number] for lot in found)
        seconds, read = sum(lot.seconds[number] for lot in found), sum(lot.read[number] for lot in found)
        frames.append(Frame(at, len(prices), named, fell, seconds, read))
    fallen = sorted((pair for lot in found for pair in lot.fallen), key=lambda pair: pair[0])  # stable: lots in order
    accounts, pools, positions, exact, baskets, looks, unknown = (
        sum(count) for count in zip(*(lot.counts for lot in found), strict=True)
    )
    return Watched(
        plan.level, accounts, pools, positions, tuple(frames), tuple(one for _, one in fallen), exact, baskets, looks,
        unknown, sum(lot.build_seconds for lot in found), sum(lot.exact_seconds for lot in found), notes, compiled,
        _forced(plan, found), _worst((pool for lot in found for pool in lot.ending), plan.ending), plan.moments,
        together(lot.reasons for lot in found),
    )  # fmt: skip


def _forced(plan: WatchPlan, found: Sequence[LotWatched]) -> tuple[Forced, ...]:
    """Return what fell by symbol, added up in the order of the lots; the assets in which most fell first."""
    market = plan.market
    sums: dict[str, tuple[int, float]] = {}
    for lot in found:
        for symbol, (count, value) in lot.forced.items():
            before = sums.get(symbol, (0, 0.0))
            sums[symbol] = (before[0] + count, before[1] + value)
    asset = {symbol: market.rulebook.contract(symbol).settle_asset for symbol in sums}
    held: dict[str, int] = {}
    for symbol, (count, _) in sums.items():
        held[asset[symbol]] = held.get(asset[symbol], 0) + count
    every = [Forced(symbol, asset[symbol], *sums[symbol]) for symbol in sums]
    return tuple(sorted(every, key=lambda one: (-held[one.asset], one.asset, -one.value, one.symbol)))


def _worst(pools: Iterable[Standing], count: int) -> tuple[Standing, ...]:
    return tuple(sorted(pools, key=lambda pool: (pool.health, pool.account, pool.pool))[:count])


class _Told:
    """Adds up what lots watched side by side have done."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self._progress, self._done, self._lock = progress, 0, Lock()

    def more(self, ticks: int) -> None:
        with self._lock:
            self._done += ticks
            if self._progress is not None:
                self._progress(self._done)


def _moments(walk: Walk, taken: Mapping[str, str]) -> Iterator[tuple[datetime, tuple[tuple[str, Price], ...]]]:
    """Yield the prices of each moment. ``taken``: the tape's symbol by that of the fleet which takes its prices."""
    takers: dict[str, list[str]] = {}
    for symbol, name in taken.items():
        takers.setdefault(name, []).append(symbol)
    prices: list[tuple[str, Price]] = []
    last = None
    for tick in walk:
        if last is not None and tick.micros != last.micros and prices:
            yield last.ts, tuple(prices)
            prices = []
        last = tick
        if tick.price is not None:
            prices += [(symbol, tick.price) for symbol in takers.get(tick.symbol, ())]
    if last is not None and prices:
        yield last.ts, tuple(prices)


class _Run:
    """Some units on their way through a tape: pools in columns, pools apart, and who has fallen."""

    def __init__(self, plan: WatchPlan, batches: Sequence[Any]) -> None:
        import numpy as np

        started = clock()
        self.level, self.market = plan.level, plan.market
        self.marks: dict[str, Price] = dict(plan.terms.marks)
        self.batches = batches
        self.pools = [pools_of(batch, plan.market) for batch in batches]
        self.starts = np.cumsum([0, *(len(found.balance) for found in self.pools)])
        self._lanes = [ExactPools(batch, plan.market) for batch in batches]
        rows = list(plan.market.follow)
        self._prices = np.array([float(self.marks.get(symbol, "nan")) for symbol in rows])
        self._before = np.array([float(plan.market.indices.standing.get(symbol, "nan")) for symbol in rows])
        self._unmarked = [_unmarked(found, self._prices) for found in self.pools]
        self._apart = Apart(self._lanes, self.pools, self.starts, plan.market, plan.level, self._unmarked)
        self._screen = self._columns()
        self._values()
        self.named: list[int] = []
        self.fell: list[int] = []
        self.seconds: list[float] = []
        self.read: list[int] = []
        self.forced: dict[str, tuple[int, float]] = {}
        self._gone: set[int] = set()
        self.fallen: list[tuple[int, Fallen]] = []
        self.unknown: dict[int, Why] = {}
        self.exact = 0
        self.exact_seconds = 0.0
        self.build_seconds = clock() - started

    def _columns(self) -> Any:
        """Pack what columns can hold, and return what screens it."""
        import numpy as np

        from ringfence.screen.columns import Legs, pack
        from ringfence.screen.rings import Incremental
        from ringfence.screen.sweep import Sweep

        apart = np.concatenate([
            found.look | (np.diff(found.parts.first) > 0) | unmarked
            for found, unmarked in zip(self.pools, self._unmarked, strict=True)
        ])  # fmt: skip
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

        started = clock()
        follow, symbols = self.market.follow, len(self.market.symbols)
        for symbol, price in prices:
            self.marks[symbol] = price
            self._prices[follow[symbol]] = float(price)
        valued, sweeps = self._screen.valued, self._screen.sweeps
        apart: list[int] = []
        if self._apart.baskets or self._apart.exact:
            self._values()
            rows = dict.fromkeys(follow[symbol] for symbol, _ in prices)
            apart = self._apart.due(rows, self._prices, self._value, self._moves)
        named = sorted([*self._screen.look(self._prices[:symbols]).tolist(), *apart])
        seconds = clock() - started
        swept = self._screen.sweeps > sweeps
        read = self._screen.swept if swept else self._screen.near + self._screen.valued - valued
        standing = set(apart)
        fell = [number for number in named if self._falls(number, at, apart=number in standing)]
        if fell:
            self._gone.update(fell)
            self._screen.take_out(np.array(fell))
            self._apart.take_out([number for number in fell if number in standing])
        self.exact_seconds += clock() - started - seconds
        self.named.append(len(named))
        self.fell.append(len(fell))
        self.seconds.append(seconds)
        self.read.append(read + len(apart) + self._stuck)

    def _falls(self, number: int, at: datetime, *, apart: bool) -> bool:
        self.exact += 1
        unit, inside = self._place(number)
        answer = self._lanes[unit].assess(self.pools[unit], inside, self.marks)
        balance = None if answer is None else answer.balance_held_against
        required = None if answer is None else answer.liquidation_requirement
        if answer is None or balance is None or required is None:
            if number not in self.unknown or self._lacked_a_mark(number):
                self.unknown[number] = why_unknown(self._lanes[unit], self.pools[unit], inside, self.market, self.marks)
            if apart:
                self._apart.wait(number, answer, self._prices)
            return False
        if self._lacked_a_mark(number):  # it came in; what for want of a rate was not known for a while stays said
            del self.unknown[number]
        if not _down(answer, self.level):
            if apart:
                self._apart.place(number, answer)
            return False
        fallen = Fallen(at, self._name(unit, inside), answer.pool.name, answer.asset, answer.health, balance, required)
        self.fallen.append((len(self.named), fallen))
        for line in answer.lines:
            count, value = self.forced.get(line.position.symbol, (0, 0.0))
            self.forced[line.position.symbol] = (count + 1, value + float(line.notional))
        return True

    def _lacked_a_mark(self, number: int) -> bool:
        """Whether a pool was not known for want of a mark when it was last looked at."""
        why = self.unknown.get(number)
        if why is None:
            return False
        unit, inside = self._place(number)
        found = self.pools[unit]
        symbols = found.symbol[found.first[inside] : found.first[inside + 1]].tolist()
        return any(why == without_mark(self.market.symbols[symbol]) for symbol in symbols)

    def _reasons(self) -> Reasons:
        """Return why pools are not known."""
        found: Reasons = {}
        for number, why in self.unknown.items():
            unit, inside = self._place(number)
            noted(found, why, 1, [self._name(unit, inside)])
        return found

    def _name(self, unit: int, inside: int) -> str:
        """Return the account of a pool."""
        name: str = self.batches[unit].column("account")[int(self.pools[unit].account[inside])].as_py()
        return name

    def _place(self, number: int) -> tuple[int, int]:
        """Return the unit and the number in it of a pool."""
        import numpy as np

        unit = int(np.searchsorted(self.starts, number, side="right")) - 1
        return unit, number - int(self.starts[unit])

    def standing(self, count: int) -> tuple[Standing, ...]:
        """Return the ``count`` pools left that have least health at the present prices, in exact figures."""
        import numpy as np

        found: list[Standing] = []
        if not count:
            return ()
        at = prices_of(self.market, [self.marks])
        for unit, (batch, pools) in enumerate(zip(self.batches, self.pools, strict=True)):
            judged = judge(batch, pools, self.market, at)
            left = np.ones(len(judged.state), np.bool_)
            left[[n - int(self.starts[unit]) for n in self._gone if self._place(n)[0] == unit]] = False
            known = np.flatnonzero(left & (judged.state != UNKNOWN) & (judged.required > 0))
            health = judged.balance[known] / judged.required[known]
            if len(known) > count:
                edge = np.partition(health, count - 1)[count - 1]
                known = known[health <= edge + _NEAR * max(1.0, abs(edge))]
            names = batch.column("account")
            for number in known.tolist():
                answer = judged.exactly.get(number) or self._lanes[unit].assess(pools, number, self.marks)
                if answer is None or answer.health is None:
                    continue
                balance, required = answer.balance_held_against, answer.liquidation_requirement
                assert balance is not None  # noqa: S101 - there is a health
                assert required is not None  # noqa: S101 - as above
                name = names[int(pools.account[number])].as_py()
                found.append(Standing(name, answer.pool.name, answer.asset, answer.health, balance, required))
        return _worst(found, count)

    def result(self, ending: int) -> LotWatched:
        """Return what these units add. ``ending``: how many of those left at the end are named."""
        accounts = sum(batch.num_rows for batch in self.batches)
        counts = (accounts, self._pools, self._positions, self.exact, self._apart.baskets,
                  self._apart.exact + self._stuck, len(self.unknown))  # fmt: skip
        return LotWatched(
            counts, tuple(self.named), tuple(self.fell), tuple(self.seconds), tuple(self.read), tuple(self.fallen),
            self.build_seconds, self.exact_seconds, self.forced, self.standing(ending),
            self._reasons(),
        )  # fmt: skip


def _unmarked(found: Pools, prices: Floats) -> NDArray[np.bool_]:
    """Return which pools hold a symbol without a price."""
    import numpy as np

    unmarked = np.zeros(len(found.balance), np.bool_)
    owner = np.repeat(np.arange(len(unmarked)), np.diff(found.first))
    unmarked[owner[np.isnan(prices[found.symbol])]] = True
    return unmarked


def _few(batch: Any) -> Any:
    """Return the first accounts of a unit, and the first that share a basket."""
    import numpy as np

    pa = pyarrow()
    mode = pa.compute.fill_null(batch.column("collateral_mode"), CollateralMode.SINGLE_ASSET.value)
    shared = pa.compute.not_equal(mode, CollateralMode.SINGLE_ASSET.value).to_numpy(zero_copy_only=False)
    kept = np.union1d(np.arange(min(_TRIED, batch.num_rows)), np.flatnonzero(shared)[:_TRIED])
    return batch.take(pa.array(kept))


def _down(answer: Assessment, level: Decimal) -> bool:
    """Whether a pool stands at the level of health watched, or below it."""
    return bool(answer.liquidatable if level == ONE else answer.reached(level))


__all__ = ["AT_ONCE", "OFF_THE_BOOK", "LotWatched", "WatchPlan", "watch"]
