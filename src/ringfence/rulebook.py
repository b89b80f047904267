"""What an exchange's margin rules consist of: named policies, risk tiers, call levels and a liquidation sequence.

A rulebook is data. It may only *choose* among the policies named here; a venue with a truly new behaviour first adds
one named choice, with its own tests, and is data again. :func:`choices` lists every policy with its choices, and
``docs/reference/policies.md`` says what each means and which venue takes it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from ringfence.account import DOLLARS
from ringfence.delivery import NOT_KNOWN
from ringfence.errors import BadAccount, BadRulebook, nearest
from ringfence.fees import NO_SCHEDULE
from ringfence.numbers import ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from ringfence.account import Collateral
    from ringfence.contract import Contract
    from ringfence.delivery import DeliveryTerms
    from ringfence.fees import AccountFees, FeeSchedule
    from ringfence.numbers import Quantity, Rate, Value
    from ringfence.portfolio_rules import PortfolioRules

Basis = Literal["entry", "mark"]
MaintenanceBasis = Literal["entry", "mark", "frozen_mark"]
ClosingFee = Literal[
    "none", "mark", "frozen_mark", "entry", "entry_and_margin", "bankruptcy_price", "leverage_bankruptcy_price"
]
FeeRate = Literal["taker", "liquidation"]
TierType = Literal["progressive", "step", "linear_in_size", "adjustment_factor"]
TierKey = Literal["leg", "with_orders", "net", "larger_side", "underlying_total"]
HedgeCharge = Literal["both", "larger_side"]
MarginRatio = Literal[
    "requirement / balance",
    "balance / requirement",
    "balance / notional",
    "balance / initial - adjustment",
    "maintenance / balance",
]
Trigger = Literal["at_or_below", "below"]
PriceRounding = Literal["none", "nearest", "toward_entry", "away_from_entry", "one_step_toward_entry"]
PoolPrice = Literal["alone", "shared_by_value"]
InitialFee = Literal["none", "value", "leverage_bankruptcy_price"]
OrderCost = Literal["initial_margin", "with_open_loss", "with_fees"]
Available = Literal["balance_less_initial", "profit_excluded"]
BankruptcyReserve = Literal["none", "closing_fee"]
BankruptcyShare = Literal["by_maintenance"]
NonPositivePrice = Literal["none", "reported"]
AmountRounding = Literal["none", "up", "down"]


@dataclass(frozen=True, slots=True)
class Policies:
    """The choices in which venues differ. Every field is one policy; the comment says what it decides."""

    initial_margin_at: Basis = "mark"  # price of a position's initial margin
    maintenance_at: MaintenanceBasis = "mark"  # price of the maintenance margin while a price is being tested
    notional_at: Basis = "mark"  # the venue's own basis of position value
    closing_fee: ClosingFee = "none"  # fee held back for closing, part of the liquidation requirement
    closing_fee_rate: FeeRate = "taker"  # which rate that is (liquidation: the taker's where the venue has none)
    closing_fee_in_maintenance: bool = False  # whether the venue's maintenance figure shows it
    initial_margin_fee: InitialFee = "none"  # fee inside the initial margin
    tier_type: TierType = "progressive"  # how a rate applies beyond the first tier
    tier_key: TierKey = "leg"  # what is looked up in the tiers
    hedge_charge: HedgeCharge = "both"  # which legs of a hedged symbol are charged
    margin_ratio: MarginRatio = "requirement / balance"  # the venue's own display, in its own direction
    trigger: Trigger = "at_or_below"  # liquidated at health 1, or only below it
    liquidation_price_rounding: PriceRounding = "none"  # to the price step
    pool_liquidation_price: PoolPrice = "alone"  # a shared pool's price: its symbol alone moving, or equity by value
    bankruptcy_price_rounding: PriceRounding = "none"
    bankruptcy_reserve: BankruptcyReserve = "none"  # whether the bankruptcy price still pays the closing fee
    bankruptcy_share: BankruptcyShare = "by_maintenance"  # how a pool of several symbols shares its equity out
    non_positive_price: NonPositivePrice = "none"  # a liquidation price ≤ 0 is none, or shown as it is
    order_cost: OrderCost = "initial_margin"  # what an order locks besides its initial margin
    available_balance: Available = "balance_less_initial"  # whether unrealised profit can open positions
    hedged_loss_locked: bool = False  # the loss of a hedged quantity stays locked as margin
    orders_in_requirement: bool = False  # open orders carry maintenance and closing fee too
    opening_fees_deducted: bool = False  # opening fees of orders reduce the balance held against it
    order_margin_deducted: bool = False  # so does the margin that orders lock
    initial_margin_rounding: AmountRounding = "none"
    initial_margin_step: Decimal = Decimal("0.00000001")
    maintenance_from_initial: bool = False  # maintenance is a fraction of the rounded initial margin, rounded alike
    unleveraged_initial: bool = False  # a position without a leverage takes its tier's highest one
    adjustment_factor: Rate | None = None  # maintenance as a share of initial margin (adjustment_factor tiers)
    funding_reserve_rate: Rate = ZERO  # funding held back, on the maintenance basis
    initial_rate_base: Rate | None = None  # linear_in_size: rate = base + slope · size in base units
    maintenance_rate_base: Rate | None = None
    rate_per_unit_of_base: Rate | None = None
    open_interest: Quantity | None = None  # open interest that raises the initial rate between the two caps
    open_interest_lower_cap: Value | None = None
    open_interest_upper_cap: Value | None = None


_CHOICES: dict[str, tuple[str, ...]] = {
    "initial_margin_at": get_args(Basis),
    "maintenance_at": get_args(MaintenanceBasis),
    "notional_at": get_args(Basis),
    "closing_fee": get_args(ClosingFee),
    "closing_fee_rate": get_args(FeeRate),
    "initial_margin_fee": get_args(InitialFee),
    "tier_type": get_args(TierType),
    "tier_key": get_args(TierKey),
    "hedge_charge": get_args(HedgeCharge),
    "margin_ratio": get_args(MarginRatio),
    "trigger": get_args(Trigger),
    "liquidation_price_rounding": get_args(PriceRounding),
    "pool_liquidation_price": get_args(PoolPrice),
    "bankruptcy_price_rounding": get_args(PriceRounding),
    "bankruptcy_reserve": get_args(BankruptcyReserve),
    "bankruptcy_share": get_args(BankruptcyShare),
    "non_positive_price": get_args(NonPositivePrice),
    "order_cost": get_args(OrderCost),
    "available_balance": get_args(Available),
    "initial_margin_rounding": get_args(AmountRounding),
}


def choices() -> Mapping[str, tuple[str, ...]]:
    """Return every policy that is a choice among names, with those names."""
    return _CHOICES


ARCHITECTURES = ("isolated", "cross", "multi_asset", "portfolio")  #: every margin architecture, in order of pooling


class Tier(NamedTuple):
    """One risk tier: it holds from ``floor`` on (in the table's unit) up to the next tier's floor.

    ``maintenance_rate``: of notional; None where the venue publishes none. ``deduction``: subtracted so that
    maintenance margin is continuous (progressive tiers; 0 otherwise). ``cap``: where the last tier ends, None if it
    does not.
    """

    floor: Decimal
    maintenance_rate: Rate | None
    deduction: Value
    max_leverage: Decimal | None
    cap: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TierTable:
    """A symbol's risk tiers, ascending. ``unit``: what floors count, ``notional`` (settlement asset) or ``contracts``.

    ``smooth``: all rates are known and never fall, and maintenance margin is continuous from tier to tier.
    """

    tiers: tuple[Tier, ...]
    unit: str = "notional"
    floors: tuple[Decimal, ...] = field(init=False)
    smooth: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "floors", tuple(tier.floor for tier in self.tiers))
        object.__setattr__(self, "smooth", _is_smooth(self.tiers))

    def index_at(self, amount: Decimal) -> int:
        """Return the index of the tier that ``amount`` (≥ 0, in the table's unit) falls in."""
        return max(bisect_right(self.floors, amount) - 1, 0)


@exact
def _is_smooth(tiers: tuple[Tier, ...]) -> bool:
    for before, tier in pairwise(tiers):
        if before.maintenance_rate is None or tier.maintenance_rate is None:
            return False
        rise = tier.maintenance_rate - before.maintenance_rate
        if rise < 0 or tier.floor * rise != tier.deduction - before.deduction:
            return False
    return bool(tiers) and tiers[0].maintenance_rate is not None


class Levels(NamedTuple):
    """Margin-call levels as health (balance ÷ requirement): a pool at or below one has reached it.

    ``source`` is ``ours`` where the venue publishes no level.
    """

    warning: Decimal = Decimal("1.5")
    margin_call: Decimal = Decimal("1.25")
    source: str = "ours"


@dataclass(frozen=True, slots=True)
class AutoExchange:
    """When a venue sells collateral for what an account owes, and at which loss.

    ``thresholds``: a debt of an asset at or beyond its amount is paid back whole. ``haircuts``: what is lost in selling
    an asset, so that ``|debt| ÷ (1 − haircut)`` is sold; for an asset that is not named it is ``haircut_share`` of what
    the asset loses as collateral. ``loan_to_value``: so is every debt of an account that owes at least this share of
    what its collateral counts for; ``idle_only``: where that holds only without positions and orders.
    ``order_of_sale``: ``largest_value`` first, or ``pro_rata``, the same share of each. ``assumed``: what of this no
    venue publishes and is ours.
    """

    thresholds: Mapping[str, Value] = field(default_factory=dict)
    haircuts: Mapping[str, Rate] = field(default_factory=dict)
    haircut_share: Rate = ZERO
    loan_to_value: Rate | None = None
    idle_only: bool = False
    order_of_sale: str = "largest_value"
    assumed: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Whether a venue offers a margin architecture. ``reason``: why not, or what it asks of an account that wants it.

    ``name``: isolated, cross, multi_asset or portfolio. ``offered`` None: nothing is known.
    """

    name: str
    offered: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """One venue's margin rules as of one day.

    Policies are resolved per architecture (:meth:`policies_for`). :meth:`contract` and :meth:`tiers` look a symbol up;
    tables that a file brings along come first (:meth:`with_tables`). ``sources`` says where each rule was read,
    ``table_source`` which day's table a symbol has. The liquidation of isolated positions follows ``isolated_sequence``
    where it has one of its own; ``stop_at_health`` is for shared pools. ``cancel_orders_at``: the requirement as a
    share of the balance at which a shared pool's orders are cancelled. docs/reference/liquidation.md says what each
    choice means. ``account_fees``: an account's own fee rates, which :meth:`contract` then has.
    :meth:`collateral` says how an asset counts in a basket, :meth:`architectures` what the venue offers.
    choice means. ``portfolio``: the rules of portfolio margin on the day, None where there are none;
    ``portfolio_days``: the days there are such rules of. ``delivery``: how what expires is settled on the day.
    """

    name: str
    title: str
    as_of: date | None
    isolated: Policies
    cross: Policies
    basket: Policies
    levels: Levels = Levels()  # noqa: RUF009 - an immutable value
    liquidation_sequence: tuple[str, ...] = ()
    isolated_sequence: tuple[str, ...] | None = None
    liquidation_note: str = ""
    stop_at_health: Decimal = Decimal(1)
    close_first: str = "largest_maintenance"
    trigger_prices: str = "mark"
    cancel_orders_at: Rate | None = None
    clearance_fee: str = "insurance_fund"
    insurance_fund: str = "venue"
    deleveraging_rank: str = "leverage"
    funding_from: str = "wallet"
    replenishment: str = "none"
    bonus_use: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    isolated_inverse: Mapping[str, object] = field(default_factory=dict)
    auto_exchange: AutoExchange | None = None
    offers: Mapping[str, str] = field(default_factory=dict)
    haircuts: Callable[[str], Collateral | None] = lambda _asset: None
    accepted: Callable[[], tuple[str, ...]] = tuple
    lookup: Callable[[str], tuple[Contract, TierTable | None] | None] = lambda _symbol: None
    symbols: Callable[[], tuple[str, ...]] = tuple
    table_source: Callable[[str], str | None] = lambda _symbol: None
    variants: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    tables: Mapping[str, tuple[Contract, TierTable | None]] = field(default_factory=dict)
    fee_schedule: Callable[[], FeeSchedule] = lambda: NO_SCHEDULE
    account_fees: AccountFees | None = None
    portfolio: PortfolioRules | None = None
    portfolio_days: tuple[str, ...] = ()
    delivery: DeliveryTerms = NOT_KNOWN
    _known: dict[str, tuple[Contract, TierTable | None]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _isolated_inverse: list[Policies] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def fees(self) -> FeeSchedule:
        """The venue's fee levels, discounts and vouchers on the day; empty where they are not known."""
        return self.fee_schedule()

    def policies_for(self, *, isolated: bool, basket: bool = False, inverse: bool = False) -> Policies:
        """Return the policies that hold for an isolated, a cross, or a basket pool.

        ``inverse``: the isolated position's contract is settled in its own coin, for which a venue may choose otherwise
        (:attr:`isolated_inverse`).
        """
        if isolated and inverse and self.isolated_inverse:
            if not self._isolated_inverse:
                self._isolated_inverse.append(replace(self.isolated, **self.isolated_inverse))  # type: ignore[arg-type]
            return self._isolated_inverse[0]
        if isolated:
            return self.isolated
        return self.basket if basket else self.cross

    def entry(self, symbol: str) -> tuple[Contract, TierTable | None]:
        """Return a symbol's contract and tiers. Raises BadRulebook, with the nearest symbols, when it has no table."""
        found = self._known.get(symbol)
        if found is None:
            found = self._known[symbol] = self._looked_up(symbol)
        return found

    def _looked_up(self, symbol: str) -> tuple[Contract, TierTable | None]:
        if self.account_fees is not None:
            return self._charged_entry(symbol, self.account_fees)
        found = self.tables.get(symbol)
        if found is None:
            found = self.lookup(symbol)
        if found is None:
            raise BadRulebook(
                f"no table for {symbol} in {self.name}",
                where=f"rulebook {self.name}" + (f" as of {self.as_of}" if self.as_of else ""),
                expected="a symbol of the rulebook's tables, or terms and tiers under `contracts` in the account file",
                found=symbol,
                hint=nearest(symbol, self.symbols())
                or f"add contracts.{symbol} to the file, or run `ringfence rulebooks update {self.name}`",
            )
        return found

    def _charged_entry(self, symbol: str, fees: AccountFees) -> tuple[Contract, TierTable | None]:
        """Return a symbol's entry with the account's own fee rates; a rate that a file states for it stays."""
        contract, tiers = replace(self, account_fees=None).entry(symbol)
        charged = fees.charged(contract, self.fees)
        if symbol in self.tables:
            charged = replace(
                charged,
                maker_fee_rate=charged.maker_fee_rate if contract.maker_fee_rate is None else contract.maker_fee_rate,
                taker_fee_rate=charged.taker_fee_rate if contract.taker_fee_rate is None else contract.taker_fee_rate,
            )
        return charged, tiers

    def contract(self, symbol: str) -> Contract:
        """Return the contract of ``symbol``; BadRulebook when unknown."""
        return self.entry(symbol)[0]

    def tiers(self, symbol: str) -> TierTable | None:
        """Return the risk tiers of ``symbol``, or None where the venue's are not known."""
        return self.entry(symbol)[1]

    def collateral(self, asset: str) -> Collateral | None:
        """Return how the venue counts an asset in a basket, at an index of 1; None where it has no list at all.

        Raises BadAccount for an asset that is not on the venue's list (:data:`~ringfence.account.DOLLARS` count whole),
        and for one whose discount is published in part only.
        """
        found = self.haircuts(asset)
        if found is not None or asset in DOLLARS:
            return found
        listed = self.accepted()
        if not listed:
            return None
        raise BadAccount(
            f"{asset} is not on the packaged collateral list of {self.name}", where=f"account.collateral.{asset}",
            expected="one of " + ", ".join(listed), found=asset,
            hint="packaged lists hold what is publicly recorded, not all that a venue takes; where it takes the asset, "
            f'give its terms in the file: "{asset}": {{"index": "…", "ratio": "…"}}',
        )  # fmt: skip

    def architectures(self) -> tuple[Offer, ...]:
        """Return every margin architecture with whether the venue offers it, and why not: isolated first.

        In the rules: ``yes``, ``yes: what it asks``, or ``no: why``. What is not said there is not known.
        """
        found = []
        for name in ARCHITECTURES:
            said, _, reason = self.offers.get(name, "").partition(":")
            offered = {"yes": True, "no": False}.get(said)
            found.append(Offer(name, offered, reason.strip() or ("" if offered else "not known of this venue")))
        return tuple(found)

    def with_tables(self, tables: Mapping[str, tuple[Contract, TierTable | None]]) -> Rulebook:
        """Return this rulebook with ``tables`` in place of its own for the symbols they name."""
        return replace(self, tables={**self.tables, **tables})

    def with_fees(self, fees: AccountFees | None) -> Rulebook:
        """Return this rulebook with the rates that an account pays in its contracts; None: the venue's own again.

        Raises BadRulebook for a level or a discount that the schedule does not have.
        """
        if fees is not None:
            self.fees.check(fees.level, fees.discounts, rulebook=self.name)
        return replace(self, account_fees=fees)

    def with_policies(self, changes: Mapping[str, object]) -> Rulebook:
        """Return this rulebook with single policies replaced, in every architecture (a file's ``policy``).

        ``changes`` are as they stand in a file: policy names and choices, or one of the rulebook's ``variants`` written
        ``name: choice`` (such as ``account: unified``). Raises BadRulebook for what is not known.
        """
        if not changes:
            return self
        typed: dict[str, object] = {}
        for name, value in changes.items():
            variant = self.variants.get(f"{name}={value}")
            typed |= variant if variant is not None else policy_values({name: value}, where="policy")
        return self._replaced(typed)

    def _replaced(self, changes: Mapping[str, object]) -> Rulebook:
        return replace(
            self,
            isolated=replace(self.isolated, **changes),  # type: ignore[arg-type]
            cross=replace(self.cross, **changes),  # type: ignore[arg-type]
            basket=replace(self.basket, **changes),  # type: ignore[arg-type]
        )


def policy_values(given: Mapping[str, object], *, where: str) -> dict[str, object]:
    """Check named policies and return them typed: names and choices must be known, rates become Decimal.

    Raises BadRulebook that names the policy, what it may be, and what was found.
    """
    known = {f.name: f for f in fields(Policies)}
    values: dict[str, object] = {}
    for name, value in given.items():
        if name not in known:
            raise BadRulebook(
                f"unknown policy {name}", where=where, expected="one of " + ", ".join(known),
                found=name, hint=nearest(name, known),
            )  # fmt: skip
        values[name] = _policy_value(name, value, where=f"{where}.{name}")
    return values


def _policy_value(name: str, value: object, *, where: str) -> object:
    allowed = choices().get(name)
    if allowed is not None:
        value = _ALSO_CALLED.get((name, value), value)
        if value not in allowed:
            raise BadRulebook(
                f"{name} cannot be {value!r}", where=where, expected="one of " + ", ".join(map(repr, allowed)),
                found=repr(value), hint=nearest(str(value), allowed),
            )  # fmt: skip
        return value
    if isinstance(getattr(_DEFAULTS, name), bool):
        if value not in (True, False, "true", "false"):
            raise BadRulebook(f"{name} cannot be {value!r}", where=where, expected="true or false", found=repr(value))
        return value in (True, "true")
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BadRulebook(f"{name} is not a number", where=where, expected="a decimal string", found=repr(value))
    return number


_DEFAULTS = Policies()
_ALSO_CALLED: dict[tuple[str, object], str] = {("margin_ratio", "equity / notional"): "balance / notional"}


def continuous_deductions(tiers: tuple[tuple[Decimal, Rate], ...]) -> tuple[Value, ...]:
    """Return the deductions that make maintenance margin continuous over ``(floor, rate)`` tiers in ascending order.

    ``deduction[n] = deduction[n−1] + floor[n] · (rate[n] − rate[n−1])``, the first being 0. Exact.
    Source: Binance, how to calculate liquidation price of USDⓈ-M futures (FAQ b3c689c1…); Bybit, margin parameters.
    """
    deductions = [ZERO]
    for (_, rate_before), (floor, rate) in pairwise(tiers):
        deductions.append(deductions[-1] + floor * (rate - rate_before))
    return tuple(deductions[: len(tiers)])


def max_leverage_at(tiers: TierTable, amount: Decimal) -> Decimal | None:
    """Return the highest leverage that the tier of ``amount`` allows, or None where it is not known."""
    return tiers.tiers[tiers.index_at(amount)].max_leverage if tiers.tiers else None


def largest_amount_at(tiers: TierTable, leverage: Decimal) -> Decimal | None:
    """Return the largest position (in the table's unit) whose tier still allows ``leverage``; None: without limit.

    The cap of the last tier whose highest leverage is at least ``leverage`` (Gate, risk limit, help 22162).
    Returns 0 when no tier allows it.
    """
    allowed = ZERO
    for tier, after in zip(tiers.tiers, (*tiers.tiers[1:], None), strict=False):
        if tier.max_leverage is None or tier.max_leverage < leverage:
            continue
        cap = after.floor if after is not None else tier.cap
        if cap is None:
            return None
        allowed = max(allowed, cap)
    return allowed


__all__ = [
    "ARCHITECTURES",
    "AutoExchange",
    "Levels",
    "Offer",
    "Policies",
    "Rulebook",
    "Tier",
    "TierTable",
    "choices",
    "continuous_deductions",
    "largest_amount_at",
    "max_leverage_at",
    "policy_values",
]
