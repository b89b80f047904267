"""Who pays first: bonus or own money, by the venue's order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence import rulebooks
from ringfence.margin.bonus import ORDERS_OF_USE, offset_of_losses, paid_by_bonus, used_as_margin


@pytest.mark.parametrize(
    ("order", "amount", "credit", "cash", "paid"),
    [
        ("bonus_first", 30, 50, 100, 30),
        ("bonus_first", 80, 50, 100, 50),
        ("own_first", 80, 50, 100, 0),
        ("own_first", 120, 50, 100, 20),
        ("half", 30, 50, 100, 15),
        ("half", 120, 50, 100, 50),  # half is more than there is
        ("half", 30, 50, 10, 20),  # own money does not go as far as half
        ("pro_rata", 30, 50, 100, 10),  # 50 of 150
        ("pro_rata", 30, 50, 0, 30),
        ("never", 30, 50, 0, 0),
        ("bonus_first", 30, 0, 100, 0),
        ("own_first", 30, 50, -10, 30),  # an overdrawn wallet pays nothing
    ],
)
def test_what_the_bonus_pays(order: str, amount: int, credit: int, cash: int, paid: int) -> None:
    found = paid_by_bonus(order, Decimal(amount), credit=Decimal(credit), cash=Decimal(cash))
    assert found == paid


amounts = st.decimals(0, 1000, places=4)


@given(st.sampled_from(ORDERS_OF_USE), amounts, amounts, amounts)
def test_never_more_than_the_charge_or_the_credit_and_enough_where_own_money_is_short(
    order: str, amount: Decimal, credit: Decimal, cash: Decimal
) -> None:
    paid = paid_by_bonus(order, amount, credit=credit, cash=cash)
    assert 0 <= paid <= min(amount, credit)
    if order != "never" and amount <= credit + cash:
        assert amount - paid <= cash


def test_mexc_takes_costs_from_the_bonus_and_margin_from_own_money() -> None:
    # 100 own and 50 bonus: 120 of margin is 100 own and 20 bonus; a loss of 60 is 50 bonus and 10 own
    own, bonus = used_as_margin("own_first", Decimal(120), credit=Decimal(50), cash=Decimal(100))
    assert [own, bonus] == [100, 20]
    assert paid_by_bonus("bonus_first", Decimal(60), credit=Decimal(50), cash=Decimal(100)) == 50


def test_a_trial_fund_offsets_its_share_of_what_was_lost_since_it_was_claimed() -> None:
    for realised, net_loss, used in (([100, -110], 10, 5), ([100, -90], 0, 0), ([-300], 300, 50)):
        found = offset_of_losses(map(Decimal, realised), ratio=Decimal("0.5"), trial_fund=Decimal(50))
        assert list(found) == [net_loss, used]


def test_every_order_of_use_that_a_rulebook_names_is_known() -> None:
    used = {
        (name, use): order
        for name in rulebooks.names()
        for folder in rulebooks.folders(name)
        for use, order in rulebooks.load(name, folder.day).bonus_use.items()
        if use != "on_transfer"
    }
    assert used
    assert {key: order for key, order in used.items() if order not in ORDERS_OF_USE} == {}
