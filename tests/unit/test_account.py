"""Accounts and the collateral pools they form."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.account import (
    CROSS,
    ISOLATED,
    MULTI_ASSET,
    PORTFOLIO,
    Account,
    Backing,
    Collateral,
    CollateralMode,
    MarginMode,
    OpenOrder,
    Pool,
    PoolBy,
    Position,
    PositionMode,
    Requirement,
    pools,
)
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadAccount

CONTRACTS = {
    "BTCUSDT": Contract("BTCUSDT", ContractKind.LINEAR, Decimal(1), "USDT"),
    "ETHUSDT": Contract("ETHUSDT", ContractKind.LINEAR, Decimal(1), "USDT"),
    "BTCUSD": Contract("BTCUSD", ContractKind.INVERSE, Decimal(1), "BTC"),
}


def _pools(account: Account) -> tuple[Pool, ...]:
    return pools(account, CONTRACTS.__getitem__)


def _position(symbol: str, quantity: int, *, isolated: int | None = None) -> Position:
    if isolated is None:
        return Position(symbol, Decimal(quantity), Decimal(100), MarginMode.CROSS)
    return Position(symbol, Decimal(quantity), Decimal(100), MarginMode.ISOLATED, Decimal(isolated))


def test_isolated_positions_come_first_in_their_order_and_each_is_a_pool() -> None:
    account = Account(
        (
            _position("BTCUSDT", 1),
            _position("ETHUSDT", -2, isolated=50),
            _position("BTCUSD", 3, isolated=1),
            _position("ETHUSDT", 2),
        ),
        wallet={"USDT": Decimal(1000)},
    )
    first, second, shared = _pools(account)
    assert [pool.name for pool in (first, second, shared)] == [
        "isolated ETHUSDT short",
        "isolated BTCUSD long",
        "cross USDT",
    ]
    assert (first.isolated, second.isolated, shared.isolated) == (True, True, False)
    assert first.balances == {"USDT": 50}
    assert second.balances == {"BTC": 1}
    assert shared.balances == {"USDT": 1000}
    assert [position.symbol for position in shared.positions] == ["BTCUSDT", "ETHUSDT"]


def test_coin_margined_and_usdt_margined_cross_positions_are_separate_pools() -> None:
    account = Account(
        (_position("BTCUSD", 1), _position("BTCUSDT", 1)),
        wallet={"USDT": Decimal(10), "BTC": Decimal(2)},
    )
    assert [(pool.asset, [p.symbol for p in pool.positions]) for pool in _pools(account)] == [
        ("USDT", ["BTCUSDT"]),
        ("BTC", ["BTCUSD"]),
    ]


def test_an_asset_with_positions_and_no_wallet_has_an_empty_one_and_a_wallet_without_positions_is_a_pool() -> None:
    account = Account((_position("BTCUSD", 1),), wallet={"USDT": Decimal(10)})
    usdt, btc = _pools(account)
    assert usdt.balances == {"USDT": 10}
    assert usdt.positions == ()
    assert btc.balances == {"BTC": 0}


def test_a_wallet_that_is_not_known_stays_unknown() -> None:
    (pool,) = _pools(Account((_position("BTCUSDT", 1),), wallet={"USDT": None}))
    assert pool.balances == {"USDT": None}


def test_orders_draw_on_the_shared_pool_of_their_settlement_asset() -> None:
    order = OpenOrder("BTCUSD", Decimal(-5), Decimal(100))
    account = Account((_position("BTCUSDT", 1, isolated=5),), (order,), wallet={"USDT": Decimal(1)})
    isolated, usdt, btc = _pools(account)
    assert (isolated.orders, usdt.orders, btc.orders) == ((), (), (order,))


def test_an_isolated_position_without_margin_is_an_error_that_names_it() -> None:
    position = Position("BTCUSDT", Decimal(-1), Decimal(100), MarginMode.ISOLATED)
    with pytest.raises(BadAccount, match="an isolated position without margin") as raised:
        _pools(Account((position,)))
    assert raised.value.where == "BTCUSDT short"


@pytest.mark.parametrize(
    ("collateral_mode", "mode"), [(CollateralMode.MULTI_ASSET, MULTI_ASSET), (CollateralMode.PORTFOLIO, PORTFOLIO)]
)
def test_a_basket_is_one_pool_of_all_assets(collateral_mode: CollateralMode, mode: object) -> None:
    account = Account(
        (_position("BTCUSDT", 1), _position("BTCUSD", -1)),
        wallet={"USDT": Decimal(10)},
        collateral={"USDT": Collateral(), "BTC": Collateral(Decimal(100))},
        collateral_mode=collateral_mode,
    )
    (pool,) = _pools(account)
    assert pool.mode == mode
    assert pool.balances == {"USDT": 10, "BTC": 0}
    assert pool.asset is None
    assert len(pool.positions) == 2


def test_a_basket_asset_without_a_price_is_an_error_that_names_it() -> None:
    account = Account(
        (_position("BTCUSD", -1),),
        wallet={"USDT": Decimal(10)},
        collateral={"USDT": Collateral()},
        collateral_mode=CollateralMode.MULTI_ASSET,
    )
    with pytest.raises(BadAccount, match="no collateral price for BTC"):
        _pools(account)


def test_a_dollar_without_terms_of_its_own_counts_at_one_in_a_basket() -> None:
    account = Account(wallet={"USDT": Decimal(10)}, collateral_mode=CollateralMode.MULTI_ASSET)
    counted = _pools(account)[0].collateral["USDT"]
    assert (counted.bid, counted.ask) == (Decimal(1), Decimal(1))
    assert "not on a packaged list" in counted.source


def test_hedge_mode_is_known_to_every_pool() -> None:
    account = Account((_position("BTCUSDT", 1), _position("BTCUSDT", -1, isolated=3)), position_mode=PositionMode.HEDGE)
    assert [pool.hedge for pool in _pools(account)] == [True, True]


def test_an_account_that_holds_nothing_has_no_pools() -> None:
    assert _pools(Account()) == ()


def test_the_four_modes_are_three_independent_choices() -> None:
    assert ISOLATED == (PoolBy.POSITION, Backing.SINGLE_ASSET, Requirement.TIERED)
    assert CROSS == (PoolBy.SETTLE_ASSET, Backing.SINGLE_ASSET, Requirement.TIERED)
    assert MULTI_ASSET == (PoolBy.ACCOUNT, Backing.BASKET, Requirement.TIERED)
    assert PORTFOLIO == (PoolBy.ACCOUNT, Backing.BASKET, Requirement.SCENARIO)


def test_sides_follow_the_sign() -> None:
    assert [_position("BTCUSDT", quantity).side for quantity in (1, -1)] == ["long", "short"]
    assert [OpenOrder("X", Decimal(quantity), Decimal(1)).side for quantity in (1, -1)] == ["buy", "sell"]


def test_a_position_is_found_by_symbol_and_by_side() -> None:
    long, short = _position("BTCUSDT", 1), _position("BTCUSDT", -1)
    account = Account((long, short), position_mode=PositionMode.HEDGE)
    assert account.position("BTCUSDT") is long
    assert account.position("BTCUSDT", "short") is short
    assert account.position("ETHUSDT") is None


def test_collateral_counts_less_when_held_than_it_costs_when_owed() -> None:
    terms = Collateral(Decimal(2000), Decimal("0.9"), Decimal("0.01"), Decimal("0.02"))
    assert terms.bid == 2000 * Decimal("0.9") * Decimal("0.99")
    assert terms.ask == 2000 * Decimal("1.02")
