"""A replay under several architectures as one HTML file: a colour per way, no network, no script.

Two charts over the whole tape: what each way is worth, and the lowest health of its pools; then the figures, what
happened, and what this venue would not let be held.
"""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from ringfence.study.page import framed, table
from ringfence.study.replay.report import tape_title
from ringfence.study.replay.report_chart import Axis, Chart, Level, Line, Marker, Span, axis_over
from ringfence.study.replay.words import trade_said
from ringfence.study.wording import amount, clock, counted, percent, ratio
from ringfence.tape.bars import micros_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.study.replay.ways import Happening, SideBySide, Way

_CLASS = {"isolated": "iso", "cross": "cross", "multi_asset": "multi", "portfolio": "port"}
_STYLE = """
:root { --multi: #7a5cc0; --port: #2f8f6b; }
@media (prefers-color-scheme: dark) { :root { --multi: #b49cf0; --port: #6fcfa5; } }
path.multi { stroke: var(--multi); stroke-width: 2.2; } path.port { stroke: var(--port); stroke-width: 2.2; }
path.multi.thick, path.port.thick { stroke-width: 2.4; }
path.cross.thick { stroke-dasharray: none; } path.multi.thick { stroke-dasharray: 9 5; }
path.port.thick { stroke-dasharray: 3 4; stroke-linecap: round; }
.sign.multi { color: var(--multi); } .sign.port { color: var(--port); }
.plot .tag.multi, .way-multi { color: var(--multi); } .plot .tag.port, .way-port { color: var(--port); }
.way-iso { color: var(--iso); } .way-cross { color: var(--cross); }
.cards.many { grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); }
.card.multi { border-top-color: var(--multi); } .card.port { border-top-color: var(--port); }
.card.multi h3 { color: var(--multi); } .card.port h3 { color: var(--port); }
.card.iso h3 { color: var(--iso); } .card.cross h3 { color: var(--cross); }
.card li.gone span:first-child::before { color: var(--bad) !important; }
"""
_CENT = Decimal("0.005")  # less is shown as nothing
_LOWEST_HEALTH, _MOST_HEALTH = 0.4, 200.0
_SAID = {"warning": "warning", "margin_call": "margin call", "exchange": "debt exchanged", "reduction": "reduced",
         "liquidation": "liquidated"}  # fmt: skip


def html_page(found: SideBySide, *, notes: Sequence[str]) -> str:
    """Return the replay as one HTML document. The same replay gives the same text."""
    title = f"{tape_title(found.tape)}: {_headline(found)}"
    over = (
        f"{found.file.where} · {counted(len(found.file.account.positions), 'position')} · {found.rulebook.title} · "
        f"{found.tape.start.day} {found.tape.start:%B %Y, %H:%M} to {found.tape.end:%H:%M} UTC"
    )
    sections = [("In short", f"<p class='under'>{escape(found.verdict())}</p>{_cards(found)}")]
    if found.held:
        sections += [
            ("What each way is worth", f"<p class='under'>{_UNDER_WORTH}</p>{_worth(found)}"),
            ("Health over time", f"<p class='under'>{_UNDER_HEALTH}</p>{_health(found)}"),
            ("Figures", _figures(found.held)),
            ("What happened", _timeline(found)),
        ]
    refused = [(way.words, way.unavailable) for way in found.ways if way.unavailable is not None]
    if refused:
        sections.append(("Not possible here", table((), refused)))
    return framed(title, over=over, sections=sections, notes=notes, style=_STYLE)


_UNDER_WORTH = (
    "Cash and unrealised PnL at the index, every minute, in the account's currency. A cross marks a liquidation; lines "
    "that lie on each other are told apart by their dashes."
)
_UNDER_HEALTH = (
    "Balance over liquidation requirement, of the pool that is nearest to it; 1 is where the venue liquidates. A line "
    "ends where nothing is held any more."
)


def _headline(found: SideBySide) -> str:
    held = sorted(found.held, key=lambda way: -way.end)
    if not held:
        return "held in no way"
    kept = [amount(way.end) if way.end >= _CENT else "nothing" for way in held]
    return ", ".join(f"{way.words} keeps {left}" for way, left in zip(held, kept, strict=True))


def _cards(found: SideBySide) -> str:
    return f"<div class='cards many'>{''.join(_card(way) for way in found.held)}</div>"


def _card(way: Way) -> str:
    change = percent((way.end - way.start) / way.start) if way.start > 0 else ""
    lost = [f"<li class='gone'><span>{escape(name)}</span><span>closed by force</span></li>" for name in way.closed]
    part = [
        f"<li class='kept'><span>{escape(name)}</span><span>reduced</span></li>"
        for name in way.reduced if name in way.kept
    ]  # fmt: skip
    alive = [
        f"<li class='kept'><span>{escape(name)}</span><span>lives</span></li>"
        for name in way.kept if name not in way.reduced
    ]  # fmt: skip
    return (
        f"<section class='card {_CLASS[way.name]}'><h3>{escape(way.words)}</h3><div class='flow'>"
        f"<span class='from'>{amount(way.start)} →</span><span class='to'>{amount(way.end)}</span></div>"
        f"<p class='change'>{change} · lowest {amount(way.lowest.worth)} at {way.lowest.ts:%H:%M} · lowest health "
        f"{ratio(way.lowest_health)}</p><ul>{''.join((*lost, *part, *alive))}</ul></section>"
    )


def _legend(ways: Sequence[Way]) -> str:
    items = "".join(
        f"<li><svg viewBox='0 0 26 10'><path class='{_CLASS[way.name]} thick' d='M0 5H26'/></svg>"
        f"{escape(way.words)}</li>"
        for way in ways
    )
    return f"<ul class='legend'>{items}</ul>"


def _span(found: SideBySide) -> Span:
    return Span(micros_of(found.tape.start), micros_of(found.tape.end))


def _worth(found: SideBySide) -> str:
    span, lines = _span(found), []
    for way in found.held:
        points = [(micros_of(one.ts), float(one.worth)) for one in way.moments]
        points += [(micros_of(one.ts), float(one.worth)) for one in way.happenings if one.kind == "liquidation"]
        lines.append(Line(sorted(points, key=lambda point: point[0]), f"{_CLASS[way.name]} thick"))
    axis = axis_over([0.0, *(value for line in lines for _, value in line.points)], margin=0.05)
    chart = Chart(
        "worth", "Worth over time", f"What each way of holding the account is worth, {_range(found)}.", span, axis,
        [(tick, f"{tick:,.0f}" if tick == int(tick) else f"{tick:g}") for tick in axis.ticks()], "whole", lines=lines,
        markers=[
            Marker(micros_of(one.ts), float(one.worth), _CLASS[way.name])
            for way in found.held for one in way.happenings if one.kind == "liquidation"
        ],
        style="equity",
    )  # fmt: skip
    return f"<div class='panel'><figure>{_legend(found.held)}{chart.html()}</figure></div>"


def _health(found: SideBySide) -> str:
    levels = found.rulebook.levels
    known = [float(one.health) for way in found.held for one in way.moments if one.health is not None]
    axis = Axis(_LOWEST_HEALTH, min(max([2.5, *known]) * 1.15, _MOST_HEALTH), log=True)
    lines = []
    for way in found.held:
        seen = [(one.ts, one.health) for one in way.moments] + [(one.ts, one.health) for one in way.happenings]
        points = sorted((micros_of(ts), float(health)) for ts, health in seen if health is not None)
        lines.append(Line(points, f"{_CLASS[way.name]} thick"))
    chart = Chart(
        "health", "Health over time", f"The lowest health of each way's pools, {_range(found)}.", _span(found), axis,
        [(tick, f"{tick:g}") for tick in axis.ticks()], "whole", lines=lines,
        levels=[
            Level(float(levels.warning), "at-warning", f"{levels.warning} warning"),
            Level(float(levels.margin_call), "at-call", f"{levels.margin_call} margin call"),
            Level(1.0, "at-liquidation", "1 liquidation"),
        ],
        style="health",
    )  # fmt: skip
    return f"<div class='panel'><figure>{_legend(found.held)}{chart.html()}</figure></div>"


def _range(found: SideBySide) -> str:
    return f"from {clock(found.tape.start)} to {clock(found.tape.end)} UTC"


def _figures(held: Sequence[Way]) -> str:
    rows = [
        ("at the start", *(amount(way.start) for way in held)),
        ("at the end", *(amount(way.end) for way in held)),
        ("lowest", *(f"{amount(way.lowest.worth)} at {way.lowest.ts:%H:%M}" for way in held)),
        ("drawdown", *(percent(way.drawdown) for way in held)),
        ("lowest health", *(ratio(way.lowest_health) for way in held)),
        ("margin calls", *(str(way.count("margin_call")) for way in held)),
        ("liquidations", *(str(way.count("liquidation", "reduction")) for way in held)),
        ("to the insurance fund", *(amount(way.fund) for way in held)),
    ]
    return table(("", *(way.words for way in held)), rows)


def _timeline(found: SideBySide) -> str:
    words = {way.name: way.words for way in found.held}
    happened = sorted((one for way in found.held for one in way.happenings), key=lambda one: one.ts)
    if not happened:
        return "<p class='under'>Nothing happened.</p>"
    rows = [
        (clock(one.ts, of=found.tape.end - found.tape.start), words[one.way], _what(one), ratio(one.health),
         amount(one.worth))
        for one in happened
    ]  # fmt: skip
    return table(("UTC", "way", "what happened", "health", "left"), rows)


def _what(one: Happening) -> str:
    pool = "" if one.pool == "account" else f"{one.pool.removeprefix('isolated ')} "
    more = [one.said] if one.said else [trade_said(trade) for trade in one.trades]
    return f"{pool}{_SAID[one.kind]}" + (f": {'; '.join(more)}" if more else "")


__all__ = ["html_page"]
