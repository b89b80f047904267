"""Every fault that a table can have is told, and together."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.errors import BadConfiguration
from ringfence.watch.contracts import ContractRow
from ringfence.watch.folders import Tables, faults_of, write_folder
from ringfence.watch.tiers import TierRow

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = ContractRow(
    "A", "linear", Decimal(1), "USDT", None, None, None, None, None, None, None, "notional", "complete"
)
FIRST = TierRow("A", 1, Decimal(0), Decimal(100), Decimal("0.01"), Decimal(0), Decimal(50))
SECOND = TierRow("A", 2, Decimal(100), None, Decimal("0.02"), 100 * (Decimal("0.02") - Decimal("0.01")), Decimal(25))


def faults(*tiers: TierRow, contract: ContractRow = CONTRACT) -> list[str]:
    return faults_of(Tables(date(2026, 10, 1), (contract,), tiers, ()))


def test_tables_that_hold_together_have_no_fault() -> None:
    assert faults(FIRST, SECOND) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"floor": Decimal(99)}, "A tier 2: floor 99 does not continue the cap 100 of tier 1"),
        ({"floor": None}, "A tier 2: floor unknown"),
        ({"cap": Decimal(100)}, "A tier 2: cap 100 is not above its floor 100"),
        ({"maintenance_rate": Decimal("0.009")}, "A tier 2: maintenance_rate 0.009 below 0.01 of tier 1"),
        ({"maintenance_rate": None}, "A tier 2: maintenance_rate unknown"),
        ({"maintenance_rate": Decimal("1.5")}, "A tier 2: maintenance_rate 1.5, expected above 0 and at most 1"),
        ({"max_leverage": Decimal(51)}, "A tier 2: max_leverage 51 above 50 of tier 1"),
        ({"max_leverage": Decimal("0.5")}, "A tier 2: max_leverage 0.5, expected at least 1"),
        (
            {"deduction": Decimal("1.02")},
            "A tier 2: deduction 1.02 leaves a step in the maintenance margin, expected 1",
        ),
    ],
)
def test_a_fault_of_a_tier_is_named(change: dict[str, Any], fault: str) -> None:
    assert fault in faults(FIRST, replace(SECOND, **change))


def test_a_deduction_rounded_by_the_exchange_passes() -> None:
    assert faults(FIRST, replace(SECOND, deduction=Decimal("1.01"))) == []


def test_a_first_tier_that_does_not_start_at_nothing_is_a_fault() -> None:
    assert faults(replace(FIRST, floor=Decimal(5)), SECOND) == ["A tier 1: floor 5, expected 0"]


def test_faults_of_contracts_are_named() -> None:
    contract = replace(CONTRACT, contract_size=None, settle_asset="", price_step=Decimal(0))
    assert faults(FIRST, SECOND, contract=contract) == [
        "A: contract_size unknown, expected a number above 0",
        "A: settle_asset unknown",
        "A: price_step 0, expected a number above 0 or nothing",
    ]


def test_tiers_without_a_contract_and_a_contract_listed_twice_are_faults() -> None:
    tables = Tables(date(2026, 10, 1), (CONTRACT, CONTRACT), (replace(FIRST, symbol="B"),), ())
    assert faults_of(tables) == ["A: listed twice", "B: has tiers but is no contract"]


def test_a_failure_in_the_middle_of_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    tables = Tables(date(2026, 10, 1), (CONTRACT,), (FIRST, SECOND), ())
    with pytest.raises(BadConfiguration, match="No space left on device"):
        write_folder(tables, tmp_path / "book" / "2026-10-01")
    assert list((tmp_path / "book").iterdir()) == []
