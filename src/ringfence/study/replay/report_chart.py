"""Charts for a report: plain SVG for what is drawn, HTML for what is read.

An SVG that stretches with the page would stretch its text too. So lines live in an SVG of 1000 × 1000 units that takes
any shape (strokes keep their width), and labels and markers are HTML placed over it by percentage: readable on a phone,
on a laptop and in print, without a script. Positions on the page are floats; nothing is computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from math import ceil, floor, log10
from typing import TYPE_CHECKING, NamedTuple

from ringfence.tape.bars import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SIZE = 1000
_MINUTE = 60_000_000  # µs
_TWO_DAYS = 2880 * _MINUTE
_TIME_STEPS = tuple(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 2880, 10080))
_MOST_TIME_LABELS = 9
_LOG_STEPS = (1, 2, 5)
_LINE_OF_TEXT = 0.042  # of a chart's height
_TOUCHING = 0.015  # of a chart's width
_HALF_CHARACTER = 0.004  # of a chart's width


class Span(NamedTuple):
    """The time axis, in microseconds since 1970."""

    start: int
    end: int

    def share(self, micros: int) -> float:
        """Return where a moment lies, 0 at the start and 1 at the end."""
        return (micros - self.start) / (self.end - self.start)

    def ticks(self) -> list[int]:
        """Return round moments, at most nine."""
        width = self.end - self.start
        step = next((step for step in _TIME_STEPS if width / step <= _MOST_TIME_LABELS), _TIME_STEPS[-1])
        return list(range(-(-self.start // step) * step, self.end + 1, step))

    def label(self, micros: int) -> str:
        """Return what a moment is called on the axis: its time of day, or its day where the axis is longer than two."""
        if self.end - self.start > _TWO_DAYS:
            return f"{moment_of(micros):%d %b}"
        return f"{moment_of(micros):%H:%M}"


class Axis(NamedTuple):
    """The value axis, from ``low`` at the bottom to ``high``. Values beyond it are drawn at its ends."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies, 0 at the top and 1 at the bottom."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            return 1 - log10(inside / self.low) / log10(self.high / self.low)
        return 1 - (inside - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round values inside the axis."""
        if self.log:
            decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            every = [step * 10.0**decade for decade in decades for step in _LOG_STEPS]
            return [value for value in every if self.low <= value <= self.high]
        step = _round_step((self.high - self.low) / 4)
        first = ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, floor(self.high / step + 1e-9) + 1)]


def _round_step(width: float) -> float:
    decade: float = 10.0 ** floor(log10(width))
    return next(factor * decade for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * decade >= width * 0.999)


def axis_over(values: Iterable[float], *, margin: float = 0.06) -> Axis:
    """Return a linear axis that holds all values with some room; an axis whose values are ≥ 0 does not go below 0."""
    found = list(values)
    low, high = min(found), max(found)
    room = (high - low or abs(high) or 1.0) * margin
    return Axis(max(low - room, 0.0) if low >= 0 else low - room, high + room)


@dataclass(frozen=True, slots=True)
class Line:
    """A line: ``style`` is its CSS class (``iso``, ``cross``, ``price``, …)."""

    points: Sequence[tuple[int, float]]
    style: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line at a value over the whole width, with a label at the right edge unless it is empty."""

    value: float
    style: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Marker:
    """A sign on the chart. ``row``: how many label rows below the sign its label stands."""

    micros: int
    value: float
    style: str
    label: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. ``title`` and ``description`` are what a screen reader says; ``group`` shares a crosshair.

    ``ends``: names at the right edge for lines that end there, moved apart where they would overlap.
    """

    name: str
    title: str
    description: str
    span: Span
    axis: Axis
    axis_labels: Sequence[tuple[float, str]]
    group: str
    lines: Sequence[Line] = ()
    levels: Sequence[Level] = ()
    ends: Sequence[Level] = ()
    markers: Sequence[Marker] = ()
    shaded: Span | None = None
    style: str = ""
    bands: Sequence[tuple[Sequence[tuple[int, float, float]], str]] = field(default=())

    def html(self) -> str:
        """Return the chart as HTML."""
        labels = [
            f'<span class="y" style="top:{_percent(self.axis.share(value))}">{escape(text)}</span>'
            for value, text in self.axis_labels
        ]
        labels += [
            f'<span class="x" style="left:{_percent(self.span.share(tick))}">{self.span.label(tick)}</span>'
            for tick in self.span.ticks()
        ]
        labels += [
            f'<span class="level {level.style}" style="top:{_percent(self.axis.share(level.value))}">'
            f"{escape(level.label)}</span>"
            for level in self.levels
            if level.label
        ]
        labels += [
            f'<span class="level {end.style}" style="top:{_percent(share)}">{escape(end.label)}</span>'
            for end, share in self._apart(self.ends)
        ]
        labels += [self._marker(marker) for marker in self.markers]
        return (
            f'<div class="plot {self.style}" data-chart="{self.name}" data-group="{self.group}" '
            f'data-start="{self.span.start}" data-end="{self.span.end}">'
            f"{self._svg()}{''.join(labels)}"
            '<div class="cursor" hidden></div><div class="readout" hidden></div></div>'
        )

    def _apart(self, ends: Sequence[Level]) -> list[tuple[Level, float]]:
        """Return each end with where its name stands, from the top, none nearer to another than a line of text."""
        placed: list[tuple[Level, float]] = []
        for end in sorted(ends, key=lambda end: self.axis.share(end.value)):
            share = self.axis.share(end.value)
            placed.append((end, share if not placed else max(share, placed[-1][1] + _LINE_OF_TEXT)))
        return placed

    def _svg(self) -> str:
        grid = "".join(
            f'<path class="grid" d="M0 {_at(self.axis.share(value))}H{_SIZE}"/>' for value, _ in self.axis_labels
        )
        shade = ""
        if self.shaded is not None:
            left, right = self.span.share(self.shaded.start), self.span.share(self.shaded.end)
            shade = f'<rect class="shade" x="{_at(left)}" width="{_at(right - left)}" y="0" height="{_SIZE}"/>'
        levels = "".join(
            f'<path class="{level.style}" d="M0 {_at(self.axis.share(level.value))}H{_SIZE}"/>' for level in self.levels
        )
        areas = "".join(f'<path class="{style}" d="{self._area(points)}"/>' for points, style in self.bands if points)
        lines = "".join(
            f'<path class="{line.style}" d="{self._path(line.points)}"/>' for line in self.lines if line.points
        )
        return (
            f'<svg viewBox="0 0 {_SIZE} {_SIZE}" preserveAspectRatio="none" role="img" '
            f'aria-labelledby="{self.name}-title {self.name}-desc">'
            f'<title id="{self.name}-title">{escape(self.title)}</title>'
            f'<desc id="{self.name}-desc">{escape(self.description)}</desc>'
            f"{shade}{grid}{areas}{levels}{lines}</svg>"
        )

    def _path(self, points: Sequence[tuple[int, float]]) -> str:
        return "M" + "L".join(f"{_at(self.span.share(ts))} {_at(self.axis.share(value))}" for ts, value in points)

    def _area(self, points: Sequence[tuple[int, float, float]]) -> str:
        upper = [(ts, high) for ts, _, high in points]
        lower = [(ts, low) for ts, low, _ in reversed(points)]
        return self._path([*upper, *lower]) + "Z"

    def _marker(self, marker: Marker) -> str:
        place = f"left:{_percent(self.span.share(marker.micros))};top:{_percent(self.axis.share(marker.value))}"
        sign = f'<i class="sign {marker.style}" style="{place}" aria-hidden="true"></i>'
        if not marker.label:
            return sign
        return f'{sign}<span class="tag {marker.style} row{marker.row}" style="{place}">{escape(marker.label)}</span>'


def label_rows(markers: Sequence[Marker], span: Span) -> list[Marker]:
    """Return the markers with rows for their labels, so that no two labels that would touch share a row.

    Markers that all but touch have one label together, at the first of them.
    """
    placed: list[Marker] = []
    for marker in sorted(markers, key=lambda marker: marker.micros):
        at = span.share(marker.micros)
        near = next((i for i, other in enumerate(placed) if _together(other, marker, span)), None)
        if near is not None:
            placed[near] = replace(placed[near], label=f"{placed[near].label}, {marker.label}")
            placed.append(replace(marker, label=""))
            continue
        taken = {
            other.row
            for other in placed
            if abs(span.share(other.micros) - at) < _HALF_CHARACTER * (len(marker.label) + len(other.label) + 3)
        }
        row = next(row for row in range(len(placed) + 1) if row not in taken)
        placed.append(replace(marker, row=row))
    return placed


def _together(one: Marker, other: Marker, span: Span) -> bool:
    near = abs(span.share(one.micros) - span.share(other.micros)) < _TOUCHING
    return near and one.style == other.style and bool(one.label)


def _at(share: float) -> str:
    return f"{share * _SIZE:.1f}".removesuffix(".0")


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"


__all__ = ["Axis", "Chart", "Level", "Line", "Marker", "Span", "axis_over", "label_rows"]
