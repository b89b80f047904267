"""What a venue is set up with before the first command: its rules, its fees, its market, what it believes of prices."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence import rulebooks
from ringfence.engine.liquidity import Liquidity
from ringfence.numbers import ROUND_FLOOR, divide, round_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.contract import Contract
    from ringfence.numbers import Price, Rate, Value
    from ringfence.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class Fees:
    """Fee rates used where neither the contract nor the fee schedule has one; the clearance fee likewise.

    All are ours unless ``source`` says otherwise.
    """

    maker: Rate = Decimal("0.0002")
    taker: Rate = Decimal("0.0005")
    clearance: Rate = Decimal("0.0125")
    source: str = "assumed; a contract's own rates come first"


@dataclass(frozen=True, slots=True)
class Market:
    """How the tape's market answers orders: what it offers around its price. All figures are assumptions of ours.

    ``half_spread`` and ``level_gap``: fractions of the price. ``depth_value``: value on each level in the quote
    currency (USDT, USD), also for an inverse contract. ``levels``: how many per side; a larger order finds nobody
    beyond them. ``refill``: how many levels come back a second after forced orders moved the price (``impact``).
    ``take_bound``: how far from the mark a market order may go where the contract states none; None: anywhere.
    """

    half_spread: Rate = Decimal("0.0001")
    level_gap: Rate = Decimal("0.0002")
    depth_value: Value = Decimal(50_000)
    levels: int | None = 500
    refill: Rate = Decimal(1)
    take_bound: Rate | None = Decimal("0.05")

    def liquidity(self, contract: Contract, price: Price) -> Liquidity:
        """Return what the market offers around ``price``; whole quantity steps, at least one, per level."""
        one = contract.contract_size if contract.inverse else contract.contract_size * price
        depth = divide(self.depth_value, one, places=8, rounding=ROUND_FLOOR)
        step = contract.quantity_step or Decimal("0.00000001")
        depth = max(step, round_to(depth, step, rounding=ROUND_FLOOR))
        return Liquidity(price, self.half_spread, self.level_gap, depth, self.levels, contract.price_step)


@dataclass(frozen=True, slots=True)
class PriceGuard:
    """When a price is not believed, and how long one is.

    ``jump``: largest believable move of a mark from the one before (a fraction; None: any). A tape that lets last
    prices stand in for marks declares its own, so that a real crash is not mistaken for a bad tick. ``from_index``:
    largest distance from the index price. ``stale_after``: microseconds after which a mark decides nothing any more.

    A price that jumped is believed after all when ``confirmations`` further updates agree with it (None: never, and it
    puts nothing in doubt: the one before it holds until it is too old), each
    within ``agreement`` of the one before; when the last price and the index agree as well, after ``witnessed`` of them
    (None: as without): :mod:`ringfence.engine.doubt`. All figures are ours.
    """

    jump: Rate | None = Decimal("0.5")
    from_index: Rate | None = Decimal("0.25")
    stale_after: int | None = 60_000_000
    by_symbol: Mapping[str, Rate] = field(default_factory=dict)
    confirmations: int | None = 3
    witnessed: int | None = 1
    agreement: Rate = Decimal("0.05")

    def jump_of(self, symbol: str) -> Rate | None:
        """Return the largest believable move of a symbol's mark."""
        return self.by_symbol.get(symbol, self.jump)


@dataclass(frozen=True, slots=True)
class Setup:
    """A venue's set-up.

    ``given``: a rulebook in place of the packaged one of that name and day. ``rearm``: how far above a call level
    health has to rise before the pool is called again. ``impact``: whether forced orders move the tape's prices
    (:mod:`ringfence.engine.impact`). ``start_fund``: what the insurance fund begins with, by asset,
    or by ``SYMBOL:ASSET`` where the rulebook has a fund per market.
    """

    rulebook_name: str = "binance-usdm"
    as_of: str | None = None
    fees: Fees = Fees()
    market: Market = Market()
    guard: PriceGuard = PriceGuard()
    self_trade: str = "cancel_taker"
    rearm: Decimal = Decimal("1.05")
    impact: bool = False
    start_fund: Mapping[str, Value] = field(default_factory=dict)
    given: Rulebook | None = None

    def rulebook(self, name: str | None = None, as_of: str | None = None) -> Rulebook:
        """Return the rulebook the venue starts under, or another one by name and day."""
        if name is None and self.given is not None:
            return self.given
        day = as_of if name is not None else self.as_of
        return rulebooks.load(name or self.rulebook_name, None if day is None else date.fromisoformat(day))


__all__ = ["Fees", "Market", "PriceGuard", "Setup"]
