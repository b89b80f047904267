"""When kernels are compiled, and for how long: once per machine and version, then they are read from disk.

Compiling takes seconds to half a minute, in which nothing else moves: whoever waits is told, and no rate counts it.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ringfence.screen.compiled import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Clock:
    """Adds up the seconds in which this process compiled. numba compiles in one thread at a time."""

    def __init__(self) -> None:
        self.by_thread: dict[int, float] = {}
        self.tell: Callable[[], None] | None = None
        self._depth, self._begun = 0, 0.0

    def start(self) -> None:
        self._depth += 1  # a kernel that calls another compiles it on the way
        if self._depth == 1:
            self._begun = perf_counter()
            tell, self.tell = self.tell, None
            if tell is not None:
                tell()

    def end(self) -> None:
        self._depth -= 1
        if not self._depth:
            thread = get_ident()
            self.by_thread[thread] = self.by_thread.get(thread, 0.0) + perf_counter() - self._begun


_clock: list[_Clock] = []  # one, once numba is imported


def _registered() -> _Clock:
    """Return the clock of this process, listening to numba from the first call on."""
    if not _clock:
        require()
        from numba.core import event

        made = _Clock()

        class Listener(event.Listener):  # type: ignore[misc] # numba has no types
            def on_start(self, event: Any) -> None:
                del event
                made.start()

            def on_end(self, event: Any) -> None:
                del event
                made.end()

        event.register("numba:compile", Listener())
        _clock.append(made)
    return _clock[0]


def compile_seconds() -> float:
    """Return for how many seconds this process has compiled since it was first asked; what came from disk is not in it.

    Raises BadConfiguration without the extra ``fleet``.
    """
    return sum(_registered().by_thread.values())


def clock() -> float:
    """Return the time in seconds as :func:`time.perf_counter` does, without those in which this thread compiled."""
    return perf_counter() - _registered().by_thread.get(get_ident(), 0.0)


@contextmanager
def compiling_told(tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` when the first kernel has to be compiled, if any has. Raises BadConfiguration without the extra."""
    told = _registered()
    told.tell = tell
    try:
        yield
    finally:
        told.tell = None


__all__ = ["clock", "compile_seconds", "compiling_told"]
