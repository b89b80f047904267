"""``ringfence replay --journal``: the real command line writes journals, verifies them, and names what was changed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringfence.cli.journal import app

ROOT = Path(__file__).parents[3]


def ringfence(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "ringfence", *arguments], capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "COLUMNS": "100"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the journals of one account and of a crowd with impact."""
    place = tmp_path_factory.mktemp("journals")
    one = ringfence(place, "replay", "--example", "crash-book", "--ticks-per-bar", "4", "--journal", "one.journal")
    assert one.returncode == 0, one.stderr
    assert "Journals: one.isolated.journal, one.cross.journal" in one.stdout
    crowd = ringfence(
        place, "replay", "--population", "3", "--ticks-per-bar", "4", "--impact", "--processes", "1", "--tape",
        "2022-11-09", "--json", "--journal", "crowd.journal",
    )  # fmt: skip
    assert crowd.returncode == 0, crowd.stderr
    assert len(json.loads(crowd.stdout)["journals"]) == 6
    return place


def test_the_journals_of_an_account_and_of_a_crowd_hold(folder: Path) -> None:
    one = ringfence(folder, "journal", "verify", "one.journal")
    assert one.returncode == 0, one.stderr
    lines = one.stdout.splitlines()
    assert [line.partition(": holds: ")[0] for line in lines] == ["one.isolated.journal", "one.cross.journal"]
    crowd = json.loads(ringfence(folder, "journal", "verify", "crowd.journal", "--json").stdout)
    assert crowd["holds"]
    assert [Path(one["journal"]).name for one in crowd["journals"]] == [
        f"crowd.{part}.journal"
        for part in ("isolated", "cross", "mixed", "isolated-impact", "cross-impact", "mixed-impact")
    ]
    assert all(one["holds"] and one["entries"] == one["of_entries"] > 1000 for one in crowd["journals"])


def test_a_journal_begins_with_its_set_up_and_holds_the_whole_opening_as_commands(folder: Path) -> None:
    shown = ringfence(folder, "journal", "show", "one.isolated.journal", "--json")
    entries = [json.loads(line) for line in shown.stdout.splitlines()[:12]]
    kinds = [entry["command"]["kind"] for entry in entries]
    assert kinds == ["set_up", "deposit", *["adopt_position"] * 6, *["update_prices"] * 4]
    assert [event["kind"] for event in entries[2]["events"]] == ["setting_changed", "setting_changed", "traded"]


# Where a byte is changed, and what verification says of it.
PLACES = [("command", "its hash"), ("events", "its hash"), ("digest", "its hash"), ("chain", "its hash")]


@pytest.mark.parametrize(("column", "why"), PLACES, ids=[column for column, _ in PLACES])
@pytest.mark.parametrize("sequence", [1, 5, 300])
def test_one_changed_byte_names_the_entry_and_why(
    folder: Path, tmp_path: Path, column: str, why: str, sequence: int
) -> None:
    damaged = tmp_path / "damaged.journal"
    shutil.copy(folder / "one.cross.journal", damaged)
    with closing(sqlite3.connect(damaged)) as connection, connection:
        query = f"SELECT {column} FROM entries WHERE sequence = ?"  # noqa: S608 - a column of ours
        (value,) = connection.execute(query, (sequence,)).fetchone()
        changed = bytes([*value[:-2], value[-2] ^ 1, value[-1]])
        connection.execute(f"UPDATE entries SET {column} = ? WHERE sequence = ?", (changed, sequence))  # noqa: S608
    result = CliRunner().invoke(app, ["verify", str(damaged)])
    assert result.exit_code == 6
    assert f"entry {sequence}" in result.stderr
    assert why in result.stderr


def test_a_byte_of_a_payload_changed_in_the_file_itself_is_found(folder: Path, tmp_path: Path) -> None:
    data = (folder / "one.cross.journal").read_bytes()
    place = data.index(b'"tick 777"') + 8
    (tmp_path / "damaged.journal").write_bytes(data[:place] + b"8" + data[place + 1 :])
    result = ringfence(tmp_path, "journal", "verify", "damaged.journal", "--json")
    assert result.returncode == 6
    difference = json.loads(result.stdout)["difference"]
    assert difference["entry"] == 8 + 778  # set-up, deposit, six positions; ticks count from 0
    assert "its hash is not the one stored" in difference["message"]


def test_a_journal_that_is_there_is_not_written_over(folder: Path) -> None:
    before = (folder / "one.cross.journal").read_bytes()
    again = ringfence(folder, "replay", "--example", "crash-book", "--ticks-per-bar", "4", "--journal", "one.journal")
    assert again.returncode == 3
    assert "no journal is written over" in again.stderr
    assert (folder / "one.cross.journal").read_bytes() == before


def test_a_name_that_stands_for_several_journals_is_explained(folder: Path) -> None:
    shown = ringfence(folder, "journal", "show", "one.journal")
    assert shown.returncode == 3
    assert "one.isolated.journal, one.cross.journal" in shown.stderr


def test_a_takeover_has_no_journal(folder: Path) -> None:
    result = ringfence(folder, "replay", "--example", "crash-book", "--sequence", "takeover", "--journal", "t.journal")
    assert result.returncode == 3
    assert "a takeover leaves no journal" in result.stderr
    assert not list(folder.glob("t.*"))


def test_a_thorough_verification_looks_at_everybody_and_finds_the_same(folder: Path) -> None:
    plain, thorough = (
        json.loads(CliRunner().invoke(app, ["verify", str(folder / "crowd.cross.journal"), "--json", *more]).stdout)
        for more in ([], ["--thorough"])
    )
    assert {**plain, "seconds": ""} == {**thorough, "seconds": ""}
    assert plain["holds"]
