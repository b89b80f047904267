"""Compiled loops that fill the columns of :mod:`ringfence.screen.columns`. Needs numba; imported when it is used."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ringfence.margin import formulas
from ringfence.screen.compiled import compiled, inlined

ROUND_UP = 1.0 + 2.0**-48  #: a position this close below a tier's floor counts as being in it
MOST_LOTS = 2.0**31 - 1.0

_maintenance_margin = inlined(formulas.maintenance_margin)
_bankruptcy_value = inlined(formulas.bankruptcy_value)


@inlined
def contract_value(price: float, size: float, inverse: bool) -> float:  # noqa: FBT001 - a number in compiled code
    """Return the unsigned value of one contract at a price (:meth:`ringfence.contract.Contract.contract_value`)."""
    return size / price if inverse else size * price


@inlined
def in_tier(lots: float, value: float, floor: float) -> bool:
    """Whether that many lots, each of that value, have reached a tier's floor; in doubt they have."""
    return floor <= lots * value * ROUND_UP


@compiled
def tier_of(lots: float, value: float, floor: Any, tiers: int) -> int:
    """Return the tier of that many lots, each of that value."""
    tier = 0
    while tier + 1 < tiers and in_tier(lots, value, floor[tier + 1]):
        tier += 1
    return tier


@compiled
def largest(instrument: Any, quantity: Any, most: Any) -> None:
    """Fill ``most`` (I) with the largest size held in each instrument, in contracts."""
    for leg in range(instrument.size):
        i = instrument[leg]
        size = abs(quantity[leg])
        if np.isfinite(size) and size > most[i]:
            most[i] = size


@compiled
def mark_fitting(legs_of: Any, lot: Any, look: Any, jumps: Any, alone: Any, family: Any, mark: Any, fits: Any) -> None:
    """Set ``fits`` to False for pools that cannot be packed. ``mark``: by instrument."""
    first, instrument = legs_of.first, legs_of.instrument
    for pool in range(first.size - 1):
        good = np.isfinite(legs_of.balance[pool])
        if legs_of.fixed.size:
            good = good and np.isfinite(legs_of.fixed[pool])
        for leg in range(first[pool], first[pool + 1]):
            i, entry = instrument[leg], legs_of.entry_price[leg]
            lots = abs(legs_of.quantity[leg]) / lot[i]
            if alone[i]:
                for other in range(first[pool], first[pool + 1]):
                    good = good and (other == leg or family[instrument[other]] != family[i])
            if jumps[i]:
                good = good and abs(lots - np.rint(lots)) <= 2.0**-50 * lots
            good = good and not look[i] and lots > 0 and np.rint(lots) <= MOST_LOTS
            good = good and np.isfinite(entry) and entry > 0 and np.isfinite(mark[i]) and mark[i] > 0
        fits[pool] = good


@compiled
def fixed_fee(kind: int, rate: float, gross_entry: float, margin: float, leverage: float, rises: float) -> float:
    """Return a closing fee that no mark moves (``ringfence.margin.assess``). ``margin``: NaN in a shared pool.

    ``rises``: +1 where the position gains when a contract's value rises. NaN where a leverage is needed and not known.
    """
    if kind == 2:
        own = 0.0
        if margin == margin:  # noqa: PLR0124 - not NaN
            own = (margin - rate * gross_entry) / (1.0 + rate)
        elif leverage == leverage:  # noqa: PLR0124
            own = gross_entry / leverage
        return rate * (gross_entry + own)
    if kind == 3 and leverage == leverage:  # noqa: PLR0124
        return rate * _bankruptcy_value(gross_entry, gross_entry / leverage, 1 if rises > 0 else -1)
    return rate * gross_entry if kind else 0.0


@compiled
def charged(first: int, end: int, leg: int, instrument: Any, quantity: Any) -> bool:
    """Whether ``leg`` is the larger of its pool in its instrument; of equal ones the long one is."""
    own = abs(quantity[leg])
    for other in range(first, end):
        if other != leg and instrument[other] == instrument[leg]:
            size = abs(quantity[other])
            if size > own or (size == own and quantity[other] > quantity[leg]):
                return False
    return True


class Terms(NamedTuple):
    """The instruments' arrays that filling needs (:mod:`ringfence.screen.instruments`)."""

    price_of: Any
    size: Any
    inverse: Any
    lot: Any
    fee_slope: Any
    fee_kind: Any
    fee_rate: Any
    moving: Any
    funding: Any
    by_contracts: Any
    larger_side: Any
    isolated: Any
    bare: Any
    floor: Any
    rate: Any
    deduction: Any
    tiers: Any
    credit: Any
    charge: Any


class Held(NamedTuple):
    """The caller's pools and legs (:class:`ringfence.screen.columns.Legs`), an empty array for what is not given."""

    first: Any
    balance: Any
    instrument: Any
    quantity: Any
    entry_price: Any
    leverage: Any
    fixed: Any


class Packed(NamedTuple):
    """The columns to fill (:mod:`ringfence.screen.columns`)."""

    code: Any
    lots: Any
    cash: Any
    fixed: Any
    gross: Any
    number: Any


@compiled
def highest_rates(of: Any) -> Any:
    """Return the highest rate of any tier of each instrument, funding and fee added."""
    highest = np.zeros(of.price_of.size)
    for i in range(highest.size):
        for tier in range(of.tiers[i]):
            rate = of.rate[i, tier] + of.funding[i] + of.fee_slope[i]
            if rate > highest[i]:  # noqa: PLR1730 - max() would keep a NaN
                highest[i] = rate
    return highest


@compiled
def fill(legs_of: Any, of: Any, prices: Any, place: Any, groups: Any, into: Any) -> None:
    """Fill the columns of the pools that have a place."""
    count = of.price_of.size
    highest = highest_rates(of)
    first, instrument, quantity, balance = legs_of.first, legs_of.instrument, legs_of.quantity, legs_of.balance
    for pool in range(place.size):
        at = place[pool]
        if at < 0:
            continue
        group = 0
        while at >= groups[group, 1] + groups[group, 2]:
            group += 1
        stride = groups[group, 2]
        into.number[at] = pool
        held = balance[pool]
        required = legs_of.fixed[pool] if legs_of.fixed.size else 0.0
        gross = abs(held) + abs(required)
        for leg in range(first[pool], first[pool + 1]):
            i = instrument[leg]
            if of.larger_side[i] and not charged(first[pool], first[pool + 1], leg, instrument, quantity):
                i = of.bare[i]
            value = contract_value(prices[of.price_of[i]], of.size[i], of.inverse[i])
            at_entry = contract_value(legs_of.entry_price[leg], of.size[i], of.inverse[i])
            contracts = abs(quantity[leg])
            whole = np.rint(contracts / of.lot[i])
            rises = 1.0 if (quantity[leg] > 0) != of.inverse[i] else -1.0
            held -= rises * contracts * at_entry * of.credit[i]
            most = contracts * (value + at_entry) * (1.0 + highest[i]) * max(of.credit[i], of.charge[i])
            # A quantity between two lots: the share it is off by, enlarged so that the error bound counts all of it.
            gross += most + abs(contracts - whole * of.lot[i]) / contracts * most * 2.0**46
            counted = 1.0 if of.by_contracts[i] else value if of.moving[i] else at_entry
            tier = tier_of(whole, of.lot[i] * counted, of.floor[i], of.tiers[i])
            if not of.moving[i]:
                rate = of.rate[i, tier] + of.funding[i]
                required += of.charge[i] * _maintenance_margin(contracts * at_entry, rate, of.deduction[i, tier])
                tier = 0
            if of.fee_kind[i]:
                margin = balance[pool] if of.isolated[i] else np.nan
                leverage = legs_of.leverage[leg] if legs_of.leverage.size else np.nan
                fee = fixed_fee(of.fee_kind[i], of.fee_rate[i], contracts * at_entry, margin, leverage, rises)
                required += of.charge[i] * fee
            where = groups[group, 3] + (leg - first[pool]) * stride + at - groups[group, 1]
            into.code[where] = tier * 2 * count + (0 if quantity[leg] > 0 else count) + i
            into.lots[where] = int(whole)
        into.cash[at], into.fixed[at], into.gross[at] = held, required, gross
