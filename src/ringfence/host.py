"""The shell around the engine: one writer, which journals before anybody sees a result.

    submit → queue → [take a group → handle → append the group → answer → publish] → now and then a snapshot

**One writer.** A single thread handles commands in the order they were submitted; everybody else waits on a future.

**Bounded.** A full queue refuses at once (:class:`HostBusy`) instead of growing.

**Group commit.** Up to ``group`` waiting commands are handled and appended to the journal in one go. Only then are
their callers told. Who was told can rely on it; who was not can submit the same command again under the same id: an id
is never handled twice, and a repetition gets its first outcome, after a restart too.

**Answer first.** What a screen has to do after a price update (in a crash: new bands for thousands) is done when the
group is durable and answered, and in any case before the next command is handled. Nothing of it is in the journal.
What the journal puts off (a very large group is copied to its place later) is done then, too.

**Prices are merged.** Price updates that wait directly behind one another become one, with the latest price of each
symbol, under the id of the latest; that one is journaled and everybody gets its outcome. No other command is merged.
An id that was merged away is remembered as long as the process lives (the latest 10,000): after a restart it is new.

**Fail-stop.** After a failed append, or a bug in the middle of a command, the state is ahead of the journal. The host
refuses everything from then on and says why; open the journal again, and it decides what happened.

**Recovery**: the latest snapshot that can be used, then the events behind it, with the digest of every entry checked.
With ``verify`` everything is decided again from the commands and compared byte by byte. After a restart every mark
counts as stale (:class:`~ringfence.engine.commands.Resume`): nobody is liquidated before a new price has come.

**Time** comes from ``clock``, or else from the commands, and never goes back: a clock that jumps back is held at the
latest time of the journal until it has caught up.
"""

from __future__ import annotations

import gc
import json
import logging
import re
import threading
from collections import OrderedDict, deque
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from ringfence.engine import setup_text, snapshot
from ringfence.engine.commands import COMMANDS, Command, Resume, SetUp, UpdatePrices
from ringfence.engine.decide import HandledBefore, handle
from ringfence.engine.evolve import evolve
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, decode_event, encode
from ringfence.errors import BadConfiguration, BadInput, RingfenceError, VerificationFailed
from ringfence.journal import Batch, JournalCorrupt
from ringfence.origin import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from ringfence.engine.events import Event
    from ringfence.engine.setup import Setup
    from ringfence.journal import Entry, Journal, JournalReader

T = TypeVar("T")

OUTCOMES_KEPT = 10_000
"""Outcomes of how many commands are kept in memory; older ones are read from the journal when somebody asks again."""

_MERGED_KEPT = 10_000
_OUTCOMES_SCREENED = 64  # outcomes that a screen may read to see who changed
_LARGEST = 40  # digits before, and decimal places behind the point, of a number that a command may hold
_BEGINNING = re.compile(rb'\["[a-z_]+","([^"\\]+)",(\d+)[,\]]')
_BEGINNINGS = (b'["set_up"', b'["resume"')  # of the commands that tell who decides from them on
_log = logging.getLogger("ringfence.host")


class HostBusy(RingfenceError):
    """The queue is full; nothing was accepted. ``retry_after``: seconds after which it is worth trying again."""

    exit_code = 5

    def __init__(self, queued: int, retry_after: float) -> None:
        super().__init__(
            f"{queued} commands wait already, as many as are let in\n"
            f"  do: submit it again after {retry_after:.2f} s, under the same id"
        )
        self.queued = queued
        self.retry_after = retry_after


class HostStopped(RingfenceError):
    """The host takes nothing any more. ``reason`` says why; what it had not answered may be in the journal or not."""

    exit_code = 5

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the host has stopped: {reason}\n"
            "  do: open the journal again; then submit again, under the same ids, whatever was not answered"
        )
        self.reason = reason


class Decided(NamedTuple):
    """By what an entry was decided. ``by``: as the journal tells it, empty where it does not; ``here``: this program.

    ``since``: the entry from which on ``by`` holds.
    """

    by: str
    since: int
    here: str

    @property
    def elsewhere(self) -> bool:
        """Whether another program, or other rules, decided it than would now."""
        return self.by != self.here

    def __str__(self) -> str:
        by = self.by or "a ringfence that did not yet write down which it was"
        told = f"\n  decided by: {by} (from entry {self.since} on)"
        if self.elsewhere:
            told += (
                f"\n  here: {self.here}\n  do: verify it with the ringfence that decided it; the hash chain held so far"
            )
        return told


class Difference(VerificationFailed):
    """What a journal holds is not what its commands lead to.

    ``sequence``: the entry. ``event``: which of its events, from 1 on; None for the digest of the state after it.
    ``expected`` is what the commands lead to, ``found`` what the journal holds; None for one that is not there.
    ``decided``: by which program and rules the entry was decided, and by which it is now.
    """

    def __init__(
        self, sequence: int, event: int | None, *, expected: str | None, found: str | None,
        decided: Decided | None = None,
    ) -> None:  # fmt: skip
        what = "the digest of the state" if event is None else f"event {event}"
        super().__init__(
            f"entry {sequence}: {what} is not what the commands lead to\n"
            f"  expected: {expected if expected is not None else 'no more events'}\n"
            f"  found: {found if found is not None else 'no more events'}" + (str(decided) if decided else "")
        )
        self.sequence = sequence
        self.event = event
        self.expected = expected
        self.found = found
        self.decided = decided


class Happened(NamedTuple):
    """What subscribers get: a command that is in the journal as entry ``sequence``, with the events it led to."""

    sequence: int
    command: Command
    events: tuple[Event, ...]


class Recovery(NamedTuple):
    """How the state was reached when the host was opened. ``snapshot``: its entry, 0 without one."""

    snapshot: int
    entries: int
    events: int
    seconds: float


class _Recovered(NamedTuple):
    state: State
    last_at: int
    recovery: Recovery


class _Limits(NamedTuple):
    snapshot_every: int
    group: int
    queue: int


class Screen(Protocol):
    """Somebody who can prove most traders healthy at new prices, so that the engine need not look at them.

    Journals are byte-identical with and without a screen: a look that would find nothing is all that may be left out.
    """

    def suspects(self, state: State, command: UpdatePrices, /) -> Iterable[str] | None:
        """Return the traders that have to be looked at when ``command`` is handled; None for everybody."""
        ...

    def looked_at(self, state: State, command: UpdatePrices, suspects: Iterable[str] | None, /) -> None:
        """Take note of the state after ``command``: those suspects were looked at, and found as they are now."""
        ...


@dataclass(slots=True)
class _Request:
    """A command that waits with everybody who waits for it, or a question about the state."""

    command: Command | None
    futures: list[Future[Any]]
    question: Callable[[State], Any] | None = None


class Host:
    """A running venue. Made by :meth:`open`; safe to use from any thread."""

    def __init__(
        self,
        journal: Journal,
        recovered: _Recovered,
        limits: _Limits,
        clock: Callable[[], int] | None,
        screen: Screen | None,
    ) -> None:
        self._journal = journal
        self._state, self._last_at, self.recovery = recovered
        self._state.outcomes_kept = OUTCOMES_KEPT
        self._sequence = journal.head().sequence
        self._events_since_snapshot = self.recovery.events
        self._limits = limits
        self._clock = clock
        self._screen = screen
        self._to_look_at: tuple[UpdatePrices, Iterable[str] | None] | None = (
            None  # by the screen: handled, not noted yet
        )
        self._queue: deque[_Request] = deque()
        self._merged: OrderedDict[str, str] = OrderedDict()
        self._subscribers: list[Callable[[Happened], None]] = []
        self._guard = threading.Lock()
        self._arrived = threading.Condition(self._guard)
        self._stopped: str | None = None
        self._closing = False
        self._seconds_per_command = 0.0005
        self._thread = threading.Thread(target=self._run, name="ringfence-host", daemon=True)

    @classmethod
    def open(
        cls,
        journal: Journal,
        setup: Setup | None = None,
        *,
        snapshot_every: int = 50_000,
        group: int = 256,
        queue: int = 10_000,
        clock: Callable[[], int] | None = None,
        screen: Screen | None = None,
        verify: bool = False,
    ) -> Host:
        """Open a venue on ``journal``, which belongs to the host from now on.

        ``setup`` is needed for an empty journal; a journal that has begun brings its own, and another one is refused.
        ``snapshot_every``: events between two snapshots. ``group``: most commands per append. ``queue``: most that may
        wait. ``clock``: microseconds since 1970; None takes the time that each command states.

        Raises BadConfiguration for a set-up that is missing or another, Difference when the journal's events do not
        lead to its digests, and what the journal raises.
        """
        if not 1 <= group <= OUTCOMES_KEPT:
            raise BadConfiguration("no group of that size", expected=f"1 to {OUTCOMES_KEPT}", found=str(group))
        recovered = _recovered(journal, setup, verify=verify) if journal.head().sequence else _begun(journal, setup)
        host = cls(journal, recovered, _Limits(snapshot_every, group, queue), clock, screen)
        host._begin()
        return host

    # ── For everybody ────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, command: Command) -> Future[tuple[Event, ...]]:
        """Hand a command in; the future holds its events once they are durable.

        Raises BadInput for a command that cannot be journaled, HostBusy when the queue is full, HostStopped. The future
        raises HostStopped when the host stops meanwhile, and BadInput for a command that the engine cannot read.
        """
        check(command)
        future: Future[tuple[Event, ...]] = Future()
        self._enqueue(_Request(command, [future]))
        return future

    def ask(self, command: Command, *, timeout: float | None = None) -> tuple[Event, ...]:
        """Hand a command in and wait for its events."""
        return self.submit(command).result(timeout)

    def look(self, question: Callable[[State], T], *, timeout: float | None = None) -> T:
        """Return ``question(state)``, asked between two commands when all before is durable. It may change nothing."""
        future: Future[T] = Future()
        self._enqueue(_Request(None, [future], question))
        return future.result(timeout)

    def subscribe(self, listener: Callable[[Happened], None]) -> Callable[[], None]:
        """Call ``listener`` with all that happens from now on, in order, once it is durable; return what ends that.

        It runs on the writer's thread and should only pass on. One that raises is logged and called again next time.
        """
        with self._guard:
            self._subscribers = [*self._subscribers, listener]

        def end() -> None:
            with self._guard:
                self._subscribers = [other for other in self._subscribers if other is not listener]

        return end

    @property
    def stopped(self) -> str | None:
        """Why the host takes nothing any more; None while it runs."""
        return self._stopped

    def close(self) -> None:
        """Handle what waits, keep a snapshot, and close the journal. After a stop: close the journal."""
        with self._guard:
            self._closing = True
            self._arrived.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        if self._stopped is None:
            if self._events_since_snapshot:
                self._keep_snapshot()
            self._stopped = "it was closed"
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    # ── The writer ───────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self) -> None:
        """Tell a journal that had begun that the venue runs again, and start the writer."""
        if self.recovery.entries or self.recovery.snapshot:
            number = self._sequence + 1
            command = Resume(f"@resume {number}", self._now(self._last_at), decided_by(self._state.setup))
            events = handle(self._state, command)
            self._append([_batch(number, command, events, self._state)])
            self._events_since_snapshot += len(events)
        self._thread.start()

    def _enqueue(self, request: _Request) -> None:
        with self._guard:
            if self._stopped is not None:
                raise HostStopped(self._stopped)
            if self._closing:
                raise HostStopped("it is being closed")
            if len(self._queue) >= self._limits.queue:
                raise HostBusy(len(self._queue), len(self._queue) * self._seconds_per_command)
            self._queue.append(request)
            self._arrived.notify()

    def _run(self) -> None:
        while True:
            requests = self._take()
            if requests is None:
                return
            try:
                with _collecting_afterwards():
                    self._work(requests)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the state can no longer be trusted
                self._stop(error, requests)
                return

    def _take(self) -> list[_Request] | None:
        """Wait for requests and return the next group, with price updates merged; None when all is done."""
        with self._guard:
            while not self._queue:
                if self._closing:
                    return None
                self._arrived.wait()
            taken: list[_Request] = []
            while self._queue and len(taken) < self._limits.group:
                request = self._queue.popleft()
                if not request.futures[0].set_running_or_notify_cancel():
                    continue  # whoever asked thought better of it
                before = taken[-1].command if taken else None
                if isinstance(before, UpdatePrices) and self._may_merge(before, request.command):
                    assert isinstance(request.command, UpdatePrices)  # noqa: S101 - by _may_merge
                    self._merge(taken[-1], before, request.command, request.futures)
                else:
                    taken.append(request)
                if request.question is not None:
                    break
            return taken

    def _may_merge(self, before: UpdatePrices, command: Command | None) -> bool:
        """Whether both are new price updates. A repeated one gets its first outcome and is not part of a new one."""
        if not isinstance(command, UpdatePrices) or before.id == command.id:
            return False
        return not any(known in self._state.handled or known in self._merged for known in (before.id, command.id))

    def _merge(self, into: _Request, before: UpdatePrices, command: UpdatePrices, futures: list[Future[Any]]) -> None:
        into.command = merged(before, command)
        into.futures += futures
        self._merged[before.id] = command.id
        if len(self._merged) > _MERGED_KEPT:
            self._merged.popitem(last=False)

    def _work(self, requests: list[_Request]) -> None:
        """Handle a group, append it, and only then answer and publish."""
        started = perf_counter()
        batches: list[Batch] = []
        answers: list[tuple[_Request, tuple[Event, ...] | BadInput]] = []
        published: list[Happened] = []
        questions: list[_Request] = []
        for request in requests:
            if request.command is None:
                questions.append(request)
                continue
            answer, command = self._handled(request.command)
            answers.append((request, answer))
            if command is not None and not isinstance(answer, BadInput):
                number = self._sequence + len(batches) + 1
                batches.append(_batch(number, command, answer, self._state))
                published.append(Happened(number, command, answer))
        self._append(batches)
        for request, answer in answers:
            for future in request.futures:
                if isinstance(answer, BadInput):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        self._let_screen_look()
        for request in questions:
            self._answer(request)
        self._publish(published)
        self._journal.tidy()
        taken = (perf_counter() - started) / len(requests) if requests else 0.0
        self._seconds_per_command = 0.9 * self._seconds_per_command + 0.1 * taken
        self._events_since_snapshot += sum(len(batch.events) for batch in batches)
        if self._events_since_snapshot >= self._limits.snapshot_every:
            self._keep_snapshot()

    def _handled(self, command: Command) -> tuple[tuple[Event, ...] | BadInput, Command | None]:
        """Return a command's events, and the command as it is to be journaled: None for a repetition or bad input."""
        self._let_screen_look()
        first = self._merged.get(command.id, command.id)
        if first in self._state.handled:
            return self._first_outcome(first), None
        now = self._now(command.at)
        if now != command.at:
            command = replace(command, at=now)
        before = self._state.sequence
        suspects: Iterable[str] | None = None
        try:
            if self._screen is not None and isinstance(command, UpdatePrices):
                suspects = self._screen.suspects(self._state, command)
            events = handle(self._state, command, suspects)
        except (RingfenceError, ArithmeticError) as error:
            if self._state.sequence != before:
                raise  # half of it has happened
            why = error if isinstance(error, BadInput) else BadInput(f"{command.kind} cannot be handled: {error}")  # type: ignore[attr-defined]
            return why, None
        if self._screen is not None and isinstance(command, UpdatePrices):
            self._to_look_at = command, suspects
        return events, command

    def _let_screen_look(self) -> None:
        """Let the screen take note of the last price update, as the state is still after it, unless it has."""
        if self._screen is not None and self._to_look_at is not None:
            (command, suspects), self._to_look_at = self._to_look_at, None
            self._screen.looked_at(self._state, command, suspects)

    def _first_outcome(self, command: str) -> tuple[Event, ...]:
        kept = self._state.outcomes.get(command)
        return kept if kept is not None else outcome_of(self._journal, self._state.handled[command])

    def _now(self, stated: int) -> int:
        """Return the time of the next command: never before that of the one before it."""
        self._last_at = max(self._last_at, stated if self._clock is None else self._clock())
        return self._last_at

    def _append(self, batches: list[Batch]) -> None:
        if batches:
            self._journal.append(batches, after=self._sequence)
            self._sequence = batches[-1].sequence

    def _answer(self, request: _Request) -> None:
        assert request.question is not None  # noqa: S101 - a request is a command or a question
        try:
            answer = request.question(self._state)
        except Exception as error:  # noqa: BLE001 - the asker's own
            request.futures[0].set_exception(error)
        else:
            request.futures[0].set_result(answer)

    def _publish(self, published: list[Happened]) -> None:
        for listener in self._subscribers:
            for happened in published:
                try:
                    listener(happened)
                except Exception:  # noqa: BLE001 - a listener's own
                    _log.exception("a subscriber failed at entry %d", happened.sequence)

    def _keep_snapshot(self) -> None:
        self._journal.save_snapshot(self._sequence, snapshot.dump(self._state), self._state.digest())
        self._events_since_snapshot = 0

    def _stop(self, error: BaseException, requests: list[_Request]) -> None:
        """Refuse everything from now on, first of all what waits."""
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        _log.error("the host stops: %s", reason, exc_info=error)
        with self._guard:
            self._stopped = reason
            waiting = [*requests, *self._queue]
            self._queue.clear()
        for request in waiting:
            for future in request.futures:
                if not future.done():
                    future.set_exception(HostStopped(reason))


def merged(before: UpdatePrices, after: UpdatePrices) -> UpdatePrices:
    """Return two price updates as one: the latest price of each symbol, in the order symbols came first."""
    return replace(
        after,
        marks=tuple({**dict(before.marks), **dict(after.marks)}.items()),
        last=tuple({**dict(before.last), **dict(after.last)}.items()),
        index=tuple({**dict(before.index), **dict(after.index)}.items()),
    )


# ── What may be journaled ────────────────────────────────────────────────────────────────────────────────────────

_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in COMMANDS}
_NAMES = frozenset({"id", "account", "to_account", "order", "symbol", "asset"})


def check(command: Command) -> None:
    """Raise BadInput for a command that no engine should see: odd names, numbers beyond any market.

    A name is printable text without ``:`` or ``|``; those of the venue itself begin with ``@``. A number has up to 40
    digits before and behind its point. A price may be anything: the engine rejects and counts those that make no sense.
    """
    if type(command) not in _FIELDS or isinstance(command, (SetUp, Resume)):
        raise BadInput("not a command for a host", expected="a command of the engine", found=type(command).__name__)
    for name in _FIELDS[type(command)]:
        value = getattr(command, name)
        if isinstance(value, Decimal):
            _check_number(value, name)
        elif name in _NAMES and value is not None:
            _check_name(value, name)
        elif isinstance(value, tuple):
            for symbol, price in value:
                _check_name(symbol, name)
                if price.is_finite():
                    _check_number(price, name)
    at: object = command.at
    if not isinstance(at, int) or at < 0:
        raise BadInput("no time", where="at", expected="microseconds since 1970", found=repr(command.at))


def _check_number(value: Decimal, where: str) -> None:
    text = str(value)
    if len(text) <= _LARGEST and "E" not in text and value.is_finite():
        return  # nearly always: as many digits as that are neither too large nor too small
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_LARGEST or value.adjusted() > _LARGEST:
        raise BadInput(
            "a number beyond any market", where=where, expected=f"up to {_LARGEST} digits before and behind the point",
            found=str(value)[:60], hint="check the unit",
        )  # fmt: skip


def _check_name(value: object, where: str) -> None:
    if (
        not isinstance(value, str) or not value or not value.isprintable() or ":" in value or "|" in value
        or value[0] == "@"
    ):  # fmt: skip
        raise BadInput(
            "not a name", where=where, expected="printable text without ':' or '|' that does not begin with '@'",
            found=repr(value)[:60],
        )  # fmt: skip


@contextmanager
def _collecting_afterwards() -> Iterator[None]:
    """Let the garbage collector wait: what a group makes is nearly all kept, and looked through once is enough."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


# ── Recovery and verification ────────────────────────────────────────────────────────────────────────────────────


def _batch(number: int, command: Command, events: tuple[Event, ...], state: State) -> Batch:
    return Batch(number, encode(command), tuple(encode(event) for event in events), state.digest())


def _begun(journal: Journal, setup: Setup | None) -> _Recovered:
    """Begin an empty journal with its set-up."""
    if setup is None:
        raise BadConfiguration("an empty journal needs a set-up", expected="a set-up", found="none")
    state = State(setup)
    command = SetUp("@set-up", 0, setup_text.write(setup), decided_by(setup))
    events = handle(state, command)
    journal.append([_batch(1, command, events, state)], after=0)
    return _Recovered(state, 0, Recovery(0, 0, 0, 0.0))


def _recovered(journal: Journal, setup: Setup | None, *, verify: bool) -> _Recovered:
    """Return the state a journal leads to, the time of its last command, and how it was reached."""
    started = perf_counter()
    stored = setup_of(journal)
    if setup is not None and setup_text.write(setup) != setup_text.write(stored):
        raise BadConfiguration(
            "the journal was begun with another set-up", expected=setup_text.write(stored),
            found=setup_text.write(setup), hint="open it without a set-up, or begin another journal",
        )  # fmt: skip
    state, first = (State(stored), 0) if verify else _from_snapshot(journal, stored)
    state.outcomes_kept = OUTCOMES_KEPT
    last_at, entries, events = 0, 0, 0
    steps = redecide(journal, state) if verify else _folded(journal, state, start=first + 1)
    for step in steps:
        entries, events, last_at = entries + 1, events + step.events, step.at
    if not entries:
        _, last_at = _id_and_time(next(journal.read(start=first)).command)
    return _Recovered(state, last_at, Recovery(first, entries, events, perf_counter() - started))


def _from_snapshot(journal: JournalReader, setup: Setup) -> tuple[State, int]:
    """Return the state of the latest snapshot that can be used, and its entry; a new state, and 0, without one."""
    not_after: int | None = None
    while True:
        kept = journal.latest_snapshot(not_after=not_after)
        if kept is None:
            return State(setup), 0
        try:
            state = snapshot.load(kept.payload, setup)
        except BadInput as error:
            why = str(error).splitlines()[0]
        else:
            if state.digest() == kept.digest:
                return state, kept.sequence
            why = "its state has another digest"
        _log.warning("the snapshot of entry %d is passed over: %s", kept.sequence, why)
        if kept.sequence == 0:
            return State(setup), 0
        not_after = kept.sequence - 1


class Step(NamedTuple):
    """One entry that was gone through: its number, how many events it has, and its command's time.

    ``same_bytes``: whether its events are byte for byte what they are now; else they are so read, in an older form.
    ``digest``: whether the state after it has the digest that it holds; only of an entry that was decided elsewhere may
    it not, as the digest is reckoned in another way there. ``decided_by``: as the journal tells it.
    """

    sequence: int
    events: int
    at: int
    same_bytes: bool = True
    digest: bool = True
    decided_by: str = ""


def _folded(journal: JournalReader, state: State, *, start: int) -> Iterator[Step]:
    """Fold the events of the entries from ``start`` on into ``state``; each entry has to lead to its digest.

    Also under another program than wrote them: a venue does not go on from a state that may be another than it told.
    """
    for entry in journal.read(start=start):
        command, at = _id_and_time(entry.command)
        events = tuple(map(decode_event, entry.events))
        for event in events:
            evolve(state, event)
        state.remember(command, events)
        if state.digest() != entry.digest:
            raise _other_digest(entry, state, _decided(journal, entry.sequence, state.setup))
        yield Step(entry.sequence, len(events), at)


def _id_and_time(command: bytes) -> tuple[str, int]:
    """Return the two fields that every command begins with, after its kind."""
    found = _BEGINNING.match(command)
    if found is not None:
        return found[1].decode(), int(found[2])
    _, name, at, *_ = json.loads(command)  # an id with escapes
    return str(name), int(at)


def redecide(journal: JournalReader, state: State | None = None, *, screen: Screen | None = None) -> Iterator[Step]:
    """Decide a journal again from its commands alone, yielding a step per entry that is byte for byte what it holds.

    The hash chain is verified on the way. ``state`` is brought along; None begins with the journal's own set-up.
    ``screen``: proves most traders healthy at a price, so that they are not looked at; None looks at everybody. Raises
    Difference at the first event or digest that is another, JournalCorrupt where the chain breaks.

    Of entries that another program or other rules decided (``SetUp`` and ``Resume`` tell), the decisions have to be the
    same: events may be in an older form, and the state's digest of another making. :class:`Step` tells of both.
    """
    if state is None:
        state = State(setup_of(journal))
        state.outcomes_kept = 0 if screen is None else _OUTCOMES_SCREENED
    decided = Decided("", 1, decided_by(state.setup))
    for entry in journal.read():
        try:
            command = decode_command(entry.command)
        except BadInput as error:
            raise JournalCorrupt(entry.sequence, None, f"its command cannot be read: {error.hint}") from error
        if command.id in state.handled:
            found = f"handled before as entry {state.handled[command.id]}"
            raise Difference(
                entry.sequence, 1, expected=None, found=f"command {command.id!r}, {found}", decided=decided
            )
        if isinstance(command, SetUp | Resume):
            decided = Decided(command.decided_by, entry.sequence, decided_by(state.setup))
        suspects: Iterable[str] | None = None
        if screen is not None and isinstance(command, UpdatePrices):
            suspects = screen.suspects(state, command)
        made = tuple(map(encode, handle(state, command, suspects)))
        if screen is not None and isinstance(command, UpdatePrices):
            screen.looked_at(state, command, suspects)
        same_bytes = made == entry.events
        if not same_bytes and not (decided.elsewhere and _read_alike(entry.events, made)):
            raise _first_difference(entry, made, decided)
        digest = state.digest() == entry.digest
        if not digest and not decided.elsewhere:
            raise _other_digest(entry, state, decided)
        yield Step(entry.sequence, len(made), command.at, same_bytes, digest, decided.by)


def _read_alike(found: tuple[bytes, ...], made: tuple[bytes, ...]) -> bool:
    """Whether events in an older form say what is decided now."""
    try:
        return tuple(map(decode_event, found)) == tuple(map(decode_event, made))
    except BadInput:
        return False


def decided_by(setup: Setup) -> str:
    """Return what decides here, under the rules that a set-up names: the text that ``SetUp`` and ``Resume`` keep."""
    if setup.given is not None:
        day = setup.given.as_of
        return origin(setup.given.name, None if day is None else day.isoformat())
    return origin(setup.rulebook_name, setup.as_of)


def _decided(journal: JournalReader, sequence: int, setup: Setup) -> Decided:
    """Return by what an entry was decided: the journal's own word for it before it."""
    decided = Decided("", 1, decided_by(setup))
    for entry in journal.read():
        if entry.sequence > sequence:
            break
        if entry.command.startswith(_BEGINNINGS):
            decided = Decided(_told_by(entry), entry.sequence, decided.here)
    return decided


def _told_by(entry: Entry) -> str:
    """Return what a ``SetUp`` or ``Resume`` tells of who decides from it on."""
    try:
        return getattr(decode_command(entry.command), "decided_by", "")
    except BadInput:
        return ""


def _first_difference(entry: Entry, made: tuple[bytes, ...], decided: Decided) -> Difference:
    for place in range(max(len(made), len(entry.events))):
        expected = made[place].decode() if place < len(made) else None
        found = entry.events[place].decode(errors="replace") if place < len(entry.events) else None
        if expected != found:
            return Difference(entry.sequence, place + 1, expected=expected, found=found, decided=decided)
    raise AssertionError("the same events")


def _other_digest(entry: Entry, state: State, decided: Decided) -> Difference:
    return Difference(
        entry.sequence, None, expected=state.digest().hex(), found=entry.digest.hex(), decided=decided
    )  # fmt: skip


def setup_of(journal: JournalReader) -> Setup:
    """Return the set-up that a journal begins with. Raises BadConfiguration when it begins with something else."""
    entry = next(journal.read(), None)
    try:
        command = None if entry is None else decode_command(entry.command)
    except BadInput:
        command = None
    if not isinstance(command, SetUp):
        raise BadConfiguration(
            "not the journal of a venue", expected="a set-up as its first command",
            found="no entries" if entry is None else repr(entry.command[:60]), hint="check which journal it is",
        )  # fmt: skip
    return setup_text.read(command.setup)


def outcome_of(journal: JournalReader, number: int) -> tuple[Event, ...]:
    """Return the events of a journal's entry."""
    return tuple(map(decode_event, next(journal.read(start=number)).events))


__all__ = [
    "OUTCOMES_KEPT",
    "Decided",
    "Difference",
    "HandledBefore",
    "Happened",
    "Host",
    "HostBusy",
    "HostStopped",
    "Recovery",
    "Screen",
    "Step",
    "check",
    "decided_by",
    "merged",
    "outcome_of",
    "redecide",
    "setup_of",
]
