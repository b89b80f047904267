"""The values of a tape: bars, gaps, bounds, and the tape that holds them.

Inside, a symbol's prices are integers in units of its finest decimal place and times are integer microseconds
since 1970-01-01 UTC: exact, small and fast. They become :class:`~decimal.Decimal` and
:class:`~datetime.datetime` at the edge only.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import cached_property
from heapq import merge
from typing import TYPE_CHECKING, Literal, get_args

from ringfence.errors import BadTape, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PriceKind = Literal["mark", "last", "index"]
"""Which price of a venue: the one it margins at, the one last traded, or that of the underlying index."""

PRICE_KINDS: tuple[PriceKind, ...] = get_args(PriceKind)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# Shifting a decimal point must never round, whatever the caller's context: prices have at most 40 + 40
# digits.
_SHIFT = Context(prec=100)

# A bound of a jump is kept to this many decimal places, rounded up, so that it never excludes what the tape
# holds.
_JUMP_PLACES = 6


def micros_of(moment: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC; a moment without a time zone is refused."""
    if moment.tzinfo is None:
        raise BadTape(
            "a moment needs its time zone",
            expected="a datetime with a time zone, best UTC",
            found=moment.isoformat(),
            hint="add tzinfo=datetime.UTC",
        )
    return (moment - EPOCH) // MICROSECOND


def moment_of(micros: int) -> datetime:
    """Return the UTC datetime of microseconds since 1970-01-01 UTC."""
    return EPOCH + micros * MICROSECOND


def utc_text(moment: datetime) -> str:
    """Return the moment as ISO 8601 in UTC with a ``Z``, as tapes write it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def price_of(scaled: int, *, places: int) -> Decimal:
    """Return ``scaled · 10^-places``, exactly, with ``places`` decimal places."""
    return _SHIFT.scaleb(Decimal(scaled), -places)


@dataclass(frozen=True, slots=True)
class Bar:
    """The prices of one symbol from ``ts`` (UTC, inclusive) for one resolution, in the quote asset."""

    ts: datetime
    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which the symbol has no price: from ``start`` (inclusive) to ``end`` (exclusive)."""

    symbol: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is sane on this tape: outside of it, a price is a bad tick; inside, it really happened.

    ``low`` and ``high`` are the extremes. ``jump`` is the largest relative move between two prices that can
    follow each other on any walk through the tape, ``(larger − smaller) ÷ smaller``, rounded up to 6 decimal
    places: inside one bar (its range), or from a close to the next bar's open. Moves across a gap do not
    count: after a gap a symbol starts afresh.
    """

    low: Decimal
    high: Decimal
    jump: Decimal


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a tape's prices come from, as far as the file says; ``retrieved`` is a date as text."""

    file: str
    venue: str | None = None
    market: str | None = None
    source: str | None = None
    retrieved: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One symbol's bars: times in µs ascending, prices in units of ``10^-places``, bars ``step`` µs long."""

    symbol: str
    places: int
    step: int
    ts: list[int]
    open: list[int]
    high: list[int]
    low: list[int]
    close: list[int]

    def bar(self, index: int) -> Bar:
        """Return the bar at ``index``."""
        prices = (column[index] for column in (self.open, self.high, self.low, self.close))
        return Bar(moment_of(self.ts[index]), self.symbol, *(price_of(p, places=self.places) for p in prices))

    def keyed_bars(self) -> Iterator[tuple[int, str, int]]:
        """Yield (time, symbol, index) in time order, to merge symbols by."""
        for index, ts in enumerate(self.ts):
            yield ts, self.symbol, index

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Yield (from, to) in microseconds wherever the next bar does not start where the last one ended."""
        previous_end = self.ts[0]
        for ts in self.ts:
            if ts > previous_end:
                yield previous_end, ts
            previous_end = ts + self.step

    def part(self, *, start: int, end: int) -> Series | None:
        """Return the bars that lie wholly inside [start, end), or None when there are none."""
        kept = [i for i, ts in enumerate(self.ts) if ts >= start and ts + self.step <= end]
        if not kept:
            return None
        cut = slice(kept[0], kept[-1] + 1)
        return replace(
            self,
            ts=self.ts[cut],
            open=self.open[cut],
            high=self.high[cut],
            low=self.low[cut],
            close=self.close[cut],
        )

    def bounds(self) -> Bounds:
        """Return the extremes and the largest jump; see :class:`Bounds`."""
        scale = 10**_JUMP_PLACES
        jump = 0
        for index, low in enumerate(self.low):
            # Floor division of the negated fraction rounds up.
            jump = max(jump, -(-(self.high[index] - low) * scale // low))
            if index and self.ts[index] == self.ts[index - 1] + self.step:
                smaller, larger = sorted((self.close[index - 1], self.open[index]))
                jump = max(jump, -(-(larger - smaller) * scale // smaller))
        return Bounds(
            low=price_of(min(self.low), places=self.places),
            high=price_of(max(self.high), places=self.places),
            jump=price_of(jump, places=_JUMP_PLACES),
        )


@dataclass(frozen=True)
class Tape:
    """Prices of one or more symbols over time, of one kind, possibly with gaps and of different resolutions.

    ``exact`` is False when prices came from binary floats. ``price_kind_assumed`` is True when nothing said
    which kind they are and "last" was assumed. ``notes`` says everything else that was assumed on reading.
    """

    name: str
    price_kind: PriceKind
    provenance: Provenance
    price_kind_assumed: bool = False
    exact: bool = True
    notes: tuple[str, ...] = ()
    series: Mapping[str, Series] = field(default_factory=dict, repr=False)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, in alphabetical order."""
        return tuple(self.series)

    def __len__(self) -> int:
        """Return the number of bars over all symbols."""
        return sum(len(series.ts) for series in self.series.values())

    @cached_property
    def start(self) -> datetime:
        """The first bar's time, which is the first moment with a price."""
        return moment_of(min(series.ts[0] for series in self.series.values()))

    @cached_property
    def last_ts(self) -> datetime:
        """The latest time a bar starts."""
        return moment_of(max(series.ts[-1] for series in self.series.values()))

    @cached_property
    def end(self) -> datetime:
        """The first moment after the last bar."""
        return moment_of(max(series.ts[-1] + series.step for series in self.series.values()))

    @cached_property
    def resolutions(self) -> Mapping[str, timedelta]:
        """How long a bar of each symbol lasts."""
        return {symbol: series.step * MICROSECOND for symbol, series in self.series.items()}

    @cached_property
    def bounds(self) -> Mapping[str, Bounds]:
        """Sanity bounds per symbol, so that a real crash is not taken for a bad tick; see :class:`Bounds`."""
        return {symbol: series.bounds() for symbol, series in self.series.items()}

    @property
    def stand_in(self) -> str | None:
        """A clause for results when these are not mark prices, or None when they are."""
        if self.price_kind == "mark":
            return None
        assumed = " (assumed: the file does not say which kind it holds)" if self.price_kind_assumed else ""
        return f"{self.price_kind} prices stand in for mark prices{assumed}"

    def renamed(self, names: Mapping[str, str]) -> Tape:
        """Return the tape with other names for its symbols; those that ``names`` does not have are left out."""
        found = {names[symbol]: series for symbol, series in self.series.items() if symbol in names}
        return replace(self, series={name: replace(found[name], symbol=name) for name in sorted(found)})

    def bars(self, symbol: str | None = None) -> Iterator[Bar]:
        """Yield bars in time order, and by symbol within one time; of one symbol when it is given."""
        chosen = self.series.values() if symbol is None else (self._known(symbol),)
        for _, name, index in merge(*(series.keyed_bars() for series in chosen)):
            yield self.series[name].bar(index)

    def gaps(self, symbol: str) -> tuple[Gap, ...]:
        """Return where the symbol has no price between two of its own bars."""
        return tuple(Gap(symbol, moment_of(start), moment_of(end)) for start, end in self._known(symbol).gaps())

    def covers(self, symbol: str, ts: datetime) -> bool:
        """Say whether the symbol has a price at ``ts``: whether one of its bars contains it."""
        series = self.series.get(symbol)
        if series is None:
            return False
        micros = micros_of(ts)
        index = bisect_right(series.ts, micros) - 1
        return index >= 0 and micros < series.ts[index] + series.step

    def select(
        self,
        *,
        symbols: Iterable[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Tape:
        """Return the tape of these symbols only, and of the bars wholly inside [start, end).

        Raises BadTape for a symbol the tape does not have, and when nothing is left.
        """
        wanted = sorted(self.series if symbols is None else set(symbols))
        begin, finish = start or self.start, end or self.end
        first, after = micros_of(begin), micros_of(finish)
        parts = {symbol: self._known(symbol).part(start=first, end=after) for symbol in wanted}
        kept = {symbol: part for symbol, part in parts.items() if part is not None}
        if not kept:
            span = f"{utc_text(self.start)} to {utc_text(self.end)}"
            raise BadTape(
                "nothing of the tape is left",
                where=self.name,
                expected=f"a part of {span}, {', '.join(self.symbols)}",
                found=f"{utc_text(begin)} to {utc_text(finish)}, {', '.join(wanted) or 'no symbol'}",
                hint="choose a time span and symbols that the tape has",
            )
        return replace(self, series=kept)

    def _known(self, symbol: str) -> Series:
        series = self.series.get(symbol)
        if series is None:
            raise BadTape(
                f"the tape has no prices of {symbol}",
                where=self.name,
                expected=f"one of {', '.join(self.symbols)}",
                found=symbol,
                hint=nearest(symbol, self.symbols) or "choose a symbol that the tape has, or another tape",
            )
        return series
