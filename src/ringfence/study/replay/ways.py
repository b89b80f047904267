"""What a replay under several architectures found: each way by itself, and all of them side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.numbers import ROUND_HALF_EVEN, ZERO, divide, exact
from ringfence.rulebook import ARCHITECTURES
from ringfence.study.architecture import WORDS
from ringfence.study.wording import amount, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from ringfence.account_file import AccountFile
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.replay.result import ForcedTrade
    from ringfence.tape import Tape, Walk

_PLACES = 6  # of a drawdown


class Moment(NamedTuple):
    """A way at a moment: what it is worth, and the lowest health of its pools (None: none holds a position)."""

    ts: datetime
    worth: Value
    health: Decimal | None


class Happening(NamedTuple):
    """What happened to a pool of a way.

    ``kind``: warning, margin_call, reduction (by force, nothing closed), liquidation, or exchange (a debt paid with
    other assets). ``balance``, ``requirement``: of the pool before it, in its own unit. ``worth``: of the whole way
    afterwards. ``fund``: what the insurance fund got, or, below 0, paid for it, in the account's currency.
    """

    ts: datetime
    way: str
    kind: str
    pool: str
    health: Decimal | None
    balance: Value
    requirement: Value
    worth: Value
    fund: Value = ZERO
    trades: tuple[ForcedTrade, ...] = ()
    said: str = ""


class Way(NamedTuple):
    """How one architecture went. ``unavailable``: why the account was not held so; then the rest is empty.

    ``closed`` and ``reduced``: positions that force closed, and of which it closed a part. ``kept``: what is held at
    the end. ``assumptions``: terms of portfolio margin that are ours and not the venue's.
    """

    name: str
    unavailable: str | None
    moments: tuple[Moment, ...] = ()
    happenings: tuple[Happening, ...] = ()
    closed: tuple[str, ...] = ()
    reduced: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The name for people."""
        return WORDS[self.name]

    @property
    def start(self) -> Value:
        """What the way was worth when it began."""
        return self.moments[0].worth

    @property
    def end(self) -> Value:
        """What it was worth at the end."""
        return self.moments[-1].worth

    @property
    def lowest(self) -> Moment:
        """The moment at which it was worth least, the first of equals."""
        return min(self.moments, key=lambda one: one.worth)

    @property
    def lowest_health(self) -> Decimal | None:
        """The lowest health it was seen at, every minute and whenever something happened; None without a position."""
        seen = [*(one.health for one in self.moments), *(one.health for one in self.happenings)]
        return min((health for health in seen if health is not None), default=None)

    @property
    @exact
    def drawdown(self) -> Decimal:
        """The largest fall from a peak as a share of it, 6 places."""
        peak = deepest = ZERO
        for one in self.moments:
            peak = max(peak, one.worth)
            if peak > 0:
                deepest = max(deepest, divide(peak - one.worth, peak, places=_PLACES, rounding=ROUND_HALF_EVEN))
        return deepest

    @property
    @exact
    def fund(self) -> Value:
        """What the insurance fund got from it, less what it paid, in the account's currency."""
        return sum((one.fund for one in self.happenings), ZERO)

    def count(self, *kinds: str) -> int:
        """Return how often something of these kinds happened."""
        return sum(1 for one in self.happenings if one.kind in kinds)


class SideBySide(NamedTuple):
    """One account through one tape under several architectures."""

    file: AccountFile
    tape: Tape
    rulebook: Rulebook
    seed: int
    walk: Walk
    ticks: int
    ways: tuple[Way, ...]
    assumptions: tuple[str, ...]

    @property
    def held(self) -> tuple[Way, ...]:
        """The ways that the account was held in."""
        return tuple(way for way in self.ways if way.unavailable is None)

    def verdict(self) -> str:
        """Return the result in a few sentences, computed from it."""
        held = sorted(self.held, key=lambda way: (-way.end, way.name))
        if not held:
            return "The account could be held in none of these ways."
        said = [f"{way.words} {amount(way.end)}" for way in held]
        first = f"Of {amount(held[0].start)} at the start, {listed(said)} are left at the end."
        spared = [way.words for way in held if not way.count("reduction", "liquidation")]
        if len(spared) == len(held):
            second = "None of them was liquidated."
        elif spared:
            second = f"Not liquidated: {listed(spared)}."
        else:
            second = "Each of them was liquidated, at least in part."
        return f"{first} {second} One tape is one path: another crash may rank them otherwise."


def chosen(names: Sequence[str], rulebook: Rulebook) -> tuple[str, ...]:
    """Return the architectures that a list names, in order of pooling; ``all``: whatever the venue says anything of.

    Raises BadConfiguration for a name that is none.
    """
    found = {name.strip().replace("-", "_") for name in names if name.strip()}
    if found == {"all"}:
        known = {offer.name for offer in rulebook.architectures() if offer.offered is not None}
        return tuple(name for name in ARCHITECTURES if name in known)
    wrong = sorted(found - set(ARCHITECTURES))
    if wrong or not found:
        raise BadConfiguration(
            "no such margin architecture", where="--architectures",
            expected=f"all, or some of {', '.join(WORDS.values())}", found=", ".join(wrong) or "none",
            hint="name them with commas between: --architectures isolated,cross,portfolio",
        )  # fmt: skip
    return tuple(name for name in ARCHITECTURES if name in found)


__all__ = ["Happening", "Moment", "SideBySide", "Way", "chosen"]
