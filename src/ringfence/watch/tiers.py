"""Risk tiers: what ccxt hands out for an exchange, as rows of a table in the exchange's own digits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from ringfence.watch.figures import EXACT, exact, first

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ringfence.watch.figures import Json
    from ringfence.watch.venues import Venue

#: Quotients to 18 digits: a highest leverage (1 ÷ initial rate) is cut off, a rate (1 ÷ 2·leverage) half even.
_LEVERAGE = Context(prec=18, rounding=ROUND_DOWN)
_RATE = Context(prec=18, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier of one contract. None is unknown; ``cap`` is None in the last tier of a table without an end.

    ``floor`` and ``cap`` count in the contract's tier unit, ``deduction`` in the settlement asset.
    """

    symbol: str
    tier: int
    floor: Decimal | None
    cap: Decimal | None
    maintenance_rate: Decimal | None
    deduction: Decimal | None
    max_leverage: Decimal | None


@dataclass(frozen=True, slots=True)
class Ladder:
    """The tiers of one contract, and the unit they count in."""

    unit: str
    rows: tuple[TierRow, ...]


@dataclass(frozen=True, slots=True)
class _Fields:
    """Where an exchange's reply keeps the parts of a tier. Empty: it does not state them."""

    floor: tuple[str, ...] = ()
    cap: tuple[str, ...] = ()
    rate: tuple[str, ...] = ()
    deduction: tuple[str, ...] = ()
    leverage: tuple[str, ...] = ()


_BINANCE = _Fields(
    ("notionalFloor", "qtyFloor"), ("notionalCap", "qtyCap"), ("maintMarginRatio",), ("cum",), ("initialLeverage",)
)
_KUCOIN = _Fields(("minRiskLimit",), ("maxRiskLimit",), ("maintainMargin",), (), ("maxLeverage",))
_FIELDS: Mapping[str, _Fields] = {
    "binanceusdm": _BINANCE,
    "binancecoinm": _BINANCE,
    "bybit": _Fields((), ("riskLimitValue",), ("maintenanceMargin",), ("mmDeduction",), ("maxLeverage",)),
    "bingx": _Fields(("minPositionVal",), ("maxPositionVal",), ("maintMarginRatio",), ("maintAmount",)),
    "okx": _Fields(("minSz",), ("maxSz",), ("mmr",), (), ("maxLever",)),
    "gate": _Fields((), ("risk_limit",), ("maintenance_rate",), ("deduction",), ("leverage_max",)),
    "bitget": _Fields(("startUnit",), ("endUnit",), ("keepMarginRate",), (), ("leverage",)),
    "kucoinfutures": _KUCOIN,
    "krakenfutures": _Fields(("numNonContractUnits", "contracts"), (), ("maintenanceMargin",)),
    "phemex": _Fields((), ("limit",), ("maintenanceMargin",)),
}


def read_ladders(
    exchange: Json, venue: Venue, markets: Mapping[str, Json], *, progress: Callable[[str], None]
) -> dict[str, Ladder]:
    """Return the tiers of ``markets`` (unified symbol → ccxt's market) by unified symbol; a contract may have none.

    Talks to the exchange, one request per contract where it answers no other way. Raises what ccxt raises.
    """
    if venue.tiers == "contracts":
        read = _mexc_ladder if venue.exchange == "mexc" else _single_tier
        found = {unified: read(symbol_of(market), market["info"]) for unified, market in markets.items()}
    elif venue.tiers == "margin_tables":
        found = _hyperliquid_ladders(exchange, markets)
    elif venue.tiers == "all":
        found = {}
        for parameters in venue.parameters:
            progress(f"reading the tiers of {len(markets)} contracts")
            for unified, tiers in exchange.fetch_leverage_tiers(None, dict(parameters)).items():
                if unified in markets:
                    found[unified] = ladder_from(venue, symbol_of(markets[unified]), tiers)
    elif venue.tiers == "each":
        found = {}
        for number, (unified, market) in enumerate(markets.items(), 1):
            progress(f"reading tiers, contract {number} of {len(markets)}: {symbol_of(market)}")
            found[unified] = ladder_from(venue, symbol_of(market), exchange.fetch_market_leverage_tiers(unified))
    else:
        found = {}
    return {unified: ladder for unified, ladder in found.items() if ladder.rows}


def symbol_of(market: Mapping[str, Json]) -> str:
    """Return the exchange's own name of a contract (ccxt's market id; Hyperliquid's ids are numbers, its names not)."""
    info = market.get("info")
    if isinstance(info, dict) and "szDecimals" in info and "name" in info:
        return str(info["name"])
    return str(market["id"])


def ladder_from(venue: Venue, symbol: str, tiers: Sequence[Mapping[str, Json]]) -> Ladder:
    """Return the tiers that ccxt parsed, read again from the exchange's own figures in their ``info``.

    Tiers are numbered from 1 in ascending order whatever the exchange calls them. A floor the exchange does not state
    is the cap of the tier before, and a cap it does not state the floor of the tier after; where sizes are whole
    contracts and a tier starts one contract above the last cap, its floor is that cap.
    """
    fields = _FIELDS.get(venue.exchange, _Fields())
    parts = [_parts(venue, fields, tier) for tier in tiers]
    parts.sort(key=lambda part: next((edge for edge in part[:2] if edge is not None), Decimal(0)))
    levels = tiers[0].get("info") if tiers else None
    kraken_contracts = venue.exchange == "krakenfutures" and first(levels, "numNonContractUnits") is None
    unit = "contracts" if kraken_contracts else venue.tier_unit
    rows: list[TierRow] = []
    for number, (stated, cap, rate, deduction, leverage) in enumerate(parts, 1):
        before = rows[-1].cap if rows else Decimal(0)
        after = parts[number][0] if number < len(parts) else None
        one_above = stated is not None and before is not None and 0 < EXACT.subtract(stated, before) <= 1
        floor = before if stated is None or (unit == "contracts" and one_above) else stated
        rows.append(TierRow(symbol, number, floor, cap if cap is not None else after, rate, deduction, leverage))
    return Ladder(unit, tuple(rows))


_Part = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]


def _parts(venue: Venue, fields: _Fields, tier: Mapping[str, Json]) -> _Part:
    info = tier.get("info")
    known = bool(fields.rate)

    def read(names: tuple[str, ...], unified: str) -> Decimal | None:
        own = exact(first(info, *names))
        return own if own is not None or (known and names) else exact(tier.get(unified))

    floor = exact(first(info, *fields.floor)) if known else exact(tier.get("minNotional"))
    cap = exact(first(info, *fields.cap)) if known else exact(tier.get("maxNotional"))
    rate = read(fields.rate, "maintenanceMarginRate")
    leverage = read(fields.leverage, "maxLeverage")
    deduction = exact(first(info, *fields.deduction)) if fields.deduction else None
    if venue.exchange == "bybit":
        rate = _bybit_rate(rate, exact(first(info, "initialMargin")), leverage)
    return floor, cap, rate, deduction, leverage


def _bybit_rate(rate: Decimal | None, initial: Decimal | None, leverage: Decimal | None) -> Decimal | None:
    """Return Bybit's maintenance rate as a fraction: some of its replies state both rates in per cent.

    Initial rate × highest leverage is 1 for fractions and 100 for percentages, so 10 tells them apart.
    """
    if rate is None or initial is None or leverage is None or EXACT.multiply(initial, leverage) < 10:
        return rate
    return rate.scaleb(-2)


def _mexc_ladder(symbol: str, info: Mapping[str, Json]) -> Ladder:
    """Return MEXC's tiers out of its contract detail: a list of its own, or a first tier and equal steps."""
    unit = "notional" if info.get("riskLimitType") == "BY_VALUE" else "contracts"
    rows: list[TierRow] = []
    custom = info.get("riskLimitCustom")
    if isinstance(custom, list) and custom and info.get("riskLimitMode") != "INCREASE":
        floor: Decimal | None = Decimal(0)
        for number, level in enumerate(sorted(custom, key=lambda item: exact(item.get("maxVol")) or 0), 1):
            cap, leverage = exact(level.get("maxVol")), exact(level.get("maxLeverage"))
            rows.append(TierRow(symbol, number, floor, cap, exact(level.get("mmr")), None, leverage))
            floor = cap
        return Ladder(unit, tuple(rows))
    rate, cap, leverage = (exact(info.get(name)) for name in ("maintenanceMarginRate", "riskBaseVol", "maxLeverage"))
    if rate is None or cap is None:
        return Ladder(unit, ())
    rows.append(TierRow(symbol, 1, Decimal(0), cap, rate, None, leverage))
    names = ("riskIncrVol", "riskIncrMmr", "riskIncrImr", "initialMarginRate", "riskLevelLimit")
    step, more_rate, more_initial, initial, levels = (exact(info.get(name)) for name in names)
    if not step or more_rate is None or more_initial is None or initial is None or levels is None:
        return Ladder(unit, tuple(rows))
    for number in range(2, int(levels) + 1):
        floor, rate, initial = rows[-1].cap, EXACT.add(rate, more_rate), EXACT.add(initial, more_initial)
        cap = EXACT.add(cap, step)
        rows.append(TierRow(symbol, number, floor, cap, rate, None, _LEVERAGE.divide(Decimal(1), initial)))
    return Ladder(unit, tuple(rows))


def _single_tier(symbol: str, info: Mapping[str, Json]) -> Ladder:
    """Return dYdX's one tier: its fractions hold for every size."""
    initial, rate = exact(info.get("initialMarginFraction")), exact(info.get("maintenanceMarginFraction"))
    if rate is None:
        return Ladder("notional", ())
    leverage = _LEVERAGE.divide(Decimal(1), initial) if initial else None
    return Ladder("notional", (TierRow(symbol, 1, Decimal(0), None, rate, None, leverage),))


def _hyperliquid_ladders(exchange: Json, markets: Mapping[str, Json]) -> dict[str, Ladder]:
    """Return Hyperliquid's tiers: its margin tables give a highest leverage by size, and the rate is 1/(2·leverage)."""
    meta = exchange.publicPostInfo({"type": "meta"})
    tables = {str(number): table.get("marginTiers", ()) for number, table in meta.get("marginTables", ())}
    assets = {asset["name"]: asset for asset in meta.get("universe", ())}
    found = {}
    for unified, market in markets.items():
        asset = assets.get(symbol_of(market))
        if asset is None:
            continue
        alone = [{"lowerBound": "0", "maxLeverage": asset.get("maxLeverage")}]
        levels = tables.get(str(asset.get("marginTableId"))) or alone
        edges = [exact(level.get("lowerBound")) for level in levels] + [None]
        rows = []
        for number, level in enumerate(levels):
            leverage = exact(level.get("maxLeverage"))
            rate = _RATE.divide(Decimal(1), EXACT.multiply(Decimal(2), leverage)) if leverage else None
            row = TierRow(symbol_of(market), number + 1, edges[number], edges[number + 1], rate, None, leverage)
            rows.append(row)
        found[unified] = Ladder("notional", tuple(rows))
    return found
