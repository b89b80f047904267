"""Write the tables of the packaged rulebooks from the recorded market data.

Run ``python scripts/import_tables.py``; the package has to be importable. It reads ``tiers.jsonl``,
``tiers_binance_history.jsonl``, ``specs.jsonl`` and ``haircuts.jsonl`` of the data pack
(``RINGFENCE_DATA``, else ``../shared/data``) and writes, for every venue and day, ``contracts.csv``,
``tiers.csv``, ``haircuts.csv``, ``open_interest_caps.csv``, ``market_orders.csv`` (each where there are rows) and
``SOURCES.toml`` under ``src/ringfence/rulebooks``. It never touches ``rules.toml``. The same data give
the same bytes. One module per venue in ``recorded_tables`` beside this file says what is taken from where.

What is not known stays empty. A folder's day is one on which its tables were true: where a source names
only a month or a year, a day inside it, and SOURCES.toml says so. Terms of a contract that were recorded
on another day are taken only where nothing contradicts them, and SOURCES.toml says that too.

Left out: rows of no symbol (Hyperliquid's margin tables and dYdX's liquidity tiers are in the rows of
their markets); MEXC's older BTC_USDT ladder and OKX's older BTC discount ladder, whose day is unknown;
OKX's ladder of an unnamed token "X"; Bybit's collateral sample of the test network.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from recorded_tables.binance import binance_coinm, binance_usdm
from recorded_tables.bingx import bingx
from recorded_tables.bitget import bitget
from recorded_tables.bybit import bybit
from recorded_tables.deribit import deribit
from recorded_tables.dydx import dydx
from recorded_tables.folder import Folder, write
from recorded_tables.gate import gate
from recorded_tables.hyperliquid import hyperliquid
from recorded_tables.kraken import kraken
from recorded_tables.kucoin import kucoin
from recorded_tables.mexc import mexc
from recorded_tables.okx import okx
from recorded_tables.pack import Pack, read_pack
from recorded_tables.weex import weex

REPOSITORY = Path(__file__).resolve().parents[1]

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
