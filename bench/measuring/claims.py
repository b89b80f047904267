"""Every claim of the benchmarks against its target: one table and one picture, from the results in out/bench.

``make bench`` ends with it; by itself: ``python bench/measuring/claims.py``. A claim whose benchmark has left no result
is told as such, and so is a result that is older than the others. Writes out/bench/claims.json and claims.svg.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from xml.sax.saxutils import escape

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measuring import REPOSITORY, RESULTS, machine, machine_line, table, write

if TYPE_CHECKING:
    from collections.abc import Callable


class Claim(NamedTuple):
    """What is claimed, where it was measured, and what it is held to.

    ``measured`` takes the figure out of the benchmark's result, in ``unit``; ``sense`` says which way is
    better.
    """

    name: str
    bench: str
    unit: str
    sense: Literal["≤", "≥"]
    target: float
    stretch: float | None
    measured: Callable[[dict[str, Any]], float]


class Held(NamedTuple):
    """A claim and what came of it. ``measured`` is None where there is no result; ``times`` ≥ 1 means: target met."""

    claim: Claim
    measured: float | None
    times: float | None
    stretch_times: float | None
    taken: str

    @property
    def verdict(self) -> str:
        """Return the claim's outcome in words."""
        if self.times is None:
            return "not measured"
        if self.times < 1:
            return "MISSED"
        if self.claim.stretch is None:
            return "met"
        return "stretch met" if self.times >= (self.stretch_times or 1) else "met, stretch missed"


def _assess(call: str) -> Callable[[dict[str, Any]], float]:
    def measured(result: dict[str, Any]) -> float:
        wanted = ("ringfence", "Binance cross", call, 10)
        rows = result["results"]
        return float(next(
            row["microseconds"] for row in rows
            if (row["system"], row["account"], row["call"], row["positions"]) == wanted
        ))  # fmt: skip

    return measured


def _sqlite(result: dict[str, Any]) -> float:
    wanted = ("SQLite", 1, 1_000)
    rows = result["append"]
    return float(next(
        row["events_per_second"] for row in rows
        if (row["storage"], row["events_per_command"], row["group"]) == wanted
    ))  # fmt: skip


def _sweep(result: dict[str, Any]) -> dict[str, Any]:
    """Return the sweep of the largest fleet, with the number of threads that was fastest in the median."""
    largest = max(result["sweeps"], key=lambda sweep: sweep["accounts"])
    return min((of for name, of in largest.items() if name.startswith("threads_")), key=lambda of: of["median_ms"])


def _times(system: str) -> Callable[[dict[str, Any]], float]:
    def measured(result: dict[str, Any]) -> float:
        return float(next(row["times_ours"] for row in result["results"] if row["system"].startswith(system)))

    return measured


def _per_call(*calls: str) -> Callable[[dict[str, Any]], float]:
    """Return how often our positions a second hold those of the fastest of the peers' calls that begin like these."""

    def measured(result: dict[str, Any]) -> float:
        ours = min(row["best_ms"] for row in result["results"] if row["system"].startswith("ringfence"))
        fastest = max(rate for name, rate in result["frameworks"].items() if name.startswith(calls))
        return float(result["positions"] / ours * 1e3 / fastest)

    return measured


def _study(name: str) -> Callable[[dict[str, Any]], float]:
    def measured(result: dict[str, Any]) -> float:
        return float(next(of["seconds"] for label, of in result["results"].items() if label.startswith(name)))

    return measured


def _of_any_venue(question: str) -> Callable[[dict[str, Any]], float]:
    def measured(result: dict[str, Any]) -> float:
        return max(float(of["seconds"]) for name, of in result["results"].items() if name.startswith(question))

    return measured


def _advice(result: dict[str, Any]) -> float:
    versus = result["whole"]["versus"]["advice"]
    return 100 * float(versus["fewer_liquidated"])


def _fleet(result: dict[str, Any]) -> float:
    return float(next(of["wall"] for label, of in result["results"].items() if "a thread a core" in label))


def _start(name: str, figure: str) -> Callable[[dict[str, Any]], float]:
    return lambda result: float(result["results"][name][figure])


STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#1f2937}.grid{stroke:#d1d5db}.back{fill:#fff}"
    ".line{stroke:#1f2937;stroke-width:1.5}.met{fill:#0369a1}.missed{fill:#c2410c}.stretch{fill:#fff;"
    "stroke:#7c3aed;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.grid{stroke:#374151}"
    ".back{fill:#111827}.line{stroke:#e5e7eb}.met{fill:#38bdf8}.missed{fill:#fb923c}.stretch{fill:#111827;stroke:#c4b5fd}}"
    "</style>"
)

CLAIMS = (
    Claim("10 positions in one cross pool, totals", "assess", "µs", "≤", 150, None, _assess("totals")),
    Claim("… with every liquidation and bankruptcy price", "assess", "µs", "≤", 500, None, _assess("everything")),
    Claim("import ringfence, above a bare interpreter", "start", "ms", "≤", 60, None,
          _start("import ringfence", "median_above_bare")),
    Claim("ringfence assess FILE", "start", "ms", "≤", 300, None, _start("ringfence assess FILE", "median")),
    Claim("replay of one account, full takeover", "replay", "ticks/s", "≥", 50_000, None,
          lambda result: min(run["at_band_edges"]["ticks_per_second"] for run in result["runs"])),
    Claim("accepted orders through the host, in memory", "engine", "1/s", "≥", 5_000, 20_000,
          lambda result: result["host"]["accepted_orders_per_second"]),
    Claim("journal, groups of 1,000, SQLite FULL", "journal", "events/s", "≥", 100_000, 300_000, _sqlite),
    Claim("recovery, tail of 500,000 events", "recovery", "s", "≤", 60, 20,
          lambda result: result["recovery"]["seconds"]),
    Claim("1,000 accounts, a day, three symbols", "crowd", "s", "≤", 60, 20, lambda result: result["slowest"]),
    Claim("portfolio requirement, 50 × 105", "portfolio", "ms", "≤", 5, None,
          lambda result: 1e3 * result["results"]["exact requirement"]["seconds"]),
    Claim("distance, 100,000 paths of 10 symbols", "studies", "s", "≤", 3, None, _study("distance")),
    Claim("advise, 10 positions", "studies", "s", "≤", 30, None, _study("advise")),
    Claim("stress grid 41 × 41", "studies", "s", "≤", 0.5, None, _study("stress")),
    Claim("… of a portfolio account, slowest venue", "portfolio_grid", "s", "≤", 0.5, None, _of_any_venue("grid")),
    Claim("advise, portfolio book of 50", "portfolio_grid", "s", "≤", 30, None, _of_any_venue("advi")),
    Claim("advice: fewer accounts liquidated", "advice", "%", "≥", 50, None, _advice),
    Claim("sweep, largest fleet, median", "screen", "ms", "≤", 40, 25, lambda result: _sweep(result)["median_ms"]),
    Claim("… as a share of reading alone", "screen", "%", "≥", 32, 48,
          lambda result: 100 * _sweep(result)["share_of_read_limit"]),
    Claim("calm frame, base book, mean", "screen", "× sweep", "≥", 100, 300,
          lambda result: result["frames"]["base book, calm"]["times_faster_mean"]),
    Claim("calm frame, stressed book, median", "screen", "× sweep", "≥", 100, 300,
          lambda result: result["frames"]["stressed book, calm"]["times_faster_median"]),
    Claim("… in the mean", "screen", "× sweep", "≥", 100, 300,
          lambda result: result["frames"]["stressed book, calm"]["times_faster_mean"]),
    Claim("worst crash frame, base book", "screen", "× sweep", "≥", 0.8, 1,
          lambda result: result["frames"]["base book, crash"]["worst_frame_of_sweep"]),
    Claim("worst crash frame, stressed book", "screen", "× sweep", "≥", 0.8, 1,
          lambda result: result["frames"]["stressed book, crash"]["worst_frame_of_sweep"]),
    Claim("against NumPy", "screen_peers", "×", "≥", 8, 20, _times("NumPy")),
    Claim("against Polars", "screen_peers", "×", "≥", 8, 20, _times("Polars")),
    Claim("against DuckDB", "screen_peers", "×", "≥", 8, 20, _times("DuckDB")),
    Claim("positions/s, freqtrade's liquidation price", "screen_peers", "×", "≥", 1_000, None,
          _per_call("freqtrade, isolated", "freqtrade, cross")),
    Claim("positions/s, freqtrade's tier lookup", "screen_peers", "×", "≥", 1_000, None, _per_call("freqtrade, tiers")),
    Claim("positions/s, nautilus_trader's margin", "screen_peers", "×", "≥", 1_000, None, _per_call("nautilus")),
    Claim("crash frame, 16,000 liquidations", "crash_frame", "s", "≤", 6, 1, lambda result: result["seconds"]),
    Claim("fleet stress, 1 M accounts × 200", "fleet", "s", "≤", 5, 2, _fleet),
    Claim("warm start of the screen", "screen", "s", "≤", 1, None,
          lambda result: sorted(wall for wall, _ in result["warm_start_s"])[len(result["warm_start_s"]) // 2]),
)  # fmt: skip


def held(results: Path = RESULTS) -> list[Held]:
    """Return every claim with what the results in ``results`` say of it, in the order of :data:`CLAIMS`."""
    found: dict[str, dict[str, Any] | None] = {}
    outcome = []
    for claim in CLAIMS:
        path = results / f"{claim.bench}.json"
        if claim.bench not in found:
            found[claim.bench] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        result = found[claim.bench]
        if result is None:
            outcome.append(Held(claim, None, None, None, "—"))
            continue
        measured = claim.measured(result)
        taken = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
        stretch = None if claim.stretch is None else _times_better(claim, claim.stretch)
        outcome.append(Held(claim, measured, _times_better(claim, measured), stretch, taken))
    return outcome


def _times_better(claim: Claim, figure: float) -> float:
    return claim.target / figure if claim.sense == "≤" else figure / claim.target


def picture(outcome: list[Held]) -> str:
    """Return one bar per claim on a logarithmic axis: how many times better than its target, and the stretch."""
    shown = [each for each in outcome if each.times is not None]
    left, width, row = 330, 420, 24
    height = 96 + row * len(shown)
    largest = max([10.0, *(each.times or 0 for each in shown), *(each.stretch_times or 0 for each in shown)])
    low, high = -0.5, log10(largest) + 0.05

    def x(times: float) -> float:
        return left + width * (min(max(log10(times), low), high) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 150} {height}" role="img">',
        "<title>Benchmarks against their targets</title>",
        STYLE,
        f'<rect class="back" width="{left + width + 150}" height="{height}"/>',
        '<text x="16" y="26" style="font-size:16px;font-weight:600">Benchmarks against their targets</text>',
        '<text x="16" y="46">times better than the target; the line is the target, a ring the stretch</text>',
    ]
    for power in range(int(high) + 1):
        at = x(10.0**power)
        kind = "line" if power == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="76" y2="{height - 12}"/>')
        parts.append(f'<text x="{at:.1f}" y="70" text-anchor="middle">{10**power:,} ×</text>')
    for number, each in enumerate(shown):
        y = 82 + row * number
        end, start = x(each.times or 1), x(1)
        kind = "met" if (each.times or 0) >= 1 else "missed"
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(each.claim.name)}</text>')
        parts.append(
            f'<rect class="{kind}" x="{min(start, end):.1f}" y="{y + 4}" width="{abs(end - start):.1f}" height="14"/>'
        )
        if each.stretch_times is not None:
            parts.append(f'<circle class="stretch" cx="{x(each.stretch_times):.1f}" cy="{y + 11}" r="5"/>')
        told = f"{_figure(each.measured)} {each.claim.unit}"
        parts.append(f'<text x="{left + width + 12}" y="{y + 15}">{escape(told)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _figure(value: float | None) -> str:
    if value is None:
        return "—"
    return (
        f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.{2 if value >= 0.1 else 3}f}"
    )


def _limit(claim: Claim, value: float | None) -> str:
    return "" if value is None else f"{claim.sense} {value:,g}"


def main() -> int:
    """Print the table, write the result and the picture. A missed target is told, and is no failure."""
    outcome = held()
    if not any(each.times is not None for each in outcome):
        print(f"no results in {RESULTS.relative_to(REPOSITORY)}: run `make bench` first", file=sys.stderr)
        return 1
    described = machine()
    print(machine_line(described) + "\n")
    rows = [
        [each.claim.name, each.claim.unit, _figure(each.measured), _limit(each.claim, each.claim.target),
         _limit(each.claim, each.claim.stretch), each.verdict, f"{each.claim.bench}, {each.taken}"]
        for each in outcome
    ]  # fmt: skip
    print(table(("claim", "unit", "measured", "target", "stretch", "", "measured by, at (UTC)"), rows))
    met = sum(each.times is not None and each.times >= 1 for each in outcome)
    measured = sum(each.times is not None for each in outcome)
    print(f"\n{met} of {measured} measured targets met; {len(outcome) - measured} not measured")
    path = write("claims", {
        "schema": "ringfence.bench.claims/1", "machine": described,
        "claims": [
            {"claim": each.claim.name, "bench": each.claim.bench, "unit": each.claim.unit, "measured": each.measured,
             "target": each.claim.target, "stretch": each.claim.stretch, "verdict": each.verdict, "taken": each.taken}
            for each in outcome
        ],
    })  # fmt: skip
    path.with_suffix(".svg").write_text(picture(outcome), encoding="utf-8")
    print(f"{path.relative_to(REPOSITORY)}\n{path.with_suffix('.svg').relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
