"""What a trader chooses, held to the venue's preconditions; rulebooks adopted while the venue runs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.engine import commands as asked
from ringfence.engine.events import MoneyMoved, RulebookAdopted, SettingChanged
from ringfence.engine.setup import Setup
from ringfence.engine.state import State
from tests.unit.engine.small_venue import ANY_PRICE, AT_THE_PRICE, NO_FEES, SmallVenue, of_kind, refusal, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.events import Event


def _venue(**more: Any) -> SmallVenue:
    """Ann with 1,000 at tenfold leverage, no position yet."""
    venue = SmallVenue(rules(**more))
    venue.marks(X="100", Y="100")
    venue.trader("ann")
    return venue


def _mode(venue: SmallVenue, mode: str, symbol: str = "X") -> tuple[Event, ...]:
    return venue.do(asked.SetMarginMode, "ann", symbol, mode)


def _with_position(venue: SmallVenue) -> SmallVenue:
    venue.buy("ann", "10")
    return venue


def _no_steps_down(venue: SmallVenue) -> tuple[Event, ...]:
    venue.isolate("ann")
    venue.buy("ann", "10")
    return venue.leverage("ann", "5")


REFUSED: list[tuple[str, dict[str, str], Callable[[SmallVenue], tuple[Event, ...]]]] = [
    ("not_positive", {}, lambda v: v.leverage("ann", "0.5")),
    ("unknown_symbol", {}, lambda v: v.leverage("ann", "5", "Z")),
    ("leverage_above_tier", {}, lambda v: v.leverage("ann", "51")),
    ("leverage_down_isolated", {"leverage_down_isolated": "no"}, _no_steps_down),
    ("insufficient_balance", {}, lambda v: (v.buy("ann", "90"), v.leverage("ann", "5"))[1]),
    ("unknown_choice", {}, lambda v: _mode(v, "portfolio")),
    ("unchanged", {}, lambda v: _mode(v, "cross")),
    ("margin_mode_with_orders", {}, lambda v: (v.buy("ann", "1", price="90"), _mode(v, "isolated"))[1]),
    (
        "margin_mode_with_position",
        {"margin_mode_with_position": "no"},
        lambda v: _mode(_with_position(v), "isolated"),
    ),
    ("cross_to_isolated", {"cross_to_isolated": "no"}, lambda v: _mode(_with_position(v), "isolated")),
    ("unknown_choice", {}, lambda v: v.do(asked.SetPositionMode, "ann", "both")),
    ("unchanged", {}, lambda v: v.do(asked.SetPositionMode, "ann", "one_way")),
    ("position_mode_with_position", {}, lambda v: _with_position(v).hedge("ann")),
    ("position_mode_with_position", {}, lambda v: (v.buy("ann", "1", price="90"), v.hedge("ann"))[1]),
    ("unknown_choice", {}, lambda v: v.do(asked.SetReplenishment, "ann", "X", "maybe")),
    ("unknown_choice", {}, lambda v: v.do(asked.SetReplenishment, "ann", "X", "on")),  # the venue has none
    ("unknown_choice", {}, lambda v: v.do(asked.AdoptRulebook, "atlantis")),
    ("unknown_choice", {}, lambda v: v.do(asked.AdoptRulebook, "binance-usdm", "yesterday")),
    ("unknown_choice", {}, lambda v: _with_position(v).do(asked.AdoptRulebook, "binance-usdm")),  # no X there
]


@pytest.mark.parametrize(
    ("reason", "refusals", "ask"), REFUSED, ids=[f"{row[0]}-{number}" for number, row in enumerate(REFUSED)]
)
def test_what_is_refused_changes_nothing(
    reason: str, refusals: dict[str, str], ask: Callable[[SmallVenue], tuple[Event, ...]]
) -> None:
    venue = _venue(refusals=refusals)
    assert refusal(ask(venue)) == reason


def test_a_leverage_is_chosen_before_and_with_a_position() -> None:
    venue = _venue()
    (changed,) = of_kind(venue.leverage("ann", "20"), SettingChanged)
    assert (changed.setting, changed.value) == ("leverage", "20")
    venue.buy("ann", "10")
    assert refusal(venue.leverage("ann", "25")) is None
    (position,) = venue.state.account("ann").positions
    assert position.leverage == 25


def test_a_position_takes_its_margin_along_when_its_mode_changes() -> None:
    venue = _with_position(_venue())
    (moved,) = of_kind(_mode(venue, "isolated"), MoneyMoved)
    assert moved.cause == "margin_mode"
    assert [venue.wallet("ann"), venue.margin("ann")] == [900, 100]
    _mode(venue, "cross")
    assert [venue.wallet("ann"), venue.margin("ann")] == [1000, 0]


def test_the_mode_of_a_symbol_without_a_position_is_only_remembered() -> None:
    venue = _venue()
    assert of_kind(_mode(venue, "isolated"), MoneyMoved) == []
    venue.buy("ann", "10")
    assert venue.margin("ann") == 100


def test_the_position_mode_is_of_the_account() -> None:
    venue = _venue()
    (changed,) = of_kind(venue.hedge("ann"), SettingChanged)
    assert (changed.symbol, changed.value) == (None, "hedge")


def test_replenishment_is_switched_on_with_an_amount_where_the_venue_asks_for_one() -> None:
    venue = _venue(replenishment="user_amount")
    (on,) = of_kind(venue.do(asked.SetReplenishment, "ann", "X", "on", Decimal("30.50")), SettingChanged)
    assert on.value == "on 30.5"
    (off,) = of_kind(venue.do(asked.SetReplenishment, "ann", "X", "off"), SettingChanged)
    assert off.value == "off"


# ── Rulebooks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_other_rules_hold_from_the_moment_they_are_adopted() -> None:
    state = State(Setup("binance-usdm", "2024-08-05", fees=NO_FEES, market=AT_THE_PRICE, guard=ANY_PRICE))
    venue = SmallVenue()
    venue.state = state
    venue.do(asked.UpdatePrices, (("BTCUSDT", Decimal(50_000)),))
    venue.trader("ann", "10000", "10", "BTCUSDT")
    venue.buy("ann", "1", "BTCUSDT")
    events = venue.do(asked.AdoptRulebook, "binance-usdm", "2025-10-10")
    assert [(event.rulebook, event.as_of) for event in of_kind(events, RulebookAdopted)] == [
        ("binance-usdm", "2025-10-10")
    ]
    assert str(state.rulebook.as_of) == "2025-10-10"


def test_rules_that_ask_for_more_can_liquidate_at_once() -> None:
    state = State(Setup("binance-usdm", "2025-10-10", fees=NO_FEES, market=AT_THE_PRICE, guard=ANY_PRICE))
    venue = SmallVenue()
    venue.state = state
    venue.do(asked.UpdatePrices, (("BTCUSDT", Decimal(100_000)),))
    venue.trader("ann", "1050", "100", "BTCUSDT")
    venue.buy("ann", "1", "BTCUSDT")  # for a fee of 0.05 %: 50
    venue.do(asked.UpdatePrices, (("BTCUSDT", Decimal(99_440)),))  # 440 left; Binance asks for 0.4 to 0.5 % less 50
    assert venue.held("ann", "BTCUSDT") == 1
    venue.do(asked.AdoptRulebook, "bybit-linear")  # 0.5 % of the entry value: 500
    assert venue.held("ann", "BTCUSDT") == 0
