"""Forced orders that move the prices of the tape's market, where a venue's set-up says so (``impact``).

What forced orders took from the market, or left with it, is the *pressure* of a symbol: signed contracts, + bought.
It wears off as the market refills its ladder (:attr:`~ringfence.engine.setup.Market.refill` levels a second). A new
price of the tape is believed or not as it comes; then the pressure that is left moves it
(:func:`ringfence.engine.liquidity.impact`), and the venue goes by the moved price. So the command holds what the tape
said, the event what it was made into, and a journal verifies. A model of ours, no venue's figure.

The pressure counts from the price update before it: what a forced order adds between two updates wears off as if it had
been there since the first of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.engine.events import PriceMoved
from ringfence.engine.liquidity import impact, relaxed
from ringfence.numbers import ONE, exact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ringfence.engine.commands import UpdatePrices
    from ringfence.engine.events import Event
    from ringfence.engine.liquidity import Liquidity
    from ringfence.engine.state import State
    from ringfence.numbers import Price, Quantity

FORCED = frozenset({"liquidation", "disposal"})
"""Causes of trades that push, where the tape's market is the other side."""


def move_prices(
    state: State, command: UpdatePrices, marks: Mapping[str, Price], last: Mapping[str, Price]
) -> Iterator[Event]:
    """Yield where pressure moves the tape's prices that were just believed."""
    for symbol in dict.fromkeys([*marks, *last]):
        if symbol not in state.pressure:
            continue
        mark, trade = marks.get(symbol), last.get(symbol)
        left = _left(state, symbol, mark if mark is not None else last[symbol], command.at)
        yield PriceMoved(
            command.id, command.at, symbol, None if mark is None else _moved(state, symbol, mark, left),
            None if trade is None else _moved(state, symbol, trade, left), left,
        )  # fmt: skip


@exact
def expected_mark(state: State, symbol: str, mark: Price, at: int) -> Price:
    """Return the mark that the tape's ``mark`` (> 0) becomes if it is believed now: for who looks ahead."""
    if symbol not in state.pressure:
        return mark
    return _moved(state, symbol, mark, _left(state, symbol, mark, at))


def _left(state: State, symbol: str, price: Price, at: int) -> Quantity:
    pressure, since = state.pressure[symbol]
    refill = _offered(state, symbol, price).depth * state.setup.market.refill
    return relaxed(pressure, elapsed=max(0, at - since), refill=refill)


def _moved(state: State, symbol: str, price: Price, pressure: Quantity) -> Price:
    return impact(_offered(state, symbol, price), quantity=pressure) if pressure else price


def _offered(state: State, symbol: str, price: Price) -> Liquidity:
    """Return the market around the tape's own price; without a price step, prices keep the decimal places they have."""
    offered = state.setup.market.liquidity(state.rulebook.contract(symbol), price)
    if offered.price_step is not None:
        return offered
    exponent = price.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - believed prices are finite
    return replace(offered, price_step=ONE.scaleb(min(0, exponent)))


__all__ = ["FORCED", "expected_mark", "move_prices"]
