"""Contract terms: kind, size, steps, minimums and fees of an exchange's contracts, in its own digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringfence.watch.figures import exact
from ringfence.watch.tiers import symbol_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ringfence.watch.figures import Json
    from ringfence.watch.venues import Venue

_TICK_SIZE = 4  # ccxt's precisionMode whose precisions are steps


@dataclass(frozen=True, slots=True)
class ContractRow:
    """Terms of one contract. None is unknown, never 0. Quantities are in contracts.

    ``contract_size``: base units of a contract (linear, quanto), quote units (inverse). ``tier_unit``: what the floors
    and caps of its tiers count. ``coverage``: ``complete`` with tiers, ``partial`` without.
    """

    symbol: str
    kind: str
    contract_size: Decimal | None
    settle_asset: str
    price_step: Decimal | None
    quantity_step: Decimal | None
    minimum_quantity: Decimal | None
    minimum_notional: Decimal | None
    maker_fee_rate: Decimal | None
    taker_fee_rate: Decimal | None
    liquidation_fee_rate: Decimal | None
    tier_unit: str
    coverage: str


_COLUMNS = (
    "contract_size",
    "price_step",
    "quantity_step",
    "minimum_quantity",
    "minimum_notional",
    "maker_fee_rate",
    "taker_fee_rate",
    "liquidation_fee_rate",
)
_BINANCE = {
    "price_step": "filters.PRICE_FILTER.tickSize",
    "quantity_step": "filters.LOT_SIZE.stepSize",
    "minimum_quantity": "filters.LOT_SIZE.minQty",
    "minimum_notional": "filters.MIN_NOTIONAL.notional",
    "liquidation_fee_rate": "liquidationFee",
}
#: Where an exchange's own contract detail keeps a column. Fees only where the exchange states them: the ones ccxt adds
#: by itself are a guess at some fee level.
_PLACES: Mapping[str, Mapping[str, str]] = {
    "binanceusdm": _BINANCE,
    "binancecoinm": _BINANCE | {"contract_size": "contractSize"},
    "bybit": {
        "price_step": "priceFilter.tickSize",
        "quantity_step": "lotSizeFilter.qtyStep",
        "minimum_quantity": "lotSizeFilter.minOrderQty",
        "minimum_notional": "lotSizeFilter.minNotionalValue",
    },
    "okx": {"price_step": "tickSz", "quantity_step": "lotSz", "minimum_quantity": "minSz"},
    "mexc": {
        "contract_size": "contractSize",
        "price_step": "priceUnit",
        "quantity_step": "volUnit",
        "minimum_quantity": "minVol",
        "maker_fee_rate": "makerFeeRate",
        "taker_fee_rate": "takerFeeRate",
        "liquidation_fee_rate": "liquidationFeeRate",
    },
    "gate": {
        "price_step": "order_price_round",
        "minimum_quantity": "order_size_min",
        "maker_fee_rate": "maker_fee_rate",
        "taker_fee_rate": "taker_fee_rate",
    },
    "bitget": {
        "quantity_step": "sizeMultiplier",
        "minimum_quantity": "minTradeNum",
        "minimum_notional": "minTradeUSDT",
        "maker_fee_rate": "makerFeeRate",
        "taker_fee_rate": "takerFeeRate",
    },
    "bingx": {
        "minimum_quantity": "tradeMinQuantity",
        "minimum_notional": "tradeMinUSDT",
        "maker_fee_rate": "makerFeeRate",
        "taker_fee_rate": "takerFeeRate",
    },
    "kucoinfutures": {
        "price_step": "tickSize",
        "quantity_step": "lotSize",
        "maker_fee_rate": "makerFeeRate",
        "taker_fee_rate": "takerFeeRate",
    },
    "krakenfutures": {"price_step": "tickSize"},
    "deribit": {"price_step": "tick_size", "maker_fee_rate": "maker_commission", "taker_fee_rate": "taker_commission"},
}


def covered(venue: Venue, markets: Mapping[str, Mapping[str, Json]]) -> dict[str, Mapping[str, Json]]:
    """Return those of ccxt's ``markets`` (by unified symbol) that the rulebook of ``venue`` covers and that trade."""
    return {
        unified: market
        for unified, market in markets.items()
        if market.get("type") in venue.types
        and market.get("active") is not False
        and kind_of(market) in venue.kinds
        and (not venue.settle_assets or market.get("settle") in venue.settle_assets)
    }


def kind_of(market: Mapping[str, Json]) -> str | None:
    """Return ``linear``, ``inverse`` or ``quanto``; None for what is no futures contract."""
    if not market.get("contract"):
        return None
    if market.get("linear"):
        return "linear"
    return "inverse" if market.get("inverse") else "quanto"


def contract_row(exchange: Json, venue: Venue, market: Mapping[str, Json], *, tier_unit: str | None) -> ContractRow:
    """Return the terms of one of ccxt's markets. ``tier_unit`` None: no tiers of it are known."""
    places = _PLACES.get(venue.exchange, {})
    parsed = _as_parsed(exchange, venue, market)
    figures = {}
    for column in _COLUMNS:
        own = exact(_at(market.get("info"), places[column])) if column in places else None
        figures[column] = own if own is not None else parsed.get(column)
    return ContractRow(
        symbol=symbol_of(market),
        kind=str(kind_of(market)),
        settle_asset=str(market.get("settle") or ""),
        tier_unit=tier_unit or venue.tier_unit,
        coverage="complete" if tier_unit else "partial",
        **figures,
    )


def _as_parsed(exchange: Json, venue: Venue, market: Mapping[str, Json]) -> dict[str, Decimal | None]:
    """Return what ccxt parsed into its own fields. Fees are left out, and Hyperliquid's price step, which moves."""
    limits = market.get("limits") or {}
    figures = {
        "contract_size": exact(market.get("contractSize")),
        "minimum_quantity": exact((limits.get("amount") or {}).get("min")),
        "minimum_notional": exact((limits.get("cost") or {}).get("min")),
    }
    precision = market.get("precision") or {}
    if getattr(exchange, "precisionMode", None) == _TICK_SIZE:
        figures["quantity_step"] = exact(precision.get("amount"))
        if venue.exchange != "hyperliquid":
            figures["price_step"] = exact(precision.get("price"))
    return figures


def _at(info: Json, place: str) -> Json:
    """Return what stands at ``place``, a path of fields; in a list of filters the field is a filter's type."""
    for field in place.split("."):
        if isinstance(info, list):
            info = next((item for item in info if isinstance(item, dict) and item.get("filterType") == field), None)
        elif isinstance(info, dict):
            info = info.get(field)
        else:
            return None
    return info
