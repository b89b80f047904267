"""What a watch of a fleet finds: who fell and when, what fell with them, who is left, and how fast it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from ringfence.fleet.unknown import Reasons
    from ringfence.numbers import Price, Value

    Moments = Sequence[tuple[datetime, Sequence[tuple[str, Price]]]]


class Fallen(NamedTuple):
    """A pool at the moment it fell to the level watched, in exact figures."""

    at: datetime
    account: str
    pool: str
    asset: str | None
    health: Decimal | None
    balance: Value
    required: Value


class Standing(NamedTuple):
    """A pool that has not fallen, at the last prices of the tape, in exact figures."""

    account: str
    pool: str
    asset: str | None
    health: Decimal
    balance: Value
    required: Value


class Forced(NamedTuple):
    """What fell in one symbol: positions, and their value when their pool fell, in ``asset`` (a sum of floats)."""

    symbol: str
    asset: str
    positions: int
    value: float


class Frame(NamedTuple):
    """All prices of one moment: how many, how many pools the screen named, and how many fell; seconds of the screen.

    ``read``: pools that the screen valued: those near the level, those of rings left behind, all of them in a sweep.
    """

    at: datetime
    prices: int
    named: int
    fell: int
    seconds: float
    read: int


class Watched(NamedTuple):
    """A fleet after a tape. ``exact``: assessments made.

    ``baskets`` and ``looks``: pools that columns cannot hold, and that compiled code or the exact lane alone values
    when a price of theirs leaves its band. ``build_seconds``: reading and packing; ``exact_seconds``: deciding;
    ``compile_seconds``: compiling kernels, which is in none of the others. ``forced``: what fell by symbol, most first
    within an asset. ``ending``: those nearest to the level at the end, worst first, where they were asked for.
    ``moments``: the prices of the walk. ``reasons``: why pools are not known.
    """

    level: Decimal
    accounts: int
    pools: int
    positions: int
    frames: tuple[Frame, ...]
    fallen: tuple[Fallen, ...]
    exact: int
    baskets: int
    looks: int
    unknown: int
    build_seconds: float
    exact_seconds: float
    assumptions: tuple[str, ...]
    compile_seconds: float
    forced: tuple[Forced, ...]
    ending: tuple[Standing, ...]
    moments: Moments
    reasons: Reasons


__all__ = ["Fallen", "Forced", "Frame", "Moments", "Standing", "Watched"]
