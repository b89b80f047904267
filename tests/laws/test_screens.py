"""A host's journal is the same, byte for byte, with every screen there is and with none: in simulated worlds."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.decide import handle
from ringfence.engine.setup import Setup
from ringfence.engine.state import State
from ringfence.engine.wire import encode
from ringfence.host import Host
from ringfence.journal import MemoryJournal, MemoryStorage
from ringfence.screen import BandScreen
from ringfence.screen.by_columns import ColumnScreen, by_rings, by_sweep
from ringfence.screen.compiled import available
from ringfence.sim.world import World
from tests.random_commands import SETUP, Commands
from tests.unit.engine.small_venue import ANY_PRICE, AT_THE_PRICE, NO_FEES, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ringfence.engine.commands import Command
    from ringfence.host import Screen

LENGTH = 250
SCREENS: dict[str, Callable[[], Screen]] = {
    "bands": BandScreen,
    "bands, every update a crash": lambda: BandScreen(many=0),
    "columns, swept": lambda: ColumnScreen(looker=by_sweep),
    "columns, in rings": lambda: ColumnScreen(looker=by_rings),
    "columns, every update a crash": lambda: ColumnScreen(many=0),
}
seen: Counter[str] = Counter()


class Writing:
    """A venue with a screen, which keeps what a host would write into its journal."""

    def __init__(self, setup: Setup, screen: Screen | None) -> None:
        self.state, self.screen = State(setup), screen
        self.batches: list[tuple[bytes, tuple[bytes, ...], bytes]] = []

    def take(self, command: Command) -> None:
        """Do with a command what a host does."""
        state, screen, suspects = self.state, self.screen, None
        if command.id in state.handled:
            return
        if screen is not None and isinstance(command, asked.UpdatePrices):
            suspects = screen.suspects(state, command)
        events = handle(state, command, suspects)
        if screen is not None and isinstance(command, asked.UpdatePrices):
            screen.looked_at(state, command, suspects)
        self.batches.append((encode(command), tuple(map(encode, events)), state.digest()))
        for event in events:
            seen[event.kind] += 1  # type: ignore[attr-defined]


def hold_together(setup: Setup, commands: list[Command], plain: Writing) -> None:
    """Hold what is written with every screen to what is written without."""
    for name, make in SCREENS.items():
        if name.startswith("columns") and not available():
            continue
        writing = Writing(setup, make())
        for place, command in enumerate(commands):
            writing.take(command)
            assert writing.batches[-1] == plain.batches[len(writing.batches) - 1], (name, place, command)
        assert len(writing.batches) == len(plain.batches)


@pytest.mark.parametrize("number", range(11))
def test_a_simulated_venue_writes_the_same_journal_with_every_screen(number: int) -> None:
    world = World(17, number, length=LENGTH)
    plain, commands = Writing(world.setup, None), list[asked.Command]()
    for _ in range(LENGTH):
        commands.append(world.next(plain.state))
        plain.take(commands[-1])
    hold_together(world.setup, commands, plain)


def journal_of(commands: Iterable[Command], screen: Screen | None) -> MemoryStorage:
    """The journal that a host writes of commands, each answered before the next is submitted: nothing is merged."""
    storage = MemoryStorage()
    with Host.open(MemoryJournal(storage), SETUP, screen=screen) as host:
        for command in commands:
            host.ask(command)
    return storage


@pytest.mark.parametrize("seed", [31, 32])
def test_a_host_writes_the_same_journal_with_every_screen(seed: int) -> None:
    commands = Commands(seed).first(300)
    plain = journal_of(commands, None)
    for name, make in SCREENS.items():
        if available() or not name.startswith("columns"):
            assert journal_of(commands, make()).rows == plain.rows, name


def test_those_laws_have_seen_what_a_screen_could_miss() -> None:
    if not seen:
        pytest.skip("the laws did not run")
    least = {
        "margin_called": 200,
        "liquidation_started": 100,
        "price_rejected": 100,
        "insurance_used": 10,
        "traded": 4_000,
    }
    assert [kind for kind, times in least.items() if seen[kind] < times] == [], seen


def test_columns_hold_those_who_do_nothing_and_name_who_falls() -> None:
    if not available():
        pytest.skip("without the extra fleet")
    state = State(Setup(given=rules(), market=AT_THE_PRICE, fees=NO_FEES, guard=ANY_PRICE))
    number = count(1)

    def do(kind: type[Command], *args: object) -> None:
        handle(state, kind(f"c{next(number)}", 1, *args))

    do(asked.UpdatePrices, (("X", Decimal(100)),))
    for name, cash in (("near", 20), ("far", 80), ("trades", 80)):  # each buys one contract worth 100
        do(asked.Deposit, name, "USDT", Decimal(cash))
        do(asked.SetLeverage, name, "X", Decimal(10))
        do(asked.PlaceOrder, name, "o", "X", "buy", Decimal(1), "market")
    screen = ColumnScreen()

    def suspects(price: int) -> tuple[str, ...] | None:
        return screen.suspects(state, asked.UpdatePrices("p", 2, (("X", Decimal(price)),)))

    assert suspects(100) == ()
    assert screen.packed == 3
    do(asked.Deposit, "trades", "USDT", Decimal(1))
    assert suspects(99) == ()
    assert screen.packed == 2  # who was changed has exact bands
    assert suspects(81) == ("near",)  # 20 − 19 against 1 % of 81
    assert screen.packed == 1
