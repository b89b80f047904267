"""Somebody new: how much is left of a position, and that all that is said is of what is left."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.account_file import parse
from ringfence.study.advice.advise import GIVEN, SMALLER, advise
from ringfence.study.advice.as_json import as_json
from ringfence.study.advice.circumstances import Circumstances
from ringfence.study.advice.page import html_page
from ringfence.study.advice.scene import Outlook
from ringfence.study.advice.stake import STAKE
from ringfence.study.advice.steps import steps
from ringfence.study.advice.words import account_wide, verdicts

if TYPE_CHECKING:
    from ringfence.account_file import AccountFile
    from ringfence.study.advice.advise import Advice

FEW = Outlook(days=7, paths=1_000, seed=3)
NEW = Circumstances("new", "trading")
LOTS = {"BTCUSDT": {"settle_asset": "USDT", "tiers": [{"floor": "0", "maintenance_rate": "0.004"}],
                    "quantity_step": "0.001", "minimum_quantity": "0.001", "minimum_notional": "100"}}  # fmt: skip


def account(
    *positions: dict[str, str], wallet: dict[str, str], contracts: dict[str, Any] | None = None, **more: Any
) -> AccountFile:  # fmt: skip
    body = {"rulebook": "binance-usdm", "as_of": "2025-10-10", "contracts": contracts or {},
            "account": {"wallet": wallet, "positions": list(positions), **more}}  # fmt: skip
    return parse(body, where="test")


def held(symbol: str, quantity: str, entry: str, leverage: str | None, **more: str) -> dict[str, Any]:
    return {"symbol": symbol, "side": "long", "quantity": quantity, "entry_price": entry, "leverage": leverage, **more}


def ask(file: AccountFile, told: Circumstances = NEW, **more: Any) -> Advice:
    return advise(file.account, marks=file.marks, rulebook=file.rulebook(), circumstances=told, outlook=FEW, **more)


def sizes(advice: Advice) -> dict[str, Decimal]:
    return {f"{p.symbol} {p.side}": abs(p.quantity) for p in advice.book.positions}


BTC = held("BTCUSDT", "0.05", "100000", "20")


def test_every_way_but_as_given_holds_what_is_left_and_the_fee_is_paid() -> None:
    advice = ask(account(BTC, wallet={"USDT": "2000"}, contracts=LOTS))
    assert sizes(advice) == {"BTCUSDT long": 2000 * Decimal("0.05") * 5 / 100000}
    fee = Decimal("0.045") * 100000 * Decimal("0.0005")
    for trial in advice.trials.trials:
        of = trial.holding.accounts["main account"]
        cash = (of.wallet["USDT"] or 0) + sum((p.isolated_margin or Decimal(0) for p in of.positions), Decimal(0))
        now = trial.holding.name == GIVEN
        assert [p.quantity for p in of.positions] == [Decimal("0.05" if now else "0.005")]
        assert cash == (2000 if now else 2000 - fee)
    assert advice.trials.capital == 2000
    assert advice.holding.places[0].margin == Decimal("0.005") * 100000 / 5


def test_the_present_book_stays_beside_it_as_it_is_judged_for_anybody_else() -> None:
    file = account(BTC, held("NEARUSDT", "500", "3", "10"), wallet={"USDT": "2000"}, contracts=LOTS)
    new, other = ask(file), ask(file, Circumstances("experienced", "trading"))
    now, same = new.trial(GIVEN), other.trial(GIVEN)
    assert (now.liquidated, now.quantiles, now.used) == (same.liquidated, same.quantiles, same.used)
    assert new.scores[GIVEN] == other.scores[GIVEN]
    assert {past.kept for past in new.crashes.past if past.holding == GIVEN} == {
        past.kept for past in other.crashes.past if past.holding == GIVEN
    }
    own = new.trial(new.chosen)
    assert own.worst.share > now.worst.share
    assert own.used["USDT"] < now.used["USDT"]
    text = " ".join(account_wide(new))
    assert f"worst twentieth comes to −{-now.worst.share:.1%}" in text
    assert "not simulated" not in text


def test_what_is_left_is_held_at_the_ceiling_with_its_figures_alerts_and_margins() -> None:
    advice = ask(account(BTC, wallet={"USDT": "2000"}, contracts=LOTS))
    todo = steps(advice)
    assert "close 0.045 of 0.05 at the market (taker fee 2.25 USDT)" in todo[0]
    assert "set the leverage to 5×" in todo[1]
    assert "two taker fees, 0.50 USDT" in todo[1]  # 2 · 0.005 · 100000 · 0.05 %
    assert any("after these steps" in step for step in todo)
    (verdict,) = verdicts(advice)
    assert verdict.how == "0.005 of 0.05, isolated with 100.00 USDT"
    assert "5× (now 20×)" in " ".join(verdict.reasons)
    assert not any("more than the" in reason for reason in verdict.reasons)
    position = as_json(advice)["positions"][0]
    assert (position["quantity"], position["quantity_now"], position["leverage_now"]) == ("0.005", "0.05", "20")


@pytest.mark.parametrize(("leverage", "left"), [
    ("20", "0.005"),  # 2000 · 5 % · 5 ÷ 100000
    ("3.5", "0.003"),  # a lower leverage stays, and its stake is larger: 100 · 3.5 ÷ 100000, in lots
    (None, "0.005"),  # none given: the ceiling
])  # fmt: skip
def test_the_stake_is_reckoned_at_the_leverage_it_is_held_at(leverage: str | None, left: str) -> None:
    advice = ask(account(held("BTCUSDT", "0.05", "100000", leverage), wallet={"USDT": "2000"}, contracts=LOTS))
    assert sizes(advice) == {"BTCUSDT long": Decimal(left)}


@pytest.mark.parametrize(("mark", "left", "margin"), [
    # capital 2000 + 0.05 · PnL; at stake per contract: entry ÷ 5 + PnL above the entry, mark ÷ 5 below it
    ("110000", "0.004", "80"),  # 125 ÷ (20000 + 10000) = 0.00416…
    ("90000", "0.004", "112"),  # 75 ÷ 18000 = 0.00416…; the margin is 0.004 · (18000 + 10000)
])  # fmt: skip
def test_what_is_left_stakes_no_more_than_its_share_whatever_it_has_gained_or_lost(
    mark: str, left: str, margin: str
) -> None:
    file = account(held("BTCUSDT", "0.05", "100000", "20", mark_price=mark), wallet={"USDT": "2000"}, contracts=LOTS)
    advice = ask(file)
    assert sizes(advice) == {"BTCUSDT long": Decimal(left)}
    assert advice.holding.places[0].margin == Decimal(margin)
    gain = (Decimal(mark) - 100000) * Decimal(left)
    assert Decimal(margin) + gain <= STAKE["new"] * Decimal(repr(advice.trials.capital))


def test_a_hedge_shrinks_by_one_factor_and_stays_one() -> None:
    short = {**held("ETHUSDT", "10", "4000", "10"), "side": "short"}
    advice = ask(account(held("BTCUSDT", "0.3", "100000", "10"), short, wallet={"USDT": "10000"}))
    left = sizes(advice)
    assert left["ETHUSDT short"] == Decimal("0.625")  # 500 · 5 ÷ 4000
    assert abs(left["BTCUSDT long"] / Decimal("0.3") - left["ETHUSDT short"] / 10) < Decimal("0.001")
    assert advice.groups


def test_less_than_the_smallest_order_is_closed_whole_and_said() -> None:
    near = held("NEARUSDT", "500", "3", "10")
    advice = ask(account(BTC, near, wallet={"USDT": "350"}, contracts=LOTS))
    # 350 · 5 % · 5 ÷ 100000 is no lot; 17.5 · 2 ÷ 3 NEAR stay
    assert set(sizes(advice)) == {"NEARUSDT long"}
    closed = verdicts(advice)[-1]
    assert (closed.symbol, closed.verdict, closed.decided) == ("BTCUSDT", "close", "circumstances")
    assert "The venue's smallest order is 0.001 BTCUSDT" in closed.reasons[1]
    assert any(step.startswith("BTCUSDT long: close it, 0.05 at the market") for step in steps(advice))
    given = advice.trial(GIVEN)
    assert len(given.by_position) == 2
    assert given.by_position[1].share > 0
    assert advice.trial(advice.chosen).by_position[1].share == 0
    assert as_json(advice)["positions"][1]["verdict"] == "close"
    assert "panel close" in html_page(advice, title="t")


def test_a_book_of_which_nothing_is_left_is_cash_less_the_fee() -> None:
    advice = ask(account(BTC, wallet={"USDT": "350"}, contracts=LOTS))
    assert not advice.book.positions
    own = advice.trial(advice.chosen)
    assert own.liquidated.share == 0
    assert own.quantiles == pytest.approx((-2.5 / 350,) * 5)
    assert [v.verdict for v in verdicts(advice)] == ["close"]
    assert "Leave everything" not in " ".join(steps(advice))
    assert html_page(advice, title="t")
    assert as_json(advice)["closings"][0]["left"] == "0"


def test_an_isolated_position_keeps_its_place_and_the_venue_that_lowers_no_leverage_is_answered_with_margin() -> None:
    isolated = {**BTC, "margin_mode": "isolated", "isolated_margin": "250"}
    advice = ask(account(isolated, wallet={"USDT": "1750"}, contracts=LOTS))
    assert advice.holding.places[0].margin == 100
    todo = " ".join(steps(advice))
    assert "the venue does not lower it under an open isolated one" in todo
    assert "add 75.00 USDT of margin" in todo  # 250 · 0.005 ÷ 0.05 stay with it


def test_a_coin_margined_position_shrinks_by_the_value_of_its_coin() -> None:
    inverse = {"symbol": "BTCUSD_PERP", "side": "long", "quantity": "200", "entry_price": "100000", "leverage": "10"}
    body = {"rulebook": "binance-coinm", "as_of": "2026-03-16",
            "account": {"wallet": {"BTC": "0.1"}, "positions": [inverse]}}  # fmt: skip
    advice = ask(parse(body, where="test"))
    assert sizes(advice) == {"BTCUSD_PERP long": 10000 * Decimal("0.05") * 5 / 100}


def test_orders_that_would_undo_it_are_named() -> None:
    orders = [
        {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.02", "price": "90000"},
        {"symbol": "BTCUSDT", "side": "sell", "quantity": "0.05", "price": "120000", "reduce_only": True},
        {"symbol": "BTCUSDT", "side": "sell", "quantity": "0.001", "price": "130000", "reduce_only": True},
        {"symbol": "ETHUSDT", "side": "sell", "quantity": "1", "price": "5000"},
    ]
    advice = ask(account(BTC, wallet={"USDT": "2000"}, contracts=LOTS, orders=orders))
    first, second, third = steps(advice)[:3]
    assert "Cancel what would open more: BTCUSDT buy 0.02 at 90,000 and ETHUSDT sell 1 at 5,000" in first
    assert "Make no larger than what will be left, or cancel: BTCUSDT sell 0.05 at 120,000." in second
    assert "close 0.045" in third


def test_a_book_within_its_stakes_is_left_as_it_is() -> None:
    advice = ask(account(held("BTCUSDT", "0.004", "100000", "5"), wallet={"USDT": "2000"}, contracts=LOTS))
    assert not advice.closings
    assert SMALLER not in {trial.holding.name for trial in advice.trials.trials}
    assert "of the sizes that are left" not in " ".join(account_wide(advice))


def test_a_fee_that_is_given_is_charged() -> None:
    advice = ask(account(BTC, wallet={"USDT": "2000"}, contracts=LOTS), fee_rate=Decimal("0.001"))
    assert advice.closings[0].fee == Decimal("0.045") * 100000 * Decimal("0.001")
    assert "Closing costs 4.50 USDT in fees" in " ".join(account_wide(advice))


def test_a_basket_is_left_for_what_it_cannot_hold_isolated_step_by_step() -> None:
    file = account(BTC, wallet={"USDT": "1500", "USDC": "500"}, contracts=LOTS, collateral_mode="multi_asset")
    todo = steps(ask(file))
    assert "close 0.045 of 0.05" in todo[0]
    assert todo[1] == "Switch the account to single-asset mode; positions stay."
    assert "only without a position in it. Close it, set the leverage to 5×, switch to isolated" in todo[2]
    assert sum("set the leverage" in step for step in todo) == 1
