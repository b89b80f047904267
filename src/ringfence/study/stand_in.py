"""What stands in for a coin that a tape lacks; which of its symbols stands in for which: :mod:`ringfence.tape.coins`.

A coin that the tape lacks is taken to have done the median of what the tape's symbols did, between the least and the
most of them; a tape that has no coin of the account says nothing. One rule for crashes, estimates and advice, ours, and
results say what was put in.
"""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_DEEPEST = Decimal("-0.99")  # a fall beyond it is no price

Measure = Literal["move", "volatility"]


class PutIn(NamedTuple):
    """What was put in for a coin that a tape lacks: the median of the tape's symbols, and the least and most of them.

    ``measure``: ``move``, a share of the price, or ``volatility``, a standard deviation of the return over a day.
    ``of``: how many symbols the tape has.
    """

    symbol: str
    tape: str
    measure: Measure
    median: Decimal
    least: Decimal
    most: Decimal
    of: int

    def said(self) -> str:
        """Return it as a sentence."""
        middle, least, most = (_percent(share) for share in (self.median, self.least, self.most))
        what = "daily volatility" if self.measure == "volatility" else "move"
        if self.of == 1:
            return (
                f"the {what} of its only symbol stands in, {middle}; {least} to {most} are taken to be possible (ours)"
            )
        return f"the median {what} of its {self.of} symbols stands in, {middle}; theirs are {least} to {most}"

    def as_json(self) -> dict[str, str | int]:
        """Return it with numbers as strings."""
        return {"symbol": self.symbol, "tape": self.tape, "measure": self.measure, "median": plain(self.median),
                "least": plain(self.least), "most": plain(self.most), "of": self.of}  # fmt: skip


def put_in(symbol: str, known: Collection[Decimal], *, tape: str, measure: Measure = "move") -> PutIn:
    """Return what stands in for a figure of ``symbol``, which the tape lacks. ``known``: those of the tape's symbols.

    One symbol has no spread: half and twice its figure are the least and the most then. Ours.
    """
    by_size = sorted(known, key=abs)
    least, most = (by_size[0], by_size[-1]) if len(by_size) > 1 else (by_size[0] / 2, by_size[0] * 2)
    return PutIn(symbol, tape, measure, median(known), least, max(most, _DEEPEST), len(known))


def said(given: Iterable[PutIn], *, of: str) -> list[str]:
    """Return sentences on what was put in, a sentence for the symbols that were given the same. ``of``: the tape."""
    symbols: dict[str, list[str]] = {}
    for one in given:
        symbols.setdefault(one.said(), []).append(one.symbol)
    return [f"* {of} has no {', '.join(names)}: {sentence}" for sentence, names in symbols.items()]


def _percent(share: Decimal) -> str:
    return f"{'−' if share < 0 else ''}{abs(share) * 100:.1f} %"


__all__ = ["PutIn", "put_in", "said"]
