"""Names of accounts: what every command refuses, with a number, before anything happens."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from ringfence.account import account_name_fault
from ringfence.engine import commands as asked
from ringfence.engine.events import Refused
from tests.unit.engine.small_venue import SmallVenue

BAD = ["", " ", "\t", "ann ", " ann", "a|b", "a:b", "a@b", "@market", "@insurance", "a\nb", "a\x00"]
GOOD = ["ann", "account 00001", "sub-account_7", "Ännchen", "日本", "a.b", "7"]
ANYTHING: dict[str, Any] = {
    "asset": "USDT", "amount": Decimal(1), "order": "o", "symbol": "X", "side": "buy", "quantity": Decimal(1),
    "leverage": Decimal(2), "mode": "cross", "entry_price": Decimal(100), "state": "off", "account": "ann",
    "to_account": "bob", "rails": None, "voucher": "v", "voucher_kind": "cash", "level": "0", "discount": "d",
}  # fmt: skip
WITH_ACCOUNT = [kind for kind in asked.COMMANDS if "account" in {field.name for field in fields(kind)}]


def command(kind: type[asked.Command], number: int, **given: Any) -> asked.Command:
    """A command of that kind with anything in it, for one account."""
    names = {field.name for field in fields(kind)} - {"id", "at"}
    return kind(f"x{number}", number, **{name: given.get(name, ANYTHING[name]) for name in names if name in ANYTHING})


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_cannot_be_told_from_others_has_a_fault(name: str) -> None:
    assert account_name_fault(name) is not None


@pytest.mark.parametrize("name", GOOD)
def test_other_names_are_free(name: str) -> None:
    assert account_name_fault(name) is None


@pytest.mark.parametrize("kind", WITH_ACCOUNT, ids=lambda kind: kind.kind)
def test_every_command_with_an_account_refuses_a_bad_name_with_its_number_and_changes_nothing(
    kind: type[asked.Command],
) -> None:
    venue = SmallVenue()
    venue.marks(X="100")
    for number, name in enumerate(BAD):
        (event,) = venue.handle(command(kind, number, account=name))
        assert isinstance(event, Refused)
        assert (event.number, event.reason) == (515, "bad_name")
        assert name not in venue.state.traders


def test_commands_with_an_account_are_all_that_have_traders() -> None:
    assert len(WITH_ACCOUNT) >= 16


def test_a_transfer_refuses_a_bad_name_on_either_side() -> None:
    venue = SmallVenue()
    venue.deposit("ann", "10")
    for number, name in enumerate(BAD):
        (event,) = venue.handle(command(asked.Transfer, number, to_account=name))
        assert (event.number, event.reason) == (515, "bad_name")  # type: ignore[attr-defined]
    assert venue.wallet("ann") == 10


def test_the_refusal_says_what_is_wrong() -> None:
    (event,) = SmallVenue().deposit("a|b:c", "10")
    assert event.message == "'a|b:c': a name holds none of | : @; this one has | :"  # type: ignore[attr-defined]
