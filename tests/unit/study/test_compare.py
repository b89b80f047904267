"""One book under each architecture: the figures are those of assessing the book held so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ringfence.account_file import AccountFile, parse
from ringfence.errors import BadAccount
from ringfence.study.architecture import all_cross, all_isolated
from ringfence.study.compare import Architecture, as_json, compare
from ringfence.study.compare_page import html_page

D = Decimal


def book(*positions: dict[str, Any], contracts: dict[str, Any] | None = None, **account: Any) -> AccountFile:
    data = {
        "rulebook": "binance-usdm",
        "as_of": "2025-10-10",
        "account": {"wallet": {"USDT": "10000"}, "positions": list(positions), **account},
        "contracts": contracts,
    }
    return parse(data, where="test")


def leg(symbol: str, side: str, quantity: str, entry: str, **rest: str) -> dict[str, Any]:
    return {"symbol": symbol, "side": side, "quantity": quantity, "entry_price": entry, **rest}


BTC = leg("BTCUSDT", "long", "0.1", "100000", leverage="10")
LINK = leg("LINKUSDT", "long", "100", "20", leverage="5")


def architectures(file: AccountFile) -> dict[str, Architecture]:
    return {held.name: held for held in compare(file, file.rulebook()).architectures}


def test_both_architectures_hold_the_same_capital() -> None:
    file = book(BTC, leg("LINKUSDT", "long", "100", "20", leverage="5", margin_mode="isolated", isolated_margin="700"))
    rulebook = file.rulebook()
    isolated, cross = all_isolated(file.account, rulebook), all_cross(file.account, rulebook)
    assert cross.wallet == {"USDT": D(10_000) + D(700)}
    funded = {p.symbol: p.isolated_margin for p in isolated.positions}
    assert funded == {"BTCUSDT": D("0.1") * 100_000 / 10, "LINKUSDT": D(100) * 20 / 5}
    assert isolated.wallet == {"USDT": 10_700 - D(1_000) - D(400)}


def test_the_six_rows_are_those_of_the_book_held_so() -> None:
    held = architectures(book(BTC, LINK))
    isolated, cross = held["isolated"], held["cross"]
    (alone,), (shared,) = isolated.amounts, cross.amounts
    assert alone.margin_used == shared.margin_used == 1_000 + 400
    assert alone.free == shared.free == 10_000 - 1_400
    assert alone.protected == 10_000 - 1_400
    assert shared.protected == 0
    stakes = {p.symbol: p.at_stake for p in isolated.positions}
    assert stakes == {"BTCUSDT": 1_000, "LINKUSDT": 400}
    assert {p.at_stake for p in cross.positions} == {D(10_000)}
    # isolated BTC: 0.1 (P - 100,000) + 1,000 = 0.1 P 0.004  →  P = 9,000 / 0.0996
    btc = next(p for p in isolated.positions if p.symbol == "BTCUSDT")
    assert btc.distance is not None
    assert abs(btc.distance - (D(9_000) / D("0.0996") / 100_000 - 1)) < D("1e-15")
    assert isolated.first_death_down is not None
    assert isolated.first_death_down[1] == "isolated BTCUSDT long"
    assert cross.first_death_down is not None
    assert cross.first_death_down[0] < isolated.first_death_down[0]


def test_leverage_is_told_by_equity_and_by_what_is_tied_up() -> None:
    isolated = architectures(book(BTC, LINK))["isolated"].amounts[0]
    assert isolated.gross == 10_000 + 2_000
    assert isolated.leverage == D(12_000) / 10_000
    assert isolated.efficiency is not None
    assert abs(isolated.efficiency - D(12_000) / 1_400) < D("1e-15")
    assert isolated.maintenance_margin == D(10_000) * D("0.004") + D(2_000) * D("0.005")
    assert isolated.at_stake == 1_400


def test_a_death_takes_with_it_what_shares_its_pool() -> None:
    held = architectures(book(BTC, LINK))
    assert {p.symbol: p.dies_with for p in held["isolated"].positions} == {"BTCUSDT": (), "LINKUSDT": ()}
    assert {p.symbol: p.dies_with for p in held["cross"].positions} == {
        "BTCUSDT": ("LINKUSDT long",), "LINKUSDT": ("BTCUSDT long",),
    }  # fmt: skip


def test_a_pool_that_died_on_the_way_leaves_nothing() -> None:
    held = architectures(book(BTC, LINK))
    isolated = {left.move: left for left in held["isolated"].left}
    # a fall of 12 % kills BTC at tenfold leverage; LINK at fivefold still holds 400 - 240
    assert isolated[D("-0.12")].dead == ("isolated BTCUSDT long",)
    assert isolated[D("-0.12")].equity == {"USDT": 8_600 + 400 - D("0.12") * 2_000}
    assert isolated[D("0")].equity == {"USDT": D(10_000)}
    assert isolated[D("0.6")].equity == {"USDT": 10_000 + D("0.6") * 12_000}
    cross = {left.move: left for left in held["cross"].left}
    assert cross[D("-0.12")].dead == ()
    assert cross[D("-0.12")].equity == {"USDT": 10_000 - D("0.12") * 12_000}


def test_coins_that_back_a_basket_fall_with_their_marks() -> None:
    held = architectures(book(BTC, wallet={"USDT": "3000", "BTC": "0.05"}))
    left = {each.move: each.equity for each in held["multi-asset"].left}
    # a fall of 12 %: 1,200 lost on the position, and the coins count 95 % of 5,000 · 0.88
    assert left[D("-0.12")] == {None: D("0.9999") * (3_000 - 1_200) + D("0.95") * 5_000 * D("0.88")}


def test_the_page_draws_every_architecture_and_the_same_comparison_is_the_same_page() -> None:
    file = book(BTC, LINK)
    comparison = compare(file, file.rulebook())
    page = html_page(comparison, title="<b>")
    assert page == html_page(comparison, title="<b>")
    assert "<b>" not in page
    assert "cross (as given)" in page
    assert page.count("<path class='w1'") == 2  # the legend's and the curve
    assert "its death also closes" in page


def test_a_pool_that_is_liquidatable_needs_no_move_to_die() -> None:
    under = leg("BTCUSDT", "long", "0.1", "100000", leverage="10", mark_price="90000")
    isolated = architectures(book(under))["isolated"]
    assert isolated.first_death_down == (D(0), "isolated BTCUSDT long")


def test_a_wallet_that_cannot_fund_isolated_positions_says_by_how_much() -> None:
    file = book(BTC, LINK, wallet={"USDT": "1300"})
    assert "100 USDT short" in (architectures(file)["isolated"].unavailable or "")
    with pytest.raises(BadAccount, match="100 USDT short"):
        all_isolated(file.account, file.rulebook())


def test_a_position_without_leverage_cannot_be_held_isolated() -> None:
    isolated = architectures(book(leg("BTCUSDT", "long", "0.1", "100000")))["isolated"]
    assert "no leverage" in (isolated.unavailable or "")


def test_what_the_venue_refuses_is_said_with_its_number() -> None:
    isolated = architectures(book(BTC))["isolated"]
    assert [refusal.number for refusal in isolated.refusals] == [301]


def test_json_has_decimals_as_text_and_null_for_what_is_not_there() -> None:
    file = book(BTC)
    document = as_json(compare(file, file.rulebook()))
    assert document["schema"] == "ringfence.compare/1"
    cross = document["architectures"][2]
    assert [(each["asset"], each["margin_used"]) for each in cross["amounts"]] == [("USDT", "1000")]
    assert cross["positions"][0]["liquidation_price"] is None  # 10,000 USDT cover 0.1 BTC whole
    assert cross["first_liquidation_down"] is None


def test_amounts_of_several_assets_stand_beside_each_other_and_are_never_added_up() -> None:
    coin = leg("BTCUSD", "short", "1000", "100000", leverage="5")
    inverse = {"kind": "inverse", "contract_size": "1", "settle_asset": "BTC", "tiers": [{"floor": "0"}]}
    file = book(BTC, coin, wallet={"USDT": "10000", "BTC": "1"}, contracts={"BTCUSD": inverse})
    cross = architectures(file)["cross"]
    assert [(each.asset, each.margin_used) for each in cross.amounts] == [
        ("USDT", D("0.1") * 100_000 / 10), ("BTC", D(1_000) / 100_000 / 5),
    ]  # fmt: skip
    assert [each.gross for each in cross.amounts] == [10_000, D("0.01")]
    assert compare(file, file.rulebook()).asset is None


def test_a_basket_counts_in_its_own_currency_and_is_taken_apart_to_be_held_isolated() -> None:
    file = book(BTC, collateral_mode="multi_asset")
    held = architectures(file)
    assert [(each.asset, each.equity) for each in held["as given"].amounts] == [(None, D(10_000) * D("0.9999"))]
    assert [(each.asset, each.equity) for each in held["isolated"].amounts] == [("USDT", D(10_000))]
    assert [p.pool for p in held["isolated"].positions] == ["isolated BTCUSDT long"]


def test_what_a_venue_does_not_offer_is_there_with_the_reason() -> None:
    file = parse({"rulebook": "hyperliquid", "account": {"wallet": {"USDC": "10000"}, "positions": [
        leg("BTC", "long", "0.1", "100000", leverage="10")]}}, where="test")  # fmt: skip
    held = architectures(file)
    offers = {offer.name: offer for offer in file.rulebook().architectures()}
    assert not offers["multi_asset"].offered
    assert held["multi-asset"].unavailable == "whether hyperliquid offers it is not known"
    assert held["cross"].unavailable is None


def test_coins_in_the_wallet_stand_behind_a_basket_and_behind_nothing_else() -> None:
    file = book(BTC, wallet={"USDT": "3000", "BTC": "0.05"}, collateral={"BTC": {"index": "100000"}})
    held = architectures(file)
    assert held["cross"].positions[0].at_stake == 3_000
    # 95 % of 5,000 and 99.99 % of 3,000
    assert held["multi-asset"].positions[0].at_stake == D("0.95") * 5_000 + D("0.9999") * 3_000
    assert [refusal.reason for refusal in held["multi-asset"].refusals] == []
    isolated = {**BTC, "margin_mode": "isolated", "isolated_margin": "1000"}
    told = architectures(book(isolated, collateral={"BTC": {"index": "100000"}}))["multi-asset"].refusals
    assert "isolated_margin_in_basket" in [refusal.reason for refusal in told]


def test_a_contract_s_mark_stands_in_for_an_index_that_is_not_given_and_that_is_said() -> None:
    held = architectures(book(BTC, LINK, wallet={"USDT": "3000", "BTC": "0.05"}))
    assert held["multi-asset"].stand_ins == ("BTC",)
    assert held["multi-asset"].positions[0].at_stake == D("0.95") * 5_000 + D("0.9999") * 3_000
    assert held["portfolio"].stand_ins == ("BTC",)
    assert held["portfolio"].unavailable is None


def test_a_coin_without_a_price_makes_the_basket_unavailable_and_not_the_comparison() -> None:
    held = architectures(book(LINK, wallet={"USDT": "3000", "BTC": "0.05"}))
    assert "no collateral price for BTC" in (held["multi-asset"].unavailable or "")
    assert held["isolated"].unavailable is None


def test_an_account_without_positions_is_nothing_to_compare() -> None:
    file = book()
    with pytest.raises(BadAccount, match="no position"):
        compare(file, file.rulebook())


def test_a_mode_that_the_venue_may_not_offer_is_computed_and_doubted_but_not_the_one_it_is_held_in() -> None:
    leg = {"symbol": "PF_XBTUSD", "side": "long", "quantity": "0.1", "entry_price": "100000", "leverage": "10"}
    body = {"wallet": {"USD": "2000"}, "positions": [{**leg, "margin_mode": "isolated", "isolated_margin": "1000"}]}
    file = parse({"rulebook": "kraken-futures", "account": body}, where="test")
    held = {way.name: way for way in compare(file, file.rulebook()).architectures}
    assert held["isolated"].not_known == ()
    assert held["cross"].not_known == ("whether kraken-futures offers it: ask before you switch",)
    assert held["cross"].unavailable is None
    assert held["portfolio"].unavailable == "whether kraken-futures offers it is not known"
