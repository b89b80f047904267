"""What a user installs: a wheel built here, and looked into."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from tests.house.source_tree import PACKAGE, REPOSITORY, tracked_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel. The backend is pinned in requirements, so this downloads nothing."""
    pytest.importorskip("hatchling", reason="the build backend is not installed; make test installs it")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_tracked_file_of_the_package(wheel: Path) -> None:
    expected = {str(path.relative_to(PACKAGE.parent)) for path in tracked_files() if PACKAGE in path.parents}
    with ZipFile(wheel) as archive:
        missing = expected - set(archive.namelist())
    assert missing == set()


def test_the_wheel_holds_the_package_and_its_metadata_only(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        top = {name.split("/")[0].split("-")[0] for name in archive.namelist()}
    assert top == {"ringfence"}


def test_the_version_in_the_wheel_is_the_one_in_the_source(wheel: Path) -> None:
    import ringfence

    assert wheel.name.startswith(f"ringfence-{ringfence.__version__}-")
