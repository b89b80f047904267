"""Work on several cores at once: the same results, in the same order, whatever the number of cores.

Threads, not processes: what is done here is mostly numpy, which lets go of the interpreter while it computes, and a
thread starts in no time. Work is cut by what is asked, never by the number of cores: results do not depend on it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sized
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[T], R], items: Iterable[T], *, workers: int | None = None) -> Iterator[R]:
    """Yield ``work(item)`` of every item, in their order, as many at once as there are ``workers`` (cores if None).

    No more results than that are held ahead of the one that is due, for each may be large. ``work`` runs in the
    caller's context (its decimal context too), and must not depend on what it did with other items.
    """
    count = cores() if workers is None else workers
    if isinstance(items, Sized):
        count = min(count, len(items))
    if count < 2:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[Future[R]] = deque()
    rest = iter(items)
    with ThreadPoolExecutor(count, thread_name_prefix="study") as pool:

        def start(number: int) -> None:
            waiting.extend(pool.submit(copy_context().run, work, item) for item in islice(rest, number))

        try:
            start(count)
            while waiting:
                found = waiting.popleft().result()
                start(1)
                yield found
        finally:
            for future in waiting:
                future.cancel()


__all__ = ["cores", "in_order"]
