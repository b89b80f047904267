"""The exchanges' rules and tables as data, and the reader that turns them into a :class:`~ringfence.rulebook.Rulebook`.

One folder per venue, one folder in it per day::

    binance-usdm/
    ├── always/        rules.toml             how margin is computed (in force as far back as is known)
    ├── 2024-08-05/    contracts.csv tiers.csv SOURCES.toml      the tables of that day
    ├── 2025-09-11/    fees.csv fees.toml SOURCES.toml           its fees from that day on
    └── 2025-10-10/    …

Rules and tables are dated apart: a rulebook as of a day takes the latest ``rules.toml`` and, symbol by symbol, the
latest table that is not younger than that day. Without a day it takes the latest of each. A user's own folder
(``ringfence rulebooks update`` writes there) is read after the packaged ones and wins on the same day.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import DOLLARS, Collateral, Slice
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadAccount, BadRulebook, nearest
from ringfence.numbers import VALUE_PLACES, ZERO, divide
from ringfence.portfolio_rules import read_rules
from ringfence.rulebook import (
    AutoExchange,
    Levels,
    Policies,
    Rulebook,
    Tier,
    TierTable,
    continuous_deductions,
    policy_values,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ringfence.fees import FeeSchedule
    from ringfence.portfolio_rules import PortfolioRules

PORTFOLIO = "portfolio.toml"  #: the rules of portfolio margin in a dated folder
ALWAYS = "always"  #: folder of what holds as far back as is known
PACKAGED = Path(__file__).parent


class Folder(NamedTuple):
    """One dated folder of a venue. ``day`` is None for what holds as far back as is known."""

    day: date | None
    path: Path

    def not_after(self, as_of: date | None) -> bool:
        """Whether the folder counts on the day ``as_of`` (None: on the latest)."""
        return self.day is None or as_of is None or self.day <= as_of


def user_directory() -> Path:
    """Return where a user's own tables are kept: ``RINGFENCE_RULEBOOKS``, or ringfence/rulebooks in the data home."""
    given = os.environ.get("RINGFENCE_RULEBOOKS")
    if given:
        return Path(given)
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")  # noqa: PTH111, PTH118 - pathlib would fail without a home
    return Path(home) / "ringfence" / "rulebooks"


def names() -> tuple[str, ...]:
    """Return the names of all rulebooks, packaged and the user's."""
    venues = (path for root in _roots() for path in root.iterdir() if path.is_dir())
    return tuple(sorted({path.name for path in venues if any(_is_dated(child) for child in path.iterdir())}))


def folders(name: str) -> tuple[Folder, ...]:
    """Return the dated folders of a rulebook, oldest first; on one day the user's after the packaged one.

    Raises BadRulebook, with the nearest names, when unknown.
    """
    found = [
        Folder(None if path.name == ALWAYS else date.fromisoformat(path.name), path)
        for root in _roots()
        if name == Path(name).name and (root / name).is_dir()  # a name, no path
        for path in (root / name).iterdir()
        if _is_dated(path)
    ]
    if not found:
        raise BadRulebook(
            f"no rulebook {name!r}",
            where="rulebook",
            expected="one of " + ", ".join(names()),
            found=name,
            hint=nearest(name, names()) or "run `ringfence rulebooks list`",
        )
    return tuple(sorted(found, key=lambda folder: folder.day or date.min))


def load(name: str, as_of: date | None = None) -> Rulebook:
    """Return the rulebook ``name`` as of a day; None takes the latest rules and tables.

    Raises BadRulebook for an unknown name, for a rule file that does not hold, and for a day before the first rules.
    """
    text, path = _rules_of(name, as_of)
    try:
        rulebook = _rulebook(name, as_of, text, _tables(name, text, as_of), str(path))
        return _with_portfolio(rulebook, text)
    except ArithmeticError:
        raise BadRulebook(
            "a level of the rules is not a number",
            where=f"{path}: levels, liquidation",
            expected="decimal strings",
            hint=f"run `ringfence rulebooks check {name}`, which names every fault with its line",
        ) from None


def table_folder(name: str, symbol: str, as_of: date | None = None) -> Folder | None:
    """Return the dated folder that the rulebook ``name`` reads ``symbol`` from on a day; None where it has no table.

    Raises BadRulebook as :func:`load` does.
    """
    text, _ = _rules_of(name, as_of)
    return _tables(name, text, as_of).folder(symbol)


def tables_from(name: str, as_of: date | None = None) -> tuple[str, ...]:
    """Return the rulebooks whose tables ``name`` reads besides its own. Raises BadRulebook as :func:`load` does."""
    text, _ = _rules_of(name, as_of)
    return tuple(text.get("tables_from", ()))


def coverage_of(folder: Folder, symbol: str) -> str | None:
    """Return how much of a symbol a folder has, ``complete`` or ``partial``; None where it does not have the symbol."""
    records = _records(folder.path, "contracts.csv", symbol)
    return (records[0].get("coverage") or None) if records else None


def _rules_of(name: str, as_of: date | None) -> tuple[dict[str, Any], Path]:
    """Return the rules in force on a day and the file they stand in."""
    dated = folders(name)
    rules = [folder for folder in dated if (folder.path / "rules.toml").is_file()]
    if not rules:
        raise BadRulebook(
            f"the rulebook {name} has tables but no rules",
            where=str(dated[-1].path.parent),
            expected="a rules.toml in one of its dated folders",
            found=", ".join(folder.path.name for folder in dated),
            hint="write one, or name the folder after a packaged rulebook",
        )
    current = [folder for folder in rules if folder.not_after(as_of)]
    if not current:
        raise BadRulebook(
            f"no rules of {name} on {as_of}",
            where=f"rulebook {name}",
            expected=f"a day on or after the first rules: {', '.join(str(folder.day) for folder in rules)}",
            found=str(as_of),
            hint="give a later --as-of",
        )
    path = current[-1].path / "rules.toml"
    return _rules(path), path


def _tables(name: str, text: Mapping[str, Any], as_of: date | None) -> _Tables:
    dated = folders(name)
    for other in text.get("tables_from", ()):
        dated += folders(other)
    return _Tables(
        name, tuple(sorted(dated, key=lambda folder: folder.day or date.min)), as_of, progressive=_progressive(text)
    )


def _progressive(text: Mapping[str, Any]) -> bool:
    """Whether a rule file's tiers charge each slice at its own rate, so that their deductions count."""
    policies = text.get("policies", {})
    return bool(policies.get("cross", {}).get("tier_type", policies.get("tier_type", "progressive")) == "progressive")


def _with_portfolio(rulebook: Rulebook, text: Mapping[str, Any]) -> Rulebook:
    """Return the rulebook with the latest rules of portfolio margin that are not younger than its day.

    Its own, or those of the rulebook that ``portfolio_from`` names. Raises BadRulebook for a file that does not hold.
    """
    dated = [
        folder
        for folder in folders(str(text.get("portfolio_from", rulebook.name)))
        if (folder.path / PORTFOLIO).is_file()
    ]
    if not dated:
        return rulebook
    current = [folder for folder in dated if folder.not_after(rulebook.as_of)]
    days = tuple(folder.path.name for folder in dated)
    if not current:
        return replace(rulebook, portfolio_days=days)
    return replace(rulebook, portfolio=_portfolio_rules(current[-1].path), portfolio_days=days)


@lru_cache(maxsize=32)
def _portfolio_rules(folder: Path) -> PortfolioRules:
    path = folder / PORTFOLIO
    return read_rules(_rules(path), day=folder.name, where=str(path))


def _roots() -> Iterator[Path]:
    yield PACKAGED
    user = user_directory()
    if user.is_dir():
        yield user


def _is_dated(path: Path) -> bool:
    if path.name == ALWAYS:
        return path.is_dir()
    try:
        date.fromisoformat(path.name)
    except ValueError:
        return False
    return path.is_dir()


@lru_cache(maxsize=64)
def _rules(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise BadRulebook(f"not valid TOML: {error}", where=str(path), hint="mend the file at that line") from error


def _rulebook(name: str, as_of: date | None, text: Mapping[str, Any], reader: _Tables, where: str) -> Rulebook:
    groups = text.get("policies", {})
    shared = {key: value for key, value in groups.items() if not isinstance(value, dict)}
    resolved = {
        kind: Policies(**policy_values({**shared, **groups.get(kind, {})}, where=f"{where}: policies"))  # type: ignore[arg-type]
        for kind in ("isolated", "cross", "basket")
    }
    inverse = policy_values(groups.get("isolated_inverse", {}), where=f"{where}: policies.isolated_inverse")
    variants = {
        key: policy_values(group, where=f"{where}: variants.{key}") for key, group in text.get("variants", {}).items()
    }
    levels = text.get("levels", {})
    liquidation = text.get("liquidation", {})
    default = Levels()
    haircuts = _Haircuts(name, folders(name), as_of)
    return Rulebook(
        name=name,
        title=text.get("title", name),
        as_of=as_of,
        isolated=resolved["isolated"],
        cross=resolved["cross"],
        basket=resolved["basket"],
        levels=Levels(
            Decimal(levels.get("warning", default.warning)),
            Decimal(levels.get("margin_call", default.margin_call)),
            levels.get("source", default.source),
        ),
        liquidation_sequence=tuple(liquidation.get("sequence", ())),
        isolated_sequence=tuple(liquidation["isolated_sequence"]) if "isolated_sequence" in liquidation else None,
        liquidation_note=liquidation.get("note", ""),
        stop_at_health=Decimal(liquidation.get("stop_at_health", "1")),
        close_first=liquidation.get("close_first", "largest_maintenance"),
        trigger_prices=liquidation.get("trigger_prices", "mark"),
        cancel_orders_at=Decimal(liquidation["cancel_orders_at"]) if "cancel_orders_at" in liquidation else None,
        clearance_fee=liquidation.get("clearance_fee", "insurance_fund"),
        insurance_fund=liquidation.get("insurance_fund", "venue"),
        deleveraging_rank=liquidation.get("deleveraging_rank", "leverage"),
        funding_from=liquidation.get("funding_from", "wallet"),
        replenishment=liquidation.get("replenishment", "none"),
        bonus_use=text.get("bonus", {}),
        sources=text.get("sources", {}),
        refusals=text.get("refusals", {}),
        isolated_inverse=inverse,
        auto_exchange=_auto_exchange(text.get("auto_exchange")),
        offers=text.get("architectures", {}),
        haircuts=haircuts.terms,
        accepted=haircuts.accepted,
        lookup=reader.entry,
        symbols=reader.symbols,
        table_source=reader.source,
        variants=variants,
        fee_schedule=reader.fees,
    )


def _auto_exchange(text: Mapping[str, Any] | None) -> AutoExchange | None:
    """Return when and how a venue sells collateral for debts; None where its rules say nothing of it."""
    if text is None:
        return None
    share = text.get("loan_to_value")
    return AutoExchange(
        {asset: Decimal(amount) for asset, amount in text.get("thresholds", {}).items()},
        {asset: Decimal(rate) for asset, rate in text.get("haircuts", {}).items()},
        Decimal(text.get("haircut_share", "0")),
        None if share is None else Decimal(share),
        idle_only=text.get("idle_only", False),
        order_of_sale=text.get("order_of_sale", "largest_value"),
        assumed=text.get("assumed", ""),
    )


class _Haircuts:
    """Looks assets up in a venue's dated ``haircuts.csv``, latest first: asset by asset, as symbols are."""

    def __init__(self, name: str, dated: tuple[Folder, ...], as_of: date | None) -> None:
        self.name = name
        self.as_of = as_of
        self.all = tuple(folder for folder in dated if (folder.path / "haircuts.csv").is_file())
        self.current = tuple(reversed([folder for folder in self.all if folder.not_after(as_of)]))
        self._found: dict[str, Collateral | None] = {}

    def accepted(self) -> tuple[str, ...]:
        """Return every asset that is on a list of the venue on the day."""
        return tuple(
            sorted({row.split(",", 1)[0] for folder in self.current for row in _lines(folder.path, "haircuts.csv")})
        )

    def terms(self, asset: str) -> Collateral | None:
        """Return how an asset counts, at an index of 1, or None. Raises BadAccount on a day before its first list."""
        if asset not in self._found:
            folder = next((each for each in self.current if _rows(each.path, "haircuts.csv", asset)), None)
            if folder is None:
                self._refuse_early_day(asset)
                return None
            self._found[asset] = self._read(asset, _records(folder.path, "haircuts.csv", asset), folder)
        return self._found[asset]

    def _read(self, asset: str, rows: list[dict[str, str]], folder: Folder) -> Collateral:
        source = f"{folder.path.parent.name} collateral list of {folder.day or 'unknown date'}"
        if any(not row["floor"] for row in rows):
            raise BadAccount(
                f"the discount of {asset} is published in part only: where its tiers end is not", where=source,
                expected="the floor and cap of every tier", found=", ".join(row["collateral_ratio"] for row in rows),
                hint=f'give collateral.{asset}.tiers (floor, cap, ratio) in the account file, or one "ratio"',
            )  # fmt: skip
        try:
            slices = tuple(
                Slice(Decimal(row["floor"]), _number(row["cap"]), Decimal(row["collateral_ratio"])) for row in rows
            )
        except ArithmeticError:
            raise BadRulebook(
                f"the collateral terms of {asset} cannot be read", where=str(folder.path / "haircuts.csv"),
                expected="numbers, plain", found=", ".join(row["collateral_ratio"] for row in rows),
                hint=f"run `ringfence rulebooks check {folder.path.parent.name}`",
            ) from None  # fmt: skip
        whole = len(slices) == 1 and slices[0].cap is None
        return Collateral(
            ratio=slices[0].ratio, slices=() if whole else slices, unit=rows[0]["unit"],
            moves_with=Collateral.follows(asset), source=source,
        )  # fmt: skip

    def _refuse_early_day(self, asset: str) -> None:
        later = [folder for folder in self.all if _rows(folder.path, "haircuts.csv", asset)]
        if later and asset not in DOLLARS:
            raise BadAccount(
                f"no collateral terms for {asset} in {self.name} on {self.as_of}", where=f"account.collateral.{asset}",
                expected=f"a day on or after a list with it: {', '.join(str(folder.day) for folder in later)}",
                found=str(self.as_of),
                hint=f"give --as-of {later[0].day}, or the ratio in the account file under collateral.{asset}",
            )  # fmt: skip


class _Tables:
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
            from ringfence.rulebooks import fee_tables

            self._fees = fee_tables.read(self._dated, own=self.name)
        return self._fees

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol that has a table on the day."""
        return tuple(
            sorted({row.split(",", 1)[0] for folder in self.current for row in _lines(folder.path, "contracts.csv")})
        )

    def source(self, symbol: str) -> str | None:
        """Return which day's table a symbol is read from, for an explanation; None when there is none."""
        folder = self.folder(symbol)
        return None if folder is None else f"{folder.path.parent.name} tables of {folder.day or 'unknown date'}"

    def folder(self, symbol: str) -> Folder | None:
        """Return the latest folder on the day that has ``symbol``, or None."""
        return next((folder for folder in self.current if _rows(folder.path, "contracts.csv", symbol)), None)

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
        later = [folder for folder in self.all if _rows(folder.path, "contracts.csv", symbol)]
        if later:
            days = ", ".join(str(folder.day) for folder in later)
            raise BadRulebook(
                f"no table for {symbol} in {self.name} on {self.as_of}",
                where=f"rulebook {self.name}",
                expected=f"a day on or after a table of it: {days}",
                found=str(self.as_of),
                hint=f"give --as-of {later[0].day}, or bring the tiers along under contracts.{symbol}",
            )


@lru_cache(maxsize=128)
def _text(path: Path, file: str) -> str:
    target = path / file
    return "\n" + target.read_text(encoding="utf-8") if target.is_file() else "\n"


def _lines(path: Path, file: str) -> list[str]:
    return _text(path, file).splitlines()[2:]


def _rows(path: Path, file: str, symbol: str) -> list[str]:
    """Return the lines of ``symbol``; they stand together in a file sorted by symbol."""
    text = _text(path, file)
    start = text.find(f"\n{symbol},", text.find("\n", 1))  # after the header
    if start < 0 or "," in symbol:
        return []
    rows = []
    prefix = f"{symbol},"
    for line in text[start + 1 :].split("\n", 512):
        if not line.startswith(prefix):
            break
        rows.append(line)
    return rows


def _records(path: Path, file: str, symbol: str) -> list[dict[str, str]]:
    import csv

    header = _text(path, file)[1:].split("\n", 1)[0].split(",")
    return [dict(zip(header, row, strict=False)) for row in csv.reader(_rows(path, file, symbol))]


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
    row = _records(path, "contracts.csv", symbol)[0]
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
        price_step=_number(row.get("price_step")),
        quantity_step=_number(row.get("quantity_step")),
        minimum_quantity=_number(row.get("minimum_quantity")),
        minimum_notional=_number(row.get("minimum_notional")),
        maker_fee_rate=_number(row.get("maker_fee_rate")),
        taker_fee_rate=_number(row.get("taker_fee_rate")),
        liquidation_fee_rate=_number(row.get("liquidation_fee_rate")),
        market_take_bound=_take_bound(path, symbol),
    )
    return contract, _read_tiers(path, symbol, row, contract, progressive=progressive)


def _take_bound(path: Path, symbol: str) -> Decimal | None:
    """Return how far from the mark a market order may go, where the venue publishes it."""
    records = _records(path, "market_orders.csv", symbol)
    return Decimal(records[0]["take_bound"]) if records else None


def _read_tiers(
    path: Path, symbol: str, row: Mapping[str, str], contract: Contract, *, progressive: bool
) -> TierTable | None:
    records = _records(path, "tiers.csv", symbol)
    if not records:
        return None
    unit = row.get("tier_unit") or "notional"
    in_base = unit == "base"  # base units of a linear contract are a fixed number of contracts
    tiers, given = [], []
    for record in records:
        floor, cap = Decimal(record["floor"]), _number(record["cap"])
        if in_base:
            floor = divide(floor, contract.contract_size, places=VALUE_PLACES)
            cap = None if cap is None else divide(cap, contract.contract_size, places=VALUE_PLACES)
        rate, deduction = _number(record["maintenance_rate"]), _number(record["deduction"]) if progressive else None
        tiers.append(Tier(floor, rate, deduction or ZERO, _number(record["max_leverage"]), cap))
        given.append(deduction)
    table = tuple(tiers)
    return TierTable(with_deductions(table, tuple(given)) if progressive else table, "contracts" if in_base else unit)


def _number(text: str | None) -> Decimal | None:
    return Decimal(text) if text else None


def with_deductions(tiers: tuple[Tier, ...], given: tuple[Decimal | None, ...]) -> tuple[Tier, ...]:
    """Return progressive ``tiers`` with the deductions that are not ``given`` filled in by continuity."""
    if all(value is not None for value in given) or any(tier.maintenance_rate is None for tier in tiers):
        return tiers
    computed = continuous_deductions(tuple((tier.floor, tier.maintenance_rate or ZERO) for tier in tiers))
    return tuple(
        tier._replace(deduction=computed[index] if given[index] is None else tier.deduction)
        for index, tier in enumerate(tiers)
    )


__all__ = [
    "ALWAYS",
    "PORTFOLIO",
    "Folder",
    "coverage_of",
    "folders",
    "load",
    "names",
    "table_folder",
    "tables_from",
    "user_directory",
    "with_deductions",
]
