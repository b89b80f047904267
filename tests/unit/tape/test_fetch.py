"""The download, by a real ccxt exchange that is pointed at a stub of the venue on this machine."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ringfence.errors import BadTape, SourceUnavailable
from ringfence.tape import FetchProgress, fetch_window, load_tape, write_tape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ccxt = pytest.importorskip("ccxt")

START = datetime(2025, 10, 10, 12, tzinfo=UTC)
LENGTH = timedelta(minutes=1_200)  # three pages of 500
MINUTE = 60_000
# Minutes after START in which the venue was down.
OUTAGE = range(20, 30)


def contract(symbol: str, base: str) -> dict[str, Any]:
    """One entry of the venue's list of contracts, as far as ccxt needs it."""
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 8,
        "quantityPrecision": 3,
        "filters": [],
        "orderTypes": [],
        "timeInForce": [],
        "onboardDate": 1569398400000,
        "deliveryDate": 4133404800000,
    }


def price_text(minute: int, symbol: str) -> str:
    """A mark price with more digits than a float keeps."""
    return f"{121000 + minute if symbol == 'BTCUSDT' else 4}.12345678901234567"


class Venue(BaseHTTPRequestHandler):
    """Answers like the venue: contracts, and one-minute candles from ``startTime`` on, at most ``limit`` of them."""

    asked: list[str]
    broken: bool
    now: datetime

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append(url.path)
        if url.path.endswith("/exchangeInfo"):
            symbols = [contract("BTCUSDT", "BTC"), contract("ETHUSDT", "ETH")]
            self.answer(200, {"symbols": symbols, "rateLimits": [], "assets": []})
        elif self.broken:
            self.answer(503, {"code": -1, "msg": "maintenance"})
        elif url.path.endswith(("/markPriceKlines", "/klines")):
            self.answer(200, self.candles(query))
        else:
            self.answer(404, {"code": -1, "msg": f"no {url.path} here"})

    def candles(self, query: dict[str, str]) -> list[list[Any]]:
        since, limit = int(query["startTime"]), int(query["limit"])
        start = int(START.timestamp()) * 1000
        first = max(0, -(-(since - start) // MINUTE))
        minutes = [m for m in range(first, first + limit + len(OUTAGE)) if m not in OUTAGE][:limit]
        now = int(self.now.timestamp()) * 1000
        return [
            [
                start + m * MINUTE,
                *[price_text(m, query["symbol"])] * 4,
                "0",
                start + (m + 1) * MINUTE - 1,
                "0",
                60,
                "0",
                "0",
                "0",
            ]
            for m in minutes
            if start + m * MINUTE <= now
        ]

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name the base class gives it)
        """Say nothing."""


@contextmanager
def venue(
    *, broken: bool = False, now: datetime = START + LENGTH + timedelta(hours=1)
) -> Iterator[tuple[Any, list[str]]]:
    """A ccxt exchange that talks to the stub, and the paths it asks for."""
    asked: list[str] = []
    handler = type("ThisVenue", (Venue,), {"asked": asked, "broken": broken, "now": now})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        exchange = ccxt.binanceusdm({"enableRateLimit": False})
        api = exchange.urls["api"]
        exchange.urls["api"] = {name: f"http://127.0.0.1:{server.server_port}/{name}" for name in api}
        exchange.milliseconds = lambda: int(now.timestamp() * 1000)
        exchange.session.trust_env = False
        yield exchange, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_mark_prices_are_fetched_page_by_page_with_the_venues_own_digits() -> None:
    reports: list[FetchProgress] = []
    with venue() as (exchange, asked):
        tape = fetch_window(
            "binance-usdm", ["BTCUSDT"], START, START + LENGTH, exchange=exchange, progress=reports.append
        )
    assert sum(path.endswith("/markPriceKlines") for path in asked) == 3
    bars = list(tape.bars())
    assert len(bars) == 1_200 - 10
    assert bars[0].open == Decimal("121000.12345678901234567")
    assert bars[-1].ts == START + LENGTH - timedelta(minutes=1)
    assert (tape.price_kind, tape.price_kind_assumed, tape.exact) == ("mark", False, True)
    assert tape.provenance.venue == "binance-usdm"
    assert str(tape.provenance.source).startswith("binanceusdm through ccxt ")
    assert str(tape.provenance.retrieved).endswith("Z")
    assert reports == [
        FetchProgress(symbol="BTCUSDT", bars=500, expected_bars=1_200),
        FetchProgress(symbol="BTCUSDT", bars=1_000, expected_bars=1_200),
        FetchProgress(symbol="BTCUSDT", bars=1_190, expected_bars=1_200),
    ]


def test_an_outage_of_the_venue_is_a_gap() -> None:
    with venue() as (exchange, _):
        tape = fetch_window("binance-usdm", ["BTCUSDT"], START, START + timedelta(minutes=60), exchange=exchange)
    (gap,) = tape.gaps("BTCUSDT")
    assert (gap.start, gap.end) == (START + timedelta(minutes=20), START + timedelta(minutes=30))


def test_what_was_fetched_can_be_written_and_read_again(tmp_path: Path) -> None:
    with venue() as (exchange, _):
        tape = fetch_window(
            "binanceusdm", ["ETH/USDT:USDT", "BTCUSDT"], START, START + timedelta(minutes=5), exchange=exchange
        )
    assert tape.symbols == ("BTCUSDT", "ETH/USDT:USDT")
    write_tape(tape, tmp_path / "fetched.csv")
    text = (tmp_path / "fetched.csv").read_text(encoding="utf-8")
    assert text.startswith("# price_kind: mark\n# resolution: 60s\n# venue: binanceusdm\n# source: ")
    assert "# retrieved: " in text
    again = load_tape(tmp_path / "fetched.csv")
    assert list(again.bars()) == list(tape.bars())
    assert again.provenance.retrieved == tape.provenance.retrieved


def test_last_prices_are_asked_for_as_such() -> None:
    with venue() as (exchange, asked):
        tape = fetch_window(
            "binance-usdm", ["BTCUSDT"], START, START + timedelta(minutes=5), exchange=exchange, price_kind="last"
        )
    assert asked[-1].endswith("/klines")
    assert tape.stand_in == "last prices stand in for mark prices"


def test_a_bar_that_is_not_finished_yet_is_left_out() -> None:
    now = START + timedelta(minutes=4, seconds=30)
    with venue(now=now) as (exchange, _):
        tape = fetch_window("binance-usdm", ["BTCUSDT"], START, START + timedelta(hours=1), exchange=exchange)
    assert len(tape) == 4


def test_an_exchange_is_left_with_the_number_type_it_had() -> None:
    with venue() as (exchange, _):
        fetch_window("binance-usdm", ["BTCUSDT"], START, START + timedelta(minutes=5), exchange=exchange)
        assert exchange.number is float


def test_a_venue_that_fails_is_unavailable() -> None:
    with venue(broken=True) as (exchange, _), pytest.raises(SourceUnavailable, match=r"binance-usdm .*maintenance"):
        fetch_window("binance-usdm", ["BTCUSDT"], START, START + LENGTH, exchange=exchange)


def test_a_venue_that_is_not_there_is_unavailable() -> None:
    with venue() as (exchange, _):
        pass
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        fetch_window("binance-usdm", ["BTCUSDT"], START, START + LENGTH, exchange=exchange)


def test_a_window_without_bars_is_unavailable() -> None:
    with venue() as (exchange, _), pytest.raises(SourceUnavailable, match="has no mark prices of BTCUSDT"):
        fetch_window(
            "binance-usdm",
            ["BTCUSDT"],
            START + timedelta(minutes=20),
            START + timedelta(minutes=25),
            exchange=exchange,
        )


def test_an_unknown_symbol_is_refused_with_the_nearest() -> None:
    with venue() as (exchange, _), pytest.raises(BadTape, match="no contract BTCUSTD") as caught:
        fetch_window("binance-usdm", ["BTCUSTD"], START, START + LENGTH, exchange=exchange)
    assert caught.value.hint == "did you mean BTCUSDT?"


def test_an_unknown_venue_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadTape, match="no venue binanse-usdm") as caught:
        fetch_window("binanse-usdm", ["BTCUSDT"], START, START + LENGTH)
    assert "binance-usdm" in str(caught.value.hint)


def test_a_price_kind_the_exchange_does_not_keep_is_refused_with_what_it_has() -> None:
    with pytest.raises(BadTape, match="no history of mark prices") as caught:
        fetch_window("kraken", ["BTCUSD"], START, START + LENGTH)
    assert caught.value.expected == "last"


def test_a_length_of_bars_the_exchange_does_not_have_is_refused() -> None:
    with pytest.raises(BadTape, match="no bars of this length") as caught:
        fetch_window("binance-usdm", ["BTCUSDT"], START, START + LENGTH, timeframe="7m")
    assert "1m, 3m, 5m" in str(caught.value.expected)


@pytest.mark.parametrize("minutes", [-60, 0, 59])
def test_a_window_shorter_than_one_bar_is_refused(minutes: int) -> None:
    with pytest.raises(BadTape, match="shorter than one bar"):
        fetch_window("binance-usdm", ["BTCUSDT"], START, START + timedelta(minutes=minutes), timeframe="1h")


def test_without_ccxt_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(BadTape, match="needs ccxt") as caught:
        fetch_window("binance-usdm", ["BTCUSDT"], START, START + LENGTH)
    assert "ringfence[live]" in str(caught.value.hint)


def test_an_exchange_that_answers_an_outage_with_an_empty_page_is_asked_on() -> None:
    asked: list[int] = []
    start = int(START.timestamp()) * 1000

    def fetch(_symbol: str, _timeframe: str, since: int, _limit: int, _params: object) -> list[list[Any]]:
        asked.append((since - start) // MINUTE)
        return [] if since == start else [[since, "1", "1", "1", "1", None]]

    with venue() as (exchange, _):
        exchange.fetch_ohlcv = fetch
        tape = fetch_window("binance-usdm", ["BTCUSDT"], START, START + timedelta(minutes=502), exchange=exchange)
    assert asked == [0, 500, 501]
    assert [bar.ts for bar in tape.bars()] == [START + timedelta(minutes=minute) for minute in (500, 501)]
