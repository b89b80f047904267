"""Guard rails on a running venue: orders, amendments and leverages are held to them, and they are state."""

from __future__ import annotations

from decimal import Decimal

from ringfence.account import MarginMode
from ringfence.engine import commands as asked
from ringfence.engine import snapshot
from ringfence.engine.decide import handle
from ringfence.engine.events import SettingChanged
from ringfence.engine.setup import Setup
from ringfence.engine.state import State
from ringfence.guard_rails import GuardRails, write
from tests.unit.engine.small_venue import SmallVenue, of_kind, refusal


def _venue(rails: GuardRails) -> SmallVenue:
    """Ann with 1,000 at tenfold leverage under guard rails."""
    venue = SmallVenue()
    venue.marks(X="100", Y="100")
    venue.trader("ann")
    assert refusal(venue.do(asked.SetGuardRails, "ann", write(rails))) is None
    return venue


def test_an_order_beyond_a_guard_rail_is_refused_and_one_that_reduces_is_not() -> None:
    venue = _venue(GuardRails(largest_share=Decimal("0.2")))
    assert refusal(venue.buy("ann", "20.01")) == "guard_rail_share"
    assert refusal(venue.buy("ann", "20")) is None
    assert refusal(venue.buy("ann", "1", price="99")) == "guard_rail_share"
    assert refusal(venue.sell("ann", "5", reduce_only=True)) is None
    assert venue.held("ann") == 15


def test_an_amended_order_is_held_to_them_too() -> None:
    venue = _venue(GuardRails(largest_share=Decimal("0.2")))
    venue.buy("ann", "10", price="90", order="rests")
    more = venue.do(asked.AmendOrder, "ann", "rests", None, Decimal(21))  # 21 · 100 ÷ 10 = 210 of 1,000
    assert refusal(more) == "guard_rail_share"
    assert refusal(venue.do(asked.AmendOrder, "ann", "rests", None, Decimal(20))) is None


def test_a_leverage_above_the_ceiling_cannot_be_chosen() -> None:
    venue = _venue(GuardRails(leverage_ceiling=Decimal(5)))
    assert refusal(venue.leverage("ann", "6")) == "guard_rail_leverage"
    assert refusal(venue.buy("ann", "1")) == "guard_rail_leverage"  # tenfold, chosen before
    venue.leverage("ann", "5")
    assert refusal(venue.buy("ann", "1")) is None


def test_the_usual_margin_mode_is_chosen_with_the_first_order_that_is_taken() -> None:
    venue = _venue(GuardRails(margin_mode=MarginMode.ISOLATED))
    assert of_kind(venue.buy("ann", "1000"), SettingChanged) == []  # refused for its size: nothing is chosen
    events = venue.buy("ann", "10")
    assert [(e.symbol, e.setting, e.value) for e in of_kind(events, SettingChanged)] == [
        ("X", "margin_mode", "isolated")
    ]
    assert venue.margin("ann") == 100
    venue.do(asked.SetMarginMode, "ann", "Y", "isolated")
    venue.do(asked.SetMarginMode, "ann", "Y", "cross")
    venue.leverage("ann", "10", "Y")
    assert of_kind(venue.buy("ann", "1", "Y"), SettingChanged) == []  # the trader's own choice stands


def test_guard_rails_are_kept_in_a_snapshot() -> None:
    state = State(Setup("binance-usdm", "2025-10-10"))
    handle(state, asked.SetGuardRails("1", 1, "ann", write(GuardRails(health_floor=Decimal(2)))))
    kept = snapshot.load(snapshot.dump(state))
    assert kept.trader("ann").rails == GuardRails(health_floor=Decimal(2))
    assert kept.digest() == state.digest()


def test_guard_rails_can_be_taken_away() -> None:
    venue = _venue(GuardRails(health_floor=Decimal(900)))
    assert refusal(venue.buy("ann", "2")) == "guard_rail_health"  # maintenance 2 against 1,000
    before = venue.state.digest()
    venue.do(asked.SetGuardRails, "ann")
    assert venue.state.digest() != before
    assert refusal(venue.buy("ann", "2")) is None


def test_text_that_is_no_guard_rails_is_refused() -> None:
    venue = SmallVenue()
    assert refusal(venue.do(asked.SetGuardRails, "ann", "{}")) == "unknown_choice"
