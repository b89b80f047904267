"""What the auditor asks of prices: of those a venue took on, and of those that forced orders moved."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from ringfence.engine.commands import UpdatePrices
from ringfence.sim.shadow import NOTHING, Claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine.commands import Command
    from ringfence.engine.events import PriceMoved, PricesChanged
    from ringfence.engine.setup import PriceGuard, Setup
    from ringfence.sim.shadow import Shadow


def beliefs(shadow: Shadow, guard: PriceGuard, command: Command, event: PricesChanged) -> Iterator[tuple[str, bool]]:
    """Yield each price of an event, and whether a venue may believe it; before the event is applied.

    A mark: positive, near the index, and near the one the tape told before it, or else confirmed by the updates between
    (:func:`claimed` has counted them). Last and index: positive.
    """
    index = {symbol: Fraction(price) for symbol, price in event.index}
    for symbol, price in event.marks:
        good = price.is_finite() and price > 0
        if good:
            now, before = Fraction(price), shadow.told.get(("mark", symbol), shadow.marks.get(symbol))
            jump, away = guard.jump_of(symbol), guard.from_index
            if before is not None and jump is not None:
                good = abs(now - before) <= Fraction(jump) * before or _confirmed(shadow, guard, command, symbol, now)
            reference = index.get(symbol, shadow.index.get(symbol))
            if reference is not None and away is not None:
                good = good and abs(now - reference) <= Fraction(away) * reference
        yield f"{symbol} {price}", good
    for symbol, price in (*event.last, *event.index):
        yield f"last or index {symbol} {price}", price.is_finite() and price > 0


def claimed(shadow: Shadow, guard: PriceGuard, command: UpdatePrices) -> None:
    """Count what an update says of marks that jump: what the one before said, or something else; after it was decided.

    A mark that was believed has ended its claim. Only one that is positive and jumps makes one; the index contradicts.
    Where no number of updates would confirm it there is nothing to count: it was rejected, the mark before it holds.
    """
    if guard.confirmations is None:
        return
    index = {**shadow.index, **{symbol: Fraction(p) for symbol, p in command.index if p.is_finite() and p > 0}}
    for symbol, price in command.marks:
        before, jump = shadow.told.get(("mark", symbol), shadow.marks.get(symbol)), guard.jump_of(symbol)
        if not price.is_finite() or price <= 0 or before is None or jump is None:
            continue
        now = Fraction(price)
        if abs(now - before) <= Fraction(jump) * before:
            continue  # near enough: believed, or rejected for another reason
        reference = index.get(symbol)
        contradicted = (
            reference is not None
            and guard.from_index is not None
            and abs(now - reference) > Fraction(guard.from_index) * reference
        )
        agreed = 0 if contradicted else _agreed(shadow, guard, command, symbol, now)
        shadow.claims[symbol] = Claim(now, agreed, command.at)


def _agreed(shadow: Shadow, guard: PriceGuard, command: Command, symbol: str, now: Fraction) -> int:
    """Return how many updates have agreed with the first that jumped there, with this one; 0 if this is the first."""
    claim = shadow.claims.get(symbol)
    if claim is None or abs(now - claim.price) > Fraction(guard.agreement) * claim.price:
        return 0
    return claim.agreed + (1 if command.at > claim.at else 0)


def _confirmed(shadow: Shadow, guard: PriceGuard, command: Command, symbol: str, now: Fraction) -> bool:
    agreed = _agreed(shadow, guard, command, symbol, now)
    if guard.confirmations is None or not isinstance(command, UpdatePrices) or not agreed:
        return False
    if agreed >= guard.confirmations:
        return True
    if guard.witnessed is None or agreed < guard.witnessed:
        return False
    for prices in (command.last, command.index):
        said = dict(prices).get(symbol)
        if said is None or not said.is_finite() or said <= 0:
            return False
        if abs(now - Fraction(said)) > Fraction(guard.agreement) * Fraction(said):
            return False
    return True


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


__all__ = ["beliefs", "claimed", "pressed", "what_is_wrong_with_a_moved_price"]
