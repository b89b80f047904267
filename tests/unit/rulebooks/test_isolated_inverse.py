"""Bybit, unified account, isolated inverse: since May 2026 the closing fee is that of the bankruptcy price."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from ringfence.account import Account, MarginMode, Position, pools
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess
from ringfence.margin.price import liquidation_prices
from ringfence.rulebook import Tier, TierTable
from ringfence.rulebooks import load

D, F = Decimal, Fraction
SIZE, ENTRY, LEVERAGE, FEE, RATE, EXTRA = F(10_000), F(50_000), F(10), F("0.00055"), F("0.005"), F("0.003")


@pytest.mark.parametrize("sign", [1, -1])
def test_the_price_is_the_one_of_the_published_form(sign: int) -> None:
    contract = Contract("BTCUSD", ContractKind.INVERSE, D(1), "BTC", taker_fee_rate=D("0.00055"))
    tiers = TierTable((Tier(D(0), D("0.005"), D(0), D(100)),))
    rulebook = load("bybit-uta", date(2026, 5, 1)).with_tables({"BTCUSD": (contract, tiers)})
    margin = SIZE / (ENTRY * LEVERAGE) + FEE * SIZE / ENTRY * (1 + F(sign) / LEVERAGE) + EXTRA
    put = (D(margin.numerator) / D(margin.denominator)).quantize(D("1e-24"))
    held = Position("BTCUSD", D(sign) * 10_000, D(50_000), MarginMode.ISOLATED, put, D(10))
    (pool,) = pools(Account((held,)), rulebook.contract)
    found = liquidation_prices(assess(pool, {"BTCUSD": D(50_000)}, rulebook), "BTCUSD").of_side(held.side)
    assert found is not None
    # LP = S · (1 + s·m) ÷ [S ÷ EP + s · S ÷ (EP · L) + s · extra ÷ (1 + s·f)], with one tier (d = 0)
    expected = (
        SIZE * (1 + sign * RATE) / (SIZE / ENTRY + sign * SIZE / (ENTRY * LEVERAGE) + sign * EXTRA / (1 + sign * FEE))
    )
    assert abs(F(found) - expected) < F(1, 10**12)


def test_linear_positions_and_the_days_before_keep_the_fee_of_the_leverage() -> None:
    now, before = load("bybit-uta"), load("bybit-uta", date(2026, 4, 30))
    assert now.policies_for(isolated=True).closing_fee == "leverage_bankruptcy_price"
    assert before.policies_for(isolated=True, inverse=True).closing_fee == "leverage_bankruptcy_price"
    assert now.policies_for(isolated=False, inverse=True).closing_fee == "leverage_bankruptcy_price"
    assert now.policies_for(isolated=True, inverse=True).closing_fee == "bankruptcy_price"
