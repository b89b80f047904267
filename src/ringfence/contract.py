"""A futures contract: what one contract is worth at a price.

=========  =======================  ==========================  ===========================================
kind       value of one contract    settled in                  example
=========  =======================  ==========================  ===========================================
linear     size · price             quote (USDT, USDC)          BTCUSDT, size 1 BTC: 30,000 USDT at 30,000
inverse    size ÷ price             base coin (BTC, ETH)        BTCUSD_PERP, size 100 USD: 0.0025 BTC at 40,000
quanto     size · price             a third asset               ETHUSD settled in BTC, size 1e-6 BTC per USD
option     size · price             quote or base coin          a call on BTC, price: its premium per unit of BTC
=========  =======================  ==========================  ===========================================

A quanto contract's ``contract_size`` already holds the fixed settlement amount per point of price, so its arithmetic
is that of a linear one. The value of a contract falls when the price of an *inverse* one rises, and a long still
wins: its **unit value** carries the sign, ``−size ÷ price``. With it, ``quantity · unit_value − entry_value`` is the
unrealised PnL of every kind (DESIGN: one signed number per thing).

An option's price is its premium, in the asset it settles in, per unit of its underlying; it was paid when the option
was bought, so the option's whole value counts as equity and not only what it has gained.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from ringfence.numbers import ROUND_HALF_EVEN, UNIT_VALUE_PLACES, divide

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from ringfence.numbers import Price, Quantity, Rate, UnitValue


_COIN = re.compile(
    r"(?:[PF][FI]_|CMT_)?(?:10{3,6}|1M(?=[A-Z]{2}))?(?P<coin>[A-Z0-9]+?)(?:USD[TC]?M?|PERP)?(?:[-_/:].*)?", re.ASCII
)
_SAME = {"XBT": "BTC", "WBTC": "BTC", "BETH": "ETH", "STETH": "ETH", "WBETH": "ETH", "WETH": "ETH"}


@lru_cache(maxsize=4096)
def coin(name: str) -> str:
    """Return the coin that a symbol or an asset stands for: BTC of BTCUSDT, XBTUSDTM, PF_XBTUSD and WBTC.

    By the name alone: the quote, the expiry and a multiplier (1000SHIB) are taken off, and wrapped coins are the coin
    they wrap. Only used to say which index moves with which mark.
    """
    found = _COIN.fullmatch(name.upper())
    stem = name.upper() if found is None else found["coin"]
    return _SAME.get(stem, stem)


class ContractKind(Enum):
    """How a contract's value follows its price."""

    LINEAR = "linear"
    INVERSE = "inverse"
    QUANTO = "quanto"
    OPTION = "option"


class OptionType(Enum):
    """The right that a European option gives at its expiry: to buy the underlying at the strike, or to sell it."""

    CALL = "call"
    PUT = "put"


@dataclass(frozen=True, slots=True)
class Contract:
    """Terms of one contract. A step, minimum or fee rate that is not known is None, and nothing is invented for it.

    ``contract_size``: base units (linear), quote units (inverse) or settlement units per point of price (quanto) of
    one contract. ``underlying`` names what expiries of one asset share (OKX counts tiers over it); default the symbol.
    ``market_take_bound``: how far from the mark a market order may go, as a fraction of it. ``expiry``: when a dated
    future or an option settles (with its time zone), None for a perpetual. ``strike`` and
    ``option_type``: of an option, None elsewhere.
    """

    symbol: str
    kind: ContractKind
    contract_size: Decimal
    settle_asset: str
    price_step: Decimal | None = None
    quantity_step: Decimal | None = None
    minimum_quantity: Quantity | None = None
    minimum_notional: Decimal | None = None
    maker_fee_rate: Rate | None = None
    taker_fee_rate: Rate | None = None
    liquidation_fee_rate: Rate | None = None
    underlying: str | None = None
    market_take_bound: Rate | None = None
    expiry: datetime | None = None
    strike: Price | None = None
    option_type: OptionType | None = None

    @property
    def risk_unit(self) -> str:
        """The coin whose price the contract follows, by its underlying or its symbol: its risk is offset within it."""
        return coin(self.underlying or self.symbol)

    @property
    def option(self) -> bool:
        """Whether the contract is an option."""
        return self.kind is ContractKind.OPTION

    @property
    def inverse(self) -> bool:
        """Whether the contract is settled in its own base coin."""
        return self.kind is ContractKind.INVERSE

    @property
    def orientation(self) -> int:
        """+1 where a contract's value rises with the price, −1 (inverse) where it falls."""
        return -1 if self.kind is ContractKind.INVERSE else 1

    def contract_value(self, price: Price) -> UnitValue:
        """Return the unsigned settlement-asset value of one contract at ``price`` (> 0).

        Inverse: rounded half-even to :data:`ringfence.numbers.UNIT_VALUE_PLACES` places; otherwise exact.
        """
        if self.kind is ContractKind.INVERSE:
            return divide(self.contract_size, price, places=UNIT_VALUE_PLACES, rounding=ROUND_HALF_EVEN)
        return self.contract_size * price

    def unit_value(self, price: Price) -> UnitValue:
        """Return the signed value of one contract at ``price``: what a long of one contract gains by is its change."""
        value = self.contract_value(price)
        return -value if self.kind is ContractKind.INVERSE else value

    def price_at(self, numerator: UnitValue, denominator: Decimal, *, places: int, rounding: str) -> Price:
        """Return the price at which one contract is worth ``numerator ÷ denominator``, rounded once.

        Takes a fraction so that solving for a price divides a single time. Both parts are of one sign.
        """
        if self.kind is ContractKind.INVERSE:
            return divide(self.contract_size * denominator, numerator, places=places, rounding=rounding)
        return divide(numerator, denominator * self.contract_size, places=places, rounding=rounding)
