"""What is read: the four files of the data pack, numbers exact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import plain

if TYPE_CHECKING:
    from pathlib import Path

Row = Mapping[str, object]


@dataclass(frozen=True)
class Pack:
    """The rows of the data pack, numbers as Decimal."""

    tiers: list[Row]
    history: list[Row]
    specs: list[Row]
    haircuts: list[Row]

    def tiers_of(self, venue: str, product: str | None = None, as_of: str | None = None) -> list[Row]:
        """Return the tier rows of a venue, of one product and recording day where they are given."""
        return [
            row
            for row in self.tiers
            if row["venue"] == venue and product in (None, row["product"]) and as_of in (None, row["as_of"])
        ]

    def specs_of(self, venue: str, product: str | None = None) -> dict[str, Row]:
        """Return the contract terms of a venue by symbol."""
        return {
            str(row["symbol"]): row for row in self.specs if row["venue"] == venue and product in (None, row["product"])
        }


def read_pack(directory: Path) -> Pack:
    """Read the four files of the data pack."""

    def rows(name: str) -> list[Row]:
        with (directory / name).open(encoding="utf-8") as lines:
            return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in lines]

    return Pack(
        tiers=rows("tiers.jsonl"),
        history=rows("tiers_binance_history.jsonl"),
        specs=rows("specs.jsonl"),
        haircuts=rows("haircuts.jsonl"),
    )


def number(value: object) -> str:
    """Return a number of the pack (Decimal or text) as plain decimal text; None as an empty cell."""
    return "" if value is None else plain(Decimal(str(value)))


def decimal(value: object) -> Decimal:
    """Return a number of the pack that has to be there."""
    if value is None:
        raise ValueError("a number is missing where the table cannot do without it")
    return Decimal(str(value))


__all__ = ["Pack", "Row", "decimal", "number", "read_pack"]
