"""Settling what expires: everything is closed at the settlement price, and nothing is traded in it any more."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence import rulebooks
from ringfence.contract import Contract, ContractKind
from ringfence.delivery import DeliveryTerms
from ringfence.engine import commands as asked
from ringfence.engine import events as happened
from ringfence.engine.snapshot import dump, load
from ringfence.engine.wire import decode_command, decode_event, encode
from tests.unit.engine.small_venue import INVERSE, LINEAR, TIERS, SmallVenue, rules

if TYPE_CHECKING:
    from ringfence.rulebook import Rulebook

D = Decimal
EXPIRY = datetime(1970, 1, 1, 0, 10, tzinfo=UTC)  # 600 seconds after a venue's first command
FUTURE = replace(LINEAR, symbol="F", underlying="X", expiry=EXPIRY)
INVERSE_FUTURE = replace(INVERSE, symbol="G", underlying="I", expiry=EXPIRY)
FEES = DeliveryTerms(window=1800, future_rate=D("0.001"))


def book(terms: DeliveryTerms = FEES, **more: Any) -> Rulebook:
    dated = {"F": (FUTURE, TIERS), "G": (INVERSE_FUTURE, TIERS)}
    return replace(rules(**more).with_tables(dated), delivery=terms)


def venue(terms: DeliveryTerms = FEES, **more: Any) -> SmallVenue:
    """Ann and bob with 1,000 USDT each, F, X and G marked at 100, 100 and 100."""
    found = SmallVenue(book(terms), **more)
    for name in ("ann", "bob"):
        found.deposit(name, "1000")
        for symbol in ("F", "G", "X"):
            found.leverage(name, "10", symbol)
    found.do(asked.UpdatePrices, (("F", D(100)), ("X", D(100)), ("G", D(100)), ("I", D(100))))
    return found


def buys(on: SmallVenue, account: str, quantity: str, symbol: str = "F", **more: Any) -> tuple[happened.Event, ...]:
    number = D(quantity)
    side = "buy" if number > 0 else "sell"
    return on.do(asked.PlaceOrder, account, f"o{on.number}", symbol, side, abs(number), "market", **more)


def settle(on: SmallVenue, price: str = "110", symbol: str = "F", *, at: int = 600, source: str = "the test") -> Any:
    on.at = max(on.at, (at - 1) * 1_000_000)
    return on.do(asked.SettleExpiry, symbol, D(price), source)


def reason(events: tuple[happened.Event, ...]) -> str | None:
    (first, *_) = events
    return first.reason if isinstance(first, happened.Refused) else None


def wallet(on: SmallVenue, account: str, asset: str = "USDT") -> Decimal:
    return on.state.ledger.balance(f"wallet:{account}", asset)


def test_a_position_is_closed_at_the_settlement_price_whatever_the_mark_is() -> None:
    running = venue(DeliveryTerms())
    buys(running, "ann", "3")
    buys(running, "bob", "-2")
    settle(running, "110")
    assert wallet(running, "ann") == 1000 + 3 * 10
    assert wallet(running, "bob") == 1000 - 2 * 10
    assert not running.state.trader("ann").held
    assert not running.state.trader("@market").held


def test_an_inverse_contract_is_settled_in_its_coin() -> None:
    running = venue(DeliveryTerms())
    running.deposit("ann", "10", "BTC")
    buys(running, "ann", "4", "G")
    settle(running, "125", "G")
    assert wallet(running, "ann", "BTC") == 10 + 4 * (D(100) / 100 - D(100) / 125)


def test_the_delivery_fee_is_of_the_value_at_the_settlement_price() -> None:
    running = venue()
    buys(running, "ann", "3")
    events = settle(running, "110")
    fees = [event for event in events if isinstance(event, happened.MoneyMoved) and event.cause == "delivery_fee"]
    assert len(fees) == 1
    assert wallet(running, "ann") == 1000 + 3 * 10 - D("0.001") * 3 * 110
    assert running.state.ledger.balance("fees", "USDT") == D("0.001") * 3 * 110


def test_where_no_rulebook_says_what_a_delivery_costs_nothing_is_charged_and_the_event_says_so() -> None:
    running = venue(DeliveryTerms())
    buys(running, "ann", "3")
    (first, *_) = settle(running)
    assert isinstance(first, happened.ExpirySettled)
    assert first.fee_rate is None
    assert first.source == "the test"
    assert not running.state.ledger.balance("fees", "USDT")


def test_every_order_of_the_symbol_goes_and_those_of_others_stay() -> None:
    running = venue()
    running.do(asked.PlaceOrder, "ann", "rests", "F", "buy", D(1), "limit", D(90))
    running.do(asked.PlaceOrder, "bob", "waits", "F", "sell", D(1), "stop_market", trigger_price=D(80))
    running.do(asked.PlaceOrder, "ann", "other", "X", "buy", D(1), "limit", D(90))
    events = settle(running)
    gone = {event.order: event.reason for event in events if isinstance(event, happened.OrderClosed)}
    assert gone == {"rests": "delivery", "waits": "delivery"}
    assert list(running.state.trader("ann").orders) == ["other"]


def test_nothing_is_traded_marked_or_settled_again_afterwards() -> None:
    running = venue()
    settle(running)
    assert reason(buys(running, "ann", "1")) == "settled"
    adopted = running.do(asked.AdoptPosition, "ann", "F", "long", D(1), D(100), D(10))
    assert reason(adopted) == "settled"
    assert reason(settle(running)) == "settled"
    (rejected,) = running.do(asked.UpdatePrices, (("F", D(120)),))
    assert isinstance(rejected, happened.PriceRejected)
    assert rejected.reason == "settled"


@pytest.mark.parametrize(
    ("symbol", "given", "expected"),
    [
        ("X", {}, "never_expires"),
        ("Z", {}, "unknown_symbol"),
        ("F", {"at": 599}, "not_expired"),
        ("F", {"price": "0"}, "not_positive"),
        ("F", {"price": "NaN"}, "not_positive"),
        ("F", {"source": " "}, "unknown_choice"),
    ],
)
def test_what_cannot_be_settled_is_refused_and_nothing_changes(
    symbol: str, given: dict[str, Any], expected: str
) -> None:
    running = venue()
    buys(running, "ann", "3")
    held = dict(running.state.trader("ann").held)
    assert reason(settle(running, given.pop("price", "110"), symbol, **given)) == expected
    assert running.state.trader("ann").held == held


def test_an_isolated_position_gets_back_what_the_settlement_leaves_of_its_margin() -> None:
    running = venue()
    running.do(asked.SetMarginMode, "ann", "F", "isolated")
    buys(running, "ann", "3")
    assert wallet(running, "ann") == 1000 - 3 * 100 / D(10)
    settle(running, "95")
    assert wallet(running, "ann") == 1000 - 3 * 5 - D("0.001") * 3 * 95
    assert not running.state.ledger.balance("isolated:ann:F:net", "USDT")


def test_an_isolated_position_never_costs_more_than_its_margin() -> None:
    running = venue(fund="4")
    running.do(asked.SetMarginMode, "ann", "F", "isolated")
    buys(running, "ann", "3")
    events = settle(running, "80")  # loses 3 · 20, has 3 · 100 ÷ 10
    used = [(event.cause, event.amount) for event in events if isinstance(event, happened.InsuranceUsed)]
    assert used == [("venue_pays", D(60 - 30 - 4)), ("shortfall", D(-(60 - 30)))]
    assert wallet(running, "ann") == 1000 - 30
    assert running.state.ledger.balance("fees", "USDT") == 0  # nothing came back that could pay


def test_a_shared_pool_that_is_left_owing_is_covered_by_bonus_then_by_the_fund() -> None:
    running = venue(fund="500")
    running.bonus("ann", "100")
    buys(running, "ann", "30")
    events = settle(running, "60")  # loses 30 · 40
    paid = -(30 * 40 - 1000)
    assert wallet(running, "ann") == 0
    assert running.state.ledger.balance("bonus:ann", "USDT") == 0
    assert [event.amount for event in events if isinstance(event, happened.InsuranceUsed)] == [paid + 100]


def test_other_positions_of_the_pool_are_looked_at_after_the_settlement() -> None:
    running = venue()
    buys(running, "ann", "30")
    buys(running, "ann", "-30", "X")
    events = settle(running, "67")  # 1,000 − 30 · 33 = 10 stand behind 30 X
    assert any(isinstance(event, happened.LiquidationStarted) for event in events)


def packaged() -> SmallVenue:
    """A venue under a packaged rulebook, which alone a snapshot can hold, with F in it."""
    found = SmallVenue(rulebooks.load("bybit-linear").with_tables({"F": (FUTURE, TIERS)}))
    found.trader("ann", symbol="F")
    found.marks(F="100")
    return found


def test_a_settlement_is_the_same_after_being_written_read_and_restored() -> None:
    running = packaged()
    buys(running, "ann", "3")
    events = settle(running)
    assert any(isinstance(event, happened.Traded) and event.cause == "delivery" for event in events)
    command = asked.SettleExpiry("again", 1, "F", D("110.50"), "the test")
    assert decode_command(encode(command)) == command
    assert [decode_event(encode(event)) for event in events] == list(events)
    again = load(dump(running.state), running.setup)
    assert again.digest() == running.state.digest()
    assert again.settled == {"F": D(110)}


def test_a_snapshot_from_before_there_were_settlements_is_one_without_any() -> None:
    running = packaged()
    old = json.loads(dump(running.state))
    del old["settled"]
    assert load(json.dumps(old).encode(), running.setup).digest() == running.state.digest()


def test_legs_held_both_ways_are_both_closed() -> None:
    running = venue(DeliveryTerms())
    running.do(asked.SetPositionMode, "ann", "hedge")
    buys(running, "ann", "3", position_side="long")
    buys(running, "ann", "-1", position_side="short")
    settle(running, "110")
    assert wallet(running, "ann") == 1000 + (3 - 1) * 10


def test_who_expires_with_a_call_open_is_called_anew_with_a_new_position() -> None:
    running = venue(DeliveryTerms())
    buys(running, "ann", "80")
    running.do(asked.UpdatePrices, (("F", D("88.7")),))
    assert running.state.trader("ann").levels
    settle(running, "100")
    assert not running.state.trader("ann").levels


def test_a_contract_of_a_kind_that_is_not_linear_has_its_fee_in_its_own_coin() -> None:
    terms = DeliveryTerms(future_rate=D("0.0005"))
    contract = Contract("G", ContractKind.INVERSE, D(1), "BTC", expiry=EXPIRY)
    # Bybit help, settlement fees: (10,000 / 10,600) x 0.05% = 0.00047169 BTC
    assert round(terms.fee(contract, D(10_000), D(10_600)), 8) == D("0.00047170")
