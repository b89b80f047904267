"""What brings a pool's health back: the smallest deposit, and the smallest reduction of one position.

Both are solved on an assessment. A reduction is closed at the mark: the balance stays, the requirement falls; it is
the smallest *size to close* because the requirement never rises when a position shrinks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import Backing
from ringfence.margin.walk import Equity, Leg, Walk
from ringfence.numbers import ONE, ROUND_CEILING, VALUE_PLACES, ZERO, divide, exact, round_to

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Quantity, Rate, Value


@exact
def smallest_deposit(assessment: Assessment, health: Decimal) -> Value | None:
    """Return the cash that lifts health to ``health``: ``health · requirement − balance``, at least 0.

    None when balance or requirement is not known.
    """
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    if balance is None or required is None:
        return None
    return max(ZERO, health * required - balance)


@exact
def smallest_reduction(
    assessment: Assessment, line: PositionLine, health: Decimal, *, fee_rate: Rate = ZERO
) -> Quantity | None:
    """Return how many contracts of ``line`` must be closed at the mark so that health reaches ``health``.

    ``fee_rate`` of the value closed is paid for it. Rounded up to the quantity step (24 places without one), at most
    the whole position. Where the requirement stands on the entry price (or is frozen at a mark), it is taken as
    falling in proportion to what is closed: on progressive tiers it really falls faster, so that the answer is enough
    and may be more than the least. None when closing it whole is not enough, or when balance or requirement is not
    known.
    """
    balance, required = assessment.balance_held_against, assessment.liquidation_requirement
    if balance is None or required is None or line.liquidation_requirement is None:
        return None
    if balance >= health * required:
        return ZERO
    if balance < 0:
        return None  # closing at the mark brings no money in
    size = abs(line.position.quantity)
    ask = ONE
    if assessment.pool.mode.backing is Backing.BASKET:
        ask = assessment.pool.collateral[line.contract.settle_asset].ask
    others = required - line.liquidation_requirement * ask
    # t is what is left of the position: cash falls with what is closed, the requirement with what is left
    charge = line.charge
    share = divide(charge.fee_slope, size, places=VALUE_PLACES) if charge.fee_slope else ZERO
    per_contract = charge._replace(
        size=line.contract_value if charge.size else ZERO,
        moving=True,
        fixed=None,
        tier_slope=line.contract_value if charge.tier_slope else (ONE if charge.table is not None else ZERO),
        tier_offset=charge.tier_offset if charge.tier_slope else ZERO,
        flat_rate=_frozen_rate(line),
        fee_slope=share * line.contract_value + divide(charge.fee, size, places=VALUE_PLACES),
        fee=ZERO,
    )
    fee = fee_rate * line.contract_value
    walk = Walk(
        (Leg(per_contract, ZERO, ONE, health * ask, line.tier or 0),),
        (Equity(fee * ask, balance - fee * ask * size),),
        -health * others,
    )
    if walk.sign(size) >= 0:
        return ZERO
    left = walk.crossing(size, upward=False)
    if left is None or left[0] < 0:
        return None
    kept = divide(*left, places=VALUE_PLACES)
    closed = size - kept
    step = line.contract.quantity_step
    return min(size, closed if step is None else round_to(closed, step, rounding=ROUND_CEILING))


def _frozen_rate(line: PositionLine) -> Rate | None:
    """Return the rate of a requirement that does not follow the mark (entry, frozen mark), per value at the mark."""
    charge = line.charge
    if charge.moving:
        return charge.flat_rate
    if not line.notional or charge.fixed is None:
        return ZERO
    return divide(charge.fixed, line.notional, places=VALUE_PLACES) - charge.funding


__all__ = ["smallest_deposit", "smallest_reduction"]
