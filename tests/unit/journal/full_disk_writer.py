"""A process that fills its disk with a journal, makes room, and says what it found.

``python -m tests.unit.journal.full_disk_writer PATH``. The disk is full when it is full; on one larger than 100 MB
the process limits the size of its own files instead.
"""

# ruff: noqa: T201 - what it prints is its report

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

from ringfence.journal import Batch, Journal, JournalUnavailable, open_journal

LIMIT = 1_000_000  # bytes
BALLAST = 400_000  # bytes, given back when the disk is full


def batches(first: int, last: int) -> list[Batch]:
    """Batches of about 400 bytes."""
    return [Batch(number, b"c" * 100, (b"e" * 200,), b"d" * 32) for number in range(first, last + 1)]


def fill(journal: Journal) -> tuple[int, JournalUnavailable]:
    """Append until it is refused; return the last sequence acknowledged, and the refusal."""
    last = 0
    while True:
        try:
            journal.append(batches(last + 1, last + 50), after=last)
        except JournalUnavailable as error:
            return last, error
        last += 50


def main(path: Path) -> None:
    """Fill, be refused, make room, open again, go on."""
    limited = shutil.disk_usage(path.parent).total > 100_000_000
    if limited:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, most))
    ballast = path.with_name("ballast")
    ballast.write_bytes(os.urandom(BALLAST))
    journal = open_journal(str(path))
    last, refusal = fill(journal)
    print(" ".join(str(refusal).split()))
    try:
        journal.append(batches(last + 1, last + 1), after=last)
    except JournalUnavailable:
        print("refused again")
    ballast.unlink()
    if limited:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    journal.close()
    with open_journal(str(path)) as again:
        found = [Batch(*entry[:4]) for entry in again.read()]
        if found == batches(1, last):
            print("reopened with every acknowledged group and nothing else")
        again.append(batches(last + 1, last + 10), after=last)
        if again.head().sequence == sum(1 for _ in again.read()) == last + 10:
            print("goes on")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
