"""OKX's portfolio margin: nine components, the stresses by their maximum, the rest by sum.

``MMR = max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, scaled MR7) + MR9`` per risk unit, ``+ MR8`` for what the account
borrows; ``IMR = factor · derivatives' MMR + borrowing IMR``.

====  ====================================================================================================
MR1   spot shock: price moves, each with implied volatility up, same and down
MR2   time: a day passes
MR3   vega: volatilities of different expiries move apart
MR4   basis: futures of different expiries move apart
MR5   interest: yearly rates move
MR6   extreme move of the price, a share of its loss
MR7   least charge: fees and slippage of closing, scaled up with size
MR8   borrowing
MR9   a stablecoin leaves its peg: what is hedged across USDT, USDC and USD
====  ====================================================================================================

Sources: OKX, portfolio margin mode; scaling factor (4417291853837); parameters of 2025-01-02. Formulas that OKX does
not publish are ours and named as such in ``portfolio.toml``.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from ringfence.margin.portfolio.black76 import UNMOVED, VolatilityMove
from ringfence.margin.portfolio.charges import Charge, components, offsetting, scaled_by_steps
from ringfence.margin.portfolio.exposure import by_expiry
from ringfence.margin.portfolio.risk_matrix import percent
from ringfence.margin.portfolio.unit import Margins
from ringfence.margin.scenario import Grid, Scenario, losses, totals, worst
from ringfence.numbers import ZERO, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.numbers import Price, Value
    from ringfence.portfolio_rules import ComponentTerms

_GROUPS = {1: "MR1 spot shock", 2: "MR2 time", 5: "MR5 interest", 6: "MR6 extreme move"}
_FEE_CAP = Decimal("0.125")  # the fee of closing an option is at most this share of its price (OKX, fees)
_DOLLAR_QUOTES = ("USDT", "USDC")  # every other settle asset counts as USD


@lru_cache(maxsize=64)
def grid(terms: ComponentTerms, coin_loss_at: str) -> Grid:
    """Return the scenarios of MR1, MR2, MR5 and MR6. ``coin_loss_at``: see :mod:`ringfence.margin.scenario`."""
    return Grid(tuple(_scenarios(terms)), coin_loss_at=coin_loss_at)


def _scenarios(terms: ComponentTerms) -> Iterator[Scenario]:
    steps = tuple((float(end or ZERO), float(change)) for end, change in terms.volatility_moves)
    down, up = VolatilityMove("down", -1.0, steps=steps), VolatilityMove("up", 1.0, steps=steps)
    for move in (*(-move for move in reversed(terms.spot_moves)), ZERO, *terms.spot_moves):
        for volatility in (down, UNMOVED, up):
            yield Scenario(f"{percent(move)}, vol {volatility.name}", _GROUPS[1], move, volatility)
    days = terms.time_decay_days
    yield Scenario(f"{plain(days)} day passes", _GROUPS[2], ZERO, days=days)
    for rate in (-terms.interest_move, terms.interest_move):
        yield Scenario(f"interest {percent(rate)} a year", _GROUPS[5], ZERO, rate=rate)
    for move in (-terms.extreme_move, terms.extreme_move):
        yield Scenario(f"{percent(move)}, {percent(terms.extreme_share).lstrip('+')} of it", _GROUPS[6], move,
                       share=terms.extreme_share)  # fmt: skip


def margins(exposures: Sequence[Exposure], terms: ComponentTerms, index: Price, table: Grid) -> Margins:
    """Return the requirement of ``exposures``, in the account's currency, without what the account borrows."""
    columns = totals([item.gains for item in exposures], table)
    found = losses(columns, table)
    stress = {number: worst(found, table, group) for number, group in _GROUPS.items()}
    parts: dict[int, Value] = {number: loss for number, (loss, _) in stress.items()}
    vegas = [
        sum((item.vega(terms.vega_spread_move, index) for item in items), ZERO)
        for items in by_expiry(exposures).values()
    ]
    parts[3] = offsetting(vegas)
    parts[4] = _basis(exposures, terms, index)
    raw = sum((_closing(item, terms, index) for item in exposures), ZERO)
    parts[7] = scaled_by_steps(raw, terms.minimum_steps)
    hedged = offsetting(_cash_deltas(exposures, index))
    depeg = scaled_by_steps(hedged, terms.depeg_steps)
    derivatives = components(parts) + depeg
    _, place = max((stress[number] for number in (1, 2, 6)), key=lambda item: item[0])
    charges = (
        Charge("MR3 vega", parts[3], "vega that expiries offset, volatilities apart by "
               f"{percent(terms.vega_spread_move).lstrip('+')}"),
        Charge("MR4 basis", parts[4], f"each expiry's delta x years x {percent(terms.basis_move).lstrip('+')}"),
        Charge("MR5 interest", parts[5], f"yearly rates {percent(terms.interest_move).lstrip('+')} up or down"),
        Charge("MR7 least charge", parts[7], f"fees and slippage of {plain(raw)}, scaled by size; counts where it is "
               "more than all of the above", minimum=True),
        Charge("MR9 depeg", depeg, f"{plain(hedged)} hedged across stablecoins", minimum=True),
    )  # fmt: skip
    return Margins(
        derivatives, terms.initial_factor * derivatives, place,
        max(parts[1], parts[2], parts[6]), columns, found, tuple(charge for charge in charges if charge.amount),
        tuple((_GROUPS[number], *stress[number]) for number in (1, 2, 6)),
    )  # fmt: skip


def _basis(exposures: Sequence[Exposure], terms: ComponentTerms, index: Price) -> Value:
    total = ZERO
    for items in by_expiry(exposures).values():
        total += abs(sum((item.delta for item in items), ZERO)) * items[0].years
    return total * terms.basis_move * index


def _closing(item: Exposure, terms: ComponentTerms, index: Price) -> Value:
    """Return what closing one holding costs in fees and slippage (MR7, before scaling). Spot needs not be closed."""
    if item.contract is None:
        return ZERO
    own = item.contract.taker_fee_rate
    fee = terms.taker_fee if own is None else own
    if item.option is None:
        return item.value * (fee + terms.futures_slippage)
    slippage = terms.option_slippage * index * max(terms.option_minimum_delta * item.coins, abs(item.delta))
    if item.quantity > 0:
        slippage = min(slippage, abs(item.premium))
    return slippage + min(fee * item.coins * index, _FEE_CAP * abs(item.premium))


def _cash_deltas(exposures: Sequence[Exposure], index: Price) -> list[Value]:
    """Return what is held on the coin against USDT, USDC and USD, signed, in the account's currency."""
    found: dict[str, Value] = {}
    for item in exposures:
        if item.contract is not None:
            quote = item.contract.settle_asset if item.contract.settle_asset in _DOLLAR_QUOTES else "USD"
            found[quote] = found.get(quote, ZERO) + item.delta * index
    return list(found.values())


__all__ = ["grid", "margins"]
