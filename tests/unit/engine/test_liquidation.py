"""Liquidation: what starts and ends it, the order of positions, each step by itself. Whole venues: tests/scenarios."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ringfence import rulebooks
from ringfence.engine import commands as asked
from ringfence.engine.events import (
    InsuranceUsed,
    LiquidationEnded,
    LiquidationStarted,
    LiquidationStep,
    OrderClosed,
    Traded,
)
from ringfence.engine.liquidation import STEPS, sequence
from ringfence.engine.setup import Fees, Market
from ringfence.margin.assess import assess
from ringfence.rulebook import Tier, TierTable
from ringfence.rulebooks import check
from tests.unit.engine.small_venue import LINEAR, SmallVenue, of_kind, rules

STEEP = TierTable((Tier(Decimal(0), Decimal("0.1"), Decimal(0), Decimal(10)),))
AT_MARKET = ("cancel_orders", "reduce_at_market", "take_over")


def _venue(*, sequence: tuple[str, ...] = AT_MARKET, fund: str = "1000", **more: Any) -> SmallVenue:
    """Ann is long 99 at 100 with 1,000: liquidated at about 90.8."""
    market = more.pop("market", None)
    fees = more.pop("fees", None)
    given = {name: one for name, one in (("market", market), ("fees", fees)) if one is not None}
    venue = SmallVenue(rules(sequence=sequence, **more), fund=fund, **given)
    venue.marks(X="100", Y="100")
    venue.trader("ann")
    venue.buy("ann", "99")
    return venue


def _steps(events: tuple[Any, ...]) -> list[str]:
    return [event.step for event in of_kind(events, LiquidationStep)]


# ── Rulebooks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_steps_that_rulebooks_are_checked_for_are_those_the_engine_knows() -> None:
    assert set(check.STEPS) == STEPS


def test_every_packaged_sequence_can_be_run() -> None:
    for name in rulebooks.names():
        for folder in rulebooks.folders(name):
            book = rulebooks.load(name, folder.day)
            for steps in (book.liquidation_sequence, book.isolated_sequence or ()):
                assert set(steps) <= STEPS, name
            assert book.liquidation_sequence, name


def test_a_take_over_ends_every_sequence_but_where_a_vault_waits() -> None:
    assert sequence(_venue(sequence=("cancel_orders",)).state, isolated=False) == ["cancel_orders", "take_over"]
    assert sequence(_venue(sequence=("reduce_in_parts", "backstop_vault")).state, isolated=False) == [
        "reduce_in_parts",
        "backstop_vault",
    ]


def test_isolated_positions_can_have_a_sequence_of_their_own_and_never_net() -> None:
    own = _venue(sequence=("cancel_orders", "net_opposing_legs", "take_over"), isolated_sequence=("take_over",))
    assert sequence(own.state, isolated=True) == ["take_over"]
    shared = _venue(sequence=("cancel_orders", "net_opposing_legs", "take_over"))
    assert sequence(shared.state, isolated=True) == ["cancel_orders", "take_over"]


# ── Beginning and end ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("trigger", "begins"), [("at_or_below", True), ("below", False)])
def test_at_exactly_the_requirement_the_venues_trigger_decides(trigger: str, begins: bool) -> None:  # noqa: FBT001
    # 990 of entry value, 99 of margin at 10 %: balance = requirement where 1000 − 90 (100 − p) = 0.9 p
    venue = SmallVenue(rules(policies={"trigger": trigger}), fund="1000")
    venue.marks(X="100")
    venue.trader("ann", "1090", "10")
    venue.buy("ann", "100")  # 1,090 + 100 p − 10,000 = p at p = 90
    assert (of_kind(venue.marks(X="90"), LiquidationStarted) != []) is begins


def test_a_liquidation_stops_as_soon_as_the_pool_is_safe() -> None:
    venue = _venue(fees=Fees(Decimal(0), Decimal(0), Decimal(0)))
    events = venue.marks(X="90.8")
    assert _steps(events) == ["cancel_orders", "reduce_at_market"]
    (ended,) = of_kind(events, LiquidationEnded)
    assert ended.outcome == "safe"
    assert 0 < venue.held("ann") < 99


def test_cancelling_alone_can_be_enough() -> None:
    venue = _venue(policies={"orders_in_requirement": True})
    venue.deposit("ann", "400")
    venue.buy("ann", "40", price="80", order="low")
    # 1,400 − 99 · 13 = 113 of 86.1 for the position, and of 32 more for the order
    events = venue.marks(X="87")
    assert _steps(events) == ["cancel_orders"]
    assert [event.outcome for event in of_kind(events, LiquidationEnded)] == ["safe"]
    assert venue.held("ann") == 99


def test_a_shared_pool_ends_at_a_higher_bar_than_it_starts_where_the_venue_says_so() -> None:
    plain, higher = _venue(), _venue(stop_at_health=Decimal("1.25"))
    for venue in (plain, higher):
        venue.marks(X="90.8")
    assert higher.held("ann") < plain.held("ann")
    (pool,) = [one for one in higher.state.pools("ann") if one.positions]
    assessment = assess(pool, higher.state.marks, higher.state.rulebook)
    assert (assessment.balance_held_against or 0) >= Decimal("1.25") * (assessment.liquidation_requirement or 0)


def test_the_bar_is_for_shared_pools() -> None:
    venue = SmallVenue(rules(sequence=AT_MARKET, stop_at_health=Decimal(3)), fund="1000")
    venue.marks(X="100")
    venue.trader("ann", "2000")
    venue.isolate("ann")
    venue.buy("ann", "99")
    venue.marks(X="90.8")  # 990 − 910.8 = 79.2 of 89.9
    assert venue.held("ann") > 85


def test_both_prices_must_breach_where_the_venue_looks_at_both() -> None:
    venue = _venue(trigger_prices="mark_and_last")
    venue.last(X="95")
    assert of_kind(venue.marks(X="90"), LiquidationStarted) == []
    assert of_kind(venue.last(X="90.9"), LiquidationStarted) == []
    assert of_kind(venue.last(X="90.8"), LiquidationStarted) != []


def test_without_a_last_price_the_mark_stands_for_it() -> None:
    assert of_kind(_venue(trigger_prices="mark_and_last").marks(X="90"), LiquidationStarted) != []


def test_orders_of_a_shared_pool_go_early_where_the_venue_cancels_early() -> None:
    venue = _venue(cancel_orders_at=Decimal("0.5"))
    venue.deposit("ann", "100")
    venue.buy("ann", "1", price="80", order="low")
    venue.marks(X="90.8")  # 1,100 − 910.8 = 189.2 of 89.9: 48 %
    assert venue.orders("ann") == ["low"]
    (closed,) = of_kind(venue.marks(X="90.6"), OrderClosed)  # 169.4 of 89.7: 53 %
    assert closed.reason == "margin"
    assert [venue.orders("ann"), venue.held("ann")] == [[], 99]


# ── Steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_size_of_an_order_pays_for_its_own_slippage_and_fee() -> None:
    """Levels of 1,000 each, a thousandth apart: the order eats into them, and health is still just above 1."""
    thin = Market(Decimal("0.0005"), Decimal("0.001"), Decimal(1000), 500)
    venue = _venue(market=thin, fees=Fees(Decimal(0), Decimal(0), Decimal("0.001")), tiers=STEEP)
    venue.deposit("ann", "600")
    events = venue.marks(X="90")
    assert _steps(events) == ["cancel_orders", "reduce_at_market"]
    (pool,) = [one for one in venue.state.pools("ann") if one.positions]
    assessment = assess(pool, venue.state.marks, venue.state.rulebook)
    assert assessment.health is not None
    assert 1 < assessment.health < Decimal("1.001")
    assert len({trade.price for trade in of_kind(events, Traded)}) > 1


def test_the_clearance_fee_is_the_contracts_and_else_the_set_ups() -> None:
    assumed = Fees(Decimal(0), Decimal(0), Decimal("0.004"))
    for rate, charged in ((None, "0.004"), (Decimal("0.002"), "0.002"), (Decimal(0), "0")):
        book = rules(sequence=AT_MARKET)
        book = replace(book, tables={"X": (replace(LINEAR, liquidation_fee_rate=rate), book.entry("X")[1])})
        venue = SmallVenue(book, fund="1000", fees=assumed)
        venue.marks(X="100")
        venue.trader("ann")
        venue.buy("ann", "99")
        events = venue.marks(X="90.8")
        closed = sum(trade.quantity * trade.price for trade in of_kind(events, Traded))
        assert closed > 0
        assert venue.ledger("insurance") == 1000 + closed * Decimal(charged)


def test_no_clearance_fee_where_the_venue_takes_none() -> None:
    venue = _venue(clearance_fee="none", fees=Fees(Decimal(0), Decimal(0), Decimal("0.01")))
    venue.marks(X="90.8")
    assert venue.ledger("insurance") == 1000


def test_the_fee_takes_no_more_than_the_pool_has() -> None:
    venue = _venue(fees=Fees(Decimal(0), Decimal(0), Decimal("0.5")))
    events = venue.marks(X="90.5")  # 59.5 left
    (fee,) = [event for event in of_kind(events, InsuranceUsed) if event.cause == "clearance_fee"]
    assert [fee.amount, venue.wallet("ann")] == [Decimal("59.5"), 0]


@pytest.mark.parametrize(("close_first", "first"), [("largest_maintenance", "X"), ("largest_loss", "Y")])
def test_a_pool_of_several_symbols_closes_first_what_its_venue_closes_first(close_first: str, first: str) -> None:
    venue = SmallVenue(rules(sequence=("reduce_at_market",), close_first=close_first), fund="1000")
    venue.marks(X="100", Y="100")
    venue.trader("ann", "2000")
    venue.leverage("ann", "10", "Y")
    venue.buy("ann", "99")
    venue.buy("ann", "60", "Y")
    events = venue.marks(X="92", Y="80.3")  # X: 91.1 of maintenance, 792 lost; Y: 48.2 and 1,182
    trades = [trade for trade in of_kind(events, Traded) if trade.cause == "liquidation"]
    assert trades[0].symbol == first


def test_forced_orders_are_never_worse_than_the_bankruptcy_price() -> None:
    falling = Market(Decimal("0.05"), Decimal("0.01"), Decimal(1000), 500)
    venue = SmallVenue(rules(sequence=AT_MARKET), fund="1000")
    venue.marks(X="100")
    venue.trader("ann")
    venue.buy("ann", "99")
    venue.state.setup = replace(venue.setup, market=falling)  # the market that was there is gone
    events = venue.marks(X="90.8")
    bankrupt = 100 - Decimal(1000) / 99
    assert [trade for trade in of_kind(events, Traded) if trade.cause == "liquidation" and trade.price < bankrupt] == []
    assert {trade.cause for trade in of_kind(events, Traded)} >= {"take_over"}


def test_a_position_in_the_lowest_tier_is_not_stepped_down() -> None:
    for step in ("step_down_tiers", "step_down_fill_or_kill", "step_down_at_bankruptcy", "step_down_two_tiers"):
        events = _venue(sequence=(step, "take_over")).marks(X="90.8")
        assert [trade.cause for trade in of_kind(events, Traded)][:1] == ["take_over"]


def test_isolated_liquidations_touch_nothing_outside_their_pool() -> None:
    venue = SmallVenue(rules(sequence=AT_MARKET), fund="100000")
    venue.marks(X="100", Y="100")
    venue.trader("ann", "5000")
    venue.leverage("ann", "10", "Y")
    venue.isolate("ann")
    venue.buy("ann", "99")
    venue.buy("ann", "50", "Y")
    venue.buy("ann", "1", "Y", price="80", order="elsewhere")
    wallet = venue.wallet("ann")
    venue.marks(X="50")  # far below the bankruptcy price
    assert [venue.held("ann"), venue.held("ann", "Y"), venue.wallet("ann")] == [0, 50, wallet]
    assert venue.orders("ann") == ["elsewhere"]
    assert venue.margin("ann") == 0


def test_a_shared_pool_taken_over_owes_nothing_and_keeps_nothing() -> None:
    venue = _venue(sequence=("take_over",), fund="100000")
    venue.marks(X="50")
    assert venue.held("ann") == 0
    assert 0 <= venue.wallet("ann") < Decimal("1e-20")  # what a price of 24 places leaves
    assert abs(venue.ledger("insurance") - (100000 - (99 * 50 - 1000))) < Decimal("1e-20")


def test_a_review_goes_on_with_what_waits() -> None:
    nobody = Market(Decimal("0.4"), Decimal(0), Decimal(10) ** 9, 1)
    venue = SmallVenue(rules(sequence=("reduce_in_parts", "backstop_vault")), fund="1000")
    venue.marks(X="100")
    venue.trader("ann", "2000")
    venue.isolate("ann")
    venue.buy("ann", "99")
    venue.state.setup = replace(venue.setup, market=nobody)
    (first,) = of_kind(venue.marks(X="90.8"), LiquidationEnded)
    assert first.outcome == "waiting"
    again = venue.do(asked.Review)
    assert _steps(again) == ["reduce_in_parts", "backstop_vault"]
    assert of_kind(again, LiquidationStarted) == []  # it never ended
    (ended,) = of_kind(venue.marks(X="95"), LiquidationEnded)
    assert ended.outcome == "safe"


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("second", ["80.03", "80.07", "81.13", "79.99", "83.21", "77.77"])
def test_a_clearance_fee_that_takes_all_there_is_leaves_nothing_owed_to_the_last_digit(
    second: str, *, isolated: bool
) -> None:
    """An average entry price has a last digit that the entry value does not: what is left is counted by the value."""
    venue = SmallVenue(
        rules(sequence=("step_down_tiers", "close_at_market", "take_over")),
        fees=Fees(Decimal(0), Decimal(0), Decimal(1)),
        fund="0",
    )
    venue.marks(X="100")
    venue.trader("ann", "1700")
    if isolated:
        venue.isolate("ann")
    venue.buy("ann", "70")
    venue.marks(X="100.1")
    venue.last(X="100.1")
    venue.buy("ann", second)
    venue.last(X="88.8")
    venue.marks(X="88.8")
    assert venue.held("ann") == 0
    assert venue.margin("ann") == 0
    assert venue.wallet("ann") >= 0
