"""From sources to a fleet's file: taken in (:mod:`.intake`), and written whole or not at all."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ringfence.errors import BadConfiguration
from ringfence.fleet.fleet import Fleet
from ringfence.fleet.intake import Intake, Request
from ringfence.fleet.schema import KEY, UNIT, Terms, arrow_schema, pyarrow
from ringfence.fleet.sources import open_source
from ringfence.fleet.stand_ins import said, stand_ins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from ringfence.fleet.sources import Source
    from ringfence.numbers import Price

_REPEATED = [  # columns whose values come again and again; the amounts of others would fill a dictionary in vain
    "position_mode", "collateral_mode", "wallet.list.element.asset", "collateral.list.element.asset",
    "tiers.list.element.asset", "positions.list.element.symbol", "positions.list.element.leverage",
    "orders.list.element.symbol",
]  # fmt: skip


class Built(NamedTuple):
    """What was built. ``notes``: what was assumed or left out, in sentences."""

    fleet: Fleet
    accounts: int
    positions: int
    notes: tuple[str, ...]


def build(
    sources: Sequence[str | Path],
    out: Path,
    request: Request,
    *,
    progress: Callable[[int], None] | None = None,
) -> Built:
    """Build a fleet's file from ``sources`` and return it opened. ``progress`` is told the accounts written so far.

    Nothing is left behind when it fails; an existing ``out`` is replaced only by a whole file. Raises BadFleet with
    every fault up to a limit, BadAccount for what cannot be read, BadRulebook for an unknown rulebook.
    """
    opened = [open_source(source) for source in sources]
    _each_once(opened)
    with Writer(out, progress, unit=request.unit) as writer:
        work = Intake(opened, request, out.parent)
        for batch in work.batches():
            writer.write(batch)
        terms = work.terms()
        if request.stand_in is not None:
            terms = _standing_in(terms, writer.symbols, request.marks)
        accounts, positions = writer.finish(terms)
    return Built(Fleet.open(out), accounts, positions, terms.notes)


def _each_once(sources: Sequence[Source]) -> None:
    """Raise BadConfiguration for a file that is named twice: each of its rows would clash with itself."""
    known: dict[Path, str] = {}
    for source in sources:
        before = known.setdefault(source.path.resolve(), source.name)
        if before is not source.name:
            raise BadConfiguration("a file that is given twice", where=source.name, expected="each file once",
                                   found=f"also {before}", hint="name it once")  # fmt: skip


def _standing_in(terms: Terms, symbols: Iterable[str], tape: Mapping[str, Price]) -> Terms:
    """Return the terms with a tape's marks for symbols that have none, and what stood in for what among their notes."""
    without = sorted(symbol for symbol in symbols if symbol not in terms.marks)
    taken = stand_ins(without, tuple(tape), terms.rulebook())
    marks = {**terms.marks, **{symbol: tape[name] for symbol, name in taken.items()}}
    return replace(terms, marks=marks, notes=(*terms.notes, *said(taken)))


class Writer:
    """Writes a fleet's file in units of ``unit`` accounts; a context in which an error leaves nothing behind."""

    def __init__(self, out: Path, progress: Callable[[int], None] | None = None, *, unit: int = UNIT) -> None:
        self.out, self.progress, self.unit = out, progress, unit
        self.unfinished = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
        self._writer: Any = None
        self._held: list[Any] = []
        self._rows = self._written = self._positions = 0
        self.symbols: set[str] = set()

    def __enter__(self) -> Self:
        pa = pyarrow()
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pa.parquet.ParquetWriter(
                self.unfinished, arrow_schema(), compression="lz4", use_dictionary=_REPEATED
            )
        except OSError as error:
            raise self._error(error) from None
        return self

    def write(self, batch: Any) -> None:
        """Add accounts."""
        self._held.append(batch)
        self._rows += batch.num_rows
        entries = batch.column("positions").flatten()
        self._positions += len(entries)
        self.symbols.update(entries.field("symbol").unique().to_pylist())
        if self._rows >= self.unit:
            self._flush(keep=self._rows % self.unit)

    def finish(self, terms: Terms) -> tuple[int, int]:
        """Complete the file with its terms and put it in place. Return the numbers of accounts and positions."""
        self._flush(keep=0)
        terms = replace(terms, symbols=tuple(sorted(self.symbols)))
        try:
            self._writer.add_key_value_metadata({KEY.decode(): terms.to_json()})
            self._writer.close()
            self.unfinished.replace(self.out)
        except OSError as error:
            raise self._error(error) from None
        return self._written, self._positions

    def _flush(self, keep: int) -> None:
        pa = pyarrow()
        if not self._rows:
            return
        table = pa.Table.from_batches(self._held)
        whole = self._rows - keep
        try:
            for start in range(0, whole, self.unit):
                size = min(self.unit, whole - start)
                self._writer.write_table(table.slice(start, size), row_group_size=size)
        except OSError as error:
            raise self._error(error) from None
        self._held, self._rows = table.slice(whole).to_batches() if keep else [], keep
        self._written += whole
        if self.progress is not None:
            self.progress(self._written)

    def _error(self, error: OSError) -> BadConfiguration:
        return BadConfiguration(
            "the fleet cannot be written", where=str(self.out), expected="a file in a folder that is there",
            found=error.strerror or str(error), hint="check the path, its permissions and the room on the disk",
        )  # fmt: skip

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self.unfinished.unlink(missing_ok=True)


__all__ = ["Built", "Request", "Writer", "build"]
