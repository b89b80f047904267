"""Prices that jumped further than is believed of one update, and how they come to be believed all the same.

A bad tick and a crash look alike at first. So a price that jumped is kept as a *doubt*: the venue stays with the price
it had, and decides nothing on that either. What comes next tells the two apart:

* an update that is believed ends the doubt: it was a bad tick;
* further updates that say about the same (within ``agreement`` of the one before, each at a later moment) confirm it:
  ``confirmations`` of them, or ``witnessed`` where the last price and the index of the same update agree with it too;
* another jump, elsewhere, begins the doubt anew. So does one that the index contradicts.

The figures are the :class:`~ringfence.engine.setup.PriceGuard`'s. A confirmed price must still be near the index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringfence.account import Pool
    from ringfence.engine.commands import UpdatePrices
    from ringfence.engine.state import State
    from ringfence.numbers import Price


def agreeing(state: State, command: UpdatePrices, of: str, symbol: str, price: Price) -> int:
    """Return how many updates before have been agreed with by now, this one included; 0 for a new doubt."""
    doubt = state.doubts.get((of, symbol))
    if doubt is None or not _agree(state, price, doubt.price):
        return 0
    return doubt.agreeing + (command.at > doubt.at)


def confirmed(state: State, command: UpdatePrices, of: str, symbol: str, price: Price) -> bool:
    """Whether a price that jumped is believed now: enough updates have agreed, or fewer and two witnesses."""
    guard, count = state.setup.guard, agreeing(state, command, of, symbol, price)
    if guard.confirmations is None or not count:
        return False
    return count >= guard.confirmations or (
        guard.witnessed is not None and count >= guard.witnessed and _witnessed(state, command, symbol, price)
    )


def _witnessed(state: State, command: UpdatePrices, symbol: str, price: Price) -> bool:
    """Whether the last price and the index of the same update agree with a mark."""
    for others in (command.last, command.index):
        said = dict(others).get(symbol)
        if said is None or not said.is_finite() or said <= 0 or not _agree(state, price, said):
            return False
    return True


def _agree(state: State, price: Price, other: Price) -> bool:
    return abs(price - other) <= state.setup.guard.agreement * other


def in_doubt(state: State, pool: Pool) -> bool:
    """Whether a mark or an index that the pool is valued at is in doubt."""
    return bool(state.doubts) and (
        any(("mark", position.symbol) in state.doubts for position in pool.positions)
        or any(("index", asset) in state.doubts for asset in pool.collateral)
        or (pool.risk is not None and any(
            ("index", state.rulebook.contract(position.symbol).risk_unit) in state.doubts for position in pool.positions
        ))
    )  # fmt: skip


__all__ = ["agreeing", "confirmed", "in_doubt"]
