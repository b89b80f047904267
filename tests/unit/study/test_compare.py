"""One book under each architecture: the figures are those of assessing the book held so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ringfence.account_file import AccountFile, parse
from ringfence.errors import BadAccount
from ringfence.study.architecture import all_cross, all_isolated
from ringfence.study.compare import Architecture, as_json, compare

D = Decimal


def book(*positions: dict[str, Any], wallet: str = "10000") -> AccountFile:
    data = {
        "rulebook": "binance-usdm",
        "as_of": "2025-10-10",
        "account": {"wallet": {"USDT": wallet}, "positions": list(positions)},
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
    assert isolated.margin_used == cross.margin_used == 1_000 + 400
    assert isolated.free == cross.free == 10_000 - 1_400
    assert isolated.protected == 10_000 - 1_400
    assert cross.protected == 0
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


def test_a_pool_that_is_liquidatable_needs_no_move_to_die() -> None:
    under = leg("BTCUSDT", "long", "0.1", "100000", leverage="10", mark_price="90000")
    isolated = architectures(book(under))["isolated"]
    assert isolated.first_death_down == (D(0), "isolated BTCUSDT long")


def test_a_wallet_that_cannot_fund_isolated_positions_says_by_how_much() -> None:
    file = book(BTC, LINK, wallet="1300")
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
    assert cross["margin_used"] == "1000"
    assert cross["positions"][0]["liquidation_price"] is None  # 10,000 USDT cover 0.1 BTC whole
    assert cross["first_liquidation_down"] is None


def test_an_account_without_positions_is_nothing_to_compare() -> None:
    file = book()
    with pytest.raises(BadAccount, match="no position"):
        compare(file, file.rulebook())
