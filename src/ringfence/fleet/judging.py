"""The pools of a unit at given prices: what the kernel is sure of, and what the exact lane decides.

Prices come as exact marks. The kernels compute with the nearest floats and say of each pool "so" or "not sure"; the
exact lane (:func:`ringfence.margin.assess.assess`) decides those they are not sure of, and those whose rules they do
not hold. So every verdict is the one that ``ringfence assess`` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import pools
from ringfence.errors import BadInput
from ringfence.fleet import scenario_kernel as kernel
from ringfence.fleet.accounts import account_of
from ringfence.fleet.books import books_of, places_of
from ringfence.fleet.in_turn import counted
from ringfence.margin.assess import assess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.account import Pool
    from ringfence.fleet.books import Books
    from ringfence.fleet.market import Market
    from ringfence.fleet.pooling import Pools
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price

    Floats = NDArray[np.float64]

LANES = 16  #: numbers that a compiled loop takes in one go
SOUND, CALLED, LIQUIDATABLE, UNKNOWN = 0, 1, 2, -1
LOOK = 3  #: of a kernel: the exact lane decides
STATES = {"healthy": SOUND, "margin_call": CALLED, "liquidatable": LIQUIDATABLE, None: UNKNOWN}


class Prices(NamedTuple):
    """Marks of one or more scenarios: exact by symbol, and contract values as floats, ``(symbol, scenario)``.

    ``values`` has more columns than there are scenarios where that fills vectors of lanes up. ``ends``: least and
    largest value by symbol. ``missing``: symbols without a mark, by number. ``moves``: what an index is times its own,
    by row of :attr:`Market.follow`, then a row of ones; ``least``, ``most``: ends of each row.
    """

    marks: Sequence[Mapping[str, Price]]
    values: Floats
    ends: Floats
    missing: NDArray[np.bool_]
    moves: Floats
    least: Floats
    most: Floats


def prices_of(market: Market, marks: Sequence[Mapping[str, Price]]) -> Prices:
    """Return the prices of scenarios, each a mark by symbol; a symbol without a mark has none in all of them."""
    import numpy as np

    made = market.instruments
    price = np.array([[float(at.get(symbol, "nan")) for at in marks] for symbol in market.symbols])
    price = price.reshape(len(market.symbols), len(marks))
    one = market.number[1]  # the contract of a symbol is the same in every architecture
    size, inverse = made.size[one][:, None], made.inverse[one][:, None]
    values = np.where(inverse, size / price, size * price)
    moves = _moves(market, marks, price)
    if len(marks) > 1:  # whole vectors of lanes, filled up with the first scenario: no loop then has a remainder
        values, moves = (np.concatenate([one, np.repeat(one[:, :1], -len(marks) % LANES, axis=1)], axis=1)
                         for one in (values, moves))  # fmt: skip
    missing = np.isnan(values).any(axis=1)
    filled = np.where(missing[:, None], 0.0, values)
    ends = np.stack([filled.min(axis=1), filled.max(axis=1)], axis=1)
    return Prices(marks, values, ends, missing, np.ascontiguousarray(moves), moves.min(axis=1), moves.max(axis=1))


def _moves(market: Market, marks: Sequence[Mapping[str, Price]], price: Floats) -> Floats:
    """Return by what every row of ``follow`` has moved since its index was given; 1 where it cannot be said."""
    import numpy as np

    standing = market.indices.standing
    rows = list(market.follow)
    others = rows[len(market.symbols) :]
    more = np.array([[float(at.get(symbol, "nan")) for at in marks] for symbol in others]).reshape(-1, len(marks))
    before = np.array([float(standing.get(symbol, "nan")) for symbol in rows])
    found = np.concatenate([price, more]) / before[:, None]
    ones = np.ones((1, len(marks)))
    moved: Floats = np.concatenate([np.where(np.isnan(found), 1.0, found), ones])
    return moved


def rules_of(market: Market) -> kernel.Rules:
    """Return the market's arrays as the kernel reads them."""
    of = market.instruments
    return kernel.Rules(
        of.price_of, of.size, of.inverse, of.fee_slope, of.fee_kind, of.fee_rate, of.moving, of.by_contracts,
        of.larger_side, of.isolated, of.jumps, of.bare, of.floor, of.rate + of.funding[:, None], of.deduction, of.tiers,
        of.credit, of.charge, market.base_rate, market.rate_per_unit,
    )  # fmt: skip


def tiers_of(market: Market) -> kernel.Tiers:
    """Return the market's tiers as the kernel reads them."""
    of = market.instruments
    deduction = of.deduction * of.charge[:, None]
    return kernel.Tiers(of.floor, of.rate + of.funding[:, None], deduction, of.tiers, of.jumps)


def prepared(found: Pools, market: Market, *, missing: NDArray[np.bool_]) -> kernel.Prepared:
    """Return pools and legs as the kernel reads them, with all that no price changes computed.

    Pools with a symbol that has no mark are looked at, too.
    """
    import numpy as np

    look = found.look.copy()
    if missing.any():
        look[np.repeat(np.arange(len(look)), np.diff(found.first))[missing[found.symbol]]] = True
    held = kernel.Held(
        found.first, found.account, found.asset, found.balance, found.gross, look, found.symbol, found.instrument,
        found.quantity, found.entry_price, found.leverage, found.parts.leg, found.parts.cash, found.parts.gross,
        found.parts.owed,
    )  # fmt: skip
    legs, pools_ = len(found.symbol), len(found.balance)
    by_leg, by_pool, of = np.empty((5, legs)), np.empty((3, pools_)), found.parts
    signed, slope, tiered, contracts, most = by_leg
    cash, fixed, gross = by_pool
    part_cash, part_fixed, part_gross = np.empty((3, len(of.cash)))
    into = kernel.Prepared(
        found.first, found.account, found.asset, found.symbol, signed, slope, tiered, contracts, most,
        np.empty(legs, np.int64), cash, fixed, gross, np.empty(pools_, np.bool_), of.leg, of.first,
        part_cash, part_fixed, part_gross, of.at_index, of.follows, of.ask, of.charge, of.way, of.constant,
        of.slope, of.lines, of.currency,
    )  # fmt: skip
    kernel.prepare(held, rules_of(market), into)
    return into


class ExactPools:
    """The exact lane for single pools of a unit. Keeps the account it was last asked for."""

    def __init__(self, batch: Any, market: Market) -> None:
        self.batch, self._market = batch, market
        self._row = -1
        self._pools: dict[str, Pool] = {}

    def pool(self, found: Pools, number: int) -> Pool:
        """Return pool ``number`` in exact numbers. Raises BadInput where an account's pools cannot be."""
        row = int(found.account[number])
        if row != self._row:
            account = account_of(self.batch.slice(row, 1).to_pylist()[0], self._market.terms)
            rulebook = self._market.rulebook
            self._pools = {pool.name: pool for pool in pools(account, rulebook.contract, rulebook.collateral)}
            self._row = row
        return self._pools[found.named(number, self._market)]

    def assess(self, found: Pools, number: int, marks: Mapping[str, Price]) -> Assessment | None:
        """Return the assessment of a pool, None where there is none, as for want of a mark."""
        rulebook = self._market.rulebook
        try:
            pool, at = self._market.indices.pool_at(self.pool(found, number), marks, rulebook.contract)
            return assess(pool, at, rulebook)
        except BadInput:
            return None


class BooksStand(NamedTuple):
    """Where the books of a unit stand in scenarios, ``(book, scenario)``: balance, requirement, and what is certain.

    ``state``: one of ``STATES``'s numbers, or ``LOOK``.
    """

    books: Books
    balance: Floats
    required: Floats
    state: NDArray[np.int8]


def books_stand(batch: Any, found: Pools, market: Market, prices: Prices) -> BooksStand:
    """Return where the books of a unit stand in the scenarios of ``prices``; each verdict is the exact lane's."""
    import numpy as np

    books, models = books_of(batch, found, market), market.models
    shape = len(books.pool), len(prices.marks)
    stand = BooksStand(books, np.empty(shape), np.empty(shape), np.empty(shape, np.int8))
    if models is not None and shape[0]:
        from ringfence.fleet import book_kernel

        level = float(market.rulebook.levels.margin_call)
        at = places_of(market, prices.marks, prices.moves)
        book_kernel.stand(books, models, at, level, stand.balance, stand.required, stand.state)
    return stand


class Judged(NamedTuple):
    """A unit's pools at one set of prices. ``state``: one of ``STATES``'s numbers; balance and requirement as floats.

    ``exact``: pools that the exact lane decided; ``exactly``: their assessments, by number.
    """

    pools: Pools
    state: NDArray[np.int8]
    balance: Floats
    required: Floats
    exact: int
    exactly: Mapping[int, Assessment | None]


def judge(
    batch: Any, found: Pools, market: Market, prices: Prices, told: Callable[[int], None] | None = None
) -> Judged:
    """Return every pool's state at the first scenario of ``prices``; each is what the exact lane says.

    ``told`` hears how many more accounts are done.
    """
    import numpy as np

    got = prepared(found, market, missing=prices.missing)
    size = len(found.balance)
    balance, required, state = np.empty(size), np.empty(size), np.empty(size, np.int8)
    level = float(market.rulebook.levels.margin_call)
    values = np.ascontiguousarray(prices.values[:, :1])
    ends = np.concatenate([values, values], axis=1)
    moves = np.ascontiguousarray(prices.moves[:, :1])
    moved = np.minimum(moves[:, 0], 1.0), np.maximum(moves[:, 0], 1.0)
    points = kernel.Points(values, ends, moves, *moved, level)
    kernel.judge(got, tiers_of(market), points, balance, required, state)
    exact = ExactPools(batch, market)
    exactly: dict[int, Assessment | None] = {}
    if found.by_scenarios.any():
        stand = books_stand(batch, found, market, prices._replace(marks=prices.marks[:1]))
        book, sure = stand.books.pool, stand.state[:, 0] != LOOK
        state[book[sure]] = stand.state[sure, 0]
        balance[book], required[book] = stand.balance[:, 0], stand.required[:, 0]
    asked = np.flatnonzero(state == LOOK)
    unmarked = np.zeros(size, np.bool_)
    if prices.missing.any():
        legs = np.repeat(np.arange(size), np.diff(found.first))
        unmarked[legs[prices.missing[found.symbol]]] = True
    for number in counted(asked, found.account, batch.num_rows, told):
        answer = None if unmarked[number] else exact.assess(found, number, prices.marks[0])
        exactly[number] = answer
        state[number] = UNKNOWN if answer is None else STATES[answer.status]
        if (
            answer is not None
            and answer.balance_held_against is not None
            and answer.liquidation_requirement is not None
        ):
            balance[number] = float(answer.balance_held_against)
            required[number] = float(answer.liquidation_requirement)
    return Judged(found, state, balance, required, len(asked) - int(unmarked.sum()), exactly)


__all__ = [
    "CALLED",
    "LIQUIDATABLE",
    "LOOK",
    "SOUND",
    "STATES",
    "UNKNOWN",
    "ExactPools",
    "Judged",
    "Prices",
    "books_stand",
    "judge",
    "prepared",
    "prices_of",
    "rules_of",
    "tiers_of",
]
