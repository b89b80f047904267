"""Find everything that is wrong with a rulebook's files, each fault with its file and line.

Checked are the folders' names, ``rules.toml`` (every key, policy and choice known; levels and steps that make sense),
``contracts.csv``, ``tiers.csv``, ``haircuts.csv`` and ``open_interest_caps.csv`` (columns, numbers, order, tiers that
ascend without gaps, deductions that keep maintenance margin continuous), ``fees.csv`` and ``fees.toml``, the terms of
``portfolio.toml``, and that ``SOURCES.toml`` covers each table.
"""

from __future__ import annotations

import csv
import tomllib
from datetime import date
from decimal import Decimal
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence import rulebooks
from ringfence.contract import ContractKind
from ringfence.errors import BadRulebook, nearest
from ringfence.numbers import ONE, ZERO, exact, plain
from ringfence.rulebook import ARCHITECTURES, Policies, policy_values
from ringfence.rulebooks.fee_tables import TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
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

STEPS = (
    "assignment", "auto_deleveraging", "auto_exchange", "auto_repay", "backstop_vault", "cancel_orders",
    "cancel_orders_if_replenishing", "close_at_market", "close_largest_loss_first", "freeze", "hedge_basis",
    "hedge_delta", "insurance_fund", "net_opposing_legs",
    "reduce_at_fillable_price", "reduce_at_market", "reduce_in_increments", "reduce_in_parts",
    "step_down_at_bankruptcy", "step_down_fill_or_kill", "step_down_tiers", "step_down_to_90_percent",
    "step_down_two_tiers", "step_down_two_tiers_per_pass", "take_over", "unwind",
)  # fmt: skip
"""Every step that a liquidation sequence may name."""

DEDUCTION_TOLERANCE = Decimal("0.01")  #: exchanges publish deductions rounded to a hundredth

_RULES = (
    "schema",
    "title",
    "tables_from",
    "portfolio_from",
    "policies",
    "levels",
    "liquidation",
    "refusals",
    "sources",
    "variants",
    "bonus",
    "auto_exchange",
    "architectures",
)
_ARCHITECTURES = ("isolated", "cross", "basket")
_AUTO_EXCHANGE = ("thresholds", "haircuts", "haircut_share", "loan_to_value", "idle_only", "order_of_sale", "assumed")
_ORDERS_OF_SALE = ("largest_value", "pro_rata")
_LIQUIDATION = (
    "sequence", "isolated_sequence", "note", "stop_at_health", "close_first", "trigger_prices", "cancel_orders_at",
    "clearance_fee", "insurance_fund", "deleveraging_rank", "funding_from", "replenishment",
)  # fmt: skip
_LIQUIDATION_CHOICES = {
    "close_first": ("largest_maintenance", "largest_loss"),
    "trigger_prices": ("mark", "mark_and_last"),
    "clearance_fee": ("insurance_fund", "none"),
    "insurance_fund": ("venue", "symbol"),
    "deleveraging_rank": ("leverage", "margin_ratio"),
    "funding_from": ("wallet", "wallet_first"),
    "replenishment": ("none", "one_initial", "to_initial", "user_amount"),
}
_LEVELS = ("warning", "margin_call", "source")
_SOURCE = ("file", "covers", "origin", "as_of", "confidence", "note")
_TABLES = ("coverage", "sentence")
_MOST_LISTED = 12
_COVERAGES = ("complete", "partial")


class Fault(NamedTuple):
    """One thing that is wrong. ``line``: in the file, counted from 1; None where it is about the whole file."""

    file: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        """Return ``file:line: message``."""
        return f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.message}"


class Row(NamedTuple):
    """One line of a table: its number and its cells by column."""

    line: int
    cells: dict[str, str]


def check(name: str, *, refusals: Collection[str] | None = None) -> list[Fault]:
    """Return everything that is wrong with the rulebook ``name``, packaged and user's folders; empty when nothing is.

    ``refusals``: the names a rulebook may give a reason for; None leaves them unchecked. Raises BadRulebook for an
    unknown name.
    """
    dated = rulebooks.folders(name)
    faults: list[Fault] = []
    for root in dict.fromkeys(folder.path.parent for folder in dated):
        faults += _folder_names(root)
    rules = [folder for folder in dated if (folder.path / "rules.toml").is_file()]
    if not rules:
        faults.append(Fault(dated[0].path.parent, None, "no folder has a rules.toml"))
    for folder in rules:
        faults += check_rules(folder.path / "rules.toml", refusals=refusals)
    for folder in dated:
        # A table holds until the next one, so it may outlive its rules: Gate's of July 2025 came with the deductions
        # that its progressive tiers of four weeks later needed.
        later = [other for other in rules if not other.not_after(folder.day)]
        in_force = [other for other in rules if other.not_after(folder.day)][-1:] + later
        faults += check_tables(
            folder.path, progressive=any(_progressive(each.path / "rules.toml") for each in in_force)
        )
    return faults


def _folder_names(root: Path) -> Iterator[Fault]:
    for path in sorted(root.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if not path.is_dir():
            yield Fault(path, None, "a file beside the dated folders; expected folders named always or YYYY-MM-DD")
        elif path.name != rulebooks.ALWAYS and not _is_day(path.name):
            yield Fault(path, None, "not a day; expected a folder named always or YYYY-MM-DD")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _progressive(path: Path) -> bool:
    """Whether some architecture of the rules charges each slice of the value at its own tier's rate."""
    try:
        groups = tomllib.loads(path.read_text(encoding="utf-8")).get("policies", {})
    except (OSError, ValueError):
        return False
    own = [groups[kind].get("tier_type") for kind in _ARCHITECTURES if isinstance(groups.get(kind), dict)]
    return "progressive" in {groups.get("tier_type", "progressive"), *own} - {None}


# ── rules.toml ───────────────────────────────────────────────────────────────────────────────────────────────────


class TomlFile:
    """A TOML file with the line that each key stands on."""

    def __init__(self, path: Path, data: dict[str, Any], text: str) -> None:
        self.path = path
        self.data = data
        self.lines: dict[tuple[str, str], int] = {}
        section = ""
        for number, line in enumerate(text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("["):
                section = stripped.strip("[] ").replace('"', "")
                self.lines.setdefault((section, ""), number)
            elif "=" in stripped and not stripped.startswith("#"):
                self.lines.setdefault((section, stripped.partition("=")[0].strip().strip('"')), number)

    def fault(self, section: str, key: str, message: str) -> Fault:
        """Return a fault at a key of a section, or at the section where the key is not there."""
        line = self.lines.get((section, key)) or self.lines.get((section, ""))
        return Fault(self.path, line, f"{section + '.' if section and key else section}{key}: {message}")

    def unknown(self, section: str, known: Sequence[str]) -> Iterator[Fault]:
        """Yield a fault for each key of a section that is not known."""
        table = self.data.get(section, {}) if section else self.data
        for key in table if isinstance(table, dict) else ():
            if key not in known:
                listed = ", ".join(known) if len(known) <= _MOST_LISTED else f"{', '.join(known[:_MOST_LISTED])}, …"
                expected = f"; {nearest(key, known) or f'expected one of {listed}'}"
                yield self.fault(section, "" if isinstance(table[key], dict) and not section else key,
                                 f"unknown key {key}{expected}")  # fmt: skip

    def table(self, section: str) -> dict[str, Any]:
        """Return a section, empty where it is not there or no table."""
        found = self.data.get(section, {})
        return found if isinstance(found, dict) else {}


def open_toml(path: Path) -> TomlFile | Fault:
    """Return a TOML file with its lines, or the fault that keeps it from being read."""
    try:
        text = path.read_text(encoding="utf-8")
        return TomlFile(path, tomllib.loads(text), text)
    except (OSError, UnicodeDecodeError) as error:
        return Fault(path, None, f"cannot be read: {error}")
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("at line ")[2].partition(",")[0]
        return Fault(path, int(place) if place.isdigit() else None, f"not valid TOML: {error}")


def check_rules(path: Path, *, refusals: Collection[str] | None = None) -> list[Fault]:
    """Return everything that is wrong with one ``rules.toml``."""
    file = open_toml(path)
    if isinstance(file, Fault):
        return [file]
    faults = [*file.unknown("", _RULES)]
    if file.data.get("schema") != "ringfence.rules/1":
        faults.append(file.fault("", "schema", f"expected ringfence.rules/1, found {file.data.get('schema')!r}"))
    if not isinstance(file.data.get("title"), str) or not file.data["title"]:
        faults.append(file.fault("", "title", "expected the venue's name"))
    faults += [
        file.fault("", section, f"expected a table, found {file.data[section]!r}")
        for section in _RULES[4:]
        if not isinstance(file.data.get(section, {}), dict)
    ]
    known = rulebooks.names()
    faults += [
        file.fault("", "tables_from", f"no rulebook {other!r}")
        for other in file.data.get("tables_from", [])
        if other not in known
    ]
    if file.data.get("portfolio_from", known[0]) not in known:
        faults.append(file.fault("", "portfolio_from", f"no rulebook {file.data['portfolio_from']!r}"))
    faults += [*_policies(file), *_variants(file), *_levels(file), *_liquidation(file), *_sources_of_rules(file)]
    faults += [*_auto_exchange(file), *_offers(file)]
    faults += _texts(file, "refusals", refusals)
    faults += _texts(file, "bonus", None)
    return sorted(faults, key=lambda fault: fault.line or 0)


def _policies(file: TomlFile) -> Iterator[Fault]:
    for key, value in file.table("policies").items():
        if not isinstance(value, dict):
            yield from _policy(file, "policies", key, value)
        elif key in {*_ARCHITECTURES, "isolated_inverse"}:
            for name, choice in value.items():
                yield from _policy(file, f"policies.{key}", name, choice)
        else:
            expected = f"expected one of {', '.join(_ARCHITECTURES)}"
            yield file.fault(f"policies.{key}", "", f"unknown architecture; {nearest(key, _ARCHITECTURES) or expected}")


def _policy(file: TomlFile, section: str, name: str, choice: object) -> Iterator[Fault]:
    try:
        policy_values({name: choice}, where=section)
    except BadRulebook as error:
        hint = f"; {error.hint}" if error.hint else ""
        yield file.fault(section, name, f"{error.message}; expected {error.expected}{hint}")


def _variants(file: TomlFile) -> Iterator[Fault]:
    for key, group in file.table("variants").items():
        section = f"variants.{key}"
        if key.count("=") != 1 or not isinstance(group, dict):
            yield file.fault(section, "", 'expected a table named "policy=choice"')
            continue
        for name, choice in group.items():
            yield from _policy(file, section, name, choice)


def _levels(file: TomlFile) -> Iterator[Fault]:
    yield from file.unknown("levels", _LEVELS)
    levels = file.table("levels")
    numbers: dict[str, Decimal] = {}
    for key in ("warning", "margin_call"):
        number = decimal_of(levels.get(key, "1.5" if key == "warning" else "1.25"))
        if number is None or number <= ONE:
            yield file.fault("levels", key, f"expected a decimal string above 1, found {levels.get(key)!r}")
        else:
            numbers[key] = number
    if len(numbers) == len(("warning", "margin_call")) and numbers["warning"] < numbers["margin_call"]:
        yield file.fault("levels", "warning", "a warning comes before a margin call: expected at least margin_call")
    if levels and not levels.get("source"):
        yield file.fault("levels", "source", 'expected where the levels were read, or "ours"')


def _auto_exchange(file: TomlFile) -> Iterator[Fault]:
    """Yield what is wrong with when and how debts are exchanged."""
    yield from file.unknown("auto_exchange", _AUTO_EXCHANGE)
    rule = file.table("auto_exchange")
    thresholds = rule.get("thresholds", {})
    for asset, amount in thresholds.items() if isinstance(thresholds, dict) else [("", thresholds)]:
        number = decimal_of(amount)
        if number is None or number <= 0:
            yield file.fault("auto_exchange", "thresholds", f"{asset}: expected a decimal above 0, found {amount!r}")
    haircuts = rule.get("haircuts", {})
    for asset, rate in haircuts.items() if isinstance(haircuts, dict) else [("", haircuts)]:
        number = decimal_of(rate)
        if number is None or not 0 <= number < ONE:
            yield file.fault("auto_exchange", "haircuts", f"{asset}: expected 0 or more, below 1, found {rate!r}")
    part = decimal_of(rule.get("haircut_share", "0"))
    if part is None or not 0 <= part <= ONE:
        yield file.fault("auto_exchange", "haircut_share", f"expected from 0 to 1, found {rule['haircut_share']!r}")
    share = decimal_of(rule.get("loan_to_value", "1"))
    if share is None or share <= 0:
        yield file.fault("auto_exchange", "loan_to_value", f"expected above 0, found {rule['loan_to_value']!r}")
    if not isinstance(rule.get("idle_only", False), bool):
        yield file.fault("auto_exchange", "idle_only", f"expected true or false, found {rule['idle_only']!r}")
    order = rule.get("order_of_sale", _ORDERS_OF_SALE[0])
    if order not in _ORDERS_OF_SALE:
        yield file.fault("auto_exchange", "order_of_sale", f"expected one of {', '.join(_ORDERS_OF_SALE)}")


def _offers(file: TomlFile) -> Iterator[Fault]:
    """Yield what is wrong with what the venue offers: ``yes``, ``yes: what it asks``, ``no: why``."""
    yield from file.unknown("architectures", ARCHITECTURES)
    for name, said in file.table("architectures").items():
        answer, _, reason = str(said).partition(":")
        if answer not in {"yes", "no"} or (answer == "no" and not reason.strip()):
            yield file.fault("architectures", name, f"expected yes, or no: and the reason, found {said!r}")


def _liquidation(file: TomlFile) -> Iterator[Fault]:
    yield from file.unknown("liquidation", _LIQUIDATION)
    liquidation = file.table("liquidation")
    for key in ("sequence", "isolated_sequence"):
        sequence = liquidation.get(key, [])
        for step in sequence if isinstance(sequence, list) else [sequence]:
            if step not in STEPS:
                hint = nearest(str(step), STEPS) or f"expected one of {', '.join(STEPS)}"
                yield file.fault("liquidation", key, f"unknown step {step!r}; {hint}")
    at = decimal_of(liquidation.get("cancel_orders_at", "1"))
    if at is None or not ZERO < at <= ONE:
        expected = "expected a decimal string above 0 and at most 1"
        yield file.fault("liquidation", "cancel_orders_at", f"{expected}, found {liquidation['cancel_orders_at']!r}")
    stop = liquidation.get("stop_at_health", "1")
    number = decimal_of(stop)
    if number is None or number < ONE:
        yield file.fault("liquidation", "stop_at_health", f"expected a decimal string of at least 1, found {stop!r}")
    for key, choices in _LIQUIDATION_CHOICES.items():
        value = liquidation.get(key, choices[0])
        if value not in choices:
            hint = nearest(str(value), choices) or f"expected one of {', '.join(choices)}"
            yield file.fault("liquidation", key, f"cannot be {value!r}; {hint}")
    if not isinstance(liquidation.get("note", ""), str):
        yield file.fault("liquidation", "note", f"expected text, found {liquidation['note']!r}")


def _sources_of_rules(file: TomlFile) -> Iterator[Fault]:
    known = (*_RULES[4:], *_ARCHITECTURES, "isolated_inverse", *_LIQUIDATION, *Policies.__dataclass_fields__)
    yield from file.unknown("sources", known)
    sources = file.table("sources")
    if file.table("policies") and not sources.get("policies"):
        yield file.fault("sources", "policies", "expected where the policies were read")
    for key, source in sources.items():
        if not isinstance(source, str) or not source:
            yield file.fault("sources", key, f"expected text, found {source!r}")


def _texts(file: TomlFile, section: str, known: Collection[str] | None) -> Iterator[Fault]:
    if known is not None:
        yield from file.unknown(section, sorted(known))
    for key, value in file.table(section).items():
        if not isinstance(value, str) or not value:
            yield file.fault(section, key, f"expected text, found {value!r}")


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────


@exact
def check_tables(folder: Path, *, progressive: bool) -> list[Fault]:
    """Return everything that is wrong with the tables of one dated folder and with their SOURCES.toml.

    ``progressive``: whether the venue's deductions keep maintenance margin continuous; elsewhere there are none.
    """
    faults: list[Fault] = []
    for path in sorted(folder.iterdir()):
        known = (*COLUMNS, TERMS, "rules.toml", "SOURCES.toml", rulebooks.PORTFOLIO)
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
        from ringfence.rulebooks.check_portfolio import portfolio_faults

        faults += portfolio_faults(folder / rulebooks.PORTFOLIO)
    sourced = [*tables, *([TERMS] if (folder / TERMS).is_file() else [])]
    if sourced:
        faults += _source_faults(folder / "SOURCES.toml", sourced)
    elif not (folder / "rules.toml").is_file() and not (folder / rulebooks.PORTFOLIO).is_file():
        faults.append(Fault(folder, None, "neither rules nor tables"))
    return faults


def _fee_faults(folder: Path, levels: list[Row] | None) -> Iterator[Fault]:
    from ringfence.rulebooks.check_fees import level_faults, term_faults

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


def decimal_of(value: object) -> Decimal | None:
    """Return the number that a plain text states; None for anything else, infinities and NaN included."""
    if not isinstance(value, str) or value != value.strip() or "_" in value:
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def _positive(number: Decimal) -> bool:
    return number > 0


def _not_negative(number: Decimal) -> bool:
    return number >= 0


def _is_rate(number: Decimal) -> bool:
    return 0 < number <= 1


def _is_fee(number: Decimal) -> bool:
    return abs(number) < 1


_CONTRACT_NUMBERS: dict[str, tuple[Callable[[Decimal], bool], str]] = {
    "contract_size": (_positive, "a number above 0"),
    "price_step": (_positive, "a number above 0"),
    "quantity_step": (_positive, "a number above 0"),
    "minimum_quantity": (_not_negative, "0 or more"),
    "minimum_notional": (_not_negative, "0 or more"),
    "maker_fee_rate": (_is_fee, "a fraction between -1 and 1"),
    "taker_fee_rate": (_is_fee, "a fraction between -1 and 1"),
    "liquidation_fee_rate": (_is_fee, "a fraction between -1 and 1"),
}
_TIER_NUMBERS: dict[str, tuple[Callable[[Decimal], bool], str]] = {
    "floor": (_not_negative, "0 or more"),
    "cap": (_positive, "a number above 0"),
    "maintenance_rate": (_is_rate, "a fraction above 0 and at most 1"),
    "deduction": (_not_negative, "0 or more"),
    "max_leverage": (_positive, "a number above 0"),
}


def number_faults(
    path: Path, row: Row, numbers: dict[str, tuple[Callable[[Decimal], bool], str]], name: str
) -> Iterator[Fault]:
    """Yield a fault for each cell that is neither empty (not known) nor a number of its kind."""
    for column, (fits, expected) in numbers.items():
        cell = row.cells[column]
        number = decimal_of(cell)
        if cell and (number is None or not fits(number)):
            yield Fault(path, row.line, f"{name} {column}: expected {expected}, found {cell!r}")


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
        words = (("kind", kinds), ("tier_unit", ("notional", "contracts", "base")), ("coverage", _COVERAGES))
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


def _haircut_faults(path: Path, rows: list[Row]) -> Iterator[Fault]:
    numbers: dict[str, tuple[Callable[[Decimal], bool], str]] = {
        "floor": (_not_negative, "0 or more"),
        "cap": (_positive, "a number above 0"),
        "collateral_ratio": (lambda ratio: 0 <= ratio <= 1, "a fraction from 0 to 1"),
    }
    for asset, group in groupby(rows, key=lambda row: row.cells["asset"]):
        ladder = list(group)
        for number, row in enumerate(ladder, 1):
            name = f"{asset} tier {row.cells['tier']}"
            yield from number_faults(path, row, numbers, name)
            if row.cells["tier"] != str(number):
                yield Fault(path, row.line, f"{name}: expected tier {number}")
            if not row.cells["collateral_ratio"]:
                yield Fault(path, row.line, f"{name} collateral_ratio: empty")
            if row.cells["unit"] not in {"base", "usd"}:
                yield Fault(path, row.line, f"{name} unit: expected base or usd, found {row.cells['unit']!r}")
        for below, above in pairwise(ladder):
            if below.cells["cap"] != above.cells["floor"]:
                yield Fault(path, above.line, f"{asset} tier {above.cells['tier']} floor: expected "
                                              f"{below.cells['cap'] or 'nothing'}")  # fmt: skip


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
        if bound is None or not _is_rate(bound):
            yield Fault(path, row.line, f"{row.cells['symbol']} take_bound: expected a fraction above 0 and at most 1")


def _source_faults(path: Path, tables: Collection[str]) -> Iterator[Fault]:
    if not path.is_file():
        yield Fault(path, None, "missing: every table needs a source and a date")
        return
    file = open_toml(path)
    if isinstance(file, Fault):
        yield file
        return
    yield from file.unknown("", ("tables", "source"))
    yield from file.unknown("tables", _TABLES)
    if file.table("tables").get("coverage") not in _COVERAGES:
        yield file.fault("tables", "coverage", f"expected {' or '.join(_COVERAGES)}")
    entries = file.data.get("source", [])
    starts = [number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
              if line.strip() == "[[source]]"]  # fmt: skip
    covered: set[str] = set()
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        line = starts[index] if index < len(starts) else None
        covered.add(str(entry.get("file")))
        if entry.get("file") not in tables:
            yield Fault(path, line, f"source of {entry.get('file')!r}, which is not in the folder")
        for key in _SOURCE[:5]:
            if not entry.get(key):
                yield Fault(path, line, f"source of {entry.get('file')!r}: {key} is missing")
        if entry.get("confidence") not in {None, "high", "medium", "low"}:
            yield Fault(path, line, f"confidence: expected high, medium or low, found {entry['confidence']!r}")
        for key in entry:
            if key not in _SOURCE:
                yield Fault(
                    path, line, f"unknown key {key}; {nearest(key, _SOURCE) or 'expected ' + ', '.join(_SOURCE)}"
                )
    for file_name in sorted(set(tables) - covered):
        yield Fault(path, None, f"no source for {file_name}")


__all__ = ["COLUMNS", "DEDUCTION_TOLERANCE", "STEPS", "Fault", "Row", "TomlFile", "check", "check_rules",
           "check_tables", "decimal_of", "number_faults", "open_toml"]  # fmt: skip
