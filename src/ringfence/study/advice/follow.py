"""Accounts through real prices that act when they are called: each takes the cheapest way out that its cash allows.

What a member of a crowd does here is the same for everybody, however his book is held:

1.  A pool whose health falls to its *alert level* is called. ``delay`` later, at the prices of then, its owner asks
    :func:`ringfence.study.rescue.rescue` for the ways to :data:`TARGET` times that level, and takes the first one whose
    cash from outside he has at hand. The list is ranked by fees and then by cash, so he pays in before he sells.
2.  A pool that its venue liquidates is taken over whole: nothing of it is left (``replay --sequence takeover``).
3.  A level is armed again above :data:`~ringfence.study.replay.replay.REARM` times itself.

Exact throughout; pools are looked at where their price bands end (:mod:`ringfence.screen.bands`). Nobody trades
otherwise; no funding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import pools
from ringfence.margin.assess import assess
from ringfence.numbers import ONE, VALUE_PLACES, ZERO, divide, exact
from ringfence.screen.bands import EMPTY, PoolBands
from ringfence.study.replay.engine_tape import moments
from ringfence.study.replay.replay import REARM
from ringfence.study.rescue import rescue
from ringfence.tape import walk
from ringfence.tape.bars import micros_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ringfence.account import Account, Pool
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Rate, Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.rescue import Way
    from ringfence.tape.bars import Tape

TARGET = Decimal("1.5")
"""A rescue aims at this many times the level at which the call came. Ours."""


class Follower(NamedTuple):
    """One account as it begins. ``accounts``: the main one and sub-accounts by name; ``cash``: at hand, outside.

    ``levels``: the alert level of each pool by (account, pool name); the venue's margin-call level for all others.
    """

    name: str
    accounts: Mapping[str, Account]
    cash: Value
    levels: Mapping[tuple[str, str], Decimal] = {}


class Rules(NamedTuple):
    """How the crowd is played. ``delay``: microseconds from a call to the act; ``fee_rate``: of what is closed.

    ``acts``: whether anybody acts at all.
    """

    rulebook: Rulebook
    asset: str
    delay: int
    fee_rate: Rate
    acts: bool = True


@dataclass(slots=True)
class Followed:
    """What became of one account. Amounts in the settlement asset; ``exposure``: gross notional, averaged over time.

    ``liquidated``: moments; ``lost``: what stood in the pools that were taken over; ``paid_in``: of the cash at hand.
    ``calls``, ``acted``: by kind of way. ``equity``: in the end, cash at hand included.
    """

    name: str
    capital: Value
    cash: Value
    equity: Value = ZERO
    exposure: Value = ZERO
    opened: Value = ZERO
    liquidated: list[int] = field(default_factory=list)
    lost: Value = ZERO
    fees: Value = ZERO
    paid_in: Value = ZERO
    calls: int = 0
    acted: dict[str, int] = field(default_factory=dict)


@exact
def follow(
    followers: Sequence[Follower],
    tape: Tape,
    rules: Rules,
    *,
    seed: int = 1,
    marks: Mapping[str, Price],
    samples: int,
    progress: Callable[[float], None] | None = None,
) -> list[Followed]:
    """Return what becomes of every account. ``marks``: before its first prices; ``samples``: of exposures."""
    run = _Run(followers, tape, rules, marks)
    start, end = micros_of(tape.start), micros_of(tape.end)
    step = max(1, (end - start) // samples)
    due, taken = start + step, 0
    run.sample()
    for at, prices in moments(walk(tape, seed, intermediate=0)):
        while at >= due and due < end:
            run.sample()
            taken += 1
            due += step
            if progress is not None:
                progress((due - start) / (end - start))
        run.act(at)
        run.update(at, prices)
    return run.finish(taken + 1)


class _Guard:
    """The band of one symbol for one pool; ``watch`` None once the pool is gone."""

    __slots__ = ("high", "low", "watch")

    def __init__(self, watch: _Watch) -> None:
        self.watch: _Watch | None = watch
        self.low, self.high = EMPTY


class _Watch:
    """A pool that is alive."""

    __slots__ = ("account", "armed", "bands", "due", "guards", "level", "member", "number", "pool")

    def __init__(self, member: _Member, account: str, pool: Pool, level: Decimal, number: int) -> None:
        self.member, self.account, self.pool, self.level, self.number = member, account, pool, level, number
        self.bands = PoolBands()
        self.armed, self.due = True, 0
        self.guards = {position.symbol: _Guard(self) for position in pool.positions}


class _Member:
    """An account and its sub-accounts as they go."""

    __slots__ = ("accounts", "cash", "levels", "outcome", "watches")

    def __init__(self, follower: Follower, capital: Value) -> None:
        self.accounts = dict(follower.accounts)
        self.cash = follower.cash
        self.levels = dict(follower.levels)
        self.outcome = Followed(follower.name, capital, follower.cash)
        self.watches: dict[str, list[_Watch]] = {}


class _Run:
    """The crowd as it goes."""

    def __init__(self, followers: Sequence[Follower], tape: Tape, rules: Rules, marks: Mapping[str, Price]) -> None:
        self.rules, self.marks = rules, dict(marks)
        self.guards: dict[str, list[_Guard]] = {symbol: [] for symbol in tape.symbols}
        self.due: list[_Watch] = []
        self.numbers = 0
        self.members = [_Member(follower, self._capital(follower)) for follower in followers]
        for member in self.members:
            for name in member.accounts:
                self._watch(member, name, {})
            member.outcome.opened = self._gross(member)

    def _capital(self, follower: Follower) -> Value:
        total = ZERO
        for account in follower.accounts.values():
            for pool in pools(account, self.rules.rulebook.contract):
                total += assess(pool, self.marks, self.rules.rulebook).margin_balance or ZERO
        return total

    def _watch(self, member: _Member, name: str, before: Mapping[str, tuple[bool, int]]) -> None:
        """Build an account's pools anew; ``before``: armed and due of those that were there, by name."""
        watches = []
        for pool in pools(member.accounts[name], self.rules.rulebook.contract):
            if not pool.positions:
                continue
            level = member.levels.get((name, pool.name), self.rules.rulebook.levels.margin_call)
            self.numbers += 1
            watch = _Watch(member, name, pool, level, self.numbers)
            watch.armed, watch.due = before.get(pool.name, (True, 0))
            for symbol, guard in watch.guards.items():
                self.guards[symbol].append(guard)
            if watch.due:
                self.due.append(watch)
            watches.append(watch)
        member.watches[name] = watches

    def _changed(self, member: _Member, name: str, account: Account, at: int, *, done: _Watch | None = None) -> None:
        """Put a changed account in place and look at its pools."""
        before = {}
        for watch in member.watches[name]:
            if watch is not done:
                before[watch.pool.name] = (watch.armed, watch.due)
            for guard in watch.guards.values():
                guard.watch = None
        member.accounts[name] = account
        self._watch(member, name, before)
        for watch in tuple(member.watches[name]):
            self._look(watch, at)

    def update(self, at: int, prices: Sequence[tuple[str, Price]]) -> None:
        """Take prices in and look at whom they concern."""
        touched: dict[int, _Watch] = {}
        for symbol, price in prices:
            self.marks[symbol] = price
            gone = 0
            for guard in self.guards[symbol]:
                watch = guard.watch
                if watch is None:
                    gone += 1
                elif not guard.low < price < guard.high:
                    touched[watch.number] = watch
            if gone > len(self.guards[symbol]) // 2:
                self.guards[symbol] = [guard for guard in self.guards[symbol] if guard.watch is not None]
        for _, watch in sorted(touched.items()):
            if next(iter(watch.guards.values())).watch is not None:
                self._look(watch, at)

    def _look(self, watch: _Watch, at: int) -> None:
        """Assess a pool: take it over, call its owner, or set its bands."""
        assessment = assess(watch.pool, self.marks, self.rules.rulebook)
        if assessment.liquidatable:
            self._take_over(watch, assessment, at)
            return
        watch.armed = watch.armed or not assessment.reached(watch.level * REARM)
        if watch.armed and assessment.reached(watch.level):
            watch.armed = False
            watch.member.outcome.calls += 1
            if self.rules.acts:
                watch.due = at + self.rules.delay
                self.due.append(watch)
        bands = watch.bands.around(
            assessment,
            above=[ONE, watch.level] if watch.armed else [ONE],
            not_above=[] if watch.armed else [watch.level * REARM],
        )
        for symbol, guard in watch.guards.items():
            guard.low, guard.high = bands.get(symbol, EMPTY)

    def _take_over(self, watch: _Watch, assessment: Assessment, at: int) -> None:
        member, name = watch.member, watch.account
        account = member.accounts[name]
        held = set(watch.pool.positions)
        wallet = account.wallet
        if not watch.pool.isolated:
            wallet = {**wallet, next(iter(watch.pool.balances)): ZERO}
        member.outcome.liquidated.append(at)
        member.outcome.lost += assessment.wallet_balance or ZERO
        rest = tuple(position for position in account.positions if position not in held)
        self._changed(member, name, replace(account, positions=rest, wallet=wallet), at, done=watch)

    def act(self, at: int) -> None:
        """Let everybody act whose time has come."""
        if not any(watch.due <= at for watch in self.due):
            return
        now = [watch for watch in self.due if watch.due <= at]
        self.due = [watch for watch in self.due if watch.due > at]
        for watch in now:
            alive = next(iter(watch.guards.values())).watch is not None
            if alive and watch.due:
                watch.due = 0
                self._act(watch, at)

    def _act(self, watch: _Watch, at: int) -> None:
        """Take the first way out that the cash at hand allows; without one, wait for the next call."""
        member, name = watch.member, watch.account
        if not assess(watch.pool, self.marks, self.rules.rulebook).reached(watch.level):
            watch.armed = True  # it has come back by itself
            self._look(watch, at)
            return
        way = self._way(watch)
        if way is None or way.account is None:
            return
        outcome = member.outcome
        outcome.acted[way.kind] = outcome.acted.get(way.kind, 0) + 1
        outcome.fees += way.cost
        outcome.paid_in += way.outside
        member.cash -= way.outside
        self._changed(member, name, way.account, at, done=watch)

    def _way(self, watch: _Watch) -> Way | None:
        found = rescue(
            watch.member.accounts[watch.account], marks=self.marks, rulebook=self.rules.rulebook,
            health=watch.level * TARGET, fee_rate=self.rules.fee_rate,
        )  # fmt: skip
        ways = next((pool.ways for pool in found.pools if pool.pool == watch.pool.name), ())
        return next(
            (
                way
                for way in ways
                # A crowd's accounts stay what they were opened as: nobody goes over to another architecture midway.
                if way.refusal is None and way.outside <= watch.member.cash and way.kind != "switch_architecture"
            ),
            None,
        )

    def _gross(self, member: _Member) -> Value:
        total = ZERO
        for account in member.accounts.values():
            for position in account.positions:
                contract = self.rules.rulebook.contract(position.symbol)
                total += abs(position.quantity) * contract.contract_value(self.marks[position.symbol])
        return total

    def sample(self) -> None:
        """Add what everybody has at risk now."""
        for member in self.members:
            member.outcome.exposure += self._gross(member)

    def finish(self, samples: int) -> list[Followed]:
        """Return the outcomes, with equity at the last marks."""
        outcomes = []
        for member in self.members:
            outcome = member.outcome
            outcome.exposure = divide(outcome.exposure, Decimal(samples), places=VALUE_PLACES)
            outcome.equity = member.cash
            for account in member.accounts.values():
                for pool in pools(account, self.rules.rulebook.contract):
                    outcome.equity += assess(pool, self.marks, self.rules.rulebook).margin_balance or ZERO
            outcomes.append(outcome)
        return outcomes


__all__ = ["TARGET", "Followed", "Follower", "Rules", "follow"]
