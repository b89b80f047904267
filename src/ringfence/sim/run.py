"""Running worlds under the auditor's eyes, step by step, and telling what came of it.

A run of so many steps is a row of worlds of up to :data:`LENGTH` steps each; world ``w`` depends on the seed and ``w``
alone, so a failure is found again by running only its world.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from ringfence.engine import events as happened
from ringfence.engine.decide import HandledBefore, handle
from ringfence.engine.snapshot import dump, load
from ringfence.engine.state import State
from ringfence.engine.wire import encode
from ringfence.ledger import INSURANCE, VENUE
from ringfence.numbers import EXACT, ZERO
from ringfence.sim.auditor import Auditor
from ringfence.sim.laws import LAWS, LawBroken
from ringfence.sim.shrink import smallest
from ringfence.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.setup import Setup

LENGTH = 2000  #: steps of one world
_REPLAYED = 3  # every so many worlds are decided a second time from their commands
_RESTORED = 700  # every so many steps a world goes on from a snapshot of itself


@dataclass(frozen=True, slots=True)
class Failure:
    """The first step at which a law did not hold, with what is left of the world after shrinking."""

    step: int
    world: int
    venue: str
    law: str
    figures: str
    command: str
    shrunk: tuple[str, ...] = ()


@dataclass(slots=True)
class SimReport:
    """What a run did. Counts by name; ``paid``: by the fund and by the venue, by asset; ``digest``: of the run."""

    seed: int
    steps: int = 0
    worlds: int = 0
    events: int = 0
    repeated: int = 0
    commands: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    rejected_prices: dict[str, int] = field(default_factory=dict)
    fills: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    liquidations: int = 0
    liquidation_steps: dict[str, int] = field(default_factory=dict)
    liquidation_ends: dict[str, int] = field(default_factory=dict)
    venues: dict[str, int] = field(default_factory=dict)
    paid: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    laws: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LAWS, 0))
    digest: str = ""
    failure: Failure | None = None

    @property
    def deleveraged(self) -> int:
        """How many trades were auto-deleveraging."""
        return self.fills.get("auto_deleveraging", 0)

    def count(self, command: Command, events: tuple[Event, ...]) -> None:
        """Count one step."""
        _more(self.commands, command.kind)  # type: ignore[attr-defined]
        self.events += len(events)
        for event in events:
            for account, asset, amount in getattr(event, "postings", ()):
                if amount < 0 and (account == VENUE or account.startswith(INSURANCE)):
                    paid = self.paid.setdefault("venue" if account == VENUE else "fund", {})
                    paid[asset] = EXACT.subtract(paid.get(asset, ZERO), amount)
            if isinstance(event, happened.Refused):
                _more(self.refusals, event.reason)
            elif isinstance(event, happened.Traded):
                _more(self.fills, event.cause)
            elif isinstance(event, happened.MarginCalled):
                _more(self.calls, event.level)
            elif isinstance(event, happened.PriceRejected):
                _more(self.rejected_prices, event.reason)
            elif isinstance(event, happened.LiquidationStarted):
                self.liquidations += 1
            elif isinstance(event, happened.LiquidationStep):
                _more(self.liquidation_steps, event.step)
            elif isinstance(event, happened.LiquidationEnded):
                _more(self.liquidation_ends, event.outcome.split(" ", 1)[0])


def _more(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def run(
    seed: int,
    steps: int,
    *,
    progress: Callable[[int], None] | None = None,
    until: Callable[[], bool] | None = None,
    first_world: int = 0,
    shrink: bool = True,
) -> SimReport:
    """Run worlds of ``seed`` for ``steps`` steps, checking every law after each.

    Ends at the first broken law (:attr:`SimReport.failure`), or when ``until`` says so between two worlds. ``progress``
    is told how many steps are done. ``first_world`` leaves out the worlds before it (and their steps).
    """
    report = SimReport(seed)
    whole = blake2b(digest_size=16)
    number = first_world
    done = first_world * LENGTH
    while done < steps and report.failure is None and not (until is not None and until()):
        length = min(LENGTH, steps - done)
        _run_world(report, seed, number, length, done, progress, whole.update, shrink=shrink)
        done += length
        number += 1
        report.worlds += 1
    report.digest = whole.hexdigest()
    return report


def _run_world(
    report: SimReport, seed: int, number: int, length: int, before: int, progress: Callable[[int], None] | None,
    mix: Callable[[bytes], object], *, shrink: bool,
) -> None:  # fmt: skip
    world = World(seed, number, length=length)
    _more(report.venues, world.venue.rulebook)
    state = State(world.setup)
    auditor = Auditor(world.setup, state)
    sent: list[Command] = []
    command: Command | None = None
    step = 0
    try:
        for step in range(1, length + 1):
            if step % _RESTORED == 0:
                state = auditor.state = restored(world.setup, state, auditor)
            command = world.next(state)
            events = _one(state, auditor, command, report, sent)
            report.count(command, events)
            report.steps += 1
            if progress is not None and step % 100 == 0:
                progress(before + step)
        auditor.compare()
        if number % _REPLAYED == 0:
            check_replay(world.setup, state, sent, auditor)
    except LawBroken as broken:
        report.failure = _failure(world, number, before + step, broken, command, sent, shrink=shrink)
    for law, times in auditor.checked.items():
        report.laws[law] += times
    mix(state.digest())


def _one(
    state: State, auditor: Auditor, command: Command, report: SimReport | None, sent: list[Command]
) -> tuple[Event, ...]:
    before = state.digest()
    if command.id in state.handled:
        auditor.repeated(before, *_handled_again(state, command))
        if report is not None:
            report.repeated += 1
        return ()
    sent.append(command)
    events = _handled(state, command)
    auditor.checked["stands"] += 1
    try:
        auditor.step(command, events)
    except LawBroken:
        raise
    except Exception as error:
        raise LawBroken("stands", f"auditing: {describe(error)}") from error
    return events


def _handled(state: State, command: Command) -> tuple[Event, ...]:
    try:
        return handle(state, command)
    except Exception as error:
        raise LawBroken("stands", describe(error)) from error


def _handled_again(state: State, command: Command) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Return the remembered first outcome of a command, and what sending it again gives; alike if none is known."""
    first = state.outcomes.get(command.id)
    try:
        again = _handled(state, command)
    except LawBroken as broken:
        if first is None and isinstance(broken.__cause__, HandledBefore):
            return (), ()  # the outcome is in the journal, which a restored state leaves to whoever has it
        raise
    return (again if first is None else first), again


def restored(setup: Setup, state: State, auditor: Auditor) -> State:
    """Return the state read from its own snapshot, held to be the same."""
    data = dump(state)
    again = load(data, setup)
    same = again.digest() == state.digest() and dump(again) == data
    auditor.hold("restored", same, lambda: "another digest or other bytes")
    return again


def describe(error: BaseException) -> str:
    """Return an error and where it was raised, in one line."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"{type(error).__name__}: {error} in {place}".replace("\n", " ")


def check_replay(setup: Setup, state: State, sent: list[Command], auditor: Auditor) -> None:
    """Decide the commands anew and hold the state to the one that was reached."""
    again = State(setup)
    for command in sent:
        handle(again, command)
    auditor.hold("replay", again.digest() == state.digest(), lambda: "another digest")


def _failure(
    world: World,
    number: int,
    step: int,
    broken: LawBroken,
    command: Command | None,
    sent: list[Command],
    *,
    shrink: bool,
) -> Failure:
    shrunk: tuple[str, ...] = ()
    if shrink and broken.law != "replay":

        def run_again(commands: list[Command]) -> tuple[int, str] | None:
            found = broken_by(world.setup, commands)
            return None if found is None else (found[0], found[1].law)

        shrunk = tuple(encode(one).decode() for one in smallest(sent, broken.law, run_again))
    asked = "" if command is None else encode(command).decode()
    return Failure(step, number, world.venue.rulebook, broken.law, broken.figures, asked, shrunk)


def broken_by(setup: Setup, commands: list[Command]) -> tuple[int, LawBroken] | None:
    """Run given commands and return the position of the one that breaks a law, with the law; None when all hold."""
    state = State(setup)
    auditor = Auditor(setup, state, compare_every=1)
    for position, command in enumerate(commands):
        try:
            _one(state, auditor, command, None, [])
        except LawBroken as broken:
            return position, broken
    return None


__all__ = ["LENGTH", "Failure", "SimReport", "broken_by", "check_replay", "run"]
