"""What a replay found: events, a series per minute, and how each architecture ended."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from ringfence.account import pools
from ringfence.margin.assess import assess
from ringfence.margin.price import bankruptcy_price, liquidation_prices
from ringfence.numbers import RATIO_PLACES, ROUND_HALF_EVEN, ZERO, divide, exact
from ringfence.tape.bars import micros_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    from ringfence.account import Account, Marks, Pool
    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.architecture import Funding
    from ringfence.tape import Tape, Walk

_DRAWDOWN_PLACES = 6

Architecture = Literal["isolated", "cross"]
"""Whether each position stands behind itself only, or all stand behind one another."""

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

EventKind = Literal["warning", "margin_call", "reduction", "liquidation"]
"""Health fell to the warning level, to the margin-call level, or to where the venue liquidates: then positions were
reduced only, or at least one of them was closed."""

Sequence = Literal["takeover", "venue"]
"""What a liquidation does: the pool is taken over whole, or the venue's own steps on its engine."""


class Leg(NamedTuple):
    """One position at a moment. Prices are those at which its pool is liquidated and used up, other marks fixed.

    ``distance``: how far the mark is from the liquidation price, as a fraction of the mark; None where there is none.
    """

    symbol: str
    side: str
    quantity: Quantity
    entry_price: Price
    mark_price: Price
    unrealised_pnl: Value
    liquidation_price: Price | None
    bankruptcy_price: Price | None
    distance: Decimal | None


class ForcedTrade(NamedTuple):
    """Contracts of a position closed by force, at the average price; ``fills`` trades of one cause together.

    ``cause``: liquidation (sold or bought at market), take_over (handed to the insurance fund) or netting.
    """

    symbol: str
    side: str
    cause: str
    quantity: Quantity
    price: Price
    whole: bool
    fills: int


class Event(NamedTuple):
    """Something that happened to a pool. Amounts in ``asset``.

    ``health``, ``balance``, ``requirement``: of the pool at that moment, before anything was taken. ``loss``: the cash
    that the liquidation took: all the pool held in a full takeover, 0 for a call. ``fund``: what the insurance fund
    gains, or, below 0, pays: in a full takeover the pool's balance at these marks. ``left``: the architecture's whole
    equity in that asset afterwards. ``legs``: the pool's; of a liquidation those that it closed, of a reduction those
    that it reduced. ``trades``: the forced trades, where the venue's sequence is played.
    """

    ts: datetime
    architecture: Architecture
    pool: str
    kind: EventKind
    asset: str
    health: Decimal | None
    balance: Value
    requirement: Value
    loss: Value
    fund: Value
    left: Value
    marks: Mapping[str, Price]
    legs: tuple[Leg, ...]
    trades: tuple[ForcedTrade, ...] = ()


class PoolSample(NamedTuple):
    """A pool at a moment; ``health`` is None where one of its symbols has no price, so that nothing is decided."""

    name: str
    asset: str
    balance: Value
    requirement: Value
    health: Decimal | None


class Sample(NamedTuple):
    """An architecture at a moment: equity by asset, and every pool that is still alive, at ``marks``."""

    ts: datetime
    equity: Mapping[str, Value]
    pools: tuple[PoolSample, ...]
    marks: Mapping[str, Price]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one architecture ended. Amounts by asset.

    ``idle``: cash that stood behind no position. ``lost``: cash of pools taken over. ``fund_gained`` and ``fund_paid``:
    what was left in those pools, and what was missing. ``lowest``: the lowest sampled equity and when. ``drawdown``:
    the largest fall from a peak of the samples, as a fraction of that peak, 6 places.
    """

    architecture: Architecture
    start: Mapping[str, Value]
    end: Mapping[str, Value]
    idle: Mapping[str, Value]
    lost: Mapping[str, Value]
    fund_gained: Mapping[str, Value]
    fund_paid: Mapping[str, Value]
    lowest: Mapping[str, tuple[datetime, Value]]
    drawdown: Mapping[str, Decimal]
    liquidations: tuple[Event, ...]
    survivors: tuple[Leg, ...]


@dataclass(frozen=True)
class Replay:
    """One account replayed through one tape under isolated and under cross margin at once.

    ``samples``: per architecture, every ``step`` from the tape's start to its end, exact at that moment. ``looks``: how
    many exact assessments were made to decide, ``ticks``: how many prices were decided on. ``walk`` can be gone again;
    its text says how it was made.
    """

    file: AccountFile
    tape: Tape
    rulebook: Rulebook
    funding: Funding
    seed: int
    walk: Walk
    ticks: int
    looks: int
    events: tuple[Event, ...]
    samples: Mapping[Architecture, tuple[Sample, ...]] = field(repr=False)
    outcomes: Mapping[Architecture, Outcome]
    assumptions: tuple[str, ...]
    sequence: Sequence = "takeover"
    history: Mapping[Architecture, tuple[tuple[int, tuple[Pool, ...]], ...]] = field(default_factory=dict, repr=False)

    @property
    def assets(self) -> tuple[str, ...]:
        """The settlement assets, each of which is counted for itself."""
        return tuple(self.funding.capital)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbols held, in the file's order."""
        return tuple(dict.fromkeys(position.symbol for position in self.file.account.positions))

    def settled_in(self, symbol: str) -> str:
        """Return the asset that a symbol's margin and PnL are counted in."""
        return self.rulebook.contract(symbol).settle_asset

    def opening_legs(self) -> tuple[Leg, ...]:
        """Return every position as the cross side holds it at the file's marks."""
        held = pools(self.funding.cross, self.rulebook.contract, self.rulebook.collateral)
        return tuple(leg for pool in held for leg in legs_of(assess(pool, self.file.marks, self.rulebook)))

    @exact
    def notional(self, leg: Leg) -> Value:
        """Return what a position was worth at its entry, in its settlement asset."""
        return abs(leg.quantity) * self.rulebook.contract(leg.symbol).contract_value(leg.entry_price)

    def account(self, architecture: Architecture) -> Account:
        """Return the account as that architecture started it."""
        return self.funding.isolated if architecture == "isolated" else self.funding.cross

    @cached_property
    def _starts(self) -> dict[Architecture, tuple[Pool, ...]]:
        rules = self.rulebook
        return {name: pools(self.account(name), rules.contract, rules.collateral) for name in ARCHITECTURES}

    def pools_at(self, architecture: Architecture, micros: int) -> tuple[Pool, ...]:
        """Return the pools that an architecture held at a moment, after whatever happened then."""
        if self.sequence == "venue":
            changes = self.history[architecture]
            return changes[bisect_right(changes, micros, key=lambda change: change[0]) - 1][1]
        gone = {event.pool for event in self.outcomes[architecture].liquidations if micros_of(event.ts) <= micros}
        return tuple(pool for pool in self._starts[architecture] if pool.name not in gone)

    def legs(self, architecture: Architecture) -> Iterator[tuple[datetime, tuple[Leg, ...]]]:
        """Yield every sample's time with its living positions: PnL, liquidation and bankruptcy price, distance.

        Computed when asked for: prices are what a replay itself does not need.
        """
        for sample in self.samples[architecture]:
            legs: list[Leg] = []
            named = {pool.name: pool for pool in self.pools_at(architecture, micros_of(sample.ts))}
            for pool in sample.pools:
                legs += legs_of(assess(named[pool.name], sample.marks, self.rulebook))
            yield sample.ts, tuple(legs)


@exact
def legs_of(assessment: Assessment) -> tuple[Leg, ...]:
    """Return a :class:`Leg` for every position of an assessed pool."""
    prices = {
        symbol: liquidation_prices(assessment, symbol)
        for symbol in dict.fromkeys(line.position.symbol for line in assessment.lines)
    }
    legs = []
    for line in assessment.lines:
        position, mark = line.position, line.mark_price
        liquidated_at = prices[position.symbol].of_side(position.side)
        legs.append(
            Leg(
                position.symbol,
                position.side,
                position.quantity,
                position.entry_price,
                mark,
                line.unrealised_pnl,
                liquidated_at,
                bankruptcy_price(assessment, line),
                None
                if liquidated_at is None
                else divide(abs(liquidated_at - mark), mark, places=RATIO_PLACES, rounding=ROUND_HALF_EVEN),
            )
        )
    return tuple(legs)


def lowest(samples: Iterable[Sample], asset: str) -> tuple[datetime, Value]:
    """Return the lowest sampled equity and when it was, the first of equals."""
    worst = min(samples, key=lambda sample: sample.equity[asset])
    return worst.ts, worst.equity[asset]


@exact
def drawdown(samples: Iterable[Sample], asset: str) -> Decimal:
    """Return the largest fall from a peak as a fraction of that peak, 6 places, half-even; 0 without a peak above 0."""
    peak, deepest = ZERO, ZERO
    for sample in samples:
        value = sample.equity[asset]
        peak = max(peak, value)
        if peak > 0:
            fall = divide(peak - value, peak, places=_DRAWDOWN_PLACES, rounding=ROUND_HALF_EVEN)
            deepest = max(deepest, fall)
    return deepest


def sample_of(pool: Pool, asset: str, marks: Marks, rulebook: Rulebook, *, decided: bool) -> PoolSample:
    """Return a pool's sample at ``marks``; without health where nothing can be decided on it."""
    assessment = assess(pool, marks, rulebook)
    return PoolSample(
        pool.name,
        asset,
        assessment.margin_balance or ZERO,
        assessment.liquidation_requirement or ZERO,
        assessment.health if decided else None,
    )


__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Event",
    "EventKind",
    "ForcedTrade",
    "Leg",
    "Outcome",
    "PoolSample",
    "Replay",
    "Sample",
    "Sequence",
    "drawdown",
    "legs_of",
    "lowest",
    "sample_of",
]
