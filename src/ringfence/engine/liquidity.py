"""What the market of a tape offers around its price, and how forced volume moves that price.

A tape holds prices, not order books. So that orders fill as they would in a market, and large ones pay for their size,
a ladder of offers is assumed around the price, the same on both sides::

    ask k = mid · (1 + half_spread + k · level_gap)   rounded up to the price step        k = 0, 1, 2, …
    bid k = mid · (1 − half_spread − k · level_gap)   rounded down to the price step

with ``depth`` contracts on each level. Rounding is against the taker. The ladder is computed as far as somebody asks,
and a bid that would be rounded to nothing ends it. What takers have used up since the price last changed is an argument
(:class:`Consumed`), so that a second order at the same price meets what the first one left.

**Impact, a model of ours.** Volume that was forced through the ladder moves the tape's price by as many levels as it
used up, in proportion inside a level: :func:`impact`. What is carried from tick to tick is the *pressure*, a signed
number of contracts (+ bought, − sold). It wears off at a constant rate, as if the market refilled its ladder at so many
contracts per second: :func:`relaxed`. A constant rate, unlike a half-life, needs no rounding and does not depend on how
finely the time in between is cut. Neither is any venue's figure. Volume counts once: it is in ``consumed`` at the price
it was traded at, and in the pressure from the next price on, when nothing is consumed yet.

Sides are the taker's: ``buy`` is answered by asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.numbers import (
    EXACT,
    ONE,
    PRICE_PLACES,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ZERO,
    divide,
    exact,
    plain,
    round_to,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.numbers import Price, Quantity, Rate, Value

_MICROSECONDS = -6  # ten to the power of this is a microsecond in seconds


class Offer(NamedTuple):
    """One level of the ladder: ``quantity`` contracts (unsigned, > 0) at ``price``."""

    price: Price
    quantity: Quantity


class Consumed(NamedTuple):
    """Contracts taken from the ladder since its price changed: ``buy`` by buyers from the asks, ``sell`` by sellers."""

    buy: Quantity = ZERO
    sell: Quantity = ZERO

    def plus(self, side: str, quantity: Quantity) -> Consumed:
        """Return what is consumed after a taker of that side took ``quantity`` contracts more."""
        if side == "buy":
            return Consumed(EXACT.add(self.buy, quantity), self.sell)
        return Consumed(self.buy, EXACT.add(self.sell, quantity))

    def text(self) -> str:
        """Return what the digest of a state covers of it."""
        return f"{plain(self.buy)} {plain(self.sell)}"


NOTHING_CONSUMED = Consumed()


@dataclass(frozen=True, slots=True)
class Liquidity:
    """A tape's market at one moment; see the module for the ladder.

    ``mid``: the tape's price. ``half_spread``, ``level_gap``: fractions of it. ``depth``: contracts per level.
    ``levels``: how many there are per side, None for no end. ``price_step``: None where prices are not rounded.
    Raises :class:`~ringfence.errors.BadConfiguration` for figures that make no market.
    """

    mid: Price
    half_spread: Rate
    level_gap: Rate
    depth: Quantity
    levels: int | None = None
    price_step: Decimal | None = None
    known: dict[str, dict[int, Price]] = field(
        default_factory=lambda: {"buy": {}, "sell": {}}, init=False, repr=False, compare=False
    )
    """Prices of levels that somebody has met, by the taker's side: a crash asks for them thousands of times."""
    first: dict[str, tuple[Quantity, Quantity, Price]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The level that :func:`first_offer` met last, by the taker's side: what has to be consumed before it is met, and
    until it is used up, and its price."""

    def __post_init__(self) -> None:
        for name, figure, good in (
            ("mid", self.mid, self.mid > 0),
            ("half_spread", self.half_spread, self.half_spread >= 0),
            ("level_gap", self.level_gap, self.level_gap > 0 or (self.level_gap == 0 and self.levels is not None)),
            ("depth", self.depth, self.depth > 0),
            ("levels", self.levels, self.levels is None or self.levels > 0),
            ("price_step", self.price_step, self.price_step is None or self.price_step > 0),
        ):
            if not good:
                raise _no_market(name, figure)

    def best(self, side: str) -> Price | None:
        """Return the price a taker of that side meets first on the whole ladder; None when there is no level."""
        return next((offer.price for offer in ladder(self, side)), None)


def _no_market(name: str, figure: Decimal | int | None) -> BadConfiguration:
    expected = {
        "half_spread": "a fraction of the price, 0 or more",
        "level_gap": "a fraction of the price above 0, or 0 with a number of levels (without either there is no end)",
    }.get(name, "more than 0")
    found = plain(figure) if isinstance(figure, Decimal) else str(figure)
    return BadConfiguration("no market can be made of this", where=name, expected=expected, found=found)


def ladder(liquidity: Liquidity, side: str, consumed: Consumed = NOTHING_CONSUMED) -> Iterator[Offer]:
    """Yield what is left for a taker of ``side``, best price first; exact in any decimal context, computed when asked.

    Neighbouring levels may have the same price where the gap is smaller than the price step.
    """
    level, left = _used_up(liquidity, side, consumed)
    while liquidity.levels is None or level < liquidity.levels:
        price = _price_of(liquidity, side, level)
        if price <= 0:
            return
        yield Offer(price, left)
        left = liquidity.depth
        level += 1


def _used_up(liquidity: Liquidity, side: str, consumed: Consumed) -> tuple[int, Quantity]:
    """Return how many levels are used up whole, and what is left of the one behind them."""
    taken = consumed.buy if side == "buy" else consumed.sell
    if not taken:
        return 0, liquidity.depth
    full_levels, used = EXACT.divmod(taken, liquidity.depth)
    return int(full_levels), EXACT.subtract(liquidity.depth, used)


def _price_of(liquidity: Liquidity, side: str, level: int) -> Price:
    """Return the price of a level of the whole ladder; kept once it was asked for."""
    known = liquidity.known[side]
    price = known.get(level)
    if price is None:
        price = known[level] = _level_price(liquidity, side, level)
    return price


def first_offer(liquidity: Liquidity, side: str, consumed: Consumed = NOTHING_CONSUMED) -> Offer | None:
    """Return what a taker of ``side`` meets first; None where nothing is left."""
    taken, kept = consumed.buy if side == "buy" else consumed.sell, liquidity.first.get(side)
    if kept is not None and kept[0] < taken < kept[1]:
        # The same digits as by division: depth − (taken − level · depth) has the smaller one of two exponents.
        return Offer(kept[2], EXACT.subtract(kept[1], taken))
    level, left = _used_up(liquidity, side, consumed)
    if liquidity.levels is not None and level >= liquidity.levels:
        return None
    price = _price_of(liquidity, side, level)
    if price <= 0:
        return None
    begins = EXACT.multiply(liquidity.depth, Decimal(level))
    liquidity.first[side] = (begins, EXACT.add(begins, liquidity.depth), price)
    return Offer(price, left)


def _level_price(liquidity: Liquidity, side: str, level: int) -> Price:
    """Return the price of a level of the whole ladder, as the module defines it."""
    gap = EXACT.multiply(EXACT.multiply(liquidity.mid, liquidity.level_gap), Decimal(level))
    away = EXACT.add(EXACT.multiply(liquidity.mid, liquidity.half_spread), gap)
    price = EXACT.add(liquidity.mid, away) if side == "buy" else EXACT.subtract(liquidity.mid, away)
    if liquidity.price_step is None:
        return price
    return round_to(price, liquidity.price_step, rounding=ROUND_CEILING if side == "buy" else ROUND_FLOOR)


class Sweep(NamedTuple):
    """What taking from the ladder gives: contracts ``filled``, and ``cost`` = Σ price · quantity over the levels."""

    filled: Quantity
    cost: Value


@exact
def sweep(liquidity: Liquidity, side: str, quantity: Quantity, *, consumed: Consumed = NOTHING_CONSUMED) -> Sweep:
    """Return what a taker of ``side`` gets of ``quantity`` (unsigned) contracts; less where the ladder ends before."""
    filled, cost = ZERO, ZERO
    if quantity > 0:
        for offer in ladder(liquidity, side, consumed):
            taken = min(offer.quantity, quantity - filled)
            filled += taken
            cost += offer.price * taken
            if filled == quantity:
                break
    return Sweep(filled, cost)


@exact
def sweep_price(
    liquidity: Liquidity, side: str, quantity: Quantity, *, consumed: Consumed = NOTHING_CONSUMED
) -> Price | None:
    """Return the average price of taking ``quantity`` (unsigned, > 0) contracts; None when the ladder has fewer.

    Rounded once to 24 places against the taker: up for a buy, down for a sell.
    """
    filled, cost = sweep(liquidity, side, quantity, consumed=consumed)
    if filled < quantity or not filled:
        return None
    rounding = ROUND_CEILING if side == "buy" else ROUND_FLOOR
    return divide(cost, filled, places=PRICE_PLACES, rounding=rounding)


@exact
def impact(liquidity: Liquidity, *, quantity: Quantity) -> Price:
    """Return where ``quantity`` contracts (+ bought, − sold) of forced volume move the price of the tape.

    That is ``mid · (1 + level_gap · quantity ÷ depth)``, to the nearest price step (half-even; 24 places without a
    step) and never below one step. ``liquidity.mid`` is the tape's own price, not one that was already moved: what is
    carried on is the pressure, see :func:`relaxed`.
    """
    step = liquidity.price_step
    numerator = liquidity.mid * (liquidity.depth + liquidity.level_gap * quantity)
    if step is None:
        lowest = ONE.scaleb(-PRICE_PLACES)
        return max(lowest, divide(numerator, liquidity.depth, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN))
    steps = divide(numerator, liquidity.depth * step, places=0, rounding=ROUND_HALF_EVEN)
    return max(step, steps * step)


@exact
def relaxed(pressure: Quantity, *, elapsed: int, refill: Quantity) -> Quantity:
    """Return what is left of ``pressure`` (signed contracts) after ``elapsed`` microseconds.

    ``refill``: contracts per second, ≥ 0, by which it shrinks towards 0; it never passes 0. Exact.
    """
    worn = refill * Decimal(elapsed).scaleb(_MICROSECONDS)
    if abs(pressure) <= worn:
        return ZERO
    return pressure - worn if pressure > 0 else pressure + worn


__all__ = [
    "NOTHING_CONSUMED",
    "Consumed",
    "Liquidity",
    "Offer",
    "Sweep",
    "first_offer",
    "impact",
    "ladder",
    "relaxed",
    "sweep",
    "sweep_price",
]
