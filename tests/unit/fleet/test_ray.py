"""A fleet on Ray: the bytes of one process, also when a worker is killed on the way; and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ringfence.errors import BadConfiguration, BadInput
from ringfence.fleet import Fleet
from ringfence.fleet.build import Request, build
from ringfence.fleet.example import write_example
from ringfence.fleet.ray_units import Cluster
from ringfence.fleet.results import watch_json, watch_table
from ringfence.fleet.scenarios import steps, together
from ringfence.fleet.screening import screen
from ringfence.fleet.stress import stress
from ringfence.fleet.watching import watch
from ringfence.tape import load_tape, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


def children() -> set[int]:
    """The processes that descend from this one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    folder = tmp_path_factory.mktemp("ray")
    write_example(480, 3, folder / "whole.parquet")
    return build([folder / "whole.parquet"], folder / "parts.parquet", Request(unit=60)).fleet


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    before = children()
    with Cluster("local", workers=2) as started:
        yield started
    assert children() <= before


SCENARIOS = together(steps(Decimal("0.4"), 9))


def same(one: Any, other: Any) -> bool:
    pairs = zip(one.sums[:-1], other.sums[:-1], strict=True)  # the last: why pools are not known
    numbers = all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
    return numbers and bool(one.sums.reasons == other.sums.reasons)


def test_ray_gives_the_bytes_of_one_process(cluster: Cluster, fleet: Fleet) -> None:
    assert same(stress(fleet, SCENARIOS), stress(fleet, SCENARIOS, sums=lambda plan: cluster.units(fleet, plan)))
    assert screen(fleet) == screen(fleet, units=lambda plan: cluster.units(fleet, plan))


def test_a_fleet_in_memory_is_sent_to_the_workers(cluster: Cluster, fleet: Fleet) -> None:
    held = Fleet.from_arrow(fleet.to_arrow())
    assert screen(fleet).worst == screen(held, units=lambda plan: cluster.units(held, plan)).worst


def test_a_worker_killed_on_the_way_changes_nothing(cluster: Cluster, fleet: Fleet) -> None:
    killed: list[int] = []

    def units(plan: Any) -> Iterator[Any]:
        results = cluster.units(fleet, plan)
        yield next(results)
        killed.extend(cluster.processes())
        os.kill(killed[1], signal.SIGKILL)
        yield from results

    assert same(stress(fleet, SCENARIOS), stress(fleet, SCENARIOS, sums=units))
    assert len(set(cluster.processes()) - set(killed)) == 1


def test_what_is_wrong_with_a_fleet_comes_back_from_a_worker_as_it_is(cluster: Cluster, fleet: Fleet) -> None:
    def units(plan: Any) -> Iterator[Any]:
        gone = Fleet(fleet.terms, "gone", path=Path("gone.parquet"))
        yield from cluster.units(gone, plan)

    with pytest.raises((BadInput, FileNotFoundError)):
        screen(fleet, units=units)


def test_without_ray_one_machine_does_as_before_and_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadConfiguration, match="a fleet on several machines needs Ray") as caught, Cluster():
        pass
    assert "ringfence[ray]" in (caught.value.hint or "")


def test_ray_is_not_imported_unless_it_is_asked_for(fleet: Fleet) -> None:
    code = (
        "import sys; from ringfence.cli import main; "
        f"main(['-q', 'fleet', 'screen', {str(fleet.path)!r}, '--json']); print('ray' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert done.stderr.strip() == "False"


def test_a_tape_watched_on_ray_names_whom_one_process_names_also_when_a_worker_dies(
    cluster: Cluster, fleet: Fleet
) -> None:
    start = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
    tape = load_tape("2025-10-10").select(start=start, end=start + timedelta(minutes=20))
    path = walk(tape, 1, intermediate=0)

    def lots(plan: Any) -> Iterator[Any]:
        results = cluster.units(fleet, plan)
        yield next(results)
        os.kill(cluster.processes()[1], signal.SIGKILL)
        yield from results

    alone = watch(fleet, path, level=Decimal(2), at_once=2)
    on_ray = watch(fleet, path, level=Decimal(2), at_once=2, lots=lots)
    assert len(alone.fallen) > 10
    assert watch_table(on_ray).equals(watch_table(alone))
    documents = [watch_json(fleet, found, 1000) | {"rates": None} for found in (alone, on_ray)]
    assert documents[0] == documents[1]
    assert [frame[:4] for frame in on_ray.frames] == [frame[:4] for frame in alone.frames]
