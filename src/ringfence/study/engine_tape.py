"""A tape for the engine: its prices as commands, what is believed of them, accounts opened at given prices, impact.

A tape's own bounds say how far a price may move from one to the next, gaps included: the crash that really happened is
never taken for a bad tick. A price counts as too old one bar after it came: where bars are missing, nothing is decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.engine import commands as asked
from ringfence.engine.decide import handle
from ringfence.engine.events import Refused, Traded
from ringfence.engine.evolve import evolve
from ringfence.engine.liquidity import impact, relaxed
from ringfence.engine.settle import Side, Trade, traded
from ringfence.engine.setup import PriceGuard
from ringfence.engine.state import HOUSE
from ringfence.numbers import ONE, ROUND_CEILING, ROUND_HALF_EVEN, ZERO, divide, exact, round_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from ringfence.account import PositionMode
    from ringfence.engine.events import Event
    from ringfence.engine.setup import Market
    from ringfence.engine.state import State
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.rulebook import Rulebook
    from ringfence.tape import Tape, Tick

_JUMP_PLACES = 6
_FORCED = frozenset({"liquidation", "disposal"})


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


class Opener:
    """Opens accounts: money and settings by commands, positions as trades with the tape's market, without fees."""

    def __init__(self, state: State, at: int) -> None:
        self._state, self._at, self._count = state, at, 0

    def money(self, name: str, asset: str, amount: Value) -> None:
        """Bring capital in."""
        if amount > 0:
            self._do(asked.Deposit(self._next(), self._at, name, asset, amount))

    def position_mode(self, name: str, mode: PositionMode) -> None:
        """Choose one-way or hedge mode."""
        if mode.value != "one_way":
            self._do(asked.SetPositionMode(self._next(), self._at, name, mode.value))

    def margin_mode(self, name: str, symbol: str, mode: str) -> None:
        """Choose isolated or cross; cross is what a trader starts with."""
        if mode == "isolated" and symbol not in self._state.trader(name).margin_mode:
            self._do(asked.SetMarginMode(self._next(), self._at, name, symbol, mode))

    @exact
    def position(self, name: str, symbol: str, quantity: Quantity, price: Price, *, leverage: Decimal) -> None:
        """Open a position of signed ``quantity``; an isolated one takes entry notional ÷ leverage from the wallet."""
        state = self._state
        if state.trader(name).leverage.get(symbol) != leverage:
            if any(held == symbol for held, _ in state.trader(name).held):
                state.trader(name).leverage[symbol] = leverage  # the other leg of a hedge, opened with another one
            else:
                self._do(asked.SetLeverage(self._next(), self._at, name, symbol, leverage))
        hedged = state.trader(name).position_mode.value == "hedge"
        own = Side(name, ("long" if quantity > 0 else "short") if hedged else "net")
        buyer, seller = (own, Side(HOUSE)) if quantity > 0 else (Side(HOUSE), own)
        trade = Trade(symbol, price, abs(quantity), "order", buyer, seller)
        evolve(state, traded(state, trade, command=self._next(), at=self._at))

    def _next(self) -> str:
        self._count += 1
        return f"open {self._count}"

    def _do(self, command: asked.Command) -> None:
        for event in handle(self._state, command):
            if isinstance(event, Refused):
                message = f"{event.message} ({command})"
                raise AssertionError(message)  # noqa: TRY004 - what was drawn or checked before cannot be refused


class Pressure:
    """What forced orders do to the tape's price: a model of ours, see :mod:`ringfence.engine.liquidity`.

    ``refill``: how many levels of the market's depth come back per second. Prices keep the tape's decimal places.
    """

    def __init__(self, market: Market, rulebook: Rulebook, tape: Tape, *, refill: Decimal) -> None:
        self._market, self._rulebook, self._refill = market, rulebook, refill
        self._steps = {symbol: ONE.scaleb(-series.places) for symbol, series in tape.series.items()}
        self._pressure: dict[str, tuple[int, Quantity]] = {}

    @exact
    def price(self, symbol: str, price: Price, at: int) -> Price:
        """Return the tape's ``price`` of a moment, moved by what was forced before it and has not worn off."""
        since, pressure = self._pressure.get(symbol, (at, ZERO))
        if not pressure:
            return price
        liquidity = self._market.liquidity(self._rulebook.contract(symbol), price)
        left = relaxed(pressure, elapsed=at - since, refill=liquidity.depth * self._refill)
        self._pressure[symbol] = (at, left)
        step = self._steps[symbol]
        return max(step, round_to(impact(liquidity, quantity=left), step, rounding=ROUND_HALF_EVEN))

    @exact
    def add(self, events: Iterable[Event], at: int) -> None:
        """Take in what was forced onto the tape's market."""
        for symbol, quantity in forced_volume(events):
            since, pressure = self._pressure.get(symbol, (at, ZERO))
            self._pressure[symbol] = (since, pressure + quantity)


def forced_volume(events: Iterable[Event]) -> Iterator[tuple[str, Quantity]]:
    """Yield (symbol, contracts) of forced orders that the tape's market took: + bought from it, − sold to it."""
    for event in events:
        if isinstance(event, Traded) and event.cause in _FORCED and HOUSE in {event.buyer, event.seller}:
            yield event.symbol, event.quantity if event.seller == HOUSE else -event.quantity


__all__ = ["Opener", "Pressure", "bar_of", "forced_volume", "guard_of", "moments"]
