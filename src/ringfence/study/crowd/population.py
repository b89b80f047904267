"""A crowd: accounts of plausible sizes with plausible positions, drawn from a seed, the same on every machine.

**Size.** Account values follow quantiles of a crowd that was really there (:data:`VALUES`), drawn between two of them
evenly on a logarithmic scale. The lowest tenth is left out (too small to hold one contract of anything) and so
is the top hundredth (a single one of them would decide every sum).

**Positions**, all of it assumed (:class:`Habits`): one to five symbols of the tape; a share of the account's value is
staked on them, in uneven parts; each part is multiplied by a leverage, drawn evenly on a logarithmic scale; more longs
than shorts. A leverage above what its tier allows is lowered. Everything is opened at the symbol's first price.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from hashlib import shake_256
from itertools import pairwise
from typing import TYPE_CHECKING

from ringfence.errors import BadConfiguration
from ringfence.numbers import EXACT, ONE, ROUND_FLOOR, VALUE_PLACES, ZERO, divide, exact, round_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.contract import Contract
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.rulebook import Rulebook, TierTable

VALUES: tuple[tuple[int, Decimal], ...] = (
    (100, Decimal("39.37")),
    (250, Decimal("279.36")),
    (500, Decimal("940.73")),
    (750, Decimal("6035.57")),
    (900, Decimal("43664.39")),
    (950, Decimal("178332.36")),
    (990, Decimal("1666705.56")),
)
"""(per mille of accounts at or below, account value in USD)."""

VALUES_SOURCE = (
    "19,337 accounts auto-deleveraged on Hyperliquid on 10 October 2025, aggregate statistics of the repository "
    "ConejoCapital/HyperMultiAssetedADL (adl_by_user_REALTIME.csv, commit 79bad0fa); they were on the winning side, so "
    "they stand in for the crowd, they are not it"
)

_CROWD_VERSION = 1  # part of every draw: a crowd that is drawn differently gets another number
_DRAWN = Context(prec=40, rounding=ROUND_HALF_EVEN)  # ln and exp are correctly rounded, so the same everywhere
_BILLION = 10**9
_TENTH = Decimal("0.1")
_MOST_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Habits:
    """How the crowd trades. All figures are assumptions of ours; leverages and shares from the least to the most.

    ``long_per_mille``: of a thousand positions so many are long. ``staked``: the share of its value that an account
    puts behind its positions when each stands for itself.
    """

    leverage: tuple[Decimal, Decimal] = (Decimal("1.5"), Decimal(25))
    positions: tuple[int, int] = (1, 5)
    long_per_mille: int = 700
    staked: tuple[Decimal, Decimal] = (Decimal("0.3"), Decimal("0.9"))

    def told(self, symbols: int) -> str:
        """Say it in one sentence, for a tape of so many symbols: nobody holds two positions in one."""
        fewest, most = (min(count, symbols) for count in self.positions)
        held = f"{fewest} to {most} positions" if most > fewest else "one position"
        return (
            f"Each account holds {held}, {self.long_per_mille / 10:g} % of them long, with "
            f"{self.staked[0] * 100:.0f} to {self.staked[1] * 100:.0f} % of its value staked on them at leverages of "
            f"{self.leverage[0]} to {self.leverage[1]}, evenly on a logarithmic scale and no more than the tier allows."
        )


HABITS = Habits()


@dataclass(frozen=True, slots=True)
class Stake:
    """One position to be: signed quantity, opened at ``entry_price`` with this leverage. ``ringfenced``: in the mix."""

    symbol: str
    quantity: Quantity
    entry_price: Price
    leverage: Decimal
    ringfenced: bool


@dataclass(frozen=True, slots=True)
class Member:
    """One account of the crowd: its capital and what it holds, at most one position in a symbol."""

    name: str
    capital: Value
    stakes: tuple[Stake, ...]


@exact
def draw_crowd(
    number: int,
    seed: int,
    *,
    rulebook: Rulebook,
    prices: Mapping[str, Price],
    asset: str,
    habits: Habits = HABITS,
    worth: Price = ONE,
) -> tuple[Member, ...]:
    """Return ``number`` accounts that hold symbols of ``prices``, opened there; capital in whole cents of ``asset``.

    Every symbol must have a table with tiers and be settled in ``asset``. Account i is the same in a crowd of any size.
    ``worth``: dollars that one of ``asset`` is worth; other than 1 for a coin, and capital then has eight places.
    Raises BadConfiguration for a number below 1, or where no account can hold a single contract of any symbol.
    """
    if number < 1:
        raise BadConfiguration(
            "no crowd", where="population", expected="a number of accounts from 1 on", found=str(number)
        )  # fmt: skip
    terms = {symbol: _terms(rulebook, symbol) for symbol in sorted(prices)}
    if any(contract.settle_asset != asset for contract, _ in terms.values()):
        raise AssertionError("one settlement asset")
    return tuple(_member(index, seed, terms, prices, habits, worth) for index in range(1, number + 1))


def _terms(rulebook: Rulebook, symbol: str) -> tuple[Contract, TierTable]:
    contract, table = rulebook.entry(symbol)
    assert table is not None  # noqa: S101 - tradable() has asked
    return contract, table


class _Draws:
    """Draws of one account, from SHAKE-256 of (version, seed, account, draw): the same on every machine and Python."""

    def __init__(self, seed: int, index: int) -> None:
        self._prefix, self._count = f"ringfence crowd {_CROWD_VERSION}|{seed}|{index}|", 0

    def below(self, bound: int) -> int:
        """Return an integer from 0 up to but without ``bound``. 128 bits: the bias of the remainder is nothing."""
        self._count += 1
        return int.from_bytes(shake_256(f"{self._prefix}{self._count}".encode()).digest(16), "big") % bound

    def between(self, least: int, most: int) -> int:
        """Return an integer from ``least`` to ``most``, both included."""
        return least + self.below(most - least + 1)

    def happens(self, per_mille: int) -> bool:
        """Return True ``per_mille`` times in a thousand."""
        return self.below(1000) < per_mille


def _member(
    index: int,
    seed: int,
    terms: Mapping[str, tuple[Contract, TierTable]],
    prices: Mapping[str, Price],
    habits: Habits,
    worth: Price,
) -> Member:
    chance = _Draws(seed, index)
    for _ in range(_MOST_TRIES):
        capital = _capital(chance)
        if worth != ONE:
            capital = divide(capital, worth, places=8, rounding=ROUND_HALF_EVEN)
        stakes = _stakes(chance, capital, terms, prices, habits)
        if stakes:
            return Member(f"account {index:05}", capital, stakes)
    raise BadConfiguration(
        "no account can hold a single contract of what the tape has", where="population",
        expected="symbols whose smallest quantity is worth less than an account", found=", ".join(terms),
    )  # fmt: skip


def _capital(chance: _Draws) -> Value:
    """Return an account value between the quantiles, in whole cents."""
    lowest, most = VALUES[0][0], VALUES[-1][0]
    at = Decimal(chance.between(lowest * _BILLION, most * _BILLION)) / _BILLION
    for (below, low), (above, high) in pairwise(VALUES):
        if at <= above:
            share = _DRAWN.divide(_DRAWN.subtract(at, Decimal(below)), Decimal(above - below))
            return round_to(_between_on_log_scale(low, high, share), Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    raise AssertionError("the last quantile is the most")


def _between_on_log_scale(low: Decimal, high: Decimal, share: Decimal) -> Decimal:
    """Return ``low · (high ÷ low)^share``, to 40 digits."""
    width = _DRAWN.subtract(_DRAWN.ln(high), _DRAWN.ln(low))
    return _DRAWN.exp(_DRAWN.add(_DRAWN.ln(low), _DRAWN.multiply(share, width)))


def _share(chance: _Draws) -> Decimal:
    return EXACT.scaleb(Decimal(chance.below(_BILLION)), -9)


def _stakes(
    chance: _Draws,
    capital: Value,
    terms: Mapping[str, tuple[Contract, TierTable]],
    prices: Mapping[str, Price],
    habits: Habits,
) -> tuple[Stake, ...]:
    symbols = list(terms)
    count = min(chance.between(*habits.positions), len(symbols))
    chosen = [symbols.pop(chance.below(len(symbols))) for _ in range(count)]
    low, high = habits.staked
    staked = capital * (low + (high - low) * _share(chance))
    weights = [Decimal(chance.between(20, 100)) for _ in chosen]  # the largest is at most five times the smallest
    stakes = []
    for symbol, weight in zip(chosen, weights, strict=True):
        long, ringfenced = chance.happens(habits.long_per_mille), chance.happens(500)
        leverage = round_to(_between_on_log_scale(*habits.leverage, _share(chance)), _TENTH, rounding=ROUND_HALF_EVEN)
        margin = divide(staked * weight, sum(weights, ZERO), places=VALUE_PLACES)
        contract, table = terms[symbol]
        leverage, size = _sized(contract, table, prices[symbol], margin, leverage)
        if size:
            stakes.append(Stake(symbol, size if long else -size, prices[symbol], leverage, ringfenced))
    return tuple(stakes)


def _sized(
    contract: Contract, table: TierTable, price: Price, margin: Value, leverage: Decimal
) -> tuple[Decimal, Quantity]:
    """Return the leverage that the tier allows and the quantity that ``margin`` opens with it, in whole steps down."""
    one = contract.contract_value(price)
    while True:
        size = divide(margin * leverage, one, places=8, rounding=ROUND_FLOOR)
        size = round_to(size, contract.quantity_step or Decimal("0.001"), rounding=ROUND_FLOOR)
        tier = table.tiers[table.index_at(size if table.unit == "contracts" else size * one)]
        if tier.cap is not None and (size if table.unit == "contracts" else size * one) >= tier.cap:
            return leverage, ZERO  # more than the venue lets anybody hold
        if tier.max_leverage is None or leverage <= tier.max_leverage or leverage <= ONE:
            return leverage, size
        leverage = max(ONE, tier.max_leverage)


__all__ = ["HABITS", "VALUES", "VALUES_SOURCE", "Habits", "Member", "Stake", "draw_crowd"]
