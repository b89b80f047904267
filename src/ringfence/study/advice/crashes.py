"""A book through past crashes under each way of holding it: the packaged windows, bar by bar, from today's marks.

Every symbol makes the relative moves its coin made on the tape. Within a bar all symbols are taken at their lows at one
moment and at their highs at another. Float finds the bar; the exact lane is asked at the bar that decides.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.study.advice.scene import Agreement, Margins, Scene, check, valued
from ringfence.study.advice.trials import score_of
from ringfence.study.cores import in_order
from ringfence.study.likelihood import numpy
from ringfence.tape import packaged_windows
from ringfence.tape.coins import standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ringfence.study.advice.holding import Book, Holding
    from ringfence.study.advice.trials import Runner
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

    def __init__(
        self, np: Any, book: Book, symbols: Sequence[str], *, tape: Tape | None = None, before: datetime | None = None,
        margins: Margins | None = None,
    ) -> None:  # fmt: skip
        self.np, self.book = np, book
        margins = margins or Margins()
        self.scenes: dict[str, Scene] = {}
        self.crashes: list[str] = []
        self.notes: list[str] = []
        packaged = {w.name: w.symbols for w in packaged_windows() if before is None or w.start < before}
        tapes = dict(packaged)
        if tape is not None and tape.name not in tapes:
            tapes = {tape.name: tape.symbols, **tapes}
        for name, known in tapes.items():
            names = standing(symbols, known)
            if not names:
                continue
            course = _packaged(name) if name in packaged or tape is None else _course(np, tape)
            self.scenes[name] = _scene(np, book, symbols, course, names, margins)
            if name in packaged and course.fall >= float(A_CRASH):
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
            float(score_of(self.np, outcome, capital)[0])
            for outcome in (runner.play(self.scenes[name], holding) for name in self.crashes)
        ]
        return sum(scores) / len(scores) if scores else 0.0

    def replays(self, runner: Runner, holdings: Sequence[Holding], capital: float) -> Crashes:
        """Return every holding in every window, the deciding bars held to the exact lane."""
        for holding in holdings:
            runner.assessed(holding)  # before several threads ask for it

        def work(name: str) -> tuple[list[Past], Agreement]:
            return self._replay(name, runner, holdings, capital)

        parts = list(in_order(work, tuple(self.scenes)))
        return Crashes(
            tuple(past for found, _ in parts for past in found),
            tuple(self.notes),
            sum((agreement for _, agreement in parts), Agreement(0, 0, 0.0)),
            tuple(self.crashes),
        )

    def _replay(
        self, name: str, runner: Runner, holdings: Sequence[Holding], capital: float
    ) -> tuple[list[Past], Agreement]:
        scene, found = self.scenes[name], []
        for holding in holdings:
            outcome = runner.play(scene, holding)
            died = tuple(
                f"{symbol} {side}"
                for (symbol, side), dead in zip(runner.legs, outcome.positions, strict=True)
                if dead[0]
            )
            found.append(Past(name, holding.name, died, Decimal(f"{float(outcome.left[0]) / capital:.4f}")))
        samples = _deciding(self.np, scene, runner, holdings)
        again = Scene(self.np, scene.symbols, scene.prices, scene.worth, samples, margins=scene.margins)
        return found, check(again, holdings, self.book.marks, self.book.rulebook)


class _Course(NamedTuple):
    """A tape's prices relative to their first ones, four corners a bar, by symbol; the largest fall of any of them."""

    relative: Mapping[str, Any]
    typical: Any
    fall: float


@cache
def _packaged(name: str) -> _Course:
    window = next(window for window in packaged_windows() if window.name == name)
    return _course(numpy("advise", otherwise=""), window.load())


def _course(np: Any, tape: Tape) -> _Course:
    times = sorted({ts for series in tape.series.values() for ts in series.ts})
    row = {ts: index for index, ts in enumerate(times)}
    relative: dict[str, Any] = {}
    for name, series in tape.series.items():
        corners = np.full((len(times), _CORNERS), np.nan)
        at = [row[ts] for ts in series.ts]
        for corner, values in enumerate((series.open, series.low, series.high, series.close)):
            corners[at, corner] = np.array(values, dtype=float) / series.open[0]
        relative[name] = _filled(np, corners.reshape(-1))
    typical = np.median(np.array(list(relative.values())), axis=0)
    return _Course(relative, typical, 1 - min(float(values.min()) for values in relative.values()))


def _scene(
    np: Any, book: Book, symbols: Sequence[str], course: _Course, names: Mapping[str, str], margins: Margins
) -> Scene:
    """Return a scene of one path: every symbol from its mark along its coin's course, or the typical one."""
    prices = np.empty((len(course.typical), 1, len(symbols)))
    for index, symbol in enumerate(symbols):
        relative = course.relative[names[symbol]] if symbol in names else course.typical
        prices[:, 0, index] = float(book.marks[symbol]) * relative
    return Scene(np, symbols, prices, valued(book, symbols), margins=margins)


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
    whole = Scene(np, scene.symbols, scene.prices, scene.worth, every, margins=scene.margins)
    for holding in holdings:
        for _, assessment in runner.assessed(holding):
            if assessment.lines:
                surplus = whole.fate(assessment).sampled
                steps.add(int(np.argmin(surplus)))
                steps.add(int(np.argmax(surplus <= 0)))
    chosen = np.array(sorted(steps))
    return chosen, np.zeros(len(chosen), dtype=int)


__all__ = ["A_CRASH", "YEARS", "Crashes", "Past", "Windows"]
