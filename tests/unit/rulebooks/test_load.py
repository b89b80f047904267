"""Reading rulebooks: which day's rules and tables hold, and what is said when there are none."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence import rulebooks
from ringfence.errors import BadRulebook
from ringfence.rulebook import Tier

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own rulebooks are kept."""
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    return tmp_path


def _write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8")


CONTRACTS = (
    "symbol,kind,contract_size,settle_asset,price_step,quantity_step,minimum_quantity,minimum_notional,"
    "maker_fee_rate,taker_fee_rate,liquidation_fee_rate,tier_unit,coverage\n"
)
TIERS = "symbol,tier,floor,cap,maintenance_rate,deduction,max_leverage\n"


@pytest.mark.parametrize("name", rulebooks.names())
def test_every_packaged_rulebook_loads_as_of_its_latest_and_each_of_its_days(name: str) -> None:
    assert rulebooks.load(name).title
    for folder in rulebooks.folders(name):
        rulebook = rulebooks.load(name, folder.day)
        assert rulebook.as_of == folder.day
        for symbol in rulebook.symbols()[:3]:
            assert rulebook.table_source(symbol)


def test_the_latest_rules_not_younger_than_the_day_hold() -> None:
    def basis(day: date) -> str:
        return rulebooks.load("bitget-usdtm", day).cross.initial_margin_at

    assert basis(date(2025, 9, 28)) == "entry"
    assert basis(date(2025, 9, 29)) == "mark"
    assert rulebooks.load("bitget-usdtm").cross.initial_margin_at == "mark"


@pytest.mark.parametrize(
    ("day", "table"),
    [(None, "2026-09-29"), (date(2025, 10, 9), "2024-08-05"), (date(2025, 10, 10), "2025-10-10")],
)
def test_a_symbol_is_read_from_its_latest_table_not_younger_than_the_day(day: date | None, table: str) -> None:
    rulebook = rulebooks.load("binance-usdm", day)
    assert rulebook.table_source("BTCUSDT") == f"binance-usdm tables of {table}"
    folder = rulebooks.table_folder("binance-usdm", "BTCUSDT", day)
    assert folder is not None
    assert folder.day == date.fromisoformat(table)
    assert rulebooks.coverage_of(folder, "BTCUSDT") == "complete"
    assert rulebooks.coverage_of(folder, "NOTHING") is None


def test_each_symbol_has_a_table_of_its_own_day() -> None:
    rulebook = rulebooks.load("bybit-linear")
    assert rulebook.table_source("SOLUSDT") == "bybit-linear tables of 2025-12-29"
    assert rulebook.table_source("BTCUSDT") == "bybit-linear tables of 2024-12-25"


def test_a_rulebook_can_read_the_tables_of_others_and_says_whose_they_are() -> None:
    rulebook = rulebooks.load("bybit-uta")
    assert rulebook.table_source("BTCUSDT") == "bybit-linear tables of 2024-12-25"
    assert rulebook.table_source("BTCUSD") == "bybit-inverse tables of 2026-07-24"
    assert rulebooks.table_folder("bybit-uta", "NOTHING") is None


def test_a_bitget_basket_holds_the_liquidation_fee_back_on_the_larger_side_and_its_orders() -> None:
    for day in (date(2025, 9, 28), date(2025, 9, 29)):
        basket = rulebooks.load("bitget-usdtm", day).basket
        assert (basket.closing_fee, basket.closing_fee_rate, basket.maintenance_at) == ("mark", "liquidation", "mark")
        assert (basket.hedge_charge, basket.orders_in_requirement) == ("larger_side", True)


def test_a_day_before_the_first_table_names_the_days_there_are() -> None:
    with pytest.raises(BadRulebook) as raised:
        rulebooks.load("binance-usdm", date(2021, 3, 17)).entry("BTCUSDT")
    assert raised.value.expected is not None
    assert raised.value.expected.startswith("a day on or after a table of it: 2021-03-18")
    assert raised.value.found == "2021-03-17"


def test_a_day_before_the_first_rules_names_the_days_there_are(own: Path) -> None:
    _write(own / "venue" / "2025-01-01", rules_toml='title = "A venue"')
    with pytest.raises(BadRulebook) as raised:
        rulebooks.load("venue", date(2024, 12, 31))
    assert raised.value.expected == "a day on or after the first rules: 2025-01-01"


@pytest.mark.parametrize("name", ["binance-usd", "../rulebooks/binance-usdm", "", ".", "binance-usdm/always"])
def test_what_is_no_rulebook_s_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(BadRulebook) as raised:
        rulebooks.load(name)
    assert "binance-usdm" in (raised.value.expected or "")


def test_the_nearest_name_and_the_nearest_symbol_are_suggested() -> None:
    with pytest.raises(BadRulebook) as raised:
        rulebooks.load("binance-usd")
    assert (raised.value.hint or "").startswith("did you mean binance-usdm")
    with pytest.raises(BadRulebook) as raised:
        rulebooks.load("binance-usdm").entry("BTCUSD")
    assert (raised.value.hint or "").startswith("did you mean BTCUSDT")


@pytest.mark.parametrize("symbol", ["BTCUSDT,linear", "symbol", "BTC", ""])
def test_part_of_a_line_is_no_symbol(symbol: str) -> None:
    with pytest.raises(BadRulebook, match="no table"):
        rulebooks.load("binance-usdm").entry(symbol)


def test_a_user_s_own_table_of_the_same_day_wins(own: Path) -> None:
    row = "BTCUSDT,linear,2,USDT,,,,,,,,notional,complete\n"
    _write(
        own / "binance-usdm" / "2026-09-29", contracts_csv=CONTRACTS + row, tiers_csv=TIERS + "BTCUSDT,1,0,,0.5,0,1\n"
    )
    contract, tiers = rulebooks.load("binance-usdm").entry("BTCUSDT")
    assert contract.contract_size == 2
    assert tiers is not None
    assert tiers.tiers == (Tier(D(0), D("0.5"), D(0), D(1)),)
    assert rulebooks.load("binance-usdm").contract("ETHUSDT").contract_size == 1


def test_tiers_in_base_units_are_counted_in_contracts(own: Path) -> None:
    row = "XUSDT,linear,0.01,USDT,,,,,,,,base,complete\n"
    _write(own / "venue" / "always", rules_toml='title = "A venue"')
    _write(
        own / "venue" / "2025-01-01",
        contracts_csv=CONTRACTS + row,
        tiers_csv=TIERS + "XUSDT,1,0,5,0.01,,50\nXUSDT,2,5,,0.02,,25\n",
    )
    table = rulebooks.load("venue").tiers("XUSDT")
    assert table is not None
    assert (table.unit, table.floors) == ("contracts", (D(0), D(5) / D("0.01")))


@pytest.mark.parametrize(
    ("day", "deductions"),
    [("2025-07-28", [0, 0, 0]), ("2025-07-29", [0, 500, 1250])],
)
def test_deductions_count_only_where_the_rules_of_the_day_are_progressive(day: str, deductions: list[int]) -> None:
    # Gate's table of 2025-07-04 holds the deductions that its rules know from 2025-07-29 on
    tiers = rulebooks.load("gate-usdtm", date.fromisoformat(day)).tiers("BTC_USDT")
    assert tiers is not None
    assert [tier.deduction for tier in tiers.tiers[:3]] == deductions


def test_deductions_that_a_progressive_venue_s_table_lacks_follow_from_continuity(own: Path) -> None:
    _write(own / "venue" / "always", rules_toml='title = "A venue"')
    _write(
        own / "venue" / "2025-01-01",
        contracts_csv=CONTRACTS + "XUSDT,linear,1,USDT,,,,,,,,notional,complete\n",
        tiers_csv=TIERS + "XUSDT,1,0,500,0.01,,50\nXUSDT,2,500,,0.02,,25\n",
    )
    table = rulebooks.load("venue").tiers("XUSDT")
    assert table is not None
    assert [tier.deduction for tier in table.tiers] == [0, 500 * (D("0.02") - D("0.01"))]


def test_a_damaged_table_names_the_folder_and_the_check(own: Path) -> None:
    row = "XUSDT,linear,one,USDT,,,,,,,,notional,complete\n"
    _write(own / "venue" / "always", rules_toml='title = "A venue"', contracts_csv=CONTRACTS + row)
    with pytest.raises(BadRulebook) as raised:
        rulebooks.load("venue").entry("XUSDT")
    assert raised.value.where == str(own / "venue" / "always")
    assert "ringfence rulebooks check venue" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("title =", "not valid TOML"),
        ('[policies]\ntrigger = "bellow"', "trigger cannot be 'bellow'"),
        ('[levels]\nwarning = "high"', "a level of the rules is not a number"),
    ],
)
def test_damaged_rules_name_their_file(rules: str, message: str, own: Path) -> None:
    _write(own / "venue" / "always", rules_toml=rules)
    with pytest.raises(BadRulebook, match=message) as raised:
        rulebooks.load("venue")
    assert str(own / "venue" / "always" / "rules.toml") in (raised.value.where or "")


def test_tables_without_rules_are_an_error(own: Path) -> None:
    _write(own / "venue" / "2025-01-01", contracts_csv=CONTRACTS)
    with pytest.raises(BadRulebook, match="has tables but no rules"):
        rulebooks.load("venue")


def test_a_contract_of_unknown_size_says_how_to_bring_it_along() -> None:
    with pytest.raises(BadRulebook) as raised:
        rulebooks.load("okx-swap", date(2023, 5, 19)).entry("ADA-USDT-SWAP")
    assert (raised.value.hint or "").startswith("give contracts.ADA-USDT-SWAP in the account file")


def test_the_user_s_folder_is_named_by_the_environment_or_lies_in_the_data_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", "mine")
    assert str(rulebooks.user_directory()) == "mine"
    monkeypatch.delenv("RINGFENCE_RULEBOOKS")
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert rulebooks.user_directory().parts == ("data", "ringfence", "rulebooks")
