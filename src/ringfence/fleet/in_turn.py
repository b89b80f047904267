"""The units of a fleet computed by this machine's threads, and given back in their order.

Reading, the kernels and most of NumPy let go of the interpreter lock, so that units are computed side by side. No more
than one unit a thread is held. Where the exact lane has much to decide, units tell how far they are (:func:`counted`).
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.fleet import Fleet

_PAUSE = 0.1  # seconds between two words of progress

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Plan(Protocol[R_co]):
    """What every unit is put through: a stress's plan, a screen's, or a watch's.

    ``at_once``: how many units are taken together; with more than one, ``unit`` is handed a list of them.
    """

    at_once: int

    def unit(self, batch: Any) -> R_co:
        """Return what one unit adds."""


def groups(fleet: Fleet, plan: Plan[Any]) -> list[range]:
    """Return the units that are taken together, in their order."""
    return [range(at, min(at + plan.at_once, fleet.units)) for at in range(0, fleet.units, plan.at_once)]


def handed(fleet: Fleet, plan: Plan[Any], group: range) -> Any:
    """Return what the plan is handed for some units."""
    units = [fleet.unit(index, coded=True) for index in group]
    return units if plan.at_once > 1 else units[0]


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(fleet: Fleet, plan: Plan[R], threads: int | None = None) -> Iterator[R]:
    """Yield what each unit of a fleet adds, in their order. ``threads``: as many as there are cores if not given."""
    parts = groups(fleet, plan)
    count = threads or min(usable_cores(), len(parts))
    if count == 1:
        yield from (plan.unit(handed(fleet, plan, group)) for group in parts)
        return
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[R]] = deque()
        for group in parts:
            if len(waiting) == count:
                yield waiting.popleft().result()
            waiting.append(pool.submit(lambda at: plan.unit(handed(fleet, plan, at)), group))
        while waiting:
            yield waiting.popleft().result()


class Told:
    """Adds up what is done side by side, and tells the sum."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self._progress, self._done, self._lock = progress, 0, Lock()

    def more(self, done: int) -> None:
        """Add what else is done."""
        with self._lock:
            self._done += done
            if self._progress is not None:
                self._progress(self._done)


def counted(
    pools: NDArray[np.int64], account: NDArray[np.int64], accounts: int, told: Callable[[int], None] | None
) -> Iterator[int]:
    """Yield pools that take long, and tell of how many more of a unit's ``accounts`` are done: all of them at the end.

    ``account`` of every pool of the unit, ascending, as ``pools`` are.
    """
    if told is None:
        yield from pools.tolist()
        return
    owner = account[pools].tolist()
    slow = len(set(owner))
    told(accounts - slow)
    done, last, heard = 0, perf_counter(), 0
    for at, pool in enumerate(pools.tolist()):
        yield pool
        done += at + 1 == len(owner) or owner[at + 1] != owner[at]
        now = perf_counter()
        if now - last > _PAUSE:
            told(done - heard)
            heard, last = done, now
    told(slow - heard)


__all__ = ["Plan", "Told", "counted", "groups", "handed", "in_turn", "usable_cores"]
