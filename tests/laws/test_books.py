"""Portfolio accounts by scenarios in fleets, of futures and perpetuals: verdicts, stresses and bands as the exact lane.

Deribit, OKX and Bybit. Accounts are put on the line of liquidation or of the margin call, a hair off it, and elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Context, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from ringfence import rulebooks
from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Position, PositionMode, RiskInputs
from ringfence.fleet import book_kernel
from ringfence.fleet.accounts import batch_of
from ringfence.fleet.apart import Apart
from ringfence.fleet.books import books_of, places_of
from ringfence.fleet.judging import LIQUIDATABLE, LOOK, STATES, ExactPools, books_stand, judge, prices_of
from ringfence.fleet.market import market_of
from ringfence.fleet.pooling import pools_of
from ringfence.fleet.schema import Terms
from ringfence.fleet.stress import unit_sums
from ringfence.margin.basket import amount_for
from tests.unit.margin.portfolio_books import NOW, future, inverse, perpetual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.fleet.market import Market
    from ringfence.fleet.pooling import Pools
    from ringfence.margin.assessment import Assessment

D = Decimal
WIDE = Context(prec=60)
VENUES = ("deribit", "okx-swap", "bybit-uta")
CONTRACTS = [
    perpetual("BTC-PERP"),
    inverse("BTC-PERPETUAL"),
    future(20, "BTC-NEAR"),
    replace(inverse("BTC-FAR"), expiry=future(200).expiry),
    perpetual("BTC-USDC", settle="USDC"),
    perpetual("ETH-PERP", coin="ETH"),
    inverse("ETH-PERPETUAL", coin="ETH"),
    replace(perpetual("SOL-USDC", settle="USDC", coin="SOL"), contract_size=D("0.01")),
    replace(future(90, "SOL-DATED"), underlying="SOL"),
    replace(perpetual("DOGE-PERP", coin="DOGE"), contract_size=D(1000), taker_fee_rate=D("0.0003")),
]
SYMBOLS = tuple(sorted(contract.symbol for contract in CONTRACTS))
WORTH = {"BTC": D(60000), "ETH": D(2000), "SOL": D(150), "DOGE": D("0.12")}
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@lru_cache
def market_with(venue: str, terms_key: tuple[Any, ...]) -> Market:
    terms = Terms(venue, as_of=date(2026, 2, 15), marks=dict(terms_key[0]), time=NOW, index=dict(terms_key[1]),
                  reference=dict(terms_key[2]))  # fmt: skip
    rulebook = rulebooks.load(venue, date(2026, 2, 15)).with_tables({one.symbol: (one, None) for one in CONTRACTS})
    return market_of(rulebook, SYMBOLS, terms)


class Drawn(NamedTuple):
    """A fleet's market, its accounts as a batch, and the exact lane's way to each pool."""

    market: Market
    batch: Any
    pools: Pools
    lane: ExactPools

    def __repr__(self) -> str:
        assert self.market.terms is not None
        return f"{self.market.rulebook.name}, {self.market.terms}, {self.batch.to_pylist()}"


def exact(drawn: Drawn, number: int, marks: dict[str, Decimal]) -> Assessment | None:
    return drawn.lane.assess(drawn.pools, number, marks)


def of(market: Market, accounts: Sequence[Account]) -> Drawn | None:
    batch, lost = batch_of((f"A{at}", account) for at, account in enumerate(accounts))
    return None if lost else Drawn(market, batch, pools_of(batch, market), ExactPools(batch, market))


def near(market: Market, account: Account, side: int, places: int, level: Decimal) -> Account:
    """Return the account with what it lacks to a level of health added to its USDT, off by ``side · 10^-places``."""
    drawn = of(market, [account])
    assert drawn is not None
    found = exact(drawn, 0, dict(market.terms.marks)) if market.terms and len(drawn.pools.balance) else None
    if found is None or found.balance_held_against is None or found.liquidation_requirement is None:
        return account
    line = next(line for line in found.assets if line.asset == "USDT")
    assert line.equity is not None
    amount = amount_for(line.terms, line.equity, found.balance_held_against - level * found.liquidation_requirement)
    if amount is None:
        return account
    wanted = (account.wallet["USDT"] or D(0)) - amount + side * D(1).scaleb(-places)
    return replace(account, wallet={**account.wallet, "USDT": wanted.quantize(D(1).scaleb(-18), context=WIDE)})


@st.composite
def fleets(draw: st.DrawFn) -> Drawn:
    """Some portfolio accounts of one venue, at marks that are, in part, not those that index prices belong to."""
    venue = draw(st.sampled_from(VENUES))
    permille = st.integers(-150, 150)
    standing = {one.symbol: WORTH[one.risk_unit] * (1000 + draw(st.integers(-8, 8))) / 1000 for one in CONTRACTS}
    moves = draw(st.dictionaries(st.sampled_from(SYMBOLS), permille, max_size=5))
    marks = {name: price * (1000 + moves.get(name, 0)) / 1000 for name, price in standing.items()}
    index = {coin: worth for coin, worth in WORTH.items() if draw(st.booleans())}
    key = tuple(marks.items()), tuple(index.items()), tuple(standing.items())
    market = market_with(venue, key)
    accounts = []
    for _ in range(draw(st.integers(1, 3))):
        account = draw(account_at(standing))
        accounts.append(account)
        levels = market.rulebook.levels.margin_call, D(1)
        accounts += [
            near(market, account, draw(st.sampled_from([0, 1, -1])), draw(st.integers(4, 18)), level)
            for level in draw(st.lists(st.sampled_from(levels), max_size=2))
        ]
    drawn = of(market, accounts)
    assume(drawn is not None)
    assert drawn is not None
    return drawn


@st.composite
def account_at(draw: st.DrawFn, standing: dict[str, Decimal]) -> Account:
    """A portfolio account of one to six positions, with coins that are held, owed and hedge, or not."""
    held = draw(st.lists(st.sampled_from(CONTRACTS), min_size=1, max_size=6, unique_by=lambda one: one.symbol))
    positions = []
    for one in held:
        worth = D(draw(st.integers(-40, 40).filter(bool))) * draw(st.sampled_from([500, 5000, 400_000]))
        price = standing[one.symbol]
        size = worth if one.inverse else worth / (price * one.contract_size)
        entry = price * (100 + draw(st.integers(-9, 9))) / 100
        positions.append(Position(one.symbol, round(size, 6), round(entry, 6), MarginMode.CROSS))
    coins: dict[str, Decimal | None] = {coin: round(D(draw(st.integers(-10, 300))) * 100 / WORTH[coin], 8)
             for coin in draw(st.sets(st.sampled_from(list(WORTH))))}  # fmt: skip
    dollars: dict[str, Decimal | None] = {"USDT": D(draw(st.integers(-20, 400))) * 1000}
    terms: dict[str, Collateral] = {
        **{coin: Collateral(worth, D(draw(st.sampled_from(["1", "0.9"]))), moves_with=coin)
           for coin, worth in WORTH.items()},
        "USDT": Collateral(D(draw(st.sampled_from(["1", "0.9995"])))), "USDC": Collateral(),
    }  # fmt: skip
    loans = {coin: round(abs(coins[coin] or D(0)) / 3, 8) for coin in coins if draw(st.booleans())}
    return Account(
        positions=tuple(positions), wallet={**dollars, **coins}, collateral=terms,
        collateral_mode=CollateralMode.PORTFOLIO, position_mode=PositionMode.ONE_WAY,
        risk=RiskInputs(loans=loans, spot_hedging=draw(st.sampled_from([None, True, False]))),
    )  # fmt: skip


@SETTINGS
@given(fleets())
def test_a_book_stands_where_the_exact_lane_says(drawn: Drawn) -> None:
    assert drawn.market.terms is not None
    marks = dict(drawn.market.terms.marks)
    prices = prices_of(drawn.market, [marks])
    stand = books_stand(drawn.batch, drawn.pools, drawn.market, prices)
    assert len(stand.books.pool) == len(drawn.pools.balance)
    judged = judge(drawn.batch, drawn.pools, drawn.market, prices)
    for at, number in enumerate(stand.books.pool.tolist()):
        said = exact(drawn, number, marks)
        assert said is not None
        assert judged.state[number] == STATES[said.status]
        assert stand.state[at, 0] in {LOOK, STATES[said.status]}
        balance, required = float(said.balance_held_against or 0), float(said.liquidation_requirement or 0)
        size = abs(balance) + required + 1e7
        assert abs(stand.balance[at, 0] - balance) <= 1e-13 * size
        assert abs(stand.required[at, 0] - required) <= 1e-13 * size


@SETTINGS
@given(fleets(), st.lists(st.integers(-60, 80), min_size=1, max_size=4), st.sampled_from(SYMBOLS))
def test_a_stress_of_books_counts_and_sums_what_the_exact_lane_finds(
    drawn: Drawn, percents: list[int], alone: str
) -> None:
    terms = drawn.market.terms
    assert terms is not None
    given_marks = dict(terms.marks)
    at = [given_marks]
    for place, percent in enumerate(percents):
        factor = (100 + D(percent)) / 100
        names = [alone] if place % 2 else list(given_marks)
        at.append({**given_marks, **{name: given_marks[name] * factor for name in names}})
    sums = unit_sums(drawn.batch, drawn.market, prices_of(drawn.market, at))
    rows = [[exact(drawn, number, marks) for number in range(len(drawn.pools.balance))] for marks in at]
    start = [float(one.balance_held_against or 0) for one in rows[0] if one is not None]
    assert sums.unknown == 0
    for step, row in enumerate(rows):
        said = [one for one in row if one is not None]
        dead = [STATES[one.status] == LIQUIDATABLE for one in said]
        assert sums.liquidatable[step] == sums.accounts[step] == sum(dead)
        assert sums.called[step] == sum(one.status == "margin_call" for one in said)
        equity = [float(one.balance_held_against or 0) for one in said]
        size = 1e-12 * (1e7 + sum(abs(one) for one in equity))
        assert abs(sums.equity[-1, step] - sum(equity)) <= size
        assert abs(sums.loss[-1, step] - sum(max(a - b, 0) for a, b in zip(start, equity, strict=True))) <= size
        assert (
            abs(sums.fund[-1, step] - sum(max(-e, 0.0) for e, gone in zip(equity, dead, strict=True) if gone)) <= size
        )
        forced = sum(float(line.notional) for one, gone in zip(said, dead, strict=True) if gone for line in one.lines)
        assert abs(sums.forced[:, step].sum() - forced) <= 1e-12 * (1e7 + forced)


@SETTINGS
@given(fleets(), st.sampled_from([D(1), D("1.1"), D("1.5")]), st.data())
def test_a_book_stays_above_its_level_everywhere_in_its_band(drawn: Drawn, level: Decimal, data: st.DataObject) -> None:
    market, terms = drawn.market, drawn.market.terms
    assert terms is not None
    assert market.models is not None
    marks = dict(terms.marks)
    books, prices = books_of(drawn.batch, drawn.pools, market), prices_of(market, [marks])
    place = places_of(market, [marks], prices.moves)
    reach = np.empty(len(books.pool))
    book_kernel.settle(np.arange(len(reach)), books, market.models, place.price[0], place.ratio[0],
                       place.moves[0], float(level), reach)  # fmt: skip
    standing = terms.standing
    for at, number in enumerate(books.pool.tolist()):
        said = exact(drawn, number, marks)
        assert said is not None
        if reach[at] <= 0:
            continue
        assert not said.reached(level)
        ends = D(float(reach[at])) * (1 - D("1e-12"))
        for _ in range(6):
            there = {}
            for name, mark in marks.items():
                way = data.draw(st.sampled_from([D(-1), D(1), D(0), D("0.5"), None]))
                back = way is None and mark * (1 - ends) < standing[name] < mark * (1 + ends)
                there[name] = standing[name] if back else mark * (1 + ends * (way or D(0)))
            found = exact(drawn, number, there)
            assert found is not None
            assert not found.reached(level)
            assert not found.liquidatable


@settings(SETTINGS, max_examples=30)
@given(fleets(), st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(-400, 400)), min_size=1, max_size=12))
def test_on_a_tape_whoever_falls_is_named_at_that_moment(drawn: Drawn, ticks: list[tuple[str, int]]) -> None:
    market, terms = drawn.market, drawn.market.terms
    assert terms is not None
    marks, rows = dict(terms.marks), market.follow
    count = len(drawn.pools.balance)
    apart = Apart([drawn.lane], [drawn.pools], np.array([0, count]), market, D(1), [np.zeros(count, np.bool_)])
    fallen: set[int] = set()
    assert (apart.baskets, apart.exact) == (len(drawn.pools.balance), 0)
    for symbol, steps in ticks:
        marks[symbol] *= (D(10000) + steps) / 10000
        price = np.array([float(marks.get(name, D("nan"))) for name in rows])
        before = np.array([float(terms.standing.get(name, D("nan"))) for name in rows])
        due = apart.due([rows[symbol]], price, price[: len(market.symbols)], np.append(price / before, 1.0))
        left = [number for number in range(len(drawn.pools.balance)) if number not in fallen]
        said = {number: exact(drawn, number, marks) for number in left}
        down = {number for number, found in said.items() if found is not None and found.liquidatable}
        assert down <= set(due)
        apart.take_out(sorted(down))
        fallen |= down
