"""Hyperliquid: coins whose margin table is known."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from recorded_tables.folder import Cells, Folder
from recorded_tables.pack import Pack, Row, decimal, number
from recorded_tables.rows import contract, firsts, none_published, tiers
from recorded_tables.sources import HIGH, MEDIUM, named, spec_source, tier_sources
from ringfence.numbers import ONE, ROUND_HALF_EVEN, ZERO, divide, plain

if TYPE_CHECKING:
    from collections.abc import Sequence


def hyperliquid(pack: Pack) -> list[Folder]:
    """Perpetuals with their margin table spelled out; the rate is half the initial rate at full leverage."""
    rows = pack.tiers_of("hyperliquid", "perp")
    specs = pack.specs_of("hyperliquid")
    symbols = firsts(rows)
    folder = Folder("hyperliquid", "2026-01-01", "partial", f"{len(symbols)} coins whose margin table is known.")
    for symbol in symbols:
        spec = specs.get(symbol)
        known = (
            {}
            if spec is None
            else {
                "quantity_step": plain(ONE.scaleb(-int(decimal(spec["sz_decimals"])))),
                "minimum_notional": number(spec["min_notional"]),
            }
        )
        folder.contracts.append(contract(symbol, size=ONE, asset="USDC", own=known))
    folder.tiers = _half_of_initial(rows)
    used = [specs[symbol] for symbol in symbols if symbol in specs]
    folder.sources = [
        *tier_sources(
            rows,
            HIGH,
            "maintenance_rate = 1 ÷ (2 · max_leverage), the venue's rule, to 18 decimal places; deductions follow "
            "from continuity. Recorded in December 2025 or January 2026.",
        ),
        spec_source(
            used,
            "quantity_step: " + named(str(row["symbol"]) for row in used),
            MEDIUM,
            "Recorded in 2023; of it only the decimals of a size are taken. minimum_notional: general knowledge. The "
            "price step has five significant figures, no fixed size.",
            "2023",
        ),
    ]
    return [folder]


def _half_of_initial(rows: Sequence[Row]) -> list[Cells]:
    """Return tiers at half the reciprocal of the highest leverage, with the deductions that continue it."""
    cells = tiers(rows, none_published)
    rate, deduction = ZERO, ZERO
    for cell in cells:
        before = rate
        rate = divide(ONE, 2 * Decimal(cell["max_leverage"]), places=18, rounding=ROUND_HALF_EVEN)
        deduction = ZERO if cell["tier"] == "1" else deduction + Decimal(cell["floor"]) * (rate - before)
        cell |= {"maintenance_rate": plain(rate), "deduction": plain(deduction)}
    return cells


__all__ = ["hyperliquid"]
