"""Long shots: fenced for their tail whatever their size, and what is none is judged by what happens on the paths."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from ringfence.account_file import parse
from ringfence.study.advice.advise import advise
from ringfence.study.advice.desk import GAP, LONG_SHOT
from ringfence.study.advice.scene import Outlook
from ringfence.study.advice.search import FENCE
from ringfence.study.advice.words import verdicts

if TYPE_CHECKING:
    from ringfence.study.advice.advise import Advice

BTC = ("BTCUSDT", "long", "0.05", "117590", "3", None)
ETH = ("ETHUSDT", "long", "0.5", "4300", "3", None)
CAPITAL = 5000


@cache
def book(*rows: tuple[str, str, str, str, str, str | None], wallet: int = CAPITAL, paths: int = 1_500) -> Advice:
    """Return advice for somebody who says nothing of himself."""
    held = []
    for symbol, side, quantity, entry, leverage, margin in rows:
        leg = {"symbol": symbol, "side": side, "quantity": quantity, "entry_price": entry, "leverage": leverage}
        held.append(leg if margin is None else {**leg, "margin_mode": "isolated", "isolated_margin": margin})
    mode = "hedge" if len({row[0] for row in rows}) < len(rows) else "one_way"
    body = {"wallet": {"USDT": str(wallet)}, "positions": held, "position_mode": mode}
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    return advise(file.account, marks=file.marks, rulebook=file.rulebook(), outlook=Outlook(paths=paths))


def algo(
    quantity: str, leverage: str = "40", side: str = "long", margin: str | None = None
) -> tuple[str, str, str, str, str, str | None]:  # fmt: skip
    return ("ALGOUSDT", side, quantity, "0.21", leverage, margin)


@pytest.mark.parametrize(("quantity", "leverage"), [
    ("143", "40"),  # 0.015 % of the capital
    ("5715", "40"),  # 0.6 %
    ("28570", "40"),  # 3 %
    ("5715", "10"),  # 2.4 %, at the lowest leverage of a long shot
    ("35715", "10"),  # 15 %
])  # fmt: skip
def test_a_long_shot_is_fenced_with_its_stake_whatever_its_size(quantity: str, leverage: str) -> None:
    advice = book(BTC, ETH, algo(quantity, leverage))
    found = verdicts(advice)
    assert [v.verdict for v in found] == ["pool", "pool", "ring-fence"]
    assert found[2].margin == advice.roles[2].initial
    reasons = " ".join(found[2].reasons)
    assert f"A long shot: {leverage}×" in reasons
    assert "no path here knows" in reasons
    assert "At most its margin can be lost" in reasons


def test_the_reasons_hold_the_stake_beside_what_a_gap_takes_of_the_pool() -> None:
    advice = book(BTC, ETH, algo("5715"))
    stake, gap = 5715 * 0.21 / 40, float(GAP) * 5715 * 0.21
    text = " ".join(verdicts(advice)[2].reasons)
    assert "it can lose that, 30.01 USDT or 0.6 % of the capital" in text  # 30.00375 in cents up
    assert f"takes {gap / CAPITAL:.1%} of the capital, {gap / stake:.0f} times as much" in text


def test_a_fence_that_the_paths_do_not_ask_for_says_so() -> None:
    """A short in a book of longs is calmer in the pool; its tail is no better known for that."""
    advice = book(BTC, ETH, algo("7143", side="short"))
    assert [v.verdict for v in verdicts(advice)] == ["pool", "pool", "ring-fence"]
    pooled = next(item.trial for item in advice.turned if item.position == 2)
    assert pooled is not None
    gain = advice.scores[pooled.holding.name].share - advice.scores[advice.chosen].share
    assert 0 < gain < FENCE
    assert "too little for a tail that is not" in " ".join(verdicts(advice)[2].reasons)


@pytest.mark.parametrize("other", [
    ("ALGOUSDT", "long", "5715", "0.21", "9", None),  # a gap takes 0.5 · 9 = 4.5 times its margin
    ("ALGOUSDT", "long", "5715", "0.21", "40", "150"),  # the margin behind it is that of 8×
])  # fmt: skip
def test_more_margin_makes_a_small_coin_no_long_shot(other: tuple[str, str, str, str, str, str | None]) -> None:
    advice = book(BTC, ETH, other)
    assert advice.roles[2].kind == "other"
    assert GAP * 9 < LONG_SHOT <= GAP * 10
    assert verdicts(advice)[2].verdict == "pool"  # 24 % of the capital in one coin: one pool outlasts it


@pytest.mark.parametrize(("rows", "kind"), [
    ((("BTCUSDT", "short", "0.06", "117590", "40", None), ("ETHUSDT", "long", "2", "4300", "3", None)), "hedge"),
    ((("BTCUSDT", "long", "0.01", "117590", "40", None), ETH), "other"),
])  # fmt: skip
def test_the_same_leverage_on_a_major_coin_or_in_a_hedge_is_pooled_by_the_evidence(
    rows: tuple[tuple[str, str, str, str, str, str | None], ...], kind: str
) -> None:
    advice = book(*rows)
    assert advice.roles[0].kind == kind
    assert [v.verdict for v in verdicts(advice)] == ["pool", "pool"]


def test_a_hedge_on_one_small_coin_is_a_hedge_at_any_leverage() -> None:
    advice = book(algo("20000", "40"), algo("19000", "40", "short"))
    assert {role.kind for role in advice.roles} == {"hedge"}
    assert verdicts(advice)[0].reasons[0].startswith("It hedges ALGOUSDT short")
    assert [v.verdict for v in verdicts(advice)] == ["pool", "pool"]


def test_a_long_shot_alone_is_fenced_from_the_rest_of_the_capital() -> None:
    advice = book(algo("7143"))
    assert [v.verdict for v in verdicts(advice)] == ["ring-fence"]
    own, given = advice.trial(advice.chosen), advice.trial("as given")
    assert own.worst.share > given.worst.share


def test_several_long_shots_are_all_fenced() -> None:
    advice = book(BTC, algo("5715"), ("NEARUSDT", "long", "400", "3", "20", None))
    assert [v.verdict for v in verdicts(advice)] == ["pool", "ring-fence", "ring-fence"]


def test_a_long_shot_that_is_fenced_already_stays_as_it_is() -> None:
    advice = book(BTC, ETH, algo("5715", margin="30.01"), wallet=CAPITAL - 30)
    assert [(v.verdict, v.changed) for v in verdicts(advice)] == [
        ("pool", False),
        ("pool", False),
        ("ring-fence", False),
    ]
