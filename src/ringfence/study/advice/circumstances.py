"""Who asks for advice and what for: what a book alone does not tell.

In an account file::

    "circumstances": {"experience": "new", "purpose": "trading", "purposes": {"DOGEUSDT": "testing"}}

or as options of ``ringfence advise``. Nothing of it is guessed: what is not said is listed as not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadConfiguration, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXPERIENCES = ("new", "experienced")
PURPOSES = ("trading", "testing", "bot", "hedging")


class Circumstances(NamedTuple):
    """None: not said. ``purposes``: by symbol, where a position has one of its own."""

    experience: str | None = None
    purpose: str | None = None
    purposes: Mapping[str, str] = {}

    def purpose_of(self, symbol: str) -> str | None:
        """Return what a position is held for."""
        return self.purposes.get(symbol, self.purpose)


def circumstances_of(
    *,
    experience: str | None,
    purposes: Iterable[str],
    symbols: Iterable[str],
    file: Mapping[str, object] | None = None,
) -> Circumstances:
    """Return the circumstances of an account: options before what its file says.

    ``purposes``: PURPOSE, or SYMBOL=PURPOSE. Raises BadConfiguration for a word or a symbol that is not known.
    """
    told = dict(file or {})
    held = set(symbols)
    by_symbol: dict[str, str] = {}
    own = told.get("purposes") or {}
    if not isinstance(own, dict):
        raise BadConfiguration("not an object", where="circumstances.purposes", found=str(own),
                               expected="purposes by symbol")  # fmt: skip
    for symbol, purpose in own.items():
        by_symbol[_held(str(symbol), held)] = _word(str(purpose), PURPOSES, f"circumstances.purposes.{symbol}")
    whole = told.get("purpose")
    purpose = None if whole is None else _word(str(whole), PURPOSES, "circumstances.purpose")
    for given in purposes:
        symbol, equals, word = given.rpartition("=")
        if equals:
            by_symbol[_held(symbol, held)] = _word(word, PURPOSES, f"--purpose {symbol}")
        else:
            purpose = _word(word, PURPOSES, "--purpose")
    said = experience if experience is not None else told.get("experience")
    where = "--experience" if experience is not None else "circumstances.experience"
    return Circumstances(None if said is None else _word(str(said), EXPERIENCES, where), purpose, by_symbol)


def _word(word: str, known: tuple[str, ...], where: str) -> str:
    if word not in known:
        raise BadConfiguration("not known", where=where, expected=" or ".join(known), found=word,
                               hint=nearest(word, known) or "choose one of these")  # fmt: skip
    return word


def _held(symbol: str, held: set[str]) -> str:
    if symbol not in held:
        raise BadConfiguration(f"{symbol} is not held", where="--purpose", expected=" or ".join(sorted(held)),
                               found=symbol, hint=nearest(symbol, held) or "name a symbol of the account")  # fmt: skip
    return symbol


__all__ = ["EXPERIENCES", "PURPOSES", "Circumstances", "circumstances_of"]
