"""A venue's set-up as text, so that a journal holds everything its commands were decided with.

Canonical: equal set-ups are the same text. A rulebook that was *given* rather than named is written as the packaged one
of its name and day with its tables and changed policies beside it; one that differs in anything else cannot be written.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.contract import Contract, ContractKind, OptionType
from ringfence.engine.setup import Fees, Market, PriceGuard, Setup
from ringfence.errors import BadConfiguration, RingfenceError
from ringfence.fees import AccountFees
from ringfence.rulebook import Policies, Tier, TierTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence set-up 1"

# What a set-up meant that was written before it told: one place for every figure that came later.
_BEFORE: dict[str, dict[str, Any]] = {
    "guard": {"confirmations": None, "witnessed": None, "agreement": "0.05"},  # a jump was never believed
}

_POLICIES = ("isolated", "cross", "basket")
_LOOKS_UP = {
    "lookup",
    "symbols",
    "table_source",
    "haircuts",
    "accepted",
    "fee_schedule",
    "_charged",
}  # functions over the package's tables
_DATED = {"expiry", "strike", "option_type"}  # terms that perpetuals do not have; left out where there are none


def write(setup: Setup) -> str:
    """Return ``setup`` as canonical JSON. Raises BadConfiguration for a given rulebook that text cannot hold."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "rulebook": setup.rulebook_name,
        "as_of": setup.as_of,
        "fees": _plain(setup.fees),
        "market": _plain(setup.market),
        "guard": _plain(setup.guard),
        "self_trade": setup.self_trade,
        "rearm": str(setup.rearm),
        "impact": setup.impact,
        "start_fund": {asset: str(amount) for asset, amount in sorted(setup.start_fund.items())},
        "given": None if setup.given is None else _given(setup.given),
    }
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> Setup:
    """Return the set-up that ``text`` holds. Raises BadConfiguration for anything :func:`write` does not write."""
    try:
        data = json.loads(text, parse_float=Decimal)
        if data["schema"] != SCHEMA:
            raise _unreadable(f"schema {data['schema']!r}")
        data |= {part: {**meant, **data[part]} for part, meant in _BEFORE.items()}
        return Setup(
            rulebook_name=data["rulebook"],
            as_of=data["as_of"],
            fees=Fees(**_decimals(data["fees"], but={"source"})),
            market=Market(**_decimals(data["market"], but={"levels"})),
            guard=_guard(data["guard"]),
            self_trade=data["self_trade"],
            rearm=Decimal(data["rearm"]),
            impact=data["impact"],
            start_fund={asset: Decimal(amount) for asset, amount in data["start_fund"].items()},
            given=None if data["given"] is None else _taken(data["given"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error


def _unreadable(found: str) -> BadConfiguration:
    return BadConfiguration(
        "not a set-up that this version reads", where="set-up", expected=SCHEMA, found=found,
        hint="use the ringfence that wrote it, or a newer one",
    )  # fmt: skip


def _plain(part: Any) -> dict[str, Any]:
    return {field.name: _value(getattr(part, field.name)) for field in fields(part)}


def _value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return {key: str(rate) for key, rate in sorted(value.items())} if hasattr(value, "items") else value


def _decimals(data: Mapping[str, Any], *, but: set[str]) -> dict[str, Any]:
    return {key: value if key in but or value is None else Decimal(value) for key, value in data.items()}


def _guard(data: Mapping[str, Any]) -> PriceGuard:
    jump, distance = data["jump"], data["from_index"]
    return PriceGuard(
        None if jump is None else Decimal(jump),
        None if distance is None else Decimal(distance),
        data["stale_after"],
        {symbol: Decimal(rate) for symbol, rate in data["by_symbol"].items()},
        data["confirmations"],
        data["witnessed"],
        Decimal(data["agreement"]),
    )


# ── A rulebook that was given ────────────────────────────────────────────────────────────────────────────────────


def _given(rulebook: Rulebook) -> dict[str, Any]:
    try:
        base = rulebooks.load(rulebook.name, rulebook.as_of)
    except RingfenceError as error:
        raise _unwritable(rulebook, f"there is no packaged one of that name and day: {error}") from error
    allowed = {*_POLICIES, *_LOOKS_UP, "tables", "account_fees"}
    for field in fields(rulebook):
        if not field.compare or field.name in allowed:
            continue
        if getattr(rulebook, field.name) != getattr(base, field.name):
            raise _unwritable(rulebook, f"its {field.name} is not the packaged one's")
    return {
        "name": rulebook.name,
        "as_of": None if rulebook.as_of is None else rulebook.as_of.isoformat(),
        "policies": {kind: _changed(getattr(base, kind), getattr(rulebook, kind)) for kind in _POLICIES},
        "tables": {symbol: _table(*rulebook.tables[symbol]) for symbol in sorted(rulebook.tables)},
        **({} if rulebook.account_fees is None else {"fees": _account_fees(rulebook.account_fees)}),
    }


def _account_fees(fees: AccountFees) -> dict[str, Any]:
    return {**_plain(fees), "discounts": list(fees.discounts)}


def _unwritable(rulebook: Rulebook, why: str) -> BadConfiguration:
    return BadConfiguration(
        f"the given rulebook {rulebook.name} cannot be kept in a journal: {why}", where="set-up",
        expected="a packaged rulebook, with tables and policies of its own where they differ",
        hint="load a packaged rulebook and change it by with_tables and with_policies",
    )  # fmt: skip


def _changed(base: Policies, given: Policies) -> dict[str, Any]:
    return {
        field.name: _value(getattr(given, field.name))
        for field in fields(given)
        if getattr(given, field.name) != getattr(base, field.name)
    }


def _table(contract: Contract, tiers: TierTable | None) -> dict[str, Any]:
    dated = {
        "expiry": None if contract.expiry is None else contract.expiry.isoformat(),
        "option_type": None if contract.option_type is None else contract.option_type.value,
    }
    written = {**_plain(contract), "kind": contract.kind.value, **dated}
    terms = {name: value for name, value in written.items() if value is not None or name not in _DATED}
    table = None
    if tiers is not None:
        table = {"unit": tiers.unit, "tiers": [[_value(figure) for figure in tier] for tier in tiers.tiers]}
    return {"contract": terms, "tiers": table}


def _taken(data: Mapping[str, Any]) -> Rulebook:
    day = data["as_of"]
    base = rulebooks.load(data["name"], None if day is None else date.fromisoformat(day))
    isolated, cross, basket = (_with(getattr(base, kind), data["policies"][kind]) for kind in _POLICIES)
    changed = replace(base, isolated=isolated, cross=cross, basket=basket)
    changed = changed.with_tables({symbol: _entry(table) for symbol, table in data["tables"].items()})
    fees = data.get("fees")
    if fees is None:
        return changed
    given = _decimals(fees, but={"level", "discounts"})
    return changed.with_fees(AccountFees(**{**given, "discounts": tuple(given["discounts"])}))


def _with(base: Policies, changes: Mapping[str, Any]) -> Policies:
    words = {field.name for field in fields(base) if not _is_number(field.type)}
    return replace(base, **_decimals(changes, but=words))


def _is_number(annotation: object) -> bool:
    return str(annotation).split(" |", maxsplit=1)[0] in {"Decimal", "Rate", "Value", "Quantity"}


def _entry(table: Mapping[str, Any]) -> tuple[Contract, TierTable | None]:
    words = {"symbol", "kind", "settle_asset", "underlying", "expiry", "option_type"}
    terms = {**_decimals(table["contract"], but=words), "kind": ContractKind(table["contract"]["kind"])}
    if "expiry" in terms:
        terms["expiry"] = datetime.fromisoformat(terms["expiry"])
    if "option_type" in terms:
        terms["option_type"] = OptionType(terms["option_type"])
    contract = Contract(**terms)
    tiers = table["tiers"]
    if tiers is None:
        return contract, None
    rows = tuple(Tier(*(None if figure is None else Decimal(figure) for figure in row)) for row in tiers["tiers"])  # type: ignore[arg-type]
    return contract, TierTable(rows, tiers["unit"])


__all__ = ["SCHEMA", "read", "write"]
