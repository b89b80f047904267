"""The fields that each part of an account file may have."""

from __future__ import annotations

SCHEMA = "ringfence.account/1"

TOP = (
    "schema", "rulebook", "account", "as_of", "contracts", "policy", "notes", "id", "source", "authority", "title",
    "circumstances",
)  # fmt: skip
CIRCUMSTANCES = ("experience", "purpose", "purposes")
ACCOUNT = (
    "position_mode", "collateral_mode", "wallet", "collateral", "positions", "orders", "fee_level", "fee_discounts",
    "fees", "time", "index", "rates", "loans", "spot_hedging",
)  # fmt: skip
POSITION = (
    "symbol", "side", "quantity", "entry_price", "mark_price", "margin_mode", "isolated_margin", "leverage",
    "implied_volatility",
)  # fmt: skip
ORDER = ("symbol", "side", "quantity", "price", "leverage", "mark_price", "reduce_only", "position_side")
FEES = ("maker", "taker")
COLLATERAL = ("index", "ratio", "bid_buffer", "ask_buffer", "tiers", "tier_unit", "moves_with")
SLICE = ("floor", "cap", "ratio")
CONTRACT = (
    "kind", "contract_size", "settle_asset", "price_step", "quantity_step", "minimum_quantity", "minimum_notional",
    "maker_fee_rate", "taker_fee_rate", "liquidation_fee_rate", "tiers", "tier_unit", "underlying", "expiry", "strike",
    "option_type",
)  # fmt: skip
TIER = ("floor", "cap", "maintenance_rate", "deduction", "max_leverage")

FIELDS = {
    "file": TOP,
    "account": ACCOUNT,
    "position": POSITION,
    "order": ORDER,
    "collateral": COLLATERAL,
    "collateral_tier": SLICE,
    "fees": FEES,
    "contract": CONTRACT,
    "tier": TIER,
    "circumstances": CIRCUMSTANCES,
}
"""The fields that each part of a file may have."""


__all__ = [
    "ACCOUNT",
    "CIRCUMSTANCES",
    "COLLATERAL",
    "CONTRACT",
    "FEES",
    "FIELDS",
    "ORDER",
    "POSITION",
    "SCHEMA",
    "SLICE",
    "TIER",
    "TOP",
]
