"""What ways of holding a book come to on simulated paths: how often they are liquidated, what they lose, what they use.

Every way sees the same paths, so that their differences are known better than each of them. The ways are ranked by
:func:`score_of`: the mean logarithm of what is left, which weighs a loss the more the less remains, less a charge for
every path on which anything is liquidated. Both are ours.
"""

from __future__ import annotations

from math import exp, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.margin.assess import assess_account
from ringfence.numbers import ZERO, exact
from ringfence.study.advice.scene import Agreement, check, played, valued

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Quantity, Value
    from ringfence.study.advice.holding import Book, Holding
    from ringfence.study.advice.moves import Moves
    from ringfence.study.advice.scene import Margins, Outlook, Scene, Valued

FLOOR = 0.01
"""Less than this share of the capital counts as this share: a logarithm of nothing is without end. Ours."""

CHARGE = 0.25
"""What a liquidation counts as besides what it loses, in the score, as a share of the capital. Ours.

A long shot that stands behind itself is excepted: its margin is a stake that is meant to be lost.
"""

WORST = 0.05
"""The tail: the mean of the worst twentieth of the paths. Ours."""

_BARS = 40
_RUIN = 0.1


class Chance(NamedTuple):
    """A share of paths and its standard error; with none or all of them the error of one path."""

    share: float
    error: float


class Trial(NamedTuple):
    """One way on all paths. Results as shares of the capital: 0 is what it was, −1 is nothing left.

    ``liquidated``: anything at all; ``ruined``: less than a tenth left; ``by_position``: by the runner's legs;
    ``rest``: anything but that position.
    ``mean``, ``worst`` (mean of the worst twentieth), ``score`` with their standard errors; ``quantiles``: 5, 25, 50,
    75, 95 %. ``bars``: paths by result, in equal steps from −1 to the trial's common upper end. ``used``: capital tied
    up as margin, ``idle``: cash that no liquidation can reach, by asset.
    """

    holding: Holding
    liquidated: Chance
    ruined: Chance
    by_position: tuple[Chance, ...]
    rest: tuple[Chance, ...]
    mean: Chance
    worst: Chance
    score: Chance
    quantiles: tuple[float, ...]
    bars: tuple[int, ...]
    used: Mapping[str, Value]
    idle: Mapping[str, Value]


class Trials(NamedTuple):
    """All ways on the same paths. ``above``: by (one, other), how much the score of one is above, with its error.

    ``top``: the upper end of the bars; ``agreement``: of the fast lane with the exact one.
    """

    trials: tuple[Trial, ...]
    above: Mapping[tuple[str, str], Chance]
    top: float
    paths: int
    capital: float
    agreement: Agreement


def start_capital(book: Book, worth: Valued, symbols: Sequence[str], np: Any) -> float:
    """Return the equity of the book at its marks, in dollars."""
    here = np.array([float(book.marks[symbol]) for symbol in symbols])
    total = 0.0
    for assessment in assess_account(book.account, book.marks, book.rulebook):
        if assessment.asset is not None:
            total += float(assessment.margin_balance or ZERO) * float(worth.at(assessment.asset, here))
        else:
            for item in assessment.assets:
                held = float((item.balance or ZERO) + item.unrealised_pnl)
                total += held * float(worth.at(item.asset, here)) if held else 0.0
    return total


class Outcome(NamedTuple):
    """One way on one scene, by path. ``left``: dollars; ``dead``: whether anything was liquidated, or by position.

    ``charged``: whether anything was that the score charges for: all but long shots that stand behind themselves.
    """

    left: Any
    dead: Any
    positions: tuple[Any, ...]
    charged: Any


class Runner:
    """Plays ways of holding one book on scenes.

    ``long_shots``: (symbol, signed quantity) of those whose margin is a stake to be lost. ``legs``: (symbol, side) in
    the order of outcomes, that of the book if None; a way may leave some of them out.
    """

    def __init__(
        self,
        np: Any,
        book: Book,
        long_shots: frozenset[tuple[str, Quantity]] = frozenset(),
        legs: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        self.np, self.book, self.long_shots = np, book, long_shots
        self.legs = tuple((p.symbol, p.side) for p in book.positions) if legs is None else tuple(legs)
        self._assessed: dict[str, tuple[tuple[str, Assessment], ...]] = {}

    def assessed(self, holding: Holding) -> tuple[tuple[str, Assessment], ...]:
        """Return the holding's pools by account, assessed once."""
        if holding.name not in self._assessed:
            self._assessed[holding.name] = holding.assessed(self.book.marks, self.book.rulebook)
        return self._assessed[holding.name]

    def play(self, scene: Scene, holding: Holding) -> Outcome:
        """Return what becomes of a holding on a scene."""
        np = self.np
        left = np.zeros(scene.paths)
        dead = np.zeros(scene.paths, dtype=bool)
        charged = dead
        by_leg: dict[tuple[str, str], Any] = {}
        for _, assessment in self.assessed(holding):
            if not assessment.lines:
                for asset, balance in assessment.pool.balances.items():
                    if balance:
                        left = left + float(balance) * scene.worth.at(asset, scene.prices[-1])
                continue
            fate = scene.fate(assessment)
            left, dead = left + fate.left, dead | fate.dead
            first = assessment.lines[0].position
            if not (assessment.pool.isolated and (first.symbol, first.quantity) in self.long_shots):
                charged = charged | fate.dead
            for line in assessment.lines:
                by_leg[line.position.symbol, line.position.side] = fate.dead
        alive = np.zeros(scene.paths, dtype=bool)
        return Outcome(left, dead, tuple(by_leg.get(leg, alive) for leg in self.legs), charged)


def score_of(np: Any, outcome: Outcome, capital: float, charge: float = CHARGE) -> Any:
    """Return the score of every path: ``log(max(left ÷ capital, floor))`` less the charge where it is due."""
    return np.log(np.maximum(outcome.left / capital, FLOOR)) - charge * outcome.charged


def run_trials(
    runner: Runner,
    symbols: Sequence[str],
    moves: Moves,
    outlook: Outlook,
    holdings: Sequence[Holding],
    *,
    margins: Margins | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trials:
    """Return what every holding comes to on ``outlook.paths`` paths from the marks of the runner's book.

    Results are shares of that book's equity. ``progress``: told the share that is done.
    """
    np, book = runner.np, runner.book
    for holding in holdings:
        runner.assessed(holding)  # before several threads ask for it

    def work(scene: Scene) -> tuple[list[Outcome], Agreement]:
        outcomes = [runner.play(scene, holding) for holding in holdings]
        return outcomes, check(scene, holdings, book.marks, book.rulebook)

    collected: list[list[Outcome]] = [[] for _ in holdings]
    agreement, done = Agreement(0, 0, 0.0), 0
    for outcomes, looked in played(np, book, symbols, moves, outlook, work, samples=_CHECKED, margins=margins):
        for one, outcome in zip(collected, outcomes, strict=True):
            one.append(outcome)
        agreement += looked
        done += len(outcomes[0].left)
        if progress is not None:
            progress(done / outlook.paths)
    capital = start_capital(book, valued(book, symbols), symbols, np)
    joined = [_joined(np, outcomes) for outcomes in collected]
    scores = [score_of(np, o, capital) for o in joined]
    best = max((float(np.quantile(o.left / capital - 1, 0.995)) for o in joined), default=0.5)
    top = max(0.1, round(best + 0.05, 1))
    trials = tuple(
        trial_of(np, runner, holding, outcome, score, capital=capital, top=top)
        for holding, outcome, score in zip(holdings, joined, scores, strict=True)
    )
    above = {
        (one.name, other.name): _mean(np, scores[i] - scores[j])
        for i, one in enumerate(holdings)
        for j, other in enumerate(holdings)
        if i != j
    }
    return Trials(trials, above, top, outlook.paths, capital, agreement)


_CHECKED = 60  # points of paths that are held to the exact lane, for every pool


def _joined(np: Any, outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        np.concatenate([o.left for o in outcomes]),
        np.concatenate([o.dead for o in outcomes]),
        tuple(np.concatenate(parts) for parts in zip(*(o.positions for o in outcomes), strict=True)),
        np.concatenate([o.charged for o in outcomes]),
    )


def trial_of(
    np: Any, runner: Runner, holding: Holding, outcome: Outcome, score: Any, *, capital: float, top: float
) -> Trial:
    """Return what one way comes to, from its outcome and score by path."""
    result = outcome.left / capital - 1
    tail = np.sort(result)[: max(1, int(len(result) * WORST))]
    bars, _ = np.histogram(np.clip(result, -1, top), bins=_BARS, range=(-1, top))
    used, idle = _capital(runner.assessed(holding))
    return Trial(
        holding,
        chance(outcome.dead),
        chance(result < _RUIN - 1),
        tuple(chance(dead) for dead in outcome.positions),
        tuple(chance(_others(np, outcome.positions, index)) for index in range(len(outcome.positions))),
        _mean(np, result),
        _mean(np, tail),
        _mean(np, score),
        tuple(float(q) for q in np.quantile(result, (0.05, 0.25, 0.5, 0.75, 0.95))),
        tuple(int(bar) for bar in bars),
        used,
        idle,
    )


def _others(np: Any, dead: Sequence[Any], index: int) -> Any:
    others = [one for number, one in enumerate(dead) if number != index]
    return np.logical_or.reduce(others) if others else np.zeros(len(dead[index]), dtype=bool)


def chance(happened: Any) -> Chance:
    """Return the share of paths on which something happened."""
    count = len(happened)
    share = float(happened.mean())
    p = min(max(share, 1 / count), 1 - 1 / count)
    return Chance(share, sqrt(p * (1 - p) / count))


def _mean(np: Any, values: Any) -> Chance:
    error = float(np.std(values) / sqrt(max(1, len(values) - 1)))
    return Chance(float(np.mean(values)), error)


@exact
def _capital(assessed: Sequence[tuple[str, Assessment]]) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return what is tied up and what no liquidation reaches, by asset (``account`` for a basket)."""
    used: dict[str, Value] = {}
    idle: dict[str, Value] = {}
    for _, assessment in assessed:
        name = assessment.asset or "account"
        if assessment.lines:
            tied = assessment.wallet_balance if assessment.pool.isolated else assessment.initial_margin
            used[name] = used.get(name, ZERO) + (tied or ZERO)
        else:
            idle[name] = idle.get(name, ZERO) + (assessment.margin_balance or ZERO)
    return used, idle


def certainty(score: float) -> float:
    """Return the sure result, as a share of the capital, whose logarithm a mean of logarithms is."""
    return exp(score) - 1


__all__ = ["CHARGE", "FLOOR", "WORST", "Chance", "Outcome", "Runner", "Trial", "Trials", "certainty",
           "chance", "run_trials", "score_of", "start_capital", "trial_of"]  # fmt: skip
