"""What only a journal in PostgreSQL can meet: a lost session, a careless server, an older schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ringfence.errors import BadConfiguration
from ringfence.journal import (
    Batch,
    JournalConflict,
    JournalLocked,
    JournalUnavailable,
    open_journal,
    open_reader,
    postgres,
)
from ringfence.journal.postgres import MIGRATIONS
from tests.contracts.journal_places import OnServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def url(server: str) -> str:
    """A new database."""
    return OnServer(server).url


def executed(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def group(first: int, last: int) -> list[Batch]:
    return [Batch(number, b"command", (b"event",), b"digest") for number in range(first, last + 1)]


def end_of_the_writers_session(url: str) -> None:
    """Cut the writer's connection, as an operator or a broken network would."""
    # Every other session of this database: it is the writer's alone.
    [ended] = executed(
        url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    )
    assert ended == (True,)


def test_a_writer_that_lost_its_session_can_write_nothing_more_and_another_can_take_over(url: str) -> None:
    first = open_journal(url)
    first.append(group(1, 2), after=0)
    end_of_the_writers_session(url)
    with open_journal(url) as second:
        second.append(group(3, 4), after=2)
        with pytest.raises(JournalUnavailable, match="the append failed, nothing of it counts"):
            first.append(group(3, 3), after=2)
        with pytest.raises(JournalUnavailable, match="no longer written to"):
            first.append(group(3, 3), after=2)
        assert [entry.sequence for entry in second.read()] == [1, 2, 3, 4]
    first.close()


def test_the_locked_message_names_the_process_of_the_server_that_holds_the_journal(url: str) -> None:
    with open_journal(url):
        with pytest.raises(JournalLocked) as caught:
            open_journal(url)
        pids = executed(url, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        assert caught.value.holder in {f"process {pid} as postgres" for (pid,) in pids}


def test_entries_that_somebody_else_wrote_past_the_lock_are_never_written_over(url: str) -> None:
    with open_journal(url) as journal:
        journal.append(group(1, 1), after=0)
        executed(url, "INSERT INTO ringfence_journal.entries VALUES (2, '', '', '', '')")
        with pytest.raises(JournalConflict, match="somebody else wrote"):
            journal.append(group(2, 2), after=1)


def test_a_head_that_somebody_else_moved_stops_the_writer(url: str) -> None:
    with open_journal(url) as journal:
        journal.append(group(1, 1), after=0)
        executed(url, "UPDATE ringfence_journal.head SET sequence = 7")
        with pytest.raises(JournalConflict, match="no longer ends at entry 1"):
            journal.append(group(2, 2), after=1)
    assert executed(url, "SELECT count(*) FROM ringfence_journal.entries") == [(1,)]


@pytest.fixture
def careless(server: str) -> Iterator[None]:
    """The server does not wait for its disk, for a moment."""
    set_fsync(server, "off")
    yield
    set_fsync(server, "on")


def set_fsync(server: str, value: str) -> None:
    """Change the server's setting, and see that new sessions have it: the server takes note in its own time."""
    executed(server, f"ALTER SYSTEM SET fsync = {value}")
    executed(server, "SELECT pg_reload_conf()")
    assert any(executed(server, "SHOW fsync") == [(value,)] for _ in range(1_000))


@pytest.mark.usefixtures("careless")
def test_a_server_that_does_not_wait_for_its_disk_is_refused(url: str) -> None:
    with pytest.raises(JournalUnavailable, match="fsync = off"):
        open_journal(url)


def test_the_session_waits_for_the_disk_whatever_the_database_says(url: str) -> None:
    executed(
        url, "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END $$"
    )
    assert executed(url, "SHOW synchronous_commit") == [("off",)]
    with open_journal(url) as journal:
        connection: psycopg.Connection[tuple[Any, ...]] = vars(journal)["_connection"]
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_journal_of_the_first_version_is_brought_up_to_date_with_its_entries_as_they_were(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(postgres, "MIGRATIONS", MIGRATIONS[:1])
        with open_journal(url) as journal:
            journal.append(group(1, 3), after=0)
            head = journal.head()
    with open_reader(url) as reader:  # as it is: a reader changes nothing
        assert [entry.sequence for entry in reader.read()] == [1, 2, 3]
        assert reader.latest_snapshot() is None
    with open_journal(url) as journal:
        assert journal.head() == head
        journal.save_snapshot(2, b"state", b"digest")
        assert [entry.sequence for entry in journal.read()] == [1, 2, 3]


def test_a_journal_of_a_newer_version_is_left_alone(url: str) -> None:
    open_journal(url).close()
    executed(url, "INSERT INTO ringfence_journal.schema_version VALUES (9, 'from the future')")
    for open_it in (open_journal, open_reader):
        with pytest.raises(JournalUnavailable, match="its tables are of version 9"):
            open_it(url)


def test_a_reader_of_a_database_without_a_journal_makes_none(url: str) -> None:
    with pytest.raises(BadConfiguration, match="there is no journal in this database"):
        open_reader(url)
    assert executed(url, "SELECT nspname FROM pg_namespace WHERE nspname = 'ringfence_journal'") == []
