"""A rescue as one HTML file: the ways out of danger, and what is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.study.page import framed, table
from ringfence.study.wording import amount, percent, ratio

if TYPE_CHECKING:
    from ringfence.study.rescue import Endangered, Rescue, Way


def html_page(found: Rescue, *, title: str) -> str:
    """Return the rescue as one HTML document. The same rescue gives the same text."""
    which = "Every pool whose health is known" if found.unknown else "Every pool"
    sections = [
        (f"{pool.pool}: health {ratio(pool.health)}, wanted above {ratio(found.target)}", _pool(pool))
        for pool in found.pools
    ] or [("Nothing to rescue", f"<p>{which} has a health above {ratio(found.target)}.</p>")]
    notes = ("ranked by fees, then by cash from outside, then by what is tied up", f"target: {found.level_source}",
             "room: the smallest move of one mark alone that then liquidates the pool", *found.notes)  # fmt: skip
    return framed(title, over="Rescue", sections=sections, notes=notes)


def _pool(pool: Endangered) -> str:
    ways = [_row(way, pool.asset) for way in pool.ways if way.refusal is None]
    refused = [(way.what, way.refusal or "") for way in pool.ways if way.refusal is not None]
    headers = ("way out", "fees", "from outside", "health", "room")
    shown = table(headers, ways) if ways else "<p class='under'>There is no way out.</p>"
    return shown + (f"<h3>No way out</h3>{table((), refused)}" if refused else "")


def _row(way: Way, asset: str | None) -> tuple[str, ...]:
    unit = asset or (way.unit if way.kind == "deposit" else None)
    closed = way.health is None
    return (
        way.what,
        amount(way.cost, unit) if way.cost else "none",
        amount(way.outside, unit) if way.outside else "none",
        "closed" if closed else ratio(way.health),
        "" if closed else "no end" if way.room is None else percent(way.room, 2),
    )


__all__ = ["html_page"]
