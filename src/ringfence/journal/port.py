"""What a journal promises, whatever stores it. One suite of tests holds every storage to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from ringfence.journal.chain import Batch, Entry, Head


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state, so that not everything has to be replayed: the fold of all entries up to ``sequence``.

    ``payload`` means nothing to a journal; ``digest`` is the state's, the same as that of entry ``sequence``.
    """

    sequence: int
    payload: bytes
    digest: bytes


class JournalReader(Protocol):
    """Read a journal, also one that another process is writing at the same time."""

    @property
    def damaged_snapshots(self) -> tuple[int, ...]:
        """Sequences of the snapshots that were passed over because they are damaged, in the order they were met."""
        ...

    def head(self) -> Head:
        """Return the last entry's sequence and chain; the genesis, of sequence 0, for an empty journal."""
        ...

    def read(self, *, start: int = 1) -> Iterator[Entry]:
        """Yield the entries from sequence ``start`` to the head at the time of the first step, verifying the chain.

        Nothing is yielded when ``start`` lies past the head. The chain stored with the entry before ``start`` is taken
        on trust, so only reading from 1 verifies all of it. Raises JournalCorrupt at the first entry that is not what
        was written; those yielded before it are good. Entries may be appended meanwhile.
        """
        ...

    def latest_snapshot(self, *, not_after: int | None = None) -> Snapshot | None:
        """Return the latest undamaged snapshot, of entry ``not_after`` or before; None when there is none.

        A damaged one is passed over, logged as a warning and listed in :attr:`damaged_snapshots`.
        """
        ...

    def close(self) -> None:
        """Let go of the journal. Closing twice is harmless; everything else is refused afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Journal(JournalReader, Protocol):
    """Read and write a journal. There is one writer at a time, in one thread; readers may be in others."""

    def append(self, batches: Sequence[Batch], *, after: int) -> None:
        """Append a group: all of it is durable on return, or an exception is raised.

        ``after`` is the sequence of the last entry the writer knows of. Raises JournalConflict when it is not the
        journal's, or when the batches do not number on from it; nothing is written then.

        Raises JournalUnavailable when the storage fails. From then on every append is refused until the journal is
        opened again. What became of the group is then seen from :meth:`head`: it is there whole or not at all.
        (Usually not at all. A storage may have written it all and have failed to say so; a failed fsync is the usual
        case. Nothing of it was acknowledged, so neither is wrong, but a writer must look rather than guess.)
        """
        ...

    def tidy(self) -> None:
        """Do now what an append has put off, for a writer that nobody waits for; without it a later append does it.

        Nothing of it is needed for what was appended to be durable, and it never fails.
        """
        ...

    def save_snapshot(self, sequence: int, payload: bytes, digest: bytes) -> None:
        """Keep a snapshot of the state after entry ``sequence``; one that is there for it already is replaced.

        The latest :data:`~ringfence.journal.storage.SNAPSHOTS_KEPT` stay, by their sequence; the others are left out
        in the same transaction.

        Raises JournalConflict when the journal has no such entry or the entry has another digest, JournalUnavailable
        as :meth:`append`.
        """
        ...
