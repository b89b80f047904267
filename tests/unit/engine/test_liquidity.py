"""What the market of a tape offers around its price, and how forced volume moves it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import islice, pairwise
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.engine.liquidity import (
    Consumed,
    Liquidity,
    Offer,
    Sweep,
    first_offer,
    impact,
    ladder,
    relaxed,
    sweep,
    sweep_price,
)
from ringfence.errors import BadConfiguration

D = Decimal

# 100 with half a spread of 0.1 %, levels 0.2 % apart, 10 contracts on each, prices in steps of 0.01.
MARKET = Liquidity(D(100), D("0.001"), D("0.002"), D(10), None, D("0.01"))


def first(market: Liquidity, side: str, count: int, consumed: Consumed | None = None) -> list[Offer]:
    return list(islice(ladder(market, side, consumed or Consumed()), count))


def test_asks_climb_from_half_a_spread_above_the_price_level_by_level() -> None:
    assert first(MARKET, "buy", 3) == [
        (D(100) * (1 + D("0.001") + 0 * D("0.002")), D(10)),
        (D(100) * (1 + D("0.001") + 1 * D("0.002")), D(10)),
        (D(100) * (1 + D("0.001") + 2 * D("0.002")), D(10)),
    ]


def test_bids_fall_the_same_way() -> None:
    assert first(MARKET, "sell", 2) == [
        (D(100) * (1 - D("0.001") - 0 * D("0.002")), D(10)),
        (D(100) * (1 - D("0.001") - 1 * D("0.002")), D(10)),
    ]


def test_prices_are_rounded_to_the_step_against_the_taker() -> None:
    # 100.1 → 100.5 and 99.9 → 99.5 in steps of 0.5
    market = replace(MARKET, price_step=D("0.5"))
    assert (market.best("buy"), market.best("sell")) == (D("100.5"), D("99.5"))


def test_without_a_price_step_prices_are_not_rounded() -> None:
    market = replace(MARKET, half_spread=D("0.00123456789"), price_step=None)
    assert market.best("buy") == D("100.123456789")


def test_what_was_consumed_is_gone_and_a_begun_level_has_the_rest() -> None:
    # 23 = 2 levels of 10, and 3 of the third
    assert first(MARKET, "buy", 2, Consumed(buy=D(23))) == [(D("100.5"), D(10) - D(3)), (D("100.7"), D(10))]


def test_buyers_and_sellers_use_up_different_sides() -> None:
    assert first(MARKET, "buy", 1, Consumed(sell=D(23))) == [(D("100.1"), D(10))]
    assert first(MARKET, "sell", 1, Consumed(sell=D(23))) == [(D("99.5"), D(7))]


def test_consumed_adds_up_by_side() -> None:
    assert Consumed().plus("buy", D(2)).plus("sell", D(5)).plus("buy", D(1)) == (D(2) + D(1), D(5))


def test_a_ladder_of_two_levels_ends_after_them() -> None:
    market = replace(MARKET, levels=2)
    assert sum(offer.quantity for offer in ladder(market, "buy")) == D(2) * D(10)
    assert first(market, "buy", 1, Consumed(buy=D(20))) == []
    assert first(market, "buy", 5, Consumed(buy=D(13))) == [(D("100.3"), D(7))]


def test_bids_end_before_a_price_of_nothing() -> None:
    # 1 − 0.1 − k · 0.4 is 0.9, 0.5, 0.1, then below 0
    market = Liquidity(D(100), D("0.1"), D("0.4"), D(1))
    assert [offer.price for offer in ladder(market, "sell")] == [D(90), D(50), D(10)]
    # In steps of 20 the 10 is rounded down to 0.
    assert [offer.price for offer in ladder(replace(market, price_step=D(20)), "sell")] == [D(80), D(40)]


def test_a_market_of_one_price_needs_a_number_of_levels() -> None:
    flat = replace(MARKET, level_gap=D(0), levels=3)
    assert sweep(flat, "buy", D(100)) == Sweep(D(3) * D(10), D(30) * D("100.1"))
    with pytest.raises(BadConfiguration, match="level_gap"):
        replace(flat, levels=None)


@pytest.mark.parametrize(
    ("field", "figure"),
    [
        ("mid", D(0)),
        ("half_spread", D("-0.1")),
        ("level_gap", D("-0.1")),
        ("depth", D(0)),
        ("levels", 0),
        ("price_step", D(0)),
    ],
)
def test_figures_that_make_no_market_are_named(field: str, figure: Decimal | int) -> None:
    change: dict[str, Any] = {field: figure}
    with pytest.raises(BadConfiguration, match=field) as refused:
        replace(MARKET, **change)
    assert refused.value.expected
    assert refused.value.found == str(figure)


def test_a_large_order_pays_for_its_size() -> None:
    cost = 10 * D("100.1") + 10 * D("100.3") + 5 * D("100.5")
    assert sweep(MARKET, "buy", D(25)) == Sweep(D(25), cost)
    assert sweep_price(MARKET, "buy", D(25)) == cost / 25
    assert sweep_price(MARKET, "buy", D(10)) == D("100.1")


def test_an_average_is_rounded_against_the_taker() -> None:
    market = Liquidity(D(100), D(0), D("0.01"), D(2), 2)  # bids 100 and 99
    # 3 contracts: 2 · 100 + 99 = 299; ÷ 3 = 99.666…, down for the seller
    assert sweep_price(market, "sell", D(3)) == D("99." + "6" * 24)
    # asks 100 and 101: 2 · 100 + 101 = 301; ÷ 3 = 100.333…, up for the buyer
    assert sweep_price(market, "buy", D(3)) == D("100." + "3" * 23 + "4")


def test_an_average_of_more_than_there_is_does_not_exist() -> None:
    market = replace(MARKET, levels=2)
    assert sweep_price(market, "buy", D(20)) == (D("100.1") + D("100.3")) / 2
    assert sweep_price(market, "buy", D("20.001")) is None
    assert sweep(market, "buy", D("20.001")).filled == D(20)
    assert sweep_price(market, "buy", D(0)) is None


@given(
    mid=st.decimals("0.5", "100000", places=3),
    half_spread=st.decimals("0", "0.01", places=5),
    gap=st.decimals("0.00001", "0.01", places=5),
    depth=st.decimals("0.001", "50", places=3),
    step=st.sampled_from(["0.001", "0.01", "0.1", "0.5"]),
    used=st.decimals("0", "500", places=4),
)
def test_a_ladder_is_the_formula_minus_what_is_consumed(
    *, mid: Decimal, half_spread: Decimal, gap: Decimal, depth: Decimal, step: str, used: Decimal
) -> None:
    market = Liquidity(mid, half_spread, gap, depth, None, D(step))
    gone, unit = Fraction(used), Fraction(step)
    skipped = gone // Fraction(depth)
    for side, away, rounded in (("buy", 1, ceil), ("sell", -1, floor)):
        offers = first(market, side, 6, Consumed(used, used))
        for level, offer in enumerate(offers, start=skipped):
            exact = Fraction(mid) * (1 + away * (Fraction(half_spread) + level * Fraction(gap)))
            assert Fraction(offer.price) == rounded(exact / unit) * unit
        assert all(away * near.price <= away * far.price for near, far in pairwise(offers))
        if offers:
            assert Fraction(offers[0].quantity) == Fraction(depth) * (skipped + 1) - gone
            assert all(offer.quantity == depth for offer in offers[1:])


@given(first_size=st.integers(1, 60), second_size=st.integers(1, 60), side=st.sampled_from(["buy", "sell"]))
def test_two_orders_after_each_other_pay_what_one_of_both_sizes_pays(
    first_size: int, second_size: int, side: str
) -> None:
    one = sweep(MARKET, side, D(first_size + second_size))
    before = sweep(MARKET, side, D(first_size))
    after = sweep(MARKET, side, D(second_size), consumed=Consumed().plus(side, before.filled))
    assert before.cost + after.cost == one.cost


def test_each_level_used_up_moves_the_price_by_the_gap() -> None:
    # 25 contracts are 2.5 levels of 0.2 %
    assert impact(MARKET, quantity=D(25)) == D(100) * (1 + D("2.5") * D("0.002"))
    assert impact(MARKET, quantity=D(-25)) == D(100) * (1 - D("2.5") * D("0.002"))
    assert impact(MARKET, quantity=D(0)) == D(100)


def test_a_moved_price_is_the_nearest_step() -> None:
    market = replace(MARKET, price_step=D("0.5"))
    assert impact(market, quantity=D(10)) == D("100.0")  # 100.2
    assert impact(market, quantity=D(20)) == D("100.5")  # 100.4
    # A third of a level of 0.002, without a step: 100 + 0.2 ÷ 3
    assert impact(replace(MARKET, depth=D(3), price_step=None), quantity=D(1)) == D("100.0" + "6" * 22 + "7")


def test_no_volume_moves_a_price_below_its_smallest_step() -> None:
    assert impact(MARKET, quantity=D(-1_000_000)) == D("0.01")
    assert impact(replace(MARKET, price_step=None), quantity=D(-1_000_000)) == D(1).scaleb(-24)


@given(first_volume=st.integers(-4000, 4000), more=st.integers(0, 4000))
def test_more_selling_never_raises_the_price(first_volume: int, more: int) -> None:
    assert impact(MARKET, quantity=D(first_volume - more)) <= impact(MARKET, quantity=D(first_volume))


def test_pressure_wears_off_at_a_constant_rate_and_stops_at_nothing() -> None:
    # 2 contracts per second, for a second and a half
    assert relaxed(D(10), elapsed=1_500_000, refill=D(2)) == D(10) - D("1.5") * D(2)
    assert relaxed(D(-10), elapsed=1_500_000, refill=D(2)) == -(D(10) - D("1.5") * D(2))
    assert relaxed(D(10), elapsed=5_000_000, refill=D(2)) == 0
    assert relaxed(D(-10), elapsed=60_000_000, refill=D(2)) == 0
    assert relaxed(D(10), elapsed=60_000_000, refill=D(0)) == D(10)


@given(
    pressure=st.decimals(-100, 100, places=3),
    waits=st.lists(st.integers(0, 10**8), max_size=6),
    refill=st.decimals(0, 3, places=4),
)
def test_how_finely_time_is_cut_makes_no_difference(pressure: Decimal, waits: list[int], refill: Decimal) -> None:
    left = pressure
    for wait in waits:
        left = relaxed(left, elapsed=wait, refill=refill)
    assert left == relaxed(pressure, elapsed=sum(waits), refill=refill)


consumed_so_far = st.decimals(0, 60, places=3) | st.decimals(0, 60, places=1) | st.sampled_from([D(0), D("1E1"), D(20)])


@given(
    taken=st.lists(st.tuples(consumed_so_far, consumed_so_far), min_size=1, max_size=12),
    depth=st.sampled_from([D(10), D("1E1"), D("7.25"), D("0.4")]),
    levels=st.sampled_from([None, 1, 4]),
)  # fmt: skip
def test_the_first_offer_is_the_ladders_digit_by_digit_whatever_was_asked_before(
    taken: list[tuple[Decimal, Decimal]], depth: Decimal, levels: int | None
) -> None:
    asked = replace(MARKET, depth=depth, levels=levels)  # the one market is asked again and again, forward and back
    for buy, sell in taken:
        consumed = Consumed(buy, sell)
        for side in ("buy", "sell", "buy"):
            expected = next(ladder(replace(MARKET, depth=depth, levels=levels), side, consumed), None)
            assert repr(first_offer(asked, side, consumed)) == repr(expected)
