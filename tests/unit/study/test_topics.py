"""Topics of the answers beyond the published cases: other inputs of the same forms, and forms that are not known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ringfence.study import topics


def _compute(kind: str, rulebook: str = "any", **inputs: Any) -> dict[str, Any]:
    figures = topics.compute(kind, rulebook, inputs)
    assert figures is not None
    return figures


# ── Liquidations ──────────────────────────────────────────────────────────────────────────────────────────────────

DYDX: dict[str, Any] = {
    "oracle": "BTC 50000, ETH 3000", "mmf": "0.10", "closing": "BTC",
    "bankruptcy_adjustment_ppm": "1000000", "spread_to_mm_ratio_ppm": "100000",
}  # fmt: skip


def test_a_fillable_price_looks_at_all_positions_of_the_account() -> None:
    # 0.1 BTC and 1 ETH: 8000 − 7600 = 400 for a requirement of 800: rating 0.5; 5000 − 0.5 · 0.1 · 500 = 4975
    positions = [{"symbol": "BTC", "quantums": "10000000"}, {"symbol": "ETH", "quantums": "1000000000"}]
    found = _compute("liquidation_fill", usdc_balance="-7600", positions=positions, **DYDX)
    assert found["fillable_price"] == 49750


def test_at_bankruptcy_the_fillable_price_has_moved_by_the_whole_spread_and_no_further() -> None:
    for balance in ("-5000", "-6000"):
        found = _compute(
            "liquidation_fill", usdc_balance=balance, positions=[{"symbol": "BTC", "quantums": "10000000"}], **DYDX
        )
        assert found["fillable_price"] == 50000 - Decimal("0.1") * 500 / Decimal("0.1")


def test_a_part_is_closed_at_bankruptcy_for_its_value_less_its_share() -> None:
    # half of 0.1 BTC: 2500 − floor(499 · 250 ÷ 500) in quote quanta
    found = _compute(
        "liquidation_fill", usdc_balance="-4501", positions=[{"symbol": "BTC", "quantums": "10000000"}],
        delta_quantums="-5000000", **DYDX,
    )  # fmt: skip
    assert found["bankruptcy_price_quote_quantums"] == (2500 - Decimal("249.5")) * 10**6


def test_fees_make_the_size_of_a_liquidation_larger_until_none_is_enough() -> None:
    inputs = {"margin_shortage": "10", "margin_ratio": "0.10", "oracle": "100", "insurance_fee": "0.01"}
    assert _compute("liquidation_size", liquidator_fee="0.01", **inputs)["base_1e9"] == Decimal(10**9) * 10 // 8
    assert _compute("liquidation_size", liquidator_fee="0.09", **inputs)["base_1e9"] == 2**64 - 1


# ── Money ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_realised_pnl_is_linear_or_inverse_and_less_its_fees() -> None:
    linear = {"side": "long", "contracts": "2", "face": "0.1", "entry_price": "100", "exit_price": "110"}
    assert _compute("realised_pnl", "okx-swap", **linear)["realised_pnl"] == Decimal("0.2") * 10
    assert _compute("realised_pnl", "okx-swap", fee="0.5", **linear)["realised_pnl"] == 2 - Decimal("0.5")
    inverse = {"side": "short", "contracts": "10", "face": "100", "entry_price": "100", "price": "80"}
    assert _compute("realised_pnl", "binance-coinm", **inverse)["realised_pnl"] == 1000 / Decimal(80) - 10


def test_bybits_rates_are_truncated_and_a_margin_balance_below_zero_has_none() -> None:
    inputs = {"totalWalletBalance": "100", "totalPerpUPL": "0", "totalInitialMargin": "66.6699"}
    found = _compute("account_totals", "bybit-uta", **inputs)
    assert [found["accountIMRate"], found["totalAvailableBalance"]] == [Decimal("0.6666"), Decimal("33.3301")]
    assert "accountIMRate" not in _compute("account_totals", "bybit-uta", **inputs | {"totalPerpUPL": "-101"})


def test_costs_come_out_of_a_bonus_by_the_venues_order() -> None:
    costs = {"bonus": "50", "own": "100", "fee": "10", "loss": "20"}
    assert _compute("bonus", "mexc-usdtm", **costs)["bonus_used"] == 30
    assert _compute("bonus", "htx-usdtm", **costs)["bonus_used"] == 15
    assert _compute("bonus", "bingx-usdtm", **costs)["bonus_used"] == 10
    assert _compute("bonus", "weex-usdtm", **costs)["bonus_used"] == 0  # none published: own money first
    found = _compute("bonus", "mexc-usdtm", margin="120", **costs)
    assert [found["own_margin"], found["bonus_margin"]] == [100, 20]


def test_equity_below_the_threshold_is_usable_whole() -> None:
    found = _compute("usable_margin", equity="30000", full_use_threshold="35000", excess_coefficient="0.5")
    assert found == {"available_margin": 30000}


def test_a_copied_order_may_fill_the_cap_and_not_pass_it() -> None:
    cap: dict[str, Any] = {"max_daily_copy_margin": "50", "orders": ["20"]}
    assert _compute("copy_trading", next_order="30", **cap) == {"second_order_allowed": True}
    assert _compute("copy_trading", next_order="30.01", **cap) == {"second_order_allowed": False}


# ── Collateral and portfolios ─────────────────────────────────────────────────────────────────────────────────────


def test_a_debt_below_the_threshold_is_not_exchanged_and_loan_to_value_can_trigger_too() -> None:
    small = _compute("auto_exchange", usdt_wallet="-4999", threshold="-5000", haircut="0.025")
    assert small["triggered"] is False
    by_value = _compute("auto_exchange", debt="995", collateral_value="1000")
    assert by_value == {"loan_to_value": Decimal("0.995"), "triggered": True}
    assert _compute("auto_exchange", usdt_wallet="10", haircut="0.025")["collateral_sold"] == 0


def test_weights_by_tiers_apply_slice_by_slice() -> None:
    tiers = [{"upto": "10", "ratio": "0.95"}, {"upto": "20", "ratio": "0.9"}, {"upto": None, "ratio": "0.5"}]
    found = _compute("collateral_weight", amount="30", price="2", tiers=tiers)
    assert found["discounted"] == 2 * (Decimal("9.5") + 9 + 5)


def test_a_spot_short_has_its_margin_in_the_currency_it_is_sold_for() -> None:
    found = _compute(
        "spot_margin", product="margin BTC/USDT", side="short", qty_btc="2", leverage="4", fill_price="100"
    )
    assert found == {"margin_usdt": 50, "borrowed_btc": 2, "position_assets_usdt": 250}


def test_a_spot_longs_liquidation_price_pays_debt_maintenance_and_fee() -> None:
    found = _compute(
        "spot_margin", product="BTC/USDT", side="long", qty_btc="1", leverage="1", fill_price="100", mmr="0.05",
        interest="10", fee_rate="0.1",
    )  # fmt: skip
    assert found["liquidation_price"] == 110 * Decimal("1.05") * Decimal("1.1") / 2


def test_okxs_requirement_is_the_worst_of_three_plus_three_or_the_scaled_minimum() -> None:
    parts = {f"mr{number}": str(value) for number, value in enumerate((10, 50, 3, 4, 5, 20, 40), 1)}
    assert _compute("portfolio_margin", "okx-swap", **parts)["mmr"] == 50 + 3 + 4 + 5
    assert _compute("portfolio_margin", "okx-swap", **parts | {"mr7": "100", "mr9": "7"})["mmr"] == 100 + 7
    assert _compute("portfolio_margin", "okx-swap", **parts)["imr"] == Decimal("1.3") * 62


def test_binances_parts_hold_coin_margined_positions_too() -> None:
    short = {"sym": "BTCUSD_PERP", "side": "short", "usd": "10000", "entry": "50000", "mark": "40000", "mmr": "0.01"}
    found = _compute("portfolio_margin", "binance-usdm", um=[], cm=[short])
    assert found == {"upnl_cm": Decimal("0.25") - Decimal("0.2"), "cm_mm": Decimal("0.0025")}


def test_an_option_in_the_money_is_out_of_it_by_nothing() -> None:
    found = _compute("option_margin", underlying="100", strike_call="90", strike_put="120")
    assert found == {"otm_call": 0, "otm_put": 0}


# ── What is not known ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [*topics.kinds(), "weather"])
def test_inputs_of_another_form_are_not_computed_and_never_guessed(kind: str) -> None:
    assert topics.compute(kind, "binance-usdm", {"tide": "high"}) is None


@pytest.mark.parametrize("wrong", ["", "much", None, [], {"a": 1}])
def test_what_is_no_number_is_not_computed(wrong: object) -> None:
    inputs = {"side": "long", "contracts": wrong, "entry_price": "1", "exit_price": "2"}
    assert topics.compute("realised_pnl", "okx-swap", inputs) is None
