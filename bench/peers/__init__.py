"""Other systems, measured beside ringfence: each in an environment of its own, made once, outside the repository.

A peer that does not install or does not start on this Python is reported with the reason; it never fails a benchmark.
A worker process holds one peer; it is asked for one round at a time, so that rounds of all systems interleave.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
INSTALL_MINUTES = 20


class PeerFailed(Exception):
    """A peer could not be installed, started or asked; the text says why."""


class Peer(NamedTuple):
    """A package at the versions that are compared with, and the worker module that holds it."""

    name: str
    requirements: tuple[str, ...]
    worker: str


PEERS = (
    Peer("freqtrade", ("freqtrade==2026.9",), "peers.freqtrade_worker"),
    Peer(
        "nautilus_trader",
        (
            "nautilus_trader==1.221.0; python_version < '3.12'",  # the newest for Python 3.11
            "nautilus_trader==1.231.0; python_version >= '3.12'",
        ),
        "peers.nautilus_worker",
    ),
)


def cache_directory() -> Path:
    """Return where the peers' environments are kept: ringfence-bench in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ringfence-bench"


def environment(peer: Peer) -> Path:
    """Return the interpreter of the peer's environment, made and filled now if it is not there yet.

    Raises PeerFailed with pip's reason.
    """
    folder = cache_directory() / f"{peer.name}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    wanted = "\n".join(peer.requirements)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"▸ installing {peer.name} into the benchmark's cache (once)", file=sys.stderr, flush=True)
    _run(sys.executable, "-m", "venv", "--clear", str(folder))
    _run(str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", "--prefer-binary",
         *peer.requirements)  # fmt: skip
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(*command: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - pip and venv, with fixed arguments
            command, capture_output=True, check=False, text=True, timeout=60 * INSTALL_MINUTES
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerFailed(str(error)) from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason was given"]
        raise PeerFailed(errors[-1].removeprefix("ERROR: ")[:300])


class Worker:
    """One peer in its own process: a question is a line of JSON, and so is the answer."""

    def __init__(self, peer: Peer) -> None:
        """Install the peer if need be and start its worker. Raises PeerFailed."""
        self.name = peer.name
        self._process = subprocess.Popen(  # noqa: S603 - our own worker
            [str(environment(peer)), "-m", peer.worker],
            cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, **question: Any) -> dict[str, Any]:
        """Return the worker's answer. Raises PeerFailed when it has none."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = ""
        if not line:
            _, errors = self._process.communicate()
            raise PeerFailed((errors.strip().splitlines() or ["the worker ended"])[-1][:300])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the worker."""
        if self._process.poll() is None:
            self._process.communicate()
