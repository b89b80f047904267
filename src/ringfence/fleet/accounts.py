"""Between rows of a fleet and accounts: one account in the exact lane's own values, and such accounts as rows."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from ringfence.account import (
    Account,
    Collateral,
    CollateralMode,
    MarginMode,
    OpenOrder,
    Position,
    PositionMode,
    RiskInputs,
    Slice,
)
from ringfence.account_file import AccountFile
from ringfence.contract import coin
from ringfence.fleet.indices import indices_of
from ringfence.fleet.numbers_in import amounts
from ringfence.fleet.schema import LISTS, SCALARS, arrow_schema, canonical, field_type, pyarrow
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from ringfence.fleet.schema import Terms
    from ringfence.numbers import Price


STAYS = "none"  #: of ``moves_with``: an index that moves with nothing


def account_of(row: Mapping[str, Any], terms: Terms | None = None) -> Account:
    """Return the account of a row of a fleet, given as Python values.

    ``terms``: what the fleet says of all accounts, which portfolio margin needs.
    """
    slices = slices_of(row)
    entries = row["collateral"] or ()
    mode = CollateralMode(row["collateral_mode"] or "single_asset")
    return Account(
        positions=tuple(_position(entry) for entry in row["positions"] or ()),
        orders=tuple(_order(entry) for entry in row["orders"] or ()),
        wallet={entry["asset"]: canonical(entry["balance"]) for entry in row["wallet"] or ()},
        collateral={
            entry["asset"]: collateral_of(entry, slices.get(entry["asset"], ()))
            for entry in entries
            if own_terms(entry, slices)
        },
        position_mode=PositionMode(row["position_mode"] or "one_way"),
        collateral_mode=mode,
        index_prices={entry["asset"]: _known(entry["index"]) for entry in entries if not own_terms(entry, slices)},
        risk=_risk(row, terms) if mode is CollateralMode.PORTFOLIO and terms is not None else None,
    )


def slices_of(row: Mapping[str, Any]) -> dict[str, tuple[Slice, ...]]:
    """Return the discount tiers of an account's own by asset."""
    found: dict[str, tuple[Slice, ...]] = {}
    for entry in row.get("tiers") or ():
        one = Slice(canonical(entry["floor"]) or ZERO, canonical(entry["cap"]), _known(entry["ratio"]))
        found[entry["asset"]] = (*found.get(entry["asset"], ()), one)
    return found


def _risk(row: Mapping[str, Any], terms: Terms) -> RiskInputs:
    loans = ((entry["asset"], canonical(entry.get("loan"))) for entry in row["wallet"] or ())
    return RiskInputs(
        terms.moment, terms.index, terms.volatility, terms.rates,
        {asset: owed for asset, owed in loans if owed is not None}, row.get("spot_hedging"), terms.standing,
    )  # fmt: skip


def account_file_of(row: Mapping[str, Any], terms: Terms, marks: Mapping[str, Price], *, where: str) -> AccountFile:
    """Return the account of a row as an account file would give it, at ``marks``.

    As in an account file, the entry price stands in for a mark that is not there, and is said to.
    """
    account = account_of(row, terms)
    if terms.reference:
        account = _at_other_marks(account, terms, marks)
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


def _at_other_marks(account: Account, terms: Terms, marks: Mapping[str, Price]) -> Account:
    if account.collateral_mode is CollateralMode.SINGLE_ASSET:
        return account
    units: frozenset[str] = frozenset()
    if account.collateral_mode is CollateralMode.PORTFOLIO:
        rulebook = terms.rulebook()
        units = frozenset(rulebook.contract(position.symbol).risk_unit for position in account.positions)
    return indices_of(terms).account_at(account, marks, units=units)


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


def own_terms(entry: Mapping[str, Any], slices: Mapping[str, object]) -> bool:
    """Whether an asset has terms of its own, as in an account file; else the venue's hold at its index price."""
    stated = ("ratio", "bid_buffer", "ask_buffer", "tier_unit", "moves_with")
    return any(entry.get(name) is not None for name in stated) or entry["index"] is None or entry["asset"] in slices


def collateral_of(entry: Mapping[str, Any], slices: tuple[Slice, ...]) -> Collateral:
    """Return an account's own terms of an asset."""
    given = {name: canonical(entry[name]) for name in ("index", "ratio", "bid_buffer", "ask_buffer")}
    told = entry.get("moves_with")
    ratio = slices[0].ratio if slices else given["ratio"]
    return Collateral(
        ONE if given["index"] is None else given["index"],
        ONE if ratio is None else ratio,
        given["bid_buffer"] or ZERO,
        given["ask_buffer"] or ZERO,
        slices,
        entry.get("tier_unit") or "base",
        Collateral.follows(entry["asset"]) if told is None else None if told == STAYS else coin(told),
    )


def batch_of(accounts: Iterable[tuple[str, Account]]) -> tuple[Any, list[tuple[int, str]]]:
    """Return named accounts as a record batch of a fleet, and what of them cannot be kept to the digit.

    That is told by the account's number, from 0, and in words.
    """
    pa = pyarrow()
    names: list[str] = []
    scalars: dict[str, list[Any]] = {name: [] for name in SCALARS[1:]}
    offsets: dict[str, list[int]] = {name: [0] for name in LISTS}
    entries: dict[str, dict[str, list[Any]]] = {name: {column: [] for column in LISTS[name]} for name in LISTS}
    lost: list[tuple[int, str]] = []
    for name, account in accounts:
        names.append(name)
        scalars["position_mode"].append(account.position_mode.value)
        scalars["collateral_mode"].append(account.collateral_mode.value)
        portfolio = account.collateral_mode is CollateralMode.PORTFOLIO
        scalars["spot_hedging"].append(account.risk.spot_hedging if portfolio and account.risk is not None else None)
        for kind, rows in _entries(account).items():
            for row in rows:
                for column, value in zip(LISTS[kind], row, strict=True):
                    entries[kind][column].append(value)
            offsets[kind].append(offsets[kind][-1] + len(rows))
    schema = arrow_schema()
    arrays = [pa.array(names, pa.string()), *(pa.array(scalars[name], field_type(name)) for name in scalars)]
    for kind in LISTS:
        entry = schema.field(kind).type.value_type
        children = []
        for field in entry:
            values, wrong = _column(entries[kind][field.name], field)
            children.append(values)
            lost += [(bisect_right(offsets[kind], at) - 1, f"{kind}.{field.name}: {said}") for at, said in wrong]
        arrays.append(pa.ListArray.from_arrays(
            pa.array(offsets[kind], pa.int32()), pa.StructArray.from_arrays(children, fields=list(entry)),
            type=pa.list_(entry),
        ))  # fmt: skip
    return pa.record_batch(arrays, schema=schema), lost


def _column(values: list[Any], field: Any) -> tuple[Any, list[tuple[int, str]]]:
    """Return an Arrow array, and of which values it cannot keep every digit."""
    pa = pyarrow()
    if not pa.types.is_decimal(field.type):
        return pa.array(values, field.type), []
    found = amounts(pa.array([None if value is None else format(value, "f") for value in values], pa.string()))
    return found.values, [(wrong.at, f"{wrong.message}, {wrong.found}") for wrong in found.wrong]


def _entries(account: Account) -> dict[str, Sequence[Sequence[Any]]]:
    loans: Mapping[str, Decimal] = {}
    if account.risk is not None and account.collateral_mode is CollateralMode.PORTFOLIO:
        loans = account.risk.loans
    wallet = {**dict.fromkeys(loans, ZERO), **account.wallet}
    return {
        "wallet": [(asset, balance, loans.get(asset)) for asset, balance in wallet.items()],
        "collateral": [
            *(
                (
                    asset,
                    t.index,
                    None if t.slices else t.ratio,
                    t.bid_buffer,
                    t.ask_buffer,
                    t.unit if t.slices else None,
                    None if t.moves_with == Collateral.follows(asset) else t.moves_with or STAYS,
                )
                for asset, t in account.collateral.items()
            ),
            *((asset, index, *[None] * 5) for asset, index in account.index_prices.items()),
        ],
        "tiers": [(asset, *part) for asset, t in account.collateral.items() for part in t.slices],
        "positions": [(p.symbol, p.quantity, p.entry_price, p.isolated_margin, p.leverage) for p in account.positions],
        "orders": [
            (o.symbol, o.quantity, o.price, o.leverage, o.reference_price, o.reduce_only, o.position_side)
            for o in account.orders
        ],
    }


__all__ = ["STAYS", "account_file_of", "account_of", "batch_of", "collateral_of", "own_terms", "slices_of"]
