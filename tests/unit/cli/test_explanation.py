"""``ringfence assess --explain``: every figure with its formula, its numbers, its table and its source."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.unit.cli.command import ACCOUNT, LONG, changed, written

if TYPE_CHECKING:
    from tests.unit.cli.command import Command

FILES = sorted((Path(__file__).parents[2] / "answers" / "cases").glob("*.json"))
CASES: list[dict[str, Any]] = [case for path in FILES for case in json.loads(path.read_text(encoding="utf-8"))]
ACCOUNTS = [case for case in CASES if "account" in case]
Steps = dict[str, str]


def _steps(ringfence: Command, folder: Path, document: object) -> list[Steps]:
    outcome = ringfence("assess", written(folder, document), "--json", "--explain")
    assert outcome.code == 0, outcome.err
    return [{step["of"]: step["how"] for step in entry["steps"]} for entry in outcome.json["explanation"]]


def test_each_figure_is_told_with_its_formula_and_the_numbers_put_in(ringfence: Command, tmp_path: Path) -> None:
    steps = _steps(ringfence, tmp_path, ACCOUNT)[0]
    assert steps["notional"] == "quantity × mark = 0.1 × 118,000 = 11,800 USDT"
    assert steps["unrealised PnL"] == "quantity × (mark − entry) = 0.1 × (118,000 − 117,000) = 100 USDT"
    assert steps["initial margin"] == "value at the mark ÷ leverage = 11,800 ÷ 10 = 1,180 USDT"
    assert steps["tier"].startswith("1 of 12 (0 to 300,000 USDT) by 11,800: rate 0.004, deduction 0")
    assert steps[""].startswith("binance-usdm tables of 2025-10-10; freqtrade==")
    assert steps["maintenance margin"] == "value at the mark × rate − deduction = 11,800 × 0.004 − 0 = 47.2 USDT"
    assert steps["equation"] == "10,000 + 0.1 · price − 11,700 = 0.1 · price · 0.004 − 0"


def test_the_equation_takes_the_tier_in_which_its_root_lies(ringfence: Command, tmp_path: Path) -> None:
    # 10 BTC: tier 3 at the mark, and at a price near 0.3 of it in tier 2: rate 0.005, deduction 300.
    document = changed("account.positions", [{**LONG, "quantity": "10", "leverage": "10"}])
    document["account"]["wallet"]["USDT"] = "600000"
    steps = _steps(ringfence, tmp_path, document)[0]
    assert steps["tier"].startswith("3 of 12")
    assert steps["equation"] == "600,000 + 10 · price − 1,170,000 = 10 · price · 0.005 − 300, in tier 2"
    # price = (570,000 − 300) ÷ (10 · 0.995)
    assert steps["liquidation price"].startswith("57,256.28141 (not rounded)")


def test_a_short_an_inverse_contract_and_a_fee_have_their_own_formulas(ringfence: Command, tmp_path: Path) -> None:
    terms = {"kind": "inverse", "contract_size": "100", "settle_asset": "BTC", "taker_fee_rate": "0.0005"}
    tiers = [{"floor": "0", "maintenance_rate": "0.01"}]
    position = {**LONG, "symbol": "X", "side": "short", "quantity": "40", "entry_price": "20000", "mark_price": "25000"}
    document = {
        "rulebook": "bingx-coinm",
        "account": {"wallet": {"BTC": "1"}, "positions": [position]},
        "contracts": {"X": {**terms, "tiers": tiers}},
    }
    steps = _steps(ringfence, tmp_path, document)[0]
    assert steps["notional"] == "contracts × contract size ÷ mark = 40 × 100 ÷ 25,000 = 0.16 BTC"
    assert steps["unrealised PnL"].endswith("(1 ÷ 25,000 − 1 ÷ 20,000) = -0.04 BTC")
    assert steps["closing fee"].endswith("at 0.0005: 0.00008 BTC")
    assert steps["requirement"] == "maintenance + closing fee = 0.0016 + 0.00008 = 0.00168 BTC"
    assert steps["equation"].endswith("v = 100 ÷ price")


def test_the_terminal_shows_the_steps_the_rules_in_words_and_the_sources(ringfence: Command, tmp_path: Path) -> None:
    out = ringfence("assess", written(tmp_path, ACCOUNT), "--explain").out
    assert "BTCUSDT long · cross USDT" in out
    assert "Rules of binance-usdm for cross USDT" in out
    assert "trigger = at_or_below" in out
    assert "liquidated when the balance is at or below the requirement" in out
    assert "b3c689c1f50a44cabb3a84e663b81d93" in out


def test_every_published_account_can_be_explained_and_its_balance_meets_the_requirement_at_its_price(
    ringfence: Command, tmp_path: Path
) -> None:
    checked = 0
    for case in ACCOUNTS:
        document = {key: value for key, value in case.items() if key != "expect"}
        outcome = ringfence("assess", written(tmp_path, document), "--json", "--explain")
        assert outcome.code == 0, outcome.err
        for entry in outcome.json["explanation"]:
            steps = {step["of"]: step["how"] for step in entry["steps"]}
            if "check" in steps and "(not rounded)" in steps["liquidation price"]:
                balance, required = _both(steps["check"])
                assert abs(balance - required) <= abs(required) * Decimal("1e-6"), (case["id"], steps)
                checked += 1
    assert checked > 30


def _both(text: str) -> list[Decimal]:
    """The balance and the requirement that a check names."""
    found = re.findall(r"(?:balance is|requirement) (-?[\d,.]+)", text)
    return [Decimal(number.replace(",", "").rstrip(".")) for number in found]
