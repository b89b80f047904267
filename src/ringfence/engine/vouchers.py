"""Vouchers: given to a trader, used in payments (:mod:`ringfence.engine.settle`), and over when their time is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.engine.collateral import not_accepted
from ringfence.engine.events import VoucherClosed, VoucherCredited
from ringfence.engine.refuse import refused
from ringfence.engine.review import review
from ringfence.ledger import move

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine import commands as asked
    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.engine.trader import Voucher


def credit(state: State, command: asked.CreditVoucher) -> Iterator[Event]:
    """Give a voucher of a kind that the venue has."""
    no = _refusal(state, command)
    if no is not None:
        yield refused(command, *no)
        return
    postings = move(
        command.asset, command.amount, out_of=books.VOUCHER_ISSUER, into=books.voucher(command.account, command.voucher)
    )
    yield VoucherCredited(
        command.id, command.at, command.account, command.voucher, command.voucher_kind, command.asset, command.amount,
        command.share, command.until, postings,
    )  # fmt: skip
    yield from review(state, (command.account,), command)


def _refusal(state: State, command: asked.CreditVoucher) -> tuple[str, str] | None:
    kinds = state.rulebook.fees.vouchers
    if command.voucher_kind not in kinds:
        known = ", ".join(kinds) or "none"
        return "unknown_voucher", f"{state.rulebook.name} has no voucher {command.voucher_kind}; its kinds: {known}"
    if command.amount <= 0:
        return "not_positive", f"a voucher of {command.amount}"
    if not 0 < command.share <= 1:
        return "unknown_choice", f"a share of {command.share}: above 0 and at most 1"
    if command.until is not None and command.until <= command.at:
        return "voucher_over", f"it ended at {command.until}, it is {command.at}"
    if not command.voucher or ":" in command.voucher or command.voucher in state.trader(command.account).vouchers:
        return "duplicate_voucher", f"{command.voucher!r} is no name, or one that {command.account} has already"
    return not_accepted(state, command.account, command.asset)


def take_back(state: State, command: asked.ExpireVoucher) -> Iterator[Event]:
    """Take back what is left of a voucher."""
    voucher = state.trader(command.account).vouchers.get(command.voucher)
    if voucher is None:
        yield refused(command, "unknown_voucher", f"{command.account} has no voucher {command.voucher}")
        return
    yield _closed(state, command, command.account, voucher, "taken_back")
    yield from review(state, (command.account,), command)


def expire(state: State, command: Command) -> Iterator[Event]:
    """Close the vouchers whose time is over, and look at their holders: what was left may have been margin."""
    if state.vouchers_end is None or command.at < state.vouchers_end:
        return
    over = [
        (name, voucher)
        for name, trader in state.traders.items()
        for voucher in trader.vouchers.values()
        if voucher.until is not None and voucher.until <= command.at
    ]
    for name, voucher in over:
        yield _closed(state, command, name, voucher, "expired")
    yield from review(state, list(dict.fromkeys(name for name, _ in over)), command)


def _closed(state: State, command: Command, name: str, voucher: Voucher, reason: str) -> VoucherClosed:
    account = books.voucher(name, voucher.name)
    left = state.ledger.balance(account, voucher.asset)
    postings = move(voucher.asset, left, out_of=account, into=books.VOUCHER_ISSUER)
    return VoucherClosed(command.id, command.at, name, voucher.name, reason, postings)


__all__ = ["credit", "expire", "take_back"]
