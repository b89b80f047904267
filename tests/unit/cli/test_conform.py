"""``ringfence conform``: counts, mismatches, and the list of what need not be computed yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.study.unsupported import read_list
from tests.unit.cli.command import written

if TYPE_CHECKING:
    from tests.unit.cli.command import Command, Json

FOLDER = Path(__file__).parents[2] / "answers" / "cases"
CASES: list[dict[str, Any]] = [
    case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text(encoding="utf-8"))
]


def _case(name: str) -> Json:
    return json.loads(json.dumps(next(case for case in CASES if case["id"] == name)))  # type: ignore[no-any-return]


FAQ = "binance-usdm.cross.faq-btc-eth"
TOPIC: Json = {"id": "unseen", "rulebook": "any-venue", "kind": "bonus", "inputs": {}, "expected": {"left": "1"}}


def test_the_published_answers_conform(ringfence: Command) -> None:
    outcome = ringfence("conform", FOLDER, "--json")
    assert outcome.code == 0
    report = outcome.json
    assert list(report) == ["schema", "cases", "figures", "matched", "mismatched", "unsupported"]
    assert (report["schema"], report["cases"]) == ("ringfence.conform/1", len(CASES))
    assert report["figures"] == report["matched"] + len(report["unsupported"])
    assert report["mismatched"] == []
    assert {tuple(entry) for entry in report["unsupported"]} <= {("case", "figure", "reason")}


def test_progress_goes_to_standard_error_and_quiet_is_silent(ringfence: Command) -> None:
    told = ringfence("conform", FOLDER / "bitmex.json")
    assert str(FOLDER / "bitmex.json") in told.err
    assert str(FOLDER / "bitmex.json") not in told.out
    assert "conforms: " in told.out
    assert ringfence("conform", FOLDER / "bitmex.json", "--quiet").err == ""


def test_a_mismatch_ends_with_6_and_is_told_with_both_values(ringfence: Command, tmp_path: Path) -> None:
    case = _case(FAQ)
    case["expect"][0]["value"] = "26300"
    path = written(tmp_path, [case])
    outcome = ringfence("conform", path, "--json")
    assert outcome.code == 6
    entry = outcome.json["mismatched"][0]
    assert (entry["case"], entry["figure"], entry["symbol"], entry["side"]) == (
        FAQ, "liquidation_price", "BTCUSDT", "long",
    )  # fmt: skip
    assert entry["expected"] == "26300"
    assert entry["computed"].startswith("26316.8")
    human = ringfence("conform", path)
    assert human.code == 6
    assert "does not conform" in human.out
    assert "26300" in human.out


def test_a_listed_topic_is_covered_for_any_venue_and_any_case(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("conform", written(tmp_path, [TOPIC]), "--json")
    assert outcome.code == 0
    assert outcome.json["unsupported"] == [
        {"case": "unseen", "figure": "left", "reason": next(e.reason for e in read_list() if e.kind == "bonus")}
    ]


def test_a_topic_that_is_not_listed_ends_with_6(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("conform", written(tmp_path, [{**TOPIC, "kind": "moon_phase"}]))
    assert outcome.code == 6
    assert "Not computed, and not listed" in outcome.out


def test_a_figure_of_an_account_that_is_not_computed_is_never_covered(ringfence: Command, tmp_path: Path) -> None:
    case = _case(FAQ)
    case["expect"] = [{"figure": "moon_price", "symbol": "BTCUSDT", "side": "long", "value": "1"}]
    outcome = ringfence("conform", written(tmp_path, [case, TOPIC]), "--json")
    assert outcome.code == 6
    assert len(outcome.json["unsupported"]) == 2
    assert f"not computed, not listed: {FAQ} moon_price" in outcome.err


def test_one_case_that_cannot_be_read_leaves_the_others_their_answer(ringfence: Command, tmp_path: Path) -> None:
    bad = _case(FAQ)
    bad["account"]["positions"][0]["quantity"] = "0"
    outcome = ringfence("conform", written(tmp_path, [bad, _case(FAQ)]), "--json")
    assert outcome.code == 6
    figures = len(bad["expect"])
    assert (outcome.json["matched"], len(outcome.json["unsupported"])) == (figures, figures)
    assert "account.positions[0].quantity: zero" in outcome.json["unsupported"][0]["reason"]


def test_wallets_that_nothing_stands_on_do_not_hide_the_accounts_ratio(ringfence: Command, tmp_path: Path) -> None:
    case = _case(FAQ)
    case["account"]["wallet"]["BNB"] = "3"
    case["expect"] = [{"figure": "margin_ratio", "value": "1", "tolerance": "1"}]
    assert ringfence("conform", written(tmp_path, [case])).code == 0


def test_another_list_can_be_given_and_an_entry_can_name_one_venue(ringfence: Command, tmp_path: Path) -> None:
    cases = written(tmp_path, [TOPIC])
    entry = '[[unsupported]]\nkind = "bonus"\nrulebook = "{}"\nreason = "not yet"\n'
    own = written(tmp_path, entry.format("any-venue"), "own.toml")
    other = written(tmp_path, entry.format("another-venue"), "other.toml")
    assert ringfence("conform", cases, "--unsupported", own).code == 0
    assert ringfence("conform", cases, "--unsupported", other).code == 6


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[[unsupported]]\nkind = 'x'\n", "an entry without 'reason'"),
        ("[[unsupported", "Expected"),
        ("unsupported = 1", ""),
    ],
)
def test_a_list_that_is_none_is_refused(content: str, found: str, ringfence: Command, tmp_path: Path) -> None:
    path = written(tmp_path, content, "list.toml")
    outcome = ringfence("conform", FOLDER / "bitmex.json", "--unsupported", path)
    assert outcome.code == 3
    assert f"{path}: not a list of unsupported figures" in outcome.err
    assert found in outcome.err


def test_the_packaged_list_names_topics_that_there_are_once_each_and_no_case_at_hand_needs_it(
    ringfence: Command, tmp_path: Path
) -> None:
    kinds = [entry.kind for entry in read_list()]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) <= {case["kind"] for case in CASES if "kind" in case}
    assert all(entry.reason.endswith(".") for entry in read_list())
    nothing = written(tmp_path, "", "nothing.toml")
    assert ringfence("conform", FOLDER, "--unsupported", nothing).code == 0


@pytest.mark.parametrize(
    ("document", "message"),
    [({"a": 1}, "not a list of cases"), ([{"a": 1}], "not a case"), ("[", "truncated"), ([1], "not a case")],
)
def test_a_file_that_holds_no_cases_is_refused(
    document: object, message: str, ringfence: Command, tmp_path: Path
) -> None:
    outcome = ringfence("conform", written(tmp_path, document))
    assert outcome.code == 3
    assert message in outcome.err


def test_a_path_that_is_not_there_is_refused(ringfence: Command, tmp_path: Path) -> None:
    outcome = ringfence("conform", tmp_path / "nothing")
    assert outcome.code == 3
    assert "no such file or folder" in outcome.err
