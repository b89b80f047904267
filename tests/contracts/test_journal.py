"""What every journal promises, over every storage that keeps one."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from random import Random
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.journal import GENESIS, Batch, Head, JournalConflict, JournalCorrupt, JournalLocked, JournalUnavailable
from ringfence.journal.storage import SNAPSHOTS_KEPT, Reader
from tests.contracts.journal_writer import batch
from tests.house.source_tree import REPOSITORY

if TYPE_CHECKING:
    from ringfence.journal import Entry, Journal
    from tests.contracts.journal_places import Place

KILLS = 15
ENTRIES = 12  # of the journal that the examples of a property share


def batches(first: int, last: int) -> list[Batch]:
    """Batches numbered from first to last, all different, with 0 to 3 events each."""
    return [batch(sequence, group_ends=last) for sequence in range(first, last + 1)]


def without_chain(entries: list[Entry]) -> list[Batch]:
    """What was given to append, of what was read."""
    return [Batch(*entry[:4]) for entry in entries]


# ── Writing and reading ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_journal_is_empty_and_ends_at_the_genesis(place: Place) -> None:
    with place.journal() as journal:
        assert journal.head() == GENESIS == Head(0, sha256(b"ringfence journal, chain version 1").digest())
        assert list(journal.read()) == []
        assert journal.latest_snapshot() is None


def test_what_is_appended_is_read_back_in_order(place: Place) -> None:
    with place.journal() as journal:
        journal.append(batches(1, 5), after=0)
        journal.append(batches(6, 6), after=5)
        assert without_chain(list(journal.read())) == [*batches(1, 5), *batches(6, 6)]
        assert journal.head().sequence == 6


def test_the_chain_is_the_documented_hash(place: Place) -> None:
    with place.journal() as journal:
        journal.append([Batch(1, b"ab", (b"x", b"yz"), b"D"), Batch(2, b"", (), b"")], after=0)
        first, second = journal.read()
    events = b"\0\0\0\2" + b"\0\0\0\1" + b"\0\0\0\2" + b"x" + b"yz"  # two events, of 1 and 2 bytes
    lengths = b"\0\0\0\0\0\0\0\1" + b"\0\0\0\2" + b"\0\0\0\x0f" + b"\0\0\0\1"  # entry 1; 2, 4·3 + 3 and 1 bytes
    assert first.chain == sha256(GENESIS.chain + lengths + b"ab" + events + b"D").digest()
    nothing = b"\0\0\0\0\0\0\0\2" + b"\0\0\0\0" + b"\0\0\0\4" + b"\0\0\0\0"
    assert second.chain == sha256(first.chain + nothing + b"\0\0\0\0").digest()


def test_every_storage_arrives_at_the_same_chain(place: Place) -> None:
    with place.journal() as journal:
        journal.append(batches(1, 40), after=0)
        assert journal.head().chain.hex() == "fa0368a4f4748d3665e6d1ad6bf034dd3f7fcb5eb53c3ae22cd000fc21d9659f"


def test_reading_starts_where_it_is_told(place: Place) -> None:
    with place.journal() as journal:
        journal.append(batches(1, 9), after=0)
        assert [entry.sequence for entry in journal.read(start=7)] == [7, 8, 9]
        assert list(journal.read(start=10)) == []
        assert list(journal.read(start=1_000)) == []
        with pytest.raises(ValueError, match="numbered from 1"):
            journal.read(start=0)


def test_any_bytes_go_in_and_out_as_they_are(place: Place) -> None:
    every_byte = bytes(range(256))
    group = [Batch(1, every_byte, (every_byte, b"", every_byte * 3), every_byte), Batch(2, b"", (b"",), b"")]
    with place.journal() as journal:
        journal.append(group, after=0)
        assert without_chain(list(journal.read())) == group


def test_an_empty_group_changes_nothing(place: Place) -> None:
    with place.journal() as journal:
        journal.append([], after=0)
        assert journal.head() == GENESIS
        with pytest.raises(JournalConflict):
            journal.append([], after=1)


def test_large_groups_and_large_events_are_one_group_like_any_other(place: Place) -> None:
    many = [Batch(sequence, b"c", (b"e",) * 3, b"d") for sequence in range(1, 5_001)]
    large = Batch(5_001, b"c" * 1_000_000, (*tuple(b"%d" % number for number in range(20000)), b"e" * 3000000), b"d")
    with place.journal() as journal:
        journal.append([*many, large], after=0)
        assert journal.head().sequence == 5_001
    with place.reader() as reader:
        *read, last = reader.read()
        assert (len(read), Batch(*last[:4])) == (5_000, large)


# ── Order ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_writer_that_takes_another_entry_for_the_last_is_refused_and_may_go_on(place: Place, after: int) -> None:
    with place.journal() as journal:
        journal.append(batches(1, 3), after=0)
        with pytest.raises(JournalConflict, match=f"ends at entry 3; the writer takes {after} for its last"):
            journal.append(batches(after + 1, after + 1), after=after)
        assert [entry.sequence for entry in journal.read()] == [1, 2, 3]
        journal.append(batches(4, 4), after=3)
        assert journal.head().sequence == 4


@pytest.mark.parametrize("numbers", [(2,), (0,), (1, 1), (1, 3), (1, 2, 2)])
def test_a_group_with_a_gap_or_a_repetition_is_refused_whole(place: Place, numbers: tuple[int, ...]) -> None:
    with place.journal() as journal:
        with pytest.raises(JournalConflict, match="a batch is numbered"):
            journal.append([batch(number, group_ends=9) for number in numbers], after=0)
        assert (journal.head(), list(journal.read())) == (GENESIS, [])


def test_a_group_that_cannot_be_packed_is_refused_whole(place: Place) -> None:
    with place.journal() as journal:
        with pytest.raises(TypeError):
            journal.append([*batches(1, 2), Batch(3, "text", (), b"")], after=0)  # type: ignore[arg-type]
        journal.append(batches(1, 1), after=0)
        assert [entry.sequence for entry in journal.read()] == [1]


# ── Opening, closing, locking ────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_goes_on_where_it_ended_when_it_is_opened_again(place: Place) -> None:
    with place.journal() as journal:
        journal.append(batches(1, 3), after=0)
        head = journal.head()
    with place.journal() as journal:
        assert journal.head() == head
        journal.append(batches(4, 5), after=3)
    with place.reader() as reader:
        assert without_chain(list(reader.read())) == [*batches(1, 3), *batches(4, 5)]


def test_a_second_writer_is_refused_until_the_first_has_closed(place: Place) -> None:
    journal = place.journal()
    with pytest.raises(JournalLocked) as caught:
        place.journal()
    assert caught.value.holder
    journal.append(batches(1, 1), after=0)  # the first is not disturbed
    journal.close()
    with place.journal() as second:
        assert second.head().sequence == 1


def test_a_closed_journal_refuses_everything_but_closing(place: Place) -> None:
    journal = place.journal()
    journal.append(batches(1, 1), after=0)
    journal.close()
    journal.close()
    for attempt in (
        lambda: journal.append(batches(2, 2), after=1),
        lambda: journal.save_snapshot(1, b"", b"1"),
        journal.head,
        journal.read,
        journal.latest_snapshot,
    ):
        with pytest.raises(JournalUnavailable, match="was closed"):
            attempt()


def test_a_reader_sees_the_journal_as_it_was_when_it_began_while_the_writer_goes_on(place: Place) -> None:
    with place.journal() as journal:
        journal.append(batches(1, 3), after=0)
        with place.reader() as reader:
            reading = reader.read()
            seen = [next(reading).sequence]
            journal.append(batches(4, 6), after=3)
            seen += [entry.sequence for entry in reading]
            assert seen == [1, 2, 3]
            assert reader.head().sequence == 6
            assert [entry.sequence for entry in reader.read(start=4)] == [4, 5, 6]


def test_readers_in_other_threads_see_whole_groups_only(place: Place) -> None:
    seen: list[tuple[int, int]] = []

    def read_many_times() -> None:
        with place.reader() as reader:
            for _ in range(10):
                *_, last = [None, *reader.read()]
                if last is not None:
                    seen.append((last.sequence, int(last.digest)))

    with place.journal() as journal:
        thread = Thread(target=read_many_times)
        thread.start()
        for first in range(1, 3_000, 30):
            journal.append(batches(first, first + 29), after=first - 1)
        thread.join()
    assert [read for read in seen if read[0] != read[1]] == []  # the digest tells the last of the group


# ── Damage ───────────────────────────────────────────────────────────────────────────────────────────────────────


def filled(place: Place) -> None:
    """Give a shared place its entries, once."""
    with place.journal() as journal:
        if journal.head() == GENESIS:
            journal.append(batches(1, ENTRIES), after=0)


def damage(place: Place) -> JournalCorrupt:
    """What reading the journal from its first entry raises."""
    with place.reader() as reader, pytest.raises(JournalCorrupt) as caught:
        list(reader.read())
    return caught.value


@settings(max_examples=50)
@given(
    sequence=st.integers(1, ENTRIES),
    column=st.sampled_from(["command", "events", "digest", "chain"]),
    where=st.integers(0, 10_000),
    flips=st.integers(1, 255),
)
def test_a_changed_byte_is_found_and_its_entry_named(
    lasting_place: Place, sequence: int, column: str, where: int, flips: int
) -> None:
    filled(lasting_place)
    good = lasting_place.stored(sequence, column)
    bad = bytearray(good)
    bad[where % len(bad)] ^= flips
    lasting_place.change(sequence, column, bytes(bad))
    try:
        assert damage(lasting_place).sequence == sequence
    finally:
        lasting_place.change(sequence, column, good)


@settings(max_examples=20)
@given(sequence=st.integers(1, ENTRIES), column=st.sampled_from(["command", "events", "digest", "chain"]))
def test_bytes_added_or_cut_off_are_found_and_their_entry_named(
    lasting_place: Place, sequence: int, column: str
) -> None:
    filled(lasting_place)
    good = lasting_place.stored(sequence, column)
    for bad in (good + b"\0", good[:-1], b""):
        lasting_place.change(sequence, column, bad)
        try:
            assert damage(lasting_place).sequence == sequence
        finally:
            lasting_place.change(sequence, column, good)


def test_what_stands_before_the_damage_is_read(place: Place) -> None:
    filled(place)
    place.change(5, "command", b"withdraw everything")
    read: list[Entry] = []
    with place.reader() as reader, pytest.raises(JournalCorrupt, match="entry 5: its hash"):
        read.extend(reader.read())  # keeps what came before the error
    assert [entry.sequence for entry in read] == [1, 2, 3, 4]


@pytest.mark.parametrize("lost", [1, 6, ENTRIES - 1])
def test_a_missing_entry_is_named(place: Place, lost: int) -> None:
    filled(place)
    place.delete(lost)
    found = damage(place)
    assert (found.sequence, found.exit_code) == (lost, 6)
    assert "missing" in found.why


def test_entries_missing_at_the_end_are_missed_on_reading_and_on_opening(place: Place) -> None:
    filled(place)
    place.delete(ENTRIES)
    place.delete(ENTRIES - 1)
    assert damage(place).sequence == ENTRIES - 1
    with pytest.raises(JournalCorrupt, match=f"entry {ENTRIES - 1}: the last entry found is {ENTRIES - 2}"):
        place.journal()


def test_a_changed_last_entry_is_refused_on_opening_and_the_lock_given_back(place: Place) -> None:
    filled(place)
    good = place.stored(ENTRIES, "digest")
    place.change(ENTRIES, "digest", b"other")
    for _ in range(2):
        with pytest.raises(JournalCorrupt, match=f"entry {ENTRIES}: its hash"):
            place.journal()
    place.change(ENTRIES, "digest", good)
    with place.journal() as journal:
        assert journal.head().sequence == ENTRIES


def test_two_entries_that_changed_places_are_found(place: Place) -> None:
    filled(place)
    third, fourth = place.stored(3, "command"), place.stored(4, "command")
    place.change(3, "command", fourth)
    place.change(4, "command", third)
    assert damage(place).sequence == 3


def test_a_renumbered_entry_is_found(place: Place) -> None:
    filled(place)
    place.change(ENTRIES, "sequence", ENTRIES + 1)
    assert damage(place).sequence == ENTRIES


# ── Snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────


def with_snapshots(place: Place, *sequences: int) -> Journal:
    """A journal of nine entries, with snapshots after some of them."""
    journal = place.journal()
    journal.append(batches(1, 9), after=0)
    for sequence in sequences:
        journal.save_snapshot(sequence, b"state %d" % sequence, b"9")
    return journal


def test_the_latest_snapshot_is_found_also_after_reopening_and_by_readers(place: Place) -> None:
    with_snapshots(place, 2, 7, 5).close()
    with place.journal() as journal, place.reader() as reader:
        for each in (journal, reader):
            snapshot = each.latest_snapshot()
            assert snapshot is not None
            assert (snapshot.sequence, snapshot.payload, snapshot.digest) == (7, b"state 7", b"9")
            assert each.damaged_snapshots == ()


@pytest.mark.parametrize(("not_after", "found"), [(9, 7), (7, 7), (6, 5), (5, 5), (4, 2), (1, None), (0, None)])
def test_a_snapshot_of_an_earlier_time_is_found(place: Place, not_after: int, found: int | None) -> None:
    with with_snapshots(place, 2, 7, 5) as journal:
        snapshot = journal.latest_snapshot(not_after=not_after)
        assert (snapshot.sequence if snapshot else None) == found


def test_a_snapshot_before_the_first_entry_is_one_too(place: Place) -> None:
    with place.journal() as journal:
        journal.save_snapshot(0, b"opening state", b"any digest")
        snapshot = journal.latest_snapshot()
        assert snapshot is not None
        assert (snapshot.sequence, snapshot.payload) == (0, b"opening state")


def test_a_snapshot_saved_again_replaces_the_first(place: Place) -> None:
    with with_snapshots(place, 5) as journal:
        journal.save_snapshot(5, b"better", b"9")
        snapshot = journal.latest_snapshot()
        assert snapshot is not None
        assert snapshot.payload == b"better"


def test_only_the_latest_snapshots_are_kept_and_a_damaged_one_has_spares(place: Place) -> None:
    with with_snapshots(place, 1, 2, 3, 4, 5, 9) as journal:
        found, not_after = [], 9
        while (snapshot := journal.latest_snapshot(not_after=not_after)) is not None:
            found.append((snapshot.sequence, snapshot.payload))
            not_after = snapshot.sequence - 1
        assert found == [(9, b"state 9"), (5, b"state 5"), (4, b"state 4")]
        assert len(found) == SNAPSHOTS_KEPT
        assert journal.damaged_snapshots == ()
    with place.journal() as again:  # an older one than those is not kept: it would be the first to go
        again.save_snapshot(3, b"late", b"9")
        assert again.latest_snapshot(not_after=3) is None


def test_a_snapshot_that_newer_ones_replaced_while_a_reader_looked_is_not_called_damaged(place: Place) -> None:
    with with_snapshots(place, 1) as journal, place.reader() as reader:
        assert isinstance(reader, Reader)
        with reader._reading() as rows:  # noqa: SLF001 - between two steps of it
            listed = rows.snapshot_sequences(not_after=9)
            for sequence in (5, 7, 9):
                journal.save_snapshot(sequence, b"newer", b"9")
            assert [reader._snapshot(rows, sequence) for sequence in listed] == [None]  # noqa: SLF001
        assert reader.damaged_snapshots == ()


def test_a_damaged_snapshot_is_passed_over_and_reported(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with with_snapshots(place, 2, 5, 7) as journal:
        place.change_snapshot(7, b"stat& 7")
        place.change_snapshot(5, b"state 5 and more")
        snapshot = journal.latest_snapshot()
        assert snapshot is not None
        assert snapshot.sequence == 2
        assert journal.damaged_snapshots == (7, 5)
        assert "the snapshot of entry 7 is damaged and passed over" in caplog.text
        place.change_snapshot(2, b"")
        assert journal.latest_snapshot() is None


def test_a_snapshot_belongs_to_its_place_in_its_own_journal(place: Place) -> None:
    with with_snapshots(place, 5) as journal:
        place.change(5, "chain", b"another journal's chain")
        assert journal.latest_snapshot() is None
        assert journal.damaged_snapshots == (5,)


def test_a_snapshot_of_an_entry_that_is_not_there_is_refused(place: Place) -> None:
    with with_snapshots(place) as journal, pytest.raises(JournalConflict, match="the journal ends at entry 9"):
        journal.save_snapshot(10, b"", b"9")


def test_a_snapshot_of_another_state_than_the_entrys_is_refused(place: Place) -> None:
    with with_snapshots(place) as journal:
        with pytest.raises(JournalConflict, match="not that of entry 4"):
            journal.save_snapshot(4, b"state", b"8")
        assert journal.latest_snapshot() is None


def test_a_large_snapshot_comes_back_whole(place: Place) -> None:
    payload = bytes(range(256)) * 20_000  # 5 MB
    with with_snapshots(place) as journal:
        journal.save_snapshot(9, payload, b"9")
    with place.reader() as reader:
        snapshot = reader.latest_snapshot()
        assert snapshot is not None
        assert snapshot.payload == payload


# ── Failure ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_failed_append_every_append_is_refused_until_the_journal_is_opened_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = place.journal()
    journal.append(batches(1, 2), after=0)
    with monkeypatch.context() as patched:
        patched.setattr(journal, "_commit_group", _run_out_of_memory)
        with pytest.raises(MemoryError):
            journal.append(batches(3, 4), after=2)
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="no longer written to since an append failed"):
            journal.append(batches(3, 4), after=2)
        with pytest.raises(JournalUnavailable):
            journal.save_snapshot(2, b"", b"2")
    assert [entry.sequence for entry in journal.read()] == [1, 2]  # reading goes on
    journal.close()
    with place.journal() as again:
        again.append(batches(3, 4), after=2)
        assert [entry.sequence for entry in again.read()] == [1, 2, 3, 4]


def _run_out_of_memory(*_args: object, **_named: object) -> None:
    raise MemoryError


def test_a_writer_killed_at_random_loses_nothing_it_acknowledged(outlasting_place: Place) -> None:
    random = Random(20_251_010)  # noqa: S311 - moments to kill at
    url = outlasting_place.url
    assert url is not None
    acknowledged = 0
    for round_number in range(KILLS):
        acknowledged = max(
            acknowledged,
            _killed_writer(url, seed=round_number, acks=random.randint(0, 40), more_ms=random.uniform(0, 4)),
        )
        with outlasting_place.reader() as reader:
            entries = list(reader.read())  # the chain verifies
        assert len(entries) >= acknowledged
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        ends = int(entries[-1].digest) if entries else 0
        assert ends == len(entries)  # the last group is whole
        assert all(Batch(*entry[:4]) == batch(entry.sequence, group_ends=int(entry.digest)) for entry in entries)
    assert acknowledged > KILLS


def _killed_writer(url: str, *, seed: int, acks: int, more_ms: float) -> int:
    """Run a writer, kill it some time after its ``acks``-th acknowledgement, and return the last acknowledged."""
    command = [sys.executable, "-m", "tests.contracts.journal_writer", url, str(seed)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env={"PYTHONPATH": "src"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        said = [writer.stdout.readline() for _ in range(acks + 1)]  # the first line: it is open
        try:
            writer.wait(timeout=more_ms / 1_000)
        except subprocess.TimeoutExpired:
            writer.kill()
        said += writer.stdout.read().splitlines(keepends=True)
        assert writer.wait() < 0, writer.stderr.read()
    return max(int(line) for line in said if line.endswith("\n"))
