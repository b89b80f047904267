"""How ``ringfence size`` prints its answers: figures with their formulas, positions before and after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.table import Table

    from ringfence.rulebook import Rulebook
    from ringfence.study.edit import Edited, HeldLeg
    from ringfence.study.size import Sizing


def show_sizing(answer: Sizing, rules: Rulebook) -> None:
    """Print a calculator's figures, each with its formula."""
    from ringfence.cli import show

    screen = show.console()
    rows = [
        (figure.name.replace("_", " ").replace("pnl", "PnL").replace("roe", "ROE"),
         _shown(figure.value, figure.unit) if figure.known else "not known", figure.formula)
        for figure in answer.figures
    ]  # fmt: skip
    screen.print(show.simple_table(answer.symbol, ("figure", "value", "how"), rows, right=(1,)))
    for note in (*answer.notes, by_rules(rules)):
        screen.print(f"· {note}", style="dim", markup=False)


def by_rules(rules: Rulebook) -> str:
    """Return whose rules a figure follows, and of which day."""
    return f"by the rules and tables of {rules.name}" + (f" as of {rules.as_of}" if rules.as_of else ", the latest")


def _shown(value: Decimal | None, unit: str) -> str:
    from ringfence.cli import show

    if value is None:
        return "none"
    if unit == "fraction":
        return show.percent(value)
    if unit == "×":
        return show.factor(value)
    if unit == "price":
        return show.price(value, show.price_decimals(None, (value,)) if -value.as_tuple().exponent <= 6 else 6)  # type: ignore[operator]
    if unit == "contracts":
        return show.exactly(value)
    return f"{show.amount(value, unit)} {unit}"


def show_edited(edited: Edited, rules: Rulebook) -> None:
    """Print what a change does to each position and to the wallet, or why it is refused."""
    from ringfence.cli import show
    from ringfence.study.edit import held_alike, pairs

    screen = show.console()
    if edited.refusal is not None and edited.refused is not None:
        screen.print(f"[yellow]{edited.refused.kind} {edited.refused.target}:[/] {edited.refusal}; nothing is changed")
        return
    beside = []
    for before, after in pairs(edited):
        if before == after:
            continue
        if before is not None and after is not None and held_alike(before, after):
            beside.append((before, after))
            continue
        shown = after or before
        if shown is None:
            continue
        asset = rules.contract(shown.symbol).settle_asset
        left, right = _cells(before, asset), _cells(after, asset)
        rows = [(name, left[name], right[name]) for name in left if left[name] or right[name]]
        screen.print(show.simple_table(f"{shown.symbol} {shown.side}", ("", "before", "after"), rows, right=(1, 2)))
        if shown.formula:
            screen.print(f"  liquidation: {shown.formula}\n", style="dim", markup=False)
    if beside:
        screen.print(_table_beside(beside, rules))
    free = [
        (f"available {asset}", show.amount(value, asset), show.amount(edited.free_after.get(asset), asset))
        for asset, value in edited.free_before.items()
    ]
    if free:
        screen.print(show.simple_table("Wallet", ("", "before", "after"), free, right=(1, 2)))
    for note in (*edited.notes, by_rules(rules)):
        screen.print(f"· {note}", style="dim", markup=False)


def _table_beside(legs: list[tuple[HeldLeg, HeldLeg]], rules: Rulebook) -> Table:
    """Return a line for each leg that stayed as it was in a pool that changed."""
    from ringfence.cli import show

    columns = ("liquidation price", "distance", "health")
    rows = []
    for before, after in legs:
        asset = rules.contract(before.symbol).settle_asset
        left, right = _cells(before, asset), _cells(after, asset)
        moved = [left[name] if left[name] == right[name] else f"{left[name]} → {right[name]}" for name in columns]
        rows.append((f"{before.symbol} {before.side}", *moved))
    return show.simple_table("Others in the same pools", ("position", *columns), rows, right=(1, 2, 3))


def _cells(held: HeldLeg | None, asset: str) -> dict[str, str]:
    from ringfence.cli import show

    names = ("quantity", "entry", "leverage", "margin", "PnL", "liquidation price", "distance", "bankruptcy price",
             "health")  # fmt: skip
    if held is None:
        return dict.fromkeys(names, "")
    isolated = held.pool.startswith("isolated")
    margin = f"{show.amount(held.margin, asset)} {'isolated' if isolated else 'cross'}"
    if held.margin is None and held.health is not None:
        margin = "in the book"  # portfolio margin: a position has none of its own
    values = (
        show.exactly(held.quantity),
        _shown(held.entry_price, "price"),
        "" if held.leverage is None else f"{show.exactly(held.leverage)}×",
        margin,
        show.amount(held.unrealised_pnl, asset),
        _shown(held.liquidation_price, "price") if held.known else "not known",
        show.percent(held.distance) if held.known else "",
        _shown(held.bankruptcy_price, "price") if held.known or held.bankruptcy_price is not None else "not known",
        show.factor(held.health),
    )
    return dict(zip(names, values, strict=True))


__all__ = ["by_rules", "show_edited", "show_sizing"]
