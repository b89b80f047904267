"""Packed columns and the full sweep: the exact lane's sums, and never "safe" where it would act."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings

from ringfence import load_rulebook
from ringfence.errors import BadInput
from ringfence.margin.assess import assess
from ringfence.numbers import EXACT
from ringfence.screen.columns import Legs, pack, pack_pools
from ringfence.screen.instruments import Instruments, instruments
from ringfence.screen.sweep import Sweep
from tests.laws.strategies import FROZEN, MOVING, Scene, scenes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.account import Pool

ARCHITECTURES = ("isolated", "cross", "basket")


def packed(scene: Scene) -> tuple[list[Pool], Instruments, Sweep]:
    """The scene's pools in a sweep at liquidation and at a call."""
    held = scene.held()
    tables = instruments(scene.rulebook, list(scene.marks), architectures=ARCHITECTURES)
    return held, tables, Sweep(pack_pools(tables, held, scene.marks, scene.rulebook), levels=(1.0, 1.25))


def exact_surplus(pool: Pool, marks: Mapping[str, Decimal], scene: Scene, level: str) -> Decimal | None:
    assessment = assess(pool, marks, scene.rulebook)
    held, required = assessment.balance_held_against, assessment.liquidation_requirement
    if held is None or required is None:
        return None
    return EXACT.subtract(held, EXACT.multiply(Decimal(level), required))


def gross(pool: Pool, marks: Mapping[str, Decimal], scene: Scene) -> float:
    assessment = assess(pool, marks, scene.rulebook)
    return float(assessment.notional + sum(abs(line.entry_value) for line in assessment.lines) + 1)


@settings(deadline=None, max_examples=150)
@given(scenes(policies=MOVING | FROZEN, orders=True))
def test_surpluses_are_those_of_the_exact_lane_at_the_marks_of_packing_and_at_others(scene: Scene) -> None:
    held, tables, sweep = packed(scene)
    for factor in ("1", "1.2", "0.7", "2.6"):
        marks = {symbol: mark * Decimal(factor) for symbol, mark in scene.marks.items()}
        prices = np.array([float(marks[symbol]) for symbol in tables.symbols])
        for level in ("0", "1", "1.25"):
            computed = sweep.surplus(prices, float(level))
            for index, pool in enumerate(held):
                exact = exact_surplus(pool, marks, scene, level)
                if np.isnan(computed[index]):
                    assert index in sweep.columns.looks
                    continue
                assert exact is not None
                allowed = 1e-9 * gross(pool, marks, scene)
                assert abs(float(exact) - computed[index]) <= allowed, (scene.policy, level, factor, pool)


@settings(deadline=None, max_examples=150)
@given(scenes(policies=MOVING | FROZEN, orders=True))
def test_whoever_the_exact_lane_would_touch_is_looked_at_at_every_price_of_a_walk(scene: Scene) -> None:
    held, tables, sweep = packed(scene)
    for factor in ("1", "1.01", "0.93", "1.5", "0.5", "5", "30"):
        marks = {symbol: mark * Decimal(factor) for symbol, mark in scene.marks.items()}
        prices = np.array([float(marks[symbol]) for symbol in tables.symbols])
        for number, level in ((0, Decimal(1)), (1, Decimal("1.25"))):
            looked_at = set(sweep.look(prices, number).tolist())
            for index, pool in enumerate(held):
                assessment = assess(pool, marks, scene.rulebook)
                if assessment.liquidatable is not False or assessment.reached(level):
                    assert index in looked_at, (scene.policy, level, factor, pool)


def test_most_scenes_are_packed_and_not_looked_at_every_time() -> None:
    seen = {"packed": 0, "looks": 0}

    @settings(deadline=None, max_examples=60, database=None)
    @given(scenes())
    def count(scene: Scene) -> None:
        _, _, sweep = packed(scene)
        seen["packed"] += sweep.columns.pools
        seen["looks"] += len(sweep.columns.looks)

    count()
    assert seen["packed"] > 2 * seen["looks"], seen


def plain(quantities: list[list[float]], balances: list[float]) -> tuple[Instruments, Legs]:
    """Pools long of BTCUSDT and ETHUSDT, by Binance's rules, entered at 60,000 and 3,000."""
    tables = instruments(load_rulebook("binance-usdm", date(2025, 10, 10)), ["BTCUSDT", "ETHUSDT"])
    first = np.cumsum([0, *(len(pool) for pool in quantities)])
    number = [tables.of(symbol) for pool in quantities for symbol in ("BTCUSDT", "ETHUSDT")[: len(pool)]]
    entry = [price for pool in quantities for price in (60_000.0, 3_000.0)[: len(pool)]]
    held = np.array([quantity for pool in quantities for quantity in pool])
    return tables, Legs(first, np.array(balances), np.array(number, np.int32), held, np.array(entry))


def test_a_pool_of_two_positions_is_looked_at_from_the_price_on_at_which_its_requirement_is_reached() -> None:
    tables, legs = plain([[1.0, 10.0], [1.0]], [9_000.0, 90_000.0])
    sweep = Sweep(pack(tables, legs, np.array([60_000.0, 3_000.0])))
    # Maintenance 0.4 % of 60,000 and 0.4 % of 30,000. Both fall by x: 9,000 − 90,000 x = 0.004 · 90,000 (1 − x), or
    # 8,640 = 89,640 x: x is 0.09638554…
    assert sweep.look(np.array([60_000.0, 3_000.0]) * (1 - 0.09638)).tolist() == []
    assert sweep.look(np.array([60_000.0, 3_000.0]) * (1 - 0.09639)).tolist() == [0]


def test_a_pool_with_something_unknown_is_looked_at_every_time() -> None:
    tables, legs = plain([[1.0], [1.0]], [float("nan"), 90_000.0])
    sweep = Sweep(pack(tables, legs, np.array([60_000.0, 3_000.0])))
    assert sweep.columns.looks.tolist() == [0]
    assert sweep.look(np.array([60_000.0, 3_000.0])).tolist() == [0]


def test_a_price_that_is_missing_makes_everybody_who_holds_the_symbol_be_looked_at() -> None:
    tables, legs = plain([[1.0], [1.0, 1.0]], [90_000.0, 90_000.0])
    sweep = Sweep(pack(tables, legs, np.array([60_000.0, 3_000.0])))
    assert sweep.look(np.array([60_000.0, np.nan])).tolist() == [1]
    assert sweep.look(np.array([60_000.0, 3_000.0])).tolist() == []


def test_who_was_taken_out_is_named_no_more() -> None:
    tables, legs = plain([[1.0], [1.0]], [100.0, 100.0])
    sweep = Sweep(pack(tables, legs, np.array([60_000.0, 3_000.0])))
    sweep.take_out(np.array([0]))
    assert sweep.look(np.array([50_000.0, 3_000.0])).tolist() == [1]


def test_arrays_that_do_not_fit_together_are_refused_with_the_pool_named() -> None:
    tables, legs = plain([[1.0], [1.0]], [1.0, 1.0])
    marks = np.array([60_000.0, 3_000.0])
    with pytest.raises(BadInput, match="pool 1, leg 1"):
        pack(tables, legs._replace(instrument=np.array([0, 99], np.int32)), marks)
    with pytest.raises(BadInput, match="balance has the wrong length"):
        pack(tables, legs._replace(balance=np.ones(3)), marks)
    with pytest.raises(BadInput, match="not one mark per symbol"):
        pack(tables, legs, marks[:1])


def test_a_pool_of_portfolio_margin_is_always_looked_at() -> None:
    # Far from any tier's requirement, but no sum of tiers bounds a requirement by scenarios.
    from dataclasses import replace

    from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Position, pools

    rulebook = load_rulebook("okx-swap", date(2026, 6, 1))
    account = Account(
        positions=(Position("BTC-USDT-SWAP", Decimal(1), Decimal(60000), MarginMode.CROSS),),
        wallet={"USDT": Decimal(10**6)},
        collateral={"USDT": Collateral()},
        collateral_mode=CollateralMode.MULTI_ASSET,
    )
    marks = {"BTC-USDT-SWAP": Decimal(60000)}
    tables = instruments(rulebook, list(marks), architectures=ARCHITECTURES)
    for mode, looked in ((CollateralMode.MULTI_ASSET, 0), (CollateralMode.PORTFOLIO, 1)):
        held = pools(replace(account, collateral_mode=mode), rulebook.contract, rulebook.collateral)
        sweep = Sweep(pack_pools(tables, list(held), marks, rulebook), levels=(1.0, 1.25))
        assert len(sweep.look(np.array([60000.0]))) == looked
