"""How long a venue takes over one update of prices at which sixteen thousand pools fall: decided, evented, journaled.

    python bench/crash_frame.py [--pools 16000] [--accounts 11800] [--fall 0.15] [--rounds 3] [--profile]

**The book** is a crowd (:mod:`ringfence.study.crowd.population`, seeded) on Binance's rules of 2025-10-10: accounts in
isolated, cross and mixed margin, with one to five of twelve symbols at 5 to 25 times. Every account is funded and its
positions opened through a host, so the journal is a whole one: ``--verify`` decides it again from its first entry.

**The frame** is one ``UpdatePrices`` in which every symbol falls by ``--fall``. The tape's market (a ladder around the
price) takes what it can bear within the bankruptcy prices; the insurance fund takes over the rest, and what the fund
cannot pay for is auto-deleveraged. Nothing is left out: sequence, clearance fees, margin calls, postings, digest.

**What is timed**, by the clock on the wall: from handing the command to the host to its answer, which comes after the
commit of the journal (SQLite, synchronous FULL); and until the host is free for the next command, as the screen makes
its new bands after the answer. Then the same command again on states read from the same snapshot, in parts: *screen*
(who is suspect, and new bands afterwards), *decide* (exact assessments, sizes, plans), *evolve* (state, ledger with its
postings, digest), *wire text*, *append*. The parts are timed by wrapping their functions, which slows them a little; so
shares are to be read, not sums. Results: out/bench/crash_frame.json.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import shutil
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from measuring import machine, machine_line, table, write

from ringfence.engine import commands as asked
from ringfence.engine import decide, snapshot
from ringfence.engine import state as states
from ringfence.engine.events import LiquidationStarted, Refused, Traded
from ringfence.engine.setup import Market, PriceGuard, Setup
from ringfence.engine.wire import encode
from ringfence.host import Host, redecide
from ringfence.journal import Batch, open_journal, open_reader
from ringfence.numbers import ONE, exact
from ringfence.screen import BandScreen
from ringfence.screen.by_columns import ColumnScreen
from ringfence.study.crowd.population import Habits, draw_crowd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.engine.commands import Command, UpdatePrices
    from ringfence.engine.state import State

TARGET, STRETCH = 6.0, 1.0  # seconds for the whole frame
VERDICT = {True: "met", False: "missed"}
POOLS = 16_000
PRICES = {
    "BTCUSDT": "121000", "ETHUSDT": "4300", "SOLUSDT": "220", "XRPUSDT": "2.8", "DOGEUSDT": "0.245", "BNBUSDT": "1250",
    "ADAUSDT": "0.81", "AVAXUSDT": "28", "LINKUSDT": "22", "LTCUSDT": "130", "SUIUSDT": "3.4", "BCHUSDT": "580",
}  # fmt: skip
HABITS = Habits(leverage=(Decimal(5), Decimal(25)), long_per_mille=850, staked=(Decimal("0.5"), Decimal("0.95")))
MARKET = Market(depth_value=Decimal(20_000_000))
SETUP = Setup(
    as_of="2025-10-10", guard=PriceGuard(stale_after=None), market=MARKET, start_fund={"USDT": Decimal(1_000_000_000)}
)
_BATCH = 500  # accounts between two prices, which fill the market's ladder up again


def commands(accounts: int, seed: int) -> Iterator[Command]:
    """Yield what funds the crowd and opens its positions at market, at prices a little apart."""
    number = 0

    def head() -> tuple[str, int]:
        nonlocal number
        number += 1
        return f"c{number}", number * 1_000

    prices = {symbol: Decimal(price) for symbol, price in PRICES.items()}
    crowd = draw_crowd(
        accounts, seed, rulebook=SETUP.rulebook(), prices=prices, asset="USDT", habits=HABITS
    )  # fmt: skip
    for index, member in enumerate(crowd):
        if index % _BATCH == 0:
            step = 1 + Decimal((index // _BATCH * 7) % 11 - 5) / 1_000
            yield asked.UpdatePrices(*head(), tuple((symbol, price * step) for symbol, price in prices.items()))
        yield asked.Deposit(*head(), member.name, "USDT", member.capital)
        for place, stake in enumerate(member.stakes):
            alone = index % 3 == 0 or (index % 3 == 2 and place % 2 == 0)
            yield asked.SetLeverage(*head(), member.name, stake.symbol, stake.leverage.to_integral_value())
            if alone:
                yield asked.SetMarginMode(*head(), member.name, stake.symbol, "isolated")
            side = "buy" if stake.quantity > 0 else "sell"
            order = asked.PlaceOrder(
                *head(), member.name, f"open {stake.symbol}", stake.symbol, side, abs(stake.quantity), "market"
            )
            yield order
    yield asked.UpdatePrices(*head(), tuple(prices.items()))


def build(path: Path, accounts: int, seed: int) -> dict[str, Any]:
    """Write the journal of the opened crowd, with a snapshot at its end."""
    began, refused, orders = perf_counter(), Counter[str](), 0
    with Host.open(open_journal(str(path)), SETUP, snapshot_every=10**12, group=1_000, queue=2_000) as host:
        waiting = []
        for command in commands(accounts, seed):
            waiting.append(host.submit(command))
            if len(waiting) == 1_500:
                for future in waiting[:1_000]:
                    for event in future.result():
                        if isinstance(event, Refused):
                            refused[event.reason] += 1
                del waiting[:1_000]
            orders += isinstance(command, asked.PlaceOrder)
        held = host.look(lambda state: sum(len(trader.held) for trader in state.traders.values()))
    return {"orders": orders, "refused": dict(refused), "positions": held, "seconds": round(perf_counter() - began, 1)}


def frame(number: str, at: int, fall: Decimal) -> UpdatePrices:
    """Return the update at which everything falls."""
    return asked.UpdatePrices(
        number, at, tuple((symbol, Decimal(price) * (ONE - fall)) for symbol, price in PRICES.items())
    )


SCREENS: dict[str, Callable[[], BandScreen]] = {"bands": BandScreen, "columns": ColumnScreen}


def whole(source: Path, folder: Path, fall: Decimal, screen: BandScreen) -> dict[str, Any]:
    """Time one frame through a host on a copy of the journal; what happened is counted."""
    path = folder / "frame.journal"
    shutil.copyfile(source, path)
    with Host.open(open_journal(str(path)), snapshot_every=10**12, screen=screen) as host:
        now = tuple((symbol, Decimal(price)) for symbol, price in PRICES.items())
        host.ask(asked.UpdatePrices("fresh", 10**12, now))  # marks are fresh after a restart, and everybody has bands
        host.look(lambda state: state.sequence)  # the venue has nothing to do any more
        command = frame("crash", 10**12 + 1_000, fall)
        began, used = perf_counter(), process_time()
        events = host.ask(command)
        seconds, processor = perf_counter() - began, process_time() - used
        host.look(lambda state: state.sequence)
        free = perf_counter() - began
        balance = host.look(lambda state: state.ledger.trial_balance())
    assert not any(balance.values()), balance
    path.unlink()
    kinds = Counter(type(event).__name__ for event in events)
    causes = Counter(event.cause for event in events if isinstance(event, Traded))
    pools = {(event.account, event.pool) for event in events if isinstance(event, LiquidationStarted)}
    return {
        "seconds": seconds,
        "free": free,
        "processor": round(processor, 3),
        "pools": len(pools),
        "events": len(events),
        "by_kind": dict(kinds.most_common()),
        "trades": dict(causes.most_common()),
        "bytes": sum(len(encode(event)) for event in events),
    }


class Parts:
    """Seconds by part, each without the parts inside it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inside: list[float] = []

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with its time counted under ``name``."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(0.0)
            began = perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = perf_counter() - began
                self.seconds[name] += took - self._inside.pop()
                self.calls[name] += 1
                if self._inside:
                    self._inside[-1] += took

        return counted


@exact
def parts(kept: bytes, folder: Path, fall: Decimal) -> Parts:
    """Time one frame in its parts, on a state read from the snapshot."""
    state = snapshot.load(kept, SETUP)
    screen = BandScreen()
    fresh = asked.UpdatePrices("fresh", 10**12, tuple((symbol, Decimal(price)) for symbol, price in PRICES.items()))
    decide.handle(state, fresh, screen.suspects(state, fresh))
    screen.looked_at(state, fresh, ())
    found = Parts()
    replaced: list[tuple[Any, str, Any]] = []

    def wrap(owner: Any, attribute: str, name: str) -> None:
        original = getattr(owner, attribute)
        replaced.append((owner, attribute, original))
        setattr(owner, attribute, found.timed(name, original))

    wrap(decide, "change", "evolve: state and digest")
    wrap(states, "assess", "decide: assessments")
    wrap(states.Ledger, "enter", "evolve: ledger")
    command = frame("crash", 10**12 + 1_000, fall)
    try:
        suspects = found.timed("screen", screen.suspects)(state, command)
        events = found.timed("decide: the rest", decide.handle)(state, command, suspects)
        found.timed("screen", screen.looked_at)(state, command, suspects)
        texts = found.timed("wire text", lambda: (encode(command), tuple(encode(event) for event in events)))()
    finally:
        for owner, attribute, original in replaced:
            setattr(owner, attribute, original)
    with open_journal(str(folder / "parts.journal")) as journal:
        batch = Batch(1, *texts, state.digest())
        found.timed("append: hash, write, sync", lambda: journal.append([batch], after=0))()
    (folder / "parts.journal").unlink()
    return found


def profiled(kept: bytes, fall: Decimal) -> str:
    """Return where the decision spends its time, function by function."""
    import io

    state = snapshot.load(kept, SETUP)
    screen = BandScreen()
    fresh = asked.UpdatePrices("fresh", 10**12, tuple((symbol, Decimal(price)) for symbol, price in PRICES.items()))
    decide.handle(state, fresh, screen.suspects(state, fresh))
    screen.looked_at(state, fresh, ())
    command = frame("crash", 10**12 + 1_000, fall)
    profile = cProfile.Profile()
    profile.enable()
    suspects = screen.suspects(state, command)
    decide.handle(state, command, suspects)
    screen.looked_at(state, command, suspects)
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(45)
    return text.getvalue()


def latest_snapshot(path: Path) -> bytes:
    """Return the payload of the snapshot that the building host left."""
    with open_reader(str(path)) as reader:
        kept = reader.latest_snapshot()
    assert kept is not None
    return kept.payload


def report(result: dict[str, Any]) -> str:
    """Return the figures as text."""
    shares = result["parts"]
    total = sum(shares.values())
    lines = [
        machine_line(result["machine"]),
        "{accounts:,} accounts, fall {fall}: {pools:,} pools fall, {events:,} events, {bytes:,} bytes".format(**result),
        f"trades: {result['trades']}",
        "",
        "one frame through the host, SQLite FULL: {seconds:.2f} s (best {best:.2f}, worst {worst:.2f})".format(
            **result
        ),
        f"processor time {result['processor']:.2f} s; {result['pools'] / result['seconds']:,.0f} pools/s",
        f"free for the next command after {result['free']:.2f} s, with new bands",
        f"target {TARGET:g} s: {VERDICT[result['met']]}; stretch {STRETCH:g} s: {VERDICT[result['stretch_met']]}",
        "",
        table(
            ["part", "s", "share"],
            [[name, f"{seconds:.3f}", f"{seconds / total:.0%}"] for name, seconds in shares.items()],
        ),
    ]
    return "\n".join(lines)


def main() -> int:
    """Build the book, measure, report; 0 when the target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pools", type=int, default=POOLS, help="how many have to fall at least")
    parser.add_argument("--accounts", type=int, default=11_800)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fall", type=Decimal, default=Decimal("0.15"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--journal", type=Path, help="keep the opened book here, or take it from here")
    parser.add_argument("--screen", choices=SCREENS, default="bands", help="columns: compiled, needs the extra fleet")
    parser.add_argument("--verify", action="store_true", help="decide the whole journal again and compare its bytes")
    parser.add_argument("--profile", action="store_true", help="also say where the decision spends its time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = given.journal or folder / "book.journal"
        book: dict[str, Any]
        if path.exists():
            state: State = snapshot.load(latest_snapshot(path), SETUP)
            book = {"positions": sum(len(trader.held) for trader in state.traders.values())}
            del state
        else:
            book = build(path, given.accounts, given.seed)
        runs = [whole(path, folder, given.fall, SCREENS[given.screen]()) for _ in range(given.rounds)]
        kept = latest_snapshot(path)
        split = parts(kept, folder, given.fall)
        if given.verify:
            with open_reader(str(path)) as reader:
                book["verified_entries"] = sum(1 for _ in redecide(reader))
        profile = profiled(kept, given.fall) if given.profile else None
    seconds, free = [run.pop("seconds") for run in runs], median(run.pop("free") for run in runs)
    assert runs[0]["pools"] >= given.pools, f"only {runs[0]['pools']} pools fell"
    result = {
        "bench": "crash_frame", "machine": machine(), "rulebook": SETUP.rulebook().title, "accounts": given.accounts,
        "fall": str(given.fall), "screen": given.screen, "book": book, "target": TARGET, "stretch": STRETCH,
        "seconds": median(seconds), "best": min(seconds), "worst": max(seconds), "free": free,
        "met": median(seconds) <= TARGET, "stretch_met": median(seconds) <= STRETCH, **runs[0],
        "parts": {name: round(took, 3) for name, took in split.seconds.most_common()},
        "calls": dict(split.calls),
    }  # fmt: skip
    write("crash_frame", result)
    print(report(result))
    if profile is not None:
        print(profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
