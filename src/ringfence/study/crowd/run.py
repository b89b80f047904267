"""One crowd through one tape under one architecture: an engine of its own, every price, every event counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from time import process_time
from typing import TYPE_CHECKING, NamedTuple

from ringfence import ledger as books
from ringfence import rulebooks
from ringfence.engine import events as happened
from ringfence.engine.commands import UpdatePrices
from ringfence.engine.setup import Market, Setup
from ringfence.engine.state import FUND, HOUSE
from ringfence.numbers import ROUND_FLOOR, ZERO, divide, exact
from ringfence.screen import BandScreen
from ringfence.study.crowd.result import CrowdOutcome, CrowdSample, Deleveraging, Fate, Forced, Fund
from ringfence.study.replay.engine_run import Run
from ringfence.study.replay.engine_tape import forced_volume, guard_of, moments
from ringfence.tape import walk
from ringfence.tape.bars import micros_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.study.crowd.population import Member
    from ringfence.study.crowd.result import Holding
    from ringfence.tape import Tape

_MINUTE = 60_000_000
_OWNERS = frozenset({"wallet", "isolated", "bonus"})


class Task(NamedTuple):
    """Everything one run needs; plain values, so that another process can do it.

    ``impact``: whether forced orders move the tape's prices. ``journal``: where its commands and events are kept; None
    for nowhere.
    """

    holding: Holding
    members: tuple[Member, ...]
    tape: Tape
    seed: int
    intermediate: int
    rulebook: str
    as_of: str
    asset: str
    fund: Value
    market: Market
    impact: bool
    journal: str | None = None


@dataclass(slots=True)
class _Account:
    """What is noted of one account as it goes."""

    called: int | None = None
    liquidated: int | None = None
    forced: set[str] = field(default_factory=set)
    lost: Value = ZERO
    bankrupt: bool = False
    deleveraged: Value = ZERO


class _Notes:
    """Reads the events of price updates and adds up what they mean for the crowd."""

    def __init__(self, state: State, members: tuple[Member, ...]) -> None:
        self.state = state
        self.accounts = {member.name: _Account() for member in members}
        self.positions = sum(len(member.stakes) for member in members)
        self.cash = sum((member.capital for member in members), ZERO)  # of all accounts together
        self.received = self.paid = self.venue = ZERO
        self.deleveraged_trades = 0
        self.deleveraged = self.market_deleveraged = ZERO
        self.liquidated = self.forced = self.rejected = 0
        self.lowest: dict[str, Price] = {}
        self.volume: dict[tuple[int, str], tuple[Quantity, Value]] = {}
        self._liquidating: str | None = None
        self._balance = ZERO

    def read(self, events: tuple[Event, ...], at: int) -> None:
        """Read what one update led to."""
        for event in events:
            if isinstance(event, happened.PricesChanged):
                continue
            self._postings(event)
            if isinstance(event, happened.Traded):
                self._trade(event)
            elif isinstance(event, happened.MarginCalled):
                account = self.accounts[event.account]
                if event.level == "margin_call" and account.called is None:
                    account.called = at
            elif isinstance(event, (happened.LiquidationStarted, happened.LiquidationStep)):
                self._liquidating, self._balance = event.account, event.margin_balance
                account = self.accounts[event.account]
                if account.liquidated is None:
                    account.liquidated = at
                    self.liquidated += 1
            elif isinstance(event, happened.LiquidationEnded):
                self._liquidating = None
            elif isinstance(event, happened.PriceRejected):
                self.rejected += 1
        for symbol, quantity in forced_volume(events):
            key = (at // _MINUTE * _MINUTE, symbol)
            contracts, value = self.volume.get(key, (ZERO, ZERO))
            self.volume[key] = (contracts + quantity, value + self._value(symbol, abs(quantity)))

    def _value(self, symbol: str, quantity: Quantity) -> Value:
        return quantity * self.state.rulebook.contract(symbol).contract_value(self.state.marks[symbol])

    def _postings(self, event: Event) -> None:
        to_fund = ZERO
        for posting in getattr(event, "postings", ()):
            owner, _, rest = posting.account.partition(":")
            if owner in _OWNERS:
                name = rest.partition(":")[0]
                if name in self.accounts:
                    self.cash += posting.amount
                if name == self._liquidating:
                    self.accounts[name].lost -= posting.amount
            elif owner == books.INSURANCE:
                to_fund += posting.amount
            elif owner == books.VENUE:
                self.venue -= posting.amount
                to_fund += posting.amount  # what the venue puts into the fund is nothing that the fund took in
        self.received += max(to_fund, ZERO)
        self.paid += max(-to_fund, ZERO)

    def _trade(self, event: happened.Traded) -> None:
        if event.cause in {"liquidation", "take_over"} and self._liquidating in {event.buyer, event.seller}:
            assert self._liquidating is not None  # noqa: S101 - it is one of the two
            account = self.accounts[self._liquidating]
            if event.symbol not in account.forced:
                account.forced.add(event.symbol)
                self.forced += 1
            if event.cause == "take_over" and self._balance < 0:
                account.bankrupt = True
        elif event.cause == "auto_deleveraging":
            other = event.buyer if event.seller == FUND else event.seller
            value = self._value(event.symbol, event.quantity)
            if other == HOUSE:
                self.market_deleveraged += value
            else:
                self.deleveraged_trades += 1
                self.deleveraged += value
                self.accounts[other].deleveraged += value


def setup_of(task: Task) -> Setup:
    """Return the venue of a run."""
    return Setup(
        rulebook_name=task.rulebook, as_of=task.as_of, market=task.market, guard=guard_of(task.tape),
        impact=task.impact, start_fund=_funds(task),
    )  # fmt: skip


@exact
def _funds(task: Task) -> dict[str, Value]:
    """Return what the insurance fund begins with: in one, or in equal parts where every market has its own."""
    rulebook = rulebooks.load(task.rulebook, date.fromisoformat(task.as_of))
    if rulebook.insurance_fund == "venue":
        return {task.asset: task.fund}
    symbols = task.tape.symbols
    part = divide(task.fund, Decimal(len(symbols)), places=8, rounding=ROUND_FLOOR)
    first = task.fund - part * (len(symbols) - 1)
    return {f"{symbol}:{task.asset}": part if number else first for number, symbol in enumerate(symbols)}


@exact
def run(task: Task, progress: Callable[[float], None] | None = None) -> CrowdOutcome:
    """Play one task. ``progress`` is told the share of the tape's time that is done."""
    began = process_time()
    start, end = micros_of(task.tape.start), micros_of(task.tape.end)
    with Run(setup_of(task), at=start, journal=task.journal) as venue:
        state = venue.state
        _open(venue, task)
        notes = _Notes(state, task.members)
        samples, updates, screen = _play(venue, task, notes, (start, end), progress)
    fates = tuple(_fate(state, member, notes.accounts[member.name], task.asset) for member in task.members)
    fund_end = sum((total for account, _, total in state.ledger.entries() if _is_fund(account)), ZERO)
    return CrowdOutcome(
        holding=task.holding,
        impact=task.impact,
        fates=fates,
        fund=Fund(task.fund, notes.received, notes.paid, fund_end, notes.venue),
        deleveraging=Deleveraging(
            sum(bool(account.deleveraged) for account in notes.accounts.values()), notes.deleveraged_trades,
            notes.deleveraged, notes.market_deleveraged,
        ),
        samples=samples,
        lowest=notes.lowest,
        forced=tuple(Forced(at, symbol, *volume) for (at, symbol), volume in sorted(notes.volume.items())),
        trial_balance=state.ledger.trial_balance(),
        updates=updates,
        events=state.sequence,
        rejected=notes.rejected,
        assessed=screen.assessments,
        suspects=screen.named,
        digest=state.digest().hex(),
        seconds=process_time() - began,
    )  # fmt: skip


def _is_fund(account: str) -> bool:
    return account.partition(":")[0] == books.INSURANCE


def _open(venue: Run, task: Task) -> None:
    """Fund every account and open its positions at their entry prices."""
    for member in task.members:
        venue.money(member.name, task.asset, member.capital)
        for stake in member.stakes:
            alone = task.holding == "isolated" or (task.holding == "mixed" and stake.ringfenced)
            venue.position(
                member.name, stake.symbol, stake.quantity, stake.entry_price, leverage=stake.leverage,
                mode="isolated" if alone else "cross",
            )  # fmt: skip


def _play(
    venue: Run, task: Task, notes: _Notes, span: tuple[int, int], progress: Callable[[float], None] | None
) -> tuple[tuple[CrowdSample, ...], int, BandScreen]:
    """Go through all prices; return a sample per minute, how many updates there were, and the screen."""
    state, screen = venue.state, BandScreen()
    samples: list[CrowdSample] = []
    lowest = notes.lowest
    due = span[0] + _MINUTE
    updates = 0
    for at, prices in moments(walk(task.tape, task.seed, intermediate=task.intermediate)):
        while at >= due:
            samples.append(_sample(state, notes, due, task.asset))
            due += _MINUTE
            if progress is not None:
                progress((due - span[0]) / (span[1] - span[0]))
        updates += 1
        command = UpdatePrices(f"tick {updates}", at, tuple(prices))
        suspects = screen.suspects(state, command)
        events = venue.do(command, suspects)
        screen.looked_at(state, command, suspects)
        if len(events) > 1 or not isinstance(events[0], happened.PricesChanged):
            notes.read(events, at)
        for symbol, _ in prices:
            mark = state.marks[symbol]
            if mark < lowest.get(symbol, mark + 1):
                lowest[symbol] = mark
    while due <= span[1]:
        samples.append(_sample(state, notes, due, task.asset))
        due += _MINUTE
    return tuple(samples), updates, screen


def _sample(state: State, notes: _Notes, at: int, asset: str) -> CrowdSample:
    """Return the crowd at a moment. Its positions are the other side of those of the market and the fund."""
    equity = notes.cash
    for symbol, mark in state.marks.items():
        others = [state.trader(name).held.get((symbol, "net")) for name in (HOUSE, FUND)]
        quantity = -sum((held.quantity for held in others if held is not None), ZERO)
        entry = -state.ledger.balance(books.clearing(symbol), asset)
        entry -= sum((held.entry_value for held in others if held is not None), ZERO)
        equity += quantity * state.rulebook.contract(symbol).unit_value(mark) - entry
    accounts, positions = len(notes.accounts) - notes.liquidated, notes.positions - notes.forced
    return CrowdSample(at, equity, accounts, positions, dict(state.marks))


def _fate(state: State, member: Member, noted: _Account, asset: str) -> Fate:
    equity = state.ledger.balance(books.wallet(member.name), asset)
    for (symbol, leg), held in state.trader(member.name).held.items():
        equity += state.ledger.balance(books.isolated(member.name, symbol, leg), asset)
        equity += held.quantity * state.rulebook.contract(symbol).unit_value(state.marks[symbol]) - held.entry_value
    return Fate(
        member.capital, equity, noted.called, noted.liquidated, len(member.stakes), len(noted.forced), noted.lost,
        noted.bankrupt, noted.deleveraged,
    )  # fmt: skip


__all__ = ["Task", "run", "setup_of"]
