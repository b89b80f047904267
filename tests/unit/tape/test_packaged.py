"""The packaged windows: the same as the recording they are made of, with the facts known about them."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from ringfence.tape import load_tape, packaged_windows, summarise
from ringfence.tape.csv_file import read_csv_text

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.tape import SymbolSummary, Window

WINDOWS = packaged_windows()


def summary(window: str, symbol: str) -> SymbolSummary:
    return next(found for found in summarise(load_tape(window)) if found.symbol == symbol)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_there_are_seven_windows_latest_first() -> None:
    names = ["2025-10-10", "2025-09-17", "2025-02-03", "2024-08-05", "2022-11-09", "2022-11-08", "2021-05-19"]
    assert [window.name for window in WINDOWS] == names


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.name)
def test_the_index_says_what_the_prices_are(window: Window) -> None:
    tape = window.load()
    assert (tape.name, tape.symbols, tape.price_kind) == (window.name, window.symbols, window.price_kind)
    assert (tape.start, tape.end) == (window.start, window.end)
    assert not tape.price_kind_assumed
    assert tape.exact
    assert all(tape.gaps(symbol) == () for symbol in tape.symbols)
    minutes = (window.end - window.start).total_seconds() / 60
    assert Counter(bar.symbol for bar in tape.bars()) == dict.fromkeys(window.symbols, minutes)


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.name)
def test_every_symbol_of_a_window_has_a_source_with_its_commit(window: Window) -> None:
    assert [source.split(": ")[1].split("-1m-")[0] for source in window.sources] == list(window.symbols)
    assert all(len(source.split(" @ ")[1]) == 8 for source in window.sources)
    assert window.load().provenance.source == "; ".join(window.sources)
    assert (window.venue, window.what_happened[-1], bool(window.checks)) == ("binance-usdm", ".", True)


def test_the_windows_are_small() -> None:
    directory = files("ringfence.tape") / "windows"
    assert sum(len(entry.read_bytes()) for entry in directory.iterdir() if entry.is_file()) < 500_000


def test_the_windows_hold_exactly_what_the_recording_holds(data_dir: Path) -> None:
    with (data_dir / "prices" / "binance_usdm_1m_crash_days.csv").open(encoding="utf-8") as stream:
        recorded = {
            (row["window"], row["ts"], row["symbol"]): tuple(row[name] for name in ("open", "high", "low", "close"))
            for row in csv.DictReader(stream)
        }
    packaged: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for window in WINDOWS:
        text = (files("ringfence.tape") / "windows" / f"{window.name}.csv").read_text(encoding="utf-8")
        lines = [line.split(",") for line in text.splitlines() if line[0].isdigit()]
        packaged |= {(window.name, ts, symbol): tuple(prices) for ts, symbol, *prices in lines}
    assert packaged == recorded
    assert len(packaged) == 7_213


@pytest.mark.parametrize(
    ("window", "symbol", "first", "low", "low_at"),
    [
        ("2025-10-10", "BTCUSDT", "117590.8", "101516.5", "2025-10-10 21:20"),
        ("2025-10-10", "AVAXUSDT", "26.699", "8.433", "2025-10-10 21:21"),
        ("2025-10-10", "LINKUSDT", "21.139", "8.164", "2025-10-10 21:21"),
        ("2025-10-10", "NEARUSDT", "3", "1.543", "2025-10-10 21:19"),
        ("2025-10-10", "ALGOUSDT", "0.2105", "0.0955", "2025-10-10 21:20"),
        ("2025-10-10", "FILUSDT", "2.257", "1.381", "2025-10-10 21:18"),
        ("2024-08-05", "BTCUSDT", "58144.5", "48888", "2024-08-05 06:24"),
        ("2024-08-05", "AVAXUSDT", "21.246", "17.252", "2024-08-05 06:24"),
        ("2025-02-03", "BTCUSDT", "96999", "91130.3", "2025-02-03 02:08"),
        ("2022-11-08", "BTCUSDT", "19513.8", "16830", "2022-11-08 19:32"),
        ("2022-11-09", "BTCUSDT", "16941.5", "15462.6", "2022-11-09 22:08"),
        ("2021-05-19", "BTCUSDT", "40359.68", "28688", "2021-05-19 13:10"),
    ],
)
def test_the_known_lows_are_there(window: str, symbol: str, first: str, low: str, low_at: str) -> None:
    found = summary(window, symbol)
    assert (found.first, found.low, found.low_at) == (Decimal(first), Decimal(low), at(low_at))


def test_the_largest_drop_is_measured_from_the_first_price() -> None:
    # (26.699 − 8.433) ÷ 26.699 = 0.68414… and (26.740 − 26.699) ÷ 26.699 = 0.00153…
    found = summary("2025-10-10", "AVAXUSDT")
    assert found.largest_drop == Decimal("0.684145")
    assert found.largest_rise == Decimal("0.001536")
    assert found.last == Decimal("20.945")


def test_the_price_of_fil_that_stood_still_is_told_from_one_that_moved() -> None:
    stale = summary("2025-10-10", "FILUSDT")
    assert (stale.longest_unchanged, stale.unchanged_from) == (26, at("2025-10-10 21:19"))  # to 21:44
    moving = summary("2025-10-10", "BTCUSDT")
    assert (moving.longest_unchanged, moving.unchanged_from) == (0, None)


def test_fractions_of_a_summary_are_rounded_half_even() -> None:
    rows = "1760119200,A,4000000,4000000,3999998,4000000\n1760119200,B,4000000,4000006,4000000,4000000\n"
    a, b = summarise(read_csv_text("ts,symbol,open,high,low,close\n" + rows, name="t", file="t.csv"))
    assert a.largest_drop == Decimal("0.000000")  # 2 ÷ 4,000,000 = 0.0000005
    assert b.largest_rise == Decimal("0.000002")  # 6 ÷ 4,000,000 = 0.0000015


def test_only_bars_at_one_price_without_a_gap_count_as_unchanged() -> None:
    prices = {0: 5, 1: 6, 2: 6, 4: 6}  # another price at minute 1, a gap at minute 3
    rows = "".join(
        f"{1760119200 + 60 * minute},A,{price},{price},{price},{price}\n" for minute, price in prices.items()
    )
    (found,) = summarise(read_csv_text("ts,symbol,open,high,low,close\n" + rows, name="t", file="t.csv"))
    assert (found.longest_unchanged, found.unchanged_from) == (2, at("2025-10-10 18:01"))
