"""What a check of a rulebook's files says, and the files it reads: TOML with its lines, rows and their numbers."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_MOST_LISTED = 12


class Fault(NamedTuple):
    """One thing that is wrong. ``line``: in the file, counted from 1; None where it is about the whole file."""

    file: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        """Return ``file:line: message``."""
        return f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.message}"


class Row(NamedTuple):
    """One line of a table: its number and its cells by column."""

    line: int
    cells: dict[str, str]


class TomlFile:
    """A TOML file with the line that each key stands on."""

    def __init__(self, path: Path, data: dict[str, Any], text: str) -> None:
        self.path = path
        self.data = data
        self.lines: dict[tuple[str, str], int] = {}
        section = ""
        for number, line in enumerate(text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("["):
                section = stripped.strip("[] ").replace('"', "")
                self.lines.setdefault((section, ""), number)
            elif "=" in stripped and not stripped.startswith("#"):
                self.lines.setdefault((section, stripped.partition("=")[0].strip().strip('"')), number)

    def fault(self, section: str, key: str, message: str) -> Fault:
        """Return a fault at a key of a section, or at the section where the key is not there."""
        line = self.lines.get((section, key)) or self.lines.get((section, ""))
        return Fault(self.path, line, f"{section + '.' if section and key else section}{key}: {message}")

    def unknown(self, section: str, known: Sequence[str]) -> Iterator[Fault]:
        """Yield a fault for each key of a section that is not known."""
        table = self.data.get(section, {}) if section else self.data
        for key in table if isinstance(table, dict) else ():
            if key not in known:
                listed = ", ".join(known) if len(known) <= _MOST_LISTED else f"{', '.join(known[:_MOST_LISTED])}, …"
                expected = f"; {nearest(key, known) or f'expected one of {listed}'}"
                yield self.fault(section, "" if isinstance(table[key], dict) and not section else key,
                                 f"unknown key {key}{expected}")  # fmt: skip

    def table(self, section: str) -> dict[str, Any]:
        """Return a section, empty where it is not there or no table."""
        found = self.data.get(section, {})
        return found if isinstance(found, dict) else {}


def open_toml(path: Path) -> TomlFile | Fault:
    """Return a TOML file with its lines, or the fault that keeps it from being read."""
    try:
        text = path.read_text(encoding="utf-8")
        return TomlFile(path, tomllib.loads(text), text)
    except (OSError, UnicodeDecodeError) as error:
        return Fault(path, None, f"cannot be read: {error}")
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("at line ")[2].partition(",")[0]
        return Fault(path, int(place) if place.isdigit() else None, f"not valid TOML: {error}")


def decimal_of(value: object) -> Decimal | None:
    """Return the number that a plain text states; None for anything else, infinities and NaN included."""
    if not isinstance(value, str) or value != value.strip() or "_" in value:
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def positive(number: Decimal) -> bool:
    """Whether a number is above 0."""
    return number > 0


def not_negative(number: Decimal) -> bool:
    """Whether a number is 0 or more."""
    return number >= 0


def is_rate(number: Decimal) -> bool:
    """Whether a number is a rate: above 0, at most 1."""
    return 0 < number <= 1


def is_fee(number: Decimal) -> bool:
    """Whether a number is a fee or a rebate: between -1 and 1."""
    return abs(number) < 1


def number_faults(
    path: Path, row: Row, numbers: dict[str, tuple[Callable[[Decimal], bool], str]], name: str
) -> Iterator[Fault]:
    """Yield a fault for each cell that is neither empty (not known) nor a number of its kind."""
    for column, (fits, expected) in numbers.items():
        cell = row.cells[column]
        number = decimal_of(cell)
        if cell and (number is None or not fits(number)):
            yield Fault(path, row.line, f"{name} {column}: expected {expected}, found {cell!r}")


__all__ = [
    "Fault",
    "Row",
    "TomlFile",
    "decimal_of",
    "is_fee",
    "is_rate",
    "not_negative",
    "number_faults",
    "open_toml",
    "positive",
]
