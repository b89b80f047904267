"""What a pool is worth and what is required of it, reckoned again from the venues' words, in fractions.

Shares no code with the margin maths or the engine: it reads the rulebook's data (terms, tiers, names of policies) and
does its own sums. Maintenance of progressive tiers is summed slice by slice, so that the deductions of the tables are
held to their meaning. It covers the policies of the simulated venues and says so for any other.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ringfence.rulebook import Policies, Rulebook

#: Positions carry an average entry price of 24 places where the auditor keeps the entry value: beyond this share of the
#: requirement two figures are held to be different.
TOLERANCE = Fraction(1, 10**12)


class Step(NamedTuple):
    """One risk tier: from ``floor`` on, ``rate`` of what lies in it (progressive) or of all (step)."""

    floor: Fraction
    rate: Fraction


class Terms(NamedTuple):
    """A symbol's terms. ``tiers`` None: not known."""

    symbol: str
    asset: str
    inverse: bool
    size: Fraction
    taker: Fraction
    closing: Fraction  # the rate of a liquidation: the taker's where the venue states none
    in_contracts: bool
    tiers: tuple[Step, ...] | None


class Leg(NamedTuple):
    """A position: signed contracts, signed value they were entered at, the leverage chosen for it."""

    symbol: str
    quantity: Fraction
    entry: Fraction
    leverage: Fraction | None


class Tranche(NamedTuple):
    """A part of an amount of collateral, from ``begins`` to ``ends`` (None: without end), that counts ``share``."""

    begins: Fraction
    ends: Fraction | None
    share: Fraction


class Counting(NamedTuple):
    """How an asset counts in a basket: its index price, what a debt costs of it, its tranches, in coins or by worth."""

    price: Fraction
    debt: Fraction
    by_worth: bool
    tranches: tuple[Tranche, ...]

    def of(self, amount: Fraction) -> Fraction:
        """Return what an amount counts for, owed (< 0) or held."""
        if amount < 0:
            return amount * self.price * self.debt
        size = amount * self.price if self.by_worth else amount
        total = Fraction(0)
        for part in self.tranches:
            inside = size - part.begins if part.ends is None else min(size, part.ends) - part.begins
            total += max(Fraction(0), inside) * part.share
        return total if self.by_worth else total * self.price


class Working(NamedTuple):
    """An open order that can add to a position."""

    symbol: str
    size: Fraction
    price: Fraction


class Reckoned(NamedTuple):
    """What stands behind a pool at the marks, and what its venue liquidates it below (or at, with ``at_equal``).

    ``of_debts``: the part of it that is for what is owed, which a loss becomes when it is realised.
    """

    balance: Fraction
    required: Fraction
    at_equal: bool
    of_debts: Fraction = Fraction(0)

    @property
    def certainly_liquidatable(self) -> bool:
        """Whether it is liquidatable whatever was rounded."""
        return self.balance < self.required - TOLERANCE * (1 + self.required)

    @property
    def certainly_healthy(self) -> bool:
        """Whether it is not, whatever was rounded."""
        return self.balance > self.required + TOLERANCE * (1 + self.required)


def terms(rulebook: Rulebook, symbol: str) -> Terms:
    """Return a symbol's terms as fractions."""
    contract, table = rulebook.entry(symbol)
    taker = Fraction(contract.taker_fee_rate or 0)
    known = table is not None and all(tier.maintenance_rate is not None for tier in table.tiers)
    return Terms(
        symbol,
        contract.settle_asset,
        contract.kind.value == "inverse",
        Fraction(contract.contract_size),
        taker,
        taker if contract.liquidation_fee_rate is None else Fraction(contract.liquidation_fee_rate),
        table is not None and table.unit == "contracts",
        tuple(Step(Fraction(t.floor), Fraction(t.maintenance_rate or 0)) for t in table.tiers)
        if table is not None and known
        else None,
    )


def counting(rulebook: Rulebook, asset: str, index: Fraction) -> Counting:
    """Return how an asset counts by the rulebook's list; whole where a dollar is not on it."""
    listed = rulebook.haircuts(asset)
    if listed is None:
        return Counting(index, Fraction(1), by_worth=False, tranches=(Tranche(Fraction(0), None, Fraction(1)),))
    kept = 1 - Fraction(listed.bid_buffer)
    parts = tuple(
        Tranche(Fraction(one.floor), None if one.cap is None else Fraction(one.cap), Fraction(one.ratio) * kept)
        for one in listed.slices
    ) or (Tranche(Fraction(0), None, Fraction(listed.ratio) * kept),)
    return Counting(index, 1 + Fraction(listed.ask_buffer), by_worth=listed.unit == "usd", tranches=parts)


def worth(term: Terms, price: Fraction) -> Fraction:
    """Return what one contract is worth, unsigned."""
    return term.size / price if term.inverse else term.size * price


def profit(term: Terms, leg: Leg, price: Fraction) -> Fraction:
    """Return what closing a leg at a price would bring beyond what it was entered at."""
    value = leg.quantity * worth(term, price)
    return (-value if term.inverse else value) - leg.entry


def _sliced(tiers: tuple[Step, ...], value: Fraction) -> Fraction:
    """Return each slice of ``value`` at its own tier's rate."""
    total = Fraction(0)
    for index, tier in enumerate(tiers):
        if value <= tier.floor:
            break
        top = value if index + 1 == len(tiers) else min(value, tiers[index + 1].floor)
        total += (top - tier.floor) * tier.rate
    return total


def _whole(tiers: tuple[Step, ...], amount: Fraction, value: Fraction) -> Fraction:
    """Return all of ``value`` at the rate of the tier that ``amount`` is in: from its floor on."""
    rate = tiers[0].rate
    for tier in tiers:
        if amount >= tier.floor:
            rate = tier.rate
    return value * rate


def reckon(
    policies: Policies, balance: Fraction, legs: list[Leg], orders: Iterable[Working], term_of: Callable[[str], Terms],
    marks: dict[str, Fraction], *, isolated: bool,
) -> Reckoned | None:  # fmt: skip
    """Return a pool's balance and requirement; None where its venue's tiers are not known.

    None also while orders lock margin that a venue takes off the balance: these books do not reckon order margin.
    """
    orders = list(orders)
    if policies.order_margin_deducted and orders and not isolated:
        return None
    cash = balance
    required = Fraction(0)
    for leg in legs:
        term = term_of(leg.symbol)
        if term.tiers is None:
            return None
        balance += profit(term, leg, marks[leg.symbol])
        required += _leg_requirement(policies, balance_of=cash, leg=leg, legs=legs, term=term, mark=marks[leg.symbol],
                                     isolated=isolated)  # fmt: skip
    for order in orders:
        term = term_of(order.symbol)
        value = order.size * worth(term, order.price)
        if policies.orders_in_requirement and term.tiers is not None:
            own = _sliced if policies.tier_type == "progressive" else _by_value
            required += own(term.tiers, value) + value * _rate(policies, term)
        if policies.opening_fees_deducted:
            balance -= term.taker * value
    return Reckoned(balance, required, policies.trigger == "at_or_below")


def _by_value(tiers: tuple[Step, ...], value: Fraction) -> Fraction:
    return _whole(tiers, value, value)


def _leg_requirement(
    policies: Policies, *, balance_of: Fraction, leg: Leg, legs: list[Leg], term: Terms, mark: Fraction, isolated: bool
) -> Fraction:
    tiers = term.tiers or ()
    size = amount = abs(leg.quantity)
    both = [one for one in legs if one.symbol == leg.symbol]
    if policies.hedge_charge == "larger_side" and leg is not max(
        both, key=lambda one: (abs(one.quantity), one.quantity)
    ):
        return Fraction(0)  # the smaller leg of a hedge costs nothing; of equal ones the short
    at_entry = policies.maintenance_at == "entry"
    value = abs(leg.entry) if at_entry else size * worth(term, mark)
    fee = _closing_fee(policies, leg, term, mark, balance_of if isolated else None)
    if policies.tier_type == "progressive":
        return _sliced(tiers, value) + fee
    if policies.tier_type != "step":
        raise AssertionError(f"the auditor does not know tiers of the type {policies.tier_type}")
    if policies.tier_key == "larger_side":
        amount = max(abs(one.quantity) for one in both)
    elif policies.tier_key == "underlying_total" and not isolated and term.in_contracts:
        stem = leg.symbol.rsplit("-", 1)[0]
        amount = max(size, abs(sum((o.quantity for o in legs if o.symbol.rsplit("-", 1)[0] == stem), Fraction(0))))
    if not term.in_contracts:
        amount = amount * value / size
    return _whole(tiers, amount, value) + fee


def _rate(policies: Policies, term: Terms) -> Fraction:
    return term.closing if policies.closing_fee_rate == "liquidation" else term.taker


def _closing_fee(policies: Policies, leg: Leg, term: Terms, mark: Fraction, margin: Fraction | None) -> Fraction:
    if policies.closing_fee == "none":
        return Fraction(0)
    if policies.closing_fee in {"mark", "frozen_mark"}:
        return _rate(policies, term) * abs(leg.quantity) * worth(term, mark)
    if policies.closing_fee == "leverage_bankruptcy_price":
        entered = abs(leg.entry)
        gains_with_value = (leg.quantity > 0) != term.inverse
        lost = Fraction(0) if leg.leverage is None else entered / leg.leverage
        return _rate(policies, term) * (entered - lost if gains_with_value else entered + lost)
    if policies.closing_fee == "entry_and_margin":
        rate, entered = _rate(policies, term), abs(leg.entry)
        if margin is not None:
            return rate * (entered + (margin - rate * entered) / (1 + rate))
        return rate * (entered + (Fraction(0) if leg.leverage is None else entered / leg.leverage))
    raise AssertionError(f"the auditor does not know a closing fee at {policies.closing_fee}")


__all__ = [
    "TOLERANCE",
    "Counting",
    "Leg",
    "Reckoned",
    "Terms",
    "Working",
    "counting",
    "profit",
    "reckon",
    "terms",
    "worth",
]
