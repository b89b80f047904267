"""Which ringfence decides, and by which rules: what a journal keeps, so that a later program can say what changed.

The text is for people and for comparing whole: ``ringfence 0.1.0, core 0f3b…, rules binance-usdm 91ac…``. ``core`` is a
hash of the sources that decisions come from (numbers to engine), ``rules`` one of the rulebook's files that are in
force. Neither says what a change does; they say that there was one.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING

import ringfence
from ringfence import rulebooks
from ringfence.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_MODULES = ("account", "contract", "fees", "guard_rails", "ledger", "numbers", "rulebook")
_PACKAGES = ("engine", "margin", "rulebooks")
_DIGITS = 12


def origin(rulebook: str, as_of: str | None) -> str:
    """Return what decides under the packaged rules of a rulebook on a day (None: the latest).

    Rules that are not packaged are told by their name alone: a journal's set-up has what it needs of them.
    """
    return f"ringfence {ringfence.__version__}, core {core()}, rules {rulebook} {_rules(rulebook, as_of)}".rstrip()


@lru_cache(maxsize=1)
def core() -> str:
    """Return a hash of the sources that decide: of their text, whatever a file system does to the ends of lines."""
    mixed = blake2b(digest_size=32)
    for name, source in sorted(_sources()):
        text = source.read_text(encoding="utf-8")
        mixed.update(f"{name}\0{len(text)}\0{text}".encode())
    return mixed.hexdigest()[:_DIGITS]


def _sources() -> Iterator[tuple[str, Traversable]]:
    root = files("ringfence")
    for module in _MODULES:
        yield module, root / f"{module}.py"
    for package in _PACKAGES:
        for entry in (root / package).iterdir():
            if entry.name.endswith(".py"):
                yield f"{package}.{entry.name}", entry


@lru_cache(maxsize=16)
def _rules(rulebook: str, as_of: str | None) -> str:
    try:
        day = None if as_of is None else date.fromisoformat(as_of)
        names = (rulebook, *rulebooks.tables_from(rulebook, day))
        dated = [(name, folder) for name in names for folder in rulebooks.folders(name) if folder.not_after(day)]
    except (BadInput, ValueError):
        return ""
    mixed = blake2b(digest_size=32)
    for name, folder in dated:
        for path in sorted(folder.path.iterdir()):
            if path.suffix in {".csv", ".toml"} and path.name != "SOURCES.toml":
                data = path.read_bytes().replace(b"\r\n", b"\n")
                mixed.update(f"{name}/{folder.path.name}/{path.name}\0{len(data)}\0".encode() + data)
    return mixed.hexdigest()[:_DIGITS]


__all__ = ["core", "origin"]
