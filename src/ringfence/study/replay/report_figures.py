"""The report's figures: equity, health, and a price panel per symbol."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ringfence.study.replay.report_chart import Axis, Chart, Level, Line, Marker, Span, axis_over, label_rows
from ringfence.study.replay.words import kind_of
from ringfence.study.wording import amount, clock, price
from ringfence.tape.bars import micros_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.account import Position
    from ringfence.study.replay.report_zoom import Zoom
    from ringfence.study.replay.result import Architecture, Event, Leg, Replay

_CLASS: dict[Architecture, str] = {"isolated": "iso", "cross": "cross"}
_LOWEST_HEALTH = 0.4
_MOST_HEALTH = 200.0
_TABLE_ROWS = 24


def equity_chart(replay: Replay, asset: str, shaded: Span, values: dict[str, object]) -> tuple[str, str, str]:
    """Return title, text and figure of the equity curves of both architectures in one asset, over the whole tape."""
    series = {name: _equity(replay, name, asset) for name in _CLASS}
    span = Span(micros_of(replay.tape.start), micros_of(replay.tape.end))
    axis = axis_over([0.0, *(value for points in series.values() for _, value in points)], margin=0.05)
    name = f"equity-{replay.assets.index(asset)}"
    chart = Chart(
        name, f"Equity in {asset}",
        f"Equity under isolated and cross margin, from {clock(replay.tape.start)} to {clock(replay.tape.end)} UTC.",
        span, axis, [(tick, f"{tick:,.0f}" if tick == int(tick) else f"{tick:g}") for tick in axis.ticks()], "whole",
        lines=[Line(points, f"{_CLASS[key]} thick") for key, points in series.items()],
        markers=[
            Marker(micros_of(event.ts), float(event.left), _CLASS[event.architecture])
            for event in replay.events if event.kind == "liquidation" and event.asset == asset
        ],
        shaded=shaded if shaded != span else None, style="equity",
    )  # fmt: skip
    rows = [(sample.ts, [amount(replay.samples[key][at].equity[asset]) for key in _CLASS])
            for at, sample in enumerate(replay.samples["isolated"])]  # fmt: skip
    values[name] = {
        "times": [micros_of(ts) for ts, _ in rows],
        "lines": [["isolated", [row[0] for _, row in rows]], ["cross", [row[1] for _, row in rows]]],
    }
    legend = _legend(
        [("iso thick", f"isolated, ends at {amount(replay.outcomes['isolated'].end[asset], asset)}"),
         ("cross thick", f"cross, ends at {amount(replay.outcomes['cross'].end[asset], asset)}")]
    )  # fmt: skip
    table = _table(f"Equity in {asset}", ["isolated", "cross"], _thinned([(clock(ts), cells) for ts, cells in rows]))
    under = "Cash and unrealised PnL, every minute; both are the same until the first liquidation (✕)."
    if shaded != span:
        under += " The shaded minutes are looked at closely below."
    return f"Equity, {asset}", under, f"<figure>{legend}{chart.html()}{table}</figure>"


def _equity(replay: Replay, architecture: Architecture, asset: str) -> list[tuple[int, float]]:
    """Return the samples' equity, with a corner where something was taken over."""
    points = [(micros_of(sample.ts), float(sample.equity[asset])) for sample in replay.samples[architecture]]
    points += [
        (micros_of(event.ts), float(event.left))
        for event in replay.outcomes[architecture].liquidations if event.asset == asset
    ]  # fmt: skip
    return sorted(points, key=lambda point: point[0])


def health_chart(replay: Replay, close: Zoom, values: dict[str, object]) -> tuple[str, str, str]:
    """Return title, text and figure of the health of every pool of both architectures on one axis."""
    levels = replay.rulebook.levels
    known = [value for line in close.health.values() for value in line if value is not None]
    high = min(max([2.5, *known]) * 1.15, _MOST_HEALTH)
    axis = Axis(_LOWEST_HEALTH, high, log=True)
    alone = len(replay.assets) == 1
    lines, markers, ends = [], [], []
    for (architecture, pool), health in close.health.items():
        dead = _takeover(replay, architecture, pool)
        points = [(ts, value) for ts, value in zip(close.times, health, strict=True) if value is not None]
        if dead is not None:
            end = (micros_of(dead.ts), float(dead.health if dead.health is not None else 0))
            points.append(end)
            markers.append(Marker(*end, _CLASS[architecture], _label(pool, alone=alone)))
        elif points:
            ends.append(Level(points[-1][1], f"{_CLASS[architecture]}-text", _label(pool, alone=alone)))
        lines.append(Line(points, "cross thick" if architecture == "cross" else "iso thin"))
    chart = Chart(
        "health", "Health over time",
        f"Margin balance over liquidation requirement of every pool, {_range(close)}; 1 is where the venue liquidates.",
        close.span, axis, [(tick, f"{tick:g}") for tick in axis.ticks()], "close", lines=lines,
        levels=[
            Level(float(levels.warning), "at-warning", f"{levels.warning} warning"),
            Level(float(levels.margin_call), "at-call", f"{levels.margin_call} margin call"),
            Level(1.0, "at-liquidation", "1 liquidation"),
        ],
        ends=ends, markers=label_rows(markers, close.span), style="health",
    )  # fmt: skip
    names = [_pool_name(pool) for _, pool in close.health]
    values["health"] = {
        "times": close.times,
        "lines": [
            [name, [None if value is None else f"{value:.2f}" for value in health]]
            for name, health in zip(names, close.health.values(), strict=True)
        ],
    }
    legend = _legend([("iso", "isolated, a line per position"), ("cross thick", "cross, the whole pool")])
    rows = [
        (_time(ts), ["–" if health[at] is None else f"{health[at]:.2f}" for health in close.health.values()])
        for at, ts in enumerate(close.times)
    ]
    table = _table("Health", names, _thinned(rows))
    under = (
        f"Margin balance ÷ liquidation requirement, {_range(close)}, on a logarithmic axis. At 1 the venue liquidates; "
        "✕ marks a liquidation."
    )
    return "Health, both architectures on one axis", under, f"<figure>{legend}{chart.html()}{table}</figure>"


def price_panels(replay: Replay, close: Zoom, values: dict[str, object]) -> str:
    """Return a panel per position: price, entry, liquidation and bankruptcy prices of both architectures."""
    legend = _legend(
        [("price", "price"), ("entry", "entry"), ("iso liq", "isolated: liquidation"), ("iso bust", "bankruptcy"),
         ("cross liq", "cross: liquidation, other marks fixed"), ("cross bust", "bankruptcy")]
    )  # fmt: skip
    under = (
        f"{_range(close)[0].upper()}{_range(close)[1:]}. Under isolated margin the two prices stand still; under cross "
        "they move with every other position, and are off the chart while the pool is well. ✕ marks a liquidation."
    )
    panels = "".join(
        _price_panel(replay, close, position, f"price-{number}", values)
        for number, position in enumerate(replay.file.account.positions)
    )
    return f'<p class="under">{under}</p>{legend}<div class="prices">{panels}</div>'


def _price_panel(replay: Replay, close: Zoom, position: Position, name: str, values: dict[str, object]) -> str:
    symbol, side = position.symbol, position.side
    prices = close.prices[symbol]
    path = [(ts, float(value)) for ts, value in zip(close.times, prices, strict=True) if value is not None]
    own = close.legs.get(("isolated", symbol, side), [])
    shared = close.legs.get(("cross", symbol, side), [])
    fixed = [float(value) for _, leg in own[:1] for value in (leg.liquidation_price, leg.bankruptcy_price) if value]
    seen = [value for _, value in path] or [float(position.entry_price)]
    axis = axis_over([*seen, float(position.entry_price), *fixed])
    lines = [
        *(Line(run, f"{who} {style}")
          for who, legs in (("iso", own), ("cross", shared))
          for key, style in (("liquidation_price", "liq"), ("bankruptcy_price", "bust"))
          for run in _runs_on_chart(legs, key, axis)),
        Line(path, "price"),
    ]  # fmt: skip
    deaths = [(event, leg) for event in replay.events if event.kind == "liquidation"
              for leg in event.legs if (leg.symbol, leg.side) == (symbol, side)]  # fmt: skip
    chart = Chart(
        name, f"Price of {symbol}",
        f"Price with entry, liquidation and bankruptcy prices of the {side} in {symbol}, {_range(close)}.",
        close.span, axis, [(tick, f"{tick:,g}") for tick in axis.ticks()], "close", lines=lines,
        levels=[Level(float(position.entry_price), "entry")],
        markers=[
            Marker(micros_of(event.ts), float(leg.mark_price), _CLASS[event.architecture]) for event, leg in deaths
        ],
        style="small",
    )  # fmt: skip
    values[name] = {"times": close.times, "lines": [["price", [None if p is None else price(p) for p in prices]]]}
    told = "".join(f"<p>{escape(text)}</p>" for text in _panel_text(position, own, deaths))
    return f'<figure class="panel"><h3>{escape(symbol)} {side}</h3>{told}{chart.html()}</figure>'


def _panel_text(position: Position, own: list[tuple[int, Leg]], deaths: list[tuple[Event, Leg]]) -> list[str]:
    """Return three lines: the position, and what became of it under each architecture."""
    ends = {event.architecture: f"{kind_of(event)} {clock(event.ts)}" for event, _ in deaths}
    marks = {event.architecture: price(leg.mark_price) for event, leg in deaths}
    liquidated_at = price(own[0][1].liquidation_price) if own else "–"
    beyond = "below" if position.side == "long" else "above"
    return [
        f"{abs(position.quantity):,f} at {price(position.entry_price)}, {position.leverage}×",
        f"isolated: {ends['isolated']}, {beyond} {liquidated_at}"
        if "isolated" in ends
        else f"isolated: lives, liquidated {beyond} {liquidated_at}",
        f"cross: {ends['cross']}, at {marks['cross']}" if "cross" in ends else "cross: lives",
    ]


def _runs_on_chart(legs: list[tuple[int, Leg]], key: str, axis: Axis) -> list[list[tuple[int, float]]]:
    """Return the stretches over which a price lies on the chart; where it is off the chart or none there is no line."""
    runs: list[list[tuple[int, float]]] = [[]]
    for micros, leg in legs:
        value = getattr(leg, key)
        if value is not None and axis.low <= float(value) <= axis.high:
            runs[-1].append((micros, float(value)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _takeover(replay: Replay, architecture: Architecture, pool: str) -> Event | None:
    return next((event for event in replay.outcomes[architecture].liquidations if event.pool == pool), None)


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><path class="{style}" d="M1 5H25"/></svg>{escape(text)}</li>'
        for style, text in entries
    )
    return f'<ul class="legend">{items}</ul>'


def _table(caption: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f'<th scope="col" class="number">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{time}</th>'
        + "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for time, cells in rows
    )
    return (
        f'<details><summary>As a table</summary><div class="scroll"><table><caption>{escape(caption)}</caption>'
        f'<thead><tr><th scope="col">UTC</th>{head}</tr></thead><tbody>{body}</tbody></table></div></details>'
    )


def _thinned(rows: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    step = -(-len(rows) // _TABLE_ROWS)
    return rows[::step] if rows else rows


def _range(close: Zoom) -> str:
    return f"from {_time(close.span.start)[:5]} to {_time(close.span.end)[:5]} UTC"


def _time(micros: int) -> str:
    seconds = micros // 1_000_000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _short(symbol: str) -> str:
    """Return a symbol without the asset that all of them are quoted in, where that leaves a name."""
    for quote in ("USDT", "USDC", "USD_PERP", "USD"):
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote).rstrip("-_")
    return symbol


def _pool_name(pool: str) -> str:
    return pool.removeprefix("isolated ")


def _label(pool: str, *, alone: bool) -> str:
    """Return what a chart calls a pool: its symbol, and its side if it is short; cross, with its asset if not alone."""
    kind, name, *side = pool.split(" ")
    if kind == "cross":
        return kind if alone else pool
    return _short(name) + (" short" if side == ["short"] else "")


__all__ = ["equity_chart", "health_chart", "price_panels"]
