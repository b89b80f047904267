"""A dated contract's end: orders go, every position is closed at the settlement price, and nothing is traded after it.

The settlement price comes with the command, as all prices do: what it is an average of is decided outside
(:attr:`ringfence.delivery.DeliveryTerms.window` says what the venue averages). Everybody closes against the tape's
market, which is left with nothing. An isolated position pays the delivery fee out of what its margin leaves, a shared
pool without any other position out of the wallet, and no more than is there; any other shared pool pays all of it.

What a settlement leaves owing is covered by bonus, by a basket's other assets, by the insurance fund, and by the venue
after that (ours: OKX deleverages and Deribit shares the loss out, whom and how much neither publishes).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import MarginMode
from ringfence.delivery import settlement_value
from ringfence.engine.collateral import settle_rest
from ringfence.engine.events import ExpirySettled, InsuranceUsed, MoneyMoved, OrderClosed
from ringfence.engine.refuse import refused
from ringfence.engine.review import review
from ringfence.engine.settle import MARKET, Side, Trade, fund_account, traded
from ringfence.engine.state import FUND, HOUSE
from ringfence.errors import BadInput
from ringfence.ledger import move
from ringfence.numbers import ZERO, exact, plain

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import TypeAlias

    from ringfence.contract import Contract
    from ringfence.engine.commands import SettleExpiry
    from ringfence.engine.events import Event, Traded
    from ringfence.engine.state import State
    from ringfence.numbers import Value

    No: TypeAlias = tuple[str, str] | None  # the name of a refusal, and its sentence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VENUES_OWN = frozenset({HOUSE, FUND})


@exact
def settle_expiry(state: State, command: SettleExpiry) -> Iterator[Event]:
    """Settle a symbol at its settlement price, then look at everybody it concerned."""
    no = _cannot(state, command)
    if no is not None:
        yield refused(command, *no)
        return
    symbol, contract = command.symbol, state.rulebook.contract(command.symbol)
    worth = settlement_value(contract, command.price)
    rate = state.rulebook.delivery.rate(contract)
    yield ExpirySettled(command.id, command.at, symbol, command.price, worth, rate, command.source)
    concerned = yield from _cancel_orders(state, command)
    for name in list(state.holders.get(symbol, {})):
        if name in _VENUES_OWN:
            continue
        concerned[name] = None
        for leg in [leg for held, leg in state.trader(name).held if held == symbol]:
            yield from _close(state, command, contract, name, leg)
        yield from _cover(state, command, contract, name)
    yield from review(state, concerned, command)


def _cannot(state: State, command: SettleExpiry) -> No:
    """Return why a symbol cannot be settled now, or None."""
    symbol = command.symbol
    try:
        expiry = state.rulebook.contract(symbol).expiry
    except BadInput as error:
        return "unknown_symbol", error.message
    if expiry is None:
        return "never_expires", f"{symbol} is a perpetual: it never expires"
    if symbol in state.settled:
        return "settled", f"{symbol} was settled at {plain(state.settled[symbol])}"
    if _EPOCH + timedelta(microseconds=command.at) < expiry:
        return "not_expired", f"{symbol} expires at {expiry.isoformat()}"
    if not command.price.is_finite() or command.price <= 0:
        return "not_positive", f"a settlement price of {command.price}"
    if not command.source.strip():
        return "unknown_choice", "a settlement price without a source: say what it is"
    return None


def _cancel_orders(state: State, command: SettleExpiry) -> Generator[Event, None, dict[str, None]]:
    """Cancel every order of the symbol, waiting ones too; return whose they were."""
    owners: dict[str, None] = {}
    for name, trader in state.traders.items():
        for order in [order.id for order in trader.orders.values() if order.symbol == command.symbol]:
            owners[name] = None
            yield OrderClosed(command.id, command.at, name, order, "delivery")
    return owners


def _close(state: State, command: SettleExpiry, contract: Contract, name: str, leg: str) -> Iterator[Event]:
    """Close a leg at the settlement price against the tape's market, cover its margin, and charge the delivery fee."""
    symbol, asset = contract.symbol, contract.settle_asset
    held = state.trader(name).held[symbol, leg]
    size, own = abs(held.quantity), Side(name, leg)
    buyer, seller = (MARKET, own) if held.quantity > 0 else (own, MARKET)
    worth = settlement_value(contract, command.price)
    event = traded(
        state, Trade(symbol, worth, size, "delivery", buyer, seller), command=command.id, at=command.at
    )  # fmt: skip
    yield event
    isolated = state.trader(name).margin_mode.get(symbol) is MarginMode.ISOLATED
    if isolated:
        margin = books.isolated(name, symbol, leg)
        yield from _pay_debt(state, command, name, margin, asset, fund_account(state, symbol))
    fee = state.rulebook.delivery.fee(contract, size, command.price)
    if isolated or not _backed(state, name, asset):
        fee = min(fee, _free(state, event, name, asset, isolated=isolated))
    if fee > 0:
        postings = move(asset, fee, out_of=books.wallet(name), into=books.FEES)
        yield MoneyMoved(command.id, command.at, name, "delivery_fee", postings)


def _free(state: State, event: Traded, name: str, asset: str, *, isolated: bool) -> Value:
    """Return what a delivery may be charged of a wallet: what is there, and of an isolated one what came back to it."""
    wallet = books.wallet(name)
    there = max(ZERO, state.ledger.balance(wallet, asset))
    if not isolated:
        return there
    return min(there, sum((one.amount for one in event.postings if one.account == wallet), ZERO))


def _backed(state: State, name: str, asset: str) -> bool:
    """Whether a cross position of a trader still draws on the pool that backs positions in an asset."""
    trader = state.trader(name)
    return any(
        trader.margin_mode.get(symbol) is not MarginMode.ISOLATED
        and (trader.basket or state.rulebook.contract(symbol).settle_asset == asset)
        for symbol, _ in trader.held
    )


def _cover(state: State, command: SettleExpiry, contract: Contract, name: str) -> Iterator[Event]:
    """Cover what a shared pool without positions owes after the settlement."""
    asset, trader, wallet = contract.settle_asset, state.trader(name), books.wallet(name)
    if _backed(state, name, asset):
        return
    if trader.basket:
        if _counts_for_nothing(state, name):
            yield from settle_rest(state, name, command, "delivery")
            for owed in list(state.ledger.assets_of(wallet)):
                yield from _pay_debt(state, command, name, wallet, owed, books.INSURANCE)
        return
    given = books.bonus(name)
    covered = min(state.ledger.balance(given, asset), -state.ledger.balance(wallet, asset))
    if covered > 0:
        yield MoneyMoved(command.id, command.at, name, "bonus_used",
                         move(asset, covered, out_of=given, into=wallet))  # fmt: skip
    yield from _pay_debt(state, command, name, wallet, asset, books.INSURANCE)


def _counts_for_nothing(state: State, name: str) -> bool:
    """Whether all that a basket without positions holds and owes counts for less than nothing."""
    pool = next((pool for pool in state.pools(name) if not pool.isolated), None)
    if pool is None:
        return False
    wallet = books.wallet(name)
    counted = (terms.value(state.ledger.balance(wallet, asset)) for asset, terms in pool.collateral.items())
    return sum(counted, ZERO) < 0


def _pay_debt(
    state: State, command: SettleExpiry, name: str, account: str, asset: str, fund: str
) -> Iterator[InsuranceUsed]:
    """Pay what an account owes out of the insurance fund, into which the venue pays what is missing there."""
    owed = ZERO - state.ledger.balance(account, asset)
    if owed <= 0:
        return
    missing = owed - state.ledger.balance(fund, asset)
    if missing > 0:
        yield InsuranceUsed(command.id, command.at, FUND, "venue_pays", asset, missing,
                            move(asset, missing, out_of=books.VENUE, into=fund))  # fmt: skip
    yield InsuranceUsed(command.id, command.at, name, "shortfall", asset, -owed,
                        move(asset, owed, out_of=fund, into=account))  # fmt: skip


__all__ = ["settle_expiry"]
