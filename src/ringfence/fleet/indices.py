"""Index prices of a fleet's collateral at other marks than those it was built with.

**Convention** (:func:`ringfence.margin.basket.pool_at`, decision 19): when a mark moves by a ratio, the index of every
asset that moves with its coin moves by the same ratio. Index prices belong to the marks that a fleet was built with.
One symbol leads each coin: the first that what moves the prices names (the majors of a grid, the symbols of a tape),
else the first that differs from those marks, else the first by name. In portfolio margin a coin that positions stand on
moves as a unit with them (:mod:`ringfence.margin.portfolio.marks`); the leaders move the others, and a unit that holds
options alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringfence.account import Backing, Requirement
from ringfence.contract import coin
from ringfence.margin.portfolio.marks import INDEX
from ringfence.numbers import VALUE_PLACES, divide, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ringfence.account import Account, Collateral, Pool
    from ringfence.contract import Contract
    from ringfence.fleet.schema import Terms
    from ringfence.numbers import Price


@dataclass(frozen=True, slots=True)
class Indices:
    """``leaders``: the symbol by coin whose mark its index follows; ``standing``: the marks that indices belong to."""

    leaders: Mapping[str, str]
    standing: Mapping[str, Price]

    def leader(self, moves_with: str | None) -> str | None:
        """Return the symbol that an index follows; None where it stays."""
        return None if moves_with is None else self.leaders.get(moves_with)

    @exact
    def at(self, index: Price, moves_with: str | None, marks: Mapping[str, Price]) -> Price:
        """Return an index price at ``marks``: moved as its leader's mark has, rounded half-even to 24 places."""
        leader = self.leader(moves_with)
        now = None if leader is None else marks.get(leader)
        if leader is None or now is None or now == self.standing[leader]:
            return index
        return divide(index * now, self.standing[leader], places=VALUE_PLACES)

    def pool_at(
        self, pool: Pool, marks: Mapping[str, Price], contract_of: Callable[[str], Contract]
    ) -> tuple[Pool, Mapping[str, Price]]:
        """Return a pool and the marks to assess it at: what does not follow ``marks`` by itself has moved."""
        if pool.mode.backing is not Backing.BASKET:
            return pool, marks
        units: dict[str, bool] = {}  # of portfolio margin: whether a unit holds options alone
        if pool.mode.requirement is Requirement.SCENARIO:
            for position in pool.positions:
                contract = contract_of(position.symbol)
                units[contract.risk_unit] = units.get(contract.risk_unit, True) and contract.option
        moved: dict[str, Collateral] = {}
        for asset, terms in pool.collateral.items():
            if terms.moves_with not in units:
                index = self.at(terms.index, terms.moves_with, marks)
                if index != terms.index:
                    moved[asset] = replace(terms, index=index)
        options: dict[str, Price] = {}
        for name, alone in units.items():
            before = _index_of(name, pool) if alone else None
            if before is not None and (index := self.at(before, coin(name), marks)) != before:
                options[f"{INDEX}{name}"] = index
        if moved:
            pool = replace(pool, collateral={**pool.collateral, **moved})
        return pool, {**marks, **options} if options else marks

    def account_at(self, account: Account, marks: Mapping[str, Price], *, units: frozenset[str]) -> Account:
        """Return an account with its index prices at ``marks``; those of ``units`` move by themselves."""
        return replace(
            account,
            collateral={
                asset: terms if terms.moves_with in units
                else replace(terms, index=self.at(terms.index, terms.moves_with, marks))
                for asset, terms in account.collateral.items()
            },
            index_prices={
                asset: index if follows(asset) in units else self.at(index, follows(asset), marks)
                for asset, index in account.index_prices.items()
            },
        )  # fmt: skip


def _index_of(unit: str, pool: Pool) -> Price | None:
    """Return the spot price of a risk unit where one is given."""
    if pool.risk is not None and unit in pool.risk.index:
        return pool.risk.index[unit]
    return pool.collateral[unit].index if unit in pool.collateral else None


def follows(asset: str) -> str | None:
    """Return the coin that an asset's index moves with by the venue's terms."""
    from ringfence.account import Collateral

    return Collateral.follows(asset)


def indices_of(terms: Terms, named: Iterable[str] = ()) -> Indices:
    """Return who leads the coins of a fleet. ``named``: the symbols that what moves its prices names, in order."""
    standing = terms.standing
    known = sorted(standing)
    changed = [symbol for symbol in known if terms.marks.get(symbol) != standing[symbol]]
    leaders: dict[str, str] = {}
    for symbol in (*named, *changed, *known):
        if symbol in standing:
            leaders.setdefault(coin(symbol), symbol)
    return Indices(leaders, standing)


__all__ = ["Indices", "follows", "indices_of"]
