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

Modules: ``dated_folders`` where they are; ``contract_tables``, ``haircut_tables``, ``fee_tables`` what is read, with
``csv_rows``; ``catalogue`` what there is. ``check`` finds what is wrong: ``check_rules``, ``check_tables``,
``check_delivery``, ``check_fees``, ``check_portfolio``, ``check_sources``, as ``faults``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ringfence.delivery import NOT_KNOWN, read_delivery
from ringfence.errors import BadRulebook
from ringfence.portfolio_rules import read_rules
from ringfence.rulebook import AutoExchange, Levels, Policies, Rulebook, policy_values
from ringfence.rulebooks.contract_tables import ContractTables, with_deductions
from ringfence.rulebooks.csv_rows import records
from ringfence.rulebooks.dated_folders import ALWAYS, PACKAGED, Folder, folders, names, user_directory
from ringfence.rulebooks.haircut_tables import Haircuts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringfence.delivery import DeliveryTerms
    from ringfence.portfolio_rules import PortfolioRules

PORTFOLIO = "portfolio.toml"  #: the rules of portfolio margin in a dated folder
DELIVERY = "delivery.toml"  #: how what expires is settled, in a dated folder


def load(name: str, as_of: date | None = None) -> Rulebook:
    """Return the rulebook ``name`` as of a day; None takes the latest rules and tables.

    Raises BadRulebook for an unknown name, for a rule file that does not hold, and for a day before the first rules.
    """
    text, path = _rules_of(name, as_of)
    try:
        rulebook = _rulebook(name, as_of, text, _tables(name, text, as_of), str(path))
        return replace(_with_portfolio(rulebook, text), delivery=_delivery(name, text, as_of))
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
    found = records(folder.path, "contracts.csv", symbol)
    return (found[0].get("coverage") or None) if found else None


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


def _tables(name: str, text: Mapping[str, Any], as_of: date | None) -> ContractTables:
    dated = folders(name)
    for other in text.get("tables_from", ()):
        dated += folders(other)
    return ContractTables(
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


def _delivery(name: str, text: Mapping[str, Any], as_of: date | None) -> DeliveryTerms:
    """Return the latest terms of delivery on a day: the venue's own, else those of whose tables it reads."""
    for venue in (name, *text.get("tables_from", ())):
        dated = [folder for folder in folders(venue) if (folder.path / DELIVERY).is_file() and folder.not_after(as_of)]
        if dated:
            return _delivery_terms(dated[-1].path / DELIVERY)
    return NOT_KNOWN


@lru_cache(maxsize=32)
def _delivery_terms(path: Path) -> DeliveryTerms:
    return read_delivery(_rules(path), where=str(path))


@lru_cache(maxsize=32)
def _portfolio_rules(folder: Path) -> PortfolioRules:
    path = folder / PORTFOLIO
    return read_rules(_rules(path), day=folder.name, where=str(path))


@lru_cache(maxsize=64)
def _rules(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise BadRulebook(f"not valid TOML: {error}", where=str(path), hint="mend the file at that line") from error


def _rulebook(name: str, as_of: date | None, text: Mapping[str, Any], reader: ContractTables, where: str) -> Rulebook:
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
    haircuts = Haircuts(name, folders(name), as_of)
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


__all__ = [
    "ALWAYS",
    "DELIVERY",
    "PACKAGED",
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
