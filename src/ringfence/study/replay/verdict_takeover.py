"""The verdict on a replay whose pools are taken over whole, in one paragraph; and the clauses every verdict shares."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import ZERO, exact
from ringfence.study.wording import amount, clock, counted, length, listed, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.study.replay.result import Event, Leg, Outcome, Replay

_LIKE = Decimal("0.005")  # amounts that would be printed alike are called the same
_SOON = timedelta(minutes=2)
_MOST_NAMES = 6


@exact
def takeover_verdict(replay: Replay) -> str:
    """Return which architecture ended with more, who died when and why, what the idle cash and the hedge did."""
    sentences: list[str] = []
    for asset in replay.assets:
        sentences += _of_asset(replay, asset)
    return " ".join(sentences)


def _of_asset(replay: Replay, asset: str) -> list[str]:
    isolated, cross = replay.outcomes["isolated"], replay.outcomes["cross"]
    held = [leg for leg in replay.opening_legs() if replay.settled_in(leg.symbol) == asset]
    if not held:
        return [f"The {amount(isolated.start[asset], asset)} stood behind no position and stayed as they were."]
    dead = [event for event in isolated.liquidations if event.asset == asset]
    fallen = next((event for event in cross.liquidations if event.asset == asset), None)
    said = [who_has_more(isolated, cross, asset)]
    if not dead and fallen is None:
        return [*said, _nothing_happened(replay, asset)]
    said += [_isolated(isolated, dead, held, asset)]
    said += [_cross_died(replay, fallen, dead) if fallen is not None else _cross_lived(replay, cross, dead, asset)]
    about = hedge(replay, held, fallen, dead, asset)
    return [*said, about] if about else said


def who_has_more(isolated: Outcome, cross: Outcome, asset: str) -> str:
    """Say which architecture keeps more of its capital, and what the other keeps."""
    start, one, other = isolated.start[asset], isolated.end[asset], cross.end[asset]
    if abs(one - other) < _LIKE:
        return f"Both architectures turn {amount(start, asset)} into {amount(one, asset)}."
    more, less = ("Isolated", "cross") if one > other else ("Cross", "isolated")
    high, low = max(one, other), min(one, other)
    rest = f"{less} margin with {amount(low, asset)}" if low >= _LIKE else f"{less} margin with nothing"
    return f"{more} margin ends with more: of {amount(start, asset)} it keeps {amount(high, asset)}, {rest}."


def _nothing_happened(replay: Replay, asset: str) -> str:
    calls = [event for event in replay.events if event.asset == asset and event.kind == "margin_call"]
    called = f"There {'was' if len(calls) == 1 else 'were'} {counted(len(calls), 'margin call')} and " if calls else ""
    sentence = "nothing was liquidated under either, and without a liquidation the same positions earn the same."
    return called + (sentence if called else sentence.capitalize())


def _isolated(outcome: Outcome, dead: list[Event], held: list[Leg], asset: str) -> str:
    idle = outcome.idle[asset]
    kept = (
        f"the {amount(idle, asset)} left in the wallet {_were(2)} never at stake" if idle else "nothing was left idle"
    )
    if not dead:
        return f"Isolated: every position lived on its own margin; {kept}."
    names = listed([f"{_name(event.legs[0])} at {clock(event.ts)}" for event in dead[:_MOST_NAMES]])
    more = f" and {counted(len(dead) - _MOST_NAMES, 'other')}" if len(dead) > _MOST_NAMES else ""
    lost = amount(outcome.lost[asset], asset)
    alive = _living(held, dead)
    survived = f"{listed(alive)} lived on" if alive else "no position was left"
    cost = "its own margin" if len(dead) == 1 else "their own margins"
    return f"Isolated: {names}{more} {_were(len(dead))} taken over and cost {cost}, {lost}; {survived}, and {kept}."


def how_cross_fell(event: Event, dead: list[Event], *, how: str, others: int) -> str:
    """Say when the shared pool of ``others`` positions fell, how long after the first died alone, and what led it."""
    if dead and event.ts > dead[0].ts:
        said = (
            f"Cross: one pool carried {counted(others, 'position')} on after the first of them had died alone, for "
            f"{length(event.ts - dead[0].ts)}, until {clock(event.ts)}"
        )
    else:
        said = f"Cross: the pool of {counted(others, 'position')} was {how} at {clock(event.ts)}"
    losers = sorted((leg for leg in event.legs if leg.unrealised_pnl < 0), key=lambda leg: leg.unrealised_pnl)[:2]
    if losers:
        said += ", its losses led by " + listed(
            [f"{_name(leg)} ({amount(leg.unrealised_pnl, event.asset, signed=True)})" for leg in losers]
        )
    return said


def _cross_died(replay: Replay, event: Event, dead: list[Event]) -> str:
    said = how_cross_fell(event, dead, how="taken over", others=len(event.legs))
    said += f"; {_last_call(replay, event)}. "
    if event.fund >= 0:
        end = f"the last {amount(event.fund, event.asset)} in it went to the insurance fund"
    else:
        end = f"{amount(-event.fund, event.asset)} more were missing, which the insurance fund had to pay"
    return said + f"Taken over whole, it lost all {amount(event.loss, event.asset)}: {end}."


def _last_call(replay: Replay, event: Event) -> str:
    """Say how long before the takeover the last margin call of the pool came."""
    calls = [
        call for call in replay.events
        if call.architecture == event.architecture and call.pool == event.pool and call.kind == "margin_call"
    ]  # fmt: skip
    if not calls:
        return "no margin call came first, the fall was too fast"
    ahead = event.ts - calls[-1].ts
    return f"the margin call came {'only ' if ahead < _SOON else ''}{length(ahead)} before"


def _cross_lived(replay: Replay, outcome: Outcome, dead: list[Event], asset: str) -> str:
    when, lowest = outcome.lowest[asset]
    samples = [
        pool.health
        for sample in replay.samples["cross"]
        for pool in sample.pools
        if pool.asset == asset and pool.health is not None
    ]
    worst = f", health no lower than {ratio(min(samples))} on any full minute" if samples else ""
    said = f"Cross: the pool lived, down to {amount(lowest, asset)} at {clock(when)}{worst}"
    if not dead:
        return said + "."
    later = {(leg.symbol, leg.side): leg.unrealised_pnl for leg in outcome.survivors}
    now = sum((later.get((event.legs[0].symbol, event.legs[0].side), ZERO) for event in dead), ZERO)
    lost = sum((event.loss for event in dead), ZERO)
    which = "position" if len(dead) == 1 else f"{counted(len(dead), 'position')}"
    was, end = amount(-lost, asset, signed=True), amount(now, asset, signed=True)
    return f"{said}; the {which} that isolated lost for {was} {'ends' if len(dead) == 1 else 'end'} at {end}."


def hedge(replay: Replay, held: list[Leg], fallen: Event | None, dead: list[Event], asset: str) -> str:
    """Say what the smaller side of the book did for the larger one; nothing where there is only one side.

    ``fallen``: the event in which the shared pool ended, ``dead``: the isolated positions that did.
    """
    sides = {side: sum((replay.notional(leg) for leg in held if leg.side == side), ZERO) for side in ("long", "short")}
    if not all(sides.values()):
        return ""
    smaller = min(sides, key=lambda side: sides[side])
    larger = "short" if smaller == "long" else "long"
    hedges = [leg for leg in held if leg.side == smaller]
    if fallen is None:
        at = "by the end"
        found: Iterable[Leg] = replay.outcomes["cross"].survivors
    else:
        at, found = "by then", fallen.legs
    symbols = {leg.symbol for leg in held}
    gain, loss = (
        sum((leg.unrealised_pnl for leg in found if leg.side == side and leg.symbol in symbols), ZERO)
        for side in (smaller, larger)
    )
    made = f"the hedge, {listed([_name(leg) for leg in hedges])}, had made {amount(gain, asset, signed=True)} {at}"
    against = f"against {amount(loss, asset, signed=True)} on the {larger}s"
    if fallen is None:
        end = "under cross that stood behind them, under isolated only behind itself"
    elif {event.legs[0].symbol for event in dead} & {leg.symbol for leg in hedges}:
        end = "under cross it went with them, under isolated it stood only behind itself"
    else:
        end = "under cross it was used up for them and taken over with them, under isolated it is still there"
    return f"{made[0].upper()}{made[1:]} {against}: {end}."


def _living(held: list[Leg], dead: list[Event]) -> list[str]:
    gone = {(event.legs[0].symbol, event.legs[0].side) for event in dead}
    return [_name(leg) for leg in held if (leg.symbol, leg.side) not in gone]


def _name(leg: Leg) -> str:
    return f"{leg.symbol} {leg.side}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


__all__ = ["hedge", "how_cross_fell", "takeover_verdict", "who_has_more"]
