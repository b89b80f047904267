"""How many accepted orders per second a venue takes, end to end in memory, on one core.

``python bench/engine.py [--orders 20000] [--traders 200] [--profile]``. JSON on standard output and in out/bench.

The orders: 200 traders with cross margin on two symbols; of four orders two rest near the price and are cancelled
later, one takes what rests best or what the tape's market offers, one market order reduces what its trader holds.
Everything comes from fixed sequences: only the clock differs from run to run. Two figures of the same commands:

``engine``  ``handle`` alone: margin check, matching, fills with postings, reviews, state and digest
``host``    submitted to a host with a journal in memory: the engine, and every command and event written, hashed,
            chained, acknowledged
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
from decimal import Decimal
from itertools import count
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

from measuring import machine, write

from ringfence.engine import commands as asked
from ringfence.engine.decide import handle
from ringfence.engine.events import Refused
from ringfence.engine.setup import PriceGuard, Setup
from ringfence.engine.state import State
from ringfence.host import Host
from ringfence.journal import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event

SETUP = Setup(as_of="2025-10-10", guard=PriceGuard(stale_after=None))
SYMBOLS = {"BTCUSDT": (Decimal(120_000), Decimal("0.010")), "ETHUSDT": (Decimal(4_300), Decimal("0.100"))}
TARGET, STRETCH = 5_000, 20_000


def opening(traders: int, numbers: Iterator[int]) -> list[Command]:
    """Return what funds the traders and sets their leverage, and the first prices."""
    made: list[Command] = []
    for trader in range(traders):
        made.append(asked.Deposit(*head(numbers), f"t{trader}", "USDT", Decimal(1_000_000)))
        made += [asked.SetLeverage(*head(numbers), f"t{trader}", symbol, Decimal(10)) for symbol in SYMBOLS]
    made.append(asked.UpdatePrices(*head(numbers), tuple((symbol, price) for symbol, (price, _) in SYMBOLS.items())))
    return made


def head(numbers: Iterator[int]) -> tuple[str, int]:
    """Return the id and the time of the next command."""
    number = next(numbers)
    return f"c{number}", number * 1_000


def orders(wanted: int, traders: int, numbers: Iterator[int]) -> list[Command]:
    """Return commands with ``wanted`` orders in them: rest, rest, take, reduce; old ones are cancelled."""
    made: list[Command] = []
    for step in range(wanted):
        trader = f"t{step * 7 % traders}"
        symbol, (price, size) = list(SYMBOLS.items())[step // 4 % 2]
        side = "buy" if step // 8 % 2 else "sell"
        away = Decimal(2 + step * 13 % 60) / 10_000
        limit = price * (1 - away if side == "buy" else 1 + away)
        if step % 4 < 2:
            made.append(asked.PlaceOrder(*head(numbers), trader, f"o{step}", symbol, side, size, "limit", limit))
            if step >= 400:
                old = step - 400
                made.append(asked.CancelOrder(*head(numbers), f"t{old * 7 % traders}", f"o{old}"))
        elif step % 4 == 2:
            made.append(asked.PlaceOrder(*head(numbers), trader, f"o{step}", symbol, side, size, "market"))
        else:
            back = f"t{(step - 1) * 7 % traders}"
            other = "sell" if side == "buy" else "buy"
            made.append(asked.PlaceOrder(*head(numbers), back, f"o{step}", symbol, other, size, "market"))
    return made


def accepted(commands: list[Command], outcomes: list[tuple[Event, ...]]) -> int:
    """Return how many orders were taken."""
    return sum(
        isinstance(command, asked.PlaceOrder) and not isinstance(events[0], Refused)
        for command, events in zip(commands, outcomes, strict=True)
    )


def engine(start: list[Command], commands: list[Command]) -> dict[str, Any]:
    """Time ``handle`` alone."""
    state = State(SETUP)
    for command in start:
        handle(state, command)
    began = process_time()
    outcomes = [handle(state, command) for command in commands]
    return figures(commands, outcomes, process_time() - began)


def host(start: list[Command], commands: list[Command]) -> dict[str, Any]:
    """Time the same through a host with a journal in memory; processor time of the whole process."""
    with Host.open(open_journal("memory:"), SETUP, snapshot_every=10**12, group=256, queue=len(commands) + 1) as venue:
        for command in start:
            venue.ask(command)
        began = process_time()
        futures = [venue.submit(command) for command in commands]
        outcomes = [future.result() for future in futures]
        return figures(commands, outcomes, process_time() - began)


def figures(commands: list[Command], outcomes: list[tuple[Event, ...]], seconds: float) -> dict[str, Any]:
    """Return the rates of one run."""
    taken = accepted(commands, outcomes)
    assert taken > 0
    return {
        "commands": len(commands),
        "accepted_orders": taken,
        "events": sum(len(events) for events in outcomes),
        "seconds": round(seconds, 3),
        "accepted_orders_per_second": round(taken / seconds),
        "commands_per_second": round(len(commands) / seconds),
    }


def profiled(start: list[Command], commands: list[Command]) -> list[str]:
    """Return where the engine spends its time, function by function."""
    profile = cProfile.Profile()
    profile.runcall(engine, start, commands)
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = sorted(stats.items(), key=lambda row: -row[1][2])[:25]
    return [
        f"{own:6.2f} s  {calls:>9,} ×  {Path(file).name}:{line} {name}"
        for (file, line, name), (_, calls, own, _, _) in rows
    ]


def main() -> None:
    """Run both, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--traders", type=int, default=200)
    parser.add_argument("--profile", action="store_true", help="also say where the engine spends its time")
    given = parser.parse_args()
    numbers = count(1)
    start = opening(given.traders, numbers)
    commands = orders(given.orders, given.traders, numbers)
    result: dict[str, Any] = {
        "bench": "engine",
        "machine": machine(),
        "target": TARGET,
        "stretch": STRETCH,
        "engine": engine(start, commands),
        "host": host(start, commands),
    }
    if given.profile:
        result["profile"] = profiled(start, commands)
    write("engine", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
