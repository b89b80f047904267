"""The table that ends `make bench` tells met from missed, and says what was not measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.house.source_tree import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def claims(tmp_path: Path, results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    shutil.copytree(REPOSITORY / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path / "out" / "bench"
    out.mkdir(parents=True)
    for name, result in results.items():
        (out / (name + ".json")).write_text(json.dumps(result), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "bench/measuring/claims.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (out / "claims.svg").read_text(encoding="utf-8").startswith("<svg")
    found = json.loads((out / "claims.json").read_text(encoding="utf-8"))["claims"]
    return {each["claim"]: each for each in found}


def test_smaller_is_better_for_times_and_larger_for_rates(tmp_path: Path) -> None:
    found = claims(
        tmp_path,
        {
            "crash_frame": {"seconds": 6.5},
            "engine": {"host": {"accepted_orders_per_second": 20_000}},
            "crowd": {"slowest": 30.0},
        },
    )
    assert found["crash frame, 16,000 liquidations"]["verdict"] == "MISSED"  # 6.5 s of at most 6
    assert found["accepted orders through the host, in memory"]["verdict"] == "stretch met"  # at least 20,000
    assert found["1,000 accounts, a day, three symbols"]["verdict"] == "met, stretch missed"  # 60 > 30 > 20


def test_a_benchmark_that_left_no_result_is_told_as_not_measured(tmp_path: Path) -> None:
    found = claims(tmp_path, {"crowd": {"slowest": 19.0}})
    assert found["1,000 accounts, a day, three symbols"]["verdict"] == "stretch met"
    assert found["against NumPy"]["verdict"] == "not measured"
    assert found["against NumPy"]["measured"] is None


def test_without_any_result_it_says_what_to_run(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "bench/measuring/claims.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "make bench" in done.stderr
