"""A fleet's stress as one HTML file in the look of the other reports: no network, no script, light and dark."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ringfence.fleet.results import assets_with_anything, most_forced
from ringfence.study.page import framed, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.stress import Stress

_STYLE = """
.heat { width: 100%; height: auto; display: block; }
.heat text { font-size: 13px; fill: var(--soft); }
.heat .in { fill: #fff; font-size: 10px; }
.heat .in.on { fill: #2b2b2b; }
.heat .here { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.curve { fill: none; stroke-width: 2.2; }
.curve.a { stroke: var(--iso); } .curve.b { stroke: var(--cross); }
.axis { stroke: var(--rule); stroke-width: 1; }
.key i { display: inline-block; width: 14px; height: 14px; border-radius: 3px; }
.bar { fill: var(--iso); }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
@media (max-width: 760px) { .two { grid-template-columns: 1fr; } }
"""
_SHADES = ("#4e9a73", "#9cc59a", "#e7cf70", "#e9a03b", "#d1495b", "#a1173f")
_DARK = {"#d1495b", "#a1173f"}  # shades on which white is read better than ink
_SHARES = (0.0, 0.01, 0.05, 0.2, 0.4, 0.6)


def html_page(fleet: Fleet, found: Stress, *, title: str) -> str:
    """Return the stress as one HTML document. The same stress gives the same text."""
    accounts, pools, positions = (int(count) for count in found.sums.held)
    assets = assets_with_anything(found)
    first = assets[0] if assets else 0
    asset = found.assets[first] or "the account's currency"
    on = f", {fleet.terms.as_of}" if fleet.terms.as_of else ""
    head = f"<p class='under'>{escape(fleet.terms.rulebook_name)}{on}; {len(found.scenarios) - 1} scenarios.</p>"
    sections = [(f"{accounts:,} accounts, {pools:,} pools, {positions:,} positions", head)]
    places = {scenario.at: number for number, scenario in enumerate(found.scenarios) if scenario.at is not None}
    if places:
        shares = [int(count) / max(1, accounts) for count in found.sums.accounts]
        fund = [float(value) for value in found.sums.fund[first]]
        most = max(fund) or 1.0
        sections.append(("Share of accounts liquidatable", _panel(
            "To the right the majors, upward all other symbols; the square is now.",
            _heat(places, shares, lambda share: f"{100 * share:.0f}", "%"))))  # fmt: skip
        sections.append((f"What the insurance fund would need, {asset}", _panel(
            f"The darkest cell is {short(most)}.",
            _heat(places, [value / most for value in fund], lambda share: short(share * most), asset))))  # fmt: skip
    sections.append(("All marks together", _panel("", _curves(found, first, asset)) + _rows(found, "all")))
    if any(scenario.group == "history" for scenario in found.scenarios):
        sections.append(("Days that were", _rows(found, "history")))
    worst = int(found.sums.fund[first].argmax())
    sections.append((f"Where it concentrates: {found.scenarios[worst].name}", _panel(
        "Value, at the scenario's marks, of the positions in liquidatable pools.", _bars(found, worst))))  # fmt: skip
    return framed(title, over="Fleet stress", sections=sections, notes=found.assumptions, style=_STYLE)


def short(value: float) -> str:
    """Return an amount in thousands, millions or billions."""
    for size, unit in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:,.0f}"


def _panel(under: str, body: str) -> str:
    said = f"<p class='under'>{escape(under)}</p>" if under else ""
    return f"{said}<div class='panel'>{body}</div>"


def _colour(share: float) -> str:
    return [shade for floor, shade in zip(_SHARES, _SHADES, strict=True) if share >= floor][-1]


def _heat(
    places: Mapping[tuple[Decimal, Decimal], int], shares: Sequence[float], told: Callable[[float], str], unit: str
) -> str:
    right, up = sorted({place[0] for place in places}), sorted({place[1] for place in places})
    left, top, wide, high = 62.0, 8.0, (1000 - 70) / len(right), 34.0
    bottom = top + high * len(up)
    parts = []
    for (column, row), number in places.items():
        x, y = left + right.index(column) * wide, bottom - (up.index(row) + 1) * high
        share, text = shares[number], told(shares[number])
        shade = _colour(share)
        ink = "in" if shade in _DARK else "in on"
        name = f"majors {_move(column)}, others {_move(row)}: {text} {unit}"
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide + 0.4:.1f}" height="{high + 0.4:.1f}" fill="{shade}">'
            f"<title>{escape(name)}</title></rect>"
            f'<text class="{ink}" x="{x + wide / 2:.1f}" y="{y + high / 2 + 4:.1f}" text-anchor="middle">'
            f"{escape(text)}</text>"
        )
        if not column and not row:
            parts.append(f'<rect class="here" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"/>')
    parts += [
        f'<text x="{left + (at + 0.5) * wide:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{_move(move)}</text>'
        for at, move in enumerate(right)
    ]
    parts += [
        f'<text x="{left - 6:.0f}" y="{bottom - (at + 0.5) * high + 4:.1f}" text-anchor="end">{_move(move)}</text>'
        for at, move in enumerate(up)
    ]
    return f'<svg class="heat" viewBox="0 0 1000 {bottom + 24:.0f}" role="img">{"".join(parts)}</svg>'


def _move(move: Decimal | float) -> str:
    return f"{float(move) * 100:+.4g} %".replace("-", "−") if move else "0 %"


def _curves(found: Stress, asset: int, named: str) -> str:
    """Draw the share of accounts liquidatable and what the fund would need over moves of all marks."""
    points = sorted((float(s.others), at) for at, s in enumerate(found.scenarios) if s.group in {"all", "now"})
    if len(points) < 2:
        return ""
    accounts = max(1, int(found.sums.held[0]))
    shares = [int(found.sums.accounts[at]) / accounts for _, at in points]
    fund = [float(found.sums.fund[asset, at]) for _, at in points]
    most = (max(shares) or 1.0, max(fund) or 1.0)
    low, high = points[0][0], points[-1][0]

    def across(move: float) -> float:
        return 60 + 880 * (move - low) / (high - low)

    def path(values: Sequence[float], top: float) -> str:
        pairs = (f"{across(move):.1f} {230 - 200 * value / top:.1f}"
                 for (move, _), value in zip(points, values, strict=True))  # fmt: skip
        return "M" + "L".join(pairs)

    ticks = "".join(
        f'<text x="{across(move):.1f}" y="250" text-anchor="middle">{_move(move)}</text>'
        for at, (move, _) in enumerate(points)
        if at % max(1, len(points) // 10) == 0
    )
    key = (
        f"<ul class='legend'><li><svg viewBox='0 0 26 10'><path class='curve a' d='M0 5H26'/></svg>accounts "
        f"liquidatable, up to {100 * most[0]:.1f} %</li>"
        f"<li><svg viewBox='0 0 26 10'><path class='curve b' d='M0 5H26'/></svg>insurance fund, "
        f"up to {short(most[1])} {escape(named)}</li></ul>"
    )
    return (
        f'{key}<svg class="heat" viewBox="0 0 1000 260" role="img"><path class="axis" d="M60 230H940M60 30V230"/>'
        f'<path class="curve a" d="{path(shares, most[0])}"/>'
        f'<path class="curve b" d="{path(fund, most[1])}"/>{ticks}</svg>'
    )


def _rows(found: Stress, group: str) -> str:
    sums, accounts = found.sums, max(1, int(found.sums.held[0]))
    rows = []
    for at, scenario in enumerate(found.scenarios):
        if scenario.group not in {group, "now"}:
            continue
        for line, asset in enumerate(assets_with_anything(found)):
            struck = int(sums.accounts[at])
            head = [scenario.name, f"{struck:,}", f"{100 * struck / accounts:.2f} %", f"{int(sums.called[at]):,}"]
            rows.append([*(head if not line else [""] * 4), found.assets[asset] or "baskets, in their currency",
                         short(float(sums.loss[asset, at])), short(float(sums.fund[asset, at]))])  # fmt: skip
    return table(["", "accounts liquidatable", "", "pools called", "asset", "loss", "insurance fund"], rows)


def _bars(found: Stress, scenario: int) -> str:
    forced = most_forced(found, scenario, 15)
    total = float(found.sums.forced[:, scenario].sum()) or 1.0
    most = forced[0][1] if forced else 1.0
    parts = []
    for at, (symbol, value) in enumerate(forced):
        y = 8 + at * 24
        parts.append(
            f'<text x="150" y="{y + 13}" text-anchor="end">{escape(symbol)}</text>'
            f'<rect class="bar" x="158" y="{y}" width="{640 * value / most:.1f}" height="17" rx="3"/>'
            f'<text x="{164 + 640 * value / most:.1f}" y="{y + 13}">{short(value)} · {100 * value / total:.1f} %</text>'
        )
    return f'<svg class="heat" viewBox="0 0 1000 {16 + 24 * len(forced)}" role="img">{"".join(parts)}</svg>'


__all__ = ["html_page", "short"]
