"""Accounts that hold parts of one portfolio book, played on the same paths and through the same past windows.

Needs numpy.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadAccount
from ringfence.study.advice.crashes import Windows
from ringfence.study.advice.desk import SAFE
from ringfence.study.advice.option_curves import Paths, Prices, Surface
from ringfence.study.advice.scene import Agreement, scenes
from ringfence.study.advice.trials import Chance, Outcome, score_of
from ringfence.study.portfolio_curve import LEAST, MOST, surplus_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.account import Account
    from ringfence.study.advice.holding import Book
    from ringfence.study.advice.moves import Moves
    from ringfence.study.advice.scene import Outlook
    from ringfence.tape.bars import Tape

_SPARSE = 3  # of so many points of a curve a comparison takes one
_LOOKS = 60  # points of paths at which the exact lane is asked


class Played(NamedTuple):
    """One account on all paths and in all windows. ``scores``: by path; ``total``: crashes weighed in."""

    surface: Surface
    lowest: Any
    dead: Any
    left: Any
    scores: Any
    windows: Mapping[str, tuple[bool, float]]
    total: Chance


class Draft(NamedTuple):
    """How an account does on some of the paths: the share that it does not outlast, and what it is short of.

    ``short``: of the balance that outlasts :data:`SAFE` of them, negative where there is more.
    """

    share: float
    short: float


class Table:
    """Where accounts are played: the same paths and past windows for each, as ratios of every coin's price."""

    def __init__(self, np: Any, book: Book, moves: Moves, outlook: Outlook, tape: Tape | None) -> None:
        self.np, self.book, self.outlook = np, book, outlook
        self.leading = leading(book)
        self.coins, symbols = tuple(self.leading), tuple(self.leading.values())
        start = np.array([float(book.marks[symbol]) for symbol in symbols])
        self.blocks = [Paths(np, scene.prices / start) for scene in scenes(np, book, symbols, moves, outlook)]
        self.windows = Windows(np, book, symbols, tape=tape)
        self.past = {name: Paths(np, scene.prices / start) for name, scene in self.windows.scenes.items()}
        self.prices = Prices(book.account, book.marks, book.rulebook, self.coins)
        self.sparse = Prices.sparse(self.blocks[0], every=_SPARSE)
        self.weight = self.windows.chance(outlook.days)
        self.capital = self._surface(book.account).balance
        if self.capital <= 0:
            raise BadAccount("nothing is left to advise on", where="account.wallet", expected="a balance above 0",
                             found=f"{self.capital:.2f}", hint="see `ringfence rescue`")  # fmt: skip

    def _surface(self, account: Account) -> Surface:
        return Surface(account, self.book.marks, self.book.rulebook, self.coins, self.prices)

    def draft(self, account: Account) -> Draft:
        """Return how an account does on the first block of paths, by curves of every third point: for comparisons."""
        book, points = self.book, self.sparse
        surface = Surface(account, book.marks, book.rulebook, self.coins, self.prices, points=points)
        walk = surface.walk(self.np, self.blocks[0])
        return Draft(float(walk.dead.mean()), -float(self.np.quantile(walk.lowest, 1 - SAFE)))

    def drafted(self, played: Played) -> Draft:
        """Return the draft of an account that was played, on the paths of drafts."""
        paths = self.blocks[0].last.shape[0]
        lowest = self.np.quantile(played.lowest[:paths], 1 - SAFE)
        return Draft(float(played.dead[:paths].mean()), -float(lowest))

    def play(self, account: Account) -> Played:
        """Return what becomes of an account."""
        np = self.np
        surface = self._surface(account)
        walks = [surface.walk(np, block) for block in self.blocks]
        lowest, dead, left = (np.concatenate([walk[part] for walk in walks]) for part in range(3))
        scores = score_of(np, Outcome(left, dead, (), dead), self.capital)
        windows, crashed = {}, []
        for name, window in self.past.items():
            walk = surface.walk(np, window)
            windows[name] = (bool(walk.dead[0]), float(walk.left[0]) / self.capital)
            if name in self.windows.crashes:
                crashed.append(float(score_of(np, Outcome(walk.left, walk.dead, (), walk.dead), self.capital)[0]))
        mean = float(scores.mean())
        crash = sum(crashed) / len(crashed) if crashed else mean
        error = float(np.std(scores) / sqrt(max(1, len(scores) - 1)))
        total = Chance((1 - self.weight) * mean + self.weight * crash, (1 - self.weight) * error)
        return Played(surface, lowest, dead, left, scores, windows, total)

    def checked(self, played: Played) -> Agreement:
        """Hold the curves to the exact lane: at random points of the paths, and where past windows come nearest."""
        np, draw = self.np, self.np.random.Generator(self.np.random.PCG64([self.outlook.seed, 2]))
        points = []
        for _ in range(_LOOKS):
            block = self.blocks[int(draw.integers(len(self.blocks)))].ratios
            points.append(block[int(draw.integers(block.shape[0])), int(draw.integers(block.shape[1]))])
        worst_at = {name: int(np.argmin(played.surface.change(np, w.ratios)[:, 0])) for name, w in self.past.items()}
        points += [self.past[name].ratios[step, 0] for name, step in worst_at.items()]
        same, worst = 0, 0.0
        for point in points:
            found = played.surface.exactly([float(ratio) for ratio in point])
            near = played.surface.surplus + float(played.surface.change(np, point))
            exactly = float(surplus_of(found))
            same += (near <= 0) == (exactly <= 0)
            worst = max(worst, abs(near - exactly) / max(abs(float(found.liquidation_requirement or 0)), 1e-9))
        return Agreement(same, len(points), worst)

    def clamped(self) -> float:
        """Return the share of all path points beyond the curves' ends."""
        beyond = sum(int(((b.ratios < LEAST) | (b.ratios > MOST)).sum()) for b in self.blocks)
        return float(beyond / sum(block.ratios.size for block in self.blocks))

    def needed(self, played: Played) -> float:
        """Return the balance with which an account outlasts :data:`SAFE` of the paths."""
        return max(0.0, played.surface.balance - float(self.np.quantile(played.lowest, 1 - SAFE)))


def leading(book: Book) -> dict[str, str]:
    """Return by coin the symbol whose prices move its risk unit: its first that is no option, else its first."""
    found: dict[str, str] = {}
    for options in (False, True):
        for position in book.positions:
            contract = book.rulebook.contract(position.symbol)
            if contract.option is options:
                found.setdefault(contract.risk_unit, position.symbol)
    return found


__all__ = ["Draft", "Played", "Table", "leading"]
