"""The calculators as one HTML file in the look of the other pages: no network, no script, light and dark, in print.

A trade over the price, the largest position over the leverage, fills around their average, and positions before and
after a change. Every figure comes from the study; floats only place it.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ringfence.numbers import plain
from ringfence.study.edit import held_alike, pairs
from ringfence.study.page import framed, table
from ringfence.study.wording import amount, fixed, percent, price, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringfence.numbers import Price, Quantity
    from ringfence.rulebook import Rulebook
    from ringfence.study.edit import Edited, HeldLeg
    from ringfence.study.size import Figure, Sizing
    from ringfence.study.size_curve import Course, Reach

_STYLE = """
.size { width: 100%; height: auto; display: block; }
.size text { font-size: 13px; fill: var(--soft); }
.size .name { fill: var(--ink); font-weight: 600; }
.size .name, .size .fill { paint-order: stroke; stroke: var(--panel); stroke-width: 5px; }
.size path, .legend path { fill: none; stroke-width: 2.4; stroke-linejoin: round; }
.size .grid { stroke: var(--grid); stroke-width: 1; }
.size .zero { stroke: var(--faint); stroke-width: 1.2; }
.size .gone { fill: var(--shade); }
.size .at { stroke: var(--ink); stroke-width: 1.3; }
.size .at.liquidation, .size .at.bankruptcy { stroke: var(--bad); }
.size .at.bankruptcy, .legend .required, .size .required { stroke-dasharray: 5 3; }
.size text.liquidation, .size text.bankruptcy { fill: var(--bad); font-weight: 600; }
.pnl, .cash { stroke: var(--iso); } .left, .tier { stroke: var(--cross); } .required { stroke: var(--bad); }
.size circle { fill: var(--iso); } .size circle.tier { fill: var(--cross); stroke: none; }
.size .arm { stroke: var(--iso); stroke-width: 1.4; opacity: 0.6; }
.size .now, .legend .now { fill: var(--iso); } .size .was, .legend .was { fill: var(--faint); opacity: 0.55; }
.step + .step { margin-top: 14px; }
.step h3 { margin-bottom: 8px; }
td { white-space: normal !important; }
"""
_WIDTH, _LEFT, _RIGHT, _HEIGHT, _LABEL = 1000, 92, 24, 340, 18
_LETTER = 8.6  # about the width of a letter of a label, to keep labels apart


class _Frame(NamedTuple):
    """Where figures lie in a drawing whose plot begins ``top`` below its edge."""

    x_low: Decimal
    x_high: Decimal
    y_low: Decimal
    y_high: Decimal
    top: float

    def x(self, value: Decimal) -> float:
        span = float(self.x_high - self.x_low) or 1.0
        return _LEFT + float(value - self.x_low) / span * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: Decimal) -> float:
        span = float(self.y_high - self.y_low) or 1.0
        return self.top + float(self.y_high - value) / span * _HEIGHT

    def path(self, kind: str, points: Sequence[tuple[Decimal, Decimal]]) -> str:
        way = "".join(f"{'L' if n else 'M'}{self.x(x):.1f} {self.y(y):.1f}" for n, (x, y) in enumerate(points))
        return f"<path class='{kind}' d='{way}'/>"


def trade_page(answer: Sizing, course: Course, *, title: str, over: str, notes: Sequence[str]) -> str:
    """Return ``size pnl``, ``target`` or ``liquidation`` as a document. The same answer gives the same text."""
    fees = "after the fees of both ways" if course.fee_rate else "before fees"
    keys = [("pnl", f"PnL {fees}")]
    under = "What closing at a price makes."
    if course.behind is not None:
        keys.append(("left", "margin left"))
        what = "isolated margin" if course.isolated else "wallet"
        under += f" Margin left: the {what} of {amount(course.behind, course.asset)} and the unrealised PnL."
    if any(point.required is not None for point in course.points):
        keys.append(("required", "what liquidation is held against"))
        under += " Where it meets what liquidation is held against the position dies: it never sees the shaded prices."
    drawn = f"<p class='under'>{escape(under)}</p>{_legend(keys)}<div class='panel'>{_course(course)}</div>"
    heading = f"{course.symbol} {course.side} over the price, in {course.asset}"
    sections = [(heading, drawn), ("Figures", _figures(answer.figures))]
    said = (*answer.notes, *notes, "Funding is not charged.")
    return framed(title, over=over, sections=sections, notes=said, style=_STYLE)


def reach_page(
    answer: Sizing, reached: Sequence[Reach], *, leverage: Decimal, title: str, over: str, notes: Sequence[str]
) -> str:
    """Return ``size max`` as a document: the largest position over the leverage. ``leverage``: the one asked about."""
    keys = [("cash", "as far as the balance goes")]
    if any(_tiered(each) for each in reached):
        keys.append(("tier", "as far as the tier of the leverage allows"))
    rows = [(f"{plain(each.leverage)}×", plain(each.quantity), plain(each.value), _limit(each)) for each in reached]
    unit = next(figure.unit for figure in answer.figures if figure.name == "value")
    listed = table(("leverage", "contracts", f"value, {unit}", "limited by"), rows)
    drawn = (
        f"{_legend(keys)}<div class='panel'>{_reach(reached, leverage)}</div>"
        f"<details><summary>As a table</summary>{listed}</details>"
    )
    heading = f"{answer.symbol}: the largest position over the leverage, in contracts"
    sections = [(heading, drawn), ("Figures", _figures(answer.figures))]
    return framed(title, over=over, sections=sections, notes=(*answer.notes, *notes), style=_STYLE)


def average_page(
    answer: Sizing, fills: Sequence[tuple[Quantity, Price]], *, title: str, over: str, notes: Sequence[str]
) -> str:
    """Return ``size average`` as a document: the fills and what they average to, on one line of prices."""
    entry = answer.value("entry_price")
    drawn = "" if entry is None else f"<div class='panel'>{_fills(fills, entry)}</div>"
    under = "<p class='under'>A dot is a fill, its area the contracts; the line is the average entry.</p>"
    sections = [(f"{answer.symbol}: fills and their average", under + drawn), ("Figures", _figures(answer.figures))]
    return framed(title, over=over, sections=sections, notes=(*answer.notes, *notes), style=_STYLE)


def change_page(edited: Edited, rulebook: Rulebook, *, title: str, over: str, notes: Sequence[str]) -> str:
    """Return ``size change`` as a document: each changed position before and after, or the refusal."""
    said = (*edited.notes, *notes)
    if edited.refusal is not None and edited.refused is not None:
        asked = f"{edited.refused.kind} {edited.refused.target}"
        told = f"<p>{escape(f'{asked}: {edited.refusal}')}.</p><p class='under'>Nothing is changed.</p>"
        return framed(title, over=over, sections=[("Refused", told)], notes=said, style=_STYLE)
    changed, others = [], []
    for before, after in pairs(edited):
        if before is not None and after is not None and held_alike(before, after):
            others += [(before, after)] if before != after else []
        else:
            changed.append(_beside(before, after, rulebook))
    key = "".join(
        f"<li><svg viewBox='0 0 26 10'><rect class='{kind}' width='26' height='10'/></svg>{name}</li>"
        for kind, name in (("was", "before"), ("now", "after"))
    )
    under = (
        "<p class='under'>Distance: the move of its own mark that liquidates the position. Health: balance ÷ "
        "requirement of its pool, liquidated at 1. Each pair of bars has its own scale.</p>"
    )
    nothing = "<p>No position is changed.</p>"
    sections = [
        (
            "Positions before and after",
            f"{under}<ul class='legend'>{key}</ul>{''.join(changed)}" if changed else nothing,
        )
    ]
    if others:
        sections.append(("Others in the same pools", _others(others)))
    free = [
        (f"available {asset}", *(_amount(held.get(asset), asset) for held in (edited.free_before, edited.free_after)))
        for asset in dict.fromkeys((*edited.free_before, *edited.free_after))
    ]
    if free:
        sections.append(("Wallet", table(("", "before", "after"), free)))
    return framed(title, over=over, sections=sections, notes=said, style=_STYLE)


# ── Drawings ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _course(course: Course) -> str:
    """Draw PnL, margin left and requirement over the price, with a line at each marked price and its name above."""
    points = course.points
    lines: list[tuple[str, list[tuple[Decimal, Decimal]]]] = [
        ("required", [(at.price, at.required) for at in points if at.required is not None]),
        ("left", [(at.price, at.left) for at in points if at.left is not None]),
        ("pnl", [(at.price, at.pnl) for at in points]),
    ]
    values = [value for _, line in lines for _, value in line]
    labels, rows = _placed([(name, f"{name} {price(at)}", at) for name, at in course.marked], points[0].price,
                           points[-1].price)  # fmt: skip
    low, high = _range(values)
    frame = _Frame(points[0].price, points[-1].price, low, high, rows * _LABEL + 10.0)
    parts = []
    died = dict(course.marked).get("liquidation")
    if died is not None:
        x, edge = frame.x(died), frame.x(points[0].price if course.side == "long" else points[-1].price)
        parts.append(f"<rect class='gone' x='{min(x, edge):.1f}' y='{frame.top:.1f}' width='{abs(x - edge):.1f}' "
                     f"height='{_HEIGHT}'/>")  # fmt: skip
    parts.append(_axes(frame, lambda value, _: price(value)))
    parts += [frame.path(kind, line) for kind, line in lines if line]
    named = []  # over all lines
    for name, text, at, row, x in labels:
        y = row * _LABEL + 14
        parts.append(
            f"<path class='at {name}' d='M{frame.x(at):.1f} {y + 4}V{frame.top + _HEIGHT:.1f}'>"
            f"<title>{escape(name)} {plain(at)}</title></path>"
        )
        named.append(f"<text class='name {name}' x='{x:.1f}' y='{y}' text-anchor='middle'>{escape(text)}</text>")
    return _svg([*parts, *named], frame.top + _HEIGHT + 30, f"{course.symbol} {course.side} over the price")


def _placed(
    marks: list[tuple[str, str, Price]], low: Price, high: Price
) -> tuple[list[tuple[str, str, Price, int, float]], int]:
    """Return labels with the row and the middle each is written at, none over another, and the number of rows."""
    ends: list[float] = []
    placed = []
    at_x = _Frame(low, high, Decimal(0), Decimal(1), 0).x
    for name, text, at in sorted(marks, key=lambda mark: mark[2]):
        half = len(text) * _LETTER / 2
        middle = min(max(at_x(at), half), _WIDTH - half)
        row = next((n for n, end in enumerate(ends) if end < middle - half), len(ends))
        ends[row:row + 1] = [middle + half + 12]  # fmt: skip
        placed.append((name, text, at, row, middle))
    return placed, len(ends)


def _reach(reached: Sequence[Reach], leverage: Decimal) -> str:
    """Draw the largest position over the leverage, a colour per limit, with a dot at the leverage asked about."""
    _, high = _range([each.quantity for each in reached])
    frame = _Frame(reached[0].leverage, reached[-1].leverage, Decimal(0), high, _LABEL + 10.0)
    parts = [_axes(frame, lambda value, places: f"{fixed(value, places)}×")]
    for before, after in pairwise(reached):
        kind = "tier" if _tiered(after) and (_tiered(before) or after.quantity < before.quantity) else "cash"
        parts.append(frame.path(kind, [(before.leverage, before.quantity), (after.leverage, after.quantity)]))
    asked = next(each for each in reached if each.leverage == leverage)
    x, y = frame.x(asked.leverage), frame.y(asked.quantity)
    text = f"{plain(asked.quantity)} at {plain(asked.leverage)}×"
    middle = min(max(x, len(text) * _LETTER / 2), _WIDTH - len(text) * _LETTER / 2)
    parts.append(
        f"<path class='at' d='M{x:.1f} {_LABEL}V{frame.top + _HEIGHT:.1f}'/>"
        f"<circle class='{'tier' if _tiered(asked) else 'cash'}' cx='{x:.1f}' cy='{y:.1f}' r='5'/>"
        f"<text class='name' x='{middle:.1f}' y='14' text-anchor='middle'>{escape(text)}</text>"
    )
    return _svg(parts, frame.top + _HEIGHT + 30, "The largest position over the leverage")


def _tiered(each: Reach) -> bool:
    return each.refusal is not None and each.refusal.reason in {"leverage_above_tier", "above_last_tier"}


def _limit(each: Reach) -> str:
    return "nothing" if each.refusal is None else each.refusal.reason.replace("_", " ")


def _fills(fills: Sequence[tuple[Quantity, Price]], entry: Price) -> str:
    """Draw a row per fill: a dot at its price, an arm from there to the average, which runs through all rows."""
    prices = [entry, *(at for _, at in fills)]
    pad = (max(prices) - min(prices)) / 4 or entry / 20
    frame = _Frame(min(prices) - pad, max(prices) + pad, Decimal(0), Decimal(1), 0)
    biggest, row = float(max(quantity for quantity, _ in fills)), 40
    bottom = 30 + row * len(fills)
    parts = [
        f"<path class='grid' d='M{frame.x(at):.1f} 24V{bottom}'/>"
        f"<text x='{frame.x(at):.1f}' y='{bottom + 20}' text-anchor='middle'>{price(at)}</text>"
        for at in _ticks(frame.x_low, frame.x_high)
    ]
    middle = frame.x(entry)
    for number, (quantity, at) in enumerate(fills):
        x, y = frame.x(at), 30 + row * number + row / 2
        radius = max(3.0, 13 * (float(quantity) / biggest) ** 0.5)
        text = f"{plain(quantity)} at {price(at)}"
        anchor, place = ("end", x - radius - 8) if x < middle else ("start", x + radius + 8)
        parts.append(
            f"<path class='arm' d='M{x:.1f} {y:.1f}H{middle:.1f}'/>"
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius:.1f}'/>"
            f"<text class='fill' x='{place:.1f}' y='{y + 4:.1f}' text-anchor='{anchor}'>{escape(text)}</text>"
        )
    parts.append(
        f"<path class='at average' d='M{middle:.1f} 20V{bottom}'><title>{plain(entry)}</title></path>"
        f"<text class='name' x='{middle:.1f}' y='14' text-anchor='middle'>average {price(entry)}</text>"
    )
    return _svg(parts, bottom + 30, "Fills and their average")


def _others(legs: Sequence[tuple[HeldLeg, HeldLeg]]) -> str:
    """Return a line for each position that stayed as it was in a pool that changed."""
    rows = []
    for before, after in legs:
        said = [(price(held.liquidation_price), "–" if held.distance is None else percent(held.distance, 2),
                 ratio(held.health)) for held in (before, after)]  # fmt: skip
        moved = [was if was == now else f"{was} → {now}" for was, now in zip(*said, strict=True)]
        rows.append((f"{after.symbol} {after.side}", *moved))
    return table(("position", "liquidation price", "distance", "health"), rows)


def _beside(before: HeldLeg | None, after: HeldLeg | None, rulebook: Rulebook) -> str:
    """Draw one position: a pair of bars per measure, before above after; its other figures under them."""
    held = after or before
    if held is None:
        return ""
    asset = rulebook.contract(held.symbol).settle_asset
    start, longest = _LEFT + 70, _WIDTH - _LEFT - 70 - 190
    measures: tuple[tuple[str, Callable[[HeldLeg], Decimal | None], Callable[[Decimal], str]], ...] = (
        ("liquidation price", lambda leg: leg.liquidation_price, price),
        ("distance", lambda leg: leg.distance, lambda value: percent(value, 2)),
        ("margin", lambda leg: leg.margin, lambda value: amount(value, asset)),
        ("health", lambda leg: leg.health, ratio),
    )
    parts = []
    for number, (name, of, said) in enumerate(measures):
        top = 4 + number * 54
        values = [None if leg is None else of(leg) for leg in (before, after)]
        largest = max((abs(float(value)) for value in values if value is not None), default=0.0) or 1.0
        parts.append(f"<text class='name' x='{start - 12}' y='{top + 25}' text-anchor='end'>{name}</text>")
        for line, (kind, leg, value) in enumerate(zip(("was", "now"), (before, after), values, strict=True)):
            wide = 0.0 if value is None else abs(float(value)) / largest * longest
            none = "not held" if leg is None else "none" if leg.known else "not known"
            text = none if value is None else said(value)
            y = top + 21 * line
            parts.append(
                f"<rect class='{kind}' x='{start}' y='{y}' width='{wide:.1f}' height='18'>"
                f"<title>{'none' if value is None else plain(value)}</title></rect>"
                f"<text x='{start + wide + 8:.1f}' y='{y + 14}'>{escape(text)}</text>"
            )
    drawn = _svg(parts, 4 + 54 * len(measures), f"{held.symbol} {held.side} before and after")
    cells = [_cells(leg, asset) for leg in (before, after)]
    rows = [(name, cells[0].get(name, "not held"), cells[1].get(name, "not held")) for name in cells[0] or cells[1]]
    return (
        f"<div class='panel step'><h3>{escape(held.symbol)} {escape(held.side)}</h3>{drawn}"
        f"<details><summary>More of it</summary>{table(('', 'before', 'after'), rows)}</details></div>"
    )


def _cells(held: HeldLeg | None, asset: str) -> dict[str, str]:
    if held is None:
        return {}
    return {
        "pool": held.pool,
        "quantity": plain(held.quantity),
        "entry": price(held.entry_price),
        "leverage": "–" if held.leverage is None else f"{plain(held.leverage)}×",
        "PnL": amount(held.unrealised_pnl, asset),
        "bankruptcy price": price(held.bankruptcy_price),
        "liquidation": held.formula or "–",
    }


# ── Parts of drawings ────────────────────────────────────────────────────────────────────────────────────────────


def _svg(parts: Sequence[str], height: float, label: str) -> str:
    return (
        f"<svg class='size' viewBox='0 0 {_WIDTH} {height:.0f}' role='img' aria-label='{escape(label)}'>"
        f"{''.join(parts)}</svg>"
    )


def _legend(keys: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f"<li><svg viewBox='0 0 26 10'><path class='{kind}' d='M0 5H26'/></svg>{escape(name)}</li>"
        for kind, name in keys
    )
    return f"<ul class='legend'>{items}</ul>"


def _axes(frame: _Frame, below: Callable[[Decimal, int], str]) -> str:
    """Draw the grid with its figures: amounts at the left, ``below`` writes those of the other axis."""
    right, bottom = _WIDTH - _RIGHT, frame.top + _HEIGHT
    parts = []
    for at in _ticks(frame.y_low, frame.y_high):
        kind = "grid" if at else "zero"
        parts.append(
            f"<path class='{kind}' d='M{_LEFT} {frame.y(at):.1f}H{right}'/><text x='{_LEFT - 8}' "
            f"y='{frame.y(at) + 4:.1f}' text-anchor='end'>{fixed(at, _places(at))}</text>"
        )
    parts += [
        f"<text x='{frame.x(at):.1f}' y='{bottom + 22:.1f}' text-anchor='middle'>"
        f"{escape(below(at, _places(at)))}</text>"
        for at in _ticks(frame.x_low, frame.x_high)
    ]
    return "".join(parts)


def _range(values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    """Return the lowest and highest of the values and 0, with a little room."""
    low, high = min(Decimal(0), *values), max(Decimal(0), *values)
    room = (high - low) / 20 or Decimal(1)
    return (low - room if low else low), high + room


def _ticks(low: Decimal, high: Decimal) -> list[Decimal]:
    """Return about six round figures from ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 6
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    first, last = (low / step).to_integral_value(ROUND_CEILING), (high / step).to_integral_value(ROUND_FLOOR)
    return [step * n for n in range(int(first), int(last) + 1)]


def _places(at: Decimal) -> int:
    exponent = at.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _amount(value: Decimal | None, asset: str) -> str:
    if value is None:
        return "not known"
    return amount(value) if asset == "account" else amount(value, asset)


def _figures(figures: Sequence[Figure]) -> str:
    rows = [
        (figure.name.replace("_", " ").replace("pnl", "PnL").replace("roe", "ROE"), _said(figure), figure.formula)
        for figure in figures
    ]
    return table(("figure", "value", "how"), rows)


def _said(figure: Figure) -> str:
    value, unit = figure.value, figure.unit
    if value is None:
        return "none" if figure.known else "not known"
    written = {"fraction": lambda: percent(value, 2), "×": lambda: ratio(value), "price": lambda: price(value),
               "contracts": lambda: plain(value)}  # fmt: skip
    return written.get(unit, lambda: amount(value, unit))()


__all__ = ["average_page", "change_page", "reach_page", "trade_page"]
