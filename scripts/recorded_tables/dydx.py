"""dYdX v4: three markets as they were live, the rest as in the genesis state."""

from __future__ import annotations

from decimal import ROUND_DOWN

from recorded_tables.folder import Folder, Source
from recorded_tables.pack import Pack, decimal, number
from recorded_tables.rows import contract, published, tiers
from recorded_tables.sources import HIGH, LOW, named, terms_source, tier_sources
from ringfence.numbers import ONE, divide, plain


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


__all__ = ["dydx"]
