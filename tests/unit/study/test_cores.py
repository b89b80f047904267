"""Work on several cores: the same results in the same order, in the caller's context."""

from __future__ import annotations

import json
from decimal import getcontext
from pathlib import Path
from threading import Barrier, Lock, current_thread
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.account_file import read
from ringfence.numbers import EXACT, exact
from ringfence.study import cores
from ringfence.study.advice.advise import advise
from ringfence.study.advice.as_json import as_json
from ringfence.study.advice.scene import Outlook
from ringfence.study.cores import in_order
from ringfence.study.likelihood import Horizon, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = Path(__file__).parent / "advice" / "cases"


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert list(in_order(lambda n: n * n, range(20), workers=workers)) == [n * n for n in range(20)]
    assert list(in_order(str, iter("abc"), workers=workers)) == ["a", "b", "c"]
    assert list(in_order(str, [], workers=workers)) == []


def test_several_items_are_worked_on_at_once() -> None:
    meet = Barrier(3, timeout=20)
    assert sorted(in_order(lambda _: meet.wait(), range(3), workers=3)) == [0, 1, 2]


def test_one_item_or_one_worker_needs_no_thread() -> None:
    here = current_thread().name
    assert list(in_order(lambda _: current_thread().name, [0], workers=4)) == [here]
    assert list(in_order(lambda _: current_thread().name, [0, 1], workers=1)) == [here, here]
    assert here not in list(in_order(lambda _: current_thread().name, [0, 1], workers=2))


def test_no_more_items_are_taken_than_results_are_asked_for() -> None:
    taken: list[int] = []
    lock = Lock()

    def items() -> Iterator[int]:
        for number in range(100):
            with lock:
                taken.append(number)
            yield number

    results = in_order(lambda n: n, items(), workers=2)
    assert [next(results), next(results)] == [0, 1]
    results.close()  # type: ignore[attr-defined]
    assert len(taken) == 4  # two given out, two at work


def test_an_error_is_raised_where_its_result_is_due() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    results = in_order(work, range(10), workers=3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_work_is_done_in_the_decimal_context_of_the_caller() -> None:
    @exact
    def contexts() -> list[bool]:
        return list(in_order(lambda _: getcontext() is EXACT or getcontext().prec == EXACT.prec, range(4), workers=2))

    assert contexts() == [True] * 4


@pytest.mark.parametrize("name", ["long_shot", "new_trader"])
def test_advice_is_the_same_to_the_byte_on_one_core_and_on_two(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = read(CASES / f"{name}.json")
    found = []
    for count in (1, 2):
        monkeypatch.setattr(cores, "cores", lambda count=count: count)
        look = Outlook(days=14, paths=3_000, seed=5)  # two blocks of paths or more
        advice = advise(file.account, marks=file.marks, rulebook=file.rulebook(), outlook=look)
        found.append((json.dumps(as_json(advice)), repr(advice.trials)))
    assert found[0] == found[1]


def test_a_likelihood_is_the_same_on_one_core_and_on_two_and_every_path_is_walked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[Any] = []
    for count in (1, 2):
        monkeypatch.setattr(cores, "cores", lambda count=count: count)
        found.append(_likelihood(120_000))
    assert found[0] == found[1]
    dead = [pool for pool in _likelihood(120_000, mark="20000") if pool.pool != "any"]
    assert [(pool.deaths, pool.paths) for pool in dead] == [(120_000, 120_000)]  # liquidatable now: on every path


def _likelihood(paths: int, mark: str = "117000") -> Any:
    from ringfence import assess_account
    from ringfence.account_file import parse
    from ringfence.study.advice.moves import moves_of

    held = {"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "117590", "mark_price": mark}
    body = {"wallet": {"USDT": "12000"}, "positions": [held]}
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    pools = [a for a in assess_account(file.account, file.marks, file.rulebook()) if a.lines]
    marks = {symbol: float(price) for symbol, price in file.marks.items()}
    return simulate(pools, moves_of(("BTCUSDT",)).estimate, marks, Horizon(10_000, paths, 2))
