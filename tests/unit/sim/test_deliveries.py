"""The auditor finds what is wrong with a settlement: each is done right first, and one thing of it told otherwise."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine import events as happened
from ringfence.engine.decide import handle
from ringfence.engine.setup import Market, PriceGuard
from ringfence.engine.state import State
from ringfence.ledger import move
from ringfence.sim.auditor import Auditor
from ringfence.sim.deliveries import Delivery
from ringfence.sim.laws import LawBroken
from ringfence.sim.venues import VENUES
from ringfence.sim.world import WorldSetup

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.events import Event

D = Decimal
BYBIT = next(venue for venue in VENUES if venue.rulebook == "bybit-uta")  # its rulebook has a delivery fee
SETUP = WorldSetup(
    rulebook_name="bybit-uta", market=Market(D(0), D(0), D(10) ** 9, 1), guard=PriceGuard(), venue=BYBIT
)  # fmt: skip
OCTOBER = "BTC-OCT"
EXPIRY = int((SETUP.rulebook().contract(OCTOBER).expiry or pytest.fail("it expires")).timestamp()) * 1_000_000


class Settled:
    """Ann holds 0.1 BTC of October and an order in it; what the auditor sees of its settlement is up to the test."""

    def __init__(self) -> None:
        self.state = State(SETUP)
        self.auditor = Auditor(SETUP, self.state)
        self.count = 0
        self.do(asked.Deposit, "ann", "USDT", D(10_000))
        self.do(asked.SetLeverage, "ann", OCTOBER, D(10))
        self.do(asked.UpdatePrices, ((OCTOBER, D(100_000)),))
        self.do(asked.PlaceOrder, "ann", "o", OCTOBER, "buy", D("0.1"), "market")
        self.do(asked.PlaceOrder, "ann", "rests", OCTOBER, "buy", D("0.01"), "limit", D(99_000))

    def asked(self, kind: type[Any], *values: Any) -> Any:
        self.count += 1
        return kind(f"c{self.count}", EXPIRY - 1_000_000 + self.count * 10_000, *values)

    def do(self, kind: type[Any], *values: Any) -> None:
        command = self.asked(kind, *values)
        self.auditor.step(command, handle(self.state, command))

    def settled(self, told: Callable[[Event], Event | None] = lambda event: event) -> None:
        """Settle October at 101,000, and let the auditor see the events as ``told``; None leaves one out."""
        self.count += 1
        command = asked.SettleExpiry(f"c{self.count}", EXPIRY, OCTOBER, D(101_000), "the test")
        events = (told(event) for event in handle(self.state, command))
        self.auditor.step(command, tuple(event for event in events if event is not None))


def test_a_settlement_done_right_is_left_alone() -> None:
    venue = Settled()
    venue.settled()
    venue.auditor.compare()
    fee = D("0.1") * 101_000 * D("0.0005")  # Bybit: 0.05 % of the value at the settlement price
    taker = SETUP.rulebook().contract(OCTOBER).taker_fee_rate or D(0)
    assert venue.state.ledger.balance("wallet:ann", "USDT") == 10_000 + 100 - fee - taker * D("0.1") * 100_000


def _of(kind: type[Event], **changes: Any) -> Callable[[Event], Event]:
    def told(event: Event) -> Event:
        return replace(event, **changes) if isinstance(event, kind) else event

    return told


def _without(kind: type[Event]) -> Callable[[Event], Event | None]:
    return lambda event: None if isinstance(event, kind) else event


def _fee_of(amount: str) -> Callable[[Event], Event]:
    return _of(happened.MoneyMoved, postings=move("USDT", D(amount), out_of="wallet:ann", into="fees"))


@pytest.mark.parametrize(
    "told",
    [
        _of(happened.ExpirySettled, price=D(102_000)),
        _of(happened.ExpirySettled, worth=D(102_000)),
        _of(happened.ExpirySettled, at=EXPIRY - 1),
        _of(happened.ExpirySettled, fee_rate=None),
        _of(happened.ExpirySettled, fee_rate=D("0.0004")),
        _without(happened.ExpirySettled),
        _of(happened.Traded, price=D(102_000)),
        _of(happened.Traded, cause="order"),
        _of(happened.Traded, quantity=D("0.05")),
        _without(happened.Traded),
        _fee_of("5.06"),  # 5.05 is due
        _fee_of("5.04"),
    ],
)
def test_whatever_is_told_otherwise_is_found(told: Callable[[Event], Event | None]) -> None:
    with pytest.raises(LawBroken) as found:
        Settled().settled(told)
    assert found.value.law == "delivered"


def test_what_is_left_of_a_settled_symbol_is_found() -> None:
    venue = Settled()
    event = happened.ExpirySettled("x", EXPIRY, OCTOBER, D(101_000), D(101_000), D("0.0005"), "the test")
    delivery = Delivery(venue.auditor.shadow, asked.SettleExpiry("x", EXPIRY, OCTOBER, D(101_000), "it"), event)
    assert delivery.wrong_end() == f"ann still holds {OCTOBER}"
    venue.auditor.shadow.legs.clear()
    assert delivery.wrong_end() == f"ann still has an order in {OCTOBER}"


def test_a_trade_or_an_order_in_what_was_settled_is_found() -> None:
    venue = Settled()
    traded: list[Event] = []

    def kept(event: Event) -> Event:
        traded.append(event)
        return event

    venue.settled(kept)
    trade = next(event for event in traded if isinstance(event, happened.Traded))
    again = happened.OrderRested("x", EXPIRY, "ann", "n", OCTOBER, "buy", D(1), D(1), reduce_only=False,
                                   position_side=None, time_in_force="GTC")  # fmt: skip
    for event in (replace(trade, cause="order"), again):
        with pytest.raises(LawBroken) as found:
            venue.auditor.step(venue.asked(asked.Review), (event,))
        assert found.value.law == "delivered"
