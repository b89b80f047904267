"""The screen's benchmarks run, on a small population, and check what they time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.house.source_tree import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["screen", "screen_peers"])
def test_a_benchmark_of_the_screen_runs_and_finds_the_same_pools_every_way(name: str, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(
        [sys.executable, "bench/" + name + ".py", "--small"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((tmp_path / "out" / "bench" / (name + ".json")).read_text(encoding="utf-8"))
    if name == "screen":
        assert all(of["same_pools_at_every_frame"] for of in result["frames"].values())
        assert (tmp_path / "out" / "bench" / "screen.svg").read_text(encoding="utf-8").startswith("<svg")
    else:
        assert len(result["results"]) == 5
