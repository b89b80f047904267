"""A saved or live reply, sorted into what it says of balances, positions and orders.

Accepted forms of a saved reply (JSON):

* ccxt's own structures: ``{"balance": fetch_balance(), "positions": fetch_positions(), "orders":
  fetch_open_orders()}``. ``orders``, ``markets`` (unified symbol → ccxt's market) and ``settings`` may be left out.
  ``settings`` states what no reply does: ``position_mode`` (``one_way``, ``hedge``), ``collateral_mode``
  (``single_asset``, ``multi_asset``, ``portfolio``), ``leverage`` and ``margin_mode`` by the exchange's symbol, and
  ``collateral`` by asset.
* The exchange's bare replies, alone or several together in a list or an object under any names: Binance
  ``GET /fapi/v3/account``, ``GET /fapi/v3/positionRisk`` and ``GET /fapi/v1/openOrders`` (v2 and COIN-M's ``/dapi``
  alike); Bybit ``GET /v5/account/wallet-balance``, ``GET /v5/position/list`` and ``GET /v5/order/realtime``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.errors import BadAccount

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.watch.figures import Json

ACCEPTED = (
    'ccxt\'s {"balance": …, "positions": […], "orders": […]}; '
    "Binance's bare /fapi/v3/account with /fapi/v3/positionRisk; "
    "or Bybit's bare /v5/account/wallet-balance with /v5/position/list"
)


@dataclass(slots=True)
class Reply:
    """What was found. Positions and orders are the exchange's own records, each beside ccxt's structure of it, if any.

    ``wallet``: the exchange's own record of balances; ``balance``: ccxt's structure of it. ``categories``: Bybit's word
    for where a position belongs, by symbol.
    """

    wallet: Mapping[str, Json] | None = None
    balance: Mapping[str, Json] = field(default_factory=dict)
    positions: list[tuple[Mapping[str, Json], Mapping[str, Json]]] = field(default_factory=list)
    orders: list[tuple[Mapping[str, Json], Mapping[str, Json]]] = field(default_factory=list)
    positions_given: bool = False
    markets: Mapping[str, Json] = field(default_factory=dict)
    settings: Mapping[str, Json] = field(default_factory=dict)
    exchanges: set[str] = field(default_factory=set)


def load_reply(path: Path) -> Json:
    """Return the JSON of a saved reply, its numbers exact (``Decimal``).

    Raises BadAccount where the file cannot be read or is no JSON, with the line and column.
    """
    hint = "save the exchange's reply again, whole"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BadAccount(
            "the saved reply cannot be read", where=str(path), expected="a JSON file", found=found, hint=hint
        ) from None
    try:
        return json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        end = len(text.rstrip())
        found = "the text ends in the middle" if error.pos >= end and end else error.msg
        raise BadAccount(
            "the saved reply is not complete JSON",
            where=f"{path}: line {error.lineno}, column {error.colno}",
            expected=ACCEPTED,
            found=found if end else "an empty file",
            hint=hint,
        ) from None


def sort_reply(reply: Json) -> Reply:
    """Return what ``reply`` says, whichever accepted form it has.

    Raises BadAccount naming the accepted forms where it is none of them, is empty, or is an exchange's error message.
    """
    found = Reply()
    if isinstance(reply, Mapping) and ("balance" in reply or "positions" in reply) and not _is_wallet(reply):
        _take_unified(reply, found)
    else:
        for piece in _pieces(reply):
            _take_bare(piece, found)
    if found.wallet is None and not found.positions_given and not found.balance:
        raise _unknown(reply)
    return found


def _pieces(reply: Json) -> Iterator[Json]:
    if _known(reply):
        yield reply
    elif isinstance(reply, Mapping):
        yield from reply.values()
    elif isinstance(reply, list):
        yield from reply


def _known(piece: Json) -> bool:
    return _is_wallet(piece) or _is_bybit(piece) or _is_rows(piece, "positionAmt") or _is_rows(piece, "origQty")


def _is_wallet(piece: Json) -> bool:
    return isinstance(piece, Mapping) and _is_rows(piece.get("assets"), "walletBalance")


def _is_bybit(piece: Json) -> bool:
    return isinstance(piece, Mapping) and "retCode" in piece


def _is_rows(piece: Json, field_name: str) -> bool:
    return (
        isinstance(piece, list) and bool(piece) and all(isinstance(row, Mapping) and field_name in row for row in piece)
    )


def _take_bare(piece: Json, found: Reply) -> None:
    if _is_wallet(piece):
        found.exchanges.add("binance")
        found.wallet = piece
        _take_account_positions(piece, found)
    elif _is_rows(piece, "positionAmt"):
        found.exchanges.add("binance")
        # The account's own list of positions is poorer: it lacks marks, and in v3 entry prices.
        found.positions, found.positions_given = [(row, {}) for row in piece], True
    elif _is_rows(piece, "origQty"):
        found.exchanges.add("binance")
        found.orders += [(row, {}) for row in piece]
    elif _is_bybit(piece):
        found.exchanges.add("bybit")
        _take_bybit(piece, found)
    elif not (isinstance(piece, list) and not piece):
        raise _unknown(piece)


def _take_account_positions(account: Mapping[str, Json], found: Reply) -> None:
    rows = account.get("positions")
    if found.positions_given or not isinstance(rows, list):
        return
    held = [row for row in rows if isinstance(row, Mapping) and Decimal(str(row.get("positionAmt") or 0))]
    if all(row.get("entryPrice") not in (None, "") for row in held):
        found.positions, found.positions_given = [(row, {}) for row in held], True


def _take_bybit(piece: Mapping[str, Json], found: Reply) -> None:
    if str(piece.get("retCode")) != "0":
        raise BadAccount(
            "the saved reply is an error message of Bybit",
            where="reply",
            expected=ACCEPTED,
            found=f"retCode {piece.get('retCode')}: {piece.get('retMsg')}",
            hint="solve what it says and save the reply again",
        )
    result = piece.get("result")
    if not isinstance(result, Mapping) or not isinstance(result.get("list"), list):
        raise _unknown(piece)
    rows = result["list"]
    if _is_rows(rows, "coin"):
        found.wallet = piece
    elif _is_rows(rows, "size") or (not rows and "category" in result):
        found.positions += [(row, {}) for row in rows]
        found.positions_given = True
    elif _is_rows(rows, "orderId"):
        found.orders += [(row, {}) for row in rows]
    else:
        raise _unknown(piece)


def _take_unified(reply: Mapping[str, Json], found: Reply) -> None:
    balance = reply.get("balance")
    if balance is not None and not isinstance(balance, Mapping):
        raise _wrong("reply.balance", "the object that ccxt's fetch_balance returns", balance)
    if balance:
        found.balance = balance
        info = balance.get("info")
        found.wallet = info if isinstance(info, Mapping) else None
        if isinstance(info, list):
            found.wallet = {"list": info}
    for name, rows in (("positions", found.positions), ("orders", found.orders)):
        given = reply.get(name)
        if given is None:
            continue
        if not isinstance(given, list):
            raise _wrong(f"reply.{name}", "a list", given)
        for number, row in enumerate(given):
            if not isinstance(row, Mapping):
                raise _wrong(f"reply.{name}[{number}]", "an object of ccxt", row)
            info = row.get("info")
            rows.append((info if isinstance(info, Mapping) else {}, row))
    found.positions_given = reply.get("positions") is not None
    for name in ("markets", "settings"):
        given = reply.get(name)
        if given is not None and not isinstance(given, Mapping):
            raise _wrong(f"reply.{name}", "an object", given)
    found.markets, found.settings = reply.get("markets") or {}, reply.get("settings") or {}


def _wrong(where: str, expected: str, found: Json) -> BadAccount:
    return BadAccount(
        "the saved reply has the wrong shape",
        where=where,
        expected=expected,
        found=_describe(found),
        hint=f"save one of the accepted forms: {ACCEPTED}",
    )


def _unknown(reply: Json) -> BadAccount:
    error = isinstance(reply, Mapping) and "code" in reply and "msg" in reply
    return BadAccount(
        "the saved reply is an error message of the exchange" if error else "the saved reply has no form that is known",
        where="reply",
        expected=ACCEPTED,
        found=f"{reply['code']}: {reply['msg']}" if error else _describe(reply),
        hint="save one of these replies, whole",
    )


def _describe(value: Json) -> str:
    if isinstance(value, Mapping):
        names = ", ".join(str(name) for name in list(value)[:6])
        return f"an object with {names}" if value else "an empty object"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, Sequence):
        return f"a list of {len(value)} item(s)" if value else "an empty list"
    return f"{value}"
