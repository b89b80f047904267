"""The margin core is arithmetic on values: it imports a small part of the standard library, and ringfence."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house.source_tree import PACKAGE, REPOSITORY, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PURE = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",  # "did you mean", in errors
    "enum",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "operator",
    "re",
    "types",
    "typing",
}
# What else the readers of files need, and the engine for its bytes, by their place below src/ringfence.
READING = {
    "account_file": {"json", "pathlib", "tomllib"},
    "guard_rails.py": {"json", "pathlib", "tomllib"},
    "rulebook.py": set(),
    "rulebooks": {"csv", "json", "os", "pathlib", "tomllib"},
    "engine": {"hashlib", "json", "json.encoder"},
}
# Options are priced in floats, in one module that rounds what leaves it: see its docstring.
FLOATING = {"margin/portfolio/black76.py": {"math"}}
CORE = {"errors.py", "numbers.py", "contract.py", "account.py", "ledger.py", "margin", *READING}
HEAVY = {"aiohttp", "asyncio", "ccxt", "fastapi", "numba", "numpy", "pyarrow", "ray", "sqlite3"}


def core_files() -> list[Path]:
    """The files of the core that are written."""
    places = [PACKAGE / name for name in CORE]
    return sorted(path for place in places for path in ([place] if place.is_file() else place.rglob("*.py")))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and module of every absolute import of a file, wherever it stands."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_imports_ringfence_and_its_share_of_the_standard_library_only(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    allowed = PURE | READING.get(place.parts[0], set()) | FLOATING.get(place.as_posix(), set())
    foreign = [
        f"{path.relative_to(REPOSITORY)}:{line} imports {module}"
        for line, module in imported(path)
        if module.split(".")[0] != "ringfence" and module not in allowed
    ]
    assert foreign == []


def test_ringfence_imports_without_any_installed_package() -> None:
    # -S: no site-packages at all; -I would forget PYTHONPATH.
    done = _python("-S", "-c", "import ringfence")
    assert done.returncode == 0, done.stderr


def test_importing_ringfence_loads_nothing_heavy() -> None:
    done = _python("-c", "import sys, ringfence; print(*sys.modules)")
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert "ringfence" in loaded, done.stderr
    assert loaded & HEAVY == set()


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a bare interpreter that sees the working tree and nothing of the caller's environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        check=False,
        text=True,
    )
