"""Messages as bytes: every kind comes back as it was, the same on any machine, and nothing else is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.engine.commands import COMMANDS, Deposit, PlaceOrder, UpdatePrices
from ringfence.engine.events import EVENTS, MoneyMoved
from ringfence.engine.wire import decode_command, decode_event, encode
from ringfence.errors import BadInput
from ringfence.ledger import Posting

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=12) | st.sampled_from(
    [Decimal("1.50"), Decimal("1E-9"), Decimal("-0"), Decimal("12345678901234567890.123456789012345678901234")]
)
words = st.text(max_size=12)


def _field(annotation: str) -> st.SearchStrategy[Any]:
    """What a field of this annotation may hold."""
    optional = annotation.endswith("| None")
    kind = annotation.removesuffix("| None").strip()
    if kind.startswith("tuple[Posting"):
        return st.lists(st.builds(Posting, words, words, numbers), max_size=4).map(tuple)
    if kind.startswith("tuple[tuple"):
        return st.lists(st.tuples(words, numbers), max_size=4).map(tuple)
    found: st.SearchStrategy[Any] = {
        "str": words,
        "int": st.integers(0, 2**60),
        "bool": st.booleans(),
    }.get(kind, numbers)
    return st.none() | found if optional else found


def _messages(kinds: tuple[type[Any], ...]) -> st.SearchStrategy[Any]:
    return st.one_of(*(st.builds(kind, **{f.name: _field(str(f.type)) for f in fields(kind)}) for kind in kinds))


@given(_messages(COMMANDS))
def test_every_command_comes_back_as_it_was(command: Any) -> None:
    data = encode(command)
    again = decode_command(data)
    assert (type(again), again) == (type(command), command)
    assert encode(again) == data


@given(_messages(EVENTS))
def test_every_event_comes_back_as_it_was(event: Any) -> None:
    data = encode(event)
    again = decode_event(data)
    assert (type(again), again) == (type(event), event)
    assert encode(again) == data


@pytest.mark.parametrize("kinds", [COMMANDS, EVENTS], ids=["commands", "events"])
def test_kinds_have_names_of_their_own(kinds: tuple[type[Any], ...]) -> None:
    assert len({kind.kind for kind in kinds}) == len(kinds)


def test_the_bytes_are_a_compact_array_of_kind_and_fields_in_order() -> None:
    deposit = Deposit("c1", 5, "ann", "USDT", Decimal("1.50"))
    assert encode(deposit) == b'["deposit","c1",5,"ann","USDT","1.50"]'
    prices = UpdatePrices("c2", 6, (("BTCUSDT", Decimal("1E+2")),))
    assert encode(prices) == b'["update_prices","c2",6,[["BTCUSDT","1E+2"]],[],[]]'
    moved = MoneyMoved("c1", 5, "ann", "deposit", (Posting("external", "USDT", Decimal("-1.5")),))
    assert encode(moved) == b'["money_moved","c1",5,"ann","deposit",[["external","USDT","-1.5"]]]'


def test_names_of_people_are_written_as_they_are() -> None:
    assert "Zoë" in encode(Deposit("c1", 5, "Zoë", "USDT", Decimal(1))).decode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'["deposit"]',
        b'["deposit","c1",5,"ann","USDT"]',  # a field short
        b'["deposit","c1",5,"ann","USDT","1","2"]',  # a field too many
        b'["deposit","c1",5,"ann","USDT","much"]',
        b'["conjure","c1",5,"ann","USDT","1"]',
        b"\xff\xfe",
    ],
)
def test_anything_else_is_refused_with_what_was_found(data: bytes) -> None:
    with pytest.raises(BadInput):
        decode_command(data)
    with pytest.raises(BadInput):
        decode_event(data)


def test_an_event_is_no_command() -> None:
    with pytest.raises(BadInput):
        decode_command(encode(MoneyMoved("c", 1, "ann", "deposit", ())))


@pytest.mark.parametrize("data", [b'["deposit","c1",5,"ann","USDT",0.1]', b'["update_prices","c2",6,[["X",1]],[],[]]'])
def test_a_number_that_is_no_string_has_been_a_float_and_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        decode_command(data)


def test_what_has_no_place_in_a_message_is_not_written() -> None:
    with pytest.raises(TypeError, match="set"):
        encode(Deposit("c1", 5, "ann", "USDT", {Decimal(1)}))  # type: ignore[arg-type]


def test_every_field_of_every_message_is_written() -> None:
    order = PlaceOrder("c", 1, "ann", "o", "X", "buy", Decimal(1))
    assert len(json.loads(encode(order))) == 1 + len(fields(PlaceOrder))


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    script = (
        "from decimal import Decimal\n"
        "from ringfence.engine.commands import PlaceOrder\n"
        "from ringfence.engine.wire import encode\n"
        "print(encode(PlaceOrder('c', 1, 'ann', 'o', 'X', 'buy', Decimal('1.0'))).decode())\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("0", "1")
    }
    assert len(seen) == 1
