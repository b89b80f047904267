"""How fast the questions asked of a portfolio account of fifty instruments on two coins are answered.

    python bench/portfolio_grid.py [--rounds 3]

Twenty-five instruments a coin, made from a fixed seed: an inverse and a linear perpetual, three dated futures, twenty
options of five expiries; at Deribit, OKX and Bybit. At Binance, which goes by risk tiers (uniMMR), fifty linear
perpetuals of as many coins. Timed: a grid of 41 × 41 prices of two coins with the lines at which calls and liquidations
begin, exact at every point; what it takes to assess one point, times 1,681; every liquidation price; the combined moves
of both levels; advice on the book at Deribit, 10,000 paths of 7 days, and with so little cash that what to close has to
be searched for. A grid of 5 × 5 is compared with assessing each of its points. Targets: the grid in 0.5 s, advice in
10 s. Processor time, median over the rounds. Results: out/bench/portfolio_grid.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from accounts import binance_books
from measuring import REPOSITORY, machine, machine_line, seconds, table, write

from ringfence import load_rulebook
from ringfence.account import Account, Collateral, CollateralMode, MarginMode, Position, RiskInputs
from ringfence.contract import Contract, ContractKind, OptionType
from ringfence.margin.assess import assess_account
from ringfence.margin.move import move_of
from ringfence.margin.portfolio.black76 import delta, price_now, vega
from ringfence.margin.price import liquidation_prices
from ringfence.numbers import ONE
from ringfence.study.advice.advise import advise
from ringfence.study.advice.scene import Outlook
from ringfence.study.stress import grid
from ringfence.study.surface import Surface, assessed_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.rulebook import Rulebook

D = Decimal
NOW = datetime(2026, 2, 15, 12, tzinfo=UTC)
PRICES = {"BTC": D(60000), "ETH": D(2000)}
CASH = {"deribit": 250_000, "okx-swap": 350_000, "bybit-uta": 350_000}  # health between 1.5 and 3
DAYS = (6, 20, 41, 104, 223)
STEPS = 41
GRID, ADVICE, DANGER = f"grid {STEPS} × {STEPS}", "advise", "advise, liquidated on most paths"
TARGETS = {GRID: 0.5, ADVICE: 10.0, DANGER: 10.0}


class Book(NamedTuple):
    """An account, its marks, its rulebook, and the two symbols whose prices the grid moves."""

    account: Account
    marks: dict[str, Decimal]
    rulebook: Rulebook
    axes: tuple[str, str]


def contracts(coin: str, venue: str, random: Random) -> list[Contract]:
    """Return the twenty-five instruments of a coin. Deribit's options settle in the coin, the other venues' in USDT."""
    size = D(1) if coin == "BTC" else D(30)
    found = [
        Contract(f"{coin}-PERPETUAL", ContractKind.INVERSE, D(10), coin, D("0.05"), underlying=coin),
        Contract(f"{coin}USDT", ContractKind.LINEAR, size, "USDT", D("0.1"), underlying=coin),
    ]
    found += [
        replace(found[1], symbol=f"{coin}-F{number}", expiry=NOW + timedelta(days=14 + 31 * number))
        for number in range(3)
    ]
    for number in range(20):
        found.append(
            Contract(
                f"{coin}-O{number}", ContractKind.OPTION, size, coin if venue == "deribit" else "USDT", D("0.0005"),
                quantity_step=D("0.1"), underlying=coin, expiry=NOW + timedelta(days=DAYS[number % 5]),
                strike=PRICES[coin] * (ONE + D(random.randint(-8, 8)) / 32),
                option_type=OptionType.CALL if random.random() < 0.5 else OptionType.PUT,
            )
        )  # fmt: skip
    return found


def book(venue: str) -> Book:
    """Return the book at a venue."""
    random = Random(11)  # noqa: S311 - a book is no secret
    held = [contract for coin in PRICES for contract in contracts(coin, venue, random)]
    marks, positions = {}, []
    for contract in held:
        price = PRICES[contract.risk_unit]
        if contract.option:
            marks[contract.symbol] = D("0.025") if contract.settle_asset == contract.risk_unit else price * D("0.025")
        else:
            marks[contract.symbol] = price * (ONE + D(random.randint(-5, 90)) / 8000)
        quantity = D(random.choice([-3, -2, -1, 1, 2, 3])) * (6000 if contract.inverse else 1)
        positions.append(Position(contract.symbol, quantity, marks[contract.symbol], MarginMode.CROSS))
    account = Account(
        positions=tuple(positions),
        wallet={"USDT": D(CASH[venue]), "BTC": D(2), "ETH": D(20)},
        collateral={"USDT": Collateral(),
                    **{coin: Collateral(index=price, moves_with=coin) for coin, price in PRICES.items()}},
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(
            time=NOW, index=PRICES, reference=marks,
            volatility={c.symbol: D(random.randint(40, 80)) / 100 for c in held if c.option},
        ),
    )  # fmt: skip
    rulebook = load_rulebook(venue, NOW.date()).with_tables({c.symbol: (c, None) for c in held})
    return Book(account, marks, rulebook, ("BTC-PERPETUAL", "ETH-PERPETUAL"))


def unified() -> Book:
    """Return fifty linear positions at Binance, in portfolio margin."""
    made = binance_books(load_rulebook("binance-usdm", NOW.date()), (50,), MarginMode.CROSS)[0]
    account = replace(made.account, collateral_mode=CollateralMode.PORTFOLIO)
    symbols = [position.symbol for position in account.positions]
    return Book(account, dict(made.marks[0]), made.rulebook, (symbols[0], symbols[1]))


def surfaces(of: Book) -> list[Surface]:
    """Return the account as a study takes it, nothing of it known from before."""
    for remembered in (price_now, delta, vega):
        remembered.cache_clear()
    return [Surface(a, of.marks, of.rulebook) for a in assess_account(of.account, of.marks, of.rulebook) if a.lines]


def agrees(of: Book) -> None:
    """Hold a small grid to assessing each of its points."""
    found = surfaces(of)[0]
    small = grid([found], of.axes, span=D("0.5"), steps=5)
    for row, second in zip(small.cells, small.rows, strict=True):
        for cell, first in zip(row, small.columns, strict=True):
            moved = {axis: of.marks[axis] * (1 + move) for axis, move in zip(of.axes, (first, second), strict=True)}
            whole = assessed_at(found.assessment.pool, of.marks, found.with_units(moved), of.rulebook)
            assert whole.health == cell.health


def calls(of: Book) -> dict[str, Callable[[], object]]:
    """Return what is timed of a book, by name."""
    whole, percent = surfaces(of)[0].assessment.pool, count(50)

    def point() -> object:
        factor = D(next(percent)) / 100  # another one every time: nothing is known from before
        moved = {symbol: mark * factor for symbol, mark in of.marks.items()}
        return assessed_at(whole, of.marks, moved, of.rulebook)

    def heat() -> object:
        return grid(surfaces(of), of.axes, span=D("0.5"), steps=STEPS)

    def prices() -> object:
        found = surfaces(of)[0].assessment
        return [liquidation_prices(found, line.position.symbol) for line in found.lines]

    def turns() -> object:
        found = surfaces(of)[0]
        levels = (found.assessment.levels.margin_call, ONE)
        return [move_of(found.assessment, of.marks, of.rulebook, health=level) for level in levels]

    return {GRID: heat, "1,681 points, one by one": point, "every liquidation price": prices, "combined moves": turns}


def main() -> None:
    """Time every question at every venue and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    books = {venue: book(venue) for venue in CASH} | {"binance-usdm": unified()}
    described = machine()
    print(machine_line(described) + "\n")
    rows, results = [], {}

    def timed(venue: str, name: str, call: Callable[[], object], times: int = 1) -> None:
        taken = [seconds(call) * times for _ in range(rounds)]
        middle, target = median(taken), TARGETS.get(name)
        met = "" if target is None else f"≤ {target:g} s: {'met' if middle <= target else 'missed'}"
        rows.append([venue, name, f"{middle:.3f}", f"{min(taken):.3f}", f"{max(taken):.3f}", met])
        results[f"{name}, {venue}"] = {"seconds": middle, "best": min(taken), "worst": max(taken), "target": target}

    for venue, of in books.items():
        agrees(of)
        for name, call in calls(of).items():
            timed(venue, name, call, STEPS * STEPS if name.startswith("1,681") else 1)
    of, given = books["deribit"], {"BTC-PERPETUAL": 0.03, "ETH-PERPETUAL": 0.04}
    poor = replace(of.account, wallet={**of.account.wallet, "USDT": D(60_000)})
    for name, account in ((ADVICE, of.account), (DANGER, poor)):

        def advice(account: Account = account) -> object:
            look = Outlook(7, 10_000, 1)
            return advise(account, marks=of.marks, rulebook=of.rulebook, outlook=look, volatilities=given)

        timed("deribit", name, advice)
    print(table(["venue", "question of fifty instruments", "s", "best", "worst", "target"], rows))
    print(f"\nwritten: {write('portfolio_grid', {'machine': described, 'results': results}).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
