"""Tiers as exchanges write them, and as a table holds them."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from ringfence.watch.tiers import Ladder, ladder_from, read_ladders
from ringfence.watch.venues import find_venue


def edges(ladder: Ladder) -> list[tuple[str, str | None]]:
    return [(str(row.floor), None if row.cap is None else str(row.cap)) for row in ladder.rows]


def okx_tier(number: int, low: str, high: str, rate: str) -> dict[str, Any]:
    info = {"tier": str(number), "minSz": low, "maxSz": high, "mmr": rate, "maxLever": "50"}
    return {"tier": number, "info": info}


def test_a_tier_that_starts_one_contract_above_the_last_starts_at_its_cap() -> None:
    venue = find_venue("okx-swap")
    ladder = ladder_from(venue, "BTC-USDT-SWAP", [okx_tier(1, "0", "500", "0.004"), okx_tier(2, "501", "900", "0.005")])
    assert ladder.unit == "contracts"
    assert edges(ladder) == [("0", "500"), ("500", "900")]


def test_a_larger_gap_between_tiers_is_kept_so_that_it_is_found() -> None:
    venue = find_venue("okx-swap")
    ladder = ladder_from(venue, "BTC-USDT-SWAP", [okx_tier(1, "0", "500", "0.004"), okx_tier(2, "502", "900", "0.005")])
    assert edges(ladder) == [("0", "500"), ("502", "900")]


def test_one_coin_is_no_gap_of_one_contract_where_tiers_count_notional() -> None:
    brackets = [
        {"info": {"qtyFloor": 0, "qtyCap": 5, "maintMarginRatio": 0.004, "cum": 0, "initialLeverage": 125}},
        {"info": {"qtyFloor": 6, "qtyCap": 10, "maintMarginRatio": 0.005, "cum": 0.006, "initialLeverage": 100}},
    ]
    ladder = ladder_from(find_venue("binance-coinm"), "BTCUSD_PERP", brackets)
    assert edges(ladder) == [("0", "5"), ("6", "10")]


def test_bybits_percentages_become_fractions() -> None:
    level = {"riskLimitValue": "150", "maintenanceMargin": "0.5", "initialMargin": "1", "maxLeverage": "100.00"}
    ladder = ladder_from(find_venue("bybit-inverse"), "BTCUSD", [{"info": level}])
    assert ladder.rows[0].maintenance_rate == Decimal("0.5") / 100


def test_phemexs_rates_with_a_percent_sign_become_fractions() -> None:
    ladder = ladder_from(find_venue("phemex"), "BTCUSD", [{"info": {"limit": 100, "maintenanceMargin": "0.5%"}}])
    assert ladder.rows[0].maintenance_rate == Decimal("0.5") / 100


def test_krakens_tiers_count_contracts_or_notional_as_each_contract_says() -> None:
    venue = find_venue("kraken-futures")
    inverse = [
        {"info": {"contracts": 0, "maintenanceMargin": 0.01}, "maxLeverage": 50.0},
        {"info": {"contracts": 500_000, "maintenanceMargin": 0.02}, "maxLeverage": 25.0},
    ]
    flexible = [{"info": {"numNonContractUnits": 0, "maintenanceMargin": 0.01}, "maxLeverage": 50.0}]
    assert ladder_from(venue, "PI_XBTUSD", inverse).unit == "contracts"
    assert edges(ladder_from(venue, "PI_XBTUSD", inverse)) == [("0", "500000"), ("500000", None)]
    assert ladder_from(venue, "PF_XBTUSD", flexible).unit == "notional"


def mexc(detail: dict[str, Any]) -> Ladder:
    market = {"id": "BTC_USDT", "symbol": "BTC/USDT:USDT", "info": detail}
    ladders = read_ladders(
        SimpleNamespace(), find_venue("mexc-usdtm"), {"BTC/USDT:USDT": market}, progress=lambda _: None
    )
    return ladders["BTC/USDT:USDT"]


def test_mexcs_own_list_of_tiers_is_taken_in_the_order_of_size() -> None:
    levels = [
        {"level": 2, "maxVol": 120000, "mmr": 0.004, "imr": 0.005, "maxLeverage": 200},
        {"level": 1, "maxVol": 50000, "mmr": 0.001, "imr": 0.002, "maxLeverage": 500},
    ]
    ladder = mexc({"riskLimitMode": "CUSTOM", "riskLimitType": "BY_VOLUME", "riskLimitCustom": levels})
    assert ladder.unit == "contracts"
    assert edges(ladder) == [("0", "50000"), ("50000", "120000")]
    assert [str(row.max_leverage) for row in ladder.rows] == ["500", "200"]


def test_mexcs_equal_steps_are_spelled_out_tier_by_tier() -> None:
    ladder = mexc(
        {
            "riskLimitMode": "INCREASE",
            "riskBaseVol": 15000,
            "riskIncrVol": 200000,
            "riskIncrMmr": 0.005,
            "riskIncrImr": 0.008,
            "riskLevelLimit": 3,
            "maintenanceMarginRate": 0.0015,
            "initialMarginRate": 0.002,
            "maxLeverage": 500,
        }
    )
    assert edges(ladder) == [("0", "15000"), ("15000", str(15000 + 200000)), ("215000", str(15000 + 2 * 200000))]
    assert [row.maintenance_rate for row in ladder.rows] == [
        Decimal("0.0015"),
        Decimal("0.0015") + Decimal("0.005"),
        Decimal("0.0015") + 2 * Decimal("0.005"),
    ]
    assert [row.max_leverage for row in ladder.rows] == [
        Decimal(500),
        Decimal(100),  # 1 ÷ (0.002 + 0.008)
        Decimal("55.5555555555555555"),  # 1 ÷ (0.002 + 2 · 0.008), cut off
    ]


def test_mexcs_tiers_by_value_count_notional() -> None:
    levels = [{"level": 1, "maxVol": 50000, "mmr": 0.001, "imr": 0.002, "maxLeverage": 500}]
    ladder = mexc({"riskLimitMode": "CUSTOM", "riskLimitType": "BY_VALUE", "riskLimitCustom": levels})
    assert ladder.unit == "notional"
