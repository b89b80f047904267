"""``advise`` on the command line: verdicts, JSON, a page, and what is refused with which code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.command import Command

CASES = Path(__file__).parents[1] / "study" / "advice" / "cases"
FEW = ("--paths", "1000", "--seed", "4")


def test_it_prints_verdicts_evidence_steps_and_what_is_not_known(ringfence: Command) -> None:
    printed = ringfence("advise", str(CASES / "long_shot.json"), *FEW)
    assert printed.code == 0
    for heading in ("Verdict", "The account as a whole", "What to do", "1,000 paths of 7 days", "Not known"):
        assert heading in printed.out
    assert "seed 4" in printed.out
    assert "not financial advice" in " ".join(printed.out.split())


def test_json_is_the_same_for_the_same_seed_and_names_the_schema(ringfence: Command) -> None:
    asked = ("advise", str(CASES / "majors.json"), *FEW, "--json")
    one, again = ringfence(*asked), ringfence(*asked)
    assert one.out == again.out
    document = one.json
    assert document["schema"] == "ringfence.advise/1"
    assert [position["verdict"] for position in document["positions"]] == ["pool"] * 4
    assert all(isinstance(way["liquidated"]["value"], str) for way in document["ways"])


def test_options_come_before_what_the_file_says(ringfence: Command) -> None:
    asked = ("advise", str(CASES / "majors.json"), *FEW, "--json", "--experience", "new", "--purpose", "SOLUSDT=bot")
    document = ringfence(*asked).json
    assert [position["account"] for position in document["positions"]] == [
        "main account", "main account", "bot", "main account",
    ]  # fmt: skip
    assert {position["decided_by"] for position in document["positions"]} == {"new", "bot"}


def test_a_report_is_one_file_with_a_picture_per_way(ringfence: Command, tmp_path: Path) -> None:
    page = tmp_path / "sub" / "advice.html"
    ringfence("advise", str(CASES / "delta_neutral.json"), *FEW, "--report", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 4  # as given, all isolated, portfolio, advised
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize(("options", "said"), [
    (("--experience", "expert"), "new or experienced"),
    (("--purpose", "DOGEUSDT=bot"), "DOGEUSDT is not held"),
    (("--correlation", "BTCUSDT=0.5"), "not a pair of symbols"),
    (("--volatility", "BTCUSDT=much"), "not a name and a number"),
    (("--volatility", "BTCUSDT=4"), "cannot move like that"),
    (("--tape", "2025-09-17"), "no prices of"),
    (("--paths", "5"), "cannot be simulated"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_code_3(ringfence: Command, options: tuple[str, ...], said: str) -> None:
    printed = ringfence("advise", str(CASES / "majors.json"), *options)
    assert printed.code == 3
    assert said in printed.err


def test_correlations_that_cannot_be_are_refused_with_code_3(ringfence: Command) -> None:
    pairs = ("BTCUSDT:ETHUSDT=0.9", "ETHUSDT:SOLUSDT=0.9", "BTCUSDT:SOLUSDT=-0.9")
    printed = ringfence(
        "advise", str(CASES / "majors.json"), *(part for pair in pairs for part in ("--correlation", pair))
    )
    assert printed.code == 3
    assert "positive semidefinite" in printed.err


def test_a_book_with_options_gets_the_same_kind_of_answer(ringfence: Command, tmp_path: Path) -> None:
    book = tmp_path / "book.json"
    book.write_text(ringfence("account", "example", "hedged-options").out, encoding="utf-8")
    printed = ringfence("advise", str(book), *FEW)
    assert printed.code == 0
    for heading in ("Verdict", "The account as a whole", "What to do", "1,000 paths of 7 days", "Not known"):
        assert heading in printed.out
    document = ringfence("advise", str(book), *FEW, "--json").json
    assert [position["verdict"] for position in document["positions"]] == ["keep"] * 4


def test_an_asset_that_the_venue_does_not_list_is_refused_as_by_every_command(
    ringfence: Command, tmp_path: Path
) -> None:
    leg = (
        '{"symbol": "BTCUSDT", "side": "long", "quantity": "0.05", "entry_price": "100000", "margin_mode": "cross",'
        ' "leverage": "10"}'
    )
    file = tmp_path / "doge.json"
    file.write_text(
        '{"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": {"collateral_mode": "multi_asset",'
        ' "wallet": {"USDT": "1000", "DOGE": "1000"}, "collateral": {"DOGE": {"index": "0.2"}},'
        f' "positions": [{leg}]}}}}',
        encoding="utf-8",
    )
    printed, assessed = ringfence("advise", str(file), *FEW), ringfence("assess", str(file))
    assert (printed.code, printed.err) == (assessed.code, assessed.err)
    assert "DOGE is not on the packaged collateral list" in printed.err
