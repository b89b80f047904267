"""``ringfence replay --architectures``: the ways side by side as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.cli.replay_json import what_was_replayed
from ringfence.cli.replay_tables import titled_table
from ringfence.numbers import text
from ringfence.study.replay.words import trade_said
from ringfence.study.wording import amount, clock, percent, ratio
from ringfence.tape.bars import utc_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ringfence.study.replay.ways import Happening, SideBySide, Way

SCHEMA = "ringfence.replay-architectures/1"
_STYLES = {"warning": "yellow", "margin_call": "dark_orange", "exchange": "cyan", "reduction": "red",
           "liquidation": "bold red"}  # fmt: skip
WORDS = {"warning": "warning", "margin_call": "margin call", "exchange": "debt exchanged", "reduction": "reduced",
         "liquidation": "liquidated"}  # fmt: skip


# ── For people ────────────────────────────────────────────────────────────────────────────────────────────────────


def print_ways(screen: Console, found: SideBySide, report: Path | None) -> None:
    """Print a replay under several architectures, ending with the verdict and where the report is."""
    from rich.text import Text

    tape = found.tape
    screen.print(
        Text.assemble(
            (f"{found.file.where} through {tape.name}", "bold"),
            f", {tape.start:%H:%M} to {tape.end:%H:%M} UTC, {found.ticks:,} prices, under {len(found.held)} "
            f"architecture{'' if len(found.held) == 1 else 's'} of {found.rulebook.title}",
        )
    )
    screen.print()
    if found.held:
        screen.print(_timeline(found))
        screen.print(_endings(found))
    for way in found.ways:
        if way.unavailable is not None:
            screen.print(Text.assemble((f"Not {way.words}: ", "bold"), way.unavailable))
    screen.print()
    screen.print(Text("Assumed", style="bold"))
    for said in assumptions(found):
        screen.print(Text.assemble(("· ", "dim"), (said, "dim")))
    screen.print()
    screen.print(Text("Verdict", style="bold"))
    screen.print(Text(found.verdict()))
    if report is not None:
        screen.print()
        screen.print(Text.assemble("Report: ", (str(report), "cyan")), soft_wrap=True)


def assumptions(found: SideBySide) -> tuple[str, ...]:
    """Return everything that a reader has to know that no exchange said, portfolio margin's terms last."""
    own = dict.fromkeys(f"{way.words}: {said}" for way in found.held for said in way.assumptions)
    return (*found.assumptions, *own)


def _timeline(found: SideBySide) -> Table:
    table = titled_table("Timeline")
    table.add_column("UTC", no_wrap=True)
    table.add_column("way", no_wrap=True)
    table.add_column("what happened")
    table.add_column("health", justify="right")
    table.add_column("left", justify="right")
    happened = sorted((one for way in found.held for one in way.happenings), key=lambda one: one.ts)
    words = {way.name: way.words for way in found.held}
    if not happened:
        table.add_row("", "", "nothing happened", "", "")
    for one in happened:
        table.add_row(
            clock(one.ts, of=found.tape.end - found.tape.start), words[one.way], _what(one), ratio(one.health),
            amount(one.worth),
        )  # fmt: skip
    return table


def _what(one: Happening) -> Text:
    from rich.text import Text

    pool = "" if one.pool == "account" else f"{one.pool.removeprefix('isolated ')} "
    said = Text.assemble(pool, (WORDS[one.kind], _STYLES[one.kind]))
    if one.said:
        said.append(f"\n{one.said}", style="dim")
    for trade in one.trades:
        said.append(f"\n{trade_said(trade)}", style="dim")
    if one.fund:
        gets = "gets" if one.fund > 0 else "pays"
        said.append(f"\ninsurance fund {gets} {amount(abs(one.fund))}", style="dim")
    return said


_ROWS: tuple[tuple[str, Callable[[Way], str]], ...] = (
    ("at the start", lambda way: amount(way.start)),
    ("lowest", lambda way: amount(way.lowest.worth)),
    ("lowest at", lambda way: f"{way.lowest.ts:%H:%M}"),
    ("drawdown", lambda way: percent(way.drawdown)),
    ("lowest health", lambda way: ratio(way.lowest_health)),
    ("margin calls", lambda way: str(way.count("margin_call"))),
    ("liquidations", lambda way: str(way.count("liquidation", "reduction"))),
    ("closed", lambda way: str(len(way.closed))),
    ("kept", lambda way: str(len(way.kept))),
    ("to the fund", lambda way: amount(way.fund)),
    ("at the end", lambda way: amount(way.end)),
)
"""What the ways are compared by: the words, and what says it of a way."""


def rows(found: SideBySide) -> list[tuple[str, ...]]:
    """Return the comparison, a row per figure: its name, and what it is in each way that was held."""
    return [(name, *(figure(way) for way in found.held)) for name, figure in _ROWS]


def _endings(found: SideBySide) -> Table:
    table = titled_table("How it ended, in the account's currency")
    table.add_column("")
    for way in found.held:
        table.add_column(way.words, justify="right")
    for name, *cells in rows(found):
        bold = name == "at the end"
        if bold:
            table.add_section()
        table.add_row(*(f"[bold]{cell}[/]" if bold else cell for cell in (name, *cells)))
    return table


# ── For programs ──────────────────────────────────────────────────────────────────────────────────────────────────


def as_json(found: SideBySide, report: Path | None = None) -> dict[str, Any]:
    """Return what ``ringfence replay --architectures … --json`` prints; amounts in the account's currency."""
    return {
        "schema": SCHEMA,
        **what_was_replayed(found),
        "architectures": [_way(way) for way in found.ways],
        "assumptions": list(assumptions(found)),
        "verdict": found.verdict(),
        "report": None if report is None else str(report),
    }


def _way(way: Way) -> dict[str, Any]:
    if way.unavailable is not None:
        return {"name": way.name, "unavailable": way.unavailable}
    return {
        "name": way.name,
        "unavailable": None,
        "start": text(way.start),
        "end": text(way.end),
        "lowest": {"ts": utc_text(way.lowest.ts), "worth": text(way.lowest.worth)},
        "drawdown": text(way.drawdown),
        "lowest_health": text(way.lowest_health),
        "margin_calls": way.count("margin_call"),
        "liquidations": way.count("liquidation", "reduction"),
        "insurance_fund": text(way.fund),
        "closed": list(way.closed),
        "reduced": list(way.reduced),
        "kept": list(way.kept),
        "events": [_happening(one) for one in way.happenings],
        "series": [{"ts": utc_text(one.ts), "worth": text(one.worth), "health": text(one.health)}
                   for one in way.moments],
    }  # fmt: skip


def _happening(one: Happening) -> dict[str, Any]:
    return {
        "ts": utc_text(one.ts),
        "kind": one.kind,
        "pool": one.pool,
        "health": text(one.health),
        "balance": text(one.balance),
        "requirement": text(one.requirement),
        "worth": text(one.worth),
        "insurance_fund": text(one.fund),
        "said": one.said or None,
        "trades": [
            {"symbol": trade.symbol, "side": trade.side, "cause": trade.cause, "quantity": text(trade.quantity),
             "price": text(trade.price), "whole": trade.whole, "fills": trade.fills}
            for trade in one.trades
        ],
    }  # fmt: skip


__all__ = ["SCHEMA", "as_json", "assumptions", "print_ways", "rows"]
