"""Downloads a window of prices through ccxt (extra ``live``), imported here and only when needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringfence.errors import BadTape, SourceUnavailable, nearest
from ringfence.tape.bars import micros_of, utc_text
from ringfence.tape.rows import RowCollector, step_from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType

    from ccxt import Exchange

    from ringfence.tape.bars import PriceKind, Tape

# Our venue names whose ccxt exchange is called otherwise than the part before the first hyphen.
_CCXT_IDS = {
    "binance-usdm": "binanceusdm",
    "binance-coinm": "binancecoinm",
    "kraken-futures": "krakenfutures",
    "kucoin-futures": "kucoinfutures",
}

# The capability ccxt lists for each kind of price, and the parameter that asks for it.
_CAPABILITY = {"mark": "fetchMarkOHLCV", "index": "fetchIndexOHLCV", "last": "fetchOHLCV"}
_PARAMETERS: dict[str, dict[str, str]] = {"mark": {"price": "mark"}, "index": {"price": "index"}, "last": {}}

# Binance answers requests for more than this wrongly, most others cap it themselves.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a download is: bars of this symbol so far, and at most to come in all."""

    symbol: str
    bars: int
    expected_bars: int


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for of each symbol; times in milliseconds, ``after`` exclusive."""

    first: int
    after: int
    step: int
    timeframe: str
    price_kind: PriceKind


def fetch_window(
    venue: str,
    symbols: Sequence[str],
    start: datetime,
    end: datetime,
    *,
    price_kind: PriceKind = "mark",
    timeframe: str = "1m",
    exchange: Exchange | None = None,
    progress: Callable[[FetchProgress], None] | None = None,
) -> Tape:
    """Download the bars that lie wholly inside [start, end) and return them as a tape.

    ``venue`` is a name of ours (``binance-usdm``) or of ccxt (``binanceusdm``); ``symbols`` are the venue's
    own (``BTCUSDT``) or ccxt's (``BTC/USDT:USDT``) and stand in the tape as given. ``exchange`` is a ccxt
    exchange to use instead of a new one. A bar that is not finished yet is left out. Prices are the venue's
    own texts, and pass the same checks as those of a file.

    Raises BadTape for what cannot be asked for, and SourceUnavailable when the venue does not answer or has
    nothing.
    """
    step = step_from_text(timeframe, where="tape fetch, timeframe") // 1_000
    asked = _Request(micros_of(start) // 1_000, micros_of(end) // 1_000, step, timeframe, price_kind)
    _check_span(asked, start=start, end=end)
    ccxt = _ccxt()
    source = exchange if exchange is not None else _exchange(ccxt, venue)
    _check_offer(source, price_kind=price_kind, timeframe=timeframe)
    collector = RowCollector(file=f"{venue} through ccxt", row_word="bar")
    try:
        source.load_markets()
        markets = {symbol: _market(source, symbol) for symbol in sorted(set(symbols))}
        exact = [_collect(source, markets[symbol], asked, symbol, collector, progress) for symbol in markets]
    except ccxt.NetworkError as error:
        raise SourceUnavailable(f"{venue} cannot be reached: {_first_line(error)}; try again later") from None
    except ccxt.BaseError as error:
        raise SourceUnavailable(f"{venue} refused the request: {_first_line(error)}") from None
    if not collector.symbols:
        raise SourceUnavailable(f"{venue} has no {price_kind} prices of {', '.join(markets)} in this window")
    header = {
        "price_kind": price_kind,
        "resolution": timeframe,
        "venue": venue,
        "source": f"{source.id} through ccxt {ccxt.__version__}",
        "retrieved": utc_text(datetime.now(UTC).replace(microsecond=0)),
    }
    return collector.tape(name=f"{venue} {utc_text(start)}", header=header, exact=all(exact))


def _check_span(asked: _Request, *, start: datetime, end: datetime) -> None:
    if asked.after - asked.first < asked.step:
        raise BadTape(
            "the window is shorter than one bar",
            where="tape fetch",
            expected=f"an end at least {asked.timeframe} after {utc_text(start)}",
            found=utc_text(end),
            hint="give the start first and the end second",
        )


def _ccxt() -> ModuleType:
    try:
        import ccxt
    except ImportError:
        raise BadTape(
            "fetching a tape needs ccxt, which is not installed",
            where="tape fetch",
            expected="the extra live",
            found="no module ccxt",
            hint='install it with: pip install "ringfence[live]"',
        ) from None
    module: ModuleType = ccxt
    return module


def _exchange(ccxt: Any, venue: str) -> Any:
    name = _CCXT_IDS.get(venue) or venue.split("-", maxsplit=1)[0]
    if name not in ccxt.exchanges:
        raise BadTape(
            f"there is no venue {venue} to fetch from",
            where="tape fetch",
            expected="a venue such as binance-usdm or bybit-linear, or a name of ccxt",
            found=venue,
            hint=nearest(venue, [*_CCXT_IDS, *ccxt.exchanges]) or "see ccxt's list of exchanges",
        )
    return getattr(ccxt, name)({"enableRateLimit": True, "options": {"maxRetriesOnFailure": 2}})


def _check_offer(exchange: Exchange, *, price_kind: PriceKind, timeframe: str) -> None:
    if not exchange.has.get(_CAPABILITY[price_kind]):
        offered = [kind for kind, capability in _CAPABILITY.items() if exchange.has.get(capability)]
        raise BadTape(
            f"{exchange.id} has no history of {price_kind} prices",
            where="tape fetch",
            expected=" or ".join(offered) or "an exchange with a history of prices",
            found=price_kind,
            hint="ask for last prices instead; results will then show that they stand in for mark prices",
        )
    if exchange.timeframes and timeframe not in exchange.timeframes:
        raise BadTape(
            f"{exchange.id} has no bars of this length",
            where="tape fetch",
            expected=", ".join(exchange.timeframes),
            found=timeframe,
            hint="choose one of these",
        )


def _market(exchange: Exchange, symbol: str) -> Mapping[str, Any]:
    """Return the contract of this name; a spot market of the same name does not count."""
    named: list[Mapping[str, Any]] = exchange.markets_by_id.get(symbol, [])
    if symbol in exchange.markets:
        named = [exchange.markets[symbol]]
    for market in named:
        if market.get("contract"):
            return market
    known = [market["id"] for market in exchange.markets.values() if market.get("contract")]
    raise BadTape(
        f"{exchange.id} has no contract {symbol}",
        where="tape fetch",
        expected="the symbol of a contract, as the venue or as ccxt writes it",
        found=symbol,
        hint=nearest(symbol, known) or "use the venue's own symbol, such as BTCUSDT",
    )


def _collect(
    exchange: Exchange,
    market: Mapping[str, Any],
    asked: _Request,
    symbol: str,
    collector: RowCollector,
    progress: Callable[[FetchProgress], None] | None,
) -> bool:
    """Take one symbol's bars page by page; say whether all prices came as text, and so are exact."""
    # A bar that still moves is not a bar yet.
    after = min(asked.after, exchange.milliseconds())
    expected = (asked.after - asked.first) // asked.step
    count, exact = 0, True
    for page in _pages(exchange, market, asked, after=after):
        for ts, *prices in page:
            count += 1
            exact = exact and all(isinstance(price, str) for price in prices)
            collector.add(count, ts=ts * 1_000, symbol=symbol, prices=[str(price) for price in prices])
        if progress is not None:
            progress(FetchProgress(symbol=symbol, bars=count, expected_bars=expected))
    return exact


def _pages(exchange: Exchange, market: Mapping[str, Any], asked: _Request, *, after: int) -> Iterator[list[list[Any]]]:
    """Yield pages of (milliseconds, open, high, low, close), each of bars that lie wholly inside."""
    since = asked.first
    while since + asked.step <= after:
        page = _page(exchange, market, asked, since=since)
        yield [bar[:5] for bar in page if bar[0] >= since and bar[0] + asked.step <= after]
        latest = max((bar[0] for bar in page), default=0)
        # An empty page may be an outage of the venue: what comes after it is still wanted.
        since = latest + asked.step if latest >= since else since + _PAGE * asked.step


def _page(exchange: Exchange, market: Mapping[str, Any], asked: _Request, *, since: int) -> list[list[Any]]:
    """Ask for one page, with prices as the venue's text: ccxt's number type is text for this request only."""
    parameters = dict(_PARAMETERS[asked.price_kind])
    before = exchange.number
    exchange.number = str
    try:
        page: list[list[Any]] = exchange.fetch_ohlcv(market["symbol"], asked.timeframe, since, _PAGE, parameters)
    finally:
        exchange.number = before
    return page


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
