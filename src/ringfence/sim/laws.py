"""The laws that a simulated venue is held to, by name, and what is raised where one does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.errors import VerificationFailed

if TYPE_CHECKING:
    from fractions import Fraction

LAWS = {
    "balanced": "postings are zero per asset, and so is the trial balance",
    "clearing": "a contract's clearing account is minus the entry values of all who hold it",
    "zero_sum": "the positions of a symbol are zero in sum, market and fund included",
    "average": "a position's quantity and entry value follow from its trades",
    "funding": "what is paid as funding is received; interest is its rate of a debt, and of nothing else",
    "ring_fence": "no margin is isolated without a position in isolated margin",
    "bonus": "bonus credit is never below 0 and never leaves as money",
    "fees": "everybody pays the rate of his level, less his discounts, and no more",
    "voucher": "a voucher pays what its kind pays, its share, in turn, in its time; its issuer bears it",
    "fund": "the insurance fund is never below 0",
    "contained": "liquidating an isolated position touches nothing outside its pool and costs no more than its margin",
    "opposite": "auto-deleveraging takes opposite sides only, in rank order, at the bankruptcy price",
    "exchanged": "collateral is sold only for a debt that is due, at the venue's loss, and all of it is paid",
    "delivered": "what expires is closed at its settlement price, whole, for the venue's fee, and never traded again",
    "cleared": "nobody owes anything after a liquidation that closed the pool",
    "no_debt": "nobody owes anything without a position",
    "believed": "a price that is taken on is positive, near the one before it or confirmed, and near the index",
    "impact": "a price that forced orders moved is where the model puts it, by what they were and has not worn off",
    "fresh": "nothing is liquidated on a price that is stale or in doubt",
    "hysteresis": "a pool is called when it reaches a level, not twice in a row, and anew once it rose clear of it",
    "healthy": "a pool that is healthy is not liquidated",
    "survivors": "a pool that is liquidatable at fresh marks does not survive a review",
    "named": "whoever owns anything has a name that can be told from others, and nobody acts in the venue's own",
    "protected": "a market order goes no further from the mark than its venue lets it",
    "adopted": "a position that is taken over costs no fee and exactly its margin, and stands against the market alone",
    "reduce_only": "an order that only reduces never opens, adds to or turns a position",
    "step_down": "a step of a liquidation never raises what is required",
    "round_trip": "commands and events are the same after being written and read",
    "repeated": "a command sent again returns its first outcome and changes nothing",
    "fold": "the state is the fold of its events",
    "restored": "a state read from its snapshot is the same, to the byte",
    "replay": "the same commands give the same state",
    "books": "the ledger and the positions are what the auditor's own books say",
    "stands": "the engine does not fail",
}  #: every law by name, in the order of a report


class LawBroken(VerificationFailed):
    """A law did not hold. ``law`` names it, ``figures`` say how."""

    def __init__(self, law: str, figures: str) -> None:
        super().__init__(f"{law}: {LAWS[law]}. Found: {figures}")
        self.law = law
        self.figures = figures


def figure(number: Fraction) -> str:
    """Return a number as the figures of a broken law state it, with 12 significant digits."""
    return f"{float(number):.12g}"


__all__ = ["LAWS", "LawBroken", "figure"]
