"""An account as an exchange's reply tells it, in the words of an account file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.errors import BadAccount
from ringfence.watch.figures import digits, exact, first

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.watch.figures import Json
    from ringfence.watch.replies import Reply

ZERO = Decimal(0)


@dataclass(slots=True)
class Book:
    """The parts of an account file's ``account``, and ``notes`` about what the reply does not say (None there)."""

    position_mode: str | None = None
    collateral_mode: str | None = None
    wallet: dict[str, str | None] = field(default_factory=dict)
    collateral: dict[str, Json] = field(default_factory=dict)
    positions: list[dict[str, str | None]] = field(default_factory=list)
    orders: list[dict[str, str | bool | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Add a sentence once."""
        if text not in self.notes:
            self.notes.append(text)

    def as_account(self) -> dict[str, Json]:
        """Return the account file's ``account``."""
        return {
            "position_mode": self.position_mode,
            "collateral_mode": self.collateral_mode,
            "wallet": self.wallet,
            "collateral": self.collateral,
            "positions": self.positions,
            "orders": self.orders,
        }


def position(
    *,
    symbol: str,
    side: str,
    quantity: Decimal,
    entry_price: str,
    mark_price: str | None,
    margin_mode: str | None,
    isolated_margin: str | None,
    leverage: str | None,
) -> dict[str, str | None]:
    """Return a position of an account file: unsigned ``quantity`` in contracts, margin without unrealised PnL."""
    return {
        "symbol": symbol,
        "side": side,
        "quantity": format(abs(quantity), "f"),
        "entry_price": entry_price,
        "mark_price": mark_price,
        "margin_mode": margin_mode,
        "isolated_margin": isolated_margin,
        "leverage": leverage,
    }


def order(
    book: Book,
    *,
    symbol: str,
    side: str,
    quantity: Decimal | None,
    price: str | None,
    leverage: str | None,
    reduce_only: bool,
    position_side: str | None,
) -> None:
    """Add an open order, ``quantity`` what is not filled yet, with the mark and leverage of its symbol's position.

    ``position_side``: the leg it works on in hedge mode, else None. An order without a limit price is left out.
    """
    if not quantity:
        return
    if price is None:
        book.note(f"an order in {symbol} has no limit price and is left out")
        return
    held = next((line for line in book.positions if line["symbol"] == symbol), {})
    line: dict[str, str | bool | None] = {
        "symbol": symbol,
        "side": side.lower(),
        "quantity": format(abs(quantity), "f"),
        "price": price,
        "leverage": leverage or held.get("leverage"),
        "mark_price": held.get("mark_price"),
    }
    if reduce_only:
        line["reduce_only"] = True
    if position_side is not None:
        line["position_side"] = position_side
    book.orders.append(line)


def needed(record: Mapping[str, Json], *names: str, where: str) -> Decimal:
    """Return the number under the first of ``names``. Raises BadAccount naming the field where there is none."""
    value = first(record, *names)
    number = exact(value)
    if number is None:
        raise BadAccount(
            f"a position has no {names[0]}" if value is None else f"{names[0]} is not a number",
            where=f"{where}.{names[0]}",
            expected="a decimal number",
            found="nothing" if value is None else str(value)[:40],
            hint="save the exchange's reply again, whole and unchanged",
        )
    return number


def set_modes(book: Book, reply: Reply, *, sides: Iterable[bool]) -> None:
    """Set the position mode from ``sides`` (whether each position is one leg of two), what ``settings`` say first."""
    legs = list(sides)
    stated = reply.settings.get("position_mode")
    if stated is not None:
        book.position_mode = str(stated)
    elif legs:
        book.position_mode = "hedge" if any(legs) else "one_way"
    else:
        book.note("the reply does not tell the position mode (one_way or hedge): no position is open")
    stated = reply.settings.get("collateral_mode")
    if stated is not None:
        book.collateral_mode = str(stated)
    collateral = reply.settings.get("collateral")
    if isinstance(collateral, Mapping):
        book.collateral = {asset: dict(terms) for asset, terms in collateral.items()}


def stated(reply: Reply, name: str, symbol: str) -> Json:
    """Return what the settings say under ``name`` about ``symbol``, None where they say nothing."""
    by_symbol = reply.settings.get(name)
    return by_symbol.get(symbol) if isinstance(by_symbol, Mapping) else None


def positive(value: Json) -> str | None:
    """Return a price or leverage as text; exchanges write 0 for one they do not have."""
    number = exact(value)
    return digits(value) if number is not None and number > 0 else None
