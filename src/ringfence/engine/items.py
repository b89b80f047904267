"""The items that a state's digest is a sum over: noted as they change, hashed when somebody asks.

A digest is asked for after every command, and a command may change one item many times (a crash moves the position of
the insurance fund with every pool it takes over). Only what an item is *then* counts, so its text is made then.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ringfence.numbers import exact

if TYPE_CHECKING:
    from ringfence.ledger import Ledger
    from ringfence.numbers import Value

_MODULUS = 1 << 256


class Told(Protocol):
    """Something that can say its item's text: an order, a position."""

    def text(self) -> str:
        """Return what the digest covers of it, the same for equal values."""
        ...


Item: TypeAlias = "str | Decimal | Told | None"
"""An item's value: its text, a number, or what tells it when asked. None: there is no such item."""


class Items:
    """Items by key, and the sum of their hashes modulo 2²⁵⁶."""

    __slots__ = ("_changed", "_hashes", "_ledger", "_sum", "moved")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._hashes: dict[tuple[str, ...], int] = {}
        self._changed: dict[tuple[str, ...], Item] = {}
        self.moved: dict[tuple[str, str], None] = {}  # accounts and assets whose balance changed, noted by the state
        self._sum = 0

    def set(self, key: tuple[str, ...], value: Item) -> None:
        """Note that an item is ``value`` now."""
        self._changed[key] = value

    @exact
    def total(self) -> int:
        """Return the sum over all items as they are now."""
        for account, asset in self.moved:
            self._changed["money", account, asset] = self._ledger.balance(account, asset) or None
        self.moved.clear()
        total, hashes = self._sum, self._hashes
        for key, value in self._changed.items():
            total -= hashes.pop(key, 0)
            if value is None:
                continue
            digest = blake2b("\x1f".join((*key, _text(value))).encode(), digest_size=32).digest()
            hashed = hashes[key] = int.from_bytes(digest, "big")
            total += hashed
        self._changed.clear()
        self._sum = total % _MODULUS
        return self._sum


def _text(value: str | Decimal | Told) -> str:
    if isinstance(value, str):
        return value
    return number_text(value) if isinstance(value, Decimal) else value.text()


def number_text(value: Value) -> str:
    """Return a number so that equal values are the same text."""
    return format(value.normalize(), "f")


__all__ = ["Item", "Items", "Told", "number_text"]
