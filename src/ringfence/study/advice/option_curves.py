"""A portfolio account with options over many prices at once: its balance and surplus, read off exact curves.

One path of prices per coin moves the coin's whole risk unit: dated contracts keep their share above or below spot,
options are valued at unchanged implied volatility and unchanged time, coins as collateral follow. Each coin's curve is
of exact points (:mod:`ringfence.study.portfolio_curve`); coins do not offset one another. In floats; the exact lane is
asked at single points by :meth:`Surface.exactly`. Needs numpy.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Backing
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.portfolio.marks import scaled_marks
from ringfence.numbers import ZERO, exact
from ringfence.study.portfolio_curve import curves, factor_of, places, surplus_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.account import Account, Marks
    from ringfence.margin.assessment import Assessment
    from ringfence.rulebook import Rulebook


class Walk(NamedTuple):
    """An account along paths. ``lowest``: smallest surplus of each; ``left``: balance at its end, 0 where it died."""

    lowest: Any
    dead: Any
    left: Any


class Surface:
    """One account's surplus and balance at the prices of ``coins``, each as a ratio to today's."""

    def __init__(self, account: Account, marks: Marks, rulebook: Rulebook, coins: Sequence[str]) -> None:
        pools = assess_account(account, marks, rulebook)
        self.assessment: Assessment = next(a for a in pools if a.pool.mode.backing is Backing.BASKET)
        self.account, self._marks, self._rulebook = account, marks, rulebook
        self.coins = tuple(coins)
        self.balance = float(self.assessment.margin_balance or ZERO)
        self.surplus = float(surplus_of(self.assessment))
        self._curves = {curve.coin: (curve.factors, curve.changes, curve.gains) for curve in self._made()}
        for coin in self.coins:
            if coin not in self._curves:  # closed whole, but perhaps still held as collateral
                grid = places()
                gains = [self._collateral(coin, place) for place in grid]
                self._curves[coin] = (grid, gains, gains)

    def _made(self) -> Sequence[Any]:
        return curves(self.assessment) if self.assessment.lines else ()

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

    def walk(self, np: Any, ratios: Any) -> Walk:
        """Return what becomes of the account on paths of ``ratios``: (steps, paths, coins)."""
        lowest = self.surplus + self.change(np, ratios).min(axis=0)
        dead = (lowest <= 0) | bool(self.assessment.liquidatable)
        left = np.maximum(self.balance + self.gain(np, ratios[-1]), 0.0)
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
    for (left, low), (right, high) in zip(
        zip(places, values, strict=True), zip(places[1:], values[1:], strict=True), strict=False
    ):  # fmt: skip
        if left <= at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return values[-1]


__all__ = ["Surface", "Walk"]
