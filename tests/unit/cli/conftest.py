"""What tests of the command line share: the command run in this process, and where its own rulebooks are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.command import Command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ringfence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command line, run in this process, on a wide screen, without rulebooks of the user's own."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path / "no-rulebooks"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Command(capsys)
