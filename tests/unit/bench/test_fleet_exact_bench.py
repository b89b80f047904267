"""The benchmark of accounts that go through the exact lane runs, on a few accounts, and checks which of them do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.house.source_tree import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_the_benchmark_of_the_exact_lane_runs_and_every_kind_goes_where_it_is_said_to(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "bench/fleet_exact.py", "--small"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "bench" / "fleet_exact.json").read_text(encoding="utf-8"))["results"]
    assert len(results) == 5
    assert all(of[name] > 0 for of in results.values() for name in ("screen", "stress", "watch"))
    compiled = results.pop("compiled: OKX without orders")
    assert all(of["assessed"] > compiled["assessed"] for of in results.values())
