"""A beginning: how large a position somebody new may hold, the guard rails that keep to it, and the way to cross."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.guard_rails import SCHEMA
from ringfence.numbers import ROUND_FLOOR, divide, exact, plain, round_to
from ringfence.study.wording import percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.study.advice.advise import Advice

STAKE = {"new": Decimal("0.05"), None: Decimal("0.2"), "experienced": Decimal("0.2")}
"""The largest share of the capital to put at stake in one ring-fenced position, by experience. Ours."""

CEILING = {"bitcoin": 5, "ether": 5, "major": 3, "small": 2, "dollar": 2}
"""The highest leverage for somebody who is new, by class of coin. Ours."""

_HEALTH = "2"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@exact
def smaller(advice: Advice) -> tuple[str, ...]:
    """Say what to close where a position is larger than the stake times the ceiling of its class, at the mark."""
    said = []
    capital = Decimal(f"{advice.trials.capital:.2f}")
    for position, role in zip(advice.book.positions, advice.roles, strict=True):
        contract = advice.book.rulebook.contract(position.symbol)
        size = abs(position.quantity)
        one = Decimal(f"{abs(role.exposure):.8f}")
        most = divide(capital * STAKE["new"] * CEILING[role.coin] * size, one, places=8, rounding=ROUND_FLOOR)
        most = round_to(most, contract.quantity_step or Decimal("0.001"), rounding=ROUND_FLOOR)
        if most < size:
            said.append(
                f"{position.symbol} {position.side}: close {plain(size - most)} of {plain(size)}; what is left is "
                f"{percent(STAKE['new'], 0)} of the capital at {CEILING[role.coin]}×."
            )
    return tuple(said)


def rails(advice: Advice) -> str:
    """Return a ``guardrails.toml``: each symbol's ceiling, that of a small coin for any other, stake and health."""
    ceilings = {p.symbol: CEILING[r.coin] for p, r in zip(advice.book.positions, advice.roles, strict=True)}
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


__all__ = ["CEILING", "STAKE", "rails", "smaller", "transition"]
