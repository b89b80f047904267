"""``ringfence fleet build | screen | stress | watch | explain``: very many accounts under one rulebook."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringfence.cli.options import JsonOption, ReportOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from ringfence.errors import BadRulebook
    from ringfence.fleet import Fleet
    from ringfence.fleet.build import Built
    from ringfence.fleet.marks import GivenMarks
    from ringfence.fleet.scenarios import Scenario

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
def build(  # noqa: PLR0913, PLR0917 - a parameter per option
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
    time: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Of the marks, for portfolio margin (ISO 8601, UTC).")
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
    from ringfence.cli.fleet_tables import number_of
    from ringfence.cli.load import day
    from ringfence.errors import BadConfiguration, BadRulebook
    from ringfence.fleet import build as building
    from ringfence.fleet.results import check_place
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
    check_place(out)
    with progress("accounts", accounts if example else None) as done:
        if example:
            from ringfence.fleet.example import write_example

            built = write_example(accounts, seed, out, kind=book, progress=done)
        else:
            given = _given(marks, at)
            if given is not None:
                show.say(f"marks of {number_of(len(given.marks), 'symbol')}: {given.source}")
            request = building.Request(
                rulebook, day(as_of) if as_of else None, given.marks if given else {}, Names.read(column or []), faults,
                time=moment(time, "--time") if time else None, stand_in="coin" if given and given.of_tape else None,
            )  # fmt: skip
            try:
                built = building.build(sources or [], out, request, progress=done)
            except BadRulebook as error:
                raise _of_option(error, rulebook) from None
    _print_built(built, out, json=json)


def _of_option(error: BadRulebook, rulebook: str | None) -> BadRulebook:
    """Return an error of a rulebook with the option that named it, where one did."""
    from ringfence.errors import BadRulebook

    if rulebook is None:
        return error
    place = "" if error.where is None or error.where.startswith("rulebook") else f": {error.where}"
    return BadRulebook(error.message, where=f"--rulebook {rulebook}{place}", expected=error.expected,
                       found=error.found, hint=error.hint)  # fmt: skip


def _print_built(built: Built, out: Path, *, json: bool) -> None:
    from ringfence.cli import show
    from ringfence.cli.fleet_tables import number_of

    terms = built.fleet.terms
    if json:
        show.print_json({
            "schema": "ringfence.fleet.build/1", "fleet": str(out), "rulebook": terms.rulebook_name,
            "as_of": terms.as_of.isoformat() if terms.as_of else None, "accounts": built.accounts,
            "positions": built.positions, "marks": len(terms.marks), "exact": terms.exact, "notes": list(built.notes),
        })  # fmt: skip
        return
    on = f" as of {terms.as_of}" if terms.as_of else ""
    held = f"{number_of(built.accounts, 'account')}, {number_of(built.positions, 'position')}"
    show.print_text(f"{out}: {held}, {terms.rulebook_name}{on}")
    for note in built.notes:
        show.say(f"note: {note}")


RayOption = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Spread the work over a Ray cluster; `local` starts one here."),
]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the whole result as Parquet.")]


@app.command("screen", epilog="Example: ringfence fleet screen example.fleet.parquet --marks 2025-10-10")
def screen(
    fleet: FleetArgument,
    marks: MarksOption = None,
    at: AtOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many of the worst pools are shown.")] = 20,
    out: OutOption = None,
    ray: RayOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Show who is called or liquidatable at these marks, worst first.

    With --out every such pool is written, in exact figures.
    """
    from ringfence.cli import show
    from ringfence.fleet import results, screening

    results.check_place(out, reads=(fleet, marks))
    opened = _open(fleet, marks, at)
    with progress("accounts", len(opened)) as done, _compiling_told(), _units(opened, ray) as units:
        found = screening.screen(opened, limit=screening.ALL if out else limit, progress=done, units=units)
    if out is not None:
        results.write_parquet(results.screen_table(found), out)
    found = found._replace(worst=found.worst[:limit])
    if json:
        show.print_json(results.screen_json(opened, found))
    else:
        from ringfence.cli.fleet_tables import print_screening

        print_screening(show.console(), opened, found)
    _written(out)


@app.command("stress", epilog="Example: ringfence fleet stress example.fleet.parquet --report stress.html")
def stress(  # noqa: PLR0913, PLR0917 - a parameter per option
    fleet: FleetArgument,
    marks: MarksOption = None,
    at: AtOption = None,
    span: Annotated[str, typer.Option("--range", metavar="PERCENT", help="How far moves go each way.")] = "50",
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Points of the grid each way.")] = 11,
    major: Annotated[
        list[str] | None,
        typer.Option("--major", metavar="SYMBOL", help="A symbol that moves to the right; BTC and ETH if not given."),
    ] = None,
    history: Annotated[bool, typer.Option("--history/--no-history", help="Past crashes as well.")] = True,
    out: OutOption = None,
    report: ReportOption = None,
    ray: RayOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Put the whole fleet through a grid of moves, moves of all marks, and past crashes.

    Losses, liquidations, what an insurance fund would need, and in which symbols it concentrates.
    """
    from ringfence.cli import show
    from ringfence.fleet import results
    from ringfence.fleet.stress import stress as run

    results.check_place(out, report, reads=(fleet, marks))
    opened = _open(fleet, marks, at)
    chosen, notes = _scenarios(opened, span, steps, major or [], history=history)
    with progress("accounts", len(opened)) as done, _compiling_told(), _units(opened, ray) as sums:
        found = run(opened, chosen, progress=done, sums=sums)
    found = found._replace(assumptions=(*found.assumptions, *notes))
    if out is not None:
        results.write_parquet(results.stress_table(found), out)
    if report is not None:
        from ringfence.study import fleet_page, page

        page.write(fleet_page.html_page(opened, found, title=f"{opened.where} under stress"), report)
    if json:
        show.print_json(results.stress_json(opened, found))
    else:
        from ringfence.cli.fleet_tables import print_stress

        print_stress(show.console(), opened, found)
    _written(out, report)


@app.command("watch", epilog="Example: ringfence fleet watch example.fleet.parquet --tape 2025-10-10")
def watch(  # noqa: PLR0913, PLR0917 - a parameter per option
    fleet: FleetArgument,
    tape: Annotated[str, typer.Option("--tape", metavar="TAPE", help="A packaged window, or a CSV or Parquet file.")],
    marks: MarksOption = None,
    seed: Annotated[int, typer.Option(help="Of the walk through the tape's bars.")] = 1,
    ticks_per_bar: Annotated[int, typer.Option(min=4, help="Prices a bar gives at most.")] = 8,
    health: Annotated[str, typer.Option(metavar="LEVEL", help="The health watched: 1 is liquidation.")] = "1",
    limit: Annotated[int, typer.Option(min=0, help="How many of those who fell are named.")] = 20,
    out: OutOption = None,
    report: ReportOption = None,
    ray: RayOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Take a fleet through a tape, price by price, and name the pools that fall.

    A pool that falls is named once and is off the book from then on. With --out everybody who fell is written. How fast
    it went is said on standard error. With --report the tape is walked a second time, for those who are called.
    """
    from ringfence.cli import show
    from ringfence.cli.options import read_number
    from ringfence.fleet import results, watching
    from ringfence.tape import load_tape, walk

    results.check_place(out, report, reads=(fleet, marks, tape))
    opened = _open(fleet, marks, None)
    path = walk(load_tape(tape), seed, intermediate=ticks_per_bar - 4)
    level = read_number(health, "--health")
    call = opened.terms.rulebook().levels.margin_call
    twice = report is not None and level < call
    total = path.ticks_at_most * -(-opened.units // watching.AT_ONCE)
    with progress("prices", total * (1 + twice)) as done, _compiling_told(), _units(opened, ray) as lots:
        found = watching.watch(opened, path, level=level, progress=done, lots=lots, ending=12 if report else 0)
        called = None
        if twice:
            more = None if done is None else lambda prices: done(total + prices)
            called = watching.watch(opened, path, level=call, progress=more, lots=lots)
    if out is not None:
        results.write_parquet(results.watch_table(found), out)
    if report is not None:
        from ringfence.study import fleet_watch_page, page

        page.write(fleet_watch_page.html_page(opened, found, called, tape=path.tape), report)
    if json:
        show.print_json(results.watch_json(opened, found, limit))
    else:
        from ringfence.cli.fleet_tables import print_watch, watch_rates

        print_watch(show.console(), found, limit)
        for line in watch_rates(found):
            show.say(line)
    _written(out, report)


def _written(*paths: Path | None) -> None:
    """Say which files were written."""
    from ringfence.cli import show

    for path in paths:
        if path is not None:
            show.say(f"written: {path}")


def _open(fleet: str, marks: str | None, at: str | None) -> Fleet:
    """Return a fleet at the marks asked for; what stood in for what is among its notes."""
    from dataclasses import replace

    from ringfence.fleet import Fleet

    opened = Fleet.open(fleet)
    given, stood_in = marks_at(marks, at, opened)
    moved = opened.with_marks(given) if given else opened
    notes = tuple(dict.fromkeys((*moved.terms.notes, *stood_in)))
    return replace(moved, terms=replace(moved.terms, notes=notes)) if stood_in else moved


def _scenarios(
    fleet: Fleet, span: str, steps: int, majors: list[str], *, history: bool
) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    from decimal import Decimal

    from ringfence.cli.options import read_number
    from ringfence.errors import BadConfiguration, nearest
    from ringfence.fleet import scenarios
    from ringfence.numbers import EXACT
    from ringfence.tape.coins import coin_of

    known = fleet.terms.marks
    for symbol in majors:
        if symbol not in known:
            raise BadConfiguration("no mark", where=f"--major {symbol}", expected="a symbol with a mark",
                                   found=symbol, hint=nearest(symbol, known))  # fmt: skip
    reach = EXACT.multiply(read_number(span, "--range"), Decimal("0.01"))
    moves = scenarios.steps(reach, steps)
    held = frozenset(fleet.terms.symbols or known)
    chosen = majors or [name for name in known if name in held and coin_of(name) in {"BTC", "ETH"}]
    grid = scenarios.grid(chosen, moves) if chosen else ()
    notes: tuple[str, ...] = (f"majors: {', '.join(chosen)}",) if chosen else ()
    past: tuple[Scenario, ...] = ()
    if history:
        past, said = scenarios.history(tuple(known), held=held)
        notes += ("past crashes: every symbol at its own extreme at once, from the window's first price; last prices",)
        notes += said
    return (*grid, *scenarios.together(scenarios.steps(reach, 2 * steps - 1)), *past), notes


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
    from ringfence.cli import show
    from ringfence.cli.assess import show_assessment
    from ringfence.fleet import Fleet

    opened = Fleet.open(fleet)
    given, stood_in = marks_at(marks, at, opened)
    for note in stood_in:
        show.say(f"note: {note}")
    file = opened.account(account, given)
    show_assessment(file, file.rulebook(), explain=explain, json=json)


def marks_at(spec: str | None, at: str | None, fleet: Fleet) -> tuple[dict[str, Decimal], tuple[str, ...]]:
    """Return the prices of ``--marks`` (and ``--at``) and what stood in for what; say whence on standard error.

    It is also said how many of the fleet's symbols they leave out, and which of them it does not hold.
    Raises BadConfiguration for a moment of nothing, and for marks of another fleet.
    """
    from ringfence.cli import show
    from ringfence.cli.fleet_tables import number_of

    given = _given(spec, at)
    if given is None:
        return {}, ()
    marks, stood_in = given.beside(fleet)
    show.say(f"marks of {number_of(len(given.marks), 'symbol')}: {given.source}{_beside(marks, fleet)}")
    return marks, stood_in


def _given(spec: str | None, at: str | None) -> GivenMarks | None:
    from ringfence.errors import BadConfiguration
    from ringfence.fleet.marks import load_marks

    if spec is not None:
        return load_marks(spec, None if at is None else moment(at))
    if at is not None:
        raise BadConfiguration("a moment of no tape", where="--at", expected="--at beside a tape", found=at,
                               hint="name the tape: --marks TAPE --at TIME")  # fmt: skip
    return None


def _beside(marks: Mapping[str, Decimal], fleet: Fleet) -> str:
    """Say which symbols of a fleet such marks leave as they are, and which are of no position.

    Raises BadConfiguration where none of them is the fleet's: it would be looked at as if nothing had been given.
    """
    from ringfence.cli.fleet_tables import number_of
    from ringfence.errors import BadConfiguration, nearest

    held = set(fleet.terms.symbols)
    if not held:
        return ""
    other = [name for name in marks if name not in held and name not in fleet.terms.marks and ":" not in name]
    if len(other) == len(marks):
        raise BadConfiguration(
            "the marks have no symbol of the fleet", where="--marks", expected=f"some of {_some(sorted(held))}",
            found=_some(other), hint=(nearest(other[0], sorted(held)) if other else "")
            or "choose other marks, or another fleet",
        )  # fmt: skip
    kept = len(held - marks.keys())
    told = f"; {number_of(kept, 'other')} at the fleet's own" if kept else ""
    if other:
        close = nearest(other[0], sorted(held)) if len(other) == 1 else None
        told += f"; no position is in {_some(other)}"
        told += f" ({close})" if close else ""
    return told


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "") if names else "none"


def moment(given: str, option: str = "--at") -> datetime:
    """Return the moment of an option; without a zone it is UTC. Raises BadConfiguration."""
    from datetime import UTC, datetime

    from ringfence.errors import BadConfiguration

    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise BadConfiguration("not a moment", where=option, expected="ISO 8601, such as 2025-10-10T21:15",
                               found=given, hint="write day and time as in the example") from None  # fmt: skip
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@contextmanager
def _units(fleet: Fleet, ray: str | None) -> Iterator[Callable[[Any], Any] | None]:
    """Return who computes the units of a fleet instead of this process, None where it does so itself."""
    if ray is None:
        yield None
        return
    from ringfence.fleet.ray_units import Cluster

    with Cluster(ray) as cluster:
        yield lambda plan: cluster.units(fleet, plan)


@contextmanager
def _compiling_told() -> Iterator[None]:
    """Say on standard error when kernels are compiled, and how long it took: nobody waits without knowing for what."""
    from ringfence.cli import show
    from ringfence.screen.compiling import compile_seconds, compiling_told

    begun: list[float] = []

    def told() -> None:
        begun.append(compile_seconds())
        show.say("compiling the screen's kernels, once per machine: 10 to 30 s …")

    with compiling_told(told):
        yield
    if begun:
        show.say(f"compiled in {compile_seconds() - begun[0]:.1f} s; from now on they are read from disk")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """Draw a bar on standard error; nothing with ``--quiet`` or without a terminal.

    ``total``: how many there are at most, None where nobody knows; a bar ends full, whatever it was.
    """
    from ringfence.cli import show

    screen = show.console(stderr=True)
    if show.settings.quiet or not screen.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=screen) as drawn:
        task = drawn.add_task(what, total=total)
        yield lambda done: drawn.update(task, completed=done)
        drawn.update(task, total=drawn.tasks[0].completed)


__all__ = ["app"]
