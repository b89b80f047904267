"""Prices of a basket whose collateral moves with the same mark: BTC behind BTC positions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from ringfence.account import MULTI_ASSET, Collateral, MarginMode, Pool, Position, Slice
from ringfence.contract import Contract, ContractKind, coin
from ringfence.margin.assess import assess
from ringfence.margin.basket import amount_for, moving_with, pool_at
from ringfence.margin.move import combined_move
from ringfence.margin.price import liquidation_price, liquidation_prices
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable

D = Decimal

NEAR = D("1e-12")
DOLLAR = Collateral()


def _btc(**terms: object) -> Collateral:
    return replace(Collateral(index=D(60_000), ratio=D("0.95"), moves_with="BTC"), **terms)  # type: ignore[arg-type]


def _rulebook() -> Rulebook:
    tiers = TierTable((Tier(D(0), D("0.01"), D(0), D(100)),))
    linear = Contract("BTCUSDT", ContractKind.LINEAR, D(1), "USDT")
    inverse = Contract("BTCUSD", ContractKind.INVERSE, D(100), "BTC")
    eth = Contract("ETHUSDT", ContractKind.LINEAR, D(1), "USDT")
    quadratic = Contract("BTCLINEAR", ContractKind.LINEAR, D("0.00001"), "BTC", underlying="BTC")
    rules = Policies()
    tables = {c.symbol: (c, tiers) for c in (linear, inverse, eth, quadratic)}
    return Rulebook("r", "R", None, rules, rules, rules, tables=tables)


def _pool(balances: dict[str, D], terms: dict[str, Collateral], *held: tuple[str, str, str]) -> Pool:
    positions = tuple(Position(s, D(q), D(e), MarginMode.CROSS, leverage=D(10)) for s, q, e in held)
    return Pool("account", MULTI_ASSET, balances, positions, (), terms)


def _near(found: D | None, expected: D) -> bool:
    return found is not None and abs(found / expected - 1) < NEAR


def test_btc_behind_a_btc_long_falls_with_it() -> None:
    pool = _pool({"USDT": D(0), "BTC": D(1)}, {"USDT": DOLLAR, "BTC": _btc()}, ("BTCUSDT", "2", "60000"))
    found = liquidation_price(pool, "BTCUSDT", {"BTCUSDT": D(60_000)}, _rulebook())
    # 0.95 · P + 2 · (P − 60,000) = 0.01 · 2 · P
    assert _near(found.below, D(120_000) / (D("2.95") - D("0.02")))
    assert found.above is None
    held_fixed = replace(pool, collateral={"USDT": DOLLAR, "BTC": _btc(moves_with=None)})
    stays = liquidation_price(held_fixed, "BTCUSDT", {"BTCUSDT": D(60_000)}, _rulebook())
    # 57,000 + 2 · (P − 60,000) = 0.01 · 2 · P
    assert _near(stays.below, D(63_000) / D("1.98"))


def test_btc_behind_a_short_of_as_much_leaves_nothing_to_liquidate_below_or_above() -> None:
    pool = _pool({"USDT": D(0), "BTC": D(1)}, {"USDT": DOLLAR, "BTC": _btc(ratio=D(1))}, ("BTCUSDT", "-0.9", "60000"))
    found = liquidation_price(pool, "BTCUSDT", {"BTCUSDT": D(60_000)}, _rulebook())
    assert found[:2] == (None, None)  # P + 0.9 · (60,000 − P) stays above 0.009 · P


def test_another_coin_s_collateral_does_not_move() -> None:
    terms = {"USDT": DOLLAR, "BTC": _btc()}
    pool = _pool({"USDT": D(0), "BTC": D(1)}, terms, ("ETHUSDT", "40", "3000"))
    found = liquidation_price(pool, "ETHUSDT", {"ETHUSDT": D(3_000)}, _rulebook())
    # 57,000 + 40 · (P − 3,000) = 0.01 · 40 · P
    assert _near(found.below, D(63_000) / D("39.6"))


def test_what_neither_moves_nor_settles_adds_what_it_counts_for_and_takes_what_it_requires() -> None:
    # 3 ETH whose index moves with nothing stand beside two longs that are settled in dollars
    terms = {"USDT": DOLLAR, "ETH": Collateral(index=D(2_000), ratio=D("0.9"))}
    pool = _pool({"USDT": D(1_000), "ETH": D(3)}, terms, ("BTCUSDT", "1", "60000"), ("ETHUSDT", "5", "2000"))
    found = assess(pool, {"BTCUSDT": D(60_000), "ETHUSDT": D(1_900)}, _rulebook())
    assert {line.asset: line.maintenance_margin for line in found.assets} == {"USDT": D(695), "ETH": 0}
    assert found.maintenance_margin == D("0.01") * (60_000 + 5 * 1_900)
    # 1,000 + 3 · 1,800 − 5 · 100 + (P − 60,000) = 0.01 · (P + 9,500)
    assert _near(liquidation_prices(found, "BTCUSDT").below, (D(60_000) - 5_900 + 95) / D("0.99"))


def test_a_coin_margined_long_with_dollars_beside_it_is_solved_in_the_coin() -> None:
    terms = {"USDT": DOLLAR, "BTC": _btc()}
    pool = _pool({"USDT": D(1_000), "BTC": D(1)}, terms, ("BTCUSD", "600", "60000"))
    found = liquidation_price(pool, "BTCUSD", {"BTCUSD": D(60_000)}, _rulebook())
    # in dollars: P + 60,000 · (P ÷ 60,000 − 1) owed at the ask, + 1,000, against 0.01 · 60,000
    assert _near(found.below, D(29_800))


def test_discount_tiers_in_coins_and_in_dollars() -> None:
    by_coin = (Slice(D(0), D("0.5"), D(1)), Slice(D("0.5"), None, D("0.5")))
    pool = _pool({"USDT": D(0), "BTC": D(1)}, {"USDT": DOLLAR, "BTC": _btc(slices=by_coin)}, ("BTCUSDT", "2", "60000"))
    found = liquidation_price(pool, "BTCUSDT", {"BTCUSDT": D(60_000)}, _rulebook())
    # (0.5 + 0.25) · P + 2 · (P − 60,000) = 0.02 · P
    assert _near(found.below, D(120_000) / D("2.73"))
    by_dollar = (Slice(D(0), D(48_000), D(1)), Slice(D(48_000), None, D("0.1")))
    priced = replace(pool, collateral={"USDT": DOLLAR, "BTC": _btc(slices=by_dollar, unit="usd")})
    found = liquidation_price(priced, "BTCUSDT", {"BTCUSDT": D(60_000)}, _rulebook())
    # below 48,000 a coin lies in the first slice whole: P + 2 · (P − 60,000) = 0.02 · P
    assert _near(found.below, D(120_000) / D("2.98"))


def test_nothing_counts_above_the_last_cap() -> None:
    capped = Collateral(index=D(60_000), slices=(Slice(D(0), D(2), D(1)),))
    assert capped.value(D(3)) == D(2) * 60_000
    assert capped.value(D(-1)) == D(-60_000)
    dollars = Collateral(index=D(60_000), slices=(Slice(D(0), D(90_000), D("0.9")),), unit="usd")
    assert dollars.value(D(2)) == D(90_000) * D("0.9")


def test_a_price_that_would_be_no_line_holds_the_index_and_says_so() -> None:
    terms = {"USDT": DOLLAR, "BTC": _btc()}
    pool = _pool({"BTC": D(1)}, terms, ("BTCLINEAR", "1", "60000"))
    at = assess(pool, {"BTCLINEAR": D(60_000)}, _rulebook())
    assert moving_with(at, "BTCLINEAR") == ((), False)  # a symbol of its own name
    follows = replace(pool, collateral={"BTC": _btc(moves_with=coin("BTCLINEAR"))})
    assert moving_with(assess(follows, {"BTCLINEAR": D(60_000)}, _rulebook()), "BTCLINEAR") == (("BTC",), True)


def test_when_all_fall_collateral_falls_too_and_inverse_beside_linear_is_solved() -> None:
    terms = {"USDT": DOLLAR, "BTC": _btc()}
    pool = _pool({"USDT": D(0), "BTC": D(1)}, terms, ("BTCUSDT", "1", "60000"), ("BTCUSD", "300", "60000"))
    marks = {"BTCUSDT": D(60_000), "BTCUSD": D(60_000)}
    move = combined_move(pool, marks, _rulebook())
    assert move.exact
    assert move.down is not None
    # with f = 1 + x: BTC holds f · 60,000 + 30,000 · (f − 1) at 0.95, USDT 60,000 · (f − 1); needed 600 · f + 300
    f = (D("0.95") * 30_000 + 60_000 + 300) / (D("0.95") * 90_000 + 60_000 - 600)
    assert abs(move.down - (f - 1)) < NEAR
    at = {symbol: mark * (1 + move.down) for symbol, mark in marks.items()}
    assessed = assess(pool_at(pool, marks, at), at, _rulebook())
    assert assessed.balance_held_against is not None
    assert assessed.liquidation_requirement is not None
    assert abs(assessed.balance_held_against - assessed.liquidation_requirement) < D("1e-9")


def test_what_must_go_for_a_loss_comes_off_the_top_slice() -> None:
    terms = Collateral(index=D(100), slices=(Slice(D(0), D(1), D(1)), Slice(D(1), D(3), D("0.5"))))
    # 2 count 100 + 50; to lose 75: the 50 of the second slice, and a quarter of the first
    assert amount_for(terms, D(2), D(75)) == D(1) + D("0.25")
    assert amount_for(terms, D(2), D(160)) == D(2) + D("0.1")  # 10 more are owed at the ask
    assert amount_for(terms, D(2), D(-50)) == D(-1)  # one more coin of the second slice
    assert amount_for(terms, D(2), D(-60)) is None  # nothing counts above 3
