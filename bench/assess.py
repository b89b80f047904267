"""How fast an account is assessed, exactly, beside freqtrade's and nautilus_trader's functions.

    python bench/assess.py [--rounds 5] [--seconds 0.15] [--no-peers]

Accounts of 1, 10 and 100 positions: *totals* (every pool's balances, margins, health and status) and *everything*
(that, plus the liquidation and the bankruptcy price of every position). All systems take turns, round by round; a
figure is the median over the rounds of a round's mean, in processor time. Prices change from call to call. Results:
out/bench/assess.json.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from datetime import date
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any

from accounts import TAKER_FEE, Book, binance_books, bybit_books, inverse_books, peer_trades
from measuring import REPOSITORY, machine, machine_line, seconds_per_call, summary, table, write
from peers import PEERS, PeerFailed, Worker

from ringfence import assess_account, bankruptcy_price, liquidation_price, load_rulebook
from ringfence.account import MarginMode
from ringfence.margin.price import liquidation_prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence import Assessment

SIZES = (1, 10, 100)
TARGETS = {("Binance cross", "totals", 10): 150.0, ("Binance cross", "everything", 10): 500.0}
PEER_MEANING = """\
ringfence computes in exact Decimal, looks tiers up by notional, accepts a price only inside its own tier, and values
every position at its mark. It is pure: account, marks and rulebook in, all figures out, nothing kept between calls.
freqtrade computes one price per call, in float, in one tier: the one that the *stake* (collateral) falls in rather than
the notional. In cross margin it counts other shorts as if they were long. It has no totals and no bankruptcy price.
nautilus_trader computes notional × a flat rate, and PnL, per position: no tiers, no liquidation price, no sum.
"""
# (peer, its call) → our call that answers the same question
COUNTERPARTS = {
    ("freqtrade", "cross"): ("Binance cross", "everything"),
    ("freqtrade", "isolated"): ("Binance isolated", "everything"),
    ("nautilus_trader", "maintenance and pnl"): ("Binance cross", "totals"),
}


def totals(book: Book, marks: dict[str, Decimal]) -> list[Any]:
    """Return every pool with its health and status."""
    return [(pool, pool.health, pool.status) for pool in assess_account(book.account, marks, book.rulebook)]


def everything(book: Book, marks: dict[str, Decimal]) -> list[Any]:
    """Return every pool with health, status, and the liquidation and bankruptcy price of each of its positions."""
    return [(pool, pool.health, pool.status, list(_prices(pool))) for pool in assess_account(
        book.account, marks, book.rulebook)]  # fmt: skip


def _prices(pool: Assessment) -> Iterator[tuple[Decimal | None, Decimal | None]]:
    for line in pool.lines:
        position = line.position
        liquidated = liquidation_prices(pool, position.symbol).of_side(position.side)
        yield liquidated, bankruptcy_price(pool, line)


def turning(call: Callable[[Book, dict[str, Decimal]], object], book: Book) -> Callable[[], object]:
    """Return ``call`` on ``book`` at the next of its marks each time."""
    marks = book.turning_marks()
    return lambda: call(book, next(marks))


def our_calls() -> dict[tuple[str, str, int], Callable[[], object]]:
    """Return what is timed of ringfence, by (account, call, positions)."""
    day = date(2025, 10, 10)
    binance = load_rulebook("binance-usdm", day)
    books = [
        *(("Binance cross", book) for book in binance_books(binance, SIZES, MarginMode.CROSS)),
        *(("Binance isolated", book) for book in binance_books(binance, SIZES, MarginMode.ISOLATED)),
        *(("Bybit unified, basket", book) for book in bybit_books(load_rulebook("bybit-uta"), SIZES)),
        *(("Binance inverse, cross", book) for book in inverse_books(load_rulebook("binance-coinm"), SIZES)),
    ]
    calls: dict[tuple[str, str, int], Callable[[], object]] = {}
    for name, book in books:
        size = len(book.account.positions)
        found = everything(book, book.marks[0])
        assert all(health is not None for pool, health, _, _ in found if pool.lines), f"{name}: no health"
        assert any(price for _, _, _, prices in found for price, _ in prices), f"{name}: no price"
        calls[name, "totals", size] = turning(totals, book)
        calls[name, "everything", size] = turning(everything, book)
    for book in binance_books(binance, (1, 10), MarginMode.CROSS):
        calls["Binance cross", "one liquidation price, from nothing", len(book.account.positions)] = turning(
            _one_price, book
        )
        calls["Binance cross", "one liquidation price, pool assessed", len(book.account.positions)] = _known_price(book)
    return calls


def _one_price(book: Book, marks: dict[str, Decimal]) -> object:
    return liquidation_price(book.pool, book.account.positions[0].symbol, marks, book.rulebook)


def _known_price(book: Book) -> Callable[[], object]:
    (pool,) = assess_account(book.account, book.marks[0], book.rulebook)
    symbol = book.account.positions[0].symbol
    return lambda: liquidation_prices(pool, symbol)


def start_peers(books: list[Book], compared: Book) -> tuple[list[Worker], dict[str, dict[str, Any]]]:
    """Start every peer that can be; return the workers, and per peer its first answer or why there is none."""
    question = {
        "tiers": _peer_tiers(books[-1]),
        "books": [peer_trades(book) for book in books],
        "compared": peer_trades(compared),
        "marks": {_pair(symbol): float(price) for symbol, price in compared.marks[0].items()},
    }
    workers, about = [], {}
    for peer in PEERS:
        try:
            worker = Worker(peer)
            about[peer.name] = worker.ask(ask="prepare", **question)
            workers.append(worker)
        except PeerFailed as failure:
            about[peer.name] = {"failed": str(failure)}
    return workers, about


def _pair(symbol: str) -> str:
    return f"{symbol.removesuffix('USDT')}/USDT:USDT"


def _peer_tiers(book: Book) -> dict[str, list[dict[str, float]]]:
    """Return our tiers of the book's symbols in freqtrade's form."""
    tiers = {}
    for position in book.account.positions:
        held = book.rulebook.tiers(position.symbol)
        assert held is not None
        tiers[_pair(position.symbol)] = [
            {
                "minNotional": float(tier.floor),
                "maintenanceMarginRate": float(tier.maintenance_rate or 0),
                "maintAmt": float(tier.deduction),
            }
            for tier in held.tiers
        ]
    return tiers


def deviations(theirs: dict[str, Any], isolated: Book, cross: Book) -> dict[str, str]:
    """Return how far freqtrade's liquidation prices are from the exact ones, on the same account, tiers and marks."""
    said = {}
    for name, book in (("isolated", isolated), ("cross", cross)):
        exact = {}
        for assessed in assess_account(book.account, book.marks[0], book.rulebook):
            for line, (price, _) in zip(assessed.lines, _prices(assessed), strict=True):
                exact[line.position.symbol] = price
        apart = []
        for position, price in zip(book.account.positions, theirs[name], strict=True):
            right = exact[position.symbol]
            if right is not None and price > 0:
                apart.append(abs(Decimal(price) / right - 1))
        same = sum(difference < Decimal("1e-9") for difference in apart)
        said[name] = (
            f"{same} of {len(theirs[name])} prices equal to nine digits; of the {len(apart)} that both have, "
            f"median difference {100 * median(apart):.3f} %, largest {100 * max(apart):.2f} %"
        )
    return said


def run_rounds(
    ours: dict[tuple[str, str, int], Callable[[], object]],
    workers: list[Worker],
    about: dict[str, dict[str, Any]],
    *,
    rounds: int,
    seconds: float,
) -> dict[tuple[str, str, str, int], list[float]]:
    """Return seconds per call of every round, by (system, account, call, positions); the systems take turns."""
    times: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for number in range(1, rounds + 1):
        print(f"▸ round {number} of {rounds}", file=sys.stderr, flush=True)
        for (name, call, size), function in ours.items():
            times["ringfence", name, call, size].append(seconds_per_call(function, at_least=seconds))
        for worker in list(workers):
            try:
                answer = worker.ask(ask="round", seconds=seconds)
            except PeerFailed as failure:
                about[worker.name]["failed"] = str(failure)
                workers.remove(worker)
                continue
            for key, value in answer.items():
                call, _, size = key.rpartition(" ")
                times[worker.name, "", call, int(size)].append(value)
    return times


def rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """Return the results as text cells, with a peer's time set against ours."""
    ours = {(r["account"], r["call"], r["positions"]): r for r in results if r["system"] == "ringfence"}
    cells = []
    for result in results:
        positions = result["positions"]
        key = (result["account"], result["call"], positions)
        limit = TARGETS.get(key) if result["system"] == "ringfence" else None
        note = "" if limit is None else f"≤ {limit:.0f}: {'met' if result['microseconds'] <= limit else 'missed'}"
        counterpart = ours.get((*COUNTERPARTS.get((result["system"], result["call"]), ("", "")), positions))
        if counterpart is not None:
            note = f"ours: {counterpart['microseconds'] / result['microseconds']:.1f} × its time"
        cells.append(
            [
                " · ".join(part for part in (result["system"], result["account"], result["call"]) if part),
                str(positions),
                f"{result['microseconds']:,.1f}",
                f"{result['best']:,.1f}",
                f"{result['worst']:,.1f}",
                f"{result['per_second']:,.0f}",
                f"{result['per_second'] * (1 if 'one ' in result['call'] else positions):,.0f}",
                note,
            ]
        )
    return cells


def report(result: dict[str, Any]) -> None:
    """Print the result."""
    print(f"{machine_line(result['machine'])}\nload average at the end {result['load_average_at_the_end']}; "
          f"processor time, medians of {result['rounds']} interleaved rounds\n")  # fmt: skip
    headers = ("account and call", "positions", "µs", "best", "worst", "calls/s", "positions/s", "target, or ratio")
    print(table(headers, rows(result["results"])))
    print(f"\nWhat is compared\n{result['what_is_compared']}\n")
    for name, peer in result["peers"].items():
        if "failed" in peer:
            print(f"{name} was not measured: {peer['failed']}")
        else:
            print(f"{name} {peer['version']}")
            for mode, said in peer.get("liquidation_prices", {}).items():
                print(f"  its {mode} liquidation prices against the exact ones: {said}")


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which all systems take turns")
    parser.add_argument("--seconds", type=float, default=0.15, help="seconds per call and round")
    parser.add_argument("--no-peers", action="store_true", help="measure ringfence alone")
    options, _ = parser.parse_known_args()
    described = machine()
    ours = our_calls()
    binance = load_rulebook("binance-usdm", date(2025, 10, 10))
    cross = binance_books(binance, SIZES, MarginMode.CROSS)
    isolated = binance_books(binance, SIZES, MarginMode.ISOLATED)
    workers, about = ([], {}) if options.no_peers else start_peers(cross, isolated[1])
    if "version" in about.get("freqtrade", {}):
        peer = about["freqtrade"]
        peer["liquidation_prices"] = deviations(peer, isolated[1], cross[1])
        del peer["isolated"], peer["cross"]
    times = run_rounds(ours, workers, about, rounds=options.rounds, seconds=options.seconds)
    for worker in workers:
        worker.close()
    result = {
        "schema": "ringfence.bench.assess/1",
        "machine": described,
        "load_average_at_the_end": machine()["load_average"],
        "rounds": options.rounds,
        "seconds_per_round": options.seconds,
        "what_is_compared": f"{PEER_MEANING}Bybit's tables hold no fee: a taker fee of {TAKER_FEE} was given.",
        "peers": about,
        "results": [
            {"system": system, "account": name, "call": call, "positions": size, **summary(measured)}
            for (system, name, call, size), measured in times.items()
        ],
        "targets_in_microseconds": [
            {"account": name, "call": call, "positions": size, "at_most": limit}
            for (name, call, size), limit in TARGETS.items()
        ],
    }
    report(result)
    print(f"\n{write('assess', result).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
