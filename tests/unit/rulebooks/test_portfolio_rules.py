"""Rules of portfolio margin as data: the packaged ones hold, and every kind of fault is named with its line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence import rulebooks
from ringfence.errors import BadRulebook
from ringfence.portfolio_rules import Band, MatrixTerms, read_rules
from ringfence.rulebooks.check_portfolio import portfolio_faults

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal
PACKAGED = sorted(rulebooks.PACKAGED.glob(f"*/*/{rulebooks.PORTFOLIO}"))


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_the_packaged_rules_have_no_fault_and_say_of_every_term_where_it_comes_from(path: Path) -> None:
    assert portfolio_faults(path) == []


def test_the_days_of_four_venues_are_packaged() -> None:
    assert ["/".join(path.parts[-3:-1]) for path in PACKAGED] == [
        "binance-usdm/always", "bybit-uta/2025-01-10", "deribit/2024-06-17", "deribit/2026-02-15", "deribit/always",
        "okx-swap/2024-12-30", "okx-swap/2025-01-06", "okx-swap/2025-01-15",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "day", "rules"),
    [
        ("deribit", date(2020, 1, 1), "always"),
        ("deribit", date(2025, 1, 1), "2024-06-17"),
        ("deribit", None, "2026-02-15"),
        ("okx-swap", date(2025, 1, 10), "2025-01-06"),
        ("okx-swap", date(2024, 1, 1), None),
        ("binance-coinm", None, "always"),
        ("gate-usdtm", None, None),
    ],
)
def test_a_day_takes_the_latest_rules_that_are_not_younger(name: str, day: date | None, rules: str | None) -> None:
    found = rulebooks.load(name, day).portfolio
    assert (None if found is None else found.day) == rules


def _spoiled(tmp_path: Path, old: str, new: str) -> list[tuple[int | None, str]]:
    path = tmp_path / "portfolio.toml"
    text = (rulebooks.PACKAGED / "deribit" / "2026-02-15" / "portfolio.toml").read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return [(fault.line, fault.message) for fault in portfolio_faults(path)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('model = "risk_matrix"', 'model = "span"', "model: cannot be 'span'; expected one of risk_matrix"),
        ("ringfence.portfolio/1", "ringfence.rules/1", "schema: expected ringfence.portfolio/1"),
        ('price_range = "0.16"\n', "", "terms.price_range: missing"),
        ('price_range = "0.16"', 'price_range = "wide"', "terms.price_range: expected a decimal string, found 'wide'"),
        ('price_range = "0.16"', 'price_range = "-0.16"', "terms.price_range: expected 0 or more"),
        ('"-0.66"', '"-1"', "terms.extended_moves: a price cannot fall by 100 % or more"),
        ('price_range = "0.16"', 'price_range = "0.16"\npirce_range = "1"', "terms.pirce_range: unknown term; did you"),
        ('spot = "none"', 'spott = "none"', "spott: unknown key spott; did you mean spot"),
        ('price_range = "https', 'elsewhere = "https', "sources.price_range: each term has a source or an assumption"),
        ('coins = ["ETH"]', "coins = []", "group.coins: expected a list of coins"),
        ('name = "free"\n', "", "bands[0]: expected name and permits"),
        ('above = "1"\n', 'above = "one"\n', "expected a decimal string below the band before"),
    ],
)  # fmt: skip
def test_every_kind_of_fault_is_found(tmp_path: Path, old: str, new: str, message: str) -> None:
    found = _spoiled(tmp_path, old, new)
    assert any(message in said for _, said in found), found


def test_a_fault_names_its_line_and_stops_the_loader(tmp_path: Path) -> None:
    ((line, _),) = _spoiled(tmp_path, 'price_range = "0.16"', 'price_range = "wide"')
    lines = (tmp_path / "portfolio.toml").read_text(encoding="utf-8").splitlines()
    assert line is not None
    assert lines[line - 1] == 'price_range = "wide"'
    import tomllib

    data = tomllib.loads((tmp_path / "portfolio.toml").read_text(encoding="utf-8"))
    with pytest.raises(BadRulebook, match="expected a decimal string"):
        read_rules(data, day="2026-02-15", where="portfolio.toml")


def test_a_coin_s_own_terms_stand_over_the_general_ones() -> None:
    rules = rulebooks.load("deribit").portfolio
    assert rules is not None
    eth, btc = rules.terms_of("ETH"), rules.terms_of("BTC")
    assert isinstance(eth, MatrixTerms)
    assert isinstance(btc, MatrixTerms)
    assert (eth.price_range, btc.price_range) == (D("0.18"), D("0.16"))
    assert eth.extended_moves == btc.extended_moves


def test_bands_hold_above_their_end() -> None:
    rules = rulebooks.load("binance-usdm").portfolio
    assert rules is not None
    named = {ratio: rules.band_at(D(ratio)) for ratio in ("9", "1.51", "1.5", "1.21", "1.2", "1.05", "1", "-3")}
    assert {ratio: band.name for ratio, band in named.items() if band is not None} == {
        "9": "free", "1.51": "free", "1.5": "reminder", "1.21": "reminder", "1.2": "reduce-only",
        "1.05": "liquidation", "1": "loss claim", "-3": "loss claim",
    }  # fmt: skip
    assert rules.band_at(None) == Band(D("1.5"), "free", "everything")
