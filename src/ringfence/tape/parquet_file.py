"""Tapes as Parquet files, read with pyarrow (extra ``parquet``), imported here and only when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.errors import BadTape
from ringfence.tape.csv_file import HEADER_KEYS, unreadable_time
from ringfence.tape.rows import (
    PRICE_COLUMNS,
    REQUIRED_COLUMNS,
    RowCollector,
    check_columns,
    micros_from_number,
    micros_from_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from pyarrow import ChunkedArray, Schema

    from ringfence.tape.bars import Tape


def read_parquet(path: Path, *, name: str, file: str) -> Tape:
    """Return the tape a Parquet file holds. ``file`` is how errors name it. Raises BadTape.

    Binary floats are taken at their shortest decimal text that reads back as the same float; the tape then
    says ``exact = False``. Decimals, integers and texts are taken as they are.
    """
    arrow = _pyarrow(file)
    try:
        parquet = arrow.parquet.ParquetFile(path)
        schema = parquet.schema_arrow
        check_columns(schema.names, where=file)
        wanted = [name for name in (*REQUIRED_COLUMNS, "price_kind") if name in schema.names]
        table = parquet.read(columns=wanted)
    except (arrow.ArrowException, OSError) as error:
        raise BadTape(
            "the file cannot be read as Parquet",
            where=file,
            expected="a complete Parquet file",
            found=str(error).split("\n", maxsplit=1)[0],
            hint="write it again, or use CSV",
        ) from None
    collector = RowCollector(file=file, row_word="row")
    times = _times(arrow, table["ts"], collector)
    symbols = table["symbol"].to_pylist()
    prices = zip(*(_price_texts(arrow, table[column]) for column in PRICE_COLUMNS), strict=True)
    kinds = table["price_kind"].to_pylist() if "price_kind" in table.column_names else None
    for row, (ts, symbol, texts) in enumerate(zip(times, symbols, prices, strict=True), start=1):
        collector.add(row, ts=ts, symbol="" if symbol is None else str(symbol), prices=texts)
        if kinds is not None:
            collector.add_kind(row, str(kinds[row - 1]))
    exact = not any(arrow.types.is_floating(table[column].type) for column in PRICE_COLUMNS)
    return collector.tape(name=name, header=_metadata(schema), exact=exact)


def _pyarrow(file: str) -> ModuleType:
    try:
        import pyarrow as pa
        import pyarrow.parquet
        import pyarrow.types
    except ImportError:
        raise BadTape(
            "reading Parquet needs pyarrow, which is not installed",
            where=file,
            expected="the extra parquet",
            found="no module pyarrow",
            hint='install it with: pip install "ringfence[parquet]"; or write the tape as CSV',
        ) from None
    module: ModuleType = pa
    return module


def _times(arrow: ModuleType, column: ChunkedArray, collector: RowCollector) -> Iterator[int]:
    """Yield microseconds since 1970 for each row."""
    kind = column.type
    if arrow.types.is_timestamp(kind):
        if kind.tz is None:
            raise BadTape(
                "the times have no zone",
                where=f"{collector.file}: column ts",
                expected="a timestamp with time zone UTC",
                found=str(kind),
                hint='say what they are when writing, in pandas: df["ts"] = df["ts"].dt.tz_localize("UTC")',
            )
        column = column.cast(arrow.timestamp("us", tz="UTC"), safe=False).cast(arrow.int64())
    for row, value in enumerate(column.to_pylist(), start=1):
        try:
            yield _micros(value, as_stored=arrow.types.is_timestamp(kind))
        except (ValueError, TypeError):
            raise unreadable_time(value, where=collector.place(row, "ts")) from None


def _micros(value: object, *, as_stored: bool) -> int:
    if isinstance(value, int):
        return value if as_stored else micros_from_number(value)
    if isinstance(value, str):
        return micros_from_text(value)
    raise TypeError(value)


def _price_texts(arrow: ModuleType, column: ChunkedArray) -> Iterator[str]:
    """Yield each price as decimal text; a missing one as empty text."""
    if arrow.types.is_floating(column.type) and not arrow.types.is_float64(column.type):
        # The shortest text of a narrow float is arrow's; as a Python float it would show digits it never had.
        column = column.cast(arrow.string())
    for value in column.to_pylist():
        if value is None:
            yield ""
        elif isinstance(value, float):
            yield repr(value)
        else:
            yield str(value)


def _metadata(schema: Schema) -> dict[str, str]:
    """Return the header keys that the schema's metadata has."""
    found = schema.metadata or {}
    return {key: found[key.encode()].decode() for key in HEADER_KEYS if key.encode() in found}
