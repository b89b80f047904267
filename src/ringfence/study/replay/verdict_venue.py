"""The verdict on a replay by the venue's own sequence: who was liquidated, how, for what price, and what came back."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.numbers import ZERO, exact
from ringfence.study.replay.verdict_takeover import hedge, how_cross_fell, who_has_more
from ringfence.study.wording import amount, clock, counted, fixed, length, listed, price

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.study.replay.result import Event, ForcedTrade, Outcome, Replay

_MOST_NAMES = 6
_HOW = {"liquidation": "on the market", "netting": "against its other leg"}
_LIKE = Decimal("0.005")  # less is called nothing


@exact
def venue_verdict(replay: Replay) -> str:
    """Return which architecture ended with more, what was closed under each and how, and what the fund had to pay."""
    said = []
    for asset in replay.assets:
        isolated, cross = replay.outcomes["isolated"], replay.outcomes["cross"]
        said.append(who_has_more(isolated, cross, asset))
        forced = {name: _forced(replay, name, asset) for name in ("isolated", "cross")}
        if not any(forced.values()):
            said.append("Nothing was liquidated under either, and without a liquidation the same positions earn alike.")
            continue
        said.append(_isolated(isolated, forced["isolated"], asset))
        said.append(_cross(replay, cross, forced, asset))
        held = [leg for leg in replay.opening_legs() if replay.settled_in(leg.symbol) == asset]
        ended = [event for event in forced["cross"] if event.kind == "liquidation" and len(event.legs) == len(held)]
        if ended or not forced["cross"]:
            dead = [event for event in forced["isolated"] if event.kind == "liquidation"]
            about = hedge(replay, held, ended[0] if ended else None, dead, asset)
            said += [about.replace("and taken over with them", "and gone with them")] if about else []
    return " ".join(said)


def _forced(replay: Replay, architecture: str, asset: str) -> list[Event]:
    return [
        event
        for event in replay.events
        if event.architecture == architecture and event.asset == asset and event.kind in {"reduction", "liquidation"}
    ]


def _isolated(outcome: Outcome, forced: Sequence[Event], asset: str) -> str:
    idle = outcome.idle[asset]
    kept = f"the {amount(idle, asset)} left idle were never at stake" if idle else "nothing was left idle"
    if not forced:
        return f"Isolated: every position lived on its own margin; {kept}."
    names = [f"{_part(event.trades[0])} at {clock(event.ts)}" for event in forced[:_MOST_NAMES] if event.trades]
    more = f" and {counted(len(forced) - _MOST_NAMES, 'other')}" if len(forced) > _MOST_NAMES else ""
    alive = [f"{leg.symbol} {leg.side}" for leg in outcome.survivors]
    survived = f"{listed(alive)} lived on" if alive else "no position was left"
    return (
        f"Isolated: {listed(names)}{more} {'was' if len(forced) == 1 else 'were'} liquidated for "
        f"{amount(outcome.lost[asset], asset)} in all, {_fund(outcome, asset)}; {survived}, and {kept}."
    )


def _cross(replay: Replay, outcome: Outcome, every: Mapping[str, list[Event]], asset: str) -> str:
    forced = every["cross"]
    if not forced:
        when, low = outcome.lowest[asset]
        return f"Cross: the pool lived, down to {amount(low, asset)} at {clock(when)}."
    first, last = forced[0], forced[-1]
    others = sum(replay.settled_in(leg.symbol) == asset for leg in replay.opening_legs())
    dead = [event for event in every["isolated"] if event.kind == "liquidation"]
    said = how_cross_fell(first, dead, how="liquidated", others=others)
    if len(forced) > 1:
        said += f", {counted(len(forced), 'time')} until {clock(last.ts)}"
    said += f"; {_last_call(replay, first)}. {_closed(forced)}"
    left = f"{amount(last.left, asset)} were left" if last.left >= _LIKE else "nothing was left"
    return f"{said}. It cost {amount(outcome.lost[asset], asset)}, {_fund(outcome, asset)}, and {left}."


def _closed(forced: Sequence[Event]) -> str:
    """Say what was closed, by how: at market with price, handed over in one phrase."""
    trades = [trade for event in forced for trade in event.trades]
    at_market = [f"{_part(trade)} {_HOW[trade.cause]} at {price(trade.price)}"
                 for trade in trades if trade.cause != "take_over"]  # fmt: skip
    handed = [_name(trade) for trade in trades if trade.cause == "take_over"]
    said = []
    if at_market:
        more = [f"{len(at_market) - _MOST_NAMES} more"] if len(at_market) > _MOST_NAMES else []
        said.append(f"the venue closed {listed([*at_market[:_MOST_NAMES], *more])}")
    if handed:
        names = list(dict.fromkeys(handed))
        at = "its bankruptcy price" if len(names) == 1 else "their bankruptcy prices"
        said.append(f"the insurance fund took over {listed(names)} at {at}")
    text = ", and ".join(said)
    return text[:1].upper() + text[1:]


def _part(trade: ForcedTrade) -> str:
    return _name(trade) if trade.whole else f"{fixed(trade.quantity, 0)} of {_name(trade)}"


def _name(trade: ForcedTrade) -> str:
    return f"{trade.symbol} {trade.side}"


def _fund(outcome: Outcome, asset: str) -> str:
    gained, paid = outcome.fund_gained[asset], outcome.fund_paid[asset]
    if paid > ZERO:
        gain = f"gained {amount(gained)} and " if gained >= _LIKE else ""
        return f"from which the insurance fund {gain}paid {amount(paid)} for what was missing"
    return f"of which {amount(gained) if gained >= _LIKE else 'nothing'} went to the insurance fund"


def _last_call(replay: Replay, event: Event) -> str:
    calls = [
        call for call in replay.events
        if (call.architecture, call.pool, call.kind) == (event.architecture, event.pool, "margin_call")
        and call.ts <= event.ts
    ]  # fmt: skip
    if not calls or calls[-1].ts == event.ts:
        return "the margin call came with it, the fall was too fast"
    return f"the margin call came {length(event.ts - calls[-1].ts)} before"


__all__ = ["venue_verdict"]
