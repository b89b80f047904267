"""The documentation runs: Python blocks are executed, and commands print what the page says they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    return [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language == kind]


def with_blocks(kind: str) -> list[Path]:
    return [page for page in PAGES if page.is_file() and blocks(page, kind)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", with_blocks("python"), ids=name)
def test_python_in_the_docs_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {"__name__": "docs"}
    for body in blocks(page, "python"):
        exec(compile(body, name(page), "exec"), scope)  # noqa: S102 - our own pages


@pytest.mark.parametrize("page", with_blocks("console"), ids=name)
def test_commands_in_the_docs_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    save_files(page, tmp_path)
    for body in blocks(page, "console"):
        for command, expected in sessions(body):
            printed = run(command, tmp_path)
            assert matches(expected, printed), f"$ {command}\n--- the page says\n{expected}\n--- printed\n{printed}"


@pytest.mark.parametrize("page", [p for p in PAGES if p.is_file() and "<!-- begin: " in p.read_text("utf-8")], ids=name)
def test_generated_parts_of_the_reference_are_what_the_program_would_write(page: Path) -> None:
    from scripts.refresh_docs import generated

    text = page.read_text(encoding="utf-8")
    assert text == generated(text), "run python scripts/refresh_docs.py"


def save_files(page: Path, folder: Path) -> None:
    """Save the JSON blocks of a page under the name that the text before them gives in backquotes."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"`([\w-]+\.json)`:?\n+```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (folder / found[1]).write_text(found[2], encoding="utf-8")


def sessions(body: str) -> list[tuple[str, str]]:
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    return [(part.split("\n", 1)[0], part.split("\n", 1)[1] if "\n" in part else "") for part in parts]


def run(command: str, folder: Path) -> str:
    here = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    settings = {
        **os.environ,
        "PYTHONPATH": here,
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "PYTHONIOENCODING": "utf-8",
        "TERM": "dumb",
    }
    program = f"ringfence() {{ '{sys.executable}' -m ringfence \"$@\"; }}; {command}"
    done = subprocess.run(
        ["/bin/bash", "-c", program], cwd=folder, env=settings, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + (done.stderr if "2>&1" not in command and done.returncode else "")


def matches(expected: str, printed: str) -> bool:
    """Whether the output is the page's, where a line of three dots on the page stands for any lines."""
    lines = [re.escape(line.rstrip()) for line in expected.rstrip("\n").split("\n")]
    pattern = "\n".join("(?:[^\n]*\n)*?[^\n]*" if line == re.escape("...") else line for line in lines)
    text = "\n".join(line.rstrip() for line in printed.split("\n")).rstrip("\n")
    return expected.strip() == "" or re.fullmatch(pattern, text) is not None
