"""The same work by NumPy, Polars and DuckDB, and beside the margin functions of trading frameworks.

    python bench/screen_peers.py [--small] [--accounts 1000000] [--rounds 5] [--no-peers]

Work: of every margin pool of the population in bench/population, tiers found anew, say which ones the exact lane must
look at, at a list of prices. Each gets its data the way it likes it, prepared and not timed, and must name the same
pools, or the benchmark fails. All take turns; a figure is the median, and the best, of the rounds. NumPy and ringfence
with one thread use processor time; what uses all threads is measured by wall time, ringfence too.

nautilus_trader and freqtrade offer functions for one account at a call, so that theirs is a rate of calls beside a
batch: the same quantity, asked in another way. Results: out/bench/screen_peers.json.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
from accounts import binance_books
from assess import start_peers
from measuring import REPOSITORY, machine, machine_line, table, write
from peers import PeerFailed
from population import FLOORS, RATES, SYMBOLS, Population, draw, shock_path

from ringfence import load_rulebook
from ringfence.account import MarginMode
from ringfence.rulebook import continuous_deductions
from ringfence.screen.columns import pack
from ringfence.screen.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TARGET, STRETCH = 8.0, 20.0
LRVX = (
    "lrvx: no package of that name can be installed from the package index, so its cross-margin engine is not measured"
)


def tiers() -> tuple[Floats, Floats, Floats]:
    """Return floors, rates and deductions of the population's ten brackets."""
    from decimal import Decimal

    rates = [Decimal(rate) for rate in RATES]
    deductions = continuous_deductions(tuple(zip(map(Decimal, FLOORS), rates, strict=True)))
    return np.array(FLOORS, float), np.array(rates, float), np.array(deductions, float)


def numpy_call(people: Population) -> Callable[[Floats], Floats]:
    """Tuned NumPy: the first bracket for everybody, the few above it corrected, sums by ``reduceat``."""
    legs = people.legs
    floors, rates, deductions = tiers()
    symbol = (legs.instrument % SYMBOLS).astype(np.int32)
    size = np.abs(legs.quantity)
    cash = legs.balance - np.add.reduceat(legs.quantity * legs.entry_price, legs.first[:-1])
    starts = legs.first[:-1]
    slope = legs.quantity - size * rates[0]

    def call(prices: Floats) -> Floats:
        price = prices[symbol]
        surplus = slope * price
        value = size * price
        above = np.flatnonzero(value >= floors[1])
        bracket = np.searchsorted(floors, value[above], side="right") - 1
        surplus[above] -= value[above] * (rates[bracket] - rates[0]) - deductions[bracket]
        return np.flatnonzero(np.add.reduceat(surplus, starts) + cash <= 0.0)

    return call


def polars_call(people: Population) -> Callable[[Floats], Floats]:
    """Polars, lazy: prices gathered, the highest of the brackets' lines, sums by pool."""
    legs = people.legs
    _, rates, deductions = tiers()
    counts = np.diff(legs.first)
    frame = pl.LazyFrame({
        "pool": np.repeat(np.arange(people.pools, dtype=np.uint32), counts),
        "symbol": (legs.instrument % SYMBOLS).astype(np.uint32),
        "quantity": legs.quantity,
    })  # fmt: skip
    cash = legs.balance - np.add.reduceat(legs.quantity * legs.entry_price, legs.first[:-1])
    pools = pl.LazyFrame({"pool": np.arange(people.pools, dtype=np.uint32), "cash": cash})

    def call(prices: Floats) -> Floats:
        price = pl.lit(pl.Series(prices)).gather(pl.col("symbol"))
        valued = frame.with_columns(gain=pl.col("quantity") * price)
        value = pl.col("gain").abs()
        lines = [value * rate - less for rate, less in zip(rates, deductions, strict=True)]
        sums = valued.group_by("pool").agg((pl.col("gain") - pl.max_horizontal(lines)).sum().alias("sum"))
        found = sums.join(pools, on="pool").filter(pl.col("sum") + pl.col("cash") <= 0.0).select("pool").collect()
        return np.sort(found["pool"].to_numpy())

    return call


def duckdb_call(people: Population) -> Callable[[Floats], Floats]:
    """DuckDB: prices joined, the greatest of the brackets' lines, sums by pool."""
    legs = people.legs
    _, rates, deductions = tiers()
    base = duckdb.connect()
    counts = np.diff(legs.first)
    held = {"pool": np.repeat(np.arange(people.pools, dtype=np.uint32), counts),
            "symbol": (legs.instrument % SYMBOLS).astype(np.uint16), "quantity": legs.quantity}  # fmt: skip
    cash = legs.balance - np.add.reduceat(legs.quantity * legs.entry_price, legs.first[:-1])
    pools = {"pool": np.arange(people.pools, dtype=np.uint32), "cash": cash}
    for name, columns in (("legs", held), ("pools", pools)):
        base.register("given", pl.DataFrame(columns).to_arrow())
        base.execute(f"CREATE TABLE {name} AS SELECT * FROM given")  # noqa: S608 - two names of our own
        base.unregister("given")
    lines = ", ".join(
        f"abs(quantity) * price * {rate!r} - {less!r}"
        for rate, less in zip(rates.tolist(), deductions.tolist(), strict=True)
    )
    query = f"""
        SELECT pool FROM (SELECT pool, sum(quantity * price - greatest({lines})) AS total
                          FROM legs JOIN prices USING (symbol) GROUP BY pool)
        JOIN pools USING (pool) WHERE total + cash <= 0 ORDER BY pool"""  # noqa: S608 - numbers of our own

    def call(prices: Floats) -> Floats:
        base.register(
            "prices", pl.DataFrame({"symbol": np.arange(SYMBOLS, dtype=np.uint16), "price": prices}).to_arrow()
        )
        return base.execute(query).fetchnumpy()["pool"]  # type: ignore[no-any-return]

    return call


def frameworks(rounds: int) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Return what is known of the frameworks, and seconds per position of each of their calls, round by round."""
    from datetime import date

    book = load_rulebook("binance-usdm", date(2025, 10, 10))
    cross = binance_books(book, (1, 10), MarginMode.CROSS)
    isolated = binance_books(book, (1, 10), MarginMode.ISOLATED)
    workers, about = start_peers(cross, isolated[1])
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for worker in list(workers):
            try:
                answer = worker.ask(ask="round", seconds=0.3)
            except PeerFailed as failure:
                about[worker.name]["failed"] = str(failure)
                workers.remove(worker)
                continue
            for key, value in answer.items():
                call, _, size = key.rpartition(" ")
                seconds.setdefault(f"{worker.name}, {call}, {size} positions", []).append(value / int(size))
    for worker in workers:
        worker.close()
    return about, seconds


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="20,000 accounts, no frameworks: to try it out")
    parser.add_argument("--no-peers", action="store_true", help="without the trading frameworks")
    options, _ = parser.parse_known_args()
    if options.small:
        options.accounts, options.rounds, options.no_peers = 20_000, 2, True
    people = draw(options.accounts, stressed=True)
    path = shock_path(options.rounds + 1, crash=False)
    sweeps = {
        threads: Sweep(pack(people.instruments, people.legs, people.marks), threads=threads) for threads in (1, None)
    }
    calls: dict[str, tuple[Callable[[Floats], Any], Callable[[], float]]] = {
        "ringfence, one thread": (lambda prices: np.sort(sweeps[1].look(prices)), thread_time),
        "ringfence, all threads": (lambda prices: np.sort(sweeps[None].look(prices)), perf_counter),
        "NumPy, tuned": (numpy_call(people), thread_time),
        "Polars, all threads": (polars_call(people), perf_counter),
        "DuckDB, all threads": (duckdb_call(people), perf_counter),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number, factors in enumerate(path):
        print(f"▸ round {number} of {options.rounds}", file=sys.stderr, flush=True)
        prices = people.marks * factors
        expected = None
        for name, (call, clock) in calls.items():
            began = clock()
            found = call(prices)
            if number:  # the first warms up
                seconds[name].append(clock() - began)
            expected = found if expected is None else expected
            assert np.array_equal(found, expected), f"{name} names other pools"
    about, others = ({}, {}) if options.no_peers else frameworks(options.rounds)
    report(people, seconds, about, others)


def report(
    people: Population, seconds: dict[str, list[float]], about: dict[str, Any], others: dict[str, list[float]]
) -> None:
    """Print the result and write it."""
    rows, results = [], []
    for name, found in seconds.items():
        ours = "ringfence, all threads" if "all" in name else "ringfence, one thread"
        times = min(found) / min(seconds[ours])
        note = "" if "ringfence" in name else "target met" if times >= TARGET else "target missed"
        if times >= STRETCH:
            note = "stretch met"
        rows.append([name, f"{1e3 * median(found):,.2f}", f"{1e3 * min(found):,.2f}",
                     f"{people.positions / min(found) / 1e6:,.1f}", f"{times:,.1f}", note])  # fmt: skip
        results.append({"system": name, "median_ms": 1e3 * median(found), "best_ms": 1e3 * min(found),
                        "times_ours": round(times, 2)})  # fmt: skip
    described = machine()
    print(machine_line(described))
    print(f"{people.accounts:,} accounts, {people.positions:,} positions, {people.pools:,} pools; all name the same\n")
    print(
        table(
            (
                "which pools to look at",
                "median ms",
                "best ms",
                "M positions/s",
                "× ours",
                f"≥ {TARGET:.0f}, {STRETCH:.0f}",
            ),
            rows,
        )
    )
    ours_rate = people.positions / min(seconds["ringfence, one thread"])
    rows = [[name, f"{1 / median(found):,.0f}", f"{ours_rate * median(found):,.0f}"] for name, found in others.items()]
    if rows:
        print(f"\n{table(('a call per account', 'positions/s', 'ours, one thread, × that'), rows)}")
    missing = [f"{name}: {peer['failed']}" for name, peer in about.items() if "failed" in peer]
    print("\n" + "\n".join([*missing, LRVX]))
    result = {"schema": "ringfence.bench.screen_peers/1", "machine": described, "accounts": people.accounts,
              "positions": people.positions, "results": results,
              "frameworks": {name: 1 / median(found) for name, found in others.items()},
              "not_measured": [*missing, LRVX]}  # fmt: skip
    print(f"\n{write('screen_peers', result).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
