"""Ways to hold one book: each position cross, isolated with a margin, or in a sub-account, from the same capital.

A sub-account is an account of its own: its positions are one cross pool behind which stands what was moved there and
nothing else. So every way is a set of accounts, and every account is cut into pools as any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ringfence.account import DOLLARS, Account, CollateralMode, MarginMode
from ringfence.errors import BadAccount
from ringfence.margin.assess import assess_account
from ringfence.margin.change import entry_margin
from ringfence.numbers import ROUND_CEILING, ROUND_FLOOR, ZERO, exact, plain, round_to
from ringfence.study.architecture import all_cross
from ringfence.tape.coins import coin_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.account import Marks, Position
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook

Kind: TypeAlias = Literal["cross", "isolated", "sub_account"]
MAIN = "main account"
_CENT = Decimal("0.01")
_COIN_STEP = Decimal("0.00000001")


class Place(NamedTuple):
    """Where a position stands. ``margin``: of an isolated one; ``name``: of a sub-account."""

    kind: Kind
    margin: Value | None = None
    name: str = MAIN


@dataclass(frozen=True)
class Holding:
    """One way to hold the book. ``places``: by the order of its positions; ``accounts``: by name, the main one first.

    ``moved``: what each sub-account was given, by name and asset.
    """

    name: str
    what: str
    places: tuple[Place, ...]
    accounts: Mapping[str, Account]
    moved: Mapping[tuple[str, str], Value]

    @exact
    def assessed(self, marks: Marks, rulebook: Rulebook) -> tuple[tuple[str, Assessment], ...]:
        """Return every pool of every account with the account's name, assessed."""
        return tuple(
            (name, assessment)
            for name, account in self.accounts.items()
            for assessment in assess_account(account, marks, rulebook)
        )


class Book(NamedTuple):
    """The book to be held: every position cross, no orders, the whole capital in the wallet by settlement asset."""

    account: Account
    marks: Marks
    rulebook: Rulebook

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions, in the order of the file."""
        return self.account.positions

    def asset(self, position: Position) -> str:
        """Return what a position is settled in."""
        return self.rulebook.contract(position.symbol).settle_asset

    def capital(self, asset: str) -> Value:
        """Return the cash there is of an asset."""
        return self.account.wallet.get(asset) or ZERO


def book_of(account: Account, marks: Marks, rulebook: Rulebook) -> Book:
    """Return the book of an account. Raises BadAccount without a position, with an unknown balance or without tiers."""
    if not account.positions:
        raise BadAccount("nothing to advise on: the account holds no position", where="account.positions",
                         expected="at least one position", found="none")  # fmt: skip
    options = [position.symbol for position in account.positions if rulebook.contract(position.symbol).option]
    if options:
        raise BadAccount("a book with options has one way to be held", where="account.positions",
                         expected="perpetuals and futures, which every architecture can hold",
                         found=", ".join(options),
                         hint="options stand in portfolio margin only: advise() says what each does there")  # fmt: skip
    pooled = replace(all_cross(account, rulebook), orders=())
    for position in pooled.positions:
        asset = rulebook.contract(position.symbol).settle_asset
        if pooled.wallet.get(asset, ZERO) is None:
            raise BadAccount(f"the balance of {asset} is not known", where=f"account.wallet.{asset}",
                             expected="a decimal string", found="null",
                             hint="advice needs to know what stands behind the positions")  # fmt: skip
    pools_known = assess_account(pooled, marks, rulebook)
    unknown = [a.pool.name for a in pools_known if a.lines and a.liquidation_requirement is None]
    if unknown and pooled.collateral_mode is not CollateralMode.PORTFOLIO:
        raise BadAccount(f"what {unknown[0]} must hold is not known", where="account.positions",
                         expected="positions whose risk tiers are known", found=unknown[0],
                         hint="give contracts.SYMBOL.tiers in the file")  # fmt: skip
    return Book(pooled, marks, rulebook)


@exact
def initial_margins(book: Book) -> tuple[Value | None, ...]:
    """Return each position's entry notional ÷ leverage, in whole steps up; None for one without a leverage."""
    margins = []
    for position in book.positions:
        margin = entry_margin(position, book.rulebook)
        margins.append(None if margin is None else whole(margin, book.asset(position)))
    return tuple(margins)


def whole(amount: Value, asset: str, *, up: bool = True) -> Value:
    """Return an amount in steps in which it can be transferred: cents of a dollar, 1e-8 of a coin."""
    step = _CENT if "USD" in asset or asset == "DAI" else _COIN_STEP
    return round_to(amount, step, rounding=ROUND_CEILING if up else ROUND_FLOOR)


@exact
def hold(
    book: Book,
    name: str,
    what: str,
    places: Sequence[Place],
    moved: Mapping[tuple[str, str], Value] | None = None,
) -> Holding:
    """Return ``book`` held as ``places`` say. ``moved``: what goes to each sub-account, by (name, asset).

    Raises BadAccount where the capital does not reach: by how much.
    """
    moved = moved or {}
    wallet = {asset: balance or ZERO for asset, balance in book.account.wallet.items()}
    for position in book.positions:
        wallet.setdefault(book.asset(position), ZERO)
    held: dict[str, list[Position]] = {MAIN: []}
    for position, place in zip(book.positions, places, strict=True):
        if place.kind == "isolated":
            assert place.margin is not None  # noqa: S101 - an isolated place has its margin
            wallet[book.asset(position)] -= place.margin
            isolated = replace(position, margin_mode=MarginMode.ISOLATED, isolated_margin=place.margin)
            held.setdefault(place.name, []).append(isolated)
        else:
            held.setdefault(place.name, []).append(position)
    for (_, asset), amount in moved.items():
        wallet[asset] -= amount
    for asset, left in wallet.items():
        if left < 0:
            raise BadAccount(
                f"{name}: the capital does not reach, {plain(-left)} {asset} short", where=f"account.wallet.{asset}",
                expected=f"at least {plain(book.capital(asset) - left)} {asset}", found=plain(book.capital(asset)),
                hint="raise the capital or the leverage, or make positions smaller",
            )  # fmt: skip
    accounts = {
        account: replace(
            book.account,
            positions=tuple(positions),
            wallet=wallet if account == MAIN else {a: v for (owner, a), v in moved.items() if owner == account},
        )
        for account, positions in held.items()
    }
    return Holding(name, what, tuple(places), accounts, dict(moved))


def pooled(book: Book) -> Holding:
    """Return the book with all of an asset in one pool, whether or not the capital reaches: to measure positions by."""
    places = tuple(Place("cross") for _ in book.positions)
    return Holding("pooled", "everything stands behind everything of its asset", places, {MAIN: book.account}, {})


def basket(book: Book, name: str, what: str, mode: CollateralMode) -> Holding:
    """Return the book as one basket account. A coin without an index price is counted at the mark of its own contract.

    Raises BadAccount or BadRulebook where it cannot be assessed so.
    """
    prices = {**book.account.index_prices}
    for position in book.positions:
        asset = book.asset(position)
        for held in (asset, *book.account.wallet):
            if held not in prices and held not in DOLLARS and coin_of(held) == coin_of(position.symbol):
                prices[held] = book.marks[position.symbol]
    account = replace(book.account, collateral_mode=mode, index_prices=prices)
    checked(account, book.marks, book.rulebook)
    return Holding(name, what, tuple(Place("cross") for _ in book.positions), {MAIN: account}, {})


def checked(account: Account, marks: Marks, rulebook: Rulebook) -> None:
    """Raise BadAccount for a basket whose balance or requirement is not known."""
    for assessment in assess_account(account, marks, rulebook):
        if not assessment.lines:
            continue
        if assessment.balance_held_against is None or assessment.liquidation_requirement is None:
            raise BadAccount(f"what {assessment.pool.name} holds or must hold is not known", where="account",
                             expected="a basket whose requirement is known", found="not known")  # fmt: skip


__all__ = ["MAIN", "Book", "Holding", "Kind", "Place", "basket", "book_of", "checked", "hold", "initial_margins",
           "pooled", "whole"]  # fmt: skip
