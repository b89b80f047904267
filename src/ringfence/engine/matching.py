"""Orders against the book and the tape's market: what an order would fill against, as sides of trades to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.engine.events import OrderAmended, OrderClosed
from ringfence.engine.liquidity import NOTHING_CONSUMED
from ringfence.engine.orderbook import Incoming, Plan, plan
from ringfence.engine.settle import Side, leg_of
from ringfence.engine.state import HOUSE
from ringfence.numbers import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.contract import Contract
    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.liquidity import Consumed, Liquidity
    from ringfence.engine.state import State
    from ringfence.numbers import Price, Quantity, Rate


class MarketFill(NamedTuple):
    """One fill to be: the maker's side of it, and whether it uses the maker's order up."""

    maker: Side
    price: Price
    quantity: Quantity
    maker_order: str | None
    exhausts: bool

    @property
    def owner(self) -> str | None:
        """Whose resting order it is, or None for the tape's market."""
        return None if self.maker_order is None else self.maker.trader


def liquidity(state: State, symbol: str) -> Liquidity | None:
    """Return what the tape's market offers in a symbol now, around the last price, or the mark where there is none."""
    price = state.last.get(symbol, state.marks.get(symbol))
    if price is None:
        return None
    return state.setup.market.liquidity(state.rulebook.contract(symbol), price)


def consumed(state: State, symbol: str) -> Consumed:
    """Return what takers have used of the tape's market since its price changed."""
    return state.consumed.get(symbol, NOTHING_CONSUMED)


def plan_order(state: State, incoming: Incoming, symbol: str) -> Plan:
    """Return what ``incoming`` would do on the symbol's book, tape's market included. Changes nothing."""
    return plan(state.book(symbol), liquidity(state, symbol), incoming, consumed=consumed(state, symbol))


def fills(state: State, symbol: str, side: str, planned: Plan) -> list[MarketFill]:
    """Return a plan's fills as sides of trades to be."""
    made = []
    maker_side = "sell" if side == "buy" else "buy"
    for fill in planned.fills:
        if fill.maker_order_id is None:
            made.append(MarketFill(Side(HOUSE), fill.price, fill.quantity, None, exhausts=False))
            continue
        order = state.booked(fill.maker_order_id)
        leg = leg_of(state, order.account, maker_side, order.position_side)
        maker = Side(order.account, leg, maker_rate(state, state.rulebook.contract(symbol)))
        made.append(MarketFill(maker, fill.price, fill.quantity, order.id, exhausts=fill.quantity == order.quantity))
    return made


def fills_at_market(
    state: State, name: str, symbol: str, side: str, quantity: Quantity, worst: Price | None
) -> list[MarketFill]:
    """Return the fills of a forced order, no worse than ``worst``; what nobody takes is simply missing."""
    incoming = Incoming(
        account=name, side=side, quantity=quantity, limit=worst, time_in_force="IOC", self_trade="cancel_taker"
    )
    return fills(state, symbol, side, plan_order(state, incoming, symbol))


def after_fill(state: State, symbol: str, fill: MarketFill, command: Command) -> Iterator[Event]:
    """Yield what a fill leaves to do on the maker's side: a used-up order closes, reduce-only orders shrink."""
    if fill.maker_order is not None and fill.exhausts:
        yield OrderClosed(command.id, command.at, fill.maker.trader, fill.maker_order, "filled")
    if fill.maker.trader != HOUSE:
        yield from trim_reduce_only(state, fill.maker.trader, symbol, command)


def trim_reduce_only(state: State, name: str, symbol: str, command: Command) -> Iterator[Event]:
    """Yield amendments that keep a trader's resting reduce-only orders within what they can reduce."""
    trader = state.trader(name)
    for order in list(trader.orders.values()):
        if order.symbol != symbol or not order.reduce_only or order.waits or order.price is None:
            continue
        most = reducible(state, name, symbol, order.side, order.position_side)
        if not most:
            yield OrderClosed(command.id, command.at, name, order.id, "reduce_only")
        elif order.quantity > most:
            yield OrderAmended(command.id, command.at, name, order.id, order.price, most, keeps_priority=True)


def reducible(state: State, name: str, symbol: str, side: str, position_side: str | None) -> Quantity:
    """Return how many contracts an order of that side can close of the leg it works on."""
    held = state.trader(name).held.get((symbol, leg_of(state, name, side, position_side)))
    if held is None or (held.quantity > 0) == (side == "buy"):
        return ZERO
    return abs(held.quantity)


def maker_rate(state: State, contract: Contract) -> Rate:
    """Return the maker fee rate of a contract, or the set-up's where it states none."""
    return state.setup.fees.maker if contract.maker_fee_rate is None else contract.maker_fee_rate


def taker_rate(state: State, contract: Contract) -> Rate:
    """Return the taker fee rate of a contract, or the set-up's where it states none."""
    return state.setup.fees.taker if contract.taker_fee_rate is None else contract.taker_fee_rate


__all__ = [
    "MarketFill",
    "after_fill",
    "consumed",
    "fills",
    "fills_at_market",
    "liquidity",
    "maker_rate",
    "plan_order",
    "reducible",
    "taker_rate",
    "trim_reduce_only",
]
