"""Bybit's portfolio margin: the worst stress scenario plus contingencies; initial margin is a multiple.

``maintenance = maximum loss + short options + vega spread + stablecoin spread + delta spread + perpetuals``.

Source: Bybit help, margin calculations under portfolio margin. The form of each contingency is the page's; which of
their factors are the venue's and which are ours stands in ``portfolio.toml``.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from ringfence.margin.portfolio.black76 import UNMOVED, VolatilityMove
from ringfence.margin.portfolio.charges import Charge, apart, net_short, offsetting
from ringfence.margin.portfolio.exposure import by_expiry
from ringfence.margin.portfolio.risk_matrix import percent
from ringfence.margin.portfolio.unit import Margins
from ringfence.margin.scenario import Grid, Scenario, losses, totals, worst
from ringfence.numbers import ONE, RATIO_PLACES, ZERO, divide, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.numbers import Price
    from ringfence.portfolio_rules import StressTerms


@lru_cache(maxsize=64)
def grid(terms: StressTerms, coin_loss_at: str) -> Grid:
    """Return the price × volatility scenarios of ``terms``. ``coin_loss_at``: see :mod:`ringfence.margin.scenario`."""
    down = VolatilityMove("down", -float(terms.volatility_down))
    up = VolatilityMove("up", float(terms.volatility_up))
    moves = (*(-move for move in reversed(terms.price_moves)), ZERO, *terms.price_moves)
    scenarios = [
        Scenario(f"{percent(move)}, vol {volatility.name}", "stress", move, volatility)
        for move in moves
        for volatility in (down, UNMOVED, up)
    ]
    return Grid(scenarios, coin_loss_at=coin_loss_at)


def margins(exposures: Sequence[Exposure], terms: StressTerms, index: Price, table: Grid) -> Margins:
    """Return the requirement of the ``exposures`` of one unit, in the account's currency. Nothing rounds here.

    ``table``: the :func:`grid` of ``terms``, over which the exposures' gains were computed.
    """
    columns = totals([item.gains for item in exposures], table)
    found = losses(columns, table)
    loss, place = worst(found, table)
    charges = tuple(charge for charge in _charges(exposures, terms, index) if charge.amount)
    maintenance = loss + sum((charge.amount for charge in charges), ZERO)
    return Margins(
        maintenance, maintenance * terms.initial_factor, place, loss, columns, found, charges,
        (("stress", loss, place),),
    )  # fmt: skip


def _charges(exposures: Sequence[Exposure], terms: StressTerms, index: Price) -> Iterator[Charge]:
    shorts: dict[object, Decimal] = {}
    for item in exposures:
        if item.contract is not None and item.contract.option:
            key = (item.expiry, item.contract.option_type)
            shorts[key] = shorts.get(key, ZERO) + (item.coins if item.quantity > 0 else -item.coins)
    yield Charge(
        "short options", net_short(shorts) * terms.short_option_rate * index,
        f"{plain(terms.short_option_rate)} of the index per net short option of an expiry and type",
    )  # fmt: skip
    dated = list(by_expiry(exposures).values())
    vegas = [
        (divide(sum((item.vega(ONE, index) for item in items), ZERO), index, places=RATIO_PLACES), items[0].days)
        for items in dated
    ]
    yield Charge(
        "vega spread",
        min(offsetting(weight for weight, _ in vegas) * apart(vegas) * terms.vega_spread_rate * index,
            offsetting(weight for weight, _ in vegas) * index),
        f"days apart x vega that expiries offset x {plain(terms.vega_spread_rate)} x index",
    )  # fmt: skip
    stable = [
        sum((i.delta for i in exposures if i.contract is not None and (i.contract.settle_asset == "USDT") is tether),
            ZERO)
        for tether in (True, False)
    ]  # fmt: skip
    yield Charge(
        "stablecoin spread", offsetting(stable) * terms.stable_spread_rate * index,
        f"{percent(terms.stable_spread_rate)} of the delta that USDT-settled and other contracts offset",
    )  # fmt: skip
    deltas = [(sum((item.delta for item in items), ZERO), items[0].years) for items in dated]
    hedged = offsetting(weight for weight, _ in deltas) * index
    yield Charge(
        "delta spread",
        min(hedged * apart(deltas) * terms.delta_spread_rate, hedged * 2 * max(terms.price_moves)),
        f"delta that expiries offset x years apart x {percent(terms.delta_spread_rate)}, at most what the offset saved",
    )  # fmt: skip
    futures = chain(item for item in exposures if item.contract is not None and not item.contract.option)
    yield Charge(
        "perpetuals and futures", sum((item.coins for item in futures), ZERO) * terms.perpetual_rate * index,
        f"{percent(terms.perpetual_rate)} of the index, gross",
    )  # fmt: skip


__all__ = ["grid", "margins"]
