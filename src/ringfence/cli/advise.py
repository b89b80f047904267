"""``ringfence advise``: which positions to ring-fence and which to pool, and the evidence for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.cli.options import AccountArgument, AsOfOption, JsonOption, MarkOption, ReportOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from ringfence.study.advice.advise import Advice


ExperienceOption = Annotated[
    str | None, typer.Option("--experience", metavar="new|experienced", help="How experienced the trader is.")
]
PurposeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--purpose", metavar="[SYMBOL=]PURPOSE", help="trading, testing, bot or hedging; of one position or of all."
    ),
]
TapeOption = Annotated[
    str | None, typer.Option("--tape", help="Estimate volatilities and correlations from it: a window or a file.")
]
VolatilityOption = Annotated[
    list[str] | None, typer.Option("--volatility", metavar="SYMBOL=SHARE", help="σ of a day: 0.04 is 4 %.")
]
CorrelationOption = Annotated[
    list[str] | None, typer.Option("--correlation", metavar="A:B=NUMBER", help="Of two symbols' returns.")
]
FeeRateOption = Annotated[
    str | None, typer.Option("--fee-rate", metavar="RATE", help="What closing pays; the taker rate if not given.")
]


def advise(  # noqa: PLR0913 - a parameter per option
    account: AccountArgument,
    mark: MarkOption = None,
    as_of: AsOfOption = None,
    *,
    experience: ExperienceOption = None,
    purpose: PurposeOption = None,
    tape: TapeOption = None,
    volatility: VolatilityOption = None,
    correlation: CorrelationOption = None,
    days: Annotated[int, typer.Option("--days", metavar="N", help="How far to simulate.")] = 7,
    paths: Annotated[int, typer.Option("--paths", metavar="N", help="How many paths.")] = 10_000,
    tail: Annotated[float, typer.Option("--tail", metavar="N", help="Degrees of freedom of Student's t.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which paths.")] = 1,
    fee_rate: FeeRateOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Say which positions to ring-fence and which to pool, why, and what to do step by step (needs numpy).

    Decided by what happens to this book on simulated paths and in past crashes, held in different ways; of a book with
    options, which portfolio margin alone can hold, what to keep, reduce or close. No financial advice.
    """
    from ringfence.cli import show
    from ringfence.cli.load import assess_file, load_account
    from ringfence.cli.options import read_rate
    from ringfence.errors import BadInput
    from ringfence.study.advice import advise as study
    from ringfence.study.advice.circumstances import circumstances_of
    from ringfence.study.advice.scene import Outlook
    from ringfence.tape import load_tape

    file, rulebook = load_account(account, marks=mark or [], as_of=as_of)
    assess_file(file, rulebook)  # what no study can value, such as an asset that the venue does not list, ends here
    prices = None if tape is None else load_tape(tape)
    told = circumstances_of(
        experience=experience,
        purposes=purpose or [],
        symbols=[position.symbol for position in file.account.positions],
        file=file.circumstances,
    )
    try:
        with _progress() as progress:
            found = study.advise(
                file.account,
                marks=file.marks,
                rulebook=rulebook,
                circumstances=told,
                tape=prices,
                outlook=Outlook(days, paths, seed, tail),
                volatilities=_volatilities(volatility or []),
                correlations=_correlations(correlation or []),
                fee_rate=read_rate(fee_rate),
                progress=progress,
            )
    except BadInput as error:
        raise error.located(file.where) from None
    if report is not None:
        from ringfence.study import page
        from ringfence.study.advice import page as advise_page

        page.write(advise_page.html_page(found, title=f"How to hold {file.where}", name=file.where), report)
    if json:
        from ringfence.study.advice.as_json import as_json

        show.print_json(as_json(found, file.where))
        return
    _print(show.console(), found, file.where)


def _print(screen: Console, found: Advice, name: str) -> None:
    from ringfence.cli import show
    from ringfence.study.advice.steps import steps
    from ringfence.study.advice.words import NO_ADVICE, account_wide, assumptions, unknown, verdicts

    decided = verdicts(found)
    rows = [
        (f"{v.symbol} {v.side}", v.verdict, v.how, "" if v.changed else "as it is", v.decided) for v in decided
    ]  # fmt: skip
    screen.print(show.simple_table("Verdict", ("position", "", "how", "", "decided by"), rows))
    for verdict in decided:
        screen.print(f"{verdict.symbol} {verdict.side}: {verdict.verdict}", style="bold", markup=False)
        _listed(screen, verdict.reasons)
    screen.print("The account as a whole", style="bold")
    _listed(screen, account_wide(found))
    screen.print("What to do", style="bold")
    _listed(screen, steps(found, name), numbered=True)
    _print_ways(screen, found)
    _print_past(screen, found)
    screen.print("Not known", style="bold")
    _listed(screen, unknown(found))
    for note in assumptions(found):
        screen.print(f"· {note}", style="dim", markup=False)
    screen.print(NO_ADVICE, style="bold", markup=False)


def _listed(screen: Console, items: Sequence[str], *, numbered: bool = False) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right")
    grid.add_column(overflow="fold")
    for number, item in enumerate(items, start=1):
        grid.add_row(f"{number}." if numbered else "-", Text(item))
    screen.print(Padding(grid, (0, 0, 1, 2)))


def _print_ways(screen: Console, found: Advice) -> None:
    from ringfence.cli import show
    from ringfence.study.advice.desk import GIVEN
    from ringfence.study.advice.figures import used_share
    from ringfence.study.advice.trials import certainty

    tied = {trial.holding.name: used_share(found, trial) for trial in found.trials.trials}
    rows = [
        (
            trial.holding.name,
            f"{trial.liquidated.share:.1%} ± {trial.liquidated.error:.1%}",
            f"{trial.ruined.share:.1%}",
            f"{trial.mean.share:+.1%}",
            f"{trial.worst.share:+.1%} ± {trial.worst.error:.1%}",
            "–" if (share := tied[trial.holding.name]) is None else f"{share:.0%}",
            f"{certainty(found.scores[trial.holding.name].share):+.2%}",
        )
        for trial in found.trials.trials
    ]
    title = f"{found.outlook.paths:,} paths of {found.outlook.days} days"
    headers = ("way", "liquidated", "ruined", "mean", "worst twentieth", "margin", "worth")
    screen.print(show.simple_table(title, headers, rows, right=range(1, len(headers))))
    said = "ruined: less than a tenth left · margin: what is tied up of the capital · worth: ranks the ways, see below"
    screen.print(f"· {said}", style="dim", markup=False)
    if found.after is not None:
        screen.print(f"· “{GIVEN}” has the present sizes, all other ways those advised", style="dim", markup=False)
    for way, why in found.unavailable:
        screen.print(f"· {way} cannot be: {why}", style="dim", markup=False)


def _print_past(screen: Console, found: Advice) -> None:
    from ringfence.cli import show

    ways = [trial.holding.name for trial in found.trials.trials]
    by = {(past.window, past.holding): past for past in found.crashes.past}
    rows = []
    for window in dict.fromkeys(past.window for past in found.crashes.past):
        cells = [by[window, way] for way in ways]
        rows.append((window, *(f"{past.kept * 100:.0f} %" + (f" ({len(past.died)})" if past.died else "")
                               for past in cells)))  # fmt: skip
    title = "Past windows, nobody acting: capital kept (positions liquidated)"
    screen.print(show.simple_table(title, ("window", *ways), rows, right=range(1, len(ways) + 1)))


def _volatilities(given: Sequence[str]) -> dict[str, float]:
    return dict(_pair(text, "--volatility", "BTCUSDT=0.03") for text in given)


def _correlations(given: Sequence[str]) -> dict[tuple[str, str], float]:
    from ringfence.errors import BadConfiguration

    found = {}
    for text in given:
        names, number = _pair(text, "--correlation", "BTCUSDT:ETHUSDT=0.8")
        one, colon, other = names.partition(":")
        if not colon:
            raise BadConfiguration("not a pair of symbols", where="--correlation", expected="A:B=NUMBER", found=text,
                                   hint="such as BTCUSDT:ETHUSDT=0.8")  # fmt: skip
        found[one, other] = number
    return found


def _pair(text: str, option: str, example: str) -> tuple[str, float]:
    from math import isfinite

    from ringfence.errors import BadConfiguration

    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not equals or not name or not isfinite(value):
        raise BadConfiguration("not a name and a number", where=option, expected=example, found=text,
                               hint=f"write it as {example}")  # fmt: skip
    return name, value


@contextmanager
def _progress() -> Iterator[Callable[[float, str], None] | None]:
    """Yield what draws a progress bar on standard error; None where nobody would see it."""
    from ringfence.cli import show

    screen = show.console(stderr=True)
    if show.settings.quiet or not screen.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("searching", total=1.0)
        yield lambda share, what: bar.update(task, completed=share, description=what)


__all__ = ["advise"]
