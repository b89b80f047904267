"""Exact numbers: the names of the quantities, the context they are computed in, and the two ways to round.

Every amount in ringfence is a :class:`decimal.Decimal`. Sums and products are computed in :data:`EXACT`, a context
that *traps* ``Inexact`` and ``FloatOperation``: a result that would have to be rounded, or a float that slipped in,
stops the computation. Rounding therefore happens only where the code names it, in :func:`divide` and
:func:`round_to`, each of which rounds once, in the direction that the caller states.

An inverse contract's value (contract size ÷ price) and a margin at a leverage (value ÷ leverage) are divisions. They
are carried to :data:`UNIT_VALUE_PLACES` and :data:`VALUE_PLACES` decimal places, far beyond the smallest step of any
asset (1e-18), so that what is rounded away never reaches a digit that a venue shows.
"""

from __future__ import annotations

from decimal import (
    ROUND_05UP,
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_UP,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Price: TypeAlias = Decimal  #: quote units per base unit, as the venue prints it
Quantity: TypeAlias = Decimal  #: contracts; inside the package signed: + long, − short
UnitValue: TypeAlias = Decimal  #: settlement-asset value of one contract at a price
Value: TypeAlias = Decimal  #: an amount of the settlement asset
Rate: TypeAlias = Decimal  #: a plain fraction: 0.004 is 0.4 %

ZERO = Decimal(0)
ONE = Decimal(1)

UNIT_VALUE_PLACES = 40  #: decimal places of an inverse contract's value
VALUE_PLACES = 24  #: decimal places of a margin that comes from a division
PRICE_PLACES = 24  #: decimal places of a price that no step rounds
RATIO_PLACES = 18  #: decimal places of a ratio; ratios are shown, never decided on

EXACT = Context(
    prec=600,
    rounding=ROUND_HALF_EVEN,
    traps=[Inexact, FloatOperation, InvalidOperation, DivisionByZero, Overflow],
)
"""The context of the exact lane: 600 digits are never reached by products of real prices, quantities and rates."""

# Wide enough for any quotient; ROUND_05UP leaves a last digit from which one later rounding, in any direction,
# comes out as if the exact quotient had been rounded. So divide() rounds once although it works in two steps.
_QUOTIENT = Context(prec=160, rounding=ROUND_05UP, traps=[InvalidOperation, DivisionByZero, FloatOperation])

# A division costs by the digits of its quotient, and few need so many. ``a − b`` digits stand before the point of a
# quotient of numbers of ``a`` and ``b`` digits there, or one more; with the places wanted and one digit beyond them
# what is kept here has all that the later rounding looks at.
_ENOUGH = 57
_SHORT = _QUOTIENT.copy()
_SHORT.prec = _ENOUGH

_QUANTA = {places: ONE.scaleb(-places) for places in range(UNIT_VALUE_PLACES + 1)}

P = ParamSpec("P")
R = TypeVar("R")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` in :data:`EXACT`, whatever the caller's decimal context is, and restore that afterwards."""

    @wraps(function)
    def in_exact_context(*args: P.args, **kwargs: P.kwargs) -> R:
        before = getcontext()
        if before is EXACT:
            return function(*args, **kwargs)
        setcontext(EXACT)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(before)

    return in_exact_context


def divide(numerator: Decimal, denominator: Decimal, *, places: int, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Return ``numerator ÷ denominator`` rounded once to ``places`` decimal places.

    ``rounding`` is one of decimal's ``ROUND_`` names. Raises ``decimal.DivisionByZero`` on a zero denominator.
    """
    short = numerator.adjusted() - denominator.adjusted() + places < _ENOUGH - 2
    quotient = _SHORT.divide(numerator, denominator) if short else _QUOTIENT.divide(numerator, denominator)
    return quotient.quantize(_QUANTA[places], rounding, _QUOTIENT)


def round_to(number: Decimal, step: Decimal, *, rounding: str) -> Decimal:
    """Return the multiple of ``step`` that ``number`` rounds to in the direction ``rounding``.

    ``step`` is positive: a price step, a quantity step, or the smallest unit of an asset.
    """
    steps = _QUOTIENT.divide(number, step).quantize(ONE, rounding, _QUOTIENT)
    return EXACT.multiply(steps, step)


def plain(number: Decimal) -> str:
    """Return ``number`` as decimal text without an exponent and without trailing zeros: how numbers are written."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def text(number: Decimal | None) -> str | None:
    """Return a number as JSON has it, as :func:`plain` text; None, which is null there, stays None."""
    return None if number is None else plain(number)


__all__ = [
    "EXACT",
    "ONE",
    "PRICE_PLACES",
    "RATIO_PLACES",
    "ROUND_CEILING",
    "ROUND_DOWN",
    "ROUND_FLOOR",
    "ROUND_HALF_EVEN",
    "ROUND_UP",
    "UNIT_VALUE_PLACES",
    "VALUE_PLACES",
    "ZERO",
    "Price",
    "Quantity",
    "Rate",
    "UnitValue",
    "Value",
    "divide",
    "exact",
    "plain",
    "round_to",
    "text",
]
