"""What to do, step by step: what to close, transfers, switches, margins, health to act at, a beginner's way on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import MarginMode
from ringfence.margin.change import switch_margin_mode
from ringfence.margin.refusal import Refusal
from ringfence.numbers import ZERO, plain
from ringfence.study.advice import option_words
from ringfence.study.advice.alert import SIGMAS, alert_level
from ringfence.study.advice.beginning import smaller, transition
from ringfence.study.advice.holding import MAIN
from ringfence.study.advice.words import verdicts
from ringfence.study.wording import amount, fixed, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.study.advice.advise import Advice


def steps(advice: Advice, name: str = "ACCOUNT") -> tuple[str, ...]:
    """Return what to do, in order. ``name``: of the account file, for commands."""
    if advice.options is not None:
        return option_words.steps(advice, advice.options, name)
    new = advice.circumstances.experience == "new"
    return (
        *(smaller(advice) if new else ()),
        *_transfers(advice),
        *_moves(advice),
        *_alerts(advice, name),
        *(transition(advice) if new else ()),
    )


def _transfers(advice: Advice) -> Iterator[str]:
    for (sub, asset), value in advice.holding.moved.items():
        held = [f"{p.symbol} {p.side}" for p, place in zip(advice.book.positions, advice.holding.places, strict=True)
                if place.name == sub and advice.book.asset(p) == asset]  # fmt: skip
        yield f"Open the sub-account “{sub}”, transfer {amount(value, asset)} there, and hold {listed(held)} in it."


def _moves(advice: Advice) -> Iterator[str]:
    changes = 0
    for index, verdict in enumerate(verdicts(advice)):
        if not verdict.changed:
            continue
        changes += 1
        place, given = advice.holding.places[index], advice.given.positions[index]
        asset = advice.book.asset(given)
        name = f"{given.symbol} {given.side}"
        if place.kind == "sub_account":
            yield f"{name}: close it here and open it there in one go{_fees(advice, index)}."
            continue
        if advice.holding.accounts[MAIN].collateral_mode is not advice.given.collateral_mode:
            mode = advice.holding.accounts[MAIN].collateral_mode.value.replace("_", "-")
            yield f"Switch the account to {mode} mode; positions stay, all of them cross."
            return
        wanted = MarginMode.ISOLATED if place.kind == "isolated" else MarginMode.CROSS
        if wanted is given.margin_mode:
            more = (place.margin or ZERO) - (given.isolated_margin or ZERO)
            yield f"{name}: {'add' if more > 0 else 'take out'} {amount(abs(more), asset)} of margin."
            continue
        yield f"{name}: {_switch(advice, index, wanted)}"
        initial = advice.roles[index].initial
        if place.margin is not None and initial is not None and place.margin > initial:
            yield f"{name}: add {amount(place.margin - initial, asset)} of margin to the {amount(initial, asset)}."
    if not changes:
        yield "Leave everything where it is: no other way of holding it is clearly better."


def _switch(advice: Advice, index: int, wanted: MarginMode) -> str:
    symbol = advice.given.positions[index].symbol
    outcome = switch_margin_mode(
        advice.given, symbol, wanted, marks=advice.book.marks, rulebook=advice.book.rulebook
    )  # fmt: skip
    if not isinstance(outcome, Refusal):
        return f"switch {symbol} to {wanted.value}."
    if outcome.number == 301:
        return (
            f"{advice.book.rulebook.title} switches a symbol only without a position in it: close it, switch to "
            f"{wanted.value}, open it again{_fees(advice, index)}; or keep it and open the next one {wanted.value}."
        )
    return f"switch {symbol} to {wanted.value}; the venue says now: {outcome}."


def _fees(advice: Advice, index: int) -> str:
    position = advice.given.positions[index]
    contract = advice.book.rulebook.contract(position.symbol)
    value = abs(position.quantity) * contract.contract_value(advice.book.marks[position.symbol])
    if contract.taker_fee_rate is None:
        return " (two taker fees; the rate is not known here)"
    return f" (two taker fees, {amount(2 * value * contract.taker_fee_rate, contract.settle_asset)})"


def _alerts(advice: Advice, name: str) -> Iterator[str]:
    """Say at which health to act on each pool, and which command shows how."""
    for account, assessment in advice.holding.assessed(advice.book.marks, advice.book.rulebook):
        if assessment.pool.isolated and _long_shot(advice, assessment.lines[0].position.symbol):
            yield f"{assessment.pool.name}: add nothing when it is called: its margin is the stake."
            continue
        level = alert_level(assessment, advice.moves.estimate)
        if level is None or assessment.health is None:
            continue
        where = assessment.pool.name + ("" if account == MAIN else f" of “{account}”")
        now = fixed(assessment.health, 1)
        low = " It is there now: act today." if assessment.health <= level else ""
        yield (
            f"{where}: act when health falls to {plain(level)} (now {now}; below that, a day of {SIGMAS:g} σ can "
            f"liquidate it).{low} `ringfence rescue {name} --health {plain(level)}` lists the ways."
        )


def _long_shot(advice: Advice, symbol: str) -> bool:
    pairs = zip(advice.book.positions, advice.roles, strict=True)
    return any(role.kind == "long shot" for position, role in pairs if position.symbol == symbol)


__all__ = ["steps"]
