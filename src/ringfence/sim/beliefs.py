"""What the auditor asks of prices: of those a venue took on, and of those that forced orders moved."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from ringfence.sim.shadow import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine.events import PriceMoved, PricesChanged
    from ringfence.engine.setup import PriceGuard, Setup
    from ringfence.sim.shadow import Shadow


def beliefs(shadow: Shadow, guard: PriceGuard, event: PricesChanged) -> Iterator[tuple[str, bool]]:
    """Yield each price of an event, and whether a venue may believe it; before the event is applied.

    A mark: positive, near the one the tape told before it, near the index. Last and index: positive.
    """
    index = {symbol: Fraction(price) for symbol, price in event.index}
    for symbol, price in event.marks:
        good = price.is_finite() and price > 0
        if good:
            now, before = Fraction(price), shadow.told.get(("mark", symbol), shadow.marks.get(symbol))
            jump, away = guard.jump_of(symbol), guard.from_index
            if before is not None and jump is not None:
                good = abs(now - before) <= Fraction(jump) * before
            reference = index.get(symbol, shadow.index.get(symbol))
            if reference is not None and away is not None:
                good = good and abs(now - reference) <= Fraction(away) * reference
        yield f"{symbol} {price}", good
    for symbol, price in (*event.last, *event.index):
        yield f"last or index {symbol} {price}", price.is_finite() and price > 0


def pressed(shadow: Shadow, setup: Setup, event: PricesChanged) -> set[str]:
    """Return the symbols of an event whose new prices forced orders have to move."""
    new = {symbol for symbol, _ in (*event.marks, *event.last)}
    return {symbol for symbol in new if setup.impact and shadow.pressure.get(symbol, (NOTHING, 0))[0]}


def what_is_wrong_with_a_moved_price(shadow: Shadow, setup: Setup, event: PriceMoved) -> str | None:
    """Return what is wrong with a price that forced orders moved, before the event is applied; None: nothing.

    The pressure is what the auditor added up from trades, worn off by the levels that came back meanwhile; the price is
    the tape's, moved by one level gap for every level of it, to the nearest price step.
    """
    if not setup.impact:
        return "nothing moves prices here"
    pressure, since = shadow.pressure.get(event.symbol, (NOTHING, event.at))
    told = shadow.marks if event.mark is not None else shadow.last
    depth = _level(shadow, setup, event.symbol, told[event.symbol])
    worn = Fraction(setup.market.refill) * depth * max(0, event.at - since) / 10**6
    left = max(NOTHING, abs(pressure) - worn) * (1 if pressure > 0 else -1)
    if left != Fraction(event.pressure):
        return f"a pressure of {float(left)}"
    step = Fraction(shadow.rulebook.contract(event.symbol).price_step or 0)
    for price, tape in ((event.mark, shadow.marks), (event.last, shadow.last)):
        if price is None:
            continue
        now = tape[event.symbol]
        moved = now * (1 + Fraction(setup.market.level_gap) * left / _level(shadow, setup, event.symbol, now))
        away = abs(Fraction(price) - max(moved, step))
        if away > (step or now) / 2:
            return f"{float(moved)} expected"
    return None


def _level(shadow: Shadow, setup: Setup, symbol: str, price: Fraction) -> Fraction:
    """Return the contracts on each level of the market at a price."""
    contract = shadow.rulebook.contract(symbol)
    step = Fraction(contract.quantity_step or Fraction(1, 10**8))
    one = Fraction(contract.contract_size) * (1 if contract.kind.value == "inverse" else price)
    return max(step, floor(Fraction(setup.market.depth_value) / one / step) * step)


__all__ = ["beliefs", "pressed", "what_is_wrong_with_a_moved_price"]
