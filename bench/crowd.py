"""How long a crowd of a thousand accounts takes through one day of minutes on three symbols, on the engine.

    python bench/crowd.py [--accounts 1000] [--ticks-per-bar 16] [--rounds 1] [--profile]

One architecture at a time, one process, pure Python: making the walk, screening, deciding, every liquidation with its
postings, a sample a minute. The tape is 24 hours of BTCUSDT, ETHUSDT and SOLUSDT from the data beside the repository
(RINGFENCE_DATA); without it the packaged crash of 10 October 2025, eight hours of three symbols, whose time is tripled
and said to be. Seconds are processor time. The trial balance must be zero, or the benchmark fails. Results:
out/bench/crowd.json.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from measuring import REPOSITORY, machine, write

from ringfence.study.crowd.crowd import Options, replay_crowd
from ringfence.study.crowd.result import HOLDINGS
from ringfence.tape import Tape, load_tape

TARGET, STRETCH = 60.0, 20.0  # seconds for one architecture
DAY = datetime(2025, 5, 19, tzinfo=UTC)  # the day with the largest fall on that tape, −8 %
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
FILE = "binance_usdm_1m_20250504_20250615_multi.parquet"


def day_of_three() -> tuple[Tape, int, str]:
    """Return the tape, how many times its time counts, and what it is."""
    folder = Path(os.environ.get("RINGFENCE_DATA") or REPOSITORY.parent / "shared" / "data")
    path = folder / "prices" / FILE
    if path.is_file():
        whole = load_tape(str(path)).select(symbols=SYMBOLS)
        day = whole.select(start=DAY, end=DAY + timedelta(days=1))
        assert len(day) == 3 * 24 * 60
        return day, 1, f"{FILE}, {DAY:%Y-%m-%d}"
    packaged = load_tape("2025-10-10").select(symbols=("BTCUSDT", "AVAXUSDT", "LINKUSDT"))
    return packaged, 3, "packaged 2025-10-10, eight hours, time tripled"


def measure(accounts: int, ticks_per_bar: int, rounds: int) -> dict[str, Any]:
    """Return seconds of processor time per architecture."""
    tape, times, name = day_of_three()
    seconds: dict[str, list[float]] = {holding: [] for holding in HOLDINGS}
    for _ in range(rounds):
        crowd = replay_crowd(accounts, tape, seed=1, options=Options(ticks_per_bar=ticks_per_bar))
        for holding, outcome in crowd.outcomes.items():
            assert not any(outcome.trial_balance.values()), holding
            seconds[holding].append(outcome.seconds * times)
    return {
        "tape": name,
        "accounts": accounts,
        "positions": crowd.outcomes["isolated"].positions,
        "bars": len(tape),
        "ticks_per_bar": ticks_per_bar,
        "runs": {
            holding: {
                "seconds": round(median(seconds[holding]), 2),
                "updates": outcome.updates,
                "events": outcome.events,
                "assessed_by_the_screen": outcome.assessed,
                "suspects": outcome.suspects,
                "liquidated_accounts": outcome.liquidated,
            }
            for holding, outcome in crowd.outcomes.items()
        },
    }


def main() -> int:
    """Measure, print JSON, and return 0 when the target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--ticks-per-bar", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="print where the time goes, too")
    options = parser.parse_args()
    profiler = cProfile.Profile()
    if options.profile:
        profiler.enable()
    found = measure(options.accounts, options.ticks_per_bar, options.rounds)
    if options.profile:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    slowest = max(run["seconds"] for run in found["runs"].values())
    result = {
        "machine": machine(), "target": TARGET, "stretch": STRETCH, "slowest": slowest, "met": slowest <= TARGET,
        "stretch_met": slowest <= STRETCH, **found,
    }  # fmt: skip
    if not options.profile:
        write("crowd", result)
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
