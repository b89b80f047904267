"""A book on very many price paths at once: which pools are liquidated, and what is left, in floats.

A *scene* is a block of paths: prices by step, path and symbol. Each leg's gain and requirement are computed once for
the whole block and added up into whatever pools a way of holding the book makes of them, so another way costs little.
Frequencies are all that is taken from here; :func:`check` holds what is said of single points to the exact lane.

A pool is liquidated at the first step at whose end its balance is at or below its requirement, and is then taken over
whole: nothing of it is left. Needs numpy.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from math import ceil, sqrt
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ringfence.account import DOLLARS, Backing
from ringfence.errors import BadAccount, BadConfiguration
from ringfence.margin.assess import assess
from ringfence.margin.basket import pool_at
from ringfence.study.advice.moves import MINUTES_A_DAY
from ringfence.study.cores import in_order
from ringfence.study.likelihood import Margin, requirement, root
from ringfence.tape.coins import coin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ringfence.account import Marks
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.rulebook import Rulebook
    from ringfence.study.advice.holding import Book, Holding
    from ringfence.study.advice.moves import Moves

R = TypeVar("R")

_CELLS = 1_500_000  # steps × paths × symbols of one block: what fits into memory several times over
_SAME = 1e-9  # relative: nearer to the edge than this, floats and exact numbers may differ


class Outlook(NamedTuple):
    """What is simulated. ``days``: how far; ``tail``: degrees of freedom of Student's t, above 2; ``steps``: a day."""

    days: int = 7
    paths: int = 10_000
    seed: int = 1
    tail: float = 4.0
    steps: int = 24


def check_outlook(outlook: Outlook) -> None:
    """Raise BadConfiguration for what cannot be simulated."""
    if not 1 <= outlook.days <= 365 or outlook.paths < 500 or outlook.tail <= 2:
        raise BadConfiguration(
            "cannot be simulated", where="--days, --paths, --tail",
            expected="1 to 365 days, at least 500 paths, a tail above 2 (variance is infinite below)",
            found=f"{outlook.days} days, {outlook.paths} paths, tail {outlook.tail:g}",
            hint="such as --days 7 --paths 10000 --tail 4",
        )  # fmt: skip


class Valued(NamedTuple):
    """How much a unit of each asset is worth in dollars: a symbol on its coin whose price it is, or a constant."""

    column: Mapping[str, int]
    constant: Mapping[str, float]

    def at(self, asset: str, prices: Any) -> Any:
        """Return the price of an asset at prices of shape (…, symbols)."""
        return prices[..., self.column[asset]] if asset in self.column else self.constant[asset]


def valued(book: Book, symbols: Sequence[str]) -> Valued:
    """Return how the assets of a book are valued. Raises BadAccount for an asset that nothing says the price of."""
    assets = {asset for asset, balance in book.account.wallet.items() if balance}
    assets |= {book.asset(position) for position in book.positions}
    column: dict[str, int] = {}
    constant: dict[str, float] = {}
    for asset in sorted(assets):
        same = [index for index, symbol in enumerate(symbols) if coin_of(symbol) == coin_of(asset)]
        if asset in DOLLARS or asset in {"DAI", "FDUSD", "BUSD"}:
            constant[asset] = 1.0
        elif same:
            column[asset] = same[0]
        elif asset in book.account.index_prices:
            constant[asset] = float(book.account.index_prices[asset])
        elif asset in book.account.collateral:
            constant[asset] = float(book.account.collateral[asset].index)
        else:
            raise BadAccount(
                f"nothing says what {asset} is worth", where=f"account.wallet.{asset}",
                expected="a dollar, a coin that a held contract is on, or a collateral price",
                found=asset, hint=f'give "collateral": {{"{asset}": {{"index": "…"}}}}, or leave the asset out',
            )  # fmt: skip
    return Valued(column, constant)


class Fate(NamedTuple):
    """What became of one pool on every path. ``left``: by asset, of the paths on which it lives, 0 on the others."""

    dead: Any
    left: Any  # in dollars
    sampled: Any  # surplus at the scene's sampled points


class Margins:
    """Margins of baskets, by pool, found once: those of a portfolio are found point by point, exactly.

    Shared by all scenes of one study, which may be played at once.
    """

    def __init__(self) -> None:
        self._found: dict[Any, Margin] = {}
        self._lock = Lock()

    def of(self, assessment: Assessment, symbols: Sequence[str], key: Any) -> Margin:
        """Return the margin of a pool over arrays of prices of ``symbols``."""
        with self._lock:
            if (key, symbols) not in self._found:
                self._found[key, symbols] = Margin(assessment, symbols)
            return self._found[key, symbols]


class Scene:
    """A block of paths. ``prices``: (steps, paths, symbols); ``samples``: (steps, paths) to be checked exactly.

    ``margins``: shared by the scenes of one study.
    """

    def __init__(
        self, np: Any, symbols: Sequence[str], prices: Any, worth: Valued, samples: Any = None,
        *, margins: Margins | None = None,
    ) -> None:  # fmt: skip
        self.np, self.symbols, self.prices, self.worth, self.samples = np, tuple(symbols), prices, worth, samples
        self._column = {symbol: index for index, symbol in enumerate(symbols)}
        self._gains: dict[Any, Any] = {}
        self._required: dict[Any, Any] = {}
        self._fates: dict[Any, Fate] = {}
        self.margins = margins or Margins()

    @property
    def paths(self) -> int:
        """How many paths there are."""
        return int(self.prices.shape[1])

    def _value(self, line: PositionLine) -> Any:
        price = self.prices[:, :, self._column[line.position.symbol]]
        size = float(line.contract.contract_size)
        return size / price if line.contract.inverse else size * price

    def gain(self, line: PositionLine) -> Any:
        """Return what a leg gains from the mark on, in its settlement asset: (steps, paths)."""
        key = (line.position.symbol, line.position.quantity)
        if key not in self._gains:
            signed = float(line.position.quantity) * line.contract.orientation
            self._gains[key] = signed * (self._value(line) - float(line.contract_value))
        return self._gains[key]

    def required(self, line: PositionLine) -> Any:
        """Return a leg's liquidation requirement: (steps, paths)."""
        key = (line.position.symbol, line.position.quantity, *(id(x) if i == 3 else x for i, x in
               enumerate(line.charge)))  # fmt: skip
        if key not in self._required:
            here = requirement(self.np, line, self.np.array([float(line.contract_value)]))[0]
            known = float(line.liquidation_requirement or 0)  # a fee that no slope describes stays as it is now
            self._required[key] = requirement(self.np, line, self._value(line)) + (known - here)
        return self._required[key]

    def fate(self, assessment: Assessment) -> Fate:
        """Return what becomes of a pool."""
        held = tuple((line.position.symbol, line.position.quantity, line.liquidation_requirement) for line in
                     assessment.lines)  # fmt: skip
        mode = assessment.pool.mode
        key = (held, mode, assessment.balance_held_against, assessment.liquidation_requirement)
        if key not in self._fates:
            basket = mode.backing is Backing.BASKET
            self._fates[key] = self._basket(assessment, key) if basket else self._single(assessment)
        return self._fates[key]

    def _single(self, assessment: Assessment) -> Fate:
        balance, required = assessment.balance_held_against, assessment.liquidation_requirement
        assert balance is not None  # noqa: S101 - book_of() has asked
        assert required is not None  # noqa: S101 - as above
        own = sum((line.liquidation_requirement or Decimal(0) for line in assessment.lines), Decimal(0))
        equity: Any = float(balance)
        rest: Any = float(required - own)
        for line in assessment.lines:
            equity = equity + self.gain(line)
            rest = rest + self.required(line)
        asset = assessment.asset
        assert asset is not None  # noqa: S101 - a pool of a single asset
        last = self.worth.at(asset, self.prices[-1])
        return self._judged(assessment, equity - rest, equity[-1] * last)

    def lowest(self, assessment: Assessment) -> Any:
        """Return the smallest surplus of a basket on each path, in the account's currency."""
        margin = Margin(assessment, self.symbols)
        flat = margin.surplus(self.np, self.prices.reshape(-1, self.prices.shape[2]))
        return flat.reshape(self.prices.shape[:2]).min(axis=0)

    def _basket(self, assessment: Assessment, key: Any) -> Fate:
        shape = self.prices.shape
        margin = self.margins.of(assessment, self.symbols, key)
        flat = margin.surplus(self.np, self.prices.reshape(-1, shape[2]))
        left: Any = self.np.zeros(shape[1])
        for item in assessment.assets:
            total = float((item.balance or 0) + item.unrealised_pnl)
            gains = [self.gain(line)[-1] for line in assessment.lines if line.contract.settle_asset == item.asset]
            left = left + (total + sum(gains)) * self.worth.at(item.asset, self.prices[-1])
        return self._judged(assessment, flat.reshape(shape[:2]), left)

    def _judged(self, assessment: Assessment, surplus: Any, left: Any) -> Fate:
        dead = (surplus <= 0).any(axis=0) | bool(assessment.liquidatable)
        sampled = None if self.samples is None else surplus[self.samples]
        return Fate(dead, self.np.where(dead, 0.0, left), sampled)

    def need(self, lines: Sequence[PositionLine]) -> Any:
        """Return the cash that keeps these legs alive together on each path: the largest requirement less PnL."""
        short: Any = 0.0
        for line in lines:
            short = short + self.required(line) - self.gain(line) - float(line.unrealised_pnl)
        return short.max(axis=0)


class _Draw(NamedTuple):
    """What every block of paths is drawn from."""

    np: Any
    symbols: Sequence[str]
    worth: Valued
    start: Any
    factor: Any
    outlook: Outlook
    size: int
    looks: int
    margins: Margins

    def block(self, number: int) -> Scene:
        """Return a block of paths, from a stream of chance of its own."""
        np, outlook, steps = self.np, self.outlook, self.outlook.days * self.outlook.steps
        draw = np.random.Generator(np.random.PCG64([outlook.seed, number]))
        paths = min(self.size, outlook.paths - number * self.size)
        normal = draw.standard_normal((steps, paths, len(self.symbols))) @ self.factor.T
        wild = np.sqrt((outlook.tail - 2) / draw.chisquare(outlook.tail, (outlook.days, paths)))
        wild = np.repeat(wild, outlook.steps, axis=0)[:, :, None]
        fair = (self.factor**2).sum(axis=1) / 2  # half the variance of a step: no price is expected to rise or to fall
        prices = self.start * np.exp(np.cumsum(normal * wild - fair * wild**2, axis=0))
        chosen = None
        if self.looks:
            chosen = (draw.integers(steps, size=self.looks), draw.integers(paths, size=self.looks))
        return Scene(np, self.symbols, prices, self.worth, chosen, margins=self.margins)


def played(
    np: Any, book: Book, symbols: Sequence[str], moves: Moves, outlook: Outlook, work: Callable[[Scene], R],
    *, samples: int = 0, margins: Margins | None = None,
) -> Iterator[R]:  # fmt: skip
    """Yield what ``work`` makes of block after block of paths, until there are as many paths as asked for.

    Blocks are drawn and worked on several at a time, each from a stream of its own: the same arguments, the same paths,
    whatever the number of cores.

    Log prices make normal steps whose variance is that of a day: Student's t, one draw for all symbols and the whole
    day, so that wild days are wild for every symbol at once. No price is expected to rise or to fall.
    """
    start = np.array([float(book.marks[symbol]) for symbol in symbols])
    factor = root(np, moves.estimate) * sqrt(MINUTES_A_DAY / outlook.steps)
    size = min(outlook.paths, max(100, _CELLS // (outlook.days * outlook.steps * len(symbols))))
    blocks = ceil(outlook.paths / size)
    looks = max(1, samples // blocks) if samples else 0
    worth = valued(book, symbols)
    draw = _Draw(np, tuple(symbols), worth, start, factor, outlook, size, looks, margins or Margins())
    yield from in_order(partial(_worked, draw, work), range(blocks))


def _worked(draw: _Draw, work: Callable[[Scene], R], number: int) -> R:
    return work(draw.block(number))


def scenes(
    np: Any, book: Book, symbols: Sequence[str], moves: Moves, outlook: Outlook, *, margins: Margins | None = None
) -> Iterator[Scene]:
    """Yield the blocks of paths of :func:`played` themselves."""
    yield from played(np, book, symbols, moves, outlook, _itself, margins=margins)


def _itself(scene: Scene) -> Scene:
    return scene


class Agreement(NamedTuple):
    """How often the fast lane said of a pool at a point what the exact lane says, and the largest difference.

    ``difference``: of the surplus, as a share of the requirement.
    """

    same: int
    looks: int
    difference: float

    def __add__(self, other: object) -> Agreement:
        """Add the looks of two checks up."""
        if not isinstance(other, Agreement):
            return NotImplemented
        return Agreement(self.same + other.same, self.looks + other.looks, max(self.difference, other.difference))


def check(scene: Scene, holdings: Sequence[Holding], marks: Marks, rulebook: Rulebook) -> Agreement:
    """Hold what the scene says at its sampled points to :func:`ringfence.margin.assess.assess`, pool by pool."""
    if scene.samples is None:
        return Agreement(0, 0, 0.0)
    pools = {}
    for holding in holdings:
        for _, assessment in holding.assessed(marks, rulebook):
            if assessment.lines:
                fate = scene.fate(assessment)
                pools[id(fate)] = (assessment.pool, fate)
    same = looks = 0
    worst = 0.0
    for index, (step, path) in enumerate(zip(*scene.samples, strict=True)):
        row = scene.prices[step, path]
        exactly = {symbol: Decimal(repr(float(price))) for symbol, price in zip(scene.symbols, row, strict=True)}
        for pool, fate in pools.values():
            found = assess(pool_at(pool, marks, exactly), exactly, rulebook)
            balance, required = found.balance_held_against, found.liquidation_requirement
            if balance is None or required is None:
                continue
            surplus, near = float(balance - required), float(fate.sampled[index])
            scale = max(abs(float(required)), abs(float(balance)), 1e-12)
            looks += 1
            same += (near <= 0) == (surplus <= 0) or abs(near - surplus) <= _SAME * scale
            worst = max(worst, abs(near - surplus) / scale)
    return Agreement(same, looks, worst)


__all__ = ["Agreement", "Fate", "Margins", "Outlook", "Scene", "Valued", "check", "check_outlook", "played",
           "scenes", "valued"]  # fmt: skip
