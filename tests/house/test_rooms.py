"""Every room is on its floor's plan: a package's docstring names its modules, so that a newcomer finds the one."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tests.house.source_tree import PACKAGE, parsed

if TYPE_CHECKING:
    from pathlib import Path

PLANS = sorted(path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
"""The root's plan is docs/explanation/architecture.md."""


def test_the_docstring_of_a_package_names_every_module_in_it() -> None:
    missing = [
        f"{plan.parent.relative_to(PACKAGE)}/{room}: give it a line in the docstring of {plan.parent.name}/__init__.py"
        for plan in PLANS
        for room in rooms(plan.parent)
        if not any(fnmatchcase(room, name) for name in named(plan))
    ]
    assert missing == []


def test_no_plan_lists_a_room_that_is_not_there() -> None:
    wrong = [
        f"{plan.parent.relative_to(PACKAGE)}: {name}"
        for plan in PLANS
        for name in listed(plan)
        if not any(fnmatchcase(room, name) for room in rooms(plan.parent))
    ]
    assert wrong == []


def test_the_architecture_page_names_every_package_and_module_at_the_root() -> None:
    page = (PACKAGE.parents[1] / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    missing = [room for room in rooms(PACKAGE) if not re.search(rf"\b{room}\b", page)]
    assert missing == []


def rooms(package: Path) -> list[str]:
    """Return the modules and packages in a package, by name."""
    inside = [path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    return sorted(path.stem for path in inside if not path.stem.startswith("__"))


def named(plan: Path) -> set[str]:
    """Return what a docstring lists or marks as a name; ``*`` in one stands for any letters."""
    return listed(plan) | set(re.findall(r"``([\w*]+)``", _docstring(plan)))


def listed(plan: Path) -> set[str]:
    """Return the names in front of the lines of a list: ``name, name   what they are``."""
    names = re.findall(r"^ *([\w*]+(?:, [\w*]+)*)  +\S", _docstring(plan), re.MULTILINE)
    return {name for line in names for name in line.split(", ")}


def _docstring(plan: Path) -> str:
    return ast.get_docstring(parsed(plan)) or ""
