"""What portfolio margin requires, reckoned again from the venues' words, in fractions: futures and spot, no options.

Shares no code with the margin maths: it reads the terms of a rulebook's ``portfolio.toml`` and does its own sums,
scenario by scenario. Without options only the price matters in a scenario: volatility, time and interest have no part
here.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ringfence.portfolio_rules import ComponentTerms, MatrixTerms, StressTerms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

    from ringfence.portfolio_rules import PortfolioRules, Steps

_NONE = Fraction(0)


class Stake(NamedTuple):
    """What a holding has in its coin. ``coins``: signed; ``worth``: signed, in the account's currency.

    ``pays``: the asset it settles in; ``in_coin``: whether that is the coin itself. ``fee``: its taker rate where the
    contract states one. ``years`` to the expiry; spot and perpetuals have none. ``spot``: whether it is no contract.
    """

    coins: Fraction
    worth: Fraction
    pays: str
    in_coin: bool
    fee: Fraction | None
    expiry: datetime | None
    years: Fraction
    spot: bool = False


def required(coin: str, stakes: list[Stake], price: Fraction, rules: PortfolioRules) -> Fraction:
    """Return the maintenance margin of what is held on a coin whose index is ``price``."""
    terms = rules.terms_of(coin)
    if isinstance(terms, MatrixTerms):
        return _matrix(stakes, price, terms, rules.coin_loss_at)
    if isinstance(terms, StressTerms):
        return _stress(stakes, price, terms, rules.coin_loss_at)
    if isinstance(terms, ComponentTerms):
        return _components(stakes, price, terms, rules.coin_loss_at)
    raise AssertionError(f"the auditor does not know the model {rules.model}")


def _gain(stakes: Iterable[Stake], move: Fraction, how: str) -> Fraction:
    """Return what a book gains when its coin moves by a share of its price.

    What is settled in the coin gains that many coins less: ``move ÷ (1 + move)`` of them, counted at today's index or
    (``scenario``) at the price after the move.
    """
    total = _NONE
    for one in stakes:
        total += one.worth * (move / (1 + move) if one.in_coin and how == "index" else move)
    return total


@lru_cache(maxsize=256)
def _both_ways(moves: tuple[Decimal, ...]) -> tuple[Fraction, ...]:
    return tuple(sign * Fraction(move) for move in moves for sign in (-1, 1))


def _worst(stakes: list[Stake], moves: Iterable[Fraction], how: str) -> Fraction:
    return max((-_gain(stakes, move, how) for move in moves), default=_NONE, key=lambda loss: loss)


def _offset(amounts: Iterable[Fraction]) -> Fraction:
    """Return how much of signed amounts stands against each other."""
    amounts = list(amounts)
    return min(sum((a for a in amounts if a > 0), _NONE), -sum((a for a in amounts if a < 0), _NONE))


def _expiries(stakes: list[Stake]) -> list[tuple[Fraction, Fraction]]:
    """Return (net coins, years) of each expiry; perpetuals and spot are one of their own."""
    found: dict[datetime | None, tuple[Fraction, Fraction]] = {}
    for one in stakes:
        found[one.expiry] = (found.get(one.expiry, (_NONE, _NONE))[0] + one.coins, one.years)
    return list(found.values())


def _matrix(stakes: list[Stake], price: Fraction, terms: MatrixTerms, how: str) -> Fraction:
    """Deribit: the worst of the price table and of the extended table, and what offsets only in part."""
    reach, steps = Fraction(terms.price_range), int(terms.price_buckets)
    loss = max(_NONE, _worst(stakes, [reach * step / steps for step in range(-steps, steps + 1)], how))
    in_coin = any(one.in_coin for one in stakes)
    for move in map(Fraction, terms.extended_moves):
        edge = reach if move > 0 else -reach
        far = abs(move) / reach
        counted = min(Fraction(1), Fraction(terms.extended_factor) / far)
        spared = max(_NONE, far - 1) * Fraction(terms.extended_dampener)
        gained = _NONE
        for one in stakes:  # what is settled in the coin is counted at the edge of the table
            gained += one.worth * move * counted / ((1 + edge) if one.in_coin and how == "index" else 1)
        loss = max(loss, -gained - (spared / (1 + edge) if in_coin else spared))
    net = abs(sum((one.coins for one in stakes), _NONE))
    rolled = sum(
        (abs(coins) * max(Fraction(terms.minimum_expiry_move), Fraction(terms.annualised_move) * years)
         for coins, years in _expiries(stakes)), _NONE,
    )  # fmt: skip
    beyond = max(_NONE, net - Fraction(terms.delta_shock_threshold) / price)
    shocked = beyond * min(Fraction(terms.maximum_delta_shock), Fraction(terms.delta_shock_increment) * beyond)
    against = _offset(one.coins for one in stakes if not one.spot) * Fraction(terms.offsetting_futures_rate)
    return (loss + (rolled + shocked + against) * price) * Fraction(terms.maintenance_factor)


def _stress(stakes: list[Stake], price: Fraction, terms: StressTerms, how: str) -> Fraction:
    """Bybit: the worst move, what stablecoins and expiries offset, and a share of all futures."""
    loss = max(_NONE, _worst(stakes, _both_ways(terms.price_moves), how))
    tether = sum((one.coins for one in stakes if one.pays == "USDT" and not one.spot), _NONE)
    other = sum((one.coins for one in stakes if one.pays != "USDT" and not one.spot), _NONE)
    stable = _offset((tether, other)) * Fraction(terms.stable_spread_rate)
    dated = _expiries(stakes)
    hedged = _offset(coins for coins, _ in dated)
    spread = min(
        hedged * _apart(dated) * Fraction(terms.delta_spread_rate), hedged * 2 * Fraction(max(terms.price_moves))
    )
    gross = sum((abs(one.coins) for one in stakes if not one.spot), _NONE) * Fraction(terms.perpetual_rate)
    return loss + (stable + spread + gross) * price


def _apart(dated: list[tuple[Fraction, Fraction]]) -> Fraction:
    """Return how many years lie between the centre of what is long and the centre of what is short."""
    centres = []
    for sign in (1, -1):
        side = [(abs(coins), years) for coins, years in dated if coins * sign > 0]
        total = sum((coins for coins, _ in side), _NONE)
        if not total:
            return _NONE
        centres.append(sum((coins * years for coins, years in side), _NONE) / total)
    return abs(centres[0] - centres[1])


def _components(stakes: list[Stake], price: Fraction, terms: ComponentTerms, how: str) -> Fraction:
    """OKX: spot shock or extreme move, and basis; at least the cost of closing; and a broken peg."""
    shock = max(_NONE, _worst(stakes, _both_ways(terms.spot_moves), how))  # MR1
    extreme = max(_NONE, _worst(stakes, _both_ways((terms.extreme_move,)), how)) * Fraction(terms.extreme_share)  # MR6
    dated = sum((abs(coins) * years for coins, years in _expiries(stakes)), _NONE)
    basis = dated * Fraction(terms.basis_move) * price  # MR4
    closing = _NONE  # MR7
    for one in stakes:
        if not one.spot:
            fee = Fraction(terms.taker_fee) if one.fee is None else one.fee
            closing += abs(one.worth) * (fee + Fraction(terms.futures_slippage))
    against: dict[str, Fraction] = {}  # MR9
    for one in stakes:
        if not one.spot:
            quote = one.pays if one.pays in {"USDT", "USDC"} else "USD"
            against[quote] = against.get(quote, _NONE) + one.coins * price
    stressed = max(max(shock, extreme) + basis, _in_slices(closing, terms.minimum_steps))
    return stressed + _in_slices(_offset(against.values()), terms.depeg_steps)


def _in_slices(amount: Fraction, steps: Steps) -> Fraction:
    """Return each slice of an amount at its own factor; what lies beyond the last end at the last one."""
    total, begins, factor = _NONE, _NONE, _NONE
    for end, given in steps:
        factor = Fraction(given)
        ends = amount if end is None else min(amount, Fraction(end))
        total += max(_NONE, ends - begins) * factor
        begins = max(begins, ends if end is None else Fraction(end))
    return total + max(_NONE, amount - begins) * factor


__all__ = ["Stake", "required"]
