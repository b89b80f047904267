"""The check of a rulebook's files: each kind of fault is found, on its line, and all of them at once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ringfence import rulebooks
from ringfence.errors import BadRulebook
from ringfence.rulebooks.check import check, check_rules, check_tables

if TYPE_CHECKING:
    from pathlib import Path

RULES = """schema = "ringfence.rules/1"
title = "A venue"

[policies]
maintenance_at = "mark"
tier_type = "progressive"

[policies.isolated]
initial_margin_at = "entry"

[variants."account=unified"]
initial_margin_fee = "value"

[levels]
warning = "1.6"
margin_call = "1.2"
source = "ours"

[liquidation]
sequence = ["cancel_orders", "take_over"]
note = "A note."
stop_at_health = "1.1"

[refusals]
leverage_above_tier = "no"

[sources]
policies = "a page"
"""
CONTRACTS = """symbol,kind,contract_size,settle_asset,price_step,quantity_step,minimum_quantity,minimum_notional,\
maker_fee_rate,taker_fee_rate,liquidation_fee_rate,tier_unit,coverage
AAA,linear,1,USDT,0.1,0.001,0.001,5,-0.0001,0.0005,0.01,notional,complete
BBB,inverse,100,BTC,,,,,,,,notional,partial
"""
# 1,000 · (2 % − 1 %) = 10, and 10 + 5,000 · (5 % − 2 %) = 160
TIERS = """symbol,tier,floor,cap,maintenance_rate,deduction,max_leverage
AAA,1,0,1000,0.01,0,50
AAA,2,1000,5000,0.02,10,25
AAA,3,5000,,0.05,160,10
"""
HAIRCUTS = """asset,tier,floor,cap,collateral_ratio,unit
BTC,1,0,10,0.98,base
BTC,2,10,,0.95,base
"""
CAPS = """symbol,lower_cap,upper_cap
AAA,1000,2000
BBB,,
"""
SOURCES = """[tables]
coverage = "partial"
sentence = "Two symbols."

[[source]]
file = "contracts.csv"
covers = "all"
origin = "a page"
as_of = "2025-01-01"
confidence = "high"

[[source]]
file = "tiers.csv"
covers = "AAA"
origin = "a page"
as_of = "2025-01-01"
confidence = "high"
note = "A note."
"""
MORE_SOURCES = SOURCES + "".join(
    f'\n[[source]]\nfile = "{file}"\ncovers = "all"\norigin = "a page"\nas_of = "2025-01-01"\nconfidence = "low"\n'
    for file in ("haircuts.csv", "open_interest_caps.csv", "market_orders.csv")
)
FILES = {
    "contracts.csv": CONTRACTS,
    "tiers.csv": TIERS,
    "haircuts.csv": HAIRCUTS,
    "open_interest_caps.csv": CAPS,
    "market_orders.csv": "symbol,take_bound\nAAA,0.05\n",
    "SOURCES.toml": MORE_SOURCES,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dated folder whose tables hold together."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def _faults(folder: Path, *, progressive: bool = True) -> list[tuple[str, int | None, str]]:
    return [(fault.file.name, fault.line, fault.message) for fault in check_tables(folder, progressive=progressive)]


def _spoil(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")


def test_tables_that_hold_together_have_no_faults(folder: Path) -> None:
    assert _faults(folder) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "message"),
    [
        (
            "contracts.csv",
            "AAA,linear,",
            "AAA,linar,",
            2,
            "AAA kind: expected linear or inverse or quanto, found 'linar'",
        ),
        ("contracts.csv", "linear,1,", "linear,0,", 2, "AAA contract_size: expected a number above 0, found '0'"),
        ("contracts.csv", ",0.1,", ",-0.1,", 2, "AAA price_step: expected a number above 0, found '-0.1'"),
        ("contracts.csv", ",0.1,", ",1e,", 2, "AAA price_step: expected a number above 0, found '1e'"),
        (
            "contracts.csv",
            ",0.0005,",
            ",NaN,",
            2,
            "AAA taker_fee_rate: expected a fraction between -1 and 1, found 'NaN'",
        ),
        ("contracts.csv", "1,USDT", "1,", 2, "AAA settle_asset: empty"),
        (
            "contracts.csv",
            "notional,complete",
            "base_coin,complete",
            2,
            "AAA tier_unit: expected notional or contracts",
        ),
        ("contracts.csv", "notional,partial", "notional,whole", 3, "BBB coverage: expected complete or partial"),
        ("contracts.csv", "notional,partial", "notional,complete", 3, "BBB coverage: complete, but it has no tiers"),
        ("contracts.csv", "BBB,", "AAA,", 3, "AAA is there twice"),
        ("contracts.csv", "BBB,", "A,", 3, "A stands after AAA: expected symbols in order"),
        ("contracts.csv", ",partial", "", 3, "expected 13 cells, found 12"),
        ("contracts.csv", "symbol,kind", "symbol,type", 1, "expected the columns symbol,kind,"),
        (
            "tiers.csv",
            "AAA,2,1000,",
            "AAA,2,2000,",
            3,
            "AAA tier 2 floor: a gap after tier 1; expected 1000, found 2000",
        ),
        (
            "tiers.csv",
            "AAA,2,1000,",
            "AAA,2,500,",
            3,
            "AAA tier 2 floor: an overlap with tier 1; expected 1000, found 500",
        ),
        ("tiers.csv", "AAA,1,0,", "AAA,1,5,", 2, "AAA tier 1 floor: expected 0, found 5"),
        ("tiers.csv", "AAA,1,0,1000", "AAA,1,0,", 2, "AAA tier 1 cap: empty, but tier 2 follows"),
        ("tiers.csv", "AAA,3,", "AAA,4,", 4, "AAA tier 4: expected tier 3"),
        ("tiers.csv", ",0.05,", ",0.015,", 4, "AAA tier 3 maintenance_rate: 0.015 falls below 0.02 of the tier before"),
        ("tiers.csv", ",160,10", ",160,30", 4, "AAA tier 3: rate 0.05 is more than the initial margin at 30x"),
        (
            "tiers.csv",
            ",0.05,160,10",
            ",0.02,10,26",
            4,
            "AAA tier 3 max_leverage: 26 rises above 25 of the tier before",
        ),
        (
            "tiers.csv",
            ",160,",
            ",159,",
            4,
            "AAA tier 3 deduction: 159 leaves a jump in the maintenance margin; expected 160",
        ),
        ("tiers.csv", ",0.01,0,", ",0.01,1,", 2, "AAA tier 1 deduction: expected 0, found 1"),
        ("tiers.csv", ",160,", ",,", 4, "AAA tier 3 deduction: empty, on a venue of progressive tiers"),
        ("tiers.csv", ",0.02,", ",1.02,", 3, "AAA tier 2 maintenance_rate: expected a fraction above 0 and at most 1"),
        (
            "tiers.csv",
            "AAA,3,5000,,",
            "AAA,3,5000,4000,",
            4,
            "AAA tier 3 cap: expected above the floor 5000, found 4000",
        ),
        ("haircuts.csv", ",0.95,", ",1.95,", 3, "BTC tier 2 collateral_ratio: expected a fraction from 0 to 1"),
        ("haircuts.csv", "BTC,2,10,", "BTC,2,11,", 3, "BTC tier 2 floor: expected 10"),
        ("haircuts.csv", "0.98,base", "0.98,coin", 2, "BTC tier 1 unit: expected base or usd"),
        ("haircuts.csv", "0.98,base", "0.98,usd", 3, "BTC tier 2 unit: expected usd, like the tier before"),
        ("haircuts.csv", "BTC,1,0,", "BTC,1,1,", 2, "BTC tier 1 floor: expected 0, found 1"),
        ("haircuts.csv", "BTC,2,10,,", "BTC,2,10,10,", 3, "BTC tier 2 cap: expected above 10"),
        ("haircuts.csv", ",0.95,", ",0.99,", 3, "BTC tier 2 collateral_ratio: expected at most 0.98"),
        (
            "haircuts.csv",
            "0.95,base",
            "0.95,base\nETH,1,0,,1,base\nBTC,1,0,,1,base",
            5,
            "BTC: its tiers do not stand together",
        ),
        ("open_interest_caps.csv", "1000,2000", "2000,1000", 2, "AAA: expected 0 ≤ lower_cap ≤ upper_cap"),
        ("market_orders.csv", "0.05", "5", 2, "AAA take_bound: expected a fraction above 0 and at most 1"),
        ("market_orders.csv", "0.05", "", 2, "AAA take_bound: expected a fraction above 0 and at most 1"),
        ("SOURCES.toml", '"partial"', '"some"', 2, "tables.coverage: expected complete or partial"),
        ("SOURCES.toml", 'origin = "a page"\n', "", 5, "source of 'contracts.csv': origin is missing"),
        ("SOURCES.toml", '"tiers.csv"', '"tier.csv"', 12, "source of 'tier.csv', which is not in the folder"),
        ("SOURCES.toml", 'confidence = "high"', 'confidence = "sure"', 5, "confidence: expected high, medium or low"),
        ("SOURCES.toml", "note =", "remark =", 12, "unknown key remark"),
        ("SOURCES.toml", "[tables]", "[tables", 1, "not valid TOML"),
    ],
)
def test_each_kind_of_fault_in_a_table_is_found_on_its_line(
    file: str, old: str, new: str, line: int, message: str, folder: Path
) -> None:
    _spoil(folder, file, old, new)
    found = _faults(folder)
    assert [fault for fault in found if fault[:2] == (file, line) and fault[2].startswith(message)], found


def test_a_deduction_may_be_published_rounded_to_a_hundredth(folder: Path) -> None:
    _spoil(folder, "tiers.csv", ",160,", ",160.01,")
    assert _faults(folder) == []
    _spoil(folder, "tiers.csv", ",160.01,", ",160.011,")
    assert len(_faults(folder)) == 1


def test_a_venue_of_step_tiers_has_no_deductions(folder: Path) -> None:
    faults = _faults(folder, progressive=False)
    assert [(file, line) for file, line, _ in faults] == [("tiers.csv", 3), ("tiers.csv", 4)]
    assert faults[0][2] == "AAA tier 2 deduction: a venue of step tiers has none"


def test_tiers_without_a_contract_and_tiers_that_do_not_stand_together_are_faults(folder: Path) -> None:
    path = folder / "tiers.csv"
    path.write_text(TIERS + "CCC,1,0,,0.01,0,50\nAAA,4,9000,,0.06,250,5\n", encoding="utf-8")
    messages = [message for _, _, message in _faults(folder)]
    assert messages == [
        "CCC has tiers but no contract in contracts.csv",
        "AAA: its tiers do not stand together",
    ]


def test_a_table_without_a_source_and_an_unknown_file_are_faults(folder: Path) -> None:
    (folder / "SOURCES.toml").write_text(SOURCES, encoding="utf-8")
    (folder / "notes.txt").write_text("", encoding="utf-8")
    faults = _faults(folder)
    assert ("SOURCES.toml", None, "no source for haircuts.csv") in faults
    assert ("SOURCES.toml", None, "no source for open_interest_caps.csv") in faults
    assert faults[0][:2] == ("notes.txt", None)
    (folder / "SOURCES.toml").unlink()
    assert ("SOURCES.toml", None, "missing: every table needs a source and a date") in _faults(folder)


def test_a_folder_of_nothing_is_a_fault(tmp_path: Path) -> None:
    assert [fault.message for fault in check_tables(tmp_path, progressive=True)] == ["neither rules nor tables"]


def test_a_table_that_is_no_text_is_a_fault(folder: Path) -> None:
    (folder / "tiers.csv").write_bytes(b"\xff\xfe")
    assert any("cannot be read" in message for _, _, message in _faults(folder))


# ── rules.toml ───────────────────────────────────────────────────────────────────────────────────────────────────


def _rule_faults(folder: Path, text: str) -> list[tuple[int | None, str]]:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return [(fault.line, fault.message) for fault in check_rules(path, refusals=["leverage_above_tier"])]


def test_rules_that_hold_have_no_faults(tmp_path: Path) -> None:
    assert _rule_faults(tmp_path, RULES) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("rules/1", "rules/2", 1, "schema: expected ringfence.rules/1"),
        ('title = "A venue"\n', "", None, "title: expected the venue's name"),
        (
            'title = "A venue"',
            'title = "A venue"\ntabels_from = []',
            3,
            "tabels_from: unknown key tabels_from; did you mean",
        ),
        ('title = "A venue"', 'title = "A venue"\ntables_from = ["binance"]', 3, "tables_from: no rulebook 'binance'"),
        (
            'maintenance_at = "mark"',
            'maintenance_at = "makr"',
            5,
            "policies.maintenance_at: maintenance_at cannot be 'makr'",
        ),
        ("tier_type", "tier_typ", 6, "policies.tier_typ: unknown policy tier_typ"),
        ("policies.isolated", "policies.isolatd", 8, "policies.isolatd: unknown architecture; did you mean isolated"),
        (
            '_at = "entry"',
            '_at = "entri"',
            9,
            "policies.isolated.initial_margin_at: initial_margin_at cannot be 'entri'",
        ),
        ('"value"', '"valu"', 12, "variants.account=unified.initial_margin_fee: initial_margin_fee cannot be 'valu'"),
        ('"account=unified"', '"unified"', 11, 'variants.unified: expected a table named "policy=choice"'),
        ('"1.6"', '"1.1"', 15, "levels.warning: a warning comes before a margin call"),
        ('"1.2"', '"0.9"', 16, "levels.margin_call: expected a decimal string above 1"),
        ('"1.2"', "1.2", 16, "levels.margin_call: expected a decimal string above 1"),
        ('source = "ours"\n', "", 14, "levels.source: expected where the levels were read"),
        ('"take_over"', '"take_ovr"', 20, "liquidation.sequence: unknown step 'take_ovr'; did you mean take_over"),
        ('"1.1"', '"0.5"', 22, "liquidation.stop_at_health: expected a decimal string of at least 1"),
        ('note = "A note."', "nota = 1", 21, "liquidation.nota: unknown key nota; did you mean note"),
        ('note = "A note."', 'close_first = "smallest"', 21, "liquidation.close_first: cannot be 'smallest'"),
        ("leverage_above", "leverage_abov", 25, "refusals.leverage_abov_tier: unknown key"),
        ('tier = "no"', "tier = 5", 25, "refusals.leverage_above_tier: expected text, found 5"),
        ('policies = "a page"', "", 27, "sources.policies: expected where the policies were read"),
        ('policies = "a page"', 'policies = "a page"\nmargins = "x"', 29, "sources.margins: unknown key margins"),
        ("[policies]", "[policies", 4, "not valid TOML"),
    ],
)
def test_each_kind_of_fault_in_the_rules_is_found_on_its_line(
    old: str, new: str, line: int | None, message: str, tmp_path: Path
) -> None:
    assert old in RULES
    found = _rule_faults(tmp_path, RULES.replace(old, new, 1))
    assert [fault for fault in found if fault[0] == line and fault[1].startswith(message)], found


# ── A whole rulebook ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rulebook of the user's own, ``venue``, that holds together."""
    monkeypatch.setenv("RINGFENCE_RULEBOOKS", str(tmp_path))
    for day in ("always", "2025-01-01"):
        (tmp_path / "venue" / day).mkdir(parents=True)
    (tmp_path / "venue" / "always" / "rules.toml").write_text(RULES, encoding="utf-8")
    for name, text in FILES.items():
        (tmp_path / "venue" / "2025-01-01" / name).write_text(text, encoding="utf-8")
    return tmp_path / "venue"


def test_a_rulebook_that_holds_together_has_no_faults(own: Path) -> None:
    assert own.is_dir()
    assert check("venue") == []


def test_folders_are_named_by_day(own: Path) -> None:
    (own / "2025-13-01").mkdir()
    (own / "README.md").write_text("", encoding="utf-8")
    assert [(fault.file.name, fault.message.partition(";")[0]) for fault in check("venue")] == [
        ("2025-13-01", "not a day"),
        ("README.md", "a file beside the dated folders"),
    ]


def test_faults_of_all_files_come_at_once_and_name_file_and_line(own: Path) -> None:
    _spoil(own / "always", "rules.toml", '"mark"', '"makr"')
    _spoil(own / "2025-01-01", "tiers.csv", ",160,", ",1,")
    texts = [str(fault) for fault in check("venue")]
    assert texts[0].startswith(f"{own / 'always' / 'rules.toml'}:5: policies.maintenance_at")
    assert texts[1].startswith(f"{own / '2025-01-01' / 'tiers.csv'}:4: AAA tier 3 deduction")


def test_a_table_is_held_to_every_rule_that_comes_while_it_is_in_force(own: Path) -> None:
    _spoil(own / "always", "rules.toml", '"progressive"', '"step"')
    assert len(check("venue")) == len(("tier 2", "tier 3"))
    (own / "2025-06-01").mkdir()
    (own / "2025-06-01" / "rules.toml").write_text(RULES, encoding="utf-8")
    assert check("venue") == []


def test_a_rulebook_without_rules_is_a_fault(own: Path) -> None:
    shutil.rmtree(own / "always")
    assert "no folder has a rules.toml" in [fault.message for fault in check("venue")]


def test_an_unknown_rulebook_is_an_error() -> None:
    with pytest.raises(BadRulebook, match="no rulebook 'vanue'"):
        check("vanue")


@pytest.mark.parametrize("name", rulebooks.names())
def test_every_packaged_rulebook_has_no_faults(name: str) -> None:
    assert [str(fault) for fault in check(name)] == []
