"""``dataclass`` as commands, events and resting orders use it: frozen for the type checker, not at run time.

A frozen dataclass sets every field through ``object.__setattr__``, which makes an event of twenty fields cost ten times
what an ordinary one does; a crash makes hundreds of thousands of them. Nobody changes a message: mypy says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False):  # noqa: ANN201 - mypy sees the real one
        """Return the decorator of an immutable message."""
        assert frozen  # noqa: S101 - by those who use it
        return dataclasses.dataclass(slots=slots, kw_only=kw_only, unsafe_hash=True)


__all__ = ["dataclass"]
