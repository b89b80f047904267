"""Bitget: the ladders of its announcements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Folder
from recorded_tables.rows import contract, firsts, none_published, tiers
from recorded_tables.sources import HIGH, named, terms_source, tier_sources
from ringfence.numbers import ONE

if TYPE_CHECKING:
    from recorded_tables.pack import Pack


def bitget(pack: Pack) -> list[Folder]:
    """One folder for each announcement."""
    folders = []
    for venue, product in (("bitget-usdtm", "usdt_perp"), ("bitget-coinm", "coinm_perp")):
        for day in sorted({str(row["as_of"]) for row in pack.tiers_of("bitget", product)}):
            rows = pack.tiers_of("bitget", product, day)
            symbols = firsts(rows)
            folder = Folder(venue, day, "partial", f"{named(symbols)} only, whole ladders.")
            inverse = product == "coinm_perp"
            folder.contracts = [
                contract(
                    symbol,
                    kind="inverse" if inverse else "linear",
                    size=ONE,
                    asset=row["currency"],
                    unit="contracts" if inverse else "notional",
                )
                for symbol, row in symbols.items()
            ]
            folder.tiers = tiers(rows, none_published)
            folder.sources = [
                *tier_sources(rows, HIGH, "As announced. No deduction is printed."),
                terms_source(
                    "symbol, kind, contract_size, settle_asset",
                    "The venue gives position values in USD; so quantities are counted in contracts of 1 USD here."
                    if inverse
                    else "Quantities are base units: size 1. Steps and fees: not known.",
                ),
            ]
            folders.append(folder)
    return folders


__all__ = ["bitget"]
