"""At which price, and how much of it, venues without a takeover close a position that is being liquidated.

dYdX v4 offers a liquidated position at a *fillable price* that gets worse for the account the further it is below its
requirement, never past its bankruptcy price; Drift closes the size that just brings the margin back.

Sources: dydxprotocol/v4-chain, ``protocol/x/clob/keeper/liquidations.go`` and its tests; drift-labs/protocol-v2,
``programs/drift/src/math/liquidation.rs`` and its tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.numbers import ONE, PRICE_PLACES, ROUND_FLOOR, ROUND_HALF_EVEN, VALUE_PLACES, ZERO, divide, exact

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.numbers import Price, Quantity, Rate, Value

_QUOTE_PLACES = 6  # dYdX counts in quote quanta of 1e-6


@exact
def bankruptcy_rating(*, collateral: Value, requirement: Value, adjustment: Decimal) -> Decimal:
    """Return how bankrupt an account is, 0 to 1: ``adjustment · (1 − collateral ÷ requirement)``, to 24 places.

    ``collateral``: total net collateral; ``requirement``: total maintenance requirement (0 counts as wholly bankrupt
    below 0 and as not at all otherwise); ``adjustment`` ≥ 1 makes the rating rise faster. (dYdX v4)
    """
    if requirement <= 0:
        return ONE if collateral < 0 else ZERO
    rating = adjustment * (ONE - divide(collateral, requirement, places=VALUE_PLACES))
    return min(ONE, max(ZERO, rating))


@exact
def fillable_price(
    *, quantity: Quantity, oracle_price: Price, maintenance_rate: Rate, rating: Decimal, spread_to_maintenance: Rate
) -> Price:
    """Return the price a liquidated position is offered at: ``(value − rating · spread · requirement) ÷ quantity``.

    ``quantity`` in base units, signed; ``value`` is signed with it, so that a long is offered below the oracle price
    and a short is bought back above it. Rounded half-even to 24 places; in whole subticks on the chain. (dYdX v4)
    """
    value = quantity * oracle_price
    offered = value - rating * spread_to_maintenance * abs(value) * maintenance_rate
    return divide(offered, quantity, places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)


@exact
def bankruptcy_proceeds(
    *, value_change: Value, requirement_change: Value, collateral: Value, requirement: Value
) -> Value:
    """Return the quote that must come in for a change of a position so that what is left is as solvent as before.

    ``−ΔNNV − floor(TNC · |ΔMMR| ÷ TMMR)`` with the net notional's change ``value_change``, the requirement's change,
    total net collateral and total maintenance requirement; the floor in quote quanta of 1e-6, so the price is rounded
    against the position. Negative: a short pays that to be closed. (dYdX v4)
    """
    shared = collateral * abs(requirement_change)
    return -value_change - divide(shared, requirement, places=_QUOTE_PLACES, rounding=ROUND_FLOOR)


@exact
def restoring_size(
    *,
    shortage: Value,
    price: Price,
    margin_rate: Rate,
    liquidator_fee: Rate,
    insurance_fee: Rate,
    quote_price: Price = ONE,
    places: int = 9,
) -> Quantity | None:
    """Return the base amount whose closing just makes up a margin ``shortage``, rounded down to ``places``.

    ``shortage ÷ (price · quote_price · (margin_rate − liquidator_fee − insurance_fee))``: every unit closed frees its
    margin less the fees. None where the fees take as much as is freed: no size is enough. (Drift v2)
    """
    freed = price * quote_price * (margin_rate - liquidator_fee - insurance_fee)
    return None if freed <= 0 else divide(shortage, freed, places=places, rounding=ROUND_FLOOR)


__all__ = ["bankruptcy_proceeds", "bankruptcy_rating", "fillable_price", "restoring_size"]
