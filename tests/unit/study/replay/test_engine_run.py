"""A venue driven by commands: what it refuses to begin with, and a journal that holds also when a run is broken off."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.engine.commands import UpdatePrices
from ringfence.engine.setup import Setup
from ringfence.errors import BadAccount, BadConfiguration
from ringfence.host import redecide
from ringfence.journal import open_reader
from ringfence.study.replay import engine_run
from ringfence.study.replay.engine_run import Run, journal_name, journals_of
from tests.unit.engine.small_venue import rules

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal
SETUP = Setup(as_of="2025-10-10", start_fund={"USDT": D(7)})


def ticks(run: Run, number: int) -> None:
    for tick in range(number):
        run.do(UpdatePrices(f"tick {tick}", 10 + tick, (("BTCUSDT", D(117_000 + tick)),)))


def test_a_position_that_the_venue_refuses_is_named_with_the_refusal() -> None:
    with Run(SETUP, at=1) as run, pytest.raises(BadAccount) as caught:
        run.position("ann", "BTCUSDT", D("0.5"), D(100_000), leverage=D(10), mode="isolated")
    said = str(caught.value)
    assert "isolated long of 0.5 BTCUSDT" in said
    assert "needs 5000 USDT of margin, the wallet holds 0" in said
    assert "refusal 101, insufficient_balance" in said


def test_a_run_is_appended_in_groups_and_the_rest_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_run, "GROUP", 50)
    file = tmp_path / "a.journal"
    with Run(SETUP, at=1, journal=str(file)) as run:
        run.money("ann", "USDT", D(1000))
        run.position("ann", "BTCUSDT", D("0.01"), D(117_000), leverage=D(2), mode="cross")
        ticks(run, 120)
        with open_reader(str(file)) as reader:
            assert 50 < reader.head().sequence < 123
        digest = run.state.digest()
    with open_reader(str(file)) as reader:
        assert sum(1 for _ in redecide(reader)) == 1 + 2 + 120
        assert list(reader.read(start=123))[-1].digest == digest


def test_a_run_that_is_broken_off_leaves_a_journal_that_holds(tmp_path: Path) -> None:
    file = tmp_path / "a.journal"

    def broken_off() -> None:
        with Run(SETUP, at=1, journal=str(file)) as run:
            ticks(run, 5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    with open_reader(str(file)) as reader:
        assert sum(1 for _ in redecide(reader)) == 1 + 5


def test_a_rulebook_that_no_text_holds_runs_without_a_journal_and_is_refused_one(tmp_path: Path) -> None:
    setup = Setup(given=rules())
    with Run(setup, at=1) as run:
        run.money("ann", "USDT", D(1))
    with pytest.raises(BadConfiguration, match="cannot be kept in a journal"):
        Run(setup, at=1, journal=str(tmp_path / "a.journal"))
    assert not list(tmp_path.iterdir())


def test_journals_of_a_study_are_found_by_the_name_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "run.journal"
    assert journal_name(file, "cross") == tmp_path / "run.cross.journal"
    for name in ("run.mixed-impact.journal", "run.cross.journal", "run.other.journal", "runs.cross.journal"):
        (tmp_path / name).touch()
    assert journals_of(file) == (tmp_path / "run.cross.journal", tmp_path / "run.mixed-impact.journal")
