"""Write the tables of the packaged rulebooks from the recorded market data.

Run ``python scripts/import_tables.py``; the package has to be importable. It reads ``tiers.jsonl``,
``tiers_binance_history.jsonl``, ``specs.jsonl`` and ``haircuts.jsonl`` of the data pack
(``RINGFENCE_DATA``, else ``../shared/data``) and writes, for every venue and day, ``contracts.csv``,
``tiers.csv``, ``haircuts.csv``, ``open_interest_caps.csv``, ``market_orders.csv`` (each where there are rows) and
``SOURCES.toml`` under ``src/ringfence/rulebooks``. It never touches ``rules.toml``. The same data give
the same bytes.

What is not known stays empty. A folder's day is one on which its tables were true: where a source names
only a month or a year, a day inside it, and SOURCES.toml says so. Terms of a contract that were recorded
on another day are taken only where nothing contradicts them, and SOURCES.toml says that too.

Left out: rows of no symbol (Hyperliquid's margin tables and dYdX's liquidity tiers are in the rows of
their markets); MEXC's older BTC_USDT ladder and OKX's older BTC discount ladder, whose day is unknown;
OKX's ladder of an unnamed token "X"; Bybit's collateral sample of the test network.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

from ringfence.numbers import ONE, ROUND_HALF_EVEN, ZERO, divide, plain

Row = Mapping[str, object]
Cells = dict[str, str]

REPOSITORY = Path(__file__).resolve().parents[1]

CONTRACT_COLUMNS = (
    "symbol",
    "kind",
    "contract_size",
    "settle_asset",
    "price_step",
    "quantity_step",
    "minimum_quantity",
    "minimum_notional",
    "maker_fee_rate",
    "taker_fee_rate",
    "liquidation_fee_rate",
    "tier_unit",
    "coverage",
)
TIER_COLUMNS = ("symbol", "tier", "floor", "cap", "maintenance_rate", "deduction", "max_leverage")
HAIRCUT_COLUMNS = ("asset", "tier", "floor", "cap", "collateral_ratio", "unit")
CAP_COLUMNS = ("symbol", "lower_cap", "upper_cap")
MARKET_ORDER_COLUMNS = ("symbol", "take_bound")

SPEC_FIELDS = {
    "price_step": "tick_size",
    "quantity_step": "step_size",
    "minimum_quantity": "min_qty",
    "minimum_notional": "min_notional",
    "maker_fee_rate": "maker_fee",
    "taker_fee_rate": "taker_fee",
    "liquidation_fee_rate": "liquidation_fee",
}

HIGH, MEDIUM, LOW = "high", "medium", "low"


@dataclass(frozen=True)
class Source:
    """Where figures were read: one ``[[source]]`` of SOURCES.toml."""

    file: str
    covers: str
    origin: str
    as_of: str
    confidence: str
    note: str = ""


@dataclass
class Folder:
    """The tables of one venue that were true on one day."""

    venue: str
    day: str
    coverage: str
    sentence: str
    contracts: list[Cells] = field(default_factory=list)
    tiers: list[Cells] = field(default_factory=list)
    haircuts: list[Cells] = field(default_factory=list)
    caps: list[Cells] = field(default_factory=list)
    market_orders: list[Cells] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Pack:
    """The rows of the data pack, numbers as Decimal."""

    tiers: list[Row]
    history: list[Row]
    specs: list[Row]
    haircuts: list[Row]

    def tiers_of(self, venue: str, product: str | None = None, as_of: str | None = None) -> list[Row]:
        """Return the tier rows of a venue, of one product and recording day where they are given."""
        return [
            row
            for row in self.tiers
            if row["venue"] == venue and product in (None, row["product"]) and as_of in (None, row["as_of"])
        ]

    def specs_of(self, venue: str, product: str | None = None) -> dict[str, Row]:
        """Return the contract terms of a venue by symbol."""
        return {
            str(row["symbol"]): row for row in self.specs if row["venue"] == venue and product in (None, row["product"])
        }


def read_pack(directory: Path) -> Pack:
    """Read the four files of the data pack."""

    def rows(name: str) -> list[Row]:
        with (directory / name).open(encoding="utf-8") as lines:
            return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in lines]

    return Pack(
        tiers=rows("tiers.jsonl"),
        history=rows("tiers_binance_history.jsonl"),
        specs=rows("specs.jsonl"),
        haircuts=rows("haircuts.jsonl"),
    )


def number(value: object) -> str:
    """Return a number of the pack (Decimal or text) as plain decimal text; None as an empty cell."""
    return "" if value is None else plain(Decimal(str(value)))


def decimal(value: object) -> Decimal:
    """Return a number of the pack that has to be there."""
    if value is None:
        raise ValueError("a number is missing where the table cannot do without it")
    return Decimal(str(value))


# ── Rows ────────────────────────────────────────────────────────────────────────────────────────────────────


def contract(
    symbol: str,
    *,
    size: object,
    asset: object,
    kind: str = "linear",
    unit: str = "notional",
    coverage: str = "complete",
    spec: Row | None = None,
    own: Cells | None = None,
) -> Cells:
    """Return a row of contracts.csv; steps and fees are those of ``spec``, where ``own`` has none."""
    cells: Cells = dict.fromkeys(CONTRACT_COLUMNS, "")
    if spec is not None:
        cells |= {column: number(spec.get(name)) for column, name in SPEC_FIELDS.items()}
    return (
        cells
        | {
            "symbol": symbol,
            "kind": kind,
            "contract_size": number(size),
            "settle_asset": str(asset),
            "tier_unit": unit,
            "coverage": coverage,
        }
        | (own or {})
    )


def published(row: Row) -> str:
    """Return the deduction as the pack has it."""
    return number(row["maint_amount"])


def none_published(_: Row) -> str:
    """Return the empty cell of a venue whose tiers have no deduction."""
    return ""


def tiers(
    rows: Iterable[Row],
    deduction: Callable[[Row], str],
    symbol: Callable[[Row], str] = lambda row: str(row["symbol"]),
) -> list[Cells]:
    """Return rows of tiers.csv."""
    return [
        {
            "symbol": symbol(row),
            "tier": number(row["tier"]),
            "floor": number(row["min_notional"]),
            "cap": number(row["max_notional"]),
            "maintenance_rate": number(row["mmr"]),
            "deduction": deduction(row),
            "max_leverage": number(row["max_leverage"]),
        }
        for row in rows
    ]


def firsts(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the first row of each symbol."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(str(row["symbol"]), row)
    return found


def named(symbols: Iterable[str]) -> str:
    """Name up to eight symbols, or say how many there are."""
    distinct = sorted(set(symbols))
    return ", ".join(distinct) if len(distinct) <= 8 else f"{len(distinct)} symbols"


def tier_sources(rows: Sequence[Row], confidence: str, note: str = "") -> list[Source]:
    """Return one source for each origin and recording day among tier rows."""
    origins: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        origins.setdefault((str(row["source"]), str(row["as_of"])), []).append(str(row["symbol"]))
    return [
        Source("tiers.csv", named(symbols), origin, as_of, confidence, note)
        for (origin, as_of), symbols in origins.items()
    ]


def terms_source(covers: str, note: str) -> Source:
    """Return the source of terms that follow from the tier table itself: symbols, kind, settlement asset."""
    return Source("contracts.csv", covers, "the recording named for tiers.csv", "as there", HIGH, note)


def spec_source(specs: Iterable[Row], covers: str, confidence: str, note: str, as_of: str = "not stated") -> Source:
    """Return the source of recorded contract terms, which all stem from one recording."""
    rows = list(specs)
    (origin,) = {str(row["source"]) for row in rows}
    return Source("contracts.csv", covers, origin, str(rows[0].get("as_of", as_of)), confidence, note)


# ── Binance ─────────────────────────────────────────────────────────────────────────────────────────────────

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


# ── Bybit ───────────────────────────────────────────────────────────────────────────────────────────────────


def bybit(pack: Pack) -> list[Folder]:
    """Linear risk limits of two days, the inverse sample, and the unified account's example ladder."""
    terms = terms_source(
        "symbol, kind, contract_size, settle_asset",
        "Linear quantities are base units: size 1. Steps and fees are empty: the one recording of terms there is "
        "(BTCUSDT, ETHUSDT) names no day, and nothing shows that its price steps (0.5 and 0.05) still held.",
    )
    folders = []
    for day, sentence in (
        ("2024-12-25", "300 linear contracts, whole ladders; some, like SOLUSDT and SUIUSDT, are missing."),
        ("2025-12-29", "SOLUSDT, XRPUSDT and XTZUSDT only, whole ladders."),
    ):
        rows = [row for row in pack.tiers_of("bybit", as_of=day) if str(row["product"]).startswith("linear")]
        folder = Folder("bybit-linear", day, "partial", sentence)
        folder.contracts = [contract(symbol, size=ONE, asset=row["currency"]) for symbol, row in firsts(rows).items()]
        folder.tiers = tiers(rows, published)
        folder.sources = [
            *tier_sources(rows, HIGH, "Deductions as published, continuous without exception."),
            terms,
        ]
        folders.append(folder)
    return [*folders, _bybit_inverse(pack), _bybit_haircuts(pack)]


def _bybit_inverse(pack: Pack) -> Folder:
    rows = pack.tiers_of("bybit", "inverse_perp")
    specs = pack.specs_of("bybit", "inverse")
    folder = Folder("bybit-inverse", "2026-07-24", "partial", "BTCUSD's first tier, as the documentation samples it.")
    folder.contracts = [
        contract("BTCUSD", kind="inverse", size=ONE, asset="BTC", coverage="partial", spec=specs["BTCUSD"])
    ]
    folder.tiers = tiers(rows, published)
    folder.sources = [
        *tier_sources(rows, LOW, "A documentation sample: the form of a table more than a table."),
        spec_source(
            specs.values(),
            "BTCUSD: size and steps",
            LOW,
            "Recording without a day; the help centre also says 0.5.",
        ),
    ]
    return folder


def _bybit_haircuts(pack: Pack) -> Folder:
    rows = [row for row in pack.haircuts if row["venue"] == "bybit_uta"]
    folder = Folder(
        "bybit-uta",
        "2025-09-18",
        "partial",
        "Collateral ratios of Bybit's worked example, not the live list.",
    )
    folder.haircuts = [haircut(row, unit="base", cap=row["max_qty"]) for row in rows]
    folder.sources = haircut_sources(
        rows,
        LOW,
        "Bybit prints these BTC tiers to explain the calculation. Positive balances only; a debt counts in full.",
    )
    return folder


# ── Step-tier venues ────────────────────────────────────────────────────────────────────────────────────────


def mexc(pack: Pack) -> list[Folder]:
    """All contracts of 2025-08-03, USDT and USDC in one folder, coin-margined ones in their own."""
    folders = []
    for venue, products in (("mexc-usdtm", ("usdt_perp", "usdc_perp")), ("mexc-coinm", ("coinm_perp",))):
        rows = [row for row in pack.tiers_of("mexc") if row["product"] in products]
        specs = pack.specs_of("mexc")
        kind = "inverse" if venue == "mexc-coinm" else "linear"
        highest = {str(row["symbol"]): decimal(row["max_notional"]) for row in rows}
        folder = Folder(venue, "2025-08-03", "complete", "Every contract of the day.")
        if kind == "inverse":
            folder.coverage = "partial"
            folder.sentence = "All ten contracts of the day; BTC_USD's ladder goes on above the one tier that is known."
        folder.contracts = [
            contract(
                symbol,
                kind=kind,
                size=row["contract_size"],
                asset=row["currency"],
                unit="contracts",
                spec=specs[symbol],
                coverage="partial" if decimal(specs[symbol]["max_qty"]) > highest[symbol] else "complete",
            )
            for symbol, row in firsts(rows).items()
        ]
        folder.tiers = tiers(rows, none_published)
        note = "Caps in contracts; MEXC raises them often, the rates stay. No deduction is published."
        folder.sources = [
            *tier_sources(rows, HIGH, note),
            spec_source(
                (specs[symbol] for symbol in firsts(rows)),
                "all columns",
                HIGH,
                "A liquidation fee of 0 is recorded, not unknown. A ladder is partial where one order may exceed its "
                "last cap.",
            ),
        ]
        folders.append(folder)
    return folders


# Sizes that the tier recordings leave out; read elsewhere, named in SOURCES.toml.
_OKX_SIZES = {"BIGTIME-USDT-SWAP": "10"}


def okx(pack: Pack) -> list[Folder]:
    """Position tiers of four days, in contracts, and the discount rates of five."""
    specs = pack.specs_of("okx")
    folders = [_okx_tiers(pack, specs, day) for day in ("2023-04-24", "2023-05-19", "2025-07-23", "2026-05-28")]
    for day in ("2024-07-18", "2025-06-06", "2025-07-16", "2025-10-13", "2025-2026"):
        rows = [row for row in pack.haircuts if row["venue"] == "okx" and row["as_of"] == day]
        folder = Folder("okx-swap", day, "partial", f"Discount rates of {named(str(row['asset']) for row in rows)}.")
        folder.haircuts = [
            haircut(row, unit="usd" if row["unit"] == "USD" else "base", cap=row["max_qty"]) for row in rows
        ]
        folder.sources = haircut_sources(rows, HIGH, "")
        if day == "2025-2026":
            folder.day = "2026-01-01"
            folder.sources = haircut_sources(rows, LOW, "A documentation sample, its later tiers cut off.")
        elif any(row["min_qty"] is None for row in rows):
            folder.sources = _okx_rates_without_caps(rows)
        folders.append(folder)
    return folders


def _okx_rates_without_caps(rows: Sequence[Row]) -> list[Source]:
    """Name the assets by the step of their further tiers, which the source gives in words."""
    steps: dict[str, list[str]] = {}
    for row in rows:
        steps.setdefault(str(row["note"]).partition(";")[0], []).append(str(row["asset"]))
    words = "; ".join(f"{', '.join(sorted(set(assets)))}: {step}" for step, assets in sorted(steps.items()))
    return haircut_sources(rows, HIGH, f"Rates of tiers 1 to 3; where a tier ends is not published. {words}.")


def _okx_tiers(pack: Pack, specs: Mapping[str, Row], day: str) -> Folder:
    rows = pack.tiers_of("okx", as_of=day)
    early = day < "2025"
    folder = Folder("okx-swap", day, "partial", f"{named(str(row['symbol']) for row in rows)}: ")
    folder.sentence += "the first three tiers." if early else "whole ladders."
    for symbol, row in firsts(rows).items():
        size = row.get("contract_size", _OKX_SIZES.get(symbol))
        coverage = "partial" if early else "complete"
        folder.contracts.append(
            contract(symbol, size=size, asset="USDT", unit="contracts", coverage=coverage, spec=specs.get(symbol))
        )
    folder.tiers = tiers(rows, none_published)
    if early:
        steps = sorted({f"{row['symbol']}: {row['note']}" for row in rows})
        folder.sources = tier_sources(rows, HIGH, "As announced; further tiers in words. " + "; ".join(steps))
    else:
        folder.sources = tier_sources(
            rows,
            HIGH,
            "Transcribed tier by tier up to BTC 18, ETH 7, 1INCH 44, BIGTIME 33, 0G 45; above, expanded by the "
            "table's own rule (equal steps of contracts, +0.5 % per tier, up to an initial rate of 50 %).",
        )
    folder.sources.append(
        terms_source("symbol, kind, settle_asset", "Where the contract size is empty it is not known.")
    )
    if day == "2025-07-23":
        symbol = "BTC-USD-SWAP"
        folder.contracts.append(
            contract(
                symbol,
                kind="inverse",
                size=specs[symbol]["contract_size"],
                asset="BTC",
                unit="contracts",
                coverage="partial",
                spec=specs[symbol],
            )
        )
        folder.sources += [
            spec_source(specs.values(), "sizes and steps: " + named(specs), MEDIUM, "BTC-USD-SWAP has no tiers here."),
            Source(
                "contracts.csv",
                "BIGTIME-USDT-SWAP: contract_size",
                "ccxt/ccxt issue 28121 (recorded position)",
                "2026-03-10",
                HIGH,
            ),
        ]
    return folder


def bitget(pack: Pack) -> list[Folder]:
    """One folder for each announcement."""
    folders = []
    for venue, product in (("bitget-usdtm", "usdt_perp"), ("bitget-coinm", "coinm_perp")):
        for day in sorted({str(row["as_of"]) for row in pack.tiers_of("bitget", product)}):
            rows = pack.tiers_of("bitget", product, day)
            symbols = firsts(rows)
            folder = Folder(venue, day, "partial", f"{named(symbols)} only, whole ladders.")
            inverse = product == "coinm_perp"
            folder.contracts = [
                contract(
                    symbol,
                    kind="inverse" if inverse else "linear",
                    size=ONE,
                    asset=row["currency"],
                    unit="contracts" if inverse else "notional",
                )
                for symbol, row in symbols.items()
            ]
            folder.tiers = tiers(rows, none_published)
            folder.sources = [
                *tier_sources(rows, HIGH, "As announced. No deduction is printed."),
                terms_source(
                    "symbol, kind, contract_size, settle_asset",
                    "The venue gives position values in USD; so quantities are counted in contracts of 1 USD here."
                    if inverse
                    else "Quantities are base units: size 1. Steps and fees: not known.",
                ),
            ]
            folders.append(folder)
    return folders


def weex(pack: Pack) -> list[Folder]:
    """Three ladders of two days; terms of three other contracts."""
    specs = pack.specs_of("weex")
    folders = []
    for day, unit in (("2023-09-15", "contracts"), ("2026-03-04", "notional")):
        rows = pack.tiers_of("weex", as_of=day)
        symbols = firsts(rows)
        folder = Folder("weex-usdtm", day, "partial", f"Whole ladders of {named(symbols)} only.")
        folder.contracts = [contract(symbol, size=None, asset="USDT", unit=unit) for symbol in symbols]
        folder.tiers = tiers(rows, none_published)
        folder.sources = [
            *tier_sources(rows, HIGH, "As announced. No deduction is printed."),
            terms_source("symbol, kind, settle_asset: " + named(symbols), "Contract size, steps and fees: not known."),
        ]
        folders.append(folder)
    late = folders[-1]
    late.sentence += f" Terms of {named(specs)}, whose tiers are not known."
    late.contracts += [
        contract(
            symbol,
            size=row["contract_size"],
            asset="USDT",
            coverage="partial",
            spec=row,
            own={
                "quantity_step": in_contracts(row, "step_size"),
                "minimum_quantity": in_contracts(row, "min_qty"),
            },
        )
        for symbol, row in specs.items()
    ]
    late.sources.append(
        spec_source(
            specs.values(),
            "all columns: " + named(specs),
            HIGH,
            "Source names the year 2026. Recorded in base units; steps and minimum are counted in contracts here.",
            "2026",
        )
    )
    return folders


def in_contracts(spec: Row, name: str) -> str:
    """Return in contracts a quantity that the venue counts in base or quote units; no rest is allowed."""
    contracts = decimal(spec[name]) / decimal(spec["contract_size"])
    if contracts * decimal(spec["contract_size"]) != decimal(spec[name]):
        raise ValueError(f"{spec['symbol']}: {name} is no whole number of contracts")
    return plain(contracts)


def kucoin(pack: Pack) -> list[Folder]:
    """XBTUSDTM as the documentation shows it."""
    rows = pack.tiers_of("kucoin")
    folder = Folder("kucoin-futures", "2024-10-01", "partial", "XBTUSDTM only, its whole ladder.")
    folder.contracts = [contract("XBTUSDTM", size="0.001", asset="USDT")]
    folder.tiers = tiers(rows, none_published)
    folder.sources = [
        *tier_sources(
            rows,
            MEDIUM,
            "A documentation sample, but complete; it names the month. Highest leverage as printed: at tiers 3, 5 "
            "and 10 it is not the reciprocal of the printed initial rate.",
        ),
        Source(
            "contracts.csv",
            "XBTUSDTM: contract_size",
            "KuCoin help centre 4408061803033",
            "not stated",
            HIGH,
            "Steps and fees: not known.",
        ),
    ]
    return [folder]


def kraken(pack: Pack) -> list[Folder]:
    """Four margin schedules of one recording."""
    rows = pack.tiers_of("kraken")
    specs = pack.specs_of("kraken")
    folder = Folder(
        "kraken-futures",
        "2024-01-01",
        "partial",
        "Whole schedules of PF_XBTUSD, PF_ETHUSD, PF_LTCUSD, PI_XBTUSD.",
    )
    for symbol, row in firsts(rows).items():
        inverse = row["product"] == "inverse_perp"
        folder.contracts.append(
            contract(
                symbol,
                kind="inverse" if inverse else "linear",
                size=ONE,
                asset=row["currency"],
                unit="contracts" if inverse else "notional",
                spec=specs[symbol],
            )
        )
    folder.tiers = [
        cells
        | {"max_leverage": plain(divide(ONE, decimal(row["initial_margin_rate"]), places=12, rounding=ROUND_DOWN))}
        for cells, row in zip(tiers(rows, none_published), rows, strict=True)
    ]
    folder.sources = [
        *tier_sources(
            rows,
            HIGH,
            "Recorded in 2023 or 2024. The venue publishes the initial rate, twice the maintenance rate; highest "
            "leverage is its reciprocal, rounded down at the twelfth decimal place. PI_XBTUSD counts contracts of 1 "
            "USD.",
        ),
        spec_source(specs.values(), "all columns", HIGH, "Minimum and fees: not known.", "2023-2024"),
    ]
    return [folder]


# ── Progressive venues with few tables ──────────────────────────────────────────────────────────────────────


def bingx(pack: Pack) -> list[Folder]:
    """Notional and leverage tiers; maintenance rates are not in the source and are not made up."""
    rows = pack.tiers_of("bingx")
    folder = Folder(
        "bingx-usdtm",
        "2025-12-01",
        "partial",
        "15 contracts: caps and highest leverage, no maintenance rates.",
    )
    folder.contracts = [contract(symbol, size=ONE, asset="USDT") for symbol in firsts(rows)]
    folder.tiers = tiers(rows, none_published)
    folder.sources = [
        *tier_sources(
            rows,
            HIGH,
            "Source names the month. Maintenance rate and deduction are not published in it. The ladders of BTC, ETH "
            "and ADA are Binance's; whether the rates are too is not known.",
        ),
        terms_source("symbol, kind, contract_size, settle_asset", "Quantities are base units: size 1."),
    ]
    return [folder]


def gate(pack: Pack) -> list[Folder]:
    """BTC_USDT: five tiers of 2025-07-04 and the first one of a later table."""
    spec = pack.specs_of("gate")["BTC_USDT"]
    terms = (
        "Recording without a day. Size, price step and taker fee were the same on 2023-06-18 (ccxt/ccxt pull 15622)."
    )
    folders = []
    for venue, day, sentence, note in (
        (
            "gate",
            "2025-07-04",
            "BTC_USDT only, the first five tiers.",
            "Deductions as published, continuous.",
        ),
        (
            "gate_later",
            "2026-01-01",
            "BTC_USDT only, the first tier.",
            "Source names 2025 to 2026; a day inside.",
        ),
    ):
        rows = pack.tiers_of(venue)
        folder = Folder("gate-usdtm", day, "partial", sentence)
        folder.contracts = [
            contract(
                "BTC_USDT",
                size=spec["contract_size"],
                asset="USDT",
                coverage="partial",
                spec=spec,
            )
        ]
        folder.tiers = tiers(rows, published)
        folder.sources = [
            *tier_sources(rows, HIGH if venue == "gate" else MEDIUM, note),
            spec_source([spec], "all columns", MEDIUM, terms),
        ]
        folders.append(folder)
    return folders


def hyperliquid(pack: Pack) -> list[Folder]:
    """Perpetuals with their margin table spelled out; the rate is half the initial rate at full leverage."""
    rows = pack.tiers_of("hyperliquid", "perp")
    specs = pack.specs_of("hyperliquid")
    symbols = firsts(rows)
    folder = Folder("hyperliquid", "2026-01-01", "partial", f"{len(symbols)} coins whose margin table is known.")
    for symbol in symbols:
        spec = specs.get(symbol)
        known = (
            {}
            if spec is None
            else {
                "quantity_step": plain(ONE.scaleb(-int(decimal(spec["sz_decimals"])))),
                "minimum_notional": number(spec["min_notional"]),
            }
        )
        folder.contracts.append(contract(symbol, size=ONE, asset="USDC", own=known))
    folder.tiers = _half_of_initial(rows)
    used = [specs[symbol] for symbol in symbols if symbol in specs]
    folder.sources = [
        *tier_sources(
            rows,
            HIGH,
            "maintenance_rate = 1 ÷ (2 · max_leverage), the venue's rule, to 18 decimal places; deductions follow "
            "from continuity. Recorded in December 2025 or January 2026.",
        ),
        spec_source(
            used,
            "quantity_step: " + named(str(row["symbol"]) for row in used),
            MEDIUM,
            "Recorded in 2023; of it only the decimals of a size are taken. minimum_notional: general knowledge. The "
            "price step has five significant figures, no fixed size.",
            "2023",
        ),
    ]
    return [folder]


def _half_of_initial(rows: Sequence[Row]) -> list[Cells]:
    """Return tiers at half the reciprocal of the highest leverage, with the deductions that continue it."""
    cells = tiers(rows, none_published)
    rate, deduction = ZERO, ZERO
    for cell in cells:
        before = rate
        rate = divide(ONE, 2 * Decimal(cell["max_leverage"]), places=18, rounding=ROUND_HALF_EVEN)
        deduction = ZERO if cell["tier"] == "1" else deduction + Decimal(cell["floor"]) * (rate - before)
        cell |= {"maintenance_rate": plain(rate), "deduction": plain(deduction)}
    return cells


# ── dYdX, Deribit ───────────────────────────────────────────────────────────────────────────────────────────


def dydx(pack: Pack) -> list[Folder]:
    """Three markets as they were live, the rest as in the genesis state; caps of open interest with both."""
    specs = pack.specs_of("dydx_v4")
    live = Folder("dydx-v4", "2025-12-08", "partial", "BTC-USD, ETH-USD and SOL-USD as they were live.")
    for symbol, row in specs.items():
        live.contracts.append(contract(symbol, size=ONE, asset="USDC", spec=row))
        leverage = divide(ONE, decimal(row["initial_margin_fraction"]), places=12, rounding=ROUND_DOWN)
        live.tiers.append(
            {
                "symbol": symbol,
                "tier": "1",
                "floor": "0",
                "cap": "",
                "deduction": "0",
                "maintenance_rate": number(row["maintenance_margin_fraction"]),
                "max_leverage": plain(leverage),
            }
        )
        live.caps.append(
            {
                "symbol": symbol,
                "lower_cap": number(row["open_interest_lower_cap"]),
                "upper_cap": number(row["open_interest_upper_cap"]),
            }
        )
    (origin,) = {str(row["source"]) for row in specs.values()}
    note = "max_leverage = 1 ÷ initial margin fraction. Caps in USDC; both 0: the fraction does not scale."
    live.sources = [
        Source(file, named(specs), origin, "2025-12-08", HIGH, note)
        for file in ("contracts.csv", "tiers.csv", "open_interest_caps.csv")
    ]
    return [live, _dydx_genesis(pack, known=set(specs))]


def _dydx_genesis(pack: Pack, known: set[str]) -> Folder:
    rows = [row for row in pack.tiers_of("dydx_v4", "perp") if str(row["symbol"]) not in known]
    caps: dict[tuple[object, object], set[tuple[str, str]]] = {}
    for row in pack.tiers_of("dydx_v4", "liquidity_tier"):
        both = (number(row["oi_lower_cap_usdc"]), number(row["oi_upper_cap_usdc"]))
        caps.setdefault((row["mmr"], row["max_leverage"]), set()).add(both)
    folder = Folder(
        "dydx-v4",
        "2026-03-04",
        "partial",
        f"{len(rows)} markets as in the genesis state, not as governed since.",
    )
    folder.contracts = [contract(str(row["symbol"]), size=ONE, asset="USDC") for row in rows]
    folder.tiers = tiers(rows, published)
    for row in rows:
        candidates = caps[row["mmr"], row["max_leverage"]]
        lower, upper = next(iter(candidates)) if len(candidates) == 1 else ("", "")
        folder.caps.append({"symbol": str(row["symbol"]), "lower_cap": lower, "upper_cap": upper})
    tier_origin = str(pack.tiers_of("dydx_v4", "liquidity_tier")[0]["source"])
    folder.sources = [
        *tier_sources(
            rows,
            LOW,
            "Genesis state of the test chain. BTC-USD, ETH-USD, SOL-USD: see the live values before it.",
        ),
        terms_source("symbol, kind, settle_asset", "Steps: not known."),
        Source(
            "open_interest_caps.csv",
            named(str(row["symbol"]) for row in rows),
            tier_origin,
            "2026-03-04",
            LOW,
            "Caps of the liquidity tier with the market's fractions, in USDC; EIGEN-USD and BOME-USD fit two tiers: "
            "empty.",
        ),
    ]
    return folder


def deribit(pack: Pack) -> list[Folder]:
    """Terms of BTC-PERPETUAL; margin there is linear in size, so there are no tiers."""
    spec = pack.specs_of("deribit")["BTC-PERPETUAL"]
    folder = Folder("deribit", "2025-12-09", "partial", "Terms of BTC-PERPETUAL; the venue's margin has no tiers.")
    folder.contracts = [
        contract(
            "BTC-PERPETUAL",
            kind="inverse",
            size=spec["contract_size"],
            asset="BTC",
            coverage="partial",
            spec=spec,
            own={
                "quantity_step": in_contracts(spec, "step_size"),
                "minimum_quantity": in_contracts(spec, "min_qty"),
                "liquidation_fee_rate": number(spec["max_liquidation_commission"]),
            },
        )
    ]
    folder.sources = [
        spec_source(
            [spec],
            "all columns",
            MEDIUM,
            "Test network. Recorded in USD; steps and minimum are counted in contracts of 10 USD here. "
            "liquidation_fee_rate is the largest liquidation commission.",
            "2025-12-09",
        )
    ]
    return [folder]


# ── Haircuts ────────────────────────────────────────────────────────────────────────────────────────────────


def haircut(row: Row, *, unit: str, cap: object) -> Cells:
    """Return a row of haircuts.csv. A first tier begins at 0 by definition; another floor may be unknown."""
    floor = ZERO if row["tier"] == ONE else row["min_qty"]
    return {
        "asset": str(row["asset"]),
        "tier": number(row["tier"]),
        "floor": number(floor),
        "cap": number(cap),
        "collateral_ratio": number(row["collateral_ratio"]),
        "unit": unit,
    }


def haircut_sources(rows: Sequence[Row], confidence: str, note: str) -> list[Source]:
    """Return one source for each origin among haircut rows."""
    origins: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        origins.setdefault((str(row["source"]), str(row["as_of"])), []).append(str(row["asset"]))
    return [
        Source("haircuts.csv", named(assets), origin, as_of, confidence, note)
        for (origin, as_of), assets in origins.items()
    ]


# ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────

VENUES = (
    binance_usdm,
    binance_coinm,
    bybit,
    mexc,
    okx,
    bitget,
    weex,
    kucoin,
    kraken,
    bingx,
    gate,
    hyperliquid,
    dydx,
    deribit,
)


def folders(pack: Pack) -> list[Folder]:
    """Return the tables of every venue and day."""
    return [folder for venue in VENUES for folder in venue(pack)]


def csv_text(columns: Sequence[str], rows: Iterable[Cells]) -> str:
    """Return a CSV file with one line feed per line, sorted by symbol (or asset) and tier."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: (row[columns[0]], int(row.get("tier", "0")))))
    return text.getvalue()


def toml_text(folder: Folder) -> str:
    """Return SOURCES.toml: what the tables cover and where each figure was read."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML basic string

    lines = [
        "# Written by scripts/import_tables.py. Where the figures of this folder's tables were read.",
        "",
        "[tables]",
        f"coverage = {quoted(folder.coverage)}",
        f"sentence = {quoted(folder.sentence)}",
    ]
    for source in folder.sources:
        lines += ["", "[[source]]"]
        for name in ("file", "covers", "origin", "as_of", "confidence", "note"):
            value = getattr(source, name)
            if value:
                lines.append(f"{name} = {quoted(value)}")
    return "\n".join(lines) + "\n"


def write(folder: Folder, into: Path) -> None:
    """Write the tables of one folder that have rows, and where they were read."""
    directory = into / folder.venue / folder.day
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "contracts.csv": (CONTRACT_COLUMNS, folder.contracts),
        "tiers.csv": (TIER_COLUMNS, folder.tiers),
        "haircuts.csv": (HAIRCUT_COLUMNS, folder.haircuts),
        "open_interest_caps.csv": (CAP_COLUMNS, folder.caps),
        "market_orders.csv": (MARKET_ORDER_COLUMNS, folder.market_orders),
    }
    for name, (columns, rows) in files.items():
        if rows:
            (directory / name).write_text(csv_text(columns, rows), encoding="utf-8", newline="\n")
    (directory / "SOURCES.toml").write_text(toml_text(folder), encoding="utf-8", newline="\n")


def main() -> None:
    """Read the data pack and write every folder."""
    arguments = argparse.ArgumentParser(description="Write the packaged rulebooks' tables from the recorded data.")
    arguments.add_argument("--into", type=Path, default=REPOSITORY / "src" / "ringfence" / "rulebooks")
    into: Path = arguments.parse_args().into
    data = Path(os.environ.get("RINGFENCE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (data / "tiers.jsonl").is_file():
        raise SystemExit(f"no tiers.jsonl in {data}; set RINGFENCE_DATA to the directory that has it")
    for folder in folders(read_pack(data)):
        write(folder, into)


if __name__ == "__main__":
    main()
