"""One trader as the venue knows him, besides money: legs, orders, settings, vouchers. Written only by ``evolve``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringfence.account import Account, CollateralMode, MarginMode, OpenOrder, Pool, Position, PositionMode
from ringfence.numbers import PRICE_PLACES, ROUND_HALF_EVEN, ZERO, exact, plain

if TYPE_CHECKING:
    from ringfence.contract import Contract
    from ringfence.guard_rails import GuardRails
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Quantity, Rate, Value


_SINGLE_ASSET = CollateralMode.SINGLE_ASSET  # looked up once: to ask an enumeration for a member is slow


class Held:
    """One leg of a trader: signed quantity (never 0) and the signed value it was entered at. Never changed in place."""

    __slots__ = ("_contract", "_position", "_price", "entry_value", "quantity")

    def __init__(self, quantity: Quantity, entry_value: Value, price: Price | None, contract: Contract) -> None:
        self.quantity = quantity
        self.entry_value = entry_value
        self._price = price
        self._contract = contract
        self._position: Position | None = None

    def position(
        self, symbol: str, mode: MarginMode, *, margin: Value | None, leverage: Value | None
    ) -> Position:  # fmt: skip
        """Return the leg as the margin maths sees it; the very one of before while nothing of it changed."""
        kept = self._position
        if (
            kept is None or kept.isolated_margin is not margin or kept.leverage is not leverage
            or kept.margin_mode is not mode
        ):  # fmt: skip
            kept = self._position = Position(symbol, self.quantity, self.entry_price, mode, margin, leverage)
        return kept

    @property
    def entry_price(self) -> Price:
        """The average entry price, rounded half-even to 24 places; computed when somebody asks.

        By the terms that the contract had when the leg last changed.
        """
        return self._price if self._price is not None else self._computed()

    @exact
    def _computed(self) -> Price:
        self._price = self._contract.price_at(
            abs(self.entry_value), abs(self.quantity), places=PRICE_PLACES, rounding=ROUND_HALF_EVEN
        )
        return self._price

    def text(self) -> str:
        """Return what the digest covers of it."""
        return f"{plain(self.quantity)} {plain(self.entry_value)} {plain(self.entry_price)}"


@dataclass(slots=True)
class Order:
    """An order that rests or waits for its trigger. ``quantity`` is what is left of it, unsigned."""

    id: str
    account: str
    symbol: str
    side: str
    quantity: Quantity
    price: Price | None
    reduce_only: bool
    position_side: str | None
    time_in_force: str
    trigger_price: Price | None
    trigger_by: str
    trigger_above: bool
    close_position: bool
    sequence: int
    view: OpenOrder | None = field(default=None, repr=False, compare=False)  # as the margin maths saw it last
    viewed: Quantity | None = field(default=None, repr=False, compare=False)  # what was left of it then

    @property
    def key(self) -> str:
        """The order's name in a book: ids are the trader's own, and two traders may choose the same."""
        return f"{self.account}|{self.id}"

    @property
    def waits(self) -> bool:
        """Whether the order waits for its trigger price."""
        return self.trigger_price is not None

    def text(self) -> str:
        """Return what the digest covers of it."""
        price = "" if self.price is None else plain(self.price)
        trigger = ""
        if self.trigger_price is not None:
            trigger = f"{plain(self.trigger_price)} {self.trigger_by} {self.trigger_above} {self.close_position}"
        return (
            f"{self.symbol} {self.side} {plain(self.quantity)} {price} {trigger} {self.reduce_only} "
            f"{self.position_side} {self.time_in_force} {self.sequence}"
        )


class Touched:
    """Who was changed since a moment, and who stopped holding what: so that nobody has to go through everybody."""

    __slots__ = ("left", "names", "since")

    def __init__(self) -> None:
        self.since = 0
        self.names: list[str] = []
        self.left: dict[str, dict[str, int]] = {}  # trader → symbol → the place among its holders that was given up

    def begin(self, sequence: int) -> None:
        """Forget whoever was changed before, and note who is from now on."""
        self.since = sequence
        self.names = []
        self.left = {}


@dataclass(slots=True)
class Voucher:
    """A voucher with something left on it; how much stands in the ledger. ``realised``: PnL since it was claimed."""

    name: str
    kind: str
    asset: str
    amount: Value
    share: Rate
    until: int | None
    realised: Value = ZERO


@dataclass(slots=True)
class Trader:
    """What the venue knows of one trader besides money."""

    name: str
    noted: Touched
    position_mode: PositionMode = PositionMode.ONE_WAY
    collateral_mode: CollateralMode = CollateralMode.SINGLE_ASSET
    leverage: dict[str, Value] = field(default_factory=dict)
    margin_mode: dict[str, MarginMode] = field(default_factory=dict)
    replenishment: dict[str, str] = field(default_factory=dict)
    rails: GuardRails | None = None
    held: dict[tuple[str, str], Held] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    levels: dict[str, str] = field(default_factory=dict)
    liquidating: dict[str, int] = field(default_factory=dict)  # pool → time before which it is left alone (0: none)
    fee_level: str | None = None  # None: the schedule's base level
    discounts: tuple[str, ...] = ()
    vouchers: dict[str, Voucher] = field(default_factory=dict)  # in order of their claim
    view: Account | None = None
    pooled: tuple[Pool, ...] | None = None
    assessed: dict[str, tuple[int, Assessment]] = field(default_factory=dict)  # by pool, with the prices it was made at
    changed_at: int = 0  # sequence of the last event that changed anything of the trader, money included

    @property
    def basket(self) -> bool:
        """Whether one pool of many assets backs the trader's cross positions."""
        return self.collateral_mode is not _SINGLE_ASSET

    @property
    def portfolio(self) -> bool:
        """Whether that pool is held to the requirement of portfolio margin."""
        return self.collateral_mode is CollateralMode.PORTFOLIO

    def shared_pool(self, asset: str) -> str:
        """Return the name of the pool that backs cross positions settled in an asset."""
        return "account" if self.basket else f"cross {asset}"

    def touched(self, sequence: int) -> None:
        """Forget the cached view after a change by the event of that sequence."""
        if self.changed_at == sequence:
            return  # another posting of the same event: nobody has looked in between
        if self.changed_at <= self.noted.since:
            self.noted.names.append(self.name)
        self.changed_at = sequence
        self.forget()

    def forget(self) -> None:
        """Forget the cached view, because a price that it holds is another now."""
        self.view = None
        self.pooled = None
        if self.assessed:
            self.assessed = {}


__all__ = ["Held", "Order", "Touched", "Trader", "Voucher"]
