"""Deribit's portfolio margin: the worst cell of a price × volatility grid and its extended table, plus contingencies.

``risk matrix margin = worst case + roll shock + delta shock (+ short options + offsetting futures, older edition)``;
initial and maintenance margin are shares of it. The standard table has ``2 · buckets + 1`` prices, each with volatility
down, same and up. The extended table has far moves with volatility up: a loss there counts ``price range ÷ move``, is
valued at the edge of the range, and loses ``(move ÷ price range − 1) · dampener``, so that only large losses remain.

Sources: Deribit, portfolio margin (support 25944756247837) and the API's private/pme/simulate, whose documented and
recorded replies are reproduced to their last digit (tests/unit/margin/test_risk_matrix.py).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ringfence.margin.portfolio.black76 import UNMOVED, VolatilityMove
from ringfence.margin.portfolio.charges import Charge, delta_shock, net_short, offsetting, roll_shock
from ringfence.margin.portfolio.exposure import by_expiry
from ringfence.margin.portfolio.unit import Margins
from ringfence.margin.scenario import Grid, Scenario, losses, totals, worst
from ringfence.numbers import ONE, RATIO_PLACES, UNIT_VALUE_PLACES, ZERO, divide, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.numbers import Price
    from ringfence.portfolio_rules import MatrixTerms


@lru_cache(maxsize=64)
def grid(terms: MatrixTerms, coin_loss_at: str) -> Grid:
    """Return the standard and extended table of ``terms``. ``coin_loss_at``: see :mod:`ringfence.margin.scenario`."""
    return Grid((*_standard(terms), *_extended(terms)), coin_loss_at=coin_loss_at)


def _moves_of_volatility(terms: MatrixTerms) -> tuple[VolatilityMove, VolatilityMove]:
    powers = (float(terms.short_term_power), float(terms.long_term_power))
    return (
        VolatilityMove("down", -float(terms.volatility_down), *powers),
        VolatilityMove("up", float(terms.volatility_up), *powers, floor=float(terms.minimum_volatility_up)),
    )


def _standard(terms: MatrixTerms) -> Iterator[Scenario]:
    down, up = _moves_of_volatility(terms)
    steps = int(terms.price_buckets)
    for step in range(-steps, steps + 1):
        move = divide(terms.price_range * step, terms.price_buckets, places=RATIO_PLACES)
        for volatility in (down, UNMOVED, up):
            yield Scenario(f"{percent(move)}, vol {volatility.name}", "standard", move, volatility)


def _extended(terms: MatrixTerms) -> Iterator[Scenario]:
    _, up = _moves_of_volatility(terms)
    for move in terms.extended_moves:
        size, edge = abs(move), terms.price_range if move > 0 else -terms.price_range
        share = terms.extended_factor * divide(terms.price_range, size, places=UNIT_VALUE_PLACES)
        times = max(ZERO, divide(size, terms.price_range, places=UNIT_VALUE_PLACES) - ONE)
        dampener = times * terms.extended_dampener
        yield Scenario(f"{percent(move)}, vol up (extended)", "extended", move, up, min(ONE, share), dampener, edge)


@lru_cache(maxsize=512)
def percent(move: Decimal) -> str:
    """Return a move in words: ``-16 %``, ``+4 %``."""
    return f"{'+' if move > 0 else ''}{plain(move * 100)} %"


def margins(exposures: Sequence[Exposure], terms: MatrixTerms, index: Price, table: Grid) -> Margins:
    """Return the requirement of the ``exposures`` of one unit, in the account's currency. Nothing rounds here.

    ``table``: the :func:`grid` of ``terms``, over which the exposures' gains were computed.
    """
    columns = totals([item.gains for item in exposures], table)
    in_coin = any(item.holding.in_coin for item in exposures)
    found = losses(columns, table, in_coin=in_coin)
    loss, place = worst(found, table)
    charges = tuple(charge for charge in _charges(exposures, terms, index) if charge.amount)
    figure = loss + sum((charge.amount for charge in charges), ZERO)
    maintenance, initial = figure * terms.maintenance_factor, figure * terms.initial_factor
    parts = tuple((group, *worst(found, table, group)) for group in ("standard", "extended"))
    return Margins(maintenance, initial, place, loss, columns, found, charges, parts)


def _charges(exposures: Sequence[Exposure], terms: MatrixTerms, index: Price) -> Iterator[Charge]:
    delta = sum((item.delta for item in exposures), ZERO)
    rolled = ZERO
    for items in by_expiry(exposures).values():
        net = sum((item.delta for item in items), ZERO)
        rolled += roll_shock(net, items[0].years, least=terms.minimum_expiry_move, annualised=terms.annualised_move)
    yield Charge(
        "roll shock", rolled * index,
        f"each expiry's net delta x the larger of {percent(terms.minimum_expiry_move)} and "
        f"{percent(terms.annualised_move)} a year",
    )  # fmt: skip
    threshold = divide(terms.delta_shock_threshold, index, places=RATIO_PLACES)
    shock = delta_shock(delta, threshold, increment=terms.delta_shock_increment, most=terms.maximum_delta_shock)
    yield Charge("delta shock", shock * index, f"net delta beyond {plain(terms.delta_shock_threshold)}", minimum=True)
    strikes: dict[object, Decimal] = {}
    for item in exposures:
        if item.contract is not None and item.contract.option:
            key = (item.expiry, item.contract.strike)
            strikes[key] = strikes.get(key, ZERO) + (item.coins if item.quantity > 0 else -item.coins)
    yield Charge(
        "short options", net_short(strikes) * terms.short_option_rate * index,
        f"{plain(terms.short_option_rate)} of the underlying per net short option of a strike",
    )  # fmt: skip
    futures = [item.delta for item in exposures if item.contract is not None and not item.contract.option]
    yield Charge(
        "offsetting futures", offsetting(futures) * terms.offsetting_futures_rate * index,
        f"{percent(terms.offsetting_futures_rate)} of what futures offset",
    )  # fmt: skip


__all__ = ["grid", "margins", "percent"]
