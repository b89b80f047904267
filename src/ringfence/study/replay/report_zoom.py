"""The minutes in which it happened, looked at more closely than once a minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringfence.account import pools
from ringfence.margin.assess import assess
from ringfence.numbers import exact
from ringfence.study.replay.report_chart import Span
from ringfence.study.replay.result import ARCHITECTURES, legs_of
from ringfence.tape.bars import micros_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.numbers import Price
    from ringfence.study.replay.result import Architecture, Leg, Replay

_MINUTE = 60_000_000
_BEFORE, _AFTER = 8 * _MINUTE, 12 * _MINUTE
_POINTS = 240


@dataclass(frozen=True, slots=True)
class Zoom:
    """Prices, health and positions at ``times`` (µs); None where a pool is not alive or a symbol has no price.

    ``health`` by architecture and pool; ``legs`` by architecture, symbol and side, at every fourth time.
    """

    span: Span
    times: list[int]
    prices: dict[str, list[Price | None]]
    health: dict[tuple[Architecture, str], list[float | None]]
    legs: dict[tuple[Architecture, str, str], list[tuple[int, Leg]]]


def zoom_span(replay: Replay) -> Span:
    """Return a span around the margin calls and liquidations, on whole minutes; the whole tape when there are none."""
    start, end = micros_of(replay.tape.start), micros_of(replay.tape.end)
    moments = [micros_of(event.ts) for event in replay.events if event.kind == "liquidation"]
    moments = moments or [micros_of(event.ts) for event in replay.events]
    if not moments:
        return Span(start, end)
    first = (min(moments) - _BEFORE) // _MINUTE * _MINUTE
    last = -(-(max(moments) + _AFTER) // _MINUTE) * _MINUTE
    return Span(max(first, start), min(last, end))


@exact
def zoom(replay: Replay) -> Zoom:
    """Return what happened inside :func:`zoom_span`, exact at some 240 moments of it."""
    span = zoom_span(replay)
    step = max((span.end - span.start) // _POINTS, 1)
    found = Zoom(span, [], {symbol: [] for symbol in replay.symbols}, {}, {})
    for architecture in ARCHITECTURES:
        begun = pools(replay.account(architecture), replay.rulebook.contract, replay.rulebook.collateral)
        found.health.update({(architecture, pool.name): [] for pool in begun if pool.positions})
    for number, (micros, marks) in enumerate(_marks(replay, span, step)):
        found.times.append(micros)
        for symbol in replay.symbols:
            found.prices[symbol].append(marks.get(symbol))
        held = {name: {pool.name: pool for pool in replay.pools_at(name, micros)} for name in ARCHITECTURES}
        for (architecture, named), line in found.health.items():
            pool = held[architecture].get(named)
            if pool is None or not pool.positions or any(one.symbol not in marks for one in pool.positions):
                line.append(None)
                continue
            assessment = assess(pool, marks, replay.rulebook)
            line.append(None if assessment.health is None else float(assessment.health))
            if number % 4 == 0:
                for leg in legs_of(assessment):
                    found.legs.setdefault((architecture, leg.symbol, leg.side), []).append((micros, leg))
    return found


def _marks(replay: Replay, span: Span, step: int) -> Iterator[tuple[int, dict[str, Price]]]:
    """Yield the prices known at every ``step`` of the span, by the walk that the replay went."""
    due = span.start
    marks: dict[str, Price] = {}
    for micros, symbol, price in replay.walk:
        while micros > due:
            yield due, marks
            due += step
            if due > span.end:
                return
        if price is None:
            marks.pop(symbol, None)
        else:
            marks[symbol] = price
    while due <= span.end:
        yield due, marks
        due += step


__all__ = ["Zoom", "zoom", "zoom_span"]
