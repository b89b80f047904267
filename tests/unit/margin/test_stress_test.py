"""Bybit's stress test: the worst scenario and each contingency, spelled as arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tests.unit.margin.portfolio_books import BTC, assessed, future, held, option, perpetual

if TYPE_CHECKING:
    from ringfence.margin.portfolio.unit import Unit

D = Decimal


def _unit(*positions: object, **more: object) -> Unit:
    found = assessed("bybit-uta", *positions, **more).portfolio  # type: ignore[arg-type]
    assert found is not None
    return found.units[0]


def _charges(unit: Unit) -> dict[str, Decimal]:
    return {charge.name: charge.amount for charge in unit.margins.charges}


def test_a_perpetual_needs_ten_percent_and_its_own_contingency() -> None:
    unit = _unit(held(perpetual(), "-3"))
    assert unit.margins.worst_loss == 3 * BTC * D("0.10")
    assert _charges(unit) == {"perpetuals and futures": 3 * BTC * D("0.005")}
    assert unit.margins.maintenance == 3 * BTC * (D("0.10") + D("0.005"))
    assert unit.margins.initial == D("1.2") * unit.margins.maintenance


def test_delta_that_expiries_offset_is_charged_by_the_years_between_them() -> None:
    unit = _unit(held(perpetual(), "1"), held(future(73), "-1"))
    assert unit.margins.worst_loss == 0
    assert _charges(unit)["delta spread"] == BTC * D("0.2") * D("0.45")


def test_a_delta_spread_costs_at_most_what_the_offset_saved() -> None:
    # two years apart: 90 % of the hedged delta would be more than the 2 x 10 % that the hedge saved
    unit = _unit(held(perpetual(), "1"), held(future(730), "-1"))
    assert _charges(unit)["delta spread"] == BTC * 2 * D("0.10")


def test_contracts_in_different_stablecoins_offset_for_a_charge() -> None:
    unit = _unit(held(perpetual(), "2"), held(perpetual("BTC-USDC", settle="USDC"), "-1.5"))
    assert _charges(unit)["stablecoin spread"] == D("1.5") * BTC * D("0.005")


def test_net_short_options_of_an_expiry_and_type_are_charged() -> None:
    unit = _unit(
        held(option("70000"), "-3"), held(option("80000"), "1"), held(option("50000", "put"), "-1"),
        held(option("70000", days=60), "2"),
    )  # fmt: skip
    # calls of 30 days: net 2 short; puts: 1 short; the other expiry is net long
    assert _charges(unit)["short options"] == 3 * D("0.005") * BTC


def test_vegas_that_expiries_offset_are_charged_by_the_days_between_them() -> None:
    unit = _unit(held(option("60000", days=20), "1"), held(option("60000", days=60), "-1"))
    near = next(item for item in unit.exposures if item.days == 20).vega(D(1), BTC)
    # the nearer option's vega is the smaller one: 40 days x vega x 0.03 %
    assert abs(_charges(unit)["vega spread"] - 40 * near * D("0.0003")) < D("0.0001")


def test_an_account_below_the_least_equity_is_told() -> None:
    from ringfence.study.portfolio_words import portfolio_notes

    poor = assessed("bybit-uta", held(perpetual(), "0.01"), wallet={"USDT": "900"})
    assert any("equity of at least 1000" in note for note in portfolio_notes([poor]))
    rich = assessed("bybit-uta", held(perpetual(), "0.01"), wallet={"USDT": "1100"})
    assert not any("equity of at least" in note for note in portfolio_notes([rich]))


def test_a_coin_outside_the_published_ones_has_the_wider_range() -> None:
    found = assessed("bybit-uta", held(perpetual("SOL-PERP", coin="ETH"), "1"))
    assert found.portfolio is not None
    assert found.portfolio.units[0].coin == "ETH"
    assert not any("terms for" in text for text in found.portfolio.assumptions)
