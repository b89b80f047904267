"""Chance by arithmetic: SplitMix64 on integers, so that a seed gives the same run on every machine and every Python.

Source of the generator: Guy L. Steele Jr., Doug Lea, Christine H. Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014; its constants are those of the public reference implementation (Sebastiano Vigna, 2015).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mixed(number: int) -> int:
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class Chance:
    """A stream of chance: SplitMix64 begun at ``seed``, or at what a ``path`` from there leads to.

    Two of one seed and one path give the same numbers for ever. A step is added to what the seed was mixed into: added
    to the seed itself, seed 4 with step 6 would be seed 5 with step 5.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int, *path: int) -> None:
        state = seed & _MASK
        for step in path:
            state = _mixed((_mixed((state + _GOLDEN) & _MASK) + (step & _MASK)) & _MASK)
        self._state = state

    def number(self) -> int:
        """Return the next 64 bits."""
        self._state = (self._state + _GOLDEN) & _MASK
        return _mixed(self._state)

    def below(self, bound: int) -> int:
        """Return an integer from 0 up to but without ``bound`` (> 0). The modulus has a bias too small to matter."""
        return self.number() % bound

    def between(self, lowest: int, highest: int) -> int:
        """Return an integer from ``lowest`` to ``highest``, both included."""
        return lowest + self.below(highest - lowest + 1)

    def happens(self, per_mille: int) -> bool:
        """Return True ``per_mille`` times in a thousand."""
        return self.below(1000) < per_mille

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of ``choices``, all alike."""
        return choices[self.below(len(choices))]

    def weighted(self, choices: Sequence[tuple[int, T]]) -> T:
        """Return one of (weight, choice) by weight."""
        left = self.below(sum(weight for weight, _ in choices))
        for weight, choice in choices:
            left -= weight
            if left < 0:
                return choice
        raise AssertionError("weights are positive")

    def fraction(self, lowest: int, highest: int, *, places: int) -> Decimal:
        """Return a decimal between two integers of the last of ``places`` places: (−5, 5, places=3) is ±0.005."""
        return Decimal(self.between(lowest, highest)).scaleb(-places)


__all__ = ["Chance"]
