"""Published figures that are not an account's assessment: tier deductions, tier choice, … as the answers state them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.numbers import exact
from ringfence.rulebook import Tier, TierTable, continuous_deductions, largest_amount_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@exact
def compute(kind: str, rulebook: str, inputs: Mapping[str, Any]) -> dict[str, Decimal] | None:
    """Return the figures of a topic by name, or None where ringfence does not compute that topic for that venue."""
    compute_topic = _TOPICS.get(kind)
    return None if compute_topic is None else compute_topic(rulebook, inputs)


def _tier_deduction(_rulebook: str, inputs: Mapping[str, Any]) -> dict[str, Decimal] | None:
    """Deductions that make maintenance continuous, from caps and rates, or one step from the deduction before."""
    rows = inputs.get("brackets") or inputs.get("tiers")
    if rows:
        floors = [Decimal(0), *(Decimal(row["cap"]) for row in rows)]
        rates = [Decimal(row["mmr_pct"]).scaleb(-2) for row in rows]
        deductions = continuous_deductions(tuple(zip(floors, rates, strict=False)))
        prefix = "cum_tier" if "brackets" in inputs else "deduction_tier"
        return {f"{prefix}{number}": value for number, value in enumerate(deductions, 1)}
    found: dict[str, Decimal] = {}
    for key, floor in inputs.items():
        name, _, _unit = key.partition("_floor")
        number = name.removeprefix("tier")
        if not (key.startswith("tier") and "_floor" in key and number.isdigit()):
            continue
        before = str(int(number) - 1)
        if f"cum{before}" in inputs and f"mmr{before}" in inputs and f"mmr{number}" in inputs:
            step = Decimal(floor) * (Decimal(inputs[f"mmr{number}"]) - Decimal(inputs[f"mmr{before}"]))
            found[f"cum{number}"] = Decimal(inputs[f"cum{before}"]) + step
    return found or None


def _tier_choice(_rulebook: str, inputs: Mapping[str, Any]) -> dict[str, Decimal] | None:
    """Largest position at a leverage (tiers by cap), or the total over expiries that a tier is chosen on."""
    if "tiers" in inputs:
        rows = inputs["tiers"]
        floors = [Decimal(0), *(Decimal(row["cap"]) for row in rows)]
        table = TierTable(
            tuple(
                Tier(floor, None, Decimal(0), Decimal(row["max_leverage"]), Decimal(row["cap"]))
                for floor, row in zip(floors, rows, strict=False)
            )
        )
        found = {}
        for leverage in inputs.get("leverages", ()):
            largest = largest_amount_at(table, Decimal(leverage))
            if largest is not None:
                found[f"max_at_{leverage}x"] = largest
        return found
    expiries = ("weekly", "biweekly", "quarterly", "biquarterly")
    if inputs and all(key in expiries for key in inputs):
        return {"total_for_tier": sum((Decimal(value) for value in inputs.values()), Decimal(0))}
    return None


_TOPICS: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Decimal] | None]] = {
    "tier_deduction": _tier_deduction,
    "tier_choice": _tier_choice,
}
