"""Pools that have nothing left and that nobody takes, from their call to their end in one go.

In a crash most pools that fall are of this kind, and what becomes of them is always the same::

    margin call (unless called already) → liquidation started → the venue's steps, none of which finds anything to do
    → take-over of each position at its bankruptcy price → disposal of each at the first offer of the market
    → liquidation ended: closed

So it is decided here in one go, without a look at the pool after each event: its figures
(:mod:`ringfence.margin.plain`), its trades, all of its events. Of whatever is not surely of this kind nothing is
decided here; it goes the long way (:mod:`~ringfence.engine.review`, :mod:`~ringfence.engine.liquidation`).

**Claim.** The events of a :class:`Fall` are those of the long way, byte for byte.

**Proof.** The trader is plain (:func:`~ringfence.engine.plain.plain_pools`): no orders, vouchers or bonus, no legs of
hedge mode, one asset behind each pool, no replenishment. Then nothing tops the pool up. Its balance is below 0, so that
it is at or below every level and not safe. Each step before the take-over is one of :data:`_FIND_NOTHING`: there are no
orders to cancel, no legs to net, no debts of a basket to repay; and a reduction at market returns at once where all of
a bankrupt pool's bankruptcy prices are out of the market's reach (:func:`~ringfence.engine.closing.nobody_takes`). None
of these events changes what the next one is decided on. Each take-over closes a whole position against a fund that
holds nothing of the symbol. Together they leave neither the position's margin nor the wallet below 0 (that is looked
at: else the long way), so that nothing is settled after them. They touch nothing that the market has been asked for,
and every symbol has a market of its own. So each disposal is the one fill that the first offer takes whole, if the
fund, after the ones before it, can bear it (looked at too). Then the pool holds nothing: closed. A law test lets
simulated venues and crashes go both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.engine.events import Event, LiquidationEnded, LiquidationStarted, LiquidationStep, MarginCalled, Traded
from ringfence.engine.liquidation import sequence
from ringfence.engine.matching import of_tape_first
from ringfence.engine.messages import dataclass
from ringfence.engine.orderbook import beyond
from ringfence.engine.plain import terms_at
from ringfence.engine.settle import after_of_venue, fund_account
from ringfence.engine.state import FUND, HOUSE
from ringfence.ledger import posting
from ringfence.margin.plain import bankruptcy_price, parts
from ringfence.numbers import ONE, PRICE_PLACES, RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, VALUE_PLACES, ZERO, divide

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.engine.commands import Command
    from ringfence.engine.liquidity import Offer
    from ringfence.engine.state import State
    from ringfence.engine.trader import Held, Trader
    from ringfence.ledger import Posting
    from ringfence.margin.plain import Parts, Terms
    from ringfence.numbers import Price, Value

_FIND_NOTHING = frozenset({
    "cancel_orders", "cancel_orders_if_replenishing", "auto_repay", "auto_exchange", "net_opposing_legs", "freeze",
    "reduce_at_market",
})  # fmt: skip
"""Steps of a sequence that do nothing to such a pool. ``reduce_at_market`` by its own name: in portfolio margin another
step has it, and no such pool is here."""
_HOUSE_WALLET = f"wallet:{HOUSE}"


@dataclass(frozen=True, slots=True)
class Fall(Event):
    """A pool that fell, as the one thing that it is: its events, of which ``taken`` and ``disposed`` are the trades.

    It stands for them until it is applied (:mod:`~ringfence.engine.evolve`), and is never journaled itself.
    """

    account: str
    pool: str
    events: tuple[Event, ...]
    taken: tuple[Traded, ...]
    disposed: tuple[Traded, ...]


class _Symbol(NamedTuple):
    """A symbol's terms, and the accounts of the ledger that its trades post to.

    ``size``: the contract's. What has terms is not inverse, so that a contract at a price is worth the product of both.
    """

    symbol: str
    terms: Terms
    size: Decimal
    asset: str
    fund: str
    clearing: str


class _Line(NamedTuple):
    """A position that falls: what is held, its bankruptcy price, and the offer beyond it that the fund will take."""

    of: _Symbol
    held: Held
    limit: Price
    offer: Offer


class Bankruptcies:
    """Decides about pools of plain traders at the prices there are, for one command. Changes nothing."""

    __slots__ = ("_command", "_known", "_levels", "_state", "_steps")

    def __init__(self, state: State, command: Command) -> None:
        self._state = state
        self._command = command
        self._levels = max(state.rulebook.levels.warning, state.rulebook.levels.margin_call)
        self._known: dict[tuple[str, bool], _Symbol | None] = {}
        self._steps: dict[bool, tuple[str, ...]] = {}

    def look(self, trader: Trader, pool: str, symbols: list[str]) -> Fall | bool:
        """Return how a plain trader's pool of positions in ``symbols`` falls; True where a look finds nothing to do.

        False where the pool has to be looked at the long way.
        """
        if pool in trader.liquidating:
            return False
        isolated = pool[0] == "i"  # else it is "cross ASSET"
        pnl = maintenance = required = ZERO
        known: list[tuple[_Symbol, Held, Parts]] = []
        for symbol in symbols:
            of, held = self._symbol(symbol, isolated=isolated), trader.held[symbol, "net"]
            told = None if of is None else parts(of.terms, held.quantity, held.entry_price)
            if of is None or told is None:
                return False
            known.append((of, held, told))
            pnl += told.unrealised_pnl
            maintenance += told.maintenance_margin
            required += told.liquidation_requirement
        asset = known[0][0].asset
        account = f"isolated:{trader.name}:{symbols[0]}:net" if isolated else f"wallet:{trader.name}"
        cash = self._state.ledger.balance(account, asset)
        balance = cash + pnl - ZERO
        if balance >= 0:
            return balance > required > 0 and balance > self._levels * required and pool not in trader.levels
        if required <= 0 or not maintenance:
            return False
        lines = self._out_of_reach(known, balance, maintenance)
        return lines is not None and self._fall(trader, pool, account, cash, lines, (balance, required + ZERO))

    def _symbol(self, symbol: str, *, isolated: bool) -> _Symbol | None:
        """Return what is known of a symbol for this command; None where its pools go the long way."""
        key = (symbol, isolated)
        if key in self._known:
            return self._known[key]
        found = self._known[key] = self._learnt(symbol, isolated=isolated)
        return found

    def _learnt(self, symbol: str, *, isolated: bool) -> _Symbol | None:
        state, at = self._state, self._command.at
        mark, marked = state.marks.get(symbol), state.marked_at.get(symbol)
        limit = state.setup.guard.stale_after
        if (
            mark is None or marked is None or ("mark", symbol) in state.doubts
            or (limit is not None and at - marked > limit)
            or (state.rulebook.trigger_prices != "mark" and symbol in state.last)
        ):  # fmt: skip
            return None
        steps = self._steps[isolated] = tuple(sequence(state, isolated=isolated))
        if steps[-1] != "take_over" or not _FIND_NOTHING.issuperset(steps[:-1]):
            return None
        terms = terms_at(state, symbol, mark, isolated=isolated)
        if terms is None:
            return None
        contract = terms.contract
        fund = fund_account(state, symbol)
        return _Symbol(symbol, terms, contract.contract_size, contract.settle_asset, fund, f"clearing:{symbol}")

    def _out_of_reach(
        self, known: list[tuple[_Symbol, Held, Parts]], equity: Value, maintenance: Value
    ) -> list[_Line] | None:
        """Return a bankrupt pool's positions with their bankruptcy prices, if nobody takes any of them at these.

        And if the market's first offer for each is as large as it. Shorts come first, as in a take-over.
        """
        alone, lines = len(known) == 1, []
        for of, held, told in known:
            quantity = held.quantity
            side = "sell" if quantity > 0 else "buy"
            offer = of_tape_first(self._state, of.symbol, side)
            if offer is None or offer.quantity < abs(quantity):
                return None
            weight, total = (ONE, ONE) if alone else (told.maintenance_margin, maintenance)
            share = divide(equity * weight, total, places=VALUE_PLACES, rounding=ROUND_FLOOR)
            limit = bankruptcy_price(of.terms, quantity, share)
            if limit is None or not beyond(offer.price, limit, side):
                return None
            lines.append(_Line(of, held, limit, offer))
        return lines if alone else sorted(lines, key=lambda line: line.held.quantity > 0)

    def _fall(
        self, trader: Trader, pool: str, account: str, cash: Value, lines: list[_Line], margin: tuple[Value, Value]
    ) -> Fall | bool:
        """Return the fall of a pool; False where somebody would be left owing or the market takes not all at once."""
        state, command, at, name = self._state, self._command.id, self._command.at, trader.name
        fund = state.traders.get(FUND)
        taken, disposed = [], []
        for line in lines:
            if fund is not None and (line.of.symbol, "net") in fund.held:
                return False
            trade, cash = self._taken(name, account, cash, line, last=line is lines[-1])
            taken.append(trade)
        if cash < 0:
            return False  # for the fund to pay
        left: dict[str, Value] = {}
        for line, trade in zip(lines, taken, strict=True):
            got = self._disposed(line, trade, left)
            if got is None:
                return False
            disposed.append(got)
        steps = [LiquidationStep(command, at, name, pool, step, *margin) for step in self._steps[pool[0] == "i"]]
        ended = LiquidationEnded(command, at, name, pool, "closed")
        events = (*self._called(trader, pool, *margin), *steps, *taken, *disposed, ended)
        return Fall(command, at, name, pool, events, tuple(taken), tuple(disposed))

    def _called(self, trader: Trader, pool: str, balance: Value, required: Value) -> tuple[Event, ...]:
        """Return the margin call that a bankrupt pool is due, unless it was called already, and its liquidation."""
        name, command, at = trader.name, self._command.id, self._command.at
        started = LiquidationStarted(command, at, name, pool, balance, required)
        if trader.levels.get(pool) == "margin_call":
            return (started,)
        bound = self._state.rulebook.levels.margin_call
        health = divide(balance, required, places=RATIO_PLACES, rounding=ROUND_FLOOR)
        missing, deposit = required - balance, bound * required - balance
        call = MarginCalled(
            command, at, name, pool, "margin_call", health, balance, required, missing, deposit, None
        )  # fmt: skip
        return call, started

    # ── Trades ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _taken(
        self, name: str, account: str, cash: Value, line: _Line, *, last: bool
    ) -> tuple[Traded, Value]:  # fmt: skip
        """Return the take-over of a position, and what cash of its pool is left after it."""
        of, held, price, _ = line
        quantity, entry, asset = held.quantity, held.entry_value, of.asset
        value = of.size * price
        realised = quantity * value - entry
        left = cash + realised
        if last and left < 0:
            price = _hand_over_price(line, cash)
            value = of.size * price
            realised = quantity * value - entry
            left = cash + realised
        if account[0] == "w":
            postings = _moved(asset, realised, of.clearing, account)
        else:
            postings = ()
            if realised:
                postings = (posting((of.clearing, asset, -realised)), posting((account, asset, realised)))
            if left > 0:  # what margin is left, to the wallet
                postings += (posting((account, asset, -left)), posting((f"wallet:{name}", asset, left)))
        own = (name, "net", quantity - quantity, entry - entry)
        other = (FUND, "net", ZERO + quantity, ZERO + quantity * value)
        sides = (*other, *own) if quantity > 0 else (*own, *other)
        trade = Traded(
            self._command.id, self._command.at, of.symbol, price, abs(quantity), "take_over", *sides, None, None, None,
            postings,
        )  # fmt: skip
        return trade, left

    def _disposed(self, line: _Line, taken: Traded, left: dict[str, Value]) -> Traded | None:
        """Return the trade by which the market takes what the fund has just got, all of it at once.

        ``left``: what the fund has after what was disposed of before. None where it cannot bear this one.
        """
        state, of, long = self._state, line.of, line.held.quantity > 0
        price, quantity = line.offer.price, min(line.offer.quantity, taken.quantity)
        if long:
            got, got_for = taken.buyer_quantity, taken.buyer_entry_value
        else:
            got, got_for = taken.seller_quantity, taken.seller_entry_value
        value = of.size * price
        part = quantity if long else -quantity
        realised = part * value - got_for
        fund = left[of.fund] if of.fund in left else state.ledger.balance(of.fund, of.asset)
        left[of.fund] = fund = fund + realised
        if fund < 0:
            return None
        market = state.traders.get(HOUSE)
        held = None if market is None else market.held.get((of.symbol, "net"))
        size, entry, gained = after_of_venue(held, part, value)
        ours = _moved(of.asset, realised, of.clearing, of.fund)
        theirs = _moved(of.asset, gained, of.clearing, _HOUSE_WALLET)
        own, other = (FUND, "net", got - part, got_for - got_for), (HOUSE, "net", size, entry)
        sides, postings = ((*other, *own), theirs + ours) if long else ((*own, *other), ours + theirs)
        return Traded(
            self._command.id, self._command.at, of.symbol, price, quantity, "disposal", *sides, None, None, None,
            postings,
        )  # fmt: skip


def _hand_over_price(line: _Line, cash: Value) -> Price:
    """Return the price at which nothing is left of a pool whose last bankruptcy price leaves its trader owing.

    As :func:`ringfence.engine.closing.take_over` hands it over.
    """
    contract, quantity, entry = line.of.terms.contract, line.held.quantity, line.held.entry_value
    numerator = entry - cash
    if numerator * quantity <= 0:
        return line.of.terms.mark
    rounding = ROUND_CEILING if quantity > 0 else ROUND_FLOOR
    return contract.price_at(abs(numerator), abs(quantity), places=PRICE_PLACES, rounding=rounding)


def _moved(asset: str, realised: Value, clearing: str, own: str) -> tuple[Posting, ...]:
    """Return the postings of a gain or a loss that no ring-fenced margin bears."""
    if not realised:
        return ()
    if realised > 0:
        return posting((clearing, asset, -realised)), posting((own, asset, realised))
    loss = ZERO - realised
    return posting((own, asset, -loss)), posting((clearing, asset, loss))


__all__ = ["Bankruptcies", "Fall"]
