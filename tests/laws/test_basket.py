"""Laws of baskets whose collateral moves with marks: moves of all of them, prices on the way, debts and withdrawals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ringfence.account import Collateral
from ringfence.margin.assess import assess
from ringfence.margin.basket import amount_for, pool_at
from ringfence.margin.exchange import lost_in_sale, pay_back, withdrawable
from ringfence.margin.move import asset_betas, combined_move, pool_moved
from ringfence.rulebook import AutoExchange
from ringfence.study.surface import Surface
from tests.laws.oracle import counts_for
from tests.laws.strategies import Scene, collaterals, scenes

if TYPE_CHECKING:
    from ringfence.account import Pool

NEAR = Decimal("1e-9")
CLOSE = Fraction(1, 10**18)


def _surplus(scene: Scene, pool: Pool, move: Decimal) -> tuple[bool, Fraction]:
    """Whether the pool is liquidatable after all marks and indices moved, and its surplus there."""
    betas = {symbol: Decimal(1) for symbol in scene.marks}
    marks = {symbol: mark * (1 + move) for symbol, mark in scene.marks.items()}
    at = assess(pool_moved(pool, asset_betas(pool, betas), move), marks, scene.rulebook)
    assert at.balance_held_against is not None
    assert at.liquidation_requirement is not None
    return bool(at.liquidatable), Fraction(at.balance_held_against) - Fraction(at.liquidation_requirement)


@given(scenes(basket=True, isolated=False))
@settings(max_examples=60)
def test_at_a_combined_move_of_a_basket_the_status_flips(scene: Scene) -> None:
    (pool,) = scene.held()
    betas = {symbol: Decimal(1) for symbol in scene.marks}
    found = combined_move(pool, scene.marks, scene.rulebook, betas=betas)
    now, surplus = _surplus(scene, pool, Decimal(0))
    assume(surplus != 0)
    for move, direction in ((found.down, -1), (found.up, 1)):
        if move is None or not found.exact or abs(move) < 2 * NEAR or move - NEAR <= -1 or now:
            continue
        assert _surplus(scene, pool, move - direction * NEAR)[0] is False
        assert _surplus(scene, pool, move + direction * NEAR)[0] is True


@given(scenes(basket=True, isolated=False), st.integers(50, 200))
@settings(max_examples=60)
def test_a_surface_says_of_a_basket_what_its_assessment_says(scene: Scene, percent: int) -> None:
    (pool,) = scene.held()
    surface = Surface(assess(pool, scene.marks, scene.rulebook), scene.marks, scene.rulebook)
    moved = {symbol: mark * percent / 100 for symbol, mark in scene.marks.items()}
    there = {**scene.marks, **moved}
    found, expected = surface.at(moved), assess(pool_at(pool, scene.marks, there), there, scene.rulebook)
    assert found is not None
    for name in ("balance_held_against", "liquidation_requirement"):
        mine, truth = Fraction(getattr(found, name)), Fraction(getattr(expected, name))
        assert abs(mine - truth) <= CLOSE * max(Fraction(1), abs(truth))


@given(collaterals(Decimal(100), None), st.integers(-100, 3000), st.integers(-1000, 3000))
def test_what_an_asset_counts_for_never_falls_with_more_of_it_and_its_inverse_gives_it_back(
    terms: Collateral, tenths: int, loss: int
) -> None:
    held, more = Decimal(tenths) / 10, Decimal(tenths + 7) / 10
    assert terms.value(more) >= terms.value(held)
    assert Fraction(terms.value(held)) == counts_for(terms, Fraction(held), Fraction(terms.index))
    gone = amount_for(terms, held, Decimal(loss))
    if gone is not None:
        lost = Fraction(terms.value(held)) - Fraction(terms.value(held - gone))
        assert abs(lost - loss) <= Fraction(1, 10**15)


@given(
    st.integers(1, 10**7),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(50, 100)), min_size=1, max_size=4),
    st.sampled_from(["pro_rata", "largest_value"]),
)
def test_a_sale_brings_what_is_owed_or_everything(debt: int, others: list[tuple[int, int, int]], order: str) -> None:
    balances = {"USDT": -Decimal(debt)}
    terms = {"USDT": Collateral()}
    for number, (amount, index, percent) in enumerate(others):
        balances[f"A{number}"] = Decimal(amount) / 100
        terms[f"A{number}"] = Collateral(Decimal(index) / 100, Decimal(percent) / 100)
    rule = AutoExchange(haircut_share=Decimal("0.5"), order_of_sale=order)
    sale = pay_back("USDT", balances, terms, rule)
    if sale is None:
        assert not any(amount > 0 for asset, amount in balances.items() if asset != "USDT")
        return
    brought = sum(
        Fraction(amount) * Fraction(terms[name].index) * (1 - Fraction(lost_in_sale(name, terms, rule)))
        for name, amount in sale.sold
    )
    assert sale.debt + sale.unpaid == debt
    assert abs(brought - Fraction(sale.debt)) <= Fraction(1, 10**15) * (1 + debt)
    assert all(0 < amount <= balances[name] for name, amount in sale.sold)
    if sale.unpaid > Decimal("1e-15"):
        assert dict(sale.sold) == {name: amount for name, amount in balances.items() if amount > 0}


@given(scenes(basket=True, isolated=False))
@settings(max_examples=40)
def test_after_what_may_leave_has_left_nothing_is_short(scene: Scene) -> None:
    (pool,) = scene.held()
    before = assess(pool, scene.marks, scene.rulebook)
    assume(before.available_balance)
    for asset, held in pool.balances.items():
        free = withdrawable(before, asset)
        if free is None or held is None:
            continue
        assert 0 <= free <= max(Decimal(0), held)
        after = assess(replace(pool, balances={**pool.balances, asset: held - free}), scene.marks, scene.rulebook)
        assert after.margin_balance is not None
        assert after.initial_margin is not None
        assert Fraction(after.margin_balance) >= Fraction(after.initial_margin) - Fraction(1, 10**12)
