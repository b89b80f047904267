"""Which positions of a book hedge one another, and what kind of hedge it is.

Two positions belong together where holding both is clearly calmer than holding the wilder one alone: the standard
deviation of their common PnL is at most :data:`CALMER` of the larger of the two. Groups are what such pairs connect,
where the same holds of the whole group and its wildest position.
"""

from __future__ import annotations

import re
from math import sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ringfence.tape.coins import coin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.study.advice.holding import Book
    from ringfence.study.advice.moves import Moves

CALMER = 0.8
"""How much calmer a pair must be than its wilder half to count as a hedge. Ours."""

HedgeKind: TypeAlias = Literal["calendar spread", "hedge", "hedge across assets", "partial hedge"]
_NEUTRAL = 0.35  # a group this much calmer than its wildest position is a hedge, above it a partial one
_DATED = re.compile(r"(?:[-_]\d{6}|-\d{1,2}[A-Z]{3}\d{2}|[FGHJKMNQUVXZ]\d{2})$")


class Group(NamedTuple):
    """Positions (by index) that hedge one another. A day's standard deviations in dollars: together, and of each.

    ``correlation``: of the PnL of its two largest legs of opposite sign.
    """

    members: tuple[int, ...]
    kind: HedgeKind
    together: float
    alone: tuple[float, ...]
    correlation: float

    @property
    def calm(self) -> float:
        """Standard deviation together ÷ that of its wildest position."""
        return self.together / max(self.alone)


def dated(symbol: str) -> bool:
    """Whether a contract's name ends in a delivery date."""
    return _DATED.search(symbol.upper()) is not None


def exposures(book: Book, prices: dict[str, float]) -> list[float]:
    """Return what each position gains, in dollars, when its mark rises by its whole value: signed."""
    found = []
    for position in book.positions:
        contract = book.rulebook.contract(position.symbol)
        value = float(contract.contract_value(book.marks[position.symbol]))
        found.append(float(position.quantity) * value * prices[contract.settle_asset])
    return found


def groups(book: Book, moves: Moves, exposure: Sequence[float]) -> tuple[Group, ...]:
    """Return the groups of at least two positions that hedge one another, in the order of the book.

    Legs of one symbol net first: what they leave of each other is all that there is for other symbols to hedge.
    """
    symbols = [position.symbol for position in book.positions]
    legs = {symbol: [i for i, of in enumerate(symbols) if of == symbol] for symbol in dict.fromkeys(symbols)}
    net = {symbol: sum(exposure[i] for i in held) * moves.daily(symbol) for symbol, held in legs.items()}
    alone = [abs(e) * moves.daily(s) for e, s in zip(exposure, symbols, strict=True)]

    def together(members: Sequence[str]) -> float:
        return sqrt(max(0.0, sum(net[a] * net[b] * _correlation(moves, a, b) for a in members for b in members)))

    linked: dict[str, tuple[str, ...]] = {symbol: (symbol,) for symbol in legs}
    for first in legs:
        for other in legs:
            apart = max(abs(net[first]), abs(net[other]))
            if first != other and apart and together((first, other)) <= CALMER * apart:
                joined = tuple(dict.fromkeys(linked[first] + linked[other]))
                linked |= dict.fromkeys(joined, joined)
    found = []
    for joined in dict.fromkeys(tuple(sorted(joined)) for joined in linked.values()):
        members = sorted(i for symbol in joined for i in legs[symbol])
        whole = together(joined)
        if len(members) < 2 or whole > CALMER * max(alone[i] for i in members):
            continue  # pairs in it hedge one another, all of it does not
        most = max(members, key=lambda i: alone[i])
        opposite = max((i for i in members if exposure[i] * exposure[most] < 0), key=lambda i: alone[i], default=None)
        pnl = -1.0 if opposite is None else -_correlation(moves, symbols[most], symbols[opposite])
        wild = tuple(alone[i] for i in members)
        kind = _kind(book, members, calm=whole / max(wild))
        found.append(Group(tuple(members), kind, whole, wild, pnl))
    return tuple(sorted(found))


def _correlation(moves: Moves, first: str, other: str) -> float:
    return 1.0 if first == other else moves.estimate.correlation(first, other)


def _kind(book: Book, members: Sequence[int], *, calm: float) -> HedgeKind:
    held = [book.positions[index] for index in members]
    if len({book.asset(position) for position in held}) > 1:
        return "hedge across assets"
    one_coin = len({coin_of(position.symbol) for position in held}) == 1
    if one_coin and len({position.symbol for position in held}) > 1 and any(dated(p.symbol) for p in held):
        return "calendar spread"
    return "hedge" if calm <= _NEUTRAL else "partial hedge"


__all__ = ["CALMER", "Group", "HedgeKind", "dated", "exposures", "groups"]
