"""Simulated venues hold every law: a few thousand steps of several seeds, and the same run whatever the machine does.

``make soak`` and ``ringfence sim`` run more of them.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ringfence.sim import LAWS, SimReport, run
from ringfence.sim.run import LENGTH
from ringfence.sim.world import World

STEPS = 5_000  # two worlds and a half: three venues a seed
SEEDS = range(101, 109)
SCRIPT = "from ringfence.sim import run; print(run(11, 1500).digest)"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_law_holds_after_every_step(seed: int) -> None:
    report = run(seed, STEPS)
    assert report.failure is None, f"ringfence sim --seed {seed} --steps {report.failure.step}: {report.failure}"
    assert report.steps == STEPS
    assert report.worlds == 3
    assert_looked_at(report)


def assert_looked_at(report: SimReport) -> None:
    """Hold a run to having looked: at every step what can be looked at every step, at the rest where it came up."""
    assert report.laws["balanced"] > 2 * STEPS
    assert report.laws["fold"] == STEPS - report.repeated
    assert report.laws["survivors"] > 0
    assert set(report.laws) == set(LAWS)


def test_over_a_few_seeds_everything_comes_up() -> None:
    reports = [run(seed, 1_500) for seed in (21, 22, 23, 24, 1047)]
    times = {law: sum(report.laws[law] for report in reports) for law in LAWS}
    assert [law for law, count in times.items() if not count] == []


def test_the_same_seed_is_the_same_run_whatever_the_hash_seed_of_the_interpreter() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True,
            capture_output=True, text=True,
        ).stdout.strip()
        for hash_seed in ("0", "4711")
    }  # fmt: skip
    assert digests == {run(11, 1500).digest}


def test_a_run_that_begins_at_a_world_leaves_out_the_ones_before_it() -> None:
    report = run(5, 2_300, first_world=1)
    assert (report.steps, report.worlds) == (300, 1)
    assert report.venues == {World(5, 1, length=LENGTH).venue.rulebook: 1}
