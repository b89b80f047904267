"""Laws of plain pools: their figures, bankruptcy prices and bands are, digit by digit, those of an assessment."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from ringfence.contract import ContractKind
from ringfence.margin.assess import assess
from ringfence.margin.plain import bankruptcy_price, parts, terms_of
from ringfence.margin.price import bankruptcy_price as assessed_bankruptcy_price
from ringfence.numbers import ONE, ROUND_FLOOR, VALUE_PLACES, ZERO, divide, exact
from ringfence.rulebooks import load, names
from ringfence.screen.bands import PoolBands
from ringfence.screen.plain_bands import Edges, bands_of
from tests.laws.strategies import AT_BANKRUPTCY, FROZEN, PROGRESSIVE, STEP, Scene, scenes

if TYPE_CHECKING:
    from ringfence.account import Pool
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.plain import Parts, Terms

RESERVING = {
    "fee left over at the bankruptcy price": {
        "tier_type": "progressive", "closing_fee": "mark", "closing_fee_in_maintenance": True,
        "bankruptcy_reserve": "closing_fee",
    },
}  # fmt: skip
KINDS = (ContractKind.LINEAR, ContractKind.QUANTO, ContractKind.INVERSE)
LEVELS = (ONE, Decimal("1.25"), Decimal("1.5"))
seen: Counter[str] = Counter()


def packaged() -> dict[str, dict[str, Any]]:
    """Return the policies of every packaged venue, isolated and cross."""
    found: dict[str, dict[str, Any]] = {}
    for name in names():
        rulebook = load(name)
        found |= {f"{name} isolated": asdict(rulebook.isolated), f"{name} cross": asdict(rulebook.cross)}
    return found


EVERY = PROGRESSIVE | STEP | FROZEN | AT_BANKRUPTCY | RESERVING | packaged()


def rows_of(scene: Scene, pool: Pool) -> list[tuple[Terms, Decimal, Parts]] | None:
    """Return what a plain pool is decided by; None where one of its positions has to be assessed."""
    rows = []
    for position in pool.positions:
        contract, table = scene.rulebook.entry(position.symbol)
        terms = terms_of(contract, table, scene.rulebook.policies_for(isolated=pool.isolated))
        if terms is None:
            return None
        terms = terms.at(scene.marks[position.symbol])
        told = parts(terms, position.quantity, position.entry_price)
        if told is None:
            return None
        rows.append((terms, position.quantity, told))
    return rows


@settings(max_examples=400)
@given(scenes(policies=EVERY, kinds=KINDS, hedge=False, step=True))
def test_a_plain_pool_has_the_figures_prices_and_bands_of_its_assessment(scene: Scene) -> None:
    for pool in scene.held():
        rows = rows_of(scene, pool)
        if rows is None:
            seen["assessed"] += 1
            continue
        seen["plain"] += 1
        hold_together(assess(pool, scene.marks, scene.rulebook), rows)


@exact
def hold_together(assessment: Assessment, rows: list[tuple[Terms, Decimal, Parts]]) -> None:
    pnl = maintenance = required = ZERO
    for _, _, told in rows:
        pnl += told.unrealised_pnl
        maintenance += told.maintenance_margin
        required += told.liquidation_requirement
    (cash,) = assessment.pool.balances.values()
    assert cash is not None
    assert str(cash + pnl - ZERO) == str(assessment.balance_held_against)
    assert str(maintenance) == str(assessment.maintenance_margin)
    assert str(required + ZERO) == str(assessment.liquidation_requirement)
    equity = cash + pnl
    for (terms, quantity, told), line in zip(rows, assessment.lines, strict=True):
        weight, total = (ONE, ONE) if len(rows) == 1 else (told.maintenance_margin, maintenance)
        if total:
            share = divide(equity * weight, total, places=VALUE_PLACES, rounding=ROUND_FLOOR)
            assert str(bankruptcy_price(terms, quantity, share)) == str(assessed_bankruptcy_price(assessment, line))
    for above, not_above in ((LEVELS, ()), (LEVELS[:1], LEVELS[1:2]), ((), LEVELS[2:])):
        exactly = PoolBands().around(assessment, above=above, not_above=not_above)
        assert bands_of(rows, cash, Edges(), above=above, not_above=not_above) == exactly
        seen["bands"] += bool(exactly)


def test_that_law_has_seen_plain_pools_and_others() -> None:
    if not seen:
        pytest.skip("the law did not run")
    assert min(seen[kind] for kind in ("assessed", "plain", "bands")) > 50, seen
