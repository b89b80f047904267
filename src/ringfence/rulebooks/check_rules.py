"""What is wrong with a ``rules.toml``: keys, policies and choices not known, levels and steps without sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence import rulebooks
from ringfence.errors import BadRulebook, nearest
from ringfence.numbers import ONE, ZERO
from ringfence.rulebook import ARCHITECTURES, Policies, policy_values
from ringfence.rulebooks.faults import Fault, TomlFile, decimal_of, open_toml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from decimal import Decimal
    from pathlib import Path

STEPS = (
    "assignment", "auto_deleveraging", "auto_exchange", "auto_repay", "backstop_vault", "cancel_orders",
    "cancel_orders_if_replenishing", "close_at_market", "close_largest_loss_first", "freeze", "hedge_basis",
    "hedge_delta", "insurance_fund", "net_opposing_legs",
    "reduce_at_fillable_price", "reduce_at_market", "reduce_in_increments", "reduce_in_parts",
    "step_down_at_bankruptcy", "step_down_fill_or_kill", "step_down_tiers", "step_down_to_90_percent",
    "step_down_two_tiers", "step_down_two_tiers_per_pass", "take_over", "unwind",
)  # fmt: skip
"""Every step that a liquidation sequence may name."""
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
OWN_POLICIES = ("isolated", "cross", "basket")
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
        elif key in {*OWN_POLICIES, "isolated_inverse"}:
            for name, choice in value.items():
                yield from _policy(file, f"policies.{key}", name, choice)
        else:
            expected = f"expected one of {', '.join(OWN_POLICIES)}"
            yield file.fault(f"policies.{key}", "", f"unknown architecture; {nearest(key, OWN_POLICIES) or expected}")


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
    known = (*_RULES[4:], *OWN_POLICIES, "isolated_inverse", *_LIQUIDATION, *Policies.__dataclass_fields__)
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


__all__ = ["OWN_POLICIES", "STEPS", "check_rules"]
