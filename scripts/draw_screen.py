"""Draw docs/assets/screen.svg: triggers, rings, near, far and the sweep in one picture.

Usage: python scripts/draw_screen.py.

In the plane of two prices a pool's line, where it is called, is straight, and a ring's box is a rectangle. So the pool
stands in the widest ring whose box its line does not cut; the picture's lines are placed by just that.
"""

from __future__ import annotations

from math import cos, radians, sin
from pathlib import Path
from typing import NamedTuple

PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "screen.svg"
WIDTH, HEIGHT = 860, 612

_STYLE = """
text{font:14px system-ui,sans-serif;fill:#1f2937}.small{font-size:12.5px;fill:#4b5563}
.head{font-size:16px;font-weight:600}
.back{fill:#fff}.panel{fill:#f8fafc;stroke:#cbd5e1}.price{stroke:#1d4ed8;stroke-width:2.2;fill:none}.now{fill:#1d4ed8}
.trigger{stroke:#9ca3af;stroke-width:1.5}.next{stroke:#dc2626;stroke-width:3}.guide{stroke:#dc2626;stroke-dasharray:3 4}
.ring{fill:none;stroke:#6b7280;stroke-dasharray:5 4}.near{stroke:#dc2626}.r1{stroke:#ea580c}.r2{stroke:#a16207}
.r3{stroke:#15803d}.far{stroke:#0f766e}.pool{stroke-width:2.2;fill:none}.cell{fill:none;stroke:#94a3b8}.read{fill:#ea580c}
.t-near{fill:#b91c1c}.t-r1{fill:#c2410c}.t-r2{fill:#854d0e}.t-r3{fill:#15803d}.t-far{fill:#0f766e}
.arrow{stroke:#6b7280;stroke-width:1.6;fill:none}
@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.small{fill:#aeb6c2}.back{fill:#0f172a}.panel{fill:#1e293b;stroke:#475569}
.price{stroke:#60a5fa}.now{fill:#60a5fa}.ring{stroke:#94a3b8}.trigger{stroke:#64748b}.t-near{fill:#f87171}.t-r1{fill:#fb923c}
.t-r2{fill:#facc15}.t-r3{fill:#4ade80}.t-far{fill:#2dd4bf}.r2{stroke:#eab308}.r3{stroke:#22c55e}.far{stroke:#14b8a6}}
"""


_ARROW = (
    '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker></defs>'
)


class Line(NamedTuple):
    """A pool's line in the plane of two prices: its direction from the prices of now, in degrees, and how far off.

    ``distance``: in half-widths of the innermost box, measured so that the line touches a box of that half-width.
    ``label`` stands at ``at``, a share of the line's length.
    """

    direction: float
    distance: float
    kind: str
    label: str
    at: float


RINGS = (24.0, 48.0, 96.0)  #: half-widths of the boxes: each twice as wide as the one inside
LINES = (
    Line(205, 0.75, "near", "near", 0.93),
    Line(152, 1.35, "r1", "ring 1", 0.9),
    Line(38, 2.9, "r2", "ring 2", 0.1),
    Line(290, 2.9, "r2", "ring 2", 0.6),
    Line(335, 4.7, "far", "far", 0.1),
    Line(222, 5.0, "far", "far", 0.3),
)


def touched(line: Line) -> int:
    """Return how many boxes a line cuts: all of them where its pool is near, none where it is far."""
    return sum(line.distance * RINGS[0] < half for half in RINGS)


def text(x: float, y: float, words: str, style: str = "") -> str:
    """Return a line of text."""
    return f'<text{f" class={chr(34)}{style}{chr(34)}" if style else ""} x="{x:g}" y="{y:g}">{words}</text>'


def rectangle(x: float, y: float, width: float, height: float, style: str, round_by: float = 8) -> str:
    """Return a rectangle."""
    return f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_by:g}"/>'


def stroke(x1: float, y1: float, x2: float, y2: float, style: str, more: str = "") -> str:
    """Return a straight line."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{more}/>'


def _triggers(x: float, y: float) -> list[str]:
    """Return the left panel: the price of one symbol among sorted triggers."""
    wide, high = 396, 300
    parts = [text(x, y - 30, "Pools of one position have a trigger", "head"),
             text(x, y - 11, "the price at which one is called, sorted by symbol and side", "small"),
             rectangle(x, y, wide, high, "panel"), text(x + 12, y + 22, "price of the symbol", "small")]  # fmt: skip
    now = y + 150
    path = [(14, 26), (42, 6), (68, 18), (96, -22), (122, -8), (150, -30), (176, 4), (200, -10), (224, 0)]
    parts.append(f'<polyline class="price" points="{" ".join(f"{x + a:g},{now + b:g}" for a, b in path)}"/>')
    parts.append(f'<circle class="now" cx="{x + 224:g}" cy="{now:g}" r="4.5"/>')
    ticks = x + 254
    for side in (-1, 1):
        offset, gap = 46.0, 15.0
        parts.append(stroke(x + 224, now + side * offset, ticks, now + side * offset, "guide"))
        for number in range(12):
            parts.append(stroke(ticks, now + side * offset, ticks + 22, now + side * offset,
                                "trigger" if number else "next"))  # fmt: skip
            offset += gap
            gap = max(4.0, gap * 0.8)
    parts += [text(ticks + 30, now - 42, "next short"), text(ticks + 30, now + 50, "next long"),
              text(ticks + 30, now - 90, "all other shorts", "small"),
              text(ticks + 30, now + 102, "all other longs", "small"),
              text(ticks, now - 4, "between the two", "small"), text(ticks, now + 12, "nobody is called", "small"),
              text(x + 12, y + high - 32, "passed ones are looked at", "small"),
              text(x + 12, y + high - 14, "two comparisons, however many pools", "small")]  # fmt: skip
    return parts


def _rings(x: float, y: float) -> list[str]:
    """Return the right panel: boxes of rings in the plane of two prices, and lines of pools."""
    wide, high = 396, 300
    middle, height = x + wide / 2, y + 138
    parts = [text(x, y - 30, "Pools of several positions stand in rings", "head"),
             text(x, y - 11, "a line is where one pool is called; a box is what prices may do", "small"),
             rectangle(x, y, wide, high, "panel")]  # fmt: skip
    for number, half in enumerate(RINGS, 1):
        parts.append(rectangle(middle - 1.25 * half, height - half, 2.5 * half, 2 * half, "ring", 2))
        below = (-half - 3, half - 4, 13 - half)[number - 1]  # where no line is in the way
        parts.append(text(middle - 1.25 * half + 3, height + below, f"box {number}", "small"))
    for line in LINES:
        one, other = _ends(line, middle, height, (x + 6, y + 6, x + wide - 6, y + high - 44))
        parts.append(stroke(*one, *other, f"pool {line.kind}"))
        at = [one[axis] + line.at * (other[axis] - one[axis]) for axis in (0, 1)]
        parts.append(text(at[0] + 7, at[1] + 4, line.label, f"t-{line.kind}"))
    path = [(-20, 9), (-14, -6), (-8, 4), (-1, -10), (5, 3), (12, -7), (8, 5), (0, 0)]
    parts.append(f'<polyline class="price" points="{" ".join(f"{middle + a:g},{height + b:g}" for a, b in path)}"/>')
    parts.append(f'<circle class="now" cx="{middle:g}" cy="{height:g}" r="4.5"/>')
    parts += [text(x + 12, y + high - 28, "a pool stands in the widest ring whose box it misses", "small"),
              text(x + 12, y + high - 11, "near: it cuts every box · far: it misses them all", "small"),
              text(x + wide - 90, y + 20, "→ price of A", "small"),
              text(x + 10, y + 20, "↑ price of B", "small")]  # fmt: skip
    return parts


def _ends(
    line: Line, middle: float, height: float, frame: tuple[float, float, float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where a line enters and leaves a frame. Boxes are 1.25 times as wide as high."""
    across, up = cos(radians(line.direction)), sin(radians(line.direction))
    off = line.distance * RINGS[0] * (abs(across) * 1.25 + abs(up))
    ends = []
    left, top, right, bottom = frame
    for edge_x in (left, right):
        if abs(up) > 1e-9:
            y = height - (off - (edge_x - middle) * across) / up
            if top <= y <= bottom:
                ends.append((edge_x, y))
    for edge_y in (top, bottom):
        if abs(across) > 1e-9:
            x = middle + (off - (height - edge_y) * up) / across
            if left <= x <= right:
                ends.append((x, edge_y))
    first, *_, last = sorted(ends)
    return first, last


def _cases(x: float, y: float) -> list[str]:
    """Return what is read when, and what becomes of those that are named."""
    parts = []
    cells = 26
    cases = (
        ("inside of all boxes and triggers", "read: the near ones alone", 2),
        ("a price leaves the box of a ring", "read: that ring, for a new box", 8),
        ("everything jumps: a crash", "read: all but triggers, one sweep", 17),
    )
    wide = (WIDTH - 2 * x - 32) / 3
    parts.append(text(x, y - 12, "What a new price costs", "head"))
    for number, (what, read, many) in enumerate(cases):
        left = x + number * (wide + 16)
        parts += [rectangle(left, y, wide, 88, "panel"), text(left + 10, y + 22, what, "small"),
                  text(left + 10, y + 76, read, "small")]  # fmt: skip
        for at in range(cells):
            size = (wide - 20) / cells
            parts.append(rectangle(left + 10 + at * size, y + 34, size - 1.5, 22, "read" if at < many else "cell", 1))
        parts.append(f'<path class="arrow" marker-end="url(#a)" d="M{left + wide / 2:g} {y + 88:g} v22"/>')
    parts += [rectangle(x, y + 114, WIDTH - 2 * x, 54, "panel"),
              text(x + 12, y + 137, "named: “look” – the exact lane decides whether the pool is called"),
              text(x + 12, y + 157, "everybody else is safe, proved with an error bound; each way names the same pools",
                   "small")]  # fmt: skip
    return parts


def drawn() -> str:
    """Return the picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>How a screen finds whom to look at among millions of pools: triggers, rings, or a sweep</title>",
        f"<style>{_STYLE.strip()}</style>",
        _ARROW,
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
        *_triggers(24, 64), *_rings(440, 64), *_cases(24, 424),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
