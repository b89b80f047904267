"""Sweep and rings on pools that stand within 1e-7 of the line: never "safe" where the exact lane would act.

Each pool is assessed by the exact lane with an empty wallet, and is then given the balance that puts it a chosen hair
above, on, or below a level of health; so what the exact lane says of it is known without asking the screen's own code.
Legs lie on tier edges and a hair beside them; contracts are linear and inverse; tiers continuous, stepped, and growing
with size. ``RINGFENCE_LINE_POOLS`` says how many pools (100,000); ``make soak`` takes ten million.
"""

from __future__ import annotations

import os
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from ringfence.account import CROSS, ISOLATED, MarginMode, Pool, Position
from ringfence.contract import Contract, ContractKind
from ringfence.margin.assess import assess
from ringfence.numbers import EXACT, ONE, ZERO, divide, exact
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable, continuous_deductions
from ringfence.screen.columns import pack_pools
from ringfence.screen.instruments import instruments
from ringfence.screen.rings import Incremental
from ringfence.screen.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

POOLS = int(os.environ.get("RINGFENCE_LINE_POOLS", "100000"))
BATCH = 5_000
POLICIES = (
    Policies(),
    Policies(closing_fee="mark"),
    Policies(tier_type="step", closing_fee="mark", funding_reserve_rate=Decimal("0.0003")),
    Policies(tier_type="step", maintenance_at="entry", closing_fee="entry"),
    Policies(tier_type="linear_in_size", maintenance_rate_base=Decimal("0.01"),
             rate_per_unit_of_base=Decimal("0.00005")),
    Policies(closing_fee="leverage_bankruptcy_price"),
    Policies(tier_type="step", maintenance_at="frozen_mark", closing_fee="frozen_mark"),
)  # fmt: skip
RATES = ("0.004", "0.005", "0.01", "0.025", "0.05", "0.1", "0.125", "0.5")
LEVELS = (ONE, Decimal("1.25"))


class Near(NamedTuple):
    """A pool and by what share of its notional its surplus at ``level`` is above 0."""

    pool: Pool
    level: Decimal
    above: Decimal


@exact
def market(random: Random) -> tuple[Rulebook, dict[str, Decimal]]:
    """Return a rulebook of eight contracts, every other one inverse, and their marks."""
    policies = random.choice(POLICIES)
    tables: dict[str, tuple[Contract, TierTable | None]] = {}
    marks: dict[str, Decimal] = {}
    for number in range(8):
        symbol = f"S{number}"
        inverse = number % 2 == 1 and policies.maintenance_rate_base is None
        size = random.choice([Decimal(1), Decimal(100), Decimal("0.001")])
        contract = Contract(symbol, ContractKind.INVERSE if inverse else ContractKind.LINEAR, size, "C",
                            quantity_step=Decimal("0.001"), taker_fee_rate=Decimal("0.0005"))  # fmt: skip
        marks[symbol] = Decimal(random.randint(1_000, 99_999)).scaleb(random.randint(-6, 0))
        first = EXACT.multiply(contract.contract_value(marks[symbol]), Decimal(random.randint(500, 5_000)))
        floors = [ZERO, *(EXACT.multiply(first, Decimal(3**step)) for step in range(7))]  # whole numbers of contracts
        rates = [Decimal(rate) for rate in RATES]
        deductions = continuous_deductions(tuple(zip(floors, rates, strict=True)))
        if policies.tier_type != "progressive":
            deductions = (ZERO,) * 8
        tables[symbol] = (
            contract,
            TierTable(tuple(Tier(f, r, d, None) for f, r, d in zip(floors, rates, deductions, strict=True))),
        )
    return Rulebook("line", "Line", None, isolated=policies, cross=policies, basket=policies, tables=tables), marks


def leg(random: Random, symbol: str, rulebook: Rulebook, mark: Decimal, mode: MarginMode) -> Position:
    """Return a position: every third on a tier's edge at the mark, or within 1e-7 of it."""
    contract, table = rulebook.entry(symbol)
    assert table is not None
    quantity = Decimal(random.randint(1, 9_999)).scaleb(random.randint(-1, 2))
    if random.random() < 0.34:
        floor = table.floors[random.randint(1, 5)]
        quantity = divide(floor, contract.contract_value(mark), places=3)
        quantity += random.choice([ZERO, ZERO, Decimal("0.001"), Decimal("-0.001")])
    entry = divide(mark * random.randint(800, 1_200), Decimal(1_000), places=9) or Decimal("1e-9")
    leverage = random.choice([None, Decimal(3), Decimal(20)])
    return Position(symbol, random.choice([1, -1]) * quantity, entry, mode, None, leverage)


def near_the_line(random: Random, rulebook: Rulebook, marks: dict[str, Decimal], count: int) -> Iterator[Near]:
    """Yield pools within 1e-7 of a level of health: above it, on it, and below."""
    symbols = list(marks)
    for number in range(count):
        alone = random.random() < 0.4
        chosen = random.sample(symbols, 1 if alone else random.randint(1, 4))
        mode = MarginMode.ISOLATED if alone else MarginMode.CROSS
        held = tuple(leg(random, symbol, rulebook, marks[symbol], mode) for symbol in chosen)
        pool = Pool(str(number), ISOLATED if alone else CROSS, {"C": ZERO}, held)
        empty = assess(pool, marks, rulebook)
        assert empty.margin_balance is not None
        assert empty.liquidation_requirement is not None
        level = random.choice(LEVELS)
        hair = Decimal(random.randint(-1_000, 1_000)).scaleb(-random.choice([10, 10, 13, 16, 20]))
        need = EXACT.subtract(EXACT.multiply(level, empty.liquidation_requirement), empty.margin_balance)
        balance = EXACT.add(need, EXACT.multiply(hair, empty.notional))
        yield Near(Pool(pool.name, pool.mode, {"C": balance}, held), level, hair)


def test_no_pool_within_a_ten_millionth_of_the_line_is_called_safe_where_the_exact_lane_would_act() -> None:
    random = Random(20251010)  # noqa: S311 - repeatable, not secret
    safe = clear = done = 0
    while done < POOLS:
        rulebook, marks = market(random)
        drawn = list(near_the_line(random, rulebook, marks, min(BATCH, POOLS - done)))
        done += len(drawn)
        tables = instruments(rulebook, list(marks))
        sweep = Sweep(pack_pools(tables, [near.pool for near in drawn], marks, rulebook), [float(x) for x in LEVELS])
        prices = np.array([float(marks[symbol]) for symbol in tables.symbols])
        looked_at = [set(sweep.look(prices, number).tolist()) for number in range(len(LEVELS))]
        for number in range(len(LEVELS)):  # rings name the same, and go on doing so when prices move by a hair
            rings = Incremental(sweep, level=number)
            for move in (0.0, 1e-9, -2e-9, 5e-4):
                named = rings.look(prices * (1.0 + move))
                assert np.sort(named).tolist() == np.sort(sweep.look(prices * (1.0 + move), number)).tolist()
        rounded_up = rulebook.cross.maintenance_rate_base is not None  # rates by size are screened by steps
        for index, near in enumerate(drawn):
            look = index in looked_at[LEVELS.index(near.level)]
            assert look or near.above > 0, (near, rulebook.cross)
            if near.above > Decimal("1e-11") and not rounded_up:
                clear += 1
                safe += not look
        for near in drawn[:10]:  # the balance does put the exact lane where it was meant to
            assert assess(near.pool, marks, rulebook).reached(near.level) is (near.above <= 0)
    assert safe > 0.9 * clear > 0.1 * POOLS, (safe, clear, POOLS)


@pytest.mark.parametrize("hair", ["0", "-1e-30", "-1e-12"])
def test_a_pool_on_the_line_or_a_hair_below_is_looked_at(hair: str) -> None:
    random = Random(hair)  # noqa: S311
    rulebook, marks = market(random)
    symbol = "S1"
    held = leg(random, symbol, rulebook, marks[symbol], MarginMode.CROSS)
    empty = assess(Pool("one", CROSS, {"C": ZERO}, (held,)), marks, rulebook)
    assert empty.liquidation_requirement is not None
    assert empty.margin_balance is not None
    balance = EXACT.add(EXACT.subtract(empty.liquidation_requirement, empty.margin_balance), Decimal(hair))
    pool = Pool("one", CROSS, {"C": balance}, (held,))
    tables = instruments(rulebook, list(marks))
    sweep = Sweep(pack_pools(tables, [pool], marks, rulebook))
    assert sweep.look(np.array([float(marks[name]) for name in tables.symbols])).tolist() == [0]
