"""A fleet on a tape as one HTML file: who fell when, the prices that did it, where it concentrates, who is left.

Made of the same charts as a replay's report (:mod:`ringfence.study.replay.report_chart`): no network, no script needed,
light and dark.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from ringfence.fleet.results import falls_by_minute, rates
from ringfence.numbers import ONE, ZERO
from ringfence.study.fleet_page import short
from ringfence.study.page import framed, table
from ringfence.study.replay.report import tape_title
from ringfence.study.replay.report_chart import Axis, Chart, Level, Line, Span, axis_over
from ringfence.study.wording import amount, price, ratio
from ringfence.tape.bars import micros_of, moment_of
from ringfence.tape.coins import coin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.watched import Fallen, Forced, Watched
    from ringfence.tape import Tape

_POINTS = 300  # of a line on the page
_SYMBOLS = 6  # whose prices are drawn
_BARS = 12  # symbols in which it concentrates
_ROWS = 12  # of a table
_MINUTE = 60_000_000  # µs


def html_page(fleet: Fleet, found: Watched, called: Watched | None, *, tape: Tape) -> str:
    """Return a watch as one HTML document; but for its rates the same watch gives the same text.

    ``called``: the same walk watched at the level of a margin call, None where it was not.
    """
    at = [micros_of(frame.at) for frame in found.frames]
    span = Span(at[0], max(at[-1], at[0] + _MINUTE))
    values: dict[str, object] = {}
    sections = [
        ("Who fell when", _fallen(found, called, span, values) + _by_minute(found, span, values)),
        ("The prices that did it", _prices(found, span, values)),
    ]
    if found.forced:
        sections.append(("Where it concentrates", _concentration(found)))
    if found.fallen:
        sections.append(("Deepest in the red when they fell", _deepest(found)))
    if found.ending:
        sections.append(("Nearest to the edge at the end", _standing(found)))
    sections.append(("How fast it was watched", _speed(found, span, values)))
    on = f", {fleet.terms.as_of}" if fleet.terms.as_of else ""
    return framed(
        _headline(found, tape), sections=sections, notes=found.assumptions, values=values,
        style=(files("ringfence.study") / "fleet_watch.css").read_text(encoding="utf-8"),
        over=f"{fleet.where} · {fleet.terms.rulebook_name}{on} · {moment_of(span.start):%d %B %Y, %H:%M} to "
        f"{moment_of(span.end):%H:%M} UTC",
        head=_stats(found, called),
    )  # fmt: skip


def _reached(level: Decimal) -> str:
    return "liquidation" if level == ONE else f"a health of {level}"


def _headline(found: Watched, tape: Tape) -> str:
    told = f"{len(found.fallen):,} of {found.pools:,} pools fall to {_reached(found.level)}"
    return f"{tape_title(tape)}: {told if found.fallen else f'none of {found.pools:,} pools falls'}"


def _stats(found: Watched, called: Watched | None) -> str:
    accounts = len({fallen.account for fallen in found.fallen})
    share = 100 * accounts / found.accounts if found.accounts else 0.0
    cells = [("bad", f"{accounts:,}", f"of {found.accounts:,} accounts fall, {share:.1f} %")]
    busiest = max(falls_by_minute(found), key=lambda pair: pair[1], default=None)
    if busiest is not None:
        cells.append(("bad", f"{busiest[1]:,}", f"pools fall in the minute of {busiest[0]:%H:%M} alone"))
    if called is not None:
        cells.append(("called", f"{len(called.fallen):,}", f"pools are called: a health of {called.level} or less"))
    cells += [("bad", short(float(-total)), f"{asset or 'of the accounts’ currency'} below zero when they fell")
              for asset, total in _below_zero(found.fallen)[:1]]  # fmt: skip
    went = rates(found)
    if len(cells) < 4:
        cells.append(("plain", f"{went['prices_per_second'] or 0:,}", "prices a second"))
    body = "".join(f"<div class='stat {style}'><b>{big}</b><span>{escape(under)}</span></div>"
                   for style, big, under in cells)  # fmt: skip
    return f"<div class='stats'>{body}</div>"


def _below_zero(fallen: Iterable[Fallen]) -> list[tuple[str | None, Decimal]]:
    """Return by asset what balances were below zero when their pools fell, most pools first; nothing where none was."""
    sums: dict[str | None, Decimal] = {}
    for one in fallen:
        if one.balance < 0:
            sums[one.asset] = sums.get(one.asset, ZERO) + one.balance
    count = {asset: sum(one.asset == asset and one.balance < 0 for one in fallen) for asset in sums}
    return sorted(sums.items(), key=lambda pair: -count[pair[0]])


# ── Charts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _figure(under: str, legend: Sequence[tuple[str, str]], chart: str) -> str:
    keys = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><path class="{style}" d="M0 5H26"/></svg>{escape(text)}</li>'
        for style, text in legend
    )
    shown = f'<ul class="legend">{keys}</ul>' if keys else ""
    return f'<p class="under">{escape(under)}</p><div class="panel"><figure>{shown}{chart}</figure></div>'


def _grid(span: Span) -> list[int]:
    step = (span.end - span.start) / _POINTS
    return [round(span.start + step * number) for number in range(_POINTS + 1)]


def _until(falls: Sequence[int], times: Sequence[int]) -> list[int]:
    return [bisect_right(falls, at) for at in times]


def _fallen(found: Watched, called: Watched | None, span: Span, values: dict[str, object]) -> str:
    times = _grid(span)
    lines, shown, legend = [], [], []
    for one, style, word in ((called, "called", "called"), (found, "fell", "fallen")):
        if one is None:
            continue
        counts = _until([micros_of(fallen.at) for fallen in one.fallen], times)
        lines.append(Line(list(zip(times, map(float, counts), strict=True)), f"{style} thick"))
        shown.append([word, [f"{count:,}" for count in counts]])
        legend.append((f"{style} thick", f"{word}: health {one.level} or less, {counts[-1]:,} at the end"))
    values["fallen"] = {"times": times, "lines": shown}
    axis = axis_over([0.0, 1.0, *(value for line in lines for _, value in line.points)])
    chart = Chart(
        "fallen", "Pools that have fallen", "How many pools have reached the level, by time.", span, axis,
        [(tick, _count(tick)) for tick in axis.ticks()], "time", lines=lines, style="equity",
        bands=[([(at, 0.0, value) for at, value in lines[-1].points], "fell-area")],
    )  # fmt: skip
    under = "Pools that have reached each level up to a moment. A pool is counted once, however often it comes back."
    return _figure(under, legend, chart.html())


def _by_minute(found: Watched, span: Span, values: dict[str, object]) -> str:
    minutes = [(micros_of(minute), count) for minute, count in falls_by_minute(found)]
    if not minutes:
        return ""
    counts = dict(minutes)
    times = list(range(span.start // _MINUTE * _MINUTE, span.end + 1, _MINUTE))
    points = [(min(max(at + half, span.start), span.end), float(counts.get(at, 0)))
              for at in times for half in (0, _MINUTE)]  # fmt: skip
    values["minute"] = {"times": times, "lines": [["fell", [f"{counts.get(at, 0):,}" for at in times]]]}
    axis = axis_over([0.0, *(value for _, value in points)])
    chart = Chart(
        "minute", "Pools that fell in each minute", "How many pools fell in each minute.", span, axis,
        [(tick, _count(tick)) for tick in axis.ticks()], "time", lines=[Line(points, "fell")], style="low",
        bands=[([(at, 0.0, value) for at, value in points], "fell-area")],
    )  # fmt: skip
    return _figure("Pools that fell in each minute.", (), chart.html())


def _prices(found: Watched, span: Span, values: dict[str, object]) -> str:
    drawn, lines, ends, shown = _main_symbols(found), [], [], []
    times = _grid(span)
    for number, symbol in enumerate(drawn):
        path = [
            (micros_of(at), float(given)) for at, prices in found.moments for name, given in prices if name == symbol
        ]
        first = path[0][1]
        moves = [(at, 100 * (value / first - 1)) for at, value in _thinned(path, span)]
        style = f"s{number}"
        lines.append(Line(moves, style))
        ends.append(Level(moves[-1][1], style, f"{coin_of(symbol)} {_move(moves[-1][1])}"))
        stamps = [at for at, _ in path]
        last = [path[max(0, bisect_right(stamps, at) - 1)][1] for at in times]
        shown.append([symbol, [f"{price(Decimal(repr(value)))}  {_move(100 * (value / first - 1))}" for value in last]])
    values["prices"] = {"times": times, "lines": shown}
    axis = axis_over([value for line in lines for _, value in line.points] or [0.0, 1.0])
    chart = Chart(
        "prices", "Prices of the main symbols", "Moves of the main symbols since the tape began.", span, axis,
        [(tick, _move(tick)) for tick in axis.ticks()], "time", lines=lines, ends=ends,
    )  # fmt: skip
    more = len({name for _, prices in found.moments for name, _ in prices}) - len(drawn)
    rest = f" {more} other symbols move as well." if more > 0 else ""
    under = f"Moves since the tape began, of the symbols in which most fell.{rest}"
    return _figure(under, [(f"s{number}", symbol) for number, symbol in enumerate(drawn)], chart.html())


def _main_symbols(found: Watched) -> list[str]:
    """Return up to six symbols that the tape moves, one a coin: those in which most fell, then as the tape has them."""
    moved = dict.fromkeys(name for _, prices in found.moments for name, _ in prices)
    order = [*(one.symbol for one in found.forced if one.symbol in moved), *moved]
    by_coin: dict[str, str] = {}
    for symbol in order:
        by_coin.setdefault(coin_of(symbol), symbol)
    return list(by_coin.values())[:_SYMBOLS]


def _thinned(path: Sequence[tuple[int, float]], span: Span) -> list[tuple[int, float]]:
    """Return the least and the greatest of each stretch of a path, in their order, and its last point."""
    found: list[tuple[int, float]] = []
    stretch: list[tuple[int, float]] = []
    size = (span.end - span.start) / _POINTS
    for point in path:
        if stretch and (point[0] - span.start) // size != (stretch[0][0] - span.start) // size:
            found += _ends(stretch)
            stretch = []
        stretch.append(point)
    return [*found, *_ends(stretch), path[-1]]


def _ends(stretch: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
    return sorted(ends)


def _speed(found: Watched, span: Span, values: dict[str, object]) -> str:
    went = rates(found)
    size = (span.end - span.start) / _POINTS
    most: dict[int, tuple[int, int]] = {}
    for frame in found.frames:
        at = micros_of(frame.at)
        stretch = int((at - span.start) // size)
        most[stretch] = max(most.get(stretch, (0, 0)), (frame.read, at))
    points = [(at, float(max(1, read))) for _, (read, at) in sorted(most.items())]
    values["read"] = {"times": [at for at, _ in points], "lines": [["re-read", [f"{read:,.0f}" for _, read in points]]]}
    axis = Axis(0.8, max(2.0, 1.3 * max(value for _, value in points)), log=True)
    chart = Chart(
        "read", "Pools re-read per frame", "How many pools a frame had to value.", span, axis,
        [(tick, _count(tick)) for tick in axis.ticks() if f"{tick:g}".startswith("1")], "time",
        lines=[Line(points, "read")], style="low",
    )  # fmt: skip
    rows = [
        ("frames", f"{went['frames']:,}", f"{went['frames_per_second'] or 0:,} a second"),
        ("prices", f"{went['prices']:,}", f"{went['prices_per_second'] or 0:,} a second"),
        ("a frame", f"median {went['frame_median_microseconds'] or 0:,} µs",
         f"worst {went['frame_worst_microseconds'] or 0:,} µs"),
        ("pools re-read in a frame", f"median {went['pools_read_median'] or 0:,}",
         f"mean {went['pools_read_per_frame'] or 0:,}"),
        ("exact decisions", f"{found.exact:,}", f"{went['exact_seconds']:.2f} s"),
        ("reading and packing", "", f"{went['build_seconds']:.2f} s"),
        ("compiling kernels, once per machine", "",
         f"{went['compile_seconds']:.2f} s" if went["compile_seconds"] else "done before"),
    ]  # fmt: skip
    under = (
        "Pools that had to be valued again in a frame, the most of each stretch of time. Rates are those of screening "
        "alone, added up over the processor cores that shared it."
    )
    return _figure(under, (), chart.html()) + table((), rows)


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _concentration(found: Watched) -> str:
    by_asset: dict[str, list[Forced]] = {}
    for one in found.forced:
        by_asset.setdefault(one.asset, []).append(one)
    panels = "".join(
        f"<div class='panel'><h3>{escape(asset)}</h3><div class='share'>{_bars(ones, asset)}</div></div>"
        for asset, ones in list(by_asset.items())[:4]
    )
    under = "Value of the positions in pools that fell, at the moment they fell, and how many positions those are."
    grid = f"<div class='two'>{panels}</div>" if len(by_asset) > 1 else panels
    return f"<p class='under'>{under}</p>{grid}"


def _bars(ones: Sequence[Forced], asset: str) -> str:
    total = sum(one.value for one in ones) or 1.0
    most = max(one.value for one in ones) or 1.0
    shown = list(ones[:_BARS])
    rest = ones[_BARS:]
    rows = "".join(
        f"<span>{escape(one.symbol)}</span><i style='width:{100 * one.value / most:.1f}%'></i>"
        f"<span>{short(one.value)} · {100 * one.value / total:.1f} % · {one.positions:,}</span>"
        for one in shown
    )
    if rest:
        value = sum(one.value for one in rest)
        rows += (
            f"<span>{len(rest)} more</span><i style='width:{min(100.0, 100 * value / most):.1f}%;opacity:.35'></i>"
            f"<span>{short(value)} · {100 * value / total:.1f} % · {sum(one.positions for one in rest):,}</span>"
        )
    return rows + f"<span>in all</span><span></span><span>{short(total)} {escape(asset)}</span>"


def _deepest(found: Watched) -> str:
    worst = sorted(found.fallen, key=lambda one: (one.health is None, one.health or ZERO, one.account))[:_ROWS]
    rows = [
        (one.account, one.pool, f"{one.at:%H:%M:%S}", ratio(one.health), amount(one.balance, one.asset),
         amount(one.required, one.asset))
        for one in worst
    ]  # fmt: skip
    below = [f"{amount(-total, asset)}" for asset, total in _below_zero(found.fallen)]
    count = sum(one.balance < 0 for one in found.fallen)
    said = f"{count:,} of {len(found.fallen):,} pools were below zero when they fell: " if below else ""
    told = (
        f"{said}{', '.join(below)} that an insurance fund would need."
        if below
        else "No pool was below zero when it fell."
    )
    under = f"{told} The least health first; a pool in the red at the tape’s first prices stood there before."
    return f"<p class='under'>{escape(under)}</p>" + table(
        ("account", "pool", "fell at", "health", "balance", "required"), rows
    )


def _standing(found: Watched) -> str:
    rows = [(one.account, one.pool, ratio(one.health), amount(one.balance, one.asset), amount(one.required, one.asset))
            for one in found.ending[:_ROWS]]  # fmt: skip
    under = f"Pools that have not fallen to {_reached(found.level)}, at the tape’s last prices, the least health first."
    return f"<p class='under'>{escape(under)}</p>" + table(("account", "pool", "health", "balance", "required"), rows)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _move(value: float) -> str:
    text = f"{value:+.1f}".removesuffix(".0")
    return "0 %" if text in {"+0", "-0"} else f"{text} %".replace("-", "−")


__all__ = ["html_page"]
