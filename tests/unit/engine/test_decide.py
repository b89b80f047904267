"""The engine as a whole: repeated commands, the same commands giving the same bytes, set-up and restart."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.decide import handle
from ringfence.engine.events import MoneyMoved, Refused, VenueSetUp
from ringfence.engine.evolve import evolve
from ringfence.engine.setup import Setup
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, encode
from tests.random_commands import SETUP, Commands
from tests.unit.engine.small_venue import SmallVenue, refusal

ROOT = Path(__file__).resolve().parents[3]


# ── Repetition ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_repeated_command_returns_its_first_outcome_and_changes_nothing() -> None:
    venue = SmallVenue()
    command = asked.Deposit("same", 1, "ann", "USDT", Decimal(100))
    first = venue.handle(command)
    digest = venue.state.digest()
    again = venue.handle(asked.Deposit("same", 2, "ann", "USDT", Decimal(999)))  # whatever it asks for now
    assert again is first
    assert [venue.wallet("ann"), venue.state.digest()] == [100, digest]


def test_a_refusal_is_an_outcome_too_and_stays_one() -> None:
    venue = SmallVenue()
    no = asked.Withdraw("same", 1, "ann", "USDT", Decimal(100))
    assert refusal(venue.handle(no)) == "insufficient_balance"
    venue.deposit("ann", "1000")
    assert refusal(venue.handle(no)) == "insufficient_balance"
    assert venue.wallet("ann") == 1000


def test_a_refusal_carries_the_command_its_time_its_number_and_a_sentence() -> None:
    venue = SmallVenue()
    (event,) = venue.handle(asked.Withdraw("w1", 77, "ann", "USDT", Decimal(100)))
    assert isinstance(event, Refused)
    assert (event.command, event.at, event.number) == ("w1", 77, 101)
    assert event.message == "100 USDT asked for, the wallet holds 0"


# ── Set-up ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_venue_is_set_up_once_and_its_fund_begins_with_what_the_set_up_says() -> None:
    from ringfence.engine.setup_text import write

    setup = Setup("binance-usdm", start_fund={"USDT": Decimal(500)})
    state = State(setup)
    events = handle(state, asked.SetUp("s", 0, write(setup)))
    assert [type(event) for event in events] == [VenueSetUp, MoneyMoved]
    assert state.ledger.balance("insurance", "USDT") == 500
    assert refusal(handle(state, asked.SetUp("t", 1, write(setup)))) == "unchanged"


# ── Determinism ───────────────────────────────────────────────────────────────────────────────────────────────────


def _run(seed: int, count: int) -> tuple[bytes, State]:
    """All bytes that ``count`` commands lead to, and the state."""
    state = State(SETUP)
    out = []
    for command in Commands(seed).first(count):
        out.append(encode(command))
        out += [encode(event) for event in handle(state, command)]
    return b"\n".join(out), state


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_commands_give_the_same_bytes_and_the_same_digest(seed: int) -> None:
    first, one = _run(seed, 400)
    second, other = _run(seed, 400)
    assert first == second
    assert one.digest() == other.digest()


def test_another_command_gives_another_digest() -> None:
    _, one = _run(1, 100)
    _, other = _run(1, 99)
    assert one.digest() != other.digest()


def test_a_state_is_the_fold_of_its_events() -> None:
    state, folded = State(SETUP), State(SETUP)
    for command in Commands(4).first(400):
        events = handle(state, command)
        for event in events:
            evolve(folded, event)
        folded.remember(command.id, events)
        assert folded.digest() == state.digest()


def test_commands_that_were_written_and_read_lead_to_the_same_state() -> None:
    state, again = State(SETUP), State(SETUP)
    for command in Commands(5).first(300):
        handle(state, command)
        handle(again, decode_command(encode(command)))
    assert state.digest() == again.digest()


def test_the_callers_decimal_context_does_not_matter() -> None:
    from decimal import ROUND_UP, localcontext

    commands = Commands(6).first(200)
    states = [State(SETUP), State(SETUP)]
    for command in commands:
        handle(states[0], command)
    with localcontext(prec=5, rounding=ROUND_UP):
        for command in commands:
            handle(states[1], command)
    assert states[0].digest() == states[1].digest()


_SCRIPT = """
from ringfence.engine.decide import handle
from ringfence.engine.state import State
from tests.random_commands import SETUP, Commands
state = State(SETUP)
for command in Commands(7).first(300):
    handle(state, command)
print(state.digest().hex())
"""


def test_the_hash_seed_of_python_does_not_matter() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        ).stdout
        for seed in ("0", "4242")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
