"""A fleet under scenarios: sums that do not depend on who computes which unit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ringfence.fleet.accounts import account_file_of
from ringfence.fleet.build import Request, build
from ringfence.fleet.example import write_example
from ringfence.fleet.results import most_forced, stress_json, stress_table, sum_text
from ringfence.fleet.scenario_kernel import ROOM
from ringfence.fleet.scenarios import grid, history, steps, together
from ringfence.fleet.stress import Stress, stress
from ringfence.margin.assess import assess_account
from ringfence.study.fleet_page import html_page

if TYPE_CHECKING:
    from ringfence.fleet import Fleet

D = Decimal
MOVES = steps(D("0.4"), 5)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    folder = tmp_path_factory.mktemp("stress")
    write_example(600, 9, folder / "whole.parquet")
    return build([folder / "whole.parquet"], folder / "parts.parquet", Request(unit=150)).fleet


@pytest.fixture(scope="module")
def found(fleet: Fleet) -> Stress:
    return stress(fleet, (*grid(("BTCUSDT",), MOVES), *together(MOVES)))


def test_moves_are_even_and_end_at_the_span() -> None:
    assert [D("-0.4"), D("-0.2"), D(0), D("0.2"), D("0.4")] == list(MOVES)
    assert [scenario.others for scenario in together(MOVES)] == [D("-0.4"), D("-0.2"), D("0.2"), D("0.4")]


def test_every_count_and_sum_is_what_assessing_all_accounts_gives(fleet: Fleet, found: Stress) -> None:
    rulebook = fleet.terms.rulebook()
    step = 3  # majors +20 %, others −40 %
    marks = found.scenarios[step].marks(fleet.terms.marks)
    assert (marks["BTCUSDT"], marks["ETHUSDT"]) == (
        fleet.terms.marks["BTCUSDT"] * D("1.0"), fleet.terms.marks["ETHUSDT"] * D("0.6")
    )  # fmt: skip
    equity = loss = fund = D(0)
    dead = struck = called = 0
    forced: dict[str, D] = {}
    for row in fleet.to_arrow().to_pylist():
        file = account_file_of(row, fleet.terms, fleet.terms.marks, where="")
        now = [a for a in assess_account(file.account, file.marks, rulebook) if a.lines]
        then = [a for a in assess_account(file.account, {**file.marks, **{s: marks[s] for s in file.marks}}, rulebook)
                if a.lines]  # fmt: skip
        for before, after in zip(now, then, strict=True):
            start, end = before.margin_balance or D(0), after.margin_balance or D(0)
            equity, loss = equity + end, loss + max(start - end, D(0))
            called += after.status == "margin_call"
            if after.liquidatable:
                dead, fund = dead + 1, fund + max(-end, D(0))
                for line in after.lines:
                    forced[line.position.symbol] = forced.get(line.position.symbol, D(0)) + line.notional
        struck += any(a.liquidatable for a in then)
    sums = found.sums
    assert (sums.liquidatable[step], sums.accounts[step], sums.called[step]) == (dead, struck, called)
    for array, exact in ((sums.equity, equity), (sums.loss, loss), (sums.fund, fund)):
        assert array[:, step].sum() == pytest.approx(float(exact), rel=1e-12)
    assert dict(most_forced(found, step, 500)) == pytest.approx({s: float(v) for s, v in forced.items()}, rel=1e-12)


def test_the_first_scenario_is_now_and_loses_nothing(found: Stress) -> None:
    assert found.scenarios[0].name == "now"
    assert not found.sums.loss[:, 0].any()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_sums_are_the_same_to_the_last_bit_with_any_number_of_threads(
    fleet: Fleet, found: Stress, threads: int
) -> None:
    again = stress(fleet, found.scenarios[1:], threads=threads)
    for one, other in zip(found.sums[:8], again.sums[:8], strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_more_scenarios_than_are_swept_at_once_add_up_as_they_do_alone(fleet: Fleet) -> None:
    scenarios = grid(("BTCUSDT",), steps(D("0.6"), 19))
    assert len(scenarios) > ROOM
    many = stress(fleet, scenarios)
    some = (0, ROOM - 2, ROOM - 1, ROOM, len(scenarios) - 1)  # the first of a sweep, its last, and those beside
    few = stress(fleet, [scenarios[at] for at in some])
    columns = [0, *(at + 1 for at in some)]
    for one, other in zip(many.sums[:7], few.sums[:7], strict=True):
        assert np.asarray(one)[..., columns].tobytes() == np.asarray(other).tobytes()


def test_past_crashes_move_what_they_have_and_the_rest_by_their_median() -> None:
    scenarios, notes = history(("BTCUSDT", "XYZUSDT"))
    low = next(scenario for scenario in scenarios if scenario.name == "2025-10-10 low")
    assert -1 < low.moves["BTCUSDT"] < D("-0.05")
    assert low.others < low.moves["BTCUSDT"]
    assert notes[0] == "2025-10-10: 1 symbol that it lacks moves by the median of those it has"


def test_results_as_json_table_and_page(fleet: Fleet, found: Stress) -> None:
    document = stress_json(fleet, found, symbols=2)
    worst = document["scenarios"][1]
    assert worst["name"] == "majors −40 %, others −40 %"
    assert worst["moves"] == {"BTCUSDT": "-0.4"}
    assert [len(entry) for entry in (worst["forced"], worst["assets"])] == [2, 1]
    table = stress_table(found).to_pylist()
    funds = {row["scenario"]: row["value"] for row in table if row["measure"] == "insurance_fund"}
    assert sum_text(funds[worst["name"]]) == worst["assets"][0]["insurance_fund"]
    page = html_page(fleet, found, title="A <fleet>")
    assert "A &lt;fleet&gt;" in page
    assert page == html_page(fleet, found, title="A <fleet>")
    assert page.count("<rect x=") == 2 * len(MOVES) ** 2


def test_a_sum_is_shown_to_the_digits_it_has() -> None:
    assert [sum_text(value) for value in (0.1 + 0.2, 1234567.0000000001, 1e-12, -2.5)] == [
        "0.3",
        "1234567",
        "0",
        "-2.5",
    ]
