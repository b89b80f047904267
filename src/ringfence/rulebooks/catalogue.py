"""What rulebooks there are: the days of their rules and tables, and how many symbols they have, how completely."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence import rulebooks
from ringfence.rulebook import Policies
from ringfence.rulebooks.fee_tables import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from ringfence.rulebook import Rulebook
    from ringfence.rulebooks import Folder


class DatedTables(NamedTuple):
    """The tables of one day. ``coverage``: ``complete``, ``partial``, or ``not told`` without a SOURCES.toml."""

    day: str
    symbols: int
    coverage: str
    sentence: str
    own: bool


class Entry(NamedTuple):
    """One rulebook. ``rules``, ``tables`` and ``fees`` are by day, oldest first; ``tables_from``: of others."""

    name: str
    title: str
    rules: tuple[str, ...]
    tables: tuple[DatedTables, ...]
    tables_from: tuple[str, ...]
    fees: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the entry as ``ringfence rulebooks list --json`` prints it."""
        return {
            **self._asdict(),
            "rules": list(self.rules),
            "tables": [table._asdict() for table in self.tables],
            "tables_from": list(self.tables_from),
            "fees": list(self.fees),
        }


class PolicyChange(NamedTuple):
    """A policy that two days' rules choose differently, in one architecture or (``all``) in all of them."""

    architecture: str
    policy: str
    old: str
    new: str


class FeeChange(NamedTuple):
    """What two days' fee schedules have differently. ``what``: a level with its asset, a discount or a voucher.

    ``field``: of it; ``old`` or ``new`` is None where that day does not have it at all, or does not tell.
    """

    what: str
    field: str
    old: str | None
    new: str | None


def entry(name: str) -> Entry:
    """Return what there is of the rulebook ``name``. Raises BadRulebook when unknown."""
    dated = rulebooks.folders(name)
    return Entry(
        name,
        rulebooks.load(name).title,
        tuple(folder.path.name for folder in dated if (folder.path / "rules.toml").is_file()),
        tuple(dated_tables(folder) for folder in dated if (folder.path / "contracts.csv").is_file()),
        rulebooks.tables_from(name),
        tuple(folder.path.name for folder in dated if (folder.path / LEVELS).is_file()),
    )


def dated_tables(folder: Folder) -> DatedTables:
    """Return what a dated folder's tables are; it has a contracts.csv."""
    import tomllib

    told: dict[str, Any] = {}
    if (folder.path / "SOURCES.toml").is_file():
        told = tomllib.loads((folder.path / "SOURCES.toml").read_text(encoding="utf-8")).get("tables", {})
    with (folder.path / "contracts.csv").open(encoding="utf-8") as lines:
        symbols = sum(1 for line in lines if line.strip()) - 1
    return DatedTables(
        folder.path.name,
        symbols,
        str(told.get("coverage", "not told")),
        str(told.get("sentence", "")),
        not folder.path.is_relative_to(rulebooks.PACKAGED),
    )


def tables_on(name: str, day: date) -> Folder | None:
    """Return the latest folder of the rulebook with contracts and tiers that is not younger than ``day``, or None."""
    dated = [
        folder
        for folder in rulebooks.folders(name)
        if folder.not_after(day) and (folder.path / "contracts.csv").is_file() and (folder.path / "tiers.csv").is_file()
    ]
    return dated[-1] if dated else None


def changed_policies(old: Rulebook, new: Rulebook) -> tuple[PolicyChange, ...]:
    """Return the policies in which two rulebooks differ."""
    return tuple(_changed(old, new))


def changed_fees(old: Rulebook, new: Rulebook) -> tuple[FeeChange, ...]:
    """Return in what the fee schedules of two rulebooks differ: levels, discounts, vouchers."""
    before, after = _fee_cells(old), _fee_cells(new)
    return tuple(
        FeeChange(*key, before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    )


def _fee_cells(rulebook: Rulebook) -> dict[tuple[str, str], str]:
    """Return every figure of a fee schedule by what it is of and its name, those alone that are told."""
    fees = rulebook.fees
    named = [(f"level {row.level} {row.settle_asset}".strip(), row._asdict(), 2) for row in fees.levels]
    named += [(f"discount {name}", row._asdict(), 1) for name, row in fees.discounts.items()]
    named += [(f"voucher {name}", row._asdict(), 1) for name, row in fees.vouchers.items()]
    return {
        (what, field): " ".join(value) if isinstance(value, tuple) else str(value)
        for what, cells, skipped in named
        for field, value in list(cells.items())[skipped:]
        if value not in {None, ""}
    }


def _changed(old: Rulebook, new: Rulebook) -> Iterator[PolicyChange]:
    architectures = ("isolated", "cross", "basket")
    for field in fields(Policies):
        pairs = {
            name: (str(getattr(getattr(old, name), field.name)), str(getattr(getattr(new, name), field.name)))
            for name in architectures
        }
        different = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        if len(different) == len(architectures) and len(set(different.values())) == 1:
            yield PolicyChange("all", field.name, *different["cross"])
        else:
            for name, pair in different.items():
                yield PolicyChange(name, field.name, *pair)


__all__ = [
    "DatedTables",
    "Entry",
    "FeeChange",
    "PolicyChange",
    "changed_fees",
    "changed_policies",
    "dated_tables",
    "entry",
    "tables_on",
]
