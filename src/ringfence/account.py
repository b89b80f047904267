"""Accounts as values: positions, open orders, wallets, and the collateral pools they form.

**The collateral pool is the unit of margin.** An isolated position is a pool of one position; the cross positions
settled in one asset are one pool; in multi-asset and portfolio margin the whole account is one pool. What is computed
after :func:`pools` has built them never asks "isolated or cross?" again: a pool says which balances stand behind which
positions, and that is all margin needs.

Everything here is immutable. A quantity is signed: + long, − short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ringfence.errors import BadAccount
from ringfence.numbers import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from ringfence.contract import Contract
    from ringfence.numbers import Price, Quantity, Rate, Value

    Marks: TypeAlias = Mapping[str, Price]
    """Mark price by symbol: the price a venue measures margin on (mark, index, oracle or last, by its rulebook)."""


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


@dataclass(frozen=True, slots=True)
class Collateral:
    """How one asset counts in a basket, in the account's currency.

    A balance counts at ``index · ratio · (1 − bid_buffer)``, a debt at ``index · (1 + ask_buffer)``: what the asset is
    credited is after its haircut, what is owed in it is not.
    """

    index: Price = ONE
    ratio: Rate = ONE
    bid_buffer: Rate = ZERO
    ask_buffer: Rate = ZERO

    @property
    def bid(self) -> Decimal:
        """Account currency credited per unit held."""
        return self.index * self.ratio * (ONE - self.bid_buffer)

    @property
    def ask(self) -> Decimal:
        """Account currency charged per unit owed or required."""
        return self.index * (ONE + self.ask_buffer)


@dataclass(frozen=True, slots=True)
class Account:
    """Everything one account holds. A wallet balance of None is not known (and then neither is what depends on it).

    ``wallet``: balance of the shared wallet by asset, without isolated margins and without unrealised PnL.
    """

    positions: tuple[Position, ...] = ()
    orders: tuple[OpenOrder, ...] = ()
    wallet: Mapping[str, Value | None] = field(default_factory=dict)
    collateral: Mapping[str, Collateral] = field(default_factory=dict)
    position_mode: PositionMode = PositionMode.ONE_WAY
    collateral_mode: CollateralMode = CollateralMode.SINGLE_ASSET

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
    not known. ``collateral``: how each asset counts; empty when a single asset backs the pool.
    """

    name: str
    mode: Mode
    balances: Mapping[str, Value | None]
    positions: tuple[Position, ...] = ()
    orders: tuple[OpenOrder, ...] = ()
    collateral: Mapping[str, Collateral] = field(default_factory=dict)
    hedge: bool = False

    @property
    def asset(self) -> str | None:
        """The one asset that backs the pool, or None for a basket."""
        return None if self.mode.backing is Backing.BASKET else next(iter(self.balances), None)

    @property
    def isolated(self) -> bool:
        """Whether the pool ring-fences one position."""
        return self.mode.pool_by is PoolBy.POSITION


def pools(account: Account, contract: Callable[[str], Contract]) -> tuple[Pool, ...]:
    """Return the collateral pools of ``account``: isolated positions first, in their order, then the shared pools.

    ``contract`` looks a symbol's contract up (usually ``rulebook.contract``). Orders draw on the shared pools.
    Raises BadAccount for an isolated position whose margin is missing, or a basket in which an asset without a price
    stands; only :data:`DOLLARS` count at 1 without one.
    """
    hedge = account.position_mode is PositionMode.HEDGE
    isolated = [p for p in account.positions if p.margin_mode is MarginMode.ISOLATED]
    shared = [p for p in account.positions if p.margin_mode is MarginMode.CROSS]
    built = [_isolated_pool(p, contract(p.symbol).settle_asset, hedge=hedge) for p in isolated]
    if account.collateral_mode is CollateralMode.SINGLE_ASSET:
        built += _cross_pools(account, shared, contract, hedge=hedge)
    else:
        built.append(_basket_pool(account, shared, contract, hedge=hedge))
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


def _basket_pool(account: Account, shared: list[Position], contract: Callable[[str], Contract], *, hedge: bool) -> Pool:
    balances: dict[str, Value | None] = dict(account.wallet)
    for symbol in (*(position.symbol for position in shared), *(order.symbol for order in account.orders)):
        balances.setdefault(contract(symbol).settle_asset, ZERO)
    collateral = {**{asset: Collateral() for asset in balances if asset in DOLLARS}, **account.collateral}
    missing = [asset for asset in balances if asset not in collateral]
    if missing:
        raise BadAccount(
            f"no collateral price for {', '.join(missing)}",
            where="account.collateral",
            expected="an entry for every asset that is held, owed or settled in",
            found=", ".join(account.collateral) or "nothing",
            hint=f'add "{missing[0]}": {{"index": "…", "ratio": "…"}}',
        )
    portfolio = account.collateral_mode is CollateralMode.PORTFOLIO
    return Pool(
        name="account",
        mode=PORTFOLIO if portfolio else MULTI_ASSET,
        balances=balances,
        positions=tuple(shared),
        orders=account.orders,
        collateral=collateral,
        hedge=hedge,
    )


__all__ = [
    "CROSS",
    "ISOLATED",
    "MULTI_ASSET",
    "PORTFOLIO",
    "Account",
    "Backing",
    "Collateral",
    "CollateralMode",
    "MarginMode",
    "Mode",
    "OpenOrder",
    "Pool",
    "PoolBy",
    "Position",
    "PositionMode",
    "Requirement",
    "pools",
]
