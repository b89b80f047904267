"""What a trade does to both sides: positions after it, PnL realised, isolated margin moved, fees, all as postings.

PnL is paid between a trader and the contract's clearing account, so that what one side is paid before the other
realises it never has to be found elsewhere. Entry values are kept exactly: a partial close takes its share of the
entry value, divided once, and what is left stays with the position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence import ledger as books
from ringfence.account import MarginMode, PositionMode
from ringfence.engine.events import Traded
from ringfence.engine.state import FUND, HOUSE
from ringfence.ledger import Posting
from ringfence.margin.bonus import paid_by_bonus, paid_by_voucher
from ringfence.numbers import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, VALUE_PLACES, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.contract import Contract
    from ringfence.engine.state import State
    from ringfence.engine.trader import Held, Voucher
    from ringfence.fees import VoucherKind
    from ringfence.ledger import Ledger
    from ringfence.numbers import Price, Quantity, Rate, UnitValue, Value


_COUNTERPARTS = ("clearing:", "funding:")  # of whoever realises a gain or a loss
_VENUES_OWN = frozenset({HOUSE, FUND})
FORCED = frozenset({"liquidation", "take_over"})  #: causes that leave what margin there is in the position


class Side(NamedTuple):
    """One side of a trade to be: who, which leg, and the fee rate it pays (0 for none)."""

    trader: str
    leg: str = "net"
    fee_rate: Rate = ZERO


MARKET = Side(HOUSE)  #: the tape's market
INSURANCE_FUND = Side(FUND)  #: the fund, which pays no fees


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


class _Postings:
    """The postings of a trade while it is put together, and balances as they are with them. ``at``: its time."""

    __slots__ = ("_ledger", "at", "made")

    def __init__(self, ledger: Ledger, at: int) -> None:
        self._ledger = ledger
        self.at = at
        self.made: list[Posting] = []

    def balance(self, account: str, asset: str) -> Value:
        """Return a balance with what this trade has moved so far: a second payment finds what the first one left."""
        total = self._ledger.balance(account, asset)
        for to, of, amount in self.made:
            if to == account and of == asset:
                total += amount
        return total

    def move(self, asset: str, amount: Value, *, out_of: str, into: str) -> None:
        """Move an amount of any sign."""
        if amount:
            self.made.append(Posting(out_of, asset, -amount))
            self.made.append(Posting(into, asset, amount))


def leg_of(state: State, trader: str, side: str, position_side: str | None) -> str:
    """Return the leg a buy or sell of ``trader`` works on."""
    if state.trader(trader).position_mode is PositionMode.ONE_WAY:
        return "net"
    return position_side or ("long" if side == "buy" else "short")


def traded(state: State, trade: Trade, *, command: str, at: int) -> Traded:
    """Return the event of ``trade``: both positions after it, and balanced postings."""
    if trade.buyer.trader == trade.seller.trader and trade.buyer.leg == trade.seller.leg:
        raise AssertionError("a trader cannot trade a leg with itself")
    contract = state.rulebook.contract(trade.symbol)
    postings, value = _Postings(state.ledger, at), contract.unit_value(trade.price)
    buying, selling = trade.buyer, trade.seller
    bought, bought_for = _after(state, contract, trade, buying, trade.quantity, value, postings)
    sold, sold_for = _after(state, contract, trade, selling, -trade.quantity, value, postings)
    return Traded(
        command,
        at,
        trade.symbol,
        trade.price,
        trade.quantity,
        trade.cause,
        buying.trader,
        buying.leg,
        bought,
        bought_for,
        selling.trader,
        selling.leg,
        sold,
        sold_for,
        trade.maker,
        trade.maker_order,
        trade.taker_order,
        tuple(postings.made),
    )


def overdraws(state: State, event: Traded, side: Side) -> bool:
    """Whether a trade would leave ``side`` owing what it does not have.

    That is: an isolated margin below 0; a wallet below 0 that this trade takes from for an isolated position, or that
    no cross position stands behind any more; the insurance fund below 0. A cross wallet may be below 0 while its
    positions have gained as much. A basket may owe an asset, as long as all that its wallet holds counts for no less
    than that when the last position closes.
    """
    if side.trader == HOUSE:
        return False
    asset = state.rulebook.contract(event.symbol).settle_asset
    own = cash_account(state, side.trader, event.symbol)
    left, change = state.ledger.balance(own, asset), ZERO
    for one in event.postings:
        if one.account == own:
            change += one.amount
    left += change
    if side.trader == FUND:
        return left < 0
    margin = books.isolated(side.trader, event.symbol, side.leg)
    trader = state.trader(side.trader)
    if trader.basket and trader.margin_mode.get(event.symbol) is not MarginMode.ISOLATED:
        return _overdraws_basket(state, event, side)
    if trader.margin_mode.get(event.symbol) is MarginMode.ISOLATED:
        moved = sum((one.amount for one in event.postings if one.account == margin), ZERO)
        return state.ledger.balance(margin, asset) + moved < 0 or (change < 0 and left < 0)
    if left >= 0:
        return False
    opened = (
        event.buyer_quantity if event.buyer == side.trader and event.buyer_leg == side.leg else event.seller_quantity
    )
    return not opened and not any(
        trader.margin_mode.get(symbol) is not MarginMode.ISOLATED
        and state.rulebook.contract(symbol).settle_asset == asset
        for symbol, leg in trader.held
        if (symbol, leg) != (event.symbol, side.leg)
    )


def _overdraws_basket(state: State, event: Traded, side: Side) -> bool:
    """Whether a trade that closes a basket's last position would leave its wallet counting for less than nothing."""
    trader = state.trader(side.trader)
    own = event.buyer == side.trader and event.buyer_leg == side.leg
    if (event.buyer_quantity if own else event.seller_quantity) or any(
        trader.margin_mode.get(symbol) is not MarginMode.ISOLATED and (symbol, leg) != (event.symbol, side.leg)
        for symbol, leg in trader.held
    ):
        return False
    wallet = books.wallet(side.trader)
    pool = next(pool for pool in state.pools(side.trader) if not pool.isolated)
    worth = ZERO
    for asset, terms in pool.collateral.items():
        change = sum((p.amount for p in event.postings if p.account == wallet and p.asset == asset), ZERO)
        worth += terms.value(state.ledger.balance(wallet, asset) + change)
    return worth < 0


def opening_margin(contract: Contract, quantity: Quantity, price: Price, leverage: Value | None) -> Value:
    """Return what an isolated position of unsigned ``quantity`` takes from the wallet: value ÷ leverage, rounded up."""
    opened = quantity * contract.contract_value(price)
    return opened if leverage is None else divide(opened, leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)


def cash_account(state: State, trader: str, symbol: str) -> str:
    """Return the ledger account of a trader's cash; the insurance fund trades out of the fund itself."""
    return fund_account(state, symbol) if trader == FUND else books.wallet(trader)


def fund_account(state: State, symbol: str) -> str:
    """Return the ledger account of the insurance fund for a symbol: the venue's, or where it has them its own one."""
    return books.INSURANCE if state.rulebook.insurance_fund == "venue" else f"{books.INSURANCE}:{symbol}"


def _after(
    state: State, contract: Contract, trade: Trade, side: Side, delta: Quantity, value: UnitValue, postings: _Postings
) -> tuple[Quantity, Value]:
    """Return one side's quantity and entry value after a trade at a unit ``value``; post what moves on that side."""
    asset, symbol, name = contract.settle_asset, contract.symbol, side.trader
    if name in _VENUES_OWN:
        return _after_of_venue(state, contract, trade, side, delta, value, postings)
    trader = state.traders.get(name) or state.trader(name)
    held = trader.held.get((symbol, side.leg))
    quantity, entry, closing = ZERO, ZERO, ZERO
    if held is not None:
        quantity, entry = held.quantity, held.entry_value
        if (quantity > 0) != (delta > 0):
            closing = min(abs(delta), abs(quantity))
    isolated = None
    if trader.margin_mode.get(symbol) is MarginMode.ISOLATED:
        isolated = books.isolated(name, symbol, side.leg)
    if closing:
        part = closing if quantity > 0 else -closing
        whole = closing == abs(quantity)
        share = entry if whole else divide(entry * part, quantity, places=VALUE_PLACES, rounding=ROUND_HALF_EVEN)
        realised = part * value - share
        released = _released(trade, isolated, closing, quantity, asset, postings)
        _realise(state, contract, side, isolated, realised, released, postings)
        quantity, entry = quantity - part, entry - share
        delta += part
    if delta:
        quantity, entry = quantity + delta, entry + delta * value
        if isolated is not None:
            margin = opening_margin(contract, abs(delta), trade.price, trader.leverage.get(symbol))
            postings.move(asset, margin, out_of=cash_account(state, name, symbol), into=isolated)
    if side.fee_rate:
        fee, own = side.fee_rate * trade.quantity * abs(value), cash_account(state, name, symbol)
        _pay(state, name, asset, fee, postings, out_of=own, into=trade.fee_to, use="fees")
    return quantity, entry


def _after_of_venue(
    state: State, contract: Contract, trade: Trade, side: Side, delta: Quantity, value: UnitValue, postings: _Postings
) -> tuple[Quantity, Value]:
    """Return the same for the tape's market and the fund: they isolate nothing, and pay no fee and by no bonus.

    Three of the four sides of a take-over and its disposal are theirs.
    """
    held = state.trader(side.trader).held.get((contract.symbol, side.leg))
    at_cost = side.trader == FUND and trade.cause == "auto_deleveraging"
    quantity, entry, realised = after_of_venue(held, delta, value, at_cost=at_cost)
    if realised:
        own, clearing = cash_account(state, side.trader, contract.symbol), books.clearing(contract.symbol)
        if realised > 0:
            postings.move(contract.settle_asset, realised, out_of=clearing, into=own)
        else:
            postings.move(contract.settle_asset, ZERO - realised, out_of=own, into=clearing)
    return quantity, entry


def after_of_venue(
    held: Held | None, delta: Quantity, value: UnitValue, *, at_cost: bool = False
) -> tuple[Quantity, Value, Value]:
    """Return quantity and entry value of a leg of the venue's own after a trade, and what it realised.

    ``at_cost``: what is closed leaves with exactly what it brings. The fund deleverages at its own entry price, and no
    rounding of a part is ever to be paid by a fund that has nothing.
    """
    if held is None:
        return ZERO + delta, ZERO + delta * value, ZERO
    quantity, entry = held.quantity, held.entry_value
    if (quantity > 0) == (delta > 0):
        return quantity + delta, entry + delta * value, ZERO
    closing = min(abs(delta), abs(quantity))
    part = closing if quantity > 0 else -closing
    brought = part * value
    share = entry
    if closing != abs(quantity):
        share = brought if at_cost else divide(entry * part, quantity, places=VALUE_PLACES, rounding=ROUND_HALF_EVEN)
    quantity, entry, delta = quantity - part, entry - share, delta + part
    if delta:
        return quantity + delta, entry + delta * value, brought - share
    return quantity, entry, brought - share


def _released(
    trade: Trade, isolated: str | None, closing: Quantity, quantity: Quantity, asset: str, postings: _Postings
) -> Value | None:
    """Return the margin that leaves an isolated position with what is closed of its signed ``quantity``, PnL aside.

    All of it with the whole, a share of it with a part. A forced part leaves everything behind (None), its PnL too, or
    reducing would never bring the position's health back.
    """
    if isolated is None:
        return ZERO
    margin = postings.balance(isolated, asset)
    if closing == abs(quantity):
        return margin
    if trade.cause in FORCED:
        return None
    return divide(margin * closing, abs(quantity), places=VALUE_PLACES, rounding=ROUND_FLOOR)


def _realise(
    state: State,
    contract: Contract,
    side: Side,
    isolated: str | None,
    realised: Value,
    released: Value | None,
    postings: _Postings,
) -> None:
    """Pay PnL, and release margin of an isolated position with what is closed of it.

    A loss is taken from the position's own margin before anything is released, so it never reaches the wallet.
    """
    asset, clearing = contract.settle_asset, books.clearing(contract.symbol)
    own = cash_account(state, side.trader, contract.symbol)
    if isolated is not None:
        postings.move(asset, realised, out_of=clearing, into=isolated)
        if released is not None:
            postings.move(asset, max(ZERO, released + realised), out_of=isolated, into=own)
    elif realised >= 0:
        postings.move(asset, realised, out_of=clearing, into=own)
    else:
        _pay(state, side.trader, asset, -realised, postings, out_of=own, into=clearing, use="losses")


def pay(
    state: State, trader: str, asset: str, amount: Value, *, into: str, use: str, at: int
) -> tuple[Posting, ...]:  # fmt: skip
    """Return postings that charge a trader ``amount`` (≥ 0): vouchers, bonus and cash in its venue's order.

    ``use`` is ``fees``, ``funding`` or ``losses``; the rulebook's ``bonus`` names the order for it
    (:mod:`ringfence.margin.bonus`), its fee schedule what vouchers may pay. What nothing covers leaves the wallet
    below 0.
    """
    postings = _Postings(state.ledger, at)
    _pay(state, trader, asset, amount, postings, out_of=books.wallet(trader), into=into, use=use)
    return tuple(postings.made)


def _pay(
    state: State, trader: str, asset: str, amount: Value, postings: _Postings, *, out_of: str, into: str, use: str
) -> None:
    if not amount:
        return
    given, from_bonus = books.bonus(trader), ZERO
    of_venue = trader in _VENUES_OWN
    vouchers = amount > 0 and not of_venue and bool(state.trader(trader).vouchers)
    if vouchers:
        amount -= _pay_by_vouchers(state, trader, asset, amount, postings, into=into, use=use, before_bonus=True)
    credit = ZERO if of_venue else postings.balance(given, asset)
    if credit:
        order = state.rulebook.bonus_use.get(use, "own_first")
        from_bonus = paid_by_bonus(order, amount, credit=credit, cash=postings.balance(out_of, asset))
    postings.move(asset, from_bonus, out_of=given, into=into)
    amount -= from_bonus
    if vouchers:
        amount -= _pay_by_vouchers(state, trader, asset, amount, postings, into=into, use=use, before_bonus=False)
    postings.move(asset, amount, out_of=out_of, into=into)


def _pay_by_vouchers(
    state: State, trader: str, asset: str, amount: Value, postings: _Postings, *, into: str, use: str,
    before_bonus: bool,
) -> Value:  # fmt: skip
    """Move what vouchers pay of a charge, one of each kind that pays it now, and return how much that is."""
    paid = ZERO
    for kind in state.rulebook.fees.vouchers.values():
        if use not in kind.pays or kind.before_bonus is not before_bonus:
            continue
        voucher = _voucher_in_turn(state, trader, kind, asset, postings.at)
        if voucher is None:
            continue
        account = books.voucher(trader, voucher.name)
        left = postings.balance(account, asset)
        realised = voucher.realised + realised_in(postings.made, trader) if kind.limit == "net_loss" else None
        part = paid_by_voucher(
            amount - paid, left=left, share=voucher.share, given=voucher.amount - left, realised=realised
        )
        postings.move(asset, part, out_of=account, into=into)
        paid += part
    return paid


def _voucher_in_turn(state: State, trader: str, kind: VoucherKind, asset: str, at: int) -> Voucher | None:
    """Return the voucher of a kind that pays next in an asset: one at a time, in the order of its venue.

    Of those that end together (or never), the one with the highest share (Bitget), then the oldest.
    """
    live = [
        voucher
        for voucher in state.trader(trader).vouchers.values()
        if voucher.kind == kind.name and voucher.asset == asset and (voucher.until is None or at < voucher.until)
    ]
    if not live or kind.order == "claimed":
        return live[0] if live else None
    return min(live, key=lambda voucher: (voucher.until is None, voucher.until or 0, -voucher.share))


def realised_in(postings: Sequence[Posting], trader: str) -> Value:
    """Return what a trader realised in an event's postings, funding included: what passed to or from its clearing.

    Postings come in pairs, as :func:`ringfence.ledger.move` makes them. Whoever paid a loss, it counts whole.
    """
    total = ZERO
    for one, other in zip(postings[::2], postings[1::2], strict=True):
        near, far = (one, other) if other.account.startswith(_COUNTERPARTS) else (other, one)
        if far.account.startswith(_COUNTERPARTS) and near.account.split(":", 2)[1:2] == [trader]:
            total += near.amount
    return total


__all__ = ["FORCED", "INSURANCE_FUND", "MARKET", "Side", "Trade", "after_of_venue", "cash_account", "fund_account",
           "leg_of", "opening_margin", "overdraws", "pay", "realised_in", "traded"]  # fmt: skip
