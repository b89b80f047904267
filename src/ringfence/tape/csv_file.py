"""Tapes as CSV text: optional ``# key: value`` lines, one line of column names, one line per bar."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from ringfence.errors import BadTape
from ringfence.tape.bars import utc_text
from ringfence.tape.rows import (
    PRICE_COLUMNS,
    REQUIRED_COLUMNS,
    RowCollector,
    check_columns,
    micros_from_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ringfence.tape.bars import Tape

HEADER_KEYS = ("price_kind", "resolution", "venue", "market", "source", "retrieved", "exact")
"""The header keys that mean something; other ``#`` lines are remarks."""


def read_csv_text(text: str, *, name: str, file: str) -> Tape:
    """Return the tape a CSV text holds. ``file`` is how errors name it. Raises BadTape."""
    lines = text.splitlines()
    header, skipped = _header(lines)
    rows = csv.reader(lines[skipped:], strict=True)
    collector = RowCollector(file=file, row_word="line")
    try:
        columns = [column.strip() for column in next(rows, [])]
        if not any(columns):
            raise BadTape(
                "the file is empty",
                where=file,
                expected="column names and one line per bar",
                found=f"{skipped} header lines only" if skipped else "nothing",
                hint="check that the file was written completely",
            )
        check_columns(columns, where=f"{file}: line {skipped + 1}")
        _collect(rows, collector, columns=columns, skipped=skipped)
    except csv.Error as error:
        raise BadTape(
            "the line is not CSV",
            where=f"{file}: line {skipped + rows.line_num}",
            expected="values separated by commas",
            found=str(error),
            hint="write the file as plain CSV",
        ) from None
    return collector.tape(name=name, header=header, exact=header.get("exact", "true") != "false")


def csv_text(tape: Tape) -> str:
    """Return the tape as CSV text, with what is known about it as header lines."""
    known = {
        "price_kind": None if tape.price_kind_assumed else tape.price_kind,
        "resolution": _common_resolution(tape),
        "venue": tape.provenance.venue,
        "market": tape.provenance.market,
        "source": tape.provenance.source,
        "retrieved": tape.provenance.retrieved,
        "exact": None if tape.exact else "false",
    }
    lines = [f"# {key}: {' '.join(value.split())}" for key, value in known.items() if value]
    lines.append(",".join(REQUIRED_COLUMNS))
    lines += [f"{utc_text(bar.ts)},{bar.symbol},{bar.open},{bar.high},{bar.low},{bar.close}" for bar in tape.bars()]
    return "\n".join(lines) + "\n"


def write_tape(tape: Tape, destination: Path) -> None:
    """Write the tape as CSV, whole or not at all; an existing file is replaced.

    Reading it again gives the same prices, times and kind. Raises BadTape when it cannot be written.
    """
    partial = destination.with_name(f".{destination.name}.partial")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(csv_text(tape), encoding="utf-8")
        partial.replace(destination)
    except OSError as error:
        raise BadTape(
            "the tape cannot be written",
            where=str(destination),
            expected="a place for a file",
            found=error.strerror or str(error),
            hint="choose another destination",
        ) from None


def _common_resolution(tape: Tape) -> str | None:
    """Return the resolution all symbols have in common, as the header writes it; None when they differ."""
    seconds = {step.total_seconds() for step in tape.resolutions.values()}
    common = seconds.pop()
    return f"{common:.0f}s" if not seconds and common >= 1 and common % 1 == 0 else None


def _header(lines: list[str]) -> tuple[dict[str, str], int]:
    """Return what the leading ``#`` lines say and how many lines come before the column names."""
    header: dict[str, str] = {}
    for number, line in enumerate(lines):
        if line.strip() and not line.startswith("#"):
            return header, number
        key, colon, value = line.lstrip("#").partition(":")
        if colon and key.strip() in HEADER_KEYS:
            header[key.strip()] = value.strip()
    return header, len(lines)


def _collect(rows: Iterable[list[str]], collector: RowCollector, *, columns: list[str], skipped: int) -> None:
    ts_at, symbol_at = columns.index("ts"), columns.index("symbol")
    open_at, high_at, low_at, close_at = (columns.index(name) for name in PRICE_COLUMNS)
    kind_at = columns.index("price_kind") if "price_kind" in columns else None
    width = len(columns)
    for line, row in enumerate(rows, start=skipped + 2):
        if not row:
            continue
        if len(row) != width:
            raise _wrong_width(row, place=f"{collector.file}: line {line}", columns=columns)
        try:
            ts = micros_from_text(row[ts_at].strip())
        except ValueError:
            raise unreadable_time(row[ts_at], where=collector.place(line, "ts")) from None
        prices = (row[open_at].strip(), row[high_at].strip(), row[low_at].strip(), row[close_at].strip())
        collector.add(line, ts=ts, symbol=row[symbol_at].strip(), prices=prices)
        if kind_at is not None:
            collector.add_kind(line, row[kind_at].strip())


def unreadable_time(found: object, *, where: str) -> BadTape:
    """Return the error for a time that is none."""
    return BadTape(
        "the time cannot be read",
        where=where,
        expected="ISO 8601 with its zone such as 2025-10-10T21:20:00Z, or epoch seconds or milliseconds",
        found=repr(found),
        hint="write the bar's opening time in UTC with a Z at the end",
    )


def _wrong_width(row: list[str], *, place: str, columns: list[str]) -> BadTape:
    if len(row) < len(columns):
        return BadTape(
            "the line is cut off",
            where=f"{place}, column {columns[len(row)]}",
            expected=f"{len(columns)} values: {', '.join(columns)}",
            found=f"{len(row)}: {','.join(row)}",
            hint="check that the file was written completely",
        )
    return BadTape(
        "the line has more values than there are columns",
        where=place,
        expected=f"{len(columns)} values: {', '.join(columns)}",
        found=f"{len(row)}: {','.join(row)}",
        hint="quote values that contain a comma, and write no thousands separators",
    )
