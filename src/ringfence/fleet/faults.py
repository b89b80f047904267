"""Faults of rows, collected so that one look at the message mends a whole file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from ringfence.errors import BadAccount, BadFleet

if TYPE_CHECKING:
    from ringfence.errors import BadInput

_PLACED = re.compile(r"(.*?): (?:row|line) (\d+)")
MOST = 20  #: faults that are listed


class Faults:
    """Faults found so far. Looking is given up after ``most`` of them."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.found: list[BadInput] = []

    def add(self, message: str, *, where: str, expected: str, found: str, hint: str | None = None) -> None:
        """Note a fault. Raises BadFleet when there are enough of them."""
        self.note(BadAccount(message, where=where, expected=expected, found=found, hint=hint))

    def note(self, error: BadInput) -> None:
        """Note a fault. Raises BadFleet when there are enough of them."""
        if len(self.found) >= self.most:
            self._give_up(more=True)
        self.found.append(error)

    def raise_any(self) -> None:
        """Raise BadFleet when there are faults."""
        if self.found:
            self.found.sort(key=_place)
            self._give_up(more=False)

    def _give_up(self, *, more: bool) -> NoReturn:
        raise BadFleet(self.found, more=more) from None


def _place(fault: BadInput) -> tuple[str, int]:
    """Return file and row, or line, of a fault; faults of one row stay as they were found."""
    found = _PLACED.match(fault.where or "")
    return (found[1], int(found[2])) if found else (fault.where or "", 0)


__all__ = ["MOST", "Faults"]
