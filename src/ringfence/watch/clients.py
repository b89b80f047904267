"""ccxt, opened for reading only, its many ways to fail told in our words."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from ringfence.errors import AuthenticationFailed, BadConfiguration, BadRulebook, RingfenceError, SourceUnavailable
from ringfence.watch.keys import Keys, read_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from ringfence.watch.figures import Json
    from ringfence.watch.venues import Venue

#: Requests that read although they are no GET: Hyperliquid answers everything on one address, HTX posts its queries.
_READING_POSTS = {
    "hyperliquid": re.compile(r"/info$"),
    "htx": re.compile(r"/(swap_[a-z_]*(info|openorders)|unified_account_info)$"),
}
_TIMEOUT_MILLISECONDS = 20_000


def load_ccxt() -> ModuleType:
    """Return the module ccxt. Raises BadConfiguration, with how to install it, where it is missing."""
    try:
        import ccxt
    except ImportError:
        raise BadConfiguration(
            "talking to an exchange needs ccxt, which is not installed",
            expected="the extra `live` of ringfence",
            found="no package ccxt",
            hint="install it with `pip install 'ringfence[live]'`",
        ) from None
    module: ModuleType = ccxt
    return module


def open_exchange(venue: Venue, *, keys: Keys | str | None = None) -> Json:
    """Return ccxt's exchange of ``venue``, with ``keys`` (or the reference to them) where some are given.

    Raises BadConfiguration (ccxt is missing, or the reference leads nowhere) and BadRulebook (the installed ccxt does
    not know the exchange).
    """
    ccxt = load_ccxt()
    make = getattr(ccxt, venue.exchange, None)
    if make is None:
        raise BadRulebook(
            f"the installed ccxt does not know {venue.exchange}, the exchange of the rulebook {venue.rulebook}",
            expected=f"a ccxt with {venue.exchange}",
            found=f"ccxt {ccxt.__version__}",
            hint="install another version of ccxt, or use the tables that come with ringfence",
        )
    if isinstance(keys, str):
        keys = read_keys(keys)
    settings: dict[str, Json] = {"timeout": _TIMEOUT_MILLISECONDS, "options": dict(venue.options)}
    exchange = make(settings | (keys.settings() if keys else {}))
    # Lists of currencies are neither margin nor public everywhere: asking for them would need a key for nothing.
    exchange.has = {**exchange.has, "fetchCurrencies": False}
    return exchange


@contextmanager
def reading(exchange: Json, venue: Venue) -> Iterator[None]:
    """Let ``exchange`` read and nothing else while the block runs, and turn what ccxt raises into our errors.

    A request that could change something at the exchange is stopped before it is sent (SourceUnavailable). Raises
    AuthenticationFailed where the exchange refuses the key, SourceUnavailable where it cannot be reached, answers with
    an error, or answers something that is not the JSON ccxt knows.
    """
    before = exchange.__dict__.get("fetch")
    exchange.fetch = _guarded(exchange, exchange.fetch)
    try:
        yield
    except RingfenceError:
        raise
    except Exception as error:  # noqa: BLE001 - ccxt meets an unexpected reply with any built-in error
        _explain(exchange, venue, error)
    finally:
        if before is None:
            del exchange.fetch
        else:
            exchange.fetch = before


def has_key(exchange: Json) -> bool:
    """Return whether ``exchange`` holds everything it needs to sign a request."""
    return bool(exchange.check_required_credentials(error=False))


def _guarded(exchange: Json, fetch: Callable[..., Json]) -> Callable[..., Json]:
    allowed = _READING_POSTS.get(exchange.id)

    def guard(url: str, method: str = "GET", headers: Json = None, body: Json = None) -> Json:
        path = url.partition("?")[0]
        if method != "GET" and not (method == "POST" and allowed and allowed.search(path)):
            raise SourceUnavailable(f"{exchange.id}: {method} {path} could change something and was not sent")
        reply = fetch(url, method, headers, body)
        if not isinstance(reply, dict | list):
            start = " ".join(str(reply).split())[:80]
            raise SourceUnavailable(
                f"{exchange.id} answered something that is not JSON at {path}\n"
                f"  expected: a JSON reply\n  found: {start!r}\n"
                "  do: try again later; a maintenance page or a proxy in between often answers like this"
            )
        return reply

    return guard


def _explain(exchange: Json, venue: Venue, error: Exception) -> NoReturn:
    ccxt = load_ccxt()
    said = _without_secrets(exchange, str(error))
    if isinstance(error, ccxt.AuthenticationError):
        raise AuthenticationFailed(
            f"{exchange.id} ({venue.rulebook}) refused the key\n  found: {said}\n"
            "  do: check the key, its permission to read and its list of addresses (IP)"
        ) from None
    if isinstance(error, ccxt.InvalidNonce):
        text, do = "refused the time of the request", "set this machine's clock right and try again"
    elif isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
        text, do = "asks for fewer requests", "wait some minutes and try again"
    elif isinstance(error, ccxt.NetworkError):
        text, do = "did not answer, or answered that it cannot", "check the connection and try again later"
    elif isinstance(error, ccxt.NotSupported):
        text, do = "cannot be read this way by ccxt", "install a newer ccxt, or save the reply and import the file"
    elif isinstance(error, ccxt.BaseError):
        text, do = "answered with an error", "read what it said, and try again later"
    else:
        text, do = "answered in a form that ccxt does not know", "install a newer ccxt, or try again later"
        said = f"{type(error).__name__}: {said}"
    raise SourceUnavailable(f"{exchange.id} ({venue.rulebook}) {text}\n  found: {said}\n  do: {do}") from None


def _without_secrets(exchange: Json, text: str) -> str:
    """Return ``text`` on one line, shortened, without what signs a request: it may be printed and logged."""
    for name in Keys.__slots__:
        value = getattr(exchange, name, None)
        if isinstance(value, str) and value:
            text = text.replace(value, "…")
    text = re.sub(r"(https?://[^\s?]+)\?\S*", r"\1", text)
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]}…"
