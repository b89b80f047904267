"""Commands and events as bytes, canonical: the same message is the same bytes on any machine.

A message that ends early was written before its last fields were: they take their defaults. So a field that comes to a
message is added at its end, with the default that means what the message meant without it.

A message is a compact JSON array, its kind and then its fields in declared order; decimals are strings in their exact
form (``Decimal("1.50")`` keeps its zero), tuples are arrays. Reading gives back an equal message.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from decimal import Decimal
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, Any

from ringfence.engine.commands import COMMANDS, Command
from ringfence.engine.events import EVENTS, Event
from ringfence.errors import BadInput
from ringfence.ledger import Posting

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    _Table: TypeAlias = dict[str, tuple[type[Any], int, tuple[tuple[int, Callable[[Any], Any]], ...]]]

_TAG = {"Value": "D", "Price": "D", "Quantity": "D", "Rate": "D", "Decimal": "D"}


def encode(message: Command | Event) -> bytes:
    """Return the canonical bytes of a command or an event."""
    return _WRITTEN[type(message)](message).encode()


def decode_command(data: bytes) -> Command:
    """Return the command that ``data`` encodes. Raises BadInput for anything else."""
    command = _decode(data, _COMMANDS)
    assert isinstance(command, Command)  # noqa: S101 - by the table
    return command


def decode_event(data: bytes) -> Event:
    """Return the event that ``data`` encodes. Raises BadInput for anything else."""
    event = _decode(data, _EVENTS)
    assert isinstance(event, Event)  # noqa: S101 - by the table
    return event


def _decode(data: bytes, table: _Table) -> Any:
    try:
        kind, *values = json.loads(data.decode())
        message, size, readers = table[kind]
        if len(values) != size:
            return _of_older_form(message, values, readers)
        for place, read in readers:
            values[place] = read(values[place])
        return message(*values)
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise BadInput(
            "not a message of this engine", where="wire", expected="a JSON array of kind and fields",
            found=repr(data[:80]), hint=str(error),
        ) from error  # fmt: skip


def _of_older_form(message: type[Any], values: list[Any], readers: tuple[tuple[int, Callable[[Any], Any]], ...]) -> Any:
    """Return a message that ends early with the defaults of its last fields; ValueError where they have none."""
    missing = fields(message)[len(values) :]
    if len(values) > len(fields(message)) or any(field.default is MISSING for field in missing):
        raise ValueError(f"{len(values)} fields for {len(fields(message))}")
    for place, read in readers:
        if place < len(values):
            values[place] = read(values[place])
    return message(*values)


def _number(value: str) -> Decimal:
    if not isinstance(value, str):  # a JSON number has been a float on the way
        raise TypeError(f"the number {value!r} is not a string")
    return Decimal(value)


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else _number(value)


def _pairs(value: list[list[str]]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((symbol, _number(price)) for symbol, price in value)


def _postings(value: list[list[str]]) -> tuple[Posting, ...]:
    return tuple(Posting(account, asset, _number(amount)) for account, asset, amount in value)


def _reader(annotation: str) -> Callable[[Any], Any] | None:
    """Return what turns a JSON value into a field, by the field's annotation; None where it is the value itself."""
    if annotation.startswith("tuple[Posting"):
        return _postings
    if annotation.startswith("tuple[tuple"):
        return _pairs
    return _decimal if annotation.split(" |", maxsplit=1)[0] in _TAG else None


def _writer(annotation: str) -> Callable[[Any], str]:
    """Return what writes a field, by the field's annotation. All of them refuse what has no place there: TypeError."""
    if annotation.startswith("tuple[Posting"):
        return _written_postings
    if annotation.startswith("tuple[tuple"):
        return _written_pairs
    kind, _, optional = annotation.partition(" | ")
    if kind in _TAG:
        return _written_or_null if optional else Decimal.__str__
    plain: dict[str, tuple[Callable[[Any], str], Callable[[Any], str]]] = {
        "str": (_quoted, _string_or_null), "int": (int.__repr__, _int_or_null), "bool": (_written_bool, _written_bool),
    }  # fmt: skip
    return plain[kind][bool(optional)]


def _string_or_null(value: str | None) -> str:
    return "null" if value is None else _quoted(value)


def _int_or_null(value: int | None) -> str:
    return "null" if value is None else int.__repr__(value)


def _written_or_null(value: Decimal | None) -> str:
    return "null" if value is None else f'"{value!s}"'


def _written_bool(value: bool) -> str:  # noqa: FBT001 - a field of a message
    return "true" if value else "false"


def _written_pairs(value: tuple[tuple[str, Decimal], ...]) -> str:
    rows = [f'[{_quoted(symbol)},"{price!s}"]' for symbol, price in value]
    return f"[{','.join(rows)}]"


def _written_postings(value: tuple[Posting, ...]) -> str:
    quoted = _quoted
    rows = [f'[{quoted(account)},{quoted(asset)},"{amount!s}"]' for account, asset, amount in value]
    return f"[{','.join(rows)}]"


_MESSAGES: tuple[type[Command | Event], ...] = (*COMMANDS, *EVENTS)


def _written(message: type[Any]) -> Callable[[Any], str]:
    """Return what writes a kind of message: one expression made of its fields, as ``dataclass`` makes its methods.

    A loop over the fields takes twice as long, and a crash writes a hundred thousand events at once.
    """
    writers = {field.name: _writer(str(field.type)) for field in fields(message)}
    holes = [
        f'"{{write_{name}(m.{name})}}"' if writer is Decimal.__str__ else f"{{write_{name}(m.{name})}}"
        for name, writer in writers.items()
    ]
    known = {f"write_{name}": writer for name, writer in writers.items()}
    expression = f"lambda m: f'[\"{message.kind}\",{','.join(holes)}]'"
    written: Callable[[Any], str] = eval(expression, known)  # noqa: S307 - of nothing but names of our own fields
    return written


_WRITTEN = {message: _written(message) for message in _MESSAGES}


def _table(messages: tuple[type[Any], ...]) -> _Table:
    """Return by kind: the message, how many fields it has, and what reads those that are not simply JSON's values."""
    table: _Table = {}
    for message in messages:
        readers = enumerate(_reader(str(field.type)) for field in fields(message))
        table[message.kind] = (
            message, len(fields(message)), tuple((place, read) for place, read in readers if read is not None),
        )  # fmt: skip
    return table


_COMMANDS = _table(COMMANDS)
_EVENTS = _table(EVENTS)

__all__ = ["decode_command", "decode_event", "encode"]
