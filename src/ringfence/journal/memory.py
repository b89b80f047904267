"""A journal in memory: for tests, and for what need not outlive the process."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringfence.journal.chain import GENESIS
from ringfence.journal.errors import JournalLocked
from ringfence.journal.storage import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.journal.chain import Head, Row
    from ringfence.journal.storage import SnapshotRow


@dataclass(slots=True)
class MemoryStorage:
    """What a memory journal writes to, and what is left of it when it is closed or dropped: the "disk".

    Open to whoever holds it, so that a simulation can cut, change or fill it between two openings.
    """

    rows: list[Row] = field(default_factory=list)
    snapshots: dict[int, SnapshotRow] = field(default_factory=dict)
    head: Head = GENESIS
    writer: MemoryJournal | None = None

    def crash(self) -> None:
        """End the writer as a killed process would: the lock is free, and the old writer can do nothing more."""
        if self.writer is not None:
            self.writer.close()


class MemoryRows:
    """The reading side of a memory journal."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    def head(self) -> Head:
        """Return the head that is stored beside the rows."""
        return self._storage.head

    def last_sequence(self) -> int:
        """Return the sequence of the last row that is there, 0 without any."""
        return self._storage.rows[-1][0] if self._storage.rows else 0

    def rows(self, *, first: int, last: int) -> Iterator[Row]:
        """Yield the rows of a range of sequences."""
        rows = self._storage.rows
        place = bisect_left(rows, first, key=_sequence)
        while place < len(rows) and rows[place][0] <= last:
            yield rows[place]
            place += 1

    def snapshot_sequences(self, *, not_after: int) -> list[int]:
        """Return which snapshots there are, latest first."""
        return sorted((sequence for sequence in self._storage.snapshots if sequence <= not_after), reverse=True)

    def snapshot_row(self, sequence: int) -> SnapshotRow | None:
        """Return one snapshot; None where it is not there."""
        return self._storage.snapshots.get(sequence)

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


class MemoryJournal(Writer):
    """A journal in memory, over a storage of its own or a given one. Raises JournalLocked when that has a writer."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        self.storage = MemoryStorage() if storage is None else storage
        if self.storage.writer is not None:
            raise JournalLocked("another journal of this process", where="memory:", hint="close it first")
        super().__init__("memory:", lambda: MemoryRows(self.storage))
        self.storage.writer = self
        try:
            self._head = self._checked_head()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the storage; what is in it stays."""
        if self.storage.writer is self:
            self.storage.writer = None
        super().close()

    def _commit_group(self, rows: list[Row], *, head: Head, following: Head) -> None:  # noqa: ARG002 - nobody else can
        self.storage.rows.extend(rows)
        self.storage.head = following

    def _commit_snapshot(self, row: SnapshotRow, *, kept: int) -> None:
        snapshots = {**self.storage.snapshots, row[0]: row}
        self.storage.snapshots = {sequence: snapshots[sequence] for sequence in sorted(snapshots)[-kept:]}

    def _roll_back(self) -> None:
        del self.storage.rows[self.storage.head.sequence :]


def _sequence(row: Row) -> int:
    return row[0]
