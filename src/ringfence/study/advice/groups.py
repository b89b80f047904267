"""Which positions of a book hedge one another, and what kind of hedge it is.

Two positions belong together where holding both is clearly calmer than holding the wilder one alone: the standard
deviation of their common PnL is at most :data:`CALMER` of the larger of the two. Groups are what such pairs connect,
where the same holds of the whole group and its wildest position.
"""

from __future__ import annotations

import re
from math import sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ringfence.study.stand_in import coin_of

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
    """Return the groups of at least two positions that hedge one another, in the order of the book."""
    symbols = [position.symbol for position in book.positions]
    sigma = [abs(e) * moves.daily(s) for e, s in zip(exposure, symbols, strict=True)]

    def common(i: int, j: int) -> float:
        rho = moves.estimate.correlation(symbols[i], symbols[j]) if symbols[i] != symbols[j] else 1.0
        return rho * (1 if exposure[i] * exposure[j] > 0 else -1)

    def together(members: Sequence[int]) -> float:
        total = sum(sigma[i] * sigma[j] * (1.0 if i == j else common(i, j)) for i in members for j in members)
        return sqrt(max(0.0, total))

    linked = {index: {index} for index in range(len(symbols))}
    for i in range(len(symbols)):
        for j in range(i):
            if common(i, j) < 0 and together((i, j)) <= CALMER * max(sigma[i], sigma[j]):
                joined = linked[i] | linked[j]
                for index in joined:
                    linked[index] = joined
    found = []
    for members in dict.fromkeys(tuple(sorted(joined)) for joined in linked.values()):
        if len(members) < 2:
            continue
        alone = tuple(sigma[index] for index in members)
        first = max(members, key=lambda index: sigma[index])
        other = max((m for m in members if exposure[m] * exposure[first] < 0), key=lambda index: sigma[index])
        whole = together(members)
        if whole > CALMER * max(alone):
            continue  # pairs in it hedge one another, all of it does not
        kind = _kind(book, members, calm=whole / max(alone))
        found.append(Group(members, kind, whole, alone, common(first, other)))
    return tuple(found)


def _kind(book: Book, members: Sequence[int], *, calm: float) -> HedgeKind:
    held = [book.positions[index] for index in members]
    if len({book.asset(position) for position in held}) > 1:
        return "hedge across assets"
    one_coin = len({coin_of(position.symbol) for position in held}) == 1
    if one_coin and len({position.symbol for position in held}) > 1 and any(dated(p.symbol) for p in held):
        return "calendar spread"
    return "hedge" if calm <= _NEUTRAL else "partial hedge"


__all__ = ["CALMER", "Group", "HedgeKind", "dated", "exposures", "groups"]
