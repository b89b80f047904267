"""Orders from placing to filling: checks, the book, triggers, and fills with their postings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.account import Collateral, MarginMode, OpenOrder, PositionMode
from ringfence.engine import commands as asked
from ringfence.engine import portfolio
from ringfence.engine.collateral import not_accepted, with_asset
from ringfence.engine.events import OrderAmended, OrderClosed, OrderDone, OrderRested, Refused, SettingChanged
from ringfence.engine.matching import (
    Execution,
    Outcome,
    execute,
    plan_order,
    reducible,
    taken_by_market,
    taker_rate,
    trim_reduce_only,
)
from ringfence.engine.orderbook import Incoming, Plan, keeps_priority
from ringfence.engine.refuse import as_event, refused
from ringfence.engine.review import review, unpriced
from ringfence.engine.settle import Side, leg_of
from ringfence.engine.triggers import Trigger, stop_direction, take_profit_direction, triggered
from ringfence.errors import BadInput
from ringfence.margin.order import against_contract, check_on, check_order
from ringfence.margin.rails import against_rails, as_fill
from ringfence.margin.refusal import Refusal
from ringfence.numbers import ONE, VALUE_PLACES, ZERO, divide, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.account import Pool
    from ringfence.contract import Contract
    from ringfence.engine.commands import Command, PlaceOrder
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.engine.trader import Order
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Quantity, Value

_TYPES = frozenset({
    "limit", "market", "stop_limit", "stop_market", "take_profit_limit", "take_profit_market",
})  # fmt: skip
_TIMES = frozenset({"GTC", "IOC", "FOK", "post_only"})


def place(state: State, command: PlaceOrder) -> Iterator[Event]:
    """Place an order: refuse it, let it wait for its trigger, or match it and rest what is left."""
    no = _malformed(state, command)
    if no is not None:
        yield refused(command, *no)
        return
    waits = command.type not in {"limit", "market"}
    if waits:
        trigger = _trigger(command)
        seen = (state.marks if command.trigger_by == "mark" else state.last).get(command.symbol)
        if seen is not None and triggered(trigger, seen):
            yield refused(command, "bad_order", f"the trigger {trigger.price} is reached already, at {seen}")
            return
        yield _rested(command, command.quantity or ZERO, trigger=trigger)
        return
    yield from _enter(state, command, command.quantity or ZERO)


def _malformed(state: State, command: PlaceOrder) -> tuple[str, str] | None:
    """Return why an order makes no sense or cannot be here, or None: choices first, then prices, then the contract."""
    if command.order in state.trader(command.account).orders:
        return "duplicate_order", f"order {command.order} is open already"
    try:
        contract = state.rulebook.contract(command.symbol)
    except BadInput as error:
        contract, unknown = None, error.message
    no = _unknown_choice(command)
    if no is None and contract is None:
        return "unknown_symbol", unknown
    if no is not None or contract is None:
        return no
    return (
        unplayed(contract, state)
        or _bad_amount(command)
        or _bad_trigger(state, command)
        or _bad_leg(state, command)
        or _against_contract(state, command, contract)
    )


def unplayed(contract: Contract, state: State) -> tuple[str, str] | None:
    """Return why the venue trades no such contract here, or None: options have no book, what expired is over."""
    if contract.option:
        return "option_not_played", f"{contract.symbol}: options are valued and stressed, but not traded by the engine"
    if contract.symbol in state.settled:
        return "settled", f"{contract.symbol} expired and was settled at {plain(state.settled[contract.symbol])}"
    if contract.expiry is not None and state.moment is not None and state.moment >= contract.expiry:
        return "past_expiry", f"{contract.symbol} expired at {contract.expiry.isoformat()}"
    return None


def _unknown_choice(command: PlaceOrder) -> tuple[str, str] | None:
    if command.side not in {"buy", "sell"} or command.type not in _TYPES or command.time_in_force not in _TIMES:
        return "unknown_choice", f"{command.side} {command.type} {command.time_in_force}"
    if command.trigger_by not in {"mark", "last"}:
        return "unknown_choice", f"trigger by {command.trigger_by}"
    return None


def _bad_amount(command: PlaceOrder) -> tuple[str, str] | None:
    if (command.quantity is None) != command.close_position:
        return "bad_order", "either a quantity or close_position"
    if command.quantity is not None and command.quantity <= 0:
        return "not_positive", f"a quantity of {command.quantity}"
    if command.type.endswith("limit") and (command.price is None or command.price <= 0):
        return "bad_order", "a limit order needs a price above 0"
    if command.type.endswith("market") and (command.price is not None or command.time_in_force == "post_only"):
        return "bad_order", "a market order has no price and is not post-only"
    return None


def _bad_trigger(state: State, command: PlaceOrder) -> tuple[str, str] | None:
    if command.type not in {"limit", "market"}:
        if command.trigger_price is None or command.trigger_price <= 0:
            return "bad_order", "a stop or take-profit order needs a trigger price above 0"
        return None
    if command.trigger_price is not None or command.close_position:
        return "bad_order", "a trigger price and close_position belong to stop and take-profit orders"
    if command.symbol not in state.marks:
        return "no_price", f"no mark for {command.symbol} yet"
    if ("mark", command.symbol) in state.doubts:
        return "price_in_doubt", f"the mark of {command.symbol} jumped: nobody trades until it is known what it is"
    return None


def _bad_leg(state: State, command: PlaceOrder) -> tuple[str, str] | None:
    mode = state.trader(command.account).position_mode
    if command.position_side is not None and (
        mode is not PositionMode.HEDGE or command.position_side not in {"long", "short"}
    ):
        return "bad_order", f"position_side {command.position_side} in {mode.value} mode"
    return None


def _against_contract(state: State, command: PlaceOrder, contract: Contract) -> tuple[str, str] | None:
    if command.quantity is None:
        return None
    refusal = against_contract(
        command.symbol, command.quantity, command.price or state.marks.get(command.symbol, ONE), contract,
        reduce_only=command.reduce_only, limit=command.price is not None,
    )  # fmt: skip
    return None if refusal is None else (refusal.reason, refusal.message)


def _trigger(command: PlaceOrder) -> Trigger:
    assert command.trigger_price is not None  # noqa: S101 - checked in _malformed
    direction = stop_direction(command.side) if command.type.startswith("stop") else take_profit_direction(command.side)
    return Trigger(command.trigger_price, direction, command.trigger_by)


def _rested(
    command: PlaceOrder, quantity: Quantity, *, trigger: Trigger | None = None, reduces: bool = False
) -> OrderRested:
    return OrderRested(
        command.id, command.at, command.account, command.order, command.symbol, command.side, quantity, command.price,
        command.reduce_only or reduces, command.position_side, command.time_in_force,
        None if trigger is None else trigger.price, command.trigger_by,
        trigger is not None and trigger.direction == "at_or_above", command.close_position,
    )  # fmt: skip


def _enter(state: State, command: PlaceOrder, quantity: Quantity) -> Iterator[Event]:
    """Match an order that is active now, and rest what is left of it."""
    name, symbol = command.account, command.symbol
    if (missing := unpriced(state, name)) is not None:
        yield refused(command, "no_price", f"no mark for {missing} yet, which {name} holds")
        return
    closes = _closes(command, state)
    if closes:
        quantity = min(quantity, reducible(state, name, symbol, command.side, command.position_side))
        if not quantity:
            yield refused(command, "reduce_only", f"no position in {symbol} for {command.side} to reduce")
            return
    incoming = _incoming(state, command, quantity)
    planned = plan_order(state, incoming, symbol)
    if planned.rejected is not None:
        reason = {"post_only_would_take": "post_only_would_take", "fok_not_fillable": "fill_or_kill"}.get(
            planned.rejected, "no_liquidity"
        )
        yield refused(command, reason, f"{symbol}: {planned.rejected.replace('_', ' ')}")
        return
    before = None
    if not closes:
        checked = _affordable(state, command, quantity, planned)
        if isinstance(checked, Refused):
            yield checked
            return
        before = checked
        yield from _mode_by_guard_rails(state, command)
    shared = state.trader(name).margin_mode.get(symbol) is not MarginMode.ISOLATED
    if closes and shared and planned.fills:
        before = _shared_pool(state, command)
    outcome = Outcome(before.margin_balance if before is not None and shared else None, _ask(state, before, symbol))
    execution = Execution(
        Side(name, leg_of(state, name, command.side, command.position_side),
             taker_rate(state, name, state.rulebook.contract(symbol))),
        "order", command.order,
    )  # fmt: skip
    yield from execute(state, symbol, incoming, execution, outcome, command, planned=planned)
    left, last = quantity - outcome.filled, outcome.plan or planned
    if left and last.resting and not outcome.stopped:
        yield _rested(command, left, reduces=closes)
    else:
        reason = (
            "insufficient_balance" if outcome.stopped else (last.expiry or "immediate_or_cancel") if left else "filled"
        )
        yield OrderDone(command.id, command.at, name, command.order, outcome.filled, left, reason)
    yield from trim_reduce_only(state, name, symbol, command)
    if outcome.filled:
        yield from review(state, {name: None, **outcome.makers}, command)


def _closes(command: PlaceOrder, state: State) -> bool:
    """Whether the order can only reduce: by its flag, or because in hedge mode it works against its leg."""
    if command.reduce_only or command.close_position:
        return True
    hedge = state.trader(command.account).position_mode.value == "hedge"
    return hedge and command.position_side is not None and (command.side == "buy") != (command.position_side == "long")


def _incoming(state: State, command: PlaceOrder, quantity: Quantity) -> Incoming:
    return Incoming(
        account=command.account,
        side=command.side,
        quantity=quantity,
        limit=command.price,
        time_in_force=command.time_in_force if command.price is not None else "IOC",
        self_trade=state.setup.self_trade,
        worst_price=_worst_price(state, command),
    )


def _worst_price(state: State, command: PlaceOrder) -> Price | None:
    """Return how far a market order may go: the contract's distance from the mark, or the set-up's; None: anywhere."""
    mark = state.marks.get(command.symbol)
    if command.price is not None or mark is None:
        return None
    bound = state.rulebook.contract(command.symbol).market_take_bound
    if bound is None:
        bound = state.setup.market.take_bound
    if bound is None:
        return None
    return mark * (ONE + bound if command.side == "buy" else ONE - bound)


def _shared_pool(state: State, command: PlaceOrder) -> Assessment | None:
    """Return the shared pool that an order draws on, at the present marks."""
    asset = state.rulebook.contract(command.symbol).settle_asset
    return state.assessment(command.account, state.trader(command.account).shared_pool(asset))


def _affordable(state: State, command: PlaceOrder, quantity: Quantity, planned: Plan) -> Assessment | Refused:
    """Return the pool before an order that it can carry, with the fees of what fills at once; or why it cannot."""
    name, symbol = command.account, command.symbol
    trader = state.trader(name)
    contract = state.rulebook.contract(symbol)
    before = _shared_pool(state, command)
    if before is None:
        return refused(command, "insufficient_balance", f"no {contract.settle_asset} in the wallet")
    pool = before.pool
    if trader.liquidating and {pool.name, f"isolated {symbol} long", f"isolated {symbol} short"} & set(
        trader.liquidating
    ):
        return refused(command, "being_liquidated", f"{name} is being liquidated: only orders that reduce are taken")
    price = _order_price(state, command, planned)
    leverage = trader.leverage.get(symbol)
    if leverage is None and not trader.portfolio:
        return refused(command, "leverage_unknown", f"choose a leverage for {symbol} first")
    order = OpenOrder(
        symbol, quantity if command.side == "buy" else -quantity, price, leverage, state.marks.get(symbol),
        position_side=command.position_side,
    )  # fmt: skip
    ask, unit = ONE, contract.settle_asset
    if trader.basket:
        missing = not_accepted(state, name, contract.settle_asset)
        if missing is not None:
            return refused(command, *missing)
        if trader.portfolio:
            return _affordable_in_portfolio(state, command, pool, order, planned)
        pool = with_asset(pool, contract.settle_asset, state.rulebook, state.index.get(contract.settle_asset))
        no, before, _, needed = check_order(pool, order, state.marks, state.rulebook)
        ask, unit = pool.collateral[contract.settle_asset].ask, "in the account's currency"
    else:
        no, needed = check_on(before, order, state.marks, state.rulebook)
    if no is not None and no.reason != "price_step":  # an average of fills has no step
        return as_event(command, no)
    fee = (
        ask
        * taker_rate(state, command.account, contract)
        * sum((fill.quantity * contract.contract_value(fill.price) for fill in planned.fills), ZERO)
    )
    available = before.available_balance
    if available is not None and needed and needed + fee > available:
        return refused(
            command, "insufficient_balance",
            f"needs {needed + fee} {unit} with fees, {available} is available",
        )  # fmt: skip
    return _within_rails(state, command, order) or before


def _affordable_in_portfolio(
    state: State, command: PlaceOrder, pool: Pool, order: OpenOrder, planned: Plan
) -> Assessment | Refused:
    """Return the same as :func:`_affordable`, of an account that is held to portfolio margin."""
    contract = state.rulebook.contract(command.symbol)
    cost = _cost_at_once(state, command, contract, planned) * _asks(state, contract.settle_asset)
    checked = portfolio.check(state, command.account, pool, order, cost=cost)
    if isinstance(checked, Refusal):
        return as_event(command, checked)
    return _within_rails(state, command, order) or checked


def _within_rails(state: State, command: PlaceOrder, order: OpenOrder) -> Refused | None:
    """Return what a trader's own guard rails say to an order that the venue would take, or None."""
    trader = state.trader(command.account)
    rails = trader.rails
    if rails is None:
        return None
    fill = as_fill(order, trader.margin_mode.get(command.symbol, rails.margin_mode))
    no = against_rails(state.account(command.account), fill, rails, marks=state.marks, rulebook=state.rulebook)
    return None if no is None else as_event(command, no)


def _cost_at_once(state: State, command: PlaceOrder, contract: Contract, planned: Plan) -> Value:
    """Return what an order's fills would cost at once: their fees, and what they lose against the mark (≥ 0)."""
    rate, mark = taker_rate(state, command.account, contract), contract.unit_value(state.marks[command.symbol])
    sign = 1 if command.side == "buy" else -1
    cost = ZERO
    for fill in planned.fills:
        lost = sign * (contract.unit_value(fill.price) - mark)
        cost += fill.quantity * (rate * contract.contract_value(fill.price) + max(ZERO, lost))
    return cost


def _asks(state: State, asset: str) -> Value:
    """Return what a unit of an asset costs a basket that owes it."""
    terms = state.rulebook.collateral(asset) or Collateral()
    return replace(terms, index=state.index.get(asset, ONE)).ask


def _ask(state: State, pool: Assessment | None, symbol: str) -> Value:
    """Return what a unit of a symbol's settlement asset that is lost takes off its pool's equity."""
    if pool is None or not pool.pool.collateral:
        return ONE
    return pool.pool.collateral[state.rulebook.contract(symbol).settle_asset].ask


def _mode_by_guard_rails(state: State, command: PlaceOrder) -> Iterator[Event]:
    """Choose the margin mode that a trader's guard rails want for a symbol in which none was chosen yet."""
    trader, symbol = state.trader(command.account), command.symbol
    if trader.rails is None or trader.rails.margin_mode is None or symbol in trader.margin_mode:
        return
    if trader.portfolio or (trader.basket and "isolated_margin_in_basket" in state.rulebook.refusals):
        return  # the venue holds cross only there
    if not any(held == symbol for held, _ in trader.held):
        mode = trader.rails.margin_mode.value
        yield SettingChanged(command.id, command.at, command.account, symbol, "margin_mode", mode)


def _order_price(state: State, command: PlaceOrder, planned: Plan) -> Price:
    """Return the price an order's margin is taken at: its limit, or the average it would be filled at."""
    if command.price is not None:
        return command.price
    filled = sum((fill.quantity for fill in planned.fills), ZERO)
    if not filled:
        return state.marks[command.symbol]
    cost = sum((fill.quantity * fill.price for fill in planned.fills), ZERO)
    return divide(cost, filled, places=VALUE_PLACES)


def fill_from_market(state: State, symbol: str, command: Command) -> Iterator[Event]:
    """Yield the fills of resting orders that the tape's price has gone through."""
    touched: dict[str, None] = {}
    yield from taken_by_market(state, symbol, command, touched)
    yield from review(state, touched, command)


def set_off_triggers(state: State, symbols: list[str], command: Command) -> Iterator[Event]:
    """Yield what waiting orders do that the new prices set off, in the order they came."""
    for symbol in symbols:
        waiting = state.triggers.get(symbol)
        if waiting is None or not len(waiting):
            continue
        for by, prices in (("mark", state.marks), ("last", state.last)):
            price = prices.get(symbol)
            if price is None:
                continue
            for fired in waiting.fired(by=by, price=price):
                if fired.id in waiting:
                    yield from _set_off(state, state.booked(fired.id), command)


def _set_off(state: State, order: Order, command: Command) -> Iterator[Event]:
    yield OrderClosed(command.id, command.at, order.account, order.id, "triggered")
    quantity: Quantity | None = order.quantity
    if order.close_position:
        quantity = reducible(state, order.account, order.symbol, order.side, order.position_side)
    active = asked.PlaceOrder(
        command.id, command.at, order.account, order.id, order.symbol, order.side, quantity,
        "market" if order.price is None else "limit", order.price, order.time_in_force,
        order.reduce_only or order.close_position, position_side=order.position_side,
    )  # fmt: skip
    if not quantity:
        yield OrderDone(command.id, command.at, order.account, order.id, ZERO, ZERO, "nothing_to_close")
        return
    yield from _enter(state, active, quantity)


def amend(state: State, command: asked.AmendOrder) -> Iterator[Event]:
    """Change a resting limit order's price or quantity. One that would take is refused: cancel and place anew."""
    order = state.trader(command.account).orders.get(command.order)
    if order is None:
        yield refused(command, "unknown_order", f"no open order {command.order}")
        return
    if order.waits or order.price is None:
        yield refused(command, "not_amendable", f"order {command.order} waits for its trigger")
        return
    price = command.price if command.price is not None else order.price
    quantity = command.quantity if command.quantity is not None else order.quantity
    if price <= 0 or quantity <= 0:
        yield refused(command, "not_positive", f"{quantity} at {price}")
        return
    contract = state.rulebook.contract(order.symbol)
    refusal = against_contract(order.symbol, quantity, price, contract, reduce_only=order.reduce_only, limit=True)
    if refusal is not None:
        yield as_event(command, refusal)
        return
    if order.reduce_only:
        quantity = min(quantity, reducible(state, command.account, order.symbol, order.side, order.position_side))
    resting = state.book(order.symbol).order(order.key)
    keeps = keeps_priority(resting, price=price, quantity=quantity)
    if not keeps:
        no = _cannot_move(state, command, order, price, quantity)
        if no is not None:
            yield no
            return
    yield OrderAmended(command.id, command.at, command.account, order.id, price, quantity, keeps)


def _cannot_move(
    state: State, command: asked.AmendOrder, order: Order, price: Price, quantity: Quantity
) -> Event | None:
    """Return why a resting order cannot move to a price and quantity: it would take, or cannot be afforded."""
    incoming = Incoming(
        account=order.account, side=order.side, quantity=quantity, limit=price, time_in_force="post_only",
        self_trade=state.setup.self_trade,
    )  # fmt: skip
    if plan_order(state, incoming, order.symbol).rejected is not None:
        return refused(command, "post_only_would_take", f"an amended order does not take: {price} would")
    if order.reduce_only:
        return None
    if (missing := unpriced(state, order.account)) is not None:
        return refused(command, "no_price", f"no mark for {missing} yet, which {order.account} holds")
    contract = state.rulebook.contract(order.symbol)
    trader = state.trader(order.account)
    pool = next(p for p in state.pools(order.account) if p.name == trader.shared_pool(contract.settle_asset))
    rest = list(pool.orders)
    same_pool = [
        other.id
        for other in trader.orders.values()
        if not other.waits
        and (trader.basket or state.rulebook.contract(other.symbol).settle_asset == contract.settle_asset)
    ]
    index = same_pool.index(order.id)
    old = rest.pop(index)
    moved = replace(old, price=price, quantity=quantity if order.side == "buy" else -quantity)
    if trader.portfolio:
        checked = portfolio.check(state, order.account, replace(pool, orders=tuple(rest)), moved, cost=ZERO)
        no = checked if isinstance(checked, Refusal) else None
    else:
        no = check_order(replace(pool, orders=tuple(rest)), moved, state.marks, state.rulebook).refusal
    if no is None and trader.rails is not None:
        account = replace(state.account(order.account), orders=tuple(rest))
        fill = as_fill(moved, trader.margin_mode.get(order.symbol))
        no = against_rails(account, fill, trader.rails, marks=state.marks, rulebook=state.rulebook)
    return None if no is None else as_event(command, no)


def cancel(state: State, command: asked.CancelOrder) -> Iterator[Event]:
    """Cancel one order."""
    if command.order not in state.trader(command.account).orders:
        yield refused(command, "unknown_order", f"no open order {command.order}")
        return
    yield OrderClosed(command.id, command.at, command.account, command.order, "cancelled")


def cancel_all(state: State, command: asked.CancelAllOrders) -> Iterator[Event]:
    """Cancel every order of a trader, in one symbol when given."""
    for order in list(state.trader(command.account).orders.values()):
        if command.symbol in (None, order.symbol):
            yield OrderClosed(command.id, command.at, command.account, order.id, "cancelled")


__all__ = ["amend", "cancel", "cancel_all", "fill_from_market", "place", "set_off_triggers", "unplayed"]
