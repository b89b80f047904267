"""ccxt may read and nothing else."""

from __future__ import annotations

import pytest

from ringfence.errors import AuthenticationFailed, BadRulebook, RingfenceError, SourceUnavailable
from ringfence.watch.clients import open_exchange, reading
from ringfence.watch.keys import Keys
from ringfence.watch.venues import VENUES, find_venue
from tests.unit.watch import binance_replies
from tests.unit.watch.exchange_stub import ExchangeStub

LINEAR = {"fetchMarkets": {"types": ["linear"]}}


def test_an_order_is_stopped_before_it_leaves() -> None:
    venue = find_venue("binance-usdm")
    with ExchangeStub(binance_replies.replies()) as stub:
        exchange = stub.client("binanceusdm", options=LINEAR)
        with (
            pytest.raises(SourceUnavailable, match="could change something and was not sent"),
            reading(exchange, venue),
        ):
            exchange.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, 50000)
        assert {method for method, _ in stub.asked} == {"GET"}
        assert not [path for _, path in stub.asked if path.endswith("/order")]


def test_an_exchange_lent_to_us_can_trade_again_afterwards() -> None:
    with ExchangeStub({"/fapi/v1/leverage": {"leverage": 5, "symbol": "BTCUSDT"}}) as stub:
        exchange = stub.client("binanceusdm")
        with reading(exchange, find_venue("binance-usdm")):
            pass
        assert exchange.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 5})["leverage"] == 5


def test_hyperliquid_may_post_its_questions_and_nothing_else() -> None:
    with ExchangeStub({"/info": {"universe": []}, "/exchange": {"status": "ok"}}) as stub:
        exchange = stub.client("hyperliquid")
        venue = find_venue("hyperliquid")
        with reading(exchange, venue):
            assert exchange.publicPostInfo({"type": "meta"}) == {"universe": []}
        with pytest.raises(SourceUnavailable, match="was not sent"), reading(exchange, venue):
            exchange.privatePostExchange({"action": {}})
        assert stub.asked == [("POST", "/info")]


def test_our_own_errors_pass_through_unchanged() -> None:
    with (
        ExchangeStub({}) as stub,
        pytest.raises(BadRulebook, match="as it was raised"),
        reading(stub.client("bybit"), find_venue("bybit-linear")),
    ):
        raise BadRulebook("as it was raised")


@pytest.mark.parametrize(
    ("exchange_id", "rulebook", "path", "reply"),
    [
        ("binanceusdm", "binance-usdm", "/fapi/v3/account", (401, {"code": -2014, "msg": "API-key format invalid."})),
        ("bybit", "bybit-linear", "/v5/account/wallet-balance", {"retCode": 10003, "retMsg": "API key is invalid."}),
        ("okx", "okx-swap", "/api/v5/account/balance", (401, {"code": "50111", "msg": "Invalid OK-ACCESS-KEY"})),
    ],
)
def test_a_refused_key_is_a_failed_authentication_with_its_own_exit_code(
    exchange_id: str, rulebook: str, path: str, reply: object
) -> None:
    with ExchangeStub({path: reply}) as stub:
        exchange = stub.client(exchange_id, password="dummy-phrase")  # noqa: S106 - of nothing
        ask = {
            "binanceusdm": "fapiPrivateV3GetAccount",
            "bybit": "privateGetV5AccountWalletBalance",
            "okx": "privateGetAccountBalance",
        }[exchange_id]
        with (
            pytest.raises(AuthenticationFailed, match="refused the key") as caught,
            reading(exchange, find_venue(rulebook)),
        ):
            getattr(exchange, ask)()
    assert caught.value.exit_code == 4
    assert not isinstance(caught.value, SourceUnavailable)
    assert "dummy" not in str(caught.value)


def test_an_error_inside_ccxt_is_told_without_a_traceback() -> None:
    with (
        ExchangeStub({}) as stub,
        pytest.raises(SourceUnavailable, match="answered in a form that ccxt does not know") as caught,
        reading(stub.client("bybit"), find_venue("bybit-linear")),
    ):
        raise TypeError("'NoneType' object is not subscriptable")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", sorted(VENUES))
def test_every_rulebook_opens_its_exchange_or_says_that_ccxt_does_not_know_it(name: str) -> None:
    venue = VENUES[name]
    try:
        exchange = open_exchange(venue, keys=Keys("a", "b"))
    except RingfenceError as error:
        assert f"does not know {venue.exchange}" in str(error)  # noqa: PT017 - which ccxt knows what changes
    else:
        assert (exchange.id, exchange.apiKey) == (venue.exchange, "a")
