"""What to do, step by step: what to close, transfers, switches, margins, health to act at, a beginner's way on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.account import CollateralMode, MarginMode
from ringfence.margin.change import change_leverage, switch_margin_mode
from ringfence.margin.refusal import REASONS, Refusal
from ringfence.numbers import ZERO, plain
from ringfence.study.advice import option_words
from ringfence.study.advice.alert import SIGMAS, alert_level
from ringfence.study.advice.beginning import transition
from ringfence.study.advice.holding import MAIN
from ringfence.study.advice.stake import STAKE, taker_rate
from ringfence.study.advice.words import verdicts
from ringfence.study.wording import amount, fixed, listed, percent, price

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.study.advice.advise import Advice


def steps(advice: Advice, name: str = "ACCOUNT") -> tuple[str, ...]:
    """Return what to do, in order. ``name``: of the account file, for commands."""
    if advice.options is not None:
        return option_words.steps(advice, advice.options, name)
    new = advice.circumstances.experience == "new"
    return (
        *(_orders(advice) if new else ()),
        *_closings(advice),
        *_transfers(advice),
        *_moves(advice),
        *_alerts(advice, name),
        *(transition(advice) if new else ()),
    )


def _orders(advice: Advice) -> Iterator[str]:
    """Say which open orders would undo what is advised to somebody new."""
    left = {(p.symbol, p.side): abs(p.quantity) for p in advice.book.positions}
    held = {(p.symbol, p.side) for p in advice.given.positions}
    opening, closing = [], []
    for order in advice.given.orders:
        leg = order.position_side or ("short" if order.side == "buy" else "long")
        works_on = (order.symbol, leg)
        closes = order.reduce_only or (order.side == ("sell" if leg == "long" else "buy") and works_on in held)
        said = f"{order.symbol} {order.side} {plain(abs(order.quantity))} at {price(order.price)}"
        if not closes:
            opening.append(said)
        elif abs(order.quantity) > left.get(works_on, ZERO):
            closing.append(said)
    if opening:
        yield f"Cancel what would open more: {listed(opening)}. If at all, place it again within stake and ceiling."
    if closing:
        yield f"Make no larger than what will be left, or cancel: {listed(closing)}."


def _closings(advice: Advice) -> Iterator[str]:
    for closing in advice.closings:
        position = closing.position
        asset = advice.book.rulebook.contract(position.symbol).settle_asset
        fee = "the taker fee is not known here" if closing.fee is None else f"taker fee {amount(closing.fee, asset)}"
        what = f"close {plain(closing.size)} of {plain(closing.size + closing.left)}"
        if not closing.left:
            yield f"{position.symbol} {position.side}: close it, {plain(closing.size)} at the market ({fee})."
            continue
        leverage = next(
            p for p in advice.book.positions if (p.symbol, p.side) == (position.symbol, position.side)
        ).leverage
        yield (
            f"{position.symbol} {position.side}: {what} at the market ({fee}); what is left stakes at most "
            f"{percent(STAKE['new'], 0)} of the capital at {plain(leverage or ZERO)}×."
        )


def _transfers(advice: Advice) -> Iterator[str]:
    for (sub, asset), value in advice.holding.moved.items():
        held = [f"{p.symbol} {p.side}" for p, place in zip(advice.book.positions, advice.holding.places, strict=True)
                if place.name == sub and advice.book.asset(p) == asset]  # fmt: skip
        yield f"Open the sub-account “{sub}”, transfer {amount(value, asset)} there, and hold {listed(held)} in it."


def _moves(advice: Advice) -> Iterator[str]:
    if not any(verdict.changed for verdict in verdicts(advice)):
        yield "Leave everything where it is: no other way of holding it is clearly better."
        return
    main = advice.holding.accounts[MAIN].collateral_mode
    if main is not advice.given.collateral_mode:
        whole = "" if main is CollateralMode.SINGLE_ASSET else ", all of them cross"
        yield f"Switch the account to {main.value.replace('_', '-')} mode; positions stay{whole}."
    if main is CollateralMode.SINGLE_ASSET:
        yield from _places(advice)
    else:
        yield from _leverages(advice)


def _places(advice: Advice) -> Iterator[str]:
    reason = f"{advice.book.rulebook.title} switches a symbol only without a position in it. "
    for index in range(len(advice.book.positions)):
        for step in _move(advice, index, reason):
            reason = "" if reason in step else reason
            yield step


def _move(advice: Advice, index: int, reason: str) -> Iterator[str]:
    """Say how a position gets to its leverage, its place and its margin.

    ``reason``: why one has to be closed for it, empty where it was said.
    """
    place, left, own = advice.holding.places[index], advice.as_left(index), advice.book.positions[index]
    name, asset = f"{own.symbol} {own.side}", advice.book.asset(own)
    lower = own.leverage != advice.as_now(index).leverage
    if place.kind == "sub_account":
        at = f" at {plain(own.leverage)}×" if lower and own.leverage is not None else ""
        yield f"{name}: close it here and open it there in one go{at}{_fees(advice, index)}."
        return
    wanted = MarginMode.ISOLATED if place.kind == "isolated" else MarginMode.CROSS
    if wanted is left.margin_mode:
        yield from _leverage(advice, index)
        more = (place.margin or ZERO) - (left.isolated_margin or ZERO)
        if more:
            yield f"{name}: {'add' if more > 0 else 'take out'} {amount(abs(more), asset)} of margin."
        return
    main = advice.holding.accounts[MAIN].collateral_mode
    account = replace(advice.after or advice.given, collateral_mode=main)
    outcome = switch_margin_mode(
        account, own.symbol, wanted, marks=advice.book.marks, rulebook=advice.book.rulebook
    )  # fmt: skip
    anew = isinstance(outcome, Refusal) and outcome.number == REASONS["margin_mode_with_position"]
    if anew:
        set_it = f" set the leverage to {plain(own.leverage)}×," if lower and own.leverage is not None else ""
        instead = f" Or keep it, and open the next one {wanted.value}." if reason else ""
        close = "Close" if reason else "close"
        again = f"switch to {wanted.value}, open it again{_fees(advice, index)}."
        yield f"{name}: {reason}{close} it,{set_it} {again}{instead}"
    else:
        yield from _leverage(advice, index)
        refused = f"; the venue says now: {outcome}" if isinstance(outcome, Refusal) else ""
        yield f"{name}: switch {own.symbol} to {wanted.value}{refused}."
    initial = advice.roles[index].initial
    if place.margin is not None and initial is not None and place.margin > initial and not (anew and lower):
        yield f"{name}: add {amount(place.margin - initial, asset)} of margin to the {amount(initial, asset)}."


def _leverages(advice: Advice) -> Iterator[str]:
    for index in range(len(advice.book.positions)):
        yield from _leverage(advice, index)


def _leverage(advice: Advice, index: int) -> Iterator[str]:
    """Say how to lower a symbol's leverage, where that is advised: once for both legs of it."""
    own, now = advice.book.positions[index], advice.as_now(index)
    first = next(i for i, p in enumerate(advice.book.positions) if p.symbol == own.symbol)
    if own.leverage is None or own.leverage == now.leverage or index != first:
        return
    account = advice.after or advice.given
    before = tuple(
        replace(p, leverage=now.leverage) if p.symbol == own.symbol else p for p in account.positions
    )  # fmt: skip
    outcome = change_leverage(
        replace(account, positions=before), own.symbol, own.leverage, marks=advice.book.marks,
        rulebook=advice.book.rulebook,
    )  # fmt: skip
    was = "none is given now" if now.leverage is None else f"now {plain(now.leverage)}×"
    if not isinstance(outcome, Refusal):
        yield f"{own.symbol}: set the leverage to {plain(own.leverage)}× ({was})."
    elif now.margin_mode is MarginMode.ISOLATED:
        yield (
            f"{own.symbol}: leverage {plain(own.leverage)}× ({was}) is for the next position, the venue does not lower "
            "it under an open isolated one; margin does the same."
        )
    else:
        yield f"{own.symbol}: set the leverage to {plain(own.leverage)}× ({was}); the venue says now: {outcome}."


def _fees(advice: Advice, index: int) -> str:
    position = advice.book.positions[index]
    contract = advice.book.rulebook.contract(position.symbol)
    value = abs(position.quantity) * contract.contract_value(advice.book.marks[position.symbol])
    rate = taker_rate(advice.book.rulebook, position.symbol, advice.fee_rate)
    if rate is None:
        return " (two taker fees; the rate is not known here)"
    return f" (two taker fees, {amount(2 * value * rate, contract.settle_asset)})"


def _alerts(advice: Advice, name: str) -> Iterator[str]:
    """Say at which health to act on each pool, and which command shows how."""
    changed, explained = any(verdict.changed for verdict in verdicts(advice)), False
    if advice.closings and advice.book.positions:
        yield f"Write what you hold then into {name}; the following is of that."
    for account, assessment in advice.holding.assessed(advice.book.marks, advice.book.rulebook):
        if assessment.pool.isolated and _long_shot(advice, assessment.lines[0].position.symbol):
            yield f"{assessment.pool.name}: add nothing when it is called: its margin is the stake."
            continue
        level = alert_level(assessment, advice.moves.estimate)
        if level is None or assessment.health is None:
            continue
        where = assessment.pool.name + ("" if account == MAIN else f" of “{account}”")
        then = "after these steps" if changed else "now"
        now = f"{fixed(assessment.health, 1)} {then}"
        low = f" It is there {then}: act today." if assessment.health <= level else ""
        ways = f"`ringfence rescue {name} --health {plain(level)}`"
        if explained:
            yield f"{where}: act when health falls to {plain(level)} ({now}).{low} {ways}."
            continue
        explained = True
        yield (
            f"{where}: act when health falls to {plain(level)} ({now}; below that, a day of {SIGMAS:g} σ can "
            f"liquidate it).{low} {ways} lists the ways."
        )


def _long_shot(advice: Advice, symbol: str) -> bool:
    pairs = zip(advice.book.positions, advice.roles, strict=True)
    return any(role.kind == "long shot" for position, role in pairs if position.symbol == symbol)


__all__ = ["steps"]
