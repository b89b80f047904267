"""A distance as one HTML file: how far each symbol alone, all marks together and each past crash are from killing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ringfence.study.page import framed, table
from ringfence.study.wording import duration, percent, price

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.study.distance import CrashShare, Distance

_STYLE = """
.ways { width: 100%; height: auto; display: block; }
.ways text { font-size: 13px; fill: var(--ink); }
.ways .said { fill: #10241a; paint-order: stroke; stroke: #dcebda; stroke-width: 3px; }
.ways .soft { fill: var(--soft); }
.ways .safe { fill: #9cc59a; } .ways .dead { fill: #a1173f; } .ways .mid { stroke: #10241a; stroke-width: 1.4; }
"""
_WIDTH, _LEFT, _ROW = 1000, 250, 30
_MOST = 1.0  # the bars show moves up to 100 %


def html_page(found: Distance, *, title: str) -> str:
    """Return the distance as one HTML document. The same distance gives the same text."""
    alone = [(f"{item.symbol} alone", item.move_below, item.move_above) for item in found.symbols]
    together = [(f"{item.pool}, {item.by}", item.down, item.up) for item in found.common]
    put_in = () if found.estimate is None else tuple(one.symbol for one in found.estimate.put_in)
    prices = [
        (
            f"{item.symbol} *" if item.symbol in put_in else item.symbol,
            item.pool,
            price(item.below),
            price(item.mark),
            price(item.above),
            duration(item.minutes),
        )
        for item in found.symbols
    ]
    wide = any(item.between is not None for item in found.crashes)
    crashes = [
        (f"{item.crash}{' *' if item.put_in else ''}", item.pool, _share(item.share),
         *((_between(item),) if wide else ()))
        for item in found.crashes
    ]  # fmt: skip
    sections = [
        ("Moves that kill a pool", f"<div class='panel'>{_bars([*alone, *together])}</div>"),
        ("Prices", table(("symbol", "pool", "dies below", "mark", "dies above", "one σ takes"), prices)),
        ("Along past crashes", table(("crash", "pool", "dies at", *(("between",) if wide else ())), crashes)),
    ]
    if found.nearest:
        nearest = [
            (n.pool, ", ".join(f"{symbol} {percent(move)}" for symbol, move in n.moves.items()), duration(n.minutes))
            for n in found.nearest
        ]
        sections.append(("The likeliest way to die", table(("pool", "moves", "one σ takes"), nearest)))
    if found.horizon is not None:
        chances = [(c.pool, f"{c.probability * 100:.4f} %", f"± {c.error * 100:.4f} %") for c in found.likelihood]
        heading = f"Likelihood within {duration(found.horizon.minutes)}"
        sections.append((heading, table(("pool", "dies", "standard error"), chances)))
    return framed(title, over="Distance", sections=sections, notes=found.assumptions, style=_STYLE)


def _share(share: Decimal | None) -> str:
    return "no multiple of it" if share is None else f"{percent(share, 0)} of it"


def _between(item: CrashShare) -> str:
    if item.between is None or item.between[0] == item.between[1]:
        return ""
    return " and ".join("never" if share is None else _share(share) for share in item.between)


def _bars(rows: list[tuple[str, Decimal | None, Decimal | None]]) -> str:
    """Draw a row per move: green is survived, red is not, the line is now; moves beyond 100 % run off the edge."""
    middle, half = _LEFT + (_WIDTH - _LEFT) / 2, (_WIDTH - _LEFT) / 2 - 8
    parts = []
    for number, (name, down, up) in enumerate(rows):
        y = number * _ROW + 6
        left = half if down is None else min(abs(float(down)), _MOST) * half
        right = half if up is None else min(abs(float(up)), _MOST) * half
        parts += [
            f'<text x="{_LEFT - 12}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="dead" x="{middle - half:.1f}" y="{y}" width="{2 * half:.1f}" height="18"/>',
            f'<rect class="safe" x="{middle - left:.1f}" y="{y}" width="{left + right:.1f}" height="18"/>',
            f'<path class="mid" d="M{middle:.1f} {y - 3}V{y + 21}"/>',
        ]
        for move, x, anchor in ((down, middle - 8, "end"), (up, middle + 8, "start")):
            said = "never" if move is None else percent(move) if abs(move) <= 100 else "> 10,000 %"
            parts.append(f'<text class="said" x="{x:.1f}" y="{y + 13}" text-anchor="{anchor}">{said}</text>')
    height = len(rows) * _ROW + 24
    axis = [(middle - half, "−100 %", "start"), (middle, "now", "middle"), (middle + half, "+100 %", "end")]
    parts += [f'<text class="soft" x="{x:.1f}" y="{height - 6}" text-anchor="{anchor}">{text}</text>'
              for x, text, anchor in axis]  # fmt: skip
    return f'<svg class="ways" viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(parts)}</svg>'


__all__ = ["html_page"]
