"""Reads contracts and their risk tiers from a venue's dated ``contracts.csv``, ``tiers.csv``, ``market_orders.csv``."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadRulebook
from ringfence.numbers import VALUE_PLACES, ZERO, divide
from ringfence.rulebook import Tier, TierTable, continuous_deductions
from ringfence.rulebooks import fee_tables
from ringfence.rulebooks.csv_rows import firsts, number, records, rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from ringfence.fees import FeeSchedule
    from ringfence.rulebooks.dated_folders import Folder

_DELIVERY_NAME = re.compile(r"[A-Z0-9]+_(\d{6})", re.ASCII)


class ContractTables:
    """Looks symbols up in a venue's dated CSV tables, latest first. Reads only the lines of the symbols asked for.

    Deductions count where the rules of the day are ``progressive``: a table may stand for rules to come, as Gate's of
    July 2025, which held the deductions four weeks before rates applied by tier.
    """

    def __init__(self, name: str, dated: tuple[Folder, ...], as_of: date | None, *, progressive: bool) -> None:
        self.name = name
        self.as_of = as_of
        self.progressive = progressive
        self.all = tuple(folder for folder in dated if (folder.path / "contracts.csv").is_file())
        self.current = tuple(reversed([folder for folder in self.all if folder.not_after(as_of)]))
        self._dated = tuple(reversed([folder for folder in dated if folder.not_after(as_of)]))
        self._found: dict[str, tuple[Contract, TierTable | None] | None] = {}
        self._fees: FeeSchedule | None = None

    def fees(self) -> FeeSchedule:
        """Return the fee schedule of the day. Raises BadRulebook for one that cannot be read."""
        if self._fees is None:
            self._fees = fee_tables.read(self._dated, own=self.name)
        return self._fees

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol that has a table on the day."""
        return tuple(sorted({symbol for folder in self.current for symbol in firsts(folder.path, "contracts.csv")}))

    def source(self, symbol: str) -> str | None:
        """Return which day's table a symbol is read from, for an explanation; None when there is none."""
        folder = self.folder(symbol)
        return None if folder is None else f"{folder.path.parent.name} tables of {folder.day or 'unknown date'}"

    def folder(self, symbol: str) -> Folder | None:
        """Return the latest folder on the day that has ``symbol``, or None."""
        return next((folder for folder in self.current if rows(folder.path, "contracts.csv", symbol)), None)

    def entry(self, symbol: str) -> tuple[Contract, TierTable | None] | None:
        """Return the contract and tiers of ``symbol``, or None. Raises BadRulebook on a day before its first table."""
        if symbol not in self._found:
            folder = self.folder(symbol)
            if folder is None:
                self._refuse_early_day(symbol)
            self._found[symbol] = None if folder is None else self._read(folder.path, symbol)
        return self._found[symbol]

    def _read(self, path: Path, symbol: str) -> tuple[Contract, TierTable | None]:
        return _checked_entry(path, symbol, progressive=self.progressive)

    def _refuse_early_day(self, symbol: str) -> None:
        later = [folder for folder in self.all if rows(folder.path, "contracts.csv", symbol)]
        if later:
            days = ", ".join(str(folder.day) for folder in later)
            raise BadRulebook(
                f"no table for {symbol} in {self.name} on {self.as_of}",
                where=f"rulebook {self.name}",
                expected=f"a day on or after a table of it: {days}",
                found=str(self.as_of),
                hint=f"give --as-of {later[0].day}, or bring the tiers along under contracts.{symbol}",
            )


def _checked_entry(path: Path, symbol: str, *, progressive: bool) -> tuple[Contract, TierTable | None]:
    """Return the entry; a cell that is no number or no known word becomes a BadRulebook (a user's own tables)."""
    try:
        return _read_entry(path, symbol, progressive=progressive)
    except (ArithmeticError, KeyError, ValueError) as error:
        raise BadRulebook(
            f"the tables of {symbol} cannot be read",
            where=str(path),
            expected="contracts.csv and tiers.csv with all their columns, numbers plain",
            found=f"{type(error).__name__}: {error}",
            hint=f"run `ringfence rulebooks check {path.parent.name}`, which names every fault with its line",
        ) from None


def _read_entry(path: Path, symbol: str, *, progressive: bool) -> tuple[Contract, TierTable | None]:
    row = records(path, "contracts.csv", symbol)[0]
    if not row["contract_size"]:
        raise BadRulebook(
            f"the contract size of {symbol} is not known",
            where=f"{path.parent.name} tables of {path.name}",
            expected="contract_size, without which nothing can be valued",
            found="an empty cell",
            hint=f"give contracts.{symbol} in the account file, or run `ringfence rulebooks update {path.parent.name}`",
        )
    contract = Contract(
        symbol=symbol,
        kind=ContractKind(row["kind"]),
        contract_size=Decimal(row["contract_size"]),
        settle_asset=row["settle_asset"],
        price_step=number(row.get("price_step")),
        quantity_step=number(row.get("quantity_step")),
        minimum_quantity=number(row.get("minimum_quantity")),
        minimum_notional=number(row.get("minimum_notional")),
        maker_fee_rate=number(row.get("maker_fee_rate")),
        taker_fee_rate=number(row.get("taker_fee_rate")),
        liquidation_fee_rate=number(row.get("liquidation_fee_rate")),
        market_take_bound=_take_bound(path, symbol),
        expiry=_expiry(path.parent.name, symbol),
    )
    return contract, _read_tiers(path, symbol, row, contract, progressive=progressive)


def _expiry(venue: str, symbol: str) -> datetime | None:
    """Return when a contract is delivered, told by its name as Binance gives it (BTCUSDT_261225), at 08:00 UTC.

    Source: Binance FAQ a3401595e1734084959c61491bc0dbe3. Tables of other venues hold no dated contract.
    """
    found = _DELIVERY_NAME.fullmatch(symbol) if venue.startswith("binance-") else None
    return None if found is None else datetime.strptime(f"{found[1]} 08+0000", "%y%m%d %H%z")


def _take_bound(path: Path, symbol: str) -> Decimal | None:
    """Return how far from the mark a market order may go, where the venue publishes it."""
    found = records(path, "market_orders.csv", symbol)
    return Decimal(found[0]["take_bound"]) if found else None


def _read_tiers(
    path: Path, symbol: str, row: Mapping[str, str], contract: Contract, *, progressive: bool
) -> TierTable | None:
    lines = records(path, "tiers.csv", symbol)
    if not lines:
        return None
    unit = row.get("tier_unit") or "notional"
    in_base = unit == "base"  # base units of a linear contract are a fixed number of contracts
    tiers, given = [], []
    for record in lines:
        floor, cap = Decimal(record["floor"]), number(record["cap"])
        if in_base:
            floor = divide(floor, contract.contract_size, places=VALUE_PLACES)
            cap = None if cap is None else divide(cap, contract.contract_size, places=VALUE_PLACES)
        rate, deduction = number(record["maintenance_rate"]), number(record["deduction"]) if progressive else None
        tiers.append(Tier(floor, rate, deduction or ZERO, number(record["max_leverage"]), cap))
        given.append(deduction)
    table = tuple(tiers)
    return TierTable(with_deductions(table, tuple(given)) if progressive else table, "contracts" if in_base else unit)


def with_deductions(tiers: tuple[Tier, ...], given: tuple[Decimal | None, ...]) -> tuple[Tier, ...]:
    """Return progressive ``tiers`` with the deductions that are not ``given`` filled in by continuity."""
    if all(value is not None for value in given) or any(tier.maintenance_rate is None for tier in tiers):
        return tiers
    computed = continuous_deductions(tuple((tier.floor, tier.maintenance_rate or ZERO) for tier in tiers))
    return tuple(
        tier._replace(deduction=computed[index] if given[index] is None else tier.deduction)
        for index, tier in enumerate(tiers)
    )


__all__ = ["ContractTables", "with_deductions"]
