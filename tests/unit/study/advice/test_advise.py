"""Advice: the cases that must come out with reasons, and that what is said of paths is what happens on them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from math import isclose, log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ringfence import guard_rails
from ringfence.account import MarginMode
from ringfence.account_file import AccountFile, parse, read
from ringfence.errors import BadAccount, BadConfiguration, BadTape
from ringfence.margin.change import Fill
from ringfence.margin.rails import against_rails
from ringfence.study.advice.advise import Advice, advise
from ringfence.study.advice.alert import alert_level
from ringfence.study.advice.as_json import as_json
from ringfence.study.advice.beginning import rails
from ringfence.study.advice.circumstances import Circumstances, circumstances_of
from ringfence.study.advice.groups import dated
from ringfence.study.advice.holding import Place, book_of, hold, initial_margins
from ringfence.study.advice.moves import MINUTES_A_DAY, moves_of
from ringfence.study.advice.page import html_page
from ringfence.study.advice.scene import Outlook, scenes
from ringfence.study.advice.stake import CEILING, STAKE
from ringfence.study.advice.steps import steps
from ringfence.study.advice.trials import Runner
from ringfence.study.advice.words import NO_ADVICE, account_wide, unknown, verdicts
from ringfence.study.likelihood import numpy
from ringfence.study.volatility import fewest_returns
from ringfence.tape.csv_file import read_csv_text

if TYPE_CHECKING:
    from ringfence.account import Account

CASES = Path(__file__).parent / "cases"
FEW = Outlook(days=7, paths=2_000, seed=3)


def case(name: str) -> AccountFile:
    return read(CASES / f"{name}.json")


def advised(file: AccountFile, **changed: Any) -> Advice:
    symbols = [position.symbol for position in file.account.positions]
    told = circumstances_of(experience=None, purposes=[], symbols=symbols, file=file.circumstances)
    settings: dict[str, Any] = {"circumstances": told, "outlook": FEW, **changed}
    return advise(file.account, marks=file.marks, rulebook=file.rulebook(), **settings)


@cache
def of_case(name: str) -> Advice:
    return advised(case(name))


def said(advice: Advice, index: int) -> str:
    return " ".join(verdicts(advice)[index].reasons)


# ── The cases ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_somebody_new_is_isolated_with_ceilings_a_small_stake_and_a_way_to_cross() -> None:
    advice = of_case("new_trader")
    found = verdicts(advice)
    assert [(v.verdict, v.margin) for v in found] == [
        ("ring-fence", Decimal("99.96")),  # 0.00425 · 117590 ÷ 5, in cents up
        ("ring-fence", Decimal("99.90")),  # 66.6 · 3 ÷ 2
    ]
    assert all("new to this" in v.reasons[0] for v in found)
    whole = " ".join(account_wide(advice))
    assert f"BTCUSDT 20× → {CEILING['bitcoin']}×" in whole
    assert f"NEARUSDT 10× → {CEILING['small']}×" in whole
    todo = " ".join(steps(advice))
    # 2000 · 5 % at 2× of 3 USDT: 66.666 stay of 500, three digits of them, for the lot is not known
    assert STAKE["new"] == Decimal("0.05")
    assert "NEARUSDT long: close 433.4 of 500" in todo
    assert "guardrails.toml" in todo
    assert "Month 1" in todo
    assert "Then pool what hedges itself" in todo


def test_the_guard_rails_of_somebody_new_are_a_file_that_lets_what_is_advised_pass_and_no_more() -> None:
    advice = of_case("new_trader")
    step = next(step for step in steps(advice) if "guardrails.toml" in step)
    limits = guard_rails.parse(tomllib.loads(step.partition("\n")[2]), where="test")
    rulebook, marks = advice.book.rulebook, advice.book.marks
    empty = replace(advice.given, positions=(), orders=())
    least = Decimal("0.001")
    for position, role in zip(advice.book.positions, advice.roles, strict=True):
        assert limits.leverage_of(position.symbol) == CEILING[role.coin]
        mark, highest = marks[position.symbol], Decimal(CEILING[role.coin])
        most = (2000 * STAKE["new"] * highest / mark).quantize(least, rounding=ROUND_FLOOR)
        for quantity, leverage, passes in (
            (most, highest, True),
            (most + least, highest, False),
            (least, highest + 1, False),
        ):
            fill = Fill(position.symbol, quantity, mark, leverage, MarginMode.ISOLATED)
            refusal = against_rails(empty, fill, limits, marks=marks, rulebook=rulebook)
            assert (refusal is None) is passes, refusal


def test_a_symbol_that_is_no_bare_key_is_quoted_in_the_guard_rails() -> None:
    advice = of_case("new_trader")
    renamed = replace(advice.given, positions=(replace(advice.given.positions[0], symbol="BTC/USDT:USDT"),))
    text = rails(advice._replace(given=renamed))
    assert guard_rails.parse(tomllib.loads(text), where="test").leverage_by_symbol == {"BTC/USDT:USDT": 5}


@pytest.mark.parametrize(
    ("mark", "share", "how"),
    [
        ("60000", "44.0 %", "its margin, less its loss so far,"),  # (62000 ÷ 20 − 2000) ÷ (4500 − 2000)
        ("62000", "68.9 %", "its margin can"),  # 3100 ÷ 4500
        ("63000", "74.5 %", "its margin and its gain"),  # (3100 + 1000) ÷ (4500 + 1000)
        ("58000", "0.0 %", "its margin, less its loss so far,"),  # 3100 − 4000 < 0
    ],
)
def test_what_an_isolated_position_can_still_lose_is_its_margin_and_its_pnl(mark: str, share: str, how: str) -> None:
    held = {"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "62000", "mark_price": mark,
            "leverage": "20", "margin_mode": "isolated", "isolated_margin": "3100"}  # fmt: skip
    body = {"wallet": {"USDT": "1400"}, "positions": [held]}
    file = parse({"rulebook": "binance-usdm", "account": body}, where="test")
    found = advised(file, circumstances=None, outlook=Outlook(days=1, paths=500, seed=3))
    text = said(found._replace(chosen="as given"), 0)
    assert f"At most {how}" in text
    assert f"can be lost: {share} of the capital" in text


def test_a_strategy_under_test_gets_an_account_of_its_own_beside_a_pooled_book() -> None:
    advice = of_case("testing")
    btc, eth, link = verdicts(advice)
    assert (btc.verdict, eth.verdict, link.verdict, link.account) == ("pool", "pool", "ring-fence", "test")
    assert "decided before it runs" in link.reasons[0]
    assert any("Open the sub-account “test”, transfer" in step for step in steps(advice))
    assert set(advice.fixed) == {2}


def test_an_automated_account_is_fenced_off_and_watched_by_something_else() -> None:
    advice = of_case("automated")
    assert {(v.verdict, v.account) for v in verdicts(advice)} == {("ring-fence", "bot")}
    assert "ringfence check" in " ".join(account_wide(advice))
    assert "key that cannot withdraw" in said(advice, 0)


def test_a_long_shot_on_a_small_coin_is_fenced_because_the_rest_dies_with_it_otherwise() -> None:
    advice = of_case("long_shot")
    btc, eth, algo = verdicts(advice)
    assert (btc.verdict, eth.verdict, algo.verdict) == ("pool", "pool", "ring-fence")
    assert algo.margin == Decimal("735.00")  # 70000 · 0.21 ÷ 20
    assert "A long shot: 20×" in said(advice, 2)
    pooled = next(item.trial for item in advice.turned if item.position == 2)
    assert pooled is not None
    own = advice.trial(advice.chosen)
    assert pooled.rest[2].share > own.rest[2].share + 5 * pooled.rest[2].error
    assert pooled.worst.share < own.worst.share


def test_a_small_long_shot_is_fenced_too_though_it_is_likely_to_die_there() -> None:
    held = [
        ("AVAXUSDT", "long", "150", "26.7", "5"), ("LINKUSDT", "long", "200", "21.1", "5"),
        ("BTCUSDT", "short", "0.06", "117590", "10"), ("ALGOUSDT", "long", "20000", "0.21", "20"),
    ]  # fmt: skip
    names = ("symbol", "side", "quantity", "entry_price", "leverage")
    body = {"wallet": {"USDT": "3000"}, "positions": [dict(zip(names, row, strict=True)) for row in held]}
    advice = advised(parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test"))
    found = verdicts(advice)
    assert [v.verdict for v in found] == ["pool", "pool", "pool", "ring-fence"]
    assert found[3].margin == Decimal("210.00")
    assert advice.trial(advice.chosen).by_position[3].share > 0.5
    assert any("add nothing when it is called" in step for step in steps(advice))


@pytest.mark.parametrize(("name", "kind"), [("delta_neutral", "delta-neutral"), ("calendar_spread", "calendar spread")])
def test_a_hedge_is_pooled_because_isolating_a_leg_breaks_it(name: str, kind: str) -> None:
    advice = of_case(name)
    assert [v.verdict for v in verdicts(advice)] == ["pool", "pool"]
    own = advice.trial(advice.chosen)
    for index in (0, 1):
        assert kind in said(advice, index)
        assert "leaves its hedge bare" in said(advice, index)
        turned = next(item.trial for item in advice.turned if item.position == index)
        assert turned is not None
        assert turned.liquidated.share > own.liquidated.share + 5 * turned.liquidated.error


def test_coin_margined_beside_dollar_margined_is_one_account_where_the_venue_has_one() -> None:
    advice = of_case("coin_margined")
    assert [v.how for v in verdicts(advice)] == ["multi-asset account", "multi-asset account"]
    assert advice.groups[0].kind == "hedge across assets"
    assert "a gain in another asset then stands behind a loss" in said(advice, 0)
    given, own = advice.trial("as given"), advice.trial(advice.chosen)
    assert own.liquidated.share + 5 * given.liquidated.error < given.liquidated.share
    assert any("Switch the account to multi-asset mode" in step for step in steps(advice))
    assert any("Portfolio margin would need" in sentence for sentence in account_wide(advice))


def test_coin_margined_beside_dollar_margined_shares_nothing_where_it_has_none_and_says_so() -> None:
    file = case("coin_margined")
    body = {"rulebook": "binance-coinm", "as_of": "2025-10-10", "contracts": {
        **file.contracts, "BTCUSDT": {"settle_asset": "USDT", "tiers": [{"floor": "0", "maintenance_rate": "0.004"}]}},
        "account": json.loads((CASES / "coin_margined.json").read_text())["account"]}  # fmt: skip
    advice = advised(parse(body, where="test"), circumstances=None)
    assert [v.how for v in verdicts(advice)] == ["cross USDT", "cross BTC"]
    assert "a gain in BTC does not keep it alive" in said(advice, 0)
    assert any("keep both funded" in sentence for sentence in account_wide(advice))


def test_several_low_leverage_positions_on_majors_are_pooled() -> None:
    advice = of_case("majors")
    assert {(v.verdict, v.changed) for v in verdicts(advice)} == {("pool", True)}
    assert "Low leverage on a major coin" in said(advice, 0)
    assert any("switch to cross" in step for step in steps(advice))


def test_every_advice_says_what_it_does_not_know_and_that_it_is_none() -> None:
    bare = advised(case("majors"), circumstances=None)
    assert "how experienced you are" in " ".join(unknown(bare))
    document = as_json(bare, "majors.json")
    assert document["disclaimer"] == NO_ADVICE
    assert document["simulation"]["seed"] == FEW.seed
    page = html_page(bare, title="majors <1>")
    assert NO_ADVICE in page
    assert "majors &lt;1&gt;" in page
    assert page.count("<svg") == len(bare.trials.trials)


def test_the_same_question_has_the_same_answer_and_the_fast_lane_says_what_the_exact_one_says() -> None:
    one, again = of_case("long_shot"), advised(case("long_shot"))
    assert json.dumps(as_json(one)) == json.dumps(as_json(again))
    checked = one.trials.agreement + one.crashes.agreement
    assert checked.same == checked.looks
    assert checked.looks > 100
    assert checked.difference < 0.05  # a portfolio's requirement is read off curves; by tiers it is the same number


# ── What it stands on ────────────────────────────────────────────────────────────────────────────────────────────


def test_every_way_holds_the_same_capital_and_the_same_positions() -> None:
    advice = of_case("long_shot")
    sizes = [(p.symbol, p.quantity) for p in advice.given.positions]
    for trial in advice.trials.trials:
        accounts = trial.holding.accounts.values()
        assert sorted((p.symbol, p.quantity) for a in accounts for p in a.positions) == sorted(sizes)
        assert sum(_cash(account) for account in accounts) == Decimal(5000)


def _cash(account: Account) -> Decimal:
    isolated = sum((p.isolated_margin or Decimal(0) for p in account.positions), Decimal(0))
    return isolated + sum((held or Decimal(0) for held in account.wallet.values()), Decimal(0))


def test_paths_have_the_volatility_and_correlation_they_are_drawn_from_and_no_drift() -> None:
    np = numpy()
    file = case("majors")
    book = book_of(file.account, file.marks, file.rulebook())
    moves = moves_of(("BTCUSDT", "ETHUSDT"), correlations={("BTCUSDT", "ETHUSDT"): 0.6})
    outlook = Outlook(days=1, paths=40_000, seed=1, tail=30.0, steps=24)
    ends = np.concatenate([scene.prices[-1] for scene in scenes(np, book, moves.estimate.symbols, moves, outlook)])
    starts = np.array([117590.0, 4300.0])
    returns = np.log(ends / starts)
    assert isclose(float(returns[:, 0].std()), 0.026, rel_tol=0.03)
    assert isclose(float(returns[:, 1].std()), 0.036, rel_tol=0.03)
    assert isclose(float(np.corrcoef(returns.T)[0, 1]), 0.6, abs_tol=0.02)
    assert abs(float((ends / starts).mean()) - 1) < 4 * 0.036 / sqrt(80_000)


def test_a_position_alone_dies_as_often_as_a_driftless_walk_crosses_its_edge() -> None:
    """One long position, thin tails: the reflection principle gives the chance to touch a level."""
    body = {"wallet": {"USDT": "11759"}, "positions": [
        {"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "117590", "leverage": "10"}]}  # fmt: skip
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    advice = advised(file, outlook=Outlook(days=7, paths=20_000, seed=1, tail=200.0), circumstances=None)
    own = advice.trial(advice.chosen)
    pool = next(a for _, a in own.holding.assessed(file.marks, file.rulebook()))
    from ringfence.margin.price import liquidation_prices

    price = liquidation_prices(pool, "BTCUSDT").below
    assert price is not None
    sigma = 0.026 * sqrt(7)
    step = 0.026 / sqrt(24)
    distance = log(117590 / float(price)) + 0.5826 * step  # a walk in steps: Broadie, Glasserman and Kou 1997
    from statistics import NormalDist

    drift = -(sigma**2) / 2
    phi = NormalDist().cdf
    touched = phi((-distance - drift) / sigma) + _image(distance, drift, sigma, phi)
    assert abs(own.liquidated.share - touched) < 4 * own.liquidated.error + 0.005


def _image(distance: float, drift: float, sigma: float, phi: Any) -> float:
    from math import exp

    return float(exp(-2 * drift * distance / sigma**2) * phi((-distance + drift) / sigma))


@pytest.mark.parametrize("name", ["long_shot", "delta_neutral", "calendar_spread", "majors", "new_trader"])
def test_while_nobody_acts_no_split_of_the_capital_outlives_one_pool(name: str) -> None:
    """Where every pool stands, so does their sum: balances and requirements add up, and what is idle is not below 0."""
    np = numpy()
    file = case(name)
    book = book_of(file.account, file.marks, file.rulebook())
    moves = moves_of(tuple(dict.fromkeys(p.symbol for p in book.positions)), volatilities=None)
    margins = initial_margins(book)
    pooled = hold(book, "pooled", "", [Place("cross")] * len(margins))
    split = hold(book, "split", "", [Place("isolated", margin) for margin in margins])
    mixed = hold(book, "mixed", "", [Place("isolated", margins[0]), *[Place("cross")] * (len(margins) - 1)])
    runner = Runner(np, book)
    outlook = Outlook(days=30, paths=3_000, seed=5)
    for scene in scenes(np, book, moves.estimate.symbols, moves, outlook):
        together = runner.play(scene, pooled).dead
        for other in (split, mixed):
            assert not (together & ~runner.play(scene, other).dead).any()


def test_at_the_alert_level_the_reaction_time_is_that_many_deviations_away() -> None:
    file = case("majors")
    book = book_of(file.account, file.marks, file.rulebook())
    moves = moves_of(tuple(p.symbol for p in book.positions))
    holding = hold(book, "all cross", "", [Place("cross")] * 4)
    pool = next(a for _, a in holding.assessed(file.marks, file.rulebook()) if a.lines)
    level = alert_level(pool, moves.estimate, minutes=60, sigmas=2.0)
    assert level is not None
    values = [float(p.quantity * file.marks[p.symbol]) for p in book.positions]
    sigmas = [v * moves.daily(p.symbol) / sqrt(MINUTES_A_DAY / 60) for v, p in zip(values, book.positions, strict=True)]
    rho = [[moves.estimate.correlation(a.symbol, b.symbol) for b in book.positions] for a in book.positions]
    spread = sqrt(sum(sigmas[i] * sigmas[j] * rho[i][j] for i in range(4) for j in range(4)))
    assert pool.liquidation_requirement is not None
    exactly = 1 + 2 * spread / float(pool.liquidation_requirement)
    assert 0 <= float(level) - exactly <= 0.05


def test_dated_contracts_are_told_by_their_names() -> None:
    assert all(dated(name) for name in ("BTCUSDT_251226", "BTC-USDT-260327", "BTC-27DEC24", "XBTZ25"))
    assert not any(dated(name) for name in ("BTCUSDT", "BTC-USDT-SWAP", "PF_XBTUSD", "1000SHIBUSDT"))


# ── Bad input ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_correlations_that_cannot_hold_together_are_refused_with_the_book_that_shows_it() -> None:
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    pairs = {("BTCUSDT", "ETHUSDT"): 0.9, ("ETHUSDT", "SOLUSDT"): 0.9, ("BTCUSDT", "SOLUSDT"): -0.9}
    with pytest.raises(BadConfiguration, match="cannot hold together") as caught:
        moves_of(symbols, correlations=pairs)
    assert "would have the variance -" in (caught.value.found or "")
    assert moves_of(symbols, correlations={**pairs, ("BTCUSDT", "SOLUSDT"): 0.7}).estimate.correlation(
        "BTCUSDT", "SOLUSDT"
    ) == pytest.approx(0.7)


@pytest.mark.parametrize(("given", "match"), [
    ({("BTCUSDT", "XUSDT"): 0.5}, "not held"), ({("BTCUSDT", "ETHUSDT"): 1.5}, "not a correlation"),
])  # fmt: skip
def test_overrides_that_mean_nothing_are_refused(given: dict[tuple[str, str], float], match: str) -> None:
    with pytest.raises(BadConfiguration, match=match):
        moves_of(("BTCUSDT", "ETHUSDT"), correlations=given)


def test_a_tape_too_short_is_refused_with_how_short_it_is() -> None:
    rows = "\n".join(
        f"2025-01-01T00:{minute:02}:00Z,{symbol},{price + minute},{price + minute},{price + minute},{price + minute}"
        for minute in range(40)
        for symbol, price in (("BTCUSDT", 100000), ("NEARUSDT", 30))
    )
    tape = read_csv_text(f"ts,symbol,open,high,low,close\n{rows}\n", name="short", file="short.csv")
    with pytest.raises(BadTape, match="too short") as caught:
        advised(case("new_trader"), tape=tape)
    assert f"at least {fewest_returns(2)} returns" in (caught.value.expected or "")
    assert (caught.value.found or "").startswith("39, ")


def test_an_account_without_positions_or_with_an_unknown_balance_is_refused() -> None:
    held = [{"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "100000", "leverage": "10"}]
    for body, match in (
        ({"wallet": {"USDT": "1"}}, "no position"), ({"wallet": {"USDT": None}, "positions": held}, "not known"),
    ):  # fmt: skip
        file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
        with pytest.raises(BadAccount, match=match):
            advised(file, circumstances=None)


def test_circumstances_that_are_no_words_of_ours_are_refused() -> None:
    with pytest.raises(BadConfiguration, match="not known"):
        circumstances_of(experience="expert", purposes=[], symbols=["BTCUSDT"])
    with pytest.raises(BadConfiguration, match="not held"):
        circumstances_of(experience=None, purposes=["ETHUSDT=bot"], symbols=["BTCUSDT"])
    found = circumstances_of(
        experience="new", purposes=["BTCUSDT=bot", "trading"], symbols=["BTCUSDT"], file={"experience": "experienced"}
    )
    assert (found.experience, found.purpose, found.purpose_of("BTCUSDT")) == ("new", "trading", "bot")


def test_who_holds_to_hedge_is_told_when_nothing_of_it_hedges() -> None:
    told = Circumstances("experienced", "hedging")
    assert any("nothing of it hedges anything" in s for s in account_wide(advised(case("majors"), circumstances=told)))
    assert not any("You hold this to hedge" in sentence for sentence in account_wide(of_case("delta_neutral")))


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(BadConfiguration, match="cannot be simulated"):
        advised(case("majors"), outlook=Outlook(paths=10))


@pytest.mark.parametrize("experience", [None, "new"])
def test_an_account_that_owes_its_settlement_asset_is_advised_on_without_the_ways_it_cannot_fund(
    experience: str | None,
) -> None:
    body = {
        "collateral_mode": "multi_asset", "wallet": {"USDT": "-2000", "BTC": "0.5"},
        "collateral": {"BTC": {"index": "60000"}, "USDT": {"index": "1"}},
        "positions": [{"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "62000",
                       "mark_price": "60000", "leverage": "10"}],
    }  # fmt: skip
    file = parse({"rulebook": "binance-usdm", "account": body}, where="test")
    told = circumstances_of(experience=experience, purposes=[], symbols=["BTCUSDT"], file=file.circumstances)
    advice = advised(file, circumstances=told)
    new = experience == "new"
    # 30000 − 2000 − 2000 of capital, 5 % of that at 5× of 60000: 0.108 may stay of 1
    how = "0.108 of 1, multi-asset account" if new else "multi-asset account"
    assert [(v.verdict, v.how) for v in verdicts(advice)] == [("pool", how)]
    unavailable = dict(advice.unavailable)
    cash, isolated = Decimal(-2000), 62000 / Decimal(10)
    if new:  # the loss of what is closed and its fee of 0.05 %; 0.108 held at 5×, its loss so far made good
        cash -= Decimal("0.892") * 2000 + Decimal("0.892") * 60000 * Decimal("0.0005")
        isolated = Decimal("0.108") * 60000 / 5 + Decimal("0.108") * 2000
    assert f"{(-cash).normalize():f} USDT short" in unavailable["all cross"]
    decided = "what your circumstances decide"
    assert f"{(isolated - cash).normalize():f} USDT short" in unavailable[decided if new else "all isolated"]
    assert (decided in unavailable) is new
    assert not advice.fixed


def test_a_book_that_is_liquidatable_now_is_dead_on_every_path() -> None:
    leg = {"symbol": "BTCUSDT", "side": "long", "quantity": "1", "entry_price": "117590", "leverage": "100"}
    body = {"wallet": {"USDT": "1200"}, "positions": [{**leg, "mark_price": "116500"}]}
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    # 1200 − 1090 are left of what 116500 · 0.004 require
    assert advised(file, circumstances=None).trial("as given").liquidated.share == 1
