"""A beginning: the guard rails that keep somebody new to his stake, and the way from there to cross margin."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ringfence.guard_rails import SCHEMA
from ringfence.numbers import plain
from ringfence.study.advice.moves import class_of
from ringfence.study.advice.stake import CEILING, STAKE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.study.advice.advise import Advice

_HEALTH = "2"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def rails(advice: Advice) -> str:
    """Return a ``guardrails.toml``: each symbol's ceiling, that of a small coin for any other, stake and health."""
    ceilings = {p.symbol: CEILING[class_of(p.symbol)] for p in advice.given.positions}
    lines = [f'{_key(symbol)} = "{ceiling}"' for symbol, ceiling in ceilings.items()]
    return "\n".join(
        [
            f'schema = "{SCHEMA}"',
            'margin_mode = "isolated"',
            f'health_floor = "{_HEALTH}"',
            f'largest_share = "{plain(STAKE["new"])}"',
            "",
            "[leverage]",
            f'ceiling = "{CEILING["small"]}"',
            *lines,
        ]
    )


def _key(symbol: str) -> str:
    """Return a symbol as a key of TOML."""
    return symbol if _BARE.fullmatch(symbol) else json.dumps(symbol)


def transition(advice: Advice) -> Iterator[str]:
    """Say how somebody new goes on: guard rails, then month by month to cross."""
    yield (
        "Write guard rails into a guardrails.toml; `ringfence size change … --rails guardrails.toml` refuses what "
        f"breaks them:\n{rails(advice)}"
    )
    yield "Month 1: every position isolated, one at a time, with a stop order at half of its margin."
    yield "Months 2 to 3: two positions at a time, still isolated; add margin only where that was planned before."
    yield (
        "Then pool what hedges itself and nothing else: cross in a sub-account with a fifth of the capital, health "
        "never below 3, and compare every week with `ringfence compare`."
    )
    yield (
        "Cross for low-leverage positions on majors when three months passed without a margin call; long shots and "
        "tests stay ring-fenced for good."
    )


__all__ = ["rails", "transition"]
