"""What happened. The state is the fold of these; an event that moves money carries postings that balance.

``account`` is a trader; ``leg`` is ``net`` in one-way mode and ``long`` or ``short`` in hedge mode. What is said of a
pool (balance, requirement, shortfall, deposit) is in the pool's asset, of a shared basket in the account's currency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ringfence.engine.messages import dataclass

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.ledger import Posting
    from ringfence.numbers import Price, Quantity, Rate, Value


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``command`` is the id of the command that led to it, ``at`` its time."""

    command: str
    at: int


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """The command was refused: an expected answer with a number that never changes its meaning."""

    kind: ClassVar[str] = "refused"
    number: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class MoneyMoved(Event):
    """Money moved for ``cause``: deposit, withdrawal, transfer, bonus, margin, interest, delivery_fee, etc."""

    kind: ClassVar[str] = "money_moved"
    account: str
    cause: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class VoucherCredited(Event):
    """A trader has a voucher. What it pays are postings out of its account in the events it pays in."""

    kind: ClassVar[str] = "voucher_credited"
    account: str
    voucher: str
    voucher_kind: str
    asset: str
    amount: Value
    share: Rate
    until: int | None
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class VoucherClosed(Event):
    """What was left of a voucher went back to its issuer: it is ``expired``, or was ``taken_back``.

    One that is used up ends with the payment that used it up, without an event of its own.
    """

    kind: ClassVar[str] = "voucher_closed"
    account: str
    voucher: str
    reason: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class OrderRested(Event):
    """An order rests on the book with ``quantity`` left, or waits for its trigger."""

    kind: ClassVar[str] = "order_rested"
    account: str
    order: str
    symbol: str
    side: str
    quantity: Quantity
    price: Price | None
    reduce_only: bool
    position_side: str | None
    time_in_force: str
    trigger_price: Price | None = None
    trigger_by: str = "mark"
    trigger_above: bool = False
    close_position: bool = False


@dataclass(frozen=True, slots=True)
class OrderAmended(Event):
    """A resting order has a new price or quantity; ``keeps_priority`` when only its quantity fell."""

    kind: ClassVar[str] = "order_amended"
    account: str
    order: str
    price: Price
    quantity: Quantity
    keeps_priority: bool


@dataclass(frozen=True, slots=True)
class OrderClosed(Event):
    """An order left the book: filled, cancelled, triggered, self_trade, reduce_only, margin, delivery, etc."""

    kind: ClassVar[str] = "order_closed"
    account: str
    order: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderDone(Event):
    """An order that never rested is done: how much of it was filled, and why the rest was not.

    ``reason``: filled, immediate_or_cancel, worst_price (a market order went as far as it may), no_liquidity,
    self_trade, insufficient_balance, nothing_to_close.
    """

    kind: ClassVar[str] = "order_done"
    account: str
    order: str
    filled: Quantity
    unfilled: Quantity
    reason: str


@dataclass(frozen=True, slots=True)
class Traded(Event):
    """``quantity`` contracts went from ``seller`` to ``buyer`` at ``price``; both positions as they are afterwards.

    ``cause``: order, adoption, netting, liquidation, take_over, disposal, auto_deleveraging or delivery. Entry values
    are signed.
    ``maker`` and ``maker_order``: whose resting order was filled; None where the tape's market or the fund was.
    """

    kind: ClassVar[str] = "traded"
    symbol: str
    price: Price
    quantity: Quantity
    cause: str
    buyer: str
    buyer_leg: str
    buyer_quantity: Quantity
    buyer_entry_value: Value
    seller: str
    seller_leg: str
    seller_quantity: Quantity
    seller_entry_value: Value
    maker: str | None
    maker_order: str | None
    taker_order: str | None
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class SettingChanged(Event):
    """A setting of a trader's symbol, or of the account (``symbol`` None).

    ``setting``: leverage, margin_mode, position_mode, collateral_mode, replenishment, guard_rails (empty: none),
    fee_level or fee_discounts (their names, with commas between).
    """

    kind: ClassVar[str] = "setting_changed"
    account: str
    symbol: str | None
    setting: str
    value: str


@dataclass(frozen=True, slots=True)
class PricesChanged(Event):
    """Prices that were accepted: (symbol, price), of an ``index`` also (asset, price).

    Only those of the update that were believed; nothing else changed.
    """

    kind: ClassVar[str] = "prices_changed"
    marks: tuple[tuple[str, Price], ...]
    last: tuple[tuple[str, Price], ...]
    index: tuple[tuple[str, Price], ...]


@dataclass(frozen=True, slots=True)
class PriceRejected(Event):
    """A price that was not believed; nothing is decided on it.

    ``reason``: jump, not_positive, unknown_symbol, settled, away_from_index or away_from_mark.
    """

    kind: ClassVar[str] = "price_rejected"
    symbol: str
    price: Price
    reason: str


@dataclass(frozen=True, slots=True)
class PriceDoubted(Event):
    """A price jumped too far to be believed at once; until it is, or another one is, nothing is decided on its symbol.

    ``of``: mark or last. ``agreeing``: how many further updates have said about the same so far.
    """

    kind: ClassVar[str] = "price_doubted"
    symbol: str
    of: str
    price: Price
    agreeing: int


@dataclass(frozen=True, slots=True)
class PriceMoved(Event):
    """Forced orders moved the tape's prices: ``mark`` and ``last`` as they are then, None where there was no new one.

    ``pressure``: what is left of the forced orders, signed contracts, + bought; 0: it has worn off.
    """

    kind: ClassVar[str] = "price_moved"
    symbol: str
    mark: Price | None
    last: Price | None
    pressure: Quantity


@dataclass(frozen=True, slots=True)
class FundingPaid(Event):
    """Funding of one trader's position in the settlement asset: ``amount`` < 0 was paid, > 0 received.

    ``rate``: of the position's value at the mark; above 0 longs pay.
    """

    kind: ClassVar[str] = "funding_paid"
    account: str
    symbol: str
    leg: str
    rate: Rate
    amount: Value
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class ExpirySettled(Event):
    """A contract expired and is settled at ``price``; ``worth``: the price its positions are closed at.

    That is the same of a future, and of an option what it is worth when exercised. ``fee_rate``: of the delivery; 0
    where the venue charges none, None where no rulebook says, and then none is charged either. ``source``: what the
    price is. Trades of the cause ``delivery`` follow, and the fees as money moved.
    """

    kind: ClassVar[str] = "expiry_settled"
    symbol: str
    price: Price
    worth: Price
    fee_rate: Rate | None
    source: str


@dataclass(frozen=True, slots=True)
class MarginCalled(Event):
    """A pool's health fell to a level, or rose clear of it (``level`` none).

    ``shortfall``: what is missing to the liquidation requirement. ``deposit``: the smallest deposit that brings health
    above the level again; ``reduction``: the smallest share of the pool's positions (0 to 1, all alike) that does.
    """

    kind: ClassVar[str] = "margin_called"
    account: str
    pool: str
    level: str
    health: Decimal | None
    margin_balance: Value
    liquidation_requirement: Value
    shortfall: Value
    deposit: Value
    reduction: Decimal | None


@dataclass(frozen=True, slots=True)
class LiquidationStarted(Event):
    """A pool is being liquidated; until it ends its trader can only reduce risk."""

    kind: ClassVar[str] = "liquidation_started"
    account: str
    pool: str
    margin_balance: Value
    liquidation_requirement: Value


@dataclass(frozen=True, slots=True)
class LiquidationStep(Event):
    """One step of the venue's sequence was taken, and what the pool's margin was before it."""

    kind: ClassVar[str] = "liquidation_step"
    account: str
    pool: str
    step: str
    margin_balance: Value
    liquidation_requirement: Value


@dataclass(frozen=True, slots=True)
class LiquidationEnded(Event):
    """The liquidation ended: the pool is ``safe`` again or was taken over (``closed``); or it goes on later.

    ``cooldown T``: after microsecond T; until then a new breach closes whole positions. ``waiting``: at the next price.
    """

    kind: ClassVar[str] = "liquidation_ended"
    account: str
    pool: str
    outcome: str


@dataclass(frozen=True, slots=True)
class InsuranceUsed(Event):
    """The insurance fund gained (+) or paid (−) ``amount`` of ``asset``.

    ``cause``: clearance_fee (of a liquidation), shortfall (of a wallet after one), venue_pays (what a fund had to have
    to be rid of what it took over).
    """

    kind: ClassVar[str] = "insurance_used"
    account: str
    cause: str
    asset: str
    amount: Value
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class CollateralExchanged(Event):
    """Collateral of a multi-asset account was sold for what it owed: ``debt`` of ``asset`` was paid back.

    ``cause``: threshold, loan_to_value, maintenance_rate, liquidation or delivery. ``sold``: amounts by asset.
    ``unpaid``: what is owed still.
    """

    kind: ClassVar[str] = "collateral_exchanged"
    account: str
    cause: str
    asset: str
    debt: Value
    sold: tuple[tuple[str, Value], ...]
    unpaid: Value
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class RulebookAdopted(Event):
    """From here on another rulebook, or another day's (``as_of`` YYYY-MM-DD, None: the latest), holds."""

    kind: ClassVar[str] = "rulebook_adopted"
    rulebook: str
    as_of: str | None


@dataclass(frozen=True, slots=True)
class VenueSetUp(Event):
    """The venue begins under this set-up. What its insurance fund starts with follows as money moved."""

    kind: ClassVar[str] = "venue_set_up"
    setup: str


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """The venue runs again: every mark counts as too old until a new one comes."""

    kind: ClassVar[str] = "resumed"


EVENTS: tuple[type[Event], ...] = (
    Refused, MoneyMoved, VoucherCredited, VoucherClosed, OrderRested, OrderAmended, OrderClosed, OrderDone, Traded,
    SettingChanged, PricesChanged, PriceRejected, PriceDoubted, PriceMoved, FundingPaid, ExpirySettled, MarginCalled,
    LiquidationStarted, LiquidationStep,
    LiquidationEnded, InsuranceUsed, CollateralExchanged, RulebookAdopted, VenueSetUp, Resumed,
)  # fmt: skip
