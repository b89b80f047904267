"""``ringfence compare``: the same book as given, all isolated and all cross, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console
    from rich.table import Table

    from ringfence.study.compare import Architecture, Comparison


def compare(
    account: Annotated[str, typer.Argument(help="Account file, or - for standard input.")],
    mark: Annotated[list[str] | None, typer.Option("--mark", help="Override a mark: SYMBOL=PRICE.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Rules of this day (YYYY-MM-DD).")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one book under isolated and cross margin: what is used, free, at stake and protected.

    Example: ringfence compare account.json
    """
    from ringfence.cli import show  # noqa: PLC0415
    from ringfence.cli.load import load_account  # noqa: PLC0415
    from ringfence.study import compare as study  # noqa: PLC0415

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    comparison = study.compare(file, rulebook)
    if json:
        show.print_json(study.as_json(comparison))
        return
    _print(comparison, show.console())


def _print(comparison: Comparison, console: Console) -> None:
    from rich.table import Table  # noqa: PLC0415

    unit = comparison.asset or ""
    table = Table(
        title=f"One book, {len(comparison.architectures)} ways to hold it", title_justify="left", show_lines=True
    )
    table.add_column(f"amounts in {unit}" if unit else "", style="bold")
    for held in comparison.architectures:
        table.add_column(held.name, justify="right")
    _add_rows(table, comparison.architectures)
    console.print(table)
    for held in comparison.architectures:
        for refusal in held.refusals:
            console.print(f"[yellow]{held.name}:[/] this venue refuses the switch now: {refusal.message}")
    console.print(
        "[dim]distance: how far the position's own mark can move, all else fixed · together: all marks move alike · "
        "at stake: equity of the pool that dies (full takeover) · nothing here charges fees or funding[/]"
    )


def _add_rows(table: Table, held: tuple[Architecture, ...]) -> None:
    table.add_row("margin used", *(_or_why(a, _amount(a.margin_used)) for a in held))
    table.add_row("free collateral", *(_or_why(a, _amount(a.free)) for a in held))
    table.add_row("distance to liquidation", *(_or_why(a, _distances(a)) for a in held))
    table.add_row("together, first death", *(_or_why(a, _deaths(a)) for a in held))
    table.add_row("at stake", *(_or_why(a, _stakes(a)) for a in held))
    table.add_row("protected", *(_or_why(a, _protected(a)) for a in held))


def _or_why(held: Architecture, text: str) -> str:
    return f"[dim]{held.unavailable}[/]" if held.unavailable else text


def _amount(value: Decimal | None) -> str:
    return "not known" if value is None else f"{value:,.2f}"


def _move(value: Decimal | None) -> str:
    return "none" if value is None else f"{value * 100:+.2f} %"


def _distances(held: Architecture) -> str:
    return "\n".join(f"{p.symbol} {p.side} {_move(p.distance):>9}" for p in held.positions)


def _deaths(held: Architecture) -> str:
    rows = []
    for label, death in (("fall", held.first_death_down), ("rise", held.first_death_up)):
        rows.append(f"{label} none" if death is None else f"{label} {_move(death[0])}\n[dim]{death[1]}[/]")
    return "\n".join(rows)


def _stakes(held: Architecture) -> str:
    rows = [(a.pool.name, a.margin_balance) for a in held.assessments if a.lines]
    return "\n".join(f"[dim]{name.removeprefix('isolated ')}[/] {_amount(value)}" for name, value in rows)


def _protected(held: Architecture) -> str:
    if held.protected is None:
        return "not known"
    if not held.protected:
        return "nothing: every unit of equity\nstands behind every position"
    share = "" if not held.equity else f"\n[dim]{held.protected / held.equity * 100:.1f} % of equity[/]"
    return f"{_amount(held.protected)}{share}"
