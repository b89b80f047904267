"""The walk: how bars become ticks, one seeded way, so that every reader of a tape sees the same prices.

Of a bar only open, high, low and close are known, not which of the extremes came first. The walk chooses, and
says how:

1.  It starts at the open and ends at the close, and visits high and low in between, each exactly.
2.  Which comes first is drawn: the high with the chance ``(open − low) ÷ (high − low)``. That is the chance
    with which a fair random walk that starts at the open reaches the high before the low (the gambler's
    ruin), so the nearer extreme tends to come first.
3.  On the way from one of these points to the next it moves one way only, in uneven, drawn steps, rounded to
    the finest decimal place the tape has for that symbol. The intermediate ticks are shared out over the
    three ways by length.
4.  Ticks stand on an even grid inside the bar. A price equal to the one before it in the same bar gives no
    tick, so a bar that does not move gives one.

Draws come from SHAKE-256 of (seed, symbol, bar time): the same on every machine and in every Python, and a
symbol's walk does not depend on which other symbols are on the tape or on where the tape was cut. Inside one
bar symbols are thus drawn independently: the lows of two symbols in one minute need not coincide, as in a
crash they may have.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import shake_256
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.tape.bars import Series, Tape, moment_of, price_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal

DEFAULT_INTERMEDIATE = 12
_MOST_INTERMEDIATE = 10_000

# Part of every draw: a walk that is made differently gets another number here and in the sentence of its
# results.
_WALK_VERSION = 1

# Open, first extreme, second extreme, close: the ticks every moving bar has besides the intermediate ones.
_CORNERS = 4


class Tick(NamedTuple):
    """A symbol's price from a moment on; None says that from here on the symbol has no price.

    ``micros`` is the moment in microseconds since 1970-01-01 UTC, ``ts`` the same as a datetime.
    """

    micros: int
    symbol: str
    price: Decimal | None

    @property
    def ts(self) -> datetime:
        """The moment, UTC."""
        return moment_of(self.micros)


@dataclass(frozen=True, slots=True)
class Walk:
    """The ticks of a tape for one seed; can be iterated any number of times, always with the same ticks.

    Ticks come in time order, and by symbol within one moment; a symbol has at most one tick per moment. Where
    a symbol's bars stop while the tape goes on, a tick with ``price`` None stands at the first moment without
    a price. ``str(walk)`` is one sentence that says how the walk was made; it belongs into every result.
    """

    tape: Tape
    seed: int
    intermediate: int = DEFAULT_INTERMEDIATE

    @property
    def ticks_at_most(self) -> int:
        """An upper bound of the number of ticks with a price."""
        return len(self.tape) * (self.intermediate + _CORNERS)

    def __iter__(self) -> Iterator[Tick]:
        """Yield the ticks."""
        starts = sorted({ts for series in self.tape.series.values() for ts in series.ts})
        makers = [
            _SymbolTicks(series, seed=self.seed, intermediate=self.intermediate) for series in self.tape.series.values()
        ]
        tape_end = max(series.ts[-1] + series.step for series in self.tape.series.values())
        pending: list[Tick] = []
        for start in starts:
            pending.sort()
            due = _count_before(pending, start)
            yield from pending[:due]
            del pending[:due]
            for maker in makers:
                maker.add_ticks(start, pending, tape_end=tape_end)
        pending.sort()
        yield from pending

    def __str__(self) -> str:
        """Say in one sentence how the walk was made."""
        stand_in = self.tape.stand_in
        if not self.intermediate:
            between = "with no ticks in between"
        else:
            between = (
                f"between these points in uneven steps, at most {self.intermediate} ticks in between, evenly spaced in "
                "time and drawn for each symbol on its own"
            )
        return (
            f"Walk {_WALK_VERSION}, seed {self.seed}: each bar of {self.tape.name} goes from its open by its "
            "high and low to its close, the high first with the chance (open − low) ÷ (high − low), one way "
            f"{between}{f'; {stand_in}' if stand_in else ''}."
        )


def walk(tape: Tape, seed: int, *, intermediate: int = DEFAULT_INTERMEDIATE) -> Walk:
    """Return the walk of this tape for this seed.

    A bar gives its four corners and at most ``intermediate`` ticks between them; fewer when prices
    repeat. Raises BadConfiguration for intermediate ticks below 0, above 10,000, or more than fit into a bar.
    """
    # Each tick of a bar needs a microsecond of its own.
    most = min(_MOST_INTERMEDIATE, *(series.step - _CORNERS for series in tape.series.values()))
    if not 0 <= intermediate <= most:
        raise BadConfiguration(
            "the number of intermediate ticks per bar cannot be",
            where="walk",
            expected=f"0 to {most}",
            found=str(intermediate),
            hint=f"leave it out for {DEFAULT_INTERMEDIATE}",
        )
    return Walk(tape, seed, intermediate)


def bar_path(*, open_: int, high: int, low: int, close: int, draws: Sequence[int]) -> list[int]:
    """Return the prices of one bar in order, ``len(draws) + 3`` of them; equal neighbours are kept.

    Prices are integers in one unit. ``draws`` are whole numbers from 0 to 2³² − 1; the first decides the
    order of the extremes, each of the others places one intermediate price. Intermediate prices are rounded
    down to the unit.
    """
    high_first = draws[0] * (high - low) < (open_ - low) << 32
    first, second = (high, low) if high_first else (low, high)
    intermediate = len(draws) - 1
    to_first, between, to_close = abs(first - open_), high - low, abs(close - second)
    length = (to_first + between + to_close) or 1
    until_first = 1 + intermediate * to_first // length
    from_second = len(draws) - intermediate * to_close // length
    path = [open_]
    path += [open_ + ((first - open_) * draw >> 32) for draw in sorted(draws[1:until_first])]
    path.append(first)
    path += [first + ((second - first) * draw >> 32) for draw in sorted(draws[until_first:from_second])]
    path.append(second)
    path += [second + ((close - second) * draw >> 32) for draw in sorted(draws[from_second:])]
    path.append(close)
    return path


class _SymbolTicks:
    """Makes one symbol's ticks, bar by bar."""

    def __init__(self, series: Series, *, seed: int, intermediate: int) -> None:
        self._series = series
        self._prefix = f"ringfence walk {_WALK_VERSION}|{seed}|{series.symbol}|"
        self._draws = intermediate + 1
        self._format = f"<{self._draws}I"
        self._slots = intermediate + _CORNERS
        self._next = 0
        self._prices: dict[int, Decimal] = {}

    def add_ticks(self, start: int, ticks: list[Tick], *, tape_end: int) -> None:
        """Append the ticks of the bar that starts at ``start``, if any, and the one that ends its price."""
        series, index = self._series, self._next
        if index == len(series.ts) or series.ts[index] != start:
            return
        self._next = index + 1
        symbol, step, slots, prices = series.symbol, series.step, self._slots, self._prices
        previous = None
        for slot, scaled in enumerate(self._path(index)):
            if scaled == previous:
                continue
            previous = scaled
            price = prices.get(scaled)
            if price is None:
                price = prices[scaled] = price_of(scaled, places=series.places)
            ticks.append(Tick(start + step * slot // slots, symbol, price))
        end = start + step
        following = series.ts[index + 1] if index + 1 < len(series.ts) else tape_end
        if following > end:
            ticks.append(Tick(end, symbol, None))

    def _path(self, index: int) -> list[int]:
        series = self._series
        high, low = series.high[index], series.low[index]
        if high == low:
            return [high]
        stream = shake_256(f"{self._prefix}{series.ts[index]}".encode()).digest(4 * self._draws)
        return bar_path(
            open_=series.open[index],
            high=high,
            low=low,
            close=series.close[index],
            draws=unpack(self._format, stream),
        )


def _count_before(ticks: list[Tick], moment: int) -> int:
    """Return how many of the sorted ticks lie before the moment."""
    if not ticks or ticks[-1].micros < moment:
        return len(ticks)
    return next(index for index, tick in enumerate(ticks) if tick.micros >= moment)
