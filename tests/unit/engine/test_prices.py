"""Which prices are believed, and that nothing is decided on those that are not, or that are old."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.decide import handle
from ringfence.engine.events import LiquidationStarted, PriceRejected, PricesChanged
from ringfence.engine.prices import all_believed
from ringfence.engine.setup import PriceGuard
from tests.unit.engine.small_venue import SECOND, SmallVenue, of_kind, refusal

CAREFUL = PriceGuard(jump=Decimal("0.2"), from_index=Decimal("0.1"), stale_after=60 * SECOND)


def _venue(guard: PriceGuard = CAREFUL) -> SmallVenue:
    """Ann is long 99 at 100 with 1,000: liquidated at about 90.8."""
    venue = SmallVenue(guard=guard, fund="100000")
    venue.marks(X="100")
    venue.trader("ann")
    venue.buy("ann", "99")
    return venue


def _rejected(venue: SmallVenue, price: str, index: str | None = None) -> list[str]:
    indices = () if index is None else (("X", Decimal(index)),)
    events = venue.do(asked.UpdatePrices, (("X", Decimal(price)),), (), indices)
    assert of_kind(events, LiquidationStarted) == []
    return [event.reason for event in of_kind(events, PriceRejected)]


@pytest.mark.parametrize("price", ["0", "-5", "NaN", "Infinity"])
def test_what_is_no_price_is_rejected_and_nothing_happens(price: str) -> None:
    venue = _venue()
    assert _rejected(venue, price) == ["not_positive"]
    assert [venue.state.marks["X"], venue.held("ann")] == [100, 99]


def test_a_jump_beyond_the_guard_is_a_bad_tick_and_liquidates_nobody() -> None:
    venue = _venue()
    assert _rejected(venue, "79.9") == ["jump"]
    assert venue.held("ann") == 99
    assert _rejected(venue, "120.1") == ["jump"]


def test_a_jump_to_the_very_limit_is_believed() -> None:
    venue = _venue()
    events = venue.marks(X="80")
    assert of_kind(events, LiquidationStarted) != []


def test_a_mark_away_from_the_index_liquidates_nobody() -> None:
    venue = _venue()
    assert _rejected(venue, "89.9", "100") == ["away_from_index"]
    assert venue.held("ann") == 99


def test_a_mark_near_its_index_is_believed_even_where_both_fell() -> None:
    venue = _venue()
    events = venue.do(asked.UpdatePrices, (("X", Decimal(85)),), (), (("X", Decimal(86)),))
    assert of_kind(events, LiquidationStarted) != []


def test_the_index_of_before_counts_while_no_new_one_comes() -> None:
    venue = _venue()
    venue.do(asked.UpdatePrices, (), (), (("X", Decimal(100)),))
    assert _rejected(venue, "85") == ["away_from_index"]


def test_a_symbol_can_have_a_bound_of_its_own() -> None:
    venue = _venue(PriceGuard(jump=Decimal("0.05"), from_index=None, by_symbol={"X": Decimal("0.3")}))
    assert _rejected(venue, "69") == ["jump"]
    assert of_kind(venue.marks(X="71"), PricesChanged) != []


def test_a_rejected_price_leaves_the_believed_ones_of_the_same_feed_alone() -> None:
    venue = _venue()
    venue.marks(Y="50")
    events = venue.marks(X="10", Y="51")
    assert [event.symbol for event in of_kind(events, PriceRejected)] == ["X"]
    assert [venue.state.marks["X"], venue.state.marks["Y"]] == [100, 51]


def test_nothing_is_liquidated_on_a_stale_mark() -> None:
    venue = _venue()
    venue.trader("bob", "1000", "10", "Y")
    venue.leverage("bob", "10")
    venue.marks(Y="100")
    venue.buy("bob", "99", "Y")
    venue.deposit("bob", "1000")
    venue.buy("bob", "99")  # bob holds X and Y in one pool
    venue.at += 61 * SECOND
    events = venue.marks(Y="82")  # X is a minute old
    assert of_kind(events, LiquidationStarted) == []
    events = venue.marks(X="82")
    assert {event.account for event in of_kind(events, LiquidationStarted)} == {"ann", "bob"}


def test_a_review_looks_again_at_the_prices_there_are_and_not_at_stale_ones() -> None:
    venue = _venue()
    assert venue.do(asked.Review) == ()
    venue.at += 61 * SECOND
    assert venue.do(asked.Review) == ()


def test_after_a_restart_a_fresh_mark_is_needed_first() -> None:
    venue = _venue()
    venue.do(asked.Resume)
    venue.do(asked.SettleFunding, "X", Decimal("0.099"))  # 980 of 1,000 are gone: liquidatable, were the mark fresh
    assert venue.held("ann") == 99
    events = venue.marks(X="100")
    assert of_kind(events, LiquidationStarted) != []


def test_the_same_price_again_is_no_news_to_anybody_but_is_fresh() -> None:
    venue = _venue()
    venue.at += 59 * SECOND
    venue.marks(X="100")
    venue.at += 59 * SECOND
    venue.do(asked.SettleFunding, "X", Decimal("0.099"))
    assert venue.held("ann") == 0


def test_last_and_index_alone_move_no_margin() -> None:
    venue = _venue()
    events = venue.do(asked.UpdatePrices, (), (("X", Decimal(95)),), (("X", Decimal(95)),))
    assert of_kind(events, LiquidationStarted) == []
    assert [venue.state.last["X"], venue.state.index["X"], venue.state.marks["X"]] == [95, 95, 100]


# ── A jump that is true ──────────────────────────────────────────────────────────────────────────────────────────────

SURE = PriceGuard(jump=Decimal("0.5"), from_index=None, stale_after=None, confirmations=2, agreement=Decimal("0.05"))


def _rejections(venue: SmallVenue, *marks: str) -> list[int]:
    """How many prices each of the marks had rejected."""
    return [len(of_kind(venue.marks(X=mark), PriceRejected)) for mark in marks]


def test_a_jump_that_as_many_updates_confirm_as_the_guard_asks_for_is_believed() -> None:
    venue = _venue(SURE)
    assert _rejections(venue, "40", "41", "40") == [1, 1, 0]
    assert venue.state.marks["X"] == 40
    assert venue.state.doubts == {}
    assert venue.held("ann") == 0


def test_each_confirmation_is_held_to_the_one_before_to_the_very_limit() -> None:
    assert _rejections(_venue(SURE), "40", "42", "44.1") == [1, 1, 0]  # 5 % each
    assert _rejections(_venue(SURE), "40", "42", "44.2", "44.2", "44.2") == [1, 1, 1, 1, 0]  # begins anew at 44.2


def test_prices_of_one_moment_count_once() -> None:
    venue = _venue(SURE)
    venue.marks(X="40")
    for _ in range(5):
        venue.at -= SECOND
        assert _rejections(venue, "40") == [1]
    assert _rejections(venue, "40", "40") == [1, 0]


def test_a_command_sent_again_confirms_nothing() -> None:
    venue = _venue(SURE)
    command = asked.UpdatePrices("again", venue.at + SECOND, (("X", Decimal(40)),))
    assert venue.handle(command) == venue.handle(command) == venue.handle(command)
    assert venue.state.doubts["mark", "X"].agreeing == 0


def test_a_believed_price_ends_the_doubt() -> None:
    venue = _venue(SURE)
    assert _rejections(venue, "40", "40", "101", "40", "40", "40") == [1, 1, 0, 1, 1, 0]


def test_a_guard_without_confirmations_believes_no_jump_ever() -> None:
    venue = _venue(PriceGuard(jump=Decimal("0.5"), confirmations=None, from_index=None, stale_after=None))
    assert _rejections(venue, *["40"] * 20) == [1] * 20
    assert venue.held("ann") == 99


def test_what_the_index_contradicts_confirms_nothing() -> None:
    venue = _venue(PriceGuard(jump=Decimal("0.5"), from_index=Decimal("0.1"), stale_after=None, confirmations=2))
    for _ in range(9):
        assert _rejected(venue, "40", "100") == ["jump"]
    assert _rejected(venue, "40", "41") == ["jump"]  # the first that confirms what was said before
    events = venue.do(asked.UpdatePrices, (("X", Decimal(40)),), (), (("X", Decimal(41)),))
    assert of_kind(events, PriceRejected) == []


def test_while_a_mark_is_in_doubt_nothing_is_decided_on_it_by_anybody() -> None:
    venue = _venue(SURE)
    venue.marks(X="300")
    venue.do(asked.SettleFunding, "X", Decimal("0.099"))  # 980 of 1,000 are gone: liquidatable at the mark there is
    venue.do(asked.Review)
    assert venue.held("ann") == 99
    events = venue.marks(X="100")
    assert of_kind(events, LiquidationStarted) != []


def test_a_last_price_that_jumps_where_there_is_no_mark_is_confirmed_too() -> None:
    venue = SmallVenue(guard=SURE)
    said = [len(of_kind(venue.last(X=price), PriceRejected)) for price in ("100", "40", "40", "40")]
    assert said == [0, 1, 1, 0]
    assert venue.state.last["X"] == 40


def test_a_doubt_survives_a_snapshot_and_is_part_of_the_digest() -> None:
    from ringfence.engine import snapshot
    from ringfence.engine.decide import handle
    from ringfence.engine.setup import Setup
    from ringfence.engine.state import State

    state = State(Setup(as_of="2025-10-10", guard=SURE))
    for number, mark in enumerate(("100000", "40000", "41000")):
        before = state.digest()
        handle(state, asked.UpdatePrices(f"p{number}", number + 1, (("BTCUSDT", Decimal(mark)),)))
        assert state.digest() != before
    assert tuple(state.doubts["mark", "BTCUSDT"]) == (Decimal(41_000), 1, 3)
    again = snapshot.load(snapshot.dump(state))
    assert (again.digest(), again.doubts) == (state.digest(), state.doubts)
    handle(again, asked.UpdatePrices("p3", 4, (("BTCUSDT", Decimal(40_500)),)))
    assert again.marks["BTCUSDT"] == 40_500


def test_suspects_are_looked_at_in_the_order_in_which_they_came_to_hold_however_they_are_named() -> None:
    venue = SmallVenue(fund="100000")
    venue.marks(X="100")
    for name in ("ann", "bob", "cy"):
        venue.trader(name)
        venue.buy(name, "99")
    venue.sell("ann", "99")
    venue.buy("ann", "99")  # she left and came again: behind the others
    fall = asked.UpdatePrices("fall", venue.at + SECOND, (("X", Decimal(90)),))
    events = handle(venue.state, fall, ("ann", "nobody", "cy"))
    assert [event.account for event in of_kind(events, LiquidationStarted)] == ["cy", "ann"]  # bob was proved healthy


def test_all_of_an_update_is_believed_or_not() -> None:
    venue = _venue()
    near, far = ("X", Decimal(81)), ("X", Decimal(79))  # of 100, where a fifth is the most
    assert all_believed(venue.state, asked.UpdatePrices("a", venue.at, (near,)))
    assert not all_believed(venue.state, asked.UpdatePrices("a", venue.at, (far,)))
    assert not all_believed(venue.state, asked.UpdatePrices("a", venue.at, (near,), (), (("X", Decimal(100)),)))


def test_while_a_mark_is_in_doubt_nobody_trades_on_the_one_before_it_or_takes_money_out() -> None:
    venue = _venue(SURE)
    venue.deposit("ann", "5000")
    venue.marks(X="300", Y="100")
    refused = [
        refusal(venue.sell("ann", "99")),
        refusal(venue.buy("ann", "1", price="90")),
        refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(1))),
        refusal(venue.do(asked.Transfer, "ann", "bob", "USDT", Decimal(1))),
    ]
    assert refused == ["price_in_doubt"] * 4
    venue.leverage("ann", "10", "Y")
    assert refusal(venue.buy("ann", "1", "Y")) is None  # another symbol has its own price
    venue.marks(X="101")
    assert refusal(venue.sell("ann", "99")) is None
    assert refusal(venue.do(asked.Withdraw, "ann", "USDT", Decimal(1))) is None


def test_an_isolated_margin_stays_while_its_mark_is_in_doubt() -> None:
    venue = SmallVenue(guard=SURE)
    venue.marks(X="100")
    venue.trader("ann")
    venue.isolate("ann")
    venue.buy("ann", "10")
    venue.marks(X="300")
    events = venue.do(asked.RemoveIsolatedMargin, "ann", "X", "long", Decimal(1))
    assert refusal(events) == "price_in_doubt"
    assert refusal(venue.do(asked.AddIsolatedMargin, "ann", "X", "long", Decimal(1))) is None


def test_orders_can_be_cancelled_and_stops_wait_while_a_mark_is_in_doubt() -> None:
    venue = _venue(SURE)
    venue.buy("ann", "1", price="50", order="low")
    venue.marks(X="300")
    stop = venue.order("ann", "sell", "5", "X", type="stop_market", trigger_price="95", order="stop")
    assert refusal(stop) is None
    assert refusal(venue.do(asked.CancelOrder, "ann", "low")) is None
