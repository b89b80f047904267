"""A state as bytes and back, what its digest covers, a restart that waits for fresh marks, set-ups as text."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.account_file import parse
from ringfence.contract import Contract, ContractKind
from ringfence.engine import commands as asked
from ringfence.engine import setup_text, snapshot
from ringfence.engine.decide import HandledBefore, handle
from ringfence.engine.evolve import evolve
from ringfence.engine.setup import Fees, Market, PriceGuard, Setup
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, decode_event, encode
from ringfence.errors import BadConfiguration, BadInput
from ringfence.rulebooks import load
from tests.random_commands import SETUP, SYMBOLS, Commands


def after(commands: list[asked.Command]) -> State:
    state = State(SETUP)
    for command in commands:
        handle(state, command)
    return state


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 250))
def test_a_loaded_state_has_the_same_digest_and_decides_what_comes_next_the_same(seed: int, cut: int) -> None:
    commands = Commands(seed).first(cut + 60)
    state = after(commands[:cut])
    loaded = snapshot.load(snapshot.dump(state), SETUP)
    assert loaded.digest() == state.digest()
    assert snapshot.dump(loaded) == snapshot.dump(state)
    for command in commands[cut:]:
        expected = [encode(event) for event in handle(state, command)]
        assert [encode(event) for event in handle(loaded, command)] == expected
        assert loaded.digest() == state.digest()


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_folding_the_events_leads_where_deciding_the_commands_led_and_on_from_there(seed: int) -> None:
    commands = Commands(seed).first(260)
    decided, folded = State(SETUP), State(SETUP)
    for command in commands[:200]:
        events = tuple(decode_event(encode(event)) for event in handle(decided, decode_command(encode(command))))
        for event in events:
            evolve(folded, event)
        folded.remember(command.id, events)
        assert folded.digest() == decided.digest()
    for command in commands[200:]:
        assert handle(folded, command) == handle(decided, command)


def test_the_random_commands_reach_what_a_snapshot_has_to_hold() -> None:
    seen: set[str] = set()
    for seed in range(4):
        state = State(SETUP)
        for command in Commands(seed).first(400):
            seen.update(event.kind for event in handle(state, command))  # type: ignore[attr-defined]
    assert {
        "traded", "order_rested", "order_amended", "order_closed", "margin_called", "liquidation_started",
        "price_rejected", "funding_paid", "rulebook_adopted", "setting_changed", "insurance_used", "refused",
    } <= seen  # fmt: skip


def test_an_id_handled_before_a_snapshot_is_not_handled_again_but_named_with_its_number() -> None:
    state = after(Commands(1).first(30))
    loaded = snapshot.load(snapshot.dump(state))
    with pytest.raises(HandledBefore) as raised:
        handle(loaded, Commands(1).first(30)[6])
    assert raised.value.number == 7
    assert loaded.digest() == state.digest()


def test_the_digest_tells_states_apart_that_differ_in_freshness_or_in_ids_alone() -> None:
    marks = (("BTCUSDT", Decimal(60_000)),)
    first, second, third = State(SETUP), State(SETUP), State(SETUP)
    handle(first, asked.UpdatePrices("a", 1, marks))
    handle(second, asked.UpdatePrices("a", 2, marks))
    handle(third, asked.UpdatePrices("b", 1, marks))
    assert len({first.digest(), second.digest(), third.digest()}) == 3


def test_the_digest_covers_what_takers_used_up_of_the_market() -> None:
    state = after(Commands(2).first(120))
    before = state.digest()
    fresh = snapshot.load(snapshot.dump(state))
    data = json.loads(snapshot.dump(state))
    assert fresh.digest() == before
    data["consumed"] = [["BTCUSDT", "7", "0"]]
    assert snapshot.load(json.dumps(data).encode()).digest() != before


def test_a_snapshot_of_another_schema_is_refused_by_name() -> None:
    data = json.loads(snapshot.dump(State(SETUP)))
    data["schema"] = "ringfence state 99"
    with pytest.raises(BadInput, match="ringfence state 99") as raised:
        snapshot.load(json.dumps(data).encode())
    assert raised.value.expected == snapshot.SCHEMA


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema":"ringfence state 1"}', b"\xff\xfe"])
def test_bytes_that_are_no_snapshot_are_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        snapshot.load(data)


def test_a_snapshot_of_another_set_up_is_refused() -> None:
    with pytest.raises(BadInput, match="another set-up"):
        snapshot.load(snapshot.dump(State(SETUP)), replace(SETUP, impact=False))


# ── After a restart ──────────────────────────────────────────────────────────────────────────────────────────────


def underwater() -> tuple[State, str]:
    """A long of 6,000 in an account of 1,000, which a large funding payment will bring to liquidation."""
    state = State(replace(SETUP, guard=PriceGuard(jump=None, from_index=None)))
    symbol = SYMBOLS[0]
    handle(state, asked.Deposit("d", 1, "ann", "USDT", Decimal(1_000)))
    handle(state, asked.SetLeverage("l", 2, "ann", symbol, Decimal(10)))
    handle(state, asked.UpdatePrices("p", 3, ((symbol, Decimal(60_000)),)))
    handle(state, asked.PlaceOrder("o", 4, "ann", "o", symbol, "buy", Decimal("0.1"), "market"))
    return state, symbol


def test_after_a_restart_nobody_is_liquidated_before_a_fresh_mark() -> None:
    state, symbol = underwater()
    handle(state, asked.Resume("r", 5))
    # 1,000 − 3 of fees − 0.165 · 6,000 = 7, less than the 0.4 % of 6,000 that keep the position.
    handle(state, asked.SettleFunding("f", 6, symbol, Decimal("0.165")))
    assert "liquidation_started" not in kinds(handle(state, asked.Review("v", 7)))
    assert "liquidation_started" in kinds(handle(state, asked.UpdatePrices("p2", 8, ((symbol, Decimal(60_000)),))))


def test_without_a_restart_the_same_account_is_liquidated_at_once() -> None:
    state, symbol = underwater()
    assert "liquidation_started" in kinds(handle(state, asked.SettleFunding("f", 6, symbol, Decimal("0.165"))))


def kinds(events: tuple[object, ...]) -> list[str]:
    return [event.kind for event in events]  # type: ignore[attr-defined]


# ── Set-ups as text ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_set_up_reads_back_equal_and_is_canonical() -> None:
    setup = Setup(
        "bybit-linear", "2025-10-10", Fees(taker=Decimal("0.00060")), Market(levels=None),
        PriceGuard(None, None, None, {"BTCUSDT": Decimal("0.2")}), "cancel_maker", Decimal("1.1"),
        start_fund={"USDT": Decimal("1E+6"), "BTC": Decimal(1)},
    )  # fmt: skip
    assert setup_text.read(setup_text.write(setup)) == setup
    assert setup_text.write(setup_text.read(setup_text.write(setup))) == setup_text.write(setup)


def test_a_given_rulebook_is_kept_with_its_own_tables_and_policies() -> None:
    file = parse(
        {
            "rulebook": "binance-usdm",
            "as_of": "2025-10-10",
            "account": {},
            "policy": {"closing_fee": "mark"},
            "contracts": {
                "NEWUSDT": {
                    "settle_asset": "USDT",
                    "price_step": "0.01",
                    "tiers": [
                        {"floor": "0", "cap": "1000", "maintenance_rate": "0.01", "max_leverage": "50"},
                        {"floor": "1000", "maintenance_rate": "0.02", "max_leverage": "20"},
                    ],
                }
            },
        },
        where="test",
    )
    given_rulebook = file.rulebook()
    setup = Setup(given=given_rulebook)
    taken = setup_text.read(setup_text.write(setup)).rulebook()
    assert taken.tables == given_rulebook.tables
    assert (taken.isolated, taken.cross, taken.basket) == (
        given_rulebook.isolated, given_rulebook.cross, given_rulebook.basket,
    )  # fmt: skip
    assert taken.cross.closing_fee == "mark"
    assert setup_text.write(replace(setup, given=taken)) == setup_text.write(setup)


def test_a_given_rulebook_that_text_cannot_hold_is_refused() -> None:
    changed = replace(load("binance-usdm"), stop_at_health=Decimal(7))
    with pytest.raises(BadConfiguration, match="stop_at_health"):
        setup_text.write(Setup(given=changed))
    renamed = replace(load("binance-usdm"), name="house")
    with pytest.raises(BadConfiguration, match="house"):
        setup_text.write(Setup(given=renamed))


@pytest.mark.parametrize("text", ["", "{}", '{"schema":"ringfence set-up 2"}', "[1]"])
def test_text_that_is_no_set_up_is_refused(text: str) -> None:
    with pytest.raises(BadConfiguration, match="not a set-up"):
        setup_text.read(text)


def test_a_contract_without_tiers_is_kept() -> None:
    contract = Contract("XUSDT", ContractKind.LINEAR, Decimal(1), "USDT")
    setup = Setup(given=load("binance-usdm").with_tables({"XUSDT": (contract, None)}))
    assert setup_text.read(setup_text.write(setup)).rulebook().entry("XUSDT") == (contract, None)
