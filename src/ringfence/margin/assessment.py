"""The answer of an assessment: what a pool holds, what is required of it, its health and its status."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.numbers import (
    RATIO_PLACES,
    ROUND_FLOOR,
    ZERO,
    divide,
    exact,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Pool
    from ringfence.margin.lines import AssetLine, OrderLine, PositionLine
    from ringfence.margin.portfolio.requirement import PortfolioRequirement
    from ringfence.numbers import Value
    from ringfence.rulebook import Levels, Policies


class Assessment(NamedTuple):
    """A pool's margin. Amounts in the pool's asset, or in the account's currency for a basket. None: not known.

    ``margin_balance = wallet_balance + unrealised_pnl`` (after haircut, in a basket). ``balance_held_against`` is what
    the requirement is compared with: the margin balance, less the margin and the opening fees of orders where the venue
    deducts them. ``portfolio``: how the requirement of a portfolio account comes about, None elsewhere.
    """

    pool: Pool
    policies: Policies
    levels: Levels
    asset: str | None
    wallet_balance: Value | None
    unrealised_pnl: Value
    margin_balance: Value | None
    balance_held_against: Value | None
    initial_margin: Value | None
    order_margin: Value | None
    maintenance_margin: Value | None
    closing_fee: Value
    liquidation_requirement: Value | None
    available_balance: Value | None
    notional: Value
    net_notional: Value
    lines: tuple[PositionLine, ...]
    orders: tuple[OrderLine, ...]
    assets: tuple[AssetLine, ...]
    portfolio: PortfolioRequirement | None = None

    @property
    def health(self) -> Decimal | None:
        """Margin balance ÷ liquidation requirement, 18 places, rounded down. None when nothing is required or known."""
        if self.balance_held_against is None or not self.liquidation_requirement:
            return None
        return divide(
            self.balance_held_against, self.liquidation_requirement, places=RATIO_PLACES, rounding=ROUND_FLOOR
        )

    @property
    def shortfall(self) -> Value | None:
        """What is missing to reach the liquidation requirement, never below 0. None when not known."""
        if self.balance_held_against is None or self.liquidation_requirement is None:
            return None
        return max(ZERO, self.liquidation_requirement - self.balance_held_against)

    @property
    def liquidatable(self) -> bool | None:
        """Whether the venue liquidates the pool at these marks. None when balance or requirement is not known."""
        balance, required = self.balance_held_against, self.liquidation_requirement
        if balance is None or required is None:
            return None
        if not required:
            return bool(balance < 0)
        return bool(balance < required or (self.policies.trigger == "at_or_below" and balance == required))

    @exact
    def reached(self, level: Decimal) -> bool | None:
        """Whether health is at or below ``level``; False when nothing is required, None when not known."""
        if self.balance_held_against is None or self.liquidation_requirement is None:
            return None
        return bool(self.liquidation_requirement and self.balance_held_against <= level * self.liquidation_requirement)

    @property
    def status(self) -> str | None:
        """``healthy``, ``margin_call`` or ``liquidatable``; None when it cannot be known."""
        if self.liquidatable is None:
            return None
        if self.liquidatable:
            return "liquidatable"
        return "margin_call" if self.reached(self.levels.margin_call) else "healthy"

    @property
    def margin_ratio(self) -> Decimal | None:
        """The venue's own ratio, in its own direction, as a fraction with 18 places; None: not known, or infinite."""
        return _margin_ratio(self)


def _margin_ratio(assessment: Assessment) -> Decimal | None:
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    policy = assessment.policies.margin_ratio
    if balance is None:
        return None
    if assessment.portfolio is not None:
        maintenance = assessment.maintenance_margin
        over = assessment.portfolio.rules.ratio == "balance / maintenance"
        return _ratio(balance, maintenance) if over else _ratio(maintenance, balance)
    if policy == "balance / notional":
        return _ratio(balance, assessment.notional)
    if policy == "balance / initial - adjustment":
        factor = assessment.policies.adjustment_factor
        if factor is None:  # of a tier instead: its share of the initial margin is the maintenance margin
            maintenance = assessment.maintenance_margin
            return _ratio(None if maintenance is None else balance - maintenance, assessment.initial_margin)
        ratio = _ratio(balance, assessment.initial_margin)
        return None if ratio is None else ratio - factor
    if policy == "balance / requirement":
        return _ratio(balance, required)
    if policy == "maintenance / balance":
        return _ratio(assessment.maintenance_margin, balance)
    return _ratio(required, balance)


def _ratio(numerator: Value | None, denominator: Value | None) -> Decimal | None:
    if numerator is None or not denominator:
        return None
    return divide(numerator, denominator, places=RATIO_PLACES)


__all__ = ["Assessment"]
