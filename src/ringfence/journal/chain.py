"""Entries of a journal, and the hash chain that makes a changed byte show.

The chain is defined here and nowhere else, over plain bytes, so that anybody can recompute it in any language::

    chain(0) = sha256("ringfence journal, chain version 1")
    chain(n) = sha256(chain(n−1) ‖ u64 n ‖ u32 |command| ‖ u32 |events| ‖ u32 |digest| ‖ command ‖ events ‖ digest)
    events   = u32 count ‖ u32 length, once per event ‖ every event, end to end

Whole numbers are big-endian, |x| is a length in bytes. Every part has its length in front, so no two different
entries have the same encoding. The version belongs to this definition: a change of tables is not a change of chain.

Events are kept packed as above, one value per command: a row per event would cost three times the time and space,
and an entry is only ever read whole. The lengths stand in front of the events rather than between them because so
they are packed and unpacked by one call each, and because the events remain readable text in a database browser.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct, pack, unpack_from
from struct import error as NotPackable  # noqa: N812 - its own name says nothing here
from typing import TYPE_CHECKING, NamedTuple

from ringfence.journal.errors import JournalConflict, JournalCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LENGTHS = Struct(">QIII").pack
_ONE_EVENT = Struct(">II").pack
_NO_EVENTS = pack(">I", 0)
_LARGE = 1 << 16  # bytes of packed events from which on to hash them part by part takes less than to join them first

Row = tuple[int, bytes, bytes, bytes, bytes]
"""An entry as it is stored: sequence, command, packed events, digest, chain."""


# Tuples rather than dataclasses: hundreds of thousands are made a second, and a frozen dataclass costs four times as
# much to make.
class Batch(NamedTuple):
    """One command with the events it led to and the digest of the state after them.

    ``sequence`` counts commands from 1 without gaps. The bytes mean nothing to a journal.
    """

    sequence: int
    command: bytes
    events: tuple[bytes, ...]
    digest: bytes


class Entry(NamedTuple):
    """A batch as it is stored: with its link of the hash chain."""

    sequence: int
    command: bytes
    events: tuple[bytes, ...]
    digest: bytes
    chain: bytes


class Head(NamedTuple):
    """The end of a journal: the last entry's sequence and chain, or those of the genesis."""

    sequence: int
    chain: bytes


GENESIS = Head(0, sha256(b"ringfence journal, chain version 1").digest())
"""The head of a journal without entries."""


def pack_events(events: Sequence[bytes]) -> bytes:
    """Return events as the one value that is stored: how many, how long each, and then themselves."""
    if len(events) == 1:  # by far the most frequent: spare it the general way
        return _ONE_EVENT(1, len(events[0])) + events[0]
    if not events:
        return _NO_EVENTS
    return b"".join((pack(f">{len(events) + 1}I", len(events), *map(len, events)), *events))


def unpack_events(packed: bytes) -> tuple[bytes, ...]:
    """Return the events of a packed value. Raises ValueError for bytes that :func:`pack_events` does not write."""
    if len(packed) < 4:
        raise ValueError(f"{len(packed)} bytes are too short to hold even the number of events")
    (count,) = unpack_from(">I", packed)
    place = 4 * (count + 1)
    if len(packed) < place:
        raise ValueError(f"{count} events need a table of {place} bytes; there are {len(packed)}")
    events = []
    for length in unpack_from(f">{count}I", packed, 4):
        events.append(packed[place : place + length])
        place += length
    if place != len(packed):
        raise ValueError(f"{count} events take {place} bytes; there are {len(packed)}")
    return tuple(events)


def linked_rows(batches: Iterable[Batch], *, head: Head, after: int) -> list[Row]:
    """Return the rows that append ``batches`` to a journal that ends at ``head``.

    Raises JournalConflict when ``after``, the last sequence the writer knows of, is not the head's, or when the
    batches are not numbered on from it one by one.
    """
    if after != head.sequence:
        raise JournalConflict(
            f"the journal ends at entry {head.sequence}; the writer takes {after} for its last",
            hint="read the journal on from the last entry known, then decide again",
        )
    rows: list[Row] = []
    sequence, chain = head
    for number, command, events, digest in batches:
        sequence += 1
        if number != sequence:
            raise JournalConflict(
                f"a batch is numbered {number} where {sequence} follows", hint="number the batches on without gaps"
            )
        packed = pack_events(events)
        chain = _link(chain, number, command, packed, digest)
        rows.append((number, command, packed, digest, chain))
    return rows


def verified(rows: Iterable[Row], *, previous: Head) -> Iterator[Entry]:
    """Yield rows as entries, each one checked to follow the one before it.

    Raises JournalCorrupt at the first that does not: another sequence than the next, a chain that is not the hash of
    what is stored, events that cannot be unpacked. ``previous`` is where the rows start and is taken on trust.
    """
    sequence, chain = previous
    for number, command, packed, digest, stored in rows:
        sequence += 1
        if number != sequence:
            raise JournalCorrupt(sequence, None, f"missing: what is found in its place is entry {number}")
        try:
            chain = _link(chain, number, command, packed, digest)
            events = unpack_events(packed) if chain == stored else ()
        except (TypeError, ValueError, NotPackable) as error:
            raise JournalCorrupt(sequence, None, f"not an entry: {error}") from error
        if chain != stored:
            raise JournalCorrupt(
                sequence, None, "its hash is not the one stored: a byte of it, or of the chain before it, was changed"
            )
        yield Entry(number, command, events, digest, chain)


def snapshot_checksum(*, head: Head, payload: bytes, digest: bytes) -> bytes:
    """Return what protects a snapshot: a hash over it and over the place in the chain it belongs to."""
    lengths = pack(">QQI", head.sequence, len(payload), len(digest))
    return sha256(b"".join((b"ringfence snapshot, version 1", head.chain, lengths, payload, digest))).digest()


def _link(previous: bytes, sequence: int, command: bytes, packed: bytes, digest: bytes) -> bytes:
    """The next link of the chain. By position: this is the inner loop of every append."""
    lengths = _LENGTHS(sequence, len(command), len(packed), len(digest))
    if len(packed) < _LARGE:
        return sha256(b"".join((previous, lengths, command, packed, digest))).digest()
    hashed = sha256(b"".join((previous, lengths, command)))  # without a copy of many megabytes
    hashed.update(packed)
    hashed.update(digest)
    return hashed.digest()
