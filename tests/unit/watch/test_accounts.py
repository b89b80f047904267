"""`account import`: live from an exchange on 127.0.0.1, and from saved replies."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ringfence import account_file
from ringfence.errors import AuthenticationFailed, BadAccount, BadConfiguration, BadRulebook, SourceUnavailable
from ringfence.watch.accounts import account_from_reply, import_account, load_reply
from tests.unit.watch import binance_replies, bybit_replies
from tests.unit.watch.exchange_stub import ExchangeStub

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 10, 1)
LINEAR = {"fetchMarkets": {"types": ["linear"]}}

BINANCE_ACCOUNT = {
    "position_mode": "one_way",
    "collateral_mode": "single_asset",
    "wallet": {"USDT": "7000.00000000"},
    "collateral": {},
    "positions": [
        {
            "symbol": "BTCUSDT",
            "side": "short",
            "quantity": "0.500",
            "entry_price": "60000.10",
            "mark_price": "61000.00000000",
            "margin_mode": "isolated",
            "isolated_margin": "3000.00000000",
            "leverage": "20",
        },
        {
            "symbol": "ETHUSDT",
            "side": "long",
            "quantity": "2.00",
            "entry_price": "3000.5",
            "mark_price": "3100.25000000",
            "margin_mode": "cross",
            "isolated_margin": None,
            "leverage": "25",
        },
    ],
    "orders": [
        {
            "symbol": "ETHUSDT",
            "side": "buy",
            "quantity": "2.00",  # 3.00 ordered − 1.00 filled
            "price": "2900.00",
            "leverage": "25",
            "mark_price": "3100.25000000",
        }
    ],
}


def live(venue: str, exchange_id: str, replies: dict[str, Any]) -> dict[str, Any]:
    with ExchangeStub(replies) as stub:
        return import_account(venue, exchange=stub.client(exchange_id, options=LINEAR), as_of=DAY)


def bare_binance() -> dict[str, Any]:
    return deepcopy({"account": binance_replies.ACCOUNT, "positionRisk": binance_replies.POSITION_RISK})


def bare_bybit(wallet: Any = bybit_replies.WALLET, **changes: Any) -> list[Any]:
    position = bybit_replies.POSITION | changes
    return [deepcopy(wallet), bybit_replies.reply({"category": "linear", "list": [position], "nextPageCursor": ""})]


class TestLive:
    def test_a_binance_account_is_told_in_its_own_digits(self) -> None:
        document = live("binance-usdm", "binanceusdm", binance_replies.replies())
        assert document == {
            "schema": "ringfence.account/1",
            "rulebook": "binance-usdm",
            "as_of": "2026-10-01",
            "account": BINANCE_ACCOUNT,
            "contracts": {},
            "notes": [],
        }

    def test_only_reading_requests_are_sent(self) -> None:
        with ExchangeStub(binance_replies.replies()) as stub:
            import_account("binance-usdm", exchange=stub.client("binanceusdm", options=LINEAR), as_of=DAY)
        assert {method for method, _ in stub.asked} == {"GET"}

    def test_what_was_imported_is_an_account_file(self) -> None:
        document = live("binance-usdm", "binanceusdm", binance_replies.replies())
        read = account_file.parse_text(json.dumps(document), where="imported")
        assert [str(position.quantity) for position in read.account.positions] == ["-0.500", "2.00"]

    def test_binances_multi_assets_mode_brings_the_rates_of_the_assets(self) -> None:
        replies = binance_replies.replies() | {
            "/fapi/v1/multiAssetsMargin": {"multiAssetsMargin": True},
            "/fapi/v1/assetIndex": [
                {"symbol": "USDCUSD", "index": "1.00010", "bidBuffer": "0.00010", "askBuffer": "0.00020"}
            ],
        }
        account = live("binance-usdm", "binanceusdm", replies)["account"]
        assert account["collateral_mode"] == "multi_asset"
        assert account["collateral"] == {"USDC": {"index": "1.00010", "bid_buffer": "0.00010", "ask_buffer": "0.00020"}}

    def test_hedge_mode_is_known_without_a_position(self) -> None:
        replies = binance_replies.replies() | {
            "/fapi/v1/positionSide/dual": {"dualSidePosition": True},
            "/fapi/v3/positionRisk": [],
            "/fapi/v1/openOrders": [],
        }
        document = live("binance-usdm", "binanceusdm", replies)
        assert (document["account"]["position_mode"], document["account"]["positions"]) == ("hedge", [])

    def test_a_bybit_account_in_regular_margin_mode_is_one_basket(self) -> None:
        document = live("bybit-linear", "bybit", bybit_replies.replies())
        account = document["account"]
        assert account["wallet"] == {"USDT": "5000.25", "BTC": "0.05"}
        assert account["collateral"] == {
            "USDT": {"index": str(Decimal("4745.59965") / Decimal("4750.35"))},
            "BTC": {"index": str(int(3050 / 0.05))},
        }
        assert account["positions"] == [
            {
                "symbol": "BTCUSDT",
                "side": "short",
                "quantity": "0.250",
                "entry_price": "60000.50",
                "mark_price": "61000.10",
                "margin_mode": "cross",
                "isolated_margin": None,
                "leverage": "12.5",
            }
        ]
        assert account["orders"][0]["reduce_only"] is True
        assert document["notes"] == [
            "the reply does not tell the collateral ratios of the coins: they are the rulebook's"
        ]

    def test_every_page_of_bybits_positions_is_read(self) -> None:
        second = bybit_replies.POSITION | {"symbol": "ETHUSDT", "side": "Buy"}
        replies = bybit_replies.replies()
        replies["/v5/position/list"] = bybit_replies.settled_in_usdt(bybit_replies.POSITION, second)
        positions = live("bybit-linear", "bybit", replies)["account"]["positions"]
        assert [(line["symbol"], line["side"]) for line in positions] == [("BTCUSDT", "short"), ("ETHUSDT", "long")]

    def test_bybits_isolated_margin_is_taken_out_of_the_shared_wallet(self) -> None:
        replies = bybit_replies.replies()
        replies["/v5/account/info"] = bybit_replies.reply({"marginMode": "ISOLATED_MARGIN", "unifiedMarginStatus": 6})
        position = bybit_replies.POSITION | {"positionBalance": "1208.75"}
        replies["/v5/position/list"] = bybit_replies.settled_in_usdt(position)
        account = live("bybit-linear", "bybit", replies)["account"]
        assert account["collateral_mode"] == "single_asset"
        assert account["positions"][0]["isolated_margin"] == "1208.75"
        assert account["wallet"]["USDT"] == str(Decimal("5000.25") - Decimal("1208.75"))

    @pytest.mark.parametrize("right", ["enableFutures", "enableSpotAndMarginTrading", "enableWithdrawals"])
    def test_a_binance_key_that_may_do_more_than_read_is_refused(self, right: str) -> None:
        replies = binance_replies.replies()
        replies["/sapi/v1/account/apiRestrictions"][right] = True
        with pytest.raises(BadConfiguration, match=f"a key with {right}"):
            live("binance-usdm", "binanceusdm", replies)

    def test_a_bybit_key_that_may_do_more_than_read_is_refused(self) -> None:
        replies = bybit_replies.replies()
        replies["/v5/user/query-api"] = bybit_replies.reply({"readOnly": 0, "unified": 0, "uta": 1})
        with pytest.raises(BadConfiguration, match="a key with readOnly 0"):
            live("bybit-linear", "bybit", replies)

    def test_a_note_says_when_the_rights_of_a_key_cannot_be_known(self) -> None:
        replies = binance_replies.replies()
        del replies["/sapi/v1/account/apiRestrictions"]
        document = live("binance-usdm", "binanceusdm", replies)
        assert document["notes"] == ["binanceusdm does not tell what the key may do: make sure that it can only read"]

    def test_without_a_key_nothing_is_asked(self) -> None:
        with ExchangeStub(binance_replies.replies()) as stub:
            exchange = stub.client("binanceusdm", options=LINEAR, apiKey="", secret="")
            with pytest.raises(BadConfiguration, match="a read-only key, as env:NAME"):
                import_account("binance-usdm", exchange=exchange, as_of=DAY)
            assert stub.asked == []

    @pytest.mark.parametrize("path", ["/sapi/v1/account/apiRestrictions", "/fapi/v3/positionRisk", "/fapi/v3/account"])
    def test_a_wrong_key_is_told_as_such(self, path: str) -> None:
        replies = binance_replies.replies()
        replies[path] = (401, {"code": -2014, "msg": "API-key format invalid."})
        with pytest.raises(AuthenticationFailed, match="refused the key") as refused:
            live("binance-usdm", "binanceusdm", replies)
        assert refused.value.exit_code == 4
        assert "dummy" not in str(refused.value)

    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param((500, {"code": -1000}), id="500"),
            pytest.param((200, "<html>maintenance</html>"), id="html"),
            pytest.param((200, '{"assets": [{'), id="cut-short"),
        ],
    )
    def test_a_balance_that_does_not_come_is_an_unavailable_source(self, reply: Any) -> None:
        with pytest.raises(SourceUnavailable, match="binanceusdm"):
            live("binance-usdm", "binanceusdm", binance_replies.replies() | {"/fapi/v3/account": reply})


class TestBareBinance:
    def test_account_and_position_risk_make_an_account(self) -> None:
        document = account_from_reply("binance-usdm", bare_binance(), as_of=DAY)
        positions = document["account"]["positions"]
        assert [line["isolated_margin"] for line in positions] == ["3000.00000000", None]
        assert document["account"]["wallet"] == {"USDT": "7000.00000000"}
        assert [line["leverage"] for line in positions] == [None, None]
        assert any("symbolConfig has it" in note for note in document["notes"])

    def test_the_isolated_wallet_is_the_isolated_margin_without_unrealised_profit(self) -> None:
        reply = bare_binance()
        reply["positionRisk"][0].pop("isolatedWallet")
        document = account_from_reply("binance-usdm", reply)
        margin = document["account"]["positions"][0]["isolated_margin"]
        assert margin == str(Decimal("2500.05000000") - Decimal("-499.95000000"))

    def test_the_cross_wallet_is_the_wallet_less_the_isolated_margins(self) -> None:
        reply = bare_binance()
        for row in reply["account"]["assets"]:
            row.pop("crossWalletBalance")
        document = account_from_reply("binance-usdm", reply)
        assert document["account"]["wallet"] == {"USDT": str(Decimal("10000.00000000") - Decimal("3000.00000000"))}

    def test_the_legs_of_hedge_mode_keep_their_sides(self) -> None:
        reply = bare_binance()
        leg = reply["positionRisk"][1]
        reply["positionRisk"] = [
            leg | {"positionSide": "LONG", "positionAmt": "2.00"},
            leg | {"positionSide": "SHORT", "positionAmt": "-1.00"},
        ]
        account = account_from_reply("binance-usdm", reply)["account"]
        assert account["position_mode"] == "hedge"
        assert [(line["side"], line["quantity"]) for line in account["positions"]] == [
            ("long", "2.00"),
            ("short", "1.00"),
        ]

    def test_positions_of_nothing_are_dropped(self) -> None:
        reply = bare_binance()
        reply["positionRisk"][0]["positionAmt"] = "0.000"
        positions = account_from_reply("binance-usdm", reply)["account"]["positions"]
        assert [line["symbol"] for line in positions] == ["ETHUSDT"]

    def test_what_is_not_told_is_null_with_a_note(self) -> None:
        document = account_from_reply("binance-usdm", binance_replies.POSITION_RISK)
        assert document["account"]["wallet"] == {"USDT": None}
        assert document["as_of"] is None
        assert "the reply holds no balance: save GET /fapi/v3/account too" in document["notes"]

    def test_the_older_account_reply_holds_positions_with_leverage_and_modes(self) -> None:
        reply = deepcopy(binance_replies.ACCOUNT) | {"multiAssetsMargin": False}
        reply["positions"][0] |= {"entryPrice": "60000.10", "leverage": "20", "isolated": True}
        document = account_from_reply("binance-usdm", reply)
        assert document["account"]["collateral_mode"] == "single_asset"
        line = document["account"]["positions"][0]
        assert (line["leverage"], line["margin_mode"], line["isolated_margin"]) == ("20", "isolated", "3000")
        assert line["mark_price"] is None

    def test_an_account_reply_without_entry_prices_asks_for_the_positions(self) -> None:
        document = account_from_reply("binance-usdm", binance_replies.ACCOUNT)
        assert document["account"]["positions"] == []
        assert "the reply holds no positions: save them too, unless there are none" in document["notes"]

    def test_an_order_that_waits_for_a_trigger_is_left_out_with_a_note(self) -> None:
        orders = [binance_replies.OPEN_ORDERS[0] | {"stopPrice": "2500", "type": "STOP"}]
        document = account_from_reply("binance-usdm", [*bare_binance().values(), orders])
        assert document["account"]["orders"] == []
        assert any("trigger price" in note for note in document["notes"])

    def test_coin_margined_positions_settle_in_their_coin(self) -> None:
        position = {
            "symbol": "BTCUSD_PERP",
            "positionAmt": "-2",
            "entryPrice": "60000.0",
            "markPrice": "61000.1",
            "unRealizedProfit": "-0.00005",
            "leverage": "10",
            "marginType": "isolated",
            "isolatedMargin": "0.00995",
            "positionSide": "BOTH",
        }
        wallet = {"assets": [{"asset": "BTC", "walletBalance": "0.51"}], "positions": []}
        account = account_from_reply("binance-coinm", [wallet, [position]])["account"]
        assert account["positions"][0]["isolated_margin"] == str(Decimal("0.00995") - Decimal("-0.00005"))
        assert account["wallet"] == {"BTC": str(Decimal("0.51") - Decimal("0.01000"))}


class TestBareBybit:
    def test_wallet_and_positions_make_an_account(self) -> None:
        document = account_from_reply("bybit-linear", bare_bybit())
        assert document["account"]["positions"][0]["side"] == "short"
        assert document["account"]["collateral_mode"] == "multi_asset"
        assert "the reply does not tell cross from portfolio margin; cross (multi_asset) is taken" in document["notes"]

    def test_a_wallet_without_an_initial_margin_rate_is_in_isolated_mode(self) -> None:
        wallet = deepcopy(bybit_replies.WALLET)
        wallet["result"]["list"][0]["accountIMRate"] = ""
        account = account_from_reply("bybit-linear", bare_bybit(wallet, positionBalance="1208.75"))["account"]
        assert account["positions"][0]["margin_mode"] == "isolated"
        assert account["wallet"]["USDT"] == str(Decimal("5000.25") - Decimal("1208.75"))

    def test_an_isolated_margin_that_is_not_told_leaves_margin_and_wallet_unknown(self) -> None:
        wallet = deepcopy(bybit_replies.WALLET)
        wallet["result"]["list"][0]["accountIMRate"] = ""
        document = account_from_reply("bybit-linear", bare_bybit(wallet))
        assert document["account"]["positions"][0]["isolated_margin"] is None
        assert document["account"]["wallet"]["USDT"] is None
        assert "BTCUSDT: the reply does not tell the isolated margin (positionBalance is empty)" in document["notes"]

    @pytest.mark.parametrize(("leg", "side"), [(1, "long"), (2, "short")])
    def test_a_leg_of_hedge_mode_is_known_by_its_index(self, leg: int, side: str) -> None:
        account = account_from_reply("bybit-linear", bare_bybit(positionIdx=leg))["account"]
        assert (account["position_mode"], account["positions"][0]["side"]) == ("hedge", side)

    def test_an_error_message_is_no_account(self) -> None:
        with pytest.raises(BadAccount, match="10003: API key is invalid"):
            account_from_reply("bybit-linear", {"retCode": 10003, "retMsg": "API key is invalid.", "result": {}})


class TestUnified:
    POSITION: ClassVar[dict[str, Any]] = {
        "info": {"symbol": "LTC-USDT", "avgPrice": "83.530", "markPrice": "73.14"},
        "symbol": "LTC/USDT:USDT",
        "contracts": 0.1,
        "contractSize": 1.0,
        "side": "long",
        "hedged": True,
        "marginMode": "isolated",
        "positionMargin": 1.3922,
        "collateral": 0.3529,
        "unrealizedPnl": -1.0393,
        "leverage": 6.0,
    }
    BALANCE: ClassVar[dict[str, Any]] = {
        "info": {"code": 0, "data": [{"asset": "USDT", "balance": "194.8212", "equity": "193.7819"}]},
        "total": {"USDT": 194.8212, "BTC": 0.0},
    }

    def test_an_exchanges_own_digits_are_preferred_to_floats(self) -> None:
        reply = {"balance": self.BALANCE, "positions": [self.POSITION], "orders": []}
        account = account_from_reply("bingx-usdtm", reply)["account"]
        assert account["positions"] == [
            {
                "symbol": "LTC-USDT",
                "side": "long",
                "quantity": "0.1",
                "entry_price": "83.530",
                "mark_price": "73.14",
                "margin_mode": "isolated",
                "isolated_margin": "1.3922",
                "leverage": "6.0",
            }
        ]
        assert account["position_mode"] == "hedge"
        assert account["wallet"] == {"USDT": str(Decimal("194.8212") - Decimal("1.3922"))}

    def test_a_balance_of_uncertain_meaning_is_null_with_a_note(self) -> None:
        position = self.POSITION | {"marginMode": "cross", "info": {"instId": "LTC-USDT-SWAP"}, "entryPrice": 83.53}
        reply = {"balance": {"info": {}, "total": {"USDT": 194.8}}, "positions": [position]}
        document = account_from_reply("okx-swap", reply)
        assert document["account"]["wallet"] == {"USDT": None}
        assert any("ccxt's total is 194.8" in note for note in document["notes"])
        assert document["account"]["positions"][0]["symbol"] == "LTC-USDT-SWAP"

    def test_orders_keep_what_is_not_filled_yet(self) -> None:
        order = {"info": {"symbol": "LTC-USDT"}, "side": "sell", "amount": 3.0, "remaining": 2.5, "price": 90.1}
        reply = {"balance": self.BALANCE, "positions": [self.POSITION], "orders": [order]}
        line = account_from_reply("bingx-usdtm", reply)["account"]["orders"][0]
        assert (line["quantity"], line["price"], line["mark_price"]) == ("2.5", "90.1", "73.14")

    def test_a_position_without_a_number_where_one_is_due_names_the_field(self) -> None:
        reply = {"balance": self.BALANCE, "positions": [self.POSITION | {"contracts": "many"}]}
        with pytest.raises(BadAccount, match=r"positions\[0\]\.contracts: contracts is not a number"):
            account_from_reply("bingx-usdtm", reply)


class TestForms:
    def test_ccxts_structures_and_bare_replies_of_one_account_agree(self, tmp_path: Path) -> None:
        with ExchangeStub(binance_replies.replies()) as stub:
            exchange = stub.client("binanceusdm", options=LINEAR | {"warnOnFetchOpenOrdersWithoutSymbol": False})
            saved = {
                "balance": exchange.fetch_balance(),
                "positions": exchange.fetch_positions(),
                "orders": exchange.fetch_open_orders(),
                "settings": {"leverage": {"BTCUSDT": "20", "ETHUSDT": "25"}, "collateral_mode": "single_asset"},
            }
        path = tmp_path / "saved.json"
        path.write_text(json.dumps(saved))
        assert account_from_reply("binance-usdm", load_reply(path))["account"] == BINANCE_ACCOUNT

    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param({}, id="empty-object"),
            pytest.param([], id="empty-list"),
            pytest.param(None, id="null"),
            pytest.param("text", id="text"),
            pytest.param({"foo": 1}, id="unknown-object"),
            pytest.param([{"foo": 1}], id="unknown-list"),
            pytest.param({"code": -2015, "msg": "Invalid API-key"}, id="error-message"),
            pytest.param({"balance": 3}, id="balance-is-a-number"),
            pytest.param({"balance": {}, "positions": {}}, id="positions-is-an-object"),
            pytest.param({"balance": {}, "positions": [4]}, id="position-is-a-number"),
            pytest.param({"retCode": 0, "result": {}}, id="bybit-without-a-list"),
        ],
    )
    def test_a_reply_of_no_known_form_names_the_forms_that_are(self, reply: Any) -> None:
        with pytest.raises(BadAccount, match="/fapi/v3/positionRisk"):
            account_from_reply("binance-usdm", reply)

    def test_a_reply_of_another_exchange_says_which(self) -> None:
        with pytest.raises(BadAccount, match="a reply of bybit"):
            account_from_reply("binance-usdm", bare_bybit())

    def test_an_unknown_venue_names_the_nearest_ones(self) -> None:
        with pytest.raises(BadRulebook, match="did you mean bybit-linear"):
            account_from_reply("bybit-linera", bare_bybit())

    def test_a_position_without_an_entry_price_names_the_field(self) -> None:
        reply = bare_binance()
        reply["positionRisk"][1].pop("entryPrice")
        with pytest.raises(BadAccount, match=r"positions\[1\]\.entryPrice: a position has no entryPrice"):
            account_from_reply("binance-usdm", reply)


class TestFiles:
    def test_json_that_ends_in_the_middle_names_the_line(self, tmp_path: Path) -> None:
        path = tmp_path / "cut.json"
        path.write_text('{"balance": {\n"info": {"assets": [')
        with pytest.raises(BadAccount, match=r"cut\.json: line 2, column \d+") as caught:
            load_reply(path)
        assert "the text ends in the middle" in str(caught.value)

    def test_an_empty_file_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.json"
        path.write_text("")
        with pytest.raises(BadAccount, match="an empty file"):
            load_reply(path)

    def test_a_missing_file_names_the_path(self, tmp_path: Path) -> None:
        with pytest.raises(BadAccount, match=r"nowhere\.json"):
            load_reply(tmp_path / "nowhere.json")

    def test_numbers_of_a_saved_reply_keep_every_digit(self, tmp_path: Path) -> None:
        path = tmp_path / "long.json"
        path.write_text('{"x": 0.12345678901234567890123}')
        assert load_reply(path) == {"x": Decimal("0.12345678901234567890123")}
