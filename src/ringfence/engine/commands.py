"""What can be asked of the engine. Every command carries an id and a time; both come from outside.

A command that was handled before (same ``id``) changes nothing and returns its first outcome. One that cannot be
carried out leads to a :class:`~ringfence.engine.events.Refused`, numbered as in :mod:`ringfence.margin.refusal`.
Quantities are unsigned contracts with a side, prices and amounts are positive, an isolated position's amounts are in
its settlement asset; ``at`` is microseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ringfence.engine.messages import dataclass
from ringfence.numbers import ONE

if TYPE_CHECKING:
    from ringfence.numbers import Price, Quantity, Rate, Value


@dataclass(frozen=True, slots=True)
class Command:
    """A request. ``id`` is unique per intent, ``at`` never decides anything but ages, cooldowns and expiries."""

    id: str
    at: int


@dataclass(frozen=True, slots=True)
class Deposit(Command):
    """Bring ``amount`` of an asset into a trader's wallet."""

    kind: ClassVar[str] = "deposit"
    account: str
    asset: str
    amount: Value


@dataclass(frozen=True, slots=True)
class Withdraw(Command):
    """Take ``amount`` out of a trader's wallet; only what is available and not bonus."""

    kind: ClassVar[str] = "withdraw"
    account: str
    asset: str
    amount: Value


@dataclass(frozen=True, slots=True)
class Transfer(Command):
    """Move ``amount`` from one trader's wallet (or sub-account) to another's."""

    kind: ClassVar[str] = "transfer"
    account: str
    to_account: str
    asset: str
    amount: Value


@dataclass(frozen=True, slots=True)
class CreditBonus(Command):
    """Credit ``amount`` of bonus: it counts as margin by the venue's order of use and is never withdrawn as money."""

    kind: ClassVar[str] = "credit_bonus"
    account: str
    asset: str
    amount: Value


@dataclass(frozen=True, slots=True)
class ExpireBonus(Command):
    """Take back whatever bonus of an asset is left."""

    kind: ClassVar[str] = "expire_bonus"
    account: str
    asset: str


@dataclass(frozen=True, slots=True)
class CreditVoucher(Command):
    """Give a trader a voucher of ``amount``, of a kind that the rulebook's fee schedule has.

    ``share``: of a charge that it may pay at most (above 0, at most 1). ``until``: microseconds since 1970 UTC at which
    it ends; None: it does not.
    """

    kind: ClassVar[str] = "credit_voucher"
    account: str
    voucher: str
    voucher_kind: str
    asset: str
    amount: Value
    share: Rate = ONE
    until: int | None = None


@dataclass(frozen=True, slots=True)
class ExpireVoucher(Command):
    """Take back what is left of a voucher before its time."""

    kind: ClassVar[str] = "expire_voucher"
    account: str
    voucher: str


@dataclass(frozen=True, slots=True)
class SetFeeLevel(Command):
    """Put a trader on a level of the rulebook's fee schedule: who reaches it is decided outside."""

    kind: ClassVar[str] = "set_fee_level"
    account: str
    level: str


@dataclass(frozen=True, slots=True)
class SetFeeDiscount(Command):
    """Turn a discount of the rulebook's fee schedule ``on`` or ``off``; of one group, the last turned on holds."""

    kind: ClassVar[str] = "set_fee_discount"
    account: str
    discount: str
    state: str


@dataclass(frozen=True, slots=True)
class PlaceOrder(Command):
    """Place an order.

    ``type``: limit, market, stop_limit, stop_market, take_profit_limit, take_profit_market. ``time_in_force``: GTC,
    IOC, FOK or post_only. A stop waits until ``trigger_by`` (mark or last) reaches ``trigger_price``.
    ``close_position`` closes the whole position when triggered. In hedge mode ``position_side`` names the leg, long
    or short.
    """

    kind: ClassVar[str] = "place_order"
    account: str
    order: str
    symbol: str
    side: str
    quantity: Quantity | None
    type: str = "limit"
    price: Price | None = None
    time_in_force: str = "GTC"
    reduce_only: bool = False
    close_position: bool = False
    trigger_price: Price | None = None
    trigger_by: str = "mark"
    position_side: str | None = None


@dataclass(frozen=True, slots=True)
class AmendOrder(Command):
    """Change the price or the remaining quantity of a resting limit order; what is None stays as it is.

    It keeps its place in the queue only at the same price and with no larger quantity. Refused for an order that waits
    for its trigger, and where it would take: that is a new order.
    """

    kind: ClassVar[str] = "amend_order"
    account: str
    order: str
    price: Price | None = None
    quantity: Quantity | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder(Command):
    """Cancel one order."""

    kind: ClassVar[str] = "cancel_order"
    account: str
    order: str


@dataclass(frozen=True, slots=True)
class CancelAllOrders(Command):
    """Cancel every order of a trader, in one symbol when given."""

    kind: ClassVar[str] = "cancel_all_orders"
    account: str
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class SetLeverage(Command):
    """Choose the leverage of a symbol, for what is held of it and what is opened later: 1 or more.

    At most what its tiers allow and the trader's own guard rails; positions held then need the margin for it.
    """

    kind: ClassVar[str] = "set_leverage"
    account: str
    symbol: str
    leverage: Value


@dataclass(frozen=True, slots=True)
class SetMarginMode(Command):
    """Choose ``isolated`` or ``cross`` for a symbol; the margin of a position that is open moves with it.

    Refused with open orders alone, and with a position where the venue does not switch one that is open.
    """

    kind: ClassVar[str] = "set_margin_mode"
    account: str
    symbol: str
    mode: str


@dataclass(frozen=True, slots=True)
class SetPositionMode(Command):
    """Choose ``one_way`` or ``hedge`` for the account; refused while any position or order is open."""

    kind: ClassVar[str] = "set_position_mode"
    account: str
    mode: str


@dataclass(frozen=True, slots=True)
class SetCollateralMode(Command):
    """Choose what backs the account's cross positions.

    ``single_asset`` (a pool per settlement asset), ``multi_asset`` (one pool of all assets) or ``portfolio``
    (that pool, held to the requirement of portfolio margin).
    """

    kind: ClassVar[str] = "set_collateral_mode"
    account: str
    mode: str


@dataclass(frozen=True, slots=True)
class AdoptPosition(Command):
    """Take over a position that was opened elsewhere: at ``entry_price``, against the venue's market, without a fee.

    ``side``: long or short. ``leverage`` and ``margin_mode`` (isolated or cross) become the symbol's. An isolated
    position takes entry notional ÷ ``leverage`` from the wallet. It is as it is: no step or minimum is asked of it.
    """

    kind: ClassVar[str] = "adopt_position"
    account: str
    symbol: str
    side: str
    quantity: Quantity
    entry_price: Price
    leverage: Value
    margin_mode: str = "cross"


@dataclass(frozen=True, slots=True)
class AddIsolatedMargin(Command):
    """Move ``amount`` of own money, not bonus, from a wallet into the isolated position on ``side``, long or short."""

    kind: ClassVar[str] = "add_isolated_margin"
    account: str
    symbol: str
    side: str
    amount: Value


@dataclass(frozen=True, slots=True)
class RemoveIsolatedMargin(Command):
    """Move ``amount`` from the isolated position on ``side`` back into the wallet.

    At most what it holds above its initial margin (:func:`ringfence.margin.change.removable_margin`).
    """

    kind: ClassVar[str] = "remove_isolated_margin"
    account: str
    symbol: str
    side: str
    amount: Value


@dataclass(frozen=True, slots=True)
class SetReplenishment(Command):
    """Turn automatic margin replenishment of a symbol ``on`` or ``off``; ``amount`` where the venue asks for one."""

    kind: ClassVar[str] = "set_replenishment"
    account: str
    symbol: str
    state: str
    amount: Value | None = None


@dataclass(frozen=True, slots=True)
class SetGuardRails(Command):
    """Hold a trader's orders to guard rails, as :func:`ringfence.guard_rails.write` has them; None takes them away."""

    kind: ClassVar[str] = "set_guard_rails"
    account: str
    rails: str | None = None


@dataclass(frozen=True, slots=True)
class UpdatePrices(Command):
    """New prices by symbol. ``last`` and ``index`` where the feed has them; each a tuple of (symbol, price).

    An ``index`` named after an asset (BTC) is what the asset counts at in multi-asset accounts.
    """

    kind: ClassVar[str] = "update_prices"
    marks: tuple[tuple[str, Price], ...]
    last: tuple[tuple[str, Price], ...] = ()
    index: tuple[tuple[str, Price], ...] = ()


@dataclass(frozen=True, slots=True)
class SettleFunding(Command):
    """Settle funding of a symbol: longs pay ``rate`` of their value to shorts (a negative rate: shorts pay)."""

    kind: ClassVar[str] = "settle_funding"
    symbol: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class SettleExpiry(Command):
    """Settle a dated contract at its settlement price, at its expiry or later: positions closed, orders cancelled.

    ``price``: of the underlying, > 0; a future is closed at it, an option at its intrinsic value there. ``source``:
    what the price is (the average that the venue takes, or what stands in for it); it has to be said.
    """

    kind: ClassVar[str] = "settle_expiry"
    symbol: str
    price: Price
    source: str


@dataclass(frozen=True, slots=True)
class ChargeInterest(Command):
    """Charge interest on what is borrowed of an asset: every basket that owes it pays ``rate`` of what it owes.

    ``rate``: of this charge, not a year's; above 0. ``source``: where it was read, or that it is an assumption; it has
    to be said, because no venue's rates are packaged.
    """

    kind: ClassVar[str] = "charge_interest"
    asset: str
    rate: Rate
    source: str


@dataclass(frozen=True, slots=True)
class AdoptRulebook(Command):
    """Go over to another rulebook or another day's rules; ``as_of`` is YYYY-MM-DD, or None for the latest."""

    kind: ClassVar[str] = "adopt_rulebook"
    rulebook: str
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Review(Command):
    """Look at every account once more at the prices there are: cooldowns may have passed."""

    kind: ClassVar[str] = "review"


@dataclass(frozen=True, slots=True)
class SetUp(Command):
    """The first command of a journal: the venue's set-up, as :func:`ringfence.engine.setup_text.write` has it.

    So a journal needs nothing beside it to be decided again. Refused once anything has happened. ``decided_by``: which
    program and rules (:mod:`ringfence.origin`); decides nothing, and is empty where it was not told.
    """

    kind: ClassVar[str] = "set_up"
    setup: str
    decided_by: str = ""


@dataclass(frozen=True, slots=True)
class Resume(Command):
    """The venue runs again after it stood still: no mark from before counts as fresh, so none liquidates anybody.

    ``decided_by`` as in :class:`SetUp`: from here on.
    """

    kind: ClassVar[str] = "resume"
    decided_by: str = ""


COMMANDS: tuple[type[Command], ...] = (
    Deposit, Withdraw, Transfer, CreditBonus, ExpireBonus, PlaceOrder, AmendOrder, CancelOrder, CancelAllOrders,
    SetLeverage, SetMarginMode, SetPositionMode, SetCollateralMode, AdoptPosition, AddIsolatedMargin,
    RemoveIsolatedMargin, SetReplenishment, SetGuardRails, CreditVoucher, ExpireVoucher, SetFeeLevel, SetFeeDiscount,
    UpdatePrices, SettleFunding, SettleExpiry, ChargeInterest, AdoptRulebook, Review, SetUp, Resume,
)  # fmt: skip
