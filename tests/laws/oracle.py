"""An independent solver of margin, slow and obvious: fractions, slices of tiers, and bisection.

It shares no code with ``ringfence.margin``; of the package it reads only the data that describes an account. Where the
package uses rate and deduction this adds up tier by tier; where the package solves for a root this looks for the first
change of sign, going outward over a dense grid of prices with every tier's edge in it, and halves what it found.
Nothing here is ever rounded.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing
from ringfence.contract import ContractKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from decimal import Decimal

    from ringfence.account import Collateral, Pool, Position
    from ringfence.contract import Contract
    from ringfence.rulebook import Policies, Rulebook, TierTable

NARROW = Fraction(1, 10**18)  # of the price: where the halving stops
BESIDE = Fraction(1, 10**40)  # of the price: just past an edge, on its other side
FURTHEST = 10**12  # prices are looked for up to this many times, and down to this fraction of, the mark
GRID = 10  # prices of the grid in each direction


class Leg(NamedTuple):
    """What one position amounts to at a set of prices, in its settlement asset."""

    notional: Fraction
    pnl: Fraction
    maintenance: Fraction
    fee: Fraction


class Totals(NamedTuple):
    """What the pool amounts to: in its asset, or for a basket in the account's currency."""

    balance: Fraction
    pnl: Fraction
    maintenance: Fraction
    fee: Fraction

    @property
    def surplus(self) -> Fraction:
        """Balance less what liquidation is held against."""
        return self.balance - self.maintenance - self.fee


class Book:
    """A pool under a rulebook, as seen from one set of marks. Frozen maintenance and fees stay at those marks."""

    def __init__(self, pool: Pool, marks: Mapping[str, Decimal], rulebook: Rulebook) -> None:
        self.pool = pool
        self.basket = pool.mode.backing is Backing.BASKET
        self.policies: Policies = rulebook.policies_for(isolated=pool.isolated, basket=self.basket)
        self.terms: dict[str, tuple[Contract, TierTable | None]] = {
            position.symbol: rulebook.entry(position.symbol) for position in pool.positions
        }
        self.marks = {symbol: Fraction(marks[symbol]) for symbol in self.terms}

    # ── What one leg amounts to ──

    def leg(self, position: Position, prices: Mapping[str, Fraction]) -> Leg:
        """Return the leg's figures at ``prices``; the fee at a bankruptcy price is left out."""
        contract, _ = self.terms[position.symbol]
        policies = self.policies
        quantity, entry = Fraction(position.quantity), Fraction(position.entry_price)
        at = worth(contract, prices[position.symbol])
        gained = quantity * (at - worth(contract, entry))
        if policies.maintenance_at == "mark":
            basis = prices[position.symbol]
        else:
            basis = entry if policies.maintenance_at == "entry" else self.marks[position.symbol]
        return Leg(
            abs(quantity) * at,
            -gained if contract.kind is ContractKind.INVERSE else gained,
            self._maintenance(position, basis),
            self._fee(position, prices[position.symbol]),
        )

    def initial(self, position: Position) -> Fraction | None:
        """Return the leg's initial margin at the marks, None without a leverage."""
        contract, _ = self.terms[position.symbol]
        if position.leverage is None:
            return None
        at = self.policies.initial_margin_at
        price = Fraction(position.entry_price) if at == "entry" else self.marks[position.symbol]
        of = abs(Fraction(position.quantity)) * worth(contract, price)
        fee = {
            "none": Fraction(0),
            "value": of,
            "leverage_bankruptcy_price": self._bankrupt_at_leverage(position),
        }[self.policies.initial_margin_fee]
        return of / Fraction(position.leverage) + fee * Fraction(contract.taker_fee_rate or 0)

    def _legs(self, position: Position) -> list[Position]:
        return [other for other in self.pool.positions if other.symbol == position.symbol]

    def _charged(self, position: Position) -> Fraction:
        legs = self._legs(position)
        if self.policies.hedge_charge == "both" or len(legs) == 1:
            return abs(Fraction(position.quantity))
        (other,) = (leg for leg in legs if leg is not position)
        own, opposite = abs(Fraction(position.quantity)), abs(Fraction(other.quantity))
        if own == opposite:
            return own if position.quantity > 0 else Fraction(0)
        return own if own > opposite else Fraction(0)

    def _maintenance(self, position: Position, price: Fraction) -> Fraction:
        contract, table = self.terms[position.symbol]
        assert table is not None
        value = self._charged(position) * worth(contract, price)
        funding = value * Fraction(self.policies.funding_reserve_rate)
        if self.policies.tier_type == "progressive":
            return funding + sum_of_slices(table, value)
        sizes = [Fraction(leg.quantity) for leg in self._legs(position)]
        looked_up = {
            "leg": abs(Fraction(position.quantity)),
            "with_orders": abs(Fraction(position.quantity)),
            "net": abs(sum(sizes, Fraction(0))),
            "larger_side": max(abs(size) for size in sizes),
        }[self.policies.tier_key]
        if table.unit == "notional":
            looked_up *= worth(contract, price)
            if self.policies.tier_key == "with_orders":
                looked_up += sum(
                    abs(Fraction(order.quantity)) * worth(contract, Fraction(order.price))
                    for order in self.pool.orders
                    if order.symbol == position.symbol
                    and (order.quantity > 0) == (position.quantity > 0)
                    and not order.reduce_only
                )
        return funding + value * rate_at(table, looked_up)

    def _fee(self, position: Position, price: Fraction) -> Fraction:
        contract, _ = self.terms[position.symbol]
        rate, size, policy = self._fee_rate(contract), self._charged(position), self.policies.closing_fee
        if policy == "mark":
            return rate * size * worth(contract, price)
        if policy == "frozen_mark":
            return rate * size * worth(contract, self.marks[position.symbol])
        if policy == "leverage_bankruptcy_price" and position.leverage is not None:
            return rate * self._bankrupt_at_leverage(position)
        if policy in {"entry", "leverage_bankruptcy_price"}:
            return rate * size * worth(contract, Fraction(position.entry_price))
        return Fraction(0)

    def _fee_rate(self, contract: Contract) -> Fraction:
        rate = contract.taker_fee_rate
        if self.policies.closing_fee_rate == "liquidation" and contract.liquidation_fee_rate is not None:
            rate = contract.liquidation_fee_rate
        return Fraction(rate or 0)

    def _bankrupt_at_leverage(self, position: Position) -> Fraction:
        contract, _ = self.terms[position.symbol]
        assert position.leverage is not None
        opened = abs(Fraction(position.quantity)) * worth(contract, Fraction(position.entry_price))
        hurt_by_a_lower_value = (position.quantity > 0) != (contract.kind is ContractKind.INVERSE)
        part = 1 / Fraction(position.leverage)
        return opened * (1 - part if hurt_by_a_lower_value else 1 + part)

    # ── What the pool amounts to ──

    def totals(self, prices: Mapping[str, Fraction], known: Mapping[int, Leg] | None = None) -> Totals:
        """Return the pool's totals at ``prices``, every symbol of it priced. ``known``: legs whose price stays."""
        legs = [
            (position, (known or {}).get(number) or self.leg(position, prices))
            for number, position in enumerate(self.pool.positions)
        ]
        if self.basket:
            return self._basket_totals(legs, prices)
        (cash,) = self.pool.balances.values()
        assert cash is not None
        pnl = sum((leg.pnl for _, leg in legs), Fraction(0))
        balance = Fraction(cash) + pnl
        fee = sum((leg.fee for _, leg in legs), Fraction(0))
        if self.policies.closing_fee == "bankruptcy_price":
            fee = sum((self._fee_at_bankruptcy(position, prices, balance) for position, _ in legs), Fraction(0))
        return Totals(balance, pnl, sum((leg.maintenance for _, leg in legs), Fraction(0)), fee)

    def _fee_at_bankruptcy(self, position: Position, prices: Mapping[str, Fraction], balance: Fraction) -> Fraction:
        """The fee at the value ``b`` of one contract where equity, this leg moving alone, just pays that fee."""
        contract, _ = self.terms[position.symbol]
        rate, size = self._fee_rate(contract), self._charged(position)
        gain = Fraction(position.quantity) * (-1 if contract.kind is ContractKind.INVERSE else 1)
        # balance + gain · (b − now) = rate · size · b
        if gain == rate * size:
            return Fraction(0)
        b = (gain * worth(contract, prices[position.symbol]) - balance) / (gain - rate * size)
        return rate * size * b if b > 0 else Fraction(0)

    def _basket_totals(self, legs: list[tuple[Position, Leg]], prices: Mapping[str, Fraction]) -> Totals:
        balance = maintenance = fee = pnl = Fraction(0)
        for asset, cash in self.pool.balances.items():
            assert cash is not None
            terms = self.pool.collateral[asset]
            index = Fraction(terms.index)
            if terms.moves_with is not None and terms.moves_with in prices:
                index *= prices[terms.moves_with] / self.marks[terms.moves_with]
            charge = index * (1 + Fraction(terms.ask_buffer))
            own = [leg for position, leg in legs if self.terms[position.symbol][0].settle_asset == asset]
            equity = Fraction(cash) + sum((leg.pnl for leg in own), Fraction(0)) + self._premiums(asset)
            balance += counts_for(terms, equity, index)
            pnl += counts_for(terms, equity, index) - counts_for(terms, Fraction(cash), index)
            maintenance += charge * sum((leg.maintenance for leg in own), Fraction(0))
            fee += charge * sum((leg.fee for leg in own), Fraction(0))
        return Totals(balance, pnl, maintenance, fee)

    def _premiums(self, asset: str) -> Fraction:
        """What was paid for the options settled in an asset: they count whole in a basket, not only their gain."""
        total = Fraction(0)
        for position in self.pool.positions:
            contract = self.terms[position.symbol][0]
            if contract.kind is ContractKind.OPTION and contract.settle_asset == asset:
                total += Fraction(position.quantity) * worth(contract, Fraction(position.entry_price))
        return total

    # ── Where one symbol's price liquidates the pool ──

    def liquidation(self, symbol: str) -> tuple[Fraction | None, Fraction | None]:
        """Return the nearest prices of ``symbol`` below and above its mark where the surplus changes sign.

        The surplus must not be zero at the mark. The order of the two is by price, whatever the sign at the mark.
        """
        known = {
            number: self.leg(position, self.marks)
            for number, position in enumerate(self.pool.positions)
            if position.symbol != symbol
        }

        def surplus(price: Fraction) -> Fraction:
            return self.totals({**self.marks, symbol: price}, known).surplus

        mark = self.marks[symbol]
        positive = surplus(mark) > 0
        stops = sorted({*self._edges(symbol), *_grid(mark)})
        down = [mark, *reversed([price for price in stops if price < mark])]
        up = [mark, *(price for price in stops if price > mark)]
        return _first_change(down, surplus, positive=positive), _first_change(up, surplus, positive=positive)

    def _edges(self, symbol: str) -> Iterable[Fraction]:
        """Yield the prices at which a leg of ``symbol`` may change its tier."""
        contract, table = self.terms[symbol]
        assert table is not None
        sizes = [Fraction(position.quantity) for position in self.pool.positions if position.symbol == symbol]
        working = {Fraction(0)} | {
            sum(
                abs(Fraction(order.quantity)) * worth(contract, Fraction(order.price))
                for order in self.pool.orders
                if order.symbol == symbol and (order.quantity > 0) == buys and not order.reduce_only
            )
            for buys in (True, False)
        }
        for tier in table.tiers:
            for size in {*(abs(size) for size in sizes), abs(sum(sizes, Fraction(0)))} - {0}:
                for offset in working:
                    value = (Fraction(tier.floor) - offset) / size
                    if value > 0:
                        yield price_of(contract, value)


def counts_for(terms: Collateral, amount: Fraction, index: Fraction) -> Fraction:
    """Return what an amount of an asset counts for: a debt at the ask, a balance slice by slice at the bid."""
    if amount < 0:
        return amount * index * (1 + Fraction(terms.ask_buffer))
    bid = 1 - Fraction(terms.bid_buffer)
    if not terms.slices:
        return amount * index * bid * Fraction(terms.ratio)
    per_unit = index if terms.unit == "usd" else Fraction(1)
    left, total = amount * per_unit, Fraction(0)
    for floor, cap, ratio in terms.slices:
        slice_ = left if cap is None else min(left, Fraction(cap) - Fraction(floor))
        total += slice_ * Fraction(ratio)
        left -= slice_
    return total * bid * index / per_unit


def worth(contract: Contract, price: Fraction) -> Fraction:
    """Return the unsigned settlement value of one contract."""
    size = Fraction(contract.contract_size)
    return size / price if contract.kind is ContractKind.INVERSE else size * price


def price_of(contract: Contract, value: Fraction) -> Fraction:
    """Return the price at which one contract is worth ``value``."""
    size = Fraction(contract.contract_size)
    return size / value if contract.kind is ContractKind.INVERSE else value / size


def sum_of_slices(table: TierTable, amount: Fraction) -> Fraction:
    """Return progressive maintenance: each slice of ``amount`` at the rate of the tier that it lies in."""
    total = Fraction(0)
    floors = [Fraction(tier.floor) for tier in table.tiers]
    for number, tier in enumerate(table.tiers):
        if amount > floors[number]:
            top = floors[number + 1] if number + 1 < len(floors) else amount
            total += Fraction(tier.maintenance_rate or 0) * (min(amount, top) - floors[number])
    return total


def rate_at(table: TierTable, amount: Fraction) -> Fraction:
    """Return the rate of a step tier: that of the last tier whose floor ``amount`` has reached."""
    rate = Fraction(table.tiers[0].maintenance_rate or 0)
    for tier in table.tiers:
        if Fraction(tier.floor) <= amount:
            rate = Fraction(tier.maintenance_rate or 0)
    return rate


def _grid(mark: Fraction) -> Iterable[Fraction]:
    for number in range(1, GRID):
        factor = 1 + Fraction(number, GRID)
        yield mark * factor
        yield mark / factor
    for exponent in range(1, FURTHEST.bit_length() + 1, 4):
        yield mark * 2**exponent
        yield mark / 2**exponent


def _first_change(stops: list[Fraction], surplus: Callable[[Fraction], Fraction], *, positive: bool) -> Fraction | None:
    """Return the first price, going along ``stops``, at which the surplus is no longer as it was (``positive``).

    Between two stops the surplus of one asset has one slope, so it changes its sign there at most once. An edge is
    looked at on both of its sides, since a step tier jumps there.
    """
    for begin, end in pairwise(stops):
        toward = 1 if end > begin else -1
        if (surplus(begin * (1 + toward * BESIDE)) > 0) != positive:
            return begin
        same, other = begin, end * (1 - toward * BESIDE)
        if (surplus(other) > 0) == positive:
            if (surplus(end) > 0) != positive:
                return end
            continue
        while abs(other - same) > NARROW * abs(end):
            middle = (same + other) / 2
            same, other = (middle, other) if (surplus(middle) > 0) == positive else (same, middle)
        return other
    return None
