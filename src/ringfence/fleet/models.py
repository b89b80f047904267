"""What the models of portfolio margin by scenarios ask for of a market without options, as arrays: made once a market.

One set of arrays holds Deribit's, OKX's and Bybit's model; :mod:`ringfence.fleet.books` says why they fit into one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import RiskInputs
from ringfence.errors import BadAccount
from ringfence.margin.portfolio.exposure import days_left
from ringfence.margin.portfolio.marks import INDEX
from ringfence.margin.portfolio.requirement import grid_of
from ringfence.numbers import ONE, RATIO_PLACES, divide, exact
from ringfence.portfolio_rules import ComponentTerms, MatrixTerms, StressTerms, UnifiedTerms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.contract import Contract
    from ringfence.fleet.schema import Terms
    from ringfence.portfolio_rules import PortfolioRules, Steps
    from ringfence.rulebook import Rulebook

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

MATRIX, STRESS, COMPONENTS = 0, 1, 2
_DAYS_A_YEAR = 365 * ONE
_QUOTES = {"USDT": 0, "USDC": 1}  #: as OKX and Bybit tell dollars apart; every other settle asset counts as USD
_OTHER = 2


class Models(NamedTuple):
    """What a market's models ask for. ``S`` symbols; ``C`` coins; ``E`` expiries, the first of them none at all.

    ==========  ========  ============================================================================================
    kind        int       ``MATRIX``, ``STRESS`` or ``COMPONENTS``
    fits        S bool    a book may hold it
    size        S f64     contract size
    inverse     S bool
    coin        S int64   its coin
    expiry      S int64   its expiry
    quote       S int64   0 settles in USDT, 1 in USDC, 2 in anything else
    closing     S f64     MR7: fee and slippage of closing, of the value
    years       E f64     years to each expiry
    standing    S f64     the mark that index prices belong to
    spot_price  C f64     spot price; NaN where a pool's collateral or a mark gives it
    linear      C,J f64   gain of a scenario per unit of linear value, each different scenario once
    inverted    C,J f64   the same per unit of inverse value
    dampener    C,J f64   taken off a loss
    in_coin     C,J f64   the same of a unit that settles in its coin
    scenarios   C int64   how many
    rates       C,7 f64   the model's own (:func:`_rates`)
    ends        2,C,T     MR7's and MR9's slices: where each ends
    factors     2,C,T     what each is taken times
    steep       C f64     by how much a requirement can change with the sum of values and of coins at the index
    fixed       C f64     sizes of what the requirement is computed with beside them
    spot        bool      whether coins held offset derivatives unless an account says otherwise
    ==========  ========  ============================================================================================
    """

    kind: int
    fits: Flags
    size: Floats
    inverse: Flags
    coin: Integers
    expiry: Integers
    quote: Integers
    closing: Floats
    years: Floats
    standing: Floats
    spot_price: Floats
    linear: Floats
    inverted: Floats
    dampener: Floats
    in_coin: Floats
    scenarios: Integers
    rates: Floats
    ends: Floats
    factors: Floats
    steep: Floats
    fixed: Floats
    spot: bool


def models_of(rulebook: Rulebook, symbols: Sequence[str], coins: Sequence[str], terms: Terms | None) -> Models | None:
    """Return what the models of a rulebook ask for of ``symbols``; None where no scenarios hold accounts."""
    import numpy as np

    rules = rulebook.portfolio
    basket = rulebook.policies_for(isolated=False, basket=True)
    if rules is None or terms is None or isinstance(rules.terms, UnifiedTerms):
        return None
    if basket.closing_fee == "bankruptcy_price" or any(name.startswith(INDEX) for name in terms.standing):
        return None
    contracts = [rulebook.contract(symbol) for symbol in symbols]
    number = {coin: at for at, coin in enumerate(coins)}
    years, expiry, alive = _expiries(contracts, terms)
    standing = np.array([float(terms.standing.get(symbol, "nan")) for symbol in symbols])
    own = np.array([one.settle_asset == one.risk_unit for one in contracts], np.bool_)
    inverse = np.array([one.inverse for one in contracts], np.bool_)
    option = np.array([one.option for one in contracts], np.bool_)
    grids = [_distinct(rules, coin) for coin in coins]
    tables = [_padded([grid[column] for grid in grids], 0.0) for column in range(4)]
    rates = np.array([_rates(rules, coin) for coin in coins]).reshape(-1, 7)
    steps = [[_steps(rules, coin, name) for coin in coins] for name in ("minimum_steps", "depeg_steps")]
    longest = max((len(ends) for kind in steps for ends, _ in kind), default=1)
    ends, factors = np.full((2, len(coins), longest), np.inf), np.zeros((2, len(coins), longest))
    for kind, by_coin in enumerate(steps):
        for coin, (till, times) in enumerate(by_coin):
            ends[kind, coin, : len(till)], factors[kind, coin] = till, times[-1]
            factors[kind, coin, : len(times)] = times
    closing = np.array([_closing(one, rules) for one in contracts])
    slopes = np.abs(tables[0]).max(axis=1, initial=0) + np.abs(tables[1]).max(axis=1, initial=0)
    least = factors.max(axis=2, initial=0)
    steep = 1.0 + slopes + _steepness(rules, rates, years) + least[0] * closing.max(initial=0) + least[1]
    fixed = tables[2].max(axis=1, initial=0) + tables[3].max(axis=1, initial=0)
    if isinstance(rules.terms, MatrixTerms):
        fixed += 2 * rates[:, 3] * rates[:, 5]
    return Models(
        MATRIX if isinstance(rules.terms, MatrixTerms) else STRESS if isinstance(rules.terms, StressTerms)
        else COMPONENTS,
        ~option & (own == inverse) & alive & (standing > 0),
        np.array([float(one.contract_size) for one in contracts]), inverse,
        np.array([number[one.risk_unit] for one in contracts], np.int64), expiry,
        np.array([_QUOTES.get(one.settle_asset, _OTHER) for one in contracts], np.int64), closing, years, standing,
        np.array([float(terms.index.get(coin, "nan")) for coin in coins]),
        tables[0], tables[1], tables[2], tables[3],
        np.array([len(grid[0]) for grid in grids], np.int64), rates, ends, factors, steep, fixed,
        rules.spot == "offset",
    )  # fmt: skip


@exact
def _expiries(contracts: Sequence[Contract], terms: Terms) -> tuple[Floats, Integers, Flags]:
    """Return years to each expiry, every contract's expiry, and which contracts are not past it."""
    import numpy as np

    risk = RiskInputs(terms.moment)
    numbers: dict[object, int] = {None: 0}
    years, expiry, alive = [0.0], [], []
    for contract in contracts:
        try:
            days = days_left(contract, risk)
        except BadAccount:
            expiry.append(0)
            alive.append(False)
            continue
        at = numbers.setdefault(contract.expiry, len(numbers))
        if at == len(years):
            years.append(float(divide(days, _DAYS_A_YEAR, places=RATIO_PLACES)))
        expiry.append(at)
        alive.append(True)
    return np.array(years), np.array(expiry, np.int64), np.array(alive, np.bool_)


def _distinct(rules: PortfolioRules, coin: str) -> tuple[list[float], ...]:
    """Return each different scenario's factors of linear and inverse value and its dampeners; none that moves nothing.

    What volatility, time and rates do changes no perpetual and no future.
    """
    grid = grid_of(rules.terms_of(coin), rules)
    rows = dict.fromkeys(zip(grid.linear, grid.inverse, grid.dampeners, grid.coin_dampeners, strict=True))
    moving = [tuple(float(number) for number in row) for row in rows if row[0] or row[1]]
    return tuple([row[column] for row in moving] for column in range(4))


def _padded(rows: Sequence[Sequence[float]], fill: float) -> Floats:
    import numpy as np

    found = np.full((len(rows), max((len(row) for row in rows), default=0)), fill)
    for at, row in enumerate(rows):
        found[at, : len(row)] = row
    return found


def _rates(rules: PortfolioRules, coin: str) -> list[float]:
    """Return a coin's rates.

    Matrix: maintenance factor; roll shock, at least and a year; threshold, increment and most of the delta shock; of
    offsetting futures. Stress: stablecoin spread; delta spread a year, and at most; of perpetuals. Components: basis.
    """
    terms = rules.terms_of(coin)
    rates: tuple[Decimal, ...] = ()
    if isinstance(terms, MatrixTerms):
        rates = (
            terms.maintenance_factor,
            terms.minimum_expiry_move,
            terms.annualised_move,
            terms.delta_shock_threshold,
            terms.delta_shock_increment,
            terms.maximum_delta_shock,
            terms.offsetting_futures_rate,
        )
    elif isinstance(terms, StressTerms):
        rates = (terms.stable_spread_rate, terms.delta_spread_rate, 2 * max(terms.price_moves), terms.perpetual_rate)
    elif isinstance(terms, ComponentTerms):
        rates = (terms.basis_move,)
    return [float(rate) for rate in rates] + [0.0] * (7 - len(rates))


def _steepness(rules: PortfolioRules, rates: Floats, years: Floats) -> Floats:
    """Return by how much a coin's charges can change with the sum of its coins at the index."""
    longest = 1.0 + float(years.max())
    found: Floats
    if isinstance(rules.terms, MatrixTerms):
        found = rates[:, 1] + rates[:, 2] * longest + 2 * rates[:, 5] + rates[:, 6]
        found *= 1.0 + rates[:, 0]
    elif isinstance(rules.terms, StressTerms):
        found = rates[:, 0] + 4 * longest * rates[:, 1] + rates[:, 2] + rates[:, 3]
    else:
        found = rates[:, 0] * longest
    return found


def _steps(rules: PortfolioRules, coin: str, name: str) -> tuple[list[float], list[float]]:
    """Return the ends of a table's slices, the last one without end, and their factors."""
    table: Steps = getattr(rules.terms_of(coin), name, ())
    ends = [float("inf") if end is None else float(end) for end, _ in table]
    return [*ends, float("inf")], [*(float(factor) for _, factor in table), float(table[-1][1]) if table else 0.0]


def _closing(contract: Contract, rules: PortfolioRules) -> float:
    terms = rules.terms_of(contract.risk_unit)
    if not isinstance(terms, ComponentTerms):
        return 0.0
    fee = terms.taker_fee if contract.taker_fee_rate is None else contract.taker_fee_rate
    return float(fee + terms.futures_slippage)


__all__ = ["COMPONENTS", "MATRIX", "STRESS", "Models", "models_of"]
