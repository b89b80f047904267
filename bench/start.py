"""How long ringfence takes to start: the import alone, and the command line as a whole process.

    python bench/start.py [--rounds 15]

Every round starts each command once; before that each has run once, so that bytecode and files are cached. Processor
time (user and system) stands beside wall time: it hardly depends on what else the machine does. Results:
out/bench/start.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from accounts import Book, binance_books
from measuring import REPOSITORY, machine, machine_line, table, write

from ringfence import load_rulebook
from ringfence.account import MarginMode

BARE = "python -c pass"
COMMAND_LINE = "from ringfence.cli import main; main()"  # what the installed script runs


class Run(NamedTuple):
    """One process: wall and processor time in milliseconds."""

    wall: float
    processor: float


def account_text(book: Book) -> str:
    """Return the account file of a book."""
    positions = [
        {
            "symbol": p.symbol,
            "side": p.side,
            "quantity": str(abs(p.quantity)),
            "entry_price": str(p.entry_price),
            "mark_price": str(book.marks[0][p.symbol]),
            "margin_mode": p.margin_mode.value,
            "leverage": str(p.leverage),
        }
        for p in book.account.positions
    ]
    wallet = {asset: str(balance) for asset, balance in book.account.wallet.items()}
    return json.dumps(
        {"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": {"wallet": wallet, "positions": positions}}
    )


def run(arguments: list[str]) -> Run:
    """Run the interpreter with ``arguments`` to its end; raises CalledProcessError when it ends with an error."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = perf_counter()
    subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, *arguments],
        capture_output=True,
        check=True,
        text=True,
    )
    wall = perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(1000 * wall, 1000 * processor)


def measure(commands: dict[str, list[str]], rounds: int) -> tuple[dict[str, list[Run]], dict[str, str]]:
    """Return the runs of every command, and why a command that failed was not measured."""
    failed: dict[str, str] = {}
    for name, arguments in commands.items():
        try:
            run(arguments)
        except subprocess.CalledProcessError as error:
            failed[name] = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
    runs: dict[str, list[Run]] = {name: [] for name in commands if name not in failed}
    for _ in range(rounds):
        for name, taken in runs.items():
            taken.append(run(commands[name]))
    return runs, failed


def figures(taken: list[Run], bare: list[Run]) -> dict[str, float]:
    """Return best and median of wall and processor time, whole and above the bare interpreter, in milliseconds."""
    return {
        "best": round(min(each.wall for each in taken), 1),
        "median": round(median(each.wall for each in taken), 1),
        "best_above_bare": round(min(each.wall for each in taken) - min(each.wall for each in bare), 1),
        "median_above_bare": round(median(each.wall - empty.wall for each, empty in zip(taken, bare, strict=True)), 1),
        "processor_median": round(median(each.processor for each in taken), 1),
    }


def commands(file: Path) -> dict[str, list[str]]:
    """Return what is started, by the name it is reported under."""
    return {
        BARE: ["-c", "pass"],
        "import ringfence": ["-c", "import ringfence"],
        "from ringfence import *": ["-c", "from ringfence import *"],
        "ringfence --help": ["-c", COMMAND_LINE, "--help"],
        "ringfence assess FILE": ["-c", COMMAND_LINE, "assess", str(file)],
        "ringfence assess FILE --json": ["-c", COMMAND_LINE, "assess", str(file), "--json"],
    }


# name → (figure, milliseconds at most)
TARGETS = {
    "import ringfence": ("median_above_bare", 60.0),
    "ringfence assess FILE": ("median", 300.0),
    "ringfence assess FILE --json": ("median", 300.0),
}


def report(result: dict[str, Any]) -> None:
    """Print the result."""
    print(machine_line(result["machine"]))
    print(f"{result['rounds']} rounds, milliseconds; FILE holds 10 positions in one cross pool\n")
    rows = []
    for name, found in result["results"].items():
        figure, limit = TARGETS.get(name, ("", 0.0))
        note = (
            f"{figure.replace('_', ' ')} ≤ {limit:.0f}: {'met' if found[figure] <= limit else 'missed'}"
            if figure
            else ""
        )
        rows.append([name, *(f"{found[key]:.1f}" for key in found), note])
    headers = ("process", "best", "median", "best above bare", "median above bare", "processor, median", "target")
    print(table(headers, rows))
    for name, reason in result["not_measured"].items():
        print(f"{name} was not measured: {reason}")


def main() -> None:
    """Measure, print, and write the JSON; ends with 1 when a command did not work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each command is started")
    options, _ = parser.parse_known_args()
    described = machine()
    (book,) = binance_books(load_rulebook("binance-usdm", date(2025, 10, 10)), [10], MarginMode.CROSS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "account.json"
        file.write_text(account_text(book), encoding="utf-8")
        runs, failed = measure(commands(file), options.rounds)
    result = {
        "schema": "ringfence.bench.start/1",
        "machine": described,
        "load_average_at_the_end": machine()["load_average"],
        "rounds": options.rounds,
        "results": {name: figures(taken, runs[BARE]) for name, taken in runs.items()},
        "not_measured": failed,
        "targets": {name: {"figure": figure, "at_most": limit} for name, (figure, limit) in TARGETS.items()},
    }
    report(result)
    print(f"\n{write('start', result).relative_to(REPOSITORY)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
