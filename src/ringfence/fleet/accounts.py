"""Between rows of a fleet and accounts: one account in the exact lane's own values, and such accounts as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.account import Account, Collateral, CollateralMode, MarginMode, OpenOrder, Position, PositionMode
from ringfence.account_file import AccountFile
from ringfence.fleet.numbers_in import amounts
from ringfence.fleet.schema import LISTS, arrow_schema, canonical, pyarrow
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from ringfence.fleet.schema import Terms
    from ringfence.numbers import Price


def account_of(row: Mapping[str, Any]) -> Account:
    """Return the account of a row of a fleet, given as Python values."""
    return Account(
        positions=tuple(_position(entry) for entry in row["positions"] or ()),
        orders=tuple(_order(entry) for entry in row["orders"] or ()),
        wallet={entry["asset"]: canonical(entry["balance"]) for entry in row["wallet"] or ()},
        collateral={entry["asset"]: _collateral(entry) for entry in row["collateral"] or () if _own_terms(entry)},
        position_mode=PositionMode(row["position_mode"] or "one_way"),
        collateral_mode=CollateralMode(row["collateral_mode"] or "single_asset"),
        index_prices={
            entry["asset"]: _known(entry["index"]) for entry in row["collateral"] or () if not _own_terms(entry)
        },
    )


def account_file_of(row: Mapping[str, Any], terms: Terms, marks: Mapping[str, Price], *, where: str) -> AccountFile:
    """Return the account of a row as an account file would give it, at ``marks``.

    As in an account file, the entry price stands in for a mark that is not there, and is said to.
    """
    account = account_of(row)
    own: dict[str, Price] = {}
    assumed: list[str] = []
    for position in account.positions:
        mark = marks.get(position.symbol)
        if mark is None and position.symbol not in own:
            assumed.append(position.symbol)
        own.setdefault(position.symbol, position.entry_price if mark is None else mark)
    for order in account.orders:
        mark = order.reference_price if order.reference_price is not None else marks.get(order.symbol)
        if mark is not None:
            own.setdefault(order.symbol, mark)
    return AccountFile(
        terms.rulebook_name,
        terms.as_of,
        account,
        own,
        tuple(assumed),
        terms.contracts,
        terms.policy,
        where,
        terms.fees,
    )


def _known(value: Decimal | None) -> Decimal:
    found = canonical(value)
    assert found is not None  # noqa: S101 - the schema's checks have asked
    return found


def _position(entry: Mapping[str, Any]) -> Position:
    margin = canonical(entry["isolated_margin"])
    return Position(
        entry["symbol"],
        _known(entry["quantity"]),
        _known(entry["entry_price"]),
        MarginMode.CROSS if margin is None else MarginMode.ISOLATED,
        margin,
        canonical(entry["leverage"]),
    )


def _order(entry: Mapping[str, Any]) -> OpenOrder:
    return OpenOrder(
        entry["symbol"],
        _known(entry["quantity"]),
        _known(entry["price"]),
        canonical(entry["leverage"]),
        canonical(entry["reference_price"]),
        bool(entry["reduce_only"]),
        entry["position_side"],
    )


def _own_terms(entry: Mapping[str, Any]) -> bool:
    """Whether an asset has terms of its own, as in an account file; else the venue's hold at its index price."""
    return any(entry[name] is not None for name in ("ratio", "bid_buffer", "ask_buffer")) or entry["index"] is None


def _collateral(entry: Mapping[str, Any]) -> Collateral:
    given = {name: canonical(entry[name]) for name in ("index", "ratio", "bid_buffer", "ask_buffer")}
    return Collateral(
        ONE if given["index"] is None else given["index"],
        ONE if given["ratio"] is None else given["ratio"],
        given["bid_buffer"] or ZERO,
        given["ask_buffer"] or ZERO,
        moves_with=Collateral.follows(entry["asset"]),
    )


def batch_of(accounts: Iterable[tuple[str, Account]]) -> tuple[Any, list[str]]:
    """Return named accounts as a record batch of a fleet, and what of them cannot be kept to the digit, in words."""
    pa = pyarrow()
    names: list[str] = []
    scalars: dict[str, list[str]] = {"position_mode": [], "collateral_mode": []}
    offsets: dict[str, list[int]] = {name: [0] for name in LISTS}
    entries: dict[str, dict[str, list[Any]]] = {name: {column: [] for column in LISTS[name]} for name in LISTS}
    lost: list[str] = []
    for name, account in accounts:
        names.append(name)
        lost += [
            f"{name}, collateral {asset}: its terms have tiers, or follow another coin than its own"
            for asset, terms in account.collateral.items()
            if terms.slices or terms.moves_with != Collateral.follows(asset)
        ]
        scalars["position_mode"].append(account.position_mode.value)
        scalars["collateral_mode"].append(account.collateral_mode.value)
        for kind, rows in _entries(account).items():
            for row in rows:
                for column, value in zip(LISTS[kind], row, strict=True):
                    entries[kind][column].append(value)
            offsets[kind].append(offsets[kind][-1] + len(rows))
    schema = arrow_schema()
    arrays = [pa.array(names, pa.string()), *(pa.array(scalars[name], pa.string()) for name in scalars)]
    for kind in LISTS:
        entry = schema.field(kind).type.value_type
        children = [_column(entries[kind][field.name], field, f"{kind}.{field.name}", lost) for field in entry]
        arrays.append(pa.ListArray.from_arrays(
            pa.array(offsets[kind], pa.int32()), pa.StructArray.from_arrays(children, fields=list(entry)),
            type=pa.list_(entry),
        ))  # fmt: skip
    return pa.record_batch(arrays, schema=schema), lost


def _column(values: list[Any], field: Any, name: str, lost: list[str]) -> Any:
    pa = pyarrow()
    if not pa.types.is_decimal(field.type):
        return pa.array(values, field.type)
    found = amounts(pa.array([None if value is None else format(value, "f") for value in values], pa.string()))
    lost += [f"{name}: {wrong.message}, {wrong.found}" for wrong in found.wrong]
    return found.values


def _entries(account: Account) -> dict[str, Sequence[Sequence[Any]]]:
    return {
        "wallet": list(account.wallet.items()),
        "collateral": [
            *((asset, t.index, t.ratio, t.bid_buffer, t.ask_buffer) for asset, t in account.collateral.items()),
            *((asset, index, None, None, None) for asset, index in account.index_prices.items()),
        ],
        "positions": [(p.symbol, p.quantity, p.entry_price, p.isolated_margin, p.leverage) for p in account.positions],
        "orders": [
            (o.symbol, o.quantity, o.price, o.leverage, o.reference_price, o.reduce_only, o.position_side)
            for o in account.orders
        ],
    }


__all__ = ["account_file_of", "account_of", "batch_of"]
