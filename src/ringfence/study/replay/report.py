"""A replay as one HTML file: no network, no script needed, light and dark, on a phone, on a laptop and in print.

Everything that comes from a file (names, symbols, notes) is escaped. The charts are inline SVG
(:mod:`~ringfence.study.replay.report_chart`); a few lines of inline script add a shared crosshair, and tables say the
same as the charts do.
"""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from ringfence.study.page import document, listed_notes
from ringfence.study.replay.report_figures import equity_chart, health_chart, price_panels
from ringfence.study.replay.report_tables import positions_table, takeovers_table, timeline_table
from ringfence.study.replay.report_zoom import zoom
from ringfence.study.replay.result import ARCHITECTURES
from ringfence.study.replay.verdict import verdict
from ringfence.study.wording import amount, clock, counted, percent, price
from ringfence.tape import packaged_windows

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.numbers import Value
    from ringfence.study.replay.result import Architecture, Outcome, Replay
    from ringfence.tape import Tape

_CENT = Decimal("0.005")  # less is shown as nothing
_TITLES = {"isolated": "Isolated margin", "cross": "Cross margin"}


def write_report(replay: Replay, path: Path) -> None:
    """Write the report to ``path``; folders that are missing are made. Raises OSError when it cannot be written."""
    text = html_report(replay)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def html_report(replay: Replay) -> str:
    """Return the report as one HTML document. The same replay gives the same text."""
    close = zoom(replay)
    values: dict[str, object] = {}
    title = f"{tape_title(replay.tape)}: isolated or cross margin"
    figures = "".join(_section(*equity_chart(replay, asset, close.span, values)) for asset in replay.assets)
    figures += _section(*health_chart(replay, close, values))
    panels = price_panels(replay, close, values)
    body = (
        f'<p class="over">{_over(replay)}</p><h1>{escape(_headline(replay))}</h1>'
        f'<p class="verdict">{escape(verdict(replay))}</p>'
        f'<div class="cards">{"".join(_card(replay, architecture) for architecture in ARCHITECTURES)}</div>'
        f"{figures}"
        f"<h2>Prices, and where each architecture is liquidated</h2>{panels}"
        f"<h2>What happened, side by side</h2>{timeline_table(replay)}"
        f"<h2>How each position ended</h2>{positions_table(replay)}{takeovers_table(replay)}"
        f"<h2>What was assumed</h2>{listed_notes(replay.assumptions)}"
        f"<h2>Sources</h2>{listed_notes(_sources(replay))}"
        f"<footer>Written by ringfence. {replay.ticks:,} prices, every decision by exact assessment.</footer>"
    )
    return document(title, body, values=values)


def _section(title: str, under: str, figure: str) -> str:
    return f'<h2>{escape(title)}</h2><p class="under">{under}</p><div class="panel">{figure}</div>'


def _over(replay: Replay) -> str:
    tape = replay.tape
    return escape(
        f"{replay.file.where} · {counted(len(replay.file.account.positions), 'position')} · {replay.rulebook.title} · "
        f"{tape.start.day} {tape.start:%B %Y, %H:%M} to {tape.end:%H:%M} UTC"
    )


def _headline(replay: Replay) -> str:
    parts = []
    for asset in replay.assets:
        kept = [replay.outcomes[name].end[asset] for name in ARCHITECTURES]
        isolated, cross = (amount(value) if value >= _CENT else "nothing" for value in kept)
        capital = _round_amount(replay.funding.capital[asset], asset)
        parts.append(f"isolated margin keeps {isolated} of {capital}, cross margin {cross}")
    return f"{tape_title(replay.tape)}: {'; '.join(parts)}"


def tape_title(tape: Tape) -> str:
    """Return what a packaged window is called, or the tape's name."""
    titles = (window.title for window in packaged_windows() if tape.provenance.file.endswith(f"window {window.name}"))
    return next(titles, tape.name)


def _round_amount(value: Value, asset: str) -> str:
    return f"{value:,.0f} {asset}" if value == value.to_integral_value() else amount(value, asset)


def _card(replay: Replay, architecture: Architecture) -> str:
    outcome = replay.outcomes[architecture]
    money = "".join(_money(outcome, asset) for asset in replay.assets)
    return (
        f'<section class="card {"iso" if architecture == "isolated" else "cross"}"><h2>{_TITLES[architecture]}</h2>'
        f"{money}<ul>{''.join(_fates(outcome))}</ul></section>"
    )


def _money(outcome: Outcome, asset: str) -> str:
    start, end = outcome.start[asset], outcome.end[asset]
    when, lowest = outcome.lowest[asset]
    change = f"{percent((end - start) / start)} · " if start > 0 else ""
    sign = "+" if end > start else ""
    return (
        f'<div class="flow"><span class="from">{amount(start)} →</span><span class="to">{amount(end)}</span>'
        f'<span class="unit">{escape(asset)}</span></div>'
        f'<p class="change">{sign}{change}lowest {amount(lowest)} at {when:%H:%M} · '
        f"drawdown {percent(outcome.drawdown[asset])}</p>"
    )


def _fates(outcome: Outcome) -> list[str]:
    """Return a list item per position: taken over or alive, and one for idle cash."""
    rows = []
    for event in outcome.liquidations:
        for leg in event.legs:
            own = len(event.legs) == 1
            lost = amount(-event.loss, signed=True) if own else f"PnL {amount(leg.unrealised_pnl, signed=True)}"
            rows.append(_item("gone", f"{leg.symbol} {leg.side}", f"{clock(event.ts)} · {lost}"))
    for leg in outcome.survivors:
        pnl = amount(leg.unrealised_pnl, signed=True)
        rows.append(_item("kept", f"{leg.symbol} {leg.side}", f"lives at {price(leg.mark_price)} · PnL {pnl}"))
    for asset, idle in outcome.idle.items():
        if idle > 0:
            rows.append(_item("kept", "idle in the wallet", f"{amount(idle, asset)}, never at stake"))
    return rows


def _item(style: str, left: str, right: str) -> str:
    return f'<li class="{style}"><span>{escape(left)}</span><span>{escape(right)}</span></li>'


def _sources(replay: Replay) -> tuple[str, ...]:
    provenance = replay.tape.provenance
    said = [f"Prices: {provenance.source or provenance.file}" + (f" ({provenance.venue})" if provenance.venue else "")]
    said += [f"{name.replace('_', ' ').capitalize()}: {text}" for name, text in replay.rulebook.sources.items()]
    return tuple(said)


__all__ = ["html_report", "tape_title", "write_report"]
