"""How big accounts are and how hard they lean, from a crowd that was really there.

The quantiles are those of 19,337 accounts that were auto-deleveraged on Hyperliquid on 10 October 2025 (aggregate
statistics of the repository ConejoCapital/HyperMultiAssetedADL, file ``adl_by_user_REALTIME.csv``, commit 79bad0fa).
Bias: they are winning accounts, mostly short; nothing better is public. Account values in USD, leverage as notional ÷
value.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringfence.sim.chance import Chance

# (per mille of accounts at or below, account value in USD, rounded)
_ACCOUNT_VALUES = (
    (50, 12), (100, 39), (250, 279), (500, 941), (750, 6_036), (900, 43_664), (950, 178_332), (990, 1_666_706),
    (1000, 25_173_379),
)  # fmt: skip

# (per mille of accounts at or below, leverage in hundredths, rounded)
_LEVERAGES = ((250, 16), (500, 43), (750, 99), (900, 324), (950, 650), (1000, 13_503))


def account_value(chance: Chance) -> Decimal:
    """Return an account value in USD with two decimals, drawn between the quantiles."""
    at, low_share, low = chance.below(1000), 0, 5
    for share, value in _ACCOUNT_VALUES:
        if at < share:
            cents = low * 100 + (value - low) * 100 * (at - low_share) // (share - low_share)
            return Decimal(cents + chance.below(100)).scaleb(-2)
        low_share, low = share, value
    raise AssertionError("the last quantile is the whole")


def leverage(chance: Chance, *, most: Decimal) -> Decimal:
    """Return how many times its value an account takes on, two decimals, at most ``most``.

    Half the accounts are the crowd's; the other half are gamblers, spread evenly up to the most: they are what a
    liquidation engine is for.
    """
    if chance.happens(500):
        return Decimal(chance.between(100, max(100, int(most * 100)))).scaleb(-2)
    at, low_share, low = chance.below(1000), 0, 5
    for share, value in _LEVERAGES:
        if at < share:
            return min(most, Decimal(low + (value - low) * (at - low_share) // (share - low_share)).scaleb(-2))
        low_share, low = share, value
    raise AssertionError("the last quantile is the whole")


__all__ = ["account_value", "leverage"]
