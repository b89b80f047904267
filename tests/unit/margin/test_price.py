"""Liquidation, bankruptcy and break-even prices by hand, with the rounding of each venue."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Position, PositionMode
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.price import (
    LiquidationPrices,
    bankruptcy_price,
    break_even_price,
    liquidation_price,
    liquidation_prices,
)
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment

FEE = Decimal("0.0005")
X = Contract("X", ContractKind.LINEAR, Decimal(1), "USDT", price_step=Decimal("0.5"), taker_fee_rate=FEE)
INVERSE = Contract("I", ContractKind.INVERSE, Decimal(100), "BTC", price_step=Decimal("0.5"), taker_fee_rate=FEE)
FLAT = TierTable((Tier(Decimal(0), Decimal("0.1"), Decimal(0), None),))


def _rulebook(**policies: Any) -> Rulebook:
    chosen = Policies(**policies)
    tables = {"X": (X, FLAT), "Y": (replace(X, symbol="Y"), FLAT), "I": (INVERSE, FLAT), "J": (INVERSE, FLAT)}
    return Rulebook("test", "Test", None, isolated=chosen, cross=chosen, basket=chosen, tables=tables)


def _pool(wallet: str, *held: tuple[str, str, str], marks: dict[str, str] | None = None, **policies: Any) -> Assessment:
    """A cross pool of (symbol, signed quantity, entry); marks are the entries where none are given."""
    positions = tuple(Position(s, Decimal(q), Decimal(e), MarginMode.CROSS, None, Decimal(10)) for s, q, e in held)
    asset = "BTC" if held[0][0] in "IJ" else "USDT"
    prices = {s: Decimal((marks or {}).get(s, e)) for s, _, e in held}
    (assessment,) = assess_account(Account(positions, wallet={asset: Decimal(wallet)}), prices, _rulebook(**policies))
    return assessment


def _near(price: Decimal | None, expected: Fraction) -> bool:
    return price is not None and abs(Fraction(price) - expected) < Fraction(1, 10**18)


# ── Liquidation ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_and_a_short_by_hand() -> None:
    # 2 at 100 with 50: 50 ± 2 (p − 100) = 2 · p · 0.1
    long = liquidation_prices(_pool("50", ("X", "2", "100")), "X")
    short = liquidation_prices(_pool("50", ("X", "-2", "100")), "X")
    assert _near(long.below, Fraction(150) / Fraction("1.8"))
    assert long.above is None
    assert _near(short.above, Fraction(250) / Fraction("2.2"))
    assert short.below is None


def test_each_side_is_shown_its_own_price_or_the_other_one_if_it_has_none() -> None:
    both = LiquidationPrices(Decimal(1), Decimal(9), rounded=False)
    assert [both.of_side(side) for side in ("long", "short")] == [1, 9]
    one = LiquidationPrices(None, Decimal(9), rounded=False)
    assert [one.of_side(side) for side in ("long", "short")] == [9, 9]


def test_the_short_way_gives_the_same_prices() -> None:
    assessment = _pool("50", ("X", "2", "100"))
    short_way = liquidation_price(assessment.pool, "X", {"X": Decimal(100)}, _rulebook())
    assert short_way == liquidation_prices(assessment, "X")


def test_the_price_of_a_margin_call_is_that_of_its_health() -> None:
    # 50 + 2 (p − 100) = 1.25 · 2 · p · 0.1
    called = liquidation_prices(_pool("50", ("X", "2", "100")), "X", health=Decimal("1.25")).below
    assert _near(called, Fraction(150) / Fraction("1.75"))


def test_another_positions_requirement_and_pnl_count_at_its_own_mark() -> None:
    # Y, short 1 at 200 with its mark at 210: −10, and 21 required. 50 − 10 + 2 (p − 100) = 2 · p · 0.1 + 21
    pool = _pool("50", ("X", "2", "100"), ("Y", "-1", "200"), marks={"Y": "210"})
    assert _near(liquidation_prices(pool, "X").below, Fraction(200 - 40 + 21) / Fraction("1.8"))


def test_a_pool_under_water_shows_the_price_it_was_liquidated_at() -> None:
    pool = _pool("50", ("X", "2", "100"), marks={"X": "80"})
    assert pool.liquidatable
    assert _near(liquidation_prices(pool, "X").below, Fraction(150) / Fraction("1.8"))


def test_a_price_that_is_not_positive_is_none_or_is_shown_by_policy() -> None:
    # 300 + 2 (p − 100) = 0.2 p at p = −100 ÷ 1.8
    assert liquidation_prices(_pool("300", ("X", "2", "100")), "X").below is None
    shown = liquidation_prices(_pool("300", ("X", "2", "100"), non_positive_price="reported"), "X").below
    assert _near(shown, Fraction(-100) / Fraction("1.8"))


def test_a_symbol_that_is_not_held_and_a_wallet_that_is_not_known_have_no_price() -> None:
    assessment = _pool("50", ("X", "2", "100"))
    assert liquidation_prices(assessment, "Y") == (None, None, False)
    unknown = replace(assessment.pool, balances={"USDT": None})
    assert liquidation_price(unknown, "X", {"X": Decimal(100)}, _rulebook()) == (None, None, False)


@pytest.mark.parametrize(
    ("policy", "long", "short"),
    [
        ("none", Fraction(150) / Fraction("1.8"), Fraction(250) / Fraction("2.2")),  # 83.33…, 113.63…
        ("toward_entry", Fraction("83.5"), Fraction("113.5")),
        ("away_from_entry", Fraction(83), Fraction(114)),
        ("nearest", Fraction("83.5"), Fraction("113.5")),
        (
            "one_step_toward_entry",
            Fraction(150) / Fraction("1.8") + Fraction("0.5"),
            Fraction(250) / Fraction("2.2") - Fraction("0.5"),
        ),
    ],
)
def test_prices_are_rounded_to_the_step_as_the_venue_rounds(policy: str, long: Fraction, short: Fraction) -> None:
    found = [
        liquidation_prices(_pool("50", ("X", quantity, "100"), liquidation_price_rounding=policy), "X")
        for quantity in ("2", "-2")
    ]
    assert _near(found[0].below, long)
    assert _near(found[1].above, short)
    assert [prices.rounded for prices in found] == [policy != "none"] * 2


def test_without_a_price_step_the_price_comes_unrounded_and_says_so() -> None:
    assessment = _pool("50", ("X", "2", "100"))
    rulebook = _rulebook(liquidation_price_rounding="toward_entry")
    rulebook = rulebook.with_tables({"X": (replace(X, price_step=None), FLAT)})
    prices = liquidation_price(assessment.pool, "X", {"X": Decimal(100)}, rulebook)
    assert _near(prices.below, Fraction(150) / Fraction("1.8"))
    assert prices.rounded is False


def test_an_inverse_price_on_a_step_stays_there_although_its_unit_values_are_rounded() -> None:
    # 1 ÷ 330 has no end. With nothing in the wallet a long from 330 is liquidated where 1 ÷ 330 = 1.1 ÷ p: at 363.
    for rounding in ("toward_entry", "away_from_entry", "nearest"):
        pool = _pool("0", ("I", "7", "330"), marks={"I": "300"}, liquidation_price_rounding=rounding)
        assert liquidation_prices(pool, "I").below == 363


def test_where_fees_stand_at_bankruptcy_prices_the_other_positions_fees_move_too() -> None:
    policies: dict[str, Any] = {"closing_fee": "bankruptcy_price", "maintenance_at": "entry"}
    held = (("I", "300", "30000"), ("J", "200", "35000"))
    pool = _pool("0.4", *held, marks={"I": "31000", "J": "34000"}, **policies)
    price = liquidation_prices(pool, "I").below
    assert price is not None
    marks = {"I": price, "J": Decimal(34_000)}
    there = assess(pool.pool, marks, _rulebook(**policies))
    assert there.margin_balance is not None
    assert there.liquidation_requirement is not None
    assert abs(there.margin_balance - there.liquidation_requirement) < Decimal("1e-20")


# ── Bankruptcy ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_position_alone_is_bankrupt_where_its_equity_is_used_up() -> None:
    pool = _pool("50", ("X", "2", "100"))
    assert bankruptcy_price(pool, pool.lines[0]) == 100 - 50 / 2
    short = _pool("50", ("X", "-2", "100"))
    assert bankruptcy_price(short, short.lines[0]) == 100 + 50 / 2


def test_a_position_covered_in_full_is_never_bankrupt() -> None:
    pool = _pool("200", ("X", "2", "100"))
    assert bankruptcy_price(pool, pool.lines[0]) is None


def test_positions_of_one_pool_share_its_equity_by_their_maintenance_margin() -> None:
    # 200 and 600 of notional at one rate: a quarter and three quarters of 80
    pool = _pool("80", ("X", "2", "100"), ("Y", "-2", "300"))
    assert bankruptcy_price(pool, pool.lines[0]) == 100 - Decimal(20) / 2
    assert bankruptcy_price(pool, pool.lines[1]) == 300 + Decimal(60) / 2


def test_the_shares_of_a_pool_lose_exactly_its_equity_between_them() -> None:
    pool = _pool("77", ("X", "2", "100"), ("Y", "-2", "310"), marks={"X": "93", "Y": "290"})
    lost = Fraction(0)
    for line in pool.lines:
        price = bankruptcy_price(pool, line)
        assert price is not None
        lost += Fraction(line.position.quantity) * (Fraction(price) - Fraction(line.mark_price))
    assert pool.margin_balance is not None
    assert abs(lost + Fraction(pool.margin_balance)) < Fraction(1, 10**20)


def test_a_bankruptcy_price_may_leave_the_closing_fee_over() -> None:
    # 50 + 2 (p − 100) = 2 · p · FEE
    pool = _pool("50", ("X", "2", "100"), closing_fee="mark", bankruptcy_reserve="closing_fee")
    assert _near(bankruptcy_price(pool, pool.lines[0]), Fraction(150) / (2 - 2 * Fraction(FEE)))


def test_a_bankruptcy_price_is_rounded_by_its_own_policy() -> None:
    # 51 ÷ 2 · … : 100 − 50.3 ÷ 2 = 74.85
    for policy, expected in (("toward_entry", "75"), ("away_from_entry", "74.5"), ("nearest", "75")):
        pool = _pool("50.3", ("X", "2", "100"), bankruptcy_price_rounding=policy)
        assert bankruptcy_price(pool, pool.lines[0]) == Decimal(expected)


def test_without_a_known_wallet_there_is_no_bankruptcy_price() -> None:
    pool = replace(_pool("50", ("X", "2", "100")).pool, balances={"USDT": None})
    assessment = assess(pool, {"X": Decimal(100)}, _rulebook())
    assert bankruptcy_price(assessment, assessment.lines[0]) is None


def _basket(wallet: dict[str, str], *held: tuple[str, str, str], marks: dict[str, str]) -> Assessment:
    """A basket of USDT, and of BTC that counts 45,000 when held and 55,000 when owed."""
    account = Account(
        tuple(Position(s, Decimal(q), Decimal(e), MarginMode.CROSS) for s, q, e in held),
        wallet={asset: Decimal(cash) for asset, cash in wallet.items()},
        collateral={
            "USDT": Collateral(),
            "BTC": Collateral(Decimal(50_000), Decimal("0.9"), Decimal(0), Decimal("0.1")),
        },
        collateral_mode=CollateralMode.MULTI_ASSET,
    )
    (pool,) = assess_account(account, {symbol: Decimal(mark) for symbol, mark in marks.items()}, _rulebook())
    return pool


def test_in_a_basket_a_position_loses_its_coin_at_the_bid_and_what_it_then_owes_at_the_ask() -> None:
    # 1,000 contracts of 100 USD: 2 BTC at 50,000. Behind them 0.1 BTC (4,500) and 3,000 USDT: they may lose 0.1 BTC
    # and then as much as 3,000 pays for at 55,000.
    pool = _basket({"USDT": "3000", "BTC": "0.1"}, ("I", "1000", "50000"), marks={"I": "50000"})
    price = bankruptcy_price(pool, pool.lines[0])
    assert _near(price, 100_000 / (2 + Fraction(1, 10) + Fraction(3_000, 55_000)))


def test_in_a_basket_a_position_under_water_is_bankrupt_where_its_gain_would_pay_the_debt() -> None:
    # 0.2 BTC are owed (11,000) and 1,000 USDT there: the way back is 0.2 BTC less what 1,000 pays for at 55,000.
    pool = _basket({"USDT": "1000", "BTC": "-0.2"}, ("I", "1000", "50000"), marks={"I": "50000"})
    price = bankruptcy_price(pool, pool.lines[0])
    assert _near(price, 100_000 / (2 - Fraction(10_000, 55_000)))


@pytest.mark.parametrize("wallet", [{"USDT": "9000", "BTC": "0.3"}, {"USDT": "9000", "BTC": "-0.1"}])
def test_the_shares_of_a_basket_lose_exactly_its_equity_between_them(wallet: dict[str, str]) -> None:
    marks = {"I": "50000", "J": "50000", "X": "100"}
    pool = _basket(wallet, ("I", "1000", "49000"), ("J", "-600", "52000"), ("X", "70", "90"), marks=marks)
    prices = {line.position.symbol: bankruptcy_price(pool, line) for line in pool.lines}
    there = {symbol: price for symbol, price in prices.items() if price is not None}
    assert set(there) == {"I", "J", "X"}
    balance = assess(pool.pool, there, _rulebook()).margin_balance
    assert balance is not None
    assert abs(balance) < Decimal("1e-12")


# ── Break-even ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_at_the_break_even_price_closing_pays_both_fees() -> None:
    for quantity, direction in (("2", 1), ("-2", -1)):
        (line,) = _pool("50", ("X", quantity, "100")).lines
        price = break_even_price(line)
        assert price is not None
        gained = direction * (Fraction(price) - 100)
        assert abs(gained - Fraction(FEE) * (Fraction(price) + 100)) < Fraction(1, 10**20)


def test_an_inverse_contract_breaks_even_in_coin() -> None:
    (line,) = _pool("1", ("I", "200", "40000")).lines
    price = break_even_price(line)
    assert price is not None
    gained = Fraction(100, 40_000) - 100 / Fraction(price)
    assert abs(gained - Fraction(FEE) * (Fraction(100, 40_000) + 100 / Fraction(price))) < Fraction(1, 10**20)


def test_without_a_fee_rate_the_break_even_price_is_not_known() -> None:
    (line,) = _pool("50", ("X", "2", "100")).lines
    assert break_even_price(line._replace(contract=replace(X, taker_fee_rate=None))) is None


def test_both_legs_of_a_hedge_have_the_same_liquidation_prices() -> None:
    positions = tuple(Position("X", Decimal(q), Decimal(100), MarginMode.CROSS) for q in (3, -1))
    account = Account(positions, wallet={"USDT": Decimal(80)}, position_mode=PositionMode.HEDGE)
    (pool,) = assess_account(account, {"X": Decimal(100)}, _rulebook())
    # 80 + 2 (p − 100) = 4 · p · 0.1
    prices = liquidation_prices(pool, "X")
    assert _near(prices.of_side("long"), Fraction(120) / Fraction("1.6"))
    assert prices.of_side("long") == prices.of_side("short")
