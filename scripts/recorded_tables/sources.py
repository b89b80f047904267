"""Where a table's figures were read, and how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorded_tables.folder import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from recorded_tables.pack import Row

HIGH, MEDIUM, LOW = "high", "medium", "low"


def named(symbols: Iterable[str]) -> str:
    """Name up to eight symbols, or say how many there are."""
    distinct = sorted(set(symbols))
    return ", ".join(distinct) if len(distinct) <= 8 else f"{len(distinct)} symbols"


def tier_sources(rows: Sequence[Row], confidence: str, note: str = "") -> list[Source]:
    """Return one source for each origin and recording day among tier rows."""
    origins: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        origins.setdefault((str(row["source"]), str(row["as_of"])), []).append(str(row["symbol"]))
    return [
        Source("tiers.csv", named(symbols), origin, as_of, confidence, note)
        for (origin, as_of), symbols in origins.items()
    ]


def terms_source(covers: str, note: str) -> Source:
    """Return the source of terms that follow from the tier table itself: symbols, kind, settlement asset."""
    return Source("contracts.csv", covers, "the recording named for tiers.csv", "as there", HIGH, note)


def spec_source(specs: Iterable[Row], covers: str, confidence: str, note: str, as_of: str = "not stated") -> Source:
    """Return the source of recorded contract terms, which all stem from one recording."""
    rows = list(specs)
    (origin,) = {str(row["source"]) for row in rows}
    return Source("contracts.csv", covers, origin, str(rows[0].get("as_of", as_of)), confidence, note)


def haircut_sources(rows: Sequence[Row], confidence: str, note: str) -> list[Source]:
    """Return one source for each origin among haircut rows."""
    origins: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        origins.setdefault((str(row["source"]), str(row["as_of"])), []).append(str(row["asset"]))
    return [
        Source("haircuts.csv", named(assets), origin, as_of, confidence, note)
        for (origin, as_of), assets in origins.items()
    ]


__all__ = ["HIGH", "LOW", "MEDIUM", "haircut_sources", "named", "spec_source", "terms_source", "tier_sources"]
