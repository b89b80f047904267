"""Results of a fleet as JSON and as Parquet: decimals as strings, a stress to the digits it carries."""

from __future__ import annotations

import os
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.errors import BadConfiguration
from ringfence.fleet import unknown
from ringfence.fleet.schema import PLACES, amount_type, pyarrow
from ringfence.numbers import ONE, ROUND_HALF_EVEN, plain, round_to
from ringfence.tape.bars import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.screening import Screening
    from ringfence.fleet.stress import Stress
    from ringfence.fleet.watched import Watched

SCREEN_SCHEMA, STRESS_SCHEMA = "ringfence.fleet.screen/1", "ringfence.fleet.stress/1"
WATCH_SCHEMA = "ringfence.fleet.watch/1"
_STATES = ("healthy", "margin_call", "liquidatable", "not_known")


def sum_text(value: float) -> str:
    """Return a sum of floats to twelve significant digits and no more than eight decimals, as plain decimal text."""
    return plain(round_to(Decimal(f"{value:.12g}"), ONE.scaleb(-8), rounding=ROUND_HALF_EVEN))


def screen_json(fleet: Fleet, found: Screening) -> dict[str, Any]:
    """Return what ``ringfence fleet screen --json`` prints."""
    return {
        "schema": SCREEN_SCHEMA,
        "fleet": fleet.where,
        "rulebook": fleet.terms.rulebook_name,
        "as_of": fleet.terms.as_of.isoformat() if fleet.terms.as_of else None,
        "accounts": dict(zip(_STATES, found.accounts, strict=True)),
        "pools": dict(zip(_STATES, found.pools, strict=True)),
        "positions": found.positions,
        "decided_by_exact_lane": found.exact,
        "not_known_because": unknown.as_json(found.reasons),
        "worst": [
            {
                "account": pool.account,
                "pool": pool.pool,
                "status": pool.status,
                "asset": pool.asset,
                "health": None if pool.health is None else plain(pool.health),
                "balance": plain(pool.balance),
                "liquidation_requirement": plain(pool.required),
                "shortfall": plain(pool.shortfall),
            }
            for pool in found.worst
        ],
        "assumptions": list(found.assumptions),
    }


def stress_json(fleet: Fleet, found: Stress, *, symbols: int = 10) -> dict[str, Any]:
    """Return what ``ringfence fleet stress --json`` prints; ``symbols``: how many of the most forced ones."""
    sums = found.sums
    accounts, pools, positions = (int(count) for count in sums.held)
    return {
        "schema": STRESS_SCHEMA,
        "fleet": fleet.where,
        "rulebook": fleet.terms.rulebook_name,
        "as_of": fleet.terms.as_of.isoformat() if fleet.terms.as_of else None,
        "accounts": accounts,
        "pools": pools,
        "positions": positions,
        "decided_by_exact_lane": sums.exact,
        "not_known": sums.unknown,
        "not_known_because": unknown.as_json(sums.reasons),
        "scenarios": [
            {
                "name": scenario.name,
                "group": scenario.group,
                "others": plain(scenario.others),
                "moves": {symbol: plain(move) for symbol, move in scenario.moves.items()},
                "accounts_liquidatable": int(sums.accounts[at]),
                "pools_liquidatable": int(sums.liquidatable[at]),
                "pools_called": int(sums.called[at]),
                "assets": [
                    {
                        "asset": found.assets[asset],
                        "equity": sum_text(sums.equity[asset, at]),
                        "loss": sum_text(sums.loss[asset, at]),
                        "insurance_fund": sum_text(sums.fund[asset, at]),
                    }
                    for asset in assets_with_anything(found)
                ],
                "forced": [
                    {"symbol": symbol, "value": sum_text(value)} for symbol, value in most_forced(found, at, symbols)
                ],
            }
            for at, scenario in enumerate(found.scenarios)
        ],
        "assumptions": list(found.assumptions),
    }


def watch_json(fleet: Fleet, found: Watched, limit: int) -> dict[str, Any]:
    """Return what ``ringfence fleet watch --json`` prints; ``limit``: how many of those who fell, the first ones."""
    return {
        "schema": WATCH_SCHEMA,
        "fleet": fleet.where,
        "rulebook": fleet.terms.rulebook_name,
        "as_of": fleet.terms.as_of.isoformat() if fleet.terms.as_of else None,
        "level": plain(found.level),
        "accounts": found.accounts,
        "pools": found.pools,
        "positions": found.positions,
        "fell": len(found.fallen),
        "left_standing": found.pools - len(found.fallen),
        "fallen": [
            {
                "at": utc_text(fallen.at),
                "account": fallen.account,
                "pool": fallen.pool,
                "asset": fallen.asset,
                "health": None if fallen.health is None else plain(fallen.health),
                "balance": plain(fallen.balance),
                "liquidation_requirement": plain(fallen.required),
            }
            for fallen in found.fallen[:limit]
        ],
        "by_minute": [{"at": utc_text(minute), "fell": count} for minute, count in falls_by_minute(found)],
        "decided_by_exact_lane": found.exact,
        "baskets_with_bands": found.baskets,
        "by_exact_lane_alone": found.looks,
        "not_known": found.unknown,
        "not_known_because": unknown.as_json(found.reasons),
        "rates": rates(found),
        "assumptions": list(found.assumptions),
    }


def rates(found: Watched) -> dict[str, Any]:
    """Return how fast the watch went: frames, prices, and seconds of building, screening and deciding.

    Compiling is counted by itself, and in none of the others. Seconds of screening are those of all lots together.
    """
    seconds = sorted(frame.seconds for frame in found.frames)
    screened, prices = sum(seconds), sum(frame.prices for frame in found.frames)
    read = sorted(frame.read for frame in found.frames)
    return {
        "frames": len(seconds),
        "prices": prices,
        "compile_seconds": round(found.compile_seconds, 3),
        "build_seconds": round(found.build_seconds, 3),
        "screen_seconds": round(screened, 3),
        "exact_seconds": round(found.exact_seconds, 3),
        "frames_per_second": round(len(seconds) / screened) if screened else None,
        "prices_per_second": round(prices / screened) if screened else None,
        "pools_read_per_frame": round(sum(read) / len(read), 1) if read else None,
        "pools_read_median": read[len(read) // 2] if read else None,
        "frame_median_microseconds": round(seconds[len(seconds) // 2] * 1e6, 1) if seconds else None,
        "frame_worst_microseconds": round(seconds[-1] * 1e6, 1) if seconds else None,
    }


def falls_by_minute(found: Watched) -> list[tuple[datetime, int]]:
    """Return the minutes in which pools fell, with how many."""
    counts: dict[datetime, int] = {}
    for fallen in found.fallen:
        minute = fallen.at.replace(second=0, microsecond=0)
        counts[minute] = counts.get(minute, 0) + 1
    return sorted(counts.items())


def watch_table(found: Watched) -> Any:
    """Return everybody who fell as a pyarrow table; amounts rounded half-even to 18 places."""
    pa = pyarrow()
    rows = found.fallen
    texts = {name: pa.array([getattr(fallen, name) for fallen in rows], pa.string())
             for name in ("account", "pool", "asset")}  # fmt: skip
    named = (("balance", "balance"), ("liquidation_requirement", "required"), ("health", "health"))
    times = pa.array([fallen.at for fallen in rows], pa.timestamp("us", tz="UTC"))
    return pa.table({"at": times, **texts, **{name: _amounts([getattr(f, own) for f in rows]) for name, own in named}})


def assets_with_anything(found: Stress) -> list[int]:
    """Return the numbers of the assets in which anything is held or lost, the one with the most equity first."""
    sizes = [abs(found.sums.equity[asset]).max() + found.sums.loss[asset].max() for asset in range(len(found.assets))]
    return [at for at in sorted(range(len(sizes)), key=lambda at: -sizes[at]) if sizes[at] > 0]


def most_forced(found: Stress, scenario: int, count: int) -> list[tuple[str, float]]:
    """Return the symbols with the most value in liquidatable pools, with it."""
    values = found.sums.forced[:, scenario]
    ordered = sorted(range(len(values)), key=lambda at: (-values[at], found.symbols[at]))[:count]
    return [(found.symbols[at], float(values[at])) for at in ordered if values[at] > 0]


def screen_table(found: Screening) -> Any:
    """Return the pools found as a pyarrow table; amounts rounded half-even to 18 places."""
    pa = pyarrow()
    rows = found.worst
    texts = {name: pa.array([getattr(pool, name) for pool in rows], pa.string())
             for name in ("account", "pool", "status", "asset")}  # fmt: skip
    named = (("balance", "balance"), ("liquidation_requirement", "required"), ("health", "health"),
             ("shortfall", "shortfall"))  # fmt: skip
    return pa.table(texts | {name: _amounts([getattr(pool, own) for pool in rows]) for name, own in named})


def _amounts(values: Sequence[Decimal | None]) -> Any:
    step = ONE.scaleb(-PLACES)
    kept = [None if value is None else round_to(value, step, rounding=ROUND_HALF_EVEN) for value in values]
    return pyarrow().array(kept, amount_type())


def stress_table(found: Stress) -> Any:
    """Return a stress as one long pyarrow table: scenario, group, measure, asset, symbol, value (float64).

    Measures: ``accounts_liquidatable``, ``pools_liquidatable``, ``pools_called`` (counts), ``equity``, ``loss`` and
    ``insurance_fund`` by asset, ``forced`` by symbol (those that are not zero).
    """
    pa = pyarrow()
    sums = found.sums
    rows: list[tuple[str, str, str, str | None, str | None, float]] = []
    for at, scenario in enumerate(found.scenarios):
        for name, counts in (("accounts_liquidatable", sums.accounts), ("pools_liquidatable", sums.liquidatable),
                             ("pools_called", sums.called)):  # fmt: skip
            rows.append((scenario.name, scenario.group, name, None, None, float(counts[at])))
        for name, amounts in (("equity", sums.equity), ("loss", sums.loss), ("insurance_fund", sums.fund)):
            rows += [(scenario.name, scenario.group, name, found.assets[asset], None, float(amounts[asset, at]))
                     for asset in assets_with_anything(found)]  # fmt: skip
        rows += [(scenario.name, scenario.group, "forced", None, symbol, value)
                 for symbol, value in most_forced(found, at, len(found.symbols))]  # fmt: skip
    names = ("scenario", "group", "measure", "asset", "symbol")
    columns = list(zip(*rows, strict=True))
    return pa.table({**{name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=False)},
                     "value": pa.array(columns[5], pa.float64())})  # fmt: skip


def check_place(*paths: Path | None, reads: Iterable[str | None] = ()) -> None:
    """Raise BadConfiguration where a result cannot be written: told before the work, not after it.

    Folders that are missing are made when it is written. ``reads``: what the work reads, which no result may replace;
    nor may one replace another.
    """
    taken = {Path(name).resolve(): f"{name}, which is read" for name in reads if name is not None}
    for path in paths:
        if path is None:
            continue
        found = taken.get(path.resolve())
        taken[path.resolve()] = f"{path}, which is another result"
        above = next(folder for folder in path.absolute().parents if folder.exists())
        if found is None and path.is_dir():
            found = "a folder"
        elif found is None and not above.is_dir():
            found = f"{above}, which is no folder"
        elif found is None and not os.access(above, os.W_OK | os.X_OK):
            found = f"{above}, where you may not write"
        if found is not None:
            raise BadConfiguration(
                "cannot be written", where=str(path), expected="a file that can be made", found=found,
                hint="name a file in a folder that you may write to",
            )  # fmt: skip


def write_parquet(table: Any, path: Path) -> None:
    """Write a table whole or not at all, with the folders that are missing. Raises BadConfiguration."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow().parquet.write_table(table, unfinished)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):  # its folder may be no folder
            unfinished.unlink()
        raise BadConfiguration("cannot be written", where=str(path), expected="a file that can be made",
                               found=error.strerror or str(error), hint="check the path") from None  # fmt: skip


__all__ = [
    "assets_with_anything",
    "check_place",
    "falls_by_minute",
    "most_forced",
    "rates",
    "screen_json",
    "screen_table",
    "stress_json",
    "stress_table",
    "sum_text",
    "watch_json",
    "watch_table",
    "write_parquet",
]
