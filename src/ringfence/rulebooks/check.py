"""Find everything that is wrong with a rulebook's files, each fault with its file and line.

Checked are the folders' names, ``rules.toml`` (every key, policy and choice known; levels and steps that make sense),
``contracts.csv``, ``tiers.csv``, ``haircuts.csv`` and ``open_interest_caps.csv`` (columns, numbers, order, tiers that
ascend without gaps, deductions that keep maintenance margin continuous), ``fees.csv`` and ``fees.toml``, the terms of
``portfolio.toml`` and ``delivery.toml``, and that ``SOURCES.toml`` covers each table.
"""

from __future__ import annotations

import tomllib
from datetime import date
from typing import TYPE_CHECKING

from ringfence import rulebooks
from ringfence.rulebooks.check_rules import OWN_POLICIES, STEPS, check_rules
from ringfence.rulebooks.check_tables import COLUMNS, DEDUCTION_TOLERANCE, check_tables
from ringfence.rulebooks.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


def check(name: str, *, refusals: Collection[str] | None = None) -> list[Fault]:
    """Return everything that is wrong with the rulebook ``name``, packaged and user's folders; empty when nothing is.

    ``refusals``: the names a rulebook may give a reason for; None leaves them unchecked. Raises BadRulebook for an
    unknown name.
    """
    dated = rulebooks.folders(name)
    faults: list[Fault] = []
    for root in dict.fromkeys(folder.path.parent for folder in dated):
        faults += _folder_names(root)
    rules = [folder for folder in dated if (folder.path / "rules.toml").is_file()]
    if not rules:
        faults.append(Fault(dated[0].path.parent, None, "no folder has a rules.toml"))
    for folder in rules:
        faults += check_rules(folder.path / "rules.toml", refusals=refusals)
    for folder in dated:
        # A table holds until the next one, so it may outlive its rules: Gate's of July 2025 came with the deductions
        # that its progressive tiers of four weeks later needed.
        later = [other for other in rules if not other.not_after(folder.day)]
        in_force = [other for other in rules if other.not_after(folder.day)][-1:] + later
        faults += check_tables(
            folder.path, progressive=any(_progressive(each.path / "rules.toml") for each in in_force)
        )
    return faults


def _folder_names(root: Path) -> Iterator[Fault]:
    for path in sorted(root.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if not path.is_dir():
            yield Fault(path, None, "a file beside the dated folders; expected folders named always or YYYY-MM-DD")
        elif path.name != rulebooks.ALWAYS and not _is_day(path.name):
            yield Fault(path, None, "not a day; expected a folder named always or YYYY-MM-DD")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _progressive(path: Path) -> bool:
    """Whether some architecture of the rules charges each slice of the value at its own tier's rate."""
    try:
        groups = tomllib.loads(path.read_text(encoding="utf-8")).get("policies", {})
    except (OSError, ValueError):
        return False
    own = [groups[kind].get("tier_type") for kind in OWN_POLICIES if isinstance(groups.get(kind), dict)]
    return "progressive" in {groups.get("tier_type", "progressive"), *own} - {None}


__all__ = ["COLUMNS", "DEDUCTION_TOLERANCE", "STEPS", "Fault", "check", "check_rules", "check_tables"]
