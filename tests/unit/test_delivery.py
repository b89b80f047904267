"""Terms of delivery: what each venue averages and charges, and files that do not hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence import rulebooks
from ringfence.contract import Contract, ContractKind, OptionType
from ringfence.delivery import NOT_KNOWN, DeliveryTerms, faults_of, settlement_value
from ringfence.errors import BadRulebook
from ringfence.rulebooks.check import check

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal
FRIDAY = datetime(2026, 3, 27, 8, tzinfo=UTC)  # the last one of March
CALL = Contract(
    "BTC-CALL", ContractKind.OPTION, D(1), "USDT", underlying="BTC", expiry=FRIDAY, strike=D(45_000),
    option_type=OptionType.CALL,
)  # fmt: skip
IN_COIN = replace(CALL, settle_asset="BTC")


@pytest.mark.parametrize(
    ("venue", "day", "window"),
    [
        ("binance-usdm", date(2024, 11, 10), 3600),
        ("binance-usdm", date(2024, 11, 11), 1800),
        ("binance-coinm", date(2025, 10, 10), 1800),
        ("okx-swap", date(2026, 3, 17), 3600),
        ("okx-swap", date(2026, 3, 18), 1800),
        ("bybit-uta", date(2025, 10, 10), 1800),  # reads the tables of the linear and inverse books
        ("deribit", date(2025, 10, 10), 1800),
        ("hyperliquid", date(2025, 10, 10), None),
    ],
)
def test_the_index_is_averaged_over_the_venues_window_of_the_day(venue: str, day: date, window: int | None) -> None:
    assert rulebooks.load(venue, day).delivery.window == window


def test_a_dated_contract_of_binance_expires_on_the_day_of_its_name() -> None:
    book = rulebooks.load("binance-usdm")
    assert book.contract("BTCUSDT_261225").expiry == datetime(2026, 12, 25, 8, tzinfo=UTC)
    assert book.contract("BTCUSDT").expiry is None


def test_an_option_is_worth_what_exercising_it_brings() -> None:
    put = replace(CALL, option_type=OptionType.PUT)
    assert settlement_value(CALL, D(46_050)) == 46_050 - 45_000
    assert settlement_value(CALL, D(44_000)) == 0
    assert settlement_value(put, D(44_000)) == 45_000 - 44_000
    assert settlement_value(IN_COIN, D(50_000)) == D(5_000) / 50_000  # Deribit: paid in the coin


def test_an_exercised_option_pays_the_smaller_of_a_rate_and_a_share_of_its_value() -> None:
    bybit = rulebooks.load("bybit-linear").delivery
    deep, slight = bybit.fee(CALL, D("0.3"), D(46_050)), bybit.fee(CALL, D("0.3"), D(45_010))
    assert deep == D("0.3") * D("0.00015") * 46_050
    assert slight == D("0.3") * D("0.125") * 10
    assert bybit.fee(CALL, D("0.3"), D(44_000)) == 0
    deribit = rulebooks.load("deribit").delivery
    assert deribit.fee(IN_COIN, D(2), D(50_000)) == 2 * D("0.00015")  # of the underlying coin


def test_what_a_venue_settles_free_of_charge_is_told_by_its_day() -> None:
    deribit = rulebooks.load("deribit").delivery
    thursday = replace(IN_COIN, expiry=datetime(2026, 3, 26, 8, tzinfo=UTC))
    assert deribit.rate(thursday) == 0
    assert deribit.rate(IN_COIN) == D("0.00015")
    future = Contract("BTC-F", ContractKind.INVERSE, D(10), "BTC", expiry=FRIDAY)
    assert deribit.rate(future) == D("0.00025")
    assert deribit.rate(replace(future, expiry=datetime(2026, 3, 20, 8, tzinfo=UTC))) == 0


def test_a_venue_of_which_nothing_was_read_charges_nothing_and_says_that_it_is_not_known() -> None:
    assert NOT_KNOWN.rate(CALL) is None
    assert NOT_KNOWN.fee(CALL, D(1), D(50_000)) == 0
    assert rulebooks.load("binance-usdm").delivery.rate(replace(CALL, kind=ContractKind.LINEAR)) is None


def test_every_fault_of_a_file_is_named() -> None:
    data = {
        "schema": "ringfence.delivery/2", "window": 0, "windows": 1,
        "fees": {"futures": "1.5", "option": "0", "exempt": ["all"]}, "sources": {"window": "somewhere"},
    }  # fmt: skip
    assert [key for key, _ in faults_of(data)] == [
        "schema", "windows", "fees.option", "window", "fees.futures", "fees.exempt", "sources.futures",
        "sources.exempt",
    ]  # fmt: skip


def test_a_file_that_does_not_hold_is_refused_and_a_check_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deribit" / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / "delivery.toml").write_text('schema = "ringfence.delivery/1"\nwindow = "1800"\n', encoding="utf-8")
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    with pytest.raises(BadRulebook, match="window"):
        rulebooks.load("deribit")
    assert [fault.line for fault in check("deribit")] == [2, None]


def test_terms_are_of_a_day_and_not_of_the_contracts_of_an_account() -> None:
    book = rulebooks.load("deribit").with_tables({"BTC-CALL": (CALL, None)})
    assert book.delivery == rulebooks.load("deribit").delivery
    assert isinstance(book.delivery, DeliveryTerms)
