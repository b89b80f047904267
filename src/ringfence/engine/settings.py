"""Choices a trader makes, held to the venue's preconditions: leverage, margin mode, position mode, replenishment."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence import guard_rails
from ringfence import ledger as books
from ringfence.account import MarginMode, PositionMode
from ringfence.engine import portfolio
from ringfence.engine.collateral import assets_of, cannot_choose, uncounted
from ringfence.engine.events import MoneyMoved, RulebookAdopted, SettingChanged
from ringfence.engine.refuse import as_event, refused
from ringfence.engine.review import review, unpriced
from ringfence.engine.state import HOUSE
from ringfence.errors import BadInput
from ringfence.ledger import Posting, move
from ringfence.margin import change
from ringfence.margin.refusal import Refusal
from ringfence.numbers import ZERO, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine import commands as asked
    from ringfence.engine.events import Event
    from ringfence.engine.state import State


def set_leverage(state: State, command: asked.SetLeverage) -> Iterator[Event]:
    """Choose the leverage of a symbol, with or without a position in it."""
    if command.leverage < 1:
        yield refused(command, "not_positive", f"a leverage of {command.leverage}")
        return
    try:
        _, table = state.rulebook.entry(command.symbol)
    except BadInput as error:
        yield refused(command, "unknown_symbol", error.message)
        return
    rails = state.trader(command.account).rails
    ceiling = rails.leverage_of(command.symbol) if rails is not None else None
    if ceiling is not None and command.leverage > ceiling:
        asked_for = f"{command.symbol}: leverage {plain(command.leverage)}, at most {plain(ceiling)}"
        yield refused(command, "guard_rail_leverage", asked_for)
        return
    highest = (
        max((tier.max_leverage for tier in table.tiers if tier.max_leverage is not None), default=None)
        if table
        else None
    )
    if highest is not None and command.leverage > highest:
        yield refused(command, "leverage_above_tier", f"{command.symbol} allows at most {highest}")
        return
    if any(symbol == command.symbol for symbol, _ in state.trader(command.account).held):
        if (missing := unpriced(state, command.account)) is not None:
            yield refused(command, "no_price", f"no mark for {missing} yet")
            return
        outcome = change.change_leverage(
            state.account(command.account), command.symbol, command.leverage, marks=state.marks, rulebook=state.rulebook
        )
        if isinstance(outcome, Refusal):
            yield as_event(command, outcome)
            return
    yield SettingChanged(command.id, command.at, command.account, command.symbol, "leverage", plain(command.leverage))
    yield from review(state, (command.account,), command)


def set_margin_mode(state: State, command: asked.SetMarginMode) -> Iterator[Event]:
    """Choose isolated or cross for a symbol; an open position moves its margin with it where the venue allows that."""
    if command.mode not in {"isolated", "cross"}:
        yield refused(command, "unknown_choice", f"margin mode {command.mode}")
        return
    mode = MarginMode(command.mode)
    trader = state.trader(command.account)
    before = trader.margin_mode.get(command.symbol, MarginMode.CROSS)
    if before is mode:
        yield refused(command, "unchanged", f"{command.symbol} is {command.mode} already")
        return
    if mode is MarginMode.ISOLATED and trader.portfolio:
        yield refused(command, "isolated_margin_in_portfolio", portfolio.ISOLATED_NOT_HELD)
        return
    said = state.rulebook.refusals.get("isolated_margin_in_basket")
    if mode is MarginMode.ISOLATED and trader.basket and said is not None:
        yield refused(command, "isolated_margin_in_basket", said)
        return
    held = [(symbol, leg) for symbol, leg in trader.held if symbol == command.symbol]
    postings: tuple[Posting, ...] = ()
    if held or any(order.symbol == command.symbol for order in trader.orders.values()):
        if not held:
            yield refused(command, "margin_mode_with_orders", f"open orders in {command.symbol}")
            return
        if (missing := unpriced(state, command.account)) is not None:
            yield refused(command, "no_price", f"no mark for {missing} yet")
            return
        outcome = change.switch_margin_mode(
            state.account(command.account), command.symbol, mode, marks=state.marks, rulebook=state.rulebook
        )
        if isinstance(outcome, Refusal):
            yield as_event(command, outcome)
            return
        asset = state.rulebook.contract(command.symbol).settle_asset
        for symbol, leg in held:
            account = books.isolated(command.account, symbol, leg)
            side = leg if leg != "net" else "long" if trader.held[symbol, leg].quantity > 0 else "short"
            after = outcome.account.position(symbol, side)
            margin = (after.isolated_margin or ZERO) if after is not None else ZERO
            moved = margin - state.ledger.balance(account, asset)
            postings += move(asset, moved, out_of=books.wallet(command.account), into=account)
        taken = sum((one.amount for one in postings if one.account == books.wallet(command.account)), ZERO)
        if taken < 0 and -taken > state.ledger.balance(books.wallet(command.account), asset):
            yield refused(command, "bonus_not_withdrawable", "an isolated position takes own money, not bonus")
            return
    yield SettingChanged(command.id, command.at, command.account, command.symbol, "margin_mode", command.mode)
    if postings:
        yield MoneyMoved(command.id, command.at, command.account, "margin_mode", postings)
    yield from review(state, (command.account,), command)


def set_position_mode(state: State, command: asked.SetPositionMode) -> Iterator[Event]:
    """Choose one-way or hedge mode. A running venue refuses it while anything is open, whatever its rulebook says."""
    if command.mode not in {"one_way", "hedge"}:
        yield refused(command, "unknown_choice", f"position mode {command.mode}")
        return
    trader = state.trader(command.account)
    if trader.position_mode is PositionMode(command.mode):
        yield refused(command, "unchanged", f"the account is in {command.mode} mode already")
        return
    if trader.held or trader.orders:
        yield refused(command, "position_mode_with_position", "positions or orders are open")
        return
    yield SettingChanged(command.id, command.at, command.account, None, "position_mode", command.mode)


def set_collateral_mode(state: State, command: asked.SetCollateralMode) -> Iterator[Event]:
    """Choose what backs a trader's cross positions, and look at the pools he then has.

    Refused where the venue does not offer it, with an isolated symbol where baskets hold cross only, with an asset that
    cannot be counted, and where the account would be liquidated by it; back to single assets also with a debt open.
    Portfolio margin asks for more: :func:`ringfence.engine.portfolio.cannot_choose`.
    """
    no = (portfolio.cannot_choose if command.mode == "portfolio" else cannot_choose)(state, command)
    if no is not None:
        yield refused(command, *no)
        return
    yield SettingChanged(command.id, command.at, command.account, None, "collateral_mode", command.mode)
    yield from review(state, (command.account,), command)


def set_replenishment(state: State, command: asked.SetReplenishment) -> Iterator[Event]:
    """Turn automatic margin replenishment on or off."""
    if command.state not in {"on", "off"}:
        yield refused(command, "unknown_choice", f"replenishment {command.state}")
        return
    if command.state == "on" and state.rulebook.replenishment == "none":
        yield refused(command, "unknown_choice", f"{state.rulebook.name} has no automatic replenishment")
        return
    amount = command.amount if command.amount is not None else Decimal(0)
    value = f"on {plain(amount)}" if command.state == "on" and amount > 0 else command.state
    yield SettingChanged(command.id, command.at, command.account, command.symbol, "replenishment", value)


def set_guard_rails(state: State, command: asked.SetGuardRails) -> Iterator[Event]:
    """Hold a trader's orders to guard rails from now on; what is open stays as it is."""
    del state
    text = ""
    if command.rails is not None:
        try:
            text = guard_rails.write(guard_rails.from_text(command.rails))
        except BadInput as error:
            yield refused(command, "unknown_choice", f"guard rails: {error.message}")
            return
    yield SettingChanged(command.id, command.at, command.account, None, "guard_rails", text)


def set_fee_level(state: State, command: asked.SetFeeLevel) -> Iterator[Event]:
    """Put a trader on a level of the fee schedule."""
    schedule = state.rulebook.fees
    if command.level not in schedule.names:
        known = ", ".join(schedule.names) or "none"
        yield refused(
            command, "unknown_fee_level", f"no level {command.level} at {state.rulebook.name}; known: {known}"
        )
        return
    if command.level == (state.trader(command.account).fee_level or schedule.base):
        yield refused(command, "unchanged", f"{command.account} is on {command.level} already")
        return
    yield SettingChanged(command.id, command.at, command.account, None, "fee_level", command.level)


def set_fee_discount(state: State, command: asked.SetFeeDiscount) -> Iterator[Event]:
    """Turn a discount on, in place of another of its group, or off."""
    discounts = state.rulebook.fees.discounts
    had = state.trader(command.account).discounts
    if command.state not in {"on", "off"}:
        yield refused(command, "unknown_choice", f"a discount {command.state}")
    elif command.discount not in (discounts if command.state == "on" else had):
        known = ", ".join(discounts) or "none"
        yield refused(
            command, "unknown_discount", f"no discount {command.discount} to turn {command.state}; known: {known}"
        )
    elif (command.discount in had) == (command.state == "on"):
        yield refused(command, "unchanged", f"{command.discount} is {command.state} already")
    else:
        kept = {name for name in had if name != command.discount}
        if command.state == "on":
            group = discounts[command.discount].group
            kept = {name for name in kept if name not in discounts or discounts[name].group != group}
            kept.add(command.discount)
        yield SettingChanged(command.id, command.at, command.account, None, "fee_discounts", ",".join(sorted(kept)))


def adopt_rulebook(state: State, command: asked.AdoptRulebook) -> Iterator[Event]:
    """Go over to another rulebook or day; every symbol that is held or has open orders must have a table there."""
    try:
        adopted = state.setup.rulebook(command.rulebook, command.as_of)
        ordered = (order.symbol for trader in state.traders.values() for order in trader.orders.values())
        held = (symbol for symbol, names in state.holders.items() if names)
        for symbol in sorted({*held, *ordered}):
            adopted.entry(symbol)
        pooled = next(offer for offer in adopted.architectures() if offer.name == "multi_asset")
        multi = any(not state.trader(name).portfolio for name in state.baskets)
        no_more = f"{adopted.name}: {pooled.reason}" if multi and not pooled.offered else None
        if no_more is None and any(state.trader(name).portfolio for name in state.baskets):
            no_more = portfolio.not_offered(adopted)
        if no_more is not None:
            yield refused(command, "collateral_mode_not_offered", no_more)
            return
        for name in state.baskets:
            no = uncounted(state, assets_of(state, name), adopted)
            if no is not None:
                yield refused(command, *no)
                return
    except (BadInput, ValueError) as error:
        yield refused(command, "unknown_choice", getattr(error, "message", str(error)))
        return
    yield RulebookAdopted(command.id, command.at, command.rulebook, command.as_of)
    yield from review(state, sorted(name for name in state.traders if name != HOUSE), command)


__all__ = [
    "adopt_rulebook",
    "set_collateral_mode",
    "set_fee_discount",
    "set_fee_level",
    "set_guard_rails",
    "set_leverage",
    "set_margin_mode",
    "set_position_mode",
    "set_replenishment",
]
