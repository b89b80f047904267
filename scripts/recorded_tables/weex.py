"""WEEX: three ladders, and terms of three other contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Folder
from recorded_tables.rows import contract, firsts, in_contracts, none_published, tiers
from recorded_tables.sources import HIGH, named, spec_source, terms_source, tier_sources

if TYPE_CHECKING:
    from recorded_tables.pack import Pack


def weex(pack: Pack) -> list[Folder]:
    """Three ladders of two days; terms of three other contracts."""
    specs = pack.specs_of("weex")
    folders = []
    for day, unit in (("2023-09-15", "contracts"), ("2026-03-04", "notional")):
        rows = pack.tiers_of("weex", as_of=day)
        symbols = firsts(rows)
        folder = Folder("weex-usdtm", day, "partial", f"Whole ladders of {named(symbols)} only.")
        folder.contracts = [contract(symbol, size=None, asset="USDT", unit=unit) for symbol in symbols]
        folder.tiers = tiers(rows, none_published)
        folder.sources = [
            *tier_sources(rows, HIGH, "As announced. No deduction is printed."),
            terms_source("symbol, kind, settle_asset: " + named(symbols), "Contract size, steps and fees: not known."),
        ]
        folders.append(folder)
    late = folders[-1]
    late.sentence += f" Terms of {named(specs)}, whose tiers are not known."
    late.contracts += [
        contract(
            symbol,
            size=row["contract_size"],
            asset="USDT",
            coverage="partial",
            spec=row,
            own={
                "quantity_step": in_contracts(row, "step_size"),
                "minimum_quantity": in_contracts(row, "min_qty"),
            },
        )
        for symbol, row in specs.items()
    ]
    late.sources.append(
        spec_source(
            specs.values(),
            "all columns: " + named(specs),
            HIGH,
            "Source names the year 2026. Recorded in base units; steps and minimum are counted in contracts here.",
            "2026",
        )
    )
    return folders


__all__ = ["weex"]
