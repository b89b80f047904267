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
from ringfence.errors import VerificationFailed
from ringfence.sim.adoptions import what_is_wrong_with_an_adoption
from ringfence.sim.beliefs import beliefs, claimed, pressed, what_is_wrong_with_a_moved_price
from ringfence.sim.charges import Charges
from ringfence.sim.reckoning import TOLERANCE, Leg, Reckoned, worth
from ringfence.sim.shadow import FUND, MARKET, NOTHING, Shadow

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.setup import Setup

LAWS = {
    "balanced": "postings are zero per asset, and so is the trial balance",
    "clearing": "a contract's clearing account is minus the entry values of all who hold it",
    "zero_sum": "the positions of a symbol are zero in sum, market and fund included",
    "average": "a position's quantity and entry value follow from its trades",
    "funding": "what is paid as funding is received; interest is its rate of a debt, and of nothing else",
    "ring_fence": "no margin is isolated without a position in isolated margin",
    "bonus": "bonus credit is never below 0 and never leaves as money",
    "fees": "everybody pays the rate of his level, less his discounts, and no more",
    "voucher": "a voucher pays what its kind pays, its share, in turn, in its time; its issuer bears it",
    "fund": "the insurance fund is never below 0",
    "contained": "liquidating an isolated position touches nothing outside its pool and costs no more than its margin",
    "opposite": "auto-deleveraging takes opposite sides only, in rank order, at the bankruptcy price",
    "exchanged": "collateral is sold only for a debt that is due, at the venue's loss, and all of it is paid",
    "cleared": "nobody owes anything after a liquidation that closed the pool",
    "no_debt": "nobody owes anything without a position",
    "believed": "a price that is taken on is positive, near the one before it or confirmed, and near the index",
    "impact": "a price that forced orders moved is where the model puts it, by what they were and has not worn off",
    "fresh": "nothing is liquidated on a price that is stale or in doubt",
    "hysteresis": "a pool is called when it reaches a level, not twice in a row, and anew once it rose clear of it",
    "healthy": "a pool that is healthy is not liquidated",
    "survivors": "a pool that is liquidatable at fresh marks does not survive a review",
    "named": "whoever owns anything has a name that can be told from others, and nobody acts in the venue's own",
    "protected": "a market order goes no further from the mark than its venue lets it",
    "adopted": "a position that is taken over costs no fee and exactly its margin, and stands against the market alone",
    "reduce_only": "an order that only reduces never opens, adds to or turns a position",
    "step_down": "a step of a liquidation never raises what is required",
    "round_trip": "commands and events are the same after being written and read",
    "repeated": "a command sent again returns its first outcome and changes nothing",
    "fold": "the state is the fold of its events",
    "restored": "a state read from its snapshot is the same, to the byte",
    "replay": "the same commands give the same state",
    "books": "the ledger and the positions are what the auditor's own books say",
    "stands": "the engine does not fail",
}  #: every law by name, in the order of a report


class LawBroken(VerificationFailed):
    """A law did not hold. ``law`` names it, ``figures`` say how."""

    def __init__(self, law: str, figures: str) -> None:
        super().__init__(f"{law}: {LAWS[law]}. Found: {figures}")
        self.law = law
        self.figures = figures


def _short(number: Fraction) -> str:
    return f"{float(number):.12g}"


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
        self._active: _Liquidation | None = None
        self._queues: dict[str, _Queue] = {}  # symbol → who is to be deleveraged
        self._touched: dict[str, None] = {}
        self._symbols: dict[str, None] = {}
        self._command: Command = Review("nothing yet", 0)
        self._pressed: set[str] = set()  # symbols whose new price forced orders have yet to move

    # ── One step ─────────────────────────────────────────────────────────────────────────────────────────────────

    def repeated(self, before: bytes, first: tuple[Event, ...], again: tuple[Event, ...]) -> None:
        """Check a command that was sent before."""
        self.hold("repeated", first == again and self.state.digest() == before, lambda: "another outcome or state")

    def step(self, command: Command, events: tuple[Event, ...]) -> None:
        """Check one command and what it led to."""
        self.steps += 1
        self._touched, self._symbols, self._pressed = {}, {}, set()
        self._round_trip(command, decode_command)
        if isinstance(command, PlaceOrder):
            self._orders[command.account, command.order] = command
        self._command = command
        for event in events:
            self._round_trip(event, decode_event)
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
            problem = self._wrong_exchange(event)
            self.hold("exchanged", problem is None, lambda: f"{problem}: {event!r}")
        elif isinstance(event, happened.LiquidationEnded):
            self._liquidation_end(event)
        elif isinstance(event, happened.OrderClosed) and event.reason == "triggered":
            known = self.shadow.orders[event.account][event.order]
            self._orders[event.account, event.order] = PlaceOrder(
                event.command, event.at, event.account, event.order, known.symbol, known.side, None,
                "market" if known.price is None else "limit", reduce_only=known.reduces, position_side=known.leg,
            )  # fmt: skip

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
                self.hold("bonus", left >= 0, lambda account=account, left=left: f"{account} {_short(left)}")  # type: ignore[misc]
                to_wallet = any(p.account.startswith("wallet:") and p.amount > 0 for p in postings)
                outside = isinstance(event, happened.MoneyMoved) and amount < 0 and to_wallet
                self.hold("bonus", not outside or event.cause == "bonus_used", lambda: repr(event))  # type: ignore[attr-defined]
            if kind == "insurance":
                left = self.shadow.balance(account, asset)
                self.hold("fund", left >= 0, lambda left=left: f"{_short(left)} after {event!r}")  # type: ignore[misc]
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
            lambda: f"{name} {leg}: {_short(held.quantity)} at {_short(held.entry)}, not {event!r}",
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
            self.hold("protected", away <= Fraction(bound), lambda: f"{_short(away)} from {_short(mark)}: {event!r}")

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
                lambda: f"{event.account} {event.pool}: {_short(found.balance)} for {_short(found.required)}",
            )  # fmt: skip
        self._active = _Liquidation(self, event.account, event.pool)

    def _fresh(self, name: str, pool: str, at: int) -> None:
        fresh = self.shadow.fresh(name, pool, at, self.setup.guard.stale_after)
        self.hold("fresh", fresh, lambda: f"{name} {pool} at {at}: {self.shadow.marked_at}")

    def _liquidation_step(self, event: happened.LiquidationStep) -> None:
        self._fresh(event.account, event.pool, event.at)
        if self._active is None or (self._active.name, self._active.pool) != (event.account, event.pool):
            self._active = _Liquidation(self, event.account, event.pool)  # goes on after a cooldown
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
                    f"{_short(active.required or NOTHING)} → {_short(required)}"
                ),
            )  # fmt: skip
        active.required, active.step = required, step

    def _liquidation_end(self, event: happened.LiquidationEnded) -> None:
        active = self._active
        if active is None or (active.name, active.pool) != (event.account, event.pool):
            self.hold("stands", event.outcome == "safe", lambda: f"an end without a liquidation: {event!r}")
            return  # a pool that recovered by itself
        self._required("end")
        active.finished()
        if event.outcome == "closed":
            self._calls.pop((event.account, event.pool), None)
            if event.pool.startswith("cross "):
                owed = self.shadow.balance(f"wallet:{event.account}", event.pool.removeprefix("cross "))
                self.hold("cleared", owed >= 0, lambda: f"{event.account} {_short(owed)}")
            elif event.pool == "account":
                problem = self._not_cleared(event.account)
                self.hold("cleared", problem is None, lambda: f"{event.account} {problem}")
            self.hold(
                "cleared", not self.shadow.members(event.account, event.pool), lambda: f"{event!r} with positions"
            )
        self._active = None

    def _not_cleared(self, name: str) -> str | None:
        """Return what a closed basket owes although something is left that could pay, or None."""
        wallet = f"wallet:{name}"
        held = {asset: total for (account, asset), total in self.shadow.books.items() if account == wallet and total}
        owed = {asset: total for asset, total in held.items() if total < 0}
        if not owed:
            return None
        if any(total > 0 for total in held.values()):
            return f"owes {owed} and holds {held}"
        fund = {asset: self.shadow.balance("insurance", asset) for asset in owed}
        return f"owes {owed}, and the fund has {fund}" if any(fund.values()) else None

    def _wrong_exchange(self, event: happened.CollateralExchanged) -> str | None:
        """Return what is wrong with a sale of collateral, before it is applied; None: nothing."""
        shadow, rule = self.shadow, self.shadow.rulebook.auto_exchange
        wallet = f"wallet:{event.account}"
        held = {asset: total for (account, asset), total in shadow.books.items() if account == wallet and total}
        debt, bought = -held.get(event.asset, NOTHING), Fraction(event.debt)
        sold = {asset: Fraction(amount) for asset, amount in event.sold}
        if not shadow.pooled.get(event.account) or not 0 < bought <= debt or Fraction(event.unpaid) != debt - bought:
            return f"{_short(debt)} is owed"
        if any(not 0 < amount <= held.get(asset, NOTHING) for asset, amount in sold.items()):
            return f"{held} is held"
        got = NOTHING
        for asset, amount in sold.items():
            how, lost = shadow.counts(asset), NOTHING
            if rule is not None and asset in rule.haircuts:
                lost = Fraction(rule.haircuts[asset])
            elif rule is not None:
                lost = Fraction(rule.haircut_share) * (1 - how.tranches[0].share)
            got += amount * how.price * (1 - lost)
        paid = bought * shadow.counts(event.asset).price
        if abs(got - paid) > TOLERANCE * (1 + paid):
            return f"{_short(got)} for {_short(paid)}"
        everything = {asset: total for asset, total in held.items() if total > 0}
        if event.unpaid and any(sold.get(asset) != total for asset, total in everything.items()):
            return f"{everything} is held and not all sold"
        return self._not_due(event, held, debt)

    def _not_due(self, event: happened.CollateralExchanged, held: dict[str, Fraction], debt: Fraction) -> str | None:
        shadow, rule = self.shadow, self.shadow.rulebook.auto_exchange
        if event.cause == "liquidation":
            active = self._active
            return None if active is not None and active.name == event.account else "no liquidation"
        if event.cause == "maintenance_rate":
            return self._not_repaid_early(event)
        if rule is None:
            return "the venue has no such rule"
        if event.cause == "threshold":
            limit = rule.thresholds.get(event.asset)
            return None if limit is not None and debt >= Fraction(limit) else f"a threshold of {limit}"
        owed = sum((-total * shadow.counts(asset).price for asset, total in held.items() if total < 0), NOTHING)
        counted = sum((shadow.counts(asset).of(total) for asset, total in held.items() if total > 0), NOTHING)
        idle = not shadow.legs.get(event.account) and not shadow.orders.get(event.account)
        share = Fraction(rule.loan_to_value or 0)
        good = rule.loan_to_value is not None and owed >= share * counted * (1 - TOLERANCE)
        return None if good and (idle or not rule.idle_only) else f"{_short(owed)} of {_short(counted)}"

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

    def _not_repaid_early(self, event: happened.CollateralExchanged) -> str | None:
        """Return why a debt of a portfolio account is not repaid before a liquidation, or None (Bybit: 85 %)."""
        rules, found = self.shadow.rulebook.portfolio, self.shadow.reckoned(event.account, "account")
        if rules is None or rules.repay_at is None or found is None:
            return "the venue has no such rule"
        if found.balance <= Fraction(rules.repay_at) * found.required * (1 + TOLERANCE):
            return None
        return f"{_short(found.balance)} for {_short(found.required)}"

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
            self.hold("hysteresis", good, lambda: f"{_short(found.balance)} for {_short(found.required)}: {event!r}")
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
        self.hold("opposite", abs(at - entered) <= TOLERANCE * entered, lambda: f"{_short(at)}, not {_short(entered)}")
        opposite = other is not None and (other.quantity > 0) != (held.quantity > 0)
        self.hold("opposite", opposite, lambda: f"{name} {leg} holds {other}: {event!r}")
        queue = self._queues.get(event.symbol)
        if queue is None:
            queue = self._queues[event.symbol] = _Queue(self.shadow, event.symbol, held, price)
        problem = queue.taken(name, leg, Fraction(event.quantity))
        self.hold("opposite", problem is None, lambda: f"{problem}: {event!r}")

    # ── The end of a step ────────────────────────────────────────────────────────────────────────────────────────

    def _end_of_step(self, command: Command, events: tuple[Event, ...]) -> None:
        shadow = self.shadow
        own = getattr(command, "account", None) in {MARKET, FUND}
        self.hold("named", not own or isinstance(events[0], happened.Refused), lambda: repr(command))
        self.hold("impact", not self._pressed, lambda: f"{self._pressed} under pressure, and not moved")
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
            self.hold("ring_fence", good, lambda account=account: f"{account} {_short(shadow.ring_fenced[account])}")  # type: ignore[misc]
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
        self.hold("zero_sum", quantity == 0, lambda: f"{symbol} {_short(quantity)}")
        entered = sum((leg.entry for leg in held), NOTHING)
        asset = self.shadow.term(symbol).asset
        cleared = self.shadow.balance(f"clearing:{symbol}", asset)
        self.hold("clearing", cleared == -entered, lambda: f"{symbol} {_short(cleared)} for {_short(entered)}")

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
            self.hold("no_debt", good, lambda asset=asset, total=total: f"{name} {_short(total)} {asset}")  # type: ignore[misc]
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
                            f"{name} {pool}: {_short(found.balance)} for {_short(found.required)}"
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


class _Liquidation:
    """One liquidation while it goes on: what it may touch."""

    def __init__(self, auditor: Auditor, name: str, pool: str) -> None:
        self.auditor, self.name, self.pool = auditor, name, pool
        self.required: Fraction | None = None
        self.step = ""
        self.outside: dict[tuple[str, str], Fraction] = {}
        members = auditor.shadow.members(name, pool)
        self.own = {f"isolated:{name}:{leg.symbol}:{which}" for which, leg in members}
        self.legs = {(leg.symbol, which) for which, leg in members}

    def posted(self, event: Event, account: str, asset: str, amount: Fraction) -> None:
        """Note what moves on the trader's other accounts."""
        if not self.pool.startswith("isolated ") or account in self.own:
            return
        kind, _, rest = account.partition(":")
        if kind not in {"wallet", "bonus", "isolated", "voucher"} or rest.split(":", 1)[0] != self.name:
            return
        if isinstance(event, happened.Traded) and event.cause == "auto_deleveraging":
            return  # its other leg may be the one that is deleveraged
        self.outside[account, asset] = self.outside.get((account, asset), NOTHING) + amount

    def finished(self) -> None:
        """Hold the trader's other accounts to what they were: nothing taken; only what is left over comes back."""
        for (account, _), change in self.outside.items():
            good = change >= 0 if account.startswith("wallet:") else change == 0
            self.auditor.hold("contained", good, lambda account=account, change=change: f"{account} {_short(change)}")  # type: ignore[misc]
        if self.pool.startswith("isolated "):
            self.auditor.checked["contained"] += 1


class _Queue:
    """Who is to be deleveraged, reckoned when the first one is."""

    def __init__(self, shadow: Shadow, symbol: str, fund: Leg, price: Fraction) -> None:
        self.left: list[tuple[Fraction, str, str, Fraction]] = []
        term = shadow.term(symbol)
        for name, legs in shadow.legs.items():
            for (of, which), leg in legs.items():
                if of != symbol or name in {MARKET, FUND} or (leg.quantity > 0) == (fund.quantity > 0):
                    continue
                pool = shadow.pool_of(name, symbol, leg)
                balance = shadow.worth_at_marks(name, pool)
                value = worth(term, shadow.marks[symbol])
                sign = -1 if term.inverse else 1
                gained = sign * leg.quantity * value - leg.entry
                cost = sign * leg.quantity * (worth(term, price) - value)
                if pool == "account":
                    how, own = shadow.counts(term.asset), shadow.equity(name, term.asset)
                    cost = how.of(own + cost) - how.of(own)
                if balance + cost < 0:
                    continue  # could not bear the price
                exposure = NOTHING
                for _, one in shadow.members(name, pool):
                    each = abs(one.quantity) * worth(shadow.term(one.symbol), shadow.marks[one.symbol])
                    exposure += each * shadow.counts(shadow.term(one.symbol).asset).price if pool == "account" else each
                score = gained / abs(leg.entry)
                if shadow.rulebook.deleveraging_rank == "margin_ratio":
                    found = shadow.reckoned(name, pool)
                    exposure = NOTHING if found is None else found.required
                if balance > 0 and exposure:
                    score = score * exposure / balance if score > 0 else score * balance / exposure
                self.left.append((score, name, which, abs(leg.quantity)))

    def taken(self, name: str, leg: str, size: Fraction) -> str | None:
        """Return what is wrong with deleveraging this leg now by ``size``, or None."""
        if name == MARKET:
            return None if not self.left else f"the market before {self.left[0][1]}"
        found = next((one for one in self.left if one[1:3] == (name, leg)), None)
        if found is None:
            return f"{name} {leg} is not in the queue"
        best = max(one[0] for one in self.left)
        if found[0] < best - Fraction(1, 10**9) * (1 + abs(best)):
            return f"{name} {leg} with {_short(found[0])} before one with {_short(best)}"
        self.left.remove(found)
        if size < found[3]:
            self.left.append((found[0] + 10**9, name, leg, found[3] - size))  # stays the first
        return None


__all__ = ["LAWS", "Auditor", "LawBroken"]
