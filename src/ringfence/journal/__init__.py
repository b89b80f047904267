"""The journal: every command with the events it led to, in order, durable before anybody sees a result.

    >>> from ringfence.journal import Batch, open_journal
    >>> journal = open_journal("memory:")  # or a path, or postgresql://…
    >>> journal.append([Batch(1, b'["deposit","100"]', (b'["deposited","100"]',), b"state after it")], after=0)
    >>> [entry.command for entry in journal.read()]
    [b'["deposit","100"]']
    >>> journal.head().sequence
    1

A journal knows nothing of what it keeps: commands, events, digests and snapshots are bytes to it. What it promises
stands in ``port``; the same tests hold every storage to it:

    sqlite     one file, one host: the source of truth by default
    postgres   a PostgreSQL database that several hosts share, extra ``postgres``
    memory     tests, and runs that need not be kept

Entries are chained by hashes (``chain``), so a changed, missing or added byte shows on reading and the entry is named.
A group is appended whole or not at all. When an append fails, whatever the reason, the writer stops for good: no
retry after a failed fsync, no guess at what was written; open the journal again and see (``storage``).

One row per command. The command stands in its own column, its events beside it, packed into one value: an event is
never looked for without its command, and a row per event would cost three times the time. ``unpack_events`` takes
them apart, for whoever reads the tables without this package's readers.

Modules: ``port`` the promise; ``chain`` entries, packing, hashes; ``storage`` what all storages share; ``opening`` what
a URL means; ``write_lock`` and ``write_ahead_log`` are SQLite's guards; ``errors``.
"""

from ringfence.journal.chain import GENESIS, Batch, Entry, Head, pack_events, unpack_events
from ringfence.journal.errors import JournalConflict, JournalCorrupt, JournalError, JournalLocked, JournalUnavailable
from ringfence.journal.memory import MemoryJournal, MemoryStorage
from ringfence.journal.opening import open_journal, open_reader
from ringfence.journal.port import Journal, JournalReader, Snapshot

__all__ = [
    "GENESIS",
    "Batch",
    "Entry",
    "Head",
    "Journal",
    "JournalConflict",
    "JournalCorrupt",
    "JournalError",
    "JournalLocked",
    "JournalReader",
    "JournalUnavailable",
    "MemoryJournal",
    "MemoryStorage",
    "Snapshot",
    "open_journal",
    "open_reader",
    "pack_events",
    "unpack_events",
]
