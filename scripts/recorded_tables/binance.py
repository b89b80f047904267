"""Binance: USDⓈ-M of many days, COIN-M of two, the collateral ratios of multi-assets mode."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from recorded_tables.folder import Folder
from recorded_tables.pack import Pack, Row, number
from recorded_tables.rows import contract, firsts, haircut, published, tiers
from recorded_tables.sources import HIGH, MEDIUM, haircut_sources, named, spec_source, terms_source, tier_sources
from ringfence.numbers import ONE

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXPIRY = re.compile(r"^(?P<pair>\w+/\w+):(?P<asset>\w+)-(?P<expiry>\d{6})$")

# The Binance history has no settlement asset of its own for symbols written in the venue's form.
_QUOTES = ("USDT", "USDC", "BUSD", "BTC")


def binance_symbol(written: str) -> str:
    """Return the venue's symbol: RAY/USDT:USDT is RAYUSDT, BTC/USDT:USDT-261225 is BTCUSDT_261225."""
    expiring = _EXPIRY.match(written)
    if expiring:
        return expiring["pair"].replace("/", "") + "_" + expiring["expiry"]
    return written.partition(":")[0].replace("/", "")


def binance_asset(written: str) -> str:
    """Return the settlement asset: a USDⓈ-M contract is settled in its quote asset."""
    pair = written.partition(":")[0].partition("_")[0]
    if "/" in pair:
        return pair.partition("/")[2]
    return next(asset for asset in _QUOTES if pair.endswith(asset))


_BINANCE_STEPS = (
    "25 contracts have steps, minimum and liquidation fee; the recording is of March 2026 and nothing says that a "
    "step changed until the day of the tiers. Maker and taker fees are not in it (they depend on the account)."
)


def binance_usdm(pack: Pack) -> list[Folder]:
    """USDⓈ-M: the table of 2026-09-29, the ones of the crash days before it, and BTCUSDT's of 2021-03-18."""
    rows = [row for row in pack.tiers_of("binance") if str(row["product"]).startswith("usdm")]
    specs = pack.specs_of("binance", "usdm")
    symbols = {binance_symbol(symbol): row for symbol, row in firsts(rows).items()}
    now = Folder("binance-usdm", "2026-09-29", "complete", "Every USDⓈ-M contract of the day has its whole ladder.")
    now.contracts = [
        contract(symbol, size=ONE, asset=row["currency"], spec=specs.get(symbol)) for symbol, row in symbols.items()
    ]
    now.tiers = tiers(rows, published, lambda row: binance_symbol(str(row["symbol"])))
    now.sources = [
        *tier_sources(
            rows, HIGH, "Deductions as published; delivery contracts carry the venue's name, BTCUSDT_261225."
        ),
        terms_source("symbol, kind, contract_size, settle_asset", "USDⓈ-M quantities are base units: size 1."),
        spec_source(
            specs.values(),
            "steps, minimum, liquidation fee: " + named(specs),
            HIGH,
            _BINANCE_STEPS,
            "2026-03",
        ),
    ]
    _take_bounds(now, [row for symbol, row in specs.items() if symbol in symbols])
    return [now, *_binance_history(pack), _binance_btc_2021(pack), _binance_haircuts(pack)]


def _take_bounds(folder: Folder, specs: Sequence[Row]) -> None:
    """Add how far from the mark price a market order may go, as exchangeInfo has it (marketTakeBound)."""
    folder.market_orders = [
        {"symbol": str(row["symbol"]), "take_bound": number(row["market_take_bound"])}
        for row in specs
        if row.get("market_take_bound") is not None
    ]
    covers = f"marketTakeBound of {len(folder.market_orders)} contracts"
    source = spec_source(specs, covers, HIGH, "A fraction of the mark price.", "2026-03")
    folder.sources.append(replace(source, file="market_orders.csv"))


def _binance_history(pack: Pack) -> list[Folder]:
    folders = []
    for day in sorted({str(row["as_of"]) for row in pack.history}):
        rows = [row for row in pack.history if row["as_of"] == day]
        folder = Folder("binance-usdm", day, "complete", "Every symbol of the recording has its whole ladder.")
        folder.contracts = [
            contract(binance_symbol(written), size=ONE, asset=binance_asset(written)) for written in firsts(rows)
        ]
        folder.tiers = tiers(rows, published, lambda row: binance_symbol(str(row["symbol"])))
        note = "Deductions as published."
        if day == "2025-10-10":
            note += " The recording is of 2025-09-29; that nothing changed until the day of the crash is an assumption."
        folder.sources = [
            *tier_sources(rows, HIGH, note),
            terms_source(
                "symbol, kind, contract_size, settle_asset", "Steps, minimum and fees of that day: not known."
            ),
        ]
        folders.append(folder)
    return folders


def _binance_btc_2021(pack: Pack) -> Folder:
    rows = pack.tiers_of("binance_hist")
    folder = Folder("binance-usdm", "2021-03-18", "partial", "BTCUSDT only, its whole ladder.")
    folder.contracts = [contract("BTCUSDT", size=ONE, asset="USDT")]
    folder.tiers = tiers(rows, published)
    folder.sources = [
        *tier_sources(rows, HIGH, "Deductions computed from continuity; the announcement prints rates and caps."),
        terms_source("symbol, kind, contract_size, settle_asset", "Steps, minimum and fees of that day: not known."),
    ]
    return folder


def _binance_haircuts(pack: Pack) -> Folder:
    rows = [row for row in pack.haircuts if row["venue"] == "binance_multi_assets"]
    folder = Folder(
        "binance-usdm",
        "2021-05-28",
        "partial",
        "Collateral ratios of multi-assets mode only; no contracts, no tiers.",
    )
    # What the source gives as max_qty is a transfer limit of VIP 0, no bound of the ratio.
    folder.haircuts = [haircut(row, unit="base", cap=None) for row in rows]
    folder.sources = haircut_sources(
        rows,
        MEDIUM,
        "Historic; the present FAQ still says 5 % for BTC, ETH, BNB. The limits on transfers are left out.",
    )
    return folder


def binance_coinm(pack: Pack) -> list[Folder]:
    """COIN-M: BTCUSD_PERP's ladder of February 2021; terms without tiers of the others, March 2026."""
    rows = pack.tiers_of("binance", "coinm_perp")
    specs = pack.specs_of("binance", "coinm")
    steps = {"price_step": "0.1", "quantity_step": "1", "minimum_quantity": "1"}
    early = Folder("binance-coinm", "2021-02-05", "partial", "BTCUSD_PERP only, nine tiers counted in BTC.")
    early.contracts = [contract("BTCUSD_PERP", kind="inverse", size=100, asset="BTC", own=steps)]
    early.tiers = tiers(rows, published)
    early.sources = [
        *tier_sources(
            rows,
            MEDIUM,
            "Source names the month. Tiers 1 to 5 are fixed by the published deductions of 0.56 and 1.81 BTC; the "
            "rates of tiers 6 to 9 are inferred from the same leverage steps of USDⓈ-M, not printed.",
        ),
        spec_source(
            [specs["BTCUSD_PERP"]],
            "BTCUSD_PERP: size and steps",
            MEDIUM,
            "Recorded in March 2026; size and steps are those of the launch. The liquidation fee of 2026 (1.5 %) did "
            "not hold in 2021 and is left out.",
            "2026-03",
        ),
    ]
    others = [row for symbol, row in specs.items() if symbol != "BTCUSD_PERP"]
    late = Folder("binance-coinm", "2026-03-16", "partial", "Terms of 24 perpetuals; their tiers are not known.")
    late.contracts = [
        contract(
            str(row["symbol"]),
            kind="inverse",
            size=row["contract_size"],
            asset=row["margin_asset"],
            coverage="partial",
            spec=row,
        )
        for row in others
    ]
    late.sources = [
        spec_source(
            others,
            "all columns, 24 symbols",
            HIGH,
            "Source names no day; other replies of the same recording are of this one. BTCUSD_PERP stands in the "
            "folder that has its tiers.",
            "2026-03",
        )
    ]
    _take_bounds(late, others)
    return [early, late]


__all__ = ["binance_coinm", "binance_usdm"]
