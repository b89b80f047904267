"""Double entry: every movement of money is a set of postings that is zero per asset.

The accounts of the ledger:

========================================  ===================================================================
``external``                              the world outside: deposits come from it, withdrawals go to it
``wallet:ID``                             a trader's shared wallet
``isolated:ID:SYMBOL:LEG``                the margin of an isolated position
``bonus:ID``, ``bonus_issuer``            bonus credit a trader may use, and who issued it
``voucher:ID:NAME``, ``voucher_issuer``   what is left of a voucher, and who issued it
``fees``                                  trading fees the venue keeps
``interest``                              interest on what baskets borrow
``insurance``                             the insurance fund: clearance fees in, shortfalls out
``exchange``                              the venue's exchange desk: collateral that is sold comes in, the debt that it
                                          pays back goes out; of any sign
``venue``                                 the venue's own money: pays what neither the fund nor those who won can
``clearing:SYMBOL``                       between the two sides of a contract: what closed positions were paid before
                                          the others realise it; always minus the open positions' entry values
``funding:SYMBOL``                        funding between those who pay and those who receive; 0 after a settlement
========================================  ===================================================================

:meth:`Ledger.trial_balance` is zero per asset after every event, and that is a query anybody may ask.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ringfence.numbers import ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ringfence.numbers import Value

EXTERNAL = "external"
FEES = "fees"
INSURANCE = "insurance"
INTEREST = "interest"
BONUS_ISSUER = "bonus_issuer"
VOUCHER_ISSUER = "voucher_issuer"
VENUE = "venue"
EXCHANGE = "exchange"


class Posting(NamedTuple):
    """``amount`` of ``asset`` into (+) or out of (−) one account of the ledger."""

    account: str
    asset: str
    amount: Value


posting: Callable[[tuple[str, str, Value]], Posting] = partial(tuple.__new__, Posting)
"""Return the posting of (account, asset, amount), at half of what its class takes: a crash makes very many."""


def wallet(trader: str) -> str:
    """Return the ledger account of a trader's shared wallet."""
    return f"wallet:{trader}"


def isolated(trader: str, symbol: str, leg: str) -> str:
    """Return the ledger account of an isolated position's margin."""
    return f"isolated:{trader}:{symbol}:{leg}"


def bonus(trader: str) -> str:
    """Return the ledger account of a trader's bonus credit."""
    return f"bonus:{trader}"


def voucher(trader: str, name: str) -> str:
    """Return the ledger account of one of a trader's vouchers."""
    return f"voucher:{trader}:{name}"


def clearing(symbol: str) -> str:
    """Return the ledger account between the two sides of a contract."""
    return f"clearing:{symbol}"


def move(asset: str, amount: Value, *, out_of: str, into: str) -> tuple[Posting, ...]:
    """Return the two postings that move ``amount`` (any sign; none when 0) from one account into another."""
    if not amount:
        return ()
    return Posting(out_of, asset, -amount), Posting(into, asset, amount)


def imbalance(postings: Collection[Posting]) -> dict[str, Value]:
    """Return what a set of postings does not balance, by asset; empty for a set that may be applied."""
    of, total = None, ZERO
    for _, asset, amount in postings:
        if of is None:
            of = asset
        elif asset != of:
            break
        total += amount
    else:  # nearly all sets are of one asset
        return {of: total} if of is not None and total else {}
    totals: dict[str, Value] = {}
    for _, asset, amount in postings:
        totals[asset] = totals[asset] + amount if asset in totals else amount
    return {asset: total for asset, total in totals.items() if total}


class Ledger:
    """Balances by account and asset. Changed only by :meth:`apply`."""

    __slots__ = ("_accounts",)

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, Value]] = {}  # account → asset → balance, never 0

    def balance(self, account: str, asset: str) -> Value:
        """Return the balance of one asset in an account; 0 where nothing was ever posted."""
        held = self._accounts.get(account)
        return ZERO if held is None else held.get(asset, ZERO)

    @exact
    def apply(self, postings: tuple[Posting, ...]) -> None:
        """Apply a balanced set of postings. An unbalanced one is a bug and stops everything."""
        self.enter(postings)

    def enter(self, postings: tuple[Posting, ...]) -> None:
        """Apply a balanced set of postings, as :meth:`apply` does, for who computes in the exact context already."""
        off = imbalance(postings)
        assert not off, f"unbalanced postings: {off} in {postings}"  # noqa: S101 - a law, always on
        accounts = self._accounts
        for account, asset, amount in postings:
            held = accounts.get(account)
            if held is None:
                held = accounts[account] = {}
            total = held[asset] + amount if asset in held else ZERO + amount
            if total:
                held[asset] = total
            else:
                held.pop(asset, None)
                if not held:
                    del accounts[account]

    def assets_of(self, account: str) -> dict[str, Value]:
        """Return every non-zero balance of an account by asset, by name of the asset."""
        held = self._accounts.get(account)
        if held is None:
            return {}
        return dict(held) if len(held) == 1 else {asset: held[asset] for asset in sorted(held)}

    def entries(self) -> Iterator[tuple[str, str, Value]]:
        """Yield (account, asset, balance) of every non-zero balance, in order of account and asset."""
        for account in sorted(self._accounts):
            for asset, total in sorted(self._accounts[account].items()):
                yield account, asset, total

    @exact
    def trial_balance(self) -> dict[str, Value]:
        """Return the sum over all accounts by asset: every one of them is 0, or money was made or lost."""
        totals: dict[str, Value] = {}
        for held in self._accounts.values():
            for asset, amount in held.items():
                totals[asset] = totals.get(asset, ZERO) + amount
        return totals


__all__ = ["BONUS_ISSUER", "EXCHANGE", "EXTERNAL", "FEES", "INSURANCE", "VENUE", "VOUCHER_ISSUER", "Ledger", "Posting",
           "bonus", "clearing", "imbalance", "isolated", "move", "posting", "voucher", "wallet"]  # fmt: skip
