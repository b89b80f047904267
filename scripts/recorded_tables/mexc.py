"""MEXC: all contracts of one day."""

from __future__ import annotations

from recorded_tables.folder import Folder
from recorded_tables.pack import Pack, decimal
from recorded_tables.rows import contract, firsts, none_published, tiers
from recorded_tables.sources import HIGH, spec_source, tier_sources


def mexc(pack: Pack) -> list[Folder]:
    """All contracts of 2025-08-03, USDT and USDC in one folder, coin-margined ones in their own."""
    folders = []
    for venue, products in (("mexc-usdtm", ("usdt_perp", "usdc_perp")), ("mexc-coinm", ("coinm_perp",))):
        rows = [row for row in pack.tiers_of("mexc") if row["product"] in products]
        specs = pack.specs_of("mexc")
        kind = "inverse" if venue == "mexc-coinm" else "linear"
        highest = {str(row["symbol"]): decimal(row["max_notional"]) for row in rows}
        folder = Folder(venue, "2025-08-03", "complete", "Every contract of the day.")
        if kind == "inverse":
            folder.coverage = "partial"
            folder.sentence = "All ten contracts of the day; BTC_USD's ladder goes on above the one tier that is known."
        folder.contracts = [
            contract(
                symbol,
                kind=kind,
                size=row["contract_size"],
                asset=row["currency"],
                unit="contracts",
                spec=specs[symbol],
                coverage="partial" if decimal(specs[symbol]["max_qty"]) > highest[symbol] else "complete",
            )
            for symbol, row in firsts(rows).items()
        ]
        folder.tiers = tiers(rows, none_published)
        note = "Caps in contracts; MEXC raises them often, the rates stay. No deduction is published."
        folder.sources = [
            *tier_sources(rows, HIGH, note),
            spec_source(
                (specs[symbol] for symbol in firsts(rows)),
                "all columns",
                HIGH,
                "A liquidation fee of 0 is recorded, not unknown. A ladder is partial where one order may exceed its "
                "last cap.",
            ),
        ]
        folders.append(folder)
    return folders


__all__ = ["mexc"]
