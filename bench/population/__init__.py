"""The population of the screen's benchmarks: accounts as a venue has them, drawn by a seed. Needs the extra ``fleet``.

N accounts of 3 to 5 positions in 500 linear contracts, popular by Zipf's law (exponent 0.9: one position in nine is in
the first); notional lognormal (median 2,000, sigma 1.6), so that one position in ten is above the first of ten
brackets; 30 % of the positions isolated at a leverage of 2 to 40, the others in one cross pool per account at an
effective leverage of 0.5 to 15 (*base*) or to 75 (*stressed*), all log-uniform. An account is about 2.2 pools.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from ringfence.contract import Contract, ContractKind
from ringfence.rulebook import Policies, Rulebook, Tier, TierTable, continuous_deductions
from ringfence.screen.columns import Legs
from ringfence.screen.instruments import Instruments, instruments

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYMBOLS = 500
ZIPF = 0.9
FLOORS = (0, 15_700, 50_000, 150_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000)
RATES = ("0.005", "0.0065", "0.01", "0.02", "0.025", "0.05", "0.1", "0.125", "0.15", "0.25")
MAJORS, MID = 10, 100  # the first ten symbols, and up to the hundredth


@dataclass(frozen=True)
class Population:
    """Pools as plain arrays, the instruments and the marks they were drawn at. ``positions``: legs in all."""

    legs: Legs
    instruments: Instruments
    marks: NDArray[np.float64]
    rulebook: Rulebook
    accounts: int

    @property
    def positions(self) -> int:
        """How many positions there are."""
        return len(self.legs.instrument)

    @property
    def pools(self) -> int:
        """How many margin pools there are."""
        return len(self.legs.balance)


def rulebook() -> tuple[Rulebook, list[str], NDArray[np.float64]]:
    """Return 500 linear contracts with ten brackets, their symbols and marks (log-uniform 0.01 to 100,000)."""
    random = np.random.default_rng(500)
    marks = np.exp(random.uniform(np.log(0.01), np.log(100_000.0), SYMBOLS))
    deductions = continuous_deductions(tuple((Decimal(f), Decimal(r)) for f, r in zip(FLOORS, RATES, strict=True)))
    tiers = TierTable(
        tuple(
            Tier(Decimal(floor), Decimal(rate), deduction, None)
            for floor, rate, deduction in zip(FLOORS, RATES, deductions, strict=True)
        )
    )
    tables: dict[str, tuple[Contract, TierTable | None]] = {}
    symbols = [f"S{number:03}" for number in range(SYMBOLS)]
    for symbol, mark in zip(symbols, marks, strict=True):
        step = Decimal(10) ** -int(np.floor(np.log10(mark)) + 1)  # a lot is worth 0.1 to 1
        tables[symbol] = Contract(symbol, ContractKind.LINEAR, Decimal(1), "USDT", quantity_step=step), tiers
    policies = Policies()
    book = Rulebook("bench", "Bench", None, isolated=policies, cross=policies, basket=policies, tables=tables)
    return book, symbols, marks


def draw(accounts: int, *, stressed: bool = False, seed: int = 1) -> Population:
    """Return a population of ``accounts``."""
    book, symbols, marks = rulebook()
    tables = instruments(book, symbols)
    random = np.random.default_rng(seed)
    held = random.integers(3, 6, accounts)
    positions = int(held.sum())
    symbol = _zipf(random, positions)
    isolated = random.random(positions) < 0.3
    account = np.repeat(np.arange(accounts, dtype=np.int64), held)
    # Pools in the order of accounts: its isolated positions, then the cross pool if anything is in it.
    order = np.lexsort((~isolated, account)) if accounts < 3_000_000 else _by_account(isolated, held)
    isolated, symbol = isolated[order], symbol[order]
    begins = isolated.copy()
    begins[0] = True
    begins[1:] |= account[1:] != account[:-1]
    begins[1:] |= isolated[:-1] & ~isolated[1:]
    first = np.flatnonzero(np.append(begins, True)).astype(np.int64)
    lot = tables.lot[symbol]
    mark = marks[symbol]
    lots = np.maximum(np.rint(np.exp(random.normal(np.log(2_000.0), 1.6, positions)) / mark / lot), 1.0)
    quantity = lots * lot * np.where(random.random(positions) < 0.55, 1.0, -1.0)
    entry = mark * np.exp(random.normal(0.0, 0.05, positions))
    alone = isolated[first[:-1]]
    highest = 75.0 if stressed else 15.0
    pools = len(first) - 1
    leverage = np.where(
        alone,
        np.exp(random.uniform(np.log(2.0), np.log(40.0), pools)),
        np.exp(random.uniform(np.log(0.5), np.log(highest), pools)),
    )
    equity = np.add.reduceat(np.abs(quantity) * mark, first[:-1]) / leverage
    balance = equity - np.add.reduceat(quantity * (mark - entry), first[:-1])
    number = symbol + np.where(isolated, tables.of(symbols[0], "isolated"), tables.of(symbols[0], "cross"))
    legs = Legs(first, balance, number.astype(np.int32), quantity, entry)
    return Population(legs, tables, marks, book, accounts)


def _zipf(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    weights = 1.0 / np.arange(1, SYMBOLS + 1) ** ZIPF
    edges = np.cumsum(weights / weights.sum())
    return np.minimum(np.searchsorted(edges, random.random(count)), SYMBOLS - 1)


def _by_account(isolated: NDArray[np.bool_], held: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order that puts each account's isolated positions first, without sorting tens of millions."""
    ends = np.cumsum(held)
    begins = ends - held
    running = np.cumsum(isolated) - isolated
    before = running - np.repeat(running[begins], held)
    alone = np.add.reduceat(isolated.astype(np.int64), begins)
    within = np.arange(len(isolated)) - np.repeat(begins, held)
    place = np.repeat(begins, held) + np.where(isolated, before, np.repeat(alone, held) + within - before)
    order = np.empty(len(isolated), np.int64)
    order[place] = np.arange(len(isolated))
    return order


def shock_path(frames: int, *, crash: bool, seed: int = 7) -> NDArray[np.float64]:
    """Return factors on the marks, (frames, symbols): one-second frames with fat tails.

    Student t with 4 degrees of freedom, 60 % a year for majors, 1.6 and 2.2 times that for mid and small caps, a common
    factor of 0.8. A crash begins at a tenth of the way: 60 frames at six times the volatility in which majors lose 12 %
    and small caps 26 %, then 60 frames that bring half of it back.
    """
    random = np.random.default_rng(seed)
    second = 0.6 / np.sqrt(365.0 * 86_400.0)
    scale = np.where(np.arange(SYMBOLS) < MAJORS, 1.0, np.where(np.arange(SYMBOLS) < MID, 1.6, 2.2)) * second
    fat = np.sqrt(0.5)  # a Student t with 4 degrees of freedom has variance 2
    market = random.standard_t(4, (frames, 1)) * fat
    own = random.standard_t(4, (frames, SYMBOLS)) * fat
    steps = scale * (0.8 * market + 0.6 * own)
    if crash:
        begin = frames // 10
        fall = np.where(scale == scale[0], np.log(0.88), np.where(scale == scale[-1], np.log(0.74), np.log(0.80)))
        steps[begin : begin + 60] *= 6.0
        steps[begin : begin + 60] += fall / 60
        steps[begin + 60 : begin + 120] -= fall / 120
    return np.exp(np.cumsum(steps, axis=0))


__all__ = ["SYMBOLS", "Population", "draw", "rulebook", "shock_path"]
