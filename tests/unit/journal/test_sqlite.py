"""The SQLite journal: its tables, its durability settings, and a disk that fails at every step."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.errors import BadConfiguration
from ringfence.journal import Batch, JournalConflict, JournalCorrupt, JournalLocked, JournalUnavailable, sqlite
from ringfence.journal.sqlite import MIGRATIONS, Migration, SqliteJournal, SqliteReader
from tests.house.source_tree import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = ("BEGIN", "INSERT", "UPDATE", "COMMIT")  # the statements of an append, in order


def group(first: int, last: int) -> list[Batch]:
    """Batches with one event each, enough bytes for several pages per hundred."""
    return [Batch(number, b"command %d" % number, (b"event" * 20,), b"digest") for number in range(first, last + 1)]


def sequences(path: Path) -> list[int]:
    """What a reader finds; the chain verifies."""
    with SqliteReader(path) as reader:
        return [entry.sequence for entry in reader.read()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "venue.journal"


def changed_by_hand(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


# ── Settings and tables ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_commit_is_on_the_disk_before_it_returns(path: Path) -> None:
    with SqliteJournal(path) as journal:
        connection: sqlite3.Connection = vars(journal)["_connection"]
        settings = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL


def test_a_group_longer_than_the_log_is_durable_at_once_and_copied_into_the_file_by_tidying_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 12)
    many = (b"event" * 40_000,)  # 200,000 bytes, some of which fit into pages that are there
    with SqliteJournal(path) as journal:
        journal.append(group(1, 1), after=0)
        before = path.stat().st_size
        journal.append([Batch(2, b"command", many, b"digest")], after=1)
        assert path.stat().st_size == before  # in the log alone
        assert sequences(path) == [1, 2]
        journal.tidy()
        assert path.stat().st_size > before + 150_000
        journal.append([Batch(3, b"command", many, b"digest")], after=2)
        between = path.stat().st_size
        journal.append(group(4, 4), after=3)  # nobody has tidied up: this one does
        assert path.stat().st_size > between + 150_000
    assert sequences(path) == [1, 2, 3, 4]


def test_the_tables_can_be_looked_into_with_sqlite_alone(path: Path) -> None:
    with SqliteJournal(path) as journal:
        journal.append([Batch(1, b'["deposit"]', (b'["deposited"]', b'["called"]'), b"d" * 32)], after=0)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sequence, CAST(command AS TEXT), substr(events, 13) FROM entries").fetchall()
        versions = connection.execute("SELECT version, change FROM schema_version").fetchall()
    assert rows == [(1, '["deposit"]', b'["deposited"]["called"]')]  # behind 4·(1 + 2) bytes of number and lengths
    assert versions == [(1, "entries and head"), (2, "snapshots")]


def test_a_new_journal_is_a_whole_file_before_it_has_its_name(path: Path) -> None:
    leftover = path.with_name(f"{path.name}.new")
    leftover.write_bytes(b"of a process that was killed while it made one")
    with SqliteJournal(path):
        assert path.stat().st_size >= 4_096
        assert not leftover.exists()


# ── Versions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_of_the_first_version_is_brought_up_to_date_with_its_entries_as_they_were(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(sqlite, "MIGRATIONS", MIGRATIONS[:1])
        with SqliteJournal(path) as journal:
            journal.append(group(1, 3), after=0)
            head = journal.head()
    with SqliteReader(path) as reader:  # as it is: a reader changes nothing
        assert [entry.sequence for entry in reader.read()] == [1, 2, 3]
        assert reader.latest_snapshot() is None
    with SqliteJournal(path) as journal:
        assert journal.head() == head
        journal.save_snapshot(2, b"state", b"digest")
        journal.append(group(4, 4), after=3)
    assert sequences(path) == [1, 2, 3, 4]


def test_a_migration_that_fails_leaves_the_version_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteJournal(path) as journal:
        journal.append(group(1, 3), after=0)
    broken = Migration("broken", ("CREATE TABLE half (done INTEGER) STRICT", "CREATE TABLE syntax error"))
    with monkeypatch.context() as newer:
        newer.setattr(sqlite, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(JournalUnavailable, match="syntax error"):
            SqliteJournal(path)
    assert sequences(path) == [1, 2, 3]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'half'").fetchall() == []


def test_a_journal_of_a_newer_version_is_left_alone(path: Path) -> None:
    SqliteJournal(path).close()
    changed_by_hand(path, "INSERT INTO schema_version VALUES (9, 'from the future')")
    opened: tuple[Callable[[Path], object], ...] = (SqliteJournal, SqliteReader)
    for open_it in opened:
        with pytest.raises(
            JournalUnavailable, match="its tables are of version 9; this ringfence knows versions up to 2"
        ):
            open_it(path)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    changed_by_hand(path, "CREATE TABLE entries (sequence INTEGER PRIMARY KEY)")
    before = path.read_bytes()
    opened: tuple[Callable[[Path], object], ...] = (SqliteJournal, SqliteReader)
    for open_it in opened:
        with pytest.raises(BadConfiguration, match="no journal of ringfence"):
            open_it(path)
    assert path.read_bytes() == before


# ── One writer ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_writer_is_told_which_process_the_first_is(path: Path) -> None:
    with SqliteJournal(path), pytest.raises(JournalLocked, match=rf"process {os.getpid()} on \S+"):
        SqliteJournal(path)


def test_another_name_of_the_same_file_is_the_same_journal(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with SqliteJournal(path), pytest.raises(JournalLocked):
        SqliteJournal(link)


def test_a_writer_of_another_process_keeps_this_one_out_until_it_is_killed(path: Path) -> None:
    program = (
        "import sys, ringfence.journal as j; opened = j.open_journal(sys.argv[1]); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        env={"PYTHONPATH": str(REPOSITORY / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(JournalLocked, match=f"process {other.pid} on "):
            SqliteJournal(path)
        other.kill()
        other.wait()
    SqliteJournal(path).close()


def test_entries_that_somebody_else_wrote_past_the_lock_are_never_written_over(path: Path) -> None:
    with SqliteJournal(path) as journal:
        journal.append(group(1, 2), after=0)
        changed_by_hand(path, "INSERT INTO entries VALUES (3, x'', x'00000000', x'', x'')")
        with pytest.raises(JournalConflict, match="somebody else wrote"):
            journal.append(group(3, 3), after=2)
        with pytest.raises(JournalUnavailable, match="no longer written to"):
            journal.append(group(3, 3), after=2)


def test_a_head_that_somebody_else_moved_stops_the_writer(path: Path) -> None:
    with SqliteJournal(path) as journal:
        journal.append(group(1, 2), after=0)
        changed_by_hand(path, "UPDATE head SET sequence = 1")
        with pytest.raises(JournalConflict, match="no longer ends at entry 2"):
            journal.append(group(3, 3), after=2)
        assert [row[0] for row in vars(journal)["_connection"].execute("SELECT sequence FROM entries")] == [1, 2]


def test_a_writer_that_finds_the_file_busy_gives_up_and_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.01)
    with SqliteJournal(path) as journal, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="database is locked"):
            journal.append(group(1, 1), after=0)


# ── A disk that fails ────────────────────────────────────────────────────────────────────────────────────────────


class FailingConnection:
    """A connection whose disk fails right before, or right after, one kind of statement; then at every rollback."""

    def __init__(self, connection: sqlite3.Connection, *, step: str, moment: str, rollback_fails: str) -> None:
        self._connection = connection
        self._step = step
        self._moment = moment
        self._rollback_fails = rollback_fails == "too"

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._run(self._connection.execute, statement, *values)

    def executemany(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._run(self._connection.executemany, statement, *values)

    def _run(self, run: Callable[..., sqlite3.Cursor], statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "ROLLBACK" and self._rollback_fails:
            raise sqlite3.OperationalError("disk I/O error")
        hit = statement.lstrip().startswith(self._step)
        if hit and self._moment == "before":
            raise sqlite3.OperationalError("disk I/O error")
        cursor = run(statement, *values)
        if hit:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("rollback_fails", ["too", "not"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_fails_at_any_step_stops_the_writer_and_leaves_the_group_whole_or_absent(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, moment: str, rollback_fails: str
) -> None:
    journal = SqliteJournal(path)
    journal.append(group(1, 10), after=0)
    failing = FailingConnection(vars(journal)["_connection"], step=step, moment=moment, rollback_fails=rollback_fails)
    with monkeypatch.context() as patched:
        patched.setattr(journal, "_connection", failing)
        with pytest.raises(JournalUnavailable, match="the append failed, nothing of it counts: disk I/O error"):
            journal.append(group(11, 20), after=10)
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="no longer written to since an append failed"):
                journal.append(group(11, 20), after=10)
        assert journal.head().sequence == 10
    journal.close()
    was_written = (step, moment) == ("COMMIT", "after")  # the disk took it and failed to say so
    assert sequences(path) == list(range(1, 21 if was_written else 11))
    with SqliteJournal(path) as again:
        last = again.head().sequence
        again.append(group(last + 1, last + 5), after=last)
    assert sequences(path) == list(range(1, last + 6))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["BEGIN", "INSERT", "COMMIT"])
def test_a_disk_that_fails_while_a_snapshot_is_saved_stops_the_writer_too(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    with SqliteJournal(path) as journal:
        journal.append(group(1, 3), after=0)
        failing = FailingConnection(vars(journal)["_connection"], step=step, moment=moment, rollback_fails="not")
        with monkeypatch.context() as patched:
            patched.setattr(journal, "_connection", failing)
            with pytest.raises(JournalUnavailable, match="the snapshot failed"):
                journal.save_snapshot(3, b"state", b"digest")
        with pytest.raises(JournalUnavailable, match="no longer written to since a snapshot failed"):
            journal.append(group(4, 4), after=3)
    assert sequences(path) == [1, 2, 3]


@pytest.mark.parametrize("pages", range(1, 12))
def test_a_database_that_may_grow_no_further_takes_no_half_of_a_group(path: Path, pages: int) -> None:
    journal = SqliteJournal(path)
    journal.append(group(1, 10), after=0)
    connection: sqlite3.Connection = vars(journal)["_connection"]
    (used,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {used + pages}")
    with pytest.raises(JournalUnavailable, match="full"):  # needs about 500·200/4,096 pages
        journal.append(group(11, 510), after=10)
    journal.close()
    assert sequences(path) == list(range(1, 11))


# ── A disk that is full ──────────────────────────────────────────────────────────────────────────────────────────


def report_of(command: list[str], path: Path) -> list[str]:
    """What ``full_disk_writer`` printed, line by line."""
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.unit.journal.full_disk_writer", str(path)],
        cwd=REPOSITORY,
        env={"PYTHONPATH": "src", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


EXPECTED = ["refused again", "reopened with every acknowledged group and nothing else", "goes on"]


@pytest.mark.skipif(sys.platform == "win32", reason="the limit of a file's size is one of POSIX")
def test_a_file_that_may_grow_no_further_is_refused_and_nothing_acknowledged_is_lost(path: Path) -> None:
    first, *rest = report_of([], path)
    assert "the append failed, nothing of it counts" in first
    assert rest == EXPECTED


def test_a_disk_that_is_really_full_is_refused_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    alone = ["unshare", "--mount"] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["unshare", "-Urm"]
    disk = tmp_path / "disk"
    disk.mkdir()
    # In a mount namespace of its own the small disk vanishes with the process.
    mount = [*alone, "sh", "-c", 'mount -t tmpfs -o size=2m none "$0" && exec "$@"', str(disk)]
    try:
        possible = subprocess.run([*mount, "true"], check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    if possible.returncode:
        pytest.skip(f"no small disk can be mounted here: {possible.stderr.strip()}")
    first, *rest = report_of(mount, disk / "venue.journal")
    assert "the append failed, nothing of it counts" in first
    assert "full" in first
    assert rest == EXPECTED


def test_an_old_sqlite_is_refused_with_the_version_that_is_needed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(JournalUnavailable, match=r"3\.37"):
        SqliteJournal(path)


def test_a_journal_that_lost_its_versions_is_damaged(path: Path) -> None:
    SqliteJournal(path).close()
    changed_by_hand(path, "DELETE FROM schema_version")
    with pytest.raises(JournalCorrupt, match="the version of its tables is missing"):
        SqliteJournal(path)
