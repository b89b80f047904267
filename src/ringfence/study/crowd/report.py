"""A crowd as one HTML file: cards, survival, money, who kept what, forced volume and the prices it moved.

Made of the same parts as the report of one account (:mod:`~ringfence.study.replay.report_chart`): no network, no script
needed.
"""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from ringfence.numbers import ZERO, divide, exact
from ringfence.study.crowd.result import HOLDINGS
from ringfence.study.crowd.table import comparison
from ringfence.study.crowd.words import paragraph, short_amount
from ringfence.study.page import document, listed_notes, packaged
from ringfence.study.replay.report_chart import Axis, Chart, Level, Line, Span, axis_over
from ringfence.study.wording import fixed, percent, price
from ringfence.tape.bars import micros_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ringfence.study.crowd.result import Crowd, CrowdOutcome, Holding

_CLASS: Mapping[Holding, str] = {"isolated": "iso", "cross": "cross", "mixed": "mix"}
_TITLES: Mapping[Holding, str] = {"isolated": "All isolated", "cross": "All cross", "mixed": "Mixed"}
_MINUTE = 60_000_000
_BEFORE, _AFTER = 10 * _MINUTE, 40 * _MINUTE
_MOST_SHARE = 98  # % of liquidations that the close look holds
_KEPT = (
    (Decimal("0.01"), "nothing"), (Decimal("0.25"), "up to a quarter"), (Decimal("0.5"), "up to half"),
    (Decimal("0.75"), "up to three quarters"), (Decimal(1), "up to all of it"),
    (Decimal("1.5"), "up to half as much more"), (None, "more than that"),
)  # fmt: skip


def write_crowd_report(crowd: Crowd, path: Path) -> None:
    """Write the report to ``path``; folders that are missing are made. Raises OSError when it cannot be written."""
    text = crowd_html(crowd)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@exact
def crowd_html(crowd: Crowd) -> str:
    """Return the report as one HTML document. The same crowd gives the same text."""
    values: dict[str, object] = {}
    whole = Span(micros_of(crowd.start), micros_of(crowd.end))
    close = _close(crowd, whole)
    head = (
        f"{crowd.number:,} accounts · {crowd.rulebook} · {crowd.start.day} {crowd.start:%B %Y, %H:%M} to "
        f"{crowd.end:%H:%M} UTC · seed {crowd.seed}"
        f"{' · forced orders move the price' if crowd.moved else ''}"
    )
    title = f"{crowd.tape_title}: a crowd under three margin architectures"
    body = (
        f'<p class="over">{escape(head)}</p><h1>{escape(_headline(crowd))}</h1>'
        f'<p class="verdict crowd">{escape(paragraph(crowd))}</p>'
        f'<div class="cards three">{"".join(_card(crowd, name) for name in HOLDINGS)}</div>'
        f"{_survival(crowd, close, values)}{_kept(crowd)}{_equity(crowd, whole, values)}"
        f"{_forced(crowd, close, values)}{_prices(crowd, close, values) if crowd.moved else ''}"
        f"<h2>Side by side</h2>{_table(crowd)}"
        f"<h2>What was assumed</h2>{listed_notes(crowd.assumptions)}<h2>Sources</h2>{listed_notes(crowd.sources)}"
        f"<footer>Written by ringfence. {_checked(crowd)}</footer>"
    )
    return document(title, body, style=packaged("crowd.css"), values=values)


def _checked(crowd: Crowd) -> str:
    every = [*crowd.outcomes.values(), *crowd.moved.values()]
    zero = not any(total for one in every for total in one.trial_balance.values())
    return (
        f"{sum(one.updates for one in every):,} price updates, {sum(one.events for one in every):,} events in "
        f"{len(every)} runs; trial balance {'zero in every one' if zero else 'NOT ZERO'}."
    )


def _headline(crowd: Crowd) -> str:
    said = []
    for name in ("isolated", "cross"):
        one = crowd.shown[name]
        ruined = f"{one.wiped_out:,}" if one.wiped_out else "none"
        said.append(f"{name} margin liquidates {one.liquidated:,} and leaves {ruined} of them with nothing")
    return f"{crowd.tape_title}: of {crowd.number:,} accounts {', '.join(said)}"


def _card(crowd: Crowd, name: Holding) -> str:
    one = crowd.shown[name]
    change = percent(divide(one.equity - one.capital, one.capital, places=6))
    rows = [
        ("accounts liquidated", f"{one.liquidated:,} of {crowd.number:,}"),
        ("positions forced", f"{one.positions_forced:,} of {one.positions:,}"),
        ("wiped out", f"{one.wiped_out:,}"),
        ("bankrupt at takeover", f"{one.bankrupt:,}"),
        ("insurance fund paid", short_amount(one.fund.paid)),
        ("auto-deleveraged", f"{one.deleveraging.accounts:,} accounts, {short_amount(one.deleveraging.value)}"),
        ("median account keeps", percent(one.quantile(50))),
    ]
    items = "".join(f"<li><span>{left}</span><span>{escape(right)}</span></li>" for left, right in rows)
    return (
        f'<section class="card {_CLASS[name]}"><h2>{_TITLES[name]}</h2>'
        f'<div class="flow"><span class="from">{short_amount(one.capital, crowd.places)} →</span>'
        f'<span class="to">{short_amount(one.equity, crowd.places)}</span>'
        f'<span class="unit">{escape(crowd.asset)}</span></div>'
        f'<p class="change">{"+" if one.equity > one.capital else ""}{change} of the crowd’s capital</p>'
        f"<ul>{items}</ul></section>"
    )


def _close(crowd: Crowd, whole: Span) -> Span:
    """Return the minutes around nearly all liquidations of all architectures; the whole tape where there are none."""
    moments = sorted(
        fate.liquidated for one in crowd.shown.values() for fate in one.fates if fate.liquidated is not None
    )
    if not moments:
        return whole
    last = moments[len(moments) * _MOST_SHARE // 100 - 1 if len(moments) > 1 else 0]
    start = max(whole.start, (moments[0] - _BEFORE) // _MINUTE * _MINUTE)
    return Span(start, min(whole.end, max((last + _AFTER) // _MINUTE * _MINUTE, start + 2 * _MINUTE)))


# ── Figures ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _figure(title: str, under: str, legend: str, figure: str) -> str:
    return (
        f'<h2>{escape(title)}</h2><p class="under">{escape(under)}</p>'
        f'<div class="panel"><figure>{legend}{figure}</figure></div>'
    )


def _legend(items: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><path class="{style}" d="M0 5H26"/></svg>{escape(text)}</li>'
        for style, text in items
    )
    return f'<ul class="legend">{rows}</ul>'


def _three(ends: Mapping[Holding, str]) -> str:
    return _legend([(f"{_CLASS[name]} thick", f"{name}, {ends[name]}") for name in HOLDINGS])


def _readout(times: list[int], lines: Mapping[Holding, list[str]]) -> dict[str, object]:
    return {"times": times, "lines": [[name, lines[name]] for name in HOLDINGS]}


def _survival(crowd: Crowd, close: Span, values: dict[str, object]) -> str:
    lines, shown, times, ends = [], {}, list[int](), {}
    for name in HOLDINGS:
        one = crowd.shown[name]
        falls = sorted(fate.liquidated for fate in one.fates if fate.liquidated is not None)
        points = [(close.start, 1 - sum(at < close.start for at in falls) / crowd.number)]
        left = crowd.number
        for at in falls:
            before, left = left / crowd.number, left - 1
            if close.start <= at <= close.end:
                points += [(at, before), (at, left / crowd.number)]
        points.append((close.end, points[-1][1]))
        lines.append(Line(points, f"{_CLASS[name]} thick"))
        ends[name] = f"{one.samples[-1].accounts:,} of {crowd.number:,} to the end"
        times = [sample.micros for sample in one.samples if close.start <= sample.micros <= close.end]
        shown[name] = [f"{sample.accounts:,}" for sample in one.samples if close.start <= sample.micros <= close.end]
    values["survival"] = _readout(times, shown)
    chart = Chart(
        "survival", "Accounts not liquidated", "Share of accounts that nobody has liquidated yet, by architecture.",
        close, Axis(0.0, 1.03), [(tick / 4, f"{tick * 25} %") for tick in range(5)], "close", lines=lines,
        style="equity",
    )  # fmt: skip
    under = (
        "Share of accounts that have not been liquidated, in part or whole, in the minutes in which nearly all of it "
        "happened."
    )
    return _figure("Survival", under, _three(ends), chart.html())


def _kept(crowd: Crowd) -> str:
    rows = []
    for name in HOLDINGS:
        kept = crowd.shown[name].kept
        counts = [0] * len(_KEPT)
        for share in kept:
            counts[next(i for i, (end, _) in enumerate(_KEPT) if end is None or share <= end)] += 1
        parts = "".join(
            f'<i class="b{index}" style="width:{100 * count / len(kept):.2f}%" title="{_KEPT[index][1]}: {count:,}">'
            f"{f'{count:,}' if 100 * count / len(kept) >= 4 else ''}</i>"
            for index, count in enumerate(counts)
            if count
        )
        rows.append(f'<span class="{_CLASS[name]}-text">{name}</span><div class="bar">{parts}</div>')
    key = "".join(f'<li><i class="b{index}"></i>{text}</li>' for index, (_, text) in enumerate(_KEPT))
    under = "Accounts by what they have at the end of what they began with: cash and open positions at the last marks."
    return _figure("Who kept how much", under, "", f'<div class="bars">{"".join(rows)}</div><ul class="key">{key}</ul>')


def _equity(crowd: Crowd, whole: Span, values: dict[str, object]) -> str:
    lines, shown, times, ends = [], {}, list[int](), {}
    capital = float(crowd.shown["isolated"].capital)
    for name in HOLDINGS:
        samples = crowd.shown[name].samples
        points = [(whole.start, capital), *((sample.micros, float(sample.equity)) for sample in samples)]
        lines.append(Line(points, f"{_CLASS[name]} thick"))
        times = [sample.micros for sample in samples]
        shown[name] = [fixed(sample.equity, crowd.places) for sample in samples]
        ends[name] = f"ends at {short_amount(crowd.shown[name].equity)}"
    values["equity"] = _readout(times, shown)
    axis = axis_over([value for line in lines for _, value in line.points])
    chart = Chart(
        "equity", f"Equity of the crowd in {crowd.asset}", "Equity of all accounts together, by architecture.", whole,
        axis, [(tick, short_amount(Decimal(round(tick)))) for tick in axis.ticks()], "whole", lines=lines,
        levels=[Level(capital, "start")], style="equity",
    )  # fmt: skip
    under = "All accounts together, every minute; the dashed line is what they began with."
    return _figure(f"The crowd’s equity, {crowd.asset}", under, _three(ends), chart.html())


def _forced(crowd: Crowd, close: Span, values: dict[str, object]) -> str:
    lines, shown, ends = [], {}, {}
    times = list(range(close.start // _MINUTE * _MINUTE, close.end, _MINUTE))
    for name in HOLDINGS:
        volume = dict.fromkeys(times, ZERO)
        total = ZERO
        for forced in crowd.shown[name].forced:
            total += forced.value
            if forced.micros in volume:
                volume[forced.micros] += forced.value
        points = [(at + half, float(volume[at])) for at in times for half in (0, _MINUTE)]
        lines.append(Line([point for point in points if point[0] <= close.end], f"{_CLASS[name]} thick"))
        shown[name] = [fixed(volume[at], crowd.places) for at in times]
        ends[name] = f"{short_amount(total)} in all"
    values["forced"] = _readout(times, shown)
    axis = axis_over([0.0, *(value for line in lines for _, value in line.points)])
    chart = Chart(
        "forced", "Forced volume per minute", "Value of forced orders that the market took in a minute.", close, axis,
        [(tick, short_amount(Decimal(round(tick)))) for tick in axis.ticks()], "close", lines=lines, style="equity",
    )  # fmt: skip
    under = f"What liquidations and the insurance fund sold to or bought from the market in each minute, {crowd.asset}."
    return _figure("Forced volume", under, _three(ends), chart.html())


def _prices(crowd: Crowd, close: Span, values: dict[str, object]) -> str:
    panels = "".join(_price_panel(crowd, symbol, f"price-{i}", close, values) for i, symbol in enumerate(crowd.symbols))
    legend = _legend([("tape", "the tape"), *((f"{_CLASS[name]}", name) for name in HOLDINGS)])
    under = "The price as the tape has it, and as forced orders moved it under each architecture, once a minute."
    head = f'<h2>Prices that forced orders moved</h2><p class="under">{under}</p>'
    return f'{head}{legend}<div class="prices">{panels}</div>'


def _price_panel(crowd: Crowd, symbol: str, name: str, close: Span, values: dict[str, object]) -> str:
    def path(one: CrowdOutcome) -> list[tuple[int, float]]:
        return [
            (sample.micros, float(sample.marks[symbol]))
            for sample in one.samples
            if symbol in sample.marks and close.start <= sample.micros <= close.end
        ]

    tape = path(crowd.outcomes["isolated"])
    lines = [Line(path(crowd.moved[holding]), _CLASS[holding]) for holding in HOLDINGS] + [Line(tape, "tape")]
    axis = axis_over([value for line in lines for _, value in line.points] or [1.0])
    values[name] = {
        "times": [at for at, _ in tape],
        "lines": [[label, [f"{value:g}" for _, value in line.points]]
                  for label, line in zip((*HOLDINGS, "tape"), lines, strict=True)],
    }  # fmt: skip
    chart = Chart(
        name, f"Price of {symbol}", f"Price of {symbol} on the tape and as forced orders moved it.", close, axis,
        [(tick, f"{tick:,g}") for tick in axis.ticks()], "close", lines=lines, style="small",
    )  # fmt: skip
    lows = ", ".join(f"{holding} {price(crowd.moved[holding].lowest[symbol])}" for holding in HOLDINGS)
    told = f"<p>lowest on the tape {price(crowd.lowest[symbol])}</p><p>{lows}</p>"
    return f'<figure class="panel"><h3>{escape(symbol)}</h3>{told}{chart.html()}</figure>'


def _table(crowd: Crowd) -> str:
    rows = ""
    for title, lines in comparison(crowd):
        rows += f'<tr class="part"><th scope="rowgroup" colspan="4">{escape(title)}</th></tr>'
        for label, cells in lines:
            rows += f'<tr><th scope="row">{escape(label)}</th>'
            rows += "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells) + "</tr>"
    head = "".join(f'<th scope="col" class="number {_CLASS[name]}-text">{name}</th>' for name in HOLDINGS)
    return (
        f'<div class="scroll"><table class="compare"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


__all__ = ["crowd_html", "write_crowd_report"]
