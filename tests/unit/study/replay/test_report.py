"""The report: one file that loads nothing, says what the replay says, and trusts nothing it was given."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from ringfence.study.examples import load_example
from ringfence.study.replay.replay import replay
from ringfence.study.replay.report import html_report, write_report
from ringfence.study.replay.verdict import verdict
from ringfence.tape import load_tape
from tests.unit.study.replay.replay_books import account_file, contract, tape_of

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.study.replay.result import Replay

VOID = {"meta", "br", "hr", "img", "link", "input"}
HOSTILE = '<img src=x onerror="alert(1)">&'


class Page(HTMLParser):
    """Reads a page: its tags, ids and text; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def crash() -> Replay:
    return replay(load_example("crash-book"), load_tape("2025-10-10"))


def test_the_report_is_well_formed_and_loads_nothing(crash: Replay) -> None:
    text = html_report(crash)
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "href", "xlink:href", "action", "srcset"} & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_drawing_has_a_title_and_a_description_and_the_charts_have_tables(crash: Replay) -> None:
    page = Page(html_report(crash))
    drawings = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("role") == "img"]
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert len(drawings) == 1 + 1 + 6  # equity, health, a panel per position
    for drawing in drawings:
        assert set((drawing["aria-labelledby"] or "").split()) <= ids
    assert page.text.count("As a table") == 2


def test_the_report_says_what_the_replay_says(crash: Replay) -> None:
    text = Page(html_report(crash)).text
    assert verdict(crash) in text
    assert "isolated margin keeps 6,010.55 of 10,000 USDT, cross margin nothing" in text
    for said in crash.assumptions:
        assert said in text
    assert text.count("taken over, health") == len([e for e in crash.events if e.kind == "liquidation"])


def test_the_same_replay_gives_the_same_report(crash: Replay, tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(crash, path)
    assert path.read_text(encoding="utf-8") == html_report(crash)


def test_values_for_the_crosshair_are_json_with_one_value_per_time(crash: Replay) -> None:
    text = html_report(crash)
    found = re.search(r'<script type="application/json" id="values">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    values = json.loads(found[1])
    charts = {attributes["data-chart"] for _, attributes in Page(text).tags if "data-chart" in attributes}
    assert set(values) == charts
    for chart in values.values():
        for _, line in chart["lines"]:
            assert len(line) == len(chart["times"])


def test_what_a_file_says_is_escaped() -> None:
    file = account_file(
        [{"symbol": HOSTILE, "side": "long", "quantity": "10", "entry_price": "100", "leverage": "5"}],
        wallet={"USDT": "1000"},
        contracts={HOSTILE: contract()},
    )
    hostile_tape = tape_of({"LIN": ["100", "70", "70"]})
    series = hostile_tape.series["LIN"]
    tape = type(hostile_tape)(
        HOSTILE,
        "mark",
        hostile_tape.provenance,
        notes=(HOSTILE,),
        series={HOSTILE: type(series)(HOSTILE, *(getattr(series, name) for name in series.__slots__[1:]))},
    )
    page = Page(html_report(replay(file, tape)))
    assert HOSTILE in page.text
    assert "img" not in {tag for tag, _ in page.tags}
    assert "</script" not in html_report(replay(file, tape)).split('id="values">')[1].split("</script>")[0]


def test_a_replay_in_which_nothing_happens_has_a_report_too() -> None:
    file = account_file(
        [{"symbol": "LIN", "side": "short", "quantity": "1", "entry_price": "100", "leverage": "2"}],
        wallet={"USDT": "1000", "COIN": "1"},
        contracts={"LIN": contract()},
    )
    text = Page(html_report(replay(file, tape_of({"LIN": ["100", "100"]})))).text
    assert "No warning, no margin call, no liquidation." in text
    assert "without a liquidation the same positions earn the same" in text.lower()
    assert "1.000000 COIN stood behind no position" in text


def test_hedge_legs_and_gaps_have_their_panels() -> None:
    legs = [
        {"symbol": "LIN", "side": side, "quantity": size, "entry_price": "100", "leverage": "5"}
        for side, size in (("long", "10"), ("short", "1"))
    ]
    file = account_file(legs, wallet={"USDT": "220"}, contracts={"LIN": contract()}, hedge=True)
    text = Page(html_report(replay(file, tape_of({"LIN": ["100", None, "80", "70", "60"]})))).text
    assert "LIN long" in text
    assert "LIN short" in text
    assert "cross: taken over" in text
