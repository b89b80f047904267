"""Multi-asset accounts in the engine: what is remembered, what is refused, and what a screen may not change."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ringfence.engine import commands as asked
from ringfence.engine import events as happened
from ringfence.engine.decide import handle
from ringfence.engine.setup import Fees, Market, PriceGuard, Setup
from ringfence.engine.snapshot import dump, load
from ringfence.engine.state import State
from ringfence.engine.wire import decode_event, encode

D = Decimal


class Venue:
    """A venue that trades without fees, in a market that takes everything at its price."""

    def __init__(self, rulebook: str = "binance-usdm") -> None:
        guard = PriceGuard(jump=None, from_index=None, stale_after=60_000_000)
        market = Market(D(0), D(0), D(10) ** 9, 1)
        self.state = State(Setup(rulebook, fees=Fees(D(0), D(0), D(0)), market=market, guard=guard))
        self.number = 0

    def do(self, kind: Any, *given: Any, suspects: Any = None, **named: Any) -> Any:
        self.number += 1
        command = kind(f"c{self.number}", self.number * 1_000_000, *given, **named)
        return handle(self.state, command, suspects)

    def prices(self, *, index: str = "60000", mark: str = "60000") -> Any:
        return self.do(asked.UpdatePrices, (("BTCUSDT", D(mark)),), (), (("BTC", D(index)),))

    def pooled(self, contracts: str | None = None) -> Venue:
        """One coin of ann's in a basket, and a long position at 60,000."""
        self.prices()
        self.do(asked.Deposit, "ann", "BTC", D(1))
        self.do(asked.SetCollateralMode, "ann", "multi_asset")
        if contracts is not None:
            self.do(asked.SetLeverage, "ann", "BTCUSDT", D(20))
            self.do(asked.PlaceOrder, "ann", "o", "BTCUSDT", "buy", D(contracts), "market")
        return self


def test_a_basket_survives_a_snapshot_to_the_byte() -> None:
    state = Venue().pooled("5").state
    again = load(dump(state))
    assert again.digest() == state.digest()
    assert dump(again) == dump(state)
    assert again.assessment("ann", "account") == state.assessment("ann", "account")


def test_an_index_alone_changes_what_a_basket_counts_for() -> None:
    venue = Venue().pooled()
    (pool,) = venue.state.pools("ann")
    assert pool.collateral["BTC"].value(D(1)) == 60_000 * D("0.95")
    venue.do(asked.UpdatePrices, (), (), (("BTC", D(50_000)),))
    (pool,) = venue.state.pools("ann")
    assert pool.collateral["BTC"].value(D(1)) == 50_000 * D("0.95")


def test_a_basket_is_looked_at_whoever_is_suspected() -> None:
    alone, screened = Venue().pooled("15"), Venue().pooled("15")
    for venue, suspects in ((alone, None), (screened, ())):
        fall = (("BTCUSDT", D(56_800)),), (), (("BTC", D(56_800)),)
        venue.do(asked.UpdatePrices, *fall, suspects=suspects)
    assert alone.state.digest() == screened.state.digest()
    # 56,800 · 0.95 − 15 · 3,200 − 450 of fees = 5,510, against 852,000 · 0.65 % − 1,500 = 4,038: below 1.5 times
    assert alone.state.trader("ann").levels == screened.state.trader("ann").levels == {"account": "warning"}


def test_nothing_is_decided_on_an_index_that_is_stale() -> None:
    venue = Venue().pooled("15")
    venue.number += 100  # seconds without an index
    events = venue.do(asked.UpdatePrices, (("BTCUSDT", D(40_000)),))
    assert not any(isinstance(event, (happened.MarginCalled, happened.LiquidationStarted)) for event in events)
    events = venue.prices(index="40000", mark="40000")
    assert any(isinstance(event, happened.LiquidationStarted) for event in events)


def test_a_debt_that_a_loss_leaves_is_exchanged_and_told_in_a_message_that_can_be_read() -> None:
    venue = Venue().pooled("1")
    venue.prices(index="60000", mark="54000")
    events = venue.do(asked.PlaceOrder, "ann", "p", "BTCUSDT", "sell", D(1), "market", reduce_only=True)
    (exchanged,) = [event for event in events if isinstance(event, happened.CollateralExchanged)]
    assert decode_event(encode(exchanged)) == exchanged
    debt = D(6_000) + D("0.0005") * (60_000 + 54_000)  # with the taker fees of both trades
    assert (exchanged.cause, exchanged.asset, exchanged.debt, exchanged.unpaid) == ("threshold", "USDT", debt, D(0))
    assert exchanged.sold[0][1].quantize(D("1e-12")) == (debt / D("0.975") / 60_000).quantize(D("1e-12"))
    assert venue.state.ledger.balance("exchange", "USDT") == -debt
    assert not any(venue.state.ledger.trial_balance().values())


def test_a_venue_without_pools_says_so() -> None:
    venue = Venue("bybit-linear")
    venue.prices()
    (no,) = venue.do(asked.SetCollateralMode, "ann", "multi_asset")
    assert no.reason == "collateral_mode_not_offered"
    assert "bybit-uta" in no.message


def test_the_rules_that_are_gone_over_to_must_take_every_basket() -> None:
    venue = Venue().pooled()
    (no,) = venue.do(asked.AdoptRulebook, "bybit-linear")
    assert no.reason == "collateral_mode_not_offered"
    (adopted,) = venue.do(asked.AdoptRulebook, "bybit-uta")
    assert isinstance(adopted, happened.RulebookAdopted)


def test_money_that_a_basket_cannot_count_does_not_come_in_by_any_way() -> None:
    venue = Venue().pooled()
    venue.do(asked.Deposit, "bob", "DOGE", D(5))
    for kind, given in (
        (asked.Deposit, ("ann", "DOGE", D(5))),
        (asked.CreditBonus, ("ann", "DOGE", D(5))),
        (asked.Transfer, ("bob", "ann", "DOGE", D(5))),
    ):
        (no,) = venue.do(kind, *given)
        assert no.reason == "no_price"
    venue.do(asked.UpdatePrices, (), (), (("DOGE", D("0.2")),))
    (no,) = venue.do(asked.Deposit, "ann", "DOGE", D(5))
    assert no.reason == "collateral_not_accepted"
