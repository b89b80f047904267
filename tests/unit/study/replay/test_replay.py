"""A replay: same capital both ways, calls with hysteresis, takeovers, missing prices, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from ringfence.errors import BadAccount, BadConfiguration, BadInput, BadTape
from ringfence.numbers import EXACT
from ringfence.study.examples import example_names, load_example
from ringfence.study.replay.replay import REARM, replay
from ringfence.study.replay.verdict import verdict
from ringfence.tape import load_tape
from tests.unit.study.replay.replay_books import PROGRESSIVE, START, account_file, books, contract, tape_of, wild_tapes

if TYPE_CHECKING:
    from ringfence.account_file import AccountFile
    from ringfence.study.replay.replay import Progress
    from ringfence.study.replay.result import Replay
    from ringfence.tape import Tape

D = Decimal

# 10 contracts from 100 at five times: margin 200, requirement 1 % of the value at the mark.
# 200 + 10 · (p − 100) = 10 · p · 1 %  →  liquidated at 800 ÷ 9.9 = 80.80…, bankrupt at 80.
LONG = {"symbol": "LIN", "side": "long", "quantity": "10", "entry_price": "100", "leverage": "5"}
SHORT = {"symbol": "OTHER", "side": "short", "quantity": "5", "entry_price": "100", "leverage": "10"}
AT_MOST_THREE_TIMES = [{**PROGRESSIVE[0], "max_leverage": "3"}]
CONTRACTS = {"LIN": contract(), "OTHER": contract()}


def book(*positions: dict[str, str], wallet: str = "1000", **more: Any) -> AccountFile:
    return account_file(positions or [LONG], wallet={"USDT": wallet}, contracts=CONTRACTS, **more)


def told(result: Replay) -> list[tuple[int, str, str]]:
    """(minute, architecture, kind) of every event."""
    return [((event.ts - START) // timedelta(minutes=1), event.architecture, event.kind) for event in result.events]


def test_both_sides_start_with_the_same_capital_however_the_file_divides_it() -> None:
    mixed = book({**LONG, "margin_mode": "isolated", "isolated_margin": "300"}, SHORT, wallet="700")
    result = replay(mixed, tape_of({"LIN": ["100"], "OTHER": ["100"]}))
    assert result.funding.capital == {"USDT": 700 + 300}
    # Isolated funds 10 · 100 ÷ 5 and 5 · 100 ÷ 10, whatever the file's own margin was; the rest is idle.
    assert [p.isolated_margin for p in result.funding.isolated.positions] == [200, 50]
    assert result.funding.idle == {"USDT": 1000 - 200 - 50}
    assert [result.samples[side][0].equity["USDT"] for side in ("isolated", "cross")] == [1000, 1000]


def test_isolated_loses_its_margin_and_no_more_and_the_fund_gets_what_the_mark_leaves() -> None:
    result = replay(book(), tape_of({"LIN": ["100", "90", "80.5", "95"]}))
    (event,) = result.outcomes["isolated"].liquidations
    assert (event.pool, event.ts) == ("isolated LIN long", START + timedelta(minutes=2))
    assert event.balance == event.fund == 200 + 10 * (D("80.5") - 100)
    assert event.requirement == 10 * D("80.5") * D("0.01")
    assert event.loss == 200
    assert event.left == 1000 - 200
    leg = event.legs[0]
    assert leg.bankruptcy_price == 80
    assert leg.liquidation_price is not None
    assert abs(leg.liquidation_price - D(800) / D("9.9")) < D("1e-20")
    assert result.outcomes["isolated"].end == {"USDT": 800}
    assert result.outcomes["cross"].end == {"USDT": 1000 + 10 * (95 - 100)}
    assert result.outcomes["cross"].liquidations == ()


def test_past_the_bankruptcy_price_the_fund_pays_and_the_loss_stays_the_margin() -> None:
    result = replay(book(), tape_of({"LIN": ["100", "75"]}))
    (event,) = result.outcomes["isolated"].liquidations
    assert event.loss == 200
    assert event.fund == 200 + 10 * (75 - 100)  # −50
    assert result.outcomes["isolated"].fund_paid == {"USDT": 50}
    assert result.outcomes["isolated"].end == {"USDT": 800}


def test_a_cross_pool_is_taken_over_whole_with_its_winner_and_leaves_nothing() -> None:
    result = replay(book(LONG, SHORT, wallet="260"), tape_of({"LIN": ["100", "70"], "OTHER": ["100", "92"]}))
    # 260 − 10 · 30 + 5 · 8 = 0, held against 1 % of 10 · 70 + 5 · 92
    (event,) = result.outcomes["cross"].liquidations
    assert event.pool == "cross USDT"
    assert [event.balance, event.loss, event.left] == [0, 260, 0]
    assert [leg.unrealised_pnl for leg in event.legs] == [-300, 40]
    assert result.outcomes["cross"].end == {"USDT": 0}
    assert result.outcomes["cross"].survivors == ()
    # Isolated: the long's 200 are lost, the short keeps its 50 and its gain, 10 are idle.
    assert result.outcomes["isolated"].end == {"USDT": 10 + 50 + 40}
    assert [leg.symbol for leg in result.outcomes["isolated"].survivors] == ["OTHER"]


def test_all_prices_of_one_moment_are_taken_together() -> None:
    # Alone, the long's fall would leave 260 − 300 < 0; the short's gain of the same moment keeps the pool alive.
    result = replay(book(LONG, SHORT, wallet="290"), tape_of({"LIN": ["100", "70"], "OTHER": ["100", "90"]}))
    assert result.outcomes["cross"].liquidations == ()
    assert result.outcomes["cross"].end == {"USDT": 290 - 10 * 30 + 5 * 10}


def test_a_level_calls_again_only_after_health_was_above_it_times_the_rearm_factor() -> None:
    # Health of the isolated long is (10 · p − 800) ÷ (0.1 · p): 81 → 1.234…, 81.05 → 1.295…, 81.1 → 1.356…
    assert D("1.25") * REARM == D("1.3125")
    trembling = replay(book(), tape_of({"LIN": ["100", "81", "81.05", "81", "81.05", "81"]}))
    assert told(trembling) == [(1, "isolated", "margin_call")]
    recovered = replay(book(), tape_of({"LIN": ["100", "81", "81.1", "81"]}))
    assert told(recovered) == [(1, "isolated", "margin_call"), (3, "isolated", "margin_call")]


def test_a_warning_comes_before_a_call_and_a_call_alone_when_the_fall_is_steep() -> None:
    # 81.2 → 12 ÷ 8.12 = 1.47…: warning; 81 → call
    slow = replay(book(), tape_of({"LIN": ["100", "81.2", "81"]}))
    assert told(slow) == [(1, "isolated", "warning"), (2, "isolated", "margin_call")]
    steep = replay(book(), tape_of({"LIN": ["100", "81", "80.9"]}))
    assert told(steep) == [(1, "isolated", "margin_call")]


def test_nothing_is_decided_before_every_symbol_of_a_pool_has_its_first_price() -> None:
    result = replay(
        book(LONG, SHORT, wallet="260"), tape_of({"LIN": ["70", "70", "70", "70"], "OTHER": [None, None, "100", "100"]})
    )
    # The isolated long is decided at once; cross waits for OTHER: 260 − 300 < 0 from the third minute on.
    assert told(result) == [(0, "isolated", "liquidation"), (2, "cross", "liquidation")]
    assert result.samples["cross"][1].pools[0].health is None
    assert result.samples["cross"][1].equity == {"USDT": 260 - 300}


def test_nothing_is_decided_in_a_gap() -> None:
    result = replay(book(wallet="200"), tape_of({"LIN": ["100", None, None, "95", "95"]}))
    healths = [sample.pools[0].health for sample in result.samples["cross"]]
    assert [health is None for health in healths] == [False, True, True, False, False, False]
    assert result.samples["cross"][2].equity == {"USDT": 200}  # at the last price known


def test_settlement_assets_are_pools_and_capitals_of_their_own() -> None:
    inverse = {
        "kind": "inverse",
        "settle_asset": "COIN",
        "contract_size": "100",
        "tiers": [{"floor": "0", "maintenance_rate": "0.01"}],
    }
    file = account_file(
        [LONG, {"symbol": "INV", "side": "long", "quantity": "10", "entry_price": "100", "leverage": "2"}],
        wallet={"USDT": "1000", "COIN": "6"},
        contracts={"LIN": contract(), "INV": inverse},
    )
    result = replay(file, tape_of({"LIN": ["100", "100"], "INV": ["100", "50"]}))
    # 10 contracts of 100 are 10 COIN at 100 and 20 at 50: 6 − 10 is below 0.
    (event,) = result.outcomes["cross"].liquidations
    assert (event.pool, event.asset) == ("cross COIN", "COIN")
    assert [event.loss, event.fund] == [6, 6 + 10 - 20]
    assert result.outcomes["cross"].end == {"USDT": 1000, "COIN": 0}
    assert result.outcomes["isolated"].end == {"USDT": 1000, "COIN": 6 - 5}


def test_samples_are_exact_and_stand_on_every_minute_from_start_to_end() -> None:
    result = replay(book(), tape_of({"LIN": ["100", "97.5", "91"]}))
    assert [sample.ts - START for sample in result.samples["cross"]] == [timedelta(minutes=m) for m in range(4)]
    assert [sample.equity["USDT"] for sample in result.samples["cross"]] == [1000, 975, 910, 910]
    assert result.outcomes["cross"].lowest["USDT"] == (START + timedelta(minutes=2), D(910))
    assert result.outcomes["cross"].drawdown == {"USDT": D("0.09")}
    (_, (leg,)) = list(result.legs("isolated"))[1]
    assert leg.unrealised_pnl == -25
    assert leg.distance is not None
    assert abs(leg.distance - (D("97.5") - D(800) / D("9.9")) / D("97.5")) < D("1e-17")


@given(file=books(), tape=wild_tapes())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=40)
def test_money_is_accounted_for_and_no_isolated_position_costs_more_than_its_margin(
    file: AccountFile, tape: Tape
) -> None:
    try:
        result = replay(file, tape, ticks_per_bar=8)
    except BadInput:
        assume(False)  # noqa: FBT003 - Hypothesis's own word
    margins = {f"isolated {p.symbol} {p.side}": p.isolated_margin for p in result.funding.isolated.positions}
    with localcontext(EXACT):
        for outcome in result.outcomes.values():
            for asset in result.assets:
                gained = sum(leg.unrealised_pnl for leg in outcome.survivors if result.settled_in(leg.symbol) == asset)
                assert outcome.end[asset] == outcome.start[asset] - outcome.lost[asset] + gained
    for event in result.outcomes["isolated"].liquidations:
        assert event.loss == margins[event.pool]


def test_the_same_seed_gives_the_same_result_and_another_seed_another_walk() -> None:
    tape = load_tape("2025-10-10")
    first, again, other = (replay(load_example("crash-book"), tape, seed=seed, ticks_per_bar=8) for seed in (1, 1, 2))
    assert first.events == again.events
    assert verdict(first) == verdict(again)
    assert first.events != other.events


def test_the_crash_book_loses_four_longs_isolated_and_everything_cross() -> None:
    result = replay(load_example("crash-book"), load_tape("2025-10-10"))
    isolated, cross = result.outcomes["isolated"], result.outcomes["cross"]
    assert [event.legs[0].symbol for event in isolated.liquidations] == [
        "LINKUSDT",
        "ALGOUSDT",
        "AVAXUSDT",
        "NEARUSDT",
    ]
    assert {leg.symbol for leg in isolated.survivors} == {"FILUSDT", "BTCUSDT"}
    assert isolated.end["USDT"].quantize(D("0.01")) == D("6010.55")
    assert [event.pool for event in cross.liquidations] == ["cross USDT"]
    assert cross.end == {"USDT": 0}
    assert any(event.kind == "margin_call" and event.architecture == "cross" for event in result.events)


def test_the_lighter_book_is_carried_through_by_cross() -> None:
    result = replay(load_example("lighter-book"), load_tape("2025-10-10"))
    assert len(result.outcomes["isolated"].liquidations) == 5
    assert result.outcomes["cross"].liquidations == ()
    assert result.outcomes["cross"].end["USDT"] > result.outcomes["isolated"].end["USDT"]


@pytest.mark.parametrize("name", ["crash-book", "lighter-book"])
def test_examples_enter_at_the_first_prices_of_their_tape_with_ten_thousand_in_the_wallet(name: str) -> None:
    assert name in example_names()
    file, tape = load_example(name), load_tape("2025-10-10")
    assert file.account.wallet == {"USDT": 10_000}
    assert {p.symbol: p.entry_price for p in file.account.positions} == {
        symbol: next(tape.bars(symbol)).open for symbol in tape.symbols
    }


def test_what_was_assumed_is_said() -> None:
    result = replay(load_example("crash-book"), load_tape("2025-10-10"), seed=7, ticks_per_bar=4)
    said = "\n".join(result.assumptions)
    for clause in ("ast prices stand in for mark prices", "seed 7", "Full takeover", "No fees, no funding"):
        assert clause in said
    assert "binance-usdm tables of 2025-10-10" in said


def test_the_rulebook_is_that_of_the_option_else_of_the_file_else_of_the_tape() -> None:
    tape = tape_of({"LIN": ["100"]})
    plain = book()
    assert replay(plain, tape).rulebook.as_of == START.date()
    assert replay(plain, tape, as_of=date(2024, 8, 5)).rulebook.as_of == date(2024, 8, 5)
    crash = load_tape("2025-10-10")
    dated = load_example("crash-book")
    assert dated.as_of == date(2025, 10, 10)
    assert replay(dated, crash, ticks_per_bar=4, as_of=date(2026, 10, 1)).rulebook.as_of == date(2026, 10, 1)


def test_progress_goes_from_start_to_end() -> None:
    reached: list[Progress] = []
    replay(book(), tape_of({"LIN": ["100", "90", "80"]}), progress=reached.append)
    assert [step.done for step in reached] == sorted(step.done for step in reached)
    assert (reached[0].ts, reached[-1].ts) == (START, START + timedelta(minutes=3))
    assert reached[-1].done == 1


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────────────


def test_too_little_capital_is_refused_with_what_is_missing() -> None:
    with pytest.raises(BadAccount, match="230 USDT short") as refused:
        replay(book(LONG, SHORT, wallet="20"), tape_of({"LIN": ["100"], "OTHER": ["100"]}))
    assert "at least 250 USDT" in str(refused.value)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (book({k: v for k, v in LONG.items() if k != "leverage"}), "LIN long has no leverage"),
        (account_file([], wallet={"USDT": "1"}, contracts=CONTRACTS), "no positions to replay"),
        (book(collateral_mode="multi_asset", collateral={"USDT": {}}), "holds no isolated positions"),
        (
            account_file([LONG], wallet={"USDT": "1000"}, contracts={"LIN": {**contract(), "tiers": []}}),
            "no risk tiers are known for LIN",
        ),
        (
            account_file([LONG], wallet={"USDT": "1000"}, contracts={"LIN": contract(tiers=AT_MOST_THREE_TIMES)}),
            "leverage 5 is above",
        ),
    ],
)  # fmt: skip
def test_an_account_that_cannot_be_held_both_ways_is_refused(file: AccountFile, said: str) -> None:
    with pytest.raises(BadAccount, match=said):
        replay(file, tape_of({"LIN": ["100"]}))


def test_an_unknown_balance_is_refused() -> None:
    file = account_file([LONG], wallet={"USDT": None}, contracts=CONTRACTS)  # type: ignore[dict-item]
    with pytest.raises(BadAccount, match="balance of USDT is not known"):
        replay(file, tape_of({"LIN": ["100"]}))


def test_a_symbol_the_tape_lacks_is_named_with_the_tapes_that_have_it() -> None:
    with pytest.raises(BadTape, match="no prices of ALGOUSDT") as refused:
        replay(load_example("crash-book"), load_tape("2024-08-05"))
    assert "2025-10-10" in str(refused.value.hint)


def test_too_few_ticks_per_bar_are_refused() -> None:
    with pytest.raises(BadConfiguration, match="too few ticks"):
        replay(book(), tape_of({"LIN": ["100"]}), ticks_per_bar=3)


def test_open_orders_are_left_out_and_that_is_said() -> None:
    order = {"symbol": "LIN", "side": "buy", "quantity": "1", "price": "50"}
    result = replay(book(orders=[order]), tape_of({"LIN": ["100"]}))
    assert result.funding.cross.orders == ()
    assert any("1 open order(s)" in said for said in result.assumptions)


def test_the_start_is_in_utc() -> None:
    assert datetime(2025, 10, 10, 18, tzinfo=UTC) == START
