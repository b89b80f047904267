"""What may happen to prices: moves of single symbols, of all together, of two groups, and of days that were.

A scenario moves every mark at once, each by a share of itself. Prices are exact: ``mark · (1 + move)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING

from ringfence.errors import BadConfiguration
from ringfence.fleet.stand_ins import said
from ringfence.numbers import ONE, ROUND_HALF_EVEN, ZERO, divide, exact, plain
from ringfence.tape.coins import standing
from ringfence.tape.packaged import packaged_windows, summarise

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ringfence.account import Marks
    from ringfence.numbers import Price

_RISE = Decimal("0.05")  # a tape that rises less has no scenario of its own for shorts


@dataclass(frozen=True, slots=True)
class Scenario:
    """Moves as shares: −0.3 is 30 % down. ``others``: of all symbols that ``moves`` does not name.

    ``group``: what kind it is (``all``, ``grid``, ``history``, ``given``); ``at``: its place in a grid, (right, up).
    """

    name: str
    group: str
    moves: Mapping[str, Decimal] = field(default_factory=dict)
    others: Decimal = ZERO
    at: tuple[Decimal, Decimal] | None = None

    @exact
    def marks(self, marks: Marks) -> dict[str, Price]:
        """Return the marks after the scenario: each times 1 plus its move, exact."""
        return {symbol: price * (ONE + self.moves.get(symbol, self.others)) for symbol, price in marks.items()}


NOW = Scenario("now", "now")


def _named(move: Decimal) -> str:
    return f"{'+' if move > 0 else '−' if move < 0 else ''}{plain(abs(move) * 100)} %"


@exact
def steps(span: Decimal, count: int) -> tuple[Decimal, ...]:
    """Return ``count`` moves from −``span`` to +``span``. Raises BadConfiguration outside (0, 1) or below two."""
    if not 0 < span < 1 or count < 2:
        raise BadConfiguration(
            "not a grid", where="--range, --steps", expected="a range between 0 and 100 %, at least 2 steps",
            found=f"{plain(span * 100)} %, {count} steps", hint="such as --range 50 --steps 13",
        )  # fmt: skip
    return tuple(
        divide(span * (2 * i - count + 1), ONE * (count - 1), places=6, rounding=ROUND_HALF_EVEN) for i in range(count)
    )


def together(moves: Sequence[Decimal]) -> tuple[Scenario, ...]:
    """Return a scenario per move, of all marks together; none for a move of 0."""
    return tuple(Scenario(f"all {_named(move)}", "all", {}, move) for move in moves if move)


def grid(majors: Sequence[str], moves: Sequence[Decimal]) -> tuple[Scenario, ...]:
    """Return every combination of a move of ``majors`` (to the right) and a move of all other symbols (upward)."""
    return tuple(
        Scenario(f"majors {_named(right)}, others {_named(up)}", "grid", dict.fromkeys(majors, right), up, (right, up))
        for up in moves
        for right in moves
    )


def history(symbols: Sequence[str], *, held: Collection[str] = ()) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    """Return the packaged crashes as scenarios, low and high, and what stood in for what.

    Each symbol moves from its window's first price to its own extreme, at once, or with one on the same coin under
    another name (:mod:`ringfence.tape.coins`). A symbol that a tape has nothing for moves by its median.
    ``held``: those in which positions are, which alone are spoken of; all of them where it is not given.
    """
    found: list[Scenario] = []
    notes: list[str] = []
    taken: dict[str, str] = {}
    for window in packaged_windows():
        names = standing(symbols, window.symbols)
        taken |= names
        if not names:
            continue
        summaries = {s.symbol: s for s in summarise(window.load())}
        falls = {name: -s.largest_drop for name, s in summaries.items()}
        rises = {name: s.largest_rise for name, s in summaries.items()}
        ends = [("low", falls)] + ([("high", rises)] if max(rises.values()) >= _RISE else [])
        for end, moves in ends:
            own = {symbol: moves[name] for symbol, name in names.items()}
            found.append(Scenario(f"{window.name} {end}", "history", own, median(moves.values())))
        rest = sum(symbol not in names for symbol in symbols if not held or symbol in held)
        if rest:
            those = "1 symbol that it lacks moves" if rest == 1 else f"{rest} symbols that it lacks move"
            notes.append(f"{window.name}: {those} by the median of those it has")
    return tuple(found), (*notes, *said({symbol: name for symbol, name in taken.items() if not held or symbol in held}))


__all__ = ["NOW", "Scenario", "grid", "history", "steps", "together"]
