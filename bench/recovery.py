"""How long a venue takes to be there again after a kill: a snapshot, and a tail of events behind it, on SQLite.

``python bench/recovery.py [--events 500000] [--journal FILE] [--profile]``. JSON on standard output and in out/bench.

The journal is a real one: 200 traders, whose limit orders rest and are cancelled, market orders against the tape's
market, deposits, funding and prices, all decided by the engine and appended by a host. Writing it takes longer than
reading it; ``--journal`` keeps it for the next time. What is timed is ``Host.open`` on the killed venue's files: the
snapshot is read, every entry's place in the hash chain is verified, every event is decoded and applied, and the digest
of the state is compared after every command. ``decided_again``: the same from the commands, for a part of the journal.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from measuring import machine, write

from ringfence.engine import commands as asked
from ringfence.engine.setup import PriceGuard, Setup
from ringfence.host import Host, redecide
from ringfence.journal import open_journal, open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine.commands import Command

SETUP = Setup(as_of="2025-10-10", guard=PriceGuard(stale_after=None), start_fund={"USDT": Decimal(1_000_000)})
SYMBOLS = {"BTCUSDT": (Decimal(60_000), Decimal("0.010")), "ETHUSDT": (Decimal(3_000), Decimal("0.100"))}
TRADERS = 200
TARGET, STRETCH = 60.0, 20.0


def commands() -> Iterator[Command]:
    """Yield commands for ever, from fixed sequences: only the clock differs from run to run."""
    numbers = count(1)

    def head() -> tuple[str, int]:
        number = next(numbers)
        return f"c{number}", number * 1_000

    for trader in range(TRADERS):
        yield asked.Deposit(*head(), f"t{trader}", "USDT", Decimal(100_000))
        for symbol in SYMBOLS:
            yield asked.SetLeverage(*head(), f"t{trader}", symbol, Decimal(10))
    yield asked.UpdatePrices(*head(), tuple((symbol, price) for symbol, (price, _) in SYMBOLS.items()))
    for step in count():
        trader = f"t{step * 7 % TRADERS}"
        symbol, (price, size) = list(SYMBOLS.items())[step % 2]
        side = "buy" if step // 2 % 2 else "sell"
        away = (
            Decimal(1) - Decimal(5 + step % 40) / 1000 if side == "buy" else Decimal(1) + Decimal(5 + step % 40) / 1000
        )
        yield asked.PlaceOrder(*head(), trader, f"o{step}", symbol, side, size, "limit", price * away)
        yield asked.CancelOrder(*head(), trader, f"o{step}")
        if step % 8 == 0:
            taker = f"t{step * 3 % 20}"
            yield asked.PlaceOrder(*head(), taker, f"m{step}", symbol, side, size, "market")
        if step % 4 == 0:
            drift = Decimal(step * 31 % 21 - 10) / 10_000
            yield asked.UpdatePrices(
                *head(), tuple((name, start * (1 + drift)) for name, (start, _) in SYMBOLS.items())
            )
        if step % 50 == 0:
            yield asked.Deposit(*head(), trader, "USDT", Decimal(5))
        if step % 5_000 == 4_999:
            yield asked.SettleFunding(*head(), symbol, Decimal("0.0001"))


def build(path: Path, events: int) -> float:
    """Write a journal with a snapshot near its beginning and ``events`` events behind it; return the seconds."""
    started = perf_counter()
    source = commands()
    with Host.open(open_journal(str(path)), SETUP, snapshot_every=10**12, group=1_000) as host:
        for command in islice(source, 3 * TRADERS + 1):
            host.ask(command)
    journal = open_journal(str(path))
    host = Host.open(journal, snapshot_every=10**12, group=1_000)
    done = 0
    while done < events:
        futures = [host.submit(command) for command in islice(source, 5_000)]
        done += sum(len(future.result()) for future in futures)
        sys.stderr.write(f"\r{done:,} of {events:,} events written, {perf_counter() - started:.0f} s ")
    sys.stderr.write("\n")
    journal.close()  # not the host: that would keep a snapshot of the end, and a killed one has none
    return perf_counter() - started


def recover(path: Path) -> dict[str, Any]:
    """Open the venue, time it, and leave its files as they were: without a snapshot of the end."""
    journal = open_journal(str(path))
    started, processor = perf_counter(), process_time()
    host = Host.open(journal, snapshot_every=10**12)
    seconds, processor = perf_counter() - started, process_time() - processor
    found = host.recovery
    host.ask(asked.Review(f"after {found.entries}", 0))
    journal.close()
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "snapshot_of_entry": found.snapshot,
        "entries": found.entries,
        "events": found.events,
        "events_per_second": round(found.events / seconds),
    }


def decide_again(path: Path, entries: int) -> dict[str, Any]:
    """Decide the first ``entries`` entries again from their commands, and compare them byte by byte."""
    started = perf_counter()
    with open_reader(str(path)) as reader:
        steps = list(islice(redecide(reader), entries))
    seconds = perf_counter() - started
    return {"entries": len(steps), "seconds": round(seconds, 2), "entries_per_second": round(len(steps) / seconds)}


def profiled(path: Path) -> list[str]:
    """Return where a recovery spends its time, function by function."""
    profile = cProfile.Profile()
    profile.runcall(recover, path)
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = sorted(stats.items(), key=lambda row: -row[1][2])[:15]
    return [
        f"{own:6.2f} s  {calls:>9,} ×  {Path(file).name}:{line} {name}"
        for (file, line, name), (_, calls, own, _, _) in rows
    ]


def main() -> None:
    """Build, recover, decide a part again, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path: Path = given.journal or Path(folder) / "venue.journal"
        writing = None if path.exists() else build(path, given.events)
        result: dict[str, Any] = {
            "schema": "ringfence.bench-recovery/1",
            "machine": machine(),
            "writing_seconds": None if writing is None else round(writing, 1),
            "journal_megabytes": round(path.stat().st_size / 1e6, 1),
            "recovery": recover(path),
            "target_seconds": TARGET,
            "stretch_seconds": STRETCH,
            "decided_again": decide_again(path, 20_000),
        }
        if given.profile:
            result["profile"] = profiled(path)
    print(json.dumps(result, indent=2, ensure_ascii=False))
    write("recovery", result)


if __name__ == "__main__":
    main()
