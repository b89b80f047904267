"""Whether an order would be accepted: the pool before it and with it, and the reason when not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.assess import assess, order_margin_with
from ringfence.margin.rails import against_rails_in_pool
from ringfence.margin.refusal import Refusal, refuse
from ringfence.numbers import ZERO, exact, plain

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Marks, OpenOrder, Pool
    from ringfence.contract import Contract
    from ringfence.guard_rails import GuardRails
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook, TierTable


class OrderCheck(NamedTuple):
    """The outcome of a pre-trade check. ``refusal`` is None when the order is accepted.

    ``before`` and ``after``: the pool without and with the order resting. ``needed``: margin it locks beyond what is
    locked already; None when not known.
    """

    refusal: Refusal | None
    before: Assessment
    after: Assessment
    needed: Value | None

    @property
    def accepted(self) -> bool:
        """Whether the venue would take the order."""
        return self.refusal is None


@exact
def check_order(
    pool: Pool, order: OpenOrder, marks: Marks, rulebook: Rulebook, *, rails: GuardRails | None = None
) -> OrderCheck:
    """Return whether ``pool`` may place ``order`` at ``marks``: contract steps and limits, then leverage, then margin.

    Margin is the worse side's (:func:`ringfence.margin.assess.assess`), so an order that offsets a position or another
    order may need none. A step or limit that is not known is not checked. ``rails``: what the venue would take is
    then held to these guard rails too (:func:`ringfence.margin.rails.against_rails_in_pool`).
    """
    before = assess(pool, marks, rulebook)
    after = assess(replace(pool, orders=(*pool.orders, order)), marks, rulebook)
    checked = OrderCheck(*_checked(before, order, rulebook, after.order_margin, after))
    if rails is None or not checked.accepted:
        return checked
    return checked._replace(refusal=against_rails_in_pool(pool, order, rails, marks=marks, rulebook=rulebook))


@exact
def check_on(
    before: Assessment, order: OpenOrder, marks: Marks, rulebook: Rulebook
) -> tuple[Refusal | None, Value | None]:
    """Return why the pool that was assessed may not place ``order``, or None, and the margin needed, as check_order.

    Without the pool as it would be after: for a venue that has assessed the pool already. Single-asset pools only.
    """
    refusal, _, _, needed = _checked(before, order, rulebook, order_margin_with(before, order, marks, rulebook), before)
    return refusal, needed


def _checked(
    before: Assessment, order: OpenOrder, rulebook: Rulebook, locked: Value | None, after: Assessment
) -> tuple[Refusal | None, Assessment, Assessment, Value | None]:
    contract, table = rulebook.entry(order.symbol)
    needed = None
    if before.order_margin is not None and locked is not None:
        needed = locked - before.order_margin
    refusal = (
        against_contract(order.symbol, abs(order.quantity), order.price, contract, reduce_only=order.reduce_only)
        or _against_position(order, before.pool)
        or _against_tiers(order, before.pool, contract, table)
        or _against_balance(before, needed)
    )
    return refusal, before, after, needed


def against_contract(
    symbol: str, quantity: Decimal, price: Decimal, contract: Contract, *, reduce_only: bool, limit: bool = True
) -> Refusal | None:
    """Hold a quantity and a price to the contract's steps and minimums; the price step only for a ``limit`` price."""
    if contract.quantity_step is not None and quantity % contract.quantity_step:
        return refuse(
            "quantity_step", f"{symbol}: quantity {quantity} is not a multiple of the step {contract.quantity_step}"
        )
    if limit and contract.price_step is not None and price % contract.price_step:
        return refuse("price_step", f"{symbol}: price {price} is not a multiple of the step {contract.price_step}")
    if contract.minimum_quantity is not None and quantity < contract.minimum_quantity:
        return refuse("minimum_quantity", f"{symbol}: quantity {quantity} is below {contract.minimum_quantity}")
    if contract.minimum_notional is not None and not reduce_only:
        notional = quantity * contract.contract_value(price)
        if notional < contract.minimum_notional:
            return refuse(
                "minimum_notional", f"{symbol}: notional {plain(notional)} is below {contract.minimum_notional}"
            )
    return None


def _against_position(order: OpenOrder, pool: Pool) -> Refusal | None:
    if not order.reduce_only:
        return None
    held = sum(
        (p.quantity for p in pool.positions if p.symbol == order.symbol and p.quantity * order.quantity < 0), ZERO
    )
    if abs(held) < abs(order.quantity):
        return refuse(
            "reduce_only", f"{order.symbol}: a reduce-only order of {abs(order.quantity)} against {abs(held)}"
        )
    return None


def _against_tiers(order: OpenOrder, pool: Pool, contract: Contract, table: TierTable | None) -> Refusal | None:
    """Hold the leverage, and the size after the order fills, to the tiers."""
    if table is None or not table.tiers or order.reduce_only:
        return None
    held = sum((p.quantity for p in pool.positions if p.symbol == order.symbol), ZERO)
    size = abs(held + order.quantity)
    amount = size if table.unit == "contracts" else size * contract.contract_value(order.price)
    tier = table.tiers[table.index_at(amount)]
    if tier.cap is not None and amount > tier.cap:
        return refuse("above_last_tier", f"{order.symbol}: {plain(amount)} is above {tier.cap}, the last tier's end")
    if order.leverage is not None and tier.max_leverage is not None and order.leverage > tier.max_leverage:
        asked = f"{order.symbol}: leverage {order.leverage} at {plain(amount)}"
        return refuse("leverage_above_tier", f"{asked}, the tier allows {tier.max_leverage}")
    return None


def _against_balance(before: Assessment, needed: Value | None) -> Refusal | None:
    if before.available_balance is None or needed is None:
        return None
    if needed > before.available_balance:
        return refuse(
            "insufficient_balance",
            f"needs {plain(needed)} of margin, {plain(before.available_balance)} is available",
        )
    return None


__all__ = ["OrderCheck", "against_contract", "check_on", "check_order"]
