"""``ringfence fleet build | explain``: very many accounts under one rulebook."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.cli.assess import JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from decimal import Decimal

app = typer.Typer(name="fleet", help="Very many accounts: built, screened, stressed, watched, explained.",
                  no_args_is_help=True)  # fmt: skip

FleetArgument = Annotated[str, typer.Argument(metavar="FLEET", help="A file that `ringfence fleet build` wrote.")]
MarksOption = Annotated[
    str | None,
    typer.Option("--marks", metavar="FILE|TAPE", help="Prices to look with; the fleet's own where it has none."),
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Of a tape: the moment (ISO 8601, UTC); its end if not given."),
]


@app.command("build", epilog="Example: ringfence fleet build --example --accounts 100000 --out example.fleet.parquet")
def build(  # noqa: PLR0913 - a parameter per option
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SOURCE]...", help="Parquet, Arrow, CSV, or JSON lines of account files."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FLEET", help="The file to write.")] = Path("fleet.parquet"),
    rulebook: Annotated[str | None, typer.Option(metavar="NAME", help="Whose rules hold.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DAY", help="Use the rules and tables of this day.")
    ] = None,
    marks: MarksOption = None,
    at: AtOption = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="OURS=THEIRS", help="A column of another name; may be repeated."),
    ] = None,
    faults: Annotated[int, typer.Option(min=1, help="How many faults are listed at most.")] = 20,
    *,
    example: Annotated[bool, typer.Option("--example", help="Draw a fleet to try everything on instead.")] = False,
    accounts: Annotated[int, typer.Option(min=1, help="Accounts of the example.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Which example: the same seed gives the same fleet.")] = 1,
    book: Annotated[str, typer.Option(metavar="base|stressed", help="How much leverage the example has.")] = "base",
    force: Annotated[bool, typer.Option("--force", help="Replace FLEET when it exists.")] = False,
    json: JsonOption = False,
) -> None:
    """Build a fleet from tables of positions, wallets and accounts, or from account files.

    Every row is checked. When one is wrong nothing is written, and every fault is named up to a limit.
    """
    from ringfence.cli import show
    from ringfence.cli.load import day
    from ringfence.errors import BadConfiguration
    from ringfence.fleet import build as building
    from ringfence.fleet.tables import Names

    if bool(sources) == example:
        raise BadConfiguration(
            "no source" if not sources else "sources and an example", where="fleet build",
            expected="SOURCE..., or --example", found="both" if sources else "neither",
            hint="try it with: ringfence fleet build --example --out example.fleet.parquet",
        )  # fmt: skip
    if out.exists() and not force:
        raise BadConfiguration("the file is there already", where=f"--out {out}", expected="a new file",
                               found="an older one", hint="name another file, or give --force")  # fmt: skip
    with progress("accounts", accounts if example else None) as done:
        if example:
            from ringfence.fleet.example import write_example

            built = write_example(accounts, seed, out, kind=book, progress=done)
        else:
            given = marks_at(marks, at) if marks else {}
            request = building.Request(rulebook, day(as_of) if as_of else None, given, Names.read(column or []), faults)
            built = building.build(sources or [], out, request, progress=done)
    terms = built.fleet.terms
    if json:
        show.print_json({
            "schema": "ringfence.fleet.build/1", "fleet": str(out), "rulebook": terms.rulebook_name,
            "as_of": terms.as_of.isoformat() if terms.as_of else None, "accounts": built.accounts,
            "positions": built.positions, "marks": len(terms.marks), "exact": terms.exact, "notes": list(built.notes),
        })  # fmt: skip
        return
    on = f" as of {terms.as_of}" if terms.as_of else ""
    show.print_text(f"{out}: {built.accounts:,} accounts, {built.positions:,} positions, {terms.rulebook_name}{on}")
    for note in built.notes:
        show.say(f"note: {note}")


@app.command("explain", epilog="Example: ringfence fleet explain example.fleet.parquet A00000017")
def explain_account(
    fleet: FleetArgument,
    account: Annotated[str, typer.Argument(metavar="ID", help="The account's name.")],
    marks: MarksOption = None,
    at: AtOption = None,
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Print how every figure comes about.")] = False,
    json: JsonOption = False,
) -> None:
    """Show any one account with the exact lane: what `ringfence assess` shows of it."""
    from ringfence.cli.assess import show_assessment
    from ringfence.fleet import Fleet

    opened = Fleet.open(fleet)
    file = opened.account(account, marks_at(marks, at) if marks else None)
    show_assessment(file, file.rulebook(), explain=explain, json=json)


def marks_at(spec: str, at: str | None) -> dict[str, Decimal]:
    """Return the prices of ``--marks`` (and ``--at``), and say where they come from on standard error."""
    from ringfence.cli import show
    from ringfence.fleet.marks import load_marks

    given = load_marks(spec, None if at is None else moment(at))
    show.say(f"marks of {len(given.marks):,} symbols: {given.source}")
    return dict(given.marks)


def moment(given: str) -> datetime:
    """Return the moment of an option; without a zone it is UTC. Raises BadConfiguration."""
    from datetime import UTC, datetime

    from ringfence.errors import BadConfiguration

    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise BadConfiguration("not a moment", where="--at", expected="ISO 8601, such as 2025-10-10T21:15",
                               found=given) from None  # fmt: skip
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """Draw a bar on standard error; nothing with ``--quiet`` or without a terminal."""
    from ringfence.cli import show

    screen = show.console(stderr=True)
    if show.settings.quiet or not screen.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=screen) as drawn:
        task = drawn.add_task(what, total=total)
        yield lambda done: drawn.update(task, completed=done)


__all__ = ["app"]
