"""How a study's figures are written for people: amounts, prices, shares, moments, spans, lists and counts."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import TYPE_CHECKING

from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ringfence.numbers import Price, Value

_DOLLARS = ("USD", "DAI", "EUR", "TRY", "FDUSD", "BUSD")
_COIN_PLACES = 6
_DAY = timedelta(hours=24)
_MINUS = "−"
_SHOWN = Context(prec=80, rounding=ROUND_HALF_EVEN, traps=[])  # figures for people are rounded, and may be


def amount(value: Value, asset: str | None = None, *, signed: bool = False) -> str:
    """Return an amount with thousands separators: 2 places of a dollar-like asset, 6 of a coin, rounded half-even."""
    places = 2 if asset is None or any(name in asset for name in _DOLLARS) else _COIN_PLACES
    text = fixed(value, places, signed=signed)
    return text if asset is None else f"{text} {asset}"


def fixed(value: Decimal, places: int, *, signed: bool = False) -> str:
    """Return ``value`` with ``places`` decimal places, thousands separators and a real minus sign."""
    with localcontext(_SHOWN):
        text = f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"
    digits = text.lstrip("+-")
    if not digits.strip("0,."):
        return digits  # neither +0.00 nor −0.00
    return text.replace("-", _MINUS)


def price(value: Price | None) -> str:
    """Return a price with 6 significant digits at most, or more where it is written with more; a dash for none."""
    if value is None:
        return "–"
    with localcontext(_SHOWN):
        places = max(0, 5 - value.adjusted())
        return f"{Decimal(plain(round(value, places))):,f}"


def ratio(value: Decimal | None) -> str:
    """Return a health with 2 places, rounded down so that 1.00 is never shown for less; a dash for none."""
    if value is None:
        return "–"
    with localcontext(_SHOWN):
        return f"{value.quantize(Decimal('0.01'), rounding='ROUND_FLOOR'):,f}".replace("-", _MINUS)


def percent(value: Decimal, places: int = 1) -> str:
    """Return a fraction as a percentage."""
    with localcontext(_SHOWN):
        return fixed(value * 100, places) + " %"


def clock(moment: datetime, *, of: timedelta | None = None) -> str:
    """Return the time of day in UTC, to the second; with the day where it is one ``of`` more than 24 hours."""
    return f"{moment:%H:%M:%S}" if of is None or of <= _DAY else f"{moment:%m-%d %H:%M:%S}"


def length(span: timedelta) -> str:
    """Return a span in the unit that fits: seconds, minutes and seconds, hours and minutes."""
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def duration(minutes: float | None) -> str:
    """Return a span of minutes in the unit that fits; a dash for none."""
    if minutes is None:
        return "–"
    hour, day = 60, 24 * 60
    if minutes < 2 * hour:
        return f"{minutes:.0f} min" if not minutes or minutes >= 1 else "under a minute"
    return f"{minutes / hour:.1f} h" if minutes < 2 * day else f"{minutes / day:,.0f} days"


def listed(items: Sequence[str]) -> str:
    """Return items joined as in a sentence: a, b and c."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def counted(number: int, noun: str) -> str:
    """Return a number, as a word up to twelve, with its noun in the singular or plural."""
    word = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{word} {noun}" + ("" if number == 1 else "s")


__all__ = ["amount", "clock", "counted", "duration", "fixed", "length", "listed", "percent", "price",
           "ratio"]  # fmt: skip
