"""The check of a fee schedule: each kind of fault is found, on its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ringfence.rulebooks.check import check_tables

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = """level,settle_asset,maker_fee_rate,taker_fee_rate,volume,volume_asset,volume_days,balance,balance_asset
base,,0.0002,0.0005,,,,,
VIP 1,,0.0001,0.0004,1000000,USD,30,25,BNB
VIP 1,USDC,0,0.0003,1000000,USD,30,25,BNB
VIP 2,,-0.0001,0.0003,5000000,USD,30,100,BNB
"""
TERMS = """schema = "ringfence.fees/1"

[discounts.token]
maker = "0.1"
taker = "0.1"
asks = "the token"

[vouchers.coupon]
pays = ["fees"]
order = "soonest_expiry"
limit = "none"
counts_as_margin = false
"""
SOURCES = """[tables]
coverage = "complete"
sentence = "All of it."

[[source]]
file = "fees.csv"
covers = "all"
origin = "a page"
as_of = "2025-01-01"
confidence = "high"

[[source]]
file = "fees.toml"
covers = "all"
origin = "a page"
as_of = "2025-01-01"
confidence = "high"
"""
FILES = {"fees.csv": LEVELS, "fees.toml": TERMS, "SOURCES.toml": SOURCES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dated folder with a fee schedule that holds together."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def _faults(folder: Path) -> list[tuple[str, int | None, str]]:
    return [(fault.file.name, fault.line, fault.message) for fault in check_tables(folder, progressive=True)]


def test_a_schedule_that_holds_together_has_no_faults(folder: Path) -> None:
    assert _faults(folder) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "message"),
    [
        ("fees.csv", "level,", "tier,", 1, "expected the columns level,settle_asset"),
        ("fees.csv", "base,,", ",,", 2, "level: empty"),
        ("fees.csv", "0.0005,,", "5 %,,", 2, "base taker_fee_rate: expected a fraction between -1 and 1"),
        ("fees.csv", "0.0002,0.0005", ",", 2, "base: neither rate is known"),
        ("fees.csv", "0.0001,0.0004,", "0.0001,0.0006,", 3, "VIP 1 taker_fee_rate: 0.0006 rises above 0.0005 of base"),
        ("fees.csv", "5000000", "500000", 5, "VIP 2 volume: 500000 falls below 1000000 of VIP 1"),
        ("fees.csv", "5000000,USD", "5000000,", 5, "VIP 2: volume and volume_asset stand together"),
        ("fees.csv", "30,100,BNB", "30,100,", 5, "VIP 2: balance and balance_asset stand together"),
        ("fees.csv", "30,100", "1.5,100", 5, "VIP 2 volume_days: expected a whole number above 0"),
        ("fees.csv", "VIP 1,USDC", "VIP 1,", 4, "VIP 1 is there twice"),
        ("fees.csv", "VIP 2,", "base,USDT", 5, "base: its lines do not stand together"),
        ("fees.toml", "fees/1", "fees/2", 1, "schema: expected ringfence.fees/1"),
        ("fees.toml", '"0.1"', '"1.1"', 4, "discounts.token.maker: expected the share taken off"),
        ("fees.toml", "asks =", "ask =", 6, "discounts.token.ask: unknown key ask"),
        ("fees.toml", '["fees"]', '["margin"]', 9, "vouchers.coupon.pays: expected a list of losses, funding, fees"),
        ("fees.toml", "soonest_expiry", "largest", 10, "vouchers.coupon.order: cannot be 'largest'"),
        ("fees.toml", '"none"', '"half"', 11, "vouchers.coupon.limit: cannot be 'half'"),
        ("fees.toml", "= false", '= "no"', 12, "vouchers.coupon.counts_as_margin: expected true or false"),
        ("fees.toml", "[vouchers.coupon]", "[bonus.coupon]", None, ": unknown key bonus"),
        ("SOURCES.toml", 'file = "fees.toml"', 'file = "fees.csv"', None, "no source for fees.toml"),
    ],
)
def test_a_fault_is_found_on_its_line(
    folder: Path, file: str, old: str, new: str, line: int | None, message: str
) -> None:
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    found = [(name, at, said) for name, at, said in _faults(folder) if said.startswith(message)]
    assert found, _faults(folder)
    if line is not None:
        assert found[0][:2] == (file, line)


def test_a_schedule_without_a_source_is_a_fault(folder: Path) -> None:
    (folder / "SOURCES.toml").unlink()
    assert ("SOURCES.toml", None, "missing: every table needs a source and a date") in _faults(folder)
