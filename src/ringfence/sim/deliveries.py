"""What the auditor asks of a settlement: when, at which price, how much of it, for which fee, and what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from ringfence.engine import events as happened
from ringfence.engine.commands import SettleExpiry
from ringfence.sim.reckoning import TOLERANCE, worth
from ringfence.sim.shadow import FUND, MARKET, NOTHING

if TYPE_CHECKING:
    from ringfence.contract import Contract
    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.rulebook import Rulebook
    from ringfence.sim.shadow import Shadow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACES = Fraction(1, 10**20)  # of a quotient


def delivery_rate(rulebook: Rulebook, contract: Contract) -> Fraction | None:
    """Return the rate of a delivery's fee by the venue's data: None where it is not known, 0 where it is exempt."""
    terms, expiry = rulebook.delivery, contract.expiry
    assert expiry is not None  # noqa: S101 - a perpetual is never settled
    friday = expiry.isoweekday() == 5
    if contract.strike is not None:
        rate, free = terms.option_rate, not friday and "daily_options" in terms.exempt
    else:
        month = (expiry + timedelta(weeks=1)).month
        rate, free = terms.future_rate, month == expiry.month and "weekly_futures" in terms.exempt
    return NOTHING if free else None if rate is None else Fraction(rate)


def of_a_delivery(event: Event) -> bool:
    """Whether an event says of itself that a settlement led to it."""
    return {getattr(event, "cause", ""), getattr(event, "reason", "")} & {"delivery", "delivery_fee"} != set()


class Delivery:
    """One settlement while it goes on."""

    def __init__(self, shadow: Shadow, command: Command, event: happened.ExpirySettled) -> None:
        self.shadow, self.command, self.event = shadow, command, event
        self.contract = shadow.rulebook.contract(event.symbol)
        self.price = Fraction(event.price)
        self.closed: dict[str, Fraction] = {}  # contracts of each trader whose fee is not paid yet

    def wrong_start(self) -> str | None:
        """Return what is wrong with settling this symbol now, or None; before the event is applied."""
        command, event, expiry = self.command, self.event, self.contract.expiry
        if not isinstance(command, SettleExpiry) or (command.symbol, command.price) != (event.symbol, event.price):
            return "nobody asked for it"
        if event.symbol in self.shadow.settled:
            return "it was settled before"
        if expiry is None or _EPOCH + timedelta(microseconds=event.at) < expiry:
            return f"it expires at {expiry}"
        rate = delivery_rate(self.shadow.rulebook, self.contract)
        if (None if event.fee_rate is None else Fraction(event.fee_rate)) != rate:
            return f"its fee is {rate}"
        if abs(Fraction(event.worth) - self.worth()) > _PLACES:
            return f"it is worth {float(self.worth())}"
        return None if self.price > 0 else "a price of nothing"

    def worth(self) -> Fraction:
        """Return the price that positions are closed at."""
        contract = self.contract
        if contract.strike is None or contract.option_type is None:
            return self.price
        gain = self.price - Fraction(contract.strike)
        inside = max(NOTHING, gain if contract.option_type.value == "call" else -gain)
        return inside / self.price if contract.settle_asset == contract.risk_unit else inside

    def wrong(self, event: Event) -> str | None:
        """Return what is wrong with something that happens in a settlement, or None; before it is applied."""
        if isinstance(event, happened.Traded) and event.symbol == self.event.symbol:
            return self._wrong_close(event)
        if isinstance(event, happened.MoneyMoved) and event.cause == "delivery_fee":
            return self._wrong_fee(event)
        return None

    def _wrong_close(self, event: happened.Traded) -> str | None:
        if event.cause != "delivery" or event.price != self.event.worth or FUND in {event.buyer, event.seller}:
            return "traded in its own settlement"
        if (event.buyer == MARKET) == (event.seller == MARKET):
            return "not between a trader and the market"
        sells = event.buyer == MARKET
        name, leg = (event.seller, event.seller_leg) if sells else (event.buyer, event.buyer_leg)
        held = self.shadow.legs.get(name, {}).get((event.symbol, leg))
        if held is None or (held.quantity > 0) != sells or abs(held.quantity) != Fraction(event.quantity):
            return f"{name} {leg} holds {held}"
        self.closed[name] = Fraction(event.quantity)
        return None

    def _wrong_fee(self, event: happened.MoneyMoved) -> str | None:
        """Return what is wrong with a fee: more than is due, or less although there is more in the wallet."""
        size, name, asset = self.closed.pop(event.account, NOTHING), event.account, self.contract.settle_asset
        paid = {(account, of): Fraction(amount) for account, of, amount in event.postings}
        fee = paid.get(("fees", asset), NOTHING)
        if paid != {(f"wallet:{name}", asset): -fee, ("fees", asset): fee} or fee <= 0:
            return "not out of the wallet"
        due = self._due() * size
        if fee > due * (1 + TOLERANCE):
            return f"{float(due)} is due"
        wallet = self.shadow.balance(f"wallet:{name}", asset)
        if fee < due * (1 - TOLERANCE) and not self.shadow.is_isolated(name, self.event.symbol) and wallet > fee:
            return f"{float(due)} is due, and the wallet has it"
        return None

    def _due(self) -> Fraction:
        """Return the fee of one contract."""
        terms, contract = self.shadow.rulebook.delivery, self.contract
        rate = delivery_rate(self.shadow.rulebook, contract) or NOTHING
        if contract.strike is None:
            return rate * worth(self.shadow.term(contract.symbol), self.price)
        size = Fraction(contract.contract_size)
        of_underlying = rate * size * (1 if contract.settle_asset == contract.risk_unit else self.price)
        return of_underlying if terms.option_cap is None else min(
            of_underlying, Fraction(terms.option_cap) * size * self.worth()
        )  # fmt: skip

    def wrong_end(self) -> str | None:
        """Return what is left of a symbol that was settled, or None."""
        symbol = self.event.symbol
        for name, legs in self.shadow.legs.items():
            if any(held == symbol for held, _ in legs):
                return f"{name} still holds {symbol}"
        for name, orders in self.shadow.orders.items():
            if any(order.symbol == symbol for order in orders.values()):
                return f"{name} still has an order in {symbol}"
        return None


__all__ = ["Delivery", "delivery_rate", "of_a_delivery"]
