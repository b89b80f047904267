"""The auditor's own sums, by mental arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from ringfence.rulebook import Policies
from ringfence.rulebooks import load
from ringfence.sim.reckoning import Leg, Reckoned, Step, Terms, Working, counting, profit, reckon, worth

F = Fraction

TIERS = (Step(F(0), F(1, 100)), Step(F(10_000), F(2, 100)), Step(F(50_000), F(5, 100)))
LINEAR = Terms(
    "X", "USDT", inverse=False, size=F(1), taker=F(1, 1000), closing=F(2, 1000), in_contracts=False, tiers=TIERS
)
INVERSE = Terms("X", "BTC", inverse=True, size=F(100), taker=F(0), closing=F(0), in_contracts=False, tiers=TIERS)


def _reckon(
    policies: Policies, *legs: Leg, cash: int = 1000, mark: int = 100, orders: tuple[Working, ...] = (),
    isolated: bool = False,
) -> Reckoned:  # fmt: skip
    found = reckon(policies, F(cash), list(legs), orders, lambda _: LINEAR, {"X": F(mark)}, isolated=isolated)
    assert found is not None
    return found


def _leg(quantity: int, entry_price: int = 100) -> Leg:
    return Leg("X", F(quantity), F(quantity * entry_price), F(10))


def test_a_linear_contract_is_worth_its_price_and_an_inverse_one_its_size_by_the_price() -> None:
    assert worth(LINEAR, F(50)) == 50
    assert worth(INVERSE, F(50)) == 2
    assert profit(INVERSE, Leg("X", F(10), F(-10 * 2), None), F(100)) == 10 * 2 - 10 * 1


def test_progressive_tiers_charge_each_slice_at_its_own_rate() -> None:
    # 60,000 at the mark: 10,000 at 1 %, 40,000 at 2 %, 10,000 at 5 %
    assert _reckon(Policies(), _leg(600)).required == 100 + 800 + 500


def test_step_tiers_charge_the_whole_at_the_rate_of_its_tier() -> None:
    assert _reckon(Policies(tier_type="step"), _leg(600)).required == 60_000 * F(5, 100)


def test_a_closing_fee_at_the_mark_is_added() -> None:
    assert _reckon(Policies(closing_fee="mark"), _leg(10)).required == 10 + 1000 * F(1, 1000)


def test_maintenance_at_entry_does_not_follow_the_mark() -> None:
    assert _reckon(Policies(maintenance_at="entry"), _leg(10), mark=70).required == 10


def test_of_a_hedge_only_the_larger_side_is_charged_where_the_venue_says_so() -> None:
    policies = Policies(tier_type="step", tier_key="larger_side", hedge_charge="larger_side")
    assert _reckon(policies, _leg(10), _leg(-30)).required == 3000 * F(1, 100)
    assert _reckon(replace(policies, hedge_charge="both"), _leg(10), _leg(-30)).required == 4000 * F(1, 100)


def test_orders_count_where_the_venue_counts_them() -> None:
    order = Working("X", F(10), F(90))
    with_orders = Policies(orders_in_requirement=True, opening_fees_deducted=True)
    found = _reckon(with_orders, _leg(10), orders=(order,))
    assert found.required == 10 + 900 * F(1, 100) + 900 * F(1, 1000)
    assert found.balance == 1000 - 900 * F(1, 1000)
    assert _reckon(Policies(), _leg(10), orders=(order,)).required == 10


@pytest.mark.parametrize(("balance", "certain"), [(9, "liquidatable"), (10, "nothing"), (11, "healthy")])
def test_at_the_line_itself_nothing_is_certain(balance: int, certain: str) -> None:
    found = Reckoned(F(balance), F(10), at_equal=True)
    assert found.certainly_liquidatable is (certain == "liquidatable")
    assert found.certainly_healthy is (certain == "healthy")


def test_an_asset_of_a_basket_counts_tranche_by_tranche_and_a_debt_whole() -> None:
    bybit = counting(load("bybit-uta"), "BTC", F(50_000))
    # 10 at 98 %, 10 at 95 %, 5 at 90 %, at an index of 50,000
    assert bybit.of(F(25)) == 50_000 * (F("9.8") + F("9.5") + F("4.5"))
    assert bybit.of(F(-2)) == -100_000
    by_worth = counting(load("okx-swap"), "BETH", F(2_000))
    # 2,000,000 at 95 %, 2,000,000 at 85 %: two thousand coins
    assert by_worth.of(F(2_000)) == 2_000_000 * (F("0.95") + F("0.85"))
    assert counting(load("okx-swap"), "USDT", F(1)).of(F(5)) == 5
