"""A journal in one SQLite file: the source of truth of a single host.

Durable: write-ahead log, ``synchronous=FULL``. A group is one transaction, and its commit returns after the fsync of
the log. A crash leaves the file and ``<file>-wal``; SQLite takes the whole transactions of the log on the next opening,
and ``write_ahead_log`` first makes sure that the log lacks no more than a torn last group.

Whole: a new journal is made under another name and moved into place, so an empty or half-made file is never taken for
a journal; the head is stored beside the entries and moves with them, so that entries lost from the end are missed.

Single writer: a lock file, see ``write_lock``. Readers need no lock and do not disturb the writer.

Tables, for whoever looks in with ``sqlite3``: ``entries(sequence, command, events, digest, chain)``, one row per
command, its events packed as ``chain`` describes; ``head``, one row; ``snapshots``; ``schema_version``, one row per
migration that was applied.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.journal.chain import GENESIS, Head, verified
from ringfence.journal.errors import JournalCorrupt, JournalError, JournalUnavailable
from ringfence.journal.storage import Reader, Writer, moved
from ringfence.journal.write_ahead_log import first_hole
from ringfence.journal.write_lock import WriteLock, is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ringfence.journal.chain import Row
    from ringfence.journal.storage import SnapshotRow

APPLICATION_ID = int.from_bytes(b"ring")
"""Marks the file as a journal of ringfence (``PRAGMA application_id``)."""

CHECKPOINT_PAGES = 4_000
"""How long the write-ahead log may grow before it is copied into the file: 16 MB. Rarer is faster, and a longer
recovery. A group that is longer by itself is copied when the writer tidies up, or else after the next group."""

OLDEST_SQLITE = (3, 37)
"""The first SQLite with STRICT tables: a damaged row cannot turn bytes into another type unseen."""

_log = logging.getLogger("ringfence.journal")
_SMALLEST_FILE = 512  # SQLite's smallest page; a journal is made whole, and larger
_PAGE = 4_096  # bytes of a page, as SQLite makes files
_BUSY_SECONDS = 5.0
_INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?)"
_AT_ONCE = 8  # rows per statement; a sixth of their time is saved so, and more rows save no more
_INSERT_MANY = f"{_INSERT}{', (?, ?, ?, ?, ?)' * (_AT_ONCE - 1)}"
_MOVE_HEAD = "UPDATE head SET sequence = ?, chain = ? WHERE sequence = ? AND chain = ?"
_ROWS = "SELECT sequence, command, events, digest, chain FROM entries WHERE sequence BETWEEN ? AND ? ORDER BY sequence"
_SAVE_SNAPSHOT = """
    INSERT INTO snapshots VALUES (?, ?, ?, ?) ON CONFLICT (sequence)
    DO UPDATE SET payload = excluded.payload, digest = excluded.digest, checksum = excluded.checksum
"""
_LEAVE_OUT_SNAPSHOTS = """
    DELETE FROM snapshots WHERE sequence NOT IN (SELECT sequence FROM snapshots ORDER BY sequence DESC LIMIT ?)
"""
_VERSION_TABLE = "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, change TEXT NOT NULL) STRICT"


class Migration(NamedTuple):
    """What turns one version of the tables into the next."""

    change: str
    statements: tuple[str, ...]


# Version n is what the first n make. Never change one that was released; add another. The chain is not theirs to
# change: what it covers are the bytes of the entries, whatever tables hold them.
MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "entries and head",
        (
            """CREATE TABLE entries (
                sequence INTEGER PRIMARY KEY, command BLOB NOT NULL, events BLOB NOT NULL, digest BLOB NOT NULL,
                chain BLOB NOT NULL
            ) STRICT""",
            """CREATE TABLE head (
                one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, chain BLOB NOT NULL
            ) STRICT""",
            f"INSERT INTO head VALUES (1, 0, x'{GENESIS.chain.hex()}')",  # noqa: S608 - a constant of ours
        ),
    ),
    Migration(
        "snapshots",
        (
            """CREATE TABLE snapshots (
                sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL, digest BLOB NOT NULL, checksum BLOB NOT NULL
            ) STRICT""",
        ),
    ),
)


_SNAPSHOTS_SINCE = 2  # the version of the tables that brought them


class SqliteRows:
    """The reading side: a connection of its own, which can only read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _explained(path):
            self._connection = _connect(path, mode="ro")
            # A look at each page costs little and finds damage that would otherwise pass for data.
            self._connection.execute("PRAGMA cell_size_check = ON")

    def head(self) -> Head:
        """Return the head that is stored beside the rows."""
        with _explained(self._path):
            return _stored_head(self._connection)

    def last_sequence(self) -> int:
        """Return the sequence of the last row that is there, 0 without any."""
        with _explained(self._path):
            (last,) = self._connection.execute("SELECT max(sequence) FROM entries").fetchone()
        return last or 0

    def rows(self, *, first: int, last: int) -> Iterator[Row]:
        """Yield the rows of a range of sequences."""
        sequence = first - 1
        try:
            for row in self._connection.execute(_ROWS, (first, last)):
                sequence = row[0]
                yield row
        except (sqlite3.Error, UnicodeError) as error:
            if _is_damage(error):
                raise JournalCorrupt(_following(sequence), None, f"cannot be read: {error}") from error
            raise _unavailable(self._path, error) from error

    def snapshot_sequences(self, *, not_after: int) -> list[int]:
        """Return which snapshots there are, latest first."""
        with _explained(self._path):
            if _version(self._connection, self._path) < _SNAPSHOTS_SINCE:
                return []
            found = self._connection.execute(
                "SELECT sequence FROM snapshots WHERE sequence <= ? ORDER BY sequence DESC", (not_after,)
            )
            return [sequence for (sequence,) in found]

    def snapshot_row(self, sequence: int) -> SnapshotRow | None:
        """Return one snapshot; None where it is not there."""
        with _explained(self._path):
            query = "SELECT sequence, payload, digest, checksum FROM snapshots WHERE sequence = ?"
            row: SnapshotRow | None = self._connection.execute(query, (sequence,)).fetchone()
        return row

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class SqliteReader(Reader):
    """Read a journal file, also while it is being written. Raises BadConfiguration when there is none."""

    def __init__(self, path: Path) -> None:
        path = path.resolve()
        super().__init__(str(path), lambda: SqliteRows(path))
        if not path.exists():
            raise BadConfiguration(
                "there is no journal", where=str(path), expected="a journal file", hint="check the path"
            )
        _refuse_damaged_files(path, is_written=is_locked)
        with closing(_connect(path, mode="ro")) as connection, _explained(path):
            _refuse_foreign(connection, path)
            _version(connection, path)  # older tables are read as they are; newer ones are refused
            _stored_head(connection)


class SqliteJournal(Writer):
    """Write a journal file; it is made when it is not there. Raises JournalLocked while another is open to write."""

    storage_errors = (sqlite3.Error,)
    conflict_errors = (sqlite3.IntegrityError,)

    def __init__(self, path: Path) -> None:
        path = path.resolve()
        super().__init__(str(path), lambda: SqliteRows(path))
        if not path.parent.is_dir():
            raise BadConfiguration(
                "there is no folder for the journal", where=str(path.parent), hint="make the folder, or check the path"
            )
        self._put_off = False  # whether the log waits to be copied into the file
        self._lock = WriteLock(path)
        try:
            if not path.exists():
                _make(path)
            _refuse_damaged_files(path, is_written=_by_nobody)
            with _explained(path):
                self._connection = _open_to_write(path)
        except BaseException:
            self._lock.release()
            raise
        try:
            self._head = self._checked_head()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and give the lock back."""
        # What was appended is durable; tidying up may fail. Closing does not end a transaction by itself while a
        # cursor of it lives on, as it may in the traceback of what went wrong.
        with suppress(sqlite3.Error):
            self._roll_back()
        with suppress(sqlite3.Error):
            self._connection.close()
        self._lock.release()
        super().close()

    def tidy(self) -> None:
        """Copy the write-ahead log into the file, if a large group has put that off."""
        if self._put_off:
            self._put_off = False
            with suppress(sqlite3.Error):  # as SQLite does when it copies after a commit: a later one tries again
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _commit_group(self, rows: list[Row], *, head: Head, following: Head) -> None:
        connection = self._connection
        # A group that fills the log by itself would be written twice before anybody is told that it is durable.
        put_off = sum([len(row[2]) for row in rows]) >= CHECKPOINT_PAGES * _PAGE
        if put_off:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN IMMEDIATE")
        many = len(rows) // _AT_ONCE * _AT_ONCE
        values = tuple(chain.from_iterable(rows[:many]))
        width = _AT_ONCE * len(rows[0])
        connection.executemany(_INSERT_MANY, [values[at : at + width] for at in range(0, len(values), width)])
        connection.executemany(_INSERT, rows[many:])
        if connection.execute(_MOVE_HEAD, (*following, *head)).rowcount != 1:
            raise moved(head)
        connection.execute("COMMIT")
        if put_off:
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._put_off = True

    def _commit_snapshot(self, row: SnapshotRow, *, kept: int) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(_SAVE_SNAPSHOT, row)
        self._connection.execute(_LEAVE_OUT_SNAPSHOTS, (kept,))
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """Open a file in autocommit mode: transactions begin and end where this module says so, nowhere else."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise JournalUnavailable(
            f"this Python brings SQLite {sqlite3.sqlite_version}; a journal needs {'.'.join(map(str, OLDEST_SQLITE))}",
            where=str(path),
            hint="use a Python built with a newer SQLite",
        )
    # Which thread uses a connection is the caller's affair: one at a time.
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _make(path: Path) -> None:
    """Make an empty journal, whole or not at all: under another name first. The caller holds the lock."""
    if _size(_log_of(path)):
        raise JournalCorrupt(
            None, None, f"the journal is gone, but its write-ahead log {_log_of(path).name} is there", where=str(path)
        )
    new = path.with_name(f"{path.name}.new")
    for leftover in (new, *(new.with_name(new.name + end) for end in ("-journal", "-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    with _explained(path):
        with closing(_connect(new, mode="rwc")) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_VERSION_TABLE)
            _migrate(connection, found=0)
            _use_write_ahead_log(connection, new)
        new.replace(path)
        _sync_folder(path.parent)


def _open_to_write(path: Path) -> sqlite3.Connection:
    """Open a journal that is there, and bring its tables up to date."""
    connection = _connect(path, mode="rw")
    try:
        _refuse_foreign(connection, path)
        _use_write_ahead_log(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: the plain fsync does not reach the disk there
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        _migrate(connection, found=_version(connection, path))
    except BaseException:
        connection.close()
        raise
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalUnavailable(
            f"its file system allows no write-ahead log (SQLite stays in mode {mode})",
            where=str(path),
            hint="keep the journal on a local disk",
        )


def _migrate(connection: sqlite3.Connection, *, found: int) -> None:
    """Apply the migrations that are missing, each one in a transaction."""
    for version, migration in enumerate(MIGRATIONS[found:], found + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute("INSERT INTO schema_version VALUES (?, ?)", (version, migration.change))
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the tables. Raises JournalUnavailable when it is newer than this program."""
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    if not isinstance(version, int) or version < 1:
        raise JournalCorrupt(None, None, "the version of its tables is missing", where=str(path))
    if version > len(MIGRATIONS):
        raise JournalUnavailable(
            f"its tables are of version {version}; this ringfence knows versions up to {len(MIGRATIONS)}",
            where=str(path),
            hint="use the ringfence that wrote it, or a newer one",
        )
    return version


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise BadConfiguration(
            "is an SQLite file, but no journal of ringfence",
            where=str(path),
            expected=f"application id {APPLICATION_ID}",
            found=str(application),
            hint="check the path; nothing was changed",
        )


def _stored_head(connection: sqlite3.Connection) -> Head:
    row = connection.execute("SELECT sequence, chain FROM head WHERE one = 1").fetchone()
    if row is None:
        raise JournalCorrupt(None, None, "its head is missing")
    return Head(*row)


# ── What can be wrong with the files ─────────────────────────────────────────────────────────────────────────────


def _refuse_damaged_files(path: Path, *, is_written: Callable[[Path], bool]) -> None:
    """Look at the files before SQLite does, for damage that it would take for an ordinary crash and tidy away."""
    if _size(path) < _SMALLEST_FILE:
        why = "lost: the file is empty" if not _size(path) else "lost: the file ends before its first page does"
        raise JournalCorrupt(
            1, _size(path), why, where=str(path), hint="restore it; if it never held anything, remove it"
        )
    log = _log_of(path)
    hole = first_hole(log) if _size(log) else None
    if hole is None or is_written(path):  # the log of a living writer changes while it is looked at
        return
    if hole.transactions > 1:
        raise JournalCorrupt(
            None,
            hole.offset,
            f"{log.name} is damaged before its last transaction: {hole.transactions} that were durable are lost",
            where=str(path),
            hint=f"restore both files from a copy; to go on without what is lost, move {log.name} away",
        )
    if hole.transactions:
        _log.warning("%s: the last transaction in %s is torn and left out; it was not acknowledged", path, log.name)


def _by_nobody(_path: Path) -> bool:
    """Whether somebody else is writing: not while this process holds the lock."""
    return False


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say into errors of a journal."""
    try:
        yield
    except (sqlite3.Error, UnicodeError) as error:
        if _is_damage(error):
            raise _damage(path, error) from error
        raise _unavailable(path, error) from error
    except OSError as error:
        raise _unavailable(path, error) from error
    except JournalError as error:
        error.where = error.where or str(path)
        raise


def _is_damage(error: Exception) -> bool:
    """Whether SQLite speaks of damaged contents, rather than of a disk, a lock or a limit."""
    if isinstance(error, UnicodeError):  # a damaged name, in its own error message
        return True
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return True
    # A schema that lost a table is not refused as damaged, nor is text that can no longer be decoded.
    return any(words in str(error) for words in ("no such table", "no such column", "Could not decode"))


def _unavailable(path: Path, error: Exception) -> JournalUnavailable:
    return JournalUnavailable(
        f"cannot be used: {error}",
        where=str(path),
        hint="check that the file may be read and written, and that the disk has space and no errors",
    )


def _damage(path: Path, error: Exception) -> JournalCorrupt:
    """Find out how far a file can be read that SQLite refuses."""
    whole, head = 0, None
    with suppress(sqlite3.Error, UnicodeError, JournalCorrupt), closing(_connect(path, mode="ro")) as connection:
        connection.execute("PRAGMA writable_schema = ON")  # read it all the same, as far as its pages go
        head = _stored_head(connection)
        for entry in verified(connection.execute(_ROWS, (1, head.sequence)), previous=GENESIS):
            whole = entry.sequence
    entries_are_whole = head is not None and whole == head.sequence
    sequence: int | None = whole + 1
    hint: str | None = None
    if entries_are_whole:  # what is damaged is something else
        sequence, hint = None, f"restore the journal from a copy; all of its {whole} entries are whole"
    # Opening the file by itself would cost SQLite's locks on it, were it in use by this process; it is not usable.
    with path.open("rb") as file:
        header = file.read(100)
    page_size = int.from_bytes(header[16:18]) or 1
    missing = (65_536 if page_size == 1 else page_size) * int.from_bytes(header[28:32]) - _size(path)
    if header.startswith(b"SQLite format 3\0") and missing > 0:
        why = f"lost: the file ends, {missing} bytes early"
        return JournalCorrupt(sequence, _size(path), why, where=str(path), hint=hint)
    return JournalCorrupt(sequence, None, f"cannot be read: {error}", where=str(path), hint=hint)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    """Bytes of a file; 0 when it is not there."""
    return path.stat().st_size if path.exists() else 0


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    if sys.platform == "win32":  # folders cannot be opened there, and names are journaled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _following(sequence: object) -> int | None:
    return sequence + 1 if isinstance(sequence, int) else None
