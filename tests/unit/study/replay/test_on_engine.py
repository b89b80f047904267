"""One account on the engine: called as in a full takeover, liquidated by its venue's own steps, every cent in place."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringfence.cli.replay_json import as_json
from ringfence.errors import BadInput
from ringfence.study.examples import load_example
from ringfence.study.replay.on_engine import replay_on_engine
from ringfence.study.replay.replay import replay
from ringfence.study.replay.report import html_report
from ringfence.study.replay.verdict import verdict
from ringfence.tape import load_tape
from tests.unit.study.replay.replay_books import account_file, books, contract, tape_of, wild_tapes

if TYPE_CHECKING:
    from ringfence.account_file import AccountFile
    from ringfence.study.replay.result import Event, Replay
    from ringfence.tape import Tape

ZERO = Decimal(0)
LITTLE = Decimal("1e-15")  # entry values of inverse contracts are rounded to 24 places
seen: Counter[str] = Counter()


def before_liquidation(result: Replay, architecture: str) -> list[tuple[str, str, str]]:
    """Calls and the first liquidation of an architecture: moment, pool and kind."""
    told: list[tuple[str, str, str]] = []
    for event in result.events:
        if event.architecture == architecture:
            kind = "liquidation" if event.kind == "reduction" else event.kind
            told.append((event.ts.isoformat(), event.pool, kind))
            if kind == "liquidation":
                break
    return [one for one in told if one[2] == "liquidation"]


@given(file=books(), tape=wild_tapes(), seed=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
def test_the_engine_liquidates_first_where_a_takeover_would_and_never_leaves_anybody_owing(
    file: AccountFile, tape: Tape, seed: int
) -> None:
    try:
        whole = replay(file, tape, seed=seed, ticks_per_bar=8)
        steps = replay_on_engine(file, tape, seed=seed, ticks_per_bar=8)
    except BadInput:
        seen["refused"] += 1
        return
    if not any(tape.gaps(symbol) for symbol in tape.symbols):  # across a gap the two believe prices differently long
        for name in ("isolated", "cross"):
            assert before_liquidation(steps, name) == before_liquidation(whole, name)
            seen["compared"] += 1
    for outcome in steps.outcomes.values():
        assert outcome.start == whole.outcomes[outcome.architecture].start
        assert all(equity >= -LITTLE for equity in outcome.end.values())
    for event in steps.events:
        if event.kind in {"reduction", "liquidation"} and event.pool.startswith("isolated"):
            assert event.trades
        seen[event.kind] += 1
    assert verdict(steps)


def test_that_law_has_seen_liquidations_and_reductions() -> None:
    if not seen:
        pytest.skip("the law did not run")
    assert seen["liquidation"] >= 20, seen
    assert seen["compared"] >= 10, seen
    assert seen["refused"] <= 10, seen


@pytest.fixture(scope="module")
def crash() -> Replay:
    """The example account through the crash."""
    return replay_on_engine(load_example("crash-book"), load_tape("2025-10-10"), ticks_per_bar=8)


def test_under_isolated_four_longs_go_alone_and_two_positions_live(crash: Replay) -> None:
    gone = [event for event in crash.events if event.architecture == "isolated" and event.kind == "liquidation"]
    assert sorted(event.legs[0].symbol for event in gone) == ["ALGOUSDT", "AVAXUSDT", "LINKUSDT", "NEARUSDT"]
    assert {leg.symbol for leg in crash.outcomes["isolated"].survivors} == {"FILUSDT", "BTCUSDT"}
    for event in gone:
        (trade,) = event.trades
        assert trade.whole
        assert trade.cause in {"liquidation", "take_over"}  # at market, unless the price had jumped past bankruptcy


def test_what_is_left_is_the_capital_less_losses_and_with_what_the_living_have_made(crash: Replay) -> None:
    for outcome in crash.outcomes.values():
        made = sum((leg.unrealised_pnl for leg in outcome.survivors), ZERO)
        assert abs(outcome.end["USDT"] - (outcome.start["USDT"] - outcome.lost["USDT"] + made)) < LITTLE


def test_json_verdict_and_report_say_by_which_sequence(crash: Replay) -> None:
    printed = as_json(crash)
    assert printed["sequence"] == "venue"
    assert printed["liquidation_sequence"][:2] == ["cancel_orders", "reduce_at_market"]
    assert "takeover" not in printed
    page = html_report(crash)
    assert "Every position that was closed by force" in page
    assert "Full takeover" not in page + " ".join(crash.assumptions)
    assert "liquidated" in verdict(crash)
    assert "taken over whole" not in verdict(crash)


def reduced_book() -> AccountFile:
    """A long of 100 at 100 with 2,000 behind it, under a venue that steps down tier by tier."""
    return account_file(
        [{"symbol": "BTCUSDT", "side": "long", "quantity": "100", "entry_price": "100", "leverage": "5"}],
        wallet={"USDT": "2000"},
        rulebook="bybit-linear",
        contracts={
            "BTCUSDT": contract(
                quantity_step="1",
                price_step="0.01",
                liquidation_fee_rate="0",
                tiers=[
                    {"floor": "0", "maintenance_rate": "0.01"},
                    {"floor": "4000", "maintenance_rate": "0.05"},
                ],
            )
        },
    )


def liquidations(result: Replay, architecture: str) -> list[Event]:
    """Everything forced under an architecture."""
    return [event for event in result.events
            if event.architecture == architecture and event.kind in {"reduction", "liquidation"}]  # fmt: skip


def test_a_position_above_its_first_tier_is_stepped_down_and_lives() -> None:
    # 100 · (83 − 100) + 2,000 = 300 of equity; required at the entry, 0.05 · 10,000 − 0.04 · 4,000 = 340.
    tape = tape_of({"BTCUSDT": ["100", "83", "90"]})
    result = replay_on_engine(reduced_book(), tape, ticks_per_bar=4)
    (event,) = liquidations(result, "isolated")
    assert event.kind == "reduction"
    (trade,) = event.trades
    # 4,000 ÷ 100 = 40 contracts begin the next tier, so 39 may stay and 61 go.
    assert (trade.quantity, trade.whole, trade.cause) == (Decimal(61), False, "liquidation")
    (leg,) = result.outcomes["isolated"].survivors
    assert leg.quantity == Decimal(39)
    assert leg.unrealised_pnl == 39 * (90 - 100)
    assert "61 of BTCUSDT long at 18:01:00" in verdict(result)
    # The history says what was held when: 100 contracts before, 39 after.
    sizes = [pool.positions[0].quantity for _, held in result.history["isolated"] for pool in held if pool.positions]
    assert sizes == [Decimal(100), Decimal(39)]
    assert html_report(result)
