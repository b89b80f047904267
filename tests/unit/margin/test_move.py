"""How far all marks can move together: at the answer health is the level, and no earlier move reaches it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.account import Account, MarginMode, Pool, Position, PositionMode, pools
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess
from ringfence.margin.move import combined_move, exposure
from ringfence.numbers import exact
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable
from tests.laws.strategies import PROGRESSIVE, Scene, scenes

LINEAR = Contract("X", ContractKind.LINEAR, Decimal(1), "USDT")
INVERSE = Contract("I", ContractKind.INVERSE, Decimal(100), "BTC")
TABLE = TierTable(
    (
        Tier(Decimal(0), Decimal("0.01"), Decimal(0), None),
        Tier(Decimal(1000), Decimal("0.02"), Decimal(10), None),
        Tier(Decimal(5000), Decimal("0.05"), Decimal(160), None),
    )
)
NEAR = Decimal("1e-12")


def _rulebook(**policies: Any) -> Rulebook:
    chosen = Policies(**policies)
    linear_coin = replace(LINEAR, symbol="C", settle_asset="BTC")
    tables = {
        "X": (LINEAR, TABLE),
        "Y": (replace(LINEAR, symbol="Y"), TABLE),
        "I": (INVERSE, TABLE),
        "J": (replace(INVERSE, symbol="J"), TABLE),
        "C": (linear_coin, TABLE),
    }
    return Rulebook("test", "Test", None, isolated=chosen, cross=chosen, basket=chosen, tables=tables)


def _pool(wallet: str, *held: tuple[str, str, str], asset: str = "USDT") -> Pool:
    positions = tuple(
        Position(symbol, Decimal(quantity), Decimal(entry), MarginMode.CROSS) for symbol, quantity, entry in held
    )
    account = Account(positions, (), {asset: Decimal(wallet)}, position_mode=PositionMode.HEDGE)
    return pools(account, _rulebook().contract)[0]


def _health_at(
    pool: Pool, marks: dict[str, Decimal], rulebook: Rulebook, move: Decimal, betas: dict[str, Decimal]
) -> Fraction:
    moved = {symbol: price * (1 + betas.get(symbol, Decimal(1)) * move) for symbol, price in marks.items()}
    at = assess(pool, moved, rulebook)
    assert at.balance_held_against is not None
    assert at.liquidation_requirement is not None
    return Fraction(at.balance_held_against) - Fraction(at.liquidation_requirement)


@exact
def test_one_long_falls_to_its_liquidation_price() -> None:
    # 5 at 100 with 50: 50 + 500 x = 500 (1 + x) · 1 %  →  x = −45 ÷ 495
    move = combined_move(_pool("50", ("X", "5", "100")), {"X": Decimal(100)}, _rulebook())
    assert move.exact
    assert move.down is not None
    assert abs(Fraction(move.down) + Fraction(45, 495)) < Fraction(1, 10**17)
    assert move.up is None


def test_two_longs_fall_less_far_together_than_either_alone() -> None:
    pool = _pool("100", ("X", "5", "100"), ("Y", "5", "100"))
    marks = {"X": Decimal(100), "Y": Decimal(100)}
    together = combined_move(pool, marks, _rulebook())
    alone = combined_move(pool, marks, _rulebook(), betas={"Y": Decimal(0)})
    assert together.down is not None
    assert alone.down is not None
    assert together.down > alone.down
    assert abs(Fraction(together.down) + Fraction(90, 990)) < Fraction(1, 10**17)


def test_a_hedge_of_equal_legs_moves_only_through_its_requirement() -> None:
    # long and short 5 at 100 cancel out; the requirement 2 · 5 · p · 1 % reaches 20 when p = 200
    pool = _pool("20", ("X", "5", "100"), ("Y", "-5", "100"))
    move = combined_move(pool, {"X": Decimal(100), "Y": Decimal(100)}, _rulebook())
    assert move.down is None
    assert move.up == 1


def test_a_negative_beta_turns_a_long_into_a_danger_of_rising_markets() -> None:
    pool = _pool("50", ("X", "5", "100"))
    move = combined_move(pool, {"X": Decimal(100)}, _rulebook(), betas={"X": Decimal(-1)})
    assert move.down is None
    assert move.up is not None
    assert abs(Fraction(move.up) - Fraction(45, 495)) < Fraction(1, 10**17)


def test_no_move_beyond_a_price_of_nothing() -> None:
    move = combined_move(_pool("1000", ("X", "5", "100")), {"X": Decimal(100)}, _rulebook())
    assert (move.down, move.up) == (None, None)


def test_nothing_moves_where_every_beta_is_zero_or_nothing_is_known() -> None:
    pool = _pool("50", ("X", "5", "100"))
    still = combined_move(pool, {"X": Decimal(100)}, _rulebook(), betas={"X": Decimal(0)})
    unknown = combined_move(replace(pool, balances={"USDT": None}), {"X": Decimal(100)}, _rulebook())
    assert (still.down, still.up) == (unknown.down, unknown.up) == (None, None)


def test_inverse_contracts_of_one_beta_are_solved_exactly() -> None:
    # 10 · 100 USD at 100 is 10 BTC: 1 + 10 − 10 y = 10 y · 0.… with y = 1 ÷ (1 + x): tier of 10 BTC is the first
    pool = _pool("1", ("I", "10", "100"), asset="BTC")
    move = combined_move(pool, {"I": Decimal(100)}, _rulebook())
    assert move.exact
    assert move.down is not None
    # 11 − 10 y = 0.1 y → y = 11 ÷ 10.1 → x = 10.1 ÷ 11 − 1
    assert abs(Fraction(move.down) - (Fraction(101, 110) - 1)) < Fraction(1, 10**17)


def test_mixed_kinds_are_found_by_scan_and_said_to_be() -> None:
    pool = _pool("1", ("I", "10", "100"), ("C", "0.05", "100"), asset="BTC")
    marks = {"I": Decimal(100), "C": Decimal(100)}
    move = combined_move(pool, marks, _rulebook())
    assert not move.exact
    assert move.down is not None
    assert abs(_health_at(pool, marks, _rulebook(), move.down, {})) < Fraction(1, 10**9)


def test_inverse_contracts_of_different_betas_are_found_by_scan() -> None:
    pool = _pool("1", ("I", "10", "100"), ("J", "5", "100"), asset="BTC")
    marks = {"I": Decimal(100), "J": Decimal(100)}
    betas = {"J": Decimal("1.5")}
    move = combined_move(pool, marks, _rulebook(), betas=betas)
    assert not move.exact
    assert move.down is not None
    assert abs(_health_at(pool, marks, _rulebook(), move.down, betas)) < Fraction(1, 10**9)


def test_a_level_above_one_is_reached_earlier() -> None:
    pool, marks = _pool("50", ("X", "5", "100")), {"X": Decimal(100)}
    call = combined_move(pool, marks, _rulebook(), health=Decimal("1.25"))
    end = combined_move(pool, marks, _rulebook())
    assert call.down is not None
    assert end.down is not None
    assert call.down > end.down


def test_exposure_adds_up_gross_and_nets_by_beta() -> None:
    pool = _pool("100", ("X", "5", "100"), ("Y", "-3", "100"))
    assessment = assess(pool, {"X": Decimal(100), "Y": Decimal(100)}, _rulebook())
    plain, leaning = exposure(assessment), exposure(assessment, {"Y": Decimal(2)})
    assert [plain.gross, plain.net] == [500 + 300, 500 - 300]
    assert [leaning.gross, leaning.net] == [500 + 300, 500 - 2 * 300]


# ── Properties ────────────────────────────────────────────────────────────────────────────────────────────────────


def _bisected(pool: Pool, scene: Scene, betas: dict[str, Decimal], end: Fraction) -> Fraction | None:
    """The first move toward ``end`` at which the surplus changes sign: an outward scan and bisection in fractions."""

    def surplus(move: Fraction) -> Fraction:
        total = Fraction(next(iter(pool.balances.values())) or 0)
        for position in pool.positions:
            contract, table = scene.rulebook.entry(position.symbol)
            assert table is not None
            price = Fraction(scene.marks[position.symbol]) * (1 + Fraction(betas[position.symbol]) * move)
            value = Fraction(contract.contract_size) * price
            entered = Fraction(contract.contract_size) * Fraction(position.entry_price)
            total += Fraction(position.quantity) * (value - entered)
            size = abs(Fraction(position.quantity)) * value
            for tier, after in zip(table.tiers, (*table.tiers[1:], None), strict=True):
                top = size if after is None else min(size, Fraction(after.floor))
                total -= max(Fraction(0), top - Fraction(tier.floor)) * Fraction(tier.maintenance_rate or 0)
        return total

    start = surplus(Fraction(0))
    steps = 120
    inside = Fraction(0)
    for number in range(1, steps):
        outside = end * number / steps
        if (surplus(outside) < 0) != (start < 0):
            for _ in range(50):
                middle = (inside + outside) / 2
                inside, outside = (inside, middle) if (surplus(middle) < 0) != (start < 0) else (middle, outside)
            return inside
        inside = outside
    return None


@settings(max_examples=max(50, settings().max_examples // 2))
@given(
    scenes(policies={"binance": PROGRESSIVE["binance"]}, kinds=(ContractKind.LINEAR,), isolated=False, hedge=False),
    st.lists(st.sampled_from([Decimal(1), Decimal("0.5"), Decimal(2), Decimal("-0.5"), Decimal(0)]), min_size=3),
)
def test_it_agrees_with_a_bisection_in_fractions(scene: Scene, drawn: list[Decimal]) -> None:
    for pool in scene.held():
        symbols = dict.fromkeys(position.symbol for position in pool.positions)
        betas = dict(zip(symbols, drawn, strict=False))
        move = combined_move(pool, scene.marks, scene.rulebook, betas=betas)
        assert move.exact
        falling = max((beta for beta in betas.values() if beta > 0), default=None)
        if falling is None:
            continue
        found = _bisected(pool, scene, betas, -1 / Fraction(falling))
        if found is None:
            continue
        sides = [side for side in (move.down, move.up) if side is not None]
        assert any(abs(Fraction(side) - found) < Fraction(1, 10**9) for side in sides)


@given(
    scenes(policies=PROGRESSIVE, kinds=(ContractKind.LINEAR, ContractKind.QUANTO), isolated=False),
    st.sampled_from([Decimal(1), Decimal("1.25")]),
)
@exact
def test_at_the_move_health_is_the_level(scene: Scene, level: Decimal) -> None:
    for pool in scene.held():
        now = combined_move(pool, scene.marks, scene.rulebook, health=level)
        for move in (now.down, now.up):
            if move is None:
                continue
            moved = {symbol: price * (1 + move) for symbol, price in scene.marks.items()}
            at = assess(pool, moved, scene.rulebook)
            assert at.balance_held_against is not None
            assert at.liquidation_requirement is not None
            gap = abs(at.balance_held_against - level * at.liquidation_requirement)
            assert gap <= NEAR * max(Decimal(1), at.notional)
