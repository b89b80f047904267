"""Who is to be deleveraged next, reckoned by the auditor for itself."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ringfence.sim.laws import figure
from ringfence.sim.reckoning import worth
from ringfence.sim.shadow import FUND, MARKET, NOTHING

if TYPE_CHECKING:
    from ringfence.sim.reckoning import Leg
    from ringfence.sim.shadow import Shadow


class Queue:
    """Who is to be deleveraged, reckoned when the first one is."""

    def __init__(self, shadow: Shadow, symbol: str, fund: Leg, price: Fraction) -> None:
        self.left: list[tuple[Fraction, str, str, Fraction]] = []
        term = shadow.term(symbol)
        for name, legs in shadow.legs.items():
            for (of, which), leg in legs.items():
                if of != symbol or name in {MARKET, FUND} or (leg.quantity > 0) == (fund.quantity > 0):
                    continue
                pool = shadow.pool_of(name, symbol, leg)
                balance = shadow.worth_at_marks(name, pool)
                value = worth(term, shadow.marks[symbol])
                sign = -1 if term.inverse else 1
                gained = sign * leg.quantity * value - leg.entry
                cost = sign * leg.quantity * (worth(term, price) - value)
                if pool == "account":
                    how, own = shadow.counts(term.asset), shadow.equity(name, term.asset)
                    cost = how.of(own + cost) - how.of(own)
                if balance + cost < 0:
                    continue  # could not bear the price
                exposure = NOTHING
                for _, one in shadow.members(name, pool):
                    each = abs(one.quantity) * worth(shadow.term(one.symbol), shadow.marks[one.symbol])
                    exposure += each * shadow.counts(shadow.term(one.symbol).asset).price if pool == "account" else each
                score = gained / abs(leg.entry)
                if shadow.rulebook.deleveraging_rank == "margin_ratio":
                    found = shadow.reckoned(name, pool)
                    exposure = NOTHING if found is None else found.required
                if balance > 0 and exposure:
                    score = score * exposure / balance if score > 0 else score * balance / exposure
                self.left.append((score, name, which, abs(leg.quantity)))

    def taken(self, name: str, leg: str, size: Fraction) -> str | None:
        """Return what is wrong with deleveraging this leg now by ``size``, or None."""
        if name == MARKET:
            return None if not self.left else f"the market before {self.left[0][1]}"
        found = next((one for one in self.left if one[1:3] == (name, leg)), None)
        if found is None:
            return f"{name} {leg} is not in the queue"
        best = max(one[0] for one in self.left)
        if found[0] < best - Fraction(1, 10**9) * (1 + abs(best)):
            return f"{name} {leg} with {figure(found[0])} before one with {figure(best)}"
        self.left.remove(found)
        if size < found[3]:
            self.left.append((found[0] + 10**9, name, leg, found[3] - size))  # stays the first
        return None


__all__ = ["Queue"]
