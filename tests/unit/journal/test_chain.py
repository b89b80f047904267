"""Packing events, and rows that are no entries."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.journal import GENESIS, Batch, JournalCorrupt, pack_events, unpack_events
from ringfence.journal.chain import Head, linked_rows, snapshot_checksum, verified

U32_1, U32_2 = b"\0\0\0\1", b"\0\0\0\2"


def test_events_are_packed_as_their_number_their_lengths_and_themselves() -> None:
    assert pack_events([]) == b"\0\0\0\0"
    assert pack_events([b"abc"]) == U32_1 + b"\0\0\0\3" + b"abc"
    assert pack_events([b"a", b"bc"]) == U32_2 + U32_1 + U32_2 + b"a" + b"bc"
    assert pack_events([b"", b""]) == U32_2 + b"\0\0\0\0" * 2


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_packed_events_come_out_as_they_went_in(events: list[bytes]) -> None:
    assert unpack_events(pack_events(events)) == tuple(events)


@given(st.lists(st.binary(max_size=8), max_size=5), st.lists(st.binary(max_size=8), max_size=5))
def test_different_events_are_packed_differently(some: list[bytes], others: list[bytes]) -> None:
    assert (pack_events(some) == pack_events(others)) == (some == others)


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"", "0 bytes are too short"),
        (b"\0\0\0", "3 bytes are too short"),
        (U32_1, "need a table of 8 bytes; there are 4"),
        (b"\xff\xff\xff\xff" + U32_1, "need a table of 17179869184 bytes"),  # 4·(2³² − 1 + 1)
        (U32_1 + U32_2 + b"a", "take 10 bytes; there are 9"),
        (U32_1 + U32_1 + b"ab", "take 9 bytes; there are 10"),
        (b"\0\0\0\0" + b"a", "0 events take 4 bytes; there are 5"),
    ],
)
def test_bytes_that_are_no_packed_events_are_refused(packed: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        unpack_events(packed)


@pytest.mark.parametrize("column", [1, 2, 3])
@pytest.mark.parametrize("value", [None, 7, 1.5])
def test_a_row_that_holds_no_bytes_is_damage_and_no_crash(column: int, value: object) -> None:
    [row] = linked_rows([Batch(1, b"c", (b"e",), b"d")], head=GENESIS, after=0)
    damaged = (*row[:column], value, *row[column + 1 :])
    with pytest.raises(JournalCorrupt, match="entry 1: not an entry"):
        list(verified([damaged], previous=GENESIS))  # type: ignore[list-item]


@given(st.lists(st.binary(max_size=9), min_size=4, max_size=4), st.integers(0, 3), st.integers(0, 3))
def test_bytes_cannot_move_from_one_part_of_an_entry_to_another_unnoticed(
    parts: list[bytes], taken_from: int, given_to: int
) -> None:
    # Without lengths in front, moving a byte over the seam of two parts would leave the hash as it was.
    def chain(command: bytes, event: bytes, other: bytes, digest: bytes) -> bytes:
        [row] = linked_rows([Batch(1, command, (event, other), digest)], head=GENESIS, after=0)
        return row[4]

    moved = list(parts)
    byte, moved[taken_from] = moved[taken_from][-1:], moved[taken_from][:-1]
    moved[given_to] = byte + moved[given_to]
    assert (chain(*moved) == chain(*parts)) == (moved == parts)


def test_a_snapshots_checksum_covers_its_place_its_payload_and_its_digest() -> None:
    here = Head(3, b"c" * 32)
    checksums = [
        snapshot_checksum(head=head, payload=payload, digest=digest)
        for head, payload, digest in (
            (here, b"ab", b"d"),
            (Head(4, here.chain), b"ab", b"d"),
            (Head(3, b"k" * 32), b"ab", b"d"),
            (here, b"ac", b"d"),
            (here, b"ab", b"e"),
            (here, b"a", b"bd"),
        )
    ]
    assert len(set(checksums)) == len(checksums)


@pytest.mark.parametrize("size", [0, 1, 65_519, 65_520, 65_536, 200_000])
def test_a_link_is_the_hash_that_the_chain_is_defined_by_however_large_the_entry(size: int) -> None:
    event, command, digest = b"e" * size, b"command", b"digest"
    (row,) = linked_rows([Batch(1, command, (event, b"another"), digest)], head=GENESIS, after=0)
    packed = struct.pack(">III", 2, size, 7) + event + b"another"
    lengths = struct.pack(">QIII", 1, len(command), len(packed), len(digest))
    assert row[2] == packed
    assert row[4] == hashlib.sha256(GENESIS.chain + lengths + command + packed + digest).digest()
