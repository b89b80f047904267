"""A portfolio account with options over many prices at once: its balance and surplus, read off exact curves.

One path of prices per coin moves the coin's whole risk unit: dated contracts keep their share above or below spot,
options are valued at unchanged implied volatility and unchanged time, coins as collateral follow. Each coin's curve is
of exact points (:mod:`ringfence.study.portfolio_curve`); coins do not offset one another. In floats; the exact lane is
asked at single points by :meth:`Surface.exactly`. Needs numpy.

Many accounts are looked at that hold parts of one book: what a quantity of a contract brings into its unit at a price
is computed once for all of them (:class:`Prices`), and paths are brought to whole bins once (:class:`Paths`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from math import exp, log
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Backing, pools
from ringfence.margin.assess import assess
from ringfence.margin.portfolio.marks import scaled_marks
from ringfence.margin.price import unit_prices
from ringfence.numbers import ZERO, exact
from ringfence.study.portfolio_curve import LEAST, MOST, POINTS, curves, factor_of, places, surplus_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.account import Account, Marks, Pool, Position
    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.portfolio.parts import Part, Place, Totals
    from ringfence.rulebook import Rulebook

_BINS = 16384  # of the logarithm of a price between the curves' ends: 0.03 % each


class Walk(NamedTuple):
    """An account along paths. ``lowest``: smallest surplus of each; ``left``: balance at its end, 0 where it died."""

    lowest: Any
    dead: Any
    left: Any


class Paths:
    """Ratios of prices to today's, (steps, paths, coins), made ready: the bin of each, and the ratios at the end."""

    def __init__(self, np: Any, ratios: Any) -> None:
        width = (log(MOST) - log(LEAST)) / (_BINS - 1)
        bins = np.clip(np.rint((np.log(ratios) - log(LEAST)) / width), 0, _BINS - 1).astype(np.int16)
        self.bins = [np.ascontiguousarray(bins[..., coin]) for coin in range(ratios.shape[-1])]
        self.ratios, self.last = ratios, ratios[-1]
        self.reach = float(np.log(ratios.min())), float(np.log(ratios.max()))
        self.at = log(LEAST) + width * np.arange(_BINS)


class Prices:
    """The coins of a book at every point of the curves, for all accounts that hold parts of it.

    ``places``: by coin, one for each point, which :data:`ringfence.study.portfolio_curve.POINTS` counts. None where an
    account's coins depend on one another: each account is then assessed by itself.
    """

    def __init__(self, account: Account, marks: Marks, rulebook: Rulebook, coins: Sequence[str]) -> None:
        self.marks, self.rulebook, self.coins = marks, rulebook, tuple(coins)
        found = assess(basket_of(account, rulebook), marks, rulebook)
        self.parts = unit_prices(found).parts if found.portfolio is not None else None
        self.places: dict[str, list[Place]] | None = None
        if self.parts is not None and self.parts.by_scenario:
            self.places = {coin: self._places(found, coin) for coin in self.coins}
        self._known: dict[object, dict[int, Part]] = {}

    @staticmethod
    def sparse(paths: Paths, *, every: int) -> list[int]:
        """Return every so many points of the curves as far as paths go, today's among them."""
        logs = places()
        today, (low, high) = logs.index(0.0), paths.reach
        inside = [n for n in range(today % every, POINTS, every) if low <= logs[n] <= high]
        first, last = max(0, min(inside) - every), min(POINTS - 1, max(inside) + every)
        return sorted({first, *inside, last})

    @exact
    def _places(self, found: Assessment, coin: str) -> list[Place]:
        assert self.parts is not None  # noqa: S101 - asked before
        symbols = {contract.symbol for contract, _ in self.parts.held[coin]}
        own = {line.position.symbol: line.mark_price for line in found.lines}
        made = []
        for place in places():
            factors = dict.fromkeys(symbols, factor_of(exp(place)))
            made.append(self.parts.place(coin, scaled_marks(found.pool, own, self.rulebook.contract, factors)))
        return made

    def along(
        self, coin: str, held: Sequence[tuple[Contract, Position]], pool: Pool, chosen: Sequence[int]
    ) -> list[Part]:
        """Return the part of ``held`` at ``chosen`` points of a coin, for a pool with the balances of ``pool``."""
        assert self.places is not None  # noqa: S101 - asked before
        key = (coin, pool.balances.get(coin), *((p.symbol, p.quantity, p.entry_price) for _, p in held))
        known = self._known.setdefault(key, {})
        places_of = self.places[coin]
        for n in chosen:
            if n not in known:
                known[n] = places_of[n].part(held, pool)
        return [known[n] for n in chosen]


def basket_of(account: Account, rulebook: Rulebook) -> Pool:
    """Return the one pool of a portfolio account."""
    return next(
        pool for pool in pools(account, rulebook.contract, rulebook.collateral) if pool.mode.backing is Backing.BASKET
    )


class Surface:
    """One account's surplus and balance at the prices of ``coins``, each as a ratio to today's.

    ``shared``: the prices of a book that the account holds parts of; its own where none are given. ``points``: of the
    curves, by number and today's among them; beyond the first and the last of them a curve stays as it is there.
    """

    def __init__(
        self, account: Account, marks: Marks, rulebook: Rulebook, coins: Sequence[str], shared: Prices | None = None,
        *, points: Sequence[int] = range(POINTS),
    ) -> None:  # fmt: skip
        self.account, self._marks, self._rulebook = account, marks, rulebook
        self.coins = tuple(coins)
        self._pool = basket_of(account, rulebook)
        shared = shared or Prices(account, marks, rulebook, [c for c in coins if c in self._held()])
        self._curves: dict[str, tuple[list[float], list[float], list[float]]] = {}
        if shared.places is not None and set(self.coins) <= set(shared.places):
            self._from_parts(shared, points)
        else:
            self._assessed()

    def _held(self) -> dict[str, list[tuple[Contract, Position]]]:
        found: dict[str, list[tuple[Contract, Position]]] = {}
        for position in self._pool.positions:
            contract = self._rulebook.contract(position.symbol)
            found.setdefault(contract.risk_unit, []).append((contract, position))
        return found

    @cached_property
    def assessment(self) -> Assessment:
        """The account's pool at today's marks."""
        return assess(self._pool, self._marks, self._rulebook)

    @exact
    def _from_parts(self, shared: Prices, chosen: Sequence[int]) -> None:
        held, today = self._held(), places().index(0.0)
        logs, today = [places()[n] for n in chosen], chosen.index(today)
        along = {coin: shared.along(coin, held.get(coin, []), self._pool, chosen) for coin in self.coins}
        here = self._together(shared, [parts[today] for parts in along.values()])
        self.balance, self.surplus = float(here.balance), float(here.balance - here.required)
        self.dead = here.balance <= here.required if here.required else here.balance < 0
        for coin, parts in along.items():
            others = [other[today] for name, other in along.items() if name != coin]
            there = [self._together(shared, [part, *others]) for part in parts]
            changes = [float((at.balance - at.required) - (here.balance - here.required)) for at in there]
            self._curves[coin] = (logs, changes, [float(at.balance - here.balance) for at in there])

    def _together(self, shared: Prices, parts: Sequence[Part]) -> Totals:
        assert shared.parts is not None  # noqa: S101 - asked before
        return shared.parts.together(parts, self._pool)

    def _assessed(self) -> None:
        """Make the curves of an account whose coins depend on one another from assessments of the whole."""
        found = self.assessment
        self.balance, self.surplus = float(found.margin_balance or ZERO), float(surplus_of(found))
        self.dead = bool(found.liquidatable)
        made = curves(found) if found.lines else ()
        self._curves = {curve.coin: (curve.factors, curve.changes, curve.gains) for curve in made}
        for coin in self.coins:
            if coin not in self._curves:  # closed whole, but perhaps still held as collateral
                grid = places()
                gains = [self._collateral(coin, place) for place in grid]
                self._curves[coin] = (grid, gains, gains)

    @exact
    def _collateral(self, coin: str, place: float) -> float:
        """Return what collateral in a coin gains where its index moves by ``exp(place)``."""
        gained = ZERO
        for item in self.assessment.assets:
            if item.terms.moves_with == coin and item.equity is not None:
                moved = replace(item.terms, index=item.terms.index * factor_of(exp(place)))
                gained += moved.value(item.equity) - item.terms.value(item.equity)
        return float(gained)

    def change(self, np: Any, ratios: Any) -> Any:
        """Return the change of the surplus at ``ratios`` of shape (…, coins)."""
        return self._read(np, np.log(ratios), 1)

    def gain(self, np: Any, ratios: Any) -> Any:
        """Return the change of the balance at ``ratios`` of shape (…, coins)."""
        return self._read(np, np.log(ratios), 2)

    def _read(self, np: Any, logs: Any, which: int) -> Any:
        total: Any = 0.0
        for column, coin in enumerate(self.coins):
            curve = self._curves[coin]
            total = total + np.interp(logs[..., column], curve[0], curve[which])
        return total

    def walk(self, np: Any, paths: Paths) -> Walk:
        """Return what becomes of the account on paths."""
        total: Any = 0.0
        for coin, bins in zip(self.coins, paths.bins, strict=True):
            curve = self._curves[coin]
            total = total + np.interp(paths.at, curve[0], curve[1]).astype(np.float32).take(bins)
        lowest = self.surplus + total.min(axis=0).astype(float)
        dead = (lowest <= 0) | self.dead
        left = np.maximum(self.balance + self.gain(np, paths.last), 0.0)
        return Walk(lowest, dead, np.where(dead, 0.0, left))

    def fall(self, sigmas: Mapping[str, float]) -> float:
        """Return the largest fall of the surplus where every coin moves by up to its share of ``sigmas`` in logs.

        Coins are added up, each at its worst: they may all turn at once.
        """
        worst = 0.0
        for coin, reach in sigmas.items():
            factors, changes, _ = self._curves[coin]
            inside = [change for place, change in zip(factors, changes, strict=True) if abs(place) <= reach]
            edges = [_between(factors, changes, place) for place in (-reach, reach)]
            worst -= min(0.0, *inside, *edges)
        return worst

    def exactly(self, ratios: Sequence[float]) -> Assessment:
        """Return the account's pool assessed by the exact lane where every coin stands at its ratio."""
        found = self.assessment
        by_coin = {coin: factor_of(ratio) for coin, ratio in zip(self.coins, ratios, strict=True)}
        factors = {line.position.symbol: by_coin[line.contract.risk_unit] for line in found.lines}
        moved = _scaled(found, self._marks, self._rulebook, factors)
        known = found.portfolio.known if found.portfolio is not None else None
        return assess(found.pool, moved, self._rulebook, known=known)


@exact
def _scaled(found: Assessment, marks: Marks, rulebook: Rulebook, factors: Mapping[str, Any]) -> Marks:
    own = {line.position.symbol: marks[line.position.symbol] for line in found.lines}
    return scaled_marks(found.pool, own, rulebook.contract, factors)


def _between(places: Sequence[float], values: Sequence[float], at: float) -> float:
    """Return the value at a place, straight between the two points around it."""
    if at <= places[0]:
        return values[0]
    for (left, low), (right, high) in pairwise(zip(places, values, strict=True)):
        if left <= at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return values[-1]


__all__ = ["Paths", "Prices", "Surface", "Walk", "basket_of"]
