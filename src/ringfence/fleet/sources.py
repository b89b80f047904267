"""Files of any producer: Parquet, Arrow, CSV, JSON lines of account files or of rows, single account files.

A source gives batches: of a flat table (:mod:`~ringfence.fleet.tables`), of a fleet's own form, or of accounts read one
by one. Nothing is held but the batch at hand. The format is told by the first bytes, then by the suffix.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence import account_file
from ringfence.errors import BadAccount, BadInput
from ringfence.fleet.schema import pyarrow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.account_file import AccountFile
    from ringfence.fleet.faults import Faults

BATCH = 262_144  #: rows of a flat table read at once
LINES = 4_096  #: lines of JSON read at once
_ARROW_MAGIC = b"ARROW1"


@dataclass(frozen=True, slots=True)
class Source:
    """One file. ``form``: ``parquet``, ``arrow``, ``csv``, ``rows`` (of JSON lines), ``accounts``, ``account``."""

    path: Path
    form: str

    @property
    def name(self) -> str:
        """How errors name it."""
        return str(self.path)

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.path.stat().st_size


def open_source(path: str | Path) -> Source:
    """Return the source of a path. Raises BadAccount where it cannot be read or its form cannot be told."""
    target = Path(path)
    try:
        with target.open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise BadAccount(
            "cannot be read", where=str(path), expected="Parquet, Arrow, CSV, or JSON lines of account files",
            found=error.strerror or str(error), hint="check the path",
        ) from None  # fmt: skip
    suffix = target.suffix.lower()
    if start.startswith(b"PAR1"):
        return Source(target, "parquet")
    if start.startswith(_ARROW_MAGIC) or suffix in {".arrow", ".feather", ".ipc", ".arrows"}:
        return Source(target, "arrow")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if suffix in {".jsonl", ".ndjson"} or (text.startswith(b"{") and suffix != ".json"):
        return Source(target, _lines_form(target))
    if text.startswith(b"{") or suffix == ".toml":
        return Source(target, "account")
    if not text:
        raise BadAccount(
            "the file is empty", where=str(path), expected="rows with a first line of names", found="nothing"
        )
    return Source(target, "csv")


def _lines_form(path: Path) -> str:
    """Return whether lines of JSON are account files or flat rows, by the first of them."""
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        first = next((line for line in stream if line.strip()), "")
    try:
        keys = json.loads(first)
    except ValueError:
        return "accounts"  # read again, and the fault named, where it counts
    return "accounts" if isinstance(keys, dict) and isinstance(keys.get("account"), dict) else "rows"


def columns_of(source: Source) -> list[str]:
    """Return the names of a flat table's columns, in order."""
    pa = pyarrow()
    with _arrow_errors(source):
        if source.form == "parquet":
            return list(pa.parquet.read_schema(source.path).names)
        if source.form == "arrow":
            with _arrow_reader(source) as reader:
                return list(reader.schema.names)
    if source.form == "csv":
        return _header(source)
    names: dict[str, None] = {}
    for _, row in _json_rows(source, None):
        names |= dict.fromkeys(row)
        if len(names) > 1000:
            break
    return list(names)


def batches_of(source: Source, faults: Faults) -> Iterator[Any]:
    """Yield the rows of a flat table as record batches; texts of CSV stay texts, so that no digit is lost."""
    pa = pyarrow()
    with _arrow_errors(source):
        if source.form == "parquet":
            with pa.parquet.ParquetFile(source.path) as file:
                yield from file.iter_batches(batch_size=BATCH)
        elif source.form == "arrow":
            with _arrow_reader(source) as reader:
                for batch in reader:
                    for start in range(0, max(batch.num_rows, 1), BATCH):
                        yield batch.slice(start, BATCH)
        elif source.form == "csv":
            try:
                yield from _csv(source)
            except pa.ArrowInvalid:
                if not _ragged(source, faults):
                    raise
        else:
            yield from _row_batches(source, faults)


@contextmanager
def _arrow_errors(source: Source) -> Iterator[None]:
    pa = pyarrow()
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadAccount(
            f"cannot be read as {source.form}", where=source.name, expected="a complete file",
            found=str(error).split("\n", maxsplit=1)[0][:300], hint="write it again",
        ) from None  # fmt: skip


@contextmanager
def _arrow_reader(source: Source) -> Iterator[Any]:
    from pyarrow import ipc

    pa = pyarrow()
    with pa.memory_map(str(source.path)) as stream:
        magic = stream.read(len(_ARROW_MAGIC))
        stream.seek(0)
        if magic == _ARROW_MAGIC:
            file = ipc.open_file(stream)
            yield pa.RecordBatchReader.from_batches(
                file.schema, (file.get_batch(index) for index in range(file.num_record_batches))
            )
        else:
            yield ipc.open_stream(stream)


def _header(source: Source) -> list[str]:
    import csv

    with source.path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        return [name.strip() for name in next(csv.reader(stream), [])]


def _csv(source: Source) -> Iterator[Any]:
    from pyarrow import csv

    pa = pyarrow()
    names = _header(source)
    options = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, quoted_strings_can_be_null=False,
        null_values=["", "null", "NULL", "None"],
    )  # fmt: skip
    reading = csv.ReadOptions(column_names=names, skip_rows=1, block_size=1 << 24)
    with csv.open_csv(source.path, convert_options=options, read_options=reading) as reader:
        yield from reader


def _ragged(source: Source, faults: Faults) -> bool:
    """Note the rows that have more or fewer fields than there are names; return whether there are any."""
    import csv

    found = False
    with source.path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        rows = csv.reader(stream)
        names = next(rows, [])
        for number, row in enumerate((row for row in rows if row), start=1):
            if len(row) != len(names):
                found = True
                faults.add(
                    "another number of fields than there are names", where=f"{source.name}: row {number}",
                    expected=f"{len(names)}: {', '.join(names)}", found=f"{len(row)}: {','.join(row)[:60]}",
                    hint="leave nothing between two commas for what is not known; quote a text that has a comma",
                )  # fmt: skip
    return found


def _row_batches(source: Source, faults: Faults) -> Iterator[Any]:
    pa = pyarrow()
    names = columns_of(source)
    rows: list[dict[str, Any]] = []

    def batch() -> Any:
        return pa.record_batch(
            [pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names], names=names
        )

    for _, row in _json_rows(source, faults):
        rows.append(row)
        if len(rows) == LINES:
            yield batch()
            rows.clear()
    if rows:
        yield batch()


def _text(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _json_rows(source: Source, faults: Faults | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object); what is none is a fault, with an empty row in its place: rows keep their number."""
    with source.path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = json.loads(line, parse_float=str)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                if faults is not None:
                    faults.add("not an object", where=f"{source.name}: line {number}", expected="an object a line",
                               found=line.strip()[:60] or "nothing")  # fmt: skip
                row = {}
            yield number, row


class Told(NamedTuple):
    """An account as a source tells it. ``line``: where, from 1; 0 where it is the whole file."""

    name: str
    line: int
    file: AccountFile


def account_files(source: Source, faults: Faults) -> Iterator[list[Told]]:
    """Yield accounts with their names, some at a time: by ``id``, else by the file's name and line.

    A faulty line is noted and left out.
    """
    if source.form == "account":
        yield [Told(source.path.stem, 0, account_file.read(source.path))]
        return
    found: list[Told] = []
    with source.path.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            where = f"{source.name}: line {number}"
            try:
                data = account_file.load_text(line, where=where)
                file = account_file.parse(data, where=where)
            except BadInput as error:
                faults.note(error)
                continue
            name = data.get("id")
            found.append(Told(str(name) if name is not None else f"{source.path.stem}:{number}", number, file))
            if len(found) == LINES:
                yield found
                found = []
    if found:
        yield found


__all__ = ["BATCH", "Source", "Told", "account_files", "batches_of", "columns_of", "open_source"]
