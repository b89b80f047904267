"""As much of JSON Schema (2020-12) as account.schema.json uses, so that the tests need no package for it.

An unknown keyword is an error: a schema that says more than this understands is not half checked.
"""

from __future__ import annotations

import re
from typing import Any

_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
}


def errors(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "$") -> list[str]:
    """What is wrong with the value, each with its place; empty when it is valid."""
    root = root or schema
    found: list[str] = []
    for keyword, rule in schema.items():
        if keyword not in _ANNOTATIONS:
            found += _KEYWORDS[keyword](value, rule, schema, root, at)
    return found


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def _type(value: Any, rule: Any, _: Any, __: Any, at: str) -> list[str]:
    names = [rule] if isinstance(rule, str) else rule
    return [] if any(_is(value, name) for name in names) else [f"{at}: not {' or '.join(names)}"]


def _ref(value: Any, rule: str, _: Any, root: Any, at: str) -> list[str]:
    return errors(value, root["$defs"][rule.removeprefix("#/$defs/")], root, at)


def _any_of(value: Any, rule: Any, _: Any, root: Any, at: str) -> list[str]:
    return [] if any(not errors(value, option, root, at) for option in rule) else [f"{at}: none of the forms"]


def _required(value: Any, rule: Any, _: Any, __: Any, at: str) -> list[str]:
    return [f"{at}: lacks {name}" for name in rule if isinstance(value, dict) and name not in value]


def _properties(value: Any, rule: Any, _: Any, root: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [error for name in value if name in rule for error in errors(value[name], rule[name], root, f"{at}.{name}")]


def _additional(value: Any, rule: Any, schema: Any, root: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    others = [name for name in value if name not in schema.get("properties", {})]
    if rule is False:
        return [f"{at}: unknown {name}" for name in others]
    return [error for name in others for error in errors(value[name], rule, root, f"{at}.{name}")]


def _items(value: Any, rule: Any, _: Any, root: Any, at: str) -> list[str]:
    if not isinstance(value, list):
        return []
    return [error for index, item in enumerate(value) for error in errors(item, rule, root, f"{at}[{index}]")]


def _if(value: Any, rule: Any, schema: Any, root: Any, at: str) -> list[str]:
    return errors(value, schema["else" if errors(value, rule, root, at) else "then"], root, at)


_KEYWORDS: dict[str, Any] = {
    "type": _type,
    "$ref": _ref,
    "anyOf": _any_of,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "if": _if,
    "then": lambda *_: [],
    "else": lambda *_: [],
    "const": lambda value, rule, *_: [] if value == rule else [f"{_[-1]}: not {rule!r}"],
    "enum": lambda value, rule, *_: [] if value in rule else [f"{_[-1]}: not one of {rule}"],
    "pattern": lambda value, rule, *_: (
        [] if not isinstance(value, str) or re.search(rule, value) else [f"{_[-1]}: not like {rule}"]
    ),
    "minLength": lambda value, rule, *_: (
        [] if not isinstance(value, str) or len(value) >= rule else [f"{_[-1]}: too short"]
    ),
    "minimum": lambda value, rule, *_: [] if not _is(value, "integer") or value >= rule else [f"{_[-1]}: below {rule}"],
    "exclusiveMinimum": lambda value, rule, *_: (
        [] if not _is(value, "integer") or value > rule else [f"{_[-1]}: not above {rule}"]
    ),
}
