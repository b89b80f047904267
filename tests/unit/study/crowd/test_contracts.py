"""A tape's symbols as a venue's contracts: by name, by coin, and what is left out, with why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ringfence import rulebooks
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadConfiguration, BadTape
from ringfence.rulebook import Rulebook, Tier, TierTable
from ringfence.study.crowd.contracts import contracts_of, is_coin
from ringfence.tape import load_tape
from tests.unit.engine.small_venue import rules

D = Decimal
TIERS = TierTable((Tier(D(0), D("0.01"), D(0), D(50)),))
DAY = date(2025, 10, 10)


def venue(*contracts: tuple[str, str], tiers: TierTable | None = TIERS) -> Rulebook:
    """A venue of linear contracts: (symbol, settlement asset)."""
    tables = {symbol: (Contract(symbol, ContractKind.LINEAR, D(1), asset), tiers) for symbol, asset in contracts}
    return replace(rules(), tables=tables, symbols=lambda: tuple(sorted(tables)))


@pytest.mark.parametrize(
    ("name", "asset", "bitcoin"),
    [
        ("binance-usdm", "USDT", "BTCUSDT"), ("okx-swap", "USDT", "BTC-USDT-SWAP"), ("gate-usdtm", "USDT", "BTC_USDT"),
        ("mexc-usdtm", "USDT", "BTC_USDT"), ("kucoin-futures", "USDT", "XBTUSDTM"),
        ("kraken-futures", "USD", "PF_XBTUSD"),
        ("binance-coinm", "BTC", "BTCUSD_PERP"),
    ],
)  # fmt: skip
def test_bitcoin_is_found_under_every_venue_s_own_name(name: str, asset: str, bitcoin: str) -> None:
    found = contracts_of(rulebooks.load(name, DAY), ("BTCUSDT",))
    assert (found.asset, found.symbols, found.left_out) == (asset, {"BTCUSDT": bitcoin}, {})


def test_the_very_name_comes_first_and_nothing_stands_in_for_it() -> None:
    found = contracts_of(venue(("BTCUSDT", "USDT"), ("BTC-PERP", "USDT")), ("BTCUSDT",))
    assert found.symbols == {"BTCUSDT": "BTCUSDT"}
    assert found.renamed == ()


def test_two_contracts_of_one_coin_are_not_guessed_between() -> None:
    found = contracts_of(venue(("BTC-A", "USDT"), ("BTC-B", "USDT"), ("ETHUSDT", "USDT")), ("BTCUSDT", "ETHUSDT"))
    assert found.symbols == {"ETHUSDT": "ETHUSDT"}
    assert found.left_out == {"BTCUSDT": "it could be BTC-A or BTC-B"}


def test_a_multiple_of_a_coin_is_another_contract() -> None:
    with pytest.raises(BadTape):
        contracts_of(venue(("1000SHIB_USDT", "USDT")), ("SHIBUSDT",))
    assert contracts_of(venue(("1000SHIB_USDT", "USDT")), ("1000SHIBUSDT",)).symbols == {
        "1000SHIBUSDT": "1000SHIB_USDT"
    }


def test_a_contract_that_expires_does_not_stand_for_a_perpetual() -> None:
    for name in ("BTCUSDT_261225", "BTC-26DEC25", "BTCUSDTZ25"):
        with pytest.raises(BadTape):
            contracts_of(venue((name, "USDT")), ("BTCUSDT",))


def test_a_contract_without_tiers_or_rates_is_not_traded() -> None:
    unknown = TierTable((Tier(D(0), None, D(0), D(50)),))
    for tiers in (None, unknown):
        with pytest.raises(BadTape, match="no table for any symbol"):
            contracts_of(venue(("BTCUSDT", "USDT"), tiers=tiers), ("BTCUSDT",))


def test_the_asset_is_the_tape_s_quote_then_what_most_are_settled_in_and_can_be_chosen() -> None:
    book = venue(("BTCUSDT", "USDT"), ("BTCUSDC", "USDC"), ("ETHUSDC", "USDC"))
    assert contracts_of(book, ("BTCUSDT", "ETHUSDT")).asset == "USDT"
    assert contracts_of(book, ("BTCUSDT", "ETHUSDT")).left_out == {"ETHUSDT": "no tiers of it, settled in USDT"}
    chosen = contracts_of(book, ("BTCUSDT", "ETHUSDT"), asset="USDC")
    assert chosen.symbols == {"BTCUSDT": "BTCUSDC", "ETHUSDT": "ETHUSDC"}
    assert chosen.renamed == ("BTCUSDT for BTCUSDC", "ETHUSDT for ETHUSDC")
    with pytest.raises(BadConfiguration, match="settled in EUR") as refused:
        contracts_of(book, ("BTCUSDT",), asset="EUR")
    assert refused.value.expected == "USDT or USDC"


def test_tables_that_begin_after_the_tape_are_named() -> None:
    with pytest.raises(BadTape) as refused:
        contracts_of(rulebooks.load("hyperliquid", DAY), load_tape("2025-10-10").symbols)
    assert "its tables begin later: give a day, --as-of " in str(refused.value)


def test_dollars_are_no_coin() -> None:
    assert [is_coin(asset) for asset in ("USDT", "USDC", "USD", "BTC", "ETH")] == [False, False, False, True, True]


def test_a_tape_takes_other_names_and_keeps_its_prices() -> None:
    tape = load_tape("2025-10-10")
    renamed = tape.renamed({"BTCUSDT": "XBTUSDTM", "AVAXUSDT": "AVAXUSDTM"})
    assert renamed.symbols == ("AVAXUSDTM", "XBTUSDTM")
    assert renamed.bounds["XBTUSDTM"] == tape.bounds["BTCUSDT"]
    assert next(renamed.bars("XBTUSDTM")).open == next(tape.bars("BTCUSDT")).open
