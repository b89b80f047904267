"""Run every command in the documentation and write down what it prints, so that the pages say what the program says.

Usage: python scripts/refresh_docs.py [PAGE…]. A line of three dots on a page stays: it stands for lines left out, and
what is before and after it is then not refreshed. tests/house/test_docs.py holds the pages to the program.
"""

from __future__ import annotations

import re
import sys
import tempfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scripts.reference_pages import PARTS  # noqa: E402 - after the path is known
from tests.house.test_docs import PAGES, run, save_files, sessions  # noqa: E402 - after the path is known

GENERATED = re.compile(r"^(<!-- begin: (\w+) -->)$\n(.*?)^(<!-- end -->)$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def refreshed(body: str, folder: Path) -> str:
    """Return a console block with what its commands print now."""
    parts = []
    for command, expected in sessions(body):
        printed = expected if "\n...\n" in f"\n{expected}" else run(command, folder)
        lines = "\n".join(line.rstrip() for line in printed.split("\n")).rstrip("\n").split("\n")
        parts.append(f"$ {command}\n" + "".join(f"{line}\n" for line in lines if printed.strip() or line))
    return "\n".join(parts) if len(parts) > 1 else parts[0]


def _block(found: re.Match[str], *, folder: Path) -> str:
    return f"```console\n{refreshed(found[1], folder)}```"


def generated(text: str) -> str:
    """Return a page with the parts that the program writes, written anew."""
    return GENERATED.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}{found[4]}", text)


def main(pages: list[str]) -> None:
    """Refresh the pages named, or all of them."""
    for page in [Path(name).resolve() for name in pages] or PAGES:
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            save_files(page, folder)
            new = FENCE.sub(partial(_block, folder=folder), text)
        new = generated(new)
        if new != text:
            page.write_text(new, encoding="utf-8")
            sys.stdout.write(f"refreshed {page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
