"""How every verb shows things: results on standard output, progress and diagnostics on standard error.

Numbers for machines are plain decimal strings (:func:`text`); numbers for people are grouped and cut to the decimals
that mean something (:func:`price`, :func:`amount`, :func:`percent`). rich is imported when something is drawn, never
for ``--json``.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ringfence.errors import BadInput, RingfenceError
from ringfence.numbers import ONE, ROUND_FLOOR, ROUND_HALF_EVEN, plain, round_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table

BROKEN_PIPE = 141  # 128 + SIGPIPE: what a shell reports of a program whose reader went away


@dataclass(slots=True)
class Settings:
    """What the global options chose."""

    colour: bool = True
    quiet: bool = False
    verbose: bool = False


settings = Settings()

STATUS_STYLES = {
    "healthy": "green",
    "warning": "yellow",
    "margin_call": "dark_orange",
    "liquidatable": "bold red",
    None: "dim",
}
STATUS_WORDS = {
    "healthy": "healthy",
    "warning": "warning",
    "margin_call": "margin call",
    "liquidatable": "LIQUIDATABLE",
    None: "not known",
}


def console(*, stderr: bool = False) -> Console:
    """Return a console on standard output (or standard error) as the global options want it."""
    from rich.console import Console

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            leave_broken_pipe()

    plain_text = not settings.colour or bool(os.environ.get("NO_COLOR"))
    return _Console(
        stderr=stderr, no_color=plain_text, color_system=None if plain_text else "auto", highlight=False, emoji=False
    )


def leave_broken_pipe() -> None:
    """End quietly after the reader of our output went away (``ringfence … | head``)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(BROKEN_PIPE)


def say(message: str) -> None:
    """Tell the user how things go, on standard error; ``--quiet`` is silent."""
    if not settings.quiet:
        console(stderr=True).print(message, style="dim", markup=False, soft_wrap=True)


def print_json(data: Any) -> None:
    """Print one JSON object on standard output."""
    import json

    print_text(json.dumps(data, ensure_ascii=False, indent=2))


def print_text(content: str) -> None:
    """Print text as it is on standard output."""
    try:
        sys.stdout.write(content if content.endswith("\n") else content + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        leave_broken_pipe()


def print_error(error: RingfenceError) -> None:
    """Print an error on standard error: what is wrong and where, then expected, found and do."""
    from rich.text import Text

    first, *rest = str(error).split("\n")
    report = Text.assemble(("error: ", "bold red"), (first, "red"))
    if isinstance(error, BadInput):
        for line in rest:
            label, colon, said = line.partition(": ")
            report.append(f"\n{label}{colon}", style="bold").append(said)
    else:
        report.append("".join(f"\n{line}" for line in rest))
    console(stderr=True).print(report, soft_wrap=True)


# ── Numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def price(value: Decimal | None, decimals: int) -> str:
    """Return a price with its number of decimals, thousands separated; ``none`` where there is no such price."""
    return "none" if value is None else _grouped(value, decimals)


def price_decimals(step: Decimal | None, given: Iterable[Decimal]) -> int:
    """Return how many decimals a symbol's prices are shown with.

    Those of the price step; where it is not known, those of the prices ``given`` (as the venue printed them), and at
    least five significant digits.
    """
    if step is not None:
        return _decimals(step)
    prices = list(given)
    significant = max((4 - value.adjusted() for value in prices if value), default=2)
    return min(max([significant, *(_decimals(value) for value in prices)], default=2), 12)


_MILLIONS = 6  # the power of ten from which on cents are not shown


def amount(value: Decimal | None, asset: str | None) -> str:
    """Return an amount of an asset: two decimals for dollars and their like, up to eight for coins, more for crumbs.

    None of them from a million on, where they would take the room that the figures before them need.
    """
    if value is None:
        return "not known"
    decimals = 2 if asset is None or "USD" in asset or asset == "DAI" else 8 if value.adjusted() < 2 else 4
    if value.adjusted() >= _MILLIONS:
        decimals = 0
    if value and value.adjusted() < -decimals:
        decimals = min(1 - value.adjusted(), 18)
    return _grouped(value, decimals)


def exactly(value: Decimal | None) -> str:
    """Return a number with all its digits, thousands separated."""
    return "not known" if value is None else _grouped(value, _decimals(value))


def percent(value: Decimal | None, *, decimals: int = 2, missing: str = "none") -> str:
    """Return a fraction as a percentage with its sign: −0.1234 is ``-12.34 %``."""
    if value is None:
        return missing
    return (
        f"> {_LARGEST_MOVE * 100:,} %" if value > _LARGEST_MOVE else f"{_cut(value * 100, decimals):+,.{decimals}f} %"
    )


_LARGEST_MOVE = 100  #: a move beyond a hundredfold is told as such


def factor(value: Decimal | None, *, missing: str = "–") -> str:
    """Return a ratio such as health with two decimals (rounded down: never shown healthier than it is)."""
    if value is None:
        return missing
    if abs(value) >= 1_000_000:
        return f"> {1_000_000:,}" if value > 0 else f"< -{1_000_000:,}"
    return f"{_cut(value, 2, rounding=ROUND_FLOOR):,.2f}"


def _grouped(value: Decimal, decimals: int) -> str:
    return f"{_cut(value, decimals):,.{decimals}f}"


def _cut(value: Decimal, decimals: int, *, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    cut = round_to(value, ONE.scaleb(-decimals), rounding=rounding)
    return cut or abs(cut)  # no minus before a zero


def _decimals(value: Decimal) -> int:
    return max(0, -int(Decimal(plain(value)).as_tuple().exponent))


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

_UNBOUNDED = 10_000  # columns: wider than any terminal

Cell = tuple[str, str]  #: text and style
Column = tuple[str, ...]  #: header of a column, or of two that stand above each other where the terminal is narrow


def paired_table(screen: Console, title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return a table of one line per row where that fits the screen; else the second of each pair goes below the first.

    ``rows`` hold one cell per header, pairs flattened. The first column is left aligned, the others right.
    """
    wide = _table(title)
    for index, header in enumerate(header for column in columns for header in column):
        wide.add_column(header, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        wide.add_row(*(_styled(cell) for cell in row))
    if wide.__rich_measure__(screen, screen.options.update(max_width=_UNBOUNDED)).maximum <= screen.width:
        return wide
    narrow = _table(title)
    for index, column in enumerate(columns):
        narrow.add_column("\n".join(column), justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        cells = iter(row)
        stacked = [[next(cells) for _ in column] for column in columns]
        narrow.add_row(*("\n".join(_styled(cell) for cell in group) for group in stacked))
    return narrow


def simple_table(
    title: str, headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()
) -> Table:
    """Return a plain table of texts; the columns numbered in ``right`` are right aligned, and long texts wrap."""
    table = _table(title)
    aligned = set(right)
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index in aligned else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escaped(cell) for cell in row))
    return table


def definitions(entries: Iterable[tuple[str, str | None]], *, terms: str = "cyan") -> Padding:
    """Return terms with what they mean beside them; long meanings wrap under themselves. ``terms``: their style."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=terms, overflow="fold")
    grid.add_column(overflow="fold", style="dim" if terms != "dim" else "")
    for term, meant in entries:
        grid.add_row(Text(term), Text(meant or ""))
    return Padding(grid, (0, 0, 0, 2))


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=escaped(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
        header_style="dim", padding=(0, 1), collapse_padding=True,
    )  # fmt: skip


def _styled(cell: Cell) -> str:
    content, style = cell
    return f"[{style}]{escaped(content)}[/]" if style and content else escaped(content)


def escaped(content: str) -> str:
    """Return text of which no bracket is taken for a style."""
    from rich.markup import escape

    return escape(content)


def gauge(used: Decimal | None, width: int = 10) -> str:
    """Return a bar that fills up as the requirement uses up the balance; full is where the venue liquidates."""
    if used is None:
        return " " * width
    eighths = int(min(max(used, Decimal(0)), Decimal(1)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width, "·")


__all__ = [
    "BROKEN_PIPE",
    "STATUS_STYLES",
    "STATUS_WORDS",
    "Cell",
    "Column",
    "Settings",
    "amount",
    "console",
    "definitions",
    "exactly",
    "factor",
    "gauge",
    "leave_broken_pipe",
    "paired_table",
    "percent",
    "price",
    "price_decimals",
    "print_error",
    "print_json",
    "print_text",
    "say",
    "settings",
    "simple_table",
]
