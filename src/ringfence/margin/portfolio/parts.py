"""A portfolio account at many marks: what each coin's risk unit gains and requires, found once a price, and added up.

Risk units do not offset one another, so an account's totals at other marks are sums over its coins, each of which
depends on its own marks only: moves of two coins need each coin's part once per price, not once per pair of prices.
What is shared is put together anew at every point: an asset's equity is what all coins gain in it, and counts by its
terms; what is owed is charged at the asset's price there. Everything is exact, and sums do not depend on their order:
the totals are those of :func:`ringfence.margin.assess.assess` at the same marks (tests/laws/test_parts.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.assess import assess
from ringfence.margin.portfolio.exposure import exposure
from ringfence.margin.portfolio.marks import INDEX, at_marks
from ringfence.margin.portfolio.requirement import grid_of, index_of, owed, owed_charge, unit_of
from ringfence.numbers import ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from ringfence.account import Collateral, Marks, Pool, Position
    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.margin.scenario import Grid
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.portfolio_rules import PortfolioRules


class Totals(NamedTuple):
    """What an account's requirement is held against, and its liquidation requirement, in the account's currency.

    ``lost``: what open orders would lose at once, taken off the balance.
    """

    balance: Value
    required: Value
    lost: Value = ZERO


class Part(NamedTuple):
    """One coin's risk unit at some marks.

    ``gained``: by settle asset, in it: unrealised PnL, and of options their whole value. ``required``: maintenance
    margin of its positions, in the account's currency. ``lost``: what its orders would lose at once, where that comes
    off the balance. ``collateral``: the terms of assets whose price is that of the coin, there.
    """

    gained: Mapping[str, Value]
    required: Value
    lost: Value
    collateral: Mapping[str, Collateral]


class Place:
    """A coin's risk unit at moved marks: what any quantity of its contracts brings there. Computed once per quantity.

    ``pool``: after :func:`~ringfence.margin.portfolio.marks.at_marks`, and so are ``marks``.
    """

    __slots__ = ("_brought", "_grid", "_rules", "coin", "collateral", "index", "marks", "pool")

    def __init__(self, coin: str, pool: Pool, marks: Mapping[str, Price], rules: PortfolioRules, grid: Grid) -> None:
        self.coin, self.pool, self.marks, self.index = coin, pool, marks, index_of(coin, pool)
        self.collateral = {asset: terms for asset, terms in pool.collateral.items() if terms.moves_with == coin}
        self._rules, self._grid = rules, grid
        self._brought: dict[tuple[str, Quantity], Exposure] = {}

    def part(self, held: Sequence[tuple[Contract, Position]], pool: Pool | None = None) -> Part:
        """Return the part of ``held``. ``pool``: whose balances hedge, where they are others than the place's."""
        brought = [self._exposure(contract, position.quantity) for contract, position in held]
        unit = unit_of(
            self.coin, brought, pool=pool or self.pool, index=self.index, grid=self._grid, rules=self._rules
        )  # fmt: skip
        gained: dict[str, Value] = {}
        for contract, position in held:
            value = position.quantity * contract.contract_value(self.marks[contract.symbol])
            if contract.option:
                gain = value
            elif contract.inverse:
                gain = position.quantity * contract.contract_value(position.entry_price) - value
            else:
                gain = value - position.quantity * contract.contract_value(position.entry_price)
            gained[contract.settle_asset] = gained.get(contract.settle_asset, ZERO) + gain
        return Part(gained, unit.margins.maintenance, ZERO, self.collateral)

    def _exposure(self, contract: Contract, quantity: Quantity) -> Exposure:
        key = contract.symbol, quantity
        if key not in self._brought:
            self._brought[key] = exposure(
                contract, quantity, self.marks[contract.symbol], pool=self.pool, index=self.index, grid=self._grid
            )
        return self._brought[key]


class Parts:
    """An assessed portfolio account by coins. Raises ValueError where it is not :func:`separable`."""

    def __init__(self, assessment: Assessment) -> None:
        found = assessment.portfolio
        if found is None or not separable(assessment):
            raise ValueError("an account whose coins depend on one another has no parts")
        self.pool, self.rulebook, self.rules = assessment.pool, found.rulebook, found.rules
        self._factor = found.liquidation_factor
        self.held: dict[str, list[tuple[Contract, Position]]] = {}
        for line in assessment.lines:
            self.held.setdefault(line.contract.risk_unit, []).append((line.contract, line.position))
        self._names = {
            coin: (*dict.fromkeys(contract.symbol for contract, _ in items), f"{INDEX}{coin}")
            for coin, items in self.held.items()
        }
        self._grids = {
            coin: grid_of(self.rules.terms_of(coin), self.rules) for coin in self.held if found.units
        }  # empty: by risk tiers
        self._known: dict[tuple[object, ...], Part] = {}
        self._worth: dict[str, Decimal] = {}  # of options before any move
        self._owed = {asset: amount for asset in self.pool.balances if (amount := owed(asset, self.pool))}
        self._own = {
            coin: replace(
                self.pool,
                positions=tuple(position for _, position in items),
                orders=tuple(
                    order for order in self.pool.orders if not found.units and order.symbol in self._names[coin]
                ),
            )
            for coin, items in self.held.items()
        }

    @property
    def by_scenario(self) -> bool:
        """Whether units are required by scenarios, and so have a :class:`Place`."""
        return bool(self._grids)

    def at(self, marks: Marks) -> Totals:
        """Return the account's totals at ``marks``, which name every symbol it holds."""
        return self.together(self.part(coin, marks) for coin in self.held)

    @exact
    def part(self, coin: str, marks: Marks) -> Part:
        """Return a coin's part at marks, computed now or before."""
        key = (coin, *[marks.get(name) for name in self._names[coin]])
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._by_tiers(coin, marks) if not self._grids else self.place(coin, marks).part(self.held[coin])
            self._known[key] = found
        return found

    def _by_tiers(self, coin: str, marks: Marks) -> Part:
        """Return a coin's part where positions have margins of their own and orders lose at once (Binance)."""
        own = {name: marks[name] for name in self._names[coin] if name in marks}
        there = assess(self._own[coin], own, self.rulebook)
        index = there.pool.collateral
        required = sum(((line.maintenance_margin or ZERO) * index[line.contract.settle_asset].index
                        for line in there.lines), ZERO)  # fmt: skip
        lost = (there.margin_balance or ZERO) - (there.balance_held_against or ZERO)
        gained = {line.asset: line.unrealised_pnl + line.premiums for line in there.assets}
        return Part(gained, required, lost, {a: terms for a, terms in index.items() if terms.moves_with == coin})

    @exact
    def place(self, coin: str, marks: Marks) -> Place:
        """Return a coin's risk unit at marks."""
        own = {name: marks[name] for name in self._names[coin] if name in marks}
        pool, after = at_marks(self._own[coin], own, self.rulebook.contract, worth=self._worth)
        return Place(coin, pool, after, self.rules, self._grids[coin])

    @exact
    def together(self, parts: Iterable[Part], pool: Pool | None = None) -> Totals:
        """Return the totals of parts, one per coin.

        ``pool``: whose balances, loans and terms of collateral count, where they are not the account's own.
        """
        debts = self._owed if pool is None else {asset: owed(asset, pool) for asset in pool.balances}
        pool = pool or self.pool
        gained: dict[str, Value] = {}
        moved: dict[str, Collateral] = {}
        required = lost = balance = ZERO
        for part in parts:
            required += part.required
            lost += part.lost
            moved.update(part.collateral)
            for asset, amount in part.gained.items():
                gained[asset] = gained.get(asset, ZERO) + amount
        for asset, held in pool.balances.items():
            terms = moved.get(asset) or pool.collateral[asset]
            balance += terms.value((held or ZERO) + gained.get(asset, ZERO))
        for asset, amount in debts.items():
            required += owed_charge(amount, self.rules.terms, moved.get(asset) or pool.collateral[asset])
        return Totals(balance - lost, required * self._factor, lost)


_MOST = 4096  # parts kept


def separable(assessment: Assessment) -> bool:
    """Whether an assessed account's coins do not depend on one another, and its totals are known.

    Not so where a contract settles in a coin that moves with another one that is held, nor by risk tiers (Binance) that
    add several contracts up, with fees that follow the whole account's equity, or with orders in what is not held.
    """
    found, policies = assessment.portfolio, assessment.policies
    if found is None or assessment.balance_held_against is None:
        return False
    held = {line.position.symbol for line in assessment.lines}
    if not found.units and (
        policies.closing_fee == "bankruptcy_price"
        or policies.tier_key == "underlying_total"
        or any(order.symbol not in held for order in assessment.pool.orders)
    ):
        return False
    coins = {line.contract.risk_unit for line in assessment.lines}
    for line in assessment.lines:
        terms = assessment.pool.collateral.get(line.contract.settle_asset)
        other = None if terms is None else terms.moves_with
        if other in coins and other != line.contract.risk_unit:
            return False
    return True


__all__ = ["Part", "Parts", "Place", "Totals", "separable"]
