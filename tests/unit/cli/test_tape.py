"""``ringfence tape list | show | fetch``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.tape import load_tape, packaged_windows

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.tape import Tape
    from tests.unit.cli.command import Command

CRASH = "2025-10-10"
FETCH = ("tape", "fetch", "binance-usdm", "BTCUSDT", "--start", "2025-10-10T18:00", "--end", "2025-10-11T02:00Z")


def test_the_list_names_every_packaged_window(ringfence: Command) -> None:
    listed = ringfence("tape", "list", "--json").json["tapes"]
    assert [entry["name"] for entry in listed] == [window.name for window in packaged_windows()]
    assert listed[0]["start"] == "2025-10-10T18:00:00Z"
    assert "The crash of 10 October 2025" in ringfence("tape", "list").out


def test_show_tells_what_a_tape_holds(ringfence: Command) -> None:
    found = ringfence("tape", "show", CRASH, "--json").json
    avax = next(entry for entry in found["symbols"] if entry["symbol"] == "AVAXUSDT")
    assert (found["bars"], found["price_kind"], found["exact"]) == (6 * 480, "last", True)
    assert (avax["first"], avax["low"], avax["low_at"]) == ("26.699", "8.433", "2025-10-10T21:21:00Z")
    out = ringfence("tape", "show", CRASH).out
    assert "-68.41 %" in out  # 8.433 ÷ 26.699 − 1
    assert "last prices stand in for mark prices" in out


def test_a_tape_that_is_not_there_is_refused(ringfence: Command) -> None:
    outcome = ringfence("tape", "show", "2025-10-1")
    assert outcome.code == 3
    assert "did you mean 2025-10-10" in outcome.err


def test_fetch_asks_for_mark_prices_of_the_window_and_keeps_them(
    ringfence: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def fetch(*arguments: Any, **options: Any) -> Tape:
        asked.append((arguments, options["price_kind"], options["timeframe"]))
        return load_tape(CRASH).select(symbols=["BTCUSDT"])

    monkeypatch.setattr("ringfence.tape.fetch_window", fetch)
    out = tmp_path / "crash.csv"
    outcome = ringfence(*FETCH, "--out", out)
    assert outcome.code == 0, outcome.err
    start, end = datetime(2025, 10, 10, 18, tzinfo=UTC), datetime(2025, 10, 11, 2, tzinfo=UTC)
    assert asked == [(("binance-usdm", ["BTCUSDT"], start, end), "mark", "1m")]
    assert "480 bars of BTCUSDT" in outcome.out
    assert len(load_tape(str(out))) == 480


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--price", "bid"), "--price: unknown kind of price"), (("--start", "noon"), "--start: not a moment")],
)
def test_fetch_refuses_what_cannot_be_asked_for(
    options: tuple[str, ...], message: str, ringfence: Command, tmp_path: Path
) -> None:
    outcome = ringfence(*FETCH, "--out", tmp_path / "crash.csv", *options)
    assert outcome.code == 3
    assert message in outcome.err
    assert not (tmp_path / "crash.csv").exists()
