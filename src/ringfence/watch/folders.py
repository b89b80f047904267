"""A dated folder of tables: contracts.csv, tiers.csv and SOURCES.toml, checked, then written whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from ringfence.errors import BadConfiguration, BadRulebook
from ringfence.watch.contracts import ContractRow
from ringfence.watch.figures import EXACT, shortest
from ringfence.watch.tiers import TierRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

CONTRACT_COLUMNS = tuple(field.name for field in fields(ContractRow))
TIER_COLUMNS = tuple(field.name for field in fields(TierRow))

#: How far a stated deduction may lie from the one that keeps maintenance margin continuous: exchanges round theirs.
_DEDUCTION_TOLERANCE = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from: a ``[[source]]`` of SOURCES.toml."""

    file: str
    covers: str
    origin: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Tables:
    """The contracts and tiers of one rulebook on one day, sorted by symbol (and tier), with their sources."""

    as_of: date
    contracts: tuple[ContractRow, ...]
    tiers: tuple[TierRow, ...]
    sources: tuple[Source, ...]

    @property
    def coverage(self) -> str:
        """``complete`` where every contract has its terms and tiers, else ``partial``."""
        return "complete" if all(row.coverage == "complete" for row in self.contracts) else "partial"


def faults_of(tables: Tables) -> list[str]:
    """Return everything that is wrong with ``tables``, a sentence each, contract by contract; empty when fit to use."""
    faults = [fault for row in tables.contracts for fault in _contract_faults(row)]
    known: set[str] = set()
    for row in tables.contracts:
        if row.symbol in known:
            faults.append(f"{row.symbol}: listed twice")
        known.add(row.symbol)
    for symbol, rows in groupby(tables.tiers, key=lambda row: row.symbol):
        if symbol not in known:
            faults.append(f"{symbol}: has tiers but is no contract")
        faults += [f"{symbol} {fault}" for fault in _tier_faults(list(rows))]
    return faults


def _contract_faults(row: ContractRow) -> Iterator[str]:
    if row.contract_size is None or row.contract_size <= 0:
        yield f"{row.symbol}: contract_size {shortest(row.contract_size) or 'unknown'}, expected a number above 0"
    if not row.settle_asset:
        yield f"{row.symbol}: settle_asset unknown"
    for column in ("price_step", "quantity_step"):
        step = getattr(row, column)
        if step is not None and step <= 0:
            yield f"{row.symbol}: {column} {shortest(step)}, expected a number above 0 or nothing"


def _tier_faults(rows: Sequence[TierRow]) -> Iterator[str]:
    for row in rows:
        yield from _single_tier_faults(row)
    if rows[0].floor not in (None, Decimal(0)):
        yield f"tier 1: floor {shortest(rows[0].floor)}, expected 0"
    for lower, upper in pairwise(rows):
        place = f"tier {upper.tier}"
        if upper.floor is not None and lower.cap != upper.floor:
            cap = shortest(lower.cap) or "unknown"
            yield f"{place}: floor {shortest(upper.floor)} does not continue the cap {cap} of tier {lower.tier}"
        if not _ascends(lower.maintenance_rate, upper.maintenance_rate):
            rates = f"{shortest(upper.maintenance_rate)} below {shortest(lower.maintenance_rate)}"
            yield f"{place}: maintenance_rate {rates} of tier {lower.tier}"
        if not _ascends(upper.max_leverage, lower.max_leverage):
            leverages = f"{shortest(upper.max_leverage)} above {shortest(lower.max_leverage)}"
            yield f"{place}: max_leverage {leverages} of tier {lower.tier}"
        expected = _continuous_deduction(lower, upper)
        if expected is None or upper.deduction is None:
            continue
        if abs(EXACT.subtract(upper.deduction, expected)) > _DEDUCTION_TOLERANCE:
            yield (
                f"{place}: deduction {shortest(upper.deduction)} leaves a step in the maintenance margin, "
                f"expected {shortest(expected)}"
            )


def _single_tier_faults(row: TierRow) -> Iterator[str]:
    place = f"tier {row.tier}"
    if row.floor is None:
        yield f"{place}: floor unknown"
    elif row.cap is not None and row.cap <= row.floor:
        yield f"{place}: cap {shortest(row.cap)} is not above its floor {shortest(row.floor)}"
    if row.maintenance_rate is None:
        yield f"{place}: maintenance_rate unknown"
        return
    if not 0 < row.maintenance_rate <= 1:
        yield f"{place}: maintenance_rate {shortest(row.maintenance_rate)}, expected above 0 and at most 1"
    if row.max_leverage is not None and row.max_leverage < 1:
        yield f"{place}: max_leverage {shortest(row.max_leverage)}, expected at least 1"
    elif row.max_leverage is not None and EXACT.multiply(row.maintenance_rate, row.max_leverage) > 1:
        yield (
            f"{place}: maintenance_rate {shortest(row.maintenance_rate)} is more than the initial margin at "
            f"{shortest(row.max_leverage)}x"
        )


def _ascends(lower: Decimal | None, upper: Decimal | None) -> bool:
    return lower is None or upper is None or lower <= upper


def _continuous_deduction(lower: TierRow, upper: TierRow) -> Decimal | None:
    """Return the deduction of ``upper`` that keeps maintenance margin continuous at its floor, None where unknown.

    deduction below + floor · (rate − rate below)
    """
    parts = (lower.deduction, lower.maintenance_rate, upper.floor, upper.maintenance_rate)
    deduction, rate_below, floor, rate = parts
    if lower.tier == 1:  # where the first tier starts at nothing, nothing is deducted
        deduction = deduction or Decimal(0)
    if deduction is None or rate_below is None or floor is None or rate is None:
        return None
    return EXACT.add(deduction, EXACT.multiply(floor, EXACT.subtract(rate, rate_below)))


def write_folder(tables: Tables, folder: Path) -> None:
    """Write ``tables`` as ``folder``: it appears complete, in one step, or not at all; an older one is replaced whole.

    Raises BadConfiguration where the disk does not allow it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = folder.parent / f".{folder.name}.{os.getpid()}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        _write_csv(unfinished / "contracts.csv", CONTRACT_COLUMNS, tables.contracts)
        _write_csv(unfinished / "tiers.csv", TIER_COLUMNS, tables.tiers)
        _write_text(unfinished / "SOURCES.toml", _sources_toml(tables))
        if folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.replaced.") as replaced:
                folder.rename(f"{replaced}/{folder.name}")
                unfinished.rename(folder)
        else:
            unfinished.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> BadConfiguration:
    return BadConfiguration(
        "the tables cannot be written",
        where=str(folder),
        expected="a folder that can be written",
        found=error.strerror or type(error).__name__,
        hint="choose another destination or free some space",
    )


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[ContractRow | TierRow]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(getattr(row, column)) for column in columns])
        file.flush()
        os.fsync(file.fileno())


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _cell(value: Decimal | str | int | None) -> str:
    return shortest(value) if value is None or isinstance(value, Decimal) else str(value)


def _sources_toml(tables: Tables) -> str:
    """Return SOURCES.toml. A JSON string is a TOML string, as none of these holds a control character."""
    lines = ["[tables]", f"coverage = {json.dumps(tables.coverage)}"]
    for source in tables.sources:
        entries = {
            "file": source.file,
            "covers": source.covers,
            "origin": source.origin,
            "as_of": tables.as_of.isoformat(),
            "confidence": source.confidence,
        }
        lines += ["", "[[source]]"]
        lines += [f"{name} = {json.dumps(text, ensure_ascii=False)}" for name, text in entries.items()]
    return "\n".join(lines) + "\n"


def read_cells(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of one table as texts by column.

    Raises BadRulebook where the file is missing, is no table, or lacks one of ``columns``.
    """
    hint = "choose a dated folder of a rulebook, such as binance-usdm/2026-09-29"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            rows = [] if missing else list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        found = error.strerror if isinstance(error, OSError) else str(error)
        raise BadRulebook(
            "the table cannot be read", where=str(path), expected="a CSV file", found=found, hint=hint
        ) from None
    if missing:
        raise BadRulebook(
            "the table lacks columns",
            where=str(path),
            expected=",".join(columns),
            found=f"no {', '.join(missing)}",
            hint=hint,
        )
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise BadRulebook(
                "the line has not as many cells as the table has columns",
                where=f"{path}: line {number}",
                expected=f"{len(columns)} cells",
                hint="restore the file or read it from the exchange again",
            )
    return rows
