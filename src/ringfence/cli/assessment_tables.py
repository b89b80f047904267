"""An assessed account on the terminal: pools with their health, positions with their liquidation prices, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.cli import show
from ringfence.cli.assessment_json import MODES, distance, state_of
from ringfence.cli.notes import notes_of
from ringfence.cli.portfolio_view import print_portfolio
from ringfence.margin.move import combined_move
from ringfence.margin.price import bankruptcy_price, liquidation_prices
from ringfence.numbers import ONE, RATIO_PLACES, divide, exact
from ringfence.study.unknown import health_known

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

    from ringfence.account_file import AccountFile
    from ringfence.cli.show import Cell, Column
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import AssetLine, OrderLine, PositionLine
    from ringfence.rulebook import Rulebook

_POOL_COLUMNS: tuple[Column, ...] = (
    ("pool", "asset"),
    ("balance", "available"),
    ("required", "tied up"),
    ("health", "used up"),
    ("all fall", "all rise"),
    ("status", "venue's ratio"),
)
_POSITION_COLUMNS: tuple[Column, ...] = (
    ("position", "margin"),
    ("size", "value"),
    ("entry", "mark"),
    ("PnL", "% of margin"),
    ("initial", "required"),
    ("liquidation", "distance", "bankruptcy"),
)
_ASSET_COLUMNS: tuple[Column, ...] = (
    ("asset", "moves with"),
    ("balance", "equity"),
    ("index", "counts at"),
    ("value", "haircut loss"),
    ("available",),
)
_ORDER_COLUMNS: tuple[Column, ...] = (("order", "pool"), ("size", "price"), ("value", "initial"), ("order cost",))


def print_assessment(
    screen: Console,
    file: AccountFile,
    rulebook: Rulebook,
    assessments: tuple[Assessment, ...],
    *,
    every_scenario: bool = False,
) -> None:
    """Print the pools, the positions and orders, a portfolio's requirement, and what was assumed."""
    state = state_of(assessments)
    day = f" as of {rulebook.as_of}" if rulebook.as_of else ""
    screen.print(
        f"[bold]{show.escaped(rulebook.title)}[/] [dim]{rulebook.name}{day} · {show.escaped(file.where)}[/]  "
        f"[{show.STATUS_STYLES[state]}]{show.STATUS_WORDS[state]}[/]\n",
        soft_wrap=True,
    )
    shown = [a for a in assessments if a.lines or a.orders or a.wallet_balance]
    if not shown:
        screen.print("The account holds nothing.")
        return
    pools = [_pool_row(a, file, rulebook) for a in shown]
    screen.print(show.paired_table(screen, "Pools", _POOL_COLUMNS, pools))
    assets = [_asset_row(a, line) for a in shown for line in a.assets]
    if assets:
        screen.print(show.paired_table(screen, "Collateral", _ASSET_COLUMNS, assets))
    positions = [_position_row(a, line) for a in shown for line in a.lines]
    if positions:
        screen.print(show.paired_table(screen, "Positions", _POSITION_COLUMNS, positions))
    orders = [_order_row(a, line) for a in shown for line in a.orders]
    if orders:
        screen.print(show.paired_table(screen, "Orders", _ORDER_COLUMNS, orders))
    for assessment in shown:
        print_portfolio(screen, assessment, every=every_scenario)
    for note in notes_of(file, rulebook, assessments):
        screen.print(f"· {note}", style="dim", markup=False)


def _pool_row(assessment: Assessment, file: AccountFile, rulebook: Rulebook) -> list[Cell]:
    asset = assessment.asset
    style = show.STATUS_STYLES[assessment.status]
    holds = bool(assessment.lines or assessment.orders)
    used = _used(assessment)
    bar = "" if used is None else f"{show.gauge(used, width=8)} {show.percent(used, decimals=0).lstrip('+'):>5}"
    move = combined_move(assessment.pool, file.marks, rulebook)
    never = "none" if health_known(assessment) else "not known"
    return [
        (assessment.pool.name, "bold"),
        (asset or (MODES.get(assessment.pool.mode) or "").replace("_", " "), "dim"),
        (show.amount(assessment.margin_balance, asset), ""),
        (show.amount(assessment.available_balance, asset) if not assessment.pool.isolated else "", "dim"),
        (show.amount(assessment.liquidation_requirement, asset), ""),
        (show.amount(_margin_used(assessment), asset), "dim"),
        (show.factor(assessment.health), style),
        (bar, style),
        (show.percent(move.down, missing=never) if assessment.lines else "", ""),
        (show.percent(move.up, missing=never) if assessment.lines else "", ""),
        (show.STATUS_WORDS[assessment.status] if holds else "idle", style if holds else "dim"),
        (_venue_ratio(assessment) if holds else "", "dim"),
    ]


def _asset_row(assessment: Assessment, line: AssetLine) -> list[Cell]:
    pooled = assessment.portfolio is not None and line.available is None  # no share by asset
    index = show.price(line.terms.index, show.price_decimals(None, (line.terms.index,)))
    return [
        (line.asset, "bold"),
        (line.terms.moves_with or "nothing", "dim"),
        (show.amount(line.balance, line.asset), ""),
        (show.amount(line.equity, line.asset), ""),
        (index, ""),
        (show.percent(line.effective_ratio, missing="").lstrip("+"), "dim"),
        (show.amount(line.value, None), ""),
        (show.amount(line.haircut_loss, None), "dim"),
        ("in the pool" if pooled else show.amount(line.available, line.asset), ""),
    ]


@exact
def _margin_used(assessment: Assessment) -> Decimal | None:
    if assessment.pool.isolated:
        return assessment.wallet_balance
    if assessment.initial_margin is None or assessment.order_margin is None:
        return None
    return assessment.initial_margin + assessment.order_margin


def _used(assessment: Assessment) -> Decimal | None:
    """Return how much of the balance the requirement takes, 1 ÷ health: at most 9.99, and that when nothing is left."""
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    if balance is None or not required:
        return None
    most = ONE * 999 / 100
    return most if balance <= 0 else min(most, divide(required, balance, places=RATIO_PLACES))


def _venue_ratio(assessment: Assessment) -> str:
    ratio = assessment.margin_ratio
    if ratio is None:
        return ""
    inverted = assessment.policies.margin_ratio.startswith(("balance /",))
    return f"{show.percent(ratio).lstrip('+')}{' ↑' if inverted else ''}"  # ↑: more is safer


def _position_row(assessment: Assessment, line: PositionLine) -> list[Cell]:
    position, contract, asset = line.position, line.contract, line.contract.settle_asset
    decimals = show.price_decimals(contract.price_step, (position.entry_price, line.mark_price))
    liquidation = liquidation_prices(assessment, position.symbol).of_side(position.side)
    away, bankrupt = distance(liquidation, line.mark_price), bankruptcy_price(assessment, line)
    gain = "green" if line.unrealised_pnl > 0 else "red" if line.unrealised_pnl < 0 else ""
    pooled = assessment.portfolio is not None and bool(assessment.portfolio.units)
    tied = position.isolated_margin if position.isolated_margin is not None else line.initial_margin
    leverage = "" if position.leverage is None else f" {show.exactly(position.leverage)}×"
    return [
        (f"{position.symbol} {position.side}", "bold"),
        (f"{position.margin_mode.value}{leverage}", "dim"),
        (show.exactly(abs(position.quantity)), ""),
        (show.amount(line.position_value, asset), "dim"),
        (show.price(position.entry_price, decimals), ""),
        (show.price(line.mark_price, decimals), ""),
        (show.amount(line.unrealised_pnl, asset), gain),
        (show.percent(_share(line.unrealised_pnl, tied), missing=""), gain),
        (show.amount(line.initial_margin, asset) if not pooled else "", ""),
        (show.amount(line.liquidation_requirement, asset) if not pooled else "in the book", ""),
        (show.price(liquidation, decimals) if health_known(assessment) else "not known", "bold"),
        (show.percent(away, missing=""), show.STATUS_STYLES[assessment.status]),
        (show.price(bankrupt, decimals) if bankrupt or health_known(assessment) else "not known", "dim"),
    ]


def _share(part: Decimal, whole: Decimal | None) -> Decimal | None:
    return None if not whole else divide(part, whole, places=RATIO_PLACES)


def _order_row(assessment: Assessment, line: OrderLine) -> list[Cell]:
    order, asset = line.order, line.contract.settle_asset
    decimals = show.price_decimals(line.contract.price_step, (order.price,))
    return [
        (f"{order.side} {order.symbol}" + (" reduce-only" if order.reduce_only else ""), "bold"),
        (assessment.pool.name, "dim"),
        (show.exactly(abs(order.quantity)), ""),
        (show.price(order.price, decimals), ""),
        (show.amount(line.notional, asset), ""),
        (show.amount(line.initial_margin, asset), ""),
        (show.amount(line.order_cost, asset), ""),
    ]


__all__ = ["print_assessment"]
