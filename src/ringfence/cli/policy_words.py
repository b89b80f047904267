"""What every policy and every choice of it means, in plain words, for ``rulebooks show`` and ``--explain``."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import plain
from ringfence.rulebook import Policies

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROUNDING = {
    "none": "is not rounded",
    "nearest": "is rounded to the nearest price step",
    "toward_entry": "is rounded to the price step toward the entry: the earlier price",
    "away_from_entry": "is rounded to the price step away from the entry: the later price",
    "one_step_toward_entry": "is shown one price step nearer to the entry",
}
_FEE = {
    "none": "no closing fee is held back",
    "mark": "the fee to close at the mark is held back",
    "frozen_mark": "the fee to close at today's mark is held back, and stays while a price is tested",
    "entry": "the fee to close at the entry value is held back",
    "entry_and_margin": "the fee to close at entry value plus the position's margin is held back",
    "bankruptcy_price": "the fee to close at the bankruptcy price is held back",
    "leverage_bankruptcy_price": "the fee to close where the margin of the leverage is lost is held back",
}

WORDS: Mapping[str, Mapping[str, str]] = {
    "initial_margin_at": {
        "entry": "initial margin is taken on the value at entry",
        "mark": "initial margin is taken on the value at the mark",
    },
    "maintenance_at": {
        "entry": "maintenance margin stays at its value at entry",
        "mark": "maintenance margin moves with the mark",
        "frozen_mark": "maintenance margin is that of today's mark while a price is tested",
    },
    "notional_at": {
        "entry": "the venue shows the position's value at entry",
        "mark": "the venue shows the position's value at the mark",
    },
    "closing_fee": _FEE,
    "closing_fee_rate": {
        "taker": "that fee is at the taker rate",
        "liquidation": "that fee is at the liquidation rate (the taker's where there is none)",
    },
    "initial_margin_fee": {
        "none": "initial margin holds no fee",
        "value": "initial margin holds the taker fee on the position's value",
        "leverage_bankruptcy_price": "initial margin holds the fee to close where the margin of the leverage is lost",
    },
    "tier_type": {
        "progressive": "each slice of the value is charged at its own tier's rate (value · rate − deduction)",
        "step": "the whole value is charged at the rate of its tier",
        "linear_in_size": "the rate rises with the size held",
        "adjustment_factor": "maintenance is a share of initial margin, the adjustment factor",
    },
    "tier_key": {
        "leg": "each position chooses its tier by itself",
        "with_orders": "open orders on a position's side count towards its tier, where one rate holds for the whole",
        "net": "long and short of a symbol choose the tier by their net size",
        "larger_side": "the larger of long and short chooses the tier of both",
        "underlying_total": "the expiries of one underlying choose their tier together (cross)",
    },
    "hedge_charge": {
        "both": "both legs of a hedge are charged",
        "larger_side": "only the larger leg of a hedge is charged",
    },
    "margin_ratio": {
        "requirement / balance": "the venue's ratio is requirement ÷ balance: 100 % is liquidation",
        "balance / requirement": "the venue's ratio is balance ÷ requirement: 100 % is liquidation, more is safer",
        "balance / notional": "the venue's ratio is balance ÷ notional: more is safer",
        "balance / initial - adjustment": "the venue's ratio is balance ÷ initial margin − factor: 0 % is liquidation",
        "maintenance / balance": "the venue's ratio is maintenance ÷ balance: 100 % is liquidation",
    },
    "trigger": {
        "at_or_below": "liquidated when the balance is at or below the requirement",
        "below": "liquidated when the balance is below the requirement",
    },
    "liquidation_price_rounding": {choice: f"the liquidation price {words}" for choice, words in _ROUNDING.items()},
    "pool_liquidation_price": {
        "alone": "the liquidation price in a shared pool lets its own symbol move alone",
        "shared_by_value": "the liquidation price in a shared pool stands on a share of the equity by value",
    },
    "bankruptcy_price_rounding": {choice: f"the bankruptcy price {words}" for choice, words in _ROUNDING.items()},
    "bankruptcy_reserve": {
        "none": "the bankruptcy price leaves nothing over",
        "closing_fee": "the bankruptcy price still pays the closing fee",
    },
    "bankruptcy_share": {"by_maintenance": "a shared pool's equity stands behind its positions by maintenance margin"},
    "non_positive_price": {
        "none": "a liquidation price at or below 0 is none",
        "reported": "a liquidation price at or below 0 is shown as it is",
    },
    "order_cost": {
        "initial_margin": "an order locks its initial margin",
        "with_open_loss": "an order locks its initial margin and the loss it would open with",
        "with_fees": "an order locks its initial margin and the fees to open and to close",
    },
    "available_balance": {
        "balance_less_initial": "unrealised profit can open positions",
        "profit_excluded": "unrealised profit cannot open positions; unrealised loss counts",
    },
    "initial_margin_rounding": {
        "none": "initial margin is not rounded",
        "up": "initial margin is rounded up",
        "down": "initial margin is rounded down",
    },
}
"""Meaning of each choice of each policy that is a choice among names."""

SWITCHES: Mapping[str, str] = {
    "closing_fee_in_maintenance": "the venue's maintenance figure holds the closing fee",
    "hedged_loss_locked": "the loss that a hedged quantity has fixed stays locked",
    "orders_in_requirement": "open orders carry maintenance margin and closing fee",
    "opening_fees_deducted": "opening fees of orders reduce the balance",
    "order_margin_deducted": "the margin of orders reduces the balance",
    "maintenance_from_initial": "maintenance is a fraction of the rounded initial margin",
    "unleveraged_initial": "a position without a leverage takes its tier's highest",
}
"""Meaning of each policy that is on or off, when it is on."""

LIQUIDATION_STEPS: Mapping[str, str] = {
    "freeze": "the account is frozen",
    "cancel_orders": "open orders are cancelled",
    "cancel_orders_if_replenishing": "open orders are cancelled where automatic margin is on",
    "auto_exchange": "collateral is sold for what is owed",
    "auto_repay": "debts are repaid from what is held",
    "net_opposing_legs": "long and short of one symbol are netted",
    "close_largest_loss_first": "positions are closed, the largest loss first",
    "hedge_delta": "what stands on the side of the net delta is reduced, unit by unit",
    "hedge_basis": "opposite sides of different expiries are closed against each other",
    "reduce_at_market": "positions are reduced at market",
    "reduce_in_increments": "positions are reduced bit by bit",
    "reduce_in_parts": "positions are reduced in parts, with a pause between them",
    "reduce_at_fillable_price": "positions are reduced at the price the venue computes",
    "step_down_tiers": "the position is reduced tier by tier",
    "step_down_fill_or_kill": "the position is reduced tier by tier, by orders that fill whole or not at all",
    "step_down_at_bankruptcy": "the position is taken over tier by tier at the bankruptcy price",
    "step_down_two_tiers": "from the third tier on the position is reduced two tiers at a time",
    "step_down_two_tiers_per_pass": "the position is reduced two tiers at a time",
    "close_at_market": "what is left is closed at market",
    "step_down_to_90_percent": "positions are reduced until the maintenance rate is at most 90 %",
    "take_over": "the rest is taken over at the bankruptcy price",
    "backstop_vault": "a backstop vault takes the position over",
    "assignment": "the position is assigned to other participants",
    "insurance_fund": "the insurance fund pays what is missing",
    "unwind": "positions are unwound against other holders",
    "auto_deleveraging": "opposite positions are closed at the bankruptcy price, by rank",
}
"""Meaning of each step that a rulebook's liquidation sequence may name."""


def meaning(policy: str, choice: object) -> str | None:
    """Return what a choice means in a sentence without a full stop; None where it only switches something off."""
    if policy in WORDS:
        return WORDS[policy].get(str(choice), str(choice))
    if policy in SWITCHES:
        return SWITCHES[policy] if choice else None
    if choice is None or (isinstance(choice, Decimal) and not choice):
        return None
    return f"{policy.replace('_', ' ')} is {plain(choice) if isinstance(choice, Decimal) else choice}"


def told(choice: object) -> str:
    """Return a choice as a rule file writes it."""
    if isinstance(choice, Decimal):
        return plain(choice)
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def chosen(policies: Policies) -> dict[str, object]:
    """Return the policies by name, those left out that are switched off or not used."""
    values = {field.name: getattr(policies, field.name) for field in fields(Policies)}
    if values["initial_margin_rounding"] == "none":
        values.pop("initial_margin_step")
    if values["closing_fee"] == "none":
        values.pop("closing_fee_rate")
    return {name: value for name, value in values.items() if meaning(name, value) is not None}


__all__ = ["LIQUIDATION_STEPS", "SWITCHES", "WORDS", "chosen", "meaning", "told"]
