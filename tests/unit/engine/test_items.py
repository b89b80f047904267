"""The digest's items: what is hashed, when, and that equal states are equal sums."""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b

from ringfence.engine.items import Items
from ringfence.engine.trader import Held
from ringfence.ledger import EXTERNAL, Ledger, move
from tests.unit.engine.small_venue import LINEAR


def hashed(*parts: str) -> int:
    """The number that an item of the digest is."""
    return int.from_bytes(blake2b("\x1f".join(parts).encode(), digest_size=32).digest(), "big")


def test_the_total_is_the_sum_of_the_items_as_they_are_when_it_is_asked_for() -> None:
    items = Items(Ledger())
    items.set(("a",), "1")
    items.set(("a",), "2")  # the first never counted
    items.set(("b",), "3")
    assert items.total() == (hashed("a", "2") + hashed("b", "3")) % 2**256
    items.set(("b",), None)
    assert items.total() == hashed("a", "2")
    items.set(("a",), None)
    assert items.total() == 0


def test_equal_numbers_are_one_item_however_they_are_written() -> None:
    items, others = Items(Ledger()), Items(Ledger())
    items.set(("mark", "X"), Decimal("1E+3"))
    others.set(("mark", "X"), Decimal("1000.00"))
    assert items.total() == others.total() == hashed("mark", "X", "1000")


def test_a_balance_counts_as_it_stands_in_the_ledger_and_not_at_all_at_nothing() -> None:
    ledger = Ledger()
    items = Items(ledger)
    there = move("USDT", Decimal("2.50"), out_of=EXTERNAL, into="wallet:ann")
    for postings in (there, there):
        ledger.apply(postings)
        items.moved["wallet:ann", "USDT"] = None
    assert items.total() == hashed("money", "wallet:ann", "USDT", "5")  # 2.5 + 2.5
    ledger.apply(move("USDT", Decimal(5), out_of="wallet:ann", into=EXTERNAL))
    items.moved["wallet:ann", "USDT"] = None
    assert items.total() == 0


def test_the_entry_price_of_a_leg_is_its_value_by_its_quantity_in_any_decimal_context() -> None:
    leg = Held(Decimal(-3), Decimal(-200), None, LINEAR)
    assert leg.entry_price == Decimal("66.666666666666666666666667")  # 200 ÷ 3, half-even to 24 places
    assert leg.text() == "-3 -200 66.666666666666666666666667"
