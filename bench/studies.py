"""How fast the studies of one account answer: advise, stress, rescue and distance.

    python bench/studies.py [--rounds 5]

A cross account of ten positions, made from the packaged tables and a fixed seed. Targets: a grid of 41 × 41 over two
symbols in 0.5 s, 100,000 simulated paths of ten symbols in 3 s, advice in 30 s. Processor time, of all threads, median
over the rounds; for studies that use several cores also the time by the clock on one core and on all, the best of
rounds that alternate. Results: out/bench/studies.json.
"""

from __future__ import annotations

import argparse
import os
from datetime import date
from decimal import Decimal
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from accounts import binance_books
from measuring import REPOSITORY, machine, machine_line, seconds, table, write

from ringfence import assess_account, load_rulebook
from ringfence.account import MarginMode
from ringfence.study.advice.advise import advise
from ringfence.study.advice.scene import Outlook
from ringfence.study.cores import cores
from ringfence.study.likelihood import Horizon, simulate
from ringfence.study.rescue import rescue
from ringfence.study.stress import grid
from ringfence.study.surface import Surface
from ringfence.study.volatility import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from accounts import Book

TARGETS = {
    "advise: 10 positions, 10,000 paths of 7 days": 30.0,
    "stress: grid 41 × 41": 0.5,
    "distance: 100,000 paths of 10 symbols": 3.0,
}

SHARED = ("advise", "distance")  # the studies that use several cores


def calls(book: Book) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; every call starts from the account and its marks."""
    marks, rulebook = book.marks[0], book.rulebook
    symbols = tuple(dict.fromkeys(position.symbol for position in book.account.positions))
    covariance = tuple(tuple(1e-6 if one == other else 6e-7 for other in symbols) for one in symbols)
    estimate = Estimate(symbols, covariance, 1_000, 1.0, "made up", "last")
    prices = {symbol: float(marks[symbol]) for symbol in symbols}

    now = next(a.health for a in assess_account(book.account, marks, rulebook) if a.health is not None)
    wanted = 2 * now

    def heat() -> object:
        surfaces = [Surface(a, marks, rulebook) for a in assess_account(book.account, marks, rulebook) if a.lines]
        return grid(surfaces, (symbols[0], symbols[1]), span=Decimal("0.5"), steps=41)

    def ways() -> object:
        return rescue(book.account, marks=marks, rulebook=rulebook, health=wanted, fee_rate=Decimal("0.0005"))

    def chances() -> object:
        pools = [a for a in assess_account(book.account, marks, rulebook) if a.lines]
        return simulate(pools, estimate, prices, Horizon(60, 100_000, 1))

    def advice() -> object:
        return advise(book.account, marks=marks, rulebook=rulebook, outlook=Outlook(7, 10_000, 1))

    return {
        "advise: 10 positions, 10,000 paths of 7 days": advice,
        "stress: grid 41 × 41": heat,
        "rescue: every way to twice the health": ways,
        "distance: 100,000 paths of 10 symbols": chances,
    }


def walls(call: Callable[[], object], rounds: int) -> tuple[float | None, float | None]:
    """Return the shortest time by the clock on one core and on all; None where a process cannot be held to one."""
    if not hasattr(os, "sched_setaffinity") or cores() < 2:
        return None, None
    every = os.sched_getaffinity(0)
    found: dict[int, list[float]] = {1: [], len(every): []}
    for _ in range(rounds):
        for allowed in ({min(every)}, every):
            os.sched_setaffinity(0, allowed)
            began = perf_counter()
            call()
            found[len(allowed)].append(perf_counter() - began)
    return min(found[1]), min(found[len(every)])


def main() -> None:
    """Time every call and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    book = binance_books(load_rulebook("binance-usdm", date(2025, 10, 10)), (10,), MarginMode.CROSS)[0]
    described = machine()
    print(machine_line(described) + "\n")
    rows, results = [], {}
    for name, call in calls(book).items():
        call()
        taken = [seconds(call) for _ in range(rounds)]
        middle, target = median(taken), TARGETS.get(name)
        met = "" if target is None else f"≤ {target:g} s: {'met' if middle <= target else 'missed'}"
        one, every = walls(call, rounds) if name.startswith(SHARED) else (None, None)
        clock = ["" if found is None else f"{found:.3f}" for found in (one, every)]
        rows.append([name, f"{middle:.3f}", f"{min(taken):.3f}", f"{max(taken):.3f}", *clock, met])
        results[name] = {"seconds": middle, "best": min(taken), "worst": max(taken), "target": target,
                         "clock_on_one_core": one, "clock_on_all_cores": every, "cores": cores()}  # fmt: skip
    headers = ["study of ten cross positions", "s", "best", "worst", "clock, one core", f"{cores()} cores", "target"]
    print(table(headers, rows))
    print(f"\nload average at the end {[round(load, 2) for load in os.getloadavg()]}")
    print(f"\nwritten: {write('studies', {'machine': described, 'results': results}).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
