"""One assessment at a time: every figure by arithmetic, every policy in which venues differ."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.account import (
    Account,
    Collateral,
    CollateralMode,
    MarginMode,
    OpenOrder,
    Position,
    PositionMode,
)
from ringfence.account_file import parse
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadAccount, BadRulebook
from ringfence.margin.assess import assess_account
from ringfence.rulebook import Levels, Policies, Rulebook, Tier, TierTable

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment

FEE = Decimal("0.0005")
LINEAR = Contract(
    "X", ContractKind.LINEAR, Decimal(1), "USDT", taker_fee_rate=FEE, liquidation_fee_rate=Decimal("0.01")
)
INVERSE = Contract("I", ContractKind.INVERSE, Decimal(100), "BTC", taker_fee_rate=FEE)
TWO_TIERS = TierTable(
    (
        Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50)),
        Tier(Decimal(1000), Decimal("0.02"), Decimal(10), Decimal(20), Decimal(100_000)),
    )
)


def _rulebook(table: TierTable | None = TWO_TIERS, **policies: Any) -> Rulebook:
    chosen = Policies(**policies)
    tables = {"X": (LINEAR, table), "Y": (replace(LINEAR, symbol="Y"), table), "I": (INVERSE, table)}
    return Rulebook("test", "Test", None, isolated=chosen, cross=chosen, basket=chosen, tables=tables)


def _held(quantity: str, entry: str = "100", symbol: str = "X", leverage: str | None = "10") -> Position:
    chosen = None if leverage is None else Decimal(leverage)
    return Position(symbol, Decimal(quantity), Decimal(entry), MarginMode.CROSS, None, chosen)


def _order(quantity: str, price: str, symbol: str = "X", **more: Any) -> OpenOrder:
    return OpenOrder(symbol, Decimal(quantity), Decimal(price), **more)


def _assess(
    *positions: Position,
    rulebook: Rulebook | None = None,
    mark: str = "100",
    wallet: str | None = "1000",
    orders: tuple[OpenOrder, ...] = (),
    hedge: bool = False,
) -> Assessment:
    asset = "BTC" if any(position.symbol == "I" for position in positions) else "USDT"
    account = Account(
        positions,
        orders,
        {asset: None if wallet is None else Decimal(wallet)},
        position_mode=PositionMode.HEDGE if hedge else PositionMode.ONE_WAY,
    )
    marks = dict.fromkeys(("X", "Y", "I"), Decimal(mark))
    (assessment,) = assess_account(account, marks, rulebook or _rulebook())
    return assessment


# ── A pool and its lines ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_and_a_short_by_hand() -> None:
    long, short = _held("5", "90"), _held("-20", "110", "Y")
    pool = _assess(long, short)
    assert [line.unrealised_pnl for line in pool.lines] == [5 * (100 - 90), 20 * (110 - 100)]
    assert [line.notional for line in pool.lines] == [500, 2000]
    assert [line.tier for line in pool.lines] == [0, 1]
    assert [line.maintenance_margin for line in pool.lines] == [500 * Decimal("0.01"), 2000 * Decimal("0.02") - 10]
    assert [line.initial_margin for line in pool.lines] == [500 / 10, 2000 / 10]
    assert pool.unrealised_pnl == 50 + 200
    assert pool.margin_balance == 1000 + 250
    assert pool.maintenance_margin == pool.liquidation_requirement == 5 + 30
    assert pool.available_balance == 1250 - 50 - 200
    assert pool.notional == 500 + 2000
    assert pool.net_notional == 500 - 2000


def test_an_inverse_long_by_hand() -> None:
    # 1,000 contracts of 100 USD: 100,000 USD, 2.5 BTC at the entry of 40,000 and 2 BTC at 50,000
    pool = _assess(_held("1000", "40000", "I"), mark="50000", wallet="1")
    (line,) = pool.lines
    assert line.contract_value == Decimal("0.002")
    assert line.notional == 2
    assert line.entry_value == -Decimal("2.5")
    assert line.unrealised_pnl == Decimal("2.5") - 2
    assert pool.margin_balance == Decimal("1.5")
    assert line.maintenance_margin == 2 * Decimal("0.01")


def test_a_margin_that_does_not_divide_evenly_is_rounded_up_in_its_24th_place() -> None:
    (line,) = _assess(_held("1", leverage="3")).lines
    assert line.initial_margin == Decimal("33.333333333333333333333334")


def test_without_a_leverage_the_initial_margin_is_not_known_and_neither_is_what_is_available() -> None:
    pool = _assess(_held("1", leverage=None))
    assert (pool.initial_margin, pool.available_balance) == (None, None)
    assert pool.health is not None


def test_without_tiers_the_requirement_is_not_known_and_no_status_is_invented() -> None:
    pool = _assess(_held("1"), rulebook=_rulebook(None))
    assert (pool.maintenance_margin, pool.liquidation_requirement, pool.health) == (None, None, None)
    assert (pool.status, pool.liquidatable, pool.shortfall, pool.margin_ratio) == (None, None, None, None)


def test_without_a_wallet_the_requirement_is_still_known() -> None:
    pool = _assess(_held("1"), wallet=None)
    assert pool.margin_balance is None
    assert pool.status is None
    assert pool.liquidation_requirement == 1


def test_entry_basis_takes_tier_rate_and_deduction_at_the_entry() -> None:
    # 9 at 100 is 900, tier 1; at the mark of 120 it would be 1,080, tier 2
    (line,) = _assess(_held("9"), mark="120", rulebook=_rulebook(maintenance_at="entry")).lines
    assert line.tier == 0
    assert line.maintenance_rate == Decimal("0.01")
    assert line.deduction == 0
    assert line.maintenance_margin == 900 * Decimal("0.01")


def test_the_initial_margin_stands_on_entry_or_mark_as_the_venue_has_it() -> None:
    margins = [
        _assess(_held("5"), mark="120", rulebook=_rulebook(initial_margin_at=basis)).initial_margin
        for basis in ("entry", "mark")
    ]
    assert margins == [500 / 10, 600 / 10]


# ── Fees inside the requirement ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("policies", "fee"),
    [
        ({"closing_fee": "none"}, Decimal(0)),
        ({"closing_fee": "mark"}, 600 * FEE),
        ({"closing_fee": "frozen_mark"}, 600 * FEE),
        ({"closing_fee": "entry"}, 500 * FEE),
        ({"closing_fee": "leverage_bankruptcy_price"}, 500 * Decimal("0.9") * FEE),
        ({"closing_fee": "mark", "closing_fee_rate": "liquidation"}, 600 * Decimal("0.01")),
    ],
)
def test_the_closing_fee_is_held_back_on_the_venues_basis(policies: dict[str, Any], fee: Decimal) -> None:
    pool = _assess(_held("5"), mark="120", rulebook=_rulebook(**policies))
    assert pool.closing_fee == fee
    assert pool.maintenance_margin == 600 * Decimal("0.01")
    assert pool.liquidation_requirement == 600 * Decimal("0.01") + fee


def test_some_venues_show_the_closing_fee_inside_maintenance() -> None:
    pool = _assess(_held("5"), rulebook=_rulebook(closing_fee="mark", closing_fee_in_maintenance=True))
    assert pool.maintenance_margin == pool.liquidation_requirement == 500 * Decimal("0.01") + 500 * FEE


def test_the_fee_at_the_bankruptcy_price_is_that_of_the_price_which_just_pays_it() -> None:
    # Long 5 at 100 with 100: 100 + 5 (b − 100) = 5 · b · FEE
    pool = _assess(_held("5"), wallet="100", rulebook=_rulebook(closing_fee="bankruptcy_price"))
    bankrupt = 400 / (5 * (1 - FEE))
    assert abs(pool.closing_fee - 5 * bankrupt * FEE) < Decimal("1e-20")


def test_a_fee_at_the_bankruptcy_price_is_refused_in_a_basket() -> None:
    account = Account(
        (_held("1"),),
        wallet={"USDT": Decimal(10)},
        collateral={"USDT": Collateral()},
        collateral_mode=CollateralMode.MULTI_ASSET,
    )
    with pytest.raises(BadRulebook, match="bankruptcy price in a basket"):
        assess_account(account, {"X": Decimal(100)}, _rulebook(closing_fee="bankruptcy_price"))


def test_maintenance_from_initial_margin_works_without_a_rounding_step_too() -> None:
    policies: dict[str, Any] = {"maintenance_from_initial": True}
    rounded = _rulebook(initial_margin_rounding="up", initial_margin_step=Decimal("0.01"), **policies)
    position = _held("1.2345")  # 123.45 at 2 % (50×) is 2.469, and half of that is maintenance
    assert _assess(position, rulebook=_rulebook(**policies)).maintenance_margin == Decimal("2.469") / 2
    assert _assess(position, rulebook=rounded).maintenance_margin == Decimal("1.24")  # 2.47, and half of it, up


# ── Health, levels and ratios ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wallet", "status", "shortfall"),
    [
        ("6.26", "healthy", "0"),
        ("6.25", "margin_call", "0"),
        ("5.000000001", "margin_call", "0"),
        ("5", "liquidatable", "0"),
        ("4", "liquidatable", "1"),
        ("-1", "liquidatable", "6"),
    ],
)
def test_the_status_changes_on_the_levels_themselves(wallet: str, status: str, shortfall: str) -> None:
    pool = _assess(_held("5"), wallet=wallet)  # 5 is required; the margin call is at 1.25 of it
    assert pool.levels == Levels()
    assert pool.status == status
    assert pool.shortfall == Decimal(shortfall)
    assert pool.health == Decimal(wallet) / 5


def test_with_nothing_required_health_is_nothing_and_only_a_debt_liquidates() -> None:
    def empty(wallet: str) -> Assessment:
        (pool,) = assess_account(Account(wallet={"USDT": Decimal(wallet)}), {}, _rulebook())
        return pool

    assert [(pool.health, pool.status) for pool in map(empty, ("1", "0", "-1"))] == [
        (None, "healthy"),
        (None, "healthy"),
        (None, "liquidatable"),
    ]


@pytest.mark.parametrize(
    ("policy", "ratio"),
    [
        ("requirement / balance", Decimal(5) / 1000),
        ("balance / requirement", Decimal(1000) / 5),
        ("balance / notional", Decimal(1000) / 500),
        ("maintenance / balance", Decimal(5) / 1000),
        ("balance / initial - adjustment", Decimal(1000 - 5) / 50),  # the adjustment of a tier: maintenance ÷ initial
    ],
)
def test_the_margin_ratio_has_the_venues_direction(policy: str, ratio: Decimal) -> None:
    assert _assess(_held("5"), rulebook=_rulebook(margin_ratio=policy)).margin_ratio == ratio


def test_a_stated_adjustment_factor_is_taken_off_the_ratio() -> None:
    rulebook = _rulebook(margin_ratio="balance / initial - adjustment", adjustment_factor=Decimal("0.1"))
    assert _assess(_held("5"), rulebook=rulebook).margin_ratio == Decimal(1000) / 50 - Decimal("0.1")


def test_maintenance_by_an_adjustment_factor_is_that_share_of_initial_margin() -> None:
    rulebook = _rulebook(None, tier_type="adjustment_factor", adjustment_factor=Decimal("0.1"))
    assert _assess(_held("5"), rulebook=rulebook).maintenance_margin == Decimal(500) / 10 * Decimal("0.1")


# ── Hedges and tier keys ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_tier_may_be_that_of_the_net_or_of_the_larger_side() -> None:
    legs = (_held("12"), _held("-5"))
    for key, tiers in (("leg", [1, 0]), ("net", [0, 0]), ("larger_side", [1, 1])):
        pool = _assess(*legs, hedge=True, rulebook=_rulebook(tier_key=key, tier_type="step"))
        assert [line.tier for line in pool.lines] == tiers


def test_orders_raise_a_step_tier_by_their_own_contract_value() -> None:
    # 900 BTC-worth held … in coin: 90,000 contracts at 10,000 are 900 BTC, an order for 20,000 at 10,000 another 200
    held = _held("90000", "10000", "I")
    order = _order("20000", "10000", "I", leverage=Decimal(10))
    rulebook = _rulebook(tier_key="with_orders", tier_type="step")
    (line,) = _assess(held, mark="10000", rulebook=rulebook, orders=(order,)).lines
    assert line.notional == 900
    assert line.tier == 1
    smaller = replace(order, quantity=Decimal(9_999))
    assert _assess(held, mark="10000", rulebook=rulebook, orders=(smaller,)).lines[0].tier == 0


def test_orders_do_not_lower_what_progressive_tiers_ask_for() -> None:
    rulebook = _rulebook(tier_key="with_orders")
    order = _order("50", "100", leverage=Decimal(10))
    (line,) = _assess(_held("5"), rulebook=rulebook, orders=(order,)).lines
    assert line.maintenance_margin == 500 * Decimal("0.01")  # by the tier of 5,500 it would be 500 · 2 % − 10 = 0


# ── Orders ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_order_margin_is_that_of_the_worse_side() -> None:
    orders = (_order("3", "100", leverage=Decimal(10)), _order("-4", "100", leverage=Decimal(10)))
    assert _assess(orders=orders).order_margin == 4 * 100 / 10
    # Long 1: selling 4 only adds 3 − 1 to its exposure of 1, buying 3 adds 3
    assert _assess(_held("1"), orders=orders).order_margin == 3 * 100 / 10


def test_reduce_only_orders_are_free() -> None:
    assert _assess(_held("1"), orders=(_order("-4", "100", reduce_only=True),)).order_margin == 0


def test_an_order_that_would_lose_at_once_locks_that_loss_too() -> None:
    rulebook = _rulebook(order_cost="with_open_loss")
    buy, sell = (_order(size, "110", leverage=Decimal(10)) for size in ("2", "-2"))
    assert _assess(rulebook=rulebook, orders=(buy,)).order_margin == 220 / 10 + 2 * (110 - 100)
    assert _assess(rulebook=rulebook, orders=(sell,)).order_margin == 220 / 10


def test_an_order_may_lock_the_fees_to_open_and_to_close_at_its_bankruptcy_price() -> None:
    order = _order("2", "100", leverage=Decimal(10))
    pool = _assess(rulebook=_rulebook(order_cost="with_fees"), orders=(order,))
    assert pool.order_margin == 20 + FEE * 200 + FEE * (200 - 20)


@pytest.mark.parametrize("first", [0, 1])
def test_in_a_hedge_an_order_without_leverage_takes_its_own_legs(first: int) -> None:
    legs = [_held("1", leverage="10"), _held("-1", leverage="20")]
    pool = _assess(*(legs[first], legs[1 - first]), hedge=True, orders=(_order("-4", "100"),))
    assert pool.order_margin == Decimal(400) / 20
    closing = _assess(*legs, hedge=True, orders=(_order("-4", "100", position_side="long"),))
    assert closing.order_margin == 0  # it closes the long leg


def test_some_venues_count_orders_against_the_pool() -> None:
    rulebook = _rulebook(orders_in_requirement=True, opening_fees_deducted=True)
    pool = _assess(_held("5"), rulebook=rulebook, orders=(_order("2", "100", leverage=Decimal(10)),))
    assert pool.liquidation_requirement == 500 * Decimal("0.01") + 200 * (Decimal("0.01") + FEE)
    assert pool.margin_balance == 1000
    assert pool.balance_held_against == 1000 - 200 * FEE


def test_some_venues_set_the_margin_of_orders_aside() -> None:
    rulebook = _rulebook(order_margin_deducted=True)
    order = _order("2", "100", leverage=Decimal(10))
    pool = _assess(_held("5"), rulebook=rulebook, orders=(order,))
    assert pool.margin_balance == 1000
    assert pool.order_margin == Decimal(200) / 10
    assert pool.balance_held_against == 1000 - Decimal(200) / 10
    unknown = _assess(rulebook=rulebook, orders=(_order("2", "100"),))
    assert (unknown.order_margin, unknown.balance_held_against, unknown.status) == (None, None, None)


def test_profit_may_not_count_for_what_can_be_opened() -> None:
    rulebook = _rulebook(available_balance="profit_excluded")
    assert _assess(_held("5", "90"), rulebook=rulebook).available_balance == 1000 - 50
    assert _assess(_held("5", "110"), rulebook=rulebook).available_balance == 1000 - 50 - 50


def test_a_loss_that_a_hedge_has_fixed_may_stay_locked() -> None:
    # Long 2 at 110 against short 1 at 100: one unit has lost 10 for good, the other has lost 10 at the mark of 100
    legs = (_held("2", "110"), _held("-1", "100"))
    rulebook = _rulebook(available_balance="profit_excluded", hedged_loss_locked=True)
    at_100 = _assess(*legs, hedge=True, rulebook=rulebook)
    assert at_100.available_balance == 1000 - 10 - 10 - 20 - 10
    at_130 = _assess(*legs, hedge=True, mark="130", rulebook=rulebook)
    assert at_130.available_balance == 1000 - 10 - 26 - 13


# ── Baskets ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _basket(
    wallet: dict[str, str], *positions: Position, orders: tuple[OpenOrder, ...] = (), **policies: Any
) -> Assessment:
    account = Account(
        positions,
        orders,
        {asset: Decimal(cash) for asset, cash in wallet.items()},
        {
            "USDT": Collateral(),
            "BTC": Collateral(Decimal(50_000), Decimal("0.9"), Decimal(0), Decimal("0.1")),
        },
        collateral_mode=CollateralMode.MULTI_ASSET,
    )
    marks = {"X": Decimal(100), "I": Decimal(50_000)}
    (pool,) = assess_account(account, marks, _rulebook(**policies))
    return pool


def test_a_basket_credits_after_the_haircut_and_charges_debts_and_requirements_at_the_ask() -> None:
    held = _basket({"USDT": "100", "BTC": "0.2"}, _held("5", "90"))
    assert held.margin_balance == (100 + 50) + Decimal("0.2") * 50_000 * Decimal("0.9")
    owed = _basket({"USDT": "10000", "BTC": "-0.1"}, _held("1000", "50000", "I"))
    assert owed.margin_balance == 10_000 - Decimal("0.1") * 50_000 * Decimal("1.1")
    assert owed.liquidation_requirement == 2 * Decimal("0.01") * 50_000 * Decimal("1.1")


def test_a_baskets_orders_count_where_the_venue_counts_orders() -> None:
    order = _order("2", "100", leverage=Decimal(10))
    policies: dict[str, Any] = {"orders_in_requirement": True, "opening_fees_deducted": True}
    pool = _basket({"USDT": "100"}, _held("5"), orders=(order,), **policies)
    assert pool.liquidation_requirement == 500 * Decimal("0.01") + 200 * (Decimal("0.01") + FEE)
    assert pool.balance_held_against == 100 - 200 * FEE


# ── What cannot be assessed ───────────────────────────────────────────────────────────────────────────────────────


def test_a_position_without_a_mark_is_an_error_that_names_it() -> None:
    with pytest.raises(BadAccount, match="no mark price for X"):
        assess_account(Account((_held("1"),), wallet={"USDT": Decimal(1)}), {}, _rulebook())


def test_a_symbol_without_a_table_is_an_error_that_names_it() -> None:
    with pytest.raises(BadRulebook, match="no table for Z"):
        assess_account(Account((_held("1", symbol="Z"),)), {"Z": Decimal(1)}, _rulebook())


def test_a_price_that_carries_a_position_past_its_last_tier_leaves_it_in_that_tier() -> None:
    short = parse(
        {
            "rulebook": "binance-usdm",
            "account": {
                "wallet": {"USDT": "5000"},
                "positions": [
                    {"symbol": "X", "side": "short", "quantity": "100", "entry_price": "10", "leverage": "5"}
                ],
            },
            "contracts": {
                "X": {
                    "settle_asset": "USDT",
                    "tiers": [{"floor": "0", "cap": "1200", "maintenance_rate": "0.02", "max_leverage": "5"}],
                }
            },
        },
        where="test",
    )
    (pool,) = assess_account(short.account, {"X": Decimal(13)}, short.rulebook())
    assert pool.maintenance_margin == Decimal(100) * 13 * Decimal("0.02")
