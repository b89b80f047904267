"""The check on a pool that is assessed already says what the check of the pool says."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from ringfence.account import Account, MarginMode, OpenOrder, Position, PositionMode, pools
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess, order_margin_with
from ringfence.margin.order import check_on, check_order
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable

CONTRACT = Contract("X", ContractKind.LINEAR, Decimal(1), "USDT", taker_fee_rate=Decimal("0.001"))
TIERS = TierTable((Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50), Decimal(5000)),))
MARKS = {"X": Decimal(100)}
QUANTITIES = ("3", "-3", "0.5", "-60")


def _rulebook(order_cost: str) -> Rulebook:
    chosen = Policies(order_cost=order_cost)  # type: ignore[arg-type]
    return Rulebook("t", "T", None, isolated=chosen, cross=chosen, basket=chosen, tables={"X": (CONTRACT, TIERS)})


def _order(quantity: str, price: str) -> OpenOrder:
    return OpenOrder("X", Decimal(quantity), Decimal(price), Decimal(10))


@pytest.mark.parametrize("order_cost", ["initial_margin", "with_open_loss", "with_fees"])
@pytest.mark.parametrize("mode", list(PositionMode))
@pytest.mark.parametrize(("held", "resting", "new"), list(product(("2", "-2", "0"), QUANTITIES, QUANTITIES)))
def test_it_says_what_the_check_of_the_whole_pool_says(
    order_cost: str, mode: PositionMode, held: str, resting: str, new: str
) -> None:
    positions = (Position("X", Decimal(held), Decimal(90), MarginMode.CROSS, None, Decimal(10)),) if held != "0" else ()
    account = Account(positions, (_order(resting, "95"),), {"USDT": Decimal(100)}, position_mode=mode)
    rulebook = _rulebook(order_cost)
    pool = pools(account, rulebook.contract)[0]
    order, before = _order(new, "110"), assess(pool, MARKS, rulebook)
    whole = check_order(pool, order, MARKS, rulebook)
    assert check_on(before, order, MARKS, rulebook) == (whole.refusal, whole.needed)
    assert order_margin_with(before, order, MARKS, rulebook) == whole.after.order_margin
