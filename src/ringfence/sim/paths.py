"""Price paths: calm, trend, gap, crash, spike and back, and what a feed gets wrong on top of them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import EXACT, round_to

if TYPE_CHECKING:
    from ringfence.sim.chance import Chance

_WILD = ((50, "calm"), (14, "trend"), (7, "crash"), (5, "rally"), (6, "gap"), (6, "spike"))
_TAME = ((60, "calm"), (60, "trend"), (2, "crash"), (1, "gap"), (1, "spike"))


class Path:
    """One symbol's true price. ``advance`` moves it by one tick, between a twentieth and twenty times its start."""

    __slots__ = ("_chance", "_drift", "_left", "_regime", "_regimes", "_return", "price", "start", "step")

    def __init__(self, chance: Chance, start: Decimal, step: Decimal) -> None:
        self._chance = chance
        self._regimes = _WILD if chance.happens(400) else _TAME
        self.start = self.price = start
        self.step = step
        self._regime, self._left, self._drift = "calm", 10, 0
        self._return = start

    def crash(self, ticks: int) -> None:
        """Let the price fall from now on, whatever it was doing: −2 to −6 % a tick."""
        self._regime, self._left = "crash", ticks

    def advance(self) -> Decimal:
        """Return the price of the next tick."""
        if self._left <= 0:
            self._regime = self._chance.weighted(self._regimes)
            self._left = self._chance.between(3, 30)
            self._drift = self._chance.between(-25, 25)
            self._return = self.price
        self._left -= 1
        bounded = min(max(EXACT.multiply(self.price, 1 + self._move()), self.start / 20), self.start * 20)
        self.price = max(self.step, round_to(bounded, self.step, rounding=ROUND_HALF_EVEN))
        return self.price

    def _move(self) -> Decimal:
        chance, regime = self._chance, self._regime
        if regime == "calm":
            return chance.fraction(-8, 8, places=4)
        if regime == "trend":
            return chance.fraction(-10, 10, places=4) + Decimal(self._drift).scaleb(-4)
        if regime == "crash":
            return -chance.fraction(20, 60, places=3)
        if regime == "rally":
            return chance.fraction(20, 60, places=3)
        if regime == "gap":
            self._left = 0
            return chance.pick((1, -1, -1)) * chance.fraction(5, 45, places=2)
        if self._left % 2:  # spike and back
            return chance.pick((1, -1)) * chance.fraction(5, 25, places=2)
        with_back = self._return / self.price - 1
        return with_back.quantize(Decimal("0.000001"))

    def near(self, tenths_of_per_mille: int) -> Decimal:
        """Return a price within so many hundredths of a percent of the true one, on the step."""
        away = self._chance.fraction(-tenths_of_per_mille, tenths_of_per_mille, places=4)
        price = round_to(EXACT.multiply(self.price, 1 + away), self.step, rounding=ROUND_HALF_EVEN)
        return max(self.step, price)


def insane(chance: Chance, price: Decimal) -> Decimal:
    """Return what a broken feed may say in place of ``price``."""
    return chance.pick(
        (
            Decimal(0), -price, price * 10, price / 10, Decimal("NaN"), Decimal("Infinity"), price.scaleb(30),
            price.scaleb(-30), Decimal("-0"), price * Decimal("1.6"),
        )
    )  # fmt: skip


__all__ = ["Path", "insane"]
