"""One account through real prices, under isolated and under cross margin at once.

Both sides start with the same capital (:mod:`~ringfence.study.architecture`) and see the same seeded walk. At each tick
a symbol's mark moves. All ticks of one moment are taken together, so that nothing depends on the order of symbols; then
the pools that hold them are looked at, exactly, unless every price is inside the band in which nothing can happen
(:mod:`~ringfence.screen.bands`).

What a look decides, in this order:

1.  *Re-arming.* A level that was reached is armed again when health is above :data:`REARM` times it.
2.  *Liquidation* where the venue liquidates. **Full takeover**: the pool is taken over whole at its bankruptcy prices,
so
    it loses all that stood in it and owes nothing. What the marks leave in it goes to the insurance fund; what they
    leave missing, the fund pays. The venue's own sequence (partial reduction, cancelled orders) is not played here.
3.  *Margin call*, then *warning*, when health is at or below the level and it is armed. A call disarms the warning too.

A symbol has no price before its first tick and where its bars stop. A pool with a symbol without a price is not decided
on; its equity is shown at the last price known (before the first tick: at the file's mark).
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ringfence.account import pools
from ringfence.account_file import check_leverage, check_sizes, check_symbols
from ringfence.errors import BadConfiguration, BadTape
from ringfence.margin.assess import assess
from ringfence.numbers import ONE, ZERO, exact, plain
from ringfence.screen.bands import EMPTY, PoolBands
from ringfence.study.architecture import fund
from ringfence.study.replay.result import (
    ARCHITECTURES,
    Event,
    Outcome,
    Replay,
    Sample,
    drawdown,
    legs_of,
    lowest,
    sample_of,
)
from ringfence.tape import packaged_windows, walk
from ringfence.tape.bars import MICROSECOND, micros_of, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from ringfence.account import Account, Pool
    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Rulebook
    from ringfence.screen.bands import Band
    from ringfence.study.architecture import Funding
    from ringfence.study.replay.result import Architecture, EventKind
    from ringfence.tape import Tape, Walk

REARM = ONE + ONE.scaleb(-2) * 5
"""A level that was reached is armed again above 1.05 times it: a health that trembles at a level calls once. Ours."""

DEFAULT_TICKS_PER_BAR = 60
_FEWEST_TICKS_PER_BAR = 4  # open, high, low, close
_SAMPLE_STEP = timedelta(minutes=1)

Looking: TypeAlias = Literal["at_band_edges", "at_every_tick"]
"""When a pool is assessed: when it could matter, or always. The events are the same; a test says so."""


class Progress(NamedTuple):
    """How far a replay is: the moment it has reached, and the share of the tape's time from 0 to 1."""

    ts: datetime
    done: float
    events: int


def replay(
    file: AccountFile,
    tape: Tape,
    *,
    seed: int = 1,
    as_of: date | None = None,
    ticks_per_bar: int = DEFAULT_TICKS_PER_BAR,
    looking: Looking = "at_band_edges",
    progress: Callable[[Progress], None] | None = None,
) -> Replay:
    """Return what happens to the account of ``file`` on ``tape``, held isolated and held cross.

    The rulebook is that of ``as_of``, else of the file's day, else of the tape's. ``ticks_per_bar``: at most that many
    ticks are made of one bar (4 are its open, high, low and close). ``progress`` is called once per sample.

    Raises BadTape when the tape lacks a symbol that is held, BadAccount when the account cannot be funded both ways
    (see :func:`~ringfence.study.architecture.fund`) or its leverage is above its tier's, BadRulebook when a symbol has
    no table.
    """
    rulebook, symbols, funding, driven = prepare(file, tape, seed=seed, as_of=as_of, ticks_per_bar=ticks_per_bar)
    run = _Run(file, funding, rulebook, driven, looking)
    run.play(progress)
    return Replay(
        file=file,
        tape=tape,
        rulebook=rulebook,
        funding=funding,
        seed=seed,
        walk=driven,
        ticks=run.ticks,
        looks=run.looks,
        events=tuple(run.events),
        samples={side.architecture: tuple(side.samples) for side in run.sides},
        outcomes={side.architecture: _outcome(side, run) for side in run.sides},
        assumptions=_assumptions(file, tape, rulebook, driven, symbols),
    )


class Prepared(NamedTuple):
    """What a replay starts from: rules, the symbols held, the account funded both ways, the walk."""

    rulebook: Rulebook
    symbols: tuple[str, ...]
    funding: Funding
    walk: Walk


def prepare(file: AccountFile, tape: Tape, *, seed: int, as_of: date | None, ticks_per_bar: int) -> Prepared:
    """Return what a replay of ``file`` on ``tape`` starts from. Raises what :func:`replay` says."""
    if ticks_per_bar < _FEWEST_TICKS_PER_BAR:
        raise BadConfiguration(
            "too few ticks per bar", where="ticks_per_bar", expected=f"at least {_FEWEST_TICKS_PER_BAR}",
            found=str(ticks_per_bar), hint=f"leave it out for {DEFAULT_TICKS_PER_BAR}",
        )  # fmt: skip
    rulebook = file.rulebook(as_of or file.as_of or tape.start.date())
    symbols = tuple(dict.fromkeys(position.symbol for position in file.account.positions))
    check_symbols(file, rulebook)
    check_sizes(file, rulebook)
    check_leverage(file, rulebook)
    funding = fund(file, rulebook)
    refuse_missing_symbols(tape, symbols)
    held = tape.select(symbols=symbols)
    return Prepared(rulebook, symbols, funding, walk(held, seed, intermediate=ticks_per_bar - _FEWEST_TICKS_PER_BAR))


def refuse_missing_symbols(tape: Tape, symbols: tuple[str, ...]) -> None:
    """Raise BadTape where a tape lacks symbols that are held, with the windows that have them."""
    missing = [symbol for symbol in symbols if symbol not in tape.symbols]
    if not missing:
        return
    fitting = [window.name for window in packaged_windows() if set(symbols) <= set(window.symbols)]
    partly = [window.name for window in packaged_windows() if set(missing) & set(window.symbols)]
    if fitting:
        hint = f"replay on a tape that has all of them: {', '.join(fitting)}"
    elif partly:
        hint = f"no packaged tape has all of them ({', '.join(partly)} has some of the missing); leave positions out"
    else:
        hint = "leave those positions out, or bring a tape: ringfence tape fetch"
    raise BadTape(
        f"the tape has no prices of {', '.join(missing)}", where=tape.name,
        expected=f"prices of every position: {', '.join(symbols)}", found=", ".join(tape.symbols), hint=hint,
    )  # fmt: skip


class _Guard:
    """The band of one symbol for one pool."""

    __slots__ = ("high", "low", "symbol", "watch")

    def __init__(self, watch: _Watch, symbol: str) -> None:
        self.watch, self.symbol = watch, symbol
        self.low, self.high = EMPTY


class _Watch:
    """A pool that is alive: which of its levels are armed, and its guards."""

    __slots__ = ("asset", "bands", "call_armed", "guards", "number", "pool", "side", "unpriced", "warning_armed")

    def __init__(self, pool: Pool, asset: str, side: _Side, number: int) -> None:
        self.pool, self.asset, self.side, self.number = pool, asset, side, number
        self.bands = PoolBands()
        self.call_armed = self.warning_armed = True
        self.guards = {position.symbol: _Guard(self, position.symbol) for position in pool.positions}
        self.unpriced = set(self.guards)


class _Side:
    """One architecture as it goes: its living pools and idle cash."""

    def __init__(self, architecture: Architecture, account: Account, capital: Mapping[str, Value]) -> None:
        self.architecture = architecture
        self.account = account
        self.start = capital
        self.idle: dict[str, Value] = {}
        self.watches: list[_Watch] = []
        self.samples: list[Sample] = []


class _Run:
    """The state of a replay."""

    def __init__(self, file: AccountFile, funding: Funding, rulebook: Rulebook, driven: Walk, looking: Looking) -> None:
        self.rulebook, self.driven = rulebook, driven
        self.in_bands = looking == "at_band_edges"
        self.marks: dict[str, Price] = dict(file.marks)
        self.ticks = self.looks = 0
        self.events: list[Event] = []
        self.numbers = count()
        self.sides = (
            self._side("isolated", funding.isolated, funding.capital),
            self._side("cross", funding.cross, funding.capital),
        )
        self.guards: dict[str, list[_Guard]] = {symbol: [] for symbol in driven.tape.symbols}
        for side in self.sides:
            for watch in side.watches:
                for symbol, guard in watch.guards.items():
                    self.guards[symbol].append(guard)

    def _side(self, architecture: Architecture, account: Account, capital: Mapping[str, Value]) -> _Side:
        side = _Side(architecture, account, capital)
        for pool in pools(account, self.rulebook.contract, self.rulebook.collateral):
            asset = next(iter(pool.balances))
            if pool.positions:
                side.watches.append(_Watch(pool, asset, side, next(self.numbers)))
            else:
                side.idle[asset] = pool.balances[asset] or ZERO
        return side

    @exact
    def play(self, progress: Callable[[Progress], None] | None) -> None:
        """Go through all ticks, sample at every step, and once more at the end."""
        tape, marks, guards = self.driven.tape, self.marks, self.guards
        start, end = micros_of(tape.start), micros_of(tape.end)
        step = max(_SAMPLE_STEP, min(tape.resolutions.values())) // MICROSECOND
        due = start
        ticks, now = 0, start
        touched: list[_Guard] = []
        for micros, symbol, price in self.driven:
            if micros != now:
                if touched:
                    self._look_at(touched, now)
                    touched.clear()
                while micros > due:
                    self._sample(due, progress, (start, end))
                    due += step
                now = micros
            if price is None:
                self._lose_price(symbol)
                continue
            ticks += 1
            marks[symbol] = price
            for guard in guards[symbol]:
                if not guard.low < price < guard.high:
                    touched.append(guard)  # noqa: PERF401 - the loop of every tick
        if touched:
            self._look_at(touched, now)
        while due < end:
            self._sample(due, progress, (start, end))
            due += step
        self._sample(end, progress, (start, end))
        self.ticks = ticks

    def _lose_price(self, symbol: str) -> None:
        for guard in self.guards[symbol]:
            watch = guard.watch
            watch.unpriced.add(symbol)
            self._set_bands(watch, {})

    def _set_bands(self, watch: _Watch, bands: dict[str, Band]) -> None:
        for symbol, guard in watch.guards.items():
            guard.low, guard.high = bands.get(symbol, EMPTY)

    def _look_at(self, touched: list[_Guard], micros: int) -> None:
        """Look once at each pool that was touched in one moment, in the order of the pools."""
        for guard in touched:
            guard.watch.unpriced.discard(guard.symbol)
        for watch in sorted({guard.watch for guard in touched}, key=lambda watch: watch.number):
            if not watch.unpriced:
                self._look(watch, micros)

    def _look(self, watch: _Watch, micros: int) -> None:
        """Assess a pool, emit what follows, and set its bands."""
        self.looks += 1
        assessment = assess(watch.pool, self.marks, self.rulebook)
        warning, call = self.rulebook.levels.warning, self.rulebook.levels.margin_call
        watch.warning_armed = watch.warning_armed or _above(assessment, warning * REARM)
        watch.call_armed = watch.call_armed or _above(assessment, call * REARM)
        if assessment.liquidatable:
            self._take_over(watch, assessment, micros)
            return
        if watch.call_armed and not _above(assessment, call):
            watch.call_armed = watch.warning_armed = False
            self._emit("margin_call", watch, assessment, micros)
        elif watch.warning_armed and not _above(assessment, warning):
            watch.warning_armed = False
            self._emit("warning", watch, assessment, micros)
        if self.in_bands:
            levels = ((watch.warning_armed, warning), (watch.call_armed, call))
            bands = watch.bands.around(
                assessment,
                above=[ONE, *(level for armed, level in levels if armed)],
                not_above=[level * REARM for armed, level in levels if not armed],
            )
            self._set_bands(watch, bands)

    def _take_over(self, watch: _Watch, assessment: Assessment, micros: int) -> None:
        for name, guard in watch.guards.items():
            self.guards[name].remove(guard)
        watch.side.watches.remove(watch)
        self._emit("liquidation", watch, assessment, micros)

    def _emit(self, kind: EventKind, watch: _Watch, assessment: Assessment, micros: int) -> None:
        gone = kind == "liquidation"
        balance = assessment.margin_balance or ZERO
        self.events.append(
            Event(
                ts=moment_of(micros),
                architecture=watch.side.architecture,
                pool=watch.pool.name,
                kind=kind,
                asset=watch.asset,
                health=assessment.health,
                balance=balance,
                requirement=assessment.liquidation_requirement or ZERO,
                loss=(assessment.wallet_balance or ZERO) if gone else ZERO,
                fund=balance if gone else ZERO,
                left=self._equity(watch.side)[watch.asset],
                marks={name: self.marks[name] for name in watch.guards},
                legs=legs_of(assessment),
            )
        )

    def _equity(self, side: _Side) -> dict[str, Value]:
        equity = dict.fromkeys(side.start, ZERO) | side.idle
        for watch in side.watches:
            balance = assess(watch.pool, self.marks, self.rulebook).margin_balance
            equity[watch.asset] += balance or ZERO
        return equity

    def _sample(self, micros: int, progress: Callable[[Progress], None] | None, span: tuple[int, int]) -> None:
        ts, marks = moment_of(micros), dict(self.marks)
        for side in self.sides:
            taken = tuple(
                sample_of(watch.pool, watch.asset, marks, self.rulebook, decided=not watch.unpriced)
                for watch in side.watches
            )
            equity = dict.fromkeys(side.start, ZERO) | side.idle
            for pool in taken:
                equity[pool.asset] += pool.balance
            side.samples.append(Sample(ts, equity, taken, marks))
        if progress is not None:
            progress(Progress(ts, (micros - span[0]) / (span[1] - span[0]), len(self.events)))


def _above(assessment: Assessment, level: Decimal) -> bool:
    """Whether health is above ``level``, by comparing sums."""
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    return balance is not None and required is not None and bool(balance > level * required)


@exact
def _outcome(side: _Side, run: _Run) -> Outcome:
    liquidations = tuple(
        event for event in run.events if event.architecture == side.architecture and event.kind == "liquidation"
    )
    lost = dict.fromkeys(side.start, ZERO)
    gained, paid = dict(lost), dict(lost)
    for event in liquidations:
        lost[event.asset] += event.loss
        gained[event.asset] += max(event.fund, ZERO)
        paid[event.asset] += max(-event.fund, ZERO)
    survivors = tuple(leg for watch in side.watches for leg in legs_of(assess(watch.pool, run.marks, run.rulebook)))
    return Outcome(
        architecture=side.architecture,
        start=side.start,
        end=side.samples[-1].equity,
        idle=dict.fromkeys(side.start, ZERO) | side.idle,
        lost=lost,
        fund_gained=gained,
        fund_paid=paid,
        lowest={asset: lowest(side.samples, asset) for asset in side.start},
        drawdown={asset: drawdown(side.samples, asset) for asset in side.start},
        liquidations=liquidations,
        survivors=survivors,
    )


def _assumptions(
    file: AccountFile, tape: Tape, rulebook: Rulebook, driven: Walk, symbols: tuple[str, ...]
) -> tuple[str, ...]:
    """Return everything a reader has to know that no exchange said."""
    return assumed(file, tape, rulebook, driven, symbols, tuple(" ".join(text.split()) for text in _PLAYED))


def assumed(
    file: AccountFile,
    tape: Tape,
    rulebook: Rulebook,
    driven: Walk,
    symbols: tuple[str, ...],
    played: tuple[str, ...],
) -> tuple[str, ...]:
    """Return what no exchange said: of the tape, the walk, the rules and levels; between them what is ``played``."""
    stand_in = tape.stand_in
    said = []
    if stand_in is not None:
        said.append(f"{stand_in[0].upper()}{stand_in[1:]}: venues decide on marks, which are smoothed and move less.")
    said += [str(driven), *played]
    if file.account.orders:
        said.append(f"{len(file.account.orders)} open order(s) of the file are left out: a replay fills nothing.")
    said.append(_rules(rulebook, symbols))
    levels = rulebook.levels
    said.append(
        f"Warning at health {plain(levels.warning)}, margin call at {plain(levels.margin_call)} ({levels.source}). "
        f"Each is armed again when health is above {plain(REARM)} times its level (ours)."
    )
    said += tape.notes
    if not tape.exact:
        said.append("Prices were read from binary floats, at their shortest decimal text.")
    return tuple(said)


_PLAYED = (
    """
    Full takeover: a pool that reaches its liquidation level is taken over whole at its bankruptcy prices and loses
    everything that stood in it; the venue's own sequence (cancel orders, reduce in part) is not played. What the marks
    leave in it goes to the insurance fund, what they leave missing the fund pays; the account never owes.
    """,
    """
    Both sides start with the same capital. Isolated: entry notional ÷ leverage stands behind each position, the rest
    stays idle in the wallet and is never added. Cross: everything is one pool per settlement asset.
    """,
    "No fees, no funding, no clearance fee, no trades: nobody adds margin, reduces or closes.",
)


def _rules(rulebook: Rulebook, symbols: tuple[str, ...]) -> str:
    """Return which rules and which day's tables were used."""
    own = [symbol for symbol in symbols if symbol in rulebook.tables]
    tables: dict[str, None] = {}
    for symbol in symbols:
        if symbol not in rulebook.tables:
            tables[rulebook.table_source(symbol) or "tables of an unknown day"] = None
    if own:
        tables[f"tables of the account file for {', '.join(own)}"] = None
    day = f" as of {rulebook.as_of}" if rulebook.as_of else ""
    return f"Rules: {rulebook.title}{day}; {'; '.join(tables)}."


__all__ = ["ARCHITECTURES", "DEFAULT_TICKS_PER_BAR", "REARM", "Looking", "Prepared", "Progress", "assumed",
           "prepare", "refuse_missing_symbols", "replay"]  # fmt: skip
