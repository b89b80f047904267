"""A pool's balance and requirement at many prices, without assessing the whole pool at each.

Most pools are *separable*: what a symbol gains and requires depends on its own mark only, so that a grid over two
symbols needs each symbol's part once per price, and adds. The parts are exact assessments of the symbol's own positions
and orders; where parts depend on one another (a closing fee at the pool's bankruptcy price, tiers over several
expiries, orders whose margin is set aside) the whole pool is assessed at every point. A portfolio account's parts are
its coins (:mod:`ringfence.margin.portfolio.parts`). The sums are the same either way. The index prices of a basket's
assets move with their coins' marks (:mod:`ringfence.margin.basket`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing, Requirement
from ringfence.margin.assess import assess
from ringfence.margin.basket import pool_at
from ringfence.margin.portfolio.marks import scaled_marks
from ringfence.margin.price import unit_prices
from ringfence.numbers import PRICE_PLACES, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ringfence.account import Marks, Pool
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.portfolio.parts import Part as CoinPart
    from ringfence.margin.portfolio.parts import Parts, Totals
    from ringfence.margin.portfolio.requirement import Known
    from ringfence.numbers import Price, Value
    from ringfence.rulebook import Rulebook


class Part(NamedTuple):
    """What one symbol of a pool gains and requires at a price, in its settlement asset."""

    pnl: Value
    required: Value


class Surface:
    """An assessed pool over prices. :meth:`at` answers with its assessment's totals at other marks."""

    def __init__(self, assessment: Assessment, marks: Marks, rulebook: Rulebook) -> None:
        self.assessment, self.marks, self.rulebook = assessment, marks, rulebook
        pool, policies = assessment.pool, assessment.policies
        self.symbols = tuple(dict.fromkeys(position.symbol for position in pool.positions))
        self.basket = pool.mode.backing is Backing.BASKET
        self.separable = (
            policies.closing_fee != "bankruptcy_price"
            and policies.tier_key != "underlying_total"
            and not (policies.order_margin_deducted and pool.orders)
            and pool.mode.requirement is Requirement.TIERED
        )
        self.parts = None if assessment.portfolio is None else unit_prices(assessment).parts
        self.known = assessment.balance_held_against is not None and assessment.liquidation_requirement is not None
        self._parts: dict[tuple[str, Price], Part | None] = {}
        self._required: dict[str, Value] = {}  # by asset, in it
        if self.basket:
            self._required = _required_by_asset(assessment)
        self._asset = {line.position.symbol: line.contract.settle_asset for line in assessment.lines}

    @exact
    def at(self, prices: Mapping[str, Price]) -> Assessment | None:
        """Return the pool's assessment with these marks moved, its lines still those of its own marks.

        Only balance, requirement and what follows from them (health, status) are those of ``prices``. None where
        balance or requirement is not known, such as in a tier without a rate.
        """
        if not self.known:
            return None
        moved = {symbol: price for symbol, price in prices.items() if symbol in self._asset}
        if not moved:
            return self.assessment
        if not self.separable:
            return self._whole(moved)
        pnl: dict[str, Value] = {}
        required: dict[str, Value] = {}
        for symbol, price in moved.items():
            here, there = self._part(symbol, self.marks[symbol]), self._part(symbol, price)
            if here is None or there is None:
                return None
            asset = self._asset[symbol]
            pnl[asset] = pnl.get(asset, ZERO) + there.pnl - here.pnl
            required[asset] = required.get(asset, ZERO) + there.required - here.required
        return self._summed(pnl, required, moved)

    @exact
    def over(self, columns: Sequence[Marks], rows: Sequence[Marks]) -> Iterator[list[Assessment | None]]:
        """Yield, row by row, what :meth:`at` answers with each of ``columns`` and of ``rows`` moved at once."""
        if self.parts is None or not self.known or not _apart(self.parts, columns, rows):
            for row in rows:
                yield [self.at({**column, **row}) for column in columns]
            return
        first = [self._changed(self.parts, column) for column in columns]
        still = {coin: self.parts.part(coin, self.marks) for coin in self.parts.held}
        for row in rows:
            second = {**still, **self._changed(self.parts, row)}
            yield [self._with(self.parts.together({**second, **parts}.values())) for parts in first]

    def _changed(self, parts: Parts, prices: Marks) -> dict[str, CoinPart]:
        """Return the parts of the coins whose marks ``prices`` move."""
        moved = {symbol: price for symbol, price in prices.items() if symbol in self._asset}
        marks = scaled(self.assessment.pool, self.marks, moved, self.rulebook)
        coins = {line.contract.risk_unit for line in self.assessment.lines if line.position.symbol in moved}
        return {coin: parts.part(coin, marks) for coin in coins}

    def _with(self, totals: Totals) -> Assessment:
        return self.assessment._replace(balance_held_against=totals.balance, liquidation_requirement=totals.required)

    @exact
    def with_units(self, prices: Mapping[str, Price]) -> dict[str, Price]:
        """Return moved marks with those of a portfolio's other contracts on the same coin, moved by the same factor."""
        after = dict(prices)
        if self.assessment.portfolio is None:
            return after
        contracts = {line.position.symbol: line.contract for line in self.assessment.lines}
        for symbol, price in prices.items():
            if symbol not in contracts or price == self.marks[symbol]:
                continue
            for other, contract in contracts.items():
                if contract.risk_unit == contracts[symbol].risk_unit and not contract.option:
                    factor = divide(price, self.marks[symbol], places=PRICE_PLACES)
                    after.setdefault(other, self.marks[other] * factor)
        return after

    def _summed(self, pnl: dict[str, Value], required: dict[str, Value], moved: Mapping[str, Price]) -> Assessment:
        before = self.assessment
        balance = before.balance_held_against or ZERO
        needed = before.liquidation_requirement or ZERO
        if not self.basket:
            gained = sum(pnl.values(), ZERO)
            more = sum(required.values(), ZERO)
        else:
            gained = more = ZERO
            at = pool_at(before.pool, self.marks, moved).collateral
            for held in before.assets:
                terms = at[held.asset]
                gained += terms.value((held.equity or ZERO) + pnl.get(held.asset, ZERO)) - (held.value or ZERO)
                more += (self._required[held.asset] + required.get(held.asset, ZERO)) * terms.ask
                more -= self._required[held.asset] * held.terms.ask
        return before._replace(balance_held_against=balance + gained, liquidation_requirement=needed + more)

    def _whole(self, moved: dict[str, Price]) -> Assessment | None:
        if self.parts is not None:
            return self._with(self.parts.at(scaled(self.assessment.pool, self.marks, moved, self.rulebook)))
        portfolio = self.assessment.portfolio
        known = None if portfolio is None else portfolio.known
        found = assessed_at(self.assessment.pool, self.marks, moved, self.rulebook, known=known)
        if found.balance_held_against is None or found.liquidation_requirement is None:
            return None
        return self.assessment._replace(
            balance_held_against=found.balance_held_against, liquidation_requirement=found.liquidation_requirement
        )

    def _part(self, symbol: str, price: Price) -> Part | None:
        key = (symbol, price)
        if key not in self._parts:
            pool = self.assessment.pool
            own = replace(
                pool,
                positions=tuple(p for p in pool.positions if p.symbol == symbol),
                orders=tuple(o for o in pool.orders if o.symbol == symbol),
            )
            lines = assess(own, {symbol: price}, self.rulebook).lines
            required = ZERO
            for line in lines:
                if line.liquidation_requirement is None:
                    self._parts[key] = None
                    return None
                required += line.liquidation_requirement
            self._parts[key] = Part(sum((line.unrealised_pnl for line in lines), ZERO), required)
        return self._parts[key]


@exact
def assessed_at(
    pool: Pool, marks: Marks, moved: Mapping[str, Price], rulebook: Rulebook, *, known: Known | None = None
) -> Assessment:
    """Return a pool assessed whole after some of its marks moved: indices of collateral and options follow their coin.

    By the conventions of :mod:`ringfence.margin.basket` and :mod:`ringfence.margin.portfolio.marks`.
    """
    there = pool_at(pool, marks, moved)
    after = {**marks, **moved}
    if there.mode.requirement is Requirement.SCENARIO:
        after = scaled(there, marks, moved, rulebook)
    return assess(there, after, rulebook, known=known)


def scaled(pool: Pool, marks: Marks, moved: Marks, rulebook: Rulebook) -> dict[str, Price]:
    """Return a portfolio account's marks with some of them moved: options follow their coin."""
    factors = {symbol: divide(price, marks[symbol], places=PRICE_PLACES) for symbol, price in moved.items()}
    return scaled_marks(pool, marks, rulebook.contract, factors)


def _apart(parts: Parts, columns: Sequence[Marks], rows: Sequence[Marks]) -> bool:
    """Whether no coin is moved by both the columns and the rows."""
    coin = {contract.symbol: name for name, items in parts.held.items() for contract, _ in items}
    first, second = ({coin.get(symbol) for moved in side for symbol in moved} for side in (columns, rows))
    return not (first & second - {None})


@exact
def _required_by_asset(assessment: Assessment) -> dict[str, Value]:
    """Return what positions and orders settled in each asset of a basket require, in that asset."""
    found = {held.asset: ZERO for held in assessment.assets}
    for line in assessment.lines:
        found[line.contract.settle_asset] += line.liquidation_requirement or ZERO
    for order in assessment.orders:
        found[order.contract.settle_asset] += order.liquidation_requirement
    return found


__all__ = ["Part", "Surface", "assessed_at"]
