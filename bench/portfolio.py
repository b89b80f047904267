"""How fast the requirement of a large hedged book is: exact, in NumPy floats, and beside an assessment by risk tiers.

    python bench/portfolio.py [--rounds 15]

A book of fifty instruments on one coin, made from a fixed seed: an inverse and a linear perpetual, eight dated futures
and forty options of five expiries, over 105 scenarios (35 prices × 3 volatilities). Everything from marks to the
maintenance margin is counted: options valued anew, gains, worst scenario, contingencies. The NumPy version computes
the same figure in floats, all options at once; the two agree to 1e-6. The tier assessment is of fifty linear positions
in multi-asset mode. Target: the exact requirement in 5 ms. Processor time, median over the rounds, the three taken in
turn. Results: out/bench/portfolio.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from accounts import binance_books
from measuring import REPOSITORY, machine, machine_line, seconds, table, write

from ringfence import load_rulebook
from ringfence.account import (
    Account,
    Collateral,
    CollateralMode,
    MarginMode,
    Position,
    RiskInputs,
    pools,
)
from ringfence.contract import Contract, ContractKind, OptionType
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.portfolio.requirement import requirement
from ringfence.portfolio_rules import StressTerms

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.rulebook import Rulebook

D = Decimal
INDEX = D(60000)
NOW = datetime(2026, 2, 15, 12, tzinfo=UTC)
DAYS = (6, 20, 41, 104, 223)
TARGET = 0.005


def contracts() -> list[Contract]:
    """Return the fifty instruments."""
    random = Random(7)  # noqa: S311 - a book is no secret
    found = [
        Contract("BTC-PERPETUAL", ContractKind.INVERSE, D(10), "BTC", D("0.5"), underlying="BTC"),
        Contract("BTCUSDT", ContractKind.LINEAR, D(1), "USDT", D("0.1"), underlying="BTC"),
    ]
    for number in range(8):
        expiry = NOW + timedelta(days=14 + 31 * number)
        found.append(Contract(f"BTC-F{number}", ContractKind.LINEAR, D(1), "USDT", D("0.1"), underlying="BTC",
                              expiry=expiry))  # fmt: skip
    for number in range(40):
        strike = INDEX + 2000 * random.randint(-8, 8)
        found.append(
            Contract(
                f"BTC-O{number}", ContractKind.OPTION, D(1), "USDT", D(1), underlying="BTC",
                expiry=NOW + timedelta(days=DAYS[number % 5]), strike=strike,
                option_type=OptionType.CALL if random.random() < 0.5 else OptionType.PUT,
            )
        )  # fmt: skip
    return found


def book() -> tuple[Account, dict[str, Decimal], Rulebook]:
    """Return the account, its marks and Bybit's rulebook with a finer grid."""
    random = Random(11)  # noqa: S311 - a book is no secret
    held = contracts()
    marks = {c.symbol: D(1500) if c.option else INDEX + random.randint(-40, 900) for c in held}
    quantities = {c.symbol: D(random.choice([-3, -2, -1, 1, 2, 3])) for c in held}
    quantities["BTC-PERPETUAL"] *= 6000
    positions = tuple(Position(c.symbol, quantities[c.symbol], marks[c.symbol], MarginMode.CROSS) for c in held)
    account = Account(
        positions=positions,
        wallet={"USDT": D(5_000_000), "BTC": D(10)},
        collateral={"USDT": Collateral(), "BTC": Collateral(index=INDEX, moves_with="BTC")},
        collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(
            time=NOW, index={"BTC": INDEX}, reference=marks,
            volatility={c.symbol: D(random.randint(40, 80)) / 100 for c in held if c.option},
        ),
    )  # fmt: skip
    rulebook = load_rulebook("bybit-uta", date(2026, 2, 15)).with_tables({c.symbol: (c, None) for c in held})
    rules = rulebook.portfolio
    assert rules is not None
    assert isinstance(rules.terms, StressTerms)
    terms = replace(rules.terms, price_moves=tuple(D(step) / 100 for step in range(1, 18)))
    return account, marks, replace(rulebook, portfolio=replace(rules, terms=terms, by_coin={}))


def in_floats(account: Account, marks: dict[str, Decimal], terms: StressTerms) -> Callable[[], float]:
    """Return the maximum loss of the book computed with NumPy in floats: what a program without an exact lane does."""
    held, index = contracts(), float(INDEX)
    quantity = np.array([float(p.quantity) for p in account.positions])
    mark = np.array([float(marks[c.symbol]) for c in held])
    options = [place for place, c in enumerate(held) if c.option]
    strike = np.array([float(held[place].strike or 0) for place in options]) / index
    call = np.array([held[place].option_type is OptionType.CALL for place in options])
    years = np.array([(held[p].expiry - NOW).total_seconds() / 86400 / 365 for p in options])  # type: ignore[operator]
    assert account.risk is not None
    volatility = np.array([float(account.risk.volatility[held[place].symbol]) for place in options])
    moves = np.array([0.0, *(float(m) for m in terms.price_moves), *(-float(m) for m in terms.price_moves)])
    changes = np.array([-float(terms.volatility_down), 0.0, float(terms.volatility_up)])

    def priced(factor: Any, deviation: Any) -> Any:
        d1 = np.log(factor / strike[:, None, None]) / deviation + deviation / 2
        worth = factor * normal(d1) - strike[:, None, None] * normal(d1 - deviation)
        return np.where(call[:, None, None], worth, worth - factor + strike[:, None, None])

    def loss() -> float:
        deviation = (volatility[:, None] * (1 + changes) * np.sqrt(years)[:, None])[:, None, :]
        after = priced(1 + moves[None, :, None], deviation)
        before = priced(np.ones((1, 1, 1)), (volatility * np.sqrt(years))[:, None, None])
        gain = np.einsum("o,omv->mv", quantity[options] * index, after - before)
        linear = (quantity * mark)[1:10].sum() + quantity[0] * 10 / mark[0] * index
        return float(-(gain + linear * moves[:, None]).min())

    return loss


def normal(x: Any) -> Any:
    """Return the normal distribution of an array, element by element: NumPy has no erfc of its own."""
    from math import erfc

    return 0.5 * np.frompyfunc(erfc, 1, 1)(-x * 0.7071067811865476).astype(float)


def main() -> None:
    """Time the four in turn and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    rounds = options.parse_args().rounds
    account, marks, rulebook = book()
    pool = pools(account, rulebook.contract, rulebook.collateral)[-1]
    assessed = assess(pool, marks, rulebook)
    rules, found = rulebook.portfolio, assessed.portfolio
    assert rules is not None
    assert found is not None
    assert isinstance(rules.terms, StressTerms)
    floats = in_floats(account, marks, rules.terms)
    exact_loss = float(found.units[0].margins.worst_loss)
    assert abs(floats() - exact_loss) <= 1e-6 * exact_loss
    tiers = binance_books(load_rulebook("binance-usdm", date(2025, 10, 10)), (50,), MarginMode.CROSS)[0]
    basket = replace(tiers.account, collateral_mode=CollateralMode.MULTI_ASSET)
    calls: dict[str, Callable[[], object]] = {
        "exact requirement": lambda: requirement(pool, assessed.lines, rulebook),
        "exact assessment around it": lambda: assess(pool, marks, rulebook),
        "largest loss alone, NumPy floats": floats,
        "50 positions by risk tiers, exact": lambda: assess_account(basket, tiers.marks[0], tiers.rulebook),
    }
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(seconds(call))
    described = machine()
    print(machine_line(described) + "\n")
    print(f"{len(pool.positions)} instruments, {len(found.units[0].margins.columns)} scenarios\n")
    rows, results = [], {}
    for name, times in taken.items():
        target = TARGET if name == "exact requirement" else None
        met = "" if target is None else f"≤ {target * 1000:g} ms: {'met' if median(times) <= target else 'missed'}"
        rows.append([name, *(f"{1000 * t:.2f}" for t in (median(times), min(times), max(times))), met])
        results[name] = {"seconds": median(times), "best": min(times), "worst": max(times), "target": target}
    print(table(["what", "ms", "best", "worst", "target"], rows))
    print(f"\nwritten: {write('portfolio', {'machine': described, 'results': results}).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
