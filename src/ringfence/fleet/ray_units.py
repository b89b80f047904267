"""A fleet beyond one machine: its units are computed by workers on a Ray cluster (extra ``ray``), put together here.

Every worker is given the plan once (rules, marks, scenarios), and then units to compute. Results come back in the order
of the units and are added up in it, so they are those of one process, byte for byte. A worker that dies is started anew
and computes again what it had not given back.

Nothing else imports Ray. Its usage statistics are switched off before it is imported.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ringfence.errors import BadConfiguration
from ringfence.fleet.in_turn import groups, handed
from ringfence.fleet.ray_address import LOCAL, check_address, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.in_turn import Plan

AHEAD = 2  #: units that wait for each worker
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_raylet_start_wait_time_s": "180",  # a busy machine takes its time
    "RAY_enable_metrics_collection": "0",
}
R = TypeVar("R")


class Worker:
    """Computes units on some machine of the cluster. It opens the fleet's file itself, or is handed record batches."""

    def __init__(self) -> None:
        self._key = -1
        self._plan: Any = None
        self._fleet: Fleet | None = None

    def compute(self, key: int, shared: list[Any], unit: Any) -> Any:
        """Return what units add: of their numbers, or of the record batches themselves.

        ``shared``: references of plan and fleet, fetched when ``key`` is a new one, as after the worker died.
        """
        if key != self._key:
            import ray

            self._plan, self._fleet = ray.get(shared)
            self._key = key
        return self._plan.unit(handed(self._fleet, self._plan, unit) if self._fleet is not None else unit)

    def process(self) -> int:
        """Return the worker's process id."""
        return os.getpid()


class Cluster:
    """A Ray cluster: one that ``address`` names, or a local one that lives as long as this context (``local``).

    Entering raises BadConfiguration without Ray or an address, SourceUnavailable where no cluster answers.
    """

    def __init__(self, address: str = LOCAL, *, workers: int | None = None) -> None:
        self.address, self._wanted = address, workers
        self.workers: list[Any] = []
        self._folder: str | None = None
        self._ray: Any = None
        self._key = 0

    def __enter__(self) -> Self:
        check_address(self.address)
        ray = self._ray = _ray()
        settings: dict[str, Any] = {"include_dashboard": False, "num_cpus": self._wanted or os.cpu_count() or 1}
        if self.address == LOCAL:
            self._folder = tempfile.mkdtemp(prefix="rf-ray-")
            settings["_temp_dir"] = self._folder
        else:
            settings = {"address": self.address}
        try:
            with warnings.catch_warnings(), _package_on_path():
                warnings.simplefilter("ignore")
                ray.init(log_to_driver=False, logging_level="error", ignore_reinit_error=False, **settings)
        except Exception as error:  # noqa: BLE001 - Ray raises a bare Exception when it takes too long
            ray.shutdown()
            self._clear()
            raise unreachable(self.address, str(error).split("\n", maxsplit=1)[0]) from None
        return self

    def __exit__(self, *_: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for worker in self.workers:
                self._ray.kill(worker)
            self.workers = []
            self._ray.shutdown()
        self._clear()

    def _clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def processes(self) -> list[int]:
        """Return the workers' process ids."""
        found: list[int] = self._ray.get([worker.process.remote() for worker in self.workers])
        return found

    def units(self, fleet: Fleet, plan: Plan[R]) -> Iterator[R]:
        """Yield what every unit of a fleet adds, in their order, computed by the cluster's workers.

        Workers of a local cluster read the file themselves; to others the units are sent. Errors of the RingfenceError
        tree come back as they are.
        """
        ray = self._ray
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._start()
            self._key += 1
            # Held here for as long as a worker may have to be started anew.
            shared = [ray.put(plan), ray.put(fleet if self.address == LOCAL and fleet.path is not None else None)]
            waiting: deque[Any] = deque()
            for index, group in enumerate(groups(fleet, plan)):
                if len(waiting) >= AHEAD * len(self.workers):
                    yield self._result(waiting.popleft())
                unit: Any = group
                if self.address != LOCAL or fleet.path is None:
                    unit = ray.put(handed(fleet, plan, group))
                waiting.append(self.workers[index % len(self.workers)].compute.remote(self._key, shared, unit))
            while waiting:
                yield self._result(waiting.popleft())

    def _start(self) -> None:
        if not self.workers:
            count = self._wanted or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
            made = self._ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(Worker)
            self.workers = [made.remote() for _ in range(count)]

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None


def _ray() -> Any:
    """Import Ray, quietly. Raises BadConfiguration without the extra."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError:
        raise BadConfiguration(
            "a fleet on several machines needs Ray, which is not installed", where="--ray", expected="the extra ray",
            found="no module ray", hint="install it with: pip install 'ringfence[ray]'; one machine needs no --ray",
        ) from None  # fmt: skip
    return ray


class _package_on_path:  # noqa: N801 - used like a function
    """Let processes that are started meanwhile import this very package."""

    def __enter__(self) -> None:
        import ringfence

        self._before = os.environ.get("PYTHONPATH")
        own = str(Path(ringfence.__file__).parents[1])
        os.environ["PYTHONPATH"] = os.pathsep.join([own, *([self._before] if self._before else [])])

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = self._before


__all__ = ["LOCAL", "Cluster", "Worker"]
