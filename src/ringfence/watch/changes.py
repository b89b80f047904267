"""What changed between two days of one rulebook's tables."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from ringfence.watch.figures import exact
from ringfence.watch.folders import CONTRACT_COLUMNS, TIER_COLUMNS, read_cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two tables, from ``old`` to ``new`` as the files write them (empty: unknown).

    ``tier`` is None for a contract's terms and for the whole ladder of a contract that is new or gone; ``field`` is
    None where a row was added or removed, and then ``old`` or ``new`` tells what it was.
    """

    table: Literal["contracts", "tiers"]
    kind: Literal["added", "removed", "changed"]
    symbol: str
    tier: int | None = None
    field: str | None = None
    old: str | None = None
    new: str | None = None

    def __str__(self) -> str:
        """Return the change on one line: ``BTCUSDT tier 2 maintenance_rate: 0.005 → 0.0065``."""
        place = self.symbol if self.tier is None else f"{self.symbol} tier {self.tier}"
        if self.kind == "changed":
            return f"{place} {self.field}: {self.old or 'unknown'} → {self.new or 'unknown'}"
        what = self.new if self.kind == "added" else self.old
        return f"{place} {self.kind}: {what}"


def diff_tables(old: Path, new: Path) -> list[Change]:
    """Return what changed from the dated folder ``old`` to ``new``: contracts first, then tiers, each by symbol.

    Numbers are compared, not their spelling. Raises BadRulebook where one of the four tables cannot be read.
    """
    return [*_contract_changes(old, new), *_tier_changes(old, new)]


def _contract_changes(old: Path, new: Path) -> Iterator[Change]:
    before, after = (
        {row["symbol"]: row for row in read_cells(folder / "contracts.csv", CONTRACT_COLUMNS)} for folder in (old, new)
    )
    for symbol in sorted(before.keys() | after.keys()):
        if symbol not in before:
            yield Change("contracts", "added", symbol, new=_terms(after[symbol]))
        elif symbol not in after:
            yield Change("contracts", "removed", symbol, old=_terms(before[symbol]))
        else:
            for field, was, now in _differences(before[symbol], after[symbol], CONTRACT_COLUMNS):
                yield Change("contracts", "changed", symbol, field=field, old=was, new=now)


def _tier_changes(old: Path, new: Path) -> Iterator[Change]:
    before, after = (_ladders(folder) for folder in (old, new))
    for symbol in sorted(before.keys() | after.keys()):
        if symbol not in before:
            yield Change("tiers", "added", symbol, new=f"{len(after[symbol])} tiers")
            continue
        if symbol not in after:
            yield Change("tiers", "removed", symbol, old=f"{len(before[symbol])} tiers")
            continue
        was_rows, now_rows = before[symbol], after[symbol]
        for tier in sorted(was_rows.keys() | now_rows.keys()):
            if tier not in was_rows:
                yield Change("tiers", "added", symbol, tier, new=_tier_text(now_rows[tier]))
            elif tier not in now_rows:
                yield Change("tiers", "removed", symbol, tier, old=_tier_text(was_rows[tier]))
            else:
                for field, was, now in _differences(was_rows[tier], now_rows[tier], TIER_COLUMNS):
                    yield Change("tiers", "changed", symbol, tier, field, was, now)


def _ladders(folder: Path) -> dict[str, dict[int, dict[str, str]]]:
    rows = sorted(read_cells(folder / "tiers.csv", TIER_COLUMNS), key=lambda row: row["symbol"])
    return {
        symbol: {int(row["tier"]): row for row in ladder}
        for symbol, ladder in groupby(rows, key=lambda row: row["symbol"])
    }


def _differences(
    was: Mapping[str, str], now: Mapping[str, str], columns: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    for column in columns:
        old, new = was[column], now[column]
        if old != new and (exact(old) is None or exact(old) != exact(new)):
            yield column, old, new


def _terms(row: Mapping[str, str]) -> str:
    return f"{row['kind']}, contract size {row['contract_size'] or 'unknown'}, settled in {row['settle_asset']}"


def _tier_text(row: Mapping[str, str]) -> str:
    text = f"from {row['floor']} at {row['maintenance_rate'] or 'an unknown rate'}"
    return f"{text}, {row['max_leverage']}x" if row["max_leverage"] else text
