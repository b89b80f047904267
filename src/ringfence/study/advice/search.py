"""The search among the ways to hold a book: greedy, and on paths of its own.

What it finds is tried on paths it was not chosen by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode
from ringfence.errors import BadInput
from ringfence.study.advice.desk import ADVISED, GIVEN
from ringfence.study.advice.holding import MAIN
from ringfence.study.advice.trials import Runner, score_of
from ringfence.study.cores import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ringfence.study.advice.desk import Desk
    from ringfence.study.advice.holding import Holding

_CLEAR = 2.0  # standard errors that a difference must have to be one
_MATERIAL = 5e-4  # and the share of the capital that it must be worth

FENCE = 0.01
"""A ring-fence must be worth that share of the capital: what stands in it cannot help anything else. Ours."""

_CHOSEN = "chosen by score on paths of the search"


class _Scored(NamedTuple):
    """A way's score by path, its mean over past crashes, both weighed together.

    ``fences``: how many positions it ring-fences, long shots not counted; ``bare``: how many long shots it does not.
    """

    paths: Any
    crash: float
    total: float
    fences: int
    bare: int


class Search:
    """Looks for the best way to hold the book of a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def best(self, ways: Sequence[Holding], fixed: Mapping[int, tuple[str, str]]) -> Holding:
        """Return the best way found: from the best of ``ways``, one unit after the other is moved while that helps.

        Units are single positions and groups that hedge; places in ``fixed`` stay. A step must be better by
        :data:`_CLEAR` standard errors of the paired difference and by :data:`_MATERIAL`, or by :data:`FENCE` where it
        ring-fences more; so must any way be than the account as it is given, or that stays. With long shots it is the
        other way round, for no path knows their tail: they are ring-fenced, unless pooled is better by :data:`FENCE`.

        Raises BadAccount where the capital does not reach for any way that keeps to ``fixed``.
        """
        tried = list(self._starts(ways, fixed))
        if not tried:
            everything = dict.fromkeys(range(len(self.desk.book.positions)), "cross")
            tried = [(self.desk.placed(ADVISED, "what the capital allows", everything, fixed=fixed), everything)]
        scored = [(self._scores(holding), holding, states) for holding, states in tried]
        plain = [item for item in scored if item[2] is not None] or scored
        score, best, states = max(plain, key=lambda item: item[0].total)
        if states is not None:
            best, states, score = self._fenced(best, states, score, fixed)
        for other in scored:  # another kind of account must be clearly better, in the order in which they are tried
            if other[2] is None and self._clearly(other[0], score):
                score, best, states = other
        given = next((item for item in scored if item[1].name == GIVEN), None)
        if given is not None:
            own, way, held = given
            if held is not None:
                way, held, own = self._fenced(way, held, own, fixed)
            if not self._clearly(score, own):
                score, best, states = own, way, held
        if states is None:
            return best
        units = [unit for unit in self._units() if not any(index in fixed for index in unit)]
        for _ in range(len(units) + 1):
            moved = self._step(states, score, units, fixed)
            if moved is None:
                break
            best, states, score = moved
        return self._simpler(best, states, score, units, fixed)

    def _fenced(
        self, best: Holding, states: dict[int, str], score: _Scored, fixed: Mapping[int, tuple[str, str]]
    ) -> tuple[Holding, dict[int, str], _Scored]:
        """Return the way with every long shot ring-fenced that is not clearly better off in the pool."""
        for index in sorted(self.desk.gamble - set(fixed)):
            if states.get(index, "cross") != "cross":
                continue
            tried = {**states, index: "isolated"}
            try:
                holding = self.desk.placed(best.name, f"{best.what}, its long shots ring-fenced", tried, fixed=fixed)
            except BadInput:
                continue
            other = self._scores(holding)
            if self._clearly(other, score):
                best, states, score = holding, tried, other
        return best, states, score

    def _simpler(
        self,
        best: Holding,
        states: dict[int, str],
        score: _Scored,
        units: Sequence[tuple[int, ...]],
        fixed: Mapping[int, tuple[str, str]],
    ) -> Holding:
        """Return the way without what it does not need: a unit is pooled again where that is not clearly worse."""
        for unit in units:
            if best.name == GIVEN or all(states.get(index) == "cross" for index in unit):
                continue
            tried = {**states, **dict.fromkeys(unit, "cross")}
            holding = self.desk.placed(ADVISED, _CHOSEN, tried, fixed=fixed)
            other = self._scores(holding)
            if not self._clearly(score, other):
                best, states, score = holding, tried, other
        return best

    def _starts(
        self, ways: Sequence[Holding], fixed: Mapping[int, tuple[str, str]]
    ) -> Iterator[tuple[Holding, dict[int, str] | None]]:
        """Yield ways to begin with and the states of their positions; None for a basket, which has none."""
        for way in ways:
            if way.accounts[MAIN].collateral_mode is not CollateralMode.SINGLE_ASSET:
                if not fixed:
                    yield way, None
                continue
            own = "given" if way.name == GIVEN else "isolated"
            states = {i: own if place.kind == "isolated" else place.kind for i, place in enumerate(way.places)}
            try:
                yield self.desk.placed(way.name, way.what, states, fixed=fixed), states
            except BadInput:
                continue

    def _step(
        self,
        states: dict[int, str],
        score: _Scored,
        units: Sequence[tuple[int, ...]],
        fixed: Mapping[int, tuple[str, str]],
    ) -> tuple[Holding, dict[int, str], _Scored] | None:
        """Return the best single move of a unit that is clearly better, or None."""
        found: tuple[Holding, dict[int, str], _Scored] | None = None
        for unit in units:
            for state in self._states(unit):
                if all(states.get(index) == state for index in unit):
                    continue
                tried = {**states, **dict.fromkeys(unit, state)}
                try:
                    holding = self.desk.placed(ADVISED, _CHOSEN, tried, fixed=fixed)
                except BadInput:
                    continue
                other = self._scores(holding)
                if self._clearly(other, score) and (found is None or other.total > found[2].total):
                    found = (holding, tried, other)
        return found

    def _scores(self, holding: Holding) -> _Scored:
        runner = Runner(self.desk.np, self.desk.book, self.desk.long_shots)
        runner.assessed(holding)  # before several threads ask for it
        outcomes = list(in_order(lambda scene: runner.play(scene, holding), self.desk.scenes))
        paths = self.desk.np.concatenate(
            [score_of(self.desk.np, o, self.desk.capital, self.desk.question.charge) for o in outcomes]
        )
        crash = self.desk.windows.score(runner, holding, self.desk.capital)
        weight, long_shots = self.desk.crash_chance, self.desk.gamble
        fenced = {index for index, place in enumerate(holding.places) if place.kind != "cross"}
        return _Scored(
            paths, crash, (1 - weight) * float(paths.mean()) + weight * crash,
            fences=len(fenced - long_shots), bare=len(long_shots - fenced),
        )  # fmt: skip

    def _clearly(self, one: _Scored, other: _Scored) -> bool:
        """Whether one score is above another by more than chance and by more than nothing; a fence must be worth it.

        One that leaves fewer long shots bare is, unless the other is clearly above it.
        """
        if one.bare < other.bare:
            return not self._clearly(other, one)
        difference = one.paths - other.paths
        error = (1 - self.desk.crash_chance) * float(self.desk.np.std(difference)) / len(difference) ** 0.5
        worth = FENCE if one.fences > other.fences or one.bare > other.bare else _MATERIAL
        return bool(one.total - other.total > max(_CLEAR * error, worth))

    def _units(self) -> list[tuple[int, ...]]:
        grouped = {index for group in self.desk.groups for index in group.members}
        return [group.members for group in self.desk.groups] + [
            (index,) for index in range(len(self.desk.roles)) if index not in grouped
        ]

    def _states(self, unit: Sequence[int]) -> tuple[str, ...]:
        if len(unit) > 1:
            return ("cross", f"sub:hedge {1 + next(n for n, g in enumerate(self.desk.groups) if unit[0] in g.members)}")
        role = self.desk.roles[unit[0]]
        wider = role.kind != "long shot" and (role.initial is None or role.comfortable > role.initial)
        return ("cross", "isolated", "comfortable") if wider else ("cross", "isolated")


__all__ = ["FENCE", "Search"]
