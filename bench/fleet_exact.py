"""How fast fleets are whose accounts compiled kernels do not know: each goes through the exact lane, every time.

    python bench/fleet_exact.py [--accounts 400] [--small]

Four kinds of accounts, each with what keeps it from having a kernel: options (Deribit, portfolio margin), open orders
(OKX, portfolio margin), a closing fee at the bankruptcy price (Bybit, inverse, cross), and maintenance from a rounded
initial margin (dYdX); beside them OKX's accounts without their orders, which have one. *Screen* is at one set of marks,
*stress* in eleven, *watch* along twenty minutes of 10 October 2025, at one price a minute and symbol. Processor time of
one thread; the benchmark fails where other accounts than those meant went through the exact lane. Results:
out/bench/fleet_exact.json.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from measuring import machine, machine_line, table, write

from ringfence.account import Account, Collateral, CollateralMode, MarginMode, OpenOrder, Position, RiskInputs
from ringfence.fleet import Fleet
from ringfence.fleet.accounts import batch_of
from ringfence.fleet.scenarios import steps, together
from ringfence.fleet.schema import Terms
from ringfence.fleet.screening import screen
from ringfence.fleet.stress import stress
from ringfence.fleet.watching import watch
from ringfence.tape import load_tape, walk

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = date(2026, 2, 15)
NOON = datetime(2026, 2, 15, 12, tzinfo=UTC)
BTC = Decimal(114_200)  # as the tape begins
SCENARIOS = together(steps(Decimal("0.5"), 11))
OPTION = {"kind": "option", "contract_size": "1", "settle_asset": "BTC", "price_step": "0.0005",
          "taker_fee_rate": "0.0003", "underlying": "BTC", "expiry": "2026-03-27"}  # fmt: skip


class Kind(NamedTuple):
    """Accounts of one kind: the fleet's terms, an account of a random stream, and whether a kernel knows them."""

    name: str
    terms: Terms
    account: Callable[[np.random.Generator], Account]
    compiled: bool = False


def _side(random: np.random.Generator) -> int:
    return int(random.choice((-1, 1)))


def _held(symbol: str, quantity: Decimal, random: np.random.Generator, leverage: int | None = None) -> Position:
    entry = BTC * (100 + int(random.integers(-3, 4))) / 100
    return Position(symbol, quantity, entry, MarginMode.CROSS, None, None if leverage is None else Decimal(leverage))


def _options(random: np.random.Generator) -> Account:
    """A perpetual, a call sold and a put bought, backed by bitcoin."""
    size = Decimal(int(random.integers(1, 20)))
    held = [_held("BTC-PERPETUAL", _side(random) * size * 11_420, random)]
    for symbol, side, entry in (("BTC-27MAR26-130000-C", -1, "0.03"), ("BTC-27MAR26-100000-P", 1, "0.04")):
        held.append(Position(symbol, side * size, Decimal(entry), MarginMode.CROSS))
    backing = {"BTC": Collateral(BTC, moves_with="BTC")}
    return Account(positions=tuple(held), wallet={"BTC": size * int(random.integers(15, 60)) / 100},
                   collateral_mode=CollateralMode.PORTFOLIO, collateral=backing,
                   risk=RiskInputs(NOON, {"BTC": BTC}))  # fmt: skip


def _okx(random: np.random.Generator, *, orders: bool) -> Account:
    """A perpetual, dollars and some bitcoin, and an order."""
    size = Decimal(int(random.integers(10, 100)))
    held = _held("BTC-USDT-SWAP", _side(random) * size, random)
    value = size * BTC / 100
    backing = {"USDT": Collateral(), "BTC": Collateral(BTC, moves_with="BTC")}
    return Account(
        positions=(held,), orders=(OpenOrder("BTC-USDT-SWAP", held.quantity, BTC),) if orders else (),
        wallet={"USDT": value * int(random.integers(5, 60)) / 100, "BTC": Decimal("0.01")},
        collateral_mode=CollateralMode.PORTFOLIO, collateral=backing, risk=RiskInputs(),
    )  # fmt: skip


def _inverse(random: np.random.Generator) -> Account:
    """Bybit's inverse contract in cross margin: the fee to close is held back at its bankruptcy price."""
    size = Decimal(int(random.integers(1_000, 60_000)))
    return Account(positions=(_held("BTCUSD", _side(random) * size, random, 10),),
                   wallet={"BTC": round(size / BTC * int(random.integers(3, 40)) / 100, 8)})  # fmt: skip


def _dydx(random: np.random.Generator) -> Account:
    """dYdX: maintenance is a share of an initial margin that is rounded up."""
    size = Decimal(int(random.integers(10, 3_000))) / 1_000
    return Account(positions=(_held("BTC-USD", _side(random) * size, random),),
                   wallet={"USDC": round(size * BTC * int(random.integers(3, 40)) / 100, 6)})  # fmt: skip


def kinds() -> tuple[Kind, ...]:
    """Return the kinds of accounts."""
    options = {f"BTC-27MAR26-{strike}-{kind[0].upper()}": {**OPTION, "strike": strike, "option_type": kind}
               for strike, kind in (("130000", "call"), ("100000", "put"))}  # fmt: skip
    marks = {"BTC-PERPETUAL": BTC, **dict(zip(options, (Decimal("0.025"), Decimal("0.033")), strict=True))}
    deribit = Terms("deribit", as_of=DAY, marks=marks, contracts=options, symbols=tuple(sorted(marks)), time=NOON,
                    index={"BTC": BTC}, volatility=dict.fromkeys(options, Decimal("0.55")))  # fmt: skip

    def terms(rulebook: str, symbol: str) -> Terms:
        return Terms(rulebook, as_of=DAY if rulebook == "okx-swap" else None, marks={symbol: BTC}, symbols=(symbol,),
                     index={"BTC": BTC} if rulebook == "okx-swap" else {})  # fmt: skip

    okx = terms("okx-swap", "BTC-USDT-SWAP")
    return (
        Kind("options: Deribit", deribit, _options),
        Kind("open orders: OKX", okx, lambda random: _okx(random, orders=True)),
        Kind("fee at bankruptcy: Bybit inverse", terms("bybit-inverse", "BTCUSD"), _inverse),
        Kind("rounded margin: dYdX", terms("dydx-v4", "BTC-USD"), _dydx),
        Kind("compiled: OKX without orders", okx, lambda random: _okx(random, orders=False), compiled=True),
    )


def fleet_of(kind: Kind, accounts: int) -> Fleet:
    """Return a fleet of one kind."""
    random = np.random.default_rng(1)
    batch, lost = batch_of((f"A{number}", kind.account(random)) for number in range(accounts))
    assert not lost
    return Fleet(kind.terms, kind.name, table=pa.Table.from_batches([batch]))


def measured(kind: Kind, accounts: int, minutes: int) -> dict[str, float]:
    """Return accounts a second of a screen, accounts × scenarios of a stress, and assessments a second of a watch."""
    fleet = fleet_of(kind, accounts * (50 if kind.compiled else 1))
    few = fleet_of(kind, 10)
    start = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
    tape = load_tape("2025-10-10").select(symbols=("BTCUSDT",), start=start, end=start + timedelta(minutes=minutes))
    path = walk(tape, 1, intermediate=0)
    for call in (lambda: screen(few), lambda: stress(few, SCENARIOS), lambda: watch(few, path)):
        call()  # kernels compiled, or read from their cache

    def timed(call: Callable[[], Any]) -> tuple[float, Any]:
        began = process_time()
        result = call()
        return process_time() - began, result

    screening, found = timed(lambda: screen(fleet))
    stressing, stressed = timed(lambda: stress(fleet, SCENARIOS, threads=1))
    watching, watched = timed(lambda: watch(fleet, path))
    assert found.pools[3] == 0, found.assumptions
    counts = found.exact, stressed.sums.exact
    assert max(counts) * 20 < len(fleet) if kind.compiled else min(counts) == len(fleet), counts
    return {
        "accounts": len(fleet),
        "screen": len(fleet) / screening,
        "stress": len(fleet) * len(stressed.scenarios) / stressing,
        "watch": len(fleet) * len(watched.frames) / watching,
        "assessed": watched.exact / (len(fleet) * len(watched.frames)),
    }


def main() -> int:
    """Measure, print a table and write the results."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--accounts", type=int, default=400)
    options.add_argument("--small", action="store_true", help="A few accounts, to see that it runs.")
    given = options.parse_args()
    accounts, minutes = (8, 2) if given.small else (given.accounts, 20)
    described = machine()
    print(machine_line(described) + "\n")
    results = {kind.name: measured(kind, accounts, minutes) for kind in kinds()}
    headers = ["accounts of one thread", "screen, accounts/s", "stress, accounts × scenarios/s",
               "watch, accounts × prices/s", "of them assessed"]  # fmt: skip
    rows = [
        [name, f"{of['screen']:,.0f}", f"{of['stress']:,.0f}", f"{of['watch']:,.0f}", f"{100 * of['assessed']:.1f} %"]
        for name, of in results.items()
    ]
    print(table(headers, rows))
    print(f"written: {write('fleet_exact', {'machine': described, 'results': results})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
