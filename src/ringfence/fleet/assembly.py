"""From checked rows of flat tables to accounts: rows that belong to one account become its lists.

Accounts come in the order in which they are first named: in the accounts' table, then wallets, then positions. Where
the rows of a table stand account by account already, its columns become the children of the lists, uncopied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringfence.fleet.places import Stood
from ringfence.fleet.schema import LISTS, SCALARS, arrow_schema, empty_lists, entry_type, field_type, pyarrow
from ringfence.fleet.tables import LIST_OF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.faults import Faults
    from ringfence.fleet.tables import Rows

_ORDER = ("accounts", "wallets", "collateral", "tiers", "positions", "orders")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an assembled batch stood: files, and by list (file index, row) of each entry. ``accounts``: first rows."""

    files: tuple[str, ...]
    entries: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
    accounts: Stood

    def entry(self, name: str, entry: int) -> str:
        """Return file and row of an entry of the list ``name``."""
        files, rows = self.entries[name]
        return f"{self.files[int(files[entry])]}: row {int(rows[entry])}"


def assemble(rows: Sequence[Rows], files: Sequence[str], faults: Faults) -> tuple[Any, Origin]:
    """Return one record batch of accounts in the fleet's schema, and where its entries stood."""
    import numpy as np

    pa = pyarrow()
    kinds = {kind: [part for part in rows if part.kind == kind and len(part.row)] for kind in _ORDER}
    ids = [part.account for kind in _ORDER for part in kinds[kind]]
    named = pa.chunked_array(ids, pa.string()).dictionary_encode().combine_chunks()
    if isinstance(named, pa.ChunkedArray):  # no rows at all
        named = pa.array([], pa.string()).dictionary_encode()
    codes = named.indices.to_numpy(zero_copy_only=False)
    count = len(named.dictionary)
    arrays: dict[str, Any] = {"account": named.dictionary}
    entries: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    at = 0
    for kind in _ORDER:
        size = sum(len(part.row) for part in kinds[kind])
        own, at = codes[at : at + size], at + size
        if kind == "accounts":
            arrays |= _scalars(kinds[kind], own, count, files, faults)
            continue
        name = LIST_OF[kind]
        if not size:
            arrays[name] = empty_lists(name, count)
            continue
        arrays[name], order = _lists(name, kinds[kind], own, count)
        where = np.concatenate([np.full(len(part.row), part.file, np.int64) for part in kinds[kind]])
        row = np.concatenate([part.row for part in kinds[kind]])
        entries[name] = (where, row) if order is None else (where[order], row[order])
    schema = arrow_schema()
    origin = Origin(tuple(files), entries, _first_rows(kinds, codes, count, files))
    return pa.record_batch([arrays[name] for name in schema.names], schema=schema), origin


def _first_rows(kinds: Mapping[str, Sequence[Rows]], codes: Any, count: int, files: Sequence[str]) -> Stood:
    """Return where each account is first named."""
    import numpy as np

    parts = [part for kind in _ORDER for part in kinds[kind]]
    file, row = np.zeros(count, np.int32), np.zeros(count, np.int64)
    at = len(codes)
    for part in reversed(parts):  # what stands earlier is written later, over it
        own = codes[at - len(part.row) : at][::-1]
        file[own], row[own] = part.file, part.row[::-1]
        at -= len(part.row)
    return Stood(files, file, row)


def _lists(name: str, parts: Sequence[Rows], codes: Any, count: int) -> tuple[Any, Any]:
    """Return the list column and the order in which rows were taken; None where they stood account by account."""
    import numpy as np

    pa = pyarrow()
    columns = [_joined([part.columns[column] for part in parts]) for column in LISTS[name]]
    order = None
    if np.any(np.diff(codes) < 0):
        order = np.argsort(codes, kind="stable")
        taken = pa.array(order)
        columns = [column.take(taken) for column in columns]
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(codes, minlength=count), out=offsets[1:])
    entry = entry_type(name)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.StructArray.from_arrays(columns, fields=list(entry)), type=pa.list_(entry)
    ), order


def _joined(arrays: list[Any]) -> Any:
    pa = pyarrow()
    found = arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _scalars(parts: Sequence[Rows], codes: Any, count: int, files: Sequence[str], faults: Faults) -> dict[str, Any]:
    """Return what is said once of each account; an account that two rows describe is a fault."""
    import numpy as np

    pa = pyarrow()
    found: dict[str, Any] = {name: pa.nulls(count, field_type(name)) for name in SCALARS[1:]}
    if not parts:
        return found
    first = np.full(count, -1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    twice = np.flatnonzero(first[codes] != np.arange(len(codes)))
    rows = np.concatenate([part.row for part in parts])
    where = np.concatenate([np.full(len(part.row), part.file, np.int64) for part in parts])
    for entry in twice.tolist():
        before = first[codes[entry]]
        faults.add(
            "an account that is described twice",
            where=f"{files[int(where[entry])]}: row {int(rows[entry])}, column account",
            expected="one row per account", found=f"also in row {int(rows[before])}",
        )  # fmt: skip
    taken = pa.array(np.where(first < 0, 0, first), mask=first < 0)
    for name in found:
        found[name] = _joined([part.columns[name] for part in parts]).take(taken)
    return found


__all__ = ["Origin", "assemble"]
