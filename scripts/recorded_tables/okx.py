"""OKX: position tiers of four days, discount rates of five."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Folder, Source
from recorded_tables.rows import contract, firsts, haircut, none_published, tiers
from recorded_tables.sources import HIGH, LOW, MEDIUM, haircut_sources, named, spec_source, terms_source, tier_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recorded_tables.pack import Pack, Row

# Sizes that the tier recordings leave out; read elsewhere, named in SOURCES.toml.
_OKX_SIZES = {"BIGTIME-USDT-SWAP": "10"}


def okx(pack: Pack) -> list[Folder]:
    """Position tiers of four days, in contracts, and the discount rates of five."""
    specs = pack.specs_of("okx")
    folders = [_okx_tiers(pack, specs, day) for day in ("2023-04-24", "2023-05-19", "2025-07-23", "2026-05-28")]
    for day in ("2024-07-18", "2025-06-06", "2025-07-16", "2025-10-13", "2025-2026"):
        rows = [row for row in pack.haircuts if row["venue"] == "okx" and row["as_of"] == day]
        folder = Folder("okx-swap", day, "partial", f"Discount rates of {named(str(row['asset']) for row in rows)}.")
        folder.haircuts = [
            haircut(row, unit="usd" if row["unit"] == "USD" else "base", cap=row["max_qty"]) for row in rows
        ]
        folder.sources = haircut_sources(rows, HIGH, "")
        if day == "2025-2026":
            folder.day = "2026-01-01"
            folder.sources = haircut_sources(rows, LOW, "A documentation sample, its later tiers cut off.")
        elif any(row["min_qty"] is None for row in rows):
            folder.sources = _okx_rates_without_caps(rows)
        folders.append(folder)
    return folders


def _okx_rates_without_caps(rows: Sequence[Row]) -> list[Source]:
    """Name the assets by the step of their further tiers, which the source gives in words."""
    steps: dict[str, list[str]] = {}
    for row in rows:
        steps.setdefault(str(row["note"]).partition(";")[0], []).append(str(row["asset"]))
    words = "; ".join(f"{', '.join(sorted(set(assets)))}: {step}" for step, assets in sorted(steps.items()))
    return haircut_sources(rows, HIGH, f"Rates of tiers 1 to 3; where a tier ends is not published. {words}.")


def _okx_tiers(pack: Pack, specs: Mapping[str, Row], day: str) -> Folder:
    rows = pack.tiers_of("okx", as_of=day)
    early = day < "2025"
    folder = Folder("okx-swap", day, "partial", f"{named(str(row['symbol']) for row in rows)}: ")
    folder.sentence += "the first three tiers." if early else "whole ladders."
    for symbol, row in firsts(rows).items():
        size = row.get("contract_size", _OKX_SIZES.get(symbol))
        coverage = "partial" if early else "complete"
        folder.contracts.append(
            contract(symbol, size=size, asset="USDT", unit="contracts", coverage=coverage, spec=specs.get(symbol))
        )
    folder.tiers = tiers(rows, none_published)
    if early:
        steps = sorted({f"{row['symbol']}: {row['note']}" for row in rows})
        folder.sources = tier_sources(rows, HIGH, "As announced; further tiers in words. " + "; ".join(steps))
    else:
        folder.sources = tier_sources(
            rows,
            HIGH,
            "Transcribed tier by tier up to BTC 18, ETH 7, 1INCH 44, BIGTIME 33, 0G 45; above, expanded by the "
            "table's own rule (equal steps of contracts, +0.5 % per tier, up to an initial rate of 50 %).",
        )
    folder.sources.append(
        terms_source("symbol, kind, settle_asset", "Where the contract size is empty it is not known.")
    )
    if day == "2025-07-23":
        symbol = "BTC-USD-SWAP"
        folder.contracts.append(
            contract(
                symbol,
                kind="inverse",
                size=specs[symbol]["contract_size"],
                asset="BTC",
                unit="contracts",
                coverage="partial",
                spec=specs[symbol],
            )
        )
        folder.sources += [
            spec_source(specs.values(), "sizes and steps: " + named(specs), MEDIUM, "BTC-USD-SWAP has no tiers here."),
            Source(
                "contracts.csv",
                "BIGTIME-USDT-SWAP: contract_size",
                "ccxt/ccxt issue 28121 (recorded position)",
                "2026-03-10",
                HIGH,
            ),
        ]
    return folder


__all__ = ["okx"]
