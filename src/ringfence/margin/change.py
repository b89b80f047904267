"""What an account looks like after a change, or why its venue refuses: pure functions, account in, account out.

Every function returns a :class:`Change`: the new account with the assessments of all its pools before and after, so
that "where would my liquidation price be if …" is one call; or a :class:`~ringfence.margin.refusal.Refusal` with a
number. Preconditions that only some venues have (no mode change while a position is open, no lower leverage on an
isolated position) are named in the rulebook's ``refusals`` and hold only there. Nothing here places an order:
:func:`trade` takes a fill at a given price.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ringfence.account import Account, CollateralMode, MarginMode, Position, PositionMode
from ringfence.margin.assess import assess_account
from ringfence.margin.refusal import Refusal, refuse
from ringfence.numbers import (
    PRICE_PLACES,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    VALUE_PLACES,
    ZERO,
    divide,
    exact,
    plain,
)
from ringfence.rulebook import max_leverage_at

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Marks
    from ringfence.contract import Contract
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Price, Quantity, Rate, Value
    from ringfence.rulebook import Rulebook, TierTable


class Change(NamedTuple):
    """A change that the venue allows. ``before`` and ``after``: every pool's assessment."""

    account: Account
    before: tuple[Assessment, ...]
    after: tuple[Assessment, ...]


Outcome: TypeAlias = "Change | Refusal"


@exact
def add_isolated_margin(
    account: Account, symbol: str, side: str, amount: Value, *, marks: Marks, rulebook: Rulebook
) -> Outcome:
    """Move ``amount`` (> 0, settlement asset) from the wallet into an isolated position's margin.

    Refused beyond what is free of the asset (:func:`free_balance`), and where that is not known.
    """
    found = _isolated(account, symbol, side)
    if isinstance(found, Refusal):
        return found
    asset = rulebook.contract(symbol).settle_asset
    free = free_balance(account, asset, marks=marks, rulebook=rulebook)
    if free is None:
        return refuse("balance_unknown", f"what is free in {asset} is not known")
    if amount > free:
        return refuse("insufficient_balance", f"{amount} {asset} asked for, {plain(free)} is free")
    moved = replace(found, isolated_margin=(found.isolated_margin or ZERO) + amount)
    return _changed(account, _with(account, found, moved, {asset: -amount}), marks, rulebook)


@exact
def removable_margin(account: Account, symbol: str, side: str, *, marks: Marks, rulebook: Rulebook) -> Value | Refusal:
    """Return how much margin may be taken out of an isolated position: what it holds above its initial margin.

    Neither unrealised profit nor more than the position's own wallet leaves: ``min(margin, margin + PnL) − initial
    margin``, at least 0. (Binance, and the venues whose own rule was not read.)
    """
    found = _isolated(account, symbol, side)
    if isinstance(found, Refusal):
        return found
    line = _line(account, found, marks, rulebook)
    if line.initial_margin is None:
        return refuse("leverage_unknown", f"the initial margin of {symbol} needs its leverage")
    margin = found.isolated_margin or ZERO
    return max(ZERO, min(margin, margin + line.unrealised_pnl) - line.initial_margin)


@exact
def remove_isolated_margin(
    account: Account, symbol: str, side: str, amount: Value, *, marks: Marks, rulebook: Rulebook
) -> Outcome:
    """Move ``amount`` (> 0), :func:`removable_margin` at most, from an isolated position back to the wallet."""
    most = removable_margin(account, symbol, side, marks=marks, rulebook=rulebook)
    if isinstance(most, Refusal):
        return most
    if amount > most:
        return refuse("margin_not_removable", f"{amount} asked for, {plain(most)} may be removed")
    found = account.position(symbol, side)
    assert found is not None  # noqa: S101 - removable_margin has found it
    moved = replace(found, isolated_margin=(found.isolated_margin or ZERO) - amount)
    asset = rulebook.contract(symbol).settle_asset
    return _changed(account, _with(account, found, moved, {asset: amount}), marks, rulebook)


@exact
def change_leverage(account: Account, symbol: str, leverage: Decimal, *, marks: Marks, rulebook: Rulebook) -> Outcome:
    """Set the leverage of a symbol's positions. An isolated one keeps its margin; a cross one frees or ties up some.

    Refused above what the tier allows, where initial margin would exceed what is there, and, where the venue says so,
    for a lower leverage on an open isolated position.
    """
    held = [position for position in account.positions if position.symbol == symbol]
    if not held:
        return refuse("no_position", f"no position in {symbol}")
    contract, table = rulebook.entry(symbol)
    changed = account
    for position in held:
        allowed = _highest_leverage(position, contract, table, marks)
        if allowed is not None and leverage > allowed:
            return refuse("leverage_above_tier", f"{symbol}: {leverage} asked for, the tier allows {allowed}")
        lower = position.leverage is not None and leverage < position.leverage
        if lower and position.margin_mode is MarginMode.ISOLATED and "leverage_down_isolated" in rulebook.refusals:
            return refuse("leverage_down_isolated", rulebook.refusals["leverage_down_isolated"])
        changed = _with(changed, position, replace(position, leverage=leverage), {})
    outcome = _changed(account, changed, marks, rulebook)
    return _overdrawn(outcome) or outcome


@exact
def switch_margin_mode(
    account: Account, symbol: str, mode: MarginMode, *, marks: Marks, rulebook: Rulebook, as_if: str = "venue"
) -> Outcome:
    """Switch a symbol's positions between isolated and cross.

    To isolated, each is funded with its initial margin from the wallet; to cross, its margin returns to the wallet.
    Most venues refuse while a position is open: ``as_if="free"`` asks what the account would look like all the same.
    """
    held = [position for position in account.positions if position.symbol == symbol]
    if not held:
        return refuse("no_position", f"no position in {symbol}")
    if all(position.margin_mode is mode for position in held):
        return refuse("unchanged", f"{symbol} is {mode.value} already")
    if as_if == "venue":
        refusal = _mode_refusal(account, symbol, mode, rulebook)
        if refusal is not None:
            return refusal
    asset = rulebook.contract(symbol).settle_asset
    changed = account
    for position in held:
        if position.margin_mode is mode:
            continue
        if mode is MarginMode.CROSS:
            moved = replace(position, margin_mode=mode, isolated_margin=None)
            changed = _with(changed, position, moved, {asset: position.isolated_margin or ZERO})
            continue
        margin = entry_margin(position, rulebook)
        if margin is None:
            return refuse("leverage_unknown", f"{symbol}: funding an isolated position needs its leverage")
        moved = replace(position, margin_mode=mode, isolated_margin=margin)
        changed = _with(changed, position, moved, {asset: -margin})
    outcome = _changed(account, changed, marks, rulebook)
    return _overdrawn(outcome) or outcome


@exact
def switch_position_mode(account: Account, mode: PositionMode, *, marks: Marks, rulebook: Rulebook) -> Outcome:
    """Switch the account between one-way and hedge mode.

    Refused with open orders, and with positions where the venue says so. To one-way, a symbol with both legs open is
    refused everywhere: netting them would be a trade.
    """
    if account.position_mode is mode:
        return refuse("unchanged", f"the account is in {mode.value} mode already")
    if account.orders:
        return refuse("position_mode_with_orders", f"{len(account.orders)} open orders")
    both = {p.symbol for p in account.positions if p.side == "long"} & {
        p.symbol for p in account.positions if p.side == "short"
    }
    if account.positions and ("position_mode_with_position" in rulebook.refusals or both):
        said = rulebook.refusals.get("position_mode_with_position", f"both legs open in {', '.join(sorted(both))}")
        return refuse("position_mode_with_position", said)
    return _changed(account, replace(account, position_mode=mode), marks, rulebook)


class Fill(NamedTuple):
    """A fill at a price. ``quantity``: signed, + buy, − sell, not 0. ``fee_rate``: of the value filled.

    ``leverage`` and ``margin_mode`` default to the position's own (cross where there is none). In hedge mode
    ``position_side`` names the leg; without it a buy is of the long leg and a sell of the short one.
    """

    symbol: str
    quantity: Quantity
    price: Price
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    position_side: str | None = None
    fee_rate: Rate = ZERO


@exact
def trade(account: Account, fill: Fill, *, marks: Marks, rulebook: Rulebook) -> Outcome:
    """Open, add to, reduce, close or turn around a position by a fill.

    Adding averages the entry by value. Reducing realises PnL at the fill's price and, for an isolated position,
    releases margin pro rata; both go to the wallet, less the fee. An isolated position is funded from the wallet with
    the initial margin of what is added. Refused by the tiers and the balance.
    """
    quantity, symbol = fill.quantity, fill.symbol
    if not quantity:
        return refuse("minimum_quantity", "a fill of 0")
    hedge = account.position_mode is PositionMode.HEDGE
    side = fill.position_side or ("long" if quantity > 0 else "short")
    held = account.position(symbol, side) if hedge else account.position(symbol)
    if hedge and (quantity > 0) != (side == "long"):
        if held is None:
            return refuse("no_position", f"no {side} leg of {symbol} to reduce")
        if abs(quantity) > abs(held.quantity):
            return refuse("reduce_only", f"{abs(quantity)} against a {side} leg of {abs(held.quantity)}")
    contract = rulebook.contract(symbol)
    filled = _filled(account, contract, held, fill, rulebook)
    if isinstance(filled, Refusal):
        return filled
    changed, cash = filled
    if contract.option:  # its whole price is paid or received, and counts as the option's value until then
        cash = -quantity * contract.contract_value(fill.price)
    fee = fill.fee_rate * abs(quantity) * contract.contract_value(fill.price)
    changed = _with_cash(changed, {contract.settle_asset: cash - fee})
    refusal = _tier_refusal(changed, symbol, marks, rulebook)
    if refusal is not None:
        return refusal
    outcome = _changed(account, changed, {**marks, symbol: marks.get(symbol, fill.price)}, rulebook)
    opens = held is None or held.quantity * quantity > 0 or abs(quantity) > abs(held.quantity)
    return (_overdrawn(outcome) if opens else None) or outcome


def close(account: Account, symbol: str, side: str, *, price: Price, marks: Marks, rulebook: Rulebook) -> Outcome:
    """Close a position whole at ``price``, free of fees: :func:`trade` of its opposite quantity."""
    held = account.position(symbol, side)
    if held is None:
        return refuse("no_position", f"no {side} position in {symbol}")
    fill = Fill(symbol, -held.quantity, price, position_side=side)
    return trade(account, fill, marks=marks, rulebook=rulebook)


@exact
def free_balance(account: Account, asset: str, *, marks: Marks, rulebook: Rulebook) -> Value | None:
    """Return what the shared pool of ``asset`` (or the basket) has available; None when not known."""
    for assessment in assess_account(account, marks, rulebook):
        if not assessment.pool.isolated and assessment.asset in (asset, None):
            return assessment.available_balance
    return ZERO


@exact
def entry_margin(position: Position, rulebook: Rulebook) -> Value | None:
    """Return entry notional ÷ leverage, rounded up: what opens an isolated position. None without a leverage."""
    if position.leverage is None:
        return None
    value = abs(position.quantity) * rulebook.contract(position.symbol).contract_value(position.entry_price)
    return divide(value, position.leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)


def _filled(
    account: Account, contract: Contract, held: Position | None, fill: Fill, rulebook: Rulebook
) -> tuple[Account, Value] | Refusal:
    """Return the account with the position filled, and the cash that leaves (−) or enters (+) the wallet."""
    quantity, price = fill.quantity, fill.price
    mode = held.margin_mode if held is not None else fill.margin_mode or MarginMode.CROSS
    leverage = fill.leverage or (held.leverage if held is not None else None)
    closing = cash = ZERO
    after = held
    if held is not None and held.quantity * quantity < 0:
        closing = min(abs(quantity), abs(held.quantity))
        after, cash = _reduced(contract, held, closing, price)
    opened = quantity + closing if quantity < 0 else quantity - closing
    if opened:
        own = ZERO if mode is MarginMode.ISOLATED else None
        base = after or Position(contract.symbol, ZERO, price, mode, own, leverage)
        entry = _average(contract, base, opened, price) if base.quantity else price
        after = replace(base, quantity=base.quantity + opened, entry_price=entry, leverage=leverage)
        if mode is MarginMode.ISOLATED:
            margin = entry_margin(replace(after, quantity=opened, entry_price=price), rulebook)
            if margin is None:
                return refuse("leverage_unknown", f"opening an isolated position in {contract.symbol} needs a leverage")
            after = replace(after, isolated_margin=(base.isolated_margin or ZERO) + margin)
            cash -= margin
    positions = tuple(after if p is held else p for p in account.positions)
    if held is None:
        positions = (*account.positions, after)
    return replace(account, positions=tuple(p for p in positions if p is not None)), cash


def _reduced(contract: Contract, held: Position, size: Quantity, price: Price) -> tuple[Position | None, Value]:
    """Return what is left of a position after closing ``size`` of it at ``price``, and the cash that is released."""
    part = size if held.quantity > 0 else -size
    realised = part * (contract.unit_value(price) - contract.unit_value(held.entry_price))
    left = held.quantity - part
    released = ZERO
    margin = held.isolated_margin
    if margin is not None:
        released = (
            margin if not left else divide(margin * size, abs(held.quantity), places=VALUE_PLACES, rounding=ROUND_FLOOR)
        )
        margin -= released
    remaining = replace(held, quantity=left, isolated_margin=margin) if left else None
    return remaining, realised + released


def _average(contract: Contract, held: Position, opened: Quantity, price: Price) -> Price:
    """Return the entry price that keeps the total entry value: arithmetic mean for linear, harmonic for inverse."""
    value = abs(held.quantity) * contract.contract_value(held.entry_price) + abs(opened) * contract.contract_value(
        price
    )
    return contract.price_at(value, abs(held.quantity + opened), places=PRICE_PLACES, rounding=ROUND_HALF_EVEN)


def _tier_refusal(account: Account, symbol: str, marks: Marks, rulebook: Rulebook) -> Refusal | None:
    contract, table = rulebook.entry(symbol)
    for position in account.positions:
        if position.symbol != symbol or table is None or not table.tiers:
            continue
        price = marks.get(symbol, position.entry_price)
        size = abs(position.quantity)
        amount = size if table.unit == "contracts" else size * contract.contract_value(price)
        tier = table.tiers[table.index_at(amount)]
        if tier.cap is not None and amount > tier.cap:
            return refuse("above_last_tier", f"{symbol}: {plain(amount)} is above {tier.cap}")
        if position.leverage is not None and tier.max_leverage is not None and position.leverage > tier.max_leverage:
            asked = f"{symbol}: leverage {position.leverage} at {plain(amount)}"
            return refuse("leverage_above_tier", f"{asked}, the tier allows {tier.max_leverage}")
    return None


def _highest_leverage(position: Position, contract: Contract, table: TierTable | None, marks: Marks) -> Decimal | None:
    if table is None:
        return None
    price = marks.get(position.symbol, position.entry_price)
    size = abs(position.quantity)
    return max_leverage_at(table, size if table.unit == "contracts" else size * contract.contract_value(price))


def _mode_refusal(account: Account, symbol: str, mode: MarginMode, rulebook: Rulebook) -> Refusal | None:
    if mode is MarginMode.ISOLATED and account.collateral_mode is not CollateralMode.SINGLE_ASSET:
        said = rulebook.refusals.get("isolated_margin_in_basket", "a basket account holds cross positions only")
        return refuse("isolated_margin_in_basket", said)
    if any(order.symbol == symbol for order in account.orders):
        return refuse("margin_mode_with_orders", f"open orders in {symbol}")
    if "margin_mode_with_position" in rulebook.refusals:
        return refuse("margin_mode_with_position", rulebook.refusals["margin_mode_with_position"])
    if mode is MarginMode.ISOLATED and "cross_to_isolated" in rulebook.refusals:
        return refuse("cross_to_isolated", rulebook.refusals["cross_to_isolated"])
    return None


def _overdrawn(outcome: Change) -> Refusal | None:
    """Refuse a change that leaves a shared pool with less than its initial and order margin, or a pool liquidatable."""
    for assessment in outcome.after:
        if assessment.liquidatable and assessment.lines:  # a wallet that is overdrawn alone is not liquidated
            return refuse("would_be_liquidated", f"{assessment.pool.name} would be liquidated at once")
        if assessment.pool.isolated or assessment.margin_balance is None:
            continue
        if assessment.initial_margin is None or assessment.order_margin is None:
            continue
        needed = assessment.initial_margin + assessment.order_margin
        if (
            assessment.wallet_balance is not None and assessment.wallet_balance < 0
        ) or assessment.margin_balance < needed:
            return refuse(
                "insufficient_balance",
                f"{assessment.pool.name} would hold {plain(assessment.margin_balance)} for {plain(needed)}",
            )
    return None


def _isolated(account: Account, symbol: str, side: str) -> Position | Refusal:
    found = account.position(symbol, side)
    if found is None:
        return refuse("no_position", f"no {side} position in {symbol}")
    if found.margin_mode is not MarginMode.ISOLATED:
        return refuse("not_isolated", f"{symbol} {side} is cross: its margin is the shared wallet")
    return found


def _line(account: Account, position: Position, marks: Marks, rulebook: Rulebook) -> PositionLine:
    return next(
        line
        for assessment in assess_account(account, marks, rulebook)
        for line in assessment.lines
        if line.position is position
    )


def _with(account: Account, old: Position, new: Position, cash: dict[str, Value]) -> Account:
    positions = tuple(new if position is old else position for position in account.positions)
    return _with_cash(replace(account, positions=positions), cash)


def _with_cash(account: Account, cash: dict[str, Value]) -> Account:
    wallet = dict(account.wallet)
    for asset, amount in cash.items():
        held = wallet.get(asset, ZERO)
        wallet[asset] = None if held is None else held + amount
    return replace(account, wallet=wallet)


def _changed(account: Account, new: Account, marks: Marks, rulebook: Rulebook) -> Change:
    return Change(new, assess_account(account, marks, rulebook), assess_account(new, marks, rulebook))


__all__ = [
    "Change",
    "Fill",
    "Outcome",
    "add_isolated_margin",
    "change_leverage",
    "close",
    "entry_margin",
    "free_balance",
    "removable_margin",
    "remove_isolated_margin",
    "switch_margin_mode",
    "switch_position_mode",
    "trade",
]
