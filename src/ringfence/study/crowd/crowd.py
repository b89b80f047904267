"""A crowd through real prices: the identical accounts held all isolated, all cross and mixed, each on an engine.

Every architecture has a venue of its own: the same accounts with the same capital (:mod:`.crowd_population`), the same
seeded walk through the same tape, the rulebook's own liquidation sequence, an insurance fund, auto-deleveraging, and
the tape's market with a declared depth on the other side of everything. With ``impact`` forced orders move the tape's
price as well, and the runs without it stand beside them to be compared with.

Runs do not depend on one another, so they may be spread over processes: the result is the same.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence import rulebooks
from ringfence.engine.setup import Fees, Market
from ringfence.errors import BadConfiguration
from ringfence.numbers import ONE, ROUND_CEILING, ZERO, divide, exact, plain, round_to
from ringfence.study.crowd.contracts import Traded, contracts_of, is_coin
from ringfence.study.crowd.population import HABITS, VALUES_SOURCE, draw_crowd
from ringfence.study.crowd.result import HOLDINGS, Crowd
from ringfence.study.crowd.run import Task, run
from ringfence.study.replay.engine_run import journal_name, refuse_journals
from ringfence.study.wording import fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.crowd.population import Member
    from ringfence.study.crowd.result import CrowdOutcome, Holding
    from ringfence.tape import Tape

DEFAULT_RULEBOOK = "binance-usdm"
DEFAULT_TICKS_PER_BAR = 16
FUND_SHARE = Decimal("0.005")
"""What the insurance fund begins with, as a share of the value of all positions when they are opened. Ours."""

DEPTH_SHARE = Decimal("0.0002")
"""What stands on each level of a symbol's market, as a share of the crowd's open value per symbol: with a level every
0.02 %, one hundredth of it within one percent of the price. So a crowd of any size stands for a whole market. Ours."""

_CORNERS = 4  # open, high, low, close
_COIN_STEP = Decimal("0.0001")  # of a fund in a coin


class Options(NamedTuple):
    """How a crowd is replayed. ``processes``: how many may be used; ``impact``: whether forced orders move the price.

    ``asset``: what the capital is in; None: see :func:`~ringfence.study.crowd.contracts.contracts_of`. ``as_of``: the
    day whose rules hold; None for the tape's. ``market``: None for one as deep as :data:`DEPTH_SHARE` says.
    ``journal``: every run is kept in a file named after it
    (:func:`~ringfence.study.replay.engine_run.journal_name`); None for no journals.
    """

    rulebook: str = DEFAULT_RULEBOOK
    ticks_per_bar: int = DEFAULT_TICKS_PER_BAR
    impact: bool = False
    processes: int = 1
    asset: str | None = None
    as_of: date | None = None
    market: Market | None = None
    journal: Path | None = None


@exact
def replay_crowd(
    number: int,
    tape: Tape,
    *,
    seed: int = 1,
    options: Options | None = None,
    progress: Callable[[float], None] | None = None,
) -> Crowd:
    """Return what becomes of ``number`` accounts on ``tape`` under each architecture.

    ``progress`` is told the share of the work that is done. Raises BadTape where the rulebook knows none of the tape's
    symbols, BadConfiguration for a crowd or ticks that cannot be.
    """
    options = options or Options()
    if options.ticks_per_bar < _CORNERS:
        raise BadConfiguration(
            "too few ticks per bar", where="ticks_per_bar", expected=f"at least {_CORNERS}",
            found=str(options.ticks_per_bar), hint=f"leave it out for {DEFAULT_TICKS_PER_BAR}",
        )  # fmt: skip
    as_of = options.as_of or tape.start.date()
    rulebook = rulebooks.load(options.rulebook, as_of)
    traded = contracts_of(rulebook, tape.symbols, asset=options.asset)
    part = tape.renamed(traded.symbols)
    symbols = part.symbols
    first = {symbol: next(part.bars(symbol)).open for symbol in symbols}
    coins = is_coin(traded.asset)
    worth = first[symbols[0]] if coins else ONE  # all contracts that settle in a coin are of that coin
    members = draw_crowd(number, seed, rulebook=rulebook, prices=first, asset=traded.asset, worth=worth)
    open_value = _open_value(members, rulebook)
    fund = round_to(open_value * FUND_SHARE, _COIN_STEP if coins else ONE, rounding=ROUND_CEILING)
    market = options.market or Market(depth_value=_depth(open_value * worth, len(symbols)))
    task = Task(
        holding="isolated", members=members, tape=part, seed=seed, intermediate=options.ticks_per_bar - _CORNERS,
        rulebook=options.rulebook, as_of=as_of.isoformat(), asset=traded.asset, fund=fund, market=market, impact=False,
    )  # fmt: skip
    tasks = [_journaled(task._replace(holding=holding, impact=impact), options.journal)
             for impact in ((False, True) if options.impact else (False,)) for holding in HOLDINGS]  # fmt: skip
    refuse_journals(Path(one.journal) for one in tasks if one.journal is not None)
    outcomes = list(_run_all(tasks, options.processes, progress))
    plainly: dict[Holding, CrowdOutcome] = {one.holding: one for one in outcomes if not one.impact}
    return Crowd(
        number=number, seed=seed, tape_name=tape.name, tape_title=_title(tape), rulebook=rulebook.title,
        asset=traded.asset, places=4 if coins else 0,
        start=part.start, end=part.end, symbols=symbols, members=members, outcomes=plainly,
        moved={one.holding: one for one in outcomes if one.impact},
        held=_held(members, rulebook, part), open_value=open_value, first=first,
        lowest={symbol: part.bounds[symbol].low for symbol in symbols},
        assumptions=_assumptions(task, rulebook, part, traded, options), sources=_sources(part, rulebook),
    )  # fmt: skip


def _journaled(task: Task, file: Path | None) -> Task:
    """Return the task with a journal of its own, where journals are kept."""
    if file is None:
        return task
    part = f"{task.holding}-impact" if task.impact else task.holding
    return task._replace(journal=str(journal_name(file, part)))


def _depth(open_value: Value, symbols: int) -> Value:
    """Return the value on each level, whole units up."""
    return divide(open_value * DEPTH_SHARE, Decimal(symbols), places=0, rounding=ROUND_CEILING)


def _open_value(members: Sequence[Member], rulebook: Rulebook) -> Value:
    return sum(
        (abs(stake.quantity) * rulebook.contract(stake.symbol).contract_value(stake.entry_price)
         for member in members for stake in member.stakes),
        ZERO,
    )  # fmt: skip


def _held(members: Sequence[Member], rulebook: Rulebook, tape: Tape) -> Value:
    """Return what the crowd would have at the tape's last prices if nothing had been closed."""
    last: dict[str, Price] = {}
    for bar in tape.bars():
        last[bar.symbol] = bar.close
    total = ZERO
    for member in members:
        total += member.capital
        for stake in member.stakes:
            contract = rulebook.contract(stake.symbol)
            total += stake.quantity * (contract.unit_value(last[stake.symbol]) - contract.unit_value(stake.entry_price))
    return total


# ── Runs, in this process or in several ──────────────────────────────────────────────────────────────────────────


def _run_all(tasks: list[Task], processes: int, progress: Callable[[float], None] | None) -> Iterator[CrowdOutcome]:
    """Yield the outcome of every task in order."""
    if processes < 2 or len(tasks) < 2:
        for number, task in enumerate(tasks):
            yield run(task, None if progress is None else _scaled(progress, number, len(tasks)))
        return
    from concurrent.futures import ProcessPoolExecutor, wait
    from multiprocessing import get_context

    context = get_context("spawn")  # a fresh interpreter: a fork would copy whatever threads of the caller hold
    reached = context.Array("d", len(tasks))
    with ProcessPoolExecutor(
        min(processes, len(tasks)), mp_context=context, initializer=_share, initargs=(reached,)
    ) as pool:
        waiting = [pool.submit(_run_shared, number, task) for number, task in enumerate(tasks)]
        left = set(waiting)
        while left:
            _, left = wait(left, timeout=0.2)
            if progress is not None:
                progress(sum(reached[:]) / len(tasks))
        for future in waiting:
            yield future.result()


def _scaled(progress: Callable[[float], None], number: int, whole: int) -> Callable[[float], None]:
    return lambda share: progress((number + min(share, 1.0)) / whole)


_reached: list[Any] = []  # in a worker: the shared array in which it says how far each task is


def _share(reached: Any) -> None:
    _reached.append(reached)


def _run_shared(number: int, task: Task) -> CrowdOutcome:
    def note(share: float) -> None:
        _reached[-1][number] = min(share, 1.0)

    return run(task, note)


# ── What was assumed ─────────────────────────────────────────────────────────────────────────────────────────────


def _title(tape: Tape) -> str:
    from ringfence.study.replay.report import tape_title

    return tape_title(tape)


def _assumptions(task: Task, rulebook: Rulebook, tape: Tape, traded: Traded, options: Options) -> tuple[str, ...]:
    said = []
    if tape.stand_in is not None:
        said.append(f"{tape.stand_in[0].upper()}{tape.stand_in[1:]}: venues decide on marks, which move less.")
    market, fees = task.market, Fees()
    quote, places = ("USD", 4) if is_coin(task.asset) else (task.asset, 0)
    levels = "without end" if market.levels is None else f"{market.levels} of them"
    said += [
        f"Sizes of accounts: {VALUES_SOURCE}. Without the lowest tenth and the top hundredth; seed {task.seed}.",
        HABITS.told(len(tape.symbols)),
        _HELD,
        (
            f"The market around the price: {_percent(market.half_spread)} to the first level, then a level every "
            f"{_percent(market.level_gap)}, {market.depth_value:,f} {quote} on each, {levels}, in every symbol "
            "(ours)."
        ),
        (
            f"The insurance fund begins with {fixed(task.fund, places)} {task.asset}, {_percent(FUND_SHARE)} of what "
            f"all positions are worth; clearance fee {_percent(fees.clearance)} where the contract states none (ours)."
        ),
        f"{rulebook.title} liquidates in this order: {', '.join(rulebook.liquidation_sequence).replace('_', ' ')}.",
        f"A price is too old one bar after it came; at most {task.intermediate + _CORNERS} ticks are made of a bar.",
    ]
    if options.impact:
        said.append(
            f"Impact: forced volume moves the price by one level for every {market.depth_value:,f} {quote} that "
            f"the market took, and {plain(market.refill)} level comes back per second (a model of ours). The tape's "
            "own fall holds the liquidations that really happened; this comes on top."
        )
    if traded.renamed:
        said.append(f"Prices of one symbol stand in for a contract of another name: {', '.join(traded.renamed)}.")
    if options.as_of is not None and options.as_of != tape.start.date():
        said.append(f"The rules are those of {options.as_of}, not of the tape's day.")
    if traded.left_out:
        said.append(f"Left out: {_by_reason(traded.left_out)}.")
    return (*said, *tape.notes)


def _by_reason(left_out: Mapping[str, str]) -> str:
    """Return symbols with why they are left out, those of one reason together."""
    reasons: dict[str, list[str]] = {}
    for symbol, why in left_out.items():
        reasons.setdefault(why, []).append(symbol)
    return "; ".join(f"{', '.join(symbols)} ({why})" for why, symbols in reasons.items())


_HELD = (
    "All positions are opened at each symbol's first price, without fees, against the tape's market. Isolated: entry "
    "notional ÷ leverage stands behind each, the rest stays idle. Cross: everything stands behind all. Mixed: a coin "
    "per position. Nobody adds margin, closes or trades; no funding."
)


def _percent(share: Decimal) -> str:
    return f"{plain((share * 100).normalize())} %"


def _sources(tape: Tape, rulebook: Rulebook) -> tuple[str, ...]:
    found = tape.provenance
    said = [f"Prices: {found.source or found.file}" + (f" ({found.venue})" if found.venue else "")]
    return (*said, f"Rules: {rulebook.title} as of {rulebook.as_of}")


__all__ = ["DEFAULT_RULEBOOK", "DEFAULT_TICKS_PER_BAR", "FUND_SHARE", "Options", "replay_crowd"]
