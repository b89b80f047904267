"""What decides about a pool of positions alone: its balance and its requirement, without the lines that explain them.

In a crash thousands of pools have to be decided about at the same prices. An assessment
(:func:`ringfence.margin.assess.assess`) explains everything about each; whether it falls is told by two sums of it, and
most of what they are made of is the same for all positions of a symbol. That is kept in :class:`Terms`.

A pool is *plain* where one asset backs it, it holds no orders, and no symbol in both directions.

**Claim.** The sums over the :func:`parts` of a plain pool's positions, each begun with 0 and taken in the pool's order,
are those of its assessment: the same decimals, digit by digit, with the same exponent, since they are written down.

**Proof.** It is the same sequence of exact operations on the same operands, with those left out that such a pool does
not have. An exact sum or product has one representation: its exponent is the smaller one of the operands', or their
sum. Policies whose figures are made in another way (of a rounded initial margin, of a fee at the bankruptcy price, of
the leverage, of the size) have no terms here. A law test holds both together for all of the packaged venues.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.assess import closing_rate
from ringfence.margin.formulas import maintenance_margin
from ringfence.margin.price import used_up_at
from ringfence.numbers import ZERO

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.contract import Contract
    from ringfence.numbers import Price, Quantity, Rate, UnitValue, Value
    from ringfence.rulebook import Policies, TierTable


class Terms(NamedTuple):
    """What all positions of a symbol have in common, in pools of one kind and at a mark: all but size and entry.

    ``value``: of one contract at the mark. ``charges``: rate and deduction by tier, None where the venue publishes
    none. ``fee_rate``: of the closing fee inside the requirement, 0 for none.
    """

    contract: Contract
    policies: Policies
    mark: Price
    value: UnitValue
    table: TierTable
    floors: tuple[Decimal, ...]
    charges: tuple[tuple[Rate, Value] | None, ...]
    by_contracts: bool
    at_entry: bool
    fee_rate: Rate

    def at(self, mark: Price) -> Terms:
        """Return the same at another mark. Computed in the exact context."""
        return self._replace(mark=mark, value=self.contract.contract_size * mark)


class Parts(NamedTuple):
    """What one position adds to its pool's figures, as its line of an assessment says."""

    unrealised_pnl: Value
    maintenance_margin: Value
    liquidation_requirement: Value
    tier: int


def terms_of(contract: Contract, table: TierTable | None, policies: Policies) -> Terms | None:
    """Return the terms of a symbol, at no mark yet; None where a pool that holds it has to be assessed."""
    if (
        table is None or not table.tiers or contract.inverse or contract.option
        or policies.maintenance_rate_base is not None or policies.tier_type == "adjustment_factor"
        or policies.maintenance_from_initial or policies.closing_fee not in {"none", "mark"}
        or (policies.tier_key == "underlying_total" and table.unit == "contracts")
    ):  # fmt: skip
        return None
    funding = policies.funding_reserve_rate
    return Terms(
        contract,
        policies,
        ZERO,
        ZERO,
        table,
        table.floors,
        tuple(
            None if tier.maintenance_rate is None else (tier.maintenance_rate + funding, tier.deduction)
            for tier in table.tiers
        ),
        table.unit == "contracts",
        policies.maintenance_at == "entry",
        closing_rate(contract, policies) if policies.closing_fee == "mark" else ZERO,
    )


def parts(terms: Terms, quantity: Quantity, entry_price: Price) -> Parts | None:
    """Return what a position adds to its pool; None where no rate is known for it. Computed in the exact context."""
    contract, policies, _, value, _, floors, charges, by_contracts, at_entry, fee_rate = terms
    size, entry = abs(quantity), contract.contract_size * entry_price
    charged = size * (entry if at_entry else value)
    tier = max(bisect_right(floors, size if by_contracts else charged) - 1, 0)
    charge = charges[tier]
    if charge is None:
        return None
    maintenance = maintenance_margin(charged, *charge)
    fee = (size * fee_rate if fee_rate else ZERO) * value + ZERO
    required = maintenance + fee
    shown = required if policies.closing_fee_in_maintenance else maintenance
    return Parts(quantity * value - quantity * entry, shown, required, tier)


def bankruptcy_price(terms: Terms, quantity: Quantity, share: Value) -> Price | None:
    """Return the price at which a position's ``share`` of its pool's equity is used up; None where there is none."""
    reserved = ZERO
    if terms.fee_rate and terms.policies.bankruptcy_reserve == "closing_fee":
        reserved = abs(quantity) * terms.fee_rate
    return used_up_at(
        share - quantity * terms.value, quantity - reserved, position=quantity, contract=terms.contract,
        policies=terms.policies,
    )  # fmt: skip


__all__ = ["Parts", "Terms", "bankruptcy_price", "parts", "terms_of"]
