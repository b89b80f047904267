"""What a fleet's file holds: one row per account, its wallet, positions and orders as lists, and the terms they share.

A file is Parquet (or an Arrow table in memory) of :func:`arrow_schema`. The rulebook, its day, marks and what else
holds for all accounts stand as JSON in the schema's metadata under :data:`KEY` (:class:`Terms`). Amounts are
``decimal128(38, 18)``: 20 digits before the point, 18 behind it. docs/reference/fleet.md describes every column.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.account_file import read_contract, read_price
from ringfence.errors import BadAccount, BadConfiguration, BadRulebook
from ringfence.fees import AccountFees
from ringfence.margin.portfolio.marks import INDEX
from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from ringfence.numbers import Price
    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence.fleet/1"
KEY = b"ringfence.fleet"
UNIT = 32_768  #: accounts of a row group
DIGITS, PLACES = 38, 18  #: of every amount

SYMBOLS = "positions.list.element.symbol"  #: where a file has the symbols of positions

LISTS: Mapping[str, tuple[str, ...]] = {
    "wallet": ("asset", "balance", "loan"),
    "collateral": ("asset", "index", "ratio", "bid_buffer", "ask_buffer", "tier_unit", "moves_with"),
    "tiers": ("asset", "floor", "cap", "ratio"),
    "positions": ("symbol", "quantity", "entry_price", "isolated_margin", "leverage"),
    "orders": ("symbol", "quantity", "price", "leverage", "reference_price", "reduce_only", "position_side"),
}
"""The lists of an account, by name, with the fields of their entries."""

SCALARS = ("account", "position_mode", "collateral_mode", "spot_hedging")
_TEXTS = {"account", "position_mode", "collateral_mode", "asset", "symbol", "position_side", "tier_unit", "moves_with"}
_FLAGS = {"reduce_only", "spot_hedging"}
_LATER = {"tiers", "spot_hedging"}  # columns that a file of an earlier release may lack


def pyarrow() -> ModuleType:
    """Return pyarrow with its compute and Parquet modules. Raises BadConfiguration without the extra ``fleet``."""
    try:
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        raise BadConfiguration(
            "a fleet needs pyarrow, which is not installed", where="fleet", expected="the extra fleet",
            found="no module pyarrow", hint="install it with: pip install 'ringfence[fleet]'",
        ) from None  # fmt: skip
    found: ModuleType = pa
    return found


def amount_type() -> Any:
    """Return the Arrow type of every amount."""
    return pyarrow().decimal128(DIGITS, PLACES)


def field_type(name: str) -> Any:
    """Return the Arrow type of an entry's field."""
    pa = pyarrow()
    if name in _TEXTS:
        return pa.string()
    return pa.bool_() if name in _FLAGS else amount_type()


def entry_type(name: str) -> Any:
    """Return the Arrow type of an entry of the list ``name``."""
    pa = pyarrow()
    return pa.struct([pa.field(column, field_type(column)) for column in LISTS[name]])


def empty_lists(name: str, count: int) -> Any:
    """Return the list ``name`` of accounts that have nothing in it."""
    pa = pyarrow()
    offsets = pa.array([0], pa.int32()).take(pa.nulls(count + 1, pa.int32()).fill_null(0))
    entry = entry_type(name)
    nothing = pa.array([], entry)
    return pa.ListArray.from_arrays(offsets, nothing, type=pa.list_(entry))


def arrow_schema(terms: Terms | None = None) -> Any:
    """Return the Arrow schema of a fleet, with its terms in the metadata where they are given."""
    pa = pyarrow()
    fields = [pa.field(name, field_type(name), nullable=name != "account") for name in SCALARS]
    fields += [pa.field(name, pa.list_(entry_type(name))) for name in LISTS]
    return pa.schema(fields, metadata=None if terms is None else {KEY: terms.to_json().encode()})


def _coded(field: Any) -> Any:
    """Return the positions' field with symbols that are numbers of a dictionary."""
    pa = pyarrow()
    kinds = [pa.field("symbol", pa.dictionary(pa.int32(), pa.string())) if entry.name == "symbol" else entry
             for entry in field.type.value_type]  # fmt: skip
    return pa.field(field.name, pa.list_(pa.struct(kinds)))


def _is_coded(batch: Any) -> bool:
    """Whether the symbols of positions are numbers of a dictionary."""
    if "positions" not in batch.schema.names:
        return False
    entry = batch.schema.field("positions").type.value_type
    return bool(pyarrow().types.is_dictionary(entry.field("symbol").type))


def fitted(batch: Any, *, coded: bool = False) -> Any:
    """Return some columns of a fleet in this release's form: what an earlier one lacked holds nothing.

    ``coded``: symbols of positions stay numbers of a dictionary where they are.
    """
    pa = pyarrow()
    wanted = [arrow_schema().field(name) for name in batch.schema.names]
    if coded and _is_coded(batch):
        wanted = [_coded(own) if own.name == "positions" else own for own in wanted]
    if all(batch.schema.field(own.name).type == own.type for own in wanted):
        return batch
    columns = []
    for own in wanted:
        column = batch.column(own.name)
        if column.type != own.type:
            entries = column.flatten()
            have = {entry.name: at for at, entry in enumerate(entries.type)}
            parts = entries.flatten()
            children = [
                parts[have[entry.name]].cast(entry.type) if entry.name in have else pa.nulls(len(entries), entry.type)
                for entry in own.type.value_type
            ]
            starts = column.offsets.to_numpy()
            column = pa.ListArray.from_arrays(
                pa.array(starts - starts[0], pa.int32()),
                pa.StructArray.from_arrays(children, fields=list(own.type.value_type)), type=own.type,
            )  # fmt: skip
        columns.append(column)
    return pa.record_batch(columns, schema=pa.schema(wanted, metadata=batch.schema.metadata))


def lacking(name: str, count: int) -> Any:
    """Return what a column that a file lacks holds for ``count`` accounts: nothing."""
    return empty_lists(name, count) if name in LISTS else pyarrow().nulls(count, field_type(name))


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every account of a fleet.

    ``marks``: prices the fleet was built with. ``policy``, ``contracts`` and ``fees`` as in an account file. ``exact``:
    whether no amount came from a binary float. ``notes``: what was assumed when it was built.
    ``symbols``: those of all positions, in alphabetical order; empty where it was not written down.

    Of portfolio margin (:class:`ringfence.account.RiskInputs`): ``time`` of the marks, ``index`` prices and ``rates``
    by coin, ``volatility`` by option. ``reference``: the marks that index prices belong to where others are looked at
    (:attr:`standing`).
    """

    rulebook_name: str
    as_of: date | None = None
    marks: Mapping[str, Price] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    contracts: Mapping[str, Any] = field(default_factory=dict)
    fees: AccountFees | None = None
    exact: bool = True
    notes: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    time: datetime | None = None
    index: Mapping[str, Price] = field(default_factory=dict)
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    volatility: Mapping[str, Decimal] = field(default_factory=dict)
    reference: Mapping[str, Price] = field(default_factory=dict)

    @property
    def standing(self) -> Mapping[str, Price]:
        """The marks that all index prices belong to: when a mark differs, what moves with it has moved."""
        return self.reference or self.marks

    @property
    def moment(self) -> datetime | None:
        """The time of the marks; without one the start of the day, as in an account file."""
        if self.time is not None or self.as_of is None:
            return self.time
        return datetime.combine(self.as_of, datetime.min.time(), tzinfo=UTC)

    def at(self, marks: Mapping[str, Price]) -> Terms:
        """Return the terms at other marks, over their own; ``index:COIN`` sets a coin's index price."""
        given = {name.removeprefix(INDEX): price for name, price in marks.items() if name.startswith(INDEX)}
        moved = {name: price for name, price in marks.items() if not name.startswith(INDEX)}
        return replace(
            self, marks={**self.marks, **moved}, index={**self.index, **given}, reference=self.reference or self.marks
        )

    def rulebook(self) -> Rulebook:
        """Return the rulebook of the fleet. Raises BadRulebook or BadAccount, as for an account file."""
        try:
            changed = rulebooks.load(self.rulebook_name, self.as_of)
            changed = changed.with_policies(self.policy).with_fees(self.fees)
        except BadRulebook as error:
            raise error.located("fleet") from None
        progressive = changed.cross.tier_type == "progressive"
        return changed.with_tables({
            symbol: read_contract(symbol, given, f"fleet: contracts.{symbol}", progressive=progressive)
            for symbol, given in self.contracts.items()
        })  # fmt: skip

    def to_json(self) -> str:
        """Return the terms as the JSON that stands in a file's metadata."""
        return json.dumps({
            "schema": SCHEMA,
            "rulebook": self.rulebook_name,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "marks": {symbol: plain(price) for symbol, price in self.marks.items()},
            "policy": dict(self.policy),
            "contracts": dict(self.contracts),
            "fees": None if self.fees is None else _fees_to_json(self.fees),
            "exact": self.exact,
            "notes": list(self.notes),
            "symbols": list(self.symbols),
            **{name: told for name in ("index", "rates", "volatility", "reference")
               if (told := {key: plain(number) for key, number in getattr(self, name).items()})},
            **({} if self.time is None else {"time": self.time.isoformat()}),
        }, ensure_ascii=False)  # fmt: skip


def schema_of_file(path: Path) -> Any:
    """Return the Arrow schema of a Parquet file with all of the file's own metadata. Raises ArrowException, OSError."""
    found = pyarrow().parquet.read_metadata(path)
    return found.schema.to_arrow_schema().with_metadata(found.metadata or {})


def terms_of(schema: Any, *, where: str) -> Terms:
    """Return the terms that an Arrow schema carries. Raises BadAccount where it is no fleet's, or a later version's."""
    raw = (schema.metadata or {}).get(KEY)
    if raw is None:
        raise BadAccount(
            "not a fleet", where=where, expected=f"a Parquet file with {KEY.decode()} in its metadata",
            found="columns " + ", ".join(schema.names[:6]),
            hint="make one of any tables with `ringfence fleet build SOURCE --rulebook NAME --out FLEET`",
        )  # fmt: skip
    try:
        given = json.loads(raw)
        version = given["schema"]
    except (ValueError, TypeError, KeyError):
        version = None
    if version != SCHEMA:
        raise BadAccount(
            "another kind of fleet", where=f"{where}: metadata {KEY.decode()}", expected=SCHEMA, found=str(version),
            hint="build it again with this version, or update ringfence",
        )  # fmt: skip
    missing = [name for name in arrow_schema().names if name not in schema.names and name not in _LATER]
    if missing:
        raise BadAccount("a column is missing", where=where, expected=", ".join(arrow_schema().names),
                         found=", ".join(schema.names), hint="build it again")  # fmt: skip
    return Terms(
        given["rulebook"],
        date.fromisoformat(given["as_of"]) if given.get("as_of") else None,
        {symbol: read_price(price, f"{where}: marks.{symbol}") for symbol, price in (given.get("marks") or {}).items()},
        given.get("policy") or {},
        given.get("contracts") or {},
        _fees_of_json(given.get("fees")),
        bool(given.get("exact", True)),
        tuple(given.get("notes") or ()),
        tuple(given.get("symbols") or ()),
        datetime.fromisoformat(given["time"]) if given.get("time") else None,
        *({key: Decimal(number) for key, number in (given.get(name) or {}).items()}
          for name in ("index", "rates", "volatility", "reference")),
    )  # fmt: skip


def _fees_to_json(fees: AccountFees) -> dict[str, Any]:
    rates = {"maker": fees.maker, "taker": fees.taker}
    return {"level": fees.level, "discounts": list(fees.discounts),
            **{name: None if rate is None else plain(rate) for name, rate in rates.items()}}  # fmt: skip


def _fees_of_json(given: Mapping[str, Any] | None) -> AccountFees | None:
    if given is None:
        return None
    rates = [None if given.get(name) is None else Decimal(given[name]) for name in ("maker", "taker")]
    return AccountFees(given.get("level"), tuple(given.get("discounts") or ()), *rates)


def canonical(value: Decimal | None) -> Decimal | None:
    """Return an amount of a column without the zeros that fill its 18 places up: as a person would write it."""
    return None if value is None else Decimal(plain(value))


__all__ = [
    "DIGITS",
    "KEY",
    "LISTS",
    "PLACES",
    "SCALARS",
    "SCHEMA",
    "SYMBOLS",
    "UNIT",
    "Terms",
    "amount_type",
    "arrow_schema",
    "canonical",
    "empty_lists",
    "entry_type",
    "field_type",
    "fitted",
    "lacking",
    "pyarrow",
    "schema_of_file",
    "terms_of",
]
