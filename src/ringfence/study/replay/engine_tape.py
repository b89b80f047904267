"""A tape for the engine: its prices moment by moment, what is believed of them, and what was forced onto its market.

A tape's own bounds say how far a price may move from one to the next, gaps included: the crash that really happened is
never taken for a bad tick. A price counts as too old one bar after it came: where bars are missing, nothing is decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.engine.events import Traded
from ringfence.engine.impact import FORCED
from ringfence.engine.setup import PriceGuard
from ringfence.engine.state import HOUSE
from ringfence.numbers import ROUND_CEILING, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from ringfence.engine.events import Event
    from ringfence.numbers import Price, Quantity
    from ringfence.tape import Tape, Tick

_JUMP_PLACES = 6


@exact
def guard_of(tape: Tape) -> PriceGuard:
    """Return what is believed of a tape's prices: any move that it makes itself, across its gaps too."""
    jumps = {symbol: max(tape.bounds[symbol].jump, _across_gaps(tape, symbol)) for symbol in tape.symbols}
    return PriceGuard(stale_after=bar_of(tape), by_symbol=jumps)


def bar_of(tape: Tape) -> int:
    """Return the length of the tape's longest bars in microseconds."""
    return max(series.step for series in tape.series.values())


def _across_gaps(tape: Tape, symbol: str) -> Decimal:
    """Return the largest move from the last price before a gap to the first one after it, as Bounds counts moves."""
    largest = ZERO
    before = None
    for bar in tape.bars(symbol):
        if before is not None:
            smaller, larger = sorted((before.close, bar.open))
            largest = max(largest, divide(larger - smaller, smaller, places=_JUMP_PLACES, rounding=ROUND_CEILING))
        before = bar
    return largest


def moments(walk: Iterable[Tick]) -> Iterator[tuple[int, list[tuple[str, Price]]]]:
    """Yield (microseconds, prices) for every moment with a price, in order."""
    now, prices = 0, list[tuple[str, "Price"]]()
    for micros, symbol, price in walk:
        if micros != now and prices:
            yield now, prices
            prices = []
        now = micros
        if price is not None:
            prices.append((symbol, price))
    if prices:
        yield now, prices


def forced_volume(events: Iterable[Event]) -> Iterator[tuple[str, Quantity]]:
    """Yield (symbol, contracts) of forced orders that the tape's market took: + bought from it, − sold to it."""
    for event in events:
        if isinstance(event, Traded) and event.cause in FORCED and HOUSE in {event.buyer, event.seller}:
            yield event.symbol, event.quantity if event.seller == HOUSE else -event.quantity


__all__ = ["bar_of", "forced_volume", "guard_of", "moments"]
