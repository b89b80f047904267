"""Ways out by what is held and ordered: close, cancel, hedge, switch the margin mode."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.account import MarginMode, PositionMode
from ringfence.margin import change
from ringfence.margin.refusal import Refusal
from ringfence.margin.restore import smallest_reduction
from ringfence.numbers import ONE, ROUND_CEILING, ROUND_FLOOR, ZERO, divide, plain, round_to
from ringfence.study.rescue.case import STEP, Case, health_after, no_way, smallest, way_of
from ringfence.study.rescue.cash import added

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.account import Account
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Quantity
    from ringfence.study.rescue.result import Way

_SHARE = Decimal("0.0001")


def reduction(case: Case, line: PositionLine) -> Way:
    """Close a part of a position at the mark; of an isolated one, what that releases goes back into it."""
    position, contract = line.position, line.contract
    rate, size = case.fee(position.symbol), abs(position.quantity)
    what = f"close {position.symbol} {position.side}"
    guess = smallest_reduction(case.pool, line, case.target, fee_rate=rate)

    def reaches(amount: Quantity) -> bool:
        after = _reduced(case, line, amount)
        return not isinstance(after, Refusal) and case.saved(after)

    amount = smallest(reaches, step=contract.quantity_step or STEP, most=size, guess=guess)
    if amount is None:
        whole = _reduced(case, line, size)
        if isinstance(whole, Refusal):
            return no_way("reduce", what, str(whole))
        health = health_after(case, whole)
        return no_way("reduce", what, "closing it whole is not enough", health)
    after = _reduced(case, line, amount)
    assert not isinstance(after, Refusal)  # noqa: S101 - reaches has said so
    fee = rate * amount * line.contract_value
    part = "all" if amount == size else f"{plain(amount)} of {plain(size)}"
    back = " and put back what that releases" if case.pool.pool.isolated and amount != size else ""
    said = f"close {part} {position.symbol} {position.side} at the mark{back}"
    return way_of(case, "reduce", said, after, amount=amount, unit="contracts", cash=(fee, ZERO, ZERO))


def _reduced(case: Case, line: PositionLine, amount: Quantity) -> Account | Refusal:
    position, hedged = line.position, case.account.position_mode is PositionMode.HEDGE
    fill = change.Fill(
        position.symbol, -amount if position.quantity > 0 else amount, line.mark_price,
        position_side=position.side if hedged else None, fee_rate=case.fee(position.symbol),
    )  # fmt: skip
    outcome = change.trade(case.account, fill, marks=case.marks, rulebook=case.rulebook)
    if isinstance(outcome, Refusal):
        return outcome
    left = outcome.account.position(position.symbol, position.side)
    if position.margin_mode is not MarginMode.ISOLATED or left is None:
        return outcome.account
    asset = line.contract.settle_asset
    cash = (outcome.account.wallet.get(asset) or ZERO) - (case.account.wallet.get(asset) or ZERO)
    if cash <= 0 or outcome.account.wallet.get(asset) is None:
        return outcome.account
    return added(case, outcome.account, left, cash)


def added_and_reduced(case: Case) -> Iterator[Way]:
    """Add all that is free in the wallet to an isolated position, and close what is still too much of it."""
    line = case.pool.lines[0]
    position, asset = line.position, line.contract.settle_asset
    free = change.free_balance(case.account, asset, marks=case.marks, rulebook=case.rulebook) or ZERO
    free = round_to(free, STEP, rounding=ROUND_FLOOR)
    if free <= 0:
        return
    richer = added(case, case.account, position, free)
    if isinstance(richer, Refusal) or case.saved(richer):
        return  # adding alone does it
    pool = next((a for a in case.assessed(richer) if a.pool.name == case.pool.pool.name), None)
    if pool is None:
        return
    way = reduction(case._replace(account=richer, pool=pool), pool.lines[0])
    if way.refusal is None:
        said = f"add {plain(free)} {asset} of margin from the wallet and {way.what}"
        yield way._replace(kind="add_and_reduce", what=said, tied=free)


def pro_rata(case: Case) -> Iterator[Way]:
    """Close the same share of every position of a shared pool, in steps of a hundredth of a percent."""
    lines = case.pool.lines
    if case.pool.pool.isolated or len(lines) < 2:
        return

    def sizes(share: Decimal) -> list[Quantity]:
        return [
            min(abs(x.position.quantity), round_to(abs(x.position.quantity) * share, x.contract.quantity_step or STEP,
                                                   rounding=ROUND_CEILING))
            for x in lines
        ]  # fmt: skip

    def closed(share: Decimal) -> Account | Refusal:
        account = case.account
        for line, amount in zip(lines, sizes(share), strict=True):
            after = _reduced(case._replace(account=account), line, amount)
            if isinstance(after, Refusal):
                return after
            account = after
        return account

    def reaches(share: Decimal) -> bool:
        after = closed(share)
        return not isinstance(after, Refusal) and case.saved(after)

    share = smallest(reaches, step=_SHARE, most=ONE, guess=None)
    after = closed(ONE if share is None else share)
    if isinstance(after, Refusal):
        yield no_way("reduce_all", "close a share of every position", str(after))
    elif share is None:
        yield no_way("reduce_all", "close a share of every position", "closing all of it is not enough")
    else:
        fee = sum((case.fee(line.position.symbol) * amount * line.contract_value
                   for line, amount in zip(lines, sizes(share), strict=True)), ZERO)  # fmt: skip
        said = f"close {plain(share * 100)} % of every position at the mark"
        yield way_of(case, "reduce_all", said, after, amount=share, unit="share", cash=(fee, ZERO, ZERO))


def cancels(case: Case) -> Iterator[Way]:
    """Cancel orders where they count against the pool: one of them if one is enough, else all."""
    orders = case.pool.pool.orders
    if not orders:
        return
    kept = tuple(order for order in case.account.orders if order not in orders)
    every = replace(case.account, orders=kept)
    for order in orders:
        one = replace(case.account, orders=tuple(o for o in case.account.orders if o is not order))
        if case.saved(one):
            said = (
                f"cancel the order to {order.side} {plain(abs(order.quantity))} {order.symbol} at {plain(order.price)}"
            )
            yield way_of(case, "cancel_orders", said, one)
            return
    what = "cancel the order" if len(orders) == 1 else f"cancel all {len(orders)} orders"
    if case.saved(every):
        yield way_of(case, "cancel_orders", what, every)
        return
    health = health_after(case, every)
    why = "orders do not count against this pool here" if health == case.pool.health else "it is not enough"
    yield no_way("cancel_orders", what, why, health)


def hedges(case: Case) -> Iterator[Way]:
    """Open the opposite leg, where the account holds two: it stops the loss, and costs its fee and margin."""
    if case.pool.pool.isolated:
        return
    symbols = {line.position.symbol for line in case.pool.lines}
    for line in case.pool.lines:
        position = line.position
        what = f"hedge {position.symbol} {position.side}"
        if case.account.position_mode is not PositionMode.HEDGE:
            yield no_way("hedge", what, "in one-way mode the opposite trade closes; a hedge needs hedge mode")
            continue
        if case.account.position(position.symbol, "short" if position.side == "long" else "long") is not None:
            continue
        size = abs(position.quantity)

        def reaches(amount: Quantity, line: PositionLine = line) -> bool:
            after = _hedged(case, line, amount)
            return not isinstance(after, Refusal) and case.saved(after)

        amount = smallest(reaches, step=line.contract.quantity_step or STEP, most=size, guess=None)
        whole = _hedged(case, line, size if amount is None else amount)
        if isinstance(whole, Refusal):
            yield no_way("hedge", what, str(whole))
        elif amount is None:
            rest = "" if len(symbols) == 1 else f" of {position.symbol}"
            why = f"whole, it stops every move{rest} from mattering, but what is required stays: health does not rise"
            yield no_way("hedge", what, why, health_after(case, whole))
        else:
            value = amount * line.contract_value
            margin = divide(value, position.leverage, places=24) if position.leverage else ZERO
            said = f"hedge {plain(amount)} of {plain(size)} {position.symbol} with the opposite leg"
            cash = (case.fee(position.symbol) * value, ZERO, margin)
            yield way_of(case, "hedge", said, whole, amount=amount, unit="contracts", cash=cash)


def _hedged(case: Case, line: PositionLine, amount: Quantity) -> Account | Refusal:
    position = line.position
    other = "short" if position.side == "long" else "long"
    signed = -amount if position.quantity > 0 else amount
    fill = change.Fill(position.symbol, signed, line.mark_price, position.leverage, position.margin_mode, other,
                       case.fee(position.symbol))  # fmt: skip
    outcome = change.trade(case.account, fill, marks=case.marks, rulebook=case.rulebook)
    return outcome if isinstance(outcome, Refusal) else outcome.account


def switches(case: Case) -> Iterator[Way]:
    """Put an isolated position on the shared wallet, or ring-fence one of a shared pool, where the venue allows it."""
    isolated = case.pool.pool.isolated
    mode = MarginMode.CROSS if isolated else MarginMode.ISOLATED
    for symbol in dict.fromkeys(line.position.symbol for line in case.pool.lines):
        what = f"switch {symbol} to {mode.value}"
        outcome = change.switch_margin_mode(case.account, symbol, mode, marks=case.marks, rulebook=case.rulebook)
        if isinstance(outcome, Refusal):
            yield no_way("switch_mode", what, str(outcome))
        elif case.saved(outcome.account, shared=True):
            yield way_of(case, "switch_mode", what, outcome.account)
        else:
            yield no_way("switch_mode", what, "it is not enough", health_after(case, outcome.account))


__all__ = ["added_and_reduced", "cancels", "hedges", "pro_rata", "reduction", "switches"]
