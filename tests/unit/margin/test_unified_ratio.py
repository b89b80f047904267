"""Binance's unified maintenance margin ratio, and what each of its bands permits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.account import (
    Account,
    Collateral,
    CollateralMode,
    MarginMode,
    OpenOrder,
    Position,
    RiskInputs,
)
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadRulebook
from ringfence.margin.assess import assess_account
from ringfence.margin.order import check_order
from ringfence.rulebook import Tier, TierTable
from tests.unit.margin.portfolio_books import rules

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment

D = Decimal
_TIER = TierTable((Tier(D(0), D("0.005"), D(0), D(125)),))
_USDM = Contract("BTCUSDT", ContractKind.LINEAR, D(1), "USDT", D("0.1"))
_COINM = Contract("BTCUSD_PERP", ContractKind.INVERSE, D(100), "BTC", D("0.1"))
_RULEBOOK = rules("binance-usdm").with_tables({"BTCUSDT": (_USDM, _TIER), "BTCUSD_PERP": (_COINM, _TIER)})
_MARKS = {"BTCUSDT": D(40000), "BTCUSD_PERP": D(40000)}


def _account(*, usdt: str = "5000", loans: dict[str, str] | None = None, orders: tuple[OpenOrder, ...] = ()) -> Account:
    return Account(
        positions=(
            Position("BTCUSDT", D("-0.5"), D(41000), MarginMode.CROSS),
            Position("BTCUSD_PERP", D(100), D(40000), MarginMode.CROSS),
        ),
        orders=orders,
        wallet={"USDT": D(usdt), "BTC": D("0.2")},
        collateral={"USDT": Collateral(), "BTC": Collateral(index=D(40000), ratio=D("0.95"))},
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(loans={asset: D(amount) for asset, amount in (loans or {}).items()}),
    )


def _assessed(account: Account) -> Assessment:
    return assess_account(account, _MARKS, _RULEBOOK)[0]


def test_the_ratio_is_equity_after_haircut_over_the_maintenance_of_both_kinds_of_contract() -> None:
    found = _assessed(_account())
    # 5,000 USDT and a gain of 500; 0.2 BTC at 95 %
    assert found.margin_balance == 5500 + D("0.2") * 40000 * D("0.95")
    # 0.5 % of 20,000 USDT, and of 10,000 USD ÷ 40,000 = 0.25 BTC
    assert found.maintenance_margin == D("0.005") * 20000 + D("0.005") * D("0.25") * 40000
    assert found.margin_ratio == D(13100) / 150 or abs((found.margin_ratio or 0) - D(13100) / 150) < D("1e-15")


def test_loans_come_off_the_equity_and_are_charged_at_their_own_rate() -> None:
    found = _assessed(_account(loans={"BTC": "0.1", "USDT": "1000"}))
    assert found.margin_balance == 4500 + D("0.1") * 40000 * D("0.95")
    assert found.maintenance_margin == 150 + D("0.1") * (D("0.1") * 40000 + 1000)
    assert found.portfolio is not None
    assert [charge.name for charge in found.portfolio.charges] == [
        "BTCUSDT short", "BTCUSD_PERP long", "USDT loan", "BTC loan",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "band", "liquidatable"),
    [("2", "free", False), ("1.5", "reminder", False), ("1.2", "reduce-only", False), ("1.06", "reduce-only", False),
     ("1.05", "liquidation", True), ("1", "loss claim", True), ("0.5", "loss claim", True)],
)  # fmt: skip
def test_each_band_holds_down_to_its_end_and_liquidation_begins_at_105_percent(
    ratio: str,
    band: str,
    liquidatable: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    # nothing gained, no BTC as collateral: equity is the USDT alone; the requirement stays 150
    given = _account()
    level = replace(given.positions[0], entry_price=D(40000))
    account = replace(given, positions=(level, given.positions[1]), wallet={"USDT": 150 * D(ratio), "BTC": D(0)})
    found = _assessed(account)
    assert found.portfolio is not None
    assert found.margin_ratio == D(ratio)
    named = found.portfolio.band_at(found.margin_ratio)
    assert named is not None
    assert named.name == band
    assert found.liquidatable is liquidatable


def test_an_open_order_s_loss_comes_off_the_equity() -> None:
    buy = OpenOrder("BTCUSDT", D("0.1"), D(42000))
    assert _assessed(_account()).balance_held_against == 13100
    assert _assessed(_account(orders=(buy,))).balance_held_against == 13100 - D("0.1") * (42000 - 40000)


def test_no_position_is_opened_at_or_below_the_reduce_only_band() -> None:
    # requirement 150, opening asks for 1.2 times what would then be required
    order = OpenOrder("BTCUSDT", D("-0.1"), D(40000))
    given = _account()
    level = replace(given.positions[0], entry_price=D(40000))
    poor = replace(given, positions=(level, given.positions[1]), wallet={"USDT": 150 * D("1.15"), "BTC": D(0)})
    assert _assessed(poor).available_balance == 0
    rich = _account()
    from ringfence.account import pools

    pool = pools(rich, _RULEBOOK.contract, _RULEBOOK.collateral)[-1]
    assert check_order(pool, order, _MARKS, _RULEBOOK).accepted


def test_a_position_without_tiers_cannot_be_margined() -> None:
    bare = _RULEBOOK.with_tables({"BTCUSDT": (_USDM, None)})
    with pytest.raises(BadRulebook, match="no maintenance rate for BTCUSDT"):
        assess_account(_account(), _MARKS, bare)
