"""Find everything that is wrong with a ``portfolio.toml``, each fault with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.errors import nearest
from ringfence.portfolio_rules import faults_of
from ringfence.rulebooks.check_rules import STEPS
from ringfence.rulebooks.faults import Fault, open_toml

if TYPE_CHECKING:
    from pathlib import Path


def portfolio_faults(path: Path) -> list[Fault]:
    """Return the faults of one file: unknown keys and terms, numbers that are none, terms of unknown origin, bands."""
    file = open_toml(path)
    if isinstance(file, Fault):
        return [file]
    faults = []
    for key, message in faults_of(file.data):
        section, _, name = key.rpartition(".")
        faults.append(file.fault(section.partition("[")[0], name, message))
    steps = file.data.get("sequence", [])
    for step in steps if isinstance(steps, list) else []:
        if step not in STEPS:
            hint = nearest(str(step), STEPS) or f"expected one of {', '.join(STEPS)}"
            faults.append(file.fault("", "sequence", f"no step {step!r} of a liquidation; {hint}"))
    return sorted(faults, key=lambda fault: fault.line or 0)


__all__ = ["portfolio_faults"]
