"""A liquidation's short ways lead to what the long ones do, byte for byte: in simulated worlds, and in a crash."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import closing, deleveraging, snapshot
from ringfence.engine import commands as asked
from ringfence.engine.bankrupt import Bankruptcies, Fall
from ringfence.engine.decide import handle
from ringfence.engine.setup import Market, PriceGuard, Setup
from ringfence.engine.state import State
from ringfence.engine.wire import encode
from ringfence.sim.world import World
from ringfence.study.crowd.population import Habits, draw_crowd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ringfence.engine.commands import Command
    from ringfence.engine.trader import Trader

LENGTH = 250
PRICES = {"BTCUSDT": Decimal(121_000), "ETHUSDT": Decimal(4_300), "SOLUSDT": Decimal(220)}
SETUP = Setup(
    as_of="2025-10-10",
    guard=PriceGuard(stale_after=None),
    market=Market(depth_value=Decimal(100_000)),
    start_fund={"USDT": Decimal(200_000)},
)
taken: Counter[str] = Counter()


def written(setup: Setup, commands: Iterable[Command]) -> tuple[list[tuple[tuple[bytes, ...], bytes]], bytes]:
    """Return what a venue writes: the events of every command, the digest of its state after them; its snapshot."""
    state = State(setup)
    entries = [
        (tuple(map(encode, handle(state, command))), state.digest())
        for command in commands
        if command.id not in state.handled
    ]
    return entries, snapshot.dump(state)


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Count how often a short way was open."""
    original: Callable[..., Any] = getattr(owner, name)

    def asked_for(*args: Any) -> Any:
        found = original(*args)
        taken[name] += found not in {None, False}
        return found

    monkeypatch.setattr(owner, name, asked_for)


def counting_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what pools fall in one go, by how many positions they have, and which are found safe."""
    original = Bankruptcies.look

    def asked_for(self: Bankruptcies, trader: Trader, pool: str, symbols: list[str]) -> Fall | bool:
        found = original(self, trader, pool, symbols)
        if isinstance(found, Fall):
            taken[f"{pool.partition(' ')[0]} of {'one' if len(symbols) == 1 else 'several'} fell"] += 1
        taken["safe"] += found is True
        return found

    monkeypatch.setattr(Bankruptcies, "look", asked_for)


def hold_together(monkeypatch: pytest.MonkeyPatch, setup: Setup, commands: list[Command]) -> None:
    """Hold what is written by the short ways to what is written where none of them is open."""
    with monkeypatch.context() as watched:
        counted(watched, closing, "out_of_reach")
        counted(watched, deleveraging, "at_once")
        counted(watched, closing.Case, "closed")
        counting_falls(watched)
        short = written(setup, commands)
    with monkeypatch.context() as closed:
        closed.setattr(closing, "out_of_reach", lambda *_: False)
        closed.setattr(deleveraging, "at_once", lambda *_: None)
        closed.setattr(closing.Case, "closed", lambda _: False)
        closed.setattr(Bankruptcies, "look", lambda *_: False)
        long = written(setup, commands)
    assert short == long


@pytest.mark.parametrize("number", range(40, 52))
def test_a_simulated_venue_writes_the_same_either_way(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    world = World(17, number, length=LENGTH)
    state, commands = State(world.setup), list[asked.Command]()
    for _ in range(LENGTH):
        commands.append(world.next(state))
        if commands[-1].id not in state.handled:
            handle(state, commands[-1])
    hold_together(monkeypatch, world.setup, commands)


def crash(fall: Decimal, numbers: Iterator[int], *, deep: bool = False) -> Iterator[Command]:
    """Yield what opens the positions of a crowd, resting orders among them, and then lets all prices fall.

    ``deep``: a larger crowd without resting orders, and no warning.
    """

    def head() -> tuple[str, int]:
        number = next(numbers)
        return f"c{number}", number * 1_000

    yield asked.UpdatePrices(*head(), tuple(PRICES.items()))
    habits = Habits(leverage=(Decimal(5), Decimal(25)), long_per_mille=700, staked=(Decimal("0.5"), Decimal("0.95")))
    crowd = draw_crowd(150 if deep else 60, 7, rulebook=SETUP.rulebook(), prices=PRICES, asset="USDT", habits=habits)
    for index, member in enumerate(crowd):
        yield asked.Deposit(*head(), member.name, "USDT", member.capital)
        for place, stake in enumerate(member.stakes):
            yield asked.SetLeverage(*head(), member.name, stake.symbol, stake.leverage.to_integral_value())
            if index % 3 == 0 or (index % 3 == 2 and place % 2 == 0):
                yield asked.SetMarginMode(*head(), member.name, stake.symbol, "isolated")
            side, size = ("buy" if stake.quantity > 0 else "sell"), abs(stake.quantity)
            yield asked.PlaceOrder(*head(), member.name, f"open {stake.symbol}", stake.symbol, side, size, "market")
            if not deep and index % 5 == 0:
                other, away = ("sell", Decimal("1.05")) if side == "buy" else ("buy", Decimal("0.95"))
                price = (PRICES[stake.symbol] * away).quantize(Decimal(1))
                yield asked.PlaceOrder(
                    *head(), member.name, f"out {stake.symbol}", stake.symbol, other, size, "limit", price,
                    reduce_only=True,
                )  # fmt: skip
        if index % 10 == 0:
            yield asked.UpdatePrices(*head(), tuple(PRICES.items()))
    for part in (fall, -fall) if deep else (fall / 3, fall, -fall):
        yield asked.UpdatePrices(*head(), tuple((symbol, price * (1 - part)) for symbol, price in PRICES.items()))


@pytest.mark.parametrize("fall", ["0.06", "0.15"])
def test_a_crash_is_written_the_same_either_way(monkeypatch: pytest.MonkeyPatch, fall: str) -> None:
    hold_together(monkeypatch, SETUP, list(crash(Decimal(fall), count(1))))


@pytest.mark.parametrize(("rules", "fund"), [("binance-usdm", 10**9), ("binance-usdm", 3_000), ("bybit-linear", 10**9)])
@pytest.mark.parametrize("fall", ["0.15", "-0.2"])
def test_pools_that_nobody_takes_fall_the_same_either_way(
    monkeypatch: pytest.MonkeyPatch, rules: str, fund: int, fall: str
) -> None:
    deep = replace(
        SETUP, rulebook_name=rules, market=Market(depth_value=Decimal(20_000_000)), start_fund={"USDT": Decimal(fund)}
    )
    begins = asked.SetUp("@set-up", 0, "deep")  # which fills the fund
    hold_together(monkeypatch, deep, [begins, *crash(Decimal(fall), count(1), deep=True)])


def test_those_laws_have_seen_the_short_ways() -> None:
    if not taken:
        pytest.skip("the laws did not run")
    falls = ("isolated of one fell", "cross of one fell", "cross of several fell")
    assert min(taken[way] for way in ("out_of_reach", "at_once", "closed", "safe", *falls)) > 20, taken
