"""Prices and sizes of liquidations at venues that publish their arithmetic."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.margin.forced import bankruptcy_proceeds, bankruptcy_rating, fillable_price, restoring_size


@pytest.mark.parametrize(
    ("collateral", "requirement", "adjustment", "rating"),
    [
        ("500", "500", "1", "0"),  # just at its requirement
        ("250", "500", "1", "0.5"),
        ("250", "500", "1.5", "0.75"),
        ("250", "500", "4", "1"),  # never above 1
        ("0", "500", "1", "1"),
        ("-10", "500", "1", "1"),
        ("600", "500", "1", "0"),  # nor below 0
        ("-1", "0", "1", "1"),
        ("1", "0", "1", "0"),
    ],
)
def test_how_bankrupt_an_account_is(collateral: str, requirement: str, adjustment: str, rating: str) -> None:
    found = bankruptcy_rating(
        collateral=Decimal(collateral), requirement=Decimal(requirement), adjustment=Decimal(adjustment)
    )
    assert found == Decimal(rating)


def test_a_long_is_offered_below_the_oracle_price_and_a_short_bought_back_above_it() -> None:
    # 0.1 at 50,000, 10 % maintenance: a rating of 0.002 and a tenth of it is 5000 · 0.1 · 0.0002 = 0.1
    for quantity, price in ((Decimal("0.1"), 50000 - 1), (Decimal("-0.1"), 50000 + 1)):
        found = fillable_price(
            quantity=quantity, oracle_price=Decimal(50000), maintenance_rate=Decimal("0.1"),
            rating=Decimal("0.002"), spread_to_maintenance=Decimal("0.1"),
        )  # fmt: skip
        assert found == price


def test_a_part_of_a_long_brings_its_value_less_its_share_of_what_is_left() -> None:
    # half of 1 BTC at 100 with 5 of collateral for a requirement of 10: −(−50) − floor(5 · 5 ÷ 10) = 47.5
    proceeds = bankruptcy_proceeds(
        value_change=Decimal(-50), requirement_change=Decimal(-5), collateral=Decimal(5), requirement=Decimal(10)
    )
    assert proceeds == Decimal("47.5")


def test_the_share_is_rounded_down_so_that_the_proceeds_are_rounded_up() -> None:
    # 1 · 1 ÷ 3 = 0.333333… → 0.333333, and below zero −0.333334
    up = bankruptcy_proceeds(
        value_change=Decimal(-10), requirement_change=Decimal(-1), collateral=Decimal(1), requirement=Decimal(3)
    )
    down = bankruptcy_proceeds(
        value_change=Decimal(-10), requirement_change=Decimal(-1), collateral=Decimal(-1), requirement=Decimal(3)
    )
    assert up == 10 - Decimal("0.333333")
    assert down == 10 + Decimal("0.333334")


@given(st.integers(1, 10_000), st.integers(1, 100_000), st.integers(2, 50), st.integers(0, 100), st.integers(0, 100))
def test_the_size_makes_up_the_shortage_to_its_last_digit(
    shortage: int, price: int, margin: int, liquidator: int, insurance: int
) -> None:
    rate, fees = Decimal(margin) / 100, [Decimal(liquidator) / 10_000, Decimal(insurance) / 10_000]
    size = restoring_size(
        shortage=Decimal(shortage), price=Decimal(price), margin_rate=rate, liquidator_fee=fees[0],
        insurance_fee=fees[1],
    )  # fmt: skip
    freed = price * (rate - sum(fees))
    if freed <= 0:
        assert size is None
        return
    assert size is not None
    assert size * freed <= shortage < (size + Decimal("1e-9")) * freed
