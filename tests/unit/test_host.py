"""The host: handling, journaling, answering in order; merging, repetition, time, fail-stop, recovery, verification."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine import snapshot
from ringfence.engine.decide import handle
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, decode_event
from ringfence.errors import BadConfiguration, BadInput
from ringfence.host import OUTCOMES_KEPT, Difference, Happened, Host, HostBusy, HostStopped, merged, redecide
from ringfence.journal import Batch, JournalUnavailable, MemoryJournal, MemoryStorage
from ringfence.journal.memory import MemoryRows
from ringfence.journal.storage import Reader
from ringfence.screen import BandScreen
from tests.random_commands import SETUP, SYMBOLS, Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event

SYMBOL = SYMBOLS[0]


def deposit(name: str, amount: int = 100, *, at: int = 1) -> asked.Deposit:
    return asked.Deposit(name, at, "ann", "USDT", Decimal(amount))


def marks(name: str, price: int, *, symbol: str = SYMBOL, at: int = 1) -> asked.UpdatePrices:
    return asked.UpdatePrices(name, at, ((symbol, Decimal(price)),))


def entries(storage: MemoryStorage) -> list[Command]:
    return [decode_command(row[1]) for row in storage.rows]


class Held(MemoryJournal):
    """A journal whose appends wait until they are let through, and say when one waits."""

    def __init__(self, storage: MemoryStorage) -> None:
        super().__init__(storage)
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.groups: list[int] = []

    def append(self, batches: Sequence[Batch], *, after: int) -> None:
        self.reached.set()
        assert self.open.wait(10)
        self.groups.append(len(batches))
        super().append(batches, after=after)

    def hold(self) -> None:
        self.open.clear()
        self.reached.clear()


class Failing(MemoryJournal):
    """A journal whose appends fail when told to, before or after the group is stored."""

    fails: str | None = None

    def append(self, batches: Sequence[Batch], *, after: int) -> None:
        if self.fails == "after":
            super().append(batches, after=after)
        if self.fails:
            raise JournalUnavailable("no space left on the device")
        super().append(batches, after=after)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def held(storage: MemoryStorage) -> Iterator[tuple[Host, Held]]:
    journal = Held(storage)
    host = Host.open(journal, SETUP, queue=5, group=4)
    try:
        yield host, journal
    finally:
        journal.open.set()
        host.close()


def occupied(host: Host, journal: Held) -> Any:
    """Bring the writer to the point where it waits for its journal; return the future of what it is about to write."""
    journal.hold()
    future = host.submit(deposit("first"))
    assert journal.reached.wait(10)
    return future


# ── Handling ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_host_answers_and_journals_what_the_engine_alone_would_have_decided(storage: MemoryStorage) -> None:
    commands = Commands(3).first(300)
    alone = State(SETUP)
    with Host.open(MemoryJournal(storage), SETUP) as host:
        handle(alone, decode_command(storage.rows[0][1]))
        futures = [host.submit(command) for command in commands if not isinstance(command, asked.UpdatePrices)]
        expected = [handle(alone, command) for command in commands if not isinstance(command, asked.UpdatePrices)]
        assert [future.result(10) for future in futures] == expected
        assert host.look(State.digest) == alone.digest()


def test_nobody_sees_a_result_before_it_is_in_the_journal(held: tuple[Host, Held], storage: MemoryStorage) -> None:
    host, journal = held
    published: list[Happened] = []
    host.subscribe(published.append)
    future = occupied(host, journal)
    assert not future.done()
    assert len(storage.rows) == 1  # the set-up
    journal.open.set()
    assert future.result(10)[0].kind == "money_moved"
    host.look(State.digest)
    assert [happened.sequence for happened in published] == [2]


def test_what_waits_is_appended_in_groups(held: tuple[Host, Held]) -> None:
    host, journal = held
    occupied(host, journal)
    futures = [host.submit(deposit(f"d{number}")) for number in range(5)]
    journal.open.set()
    for future in futures:
        future.result(10)
    assert journal.groups == [1, 1, 4, 1]  # the set-up, the one that waited, then at most a group of 4


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(held: tuple[Host, Held]) -> None:
    host, journal = held
    occupied(host, journal)
    waiting = [host.submit(deposit(f"d{number}")) for number in range(5)]
    with pytest.raises(HostBusy) as raised:
        host.submit(deposit("one too many"))
    assert raised.value.queued == 5
    assert raised.value.retry_after > 0
    journal.open.set()
    waiting[-1].result(10)
    assert "one too many" not in host.look(lambda state: dict(state.handled))


def test_a_cancelled_future_is_not_handled(held: tuple[Host, Held]) -> None:
    host, journal = held
    occupied(host, journal)
    assert host.submit(deposit("regretted")).cancel()
    journal.open.set()
    assert "regretted" not in host.look(lambda state: dict(state.handled))


def test_prices_that_wait_behind_one_another_become_one_and_nothing_else_does(
    held: tuple[Host, Held], storage: MemoryStorage
) -> None:
    host, journal = held
    occupied(host, journal)
    first = host.submit(marks("p1", 60_000))
    second = host.submit(asked.UpdatePrices("p2", 2, ((SYMBOL, Decimal(61_000)), (SYMBOLS[1], Decimal(3_000)))))
    host.submit(deposit("between"))
    third = host.submit(marks("p3", 62_000, at=3))
    journal.open.set()
    assert first.result(10) == second.result(10)
    third.result(10)
    names = [command.id for command in entries(storage)]
    assert names == ["@set-up", "first", "p2", "between", "p3"]
    assert entries(storage)[2] == asked.UpdatePrices("p2", 2, ((SYMBOL, Decimal(61_000)), (SYMBOLS[1], Decimal(3_000))))
    assert host.ask(marks("p1", 1)) == second.result()  # merged away, and still the same outcome
    assert len(storage.rows) == 5


def test_merging_takes_the_latest_price_of_each_symbol() -> None:
    first = asked.UpdatePrices("a", 1, (("X", Decimal(1)), ("Y", Decimal(2))), (("X", Decimal(5)),))
    second = asked.UpdatePrices("b", 2, (("Y", Decimal(3)), ("Z", Decimal(4))), (), (("Z", Decimal(6)),))
    assert merged(first, second) == asked.UpdatePrices(
        "b", 2, (("X", Decimal(1)), ("Y", Decimal(3)), ("Z", Decimal(4))), (("X", Decimal(5)),), (("Z", Decimal(6)),)
    )


def test_a_repeated_id_gets_its_first_outcome_and_leaves_no_entry(storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        first = host.ask(deposit("d", 100))
        assert host.ask(deposit("d", 999)) == first
    assert len(storage.rows) == 2


def test_an_outcome_that_is_no_longer_in_memory_is_read_from_the_journal(storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        first = host.ask(deposit("d", 100))
        host.look(lambda state: state.outcomes.clear())
        assert host.ask(deposit("d", 100)) == first
    assert len(storage.rows) == 2


def test_the_state_keeps_so_many_outcomes_and_every_id() -> None:
    state = State(SETUP)
    state.outcomes_kept = 3
    for number in range(5):
        handle(state, deposit(f"d{number}"))
    assert list(state.outcomes) == ["d2", "d3", "d4"]
    assert list(state.handled) == [f"d{number}" for number in range(5)]


@pytest.mark.parametrize(
    "command",
    [
        deposit(""), deposit("a\nb"), replace(deposit("a"), account="x:y"), replace(deposit("a"), account="@market"),
        replace(deposit("a"), account="x|y"), replace(deposit("a"), amount=Decimal("NaN")),
        replace(deposit("a"), amount=Decimal("1E+41")), replace(deposit("a"), amount=Decimal("1E-41")),
        replace(deposit("a"), at=-1), asked.Resume("a", 1), asked.SetUp("a", 1, "{}"),
        asked.UpdatePrices("a", 1, ((SYMBOL, Decimal("1E+99")),)),
    ],
)  # fmt: skip
def test_what_no_engine_should_see_is_refused_and_not_journaled(command: Command, storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        with pytest.raises(BadInput):
            host.submit(command)
        host.ask(deposit("good"))
    assert [command.id for command in entries(storage)] == ["@set-up", "good"]


def test_a_price_that_is_no_number_is_rejected_by_the_engine_and_counted(storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        (event,) = host.ask(asked.UpdatePrices("p", 1, ((SYMBOL, Decimal("NaN")),)))
    assert event.reason == "not_positive"  # type: ignore[attr-defined]
    assert redecided(storage) == 2


def test_a_price_of_a_symbol_that_is_not_listed_is_rejected(storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        (event,) = host.ask(asked.UpdatePrices("p", 1, (("NOSUCHUSDT", Decimal(1)),)))
        assert event.reason == "unknown_symbol"  # type: ignore[attr-defined]
        assert host.ask(deposit("after"))


def test_a_command_that_the_engine_cannot_read_fails_its_caller_alone(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(state: State, command: Command, _suspects: object = None) -> tuple[Event, ...]:
        if command.id == "odd":
            raise BadConfiguration("no market can be made of this")
        return handle(state, command)

    monkeypatch.setattr("ringfence.host.handle", unreadable)
    with Host.open(MemoryJournal(storage), SETUP) as host:
        with pytest.raises(BadInput, match="no market"):
            host.ask(deposit("odd"))
        assert host.stopped is None
        host.ask(deposit("after"))
    assert [command.id for command in entries(storage)] == ["@set-up", "after"]


def test_a_listener_that_raises_does_not_stop_the_venue(storage: MemoryStorage) -> None:
    heard: list[int] = []

    def broken(happened: Happened) -> None:
        heard.append(happened.sequence)
        raise ValueError("mine")

    with Host.open(MemoryJournal(storage), SETUP) as host:
        end = host.subscribe(broken)
        host.ask(deposit("a"))
        host.ask(deposit("b"))
        host.look(State.digest)
        end()
        host.ask(deposit("c"))
    assert heard == [2, 3]


def test_a_question_that_raises_fails_its_asker_alone(storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        with pytest.raises(ZeroDivisionError):
            host.look(lambda _: 1 // 0)
        assert host.ask(deposit("a"))


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_jumps_back_does_not_go_back_in_the_journal(storage: MemoryStorage) -> None:
    times = iter([100, 200, 50, 60, 300])
    with Host.open(MemoryJournal(storage), SETUP, clock=lambda: next(times)) as host:
        for number in range(5):
            host.ask(deposit(f"d{number}"))
    assert [command.at for command in entries(storage)] == [0, 100, 200, 200, 200, 300]


def test_a_clock_that_went_back_while_the_venue_stood_still_is_held_at_the_journals_time(
    storage: MemoryStorage,
) -> None:
    with Host.open(MemoryJournal(storage), SETUP, clock=lambda: 1_000) as host:
        host.ask(deposit("a"))
    with Host.open(MemoryJournal(storage), clock=lambda: 10) as host:
        host.ask(deposit("b"))
    assert [command.at for command in entries(storage)] == [0, 1_000, 1_000, 1_000]


def test_without_a_clock_the_commands_own_times_are_taken_and_held_alike(storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        for name, at in (("a", 5), ("b", 9), ("c", 7)):
            host.ask(deposit(name, at=at))
    assert [command.at for command in entries(storage)] == [0, 5, 9, 9]


# ── Fail-stop ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_failed_append_everything_is_refused_until_the_journal_is_opened_again(
    storage: MemoryStorage, when: str
) -> None:
    journal = Failing(storage)
    host = Host.open(journal, SETUP)
    host.ask(deposit("good"))
    journal.fails = when
    with pytest.raises(HostStopped, match="no space left"):
        host.ask(deposit("lost"))
    with pytest.raises(HostStopped, match="no space left"):
        host.submit(deposit("next"))
    with pytest.raises(HostStopped):
        host.look(State.digest)
    assert host.stopped is not None
    host.close()
    with Host.open(MemoryJournal(storage)) as again:
        assert again.ask(deposit("lost"))[0].kind == "money_moved"  # type: ignore[attr-defined]
        assert again.look(lambda state: state.ledger.balance("wallet:ann", "USDT")) == 100 + 100


def test_a_bug_in_the_middle_of_a_command_stops_the_host_and_leaves_no_trace_of_it(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host.open(MemoryJournal(storage), SETUP)

    def half(state: State, command: Command, _suspects: object = None) -> tuple[Event, ...]:
        handle(state, command)
        raise AssertionError("a law was broken")

    with monkeypatch.context() as patch:
        patch.setattr("ringfence.host.handle", half)
        with pytest.raises(HostStopped, match="a law was broken"):
            host.ask(deposit("half"))
    host.close()
    assert [command.id for command in entries(storage)] == ["@set-up"]


# ── Recovery ─────────────────────────────────────────────────────────────────────────────────────────────────────


def run(storage: MemoryStorage, commands: list[Command], **options: Any) -> bytes:
    with Host.open(MemoryJournal(storage), SETUP, **options) as host:
        for command in commands:
            host.ask(command)
        return host.look(State.digest)


def reader(storage: MemoryStorage) -> Reader:
    return Reader("memory:", lambda: MemoryRows(storage))


def redecided(storage: MemoryStorage) -> int:
    return sum(1 for _ in redecide(reader(storage)))


@pytest.mark.parametrize("verify", ["fold", "redecide"])
@pytest.mark.parametrize("snapshot_every", [40, 10**9])
def test_a_venue_opened_again_is_where_it_was_and_goes_on_alike(verify: str, snapshot_every: int) -> None:
    commands = Commands(5).first(400)
    through, cut = MemoryStorage(), MemoryStorage()
    run(cut, commands[:250], snapshot_every=snapshot_every)
    cut.snapshots = {number: row for number, row in cut.snapshots.items() if number < 240}  # as after a kill
    run(through, commands[:250])
    assert cut.rows == through.rows
    with (
        Host.open(MemoryJournal(through)) as one,
        Host.open(MemoryJournal(cut), SETUP, verify=verify == "redecide") as other,
    ):
        uses_snapshot = snapshot_every == 40 and verify == "fold"
        assert (other.recovery.snapshot > 0) == uses_snapshot
        assert one.recovery.snapshot == 251  # kept when it was closed
        assert other.recovery.snapshot + other.recovery.entries == 251
        for command in commands[250:]:
            assert one.ask(command) == other.ask(command)
        assert one.look(State.digest) == other.look(State.digest)
    assert through.rows == cut.rows
    assert redecided(cut) == 402  # set-up, 250, resume, 150


def test_every_command_submitted_again_after_a_restart_gets_its_first_outcome(storage: MemoryStorage) -> None:
    commands = Commands(6).first(150)
    with Host.open(MemoryJournal(storage), SETUP, snapshot_every=100) as host:
        first = [host.ask(command) for command in commands]
        digest = host.look(State.digest)
    with Host.open(MemoryJournal(storage)) as again:
        resumed = again.look(State.digest)
        assert [again.ask(command) for command in commands] == first
        assert again.look(State.digest) == resumed != digest
    assert len(storage.rows) == 1 + 150 + 1


def test_after_a_restart_a_fresh_mark_is_needed_first(storage: MemoryStorage) -> None:
    run(storage, [marks("p", 60_000, at=5)])
    with Host.open(MemoryJournal(storage)) as host:
        assert host.look(lambda state: dict(state.marked_at)) == {}
        assert host.look(lambda state: dict(state.marks)) == {SYMBOL: Decimal(60_000)}
        host.ask(marks("q", 60_100, at=6))
        assert host.look(lambda state: dict(state.marked_at)) == {SYMBOL: 6}
    assert [command.kind for command in entries(storage)] == [  # type: ignore[attr-defined]
        "set_up", "update_prices", "resume", "update_prices",
    ]  # fmt: skip


def test_a_snapshot_of_another_version_is_passed_over(storage: MemoryStorage, caplog: Any) -> None:
    digest = run(storage, Commands(7).first(60))
    journal = MemoryJournal(storage)
    journal.save_snapshot(61, b'{"schema":"ringfence state 0"}', digest)
    journal.close()
    with Host.open(MemoryJournal(storage)) as host:
        assert host.recovery.snapshot == 0
        assert host.recovery.entries == 61
    assert "ringfence state 0" not in digest.hex()
    assert "passed over" in caplog.text


def test_a_snapshot_whose_state_is_another_is_passed_over(storage: MemoryStorage, caplog: Any) -> None:
    digest = run(storage, Commands(7).first(60))
    journal = MemoryJournal(storage)
    journal.save_snapshot(61, snapshot.dump(State(SETUP)), digest)
    journal.close()
    with Host.open(MemoryJournal(storage)) as host:
        assert host.recovery.snapshot == 0
    assert "another digest" in caplog.text


def test_an_empty_journal_needs_a_set_up() -> None:
    with pytest.raises(BadConfiguration, match="needs a set-up"):
        Host.open(MemoryJournal())


def test_a_journal_is_not_opened_with_another_set_up(storage: MemoryStorage) -> None:
    run(storage, [])
    with pytest.raises(BadConfiguration, match="another set-up"):
        Host.open(MemoryJournal(storage), replace(SETUP, rearm=Decimal(2)))


def test_a_journal_of_something_else_is_refused(storage: MemoryStorage) -> None:
    journal = MemoryJournal(storage)
    journal.append([Batch(1, b'["deposit","a",1,"ann","USDT","1"]', (), b"")], after=0)
    journal.close()
    with pytest.raises(BadConfiguration, match="not the journal of a venue"):
        Host.open(MemoryJournal(storage))


# ── Verification ─────────────────────────────────────────────────────────────────────────────────────────────────


def rewritten(storage: MemoryStorage, change: Callable[[Batch], Batch], sequence: int) -> MemoryStorage:
    """A journal with one entry changed and the hash chain made good again: only deciding again can tell."""
    fresh = MemoryStorage()
    journal = MemoryJournal(fresh)
    for entry in reader(storage).read():
        batch = Batch(entry.sequence, entry.command, entry.events, entry.digest)
        journal.append([change(batch) if entry.sequence == sequence else batch], after=entry.sequence - 1)
    journal.close()
    return fresh


@pytest.fixture(scope="module")
def traded() -> MemoryStorage:
    storage = MemoryStorage()
    run(storage, Commands(8).first(80))
    return storage


def test_a_changed_event_is_named_with_its_place_and_both_sides(traded: MemoryStorage) -> None:
    number = next(row[0] for row in traded.rows if b'"traded"' in row[2])
    forged = rewritten(
        traded, lambda b: b._replace(events=tuple(e.replace(b'"order"', b'"xrder"') for e in b.events)), number
    )
    with pytest.raises(Difference) as raised:
        redecided(forged)
    assert raised.value.sequence == number
    assert raised.value.event is not None
    assert '"xrder"' in str(raised.value.found)
    assert '"order"' in str(raised.value.expected)


def test_a_missing_and_a_surplus_event_are_named(traded: MemoryStorage) -> None:
    missing = rewritten(traded, lambda b: b._replace(events=b.events[:-1]), 2)
    with pytest.raises(Difference, match="entry 2: event 1") as raised:
        redecided(missing)
    assert raised.value.found is None
    surplus = rewritten(traded, lambda b: b._replace(events=(*b.events, b'["resumed","x",1]')), 2)
    with pytest.raises(Difference, match="entry 2: event 2") as raised:
        redecided(surplus)
    assert raised.value.expected is None


def test_a_changed_digest_is_named(traded: MemoryStorage) -> None:
    forged = rewritten(traded, lambda b: b._replace(digest=bytes(32)), 9)
    with pytest.raises(Difference, match="entry 9: the digest"):
        redecided(forged)
    with pytest.raises(Difference, match="entry 9: the digest"):
        Host.open(MemoryJournal(forged))


def test_a_command_that_stands_in_the_journal_twice_is_named(traded: MemoryStorage) -> None:
    first = traded.rows[1][1]
    forged = rewritten(traded, lambda b: b._replace(command=first, events=()), 5)
    with pytest.raises(Difference, match="entry 5") as raised:
        redecided(forged)
    assert "entry 2" in str(raised.value.found)


def test_events_in_the_journal_read_back_as_they_were_answered(storage: MemoryStorage) -> None:
    with Host.open(MemoryJournal(storage), SETUP) as host:
        answer = host.ask(deposit("a"))
    (entry,) = reader(storage).read(start=2)
    assert tuple(map(decode_event, entry.events)) == answer


def test_groups_are_never_larger_than_the_outcomes_that_are_kept() -> None:
    with pytest.raises(BadConfiguration, match="group"):
        Host.open(MemoryJournal(), SETUP, group=OUTCOMES_KEPT + 1)


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_a_screen_changes_no_byte_of_the_journal(seed: int) -> None:
    commands = Commands(seed).first(500)
    plain, screened = MemoryStorage(), MemoryStorage()
    run(plain, commands)
    screen = BandScreen()
    run(screened, commands, screen=screen)
    assert screened.rows == plain.rows
    assert screen.assessments > 0


class Looking(BandScreen):
    """A screen that notes when it was asked and when it looked, and looks only when it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.log: list[tuple[str, str, int]] = []

    def suspects(self, state: State, command: asked.UpdatePrices, /) -> tuple[str, ...] | None:
        self.log.append(("asked", command.id, state.sequence))
        return super().suspects(state, command)

    def looked_at(self, state: State, command: asked.UpdatePrices, suspects: Iterable[str] | None, /) -> None:
        assert self.let.wait(10)
        self.log.append(("looked", command.id, state.sequence))
        super().looked_at(state, command, suspects)


def test_a_price_update_is_durable_and_answered_before_the_screen_looks(storage: MemoryStorage) -> None:
    screen = Looking()
    with Host.open(MemoryJournal(storage), SETUP, screen=screen) as host:
        assert host.ask(marks("p", 60_000), timeout=10)
        assert [command.id for command in entries(storage)] == ["@set-up", "p"]
        assert screen.log == [("asked", "p", 2)]
        screen.let.set()
        host.look(State.digest)
        assert screen.log[1:] == [("looked", "p", 3)]


def test_the_screen_looks_before_the_next_command_of_the_group_changes_anything(storage: MemoryStorage) -> None:
    screen, journal = Looking(), Held(storage)
    screen.let.set()
    with Host.open(journal, SETUP, screen=screen) as host:
        occupied(host, journal)
        futures = [host.submit(each) for each in (marks("p1", 60_000), deposit("d"), marks("p2", 61_000, at=2))]
        journal.open.set()
        for future in futures:
            future.result(10)
        host.look(State.digest)
    assert journal.groups == [1, 1, 3]
    # The set-up is two events, each command is one: a screen sees the state as its own update has left it.
    assert screen.log == [("asked", "p1", 3), ("looked", "p1", 4), ("asked", "p2", 5), ("looked", "p2", 6)]
