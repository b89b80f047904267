"""Collateral terms from the packaged lists: dated, tiered, and refused where they are not known."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from ringfence.account import Account, CollateralMode, pools
from ringfence.account_file import parse
from ringfence.errors import BadAccount
from ringfence.margin.assess import assess_account
from ringfence.rulebooks import load

D = Decimal


def test_bybit_counts_btc_slice_by_slice_as_its_worked_example_does() -> None:
    terms = load("bybit-uta", date(2025, 9, 18)).collateral("BTC")
    assert terms is not None
    # 10 at 98 %, 10 at 95 %, 10 at 90 %, 10 at 85 %, 10 at 80 %, and nothing above 50
    assert terms.value(D(25)) == 10 * D("0.98") + 10 * D("0.95") + 5 * D("0.9")
    assert terms.value(D(60)) == 10 * (D("0.98") + D("0.95") + D("0.9") + D("0.85") + D("0.8"))
    assert terms.value(D(-1)) == -1


def test_a_day_before_the_first_list_names_the_days_there_are() -> None:
    with pytest.raises(BadAccount, match="no collateral terms for BTC") as refused:
        load("bybit-uta", date(2025, 9, 2)).collateral("BTC")
    assert "2025-09-18" in str(refused.value.expected)


def test_an_asset_that_is_not_on_the_list_is_refused_with_the_list() -> None:
    with pytest.raises(BadAccount, match="DOGE is not on the packaged collateral list of binance-usdm") as refused:
        load("binance-usdm").collateral("DOGE")
    assert "BTC" in str(refused.value.expected)


def test_a_discount_that_is_published_in_part_is_not_guessed() -> None:
    with pytest.raises(BadAccount, match="published in part only"):
        load("okx-swap").collateral("BOME")


def test_a_venue_without_a_list_says_nothing_and_dollars_count_whole() -> None:
    assert load("hyperliquid").collateral("BTC") is None
    account = Account(wallet={"USDC": D(5)}, collateral_mode=CollateralMode.MULTI_ASSET)
    (pool,) = pools(account, load("hyperliquid").contract, load("hyperliquid").collateral)
    assert pool.collateral["USDC"].value(D(5)) == 5


def test_the_file_needs_an_index_price_and_its_own_terms_override_the_venue_s() -> None:
    body = {"collateral_mode": "multi_asset", "wallet": {"BTC": "1"}, "collateral": {"BTC": {"index": "60000"}}}
    file = parse({"rulebook": "binance-usdm", "account": body}, where="a")
    (by_venue,) = assess_account(file.account, file.marks, file.rulebook())
    assert by_venue.margin_balance == D(60_000) * D("0.95")
    assert by_venue.assets[0].haircut_loss == D(60_000) * D("0.05")
    assert by_venue.assets[0].effective_ratio == D("0.95")
    assert by_venue.assets[0].available == D("0.95")  # 57,000 at an ask of 60,000
    body["collateral"] = {"BTC": {"index": "60000", "ratio": "0.5"}}
    own = parse({"rulebook": "binance-usdm", "account": body}, where="a")
    (overridden,) = assess_account(own.account, own.marks, own.rulebook())
    assert overridden.margin_balance == D(30_000)


def test_tiers_in_the_file_are_held_to_what_can_be() -> None:
    def refused(*tiers: dict[str, str], **more: str) -> str:
        terms = {"index": "60000", "tiers": list(tiers), **more}
        body = {"collateral_mode": "multi_asset", "wallet": {"BTC": "1"}, "collateral": {"BTC": terms}}
        with pytest.raises(BadAccount) as error:
            parse({"rulebook": "binance-usdm", "account": body}, where="a")
        return error.value.message

    assert refused({"floor": "1", "ratio": "1"}) == "tiers that do not follow one another"
    first = {"floor": "0", "cap": "1", "ratio": "0.9"}
    assert refused(first, {"floor": "2", "ratio": "0.5"}) == "tiers that do not follow one another"
    assert refused(first, {"floor": "1", "ratio": "0.95"}) == "a collateral ratio that rises"
    assert refused({"floor": "0", "ratio": "1.1"}) == "a collateral ratio above 1"
    assert refused(first, ratio="0.9") == "a ratio and tiers"


def test_a_missing_price_names_the_asset() -> None:
    body = {"collateral_mode": "multi_asset", "wallet": {"BTC": "1", "USDT": "5"}}
    file = parse({"rulebook": "binance-usdm", "account": body}, where="a")
    with pytest.raises(BadAccount, match="no collateral price for BTC"):
        assess_account(file.account, file.marks, file.rulebook())


def test_an_asset_of_which_nothing_is_held_needs_no_price_and_no_terms() -> None:
    body = {"collateral_mode": "multi_asset", "wallet": {"DOGE": "0", "USDT": "5"}}
    file = parse({"rulebook": "binance-usdm", "account": body}, where="a")
    (found,) = assess_account(file.account, file.marks, file.rulebook())
    assert [line.asset for line in found.assets] == ["USDT"]


def test_the_rules_say_what_a_venue_offers_and_why_not() -> None:
    offers = {offer.name: offer for offer in load("bybit-linear").architectures()}
    assert [name for name, offer in offers.items() if offer.offered] == ["isolated", "cross"]
    assert "bybit-uta" in offers["multi_asset"].reason
    assert load("hyperliquid").architectures()[3].offered is None
