"""``ringfence assess`` and its neighbours on a portfolio account: the requirement explained, and clear errors."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.study.examples import example_text
from tests.unit.cli.command import written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.command import Command

D = Decimal
BAD_INPUT = 3
BOOK: dict[str, Any] = json.loads(example_text("hedged-options"))


def _changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(BOOK)
    place: Any = document
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    if value is None:
        place.pop(last, None)
    else:
        place[int(last) if last.isdigit() else last] = value
    return document


def _portfolio(ringfence: Command, tmp_path: Path, document: dict[str, Any] | None = None) -> dict[str, Any]:
    document = ringfence("assess", written(tmp_path, document or BOOK), "--json").json
    found: dict[str, Any] = document["pools"][0]["portfolio"]
    return found


def test_json_names_the_worst_scenario_and_its_gains_add_up(ringfence: Command, tmp_path: Path) -> None:
    found = _portfolio(ringfence, tmp_path)
    (unit,) = found["units"]
    worst = next(s for s in unit["scenarios"] if s["name"] == unit["worst_scenario"])
    assert worst["loss"] == unit["worst_loss"]
    assert len(unit["scenarios"]) == 9 * 3 + 8
    for scenario in unit["scenarios"]:
        assert sum(D(gain) for gain in scenario["gains"].values()) == pytest.approx(D(scenario["total"]), abs=D("1e-9"))
    charges = sum(D(charge["amount"]) for charge in unit["charges"])
    assert D(unit["maintenance_margin"]) == pytest.approx(D("0.8") * (D(unit["worst_loss"]) + charges), abs=D("1e-9"))


def test_json_says_what_each_hedge_saves(ringfence: Command, tmp_path: Path) -> None:
    found = _portfolio(ringfence, tmp_path)
    holdings = found["units"][0]["holdings"]
    assert len(holdings) == len(BOOK["account"]["positions"])
    alone = sum(D(held["stand_alone"]) for held in holdings)
    assert D(found["stand_alone_sum"]) == pytest.approx(alone, abs=D("1e-9"))
    assert 0 < D(found["saved_by_hedging"]) < alone
    assert all(D(held["saved"]) == pytest.approx(D(held["stand_alone"]) - D(held["added"]), abs=D("1e-9"))
               for held in holdings)  # fmt: skip
    assert alone - D(found["saved_by_hedging"]) == pytest.approx(D(found["maintenance_margin"]), abs=D("1e-9"))


def test_alone_is_what_assessing_the_holding_by_itself_gives(ringfence: Command, tmp_path: Path) -> None:
    holdings = _portfolio(ringfence, tmp_path)["units"][0]["holdings"]
    for place, position in enumerate(BOOK["account"]["positions"]):
        itself = _portfolio(ringfence, tmp_path, _changed("account.positions", [position]))
        assert holdings[place]["stand_alone"] == itself["maintenance_margin"]


def test_binance_goes_by_tiers_at_the_mark_and_asks_for_no_index_price(ringfence: Command, tmp_path: Path) -> None:
    position = {"symbol": "ETHUSDT", "side": "long", "quantity": "2", "entry_price": "2000", "mark_price": "2000",
                "margin_mode": "cross", "leverage": "5"}  # fmt: skip
    account = {"collateral_mode": "portfolio", "wallet": {"USDT": "3000"}, "positions": [position]}
    document = {"schema": "ringfence.account/1", "rulebook": "binance-usdm", "as_of": "2026-02-15", "account": account}
    found = _portfolio(ringfence, tmp_path, document)
    assert D(found["maintenance_margin"]) == D("0.004") * 2 * 2000  # the first tier's rate


def test_json_marks_what_is_ours_and_names_the_band(ringfence: Command, tmp_path: Path) -> None:
    found = _portfolio(ringfence, tmp_path)
    assert found["assumptions"]
    assert found["band"]["name"] == "free"
    assert found["rules_of"] == "2026-02-15"
    assert found["sources"]["price_range"].startswith("https://docs.deribit.com/")


def test_the_tables_are_printed(ringfence: Command, tmp_path: Path) -> None:
    text = ringfence("assess", written(tmp_path, BOOK)).out
    for said in (
        "worst scenario:", "roll shock", "gain in each scenario, the 8 worst of 35", "saved by the others", "together",
        "balance ÷ maintenance margin", "ours, not the venue's",
    ):  # fmt: skip
        assert said in " ".join(text.split()), said
    every = ringfence("assess", written(tmp_path, BOOK), "--explain").out
    assert "gain in each scenario, all" in every


def test_neighbours_answer_for_a_portfolio_account(ringfence: Command, tmp_path: Path) -> None:
    path = written(tmp_path, BOOK)
    assert ringfence("check", path).out.startswith("healthy: account")
    assert ringfence("distance", path, "--json").json["symbols"][0]["above"] is not None
    assert ringfence("stress", path, "--json").json["assumptions"]
    compared = ringfence("compare", path, "--json").json["architectures"]
    assert any(note.startswith("ours, not the venue's") for held in compared for note in held["notes"])
    rescued = ringfence("rescue", path, "--health", "9", "--json").json
    assert any(way["kind"] == "deposit" and way["refusal"] is None for way in rescued["pools"][0]["ways"])


def test_a_mark_given_on_the_command_line_takes_the_whole_unit_along(ringfence: Command, tmp_path: Path) -> None:
    path = written(tmp_path, BOOK)
    moved = ringfence("assess", path, "--mark", "BTC-PERPETUAL=60000", "--json").json
    before = ringfence("assess", path, "--json").json
    index = D(moved["pools"][0]["portfolio"]["units"][0]["index_price"])
    mark = D(before["positions"][0]["mark_price"])
    assert index == pytest.approx(D(BOOK["account"]["index"]["BTC"]) * 60000 / mark, abs=D("1e-6"))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("account.positions.2.implied_volatility", None, "no implied volatility for BTC-27MAR26-70000-C"),
        ("account.positions.2.implied_volatility", "0", "account.positions[2].implied_volatility: zero"),
        ("account.time", "2026-03-27T08:00:00Z", "BTC-27MAR26-70000-C is past its expiry"),
        ("account.time", "yesterday", "account.time: not a moment"),
        ("account.time", "2026-02-15T12:00:00", "account.time: not a moment"),
        ("account.spot_hedging", "maybe", "account.spot_hedging: not a yes or no"),
        ("account.collateral_mode", "multi_asset", "is an option outside portfolio margin"),
        ("account.loans", {"BTC": "-1"}, "account.loans.BTC: negative"),
        ("contracts.BTC-27MAR26-70000-C.strike", None, "an option without strike"),
        ("contracts.BTC-27MAR26-70000-C.option_type", "straddle", "option_type: unknown or missing"),
        ("contracts.BTC-27MAR26-70000-C.kind", "linear", "strike of a contract that is no option"),
        ("contracts.BTC-27MAR26-70000-C.expiry", "March", "expiry: not a moment"),
        ("rulebook", "gate-usdtm", "no table for BTC-PERPETUAL in gate-usdtm"),
        ("account.index", {}, None),
    ],
)
def test_bad_input_is_told_with_its_place(
    ringfence: Command, tmp_path: Path, path: str, value: Any, said: str | None
) -> None:
    document = _changed(path, value)
    if said is None:  # the coin is there as collateral, so its index is known; without either nothing is
        ringfence("assess", written(tmp_path, document), "--json")
        document["account"]["collateral"] = {}
        said = "no index price for BTC, the risk unit of BTC-PERPETUAL"
    failed = ringfence("assess", written(tmp_path, document))
    assert failed.code == BAD_INPUT
    assert said in failed.err


def test_without_time_and_day_nothing_that_expires_can_be_valued(ringfence: Command, tmp_path: Path) -> None:
    document = _changed("account.time", None)
    ringfence("assess", written(tmp_path, document), "--json")  # the start of as_of stands in
    del document["as_of"]
    failed = ringfence("assess", written(tmp_path, document))
    assert failed.code == BAD_INPUT
    assert "expires, and the account says no time" in failed.err


def test_explain_shows_the_account_on_both_sides_of_a_searched_price(ringfence: Command, tmp_path: Path) -> None:
    found = ringfence("assess", written(tmp_path, BOOK), "--json", "--explain").json
    steps = {entry["symbol"]: {step["of"]: step["how"] for step in entry["steps"]} for entry in found["explanation"]}
    perpetual = steps["BTC-PERPETUAL"]
    assert perpetual["liquidation price"].startswith("90,273.5, by search")
    assert perpetual["at 90,273.5"].endswith("liquidatable")
    assert perpetual["at 90,273"].endswith("margin_call")
    assert perpetual["saved"] == "alone − adds = 31,750.61787 − -20,261.20598 = 52,011.82385"
    assert steps["BTC-27MAR26-60000-P"]["liquidation price"].startswith("none: an option's own premium")


def test_stress_moves_a_risk_unit_as_one_and_takes_no_second_symbol_of_it(ringfence: Command, tmp_path: Path) -> None:
    path = written(tmp_path, BOOK)
    found = ringfence("stress", path, "--json").json
    assert found["grid"]["symbols"] == ["BTC-PERPETUAL"]
    health = dict(zip(found["grid"]["columns"], found["grid"]["health"][0], strict=True))
    whole = {shock["name"]: shock["pools"][0]["health"] for shock in found["all_marks"]}
    assert health["0.4"] == whole["+40 %"]
    assert D(health["0.35"]) > 1 > D(health["0.4"])  # liquidated at +36.76 %
    twice = ringfence("stress", path, "--symbol", "BTC-PERPETUAL", "--symbol", "BTC-26JUN26")
    assert twice.code == BAD_INPUT
    assert "a risk unit moves as one" in twice.err
    option = ringfence("stress", path, "--symbol", "BTC-27MAR26-60000-P")
    assert option.code == BAD_INPUT
    assert "--symbol BTC-PERPETUAL" in option.err
