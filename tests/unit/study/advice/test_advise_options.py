"""Advice on a book with options: what each position does, what of it to close, and what is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal, localcontext
from functools import cache
from typing import TYPE_CHECKING

import pytest

from ringfence.account_file import AccountFile, parse_text
from ringfence.errors import BadAccount
from ringfence.margin import change
from ringfence.margin.assess import assess_account
from ringfence.margin.portfolio.requirement import hedges
from ringfence.numbers import EXACT
from ringfence.study.advice.advise import Advice, advise
from ringfence.study.advice.as_json import as_json
from ringfence.study.advice.circumstances import Circumstances
from ringfence.study.advice.desk import SAFE
from ringfence.study.advice.holding import Book
from ringfence.study.advice.option_curves import Paths, Prices, Surface
from ringfence.study.advice.option_table import Table
from ringfence.study.advice.option_words import alert_of, role_of
from ringfence.study.advice.options import BARE, GIVEN
from ringfence.study.advice.page import html_page
from ringfence.study.advice.scene import Outlook
from ringfence.study.advice.steps import steps
from ringfence.study.advice.words import account_wide, unknown, verdicts
from ringfence.study.compare import compare
from ringfence.study.examples import example_text
from ringfence.study.portfolio_curve import surplus_of
from ringfence.study.stress import stress

if TYPE_CHECKING:
    from ringfence.study.advice.options import OptionsFound

D = Decimal
np = pytest.importorskip("numpy")
FEW = Outlook(days=7, paths=1_000, seed=3)
PERPETUAL, FUTURE, CALL, PUT = range(4)  # the example's positions
RICH, POOR = "0.6", "0.3"


def book(bitcoin: str = RICH, *, only: tuple[int, ...] = ()) -> AccountFile:
    document = json.loads(example_text("hedged-options"))
    document["account"]["wallet"] = {"BTC": bitcoin}
    if only:
        document["account"]["positions"] = [document["account"]["positions"][index] for index in only]
    return parse_text(json.dumps(document), where="hedged-options")


@cache
def advised(bitcoin: str = RICH, *, only: tuple[int, ...] = (), experience: str | None = None) -> Advice:
    file = book(bitcoin, only=only)
    told = Circumstances(experience)
    return advise(file.account, marks=file.marks, rulebook=file.rulebook(), outlook=FEW, circumstances=told)


def found(advice: Advice) -> OptionsFound:
    assert advice.options is not None
    return advice.options


# ── What it stands on ────────────────────────────────────────────────────────────────────────────────────────────


def test_prices_of_a_coin_are_those_of_its_first_contract_that_is_no_option() -> None:
    assert found(advised()).leading == {"BTC": "BTC-PERPETUAL"}
    assert found(advised(only=(CALL, PUT))).leading == {"BTC": "BTC-27MAR26-70000-C"}


@pytest.mark.parametrize("ratio", [0.6, 0.93, 1.0, 1.11, 1.9])
def test_the_curves_say_what_the_exact_lane_says_near_enough(ratio: float) -> None:
    file = book()
    surface = Surface(file.account, file.marks, file.rulebook(), ("BTC",))
    exactly = surface.exactly([ratio])
    near = surface.surplus + float(surface.change(np, np.array([ratio])))
    assert near == pytest.approx(float(surplus_of(exactly)), abs=0.005 * float(exactly.liquidation_requirement or 0))
    assert exactly.margin_balance is not None
    balance = surface.balance + float(surface.gain(np, np.array([ratio])))
    assert balance == pytest.approx(float(exactly.margin_balance), abs=0.01 * surface.balance)


def test_an_account_that_holds_part_of_a_book_has_the_curves_it_has_by_itself() -> None:
    file, rulebook = book(), book().rulebook()
    shared = Prices(file.account, file.marks, rulebook, ("BTC",))
    assert shared.places is not None
    for kept in ((0, 1, 2), (2, 3), (1,), ()):
        held = replace(file.account, positions=tuple(file.account.positions[n] for n in kept))
        apart = Surface(held, file.marks, rulebook, ("BTC",))
        together = Surface(held, file.marks, rulebook, ("BTC",), shared)
        ratios = np.array([[0.1], [0.8], [1.0], [1.07], [4.0]])
        assert (together.balance, together.surplus) == pytest.approx((apart.balance, apart.surplus))
        assert together.change(np, ratios) == pytest.approx(apart.change(np, ratios), abs=1e-6)
        assert together.gain(np, ratios) == pytest.approx(apart.gain(np, ratios), abs=1e-6)


def test_paths_in_bins_lose_next_to_nothing_and_end_where_the_curves_end() -> None:
    file = book()
    surface = Surface(file.account, file.marks, file.rulebook(), ("BTC",))
    ratios = np.exp(np.random.Generator(np.random.PCG64(1)).normal(0, 0.1, (20, 50, 1)))
    ratios[3, 0] = 0.001
    exactly = surface.surplus + surface.change(np, ratios).min(axis=0)
    requirement = float(surface.assessment.liquidation_requirement or 0)
    assert surface.walk(np, Paths(np, ratios)).lowest == pytest.approx(exactly, abs=0.005 * requirement)


def test_a_draft_is_near_what_playing_the_account_gives() -> None:
    file = book(POOR)
    marks, moves = file.marks, advised(POOR).moves
    table = Table(np, Book(file.account, marks, file.rulebook()), moves, FEW, None)
    full = table.drafted(table.play(file.account))
    quick = table.draft(file.account)
    assert quick.share == pytest.approx(full.share, abs=0.01)
    assert quick.short == pytest.approx(full.short, abs=0.02 * full.short + 100)


def test_collateral_goes_on_moving_with_a_coin_whose_positions_are_all_closed() -> None:
    file = book()
    bare = replace(file.account, positions=())
    surface = Surface(bare, file.marks, file.rulebook(), ("BTC",))
    assert surface.balance == pytest.approx(0.6 * 66000)
    assert float(surface.gain(np, np.array([0.5]))) == pytest.approx(-0.5 * 0.6 * 66000, rel=0.01)


def test_the_largest_fall_is_that_of_the_worst_price_within_reach() -> None:
    file = book()
    surface = Surface(file.account, file.marks, file.rulebook(), ("BTC",))
    reach = 0.2
    inside = np.exp(np.linspace(-reach, reach, 201))[:, None]
    assert surface.fall({"BTC": reach}) == pytest.approx(-float(surface.change(np, inside).min()), rel=1e-3)


def test_a_volatility_given_for_any_symbol_of_a_coin_is_that_of_the_coin() -> None:
    file = book()
    advice = advise(
        file.account, marks=file.marks, rulebook=file.rulebook(), outlook=FEW, volatilities={"BTC-26JUN26": 0.05}
    )
    assert advice.moves.daily("BTC-PERPETUAL") == pytest.approx(0.05)


# ── Position by position ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_requirement_without_a_position_is_that_of_the_account_with_it_closed() -> None:
    advice = advised()
    file = book()
    fee = file.rulebook().contract("BTC-27MAR26-70000-C").taker_fee_rate
    assert fee is not None
    fill = change.Fill("BTC-27MAR26-70000-C", D(3), file.marks["BTC-27MAR26-70000-C"], fee_rate=fee)
    outcome = change.trade(file.account, fill, marks=file.marks, rulebook=file.rulebook())
    assert isinstance(outcome, change.Change)
    after = assess_account(outcome.account, file.marks, file.rulebook())[-1]
    assert found(advice).parts[CALL].required == after.liquidation_requirement


def test_alone_is_what_it_adds_and_what_the_others_spare_it() -> None:
    for part in found(advised()).parts:
        assert part.hedge is not None
        with localcontext(EXACT):
            assert part.hedge.alone == part.hedge.added + part.hedge.saved
            assert part.required is not None
            assert part.hedge.added == found(advised()).required - part.required


def test_a_position_does_for_the_book_what_assess_and_compare_say_though_coins_hedge() -> None:
    document = json.loads(example_text("hedged-options"))
    document["account"]["spot_hedging"] = True
    document["account"]["wallet"] = {"BTC": "1.5"}
    document["account"]["positions"] = document["account"]["positions"][FUTURE:]
    file = parse_text(json.dumps(document), where="hedged-options")
    advice = advise(file.account, marks=file.marks, rulebook=file.rulebook(), outlook=FEW)
    assessment = assess_account(file.account, file.marks, file.rulebook())[-1]
    assert assessment.portfolio is not None
    own = {hedge.name: hedge for unit in assessment.portfolio.units for hedge in hedges(assessment.portfolio, unit)}
    assert "BTC spot" in own
    for position, part in zip(file.account.positions, found(advice).parts, strict=True):
        assert part.hedge == own[f"{position.symbol} {position.side}"]
    said = " ".join(reason for verdict in verdicts(advice) for reason in verdict.reasons)
    assert "settles in the wallet" in said  # the call is settled in coins, and those hedge


def test_a_sold_call_is_a_risk_and_the_perpetual_that_covers_it_a_hedge() -> None:
    options = found(advised())
    roles = [role_of(options, part) for part in options.parts]
    assert (roles[PERPETUAL], roles[CALL], roles[PUT]) == ("hedge", "risk", "hedge")


def test_an_account_that_outlasts_enough_paths_keeps_everything() -> None:
    advice = advised()
    assert advice.trial(GIVEN).liquidated.share <= 1 - SAFE
    assert [v.verdict for v in verdicts(advice)] == ["keep"] * 4
    assert not any(v.changed for v in verdicts(advice))
    assert found(advice).needed < advice.trials.capital
    assert steps(advice)[0].startswith("Nothing has to be closed")


def test_an_account_in_danger_closes_half_of_what_endangers_it_before_all_of_it() -> None:
    advice = advised(POOR)
    assert advice.trial(GIVEN).liquidated.share > 1 - SAFE
    assert [v.verdict for v in verdicts(advice)] == ["keep", "keep", "reduce", "keep"]
    assert found(advice).parts[CALL].close == D(3) / 2
    assert advice.trial(advice.chosen).liquidated.share <= 1 - SAFE
    assert found(advice).needed > advice.trials.capital
    assert steps(advice)[:2] == (
        "BTC-27MAR26-70000-C short: close 1.5 of 3.",
        f"Or deposit {found(advice).needed - advice.trials.capital:,.0f} $ instead: either outlasts 95 % of the paths.",
    )


def test_the_deposit_that_is_named_brings_enough_paths_through() -> None:
    advice = advised(POOR)
    file = book(POOR)
    more = D(f"{found(advice).needed - advice.trials.capital + 1:.0f}")
    richer = replace(file.account, wallet={**file.account.wallet, "USDC": more})
    again = advise(richer, marks=file.marks, rulebook=file.rulebook(), outlook=FEW)
    assert again.trial(GIVEN).liquidated.share == pytest.approx(1 - SAFE, abs=0.002)


def test_an_account_that_no_few_closings_save_is_told_so_and_closes_nothing() -> None:
    advice = advised("0.004")
    assert advice.trial(GIVEN).liquidated.share == 1
    assert [v.verdict for v in verdicts(advice)] == ["keep"] * 4
    assert "says how much of every position to close instead" in steps(advice)[0]


def test_one_option_alone_that_is_too_much_is_closed_or_halved() -> None:
    advice = advised("0.16", only=(CALL,))
    assert verdicts(advice)[0].verdict in {"reduce", "close"}
    assert BARE not in {trial.holding.name for trial in advice.trials.trials}


# ── What is said ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_says_what_it_does_not_know_of_options() -> None:
    said = " ".join(unknown(advised()))
    for word in ("implied volatility moves", "none expires", "the smile", "calendar spread"):
        assert word in said


def test_an_option_that_ends_within_the_horizon_is_named() -> None:
    file = book()
    outlook = Outlook(days=45, paths=500, seed=3)
    advice = advise(file.account, marks=file.marks, rulebook=file.rulebook(), outlook=outlook)
    assert any("within the 45 simulated" in reason for reason in verdicts(advice)[PUT].reasons)


def test_a_new_trader_is_told_to_sell_no_options() -> None:
    assert any("buy options only" in text for text in account_wide(advised(experience="new")))
    assert not any("buy options only" in text for text in account_wide(advised()))


def test_the_health_to_act_at_leaves_what_three_deviations_take() -> None:
    options = found(advised())
    level = alert_of(options)
    assert level is not None
    least = 1 + options.fall / float(options.required_advised)
    assert least <= float(level) < least + 0.05 or level == D("1.25")  # the venue's call at the least
    assert any(f"--health {level}" in step for step in steps(advised()))


def test_the_document_and_the_page_have_the_same_form_as_for_any_book() -> None:
    document = as_json(advised(POOR), "book.json")
    assert document["schema"] == "ringfence.advise/1"
    assert [way["way"] for way in document["ways"]] == [GIVEN, BARE, "advised"]
    assert {item["way"] for item in document["unavailable"]} == {"all isolated", "all cross", "multi-asset"}
    assert document["positions"][CALL]["close"] == "1.5"
    assert document["positions"][CALL]["requirement"]["book"] == document["options"]["requirement"]
    json.dumps(document)
    page = html_page(advised(POOR), title="options")
    assert page.count("<svg") == 3
    assert "BTC-27MAR26-70000-C short: reduce" in page


def test_the_same_arguments_give_the_same_advice() -> None:
    assert as_json(advised.__wrapped__(POOR)) == as_json(advised(POOR))


# ── Other studies of portfolio accounts ──────────────────────────────────────────────────────────────────────────


def test_no_other_architecture_is_compared_where_options_are_held() -> None:
    file = book()
    bybit = replace(file.rulebook(), name="bybit-uta")  # the reason is the book's, whatever the venue offers
    for way in compare(file, bybit).architectures[1:]:
        if way.name != "portfolio":
            assert way.unavailable is not None
            assert "held in portfolio margin only" in way.unavailable


def test_a_book_of_options_only_has_no_edge_at_an_options_own_mark() -> None:
    file = book("0.6", only=(CALL, PUT))
    assert not stress(file.account, marks=file.marks, rulebook=file.rulebook()).grid.edges


def test_a_portfolio_whose_venue_has_no_other_known_requirement_is_judged_in_the_same_way() -> None:
    advice = advised(only=(PERPETUAL, FUTURE))
    assert not found(advice).options
    assert [v.verdict for v in verdicts(advice)] == ["keep", "keep"]
    assert not found(advice).shocks
    assert "smile" not in " ".join(unknown(advice))
    assert advice.unavailable[0][1] == "what this venue requires outside portfolio margin is not known here"


def test_what_a_portfolio_without_options_needs_is_more_than_its_requirement_by_scenarios() -> None:
    held = {"side": "long", "quantity": "1", "entry_price": "65000", "mark_price": "66000", "leverage": "10"}
    document = {
        "rulebook": "bybit-uta", "as_of": "2026-06-01",
        "account": {
            "collateral_mode": "portfolio", "wallet": {"USDT": "40000"}, "index": {"BTC": "66000"},
            "collateral": {"USDT": {"index": "1", "ratio": "1"}}, "positions": [{"symbol": "BTCUSDT", **held}],
        },
    }  # fmt: skip
    file = parse_text(json.dumps(document), where="bybit")
    advice = advise(file.account, marks=file.marks, rulebook=file.rulebook(), outlook=FEW)
    required = assess_account(file.account, file.marks, file.rulebook())[-1].liquidation_requirement
    assert advice.options is None
    assert advice.needed is not None
    assert required is not None
    assert advice.needed > float(required)


def test_a_balance_that_is_not_known_is_refused_by_name() -> None:
    file = book()
    account = replace(file.account, wallet={"BTC": None})
    with pytest.raises(BadAccount, match="balance of BTC is not known"):
        advise(account, marks=file.marks, rulebook=file.rulebook(), outlook=FEW)
