"""A pool's assessment with the requirement of portfolio margin in place of the sum of its risk tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.margin import formulas
from ringfence.margin.portfolio.requirement import requirement
from ringfence.numbers import ZERO
from ringfence.portfolio_rules import UnifiedTerms

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Marks
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import OrderLine
    from ringfence.margin.portfolio.requirement import Known, PortfolioRequirement
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook


def with_requirement(found: Assessment, marks: Marks, rulebook: Rulebook, known: Known | None = None) -> Assessment:
    """Return ``found``, an assessment by risk tiers, as portfolio margin has it.

    Equity stays. Margins are the portfolio's, in the account's currency; a position has none of its own, but where the
    model goes by risk tiers; nor has an asset an available balance of its own, for which no venue that was read has a
    rule. Orders lock what the worse side of them, filled, would add to the initial margin; at Binance their opening
    loss comes off the equity (adjusted equity).
    """
    portfolio = requirement(found.pool, found.lines, rulebook, known=known)
    required = portfolio.maintenance * portfolio.liquidation_factor
    balance = found.margin_balance
    by_scenarios = not isinstance(portfolio.rules.terms, UnifiedTerms)
    if by_scenarios:
        order_margin = _order_margin(found, portfolio, marks, rulebook)
        lines = tuple(
            line._replace(initial_margin=None, maintenance_margin=None, liquidation_requirement=None, tier=None,
                          maintenance_rate=None, deduction=ZERO, closing_fee=ZERO)
            for line in found.lines
        )  # fmt: skip
        held_against = balance
    else:
        order_margin, lines = ZERO, found.lines
        losses = sum((_open_loss(line, marks, found) for line in found.orders), ZERO)
        held_against = None if balance is None else balance - losses
    available = None
    if held_against is not None:
        available = max(ZERO, held_against - portfolio.initial - order_margin)
    return found._replace(
        balance_held_against=held_against,
        initial_margin=portfolio.initial,
        order_margin=order_margin,
        maintenance_margin=portfolio.maintenance,
        closing_fee=ZERO,
        liquidation_requirement=required,
        available_balance=available,
        lines=lines,
        assets=tuple(
            line
            if not by_scenarios
            else line._replace(
                initial_margin=None, maintenance_margin=None, liquidation_requirement=None, available=None
            )
            for line in found.assets
        ),
        portfolio=portfolio,
    )


def _order_margin(found: Assessment, portfolio: PortfolioRequirement, marks: Marks, rulebook: Rulebook) -> Value:
    """Return what the orders that can add to a position would add to the initial margin, the worse side of them.

    All buys filled at once, or all sells: the larger requirement counts. The venues' own ways are not published; this
    is ours.
    """
    opening = [line for line in found.orders if not line.order.reduce_only]
    most = portfolio.initial
    for buys in (True, False):
        more = [
            (line.contract, line.order.quantity, marks.get(line.order.symbol, line.order.price))
            for line in opening
            if (line.order.quantity > 0) is buys
        ]
        if more:
            most = max(most, requirement(found.pool, found.lines, rulebook, more=more, known=portfolio.known).initial)
    return most - portfolio.initial


def _open_loss(line: OrderLine, marks: Marks, found: Assessment) -> Decimal:
    """Return what an order would lose at once if it filled at its price, in the account's currency (≥ 0)."""
    order, contract = line.order, line.contract
    if order.reduce_only:
        return ZERO
    mark = marks.get(order.symbol, order.reference_price or order.price)
    loss = formulas.open_loss(order.quantity, contract.unit_value(mark), contract.unit_value(order.price))
    return loss * found.pool.collateral[contract.settle_asset].index


__all__ = ["with_requirement"]
