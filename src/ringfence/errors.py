"""Every error ringfence raises on purpose, in one tree.

    RingfenceError
    ├── BadInput                 exit 3: something given to us is wrong; nothing was changed
    │   ├── BadAccount           an account file, or an account that cannot be
    │   │   └── BadFleet         rows of the tables that very many accounts stand in; holds every fault found
    │   ├── BadRulebook          a rulebook's rules or tables
    │   ├── BadTape              prices over time
    │   └── BadConfiguration     settings
    ├── AuthenticationFailed     exit 4: an exchange refused the key, or what it may do
    ├── SourceUnavailable        exit 5: an exchange or a file of market data cannot be reached, or is stale
    └── VerificationFailed       exit 6: a check was run and did not hold

A refusal by the venue's rules (too much leverage, margin that may not be removed) is not an error but an answer:
see :class:`ringfence.margin.change.Refusal`. A broken assumption of our own is an :class:`AssertionError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class RingfenceError(Exception):
    """Root of everything raised on purpose. ``exit_code`` is what the command line ends with."""

    exit_code = 1


class BadInput(RingfenceError):
    """Something given to us is wrong. Says what was expected, what was found, where, and what to do.

    ``where`` names the file and the field or line; ``hint`` is one sentence that starts with a verb.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.expected = expected
        self.found = found
        self.hint = hint

    def located(self, where: str) -> BadInput:
        """Return this error with ``where`` put in front of the place already known."""
        place = f"{where}: {self.where}" if self.where else where
        return type(self)(self.message, where=place, expected=self.expected, found=self.found, hint=self.hint)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.message}" if self.where else self.message]
        lines += [
            f"  {label}: {text}"
            for label, text in (("expected", self.expected), ("found", self.found), ("do", self.hint))
            if text
        ]
        return "\n".join(lines)


class BadAccount(BadInput):
    """An account file that cannot be read, or an account that cannot exist."""


class BadFleet(BadAccount):
    """Tables of very many accounts with rows that cannot be. ``faults``: one error each, in the order of the rows.

    ``more`` says that looking was given up at some number of faults.
    """

    def __init__(self, faults: Sequence[BadInput], *, more: bool = False) -> None:
        first = faults[0]
        super().__init__(first.message, where=first.where, expected=first.expected, found=first.found, hint=first.hint)
        self.faults = tuple(faults)
        self.more = more

    def __str__(self) -> str:
        if len(self.faults) == 1 and not self.more:
            return str(self.faults[0])
        counted = f"{'more than ' if self.more else ''}{len(self.faults)} faults; nothing was written"
        return "\n".join([counted, *(str(fault) for fault in self.faults)])


class BadRulebook(BadInput):
    """Rules or tables that are missing, contradictory or unknown."""


class BadTape(BadInput):
    """Prices over time that cannot be used."""


class BadConfiguration(BadInput):
    """A setting that is not known or cannot be."""


class AuthenticationFailed(RingfenceError):
    """An exchange refused the key, its permissions or the address it was used from; asking again changes nothing."""

    exit_code = 4


class SourceUnavailable(RingfenceError):
    """An exchange or market-data source did not answer, or its answer is too old."""

    exit_code = 5


class VerificationFailed(RingfenceError):
    """A check was run and what it checks does not hold."""

    exit_code = 6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return a hint naming the known words closest to ``word``, or None when nothing is close."""
    from difflib import get_close_matches  # only once something is wrong

    close = get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else None
