"""How a venue settles what expires: at which price, for which fee. Data: one ``delivery.toml`` per venue and day.

A dated future is closed at its settlement price, an option at its intrinsic value there. Venues take the average of the
underlying's index over the last minutes before expiry. What no source says of a venue is None here: then no fee is
charged, and whoever settles says so (:class:`ringfence.engine.events.ExpirySettled`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.contract import OptionType
from ringfence.errors import BadRulebook, nearest
from ringfence.numbers import ONE, ROUND_HALF_EVEN, UNIT_VALUE_PLACES, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ringfence.contract import Contract
    from ringfence.numbers import Price, Quantity, Rate, Value

SCHEMA = "ringfence.delivery/1"
EXEMPT = ("daily_options", "weekly_futures")  #: what a venue may settle without a fee
_FRIDAY = 4
_TOP = ("schema", "window", "fees", "sources")
_FEES = ("futures", "options", "option_cap", "exempt")


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """A venue's terms of delivery on a day.

    ``window``: seconds before expiry over which the index is averaged. ``future_rate``: of the value delivered.
    ``option_rate``: of the value of what an exercised option is on; at most ``option_cap`` of the option's value.
    ``exempt``: of :data:`EXEMPT`, settled without a fee. ``sources``: where each was read. None: not known.
    """

    window: int | None = None
    future_rate: Rate | None = None
    option_rate: Rate | None = None
    option_cap: Rate | None = None
    exempt: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def rate(self, contract: Contract) -> Rate | None:
        """Return the delivery fee's rate of a contract that expires: 0 where it is exempt, None where not known."""
        if contract.option:
            return ZERO if "daily_options" in self.exempt and _daily(contract) else self.option_rate
        return ZERO if "weekly_futures" in self.exempt and _weekly(contract) else self.future_rate

    def fee(self, contract: Contract, quantity: Quantity, price: Price) -> Value:
        """Return the delivery fee (≥ 0) of unsigned ``quantity`` at a settlement price, in the settlement asset.

        A future: ``rate · quantity · value of a contract``. An option: ``quantity · min(rate · value of its underlying,
        cap · its value)``, so that one that ends worthless pays nothing. 0 where the rate is not known.

        Source: Bybit help, settlement fee = value × 0.05 %; Deribit, OKX, Bybit and Binance, fees of options: the
        smaller of a rate of the underlying and a share of the option's value.
        """
        rate = self.rate(contract)
        if not rate:
            return ZERO
        if not contract.option:
            return rate * quantity * contract.contract_value(price)
        worth = contract.contract_value(settlement_value(contract, price))
        of_underlying = contract.contract_size * (ONE if settles_in_coin(contract) else price)
        charged = rate * of_underlying
        return quantity * (charged if self.option_cap is None else min(charged, self.option_cap * worth))


NOT_KNOWN = DeliveryTerms()  #: of a venue of which nothing was read


def settles_in_coin(contract: Contract) -> bool:
    """Whether a contract settles in the very coin that its price is of."""
    return contract.settle_asset == contract.risk_unit


def settlement_value(contract: Contract, price: Price) -> Price:
    """Return the price at which a contract is closed when it expires at the settlement price ``price`` (> 0).

    A future's is the settlement price. An option's is its intrinsic value: ``max(0, price − strike)`` of a call, the
    other way round of a put, and that ÷ ``price`` where it settles in the coin, rounded half-even to
    :data:`ringfence.numbers.UNIT_VALUE_PLACES` places. Source: Deribit, options: cash settlement in the coin.
    """
    if not contract.option or contract.strike is None:
        return price
    gain = price - contract.strike
    intrinsic = max(ZERO, gain if contract.option_type is OptionType.CALL else ZERO - gain)
    if not settles_in_coin(contract):
        return intrinsic
    return divide(intrinsic, price, places=UNIT_VALUE_PLACES, rounding=ROUND_HALF_EVEN)


def _daily(contract: Contract) -> bool:
    """Whether an option is a daily one: it expires on another day than a Friday (OKX's own definition)."""
    return contract.expiry is not None and contract.expiry.weekday() != _FRIDAY


def _weekly(contract: Contract) -> bool:
    """Whether a future is a weekly one: it expires before its month's last Friday (Deribit, introduction policy)."""
    expiry = contract.expiry
    return expiry is not None and (expiry + timedelta(days=7)).month == expiry.month


def read_delivery(data: Mapping[str, Any], *, where: str) -> DeliveryTerms:
    """Return the terms that a ``delivery.toml`` holds. Raises BadRulebook for the first fault."""
    for key, message in faults_of(data):
        raise BadRulebook(
            message, where=f"{where}: {key}", hint="run `ringfence rulebooks check`, which names them all"
        )
    fees = data.get("fees", {})
    futures, options, cap = (
        None if fees.get(name) is None else Decimal(fees[name]) for name in ("futures", "options", "option_cap")
    )
    return DeliveryTerms(
        data.get("window"), futures, options, cap, tuple(fees.get("exempt", ())), data.get("sources", {})
    )  # fmt: skip


def faults_of(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) of a ``delivery.toml``: unknown keys, figures that are none or without a source."""
    fees, sources = data.get("fees", {}), data.get("sources", {})
    if data.get("schema") != SCHEMA:
        yield "schema", f"expected {SCHEMA}, found {data.get('schema')!r}"
    for section, table, known in (("", data, _TOP), ("fees.", fees, _FEES)):
        if not isinstance(table, dict):
            yield section.rstrip("."), f"expected a table, found {table!r}"
            return
        for key in table:
            if key not in known:
                hint = nearest(key, known) or f"expected one of {', '.join(known)}"
                yield f"{section}{key}", f"unknown key {key}; {hint}"
    yield from _bad_figures(data, fees)
    for name in (*(["window"] if "window" in data else []), *(name for name in _FEES if name in fees)):
        if not (isinstance(sources, dict) and isinstance(sources.get(name), str) and sources[name].strip()):
            yield f"sources.{name}", f"{name} without a source: say where it was read, and when"


def _bad_figures(data: Mapping[str, Any], fees: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    window = data.get("window", 1)
    if not isinstance(window, int) or isinstance(window, bool) or window <= 0:
        yield "window", f"expected whole seconds above 0, found {window!r}"
    for name in ("futures", "options", "option_cap"):
        if name in fees and not _is_rate(fees[name]):
            yield f"fees.{name}", f"expected a decimal string from 0 to 1, found {fees[name]!r}"
    for name in fees.get("exempt", ()):
        if name not in EXEMPT:
            yield "fees.exempt", f"cannot be {name!r}; expected of {', '.join(EXEMPT)}"


def _is_rate(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        number = Decimal(value)
    except ArithmeticError:
        return False
    return number.is_finite() and ZERO <= number <= ONE


__all__ = ["EXEMPT", "NOT_KNOWN", "SCHEMA", "DeliveryTerms", "faults_of", "read_delivery", "settlement_value",
           "settles_in_coin"]  # fmt: skip
