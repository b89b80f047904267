"""Pools of one position are found by their trigger prices: those that a sweep names, whatever becomes of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from ringfence.account import ISOLATED, MarginMode, Pool, Position
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess
from ringfence.margin.price import liquidation_price
from ringfence.numbers import exact
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable, continuous_deductions
from ringfence.screen.columns import Legs, pack, pack_pools
from ringfence.screen.instruments import instruments
from ringfence.screen.rings import Incremental
from ringfence.screen.sweep import Sweep
from ringfence.screen.trigger_kernels import CALLED_LONG, CALLED_SHORT

Floats = NDArray[np.float64]
SYMBOLS = ["LINEAR", "INVERSE", "OTHER"]
RATES = [Decimal(rate) for rate in ("0.004", "0.01", "0.05", "0.25", "0.5")]


@exact
def rulebook(tier_type: Literal["progressive", "step"] = "progressive") -> Rulebook:
    """Return three contracts, one inverse, with five tiers that a price can carry a position through."""
    policies = Policies(tier_type=tier_type, closing_fee="mark")
    tables: dict[str, tuple[Contract, TierTable | None]] = {}
    for symbol in SYMBOLS:
        inverse = symbol == "INVERSE"
        floors = [(Decimal("0.01") if inverse else Decimal(100)) * factor for factor in (0, 10, 40, 200, 1_000)]
        deductions = continuous_deductions(tuple(zip(floors, RATES, strict=True)))
        if tier_type == "step":
            deductions = (Decimal(0),) * 5
        tiers = tuple(Tier(f, r, d, None) for f, r, d in zip(floors, RATES, deductions, strict=True))
        kind = ContractKind.INVERSE if inverse else ContractKind.LINEAR
        contract = Contract(symbol, kind, Decimal(1), "C", quantity_step=Decimal("0.001"),
                            taker_fee_rate=Decimal("0.0005"))  # fmt: skip
        tables[symbol] = contract, TierTable(tiers)
    return Rulebook("triggers", "Triggers", None, isolated=policies, cross=policies, basket=policies, tables=tables)


def singles(pools: int, seed: int, *, symbol: int | None = None) -> Legs:
    """Pools of one position at a mark of 100, at a leverage of 0.4 to 100: some have more margin than can be lost."""
    random = np.random.default_rng(seed)
    number = random.integers(0, len(SYMBOLS), pools) if symbol is None else np.full(pools, symbol)
    value = np.where(number == 1, 0.01, 100.0)
    size = np.maximum(np.rint(np.exp(random.normal(np.log(3.0), 2.0, pools)) * 1_000), 1.0) / 1_000
    notional = size * np.where(number == 1, value, 100.0)
    balance = notional / np.exp(random.uniform(np.log(0.4), np.log(100.0), pools))
    return Legs(np.arange(pools + 1), balance, number.astype(np.int32), size * random.choice([-1.0, 1.0], pools),
                np.full(pools, 100.0))  # fmt: skip


def both(legs: Legs, *, tier_type: Literal["progressive", "step"] = "progressive") -> tuple[Incremental, Sweep, Floats]:
    tables, marks = instruments(rulebook(tier_type), SYMBOLS, architectures=("isolated",)), np.full(3, 100.0)
    rings = Incremental(Sweep(pack(tables, legs, marks, spare=0.1)), expected_moves=np.full(3, 2e-4))
    return rings, Sweep(pack(tables, legs, marks, spare=0.1)), marks


@pytest.mark.parametrize("tier_type", ["progressive", "step"])
def test_on_any_way_of_the_prices_those_are_named_whom_a_sweep_names(tier_type: Literal["progressive", "step"]) -> None:
    rings, sweep, marks = both(singles(5_000, 1), tier_type=tier_type)
    random = np.random.default_rng(2)
    steps = random.standard_t(3, (300, 3)) * 3e-3
    steps[100:110] = random.normal(0.0, 0.15, (10, 3))
    named = 0
    for number, prices in enumerate(marks * np.exp(np.cumsum(steps, axis=0))):
        hits = np.sort(rings.look(prices))
        assert hits.tolist() == np.sort(sweep.look(prices)).tolist()
        named += len(hits)
        if number % 3 == 0:
            rings.take_out(hits)
            sweep.take_out(hits)
    assert named > 5_000


def test_where_tables_have_no_jumps_no_record_is_made_and_nothing_swept() -> None:
    rings, sweep, marks = both(singles(5_000, 3))
    for prices in (marks * 0.97, marks * 1.02, marks * 0.9999):
        assert np.sort(rings.look(prices)).tolist() == np.sort(sweep.look(prices)).tolist()
    assert rings.valued == 0
    assert sum(rings.standing) == 0


def test_more_changes_than_a_list_has_room_for() -> None:
    rings, sweep, marks = both(singles(300, 4))
    for turn in range(60):  # always the same few pools, in the same symbol: what they were before is left over
        chosen = list(range(turn % 7, 60, 2))
        prices = marks * (1.0 + 0.002 * np.sin(turn + np.arange(3)))
        changed = singles(len(chosen), 100 + turn, symbol=turn // 20)
        sweep.move(prices)
        sweep.change(chosen, changed)
        rings.change(prices, chosen, changed)
        for move in (1.0, 0.96, 1.03):
            assert np.sort(rings.look(prices * move)).tolist() == np.sort(sweep.look(prices * move)).tolist()


def test_pools_that_change_in_a_crash_are_found() -> None:
    rings, sweep, marks = both(singles(3_000, 5))
    modes = set()
    for turn in range(20):
        prices = marks * 0.98 ** (turn + 1)
        assert np.sort(rings.look(prices)).tolist() == np.sort(sweep.look(prices)).tolist()
        modes.add(rings.mode)
        chosen = list(range(turn, 3_000, 97))
        changed = singles(len(chosen), 200 + turn)
        sweep.move(prices)
        sweep.change(chosen, changed)
        rings.change(prices, chosen, changed)
        assert np.sort(rings.look(prices)).tolist() == np.sort(sweep.look(prices)).tolist()
    assert "sweep" in modes


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("size", ["0.5", "11", "150", "900"])
@pytest.mark.parametrize("share", ["0.04", "0.2", "0.7", "1.1"])
@exact
def test_a_trigger_is_the_liquidation_price_of_the_exact_lane(symbol: str, side: int, size: str, share: str) -> None:
    book, mark = rulebook(), Decimal(100)
    contract, _ = book.entry(symbol)
    quantity = side * Decimal(size)
    required = assess(_alone(symbol, quantity, Decimal(0)), {symbol: mark}, book).liquidation_requirement
    assert required is not None
    margin = required + abs(quantity) * contract.contract_value(mark) * Decimal(share)
    pool = _alone(symbol, quantity, margin)
    prices = liquidation_price(pool, symbol, {symbol: mark}, book)
    expected = prices.below if side > 0 else prices.above
    tables = instruments(book, [symbol], architectures=("isolated",))
    rings = Incremental(Sweep(pack_pools(tables, [pool], {symbol: mark}, book)))
    trigger = float(rings._lines[CALLED_LONG if side > 0 else CALLED_SHORT, 0])  # noqa: SLF001
    # Where a contract is worth four times as much all errors are bounded anew: no trigger is further away.
    low, high = (25.0, np.inf) if symbol == "INVERSE" else (0.0, 400.0)
    if expected is None or not low < float(expected) < high:
        assert trigger in {low, high}
    else:
        assert trigger == pytest.approx(float(expected), rel=1e-10)
        assert (trigger > float(expected)) is (side > 0)  # reached first


def _alone(symbol: str, quantity: Decimal, margin: Decimal) -> Pool:
    held = (Position(symbol, quantity, Decimal(100), MarginMode.ISOLATED, margin),)
    return Pool("one", ISOLATED, {"C": margin}, held)
