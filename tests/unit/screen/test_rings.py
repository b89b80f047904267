"""The incremental screen names whom a sweep names, at every price, whatever happens to prices and pools."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadInput
from ringfence.numbers import exact
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable, continuous_deductions
from ringfence.screen.columns import Legs, pack
from ringfence.screen.instruments import Instruments, instruments
from ringfence.screen.rings import Incremental
from ringfence.screen.sweep import Sweep

Floats = NDArray[np.float64]
SYMBOLS = [f"S{number}" for number in range(12)]
RATES = [Decimal(rate) for rate in ("0.005", "0.01", "0.025", "0.05", "0.1")]


@exact
def market(*, step: bool) -> Instruments:
    """Twelve contracts, every third inverse, in tables that jump or do not."""
    policies = Policies(tier_type="step" if step else "progressive", closing_fee="mark")
    tables: dict[str, tuple[Contract, TierTable | None]] = {}
    for number, symbol in enumerate(SYMBOLS):
        inverse = number % 3 == 2
        unit = Decimal("0.01") if inverse else Decimal(100)  # what 100 contracts are worth, about
        floors = [unit * factor for factor in (0, 10, 40, 200, 1_000)]
        deductions = (Decimal(0),) * 5 if step else continuous_deductions(tuple(zip(floors, RATES, strict=True)))
        tiers = tuple(Tier(f, r, d, None) for f, r, d in zip(floors, RATES, deductions, strict=True))
        kind = ContractKind.INVERSE if inverse else ContractKind.LINEAR
        contract = Contract(symbol, kind, Decimal(1), "C", quantity_step=Decimal("0.001"),
                            taker_fee_rate=Decimal("0.0005"))  # fmt: skip
        tables[symbol] = contract, TierTable(tiers)
    book = Rulebook("rings", "Rings", None, isolated=policies, cross=policies, basket=policies, tables=tables)
    return instruments(book, SYMBOLS, architectures=("cross",))


def crowd(marks: Floats, pools: int, seed: int) -> Legs:
    """Pools of one to seven legs at an effective leverage of 1 to 60; linear and inverse ones apart."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 8, pools)
    first = np.concatenate([[0], np.cumsum(counts)])
    inverse = np.repeat(random.random(pools) < 0.3, counts)
    number = np.where(
        inverse, random.choice([2, 5, 8, 11], first[-1]), random.choice([0, 1, 3, 4, 6, 7, 9, 10], first[-1])
    )
    value = np.where(inverse, 1.0 / marks[number], marks[number])
    size = np.exp(random.normal(np.where(inverse, -5.0, 5.5), 1.5)) / value
    quantity = np.maximum(np.rint(size * 1_000), 1.0) / 1_000 * random.choice([-1.0, 1.0], first[-1])
    entry = marks[number] * np.exp(random.normal(0.0, 0.02, first[-1]))
    notional = np.add.reduceat(np.abs(quantity) * value, first[:-1])
    gain = np.where(inverse, -quantity * (value - 1.0 / entry), quantity * (value - entry))
    balance = notional / np.exp(random.uniform(0.0, np.log(60.0), pools)) - np.add.reduceat(gain, first[:-1])
    return Legs(first, balance, number.astype(np.int32), quantity, entry)


def walk(marks: Floats, frames: int, seed: int, *, wild: bool) -> Floats:
    random = np.random.default_rng(seed)
    steps = random.standard_t(3, (frames, len(marks))) * 2e-4
    if wild:
        steps[frames // 3 : frames // 2] = random.normal(-0.004, 0.01, (frames // 2 - frames // 3, len(marks)))
        steps[frames // 2] = random.normal(0.0, 0.3, len(marks))
    path: Floats = marks * np.exp(np.cumsum(steps, axis=0))
    return path


def both(*, step: bool, pools: int = 3_000, seed: int = 1) -> tuple[Incremental, Sweep, Floats]:
    tables = market(step=step)
    marks = np.full(len(SYMBOLS), 100.0)
    legs = crowd(marks, pools, seed)
    rings = Incremental(Sweep(pack(tables, legs, marks, spare=0.05)), expected_moves=np.full(len(SYMBOLS), 2e-4))
    return rings, Sweep(pack(tables, legs, marks, spare=0.05)), marks


@pytest.mark.parametrize("step", [False, True])
@pytest.mark.parametrize("wild", [False, True])
def test_rings_name_whom_a_sweep_names_at_every_price(*, step: bool, wild: bool) -> None:
    rings, sweep, marks = both(step=step)
    gone = sweep.look(marks)
    sweep.take_out(gone)
    rings.take_out(gone)
    named, modes = 0, set()
    for prices in walk(marks, 240, 3, wild=wild):
        expected = np.sort(sweep.look(prices))
        assert np.sort(rings.look(prices)).tolist() == expected.tolist()
        modes.add(rings.mode)
        named += len(expected)
        if len(expected) and named % 2:  # some are liquidated, others stay where they are
            sweep.take_out(expected)
            rings.take_out(expected)
    assert named
    assert modes == ({"rings", "sweep"} if wild else {"rings"})


def test_calm_prices_are_looked_at_without_valuing_pools() -> None:
    rings, _, marks = both(step=False)
    before = rings.valued
    for prices in walk(marks, 200, 5, wild=False):
        rings.look(prices)
    assert rings.sweeps == 0
    assert rings.valued - before < 200 * 3_000 / 100  # a sweep values 3,000 at every price


@pytest.mark.parametrize("step", [False, True])
def test_a_long_way_is_gone_without_a_sweep(*, step: bool) -> None:
    rings, sweep, marks = both(step=step)
    gone = sweep.look(marks)
    sweep.take_out(gone)
    rings.take_out(gone)
    named = 0
    drift = np.exp(np.outer(np.arange(1_500), np.linspace(-1e-4, 1e-4, len(SYMBOLS))))
    for number, prices in enumerate(walk(marks, 1_500, 6, wild=False) * drift):
        hits = np.sort(rings.look(prices))
        assert hits.tolist() == np.sort(sweep.look(prices)).tolist()
        named += len(hits)
        if number % 2:
            sweep.take_out(hits)
            rings.take_out(hits)
    assert named
    assert rings.sweeps == 0
    assert rings.laid  # far pools were put into another box on the way


def test_after_a_crash_there_are_rings_again() -> None:
    rings, sweep, marks = both(step=False, pools=40_000)
    path = np.concatenate([marks * np.linspace(1.0, 0.8, 20)[:, None], walk(marks, 120, 2, wild=False) * 0.8])
    modes = []
    for number, prices in enumerate(path):
        hits = np.sort(rings.look(prices))
        assert hits.tolist() == np.sort(sweep.look(prices)).tolist()
        modes.append(rings.mode)
        if number == 60:  # pools that change while rings are made
            other = crowd(marks, 40_000, 12)
            chosen = list(range(0, 40_000, 101))
            counts = other.first[1:][chosen] - other.first[:-1][chosen]
            where = np.concatenate([np.arange(other.first[pool], other.first[pool + 1]) for pool in chosen])
            legs = Legs(np.concatenate([[0], np.cumsum(counts)]), other.balance[chosen], other.instrument[where],
                        other.quantity[where], other.entry_price[where])  # fmt: skip
            sweep.move(prices)
            sweep.change(chosen, legs)
            rings.change(prices, chosen, legs)
    assert modes[10] == "sweep"
    assert modes[-1] == "rings"
    assert sum(rings.standing) < 30_000


def test_a_pool_of_more_legs_than_a_record_holds_is_found() -> None:
    tables, marks = market(step=False), np.full(len(SYMBOLS), 100.0)
    legs = 70
    held = Legs(np.array([0, legs, legs + 1]), np.array([600.0, 20.0]), np.zeros(legs + 1, np.int32),
                np.append(np.full(legs, 1.0), 1.0), np.full(legs + 1, 100.0))  # fmt: skip
    rings, sweep = Incremental(Sweep(pack(tables, held, marks))), Sweep(pack(tables, held, marks))
    named = 0
    for fall in range(40):
        prices = marks * (1.0 - fall * 0.005)
        found = np.sort(rings.look(prices)).tolist()
        assert found == np.sort(sweep.look(prices)).tolist()
        named += len(found)
    assert named


def test_pools_that_change_are_found_where_a_sweep_finds_them() -> None:
    rings, sweep, marks = both(step=True)
    other = crowd(marks, 3_000, 9)
    random = np.random.default_rng(4)
    named = 0
    for number, prices in enumerate(walk(marks, 120, 8, wild=False)):
        if number % 3 == 0:  # fills, deposits, positions opened and closed, and an account that is new
            chosen = [*random.choice(3_000, 20, replace=False).tolist(), 3_000 + number]
            rows = [index % 3_000 for index in chosen]
            counts = [int(other.first[row + 1] - other.first[row]) for row in rows]
            counts[0] = 0
            where = np.concatenate([np.arange(other.first[row], other.first[row] + many)
                                    for row, many in zip(rows, counts, strict=True)])  # fmt: skip
            legs = Legs(np.concatenate([[0], np.cumsum(counts)]), other.balance[rows], other.instrument[where],
                        other.quantity[where], other.entry_price[where])  # fmt: skip
            sweep.move(prices)
            sweep.change(chosen, legs)
            rings.change(prices, chosen, legs)
            fresh = Sweep(pack(sweep.columns.instruments, legs, prices)).look(prices)
            expected = set(np.array(chosen)[fresh].tolist()) - {chosen[0]}  # which has no legs left
            assert set(rings.look(prices).tolist()) & set(chosen) == expected
            named += len(expected)
        assert np.sort(rings.look(prices)).tolist() == np.sort(sweep.look(prices)).tolist()
    assert named > 5


@pytest.mark.parametrize("symbol", [0, 1, 2])
def test_a_missing_price_and_one_that_is_back_are_survived(symbol: int) -> None:
    rings, sweep, marks = both(step=False)
    missing = marks.copy()
    missing[symbol] = np.nan
    for prices in (marks, missing, missing * 1.001, marks * 0.999, marks * 5.0, marks * 21.0, marks * 4.0):
        assert np.sort(rings.look(prices)).tolist() == np.sort(sweep.look(prices)).tolist()


def test_where_nearly_everybody_is_near_there_are_sweeps() -> None:
    tables, marks = market(step=False), np.full(len(SYMBOLS), 100.0)
    legs = crowd(marks, 40_000, 3)
    legs = legs._replace(balance=legs.balance * 0.0 + Sweep(pack(tables, legs, marks)).surplus(marks, 1.0) * -1.0
                         + legs.balance + 1e-6)  # fmt: skip
    rings, sweep = Incremental(Sweep(pack(tables, legs, marks))), Sweep(pack(tables, legs, marks))
    for prices in (marks, marks * 1.0001, marks * 0.9999, marks * 1.2):
        assert rings.mode == "sweep"
        assert np.sort(rings.look(prices)).tolist() == np.sort(sweep.look(prices)).tolist()


def test_expected_moves_are_one_positive_number_per_symbol() -> None:
    _, sweep, _ = both(step=False, pools=10)
    with pytest.raises(BadInput, match="one positive number per symbol"):
        Incremental(sweep, expected_moves=np.zeros(len(SYMBOLS)))
    with pytest.raises(BadInput, match="not one price per symbol"):
        Incremental(sweep).look(np.ones(3))


@pytest.mark.parametrize("step", [False, True])
def test_prices_that_double_and_halve_again_are_followed(*, step: bool) -> None:
    # An outlook holds until a price is a quarter above where it was made: here each is made anew several times.
    rings, sweep, marks = both(step=step, pools=1_000)
    turns = np.interp(np.arange(2_400), [0, 800, 1_700, 2_399], [0.0, 0.75, -0.9, 0.3])
    path = walk(marks, 2_400, 11, wild=False) * np.exp(np.outer(turns, np.linspace(1.0, -1.0, len(SYMBOLS))))
    named = 0
    for number, prices in enumerate(path):
        hits = np.sort(rings.look(prices))
        assert hits.tolist() == np.sort(sweep.look(prices)).tolist()
        named += len(hits)
        if number % 4 == 0:
            sweep.take_out(hits)
            rings.take_out(hits)
    assert named > 100
    assert rings.sweeps < 100
