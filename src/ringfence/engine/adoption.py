"""Positions that were opened elsewhere, taken over as they are: against the venue's market, without a fee.

So the whole opening of a replay is commands, and its journal needs nothing beside it. The market stands on the other
side, as in any trade with it; what the position has won or lost so far, it has won from or lost to the market.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import MarginMode, PositionMode
from ringfence.engine.collateral import not_accepted
from ringfence.engine.events import SettingChanged
from ringfence.engine.orders import unplayed
from ringfence.engine.portfolio import ISOLATED_NOT_HELD
from ringfence.engine.refuse import refused
from ringfence.engine.review import review
from ringfence.engine.settle import Side, Trade, opening_margin, traded
from ringfence.engine.state import HOUSE
from ringfence.errors import BadInput
from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from ringfence.contract import Contract
    from ringfence.engine.commands import AdoptPosition
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.rulebook import TierTable

    No: TypeAlias = tuple[str, str] | None  # the name of a refusal, and its sentence


def adopt_position(state: State, command: AdoptPosition) -> Iterator[Event]:
    """Take a position over: its leverage and margin mode, then the position, then a look at its trader.

    Refused where the trader holds that leg already, where the symbol is held or ordered in another margin mode, above
    the leverage of its tier (at the entry price), while the pool is being liquidated, and where an isolated position
    asks for more than the wallet has. A cross position needs nothing: the look that follows says how it stands.
    """
    no = _malformed(command) or _misfit(state, command)
    if no is not None:
        yield refused(command, *no)
        return
    name, symbol, leverage = command.account, command.symbol, command.leverage
    trader, mode = state.trader(name), MarginMode(command.margin_mode)
    if trader.leverage.get(symbol) != leverage:
        yield SettingChanged(command.id, command.at, name, symbol, "leverage", plain(leverage))
    if trader.margin_mode.get(symbol, MarginMode.CROSS) is not mode:
        yield SettingChanged(command.id, command.at, name, symbol, "margin_mode", mode.value)
    own, market = Side(name, _leg(state, command)), Side(HOUSE)
    buyer, seller = (own, market) if command.side == "long" else (market, own)
    trade = Trade(symbol, command.entry_price, command.quantity, "adoption", buyer, seller)
    yield traded(state, trade, command=command.id, at=command.at)
    yield from review(state, (name,), command)


def _malformed(command: AdoptPosition) -> No:
    if command.side not in {"long", "short"} or command.margin_mode not in {"isolated", "cross"}:
        return "unknown_choice", f"{command.side} {command.margin_mode}"
    for what, number, least in (
        ("a quantity", command.quantity, 0), ("an entry price", command.entry_price, 0),
        ("a leverage", command.leverage, 1),
    ):  # fmt: skip
        if not number.is_finite() or number <= 0 or number < least:
            return "not_positive", f"{what} of {number}"
    return None


def _misfit(state: State, command: AdoptPosition) -> No:
    """Return why a position cannot be held here as it is, or None."""
    try:
        contract, table = state.rulebook.entry(command.symbol)
    except BadInput as error:
        return "unknown_symbol", error.message
    pooled = state.trader(command.account).portfolio  # no leverage is chosen there
    return (
        unplayed(contract, state)
        or _beside_what_is_there(state, command, contract)
        or (None if pooled else _above_tier(command, contract, table))
        or _unfunded(state, command, contract)
    )


def _leg(state: State, command: AdoptPosition) -> str:
    return "net" if state.trader(command.account).position_mode is PositionMode.ONE_WAY else command.side


def _beside_what_is_there(state: State, command: AdoptPosition, contract: Contract) -> No:
    trader, symbol = state.trader(command.account), command.symbol
    if (symbol, _leg(state, command)) in trader.held:
        return "position_held", f"{command.account} holds {symbol} {_leg(state, command)} already"
    mode = trader.margin_mode.get(symbol, MarginMode.CROSS)
    if mode.value != command.margin_mode:
        if any(held == symbol for held, _ in trader.held):
            return "margin_mode_with_position", f"{symbol} is held {mode.value}"
        if any(order.symbol == symbol for order in trader.orders.values()):
            return "margin_mode_with_orders", f"open orders in {symbol}, which is {mode.value}"
    isolated = command.margin_mode == "isolated"
    no = None if isolated else not_accepted(state, command.account, contract.settle_asset)
    if isolated and trader.portfolio:
        no = "isolated_margin_in_portfolio", ISOLATED_NOT_HELD
    elif isolated and trader.basket and "isolated_margin_in_basket" in state.rulebook.refusals:
        no = "isolated_margin_in_basket", state.rulebook.refusals["isolated_margin_in_basket"]
    if no is not None:
        return no
    pool = f"isolated {symbol} {command.side}" if isolated else trader.shared_pool(contract.settle_asset)
    if pool in trader.liquidating:
        return "being_liquidated", f"{pool} of {command.account} is being liquidated"
    return None


def _above_tier(command: AdoptPosition, contract: Contract, table: TierTable | None) -> No:
    if table is None or not table.tiers:
        return None
    by_contracts = table.unit == "contracts"
    amount = command.quantity if by_contracts else command.quantity * contract.contract_value(command.entry_price)
    allowed = table.tiers[table.index_at(amount)].max_leverage
    if allowed is None or command.leverage <= allowed:
        return None
    return "leverage_above_tier", f"{command.symbol} allows at most {allowed} at {plain(amount)}"


def _unfunded(state: State, command: AdoptPosition, contract: Contract) -> No:
    if command.margin_mode != "isolated":
        return None
    asset = contract.settle_asset
    needed = opening_margin(contract, command.quantity, command.entry_price, command.leverage)
    there = state.ledger.balance(books.wallet(command.account), asset)
    if needed <= there:
        return None
    return "insufficient_balance", f"needs {plain(needed)} {asset} of margin, the wallet holds {plain(there)}"


__all__ = ["adopt_position"]
