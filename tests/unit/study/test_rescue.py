"""The ways out of danger: each really reaches the target, one step less does not, and what cannot says why."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ringfence.account import CollateralMode
from ringfence.account_file import AccountFile, parse
from ringfence.errors import BadAccount, BadConfiguration
from ringfence.margin import change
from ringfence.margin.assess import assess_account
from ringfence.margin.refusal import Refusal
from ringfence.study.rescue import STEP, Rescue, Way, as_json, rescue

FEE = Decimal("0.0005")


def leg(symbol: str, side: str, quantity: str, entry: str, mark: str, **rest: str) -> dict[str, Any]:
    held = {"symbol": symbol, "side": side, "quantity": quantity, "entry_price": entry, "mark_price": mark}
    return {**held, "leverage": "10", **rest}


def account(*positions: dict[str, Any], wallet: str, rulebook: str = "binance-usdm", **rest: Any) -> AccountFile:
    body = {"wallet": {"USDT": wallet}, "positions": list(positions), **rest}
    return parse({"rulebook": rulebook, "as_of": "2025-10-10", "account": body}, where="test")


# 300 AVAX from 26.7, now 22.82: a loss of 1,164. 1,230 − 1,164 = 66 stand against 300 · 22.82 · 0.005 = 34.23.
AVAX = leg("AVAXUSDT", "long", "300", "26.7", "22.82")
BTC = leg("BTCUSDT", "short", "0.05", "117590", "121000")
# 100 LINK from 21, now 19: 210 − 200 = 10 stand against 100 · 19 · 0.005 = 9.5.
LINK = leg("LINKUSDT", "long", "100", "21", "19", margin_mode="isolated", isolated_margin="210")


def found(file: AccountFile, **settings: Any) -> Rescue:
    return rescue(file.account, marks=file.marks, rulebook=file.rulebook(), **{"fee_rate": FEE, **settings})


def way(result: Rescue, kind: str, *, of: str = "") -> Way:
    return next(w for pool in result.pools for w in pool.ways if w.kind == kind and of in w.what)


def test_an_account_above_the_level_needs_no_rescue() -> None:
    assert found(account(AVAX, wallet="5000")).pools == ()


def test_the_target_is_the_margin_call_level_unless_another_is_asked_for() -> None:
    file = account(AVAX, wallet="1230")
    assert found(file, health=Decimal(1)).pools == ()
    assert found(file).target == file.rulebook().levels.margin_call
    assert [pool.pool for pool in found(file, health=Decimal(3)).pools] == ["cross USDT"]


def test_a_deposit_makes_up_what_is_missing_and_a_step_more() -> None:
    file = account(AVAX, wallet="1200")  # 1,200 − 1,164 = 36 for 34.23: health 1.05
    paid = way(found(file), "deposit")
    assert paid.amount == Decimal("1.25") * Decimal("34.23") - 36 + (
        STEP - (Decimal("1.25") * Decimal("34.23") - 36) % STEP
    )
    assert paid.outside == paid.amount
    assert paid.cost == 0


@pytest.mark.parametrize("target", [Decimal("1.25"), Decimal(2), Decimal("7.3")])
def test_every_way_reaches_the_target_by_assessment_of_the_account_it_leads_to(target: Decimal) -> None:
    file = account(AVAX, BTC, LINK, wallet="1400")
    result = found(file, health=target)
    assert result.pools
    for pool in result.pools:
        assert any(w.refusal is None for w in pool.ways)
        for each in pool.ways:
            assert (each.account is None) == (each.refusal is not None)
            if each.account is None:
                continue
            after = {a.pool.name: a for a in assess_account(each.account, file.marks, file.rulebook())}
            saved = after.get(pool.pool)
            assert saved is None or saved.health is None or not saved.reached(target)


def test_closing_one_step_less_does_not_reach_the_target() -> None:
    file = account(AVAX, BTC, wallet="1400")  # 1,400 − 1,164 − 170.5 = 65.5 for 34.23 + 24.2
    rulebook = file.rulebook()
    result = found(file)
    assert len(result.pools) == 1
    for symbol, sign in (("AVAXUSDT", -1), ("BTCUSDT", 1)):
        closed = way(result, "reduce", of=symbol)
        assert closed.amount is not None
        assert closed.account is not None
        step = rulebook.contract(symbol).quantity_step or STEP
        fill = change.Fill(symbol, sign * (closed.amount - step), file.marks[symbol], fee_rate=FEE)
        less = change.trade(file.account, fill, marks=file.marks, rulebook=rulebook)
        assert not isinstance(less, Refusal)
        assert less.after[0].reached(Decimal("1.25"))
        assert not assess_account(closed.account, file.marks, rulebook)[0].reached(Decimal("1.25"))
        assert closed.cost == FEE * closed.amount * file.marks[symbol]


def test_margin_comes_from_what_is_free_in_the_wallet() -> None:
    file = account(LINK, wallet="500")
    added = way(found(file), "add_margin")
    assert added.amount == Decimal("1.25") * Decimal("9.5") - 10 + STEP  # 1.875, and a step to be above the level
    assert added.account is not None
    assert added.account.wallet["USDT"] == 500 - added.amount
    assert (added.cost, added.outside) == (Decimal(0), Decimal(0))


def test_an_empty_wallet_adds_no_margin_but_what_is_paid_in() -> None:
    result = found(account(LINK, wallet="0"))
    assert way(result, "add_margin").refusal is not None
    paid = way(result, "deposit")
    assert paid.outside == Decimal("1.875") + STEP
    assert paid.account is not None
    assert paid.account.wallet["USDT"] == 0


def test_margin_that_another_isolated_position_does_not_need_can_move() -> None:
    # ETH holds 900 against 1 · 4,000 ÷ 10 = 400: 500 may leave
    rich = leg("ETHUSDT", "long", "1", "4000", "4000", margin_mode="isolated", isolated_margin="900")
    moved = way(found(account(LINK, rich, wallet="0")), "move_margin")
    assert moved.amount == Decimal("1.875") + STEP
    assert moved.account is not None
    assert moved.account.positions[1].isolated_margin == 900 - moved.amount
    poor = leg("ETHUSDT", "long", "1", "4000", "4000", margin_mode="isolated", isolated_margin="400")
    assert "initial margin" in (way(found(account(LINK, poor, wallet="0")), "move_margin").refusal or "")


def test_an_isolated_position_is_reduced_and_keeps_what_that_releases() -> None:
    reduced = way(found(account(LINK, wallet="100")), "reduce")
    assert reduced.amount is not None
    assert reduced.account is not None
    # balance 10 − fee must be above 1.25 · (100 − q) · 19 · 0.005
    q = reduced.amount
    assert 10 - FEE * q * 19 > Decimal("1.25") * (100 - q) * 19 * Decimal("0.005")
    q -= STEP
    assert 10 - FEE * q * 19 <= Decimal("1.25") * (100 - q) * 19 * Decimal("0.005")
    assert reduced.account.wallet["USDT"] == 100


def test_orders_are_cancelled_where_they_count_and_only_there() -> None:
    order = {"symbol": "AVAXUSDT", "side": "buy", "quantity": "50", "price": "20", "leverage": "10"}
    idle = way(found(account(AVAX, wallet="1200", orders=[order])), "cancel_orders")
    assert "do not count" in (idle.refusal or "")


def test_where_orders_carry_a_requirement_cancelling_one_can_be_enough_and_is_free() -> None:
    terms = {"kind": "linear", "contract_size": "1", "settle_asset": "USDT", "taker_fee_rate": "0",
             "tiers": [{"floor": "0", "maintenance_rate": "0.01", "max_leverage": "50"}]}  # fmt: skip
    body = {
        "wallet": {"USDT": "15"},
        "positions": [leg("XUSDT", "long", "1", "1000", "1000")],
        "orders": [{"symbol": "XUSDT", "side": "buy", "quantity": "1", "price": "500", "leverage": "10"}],
    }
    file = parse(
        {"rulebook": "binance-usdm", "account": body, "contracts": {"XUSDT": terms},
         "policy": {"orders_in_requirement": True}},
        where="test",
    )  # fmt: skip
    # 15 against 10 for the position and 5 for the order is 1; without the order it is 1.5
    first = found(file).pools[0].ways[0]
    assert (first.kind, first.cost, first.outside, first.health) == (
        "cancel_orders",
        Decimal(0),
        Decimal(0),
        Decimal("1.5"),
    )
    assert first.account is not None
    assert first.account.orders == ()


def test_a_venue_that_forbids_the_switch_is_quoted_and_one_that_allows_it_is_a_way() -> None:
    assert "301" in (way(found(account(LINK, wallet="500")), "switch_mode").refusal or "")
    terms = {"kind": "linear", "contract_size": "1", "settle_asset": "USDT",
             "tiers": [{"floor": "0", "maintenance_rate": "0.005", "max_leverage": "50"}]}  # fmt: skip
    body = {"wallet": {"USDT": "500"}, "positions": [LINK]}
    file = parse({"rulebook": "bitget-usdtm", "account": body, "contracts": {"LINKUSDT": terms}}, where="test")
    allowed = way(found(file), "switch_mode")
    assert allowed.account is not None
    assert allowed.account.positions[0].isolated_margin is None
    assert allowed.account.wallet["USDT"] == 500 + 210


def test_idle_collateral_is_a_way_out_by_another_architecture() -> None:
    body = {"wallet": {"USDT": "1200", "BTC": "0.1"}, "collateral": {"BTC": {"index": "117000"}}, "positions": [AVAX]}
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    over = way(found(file), "switch_architecture", of="multi-asset")
    assert over.account is not None
    assert over.account.collateral_mode is CollateralMode.MULTI_ASSET
    # (1,200 − 1,164) · 0.9999 + 0.1 · 117,000 · 0.95 against 34.23
    equity = 36 * Decimal("0.9999") + Decimal("0.1") * 117_000 * Decimal("0.95")
    assert over.health is not None
    assert abs(over.health - equity / Decimal("34.23")) < Decimal("1e-12")
    assert not over.cost
    assert not over.outside


def test_an_architecture_that_saves_nothing_or_cannot_be_says_why() -> None:
    assert way(found(account(AVAX, wallet="1200")), "switch_architecture").refusal == "it is not enough"
    held = found(account(AVAX, LINK, wallet="1200"))
    refused = next(w for p in held.pools if p.pool == "cross USDT" for w in p.ways if w.kind == "switch_architecture")
    assert "LINKUSDT long isolated" in (refused.refusal or "")
    body = {"wallet": {"USDT": "1200", "BTC": "0.1"}, "positions": [AVAX]}
    unpriced = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    assert "no collateral price for BTC" in (way(found(unpriced), "switch_architecture").refusal or "")


def test_a_basket_that_owes_an_asset_is_not_taken_apart() -> None:
    body = {
        "collateral_mode": "multi_asset", "wallet": {"USDT": "-100", "BTC": "0.0014"}, "positions": [
            leg("AVAXUSDT", "long", "3", "26.7", "26.7")], "collateral": {"BTC": {"index": "117000"}},
    }  # fmt: skip
    file = parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")
    assert "owes USDT" in (way(found(file, health=Decimal(1000)), "switch_architecture", of="cross").refusal or "")


def test_a_hedge_needs_hedge_mode_and_does_not_lower_what_is_required() -> None:
    assert "hedge mode" in (way(found(account(AVAX, wallet="1200")), "hedge").refusal or "")
    hedged = way(found(account(AVAX, wallet="1200", position_mode="hedge")), "hedge")
    assert hedged.refusal is not None


def test_a_pool_that_owes_more_than_it_holds_is_not_saved_by_closing() -> None:
    result = found(account(AVAX, wallet="1000"))  # 1,000 − 1,164 < 0
    closed = way(result, "reduce")
    assert "not enough" in (closed.refusal or "")
    paid = way(result, "deposit")
    assert paid.amount == 164 + Decimal("1.25") * Decimal("34.23") + STEP - (Decimal("1.25") * Decimal("34.23")) % STEP


def test_a_share_of_every_position_is_a_way_where_no_single_position_is_enough() -> None:
    file = account(AVAX, BTC, wallet="1400")  # 65.5 stand for 34.23 + 24.2
    result = found(file, health=Decimal(3), fee_rate=Decimal(0))
    assert all(w.refusal is not None for pool in result.pools for w in pool.ways if w.kind == "reduce")
    shared = way(result, "reduce_all")
    # 65.5 > 3 · (1 − share) · 58.43
    share = shared.amount
    assert share is not None
    assert Decimal("65.5") > 3 * (1 - share) * Decimal("58.43")
    share -= Decimal("0.0001")
    assert Decimal("65.5") <= 3 * (1 - share) * Decimal("58.43")


def test_ways_are_ranked_by_fees_then_by_cash_from_outside_and_those_that_are_none_come_last() -> None:
    ways = found(account(AVAX, BTC, wallet="1400")).pools[0].ways
    keys = [(w.refusal is not None, w.cost, w.outside, w.tied) for w in ways]
    assert keys == sorted(keys)
    assert ways[0].kind == "deposit"


def test_a_basket_is_lifted_by_any_asset_that_counts_after_its_haircut() -> None:
    file = account(
        AVAX, wallet="1200", collateral_mode="multi_asset",
        collateral={"USDT": {"index": "1"}, "BTC": {"index": "120000", "ratio": "0.95"}},
    )  # fmt: skip
    account_with_coin = replace(file.account, wallet={**file.account.wallet, "BTC": Decimal(0)})
    result = rescue(account_with_coin, marks=file.marks, rulebook=file.rulebook(), fee_rate=FEE)
    need = way(result, "deposit", of="USDT").amount
    coin = way(result, "deposit", of="BTC").amount
    assert need is not None
    assert coin is not None
    assert abs(coin * 120_000 * Decimal("0.95") - need) < STEP * 120_000


def test_what_is_free_is_added_first_and_only_the_rest_of_it_closed() -> None:
    # 10 stand against 9.5; twice that needs 9 more, and 5 are free: 15 stand against at most 7.5, 21.05 of 100 closed
    file = account(LINK, wallet="5")
    result = found(file, health=Decimal(2), fee_rate=Decimal(0))
    both, plainly = way(result, "add_and_reduce"), way(result, "reduce")
    assert both.amount is not None
    assert plainly.amount is not None
    assert abs(both.amount - (Decimal(100) - Decimal("7.5") / Decimal("0.095"))) < Decimal("0.001")
    assert plainly.amount > 2 * both.amount
    assert both.tied == Decimal(5)
    assert both.what.startswith("add 5 USDT of margin from the wallet and close ")
    assert both.account is not None
    pool = next(a for a in assess_account(both.account, file.marks, file.rulebook()) if a.lines)
    assert pool.health is not None
    assert Decimal(2) < pool.health < Decimal("2.001")
    enough = found(account(LINK, wallet="50"), health=Decimal(2), fee_rate=Decimal(0))
    assert not any(w.kind == "add_and_reduce" for p in enough.pools for w in p.ways)


def test_a_target_that_is_no_health_is_refused() -> None:
    with pytest.raises(BadConfiguration, match="--health"):
        found(account(AVAX, wallet="1200"), health=Decimal(0))


@pytest.mark.parametrize("health", ["1000001", "1e300"])
def test_a_target_that_nothing_held_open_can_reach_is_refused(health: str) -> None:
    with pytest.raises(BadConfiguration, match="nothing held open can reach") as caught:
        found(account(AVAX, wallet="1200"), health=Decimal(health))
    assert "at most 1000000" in (caught.value.expected or "")


def test_an_account_without_a_known_health_is_refused_and_not_called_safe() -> None:
    file = account(AVAX, wallet="1200")
    unknown = replace(file.account, wallet={"USDT": None})
    with pytest.raises(BadAccount, match="the balance of USDT"):
        rescue(unknown, marks=file.marks, rulebook=file.rulebook())


def test_an_unknown_balance_is_said_and_the_other_pools_are_rescued() -> None:
    file = account(AVAX, LINK, wallet="1200")
    unknown = replace(file.account, wallet={"USDT": None})
    result = rescue(unknown, marks=file.marks, rulebook=file.rulebook())
    assert [pool.pool for pool in result.pools] == ["isolated LINKUSDT long"]
    assert result.unknown == ("cross USDT",)
    assert any("the balance of USDT" in note for note in result.notes)


def test_json_has_decimals_as_text_and_no_account() -> None:
    document = as_json(found(account(AVAX, wallet="1200")))
    assert document["schema"] == "ringfence.rescue/1"
    assert document["target_health"] == "1.25"
    first = document["pools"][0]["ways"][0]
    assert "account" not in first
    assert isinstance(first["outside"], str)
