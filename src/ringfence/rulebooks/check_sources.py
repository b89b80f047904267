"""That ``SOURCES.toml`` says of each table of a folder where its figures were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.errors import nearest
from ringfence.rulebooks.faults import Fault, open_toml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_SOURCE = ("file", "covers", "origin", "as_of", "confidence", "note")
_TABLES = ("coverage", "sentence")
COVERAGES = ("complete", "partial")


def source_faults(path: Path, tables: Collection[str]) -> Iterator[Fault]:
    """Yield what is wrong with a ``SOURCES.toml``, given the files of its folder that need a source."""
    if not path.is_file():
        yield Fault(path, None, "missing: every table needs a source and a date")
        return
    file = open_toml(path)
    if isinstance(file, Fault):
        yield file
        return
    yield from file.unknown("", ("tables", "source"))
    yield from file.unknown("tables", _TABLES)
    if file.table("tables").get("coverage") not in COVERAGES:
        yield file.fault("tables", "coverage", f"expected {' or '.join(COVERAGES)}")
    entries = file.data.get("source", [])
    starts = [number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
              if line.strip() == "[[source]]"]  # fmt: skip
    covered: set[str] = set()
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        line = starts[index] if index < len(starts) else None
        covered.add(str(entry.get("file")))
        if entry.get("file") not in tables:
            yield Fault(path, line, f"source of {entry.get('file')!r}, which is not in the folder")
        for key in _SOURCE[:5]:
            if not entry.get(key):
                yield Fault(path, line, f"source of {entry.get('file')!r}: {key} is missing")
        if entry.get("confidence") not in {None, "high", "medium", "low"}:
            yield Fault(path, line, f"confidence: expected high, medium or low, found {entry['confidence']!r}")
        for key in entry:
            if key not in _SOURCE:
                yield Fault(
                    path, line, f"unknown key {key}; {nearest(key, _SOURCE) or 'expected ' + ', '.join(_SOURCE)}"
                )
    for file_name in sorted(set(tables) - covered):
        yield Fault(path, None, f"no source for {file_name}")


__all__ = ["COVERAGES", "source_faults"]
