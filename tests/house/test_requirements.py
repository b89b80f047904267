"""The pinned requirement files say what pyproject.toml asks for, exactly, and from no particular place."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.house.source_tree import REPOSITORY

PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
FILES = ("base.txt", "dev.txt")


def project() -> dict[str, Any]:
    """The whole of pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def text_of(name: str) -> str:
    """A requirement file, whole."""
    return (REPOSITORY / "requirements" / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    """Package → version of a requirement file."""
    return dict(PIN.findall(text_of(name)))


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements name, ringfence's own extras left out."""
    return {re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in requirements} - {"ringfence"}


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_a_hash(name: str) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", text_of(name))
    assert len(entries) == len(pins(name))
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", FILES)
def test_no_requirement_file_says_where_to_download_from(name: str) -> None:
    assert re.findall(r"^-.*|https?://\S*", text_of(name), re.MULTILINE) == []


def test_dev_pins_all_of_base_at_the_same_versions() -> None:
    assert pins("base.txt").items() <= pins("dev.txt").items()


def test_everything_that_the_project_asks_for_is_pinned() -> None:
    asked = project()["project"]
    build = names(project()["build-system"]["requires"])
    extras = {extra for wanted in asked["optional-dependencies"].values() for extra in names(wanted)}
    assert names(asked["dependencies"]) | build <= pins("base.txt").keys()
    assert extras <= pins("dev.txt").keys()


def test_the_pinned_build_backend_is_the_one_the_project_names() -> None:
    assert project()["dependency-groups"]["build"] == project()["build-system"]["requires"]
