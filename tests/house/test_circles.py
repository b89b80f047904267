"""No circles of imports: every module stands above those it imports, types only and inside functions included.

The import contracts hold the layers apart; this holds inside each room, too. A circle says that something stands in
the wrong place: usually a type that both need belongs into the lower of them.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.house.source_tree import PACKAGE, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(imports(PACKAGE)) == []


def test_imports_under_type_checking_and_inside_functions_count(tmp_path: Path) -> None:
    package = tmp_path / "rooms"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "hall.py").write_text("if TYPE_CHECKING:\n    from rooms.attic import Beam\n")
    (package / "attic.py").write_text("def climb():\n    from rooms import cellar\n")
    (package / "cellar.py").write_text("import rooms.hall\n")
    (package / "shed.py").write_text("from rooms.hall import door\n")
    assert circles(imports(package)) == [["rooms.attic", "rooms.cellar", "rooms.hall"]]


def imports(package: Path) -> dict[str, set[str]]:
    """Return what each module of a package imports of the package."""
    files = {_name(path, package): path for path in package.rglob("*.py")}
    return {name: set(_imported(path, files)) - {name} for name, path in files.items()}


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module in files:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in files else node.module


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach one another, each in alphabetical order."""
    reached = {name: _reached(name, graph) for name in graph}
    groups = {tuple(sorted(other for other in reached[name] if name in reached[other])) for name in graph}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Return the modules that a chain of imports leads to from one; itself where it comes back."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = graph[ahead.pop()] - found
        found |= new
        ahead += new
    return found
