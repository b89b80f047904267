"""The check before an order: contract first, then position, tiers and margin; both pools and the reason are told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ringfence.account import Account, MarginMode, OpenOrder, Pool, Position, PositionMode, pools
from ringfence.contract import Contract, ContractKind
from ringfence.margin.order import OrderCheck, against_contract, check_order
from ringfence.margin.refusal import REASONS
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable

CONTRACT = Contract(
    "X", ContractKind.LINEAR, Decimal(1), "USDT", price_step=Decimal("0.5"), quantity_step=Decimal("0.1"),
    minimum_quantity=Decimal("0.2"), minimum_notional=Decimal(50),
)  # fmt: skip
TIERS = TierTable(
    (
        Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50)),
        Tier(Decimal(1000), Decimal("0.02"), Decimal(10), Decimal(20), Decimal(5000)),
    )
)
MARKS = {"X": Decimal(100)}


def _rulebook(table: TierTable | None = TIERS, contract: Contract = CONTRACT, **policies: Any) -> Rulebook:
    chosen = Policies(**policies)
    return Rulebook("t", "T", None, isolated=chosen, cross=chosen, basket=chosen, tables={"X": (contract, table)})


def _pool(wallet: str | None = "1000", *, held: str = "0", orders: tuple[OpenOrder, ...] = ()) -> Pool:
    positions = (
        () if held == "0" else (Position("X", Decimal(held), Decimal(100), MarginMode.CROSS, None, Decimal(10)),)
    )
    account = Account(positions, orders, {"USDT": None if wallet is None else Decimal(wallet)})
    return pools(account, _rulebook().contract)[0]


def _order(quantity: str, price: str = "100", leverage: str | None = "10", **more: Any) -> OpenOrder:
    return OpenOrder("X", Decimal(quantity), Decimal(price), None if leverage is None else Decimal(leverage), **more)


def _check(pool: Pool, order: OpenOrder, rulebook: Rulebook | None = None) -> OrderCheck:
    return check_order(pool, order, MARKS, rulebook or _rulebook())


REFUSED = [
    (_pool(), _order("1.05"), "quantity_step"),
    (_pool(), _order("1", "100.3"), "price_step"),
    (_pool(), _order("0.1"), "minimum_quantity"),
    (_pool(), _order("0.3"), "minimum_notional"),  # 30 below 50
    (_pool(held="2"), _order("-3", reduce_only=True), "reduce_only"),
    (_pool(), _order("1", reduce_only=True), "reduce_only"),
    (_pool("100000"), _order("60"), "above_last_tier"),  # 6,000 above 5,000
    (_pool("100000"), _order("20", leverage="25"), "leverage_above_tier"),
    (_pool("9"), _order("1"), "insufficient_balance"),  # needs 10
]


@pytest.mark.parametrize(("pool", "order", "reason"), REFUSED, ids=[f"{row[2]}-{n}" for n, row in enumerate(REFUSED)])
def test_what_a_venue_refuses_has_a_reason_and_its_number(pool: Pool, order: OpenOrder, reason: str) -> None:
    checked = _check(pool, order)
    assert not checked.accepted
    assert checked.refusal is not None
    assert (checked.refusal.reason, checked.refusal.number) == (reason, REASONS[reason])
    assert checked.refusal.message


def test_an_order_that_its_pool_can_carry_is_accepted_and_both_pools_are_told() -> None:
    checked = _check(_pool(), _order("2"))
    assert checked.accepted
    assert checked.needed == 2 * 100 / 10
    assert checked.before.available_balance == 1000
    assert checked.after.available_balance == 1000 - 20


def test_margin_to_the_last_cent_is_enough() -> None:
    assert _check(_pool("10"), _order("1")).accepted
    assert not _check(_pool("9.99"), _order("1")).accepted


def test_an_order_against_a_position_needs_nothing_until_it_turns_it_around() -> None:
    # long 2 holds 20; a sell of 4 leaves a short of 2, which needs the 20 that are there
    pool = _pool("20", held="2")
    assert _check(pool, _order("-4")).needed == 0
    assert _check(pool, _order("-5")).needed == 50 - 20 - 20


def test_the_worse_side_of_several_orders_counts() -> None:
    pool = _pool(orders=(_order("3"),))
    assert _check(pool, _order("-2")).needed == 0  # 30 stand behind the buy already
    assert _check(pool, _order("-4")).needed == 40 - 30
    assert _check(pool, _order("2")).needed == 20


def test_in_hedge_mode_both_sides_count() -> None:
    pool = replace(_pool(orders=(_order("3"),)), hedge=True)
    assert _check(pool, _order("-2")).needed == 20


def test_an_order_that_only_reduces_is_free_and_needs_no_minimum_notional() -> None:
    checked = _check(_pool("0", held="0.4"), _order("-0.4", "100", reduce_only=True))
    assert checked.accepted
    assert checked.needed == 0


def test_what_is_not_known_is_not_checked() -> None:
    bare = replace(CONTRACT, price_step=None, quantity_step=None, minimum_quantity=None, minimum_notional=None)
    assert _check(_pool("1"), _order("0.01234567", "99.999"), _rulebook(None, bare)).accepted
    assert _check(_pool(None), _order("1000"), _rulebook(None)).accepted  # neither the balance nor the tiers
    assert _check(_pool("0"), _order("1", leverage=None)).needed is None


def test_tiers_by_contracts_look_at_contracts() -> None:
    by_contracts = TierTable(
        (Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50), Decimal(10)),), unit="contracts"
    )
    rulebook = _rulebook(by_contracts)
    assert _check(_pool("100000"), _order("10"), rulebook).accepted
    refused = _check(_pool("100000"), _order("10.1"), rulebook).refusal
    assert refused is not None
    assert refused.reason == "above_last_tier"


def test_the_tier_is_that_of_the_position_after_the_order() -> None:
    assert _check(_pool("100000", held="45"), _order("5", leverage="20")).accepted
    refused = _check(_pool("100000", held="45"), _order("6", leverage="20")).refusal
    assert refused is not None
    assert refused.reason == "above_last_tier"
    assert _check(_pool("100000", held="-45"), _order("6", leverage="20")).accepted  # it shrinks


def test_the_price_step_is_for_limit_prices_only() -> None:
    assert against_contract("X", Decimal(1), Decimal("100.3"), CONTRACT, reduce_only=False, limit=False) is None


def test_the_opening_loss_is_locked_where_the_venue_locks_it() -> None:
    # a buy at 110 with the mark at 100 loses 10 the moment it fills: 11 + 10
    rulebook = _rulebook(order_cost="with_open_loss")
    assert _check(_pool(), _order("1", "110"), rulebook).needed == 11 + 10
    assert _check(_pool(), _order("1", "90"), rulebook).needed == 9
    assert _check(_pool(), _order("-1", "90"), rulebook).needed == 9 + 10


def test_a_hedged_pool_keeps_its_mode() -> None:
    account = Account((), (), {"USDT": Decimal(100)}, position_mode=PositionMode.HEDGE)
    (pool,) = pools(account, _rulebook().contract)
    closes_nothing = _check(pool, _order("-1", position_side="long"))
    assert closes_nothing.needed == 0  # a sell of the long leg can only close it
