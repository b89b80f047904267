"""Options priced by Black's formula: the one place of the core where floats are computed with.

A requirement by scenarios needs option prices, and those need a logarithm, an exponential and the normal distribution.
They are computed here in double precision and leave as **whole numbers of ten-billionths of the spot price**
(:data:`STEP`); everything after is exact. The rounding step is the declared boundary: the functions of two machines'
mathematical libraries differ in the last bit or two (some 1e-16), a million times less than the step, so that the same
whole number comes out on any machine unless a value lies within that distance of the middle between two steps.

Formula: F. Black, "The pricing of commodity contracts", Journal of Financial Economics 3 (1976) 167-179, with the
forward ``F = S · exp(r · T)``: ``call = exp(−r · T) · (F · N(d1) − K · N(d2))``,
``put = call − exp(−r · T) · (F − K)``, ``d1 = (ln(F ÷ K) + σ² · T ÷ 2) ÷ (σ · √T)``, ``d2 = d1 − σ · √T``.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from math import erfc, exp, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

STEP = Decimal("1e-10")  #: every price, delta and vega leaves as a whole number of these
_SCALE = 1e10
_HALF_SCALE = 5e9
_DAYS_A_YEAR = 365.0
_TERM = 30.0  # days at which a volatility move is stated
_HALF_ROOT = sqrt(0.5)
_REMEMBERED = 8192  # figures of single options that are kept, for many requirements of one book


class VolatilityMove(NamedTuple):
    """How implied volatility moves in a scenario, as a relative change that depends on the days to expiry.

    ``relative · (30 ÷ days)^power``, the power being ``short_power`` below 30 days and ``long_power`` from then on; or,
    where there are ``steps`` of (days, change), the change on the line between them times ``relative``. ``floor``: what
    a raised volatility is at least. Never below 0.
    """

    name: str
    relative: float
    short_power: float = 0.0
    long_power: float = 0.0
    floor: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()

    def moved(self, volatility: float, days: float) -> float:
        """Return the moved volatility of an option with ``days`` (> 0) to its expiry."""
        if not self.relative:
            return volatility
        if self.steps:
            change = self.relative * _between(self.steps, days)
        else:
            power = self.short_power if days < _TERM else self.long_power
            change = self.relative * ((_TERM / days) ** power if power else 1.0)
        return max(volatility * (1.0 + change), self.floor if change > 0 else 0.0, 0.0)


UNMOVED = VolatilityMove("same", 0.0)


class Shock(NamedTuple):
    """What happens to an option in a scenario. ``price``: factor of the spot. ``days``: that pass. ``rate``: added."""

    price: float
    volatility: VolatilityMove = UNMOVED
    days: float = 0.0
    rate: float = 0.0


class Shocks:
    """Shocks made ready: those alike but for the price stand together, with the logarithm of each price factor."""

    __slots__ = ("count", "groups")

    def __init__(self, shocks: Iterable[Shock]) -> None:
        grouped: dict[tuple[VolatilityMove, float, float], list[tuple[int, float, float]]] = {}
        self.count = 0
        for place, shock in enumerate(shocks):
            self.count += 1
            group = grouped.setdefault((shock.volatility, shock.days, shock.rate), [])
            group.append((place, shock.price, log(shock.price)))
        self.groups = tuple((*key, tuple(members)) for key, members in grouped.items())


class Option(NamedTuple):
    """An option. ``moneyness``: strike ÷ spot. ``days``: to its expiry. ``rate`` and ``volatility``: a year's."""

    call: bool
    moneyness: float
    days: float
    volatility: float
    rate: float


NO_SHOCK = Shocks((Shock(1.0),))


def _between(steps: tuple[tuple[float, float], ...], days: float) -> float:
    """Return the value at ``days`` on the line through ``steps``; beyond its ends, that of the end."""
    before = steps[0]
    for step in steps:
        if days <= step[0]:
            if step[0] == before[0]:
                return step[1]
            return before[1] + (step[1] - before[1]) * (days - before[0]) / (step[0] - before[0])
        before = step
    return before[1]


def prices(option: Option, shocks: Shocks) -> tuple[int, ...]:
    """Return the option's price under each shock, in whole STEPs of the spot *before* the shock. Half-even."""
    call, moneyness, days_left, volatility, base_rate = option
    found = [0] * shocks.count
    for move, days, added, members in shocks.groups:
        years = (days_left - days) / _DAYS_A_YEAR
        rate = base_rate + added
        strike = moneyness * exp(-rate * years) if rate and years > 0.0 else moneyness
        deviation = move.moved(volatility, days_left) * sqrt(years) if years > 0.0 else 0.0
        if deviation <= 0.0:
            for place, factor, _ in members:
                worth = factor - strike if call else strike - factor
                found[place] = round(worth * _SCALE) if worth > 0.0 else 0
            continue
        # 2 · N(x) = erfc(−x · √½); near and far are −d1 · √½ and −d2 · √½
        slope, spread = _HALF_ROOT / deviation, deviation * _HALF_ROOT
        start = log(strike) * slope - 0.5 * spread
        if call:
            for place, factor, logarithm in members:
                near = start - logarithm * slope
                found[place] = round((factor * erfc(near) - strike * erfc(near + spread)) * _HALF_SCALE)
        else:
            for place, factor, logarithm in members:
                near = start - logarithm * slope
                found[place] = round((strike * erfc(-near - spread) - factor * erfc(-near)) * _HALF_SCALE)
    return tuple(found)


@lru_cache(maxsize=_REMEMBERED)
def price_now(option: Option) -> int:
    """Return the option's price in whole STEPs of its spot."""
    return prices(option, NO_SHOCK)[0]


def price(option: Option) -> Decimal:
    """Return the option's price as a share of its spot, a whole number of STEPs."""
    return price_now(option) * STEP


@lru_cache(maxsize=_REMEMBERED)
def delta(option: Option) -> Decimal:
    """Return the change of the option's price per unit of spot, a whole number of STEPs: N(d1), less 1 for a put."""
    years = option.days / _DAYS_A_YEAR
    deviation = option.volatility * sqrt(years) if years > 0 else 0.0
    forward = log(1.0 / option.moneyness) + option.rate * years
    if deviation > 0.0:
        share = 0.5 * erfc(-(forward / deviation + 0.5 * deviation) * _HALF_ROOT)
    else:
        share = 1.0 if forward > 0.0 else 0.0
    return round((share if option.call else share - 1.0) * _SCALE) * STEP


@lru_cache(maxsize=_REMEMBERED)
def vega(option: Option, move: Decimal) -> Decimal:
    """Return what the price gains when volatility rises by the share ``move`` of itself, in STEPs of the spot."""
    return (prices(option, _raised(move))[0] - price_now(option)) * STEP


@lru_cache(maxsize=64)
def _raised(move: Decimal) -> Shocks:
    return Shocks((Shock(1.0, VolatilityMove("up", float(move))),))


__all__ = [
    "NO_SHOCK",
    "STEP",
    "UNMOVED",
    "Option",
    "Shock",
    "Shocks",
    "VolatilityMove",
    "delta",
    "price",
    "price_now",
    "prices",
    "vega",
]
