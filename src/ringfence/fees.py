"""What a venue charges for a trade: maker and taker rates by level, discounts on them, and what vouchers may pay.

All of it is dated data of the rulebooks (``fees.csv`` and ``fees.toml``; docs/reference/fees.md). Which rate holds for
an account, the first that is known:

1. the rate that the account file states for the contract itself (``contracts.SYMBOL.taker_fee_rate``),
2. the account's own rate (``account.fees``), as the venue shows it to its holder: discounts are inside it,
3. the schedule's rate of the account's level, where that is not the base level,
4. the contract's rate in the venue's tables: what is charged on the base level,
5. the schedule's rate of the base level.

Discounts take their share off a positive rate of 3 to 5; a rebate (a rate below 0) stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadRulebook, nearest
from ringfence.numbers import ONE, exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from ringfence.contract import Contract
    from ringfence.numbers import Rate, Value

USES = ("losses", "funding", "fees")  #: what money of a venue's giving may pay
ORDERS = ("soonest_expiry", "claimed")  #: which of several vouchers pays: the one that ends first, the oldest
LIMITS = ("none", "net_loss")  #: net_loss: in all no more than its share of the net loss since the claim


class FeeLevel(NamedTuple):
    """One level's rates for contracts settled in ``settle_asset`` (empty: in any); a rate below 0 is a rebate.

    What the level asks for, None where it is not known: ``volume`` traded over ``volume_days`` in ``volume_asset``, or
    (some venues: and) a ``balance`` in ``balance_asset``.
    """

    level: str
    settle_asset: str
    maker: Rate | None
    taker: Rate | None
    volume: Decimal | None = None
    volume_asset: str = ""
    volume_days: int | None = None
    balance: Decimal | None = None
    balance_asset: str = ""


class Discount(NamedTuple):
    """A discount an account may have: the shares of maker and taker fee that are taken off.

    Of discounts of one ``group`` only one holds at a time (steps of one programme). ``asks``: what it asks for.
    """

    name: str
    maker: Rate
    taker: Rate
    group: str
    asks: str = ""


class VoucherKind(NamedTuple):
    """What vouchers of a kind may pay, and how.

    ``pays``: some of :data:`USES`. ``order``: one of :data:`ORDERS`; one voucher pays at a time. ``limit``: one of
    :data:`LIMITS`. ``counts_as_margin``: whether what is left of it backs positions. ``before_bonus``: whether it pays
    before bonus does.
    """

    name: str
    pays: tuple[str, ...]
    order: str = "soonest_expiry"
    limit: str = "none"
    counts_as_margin: bool = False
    before_bonus: bool = True


class FeeRates(NamedTuple):
    """Maker and taker rate as they are charged, None where not known."""

    maker: Rate | None
    taker: Rate | None


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """A venue's levels in ascending order, its discounts and kinds of vouchers, as of a day.

    ``source``: which day's tables the levels stand in, for an explanation; None without levels.
    """

    levels: tuple[FeeLevel, ...] = ()
    discounts: Mapping[str, Discount] = field(default_factory=dict)
    vouchers: Mapping[str, VoucherKind] = field(default_factory=dict)
    source: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the levels, from the base level up."""
        return tuple(dict.fromkeys(row.level for row in self.levels))

    @property
    def base(self) -> str | None:
        """The level of an account that asks for nothing; None without a schedule."""
        return self.levels[0].level if self.levels else None

    def row(self, level: str, settle_asset: str) -> FeeLevel | None:
        """Return the rates of a level for contracts settled in an asset, None where there are none."""
        rows = [row for row in self.levels if row.level == level]
        own = next((row for row in rows if row.settle_asset == settle_asset), None)
        return own or next((row for row in rows if not row.settle_asset), None)

    def reached(self, volume: Value, *, settle_asset: str = "") -> str | None:
        """Return the highest level that a traded ``volume`` reaches, in the levels' own asset and over their own days.

        A level begins above its volume. None where a level does not tell what it asks for, or asks for a balance too:
        then volume alone does not decide.
        """
        found = self.base
        rows = [row for row in self.levels if not settle_asset or row.settle_asset in {"", settle_asset}]
        if any(row.balance is not None or (row.volume is None and row.level != found) for row in rows):
            return None
        for row in rows:
            if row.volume is not None and volume > row.volume:
                found = row.level
        return found

    def check(self, level: str | None, discounts: Iterable[str], *, rulebook: str) -> None:
        """Raise BadRulebook for a level or discount that the schedule does not have, with what it has."""
        if level is not None and level not in self.names:
            raise _unknown("fee level", level, self.names, rulebook)
        groups: dict[str, str] = {}
        for name in discounts:
            if name not in self.discounts:
                raise _unknown("fee discount", name, tuple(self.discounts), rulebook)
            other = groups.setdefault(self.discounts[name].group, name)
            if other != name:
                raise BadRulebook(
                    f"the discounts {other} and {name} do not hold together", where=f"rulebook {rulebook}",
                    expected="one discount of a group", found=f"{other}, {name}", hint="leave one of them out",
                )  # fmt: skip

    @exact
    def rates(self, contract: Contract, level: str | None = None, discounts: Iterable[str] = ()) -> FeeRates:
        """Return what an account pays for trades of a contract, by 3 to 5 of the module's order, discounts taken off.

        ``level``: None is the base level.
        """
        maker, taker = contract.maker_fee_rate, contract.taker_fee_rate
        base, asset = self.base, contract.settle_asset
        row = None if level in {None, base} else self.row(level or "", asset)
        above = row is not None
        if row is None and base is not None:  # a level that these rules do not have: they changed
            row = self.row(base, asset)
        if row is not None:
            maker = row.maker if maker is None or (above and row.maker is not None) else maker
            taker = row.taker if taker is None or (above and row.taker is not None) else taker
        for discount in (self.discounts[each] for each in discounts):
            maker = maker * (ONE - discount.maker) if maker is not None and maker > 0 else maker
            taker = taker * (ONE - discount.taker) if taker is not None and taker > 0 else taker
        return FeeRates(maker, taker)


@dataclass(frozen=True, slots=True)
class AccountFees:
    """What an account pays, as its file says: a level of the schedule, discounts, rates of its own."""

    level: str | None = None
    discounts: tuple[str, ...] = ()
    maker: Rate | None = None
    taker: Rate | None = None

    def charged(self, contract: Contract, schedule: FeeSchedule) -> Contract:
        """Return ``contract`` with the maker and taker rates that the account pays for it."""
        rates = schedule.rates(contract, self.level, self.discounts)
        return replace(
            contract,
            maker_fee_rate=rates.maker if self.maker is None else self.maker,
            taker_fee_rate=rates.taker if self.taker is None else self.taker,
        )


def _unknown(what: str, found: str, known: tuple[str, ...], rulebook: str) -> BadRulebook:
    return BadRulebook(
        f"no {what} {found!r} in {rulebook}", where=f"rulebook {rulebook}",
        expected="one of " + ", ".join(known) if known else "none: the venue's are not in the rulebook",
        found=found, hint=nearest(found, known) or "give the account's own rates under account.fees",
    )  # fmt: skip


NO_SCHEDULE = FeeSchedule()

__all__ = ["LIMITS", "NO_SCHEDULE", "ORDERS", "USES", "AccountFees", "Discount", "FeeLevel", "FeeRates", "FeeSchedule",
           "VoucherKind"]  # fmt: skip
