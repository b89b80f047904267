"""An independent auditor: after every step it holds what happened to the laws of a venue, with its own books and sums.

It reads the events, the state and the rulebooks' data, and shares no code with the margin maths, the settlement or the
liquidation it watches. A law that does not hold raises :class:`LawBroken` with the figures.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ringfence.engine import events as happened
from ringfence.engine.commands import ChargeInterest, PlaceOrder, Review, UpdatePrices
from ringfence.engine.evolve import evolve
from ringfence.engine.state import State
from ringfence.engine.wire import decode_command, decode_event, encode
from ringfence.sim.adoptions import what_is_wrong_with_an_adoption
from ringfence.sim.beliefs import beliefs, claimed, pressed, what_is_wrong_with_a_moved_price
from ringfence.sim.charges import Charges
from ringfence.sim.deleveraging import Queue
from ringfence.sim.deliveries import Delivery, of_a_delivery
from ringfence.sim.exchanges import what_is_wrong_with_an_exchange
from ringfence.sim.laws import LAWS, LawBroken, figure
from ringfence.sim.liquidations import Liquidation, what_a_closed_basket_still_owes
from ringfence.sim.reckoning import TOLERANCE, Reckoned, worth
from ringfence.sim.shadow import FUND, MARKET, NOTHING, Shadow

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.setup import Setup


class Auditor:
    """Watches one world. ``checked`` counts how often each law was looked at."""

    def __init__(self, setup: Setup, state: State, *, compare_every: int = 64) -> None:
        self.setup, self.state = setup, state
        self.shadow = Shadow(setup.rulebook, setup.rulebook(), Charges(setup))
        self.folded = State(setup)
        self.checked = dict.fromkeys(LAWS, 0)
        self.steps = 0
        self._every = compare_every
        self._calls: dict[tuple[str, str], str] = {}
        self._orders: dict[tuple[str, str], PlaceOrder] = {}  # what was asked for, until it rests
        self._active: Liquidation | None = None
        self._queues: dict[str, Queue] = {}  # symbol → who is to be deleveraged
        self._touched: dict[str, None] = {}
        self._symbols: dict[str, None] = {}
        self._command: Command = Review("nothing yet", 0)
        self._pressed: set[str] = set()  # symbols whose new price forced orders have yet to move
        self._delivery: Delivery | None = None  # of this command

    # ── One step ─────────────────────────────────────────────────────────────────────────────────────────────────

    def repeated(self, before: bytes, first: tuple[Event, ...], again: tuple[Event, ...]) -> None:
        """Check a command that was sent before."""
        self.hold("repeated", first == again and self.state.digest() == before, lambda: "another outcome or state")

    def step(self, command: Command, events: tuple[Event, ...]) -> None:
        """Check one command and what it led to."""
        self.steps += 1
        self._touched, self._symbols, self._pressed, self._delivery = {}, {}, set(), None
        self._round_trip(command, decode_command)
        if isinstance(command, PlaceOrder):
            self._orders[command.account, command.order] = command
        self._command = command
        for event in events:
            self._round_trip(event, decode_event)
            self._delivered(event)
            self._before(event)
            self._interest(event)
            problem = self.shadow.charges.wrong_voucher(self.shadow.rulebook, event)
            self.hold("voucher", problem is None, lambda problem=problem: str(problem))  # type: ignore[misc]
            self.shadow.apply(event)
            self._after(event)
            evolve(self.folded, event)
        if isinstance(command, UpdatePrices):
            claimed(self.shadow, self.setup.guard, command)
        self.folded.remember(command.id, events)
        self.hold("fold", self.folded.digest() == self.state.digest(), lambda: "another digest")
        self._end_of_step(command, events)
        if self.steps % self._every == 0:
            self.compare()

    def hold(self, law: str, holds: object, figures: Callable[[], str]) -> None:
        """Count a law as checked; raise LawBroken with ``figures()`` when ``holds`` is not true."""
        self.checked[law] += 1
        if not holds:
            raise LawBroken(law, figures())

    def _round_trip(self, message: Any, read: Callable[[bytes], Any]) -> None:
        data = encode(message)
        again = read(data)
        same = encode(again) == data and (again == message or b"NaN" in data)
        self.hold("round_trip", same, lambda: repr(message))

    # ── Before and after each event ──────────────────────────────────────────────────────────────────────────────

    def _before(self, event: Event) -> None:
        if isinstance(event, happened.Traded):
            self._reduce_only(event)
            self._protected(event)
            self._deleveraging(event)
            if event.cause == "adoption":
                self._adopted(event)
            self._fees(event)
        elif isinstance(event, happened.LiquidationStarted):
            self._start(event)
        elif isinstance(event, happened.LiquidationStep):
            self._liquidation_step(event)
        elif isinstance(event, happened.MarginCalled):
            self._called(event)
        elif isinstance(event, happened.PricesChanged):
            for what, good in beliefs(self.shadow, self.setup.guard, self._command, event):
                self.hold("believed", good, lambda what=what: what)  # type: ignore[misc]
            self._pressed = pressed(self.shadow, self.setup, event)
        elif isinstance(event, happened.PriceMoved):
            problem = what_is_wrong_with_a_moved_price(self.shadow, self.setup, event)
            self.hold("impact", problem is None, lambda: f"{problem}: {event!r}")
            self._pressed.discard(event.symbol)
        elif isinstance(event, happened.CollateralExchanged):
            liquidated = None if self._active is None else self._active.name
            problem = what_is_wrong_with_an_exchange(
                self.shadow, event, liquidated, settling=self._delivery is not None
            )  # fmt: skip
            self.hold("exchanged", problem is None, lambda: f"{problem}: {event!r}")
        elif isinstance(event, happened.LiquidationEnded):
            self._liquidation_end(event)
        elif isinstance(event, happened.OrderClosed) and event.reason == "triggered":
            known = self.shadow.orders[event.account][event.order]
            self._orders[event.account, event.order] = PlaceOrder(
                event.command, event.at, event.account, event.order, known.symbol, known.side, None,
                "market" if known.price is None else "limit", reduce_only=known.reduces, position_side=known.leg,
            )  # fmt: skip

    def _delivered(self, event: Event) -> None:
        """Hold what a settlement does, and what is done with a contract that was settled, to the rules; before it."""
        if isinstance(event, happened.ExpirySettled):
            self._delivery = Delivery(self.shadow, self._command, event)
            problem = self._delivery.wrong_start()
        elif self._delivery is not None:
            problem = self._delivery.wrong(event)
        else:
            problem = "no settlement" if of_a_delivery(event) else None
            if isinstance(event, (happened.Traded, happened.OrderRested)) and event.symbol in self.shadow.settled:
                problem = "it was settled before"
        self.hold("delivered", problem is None, lambda: f"{problem}: {event!r}")

    def _after(self, event: Event) -> None:
        postings = getattr(event, "postings", ())
        if postings:
            self._posted(event, postings)
        if isinstance(event, happened.SettingChanged) and event.setting == "collateral_mode":
            for key in [key for key in self._calls if key[0] == event.account and not key[1].startswith("isolated ")]:
                del self._calls[key]  # a pool of the same name under other rules: called anew
        if isinstance(event, happened.Traded):
            self._symbols[event.symbol] = None
            for name, leg, quantity, entry in (
                (event.buyer, event.buyer_leg, event.buyer_quantity, event.buyer_entry_value),
                (event.seller, event.seller_leg, event.seller_quantity, event.seller_entry_value),
            ):
                self._average(event, name, leg, Fraction(quantity), Fraction(entry))
            if self._calls:
                self._forget_calls()

    def _posted(self, event: Event, postings: Any) -> None:
        sums: dict[str, Fraction] = {}
        active = self._active
        for account, asset, amount in postings:
            sums[asset] = sums.get(asset, NOTHING) + Fraction(amount)
            kind, _, rest = account.partition(":")
            if kind in {"wallet", "bonus", "isolated", "voucher"}:
                self._touched[rest.split(":", 1)[0]] = None
            if kind == "bonus":
                left = self.shadow.balance(account, asset)
                self.hold("bonus", left >= 0, lambda account=account, left=left: f"{account} {figure(left)}")  # type: ignore[misc]
                to_wallet = any(p.account.startswith("wallet:") and p.amount > 0 for p in postings)
                outside = isinstance(event, happened.MoneyMoved) and amount < 0 and to_wallet
                self.hold("bonus", not outside or event.cause == "bonus_used", lambda: repr(event))  # type: ignore[attr-defined]
            if kind == "insurance":
                left = self.shadow.balance(account, asset)
                self.hold("fund", left >= 0, lambda left=left: f"{figure(left)} after {event!r}")  # type: ignore[misc]
            if active is not None:
                active.posted(event, account, asset, Fraction(amount))
        self.hold("balanced", not any(sums.values()), lambda: repr(event))

    def _fees(self, event: happened.Traded) -> None:
        shadow = self.shadow
        value = Fraction(event.quantity) * worth(shadow.term(event.symbol), Fraction(event.price))
        problem = shadow.charges.wrong_fee(shadow.rulebook, event, value)
        self.hold("fees", problem is None, lambda: f"{problem}: {event!r}")

    def _average(self, event: happened.Traded, name: str, leg: str, quantity: Fraction, entry: Fraction) -> None:
        held = self.shadow.legs[name].get((event.symbol, leg))
        if held is None:
            self.hold("average", quantity == 0 and entry == 0, lambda: f"{name} {leg}: {event!r}")
            return
        close = abs(held.entry - entry) <= Fraction(1, 10**20) * (1 + abs(entry))
        self.hold(
            "average", held.quantity == quantity and close,
            lambda: f"{name} {leg}: {figure(held.quantity)} at {figure(held.entry)}, not {event!r}",
        )  # fmt: skip
        self.shadow.adopt_entry(name, event.symbol, leg, entry)

    def _reduce_only(self, event: happened.Traded) -> None:
        resting = event.maker is not None and event.maker_order is not None
        if resting and self.shadow.orders[event.maker or ""][event.maker_order or ""].reduces:
            self._only_reduces(event, event.maker or "")
        if event.taker_order is not None:
            other = MARKET if event.maker is None else event.maker
            taker = event.seller if event.buyer == other else event.buyer
            asked = self._orders.get((taker, event.taker_order))
            if asked is not None and (asked.reduce_only or asked.close_position):
                self._only_reduces(event, taker)

    def _only_reduces(self, event: happened.Traded, name: str) -> None:
        buys = event.buyer == name
        held = self.shadow.legs.get(name, {}).get((event.symbol, event.buyer_leg if buys else event.seller_leg))
        good = held is not None and (held.quantity < 0) == buys and Fraction(event.quantity) <= abs(held.quantity)
        self.hold("reduce_only", good, lambda: f"{held} before {event!r}")

    def _protected(self, event: happened.Traded) -> None:
        if event.taker_order is None:
            return
        other = MARKET if event.maker is None else event.maker
        taker = event.seller if event.buyer == other else event.buyer
        asked, mark = self._orders.get((taker, event.taker_order)), self.shadow.marks.get(event.symbol)
        bound = self.shadow.rulebook.contract(event.symbol).market_take_bound or self.setup.market.take_bound
        if asked is None or asked.type not in {"market", "stop_market", "take_profit_market"}:
            return
        if mark is not None and bound is not None:
            away = (Fraction(event.price) / mark - 1) * (1 if event.buyer == taker else -1)
            self.hold("protected", away <= Fraction(bound), lambda: f"{figure(away)} from {figure(mark)}: {event!r}")

    def _adopted(self, event: happened.Traded) -> None:
        problem = what_is_wrong_with_an_adoption(self.shadow, event)
        self.hold("adopted", problem is None, lambda: f"{problem}: {event!r}")

    # ── Liquidation ──────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, event: happened.LiquidationStarted) -> None:
        self._fresh(event.account, event.pool, event.at)
        found = self.shadow.reckoned(event.account, event.pool)
        if found is not None:
            self.hold(
                "healthy", not found.certainly_healthy,
                lambda: f"{event.account} {event.pool}: {figure(found.balance)} for {figure(found.required)}",
            )  # fmt: skip
        self._active = Liquidation(self.shadow, event.account, event.pool)

    def _fresh(self, name: str, pool: str, at: int) -> None:
        fresh = self.shadow.fresh(name, pool, at, self.setup.guard.stale_after)
        self.hold("fresh", fresh, lambda: f"{name} {pool} at {at}: {self.shadow.marked_at}")

    def _liquidation_step(self, event: happened.LiquidationStep) -> None:
        self._fresh(event.account, event.pool, event.at)
        if self._active is None or (self._active.name, self._active.pool) != (event.account, event.pool):
            self._active = Liquidation(self.shadow, event.account, event.pool)  # goes on after a cooldown
        self._required(event.step)

    def _required(self, step: str) -> None:
        active = self._active
        assert active is not None  # noqa: S101 - set by the caller
        found = self.shadow.reckoned(active.name, active.pool)
        if found is None:
            return
        required = found.required - found.of_debts
        if active.required is not None:
            self.hold(
                "step_down", required <= active.required + TOLERANCE * (1 + active.required),
                lambda: (
                    f"{active.name} {active.pool} {active.step}: "
                    f"{figure(active.required or NOTHING)} → {figure(required)}"
                ),
            )  # fmt: skip
        active.required, active.step = required, step

    def _liquidation_end(self, event: happened.LiquidationEnded) -> None:
        active = self._active
        if active is None or (active.name, active.pool) != (event.account, event.pool):
            self.hold("stands", event.outcome == "safe", lambda: f"an end without a liquidation: {event!r}")
            return  # a pool that recovered by itself
        self._required("end")
        for good, moved in active.contained():
            self.hold("contained", good, lambda moved=moved: moved)  # type: ignore[misc]
        if active.isolated:
            self.checked["contained"] += 1
        if event.outcome == "closed":
            self._calls.pop((event.account, event.pool), None)
            if event.pool.startswith("cross "):
                owed = self.shadow.balance(f"wallet:{event.account}", event.pool.removeprefix("cross "))
                self.hold("cleared", owed >= 0, lambda: f"{event.account} {figure(owed)}")
            elif event.pool == "account":
                left = what_a_closed_basket_still_owes(self.shadow, event.account)
                self.hold("cleared", left is None, lambda: f"{event.account} {left}")
            self.hold(
                "cleared", not self.shadow.members(event.account, event.pool), lambda: f"{event!r} with positions"
            )
        self._active = None

    def _interest(self, event: Event) -> None:
        """Hold interest to its rate of what the trader's wallet owed before it."""
        if not isinstance(event, happened.MoneyMoved) or event.cause != "interest":
            return
        command, wallet = self._command, f"wallet:{event.account}"
        good = isinstance(command, ChargeInterest) and bool(self.shadow.pooled.get(event.account))
        if isinstance(command, ChargeInterest):
            owed = -self.shadow.balance(wallet, command.asset)
            paid = {(account, asset): Fraction(amount) for account, asset, amount in event.postings}
            due = owed * Fraction(command.rate)
            good = good and owed > 0 and paid == {(wallet, command.asset): -due, ("interest", command.asset): due}
        self.hold("funding", good, lambda: repr(event))

    def _called(self, event: happened.MarginCalled) -> None:
        key = (event.account, event.pool)
        was = self._calls.get(key, "none")
        self.hold("hysteresis", was != event.level, lambda: repr(event))
        found = self.shadow.reckoned(event.account, event.pool)
        if found is not None:
            levels = self.shadow.rulebook.levels
            bounds = {"none": NOTHING, "warning": Fraction(levels.warning), "margin_call": Fraction(levels.margin_call)}
            if bounds[event.level] and (was == "none" or event.level == "margin_call"):
                good = found.balance <= bounds[event.level] * found.required * (1 + TOLERANCE)
            else:  # rose clear of the level it was at
                clear = bounds[was] * Fraction(self.setup.rearm)
                good = found.balance >= clear * found.required * (1 - TOLERANCE)
            self.hold("hysteresis", good, lambda: f"{figure(found.balance)} for {figure(found.required)}: {event!r}")
        self._calls[key] = event.level

    def _deleveraging(self, event: happened.Traded) -> None:
        if event.cause != "auto_deleveraging":
            self._queues.pop(event.symbol, None)
            return
        fund_buys = event.buyer == FUND
        name, leg = (event.seller, event.seller_leg) if fund_buys else (event.buyer, event.buyer_leg)
        held = self.shadow.legs.get(FUND, {}).get((event.symbol, "net"))
        other = self.shadow.legs.get(name, {}).get((event.symbol, leg))
        good = FUND in {event.buyer, event.seller} and held is not None and (held.quantity < 0) == fund_buys
        self.hold("opposite", good, lambda: f"the fund holds {held}: {event!r}")
        assert held is not None  # noqa: S101 - held to it above
        price = Fraction(event.price)
        entered = abs(held.entry / held.quantity)
        at = worth(self.shadow.term(event.symbol), price)
        self.hold("opposite", abs(at - entered) <= TOLERANCE * entered, lambda: f"{figure(at)}, not {figure(entered)}")
        opposite = other is not None and (other.quantity > 0) != (held.quantity > 0)
        self.hold("opposite", opposite, lambda: f"{name} {leg} holds {other}: {event!r}")
        queue = self._queues.get(event.symbol)
        if queue is None:
            queue = self._queues[event.symbol] = Queue(self.shadow, event.symbol, held, price)
        problem = queue.taken(name, leg, Fraction(event.quantity))
        self.hold("opposite", problem is None, lambda: f"{problem}: {event!r}")

    # ── The end of a step ────────────────────────────────────────────────────────────────────────────────────────

    def _end_of_step(self, command: Command, events: tuple[Event, ...]) -> None:
        shadow = self.shadow
        own = getattr(command, "account", None) in {MARKET, FUND}
        self.hold("named", not own or isinstance(events[0], happened.Refused), lambda: repr(command))
        self.hold("impact", not self._pressed, lambda: f"{self._pressed} under pressure, and not moved")
        if self._delivery is not None:
            problem = self._delivery.wrong_end()
            self.hold("delivered", problem is None, lambda: str(problem))
        self.hold("balanced", not any(shadow.totals.values()), lambda: repr(shadow.totals))
        trial = self.state.ledger.trial_balance()
        self.hold("balanced", not any(trial.values()), lambda: repr(trial))
        for symbol in self._symbols:
            self._of_symbol(symbol)
        if any(isinstance(event, happened.FundingPaid) for event in events):
            left = {key: total for key, total in shadow.books.items() if key[0].startswith("funding:") and total}
            self.hold("funding", not left, lambda: repr(left))
        for account in shadow.ring_fenced:
            _, name, symbol, leg = account.split(":")
            good = (symbol, leg) in shadow.legs.get(name, {}) and shadow.is_isolated(name, symbol)
            self.hold("ring_fence", good, lambda account=account: f"{account} {figure(shadow.ring_fenced[account])}")  # type: ignore[misc]
        for name in self._touched:
            self._of_trader(name)
        self._forget_calls()
        if isinstance(command, (UpdatePrices, Review)):
            self._survivors(command, events)

    def _forget_calls(self) -> None:
        """Forget the calls of pools that hold nothing any more: a new one of the same name may be called anew."""
        for key in [key for key in self._calls if not self.shadow.holds_anything(*key)]:
            del self._calls[key]

    def _of_symbol(self, symbol: str) -> None:
        held = [leg for legs in self.shadow.legs.values() for (of, _), leg in legs.items() if of == symbol]
        quantity = sum((leg.quantity for leg in held), NOTHING)
        self.hold("zero_sum", quantity == 0, lambda: f"{symbol} {figure(quantity)}")
        entered = sum((leg.entry for leg in held), NOTHING)
        asset = self.shadow.term(symbol).asset
        cleared = self.shadow.balance(f"clearing:{symbol}", asset)
        self.hold("clearing", cleared == -entered, lambda: f"{symbol} {figure(cleared)} for {figure(entered)}")

    def _of_trader(self, name: str) -> None:
        if name in {MARKET, FUND}:
            return
        good = bool(name.strip()) and name == name.strip() and not {"|", ":", "@"} & set(name)
        self.hold("named", good, lambda: repr(name))
        wallets = [
            (asset, total) for (account, asset), total in self.shadow.books.items() if account == f"wallet:{name}"
        ]
        for asset, total in wallets if not self.shadow.pooled.get(name) else ():
            good = total >= 0 or bool(self.shadow.members(name, f"cross {asset}"))
            self.hold("no_debt", good, lambda asset=asset, total=total: f"{name} {figure(total)} {asset}")  # type: ignore[misc]
        state = self.state.traders[name]
        mine = self.shadow.legs.get(name, {})
        same = state.held.keys() == mine.keys() and all(
            Fraction(held.quantity) == mine[key].quantity and Fraction(held.entry_value) == mine[key].entry
            for key, held in state.held.items()
        )
        self.hold("books", same, lambda: f"{name}: {state.held} for {mine}")

    def _survivors(self, command: Command, events: tuple[Event, ...]) -> None:
        changed = [event for event in events if isinstance(event, happened.PricesChanged)]
        moved = {symbol for event in changed for symbol, _ in event.marks}
        counted = any(event.index for event in changed)
        everyone = isinstance(command, Review)
        for name, legs in self.shadow.legs.items():
            if name in {MARKET, FUND} or not legs:
                continue
            pooled = counted and self.shadow.pooled.get(name)
            if not everyone and not pooled and not any(symbol in moved for symbol, _ in legs):
                continue
            for pool in self.shadow.pools(name):
                found = self._at_fresh_marks(name, pool, command.at)
                if found is not None:
                    self.hold(
                        "survivors", not found.certainly_liquidatable,
                        lambda name=name, pool=pool, found=found: (  # type: ignore[misc]
                            f"{name} {pool}: {figure(found.balance)} for {figure(found.required)}"
                        ),
                    )  # fmt: skip

    def _at_fresh_marks(self, name: str, pool: str, at: int) -> Reckoned | None:
        if self.shadow.waiting_until.get((name, pool), at) > at:
            return None
        if not self.shadow.fresh(name, pool, at, self.setup.guard.stale_after):
            return None
        if self.shadow.rulebook.trigger_prices == "mark_and_last":  # both must breach
            at_last = self.shadow.reckoned(name, pool, {**self.shadow.marks, **self.shadow.last})
            if at_last is None or not at_last.certainly_liquidatable:
                return None
        return self.shadow.reckoned(name, pool)

    def compare(self) -> None:
        """Compare the whole ledger and all positions with the auditor's own."""
        theirs = {(account, asset): Fraction(total) for account, asset, total in self.state.ledger.entries()}
        mine = {key: total for key, total in self.shadow.books.items() if total}
        different = [key for key in {**theirs, **mine} if theirs.get(key) != mine.get(key)]
        self.hold("books", not different, lambda: f"{different[:3]}")
        for name, trader in self.state.traders.items():
            held = {key: Fraction(one.quantity) for key, one in trader.held.items()}
            known = {key: leg.quantity for key, leg in self.shadow.legs.get(name, {}).items()}
            self.hold("books", held == known, lambda held=held, known=known: f"{held} for {known}")  # type: ignore[misc]
            orders = {key: Fraction(one.quantity) for key, one in trader.orders.items()}
            seen = {key: order.size for key, order in self.shadow.orders.get(name, {}).items()}
            self.hold("books", orders == seen, lambda orders=orders, seen=seen: f"{orders} for {seen}")  # type: ignore[misc]
        for symbol in {symbol: None for legs in self.shadow.legs.values() for symbol, _ in legs}:
            self._of_symbol(symbol)


__all__ = ["Auditor"]
