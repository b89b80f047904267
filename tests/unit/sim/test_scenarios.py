"""The auditor's own portfolio requirement: figures by hand, and equal to the engine's for any futures book."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence import rulebooks
from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Position, RiskInputs, pools
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess
from ringfence.rulebook import Rulebook, Tier, TierTable
from ringfence.sim.scenarios import Stake, required

if TYPE_CHECKING:
    from ringfence.portfolio_rules import PortfolioRules

D, F = Decimal, Fraction
TIME = datetime(2026, 1, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 27, 8, tzinfo=UTC)


def rules_of(name: str) -> PortfolioRules:
    found = rulebooks.load(name, date(2026, 2, 20)).portfolio
    assert found is not None
    return found


RULES = {name: rules_of(name) for name in ("deribit", "okx-swap", "bybit-uta")}


def stake(coins: str, price: str, *, pays: str = "USDT", years: Fraction = Fraction(0)) -> Stake:
    amount = F(coins)
    in_coin = pays == "BTC"
    return Stake(amount, amount * F(price), pays, in_coin, None, MARCH if years else None, years)


def test_a_long_coin_at_deribit_needs_80_percent_of_its_worst_16_and_1_of_roll() -> None:
    assert required("BTC", [stake("1", "60000")], F(60_000), RULES["deribit"]) == F(8, 10) * F(17, 100) * 60_000


def test_an_inverse_long_loses_more_of_the_coin_than_its_price_falls() -> None:
    # 16 % down is 0.16 ÷ 0.84 of the coins
    found = required("BTC", [stake("1", "60000", pays="BTC")], F(60_000), RULES["deribit"])
    assert found == F(8, 10) * (F(16, 84) + F(1, 100)) * 60_000


def test_bybit_charges_all_futures_and_what_expiries_offset() -> None:
    book = [stake("2", "60000"), stake("-1", "60000", years=F(1, 4))]
    # 10 % of one coin, 0.5 % of three, 45 % a year of the one that is offset, over a quarter
    assert required("BTC", book, F(60_000), RULES["bybit-uta"]) == (F(1, 10) + F(3, 200) + F(45, 400)) * 60_000


def test_okx_charges_a_basis_and_at_least_the_cost_of_closing() -> None:
    book = [stake("1", "60000"), stake("-1", "60000", years=F(1, 4))]
    # MR4: 5 % a year of one coin for a quarter; MR7: 0.55 % of two coins is less
    assert required("BTC", book, F(60_000), RULES["okx-swap"]) == F(5, 400) * 60_000
    # 0.05 % and 0.5 % of 100 coins is 33,000: slices of 250,000 take it once
    many = [stake("50", "60000"), stake("-50", "60000")]
    assert required("BTC", many, F(60_000), RULES["okx-swap"]) == F(55, 10_000) * 100 * 60_000


NAMES = ("BTCUSDT", "BTCUSDC", "BTC-MAR", "BTCUSD")


def book_of(name: str) -> tuple[dict[str, Contract], Rulebook]:
    tiers = TierTable((Tier(D(0), D("0.01"), D(0), D(50)),))
    contracts = {
        "BTCUSDT": Contract("BTCUSDT", ContractKind.LINEAR, D(1), "USDT"),
        "BTCUSDC": Contract("BTCUSDC", ContractKind.LINEAR, D(1), "USDC", taker_fee_rate=D("0.0002")),
        "BTC-MAR": Contract("BTC-MAR", ContractKind.LINEAR, D("0.01"), "USDT", underlying="BTC", expiry=MARCH),
        "BTCUSD": Contract("BTCUSD", ContractKind.INVERSE, D(100), "BTC"),
    }
    found = rulebooks.load(name, date(2026, 2, 20))
    return contracts, found.with_tables({symbol: (one, tiers) for symbol, one in contracts.items()})


QUANTITIES = st.dictionaries(
    st.sampled_from(NAMES), st.integers(-400, 400).filter(bool).map(lambda n: D(n) / 8), min_size=1, max_size=4
)


@pytest.mark.parametrize("name", sorted(RULES))
@settings(max_examples=100, deadline=None)
@given(QUANTITIES, st.integers(20_000, 120_000), st.integers(-40, 40))
def test_it_is_what_the_margin_maths_says_of_any_book_of_futures(
    name: str, held: dict[str, Decimal], price: int, premium: int
) -> None:
    contracts, rulebook = book_of(name)
    index, mark = D(price), D(price) * (1 + D(premium) / 1000)
    account = Account(
        positions=tuple(Position(symbol, quantity, mark, MarginMode.CROSS) for symbol, quantity in held.items()),
        wallet={"USDT": D(10_000)},
        collateral_mode=CollateralMode.PORTFOLIO,
        collateral={"BTC": Collateral(index=index)},
        risk=RiskInputs(time=TIME, index={"BTC": index}),
    )
    (pool,) = pools(account, rulebook.contract, rulebook.collateral)
    theirs = assess(pool, dict.fromkeys(held, mark), rulebook).maintenance_margin
    stakes = []
    for symbol, quantity in held.items():
        contract, size = contracts[symbol], F(contracts[symbol].contract_size)
        inverse = contract.inverse
        coins = F(quantity) * (size / F(mark) if inverse else size)
        left = MARCH - TIME
        stakes.append(
            Stake(
                coins, coins * F(index if inverse else mark), contract.settle_asset, inverse,
                None if contract.taker_fee_rate is None else F(contract.taker_fee_rate), contract.expiry,
                F(left.days * 86400 + left.seconds, 86400 * 365) if contract.expiry else F(0),
            )
        )  # fmt: skip
    mine = required("BTC", stakes, F(index), RULES[name])
    assert theirs is not None
    assert abs(F(theirs) - mine) <= F(1, 10**9) * (1 + mine)
