"""Journals of an older program, and journals decided by other rules: read, gone on with, told apart."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ringfence import cli, host, origin
from ringfence.engine import setup_text
from ringfence.engine.commands import Resume, SetUp
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, decode_event, encode
from ringfence.errors import VerificationFailed
from ringfence.fees import FeeRates
from ringfence.host import Difference, Host, decided_by, redecide, setup_of
from ringfence.journal import MemoryJournal, MemoryStorage, open_journal, open_reader
from tests.random_commands import SETUP, Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD = Path(__file__).parent / "journals"
ENTRIES = {"tables-1.journal": 1 + 70, "tables-2.journal": 1 + 70 + 1 + 4}
OTHER = "ringfence 0.0.9, core 000000000000, rules binance-usdm 111111111111"


@pytest.fixture(params=sorted(ENTRIES))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a journal that an older program wrote."""
    return Path(shutil.copy(OLD / request.param, tmp_path / request.param))


def _tables(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT version, change FROM schema_version").fetchall()


# ── Written by an older program ──────────────────────────────────────────────────────────────────────────────────


def test_every_entry_of_an_older_journal_is_read_without_changing_the_file(old: Path) -> None:
    before = old.read_bytes()
    with open_reader(str(old)) as reader:
        entries = list(reader.read())  # the chain is verified on the way
        assert [entry.sequence for entry in entries] == list(range(1, ENTRIES[old.name] + 1))
        for entry in entries:
            decode_command(entry.command)
            assert [decode_event(event) for event in entry.events]
        assert setup_of(reader).guard.jump == SETUP.guard.jump
    assert old.read_bytes() == before


def test_an_older_set_up_means_what_it_meant(old: Path) -> None:
    with open_reader(str(old)) as reader:
        setup = setup_of(reader)
    guard = setup.guard
    assert (guard.jump, guard.stale_after) == (SETUP.guard.jump, SETUP.guard.stale_after)
    assert (guard.confirmations, guard.witnessed) == (None, None)  # a jump was never believed then
    assert setup_text.read(setup_text.write(setup)) == setup


def test_opening_an_older_journal_brings_its_tables_up_to_date_and_leaves_its_entries_as_they_are(old: Path) -> None:
    with open_reader(str(old)) as reader:
        before = list(reader.read())
    with open_journal(str(old)) as journal:
        assert list(journal.read()) == before
    assert _tables(old) == [(1, "entries and head"), (2, "snapshots")]


def test_a_venue_goes_on_from_an_older_journal_and_writes_down_who_goes_on(old: Path) -> None:
    length = ENTRIES[old.name]
    with Host.open(open_journal(str(old))) as venue:
        assert venue.recovery.snapshot == (0 if old.name == "tables-1.journal" else length)
        venue.ask(Commands(7).first(90)[-1])
    with open_reader(str(old)) as reader:
        resumed = decode_command(next(reader.read(start=length + 1)).command)
        assert isinstance(resumed, Resume)
        assert resumed.decided_by == decided_by(setup_of(reader))
        assert reader.latest_snapshot() is not None


def test_an_older_journal_is_decided_the_same_now_to_the_byte(old: Path) -> None:
    with open_reader(str(old)) as reader:
        steps = [(step.same_bytes, step.digest, step.decided_by) for step in redecide(reader)]
    assert steps == [(True, True, "")] * ENTRIES[old.name]


def test_an_older_journal_that_would_be_decided_otherwise_says_from_which_entry_on_and_who_decided_it(
    old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(State, "rates", lambda *_: FeeRates(Decimal("0.001"), Decimal("0.001")))
    with open_reader(str(old)) as reader:
        traded = next(entry.sequence for entry in reader.read() if any(b'"fees"' in event for event in entry.events))
    assert cli.main(["journal", "verify", str(old)]) == VerificationFailed.exit_code
    said = capsys.readouterr().err
    assert f"{traded - 1} of {ENTRIES[old.name]} entries held" in said
    assert f"entry {traded}: event " in said
    assert "decided by: a ringfence that did not yet write down which it was (from entry 1 on)" in said
    assert f"here: {decided_by(SETUP)}" in said


# ── Decided elsewhere ────────────────────────────────────────────────────────────────────────────────────────────


def _written(monkeypatch: pytest.MonkeyPatch, *, by: str) -> MemoryStorage:
    """A journal of sixty commands that names ``by`` as what decided it."""
    storage = MemoryStorage()
    with monkeypatch.context() as then:
        then.setattr(host, "decided_by", lambda _setup: by)
        with Host.open(MemoryJournal(storage), SETUP) as venue:
            for command in Commands(11).first(60):
                venue.ask(command)
    return storage


def _again(storage: MemoryStorage) -> Iterator[Any]:
    with MemoryJournal(storage) as journal:
        yield from redecide(journal)


def test_a_journal_names_the_program_and_the_rules_that_decided_it() -> None:
    storage = MemoryStorage()
    for _ in range(2):
        Host.open(MemoryJournal(storage), SETUP).close()
    commands = [decode_command(row[1]) for row in storage.rows]
    assert [type(command) for command in commands] == [SetUp, Resume]
    here = f"ringfence 0.1.0, core {origin.core()}, rules binance-usdm "
    assert all(command.decided_by.startswith(here) for command in commands)  # type: ignore[attr-defined]


def test_a_decision_that_is_another_now_is_told_with_both_programs_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = _written(monkeypatch, by=OTHER)
    monkeypatch.setattr(State, "rates", lambda *_: FeeRates(Decimal("0.001"), Decimal("0.001")))
    with pytest.raises(Difference) as found:
        list(_again(storage))
    decided = found.value.decided
    assert decided is not None
    assert (decided.by, decided.since, decided.here) == (OTHER, 1, decided_by(SETUP))
    assert f"decided by: {OTHER} (from entry 1 on)\n  here: {decided.here}" in str(found.value)
    assert "verify it with the ringfence that decided it" in str(found.value)


def test_the_same_decisions_with_digests_of_another_making_hold_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = _written(monkeypatch, by=OTHER)
    monkeypatch.setattr(State, "digest", lambda _self: b"d" * 32)
    steps = list(_again(storage))
    assert [step.digest for step in steps] == [False] * len(steps)
    assert all(step.same_bytes for step in steps)


def test_the_command_says_what_it_did_not_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "venue.journal")
    with monkeypatch.context() as then:
        then.setattr(host, "decided_by", lambda _setup: OTHER)
        Host.open(open_journal(path), SETUP).close()
    monkeypatch.setattr(State, "digest", lambda _self: b"d" * 32)
    assert cli.main(["journal", "verify", path]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "digests of the state were not compared from entry 1 on: they are of another making" in said
    assert f"decided by: {OTHER}" in said
    assert cli.main(["journal", "verify", path, "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["holds"], verdict["other_digests_from"], verdict["decided_by"]) == (True, 1, [OTHER])


def test_of_what_was_decided_here_another_digest_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = _written(monkeypatch, by=decided_by(SETUP))
    monkeypatch.setattr(State, "digest", lambda _self: b"d" * 32)
    with pytest.raises(Difference, match="entry 1: the digest of the state") as found:
        list(_again(storage))
    assert found.value.decided is not None
    assert not found.value.decided.elsewhere
    assert "verify it with" not in str(found.value)


def test_a_venue_does_not_go_on_from_a_state_that_may_not_be_the_one_that_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = _written(monkeypatch, by=OTHER)
    storage.snapshots.clear()
    monkeypatch.setattr(State, "digest", lambda _self: b"d" * 32)
    with pytest.raises(Difference, match=r"decided by: ringfence 0\.0\.9"):
        Host.open(MemoryJournal(storage))


# ── Older forms of messages ──────────────────────────────────────────────────────────────────────────────────────


def test_a_message_that_ends_before_its_last_fields_takes_their_defaults() -> None:
    assert decode_command(b'["resume","r",5]') == Resume("r", 5)
    assert decode_command(b'["set_up","s",0,"{}"]') == SetUp("s", 0, "{}")
    full = encode(Resume("r", 5))
    assert json.loads(full) == ["resume", "r", 5, ""]


@pytest.mark.parametrize(
    "data", [b'["deposit","d",1,"ann"]', b'["deposit","d",1,"ann","USDT","5","more"]', b'["resume","r"]']
)
def test_a_message_that_lacks_what_it_needs_or_has_more_is_none(data: bytes) -> None:
    with pytest.raises(Exception, match="not a message of this engine"):
        decode_command(data)


def test_the_hash_of_the_deciding_sources_changes_with_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = Path(origin.__file__).parent
    copy = tmp_path / "ringfence"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "*.csv", "*.parquet"))
    monkeypatch.setattr(origin, "files", lambda _name: copy)
    assert origin.core.__wrapped__() == origin.core()
    (copy / "cli" / "journal.py").write_text("nothing that decides", encoding="utf-8")
    assert origin.core.__wrapped__() == origin.core()
    with (copy / "engine" / "orders.py").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert origin.core.__wrapped__() != origin.core()
