"""What every journal does in the same way, whatever stores its rows.

A storage has two sides. :class:`StoredRows` reads rows and is opened anew for every reading, so that readers neither
disturb the writer nor each other. A subclass of :class:`Writer` puts a group of rows into one durable transaction.
Everything else stands here once: numbering, the chain and its verification, snapshots' checksums, and fail-stop.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

from ringfence.journal.chain import GENESIS, Head, linked_rows, snapshot_checksum, verified
from ringfence.journal.errors import JournalConflict, JournalCorrupt, JournalError, JournalUnavailable
from ringfence.journal.port import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from ringfence.journal.chain import Batch, Entry, Row

ROWS_AT_A_TIME = 1_000
"""How many rows a reader holds one view of the storage for: long views keep a database from tidying up."""

SNAPSHOTS_KEPT = 3
"""How many snapshots a journal keeps, the latest ones: a spare for each of the last two, should they be damaged."""

SnapshotRow = tuple[int, bytes, bytes, bytes]
"""A snapshot as it is stored: sequence, payload, digest, checksum."""

_log = logging.getLogger("ringfence.journal")


class StoredRows(Protocol):
    """The reading side of a storage. Failures are raised as JournalCorrupt or JournalUnavailable."""

    def head(self) -> Head:
        """Return the head that is stored beside the rows."""
        ...

    def last_sequence(self) -> int:
        """Return the sequence of the last row that is there, 0 without any."""
        ...

    def rows(self, *, first: int, last: int) -> Iterator[Row]:
        """Yield the rows of a range of sequences that are there, in order."""
        ...

    def snapshot_sequences(self, *, not_after: int) -> list[int]:
        """Return which snapshots there are, latest first."""
        ...

    def snapshot_row(self, sequence: int) -> SnapshotRow | None:
        """Return one snapshot; None where it is not there (any more)."""
        ...

    def close(self) -> None:
        """Let go of the storage."""
        ...


class Reader:
    """A :class:`~ringfence.journal.port.JournalReader` over any storage. ``where`` names it in errors."""

    def __init__(self, where: str, open_rows: Callable[[], StoredRows]) -> None:
        self.where = where
        self._open_rows = open_rows
        self._damaged: list[int] = []
        self._closed = False

    @property
    def damaged_snapshots(self) -> tuple[int, ...]:
        """Sequences of the snapshots that were passed over because they are damaged, in the order they were met."""
        return tuple(self._damaged)

    def head(self) -> Head:
        """Return the last entry's sequence and chain; the genesis for an empty journal."""
        with self._reading() as rows:
            return rows.head()

    def read(self, *, start: int = 1) -> Iterator[Entry]:
        """Yield the entries from ``start`` on, verified. See the port for what is promised."""
        if start < 1:
            raise ValueError(f"entries are numbered from 1, not from {start}")
        self._refuse_if_closed()
        return self._read(start)

    def latest_snapshot(self, *, not_after: int | None = None) -> Snapshot | None:
        """Return the latest undamaged snapshot, of entry ``not_after`` or before; None when there is none."""
        with self._reading() as rows:
            end = rows.head().sequence
            for sequence in rows.snapshot_sequences(not_after=end if not_after is None else min(not_after, end)):
                snapshot = self._snapshot(rows, sequence)
                if snapshot is not None:
                    return snapshot
        return None

    def close(self) -> None:
        """Let go of the journal."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise JournalUnavailable("the journal was closed", where=self.where, hint="open it again")

    @contextmanager
    def _reading(self) -> Iterator[StoredRows]:
        """Open the rows to read, and name the journal in what goes wrong meanwhile."""
        self._refuse_if_closed()
        try:
            with closing(self._open_rows()) as rows:
                yield rows
        except JournalError as error:
            error.where = error.where or self.where
            raise

    def _read(self, start: int) -> Iterator[Entry]:
        with self._reading() as rows:
            head = rows.head()
            yield from _verified_range(rows, start=start, head=head)

    def _snapshot(self, rows: StoredRows, sequence: int) -> Snapshot | None:
        """One snapshot, or None, and a report, when it is damaged."""
        try:
            row = rows.snapshot_row(sequence)
            if row is None:
                if sequence in rows.snapshot_sequences(not_after=sequence):
                    raise JournalCorrupt(sequence, None, "listed, and not there")  # noqa: TRY301
                return None  # newer ones have come since it was listed, and it was left out
            number, payload, digest, checksum = row
            expected = snapshot_checksum(head=_head_at(rows, number), payload=payload, digest=digest)
            if checksum != expected:
                raise JournalCorrupt(sequence, None, "its checksum does not match")  # noqa: TRY301
        except (JournalCorrupt, TypeError) as error:
            why = error.why if isinstance(error, JournalCorrupt) else str(error)
            _log.warning("%s: the snapshot of entry %d is damaged and passed over: %s", self.where, sequence, why)
            self._damaged.append(sequence)
            return None
        return Snapshot(number, payload, digest)


class Writer(Reader, ABC):
    """A :class:`~ringfence.journal.port.Journal` over any storage, fail-stop.

    A subclass writes a group in one transaction, undoes what a failed one left, and knows its storage's exceptions.
    """

    storage_errors: tuple[type[Exception], ...] = ()
    """What the storage raises when it fails."""

    conflict_errors: tuple[type[Exception], ...] = ()
    """What the storage raises when somebody else has written the same entries."""

    def __init__(self, where: str, open_rows: Callable[[], StoredRows]) -> None:
        super().__init__(where, open_rows)
        self._failure: str | None = None
        self._head = GENESIS

    def head(self) -> Head:
        """Return the last entry's sequence and chain, as this writer knows them: nobody else writes."""
        self._refuse_if_closed()
        return self._head

    def append(self, batches: Sequence[Batch], *, after: int) -> None:
        """Append a group, durably and whole. See the port for what is promised."""
        self._refuse_if_failed()
        try:
            rows = linked_rows(batches, head=self._head, after=after)
        except JournalConflict as error:
            error.where = self.where
            raise
        if not rows:
            return
        following = Head(rows[-1][0], rows[-1][4])
        with self._fail_stop("append"):
            self._commit_group(rows, head=self._head, following=following)
            self._head = following

    def tidy(self) -> None:
        """Do now what an append has put off. See the port for what is promised."""

    def save_snapshot(self, sequence: int, payload: bytes, digest: bytes) -> None:
        """Keep a snapshot of the state after entry ``sequence``."""
        self._refuse_if_failed()
        if not 0 <= sequence <= self._head.sequence:
            raise JournalConflict(
                f"a snapshot of entry {sequence} was given; the journal ends at entry {self._head.sequence}",
                where=self.where,
                hint="append the entries first",
            )
        with self._reading() as rows:
            row = _row_at(rows, sequence) if sequence else None
        if row is not None and row[3] != digest:
            raise JournalConflict(
                f"the snapshot's digest {digest.hex()} is not that of entry {sequence}, {row[3].hex()}",
                where=self.where,
                hint="take the snapshot of the state right after the entry",
            )
        chain = GENESIS.chain if row is None else row[4]
        checksum = snapshot_checksum(head=Head(sequence, chain), payload=payload, digest=digest)
        with self._fail_stop("snapshot"):
            self._commit_snapshot((sequence, payload, digest, checksum), kept=SNAPSHOTS_KEPT)

    @abstractmethod
    def _commit_group(self, rows: list[Row], *, head: Head, following: Head) -> None:
        """Write rows and the following head in one durable transaction; JournalConflict when the head has moved."""

    @abstractmethod
    def _commit_snapshot(self, row: SnapshotRow, *, kept: int) -> None:
        """Write one snapshot, and leave out all but the latest ``kept``, in one durable transaction."""

    @abstractmethod
    def _roll_back(self) -> None:
        """Undo what a failed transaction left open. May raise what the storage raises."""

    def _checked_head(self) -> Head:
        """The stored head, after a look whether the last entry is there and is the one that the head speaks of."""
        with self._reading() as rows:
            head, last = rows.head(), rows.last_sequence()
            if last != head.sequence:
                raise JournalCorrupt(
                    min(last, head.sequence) + 1,
                    None,
                    f"the last entry found is {last}; the head of the journal speaks of {head.sequence}",
                )
            for _ in _verified_range(rows, start=max(last, 1), head=head):
                pass
        return head

    def _refuse_if_failed(self) -> None:
        self._refuse_if_closed()
        if self._failure is not None:
            raise JournalUnavailable(
                f"no longer written to since {self._failure}",
                where=self.where,
                hint="see to the storage (space, disk, connection), then open the journal again and read its head",
            )

    @contextmanager
    def _fail_stop(self, doing: str) -> Iterator[None]:
        """Make any failure inside the last thing this writer did: what the storage holds is no longer known."""
        try:
            yield
        except BaseException as error:
            self._failure = f"an {doing} failed" if doing == "append" else f"a {doing} failed"
            try:
                self._roll_back()
            except self.storage_errors as second:
                _log.warning("%s: the failed %s could not be rolled back: %s", self.where, doing, second)
            if isinstance(error, JournalConflict):
                error.where = error.where or self.where
            if isinstance(error, self.conflict_errors):
                raise JournalConflict(
                    f"somebody else wrote to the journal: {error}",
                    where=self.where,
                    hint="find the other writer; then open the journal again",
                ) from error
            if isinstance(error, self.storage_errors):
                raise JournalUnavailable(
                    f"the {doing} failed, nothing of it counts: {_said(error)}",
                    where=self.where,
                    hint="see to the storage (space, disk, connection), then open the journal again and read its head",
                ) from error
            raise


def moved(head: Head) -> JournalConflict:
    """Return the error of a writer whose head is no longer the storage's."""
    return JournalConflict(
        f"the journal no longer ends at entry {head.sequence}: somebody else wrote to it",
        hint="find the other writer; then open the journal again",
    )


def _said(error: Exception) -> str:
    """What a storage said, on one line, with the name of its error where it has one."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return f"{' '.join(str(error).split()) or 'no message'} [{name}]"


def _verified_range(rows: StoredRows, *, start: int, head: Head) -> Iterator[Entry]:
    """Yield the entries from ``start`` up to the head, all of them, verified."""
    if start > head.sequence:
        return
    reached = _head_at(rows, start - 1)
    for first in range(start, head.sequence + 1, ROWS_AT_A_TIME):
        last = min(first + ROWS_AT_A_TIME - 1, head.sequence)
        for entry in verified(rows.rows(first=first, last=last), previous=reached):
            reached = Head(entry.sequence, entry.chain)
            yield entry
        if reached.sequence != last:
            raise JournalCorrupt(
                reached.sequence + 1, None, f"missing, although the journal ends at entry {head.sequence}"
            )
    if reached != head:
        raise JournalCorrupt(head.sequence, None, "its hash is not the one that the head of the journal holds")


def _head_at(rows: StoredRows, sequence: int) -> Head:
    """The place in the chain right after an entry."""
    return Head(sequence, _row_at(rows, sequence)[4]) if sequence else GENESIS


def _row_at(rows: StoredRows, sequence: int) -> Row:
    """The row of an entry that has to be there."""
    for row in rows.rows(first=sequence, last=sequence):
        return row
    raise JournalCorrupt(sequence, None, "missing")
