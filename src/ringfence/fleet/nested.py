"""Tables with lists per account, in the form of a fleet, from whatever made them.

Columns and fields may be missing (then nothing is held of them), stand in another order, and have other widths of list,
text and number. What has the fleet's own types already is taken as it is, uncopied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.errors import BadAccount
from ringfence.fleet.schema import LISTS, SCALARS, arrow_schema, empty_lists, entry_type, pyarrow
from ringfence.fleet.tables import LIST_OF, Names, TableReader

if TYPE_CHECKING:
    from ringfence.fleet.faults import Faults

_KIND_OF = {name: kind for kind, name in LIST_OF.items()}


def conformed(batch: Any, faults: Faults, *, where: str, first: int = 1) -> tuple[Any, bool]:
    """Return a batch of accounts in a fleet's own types, checked, and whether all of its amounts are exact.

    ``first``: the number of its first row in the table that it is a part of.
    """
    pa = pyarrow()
    scalars = TableReader(
        [name for name in batch.schema.names if name in SCALARS], Names(), where=where, kind="accounts", first=first
    )
    own = batch.select([name for name in batch.schema.names if name in SCALARS])
    checked = scalars.read(own, faults)
    arrays: dict[str, Any] = {"account": checked.account, **checked.columns}
    exact = True
    for name in LISTS:
        lists = batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows)
        if _empty(lists.type):
            arrays[name] = empty_lists(name, batch.num_rows)
            continue
        if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)) or not pa.types.is_struct(
            lists.type.value_type
        ):
            raise BadAccount(
                f"{name} is no list of entries", where=f"{where}: column {name}", found=str(lists.type),
                expected=f"a list per account of {', '.join(LISTS[name])}",
            )  # fmt: skip
        arrays[name], as_stated = _list(name, lists, checked.account, faults, where, first)
        exact = exact and as_stated
    schema = arrow_schema()
    return pa.record_batch([arrays[name] for name in schema.names], schema=schema), exact


def _empty(kind: Any) -> bool:
    """Whether a type says that nothing is held: no column, or lists without a single entry."""
    pa = pyarrow()
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(pa.types.is_null(kind) or (listed and pa.types.is_null(kind.value_type)))


def _list(name: str, lists: Any, account: Any, faults: Faults, where: str, first: int) -> tuple[Any, bool]:
    import numpy as np

    pa = pyarrow()
    if lists.null_count:
        lists = pa.compute.if_else(lists.is_null(), pa.scalar([], lists.type), lists)
    entries = lists.flatten()
    offsets = lists.offsets.to_numpy()
    offsets = offsets - offsets[0]

    def place(row: int) -> str:
        parent = int(np.searchsorted(offsets, row - 1, side="right")) - 1
        return f"{where}: row {first + parent}, account {account[parent]}, {name}[{row - 1 - int(offsets[parent])}]"

    names = [field.name for field in entries.type]
    flat = pa.record_batch([pa.nulls(len(entries), pa.string()).fill_null("-"), *entries.flatten()],
                           names=["account", *names])  # fmt: skip
    reader = TableReader(flat.schema.names, Names(), where=where, kind=_KIND_OF[name], place=place)
    rows = reader.read(flat, faults)
    entry = entry_type(name)
    children = [rows.columns[field.name] for field in entry]
    made = pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)),
        pa.StructArray.from_arrays(children, fields=list(entry)),
        type=pa.list_(entry),
    )
    return made, rows.exact


__all__ = ["conformed"]
