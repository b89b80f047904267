"""Which exchange of ccxt answers for which rulebook, and which of its contracts the rulebook covers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ringfence.errors import BadRulebook, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.watch.figures import Json

Kind = Literal["linear", "inverse", "quanto"]

#: How ccxt hands out an exchange's tiers: for all contracts at once, contract by contract, inside its list of
#: contracts, through Hyperliquid's margin tables, or not at all in a form that a table of tiers can hold.
#: ``rules``: the exchange has no tiers, its rates are a formula that stands in the rulebook.
TierAccess = Literal["all", "each", "contracts", "margin_tables", "none", "rules"]


@dataclass(frozen=True, slots=True)
class Venue:
    """One rulebook's exchange: what to ask ccxt for, and in which unit its tiers count.

    ``settle_assets``: the settlement assets the rulebook covers, empty for all. ``types``: perpetual and dated
    contracts, in the words of ccxt. ``parameters`` and ``account_parameters``: what separates this part of the
    exchange from the rest, one mapping per call. ``without_tiers``: why there are none.
    """

    rulebook: str
    exchange: str
    kinds: tuple[Kind, ...]
    tiers: TierAccess
    settle_assets: tuple[str, ...] = ()
    types: tuple[str, ...] = ("swap", "future")
    tier_unit: str = "notional"
    tiers_need_key: bool = False
    parameters: tuple[Mapping[str, str], ...] = ({},)
    account_parameters: tuple[Mapping[str, Json], ...] = ({},)
    options: Mapping[str, Json] = field(default_factory=dict)
    without_tiers: str = ""


_NOT_IN_CCXT = "ccxt has no risk tiers of this exchange"
_SWAP = {"type": "swap"}


def _binance(rulebook: str, exchange: str, kind: Kind) -> Venue:
    part = {"type": "swap", "subType": kind}
    return Venue(
        rulebook,
        exchange,
        (kind,),
        "all",
        tiers_need_key=True,
        parameters=(part,),
        account_parameters=(part,),
        options={"fetchMarkets": {"types": [kind]}, "fetchCurrencies": False, "fetchMargins": False},
    )


def _bybit(rulebook: str, *kinds: Kind) -> Venue:
    swap: dict[str, Json] = {"type": "swap", "paginate": True}  # a page holds 20 orders or 200 positions
    parts = [swap | {"subType": "linear", "settleCoin": coin} for coin in ("USDT", "USDC") if "linear" in kinds]
    if "inverse" in kinds:
        parts.append(swap | {"subType": "inverse"})
    return Venue(
        rulebook,
        "bybit",
        kinds,
        "all",
        parameters=tuple({"subType": kind} for kind in kinds),
        account_parameters=tuple(parts),
        options={"fetchMarkets": {"types": list(kinds)}},
    )


_VENUES = (
    _binance("binance-usdm", "binanceusdm", "linear"),
    _binance("binance-coinm", "binancecoinm", "inverse"),
    _bybit("bybit-linear", "linear"),
    _bybit("bybit-inverse", "inverse"),
    _bybit("bybit-uta", "linear", "inverse"),
    Venue("bingx-usdtm", "bingx", ("linear",), "each", ("USDT",), tiers_need_key=True, account_parameters=(_SWAP,)),
    Venue(
        "bingx-coinm",
        "bingx",
        ("inverse",),
        "none",
        account_parameters=({"type": "swap", "subType": "inverse"},),
        without_tiers="ccxt reads BingX's tiers of linear contracts only",
    ),
    Venue("mexc-usdtm", "mexc", ("linear",), "contracts", tier_unit="contracts", account_parameters=(_SWAP,)),
    Venue("mexc-coinm", "mexc", ("inverse",), "contracts", tier_unit="contracts", account_parameters=(_SWAP,)),
    Venue(
        "okx-swap",
        "okx",
        ("linear", "inverse"),
        "each",
        types=("swap",),
        tier_unit="contracts",
        account_parameters=(_SWAP,),
        options={"fetchMarkets": {"types": ["swap"]}},
    ),
    Venue(
        "gate-usdtm",
        "gate",
        ("linear",),
        "all",
        ("USDT",),
        ("swap",),
        parameters=({"type": "swap", "settle": "usdt"},),
        account_parameters=({"type": "swap", "settle": "usdt"},),
        options={"fetchMarkets": {"types": ["swap"]}},
    ),
    Venue(
        "bitget-usdtm",
        "bitget",
        ("linear",),
        "each",
        ("USDT",),
        account_parameters=(_SWAP,),
        options={"fetchMarkets": {"types": ["swap"]}},
    ),
    Venue("kucoin-futures", "kucoinfutures", ("linear", "inverse"), "each"),
    Venue(
        "htx-usdtm",
        "htx",
        ("linear",),
        "none",
        ("USDT",),
        account_parameters=({"type": "swap", "subType": "linear"},),
        without_tiers="HTX publishes adjustment factors by leverage and size, not maintenance rates by size",
    ),
    Venue("kraken-futures", "krakenfutures", ("linear", "inverse"), "all"),
    Venue("hyperliquid", "hyperliquid", ("linear",), "margin_tables"),
    Venue(
        "weex-usdtm", "weex", ("linear",), "none", ("USDT",), account_parameters=(_SWAP,), without_tiers=_NOT_IN_CCXT
    ),
    Venue("bitmex", "bitmex", ("linear", "inverse", "quanto"), "none", without_tiers=_NOT_IN_CCXT),
    Venue(
        "deribit",
        "deribit",
        ("linear", "inverse"),
        "rules",
    ),
    Venue("phemex", "phemex", ("linear", "inverse"), "all", account_parameters=(_SWAP,)),
    Venue("dydx-v4", "dydx", ("linear",), "contracts"),
)

VENUES: Mapping[str, Venue] = {venue.rulebook: venue for venue in _VENUES}


def find_venue(name: str) -> Venue:
    """Return the exchange behind the rulebook ``name``.

    Raises BadRulebook with the nearest names where no exchange is known for it.
    """
    try:
        return VENUES[name]
    except KeyError:
        raise BadRulebook(
            f"no exchange is known for the rulebook {name!r}",
            expected=f"one of {', '.join(sorted(VENUES))}",
            found=name,
            hint=nearest(name, VENUES) or "choose one of these names",
        ) from None
