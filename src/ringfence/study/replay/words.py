"""What happens in a replay, in words: the kinds of its events, and forced trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.numbers import plain
from ringfence.study.wording import price

if TYPE_CHECKING:
    from ringfence.study.replay.result import Event, ForcedTrade

_KINDS = {"warning": "warning", "margin_call": "margin call", "reduction": "reduced", "liquidation": "taken over"}
_CAUSES = {"liquidation": "closed", "take_over": "taken over", "netting": "netted"}


def kind_of(event: Event) -> str:
    """Return what an event of a replay is called: a takeover, or a liquidation where the venue's steps were played."""
    return "liquidated" if event.trades and event.kind == "liquidation" else _KINDS[event.kind]


def trade_said(trade: ForcedTrade, *, alone: bool = False) -> str:
    """Return a forced trade in words; ``alone``: without the name of the position."""
    name = "" if alone else f"{trade.symbol} {trade.side} "
    part = "" if trade.whole else f"{plain(trade.quantity)} "
    return f"{name}{part}{_CAUSES[trade.cause]} at {price(trade.price)}"


__all__ = ["kind_of", "trade_said"]
