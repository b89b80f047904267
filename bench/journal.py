"""How many events a second a journal takes, hashed and durable, and what limits it.

    python bench/journal.py [--rounds 5] [--events 20000] [--postgres URL]

A group is appended whole: its events are hashed into the chain, written, and on the disk before append returns. Events
and commands are 120 bytes, digests 32; a command leads to one event (the hardest case: as many commands and hashes as
events), to two or to four. Only the appends are timed, by the clock on the wall, for what a disk takes is no processor
time. In every round each storage is measured once, on a journal that is empty at first.

Storages: memory (encoding and hashing, nothing kept on a disk); SQLite, durable; the same without waiting for the disk
(``synchronous=OFF``, which no journal of ours runs with); PostgreSQL, durable, when a server can be had.

Then SQLite at groups of 1,000 in parts, the disk by itself, and reading with verification, which is what recovery
begins with. Results: out/bench/journal.json.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from measuring import REPOSITORY, machine, machine_line, table, write

from ringfence.journal import GENESIS, Batch, Journal, open_journal
from ringfence.journal.chain import linked_rows
from ringfence.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROUPS = (1, 10, 100, 1_000)  # events
EVENTS_PER_COMMAND = (1, 2, 4)
EVENT_BYTES = 120
FULL, WITHOUT_SYNC, MEMORY, POSTGRES = "SQLite", "SQLite, no sync", "memory", "PostgreSQL"
TARGET, STRETCH = 100_000, 300_000  # events a second, SQLite, groups of 1,000


def groups(*, size: int, events: int, per_command: int) -> list[list[Batch]]:
    """Groups of ``size`` events, of one command per ``per_command`` of them, all bytes different."""
    commands = size // per_command
    batches = [
        Batch(
            number,
            b"%0*d" % (EVENT_BYTES, number),
            tuple(b"%0*d" % (EVENT_BYTES, number * 10 + event) for event in range(per_command)),
            b"%032d" % number,
        )
        for number in range(1, max(1, events // size) * commands + 1)
    ]
    return [batches[first : first + commands] for first in range(0, len(batches), commands)]


def seconds_to_append(journal: Journal, written: Sequence[Sequence[Batch]]) -> float:
    """Append the groups one after another; return the seconds of the appends alone."""
    started = perf_counter()
    for group in written:
        journal.append(group, after=group[0].sequence - 1)
    elapsed = perf_counter() - started
    assert journal.head().sequence == written[-1][-1].sequence
    return elapsed


class Timed:
    """A connection that keeps the seconds of its statements, by their first word."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def execute(self, statement: str, *values: Any) -> Any:
        """Run and time one statement."""
        return self._timed(self.connection.execute, statement, *values)

    def executemany(self, statement: str, *values: Any) -> Any:
        """Run and time one statement over many rows."""
        return self._timed(self.connection.executemany, statement, *values)

    def _timed(self, run: Callable[..., Any], statement: str, *values: Any) -> Any:
        started = perf_counter()
        done = run(statement, *values)
        self.seconds[statement.split(maxsplit=1)[0]].append(perf_counter() - started)
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


class Storages:
    """Opens an empty journal of every kind, in a folder that is removed at the end."""

    def __init__(self, folder: Path, postgres: str | None) -> None:
        self.folder = folder
        self.postgres = postgres
        self.names = [MEMORY, FULL, WITHOUT_SYNC, *([POSTGRES] if postgres else [])]
        self._count = 0

    def journal(self, name: str) -> Journal:
        """Return a new journal."""
        self._count += 1
        if name == MEMORY:
            return open_journal("memory:")
        if name == POSTGRES:
            assert self.postgres is not None
            import psycopg

            with psycopg.connect(self.postgres, autocommit=True) as connection:
                connection.execute("DROP SCHEMA IF EXISTS ringfence_journal CASCADE")
                connection.execute("CHECKPOINT")
            return open_journal(self.postgres)
        journal = SqliteJournal(self.folder / f"{self._count}.journal")
        if name == WITHOUT_SYNC:
            vars(journal)["_connection"].execute("PRAGMA synchronous = OFF")
        return journal


def rates(storages: Storages, *, rounds: int, events: int) -> list[dict[str, Any]]:
    """Events a second of every storage, group size and number of events per command: median, best and worst round."""
    results = []
    for per_command in EVENTS_PER_COMMAND:
        for size in GROUPS:
            if size < per_command:
                continue
            written = groups(size=size, events=min(events, 1_000 * size), per_command=per_command)
            count = sum(len(batch.events) for group in written for batch in group)
            seconds: dict[str, list[float]] = defaultdict(list)
            for _ in range(rounds):
                for name in storages.names:
                    with storages.journal(name) as journal:
                        seconds[name].append(seconds_to_append(journal, written))
            results += [
                {
                    "storage": name,
                    "events_per_command": per_command,
                    "group": size,
                    "events_per_second": round(count / median(took)),
                    "best": round(count / min(took)),
                    "worst": round(count / max(took)),
                }
                for name, took in seconds.items()
            ]
    return results


def parts(storages: Storages, *, events: int) -> dict[str, float]:
    """Milliseconds that SQLite's append of 1,000 events spends in each of its parts, means over all groups."""
    written = groups(size=1_000, events=events, per_command=1)
    head, started = GENESIS, perf_counter()
    for group in written:
        rows = linked_rows(group, head=head, after=head.sequence)
        head = type(head)(rows[-1][0], rows[-1][4])
    linking = perf_counter() - started
    with storages.journal(FULL) as journal:
        timed = vars(journal)["_connection"] = Timed(vars(journal)["_connection"])
        whole = seconds_to_append(journal, written)
        vars(journal)["_connection"] = timed.connection
    commits = timed.seconds["COMMIT"]
    ordinary = median(commits)
    taken = {
        "pack and hash": linking,
        "insert the rows": sum(timed.seconds["INSERT"]),
        "move the head": sum(timed.seconds["UPDATE"]) + sum(timed.seconds["BEGIN"]),
        "commit: write and sync the log": ordinary * len(commits),
        "commit: copy the log into the file": sum(commits) - ordinary * len(commits),
        "all": whole,
    }
    return {part: round(seconds / len(written) * 1_000, 3) for part, seconds in taken.items()}


def disk(folder: Path, *, size: int, times: int = 200) -> dict[str, float]:
    """Milliseconds to write and sync ``size`` bytes at the end of a file, nothing else done: median and worst."""
    path = folder / "disk"
    data = os.urandom(size)
    took = []
    with path.open("ab", buffering=0) as file:
        for _ in range(times):
            started = perf_counter()
            file.write(data)
            os.fsync(file.fileno())
            took.append(perf_counter() - started)
    path.unlink()
    return {"bytes": size, "median": round(median(took) * 1_000, 3), "worst": round(max(took) * 1_000, 3)}


def reading(storages: Storages, *, events: int) -> list[dict[str, Any]]:
    """Events a second read back with the chain verified."""
    results = []
    for per_command in EVENTS_PER_COMMAND:
        written = groups(size=1_000, events=events, per_command=per_command)
        for name in storages.names:
            if name == WITHOUT_SYNC:
                continue
            with storages.journal(name) as journal:
                seconds_to_append(journal, written)
                started = perf_counter()
                count = sum(len(entry.events) for entry in journal.read())
                took = perf_counter() - started
            results.append(
                {"storage": name, "events_per_command": per_command, "events_per_second": round(count / took)}
            )
    return results


def report(result: dict[str, Any]) -> str:
    """Return the figures as text."""
    names = list(dict.fromkeys(row["storage"] for row in result["append"]))
    found = {(row["events_per_command"], row["group"], row["storage"]): row for row in result["append"]}
    rows = [
        [f"{group:,} ({per_command} per command)", *(_rate(found[per_command, group, name]) for name in names)]
        for per_command, group in dict.fromkeys((row["events_per_command"], row["group"]) for row in result["append"])
    ]
    whole = result["parts"]["all"]
    return "\n".join(
        [
            machine_line(result["machine"]),
            f"SQLite {result['sqlite']}",
            "",
            "Events a second appended, median (worst–best round)",
            table(["group of events", *names], rows),
            "",
            "SQLite, 1,000 commands of one event: milliseconds per group, and share",
            table(
                ["part", "ms", "share"],
                [[part, f"{ms:.3f}", f"{ms / whole:.0%}"] for part, ms in result["parts"].items()],
            ),
            "",
            "The disk alone: " + "; ".join(
                "{bytes:,} bytes written and synced in {median} ms (worst {worst})".format(**one)
                for one in result["disk"]
            ),
            "",
            "Events a second read back, verified",
            table(
                ["events per command", "storage", "events/s"],
                [
                    [str(row["events_per_command"]), row["storage"], f"{row['events_per_second']:,}"]
                    for row in result["read"]
                ],
            ),
            "",
            f"Target {TARGET:,}, stretch {STRETCH:,} (SQLite, groups of 1,000): "
            + ", ".join(
                f"{found[per_command, 1_000, FULL]['events_per_second']:,} with {per_command} event(s) per command"
                for per_command in EVENTS_PER_COMMAND
            ),
        ]
    )  # fmt: skip


def _rate(row: dict[str, Any]) -> str:
    return f"{row['events_per_second']:,} ({row['worst']:,}–{row['best']:,})"


def postgres(stack: ExitStack, given: str | None) -> str | None:
    """Return the URL of a server: the one given, or one started for the benchmark, or None with the reason printed."""
    if given:
        return given
    sys.path.append(str(REPOSITORY))  # the tests know how to start one
    from tests.contracts.postgres_server import NoServer, postgres_server

    try:
        import psycopg  # noqa: F401 - whether it is there

        return stack.enter_context(postgres_server())
    except (ImportError, NoServer) as error:
        print(f"PostgreSQL is left out: {error}")
        return None


def main() -> None:
    """Measure, write the results and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=50_000, help="per round, at groups of 1,000")
    parser.add_argument(
        "--postgres", metavar="URL", help="a server to measure; its ringfence_journal schema is dropped"
    )
    parser.add_argument("--folder", type=Path, help="where to write, if not where temporary files go")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = postgres(stack, options.postgres)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        storages = Storages(folder, url)
        result = {
            "machine": machine(),
            "sqlite": sqlite3.sqlite_version,
            "append": rates(storages, rounds=options.rounds, events=options.events),
            "parts": parts(storages, events=4 * options.events),
            "disk": [disk(folder, size=size) for size in (4_096, 400_000)],
            "read": reading(storages, events=2 * options.events),
        }
    print(report(result))
    write("journal", result)


if __name__ == "__main__":
    main()
