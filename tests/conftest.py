"""What every test may ask for: the data outside the repository, and Hypothesis set to repeat itself.

Market data and the exchanges' answers lie beside the repository, not in it. A test that needs them takes the
fixture; where they are absent it is skipped with the reason, and the summary of the run says so once more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

REPOSITORY = Path(__file__).resolve().parents[1]

OUTSIDE = {
    "RINGFENCE_DATA": REPOSITORY.parent / "shared" / "data",
    "RINGFENCE_ANSWERS": REPOSITORY.parent / "shared" / "answers",
}

# "ci" draws the same examples in every run, so that a red run is red again; "thorough" looks for new ones.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def outside(variable: str) -> Path:
    """The directory that the environment variable names, or else the usual one beside the repository."""
    return Path(os.environ.get(variable) or OUTSIDE[variable])


def absence(variable: str) -> str | None:
    """A sentence saying that the directory is absent and how to name another; None when it is there."""
    directory = outside(variable)
    return None if directory.is_dir() else f"no directory {directory}; set {variable} to where it is"


def required(variable: str) -> Path:
    """The directory, or a skip of the asking test."""
    reason = absence(variable)
    if reason:
        pytest.skip(reason)
    return outside(variable)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Market data outside the package: ``RINGFENCE_DATA``, by default ``../shared/data``."""
    return required("RINGFENCE_DATA")


@pytest.fixture(scope="session")
def answers_dir() -> Path:
    """Figures that exchanges published: ``RINGFENCE_ANSWERS``, by default ``../shared/answers``."""
    return required("RINGFENCE_ANSWERS")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Name the outside data that the run had to do without."""
    for variable in OUTSIDE:
        reason = absence(variable)
        if reason:
            terminalreporter.write_line(f"tests of outside data were skipped: {reason}", yellow=True)
