"""Options priced in floats and handed on as whole steps: known values, parity, and the edges."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from ringfence.margin.portfolio.black76 import (
    NO_SHOCK,
    STEP,
    UNMOVED,
    Option,
    Shock,
    Shocks,
    VolatilityMove,
    delta,
    price,
    prices,
    vega,
)

D = Decimal


def _option(kind: str, moneyness: float, days: float, volatility: float = 0.6, rate: float = 0.0) -> Option:
    return Option(kind == "call", moneyness, days, volatility, rate)


def test_a_textbook_put_on_a_future_has_its_published_price() -> None:
    # Hull, Options, Futures and Other Derivatives, Black's model: F = K = 20, r = 9 %, 4 months, σ = 25 %: put 1.12.
    # Priced beside a spot S with F = S · exp(r · T), so S = 20 · exp(−0.03) and the strike is 20 ÷ S of it.
    from math import exp

    spot = 20 * exp(-0.09 * 4 / 12)
    put = price(_option("put", 20 / spot, 365 * 4 / 12, 0.25, 0.09))
    assert round(put * D(str(spot)), 2) == D("1.12")


@pytest.mark.parametrize("moneyness", [0.2, 0.8, 1.0, 1.25, 4.0])
@pytest.mark.parametrize("days", [0.5, 30.0, 400.0])
def test_a_call_less_a_put_is_the_forward_less_the_strike_to_one_step(moneyness: float, days: float) -> None:
    call, put = (price(_option(kind, moneyness, days, 0.7, 0.0)) for kind in ("call", "put"))
    assert abs((call - put) - (1 - D(str(moneyness)))) <= 2 * STEP


def test_prices_are_whole_steps() -> None:
    shocks = Shocks([Shock(factor / 100) for factor in range(20, 300, 7)])
    assert all(isinstance(found, int) for found in prices(_option("call", 1.1, 20.0, 0.5, 0.03), shocks))
    assert price(_option("call", 1.1, 20.0, 0.5, 0.0)) % STEP == 0


@pytest.mark.parametrize(
    ("kind", "moneyness", "worth"), [("call", 0.75, "0.25"), ("put", 1.5, "0.5"), ("call", 1.5, "0")]
)
def test_an_option_at_expiry_or_without_volatility_is_worth_its_exercise(
    kind: str, moneyness: float, worth: str
) -> None:
    assert price(_option(kind, moneyness, 0.0, 0.6, 0.0)) == D(worth)
    assert price(_option(kind, moneyness, 30.0, 0.0, 0.0)) == D(worth)


def test_a_day_that_passes_beyond_expiry_leaves_the_exercise_value() -> None:
    found = prices(_option("call", 0.5, 0.5, 0.6, 0.0), Shocks([Shock(1.0, days=1.0)]))
    assert found[0] * STEP == D("0.5")


def test_a_call_gains_with_the_price_and_both_gain_with_volatility() -> None:
    rising = prices(_option("call", 1.0, 30.0, 0.6, 0.0), Shocks([Shock(f / 100) for f in range(50, 200, 10)]))
    assert all(low < high for low, high in pairwise(rising))
    up = Shocks([Shock(1.0), Shock(1.0, VolatilityMove("up", 0.5))])
    for kind in ("call", "put"):
        same, raised = prices(_option(kind, 1.0, 30.0, 0.6, 0.0), up)
        assert raised > same


def test_delta_is_between_nothing_and_one_coin_and_a_put_s_is_a_call_s_less_one() -> None:
    call, put = (delta(_option(kind, 1.1, 45.0, 0.6, 0.0)) for kind in ("call", "put"))
    assert D(0) < call < D(1)
    assert call - put == D(1)
    assert delta(_option("call", 0.5, 0.0, 0.6, 0.0)) == D(1)


def test_vega_is_what_a_raised_volatility_adds() -> None:
    option = _option("call", 1.0, 30.0, 0.6, 0.0)
    raised = price(option._replace(volatility=0.66))
    assert abs(vega(option, D("0.1")) - (raised - price(option))) <= STEP


@pytest.mark.parametrize(
    ("move", "days", "moved"),
    [
        (VolatilityMove("up", 0.5, 0.3, 0.13), 30.0, 0.6 * 1.5),
        (VolatilityMove("up", 0.5, 0.3, 0.13), 15.0, 0.6 * (1 + 0.5 * 2**0.3)),
        (VolatilityMove("up", 0.5, 0.3, 0.13), 120.0, 0.6 * (1 + 0.5 * 0.25**0.13)),
        (VolatilityMove("up", 0.5, 0.3, 0.13, floor=2.0), 30.0, 2.0),
        (VolatilityMove("down", -0.9, 1.0, 1.0), 15.0, 0.0),  # a fall of 180 % leaves nothing
        (VolatilityMove("up", 1.0, steps=((0.0, 0.5), (30.0, 0.35))), 15.0, 0.6 * 1.425),
        (VolatilityMove("down", -1.0, steps=((0.0, 0.5), (30.0, 0.35))), 90.0, 0.6 * 0.65),
        (UNMOVED, 3.0, 0.6),
    ],
)
def test_volatility_moves_with_the_days_left(move: VolatilityMove, days: float, moved: float) -> None:
    assert move.moved(0.6, days) == pytest.approx(moved, rel=1e-12)


def test_no_shock_is_the_price_itself() -> None:
    assert prices(_option("call", 1.0, 30.0, 0.6, 0.0), NO_SHOCK) == (
        int(price(_option("call", 1.0, 30.0, 0.6, 0.0)) / STEP),
    )


def test_a_libm_that_is_a_few_bits_off_gives_the_same_whole_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another machine's exp, log and erfc may differ in the last bits: no step of these 600 prices notices 8 of them.
    import math

    from ringfence.margin.portfolio import black76

    shocks = Shocks([Shock(f / 100, VolatilityMove("up", v / 10)) for f in range(40, 240, 10) for v in range(3)])
    options = [
        _option(k, m, d, 0.55, 0.02) for k in ("call", "put") for m in (0.7, 1.0, 1.4, 2.5, 0.4) for d in (7.0, 91.0)
    ]
    before = [prices(option, shocks) for option in options]
    off = 1 + 8 * 2.0**-53
    monkeypatch.setattr(black76, "erfc", lambda x: math.erfc(x) * off)
    monkeypatch.setattr(black76, "log", lambda x: math.log(x) * off)
    assert [prices(option, shocks) for option in options] == before
