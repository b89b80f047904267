"""The house as its tests see it: which files are tracked, and what the Python ones define."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "ringfence"


class Definition(NamedTuple):
    """A function or class, with the dotted name it has inside its file."""

    path: Path
    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

    @property
    def is_public(self) -> bool:
        """Whether neither it nor anything it stands in starts with an underscore."""
        return not any(part.startswith("_") for part in self.name.split("."))

    @property
    def length(self) -> int:
        """Lines from ``def`` or ``class`` to the last line of the body, decorators left out."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    def __str__(self) -> str:
        return f"{self.path.relative_to(REPOSITORY)}:{self.node.lineno} {self.name}"


@cache
def tracked_files() -> tuple[Path, ...]:
    """What git tracks; outside a git checkout (an unpacked archive), every file that is not hidden."""
    listing = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-z"], capture_output=True, check=False, text=True
    )
    if listing.returncode == 0:
        files = (REPOSITORY / name for name in listing.stdout.split("\0") if name)
    else:
        files = (path for path in REPOSITORY.rglob("*") if not _is_hidden(path))
    return tuple(sorted(path for path in files if path.is_file()))


def _is_hidden(path: Path) -> bool:
    """Whether some part of the path inside the repository starts with a dot or holds bytecode."""
    return any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(REPOSITORY).parts)


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def python_files(*roots: str) -> list[Path]:
    """Every Python file below the named top folders, tracked or about to be."""
    return sorted(path for root in roots for path in (REPOSITORY / root).rglob("*.py"))


def definitions(path: Path) -> Iterator[Definition]:
    """Every function, method and class of a file; what stands inside a function is part of that function."""
    yield from _definitions(path, parsed(path), "")


def _definitions(path: Path, parent: ast.AST, prefix: str) -> Iterator[Definition]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found = Definition(path, f"{prefix}{node.name}", node)
            yield found
            if isinstance(node, ast.ClassDef):
                yield from _definitions(path, node, f"{found.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _definitions(path, node, prefix)
