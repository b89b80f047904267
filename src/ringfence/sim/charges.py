"""The auditor's own view of fees, discounts and vouchers: what each trade should cost, and who should pay it.

Everything is reckoned in fractions from the rulebook's data and the events; the engine's settlement is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from ringfence.engine import events as happened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from ringfence.engine.events import Event
    from ringfence.engine.setup import Setup
    from ringfence.fees import FeeSchedule, VoucherKind
    from ringfence.ledger import Posting
    from ringfence.rulebook import Rulebook

NOTHING = Fraction(0)
_LAST_DIGIT = Fraction(1, 10**30)
_ITS_OWN = ("wallet", "isolated", "bonus", "voucher")


@dataclass(slots=True)
class Known:
    """A voucher the auditor saw credited."""

    kind: str
    asset: str
    amount: Fraction
    share: Fraction
    until: int | None
    left: Fraction
    realised: Fraction = NOTHING


class Moved(NamedTuple):
    """One movement of money: from which account into which, how much (> 0)."""

    out_of: str
    into: str
    asset: str
    amount: Fraction


def movements(postings: tuple[Posting, ...]) -> Iterator[Moved]:
    """Yield postings as movements: they come in pairs of equal size."""
    for one, other in zip(postings[::2], postings[1::2], strict=True):
        amount = Fraction(one.amount)
        giver, taker = (one, other) if amount < 0 else (other, one)
        yield Moved(giver.account, taker.account, one.asset, abs(amount))


def owner(account: str) -> str | None:
    """Return the trader whose account it is, or None."""
    kind, _, rest = account.partition(":")
    return rest.split(":", 1)[0] if kind in _ITS_OWN else None


def fee_rate(
    setup: Setup, rulebook: Rulebook, symbol: str, role: str, level: str | None, discounts: tuple[str, ...]
) -> Fraction:
    """Return the rate of ``role`` (maker or taker): a higher level's, the contract's, the base level's, the set-up's.

    Less each discount's share where it is positive.
    """
    contract, schedule = rulebook.contract(symbol), rulebook.fees
    stated = contract.maker_fee_rate if role == "maker" else contract.taker_fee_rate
    base = schedule.levels[0].level if schedule.levels else None
    found = None if level is None or level == base else _row(schedule, level, contract.settle_asset, role)
    for other in (stated, None if base is None else _row(schedule, base, contract.settle_asset, role)):
        found = other if found is None else found
    if found is None:
        return Fraction(setup.fees.maker if role == "maker" else setup.fees.taker)
    rate = Fraction(found)
    for name in discounts:
        if rate > 0 and name in schedule.discounts:
            discount = schedule.discounts[name]
            rate *= 1 - Fraction(discount.maker if role == "maker" else discount.taker)
    return rate


def _row(schedule: FeeSchedule, level: str, asset: str, role: str) -> Decimal | None:
    own = {
        row.settle_asset: row.maker if role == "maker" else row.taker for row in schedule.levels if row.level == level
    }
    return own.get(asset, own.get(""))


class Charges:
    """Levels, discounts and vouchers of all traders, as the events tell them."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.levels: dict[str, str] = {}
        self.discounts: dict[str, tuple[str, ...]] = {}
        self.vouchers: dict[str, dict[str, Known]] = {}

    def margin(self, rulebook: Rulebook, name: str, asset: str) -> Fraction:
        """Return what is left of a trader's vouchers that count as margin in an asset."""
        return sum(
            (
                known.left
                for known in self.vouchers.get(name, {}).values()
                if known.asset == asset and known.kind in _of_margin(rulebook)
            ),
            NOTHING,
        )

    # ── Trades ───────────────────────────────────────────────────────────────────────────────────────────────────

    def wrong_fee(self, rulebook: Rulebook, event: happened.Traded, value: Fraction) -> str | None:
        """Return what is wrong with the fees of a trade worth ``value``, or None."""
        for name in {event.buyer, event.seller}:
            if name.startswith("@"):
                continue
            role = "maker" if name == event.maker else "taker" if event.cause == "order" else None
            due = NOTHING
            if role is not None:
                level, discounts = self.levels.get(name), self.discounts.get(name, ())
                due = value * fee_rate(self.setup, rulebook, event.symbol, role, level, discounts)
            paid = NOTHING
            for moved in movements(event.postings):
                if moved.into == "fees" and owner(moved.out_of) == name:
                    paid += moved.amount
                elif moved.out_of == "fees" and owner(moved.into) == name:
                    paid -= moved.amount
            if abs(paid - due) > _LAST_DIGIT * (1 + abs(due)):  # an inverse contract's value is a division
                return f"{name} paid {float(paid):.12g} as {role}, due were {float(due):.12g}"
        return None

    # ── Vouchers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def wrong_voucher(self, rulebook: Rulebook, event: Event) -> str | None:
        """Return what is wrong with the payments of vouchers in an event, or None; and count it."""
        if isinstance(event, happened.VoucherCredited):
            return self._credited(rulebook, event)
        if isinstance(event, happened.VoucherClosed):
            return self._closed(event)
        touched = {owner(account): None for account, _, _ in getattr(event, "postings", ())}
        for name in [name for name in touched if name is not None and self.vouchers.get(name)]:
            problem = self._of_trader(rulebook, name, event)
            if problem is not None:
                return problem
        return None

    def _credited(self, rulebook: Rulebook, event: happened.VoucherCredited) -> str | None:
        amount = Fraction(event.amount)
        own = self.vouchers.setdefault(event.account, {})
        if event.voucher in own or event.voucher_kind not in rulebook.fees.vouchers:
            return f"credited: {event!r}"
        own[event.voucher] = Known(
            event.voucher_kind, event.asset, amount, Fraction(event.share), event.until, amount
        )  # fmt: skip
        expected = Moved("voucher_issuer", f"voucher:{event.account}:{event.voucher}", event.asset, amount)
        return None if list(movements(event.postings)) == [expected] else f"credited: {event!r}"

    def _closed(self, event: happened.VoucherClosed) -> str | None:
        known = self.vouchers[event.account].pop(event.voucher)
        account = f"voucher:{event.account}:{event.voucher}"
        expected = [Moved(account, "voucher_issuer", known.asset, known.left)]
        early = event.reason == "expired" and (known.until is None or event.at < known.until)
        return None if list(movements(event.postings)) == expected and not early else f"closed: {event!r} of {known}"

    def _of_trader(self, rulebook: Rulebook, name: str, event: Event) -> str | None:
        own = self.vouchers[name]
        runs = list(_runs(event, name))
        for use, asset, charge, parts in runs:
            gained = sum((moved.amount for moved in parts if owner(moved.into) == name), NOTHING)
            expected = {} if gained else self._expected(rulebook, name, use, asset, charge, parts, event.at)
            paid = {
                moved.out_of.split(":", 2)[2]: moved.amount for moved in parts if moved.out_of.startswith("voucher:")
            }
            if paid != expected:
                return f"{name} {use} of {float(charge):.12g}: {paid} for {expected} in {event!r}"
            for voucher, amount in paid.items():
                own[voucher].left -= amount
            if use != "fees":
                for known in own.values():
                    known.realised += gained - (NOTHING if gained else charge)
        for voucher in [voucher for voucher, known in own.items() if not known.left]:
            del own[voucher]
        return None

    def _expected(
        self, rulebook: Rulebook, name: str, use: str, asset: str, charge: Fraction, parts: list[Moved], at: int
    ) -> dict[str, Fraction]:  # fmt: skip
        """Return what vouchers should pay of one charge, by voucher."""
        due: dict[str, Fraction] = {}
        bonus = sum((moved.amount for moved in parts if moved.out_of.startswith("bonus:")), NOTHING)
        rest = charge
        if any(moved.out_of.startswith("isolated:") for moved in parts):
            return due  # a ring-fenced position bears its own
        for first in (True, False):
            for kind in rulebook.fees.vouchers.values():
                if use not in kind.pays or kind.before_bonus != first:
                    continue
                voucher = self._in_turn(name, kind, asset, at)
                if voucher is None:
                    continue
                known = self.vouchers[name][voucher]
                amount = known.share * rest
                if kind.limit == "net_loss":
                    lost, more = max(NOTHING, -known.realised), max(NOTHING, rest - known.realised)
                    amount = min(known.share * (more - lost), known.share * more - (known.amount - known.left))
                amount = max(NOTHING, min(amount, known.left))
                if amount:
                    due[voucher] = amount
                rest -= amount
            rest -= bonus if first else NOTHING
        return due

    def _in_turn(self, name: str, kind: VoucherKind, asset: str, at: int) -> str | None:
        live = {
            voucher: known
            for voucher, known in self.vouchers[name].items()
            if (known.kind, known.asset) == (kind.name, asset) and (known.until is None or known.until > at)
        }
        if kind.order == "claimed":
            return next(iter(live), None)
        never = 10**18 * 10**6
        return min(live, key=lambda each: (live[each].until or never, -live[each].share), default=None)


def _of_margin(rulebook: Rulebook) -> Mapping[str, VoucherKind]:
    return {name: kind for name, kind in rulebook.fees.vouchers.items() if kind.counts_as_margin}


def _runs(event: Event, name: str) -> Iterator[tuple[str, str, Fraction, list[Moved]]]:
    """Yield a trader's charges and gains in an event: use, asset, size, and the movements that make it up.

    A charge is paid by several accounts one after the other into the same one; a gain is one movement.
    """
    run: list[Moved] = []
    key: tuple[str, bool, bool] | None = None
    for moved in movements(getattr(event, "postings", ())):
        pays = owner(moved.out_of) == name
        other = moved.into if pays else moved.out_of
        use = {"clearing": "losses", "funding": "funding", "fees": "fees"}.get(other.partition(":")[0])
        mine = use is not None and (pays or owner(moved.into) == name)
        this = (other, pays, moved.out_of.startswith("isolated:")) if mine else None
        if run and (this != key or key is None or not key[1]):
            yield _run(run, key)
            run = []
        if this is not None:
            run.append(moved)
        key = this
    if run:
        yield _run(run, key)


def _run(run: list[Moved], key: tuple[str, bool, bool] | None) -> tuple[str, str, Fraction, list[Moved]]:
    assert key is not None  # noqa: S101 - a run has one
    use = {"clearing": "losses", "funding": "funding", "fees": "fees"}[key[0].partition(":")[0]]
    return use, run[0].asset, sum((moved.amount for moved in run), NOTHING), run


__all__ = ["Charges", "fee_rate", "movements", "owner"]
