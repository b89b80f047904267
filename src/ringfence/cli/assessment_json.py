"""An assessed account as JSON: the account's totals, its pools, positions and orders, and what was assumed.

Figure names are those of the published answers. Decimals are plain strings; what is not known, or is not there (no
such price), is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.account import CROSS, ISOLATED, MULTI_ASSET, PORTFOLIO
from ringfence.cli import portfolio_view
from ringfence.margin.move import combined_move
from ringfence.margin.price import bankruptcy_price, break_even_price, liquidation_prices
from ringfence.numbers import RATIO_PLACES, ROUND_FLOOR, ZERO, divide, exact, text
from ringfence.study.conform import Unsupported, figure_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from ringfence.account_file import AccountFile
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import OrderLine, PositionLine
    from ringfence.margin.price import LiquidationPrices
    from ringfence.numbers import Price
    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence.assess/1"

MODES = {ISOLATED: "isolated", CROSS: "cross", MULTI_ASSET: "multi_asset", PORTFOLIO: "portfolio"}
_SEVERITY = ("healthy", "warning", "margin_call", "liquidatable")
_TOTALS = ("margin_balance", "initial_margin", "order_margin", "maintenance_margin", "available_balance")


def as_json(file: AccountFile, rulebook: Rulebook, assessments: tuple[Assessment, ...]) -> dict[str, Any]:
    """Return what ``ringfence assess --json`` prints."""
    from ringfence.cli.notes import notes_of

    return {
        "schema": SCHEMA,
        "rulebook": rulebook.name,
        "as_of": rulebook.as_of.isoformat() if rulebook.as_of else None,
        "account": _account(assessments),
        "pools": [_pool(assessment, file, rulebook) for assessment in assessments],
        "positions": [_position(assessment, line) for assessment in assessments for line in assessment.lines],
        "orders": [_order(assessment, line) for assessment in assessments for line in assessment.orders],
        "notes": notes_of(file, rulebook, assessments),
    }


def worst(assessments: Iterable[Assessment]) -> Assessment | None:
    """Return the pool in the worst state: by status, then by health. None where no pool holds anything."""
    at_risk = [assessment for assessment in assessments if assessment.lines or assessment.orders]
    unlimited = ZERO + 10**30  # a pool of which nothing is required
    return min(
        at_risk,
        key=lambda a: (-_SEVERITY.index(a.status or "healthy"), unlimited if a.health is None else a.health),
        default=None,
    )


def state_of(assessments: tuple[Assessment, ...]) -> str | None:
    """Return the account's state, that of its worst pool: ``healthy``, ``warning``, ``margin_call``, ``liquidatable``.

    None when a pool's state is not known and no known one is in danger.
    """
    at_risk = [assessment for assessment in assessments if assessment.lines or assessment.orders]
    states = [_state(assessment) for assessment in at_risk]
    known = [state for state in states if state is not None]
    found = max(known, key=_SEVERITY.index, default="healthy")
    return None if found == "healthy" and len(known) < len(states) else found


def _state(assessment: Assessment) -> str | None:
    """Return the pool's status, with the venue's (or our) warning level as a step of its own."""
    if assessment.status == "healthy" and assessment.reached(assessment.levels.warning):
        return "warning"
    return assessment.status


@exact
def distance(liquidation: Price | None, mark: Price) -> Decimal | None:
    """Return the signed move of the mark to a price, as a fraction of the mark (18 places, rounded down)."""
    if liquidation is None:
        return None
    return divide(liquidation - mark, mark, places=RATIO_PLACES, rounding=ROUND_FLOOR)


def _account(assessments: tuple[Assessment, ...]) -> dict[str, Any]:
    poorest = worst(assessments)
    state = state_of(assessments)
    return {
        **{figure: _figure(assessments, figure) for figure in _TOTALS},
        "margin_ratio": _figure(assessments, "margin_ratio"),
        "health": text(poorest.health) if poorest else None,
        "worst_pool": poorest.pool.name if poorest else None,
        "liquidatable": _liquidatable(assessments),
        "status": "healthy" if state == "warning" else state,
        "assets": [_asset_totals(asset, assessments) for asset in dict.fromkeys(a.asset for a in assessments)],
    }


def _liquidatable(assessments: tuple[Assessment, ...]) -> bool | None:
    states = [a.liquidatable for a in assessments if a.lines or a.orders]
    return True if True in states else None if None in states else False


def _figure(assessments: tuple[Assessment, ...], figure: str) -> str | None:
    """Return an account's figure; null where it has no single one (several settlement assets or shared pools)."""
    try:
        value = figure_of(assessments, figure, None, None)
    except Unsupported:
        return None
    return None if value is None or isinstance(value, bool) else text(value)


def _asset_totals(asset: str | None, assessments: tuple[Assessment, ...]) -> dict[str, Any]:
    own = tuple(assessment for assessment in assessments if assessment.asset == asset)
    return {"asset": asset, **{figure: _figure(own, figure) for figure in _TOTALS}}


def _pool(assessment: Assessment, file: AccountFile, rulebook: Rulebook) -> dict[str, Any]:
    move = combined_move(assessment.pool, file.marks, rulebook)
    levels = assessment.levels
    names = (
        "wallet_balance", "unrealised_pnl", "margin_balance", "initial_margin", "order_margin", "maintenance_margin",
        "closing_fee", "liquidation_requirement", "available_balance", "shortfall", "health", "margin_ratio",
    )  # fmt: skip
    return {
        "name": assessment.pool.name,
        "mode": MODES.get(assessment.pool.mode),
        "asset": assessment.asset,
        **{name: text(getattr(assessment, name)) for name in names},
        "liquidatable": assessment.liquidatable,
        "status": assessment.status,
        "levels": {
            "warning": text(levels.warning),
            "margin_call": text(levels.margin_call),
            "source": levels.source,
        },
        "gross_exposure": text(assessment.notional),
        "net_exposure": text(assessment.net_notional),
        "portfolio": portfolio_view.as_json(assessment),
        "combined_move": {"down": text(move.down), "up": text(move.up), "exact": move.exact},
        "assets": [
            {
                "asset": line.asset,
                "balance": text(line.balance),
                "unrealised_pnl": text(line.unrealised_pnl),
                "equity": text(line.equity),
                "index": text(line.terms.index),
                "effective_ratio": text(line.effective_ratio),
                "haircut_loss": text(line.haircut_loss),
                "value": text(line.value),
                "available": text(line.available),
                "moves_with": line.terms.moves_with,
                "source": line.terms.source,
                "initial_margin": text(line.initial_margin),
                "liquidation_requirement": text(line.liquidation_requirement),
            }
            for line in assessment.assets
        ],
    }


def _position(assessment: Assessment, line: PositionLine) -> dict[str, Any]:
    position = line.position
    prices = liquidation_prices(assessment, position.symbol)
    return {
        "symbol": position.symbol,
        "side": position.side,
        "pool": assessment.pool.name,
        "quantity": text(abs(position.quantity)),
        "entry_price": text(position.entry_price),
        "mark_price": text(line.mark_price),
        "margin_mode": position.margin_mode.value,
        "isolated_margin": text(position.isolated_margin),
        "leverage": text(position.leverage),
        "notional": text(line.position_value),
        "notional_at_mark": text(line.notional),
        "unrealised_pnl": text(line.unrealised_pnl),
        "initial_margin": text(line.initial_margin),
        "maintenance_margin": text(line.maintenance_margin),
        "closing_fee": text(line.closing_fee),
        "liquidation_requirement": text(line.liquidation_requirement),
        **_prices(prices, position.side),
        "bankruptcy_price": text(bankruptcy_price(assessment, line)),
        "break_even_price": text(break_even_price(line)),
        "margin_ratio": text(assessment.margin_ratio),
        "health": text(assessment.health),
        "status": assessment.status,
        "tier": None if line.tier is None else line.tier + 1,
        "maintenance_rate": text(line.maintenance_rate),
        "deduction": text(line.deduction),
    }


def _prices(prices: LiquidationPrices, side: str) -> dict[str, Any]:
    return {
        "liquidation_price": text(prices.of_side(side)),
        "liquidation_price_below": text(prices.below),
        "liquidation_price_above": text(prices.above),
        "liquidation_price_rounded": prices.rounded,
    }


def _order(assessment: Assessment, line: OrderLine) -> dict[str, Any]:
    order = line.order
    return {
        "symbol": order.symbol,
        "side": order.side,
        "pool": assessment.pool.name,
        "quantity": text(abs(order.quantity)),
        "price": text(order.price),
        "leverage": text(order.leverage),
        "reduce_only": order.reduce_only,
        "notional": text(line.notional),
        "initial_margin": text(line.initial_margin),
        "order_cost": text(line.order_cost),
        "liquidation_requirement": text(line.liquidation_requirement),
    }


__all__ = ["MODES", "SCHEMA", "as_json", "distance", "state_of", "worst"]
