"""Find everything that is wrong with a ``delivery.toml``, each fault with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.delivery import faults_of
from ringfence.rulebooks.faults import Fault, open_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def delivery_faults(path: Path) -> Iterator[Fault]:
    """Yield the faults of one file: unknown keys, figures that are none, figures without a source."""
    file = open_toml(path)
    if isinstance(file, Fault):
        yield file
        return
    for key, message in faults_of(file.data):
        section, _, name = key.rpartition(".")
        yield file.fault(section, name, message)


__all__ = ["delivery_faults"]
