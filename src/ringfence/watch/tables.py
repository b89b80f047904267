"""``ringfence rulebooks update`` and ``rulebooks diff``: an exchange's current contracts and risk tiers as tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ringfence.errors import BadConfiguration, BadRulebook, SourceUnavailable
from ringfence.watch.changes import Change, diff_tables
from ringfence.watch.clients import has_key, load_ccxt, open_exchange, reading
from ringfence.watch.contracts import contract_row, covered
from ringfence.watch.folders import Source, Tables, faults_of, write_folder
from ringfence.watch.tiers import read_ladders
from ringfence.watch.venues import find_venue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ringfence.watch.figures import Json
    from ringfence.watch.keys import Keys
    from ringfence.watch.venues import Venue

__all__ = ["Change", "Update", "diff_tables", "read_tables", "update_tables"]


@dataclass(frozen=True, slots=True)
class Update:
    """What an update wrote: ``contracts`` and ``tiers`` count rows, ``coverage`` is ``complete`` or ``partial``.

    ``previous``: the latest earlier folder beside it, None for the first; ``changes``: what is different from it.
    ``notes``: sentences about what could not be had.
    """

    rulebook: str
    folder: Path
    as_of: date
    contracts: int
    tiers: int
    coverage: str
    previous: Path | None
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def update_tables(
    venue: str,
    destination: Path,
    *,
    exchange: Json = None,
    keys: Keys | str | None = None,
    today: date,
    progress: Callable[[str], None] | None = None,
) -> Update:
    """Read the current contracts and tiers of the rulebook ``venue`` and write ``<destination>/<venue>/<today>/``.

    The folder holds contracts.csv, tiers.csv and SOURCES.toml. It appears whole or not at all, and only when the
    tables hold together; one of the same day is replaced. ``exchange`` is one of ccxt's exchanges (None: opened here,
    with ``keys``, a Keys or a reference to one, where given); ``progress`` is told, in words, how far it is.

    Raises BadRulebook (an unknown name, or tables with faults: all are named), BadConfiguration (ccxt is missing, or a
    key that this exchange's tiers need), SourceUnavailable (no answer, or none of use).
    """
    place = find_venue(venue)
    if place.tiers == "none":
        raise BadRulebook(
            f"the tables of {venue} cannot be read from the exchange",
            where=venue,
            expected="risk tiers from ccxt",
            found=place.without_tiers,
            hint="keep the tables that come with ringfence, or write a dated folder by hand",
        )
    exchange = exchange if exchange is not None else open_exchange(place, keys=keys)
    if place.tiers_need_key and not has_key(exchange):
        raise BadConfiguration(
            f"{place.exchange} shows its risk tiers to account holders only",
            expected="a key that may read, as env:NAME, file:PATH or keyring:NAME",
            found="no key",
            hint="make a read-only key at the exchange and name where it is",
        )
    tables, notes = read_tables(exchange, place, today=today, progress=progress or _silent)
    faults = faults_of(tables)
    if faults:
        raise BadRulebook(
            f"the tables read from {place.exchange} have {len(faults)} fault(s); nothing was written\n"
            + "\n".join(f"  - {fault}" for fault in faults),
            where=venue,
            expected="tiers without gaps whose rates rise, and contracts with a size",
            hint="try again later; if it stays, keep the tables you have and report this",
        )
    folder = destination / venue / today.isoformat()
    write_folder(tables, folder)
    previous, changes, more = _changes_to(folder)
    return Update(
        rulebook=venue,
        folder=folder,
        as_of=today,
        contracts=len(tables.contracts),
        tiers=len(tables.tiers),
        coverage=tables.coverage,
        previous=previous,
        changes=changes,
        notes=(*notes, *more),
    )


def read_tables(
    exchange: Json, venue: Venue, *, today: date, progress: Callable[[str], None]
) -> tuple[Tables, list[str]]:
    """Return the current tables of ``venue``, unchecked, and notes about what could not be had.

    Raises SourceUnavailable where ``exchange`` does not answer, or lists no contract of the rulebook.
    """
    with reading(exchange, venue):
        progress(f"reading the contracts of {venue.exchange}")
        markets = covered(venue, exchange.load_markets(reload=True))
        if not markets:
            raise SourceUnavailable(
                f"{venue.exchange} lists no contract of the rulebook {venue.rulebook}\n"
                f"  expected: {' or '.join(venue.kinds)} contracts that trade\n  found: none\n"
                "  do: try again later; the reply may have been cut short"
            )
        ladders = read_ladders(exchange, venue, markets, progress=progress)
    rows = []
    for unified, market in markets.items():
        ladder = ladders.get(unified)
        unit = venue.tier_unit if venue.tiers == "rules" else None
        rows.append(contract_row(exchange, venue, market, tier_unit=ladder.unit if ladder else unit))
    without = sorted(row.symbol for row in rows if row.coverage == "partial")
    notes = []
    if without:
        more = f" and {len(without) - 20} more" if len(without) > 20 else ""
        notes.append(f"no tiers were given for {len(without)} contract(s): {', '.join(without[:20])}{more}")
    tiers = [row for ladder in ladders.values() for row in ladder.rows]
    tables = Tables(
        as_of=today,
        contracts=tuple(sorted(rows, key=lambda row: row.symbol)),
        tiers=tuple(sorted(tiers, key=lambda row: (row.symbol, row.tier))),
        sources=_sources(venue, contracts=len(rows), with_tiers=len(ladders)),
    )
    return tables, notes


def _sources(venue: Venue, *, contracts: int, with_tiers: int) -> tuple[Source, ...]:
    version = load_ccxt().__version__
    methods = {
        "all": "fetch_leverage_tiers",
        "each": "fetch_market_leverage_tiers",
        "margin_tables": "publicPostInfo(type=meta)",
        "contracts": "load_markets",
    }
    origin = f"ccxt=={version} {venue.exchange}"
    sources = [Source("contracts.csv", f"{contracts} contracts", f"{origin}.load_markets", "high")]
    if venue.tiers in methods:
        covers = f"tiers of {with_tiers} contracts"
        sources.append(Source("tiers.csv", covers, f"{origin}.{methods[venue.tiers]}", "high"))
    return tuple(sources)


def _changes_to(folder: Path) -> tuple[Path | None, tuple[Change, ...], list[str]]:
    """Return the folder before ``folder`` and what changed since; damage in that one is a note, no failure."""
    previous = _latest_before(folder)
    if previous is None:
        return None, (), []
    try:
        return previous, tuple(diff_tables(previous, folder)), []
    except BadRulebook as error:
        return previous, (), [f"not compared with the tables before: {error}"]


def _latest_before(folder: Path) -> Path | None:
    """Return the folder beside ``folder`` with the latest earlier date, None without one."""
    dated = [
        path for path in folder.parent.iterdir() if path.is_dir() and _is_day(path.name) and path.name < folder.name
    ]
    return max(dated, default=None, key=lambda path: path.name)


def _is_day(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def _silent(_: str) -> None:
    return
