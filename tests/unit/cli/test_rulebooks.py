"""``ringfence rulebooks list | show | check | diff | update``."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ringfence import rulebooks
from ringfence.watch import tables
from ringfence.watch.changes import Change

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.command import Command

OLD, NEW = "2024-08-05", "2025-10-10"


def test_the_list_names_every_rulebook_with_its_days_symbols_and_coverage(ringfence: Command) -> None:
    listed = {entry["name"]: entry for entry in ringfence("rulebooks", "list", "--json").json["rulebooks"]}
    assert tuple(listed) == rulebooks.names()
    binance = {table["day"]: (table["symbols"], table["coverage"]) for table in listed["binance-usdm"]["tables"]}
    assert binance["2026-09-29"] == (907, "complete")
    assert binance["2021-03-18"] == (1, "partial")
    assert listed["bitget-usdtm"]["rules"] == ["always", "2025-09-29"]
    shown = ringfence("rulebooks", "list").out
    assert "Binance USDⓈ-M futures" in shown
    assert "907" in shown


def test_show_tells_the_policies_in_words_with_levels_liquidation_and_sources(ringfence: Command) -> None:
    out = ringfence("rulebooks", "show", "bybit-uta", "--as-of", "2026-01-01").out
    assert "initial_margin_at = mark" in out
    assert "initial margin is taken on the value at the mark" in out
    assert "Policies in isolated margin" in out
    assert "initial_margin_at = entry" in out
    assert "warning 1.5, margin call 1.25, liquidated at 1" in out
    assert "take_over" in out
    assert "the rest is taken over at the bankruptcy price" in out
    assert "https://www.bybit.com/" in out


def test_show_follows_the_day(ringfence: Command) -> None:
    before = ringfence("rulebooks", "show", "bitget-usdtm", "--as-of", "2025-09-28", "--json").json
    after = ringfence("rulebooks", "show", "bitget-usdtm", "--as-of", "2025-09-29", "--json").json
    assert before["policies"]["cross"]["initial_margin_at"] == "entry"
    assert after["policies"]["cross"]["initial_margin_at"] == "mark"
    assert (before["schema"], before["as_of"]) == ("ringfence.rulebook/1", "2025-09-28")


def test_show_of_a_symbol_tells_its_terms_its_tiers_and_which_day_s_table_it_is(ringfence: Command) -> None:
    found = ringfence("rulebooks", "show", "binance-usdm", "BTCUSDT", "--as-of", NEW, "--json").json
    assert found["table"] == f"binance-usdm tables of {NEW}"
    assert found["contract"]["kind"] == "linear"
    assert found["contract"]["price_step"] is None
    assert found["tiers"][1] == {
        "floor": "300000", "maintenance_rate": "0.005", "deduction": "300", "max_leverage": "100", "cap": "800000",
    }  # fmt: skip
    out = ringfence("rulebooks", "show", "binance-usdm", "BTCUSDT", "--as-of", NEW).out
    assert f"binance-usdm tables of {NEW}" in out
    assert "not known" in out
    assert "300,000" in out
    assert "0.4 %" in out


def test_show_of_a_contract_without_tiers_says_so(ringfence: Command) -> None:
    assert "no tiers are known" in ringfence("rulebooks", "show", "binance-coinm", "ETHUSD_PERP").out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("binance-usd",), "did you mean binance-usdm"), (("binance-usdm", "BTCUSD"), "did you mean BTCUSDT")],
)
def test_show_of_what_there_is_not_suggests_the_nearest(
    arguments: tuple[str, ...], hint: str, ringfence: Command
) -> None:
    outcome = ringfence("rulebooks", "show", *arguments)
    assert outcome.code == 3
    assert hint in outcome.err


# ── check ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_packaged_rulebook_passes_the_check(ringfence: Command) -> None:
    outcome = ringfence("rulebooks", "check")
    assert outcome.code == 0, outcome.out
    assert outcome.out == f"{len(rulebooks.names())} rulebooks checked: no faults\n"


def test_all_faults_are_told_at_once_with_file_and_line_and_end_with_3(
    ringfence: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "binance-usdm" / "2030-01-01"
    shutil.copytree(rulebooks.PACKAGED / "binance-usdm" / "2021-03-18", folder)
    tiers = (folder / "tiers.csv").read_text(encoding="utf-8").splitlines()
    tiers[2] = tiers[2].replace(",0.005,", ",0.5,")
    tiers[4] = tiers[4].replace(",16300,", ",16299,")
    (folder / "tiers.csv").write_text("\n".join(tiers) + "\n", encoding="utf-8")
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    outcome = ringfence("rulebooks", "check", "binance-usdm")
    assert outcome.code == 3
    assert f"{folder / 'tiers.csv'}:3: BTCUSDT tier 2" in outcome.out
    assert f"{folder / 'tiers.csv'}:5: BTCUSDT tier 4 deduction: 16299 leaves a jump" in outcome.out
    listed = ringfence("rulebooks", "check", "binance-usdm", "--json").json["faults"]
    assert {(fault["rulebook"], fault["line"]) for fault in listed} >= {("binance-usdm", 3), ("binance-usdm", 5)}
    assert outcome.out.endswith(f"1 rulebook checked: {len(listed)} faults\n")


# ── diff and update ──────────────────────────────────────────────────────────────────────────────────────────────


def test_diff_tells_what_changed_in_contracts_and_tiers(ringfence: Command) -> None:
    found = ringfence("rulebooks", "diff", "binance-usdm", OLD, NEW, "--json").json
    assert found["tables"] == [OLD, NEW]
    assert found["policies"] == []
    assert {
        "table": "tiers", "kind": "changed", "symbol": "ZRXUSDT", "tier": 8, "field": "max_leverage",
        "old": "1", "new": "3",
    } in found["changes"]  # fmt: skip
    assert "ZRXUSDT tier 8 max_leverage: 1 → 3" in ringfence("rulebooks", "diff", "binance-usdm", OLD, NEW).out


def test_diff_tells_what_changed_in_the_policies(ringfence: Command) -> None:
    out = ringfence("rulebooks", "diff", "bitget-usdtm", "2025-09-28", "2025-09-29").out
    assert "all initial_margin_at: entry → mark" in out
    assert "cross maintenance_at: frozen_mark → mark" in out


def test_diff_does_not_call_gone_what_a_partial_table_only_lacks(ringfence: Command) -> None:
    changes = ringfence("rulebooks", "diff", "bybit-linear", "2024-12-25", "2025-12-29", "--json").json["changes"]
    assert {change["symbol"] for change in changes if change["kind"] == "removed" and change["tier"] is None} == set()


def test_diff_tells_what_changed_in_the_fees(ringfence: Command) -> None:
    asked = ("rulebooks", "diff", "binance-usdm", "2025-12-09", "2025-12-10")
    assert "fees, level VIP 3 USDC taker: 0.000176 → 0.000256" in ringfence(*asked).out
    changes = ringfence(*asked, "--json").json["fees"]
    assert {"what": "level VIP 3 USDC", "field": "taker", "old": "0.000176", "new": "0.000256"} in changes
    assert {change["field"] for change in changes} == {"taker"}
    assert {change["what"].split()[-1] for change in changes} == {"USDC"}
    out = ringfence("rulebooks", "diff", "bingx-usdtm", "2026-06-24", "2026-06-25").out
    assert "fees, voucher trial_fund pays: not there → losses funding" in out


def test_show_prints_levels_discounts_and_vouchers(ringfence: Command) -> None:
    kraken = ringfence("rulebooks", "show", "kraken-futures").out
    assert "volume of 100,000 USD in 30 days" in kraken
    assert "10 % off the maker fee" in ringfence("rulebooks", "show", "binance-usdm").out
    assert "in all no more than its share of the net loss" in " ".join(
        ringfence("rulebooks", "show", "bingx-usdtm").out.split()
    )
    fees = ringfence("rulebooks", "show", "hyperliquid", "--json").json["fees"]
    assert fees["source"] == "hyperliquid fees of 2025-05-05"
    assert [row["taker"] for row in fees["levels"]][:2] == ["0.00045", "0.0004"]
    assert {row["group"] for row in fees["discounts"]} == {"staking", "referral"}


def test_diff_of_one_day_with_itself_is_nothing(ringfence: Command) -> None:
    assert ringfence("rulebooks", "diff", "binance-usdm", NEW, NEW).out == "nothing changed\n"


def test_diff_refuses_what_is_no_day(ringfence: Command) -> None:
    outcome = ringfence("rulebooks", "diff", "binance-usdm", "soon", NEW)
    assert outcome.code == 3
    assert "DAY: not a day" in outcome.err


def test_update_writes_to_the_user_s_rulebooks_and_tells_what_changed(
    ringfence: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def update(venue: str, destination: Path, **options: Any) -> tables.Update:
        asked.append((venue, destination, options["keys"], options["today"]))
        options["progress"]("reading the contracts")
        change = Change("tiers", "changed", "BTCUSDT", 1, "max_leverage", "125", "150")
        folder = destination / venue / "2026-11-01"
        previous = destination / venue / NEW
        return tables.Update(venue, folder, options["today"], 3, 12, "partial", previous, (change,), ("a note",))

    monkeypatch.setattr(tables, "update_tables", update)
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    outcome = ringfence("rulebooks", "update", "bybit-linear", "--key", "env:KEY")
    assert outcome.code == 0
    assert asked == [("bybit-linear", tmp_path, "env:KEY", datetime.now(UTC).date())]
    assert "3 contracts, 12 tiers (partial)" in outcome.out
    assert f"1 changes since the tables of {NEW}" in outcome.out
    assert "BTCUSDT tier 1 max_leverage: 125 → 150" in outcome.out
    assert "reading the contracts" in outcome.err
    assert "a note" in outcome.err
    as_json = ringfence("rulebooks", "update", "bybit-linear", "--json", "--out", tmp_path / "other").json
    assert as_json["folder"] == str(tmp_path / "other" / "bybit-linear" / "2026-11-01")
    assert as_json["changes"][0]["new"] == "150"


def test_update_of_an_unknown_venue_suggests_the_nearest(ringfence: Command) -> None:
    outcome = ringfence("rulebooks", "update", "bybit-liner")
    assert outcome.code == 3
    assert "did you mean bybit-linear" in outcome.err


def test_show_says_which_architectures_there_are_and_how_collateral_counts(ringfence: Command) -> None:
    shown = ringfence("rulebooks", "show", "bybit-uta", "--json").json
    assert shown["architectures"]["multi_asset"] == {"offered": True, "reason": ""}
    assert shown["collateral"]["BTC"]["tiers"][0] == {"floor": "0", "cap": "10", "ratio": "0.98"}
    assert shown["auto_exchange"]["order_of_sale"] == "largest_value"
    out = ringfence("rulebooks", "show", "bybit-linear").out
    assert "not offered: the classic account margins each asset on its own" in " ".join(out.split())
    assert "98.00 % up to 10" in " ".join(ringfence("rulebooks", "show", "bybit-uta").out.split())
