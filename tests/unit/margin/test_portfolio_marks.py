"""A portfolio account at other marks: index, coin and options follow; prices that do not move change nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ringfence.account import Collateral, pools
from ringfence.errors import BadAccount, BadRulebook
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.change import Fill, trade
from ringfence.margin.move import combined_move
from ringfence.margin.order import check_order
from ringfence.margin.portfolio.black76 import Option, price
from ringfence.margin.portfolio.marks import at_marks
from ringfence.margin.price import bankruptcy_price, liquidation_prices
from ringfence.margin.refusal import Refusal
from tests.unit.margin.portfolio_books import (
    BTC,
    NOW,
    assessed,
    book,
    future,
    held,
    inverse,
    mark_of,
    option,
    perpetual,
    rules,
)

if TYPE_CHECKING:
    from ringfence.account import Account, OpenOrder, Pool
    from ringfence.contract import Contract
    from ringfence.rulebook import Rulebook

D = Decimal
_CALL = option("66000", days=40)
_PERP = perpetual("BTCUSDT")


def _pool(*positions: tuple[Contract, object], **more: object) -> tuple[Pool, dict[str, Decimal], Rulebook, Account]:
    account = book(*positions, **more)  # type: ignore[arg-type]
    account = replace(account, collateral={**account.collateral, "BTC": Collateral(index=BTC, moves_with="BTC")})
    rulebook = rules("deribit", *positions)  # type: ignore[arg-type]
    marks = {contract.symbol: mark_of(contract) for contract, _ in positions}
    return pools(account, rulebook.contract)[-1], marks, rulebook, account


def test_a_mark_that_moves_takes_index_coin_and_options_along() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), held(_CALL, "-2"), wallet={"USDT": "9000", "BTC": "1"})
    after, moved = at_marks(pool, {**marks, "BTCUSDT": BTC * D("1.1")}, rulebook.contract)
    assert after.risk is not None
    assert after.risk.index["BTC"] == BTC * D("1.1")
    assert after.collateral["BTC"].index == BTC * D("1.1")
    was, now = (
        price(Option(call=True, moneyness=66000 / spot, days=40.0, volatility=0.6, rate=0.0)) * D(spot)
        for spot in (60000, 66000)
    )
    assert moved[_CALL.symbol] == 3000 + (now - was)


def test_marks_as_they_were_leave_pool_and_marks_alone() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), held(_CALL, "-2"))
    after, moved = at_marks(pool, marks, rulebook.contract)
    assert after is pool
    assert moved == marks


def test_a_mark_named_index_moves_a_unit_that_holds_options_only() -> None:
    pool, marks, rulebook, _ = _pool(held(_CALL, "-2"))
    after, moved = at_marks(pool, {**marks, "index:BTC": D(54000)}, rulebook.contract)
    assert after.risk is not None
    assert after.risk.index["BTC"] == 54000
    assert moved[_CALL.symbol] < 3000
    assert "index:BTC" not in moved


def test_other_contracts_of_a_unit_keep_their_marks() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), held(inverse(), "-60000"), wallet={"USDT": "9000", "BTC": "1"})
    _, moved = at_marks(pool, {**marks, "BTCUSDT": D(61000)}, rulebook.contract)
    assert moved["BTC-PERPETUAL"] == BTC


def test_without_an_index_the_leading_contract_s_mark_stands_in_and_is_told() -> None:
    account = replace(book(held(_PERP, "1")), collateral={"USDT": Collateral()})
    account = replace(account, risk=None)
    found = assess_account(account, {"BTCUSDT": D(61000)}, rules("okx-swap", held(_PERP, "1")))[0]
    assert found.portfolio is not None
    assert found.portfolio.units[0].index == 61000
    assert "index price: none is given for BTC, the mark of BTCUSDT stands in" in found.portfolio.assumptions


def test_an_option_s_whole_price_is_equity_not_only_what_it_gained() -> None:
    long = assessed("deribit", held(_CALL, "2", entry="1000"))
    assert long.margin_balance == 100000 + 2 * 3000
    assert long.lines[0].unrealised_pnl == 2 * (3000 - 1000)
    short = assessed("deribit", held(_CALL, "-2", entry="1000"))
    assert short.margin_balance == 100000 - 2 * 3000


def test_trading_an_option_pays_or_brings_its_whole_price() -> None:
    _, marks, rulebook, account = _pool(held(_CALL, "2", entry="1000"))
    sold = trade(account, Fill(_CALL.symbol, D(-1), D(3000)), marks=marks, rulebook=rulebook)
    assert not isinstance(sold, Refusal)
    assert sold.account.wallet["USDT"] == 103000
    assert assess_account(sold.account, marks, rulebook)[0].margin_balance == 106000


def test_equity_does_not_change_by_trading_at_the_mark() -> None:
    _, marks, rulebook, account = _pool(held(_CALL, "2", entry="1000"), held(_PERP, "-1"))
    before = assess_account(account, marks, rulebook)[0].margin_balance
    for fill in (Fill(_CALL.symbol, D(1), D(3000)), Fill(_CALL.symbol, D(-5), D(3000)), Fill("BTCUSDT", D(1), BTC)):
        outcome = trade(account, fill, marks=marks, rulebook=rulebook)
        assert not isinstance(outcome, Refusal)
        assert assess_account(outcome.account, marks, rulebook)[0].margin_balance == before


def test_prices_below_and_above_are_edges_of_the_exact_requirement() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), held(_CALL, "-3"), wallet={"USDT": "22000"})
    found = assess(pool, marks, rulebook)
    prices = liquidation_prices(found, "BTCUSDT")
    assert prices.below is not None
    assert prices.above is not None
    assert prices.below < BTC < prices.above
    for edge, nearer in ((prices.below, D("0.1")), (prices.above, D("-0.1"))):
        assert assess(pool, {**marks, "BTCUSDT": edge}, rulebook).liquidatable
        assert not assess(pool, {**marks, "BTCUSDT": edge + nearer}, rulebook).liquidatable


@pytest.mark.parametrize("wallet", ["9000", "20000"])
def test_a_price_is_the_same_whichever_contract_of_its_unit_is_searched_first(wallet: str) -> None:
    near, far = (
        held(replace(future(days, name), price_step=D(step)), quantity)
        for days, name, step, quantity in ((20, "BTC-NEAR", "0.5", "3"), (90, "BTC-FAR", "0.01", "-2"))
    )
    call = held(_CALL, "-1")
    for symbol in ("BTC-NEAR", "BTC-FAR"):
        one, other = (
            liquidation_prices(assessed("deribit", *book, wallet={"USDT": wallet}), symbol)
            for book in ((near, far, call), (far, near, call))
        )
        assert one == other
        assert one != (None, None, True)


def test_an_account_that_is_liquidatable_gets_the_prices_at_which_it_would_be_no_more() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "-1"), wallet={"USDT": "7000"})
    found = assess(pool, marks, rulebook)
    assert found.liquidatable
    above = liquidation_prices(found, "BTCUSDT").above
    assert above is not None
    assert above < BTC
    assert not assess(pool, {**marks, "BTCUSDT": above - D("0.1")}, rulebook).liquidatable
    assert assess(pool, {**marks, "BTCUSDT": above}, rulebook).liquidatable


def test_an_option_has_no_liquidation_price_and_no_position_a_bankruptcy_price() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), held(_CALL, "-3"), wallet={"USDT": "22000"})
    found = assess(pool, marks, rulebook)
    assert liquidation_prices(found, _CALL.symbol) == (None, None, True)
    assert [bankruptcy_price(found, line) for line in found.lines] == [None, None]


def test_the_combined_move_agrees_with_the_price_where_one_contract_is_held() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), wallet={"USDT": "20000"})
    move = combined_move(pool, marks, rulebook)
    below = liquidation_prices(assess(pool, marks, rulebook), "BTCUSDT").below
    assert below is not None
    assert move.down is not None
    assert abs(BTC * (1 + move.down) - below) <= D("0.1")
    assert not move.exact


def _order(quantity: str, price: str = "60000") -> OpenOrder:
    from ringfence.account import OpenOrder

    return OpenOrder("BTCUSDT", D(quantity), D(price))


def test_an_order_that_hedges_needs_nothing_and_one_that_adds_needs_its_share() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), wallet={"USDT": "20000"})
    hedge = check_order(pool, _order("-1"), marks, rulebook)
    assert hedge.accepted
    assert hedge.needed == 0
    add = check_order(pool, _order("0.5"), marks, rulebook)
    # 16 % and 1 % of half a coin more
    assert add.needed == BTC / 2 * D("0.17")
    assert add.accepted
    assert not check_order(pool, _order("2"), marks, rulebook).accepted


def test_orders_count_by_their_worse_side_together() -> None:
    pool, marks, rulebook, _ = _pool(held(_PERP, "1"), wallet={"USDT": "90000"})
    orders = (_order("0.5"), _order("1"), _order("-4"))
    found = assess(replace(pool, orders=orders), marks, rulebook)
    # all buys: 2.5 coins long; all sells: 3 short, which is more
    assert found.order_margin == BTC * D("0.17") * (3 - 1)


def test_a_venue_without_rules_of_portfolio_margin_says_so() -> None:
    with pytest.raises(BadRulebook, match="gate-usdtm has no rules of portfolio margin"):
        assessed("gate-usdtm", held(_PERP, "1"))
    with pytest.raises(BadRulebook, match="no portfolio margin of okx-swap on 2024-01-01") as caught:
        assessed("okx-swap", held(_PERP, "1"), day="2024-01-01")
    assert "2024-12-30" in str(caught.value)


def test_an_option_past_its_expiry_cannot_be_assessed() -> None:
    late = replace(_CALL, expiry=NOW)
    with pytest.raises(BadAccount, match="is past its expiry"):
        assessed("deribit", held(late, "1"))


def test_units_known_from_other_marks_change_no_figure() -> None:
    eth = perpetual("ETHUSDT", coin="ETH")
    pool, marks, rulebook, _ = _pool(
        held(_PERP, "1"), held(_CALL, "-2"), held(eth, "5", entry="2000"), wallet={"USDT": "90000", "BTC": "1"}
    )
    marks["ETHUSDT"] = D(2000)
    first = assess(pool, marks, rulebook)
    assert first.portfolio is not None
    known = first.portfolio.known
    assert pool.risk is not None
    calmer = replace(pool, risk=replace(pool.risk, volatility={_CALL.symbol: D("0.3")}))
    later = replace(pool, risk=replace(pool.risk, time=NOW + timedelta(days=20)))
    for other in (pool, calmer, later):
        for moved in ({}, {"BTCUSDT": BTC * 2}, {"ETHUSDT": D(1500)}, {"BTCUSDT": BTC / 2, "ETHUSDT": D(2500)}):
            again, anew = (assess(other, {**marks, **moved}, rulebook, known=k) for k in (known, None))
            assert (again.maintenance_margin, again.initial_margin) == (anew.maintenance_margin, anew.initial_margin)
            assert again.health == anew.health
