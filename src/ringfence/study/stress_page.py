"""A stress as one HTML file in the look of the replay's report: no network, no script, light and dark, in print."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ringfence.numbers import ONE
from ringfence.study.page import framed
from ringfence.study.wording import fixed, percent, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from ringfence.study.stress import Cell, Edge, Grid, Shocked, Stress

_STYLE = """
.heat { width: 100%; height: auto; display: block; }
.heat text { font-size: 13px; fill: var(--soft); }
.heat .line { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.heat .call { stroke-dasharray: 5 4; }
.heat .here { fill: none; stroke: var(--ink); stroke-width: 1.4; }
.key i { display: inline-block; width: 14px; height: 14px; border-radius: 3px; }
td.liquidatable { color: var(--bad); font-weight: 600; }
"""
_COLOURS = (("#a1173f", 1.0), ("#d1495b", 1.25), ("#e9a03b", 2.0), ("#e7cf70", 4.0), ("#9cc59a", 10.0))
_SAFE, _UNKNOWN = "#4e9a73", "#8b939c"
_WIDTH, _LEFT, _TOP, _BOTTOM = 1000, 66, 12, 34


def html_page(found: Stress, *, title: str) -> str:
    """Return the stress as one HTML document. The same stress gives the same text."""
    sections = [
        (
            f"Health over moves of {' × '.join(found.grid.symbols)}",
            f"{_under(found.grid)}<div class='panel'>{_heat(found.grid)}</div>",
        ),
        ("All marks together", _table(found.ladder)),
        ("Past crashes", _table(found.crashes, dated=True)),
    ]
    if found.haircuts:
        sections.append(("Collateral that counts for less", _table(found.haircuts)))
    if found.volatilities:
        sections.append(("Options at other volatilities", _table(found.volatilities)))
    sections.append(("Days of funding", _table(found.after_funding)))
    return framed(title, over="Stress", sections=sections, notes=found.assumptions, style=_STYLE)


def _under(grid: Grid) -> str:
    second = f", upward {escape(grid.symbols[1])}" if len(grid.symbols) == 2 else ""
    return (
        f"<p class='under'>To the right {escape(grid.symbols[0])}{second}; the square is now. The solid line is where "
        "a pool is liquidated, the dashed one where it is called, both solved exactly. The colour is the lowest health "
        "of all pools.</p>"
    )


def _heat(grid: Grid) -> str:
    columns, rows = len(grid.columns), len(grid.rows)
    wide = (_WIDTH - _LEFT - 8) / columns
    high = min(wide, 24.0) if rows > 1 else 60.0
    bottom = _TOP + high * rows
    parts = [
        f'<rect x="{_LEFT + x * wide:.1f}" y="{bottom - (y + 1) * high:.1f}" width="{wide + 0.4:.1f}" '
        f'height="{high + 0.4:.1f}" fill="{_colour(cell)}"><title>{escape(_told(grid, x, y, cell))}</title></rect>'
        for y, row in enumerate(grid.cells)
        for x, cell in enumerate(row)
    ]
    parts += [_line(grid, edge, (wide, high, bottom)) for edge in grid.edges]
    every = max(1, columns // 8)
    parts += [
        f'<text x="{_LEFT + (x + 0.5) * wide:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{_move(move)}</text>'
        for x, move in enumerate(grid.columns)
        if x % every == 0
    ]
    if rows > 1:
        parts += [
            f'<text x="{_LEFT - 6}" y="{bottom - (y + 0.5) * high + 4:.1f}" text-anchor="end">{_move(move)}</text>'
            for y, move in enumerate(grid.rows)
            if y % every == 0
        ]
        row = min(range(rows), key=lambda y: abs(grid.rows[y]))
    else:
        row = 0
    column = min(range(columns), key=lambda x: abs(grid.columns[x]))
    parts.append(
        f'<rect class="here" x="{_LEFT + column * wide:.1f}" y="{bottom - (row + 1) * high:.1f}" width="{wide:.1f}" '
        f'height="{high:.1f}"/>'
    )
    return f'<svg class="heat" viewBox="0 0 {_WIDTH} {bottom + _BOTTOM:.0f}" role="img">{"".join(parts)}</svg>{_key()}'


def _key() -> str:
    names = ("liquidated", "called", "to 2", "to 4", "to 10")
    items = [f"<li><i style='background:{colour}'></i>{name}</li>"
             for (colour, _), name in zip(_COLOURS, names, strict=True)]  # fmt: skip
    items += [f"<li><i style='background:{_SAFE}'></i>above 10</li>",
              f"<li><i style='background:{_UNKNOWN}'></i>not known</li>"]  # fmt: skip
    return f"<ul class='legend key'>{''.join(items)}</ul>"


def _colour(cell: Cell) -> str:
    if cell.liquidated:
        return _COLOURS[0][0]
    if cell.unknown:
        return _UNKNOWN
    if cell.called:
        return _COLOURS[1][0]
    if cell.health is None:
        return _SAFE
    return next((colour for colour, most in _COLOURS[2:] if cell.health <= most), _SAFE)


def _told(grid: Grid, x: int, y: int, cell: Cell) -> str:
    moves = [f"{grid.symbols[0]} {_move(grid.columns[x])}"]
    if len(grid.symbols) == 2:
        moves.append(f"{grid.symbols[1]} {_move(grid.rows[y])}")
    dead = f", {cell.liquidated} liquidated" if cell.liquidated else ""
    return f"{', '.join(moves)}: health {ratio(cell.health)}{dead}"


def _line(grid: Grid, edge: Edge, geometry: tuple[float, float, float]) -> str:
    """Draw where a pool reaches a level: one stroke per run of rows that have a price inside the picture."""
    wide, high, bottom = geometry
    step = float(grid.columns[1] - grid.columns[0])
    strokes = []
    for prices in (edge.below, edge.above):
        run: list[str] = []
        for y, found in enumerate((*prices, None)):
            move = None if found is None else float(found / grid.marks[0] - ONE)
            inside = (
                move is not None and float(grid.columns[0]) - step / 2 <= move <= float(grid.columns[-1]) + step / 2
            )
            if inside and move is not None:
                x = _LEFT + ((move - float(grid.columns[0])) / step + 0.5) * wide
                if len(prices) == 1:
                    run += [f"M{x:.1f} {bottom:.1f}", f"L{x:.1f} {bottom - high:.1f}"]
                else:
                    run.append(f"{'L' if run else 'M'}{x:.1f} {bottom - (y + 0.5) * high:.1f}")
            elif run:
                strokes.append("".join(run))
                run = []
    kind = "line" if edge.level == 1 else "line call"
    name = f"{edge.pool}: health {fixed(edge.level, 2)}"
    return "".join(f'<path class="{kind}" d="{stroke}"><title>{escape(name)}</title></path>' for stroke in strokes)


def _move(move: Decimal) -> str:
    return ("+" if move > 0 else "") + percent(move, 0)


def _table(shocks: Sequence[Shocked], *, dated: bool = False) -> str:
    rows = []
    for shock in shocks:
        moves = ", ".join(
            f"{symbol} {_move(move)}"
            + ("" if not dated else f" ({shock.at[symbol]:%H:%M})" if symbol in shock.at else "*")
            for symbol, move in shock.moves.items()
        )
        between = "" if shock.between is None else f" (health between {' and '.join(map(ratio, shock.between))})"
        pools = "".join(
            f"<td class='{pool.status or ''}'>{escape(pool.pool)}: {ratio(pool.health)} "
            f"{escape((pool.status or 'not known').replace('_', ' '))}</td>"
            for pool in shock.pools
        )
        rows.append(f"<tr><th scope='row'>{escape(shock.name)}</th><td>{escape(moves + between)}</td>{pools}</tr>")
    return f"<div class='panel scroll'><table><tbody>{''.join(rows)}</tbody></table></div>"


__all__ = ["html_page"]
