"""How fast a fleet is built, screened and stressed, and what Ray costs on one machine.

    python bench/fleet.py [--accounts 1000000] [--rounds 3] [--no-ray]

The population is the example's (``ringfence fleet build --example``, seed 1): 3 to 5 positions an account, 500 symbols
by popularity, 30 % isolated, on Binance's tables of 10 October 2025. Everything starts from the fleet's file: reading
it, forming pools, the kernel and the exact lane are all in the time. *Stress* is 200 scenarios: 13 × 13 moves of majors
against all others, and moves of all marks together. Wall time is the best of the rounds; processor time beside it is
that of all threads. Ray must give the same bytes, or the benchmark fails. Accounts in portfolio margin by scenarios
have a part of their own: one or two perpetuals of OKX each. Results: out/bench/fleet.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import REPOSITORY, machine, machine_line, table, write

from ringfence import load_rulebook
from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Position, RiskInputs
from ringfence.fleet import Fleet
from ringfence.fleet.accounts import batch_of
from ringfence.fleet.build import Request, build
from ringfence.fleet.example import write_example
from ringfence.fleet.scenarios import Scenario, grid, steps, together
from ringfence.fleet.schema import Terms
from ringfence.fleet.screening import screen
from ringfence.fleet.stress import Stress, stress

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET, STRETCH = 5.0, 2.0  # seconds for 1 M accounts × 200 scenarios
SCENARIOS = 200
PORTFOLIO_DAY = date(2026, 2, 15)


class Timed(NamedTuple):
    """Seconds on the wall and of processor time, and what came out."""

    wall: float
    processor: float
    result: Any


def timed(call: Callable[[], Any], rounds: int) -> Timed:
    """Return the best wall time of ``rounds`` calls, with its processor time."""
    found = []
    for _ in range(rounds):
        wall, processor = perf_counter(), process_time()
        result = call()
        found.append(Timed(perf_counter() - wall, process_time() - processor, result))
    return min(found, key=lambda one: one.wall)


def scenarios() -> tuple[Scenario, ...]:
    """Return the 200 scenarios."""
    moves = steps(Decimal("0.5"), 13)
    found = (*grid(("BTCUSDT", "ETHUSDT"), moves), *together(steps(Decimal("0.6"), 32)))
    return found[:SCENARIOS]


def same(one: Stress, other: Stress) -> bool:
    """Whether two stresses have the same sums to the last bit."""
    pairs = zip(one.sums[:-1], other.sums[:-1], strict=True)  # the last: why pools are not known
    numbers = all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
    return numbers and bool(one.sums.reasons == other.sums.reasons)


def fleet_of_few(fleet: Fleet) -> Fleet:
    """Return the first hundred accounts, to warm up on."""
    return Fleet(fleet.terms, "few", table=fleet.to_arrow().slice(0, 100).combine_chunks())


def flat_tables(fleet: Fleet, folder: Path, accounts: int) -> tuple[Path, Path]:
    """Write the first accounts' positions and wallets as flat Parquet, as a producer would; return the paths."""
    part = Fleet(fleet.terms, "part", table=fleet.to_arrow().slice(0, accounts).combine_chunks())
    pq.write_table(part.positions(), folder / "positions.parquet")
    wallets = part.to_arrow().select(["account", "wallet"]).combine_chunks()
    lists = wallets["wallet"].chunk(0)
    entries = lists.flatten()
    columns = {"account": wallets["account"], "asset": entries.field("asset"), "balance": entries.field("balance")}
    pq.write_table(type(wallets).from_pydict(columns), folder / "wallets.parquet")
    return folder / "positions.parquet", folder / "wallets.parquet"


def portfolios(accounts: int) -> Fleet:
    """Return accounts in OKX's portfolio margin: dollars and some coin, one or two perpetuals of BTC and ETH."""
    rulebook, random = load_rulebook("okx-swap", PORTFOLIO_DAY), np.random.default_rng(1)
    prices = {"BTC": Decimal(60_000), "ETH": Decimal(2_000)}
    symbols = {coin: f"{coin}-USDT-SWAP" for coin in prices}
    rows = []
    for number in range(accounts):
        held, gross = [], Decimal(0)
        for coin in (("BTC",), ("ETH",), ("BTC", "ETH"))[int(random.integers(3))]:
            value = Decimal(int(random.choice((-1, 1)) * random.integers(1_000, 60_000)))
            size = round(value / (prices[coin] * rulebook.contract(symbols[coin]).contract_size), 2)
            entry = prices[coin] * (100 + int(random.integers(-3, 4))) / 100
            held.append(Position(symbols[coin], size or Decimal(1), entry, MarginMode.CROSS))
            gross += abs(value)
        wallet = {
            "USDT": round(gross * int(random.integers(8, 61)) / 100, 2),
            "BTC": Decimal(int(random.integers(4))) / 100,
        }
        rows.append((f"A{number}", Account(
            positions=tuple(held), wallet=wallet, collateral_mode=CollateralMode.PORTFOLIO, risk=RiskInputs(),
            collateral={"USDT": Collateral(), "BTC": Collateral(prices["BTC"], moves_with="BTC")},
        )))  # fmt: skip
    terms = Terms("okx-swap", as_of=PORTFOLIO_DAY, marks={symbols[coin]: price for coin, price in prices.items()},
                  index=prices, symbols=tuple(sorted(symbols.values())))  # fmt: skip
    return Fleet(terms, "portfolios", table=pa.Table.from_batches([batch_of(rows)[0]]))


def portfolio_rows(accounts: int, rounds: int, note: Callable[..., None]) -> None:
    """Screen and stress accounts with scenario portfolio margin."""
    fleet = portfolios(accounts)
    chosen = together(steps(Decimal("0.5"), SCENARIOS))
    stress(fleet_of_few(fleet), chosen)
    screen(fleet_of_few(fleet))
    screened = timed(lambda: screen(fleet), rounds)
    note(f"screen of {accounts:,} portfolio accounts", screened, accounts, "accounts")
    stressed = timed(lambda: stress(fleet, chosen), 1)
    note(
        f"stress × {len(chosen)} of {accounts:,} portfolio accounts",
        stressed,
        accounts * len(chosen),
        "accounts × scenarios",
    )


def measure(accounts: int, rounds: int, *, ray: bool) -> tuple[list[list[str]], dict[str, Any]]:
    """Return the table's rows and the results by name."""
    rows, results = [], {}

    def note(name: str, found: Timed, count: int, what: str, target: str = "") -> None:
        rows.append(
            [name, f"{found.wall:.2f}", f"{found.processor:.2f}", f"{count / found.wall:,.0f} {what}/s", target]
        )
        print(f"  {name}: {found.wall:.2f} s, {found.processor:.2f} s of processor time", file=sys.stderr)
        results[name] = {"wall": found.wall, "processor": found.processor, "per_second": count / found.wall}

    with tempfile.TemporaryDirectory(dir=REPOSITORY / "out") as name:
        folder = Path(name)
        drawn = timed(lambda: write_example(accounts, 1, folder / "fleet.parquet"), 1)
        fleet = drawn.result.fleet
        note(f"example of {accounts:,} accounts drawn and written", drawn, accounts, "accounts")
        some = min(accounts, 200_000)
        tables = flat_tables(fleet, folder, some)
        request = Request("binance-usdm", fleet.terms.as_of)
        done = timed(lambda: build(tables, folder / "built.parquet", request), 1)
        note(f"build of {some:,} accounts from two flat tables, checked", done, some, "accounts")
        portfolio_rows(accounts // 50, rounds, note)
        chosen = scenarios()
        stress(fleet_of_few(fleet), chosen)  # kernels compiled, or read from their cache
        screened = timed(lambda: screen(fleet), rounds)
        note(f"screen of {accounts:,} accounts, the 20 worst shown", screened, accounts, "accounts")
        alone = timed(lambda: stress(fleet, chosen, threads=1), 1)
        note(f"stress × {len(chosen)}, one thread", alone, accounts * len(chosen), "accounts × scenarios")
        both = timed(lambda: stress(fleet, chosen), rounds)
        met = f"≤ {TARGET:g} s: {'met' if both.wall <= TARGET else 'missed'}"
        met += f"; ≤ {STRETCH:g} s: {'met' if both.wall <= STRETCH else 'missed'}"
        note(f"stress × {len(chosen)}, a thread a core", both, accounts * len(chosen), "accounts × scenarios", met)
        assert same(alone.result, both.result)
        if ray:
            from ringfence.fleet.ray_units import Cluster

            started = perf_counter()
            with Cluster(workers=2) as cluster:
                start = perf_counter() - started
                first = timed(lambda: stress(fleet, chosen, sums=lambda plan: cluster.units(fleet, plan)), 1)
                again = timed(lambda: stress(fleet, chosen, sums=lambda plan: cluster.units(fleet, plan)), rounds)
            assert same(first.result, both.result)
            assert same(again.result, both.result)
            note(
                "the same on a local Ray, two workers, first time",
                first,
                accounts * len(chosen),
                "accounts × scenarios",
            )
            note("the same on a local Ray, again", again, accounts * len(chosen), "accounts × scenarios",
                 f"{again.wall / both.wall:.2f} × one process; start {start:.1f} s")  # fmt: skip
            results["ray_start_seconds"] = start
    return rows, results


def main() -> int:
    """Measure, print a table, and return 0 when the target is met."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--accounts", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--no-ray", action="store_true")
    given = options.parse_args()
    (REPOSITORY / "out").mkdir(exist_ok=True)
    described = machine()
    print(machine_line(described) + "\n")
    rows, results = measure(given.accounts, given.rounds, ray=not given.no_ray)
    print(table(["fleet", "wall s", "processor s", "rate", "target"], rows))
    after = machine()["load_average"]
    print(f"\nload average at the end {after}")
    found = {"machine": described, "load_average_at_the_end": after, "accounts": given.accounts, "results": results,
             "target": TARGET, "stretch": STRETCH}  # fmt: skip
    print(f"written: {write('fleet', found).relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
