"""What each position, and spot that hedges, brings into its risk unit: value, delta, vega, and gains per scenario."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ringfence.contract import OptionType
from ringfence.errors import BadAccount
from ringfence.margin.portfolio.black76 import Option, delta, vega
from ringfence.margin.scenario import Gains, Holding
from ringfence.numbers import ONE, RATIO_PLACES, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from ringfence.account import Pool, RiskInputs
    from ringfence.contract import Contract
    from ringfence.margin.scenario import Grid
    from ringfence.numbers import Price, Quantity, Value

_SECONDS_A_DAY = 86400
_DAYS_A_YEAR = 365


class Exposure(NamedTuple):
    """One holding of a risk unit. Amounts in the account's currency; ``delta`` in coins, + gains when the price rises.

    ``contract`` is None for spot. ``value``: gross, at the mark (an option: of what it is on, at the index).
    ``premium``: an option's whole value at its mark, signed; 0 elsewhere. ``days`` to expiry, 0 for what has none.
    ``gains``: in each scenario. ``coins``: units of the coin that it is on, unsigned: of an option, of its underlying.
    ``years``: to expiry, 18 places. ``vegas``: what is known of :meth:`vega`.
    """

    name: str
    symbol: str
    side: str
    quantity: Quantity
    contract: Contract | None
    value: Value
    delta: Decimal
    premium: Value
    expiry: datetime | None
    days: Decimal
    option: Option | None
    holding: Holding
    gains: Gains
    coins: Decimal
    years: Decimal
    vegas: dict[Decimal, Value]

    @property
    def row(self) -> tuple[Value, ...]:
        """Its gain in each scenario, in the account's currency."""
        return self.gains.row

    def vega(self, move: Decimal, index: Price) -> Value:
        """Return what the holding gains when implied volatility rises by ``move`` of itself; ``index``: the unit's."""
        if self.option is None:
            return ZERO
        found = self.vegas.get(move)
        if found is None:
            signed = self.coins if self.quantity > 0 else -self.coins
            found = self.vegas[move] = signed * index * vega(self.option, move)
        return found


def days_left(contract: Contract, risk: RiskInputs) -> Decimal:
    """Return the days to a contract's expiry, 18 places; 0 for a perpetual. Raises BadAccount past expiry."""
    if contract.expiry is None:
        return ZERO
    if risk.time is None:
        raise BadAccount(
            f"{contract.symbol} expires, and the account says no time", where="account.time",
            expected="the moment of the marks", found="nothing", hint="add account.time, or as_of",
        )  # fmt: skip
    days = _days_between(risk.time, contract.expiry)
    if days <= 0:
        raise BadAccount(
            f"{contract.symbol} is past its expiry", where=contract.symbol,
            expected=f"after {risk.time.isoformat()}", found=contract.expiry.isoformat(),
            hint="take it out of the account, with its settlement in the wallet",
        )  # fmt: skip
    return days


@lru_cache(maxsize=4096)
def _days_between(time: datetime, expiry: datetime) -> Decimal:
    left = expiry - time
    seconds = ONE * (left.days * _SECONDS_A_DAY + left.seconds)
    return divide(seconds, ONE * _SECONDS_A_DAY, places=RATIO_PLACES)


def option_of(contract: Contract, risk: RiskInputs, index: Price) -> Option:
    """Return an option beside its index price, ready for pricing. Raises BadAccount where its volatility is missing."""
    volatility = risk.volatility.get(contract.symbol)
    if volatility is None or contract.strike is None or contract.option_type is None:
        raise BadAccount(
            f"no implied volatility for {contract.symbol}", where=contract.symbol,
            expected="a year's volatility as a fraction, such as 0.55", found="nothing",
            hint="give implied_volatility with the position",
        )  # fmt: skip
    return Option(
        contract.option_type is OptionType.CALL,
        float(contract.strike) / float(index),
        float(days_left(contract, risk)),
        float(volatility),
        float(risk.rates.get(contract.risk_unit, ZERO)),
    )


def exposure(contract: Contract, quantity: Quantity, mark: Price, *, pool: Pool, index: Price, grid: Grid) -> Exposure:
    """Return what ``quantity`` contracts at ``mark`` bring into their risk unit.

    A settle asset other than the coin counts at its collateral index. Raises BadAccount as :func:`option_of` does.
    """
    risk = pool.risk
    assert risk is not None  # noqa: S101 - a pool of portfolio margin has them
    in_coin = contract.settle_asset == contract.risk_unit
    rate = ONE if in_coin else pool.collateral[contract.settle_asset].index
    side = "long" if quantity > 0 else "short"
    days = days_left(contract, risk)
    option = None
    premium = ZERO
    if contract.option:
        option = option_of(contract, risk, index)
        coins = quantity * contract.contract_size
        value, own_delta = coins * index * rate, coins * delta(option)
        premium = coins * mark * (index if in_coin else rate)
    elif contract.inverse:
        coins = quantity * contract.contract_value(mark)
        value, own_delta = coins * index, coins
    else:
        coins = quantity * contract.contract_size
        value = coins * mark * (index if in_coin else rate)
        own_delta = divide(value, index, places=RATIO_PLACES) if in_coin else coins
    holding = Holding(f"{contract.symbol} {side}", value, in_coin and (contract.inverse or contract.option), option)
    return Exposure(
        holding.name, contract.symbol, side, quantity, contract, abs(value), own_delta, premium, contract.expiry,
        days, option, holding, Gains(holding, grid), abs(own_delta if contract.inverse else coins),
        divide(days, ONE * _DAYS_A_YEAR, places=RATIO_PLACES), {},
    )  # fmt: skip


def spot_exposure(coin: str, quantity: Quantity, *, index: Price, grid: Grid) -> Exposure:
    """Return what ``quantity`` coins held bring into their own risk unit."""
    holding = Holding(f"{coin} spot", quantity * index, in_coin=False)
    return Exposure(
        holding.name, coin, "spot", quantity, None, quantity * index, quantity, ZERO, None, ZERO, None, holding,
        Gains(holding, grid), abs(quantity), ZERO, {},
    )  # fmt: skip


def by_expiry(exposures: Sequence[Exposure]) -> dict[datetime | None, list[Exposure]]:
    """Return the exposures by expiry, in their order; perpetuals and spot under None."""
    found: dict[datetime | None, list[Exposure]] = {}
    for item in exposures:
        found.setdefault(item.expiry, []).append(item)
    return found


__all__ = ["Exposure", "by_expiry", "days_left", "exposure", "option_of", "spot_exposure"]
