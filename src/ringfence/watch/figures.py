"""Numbers as exchanges send them, without losing a digit: texts, JSON numbers and ccxt's floats."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeAlias

Json: TypeAlias = Any  #: what a JSON text parses to, or a structure of ccxt made from one

#: Sums and differences of an exchange's own figures: wide enough that none of them is ever rounded.
EXACT = Context(prec=100)


def exact(value: Json) -> Decimal | None:
    """Return the number ``value`` states, or None where it states none (absent, empty, not finite, no number).

    A float counts as the shortest decimal text that names it, which is the text the exchange sent for any figure of
    up to 15 significant digits. A text ending in ``%`` is a percentage and comes back as a fraction.
    """
    if value is None or isinstance(value, bool):
        return None
    text = (repr(value) if isinstance(value, float) else str(value)).strip()
    percent = text.endswith("%")
    try:
        number = Decimal(text.removesuffix("%"))
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    return number.scaleb(-2) if percent else number


def digits(value: Json) -> str | None:
    """Return ``value`` as plain decimal text with the exchange's own digits, trailing zeros included; None as above."""
    number = exact(value)
    return None if number is None else format(number, "f")


def shortest(number: Decimal | None) -> str:
    """Return ``number`` as plain decimal text without trailing zeros, for a table's cell; unknown is an empty cell."""
    if number is None:
        return ""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def first(source: Json, *names: str) -> Json:
    """Return the first of the fields ``names`` that ``source`` has with something in it, else None."""
    if not isinstance(source, Mapping):
        return None
    return next((source[name] for name in names if source.get(name) not in (None, "")), None)
