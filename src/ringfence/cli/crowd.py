"""``ringfence replay --population``: a crowd through real prices, isolated, cross and mixed, side by side."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.study.crowd.result import HOLDINGS, QUANTILES
from ringfence.study.crowd.table import comparison
from ringfence.study.crowd.words import paragraph
from ringfence.study.wording import clock, counted, fixed
from ringfence.tape.bars import moment_of, utc_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from ringfence.study.crowd.result import Crowd, CrowdOutcome

SCHEMA = "ringfence.crowd/1"
_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDTH = 64


class CrowdChoices(NamedTuple):
    """What the options of ``ringfence replay`` chose for a crowd; None for what was not given."""

    population: int
    tape: str
    seed: int
    rulebook: str | None
    ticks_per_bar: int | None
    impact: bool
    report: Path | None
    json: bool
    processes: int | None
    journal: Path | None = None
    asset: str | None = None
    as_of: str | None = None


def replay_population(choices: CrowdChoices) -> None:
    """Replay a crowd and show what came of it."""
    from ringfence.cli import show
    from ringfence.cli.load import day
    from ringfence.study.cores import cores
    from ringfence.study.crowd.crowd import DEFAULT_RULEBOOK, DEFAULT_TICKS_PER_BAR, Options, replay_crowd
    from ringfence.tape import load_tape

    options = Options(
        rulebook=choices.rulebook or DEFAULT_RULEBOOK,
        ticks_per_bar=choices.ticks_per_bar or DEFAULT_TICKS_PER_BAR,
        impact=choices.impact,
        processes=choices.processes or cores(),
        journal=choices.journal,
        asset=choices.asset,
        as_of=None if choices.as_of is None else day(choices.as_of),
    )
    prices = load_tape(choices.tape)
    with _progress(choices.population) as progress:
        crowd = replay_crowd(choices.population, prices, seed=choices.seed, options=options, progress=progress)
    if choices.report is not None:
        _write(crowd, choices.report)
    from ringfence.cli.replay_tables import journals_kept, say_journals

    if choices.json:
        show.print_json({**as_json(crowd, choices.report), "journals": journals_kept(choices.journal)})
    else:
        print_crowd(show.console(), crowd, choices.report)
        say_journals(choices.journal)


def _write(crowd: Crowd, path: Path) -> None:
    from ringfence.errors import BadConfiguration
    from ringfence.study.crowd.report import write_crowd_report

    try:
        write_crowd_report(crowd, path)
    except OSError as error:
        raise BadConfiguration(
            "the report cannot be written", where=f"--report {path}", expected="a file that can be made",
            found=error.strerror or str(error), hint="name a file in a folder you may write to",
        ) from None  # fmt: skip


@contextmanager
def _progress(population: int) -> Iterator[Callable[[float], None] | None]:
    """Yield what draws a progress bar on standard error; None where nobody would see it."""
    from ringfence.cli import show

    screen = show.console(stderr=True)
    if show.settings.quiet or not screen.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=None), TaskProgressColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(f"{population:,} accounts, isolated, cross, mixed", total=1.0)
        yield lambda share: bar.update(task, completed=share)


# ── On a terminal ────────────────────────────────────────────────────────────────────────────────────────────────


def print_crowd(screen: Console, crowd: Crowd, report: Path | None) -> None:
    """Print a crowd for people, ending with the paragraph and where the report is."""
    from rich.table import Table
    from rich.text import Text

    shown = crowd.shown
    some = shown["isolated"]
    screen.print(
        Text.assemble(
            (f"{crowd.number:,} accounts through {crowd.tape_name}", "bold"),
            f", {crowd.start:%H:%M} to {crowd.end:%H:%M} UTC, {crowd.rulebook}, seed {crowd.seed}\n"
            f"{some.positions:,} positions in {counted(len(crowd.symbols), 'symbol')} worth "
            f"{fixed(crowd.open_value, crowd.places)} {crowd.asset} behind {fixed(some.capital, crowd.places)} of "
            f"capital, held three ways"
            f"{', forced orders moving the price' if crowd.moved else ''}",
        )
    )
    screen.print()
    screen.print(_comparison(crowd))
    screen.print(Text("Accounts that nobody has liquidated yet", style="bold"))
    for name in HOLDINGS:
        left = shown[name].samples[-1].accounts
        screen.print(Text.assemble(f"{name:>9} ", (_sparkline(shown[name], crowd.number), "cyan"), f" {left:,} left"))
    middle = crowd.start + (crowd.end - crowd.start) / 2
    axis = f"{clock(crowd.start)[:5]:<{_WIDTH // 2}}{clock(middle)[:5]}"
    screen.print(Text(f"{'':>9} {axis:<{_WIDTH - 5}}{clock(crowd.end)[:5]}", style="dim"))
    screen.print()
    screen.print(Text("Assumed", style="bold"))
    grid = Table.grid(padding=(0, 1, 0, 0))
    for said in crowd.assumptions:
        grid.add_row(Text("·", style="dim"), Text(said, style="dim"))
    screen.print(grid)
    screen.print()
    screen.print(Text("How the three differ", style="bold"))
    screen.print(Text(paragraph(crowd)))
    screen.print()
    screen.print(Text(_checked(crowd), style="dim"))
    if report is not None:
        screen.print(Text.assemble("Report: ", (str(report), "cyan")), soft_wrap=True)


def _checked(crowd: Crowd) -> str:
    every = [*crowd.outcomes.values(), *crowd.moved.values()]
    off = [total for one in every for total in one.trial_balance.values() if total]
    balance = "zero in every run" if not off else f"NOT ZERO: {off}"
    return (
        f"Trial balance: {balance}. {len(every)} runs, {sum(one.updates for one in every):,} price updates, "
        f"{sum(one.events for one in every):,} events."
    )


def _sparkline(outcome: CrowdOutcome, number: int) -> str:
    samples = outcome.samples
    picked = [samples[index * (len(samples) - 1) // (_WIDTH - 1)].accounts for index in range(_WIDTH)]
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // number)] for count in picked)


def _comparison(crowd: Crowd) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for name in HOLDINGS:
        table.add_column(name, justify="right")
    for title, rows in comparison(crowd):
        table.add_row(f"[bold]{title}[/]", *[""] * len(HOLDINGS))
        for label, cells in rows:
            table.add_row(f"  {label}", *cells)
        table.add_section()
    return table


# ── As JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────


def as_json(crowd: Crowd, report: Path | None = None) -> dict[str, Any]:
    """Return what ``ringfence replay --population N --json`` prints: the same for the same seed, timings left out."""
    return {
        "schema": SCHEMA,
        "population": crowd.number,
        "seed": crowd.seed,
        "tape": {"name": crowd.tape_name, "start": utc_text(crowd.start), "end": utc_text(crowd.end),
                 "symbols": list(crowd.symbols)},
        "rulebook": crowd.rulebook,
        "asset": crowd.asset,
        "open_value": f"{crowd.open_value:f}",
        "held_to_the_end": f"{crowd.held:f}",
        "outcomes": {name: _outcome(crowd.outcomes[name]) for name in HOLDINGS},
        "with_impact": {name: _outcome(crowd.moved[name]) for name in HOLDINGS} if crowd.moved else None,
        "assumptions": list(crowd.assumptions),
        "paragraph": paragraph(crowd),
        "report": None if report is None else str(report),
    }  # fmt: skip


def _outcome(outcome: CrowdOutcome) -> dict[str, Any]:
    deleveraging, fund = outcome.deleveraging, outcome.fund
    return {
        "called": outcome.called,
        "liquidated": outcome.liquidated,
        "bankrupt": outcome.bankrupt,
        "wiped_out": outcome.wiped_out,
        "positions": outcome.positions,
        "positions_forced": outcome.positions_forced,
        "capital": f"{outcome.capital:f}",
        "lost_in_liquidations": f"{outcome.lost:f}",
        "equity": f"{outcome.equity:f}",
        "insurance_fund": {name: f"{value:f}" for name, value in fund._asdict().items()},
        "auto_deleveraging": {
            "accounts": deleveraging.accounts, "trades": deleveraging.trades, "value": f"{deleveraging.value:f}",
            "market_value": f"{deleveraging.market_value:f}",
        },
        "kept_quantiles": {str(share): f"{outcome.quantile(share):f}" for share in QUANTILES},
        "lowest": {symbol: f"{value:f}" for symbol, value in sorted(outcome.lowest.items())},
        "series": [
            {"ts": utc_text(moment_of(one.micros)), "equity": f"{one.equity:f}",
             "accounts_not_liquidated": one.accounts, "positions_not_forced": one.positions}
            for one in outcome.samples
        ],
        "trial_balance": {asset: f"{total.normalize():f}" for asset, total in outcome.trial_balance.items()},
        "price_updates": outcome.updates,
        "events": outcome.events,
        "digest": outcome.digest,
    }  # fmt: skip


__all__ = ["SCHEMA", "CrowdChoices", "as_json", "print_crowd", "replay_population"]
