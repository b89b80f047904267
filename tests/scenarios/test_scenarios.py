"""Every scenario file is played; and the player is held to noticing what is wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.scenarios.scenario import Failed, play, value

FILES = sorted(Path(__file__).parent.glob("*.txt"))
VENUES = ("binance", "bybit_classic", "bybit_unified", "bingx", "weex", "mexc", "okx", "hyperliquid", "kucoin")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_what_a_scenario_expects_comes_true(path: Path) -> None:
    assert play(path) > 0


@pytest.mark.parametrize("venue", VENUES)
def test_every_venue_whose_sequence_is_known_has_scenarios(venue: str) -> None:
    assert [path for path in FILES if path.stem.startswith(venue)] != []


# ── The player is checked ─────────────────────────────────────────────────────────────────────────────────────────

SOUND = (Path(__file__).parent / "binance_taken_over.txt").read_text(encoding="utf-8")

WRONG = [
    ("start ann isolated X long margin-20*15", "start ann isolated X long margin-20*14", "expected 'start"),
    ("step reduce_at_market\n", "", "expected 'step take_over', found 'step reduce_at_market'"),
    ("end closed\n", "end closed\nend closed\n", "found 'nothing more'"),
    ("end closed\n", "", "more happened"),
    ("fund = 1000-20*5", "fund = 1000-20*5.01", "fund is 900"),
    ("wallet ann = 500-margin", "wallet bob = 500-margin", "wallet bob is 0"),
    ("ann isolates X", "ann juggles X", "not understood"),
    ("fund 1000\n", "fund 1000\nweather fine\n", "not understood"),
]


@pytest.mark.parametrize(("sound", "wrong", "said"), WRONG, ids=[row[2] for row in WRONG])
def test_a_scenario_that_is_wrong_in_one_place_fails_there(sound: str, wrong: str, said: str, tmp_path: Path) -> None:
    assert sound in SOUND
    path = tmp_path / "wrong.txt"
    path.write_text(SOUND.replace(sound, wrong), encoding="utf-8")
    with pytest.raises(Failed, match=said.replace("(", r"\(")):
        play(path)


def test_arithmetic_is_of_decimals_and_knows_only_what_it_is_told() -> None:
    assert value("0.1+0.2", {}) == Decimal("0.3")
    assert value("2*(a-1)", {"a": Decimal(4)}) == 6
    assert value("-1/4", {}) == Decimal("-0.25")
    for text in ("__import__('os')", "b", "1/0", "2**8", "one two"):
        with pytest.raises(ValueError, match=r".*"):
            value(text, {})
