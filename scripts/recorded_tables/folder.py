"""What is written: the tables of one venue that were true on one day, and where their figures were read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Cells = dict[str, str]


CONTRACT_COLUMNS = (
    "symbol",
    "kind",
    "contract_size",
    "settle_asset",
    "price_step",
    "quantity_step",
    "minimum_quantity",
    "minimum_notional",
    "maker_fee_rate",
    "taker_fee_rate",
    "liquidation_fee_rate",
    "tier_unit",
    "coverage",
)


TIER_COLUMNS = ("symbol", "tier", "floor", "cap", "maintenance_rate", "deduction", "max_leverage")


HAIRCUT_COLUMNS = ("asset", "tier", "floor", "cap", "collateral_ratio", "unit")


CAP_COLUMNS = ("symbol", "lower_cap", "upper_cap")


MARKET_ORDER_COLUMNS = ("symbol", "take_bound")


@dataclass(frozen=True)
class Source:
    """Where figures were read: one ``[[source]]`` of SOURCES.toml."""

    file: str
    covers: str
    origin: str
    as_of: str
    confidence: str
    note: str = ""


@dataclass
class Folder:
    """The tables of one venue that were true on one day."""

    venue: str
    day: str
    coverage: str
    sentence: str
    contracts: list[Cells] = field(default_factory=list)
    tiers: list[Cells] = field(default_factory=list)
    haircuts: list[Cells] = field(default_factory=list)
    caps: list[Cells] = field(default_factory=list)
    market_orders: list[Cells] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)


def csv_text(columns: Sequence[str], rows: Iterable[Cells]) -> str:
    """Return a CSV file with one line feed per line, sorted by symbol (or asset) and tier."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: (row[columns[0]], int(row.get("tier", "0")))))
    return text.getvalue()


def toml_text(folder: Folder) -> str:
    """Return SOURCES.toml: what the tables cover and where each figure was read."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML basic string

    lines = [
        "# Written by scripts/import_tables.py. Where the figures of this folder's tables were read.",
        "",
        "[tables]",
        f"coverage = {quoted(folder.coverage)}",
        f"sentence = {quoted(folder.sentence)}",
    ]
    for source in folder.sources:
        lines += ["", "[[source]]"]
        for name in ("file", "covers", "origin", "as_of", "confidence", "note"):
            value = getattr(source, name)
            if value:
                lines.append(f"{name} = {quoted(value)}")
    return "\n".join(lines) + "\n"


def write(folder: Folder, into: Path) -> None:
    """Write the tables of one folder that have rows, and where they were read."""
    directory = into / folder.venue / folder.day
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "contracts.csv": (CONTRACT_COLUMNS, folder.contracts),
        "tiers.csv": (TIER_COLUMNS, folder.tiers),
        "haircuts.csv": (HAIRCUT_COLUMNS, folder.haircuts),
        "open_interest_caps.csv": (CAP_COLUMNS, folder.caps),
        "market_orders.csv": (MARKET_ORDER_COLUMNS, folder.market_orders),
    }
    for name, (columns, rows) in files.items():
        if rows:
            (directory / name).write_text(csv_text(columns, rows), encoding="utf-8", newline="\n")
    (directory / "SOURCES.toml").write_text(toml_text(folder), encoding="utf-8", newline="\n")


__all__ = [
    "CAP_COLUMNS",
    "CONTRACT_COLUMNS",
    "HAIRCUT_COLUMNS",
    "MARKET_ORDER_COLUMNS",
    "TIER_COLUMNS",
    "Cells",
    "Folder",
    "Source",
    "csv_text",
    "toml_text",
    "write",
]
