"""What an account file says is held and ordered, and what it states for portfolio margin."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from ringfence.account import MarginMode, OpenOrder, Position, PositionMode, RiskInputs
from ringfence.account_file.fields import ORDER, POSITION
from ringfence.account_file.values import (
    choice_of,
    list_of,
    mapping_of,
    moment_of,
    name_of,
    number_of,
    object_of,
    positive_of,
    word_of,
)
from ringfence.errors import BadAccount
from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.numbers import Price


def read_positions(
    given: Any,
    where: str,
    marks: dict[str, Price],
    assumed: list[str],
) -> tuple[Position, ...]:
    """Return the positions. Their marks go into ``marks``, symbols without one into ``assumed``. Raises BadAccount."""
    positions = []
    for index, raw in enumerate(list_of(given, where)):
        place = f"{where}[{index}]"
        row = object_of(raw, POSITION, place)
        symbol = name_of(row.get("symbol"), f"{place}.symbol")
        side = word_of(row.get("side"), ("long", "short"), f"{place}.side")
        quantity = positive_of(row.get("quantity"), f"{place}.quantity")
        entry = positive_of(row.get("entry_price"), f"{place}.entry_price")
        mode = choice_of(row.get("margin_mode"), MarginMode, f"{place}.margin_mode", MarginMode.CROSS)
        margin = number_of(row.get("isolated_margin"), f"{place}.isolated_margin", signed=True, null=True)
        if mode is MarginMode.ISOLATED and margin is None:
            raise BadAccount(
                "an isolated position without margin", where=f"{place}.isolated_margin", found="null",
                expected="the position's own wallet, without unrealised PnL",
                hint="give isolated_margin, or set margin_mode to cross",
            )  # fmt: skip
        if mode is MarginMode.CROSS and margin is not None:
            raise BadAccount(
                "a cross position with a margin of its own", where=f"{place}.isolated_margin", expected="null",
                found=plain(margin), hint='leave it out, or set "margin_mode": "isolated"',
            )  # fmt: skip
        mark = row.get("mark_price")
        price = entry if mark is None else positive_of(mark, f"{place}.mark_price")
        if mark is None and symbol not in marks:
            assumed.append(symbol)
        elif mark is not None and symbol in assumed:
            assumed.remove(symbol)
            marks.pop(symbol)
        if mark is not None and marks.setdefault(symbol, price) != price:
            raise BadAccount(
                f"two marks for {symbol}", where=f"{place}.mark_price", expected=str(marks[symbol]), found=str(price),
                hint="both legs of a symbol have one mark",
            )  # fmt: skip
        marks.setdefault(symbol, price)
        leverage = row.get("leverage")
        positions.append(
            Position(
                symbol,
                quantity if side == "long" else -quantity,
                entry,
                mode,
                margin,
                None if leverage is None else positive_of(leverage, f"{place}.leverage"),
            )
        )
    return tuple(positions)


def read_orders(given: Any, where: str, marks: dict[str, Price]) -> tuple[OpenOrder, ...]:
    """Return the open orders. Their marks go into ``marks`` where no position gave one. Raises BadAccount."""
    orders = []
    for index, raw in enumerate(list_of(given, where)):
        place = f"{where}[{index}]"
        row = object_of(raw, ORDER, place)
        symbol = name_of(row.get("symbol"), f"{place}.symbol")
        side = word_of(row.get("side"), ("buy", "sell"), f"{place}.side")
        quantity = positive_of(row.get("quantity"), f"{place}.quantity")
        mark, leverage = row.get("mark_price"), row.get("leverage")
        reference = None if mark is None else positive_of(mark, f"{place}.mark_price")
        if reference is not None:
            marks.setdefault(symbol, reference)
        reduce_only = row.get("reduce_only", False)
        if reduce_only not in (True, False, None):
            raise BadAccount("not a yes or no", where=f"{place}.reduce_only", expected="true or false",
                             found=repr(reduce_only))  # fmt: skip
        leg = row.get("position_side")
        orders.append(
            OpenOrder(
                symbol,
                quantity if side == "buy" else -quantity,
                positive_of(row.get("price"), f"{place}.price"),
                None if leverage is None else positive_of(leverage, f"{place}.leverage"),
                reference,
                bool(reduce_only),
                None if leg is None else word_of(leg, ("long", "short"), f"{place}.position_side"),
            )
        )
    return tuple(orders)


def risk_inputs(body: Mapping[str, Any], marks: Mapping[str, Price], *, where: str, as_of: date | None) -> RiskInputs:
    """Return what an account states for portfolio margin: time, index prices, volatilities, rates and loans.

    Without a ``time`` the start of the day ``as_of`` stands in. Raises BadAccount.
    """
    volatility = {}
    for index, row in enumerate(list_of(body.get("positions"), f"{where}.positions")):
        if isinstance(row, dict) and row.get("implied_volatility") is not None:
            volatility[row["symbol"]] = positive_of(
                row["implied_volatility"], f"{where}.positions[{index}].implied_volatility"
            )
    time = body.get("time")
    hedging = body.get("spot_hedging")
    if hedging not in (True, False, None):
        raise BadAccount("not a yes or no", where=f"{where}.spot_hedging", expected="true or false",
                         found=repr(hedging))  # fmt: skip
    if time is None:
        moment = None if as_of is None else datetime.combine(as_of, datetime.min.time(), tzinfo=UTC)
    else:
        moment = moment_of(time, f"{where}.time", hour=0)
    amounts = {
        key: {name: number_of(value, f"{where}.{key}.{name}", signed=key == "rates")
              for name, value in mapping_of(body.get(key), f"{where}.{key}").items()}
        for key in ("rates", "loans")
    }  # fmt: skip
    index_prices = mapping_of(body.get("index"), f"{where}.index")
    return RiskInputs(
        time=moment,
        index={coin: positive_of(price, f"{where}.index.{coin}") for coin, price in index_prices.items()},
        volatility=volatility,
        rates=amounts["rates"],
        loans=amounts["loans"],
        spot_hedging=hedging,
        reference=dict(marks),
    )


def check_legs(positions: tuple[Position, ...], mode: PositionMode, where: str) -> None:
    """Raise for the same leg twice, and for both legs of a symbol in one-way mode."""
    seen: dict[tuple[str, str], int] = {}
    for index, position in enumerate(positions):
        key = (position.symbol, position.side)
        if key in seen:
            raise BadAccount(
                f"{position.symbol} {position.side} is there twice", where=f"{where}[{index}]",
                expected="one entry per symbol and side", found=f"also at [{seen[key]}]",
                hint="add the quantities up, with their average entry price",
            )  # fmt: skip
        other = seen.get((position.symbol, "short" if position.side == "long" else "long"))
        if other is not None and mode is PositionMode.ONE_WAY:
            raise BadAccount(
                f"a long and a short of {position.symbol} in one-way mode", where=f"{where}[{index}]",
                expected="one net position per symbol", found=f"the other leg is at [{other}]",
                hint='net the two, or set "position_mode": "hedge"',
            )  # fmt: skip
        seen[key] = index


__all__ = ["check_legs", "read_orders", "read_positions", "risk_inputs"]
