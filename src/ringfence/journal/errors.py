"""What can go wrong with a journal.

    RingfenceError
    └── JournalError
        ├── JournalConflict      exit 1: the writer's idea of the journal is not the journal's; nothing was written
        ├── JournalCorrupt       exit 6: what is stored is not what was written
        ├── JournalUnavailable   exit 5: it cannot be opened, read or written; a writer that meets this has to reopen
        └── JournalLocked        exit 5: somebody else is writing it

A path or URL that names no journal is :class:`ringfence.errors.BadConfiguration`.
"""

from __future__ import annotations

from ringfence.errors import RingfenceError


class JournalError(RingfenceError):
    """Root of what a journal raises. ``where`` names the journal; ``hint`` says what to do, starting with a verb."""

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  do: {self.hint}" if self.hint else text


class JournalConflict(JournalError):
    """What is to be written does not follow what is there. Nothing was written."""


class JournalCorrupt(JournalError):
    """What is stored is not what was written.

    ``sequence`` is the first entry that is wrong, missing or unreadable, None when that cannot be told; everything
    before it verified. ``offset`` is the byte of the damaged file from which nothing can be read, where that is
    known: a file cut short, a write-ahead log with a hole. ``why`` is one clause, without the place.
    """

    exit_code = 6

    def __init__(
        self,
        sequence: int | None,
        offset: int | None,
        why: str,
        *,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        place = "" if sequence is None else f"entry {sequence}: "
        byte = "" if offset is None else f" (byte {offset} of the file)"
        super().__init__(f"{place}{why}{byte}", where=where, hint=hint or _restore(sequence))
        self.sequence = sequence
        self.offset = offset
        self.why = why


class JournalUnavailable(JournalError):
    """The journal cannot be opened, read or written.

    After a failed append the journal stays in this state until it is opened again: what the storage did with the
    group is then read from the storage, not guessed.
    """

    exit_code = 5


class JournalLocked(JournalError):
    """Somebody else is writing the journal. ``holder`` says who, as far as is known."""

    exit_code = 5

    def __init__(self, holder: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(f"locked for writing by {holder}", where=where, hint=hint)
        self.holder = holder


def _restore(sequence: int | None) -> str:
    """The advice for a damaged journal of which nothing better is known."""
    if sequence is None or sequence <= 1:
        return "keep the files as they are and restore the journal from a copy"
    whole = "entry 1 is" if sequence == 2 else f"entries 1 to {sequence - 1} are"
    return f"keep the files as they are and restore the journal from a copy; {whole} whole"
