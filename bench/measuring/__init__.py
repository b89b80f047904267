"""What every benchmark shares: the machine it ran on, how long a call takes, and how the result is written.

Standard library only: the peers' own environments import it too.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from statistics import median
from time import process_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "out" / "bench"


def machine() -> dict[str, Any]:
    """Return what a figure depends on: processor, cores this process may use, load average, system, Python."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_model(),
        "cores": usable,
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def machine_line(described: dict[str, Any]) -> str:
    """Return :func:`machine` as one line of text."""
    return "{cpu}, {cores} cores, load average {load_average}, {system}, {python}".format(**described)


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown processor")


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    started = process_time()
    call()
    return process_time() - started


def seconds_per_call(function: Callable[[], object], *, at_least: float) -> float:
    """Return the mean processor time of ``function()`` over as many calls as ``at_least`` seconds hold.

    Of a call that waits for nothing, processor time is the wall time on a machine with nothing else to do.
    """
    function()
    calls, elapsed = 0, 0.0
    batch = 1
    started = process_time()
    while elapsed < at_least:
        for _ in range(batch):
            function()
        calls += batch
        elapsed = process_time() - started
        batch = max(1, min(4 * batch, int((at_least - elapsed) * calls / elapsed) + 1))
    return elapsed / calls


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, best and worst of the rounds in microseconds, and calls per second at the median."""
    middle = median(seconds)
    return {
        "microseconds": round(middle * 1e6, 3),
        "best": round(min(seconds) * 1e6, 3),
        "worst": round(max(seconds) * 1e6, 3),
        "per_second": round(1 / middle, 1),
    }


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned text: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    lines = []
    for row in (headers, ["─" * width for width in widths], *rows):
        cells = [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def write(name: str, result: dict[str, Any]) -> Path:
    """Write ``result`` to out/bench/``name``.json and return that path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
