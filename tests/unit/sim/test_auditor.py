"""The auditor finds what is wrong: every law is broken once by an event that could not have happened."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine import events as happened
from ringfence.engine.decide import handle
from ringfence.engine.evolve import evolve
from ringfence.engine.setup import Fees, Market, PriceGuard
from ringfence.engine.snapshot import dump, load
from ringfence.engine.state import State
from ringfence.ledger import Posting, move
from ringfence.sim.auditor import Auditor
from ringfence.sim.beliefs import beliefs
from ringfence.sim.laws import LAWS, LawBroken
from ringfence.sim.venues import VENUES
from ringfence.sim.world import WorldSetup

if TYPE_CHECKING:
    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event

SETUP = WorldSetup(
    rulebook_name="binance-usdm",
    fees=Fees(clearance=Decimal(0)),
    market=Market(Decimal(0), Decimal(0), Decimal(10) ** 9, 1),
    guard=PriceGuard(),
    venue=VENUES[0],
)
BTC = "BTCUSDT"


class Watched:
    """A venue with an auditor; what an event is turned into before the auditor sees it is up to the test."""

    def __init__(self, setup: WorldSetup = SETUP) -> None:
        self.state = State(setup)
        self.auditor = Auditor(setup, self.state)
        self.count = 0
        for name in ("a", "b"):
            self.do(asked.Deposit, name, "USDT", Decimal(10_000))
            self.do(asked.SetLeverage, name, BTC, Decimal(10))
        self.price("100000")

    def asked(self, kind: type[Any], *values: Any, **more: Any) -> Command:
        self.count += 1
        command = kind(f"c{self.count}", self.count * 1_000_000, *values, **more)
        assert isinstance(command, asked.Command)
        return command

    def do(self, kind: type[Any], *values: Any, **more: Any) -> tuple[Event, ...]:
        command = self.asked(kind, *values, **more)
        events = handle(self.state, command)
        self.auditor.step(command, events)
        return events

    def price(self, mark: str) -> None:
        self.do(asked.UpdatePrices, ((BTC, Decimal(mark)),))

    def buy(self, name: str, quantity: str, side: str = "buy") -> None:
        self.do(asked.PlaceOrder, name, f"o{self.count}", BTC, side, Decimal(quantity), "market")

    def told(self, *events: Event, law: str) -> None:
        """Let the auditor see ``events`` as if they had happened, and hold it to finding ``law`` broken."""
        with pytest.raises(LawBroken) as found:
            self.auditor.step(self.asked(asked.Review), events)
        assert found.value.law == law
        assert LAWS[law] in str(found.value)


@pytest.fixture
def venue() -> Watched:
    return Watched()


def _moved(*postings: Posting, cause: str = "deposit") -> happened.MoneyMoved:
    return happened.MoneyMoved("x", 0, "a", cause, postings)


def test_a_venue_that_does_nothing_wrong_is_left_alone(venue: Watched) -> None:
    venue.buy("a", "0.5")
    venue.price("92000")
    venue.price("84000")
    venue.price("80200")  # equity 10,000 − 9,900 − fee, required 0.4 % of 40,100
    assert venue.state.traders["a"].held == {}
    venue.auditor.compare()
    assert venue.auditor.checked["healthy"] == 1
    assert venue.auditor.checked["survivors"] > 0


def test_money_out_of_nothing(venue: Watched) -> None:
    venue.told(_moved(Posting("wallet:a", "USDT", Decimal(1))), law="balanced")


def test_an_event_that_the_state_does_not_have(venue: Watched) -> None:
    venue.told(_moved(*move("USDT", Decimal(1), out_of="external", into="wallet:a")), law="fold")


def test_bonus_that_becomes_money(venue: Watched) -> None:
    venue.do(asked.CreditBonus, "a", "USDT", Decimal(5))
    venue.told(_moved(*move("USDT", Decimal(1), out_of="bonus:a", into="wallet:a")), law="bonus")


def test_bonus_below_zero(venue: Watched) -> None:
    venue.told(_moved(*move("USDT", Decimal(1), out_of="bonus:a", into="bonus_issuer")), law="bonus")


def test_a_fund_below_zero(venue: Watched) -> None:
    venue.told(_moved(*move("USDT", Decimal(1), out_of="insurance", into="wallet:a")), law="fund")


def test_a_price_nobody_should_believe(venue: Watched) -> None:
    venue.told(happened.PricesChanged("x", 0, ((BTC, Decimal(1)),), (), ()), law="believed")
    venue.told(happened.PricesChanged("x", 0, ((BTC, Decimal(0)),), (), ()), law="believed")
    venue.told(happened.PricesChanged("x", 0, (), ((BTC, Decimal("NaN")),), ()), law="believed")


def test_a_healthy_pool_that_is_liquidated(venue: Watched) -> None:
    venue.buy("a", "0.5")
    event = happened.LiquidationStarted("x", venue.count * 1_000_000, "a", "cross USDT", Decimal(1), Decimal(1))
    venue.told(event, law="healthy")


def test_a_liquidation_on_a_stale_price(venue: Watched) -> None:
    venue.buy("a", "0.5")
    late = venue.count * 1_000_000 + 60_000_001
    venue.told(happened.LiquidationStarted("x", late, "a", "cross USDT", Decimal(1), Decimal(1)), law="fresh")


def test_the_same_call_twice(venue: Watched) -> None:
    venue.buy("a", "0.5")
    called = happened.MarginCalled(
        "x", 0, "a", "cross USDT", "warning", None, Decimal(0), Decimal(0), Decimal(0), Decimal(0), None
    )
    venue.told(called, called, law="hysteresis")


def test_a_pool_that_should_have_been_liquidated(venue: Watched) -> None:
    venue.buy("a", "0.9")
    venue.told(
        happened.PricesChanged("x", venue.count * 1_000_000 + 1_000_000, ((BTC, Decimal(80_000)),), (), ()),
        law="fold",  # the state does not have that price; taken over by hand, it is the pool that is found
    )
    with pytest.raises(LawBroken) as found:
        venue.auditor._survivors(venue.asked(asked.Review), ())  # noqa: SLF001 - what a step ends with
    assert found.value.law == "survivors"


def _trade(venue: Watched, **changes: Any) -> happened.Traded:
    """The trade that would close a's 0.5 at 100,000 against the market, changed."""
    venue.buy("a", "0.5")
    venue.buy("b", "0.2")
    trade = happened.Traded(
        "x", 0, BTC, Decimal(100_000), Decimal("0.5"), "order", "@market", "net", Decimal("-0.2"), Decimal(-20_000),
        "a", "net", Decimal(0), Decimal(0), None, None, None,
        move("USDT", Decimal("0.0005") * 50_000, out_of="wallet:a", into="fees"),
    )  # fmt: skip
    return replace(trade, **changes)


def test_a_position_that_does_not_follow_from_its_trades(venue: Watched) -> None:
    venue.told(_trade(venue, buyer_quantity=Decimal("-0.3")), law="average")


def test_an_entry_value_that_does_not_follow_from_its_trades(venue: Watched) -> None:
    venue.told(_trade(venue, buyer_entry_value=Decimal("-20000.000000001")), law="average")


def test_a_deleveraging_that_is_not_against_the_fund(venue: Watched) -> None:
    venue.told(_trade(venue, cause="auto_deleveraging"), law="opposite")


def test_a_reduce_only_order_that_opens(venue: Watched) -> None:
    venue.do(asked.PlaceOrder, "b", "r", BTC, "buy", Decimal("0.1"), "limit", Decimal(90_000))
    venue.auditor.shadow.orders["b"]["r"].reduces = True
    venue.told(
        _trade(venue, buyer="b", maker="b", maker_order="r", buyer_quantity=Decimal("0.7"),
               buyer_entry_value=Decimal(70_000)),
        law="reduce_only",
    )  # fmt: skip


def test_a_liquidation_of_one_isolated_position_that_takes_from_the_wallet(venue: Watched) -> None:
    venue.do(asked.SetMarginMode, "a", BTC, "isolated")
    venue.buy("a", "0.5")
    at, pool = venue.count * 1_000_000, f"isolated {BTC} long"
    venue.auditor.shadow.marks[BTC] = venue.auditor.shadow.marks[BTC] * 8 / 10
    taken = move("USDT", Decimal(1), out_of="wallet:a", into="insurance")
    venue.told(
        happened.LiquidationStarted("x", at, "a", pool, Decimal(1), Decimal(1)),
        happened.InsuranceUsed("x", at, "a", "clearance_fee", "USDT", Decimal(1), taken),
        happened.LiquidationEnded("x", at, "a", pool, "safe"),
        law="contained",
    )


def test_a_fee_that_is_not_the_rate_of_the_level(venue: Watched) -> None:
    paid = move("USDT", Decimal("0.0004") * 50_000, out_of="wallet:a", into="fees")
    venue.told(_trade(venue, postings=paid), law="fees")


def test_a_fee_without_the_discount_that_there_is(venue: Watched) -> None:
    trade = _trade(venue)  # pays 0.05 %, all of it
    venue.do(asked.SetFeeDiscount, "a", "bnb", "on")
    venue.told(trade, law="fees")


COUPON = "fee_rebate_coupon"


@pytest.fixture
def with_coupon() -> Watched:
    """Bitget, where a has a coupon of 50 that pays half of a fee and ends after an hour."""
    watched = Watched(replace(SETUP, rulebook_name="bitget-usdtm", venue=VENUES[8]))
    watched.do(asked.CreditVoucher, "a", "c", COUPON, "USDT", Decimal(50), Decimal("0.5"), 3_600_000_000)
    return watched


@pytest.mark.parametrize("of_coupon", ["0", "12", "25"])  # 12.5 of 25 are due
def test_a_voucher_that_does_not_pay_its_share(with_coupon: Watched, of_coupon: str) -> None:
    part = Decimal(of_coupon)
    paid = move("USDT", part, out_of="voucher:a:c", into="fees")
    paid += move("USDT", 25 - part, out_of="wallet:a", into="fees")
    with_coupon.told(_trade(with_coupon, postings=paid), law="voucher")


def test_a_voucher_that_pays_what_its_kind_does_not(with_coupon: Watched) -> None:
    funding = move("USDT", Decimal(1), out_of="voucher:a:c", into=f"funding:{BTC}")
    with_coupon.told(happened.FundingPaid("x", 0, "a", BTC, "net", Decimal(1), Decimal(-1), funding), law="voucher")


def test_a_voucher_that_its_issuer_does_not_bear(with_coupon: Watched) -> None:
    given = move("USDT", Decimal(1), out_of="insurance", into="voucher:a:d")
    credited = happened.VoucherCredited("x", 0, "a", "d", COUPON, "USDT", Decimal(1), Decimal(1), None, given)
    with_coupon.told(credited, law="voucher")


def test_a_voucher_that_is_over_before_its_time(with_coupon: Watched) -> None:
    back = move("USDT", Decimal(50), out_of="voucher:a:c", into="voucher_issuer")
    with_coupon.told(happened.VoucherClosed("x", 3_599_999_999, "a", "c", "expired", back), law="voucher")


def test_a_voucher_of_a_kind_that_the_venue_does_not_have(venue: Watched) -> None:
    given = move("USDT", Decimal(1), out_of="voucher_issuer", into="voucher:a:d")
    credited = happened.VoucherCredited("x", 0, "a", "d", COUPON, "USDT", Decimal(1), Decimal(1), None, given)
    venue.told(credited, law="voucher")


def test_a_repetition_that_gives_something_else(venue: Watched) -> None:
    with pytest.raises(LawBroken) as found:
        venue.auditor.repeated(venue.state.digest(), (), (happened.Resumed("x", 0),))
    assert found.value.law == "repeated"


def test_a_ledger_that_differs_from_the_auditor_s_books(venue: Watched) -> None:
    venue.state.ledger.apply(move("USDT", Decimal(1), out_of="external", into="wallet:a"))
    with pytest.raises(LawBroken) as found:
        venue.auditor.compare()
    assert found.value.law == "books"


def test_an_adopted_position_that_costs_a_fee_or_less_than_its_margin(venue: Watched) -> None:
    command = venue.asked(
        asked.AdoptPosition, "b", BTC, "long", Decimal("0.1"), Decimal(90_000), Decimal(10), "isolated"
    )
    twin = State(SETUP)
    handle(twin, asked.Deposit("d", 1, "b", "USDT", Decimal(10_000)))
    *settings, trade = handle(twin, command)
    assert isinstance(trade, happened.Traded)
    venue.do(asked.SetMarginMode, "b", BTC, "isolated")
    fee = move("USDT", Decimal(1), out_of="wallet:b", into="fees")
    venue.told(*settings, replace(trade, postings=(*trade.postings, *fee)), law="adopted")
    too_little = move("USDT", Decimal(899), out_of="wallet:b", into=f"isolated:b:{BTC}:net")  # 9,000 ÷ 10 is 900
    venue.told(replace(trade, postings=too_little), law="adopted")
    venue.told(replace(trade, seller="a", postings=()), law="adopted")


def test_an_adopted_cross_position_that_takes_money(venue: Watched) -> None:
    twin = State(SETUP)
    command = venue.asked(asked.AdoptPosition, "b", BTC, "short", Decimal("0.1"), Decimal(90_000), Decimal(10))
    *_, trade = handle(twin, command)
    assert isinstance(trade, happened.Traded)
    taken = move("USDT", Decimal(1), out_of="wallet:b", into=f"clearing:{BTC}")
    venue.told(replace(trade, postings=taken), law="adopted")


def test_a_price_that_is_moved_where_nothing_moves_prices(venue: Watched) -> None:
    venue.told(happened.PriceMoved("x", 0, BTC, Decimal(99_000), None, Decimal(-1)), law="impact")


def test_a_price_that_forced_orders_should_have_moved_elsewhere_or_at_all() -> None:
    def under_pressure() -> Watched:
        venue = Watched(
            replace(SETUP, impact=True, market=replace(SETUP.market, depth_value=Decimal(10_000), levels=40))
        )
        venue.do(asked.AdoptPosition, "a", BTC, "long", Decimal(1), Decimal(100_000), Decimal(10))
        venue.price("90500")
        venue.price("90200")
        assert venue.state.pressure
        return venue

    def moved(venue: Watched, **changes: Any) -> None:
        command = venue.asked(asked.UpdatePrices, ((BTC, Decimal(90_200)),))
        changed, right, *_ = handle(load(dump(venue.state), venue.auditor.setup), command)
        assert isinstance(right, happened.PriceMoved)
        told = (changed, replace(right, **changes)) if changes else (changed,)
        for event in told:  # an engine that believes it
            evolve(venue.state, event)
        venue.state.remember(command.id, told)
        with pytest.raises(LawBroken) as found:
            venue.auditor.step(command, told)
        assert found.value.law == "impact"

    moved(under_pressure(), mark=Decimal(90_100))
    moved(under_pressure(), pressure=Decimal("-0.5"))
    moved(under_pressure())


def test_a_jump_that_too_few_updates_have_confirmed(venue: Watched) -> None:
    for mark in ("40000", "41000", "40500"):
        venue.price(mark)  # rejected
    right = venue.asked(asked.UpdatePrices, ((BTC, Decimal(40_000)),))
    believed = happened.PricesChanged(right.id, right.at, ((BTC, Decimal(40_000)),), (), ())
    assert list(beliefs(venue.auditor.shadow, SETUP.guard, right, believed)) == [(f"{BTC} 40000", True)]
    elsewhere = asked.UpdatePrices("x", right.at, ((BTC, Decimal(30_000)),))
    believed = happened.PricesChanged("x", right.at, ((BTC, Decimal(30_000)),), (), ())
    assert list(beliefs(venue.auditor.shadow, SETUP.guard, elsewhere, believed)) == [(f"{BTC} 30000", False)]
    venue.do(type(right), *(right.marks,))  # type: ignore[attr-defined]
    assert venue.auditor.shadow.claims == {}


def test_a_liquidation_while_a_mark_is_in_doubt(venue: Watched) -> None:
    venue.buy("a", "0.5")
    venue.price("10000")
    venue.told(happened.LiquidationStarted("x", venue.count, "a", "cross USDT", Decimal(1), Decimal(2)), law="fresh")


def test_a_market_order_that_goes_too_far(venue: Watched) -> None:
    command = venue.asked(asked.PlaceOrder, "a", "far", BTC, "buy", Decimal("0.1"), "market")
    trade, *rest = handle(load(dump(venue.state), SETUP), command)
    assert isinstance(trade, happened.Traded)
    with pytest.raises(LawBroken) as found:
        venue.auditor.step(command, (replace(trade, price=Decimal(105_001)), *rest))
    assert found.value.law == "protected"


def test_money_in_a_name_that_cannot_be_told_from_others_and_commands_in_the_venue_s_own(venue: Watched) -> None:
    into = move("USDT", Decimal(1), out_of="external", into="wallet:a|b")
    event = happened.MoneyMoved("x", 0, "a|b", "deposit", into)
    command = venue.asked(asked.Deposit, "a|b", "USDT", Decimal(1))
    evolve(venue.state, event)
    venue.state.remember(command.id, (event,))
    with pytest.raises(LawBroken) as found:
        venue.auditor.step(command, (event,))
    assert found.value.law == "named"


def test_a_command_in_the_venue_s_own_name_that_is_carried_out(venue: Watched) -> None:
    event = happened.MoneyMoved(
        "x", 0, "@market", "deposit", move("USDT", Decimal(1), out_of="external", into="wallet:@market")
    )
    command = venue.asked(asked.Deposit, "@market", "USDT", Decimal(1))
    evolve(venue.state, event)
    venue.state.remember(command.id, (event,))
    with pytest.raises(LawBroken) as found:
        venue.auditor.step(command, (event,))
    assert found.value.law == "named"
