"""The margin maths against the independent solver: every total exactly, every liquidation price to 15 digits."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings

from ringfence.account import Backing
from ringfence.contract import ContractKind
from ringfence.margin.assess import assess
from ringfence.margin.price import liquidation_prices
from tests.laws.oracle import Book
from tests.laws.strategies import AT_BANKRUPTCY, FROZEN, MOVING, Scene, scenes

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Pool
    from ringfence.margin.assessment import Assessment

EXACTLY = Fraction(1, 10**20)
CLOSELY = Fraction(1, 10**15)
ALL = MOVING | FROZEN | AT_BANKRUPTCY


def _same(found: Decimal | None, expected: Fraction | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return abs(Fraction(found) - expected) <= EXACTLY * max(Fraction(1), abs(expected))


def _assert_totals_agree(assessment: Assessment, book: Book) -> None:
    totals = book.totals(book.marks)
    assert _same(assessment.margin_balance, totals.balance)
    assert _same(assessment.unrealised_pnl, totals.pnl)
    assert _same(assessment.closing_fee, totals.fee)
    shown = totals.maintenance + (totals.fee if assessment.policies.closing_fee_in_maintenance else 0)
    assert _same(assessment.maintenance_margin, shown)
    assert _same(assessment.liquidation_requirement, totals.maintenance + totals.fee)
    for line in assessment.lines:
        leg = book.leg(line.position, book.marks)
        assert _same(line.notional, leg.notional)
        assert _same(line.unrealised_pnl, leg.pnl)
        assert _same(line.initial_margin, book.initial(line.position))


def _assert_prices_agree(pool: Pool, scene: Scene, assessment: Assessment, book: Book) -> None:
    surplus = book.totals(book.marks).surplus
    assume(surplus != 0)
    for symbol in {position.symbol for position in pool.positions}:
        found = liquidation_prices(assessment, symbol)
        expected = book.liquidation(symbol)
        if surplus < 0:
            expected = expected[1], expected[0]  # what is shown is where it was liquidated: on the way back
        for mine, truth in zip((found.below, found.above), expected, strict=True):
            assert (mine is None) == (truth is None), (symbol, scene.policy, mine, truth)
            if mine is not None and truth is not None:  # a price has 24 places at most
                assert abs(Fraction(mine) - truth) <= CLOSELY * truth + Fraction(1, 10**24), (symbol, scene)


@given(scenes(policies=ALL, orders=True))
@settings(max_examples=120)
def test_every_total_of_a_pool_is_the_one_in_fractions(scene: Scene) -> None:
    for pool in scene.held():
        _assert_totals_agree(assess(pool, scene.marks, scene.rulebook), Book(pool, scene.marks, scene.rulebook))


@given(scenes(basket=True, isolated=False))
@settings(max_examples=40)
def test_every_total_of_a_basket_is_the_one_in_fractions(scene: Scene) -> None:
    (pool,) = scene.held()
    assert pool.mode.backing is Backing.BASKET
    _assert_totals_agree(assess(pool, scene.marks, scene.rulebook), Book(pool, scene.marks, scene.rulebook))


@given(scenes(policies=ALL, orders=True))
@settings(max_examples=80)
def test_every_liquidation_price_is_the_first_change_of_sign_that_bisection_finds(scene: Scene) -> None:
    for pool in scene.held():
        assessment = assess(pool, scene.marks, scene.rulebook)
        _assert_prices_agree(pool, scene, assessment, Book(pool, scene.marks, scene.rulebook))


@given(scenes(policies=ALL, hedge=True, isolated=False, most_symbols=1))
@settings(max_examples=40)
def test_so_it_is_for_both_legs_of_a_hedge(scene: Scene) -> None:
    (pool,) = scene.held()
    assume(len(pool.positions) == 2)
    assessment = assess(pool, scene.marks, scene.rulebook)
    _assert_prices_agree(pool, scene, assessment, Book(pool, scene.marks, scene.rulebook))


@given(scenes(policies=ALL, kinds=(ContractKind.INVERSE,)))
@settings(max_examples=40)
def test_so_it_is_for_inverse_contracts(scene: Scene) -> None:
    for pool in scene.held():
        assessment = assess(pool, scene.marks, scene.rulebook)
        _assert_prices_agree(pool, scene, assessment, Book(pool, scene.marks, scene.rulebook))


@given(scenes(basket=True, isolated=False))
@settings(max_examples=40)
def test_so_it_is_for_a_basket_of_two_assets(scene: Scene) -> None:
    (pool,) = scene.held()
    assessment = assess(pool, scene.marks, scene.rulebook)
    assume(assessment.liquidatable is False)
    _assert_prices_agree(pool, scene, assessment, Book(pool, scene.marks, scene.rulebook))
