"""The report's tables: the timeline side by side, how each position ended, and every takeover."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ringfence.study.replay.result import ARCHITECTURES
from ringfence.study.replay.words import kind_of, trade_said
from ringfence.study.wording import amount, clock, price, ratio

if TYPE_CHECKING:
    from datetime import timedelta

    from ringfence.study.replay.result import Event, Leg, Outcome, Replay


_TAKEN_OVER = (
    "Full takeover: the pool is taken over whole at its bankruptcy prices. In a pool of several those are the prices "
    "at which its equity is used up when it is shared out by maintenance margin."
)
_BY_SEQUENCE = (
    "By the venue's own sequence; the prices are those before its first step. In a pool of several the bankruptcy "
    "prices are those at which its equity is used up when it is shared out by maintenance margin."
)


def timeline_table(replay: Replay) -> str:
    """Return warnings, margin calls and liquidations in order, a column per architecture."""
    if not replay.events:
        return '<p class="under">No warning, no margin call, no liquidation.</p>'
    rows = "".join(_timeline_row(event, _length(replay)) for event in replay.events)
    return (
        '<table class="timeline"><thead><tr><th scope="col">UTC</th><th scope="col" class="iso-text">isolated</th>'
        f'<th scope="col" class="cross-text">cross</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _timeline_row(event: Event, whole: timedelta) -> str:
    cells = "".join(
        f'<td data-side="{name}">{_what(event)}</td>' if event.architecture == name else "<td></td>"
        for name in ARCHITECTURES
    )
    return f'<tr class="{event.kind}"><th scope="row">{clock(event.ts, of=whole)}</th>{cells}</tr>'


def _length(replay: Replay) -> timedelta:
    return replay.tape.end - replay.tape.start


def _what(event: Event) -> str:
    pool = event.pool.removeprefix("isolated ")
    said = f'<span class="what">{escape(pool)}: {kind_of(event)}</span>, health {ratio(event.health)}'
    if len(event.legs) == 1:
        leg = event.legs[0]
        said += f", mark {price(leg.mark_price)}"
        if event.kind in {"warning", "margin_call"}:
            said += f'<span class="more">liquidation price {price(leg.liquidation_price)}</span>'
    if event.kind not in {"reduction", "liquidation"}:
        return said
    alone = event.pool.startswith("isolated")
    said += "".join(f'<span class="more">{escape(trade_said(trade, alone=alone))}</span>' for trade in event.trades)
    return (
        f'{said}<span class="more">lost {amount(event.loss, event.asset)}; {_to_fund(event)}; '
        f"left {amount(event.left, event.asset)}</span>"
    )


def _to_fund(event: Event) -> str:
    if event.fund >= 0:
        return f"insurance fund gains {amount(event.fund)}"
    return f"insurance fund pays {amount(-event.fund)}"


def positions_table(replay: Replay) -> str:
    """Return what became of each position under each architecture."""
    rows = "".join(
        f'<tr><th scope="row">{escape(p.symbol)} {p.side}</th><td class="number">{abs(p.quantity):,f}</td>'
        f'<td class="number">{p.leverage}×</td><td class="number">{price(p.entry_price)}</td>'
        + "".join(f"<td>{_fate(replay.outcomes[name], p.symbol, p.side)}</td>" for name in ARCHITECTURES)
        + "</tr>"
        for p in replay.file.account.positions
    )
    return _table(
        [("position", ""), ("quantity", "number"), ("leverage", "number"), ("entry", "number"),
         ("isolated", "iso-text"), ("cross", "cross-text")],
        rows,
    )  # fmt: skip


def _table(columns: list[tuple[str, str]], rows: str) -> str:
    """Return a table that scrolls sideways where it does not fit; a column is its name and CSS class."""
    head = "".join(f'<th scope="col" class="{style}">{name}</th>' for name, style in columns)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _fate(outcome: Outcome, symbol: str, side: str) -> str:
    for event in outcome.liquidations:
        if any((leg.symbol, leg.side) == (symbol, side) for leg in event.legs):
            return f"{kind_of(event)} at {clock(event.ts)}"
    leg = next(leg for leg in outcome.survivors if (leg.symbol, leg.side) == (symbol, side))
    return f"lives, PnL {amount(leg.unrealised_pnl, signed=True)}"


def takeovers_table(replay: Replay) -> str:
    """Return every position that was liquidated, with its prices at that moment; nothing when there was none."""
    rows = "".join(
        _takeover_row(event, leg, _length(replay))
        for event in replay.events if event.kind == "liquidation" for leg in event.legs
    )  # fmt: skip
    if not rows:
        return ""
    title, under = "Every takeover", _TAKEN_OVER
    if replay.sequence == "venue":
        title, under = "Every position that was closed by force", _BY_SEQUENCE
    table = _table(
        [("UTC", ""), ("margin", ""), ("position", ""), ("mark", "number"), ("liquidation price", "number"),
         ("bankruptcy price", "number"), ("PnL", "number")],
        rows,
    )  # fmt: skip
    return f'<h2>{title}</h2><p class="under">{under}</p>{table}'


def _takeover_row(event: Event, leg: Leg, whole: timedelta) -> str:
    style = "iso-text" if event.architecture == "isolated" else "cross-text"
    return (
        f'<tr><th scope="row">{clock(event.ts, of=whole)}</th><td class="{style}">{event.architecture}</td>'
        f'<td>{escape(leg.symbol)} {leg.side}</td><td class="number">{price(leg.mark_price)}</td>'
        f'<td class="number">{price(leg.liquidation_price)}</td><td class="number">{price(leg.bankruptcy_price)}</td>'
        f'<td class="number">{amount(leg.unrealised_pnl, signed=True)}</td></tr>'
    )


__all__ = ["positions_table", "takeovers_table", "timeline_table"]
