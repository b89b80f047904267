"""What may stand in no tracked file. The needles are put together here: this file must hold none either."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.house.source_tree import REPOSITORY, tracked_files

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonHosted".lower(), "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("anaconda", "org"),
    )
]
REGISTRY_HOST = re.compile("|".join(re.escape(host) for host in REGISTRY_HOSTS), re.IGNORECASE)

# A path that holds on one machine only. What comes before tells it from the path of a web address.
MACHINE_FOLDERS = ("home", "root", "tmp", "work", "Users", "mnt", "private")
MACHINE_PATH = re.compile(rf"(?<![\w.:/)*-])/(?:{'|'.join(MACHINE_FOLDERS)})/[\w.]|\b[A-Z]:\\\w")


def _findings(needle: re.Pattern[str]) -> Iterator[str]:
    """Yield ``file:line: text`` for every match in a tracked text file."""
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if needle.search(text):
            for number, line in enumerate(text.splitlines(), 1):
                if needle.search(line):
                    yield f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"


def test_no_tracked_file_names_a_package_registry() -> None:
    assert list(_findings(REGISTRY_HOST)) == []


def test_no_tracked_file_holds_a_path_of_one_machine() -> None:
    assert list(_findings(MACHINE_PATH)) == []


def test_the_needles_find_what_they_are_for() -> None:
    folder = "/".join(("", MACHINE_FOLDERS[0], "someone", "ringfence"))
    assert MACHINE_PATH.search(f'open("{folder}")')
    assert not MACHINE_PATH.search(f"https://example.com{folder}")
    assert REGISTRY_HOST.search(f"https://files.{REGISTRY_HOSTS[1]}/packages")
