"""A tape through a fleet: whoever falls is named at the moment it falls, as the exact lane finds at every price."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ringfence.account import pools
from ringfence.errors import BadConfiguration
from ringfence.fleet import Fleet
from ringfence.fleet.accounts import account_of
from ringfence.fleet.example import example_table
from ringfence.fleet.results import falls_by_minute, rates, watch_json, watch_table
from ringfence.fleet.unknown import without_mark
from ringfence.fleet.watching import WatchPlan, watch
from ringfence.margin.assess import assess
from ringfence.numbers import divide
from ringfence.tape import load_tape, walk
from ringfence.tape.bars import EPOCH, MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.fleet.watched import Watched
    from ringfence.fleet.watching import LotWatched
    from ringfence.tape import Walk

D = Decimal
SYMBOLS = ("AVAXUSDT", "BTCUSDT", "LINKUSDT")


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Accounts that hold what the tape has."""
    drawn = example_table(500, seed=11, kind="stressed")
    rows = drawn.to_arrow().to_pylist()
    kept = [at for at, row in enumerate(rows) if {p["symbol"] for p in row["positions"]} & set(SYMBOLS)]
    return replace(drawn, table=drawn.to_arrow().take(kept))


@pytest.fixture(scope="module")
def path() -> Walk:
    start = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
    tape = load_tape("2025-10-10").select(symbols=SYMBOLS, start=start, end=start + timedelta(minutes=25))
    return walk(tape, 3, intermediate=0)


@pytest.fixture(scope="module")
def watched(fleet: Fleet, path: Walk) -> Watched:
    return watch(fleet, path)


def moments(fleet: Fleet, path: Walk) -> Iterator[tuple[datetime, dict[str, Decimal]]]:
    """Yield the marks of each moment of the tape."""
    marks = dict(fleet.terms.marks)
    for micros, ticks in groupby((tick for tick in path if tick.price is not None), key=lambda tick: tick.micros):
        marks |= {tick.symbol: tick.price for tick in ticks if tick.price is not None}
        yield EPOCH + micros * MICROSECOND, dict(marks)


def test_who_falls_and_when_is_what_assessing_every_pool_at_every_price_finds(
    fleet: Fleet, path: Walk, watched: Watched
) -> None:
    rulebook = fleet.terms.rulebook()
    standing = {
        (row["account"], pool.name): pool
        for row in fleet.to_arrow().to_pylist()
        for pool in pools(account_of(row), rulebook.contract, rulebook.collateral)
        if pool.positions
    }
    fell = []
    for at, marks in moments(fleet, path):
        for key, pool in list(standing.items()):
            found = assess(pool, marks, rulebook)
            if found.liquidatable:
                fell.append((at, *key, found.health))
                del standing[key]
    assert len(fell) > 30
    assert sorted(fell) == sorted((f.at, f.account, f.pool, f.health) for f in watched.fallen)


def test_a_higher_level_falls_no_later(fleet: Fleet, path: Walk, watched: Watched) -> None:
    called = {(f.account, f.pool): f.at for f in watch(fleet, path, level=D("1.25")).fallen}
    assert len(called) >= len(watched.fallen)
    assert all(called[fallen.account, fallen.pool] <= fallen.at for fallen in watched.fallen)


def test_results_say_when_and_how_fast(fleet: Fleet, watched: Watched) -> None:
    document = watch_json(fleet, watched, 2)
    assert (document["fell"], len(document["fallen"])) == (len(watched.fallen), 2)
    assert sum(count for _, count in falls_by_minute(watched)) == len(watched.fallen)
    assert watch_table(watched).num_rows == len(watched.fallen)
    assert rates(watched)["prices"] == sum(frame.prices for frame in watched.frames)


_WALKED = """
import sys
from datetime import UTC, datetime
from ringfence.fleet import watching
from ringfence.fleet.example import example_table
from ringfence.tape import load_tape, walk

def signatures():
    return {(module, name, str(signature)) for module, at in list(sys.modules.items()) if module.startswith("ringfence")
            for name, kernel in vars(at).items() for signature in getattr(kernel, "overloads", ())}

def noted(plan, batch, make_ready=watching.WatchPlan.make_ready):
    make_ready(plan, batch)
    ready.append(signatures())

ready = []
watching.WatchPlan.make_ready = noted
tape = load_tape("2025-10-10").select(start=datetime(2025, 10, 10, 20, 50, tzinfo=UTC),
                                      end=datetime(2025, 10, 10, 21, 20, tzinfo=UTC))
found = watching.watch(example_table(600, seed=1, kind="stressed"), walk(tape, 1, intermediate=0), ending=1)
print(len(found.fallen) > 20, len(ready[0]) > 20, signatures() - ready[0])
"""


def test_a_walk_needs_no_kernel_that_was_not_made_ready_before_its_clock() -> None:
    run = subprocess.run([sys.executable, "-c", _WALKED], capture_output=True, text=True, check=True)
    assert run.stdout == "True True set()\n"


def test_what_fell_by_symbol_is_the_sum_of_the_positions_of_the_pools_that_fell(fleet: Fleet, watched: Watched) -> None:
    rulebook = fleet.terms.rulebook()
    held = {(row["account"], pool.name): pool for row in fleet.to_arrow().to_pylist()
            for pool in pools(account_of(row), rulebook.contract, rulebook.collateral)}  # fmt: skip
    counts: dict[str, int] = {}
    for fallen in watched.fallen:
        for position in held[fallen.account, fallen.pool].positions:
            counts[position.symbol] = counts.get(position.symbol, 0) + 1
    assert {one.symbol: one.positions for one in watched.forced} == counts
    values = [one.value for one in watched.forced]
    assert values == sorted(values, reverse=True)
    assert all(value > 0 for value in values)


def test_the_worst_at_the_end_are_those_of_least_health_that_have_not_fallen(fleet: Fleet, path: Walk) -> None:
    found = watch(fleet, path, ending=7)
    marks = list(moments(fleet, path))[-1][1]
    gone = {(fallen.account, fallen.pool) for fallen in found.fallen}
    rulebook = fleet.terms.rulebook()
    left = []
    for row in fleet.to_arrow().to_pylist():
        for pool in pools(account_of(row), rulebook.contract, rulebook.collateral):
            if pool.positions and (row["account"], pool.name) not in gone:
                health = assess(pool, marks, rulebook).health
                assert health is not None
                left.append((health, row["account"], pool.name))
    assert [(one.health, one.account, one.pool) for one in found.ending] == sorted(left)[:7]


def test_every_frame_says_how_many_pools_were_read(watched: Watched) -> None:
    assert all(frame.named <= frame.read <= watched.pools + frame.named for frame in watched.frames)
    calm = sorted(frame.read for frame in watched.frames)[len(watched.frames) // 2]
    assert calm < watched.pools


def test_a_tape_of_other_symbols_is_refused(fleet: Fleet) -> None:
    tape = load_tape("2025-10-10").select(symbols=("BTCUSDT",))
    other = replace(tape, series={"XYZUSDT": replace(tape.series["BTCUSDT"], symbol="XYZUSDT")})
    with pytest.raises(BadConfiguration, match="the tape has no symbol of the fleet"):
        watch(fleet, walk(other, 1))


def mixed(mode: str, count: int = 40) -> Fleet:
    """Accounts that many assets back, drawn so that a fall of a tenth reaches many of them."""
    random = Random(mode)  # noqa: S311 - repeatable, not secret
    start = {"BTCUSDT": D(117000), "AVAXUSDT": D(28), "LINKUSDT": D(21)}
    rows: dict[str, list[dict[str, str | None]]] = {"positions": [], "wallets": [], "collateral": [], "tiers": []}
    for number in range(count):
        name = f"A{number}"
        value = D(0)
        for symbol in random.sample(sorted(start), random.randint(1, 3)):
            quantity = divide(D(random.randint(2_000, 40_000)), start[symbol], places=3)
            side = random.choice([1, 1, -1])
            value += quantity * start[symbol]
            rows["positions"].append({"account": name, "symbol": symbol, "quantity": str(side * quantity),
                                      "entry_price": str(start[symbol])})  # fmt: skip
        held = divide(value * random.randint(4, 40), D(117000) * 100, places=6)
        rows["wallets"] += [{"account": name, "asset": "BTC", "balance": str(held)},
                            {"account": name, "asset": "USDT", "balance": str(random.randint(-300, 900))}]  # fmt: skip
        sliced = random.random() < 0.5
        rows["collateral"].append({"account": name, "asset": "BTC", "index": "117000",
                                   "ratio": None if sliced else "0.95", "ask_buffer": "0.01"})  # fmt: skip
        if sliced:
            edge = str(held / 2)
            rows["tiers"] += [
                {"account": name, "asset": "BTC", "floor": "0", "cap": edge, "ratio": "0.95"},
                {"account": name, "asset": "BTC", "floor": edge, "cap": None, "ratio": "0.7"},
            ]
    modes = [{"account": f"A{number}", "collateral_mode": mode} for number in range(count)]
    tables = {kind: pa.Table.from_pylist(table) for kind, table in rows.items()}
    return Fleet.from_arrow(**tables, accounts=pa.Table.from_pylist(modes), rulebook="binance-usdm",
                            as_of=date(2025, 10, 10), marks=start)  # fmt: skip


def assessed(fleet: Fleet, path: Walk) -> list[tuple[datetime, str, str, Decimal | None]]:
    """Return who falls when, by assessing every account at every moment as an account file at those marks."""
    down: set[tuple[str, str]] = set()
    fell = []
    rulebook = fleet.terms.rulebook()
    names = [row["account"] for row in fleet.to_arrow().to_pylist()]
    for at, marks in moments(fleet, path):
        moved = fleet.with_marks(marks)
        for name in names:
            file = moved.account(name)
            for pool in pools(file.account, rulebook.contract, rulebook.collateral):
                if pool.positions and (name, pool.name) not in down:
                    found = assess(pool, file.marks, rulebook)
                    if found.liquidatable:
                        down.add((name, pool.name))
                        fell.append((at, name, pool.name, found.health))
    return fell


@pytest.mark.parametrize("mode", ["multi_asset", "portfolio"])
def test_baskets_fall_when_assess_says_so_and_are_hardly_ever_assessed(mode: str, short: Walk) -> None:
    fleet = mixed(mode)
    found = watch(fleet, short)
    assert sorted((f.at, f.account, f.pool, f.health) for f in found.fallen) == sorted(assessed(fleet, short))
    assert 5 < len(found.fallen) < 40
    assert (found.baskets, found.looks) == (40, 0)
    assert found.exact < len(found.fallen) + 5


@pytest.fixture(scope="module")
def short() -> Walk:
    start = datetime(2025, 10, 10, 21, 12, tzinfo=UTC)
    tape = load_tape("2025-10-10").select(symbols=SYMBOLS, start=start, end=start + timedelta(minutes=6))
    return walk(tape, 3, intermediate=0)


def test_lots_watched_apart_give_what_all_together_give(fleet: Fleet, path: Walk, watched: Watched) -> None:
    batches = [fleet.to_arrow().slice(at, 60).combine_chunks().to_batches()[0] for at in range(0, len(fleet), 60)]
    plan = WatchPlan(fleet, (), D(1), path.tape.symbols, 1)

    def lots(asked: WatchPlan) -> Iterator[LotWatched]:
        plan.moments = asked.moments
        yield from (plan.unit(batch) for batch in batches)

    again = watch(fleet, path, lots=lots)
    assert again.fallen == watched.fallen
    assert [frame[:4] for frame in again.frames] == [frame[:4] for frame in watched.frames]
    assert sum(frame.fell for frame in again.frames) == len(again.fallen)


def test_what_only_the_exact_lane_holds_falls_when_it_says_so() -> None:
    """Bybit's inverse contracts in cross margin, whose closing fee is taken at the bankruptcy price."""
    random = Random(1)  # noqa: S311
    rows: list[dict[str, str]] = []
    for number in range(40):
        sides = [1, -1] if random.random() < 0.4 else [random.choice([1, -1])]
        rows += [{"account": f"A{number}", "symbol": "BTCUSD", "entry_price": "117000", "leverage": "10",
                  "quantity": str(side * random.randint(900, 90_000))} for side in sides]  # fmt: skip
    names = [{"account": f"A{number}"} for number in range(40)]
    balances = [name | {"asset": "BTC", "balance": str(random.randint(1, 999) / 10_000)} for name in names]
    fleet = Fleet.from_arrow(
        positions=pa.Table.from_pylist(rows), wallets=pa.Table.from_pylist(balances),
        accounts=pa.Table.from_pylist([name | {"position_mode": "hedge"} for name in names]),
        rulebook="bybit-inverse", marks={"BTCUSD": D(117000)},
    )  # fmt: skip
    start = datetime(2025, 10, 10, 21, 12, tzinfo=UTC)
    tape = load_tape("2025-10-10").select(symbols=("BTCUSDT",), start=start, end=start + timedelta(minutes=5))
    series = {"BTCUSD": replace(tape.series["BTCUSDT"], symbol="BTCUSD")}
    path = walk(replace(tape, series=series), 5, intermediate=0)
    found = watch(fleet, path)
    assert sorted((f.at, f.account, f.pool, f.health) for f in found.fallen) == sorted(assessed(fleet, path))
    assert len(found.fallen) > 5
    assert found.looks > 20


def book(rulebook: str, day: date | None, symbols: dict[str, str], count: int, **more: object) -> Fleet:
    """Accounts that hold every symbol of ``symbols`` at these entry prices, long and short, some near the line."""
    random = Random(rulebook)  # noqa: S311
    rows, balances = [], []
    for number in range(count):
        side = random.choice([1, -1])
        for symbol, price in symbols.items():
            value = D(random.randint(2_000, 9_000))
            quantity = side * divide(value, D(price), places=3)
            rows.append({"account": f"A{number}", "symbol": symbol, "quantity": str(quantity), "entry_price": price,
                         "leverage": "10"})  # fmt: skip
        balance = None if number == 0 else str(random.randint(300, 3_000))
        balances.append({"account": f"A{number}", "asset": "USDT", "balance": balance})
    return Fleet.from_arrow(positions=pa.Table.from_pylist(rows), wallets=pa.Table.from_pylist(balances),
                            rulebook=rulebook, as_of=day, **more)  # type: ignore[arg-type]  # fmt: skip


def crash(*symbols: str, minutes: int = 5, late: str | None = None) -> Walk:
    """The crash of 10 October 2025; the prices of ``late`` start two minutes later."""
    start = datetime(2025, 10, 10, 21, 12, tzinfo=UTC)
    end = start + timedelta(minutes=minutes)
    tape = load_tape("2025-10-10")
    found = tape.select(symbols=symbols, start=start, end=end)
    if late is not None:
        more = tape.select(symbols=(late,), start=start + timedelta(minutes=2), end=end)
        found = replace(found, series={**found.series, **more.series})
    return walk(found, 5, intermediate=0)


@pytest.mark.parametrize(
    ("rulebook", "reason", "looks"),
    [("bingx-usdtm", "no maintenance rate for BTCUSDT", 1.5), ("weex-usdtm", "no maintenance rate for BTCUSDT", 1)],
)
def test_without_a_rate_a_pool_is_assessed_once_and_again_in_another_tier(
    rulebook: str, reason: str, looks: float
) -> None:
    """BingX's tiers have no rates, WEEX has no tiers at all; A0 has no balance that is known."""
    fleet = book(rulebook, None, {"BTCUSDT": "117000"}, 30, marks={"BTCUSDT": D(117000)})
    found = watch(fleet, crash("BTCUSDT"))
    assert len(found.frames) > 15
    assert (found.unknown, found.fallen) == (30, ())
    assert {why.what: held.pools for why, held in found.reasons.items()} == {reason: 29, "no balance of USDT": 1}
    assert 30 <= found.exact <= 30 * looks


def test_a_mark_that_comes_in_on_the_way_makes_its_pools_known_from_then_on() -> None:
    fleet = book("binance-usdm", date(2025, 10, 10), {"BTCUSDT": "117000", "LINKUSDT": "21"}, 60,
                 marks={"BTCUSDT": D(117000)})  # fmt: skip
    path = crash("BTCUSDT", late="LINKUSDT")
    found = watch(fleet, path)
    rulebook = fleet.terms.rulebook()
    down: dict[str, datetime] = {}
    for at, marks in moments(fleet, path):
        if "LINKUSDT" in marks:
            moved = fleet.with_marks(marks)
            for row in fleet.to_arrow().to_pylist():
                (pool,) = pools(account_of(row), rulebook.contract, rulebook.collateral)
                if row["account"] not in down and assess(pool, moved.terms.marks, rulebook).liquidatable:
                    down[row["account"]] = at
    assert {fallen.account: fallen.at for fallen in found.fallen} == down
    assert 10 < len(down) < 50
    assert {why.what: held.pools for why, held in found.reasons.items()} == {"no balance of USDT": 1}
    alone = watch(fleet, crash("BTCUSDT"))
    assert (alone.unknown, alone.exact) == (60, 60)
    assert alone.reasons[without_mark("LINKUSDT")].pools == 60


def test_a_basket_that_lacks_a_mark_is_not_known_and_is_left_to_compiled_code_when_it_comes() -> None:
    whole = mixed("multi_asset")
    marks = {symbol: price for symbol, price in whole.terms.marks.items() if symbol != "LINKUSDT"}
    fleet = replace(whole, terms=replace(whole.terms, marks=marks))
    holders = {row["account"] for row in whole.positions().to_pylist() if row["symbol"] == "LINKUSDT"}
    assert 10 < len(holders) < 40
    alone = watch(fleet, crash("BTCUSDT", "AVAXUSDT"))
    assert (alone.unknown, alone.reasons[without_mark("LINKUSDT")].pools) == (len(holders), len(holders))
    assert not holders & {fallen.account for fallen in alone.fallen}
    path = crash("BTCUSDT", "AVAXUSDT", late="LINKUSDT")
    found = watch(fleet, path)
    others = [fallen for fallen in assessed(whole, path) if fallen[1] not in holders]
    assert sorted((f.at, f.account, f.pool, f.health) for f in found.fallen if f.account not in holders) == sorted(
        others
    )
    assert found.unknown == 0
    assert {fallen.account for fallen in found.fallen} & holders
    assert found.exact < 2 * len(holders) + len(found.fallen) + 5


def test_a_pool_whose_tier_has_no_rate_is_known_where_another_tier_holds() -> None:
    tiers = [{"floor": "0", "cap": "5000", "maintenance_rate": None, "deduction": "0"},
             {"floor": "5000", "cap": "6500", "maintenance_rate": "0.2", "deduction": "0"},
             {"floor": "6500", "cap": None, "maintenance_rate": None, "deduction": "0"}]  # fmt: skip
    made = book("bybit-linear", None, {"BTCUSDT": "117000"}, 90, marks={"BTCUSDT": D(117000)})
    fleet = replace(made, terms=replace(made.terms, contracts={"BTCUSDT": {"settle_asset": "USDT", "tiers": tiers}}))
    path = crash("BTCUSDT", minutes=8)
    found = watch(fleet, path)
    assert sorted((f.at, f.account, f.pool, f.health) for f in found.fallen) == sorted(assessed(fleet, path))
    assert 3 < len(found.fallen) < 40
    assert found.exact < 90 * 6 < 90 * len(found.frames)
