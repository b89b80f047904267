"""Bybit: linear risk limits of two days, a sample of the inverse ones, an example of collateral ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Folder
from recorded_tables.rows import contract, firsts, haircut, published, tiers
from recorded_tables.sources import HIGH, LOW, haircut_sources, spec_source, terms_source, tier_sources
from ringfence.numbers import ONE

if TYPE_CHECKING:
    from recorded_tables.pack import Pack


def bybit(pack: Pack) -> list[Folder]:
    """Linear risk limits of two days, the inverse sample, and the unified account's example ladder."""
    terms = terms_source(
        "symbol, kind, contract_size, settle_asset",
        "Linear quantities are base units: size 1. Steps and fees are empty: the one recording of terms there is "
        "(BTCUSDT, ETHUSDT) names no day, and nothing shows that its price steps (0.5 and 0.05) still held.",
    )
    folders = []
    for day, sentence in (
        ("2024-12-25", "300 linear contracts, whole ladders; some, like SOLUSDT and SUIUSDT, are missing."),
        ("2025-12-29", "SOLUSDT, XRPUSDT and XTZUSDT only, whole ladders."),
    ):
        rows = [row for row in pack.tiers_of("bybit", as_of=day) if str(row["product"]).startswith("linear")]
        folder = Folder("bybit-linear", day, "partial", sentence)
        folder.contracts = [contract(symbol, size=ONE, asset=row["currency"]) for symbol, row in firsts(rows).items()]
        folder.tiers = tiers(rows, published)
        folder.sources = [
            *tier_sources(rows, HIGH, "Deductions as published, continuous without exception."),
            terms,
        ]
        folders.append(folder)
    return [*folders, _bybit_inverse(pack), _bybit_haircuts(pack)]


def _bybit_inverse(pack: Pack) -> Folder:
    rows = pack.tiers_of("bybit", "inverse_perp")
    specs = pack.specs_of("bybit", "inverse")
    folder = Folder("bybit-inverse", "2026-07-24", "partial", "BTCUSD's first tier, as the documentation samples it.")
    folder.contracts = [
        contract("BTCUSD", kind="inverse", size=ONE, asset="BTC", coverage="partial", spec=specs["BTCUSD"])
    ]
    folder.tiers = tiers(rows, published)
    folder.sources = [
        *tier_sources(rows, LOW, "A documentation sample: the form of a table more than a table."),
        spec_source(
            specs.values(),
            "BTCUSD: size and steps",
            LOW,
            "Recording without a day; the help centre also says 0.5.",
        ),
    ]
    return folder


def _bybit_haircuts(pack: Pack) -> Folder:
    rows = [row for row in pack.haircuts if row["venue"] == "bybit_uta"]
    folder = Folder(
        "bybit-uta",
        "2025-09-18",
        "partial",
        "Collateral ratios of Bybit's worked example, not the live list.",
    )
    folder.haircuts = [haircut(row, unit="base", cap=row["max_qty"]) for row in rows]
    folder.sources = haircut_sources(
        rows,
        LOW,
        "Bybit prints these BTC tiers to explain the calculation. Positive balances only; a debt counts in full.",
    )
    return folder


__all__ = ["bybit"]
