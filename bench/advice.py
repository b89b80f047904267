"""Whether advice works: a crowd that takes it, beside the same crowd all isolated, all cross, and at random.

    python bench/advice.py [--accounts 200] [--months report|tune|YYYY-MM,...] [--processes 2]

Real months of BTCUSDT, ETHUSDT and SOLUSDT (Binance perpetuals, 15-minute bars, last prices) from RINGFENCE_DATA
(default ../shared/data). Every group holds the same accounts: the same entries and sizes at the month's first prices,
the same capital, the same cash at hand besides (a quarter of it), the same reaction time (one bar) and the same
``rescue``. What they differ in is how the book is held, and at which health they are called:

* **isolated, cross, random** (each position by the toss of a coin): called where the venue calls.
* **advice**: held as ``advise`` decides it on the first day, called at the health that it names (`act when …`). It sees
  the month before (volatilities, correlations) and past windows that were over by then; nothing of the month itself.
* **... + alert**: a fixed architecture with the advised alert level, and **advice, venue's call**: advice without it.
  They show which part of the advice does what.

Parameters were chosen on the months of ``TUNE``, results are reported on those of ``REPORT``. Intervals are 95 % by
bootstrap over accounts, paired where two groups are compared. Results: out/bench/advice.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from measuring import REPOSITORY, machine, machine_line, table, write

from ringfence import rulebooks
from ringfence.account import Account, MarginMode, Position
from ringfence.errors import BadAccount
from ringfence.numbers import ROUND_FLOOR, exact, round_to
from ringfence.study.advice.advise import FENCE, Question, decide
from ringfence.study.advice.alert import REACTION, SIGMAS, alert_level
from ringfence.study.advice.circumstances import Circumstances
from ringfence.study.advice.follow import TARGET, Followed, Follower, Rules, follow
from ringfence.study.advice.holding import Holding, Place, book_of, hold, initial_margins
from ringfence.study.advice.moves import Moves, moves_of
from ringfence.study.advice.scene import Outlook
from ringfence.study.advice.trials import CHARGE
from ringfence.study.crowd.population import Member, draw_crowd
from ringfence.tape import load_tape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ringfence.rulebook import Rulebook
    from ringfence.tape import Tape

FILE = "binance_usdm_15m_20231202_20260430_btc_eth_sol.parquet"
TUNE = ("2024-03", "2024-04", "2024-08", "2024-09", "2024-12", "2025-02")
REPORT = ("2025-07", "2025-10", "2025-11", "2026-01", "2026-02", "2026-03")

CASH = Decimal("0.25")  # at hand, besides the capital, as a share of it
FEE = Decimal("0.0005")  # of what a rescue closes
BAR = 15  # minutes, and the reaction time of everybody
SAMPLES = 120  # of exposure, over a month
RESAMPLES = 2000

# How far advice looks, and on how many paths. What it weighs was chosen on TUNE: see ADVICE and the benchmarks' page.
DAYS = 14
PATHS = 600

ADVICE = {"charge": CHARGE, "fence": FENCE, "sigmas": SIGMAS, "reaction_minutes": REACTION, "target": str(TARGET)}
GROUPS = ("isolated", "cross", "random", "advice", "isolated + alert", "cross + alert", "advice, venue's call")
FIXED = ("isolated", "cross")


@cache
def bars() -> Tape:
    """Return all bars, read once by a process."""
    path = data_file()
    assert path is not None
    return load_tape(str(path))


class Setting(NamedTuple):
    """What a month is played with."""

    accounts: int
    days: int
    paths: int
    seed: int


def data_file() -> Path | None:
    """Return the file of bars, or None where it is not there."""
    folder = Path(os.environ.get("RINGFENCE_DATA") or REPOSITORY.parent / "shared" / "data")
    path = folder / "prices" / FILE
    return path if path.is_file() else None


def span(month: str) -> tuple[datetime, datetime]:
    """Return the first moment of a month and of the next one."""
    start = datetime.strptime(month + "-01+0000", "%Y-%m-%d%z").astimezone(UTC)
    return start, (start + timedelta(days=32)).replace(day=1)


def account_of(member: Member) -> Account:
    """Return a member of the crowd as an account: every position cross, the capital in the wallet."""
    positions = tuple(
        Position(stake.symbol, stake.quantity, stake.entry_price, MarginMode.CROSS, None, stake.leverage)
        for stake in member.stakes
    )
    return Account(positions=positions, wallet={"USDT": member.capital})


def held_as(member: Member, marks: Mapping[str, Decimal], rulebook: Rulebook, how: str) -> Holding:
    """Return a member's book all isolated, all cross, or by the toss of a coin per position."""
    book = book_of(account_of(member), marks, rulebook)
    fenced = [how == "isolated" or (how == "random" and stake.ringfenced) for stake in member.stakes]
    places = [
        Place("isolated", margin) if alone else Place("cross")
        for alone, margin in zip(fenced, initial_margins(book), strict=True)
    ]
    return hold(book, how, "", places)


def advised(
    member: Member, marks: Mapping[str, Decimal], rulebook: Rulebook, moves: Moves, setting: Setting, start: datetime
) -> Holding:
    """Return a member's book as advice decides it on the first day."""
    account = account_of(member)
    own = moves.part([position.symbol for position in account.positions])
    outlook = Outlook(days=setting.days, paths=setting.paths, seed=setting.seed, steps=12)
    question = Question(
        Circumstances("experienced", "trading"), outlook, before=start, paths=setting.paths, baskets=False
    )
    return decide(account, marks=marks, rulebook=rulebook, moves=own, question=question)


def levels_of(
    holding: Holding, marks: Mapping[str, Decimal], rulebook: Rulebook, moves: Moves
) -> dict[tuple[str, str], Decimal]:
    """Return the advised alert level of every pool."""
    found = {}
    for name, assessment in holding.assessed(marks, rulebook):
        if assessment.lines:
            level = alert_level(assessment, moves.estimate)
            if level is not None:
                found[name, assessment.pool.name] = level
    return found


class Month(NamedTuple):
    """One month played: what became of every account, by group, and how many books were held how by advice."""

    month: str
    outcomes: dict[str, list[Followed]]
    ways: dict[str, int]
    returns: dict[str, float]
    seconds: float


@exact
def play(month: str, setting: Setting) -> Month:
    """Play one month for every group."""
    began = perf_counter()
    whole = bars()
    start, end = span(month)
    before = whole.select(start=(start - timedelta(days=1)).replace(day=1), end=start)
    tape = whole.select(start=start, end=end)
    rulebook = rulebooks.load("binance-usdm", start.date())
    first = {symbol: next(tape.bars(symbol)).open for symbol in tape.symbols}
    members = draw_crowd(setting.accounts, setting.seed, rulebook=rulebook, prices=first, asset="USDT")
    members = tuple(member for member in members if _opens(member, first, rulebook))
    moves = moves_of(tape.symbols, tape=before)
    rules = Rules(rulebook, "USDT", BAR * 60_000_000, FEE)
    holdings: dict[str, list[Holding]] = {
        how: [held_as(member, first, rulebook, how) for member in members] for how in ("isolated", "cross", "random")
    }
    holdings["advice"] = [advised(member, first, rulebook, moves, setting, start) for member in members]
    outcomes = {}
    for group in GROUPS:
        how = group.partition(" + ")[0].partition(",")[0]
        alert = "alert" in group or group == "advice"
        followers = [
            Follower(
                member.name, holding.accounts, round_to(member.capital * CASH, Decimal("0.01"), rounding=ROUND_FLOOR),
                levels_of(holding, first, rulebook, moves) if alert else {},
            )
            for member, holding in zip(members, holdings[how], strict=True)
        ]  # fmt: skip
        outcomes[group] = follow(followers, tape, rules, seed=setting.seed, marks=first, samples=SAMPLES)
    returns = {symbol: float(list(tape.bars(symbol))[-1].close) / float(first[symbol]) - 1 for symbol in tape.symbols}
    return Month(month, outcomes, _ways(holdings["advice"]), returns, perf_counter() - began)


def _opens(member: Member, marks: Mapping[str, Decimal], rulebook: Rulebook) -> bool:
    """Whether the member can be held all isolated."""
    try:
        held_as(member, marks, rulebook, "isolated")
    except BadAccount:
        return False
    return True


def _ways(holdings: Sequence[Holding]) -> dict[str, int]:
    """Return how many books advice held all pooled, all ring-fenced, or both."""
    counted: dict[str, int] = {}
    for holding in holdings:
        pooled = sum(place.kind == "cross" for place in holding.places)
        if len(holding.places) == 1:
            name = "one position, " + ("pooled" if pooled else "isolated")
        elif pooled == len(holding.places):
            name = "all pooled"
        else:
            name = "all ring-fenced" if not pooled else "mixed"
        counted[name] = counted.get(name, 0) + 1
    return counted


class Summary(NamedTuple):
    """One group over months: shares of accounts, results as shares of capital and cash; intervals as (low, high)."""

    accounts: int
    liquidated: float
    liquidated_interval: tuple[float, float]
    pnl: float
    pnl_interval: tuple[float, float]
    median: float
    lost: float
    exposure: float
    used: float
    calls: float
    acted: dict[str, int]


def summarise(np: Any, months: Sequence[Month], group: str, seed: int) -> Summary:
    """Return a group's figures, every account counting the same."""
    found = [outcome for month in months for outcome in month.outcomes[group]]
    dead = np.array([bool(o.liquidated) for o in found], dtype=float)
    pnl = np.array([result(o) for o in found])
    acted: dict[str, int] = {}
    for outcome in found:
        for kind, count in outcome.acted.items():
            acted[kind] = acted.get(kind, 0) + count
    return Summary(
        len(found), float(dead.mean()), interval(np, dead, seed), float(pnl.mean()), interval(np, pnl, seed),
        float(np.median(pnl)), float(np.mean([float(o.lost / o.capital) for o in found])),
        float(np.mean([float(o.exposure / o.opened) for o in found])),
        float(np.mean([1 + float(o.paid_in / o.capital) for o in found])),
        float(np.mean([o.calls for o in found])), acted,
    )  # fmt: skip


def result(outcome: Followed) -> float:
    """Return PnL as a share of capital and cash."""
    start = outcome.capital + outcome.cash
    return float((outcome.equity - start) / start)


def interval(np: Any, values: Any, seed: int) -> tuple[float, float]:
    """Return a 95 % interval of the mean by bootstrap over accounts."""
    draw = np.random.Generator(np.random.PCG64(seed))
    means = values[draw.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def versus(np: Any, months: Sequence[Month], group: str, other: str, seed: int) -> dict[str, Any]:
    """Return how much fewer accounts of ``group`` were liquidated, its PnL and exposure against ``other``, paired."""
    pairs = [(a, b) for m in months for a, b in zip(m.outcomes[group], m.outcomes[other], strict=True)]
    dead = np.array([(bool(a.liquidated), bool(b.liquidated)) for a, b in pairs], dtype=float)
    pnl = np.array([result(a) - result(b) for a, b in pairs])
    at_risk = np.array([(float(a.exposure / a.opened), float(b.exposure / b.opened)) for a, b in pairs])
    draw = np.random.Generator(np.random.PCG64(seed))
    drawn = dead[draw.integers(len(dead), size=(RESAMPLES, len(dead)))].mean(axis=1)
    fewer = 1 - drawn[:, 0] / np.maximum(drawn[:, 1], 1e-9)
    return {
        "against": other,
        "fewer_liquidated": float(1 - dead[:, 0].mean() / max(dead[:, 1].mean(), 1e-9)),
        "fewer_liquidated_interval": (float(np.quantile(fewer, 0.025)), float(np.quantile(fewer, 0.975))),
        "pnl_difference": float(pnl.mean()),
        "pnl_difference_interval": interval(np, pnl, seed),
        "exposure_ratio": float(at_risk[:, 0].mean() / at_risk[:, 1].mean()),
        "exposure_ratio_by_value": float(sum(a.exposure for a, _ in pairs)) / float(sum(b.exposure for _, b in pairs)),
    }


def shown(np: Any, months: Sequence[Month], title: str, seed: int) -> tuple[str, dict[str, Any]]:
    """Return a table of every group over months, with what it says against the better fixed architecture."""
    found = {group: summarise(np, months, group, seed) for group in GROUPS}
    rows = [
        (
            group, f"{s.liquidated:.1%}", _range(s.liquidated_interval), f"{s.pnl:+.1%}", _range(s.pnl_interval),
            f"{s.median:+.1%}", f"{s.lost:.1%}", f"{s.exposure:.1%}", f"{s.used:.1%}", f"{s.calls:.1f}",
        )
        for group, s in found.items()
    ]  # fmt: skip
    headers = ("held", "liquidated", "95 %", "PnL", "95 %", "median", "lost", "exposure", "capital", "calls")
    better = min(FIXED, key=lambda group: found[group].liquidated)
    lines = [f"{title}: {found['advice'].accounts:,} accounts", "", table(headers, rows), ""]
    against = {group: versus(np, months, group, better, seed) for group in GROUPS if group != better}
    told = ("advice", "advice, venue's call", "cross + alert", "isolated + alert")
    lines += [_sentence(group, against[group]) for group in told if group in against]
    return "\n".join(lines), {
        "summary": {group: s._asdict() for group, s in found.items()},
        "better_fixed": better,
        "versus": against,
    }


def _range(pair: tuple[float, float]) -> str:
    return f"{pair[0] * 100:.1f} to {pair[1] * 100:.1f}"


def _sentence(group: str, found: dict[str, Any]) -> str:
    return (
        f"{group} against {found['against']}: {found['fewer_liquidated']:.0%} fewer liquidated "
        f"({_range(found['fewer_liquidated_interval'])} %), PnL {found['pnl_difference']:+.2%} "
        f"({_range(found['pnl_difference_interval'])} %), exposure over time {found['exposure_ratio']:.3f} of its "
        f"(by value {found['exposure_ratio_by_value']:.3f})"
    )


def months_of(asked: str) -> tuple[str, ...]:
    """Return the months asked for."""
    return {"report": REPORT, "tune": TUNE}.get(asked) or tuple(asked.split(","))


def main() -> int:
    """Play every month, print the tables, write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--accounts", type=int, default=200)
    options.add_argument("--months", default="report")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--days", type=int, default=DAYS)
    options.add_argument("--paths", type=int, default=PATHS)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    if data_file() is None:
        sys.stdout.write(f"SKIPPED: no {FILE} under RINGFENCE_DATA (default ../shared/data)\n")
        return 0
    import numpy as np

    setting = Setting(given.accounts, given.days, given.paths, given.seed)
    described = machine()
    print(machine_line(described))
    print(f"seed {given.seed}; {given.accounts} accounts a month, one to three positions, 70 % of them long")
    print(f"advice: {ADVICE}; {given.days} days, {given.paths} paths")
    print(f"tuned on {', '.join(TUNE)}; reported on {', '.join(REPORT)}; now {given.months}\n")
    played = list(_played(months_of(given.months), setting, given.processes))
    parts = {}
    for month in played:
        moved = ", ".join(f"{symbol} {change:+.0%}" for symbol, change in month.returns.items())
        text, parts[month.month] = shown(np, [month], f"{month.month} ({moved})", given.seed)
        print(f"{text}\nadvice held: {month.ways}; {month.seconds:.0f} s\n", flush=True)
    text, whole = shown(np, played, f"all of {', '.join(month.month for month in played)}", given.seed)
    print(text)
    write(
        "advice",
        {"machine": described, "setting": setting._asdict(), "advice": ADVICE, "months": parts, "whole": whole},
    )
    return 0


def _played(months: Sequence[str], setting: Setting, processes: int) -> Iterator[Month]:
    if processes < 2:
        for month in months:
            yield play(month, setting)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(play, months, [setting] * len(months))


if __name__ == "__main__":
    sys.exit(main())
