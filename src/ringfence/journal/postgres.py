"""A journal in a PostgreSQL database, where several hosts share it: extra ``postgres``.

The same tables as in SQLite, in a schema of their own, one journal per database. A group is one transaction that
copies its rows in (binary COPY) and moves the head.

Single writer: a session advisory lock, held by the connection that writes. When the writer dies the server takes the
lock back; a writer that lost its connection lost its lock and cannot write either, for both are one session. For that
reason connect to the server itself, not through a pool that hands sessions around.

Durable: the session turns ``synchronous_commit`` on, and a server that runs with ``fsync = off`` is refused.
"""

from __future__ import annotations

import re
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ringfence.errors import BadConfiguration
from ringfence.journal.chain import GENESIS, Head
from ringfence.journal.errors import JournalCorrupt, JournalLocked, JournalUnavailable
from ringfence.journal.storage import Reader, Writer, moved

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from ringfence.journal.chain import Row
    from ringfence.journal.storage import SnapshotRow

    Connection = psycopg.Connection[tuple[Any, ...]]

SCHEMA = "ringfence_journal"
"""The schema that holds the tables."""

LOCK_KEY = int.from_bytes(b"ringfenc", signed=True)
"""The key of the advisory lock; such locks belong to one database."""

_CONNECT_SECONDS = "10"
_COPY = f"COPY {SCHEMA}.entries (sequence, command, events, digest, chain) FROM STDIN (FORMAT BINARY)"
_MOVE_HEAD = f"UPDATE {SCHEMA}.head SET sequence = %s, chain = %s WHERE sequence = %s AND chain = %s"  # noqa: S608
_ROWS = (
    f"SELECT sequence, command, events, digest, chain FROM {SCHEMA}.entries"  # noqa: S608 - a constant of ours
    " WHERE sequence BETWEEN %s AND %s ORDER BY sequence"
)
_SAVE_SNAPSHOT = f"""
    INSERT INTO {SCHEMA}.snapshots VALUES (%s, %s, %s, %s) ON CONFLICT (sequence)
    DO UPDATE SET payload = excluded.payload, digest = excluded.digest, checksum = excluded.checksum
"""  # noqa: S608
_LEAVE_OUT_SNAPSHOTS = f"""
    DELETE FROM {SCHEMA}.snapshots WHERE sequence NOT IN
    (SELECT sequence FROM {SCHEMA}.snapshots ORDER BY sequence DESC LIMIT %s)
"""  # noqa: S608
_HOLDER = """
    SELECT 'process ' || activity.pid || coalesce(' from ' || host(activity.client_addr), '') || ' as '
           || activity.usename
    FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
      AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (lock.classid::bigint << 32) + lock.objid::bigint = %s
"""


class Migration(NamedTuple):
    """What turns one version of the tables into the next."""

    change: str
    statements: tuple[str, ...]


# As those of SQLite: version n is what the first n make; never change one that was released.
MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "entries and head",
        (
            f"""CREATE TABLE {SCHEMA}.entries (
                sequence bigint PRIMARY KEY, command bytea NOT NULL, events bytea NOT NULL, digest bytea NOT NULL,
                chain bytea NOT NULL
            )""",
            # Bytes that are hashed are not compressed as well: it costs more than it saves at this size.
            f"ALTER TABLE {SCHEMA}.entries ALTER command SET STORAGE EXTERNAL, ALTER events SET STORAGE EXTERNAL",
            f"""CREATE TABLE {SCHEMA}.head (
                one integer PRIMARY KEY CHECK (one = 1), sequence bigint NOT NULL, chain bytea NOT NULL
            )""",
            f"INSERT INTO {SCHEMA}.head VALUES (1, 0, '\\x{GENESIS.chain.hex()}')",  # noqa: S608
        ),
    ),
    Migration(
        "snapshots",
        (
            f"""CREATE TABLE {SCHEMA}.snapshots (
                sequence bigint PRIMARY KEY, payload bytea NOT NULL, digest bytea NOT NULL, checksum bytea NOT NULL
            )""",
        ),
    ),
)


_SNAPSHOTS_SINCE = 2  # the version of the tables that brought them


class PostgresRows:
    """The reading side: a connection of its own, which can only read."""

    def __init__(self, url: str) -> None:
        self._where = named(url)
        with _explained(self._where):
            self._connection = _connect(url)
            self._connection.read_only = True

    def head(self) -> Head:
        """Return the head that is stored beside the rows."""
        with _explained(self._where):
            return _stored_head(self._connection)

    def last_sequence(self) -> int:
        """Return the sequence of the last row that is there, 0 without any."""
        with _explained(self._where):
            row = self._connection.execute(f"SELECT max(sequence) FROM {SCHEMA}.entries").fetchone()  # noqa: S608
        return (row and row[0]) or 0

    def rows(self, *, first: int, last: int) -> Iterator[Row]:
        """Yield the rows of a range of sequences."""
        with _explained(self._where):
            found = self._connection.cursor(binary=True).execute(_ROWS, (first, last)).fetchall()
        yield from cast("list[Row]", found)

    def snapshot_sequences(self, *, not_after: int) -> list[int]:
        """Return which snapshots there are, latest first."""
        query = f"SELECT sequence FROM {SCHEMA}.snapshots WHERE sequence <= %s ORDER BY sequence DESC"  # noqa: S608
        with _explained(self._where):
            if _version(self._connection, self._where) < _SNAPSHOTS_SINCE:
                return []
            return [sequence for (sequence,) in self._connection.execute(query, (not_after,))]

    def snapshot_row(self, sequence: int) -> SnapshotRow | None:
        """Return one snapshot; None where it is not there."""
        query = f"SELECT sequence, payload, digest, checksum FROM {SCHEMA}.snapshots WHERE sequence = %s"  # noqa: S608
        with _explained(self._where):
            row = self._connection.cursor(binary=True).execute(query, (sequence,)).fetchone()
        return cast("SnapshotRow | None", row)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class PostgresReader(Reader):
    """Read a journal of a database, also while it is being written. Raises BadConfiguration when there is none."""

    def __init__(self, url: str) -> None:
        where = named(url)
        super().__init__(where, lambda: PostgresRows(url))
        with _explained(where), closing(_connect(url)) as connection:
            version = _version(connection, where)
        if not version:
            raise BadConfiguration(
                "there is no journal in this database", where=where, expected=f"a schema named {SCHEMA}"
            )


class PostgresJournal(Writer):
    """Write a journal of a database; it is made when it is not there. Raises JournalLocked while another is open."""

    def __init__(self, url: str) -> None:
        psycopg = _psycopg()
        self.storage_errors = (psycopg.Error,)
        self.conflict_errors = (psycopg.errors.UniqueViolation,)
        super().__init__(named(url), lambda: PostgresRows(url))
        with _explained(self.where):
            self._connection = _connect(url)
            try:
                _lock(self._connection, self.where)
                _refuse_careless_server(self._connection, self.where)
                _migrate(self._connection, found=_version(self._connection, self.where))
                self._head = self._checked_head()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the session, which gives the lock back."""
        with suppress(*self.storage_errors):
            self._connection.close()
        super().close()

    def _commit_group(self, rows: list[Row], *, head: Head, following: Head) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            with cursor.copy(_COPY) as copy:
                copy.set_types(["int8", "bytea", "bytea", "bytea", "bytea"])
                for row in rows:
                    copy.write_row(row)
            if cursor.execute(_MOVE_HEAD, (*following, *head)).rowcount != 1:
                raise moved(head)
            cursor.execute("COMMIT")

    def _commit_snapshot(self, row: SnapshotRow, *, kept: int) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(_SAVE_SNAPSHOT, row)
            cursor.execute(_LEAVE_OUT_SNAPSHOTS, (kept,))
            cursor.execute("COMMIT")

    def _roll_back(self) -> None:
        self._connection.execute("ROLLBACK")


def named(url: str) -> str:
    """Return a URL without the password, fit for an error message."""
    scheme, _, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    place = re.sub(r"(?<=[?&]password=)[^&]*", "…", place)
    return f"{scheme}://{credentials.partition(':')[0]}{at}{place}"


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise BadConfiguration(
            "a PostgreSQL journal needs the package psycopg",
            hint='install it with: pip install "ringfence[postgres]"',
        ) from error
    return psycopg


def _connect(url: str) -> Connection:
    """Open a session in autocommit mode: transactions begin and end where this module says so, nowhere else."""
    connection: Connection = _psycopg().connect(url, autocommit=True, **_defaults(url))
    connection.execute("SET synchronous_commit = on")
    return connection


def _defaults(url: str) -> dict[str, str]:
    """Settings of a connection that the URL may overrule."""
    defaults = {"connect_timeout": _CONNECT_SECONDS, "application_name": "ringfence journal"}
    return {name: value for name, value in defaults.items() if f"{name}=" not in url}


def _lock(connection: Connection, where: str) -> None:
    taken = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone()
    if taken == (True,):
        return
    holder = connection.execute(_HOLDER, (LOCK_KEY,)).fetchone()
    raise JournalLocked(
        holder[0] if holder and holder[0] else "another session",
        where=where,
        hint="stop that process first, or open the journal for reading only",
    )


def _refuse_careless_server(connection: Connection, where: str) -> None:
    if connection.execute("SHOW fsync").fetchone() != ("on",):
        raise JournalUnavailable(
            "the server runs with fsync = off: what it acknowledges may be lost",
            where=where,
            hint="set fsync = on in postgresql.conf",
        )


def _version(connection: Connection, where: str) -> int:
    """The version of the tables, 0 when there are none. Raises JournalUnavailable for one newer than this program."""
    found = connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.schema_version",)).fetchone()
    if found == (None,):
        return 0
    row = connection.execute(f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.schema_version").fetchone()  # noqa: S608
    version = int(row[0]) if row else 0
    if version > len(MIGRATIONS):
        raise JournalUnavailable(
            f"its tables are of version {version}; this ringfence knows versions up to {len(MIGRATIONS)}",
            where=where,
            hint="use the ringfence that wrote it, or a newer one",
        )
    return version


def _migrate(connection: Connection, *, found: int) -> None:
    """Apply the migrations that are missing, each one in a transaction."""
    if not found:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {SCHEMA}.schema_version (version integer PRIMARY KEY, change text NOT NULL)"
        )
    for version, migration in enumerate(MIGRATIONS[found:], found + 1):
        with connection.transaction():
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute(f"INSERT INTO {SCHEMA}.schema_version VALUES (%s, %s)", (version, migration.change))  # noqa: S608


def _stored_head(connection: Connection) -> Head:
    row = connection.execute(f"SELECT sequence, chain FROM {SCHEMA}.head WHERE one = 1").fetchone()  # noqa: S608
    if row is None:
        raise JournalCorrupt(None, None, "its head is missing")
    return Head(*row)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn what the server and the driver say into errors of a journal."""
    try:
        yield
    except _psycopg().Error as error:
        raise JournalUnavailable(
            f"cannot be used: {' '.join(str(error).split())}",
            where=where,
            hint="check the URL, that the server runs, and that the user may make and use the tables",
        ) from error
