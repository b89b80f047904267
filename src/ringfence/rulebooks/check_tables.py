"""What is wrong with the tables of one dated folder: columns, numbers, order, ladders and their deductions."""

from __future__ import annotations

import csv
from decimal import Decimal
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from ringfence import rulebooks
from ringfence.contract import ContractKind
from ringfence.numbers import ONE, ZERO, exact, plain
from ringfence.rulebooks.check_delivery import delivery_faults
from ringfence.rulebooks.check_fees import level_faults, term_faults
from ringfence.rulebooks.check_portfolio import portfolio_faults
from ringfence.rulebooks.check_sources import COVERAGES, source_faults
from ringfence.rulebooks.faults import Fault, Row, decimal_of, is_fee, is_rate, not_negative, number_faults, positive
from ringfence.rulebooks.fee_tables import TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COLUMNS = {
    "contracts.csv": (
        "symbol", "kind", "contract_size", "settle_asset", "price_step", "quantity_step", "minimum_quantity",
        "minimum_notional", "maker_fee_rate", "taker_fee_rate", "liquidation_fee_rate", "tier_unit", "coverage",
    ),
    "tiers.csv": ("symbol", "tier", "floor", "cap", "maintenance_rate", "deduction", "max_leverage"),
    "haircuts.csv": ("asset", "tier", "floor", "cap", "collateral_ratio", "unit"),
    "open_interest_caps.csv": ("symbol", "lower_cap", "upper_cap"),
    "market_orders.csv": ("symbol", "take_bound"),
    "fees.csv": (
        "level", "settle_asset", "maker_fee_rate", "taker_fee_rate", "volume", "volume_asset", "volume_days", "balance",
        "balance_asset",
    ),
}  # fmt: skip
"""Every kind of table with its columns, in their order."""
DEDUCTION_TOLERANCE = Decimal("0.01")  #: exchanges publish deductions rounded to a hundredth


@exact
def check_tables(folder: Path, *, progressive: bool) -> list[Fault]:
    """Return everything that is wrong with the tables of one dated folder and with their SOURCES.toml.

    ``progressive``: whether the venue's deductions keep maintenance margin continuous; elsewhere there are none.
    """
    faults: list[Fault] = []
    for path in sorted(folder.iterdir()):
        known = (*COLUMNS, TERMS, "rules.toml", "SOURCES.toml", rulebooks.PORTFOLIO, rulebooks.DELIVERY)
        if path.name not in known and not path.name.startswith((".", "__")):
            faults.append(Fault(path, None, f"not a file of a rulebook; expected {', '.join(known)}"))
    tables = {
        file: _rows(folder / file, columns, faults) for file, columns in COLUMNS.items() if (folder / file).is_file()
    }
    contracts, tiers = tables.get("contracts.csv"), tables.get("tiers.csv")
    if contracts is not None:
        faults += _contract_faults(folder / "contracts.csv", contracts, {row.cells["symbol"] for row in tiers or []})
    if tiers is not None:
        symbols = {row.cells["symbol"] for row in contracts or []}
        faults += _ladder_faults(folder / "tiers.csv", tiers, symbols, progressive=progressive)
    if tables.get("haircuts.csv") is not None:
        faults += _haircut_faults(folder / "haircuts.csv", tables["haircuts.csv"] or [])
    if tables.get("open_interest_caps.csv") is not None:
        faults += _cap_faults(folder / "open_interest_caps.csv", tables["open_interest_caps.csv"] or [])
    if tables.get("market_orders.csv") is not None:
        faults += _take_bound_faults(folder / "market_orders.csv", tables["market_orders.csv"] or [])
    faults += _fee_faults(folder, tables.get("fees.csv"))
    if (folder / rulebooks.PORTFOLIO).is_file():
        faults += portfolio_faults(folder / rulebooks.PORTFOLIO)
    if (folder / rulebooks.DELIVERY).is_file():
        faults += delivery_faults(folder / rulebooks.DELIVERY)
    sourced = [*tables, *([TERMS] if (folder / TERMS).is_file() else [])]
    if sourced:
        faults += source_faults(folder / "SOURCES.toml", sourced)
    elif not any((folder / file).is_file() for file in ("rules.toml", rulebooks.PORTFOLIO, rulebooks.DELIVERY)):
        faults.append(Fault(folder, None, "neither rules nor tables"))
    return faults


def _fee_faults(folder: Path, levels: list[Row] | None) -> Iterator[Fault]:
    if levels is not None:
        yield from level_faults(folder / "fees.csv", levels)
    if (folder / TERMS).is_file():
        yield from term_faults(folder / TERMS)


def _rows(path: Path, columns: tuple[str, ...], faults: list[Fault]) -> list[Row] | None:
    """Return the lines of a table; add a fault and return None where its columns are not as agreed."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            header = tuple(next(reader, ()))
            if header != columns:
                faults.append(Fault(path, 1, f"expected the columns {','.join(columns)}, found {','.join(header)}"))
                return None
            rows = []
            for cells in reader:
                if len(cells) == len(columns):
                    rows.append(Row(reader.line_num, dict(zip(columns, cells, strict=True))))
                else:
                    faults.append(Fault(path, reader.line_num, f"expected {len(columns)} cells, found {len(cells)}"))
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(Fault(path, None, f"cannot be read: {error}"))
        return None


_CONTRACT_NUMBERS: dict[str, tuple[Callable[[Decimal], bool], str]] = {
    "contract_size": (positive, "a number above 0"),
    "price_step": (positive, "a number above 0"),
    "quantity_step": (positive, "a number above 0"),
    "minimum_quantity": (not_negative, "0 or more"),
    "minimum_notional": (not_negative, "0 or more"),
    "maker_fee_rate": (is_fee, "a fraction between -1 and 1"),
    "taker_fee_rate": (is_fee, "a fraction between -1 and 1"),
    "liquidation_fee_rate": (is_fee, "a fraction between -1 and 1"),
}
_TIER_NUMBERS: dict[str, tuple[Callable[[Decimal], bool], str]] = {
    "floor": (not_negative, "0 or more"),
    "cap": (positive, "a number above 0"),
    "maintenance_rate": (is_rate, "a fraction above 0 and at most 1"),
    "deduction": (not_negative, "0 or more"),
    "max_leverage": (positive, "a number above 0"),
}


def _contract_faults(path: Path, rows: list[Row], with_tiers: set[str]) -> Iterator[Fault]:
    kinds = [kind.value for kind in ContractKind if kind is not ContractKind.OPTION]  # a table has no strikes
    before = ""
    for row in rows:
        symbol = row.cells["symbol"]
        if not symbol:
            yield Fault(path, row.line, "symbol: empty")
        elif symbol == before:
            yield Fault(path, row.line, f"{symbol} is there twice")
        elif symbol < before:
            yield Fault(path, row.line, f"{symbol} stands after {before}: expected symbols in order")
        before = symbol
        yield from number_faults(path, row, _CONTRACT_NUMBERS, symbol)
        if not row.cells["settle_asset"]:
            yield Fault(path, row.line, f"{symbol} settle_asset: empty")
        words = (("kind", kinds), ("tier_unit", ("notional", "contracts", "base")), ("coverage", COVERAGES))
        for column, known in words:
            if row.cells[column] not in known:
                expected = f"expected {' or '.join(known)}, found {row.cells[column]!r}"
                yield Fault(path, row.line, f"{symbol} {column}: {expected}")
        if row.cells["coverage"] == "complete" and symbol not in with_tiers:
            yield Fault(path, row.line, f"{symbol} coverage: complete, but it has no tiers")


def _ladder_faults(path: Path, rows: list[Row], symbols: set[str], *, progressive: bool) -> Iterator[Fault]:
    seen: set[str] = set()
    for symbol, group in groupby(rows, key=lambda row: row.cells["symbol"]):
        ladder = list(group)
        if symbol in seen:
            yield Fault(path, ladder[0].line, f"{symbol}: its tiers do not stand together")
            continue
        seen.add(symbol)
        if symbol not in symbols:
            yield Fault(path, ladder[0].line, f"{symbol} has tiers but no contract in contracts.csv")
        bad = [fault for row in ladder for fault in number_faults(path, row, _TIER_NUMBERS, _tier_name(row))]
        yield from bad
        if not bad:  # with cells that are no numbers nothing can be said of the steps between them
            yield from _steps(path, ladder)
            yield from _deductions(path, ladder, progressive=progressive)


def _tier_name(row: Row) -> str:
    return f"{row.cells['symbol']} tier {row.cells['tier']}"


def _steps(path: Path, ladder: list[Row]) -> Iterator[Fault]:
    """Yield what is wrong with the tiers' numbers, floors and caps, rates and leverages."""
    for number, row in enumerate(ladder, 1):
        name, cells = _tier_name(row), row.cells
        if cells["tier"] != str(number):
            yield Fault(path, row.line, f"{name}: expected tier {number}")
        if not cells["floor"]:
            yield Fault(path, row.line, f"{name} floor: empty")
        rate, leverage = decimal_of(cells["maintenance_rate"]), decimal_of(cells["max_leverage"])
        if rate is not None and leverage is not None and rate * leverage > ONE:
            yield Fault(
                path, row.line, f"{name}: rate {plain(rate)} is more than the initial margin at {plain(leverage)}x"
            )
        floor, cap = decimal_of(cells["floor"]), decimal_of(cells["cap"])
        if floor is not None and cap is not None and cap <= floor:
            yield Fault(path, row.line, f"{name} cap: expected above the floor {plain(floor)}, found {plain(cap)}")
    first = decimal_of(ladder[0].cells["floor"])
    if first:
        yield Fault(path, ladder[0].line, f"{_tier_name(ladder[0])} floor: expected 0, found {plain(first)}")
    for below, above in pairwise(ladder):
        yield from _edge(path, below, above)


def _edge(path: Path, below: Row, above: Row) -> Iterator[Fault]:
    name = _tier_name(above)
    cap, floor = decimal_of(below.cells["cap"]), decimal_of(above.cells["floor"])
    if cap is None:
        yield Fault(path, below.line, f"{_tier_name(below)} cap: empty, but tier {above.cells['tier']} follows")
    elif floor is not None and floor != cap:
        what = "a gap after" if floor > cap else "an overlap with"
        yield Fault(path, above.line, f"{name} floor: {what} tier {below.cells['tier']}; expected {plain(cap)}, "
                                      f"found {plain(floor)}")  # fmt: skip
    for column, falls in (("maintenance_rate", True), ("max_leverage", False)):
        low, high = decimal_of(below.cells[column]), decimal_of(above.cells[column])
        if low is not None and high is not None and (high < low if falls else high > low):
            yield Fault(path, above.line, f"{name} {column}: {plain(high)} {'falls below' if falls else 'rises above'} "
                                          f"{plain(low)} of the tier before")  # fmt: skip


def _deductions(path: Path, ladder: list[Row], *, progressive: bool) -> Iterator[Fault]:
    """Yield deductions that leave a jump in the maintenance margin; and those where the venue has none."""
    if not progressive:
        for row in ladder:
            if decimal_of(row.cells["deduction"]):
                yield Fault(path, row.line, f"{_tier_name(row)} deduction: a venue of step tiers has none")
        return
    rates = [decimal_of(row.cells["maintenance_rate"]) for row in ladder]
    if all(rate is None for rate in rates):
        return  # a venue that publishes leverages only
    for row, rate in zip(ladder, rates, strict=True):
        if rate is None or not row.cells["deduction"]:
            column = "maintenance_rate" if rate is None else "deduction"
            yield Fault(path, row.line, f"{_tier_name(row)} {column}: empty, on a venue of progressive tiers")
            return
    own = decimal_of(ladder[0].cells["deduction"]) or ZERO
    if own:
        yield Fault(path, ladder[0].line, f"{_tier_name(ladder[0])} deduction: expected 0, found {plain(own)}")
    for below, above in pairwise(ladder):
        expected = (decimal_of(below.cells["deduction"]) or ZERO) + (decimal_of(above.cells["floor"]) or ZERO) * (
            (decimal_of(above.cells["maintenance_rate"]) or ZERO)
            - (decimal_of(below.cells["maintenance_rate"]) or ZERO)
        )
        found = decimal_of(above.cells["deduction"]) or ZERO
        if abs(found - expected) > DEDUCTION_TOLERANCE:
            yield Fault(
                path, above.line,
                f"{_tier_name(above)} deduction: {plain(found)} leaves a jump in the maintenance margin; "
                f"expected {plain(expected)}",
            )  # fmt: skip


_HAIRCUT_NUMBERS: dict[str, tuple[Callable[[Decimal], bool], str]] = {
    "floor": (not_negative, "0 or more"),
    "cap": (positive, "a number above 0"),
    "collateral_ratio": (lambda ratio: 0 <= ratio <= 1, "a fraction from 0 to 1"),
}


def _haircut_faults(path: Path, rows: list[Row]) -> Iterator[Fault]:
    seen: set[str] = set()
    for asset, group in groupby(rows, key=lambda row: row.cells["asset"]):
        ladder = list(group)
        if asset in seen:
            yield Fault(path, ladder[0].line, f"{asset}: its tiers do not stand together")
        seen.add(asset)
        for number, row in enumerate(ladder, 1):
            name = f"{asset} tier {row.cells['tier']}"
            yield from number_faults(path, row, _HAIRCUT_NUMBERS, name)
            if row.cells["tier"] != str(number):
                yield Fault(path, row.line, f"{name}: expected tier {number}")
            if not row.cells["collateral_ratio"]:
                yield Fault(path, row.line, f"{name} collateral_ratio: empty")
            if row.cells["unit"] not in {"base", "usd"}:
                yield Fault(path, row.line, f"{name} unit: expected base or usd, found {row.cells['unit']!r}")
        yield from _discounts(path, asset, ladder)


def _discounts(path: Path, asset: str, ladder: list[Row]) -> Iterator[Fault]:
    """Yield what is wrong with how an asset's discount tiers follow one another: from 0, without gaps, never rising."""
    if decimal_of(ladder[0].cells["floor"]) not in {None, ZERO}:
        yield Fault(path, ladder[0].line, f"{asset} tier 1 floor: expected 0, found {ladder[0].cells['floor']}")
    for row in ladder:
        floor, cap = decimal_of(row.cells["floor"]), decimal_of(row.cells["cap"])
        if floor is not None and cap is not None and cap <= floor:
            yield Fault(path, row.line, f"{asset} tier {row.cells['tier']} cap: expected above {plain(floor)}")
    for below, above in pairwise(ladder):
        name = f"{asset} tier {above.cells['tier']}"
        if below.cells["cap"] != above.cells["floor"]:
            yield Fault(path, above.line, f"{name} floor: expected {below.cells['cap'] or 'nothing'}")
        if below.cells["unit"] != above.cells["unit"]:
            yield Fault(path, above.line, f"{name} unit: expected {below.cells['unit']}, like the tier before")
        ratios = decimal_of(below.cells["collateral_ratio"]), decimal_of(above.cells["collateral_ratio"])
        if ratios[0] is not None and ratios[1] is not None and ratios[1] > ratios[0]:
            yield Fault(path, above.line, f"{name} collateral_ratio: expected at most {plain(ratios[0])}: more of an "
                                          "asset never counts for more per unit")  # fmt: skip


def _cap_faults(path: Path, rows: list[Row]) -> Iterator[Fault]:
    for row in rows:
        lower, upper = decimal_of(row.cells["lower_cap"]), decimal_of(row.cells["upper_cap"])
        if not row.cells["lower_cap"] and not row.cells["upper_cap"]:
            continue  # not known
        if lower is None or upper is None or lower < 0 or upper < lower:
            yield Fault(path, row.line, f"{row.cells['symbol']}: expected 0 ≤ lower_cap ≤ upper_cap")


def _take_bound_faults(path: Path, rows: list[Row]) -> Iterator[Fault]:
    for row in rows:
        bound = decimal_of(row.cells["take_bound"])
        if bound is None or not is_rate(bound):
            yield Fault(path, row.line, f"{row.cells['symbol']} take_bound: expected a fraction above 0 and at most 1")


__all__ = ["COLUMNS", "DEDUCTION_TOLERANCE", "check_tables"]
