"""What one contract is worth, by kind, and the price at which it is worth a value."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.contract import Contract, ContractKind
from ringfence.numbers import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN

LINEAR = Contract("BTCUSDT", ContractKind.LINEAR, Decimal("0.001"), "USDT")
INVERSE = Contract("BTCUSD_PERP", ContractKind.INVERSE, Decimal(100), "BTC")
QUANTO = Contract("ETHUSD", ContractKind.QUANTO, Decimal("0.000001"), "BTC")
ALL = [LINEAR, INVERSE, QUANTO]

prices = st.builds(lambda whole, exponent: Decimal(whole).scaleb(exponent), st.integers(1, 10**9), st.integers(-9, 3))


def test_a_linear_contract_is_worth_its_size_times_the_price() -> None:
    assert LINEAR.contract_value(Decimal(30_000)) == Decimal("0.001") * 30_000
    assert LINEAR.unit_value(Decimal(30_000)) == 30


def test_an_inverse_contract_is_worth_its_size_by_the_price_and_its_unit_value_is_negative() -> None:
    assert INVERSE.contract_value(Decimal(40_000)) == Decimal(100) / 40_000
    assert INVERSE.unit_value(Decimal(40_000)) == -Decimal("0.0025")


def test_a_quanto_contract_is_worth_its_settlement_units_per_point() -> None:
    assert QUANTO.contract_value(Decimal(3_000)) == Decimal("0.003")


@pytest.mark.parametrize("contract", ALL, ids=[contract.kind.value for contract in ALL])
def test_a_long_gains_when_the_price_rises_whatever_the_kind(contract: Contract) -> None:
    entry, mark = Decimal(1_000), Decimal(1_100)
    quantity = Decimal(7)
    assert quantity * contract.unit_value(mark) - quantity * contract.unit_value(entry) > 0
    assert contract.orientation == (-1 if contract.inverse else 1)


@given(prices)
def test_an_inverse_value_is_off_by_less_than_its_forty_places(price: Decimal) -> None:
    assert abs(Fraction(INVERSE.contract_value(price)) - 100 / Fraction(price)) <= Fraction(1, 2 * 10**40)


@given(prices, st.sampled_from(ALL))
def test_the_price_at_a_value_is_the_price_it_was_taken_at(price: Decimal, contract: Contract) -> None:
    value = contract.contract_value(price)
    found = contract.price_at(value, Decimal(1), places=12, rounding=ROUND_HALF_EVEN)
    assert abs(found - price) <= Decimal("1e-12")


def test_a_price_is_divided_once_in_the_direction_asked_for() -> None:
    # Value 1 ÷ 3 of a contract of 0.001: 333.33…; of an inverse one of 100: 300.
    one, three = Decimal(1), Decimal(3)
    assert LINEAR.price_at(one, three, places=2, rounding=ROUND_CEILING) == Decimal("333.34")
    assert LINEAR.price_at(one, three, places=2, rounding=ROUND_FLOOR) == Decimal("333.33")
    assert INVERSE.price_at(one, three, places=2, rounding=ROUND_CEILING) == 300


def test_what_is_not_known_of_a_contract_is_none() -> None:
    assert {LINEAR.price_step, LINEAR.quantity_step, LINEAR.minimum_notional, LINEAR.taker_fee_rate} == {None}
