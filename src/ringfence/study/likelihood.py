"""How likely each pool dies within a horizon: simulated paths with fat tails.

Log prices make steps that are multivariate Student t, scaled to the estimated covariance; a pool is dead once its
balance is at or below its requirement at the end of a step. The margin is that of the assessment (tiers, deductions,
closing fees, a basket's credits and debits), in floats: a test holds :class:`Margin` to the exact one. A portfolio's is
read off curves of exact points (:mod:`ringfence.study.portfolio_curve`). Needs numpy.
"""

from __future__ import annotations

from math import ceil, inf, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Backing
from ringfence.contract import coin
from ringfence.errors import BadConfiguration
from ringfence.study.cores import in_order
from ringfence.study.portfolio_curve import curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.account import Collateral
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.study.volatility import Estimate

_CELLS = 50_000  # paths × symbols of a block, which a core walks at once: arrays that stay in its cache
_FEWEST = 1_000  # paths of a block
_STEPS = 12  # a horizon is walked in that many steps, of at least a minute
_PATHS_AT_THE_ENDS = 20_000

MOST_PATHS = 5_000_000
"""The most paths that are simulated: they are held in memory. Ours."""


class Horizon(NamedTuple):
    """What is simulated. ``minutes``: how far; ``tail``: degrees of freedom of Student's t, above 2 (4: fat)."""

    minutes: int = 60
    paths: int = 100_000
    seed: int = 1
    tail: float = 4.0

    @property
    def steps(self) -> int:
        """Into how many steps the horizon is divided."""
        return max(1, min(_STEPS, self.minutes))


class Likelihood(NamedTuple):
    """The share of paths on which a pool dies, and its standard error. ``pool`` ``any``: at least one of them.

    ``spread``: how far the share is off at most where what was put in for coins that the tape lacks is at its ends.
    """

    pool: str
    deaths: int
    paths: int
    spread: float = 0.0

    @property
    def probability(self) -> float:
        """Deaths ÷ paths."""
        return self.deaths / self.paths

    @property
    def error(self) -> float:
        """The standard error ``√(p · (1 − p) ÷ paths + spread²)``; with no death or nothing but deaths, of one path."""
        p = min(max(self.probability, 1 / self.paths), 1 - 1 / self.paths)
        return sqrt(p * (1 - p) / self.paths + self.spread**2)


def check(horizon: Horizon) -> None:
    """Raise BadConfiguration for a horizon that cannot be simulated."""
    if horizon.minutes < 1 or not 100 <= horizon.paths <= MOST_PATHS or not 2 < horizon.tail < inf or horizon.seed < 0:
        raise BadConfiguration(
            "cannot be simulated", where="--horizon, --paths, --tail, --seed",
            expected=f"at least 1 minute, 100 to {MOST_PATHS:,} paths, a tail above 2 (variance is infinite below), "
            "a seed of 0 or more",
            found=f"{horizon.minutes} minutes, {horizon.paths} paths, tail {horizon.tail:g}, seed {horizon.seed}",
            hint="such as --horizon 60 --paths 100000 --tail 4",
        )  # fmt: skip


def numpy(asked_by: str = "distance", *, otherwise: str = ", or leave the likelihood out with --paths 0") -> Any:
    """Return numpy. ``otherwise``: what else can be done. Raises BadConfiguration where it is not installed."""
    from importlib import import_module

    try:
        return import_module("numpy")
    except ImportError:
        raise BadConfiguration(
            "the simulation needs numpy", where=asked_by, expected="numpy in this environment", found="none",
            hint=f"pip install 'ringfence[studies]'{otherwise}",
        ) from None  # fmt: skip


def simulate(
    assessments: Sequence[Assessment], estimate: Estimate, marks: Mapping[str, float], horizon: Horizon
) -> tuple[Likelihood, ...]:
    """Return the likelihood of death of every pool that holds positions, and of any of them. The same seed, the same.

    Pools that are liquidatable already die on every path. Where the estimate has coins that its tape lacks, fewer paths
    are walked again with each of its :meth:`~ringfence.study.volatility.Estimate.extremes`, which widens the error.
    """
    check(horizon)
    found = _walked(assessments, estimate, marks, horizon)
    fewer = horizon._replace(paths=min(horizon.paths, _PATHS_AT_THE_ENDS))
    ends = [_walked(assessments, end, marks, fewer) for end in estimate.extremes()]
    return tuple(
        one._replace(spread=max((abs(end[index].probability - one.probability) for end in ends), default=0.0))
        for index, one in enumerate(found)
    )


def _walked(
    assessments: Sequence[Assessment], estimate: Estimate, marks: Mapping[str, float], horizon: Horizon
) -> tuple[Likelihood, ...]:
    np = numpy()
    margins = [Margin(assessment, estimate.symbols) for assessment in assessments]
    size = max(_FEWEST, _CELLS // len(estimate.symbols))
    start = np.array([marks[symbol] for symbol in estimate.symbols])
    walk = _Walk(np, margins, start, root(np, estimate), horizon, size)
    blocks = list(in_order(walk.deaths, range(ceil(horizon.paths / size))))
    names = [*(margin.name for margin in margins), "any"][: len(margins) + (len(margins) > 1)]
    return tuple(
        Likelihood(name, sum(block[index] for block in blocks), horizon.paths) for index, name in enumerate(names)
    )


class _Walk(NamedTuple):
    """What every block of paths is walked with: each from a stream of chance of its own."""

    np: Any
    margins: Sequence[Margin]
    start: Any
    root: Any
    horizon: Horizon
    size: int

    def deaths(self, number: int) -> list[int]:
        """Return on how many paths of a block each pool dies, and last any of them."""
        np, horizon = self.np, self.horizon
        draw = np.random.Generator(np.random.PCG64([horizon.seed, number]))
        paths = min(self.size, horizon.paths - number * self.size)
        factor = self.root * sqrt(horizon.minutes / horizon.steps)
        scale = (horizon.tail - 2) / horizon.tail
        log = np.zeros((paths, len(self.start)))
        dead = [np.full(paths, margin.liquidatable) for margin in self.margins]
        for _ in range(horizon.steps):
            normal = draw.standard_normal(log.shape) @ factor.T
            spread = np.sqrt(scale * horizon.tail / draw.chisquare(horizon.tail, (paths, 1)))
            log += normal * spread
            prices = self.start * np.exp(log)
            dead = [gone | (margin.surplus(np, prices) <= 0) for margin, gone in zip(self.margins, dead, strict=True)]
        anything = np.logical_or.reduce(dead) if dead else np.zeros(paths, dtype=bool)
        return [*(int(gone.sum()) for gone in dead), int(anything.sum())]


def root(np: Any, estimate: Estimate) -> Any:
    """Return a matrix whose product with its transpose is the covariance per minute (also where it is singular)."""
    values, vectors = np.linalg.eigh(np.array(estimate.covariance))
    return vectors * np.sqrt(np.clip(values, 0, None))


class Margin:
    """A pool's surplus (balance − requirement) as a function of arrays of prices, one column per symbol."""

    def __init__(self, assessment: Assessment, symbols: Sequence[str]) -> None:
        self.name = assessment.pool.name
        self.liquidatable = bool(assessment.liquidatable)
        self._assessment = assessment
        self._column = {symbol: index for index, symbol in enumerate(symbols)}
        self._curves = curves(assessment) if assessment.portfolio is not None else ()

    def surplus(self, np: Any, prices: Any) -> Any:
        """Return balance − requirement at each row of ``prices``."""
        held = self._assessment
        zero = np.zeros(len(prices))
        if held.portfolio is not None:
            start = float(held.balance_held_against or 0) - float(held.liquidation_requirement or 0)
            return sum((c.change(np, prices[:, self._column[c.symbol]]) for c in self._curves), zero + start)
        gained: dict[str | None, Any] = {}
        required: dict[str | None, Any] = {}
        for line in held.lines:
            contract, price = line.contract, prices[:, self._column[line.position.symbol]]
            size = float(contract.contract_size)
            value = size / price if contract.inverse else size * price
            signed = float(line.position.quantity) * contract.orientation
            asset = contract.settle_asset
            gained[asset] = gained.get(asset, zero) + signed * (value - float(line.contract_value))
            more = requirement(np, line, value) - float(line.liquidation_requirement or 0)
            required[asset] = required.get(asset, zero) + more
        surplus = float(held.balance_held_against or 0) - float(held.liquidation_requirement or 0)
        if held.pool.mode.backing is not Backing.BASKET:
            return surplus + sum(gained.values(), zero) - sum(required.values(), zero)
        surplus += zero
        for item in held.assets:
            ratio = self._index(prices, item.terms.moves_with)
            equity = float(item.equity or 0) + gained.get(item.asset, zero)
            surplus += _counted(np, item.terms, equity, ratio) - float(item.value or 0)
            before = float(item.liquidation_requirement or 0)
            surplus -= (before + float(item.terms.ask) * required.get(item.asset, zero)) * ratio - before
        return surplus

    def _index(self, prices: Any, moves_with: str | None) -> Any:
        """Return the ratio by which an index moves: that of the first symbol of its coin, else 1."""
        for line in self._assessment.lines:
            if moves_with is not None and coin(line.position.symbol) == moves_with:
                return prices[:, self._column[line.position.symbol]] / float(line.mark_price)
        return 1.0


def _counted(np: Any, terms: Collateral, equity: Any, ratio: Any) -> Any:
    """Return what arrays of an asset's equity count for with the index ``ratio`` times what it is."""
    index = float(terms.index) * ratio
    per_unit = index if terms.unit == "usd" else 1.0
    amount = equity * per_unit
    before = 1 + float(terms.ask_buffer)
    total = amount * before
    for begins, rate in terms.steps():
        total = total + (float(rate) - before) * np.maximum(amount - float(begins), 0)
        before = float(rate)
    return total * index / per_unit


def requirement(np: Any, line: PositionLine, value: Any) -> Any:
    """Return a line's liquidation requirement at arrays of the value of one contract."""
    charge = line.charge
    fee = float(charge.fee_slope) * value + float(charge.fee)
    size, funding = float(charge.size), float(charge.funding)
    if not charge.moving:
        return fee + float(charge.fixed or 0)
    if charge.flat_rate is not None:
        return fee + size * value * (float(charge.flat_rate) + funding)
    if charge.table is None or not charge.size:
        return fee
    amount = float(charge.tier_slope) * value + float(charge.tier_offset)
    floors = np.array([float(floor) for floor in charge.table.floors])
    rates = np.array([float(tier.maintenance_rate or 0) for tier in charge.table.tiers])
    deductions = np.array([float(tier.deduction) for tier in charge.table.tiers])
    index = np.clip(np.searchsorted(floors, amount, side="right") - 1, 0, None)
    return fee + size * value * (rates[index] + funding) - deductions[index]


__all__ = ["MOST_PATHS", "Horizon", "Likelihood", "Margin", "check", "numpy", "requirement", "root", "simulate"]
