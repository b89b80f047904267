"""How many ticks a replay gets through per second, exactly, with price bands and without.

    python bench/replay.py [--rounds 5]

One account of five positions (the example crash-book without FILUSDT) under both margin architectures through the crash
of 10 October 2025: making the walk, deciding, sampling every minute, all of it in one thread of pure Python. Rounds
alternate; a figure is the median of the rounds' processor time. Both ways must find the same events and the same
samples, or the benchmark fails. Results: out/bench/replay.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from statistics import median
from time import process_time
from typing import TYPE_CHECKING, Any

from measuring import machine, write

from ringfence.study.examples import load_example
from ringfence.study.replay.replay import replay
from ringfence.tape import load_tape

if TYPE_CHECKING:
    from ringfence.account_file import AccountFile
    from ringfence.study.replay.replay import Looking
    from ringfence.study.replay.result import Replay
    from ringfence.tape import Tape

TARGET = 50_000  # ticks per second
WAYS: tuple[Looking, ...] = ("at_band_edges", "at_every_tick")
TICKS_PER_BAR = (16, 60)


def five_positions() -> AccountFile:
    """Return the example account without its sixth position."""
    file = load_example("crash-book")
    kept = tuple(position for position in file.account.positions if position.symbol != "FILUSDT")
    return replace(file, account=replace(file.account, positions=kept))


def timed(file: AccountFile, tape: Tape, *, looking: Looking, ticks_per_bar: int) -> tuple[float, Replay]:
    """Return the processor time of one replay, and the replay."""
    started = process_time()
    result = replay(file, tape, looking=looking, ticks_per_bar=ticks_per_bar)
    return process_time() - started, result


def measure(rounds: int, *, ticks_per_bar: int) -> dict[str, Any]:
    """Return ticks per second both ways. Asserts that both find the same."""
    file, tape = five_positions(), load_tape("2025-10-10")
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    results: dict[str, Replay] = {}
    for _ in range(rounds):
        for way in WAYS:
            spent, results[way] = timed(file, tape, looking=way, ticks_per_bar=ticks_per_bar)
            seconds[way].append(spent)
    banded, every = (results[way] for way in WAYS)
    assert banded.events == every.events
    assert banded.samples == every.samples
    found: dict[str, Any] = {
        "ticks_per_bar": ticks_per_bar,
        "ticks": banded.ticks,
        "events": len(banded.events),
        "samples": sum(len(samples) for samples in banded.samples.values()),
    }
    for way in WAYS:
        middle = median(seconds[way])
        found[way] = {
            "ticks_per_second": round(banded.ticks / middle),
            "seconds": round(middle, 4),
            "best": round(min(seconds[way]), 4),
            "worst": round(max(seconds[way]), 4),
            "looks": results[way].looks,
        }
    found["ratio"] = round(median(seconds["at_every_tick"]) / median(seconds["at_band_edges"]), 1)
    return found


def main() -> int:
    """Measure, print JSON, and return 0 when the target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    runs = [measure(options.rounds, ticks_per_bar=ticks) for ticks in TICKS_PER_BAR]
    slowest = min(run["at_band_edges"]["ticks_per_second"] for run in runs)
    result = {"machine": machine(), "positions": 5, "target": TARGET, "met": slowest >= TARGET, "runs": runs}
    write("replay", result)
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
