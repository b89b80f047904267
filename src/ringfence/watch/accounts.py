"""``ringfence account import``: an account at an exchange, live or from a saved reply, as an account file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.errors import BadAccount, BadConfiguration
from ringfence.watch.binance import read_binance
from ringfence.watch.bybit import read_bybit
from ringfence.watch.clients import has_key, load_ccxt, open_exchange, reading
from ringfence.watch.figures import digits
from ringfence.watch.replies import load_reply, sort_reply
from ringfence.watch.unified import read_unified
from ringfence.watch.venues import find_venue

if TYPE_CHECKING:
    from datetime import date

    from ringfence.watch.figures import Json
    from ringfence.watch.keys import Keys
    from ringfence.watch.venues import Venue

__all__ = ["account_from_reply", "import_account", "load_reply"]

SCHEMA = "ringfence.account/1"


def import_account(
    venue: str, *, exchange: Json = None, keys: Keys | str | None = None, as_of: date
) -> dict[str, Json]:
    """Return the account that a key's owner holds at the exchange of the rulebook ``venue``, as of now.

    ``keys``: a Keys or a reference to one (``env:NAME``, ``file:PATH``, ``keyring:NAME``); not needed when
    ``exchange``, one of ccxt's exchanges, holds one already. ``as_of``: today, written into the file. The result is
    that of :func:`account_from_reply`.

    Raises BadRulebook (unknown name), BadConfiguration (no key, a key that may trade or withdraw, no ccxt) and
    SourceUnavailable (no answer, or none of use), AuthenticationFailed (a refused key).
    """
    place = find_venue(venue)
    exchange = exchange if exchange is not None else open_exchange(place, keys=keys)
    if not _has_access(exchange):
        raise BadConfiguration(
            "an account is shown to its owner only",
            where=venue,
            expected="a read-only key, as env:NAME, file:PATH or keyring:NAME",
            found="no key",
            hint="make a read-only key at the exchange and name where it is",
        )
    with reading(exchange, place):
        notes = _check_rights(exchange)
        reply = _fetch(exchange, place)
    document = account_from_reply(venue, reply, as_of=as_of)
    document["notes"] = [*notes, *document["notes"]]
    return document


def account_from_reply(venue: str, reply: Json, *, as_of: date | None = None) -> dict[str, Json]:
    """Return an account file's content from a saved ``reply``, in one of the forms of :mod:`ringfence.watch.replies`.

    Keys: ``schema``, ``rulebook``, ``as_of``, ``account``, ``contracts`` (empty: an entry there would
    take the place of the rulebook's terms and tiers together, and a reply tells no tiers) and ``notes``: a list of
    sentences about what the reply does not tell; its place in ``account`` is None. Numbers are texts with the
    exchange's own digits.

    Raises BadRulebook (unknown name) and BadAccount (a reply of no known form, or of another exchange).
    """
    place = find_venue(venue)
    found = sort_reply(reply)
    family = _family(place)
    if found.exchanges and found.exchanges != {family}:
        raise BadAccount(
            "the saved reply comes from another exchange",
            where="reply",
            expected=f"a reply of {place.exchange}",
            found=f"a reply of {' and '.join(sorted(found.exchanges))}",
            hint="name the rulebook of the exchange the reply comes from",
        )
    if family == "binance":
        book = read_binance(found)
    elif family == "bybit":
        book = read_bybit(found)
    else:
        book = read_unified(found, place)
    if not found.positions_given:
        book.note("the reply holds no positions: save them too, unless there are none")
    return {
        "schema": SCHEMA,
        "rulebook": venue,
        "as_of": as_of.isoformat() if as_of else None,
        "account": book.as_account(),
        "contracts": {},
        "notes": book.notes,
    }


def _family(venue: Venue) -> str:
    return "binance" if venue.exchange.startswith("binance") else venue.exchange


def _has_access(exchange: Json) -> bool:
    """Return whether ``exchange`` can show an account. On-chain exchanges show any address, without a key."""
    return bool(getattr(exchange, "walletAddress", None)) or has_key(exchange)


def _fetch(exchange: Json, venue: Venue) -> dict[str, Json]:
    """Return the live account in the form of a saved reply."""
    exchange.load_markets()
    exchange.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    positions, orders = [], []
    for parameters in venue.account_parameters:
        positions += exchange.fetch_positions(None, dict(parameters))
        orders += exchange.fetch_open_orders(None, None, None, dict(parameters))
    held = {str(line.get("symbol")) for line in (*positions, *orders)}
    of_lists = ("paginate", "settleCoin")  # a balance comes whole, in all coins
    balance = {name: value for name, value in venue.account_parameters[0].items() if name not in of_lists}
    return {
        "balance": exchange.fetch_balance(balance),
        "positions": positions,
        "orders": orders,
        "markets": {symbol: market for symbol, market in exchange.markets.items() if symbol in held},
        "settings": _settings(exchange, venue, held),
    }


def _settings(exchange: Json, venue: Venue, held: set[str]) -> dict[str, Json]:
    """Return what balances and positions do not tell and the exchange does when it is asked."""
    if _family(venue) == "binance":
        return _binance_settings(exchange, venue, held)
    if _family(venue) == "bybit":
        mode = exchange.privateGetV5AccountInfo()["result"].get("marginMode")
        modes = {
            "ISOLATED_MARGIN": {"collateral_mode": "single_asset", "margin_mode": {"*": "isolated"}},
            "REGULAR_MARGIN": {"collateral_mode": "multi_asset", "margin_mode": {"*": "cross"}},
            "PORTFOLIO_MARGIN": {"collateral_mode": "portfolio", "margin_mode": {"*": "cross"}},
        }
        return dict(modes.get(mode, {}))
    return {}


def _binance_settings(exchange: Json, venue: Venue, held: set[str]) -> dict[str, Json]:
    parameters = dict(venue.account_parameters[0])
    hedged = exchange.fetch_position_mode(None, {"subType": venue.kinds[0]})["hedged"]
    settings: dict[str, Json] = {"position_mode": "hedge" if hedged else "one_way"}
    if venue.kinds == ("linear",):
        together = exchange.fapiPrivateGetMultiAssetsMargin().get("multiAssetsMargin")
        settings["collateral_mode"] = "multi_asset" if together else "single_asset"
        if together:
            settings["collateral"] = _binance_collateral(exchange.fapiPublicGetAssetIndex())
    else:
        settings["collateral_mode"] = "single_asset"
    if held:
        leverages = exchange.fetch_leverages(sorted(held), parameters)
        records = [line["info"] for line in leverages.values()]
        settings["leverage"] = {record["symbol"]: str(record["leverage"]) for record in records}
    return settings


def _binance_collateral(rows: Json) -> dict[str, dict[str, str | None]]:
    """Return the rates at which assets count in Multi-Assets mode, from the pairs asset/USD of ``assetIndex``."""
    return {
        str(row["symbol"]).removesuffix("USD"): {
            "index": digits(row.get("index")),
            "bid_buffer": digits(row.get("bidBuffer")),
            "ask_buffer": digits(row.get("askBuffer")),
        }
        for row in rows
    }


def _check_rights(exchange: Json) -> list[str]:
    """Return a note where it cannot be known what the key may do.

    Raises BadConfiguration where it may do more than read.
    """
    if getattr(exchange, "walletAddress", None) and not has_key(exchange):
        return []
    ccxt = load_ccxt()
    asked = {
        "binance": _binance_rights,
        "bybit": _bybit_rights,
        "okx": _okx_rights,
    }.get("binance" if exchange.id.startswith("binance") else exchange.id)
    unknown = f"{exchange.id} does not tell what the key may do: make sure that it can only read"
    if asked is None:
        return [unknown]
    try:
        rights = asked(exchange)
    except ccxt.AuthenticationError:
        raise
    except ccxt.BaseError:
        return [unknown]
    if rights:
        raise BadConfiguration(
            "the key may do more than read",
            where=exchange.id,
            expected="a key that may only read",
            found=f"a key with {', '.join(rights)}",
            hint="make a read-only key at the exchange: a leaked one cannot lose you anything then",
        )
    return []


def _binance_rights(exchange: Json) -> list[str]:
    names = (
        "enableFutures",
        "enableSpotAndMarginTrading",
        "enableMargin",
        "enableWithdrawals",
        "enableInternalTransfer",
    )
    more = ("permitsUniversalTransfer", "enableVanillaOptions", "enablePortfolioMarginTrading")
    rights = exchange.sapiGetAccountApiRestrictions()
    return [name for name in (*names, *more) if rights.get(name) is True]


def _bybit_rights(exchange: Json) -> list[str]:
    result = exchange.privateGetV5UserQueryApi()["result"]
    return [] if str(result.get("readOnly")) == "1" else ["readOnly 0"]


def _okx_rights(exchange: Json) -> list[str]:
    perms = str(exchange.privateGetAccountConfig()["data"][0].get("perm", "")).split(",")
    return [perm for perm in perms if perm not in ("read_only", "")]
