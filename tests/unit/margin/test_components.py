"""OKX's components, each spelled as arithmetic on a small book, and how they come together."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.margin.portfolio.black76 import Option, price
from ringfence.margin.portfolio.charges import components, scaled_by_steps
from tests.unit.margin.portfolio_books import BTC, assessed, future, held, inverse, option, perpetual, rules

if TYPE_CHECKING:
    from ringfence.margin.portfolio.unit import Unit

D = Decimal


def _unit(*positions: object, **more: object) -> Unit:
    found = assessed("okx-swap", *positions, **more).portfolio  # type: ignore[arg-type]
    assert found is not None
    return found.units[0]


def _charges(unit: Unit) -> dict[str, Decimal]:
    return {charge.name: charge.amount for charge in unit.margins.charges}


def test_a_perpetual_is_charged_its_spot_shock_which_half_the_extreme_move_equals() -> None:
    # MR1 of BTC: 12 %; MR6: half of 24 %. No expiry, so no basis; nothing hedged.
    unit = _unit(held(perpetual(), "2"))
    assert unit.margins.worst_loss == 2 * BTC * D("0.12")
    parts = {name: loss for name, loss, _ in unit.margins.parts}
    assert parts["MR6 extreme move"] == 2 * BTC * D("0.24") / 2
    assert unit.margins.maintenance == unit.margins.worst_loss
    assert unit.margins.initial == D("1.3") * unit.margins.maintenance


def test_before_january_2025_the_spot_shock_was_larger() -> None:
    found = assessed("okx-swap", held(perpetual(), "2"), day="2025-01-02").portfolio
    assert found is not None
    assert found.units[0].margins.worst_loss == 2 * BTC * D("0.15")


def test_an_inverse_perpetual_loses_in_dollars_what_its_notional_moves() -> None:
    # 60,000 contracts of a dollar are one BTC at the index; its loss in BTC counts at the scenario's price.
    loss = _unit(held(inverse(), "60000"), wallet={"BTC": "5"}).margins.worst_loss
    assert abs(loss - BTC * D("0.12")) < D("1e-30")


def test_a_calendar_spread_keeps_a_basis_charge_and_a_least_charge() -> None:
    unit = _unit(held(perpetual(), "1"), held(future(73), "-1"))
    # MR4: one BTC of the dated expiry x 73 ÷ 365 of a year x 5 %
    assert _charges(unit)["MR4 basis"] == BTC * D("0.2") * D("0.05")
    # MR7: 0.05 % fee and 0.5 % slippage of both legs, all of it in the first slice
    least = 2 * BTC * (D("0.0005") + D("0.005"))
    assert _charges(unit)["MR7 least charge"] == least
    assert unit.margins.worst_loss == 0
    assert unit.margins.maintenance == max(least, BTC * D("0.2") * D("0.05"))


def test_what_is_hedged_across_stablecoins_pays_for_a_depeg_by_slices() -> None:
    unit = _unit(held(perpetual(), "100"), held(perpetual("BTC-USDC", settle="USDC"), "-100"))
    # 6,000,000 hedged: 0.5 % of the first million, 1 % of the next four, 2.5 % of the rest
    assert _charges(unit)["MR9 depeg"] == D(5000) + D(40000) + D(25000)


def test_the_published_example_of_depeg_slices_is_reproduced() -> None:
    steps = ((D(1000000), D("0.0075")), (D(5000000), D("0.0175")), (D(10000000), D("0.025")))
    assert scaled_by_steps(D(10000000), steps) == 202500


def test_a_day_of_decay_is_charged_to_who_holds_options() -> None:
    call = option("60000", days=30)
    unit = _unit(held(call, "10"), held(perpetual(), "-5"))
    decay = next(loss for name, loss, _ in unit.margins.parts if name == "MR2 time")
    today, tomorrow = (price(Option(call=True, moneyness=1.0, days=d, volatility=0.6, rate=0.0)) for d in (30.0, 29.0))
    assert decay == 10 * BTC * (today - tomorrow)


def test_vegas_of_different_expiries_that_offset_are_charged() -> None:
    near, far = option("60000", days=20), option("60000", days=120)
    alone = _charges(_unit(held(near, "1")))
    spread = _charges(_unit(held(near, "1"), held(far, "-1")))
    assert "MR3 vega" not in alone
    # the smaller vega offsets: that of the nearer expiry, at a quarter more volatility
    now, up = (
        price(Option(call=True, moneyness=1.0, days=20.0, volatility=v, rate=0.0)) for v in (0.6, 0.75)
    )  # fmt: skip
    assert spread["MR3 vega"] == BTC * (up - now)


def test_interest_moves_are_charged_on_options() -> None:
    assert _charges(_unit(held(option("60000", days=180), "1")))["MR5 interest"] > 0
    assert "MR5 interest" not in _charges(_unit(held(perpetual(), "1")))


def test_spot_offsets_a_short_as_far_as_it_goes() -> None:
    hedged = _unit(held(perpetual(), "-2"), wallet={"USDT": "50000", "BTC": "1.5"})
    assert [item.name for item in hedged.exposures] == ["BTC-PERP short", "BTC spot"]
    assert hedged.margins.worst_loss == (2 - D("1.5")) * BTC * D("0.12")
    bare = _unit(held(perpetual(), "-2"), wallet={"USDT": "50000", "BTC": "1.5"}, spot_hedging=False)
    assert bare.margins.worst_loss == 2 * BTC * D("0.12")
    long = _unit(held(perpetual(), "2"), wallet={"USDT": "50000", "BTC": "1.5"})
    assert [item.name for item in long.exposures] == ["BTC-PERP long"]


def test_loans_are_charged_on_the_account() -> None:
    found = assessed("okx-swap", held(perpetual(), "1"), loans={"USDT": "20000"}).portfolio
    assert found is not None
    (borrowing,) = found.charges
    assert (borrowing.name, borrowing.amount) == ("MR8 borrowing", 20000 * D("0.1"))
    assert found.maintenance == BTC * D("0.12") + 2000
    assert found.initial == D("1.3") * BTC * D("0.12") + 20000 * D("0.2")


def test_what_counts_as_borrowed_is_said_and_a_loss_that_is_not_realised_does_not() -> None:
    found = assessed("okx-swap", held(perpetual(), "1", entry="65000"), wallet={"USDT": "-20000", "BTC": "3"})
    assert found.portfolio is not None
    (borrowing,) = found.portfolio.charges
    # equity in USDT is −25,000: 20,000 of it are a wallet balance below 0, 5,000 an open loss
    assert found.assets[0].equity == -25000
    assert borrowing.amount == 20000 * D("0.1")
    assert "wallet balances below 0, without unrealised PnL" in borrowing.how
    assert any(text.startswith("borrow basis:") for text in found.portfolio.assumptions)


def test_an_asset_has_no_available_balance_of_its_own() -> None:
    found = assessed("okx-swap", held(perpetual(), "1"))
    assert found.available_balance == 100000 - D("1.3") * BTC * D("0.12")
    assert [line.available for line in found.assets] == [None] * len(found.assets)


def test_an_option_s_least_charge_is_capped_by_its_price_when_long() -> None:
    cheap = option("200000", days=10)
    long = _charges(_unit(held(cheap, "1")))
    short = _charges(_unit(held(cheap, "-1")))
    # long: slippage at most its price of 3,000, and a fee at most 12.5 % of it, here 0.05 % of the underlying
    assert long["MR7 least charge"] == D("0.02") * BTC * D("0.1") + D("0.0005") * BTC
    assert short["MR7 least charge"] == long["MR7 least charge"]


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ({1: 10, 2: 50, 6: 20, 3: 3, 4: 4, 5: 5, 7: 40}, 50 + 3 + 4 + 5),
        ({1: 10, 7: 40}, 40),
        ({6: 20, 4: 1}, 21),
        ({}, 0),
    ],
)
def test_components_come_together_by_maximum_and_sum(parts: dict[int, int], whole: int) -> None:
    assert components({number: D(value) for number, value in parts.items()}) == whole


def test_coins_stand_in_the_classes_that_the_venue_lists() -> None:
    portfolio = rules("okx-swap").portfolio
    assert portfolio is not None
    moves = {coin: portfolio.terms_of(coin).spot_moves[-1] for coin in ("BTC", "XRP", "DOT", "SOL", "PEPE", "XYZ")}  # type: ignore[union-attr]
    assert moves == {"BTC": D("0.12"), "XRP": D("0.18"), "DOT": D("0.18"), "SOL": D("0.25"), "PEPE": D("0.25"),
                     "XYZ": D("0.25")}  # fmt: skip
    extreme = {coin: portfolio.terms_of(coin).extreme_move for coin in ("ETH", "XRP", "DOT", "SOL", "XYZ")}  # type: ignore[union-attr]
    assert extreme == {"ETH": D("0.24"), "XRP": D("0.36"), "DOT": D("0.50"), "SOL": D("0.36"), "XYZ": D("0.50")}
