"""The calculators: every figure by hand, and the laws that tie them to the core."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ringfence import rulebooks
from ringfence.account import MarginMode, Position
from ringfence.account_file import AccountFile, parse
from ringfence.contract import Contract, ContractKind
from ringfence.errors import BadConfiguration
from ringfence.study import size
from ringfence.study.edit import Edit, edit
from ringfence.study.edit import as_json as edit_json

LINEAR = Contract(
    "BTCUSDT", ContractKind.LINEAR, Decimal(1), "USDT", price_step=Decimal("0.1"), taker_fee_rate=Decimal("0.0005")
)
INVERSE = Contract("BTCUSD", ContractKind.INVERSE, Decimal(100), "BTC")
DAY = rulebooks.load("binance-usdm").as_of


def account(*positions: dict[str, Any], wallet: str = "10000", mode: str = "one_way") -> AccountFile:
    body = {"wallet": {"USDT": wallet}, "positions": list(positions), "position_mode": mode}
    return parse({"rulebook": "binance-usdm", "as_of": "2025-10-10", "account": body}, where="test")


LINK = {"symbol": "LINKUSDT", "side": "long", "quantity": "300", "entry_price": "20", "leverage": "10"}
RING_FENCED = {**LINK, "margin_mode": "isolated", "isolated_margin": "600"}


def test_a_trade_makes_its_difference_of_prices_less_the_fees_of_both_ways() -> None:
    made = size.profit(
        LINEAR,
        side="long",
        quantity=Decimal("0.1"),
        entry=Decimal(100_000),
        exit_price=Decimal(110_000),
        leverage=Decimal(10),
    )
    assert made.value("pnl") == Decimal("0.1") * (110_000 - 100_000)
    assert made.value("fees") == Decimal("0.0005") * Decimal("0.1") * (100_000 + 110_000)
    assert made.value("net_pnl") == 1_000 - Decimal("10.5")
    assert made.value("roe") == (1_000 - Decimal("10.5")) / (Decimal("0.1") * 100_000 / 10)


def test_a_short_of_an_inverse_contract_wins_in_coin_when_the_price_falls() -> None:
    made = size.profit(INVERSE, side="short", quantity=Decimal(400), entry=Decimal(50_000), exit_price=Decimal(40_000))
    assert made.value("pnl") == 400 * 100 * (Decimal(1) / 40_000 - Decimal(1) / 50_000)
    assert any("not known" in note for note in made.notes)


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize("contract", [LINEAR, INVERSE], ids=["linear", "inverse"])
def test_at_the_target_price_the_trade_makes_what_was_wanted(contract: Contract, side: str) -> None:
    quantity, entry, wanted = Decimal(10), Decimal(50_000), Decimal("0.001") if contract.inverse else Decimal(1_000)
    aim = size.target(contract, side=side, quantity=quantity, entry=entry, pnl=wanted, fee_rate=Decimal("0.0004"))
    price = aim.value("target_price")
    assert price is not None
    made = size.profit(
        contract, side=side, quantity=quantity, entry=entry, exit_price=price, fee_rate=Decimal("0.0004")
    )
    net = made.value("net_pnl")
    assert net is not None
    if contract.inverse:
        assert abs(net - wanted) < Decimal("1e-20")
    else:  # rounded to the price step so that at least as much is made, and one step earlier is not enough
        earlier = price - Decimal("0.1") if side == "long" else price + Decimal("0.1")
        less = size.profit(
            contract, side=side, quantity=quantity, entry=entry, exit_price=earlier, fee_rate=Decimal("0.0004")
        )
        assert net >= wanted > (less.value("net_pnl") or Decimal(0))


def test_a_return_is_of_the_initial_margin() -> None:
    aim = size.target(
        LINEAR,
        side="short",
        quantity=Decimal(1),
        entry=Decimal(100),
        roe=Decimal("0.5"),
        leverage=Decimal(10),
        fee_rate=Decimal(0),
    )
    assert aim.value("wanted_pnl") == Decimal("0.5") * 1 * 100 / 10
    assert aim.value("target_price") == 100 - Decimal(5)


def test_a_short_cannot_make_more_than_its_whole_value() -> None:
    aim = size.target(
        LINEAR, side="short", quantity=Decimal(1), entry=Decimal(100), pnl=Decimal(101), fee_rate=Decimal(0)
    )
    assert aim.value("target_price") is None
    assert "no price above 0" in aim.notes[-1]


@pytest.mark.parametrize(
    ("pnl", "roe", "leverage", "said"),
    [
        (None, None, Decimal(5), "neither"),
        (Decimal(1), Decimal(1), Decimal(5), "both"),
        (None, Decimal(1), None, "leverage"),
    ],
)
def test_what_is_wanted_has_to_be_clear(
    pnl: Decimal | None, roe: Decimal | None, leverage: Decimal | None, said: str
) -> None:
    with pytest.raises(BadConfiguration, match=said):
        size.target(LINEAR, side="long", quantity=Decimal(1), entry=Decimal(100), pnl=pnl, roe=roe, leverage=leverage)


def test_an_isolated_short_is_liquidated_where_its_margin_meets_its_maintenance() -> None:
    rulebook = rulebooks.load("binance-usdm", DAY)
    rate = (rulebook.tiers("BTCUSDT") or pytest.fail("no tiers")).tiers[0].maintenance_rate
    assert rate is not None
    position = Position("BTCUSDT", Decimal("-0.1"), Decimal(100_000), MarginMode.ISOLATED, Decimal(1_000), Decimal(10))
    found = size.liquidation(rulebook, position)
    # 1,000 + 0.1 · (100,000 − p) = 0.1 · p · rate
    price = found.value("liquidation_price")
    assert price is not None
    assert abs(price - (1_000 + Decimal("0.1") * 100_000) / (Decimal("0.1") * (1 + rate))) < Decimal("1e-6")
    assert found.value("bankruptcy_price") == 100_000 + 1_000 / Decimal("0.1")
    assert found.value("health") == (1_000 / (10_000 * rate)).quantize(Decimal("1e-18"), "ROUND_FLOOR")


def test_the_largest_position_is_accepted_and_one_step_more_is_not() -> None:
    rulebook = rulebooks.load("binance-usdm", DAY)
    found = size.largest(
        rulebook,
        "BTCUSDT",
        side="long",
        balance=Decimal(1_000),
        leverage=Decimal(20),
        price=Decimal(100_000),
        fee_rate=Decimal("0.0005"),
    )
    # the fee is paid first: quantity · 100,000 · (1 ÷ 20 + 0.0005) ≤ 1,000
    step = rulebook.contract("BTCUSDT").quantity_step or size.STAND_IN_STEP
    least = Decimal(1_000) / (100_000 * (Decimal(1) / 20 + Decimal("0.0005")))
    assert found.value("quantity") == least // step * step
    assert "101 insufficient_balance" in found.notes[-1]


def test_the_largest_position_ends_where_its_tier_no_longer_allows_the_leverage() -> None:
    rulebook = rulebooks.load("binance-usdm", DAY)
    tiers = (rulebook.tiers("LINKUSDT") or pytest.fail("no tiers")).tiers
    found = size.largest(
        rulebook,
        "LINKUSDT",
        side="long",
        balance=Decimal(10**6),
        leverage=tiers[0].max_leverage or Decimal(1),
        price=Decimal(20),
        fee_rate=Decimal(0),
    )
    value = found.value("value")
    assert value is not None
    assert tiers[1].floor - 20 <= value < tiers[1].floor
    assert "201 leverage_above_tier" in found.notes[-1]


def test_a_margin_that_does_not_follow_from_the_leverage_still_ends_the_size() -> None:
    rulebook = rulebooks.load("binance-usdm", DAY).with_policies(
        {"initial_rate_base": "0.02", "rate_per_unit_of_base": "0"}
    )
    found = size.largest(
        rulebook,
        "BTCUSDT",
        side="long",
        balance=Decimal(1_000),
        leverage=Decimal(1),
        price=Decimal(100_000),
        fee_rate=Decimal(0),
    )
    assert found.value("quantity") == Decimal(1_000) / (Decimal(100_000) * Decimal("0.02"))  # fifty times the balance


def test_fills_average_by_value() -> None:
    linear = size.average(LINEAR, [(Decimal("0.1"), Decimal(100_000)), (Decimal("0.2"), Decimal(91_000))])
    assert linear.value("entry_price") == (Decimal("0.1") * 100_000 + Decimal("0.2") * 91_000) / Decimal("0.3")
    inverse = size.average(INVERSE, [(Decimal(100), Decimal(50_000)), (Decimal(100), Decimal(40_000))])
    entry = inverse.value("entry_price")
    assert entry is not None
    assert abs(entry - 200 / (Decimal(100) / 50_000 + Decimal(100) / 40_000)) < Decimal("1e-20")


def test_adding_margin_moves_the_liquidation_price_by_margin_over_size() -> None:
    file = account(RING_FENCED)
    rulebook = file.rulebook()
    done = edit(file.account, [Edit("add-margin", "LINKUSDT", Decimal(500))], marks=file.marks, rulebook=rulebook)
    before, after = done.before[0], done.after[0]
    rate = Decimal("0.005")  # the first tier of LINKUSDT, up to 5,000; 300 · 20 lies in the second
    assert rulebook.tiers("LINKUSDT") is not None
    assert after.margin == Decimal(600) + 500
    assert before.liquidation_price is not None
    assert after.liquidation_price is not None
    moved = before.liquidation_price - after.liquidation_price
    assert moved * 300 > 500  # the requirement falls with the price too
    assert moved * 300 < 500 / (1 - 3 * rate)
    assert done.free_after["USDT"] == (done.free_before["USDT"] or Decimal(0)) - 500


def test_closing_a_third_realises_a_third_and_pays_the_fee() -> None:
    file = account({**LINK, "mark_price": "19"})
    done = edit(
        file.account,
        [Edit("close", "LINKUSDT", Decimal(1) / 3, share=True)],
        marks=file.marks,
        rulebook=file.rulebook(),
        fee_rate=Decimal("0.001"),
    )
    assert done.account is not None
    closed = 300 - done.after[0].quantity
    assert abs(closed - 100) < Decimal("1e-9")
    assert done.account.wallet["USDT"] == 10_000 + closed * (19 - 20) - Decimal("0.001") * closed * 19


def test_a_hedge_opens_the_other_leg_where_the_account_has_two() -> None:
    file = account(LINK, mode="hedge")
    done = edit(
        file.account, [Edit("hedge", "LINKUSDT", Decimal(1), share=True)], marks=file.marks, rulebook=file.rulebook()
    )
    assert [(leg.side, leg.quantity) for leg in done.after] == [("long", Decimal(300)), ("short", Decimal(300))]


def test_a_hedge_in_one_way_mode_is_refused_with_what_to_do() -> None:
    file = account(LINK)
    with pytest.raises(BadConfiguration, match="would close it"):
        edit(
            file.account,
            [Edit("hedge", "LINKUSDT", Decimal(1), share=True)],
            marks=file.marks,
            rulebook=file.rulebook(),
        )


def test_a_refused_edit_leaves_nothing_half_done() -> None:
    file = account(RING_FENCED, wallet="100")
    done = edit(
        file.account,
        [Edit("deposit", "USDT", Decimal(50)), Edit("add-margin", "LINKUSDT", Decimal(200))],
        marks=file.marks,
        rulebook=file.rulebook(),
    )
    assert done.account is None
    assert done.refusal is not None
    assert done.refusal.reason == "insufficient_balance"
    assert edit_json(done)["after"] is None


def test_closing_what_is_not_held_names_what_is() -> None:
    file = account(LINK)
    with pytest.raises(BadConfiguration, match="LINKUSDT:long"):
        edit(file.account, [Edit("close", "BTCUSDT", Decimal(1))], marks=file.marks, rulebook=file.rulebook())


def test_a_price_that_no_rate_or_fee_is_known_for_is_marked_as_not_known() -> None:
    rulebook = rulebooks.load("bingx-usdtm", None)  # publishes no maintenance rates
    position = Position("BTCUSDT", Decimal("0.1"), Decimal(100_000), MarginMode.ISOLATED, Decimal(1000), Decimal(10))
    answer = size.as_json(size.liquidation(rulebook, position))
    assert answer["not_known"] == [
        "maintenance_margin", "margin_call_price", "liquidation_price", "distance", "break_even_price", "health"
    ]  # fmt: skip
    assert answer["figures"]["bankruptcy_price"] == "90000"
    assert "no maintenance rate of BTCUSDT" in answer["notes"][0]
