"""How fast a fleet is screened: the full sweep beside the memory limit, the incremental way beside the sweep.

    python bench/screen.py [--small] [--accounts 1000000] [--large 10000000] [--frames 300]

Population and price paths: bench/population. Everything in one process and one run: how fast this machine reads memory
(the sweep's own arrays, summed), sweeps with one and with all threads, frames of 500 prices through the incremental
screen on a calm and on a stressed book and through a crash, with the pools named at every frame compared to a sweep's;
how all of it grows from 10,000 accounts on; and how long a new process takes to its first answer with kernels cached.

Sweeps are wall time: with more than one thread, on a machine that does other work, only the best of them says
something. Frames are processor time of one thread, for the incremental screen and for the sweep beside it, the median
of three passes over the path (the longer path and growth: one pass). Results: out/bench/screen.json and
out/bench/screen.svg.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import REPOSITORY, machine, machine_line, table, write
from measuring.curves import Curve, picture
from numba import get_num_threads, prange, set_num_threads
from population import Population, draw, shock_path

from ringfence.screen.columns import pack
from ringfence.screen.compiled import compiled_parallel
from ringfence.screen.rings import Incremental
from ringfence.screen.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEARNED = 20  # frames from which the expected moves are taken, before those that are timed
FEW = 60  # frames of the largest fleet, whose sweeps are slow: the crash itself
PARTS = 64
WARM = """
from time import perf_counter, process_time
began = perf_counter()
import sys
sys.path.insert(0, {bench!r})
import numpy as np
from population import draw
people = draw(200)
drawn, used = perf_counter(), process_time()
from ringfence.screen.columns import pack
from ringfence.screen.rings import Incremental
from ringfence.screen.sweep import Sweep
rings = Incremental(Sweep(pack(people.instruments, people.legs, people.marks)))
rings.look(people.marks * 0.999)
rings.look(people.marks * 0.9)
print(perf_counter() - drawn, process_time() - used)
"""


@compiled_parallel
def read_all(code: Any, lots: Any, constant: Any) -> int:
    """Read the arrays of a sweep once, as 64-bit numbers, with all threads."""
    total = 0
    for part in prange(PARTS):
        found = 0
        for array in (code, lots, constant):
            piece = array[array.size * part // PARTS : array.size * (part + 1) // PARTS]
            for number in range(piece.size):
                found += piece[number]
        total += found
    return total


def timed(call: Callable[[], object], times: int, clock: Callable[[], float] = perf_counter) -> list[float]:
    """Return the seconds of each of ``times`` calls, after one that is not counted."""
    call()
    found = []
    for _ in range(times):
        began = clock()
        call()
        found.append(clock() - began)
    return found


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Return median and best of seconds, in milliseconds."""
    return {"median_ms": round(1e3 * median(seconds), 3), "best_ms": round(1e3 * min(seconds), 3)}


def sweeps(people: Population, path: Floats) -> dict[str, Any]:
    """Time sweeps over the population, with one and with all threads, and the reading of their arrays."""
    columns = pack(people.instruments, people.legs, people.marks)
    sweep = Sweep(columns)
    arrays = [
        array[: array.nbytes // 8 * 8 // array.itemsize].view(np.int64)
        for array in (columns.code, columns.lots, columns.cash)
    ]
    result: dict[str, Any] = {"accounts": people.accounts, "positions": people.positions, "pools": people.pools,
                              "bytes_per_position": round(columns.hot_bytes / columns.legs, 2)}  # fmt: skip
    threads = get_num_threads()
    for used in dict.fromkeys((1, threads)):
        sweep.threads = used
        set_num_threads(used)
        frames = iter(np.tile(path, (4, 1)))
        seconds = timed(lambda frames=frames: sweep.look(people.marks * next(frames)), min(len(path), 15))  # type: ignore[misc]
        reading = timed(lambda: read_all(*arrays), 7)
        worked = timed(lambda frames=frames: sweep.look(people.marks * next(frames)), min(len(path), 15), process_time)  # type: ignore[misc]
        read = timed(lambda: read_all(*arrays), 7, process_time)
        one = milliseconds(seconds)
        result[f"threads_{used}"] = {
            **one,
            "positions_per_second": round(columns.legs / (one["best_ms"] / 1e3)),
            "read_limit_ms": round(1e3 * min(reading), 3),
            "share_of_read_limit": round(min(reading) / min(seconds), 3),
            "processor_ms": round(1e3 * min(worked), 3),
            "processor_read_ms": round(1e3 * min(read), 3),
        }
    set_num_threads(threads)
    result["tiers_changed"] = sweep.edges_crossed
    return result


def frames(people: Population, path: Floats, *, passes: int = 1) -> dict[str, Any]:
    """Run a path through the incremental screen and through sweeps; the pools named must be the same at every frame.

    With several passes the time of a frame is the median of theirs.
    """
    fast, full = [], []
    for _ in range(passes):
        times, named, counted, gone = _through_rings(people, path)
        fast.append(times)
        full.append(_through_sweeps(people, path, gone, named))
    return _frames(np.median(fast, axis=0), np.median(full, axis=0)) | counted | {"same_pools_at_every_frame": True}


def _through_rings(people: Population, path: Floats) -> tuple[list[float], list[Any], dict[str, Any], Any]:
    """Return the seconds of every frame, the pools named, what was counted, and the pools gone before the first one."""
    moves = np.abs(np.diff(np.log(path[:LEARNED]), axis=0)).mean(axis=0) * 1.25
    ahead = people.marks * path[LEARNED - 1]
    sweep = Sweep(pack(people.instruments, people.legs, people.marks), threads=1)
    gone = sweep.look(ahead)
    sweep.take_out(gone)
    began = thread_time()
    rings = Incremental(sweep, expected_moves=moves)
    build = thread_time() - began
    rings.look(ahead)
    fast, named, near, placed = [], [], [], rings.valued
    gc.collect()
    gc.disable()  # as timeit does
    for factors in path[LEARNED:]:
        prices = people.marks * factors
        began = thread_time()
        hits = rings.look(prices)
        fast.append(thread_time() - began)
        near.append(rings.near)
        named.append(np.sort(hits))
        if len(hits):
            rings.take_out(hits)
    gc.enable()
    counted = {
        "build_s": round(build, 2),
        "pools_near": round(float(np.mean(near))),
        "records_placed_per_frame": round((rings.valued - placed) / len(fast), 1),
        "pools_in_rings_at_the_end": sum(rings.standing),
        "swept_frames": rings.sweeps,
        "named": sum(map(len, named)),
        "named_at_once": max(map(len, named)),
    }
    return fast, named, counted, gone


def _through_sweeps(people: Population, path: Floats, gone: Any, named: list[Any]) -> list[float]:
    """Return the seconds of every frame; the pools named must be ``named``."""
    sweep = Sweep(pack(people.instruments, people.legs, people.marks), threads=1)
    sweep.take_out(gone)
    full = []
    gc.collect()
    gc.disable()
    for number, factors in enumerate(path[LEARNED:]):
        prices = people.marks * factors
        began = thread_time()
        hits = sweep.look(prices)
        full.append(thread_time() - began)
        assert np.array_equal(np.sort(hits), named[number]), f"frame {number}: not the pools that a sweep names"
        if len(hits):
            sweep.take_out(hits)
    gc.enable()
    return full


def _frames(fast: Floats, full: Floats) -> dict[str, Any]:
    worst = int(fast.argmax())
    around = full[max(0, worst - 5) : worst + 6]
    usual = float(np.median(full))
    return {
        "frames": len(fast),
        "mean_us": round(float(fast.mean()) * 1e6, 1),
        "median_us": round(float(np.median(fast)) * 1e6, 1),
        "p99_us": round(float(np.percentile(fast, 99)) * 1e6, 1),
        "worst_us": round(float(fast.max()) * 1e6, 1),
        "sweep_median_us": round(usual * 1e6, 1),
        "sweep_near_the_worst_us": round(float(np.median(around)) * 1e6, 1),
        "times_faster_mean": round(usual / float(fast.mean()), 1),
        "times_faster_median": round(usual / float(np.median(fast)), 1),
        "worst_frame_of_sweep": round(float(np.median(around)) / float(fast.max()), 2),
        "sweep_frames_of_sweep": round(float(np.median(full / fast)), 2),
    }


def warm_start(processes: int) -> list[list[float]]:
    """Return seconds (wall, processor) from a drawn population to the first answers, rings and sweep, in new processes.

    They find the kernels cached; numpy and ringfence have been imported to draw the population, numba has not.
    """
    code = WARM.format(bench=str(Path(__file__).resolve().parent))
    found = []
    for _ in range(processes):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        found.append([float(seconds) for seconds in done.stdout.split()])
    return found[1:]


TARGETS = (
    ("sweep, largest fleet, best, ms", "≤ 40 (stretch 25)"),
    ("share of the read limit", "≥ 32 % (stretch 48 %)"),
    ("stressed, calm prices: times faster than the sweep", "≥ 100 (stretch 300)"),
    ("worst crash frame, of the sweep", "≥ 0.8 (stretch 1)"),
    ("warm start, s", "≤ 1"),
)


def report(result: dict[str, Any]) -> None:
    """Print the result."""
    print(f"{machine_line(result['machine'])}\nload average at the end {result['load_average_at_the_end']}\n")
    rows = []
    for one in result["sweeps"]:
        for name, of in one.items():
            if name.startswith("threads_"):
                rows.append([f"{one['accounts']:,} accounts, {one['positions']:,} positions", name[-1],
                             f"{of['median_ms']:.2f}", f"{of['best_ms']:.2f}",
                             f"{of['positions_per_second'] / 1e6:,.0f}",
                             f"{of['read_limit_ms']:.2f}", f"{100 * of['share_of_read_limit']:.0f} %",
                             f"{of['processor_ms']:.2f}", f"{of['processor_read_ms']:.2f}"])  # fmt: skip
    print(
        table(
            (
                "full sweep",
                "threads",
                "median ms",
                "best ms",
                "M positions/s",
                "reading, ms",
                "of it",
                "processor ms",
                "reading",
            ),
            rows,
        )
    )
    rows = [
        [name, f"{of['mean_us']:,.0f}", f"{of['median_us']:,.1f}", f"{of['p99_us']:,.0f}", f"{of['worst_us']:,.0f}",
         f"{of['sweep_median_us']:,.0f}", f"{of['times_faster_mean']:,.1f}", f"{of['times_faster_median']:,.0f}",
         f"{of['worst_frame_of_sweep']:.2f}", f"{of['sweep_frames_of_sweep']:.2f}",
         f"{of['swept_frames']}/{of['frames']}", f"{of['pools_near']:,}", f"{of['records_placed_per_frame']:,}",
         f"{of['named']:,}"]
        for name, of in result["frames"].items()
    ]  # fmt: skip
    headers = ("frames of 500 prices", "mean µs", "median", "p99", "worst", "sweep", "× mean", "× median",
               "sweep ÷ worst", "÷ usual", "swept", "near", "placed", "named")  # fmt: skip
    print(f"\n{table(headers, rows)}")
    rows = [[f"{of['accounts']:,}", f"{of['calm']['median_us']:,.1f}", f"{of['calm']['mean_us']:,.1f}",
             f"{of['crash']['median_us']:,.0f}", f"{of['crash']['worst_us']:,.0f}",
             f"{of['calm']['sweep_median_us']:,.0f}",
             f"{of['calm']['build_s']:.2f}"] for of in result["growth"]]  # fmt: skip
    headers = ("accounts", "calm median µs", "calm mean µs", "crash median µs", "crash worst µs", "sweep µs", "build s")
    print(
        f"\n{table(headers, rows)}\n\nwarm start {median(one[0] for one in result['warm_start_s']):.2f} s, "
        f"processor {median(one[1] for one in result['warm_start_s']):.2f} s"
    )


def main() -> None:
    """Measure, print, and write JSON and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000, help="accounts of the frames")
    parser.add_argument("--large", type=int, default=10_000_000, help="accounts of the largest sweep; 0: none")
    parser.add_argument("--frames", type=int, default=300, help="frames of a path")
    parser.add_argument("--small", action="store_true", help="4,000 accounts and few frames: to try it out")
    options, _ = parser.parse_known_args()
    if options.small:
        options.accounts, options.large, options.frames = 4_000, 0, 60
    described = machine()
    calm, crash = (shock_path(options.frames + LEARNED, crash=crashing) for crashing in (False, True))
    result: dict[str, Any] = {"schema": "ringfence.bench.screen/1", "machine": described, "sweeps": [], "frames": {},
                              "growth": [], "targets": dict(TARGETS)}  # fmt: skip
    _say("kernels")
    for path in (calm, crash):  # compiled, or read from the cache, before anything is timed
        frames(draw(20_000, stressed=True), path)
    longer = shock_path(4 * options.frames + LEARNED, crash=False)
    for name, stressed, path in (
        ("base book, calm", False, calm), ("stressed book, calm", True, calm),
        ("stressed book, calm, for longer", True, longer),
        ("base book, crash", False, crash), ("stressed book, crash", True, crash),
    ):  # fmt: skip
        _say(name)
        result["frames"][name] = frames(
            draw(options.accounts, stressed=stressed), path, passes=1 if path is longer else 3
        )
        gc.collect()
    sizes = (1_000, 4_000) if options.small else (10_000, 100_000, options.accounts)
    for accounts in sizes:
        _say(f"growth, {accounts:,} accounts")
        people = draw(accounts, stressed=True)
        result["growth"].append({"accounts": accounts, "calm": frames(people, calm), "crash": frames(people, crash)})
    if options.large > options.accounts:
        _say(f"growth, {options.large:,} accounts")
        people, few = draw(options.large, stressed=True), LEARNED + min(FEW, options.frames)
        result["growth"].append(
            {"accounts": options.large, "calm": frames(people, calm[:few]), "crash": frames(people, crash[:few])}
        )
        del people
        gc.collect()
    for accounts in dict.fromkeys((options.accounts, options.large)):
        if accounts:
            _say(f"sweep, {accounts:,} accounts")
            result["sweeps"].append(sweeps(draw(accounts), calm[LEARNED:]))
            gc.collect()
    result["warm_start_s"] = warm_start(2 if options.small else 5)
    result["load_average_at_the_end"] = machine()["load_average"]
    report(result)
    path = write("screen", result)
    path.with_suffix(".svg").write_text(_picture(result), encoding="utf-8")
    print(f"\n{path.relative_to(REPOSITORY)}\n{path.with_suffix('.svg').relative_to(REPOSITORY)}")


def _say(text: str) -> None:
    print(f"▸ {text}", file=sys.stderr, flush=True)


def _picture(result: dict[str, Any]) -> str:
    sizes = [of["accounts"] for of in result["growth"]]
    return picture(
        "Time for a frame of 500 prices, stressed book",
        "accounts", "microseconds",
        [
            Curve("full sweep", sizes, [of["calm"]["sweep_median_us"] for of in result["growth"]]),
            Curve("crash, median frame", sizes, [of["crash"]["median_us"] for of in result["growth"]]),
            Curve("calm, median frame", sizes, [of["calm"]["median_us"] for of in result["growth"]]),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
