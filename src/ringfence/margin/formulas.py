"""Every margin formula, once.

Operators only, so that the same functions serve exact :class:`~decimal.Decimal` numbers and the float tables of a fast
lane. ``quantity`` is signed (+ long, − short); ``unit_value`` is the signed settlement value of one contract
(:meth:`ringfence.contract.Contract.unit_value`); every amount is in the settlement asset. Nothing here rounds.

Sources, by formula: Binance, liquidation price of USDⓈ-M futures (FAQ b3c689c1f50a44cabb3a84e663b81d93) for maintenance
by tier with its deduction; Binance, cost to open a position (FAQ 87fa7ee33b574f7084d42bd2ce2e463b) for the open loss;
Bybit, order cost of USDT contracts, for the fee to close at the bankruptcy price; Deribit, linear perpetual (support
25944738177565), for rates that grow with size; dYdX v4 (chain, perpetuals lib) for rates that grow with open interest.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

N = TypeVar("N", Decimal, float)


def unrealised_pnl(quantity: N, unit_value: N, entry_value: N) -> N:
    """Return what closing at ``unit_value`` would gain: ``quantity · unit_value − entry_value``, entry value signed."""
    return quantity * unit_value - entry_value


def notional(size: N, contract_value: N) -> N:
    """Return the unsigned value of ``size`` (unsigned) contracts at the unsigned value of one."""
    return size * contract_value


def maintenance_margin(value: N, rate: N, deduction: N) -> N:
    """Return ``value · rate − deduction``: maintenance margin of a position value in its tier."""
    return value * rate - deduction


def rate_by_size(base: N, slope: N, size: N) -> N:
    """Return ``base + slope · size``: the margin rate, on the whole size, of a venue without tiers."""
    return base + slope * size


def open_loss(quantity: N, unit_value_at_mark: N, unit_value_at_price: N) -> N:
    """Return what an order would lose the moment it fills: ``max(0, −quantity · (mark − price))`` in unit values."""
    loss = quantity * (unit_value_at_price - unit_value_at_mark)
    return loss if loss > 0 else loss - loss


def bankruptcy_value(value: N, margin: N, direction: int) -> N:
    """Return the value a position is closed at when its initial margin is lost: ``value ∓ margin``.

    ``direction`` is +1 where a falling contract value hurts (a linear long, an inverse short), −1 otherwise.
    """
    return value - margin if direction > 0 else value + margin


def open_interest_share(open_interest_value: N, lower_cap: N, upper_cap: N) -> tuple[N, N]:
    """Return (numerator, denominator) of how far open interest is between its caps, both ≥ 0, at most 1 as a fraction.

    The initial rate grows from its base to 1 over that share; the maintenance rate does not.
    """
    width = upper_cap - lower_cap
    above = open_interest_value - lower_cap
    if above <= 0:
        return above - above, width
    return (above, width) if above < width else (width, width)


def break_even_value(entry_contract_value: N, fee_rate: N, direction: int) -> tuple[N, N]:
    """Return (numerator, denominator) of the contract value at which closing pays both taker fees.

    ``direction`` is +1 for a position that gains when the contract value rises. From
    ``direction · (v − entry) = fee_rate · (v + entry)``.
    """
    if direction > 0:
        return entry_contract_value * (1 + fee_rate), 1 - fee_rate
    return entry_contract_value * (1 - fee_rate), 1 + fee_rate
