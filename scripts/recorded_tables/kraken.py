"""Kraken Futures: four margin schedules."""

from __future__ import annotations

from decimal import ROUND_DOWN

from recorded_tables.folder import Folder
from recorded_tables.pack import Pack, decimal
from recorded_tables.rows import contract, firsts, none_published, tiers
from recorded_tables.sources import HIGH, spec_source, tier_sources
from ringfence.numbers import ONE, divide, plain


def kraken(pack: Pack) -> list[Folder]:
    """Four margin schedules of one recording."""
    rows = pack.tiers_of("kraken")
    specs = pack.specs_of("kraken")
    folder = Folder(
        "kraken-futures",
        "2024-01-01",
        "partial",
        "Whole schedules of PF_XBTUSD, PF_ETHUSD, PF_LTCUSD, PI_XBTUSD.",
    )
    for symbol, row in firsts(rows).items():
        inverse = row["product"] == "inverse_perp"
        folder.contracts.append(
            contract(
                symbol,
                kind="inverse" if inverse else "linear",
                size=ONE,
                asset=row["currency"],
                unit="contracts" if inverse else "notional",
                spec=specs[symbol],
            )
        )
    folder.tiers = [
        cells
        | {"max_leverage": plain(divide(ONE, decimal(row["initial_margin_rate"]), places=12, rounding=ROUND_DOWN))}
        for cells, row in zip(tiers(rows, none_published), rows, strict=True)
    ]
    folder.sources = [
        *tier_sources(
            rows,
            HIGH,
            "Recorded in 2023 or 2024. The venue publishes the initial rate, twice the maintenance rate; highest "
            "leverage is its reciprocal, rounded down at the twelfth decimal place. PI_XBTUSD counts contracts of 1 "
            "USD.",
        ),
        spec_source(specs.values(), "all columns", HIGH, "Minimum and fees: not known.", "2023-2024"),
    ]
    return [folder]


__all__ = ["kraken"]
