"""A comparison of architectures as one HTML file in the look of the other pages: no network, no script, in print too.

Three pictures: what is left of the equity after a common move of all marks, what is at stake and what is protected, and
how far each position's own mark is from the liquidation of its pool.
"""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from ringfence.study.compare import distinct
from ringfence.study.page import framed, table
from ringfence.study.portfolio_words import portfolio_summary
from ringfence.study.wording import amount, fixed, percent, price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.study.compare import Amounts, Architecture, Comparison

_STYLE = """
.way { width: 100%; height: auto; display: block; }
.way text { font-size: 13px; fill: var(--soft); }
.way .name { fill: var(--ink); font-weight: 600; }
.way .grid { stroke: var(--grid); }
.way .zero { stroke: var(--rule); }
.way path { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.way .dead { stroke: none; }
.w0 { stroke: var(--iso); } .w1 { stroke: var(--cross); } .w2 { stroke: #7a5cc0; }
.w3 { stroke: #2f8f6b; stroke-dasharray: 7 6; } .w4 { stroke: #9b8a2f; }
.f0 { fill: var(--iso); } .f1 { fill: var(--cross); } .f2 { fill: #7a5cc0; }
.f3 { fill: #2f8f6b; } .f4 { fill: #9b8a2f; }
.kept { opacity: 0.28; }
"""
_WIDTH, _LEFT, _RIGHT = 1000, 92, 20
_FIGURE = 75  # what a figure needs beside its bar
_FURTHEST = Decimal(1)  # a liquidation beyond a doubling or a fall to nothing is drawn at the edge

_Ways = list[tuple[str, "Architecture"]]


def html_page(comparison: Comparison, *, title: str) -> str:
    """Return the comparison as one HTML document. The same comparison gives the same text."""
    held: _Ways = [(name, way) for name, way in distinct(comparison.architectures) if way.unavailable is None]
    refused = [(name, way.unavailable) for name, way in distinct(comparison.architectures) if way.unavailable]
    legend = "".join(
        f"<li><svg viewBox='0 0 26 10'><path class='w{n}' d='M0 5H26' style='stroke-width:3'/></svg>{escape(name)}</li>"
        for n, (name, _) in enumerate(held)
    )
    key = f"<ul class='legend'>{legend}</ul>"
    assets = list(dict.fromkeys(each.asset for _, way in held for each in way.amounts if each.gross))
    curves = "".join(_curve(held, asset) for asset in assets)
    sections = [
        ("What a move of all prices leaves", f"{_UNDER_CURVE}{key}{curves}"),
        ("At stake and protected", f"{_UNDER_STAKE}<div class='panel'>{_stakes(held)}</div>"),
        (
            "Each position's own distance to liquidation",
            f"{_UNDER_DISTANCE}<div class='panel'>{_distances(held)}</div>",
        ),
        ("Figures", _figures(held)),
    ]
    if refused:
        sections.append(("Not possible here", table((), [(name, why or "") for name, why in refused])))
    over = f"Compare · {comparison.rulebook}"
    said = [f"{name}: this venue would refuse the switch now: {refusal.message}"
            for name, way in held for refusal in way.refusals]  # fmt: skip
    said += [f"{name}: not known: {'; '.join(way.not_known)}." for name, way in held if way.not_known]
    said += [f"{name}: no index price of {', '.join(way.stand_ins)} is given; the mark stands in for it."
             for name, way in held if way.stand_ins]  # fmt: skip
    ours = portfolio_summary(assessment for _, way in held for assessment in way.assessments)
    notes = (*_ASSUMED, *said, *ours)
    return framed(title, over=over, sections=sections, notes=notes, style=_STYLE)


_UNDER_CURVE = (
    "<p class='under'>All marks move by the same share. Where a pool would have been liquidated on the way, it leaves "
    "nothing: a takeover of the whole pool, the worst case of what the venue may do.</p>"
)
_UNDER_STAKE = (
    "<p class='under'>Full colour: equity of pools that hold positions, which a liquidation can take. Pale: equity no "
    "liquidation can touch.</p>"
)
_UNDER_DISTANCE = (
    "<p class='under'>How far a position's own mark can go against it, all other marks standing still. No bar: no "
    "price of this symbol alone liquidates its pool.</p>"
)
_ASSUMED = (
    "Fees and funding on the way are not charged.",
    "A liquidated pool is counted as lost whole; the venue's own sequence may leave some of it (replay shows that).",
    "A coin held as collateral moves with the coin's marks.",
)


def _curve(held: _Ways, asset: str | None) -> str:
    """Draw equity left over the common move, one line per architecture; both axes start where the figures do."""
    lines: list[tuple[int, list[tuple[Decimal, Decimal]]]] = []
    for number, (_, way) in enumerate(held):
        left = [(each.move, each.equity.get(asset)) for each in way.left]
        known = [(move, value) for move, value in left if value is not None]
        if known:
            lines.append((number, known))
    if not lines:
        return ""
    moves = [move for _, points in lines for move, _ in points]
    values = [value for _, points in lines for _, value in points]
    low, high = min(Decimal(0), *values), max(Decimal(0), *values)
    span = (high - low) or Decimal(1)
    height, top = 300, 14

    def x(move: Decimal) -> float:
        return _LEFT + float((move - min(moves)) / ((max(moves) - min(moves)) or 1)) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: Decimal) -> float:
        return top + float((high - value) / span) * height

    parts = [
        f"<path class='grid' d='M{x(min(moves)):.1f} {y(at):.1f}H{_WIDTH - _RIGHT}'/>"
        f"<text x='{_LEFT - 8}' y='{y(at) + 4:.1f}' text-anchor='end'>{fixed(at, 0 if span > 20 else 4)}</text>"
        for at in (low + span * step / 4 for step in range(5))
    ]
    parts += [
        f"<text x='{x(move):.1f}' y='{top + height + 20}' text-anchor='middle'>{percent(move, 0)}</text>"
        for move in sorted(set(moves))[::5]
    ]
    parts.append(f"<path class='zero' d='M{x(Decimal(0)):.1f} {top}V{top + height}'/>")
    for number, points in lines:
        path = "".join(f"{'L' if n else 'M'}{x(move):.1f} {y(value):.1f}" for n, (move, value) in enumerate(points))
        parts.append(f"<path class='w{number}' d='{path}'/>")
    unit = asset or "account currency"
    return (
        f"<div class='panel'><h3>Equity left, {escape(unit)}</h3><svg class='way' viewBox='0 0 {_WIDTH} {height + 46}' "
        f"role='img'>{''.join(parts)}</svg></div>"
    )


def _stakes(held: _Ways) -> str:
    """Draw a bar per architecture and asset: at stake, then protected; each asset has its own scale."""
    rows = [(number, name, each) for number, (name, way) in enumerate(held) for each in way.amounts if each.equity]
    largest: dict[str | None, Decimal] = {}
    for _, _, each in rows:
        largest[each.asset] = max(largest.get(each.asset, Decimal(0)), abs(each.equity or Decimal(0)))
    parts = []
    for row, (number, name, each) in enumerate(rows):
        top = 8 + row * 34
        whole = (_WIDTH - 2 * _LEFT - 240) / float(largest[each.asset] or 1)
        stake, kept = max(Decimal(0), each.at_stake or Decimal(0)), max(Decimal(0), each.protected or Decimal(0))
        start = _LEFT + 90
        parts.append(
            f"<text class='name' x='{start - 10}' y='{top + 15}' text-anchor='end'>{escape(name)}</text>"
            f"<rect class='f{number}' x='{start}' y='{top}' width='{float(stake) * whole:.1f}' height='22'/>"
            f"<rect class='f{number} kept' x='{start + float(stake) * whole:.1f}' y='{top}' "
            f"width='{float(kept) * whole:.1f}' height='22'/>"
            f"<text x='{start + float(stake + kept) * whole + 8:.1f}' y='{top + 15}'>{escape(_stake_text(each))}</text>"
        )
    return f"<svg class='way' viewBox='0 0 {_WIDTH} {16 + 34 * len(rows)}' role='img'>{''.join(parts)}</svg>"


def _stake_text(each: Amounts) -> str:
    if each.at_stake is None or each.equity is None:
        return "not known"
    if each.equity < 0:
        return f"owes {amount(-each.equity, each.asset)}"
    if not each.at_stake:
        return f"{amount(each.equity, each.asset)} idle"
    return f"{amount(each.at_stake)} of {amount(each.equity, each.asset)}"


def _distances(held: _Ways) -> str:
    """Draw a group of bars per position, one per architecture, to the left for a fall and to the right for a rise."""
    legs = sorted({(p.symbol, p.side) for _, way in held for p in way.positions})
    start = _LEFT + 90
    middle, half = start + (_WIDTH - start) / 2, (_WIDTH - start) / 2 - _FIGURE
    parts, top = [], 6
    for symbol, side in legs:
        parts.append(
            f"<text class='name' x='{_LEFT + 66}' y='{top + 7 * len(held) + 4}' text-anchor='end'>"
            f"{escape(symbol)} {side}</text>"
        )
        for number, (_, way) in enumerate(held):
            found = next((p for p in way.positions if (p.symbol, p.side) == (symbol, side)), None)
            if found is not None and found.pool in way.dead:
                parts.append(f"<text x='{middle + 5:.1f}' y='{top + 9}'>liquidated now</text>")
            elif found is not None and found.distance is not None:
                share = float(max(-_FURTHEST, min(_FURTHEST, found.distance)))
                width = abs(share) * half
                left = middle - width if share < 0 else middle
                anchor, at = ("end", left - 5) if share < 0 else ("start", left + width + 5)
                parts.append(
                    f"<rect class='f{number}' x='{left:.1f}' y='{top}' width='{max(width, 1):.1f}' height='10'>"
                    f"<title>{price(found.liquidation_price)}</title></rect>"
                    f"<text x='{at:.1f}' y='{top + 9}' text-anchor='{anchor}'>{percent(found.distance)}</text>"
                )
            elif found is not None and found.pool in way.unknown:
                parts.append(f"<text x='{middle + 5:.1f}' y='{top + 9}'>not known</text>")
            top += 14
        top += 12
    parts.append(f"<path class='zero' d='M{middle:.1f} 0V{top}'/>")
    return f"<svg class='way' viewBox='0 0 {_WIDTH} {top}' role='img'>{''.join(parts)}</svg>"


def _told(way: Architecture, name: str) -> list[Amounts]:
    """Return the amounts to tell of: of assets with positions, and of others where there is something of it."""
    return [each for each in way.amounts if each.gross or getattr(each, name)]


def _lost(each: Amounts) -> str:
    if each.at_stake is None:
        return "not known"
    return f"owes {amount(-each.at_stake, each.asset)}" if each.at_stake < 0 else amount(each.at_stake, each.asset)


def _figures(held: _Ways) -> str:
    def cells(told: Sequence[str]) -> str:
        return "; ".join(told) or "–"

    def shown(value: Decimal | None, asset: str | None) -> str:
        return "not known" if value is None else amount(value, asset)

    rows = []
    for label, name in (
        ("Initial margin", "initial_margin"), ("Maintenance margin", "maintenance_margin"),
        ("Margin tied up", "margin_used"), ("Free collateral", "free"), ("Protected", "protected"),
    ):  # fmt: skip
        rows.append(
            (label, *(cells([shown(getattr(each, name), each.asset) for each in _told(way, name)]) for _, way in held))
        )
    rows.append(("Most that can be lost", *(cells([_lost(each) for each in _told(way, "gross")]) for _, way in held)))
    for label, name in (("Notional ÷ equity", "leverage"), ("Notional ÷ margin", "efficiency")):
        values = [[getattr(each, name) for each in way.amounts if each.gross] for _, way in held]
        rows.append((label, *(cells([fixed(v, 2) for v in own if v is not None]) for own in values)))
    for symbol, side in sorted({(p.symbol, p.side) for _, way in held for p in way.positions}):
        own = [next((p for p in way.positions if (p.symbol, p.side) == (symbol, side)), None) for _, way in held]
        rows.append(
            (
                f"{symbol} {side}: liquidation price",
                *(
                    "–" if p is None else "not known" if p.pool in way.unknown else price(p.liquidation_price)
                    for p, (_, way) in zip(own, held, strict=True)
                ),
            )
        )
        rows.append((f"{symbol} {side}: its death also closes",
                     *("–" if p is None else ", ".join(p.dies_with) or "nothing else" for p in own)))  # fmt: skip
    return table(("", *(name for name, _ in held)), rows)


__all__ = ["html_page"]
