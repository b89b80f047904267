"""Contracts and risk tiers that an account file brings along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence import rulebooks
from ringfence.account_file.fields import CONTRACT, TIER
from ringfence.account_file.values import (
    choice_of,
    list_of,
    moment_of,
    name_of,
    number_of,
    object_of,
    positive_of,
    word_of,
)
from ringfence.contract import Contract, ContractKind, OptionType
from ringfence.errors import BadAccount
from ringfence.numbers import ONE, ZERO
from ringfence.rulebook import Tier, TierTable

if TYPE_CHECKING:
    from decimal import Decimal

_EXPIRY_HOUR = 8  # of the day in UTC at which Deribit, OKX, Bybit and Binance settle what expires


def read_contract(
    symbol: str,
    raw: Any,
    where: str,
    *,
    progressive: bool,
) -> tuple[Contract, TierTable | None]:
    """Return a contract and its tiers as an account file states them. Raises BadAccount.

    A deduction that is not given follows from continuity where the venue's tiers are progressive, and is 0 otherwise.
    """
    row = object_of(raw, CONTRACT, where)
    optional = {
        key: number_of(row.get(key), f"{where}.{key}", null=True)
        for key in ("quantity_step", "minimum_quantity", "minimum_notional", "maker_fee_rate", "taker_fee_rate",
                    "liquidation_fee_rate")
    }  # fmt: skip
    step = row.get("price_step")
    size = row.get("contract_size")
    maker = row.get("maker_fee_rate")
    if maker is not None:
        optional["maker_fee_rate"] = number_of(maker, f"{where}.maker_fee_rate", signed=True)
    kind = choice_of(row.get("kind"), ContractKind, f"{where}.kind", ContractKind.LINEAR)
    contract = Contract(
        symbol=symbol,
        kind=kind,
        contract_size=ONE if size is None else positive_of(size, f"{where}.contract_size"),
        settle_asset=name_of(row.get("settle_asset"), f"{where}.settle_asset"),
        price_step=None if step is None else positive_of(step, f"{where}.price_step"),
        underlying=None if row.get("underlying") is None else name_of(row["underlying"], f"{where}.underlying"),
        expiry=None if row.get("expiry") is None else moment_of(row["expiry"], f"{where}.expiry", hour=_EXPIRY_HOUR),
        **_option_terms(row, kind, where),
        **optional,
    )
    unit = row.get("tier_unit")
    unit = word_of("notional" if unit is None else unit, ("notional", "contracts"), f"{where}.tier_unit")
    rows = list_of(row.get("tiers"), f"{where}.tiers")
    return contract, _tiers(rows, f"{where}.tiers", unit, progressive=progressive) if rows else None


def _option_terms(row: dict[str, Any], kind: ContractKind, where: str) -> dict[str, Any]:
    """Return an option's strike and type, which no other contract has. Raises BadAccount."""
    if kind is not ContractKind.OPTION:
        for key in ("strike", "option_type"):
            if row.get(key) is not None:
                raise BadAccount(
                    f"{key} of a contract that is no option", where=f"{where}.{key}", expected="null",
                    found=str(row[key]), hint='leave it out, or set "kind": "option"',
                )  # fmt: skip
        return {}
    for key in ("underlying", "expiry", "strike", "option_type"):
        if row.get(key) is None:
            raise BadAccount(
                f"an option without {key}", where=f"{where}.{key}", expected="underlying, expiry, strike, option_type",
                found="nothing", hint=f"add {key}: without it the option cannot be valued",
            )  # fmt: skip
    return {
        "strike": positive_of(row["strike"], f"{where}.strike"),
        "option_type": choice_of(row["option_type"], OptionType, f"{where}.option_type", None),
    }


def _tiers(rows: list[Any], where: str, unit: str, *, progressive: bool) -> TierTable:
    tiers: list[Tier] = []
    given: list[Decimal | None] = []
    for index, raw in enumerate(rows):
        place = f"{where}[{index}]"
        row = object_of(raw, TIER, place)
        floor = number_of(row.get("floor"), f"{place}.floor") or ZERO
        cap = number_of(row.get("cap"), f"{place}.cap", null=True)
        rate = number_of(row.get("maintenance_rate"), f"{place}.maintenance_rate", null=True)
        if rate is not None and rate > 1:
            raise BadAccount(
                "a maintenance rate above 1", where=f"{place}.maintenance_rate", expected="between 0 and 1",
                found=str(rate), hint="0.5 % is written 0.005",
            )  # fmt: skip
        deduction = number_of(row.get("deduction"), f"{place}.deduction", null=True)
        if index == 0 and floor:
            raise BadAccount(
                "the first tier does not start at 0", where=f"{place}.floor", expected="0", found=str(floor),
                hint="a single known tier is written with floor 0",
            )  # fmt: skip
        if tiers:
            _check_next_tier(tiers[-1], floor, rate, place)
        if cap is not None and cap <= floor:
            raise BadAccount("a tier that ends before it starts", where=f"{place}.cap", expected=f"above {floor}",
                             found=str(cap))  # fmt: skip
        leverage = row.get("max_leverage")
        most = None if leverage is None else positive_of(leverage, f"{place}.max_leverage")
        tiers.append(Tier(floor, rate, deduction or ZERO, most, cap))
        given.append(deduction)
    table = tuple(tiers)
    return TierTable(rulebooks.with_deductions(table, tuple(given)) if progressive else table, unit)


def _check_next_tier(before: Tier, floor: Decimal, rate: Decimal | None, place: str) -> None:
    if floor <= before.floor or (before.cap is not None and floor < before.cap):
        raise BadAccount(
            "tiers overlap", where=f"{place}.floor",
            expected=f"{before.cap if before.cap is not None else 'above ' + str(before.floor)}", found=str(floor),
            hint="tiers ascend, and each starts where the one before it ends",
        )  # fmt: skip
    if before.cap is not None and floor > before.cap:
        raise BadAccount(
            "a gap between tiers", where=f"{place}.floor", expected=str(before.cap), found=str(floor),
            hint="each tier starts where the one before it ends",
        )  # fmt: skip
    if rate is not None and before.maintenance_rate is not None and rate < before.maintenance_rate:
        raise BadAccount(
            "the maintenance rate falls", where=f"{place}.maintenance_rate",
            expected=f"at least {before.maintenance_rate}", found=str(rate), hint="larger positions never need less",
        )  # fmt: skip


__all__ = ["read_contract"]
