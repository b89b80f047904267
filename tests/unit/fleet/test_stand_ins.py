"""One rule says which symbols of a fleet a tape of other names moves; every command that takes a tape follows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ringfence import rulebooks
from ringfence.errors import BadConfiguration
from ringfence.fleet import Fleet
from ringfence.fleet.build import Request, build
from ringfence.fleet.marks import load_marks
from ringfence.fleet.scenarios import history
from ringfence.fleet.stand_ins import said, stand_ins
from ringfence.fleet.watching import watch
from ringfence.tape import load_tape, walk
from ringfence.tape.coins import in_dollars

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.tape import Walk

D = Decimal
TAPE = ("AVAXUSDT", "BTCUSDT")


@pytest.fixture(scope="module")
def path() -> Walk:
    start = datetime(2025, 10, 10, 21, 10, tzinfo=UTC)
    return walk(load_tape("2025-10-10").select(symbols=TAPE, start=start, end=start + timedelta(minutes=10)), 3)


def fleet_of(rulebook: str, symbol: str, quantity: str, asset: str, balance: str) -> Fleet:
    return Fleet.from_arrow(
        positions=pa.table({"account": ["a"], "symbol": [symbol], "quantity": [quantity], "entry_price": ["117000"]}),
        wallets=pa.table({"account": ["a"], "asset": [asset], "balance": [balance]}),
        rulebook=rulebook, marks={symbol: D(117000)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rulebook", "symbol"),
    [
        ("okx-swap", "BTC-USDT-SWAP"),
        ("kucoin-futures", "XBTUSDTM"),
        ("gate-usdtm", "BTC_USDT"),
        ("binance-coinm", "BTCUSD_PERP"),
        ("deribit", "BTC-PERPETUAL"),
    ],
)
def test_every_venues_name_of_a_coin_takes_its_tape(rulebook: str, symbol: str) -> None:
    assert stand_ins([symbol], TAPE, rulebooks.load(rulebook, None)) == {symbol: "BTCUSDT"}


def test_a_symbol_of_the_tape_takes_its_own_and_another_coin_takes_nothing() -> None:
    rules = rulebooks.load("binance-usdm", None)
    assert stand_ins(["BTCUSDT", "BTCUSDC", "ETHUSDT"], ("BTCUSDC", *TAPE), rules) == {
        "BTCUSDT": "BTCUSDT",
        "BTCUSDC": "BTCUSDC",
    }


def test_prices_in_other_money_are_not_taken() -> None:
    rules = rulebooks.load("deribit", None)
    assert stand_ins(["BTC-26DEC25-100000-C"], TAPE, rules) == {}  # an option: its price is a premium
    assert [in_dollars(name) for name in ("BTC-EUR", "BTC/USDT:USDT", "BTC-PERPETUAL", "BTC-27MAR26")] == [
        False,
        True,
        True,
        True,
    ]
    assert stand_ins(["BTC-PERPETUAL"], ("BTC-EUR",), rules) == {}


def test_a_watch_of_another_venues_names_falls_as_the_tapes_own_would(path: Walk) -> None:
    own = fleet_of("binance-usdm", "BTCUSDT", "0.5", "USDT", "3000")
    found = watch(fleet_of("kucoin-futures", "XBTUSDTM", "500", "USDT", "3000"), path)  # 500 · 0.001 BTC = 0.5 BTC
    assert [(at, prices) for at, prices in found.moments] == [
        (at, tuple(("XBTUSDTM", price) for _, price in prices)) for at, prices in watch(own, path).moments
    ]
    assert len(found.fallen) == 1
    assert "symbols of the tape stand in by their coin: BTCUSDT for XBTUSDTM" in found.assumptions


def test_marks_of_a_tape_reach_another_venues_names_and_a_file_of_marks_does_not(tmp_path: Path) -> None:
    fleet = fleet_of("okx-swap", "BTC-USDT-SWAP", "10", "USDT", "3000")
    tape = load_marks("2025-10-10")
    marks, told = tape.beside(fleet)
    assert marks["BTC-USDT-SWAP"] == tape.marks["BTCUSDT"]
    assert told == ("symbols of the tape stand in by their coin: BTCUSDT for BTC-USDT-SWAP",)
    (tmp_path / "marks.csv").write_text("symbol,price\nBTCUSDT,100000\n")
    assert load_marks(str(tmp_path / "marks.csv")).beside(fleet) == ({"BTCUSDT": D(100000)}, ())


def test_a_fleet_built_with_a_tapes_marks_has_them_under_its_own_names(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("account,symbol,quantity,entry_price\na,BTC-USDT-SWAP,1,117000\n")
    tape = load_marks("2025-10-10")
    request = Request("okx-swap", marks=tape.marks, stand_in="coin")
    built = build([tmp_path / "p.csv"], tmp_path / "f.parquet", request)
    assert built.fleet.terms.marks["BTC-USDT-SWAP"] == tape.marks["BTCUSDT"]
    assert built.notes[-1] == "symbols of the tape stand in by their coin: BTCUSDT for BTC-USDT-SWAP"


def test_past_crashes_say_what_stood_in_and_speak_of_what_is_held() -> None:
    _, notes = history(("BTC-USDT-SWAP", "BTCUSDT", "XYZUSDT"), held=("BTC-USDT-SWAP",))
    assert notes == ("symbols of the tape stand in by their coin: BTCUSDT for BTC-USDT-SWAP",)


def test_a_sentence_names_a_dozen() -> None:
    taken = {f"BTC-{number}": "BTCUSDT" for number in range(14)} | {"BTCUSDT": "BTCUSDT", "ETH-1": "ETHUSDT"}
    (sentence,) = said(taken)
    assert sentence.endswith("BTC-11; and so for 3 more")  # 14 + 1 − 12
    assert said({"BTCUSDT": "BTCUSDT"}) == ()


def test_a_tape_of_no_coin_of_the_fleet_is_refused(path: Walk) -> None:
    fleet = fleet_of("binance-usdm", "ETHUSDT", "0.5", "USDT", "3000")
    with pytest.raises(BadConfiguration, match="the tape has no symbol of the fleet"):
        watch(replace(fleet, terms=replace(fleet.terms, symbols=())), path)
