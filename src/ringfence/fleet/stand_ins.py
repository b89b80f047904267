"""Which symbols of a fleet a tape moves: those that it names, and those on the same coin under another venue's name.

The rule is that of all studies (:mod:`ringfence.tape.coins`). A price is taken over as it stands, so that it is only
taken where both are quoted in dollars: not by an option, whose price is a premium, nor by what settles in euros or in
another coin and is not inverse. The basis between venues, and that of dated futures, is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import DOLLARS
from ringfence.contract import ContractKind
from ringfence.errors import BadInput
from ringfence.tape.coins import in_dollars, stand_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ringfence.rulebook import Rulebook

_NAMED = 12  # symbols that a sentence names


def stand_ins(symbols: Iterable[str], known: Collection[str], rulebook: Rulebook) -> dict[str, str]:
    """Return the tape's symbol for each of ``symbols`` that it moves. ``known``: the tape's symbols."""
    others = [name for name in known if in_dollars(name)]
    found: dict[str, str] = {}
    for symbol in symbols:
        if symbol in known:
            found[symbol] = symbol
        elif (name := stand_in(symbol, others)) is not None and _in_dollars(symbol, rulebook):
            found[symbol] = name
    return found


def _in_dollars(symbol: str, rulebook: Rulebook) -> bool:
    try:
        contract = rulebook.contract(symbol)
    except BadInput:
        return False
    if contract.option:
        return False
    return contract.kind is not ContractKind.LINEAR or contract.settle_asset in DOLLARS


def said(taken: Mapping[str, str]) -> tuple[str, ...]:
    """Return what stood in for what, as a sentence; nothing where every symbol is the tape's own."""
    by_name: dict[str, list[str]] = {}
    for symbol, name in taken.items():
        if symbol != name:
            by_name.setdefault(name, []).append(symbol)
    told, left = [], sum(map(len, by_name.values())) - _NAMED
    room = _NAMED
    for name, symbols in by_name.items():
        shown, room = symbols[:room], max(0, room - len(symbols))
        if shown:
            told.append(f"{name} for {', '.join(shown)}")
    if not told:
        return ()
    more = f"; and so for {left} more" if left > 0 else ""
    return (f"symbols of the tape stand in by their coin: {'; '.join(told)}{more}",)


__all__ = ["said", "stand_ins"]
