"""Laws of portfolio margin, all four models: hedges only help, order does not matter, the price found is the edge.

"A portfolio needs no more than its positions alone" holds of the worst scenario for every book, of whole requirements
on the basis of :func:`_lawful` for books without options, and of Deribit's for books with options too. That basis
leaves out least charges, what grows with size, the dampener of an extended table, which is granted once and not once a
position, and Bybit's stablecoin spread, which is charged on top of a delta spread that may be all that was saved: as
they are charged, a book can need more than its positions alone (docs/explanation/portfolio-margin.md).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.account import pools
from ringfence.margin.assess import assess
from ringfence.margin.portfolio.requirement import hedges, margins_of
from ringfence.margin.price import liquidation_prices
from ringfence.numbers import exact
from ringfence.portfolio_rules import MatrixTerms
from tests.unit.margin.portfolio_books import (
    assessed,
    book,
    future,
    held,
    inverse,
    mark_of,
    option,
    perpetual,
    rules,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringfence.account import Position
    from ringfence.contract import Contract
    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.margin.portfolio.requirement import PortfolioRequirement
    from ringfence.margin.portfolio.unit import Unit

D = Decimal
VENUES = ("deribit", "okx-swap", "bybit-uta")
Held = tuple["Contract", "Position"]

_LINEAR = [perpetual(), inverse(), future(20, "BTC-NEAR"), future(200, "BTC-FAR"), perpetual("BTC-USDC", settle="USDC")]
_OPTIONS = [
    option(str(strike), kind, days=days, settle=settle, name=f"BTC-{days}-{strike}-{kind}-{settle}")
    for strike in (48000, 60000, 75000)
    for kind in ("call", "put")
    for days, settle in ((9, "USDT"), (90, "BTC"))
]
_SIZES = st.integers(-40, 40).filter(bool)


def _holding(contract: Contract, size: int) -> Held:
    return held(contract, str(size * 5000 if contract.inverse else D(size) / 4))


_WITHOUT_OPTIONS = st.dictionaries(st.sampled_from(range(len(_LINEAR))), _SIZES, min_size=1).map(
    lambda sizes: [_holding(_LINEAR[place], size) for place, size in sizes.items()]
)
_BOOKS = st.dictionaries(
    st.sampled_from(range(len(_LINEAR) + len(_OPTIONS))), _SIZES, min_size=1, max_size=7
).map(lambda sizes: [_holding([*_LINEAR, *_OPTIONS][place], size) for place, size in sizes.items()])  # fmt: skip
_WALLET = {"USDT": "5000000", "BTC": "20"}


@exact
def _total(values: Iterable[Decimal]) -> Decimal:
    return sum(values, D(0))


def _unit(venue: str, positions: list[Held]) -> Unit:
    found = assessed(venue, *positions, wallet=_WALLET).portfolio
    assert found is not None
    return found.units[0]


@exact
def _lawful(unit: Unit, found: PortfolioRequirement, holdings: Sequence[Exposure]) -> Decimal:
    """Return the maintenance margin of some of a unit's holdings without what the law does not hold of."""
    terms = found.rules.terms_of(unit.coin)
    assert unit.grid is not None
    margins = margins_of(holdings, terms, unit.index, unit.grid)
    matrix = isinstance(terms, MatrixTerms)
    loss = -min(D(0), *margins.columns) if matrix else margins.worst_loss
    charges = _total(
        charge.amount for charge in margins.charges if not charge.minimum and charge.name != "stablecoin spread"
    )
    return (loss + charges) * (terms.maintenance_factor if isinstance(terms, MatrixTerms) else D(1))


def _assert_lawful(found: PortfolioRequirement) -> None:
    unit = found.units[0]
    alone = _total(_lawful(unit, found, (item,)) for item in unit.exposures)
    assert _lawful(unit, found, unit.exposures) <= alone


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_BOOKS)
@settings(max_examples=25, deadline=None)
def test_a_book_s_worst_scenario_costs_no_more_than_its_positions_worst_ones(venue: str, positions: list[Held]) -> None:
    unit = _unit(venue, positions)
    assert unit.grid is not None
    least = _total(min(D(0), *item.row) for item in unit.exposures)
    assert min(D(0), *unit.margins.columns) >= least


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_WITHOUT_OPTIONS)
@settings(max_examples=25, deadline=None)
def test_a_book_without_options_needs_no_more_than_its_positions_alone(venue: str, positions: list[Held]) -> None:
    found = assessed(venue, *positions, wallet=_WALLET, spot_hedging=False).portfolio
    assert found is not None
    _assert_lawful(found)


@given(positions=_BOOKS)
@settings(max_examples=25, deadline=None)
def test_deribit_s_requirement_is_at_most_the_sum_of_stand_alone_ones_with_options_too(positions: list[Held]) -> None:
    found = assessed("deribit", *positions, wallet=_WALLET).portfolio
    assert found is not None
    _assert_lawful(found)


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_BOOKS)
@settings(max_examples=12, deadline=None)
def test_what_a_holding_needs_alone_is_what_assessing_it_by_itself_gives(venue: str, positions: list[Held]) -> None:
    found = assessed(venue, *positions, wallet=_WALLET, spot_hedging=False).portfolio
    assert found is not None
    for position, hedge in zip(positions, hedges(found, found.units[0]), strict=True):
        itself, *others = (position, *(item for item in positions if item is not position))
        assert hedge.alone == assessed(venue, itself, wallet=_WALLET, spot_hedging=False).maintenance_margin
        without = D(0)
        if others:
            without = assessed(venue, *others, wallet=_WALLET, spot_hedging=False).maintenance_margin or D(0)
        assert _total((without, hedge.added)) == found.maintenance


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_BOOKS, coins=st.integers(1, 60))
@settings(max_examples=12, deadline=None)
def test_what_a_holding_adds_is_what_the_book_without_it_needs_less_though_coins_then_hedge_what_is_left(
    venue: str, positions: list[Held], coins: int
) -> None:
    wallet = {"USDT": "5000000", "BTC": str(D(coins) / 10)}
    found = assessed(venue, *positions, wallet=wallet, spot_hedging=True).portfolio
    assert found is not None
    parts = hedges(found, found.units[0])
    for position, hedge in zip(positions, parts, strict=False):
        others = [item for item in positions if item is not position]
        without = D(0)
        if others:
            without = assessed(venue, *others, wallet=wallet, spot_hedging=True).maintenance_margin or D(0)
        assert _total((without, hedge.added)) == found.maintenance
    if len(parts) > len(positions):  # coins that hedge are a holding, too
        bare = assessed(venue, *positions, wallet=wallet, spot_hedging=False).maintenance_margin or D(0)
        assert _total((bare, parts[-1].added)) == found.maintenance


def test_a_dampener_granted_once_can_make_two_positions_dearer_than_each_alone() -> None:
    positions = [held(option("90000", "call", days=30 + more, name=f"call-{more}"), "-100") for more in (0, 7)]
    found = assessed("deribit", *positions, wallet=_WALLET).portfolio
    assert found is not None
    parts = hedges(found, found.units[0])
    assert found.maintenance > _total(hedge.alone for hedge in parts)
    _assert_lawful(found)


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_BOOKS, turned=st.integers(0, 6))
@settings(max_examples=12, deadline=None)
def test_the_order_of_positions_does_not_matter(venue: str, positions: list[Held], turned: int) -> None:
    first = assessed(venue, *positions, wallet=_WALLET)
    turn = turned % len(positions)
    second = assessed(venue, *positions[turn:], *positions[:turn], wallet=_WALLET)
    assert (first.maintenance_margin, first.initial_margin) == (second.maintenance_margin, second.initial_margin)


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_BOOKS)
@settings(max_examples=12, deadline=None)
def test_maintenance_is_at_most_initial_margin_and_neither_is_negative(venue: str, positions: list[Held]) -> None:
    found = assessed(venue, *positions, wallet=_WALLET)
    assert found.maintenance_margin is not None
    assert found.initial_margin is not None
    assert D(0) <= found.maintenance_margin <= found.initial_margin


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_BOOKS, more=st.integers(1, 10**6))
@settings(max_examples=12, deadline=None)
def test_more_collateral_never_hurts(venue: str, positions: list[Held], more: int) -> None:
    poor = assessed(venue, *positions, wallet=_WALLET, spot_hedging=False)
    rich = assessed(venue, *positions, wallet=_WALLET | {"USDT": str(5000000 + more)}, spot_hedging=False)
    assert poor.liquidation_requirement == rich.liquidation_requirement
    assert poor.balance_held_against is not None
    assert rich.balance_held_against == poor.balance_held_against + more


@pytest.mark.parametrize("venue", VENUES)
@given(positions=_BOOKS)
@settings(max_examples=8, deadline=None)
def test_a_position_twice_as_large_of_one_sign_has_twice_the_worst_loss(venue: str, positions: list[Held]) -> None:
    unit = _unit(venue, positions[:1])
    doubled = [(positions[0][0], replace(positions[0][1], quantity=2 * positions[0][1].quantity))]
    twice = _unit(venue, doubled)
    worst = min(unit.margins.columns)
    assert min(twice.margins.columns) == _total((worst, worst))


@pytest.mark.parametrize("venue", [*VENUES, "binance-usdm"])
@given(size=st.integers(1, 60), short=st.integers(0, 1), cash=st.integers(20, 400), option_size=st.integers(-8, 8))
@settings(max_examples=6, deadline=None)
def test_the_liquidation_price_is_the_edge_within_one_tick(
    venue: str,
    size: int,
    short: int,
    cash: int,
    option_size: int,
) -> None:
    positions = [held(perpetual("BTCUSDT"), str(D(-size if short else size) / 10))]
    if option_size and venue != "binance-usdm":
        positions.append(held(option("66000", days=40), str(option_size)))
    account = book(*positions, wallet={"USDT": str(cash * 1000)})
    rulebook = rules(venue, *(item for item in positions if venue != "binance-usdm"))
    marks = {contract.symbol: mark_of(contract) for contract, _ in positions}
    pool = pools(account, rulebook.contract)[-1]
    found = assess(pool, marks, rulebook)
    prices = liquidation_prices(found, "BTCUSDT")
    step = D("0.1")
    for price, inward in ((prices.below, step), (prices.above, -step)):
        if price is None:
            continue
        at, nearer = (assess(pool, {**marks, "BTCUSDT": one}, rulebook).liquidatable for one in (price, price + inward))
        assert {at, nearer} == {True, False}
        assert at is True


@given(positions=_BOOKS)
@settings(max_examples=10, deadline=None)
def test_nothing_held_needs_nothing(positions: list[Held]) -> None:
    unit = _unit("deribit", positions)
    found = assessed("deribit", *positions, wallet=_WALLET).portfolio
    assert found is not None
    assert unit.grid is not None
    empty = margins_of((), found.rules.terms_of("BTC"), unit.index, unit.grid)
    assert (empty.maintenance, empty.initial, empty.worst) == (D(0), D(0), None)
