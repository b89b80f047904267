"""`rulebooks update` against an exchange on 127.0.0.1 and a real ccxt."""

from __future__ import annotations

import json
import sys
import tomllib
from datetime import date
from typing import TYPE_CHECKING, Any

import ccxt
import pytest

from ringfence import rulebooks
from ringfence.errors import AuthenticationFailed, BadConfiguration, BadRulebook, SourceUnavailable
from ringfence.watch.tables import update_tables
from tests.unit.watch import binance_replies, bybit_replies
from tests.unit.watch.exchange_stub import ExchangeStub

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 10, 1)
LINEAR = {"fetchMarkets": {"types": ["linear"]}}
CONTRACT_HEADER = (
    "symbol,kind,contract_size,settle_asset,price_step,quantity_step,minimum_quantity,minimum_notional,"
    "maker_fee_rate,taker_fee_rate,liquidation_fee_rate,tier_unit,coverage\n"
)


def binance(stub: ExchangeStub, **settings: Any) -> Any:
    return stub.client("binanceusdm", options=LINEAR, **settings)


def test_binance_tables_hold_the_exchanges_own_digits_and_leave_unknown_fees_empty(tmp_path: Path) -> None:
    with ExchangeStub(binance_replies.replies()) as stub:
        update = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    assert update.folder == tmp_path / "binance-usdm" / "2026-10-01"
    assert (update.contracts, update.tiers, update.coverage) == (2, 3, "complete")
    assert (update.folder / "contracts.csv").read_text() == CONTRACT_HEADER + (
        "BTCUSDT,linear,1,USDT,0.1,0.001,0.001,100,,,0.0125,notional,complete\n"
        "ETHUSDT,linear,1,USDT,0.1,0.01,0.01,100,,,0.0125,notional,complete\n"
    )
    assert (update.folder / "tiers.csv").read_text() == (
        "symbol,tier,floor,cap,maintenance_rate,deduction,max_leverage\n"
        "BTCUSDT,1,0,300000,0.004,0,125\n"
        "BTCUSDT,2,300000,800000,0.005,300,100\n"
        "ETHUSDT,1,0,250000,0.0065,0,75\n"
    )


def test_the_sources_name_the_version_of_ccxt_the_method_and_the_day(tmp_path: Path) -> None:
    with ExchangeStub(binance_replies.replies()) as stub:
        update = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    sources = tomllib.loads((update.folder / "SOURCES.toml").read_text())
    assert sources == {
        "tables": {"coverage": "complete"},
        "source": [
            {
                "file": "contracts.csv",
                "covers": "2 contracts",
                "origin": f"ccxt=={ccxt.__version__} binanceusdm.load_markets",
                "as_of": "2026-10-01",
                "confidence": "high",
            },
            {
                "file": "tiers.csv",
                "covers": "tiers of 2 contracts",
                "origin": f"ccxt=={ccxt.__version__} binanceusdm.fetch_leverage_tiers",
                "as_of": "2026-10-01",
                "confidence": "high",
            },
        ],
    }


def test_a_rulebook_uses_the_tables_that_an_update_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExchangeStub(binance_replies.replies()) as stub:
        update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    contract, table = rulebooks.load("binance-usdm", DAY).entry("BTCUSDT")
    assert table is not None
    assert [str(tier.floor) for tier in table.tiers] == ["0", "300000"]
    assert str(contract.liquidation_fee_rate) == "0.0125"


def test_bybit_tiers_start_where_the_one_before_ends_and_keep_an_unstated_deduction_empty(tmp_path: Path) -> None:
    with ExchangeStub(bybit_replies.replies()) as stub:
        update = update_tables("bybit-linear", tmp_path, exchange=stub.client("bybit", options=LINEAR), today=DAY)
    assert (update.folder / "tiers.csv").read_text().splitlines()[1:] == [
        "BTCUSDT,1,0,2000000,0.005,,100",
        "BTCUSDT,2,2000000,2600000,0.0056,1200,90",
    ]


def test_a_contract_without_tiers_is_partial_and_named_in_the_notes(tmp_path: Path) -> None:
    with ExchangeStub(bybit_replies.replies()) as stub:
        update = update_tables("bybit-linear", tmp_path, exchange=stub.client("bybit", options=LINEAR), today=DAY)
    rows = (update.folder / "contracts.csv").read_text().splitlines()
    assert rows[2] == "ETHUSDT,linear,1,USDT,0.1,0.001,0.001,5,,,,notional,partial"
    assert update.coverage == "partial"
    assert update.notes == ("no tiers were given for 1 contract(s): ETHUSDT",)


def test_two_runs_on_different_days_make_two_folders_and_tell_what_changed_between(tmp_path: Path) -> None:
    replies = binance_replies.replies()
    with ExchangeStub(replies) as stub:
        first = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
        stub.replies["/fapi/v1/leverageBracket"][1]["brackets"][0]["notionalCap"] = 300_000
        second = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=date(2026, 10, 2))
    assert sorted(path.name for path in (tmp_path / "binance-usdm").iterdir()) == ["2026-10-01", "2026-10-02"]
    assert (first.previous, second.previous) == (None, first.folder)
    assert [str(change) for change in second.changes] == ["ETHUSDT tier 1 cap: 250000 → 300000"]


def test_a_second_run_on_the_same_day_replaces_the_folder_whole(tmp_path: Path) -> None:
    with ExchangeStub(binance_replies.replies()) as stub:
        first = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
        (first.folder / "stray.txt").write_text("from before")
        stub.replies["/fapi/v1/leverageBracket"][1]["brackets"][0]["initialLeverage"] = 50
        second = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    assert sorted(path.name for path in second.folder.iterdir()) == ["SOURCES.toml", "contracts.csv", "tiers.csv"]
    assert (second.folder / "tiers.csv").read_text().endswith("ETHUSDT,1,0,250000,0.0065,0,50\n")
    assert [path.name for path in (tmp_path / "binance-usdm").iterdir()] == ["2026-10-01"]


def test_faulty_tiers_are_refused_with_every_fault_and_leave_no_folder(tmp_path: Path) -> None:
    replies = binance_replies.replies()
    replies["/fapi/v1/leverageBracket"][0]["brackets"][0]["notionalFloor"] = 350_000
    replies["/fapi/v1/leverageBracket"][1]["brackets"][0]["maintMarginRatio"] = 0.02
    with ExchangeStub(replies) as stub, pytest.raises(BadRulebook) as caught:
        update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    text = str(caught.value)
    assert "3 fault(s); nothing was written" in text
    assert "BTCUSDT tier 2: floor 350000 does not continue the cap 300000 of tier 1" in text
    assert "BTCUSDT tier 2: deduction 300 leaves a step in the maintenance margin, expected 350" in text
    assert "ETHUSDT tier 1: maintenance_rate 0.02 is more than the initial margin at 75x" in text
    assert list(tmp_path.iterdir()) == []


def test_binances_tiers_without_a_key_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with ExchangeStub(binance_replies.replies()) as stub:
        exchange = binance(stub, apiKey="", secret="")
        with pytest.raises(BadConfiguration, match="account holders only") as caught:
            update_tables("binance-usdm", tmp_path, exchange=exchange, today=DAY)
        assert stub.asked == []
    assert "env:NAME, file:PATH or keyring:NAME" in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param((500, {"code": -1000, "msg": "internal"}), "answered with an error", id="500"),
        pytest.param(
            (200, "<html><title>Maintenance</title></html>"), "answered something that is not JSON", id="html"
        ),
        pytest.param((502, "<html>Bad Gateway</html>"), "did not answer, or answered that it cannot", id="502-html"),
        pytest.param((429, {"code": -1003, "msg": "Too many requests"}), "asks for fewer requests", id="429"),
        pytest.param((400, {"code": -1021, "msg": "Timestamp outside recvWindow"}), "clock right", id="clock"),
        pytest.param((200, '{"symbols": [{"symb'), "answered something that is not JSON", id="cut-short"),
        pytest.param({"symbols": []}, "lists no contract of the rulebook binance-usdm", id="empty"),
        pytest.param({"symbols": [3]}, "binanceusdm", id="wrong-shape"),
        pytest.param([1, 2], "binanceusdm", id="list-of-numbers"),
    ],
)
def test_an_exchange_that_does_not_answer_rightly_is_unavailable_and_nothing_is_written(
    tmp_path: Path, reply: Any, said: str
) -> None:
    replies = binance_replies.replies() | {"/fapi/v1/exchangeInfo": reply}
    with ExchangeStub(replies) as stub, pytest.raises(SourceUnavailable) as caught:
        update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    assert said in str(caught.value)
    assert caught.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


def test_an_exchange_that_refuses_the_key_is_told_apart_and_nothing_is_written(tmp_path: Path) -> None:
    refused = (401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions"})
    replies = binance_replies.replies() | {"/fapi/v1/exchangeInfo": refused}
    with ExchangeStub(replies) as stub, pytest.raises(AuthenticationFailed, match="refused the key") as caught:
        update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    assert caught.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []


def test_an_exchange_that_nobody_runs_is_unavailable(tmp_path: Path) -> None:
    with ExchangeStub({}) as stub:
        exchange = binance(stub)
    with pytest.raises(SourceUnavailable, match="did not answer"):
        update_tables("binance-usdm", tmp_path, exchange=exchange, today=DAY)


def test_no_error_repeats_the_key_or_the_signed_part_of_an_address(tmp_path: Path) -> None:
    replies = binance_replies.replies() | {"/fapi/v1/leverageBracket": (500, "<p>key dummy-key is not known</p>")}
    with ExchangeStub(replies) as stub, pytest.raises(SourceUnavailable) as caught:
        update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
    assert "leverageBracket" in str(caught.value)
    assert "signature" not in str(caught.value)
    assert "dummy" not in str(caught.value)


def test_an_unknown_venue_names_the_nearest_ones(tmp_path: Path) -> None:
    with pytest.raises(BadRulebook, match="did you mean binance-usdm"):
        update_tables("binance-usdt", tmp_path, today=DAY)


def test_an_exchange_whose_tiers_ccxt_does_not_give_keeps_the_tables_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadRulebook, match="ccxt has no risk tiers of this exchange"):
        update_tables("weex-usdtm", tmp_path, today=DAY)


def test_without_ccxt_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(BadConfiguration, match=r"pip install 'ringfence\[live\]'"):
        update_tables("bybit-linear", tmp_path, today=DAY)


def test_a_destination_that_is_a_file_is_a_bad_configuration(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.write_text("")
    with ExchangeStub(binance_replies.replies()) as stub, pytest.raises(BadConfiguration, match="cannot be written"):
        update_tables("binance-usdm", target, exchange=binance(stub), today=DAY)


def test_damage_in_the_tables_before_is_a_note_and_no_failure(tmp_path: Path) -> None:
    with ExchangeStub(binance_replies.replies()) as stub:
        first = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY)
        (first.folder / "tiers.csv").unlink()
        second = update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=date(2026, 10, 2))
    assert second.changes == ()
    assert "not compared with the tables before" in second.notes[0]


def test_progress_is_told_in_words(tmp_path: Path) -> None:
    told: list[str] = []
    with ExchangeStub(binance_replies.replies()) as stub:
        update_tables("binance-usdm", tmp_path, exchange=binance(stub), today=DAY, progress=told.append)
    assert told == ["reading the contracts of binanceusdm", "reading the tiers of 2 contracts"]


META = {
    "universe": [
        {"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 56},
        {"szDecimals": 1, "name": "ATOM", "maxLeverage": 3, "marginTableId": 3},
    ],
    "marginTables": [
        [
            56,
            {
                "description": "tiered 40x",
                "marginTiers": [
                    {"lowerBound": "0.0", "maxLeverage": 40},
                    {"lowerBound": "150000000.0", "maxLeverage": 20},
                ],
            },
        ]
    ],
    "collateralToken": 0,
}
CONTEXT = {"funding": "0", "openInterest": "1", "oraclePx": "60000", "markPx": "60000.0", "midPx": "60000.5"}


def hyperliquid_info(_: dict[str, str], body: str) -> Any:
    answers: dict[str, Any] = {
        "meta": META,
        "metaAndAssetCtxs": [META, [CONTEXT, CONTEXT]],
        "spotMetaAndAssetCtxs": [{"universe": [], "tokens": []}, []],
        "perpDexs": [None],
    }
    return answers[json.loads(body)["type"]]


def test_hyperliquids_rate_is_half_the_initial_rate_at_the_highest_leverage(tmp_path: Path) -> None:
    with ExchangeStub({"/info": hyperliquid_info}) as stub:
        update = update_tables("hyperliquid", tmp_path, exchange=stub.client("hyperliquid"), today=DAY)
    assert (update.folder / "tiers.csv").read_text().splitlines()[1:] == [
        f"ATOM,1,0,,{round(1 / (2 * 3), 17)}7,,3",  # 1 ÷ 6, half even to 18 digits
        f"BTC,1,0,150000000,{1 / (2 * 40)},,40",
        f"BTC,2,150000000,,{1 / (2 * 20)},,20",
    ]
    assert {method for method, _ in stub.asked} == {"POST"}
