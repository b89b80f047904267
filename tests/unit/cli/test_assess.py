"""``ringfence assess`` and ``ringfence check``."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.numbers import plain
from tests.unit.cli.command import ACCOUNT, LONG, changed, written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.command import Command, Json

D = Decimal

ISOLATED: Json = {
    **ACCOUNT,
    "account": {
        "wallet": {"USDT": "1000"},
        "positions": [{**LONG, "margin_mode": "isolated", "isolated_margin": "1170"}],
    },
}
# A coin-margined long of 100 contracts of 100 USD beside the linear one: two settlement assets.
TWO_ASSETS: Json = {
    **ACCOUNT,
    "account": {
        "wallet": {"USDT": "10000", "BTC": "1"},
        "positions": [LONG, {**LONG, "symbol": "BTCUSD", "quantity": "100"}],
    },
    "contracts": {
        "BTCUSD": {
            "kind": "inverse",
            "contract_size": "100",
            "settle_asset": "BTC",
            "tiers": [{"floor": "0", "maintenance_rate": "0.01"}],
        }
    },
}


def _assessed(ringfence: Command, folder: Path, document: Json, *options: str) -> Json:
    outcome = ringfence("assess", written(folder, document), "--json", *options)
    assert outcome.code == 0, outcome.err
    return outcome.json


# ── The JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_json_names_its_schema_the_rulebook_and_the_day(ringfence: Command, tmp_path: Path) -> None:
    found = _assessed(ringfence, tmp_path, ACCOUNT)
    assert (found["schema"], found["rulebook"], found["as_of"]) == ("ringfence.assess/1", "binance-usdm", "2025-10-10")
    assert list(found) == ["schema", "rulebook", "as_of", "account", "pools", "positions", "orders", "notes"]


def test_a_cross_position_s_figures(ringfence: Command, tmp_path: Path) -> None:
    found = _assessed(ringfence, tmp_path, ACCOUNT)
    position, pool = found["positions"][0], found["pools"][0]
    size, entry, mark, rate, wallet = D("0.1"), D(117000), D(118000), D("0.004"), D(10000)
    assert position["notional"] == plain(size * mark)
    assert position["unrealised_pnl"] == plain(size * (mark - entry))
    assert position["initial_margin"] == plain(size * mark / 10)
    assert position["maintenance_margin"] == position["liquidation_requirement"] == plain(size * mark * rate)
    # 10,000 + 0.1 · (p − 117,000) = 0.1 · p · 0.004
    liquidation = (size * entry - wallet) / (size * (1 - rate))
    assert D(position["liquidation_price"]).quantize(D("1e-12")) == liquidation.quantize(D("1e-12"))
    assert position["liquidation_price_below"] == position["liquidation_price"]
    assert position["liquidation_price_above"] is None
    assert position["bankruptcy_price"] == plain((size * entry - wallet) / size)
    assert (position["tier"], position["maintenance_rate"], position["deduction"]) == (1, "0.004", "0")
    assert (position["pool"], position["margin_mode"], position["leverage"]) == ("cross USDT", "cross", "10")
    assert pool["margin_balance"] == plain(wallet + size * (mark - entry))
    assert D(pool["health"]).quantize(D("1e-6")) == ((wallet + size * (mark - entry)) / (size * mark * rate)).quantize(
        D("1e-6")
    )
    assert (pool["gross_exposure"], pool["net_exposure"]) == (plain(size * mark), plain(size * mark))


def test_the_account_adds_its_pools_up_and_is_as_healthy_as_its_worst(ringfence: Command, tmp_path: Path) -> None:
    found = _assessed(ringfence, tmp_path, ISOLATED)
    isolated, idle = found["pools"]
    account = found["account"]
    assert [isolated["mode"], idle["mode"]] == ["isolated", "cross"]
    assert account["margin_balance"] == plain(D(1170) + D("0.1") * 1000 + D(1000))
    assert account["available_balance"] == "1000"
    assert (account["health"], account["worst_pool"]) == (isolated["health"], "isolated BTCUSDT long")
    assert (account["status"], account["liquidatable"]) == ("healthy", False)


def test_an_account_of_two_settlement_assets_has_totals_per_asset_and_none_over_both(
    ringfence: Command, tmp_path: Path
) -> None:
    account = _assessed(ringfence, tmp_path, TWO_ASSETS)["account"]
    assert account["margin_balance"] is None
    balances = {entry["asset"]: entry["margin_balance"] for entry in account["assets"]}
    assert balances["USDT"] == plain(D(10000) + D("0.1") * 1000)
    assert D(balances["BTC"]).quantize(D("1e-12")) == (1 + D(10000) / 117000 - D(10000) / 118000).quantize(D("1e-12"))


def test_every_number_is_a_string_and_what_is_not_known_is_null(ringfence: Command, tmp_path: Path) -> None:
    found = _assessed(ringfence, tmp_path, changed("account.wallet.USDT", None))
    position = found["positions"][0]
    assert position["liquidation_price"] is None
    assert position["health"] is None
    assert found["account"]["status"] is None
    text = json.dumps(found)
    assert not any(isinstance(value, float) for value in json.loads(text, parse_float=float)["positions"][0].values())


def test_an_order_s_figures(ringfence: Command, tmp_path: Path) -> None:
    order = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.2", "price": "110000", "leverage": "10"}
    document = changed("account.orders", [order])
    found = _assessed(ringfence, tmp_path, document)
    shown = found["orders"][0]
    assert (shown["symbol"], shown["side"], shown["pool"]) == ("BTCUSDT", "buy", "cross USDT")
    assert shown["notional"] == plain(D("0.2") * 110000)
    assert shown["initial_margin"] == plain(D("0.2") * 110000 / 10)
    assert found["account"]["order_margin"] == shown["order_cost"]


# ── Marks and days ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mark_overrides_that_of_the_file(ringfence: Command, tmp_path: Path) -> None:
    found = _assessed(ringfence, tmp_path, ACCOUNT, "--mark", "BTCUSDT=100000")
    assert found["positions"][0]["unrealised_pnl"] == plain(D("0.1") * (100000 - 117000))


def test_the_day_of_the_option_goes_before_that_of_the_file(ringfence: Command, tmp_path: Path) -> None:
    found = _assessed(ringfence, tmp_path, ACCOUNT, "--as-of", "2021-03-18")
    assert found["as_of"] == "2021-03-18"
    assert any("tables of 2021-03-18" in note for note in found["notes"])


def test_without_a_day_the_latest_table_holds(ringfence: Command, tmp_path: Path) -> None:
    found = _assessed(ringfence, tmp_path, changed("as_of", None))
    assert found["as_of"] is None
    assert "binance-usdm tables of 2026-09-29: BTCUSDT" in found["notes"]


def test_an_account_is_read_from_standard_input(
    ringfence: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(ACCOUNT).encode())))
    assert ringfence("assess", "-", "--json").json == _assessed(ringfence, tmp_path, ACCOUNT)


def test_a_toml_file_gives_what_the_json_file_gives(ringfence: Command, tmp_path: Path) -> None:
    toml = """
        rulebook = "binance-usdm"
        as_of = 2025-10-10
        [account]
        wallet = {USDT = "10000"}
        [[account.positions]]
        symbol = "BTCUSDT"
        side = "long"
        quantity = "0.1"
        entry_price = "117000"
        mark_price = "118000"
        leverage = "10"
    """
    found = ringfence("assess", written(tmp_path, toml, "account.toml"), "--json").json
    assert found == _assessed(ringfence, tmp_path, ACCOUNT)


# ── Notes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_notes_say_what_was_assumed_and_which_tables_were_read(ringfence: Command, tmp_path: Path) -> None:
    notes = _assessed(ringfence, tmp_path, changed("account.positions.0.mark_price", None))["notes"]
    assert "no mark was given for BTCUSDT: its entry price stands in" in notes
    assert "the price step of BTCUSDT is not known: prices come unrounded" in notes
    assert "binance-usdm tables of 2025-10-10: BTCUSDT" in notes
    assert any(note.startswith("levels as health: warning 1.5, margin call 1.25") for note in notes)


def test_the_notes_tell_the_conventions_and_assumptions_of_portfolio_margin(ringfence: Command, tmp_path: Path) -> None:
    account = {**ACCOUNT["account"], "collateral_mode": "portfolio", "index": {"BTC": "117000", "ETH": "4000"}}
    notes = ringfence("assess", written(tmp_path, {**ACCOUNT, "account": account}), "--json").json["notes"]
    assert any(note.startswith("portfolio margin: a liquidation price moves the whole risk unit") for note in notes)
    assert any(note.startswith("ours, not the venue's: initial margin:") for note in notes)


def test_the_notes_tell_a_partial_table_and_a_rulebook_s_own_levels(ringfence: Command, tmp_path: Path) -> None:
    document = {**ACCOUNT, "rulebook": "gate-usdtm", "as_of": "2026-01-01"}
    document["account"] = {"wallet": {"USDT": "1000"}, "positions": [{**LONG, "symbol": "BTC_USDT", "quantity": "10"}]}
    notes = _assessed(ringfence, tmp_path, document)["notes"]
    assert "levels as health: warning 1.5, margin call 1.25 (ringfence's own)" in notes
    assert any(note.startswith("the table of BTC_USDT is partial: ") for note in notes)


def test_the_notes_tell_a_fee_that_belongs_into_the_requirement_and_is_not_known(
    ringfence: Command, tmp_path: Path
) -> None:
    document = {**ACCOUNT, "rulebook": "bybit-uta", "as_of": "2025-12-29"}
    told = "the fee to close BTCUSDT belongs into the requirement and its rate is not known"
    assert any(note.startswith(told) for note in _assessed(ringfence, tmp_path, document)["notes"])
    known = {**document, "account": {**document["account"], "fees": {"taker": "0.00055"}}}
    assert not any(note.startswith(told) for note in _assessed(ringfence, tmp_path, known)["notes"])
    assert not any(note.startswith(told) for note in _assessed(ringfence, tmp_path, ACCOUNT)["notes"])


def test_the_notes_tell_that_a_debt_counts_without_a_buffer(ringfence: Command, tmp_path: Path) -> None:
    account = {**ACCOUNT["account"], "collateral_mode": "multi_asset", "wallet": {"USDT": "10000", "BTC": "-0.01"},
               "collateral": {"BTC": {"index": "60000"}}}  # fmt: skip
    notes = _assessed(ringfence, tmp_path, {**ACCOUNT, "account": account})["notes"]
    assert any(note.startswith("what is owed in BTC counts at its index") for note in notes)


def test_the_notes_tell_terms_that_the_file_brings_along(ringfence: Command, tmp_path: Path) -> None:
    assert "the account file brings the terms of BTCUSD" in _assessed(ringfence, tmp_path, TWO_ASSETS)["notes"]


# ── On the terminal ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_tables_show_health_and_prices_for_people(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("assess", written(tmp_path, ACCOUNT))
    assert outcome.code == 0
    assert "Binance USDⓈ-M futures" in outcome.out
    assert "10,100.00" in outcome.out  # 10,000 + 0.1 · 1,000
    assert "213.98" in outcome.out  # 10,100 ÷ 47.2, rounded down
    assert "118,000" in outcome.out
    assert "healthy" in outcome.out


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_of_the_tables_is_wider_than_the_screen_and_no_digit_is_cut(
    width: int, ringfence: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    short = {**LONG, "symbol": "1000000MOGUSDT", "side": "short", "quantity": "20000", "entry_price": "1.234567"}
    document = changed("account.positions", [LONG, {**short, "mark_price": "1.2345"}])
    out = ringfence("assess", written(tmp_path, document)).out
    tables = out[out.index("Pools") :]
    assert max(len(line) for line in tables.splitlines()) <= width
    assert "…" not in tables
    assert "1.234567" in tables
    assert "1000000MOGUSDT" in tables


def test_a_pool_that_is_liquidated_says_so(ringfence: Command, tmp_path: Path) -> None:
    out = ringfence("assess", written(tmp_path, ISOLATED), "--mark", "BTCUSDT=105000").out
    assert "LIQUIDATABLE" in out


def test_an_empty_account_holds_nothing(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("assess", written(tmp_path, {"rulebook": "binance-usdm", "account": {}}))
    assert outcome.code == 0
    assert "The account holds nothing." in outcome.out


# ── check ────────────────────────────────────────────────────────────────────────────────────────────────────────

# Margin 1,170 on 0.1 BTC from 117,000: equity 0.1 · mark − 10,530, required 0.1 · mark · 0.004.


def _mark_at(health: str) -> str:
    """The mark at which the isolated position's health is ``health``: (0.1·m − 10,530) ÷ (0.0004·m)."""
    return plain((D(10530) / (D("0.1") - D(health) * D("0.0004"))).quantize(D("1e-9")))


@pytest.mark.parametrize(
    ("health", "code", "word"),
    [
        ("1.51", 0, "healthy"),
        ("1.49", 10, "warning"),
        ("1.26", 10, "warning"),
        ("1.24", 11, "margin call"),
        ("1.01", 11, "margin call"),
        ("0.99", 12, "liquidatable"),
        ("-1", 12, "liquidatable"),
    ],
)
def test_check_answers_by_exit_code(health: str, code: int, word: str, ringfence: Command, tmp_path: Path) -> None:
    path = written(tmp_path, ISOLATED)
    outcome = ringfence("check", path, "--mark", f"BTCUSDT={_mark_at(health)}")
    assert outcome.code == code
    assert outcome.out.startswith(f"{word}: isolated BTCUSDT long, health ")
    assert len(outcome.out.splitlines()) == 1


def test_check_prints_the_same_as_json(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("check", written(tmp_path, ISOLATED), "--mark", f"BTCUSDT={_mark_at('1.2')}", "--json")
    assert outcome.code == 11
    assert outcome.json["schema"] == "ringfence.check/1"
    assert (outcome.json["status"], outcome.json["exit_code"]) == ("margin_call", 11)
    assert outcome.json["levels"]["margin_call"] == "1.25"
    assert D(outcome.json["health"]).quantize(D("1e-6")) == D("1.2")


def test_check_of_an_account_without_positions_is_healthy(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("check", written(tmp_path, {"rulebook": "binance-usdm", "account": {"wallet": {"USDT": "1"}}}))
    assert (outcome.code, outcome.out) == (0, "healthy: no positions, no orders\n")


def test_check_refuses_to_guess_when_the_balance_is_not_known(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("check", written(tmp_path, changed("account.wallet.USDT", None)))
    assert outcome.code == 3
    assert "how the account stands cannot be known" in outcome.err
    assert "found: cross USDT" in outcome.err
