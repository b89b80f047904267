"""Topics of risk tiers: deductions, the largest position at a leverage, what a tier is chosen on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import ZERO
from ringfence.rulebook import Tier, TierTable, continuous_deductions, largest_amount_at
from ringfence.study.topics.inputs import NotThisForm, number

if TYPE_CHECKING:
    from ringfence.study.topics.inputs import Figures, Inputs


def tier_deduction(_rulebook: str, inputs: Inputs) -> Figures:
    """Deductions that make maintenance continuous, from caps and rates, or one step from the deduction before.

    Source: Binance, liquidation price of USDⓈ-M and COIN-M futures; Bybit, margin parameters.
    """
    rows = inputs.get("brackets") or inputs.get("tiers")
    if rows:
        floors = [ZERO, *(number(row["cap"]) for row in rows)]
        rates = [number(row["mmr_pct"]).scaleb(-2) for row in rows]
        deductions = continuous_deductions(tuple(zip(floors, rates, strict=False)))
        prefix = "cum_tier" if "brackets" in inputs else "deduction_tier"
        return {f"{prefix}{index}": value for index, value in enumerate(deductions, 1)}
    found: Figures = {}
    for key, floor in inputs.items():
        name, _, _unit = key.partition("_floor")
        index = name.removeprefix("tier")
        if not (key.startswith("tier") and "_floor" in key and index.isdigit()):
            continue
        before = str(int(index) - 1)
        if f"cum{before}" in inputs and f"mmr{before}" in inputs and f"mmr{index}" in inputs:
            step = number(floor) * (number(inputs[f"mmr{index}"]) - number(inputs[f"mmr{before}"]))
            found[f"cum{index}"] = number(inputs[f"cum{before}"]) + step
    if not found:
        raise NotThisForm("neither tiers with caps and rates nor a tier's floor with the deduction before it")
    return found


_EXPIRIES = ("weekly", "biweekly", "quarterly", "biquarterly", "swap", "perpetual", "monthly")


def tier_choice(_rulebook: str, inputs: Inputs) -> Figures:
    """Largest position at a leverage (tiers by cap), or the total over expiries that a tier is chosen on.

    Source: Gate, risk limit (22162); OKX, position tiers: the sum over all expiries of an underlying in cross.
    """
    if "tiers" in inputs:
        rows = inputs["tiers"]
        floors = [ZERO, *(number(row["cap"]) for row in rows)]
        table = TierTable(
            tuple(
                Tier(floor, None, ZERO, number(row["max_leverage"]), number(row["cap"]))
                for floor, row in zip(floors, rows, strict=False)
            )
        )
        largest = {
            f"max_at_{leverage}x": largest_amount_at(table, number(leverage))
            for leverage in inputs.get("leverages", ())
        }
        return {name: amount for name, amount in largest.items() if amount is not None}
    if inputs and all(key in _EXPIRIES for key in inputs):
        return {"total_for_tier": sum((number(value) for value in inputs.values()), Decimal(0))}
    raise NotThisForm("neither tiers with caps and leverages nor sizes by expiry")


__all__ = ["tier_choice", "tier_deduction"]
