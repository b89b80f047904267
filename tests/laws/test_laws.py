"""The laws that margin obeys whatever the account: each as a property over random accounts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ringfence.account import Account, MarginMode, OpenOrder, Pool, Position
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.basket import pool_at
from ringfence.margin.price import LiquidationPrices, bankruptcy_price, liquidation_prices
from ringfence.rulebook import Policies, Tier, TierTable
from tests.laws.strategies import AT_BANKRUPTCY, FROZEN, MOVING, PROGRESSIVE, STEP, Scene, rulebook_of, scenes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from ringfence.margin.assessment import Assessment

NEAR = Decimal("1e-12")  # of the price
REACH = [Decimal(10) ** exponent for exponent in range(-9, 10)]
REACH += [Decimal(factor) / 100 for factor in range(10, 300, 10) if factor != 100]


def _symbols(pool: Pool) -> list[str]:
    return list(dict.fromkeys(position.symbol for position in pool.positions))


def _at(scene: Scene, pool: Pool, symbol: str, price: Decimal) -> bool | None:
    moved = {**scene.marks, symbol: price}
    return assess(pool_at(pool, scene.marks, moved), moved, scene.rulebook).liquidatable


def _by_price(prices: LiquidationPrices, assessment: Assessment) -> tuple[Decimal | None, Decimal | None]:
    """The changes of status nearest below and above the mark; a pool under water shows the way back up as its price."""
    return (prices.above, prices.below) if assessment.liquidatable else (prices.below, prices.above)


def _crossings(scene: Scene) -> Iterator[tuple[Pool, str, Assessment, Decimal | None, int]]:
    """Every pool, symbol and direction (−1 down, +1 up) with the price found there."""
    for pool in scene.held():
        assessment = assess(pool, scene.marks, scene.rulebook)
        if assessment.balance_held_against == assessment.liquidation_requirement:
            continue  # exactly on the level: it has tests of its own
        for symbol in _symbols(pool):
            below, above = _by_price(liquidation_prices(assessment, symbol), assessment)
            yield pool, symbol, assessment, below, -1
            yield pool, symbol, assessment, above, +1


# ── Liquidation prices ────────────────────────────────────────────────────────────────────────────────────────────


@given(scenes(policies=MOVING | AT_BANKRUPTCY, orders=True))
@settings(max_examples=120)
def test_at_a_liquidation_price_the_status_flips(scene: Scene) -> None:
    for pool, symbol, assessment, price, direction in _crossings(scene):
        if price is None or abs(price / scene.marks[symbol] - 1) < 2 * NEAR:
            continue
        assert _at(scene, pool, symbol, price * (1 - direction * NEAR)) == assessment.liquidatable
        assert _at(scene, pool, symbol, price * (1 + direction * NEAR)) != assessment.liquidatable


@given(scenes(basket=True, isolated=False))
@settings(max_examples=60)
def test_at_a_liquidation_price_of_a_basket_the_status_flips(scene: Scene) -> None:
    for pool, symbol, assessment, price, direction in _crossings(scene):
        if price is None or abs(price / scene.marks[symbol] - 1) < 2 * NEAR:
            continue
        assert _at(scene, pool, symbol, price * (1 - direction * NEAR)) == assessment.liquidatable
        assert _at(scene, pool, symbol, price * (1 + direction * NEAR)) != assessment.liquidatable


@given(scenes(policies=MOVING | AT_BANKRUPTCY))
@settings(max_examples=80)
def test_up_to_a_liquidation_price_no_price_changes_the_status_and_without_one_none_does(scene: Scene) -> None:
    for pool, symbol, assessment, found, direction in _crossings(scene):
        for factor in REACH:
            price = scene.marks[symbol] * factor
            on_the_way = (price - scene.marks[symbol]) * direction > 0
            if on_the_way and (found is None or (found * (1 - direction * NEAR) - price) * direction > 0):
                assert _at(scene, pool, symbol, price) == assessment.liquidatable


@pytest.mark.parametrize("rounding", ["toward_entry", "nearest", "away_from_entry"])
@given(data=st.data())
@settings(max_examples=40)
def test_a_rounded_price_is_within_one_step_of_where_the_status_flips(rounding: str, data: st.DataObject) -> None:
    # Progressive tiers only: past the edge of a step tier a pool may be safe again within one coarse price step.
    policies = {name: {**policy, "liquidation_price_rounding": rounding} for name, policy in PROGRESSIVE.items()}
    scene = data.draw(scenes(policies=policies, step=True))
    for pool, symbol, assessment, price, direction in _crossings(scene):
        step = scene.rulebook.contract(symbol).price_step
        assert step is not None
        if price is None or assessment.liquidatable:
            continue
        assert price % step == 0
        outer, inner = price + direction * step, price - direction * step
        if outer > 0:
            assert _at(scene, pool, symbol, outer) is True
        if (inner - scene.marks[symbol]) * direction > 0:
            assert _at(scene, pool, symbol, inner) is False


@given(scenes(policies=MOVING, step=True, isolated=False))
@settings(max_examples=60)
def test_toward_the_entry_means_the_side_that_acts_earlier(scene: Scene) -> None:
    policies = replace(scene.rulebook.cross, liquidation_price_rounding="toward_entry")
    rounded = replace(scene.rulebook, cross=policies)
    for pool in scene.held():
        exact, stepped = (assess(pool, scene.marks, rules) for rules in (scene.rulebook, rounded))
        for symbol in _symbols(pool):
            fine, coarse = liquidation_prices(exact, symbol), liquidation_prices(stepped, symbol)
            assert (fine.rounded, coarse.rounded) == (False, True)
            if fine.below is not None and coarse.below is not None:
                assert fine.below <= coarse.below
            if fine.above is not None and coarse.above is not None:
                assert fine.above >= coarse.above


@given(scenes(policies=MOVING | FROZEN | AT_BANKRUPTCY, isolated=False), st.integers(1, 400))
@settings(max_examples=100)
def test_more_collateral_never_hurts(scene: Scene, percent: int) -> None:
    (pool,) = scene.held()
    poor = assess(pool, scene.marks, scene.rulebook)
    assume(poor.liquidatable is False)
    (cash,) = pool.balances.values()
    assert cash is not None
    assert poor.liquidation_requirement is not None
    more = {"C": cash + poor.liquidation_requirement * percent / 100}
    rich = assess(replace(pool, balances=more), scene.marks, scene.rulebook)
    assert rich.liquidatable is False
    assert poor.health is None or rich.health is None or rich.health >= poor.health
    for symbol in _symbols(pool):
        before, after = liquidation_prices(poor, symbol), liquidation_prices(rich, symbol)
        assert after.below is None or (before.below is not None and after.below <= before.below)
        assert after.above is None or (before.above is not None and after.above >= before.above)


@given(scenes(policies=MOVING, hedge=True, isolated=False, most_symbols=2))
@settings(max_examples=60)
def test_the_legs_of_a_hedge_in_one_pool_share_their_prices(scene: Scene) -> None:
    (pool,) = scene.held()
    assessment = assess(pool, scene.marks, scene.rulebook)
    for symbol in _symbols(pool):
        prices = liquidation_prices(assessment, symbol)
        if None in (prices.below, prices.above):
            assert prices.of_side("long") == prices.of_side("short")
        else:
            assert (prices.of_side("long"), prices.of_side("short")) == (prices.below, prices.above)


# ── Requirements ──────────────────────────────────────────────────────────────────────────────────────────────────


def _one(table: TierTable, quantity: Decimal, price: Decimal, leverage: Decimal | None = None) -> Assessment:
    contract = Contract("X", ContractKind.LINEAR, Decimal(1), "C")
    position = Position("X", quantity, price, MarginMode.CROSS, None, leverage)
    rulebook = rulebook_of({"X": (contract, table)}, Policies())
    return assess_account(Account((position,), wallet={"C": Decimal(0)}), {"X": price}, rulebook)[0]


@given(scenes(policies=PROGRESSIVE, kinds=(ContractKind.LINEAR,), most_symbols=1), st.data())
@settings(max_examples=80)
def test_maintenance_of_progressive_tiers_rises_with_notional_and_is_never_below_nought(
    scene: Scene, data: st.DataObject
) -> None:
    (table,) = (tiers for _, tiers in scene.rulebook.tables.values() if tiers is not None)
    around = [tier.floor for tier in table.tiers] + [Decimal(1)]
    sizes = sorted(
        data.draw(st.sampled_from(around)) * data.draw(st.integers(1, 300)) / 100 + Decimal("0.01") for _ in range(6)
    )
    margins = [_one(table, size, Decimal(1)).maintenance_margin for size in sizes]
    assert None not in margins
    assert [margin for margin in margins if margin is not None and margin < 0] == []
    assert margins == sorted(margin for margin in margins if margin is not None)


@given(scenes(policies=PROGRESSIVE, kinds=(ContractKind.LINEAR,), most_symbols=1))
@settings(max_examples=60)
def test_maintenance_of_progressive_tiers_does_not_jump_at_an_edge(scene: Scene) -> None:
    (table,) = (tiers for _, tiers in scene.rulebook.tables.values() if tiers is not None)
    little = Decimal("1e-15")
    for tier in table.tiers[1:]:
        below, on = (_one(table, tier.floor - gap, Decimal(1)).maintenance_margin for gap in (little, Decimal(0)))
        assert below is not None
        assert on is not None
        assert 0 < on - below < little


@given(scenes(policies=MOVING, most_symbols=1, hedge=False))
@settings(max_examples=100)
def test_maintenance_is_at_most_initial_margin_at_one_price_and_a_leverage_that_the_tier_allows(scene: Scene) -> None:
    (table,) = (tiers for _, tiers in scene.rulebook.tables.values() if tiers is not None)
    (position,) = scene.account.positions
    mark = scene.marks[position.symbol]
    amount = abs(position.quantity)
    if table.unit == "notional":
        amount *= scene.rulebook.contract(position.symbol).contract_value(mark)
    tier = [tier for tier in table.tiers if tier.floor <= amount][-1]
    held = replace(position, leverage=tier.max_leverage, entry_price=mark)
    (line,) = (
        line
        for assessment in assess_account(replace(scene.account, positions=(held,)), scene.marks, scene.rulebook)
        for line in assessment.lines
    )
    assert line.maintenance_margin is not None
    assert line.initial_margin is not None
    if not scene.rulebook.cross.funding_reserve_rate:
        assert (
            line.maintenance_margin - (line.closing_fee if scene.rulebook.cross.closing_fee_in_maintenance else 0)
            <= line.initial_margin
        )


@given(scenes(policies=MOVING | FROZEN, most_symbols=2))
@settings(max_examples=60)
def test_a_line_explains_its_maintenance_by_its_own_tier_rate_and_deduction(scene: Scene) -> None:
    for pool in scene.held():
        for line in assess(pool, scene.marks, scene.rulebook).lines:
            policies = scene.rulebook.cross
            table = scene.rulebook.tiers(line.position.symbol)
            assert table is not None
            assert line.tier is not None
            assert line.maintenance_rate is not None
            at = line.position.entry_price if policies.maintenance_at == "entry" else line.mark_price
            basis = Fraction(line.charge.size) * Fraction(line.contract.contract_value(at))
            rate = Fraction(line.maintenance_rate) + Fraction(policies.funding_reserve_rate)
            shown = Fraction(line.closing_fee) if policies.closing_fee_in_maintenance else 0
            assert line.maintenance_margin == basis * rate - Fraction(line.deduction) + shown
            assert table.tiers[line.tier].maintenance_rate == line.maintenance_rate


@given(scenes(policies=MOVING, isolated=False, most_symbols=1), st.integers(1, 50))
@settings(max_examples=60)
def test_an_order_never_lowers_what_a_position_needs(scene: Scene, tenths: int) -> None:
    (pool,) = scene.held()
    alone = assess(pool, scene.marks, scene.rulebook)
    position = pool.positions[0]
    order = OpenOrder(position.symbol, position.quantity * tenths / 10, scene.marks[position.symbol], Decimal(5))
    working = assess(replace(pool, orders=(order,)), scene.marks, scene.rulebook)
    assert alone.liquidation_requirement is not None
    assert working.liquidation_requirement is not None
    assert working.liquidation_requirement >= alone.liquidation_requirement


# ── Symmetries ────────────────────────────────────────────────────────────────────────────────────────────────────


def _digits(assessment: Assessment) -> list[str]:
    """The totals as text, so that even a trailing zero would count as a difference."""
    names = (
        "wallet_balance", "unrealised_pnl", "margin_balance", "balance_held_against", "initial_margin", "order_margin",
        "maintenance_margin", "closing_fee", "liquidation_requirement", "available_balance", "notional", "net_notional",
        "health", "margin_ratio", "status",
    )  # fmt: skip
    return [f"{name} {getattr(assessment, name)}" for name in names]


@given(scenes(policies=MOVING | FROZEN | AT_BANKRUPTCY, orders=True), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_the_order_of_positions_and_orders_changes_no_digit(scene: Scene, chance: Random) -> None:
    for pool in scene.held():
        positions, orders = list(pool.positions), list(pool.orders)
        chance.shuffle(positions)
        chance.shuffle(orders)
        shuffled = replace(pool, positions=tuple(positions), orders=tuple(orders))
        one, other = (assess(way, scene.marks, scene.rulebook) for way in (pool, shuffled))
        assert _digits(one) == _digits(other)
        for line in one.lines:
            (same,) = (twin for twin in other.lines if twin.position == line.position)
            assert line == same
            assert bankruptcy_price(one, line) == bankruptcy_price(other, same)
        for symbol in _symbols(pool):
            assert liquidation_prices(one, symbol) == liquidation_prices(other, symbol)


@given(scenes(basket=True, isolated=False, orders=True), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_nor_does_it_in_a_basket(scene: Scene, chance: Random) -> None:
    (pool,) = scene.held()
    positions = list(pool.positions)
    chance.shuffle(positions)
    shuffled = replace(pool, positions=tuple(positions))
    assert _digits(assess(pool, scene.marks, scene.rulebook)) == _digits(assess(shuffled, scene.marks, scene.rulebook))


@given(scenes(policies=FROZEN, kinds=(ContractKind.LINEAR, ContractKind.QUANTO)))
@settings(max_examples=60)
def test_mirrored_signs_and_prices_give_mirrored_results(scene: Scene) -> None:
    """Every quantity negated and every price mirrored at its mark; what is required stays at the mark."""
    mirrored = replace(
        scene.account,
        positions=tuple(
            replace(held, quantity=-held.quantity, entry_price=2 * scene.marks[held.symbol] - held.entry_price)
            for held in scene.account.positions
        ),
    )
    both = zip(
        assess_account(scene.account, scene.marks, scene.rulebook),
        assess_account(mirrored, scene.marks, scene.rulebook),
        strict=True,
    )
    for one, other in both:
        assert one.net_notional == -other.net_notional
        assert [text for text in _digits(one) if "net_" not in text] == [
            text for text in _digits(other) if "net_" not in text
        ]
        for symbol in _symbols(one.pool):
            here, there = liquidation_prices(one, symbol), liquidation_prices(other, symbol)
            twice = 2 * Fraction(scene.marks[symbol])
            pairs = ((here.below, there.above), (here.above, there.below), (there.below, here.above))
            for price, opposite in pairs:
                if price is not None:
                    assert opposite == (twice - Fraction(price) if price < twice else None)


RECIPROCAL = [Decimal(2) ** twos * Decimal(5) ** fives for twos in range(-4, 5) for fives in range(-3, 4)]


@given(
    policy=st.sampled_from(sorted(MOVING.keys() - {"orders counted in the tier", "tier with orders"})),
    prices=st.tuples(*[st.sampled_from(RECIPROCAL)] * 2),
    ratios=st.tuples(*[st.sampled_from([Decimal("0.8"), Decimal(1), Decimal("1.25")])] * 2),
    quantities=st.tuples(*[st.integers(-500, 500).filter(bool).map(Decimal)] * 2),
    cash=st.integers(0, 2000),
    two=st.booleans(),
)
@settings(max_examples=120)
def test_an_inverse_long_is_a_linear_short_at_the_reciprocal_price(
    policy: str,
    prices: tuple[Decimal, Decimal],
    ratios: tuple[Decimal, Decimal],
    quantities: tuple[Decimal, Decimal],
    cash: int,
    two: bool,  # noqa: FBT001 - drawn
) -> None:
    progressive = MOVING[policy]["tier_type"] == "progressive"
    tiers = TierTable(
        (
            Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50)),
            Tier(Decimal(200), Decimal("0.03"), Decimal(4) if progressive else Decimal(0), Decimal(20)),
            Tier(Decimal(900), Decimal("0.2"), Decimal(157) if progressive else Decimal(0), Decimal(4)),
        )
    )
    count = 2 if two else 1
    found = []
    for kind in (ContractKind.INVERSE, ContractKind.LINEAR):
        inverse = kind is ContractKind.INVERSE
        tables: dict[str, tuple[Contract, TierTable | None]] = {}
        positions, marks, notional = [], {}, Decimal(0)
        for number in range(count):
            symbol, price, entry = f"S{number}", prices[number], prices[number] * ratios[number]
            fee = Decimal("0.0005")
            tables[symbol] = (Contract(symbol, kind, Decimal(1), "C", taker_fee_rate=fee), tiers)
            marks[symbol] = price if inverse else 1 / price
            quantity = quantities[number] * price  # so many units of value
            notional += abs(quantities[number])
            opened = entry if inverse else 1 / entry
            positions.append(
                Position(symbol, quantity if inverse else -quantity, opened, MarginMode.CROSS, None, Decimal(10))
            )
        account = Account(tuple(positions), wallet={"C": notional * cash / 1000})
        rulebook = rulebook_of(tables, Policies(**MOVING[policy]))
        (assessment,) = assess_account(account, marks, rulebook)
        found.append((assessment, [liquidation_prices(assessment, f"S{number}") for number in range(count)]))
    (inverse_pool, inverse_prices), (linear_pool, linear_prices) = found
    for name in ("margin_balance", "unrealised_pnl", "initial_margin", "liquidation_requirement", "status", "health"):
        assert getattr(inverse_pool, name) == getattr(linear_pool, name)
    for coin, quote in zip(inverse_prices, linear_prices, strict=True):
        for one, other in ((coin.below, quote.above), (coin.above, quote.below)):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert abs(Fraction(one) * Fraction(other) - 1) < Fraction(1, 10**15)


# ── Pools ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(scenes(policies=MOVING | FROZEN | AT_BANKRUPTCY, orders=True), st.integers(0, 5))
@settings(max_examples=60)
def test_an_isolated_position_depends_on_nothing_else_in_the_account(scene: Scene, factor: int) -> None:
    before = assess_account(scene.account, scene.marks, scene.rulebook)
    isolated = [assessment for assessment in before if assessment.pool.isolated]
    for assessment in isolated:
        (line,) = assessment.lines
        position = line.position
        alone = replace(
            scene.account,
            positions=(position,),
            orders=(),
            wallet={asset: (cash or Decimal(0)) * factor - 1 for asset, cash in scene.account.wallet.items()},
        )
        marks = {symbol: mark * (factor + 2) for symbol, mark in scene.marks.items()}
        marks[position.symbol] = scene.marks[position.symbol]
        again = assess_account(alone, marks, scene.rulebook)[0]
        assert again == assessment
        assert liquidation_prices(again, position.symbol) == liquidation_prices(assessment, position.symbol)
        assert bankruptcy_price(again, again.lines[0]) == bankruptcy_price(assessment, line)


@given(scenes(policies=MOVING | STEP, isolated=False, orders=True))
@settings(max_examples=60)
def test_a_pool_is_the_sum_of_its_lines(scene: Scene) -> None:
    for pool in scene.held():
        whole = assess(pool, scene.marks, scene.rulebook)
        for name in ("unrealised_pnl", "maintenance_margin", "closing_fee", "liquidation_requirement", "notional"):
            parts = [Fraction(getattr(line, name)) for line in whole.lines]
            assert Fraction(getattr(whole, name)) == sum(parts)


@given(scenes(policies=MOVING, isolated=False, most_symbols=1, hedge=False))
@settings(max_examples=60)
def test_at_the_bankruptcy_price_of_a_single_position_its_equity_is_used_up(scene: Scene) -> None:
    (pool,) = scene.held()
    assessment = assess(pool, scene.marks, scene.rulebook)
    (line,) = assessment.lines
    price = bankruptcy_price(assessment, line)
    assume(price is not None)
    assert price is not None
    there = assess(pool, {line.position.symbol: price}, scene.rulebook)
    assert there.margin_balance is not None
    slip = Decimal("1e-23") * (1 + abs(line.position.quantity) * line.contract.contract_value(price) / price)
    assert abs(there.margin_balance) <= slip
