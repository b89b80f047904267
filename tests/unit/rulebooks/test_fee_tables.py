"""Which folder a fee schedule is read from, and what happens when it cannot be read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence import rulebooks
from ringfence.errors import BadRulebook
from tests.unit.rulebooks.test_check_fees import LEVELS, TERMS

if TYPE_CHECKING:
    from pathlib import Path

RULES = 'schema = "ringfence.rules/1"\ntitle = "A venue"\n'


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A venue of the user's own with a schedule of 2025 and rules of ever."""
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    for name, text in (("always/rules.toml", RULES), ("2025-01-01/fees.csv", LEVELS), ("2025-06-01/fees.toml", TERMS)):
        path = tmp_path / "venue" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "venue"


def test_levels_and_discounts_are_each_the_latest_of_the_day(own: Path) -> None:
    assert own.is_dir()
    early, between, late = (
        rulebooks.load("venue", day).fees for day in (date(2024, 12, 31), date(2025, 3, 1), date(2025, 7, 1))
    )
    assert (early.names, dict(early.discounts), early.source) == ((), {}, None)
    assert (between.names, dict(between.discounts)) == (("base", "VIP 1", "VIP 2"), {})
    assert between.source == "venue fees of 2025-01-01"
    assert (late.names, list(late.discounts), list(late.vouchers)) == (between.names, ["token"], ["coupon"])


def test_a_later_table_takes_the_place_of_a_whole_one(own: Path) -> None:
    header = LEVELS.partition("\n")[0]
    (own / "2025-09-01").mkdir()
    (own / "2025-09-01" / "fees.csv").write_text(f"{header}\nflat,,0,0.001,,,,,\n", encoding="utf-8")
    fees = rulebooks.load("venue").fees
    assert fees.names == ("flat",)
    row = fees.row("flat", "USDT")
    assert row is not None
    assert row.taker == Decimal("0.001")


def test_a_users_own_schedule_comes_before_the_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    (tmp_path / "kraken-futures" / "2026-01-01").mkdir(parents=True)
    (tmp_path / "kraken-futures" / "2026-01-01" / "fees.csv").write_text(LEVELS, encoding="utf-8")
    assert rulebooks.load("kraken-futures").fees.names == ("base", "VIP 1", "VIP 2")
    assert rulebooks.load("kraken-futures", date(2025, 1, 1)).fees.names[0] == "0 USD"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("2025-01-01/fees.csv", "0.0005", "5 %"),
        ("2025-01-01/fees.csv", "taker_fee_rate", "taker"),
        ("2025-06-01/fees.toml", 'maker = "0.1"\n', ""),
        ("2025-06-01/fees.toml", "[discounts.token]", "[discounts.token"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_told_with_the_command_that_names_its_faults(
    own: Path, file: str, old: str, new: str
) -> None:
    text = (own / file).read_text(encoding="utf-8")
    assert old in text
    (own / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    rules = rulebooks.load("venue")  # which reads no fees yet
    with pytest.raises(BadRulebook, match="the fees of venue cannot be read") as found:
        _ = rules.fees
    assert found.value.hint is not None
    assert "ringfence rulebooks check venue" in found.value.hint
