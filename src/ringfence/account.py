"""Accounts as values: positions, open orders, wallets, and the collateral pools they form.

**The collateral pool is the unit of margin.** An isolated position is a pool of one position; the cross positions
settled in one asset are one pool; in multi-asset and portfolio margin the whole account is one pool. What is computed
after :func:`pools` has built them never asks "isolated or cross?" again: a pool says which balances stand behind which
positions, and that is all margin needs.

Everything here is immutable. A quantity is signed: + long, − short.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ringfence.contract import coin
from ringfence.errors import BadAccount
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from ringfence.contract import Contract
    from ringfence.numbers import Price, Quantity, Rate, Value

    Marks: TypeAlias = Mapping[str, Price]
    """Mark price by symbol: the price a venue measures margin on (mark, index, oracle or last, by its rulebook)."""


SEPARATORS = "|:@"
"""What no account's name may hold: names of ledger accounts, of orders and of the venue itself are put together so."""


def account_name_fault(name: str) -> str | None:
    """Return what is wrong with an account's name, or None.

    A name is printable, has no space at its ends and none of :data:`SEPARATORS`.
    """
    if not name.strip():
        return "an account needs a name"
    if name != name.strip() or not name.isprintable():
        return "a name is printable and neither begins nor ends with space"
    found = [sign for sign in SEPARATORS if sign in name]
    return f"a name holds none of {' '.join(SEPARATORS)}; this one has {' '.join(found)}" if found else None


class MarginMode(Enum):
    """What stands behind a position."""

    ISOLATED = "isolated"
    CROSS = "cross"


class PositionMode(Enum):
    """Whether a symbol holds one net position or a long and a short leg."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class CollateralMode(Enum):
    """Which assets back the cross positions, and how their requirement is found."""

    SINGLE_ASSET = "single_asset"
    MULTI_ASSET = "multi_asset"
    PORTFOLIO = "portfolio"


class PoolBy(Enum):
    """What shares one collateral pool."""

    POSITION = "position"
    SETTLE_ASSET = "settle_asset"
    ACCOUNT = "account"


class Backing(Enum):
    """What a pool's collateral is made of."""

    SINGLE_ASSET = "single_asset"
    BASKET = "basket"


class Requirement(Enum):
    """How a pool's requirement is found: by risk tier per position, or as the worst loss over scenarios."""

    TIERED = "tiered"
    SCENARIO = "scenario"


class Mode(NamedTuple):
    """A margin architecture: three independent choices, held as data."""

    pool_by: PoolBy
    backing: Backing
    requirement: Requirement


DOLLARS = frozenset({"USD", "USDT", "USDC"})
"""Assets that baskets are counted in: without terms of their own they count at 1."""

STABLE = DOLLARS | {"BUSD", "DAI", "FDUSD", "PYUSD", "RLUSD", "TUSD", "USD1", "USDD", "USDE", "USDP", "USDS", "EUR"}
"""Assets whose index does not follow the mark of a coin, unless an account says so."""

ISOLATED = Mode(PoolBy.POSITION, Backing.SINGLE_ASSET, Requirement.TIERED)
CROSS = Mode(PoolBy.SETTLE_ASSET, Backing.SINGLE_ASSET, Requirement.TIERED)
MULTI_ASSET = Mode(PoolBy.ACCOUNT, Backing.BASKET, Requirement.TIERED)
PORTFOLIO = Mode(PoolBy.ACCOUNT, Backing.BASKET, Requirement.SCENARIO)


@dataclass(frozen=True, slots=True)
class Position:
    """One leg held.

    ``quantity``: signed contracts, never 0. ``entry_price``: average entry. ``isolated_margin``: the wallet of an
    isolated position, without unrealised PnL; None for a cross one. ``leverage``: chosen leverage, None if not known.
    """

    symbol: str
    quantity: Quantity
    entry_price: Price
    margin_mode: MarginMode
    isolated_margin: Value | None = None
    leverage: Decimal | None = None

    @property
    def side(self) -> str:
        """``long`` or ``short``."""
        return "long" if self.quantity > 0 else "short"


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests on the book. ``quantity``: signed contracts, + buy, − sell. ``price``: its limit price.

    ``reference_price`` is the mark given with the order, used for its opening loss when the symbol has no other mark.
    A reduce-only order can never add to a position and needs no margin. In hedge mode ``position_side`` names the leg
    (``long`` or ``short``) that the order works on; without it a buy opens the long leg and a sell the short one.
    """

    symbol: str
    quantity: Quantity
    price: Price
    leverage: Decimal | None = None
    reference_price: Price | None = None
    reduce_only: bool = False
    position_side: str | None = None

    @property
    def side(self) -> str:
        """``buy`` or ``sell``."""
        return "buy" if self.quantity > 0 else "sell"


class Slice(NamedTuple):
    """One slice of an amount that is discounted step by step: what lies between ``floor`` and ``cap`` counts ``ratio``.

    ``cap`` None: without end. Above the cap of the last slice nothing counts.
    """

    floor: Decimal
    cap: Decimal | None
    ratio: Rate


@dataclass(frozen=True, slots=True)
class Collateral:
    """How one asset counts in a basket, in the account's currency.

    A balance counts at ``index · ratio · (1 − bid_buffer)``, a debt at ``index · (1 + ask_buffer)``: what the asset is
    credited is after its haircut, what is owed in it is not. With ``slices`` each slice of a balance counts at its own
    ratio (``ratio`` is the first one's); they are amounts of the asset (``unit`` base) or of the account's currency at
    the index (``usd``). ``moves_with``: the coin with whose marks the index moves, one to one in ratio; None: it stays.
    ``source``: where the terms were read.
    """

    index: Price = ONE
    ratio: Rate = ONE
    bid_buffer: Rate = ZERO
    ask_buffer: Rate = ZERO
    slices: tuple[Slice, ...] = ()
    unit: str = "base"
    moves_with: str | None = None
    source: str = "the account's own"

    @property
    def bid(self) -> Decimal:
        """Account currency credited per unit held, in the first slice."""
        return self.index * self.ratio * (ONE - self.bid_buffer)

    @property
    def ask(self) -> Decimal:
        """Account currency charged per unit owed or required."""
        return self.index * (ONE + self.ask_buffer)

    @classmethod
    def follows(cls, asset: str) -> str | None:
        """Return the coin whose marks an asset's index moves with unless said otherwise: its own; None for a stable."""
        return None if asset in STABLE else coin(asset)

    def steps(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """Return (amount from which it holds, credit per unit of account currency at the index), from 0 upward.

        Amounts in :attr:`unit`. The last rate goes on without end; it is 0 above the cap of the last slice.
        """
        if not self.slices:
            return ((ZERO, self.ratio * (ONE - self.bid_buffer)),)
        found = [(one.floor, one.ratio * (ONE - self.bid_buffer)) for one in self.slices]
        last = self.slices[-1].cap
        return tuple(found) if last is None else (*found, (last, ZERO))

    def value(self, equity: Value) -> Value:
        """Return what an amount of the asset counts for: credit slice by slice, a debt (< 0) at the ask. Exact."""
        if equity <= 0:
            return equity * self.ask
        if not self.slices:
            return min(equity * self.bid, equity * self.ask)
        amount = equity * self.index if self.unit == "usd" else equity
        counted = ZERO
        for one in self.slices:
            end = amount if one.cap is None else min(amount, one.cap)
            if end > one.floor:
                counted += (end - one.floor) * one.ratio
        return counted * (ONE - self.bid_buffer) * (ONE if self.unit == "usd" else self.index)


@dataclass(frozen=True, slots=True)
class RiskInputs:
    """What portfolio margin needs besides marks and balances. Units: account currency, plain fractions.

    ``time``: the moment of the marks, from which options and dated futures have their time left. ``index``: spot price
    by coin (:attr:`ringfence.contract.Contract.risk_unit`). ``volatility``: implied, a year's, by option symbol.
    ``rates``: interest a year by coin, 0 where none is given. ``loans``: what is owed by asset, already off the
    balances of the pool. ``spot_hedging``: whether spot balances offset derivatives; None leaves it to the venue.
    ``reference``: the marks that the index prices belong to; where a mark has moved since, the index moves with it.
    ``stand_ins``: symbols by coin whose mark stands in for an index price that is not given.
    """

    time: datetime | None = None
    index: Mapping[str, Price] = field(default_factory=dict)
    volatility: Mapping[str, Rate] = field(default_factory=dict)
    rates: Mapping[str, Rate] = field(default_factory=dict)
    loans: Mapping[str, Value] = field(default_factory=dict)
    spot_hedging: bool | None = None
    reference: Mapping[str, Price] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """Everything one account holds. A wallet balance of None is not known (and then neither is what depends on it).

    ``wallet``: balance of the shared wallet by asset, without isolated margins and without unrealised PnL.
    ``index_prices``: by asset, for a basket whose assets count by the venue's own terms; ``collateral``: an asset's
    terms where they are not the venue's. ``risk``: what portfolio margin needs besides.
    """

    positions: tuple[Position, ...] = ()
    orders: tuple[OpenOrder, ...] = ()
    wallet: Mapping[str, Value | None] = field(default_factory=dict)
    collateral: Mapping[str, Collateral] = field(default_factory=dict)
    position_mode: PositionMode = PositionMode.ONE_WAY
    collateral_mode: CollateralMode = CollateralMode.SINGLE_ASSET
    index_prices: Mapping[str, Price] = field(default_factory=dict)
    risk: RiskInputs | None = None

    def position(self, symbol: str, side: str | None = None) -> Position | None:
        """Return the position held in ``symbol`` (its ``side`` leg when given), or None."""
        for held in self.positions:
            if held.symbol == symbol and side in (None, held.side):
                return held
        return None


@dataclass(frozen=True, slots=True)
class Pool:
    """Balances that stand together behind positions and orders: the unit of margin, liquidation and bankruptcy.

    ``name``: ``isolated BTCUSDT long``, ``cross USDT`` or ``account``. ``balances``: cash by asset, None where it is
    not known. ``collateral``: how each asset counts; empty when a single asset backs the pool. ``risk``: prices, times
    and loans that a requirement by scenarios needs; None elsewhere.
    """

    name: str
    mode: Mode
    balances: Mapping[str, Value | None]
    positions: tuple[Position, ...] = ()
    orders: tuple[OpenOrder, ...] = ()
    collateral: Mapping[str, Collateral] = field(default_factory=dict)
    hedge: bool = False
    risk: RiskInputs | None = None

    @property
    def asset(self) -> str | None:
        """The one asset that backs the pool, or None for a basket."""
        return None if self.mode.backing is Backing.BASKET else next(iter(self.balances), None)

    @property
    def isolated(self) -> bool:
        """Whether the pool ring-fences one position."""
        return self.mode.pool_by is PoolBy.POSITION


def _no_terms(_asset: str) -> Collateral | None:
    return None


def pools(
    account: Account,
    contract: Callable[[str], Contract],
    terms: Callable[[str], Collateral | None] = _no_terms,
) -> tuple[Pool, ...]:
    """Return the collateral pools of ``account``: isolated positions first, in their order, then the shared pools.

    ``contract`` looks a symbol's contract up (usually ``rulebook.contract``), ``terms`` how an asset counts in a basket
    (``rulebook.collateral``; it may refuse an asset). Orders draw on the shared pools. Raises BadAccount for an
    isolated position whose margin is missing, or a basket in which an asset without a price or without terms stands;
    only :data:`DOLLARS` count at 1 without them.
    """
    hedge = account.position_mode is PositionMode.HEDGE
    isolated = [p for p in account.positions if p.margin_mode is MarginMode.ISOLATED]
    shared = [p for p in account.positions if p.margin_mode is MarginMode.CROSS]
    built = [_isolated_pool(p, contract(p.symbol).settle_asset, hedge=hedge) for p in isolated]
    if account.collateral_mode is CollateralMode.SINGLE_ASSET:
        built += _cross_pools(account, shared, contract, hedge=hedge)
    else:
        built.append(_basket_pool(account, shared, contract, terms, hedge=hedge))
    return tuple(built)


def _isolated_pool(position: Position, asset: str, *, hedge: bool) -> Pool:
    if position.isolated_margin is None:
        raise BadAccount(
            "an isolated position without margin",
            where=f"{position.symbol} {position.side}",
            expected="isolated_margin, the position's own wallet without unrealised PnL",
            found="null",
            hint="give isolated_margin, or set margin_mode to cross",
        )
    return Pool(
        name=f"isolated {position.symbol} {position.side}",
        mode=ISOLATED,
        balances={asset: position.isolated_margin},
        positions=(position,),
        hedge=hedge,
    )


def _cross_pools(
    account: Account, shared: list[Position], contract: Callable[[str], Contract], *, hedge: bool
) -> list[Pool]:
    positions: dict[str, list[Position]] = {asset: [] for asset in account.wallet}
    orders: dict[str, list[OpenOrder]] = {}
    for position in shared:
        positions.setdefault(contract(position.symbol).settle_asset, []).append(position)
    for order in account.orders:
        asset = contract(order.symbol).settle_asset
        positions.setdefault(asset, [])
        orders.setdefault(asset, []).append(order)
    return [
        Pool(
            name=f"cross {asset}",
            mode=CROSS,
            balances={asset: account.wallet.get(asset, ZERO)},
            positions=tuple(held),
            orders=tuple(orders.get(asset, ())),
            hedge=hedge,
        )
        for asset, held in positions.items()
    ]


def _basket_pool(
    account: Account,
    shared: list[Position],
    contract: Callable[[str], Contract],
    terms: Callable[[str], Collateral | None],
    *,
    hedge: bool,
) -> Pool:
    balances: dict[str, Value | None] = dict(account.wallet)
    for symbol in (*(position.symbol for position in shared), *(order.symbol for order in account.orders)):
        balances.setdefault(contract(symbol).settle_asset, ZERO)
    portfolio = account.collateral_mode is CollateralMode.PORTFOLIO
    risk = (account.risk or RiskInputs()) if portfolio else None
    for asset, owed in (risk.loans if risk else {}).items():
        held = balances.get(asset, ZERO)
        balances[asset] = None if held is None else held - owed
    collateral = {}
    for asset in list(balances):
        try:
            collateral[asset] = _terms_of(asset, account, terms)
        except BadAccount:
            if balances[asset] != 0 or asset in _settled(shared, account, contract):
                raise
            del balances[asset]  # nothing of it is held or owed: how it counts is no matter
    return Pool(
        name="account",
        mode=PORTFOLIO if portfolio else MULTI_ASSET,
        balances=balances,
        positions=tuple(shared),
        orders=account.orders,
        collateral=collateral,
        hedge=hedge,
        risk=risk,
    )


def _settled(shared: list[Position], account: Account, contract: Callable[[str], Contract]) -> set[str]:
    """Return the assets that shared positions and orders are settled in."""
    return {
        contract(symbol).settle_asset for symbol in (*(p.symbol for p in shared), *(o.symbol for o in account.orders))
    }


def _terms_of(asset: str, account: Account, terms: Callable[[str], Collateral | None]) -> Collateral:
    """Return how an asset counts: by the account's own terms, else by the venue's at the asset's index price."""
    own = account.collateral.get(asset)
    if own is not None:
        return own
    index = account.index_prices.get(asset, ONE if asset in DOLLARS else None)
    if index is None:
        raise BadAccount(
            f"no collateral price for {asset}",
            where=f"account.collateral.{asset}",
            expected="an index price for every asset that is held, owed or settled in",
            found=", ".join({**account.collateral, **account.index_prices}) or "nothing",
            hint=f'add "{asset}": {{"index": "…"}}',
        )
    found = terms(asset)
    if found is None and asset in DOLLARS:
        found = Collateral(source="not on a packaged list of the venue: it counts whole")
    if found is None:
        raise BadAccount(
            f"how {asset} counts as collateral is not known",
            where=f"account.collateral.{asset}",
            expected="an asset of the venue's collateral list, or terms of its own",
            found="an index price alone",
            hint=f'add "ratio", the share of {asset} that counts',
        )
    return replace(found, index=index)


__all__ = [
    "CROSS",
    "DOLLARS",
    "ISOLATED",
    "MULTI_ASSET",
    "PORTFOLIO",
    "SEPARATORS",
    "STABLE",
    "Account",
    "Backing",
    "Collateral",
    "CollateralMode",
    "MarginMode",
    "Marks",
    "Mode",
    "OpenOrder",
    "Pool",
    "PoolBy",
    "Position",
    "PositionMode",
    "Requirement",
    "RiskInputs",
    "Slice",
    "account_name_fault",
    "pools",
]
