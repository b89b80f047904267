"""Bands: replaying inside them finds exactly what looking at every tick finds."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringfence.account import pools
from ringfence.errors import BadInput
from ringfence.margin.assess import assess
from ringfence.screen.bands import PoolBands
from ringfence.study.examples import load_example
from ringfence.study.replay.replay import replay
from ringfence.tape import load_tape
from tests.unit.study.replay.replay_books import account_file, books, contract, wild_tapes

if TYPE_CHECKING:
    from ringfence.account_file import AccountFile
    from ringfence.study.replay.replay import Looking
    from ringfence.study.replay.result import Replay
    from ringfence.tape import Tape

ONE, CALL, WARNING = Decimal(1), Decimal("1.25"), Decimal("1.5")
seen: Counter[str] = Counter()


def outcome(file: AccountFile, tape: Tape, *, seed: int, looking: Looking) -> Replay | str:
    """The replay, or the text of its refusal."""
    try:
        return replay(file, tape, seed=seed, looking=looking)
    except BadInput as refusal:
        return str(refusal)


@given(file=books(), tape=wild_tapes(), seed=st.integers(0, 5))
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200)
def test_bands_change_no_event_and_no_sample(file: AccountFile, tape: Tape, seed: int) -> None:
    banded = outcome(file, tape, seed=seed, looking="at_band_edges")
    every = outcome(file, tape, seed=seed, looking="at_every_tick")
    if isinstance(banded, str) or isinstance(every, str):
        assert banded == every
        seen["refused"] += 1
        return
    assert banded.events == every.events
    assert banded.samples == every.samples
    assert banded.outcomes == every.outcomes
    assert banded.looks <= every.looks
    seen["fewer looks"] += banded.looks < every.looks
    seen.update(event.kind for event in banded.events)


def test_that_law_has_seen_events_of_every_kind() -> None:
    if not seen:
        pytest.skip("the law did not run")
    assert min(seen["warning"], seen["margin_call"], seen["liquidation"], seen["fewer looks"]) >= 20, seen
    assert seen["refused"] <= 20, seen


def test_the_examples_replay_alike_with_and_without_bands() -> None:
    tape = load_tape("2025-10-10")
    banded = replay(load_example("crash-book"), tape, ticks_per_bar=8)
    every = replay(load_example("crash-book"), tape, ticks_per_bar=8, looking="at_every_tick")
    assert banded.events == every.events
    assert banded.samples == every.samples
    assert banded.looks * 100 < every.looks


def test_a_lone_long_has_its_band_end_at_the_warning_price_and_no_upper_end_but_its_tier() -> None:
    file = account_file(
        [{"symbol": "LIN", "side": "long", "quantity": "10", "entry_price": "100", "leverage": "5"}],
        wallet={"USDT": "200"},
        contracts={
            "LIN": contract(
                tiers=[{"floor": "0", "maintenance_rate": "0.01"}, {"floor": "2000", "maintenance_rate": "0.02"}]
            )
        },
    )
    rulebook = file.rulebook()
    (pool,) = pools(file.account, rulebook.contract)
    assessment = assess(pool, {"LIN": Decimal(100)}, rulebook)
    band = PoolBands().around(assessment, above=[ONE, CALL, WARNING])["LIN"]
    # 200 + 10 · (p − 100) = 1.5 · 10 · p · 0.01  →  p = 800 ÷ 9.85; the band ends there, rounded inward
    exact_edge = Decimal(800) / Decimal("9.85")
    assert 0 <= band.low - exact_edge < Decimal("1e-14")
    assert band.high == 200  # 2,000 USDT ÷ 10 contracts, where the second tier begins


def test_a_pool_that_is_already_at_a_watched_level_gets_no_band() -> None:
    file = account_file(
        [{"symbol": "LIN", "side": "long", "quantity": "10", "entry_price": "100", "leverage": "5"}],
        wallet={"USDT": "15"},  # health 15 ÷ (10 · 100 · 1 %) = 1.5
        contracts={"LIN": contract()},
    )
    rulebook = file.rulebook()
    (pool,) = pools(file.account, rulebook.contract)
    assessment = assess(pool, {"LIN": Decimal(100)}, rulebook)
    assert PoolBands().around(assessment, above=[WARNING]) == {}
    assert PoolBands().around(assessment, above=[ONE], not_above=[WARNING]) == {}
    assert PoolBands().around(assessment, above=[CALL]) != {}


@pytest.mark.parametrize(
    "policy",
    [
        {"closing_fee": "bankruptcy_price"},
        {"maintenance_from_initial": True, "initial_margin_rounding": "up", "initial_margin_step": "0.000001"},
        {"maintenance_rate_base": "0.02", "rate_per_unit_of_base": "0.001"},
    ],
)
def test_a_pool_whose_requirement_is_not_linear_in_its_tier_gets_no_band(policy: dict[str, object]) -> None:
    file = account_file(
        [{"symbol": "INV", "side": "long", "quantity": "10", "entry_price": "100", "leverage": "5"}],
        wallet={"COIN": "10"},
        policy=policy,
        contracts={
            "INV": {
                "kind": "inverse",
                "settle_asset": "COIN",
                "contract_size": "10",
                "taker_fee_rate": "0.001",
                "tiers": [{"floor": "0", "maintenance_rate": "0.01", "max_leverage": "10"}],
            }
        },
    )
    rulebook = file.rulebook()
    (pool,) = pools(file.account, rulebook.contract)
    assessment = assess(pool, {"INV": Decimal(100)}, rulebook)
    assert assessment.liquidatable is False
    assert PoolBands().around(assessment, above=[ONE]) == {}


@pytest.mark.parametrize(
    ("policy", "rate"),
    [
        ({"closing_fee": "mark"}, "0.06"),
        ({"closing_fee": "frozen_mark"}, "0.06"),
        ({"maintenance_at": "frozen_mark"}, "0.01"),
        ({"maintenance_at": "frozen_mark", "closing_fee": "frozen_mark", "funding_reserve_rate": "0.02"}, "0.08"),
    ],
)
def test_what_moves_or_freezes_with_the_mark_is_in_the_band(policy: dict[str, object], rate: str) -> None:
    file = account_file(
        [{"symbol": "LIN", "side": "long", "quantity": "10", "entry_price": "100", "leverage": "5"}],
        wallet={"USDT": "200"},
        policy=policy,
        contracts={"LIN": contract(taker_fee_rate="0.05")},
    )
    rulebook = file.rulebook()
    (pool,) = pools(file.account, rulebook.contract)
    band = PoolBands().around(assess(pool, {"LIN": Decimal(100)}, rulebook), above=[ONE])["LIN"]
    # 200 + 10 · (p − 100) = 10 · p · rate  →  p = 800 ÷ (10 − 10 · rate)
    assert 0 <= band.low - Decimal(800) / (10 - 10 * Decimal(rate)) < Decimal("1e-14")
