"""Single values of an account file: objects, names, numbers, days. A bad one is refused with its place."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.errors import BadAccount, nearest

if TYPE_CHECKING:
    from collections.abc import Callable


class Float(str):
    """A JSON or TOML float, kept as the text it was written as, to be refused with that text."""

    __slots__ = ()


def moment_of(raw: Any, where: str, *, hour: int) -> datetime:
    """Return a moment with its time zone; a day alone is that day at ``hour`` UTC. Raises BadAccount."""
    if isinstance(raw, datetime):
        found: datetime | None = raw
    elif isinstance(raw, date):
        return datetime(raw.year, raw.month, raw.day, hour, tzinfo=UTC)
    else:
        try:
            found = datetime.fromisoformat(raw)
        except (TypeError, ValueError):
            found = None
        if found is not None and len(raw) == len("2026-03-27"):
            return found.replace(hour=hour, tzinfo=UTC)
    if found is None or found.tzinfo is None:
        raise BadAccount(
            "not a moment", where=where, expected="a day, or a time with its zone: 2026-03-27T08:00:00Z",
            found=str(raw), hint="write the time in UTC, with a Z behind it",
        )  # fmt: skip
    return found.astimezone(UTC)


def object_of(raw: Any, known: tuple[str, ...], where: str) -> dict[str, Any]:
    """Return an object with no other fields than ``known``. Raises BadAccount."""
    if not isinstance(raw, dict):
        raise BadAccount("not an object", where=where, expected="an object with " + ", ".join(known[:4]) + ", …",
                         found=shape_of(raw))  # fmt: skip
    for key in raw:
        if key not in known:
            raise BadAccount(
                f"unknown field {key!r}", where=where, expected="one of " + ", ".join(known), found=str(key),
                hint=nearest(str(key), known) or "remove it",
            )  # fmt: skip
    return raw


def mapping_of(raw: Any, where: str) -> dict[str, Any]:
    """Return an object whose keys are names of its own, empty for null. Raises BadAccount."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise BadAccount("not an object", where=where, expected="an object", found=shape_of(raw))
    return raw


def list_of(raw: Any, where: str) -> list[Any]:
    """Return a list, empty for null. Raises BadAccount."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise BadAccount("not a list", where=where, expected="a list", found=shape_of(raw))
    return raw


def shape_of(raw: Any) -> str:
    """Return what a value is, with its beginning, for errors."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", Float: "a float"}
    return "null" if raw is None else f"{names.get(type(raw), type(raw).__name__)}: {str(raw)[:40]}"


def name_of(raw: Any, where: str) -> str:
    """Return a name: text that is not empty. Raises BadAccount."""
    if not isinstance(raw, str) or isinstance(raw, Float) or not raw:
        raise BadAccount("not a name", where=where, expected="text", found=shape_of(raw))
    return raw


def word_of(raw: Any, words: tuple[str, ...], where: str) -> str:
    """Return one of ``words``. Raises BadAccount."""
    if raw not in words:
        raise BadAccount(
            "unknown or missing", where=where, expected=" or ".join(words), found=repr(raw),
            hint=nearest(str(raw).lower(), words),
        )  # fmt: skip
    return str(raw)


def choice_of(raw: Any, kind: Callable[[str], Any], where: str, default: Any) -> Any:
    """Return the member of an enumeration that has this value, ``default`` for null. Raises BadAccount."""
    if raw is None:
        return default
    words = tuple(member.value for member in kind)  # type: ignore[attr-defined]
    return kind(word_of(raw, words, where))


def number_of(raw: Any, where: str, *, signed: bool = False, null: bool = False) -> Any:
    """Return a decimal string as a Decimal: finite, not negative unless ``signed``, None for null if ``null``.

    Raises BadAccount.
    """
    if raw is None and null:
        return None
    if isinstance(raw, Float):
        raise BadAccount(
            "a float where a decimal string is due", where=where, expected=f'"{raw}"', found=str(raw),
            hint="write numbers as strings: a float has already lost digits",
        )  # fmt: skip
    if isinstance(raw, bool) or not isinstance(raw, (str, int)):
        raise BadAccount("not a number", where=where, expected='a decimal string such as "0.1"', found=shape_of(raw))
    try:
        number = Decimal(raw)
    except ArithmeticError:
        number = None
    if number is None or (isinstance(raw, str) and (raw != raw.strip() or "_" in raw)):
        raise BadAccount(
            "not a number", where=where, expected='a decimal string such as "0.1"', found=repr(raw),
            hint="write digits and a point, without separators, spaces or units",
        )  # fmt: skip
    if not number.is_finite():
        raise BadAccount(
            "not a finite number", where=where, expected="a finite decimal", found=str(raw),
            hint="leave the field out, or give null, when the number is not known",
        )  # fmt: skip
    if number < 0 and not signed:
        raise BadAccount(
            "negative", where=where, expected="0 or more", found=str(raw),
            hint="a short is written with side, not with a negative quantity"
            if where.endswith("quantity")
            else "remove the sign",
        )  # fmt: skip
    if abs(number.adjusted()) > _LARGEST_EXPONENT or len(number.as_tuple().digits) > _MOST_DIGITS:
        raise BadAccount(
            "beyond any real amount", where=where, expected="at most 60 digits, within 1e±20", found=str(raw)
        )
    return number


_LARGEST_EXPONENT = 20
_MOST_DIGITS = 60


def positive_of(raw: Any, where: str) -> Decimal:
    """Return a decimal string as a Decimal above 0. Raises BadAccount."""
    number: Decimal = number_of(raw, where)
    if number == 0:
        raise BadAccount(
            "zero", where=where, expected="a positive number", found=str(raw),
            hint="leave the entry out when nothing is held" if where.endswith("quantity") else "give the real number",
        )  # fmt: skip
    return number


def day_of(raw: Any, where: str) -> date | None:
    """Return a day as ``YYYY-MM-DD`` says it, None for null. Raises BadAccount."""
    if raw is None or (isinstance(raw, date) and not isinstance(raw, datetime)):
        return raw
    try:
        day = date.fromisoformat(raw)
    except (TypeError, ValueError):
        day = None
    if day is None or day.isoformat() != raw:  # fromisoformat takes 20251010 and 2025-W41-5 too
        raise BadAccount(
            "not a day", where=where, expected="YYYY-MM-DD", found=str(raw), hint="write a day such as 2025-10-10"
        )
    return day


__all__ = [
    "Float",
    "choice_of",
    "day_of",
    "list_of",
    "mapping_of",
    "moment_of",
    "name_of",
    "number_of",
    "object_of",
    "positive_of",
    "shape_of",
    "word_of",
]
