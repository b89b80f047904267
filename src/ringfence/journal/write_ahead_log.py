"""Tell a torn write-ahead log from a damaged one, before SQLite opens it.

After a crash SQLite takes the transactions of the log up to the first frame whose checksum is wrong, and forgets the
rest. That is right for the one transaction that was being written. But every transaction was made durable before the
next began, so if a second one follows the wrong frame, the log did not tear: bytes that were safe have changed since,
and forgetting what follows would lose entries that were acknowledged, silently.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

from struct import iter_unpack, unpack
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = 32
_FRAME_HEADER = 24
_MAGIC = 0x377F0682  # the lowest bit set: checksums add up big-endian words, otherwise little-endian ones
_WORD = 0xFFFF_FFFF


class Hole(NamedTuple):
    """Where a log stops being readable: the byte, and how many transactions end in or behind the damaged frame."""

    offset: int
    transactions: int


def first_hole(log: Path) -> Hole | None:
    """Return the first place where a log is not what was written; None for one that is whole to its end.

    Frames of an earlier round of the log, which may stand behind those of the current one, are not part of it.
    """
    data = memoryview(log.read_bytes())
    if len(data) < _HEADER + _FRAME_HEADER:
        return None
    magic, _format, page_size, _round, *salt, sum_0, sum_1 = unpack(">8I", data[:_HEADER])
    size = _FRAME_HEADER + page_size
    order = ">" if magic & 1 else "<"
    sums = _checksum(data[:24], (0, 0), order)
    if magic & ~1 != _MAGIC or sums != (sum_0, sum_1):
        return Hole(0, 1 << 30)  # the header was durable before any frame, so all of them are lost
    hole: int | None = None
    transactions = 0
    for offset in range(_HEADER, len(data) - size + 1, size):
        _page, committed, *frame_salt, sum_0, sum_1 = unpack(">6I", data[offset : offset + _FRAME_HEADER])
        if hole is None:
            sums = _checksum(data[offset : offset + 8], sums, order)
            sums = _checksum(data[offset + _FRAME_HEADER : offset + size], sums, order)
            if frame_salt != salt or sums != (sum_0, sum_1):
                hole = offset
        if hole is not None and committed and frame_salt == salt:
            transactions += 1
    return None if hole is None or not transactions else Hole(hole, transactions)


def _checksum(data: memoryview, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """Add data to SQLite's running checksum: two sums of 32 bits over pairs of words."""
    sum_0, sum_1 = sums
    for word_0, word_1 in iter_unpack(f"{order}2I", data):
        sum_0 = (sum_0 + word_0 + sum_1) & _WORD
        sum_1 = (sum_1 + word_1 + sum_0) & _WORD
    return sum_0, sum_1
