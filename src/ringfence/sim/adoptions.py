"""What the auditor asks of a position that was taken over from elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ringfence.sim.reckoning import worth
from ringfence.sim.shadow import FUND, MARKET, NOTHING

if TYPE_CHECKING:
    from ringfence.engine.events import Traded
    from ringfence.sim.shadow import Shadow

_LAST_PLACE = Fraction(1, 10**24)  # a margin is a quotient, rounded up there


def what_is_wrong_with_an_adoption(shadow: Shadow, event: Traded) -> str | None:
    """Return what is wrong with an adoption that is about to be applied, or None.

    The market is the other side; the leg was not held; the trader's money moves by the position's margin alone, out of
    a wallet that has it (isolated), or not at all (cross).
    """
    if (event.buyer == MARKET) == (event.seller == MARKET) or FUND in {event.buyer, event.seller}:
        return "not between a trader and the market"
    name, leg = (event.seller, event.seller_leg) if event.buyer == MARKET else (event.buyer, event.buyer_leg)
    if (event.symbol, leg) in shadow.legs.get(name, {}):
        return f"{name} {leg} is held already"
    term = shadow.term(event.symbol)
    wallet, margin = f"wallet:{name}", f"isolated:{name}:{event.symbol}:{leg}"
    moved: dict[str, Fraction] = {}
    for account, _, amount in event.postings:
        if account == "fees" or account in {wallet, margin, f"bonus:{name}"}:
            moved[account] = moved.get(account, NOTHING) + Fraction(amount)
    if not shadow.is_isolated(name, event.symbol):
        return f"money moved for a cross position: {moved}" if any(moved.values()) else None
    due = Fraction(event.quantity) * worth(term, Fraction(event.price)) / shadow.leverage[name, event.symbol]
    taken = moved.get(margin, NOTHING)
    if not due <= taken <= due + _LAST_PLACE + due * _LAST_PLACE:
        return f"its margin is {float(taken)}, not {float(due)}"
    if moved != {wallet: -taken, margin: taken}:
        return f"more moved than its margin: {moved}"
    return None if shadow.balance(wallet, term.asset) >= taken else "a wallet that does not have it"


__all__ = ["what_is_wrong_with_an_adoption"]
