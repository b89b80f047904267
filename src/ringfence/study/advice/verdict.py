"""What advice comes to for one position."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ringfence.numbers import Value


class Verdict(NamedTuple):
    """One position's.

    ``verdict``: ``pool`` or ``ring-fence``, or ``close`` where nothing of it is to be left; in a book with options,
    which is one pool, ``keep``, ``reduce`` or ``close``. ``how``: in words; ``margin``: of an isolated one;
    ``decided``: by ``evidence`` or by ``circumstances``.
    """

    symbol: str
    side: str
    verdict: str
    how: str
    margin: Value | None
    account: str
    changed: bool
    reasons: tuple[str, ...]
    decided: str = "evidence"


__all__ = ["Verdict"]
