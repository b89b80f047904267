"""The calculators' pages: what must be drawn is there, figures are the study's own, and nothing given is trusted."""

from __future__ import annotations

from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from ringfence import rulebooks
from ringfence.account import MarginMode, Position
from ringfence.account_file import parse
from ringfence.contract import Contract, ContractKind
from ringfence.study import size, size_curve, size_page
from ringfence.study.edit import Edit, Edited, edit

D = Decimal
DAY = rulebooks.load("binance-usdm").as_of
RULES = rulebooks.load("binance-usdm", DAY)
HOSTILE = "<img src=x onerror=alert(1)>&"
HEAD: dict[str, Any] = {"title": HOSTILE, "over": HOSTILE, "notes": (HOSTILE,)}


class Page(HTMLParser):
    """Reads a page: the classes and titles of its drawings and all of its text; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        assert HOSTILE not in text
        assert "&lt;img" in text
        assert "http" not in text
        assert "<script" not in text
        self.open: list[str] = []
        self.drawn: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.drawn.append((tag, dict(attrs).get("class") or ""))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.drawn.append((tag, dict(attrs).get("class") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)


def held(side: str = "long", *, leverage: str | None = "20") -> Position:
    signed = D("0.1") if side == "long" else D("-0.1")
    return Position("BTCUSDT", signed, D(100_000), MarginMode.ISOLATED, None, None if leverage is None else D(leverage))


def test_a_trade_is_drawn_over_the_price_with_its_four_prices_marked() -> None:
    answer = size.profit(RULES.contract("BTCUSDT"), side="long", quantity=D("0.1"), entry=D(100_000),
                         exit_price=D(110_000), leverage=D(20))  # fmt: skip
    trade = size_curve.course(RULES, held(), named={"exit": D(110_000)})
    text = size_page.trade_page(answer, trade, **HEAD)
    assert text == size_page.trade_page(answer, trade, **HEAD)
    page = Page(text)
    names = [kind.removeprefix("at ") for tag, kind in page.drawn if tag == "path" and kind.startswith("at ")]
    assert names == ["bankruptcy", "liquidation", "entry", "exit"]  # from the lowest price up
    assert {"entry 100,000", "exit 110,000", "bankruptcy 95,000"} <= set(page.said)
    for line in ("pnl", "left", "required"):
        assert page.drawn.count(("path", line)) == 2  # the legend's and the curve
    assert page.drawn.count(("rect", "gone")) == 1
    assert "1,000.00 USDT" in page.said


@pytest.mark.parametrize("side", ["long", "short"])
def test_the_course_holds_the_exact_figures_of_the_calculators(side: str) -> None:
    trade = size_curve.course(RULES, held(side), named={"exit": D(103_000)}, fee_rate=D("0.0005"))
    marked, at = dict(trade.marked), {point.price: point for point in trade.points}
    sign = 1 if side == "long" else -1
    fees = D("0.0005") * D("0.1") * (100_000 + 103_000)
    assert at[D(103_000)].pnl == sign * D("0.1") * 3_000 - fees
    assert at[D(100_000)].left == D("0.1") * 100_000 / 20
    found = size.liquidation(
        RULES, Position("BTCUSDT", sign * D("0.1"), D(100_000), MarginMode.ISOLATED, D(500), D(20))
    )
    assert marked["liquidation"] == found.value("liquidation_price")
    assert at[marked["bankruptcy"]].left == 0
    dying = at[marked["liquidation"]]
    assert dying.left is not None
    assert dying.required is not None
    assert abs(dying.left - dying.required) < D("1e-18")  # the liquidation price is rounded to 24 places


def test_a_trade_that_nothing_stands_behind_has_no_margin_and_no_liquidation() -> None:
    trade = size_curve.course(RULES, held(leverage=None), named={"exit": D(110_000)})
    assert [name for name, _ in trade.marked] == ["entry", "exit"]
    assert {(point.left, point.required) for point in trade.points} == {(None, None)}
    answer = size.profit(RULES.contract("BTCUSDT"), side="long", quantity=D("0.1"), entry=D(100_000),
                         exit_price=D(110_000))  # fmt: skip
    drawn = Page(size_page.trade_page(answer, trade, **HEAD)).drawn
    assert ("path", "left") not in drawn
    assert ("rect", "gone") not in drawn


def test_a_price_far_beyond_the_trade_does_not_squeeze_the_picture() -> None:
    cross = Position("BTCUSDT", D("-0.1"), D(100_000), MarginMode.CROSS, None, D(20))
    trade = size_curve.course(RULES, cross, named={}, wallet=D(100_000))
    assert size.liquidation(RULES, cross, wallet=D(100_000)).value("liquidation_price") > 3 * 100_000  # type: ignore[operator]
    assert [name for name, _ in trade.marked] == ["entry"]
    assert all(0 < point.price < 200_000 for point in trade.points)


def test_the_largest_position_follows_the_balance_and_then_the_steps_of_the_tiers() -> None:
    asked: dict[str, Any] = {
        "side": "long",
        "balance": D(5_000_000),
        "leverage": D(40),
        "price": D(100_000),
        "fee_rate": D(0),
    }
    reached = size_curve.reach(RULES, "BTCUSDT", **asked)
    answer = size.largest(RULES, "BTCUSDT", **asked)
    at = {each.leverage: each for each in reached}
    assert at[D(40)].quantity == answer.value("quantity")
    assert at[D(10)].quantity == D(5_000_000) * 10 / 100_000
    table = RULES.tiers("BTCUSDT")
    assert table is not None
    ends = [tier.max_leverage for tier in table.tiers if tier.max_leverage and tier.max_leverage >= 50]
    for end in ends[1:]:  # past its highest leverage a tier is out of reach
        after = at[end + D("0.01")]
        assert after.quantity < at[end].quantity
        assert after.refusal is not None
        assert after.refusal.reason == "leverage_above_tier"
    text = size_page.reach_page(answer, reached, leverage=D(40), **HEAD)
    assert text == size_page.reach_page(answer, reached, leverage=D(40), **HEAD)
    page = Page(text)
    assert page.drawn.count(("circle", "tier")) == 1
    assert page.drawn.count(("path", "cash")) > 1
    assert f"{answer.value('quantity')} at 40×" in page.said
    assert page.said.count("leverage above tier") > len(ends)


def test_fills_are_dots_around_their_average() -> None:
    fills = [(D("0.1"), D(100_000)), (D("0.3"), D(92_000))]
    answer = size.average(RULES.contract("BTCUSDT"), fills)
    text = size_page.average_page(answer, fills, **HEAD)
    assert text == size_page.average_page(answer, fills, **HEAD)
    page = Page(text)
    assert sum(tag == "circle" for tag, _ in page.drawn) == 2
    assert {"0.1 at 100,000", "0.3 at 92,000", "average 94,000"} <= set(page.said)


def test_fills_at_one_price_are_drawn_on_it() -> None:
    contract = Contract(HOSTILE, ContractKind.INVERSE, D(100), "BTC")
    fills = [(D(1), D("0.00012"))]
    page = Page(size_page.average_page(size.average(contract, fills), fills, **HEAD))
    assert "average 0.00012" in page.said
    assert f"{HOSTILE}: fills and their average" in "".join(page.said)


BTC = {"symbol": "BTCUSDT", "side": "long", "quantity": "0.3", "entry_price": "117000", "mark_price": "116000",
       "leverage": "20", "margin_mode": "isolated", "isolated_margin": "2000"}  # fmt: skip
ETH = {"symbol": "ETHUSDT", "side": "long", "quantity": "4", "entry_price": "4000", "mark_price": "3900",
       "leverage": "10", "margin_mode": "cross"}  # fmt: skip
LINK = {"symbol": "LINKUSDT", "side": "short", "quantity": "100", "entry_price": "20", "mark_price": "21",
        "leverage": "10", "margin_mode": "cross"}  # fmt: skip


def edited(*edits: Edit) -> Edited:
    body = {"wallet": {"USDT": "5000"}, "positions": [BTC, ETH, LINK]}
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    return edit(file.account, edits, marks=file.marks, rulebook=RULES, fee_rate=D(0))


def test_a_change_is_drawn_as_a_pair_of_bars_per_measure_of_each_changed_position() -> None:
    outcome = edited(Edit("close", "BTCUSDT", D(1) / 3, share=True), Edit("close", "LINKUSDT", D(1), share=True))
    text = size_page.change_page(outcome, RULES, **HEAD)
    assert text == size_page.change_page(outcome, RULES, **HEAD)
    page = Page(text)
    for kind in ("was", "now"):  # of two positions, and of the legend
        assert page.drawn.count(("rect", kind)) == 2 * 4 + 1
    for measure in ("liquidation price", "distance", "margin", "health"):
        assert page.said.count(measure) >= 2
    assert "not held" in page.said  # what was closed whole
    assert "Others in the same pools" in page.said
    assert "ETHUSDT long" in page.said
    assert "available USDT" in page.said
    before = next(leg for leg in outcome.before if leg.symbol == "BTCUSDT")
    assert str(before.liquidation_price) in text  # to the last digit, at the bar


def test_a_refused_change_is_said_and_draws_nothing() -> None:
    outcome = edited(Edit("leverage", "ETHUSDT", D(1_000)))
    assert outcome.refusal is not None
    page = Page(size_page.change_page(outcome, RULES, **HEAD))
    assert any(outcome.refusal.reason in said for said in page.said)
    assert not any(tag == "rect" for tag, _ in page.drawn)
