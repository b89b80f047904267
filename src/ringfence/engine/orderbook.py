"""The order book of one symbol, and what an incoming order or a new price of the tape would do to it.

**Planning changes nothing.** :func:`plan` and :func:`plan_tick` are questions; the engine turns the answers into
events, and :class:`Book` is changed only when those are applied: first the fills (``reduce``) and the makers taken off
(``cancel``), then what rests (``rest``). Everything is a function of the orders themselves: in which way a book was
filled, and in which order a snapshot gave them back, makes no difference.

**Priority**: the better price first; at one price the orders of accounts before the tape's market, and among those the
lower ``sequence`` (a number from outside; the id decides between equals). A fill is at the maker's price.

**Self-trade** is prevented as venues do, by the name of the choice. What happens when the incoming order comes to an
order of its own account:

================  ==========================================================================================
``none``          they trade
``cancel_taker``  what is left of the incoming order expires (Binance: EXPIRE_TAKER; Bybit: CancelTaker)
``cancel_maker``  the resting order is cancelled whole and the incoming one goes on (EXPIRE_MAKER; CancelMaker)
``cancel_both``   both: the resting order is cancelled whole, what is left expires (EXPIRE_BOTH; CancelBoth)
================  ==========================================================================================

A fill-or-kill order counts only what it would really be filled with: own orders do not help it, and when it is killed
nothing happens to them. A post-only order that would meet an own order is rejected like any other. Both are choices of
ours where venues say nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ringfence.engine.liquidity import NOTHING_CONSUMED, ladder
from ringfence.engine.messages import dataclass
from ringfence.numbers import ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine.liquidity import Consumed, Liquidity
    from ringfence.numbers import Price, Quantity

TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "post_only")
SELF_TRADE = ("none", "cancel_taker", "cancel_maker", "cancel_both")


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An order on the book. ``side``: buy or sell. ``quantity``: what is left of it, unsigned contracts, > 0.

    ``sequence``: its time priority, lower first. The book carries ``reduce_only`` and does not act on it.
    """

    id: str
    account: str
    side: str
    price: Price
    quantity: Quantity
    sequence: int
    reduce_only: bool = False


class Level(NamedTuple):
    """One price of a book: all contracts there, and how many orders they are."""

    price: Price
    quantity: Quantity
    orders: int


class Depth(NamedTuple):
    """Price levels of both sides, best first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


_PRIORITY = attrgetter("sequence", "id")


class _Side:
    """One side: its prices ascending, and beside each the orders there in time priority."""

    __slots__ = ("bids", "prices", "queues")

    def __init__(self, side: str) -> None:
        self.bids = side == "buy"
        self.prices: list[Price] = []
        self.queues: list[list[RestingOrder]] = []

    def best_first(self) -> Iterator[list[RestingOrder]]:
        return reversed(self.queues) if self.bids else iter(self.queues)

    def best(self) -> Price | None:
        if not self.queues:
            return None
        return self.queues[-1 if self.bids else 0][0].price  # as an order writes it: 1.0 and 1.00 are one level

    def insert(self, order: RestingOrder) -> None:
        place = bisect_left(self.prices, order.price)
        if place < len(self.prices) and self.prices[place] == order.price:
            queue = self.queues[place]
            if order.sequence > queue[-1].sequence:
                queue.append(order)
            else:
                insort(queue, order, key=_PRIORITY)
        else:
            self.prices.insert(place, order.price)
            self.queues.insert(place, [order])

    def _find(self, order: RestingOrder) -> tuple[int, int]:
        place = bisect_left(self.prices, order.price)
        return place, bisect_left(self.queues[place], _PRIORITY(order), key=_PRIORITY)

    def remove(self, order: RestingOrder) -> None:
        place, turn = self._find(order)
        queue = self.queues[place]
        del queue[turn]
        if not queue:
            del self.prices[place], self.queues[place]

    def exchange(self, order: RestingOrder, now: RestingOrder) -> None:
        """Put ``now``, of the same price and priority, in the place of ``order``."""
        place, turn = self._find(order)
        self.queues[place][turn] = now


class Book:
    """The resting orders of one symbol.

    ``rest``, ``cancel``, ``reduce`` and ``amend`` are for applying what was decided before: an id that is not there,
    one that is there already, or orders that would cross raise ``AssertionError``, the caller's bug. Each costs
    O(log n) steps and a move of pointers. An id is unique in a book, whosever order it is.
    """

    __slots__ = ("_accounts", "_orders", "_sides", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._sides = {"buy": _Side("buy"), "sell": _Side("sell")}
        self._orders: dict[str, RestingOrder] = {}
        self._accounts: dict[str, dict[str, None]] = {}  # account → ids of its orders

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._orders

    @property
    def best_bid(self) -> Price | None:
        """The highest price somebody rests to buy at."""
        return self.best("buy")

    @property
    def best_ask(self) -> Price | None:
        """The lowest price somebody rests to sell at."""
        return self.best("sell")

    def best(self, side: str) -> Price | None:
        """Return the best price that orders of that side rest at; None without one."""
        return self._sides[side].best()

    def order(self, order_id: str) -> RestingOrder:
        """Return a resting order by its id."""
        found = self._orders.get(order_id)
        if found is None:
            raise AssertionError(f"no order {order_id!r} rests in the book of {self.symbol}")
        return found

    def orders(self, side: str) -> Iterator[RestingOrder]:
        """Yield one side's orders in priority: the order in which a taker of the other side meets them."""
        for queue in self._sides[side].best_first():
            yield from queue

    def orders_of(self, account: str) -> tuple[RestingOrder, ...]:
        """Return an account's orders, first come first."""
        return tuple(sorted((self._orders[name] for name in self._accounts.get(account, ())), key=_PRIORITY))

    def accounts(self) -> tuple[str, ...]:
        """Return the accounts that have orders here, by name."""
        return tuple(sorted(self._accounts))

    @exact
    def depth(self, levels: int | None = None) -> Depth:
        """Return the best ``levels`` price levels of both sides, or all of them."""
        return Depth(_levels(self._sides["buy"], levels), _levels(self._sides["sell"], levels))

    def rest(self, order: RestingOrder) -> None:
        """Put an order on the book."""
        if order.id in self._orders:
            raise AssertionError(f"order {order.id!r} rests already in the book of {self.symbol}")
        if order.quantity <= 0 or order.price <= 0:
            raise AssertionError(f"order {order.id!r} rests without a quantity or a price above 0: {order}")
        if order.side == "buy":
            facing = self.best_ask
            crossed = facing is not None and order.price >= facing
        else:
            facing = self.best_bid
            crossed = facing is not None and order.price <= facing
        if crossed:
            raise AssertionError(f"order {order.id!r} at {order.price} crosses {facing} in the book of {self.symbol}")
        self._sides[order.side].insert(order)
        self._orders[order.id] = order
        self._accounts.setdefault(order.account, {})[order.id] = None

    def cancel(self, order_id: str) -> RestingOrder:
        """Take an order off the book and return it."""
        order = self.order(order_id)
        self._sides[order.side].remove(order)
        del self._orders[order_id]
        names = self._accounts[order.account]
        del names[order_id]
        if not names:
            del self._accounts[order.account]
        return order

    @exact
    def reduce(self, order_id: str, quantity: Quantity) -> RestingOrder | None:
        """Take ``quantity`` (unsigned) contracts off an order after a fill; it leaves at zero and None is returned.

        What is left keeps its place.
        """
        order = self.order(order_id)
        left = order.quantity - quantity
        if left < 0 or quantity <= 0:
            raise AssertionError(
                f"{quantity} contracts cannot be filled of order {order_id!r} with {order.quantity} left"
            )
        if not left:
            self.cancel(order_id)
            return None
        return self._exchange(order, replace(order, quantity=left))

    def amend(
        self, order_id: str, *, price: Price | None = None, quantity: Quantity | None = None, sequence: int
    ) -> RestingOrder:
        """Give an order another price, or another ``quantity`` that is left (> 0), and return it as it is then.

        A smaller quantity at the same price keeps its place (and an equal one); another price or a larger quantity goes
        to the end of the queue with ``sequence``. An amended order that would take is planned like an incoming one
        first: it stands on its own side and does not meet itself.
        """
        order = self.order(order_id)
        now = replace(
            order,
            price=order.price if price is None else price,
            quantity=order.quantity if quantity is None else quantity,
        )
        if keeps_priority(order, price=now.price, quantity=now.quantity) and now.quantity > 0:
            return self._exchange(order, now)
        now = replace(now, sequence=sequence)
        self.cancel(order_id)
        self.rest(now)
        return now

    def _exchange(self, order: RestingOrder, now: RestingOrder) -> RestingOrder:
        self._sides[order.side].exchange(order, now)
        self._orders[order.id] = now
        return now


def keeps_priority(order: RestingOrder, *, price: Price, quantity: Quantity) -> bool:
    """Whether an order amended to ``price`` and ``quantity`` keeps its place in the queue."""
    return price == order.price and quantity <= order.quantity


def _levels(side: _Side, most: int | None) -> tuple[Level, ...]:
    found: list[Level] = []
    for queue in side.best_first():
        if most is not None and len(found) >= most:
            break
        found.append(Level(queue[0].price, sum((order.quantity for order in queue), ZERO), len(queue)))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An order that arrives. ``side``: buy or sell. ``quantity``: unsigned contracts, > 0.

    ``limit``: its worst price; None for a market order, which is immediate-or-cancel (or FOK) by nature.
    ``time_in_force``: GTC, IOC, FOK or post_only. ``self_trade``: see the module.
    ``worst_price``: how far a market order may go before the rest of it expires: a venue's price protection, for
    instance Binance's ``marketTakeBound`` around the mark. A limit order has its bound in its limit.
    Combinations that mean nothing raise ``AssertionError``: the caller has refused them before.
    """

    account: str
    side: str
    quantity: Quantity
    limit: Price | None = None
    time_in_force: str = "GTC"
    self_trade: str = "cancel_taker"
    worst_price: Price | None = None

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise AssertionError(f"an incoming order has a quantity above 0, not {self.quantity}")
        if self.side not in ("buy", "sell") or self.time_in_force not in TIMES_IN_FORCE:
            raise AssertionError(f"an incoming order cannot be {self.side!r} {self.time_in_force!r}")
        if self.self_trade not in SELF_TRADE:
            raise AssertionError(f"self-trade prevention is one of {', '.join(SELF_TRADE)}, not {self.self_trade!r}")
        if self.limit is None and self.time_in_force == "post_only":
            raise AssertionError("a market order cannot be post-only")
        if self.limit is not None and self.worst_price is not None:
            raise AssertionError("a limit order has no other worst price than its limit")


class PlannedFill(NamedTuple):
    """``quantity`` contracts (unsigned) at ``price`` with an account's resting order, or (None) the tape's market."""

    maker_order_id: str | None
    maker_account: str | None
    price: Price
    quantity: Quantity


class Plan(NamedTuple):
    """What an incoming order would do. Always ``Σ fills + resting + cancelled = its quantity``.

    ``resting``: what would rest at its limit. ``cancelled``: what expires at once, with ``expiry`` saying why:
    immediate_or_cancel, worst_price, no_liquidity (the other side was used up) or self_trade.
    ``cancelled_makers``: own orders that self-trade prevention takes off the book.
    ``rejected``: None, or why nothing happens at all: post_only_would_take, fok_not_fillable, or no_liquidity (a market
    order that found the other side empty). Then all of it counts as ``cancelled``.
    """

    fills: tuple[PlannedFill, ...]
    resting: Quantity
    cancelled: Quantity
    cancelled_makers: tuple[str, ...] = ()
    expiry: str | None = None
    rejected: str | None = None


@exact
def plan(book: Book, liquidity: Liquidity | None, incoming: Incoming, *, consumed: Consumed = NOTHING_CONSUMED) -> Plan:
    """Return what ``incoming`` would do, and change nothing.

    ``liquidity``: the tape's market, None for a book that has no other orders than its own; ``consumed``: what has been
    taken from it since its price changed.
    """
    if incoming.time_in_force == "post_only":
        if _would_take(book, liquidity, incoming, consumed):
            return _rejected(incoming, "post_only_would_take")
        return Plan((), incoming.quantity, ZERO)
    fills, own, left, stop = _match(_offers(book, liquidity, incoming.side, consumed), incoming)
    if not left:
        return Plan(tuple(fills), ZERO, ZERO, tuple(own))
    if incoming.time_in_force == "FOK":
        return _rejected(incoming, "fok_not_fillable")
    if incoming.limit is None and stop == "no_liquidity" and not fills and not own:
        return _rejected(incoming, "no_liquidity")
    if incoming.limit is not None and incoming.time_in_force == "GTC" and stop != "self_trade":
        return Plan(tuple(fills), left, ZERO, tuple(own))
    if incoming.limit is not None and stop != "self_trade":
        stop = "immediate_or_cancel"
    return Plan(tuple(fills), ZERO, left, tuple(own), stop)


def _rejected(incoming: Incoming, reason: str) -> Plan:
    return Plan((), ZERO, incoming.quantity, rejected=reason)


def beyond(price: Price, bound: Price | None, side: str) -> bool:
    """Whether a taker of ``side`` may not go as far as ``price``."""
    if bound is None:
        return False
    return price > bound if side == "buy" else price < bound


def _would_take(book: Book, liquidity: Liquidity | None, incoming: Incoming, consumed: Consumed) -> bool:
    first = next(_offers(book, liquidity, incoming.side, consumed), None)
    return first is not None and not beyond(first[1], incoming.limit, incoming.side)


def _offers(
    book: Book, liquidity: Liquidity | None, side: str, consumed: Consumed
) -> Iterator[tuple[RestingOrder | None, Price, Quantity]]:
    """Yield what a taker of ``side`` meets, in priority: resting orders, and the tape's market (None) between them."""
    market = iter(()) if liquidity is None else ladder(liquidity, side, consumed)
    offer = next(market, None)
    for order in book.orders("sell" if side == "buy" else "buy"):
        # Strictly better: at the same price an account's order comes before the tape's market.
        while offer is not None and beyond(order.price, offer.price, side):
            yield None, offer.price, offer.quantity
            offer = next(market, None)
        yield order, order.price, order.quantity
    while offer is not None:
        yield None, offer.price, offer.quantity
        offer = next(market, None)


def _match(
    offers: Iterator[tuple[RestingOrder | None, Price, Quantity]], incoming: Incoming
) -> tuple[list[PlannedFill], list[str], Quantity, str]:
    """Return the fills, the own orders to take off, what is left, and why it stopped where something is left."""
    fills: list[PlannedFill] = []
    own: list[str] = []
    left = incoming.quantity
    bound = incoming.worst_price if incoming.limit is None else incoming.limit
    for order, price, offered in offers:
        if beyond(price, bound, incoming.side):
            return fills, own, left, "worst_price"
        if order is not None and order.account == incoming.account and incoming.self_trade != "none":
            if incoming.self_trade != "cancel_taker":
                own.append(order.id)
            if incoming.self_trade == "cancel_maker":
                continue
            return fills, own, left, "self_trade"
        taken = min(offered, left)
        left -= taken
        if order is not None:
            fills.append(PlannedFill(order.id, order.account, price, taken))
        elif fills and fills[-1].maker_order_id is None and fills[-1].price == price:
            fills[-1] = fills[-1]._replace(quantity=fills[-1].quantity + taken)  # one price of the tape, one fill
        else:
            fills.append(PlannedFill(None, None, price, taken))
        if not left:
            break
    return fills, own, left, "no_liquidity"


class TickPlan(NamedTuple):
    """Resting orders that the tape's market takes. ``side``: theirs, None when there are none.

    The fills name the resting orders, which are the makers. They use up the ladder that takers of ``side`` see:
    ``consumed.plus(side, Σ quantity)``.
    """

    side: str | None
    fills: tuple[PlannedFill, ...]


@exact
def plan_tick(book: Book, liquidity: Liquidity, *, consumed: Consumed = NOTHING_CONSUMED) -> TickPlan:
    """Return which resting orders the tape's market fills now that its price is where it is, and change nothing.

    A bid is filled, at its own price, by what the market asks at that price or less, first the best bid; asks
    mirrored. Only a price that goes *through* an order, by at least half the spread, fills it: nobody knows how many
    stood before it in the real queue. The book itself does not cross, so one side at most is filled.
    """
    for side in ("buy", "sell"):
        if book.best(side) is None:
            continue
        fills: list[PlannedFill] = []
        market = ladder(liquidity, side, consumed)
        offer = next(market, None)
        unused = ZERO if offer is None else offer.quantity
        for order in book.orders(side):
            wanted, filled = order.quantity, ZERO
            while offer is not None and filled < wanted and not beyond(offer.price, order.price, side):
                taken = min(unused, wanted - filled)
                filled += taken
                unused -= taken
                if not unused:
                    offer = next(market, None)
                    unused = ZERO if offer is None else offer.quantity
            if filled:
                fills.append(PlannedFill(order.id, order.account, order.price, filled))
            if filled < wanted:
                break
        if fills:
            return TickPlan(side, tuple(fills))
    return TickPlan(None, ())


__all__ = [
    "SELF_TRADE",
    "TIMES_IN_FORCE",
    "Book",
    "Depth",
    "Incoming",
    "Level",
    "Plan",
    "PlannedFill",
    "RestingOrder",
    "TickPlan",
    "beyond",
    "keeps_priority",
    "plan",
    "plan_tick",
]
