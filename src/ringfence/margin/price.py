"""At which price of one symbol a pool is called, liquidated and bankrupt, the marks of its other symbols fixed.

The pool's surplus is walked along the value of one contract, away from the mark, tier by tier
(:mod:`ringfence.margin.walk`): roots count only inside their own tier, the legs of a hedge move together, and each
price is divided and rounded once. The venues' own forms, listed in their rulebooks, are this equation solved for one
position. In a basket the index prices of assets move with their coin's mark (:mod:`ringfence.margin.basket`).

Sources: Binance, liquidation price of USDⓈ-M futures (FAQ b3c689c1f50a44cabb3a84e663b81d93); for a pool whose prices
are shown as if its equity were shared out by value: KuCoin, liquidation price in cross margin (support 35084431335065).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing
from ringfence.margin.assess import assess, closing_rate
from ringfence.margin.basket import along_symbol, amount_for
from ringfence.margin.formulas import break_even_value
from ringfence.margin.portfolio.price import UnitPrices, marks_with
from ringfence.margin.walk import Equity, Leg, Walk, root
from ringfence.numbers import (
    ONE,
    PRICE_PLACES,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    UNIT_VALUE_PLACES,
    VALUE_PLACES,
    ZERO,
    divide,
    exact,
    round_to,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Marks, Pool
    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.margin.walk import Point
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.rulebook import Policies, Rulebook


class LiquidationPrices(NamedTuple):
    """Where one symbol's price alone liquidates a pool. None: no such price.

    The pool is liquidated at or below ``below`` and at or above ``above`` (just past them where the venue's trigger is
    strict), other marks fixed. For a pool that is liquidatable already they are the prices at which it would stop
    being so. ``rounded``: whether the contract's price step was known and its venue rounds to it. In a
    basket :func:`~ringfence.margin.basket.moving_with` says which assets' indices move with the symbol's mark.
    """

    below: Price | None
    above: Price | None
    rounded: bool

    def of_side(self, side: str) -> Price | None:
        """Return the price that a ``long`` (below) or a ``short`` (above) is shown, or the other one if it has none."""
        first, other = (self.below, self.above) if side == "long" else (self.above, self.below)
        return first if first is not None else other


def liquidation_price(pool: Pool, symbol: str, marks: Marks, rulebook: Rulebook) -> LiquidationPrices:
    """Return the liquidation prices of ``symbol`` in ``pool``, below and above its mark, other marks fixed."""
    return liquidation_prices(assess(pool, marks, rulebook), symbol)


@exact
def liquidation_prices(assessment: Assessment, symbol: str, *, health: Decimal = ONE) -> LiquidationPrices:
    """Return the prices of ``symbol`` at which an assessed pool's health reaches ``health`` (1: is liquidated).

    Rounded to the contract's price step by the venue's policy, toward the side that acts earlier where that policy
    says so; otherwise to 24 places. A price ≤ 0 is None unless the venue reports it as it is. In portfolio margin they
    are searched for, with the symbol's whole risk unit moving.
    """
    lines = [line for line in assessment.lines if line.position.symbol == symbol]
    if assessment.portfolio is not None and lines:
        return _by_search(assessment, symbol, health)
    walk = _along_one_symbol(assessment, lines, health)
    if walk is None:
        return LiquidationPrices(None, None, rounded=False)
    contract, policies, value = lines[0].contract, assessment.policies, lines[0].contract_value
    sign, down, up = walk.crossings(value)
    if sign < 0:
        down, up = up, down  # liquidatable already: the way back up is the price it was liquidated at
    below, above = (up, down) if contract.inverse else (down, up)
    return LiquidationPrices(
        _price(below, contract, policies, toward=ROUND_CEILING),
        _price(above, contract, policies, toward=ROUND_FLOOR),
        rounded=contract.price_step is not None and policies.liquidation_price_rounding != "none",
    )


def _by_search(assessment: Assessment, symbol: str, health: Decimal) -> LiquidationPrices:
    """Return a portfolio account's prices, its risk units moving as one (:mod:`.portfolio.price`)."""
    below, above = unit_prices(assessment).of(symbol, health)
    contract = next(line.contract for line in assessment.lines if line.position.symbol == symbol)
    return LiquidationPrices(below, above, rounded=contract.price_step is not None)


def unit_prices(assessment: Assessment) -> UnitPrices:
    """Return the search for a portfolio account's prices; the same one for the same assessment."""
    portfolio = assessment.portfolio
    if portfolio is None:
        raise TypeError("only a portfolio account moves by risk units")
    return portfolio.once(UnitPrices, lambda: UnitPrices(assessment))


@exact
def assessed_at(assessment: Assessment, symbol: str, price: Price) -> Assessment:
    """Return a portfolio account assessed where ``symbol`` is at ``price`` and its risk unit moved with it."""
    portfolio = assessment.portfolio
    if portfolio is None:
        raise TypeError("only a portfolio account moves by risk units")
    return assess(assessment.pool, marks_with(assessment, symbol, price), portfolio.rulebook)


def _along_one_symbol(assessment: Assessment, lines: list[PositionLine], health: Decimal) -> Walk | None:
    """Return the pool's surplus over ``health`` times its requirement as the symbol's contract value moves.

    None when balance or requirement is not known.
    """
    if not lines or assessment.balance_held_against is None or assessment.liquidation_requirement is None:
        return None
    if assessment.pool.mode.backing is Backing.BASKET:
        return along_symbol(assessment, lines, health)
    return _along_one_asset(assessment, lines, health)


def _along_one_asset(assessment: Assessment, lines: list[PositionLine], health: Decimal) -> Walk:
    balance, required = assessment.balance_held_against or ZERO, assessment.liquidation_requirement or ZERO
    quantity = entries = pnl = own_required = ZERO
    for line in lines:
        quantity += line.position.quantity
        entries += line.entry_value
        pnl += line.unrealised_pnl
        own_required += line.liquidation_requirement or ZERO
    signed = quantity * lines[0].contract.orientation
    if assessment.policies.pool_liquidation_price == "shared_by_value" and not assessment.pool.isolated:
        notional = sum((line.notional for line in lines), ZERO)
        share = divide(balance * notional, assessment.notional, places=VALUE_PLACES, rounding=ROUND_FLOOR)
        return Walk(_legs(lines, health), (Equity(signed, share - pnl - entries),), ZERO)
    equity = Equity(signed, balance - pnl - entries)
    if assessment.policies.closing_fee == "bankruptcy_price" and len(assessment.lines) > 1:
        whole = equity._replace(constant=equity.constant + (assessment.margin_balance or ZERO) - balance)
        fees = tuple(_fee_at_bankruptcy(line, whole, lines[0], assessment, health) for line in assessment.lines)
        own_fees = sum((line.closing_fee for line in lines), ZERO)
        others = required - own_required - (assessment.closing_fee - own_fees)
        free = [line._replace(charge=line.charge._replace(fee=ZERO)) for line in lines]
        return Walk(_legs(free, health), (equity, *fees), -health * others)
    return Walk(_legs(lines, health), (equity,), -health * (required - own_required))


def _fee_at_bankruptcy(
    line: PositionLine, equity: Equity, moving: PositionLine, assessment: Assessment, health: Decimal
) -> Equity:
    """Return what the fee to close ``line`` at its own bankruptcy price takes off while the price of ``moving`` moves.

    That price falls as the rest of the pool gains: where equity is ``E`` and the leg's gain per unit of value ``g``, it
    is at the value ``(g · v − E) ÷ (g − rate · size)``, and the fee is ``rate · size`` times that where it is above 0.
    """
    signed = line.position.quantity * line.contract.orientation
    slope, constant = -equity.slope, -equity.constant
    if line.position.symbol == moving.position.symbol:
        slope += signed
    else:
        constant += signed * line.contract_value
    charged = closing_rate(line.contract, assessment.policies) * line.charge.size
    if not charged or signed == charged:
        return Equity(ZERO, ZERO, ZERO, ZERO)
    share = -health * divide(charged, signed - charged, places=UNIT_VALUE_PLACES)
    return Equity(slope, constant, share, ZERO) if signed > charged else Equity(slope, constant, ZERO, share)


def _legs(lines: list[PositionLine], weight: Decimal) -> tuple[Leg, ...]:
    """Return the legs on the line along which the value of one contract itself runs."""
    return tuple([Leg(line.charge, ZERO, ONE, weight, line.tier or 0) for line in lines])


def _price(value: Point | None, contract: Contract, policies: Policies, *, toward: str) -> Price | None:
    """Return the price at a contract value, rounded by the venue's policy; ``toward`` the entry is up for a long."""
    if value is None:
        return None
    if value[0] <= 0 and (contract.inverse or policies.non_positive_price == "none"):
        return None
    return _rounded(value, contract, policies.liquidation_price_rounding, toward=toward)


def _rounded(value: Point, contract: Contract, policy: str, *, toward: str) -> Price:
    """Return the price at a contract value to 24 places, or to the price step by ``policy``.

    To 24 places first in either case: unit values of inverse contracts are rounded far behind them, and what is left of
    that must not carry a price that lies on a step to the next one.
    """
    step = contract.price_step
    price = contract.price_at(*value, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)
    if step is None or policy == "none":
        return price
    if policy == "one_step_toward_entry":
        return price + step if toward == ROUND_CEILING else price - step
    if policy == "nearest":
        return round_to(price, step, rounding=ROUND_HALF_EVEN)
    if policy == "away_from_entry":
        toward = ROUND_FLOOR if toward == ROUND_CEILING else ROUND_CEILING
    return round_to(price, step, rounding=toward)


@exact
def bankruptcy_price(assessment: Assessment, line: PositionLine) -> Price | None:
    """Return the price at which ``line``'s share of the pool's equity is used up, or None where there is none.

    The share is the whole equity of a pool of one position, and equity in proportion to maintenance margin in a pool
    of several. Where the venue's bankruptcy price still pays the closing fee, that fee is left over. Rounded to the
    price step by the venue's policy. In a basket the indices stay at what they are: it is the price at which a position
    can be handed over now. Source: the venues' pages in the rulebook; the sharing rule is ringfence's own.
    """
    if assessment.portfolio is not None:
        return None  # a book of hedges has no share of equity to a position
    equity = _equity_share(assessment, line)
    if equity is None:
        return None
    policies, contract = assessment.policies, line.contract
    signed = line.position.quantity * contract.orientation
    # equity + signed · (v − v_mark) = reserve_slope · v + reserve
    reserve_slope, reserve = ZERO, ZERO
    if policies.bankruptcy_reserve == "closing_fee":
        if policies.closing_fee in {"mark", "bankruptcy_price"}:
            reserve_slope = line.charge.size * closing_rate(contract, policies)
        else:
            reserve = line.charge.fee
    return used_up_at(
        equity - signed * line.contract_value - reserve, signed - reserve_slope, position=line.position.quantity,
        contract=contract, policies=policies,
    )  # fmt: skip


def used_up_at(
    constant: Value, slope: Decimal, *, position: Quantity, contract: Contract, policies: Policies
) -> Price | None:
    """Return the price at whose contract value ``v`` a position's share of equity, ``slope · v + constant``, is 0.

    None where there is none above 0. Rounded to the price step by the venue's policy.
    """
    value = root(slope, constant)
    if value is None or value[0] <= 0:
        return None
    toward = ROUND_CEILING if position > 0 else ROUND_FLOOR
    return _rounded(value, contract, policies.bankruptcy_price_rounding, toward=toward)


def _equity_share(assessment: Assessment, line: PositionLine) -> Value | None:
    """Return the part of the pool's equity, in the line's settle asset, that stands behind ``line``.

    In proportion to maintenance margin; in a basket so is what the settle asset itself holds or owes.
    """
    equity = assessment.margin_balance
    if equity is None:
        return None
    alone = len(assessment.lines) == 1
    weight, total = (ONE, ONE) if alone else (line.maintenance_margin, assessment.maintenance_margin)
    if weight is None or not total:
        return None
    if assessment.pool.mode.backing is not Backing.BASKET:
        return divide(equity * weight, total, places=VALUE_PLACES, rounding=ROUND_FLOOR)
    asset = line.contract.settle_asset
    terms = assessment.pool.collateral[asset]
    (held,) = [item for item in assessment.assets if item.asset == asset]
    if held.balance is None:
        return None
    own = held.balance + held.unrealised_pnl
    if not alone:
        charged, in_asset = weight * terms.ask, held.maintenance_margin
        own = divide(own * charged, in_asset, places=VALUE_PLACES, rounding=ROUND_FLOOR) if in_asset else ZERO
        equity = divide(equity * charged, total, places=VALUE_PLACES, rounding=ROUND_FLOOR)
    return ZERO if not equity else amount_for(terms, own, equity)


@exact
def break_even_price(line: PositionLine) -> Price | None:
    """Return the price at which closing pays for opening and closing at the taker rate; None where that is not known.

    Rounded to 24 places, half-even.
    """
    fee = line.contract.taker_fee_rate
    if fee is None:
        return None
    direction = line.contract.orientation if line.position.quantity > 0 else -line.contract.orientation
    entry = line.contract.contract_value(line.position.entry_price)
    numerator, denominator = break_even_value(entry, fee, direction)
    return line.contract.price_at(numerator, denominator, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)


__all__ = [
    "LiquidationPrices",
    "assessed_at",
    "bankruptcy_price",
    "break_even_price",
    "liquidation_price",
    "liquidation_prices",
    "unit_prices",
    "used_up_at",
]
