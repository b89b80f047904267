"""``ringfence compare``: the same book as given, all isolated and all cross, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.cli.options import AccountArgument, AsOfOption, JsonOption, MarkOption, ReportOption

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from rich.console import Console
    from rich.table import Table

    from ringfence.study.compare import Amounts, Architecture, Comparison


def compare(
    account: AccountArgument,
    mark: MarkOption = None,
    as_of: AsOfOption = None,
    *,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Show one book under every margin architecture: what is required, free, at stake and protected."""
    from ringfence.cli import show
    from ringfence.cli.load import load_account
    from ringfence.errors import BadInput
    from ringfence.study import compare as study

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    try:
        comparison = study.compare(file, rulebook)
    except BadInput as error:
        raise error.located(file.where) from None
    if report is not None:
        from ringfence.study import compare_page, page

        page.write(compare_page.html_page(comparison, title=f"{file.where} under each architecture"), report)
        show.say(f"written: {report}")
    if json:
        show.print_json(study.as_json(comparison))
        return
    _print(comparison, show.console())


def _print(comparison: Comparison, screen: Console) -> None:
    from rich.table import Table

    from ringfence.study.compare import distinct
    from ringfence.study.portfolio_words import portfolio_summary

    held = distinct(comparison.architectures)
    table = Table(title="One book under each margin architecture", title_justify="left", box=None, pad_edge=False)
    table.add_column(_unit(comparison), no_wrap=True)
    narrow = len(held) > _SIDE_BY_SIDE
    for name, _ in held:
        table.add_column(name.replace("multi-asset", "multi-\nasset") if narrow else name, justify="right")
    _add_rows(table, [architecture for _, architecture in held], comparison.asset)
    screen.print(table)
    screen.print()
    for name, architecture in held:
        if architecture.unavailable:
            screen.print(f"[yellow]{name}:[/] not possible: {architecture.unavailable}")
        if architecture.not_known:
            screen.print(f"[yellow]{name}:[/] not known: {'; '.join(architecture.not_known)}")
        if architecture.stand_ins:
            coins = ", ".join(architecture.stand_ins)
            screen.print(f"[yellow]{name}:[/] no index price of {coins} is given; the mark stands in for it")
        for refusal in architecture.refusals:
            screen.print(f"[yellow]{name}:[/] this venue would refuse the switch now: {refusal.message}")
        for note in portfolio_summary(architecture.assessments):
            screen.print(f"[yellow]{name}:[/] {note.removeprefix('portfolio margin: ')}")
    screen.print(f"[dim]{_LEGEND}[/]")


_SIDE_BY_SIDE = 4
"""How many architectures stand side by side with their names on one line."""


def _unit(comparison: Comparison) -> str:
    return f"amounts in {comparison.asset}" if comparison.asset else "amounts by asset"


_LEGEND = (
    "distance: the move of the position's own mark that liquidates its pool, all else fixed · together: all marks move "
    "by the same share · at stake: the equity of the pool that would be taken over whole, now · protected: equity in "
    "no pool that holds a position. A basket's amounts are in the account's currency. Fees and funding are not charged."
)


def _add_rows(table: Table, held: list[Architecture], asset: str | None) -> None:
    from ringfence.cli import show

    def row(label: str, *cells: str) -> None:
        table.add_row(label, *("–" if a.unavailable else cell for a, cell in zip(held, cells, strict=True)))

    def amounts(label: str, told: Callable[[Amounts], Decimal | None]) -> None:
        row(label, *(_by_asset(a, lambda each: show.amount(told(each), each.asset)) for a in held))

    amounts("[bold]initial margin[/]", lambda each: each.initial_margin)
    amounts("[bold]maintenance margin[/]", lambda each: each.maintenance_margin)
    amounts("[bold]margin tied up[/]", lambda each: each.margin_used)
    amounts("[bold]free collateral[/]", lambda each: each.free)
    row("[bold]notional ÷ equity[/]", *(_by_asset(a, lambda each: show.factor(each.leverage)) for a in held))
    row("[bold]notional ÷ margin[/]", *(_by_asset(a, lambda each: show.factor(each.efficiency)) for a in held))
    row("[bold]distance to liquidation[/]", *("" for _ in held))
    for symbol, side in _legs(held):
        row(f"  {symbol} {side}", *(_distance(a, symbol, side) for a in held))
    row("[bold]all marks together[/]", *("" for _ in held))
    row("  fall, first to die", *(_death(a.first_death_down, a) for a in held))
    row("  rise, first to die", *(_death(a.first_death_up, a) for a in held))
    row("[bold]most that can be lost[/]", *("" for _ in held))
    for symbol, side in _legs(held):
        row(f"  with {symbol} {side}", *(_stake(a, symbol, side, asset) for a in held))
    row("  in all", *(_by_asset(a, lambda each: _at_stake(each.at_stake, each.asset)) for a in held))
    row("[bold]a liquidation also closes[/]", *("" for _ in held))
    for symbol, side in _legs(held):
        row(f"  with {symbol} {side}", *(_others(a, symbol, side) for a in held))
    row(
        "[bold]protected[/]",
        *("\n".join(_protected(each, named=len(a.amounts) > 1) for each in a.amounts) for a in held),
    )


def _by_asset(held: Architecture, told: Callable[[Amounts], str]) -> str:
    """Return one line per asset that something is held or at stake in, named where there are several."""
    shown = [each for each in held.amounts if each.gross] or list(held.amounts)
    return "\n".join(told(each) + f" {each.asset}" * (len(shown) > 1) for each in shown)


def _legs(held: list[Architecture]) -> list[tuple[str, str]]:
    positions = next((a.positions for a in held if a.positions), ())
    return sorted((position.symbol, position.side) for position in positions)


def _distance(held: Architecture, symbol: str, side: str) -> str:
    from ringfence.cli import show

    for position in held.positions:
        if (position.symbol, position.side) != (symbol, side):
            continue
        dead = position.pool in held.dead
        if position.pool in held.unknown:
            return "not known"
        return "[red]liquidated now[/]" if dead else show.percent(position.distance)
    return ""


def _death(death: tuple[Decimal, str] | None, held: Architecture) -> str:
    from ringfence.cli import show

    if death is None:
        return "not known" if held.unknown else "none"
    move, pool = death
    kind, _, name = pool.partition(" ")  # "isolated BTCUSDT long", "cross USDT" or, of a basket, "account"
    told = show.percent(move) if move else "[red]now[/]"
    return f"[dim]{name}[/] {told}" if kind == "isolated" else told


def _stake(held: Architecture, symbol: str, side: str, asset: str | None) -> str:
    for position in held.positions:
        if (position.symbol, position.side) == (symbol, side):
            lost = position.at_stake is not None and position.at_stake < 0
            shared = "" if lost or position.pool.startswith("isolated") else "[dim]all[/] "
            return shared + _at_stake(position.at_stake, asset)
    return ""


def _at_stake(equity: Decimal | None, asset: str | None) -> str:
    """Return what can be lost; of equity below 0 nothing is left to lose, and the account owes."""
    from ringfence.cli import show

    if equity is None or equity >= 0:
        return show.amount(equity, asset)
    return f"owes {show.amount(-equity, asset)}"


def _others(held: Architecture, symbol: str, side: str) -> str:
    for position in held.positions:
        if (position.symbol, position.side) == (symbol, side):
            several = len(position.dies_with)
            return f"{several} other{'s' * (several > 1)}" if several else "nothing else"
    return ""


def _protected(amounts: Amounts, *, named: bool) -> str:
    from ringfence.cli import show

    name = f" {amounts.asset}" if named else ""
    if not amounts.protected:
        return f"nothing{f' of{name}' if named else ''}" if amounts.protected is not None else "not known"
    if not amounts.gross:  # an asset that backs nothing here
        return f"{show.exactly(amounts.protected)} {amounts.asset}"
    share = f"[dim]{amounts.protected / amounts.equity * 100:.0f} % [/]" if amounts.equity else ""
    return share + show.amount(amounts.protected, amounts.asset) + name
