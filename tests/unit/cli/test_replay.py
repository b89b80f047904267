"""``ringfence replay``: what it prints, what it writes, and what it says no to."""

from __future__ import annotations

import io
import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from ringfence.cli.replay import replay
from ringfence.errors import BadAccount, BadConfiguration, BadTape
from ringfence.study.examples import example_text

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

app = typer.Typer()
app.command()(replay)


def run(*arguments: object, width: int = 100) -> Result:
    """The command by itself; few ticks per bar, for speed."""
    given = [str(argument) for argument in (*arguments, "--ticks-per-bar", 8)]
    return CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"}).invoke(app, given)


def refusal(*arguments: object) -> BaseException | None:
    """What the command raised; the program around it prints it and ends with its exit code."""
    return run(*arguments).exception


def test_the_timeline_stands_side_by_side_and_the_verdict_comes_last() -> None:
    result = run("--example", "crash-book")
    assert result.exit_code == 0
    order = ["Timeline", "isolated", "cross", "liquidated", "How it ended", "Assumed", "Verdict"]
    places = [result.stdout.index(word) for word in order]
    assert places == sorted(places)
    assert "6,010.55 USDT" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, run("--example", "crash-book", width=width).stdout.splitlines())) <= width


def test_json_has_a_schema_decimals_as_strings_and_both_architectures() -> None:
    document = json.loads(run("--example", "crash-book", "--json").stdout, parse_float=pytest.fail)
    assert document["schema"] == "ringfence.replay/1"
    assert document["capital"] == {"USDT": "10000"}
    assert set(document["outcomes"]) == {"isolated", "cross"}
    assert 0 <= Decimal(document["outcomes"]["cross"]["end"]["USDT"]) < Decimal("1e-15")  # prices have 24 places
    assert document["outcomes"]["cross"]["liquidated"] == ["cross USDT"]
    assert len(document["series"]["isolated"]) == 8 * 60 + 1
    assert {event["kind"] for event in document["events"]} <= {"warning", "margin_call", "liquidation"}
    assert document["report"] is None
    assert document["sequence"] == "venue"


def test_a_full_takeover_is_played_when_asked_for_and_another_sequence_refused() -> None:
    taken = run("--example", "crash-book", "--sequence", "takeover")
    assert "taken over whole" in " ".join(taken.stdout.split())
    document = json.loads(run("--example", "crash-book", "--sequence", "takeover", "--json").stdout)
    assert document["outcomes"]["cross"]["end"] == {"USDT": "0"}
    assert document["takeover"] == "full takeover at the bankruptcy price"
    error = refusal("--example", "crash-book", "--sequence", "mine")
    assert isinstance(error, BadConfiguration)
    assert "takeover or venue" in str(error)


def test_a_crowd_stands_side_by_side_in_three_columns_and_its_books_balance(tmp_path: Path) -> None:
    page = tmp_path / "crowd.html"
    result = run("--population", 12, "--tape", "2024-08-05", "--processes", 1, "--report", page)
    assert result.exit_code == 0
    words = [
        "isolated",
        "cross",
        "mixed",
        "Insurance fund",
        "Auto-deleveraged",
        "How the three differ",
        "Trial balance",
    ]
    places = [result.stdout.index(word) for word in words]
    assert places == sorted(places)
    assert "Trial balance: zero in every run" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_crowd_takes_no_account_and_an_account_takes_nothing_of_a_crowd() -> None:
    with_account = refusal("book.json", "--population", 5)
    assert isinstance(with_account, BadConfiguration)
    assert "leave out ACCOUNT" in str(with_account)
    without_crowd = refusal("--example", "crash-book", "--impact")
    assert isinstance(without_crowd, BadConfiguration)
    assert "--population" in str(without_crowd)


def test_the_report_is_written_and_its_place_told(tmp_path: Path) -> None:
    path = tmp_path / "out" / "report.html"
    result = run("--example", "lighter-book", "--report", path)
    assert f"Report: {path}" in result.stdout
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_file_and_standard_input_replay_like_the_example(tmp_path: Path) -> None:
    path = tmp_path / "book.json"
    path.write_text(example_text("crash-book"), encoding="utf-8")
    piped = CliRunner().invoke(app, ["-", "--json", "--ticks-per-bar", "8"], input=example_text("crash-book"))
    documents: list[dict[str, Any]] = [
        json.loads(text)
        for text in (piped.stdout, run(path, "--json").stdout, run("--example", "crash-book", "--json").stdout)
    ]
    assert [document.pop("account") for document in documents] == [
        "standard input",
        str(path),
        "example crash-book",
    ]
    assert documents[0] == documents[1] == documents[2]


def test_neither_or_both_of_file_and_example_are_refused() -> None:
    for given in ((), ("book.json", "--example", "crash-book")):
        error = refusal(*given)
        assert isinstance(error, BadConfiguration)
        assert "--example crash-book" in str(error)


def test_an_unknown_example_tape_or_day_is_refused_with_what_there_is() -> None:
    example = refusal("--example", "crash-bok")
    assert isinstance(example, BadAccount)
    assert "did you mean crash-book?" in str(example)
    tape = refusal("--example", "crash-book", "--tape", "2025-10-11")
    assert isinstance(tape, BadTape)
    assert "2025-10-10" in str(tape)
    day = refusal("--example", "crash-book", "--as-of", "yesterday")
    assert isinstance(day, BadConfiguration)


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    error = refusal("--example", "lighter-book", "--report", tmp_path)
    assert isinstance(error, BadConfiguration)
    assert "the report cannot be written" in str(error)


def test_progress_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    replay(example="lighter-book", ticks_per_bar=8)
    assert "events" in screen.getvalue()


# ── Under every architecture ──────────────────────────────────────────────────────────────────────────────────────


def test_every_architecture_of_the_venue_stands_in_one_table_and_what_is_ours_below() -> None:
    result = run("--example", "crash-book", "--architectures", "all", width=100)
    assert result.exit_code == 0, result.output
    for said in ("isolated", "cross", "multi-asset", "portfolio", "6,010.55", "4 architectures", "Verdict"):
        assert said in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_architectures_are_written_as_json_and_as_a_page(tmp_path: Path) -> None:
    page = tmp_path / "ways.html"
    result = run("--example", "crash-book", "--architectures", "cross,multi-asset", "--json", "--report", page)
    document = json.loads(result.stdout, parse_float=pytest.fail)
    assert document["schema"] == "ringfence.replay-architectures/1"
    assert [one["name"] for one in document["architectures"]] == ["cross", "multi_asset"]
    assert document["report"] == str(page)
    assert document["journals"] == []
    assert "multi-asset keeps nothing" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--architectures", "none"), "no such margin architecture"),
        (("--architectures", "cross", "--sequence", "takeover"), "own steps"),
    ],
)
def test_architectures_that_cannot_be_are_refused(arguments: tuple[str, ...], said: str) -> None:
    error = refusal("--example", "crash-book", *arguments)
    assert isinstance(error, BadConfiguration)
    assert said in error.message


def test_a_crowd_has_no_architectures_to_choose() -> None:
    assert isinstance(refusal("--population", 5, "--architectures", "all"), BadConfiguration)


def test_an_account_with_a_basket_is_replayed_under_all_that_its_venue_offers() -> None:
    result = run("--example", "hedged-options")
    assert isinstance(result.exception, BadAccount)
    assert "options are not replayed" in result.exception.message
