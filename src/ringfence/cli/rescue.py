"""``ringfence rescue``: the ways out of danger, ranked by cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.cli.options import AccountArgument, AsOfOption, JsonOption, MarkOption, ReportOption

if TYPE_CHECKING:
    from rich.console import Console

    from ringfence.study.rescue import Endangered, Rescue, Way


def rescue(
    account: AccountArgument,
    mark: MarkOption = None,
    as_of: AsOfOption = None,
    *,
    health: Annotated[
        str | None, typer.Option("--health", metavar="N", help="Wanted health; the margin-call level if not given.")
    ] = None,
    fee_rate: Annotated[
        str | None, typer.Option("--fee-rate", metavar="RATE", help="Fee as a fraction; the taker rate if not given.")
    ] = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show the ways back to a wanted health, solved exactly and ranked by cost, and why others are none."""
    from ringfence.cli import show
    from ringfence.cli.load import load_account
    from ringfence.cli.options import read_number, read_rate
    from ringfence.errors import BadInput
    from ringfence.study import rescue as study

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    wanted = None if health is None else read_number(health, "--health")
    try:
        found = study.rescue(
            file.account, marks=file.marks, rulebook=rulebook, health=wanted, fee_rate=read_rate(fee_rate)
        )
    except BadInput as error:
        raise error.located(file.where) from None
    if report is not None:
        from ringfence.study import page, rescue_page

        page.write(rescue_page.html_page(found, title=f"The ways out for {file.where}"), report)
    if json:
        show.print_json(study.as_json(found))
        return
    _print(show.console(), found)


def _print(screen: Console, found: Rescue) -> None:
    from ringfence.cli import show

    wanted = f"a health above {show.exactly(found.target)}"
    if not found.pools:
        which = "every pool whose health is known" if found.unknown else "every pool"
        screen.print(f"Nothing to rescue: {which} has {wanted}, {found.level_source}.", markup=False)
    for pool in found.pools:
        _print_pool(screen, pool, wanted, found.level_source)
    if found.pools:
        screen.print(_LEGEND, style="dim", markup=False)
    for note in found.notes:
        screen.print(f"· {note}", style="dim", markup=False)


_LEGEND = (
    "ranked by fees, then by cash from outside · health, room: after it; room is the smallest move of one mark alone "
    "that then liquidates the pool"
)


def _print_pool(screen: Console, pool: Endangered, wanted: str, source: str) -> None:
    from ringfence.cli import show

    asset = pool.asset
    style = show.STATUS_STYLES[pool.status]
    screen.print(
        f"[bold]{pool.pool}[/]  [{style}]{show.STATUS_WORDS[pool.status]}[/]  health {show.factor(pool.health)}: "
        f"balance {show.amount(pool.balance, asset)}, required {show.amount(pool.required, asset)} {asset or ''}\n"
        f"[dim]wanted: {wanted}, {source}[/]\n",
        soft_wrap=True,
    )
    ways = [way for way in pool.ways if way.refusal is None]
    rows = [(str(number), *_row(way, asset)) for number, way in enumerate(ways, start=1)]
    if rows:
        headers = ("", "way out", "fees", "from outside", "health", "room")
        screen.print(show.simple_table("Ways out", headers, rows, right=(2, 3, 4, 5)))
    else:
        screen.print("There is no way out.\n", style="bold red")
    refused = [(way.what, _why(way)) for way in pool.ways if way.refusal is not None]
    if refused:
        screen.print("No way out", style="dim")
        screen.print(show.definitions(refused, terms="dim"))
        screen.print()


def _row(way: Way, asset: str | None) -> tuple[str, str, str, str, str]:
    from ringfence.cli import show

    unit = asset or (way.unit if way.kind == "deposit" else None)
    return (
        way.what,
        show.amount(way.cost, unit) if way.cost else "none",
        show.amount(way.outside, unit) if way.outside else "none",
        show.factor(way.health, missing="closed"),
        "" if way.health is None else show.percent(way.room, missing="no end").lstrip("+"),
    )


def _why(way: Way) -> str:
    from ringfence.cli import show

    return f"{way.refusal}" + ("" if way.health is None else f" (health {show.factor(way.health)})")


__all__ = ["rescue"]
