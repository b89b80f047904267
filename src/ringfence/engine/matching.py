"""Orders against the book and the tape's market: carried out fill by fill, each one paid for by both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ringfence.engine.events import OrderAmended, OrderClosed
from ringfence.engine.liquidity import NOTHING_CONSUMED, first_offer
from ringfence.engine.orderbook import Incoming, Plan, PlannedFill, beyond, plan, plan_tick
from ringfence.engine.settle import MARKET, Side, Trade, leg_of, overdraws, traded
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.contract import Contract
    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event, Traded
    from ringfence.engine.liquidity import Consumed, Liquidity, Offer
    from ringfence.engine.state import State
    from ringfence.engine.trader import Order
    from ringfence.numbers import Price, Quantity, Rate, Value


class Execution(NamedTuple):
    """What an order that is carried out is filled with: who, with which fee, why, and what it is called.

    ``bounded``: whether its trader may not be left owing (:func:`ringfence.engine.settle.overdraws`); a forced order
    has its bound in its price.
    """

    side: Side
    cause: str
    order: str | None = None
    bounded: bool = True


class Outcome:
    """How far an execution came: ``filled``, and the plan that says what becomes of the rest.

    ``equity``: what its trader's shared pool is worth at the mark, None where nothing is bounded by it; ``ask``: what a
    unit of the settlement asset that is lost takes off it (1 but in a basket). No fill may
    take more than is left of it by its price and fee: an order that finds too little offered stops there, and does not
    bankrupt its trader.
    """

    __slots__ = ("ask", "equity", "filled", "makers", "plan", "stopped")

    def __init__(self, equity: Value | None = None, ask: Value = ONE) -> None:
        self.equity = equity
        self.ask = ask
        self.filled: Quantity = ZERO
        self.plan: Plan | None = None
        self.stopped = False  # its trader could not pay for more
        self.makers: dict[str, None] = {}


def liquidity(state: State, symbol: str) -> Liquidity | None:
    """Return what the tape's market offers in a symbol now, around the last price, or the mark where there is none."""
    price = state.last.get(symbol, state.marks.get(symbol))
    if price is None:
        return None
    kept = state.offered.get(symbol)
    if kept is not None and kept.mid is price:  # the very one: 100.0 and 100.00 are equal, and not the same bytes
        return kept
    found = state.offered[symbol] = state.setup.market.liquidity(state.rulebook.contract(symbol), price)
    return found


def consumed(state: State, symbol: str) -> Consumed:
    """Return what takers have used of the tape's market since its price changed."""
    return state.consumed.get(symbol, NOTHING_CONSUMED)


def plan_order(state: State, incoming: Incoming, symbol: str) -> Plan:
    """Return what ``incoming`` would do on the symbol's book, tape's market included. Changes nothing."""
    return plan(state.book(symbol), liquidity(state, symbol), incoming, consumed=consumed(state, symbol))


def out_of_reach(state: State, symbol: str, side: str, limit: Price | None) -> bool:
    """Whether an order of ``side`` that goes no further than ``limit`` surely finds nobody to trade with.

    By the first offer of the tape's market alone; where orders rest on the other side the book has to be asked.
    """
    if limit is None or _somebody_rests(state, symbol, side):
        return False
    first = of_tape_first(state, symbol, side)
    return first is None or beyond(first.price, limit, side)


def at_once(state: State, symbol: str, side: str, quantity: Quantity) -> PlannedFill | None:
    """Return the one fill of a market order that the tape's first offer takes whole; None where it needs a plan."""
    first = of_tape_first(state, symbol, side)
    if first is None or first.quantity < quantity:
        return None
    return PlannedFill(None, None, first.price, min(first.quantity, quantity))


def of_tape_first(state: State, symbol: str, side: str) -> Offer | None:
    """Return what a taker of ``side`` meets first in the tape's market; None where it has nothing, or orders rest."""
    offered = liquidity(state, symbol)
    if offered is None or _somebody_rests(state, symbol, side):
        return None
    return first_offer(offered, side, state.consumed.get(symbol, NOTHING_CONSUMED))


def _somebody_rests(state: State, symbol: str, side: str) -> bool:
    """Whether orders rest that an order of ``side`` would meet."""
    book = state.books.get(symbol)
    return book is not None and book.best("sell" if side == "buy" else "buy") is not None


def execute(
    state: State, symbol: str, incoming: Incoming, execution: Execution, outcome: Outcome, command: Command,
    *, planned: Plan | None = None,
) -> Iterator[Event]:  # fmt: skip
    """Yield the trades of an incoming order and what they do to the makers' orders; ``outcome`` tells how far it came.

    Planned anew whenever a fill changed the book beyond itself (a maker's other orders only reduce, or cannot be paid
    for any more), so that no plan outlives the book it was made on. ``planned``: the first plan, if there is one.
    """
    left = incoming.quantity
    while True:
        if planned is None:
            again = incoming if left == incoming.quantity else replace(incoming, quantity=left)
            planned = plan_order(state, again, symbol)
        outcome.plan = planned
        for key in planned.cancelled_makers:
            order = state.booked(key)
            yield OrderClosed(command.id, command.at, order.account, order.id, "self_trade")
        changed = False
        for fill in planned.fills:
            if fill.maker_order_id is not None and fill.maker_order_id not in state.book(symbol):
                changed = True
                break
            event, refused = _fill_event(state, symbol, incoming.side, fill, execution, command)
            if event is None and refused is not None:
                yield OrderClosed(command.id, command.at, refused.account, refused.id, "insufficient_balance")
                changed = True
                break
            if event is None or not _affords(state, event, incoming.side, execution, outcome):
                outcome.stopped = True
                return
            yield event
            left -= fill.quantity
            outcome.filled += fill.quantity
            if fill.maker_account is not None:
                outcome.makers[fill.maker_account] = None
                for after in after_fill(state, symbol, fill, command):
                    changed = changed or not isinstance(after, OrderClosed) or after.reason != "filled"
                    yield after
            if changed:
                break
        if not changed or not left:
            return
        planned = None


def _fill_event(
    state: State, symbol: str, side: str, fill: PlannedFill, execution: Execution, command: Command
) -> tuple[Traded | None, Order | None]:
    """Return a planned fill as a trade; or None, and the maker's order that cannot be paid for (None: the taker's)."""
    order = None if fill.maker_order_id is None else state.booked(fill.maker_order_id)
    maker = _maker(state, order)
    own = execution.side
    buyer, seller = (own, maker) if side == "buy" else (maker, own)
    trade = Trade(
        symbol, fill.price, fill.quantity, execution.cause, buyer, seller, fill.maker_account,
        None if order is None else order.id, execution.order,
    )  # fmt: skip
    event = traded(state, trade, command=command.id, at=command.at)
    if order is not None and overdraws(state, event, maker):
        return None, order
    if execution.bounded and overdraws(state, event, own):
        return None, None
    return event, None


def _affords(state: State, event: Traded, side: str, execution: Execution, outcome: Outcome) -> bool:
    """Take what a fill costs against the mark, with its fee, off the equity there is; whether it is enough."""
    mark = state.marks.get(event.symbol)
    if outcome.equity is None or mark is None:
        return True
    contract = state.rulebook.contract(event.symbol)
    lost = event.quantity * (contract.unit_value(event.price) - contract.unit_value(mark))
    fee = execution.side.fee_rate * event.quantity * contract.contract_value(event.price)
    outcome.equity -= ((lost if side == "buy" else -lost) + fee) * outcome.ask
    return outcome.equity >= 0


def _maker(state: State, order: Order | None) -> Side:
    if order is None:
        return MARKET
    leg = leg_of(state, order.account, order.side, order.position_side)
    return Side(order.account, leg, maker_rate(state, order.account, state.rulebook.contract(order.symbol)))


def forced(state: State, side: Side, symbol: str, incoming: Incoming, command: Command) -> Iterator[Event]:
    """Yield the fills of a forced order of ``side``; what nobody takes is simply missing."""
    execution = Execution(side, "liquidation", bounded=False)
    yield from execute(state, symbol, incoming, execution, Outcome(), command)
    yield from trim_reduce_only(state, side.trader, symbol, command)


def taken_by_market(state: State, symbol: str, command: Command, touched: dict[str, None]) -> Iterator[Event]:
    """Yield the fills of resting orders that the tape's price has gone through, noting in ``touched`` whose."""
    market = Execution(MARKET, "order", bounded=False)
    while True:
        book = state.books.get(symbol)
        if book is None or not len(book):
            return
        offered = liquidity(state, symbol)
        if offered is None:
            return
        planned = plan_tick(book, offered, consumed=consumed(state, symbol))
        changed = False
        for fill in planned.fills:
            if fill.maker_order_id is None or fill.maker_order_id not in book:
                changed = True
                break
            order = state.booked(fill.maker_order_id)
            touched[order.account] = None
            taker = "sell" if order.side == "buy" else "buy"
            event, refused = _fill_event(state, symbol, taker, fill, market, command)
            if event is None or refused is not None:
                yield OrderClosed(command.id, command.at, order.account, order.id, "insufficient_balance")
                changed = True
                break
            yield event
            for after in after_fill(state, symbol, fill, command):
                changed = changed or not isinstance(after, OrderClosed) or after.reason != "filled"
                yield after
            if changed:
                break
        if not changed:
            return


def after_fill(state: State, symbol: str, fill: PlannedFill, command: Command) -> Iterator[Event]:
    """Yield what a fill leaves to do on the maker's side: a used-up order closes, reduce-only orders shrink."""
    if fill.maker_order_id is None or fill.maker_account is None:
        return
    order = state.booked(fill.maker_order_id)
    if not order.quantity:
        yield OrderClosed(command.id, command.at, order.account, order.id, "filled")
    yield from trim_reduce_only(state, order.account, symbol, command)


def trim_reduce_only(state: State, name: str, symbol: str, command: Command) -> Iterator[Event]:
    """Yield amendments that keep a trader's resting reduce-only orders within what they can reduce."""
    trader = state.trader(name)
    if not trader.orders:
        return
    for order in list(trader.orders.values()):
        if order.symbol != symbol or not order.reduce_only or order.waits or order.price is None:
            continue
        most = reducible(state, name, symbol, order.side, order.position_side)
        if order.quantity <= most:
            continue
        if not most:
            yield OrderClosed(command.id, command.at, name, order.id, "reduce_only")
        else:
            yield OrderAmended(command.id, command.at, name, order.id, order.price, most, keeps_priority=True)


def reducible(state: State, name: str, symbol: str, side: str, position_side: str | None) -> Quantity:
    """Return how many contracts an order of that side can close of the leg it works on."""
    held = state.trader(name).held.get((symbol, leg_of(state, name, side, position_side)))
    if held is None or (held.quantity > 0) == (side == "buy"):
        return ZERO
    return abs(held.quantity)


def maker_rate(state: State, name: str, contract: Contract) -> Rate:
    """Return the maker fee rate that a trader pays for a contract."""
    rate = state.rates(name, contract).maker
    assert rate is not None  # noqa: S101 - the set-up's at last
    return rate


def taker_rate(state: State, name: str, contract: Contract) -> Rate:
    """Return the taker fee rate that a trader pays for a contract."""
    rate = state.rates(name, contract).taker
    assert rate is not None  # noqa: S101 - the set-up's at last
    return rate


__all__ = [
    "Execution",
    "Outcome",
    "at_once",
    "consumed",
    "execute",
    "forced",
    "liquidity",
    "maker_rate",
    "of_tape_first",
    "out_of_reach",
    "plan_order",
    "reducible",
    "taken_by_market",
    "taker_rate",
    "trim_reduce_only",
]
