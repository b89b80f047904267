"""A replay on a terminal: the timeline side by side, how each position ended, what was assumed, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.study.replay.result import ARCHITECTURES
from ringfence.study.replay.verdict import verdict
from ringfence.study.replay.words import kind_of, trade_said
from ringfence.study.wording import amount, clock, percent, price, ratio

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ringfence.study.replay.result import Event, Outcome, Replay

_STYLES = {"warning": "yellow", "margin_call": "dark_orange", "reduction": "red", "liquidation": "bold red"}


def print_replay(screen: Console, replay: Replay, report: Path | None) -> None:
    """Print a replay for people, ending with the verdict and where the report is."""
    from rich.text import Text

    tape = replay.tape
    screen.print(
        Text.assemble(
            (f"{replay.file.where} through {tape.name}", "bold"),
            f", {tape.start:%H:%M} to {tape.end:%H:%M} UTC, {replay.ticks:,} prices, under both margin architectures",
        )
    )
    screen.print()
    screen.print(_timeline(replay))
    screen.print(_endings(replay))
    screen.print(Text("Assumed", style="bold"))
    screen.print(_assumed(replay))
    screen.print()
    screen.print(Text("Verdict", style="bold"))
    screen.print(Text(verdict(replay)))
    if report is not None:
        screen.print()
        screen.print(Text.assemble("Report: ", (str(report), "cyan")), soft_wrap=True)


def _assumed(replay: Replay) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    for said in replay.assumptions:
        grid.add_row(Text("·", style="dim"), Text(said, style="dim"))
    return grid


def titled_table(title: str) -> Table:
    """Return an empty table under its title, as a replay prints them."""
    from rich import box
    from rich.table import Table

    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim",
        padding=(0, 1), collapse_padding=True,
    )  # fmt: skip


def _timeline(replay: Replay) -> Table:
    table = titled_table("Timeline")
    table.add_column("UTC", no_wrap=True)
    for name in ARCHITECTURES:
        table.add_column(name)
        table.add_column("health", justify="right")
    if not replay.events:
        table.add_row("", "nothing happened", "", "nothing happened", "")
    for event in replay.events:
        cells = [(_what(event), ratio(event.health)) if event.architecture == name else ("", "")
                 for name in ARCHITECTURES]  # fmt: skip
        table.add_row(
            clock(event.ts, of=replay.tape.end - replay.tape.start), *(cell for pair in cells for cell in pair)
        )
    return table


def _what(event: Event) -> Text:
    from rich.text import Text

    said = Text.assemble(f"{event.pool.removeprefix('isolated ')} ", (kind_of(event), _STYLES[event.kind]))
    if len(event.legs) == 1 and not event.trades:
        said.append(f" at {price(event.legs[0].mark_price)}")
    for trade in event.trades:
        said.append(f"\n{trade_said(trade, alone=event.pool.startswith('isolated'))}", style="dim")
    if event.kind in {"reduction", "liquidation"}:
        said.append(f"\nlost {amount(event.loss)}, left {amount(event.left, event.asset)}", style="dim")
        if event.fund < 0:
            said.append(f"\ninsurance fund pays {amount(-event.fund)}", style="dim")
    return said


def _endings(replay: Replay) -> Table:
    table = titled_table("How it ended")
    for name in ("", *ARCHITECTURES):
        table.add_column(name)
    outcomes = [replay.outcomes[name] for name in ARCHITECTURES]
    for position in replay.file.account.positions:
        name = f"{position.symbol} {position.side}"
        table.add_row(name, *(_fate(outcome, position.symbol, position.side) for outcome in outcomes))
    for asset in replay.assets:
        table.add_section()
        table.add_row("idle cash", *(amount(outcome.idle[asset], asset) for outcome in outcomes))
        table.add_row("at the start", *(amount(outcome.start[asset], asset) for outcome in outcomes))
        table.add_row("lowest", *(_lowest(outcome, asset) for outcome in outcomes))
        table.add_row("[bold]at the end[/]", *(f"[bold]{amount(outcome.end[asset], asset)}[/]" for outcome in outcomes))
    return table


def _lowest(outcome: Outcome, asset: str) -> str:
    when, equity = outcome.lowest[asset]
    return f"{amount(equity, asset)} at {when:%H:%M}, drawdown {percent(outcome.drawdown[asset])}"


def _fate(outcome: Outcome, symbol: str, side: str) -> Text:
    from rich.text import Text

    for event in outcome.liquidations:
        for leg in event.legs:
            if (leg.symbol, leg.side) == (symbol, side):
                own = amount(-event.loss, signed=True)
                what = own if len(event.legs) == 1 else f"PnL {amount(leg.unrealised_pnl, signed=True)}"
                return Text.assemble(f"{clock(event.ts)} ", (kind_of(event), "red"), f", {what}")
    leg = next(leg for leg in outcome.survivors if (leg.symbol, leg.side) == (symbol, side))
    return Text.assemble(("lives", "green"), f", PnL {amount(leg.unrealised_pnl, signed=True)}")


def journals_kept(journal: Path | None) -> list[str]:
    """Return the files that a study was journaled in."""
    if journal is None:
        return []
    from ringfence.study.replay.engine_run import journals_of

    return [str(path) for path in journals_of(journal)]


def say_journals(journal: Path | None) -> None:
    """Say where a study was journaled, and what to do with it."""
    if journal is not None:
        from ringfence.cli import show

        show.print_text(f"Journals: {', '.join(journals_kept(journal))}")
        show.print_text(f"Decide them again: ringfence journal verify {journal}")


__all__ = ["journals_kept", "print_replay", "say_journals", "titled_table"]
