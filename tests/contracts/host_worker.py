"""A venue under load that says what it acknowledged, until it is killed, or kills itself at a boundary it is told.

``python -m tests.contracts.host_worker BYTES SECONDS URL SEED START [WHAT WHEN COUNT]``

No file of it grows beyond BYTES and it computes no longer than SECONDS: a boundary that never comes ends as a failure
of the test, not as a full disk.

First line: ``open SEQUENCE DIGEST``. Then a line per acknowledged command: its id, the id of the command that was
journaled for it (another one where prices were merged, ``-`` without events) and a hash of the events.

WHAT is ``append`` or ``snapshot``; WHEN is ``before``, ``after``, or the first word of the SQL statement before which
the process ends; COUNT says at the how-manieth time.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections import deque
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

from ringfence.engine.state import State
from ringfence.engine.wire import encode
from ringfence.host import Host
from ringfence.journal import open_journal
from tests.random_commands import SETUP, Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringfence.engine.events import Event
    from ringfence.journal import Batch

IN_FLIGHT = 48


def die() -> None:
    """End as a power cut would: nothing is flushed, nobody is told."""
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed:
    """A journal that ends its process at one of its own write boundaries."""

    def __init__(self, journal: Any, what: str, when: str, count: int) -> None:
        self._journal = journal
        self._what, self._when, self._left = what, when, count
        self._doing: str | None = None
        if when not in {"before", "after"}:
            self._journal._connection.set_trace_callback(self._trace)  # noqa: SLF001 - behind its back

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def append(self, batches: Sequence[Batch], *, after: int) -> None:
        self._around("append", lambda: self._journal.append(batches, after=after))

    def save_snapshot(self, sequence: int, payload: bytes, digest: bytes) -> None:
        self._around("snapshot", lambda: self._journal.save_snapshot(sequence, payload, digest))

    def _around(self, what: str, write: Callable[[], None]) -> None:
        self._left -= what == self._what
        due = what == self._what and not self._left
        if due and self._when == "before":
            die()
        self._doing = what if due else None
        write()
        self._doing = None
        if due and self._when == "after":
            die()

    def _trace(self, statement: str) -> None:
        if self._doing and statement.strip().startswith(self._when):
            die()


def limit(size: int, seconds: int) -> None:
    """Let this process write no file beyond ``size`` bytes (the venue stops), and end it after ``seconds`` of work."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 60))  # the soft one ends it with SIGXCPU


def outcome_hash(events: tuple[Event, ...]) -> str:
    """Hash what a command led to."""
    return sha256(b"\n".join(map(encode, events))).hexdigest()[:16]


def work(url: str, seed: int, start: int, *doom: str) -> None:
    """Submit commands from number ``start`` of the sequence on, for ever."""
    journal: Any = open_journal(url)
    if doom:
        journal = Doomed(journal, doom[0], doom[1], int(doom[2]))
    host = Host.open(journal, SETUP, snapshot_every=150, group=16)
    sequence, digest = host.look(lambda state: (len(state.handled), State.digest(state).hex()))
    print("open", sequence, digest, flush=True)  # noqa: T201 - what the test listens to
    waiting: deque[Any] = deque()
    for command in islice(Commands(seed), start, None):
        waiting.append((command.id, host.submit(command)))
        if len(waiting) >= IN_FLIGHT:
            name, future = waiting.popleft()
            events = future.result()
            journaled = events[0].command if events else "-"
            print(name, journaled, outcome_hash(events), flush=True)  # noqa: T201


if __name__ == "__main__":
    limit(int(sys.argv[1]), int(sys.argv[2]))
    work(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), *sys.argv[6:])
