"""Single lines out of a dated folder's CSV tables: those of one symbol or asset, without reading the others.

The files are sorted by their first column, and hold thousands of symbols; an account asks for a few.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@lru_cache(maxsize=128)
def _text(path: Path, file: str) -> str:
    target = path / file
    return "\n" + target.read_text(encoding="utf-8") if target.is_file() else "\n"


def firsts(path: Path, file: str) -> set[str]:
    """Return what a file has lines of: its first column."""
    return {row.split(",", 1)[0] for row in _text(path, file).splitlines()[2:]}


def rows(path: Path, file: str, symbol: str) -> list[str]:
    """Return the lines of ``symbol``, an asset or a contract; they stand together in a file sorted by symbol."""
    text = _text(path, file)
    start = text.find(f"\n{symbol},", text.find("\n", 1))  # after the header
    if start < 0 or "," in symbol:
        return []
    found = []
    prefix = f"{symbol},"
    for line in text[start + 1 :].split("\n", 512):
        if not line.startswith(prefix):
            break
        found.append(line)
    return found


def records(path: Path, file: str, symbol: str) -> list[dict[str, str]]:
    """Return the lines of ``symbol`` by column; empty where the file, or the symbol in it, is not there."""
    import csv

    header = _text(path, file)[1:].split("\n", 1)[0].split(",")
    return [dict(zip(header, row, strict=False)) for row in csv.reader(rows(path, file, symbol))]


def number(text: str | None) -> Decimal | None:
    """Return what a cell says; None for an empty one. Raises ArithmeticError for what is no number."""
    return Decimal(text) if text else None


__all__ = ["firsts", "number", "records", "rows"]
