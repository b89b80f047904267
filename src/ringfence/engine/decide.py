"""What a command leads to: events, decided on the state as it is when each is yielded.

:func:`decide` is a generator that re-reads the state after each event; :func:`handle` runs it, evolves the state event
by event and returns them. A command id that was handled before returns its first outcome and changes nothing. An
expected "no" is a :class:`~ringfence.engine.events.Refused` with a number. Pure: no clock, no chance, no I/O; the
rulebook that :class:`~ringfence.engine.commands.AdoptRulebook` names is looked up in the package's data.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import account_name_fault
from ringfence.engine import adoption, expiry, funds, orders, prices, settings, vouchers
from ringfence.engine import commands as asked
from ringfence.engine.bankrupt import Fall
from ringfence.engine.events import MoneyMoved, Resumed, VenueSetUp
from ringfence.engine.evolve import change
from ringfence.engine.refuse import refused
from ringfence.engine.state import FUND
from ringfence.ledger import move
from ringfence.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State


def decide(state: State, command: Command, suspects: Iterable[str] | None = None) -> Iterator[Event]:
    """Yield what ``command`` leads to. The caller evolves the state with each event before asking for the next.

    A :class:`~ringfence.engine.bankrupt.Fall` stands for all of its events, and is applied as one.

    ``suspects``: for a price update, the traders worth looking at, if someone can prove the others healthy; None looks
    at everyone who holds a symbol whose price moved. A look that finds nothing leaves no event: the same outcome. A
    trader with a pool in ``liquidating`` (in a cooldown, or waiting) is always a suspect.
    """
    if isinstance(command, (asked.UpdatePrices, asked.Review)):
        yield from prices.update(state, command, suspects)
        return
    for name in _NAMED[type(command)](command):
        fault = _name_fault(name)
        if fault is not None:
            yield refused(command, "bad_name", f"{name!r}: {fault}")
            return
    yield from _DECIDERS[type(command)](state, command)


@lru_cache(maxsize=1 << 16)
def _name_fault(name: str) -> str | None:
    return account_name_fault(name)


class HandledBefore(LookupError):
    """A command id was handled before, and its outcome is not in memory: it is entry ``number`` of the journal."""

    def __init__(self, command: str, number: int) -> None:
        super().__init__(f"command {command!r} was handled before, as number {number}")
        self.command = command
        self.number = number


@exact
def handle(state: State, command: Command, suspects: Iterable[str] | None = None) -> tuple[Event, ...]:
    """Run ``command``: decide, evolve, and return its events (those of the first time for a repeated id).

    Raises HandledBefore, and changes nothing, for a repeated id whose outcome the state no longer keeps.
    """
    before = state.outcomes.get(command.id)
    if before is not None:
        return before
    if command.id in state.handled:
        raise HandledBefore(command.id, state.handled[command.id])
    happened: list[Event] = []
    for event in decide(state, command, suspects):
        change(state, event)
        if isinstance(event, Fall):
            happened.extend(event.events)
        else:
            happened.append(event)
    outcome = tuple(happened)
    state.remember(command.id, outcome)
    return outcome


def _set_up(state: State, command: asked.SetUp) -> Iterator[Event]:
    """Tell the journal the set-up, and put what the insurance fund starts with into it."""
    if state.sequence:
        yield refused(command, "unchanged", "a venue is set up once, before anything else")
        return
    yield VenueSetUp(command.id, command.at, command.setup)
    for name, amount in state.setup.start_fund.items():
        symbol, _, asset = name.rpartition(":")
        fund = f"{books.INSURANCE}:{symbol}" if symbol else books.INSURANCE
        yield MoneyMoved(command.id, command.at, FUND, "start_fund",
                         move(asset, amount, out_of=books.EXTERNAL, into=fund))  # fmt: skip


def _resume(state: State, command: asked.Resume) -> Iterator[Event]:
    """Forget how fresh the marks were."""
    del state
    yield Resumed(command.id, command.at)


_DECIDERS: dict[type[Command], Callable[[State, Any], Iterator[Event]]] = {
    asked.Deposit: funds.deposit,
    asked.Withdraw: funds.withdraw,
    asked.Transfer: funds.transfer,
    asked.CreditBonus: funds.credit_bonus,
    asked.ExpireBonus: funds.expire_bonus,
    asked.AddIsolatedMargin: funds.add_margin,
    asked.RemoveIsolatedMargin: funds.remove_margin,
    asked.SettleFunding: funds.settle_funding,
    asked.ChargeInterest: funds.charge_interest,
    asked.SettleExpiry: expiry.settle_expiry,
    asked.PlaceOrder: orders.place,
    asked.AmendOrder: orders.amend,
    asked.CancelOrder: orders.cancel,
    asked.CancelAllOrders: orders.cancel_all,
    asked.SetLeverage: settings.set_leverage,
    asked.SetMarginMode: settings.set_margin_mode,
    asked.SetPositionMode: settings.set_position_mode,
    asked.SetCollateralMode: settings.set_collateral_mode,
    asked.SetReplenishment: settings.set_replenishment,
    asked.SetGuardRails: settings.set_guard_rails,
    asked.AdoptPosition: adoption.adopt_position,
    asked.AdoptRulebook: settings.adopt_rulebook,
    asked.CreditVoucher: vouchers.credit,
    asked.ExpireVoucher: vouchers.take_back,
    asked.SetFeeLevel: settings.set_fee_level,
    asked.SetFeeDiscount: settings.set_fee_discount,
    asked.SetUp: _set_up,
    asked.Resume: _resume,
}


def _named(kind: type[Command]) -> Callable[[Command], tuple[str, ...]]:
    """Return what reads the names of accounts in a command of that kind."""
    found = [field.name for field in fields(kind) if field.name in {"account", "to_account"}]
    if not found:
        return lambda _: ()
    if len(found) == 1:
        one = attrgetter(found[0])
        return lambda command: (one(command),)
    return attrgetter(*found)


_NAMED = {kind: _named(kind) for kind in asked.COMMANDS}

__all__ = ["HandledBefore", "decide", "handle"]
