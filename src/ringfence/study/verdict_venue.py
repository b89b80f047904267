"""The verdict on a replay by the venue's own sequence: who was liquidated, how, for what price, and what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.numbers import ZERO, exact
from ringfence.study.verdict import who_has_more
from ringfence.study.wording import amount, clock, counted, fixed, length, listed, price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.study.replay_result import Event, ForcedTrade, Outcome, Replay

_MOST_NAMES = 6
_HOW = {"liquidation": "at market", "take_over": "taken over by the insurance fund", "netting": "netted"}


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
        said.append(_cross(replay, cross, forced["cross"], asset))
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


def _cross(replay: Replay, outcome: Outcome, forced: Sequence[Event], asset: str) -> str:
    if not forced:
        when, low = outcome.lowest[asset]
        return f"Cross: the pool lived, down to {amount(low, asset)} at {clock(when)}."
    first, last = forced[0], forced[-1]
    said = f"Cross: the pool was liquidated at {clock(first.ts)}"
    if len(forced) > 1:
        said += f", {counted(len(forced), 'time')} until {clock(last.ts)}"
    said += f"; {_last_call(replay, first)}. The venue closed {listed(_closed(forced))}"
    left = f"{amount(last.left, asset)} were left" if last.left > 0 else "nothing was left"
    return f"{said}. It cost {amount(outcome.lost[asset], asset)}, {_fund(outcome, asset)}, and {left}."


def _closed(forced: Sequence[Event]) -> list[str]:
    """Return what was closed, by how: at market with price, handed over in one phrase."""
    trades = [trade for event in forced for trade in event.trades]
    at_market = [f"{_part(trade)} {_HOW[trade.cause]}, {price(trade.price)} on average"
                 for trade in trades if trade.cause != "take_over"]  # fmt: skip
    handed = [_name(trade) for trade in trades if trade.cause == "take_over"]
    shown = at_market[:_MOST_NAMES]
    if handed:
        shown.append(f"handed {listed(list(dict.fromkeys(handed)))} to the insurance fund at their bankruptcy prices")
    return shown


def _part(trade: ForcedTrade) -> str:
    return _name(trade) if trade.whole else f"{fixed(trade.quantity, 0)} of {_name(trade)}"


def _name(trade: ForcedTrade) -> str:
    return f"{trade.symbol} {trade.side}"


def _fund(outcome: Outcome, asset: str) -> str:
    gained, paid = outcome.fund_gained[asset], outcome.fund_paid[asset]
    if paid > ZERO:
        gain = f"gained {amount(gained)} and " if gained > ZERO else ""
        return f"from which the insurance fund {gain}paid {amount(paid)} for what was missing"
    return f"of which {amount(gained) if gained > ZERO else 'nothing'} went to the insurance fund"


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
