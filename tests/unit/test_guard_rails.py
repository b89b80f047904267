"""Guard rails as a file: what it may say, what it may not, and that text and values are the same thing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.account import MarginMode
from ringfence.errors import BadConfiguration
from ringfence.guard_rails import GuardRails, from_text, read, write

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
schema = "ringfence.guardrails/1"
margin_mode = "isolated"
health_floor = "1.5"
largest_share = "0.2"
[leverage]
ceiling = 5
BTCUSDT = "10"
"""
RAILS = GuardRails(MarginMode.ISOLATED, Decimal("1.5"), Decimal("0.2"), Decimal(5), {"BTCUSDT": Decimal(10)})


def _read(tmp_path: Path, text: str) -> GuardRails:
    path = tmp_path / "guardrails.toml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    rails = _read(tmp_path, FILE)
    assert rails == RAILS
    assert (rails.leverage_of("BTCUSDT"), rails.leverage_of("ETHUSDT")) == (Decimal(10), Decimal(5))


def test_what_is_left_out_is_not_limited(tmp_path: Path) -> None:
    rails = _read(tmp_path, 'schema = "ringfence.guardrails/1"\nhealth_floor = "2"\n')
    assert rails == GuardRails(health_floor=Decimal(2))
    assert rails.leverage_of("BTCUSDT") is None


def test_text_and_values_are_the_same_thing() -> None:
    assert from_text(write(RAILS)) == RAILS
    assert write(from_text(write(RAILS))) == write(RAILS)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ('"ringfence.guardrails/1"', '"ringfence.account/1"', "schema"),
        ('margin_mode = "isolated"', 'margin_mode = "isolate"', "isolated"),
        ('health_floor = "1.5"', 'health_floor = "0.9"', "health_floor"),
        ('health_floor = "1.5"', "health_floor = 1.5", "as text"),
        ('health_floor = "1.5"', 'health_flor = "1.5"', "health_floor"),
        ('largest_share = "0.2"', 'largest_share = "20"', "largest_share"),
        ('largest_share = "0.2"', 'largest_share = "NaN"', "largest_share"),
        ("ceiling = 5", "ceiling = true", "leverage.ceiling"),
        ('BTCUSDT = "10"', 'BTCUSDT = "0.5"', "leverage.BTCUSDT"),
        ("[leverage]", "[leverage", "TOML"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, line: str, instead: str, said: str) -> None:
    assert line in FILE
    with pytest.raises(BadConfiguration) as raised:
        _read(tmp_path, FILE.replace(line, instead))
    assert said in str(raised.value)
    assert "guardrails.toml" in str(raised.value)


def test_a_file_that_is_absent_or_limits_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"No such file"):
        read(tmp_path / "none.toml")
    with pytest.raises(BadConfiguration, match="nothing is limited"):
        _read(tmp_path, 'schema = "ringfence.guardrails/1"\n')
