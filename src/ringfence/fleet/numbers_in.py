"""Columns of numbers, as any producer writes them, to exact decimals.

Decimals, integers and texts are taken as they are. A binary float has already lost digits: it is taken at its shortest
decimal text that reads back as the same float, rounded half-even to 18 places, and the fleet then says that it is not
exact. What cannot be kept to the digit (more than 20 digits before the point, more than 18 behind it) is a fault.

Whole columns are converted at once; only where that fails is each value looked at, to name the rows.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.fleet.schema import DIGITS, PLACES, amount_type, pyarrow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WIDE = Context(prec=200, rounding=ROUND_HALF_EVEN)
_STEP = Decimal(1).scaleb(-PLACES)
_LARGEST = Decimal(10) ** (DIGITS - PLACES)
_TWO_64 = 2.0**64

MISSING = "a number"


class Wrong(NamedTuple):
    """A value that is no amount: where it stands in the column, what was expected, and what was found."""

    at: int
    message: str
    expected: str
    found: str


class Amounts(NamedTuple):
    """A column as amounts (an Arrow array, null where not given or wrong), and what is wrong with it."""

    values: Any
    wrong: tuple[Wrong, ...]
    exact: bool


def amounts(column: Any) -> Amounts:
    """Return an Arrow array of numbers or of decimal texts as ``decimal128(38, 18)``; such an array is not copied."""
    pa = pyarrow()
    kind, wanted = column.type, amount_type()
    if kind == wanted:
        return Amounts(column, (), exact=True)
    if pa.types.is_dictionary(kind):
        return amounts(column.dictionary_decode())
    floating = bool(pa.types.is_floating(kind))
    try:
        if floating or pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
            column = column.cast(pa.string())
        return Amounts(column.cast(wanted), (), exact=not floating)
    except pa.ArrowException:
        return _one_by_one(column, floating=floating)


def _one_by_one(column: Any, *, floating: bool) -> Amounts:
    pa = pyarrow()
    values: list[Decimal | None] = []
    wrong: list[Wrong] = []
    for index, raw in enumerate(column.to_pylist()):
        value, fault = _read(raw, floating=floating)
        values.append(value)
        if fault is not None:
            wrong.append(Wrong(index, *fault))
    return Amounts(pa.array(values, amount_type()), tuple(wrong), exact=not floating)


def _read(raw: object, *, floating: bool) -> tuple[Decimal | None, tuple[str, str, str] | None]:
    """Return a value and what is wrong with it: message, expected, found."""
    if raw is None or raw == "":
        return None, None
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        return None, ("not a number", 'a decimal such as "0.1"', f"{type(raw).__name__}: {str(raw)[:40]}")
    try:
        number = Decimal(raw)
    except ArithmeticError:
        number = None
    if number is None or (isinstance(raw, str) and (raw != raw.strip() or "_" in raw or not raw.isascii())):
        return None, ("not a number", 'a decimal such as "0.1", without separators, spaces or units', repr(raw))
    if not number.is_finite():
        return None, ("not a finite number", "a finite number, or nothing where it is not known", str(raw))
    if abs(number) >= _LARGEST:
        return None, ("beyond any real amount", f"at most {DIGITS - PLACES} digits before the point", str(raw))
    kept = number.quantize(_STEP, context=_WIDE)
    if kept != number and not floating:
        return None, ("too many decimal places", f"at most {PLACES} of them", str(raw))
    return kept, None


def floats(column: Any) -> NDArray[np.float64]:
    """Return amounts as float64, NaN where null. Relative error at most 3.4e-16 (three roundings), sign exact.

    The 128-bit integer ``high · 2^64 + low`` is put together in floating point: ``high`` is exact below 2^53, the low
    word, the sum and the division by 10^18 (exact in float64: 5^18 < 2^53) each round once.
    """
    import numpy as np

    pa = pyarrow()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    words = np.frombuffer(column.buffers()[1] or b"", dtype=[("low", "<u8"), ("high", "<i8")])
    words = words[column.offset : column.offset + len(column)]
    low, high = words["low"], words["high"]
    # −small is high −1 and low just below 2^64: put together as floats that would cancel. Take the magnitude first.
    negative = high < 0
    low = np.where(negative, ~low + np.uint64(1), low)
    high = np.where(negative, ~high + (low == 0), high)
    found = (high.astype(np.float64) * _TWO_64 + low.astype(np.float64)) / 1e18
    np.negative(found, out=found, where=negative)
    if column.null_count:
        found[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return found


__all__ = ["Amounts", "Wrong", "amounts", "floats"]
