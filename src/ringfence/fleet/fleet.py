"""A fleet: very many accounts under one rulebook, in a file or in Arrow tables, never all at once in memory.

It is read in *units* (row groups of a file, slices of a table), each of which holds whole accounts. Everything that is
computed of a fleet is computed unit by unit and put together in their order, so that the answer is the same whoever
computed which unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.errors import BadAccount, nearest
from ringfence.fleet.accounts import account_file_of
from ringfence.fleet.schema import (
    SYMBOLS,
    UNIT,
    Terms,
    arrow_schema,
    fitted,
    lacking,
    pyarrow,
    schema_of_file,
    terms_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from ringfence.account_file import AccountFile
    from ringfence.numbers import Price


@dataclass(frozen=True, slots=True)
class Fleet:
    """Accounts and the terms they share. Make one with :meth:`open` or :meth:`from_arrow`.

    ``terms``: rulebook, day, marks. Hands itself to anything that speaks the Arrow PyCapsule interface.
    """

    terms: Terms
    where: str
    path: Path | None = None
    table: Any = None

    @classmethod
    def open(cls, path: str | Path) -> Fleet:
        """Open a fleet's file; nothing but its schema is read. Raises BadAccount where it is none."""
        pa = pyarrow()
        target = Path(path)
        try:
            schema = schema_of_file(target)
        except FileNotFoundError:
            close = nearest(target.name, [p.name for p in target.parent.glob("*")] if target.parent.is_dir() else [])
            raise BadAccount(
                "no such fleet", where=str(path), expected="a file that `ringfence fleet build` wrote", found="nothing",
                hint=close or "try one: ringfence fleet build --example --accounts 100000 --out example.fleet.parquet",
            ) from None  # fmt: skip
        except (pa.ArrowException, OSError) as error:
            plainly = not _starts_as_parquet(target)
            raise BadAccount(
                "not a fleet" if plainly else "cannot be read as Parquet", where=str(path),
                expected="a Parquet file that `ringfence fleet build` wrote",
                found="another kind of file" if plainly else str(error).split("\n", maxsplit=1)[0][:200],
                hint=f"make one of it: ringfence fleet build {target.name} --rulebook NAME --out FLEET" if plainly
                else "build it again",
            ) from None  # fmt: skip
        return cls(terms_of(schema, where=str(path)), str(path), path=target)

    @classmethod
    def from_arrow(  # noqa: PLR0913 - a parameter per table
        cls,
        data: Any = None,
        *,
        positions: Any = None,
        wallets: Any = None,
        accounts: Any = None,
        collateral: Any = None,
        tiers: Any = None,
        orders: Any = None,
        rulebook: str | None = None,
        as_of: date | None = None,
        marks: Mapping[str, Price] | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Fleet:
        """Return the fleet of Arrow data: one table with lists (``data``, as :meth:`to_arrow` gives), or flat ones.

        Anything with ``__arrow_c_stream__`` will do: a Polars or pandas frame, a DuckDB relation, a pyarrow table.
        ``columns``: the producer's names by ours. ``rulebook`` may be left out where the data carries its terms.
        Raises BadFleet, which names every faulty row up to a limit, and BadRulebook for an unknown rulebook.
        """
        from ringfence.fleet.intake import taken_in

        given = {"fleet": data, "positions": positions, "wallets": wallets, "accounts": accounts,
                 "collateral": collateral, "tiers": tiers, "orders": orders}  # fmt: skip
        terms, table = taken_in(
            {kind: value for kind, value in given.items() if value is not None},
            rulebook=rulebook, as_of=as_of, marks=marks or {}, columns=columns or {},
        )  # fmt: skip
        return cls(terms, "fleet", table=table)

    def to_arrow(self) -> Any:
        """Return the whole fleet as a pyarrow table with lists; one that was made of such a table is that table."""
        pa = pyarrow()
        if self.table is not None:
            return self.table
        return pa.Table.from_batches(self.batches(), schema=arrow_schema(self.terms))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Hand the fleet over by the Arrow PyCapsule interface, unit by unit."""
        pa = pyarrow()
        reader = pa.RecordBatchReader.from_batches(arrow_schema(self.terms), self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def positions(self) -> Any:
        """Return all positions as one flat pyarrow table: the account, then the fields of a position."""
        pa = pyarrow()
        flat = []
        for batch in self.batches():
            lists = batch.column("positions")
            parents = pa.compute.list_parent_indices(lists)
            entries = pa.compute.list_flatten(lists)
            account = batch.column("account").take(parents)
            names = [entry.name for entry in entries.type]
            flat.append(pa.record_batch([account, *entries.flatten()], names=["account", *names]))
        return pa.Table.from_batches(flat)

    def __len__(self) -> int:
        """Return the number of accounts."""
        if self.table is not None:
            return int(self.table.num_rows)
        return int(pyarrow().parquet.read_metadata(self.path).num_rows)

    @property
    def units(self) -> int:
        """The number of units."""
        if self.table is not None:
            return max(1, -(-int(self.table.num_rows) // UNIT))
        return int(pyarrow().parquet.read_metadata(self.path).num_row_groups)

    def unit(self, index: int, columns: tuple[str, ...] | None = None, *, coded: bool = False) -> Any:
        """Return one unit as a record batch. Raises BadAccount where the file is damaged.

        ``coded``: symbols of positions may be numbers of a dictionary, where the file has them so; each is then read
        once.
        """
        pa = pyarrow()
        names = list(columns or arrow_schema().names)
        if self.table is not None:
            part = self.table.slice(index * UNIT, UNIT)
            part = part.select([name for name in names if name in part.schema.names]).combine_chunks()
        else:
            part = self._read(index, names, coded=coded)
        batches = part.to_batches()
        if len(batches) == 1:
            batch = batches[0]
        else:
            batch = pa.record_batch(
                [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in part.columns],
                schema=part.schema,
            )  # fmt: skip
        for name in names:
            if name not in batch.schema.names:
                batch = batch.append_column(name, lacking(name, batch.num_rows))
        return fitted(batch.select(names), coded=coded)

    def _read(self, index: int, names: list[str], *, coded: bool) -> Any:
        """Return a row group of the file as a table."""
        pa = pyarrow()
        try:
            with pa.parquet.ParquetFile(self.path, read_dictionary=[SYMBOLS] if coded else None) as file:
                part = file.read_row_group(index, columns=names)
        except (pa.ArrowException, OSError) as error:
            raise BadAccount(
                "a part of the fleet cannot be read", where=f"{self.where}: row group {index}",
                expected="a complete Parquet file", found=str(error).split("\n", maxsplit=1)[0][:200],
                hint="build it again",
            ) from None  # fmt: skip
        if coded and len(part.to_batches()) != 1:  # dictionaries in several pieces need not agree
            return self._read(index, names, coded=False)
        return part

    def batches(self) -> Iterator[Any]:
        """Yield the units in order, one in memory at a time."""
        for index in range(self.units):
            yield self.unit(index)

    def find(self, account: str) -> Mapping[str, Any]:
        """Return an account's row as Python values. Raises BadAccount, with the nearest names, where there is none."""
        pa = pyarrow()
        names: list[str] = []
        for index in range(self.units):
            ids = self.unit(index, ("account",)).column("account")
            at = pa.compute.index(ids, pa.scalar(account, pa.string())).as_py()
            if at >= 0:
                row: Mapping[str, Any] = self.unit(index).slice(at, 1).to_pylist()[0]
                return row
            if len(names) < UNIT:
                names += ids.to_pylist()
        raise BadAccount(
            f"no account {account!r}", where=self.where, expected=f"one of {len(self):,} accounts, such as {names[0]}"
            if names else "an account of the fleet", found=account, hint=nearest(account, names) or "check the name",
        )  # fmt: skip

    def account(self, account: str, marks: Mapping[str, Price] | None = None) -> AccountFile:
        """Return one account as an account file would give it, at ``marks`` (the fleet's own where there are none).

        Its index prices are those at these marks (:mod:`ringfence.fleet.indices`).
        """
        terms = self.terms.at(marks) if marks else self.terms
        return account_file_of(self.find(account), terms, terms.marks, where=f"{self.where}: {account}")

    def with_marks(self, marks: Mapping[str, Price]) -> Fleet:
        """Return the fleet with other prices over its own."""
        return replace(self, terms=self.terms.at(marks))


def _starts_as_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return True


__all__ = ["Fleet"]
