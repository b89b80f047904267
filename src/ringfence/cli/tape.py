"""``ringfence tape list | show | fetch``: prices over time."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringfence.cli.options import JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from ringfence.tape import FetchProgress, SymbolSummary, Tape

app = typer.Typer(name="tape", help="Prices over time: packaged crashes, files, downloads.", no_args_is_help=True)


@app.command("list", epilog="Example: ringfence tape list")
def list_tapes(*, json: JsonOption = False) -> None:
    """List the windows of real prices that come with the package."""
    from ringfence.cli import show
    from ringfence.tape import packaged_windows

    windows = packaged_windows()
    if json:
        listed = [
            {
                "name": window.name,
                "title": window.title,
                "start": _utc(window.start),
                "end": _utc(window.end),
                "resolution": window.resolution,
                "symbols": list(window.symbols),
                "price_kind": window.price_kind,
                "venue": window.venue,
                "what_happened": window.what_happened,
            }
            for window in windows
        ]
        show.print_json({"schema": "ringfence.tapes/1", "tapes": listed})
        return
    rows = [
        (
            window.name,
            f"{window.title}\n{_span(window.start, window.end)}",
            ", ".join(window.symbols),
            window.price_kind,
        )
        for window in windows
    ]
    show.console().print(show.simple_table("Packaged windows", ("tape", "what", "symbols", "prices"), rows))


@app.command("show", epilog="Example: ringfence tape show 2025-10-10")
def show_tape(
    name: Annotated[str, typer.Argument(metavar="TAPE", help="A packaged window, or a CSV or Parquet file.")],
    *,
    json: JsonOption = False,
) -> None:
    """Show what a tape holds: span, resolution, extremes, gaps and stale stretches per symbol, and its source."""
    from ringfence.cli import show
    from ringfence.tape import load_tape, packaged_windows, summarise

    tape = load_tape(name)
    summaries = summarise(tape)
    if json:
        show.print_json(_tape_json(tape, summaries))
        return
    screen = show.console()
    window = next((window for window in packaged_windows() if window.name == name), None)
    screen.print(window.title if window else tape.name, style="bold", markup=False)
    screen.print(f"{_span(tape.start, tape.end)} · {len(tape):,} bars · {tape.price_kind} prices", markup=False)
    if window:
        screen.print(window.what_happened, markup=False)
    columns = (
        ("symbol", "bars"),
        ("first", "last"),
        ("low", "at"),
        ("high", "at"),
        ("drop", "rise"),
        ("gaps", "stale"),
    )
    screen.print(show.paired_table(screen, "Symbols", columns, [_summary_row(summary) for summary in summaries]))
    source = tape.provenance
    for label, text in (("venue", source.venue), ("market", source.market), ("source", source.source)):
        if text:
            screen.print(f"{label}: {text}", style="dim", markup=False)
    for note in (tape.stand_in, *tape.notes):
        if note:
            screen.print(f"· {note}", style="dim", markup=False)


@app.command(
    "fetch",
    epilog="Example: ringfence tape fetch binance-usdm BTCUSDT --start 2025-10-10T18:00Z --end 2025-10-11T02:00Z "
    "--out crash.csv",
)
def fetch_tape(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="A rulebook's or ccxt's name of an exchange.")],
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="Contracts, in the venue's own words.")],
    start: Annotated[str, typer.Option(metavar="TIME", help="First moment (ISO 8601; UTC unless it says otherwise).")],
    end: Annotated[str, typer.Option(metavar="TIME", help="First moment that is not wanted any more.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="CSV file to write.")],
    price_kind: Annotated[str, typer.Option("--price", metavar="KIND", help="mark, last or index.")] = "mark",
    timeframe: Annotated[str, typer.Option(metavar="LENGTH", help="Length of a bar, such as 1m.")] = "1m",
) -> None:
    """Download a window of prices through ccxt and keep it as a tape."""
    from ringfence.cli import show
    from ringfence.errors import BadConfiguration
    from ringfence.tape import fetch_window, write_tape
    from ringfence.tape.bars import PRICE_KINDS

    kind = next((known for known in PRICE_KINDS if known == price_kind), None)
    if kind is None:
        raise BadConfiguration(
            "unknown kind of price", where="--price", expected=" or ".join(PRICE_KINDS), found=price_kind,
            hint="mark is what margin is measured on",
        )  # fmt: skip
    with _progress() as progress:
        tape = fetch_window(
            venue,
            symbols,
            _moment(start, "--start"),
            _moment(end, "--end"),
            price_kind=kind,
            timeframe=timeframe,
            progress=progress,
        )
    write_tape(tape, out)
    show.print_text(f"{out}: {len(tape):,} bars of {', '.join(tape.symbols)}, {_span(tape.start, tape.end)}")


def _moment(given: str, option: str) -> datetime:
    from datetime import UTC, datetime

    from ringfence.errors import BadConfiguration

    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise BadConfiguration(
            "not a moment", where=option, expected="ISO 8601, such as 2025-10-10T18:00Z", found=given,
            hint="write the day, a T and the time",
        ) from None  # fmt: skip
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@contextmanager
def _progress() -> Iterator[Callable[[FetchProgress], None]]:
    """Give what shows how far a download is: bars on standard error where that is a terminal, else nothing."""
    from ringfence.cli import show

    screen = show.console(stderr=True)
    if show.settings.quiet or not screen.is_terminal:
        yield lambda _: None
        return
    from rich.progress import Progress, TaskID

    tasks: dict[str, TaskID] = {}
    with Progress(console=screen, transient=True) as bar:

        def update(state: FetchProgress) -> None:
            if state.symbol not in tasks:
                tasks[state.symbol] = bar.add_task(state.symbol, total=state.expected_bars)
            bar.update(tasks[state.symbol], completed=state.bars)

        yield update


def _summary_row(summary: SymbolSummary) -> list[tuple[str, str]]:
    from ringfence.cli import show

    prices = (summary.first, summary.last, summary.low, summary.high)
    first, last, low, high = (show.exactly(price) for price in prices)
    stale = f"{summary.longest_unchanged} bars" if summary.longest_unchanged > 1 else ""
    return [
        (summary.symbol, "bold"),
        (f"{summary.bars:,} of {summary.resolution}", "dim"),
        (first, ""),
        (last, "dim"),
        (low, ""),
        (f"{summary.low_at:%m-%d %H:%M}", "dim"),
        (high, ""),
        (f"{summary.high_at:%m-%d %H:%M}", "dim"),
        (show.percent(-summary.largest_drop), "red"),
        (show.percent(summary.largest_rise), "green"),
        (str(len(summary.gaps)), ""),
        (stale, "dim"),
    ]


def _tape_json(tape: Tape, summaries: tuple[SymbolSummary, ...]) -> dict[str, Any]:
    from ringfence.numbers import text

    numbers = ("first", "last", "low", "high", "largest_drop", "largest_rise")
    return {
        "schema": "ringfence.tape/1",
        "name": tape.name,
        "start": _utc(tape.start),
        "end": _utc(tape.end),
        "bars": len(tape),
        "price_kind": tape.price_kind,
        "exact": tape.exact,
        "stand_in": tape.stand_in,
        "venue": tape.provenance.venue,
        "source": tape.provenance.source,
        "notes": list(tape.notes),
        "symbols": [
            {
                "symbol": summary.symbol,
                "bars": summary.bars,
                "resolution_seconds": int(summary.resolution.total_seconds()),
                "start": _utc(summary.start),
                "end": _utc(summary.end),
                **{name: text(getattr(summary, name)) for name in numbers},
                "low_at": _utc(summary.low_at),
                "high_at": _utc(summary.high_at),
                "longest_unchanged": summary.longest_unchanged,
                "gaps": [{"start": _utc(gap.start), "end": _utc(gap.end)} for gap in summary.gaps],
            }
            for summary in summaries
        ],
    }


def _utc(moment: datetime) -> str:
    from ringfence.tape.bars import utc_text

    return utc_text(moment)


def _span(start: datetime, end: datetime) -> str:
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {until} UTC"
