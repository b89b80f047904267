"""Where the journals of the contract tests are kept, and how a test reaches behind their backs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

from ringfence.journal import MemoryJournal, MemoryStorage, open_journal, open_reader
from ringfence.journal.memory import MemoryRows
from ringfence.journal.storage import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.journal import Journal, JournalReader

COLUMNS = ("sequence", "command", "events", "digest", "chain")


class Place(Protocol):
    """A journal that can be opened, closed, opened again, and changed by hand."""

    @property
    def url(self) -> str | None: ...  # for another process; None where no other process can reach it

    def journal(self) -> Journal: ...

    def reader(self) -> JournalReader: ...

    def change(self, sequence: int, column: str, value: Any) -> None: ...

    def change_snapshot(self, sequence: int, payload: bytes) -> None: ...

    def delete(self, sequence: int) -> None: ...

    def stored(self, sequence: int, column: str) -> Any: ...


class InMemory:
    """A journal whose storage outlives it."""

    url = None

    def __init__(self) -> None:
        self.storage = MemoryStorage()

    def journal(self) -> Journal:
        return MemoryJournal(self.storage)

    def reader(self) -> JournalReader:
        return Reader("memory:", lambda: MemoryRows(self.storage))

    def change(self, sequence: int, column: str, value: Any) -> None:
        place = self._place(sequence)
        row: list[Any] = list(self.storage.rows[place])
        row[COLUMNS.index(column)] = value
        self.storage.rows[place] = tuple(row)

    def change_snapshot(self, sequence: int, payload: bytes) -> None:
        number, _payload, digest, checksum = self.storage.snapshots[sequence]
        self.storage.snapshots[sequence] = (number, payload, digest, checksum)

    def delete(self, sequence: int) -> None:
        del self.storage.rows[self._place(sequence)]

    def stored(self, sequence: int, column: str) -> Any:
        return self.storage.rows[self._place(sequence)][COLUMNS.index(column)]

    def _place(self, sequence: int) -> int:
        return next(place for place, row in enumerate(self.storage.rows) if row[0] == sequence)


class _Sql:
    """What the two databases have in common: URLs, and tables to reach into."""

    url: str

    def journal(self) -> Journal:
        return open_journal(self.url)

    def reader(self) -> JournalReader:
        return open_reader(self.url)

    def change(self, sequence: int, column: str, value: Any) -> None:
        self._execute(f"UPDATE entries SET {column} = ? WHERE sequence = ?", (value, sequence))  # noqa: S608

    def change_snapshot(self, sequence: int, payload: bytes) -> None:
        self._execute("UPDATE snapshots SET payload = ? WHERE sequence = ?", (payload, sequence))

    def delete(self, sequence: int) -> None:
        self._execute("DELETE FROM entries WHERE sequence = ?", (sequence,))

    def stored(self, sequence: int, column: str) -> Any:
        [(value,)] = self._execute(f"SELECT {column} FROM entries WHERE sequence = ?", (sequence,))  # noqa: S608
        return value

    def _execute(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        raise NotImplementedError


class OnFile(_Sql):
    """A journal in an SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "venue.journal"
        self.url = str(self.path)

    def _execute(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")  # a test's change need not be durable
            return connection.execute(statement, values).fetchall()


class OnServer(_Sql):
    """A journal in a database of its own on a PostgreSQL server."""

    count = 0

    def __init__(self, server: str) -> None:
        import psycopg

        OnServer.count += 1
        name = f"place_{OnServer.count}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        self.url = server.replace("/postgres?", f"/{name}?")

    def _execute(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        import psycopg

        query = statement.replace("?", "%s").encode()
        with psycopg.connect(
            self.url, options="-csearch_path=ringfence_journal -csynchronous_commit=off"
        ) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []
