"""A portfolio account at other marks: index prices, coins held and options follow the mark that moved.

Marks are given by symbol, but a risk unit stands on one price. The declared convention: **a unit moves as one**. Where
the mark of a unit's leading contract (its first that is no option) differs from the mark its index price belongs to,
the index moves by the same factor, so does the price of the coin as collateral, and options are valued anew at
unchanged implied volatility: their mark changes by what Black's price changes. Other contracts of the unit keep the
marks they are given. A mark named ``index:BTC`` sets the index itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.account import RiskInputs
from ringfence.margin.portfolio.black76 import price
from ringfence.margin.portfolio.exposure import option_of
from ringfence.margin.portfolio.requirement import index_of
from ringfence.numbers import ONE, PRICE_PLACES, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from ringfence.account import Marks, Pool
    from ringfence.contract import Contract
    from ringfence.numbers import Price


INDEX = "index:"  #: before a coin's name: a mark of that name is its index price


def at_marks(
    pool: Pool,
    marks: Marks,
    contract_of: Callable[[str], Contract],
    *,
    worth: dict[str, Decimal] | None = None,
) -> tuple[Pool, dict[str, Price]]:
    """Return the pool and all marks after the moves that ``marks`` say. Where nothing moved, what was given.

    A coin of which no index price is given takes the mark of its leading contract. ``worth``: Black's prices of options
    before any move, by symbol, for whoever moves the same pool many times: read, and filled.
    """
    if pool.risk is None:
        return pool, dict(marks)
    contracts = [contract_of(position.symbol) for position in pool.positions]
    pool = _with_index(pool, contracts, marks)
    risk = pool.risk
    assert risk is not None  # noqa: S101 - it was there before
    moved = {coin: factor for coin in dict.fromkeys(c.risk_unit for c in contracts)
             if (factor := _factor(coin, contracts, marks, pool)) != ONE}  # fmt: skip
    if not moved:
        return pool, dict(marks)
    index = {**risk.index, **{coin: index_of(coin, pool) * factor for coin, factor in moved.items()}}
    collateral = {
        asset: replace(terms, index=terms.index * moved[terms.moves_with]) if terms.moves_with in moved else terms
        for asset, terms in pool.collateral.items()
    }
    after = {symbol: mark for symbol, mark in marks.items() if not symbol.startswith(INDEX)}
    for contract in contracts:
        if contract.option and contract.risk_unit in moved:
            start = index_of(contract.risk_unit, pool)
            was = None if worth is None else worth.get(contract.symbol)
            if was is None:
                was = price(option_of(contract, risk, start))
                if worth is not None:
                    worth[contract.symbol] = was
            after[contract.symbol] = revalued(
                contract, risk.reference.get(contract.symbol, marks[contract.symbol]), risk,
                before=start, after=index[contract.risk_unit], was=was,
            )  # fmt: skip
    inputs = replace(risk, index=index, reference={**risk.reference, **after})
    return replace(pool, collateral=collateral, risk=inputs), after


def _with_index(pool: Pool, contracts: list[Contract], marks: Marks) -> Pool:
    """Return the pool with a leading contract's mark for each coin whose index price is not known."""
    risk = pool.risk or RiskInputs()
    found: dict[str, str] = {}
    for contract in contracts:
        unit = contract.risk_unit
        known = unit in risk.index or unit in pool.collateral or unit in found or contract.option
        if not known and contract.symbol in marks:
            found[unit] = contract.symbol
    if not found:
        return pool
    prices = {unit: risk.reference.get(symbol, marks[symbol]) for unit, symbol in found.items()}
    stated = replace(risk, index={**risk.index, **prices}, stand_ins={**risk.stand_ins, **found})
    return replace(pool, risk=stated)


def at_volatility(
    pool: Pool, marks: Marks, contract_of: Callable[[str], Contract], factor: Decimal
) -> tuple[Pool, dict[str, Price]]:
    """Return the pool and all marks after every implied volatility became ``factor`` times what it was; index stays.

    Options are valued anew: their mark changes by what Black's price changes.
    """
    after = dict(marks)
    if pool.risk is None:
        return pool, after
    risk = pool.risk
    shifted = replace(risk, volatility={symbol: rate * factor for symbol, rate in risk.volatility.items()})
    for position in pool.positions:
        contract = contract_of(position.symbol)
        if contract.option:
            index = index_of(contract.risk_unit, pool)
            mark = marks[contract.symbol]
            after[contract.symbol] = revalued(contract, mark, risk, before=index, after=index, then=shifted)
    shifted = replace(shifted, reference={**risk.reference, **after})
    return replace(pool, risk=shifted), after


def revalued(
    contract: Contract,
    mark: Price,
    risk: RiskInputs,
    *,
    before: Price,
    after: Price,
    then: RiskInputs | None = None,
    was: Decimal | None = None,
) -> Price:
    """Return an option's mark after its index moved: by what Black's price changes, and never below 0.

    ``then``: the inputs after the move where they are others, such as another volatility. ``was``: Black's price
    before it, where that is known.
    """
    was = price(option_of(contract, risk, before)) if was is None else was
    now = price(option_of(contract, then or risk, after))
    change = now - was if contract.settle_asset == contract.risk_unit else now * after - was * before
    return max(ZERO, mark + change)


def _factor(coin: str, contracts: list[Contract], marks: Marks, pool: Pool) -> Decimal:
    """Return by what factor a coin's price has moved since its index was given."""
    given = marks.get(f"{INDEX}{coin}")
    if given is not None:
        return divide(given, index_of(coin, pool), places=PRICE_PLACES)
    reference = pool.risk.reference if pool.risk is not None else {}
    for contract in contracts:
        if contract.risk_unit == coin and not contract.option and contract.symbol in reference:
            now, was = marks.get(contract.symbol), reference[contract.symbol]
            if now is not None and now != was:
                return divide(now, was, places=PRICE_PLACES)
    return ONE


def scaled_marks(
    pool: Pool, marks: Marks, contract_of: Callable[[str], Contract], factors: Mapping[str, Decimal]
) -> dict[str, Price]:
    """Return the marks with each symbol's times its factor; options follow their coin instead of having one.

    A coin whose unit holds options only moves by the factor of its first option.
    """
    after = {symbol: mark * factors.get(symbol, ONE) for symbol, mark in marks.items()}
    contracts = [contract_of(position.symbol) for position in pool.positions]
    leading = {contract.risk_unit for contract in contracts if not contract.option}
    for contract in contracts:
        if contract.option:
            after[contract.symbol] = marks[contract.symbol]
            if contract.risk_unit not in leading:
                after.setdefault(
                    f"{INDEX}{contract.risk_unit}",
                    index_of(contract.risk_unit, pool) * factors.get(contract.symbol, ONE),
                )
    return after


__all__ = ["INDEX", "at_marks", "at_volatility", "revalued", "scaled_marks"]
