"""The only writer of the state: what each event changes. No decisions here; nothing can fail on a good event."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence import guard_rails
from ringfence.account import CollateralMode, MarginMode, PositionMode
from ringfence.engine import events as happened
from ringfence.engine.bankrupt import Fall
from ringfence.engine.impact import FORCED
from ringfence.engine.items import number_text
from ringfence.engine.liquidity import NOTHING_CONSUMED
from ringfence.engine.orderbook import RestingOrder
from ringfence.engine.settle import realised_in
from ringfence.engine.state import FUND, HOUSE, Doubt, index_of
from ringfence.engine.trader import Held, Voucher
from ringfence.engine.triggers import AT_OR_ABOVE, AT_OR_BELOW, Trigger, WaitingOrder
from ringfence.ledger import voucher as voucher_account
from ringfence.numbers import ZERO, exact, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ringfence.engine.events import Event
    from ringfence.engine.liquidity import Consumed
    from ringfence.engine.state import State
    from ringfence.engine.trader import Order, Trader
    from ringfence.ledger import Posting
    from ringfence.numbers import Price, Quantity, Value


@exact
def evolve(state: State, event: Event) -> None:
    """Apply ``event``, the next one, to ``state``. Decides and refuses nothing: what happened has happened."""
    change(state, event)


def change(state: State, event: Event) -> None:
    """Apply ``event`` to ``state``, as :func:`evolve` does, for who computes in the exact context already.

    A :class:`~ringfence.engine.bankrupt.Fall` is applied as all of its events.
    """
    state.sequence += 1
    _CHANGES[type(event)](state, event)


def _nothing(state: State, event: Event) -> None:
    """A refusal or an order that never rested changes nothing but the journal."""
    del state, event


def _posted(state: State, event: happened.MoneyMoved | happened.InsuranceUsed | happened.CollateralExchanged) -> None:
    state.post(event.postings)


def _funding_paid(state: State, event: happened.FundingPaid) -> None:
    state.post(event.postings)
    _count_for_vouchers(state, event.account, event.postings)


def _voucher_credited(state: State, event: happened.VoucherCredited) -> None:
    voucher = Voucher(
        event.voucher, event.voucher_kind, event.asset, event.amount, event.share, event.until
    )  # fmt: skip
    enter_voucher(state, state.trader(event.account), voucher)
    state.post(event.postings)


def enter_voucher(state: State, trader: Trader, voucher: Voucher) -> None:
    """Give a trader a voucher; what is on it is posted apart."""
    trader.vouchers[voucher.name] = voucher
    if voucher.until is not None and (state.vouchers_end is None or voucher.until < state.vouchers_end):
        state.vouchers_end = voucher.until
    _voucher_item(state, trader.name, voucher)


def _voucher_closed(state: State, event: happened.VoucherClosed) -> None:
    state.post(event.postings)
    _drop_voucher(state, state.trader(event.account), event.voucher)


def _drop_voucher(state: State, trader: Trader, name: str) -> None:
    dropped = trader.vouchers.pop(name)
    state.item(("voucher", trader.name, name), None)
    trader.touched(state.sequence)
    if dropped.until is not None and dropped.until == state.vouchers_end:
        ends = [each.until for one in state.traders.values() for each in one.vouchers.values()]
        state.vouchers_end = min((end for end in ends if end is not None), default=None)


def _count_for_vouchers(state: State, name: str, postings: tuple[Posting, ...]) -> None:
    """Count what a trader realised for each voucher he has; one with nothing left on it is gone."""
    trader = state.traders.get(name)
    if trader is None or not trader.vouchers:
        return
    realised = realised_in(postings, name)
    for voucher in list(trader.vouchers.values()):
        if not state.ledger.balance(voucher_account(name, voucher.name), voucher.asset):
            _drop_voucher(state, trader, voucher.name)
        elif realised:
            voucher.realised += realised
            _voucher_item(state, name, voucher)


def _voucher_item(state: State, name: str, voucher: Voucher) -> None:
    text = (
        f"{voucher.kind} {voucher.asset} {plain(voucher.amount)} {plain(voucher.share)} {voucher.until} "
        f"{number_text(voucher.realised)}"
    )
    state.item(("voucher", name, voucher.name), text)


def _order_rested(state: State, event: happened.OrderRested) -> None:
    enter_order(state, state.resting(event))


def enter_order(state: State, order: Order) -> None:
    """Put an order where it belongs: with its trader, and on the book or among those that wait."""
    trader = state.trader(order.account)
    trader.orders[order.id] = order
    trader.touched(state.sequence)
    _order_item(state, order)
    if order.trigger_price is not None:
        direction = AT_OR_ABOVE if order.trigger_above else AT_OR_BELOW
        trigger = Trigger(order.trigger_price, direction, order.trigger_by)
        state.waiting(order.symbol).wait(WaitingOrder(order.key, order.account, trigger, order.sequence))
        return
    assert order.price is not None  # noqa: S101 - only limit orders rest
    state.book(order.symbol).rest(
        RestingOrder(
            order.key, order.account, order.side, order.price, order.quantity, order.sequence, order.reduce_only
        )
    )


def _order_amended(state: State, event: happened.OrderAmended) -> None:
    trader = state.trader(event.account)
    order = trader.orders[event.order]
    order.price, order.quantity = event.price, event.quantity
    if not event.keeps_priority:
        order.sequence = state.sequence
    state.book(order.symbol).amend(order.key, price=event.price, quantity=event.quantity, sequence=order.sequence)
    trader.touched(state.sequence)
    _order_item(state, order)


def _order_closed(state: State, event: happened.OrderClosed) -> None:
    trader = state.trader(event.account)
    order = trader.orders.pop(event.order)
    if order.waits:
        state.waiting(order.symbol).cancel(order.key)
    elif order.key in state.book(order.symbol):  # a filled one has left it with its last fill
        state.book(order.symbol).cancel(order.key)
    trader.touched(state.sequence)
    state.item(("order", event.account, event.order), None)
    _forget_pools(state, trader, order.symbol)


def _order_item(state: State, order: Order) -> None:
    state.item(("order", order.account, order.id), order)


def _traded(state: State, event: happened.Traded) -> None:
    _hold(state, event.buyer, event.symbol, event.buyer_leg, event.buyer_quantity, event.buyer_entry_value)
    _hold(state, event.seller, event.symbol, event.seller_leg, event.seller_quantity, event.seller_entry_value)
    state.post(event.postings)
    for name in dict.fromkeys((event.buyer, event.seller)):
        if state.traders[name].vouchers:
            _count_for_vouchers(state, name, event.postings)
    if event.maker is not None and event.maker_order is not None:
        trader = state.trader(event.maker)
        order = trader.orders[event.maker_order]
        order.quantity -= event.quantity
        state.book(event.symbol).reduce(order.key, event.quantity)
        trader.touched(state.sequence)
        _order_item(state, order)
    if HOUSE in {event.buyer, event.seller} and event.cause in {"order", "liquidation", "disposal"}:
        _taken_from_market(state, event)


def _taken_from_market(state: State, event: happened.Traded) -> None:
    taken = "buy" if event.seller == HOUSE else "sell"
    _consume(state, event.symbol, state.consumed.get(event.symbol, NOTHING_CONSUMED).plus(taken, event.quantity))
    if state.setup.impact and event.cause in FORCED:
        before, since = state.pressure.get(event.symbol, (ZERO, event.at))
        _press(state, event.symbol, before + (event.quantity if taken == "buy" else -event.quantity), since)


def _fell(state: State, fall: Fall) -> None:
    """Apply the events of a pool that fell in one go: to the state that they lead to one by one.

    What the fund gets and gives away again leaves no trace but the places that it had among the holders.
    """
    name, trader, item = fall.account, state.traders[fall.account], state.item
    state.sequence += len(fall.events) - 1  # ``change`` has counted the first
    if trader.levels.pop(fall.pool, None) is not None:
        item(("level", name, fall.pool), None)
    for trade in fall.taken:
        symbol = trade.symbol
        state.places += 1
        del trader.held[symbol, "net"]
        state.holds_no_more(name, symbol)
        item(("held", name, symbol, "net"), None)
        state.move(trade.postings)
        if trader.levels or trader.liquidating:
            _forget_pools(state, trader, symbol)
    market = state.traders.get(HOUSE) or state.trader(HOUSE)
    for trade in fall.disposed:
        _market_holds(state, market, trade)
        state.move(trade.postings)
        _taken_from_market(state, trade)
    sequence = state.sequence
    trader.touched(sequence)
    market.touched(sequence)
    state.trader(FUND).touched(sequence)


def _market_holds(state: State, market: Trader, trade: happened.Traded) -> None:
    """Change what the tape's market holds by a trade with it: as :func:`_hold`, of whom nothing has to be forgotten."""
    symbol, key = trade.symbol, (trade.symbol, "net")
    if trade.buyer == HOUSE:
        quantity, entry_value = trade.buyer_quantity, trade.buyer_entry_value
    else:
        quantity, entry_value = trade.seller_quantity, trade.seller_entry_value
    before = market.held.get(key)
    if before is None or not quantity:
        _hold(state, HOUSE, symbol, "net", quantity, entry_value)
        return
    held = market.held[key] = Held(quantity, entry_value, None, state.rulebook.contract(symbol))
    state.item(("held", HOUSE, symbol, "net"), held)


def _consume(state: State, symbol: str, consumed: Consumed) -> None:
    state.consumed[symbol] = consumed
    state.item(("consumed", symbol), consumed)


def _press(state: State, symbol: str, pressure: Quantity, since: int) -> None:
    if pressure:
        state.pressure[symbol] = (pressure, since)
    else:
        state.pressure.pop(symbol, None)
    state.item(("pressure", symbol), f"{plain(pressure)} {since}" if pressure else None)


def _price_doubted(state: State, event: happened.PriceDoubted) -> None:
    _doubt(state, event.of, event.symbol, Doubt(event.price, event.agreeing, event.at))


def _doubt(state: State, of: str, symbol: str, doubt: Doubt) -> None:
    state.doubts[of, symbol] = doubt
    state.item(("doubt", of, symbol), f"{plain(doubt.price)} {doubt.agreeing} {doubt.at}")


def _price_moved(state: State, event: happened.PriceMoved) -> None:
    state.priced = state.sequence
    for kind, price, table in (("mark", event.mark, state.marks), ("last", event.last, state.last)):
        if price is not None:
            _tell(state, kind, event.symbol, table[event.symbol])
            table[event.symbol] = price
            state.item((kind, event.symbol), plain(price))
    _forget_baskets(state, index=False)
    _press(state, event.symbol, event.pressure, event.at)


def _expiry_settled(state: State, event: happened.ExpirySettled) -> None:
    _settle(state, event.symbol, event.price)


def _settle(state: State, symbol: str, price: Price) -> None:
    state.settled[symbol] = price
    state.item(("settled", symbol), plain(price))


def _tell(state: State, kind: str, symbol: str, price: Price) -> None:
    """Remember what the tape said where the venue goes by another price: it is what its next price is held against."""
    state.told[kind, symbol] = price
    state.item(("told", kind, symbol), plain(price))


def _hold(state: State, name: str, symbol: str, leg: str, quantity: Quantity, entry_value: Value) -> None:
    trader = state.traders.get(name) or state.trader(name)
    key = (symbol, leg)
    before = trader.held.get(key)
    if quantity:
        held = trader.held[key] = Held(quantity, entry_value, None, state.rulebook.contract(symbol))
        if before is None:
            state.holds(name, symbol)
        state.item(("held", name, symbol, leg), held)
    else:
        trader.held.pop(key, None)
        if not trader.held or not any(held == symbol for held, _ in trader.held):
            state.holds_no_more(name, symbol)
        state.item(("held", name, symbol, leg), None)
    trader.touched(state.sequence)
    if before is not None and before.quantity * quantity <= 0:
        _forget_pools(state, trader, symbol)


def _forget_pools(state: State, trader: Trader, symbol: str) -> None:
    """Forget calls and liquidations of a symbol's pools that hold nothing any more: a new position starts afresh."""
    if not (trader.levels or trader.liquidating):
        return
    for side in ("long", "short"):
        pool = f"isolated {symbol} {side}"
        if (pool in trader.levels or pool in trader.liquidating) and not _isolates(trader, symbol, side):
            _forget_pool(state, trader, pool)
    asset = state.rulebook.contract(symbol).settle_asset
    pool = trader.shared_pool(asset)
    if (pool in trader.levels or pool in trader.liquidating) and not state.shares(trader, asset):
        _forget_pool(state, trader, pool)


def _isolates(trader: Trader, symbol: str, side: str) -> bool:
    """Whether a trader holds a symbol's side in a pool of its own."""
    return trader.margin_mode.get(symbol) is MarginMode.ISOLATED and any(
        of == symbol and ("long" if held.quantity > 0 else "short") == side for (of, _), held in trader.held.items()
    )


def _forget_pool(state: State, trader: Trader, pool: str) -> None:
    if pool in trader.levels:
        _mark_pool(state, trader.name, pool, "none")
    if trader.liquidating.pop(pool, None) is not None:
        state.item(("liquidating", trader.name, pool), None)


def _setting_changed(state: State, event: happened.SettingChanged) -> None:
    trader = state.trader(event.account)
    symbol = event.symbol or ""
    if event.setting == "leverage":
        trader.leverage[symbol] = Decimal(event.value)
    elif event.setting == "margin_mode":
        trader.margin_mode[symbol] = MarginMode(event.value)
        _forget_pools(state, trader, symbol)
    elif event.setting == "position_mode":
        trader.position_mode = PositionMode(event.value)
    elif event.setting == "collateral_mode":
        _change_collateral(state, trader, CollateralMode(event.value))
    elif event.setting == "fee_level":
        trader.fee_level = event.value
    elif event.setting == "fee_discounts":
        trader.discounts = tuple(event.value.split(",")) if event.value else ()
    elif event.setting == "replenishment":
        trader.replenishment[symbol] = event.value
    elif event.setting == "guard_rails":
        trader.rails = guard_rails.from_text(event.value) if event.value else None
    trader.touched(state.sequence)
    is_default = (event.setting, event.value) in {
        ("position_mode", "one_way"), ("collateral_mode", "single_asset"), ("guard_rails", ""), ("fee_discounts", ""),
    }  # fmt: skip
    state.item(("setting", event.account, symbol, event.setting), None if is_default else event.value)


def _change_collateral(state: State, trader: Trader, mode: CollateralMode) -> None:
    """Change what backs the cross positions; calls of the shared pools there were are forgotten with them."""
    trader.collateral_mode = mode
    if trader.basket:
        state.baskets[trader.name] = None
    else:
        state.baskets.pop(trader.name, None)
    for pool in [pool for pool in trader.levels if not pool.startswith("isolated ")]:
        _mark_pool(state, trader.name, pool, "none")


def _setting_items(state: State, trader: Trader) -> None:
    for symbol, leverage in trader.leverage.items():
        state.item(("setting", trader.name, symbol, "leverage"), plain(leverage))
    for symbol, mode in trader.margin_mode.items():
        state.item(("setting", trader.name, symbol, "margin_mode"), mode.value)
    if trader.position_mode is PositionMode.HEDGE:
        state.item(("setting", trader.name, "", "position_mode"), "hedge")
    if trader.basket:
        state.item(("setting", trader.name, "", "collateral_mode"), trader.collateral_mode.value)
    if trader.rails is not None:
        state.item(("setting", trader.name, "", "guard_rails"), guard_rails.write(trader.rails))
    if trader.fee_level is not None:
        state.item(("setting", trader.name, "", "fee_level"), trader.fee_level)
    if trader.discounts:
        state.item(("setting", trader.name, "", "fee_discounts"), ",".join(trader.discounts))
    for symbol, chosen in trader.replenishment.items():
        state.item(("setting", trader.name, symbol, "replenishment"), chosen)


def _prices_changed(state: State, event: happened.PricesChanged) -> None:
    state.priced = state.sequence
    item, consumed = state.item, state.consumed
    for kind, prices, table in (
        ("mark", event.marks, state.marks),
        ("last", event.last, state.last),
        ("index", event.index, state.index),
    ):
        for symbol, price in prices:
            table[symbol] = price
            item((kind, symbol), price)
            if kind == "mark":
                state.marked_at[symbol] = event.at
                item(("marked_at", symbol), str(event.at))
            elif kind == "index" and symbol not in state.marks:  # of an asset, not of a contract's symbol
                state.marked_at[index_of(symbol)] = event.at
                item(("marked_at", index_of(symbol)), str(event.at))
            if consumed and consumed.pop(symbol, None) is not None:
                item(("consumed", symbol), None)
            if state.told and state.told.pop((kind, symbol), None) is not None:
                item(("told", kind, symbol), None)
            if state.doubts and state.doubts.pop((kind, symbol), None) is not None:
                item(("doubt", kind, symbol), None)
    _forget_baskets(state, index=bool(event.index))


def _forget_baskets(state: State, *, index: bool) -> None:
    """Forget the views of baskets after an index moved; of portfolio accounts after any price: time is in them."""
    for name in state.baskets:
        trader = state.traders[name]
        if index or trader.portfolio:
            trader.forget()


def _margin_called(state: State, event: happened.MarginCalled) -> None:
    _mark_pool(state, event.account, event.pool, event.level)


def _mark_pool(state: State, name: str, pool: str, level: str) -> None:
    trader = state.trader(name)
    if level == "none":
        trader.levels.pop(pool, None)
    else:
        trader.levels[pool] = level
    state.item(("level", name, pool), None if level == "none" else level)


def _liquidation_started(state: State, event: happened.LiquidationStarted) -> None:
    state.trader(event.account).liquidating[event.pool] = 0
    state.item(("liquidating", event.account, event.pool), "0")


def _liquidation_ended(state: State, event: happened.LiquidationEnded) -> None:
    trader = state.trader(event.account)
    outcome, _, until = event.outcome.partition(" ")
    if outcome == "waiting":  # for the next price: it goes on then
        return
    if outcome == "cooldown":
        trader.liquidating[event.pool] = int(until)
        state.item(("liquidating", event.account, event.pool), until)
        return
    trader.liquidating.pop(event.pool, None)
    state.item(("liquidating", event.account, event.pool), None)
    if outcome == "closed":
        _mark_pool(state, event.account, event.pool, "none")


def _rulebook_adopted(state: State, event: happened.RulebookAdopted) -> None:
    _adopt(state, event.rulebook, event.as_of)
    for trader in state.traders.values():
        trader.touched(state.sequence)


def _adopt(state: State, name: str, as_of: str | None) -> None:
    state.offered.clear()
    state.fee_rates.clear()
    state.terms.clear()
    state.priced = state.sequence
    state.rulebook = state.setup.rulebook(name, as_of)
    state.adopted = (name, as_of)
    state.item(("rulebook",), f"{name} {as_of}")


def _venue_set_up(state: State, event: happened.VenueSetUp) -> None:
    state.set_up = event.setup
    state.item(("set_up",), event.setup)


def _resumed(state: State, event: happened.Resumed) -> None:
    """No mark from before counts as fresh any more. Prices stay: they are what the next ones are compared with."""
    del event
    for symbol in state.marked_at:
        state.item(("marked_at", symbol), None)
    state.marked_at.clear()
    _forget_baskets(state, index=False)


@exact
def restore_items(state: State) -> None:
    """Compute the items of the digest anew from everything else, as a state read from a snapshot needs them."""
    for account, asset, balance in state.ledger.entries():
        state.item(("money", account, asset), balance)
    for trader in state.traders.values():
        _trader_items(state, trader)
    for kind, table in (("mark", state.marks), ("last", state.last), ("index", state.index)):
        for symbol, price in table.items():
            state.item((kind, symbol), price)
    for symbol, at in state.marked_at.items():
        state.item(("marked_at", symbol), str(at))
    for symbol, consumed in state.consumed.items():
        _consume(state, symbol, consumed)
    for symbol, (pressure, since) in state.pressure.items():
        _press(state, symbol, pressure, since)
    for (of, symbol), doubt in state.doubts.items():
        _doubt(state, of, symbol, doubt)
    for (kind, symbol), price in state.told.items():
        _tell(state, kind, symbol, price)
    for symbol, price in state.settled.items():
        _settle(state, symbol, price)
    state.item(("set_up",), state.set_up)
    if state.adopted is not None:
        state.item(("rulebook",), f"{state.adopted[0]} {state.adopted[1]}")


def _trader_items(state: State, trader: Trader) -> None:
    for key, held in trader.held.items():
        state.item(("held", trader.name, *key), held)
    for order in trader.orders.values():
        _order_item(state, order)
    _setting_items(state, trader)
    for voucher in trader.vouchers.values():
        _voucher_item(state, trader.name, voucher)
    for pool, level in trader.levels.items():
        state.item(("level", trader.name, pool), level)
    for pool, until in trader.liquidating.items():
        state.item(("liquidating", trader.name, pool), str(until))


_CHANGES: dict[type[Event], Callable[[State, Any], None]] = {
    Fall: _fell,
    happened.Refused: _nothing,
    happened.OrderDone: _nothing,
    happened.PriceRejected: _nothing,
    happened.LiquidationStep: _nothing,
    happened.MoneyMoved: _posted,
    happened.FundingPaid: _funding_paid,
    happened.VoucherCredited: _voucher_credited,
    happened.VoucherClosed: _voucher_closed,
    happened.InsuranceUsed: _posted,
    happened.CollateralExchanged: _posted,
    happened.OrderRested: _order_rested,
    happened.OrderAmended: _order_amended,
    happened.OrderClosed: _order_closed,
    happened.Traded: _traded,
    happened.SettingChanged: _setting_changed,
    happened.PricesChanged: _prices_changed,
    happened.PriceDoubted: _price_doubted,
    happened.PriceMoved: _price_moved,
    happened.ExpirySettled: _expiry_settled,
    happened.MarginCalled: _margin_called,
    happened.LiquidationStarted: _liquidation_started,
    happened.LiquidationEnded: _liquidation_ended,
    happened.RulebookAdopted: _rulebook_adopted,
    happened.VenueSetUp: _venue_set_up,
    happened.Resumed: _resumed,
}

__all__ = ["change", "enter_order", "enter_voucher", "evolve", "restore_items"]
