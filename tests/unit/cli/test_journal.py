"""``ringfence journal``: what it shows, what it verifies, and what it names when one byte is changed."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ringfence.cli.journal import app
from ringfence.engine import commands as asked
from ringfence.host import Host
from ringfence.journal import Batch, open_journal, open_reader
from tests.random_commands import SETUP, Commands

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "venue.journal"
    with Host.open(open_journal(str(path)), SETUP) as host:
        for command in Commands(11).first(120):
            host.ask(command)
        host.ask(asked.Deposit("last", 10**9, "ann", "USDT", Decimal("12.50")))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_verify_accepts_a_journal_and_says_how_much_it_checked(journal: Path) -> None:
    result = run("verify", journal)
    assert result.exit_code == 0
    assert result.stdout.startswith("holds: 122 entries with ")
    assert "entries/s" in result.stdout


def test_verify_in_json_counts_entries_and_events(journal: Path) -> None:
    result = run("verify", journal, "--json")
    data = json.loads(result.stdout)
    with open_reader(str(journal)) as reader:
        events = sum(len(entry.events) for entry in reader.read())
    assert (data["holds"], data["entries"], data["events"], data["difference"]) == (True, 122, events, None)


def copied(journal: Path, target: Path) -> Path:
    with closing(sqlite3.connect(journal)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target


def test_verify_names_the_entry_when_one_byte_is_changed(journal: Path, tmp_path: Path) -> None:
    damaged = copied(journal, tmp_path / "damaged.journal")
    with closing(sqlite3.connect(damaged)) as connection, connection:
        (events,) = connection.execute("SELECT events FROM entries WHERE sequence = 30").fetchone()
        changed = events[:-3] + bytes([events[-3] ^ 1]) + events[-2:]
        connection.execute("UPDATE entries SET events = ? WHERE sequence = 30", (changed,))
    result = run("verify", damaged)
    assert result.exit_code == 6
    assert "entry 30" in result.stderr
    data = json.loads(run("verify", damaged, "--json").stdout)
    assert (data["holds"], data["entries"], data["difference"]["entry"]) == (False, 29, 30)


def test_verify_names_entry_and_event_where_the_chain_holds_and_the_decision_does_not(
    journal: Path, tmp_path: Path
) -> None:
    target = tmp_path / "forged.journal"
    with open_reader(str(journal)) as reader, open_journal(str(target)) as forged:
        for entry in reader.read():
            events = tuple(event.replace(b"12.50", b"99.50") for event in entry.events)
            forged.append([Batch(entry.sequence, entry.command, events, entry.digest)], after=entry.sequence - 1)
    result = run("verify", target, "--json")
    assert result.exit_code == 6
    difference = json.loads(result.stdout)["difference"]
    assert (difference["entry"], difference["event"]) == (122, 1)
    assert "12.50" in difference["expected"]
    assert "99.50" in difference["found"]


def test_show_prints_the_last_entries_with_their_events(journal: Path) -> None:
    result = run("show", journal, "--last", 1)
    first, second = result.stdout.splitlines()
    assert first.split() == [
        "122", "1970-01-01", "00:16:40.000000", "deposit", "last", "account=ann", "asset=USDT", "amount=12.5",
    ]  # fmt: skip
    assert second.strip() == ("→ money_moved  account=ann cause=deposit [external -12.5 USDT, wallet:ann 12.5 USDT]")


def test_show_keeps_to_an_account_and_a_kind(journal: Path) -> None:
    lines = run("show", journal, "--account", "bob", "--kind", "deposit", "--json").stdout.splitlines()
    entries = [json.loads(line) for line in lines]
    assert entries
    assert {(entry["command"]["account"], entry["command"]["kind"]) for entry in entries} == {("bob", "deposit")}


def test_show_finds_an_event_inside_another_ones_command(journal: Path) -> None:
    lines = run("show", journal, "--kind", "traded", "--json").stdout.splitlines()
    assert lines
    assert {event["kind"] for line in lines for event in json.loads(line)["events"]} == {"traded"}


def test_show_begins_where_it_is_told(journal: Path) -> None:
    lines = run("show", journal, "--from", 120, "--json").stdout.splitlines()
    assert [json.loads(line)["entry"] for line in lines] == [120, 121, 122]


def test_export_writes_every_entry_as_a_line(journal: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.jsonl"
    assert run("export", journal, "--out", target).exit_code == 0
    entries = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [entry["entry"] for entry in entries] == list(range(1, 123))
    assert entries[0]["command"]["kind"] == "set_up"


def test_exported_postings_balance_per_entry_and_asset(journal: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("export", journal, "--postings").stdout)))
    totals: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        key = (row["entry"], row["asset"])
        totals[key] = totals.get(key, Decimal(0)) + Decimal(row["amount"])
    assert len(rows) > 20
    assert set(totals.values()) == {Decimal(0)}


def test_a_journal_that_is_not_there_is_an_error_with_its_path(tmp_path: Path) -> None:
    result = run("show", tmp_path / "nothing.journal")
    assert "there is no journal" in str(result.exception)
