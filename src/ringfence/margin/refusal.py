"""Numbered refusals: what a venue says no to. An expected answer, not an error.

Numbers never change their meaning. 1xx balance and margin · 2xx leverage · 3xx modes · 4xx positions and orders ·
5xx a running venue · 6xx guard rails of the account's own.
"""

from __future__ import annotations

from typing import NamedTuple

REASONS = {
    "insufficient_balance": 101,
    "margin_not_removable": 102,
    "not_isolated": 103,
    "would_be_liquidated": 104,
    "balance_unknown": 105,
    "collateral_not_accepted": 106,
    "debt_open": 107,
    "equity_below_minimum": 108,
    "ratio_too_low_to_open": 109,
    "leverage_above_tier": 201,
    "leverage_down_isolated": 202,
    "leverage_unknown": 203,
    "margin_mode_with_position": 301,
    "margin_mode_with_orders": 302,
    "isolated_margin_in_basket": 303,
    "cross_to_isolated": 304,
    "position_mode_with_position": 305,
    "position_mode_with_orders": 306,
    "unchanged": 307,
    "collateral_mode_not_offered": 308,
    "isolated_margin_in_portfolio": 309,
    "no_position": 401,
    "quantity_step": 402,
    "price_step": 403,
    "minimum_quantity": 404,
    "minimum_notional": 405,
    "reduce_only": 406,
    "above_last_tier": 407,
    "position_held": 408,
    "not_positive": 501,
    "unknown_symbol": 502,
    "no_price": 503,
    "stale_price": 504,
    "unknown_order": 505,
    "duplicate_order": 506,
    "post_only_would_take": 507,
    "fill_or_kill": 508,
    "no_liquidity": 509,
    "being_liquidated": 510,
    "unknown_choice": 511,
    "bonus_not_withdrawable": 512,
    "not_amendable": 513,
    "bad_order": 514,
    "bad_name": 515,
    "price_in_doubt": 516,
    "past_expiry": 517,
    "option_not_played": 518,
    "unknown_fee_level": 520,
    "unknown_discount": 521,
    "unknown_voucher": 522,
    "duplicate_voucher": 523,
    "voucher_over": 524,
    "never_expires": 525,
    "not_expired": 526,
    "settled": 527,
    "guard_rail_leverage": 601,
    "guard_rail_share": 602,
    "guard_rail_health": 603,
}


_GUARD_RAILS = 6  # hundreds


class Refusal(NamedTuple):
    """Why the venue refuses: a number, its name, and the figures in a sentence."""

    number: int
    reason: str
    message: str

    @property
    def by_guard_rails(self) -> bool:
        """Whether the account's own guard rails refuse, and not the venue."""
        return self.number // 100 == _GUARD_RAILS

    def __str__(self) -> str:
        return f"refused ({self.number} {self.reason}): {self.message}"


def refuse(reason: str, message: str) -> Refusal:
    """Return the refusal of that name; a name that has no number is a bug."""
    return Refusal(REASONS[reason], reason, message)


__all__ = ["REASONS", "Refusal", "refuse"]
