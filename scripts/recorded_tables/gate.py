"""Gate: tiers of BTC_USDT on two days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Folder
from recorded_tables.rows import contract, published, tiers
from recorded_tables.sources import HIGH, MEDIUM, spec_source, tier_sources

if TYPE_CHECKING:
    from recorded_tables.pack import Pack


def gate(pack: Pack) -> list[Folder]:
    """BTC_USDT: five tiers of 2025-07-04 and the first one of a later table."""
    spec = pack.specs_of("gate")["BTC_USDT"]
    terms = (
        "Recording without a day. Size, price step and taker fee were the same on 2023-06-18 (ccxt/ccxt pull 15622)."
    )
    folders = []
    for venue, day, sentence, note in (
        (
            "gate",
            "2025-07-04",
            "BTC_USDT only, the first five tiers.",
            "Deductions as published, continuous.",
        ),
        (
            "gate_later",
            "2026-01-01",
            "BTC_USDT only, the first tier.",
            "Source names 2025 to 2026; a day inside.",
        ),
    ):
        rows = pack.tiers_of(venue)
        folder = Folder("gate-usdtm", day, "partial", sentence)
        folder.contracts = [
            contract(
                "BTC_USDT",
                size=spec["contract_size"],
                asset="USDT",
                coverage="partial",
                spec=spec,
            )
        ]
        folder.tiers = tiers(rows, published)
        folder.sources = [
            *tier_sources(rows, HIGH if venue == "gate" else MEDIUM, note),
            spec_source([spec], "all columns", MEDIUM, terms),
        ]
        folders.append(folder)
    return folders


__all__ = ["gate"]
