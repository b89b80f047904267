"""One account through real prices on the engine, with its venue's own liquidation sequence, held both ways at once.

Same account, capital, walk and result as :mod:`~ringfence.study.replay.replay`, but each architecture is an engine of
its own: a pool that reaches its liquidation level goes through the steps of its rulebook, looked at again after each.
Orders are filled by the tape's market (a declared ladder around the price) within the bankruptcy price; clearance fees
go to the insurance fund; what nobody takes, the fund takes over. Part of a position may live on, and what a closed one
leaves of its margin comes back to the wallet.

Positions are opened at the file's entry prices against the tape's market, without fees.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence import ledger as books
from ringfence.engine import events as happened
from ringfence.engine.commands import UpdatePrices
from ringfence.engine.review import fresh
from ringfence.engine.setup import Fees, Market, Setup
from ringfence.margin.assess import assess
from ringfence.numbers import PRICE_PLACES, ROUND_HALF_EVEN, ZERO, divide, exact, plain
from ringfence.screen import BandScreen
from ringfence.study.replay.engine_run import Run, journal_name, refuse_journals
from ringfence.study.replay.engine_tape import guard_of, moments
from ringfence.study.replay.replay import DEFAULT_TICKS_PER_BAR, Progress, assumed, prepare
from ringfence.study.replay.result import (
    ARCHITECTURES,
    Event,
    ForcedTrade,
    Outcome,
    Replay,
    Sample,
    drawdown,
    legs_of,
    lowest,
    sample_of,
)
from ringfence.tape.bars import MICROSECOND, micros_of, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from ringfence.account import Account, Marks, Pool
    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.replay.replay import Prepared
    from ringfence.study.replay.result import Architecture, EventKind
    from ringfence.tape import Tape

TRADER = "account"
FUND = Decimal(1_000_000_000)
"""What the insurance fund begins with in every asset: for one account it is never what runs out. Ours."""

_SAMPLE_STEP = timedelta(minutes=1)
_FORCED = frozenset({"liquidation", "take_over", "netting"})
_LEVELS: dict[str, EventKind] = {"warning": "warning", "margin_call": "margin_call"}


@exact
def replay_on_engine(
    file: AccountFile,
    tape: Tape,
    *,
    seed: int = 1,
    as_of: date | None = None,
    ticks_per_bar: int = DEFAULT_TICKS_PER_BAR,
    progress: Callable[[Progress], None] | None = None,
    journal: Path | None = None,
) -> Replay:
    """Return what happens to the account of ``file`` on ``tape`` by its venue's own sequence, isolated and cross.

    Arguments and errors as of :func:`ringfence.study.replay.replay`. ``journal``: keep each side's commands and events,
    in files named after it (:func:`~ringfence.study.replay.engine_run.journal_name`); BadConfiguration where one is.
    """
    prepared = prepare(file, tape, seed=seed, as_of=as_of, ticks_per_bar=ticks_per_bar)
    funding = prepared.funding
    with ExitStack() as stack:
        run = _Run(file, prepared, journal, stack)
        run.play(progress)
    sides = run.sides
    return Replay(
        file=file,
        tape=tape,
        rulebook=prepared.rulebook,
        funding=funding,
        seed=seed,
        walk=prepared.walk,
        ticks=run.ticks,
        looks=sum(side.screen.assessments for side in sides),
        events=tuple(sorted((event for side in sides for event in side.events), key=lambda event: event.ts)),
        samples={side.architecture: tuple(side.samples) for side in sides},
        outcomes={side.architecture: _outcome(side) for side in sides},
        assumptions=assumed(file, tape, prepared.rulebook, prepared.walk, prepared.symbols, _said(prepared.rulebook)),
        sequence="venue",
        history={side.architecture: tuple(side.history) for side in sides},
    )


class _Side:
    """One architecture: an engine that holds the account, and what was seen of it."""

    def __init__(self, architecture: Architecture, run: Run, prepared: Prepared, marks: Marks) -> None:
        start = micros_of(prepared.walk.tape.start)
        self.architecture = architecture
        self.funding = prepared.funding
        self.run = run
        self.state = run.state
        self.screen = BandScreen()
        self.marks: dict[str, Price] = dict(marks)
        self.events: list[Event] = []
        self.samples: list[Sample] = []
        self._called: dict[str, str] = {}
        self._open(prepared.funding.isolated if architecture == "isolated" else prepared.funding.cross)
        self.history: list[tuple[int, tuple[Pool, ...]]] = [(start, self.state.pools(TRADER))]

    def _open(self, account: Account) -> None:
        for asset, amount in self.funding.capital.items():
            self.run.money(TRADER, asset, amount)
        self.run.position_mode(TRADER, account.position_mode)
        for position in account.positions:
            self.run.position(
                TRADER, position.symbol, position.quantity, position.entry_price,
                leverage=position.leverage or Decimal(1), mode=position.margin_mode.value,
            )  # fmt: skip

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The account's pools now."""
        return self.state.pools(TRADER)

    def update(self, number: int, at: int, prices: tuple[tuple[str, Price], ...]) -> None:
        """Take new prices in, and note what they lead to."""
        before = self.pools
        self.marks.update(prices)
        command = UpdatePrices(f"tick {number}", at, prices)
        suspects = self.screen.suspects(self.state, command)
        events = self.run.do(command, suspects)
        self.screen.looked_at(self.state, command, suspects)
        if len(events) > 1:
            named = {pool.name: pool for pool in before}
            self.events += self._told(events, named, at)
            if self.pools is not before:
                self.history.append((at, self.pools))

    def _told(self, events: tuple[happened.Event, ...], before: dict[str, Pool], at: int) -> Iterator[Event]:
        """Yield what an update's events say: margin calls, and each liquidation from its start to its end."""
        forced: Forced | None = None
        for event in events:
            if isinstance(event, happened.MarginCalled):
                was, self._called[event.pool] = self._called.get(event.pool), event.level
                if event.level in _LEVELS and was != "margin_call":  # from there it can only have risen
                    yield self._event(_LEVELS[event.level], before[event.pool], at)
            elif isinstance(event, (happened.LiquidationStarted, happened.LiquidationStep)) and forced is None:
                forced = Forced(event.pool)
            if forced is not None:
                forced.read(event)
                if isinstance(event, happened.LiquidationEnded):
                    yield self._liquidated(forced, before[forced.pool], at)
                    forced = None

    def _event(self, kind: EventKind, pool: Pool, at: int, **found: Any) -> Event:
        assessment = assess(pool, self.marks, self.state.rulebook)
        asset = next(iter(pool.balances))
        event = Event(
            ts=moment_of(at), architecture=self.architecture, pool=pool.name, kind=kind, asset=asset,
            health=assessment.health, balance=assessment.margin_balance or ZERO,
            requirement=assessment.liquidation_requirement or ZERO, loss=ZERO, fund=ZERO, left=self.equity()[asset],
            marks={position.symbol: self.marks[position.symbol] for position in pool.positions},
            legs=legs_of(assessment),
        )  # fmt: skip
        return event._replace(**found) if found else event

    def _liquidated(self, forced: Forced, pool: Pool, at: int) -> Event:
        trades = tuple(forced.trades(self.state.rulebook))
        closed = {(trade.symbol, trade.side) for trade in trades if trade.whole}
        touched = closed or {(trade.symbol, trade.side) for trade in trades}
        event = self._event("liquidation" if closed else "reduction", pool, at)
        return event._replace(
            loss=forced.loss, fund=forced.fund, trades=trades,
            legs=tuple(leg for leg in event.legs if (leg.symbol, leg.side) in touched),
        )  # fmt: skip

    def assessed(self) -> Iterator[tuple[Pool, Assessment]]:
        """Yield the pools with positions, assessed at the last marks known."""
        for pool in self.pools:
            if pool.positions:
                yield pool, assess(pool, self.marks, self.state.rulebook)

    def equity(self) -> dict[str, Value]:
        """Return everything the account has by asset: cash, and PnL at the last marks known."""
        equity = dict.fromkeys(self.funding.capital, ZERO)
        for pool in self.pools:
            if not pool.positions:
                for asset, balance in pool.balances.items():
                    equity[asset] += balance or ZERO
        for pool, assessment in self.assessed():
            equity[next(iter(pool.balances))] += assessment.margin_balance or ZERO
        return equity

    def sample(self, at: int) -> None:
        """Note equity and every pool."""
        held = tuple(pool for pool in self.pools if pool.positions)
        taken = tuple(
            sample_of(
                pool, next(iter(pool.balances)), self.marks, self.state.rulebook, decided=fresh(self.state, pool, at)
            )
            for pool in held
        )
        self.samples.append(Sample(moment_of(at), self.equity(), taken, dict(self.marks)))


@dataclass(slots=True)
class Forced:
    """A liquidation as its events come: what it took from the account, what it gave to the fund, its trades.

    ``to_fund``: what the fund got, or, below 0, paid, by asset; ``fund``: all of it, for a pool of one asset.
    """

    pool: str
    loss: Value = ZERO
    fund: Value = ZERO
    to_fund: dict[str, Value] = field(default_factory=dict)
    _trades: dict[tuple[str, str, str], list[happened.Traded]] = field(default_factory=dict)
    _closed: set[tuple[str, str]] = field(default_factory=set)

    def read(self, event: happened.Event) -> None:
        """Add an event."""
        for posting in getattr(event, "postings", ()):
            owner, _, rest = posting.account.partition(":")
            if owner in {"wallet", "isolated", "bonus"} and rest.partition(":")[0] == TRADER:
                self.loss -= posting.amount
            elif owner == books.INSURANCE:
                self.fund += posting.amount
                self.to_fund[posting.asset] = self.to_fund.get(posting.asset, ZERO) + posting.amount
        if not isinstance(event, happened.Traded) or event.cause not in _FORCED:
            return
        for trader, left, buys in (
            (event.seller, event.seller_quantity, False), (event.buyer, event.buyer_quantity, True),
        ):  # fmt: skip
            if trader == TRADER:
                side = "short" if buys else "long"
                self._trades.setdefault((event.symbol, side, event.cause), []).append(event)
                if not left:
                    self._closed.add((event.symbol, side))

    def trades(self, rulebook: Rulebook) -> Iterator[ForcedTrade]:
        """Yield the trades, those of one position and cause together at their average price."""
        for (symbol, side, cause), fills in self._trades.items():
            quantity = sum((fill.quantity for fill in fills), ZERO)
            contract = rulebook.contract(symbol)
            value = sum((fill.quantity * contract.contract_value(fill.price) for fill in fills), ZERO)
            price = fills[0].price
            if len(fills) > 1:
                price = contract.price_at(value, quantity, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
            yield ForcedTrade(symbol, side, cause, quantity, price, (symbol, side) in self._closed, len(fills))


class _Run:
    """Both sides through all prices."""

    def __init__(self, file: AccountFile, prepared: Prepared, journal: Path | None, stack: ExitStack) -> None:
        self.walk = prepared.walk
        self.span = (micros_of(prepared.walk.tape.start), micros_of(prepared.walk.tape.end))
        self.ticks = 0
        setup = Setup(
            rulebook_name=prepared.rulebook.name, given=prepared.rulebook, guard=guard_of(prepared.walk.tape),
            start_fund=_funds(prepared),
        )  # fmt: skip
        files = {name: None if journal is None else journal_name(journal, name) for name in ARCHITECTURES}
        refuse_journals(file for file in files.values() if file is not None)
        runs = {
            name: stack.enter_context(Run(setup, at=self.span[0], journal=None if path is None else str(path)))
            for name, path in files.items()
        }
        self.sides = tuple(_Side(name, runs[name], prepared, file.marks) for name in ARCHITECTURES)

    def play(self, progress: Callable[[Progress], None] | None) -> None:
        """Go through all prices, sample at every step and once more at the end."""
        start, end = self.span
        step = max(_SAMPLE_STEP, min(self.walk.tape.resolutions.values())) // MICROSECOND
        due = start
        for number, (at, prices) in enumerate(moments(self.walk)):
            while at > due:
                self._sample(due, progress)
                due += step
            self.ticks += len(prices)
            for side in self.sides:
                side.update(number, at, tuple(prices))
        while due < end:
            self._sample(due, progress)
            due += step
        self._sample(end, progress)

    def _sample(self, at: int, progress: Callable[[Progress], None] | None) -> None:
        for side in self.sides:
            side.sample(at)
        if progress is not None:
            start, end = self.span
            progress(
                Progress(moment_of(at), (at - start) / (end - start), sum(len(side.events) for side in self.sides))
            )


def _funds(prepared: Prepared) -> dict[str, Value]:
    """Return what the insurance fund begins with: the venue's, and each market's own where it has them."""
    funds = dict.fromkeys(prepared.funding.capital, FUND)
    if prepared.rulebook.insurance_fund != "venue":
        for symbol in prepared.symbols:
            funds[f"{symbol}:{prepared.rulebook.contract(symbol).settle_asset}"] = FUND
    return funds


def _outcome(side: _Side) -> Outcome:
    forced = [event for event in side.events if event.kind in {"reduction", "liquidation"}]
    start = side.funding.capital
    lost = dict.fromkeys(start, ZERO)
    gained, paid = dict(lost), dict(lost)
    for event in forced:
        lost[event.asset] += event.loss
        gained[event.asset] += max(event.fund, ZERO)
        paid[event.asset] += max(-event.fund, ZERO)
    idle = dict.fromkeys(start, ZERO)
    if side.architecture == "isolated":
        idle |= side.funding.idle
    return Outcome(
        architecture=side.architecture,
        start=start,
        end=side.samples[-1].equity,
        idle=idle,
        lost=lost,
        fund_gained=gained,
        fund_paid=paid,
        lowest={asset: lowest(side.samples, asset) for asset in start},
        drawdown={asset: drawdown(side.samples, asset) for asset in start},
        liquidations=tuple(event for event in forced if event.kind == "liquidation"),
        survivors=tuple(leg for _, assessment in side.assessed() for leg in legs_of(assessment)),
    )


def played(rulebook: Rulebook) -> tuple[str, ...]:
    """Return how a venue's own liquidation is played on the engine, and against which market: what is ours in it."""
    market, fees = Market(), Fees()
    steps = ", ".join(rulebook.liquidation_sequence).replace("_", " ") or "take over"
    share = divide(fees.clearance * 100, Decimal(1), places=4)
    return (
        (
            f"Liquidation by the sequence of {rulebook.title}, looked at again after each step: {steps}. A forced "
            "order takes no worse price than the position's bankruptcy price; clearance fee "
            f"{plain(share.normalize())} % of what is closed where the contract states none (ours)."
        ),
        (
            f"The tape's market fills forced orders: {_share(market.half_spread)} % from the price a first level, then "
            f"one every {_share(market.level_gap)} %, each worth {market.depth_value:,f} (ours). The insurance fund is "
            "never empty."
        ),
    )


def _said(rulebook: Rulebook) -> tuple[str, ...]:
    return (*played(rulebook), *(" ".join(text.split()) for text in _HELD))


def _share(rate: Decimal) -> str:
    return plain((rate * 100).normalize())


_HELD = (
    """
    Both sides start with the same capital. Isolated: entry notional ÷ leverage stands behind each position, the rest
    stays idle in the wallet and is never added. Cross: everything is one pool per settlement asset.
    """,
    """
    No trading fees, no funding: nobody adds margin, reduces or closes of their own accord. A price is too old one bar
    after it came.
    """,
)


__all__ = ["FUND", "TRADER", "Forced", "played", "replay_on_engine"]
