"""Rows of a table out of rows of the pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import CONTRACT_COLUMNS, Cells
from recorded_tables.pack import Row, decimal, number
from ringfence.numbers import ONE, ZERO, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SPEC_FIELDS = {
    "price_step": "tick_size",
    "quantity_step": "step_size",
    "minimum_quantity": "min_qty",
    "minimum_notional": "min_notional",
    "maker_fee_rate": "maker_fee",
    "taker_fee_rate": "taker_fee",
    "liquidation_fee_rate": "liquidation_fee",
}


def contract(
    symbol: str,
    *,
    size: object,
    asset: object,
    kind: str = "linear",
    unit: str = "notional",
    coverage: str = "complete",
    spec: Row | None = None,
    own: Cells | None = None,
) -> Cells:
    """Return a row of contracts.csv; steps and fees are those of ``spec``, where ``own`` has none."""
    cells: Cells = dict.fromkeys(CONTRACT_COLUMNS, "")
    if spec is not None:
        cells |= {column: number(spec.get(name)) for column, name in SPEC_FIELDS.items()}
    return (
        cells
        | {
            "symbol": symbol,
            "kind": kind,
            "contract_size": number(size),
            "settle_asset": str(asset),
            "tier_unit": unit,
            "coverage": coverage,
        }
        | (own or {})
    )


def published(row: Row) -> str:
    """Return the deduction as the pack has it."""
    return number(row["maint_amount"])


def none_published(_: Row) -> str:
    """Return the empty cell of a venue whose tiers have no deduction."""
    return ""


def tiers(
    rows: Iterable[Row],
    deduction: Callable[[Row], str],
    symbol: Callable[[Row], str] = lambda row: str(row["symbol"]),
) -> list[Cells]:
    """Return rows of tiers.csv."""
    return [
        {
            "symbol": symbol(row),
            "tier": number(row["tier"]),
            "floor": number(row["min_notional"]),
            "cap": number(row["max_notional"]),
            "maintenance_rate": number(row["mmr"]),
            "deduction": deduction(row),
            "max_leverage": number(row["max_leverage"]),
        }
        for row in rows
    ]


def haircut(row: Row, *, unit: str, cap: object) -> Cells:
    """Return a row of haircuts.csv. A first tier begins at 0 by definition; another floor may be unknown."""
    floor = ZERO if row["tier"] == ONE else row["min_qty"]
    return {
        "asset": str(row["asset"]),
        "tier": number(row["tier"]),
        "floor": number(floor),
        "cap": number(cap),
        "collateral_ratio": number(row["collateral_ratio"]),
        "unit": unit,
    }


def firsts(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the first row of each symbol."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(str(row["symbol"]), row)
    return found


def in_contracts(spec: Row, name: str) -> str:
    """Return in contracts a quantity that the venue counts in base or quote units; no rest is allowed."""
    contracts = decimal(spec[name]) / decimal(spec["contract_size"])
    if contracts * decimal(spec["contract_size"]) != decimal(spec[name]):
        raise ValueError(f"{spec['symbol']}: {name} is no whole number of contracts")
    return plain(contracts)


__all__ = ["SPEC_FIELDS", "contract", "firsts", "haircut", "in_contracts", "none_published", "published", "tiers"]
