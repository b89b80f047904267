"""A venue killed, starved and damaged: nothing acknowledged is lost, nothing is done twice, nothing is silently wrong.

``RINGFENCE_KILLS`` says how many kills there are (50; ``make soak`` asks for 1,000).
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import OrderedDict
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ringfence.engine.decide import handle
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, encode
from ringfence.errors import RingfenceError
from ringfence.host import Host, HostStopped, redecide
from ringfence.journal import open_journal, open_reader
from ringfence.journal.sqlite import SqliteJournal
from tests.conftest import REPOSITORY
from tests.contracts.host_worker import outcome_hash
from tests.random_commands import SETUP, Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine.commands import Command

KILLS = int(os.environ.get("RINGFENCE_KILLS", "50"))
SEED = 20_251_010
ROUNDS_PER_SEED = 50  # then a new sequence begins: a long one takes long to be found one's place in
AGAIN = 40  # commands that a restarted venue is given once more, under their old ids

BOUNDARIES = [
    (what, when, count)
    for what, counts in (("append", (1, 2, 7)), ("snapshot", (1,)))
    for count in counts
    for when in ("before", "BEGIN", "INSERT", *(("UPDATE",) if what == "append" else ("DELETE",)), "COMMIT", "after")
]


class Limits(NamedTuple):
    """What a worker may use. A round writes about a megabyte and works for two seconds."""

    growth: int = 64 * 1024 * 1024  # bytes that a file of it may grow by
    seconds: int = 60  # of its own work
    wall_seconds: float = 300  # in all, however busy the machine is


@contextmanager
def ended_after(seconds: float, worker: subprocess.Popen[str]) -> Iterator[None]:
    """End a worker that hangs: with SIGTERM, which is no end that a round may have."""
    timer = threading.Timer(seconds, worker.terminate)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Acknowledged(NamedTuple):
    """What a worker said: where it opened, and per command what was journaled for it and what came of it."""

    opened: tuple[int, str] | None
    outcomes: dict[str, tuple[str, str]]


class RanAway(AssertionError):
    """A worker did not come to its end within its limits."""


def killed_worker(
    url: str, seed: int, start: int, *, acks: int, more_ms: float, doom: tuple[str, str, int] | None,
    limits: Limits | None = None,
) -> Acknowledged:  # fmt: skip
    """Run a worker until it is killed; by itself at a boundary, or by us some time after its ``acks``-th word.

    Raises RanAway where it goes beyond its limits, whatever keeps it from its end.
    """
    limits = limits or Limits()
    largest = max((path.stat().st_size for path in Path(url).parent.iterdir()), default=0)
    command = [
        sys.executable, "-m", "tests.contracts.host_worker", str(largest + limits.growth), str(limits.seconds), url,
        str(seed), str(start), *map(str, doom or ()),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": "src"}
    with (
        subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as worker,
        ended_after(limits.wall_seconds, worker),
    ):
        assert worker.stdout is not None
        assert worker.stderr is not None
        said: list[str] = []
        if doom is None:
            said += [worker.stdout.readline() for _ in range(acks + 1)]
            try:
                worker.wait(timeout=more_ms / 1_000)
            except subprocess.TimeoutExpired:
                worker.kill()
        said += worker.stdout.read().splitlines(keepends=True)
        ended = worker.wait()
        if ended != -signal.SIGKILL:
            raise RanAway(f"{doom} ended with {ended}, beyond {limits}?\n{worker.stderr.read()[-2_000:]}")
    lines = [line.split() for line in said if line.endswith("\n")]
    opened = (int(lines[0][1]), lines[0][2]) if lines else None
    return Acknowledged(opened, {name: (journaled, told) for name, journaled, told in lines[1:]})


class Shadow:
    """A replay from the commands alone, kept up with the journal entry by entry."""

    def __init__(self) -> None:
        self.state = State(SETUP)
        self.state.outcomes_kept = 0
        self.entries: OrderedDict[str, tuple[int, str, str]] = OrderedDict()  # id → entry, hash of events, digest

    def follow(self, url: str) -> None:
        """Decide the entries that are new, and compare."""
        with open_reader(url) as reader:
            for entry in reader.read(start=len(self.entries) + 1):
                command = decode_command(entry.command)
                assert command.id not in self.entries, "handled twice"
                events = handle(self.state, command)
                assert tuple(map(encode, events)) == entry.events
                assert self.state.digest() == entry.digest
                self.entries[command.id] = (entry.sequence, outcome_hash(events), entry.digest.hex())


def test_a_venue_killed_at_random_and_at_every_write_boundary_loses_nothing_and_does_nothing_twice(
    tmp_path: Path,
) -> None:
    random = Random(SEED)  # noqa: S311 - moments to kill at
    url = str(tmp_path / "venue.journal")
    shadow, acknowledged, last = Shadow(), dict[str, tuple[str, str]](), dict[int, int]()
    boundaries = cycle(BOUNDARIES)
    for round_number in range(KILLS):
        seed = SEED + round_number // ROUNDS_PER_SEED
        start = max(0, last.get(seed, 0) - AGAIN)
        doom = next(boundaries) if round_number % 2 else None
        found = killed_worker(url, seed, start, acks=random.randint(0, 250), more_ms=random.uniform(0, 5), doom=doom)
        shadow.follow(url)
        if found.opened is not None:
            digests = {sequence: digest for sequence, _, digest in shadow.entries.values()}
            assert digests[found.opened[0]] == found.opened[1]
        for name, (journaled, told) in found.outcomes.items():
            if journaled != "-":
                assert shadow.entries[journaled][1] == told, f"{name} was acknowledged and is not there"
            if acknowledged.get(name, (journaled,))[0] == journaled:
                assert acknowledged.get(name, (journaled, told)) == (journaled, told)
            acknowledged[name] = journaled, told
            last[seed] = max(last.get(seed, 0), int(name.rpartition("-")[2]))
    assert len(acknowledged) > 20 * KILLS
    everything_again(url, last, shadow)


NEVER = ("append", "before", 10**9)  # a boundary that no worker reaches


@pytest.mark.parametrize(
    "limits",
    [Limits(growth=300_000), Limits(seconds=1), Limits(wall_seconds=2)],
    ids=["size", "work", "time"],
)
def test_a_worker_that_runs_away_is_ended_within_its_limits(tmp_path: Path, limits: Limits) -> None:
    url = str(tmp_path / "venue.journal")
    with pytest.raises(RanAway):
        killed_worker(url, SEED, 0, acks=0, more_ms=0, doom=NEVER, limits=limits)
    assert all(path.stat().st_size <= limits.growth for path in tmp_path.iterdir())


def everything_again(url: str, last: dict[int, int], shadow: Shadow) -> None:
    """Submit every command that is in the journal once more; then decide the whole journal again."""
    before = len(shadow.entries)
    with Host.open(open_journal(url)) as host:
        assert host.recovery.snapshot > 0
        for seed, count in last.items():
            for command in Commands(seed).first(count):
                if command.id in shadow.entries:
                    assert outcome_hash(host.ask(command)) == shadow.entries[command.id][1]
    with open_reader(url) as reader:
        assert sum(1 for _ in redecide(reader)) == reader.head().sequence == before + 1  # the restart
    shadow.follow(url)


# ── Faults of the storage ────────────────────────────────────────────────────────────────────────────────────────


def run_until_stopped(journal: Any, commands: list[Command]) -> dict[str, str]:
    """Submit commands one by one until the host stops; return what was acknowledged."""
    host = Host.open(journal, SETUP, snapshot_every=10**9)
    told: dict[str, str] = {}
    try:
        for command in commands:
            told[command.id] = outcome_hash(host.ask(command))
    except HostStopped:
        with pytest.raises(HostStopped):
            host.submit(commands[0])
    finally:
        host.close()
    return told


def opened_again(path: Path, commands: list[Command], told: dict[str, str]) -> None:
    """Open the journal again: all that was acknowledged is there, and all of it again changes nothing of it."""
    with Host.open(open_journal(str(path)), verify=True) as host:
        handled = host.look(lambda state: dict(state.handled))
        assert set(told) <= set(handled)
        for command in commands:
            outcome = outcome_hash(host.ask(command))
            assert told.get(command.id, outcome) == outcome
        assert len(host.look(lambda state: dict(state.handled))) == 1 + len(commands) + 1  # set-up, restart
    with open_reader(str(path)) as reader:
        assert sum(1 for _ in redecide(reader)) == len(commands) + 2


def test_a_full_disk_stops_the_venue_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    commands = Commands(1).first(300)
    path = tmp_path / "venue.journal"
    journal = SqliteJournal(path)
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()  # noqa: SLF001
    journal._connection.execute(f"PRAGMA max_page_count = {pages + 12}")  # noqa: SLF001 - a disk with 48 kB left
    told = run_until_stopped(journal, commands)
    assert 0 < len(told) < 300
    opened_again(path, commands, told)


class FsyncFails(SqliteJournal):
    """A journal whose 50th commit ends in an I/O error, with the group written or not."""

    written = False
    commits = 0

    def _commit_group(self, rows: Any, **place: Any) -> None:
        self.commits += 1
        if self.commits == 50 and not self.written:
            raise sqlite3.OperationalError("disk I/O error")
        super()._commit_group(rows, **place)
        if self.commits == 50:
            raise sqlite3.OperationalError("disk I/O error")


class FsyncFailsAfterAll(FsyncFails):
    written = True


@pytest.mark.parametrize("kind", [FsyncFails, FsyncFailsAfterAll])
def test_a_failed_fsync_stops_the_venue_and_the_journal_decides_what_happened(
    tmp_path: Path, kind: type[FsyncFails]
) -> None:
    commands = Commands(2).first(100)
    path = tmp_path / "venue.journal"
    told = run_until_stopped(kind(path), commands)
    assert len(told) == 48  # the first append was the set-up's, the 50th was not acknowledged
    opened_again(path, commands, told)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """A journal with snapshots, in one file; the digest of its state, and its length."""
    path = tmp_path_factory.mktemp("sound") / "venue.journal"
    with Host.open(open_journal(str(path)), SETUP, snapshot_every=200) as host:
        for command in Commands(3).first(250):
            host.ask(command)
        return path, host.look(State.digest).hex(), 251


def test_a_damaged_byte_anywhere_is_refused_or_harmless_but_never_silently_wrong(
    tmp_path: Path, sound: tuple[Path, str, int]
) -> None:
    path, digest, length = sound
    random = Random(SEED)  # noqa: S311 - places to damage
    size = path.stat().st_size
    refused = noticed = harmless = 0
    for number in range(40):
        damaged = tmp_path / f"{number}.journal"
        shutil.copy(path, damaged)
        with damaged.open("r+b") as file:
            offset = random.randrange(size)
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ (1 << random.randrange(8))]))
        try:
            with Host.open(open_journal(str(damaged))) as host:
                state = host.look(lambda state: (len(state.handled), {**state.handled}))
            entry = next(open_reader(str(damaged)).read(start=length), None)
        except RingfenceError:
            refused += 1
            continue
        assert entry is not None
        assert entry.digest.hex() == digest
        assert state[0] == length + 1
        try:
            with open_reader(str(damaged)) as reader:
                assert sum(1 for _ in redecide(reader)) == length + 1
            harmless += 1
        except RingfenceError:
            noticed += 1  # an old entry: the state came from a snapshot, and verification names it
    assert refused + noticed > 10
    assert refused + noticed + harmless == 40


def test_a_journal_cut_short_anywhere_is_refused(tmp_path: Path, sound: tuple[Path, str, int]) -> None:
    path, _, _ = sound
    data = path.read_bytes()
    random = Random(SEED)  # noqa: S311 - places to cut
    for number in range(10):
        cut = tmp_path / f"{number}.journal"
        cut.write_bytes(data[: random.randrange(len(data) - 1)])
        with pytest.raises(RingfenceError):
            Host.open(open_journal(str(cut)))
