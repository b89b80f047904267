"""Flat tables, one row per position, balance, account, collateral term or order, checked on their way into a fleet.

What a table holds is told by its columns (:func:`kind_of`); columns of other names are mapped (:class:`Mapping`). Each
row is checked where it stands, so that a fault names file, row and column. Conversions work on whole columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadAccount, BadConfiguration, nearest
from ringfence.fleet.numbers_in import amounts
from ringfence.fleet.schema import field_type, pyarrow
from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.faults import Faults

COLUMNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "positions": (
        ("account", "symbol", "quantity", "entry_price"),
        ("side", "margin_mode", "isolated_margin", "leverage", "mark_price", "implied_volatility"),
    ),
    "wallets": (("account", "asset", "balance"), ("loan",)),
    "accounts": (("account",), ("position_mode", "collateral_mode", "spot_hedging")),
    "collateral": (("account", "asset"), ("index", "ratio", "bid_buffer", "ask_buffer", "tier_unit", "moves_with")),
    "tiers": (("account", "asset", "floor", "cap", "ratio"), ()),
    "orders": (
        ("account", "symbol", "quantity", "price"),
        ("side", "leverage", "reference_price", "reduce_only", "position_side"),
    ),
}
"""Columns that each kind of table must have, and may have."""

LIST_OF = {"positions": "positions", "wallets": "wallet", "collateral": "collateral", "tiers": "tiers",
           "orders": "orders"}  # fmt: skip
"""The list of a fleet's account that each kind of table fills."""

_WORDS = {
    "position_mode": ("one_way", "hedge"),
    "collateral_mode": ("single_asset", "multi_asset", "portfolio"),
    "margin_mode": ("cross", "isolated"),
    "position_side": ("long", "short"),
    "tier_unit": ("base", "usd"),
}
_PARTED = (";", "\t", "|")
_LONG, _SHORT = ("long", "buy"), ("short", "sell")
_POSITIVE = {"entry_price", "mark_price", "leverage", "price", "reference_price", "index", "implied_volatility", "cap"}
_NOT_NEGATIVE = {"bid_buffer", "ask_buffer", "ratio", "loan", "floor"}
_NULLABLE = {"balance", "isolated_margin", "leverage", "mark_price", "reference_price", "index", "ratio", "bid_buffer",
             "ask_buffer", "loan", "cap", "implied_volatility"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """Which column of a producer is which of ours. ``given``: by our name, or by ``table.ours`` for one kind only."""

    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, texts: Sequence[str]) -> Names:
        """Return the names that ``--column OURS=THEIRS`` states. Raises BadConfiguration."""
        known = {name for required, optional in COLUMNS.values() for name in (*required, *optional)}
        found = {}
        for text in texts:
            ours, equals, theirs = text.partition("=")
            kind, dot, name = ours.rpartition(".")
            if not equals or not theirs or name not in known or (dot and kind not in COLUMNS):
                raise BadConfiguration(
                    "not a column", where="--column", expected="OURS=THEIRS, such as quantity=positionAmt", found=text,
                    hint=nearest(name, known) or "our columns are " + ", ".join(sorted(known)),
                )  # fmt: skip
            found[ours] = theirs
        return cls(found)

    def theirs(self, kind: str, ours: str) -> str:
        """Return the producer's name of our column."""
        return self.given.get(f"{kind}.{ours}", self.given.get(ours, ours))


def kind_of(names: Sequence[str], mapping: Names, *, where: str) -> str:
    """Return what a table with these columns holds: ``positions``, ``wallets``, … or ``fleet`` (lists per account).

    Raises BadAccount, with the nearest names, where it cannot be told.
    """
    present = set(names)

    def has(kind: str, *ours: str) -> bool:
        return all(mapping.theirs(kind, name) in present for name in ours)

    if {"positions", "account"} <= present:
        return "fleet"
    for kind, telling in (
        ("positions", ("symbol", "entry_price")),
        ("orders", ("symbol", "price")),
        ("tiers", ("asset", "floor", "ratio")),
        ("collateral", ("asset", "index")),
        ("collateral", ("asset", "ratio")),
        ("wallets", ("asset", "balance")),
        ("accounts", ("account", "position_mode")),
        ("accounts", ("account", "collateral_mode")),
        ("accounts", ("account", "spot_hedging")),
    ):
        if has(kind, *telling):
            return kind
    wanted = {name for required, _ in COLUMNS.values() for name in required}
    close = [hint for name in names if name not in wanted and (hint := nearest(name, wanted))]
    told = f"name them with --column OURS=THEIRS{'; ' + close[0] if close else ''}"
    if len(names) == 1 and any(mark in names[0] for mark in _PARTED):
        told = "fields are parted by commas: write the file anew with commas"
    elif any(not name.isprintable() or "\N{REPLACEMENT CHARACTER}" in name for name in names):
        told = "this is no text in UTF-8: save it as CSV in UTF-8, or give Parquet or Arrow"
        names = ["bytes that are no text"]
    raise BadAccount(
        "what the table holds cannot be told by its columns", where=where,
        expected="; ".join(f"{kind}: {', '.join(required)}" for kind, (required, _) in COLUMNS.items()),
        found=", ".join(names) or "no columns",
        hint=told,
    )  # fmt: skip


class Rows(NamedTuple):
    """Checked rows of one table. ``columns``: Arrow arrays of a list's fields; ``account`` beside them.

    ``row``: numbers of the rows in their file, from 1; ``file``: an index into the files that were read.
    ``marks``, ``volatility``: a positions table's mark prices and implied volatilities (null where none), else None.
    """

    kind: str
    account: Any
    columns: Mapping[str, Any]
    row: NDArray[np.int64]
    file: int
    exact: bool
    marks: Any = None
    volatility: Any = None


class TableReader:
    """Checks the batches of one table. ``place``: what a row, numbered from ``first``, is called in errors."""

    def __init__(
        self,
        names: Sequence[str],
        mapping: Names,
        *,
        where: str,
        file: int = 0,
        kind: str | None = None,
        place: Callable[[int], str] | None = None,
        first: int = 1,
    ) -> None:
        self.where, self.file, self.mapping = where, file, mapping
        self.place = place or (lambda row: f"{where}: row {row}")
        self.kind = kind or kind_of(names, mapping, where=where)
        required, optional = COLUMNS[self.kind]
        missing = [name for name in required if mapping.theirs(self.kind, name) not in names]
        if missing:
            theirs = mapping.theirs(self.kind, missing[0])
            close = nearest(theirs, names)
            hint = f"name it with --column {missing[0]}=THEIRS (in Python: columns={{{missing[0]!r}: THEIRS}})"
            hint += f"; {close}" if close else ""
            if theirs != missing[0]:
                hint = f"--column names {theirs}, which is not there{'; ' + close if close else ''}"
            raise BadAccount(
                f"{self.kind} without {' and '.join(missing)}", where=where, expected=", ".join(required),
                found=", ".join(names),
                hint=hint,
            )  # fmt: skip
        self.used = {name: theirs for name in (*required, *optional)
                     if (theirs := mapping.theirs(self.kind, name)) in names}  # fmt: skip
        self.unused = [name for name in names if name not in self.used.values()]
        self._next = first

    def notes(self) -> list[str]:
        """Return what is not used of the table, with what a column may have been meant for."""
        if not self.unused:
            return []
        left = [name for name in COLUMNS[self.kind][1] if name not in self.used]
        said = [f"{name} ({hint})" if (hint := nearest(name, left)) else name for name in self.unused]
        return [f"{self.where}: not used: {', '.join(said)}"]

    def read(self, batch: Any, faults: Faults) -> Rows:
        """Return a batch's rows, checked. What is wrong is noted in ``faults``, by row and column."""
        import numpy as np

        first, size = self._next, batch.num_rows
        self._next += size
        check = _Check(self, batch, first, faults)
        account = check.text("account")
        columns: dict[str, Any]
        told: dict[str, Any] = {}
        if self.kind == "positions":
            columns, told = check.positions()
        elif self.kind == "orders":
            columns = check.orders()
        elif self.kind == "accounts":
            columns = {name: check.word(name) for name in ("position_mode", "collateral_mode")}
            columns["spot_hedging"] = check.flag("spot_hedging")
        elif self.kind == "wallets":
            columns = {"asset": check.text("asset"), **{name: check.number(name) for name in ("balance", "loan")}}
        else:
            columns = check.collateral() if self.kind == "collateral" else check.tiers()
        rows = np.arange(first, first + size, dtype=np.int64)
        return Rows(self.kind, account, columns, rows, self.file, check.exact, **told)


class _Check:
    """One batch of a table being checked."""

    def __init__(self, reader: TableReader, batch: Any, first: int, faults: Faults) -> None:
        self.reader, self.batch, self.first, self.faults = reader, batch, first, faults
        self.exact = True
        self.size = batch.num_rows

    def place(self, index: int, ours: str) -> str:
        return f"{self.reader.place(self.first + index)}, column {self.reader.used.get(ours, ours)}"

    def column(self, ours: str) -> Any | None:
        pa = pyarrow()
        theirs = self.reader.used.get(ours)
        if theirs is None:
            return None
        found = self.batch.column(self.batch.schema.get_field_index(theirs))
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def wrong_where(
        self, ours: str, values: Any, test: Any, message: str, expected: str, hint: Sequence[str] = ()
    ) -> None:
        """Note a fault for every row of which ``test(compute, values)`` is true. ``hint``: words that may be meant."""
        pa = pyarrow()
        mask = pa.compute.fill_null(test(pa.compute, values), fill_value=False)
        if pa.compute.any(mask).as_py():
            for index in mask.to_numpy(zero_copy_only=False).nonzero()[0].tolist():
                value = values[index].as_py()
                close = nearest(value, hint) if hint and isinstance(value, str) else None
                self.faults.add(message, where=self.place(index, ours), expected=expected, found=shown(value),
                                hint=close or f"correct {self.reader.used.get(ours, ours)} in that row")  # fmt: skip

    def text(self, ours: str, *, lower: bool = False, null: bool = False) -> Any:
        """Return a column of names; one that is missing is a fault unless ``null``."""
        pa = pyarrow()
        column = self.column(ours)
        if column is None:
            return pa.nulls(self.size, pa.string())
        try:
            if pa.types.is_dictionary(column.type):  # Polars' words are views, which cannot be looked up in
                words = column.dictionary.cast(pa.string())
                column = pa.DictionaryArray.from_arrays(column.indices, words).dictionary_decode()
            column = column.cast(pa.string())
        except pa.ArrowException:
            raise BadAccount(f"{ours} is no text", where=f"{self.reader.where}: column {self.reader.used[ours]}",
                             expected="text", found=str(column.type)) from None  # fmt: skip
        if lower:
            column = pa.compute.utf8_lower(column)
        if not null:
            self.wrong_where(ours, column, lambda pc, v: pc.fill_null(pc.equal(pc.utf8_length(v), 0), fill_value=True),
                             f"{ours} is missing", "a name")  # fmt: skip
        return column

    def word(self, ours: str, allowed: tuple[str, ...] | None = None, *, null: bool = True) -> Any:
        """Return a column of one of some words, in lower case."""
        pa = pyarrow()
        words = _WORDS[ours] if allowed is None else allowed
        column = self.text(ours, lower=True, null=True)
        empty = pa.compute.equal(column, "")
        column = pa.compute.if_else(empty, pa.scalar(None, pa.string()), column)
        known = pa.array([*words, None] if null else list(words), pa.string())
        self.wrong_where(ours, column, lambda pc, v: pc.invert(pc.is_in(v, known)), f"{ours} is not known",
                         " or ".join(words), words)  # fmt: skip
        return column

    def number(self, ours: str, *, null: bool | None = None) -> Any:
        """Return a column of amounts, held to what that figure can be."""
        pa = pyarrow()
        column = self.column(ours)
        if column is None:
            return pa.nulls(self.size, field_type(ours))
        found = amounts(column)
        self.exact = self.exact and found.exact
        nullable = ours in _NULLABLE if null is None else null
        left = "; leave it empty where nothing is known" if nullable else ""
        for wrong in found.wrong:
            self.faults.add(wrong.message, where=self.place(wrong.at, ours), expected=wrong.expected, found=wrong.found,
                            hint=f"correct {self.reader.used.get(ours, ours)} in that row{left}")  # fmt: skip
        noted = {wrong.at for wrong in found.wrong}
        if not nullable and found.values.null_count > len(noted):
            self.wrong_where(ours, found.values, lambda pc, v: _nulls_but(pc.is_null(v), noted), f"{ours} is missing",
                             "a number")  # fmt: skip
        if ours in _POSITIVE:
            self.wrong_where(ours, found.values, lambda pc, v: pc.less_equal(v, 0), f"{ours} is not above 0",
                             "a positive number")  # fmt: skip
        elif ours in _NOT_NEGATIVE:
            self.wrong_where(ours, found.values, lambda pc, v: pc.less(v, 0), f"{ours} is negative", "0 or more")
        return found.values

    def quantity(self) -> Any:
        """Return signed quantities: as they are, or with the sign of a ``side``."""
        pa = pyarrow()
        pc = pa.compute
        quantity = self.number("quantity")
        self.wrong_where("quantity", quantity, lambda pc, v: pc.equal(v, 0), "quantity is 0",
                         "a number that is not 0; leave the row out when nothing is held")  # fmt: skip
        if "side" not in self.reader.used:
            return quantity
        side = self.word("side", _LONG + _SHORT, null=False)
        short = pc.fill_null(pc.is_in(side, pa.array(_SHORT)), fill_value=False)
        clash = pc.and_(pc.less(quantity, 0), pc.invert(short))
        self.wrong_where("quantity", quantity, lambda _pc, _v: clash, "negative, with the side long or buy",
                         "a quantity without sign beside a side")  # fmt: skip
        size = pc.abs(quantity)
        return pc.if_else(short, pc.negate(size), size).cast(quantity.type)

    def collateral(self) -> dict[str, Any]:
        """Return how assets count: shares and buffers between 0 and 1, and what an index moves with."""
        numbers = {name: self.number(name) for name in ("index", "ratio", "bid_buffer", "ask_buffer")}
        self._share("ratio", numbers["ratio"], "a collateral ratio above 1", "95 % is written 0.95")
        self._share("bid_buffer", numbers["bid_buffer"], "a bid buffer above 1", "2 % is written 0.02")
        words = {"tier_unit": self.word("tier_unit"), "moves_with": self._or_null(self.text("moves_with", null=True))}
        return {"asset": self.text("asset"), **numbers, **words}

    def tiers(self) -> dict[str, Any]:
        """Return discount tiers, each by itself; that they follow one another is checked account by account."""
        ratio = self.number("ratio", null=False)
        self._share("ratio", ratio, "a collateral ratio above 1", "95 % is written 0.95")
        floor, cap = self.number("floor"), self.number("cap")
        ends = pyarrow().compute.less_equal(cap, floor)
        self.wrong_where("cap", cap, lambda _pc, _v: ends, "a tier that ends before it starts",
                         "a cap above its floor; nothing for the last tier")  # fmt: skip
        return {"asset": self.text("asset"), "floor": floor, "cap": cap, "ratio": ratio}

    def _share(self, ours: str, values: Any, message: str, how: str) -> None:
        self.wrong_where(ours, values, lambda pc, v: pc.greater(v, 1), message, f"between 0 and 1; {how}")

    def _or_null(self, column: Any) -> Any:
        pa = pyarrow()
        return pa.compute.if_else(pa.compute.equal(column, ""), pa.scalar(None, pa.string()), column)

    def flag(self, ours: str) -> Any:
        """Return a column of yes and no."""
        pa = pyarrow()
        column = self.column(ours)
        if column is None:
            return pa.nulls(self.size, pa.bool_())
        if pa.types.is_boolean(column.type):
            return column
        if not pa.types.is_null(column.type):
            words = self.word(ours, ("true", "false", "1", "0"))
            known = pa.compute.is_in(words, pa.array(["true", "1"]))
            return pa.compute.if_else(pa.compute.is_null(words), pa.scalar(None, pa.bool_()), known)
        return pa.nulls(self.size, pa.bool_())

    def positions(self) -> tuple[dict[str, Any], dict[str, Any]]:
        pa = pyarrow()
        pc = pa.compute
        symbol, quantity = self.text("symbol"), self.quantity()
        entry, leverage = self.number("entry_price"), self.number("leverage")
        margin = self.number("isolated_margin")
        if "margin_mode" in self.reader.used:
            mode = self.word("margin_mode")
            isolated = pc.fill_null(pc.equal(mode, "isolated"), fill_value=False)
            bare = pc.and_(isolated, pc.is_null(margin))
            self.wrong_where("isolated_margin", margin, lambda _pc, _v: bare, "an isolated position without margin",
                             "the position's own wallet, without unrealised PnL")  # fmt: skip
            shared = pc.fill_null(pc.equal(mode, "cross"), fill_value=False)
            owned = pc.and_(shared, pc.fill_null(pc.not_equal(margin, 0), fill_value=False))
            self.wrong_where("isolated_margin", margin, lambda _pc, _v: owned, "a cross position with its own margin",
                             "nothing, or margin_mode isolated")  # fmt: skip
            margin = pc.if_else(shared, pa.scalar(None, margin.type), margin)
        columns = {"symbol": symbol, "quantity": quantity, "entry_price": entry, "isolated_margin": margin,
                   "leverage": leverage}  # fmt: skip
        told = {"marks": "mark_price", "volatility": "implied_volatility"}
        return columns, {name: self.number(ours) for name, ours in told.items() if ours in self.reader.used}

    def orders(self) -> dict[str, Any]:
        return {
            "symbol": self.text("symbol"),
            "quantity": self.quantity(),
            "price": self.number("price"),
            "leverage": self.number("leverage"),
            "reference_price": self.number("reference_price"),
            "reduce_only": self.flag("reduce_only"),
            "position_side": self.word("position_side"),
        }


def shown(value: object) -> str:
    """Return a value of a column as errors show it."""
    return "nothing" if value is None else plain(value) if isinstance(value, Decimal) else repr(value)


def _nulls_but(mask: Any, noted: set[int]) -> Any:
    """Return a mask of nulls without the rows of which something else has been said."""
    if not noted:
        return mask
    found = mask.to_numpy(zero_copy_only=False).copy()
    found[list(noted)] = False
    return pyarrow().array(found)


__all__ = ["COLUMNS", "LIST_OF", "Names", "Rows", "TableReader", "kind_of", "shown"]
