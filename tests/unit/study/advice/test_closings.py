"""The search for what to close in a portfolio book: what no single step does is found, and nothing more is closed."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations, product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.account import Account, CollateralMode, MarginMode, Position, RiskInputs
from ringfence.study.advice.closings import STEPS, search, share_of
from ringfence.study.advice.holding import Book
from ringfence.study.advice.option_table import Draft
from tests.unit.margin.portfolio_books import BTC, NOW, perpetual, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ringfence.study.advice.option_table import Played, Table

D = Decimal
np = pytest.importorskip("numpy")


def _book(count: int) -> Book:
    """A book of ``count`` positions of two contracts each on one coin, at Bybit."""
    contracts = [perpetual(f"BTC-{number}") for number in range(count)]
    account = Account(
        positions=tuple(Position(c.symbol, D(2), BTC, MarginMode.CROSS) for c in contracts),
        wallet={"USDT": D(10_000_000)}, collateral_mode=CollateralMode.PORTFOLIO,
        risk=RiskInputs(time=NOW, index={"BTC": BTC}),
    )  # fmt: skip
    marks = {contract.symbol: BTC for contract in contracts}
    return Book(account, marks, rules("bybit-uta", *zip(contracts, account.positions, strict=True)))


class _Stand:
    """In place of a table: an account is liquidated as often as a rule says of what is left of each position."""

    def __init__(self, book: Book, rule: Callable[[Mapping[int, int]], tuple[float, float]]) -> None:
        self.book, self.rule, self.drafts, self.plays = book, rule, 0, 0

    def draft(self, account: Account) -> Draft:
        self.drafts += 1
        left = {n: int(p.quantity) if (p := account.position(f"BTC-{n}", "long")) else 0
                for n in range(len(self.book.positions))}  # fmt: skip
        return Draft(*self.rule(left))

    def play(self, account: Account) -> Any:
        self.plays += 1
        share = self.draft(account).share
        return SimpleNamespace(surface=SimpleNamespace(account=account), dead=np.arange(1000) < 1000 * share)

    def drafted(self, played: Any) -> Draft:
        return self.draft(played.surface.account)


def _found(
    count: int, rule: Callable[[Mapping[int, int]], tuple[float, float]]
) -> tuple[dict[int, Decimal], float, _Stand]:
    stand = _Stand(_book(count), rule)
    without: list[Any] = []
    for index in range(count):
        positions = tuple(p for n, p in enumerate(stand.book.positions) if n != index)
        without.append(stand.play(Account(positions=positions)))
    table: Table = stand  # type: ignore[assignment]
    given_: Played = stand.play(stand.book.account)
    played, closing = search(table, given_, without, progress=lambda _: None)
    return closing, share_of(played), stand


def test_four_closings_are_found_of_which_no_one_two_or_three_make_anything_rarer() -> None:
    wanted = {1, 4, 6, 7}

    def rule(left: Mapping[int, int]) -> tuple[float, float]:
        open_ = sum(left[n] for n in wanted)
        return (0.0 if not open_ else 1.0), open_ * 10.0 + sum(left.values())

    closing, share, _ = _found(9, rule)
    assert closing == dict.fromkeys(sorted(wanted), D(2))
    assert share == 0


def test_two_legs_of_which_each_alone_makes_it_worse_are_closed_together() -> None:
    def rule(left: Mapping[int, int]) -> tuple[float, float]:
        uneven = abs(left[0] - left[1])
        return min(1.0, 0.2 * uneven + 0.3 * bool(left[0] or left[1])), 50.0 * uneven + 20.0 * left[0] + left[2]

    closing, share, _ = _found(4, rule)
    assert closing == {0: D(2), 1: D(2)}
    assert share == 0


def test_half_of_a_position_is_closed_where_that_is_enough() -> None:
    closing, _, _ = _found(5, lambda left: (0.04 if left[3] < 2 else 0.5, float(left[3])))
    assert closing == {3: D(1)}


def test_a_position_that_need_not_be_closed_after_all_is_left_alone() -> None:
    # the pair is promising together, but the first of it does nothing
    def rule(left: Mapping[int, int]) -> tuple[float, float]:
        return (0.0 if left[2] == 0 and left[1] <= 1 else 0.9), 5.0 * left[0] + 4.0 * left[1] + 4.0 * left[2]

    closing, share, _ = _found(3, rule)
    assert closing == {1: D(1), 2: D(2)}
    assert share == 0


def test_an_account_that_outlasts_enough_is_left_alone_and_one_that_nothing_helps_too() -> None:
    assert _found(3, lambda _: (0.05, -1.0))[0] == {}
    assert _found(3, lambda _: (1.0, 10.0))[0] == {}


def test_what_is_closed_first_is_what_helps_most() -> None:
    weight = {0: 0.1, 1: 0.6, 2: 0.3}

    def rule(left: Mapping[int, int]) -> tuple[float, float]:
        share = sum(weight[n] for n in weight if left[n])
        return share, share

    closing, share, _ = _found(4, rule)
    assert list(closing) == [1, 2, 0]
    assert share == 0


def test_a_search_in_a_large_book_ends_after_a_number_of_drafts_that_does_not_grow_with_its_pairs() -> None:
    drafts = [_found(count, lambda left: (1.0, float(sum(left.values()))))[2].drafts for count in (20, 40)]
    assert drafts[1] - drafts[0] <= 3 * 20  # of each position: its half, its whole, and the reading of it


@given(data=st.data(), count=st.integers(2, 4))
@settings(max_examples=25, deadline=None)
def test_in_a_small_book_no_way_with_fewer_positions_is_enough(data: st.DataObject, count: int) -> None:
    """Held to every combination of halves and wholes: shares that fall with what is closed, however unevenly."""
    states = list(product((2, 1, 0), repeat=count))
    value = {state: data.draw(st.integers(0, 100)) / 100 for state in states}

    def share(left: Mapping[int, int]) -> float:
        own = tuple(left[n] for n in range(count))
        return min(value[s] for s in states if all(a >= b for a, b in zip(s, own, strict=True)))

    closing, reached, _ = _found(count, lambda left: (share(left), share(left)))
    enough = [
        state for state in states
        if share(dict(enumerate(state))) <= 0.05 and any(state)
    ]  # fmt: skip
    if share(dict.fromkeys(range(count), 2)) <= 0.05:
        assert closing == {}
    elif enough and min(sum(s < 2 for s in state) for state in enough) <= STEPS:
        assert reached <= 0.05
        assert len(closing) == min(sum(s < 2 for s in state) for state in enough)
        for fewer in range(len(closing)):
            for left_alone in combinations(closing, fewer):
                less = {n: 2 if n not in left_alone else 2 - int(closing[n]) for n in range(count)}
                assert share(less) > 0.05
