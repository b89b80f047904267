"""Which journal a path or URL means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ringfence.errors import BadConfiguration, nearest
from ringfence.journal.memory import MemoryJournal

if TYPE_CHECKING:
    from ringfence.journal.port import Journal, JournalReader

_POSTGRES = ("postgresql", "postgres")


def open_journal(url: str) -> Journal:
    """Open a journal for writing; one that is not there yet is made, and older tables are brought up to date.

    ``url`` is
        ``memory:``                    a new journal in memory
        a path, or ``sqlite:///path``  an SQLite file; four slashes begin an absolute path
        ``postgresql://…``             a PostgreSQL database, extra ``postgres``; its user may make a schema there

    Raises JournalLocked while somebody else writes it, JournalCorrupt when its files are damaged, JournalUnavailable
    when it cannot be reached or written, BadConfiguration for a URL that means nothing.
    """
    scheme, place = _parts(url)
    if scheme == "memory":
        return MemoryJournal()
    if scheme in _POSTGRES:
        from ringfence.journal.postgres import PostgresJournal

        return PostgresJournal(url)
    from ringfence.journal.sqlite import SqliteJournal

    return SqliteJournal(Path(place))


def open_reader(url: str) -> JournalReader:
    """Open a journal for reading only, also while it is being written. Nothing is made, changed or locked.

    Takes the URLs of :func:`open_journal`, except that of memory. Raises as it does, JournalLocked apart, and
    BadConfiguration when there is no journal.
    """
    scheme, place = _parts(url)
    if scheme == "memory":
        raise BadConfiguration("a journal in memory can be read by its writer only", where=url)
    if scheme in _POSTGRES:
        from ringfence.journal.postgres import PostgresReader

        return PostgresReader(url)
    from ringfence.journal.sqlite import SqliteReader

    return SqliteReader(Path(place))


def _parts(url: str) -> tuple[str, str]:
    """Split a URL into its scheme and what the scheme leads to; a plain path is one of SQLite."""
    if url == "memory:":
        return "memory", ""
    scheme, separator, rest = url.partition("://")
    if not separator:
        if not url:
            raise BadConfiguration("no journal was named", expected="a path or a URL", found="nothing")
        return "sqlite", url
    if scheme in _POSTGRES:
        return scheme, rest
    if scheme != "sqlite":
        known = ("sqlite", *_POSTGRES)
        raise BadConfiguration(
            "not a kind of journal",
            where=url,
            expected="memory:, a path, sqlite:///path or postgresql://…",
            found=f"{scheme}://",
            hint=nearest(scheme, known),
        )
    host, slash, path = rest.partition("/")
    if host or not slash or not path:
        raise BadConfiguration(
            "a URL of SQLite names a file and no host",
            where=url,
            expected="sqlite:///relative/path or sqlite:////absolute/path",
        )
    return "sqlite", unquote(path)
