"""A crowd under three architectures: the same accounts and capital, every cent accounted for, the same each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ringfence import rulebooks
from ringfence.cli.crowd import as_json
from ringfence.errors import BadConfiguration, BadTape
from ringfence.numbers import exact
from ringfence.study.crowd.crowd import Options, replay_crowd
from ringfence.study.crowd.population import HABITS, VALUES, draw_crowd
from ringfence.study.crowd.report import crowd_html
from ringfence.study.crowd.result import HOLDINGS, Crowd
from ringfence.study.crowd.table import comparison
from ringfence.study.crowd.words import paragraph
from ringfence.tape import Tape, load_tape
from ringfence.tape.bars import moment_of

ZERO = Decimal(0)


@pytest.fixture(scope="module")
def tape() -> Tape:
    """The hour and a half in which the crash of 10 October 2025 happened."""
    whole = load_tape("2025-10-10")
    return whole.select(start=whole.start + timedelta(hours=2, minutes=30), end=whole.start + timedelta(hours=4))


@pytest.fixture(scope="module")
def crowd(tape: Tape) -> Crowd:
    """Eighty accounts through it, with the impact of forced orders and without."""
    return replay_crowd(80, tape, seed=3, options=Options(ticks_per_bar=8, impact=True))


def test_an_account_is_the_same_in_a_crowd_of_any_size() -> None:
    book = rulebooks.load("binance-usdm")
    prices = {"BTCUSDT": Decimal(100_000), "AVAXUSDT": Decimal(20)}
    ten = draw_crowd(10, 5, rulebook=book, prices=prices, asset="USDT")
    assert draw_crowd(30, 5, rulebook=book, prices=prices, asset="USDT")[:10] == ten
    assert draw_crowd(10, 6, rulebook=book, prices=prices, asset="USDT") != ten


def test_a_crowd_has_the_sizes_of_the_quantiles_it_is_drawn_from() -> None:
    book = rulebooks.load("binance-usdm")
    symbols = load_tape("2025-10-10").symbols
    crowd = draw_crowd(2000, 1, rulebook=book, prices=dict.fromkeys(symbols, Decimal(1)), asset="USDT")
    values = sorted(member.capital for member in crowd)
    assert VALUES[0][1] <= values[0]
    assert values[-1] <= VALUES[-1][1]
    # The tenth that was left out below and the hundredth above: the median is at (100 + 990) / 2 = 545 per mille.
    assert Decimal(900) < values[1000] < Decimal(2000)
    positions = [stake for member in crowd for stake in member.stakes]
    longs = sum(stake.quantity > 0 for stake in positions)
    assert abs(1000 * longs // len(positions) - HABITS.long_per_mille) < 20
    assert {len(member.stakes) for member in crowd} == {1, 2, 3, 4, 5}


def test_no_position_has_more_leverage_than_its_tier_and_no_account_stakes_more_than_it_has(crowd: Crowd) -> None:
    book = rulebooks.load("binance-usdm", crowd.start.date())
    for member in crowd.members:
        margins = ZERO
        for stake in member.stakes:
            contract, table = book.entry(stake.symbol)
            assert table is not None
            notional = abs(stake.quantity) * stake.entry_price
            most = table.tiers[table.index_at(notional)].max_leverage
            assert most is None or stake.leverage <= most
            assert contract.quantity_step is None or stake.quantity % contract.quantity_step == 0
            margins += notional / stake.leverage
        assert margins <= member.capital * HABITS.staked[1]


def test_every_architecture_starts_with_the_same_capital_and_positions(crowd: Crowd) -> None:
    every = [*crowd.outcomes.values(), *crowd.moved.values()]
    assert [one.holding for one in every] == [*HOLDINGS, *HOLDINGS]
    assert len({one.capital for one in every}) == 1
    assert len({one.positions for one in every}) == 1
    assert every[0].capital == sum(member.capital for member in crowd.members)


def test_the_trial_balance_is_zero_and_the_samples_agree_with_the_accounts(crowd: Crowd) -> None:
    for one in (*crowd.outcomes.values(), *crowd.moved.values()):
        assert set(one.trial_balance.values()) <= {ZERO}, one.holding
        assert one.samples[-1].equity == one.equity  # from the other side's books, and account by account
        assert one.samples[-1].accounts == crowd.number - one.liquidated
        assert one.samples[-1].positions == one.positions - one.positions_forced


@exact
def test_what_the_fund_has_is_what_it_began_with_and_took_in_less_what_it_paid(crowd: Crowd) -> None:
    for one in (*crowd.outcomes.values(), *crowd.moved.values()):
        fund = one.fund
        assert fund.start + fund.received - fund.paid + fund.venue == fund.end
        assert fund.end >= 0
        assert fund.received > 0
        assert fund.paid > 0


def test_the_crash_tells_the_architectures_apart(crowd: Crowd) -> None:
    isolated, cross, mixed = (crowd.outcomes[name] for name in HOLDINGS)
    assert isolated.liquidated > mixed.liquidated > cross.liquidated > 0
    assert isolated.wiped_out < mixed.wiped_out < cross.wiped_out
    assert isolated.rejected == cross.rejected == 0  # the crash is not taken for a bad tick


def test_isolated_margin_never_costs_more_than_the_margins_and_nobody_owes(crowd: Crowd) -> None:
    for member, fate in zip(crowd.members, crowd.outcomes["isolated"].fates, strict=True):
        margins = sum(
            (abs(stake.quantity) * stake.entry_price / stake.leverage for stake in member.stakes), ZERO
        )  # fmt: skip
        assert fate.lost <= margins + Decimal("1e-9")
    for one in (*crowd.outcomes.values(), *crowd.moved.values()):
        assert all(fate.equity >= 0 for fate in one.fates)


def test_forced_orders_that_move_the_price_move_it_further(crowd: Crowd) -> None:
    for name in HOLDINGS:
        still, moved = crowd.outcomes[name], crowd.moved[name]
        assert all(still.lowest[symbol] == crowd.lowest[symbol] for symbol in crowd.symbols)
        both = [(one.marks, other.marks) for one, other in zip(still.samples, moved.samples, strict=True)]
        assert any(marks[symbol] < tape[symbol] for tape, marks in both for symbol in tape), name
    cross, moved = crowd.outcomes["cross"], crowd.moved["cross"]
    assert any(moved.lowest[symbol] < cross.lowest[symbol] for symbol in crowd.symbols)


def test_a_coin_margined_crowd_has_its_capital_in_coins_and_every_cent_in_place(tape: Tape) -> None:
    options = Options(rulebook="binance-coinm", ticks_per_bar=4)
    crowd = replay_crowd(30, tape, seed=3, options=options)
    assert (crowd.asset, crowd.symbols, crowd.places) == ("BTC", ("BTCUSD_PERP",), 4)
    dollars = replay_crowd(30, tape, seed=3, options=Options(rulebook="bitget-usdtm", ticks_per_bar=4))
    for coins, usd in zip(crowd.members, dollars.members, strict=True):
        assert abs(coins.capital * crowd.first["BTCUSD_PERP"] - usd.capital) < Decimal("0.01")
    for one in crowd.outcomes.values():
        assert set(one.trial_balance.values()) <= {ZERO}
        assert abs(one.samples[-1].equity - one.equity) < Decimal("1e-12")  # values of inverse contracts are quotients
        assert one.liquidated > 0
    assert "BTCUSDT for BTCUSD_PERP" in " ".join(crowd.assumptions)
    assert "BTC" in crowd_html(crowd)


def test_several_processes_find_what_one_finds(tape: Tape) -> None:
    part = tape.select(start=moment_of(0), end=tape.start + timedelta(minutes=30))
    alone = replay_crowd(12, part, options=Options(ticks_per_bar=4))
    heard: list[float] = []
    together = replay_crowd(12, part, options=Options(ticks_per_bar=4, processes=2), progress=heard.append)
    assert as_json(together) == as_json(alone)
    assert heard
    assert all(0 <= share <= 1 for share in heard)


def test_the_same_seed_prints_the_same_whatever_the_hash_seed() -> None:
    printed = set()
    for hash_seed in ("1", "77"):
        run = subprocess.run(
            [sys.executable, "-m", "ringfence", "replay", "--population", "6", "--tape", "2024-08-05", "--seed", "2",
             "--ticks-per-bar", "4", "--processes", "1", "--json"],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "src"},
        )  # fmt: skip
        printed.add(run.stdout)
    assert len(printed) == 1
    (text,) = printed
    assert json.loads(text)["schema"] == "ringfence.crowd/1"


def test_the_paragraph_the_table_and_the_report_say_what_the_outcomes_say(crowd: Crowd) -> None:
    said, page = paragraph(crowd), crowd_html(crowd)
    isolated = crowd.moved["isolated"]
    assert f"liquidates {isolated.liquidated} of 80 accounts" in said
    rows = {label: cells for _, part in comparison(crowd) for label, cells in part}
    assert rows["liquidated"][0].startswith(f"{isolated.liquidated} (")
    assert rows["at the start"][0] == f"{isolated.fund.start:,.0f}"
    assert said.split(";")[0][:60] in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") >= 4


def test_a_tape_without_a_table_and_a_crowd_of_nobody_are_refused(tape: Tape) -> None:
    with pytest.raises(BadTape, match="no table for any symbol"):
        replay_crowd(5, tape, options=Options(rulebook="phemex"))
    with pytest.raises(BadConfiguration, match="no crowd"):
        replay_crowd(0, tape)
    with pytest.raises(BadConfiguration, match="too few ticks"):
        replay_crowd(5, tape, options=Options(ticks_per_bar=3))
