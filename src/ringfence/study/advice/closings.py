"""Which positions of a portfolio book to close, in full or half, so that the account outlasts enough paths.

Looked for is the smallest way: the fewest steps, at most :data:`STEPS`, each of which closes a position or half of
what is left of it; of those with as many the one that closes least, by shares of positions. Every single step is
tried; longer ways are tried from the :data:`_BEAM` best ones with one step less, those first whose steps promise most
together, at most as many as :data:`_TRIED` says. So what no single step does, but several together do, is found, unless
all its beginnings stand behind that many others; and the same book always gets the same answer, however fast the
machine. Comparisons are drafts (:meth:`.option_table.Table.draft`); a way counts once it holds on all paths and full
curves, and is then made smaller as long as it goes on holding. Every account on the way is one in which the exact lane
closed positions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin import change
from ringfence.margin.refusal import Refusal
from ringfence.numbers import ROUND_CEILING, ZERO, exact, round_to
from ringfence.study.advice.desk import SAFE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ringfence.account import Account, Position
    from ringfence.numbers import Quantity
    from ringfence.study.advice.holding import Book
    from ringfence.study.advice.option_table import Draft, Played, Table

_STEP = Decimal("0.00000001")  # of a quantity whose venue's step is not known
STEPS = 4  #: that a way has at most
_BEAM = 12
_TRIED = (0, 0, 96, 48, 48)  # by length; pairs are what longer ways are built on
_NEARLY = 0.01  # of the paths: a draft that misses by no more may still hold on all of them
_VERIFIED = 3  # ways of one length that are held to all paths


class _Way(NamedTuple):
    """Contracts closed, by their position's place in the book; the account after it, and how it does."""

    closing: Mapping[int, Quantity]
    after: Account
    draft: Draft


class _Search:
    """A search in one book. ``promise``: by position and whether half of it is closed, what that is short of less."""

    def __init__(self, table: Table, given: Played, without: Sequence[Played | str]) -> None:
        self.table, self.book = table, table.book
        self.start = _Way({}, given.surface.account, table.drafted(given))
        self.promise: dict[tuple[int, bool], float] = {}
        self.singles = list(self._singles(without))

    def _singles(self, without: Sequence[Played | str]) -> Iterator[_Way]:
        """Yield every way of one step. ``without``: each position closed, or why not."""
        for index, position in enumerate(self.book.positions):
            for half in (True, False):
                known = None if half else without[index]
                if known is None:
                    way = self.step(self.start, index, half=half)
                elif isinstance(known, str) or not known.surface.account.positions:
                    way = None
                else:
                    way = _Way({index: abs(position.quantity)}, known.surface.account, self.table.drafted(known))
                if way is not None:
                    self.promise[index, half] = way.draft.short - self.start.draft.short
                    yield way

    def longer(self, beam: Sequence[_Way], length: int) -> Iterator[_Way]:
        """Yield ways with one step more than those of ``beam``: the most promising, as their steps add up."""
        steps = [
            (way.draft.short + self._promised(way, index, half=half), number, index, half)
            for number, way in enumerate(beam)
            for index in range(len(self.book.positions))
            for half in (True, False)
            if (index, half) in self.promise or index in way.closing
        ]
        seen: set[frozenset[tuple[int, Quantity]]] = set()
        for _, number, index, half in sorted(steps):
            made = self._made(beam[number], index, half=half)
            key = None if made is None else frozenset(made.items())
            if made is None or key is None or key in seen:
                continue
            if len(seen) == _TRIED[length]:
                return
            seen.add(key)
            way = self._closed(beam[number], index, made)
            if way is not None:
                yield way

    def _promised(self, way: _Way, index: int, *, half: bool) -> float:
        """Return by how much less the account is short after one step more, if steps add up."""
        if index not in way.closing:
            return self.promise.get((index, half), 0.0)
        left = 1 - self._share(way, index)
        whole = self.promise.get((index, False), 2 * self.promise.get((index, True), 0.0))
        return whole * left * (0.5 if half else 1.0)

    def _share(self, way: _Way, index: int) -> float:
        return float(way.closing.get(index, ZERO)) / float(abs(self.book.positions[index].quantity))

    def size(self, way: _Way) -> float:
        """Return the shares of positions that a way closes, added up."""
        return sum(self._share(way, index) for index in way.closing)

    def rank(self, way: _Way) -> tuple[float, float, float, tuple[int, ...]]:
        """Return what puts ways in order, the best first."""
        return way.draft.share, way.draft.short, self.size(way), tuple(way.closing)

    def step(self, way: _Way, index: int, *, half: bool) -> _Way | None:
        """Return a way with one step more; None where there is none, the venue refuses, or nothing would be left."""
        made = self._made(way, index, half=half)
        return None if made is None else self._closed(way, index, made)

    def _made(self, way: _Way, index: int, *, half: bool) -> dict[int, Quantity] | None:
        """Return what is closed after one step more; None where there is no such step."""
        before, whole = way.closing.get(index, ZERO), abs(self.book.positions[index].quantity)
        after = _halfway(self.book, self.book.positions[index], before, whole) if half else whole
        return None if after == before or (half and after == whole) else {**way.closing, index: after}

    def _closed(self, way: _Way, index: int, closing: dict[int, Quantity]) -> _Way | None:
        after = _closed_more(self.book, way.after, index, way.closing.get(index, ZERO), closing[index])
        return None if after is None else _Way(closing, after, self.table.draft(after))

    def smaller(self, way: _Way, played: Played) -> tuple[Played, _Way]:
        """Return the way without what it holds without: positions left alone, or half of one closed instead of all."""
        for index in tuple(way.closing):
            for half in (False, True):
                position, most = self.book.positions[index], way.closing.get(index, ZERO)
                less = _halfway(self.book, position, ZERO, most) if half else ZERO
                if not most or less == most or (half and most != abs(position.quantity)):
                    continue
                closing = {place: size for place, size in way.closing.items() if place != index}
                if less:
                    closing[index] = less
                after = self._account(closing)
                if after is None or not closing:
                    continue
                tried = self.table.play(after)
                if share_of(tried) <= 1 - SAFE:
                    played, way = tried, _Way(closing, after, self.table.drafted(tried))
        return played, way

    def _account(self, closing: Mapping[int, Quantity]) -> Account | None:
        after: Account | None = self.start.after
        for index, size in closing.items():
            after = None if after is None else _closed_more(self.book, after, index, ZERO, size)
        return after

    def in_order(self, way: _Way) -> dict[int, Quantity]:
        """Return what a way closes, at every step what leaves the account in the best state."""
        now, left = self.start, list(way.closing)
        while len(left) > 1:
            closings = [(index, {**now.closing, index: way.closing[index]}) for index in left]
            nexts = [step for index, made in closings if (step := self._closed(now, index, made)) is not None]
            if not nexts:
                break
            now = min(nexts, key=self.rank)
            left = [index for index in left if index not in now.closing]
        return {index: way.closing[index] for index in (*now.closing, *left)}


def search(
    table: Table, given: Played, without: Sequence[Played | str], *, progress: Callable[[float], None]
) -> tuple[Played, dict[int, Quantity]]:
    """Return the account after the smallest closing found that outlasts enough paths, and what is closed of what.

    By the position's place in the book, what helps most first. Where nothing found is enough, what makes liquidation
    rarest; none where nothing makes it rarer, or nothing has to be done. ``without``: each position closed, or why not.
    """
    if share_of(given) <= 1 - SAFE:
        return given, {}
    looked = _Search(table, given, without)
    ways, best = looked.singles, looked.start
    for length in range(1, STEPS + 1):
        progress(length / (STEPS + 1))
        if length > 1:
            ways = list(looked.longer(sorted(ways, key=looked.rank)[:_BEAM], length))
        best = min([best, *ways], key=looked.rank)
        enough = [way for way in ways if way.draft.share <= 1 - SAFE + _NEARLY]
        for way in sorted(enough, key=lambda way: (looked.size(way), *looked.rank(way)))[:_VERIFIED]:
            played = table.play(way.after)
            if share_of(played) <= 1 - SAFE:
                played, smallest = looked.smaller(way, played)
                return played, looked.in_order(smallest)
    played = table.play(best.after)
    return (played, looked.in_order(best)) if share_of(played) < share_of(given) else (given, {})


def share_of(played: Played) -> float:
    """Return the share of the paths on which an account is liquidated."""
    return float(played.dead.mean())


@exact
def _halfway(book: Book, position: Position, closed_before: Quantity, end: Quantity) -> Quantity:
    """Return what is closed of a position once half of what lies between two closings of it is, up to its step."""
    step = book.rulebook.contract(position.symbol).quantity_step or _STEP
    return closed_before + round_to((end - closed_before) * Decimal("0.5"), step, rounding=ROUND_CEILING)


@exact
def _closed_more(book: Book, account: Account, index: int, before: Quantity, size: Quantity) -> Account | None:
    """Return an account with ``size`` of a position closed, ``before`` of it already; None where it cannot be."""
    after = closed(book, account, book.positions[index], size - before)
    return None if isinstance(after, str) or not after.positions else after


@exact
def closed(book: Book, account: Account, position: Position, size: Quantity) -> Account | str:
    """Return the account with ``size`` of a position closed at its mark, taker fee paid where known; or why not."""
    contract = book.rulebook.contract(position.symbol)
    fill = change.Fill(
        position.symbol, -size if position.quantity > 0 else size, book.marks[position.symbol],
        position_side=position.side, fee_rate=contract.taker_fee_rate or ZERO,
    )  # fmt: skip
    outcome = change.trade(account, fill, marks=book.marks, rulebook=book.rulebook)
    return str(outcome) if isinstance(outcome, Refusal) else outcome.account


__all__ = ["STEPS", "closed", "search", "share_of"]
