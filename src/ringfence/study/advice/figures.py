"""Figures as advice writes them: shares of paths, results, leverages, and what a way ties up."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import plain
from ringfence.study.wording import fixed

if TYPE_CHECKING:
    from ringfence.study.advice.advise import Advice
    from ringfence.study.advice.trials import Chance, Trial


def chance(found: Chance) -> str:
    """Return a share of paths with its standard error."""
    return f"{found.share:.1%} ± {found.error:.1%}"


def result(share: float) -> str:
    """Return a result as a share of the capital."""
    return f"{share:+.1%}".replace("-", "−")


def dollars(value: float) -> str:
    """Return an amount in whole dollars."""
    return f"{fixed(Decimal(f'{value:.2f}'), 0)} $"


def worth(share: float) -> str:
    """Return a difference of worth as a share of the capital, 0 without a sign."""
    text = f"{share:+.2%}"
    return "0.00%" if not text.strip("+-0.%") else text.replace("-", "−")


def times(leverage: Decimal | None) -> str:
    """Return a leverage."""
    return "unknown leverage" if leverage is None else f"{plain(leverage)}×"


def used_share(advice: Advice, trial: Trial) -> float | None:
    """Return the margin that a way ties up as a share of the capital; None where an asset's price is not known."""
    prices = {"account": 1.0, **advice.prices}
    if not set(trial.used) <= set(prices):
        return None
    return sum(float(value) * prices[asset] for asset, value in trial.used.items()) / advice.trials.capital


__all__ = ["chance", "dollars", "result", "times", "used_share", "worth"]
