"""The text of an account file: JSON or TOML, read from a path, into data whose floats are still text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.account_file.values import Float
from ringfence.errors import BadAccount

if TYPE_CHECKING:
    from collections.abc import Callable


def load_text(text: str, *, where: str, toml: bool = False) -> Any:
    """Return the data of a JSON or TOML text. JSON floats are kept apart as the Decimal they were written as."""
    if not text.strip():
        raise BadAccount(
            "the file is empty", where=where, expected="an account as JSON or TOML", found="nothing",
            hint="`ringfence account example` prints one to start from",
        )  # fmt: skip
    if toml:
        import tomllib

        try:
            return tomllib.loads(text, parse_float=Float)
        except tomllib.TOMLDecodeError as error:
            raise BadAccount(
                f"not valid TOML: {error}", where=where, expected="an account as TOML",
                hint="mend the file at that place",
            ) from None  # fmt: skip
    import json

    try:
        return json.loads(text, parse_float=Float, parse_constant=Float, object_pairs_hook=_unique_keys(where))
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno} column {error.colno}"
        cut = error.pos >= len(text.rstrip()) - 1
        raise BadAccount(
            "the JSON ends too early; the file looks truncated" if cut else f"not valid JSON: {error.msg}",
            where=place, expected="one JSON object", hint="mend the file at that place",
        ) from None  # fmt: skip
    except (ValueError, RecursionError):  # a whole number of thousands of digits; brackets in brackets without end
        raise BadAccount(
            "a number or a nesting beyond any real account", where=where, expected="an account as JSON",
            hint="check that this is the right file",
        ) from None  # fmt: skip


def _unique_keys(where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Return a hook that refuses an object in which one key stands twice: which of the two is meant cannot be known."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise BadAccount(
                f"{twice!r} is there twice in one object", where=where, expected="each key once", found=twice,
                hint=f"remove one {twice!r}",
            )  # fmt: skip
        return built

    return build


__all__ = ["load_text"]
