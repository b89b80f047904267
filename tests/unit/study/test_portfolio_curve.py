"""A portfolio's surplus over many prices: exact at its points, near the exact one between them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from ringfence.account import Collateral, pools
from ringfence.margin.assess import assess
from ringfence.study.likelihood import Horizon, Likelihood, Margin, simulate
from ringfence.study.portfolio_curve import curves
from ringfence.study.volatility import Estimate
from tests.unit.margin.portfolio_books import BTC, book, held, mark_of, option, perpetual, rules

D = Decimal
np = pytest.importorskip("numpy")

_HELD = (held(perpetual("BTCUSDT"), "1"), held(option("66000", days=40), "-3"))


def _assessed(cash: str = "22000") -> tuple[object, dict[str, Decimal], object]:
    account = book(*_HELD, wallet={"USDT": cash, "BTC": "0.1"})
    account = replace(account, collateral={**account.collateral, "BTC": Collateral(index=BTC, moves_with="BTC")})
    rulebook = rules("deribit", *_HELD)
    marks = {contract.symbol: mark_of(contract) for contract, _ in _HELD}
    pool = pools(account, rulebook.contract)[-1]
    return assess(pool, marks, rulebook), marks, rulebook


@pytest.mark.parametrize("factor", ["0.4", "0.87", "1", "1.03", "1.6", "3"])
def test_the_curve_is_near_the_exact_surplus_between_its_points(factor: str) -> None:
    found, marks, rulebook = _assessed()
    moved = assess(found.pool, {**marks, "BTCUSDT": BTC * D(factor)}, rulebook)  # type: ignore[attr-defined, arg-type]
    assert moved.balance_held_against is not None
    assert moved.liquidation_requirement is not None
    exact = float(moved.balance_held_against - moved.liquidation_requirement)
    symbols = tuple(marks)
    prices = np.array([[float(BTC * D(factor)) if s == "BTCUSDT" else float(marks[s]) for s in symbols]])
    near = float(Margin(found, symbols).surplus(np, prices)[0])  # type: ignore[arg-type]
    assert near == pytest.approx(exact, abs=float(BTC) * 0.004)


def test_there_is_one_curve_per_coin_led_by_its_first_contract_that_is_no_option() -> None:
    found, _, _ = _assessed()
    assert [curve.symbol for curve in curves(found)] == ["BTCUSDT"]  # type: ignore[arg-type]


def test_a_poorer_portfolio_dies_more_often() -> None:
    chances: list[Likelihood] = []
    for cash in ("16000", "40000"):
        found, marks, _ = _assessed(cash)
        symbols = tuple(marks)
        estimate = Estimate(symbols, ((1e-5, 0.0), (0.0, 1e-12)), 1000, 1.0, "made up", "last")
        horizon = Horizon(600, 4000, 3)
        chances += simulate([found], estimate, {s: float(m) for s, m in marks.items()}, horizon)  # type: ignore[list-item]
    assert chances[0].probability > chances[1].probability > 0
