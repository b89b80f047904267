"""The fleet's verdicts are those of the exact lane: of every account, under every policy, near the line and on it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringfence import rulebooks
from ringfence.account import CollateralMode, MarginMode, RiskInputs, pools
from ringfence.contract import ContractKind
from ringfence.errors import BadInput
from ringfence.fleet.accounts import account_of, batch_of
from ringfence.fleet.judging import LIQUIDATABLE, STATES, judge, prices_of
from ringfence.fleet.market import market_of
from ringfence.fleet.pooling import pools_of
from ringfence.fleet.scenarios import NOW, Scenario
from ringfence.fleet.schema import Terms
from ringfence.fleet.stress import unit_sums
from ringfence.margin.assess import assess
from ringfence.margin.basket import amount_for, pool_at
from ringfence.numbers import divide
from tests.laws.strategies import AT_BANKRUPTCY, FROZEN, MOVING, Scene, four_digits, scenes

if TYPE_CHECKING:
    from ringfence.account import Account
    from ringfence.fleet.pooling import Pools

D = Decimal
WIDE = Context(prec=60)
ALL = {
    **MOVING,
    **FROZEN,
    **AT_BANKRUPTCY,
    "rate by size": {"tier_type": "linear_in_size", "maintenance_rate_base": D("0.005"),
                     "rate_per_unit_of_base": D("0.00005")},
    "orders counted": {"tier_type": "progressive", "orders_in_requirement": True, "opening_fees_deducted": True},
    "adjustment factor": {"tier_type": "adjustment_factor", "adjustment_factor": D("0.15")},
    "maintenance from initial": {"tier_type": "step", "maintenance_from_initial": True,
                                 "initial_margin_rounding": "up"},
    "fee of the entry and the margin": {"tier_type": "progressive", "closing_fee": "entry_and_margin"},
}  # fmt: skip
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


UNIFIED = rulebooks.load("binance-usdm").portfolio


@st.composite
def fleets(draw: st.DrawFn, *, basket: bool | None = None) -> tuple[Scene, list[Account]]:
    """A scene's account several times, with balances put on the line, a hair beside it, and elsewhere."""
    shared = draw(st.booleans()) if basket is None else basket
    policies = {name: choices for name, choices in ALL.items() if not (shared and name in AT_BANKRUPTCY)}
    kinds = tuple(kind for kind in ContractKind if not (basket and kind is ContractKind.OPTION))
    scene = draw(scenes(policies=policies, kinds=kinds, orders=draw(st.booleans()), basket=shared,
                        step=draw(st.booleans())))  # fmt: skip
    if shared and draw(st.integers(0, 2)) == 0:
        scene = draw(unified(scene))
    moved = draw(st.lists(st.tuples(st.sampled_from([0, 1, -1]), st.integers(6, 18)), min_size=1, max_size=3))
    return scene, [scene.account, *(near_the_line(scene, side, places) for side, places in moved)]


@st.composite
def unified(draw: st.DrawFn, scene: Scene) -> Scene:
    """A basket as a portfolio account of Binance's kind, which is held by tiers, an index each, and loans."""
    loans = {asset: four_digits(abs(held or D(0)) * draw(st.integers(0, 9)) / 10)
             for asset, held in scene.account.wallet.items() if draw(st.booleans())}  # fmt: skip
    account = replace(
        scene.account,
        orders=scene.account.orders if draw(st.booleans()) else (),
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(loans=loans, reference=scene.marks),
    )
    return replace(scene, account=account, rulebook=replace(scene.rulebook, portfolio=UNIFIED))


def near_a_line_of_the_basket(scene: Scene, side: int, places: int) -> Account:
    """Return a basket account on the line, or with an asset's equity on the edge of a tier, a hair off either."""
    (pool,) = [pool for pool in scene.pools() if pool.asset is None]
    found = assess(pool, scene.marks, scene.rulebook)
    if found.balance_held_against is None or found.liquidation_requirement is None:
        return scene.account
    at = places % len(found.assets)
    line, held = found.assets[at], scene.account.wallet.get(found.assets[at].asset)
    equity, hair = line.equity, side * D(1).scaleb(-places)
    if held is None or equity is None:
        return scene.account
    edges = [begins for begins, _ in line.terms.steps() if begins]
    if edges and places % 2:
        edge = edges[places % len(edges)]
        wanted = divide(edge, line.terms.index, places=18) if line.terms.unit == "usd" else edge
        change = wanted - equity
    else:
        over = found.balance_held_against - found.liquidation_requirement
        amount = amount_for(line.terms, equity, over)
        if amount is None:
            return scene.account
        change = -amount
    shifted_by = (held + change + hair).quantize(D(1).scaleb(-18), context=WIDE)
    return replace(scene.account, wallet={**scene.account.wallet, line.asset: shifted_by})


def near_the_line(scene: Scene, side: int, places: int) -> Account:
    """Return the account with what each pool lacks added to its balance, off by ``side · 10^-places``."""
    if scene.account.collateral_mode is not CollateralMode.SINGLE_ASSET:
        return near_a_line_of_the_basket(scene, side, places)
    margins: list[Decimal | None] = []
    wallet = dict(scene.account.wallet)
    isolated = iter(p for p in scene.pools() if p.isolated)
    for position in scene.account.positions:
        if position.margin_mode is MarginMode.ISOLATED:
            margins.append(shifted(scene, next(isolated), side, places))
        else:
            margins.append(None)
    for pool in scene.pools():
        if pool.asset is not None and not pool.isolated and wallet.get(pool.asset) is not None:
            wallet[pool.asset] = shifted(scene, pool, side, places)
    positions = tuple(
        p if margin is None else replace(p, isolated_margin=margin)
        for p, margin in zip(scene.account.positions, margins, strict=True)
    )
    return replace(scene.account, positions=positions, wallet=wallet)


def shifted(scene: Scene, pool: object, side: int, places: int) -> Decimal:
    found = assess(pool, scene.marks, scene.rulebook)  # type: ignore[arg-type]
    (held,) = found.pool.balances.values()
    assert held is not None
    if found.balance_held_against is None or found.liquidation_requirement is None:
        return held
    with_lack = held + found.liquidation_requirement - found.balance_held_against + side * D(1).scaleb(-places)
    return with_lack.quantize(D(1).scaleb(-18))


def stated(scene: Scene, account: Account, marks: dict[str, Decimal]) -> dict[str, tuple[int, Decimal | None]]:
    """Return what the exact lane says of each pool that holds positions: its state, and its balance."""
    found: dict[str, tuple[int, Decimal | None]] = {}
    for pool in pools(account, scene.rulebook.contract, scene.rulebook.collateral):
        if pool.positions:
            try:
                answer = assess(pool_at(pool, scene.marks, marks), marks, scene.rulebook)
            except BadInput:
                found[pool.name] = (STATES[None], None)
                continue
            found[pool.name] = (STATES[answer.status], answer.balance_held_against)
    return found


@SETTINGS
@given(fleets())
def test_every_pool_of_a_fleet_stands_where_the_exact_lane_says(drawn: tuple[Scene, list[Account]]) -> None:
    scene, accounts = drawn
    batch, lost = batch_of((f"A{at}", account) for at, account in enumerate(accounts))
    if lost:
        return
    terms = Terms("law", marks=scene.marks)
    kept = [account_of(row, terms) for row in batch.to_pylist()]
    market = market_of(scene.rulebook, sorted(scene.marks), terms)
    found = pools_of(batch, market)
    judged = judge(batch, found, market, prices_of(market, [scene.marks]))
    said = [stated(scene, account, scene.marks) for account in kept]
    assert len(judged.state) == sum(len(names) for names in said)
    for number in range(len(judged.state)):
        state, balance = said[int(found.account[number])][found.named(number, market)]
        assert judged.state[number] == state
        if balance is not None and state >= 0:
            size = sizes(found, number) + abs(float(balance))
            assert abs(judged.balance[number] - float(balance)) <= 1e-9 * max(size, 1.0) * 1e3


def sizes(found: Pools, number: int) -> float:
    """Return the sum of the sizes of what stands behind a pool."""
    parts = slice(int(found.parts.first[number]), int(found.parts.first[number + 1]))
    return float(found.gross[number] + (found.parts.gross[parts] * found.parts.at_index[parts]).sum())


MOVES = st.lists(st.integers(-80, 120).map(lambda percent: D(percent) / 100), min_size=1, max_size=20)


@SETTINGS
@given(fleets(), MOVES)
def test_a_stress_counts_and_sums_what_the_exact_lane_finds(
    drawn: tuple[Scene, list[Account]], moves: list[Decimal]
) -> None:
    stressed(drawn, moves)


@SETTINGS
@given(fleets(basket=True), MOVES)
def test_baskets_and_portfolios_whose_indices_move_are_stressed_as_the_exact_lane_does(
    drawn: tuple[Scene, list[Account]], moves: list[Decimal]
) -> None:
    stressed(drawn, moves)


def stressed(drawn: tuple[Scene, list[Account]], moves: list[Decimal]) -> None:
    """Hold a stress to the exact lane: every other scenario moves one symbol by itself."""
    scene, accounts = drawn
    batch, lost = batch_of((f"A{at}", account) for at, account in enumerate(accounts))
    if lost:
        return
    terms = Terms("law", marks=scene.marks)
    kept = [account_of(row, terms) for row in batch.to_pylist()]
    market = market_of(scene.rulebook, sorted(scene.marks), terms)
    first = next(iter(scene.marks))
    given_moves = [Scenario("", "given", {first: move / 2} if at % 2 else {}, move) for at, move in enumerate(moves)]
    at = [scenario.marks(scene.marks) for scenario in (NOW, *given_moves)]
    sums = unit_sums(batch, market, prices_of(market, at))
    said = [[stated(scene, account, marks) for marks in at] for account in kept]
    known = [[name for name in rows[0] if all(row[name][0] >= 0 for row in rows)] for rows in said]
    assert sums.unknown == sum(len(rows[0]) - len(names) for rows, names in zip(said, known, strict=True))
    for step in range(len(at)):
        dead = [sum(rows[step][name][0] == LIQUIDATABLE for name in names)
                for rows, names in zip(said, known, strict=True)]  # fmt: skip
        assert sums.liquidatable[step] == sum(dead)
        assert sums.accounts[step] == sum(count > 0 for count in dead)
        assert sums.called[step] == sum(
            rows[step][name][0] == 1 for rows, names in zip(said, known, strict=True) for name in names
        )
        equity = sum(float(rows[step][name][1] or 0) for rows, names in zip(said, known, strict=True) for name in names)
        size = max(1.0, float(np.abs(sums.equity).sum()), sums.forced.sum())
        assert abs(sums.equity[:, step].sum() - equity) <= 1e-9 * size
