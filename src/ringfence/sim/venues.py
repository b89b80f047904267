"""The venues a simulated world can be: packaged rulebooks, with the terms they lack brought along.

What is brought along (steps, fees, tiers of BingX, WEEX and small coins) is marked ``brought``; it is for the simulator
and no statement about the venue. A start price is a plain round number near the market of late 2025.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from ringfence import rulebooks
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadInput
from ringfence.rulebook import Tier, TierTable, continuous_deductions

if TYPE_CHECKING:
    from ringfence.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol of a venue: where its price starts, and the steps and size brought along where the tables have none.

    ``expiry``: of a dated contract, within a world or long after it; ``on``: what it is on where its name does not say.
    """

    name: str
    start: str
    price_step: str
    quantity_step: str
    brought: str | None = None  # a contract size: terms and tiers are brought along whole
    inverse: bool = False
    expiry: datetime | None = None
    on: str | None = None


@dataclass(frozen=True, slots=True)
class Venue:
    """A rulebook with the symbols that are traded on it. ``other``: rulebooks it may go over to while it runs.

    ``asset``: what symbols brought along settle in.
    """

    rulebook: str
    asset: str
    symbols: tuple[Symbol, ...]
    other: tuple[tuple[str, str | None], ...] = ()


_OCTOBER = datetime(2025, 10, 9, 9, 20, tzinfo=UTC)  # about the middle of a world
_DECEMBER = datetime(2025, 12, 26, 8, tzinfo=UTC)
_BTC, _ETH, _SOL = ("110000", "0.1"), ("4000", "0.01"), ("190", "0.01")

VENUES = (
    Venue(
        "binance-usdm", "USDT",
        (Symbol("BTCUSDT", *_BTC, "0.001"), Symbol("BTCUSDC", *_BTC, "0.001"), Symbol("ETHUSDT", *_ETH, "0.001"),
         Symbol("DOGEUSDT", "0.2", "0.00001", "1"), Symbol("SOLUSDT", *_SOL, "0.01"),
         Symbol("BTCUSDT_OCT", *_BTC, "0.001", "1", expiry=_OCTOBER, on="BTC")),
        (("binance-usdm", "2025-10-10"), ("binance-usdm", "2024-08-05"), ("bybit-linear", None)),
    ),
    Venue(
        "bybit-linear", "USDT",
        (Symbol("BTCUSDT", *_BTC, "0.001"), Symbol("XRPUSDT", "2.5", "0.0001", "0.1"), Symbol("SOLUSDT", *_SOL, "0.1")),
        (("bybit-uta", None), ("binance-usdm", None)),
    ),
    Venue(
        "bybit-uta", "USDT",
        (Symbol("BTCUSDT", *_BTC, "0.001"),
         Symbol("BTC-DEC", "110500", "0.1", "0.001", "1", expiry=_DECEMBER, on="BTC"),
         Symbol("BTC-OCT", *_BTC, "0.001", "1", expiry=_OCTOBER, on="BTC"),
         Symbol("ETHUSDT", *_ETH, "0.01"), Symbol("SOLUSDT", *_SOL, "0.1")),
        (("bybit-linear", None),),
    ),
    Venue(
        "mexc-usdtm", "USDT",
        (Symbol("BTC_USDT", *_BTC, "1"), Symbol("ETH_USDT", *_ETH, "1"), Symbol("ETH_USDC", *_ETH, "1"),
         Symbol("DOGE_USDT", "0.2", "0.00001", "1")),
    ),
    Venue(
        "bingx-usdtm", "USDT",
        (Symbol("BTC-USDT", *_BTC, "0.0001", "1"), Symbol("ETH-USDT", *_ETH, "0.01", "1"),
         Symbol("ALT-USDT", "0.05", "0.00001", "1", "1")),
        (("bingx-usdtm", "2025-12-01"),),
    ),
    Venue(
        "okx-swap", "USDT",
        (Symbol("BTC-USDT-SWAP", *_BTC, "0.01"), Symbol("ETH-USDT-SWAP", *_ETH, "0.01"),
         Symbol("BTC-USDT-OCT", *_BTC, "0.1", "0.01", expiry=_OCTOBER, on="BTC"),
         Symbol("ALT-USDT-SWAP", "0.05", "0.00001", "1", "100")),
    ),
    Venue(
        "hyperliquid", "USDC",
        (Symbol("BTC", "110000", "1", "0.00001"), Symbol("ETH", "4000", "0.1", "0.0001"),
         Symbol("SOL", *_SOL, "0.01")),
    ),
    Venue(
        "weex-usdtm", "USDT",
        (Symbol("BTCUSDT", *_BTC, "1", "0.0001"), Symbol("ALTUSDT", "0.05", "0.00001", "1", "10")),
    ),
    Venue(
        "bitget-usdtm", "USDT",
        (Symbol("BTCUSDT", *_BTC, "0.0001"), Symbol("ETHUSDT", *_ETH, "0.01"), Symbol("SOLUSDT", *_SOL, "0.1")),
    ),
    Venue(
        "kucoin-futures", "USDT",
        (Symbol("XBTUSDTM", *_BTC, "1"), Symbol("ALTUSDTM", "0.05", "0.00001", "1", "10")),
    ),
    Venue(
        "binance-coinm", "BTC",
        (Symbol("BTCUSD_PERP", *_BTC, "1"),
         Symbol("BTCUSD_OCT", *_BTC, "1", "100", inverse=True, expiry=_OCTOBER, on="BTC"),
         Symbol("BTCUSD_ALT", *_BTC, "1", "100", inverse=True)),
    ),
)  # fmt: skip


# Tiers brought along: (floor in the settlement asset, maintenance rate, most leverage); 2.5 million is the end.
_TIERS = (("0", "0.004", "125"), ("25000", "0.005", "100"), ("100000", "0.01", "50"), ("400000", "0.025", "20"),
          ("1000000", "0.05", "10"))  # fmt: skip
_END = Decimal(2_500_000)
_COIN = Decimal(50_000)  # one coin of an inverse contract's tiers, in the floors above


def _tiers(symbol: Symbol, *, progressive: bool) -> TierTable:
    per_coin = _COIN if symbol.inverse else Decimal(1)
    floors = tuple((Decimal(floor) / per_coin, Decimal(rate)) for floor, rate, _ in _TIERS)
    deductions = continuous_deductions(floors) if progressive else tuple(Decimal(0) for _ in floors)
    ends = (*(floor for floor, _ in floors[1:]), _END / per_coin)
    return TierTable(
        tuple(
            Tier(floor, rate, deduction, Decimal(row[2]), end)
            for (floor, rate), deduction, end, row in zip(floors, deductions, ends, _TIERS, strict=True)
        )
    )


@lru_cache(maxsize=64)
def rules(venue: Venue, name: str | None = None, as_of: str | None = None) -> Rulebook:
    """Return a rulebook for ``venue``: its own or another one by name, with all that its symbols need."""
    from datetime import date

    book = rulebooks.load(name or venue.rulebook, None if as_of is None else date.fromisoformat(as_of))
    tables = {}
    for symbol in venue.symbols:
        if symbol.brought is not None:
            kind = ContractKind.INVERSE if symbol.inverse else ContractKind.LINEAR
            contract = Contract(
                symbol.name, kind, Decimal(symbol.brought), venue.asset, underlying=symbol.on, expiry=symbol.expiry
            )
            table: TierTable | None = _tiers(symbol, progressive=book.isolated.tier_type == "progressive")
        else:
            try:
                contract, table = book.entry(symbol.name)
            except BadInput:
                continue
        tables[symbol.name] = (_completed(contract, symbol), table)
    return book.with_tables(tables)


def _completed(contract: Contract, symbol: Symbol) -> Contract:
    """Return a contract with the steps and fee rates it lacks: every path through fees is to be walked."""
    return replace(
        contract,
        price_step=contract.price_step or Decimal(symbol.price_step),
        quantity_step=contract.quantity_step or Decimal(symbol.quantity_step),
        minimum_quantity=contract.minimum_quantity or Decimal(symbol.quantity_step),
        taker_fee_rate=contract.taker_fee_rate if contract.taker_fee_rate is not None else Decimal("0.0005"),
        maker_fee_rate=contract.maker_fee_rate if contract.maker_fee_rate is not None else Decimal("0.0002"),
        liquidation_fee_rate=contract.liquidation_fee_rate or (Decimal("0.006") if symbol.brought else None),
    )


__all__ = ["VENUES", "Symbol", "Venue", "rules"]
