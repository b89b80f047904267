"""The state of a venue: traders, their positions and orders, prices, and the ledger. Written only by ``evolve``.

Money stands in the ledger alone. A position keeps its signed quantity and entry value; its average entry price is
derived. :meth:`State.account` shows a trader as the immutable :class:`~ringfence.account.Account` that the margin maths
reads. :meth:`State.digest` is a hash of the state itself: a sum over its items (:mod:`~ringfence.engine.items`), with
the number of events and the chain of the command ids. What is derived from them (views, books, holders) is not hashed,
nor is the order in which traders, positions and orders are kept; a snapshot keeps that order all the same.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from ringfence import ledger as books
from ringfence.account import Account, MarginMode, OpenOrder, Pool, RiskInputs, pools
from ringfence.engine.items import Items
from ringfence.engine.orderbook import Book
from ringfence.engine.trader import Order, Touched, Trader
from ringfence.engine.triggers import Triggers
from ringfence.fees import FeeRates
from ringfence.ledger import Ledger
from ringfence.margin.assess import assess
from ringfence.numbers import ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.contract import Contract
    from ringfence.engine.events import Event, OrderRested
    from ringfence.engine.items import Item
    from ringfence.engine.liquidity import Consumed, Liquidity
    from ringfence.engine.setup import Setup
    from ringfence.ledger import Posting
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.plain import Terms
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.rulebook import Rulebook

HOUSE = "@market"  #: the tape's market, which takes the other side of what traders cannot give each other
_TRADERS_OWN = frozenset({"wallet", "isolated", "bonus", "voucher"})  # kinds of accounts of the ledger
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FUND = "@insurance"  #: the insurance fund's own positions, while it disposes of what it took over


class Doubt(NamedTuple):
    """A price that jumped, not believed yet: the latest one, how many further updates have agreed, when it came.

    What ends a doubt: :mod:`ringfence.engine.doubt`.
    """

    price: Price
    agreeing: int
    at: int


class State:
    """Everything a venue knows. Read freely; change only through :func:`ringfence.engine.evolve.evolve`."""

    __slots__ = (
        "_items", "_owners", "adopted", "baskets", "books", "consumed", "doubts", "fee_rates", "handled",
        "handled_chain", "holders", "index", "item", "last", "ledger", "marked_at", "marks", "offered", "outcomes",
        "outcomes_kept", "places", "pressure", "priced", "rulebook", "sequence", "set_up", "settled", "setup", "terms",
        "told", "touched", "traders", "triggers", "vouchers_end",
    )  # fmt: skip

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.rulebook: Rulebook = setup.rulebook()
        self.ledger = Ledger()
        self.traders: dict[str, Trader] = {}
        self.marks: dict[str, Price] = {}
        self.last: dict[str, Price] = {}
        self.index: dict[str, Price] = {}
        self.marked_at: dict[str, int] = {}
        self.settled: dict[str, Price] = {}  # symbols that expired → their settlement price
        self.books: dict[str, Book] = {}
        self.baskets: dict[str, None] = {}  # traders in multi-asset mode, in order of choosing it
        self.holders: dict[str, dict[str, int]] = {}  # symbol → traders that hold it, by their place: first come first
        self.places = 0  # given to holders so far
        self.touched = Touched()
        self.triggers: dict[str, Triggers] = {}
        self.offered: dict[str, Liquidity] = {}  # by the tape's market, as long as its price and the rules hold
        self.consumed: dict[str, Consumed] = {}  # of the tape's market since its price changed
        self.pressure: dict[str, tuple[Quantity, int]] = {}  # of forced orders on the market, and since when
        self.doubts: dict[tuple[str, str], Doubt] = {}  # (mark or last, symbol): prices that jumped, not yet believed
        self.told: dict[tuple[str, str], Price] = {}  # (mark or last, symbol) → the tape's price where it was moved
        self.outcomes: OrderedDict[str, tuple[Event, ...]] = OrderedDict()  # of the latest commands, oldest first
        self.outcomes_kept: int | None = None  # how many of them; None: all
        self.handled: dict[str, int] = {}  # every command id ever handled → its number, from 1 on
        self.handled_chain = bytes(32)
        self.adopted: tuple[str, str | None] | None = None  # the rulebook gone over to since the set-up
        self.set_up: str | None = None  # the set-up's text, once the journal's first command has told it
        self.vouchers_end: int | None = None  # when the first voucher ends that has an end
        self.terms: dict[tuple[str, bool], Terms | None] = {}  # of (symbol, isolated), as long as the rules hold
        self.fee_rates: dict[tuple[str, str | None, tuple[str, ...]], FeeRates] = {}  # as long as the rules hold
        self.sequence = 0
        self.priced = 0  # changes with the marks and the rulebook: an assessment made before is out of date
        self._items = Items(self.ledger)
        self.item: Callable[[tuple[str, ...], Item], None] = self._items.set
        """Set the digest's item of that key; None takes it out. Called by ``evolve`` beside every change."""
        self._owners: dict[str, str | None] = {}  # account of the ledger → the trader whose it is, if any's

    def trader(self, name: str) -> Trader:
        """Return the trader of that name, new if never seen."""
        found = self.traders.get(name)
        if found is None:
            found = self.traders[name] = Trader(name, self.touched)
        return found

    def holds(self, name: str, symbol: str) -> None:
        """Note that a trader holds a symbol; whoever holds it already keeps his place."""
        names = self.holders.setdefault(symbol, {})
        if name not in names:
            self.places += 1
            names[name] = self.places

    def holds_no_more(self, name: str, symbol: str) -> None:
        """Note that a trader holds nothing of a symbol any more."""
        names = self.holders.get(symbol)
        place = None if names is None else names.pop(name, None)
        if place is None:
            return
        left = self.touched.left.get(name)
        if left is None:
            self.touched.left[name] = {symbol: place}
        else:
            left.setdefault(symbol, place)

    def book(self, symbol: str) -> Book:
        """Return the order book of a symbol."""
        found = self.books.get(symbol)
        if found is None:
            found = self.books[symbol] = Book(symbol)
        return found

    @exact
    def account(self, name: str) -> Account:
        """Return a trader as the margin maths sees it. Bonus that may back positions counts as wallet balance."""
        trader = self.trader(name)
        if trader.view is None:
            trader.view = self._account(trader)
        return trader.view

    def pools(self, name: str) -> tuple[Pool, ...]:
        """Return the collateral pools of a trader."""
        trader = self.trader(name)
        if trader.pooled is None:
            trader.pooled = pools(self.account(name), self.rulebook.contract, self.rulebook.collateral)
        return trader.pooled

    def pool(self, name: str, pool_name: str) -> Pool | None:
        """Return a trader's pool of that name, or None where there is none."""
        for pool in self.pools(name):
            if pool.name == pool_name:
                return pool
        return None

    def assessment(self, name: str, pool_name: str) -> Assessment | None:
        """Return a trader's pool assessed at the present marks; None without such a pool, or where a mark is missing.

        None too for a portfolio account that holds what is past its expiry. Kept until the trader or a price changes.
        """
        trader = self.trader(name)
        kept = trader.assessed.get(pool_name)
        if kept is not None and kept[0] == self.priced:
            return kept[1]
        pool = self.pool(name, pool_name)
        if pool is None:
            return None
        for position in pool.positions:
            if position.symbol not in self.marks:
                return None  # adopted before there was any price
        if pool.risk is not None and self.past_expiry(name) is not None:
            return None
        found = assess(pool, self.marks, self.rulebook)
        trader.assessed[pool_name] = (self.priced, found)
        return found

    def _account(self, trader: Trader) -> Account:
        positions = []
        for (symbol, leg), held in trader.held.items():
            mode = trader.margin_mode.get(symbol, MarginMode.CROSS)
            margin = None
            if mode is MarginMode.ISOLATED:
                asset = self.rulebook.contract(symbol).settle_asset
                margin = self.ledger.balance(books.isolated(trader.name, symbol, leg), asset)
            positions.append(held.position(symbol, mode, margin=margin, leverage=trader.leverage.get(symbol)))
        wallet = self.ledger.assets_of(books.wallet(trader.name))
        for asset, credit in self.ledger.assets_of(books.bonus(trader.name)).items():
            wallet[asset] = wallet.get(asset, ZERO) + credit
        for asset, credit in self.voucher_margin(trader).items():
            wallet[asset] = wallet.get(asset, ZERO) + credit
        return Account(
            positions=tuple(positions),
            orders=tuple(self._open_order(order, trader) for order in trader.orders.values() if not order.waits),
            wallet=wallet,
            position_mode=trader.position_mode,
            collateral_mode=trader.collateral_mode,
            index_prices=self.index if trader.basket else {},
            risk=self.risk_inputs(trader) if trader.portfolio else None,
        )

    @property
    def moment(self) -> datetime | None:
        """When the latest mark came, which is when portfolio margin is reckoned; None before the first one."""
        latest = max(self.marked_at.values(), default=None)
        return None if latest is None else _EPOCH + timedelta(microseconds=latest)

    def risk_inputs(self, trader: Trader, *more: str) -> RiskInputs:
        """Return what portfolio margin needs of prices and time for what a trader holds and has ordered.

        A coin counts at the index named after it; where none ever came, the mark of the first contract on it stands in.
        ``more``: symbols that are to be ordered.
        """
        index, stand_ins, reference = dict(self.index), {}, {}
        for symbol in (*(symbol for symbol, _ in trader.held), *(o.symbol for o in trader.orders.values()), *more):
            mark = self.marks.get(symbol)
            if mark is None:
                continue
            reference[symbol] = mark
            unit = self.rulebook.contract(symbol).risk_unit
            if unit not in index:
                index[unit] = mark
                stand_ins[unit] = symbol
        return RiskInputs(time=self.moment, index=index, reference=reference, stand_ins=stand_ins)

    def past_expiry(self, name: str) -> str | None:
        """Return a symbol a trader holds or has ordered whose contract is past its expiry, or None.

        Also one that expires while nobody knows what time it is: after a restart, until a mark comes.
        """
        trader, now = self.trader(name), None
        for symbol in (*(symbol for symbol, _ in trader.held), *(o.symbol for o in trader.orders.values())):
            expiry = self.rulebook.contract(symbol).expiry
            if expiry is not None:
                now = now or self.moment
                if now is None or now >= expiry:
                    return symbol
        return None

    def shares(self, trader: Trader, asset: str) -> bool:
        """Whether a position or an order of a trader draws on the pool that backs cross positions in an asset."""
        contract, basket = self.rulebook.contract, trader.basket
        for symbol, _ in trader.held:
            if trader.margin_mode.get(symbol) is not MarginMode.ISOLATED and (
                basket or contract(symbol).settle_asset == asset
            ):
                return True
        return any(
            not order.waits and (basket or contract(order.symbol).settle_asset == asset)
            for order in trader.orders.values()
        )

    def voucher_margin(self, trader: Trader) -> dict[str, Value]:
        """Return what is left, by asset, of a trader's vouchers of kinds that count as margin."""
        found: dict[str, Value] = {}
        for voucher in trader.vouchers.values():
            kind = self.rulebook.fees.vouchers.get(voucher.kind)
            if kind is not None and kind.counts_as_margin:
                left = self.ledger.balance(books.voucher(trader.name, voucher.name), voucher.asset)
                found[voucher.asset] = found.get(voucher.asset, ZERO) + left
        return found

    def rates(self, name: str, contract: Contract) -> FeeRates:
        """Return the maker and taker rate that a trader pays: his level's, the contract's, else the set-up's."""
        trader = self.trader(name)
        key = (contract.symbol, trader.fee_level, trader.discounts)
        found = self.fee_rates.get(key)
        if found is None:
            schedule, fees = self.rulebook.fees, self.setup.fees
            known = [each for each in trader.discounts if each in schedule.discounts]
            rates = schedule.rates(contract, trader.fee_level, known)
            found = self.fee_rates[key] = FeeRates(
                fees.maker if rates.maker is None else rates.maker, fees.taker if rates.taker is None else rates.taker
            )
        return found

    def _open_order(self, order: Order, trader: Trader) -> OpenOrder:
        assert order.price is not None  # noqa: S101 - only limit orders rest
        leverage, mark, kept = trader.leverage.get(order.symbol), self.marks.get(order.symbol), order.view
        if (
            kept is not None and kept.leverage is leverage and kept.reference_price is mark
            and kept.price is order.price and order.viewed is order.quantity
        ):  # fmt: skip
            return kept
        order.viewed = order.quantity
        order.view = OpenOrder(
            order.symbol, order.quantity if order.side == "buy" else -order.quantity, order.price, leverage, mark,
            order.reduce_only, order.position_side,
        )  # fmt: skip
        return order.view

    def move(self, postings: tuple[Posting, ...]) -> None:
        """Apply postings of traders whose views are forgotten anyway to the ledger."""
        self.ledger.enter(postings)
        moved = self._items.moved
        for account, asset, _ in postings:
            moved[account, asset] = None

    def post(self, postings: tuple[Posting, ...]) -> None:
        """Apply postings to the ledger, and forget the views of the traders they touch."""
        self.move(postings)
        owners, sequence = self._owners, self.sequence
        for account, _, _ in postings:
            name = owners.get(account, "")
            if name == "":
                owner, _, rest = account.partition(":")
                name = owners[account] = rest.split(":", 1)[0] if owner in _TRADERS_OWN else None
            if name is not None:
                trader = self.traders.get(name) or self.trader(name)
                if trader.changed_at != sequence:  # else by another posting of the same event
                    trader.touched(sequence)

    def waiting(self, symbol: str) -> Triggers:
        """Return the orders of a symbol that wait for a price."""
        found = self.triggers.get(symbol)
        if found is None:
            found = self.triggers[symbol] = Triggers(symbol)
        return found

    def booked(self, key: str) -> Order:
        """Return an order by its name in a book (:meth:`Order.key`)."""
        account, _, order = key.partition("|")
        return self.traders[account].orders[order]

    def remember(self, command: str, outcome: tuple[Event, ...]) -> None:
        """Keep a command's id for good, and its outcome as long as :attr:`outcomes_kept` says."""
        self.handled[command] = len(self.handled) + 1
        self.handled_chain = blake2b(self.handled_chain + command.encode(), digest_size=32).digest()
        self.outcomes[command] = outcome
        if self.outcomes_kept is not None and len(self.outcomes) > self.outcomes_kept:
            self.outcomes.popitem(last=False)

    def digest(self) -> bytes:
        """Return 32 bytes that identify this state."""
        parts = (self._items.total().to_bytes(32, "big"), self.sequence.to_bytes(8, "big"), self.handled_chain)
        return blake2b(b"".join(parts), digest_size=32).digest()

    def resting(self, event: OrderRested) -> Order:
        """Return the order an event rests, with the next place in time priority."""
        return Order(
            event.order, event.account, event.symbol, event.side, event.quantity, event.price, event.reduce_only,
            event.position_side, event.time_in_force, event.trigger_price, event.trigger_by, event.trigger_above,
            event.close_position, self.sequence,
        )  # fmt: skip


def index_of(asset: str) -> str:
    """Return the name under which it is remembered when the index of an asset came (``State.marked_at``)."""
    return f"index of {asset}"


__all__ = ["FUND", "HOUSE", "Doubt", "State", "index_of"]
