"""Accounts that act when called: without acting they fare as in a replay, with it no money appears or goes missing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import exact
from ringfence.study.advice.follow import TARGET, Followed, Follower, Rules, follow
from ringfence.study.advice.holding import Place, book_of, hold, initial_margins
from ringfence.study.examples import load_example
from ringfence.study.replay.replay import replay
from ringfence.tape import load_tape

if TYPE_CHECKING:
    from ringfence.account import Account

FILE = load_example("crash-book")
RULEBOOK = FILE.rulebook()
TAPE = load_tape("2025-10-10")
MINUTE = 60_000_000


@exact
def held(how: str) -> dict[str, Account]:
    book = book_of(FILE.account, FILE.marks, RULEBOOK)
    margins = initial_margins(book)
    places = [Place("isolated", margin) if how == "isolated" else Place("cross") for margin in margins]
    return dict(hold(book, how, "", places).accounts)


def played(how: str, *, acts: bool, cash: str = "0", level: str | None = None) -> Followed:
    accounts = held(how)
    levels = {} if level is None else {("main account", "cross USDT"): Decimal(level)}
    rules = Rules(RULEBOOK, "USDT", MINUTE, Decimal("0.0005"), acts=acts)
    follower = Follower("one", accounts, Decimal(cash), levels)
    return follow([follower], TAPE, rules, seed=1, marks=FILE.marks, samples=20)[0]


def test_who_does_not_act_fares_as_in_a_replay() -> None:
    expected = replay(FILE, TAPE, seed=1, ticks_per_bar=4)
    for how in ("isolated", "cross"):
        found, outcome = played(how, acts=False), expected.outcomes[how]
        assert found.liquidated == [int(e.ts.timestamp() * 1_000_000) for e in outcome.liquidations]
        assert abs(found.equity - outcome.end["USDT"]) < Decimal("0.05")  # margins here are in whole cents
        assert found.capital == Decimal(10000)
        assert found.exposure < found.opened


def test_an_early_call_and_cash_at_hand_keep_a_book_alive_that_dies_without() -> None:
    silent = played("cross", acts=True)
    sold = played("cross", acts=True, level="20")
    paid = played("cross", acts=True, cash="20000", level="20")
    assert silent.liquidated
    assert not sold.liquidated
    assert not paid.liquidated
    assert set(sold.acted) == {"reduce_all"}
    assert sold.paid_in == 0
    assert set(paid.acted) == {"deposit"}
    assert 0 < paid.paid_in <= Decimal(20000)
    assert paid.exposure > sold.exposure


def test_what_acting_changes_is_fees_and_nothing_else_when_prices_stand_still() -> None:
    flat = TAPE.select(end=TAPE.start.replace(minute=10))
    rules = Rules(RULEBOOK, "USDT", MINUTE, Decimal("0.0005"))
    accounts = held("cross")
    calm = Follower("calm", accounts, Decimal(0), {("main account", "cross USDT"): Decimal(1)})
    called = Follower("called", accounts, Decimal(0), {("main account", "cross USDT"): Decimal(80)})
    one, other = follow([calm, called], flat, rules, seed=1, marks=FILE.marks, samples=5)
    assert one.calls == 0
    assert one.acted == {}
    assert other.calls == 1
    assert sum(other.acted.values()) == 1
    assert other.fees > 0
    assert other.exposure < one.exposure
    # it was called at the first prices and sold a minute later: only the fee and ten minutes of prices differ
    assert abs(one.equity - other.equity - other.fees) < Decimal(100)


def test_a_rescue_aims_above_the_level_and_is_not_called_again_at_once() -> None:
    assert Decimal("1.5") == TARGET
    found = played("cross", acts=True, level="30")
    assert found.calls < 30
