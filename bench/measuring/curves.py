"""Curves on two logarithmic axes as one SVG picture, light and dark, with the standard library alone."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 90, 56, 190, 60
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#1f2937}.grid{stroke:#d1d5db}.back{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.grid{stroke:#374151}.back{fill:#111827}}</style>"
)
COLOURS = ("#c2410c", "#7c3aed", "#0369a1", "#15803d")


class Curve(NamedTuple):
    """A named line through points; all numbers above 0."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def picture(title: str, across: str, up: str, curves: Sequence[Curve]) -> str:
    """Return the picture of ``curves`` as SVG text."""
    xs = [value for curve in curves for value in curve.x]
    ys = [value for curve in curves for value in curve.y]
    left, right = log10(min(xs)), log10(max(xs)) or 1.0
    low, high = floor(log10(min(ys))), ceil(log10(max(ys)))

    def at(x: float, y: float) -> tuple[float, float]:
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        share = (log10(x) - left) / ((right - left) or 1.0)
        return LEFT + width * share, HEIGHT - BOTTOM - height * (log10(y) - low) / ((high - low) or 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        STYLE,
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text x="{LEFT}" y="28" style="font-size:16px;font-weight:600">{escape(title)}</text>',
        f'<text x="{(WIDTH - RIGHT + LEFT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="16" y="{TOP - 10}">{escape(up)}</text>',
    ]
    for power in range(low, high + 1):
        _, y = at(min(xs), 10.0**power)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:,.10g}</text>')
    for value in dict.fromkeys(xs):
        x, _ = at(value, 10.0**low)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{value:,.0f}</text>')
    for curve, colour in zip(curves, COLOURS, strict=False):
        points = [at(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        x, y = points[-1]
        parts.append(f'<text x="{x + 10:.1f}" y="{y + 4:.1f}" style="fill:{colour}">{escape(curve.name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


__all__ = ["Curve", "picture"]
