"""The screen: the same events and the same digest with it and without, whatever happens to a venue."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.commands import UpdatePrices
from ringfence.engine.decide import handle
from ringfence.engine.events import LiquidationStarted
from ringfence.engine.setup import PriceGuard, Setup
from ringfence.engine.state import State
from ringfence.host import Host
from ringfence.journal import MemoryJournal
from ringfence.screen import BandScreen
from ringfence.sim.world import World
from tests.random_commands import SETUP, Commands
from tests.unit.engine.small_venue import SmallVenue, rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event

seen: Counter[str] = Counter()
numbers = count()


def screened(state: State, screen: BandScreen, command: Command) -> tuple[Event, ...]:
    """What a host does with a command."""
    if not isinstance(command, UpdatePrices):
        return handle(state, command)
    suspects = screen.suspects(state, command)
    events = handle(state, command, suspects)
    screen.looked_at(state, command, suspects)
    return events


def compare(setup: Setup, commands: Iterable[Command], plain: State | None = None) -> None:
    """Run commands with and without the screen, and hold every outcome and every digest together."""
    plain = State(setup) if plain is None else plain
    fast, screen = State(setup), BandScreen()
    for command in commands:
        expected = handle(plain, command)
        assert screened(fast, screen, command) == expected, command
        assert fast.digest() == plain.digest(), command
        seen.update(event.kind for event in expected)  # type: ignore[attr-defined]
        seen["price updates"] += isinstance(command, UpdatePrices)
    seen["assessments"] += screen.assessments
    seen["named"] += screen.named


@pytest.mark.parametrize("number", range(16))
def test_events_and_digests_are_the_same_with_and_without_a_screen_in_simulated_worlds(number: int) -> None:
    length = 350
    world = World(7, number, length=length)
    plain = State(world.setup)
    compare(world.setup, (world.next(plain) for _ in range(length)), plain)


@pytest.mark.parametrize("seed", range(6))
def test_events_and_digests_are_the_same_with_and_without_a_screen_under_random_commands(seed: int) -> None:
    compare(SETUP, Commands(seed).first(500))


def test_those_laws_have_seen_calls_liquidations_deleveraging_and_prices_not_believed() -> None:
    if not seen:
        pytest.skip("the laws did not run")
    for kind in ("margin_called", "liquidation_started", "price_rejected", "insurance_used", "traded"):
        assert seen[kind] >= 20, seen


def venue(*traders: tuple[str, str, str]) -> State:
    """A venue at 60,000 with traders (name, quantity, deposit) that are long (or, below 0, short) of bitcoin at 10x."""
    guard = PriceGuard(stale_after=None)
    state = State(Setup(as_of="2025-10-10", guard=guard))

    def head() -> tuple[str, int]:
        return f"open {next(numbers)}", 1_000

    handle(state, prices("60000"))
    for name, quantity, deposit in traders:
        size = Decimal(quantity)
        handle(state, asked.Deposit(*head(), name, "USDT", Decimal(deposit)))
        handle(state, asked.SetLeverage(*head(), name, "BTCUSDT", Decimal(10)))
        side = "buy" if size > 0 else "sell"
        handle(state, asked.PlaceOrder(*head(), name, "o1", "BTCUSDT", side, abs(size), "market"))
        assert state.traders[name].held, name
    return state


def prices(*btc: str) -> UpdatePrices:
    return UpdatePrices(f"prices {next(numbers)}", 1_000, tuple(("BTCUSDT", Decimal(one)) for one in btc))


def walked(state: State, screen: BandScreen, marks: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Whom the screen names at each of these marks."""
    named = []
    for mark in marks:
        command = prices(mark)
        suspects = screen.suspects(state, command)
        handle(state, command, suspects)
        screen.looked_at(state, command, suspects)
        named.append(suspects)
    return named


def test_prices_that_concern_nobody_cost_no_assessment() -> None:
    state, screen = venue(("ann", "0.1", "2000"), ("bob", "-0.1", "2000")), BandScreen()
    walked(state, screen, ["60000"])
    placed = screen.assessments
    assert walked(state, screen, ["60001", "59990", "60010"] * 20) == [()] * 60
    assert screen.assessments == placed


def test_a_fall_names_the_long_and_a_rise_the_short() -> None:
    # Each has about 620 behind 0.1 BTC: gone after a move of about 6,200.
    state, screen = venue(("ann", "0.1", "620"), ("bob", "-0.1", "620")), BandScreen()
    assert walked(state, screen, ["60000", "59000", "53900"])[-1] == ("ann",)
    assert not state.traders["ann"].held
    assert walked(state, screen, ["60000", "66200"])[-1] == ("bob",)
    assert not state.traders["bob"].held


def test_a_trader_who_withdraws_is_placed_anew() -> None:
    state, screen = venue(("ann", "0.1", "2000")), BandScreen()
    assert walked(state, screen, ["60000", "55000"])[-1] == ()
    handle(state, asked.Withdraw("out", 5, "ann", "USDT", Decimal(800)))
    assert walked(state, screen, ["48000"])[-1] == ("ann",)


def test_a_symbol_named_twice_is_everybodys_affair() -> None:
    state, screen = venue(("ann", "0.1", "2000")), BandScreen()
    assert screen.suspects(state, prices("60000", "59000")) is None


def test_after_everybody_was_looked_at_everybody_has_bands_around_the_new_prices() -> None:
    state, screen = venue(("ann", "0.1", "2000")), BandScreen()
    walked(state, screen, ["60000"])
    command = prices("59000", "45000")  # the latter holds: beyond the band that ann had at 60,000
    suspects = screen.suspects(state, command)
    assert suspects is None
    handle(state, command, suspects)
    screen.looked_at(state, command, suspects)
    assert state.marks["BTCUSDT"] == 45_000
    assert walked(state, screen, ["45001", "40200"]) == [(), ("ann",)]


def test_a_price_that_is_not_believed_leaves_nobody_with_bands_around_it() -> None:
    state, screen = venue(("ann", "0.1", "2000")), BandScreen()
    walked(state, screen, ["60000"])
    command = prices("120000")  # twice the price before: more than the guard's half
    suspects = screen.suspects(state, command)
    kinds = [event.kind for event in handle(state, command, suspects)]  # type: ignore[attr-defined]
    assert kinds == ["price_rejected", "price_doubted"]
    screen.looked_at(state, command, suspects)
    assert walked(state, screen, ["40200"])[-1] == ("ann",)


def test_a_host_with_a_screen_writes_the_same_journal() -> None:
    journals = []
    for screen in (None, BandScreen()):
        journal = MemoryJournal()
        with Host.open(journal, SETUP, group=1, screen=screen) as host:
            for command in Commands(11).first(400):
                host.ask(command)
            journals.append(list(journal.read()))
    assert journals[0] == journals[1]


def test_a_last_price_alone_names_whoever_is_below_the_line_at_the_marks_already() -> None:
    small = SmallVenue(rules(trigger_prices="mark_and_last"), fund="100000")
    small.marks(X="100")
    small.trader("ann")
    small.buy("ann", "99")  # with her 1,000 below the line at 90; at 95, not yet
    small.last(X="95")
    screen, state = BandScreen(), small.state
    assert not liquidated(screened(state, screen, UpdatePrices("a", small.at, (("X", Decimal(90)),))))
    assert liquidated(screened(state, screen, UpdatePrices("b", small.at, (), (("X", Decimal("90.8")),))))


def liquidated(events: tuple[Event, ...]) -> bool:
    return any(isinstance(event, LiquidationStarted) for event in events)
