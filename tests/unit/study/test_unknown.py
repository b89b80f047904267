"""What is not known is said so by every study: never as none, never as safe."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.account_file import parse
from ringfence.errors import BadAccount
from ringfence.study.compare import as_json, compare
from ringfence.study.distance import distance
from ringfence.study.edit import Edit, edit
from ringfence.study.rescue import rescue
from ringfence.study.stress import stress

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.account_file import AccountFile

# BingX publishes caps and leverages of its tiers, no maintenance rates.
BASKET = {
    "rulebook": "bingx-usdtm",
    "account": {
        "position_mode": "hedge",
        "collateral_mode": "multi_asset",
        "wallet": {"USDT": "2000", "BTC": "0.1"},
        "collateral": {"BTC": {"index": "100000"}, "USDT": {"index": "1"}},
        "positions": [
            {"symbol": "BTCUSDT", "side": "long", "quantity": "0.2", "entry_price": "101000", "mark_price": "100000",
             "margin_mode": "cross", "leverage": "10"}
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def file() -> AccountFile:
    return parse(BASKET, where="test")


@pytest.mark.parametrize("study", [distance, stress, rescue])
def test_a_study_of_health_refuses_an_account_without_one_and_says_what_is_missing(
    study: Callable[..., Any], file: AccountFile
) -> None:
    with pytest.raises(BadAccount, match="the health of no pool is known") as refused:
        study(file.account, marks=file.marks, rulebook=file.rulebook())
    assert "the maintenance rate of BTCUSDT (none in bingx-usdtm)" in (refused.value.found or "")
    assert "contracts.BTCUSDT.tiers" in (refused.value.hint or "")


def test_compare_has_what_is_known_and_says_what_is_not(file: AccountFile) -> None:
    held = next(way for way in compare(file, file.rulebook()).architectures if way.name == "as given")
    assert held.unknown == ("account",)
    assert held.amounts[0].initial_margin == Decimal("0.2") * 101_000 / 10
    assert as_json(compare(file, file.rulebook()))["architectures"][0]["not_known"] == [
        "the maintenance rate of BTCUSDT (none in bingx-usdtm)"
    ]


def test_a_leg_of_a_pool_without_health_is_marked_as_not_known(file: AccountFile) -> None:
    changed = edit(file.account, [Edit("close", "BTCUSDT", Decimal("0.1"))], marks=file.marks, rulebook=file.rulebook())
    assert [leg.known for leg in (*changed.before, *changed.after)] == [False, False]
