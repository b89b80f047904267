"""The auditor's own books: everything it knows comes from the events, added up in fractions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from ringfence.engine import events as happened
from ringfence.portfolio_rules import ComponentTerms, UnifiedTerms
from ringfence.sim import scenarios
from ringfence.sim.reckoning import Counting, Leg, Reckoned, Terms, Working, counting, profit, reckon, terms, worth
from ringfence.sim.scenarios import Stake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from ringfence.contract import Contract
    from ringfence.engine.events import (
        CollateralExchanged,
        Event,
        FundingPaid,
        InsuranceUsed,
        MoneyMoved,
        VoucherClosed,
        VoucherCredited,
    )
    from ringfence.ledger import Posting
    from ringfence.rulebook import Rulebook
    from ringfence.sim.charges import Charges

    _Moving: TypeAlias = (
        MoneyMoved | FundingPaid | InsuranceUsed | CollateralExchanged | VoucherCredited | VoucherClosed
    )

MARKET, FUND = "@market", "@insurance"
NOTHING = Fraction(0)


@dataclass(slots=True)
class Known:
    """An order the auditor saw rest or wait."""

    symbol: str
    side: str
    size: Fraction
    price: Fraction | None
    reduces: bool
    leg: str | None
    waits: bool


class Claim(NamedTuple):
    """A mark that jumped too far, how many further updates have said about the same, and when the latest came."""

    price: Fraction
    agreed: int
    at: int


@dataclass(slots=True)
class Shadow:
    """What the events add up to."""

    rules: Callable[[str | None, str | None], Rulebook]
    rulebook: Rulebook
    charges: Charges
    books: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    totals: dict[str, Fraction] = field(default_factory=dict)
    legs: dict[str, dict[tuple[str, str], Leg]] = field(default_factory=dict)  # trader → (symbol, leg)
    orders: dict[str, dict[str, Known]] = field(default_factory=dict)
    isolated: dict[tuple[str, str], bool] = field(default_factory=dict)
    leverage: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    hedged: dict[str, bool] = field(default_factory=dict)
    pooled: dict[str, bool] = field(default_factory=dict)  # traders with one pool of all assets
    scenarios: dict[str, bool] = field(default_factory=dict)  # those of them in portfolio margin
    marks: dict[str, Fraction] = field(default_factory=dict)
    marked_at: dict[str, int] = field(default_factory=dict)
    last: dict[str, Fraction] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)  # marks that jumped and were not believed
    told: dict[tuple[str, str], Fraction] = field(default_factory=dict)  # (mark or last, symbol) before it was moved
    pressure: dict[str, tuple[Fraction, int]] = field(default_factory=dict)  # of forced orders, and since when
    index: dict[str, Fraction] = field(default_factory=dict)
    index_at: dict[str, int] = field(default_factory=dict)
    doubted: dict[str, None] = field(default_factory=dict)  # indices that jumped and were not believed
    waiting_until: dict[tuple[str, str], int] = field(default_factory=dict)  # pools in a cooldown
    ring_fenced: dict[str, Fraction] = field(default_factory=dict)  # isolated accounts that hold anything
    settled: dict[str, Fraction] = field(default_factory=dict)  # symbols that expired, at their settlement price
    known: dict[str, Terms] = field(default_factory=dict)

    def term(self, symbol: str) -> Terms:
        """Return a symbol's terms under the rules that hold now."""
        found = self.known.get(symbol)
        if found is None:
            found = self.known[symbol] = terms(self.rulebook, symbol)
        return found

    # ── Adding up ────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, event: Event) -> None:
        """Add one event to the books."""
        add = _ADD.get(type(event))
        if add is not None:
            add(self, event)

    def post(self, postings: tuple[Posting, ...]) -> None:
        """Add postings."""
        for account, asset, amount in postings:
            share = Fraction(amount)
            total = self.books[account, asset] = self.books.get((account, asset), NOTHING) + share
            self.totals[asset] = self.totals.get(asset, NOTHING) + share
            if account.startswith("isolated:"):
                if total:
                    self.ring_fenced[account] = total
                else:
                    self.ring_fenced.pop(account, None)

    def balance(self, account: str, asset: str) -> Fraction:
        """Return a balance."""
        return self.books.get((account, asset), NOTHING)

    def fill(self, name: str, symbol: str, leg: str, delta: Fraction, price: Fraction) -> None:
        """Add ``delta`` contracts at ``price`` to a leg: what closes takes its share of the entry value."""
        held = self.legs.setdefault(name, {})
        term = self.term(symbol)
        value = worth(term, price) * (-1 if term.inverse else 1)
        before = held.get((symbol, leg))
        quantity, entry = (before.quantity, before.entry) if before is not None else (NOTHING, NOTHING)
        if quantity * delta < 0:
            closed = min(abs(delta), abs(quantity)) * (1 if quantity > 0 else -1)
            entry -= entry * closed / quantity
            quantity -= closed
            delta += closed
        quantity, entry = quantity + delta, entry + delta * value
        if quantity:
            held[symbol, leg] = Leg(symbol, quantity, entry, None)
        else:
            held.pop((symbol, leg), None)

    def adopt_entry(self, name: str, symbol: str, leg: str, entry: Fraction) -> None:
        """Take over the engine's entry value once it was found equal but for its last rounded digit."""
        held = self.legs[name]
        held[symbol, leg] = held[symbol, leg]._replace(entry=entry)

    # ── Pools ────────────────────────────────────────────────────────────────────────────────────────────────────

    def is_isolated(self, name: str, symbol: str) -> bool:
        """Whether a trader holds a symbol in isolated margin."""
        return self.isolated.get((name, symbol), False)

    def pool_of(self, name: str, symbol: str, leg: Leg) -> str:
        """Return the name of the pool that a leg is in."""
        if self.is_isolated(name, symbol):
            return f"isolated {symbol} {'long' if leg.quantity > 0 else 'short'}"
        return "account" if self.pooled.get(name) else f"cross {self.term(symbol).asset}"

    def pools(self, name: str) -> Iterator[str]:
        """Yield the names of a trader's pools that hold positions."""
        yield from dict.fromkeys(
            self.pool_of(name, symbol, leg) for (symbol, _), leg in self.legs.get(name, {}).items()
        )

    def members(self, name: str, pool: str) -> list[tuple[str, Leg]]:
        """Return (leg name, leg) of a pool."""
        return [
            (which, leg._replace(leverage=self.leverage.get((name, symbol))))
            for (symbol, which), leg in self.legs.get(name, {}).items()
            if self.pool_of(name, symbol, leg) == pool
        ]

    def holds_anything(self, name: str, pool: str) -> bool:
        """Whether a pool has a position, or a shared one an order that is active."""
        if self.members(name, pool):
            return True
        if pool == "account":
            return any(not order.waits for order in self.orders.get(name, {}).values())
        asset = pool.removeprefix("cross ")
        return asset != pool and any(
            not order.waits and self.term(order.symbol).asset == asset for order in self.orders.get(name, {}).values()
        )

    def cash(self, name: str, pool: str) -> Fraction:
        """Return what stands in a pool without the profit of its positions."""
        if pool.startswith("isolated "):
            which, leg = self.members(name, pool)[0]
            return self.balance(f"isolated:{name}:{leg.symbol}:{which}", self.term(leg.symbol).asset)
        return self.money(name, pool.removeprefix("cross "))

    def money(self, name: str, asset: str) -> Fraction:
        """Return what of an asset stands behind shared positions: wallet, bonus, and vouchers that count."""
        given = self.balance(f"bonus:{name}", asset) + self.charges.margin(self.rulebook, name, asset)
        return self.balance(f"wallet:{name}", asset) + given

    def reckoned(self, name: str, pool: str, prices: dict[str, Fraction] | None = None) -> Reckoned | None:
        """Return what a pool holds and needs at the marks, or at other ``prices``."""
        if pool == "account":
            of = self._portfolio if self.scenarios.get(name) else self._basket
            return of(name, prices or self.marks)
        legs = [leg for _, leg in self.members(name, pool)]
        isolated = pool.startswith("isolated ")
        policies = self.rulebook.isolated if isolated else self.rulebook.cross
        if isolated and not legs:
            return None
        return reckon(
            policies, self.cash(name, pool), legs, () if isolated else self._working(name, pool.removeprefix("cross ")),
            self.term, prices or self.marks, isolated=isolated,
        )  # fmt: skip

    def counts(self, asset: str) -> Counting:
        """Return how an asset counts in a basket now; a dollar whose index never came has one of 1."""
        return counting(self.rulebook, asset, self.index.get(asset, Fraction(1)))

    def assets(self, name: str) -> list[str]:
        """Return every asset that a trader's basket holds, owes, or has positions or orders in."""
        own = {f"{kind}:{name}" for kind in ("wallet", "bonus")}
        found = {asset for (account, asset), total in self.books.items() if total and account in own}
        found |= {asset for (account, asset), total in self.books.items()
                  if total and account.startswith(f"voucher:{name}:")}  # fmt: skip
        found |= {self.term(leg.symbol).asset for _, leg in self.members(name, "account")}
        return sorted(found | {self.term(o.symbol).asset for o in self.orders.get(name, {}).values() if not o.waits})

    def _basket(self, name: str, prices: dict[str, Fraction]) -> Reckoned | None:
        """Return what a basket counts for and needs: asset by asset, each requirement at what a debt costs."""
        policies, legs = self.rulebook.basket, [leg for _, leg in self.members(name, "account")]
        balance = required = NOTHING
        for asset in self.assets(name):
            own = [leg for leg in legs if self.term(leg.symbol).asset == asset]
            part = reckon(policies, self.money(name, asset), own, self._working(name, asset), self.term, prices,
                          isolated=False)  # fmt: skip
            if part is None:
                return None
            how = self.counts(asset)
            balance += how.of(part.balance)
            required += part.required * how.price * how.debt
        return Reckoned(balance, required, policies.trigger == "at_or_below")

    def _portfolio(self, name: str, prices: dict[str, Fraction]) -> Reckoned | None:
        """Return what a portfolio account counts for and needs: by tiers and loans, or coin by coin by scenarios."""
        rules = self.rulebook.portfolio
        assert rules is not None  # noqa: S101 - else nobody could have chosen it
        if any(self.expired(symbol) for symbol in self._dealt_in(name)):
            return None  # nothing is decided on it until it is settled
        balance = self.worth_at_marks(name, "account")
        at_equal = self.rulebook.basket.trigger == "at_or_below"
        owed = {asset: max(NOTHING, -self.money(name, asset)) for asset in self.assets(name)}
        legs = [leg for _, leg in self.members(name, "account")]
        if isinstance(rules.terms, UnifiedTerms):
            needed = loans = NOTHING
            for asset in self.assets(name):
                own = [leg for leg in legs if self.term(leg.symbol).asset == asset]
                part = reckon(self.rulebook.basket, NOTHING, own, (), self.term, prices, isolated=False)
                if part is None:
                    return None
                needed += part.required * self.counts(asset).price
                loans += owed[asset] * Fraction(rules.terms.loan_rate) * self.counts(asset).price
            lost = sum((self._lost_by_opening(order) for order in self._openings(name)), NOTHING)
            times = Fraction(rules.terms.liquidation_ratio)
            return Reckoned(balance - lost, (needed + loans) * times, at_equal, loans * times)
        required = NOTHING
        for coin, price, stakes in self._stakes(name, legs):
            required += scenarios.required(coin, stakes, price, rules)
        borrowed = NOTHING
        if isinstance(rules.terms, ComponentTerms):
            for asset, amount in owed.items():
                counted = self.counts(asset)
                borrowed += amount * counted.price * counted.debt * Fraction(rules.terms.borrow_rate)
        return Reckoned(balance, required + borrowed, at_equal, borrowed)

    def _stakes(self, name: str, legs: list[Leg]) -> Iterator[tuple[str, Fraction, list[Stake]]]:
        """Yield each coin that is traded on, its index (or the mark of the first contract on it), and what is held."""
        contracts = {leg.symbol: self.rulebook.contract(leg.symbol) for leg in legs}
        for coin in dict.fromkeys(contract.risk_unit for contract in contracts.values()):
            own = [leg for leg in legs if contracts[leg.symbol].risk_unit == coin]
            price = self.index.get(coin, self.marks[own[0].symbol])
            stakes = [self._stake(leg, contracts[leg.symbol], coin, price) for leg in own]
            rules = self.rulebook.portfolio
            short = -sum((stake.coins for stake in stakes), NOTHING)
            spot = min(self.money(name, coin), short)
            if rules is not None and rules.spot == "offset" and spot > 0:
                stakes.append(Stake(spot, spot * price, coin, in_coin=False, fee=None, expiry=None, years=NOTHING,
                                    spot=True))  # fmt: skip
            yield coin, price, stakes

    def _stake(self, leg: Leg, contract: Contract, coin: str, price: Fraction) -> Stake:
        term, mark = self.term(leg.symbol), self.marks[leg.symbol]
        in_coin = term.asset == coin
        coins = leg.quantity * (worth(term, mark) if term.inverse else term.size)
        value = coins * price if term.inverse else coins * mark * (price if in_coin else self.counts(term.asset).price)
        years = NOTHING
        if contract.expiry is not None:
            left = contract.expiry - self.now()
            years = Fraction(left.days * 86400 + left.seconds, 86400 * 365)
        fee = None if contract.taker_fee_rate is None else Fraction(contract.taker_fee_rate)
        return Stake(coins, value, term.asset, in_coin and term.inverse, fee, contract.expiry, years)

    def expired(self, symbol: str) -> bool:
        """Whether a contract is past its expiry by the latest mark; while no mark is known, whether it expires."""
        expiry = self.rulebook.contract(symbol).expiry
        return expiry is not None and (not (self.marked_at or self.index_at) or self.now() >= expiry)

    def _dealt_in(self, name: str) -> set[str]:
        """Return every symbol that a trader holds or has an order in, waiting or not."""
        held = {symbol for symbol, _ in self.legs.get(name, {})}
        return held | {order.symbol for order in self.orders.get(name, {}).values()}

    def now(self) -> datetime:
        """Return when the latest mark, or index of an asset, came."""
        times = [*self.marked_at.values(), *(at for of, at in self.index_at.items() if of not in self.marks)]
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=max(times))

    def _openings(self, name: str) -> Iterator[Known]:
        yield from (o for o in self.orders.get(name, {}).values() if not (o.waits or o.reduces or o.price is None))

    def _lost_by_opening(self, order: Known) -> Fraction:
        """Return what an order would lose against the mark if it filled at its price (≥ 0)."""
        term = self.term(order.symbol)
        price = NOTHING if order.price is None else order.price
        mark = self.marks.get(order.symbol, price)
        sign = (1 if order.side == "buy" else -1) * (-1 if term.inverse else 1)
        lost = sign * order.size * (worth(term, price) - worth(term, mark))
        return max(NOTHING, lost) * self.counts(term.asset).price

    def _working(self, name: str, asset: str) -> Iterator[Working]:
        for order in self.orders.get(name, {}).values():
            if (
                not order.waits
                and not order.reduces
                and order.price is not None
                and self.term(order.symbol).asset == asset
            ):
                yield Working(order.symbol, order.size, order.price)

    def fresh(self, name: str, pool: str, at: int, limit: int | None) -> bool:
        """Whether every mark of a pool is there, not in doubt, and young enough."""
        return all(
            leg.symbol in self.marked_at
            and leg.symbol not in self.claims
            and (limit is None or at - self.marked_at[leg.symbol] <= limit)
            for _, leg in self.members(name, pool)
        ) and (pool != "account" or self.indices_fresh(name, at, limit))

    def indices_fresh(self, name: str, at: int, limit: int | None) -> bool:
        """Whether every index that a basket counts at came, is not in doubt, and is young enough.

        In portfolio margin also those of the coins that are traded on.
        """
        coins = [self.rulebook.contract(leg.symbol).risk_unit for _, leg in self.members(name, "account")]
        return all(
            asset not in self.index
            or (
                asset in self.index_at
                and asset not in self.doubted
                and (limit is None or at - self.index_at[asset] <= limit)
            )
            for asset in (*self.assets(name), *(coins if self.scenarios.get(name) else ()))
        )

    def worth_at_marks(self, name: str, pool: str) -> Fraction:
        """Return a pool's cash and the profit of its positions at the marks."""
        if pool == "account":
            return sum((self.counts(asset).of(self.equity(name, asset)) for asset in self.assets(name)), NOTHING)
        gains = (profit(self.term(leg.symbol), leg, self.marks[leg.symbol]) for _, leg in self.members(name, pool))
        return self.cash(name, pool) + sum(gains, NOTHING)

    def equity(self, name: str, asset: str) -> Fraction:
        """Return what a basket holds of an asset with the profit of the positions settled in it, at the marks."""
        legs = [leg for _, leg in self.members(name, "account") if self.term(leg.symbol).asset == asset]
        gains = (profit(self.term(leg.symbol), leg, self.marks[leg.symbol]) for leg in legs)
        return self.money(name, asset) + sum(gains, NOTHING)


def _posted(shadow: Shadow, event: _Moving) -> None:
    shadow.post(event.postings)


def _trade(shadow: Shadow, event: happened.Traded) -> None:
    if event.cause in {"liquidation", "disposal"} and MARKET in {event.buyer, event.seller}:
        pressure, since = shadow.pressure.get(event.symbol, (NOTHING, event.at))
        pushed = Fraction(event.quantity) * (1 if event.seller == MARKET else -1)
        shadow.pressure[event.symbol] = (pressure + pushed, since if pressure else event.at)
    size, price = Fraction(event.quantity), Fraction(event.price)
    shadow.fill(event.buyer, event.symbol, event.buyer_leg, size, price)
    shadow.fill(event.seller, event.symbol, event.seller_leg, -size, price)
    shadow.post(event.postings)
    if event.maker is not None and event.maker_order is not None:
        shadow.orders[event.maker][event.maker_order].size -= size


def _rest(shadow: Shadow, event: happened.OrderRested) -> None:
    shadow.orders.setdefault(event.account, {})[event.order] = Known(
        event.symbol, event.side, Fraction(event.quantity), None if event.price is None else Fraction(event.price),
        event.reduce_only or event.close_position, event.position_side, event.trigger_price is not None,
    )  # fmt: skip


def _amend(shadow: Shadow, event: happened.OrderAmended) -> None:
    order = shadow.orders[event.account][event.order]
    order.size, order.price = Fraction(event.quantity), Fraction(event.price)


def _close(shadow: Shadow, event: happened.OrderClosed) -> None:
    del shadow.orders[event.account][event.order]


def _set(shadow: Shadow, event: happened.SettingChanged) -> None:
    symbol = event.symbol or ""
    if event.setting == "leverage":
        shadow.leverage[event.account, symbol] = Fraction(event.value)
    elif event.setting == "margin_mode":
        shadow.isolated[event.account, symbol] = event.value == "isolated"
    elif event.setting == "fee_level":
        shadow.charges.levels[event.account] = event.value
    elif event.setting == "fee_discounts":
        shadow.charges.discounts[event.account] = tuple(filter(None, event.value.split(",")))
    elif event.setting == "collateral_mode":
        shadow.pooled[event.account] = event.value != "single_asset"
        shadow.scenarios[event.account] = event.value == "portfolio"
    elif event.setting == "position_mode":
        shadow.hedged[event.account] = event.value == "hedge"


def _price(shadow: Shadow, event: happened.PricesChanged) -> None:
    for symbol, price in event.marks:
        shadow.marks[symbol] = Fraction(price)
        shadow.marked_at[symbol] = event.at
        shadow.told.pop(("mark", symbol), None)
        shadow.claims.pop(symbol, None)
    for symbol, price in event.last:
        shadow.last[symbol] = Fraction(price)
        shadow.told.pop(("last", symbol), None)
    for symbol, price in event.index:
        shadow.index[symbol] = Fraction(price)
        shadow.index_at[symbol] = event.at
        shadow.doubted.pop(symbol, None)


def _doubted(shadow: Shadow, event: happened.PriceDoubted) -> None:
    if event.of == "index":
        shadow.doubted[event.symbol] = None


def _moved(shadow: Shadow, event: happened.PriceMoved) -> None:
    for kind, price, table in (("mark", event.mark, shadow.marks), ("last", event.last, shadow.last)):
        if price is not None:
            shadow.told[kind, event.symbol] = table[event.symbol]
            table[event.symbol] = Fraction(price)
    shadow.pressure[event.symbol] = (Fraction(event.pressure), event.at)


def _resume(shadow: Shadow, event: happened.Resumed) -> None:
    del event
    shadow.marked_at.clear()
    shadow.index_at.clear()


def _settle(shadow: Shadow, event: happened.ExpirySettled) -> None:
    shadow.settled[event.symbol] = Fraction(event.price)


def _end(shadow: Shadow, event: happened.LiquidationEnded) -> None:
    what, _, until = event.outcome.partition(" ")
    if what == "cooldown":
        shadow.waiting_until[event.account, event.pool] = int(until)
    elif what == "waiting":  # for the next price
        shadow.waiting_until[event.account, event.pool] = event.at + 1
    else:
        shadow.waiting_until.pop((event.account, event.pool), None)


def _adopt(shadow: Shadow, event: happened.RulebookAdopted) -> None:
    shadow.rulebook = shadow.rules(event.rulebook, event.as_of)
    shadow.known.clear()


_ADD: dict[type[Event], Callable[[Shadow, Any], None]] = {
    happened.MoneyMoved: _posted,
    happened.VoucherCredited: _posted,
    happened.VoucherClosed: _posted,
    happened.FundingPaid: _posted,
    happened.InsuranceUsed: _posted,
    happened.CollateralExchanged: _posted,
    happened.Traded: _trade,
    happened.OrderRested: _rest,
    happened.OrderAmended: _amend,
    happened.OrderClosed: _close,
    happened.SettingChanged: _set,
    happened.PricesChanged: _price,
    happened.PriceDoubted: _doubted,
    happened.PriceMoved: _moved,
    happened.ExpirySettled: _settle,
    happened.LiquidationEnded: _end,
    happened.RulebookAdopted: _adopt,
    happened.Resumed: _resume,
}

__all__ = ["FUND", "MARKET", "NOTHING", "Claim", "Known", "Shadow"]
