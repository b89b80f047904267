"""New prices: what is believed, which orders they set off, and whose pools they concern."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from ringfence.engine import commands as asked
from ringfence.engine import vouchers
from ringfence.engine.doubt import agreeing, confirmed
from ringfence.engine.events import PriceDoubted, PriceRejected, PricesChanged
from ringfence.engine.impact import move_prices
from ringfence.engine.orders import fill_from_market, set_off_triggers
from ringfence.engine.review import review
from ringfence.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.numbers import Price

_OF = {"marks": "mark", "last": "last", "index": "index"}


def update(state: State, command: asked.UpdatePrices | asked.Review, suspects: Iterable[str] | None) -> Iterator[Event]:
    """Accept or reject new prices, set off triggers and resting orders, and look at the pools they concern.

    With ``suspects``, only those are looked at, and whoever was changed by this very command (a fill, a deleveraging):
    what proved them healthy before speaks of what they held before. The order is the same as without.
    """
    state.touched.begin(state.sequence)
    yield from vouchers.expire(state, command)  # who loses margin by it is looked at, whatever proved him healthy
    if isinstance(command, asked.Review):
        everyone = {name: None for names in state.holders.values() for name in names} | state.baskets
        yield from review(state, everyone, command)
        return
    believed: dict[str, list[tuple[str, Price]]] = {"index": [], "marks": [], "last": []}
    now: dict[str, dict[str, Price]] = {"index": {}, "marks": {}, "last": {}}
    for kind, prices in (("index", command.index), ("marks", command.marks), ("last", command.last)):
        for symbol, price in prices:
            reason, contradicted = _disbelief(state, command, kind, symbol, price, now)
            if reason is None:
                believed[kind].append((symbol, price))
                now[kind][symbol] = price
                continue
            yield PriceRejected(command.id, command.at, symbol, price, reason)
            if reason == "jump" and state.setup.guard.confirmations is not None:  # else it is never believed
                count = 0 if contradicted else agreeing(state, command, _OF[kind], symbol, price)
                yield PriceDoubted(command.id, command.at, symbol, _OF[kind], price, count)
    if not any(believed.values()):
        return
    yield PricesChanged(
        command.id, command.at, tuple(believed["marks"]), tuple(believed["last"]), tuple(believed["index"])
    )
    if state.setup.impact:
        yield from move_prices(state, command, now["marks"], now["last"])
    moved = list(dict.fromkeys(symbol for prices in believed.values() for symbol, _ in prices))
    if state.triggers:
        yield from set_off_triggers(state, moved, command)
    for symbol in moved:
        if state.books.get(symbol):  # somebody rests there
            yield from fill_from_market(state, symbol, command)
    deciding = believed["marks"] + (believed["last"] if state.rulebook.trigger_prices == "mark_and_last" else [])
    by_index = dict(state.baskets) if believed["index"] else {}  # with or without positions: a debt may be due
    symbols = list(dict.fromkeys(symbol for symbol, _ in deciding))
    if suspects is None:
        concerned: Iterable[str] = {
            name: None for symbol in symbols for name in state.holders.get(symbol, {})
        } | by_index
    else:
        concerned = _worth_a_look(state, symbols, {*suspects, *state.baskets}, by_index)
    yield from review(state, concerned, command)


def all_believed(state: State, command: asked.UpdatePrices) -> bool:
    """Whether every price of an update would be believed now: for who looks ahead. Changes nothing."""
    now: dict[str, dict[str, Price]] = {"index": {}, "marks": {}, "last": {}}
    for kind, prices in (("index", command.index), ("marks", command.marks), ("last", command.last)):
        for symbol, price in prices:
            if _disbelief(state, command, kind, symbol, price, now)[0] is not None:
                return False
            now[kind][symbol] = price
    return True


def _worth_a_look(state: State, symbols: list[str], suspects: Iterable[str], by_index: Iterable[str]) -> Iterator[str]:
    """Yield the suspects among the holders of ``symbols``, and whoever of them this command has changed, in turn.

    Baskets are always suspects: what proves pools healthy knows of marks alone, and theirs move with indices too. Those
    of ``by_index`` that hold none of the symbols come last.

    The turn is that of all holders: symbol by symbol, first come first, each trader once. Who is changed on the way by
    a liquidation before his turn comes is looked at too; whose turn has passed is not. It costs what these few cost.
    """
    touched, limit = state.touched, state.places
    touched.left = {}
    order = {symbol: index for index, symbol in enumerate(symbols)}

    def turn(name: str) -> tuple[int, int] | None:
        """Return when it is a trader's turn: his place now, as the walk began; None for who held nothing then."""
        trader, left = state.traders.get(name), touched.left.get(name)
        places = {} if trader is None else {symbol: state.holders[symbol][name] for symbol, _ in trader.held}
        if left:
            places |= left
        found = [(order[symbol], place) for symbol, place in places.items() if place <= limit and symbol in order]
        return min(found) if found else None

    named = {*suspects, *touched.names}
    if not named:
        return
    waiting = sorted([(at, name) for name in named if (at := turn(name)) is not None], reverse=True)
    known = len(touched.names)
    later = [name for name in by_index if turn(name) is None]
    changed: list[tuple[tuple[int, int], str]] = []  # a heap: whose turn is still to come, and who was not named
    last = None
    while waiting or changed:
        # Those who were named are sorted once, which costs less than a heap of them: a crash names thousands.
        now = heappop(changed) if not waiting or (changed and changed[0] < waiting[-1]) else waiting.pop()
        if now == last:
            continue  # a suspect who was changed as well
        last = now
        yield now[1]
        if len(touched.names) == known:
            continue
        for name in touched.names[known:]:
            at = turn(name) if name != now[1] else None  # his turn is now
            if at is not None and at > now[0]:
                heappush(changed, (at, name))
        known = len(touched.names)
    yield from later


def _disbelief(
    state: State, command: asked.UpdatePrices, kind: str, symbol: str, price: Price, now: dict[str, dict[str, Price]]
) -> tuple[str | None, bool]:
    """Return why a price is not believed, or None; and whether what it is held against contradicts it.

    Not positive; too far from the one before it, unless enough updates have said so by now; too far from the index. A
    last price is held to the mark as a mark is held to the index; where none is known, to the last price before it.
    Only believed prices count as references: what a broken feed says of the index must not decide about a mark.
    """
    if not price.is_finite() or price <= 0:
        return "not_positive", True
    if kind == "index":
        return _index_jumped(state, command, symbol, price), False
    if not _is_listed(state, symbol):
        return "unknown_symbol", True
    if symbol in state.settled:
        return "settled", True
    guard = state.setup.guard
    if kind == "marks":
        before, away = _told(state, "mark", symbol), "away_from_index"
        reference = now["index"].get(symbol, state.index.get(symbol))
    else:
        before, away = None, "away_from_mark"
        reference = now["marks"].get(symbol, _told(state, "mark", symbol))
        if reference is None:
            before = _told(state, "last", symbol)
    limit, farthest = guard.jump_of(symbol), guard.from_index
    if farthest is None and kind == "last":
        farthest = limit
    contradicted = reference is not None and farthest is not None and abs(price - reference) > farthest * reference
    if before is not None and limit is not None and abs(price - before) > limit * before:
        if not contradicted and confirmed(state, command, _OF[kind], symbol, price):
            return None, False
        return "jump", contradicted
    return away if contradicted else None, contradicted


def _index_jumped(state: State, command: asked.UpdatePrices, asset: str, price: Price) -> str | None:
    """Return ``jump`` for the index of an asset that baskets count at, where it moved too far to be believed at once.

    The index of a contract's symbol is what its mark is held against, and is believed as it comes.
    """
    before, limit = state.index.get(asset), state.setup.guard.jump_of(asset)
    if before is None or limit is None or not state.baskets or _is_listed(state, asset):
        return None
    if abs(price - before) <= limit * before or confirmed(state, command, "index", asset, price):
        return None
    return "jump"


def _told(state: State, kind: str, symbol: str) -> Price | None:
    """Return the price of the tape that a new one is held against: not one that forced orders have moved."""
    told = state.told.get((kind, symbol))
    return told if told is not None else (state.marks if kind == "mark" else state.last).get(symbol)


def _is_listed(state: State, symbol: str) -> bool:
    """Whether the rulebook lists a symbol, so that something can be computed with its price."""
    try:
        state.rulebook.entry(symbol)
    except BadInput:
        return False
    return True


__all__ = ["all_believed", "update"]
