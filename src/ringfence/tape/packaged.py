"""The windows of real prices that come with the package: what they are, whence, and what happened."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ringfence.tape.bars import Gap, PriceKind, Tape, moment_of, price_of
from ringfence.tape.csv_file import read_csv_text

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.tape.bars import Series


@dataclass(frozen=True, slots=True)
class Window:
    """One packaged window, as its index entry has it; the prices themselves are read by :meth:`load`.

    ``start`` is inclusive, ``end`` exclusive. ``sources`` name repository, file and commit per symbol.
    """

    name: str
    title: str
    what_happened: str
    start: datetime
    end: datetime
    resolution: str
    symbols: tuple[str, ...]
    price_kind: PriceKind
    venue: str
    market: str
    sources: tuple[str, ...]
    checks: str

    def load(self) -> Tape:
        """Return the window's tape."""
        file = f"{self.name}.csv"
        text = (files("ringfence.tape") / "windows" / file).read_text(encoding="utf-8")
        tape = read_csv_text(text, name=self.name, file=f"packaged window {self.name}")
        provenance = replace(tape.provenance, venue=self.venue, market=self.market, source="; ".join(self.sources))
        return replace(tape, provenance=provenance)


@cache
def packaged_windows() -> tuple[Window, ...]:
    """Return the packaged windows, latest first; their prices are not read."""
    text = (files("ringfence.tape") / "windows" / "windows.toml").read_text(encoding="utf-8")
    return tuple(_window(entry) for entry in tomllib.loads(text)["window"])


def _window(entry: dict[str, Any]) -> Window:
    lists = {key: tuple(entry[key]) for key in ("symbols", "sources")}
    return Window(**(entry | lists))


@dataclass(frozen=True, slots=True)
class SymbolSummary:
    """What one symbol does on a tape, for listings.

    ``first`` is the first bar's open and ``last`` the last bar's close. ``low_at`` and ``high_at`` are the
    opening times of the first bars that reach the extremes. ``largest_drop`` and ``largest_rise`` are the
    largest moves away from ``first``, as a fraction of it between 0 and 1 (or above, for a rise), rounded
    half-even to 6 decimal places. ``longest_unchanged`` is the longest run of bars in a row without any price
    change, which is what a stale price looks like, and ``unchanged_from`` when it starts (None when every bar
    moves).
    """

    symbol: str
    bars: int
    resolution: timedelta
    start: datetime
    end: datetime
    first: Decimal
    last: Decimal
    low: Decimal
    low_at: datetime
    high: Decimal
    high_at: datetime
    largest_drop: Decimal
    largest_rise: Decimal
    longest_unchanged: int
    unchanged_from: datetime | None
    gaps: tuple[Gap, ...]


def summarise(tape: Tape) -> tuple[SymbolSummary, ...]:
    """Return a summary per symbol, in the tape's order of symbols."""
    return tuple(_summary(series, tape.gaps(symbol)) for symbol, series in tape.series.items())


def _summary(series: Series, gaps: tuple[Gap, ...]) -> SymbolSummary:
    low, high, first = min(series.low), max(series.high), series.open[0]
    unchanged, unchanged_at = _longest_unchanged(series)
    return SymbolSummary(
        symbol=series.symbol,
        bars=len(series.ts),
        resolution=timedelta(microseconds=series.step),
        start=moment_of(series.ts[0]),
        end=moment_of(series.ts[-1] + series.step),
        first=price_of(first, places=series.places),
        last=price_of(series.close[-1], places=series.places),
        low=price_of(low, places=series.places),
        low_at=moment_of(series.ts[series.low.index(low)]),
        high=price_of(high, places=series.places),
        high_at=moment_of(series.ts[series.high.index(high)]),
        largest_drop=_fraction(first - low, of=first),
        largest_rise=_fraction(high - first, of=first),
        longest_unchanged=unchanged,
        unchanged_from=moment_of(series.ts[unchanged_at]) if unchanged else None,
        gaps=gaps,
    )


def _fraction(part: int, *, of: int) -> Decimal:
    """Return part ÷ of, rounded half-even to 6 places; in integers, so that no decimal context matters."""
    scaled, rest = divmod(part * 10**6, of)
    if rest * 2 > of or (rest * 2 == of and scaled % 2):
        scaled += 1
    return price_of(scaled, places=6)


def _longest_unchanged(series: Series) -> tuple[int, int]:
    """Return (length, first index) of the longest run of adjoining bars that all stay at one single price."""
    best, best_at, run = 0, 0, 0
    for index, high in enumerate(series.high):
        flat = high == series.low[index]
        follows = (
            index > 0 and high == series.close[index - 1] and series.ts[index] == series.ts[index - 1] + series.step
        )
        run = (run + 1 if run and follows else 1) if flat else 0
        if run > best:
            best, best_at = run, index - run + 1
    return best, best_at
