"""What an assessment lists: a line per position, order and asset, each with the tier, rate and fee it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.numbers import (
    RATIO_PLACES,
    ZERO,
    divide,
    exact,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Collateral, OpenOrder, Position
    from ringfence.contract import Contract
    from ringfence.numbers import Price, Rate, UnitValue, Value
    from ringfence.rulebook import TierTable


class Charge(NamedTuple):
    """How one leg's liquidation requirement depends on the value of one contract, ``v``.

    ``requirement = size · v · (rate + funding) − deduction + fee_slope · v + fee`` where ``moving``; otherwise the
    maintenance part stays at ``fixed``. The tier is that of ``tier_slope · v + tier_offset`` in ``table``.
    ``size`` is 0 for a leg that its venue does not charge (the smaller side of a hedge). None: not known.
    """

    size: Decimal
    moving: bool
    fixed: Value | None
    table: TierTable | None
    tier_slope: Decimal
    tier_offset: Decimal
    flat_rate: Rate | None
    funding: Rate
    fee_slope: Decimal
    fee: Value


class PositionLine(NamedTuple):
    """One position of a pool at its mark. Amounts are in the settlement asset, quantities signed.

    ``notional``: at the mark; ``position_value``: on the venue's own basis. ``contract_value``: unsigned value of one
    contract at the mark. ``entry_value``: signed. ``closing_fee``: held back inside ``liquidation_requirement``.
    ``tier``: index into the table. None: not known (no table, no leverage).
    """

    position: Position
    contract: Contract
    mark_price: Price
    contract_value: UnitValue
    notional: Value
    position_value: Value
    entry_value: Value
    unrealised_pnl: Value
    initial_margin: Value | None
    maintenance_margin: Value | None
    closing_fee: Value
    liquidation_requirement: Value | None
    tier: int | None
    maintenance_rate: Rate | None
    deduction: Value
    charge: Charge


class OrderLine(NamedTuple):
    """One open order. ``order_cost`` is what it locks: initial margin plus the opening loss or fees its venue adds.

    ``liquidation_requirement`` and ``opening_fee`` are 0 except on venues that count orders against a pool.
    """

    order: OpenOrder
    contract: Contract
    notional: Value
    initial_margin: Value | None
    order_cost: Value | None
    liquidation_requirement: Value
    opening_fee: Value


class AssetLine(NamedTuple):
    """One asset of a basket. ``value``: what its equity counts for, in the account's currency; debts at the ask.

    ``available``: what can open positions settled in it: the pool's available balance at the asset's ask, rounded down
    (Binance, Multi-Assets mode); None where portfolio margin goes by scenarios. The other amounts are in the account's
    currency, balance and PnL in the asset.
    """

    asset: str
    balance: Value | None
    unrealised_pnl: Value
    value: Value | None
    initial_margin: Value | None
    liquidation_requirement: Value | None
    order_margin: Value | None
    opening_fees: Value
    terms: Collateral
    premiums: Value = ZERO
    maintenance_margin: Value | None = None
    available: Value | None = None

    @property
    @exact
    def equity(self) -> Value | None:
        """Balance with unrealised PnL, in the asset; of options their whole value, with the premium paid for it."""
        return None if self.balance is None else self.balance + self.unrealised_pnl + self.premiums

    @property
    @exact
    def haircut_loss(self) -> Value | None:
        """What the asset counts for less than it is worth at its index: haircut of a credit, surcharge of a debt."""
        equity = self.equity
        return None if equity is None or self.value is None else equity * self.terms.index - self.value

    @property
    @exact
    def effective_ratio(self) -> Rate | None:
        """Share of the equity's worth at the index that counts, over all slices, to 18 places; None for nothing."""
        equity = self.equity
        worth = None if equity is None else equity * self.terms.index
        return None if self.value is None or not worth else divide(self.value, worth, places=RATIO_PLACES)


__all__ = ["AssetLine", "Charge", "OrderLine", "PositionLine"]
