"""``ringfence.__all__`` is a promise, listed in docs/reference/python.md; a module's is what other modules may take."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

import ringfence
from tests.house.source_tree import PACKAGE, REPOSITORY, parsed

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = REPOSITORY / "docs" / "reference" / "python.md"
# A documented name is a heading (### `assess(pool, …)`) or the first cell of a table row (| `Pool` | …).
DOCUMENTED = re.compile(r"^(?:#{2,}\s+|\|\s*)`(?:ringfence\.)?([A-Za-z_]\w*)(?=[`(\[:])", re.MULTILINE)


def test_the_public_names_are_sorted_and_there() -> None:
    assert list(ringfence.__all__) == sorted(ringfence.__all__)
    assert [name for name in ringfence.__all__ if not hasattr(ringfence, name)] == []


def test_the_public_names_are_the_documented_ones() -> None:
    if not REFERENCE.exists():
        pytest.skip("docs/reference/python.md is not written yet")
    documented = set(DOCUMENTED.findall(REFERENCE.read_text(encoding="utf-8")))
    assert set(ringfence.__all__) - {"__version__"} == documented


def test_a_documented_name_is_read_from_headings_and_tables() -> None:
    text = "### `assess(pool, marks)`\n| `Pool` | a pool |\n| word | `Other` |\n## `ringfence.Marks`\n"
    assert DOCUMENTED.findall(text) == ["assess", "Pool", "Marks"]


def test_what_a_module_says_it_has_is_what_other_modules_take_from_it() -> None:
    said = {name: surface for name, path in _modules().items() if (surface := _said(path)) is not None}
    del said["ringfence"]  # which also has a ``__version__``
    taken = {
        f"{node.module}.{alias.name}, taken by {name}"
        for name, path in _modules().items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module in said
        for alias in node.names
        if alias.name not in said[node.module] and f"{node.module}.{alias.name}" not in _modules()
    }
    assert sorted(taken) == []


def test_what_a_module_says_it_has_is_there() -> None:
    absent = [
        f"{name}.{each}"
        for name, path in _modules().items()
        for each in _said(path) or ()
        if name != "ringfence" and each not in _bound(parsed(path).body)
    ]
    assert absent == []


def _modules() -> dict[str, Path]:
    """The modules of the package by name."""
    found = {path.relative_to(PACKAGE.parent).with_suffix("").parts: path for path in PACKAGE.rglob("*.py")}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for parts, path in found.items()}


def _said(path: Path) -> set[str] | None:
    """What a module's ``__all__`` holds; None where it has none: then all that has no underscore is public."""
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value)) if isinstance(node.value, ast.List) else None
    return None


def _bound(body: list[ast.stmt]) -> set[str]:
    """The names that statements bind, those below an ``if`` or ``try`` included."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.If | ast.Try):
            names |= _bound([*node.body, *node.orelse])
        else:
            names |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return names
