"""Closing positions of a pool by force: forced orders, clearance fees, and handing over to the insurance fund."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import PositionMode
from ringfence.engine.collateral import settle_rest
from ringfence.engine.deleveraging import dispose
from ringfence.engine.events import InsuranceUsed, MoneyMoved, OrderClosed, Traded
from ringfence.engine.matching import forced, out_of_reach, plan_order, trim_reduce_only
from ringfence.engine.orderbook import Incoming
from ringfence.engine.settle import INSURANCE_FUND, Side, Trade, fund_account, traded
from ringfence.ledger import move
from ringfence.margin.basket import amount_for
from ringfence.margin.price import bankruptcy_price
from ringfence.margin.restore import smallest_reduction
from ringfence.numbers import ONE, PRICE_PLACES, ROUND_CEILING, ROUND_FLOOR, VALUE_PLACES, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Price, Quantity, Rate, Value

_SIZINGS = 16  # a size that pays for its own slippage is found in a few rounds; more are not worth a better fit


class Case:
    """A pool that is being liquidated: whose, which, and the command that led to it.

    ``isolated``: whether the pool ring-fences one position. ``portfolio``: whether it is held to portfolio margin.
    """

    __slots__ = ("_limits", "command", "isolated", "name", "pool", "portfolio", "state")

    def __init__(self, state: State, name: str, pool: str, command: Command) -> None:
        self.state = state
        self.name = name
        self.pool = pool
        self.command = command
        self.isolated = pool.startswith("isolated ")
        self.portfolio = not self.isolated and state.trader(name).portfolio
        self._limits: list[tuple[PositionLine, Price | None]] = []

    def limit(self, assessment: Assessment, line: PositionLine) -> Price | None:
        """Return how far forced trades of a line go (:func:`_bound`): several steps ask for it, it is solved once."""
        for known, price in self._limits:
            if known is line:
                return price
        price = _bound(assessment, line)
        self._limits.append((line, price))
        return price

    def closed(self) -> bool:
        """Whether the pool holds nothing any more, told without assessing what there may be."""
        trader = self.state.traders[self.name]
        if not self.isolated:
            return not trader.basket and not self.state.shares(trader, self.pool.removeprefix("cross "))
        _, symbol, side = self.pool.split(" ")
        return (symbol, self.leg(side)) not in trader.held

    def assessed(self) -> Assessment | None:
        """Return the pool at the present marks, or None where it holds nothing any more."""
        kept = self.state.traders[self.name].assessed.get(self.pool)
        if kept is None or kept[0] != self.state.priced:
            pool = self.state.pool(self.name, self.pool)
            if pool is None or not (pool.positions or pool.orders):
                return None
            return self.state.assessment(self.name, self.pool)
        return kept[1] if kept[1].lines or kept[1].orders else None

    def line(self, key: tuple[str, str]) -> tuple[Assessment, PositionLine] | None:
        """Return the pool as it is now with the line of a symbol and side, or None where that is closed."""
        assessment = self.assessed()
        if assessment is None:
            return None
        symbol, side = key
        for line in assessment.lines:
            if line.position.symbol == symbol and line.position.side == side:
                return assessment, line
        return None

    def leg(self, side: str) -> str:
        """Return the name of the leg that a side is held in."""
        return "net" if self.state.traders[self.name].position_mode is PositionMode.ONE_WAY else side

    def margin_account(self, line: PositionLine) -> str:
        """Return the ledger account of the pool's cash as far as a line's own margin goes."""
        if self.isolated:
            return books.isolated(self.name, line.position.symbol, self.leg(line.position.side))
        return books.wallet(self.name)


def key_of(line: PositionLine) -> tuple[str, str]:
    """Return what tells a position from others of its pool: symbol and side, as :meth:`Case.line` takes it."""
    return line.position.symbol, line.position.side


def cancel_orders(case: Case) -> Iterator[OrderClosed]:
    """Cancel the pool's orders: of an isolated position those of its symbol, else all that draw on the pool."""
    state, isolated = case.state, case.isolated
    if not state.trader(case.name).orders:
        return
    basket = state.trader(case.name).basket
    asset = case.pool.removeprefix("cross ")
    symbols = {p.symbol for pool in state.pools(case.name) if pool.name == case.pool for p in pool.positions}
    for order in list(state.trader(case.name).orders.values()):
        own = order.symbol in symbols
        if not isolated:
            own = basket or state.rulebook.contract(order.symbol).settle_asset == asset
        if own:
            yield OrderClosed(case.command.id, case.command.at, case.name, order.id, "liquidation")


def net_opposing_legs(case: Case) -> Iterator[Event]:
    """Close the smaller leg of each symbol held both ways in a shared pool against the larger one, at the mark."""
    state, name = case.state, case.name
    if case.isolated or state.trader(name).position_mode is PositionMode.ONE_WAY:
        return
    assessment = case.assessed()
    if assessment is None:
        return
    for symbol in dict.fromkeys(line.position.symbol for line in assessment.lines):
        held = state.trader(name).held
        long, short = held.get((symbol, "long")), held.get((symbol, "short"))
        if long is None or short is None:
            continue
        quantity = min(long.quantity, -short.quantity)
        trade = Trade(symbol, state.marks[symbol], quantity, "netting", Side(name, "short"), Side(name, "long"))
        yield traded(state, trade, command=case.command.id, at=case.command.at)
        yield from trim_reduce_only(state, name, symbol, case.command)


# ── Forced orders ─────────────────────────────────────────────────────────────────────────────────────────────────


def close(
    case: Case, assessment: Assessment, line: PositionLine, quantity: Quantity, *, time_in_force: str = "IOC"
) -> Iterator[Event]:
    """Yield the fills of a forced order of ``quantity`` of a line, no worse than the line's bankruptcy price.

    The clearance fee is charged once at the end, so that it never makes a later fill one that the pool cannot bear.
    """
    own, wallet = Side(case.name, case.leg(line.position.side)), books.wallet(case.name)
    value = released = ZERO
    incoming = _order(case, assessment, line, quantity, time_in_force)
    for event in forced(case.state, own, line.position.symbol, incoming, case.command):
        yield event
        if isinstance(event, Traded) and case.name in {event.buyer, event.seller} and event.cause == "liquidation":
            value += event.quantity * line.contract.contract_value(event.price)
            released += sum((one.amount for one in event.postings if one.account == wallet), ZERO)
    if value:
        yield from _clearance_fee(case, line, value, released)


def _order(
    case: Case, assessment: Assessment, line: PositionLine, quantity: Quantity, time_in_force: str = "IOC"
) -> Incoming:
    position = line.position
    return Incoming(
        account=case.name,
        side="sell" if position.quantity > 0 else "buy",
        quantity=min(quantity, abs(position.quantity)),
        limit=case.limit(assessment, line),
        time_in_force=time_in_force,
        self_trade="cancel_taker",
    )


def _bound(assessment: Assessment, line: PositionLine) -> Price | None:
    """Return the price beyond which no forced trade of a line goes: its bankruptcy price.

    In portfolio margin no position has one of its own: the account's equity is shared out by value (ours), so that
    each line is at most as far from its mark as equity ÷ gross value. None where that is no price.
    """
    if assessment.portfolio is None:
        return bankruptcy_price(assessment, line)
    collateral, size = assessment.pool.collateral, abs(line.position.quantity)
    gross = sum((one.notional * collateral[one.contract.settle_asset].ask for one in assessment.lines), ZERO)
    if not gross:
        return None
    share = divide(assessment.margin_balance or ZERO, gross, places=VALUE_PLACES, rounding=ROUND_FLOOR)
    sign = line.contract.orientation if line.position.quantity > 0 else -line.contract.orientation
    value = line.contract_value * size * (ONE - sign * share)  # what gains with the value of a contract loses below it
    if value <= 0:
        return None
    rounding = ROUND_CEILING if line.position.quantity > 0 else ROUND_FLOOR
    return line.contract.price_at(value, size, places=PRICE_PLACES, rounding=rounding)


def nobody_takes(case: Case, assessment: Assessment) -> bool:
    """Whether forced orders for all of a bankrupt pool's lines would find nobody at their bankruptcy prices.

    Then what a step would look for at market, line by line, need not be looked for: most pools of a crash are so.
    """
    if (assessment.balance_held_against or ZERO) >= 0:
        return False
    for line in assessment.lines:
        side = "sell" if line.position.quantity > 0 else "buy"
        if not out_of_reach(case.state, line.position.symbol, side, case.limit(assessment, line)):
            return False
    return True


def restoring_quantity(case: Case, assessment: Assessment, line: PositionLine, health: Decimal) -> Quantity | None:
    """Return the smallest size of one forced order after whose fills and fee the pool's health is ``health``.

    None where closing the whole line is not enough. What the order loses against the mark is found by planning it on
    the book, and the size is raised until it pays for that too.
    """
    wanted = smallest_reduction(assessment, line, health, fee_rate=clearance_rate(case.state, line))
    for _ in range(_SIZINGS):
        if not wanted:
            return wanted
        rate = _cost_rate(case, assessment, line, wanted)
        larger = smallest_reduction(assessment, line, health, fee_rate=rate)
        if larger is None or larger <= wanted:
            return larger if larger is None else wanted
        wanted = larger
    return wanted


def _cost_rate(case: Case, assessment: Assessment, line: PositionLine, quantity: Quantity) -> Rate:
    """Return what closing ``quantity`` costs beyond its value at the mark, as a share of that: slippage and fee."""
    symbol, contract = line.position.symbol, line.contract
    planned = plan_order(case.state, _order(case, assessment, line, quantity), symbol)
    at_mark, rate = contract.unit_value(line.mark_price), clearance_rate(case.state, line)
    sign = 1 if line.position.quantity > 0 else -1
    cost = filled = ZERO
    for fill in planned.fills:
        lost = sign * (at_mark - contract.unit_value(fill.price))
        cost += fill.quantity * (lost + rate * contract.contract_value(fill.price))
        filled += fill.quantity
    if not filled:
        return rate
    return max(ZERO, divide(cost, filled * line.contract_value, places=VALUE_PLACES, rounding=ROUND_CEILING))


def clearance_rate(state: State, line: PositionLine) -> Rate:
    """Return the clearance fee of a forced order: the contract's, else the set-up's assumption; 0 where none is due.

    It stands in place of the taker fee.
    """
    if state.rulebook.clearance_fee == "none":
        return ZERO
    rate = line.contract.liquidation_fee_rate
    return state.setup.fees.clearance if rate is None else rate


def _clearance_fee(case: Case, line: PositionLine, value: Value, released: Value) -> Iterator[Event]:
    """Yield the clearance fee on the ``value`` closed, into the insurance fund, as far as the pool has equity and cash.

    An isolated position pays it out of what the closing ``released`` to the wallet, then out of its margin: nothing
    else.
    """
    state, asset = case.state, line.contract.settle_asset
    fee = value * clearance_rate(state, line)
    left = case.assessed()
    wallet = books.wallet(case.name)
    cash = state.ledger.balance(wallet, asset)
    if case.isolated:
        sources = [(wallet, min(released, cash))]
        if left is not None and left.margin_balance is not None:
            margin = case.margin_account(line)
            sources.append((margin, min(_equity(case, left), state.ledger.balance(margin, asset))))
    else:
        equity = cash if left is None or left.margin_balance is None else _equity(case, left)
        sources = [(wallet, min(cash, equity))]
        if left is not None and left.pool.collateral:  # a basket may owe the fee, as far as it has equity
            ask = left.pool.collateral[asset].ask
            sources = [(wallet, divide(max(ZERO, equity), ask, places=VALUE_PLACES, rounding=ROUND_FLOOR))]
    for source, available in sources:
        part = min(fee, available)
        if part > 0:
            fee -= part
            postings = move(asset, part, out_of=source, into=fund_account(state, line.position.symbol))
            yield InsuranceUsed(
                case.command.id, case.command.at, case.name, "clearance_fee", asset, part, postings
            )  # fmt: skip


def _equity(case: Case, left: Assessment) -> Value:
    """Return what a pool has at the marks, by its positions' entry values: never more than is there.

    An assessment reckons with average entry prices, which have a last digit. A fee that took all of it by them would
    leave the rest of that digit owed when the last position is closed.
    """
    held = case.state.trader(case.name).held
    off = ZERO
    for line in left.lines:
        leg = held[line.position.symbol, case.leg(line.position.side)]
        off += leg.quantity * line.contract.unit_value(line.mark_price) - leg.entry_value - line.unrealised_pnl
    return (left.margin_balance or ZERO) + min(ZERO, off)


# ── Handing over ──────────────────────────────────────────────────────────────────────────────────────────────────


def take_over(case: Case) -> Iterator[Event]:
    """Hand over everything left: the pool's orders go, legs of one symbol are netted, and each line goes to the fund.

    Orders go whatever the sequence says (ours): nobody should buy back what the fund sells of his own position.
    """
    yield from cancel_orders(case)
    yield from net_opposing_legs(case)
    assessment = case.assessed()
    if assessment is None:
        yield from _settle_wallet(case)
        return
    # A long can be handed over at any price, however much is missing; a short at none below 0. So longs come last.
    lines = sorted(assessment.lines, key=lambda line: line.position.quantity > 0)
    for line in lines:
        price = _hand_over_price(case, assessment, line, last=line is lines[-1])
        yield from _to_fund(case, line, price, abs(line.position.quantity))
    yield from _settle_rest(case, lines)
    for line in lines:
        yield from dispose(case.state, line.position.symbol, case.command, taken_from=case.name)


def hand_over(
    case: Case, assessment: Assessment, line: PositionLine, quantity: Quantity | None = None
) -> Iterator[Event]:
    """Hand a line over to the fund at its bankruptcy price, or a ``quantity`` of it; the fund disposes of it."""
    size = abs(line.position.quantity)
    part = size if quantity is None else min(quantity, size)
    last = len(assessment.lines) == 1 and part == size
    yield from _to_fund(case, line, _hand_over_price(case, assessment, line, last=last), part)
    if last:
        yield from _settle_rest(case, [line])
    yield from dispose(case.state, line.position.symbol, case.command, taken_from=case.name)


def _hand_over_price(case: Case, assessment: Assessment, line: PositionLine, *, last: bool) -> Price:
    """Return the price at which a line goes to the fund: its bankruptcy price.

    For the last line of a pool it is never one that leaves the trader owing: then it is the price at which exactly
    nothing is left, rounded for the trader.
    """
    price = case.limit(assessment, line)
    if not last and price is not None:
        return price
    quantity, contract = line.position.quantity, line.contract
    held = case.state.trader(case.name).held[line.position.symbol, case.leg(line.position.side)]
    cash = _cash(case, line)
    if price is not None and quantity * contract.unit_value(price) - held.entry_value + cash >= 0:
        return price
    # quantity · unit_value − entry_value + cash = 0
    numerator = (held.entry_value - cash) * contract.orientation
    if not last or numerator * quantity <= 0:
        return line.mark_price
    rounding = ROUND_CEILING if quantity > 0 else ROUND_FLOOR
    return contract.price_at(abs(numerator), abs(quantity), places=PRICE_PLACES, rounding=rounding)


def _cash(case: Case, line: PositionLine) -> Value:
    """Return what a pool holds in money, bonus included, after what was realised so far.

    Of a basket whose last line it is: what the line's settlement asset may lose, from where the line was entered, until
    nothing is left of all assets.
    """
    if case.state.trader(case.name).basket and not case.isolated:
        return _cash_of_basket(case, line)
    ledger, asset = case.state.ledger, line.contract.settle_asset
    own = ledger.balance(case.margin_account(line), asset)
    return own if case.isolated else own + ledger.balance(books.bonus(case.name), asset)


def _cash_of_basket(case: Case, line: PositionLine) -> Value:
    found = case.line((line.position.symbol, line.position.side))
    if found is None or found[0].margin_balance is None:
        return ZERO
    assessment, now = found
    held = next(asset for asset in assessment.assets if asset.asset == line.contract.settle_asset)
    free = amount_for(held.terms, held.equity or ZERO, assessment.margin_balance or ZERO)
    return (ZERO if free is None else free) - now.unrealised_pnl


def _to_fund(case: Case, line: PositionLine, price: Price, quantity: Quantity) -> Iterator[Event]:
    own, fund = Side(case.name, case.leg(line.position.side)), INSURANCE_FUND
    buyer, seller = (fund, own) if line.position.quantity > 0 else (own, fund)
    trade = Trade(line.position.symbol, price, quantity, "take_over", buyer, seller)
    yield traded(case.state, trade, command=case.command.id, at=case.command.at)
    yield from trim_reduce_only(case.state, case.name, line.position.symbol, case.command)


def _settle_rest(case: Case, lines: list[PositionLine]) -> Iterator[Event]:
    """Cover what a pool that was taken over still owes: nothing, where its prices could be found."""
    if case.isolated:
        line = lines[0]
        fund = fund_account(case.state, line.position.symbol)
        yield from _from_fund(case, case.margin_account(line), line.contract.settle_asset, fund)
        return
    yield from _settle_wallet(case)


def _settle_wallet(case: Case) -> Iterator[Event]:
    """Cover what a wallet without positions owes: with bonus first, then by the insurance fund as far as it can.

    A basket's other assets pay before the fund does.
    """
    if case.state.trader(case.name).basket:
        yield from settle_rest(case.state, case.name, case.command)
        return
    asset, wallet, given = case.pool.removeprefix("cross "), books.wallet(case.name), books.bonus(case.name)
    covered = min(case.state.ledger.balance(given, asset), -case.state.ledger.balance(wallet, asset))
    if covered > 0:
        yield MoneyMoved(case.command.id, case.command.at, case.name, "bonus_used",
                         move(asset, covered, out_of=given, into=wallet))  # fmt: skip
    yield from _from_fund(case, wallet, asset, books.INSURANCE)


def _from_fund(case: Case, account: str, asset: str, fund: str) -> Iterator[Event]:
    paid = min(-case.state.ledger.balance(account, asset), case.state.ledger.balance(fund, asset))
    if paid > 0:
        yield InsuranceUsed(case.command.id, case.command.at, case.name, "shortfall", asset, -paid,
                            move(asset, paid, out_of=fund, into=account))  # fmt: skip


__all__ = ["Case", "cancel_orders", "clearance_rate", "close", "hand_over", "key_of", "net_opposing_legs",
           "nobody_takes", "restoring_quantity", "take_over"]  # fmt: skip
