"""Deribit's risk matrix held to two replies of its API: every vector and margin of both, to their last digit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Position, RiskInputs
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess_account
from ringfence.portfolio_rules import MatrixTerms
from tests.unit.margin.portfolio_books import BTC, assessed, future, held, inverse, option, perpetual, rules

if TYPE_CHECKING:
    from ringfence.margin.portfolio.unit import Unit

D = Decimal

# private/pme/simulate, docs.deribit.com, timestamp 1718619740501; "size in base currency".
DOCUMENTED = {"BTC-PERPETUAL": "0.314538364", "BTC-28JUN24": "-0.001187534"}
STANDARD_PERPETUAL = [
    "-0.05991206933333334", "-0.04289159509090909", "-0.027351162086956524", "-0.013105765166666668", "0",
    "0.012097629384615385", "0.023299138074074074", "0.033700538999999995", "0.043384601931034494",
]  # fmt: skip
STANDARD_DATED = [
    "0.0002261969523809524", "0.00016193645454545456", "0.00010326382608695652", "0.00004948058333333334", "0",
    "-0.00004567438461538462", "-0.00008796548148148148", "-0.0001272357857142857", "-0.00016379779310344832",
]  # fmt: skip
EXTENDED_PERPETUAL = ["-0.05991206933333334"] * 2 + ["0.04338460193103449"] * 6


def _unit(coins: dict[str, str], *, coin: str, index: str, day: str, at: datetime) -> tuple[Unit, Decimal, Decimal]:
    """One unit of inverse contracts whose sizes are given in coins: at a mark of 1 a dollar contract is a coin."""
    contracts = {
        symbol: Contract(symbol, ContractKind.INVERSE, D(1), coin, underlying=coin,
                         expiry=None if "PERP" in symbol else datetime(2024, 6, 28, 8, tzinfo=UTC))
        for symbol in coins
    }  # fmt: skip
    account = Account(
        positions=tuple(Position(symbol, D(size), D(1), MarginMode.CROSS) for symbol, size in coins.items()),
        wallet={coin: D(10)},
        collateral={coin: Collateral(index=D(index))},
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(time=at, index={coin: D(index)}),
    )
    rulebook = rules("deribit", day=day).with_tables({symbol: (c, None) for symbol, c in contracts.items()})
    found = assess_account(account, dict.fromkeys(coins, D(1)), rulebook)[0].portfolio
    assert found is not None
    return found.units[0], found.maintenance, found.initial


def _documented() -> tuple[Unit, Decimal, Decimal]:
    return _unit(
        DOCUMENTED, coin="BTC", index="65666.19", day="2024-06-17", at=datetime(2024, 6, 17, 10, 22, tzinfo=UTC)
    )


def _agree(found: Decimal, printed: str) -> bool:
    """Whether a figure is the printed one, a double whose last digits are noise."""
    return abs(found - D(printed)) <= D("1e-16")


def test_each_contract_s_standard_vector_is_the_documented_one() -> None:
    unit, _, _ = _documented()
    for item, printed in zip(unit.exposures, (STANDARD_PERPETUAL, STANDARD_DATED), strict=True):
        for bucket, value in enumerate(printed):
            for volatility in range(3):  # three volatilities a price, alike for what is no option
                assert _agree(item.row[3 * bucket + volatility] / unit.index, value)


def test_the_extended_vector_is_the_documented_one_before_it_is_dampened() -> None:
    unit, _, _ = _documented()
    assert all(
        _agree(gain / unit.index, printed)
        for gain, printed in zip(unit.exposures[0].row[27:], EXTENDED_PERPETUAL, strict=True)
    )


def test_the_dampener_leaves_nothing_of_a_small_book_s_extended_losses_as_documented() -> None:
    unit, _, _ = _documented()
    assert unit.margins.losses[27:] == (D(0),) * 8


def test_the_margins_are_the_documented_ones() -> None:
    unit, maintenance, initial = _documented()
    assert _agree(unit.margins.worst_loss / unit.index, "0.05968587238095239")
    assert unit.margins.worst is not None
    assert unit.grid is not None
    assert unit.grid.scenarios[unit.margins.worst].name == "-16 %, vol same"  # price bucket 1; volatility plays no part
    (roll,) = unit.margins.charges
    assert (roll.name, roll.amount / unit.index) == ("roll shock", D("0.00315725898"))
    # the reply adds its worst case rounded to 9 places: 0.059685872 + 0.00315725898 = 0.06284313098, and 0.8 times that
    assert abs(initial / unit.index - D("0.06284313098")) <= D("5e-10")
    assert abs(maintenance / unit.index - D("0.050274504784")) <= D("5e-10")


def test_the_margins_of_a_recorded_reply_are_reproduced() -> None:
    # ETH-PERPETUAL -0.999487053 coins at an index of 1949.34, 2026-02-15: terms of ETH's own.
    unit, maintenance, initial = _unit(
        {"ETH-PERPETUAL": "-0.999487053"}, coin="ETH", index="1949.34", day="2026-02-15",
        at=datetime(2026, 2, 15, 23, 20, tzinfo=UTC),
    )  # fmt: skip
    assert _agree(unit.margins.worst_loss / unit.index, "0.15246412672881357")
    assert unit.margins.charges[0].amount / unit.index == D("0.004997435265")
    assert abs(initial / unit.index - D("0.157461562265")) <= D("5e-10")  # 0.152464127 + 0.004997435265
    assert abs(maintenance / unit.index - D("0.125969249812")) <= D("5e-10")
    assert _agree(unit.exposures[0].row[0] / unit.index, "0.21939959699999997")


def test_a_linear_future_loses_its_price_move() -> None:
    found = assessed("deribit", held(perpetual(settle="USDC"), "2"), wallet={"USDC": "50000"}).portfolio
    assert found is not None
    assert found.units[0].margins.worst_loss == 2 * BTC * D("0.16")
    # roll shock: 1 % of the perpetual's delta; maintenance 0.8 of the sum
    assert found.maintenance == D("0.8") * (2 * BTC * D("0.16") + 2 * BTC * D("0.01"))


def test_a_large_short_of_far_calls_is_caught_by_the_extended_table() -> None:
    call = option("150000", settle="USDC")
    found = assessed("deribit", held(call, "-2000"), wallet={"USDC": "90000000"}).portfolio
    assert found is not None
    unit = found.units[0]
    assert unit.grid is not None
    assert unit.margins.worst is not None
    scenario = unit.grid.scenarios[unit.margins.worst]
    assert scenario.group == "extended"
    # at +500 %: 360,000 a coin, the call worth about 210,000; a share of 16 ÷ 500, less (500 ÷ 16 − 1) · 100,000
    assert scenario.move == 5
    loss = -unit.margins.columns[unit.margins.worst]
    assert unit.margins.worst_loss == loss - scenario.dampener
    assert abs(loss - 2000 * D(210000) * D("0.16") / 5) < 2000 * 50


def test_delta_beyond_the_threshold_is_shocked() -> None:
    # 1,000 BTC at 60,000: 20,000,000 is 333.33 coins, so 666.67 lie beyond, each shocked by 0.00005 per coin beyond.
    found = assessed("deribit", held(perpetual(settle="USDC"), "1000"), wallet={"USDC": "90000000"}).portfolio
    assert found is not None
    excess = 1000 - D(20000000) / BTC
    shock = next(charge for charge in found.units[0].margins.charges if charge.name == "delta shock")
    assert abs(shock.amount - excess * excess * D("0.00005") * BTC) < 1
    assert shock.minimum


def test_the_older_edition_charges_offsetting_futures_and_net_short_options_of_a_strike() -> None:
    found = assessed(
        "deribit", held(future(90, settle="BTC"), "100"), held(inverse(), "-6000000"),
        held(option("70000", settle="BTC"), "10"), held(option("70000", "put", settle="BTC"), "-20"),
        day="2022-01-01", wallet={"BTC": "50"},
    ).portfolio  # fmt: skip
    assert found is not None
    amounts = {charge.name: charge.amount / BTC for charge in found.units[0].margins.charges}
    assert amounts["short options"] == 10 * D("0.01")
    assert amounts["offsetting futures"] == 100 * D("0.01")


def test_a_dated_future_rolls_at_its_yearly_rate_once_that_is_more_than_the_least() -> None:
    found = assessed("deribit", held(future(365, settle="USDC"), "1"), wallet={"USDC": "50000"}).portfolio
    assert found is not None
    roll = next(charge for charge in found.units[0].margins.charges if charge.name == "roll shock")
    assert roll.amount == BTC * D("0.075")


def test_coins_without_terms_of_their_own_are_named_as_standing_on_general_ones() -> None:
    sol = replace(perpetual("SOL-PERP", settle="USDC", coin="SOL"))
    account_terms = rules("deribit").portfolio
    assert account_terms is not None
    assert isinstance(account_terms.terms_of("SOL"), MatrixTerms)
    from ringfence.margin.portfolio.requirement import assumptions

    assert any("terms for SOL were not found" in text for text in assumptions(account_terms, [sol.risk_unit]))
    assert not any("terms for" in text for text in assumptions(account_terms, ["BTC", "ETH"]))


@pytest.mark.parametrize("day", ["2024-06-16", "2020-01-01"])
def test_days_before_the_risk_matrix_take_the_older_edition(day: str) -> None:
    found = rules("deribit", day=day).portfolio
    assert found is not None
    assert found.day == "always"
