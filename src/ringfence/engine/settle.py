"""What a trade does to both sides: positions after it, PnL realised, isolated margin moved, fees, all as postings.

PnL is paid between a trader and the contract's clearing account, so that what one side is paid before the other
realises it never has to be found elsewhere. Entry values are kept exactly: a partial close takes its share of the
entry value, divided once, and what is left stays with the position.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence import ledger as books
from ringfence.account import MarginMode, PositionMode
from ringfence.engine.events import Traded
from ringfence.engine.state import FUND, HOUSE
from ringfence.ledger import move
from ringfence.numbers import ROUND_CEILING, ROUND_HALF_EVEN, VALUE_PLACES, ZERO, divide

if TYPE_CHECKING:
    from ringfence.contract import Contract
    from ringfence.engine.state import State
    from ringfence.ledger import Posting
    from ringfence.numbers import Price, Quantity, Rate, Value


class Side(NamedTuple):
    """One side of a trade to be: who, which leg, and the fee rate it pays (0 for none)."""

    trader: str
    leg: str = "net"
    fee_rate: Rate = ZERO


class Trade(NamedTuple):
    """A trade to be. ``cause`` as in :class:`ringfence.engine.events.Traded`; a fee goes into ``fee_to``."""

    symbol: str
    price: Price
    quantity: Quantity
    cause: str
    buyer: Side
    seller: Side
    maker: str | None = None
    maker_order: str | None = None
    taker_order: str | None = None
    fee_to: str = books.FEES


class _After(NamedTuple):
    quantity: Quantity
    entry_value: Value
    postings: tuple[Posting, ...]


def leg_of(state: State, trader: str, side: str, position_side: str | None) -> str:
    """Return the leg a buy or sell of ``trader`` works on."""
    if state.trader(trader).position_mode is PositionMode.ONE_WAY:
        return "net"
    return position_side or ("long" if side == "buy" else "short")


def traded(state: State, trade: Trade, *, command: str, at: int) -> Traded:
    """Return the event of ``trade``: both positions after it, and balanced postings."""
    contract = state.rulebook.contract(trade.symbol)
    buyer = _after(state, contract, trade, trade.buyer, trade.quantity)
    if trade.buyer.trader == trade.seller.trader and trade.buyer.leg == trade.seller.leg:
        raise AssertionError("a trader cannot trade a leg with itself")
    seller = _after(state, contract, trade, trade.seller, -trade.quantity)
    return Traded(
        command,
        at,
        trade.symbol,
        trade.price,
        trade.quantity,
        trade.cause,
        trade.buyer.trader,
        trade.buyer.leg,
        buyer.quantity,
        buyer.entry_value,
        trade.seller.trader,
        trade.seller.leg,
        seller.quantity,
        seller.entry_value,
        trade.maker,
        trade.maker_order,
        trade.taker_order,
        buyer.postings + seller.postings,
    )


def cash_account(trader: str) -> str:
    """Return the ledger account of a trader's cash; the insurance fund trades out of the fund itself."""
    return books.INSURANCE if trader == FUND else books.wallet(trader)


def _after(state: State, contract: Contract, trade: Trade, side: Side, delta: Quantity) -> _After:
    asset, symbol = contract.settle_asset, contract.symbol
    held = state.trader(side.trader).held.get((symbol, side.leg))
    quantity = held.quantity if held is not None else ZERO
    entry = held.entry_value if held is not None else ZERO
    closing = min(abs(delta), abs(quantity)) if quantity * delta < 0 else ZERO
    value = contract.unit_value(trade.price)
    own = cash_account(side.trader)
    isolated = _isolated(state, side, symbol)
    postings: tuple[Posting, ...] = ()
    if closing:
        part = closing if quantity > 0 else -closing
        whole = closing == abs(quantity)
        share = entry if whole else divide(entry * part, quantity, places=VALUE_PLACES, rounding=ROUND_HALF_EVEN)
        realised = part * value - share
        quantity, entry = quantity - part, entry - share
        postings += _realise(state, contract, side, isolated, realised, closing, whole=whole)
        delta += part
    if delta:
        quantity, entry = quantity + delta, entry + delta * value
        if isolated is not None:
            leverage = state.trader(side.trader).leverage.get(symbol)
            opened = abs(delta) * contract.contract_value(trade.price)
            margin = (
                opened if leverage is None else divide(opened, leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)
            )
            postings += move(asset, margin, out_of=own, into=isolated)
    fee = side.fee_rate * trade.quantity * contract.contract_value(trade.price)
    if side.trader != HOUSE:
        postings += pay(state, side.trader, asset, fee, into=trade.fee_to, use="fees")
    return _After(quantity, entry, postings)


def _isolated(state: State, side: Side, symbol: str) -> str | None:
    """Return the ledger account of the leg's own margin, or None for a cross one."""
    if side.trader in {HOUSE, FUND}:
        return None
    mode = state.trader(side.trader).margin_mode.get(symbol, MarginMode.CROSS)
    return books.isolated(side.trader, symbol, side.leg) if mode is MarginMode.ISOLATED else None


def _realise(
    state: State,
    contract: Contract,
    side: Side,
    isolated: str | None,
    realised: Value,
    closing: Quantity,
    *,
    whole: bool,
) -> tuple[Posting, ...]:
    """Return postings that pay PnL, and release margin of an isolated position with what is closed.

    A loss is taken from the position's own margin before anything is released, so it never reaches the wallet.
    """
    asset, clearing = contract.settle_asset, books.clearing(contract.symbol)
    own = cash_account(side.trader)
    if isolated is None:
        if realised >= 0:
            return move(asset, realised, out_of=clearing, into=own)
        return pay(state, side.trader, asset, -realised, into=clearing, use="losses")
    postings = move(asset, realised, out_of=clearing, into=isolated)
    margin = state.ledger.balance(isolated, asset)
    if whole:
        return postings + move(asset, max(ZERO, margin + realised), out_of=isolated, into=own)
    held = state.trader(side.trader).held[contract.symbol, side.leg]
    share = divide(margin * closing, abs(held.quantity), places=VALUE_PLACES)
    return postings + move(asset, max(ZERO, share + realised), out_of=isolated, into=own)


def pay(state: State, trader: str, asset: str, amount: Value, *, into: str, use: str) -> tuple[Posting, ...]:
    """Return postings that charge a trader ``amount`` (≥ 0): cash and bonus in the order its venue spends them.

    ``use`` is ``fees``, ``funding`` or ``losses``; the rulebook's ``bonus`` says ``bonus_first``, ``own_first``,
    ``half`` (from each alike), ``pro_rata`` (by what there is) or ``never`` for it. What neither covers leaves the
    wallet below 0.
    """
    if not amount:
        return ()
    credit = ZERO if trader in {HOUSE, FUND} else state.ledger.balance(books.bonus(trader), asset)
    own = cash_account(trader)
    from_bonus = ZERO
    if credit:
        order = state.rulebook.bonus_use.get(use, "own_first")
        cash = max(ZERO, state.ledger.balance(own, asset))
        if order == "bonus_first":
            from_bonus = min(amount, credit)
        elif order == "pro_rata":
            both = credit + cash
            from_bonus = min(credit, divide(amount * credit, both, places=VALUE_PLACES))
        elif order == "half":
            from_bonus = min(credit, divide(amount, Decimal(2), places=VALUE_PLACES))
        elif order == "own_first":
            from_bonus = min(credit, max(ZERO, amount - cash))
    return move(asset, from_bonus, out_of=books.bonus(trader), into=into) + move(
        asset, amount - from_bonus, out_of=own, into=into
    )


__all__ = ["Side", "Trade", "cash_account", "leg_of", "pay", "traded"]
