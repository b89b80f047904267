"""Orders and tapes for properties of the order book."""

from __future__ import annotations

from hypothesis import strategies as st

from ringfence.engine.liquidity import Liquidity
from ringfence.engine.orderbook import SELF_TRADE, TIMES_IN_FORCE, Incoming
from tests.unit.engine.small_books import D

PRICES = st.integers(95, 105)
SIZES = st.integers(1, 6)
ACCOUNTS = st.sampled_from(["ann", "bob", "cy"])
SIDES = st.sampled_from(["buy", "sell"])


@st.composite
def incoming_orders(draw: st.DrawFn) -> Incoming:
    """Orders of every kind, small and whole."""
    limit = draw(st.none() | PRICES)
    times = [time for time in TIMES_IN_FORCE if limit is not None or time != "post_only"]
    worst = draw(st.none() | PRICES) if limit is None else None
    return Incoming(
        account=draw(ACCOUNTS),
        side=draw(SIDES),
        quantity=D(draw(st.integers(1, 15))),
        limit=None if limit is None else D(limit),
        time_in_force=draw(st.sampled_from(times)),
        self_trade=draw(st.sampled_from(SELF_TRADE)),
        worst_price=None if worst is None else D(worst),
    )


@st.composite
def tapes(draw: st.DrawFn) -> Liquidity | None:
    """Markets around 100 in whole prices, now and then none."""
    if draw(st.integers(0, 3)) == 0:
        return None
    return Liquidity(
        D(draw(st.integers(97, 103))),
        D(draw(st.integers(0, 30))).scaleb(-3),
        D(draw(st.integers(1, 20))).scaleb(-3),
        D(draw(st.integers(1, 4))),
        draw(st.none() | st.integers(1, 4)),
        D(1),
    )
