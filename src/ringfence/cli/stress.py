"""``ringfence stress``: what moves of prices, past crashes, haircuts and funding do to an account."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.cli.options import (
    AccountArgument,
    AsOfOption,
    BetaOption,
    JsonOption,
    MarkOption,
    ReportOption,
    read_betas,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringfence.study.stress import Cell, Grid, Shocked, Stress


def stress(  # noqa: PLR0913 - a parameter per option
    account: AccountArgument,
    mark: MarkOption = None,
    as_of: AsOfOption = None,
    *,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="SYMBOL", help="One or two symbols of the grid; the largest if not given."),
    ] = None,
    span: Annotated[str, typer.Option("--range", metavar="PERCENT", help="How far the grid moves each way.")] = "50",
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Points of the grid each way.")] = 21,
    beta: BetaOption = None,
    funding_rate: Annotated[
        str, typer.Option("--funding-rate", metavar="RATE", help="What longs pay shorts per 8 hours.")
    ] = "0.0001",
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show an account's health over moves of one or two symbols, of all marks, in past crashes, and after funding.

    Where calls and liquidations begin is solved exactly.
    """
    from ringfence.cli import show
    from ringfence.cli.load import load_account
    from ringfence.cli.options import read_number
    from ringfence.errors import BadInput
    from ringfence.numbers import EXACT
    from ringfence.study import stress as study

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    try:
        found = study.stress(
            file.account,
            marks=file.marks,
            rulebook=rulebook,
            symbols=symbol or [],
            span=EXACT.multiply(read_number(span, "--range"), Decimal("0.01")),
            steps=steps,
            betas=read_betas(beta or [], file.marks),
            funding_rate=read_number(funding_rate, "--funding-rate", signed=True),
        )
    except BadInput as error:
        raise error.located(file.where) from None
    if report is not None:
        from ringfence.study import page, stress_page

        page.write(stress_page.html_page(found, title=f"{file.where} under stress"), report)
    if json:
        show.print_json(study.as_json(found))
        return
    _print(show.console(), found)
    if report is not None:
        show.say(f"written: {report}")


def _print(screen: Console, found: Stress) -> None:
    from ringfence.cli import show

    _print_grid(screen, found.grid)
    _print_edges(screen, found)
    screen.print(show.simple_table("All marks together", *_rows(found.ladder)))
    for turn in found.turns:
        what = "liquidated" if turn.level == 1 else "called"
        screen.print(f"  {turn.pool}: {what} at {show.percent(turn.down)} down, {show.percent(turn.up)} up"
                     + ("" if turn.exact else " (found by scan)"), style="dim", markup=False)  # fmt: skip
    screen.print()
    if found.crashes:
        screen.print(show.simple_table("Past crashes", *_rows(found.crashes, moves=True)))
    if found.haircuts:
        screen.print(show.simple_table("Collateral that counts for less", *_rows(found.haircuts)))
    if found.volatilities:
        screen.print(show.simple_table("Options at other volatilities", *_rows(found.volatilities)))
    screen.print(show.simple_table("Funding", *_rows(found.after_funding)))
    for owed in found.funding:
        until = "" if owed.days_to_liquidation is None else (
            f", called after {show.factor(owed.days_to_call)} days, liquidated after "
            f"{show.factor(owed.days_to_liquidation)}")  # fmt: skip
        screen.print(f"  {owed.pool}: {show.amount(owed.a_day, owed.asset)} {owed.asset or ''} a day{until}",
                     style="dim", markup=False)  # fmt: skip
    screen.print()
    for note in found.assumptions:
        screen.print(f"· {note}", style="dim", markup=False)


_GLYPHS = (("liquidated", "██", "red"), ("called", "▓▓", "dark_orange"), ("below 2", "▒▒", "yellow"),
           ("below 4", "░░", "green"), ("above", "··", "green dim"), ("not known", "??", "dim"))  # fmt: skip


def _glyph(cell: Cell) -> tuple[str, str]:
    if cell.liquidated:
        kind = 0
    elif cell.unknown:
        kind = 5
    elif cell.called:
        kind = 1
    elif cell.health is None or cell.health >= 4:
        kind = 4
    else:
        kind = 2 if cell.health < 2 else 3
    return _GLYPHS[kind][1], _GLYPHS[kind][2]


def _print_grid(screen: Console, grid: Grid) -> None:
    from rich.text import Text

    from ringfence.cli import show

    first, second = grid.symbols[0], grid.symbols[1] if len(grid.symbols) == 2 else None
    screen.print(f"[bold]Health[/]  → {first}" + (f"  ↑ {second}" if second else "") + "\n")
    for move, row in zip(reversed(grid.rows), reversed(grid.cells), strict=True):
        label = show.percent(move, decimals=0) if move else "0 %"
        line = Text(f"{label if second else '':>7} ")
        here = not move
        for column, cell in zip(grid.columns, row, strict=True):
            glyph, style = _glyph(cell)
            line.append("◆◆" if here and not column else glyph, style=style)
        screen.print(line, soft_wrap=True)
    width = 2 * len(grid.columns)
    ends = [show.percent(move, decimals=0) for move in (grid.columns[0], grid.columns[-1])]
    screen.print(" " * 8 + ends[0] + "now".center(width - len(ends[0]) - len(ends[1])) + ends[1], soft_wrap=True)
    key = Text(" " * 8)
    for name, glyph, style in (*_GLYPHS[:5], ("now", "◆◆", "")):
        key.append(glyph, style=style).append(f" {name}  ")
    screen.print(key, soft_wrap=True)
    screen.print()


def _print_edges(screen: Console, found: Stress) -> None:
    """Say where each pool is called and liquidated as the first symbol moves, the other at its mark."""
    from ringfence.cli import show

    grid = found.grid
    row = min(range(len(grid.rows)), key=lambda index: abs(grid.rows[index]))
    mark = grid.marks[0]
    for edge in grid.edges:
        what = "liquidated" if edge.level == 1 else "called"
        places = [
            f"{show.price(price, min(6, max(2, 5 - price.adjusted())))} ({show.percent(price / mark - 1)})"
            for price in (edge.below[row], edge.above[row])
            if price is not None
        ]
        beside = "" if not grid.rows[row] else f" at {grid.symbols[1]} {show.percent(grid.rows[row])}"
        where = " and ".join(places) or "no price"
        screen.print(f"  {edge.pool}: {what} at {grid.symbols[0]} {where}{beside}", style="dim", markup=False)
    screen.print()


def _rows(shocks: Sequence[Shocked], *, moves: bool = False) -> tuple[list[str], list[list[str]]]:
    from ringfence.cli import show

    headers = ["", *(["each symbol, when (UTC)"] if moves else []), "worst pool", "health", "balance", "state"]
    rows = []
    for shock in shocks:
        worst = shock.worst
        if worst is None:
            continue
        dead = sum(pool.status == "liquidatable" for pool in shock.pools)
        state = show.STATUS_WORDS[worst.status]
        said = f"{state} ({dead} of {len(shock.pools)})" if dead and len(shock.pools) > 1 else state
        told = ", ".join(
            f"{symbol.removesuffix('USDT')} {show.percent(move, decimals=0)}"
            + (f" {shock.at[symbol]:%H:%M}" if symbol in shock.at else "*")
            for symbol, move in shock.moves.items()
        )
        rows.append([shock.name, *([told] if moves else []), worst.pool, _health(shock, worst.health),
                     show.amount(worst.balance, worst.asset), said])  # fmt: skip
    return headers, rows


def _health(shock: Shocked, health: Decimal | None) -> str:
    """Return a health, and between what it lies where the tape lacks a coin of the account."""
    from ringfence.cli import show

    if shock.between is None:
        return show.factor(health)
    return f"{show.factor(health)}\n({show.factor(shock.between[0])} to {show.factor(shock.between[1])})"


__all__ = ["stress"]
