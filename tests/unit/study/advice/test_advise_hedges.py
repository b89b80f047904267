"""What hedges what in a book: legs of one symbol net first, and only what offsets a position is named as its hedge."""

from __future__ import annotations

from functools import cache

from ringfence.account_file import parse
from ringfence.study.advice.advise import Advice, advise
from ringfence.study.advice.scene import Outlook
from ringfence.study.advice.words import verdicts


@cache
def book(*rows: tuple[str, str, str, str]) -> Advice:
    held = [
        {"symbol": s, "side": side, "quantity": q, "entry_price": price, "leverage": "10"} for s, side, q, price in rows
    ]
    mode = "hedge" if len({row[0] for row in rows}) < len(rows) else "one_way"
    body = {"wallet": {"USDT": "5000"}, "positions": held, "position_mode": mode}
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    return advise(file.account, marks=file.marks, rulebook=file.rulebook(), outlook=Outlook(paths=500))


LONG, SHORT = ("BTCUSDT", "long", "0.1", "100000"), ("BTCUSDT", "short", "0.1", "100000")
ETH = ("ETHUSDT", "long", "1", "4000")


def test_legs_that_cancel_leave_nothing_for_another_coin_to_hedge() -> None:
    groups = book(LONG, SHORT, ETH).groups
    assert [group.members for group in groups] == [(0, 1)]
    assert groups[0].together == 0
    assert groups[0].correlation == -1


def test_what_legs_leave_of_each_other_hedges_another_coin() -> None:
    # 0.05 − 0.1 BTC: 5,000 short against 4,000 long in ETH, which is the wilder coin
    groups = book(("BTCUSDT", "long", "0.05", "100000"), SHORT, ETH).groups
    assert [group.members for group in groups] == [(0, 1, 2)]


def test_a_position_of_the_same_side_is_named_beside_it_and_not_as_its_hedge() -> None:
    advice = book(
        ("BTCUSDT", "long", "0.04", "100000"), ("ETHUSDT", "short", "2", "4000"), ("SOLUSDT", "long", "20", "200")
    )
    assert [group.members for group in advice.groups] == [(0, 1, 2)]
    first = " ".join(verdicts(advice)[0].reasons)
    assert "ETHUSDT short, beside SOLUSDT long:" in first
