"""The verdict on a replay in plain English, by what its liquidations do: takeovers whole, or the venue's own steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.study.replay.verdict_takeover import takeover_verdict
from ringfence.study.replay.verdict_venue import venue_verdict

if TYPE_CHECKING:
    from ringfence.study.replay.result import Replay


def verdict(replay: Replay) -> str:
    """Return a replay's result as one paragraph, every clause of it computed from the result."""
    return venue_verdict(replay) if replay.sequence == "venue" else takeover_verdict(replay)


__all__ = ["verdict"]
