"""Refusals of a running venue, as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.engine.events import Refused
from ringfence.margin.refusal import Refusal, refuse

if TYPE_CHECKING:
    from ringfence.engine.commands import Command


def refused(command: Command, reason: str, message: str) -> Refused:
    """Return the event that refuses ``command`` for a named reason, with the figures in a sentence."""
    return as_event(command, refuse(reason, message))


def as_event(command: Command, refusal: Refusal) -> Refused:
    """Return a refusal of the margin maths as an event."""
    return Refused(command.id, command.at, refusal.number, refusal.reason, refusal.message)


__all__ = ["as_event", "refused"]
