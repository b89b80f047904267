"""KuCoin: the ladder of its documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Folder, Source
from recorded_tables.rows import contract, none_published, tiers
from recorded_tables.sources import HIGH, MEDIUM, tier_sources

if TYPE_CHECKING:
    from recorded_tables.pack import Pack


def kucoin(pack: Pack) -> list[Folder]:
    """XBTUSDTM as the documentation shows it."""
    rows = pack.tiers_of("kucoin")
    folder = Folder("kucoin-futures", "2024-10-01", "partial", "XBTUSDTM only, its whole ladder.")
    folder.contracts = [contract("XBTUSDTM", size="0.001", asset="USDT")]
    folder.tiers = tiers(rows, none_published)
    folder.sources = [
        *tier_sources(
            rows,
            MEDIUM,
            "A documentation sample, but complete; it names the month. Highest leverage as printed: at tiers 3, 5 "
            "and 10 it is not the reciprocal of the printed initial rate.",
        ),
        Source(
            "contracts.csv",
            "XBTUSDTM: contract_size",
            "KuCoin help centre 4408061803033",
            "not stated",
            HIGH,
            "Steps and fees: not known.",
        ),
    ]
    return [folder]


__all__ = ["kucoin"]
