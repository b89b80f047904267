"""Numbers out of a topic case's inputs, as answer files write them: ``"5000 USDT"``, ``"BTC 50000, ETH 3000"``.

A topic that misses an input does not apply to the case: :class:`NotThisForm` says which, and the case is reported as
not computed rather than guessed.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Inputs: TypeAlias = "Mapping[str, Any]"
Figures: TypeAlias = "dict[str, Decimal | bool | str]"


class NotThisForm(Exception):
    """The inputs are not of a form that the topic knows; its text names what is missing."""


def number(value: object) -> Decimal:
    """Return the number a value starts with; NotThisForm where it starts with none."""
    try:
        return Decimal(str(value).split()[0].replace(",", ""))
    except (InvalidOperation, IndexError):
        raise NotThisForm(f"{value!r} is no number") from None


def take(inputs: Inputs, *names: str) -> Decimal:
    """Return the first of ``names`` that is given, as a number; NotThisForm where none is."""
    for name in names:
        if inputs.get(name) is not None:
            return number(inputs[name])
    raise NotThisForm(f"no {' or '.join(names)}")


def take_or(default: Decimal, inputs: Inputs, *names: str) -> Decimal:
    """Return the first of ``names`` that is given, as a number, else ``default``."""
    return take(inputs, *names) if any(inputs.get(name) is not None for name in names) else default


def pairs(value: object) -> dict[str, Decimal]:
    """Return ``"BTC 50000, ETH 3000"`` (or a mapping) as numbers by name."""
    if isinstance(value, dict):
        return {str(name): number(amount) for name, amount in value.items()}
    parts = [part.split() for part in str(value).split(",")]
    if any(len(part) != 2 for part in parts):
        raise NotThisForm(f"{value!r} is no list of names and numbers")
    return {name: number(amount) for name, amount in parts}


__all__ = ["Figures", "Inputs", "NotThisForm", "number", "pairs", "take", "take_or"]
