"""A tape's own answers: cover, gaps, bounds, parts."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta
from decimal import Decimal, Inexact, localcontext

import pytest

import ringfence.tape
from ringfence.errors import BadTape
from ringfence.tape import Tape, load_tape
from ringfence.tape.csv_file import read_csv_text

START = datetime(2025, 10, 10, 18, tzinfo=UTC)


def minutes(**bars: dict[int, str]) -> Tape:
    """A tape of one-minute bars: per symbol, the prices of some minutes after 18:00."""
    rows = [
        f"2025-10-10T18:{at:02}:00Z,{symbol},{prices}" for symbol, own in bars.items() for at, prices in own.items()
    ]
    return read_csv_text("# resolution: 1m\nts,symbol,open,high,low,close\n" + "\n".join(rows), name="t", file="t.csv")


def test_a_symbol_is_covered_inside_its_bars_only() -> None:
    tape = minutes(A={0: "1,1,1,1", 2: "1,1,1,1"})
    covered = [tape.covers("A", START + timedelta(seconds=s)) for s in (-1, 0, 59, 60, 119, 120, 179, 180)]
    assert covered == [False, True, True, False, False, True, True, False]
    assert not tape.covers("B", START)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(BadTape, match="time zone"):
        minutes(A={0: "1,1,1,1"}).covers("A", datetime(2025, 10, 10, 18))  # noqa: DTZ001 (that is the point)


def test_gaps_lie_between_bars_of_one_symbol() -> None:
    tape = minutes(A={0: "1,1,1,1", 1: "1,1,1,1", 5: "1,1,1,1"}, B={3: "1,1,1,1"})
    (gap,) = tape.gaps("A")
    assert (gap.symbol, gap.start, gap.end) == ("A", START + timedelta(minutes=2), START + timedelta(minutes=5))
    assert tape.gaps("B") == ()


def test_a_tape_starts_with_its_first_bar_and_ends_after_its_last() -> None:
    tape = minutes(A={3: "1,1,1,1"}, B={1: "1,1,1,1", 7: "1,1,1,1"})
    assert [tape.start, tape.last_ts, tape.end] == [START + timedelta(minutes=m) for m in (1, 7, 8)]
    assert len(tape) == 1 + 2


def test_the_bound_on_jumps_is_the_widest_bar_or_step_between_bars_rounded_up() -> None:
    inside = minutes(A={0: "3,4,3,4", 1: "4,4,4,4"}).bounds["A"]
    assert inside.jump == Decimal("0.333334")  # (4 − 3) ÷ 3
    between = minutes(A={0: "7,7,7,7", 1: "6,6,6,6"}).bounds["A"]
    assert between.jump == Decimal("0.166667")  # (7 − 6) ÷ 6
    assert (between.low, between.high) == (Decimal(6), Decimal(7))


def test_a_move_across_a_gap_is_no_jump() -> None:
    assert minutes(A={0: "1,1,1,1", 2: "9,9,9,9"}).bounds["A"].jump == 0


def test_the_bounds_of_the_real_crash_hold_its_worst_minute() -> None:
    bounds = load_tape("2025-10-10").bounds["AVAXUSDT"]
    assert bounds.low == Decimal("8.433")
    assert bounds.high == Decimal("26.74")
    assert Decimal("0.55") < bounds.jump < Decimal("0.56")


def test_a_part_has_the_bars_wholly_inside_and_the_symbols_asked_for() -> None:
    tape = load_tape("2025-10-10")
    end = datetime(2025, 10, 10, 18, 2, 30, tzinfo=UTC)
    part = tape.select(symbols=["BTCUSDT", "AVAXUSDT", "BTCUSDT"], start=tape.start + timedelta(minutes=1), end=end)
    assert [(bar.ts.minute, bar.symbol) for bar in part.bars()] == [(1, "AVAXUSDT"), (1, "BTCUSDT")]
    assert part.price_kind == "last"
    assert len(tape.select()) == len(tape)


def test_a_part_of_an_unknown_symbol_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadTape, match="no prices of BTCUSD") as caught:
        load_tape("2025-10-10").select(symbols=["BTCUSD"])
    assert caught.value.hint == "did you mean BTCUSDT?"


def test_a_part_without_bars_is_refused() -> None:
    tape = load_tape("2025-10-10")
    with pytest.raises(BadTape, match="nothing of the tape is left") as caught:
        tape.select(start=tape.end)
    assert "2025-10-10T18:00:00Z to 2025-10-11T02:00:00Z" in str(caught.value.expected)


def test_the_callers_decimal_context_does_not_touch_prices() -> None:
    with localcontext() as context:
        context.prec = 2
        context.traps[Inexact] = True
        tape = load_tape("2025-10-10")
        bar = next(tape.bars("BTCUSDT"))
        bounds = tape.bounds["BTCUSDT"]
    assert bar.open == Decimal("117590.8")
    assert bounds.low == Decimal("101516.5")


def test_the_example_of_the_package_runs() -> None:
    found = doctest.testmod(ringfence.tape)
    assert (found.failed, found.attempted) == (0, 5)
