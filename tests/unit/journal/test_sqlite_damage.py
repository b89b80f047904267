"""Files that were cut, changed or torn: recovered to the last good group, or refused; never silently wrong."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.errors import RingfenceError
from ringfence.journal import Batch, JournalCorrupt, sqlite
from ringfence.journal.sqlite import SqliteJournal, SqliteReader
from ringfence.journal.write_ahead_log import Hole, first_hole

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.journal import Entry

PAGE = 4_096
FRAME = 24 + PAGE  # of the write-ahead log
LOG_HEADER = 32


def group(first: int, last: int) -> list[Batch]:
    """Batches of about 500 bytes, so that eight fill a page."""
    return [Batch(number, b"command %d" % number, (b"event" * 80,), b"d" * 32) for number in range(first, last + 1)]


def read(path: Path) -> list[Entry]:
    """All entries, the chain verified."""
    with SqliteReader(path) as reader:
        return list(reader.read())


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 400 entries and a snapshot in one file, its log tidied away."""
    path = tmp_path_factory.mktemp("closed") / "venue.journal"
    with SqliteJournal(path) as journal:
        journal.append(group(1, 400), after=0)
        journal.save_snapshot(300, b"state" * 1_000, b"d" * 32)
    return path


# ── The file ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 0.9, 0.96])
def test_a_file_cut_short_is_refused_with_the_first_entry_lost_and_where_the_file_ends(
    closed: Path, tmp_path: Path, share: float
) -> None:
    data = closed.read_bytes()
    cut = int(len(data) * share) // PAGE * PAGE
    path = tmp_path / "cut"
    path.write_bytes(data[:cut])
    for open_it in (SqliteJournal, SqliteReader):
        with pytest.raises(JournalCorrupt) as caught:
            open_it(path)
        error = caught.value
        assert (error.offset, error.exit_code) == (cut, 6)
        assert f"{len(data) - cut} bytes early" in error.why
        assert error.sequence is not None
        assert (
            abs(error.sequence - 8 * (cut // PAGE - 5)) <= 8
        )  # eight entries a page, behind five pages of other things
        assert "restore the journal from a copy" in str(error)
        assert f"entries 1 to {error.sequence - 1} are whole" in str(error)


def test_a_file_that_lost_none_of_its_entries_says_that_they_are_whole(closed: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(closed.read_bytes()[:-PAGE])  # the end of the snapshot, which came last
    with pytest.raises(JournalCorrupt, match="all of its 400 entries are whole") as caught:
        SqliteJournal(path)
    assert (caught.value.sequence, caught.value.offset) == (None, path.stat().st_size)


@pytest.mark.parametrize("length", [0, 1, 50, 99, 100, 511, PAGE - 1])
def test_what_is_left_of_a_file_without_its_first_page_is_refused(closed: Path, tmp_path: Path, length: int) -> None:
    path = tmp_path / "stump"
    path.write_bytes(closed.read_bytes()[:length])
    for open_it in (SqliteJournal, SqliteReader):
        with pytest.raises(JournalCorrupt) as caught:
            open_it(path)
        assert caught.value.sequence == 1
    assert path.stat().st_size == length


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a journal at all\n" * 500)
    for open_it in (SqliteJournal, SqliteReader):
        with pytest.raises(JournalCorrupt, match="not a database"):
            open_it(path)
    assert path.read_text() == "not a journal at all\n" * 500


@settings(max_examples=300)
@given(where=st.floats(0, 1, exclude_max=True), flips=st.integers(1, 255))
def test_a_byte_changed_anywhere_in_the_file_is_found_or_changes_nothing(
    closed: Path, where: float, flips: int
) -> None:
    data = bytearray(closed.read_bytes())
    data[int(where * len(data))] ^= flips
    path = closed.with_name("changed")
    path.write_bytes(data)
    good = read(closed)
    try:
        with SqliteReader(path) as reader:
            found = list(reader.read())
            snapshot = reader.latest_snapshot()
    except RingfenceError:
        return
    assert found == good
    assert snapshot is None or snapshot.payload == b"state" * 1_000


@settings(max_examples=100)
@given(start=st.floats(0, 1, exclude_max=True), length=st.integers(1, 3 * PAGE))
def test_a_stretch_of_zeros_anywhere_in_the_file_is_found_or_changes_nothing(
    closed: Path, start: float, length: int
) -> None:
    data = bytearray(closed.read_bytes())
    place = int(start * len(data))
    data[place : place + length] = bytes(min(length, len(data) - place))
    path = closed.with_name("zeroed")
    path.write_bytes(data)
    try:
        found = read(path)
    except RingfenceError:
        return
    assert found == read(closed)


# ── The write-ahead log ──────────────────────────────────────────────────────────────────────────────────────────


class Crashed(NamedTuple):
    """A journal as a crash leaves it: four groups, the last three of them in the log only."""

    path: Path
    log: bytes
    ends: list[int]  # of the log, after each group


@pytest.fixture
def crashed(tmp_path: Path) -> Crashed:
    original = tmp_path / "original"
    with SqliteJournal(original) as journal:
        journal.append(group(1, 5), after=0)
    with SqliteJournal(original) as journal:
        ends = []
        for first in (6, 26, 46):
            journal.append(group(first, first + 19), after=first - 1)
            ends.append(log_of(original).stat().st_size)
        path = tmp_path / "venue.journal"
        shutil.copy(original, path)
        log = log_of(original).read_bytes()
    assert len(log) == ends[-1]
    log_of(path).write_bytes(log)
    return Crashed(path, log, ends)


def reopened(crashed: Crashed, log: bytes) -> int:
    """Put a log beside a fresh copy of the file, open it, and return the last entry; all before it are there."""
    copy = crashed.path.with_name("copy")
    for left in (copy, log_of(copy), copy.with_name("copy-shm")):
        left.unlink(missing_ok=True)
    shutil.copy(crashed.path, copy)
    log_of(copy).write_bytes(log)
    entries = read(copy)  # a reader recovers it as well
    with SqliteJournal(copy) as journal:
        assert list(journal.read()) == entries
        assert [entry.sequence for entry in entries] == list(range(1, journal.head().sequence + 1))
        return journal.head().sequence


def test_after_a_crash_every_group_in_the_log_is_there(crashed: Crashed) -> None:
    assert first_hole(log_of(crashed.path)) is None
    assert reopened(crashed, crashed.log) == 65


def test_a_log_cut_anywhere_in_its_last_group_is_recovered_to_the_group_before(crashed: Crashed) -> None:
    begins, ends = crashed.ends[-2:]
    cuts = {*range(begins, ends, 149), *range(begins, ends, FRAME), *range(begins + 24, ends, FRAME), ends - 1}
    assert {reopened(crashed, crashed.log[:cut]) for cut in cuts} == {45}


def test_a_byte_changed_anywhere_in_the_last_group_drops_that_group_only_and_says_so(
    crashed: Crashed, caplog: pytest.LogCaptureFixture
) -> None:
    begins, ends = crashed.ends[-2:]
    for place in range(begins, ends, 331):
        log = bytearray(crashed.log)
        log[place] ^= 0x10
        assert reopened(crashed, bytes(log)) == 45
    assert "the last transaction in copy-wal is torn and left out" in caplog.text


def test_a_byte_changed_in_an_earlier_group_is_no_torn_tail_and_is_refused_for_good(crashed: Crashed) -> None:
    before_last = crashed.ends[-2]
    for place in range(LOG_HEADER, before_last, 997):
        log = bytearray(crashed.log)
        log[place] ^= 0x10
        frame = LOG_HEADER + (place - LOG_HEADER) // FRAME * FRAME
        for _ in range(2):  # nothing is tidied away by trying
            with pytest.raises(JournalCorrupt, match="damaged before its last transaction") as caught:
                reopened(crashed, bytes(log))
            assert caught.value.offset == frame
        copy = crashed.path.with_name("copy")
        with pytest.raises(JournalCorrupt):
            SqliteJournal(copy)
        assert log_of(copy).read_bytes() == log


def test_how_many_groups_are_lost_is_told(crashed: Crashed) -> None:
    log = bytearray(crashed.log)
    log[LOG_HEADER + 100] ^= 1  # in the first frame of the first of the three
    log_of(crashed.path).write_bytes(log)
    assert first_hole(log_of(crashed.path)) == Hole(LOG_HEADER, 3)


@pytest.mark.parametrize("place", range(LOG_HEADER))
def test_a_changed_header_of_the_log_is_refused(crashed: Crashed, place: int) -> None:
    log = bytearray(crashed.log)
    log[place] ^= 0x40
    with pytest.raises(JournalCorrupt) as caught:
        reopened(crashed, bytes(log))
    assert caught.value.offset == 0


@pytest.mark.parametrize("length", [0, 1, LOG_HEADER - 1, LOG_HEADER, LOG_HEADER + 24, LOG_HEADER + FRAME - 1])
def test_a_log_that_holds_no_whole_frame_holds_nothing(crashed: Crashed, length: int) -> None:
    assert reopened(crashed, crashed.log[:length]) == 5


def test_a_log_without_its_journal_is_refused_and_kept(crashed: Crashed) -> None:
    crashed.path.unlink()
    with pytest.raises(JournalCorrupt, match="the journal is gone, but its write-ahead log"):
        SqliteJournal(crashed.path)
    assert log_of(crashed.path).read_bytes() == crashed.log
    assert not crashed.path.exists()


def test_a_sound_log_is_never_taken_for_a_damaged_one_however_often_it_began_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 12)  # the log begins anew every few groups, over its old frames
    path, copy = tmp_path / "venue.journal", tmp_path / "copy"
    beginnings = set()
    with SqliteJournal(path) as journal:
        for first in range(1, 801, 8):
            journal.append(group(first, first + 7), after=first - 1)
            beginnings.add(log_of(path).read_bytes()[:LOG_HEADER])
            assert first_hole(log_of(path)) is None
            shutil.copy(path, copy)
            shutil.copy(log_of(path), log_of(copy))
            copy.with_name("copy-shm").unlink(missing_ok=True)
            assert read(copy)[-1].sequence == first + 7
    assert len(beginnings) > 10
