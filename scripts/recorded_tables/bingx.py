"""BingX: caps and highest leverage of 15 contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Folder
from recorded_tables.rows import contract, firsts, none_published, tiers
from recorded_tables.sources import HIGH, terms_source, tier_sources
from ringfence.numbers import ONE

if TYPE_CHECKING:
    from recorded_tables.pack import Pack


def bingx(pack: Pack) -> list[Folder]:
    """Notional and leverage tiers; maintenance rates are not in the source and are not made up."""
    rows = pack.tiers_of("bingx")
    folder = Folder(
        "bingx-usdtm",
        "2025-12-01",
        "partial",
        "15 contracts: caps and highest leverage, no maintenance rates.",
    )
    folder.contracts = [contract(symbol, size=ONE, asset="USDT") for symbol in firsts(rows)]
    folder.tiers = tiers(rows, none_published)
    folder.sources = [
        *tier_sources(
            rows,
            HIGH,
            "Source names the month. Maintenance rate and deduction are not published in it. The ladders of BTC, ETH "
            "and ADA are Binance's; whether the rates are too is not known.",
        ),
        terms_source("symbol, kind, contract_size, settle_asset", "Quantities are base units: size 1."),
    ]
    return [folder]


__all__ = ["bingx"]
