"""The margin maths held to figures that exchanges published: every case, every figure.

``cases/`` carries the answers into the repository, with source and authority as they stand, so that these tests need
nothing beside it. Only figures of exchanges stand there, never ones that ringfence computed. All of them match: the
list of what need not be computed (``ringfence.study.unsupported``) is for cases that are not here.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.study.conform import Report, conform

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
FILES = sorted((HERE / "cases").glob("*.json"))
AUTHORITIES = {"official", "recorded", "sample", "unit-test", "mirror"}

Case = dict[str, Any]


def _cases() -> Iterator[Case]:
    for path in FILES:
        yield from json.loads(path.read_text(encoding="utf-8"))


CASES = list(_cases())
ACCOUNTS = [case for case in CASES if "account" in case]
TOPICS = [case for case in CASES if "kind" in case]


def _report(folder: Path, *cases: Case) -> Report:
    path = folder / "cases.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    return conform([path])


def test_there_are_cases_and_each_has_a_name_of_its_own() -> None:
    assert (len(ACCOUNTS), len(TOPICS)) == (95, 33)
    assert [name for name, count in Counter(case["id"] for case in CASES).items() if count > 1] == []


def test_every_case_says_where_its_figures_were_read_and_by_whose_authority() -> None:
    assert [case["id"] for case in CASES if not case["source"] or case["authority"] not in AUTHORITIES] == []


@pytest.mark.parametrize("case", ACCOUNTS, ids=[case["id"] for case in ACCOUNTS])
def test_every_figure_of_an_account_is_the_exchanges(case: Case, tmp_path: Path) -> None:
    report = _report(tmp_path, case)
    assert report.mismatched == []
    assert report.unsupported == []
    assert report.matched == len(case["expect"]) > 0


@pytest.mark.parametrize("case", TOPICS, ids=[case["id"] for case in TOPICS])
def test_every_figure_of_a_topic_is_the_exchanges(case: Case, tmp_path: Path) -> None:
    report = _report(tmp_path, case)
    assert report.mismatched == []
    assert report.unsupported == []
    assert report.matched == len(case["expected"]) > 0


def test_the_carried_cases_are_those_of_the_answers_outside(answers_dir: Path) -> None:
    outside = {path.name: path.read_bytes() for path in answers_dir.rglob("*.json")}
    assert {path.name: path.read_bytes() for path in FILES} == outside


def test_a_run_over_the_folder_counts_every_case_and_figure_once() -> None:
    report = conform([HERE / "cases"])
    assert report.cases == len(CASES)
    assert report.figures == sum(len(case.get("expect") or case["expected"]) for case in CASES)
    assert report.figures == report.matched + len(report.unsupported)


# ── The checker is checked ────────────────────────────────────────────────────────────────────────────────────────


def _changed_beyond_tolerance(figure: Case) -> Case:
    """The figure with another value: by three tolerances and a unit for a number, the opposite for the rest."""
    value = figure["value"]
    if value is None:
        return figure | {"value": "1"}
    if value in {"true", "false"}:
        return figure | {"value": "false" if value == "true" else "true"}
    wrong = Decimal(value) + 3 * Decimal(figure.get("tolerance") or 0) + Decimal("1e-9")
    return figure | {"value": str(wrong)}


def test_every_single_figure_changed_beyond_its_tolerance_is_reported(tmp_path: Path) -> None:
    wrong = []
    for case in ACCOUNTS:
        spoilt = copy.deepcopy(case)
        spoilt["expect"] = [_changed_beyond_tolerance(figure) for figure in case["expect"]]
        wrong.append(spoilt)
    report = _report(tmp_path, *wrong)
    assert report.matched == 0
    assert len(report.mismatched) == sum(len(case["expect"]) for case in ACCOUNTS)


def test_a_mismatch_names_the_case_the_figure_and_both_values(tmp_path: Path) -> None:
    case = copy.deepcopy(next(case for case in ACCOUNTS if case["id"] == "binance-usdm.cross.faq-btc-eth"))
    figure = case["expect"][0]
    figure["value"] = "1"
    entry = _report(tmp_path, case).mismatched[0]
    assert entry["case"] == case["id"]
    assert (entry["figure"], entry["symbol"], entry["side"]) == (figure["figure"], figure["symbol"], figure["side"])
    assert entry["expected"] == "1"
    assert entry["computed"] is not None
    assert entry["computed"].startswith("26316.8")


def test_a_value_just_past_its_tolerance_differs_and_one_on_it_agrees(tmp_path: Path) -> None:
    case = copy.deepcopy(next(case for case in ACCOUNTS if case["id"] == "binance-usdm.cross.faq-btc-eth"))
    case["expect"] = case["expect"][:1]
    figure = case["expect"][0]
    figure["value"] = "0"
    computed = Decimal(_report(tmp_path, case).mismatched[0]["computed"] or "")
    figure["value"], figure["tolerance"] = str(computed + Decimal("0.005")), "0.005"
    assert _report(tmp_path, case).mismatched == []
    figure["value"] = str(computed + Decimal("0.0050000000000000000001"))
    assert len(_report(tmp_path, case).mismatched) == 1


def test_a_price_expected_to_be_none_differs_from_any_price(tmp_path: Path) -> None:
    case = copy.deepcopy(next(case for case in ACCOUNTS if case["id"] == "binance-usdm.cross.faq-btc-eth"))
    case["expect"][0]["value"] = None
    report = _report(tmp_path, case)
    assert report.mismatched[0]["expected"] is None


def test_a_figure_that_is_not_known_and_a_leg_that_is_not_held_are_unsupported_not_matched(tmp_path: Path) -> None:
    case = copy.deepcopy(next(case for case in ACCOUNTS if case["id"] == "binance-usdm.cross.faq-btc-eth"))
    case["expect"] = [
        {"figure": "moon_price", "symbol": "BTCUSDT", "side": "long", "value": "1"},
        {"figure": "liquidation_price", "symbol": "BTCUSDT", "side": "short", "value": "1"},
    ]
    report = _report(tmp_path, case)
    assert (report.matched, report.mismatched, len(report.unsupported)) == (0, [], 2)
