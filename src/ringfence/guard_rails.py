"""Guard rails: limits a trader sets to himself, or a firm to its accounts, tighter than the venue's.

A ``guardrails.toml``::

    schema = "ringfence.guardrails/1"
    margin_mode = "isolated"  # of a symbol for which nothing was chosen
    health_floor = "2"  # health of the pool after an order has filled
    largest_share = "0.2"  # a position's margin ÷ the account's wallet in its settlement asset

    [leverage]
    ceiling = "5"
    BTCUSDT = "10"  # of this symbol, in place of the ceiling

Every line but ``schema`` may be left out: what is not there is not limited. Numbers are decimal strings or whole
numbers. What each limit means exactly is in :mod:`ringfence.margin.rails`, which holds orders to them.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.account import MarginMode
from ringfence.errors import BadConfiguration, nearest
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.numbers import Rate

SCHEMA = "ringfence.guardrails/1"
_FIELDS = ("schema", "margin_mode", "health_floor", "largest_share", "leverage")
_CEILING = "ceiling"


@dataclass(frozen=True, slots=True)
class GuardRails:
    """Limits on what may be opened. None: not limited.

    ``margin_mode``: in which a symbol is opened for which none was chosen. ``health_floor`` (≥ 1): least health of the
    pool once an order has filled. ``largest_share`` (0 to 1): largest margin of one position as a share of the
    account's whole wallet in the asset. ``leverage_ceiling``: for symbols without one in ``leverage_by_symbol``.
    """

    margin_mode: MarginMode | None = None
    health_floor: Decimal | None = None
    largest_share: Rate | None = None
    leverage_ceiling: Decimal | None = None
    leverage_by_symbol: Mapping[str, Decimal] = field(default_factory=dict)

    def leverage_of(self, symbol: str) -> Decimal | None:
        """Return the highest leverage allowed in a symbol."""
        return self.leverage_by_symbol.get(symbol, self.leverage_ceiling)


def read(path: str | Path) -> GuardRails:
    """Read a ``guardrails.toml``. Raises BadConfiguration that names the file and the field."""
    where = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(
            "cannot be read", where=where, expected="guard rails, TOML in UTF-8",
            found=getattr(error, "strerror", None) or str(error), hint="name a guardrails.toml",
        ) from None  # fmt: skip
    try:
        raw = tomllib.loads(text, parse_float=_no_float)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise BadConfiguration(
            "not valid TOML" if isinstance(error, tomllib.TOMLDecodeError) else "a float where text is due",
            where=where, expected='decimals as text: health_floor = "1.5"', found=str(error),
            hint="mend that line",
        ) from None  # fmt: skip
    return parse(raw, where=where)


def parse(raw: Any, *, where: str) -> GuardRails:
    """Return the guard rails that parsed TOML or JSON states. Raises BadConfiguration."""
    if not isinstance(raw, dict):
        raise _bad("not a table", where, expected="a table with " + ", ".join(_FIELDS), found=type(raw).__name__)
    for key in raw:
        if key not in _FIELDS:
            raise _bad(f"unknown field {key!r}", where, expected="one of " + ", ".join(_FIELDS), found=str(key),
                       hint=nearest(str(key), _FIELDS))  # fmt: skip
    if raw.get("schema") != SCHEMA:
        raise _bad(
            "not guard rails", f"{where}: schema", expected=f'schema = "{SCHEMA}"', found=repr(raw.get("schema"))
        )
    leverage = raw.get("leverage", {})
    if not isinstance(leverage, dict):
        raise _bad("not a table", f"{where}: leverage", expected='[leverage] with ceiling = "5"', found=str(leverage))
    ceilings = {
        str(symbol): _number(value, f"{where}: leverage.{symbol}", least=ONE) for symbol, value in leverage.items()
    }
    floor, share = raw.get("health_floor"), raw.get("largest_share")
    rails = GuardRails(
        margin_mode=_mode(raw.get("margin_mode"), f"{where}: margin_mode"),
        health_floor=None if floor is None else _number(floor, f"{where}: health_floor", least=ONE),
        largest_share=None if share is None else _number(share, f"{where}: largest_share", most=ONE),
        leverage_ceiling=ceilings.pop(_CEILING, None),
        leverage_by_symbol=dict(sorted(ceilings.items())),
    )
    if rails == GuardRails():
        raise _bad("nothing is limited", where, expected="at least one of " + ", ".join(_FIELDS[1:]), found="none")
    return rails


def write(rails: GuardRails) -> str:
    """Return guard rails as canonical JSON: equal ones are the same text. :func:`from_text` reads it."""
    data: dict[str, Any] = {"schema": SCHEMA}
    if rails.margin_mode is not None:
        data["margin_mode"] = rails.margin_mode.value
    for name in ("health_floor", "largest_share"):
        value = getattr(rails, name)
        if value is not None:
            data[name] = str(value)
    leverage = {symbol: str(value) for symbol, value in sorted(rails.leverage_by_symbol.items())}
    if rails.leverage_ceiling is not None:
        leverage = {_CEILING: str(rails.leverage_ceiling), **leverage}
    return json.dumps(data | ({"leverage": leverage} if leverage else {}), separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> GuardRails:
    """Return the guard rails of :func:`write`'s text. Raises BadConfiguration."""
    try:
        raw = json.loads(text, parse_float=_no_float)
    except ValueError as error:
        raise _bad("not readable", "guard rails", expected="JSON of the form of guardrails.toml",
                   found=str(error)) from None  # fmt: skip
    return parse(raw, where="guard rails")


def _no_float(digits: str) -> Any:
    raise ValueError(f"{digits} is a float; write it as text")


def _bad(message: str, where: str, *, expected: str, found: str, hint: str | None = None) -> BadConfiguration:
    return BadConfiguration(message, where=where, expected=expected, found=found,
                            hint=hint or "see docs/how-to/set-guard-rails.md for the form")  # fmt: skip


def _number(raw: Any, where: str, *, least: Decimal = ZERO, most: Decimal | None = None) -> Decimal:
    value = None
    if isinstance(raw, (str, int)) and not isinstance(raw, bool):
        try:
            value = Decimal(raw)
        except ArithmeticError:
            value = None
    sound = value is not None and value.is_finite() and value > 0 and value >= least
    if value is None or not sound or (most is not None and value > most):
        bounds = f'"{least}" or more' if least else "more than 0"
        raise _bad("not a number that can be a limit", where, expected=bounds + (f', at most "{most}"' if most else ""),
                   found=repr(raw))  # fmt: skip
    return value


def _mode(raw: Any, where: str) -> MarginMode | None:
    words = [mode.value for mode in MarginMode]
    if raw is None:
        return None
    if raw not in words:
        raise _bad("unknown margin mode", where, expected=" or ".join(words), found=repr(raw),
                   hint=nearest(str(raw), words))  # fmt: skip
    return MarginMode(raw)


__all__ = ["SCHEMA", "GuardRails", "from_text", "parse", "read", "write"]
