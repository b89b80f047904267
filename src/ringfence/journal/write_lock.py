"""One writer per file: a lock that the operating system takes back when its holder dies, however it dies."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from ringfence.journal.errors import JournalLocked, JournalUnavailable

if TYPE_CHECKING:
    from pathlib import Path


class WriteLock:
    """An exclusive lock on ``<journal>.lock``, which also says who holds it.

    Raises JournalLocked at once when somebody does. The file stays when the lock is given back: to remove it would
    be a race with whoever is about to lock it.
    """

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(f"{journal.name}.lock")
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise JournalUnavailable(
                f"cannot be locked for writing: {error}",
                where=str(journal),
                hint="make its folder writable, or open it for reading only",
            ) from error
        try:
            _lock(self._descriptor)
        except OSError as error:
            holder = os.read(self._descriptor, 200).decode("utf-8", "replace").strip() or "another process"
            os.close(self._descriptor)
            raise JournalLocked(
                holder, where=str(journal), hint="stop that process first, or open the journal for reading only"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())

    def release(self) -> None:
        """Give the lock back; harmless when it was given back already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)  # closing unlocks
            self._descriptor = -1


def is_locked(journal: Path) -> bool:
    """Whether somebody is writing the journal right now."""
    try:
        WriteLock(journal).release()
    except JournalLocked:
        return True
    return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Locks bind every reader here: lock a byte far behind the text, so that the holder's name can be read.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # flock, not lockf: it also keeps a second journal of the same process out.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
