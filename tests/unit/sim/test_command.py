"""``ringfence sim``: a table or one JSON object, and 6 with a line that replays what broke."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from ringfence.cli import main
from ringfence.engine import prices

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_run_that_holds_ends_with_0_and_says_what_was_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "3", "--steps", "150"]) == 0
    shown = capsys.readouterr().out
    assert "all laws held" in shown
    assert "seed 3, 150 steps in 1 worlds" in shown
    assert "postings are zero per asset" in shown


def test_the_json_counts_what_the_table_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "3", "--steps", "150", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "ringfence.sim/1"
    assert told["failure"] is None
    assert sum(told["commands"].values()) == told["steps"] == 150
    assert told["laws"]["fold"] == 150 - told["repeated"]


@pytest.fixture
def gullible(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that believes every price that is a number above 0."""
    careful: Callable[..., tuple[str | None, bool]] = prices._disbelief  # noqa: SLF001 - to break it

    def believe(*given: object) -> tuple[str | None, bool]:
        reason, contradicted = careful(*given)
        return (None, False) if reason in {"jump", "away_from_index"} else (reason, contradicted)

    monkeypatch.setattr(prices, "_disbelief", believe)


@pytest.mark.usefixtures("gullible")
def test_a_broken_law_ends_with_6_and_one_line_that_runs_into_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "300", "--steps", "4000", "--json"]) == 6
    shown = capsys.readouterr()
    failure = json.loads(shown.out)["failure"]
    assert failure["law"] == "believed"
    assert failure["replay"] in shown.err
    assert 1 <= len(failure["smallest"]) <= 4  # a price, and one that nobody should believe after it
    command = shlex.split(failure["replay"])
    assert command[0] == "ringfence"
    assert main([*command[1:], "--json"]) == 6
    again = json.loads(capsys.readouterr().out)["failure"]
    assert (again["step"], again["figures"]) == (failure["step"], failure["figures"])
