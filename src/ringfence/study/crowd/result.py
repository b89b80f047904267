"""What became of a crowd under one margin architecture, and of the same crowd under three."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from ringfence.numbers import RATIO_PLACES, ROUND_HALF_EVEN, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from ringfence.numbers import Price, Quantity, Value
    from ringfence.study.crowd.population import Member

Holding = Literal["isolated", "cross", "mixed"]
"""How the crowd holds its positions: each behind itself, all behind one another, or each by the toss of a coin."""

HOLDINGS: tuple[Holding, ...] = get_args(Holding)

QUANTILES = (5, 10, 25, 50, 75, 90, 95)


class Fate(NamedTuple):
    """What became of one account. Moments in microseconds, None for never; amounts in the crowd's asset.

    ``positions``: how many it opened; ``forced``: how many of them were closed or reduced by force. ``lost``: what its
    liquidations took out of its cash, PnL and clearance fees. ``bankrupt``: whether a pool of it was below zero when it
    was taken over. ``deleveraged``: the value of what was closed against it to end somebody else's position.
    """

    capital: Value
    equity: Value
    called: int | None
    liquidated: int | None
    positions: int
    forced: int
    lost: Value
    bankrupt: bool
    deleveraged: Value


class Fund(NamedTuple):
    """The insurance fund: what it began with, took in, paid out and has left; ``venue``: what it could not pay."""

    start: Value
    received: Value
    paid: Value
    end: Value
    venue: Value


class Deleveraging(NamedTuple):
    """Auto-deleveraging: how many accounts and trades, their value, and the value that the tape's market bore."""

    accounts: int
    trades: int
    value: Value
    market_value: Value


class CrowdSample(NamedTuple):
    """The crowd at a moment: equity, how many accounts and positions nobody has forced yet, and the marks."""

    micros: int
    equity: Value
    accounts: int
    positions: int
    marks: Mapping[str, Price]


class Forced(NamedTuple):
    """What forced orders did to the tape's market in one minute: contracts (+ bought, − sold) and their value."""

    micros: int
    symbol: str
    quantity: Quantity
    value: Value


@dataclass(frozen=True)
class CrowdOutcome:
    """One crowd under one architecture, with or without the impact of forced orders."""

    holding: Holding
    impact: bool
    fates: tuple[Fate, ...] = field(repr=False)
    fund: Fund
    deleveraging: Deleveraging
    samples: tuple[CrowdSample, ...] = field(repr=False)
    lowest: Mapping[str, Price]
    forced: tuple[Forced, ...] = field(repr=False)
    trial_balance: Mapping[str, Value]
    updates: int
    events: int
    rejected: int
    assessed: int
    suspects: int
    digest: str
    seconds: float

    @property
    def capital(self) -> Value:
        """What the crowd began with."""
        return self._sum("capital")

    @property
    def equity(self) -> Value:
        """What it has in the end, at the last marks."""
        return self._sum("equity")

    @property
    def lost(self) -> Value:
        """What liquidations took out of accounts."""
        return self._sum("lost")

    @exact
    def _sum(self, name: str) -> Value:
        return sum((getattr(fate, name) for fate in self.fates), ZERO)

    @cached_property
    def called(self) -> int:
        """How many accounts had a margin call."""
        return sum(fate.called is not None for fate in self.fates)

    @cached_property
    def liquidated(self) -> int:
        """How many accounts were liquidated, in part or whole."""
        return sum(fate.liquidated is not None for fate in self.fates)

    @cached_property
    def positions(self) -> int:
        """How many positions the crowd opened."""
        return sum(fate.positions for fate in self.fates)

    @cached_property
    def positions_forced(self) -> int:
        """How many positions were closed or reduced by force."""
        return sum(fate.forced for fate in self.fates)

    @cached_property
    def bankrupt(self) -> int:
        """How many accounts had a pool that was below zero when it was taken over."""
        return sum(fate.bankrupt for fate in self.fates)

    @cached_property
    def wiped_out(self) -> int:
        """How many accounts have less than a hundredth of their capital left."""
        return sum(100 * fate.equity < fate.capital for fate in self.fates)

    @cached_property
    def kept(self) -> tuple[Decimal, ...]:
        """Each account's final equity ÷ capital, ascending."""
        return tuple(sorted(self._kept()))

    @exact
    def _kept(self) -> list[Decimal]:
        return [divide(fate.equity, fate.capital, places=RATIO_PLACES, rounding=ROUND_HALF_EVEN) for fate in self.fates]

    def quantile(self, percent: int) -> Decimal:
        """Return the smallest share kept that at least ``percent`` % of the accounts are at or below."""
        return self.kept[max(0, -(-len(self.kept) * percent // 100) - 1)]


@dataclass(frozen=True)
class Crowd:
    """The same crowd through the same tape under three architectures.

    ``outcomes`` by holding; ``moved`` the same with the impact of forced orders, empty without. ``held``: what the
    crowd would have if nobody had been liquidated: every position at the tape's last price.
    """

    number: int
    seed: int
    tape_name: str
    tape_title: str
    rulebook: str
    asset: str
    places: int
    start: datetime
    end: datetime
    symbols: tuple[str, ...]
    members: tuple[Member, ...] = field(repr=False)
    outcomes: Mapping[Holding, CrowdOutcome]
    moved: Mapping[Holding, CrowdOutcome]
    held: Value
    open_value: Value
    first: Mapping[str, Price]
    lowest: Mapping[str, Price]
    assumptions: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def shown(self) -> Mapping[Holding, CrowdOutcome]:
        """The outcomes a reader asked for: with impact where it was asked for."""
        return self.moved or self.outcomes


__all__ = ["HOLDINGS", "QUANTILES", "Crowd", "CrowdOutcome", "CrowdSample", "Deleveraging", "Fate", "Forced", "Fund",
           "Holding"]  # fmt: skip
