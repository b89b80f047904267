"""The frame of a study's HTML page: one file in the look of the replay's report, no network, no script needed."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from ringfence.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


_PHONE = """
@media (max-width: 640px) {
  .panel:has(> svg) { overflow-x: auto; }
  .panel > svg { min-width: 680px; }
}
"""
"""On a narrow screen a picture is moved sideways, not shrunk until nobody can read it."""


def framed(
    title: str,
    *,
    over: str,
    sections: Iterable[tuple[str, str]],
    notes: Sequence[str],
    style: str = "",
    head: str = "",
    values: Mapping[str, object] | None = None,
) -> str:
    """Return a page. ``sections``: heading and body, the body as HTML; title, heading and notes are escaped here.

    ``head``: HTML under the title. ``values``: what a crosshair reads in each chart
    (:class:`ringfence.study.replay.report_chart.Chart`), by its name; the page is complete without a script.
    """
    body = "".join(f"<h2>{escape(heading)}</h2>{content}" for heading, content in sections)
    assumed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return document(
        title,
        f"<p class='over'>{escape(over)}</p><h1>{escape(title)}</h1>{head}{body}"
        f"<h2>What was assumed</h2><ul class='notes'>{assumed}</ul>"
        f"<footer>Written by ringfence.</footer>",
        style=_PHONE + style,
        values=values,
    )


def document(title: str, body: str, *, style: str = "", values: Mapping[str, object] | None = None) -> str:
    """Return a whole page around a body of HTML. ``style``: CSS besides the look that all pages share.

    ``values`` as in :func:`framed`; without them the page has no script.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{packaged('report.css')}{style}</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n</main>\n{_crosshair(values)}</body>\n</html>\n"
    )


def packaged(name: str) -> str:
    """Return a style or script that comes with the package."""
    return (files("ringfence.study") / name).read_text(encoding="utf-8")


def listed_notes(notes: Iterable[str]) -> str:
    """Return notes as a list; each is escaped."""
    return f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>'


def _crosshair(values: Mapping[str, object] | None) -> str:
    if values is None:
        return ""
    data = json.dumps(values, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="values">{data}</script>\n<script>\n{packaged("report.js")}</script>\n'


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in a panel; the first cell of a row names it. Every cell is escaped."""
    head = f"<thead><tr>{''.join(f'<th>{escape(header)}</th>' for header in headers)}</tr></thead>" if headers else ""
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        lines.append(f"<tr><th scope='row'>{escape(first)}</th>{cells}</tr>")
    return f"<div class='panel scroll'><table>{head}<tbody>{''.join(lines)}</tbody></table></div>"


def write(text: str, path: Path) -> None:
    """Write a page to ``path``; folders that are missing are made. Raises BadConfiguration where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadConfiguration(
            "the report cannot be written", where=f"--report {path}", expected="a file that can be made",
            found=error.strerror or str(error), hint="name a file in a folder you may write to",
        ) from None  # fmt: skip


__all__ = ["document", "framed", "listed_notes", "packaged", "table", "write"]
