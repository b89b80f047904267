"""What brings health back really does, and nothing smaller would."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringfence.account import Account, MarginMode, Pool, Position, PositionMode
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess
from ringfence.margin.restore import smallest_deposit, smallest_reduction
from ringfence.numbers import exact
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable
from tests.laws.strategies import MOVING, Scene, scenes

if TYPE_CHECKING:
    from ringfence.margin.assessment import Assessment

STEP = Decimal("0.001")
LINEAR = Contract("X", ContractKind.LINEAR, Decimal(1), "USDT", quantity_step=STEP)
INVERSE = Contract("I", ContractKind.INVERSE, Decimal(100), "BTC", quantity_step=Decimal(1))
TIERS = TierTable(
    (
        Tier(Decimal(0), Decimal("0.01"), Decimal(0), Decimal(50)),
        Tier(Decimal(1000), Decimal("0.02"), Decimal(10), Decimal(20), Decimal(100_000)),
    )
)


def _rulebook(**policies: Any) -> Rulebook:
    chosen = Policies(**policies)
    tables = {"X": (LINEAR, TIERS), "Y": (replace(LINEAR, symbol="Y"), TIERS), "I": (INVERSE, TIERS)}
    return Rulebook("test", "Test", None, isolated=chosen, cross=chosen, basket=chosen, tables=tables)


def _pool(wallet: str, *positions: Position) -> Pool:
    from ringfence.account import pools

    asset = "BTC" if positions[0].symbol == "I" else "USDT"
    account = Account(positions, (), {asset: Decimal(wallet)}, position_mode=PositionMode.HEDGE)
    return pools(account, _rulebook().contract)[0]


def _held(symbol: str, quantity: str, entry: str) -> Position:
    return Position(symbol, Decimal(quantity), Decimal(entry), MarginMode.CROSS)


def _assess(pool: Pool, mark: str, rulebook: Rulebook | None = None) -> Assessment:
    marks = dict.fromkeys(("X", "Y", "I"), Decimal(mark))
    return assess(pool, marks, rulebook or _rulebook())


def _closed_at_mark(pool: Pool, line_index: int, closed: Decimal, assessment: Assessment, fee: Decimal) -> Pool:
    """The pool after ``closed`` contracts of one line were closed at the mark: PnL booked, fee paid."""
    line = assessment.lines[line_index]
    size = abs(line.position.quantity)
    left = line.position.quantity * (size - closed) / size
    balance = pool.balances[line.contract.settle_asset]
    assert balance is not None
    booked = line.unrealised_pnl * closed / size - fee * closed * line.contract_value
    kept = replace(line.position, quantity=left)
    positions = tuple(kept if p is line.position else p for p in pool.positions if p is not line.position or left)
    return replace(pool, positions=positions, balances={line.contract.settle_asset: balance + booked})


# ── Deposits ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deposit_is_what_the_level_asks_for_less_what_is_there() -> None:
    # long 30 at 100, mark 80: balance 700 − 600 = 100, requirement 2400 · 2 % − 10 = 38
    pool = _pool("700", _held("X", "30", "100"))
    assessment = _assess(pool, "80")
    assert smallest_deposit(assessment, Decimal("1.25")) == 0
    assert smallest_deposit(assessment, Decimal(3)) == 3 * 38 - 100


def test_what_is_not_known_has_no_deposit_and_no_reduction() -> None:
    unknown = replace(_pool("700", _held("X", "30", "100")), balances={"USDT": None})
    assessment = _assess(unknown, "80")
    assert smallest_deposit(assessment, Decimal(3)) is None
    assert smallest_reduction(assessment, assessment.lines[0], Decimal(3)) is None


@given(scenes(policies=MOVING), st.sampled_from([Decimal(1), Decimal("1.25"), Decimal("1.5"), Decimal(4)]))
@exact
def test_the_smallest_deposit_restores_exactly_and_a_trillionth_less_does_not(scene: Scene, health: Decimal) -> None:
    for pool in scene.held():
        before = assess(pool, scene.marks, scene.rulebook)
        deposit = smallest_deposit(before, health)
        assert deposit is not None
        asset, balance = next(iter(pool.balances.items()))
        assert balance is not None
        for less, restored in ((Decimal(0), True), (Decimal("1e-12"), False)):
            if deposit == 0 and less:
                continue
            paid = replace(pool, balances={asset: balance + deposit - less})
            after = assess(paid, scene.marks, scene.rulebook)
            required = after.liquidation_requirement
            assert after.balance_held_against is not None
            assert required is not None
            assert (after.balance_held_against >= health * required) is restored


# ── Reductions ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reduction_inside_one_tier_by_hand() -> None:
    # long 9 at 100, mark 100: balance 6, requirement 900 · 1 % = 9; health 1 needs 6 = q · 100 · 1 %, so q = 6
    pool = _pool("6", _held("X", "9", "100"))
    assessment = _assess(pool, "100")
    assert smallest_reduction(assessment, assessment.lines[0], Decimal(1)) == 9 - 6


def test_a_fee_for_closing_asks_for_more() -> None:
    # 6 − 0.1 % · 100 · c = (9 − c) · 1 → 6 − 0.1 c = 9 − c → c = 3 ÷ 0.9 = 3.333…, up to the step
    pool = _pool("6", _held("X", "9", "100"))
    assessment = _assess(pool, "100")
    closed = smallest_reduction(assessment, assessment.lines[0], Decimal(1), fee_rate=Decimal("0.001"))
    assert closed == Decimal("3.334")


def test_a_reduction_goes_down_a_tier_where_that_is_needed() -> None:
    # long 20 at 100: 2000 · 2 % − 10 = 30 needed; with 8 there it takes 8 = q · 1, in the tier below
    pool = _pool("8", _held("X", "20", "100"))
    assessment = _assess(pool, "100")
    assert smallest_reduction(assessment, assessment.lines[0], Decimal(1)) == 20 - 8


def test_a_healthy_pool_needs_no_reduction() -> None:
    assessment = _assess(_pool("5000", _held("X", "20", "100")), "100")
    assert smallest_reduction(assessment, assessment.lines[0], Decimal(1)) == 0


def test_none_where_closing_the_whole_position_is_not_enough() -> None:
    pool = _pool("5", _held("X", "1", "100"), _held("Y", "20", "100"))
    assessment = _assess(pool, "100")
    small, large = assessment.lines
    assert smallest_reduction(assessment, small, Decimal(1)) is None  # the other alone needs 30
    assert smallest_reduction(assessment, large, Decimal(1)) == 20 - 4  # 5 = 1 + q · 1


def test_an_inverse_position_is_reduced_in_its_own_coin() -> None:
    # 10 contracts of 100 USD at 100: 10 BTC; 1 % of it is 0.1; with 0.05 there half may stay
    pool = _pool("0.05", _held("I", "10", "100"))
    assessment = _assess(pool, "100")
    assert smallest_reduction(assessment, assessment.lines[0], Decimal(1)) == 5


def test_on_an_entry_basis_the_proportional_bound_is_used_and_is_enough() -> None:
    rulebook = _rulebook(maintenance_at="entry")
    pool = _pool("15", _held("X", "20", "100"))  # needs 30 at entry: 2 % · 2000 − 10
    assessment = _assess(pool, "100", rulebook)
    closed = smallest_reduction(assessment, assessment.lines[0], Decimal(1))
    assert closed == 10  # half of the requirement by proportion
    after = _assess(_closed_at_mark(pool, 0, Decimal(10), assessment, Decimal(0)), "100", rulebook)
    assert after.liquidation_requirement == 10 * 100 * Decimal("0.02") - 10  # in truth it falls to 10, not to 15
    assert after.balance_held_against == 15


@pytest.mark.parametrize("fee", [Decimal(0), Decimal("0.0005"), Decimal("0.0125")])
@given(
    st.integers(1, 40_000),
    st.integers(60, 140),
    st.integers(-100, 4000),
    st.sampled_from([Decimal(1), Decimal("1.1"), Decimal("1.5")]),
    st.sampled_from([1, -1]),
)
@exact
def test_the_smallest_reduction_restores_and_a_step_less_does_not(
    fee: Decimal, thousandths: int, mark: int, wallet: int, health: Decimal, side: int
) -> None:
    size = Decimal(thousandths) * STEP
    held = Position("X", side * size, Decimal(100), MarginMode.CROSS)
    pool = _pool(str(wallet), held)
    assessment = _assess(pool, str(mark))
    closed = smallest_reduction(assessment, assessment.lines[0], health, fee_rate=fee)
    if closed is None:
        whole = _closed_at_mark(pool, 0, size, assessment, fee)
        balance = whole.balances["USDT"]
        assert balance is not None
        assert balance < 0
        return
    assume(closed < size)
    after = _assess(_closed_at_mark(pool, 0, closed, assessment, fee), str(mark))
    assert after.balance_held_against is not None
    assert after.liquidation_requirement is not None
    assert after.balance_held_against >= health * after.liquidation_requirement
    if closed:
        less = _assess(_closed_at_mark(pool, 0, closed - STEP, assessment, fee), str(mark))
        assert less.balance_held_against is not None
        assert less.liquidation_requirement is not None
        assert less.balance_held_against < health * less.liquidation_requirement
