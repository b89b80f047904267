"""A book through past crashes under each way of holding it: the packaged windows, bar by bar, from today's marks.

Every symbol makes the relative moves its coin made on the tape. Within a bar all symbols are taken at their lows at one
moment and at their highs at another. Float finds the bar; the exact lane is asked at the bar that decides.
"""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.study.advise_scene import Agreement, Scene, check, valued
from ringfence.study.advise_trials import score_of
from ringfence.study.stand_in import stand_in
from ringfence.tape import packaged_windows, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.study.advise_holding import Book, Holding
    from ringfence.study.advise_trials import Runner
    from ringfence.tape.bars import Tape

A_CRASH = Decimal("0.05")
"""A window counts as a crash where some symbol of it falls by at least this share. Ours."""

YEARS = 4.5
"""The packaged windows are of that many years, May 2021 to October 2025: so often is a crash like them expected.

Only the worst days of these years were recorded, and not all of them. Ours."""

_CORNERS = 4


class Past(NamedTuple):
    """One past window under one holding, nobody acting. ``died``: legs liquidated; ``kept``: final equity ÷ capital."""

    window: str
    holding: str
    died: tuple[str, ...]
    kept: Decimal


class Crashes(NamedTuple):
    """All of them, with what stood in for what and how often the exact lane said the same.

    ``counted``: the windows that the score weighs, those with a crash in them.
    """

    past: tuple[Past, ...]
    notes: tuple[str, ...]
    agreement: Agreement
    counted: tuple[str, ...]


class Windows:
    """The packaged windows that have a coin of a book, and a tape of the user's, as scenes of one path each."""

    def __init__(self, np: Any, book: Book, symbols: Sequence[str], *, tape: Tape | None = None) -> None:
        self.np, self.book = np, book
        self.scenes: dict[str, Scene] = {}
        self.crashes: list[str] = []
        self.notes: list[str] = []
        tapes = [(window.name, window.symbols, window.load) for window in packaged_windows()]
        if tape is not None and tape.name not in {name for name, *_ in tapes}:
            tapes.insert(0, (tape.name, tape.symbols, lambda: tape))
        for name, known, load in tapes:
            names = {symbol: other for symbol in symbols if (other := stand_in(symbol, known)) is not None}
            if not names:
                continue
            prices = load()
            self.scenes[name] = _scene(np, book, symbols, prices, names)
            if prices is not tape and max(s.largest_drop for s in summarise(prices)) >= A_CRASH:
                self.crashes.append(name)
            absent = [symbol for symbol in symbols if symbol not in names]
            if absent:
                self.notes.append(f"{name} has no {', '.join(absent)}: the median move of its symbols stands in")

    def chance(self, days: int) -> float:
        """Return how likely a crash like one of them is within a horizon: their number by :data:`YEARS`. Ours."""
        return min(0.5, len(self.crashes) * days / (YEARS * 365))

    def score(self, runner: Runner, holding: Holding, capital: float) -> float:
        """Return the mean score of a holding over the crashes; 0 where there are none."""
        scores = [
            float(score_of(self.np, outcome.left, outcome.dead, capital)[0])
            for outcome in (runner.play(self.scenes[name], holding) for name in self.crashes)
        ]
        return sum(scores) / len(scores) if scores else 0.0

    def replays(self, runner: Runner, holdings: Sequence[Holding], capital: float) -> Crashes:
        """Return every holding in every window, the deciding bars held to the exact lane."""
        found: list[Past] = []
        agreement = Agreement(0, 0, 0.0)
        for name, scene in self.scenes.items():
            for holding in holdings:
                outcome = runner.play(scene, holding)
                died = tuple(
                    f"{position.symbol} {position.side}"
                    for position, dead in zip(self.book.positions, outcome.positions, strict=True)
                    if dead[0]
                )
                found.append(Past(name, holding.name, died, Decimal(f"{float(outcome.left[0]) / capital:.4f}")))
            samples = _deciding(self.np, scene, runner, holdings)
            again = Scene(self.np, scene.symbols, scene.prices, scene.worth, samples)
            agreement += check(again, holdings, self.book.marks, self.book.rulebook)
        return Crashes(tuple(found), tuple(self.notes), agreement, tuple(self.crashes))


def _scene(np: Any, book: Book, symbols: Sequence[str], tape: Tape, names: dict[str, str]) -> Scene:
    """Return a scene of one path: four corners per bar, every symbol's price relative to its first one."""
    times = sorted({ts for series in tape.series.values() for ts in series.ts})
    row = {ts: index for index, ts in enumerate(times)}
    moves: dict[str, Any] = {}
    for name, series in tape.series.items():
        corners = np.full((len(times), _CORNERS), np.nan)
        first = series.open[0]
        at = [row[ts] for ts in series.ts]
        for corner, values in enumerate((series.open, series.low, series.high, series.close)):
            corners[at, corner] = np.array(values, dtype=float) / first
        moves[name] = _filled(np, corners.reshape(-1))
    typical = np.array([median(column) for column in zip(*moves.values(), strict=True)])
    steps = len(times) * _CORNERS
    prices = np.empty((steps, 1, len(symbols)))
    for index, symbol in enumerate(symbols):
        relative = moves[names[symbol]] if symbol in names else typical
        prices[:, 0, index] = float(book.marks[symbol]) * relative
    return Scene(np, symbols, prices, valued(book, symbols))


def _filled(np: Any, values: Any) -> Any:
    """Return values with the last one known where there is none; 1 before the first."""
    index = np.where(np.isnan(values), 0, np.arange(len(values)))
    np.maximum.accumulate(index, out=index)
    filled = values[index]
    filled[np.isnan(filled)] = 1.0
    return filled


def _deciding(np: Any, scene: Scene, runner: Runner, holdings: Sequence[Holding]) -> Any:
    """Return the points where pools come nearest to their requirement, and the first where they are past it."""
    steps: set[int] = set()
    every = (np.arange(scene.prices.shape[0]), np.zeros(scene.prices.shape[0], dtype=int))
    whole = Scene(np, scene.symbols, scene.prices, scene.worth, every)
    for holding in holdings:
        for _, assessment in runner.assessed(holding):
            if assessment.lines:
                surplus = whole.fate(assessment).sampled
                steps.add(int(np.argmin(surplus)))
                steps.add(int(np.argmax(surplus <= 0)))
    chosen = np.array(sorted(steps))
    return chosen, np.zeros(len(chosen), dtype=int)


__all__ = ["A_CRASH", "YEARS", "Crashes", "Past", "Windows"]
