"""Debts of a basket: when they are paid back, with what, and what may leave."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from ringfence.account import MULTI_ASSET, Collateral, MarginMode, Pool, Position, Slice
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess
from ringfence.margin.exchange import (
    beyond_threshold,
    debts_due,
    loan_to_value,
    lost_in_sale,
    pay_back,
    withdrawable,
    worth_sold,
)
from ringfence.rulebook import AutoExchange, Policies, Rulebook, Tier, TierTable
from ringfence.rulebooks import load

D = Decimal

TERMS = {
    "USDT": Collateral(ratio=D("0.9999")),
    "BTC": Collateral(index=D(60_000), ratio=D("0.95")),
    "ETH": Collateral(index=D(3_000), ratio=D("0.95")),
}
BINANCE = AutoExchange(
    {"USDT": D(5_000), "BTC": D("0.1")},
    {"BTC": D("0.025")},
    D("0.5"),
    D("0.995"),
    idle_only=True,
    order_of_sale="pro_rata",
)


def test_a_debt_of_20_000_takes_20_513_of_collateral_as_binance_prints_it() -> None:
    sold = worth_sold(D(20_000), D("0.025"))
    assert sold.quantize(D(1)) == D(20_513)  # 20,000 ÷ 97.5 %


def test_a_debt_is_due_at_its_threshold_and_not_a_cent_before() -> None:
    assert beyond_threshold(D(-5_000), D(5_000))
    assert not beyond_threshold(D("-4999.99"), D(5_000))
    assert not beyond_threshold(D(5_000), D(5_000))


def test_loan_to_value_is_the_debt_at_the_index_over_what_the_rest_counts_for() -> None:
    balances = {"USDT": D(-28_500), "BTC": D(1)}
    assert loan_to_value(balances, TERMS) == D(28_500) / (60_000 * D("0.95"))
    assert loan_to_value({"USDT": D(1)}, TERMS) == 0
    assert loan_to_value({"USDT": D(-1)}, TERMS) is None


def test_beyond_a_loan_to_value_every_debt_is_due_but_only_of_an_idle_account() -> None:
    balances = {"USDT": D(-2_900), "ETH": D(1)}  # 2,900 of 3,000 · 0.95 = 2,850
    assert debts_due(balances, TERMS, BINANCE, idle=True) == ("USDT",)
    assert debts_due(balances, TERMS, BINANCE, idle=False) == ()
    assert debts_due({"USDT": D(-5_000), "BTC": D(1)}, TERMS, BINANCE, idle=False) == ("USDT",)


def test_assets_go_in_proportion_to_their_worth_at_binance() -> None:
    sale = pay_back("USDT", {"USDT": D(-9_750), "BTC": D(1), "ETH": D(20)}, TERMS, BINANCE)
    assert sale is not None
    assert (sale.debt, sale.unpaid) == (D(9_750), D(0))
    assert sale.due.quantize(D("1e-10")) == D(10_000)  # 9,750 ÷ 0.975; of ETH half of its 5 % is lost too
    # worth 60,000 of BTC and 60,000 of ETH: 5,000 of each
    assert [(name, amount.quantize(D("1e-10"))) for name, amount in sale.sold] == [
        ("BTC", (D(5_000) / 60_000).quantize(D("1e-10"))),
        ("ETH", (D(5_000) / 3_000).quantize(D("1e-10"))),
    ]


def test_elsewhere_what_is_worth_most_goes_first() -> None:
    rule = AutoExchange()
    sale = pay_back("USDT", {"USDT": D(-63_000), "BTC": D(1), "ETH": D(10)}, TERMS, rule)
    assert sale is not None
    assert sale.sold == (("BTC", D(1)), ("ETH", D(1)))  # 60,000 + 3,000


def test_what_the_other_assets_do_not_cover_stays_owed() -> None:
    sale = pay_back("USDT", {"USDT": D(-5_000), "ETH": D(1)}, TERMS, BINANCE)
    assert sale is not None
    assert (sale.debt, sale.unpaid) == (D(2_925), D(2_075))  # 3,000 · 0.975; 5,000 − 2,925
    assert sale.sold == (("ETH", D(1)),)
    assert pay_back("USDT", {"USDT": D(-5_000)}, TERMS, BINANCE) is None


def test_the_packaged_rules_say_when_binance_exchanges() -> None:
    rule = load("binance-usdm").auto_exchange
    assert rule is not None
    assert (rule.thresholds["USDT"], rule.thresholds["BTC"]) == (D(5_000), D("0.1"))
    terms = {a: load("binance-usdm").collateral(a) for a in ("BTC", "ADA", "USDT", "BNB")}
    lost = [lost_in_sale(a, terms, rule) for a in terms]  # type: ignore[arg-type]
    assert lost == [D("0.025"), D("0.05"), D("0.0001"), D("0.5") * D("0.05")]


def _pool(balances: dict[str, D], terms: dict[str, Collateral]) -> Pool:
    held = Position("X", D(1), D(60_000), MarginMode.CROSS, leverage=D(10))
    return Pool("account", MULTI_ASSET, balances, (held,), (), terms)


def _rulebook() -> Rulebook:
    policies = Policies()
    contract = Contract("X", ContractKind.LINEAR, D(1), "USDT")
    tiers = TierTable((Tier(D(0), D("0.01"), D(0), D(100)),))
    return Rulebook("r", "R", None, policies, policies, policies, tables={"X": (contract, tiers)})


def test_what_may_leave_is_what_its_value_leaves_available() -> None:
    terms = {"USDT": Collateral(), "BTC": Collateral(index=D(60_000), ratio=D("0.95"))}
    assessment = assess(_pool({"USDT": D(0), "BTC": D("0.2")}, terms), {"X": D(60_000)}, _rulebook())
    # worth 0.2 · 57,000 = 11,400, initial margin 6,000: 5,400 may go, of 57,000 a coin
    assert assessment.available_balance == D(5_400)
    free = withdrawable(assessment, "BTC")
    assert free is not None
    assert abs(free - D(5_400) / 57_000) < D("1e-20")
    assert withdrawable(assessment, "USDT") == 0
    assert withdrawable(assessment, "DOGE") == 0


def test_the_top_slice_of_a_tiered_asset_leaves_first() -> None:
    slices = (Slice(D(0), D("0.1"), D(1)), Slice(D("0.1"), None, D("0.5")))
    terms = {"USDT": Collateral(), "BTC": Collateral(index=D(60_000), ratio=D(1), slices=slices)}
    assessment = assess(_pool({"USDT": D(0), "BTC": D("0.2")}, terms), {"X": D(60_000)}, _rulebook())
    # worth 6,000 + 3,000, initial margin 6,000: the whole second slice may go
    assert withdrawable(assessment, "BTC") == D("0.1")
    richer = assess(
        replace(assessment.pool, balances={"USDT": D(3_000), "BTC": D("0.2")}), {"X": D(60_000)}, _rulebook()
    )
    # 6,000 may go: 3,000 for the slice at half, 3,000 more from the whole one at 60,000 a coin
    assert withdrawable(richer, "BTC") == D("0.1") + D(3_000) / 60_000
