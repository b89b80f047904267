"""``ringfence replay``: one account, or a crowd, through real prices under isolated and under cross margin at once."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ringfence.cli.options import AsOfOption, JsonOption, ReportOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.account_file import AccountFile
    from ringfence.errors import BadConfiguration
    from ringfence.study.replay.replay import Progress
    from ringfence.study.replay.result import Replay

_TAPE = "2025-10-10"

SequenceOption = Annotated[
    str,
    typer.Option("--sequence", metavar="takeover|venue", help="How a pool is liquidated: whole, or as its venue does."),
]
PopulationOption = Annotated[
    int | None, typer.Option("--population", metavar="N", help="Replay a crowd of N accounts instead of one.")
]
RulebookOption = Annotated[
    str | None, typer.Option("--rulebook", metavar="NAME", help="A crowd's venue; binance-usdm if not given.")
]
AssetOption = Annotated[
    str | None, typer.Option("--asset", metavar="ASSET", help="What a crowd's capital is in, such as USDC or BTC.")
]
ImpactOption = Annotated[
    bool, typer.Option("--impact", help="Let a crowd's forced orders move the price; compare with and without.")
]
TicksOption = Annotated[
    int | None, typer.Option("--ticks-per-bar", metavar="N", help="At most that many ticks a bar; 60 if not given.")
]
JournalOption = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", help="Keep every command and event, in a file per way of holding."),
]
ArchitecturesOption = Annotated[
    str | None,
    typer.Option(
        "--architectures", metavar="LIST",
        help="all, or some of isolated,cross,multi-asset,portfolio; isolated,cross if not given, all for a basket.",
    ),
]  # fmt: skip
ProcessesOption = Annotated[
    int | None, typer.Option("--processes", metavar="N", help="A crowd's processes; as many as there are cores.")
]


def replay(  # noqa: PLR0913 - a parameter per option
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Account file (JSON or TOML), or - for stdin.")
    ] = None,
    *,
    example: Annotated[
        str | None, typer.Option("--example", metavar="NAME", help="A packaged example account.")
    ] = None,
    tape: Annotated[str, typer.Option("--tape", help="A packaged window, or a CSV or Parquet file of prices.")] = _TAPE,
    seed: Annotated[int, typer.Option("--seed", help="Which walk is made of the bars.")] = 1,
    as_of: AsOfOption = None,
    ticks_per_bar: TicksOption = None,
    report: ReportOption = None,
    sequence: SequenceOption = "venue",
    population: PopulationOption = None,
    rulebook: RulebookOption = None,
    asset: AssetOption = None,
    impact: ImpactOption = False,
    processes: ProcessesOption = None,
    journal: JournalOption = None,
    architectures: ArchitecturesOption = None,
    json: JsonOption = False,
) -> None:
    """Replay an account, or a crowd, through real prices under isolated and cross margin, with the same capital.

    Shows margin calls and liquidations side by side, what is left, and why; with --architectures under every margin
    architecture that the venue offers. Packaged windows: ringfence tape list.
    """
    if population is not None and architectures is not None:
        raise _no_architectures("a crowd is held isolated, cross and mixed", "--population")
    if population is not None:
        _refuse_account_with_crowd(account, example)
        from ringfence.cli.crowd import CrowdChoices, replay_population

        replay_population(
            CrowdChoices(population, tape, seed, rulebook, ticks_per_bar, impact, report, json, processes, journal,
                         asset, as_of)
        )  # fmt: skip
        return
    _refuse_crowd_options(rulebook=rulebook, asset=asset, impact=impact, processes=processes)
    _check_sequence(sequence, journal)
    file = _account(account, example)
    chosen = _Chosen(tape, seed, as_of, ticks_per_bar, report, journal, as_json=json)
    if architectures is None and file.account.collateral_mode.value == "single_asset":
        _replay_both(file, sequence, chosen)
        return
    if sequence == "takeover":
        raise _no_architectures("baskets are liquidated by their venue's own steps", "--sequence takeover")
    _replay_ways(file, architectures or "all", chosen)


class _Chosen(NamedTuple):
    """The options of a replay that concern every way."""

    tape: str
    seed: int
    as_of: str | None
    ticks_per_bar: int | None
    report: Path | None
    journal: Path | None
    as_json: bool


def _replay_both(file: AccountFile, sequence: str, chosen: _Chosen) -> None:
    """Replay an account isolated and cross, side by side in each settlement asset."""
    from ringfence.cli import show
    from ringfence.cli.load import day
    from ringfence.cli.replay_tables import journals_kept, print_replay, say_journals
    from ringfence.study.replay.on_engine import replay_on_engine
    from ringfence.study.replay.replay import DEFAULT_TICKS_PER_BAR
    from ringfence.study.replay.replay import replay as take_over
    from ringfence.tape import load_tape

    run = take_over if sequence == "takeover" else partial(replay_on_engine, journal=chosen.journal)
    prices = load_tape(chosen.tape)
    with _progress() as progress:
        result = run(
            file,
            prices,
            seed=chosen.seed,
            as_of=day(chosen.as_of) if chosen.as_of else None,
            ticks_per_bar=chosen.ticks_per_bar or DEFAULT_TICKS_PER_BAR,
            progress=progress,
        )
    if chosen.report is not None:
        _write(result, chosen.report)
    if chosen.as_json:
        from ringfence.cli.replay_json import as_json

        show.print_json({**as_json(result, chosen.report), "journals": journals_kept(chosen.journal)})
        return
    print_replay(show.console(), result, chosen.report)
    say_journals(chosen.journal)


def _replay_ways(file: AccountFile, architectures: str, chosen: _Chosen) -> None:
    """Replay an account under several architectures, side by side in the account's currency."""
    from ringfence.cli import show
    from ringfence.cli.load import day
    from ringfence.cli.replay_tables import journals_kept, say_journals
    from ringfence.cli.replay_ways import as_json, assumptions, print_ways
    from ringfence.study.page import write
    from ringfence.study.replay.replay import DEFAULT_TICKS_PER_BAR
    from ringfence.study.replay.side_by_side import side_by_side
    from ringfence.study.replay.ways_page import html_page
    from ringfence.tape import load_tape

    with _progress() as progress:
        found = side_by_side(
            file, load_tape(chosen.tape), architectures.split(","), seed=chosen.seed,
            as_of=day(chosen.as_of) if chosen.as_of else None,
            ticks_per_bar=chosen.ticks_per_bar or DEFAULT_TICKS_PER_BAR, progress=progress, journal=chosen.journal,
        )  # fmt: skip
    if chosen.report is not None:
        write(html_page(found, notes=assumptions(found)), chosen.report)
    if chosen.as_json:
        show.print_json({**as_json(found, chosen.report), "journals": journals_kept(chosen.journal)})
        return
    print_ways(show.console(), found, chosen.report)
    say_journals(chosen.journal)


def _no_architectures(why: str, beside: str) -> BadConfiguration:
    from ringfence.errors import BadConfiguration

    return BadConfiguration(
        why, where="replay --architectures", expected=f"one account, without {beside}", found=beside,
        hint=f"leave out --architectures or {beside}",
    )  # fmt: skip


def _check_sequence(sequence: str, journal: Path | None) -> None:
    if sequence not in {"takeover", "venue"}:
        raise _unknown_sequence(sequence)
    if sequence == "takeover" and journal is not None:
        raise _no_journal_of_a_takeover()


def _unknown_sequence(found: str) -> BadConfiguration:
    from ringfence.errors import BadConfiguration

    return BadConfiguration(
        "no such sequence", where="--sequence", expected="takeover or venue", found=found,
        hint="takeover: the pool is taken over whole; venue: its rulebook's own steps, on the engine",
    )  # fmt: skip


def _no_journal_of_a_takeover() -> BadConfiguration:
    from ringfence.errors import BadConfiguration

    return BadConfiguration(
        "a takeover leaves no journal", where="replay --journal", expected="--sequence venue",
        found="--sequence takeover", hint="leave --sequence out: the venue's own sequence is played on the engine",
    )  # fmt: skip


def _refuse_account_with_crowd(account: str | None, example: str | None) -> None:
    from ringfence.errors import BadConfiguration

    given = {"ACCOUNT": account, "--example": example}
    found = [name for name, value in given.items() if value is not None]
    if found:
        raise BadConfiguration(
            "a crowd is drawn, not read", where="replay --population", expected="no account", found=", ".join(found),
            hint=f"leave out {' and '.join(found)}",
        )  # fmt: skip


def _refuse_crowd_options(*, rulebook: str | None, asset: str | None, impact: bool, processes: int | None) -> None:
    from ringfence.errors import BadConfiguration

    given = {"--rulebook": rulebook, "--asset": asset, "--impact": impact or None, "--processes": processes}
    found = [name for name, value in given.items() if value is not None]
    if found:
        raise BadConfiguration(
            f"{found[0]} is for a crowd", where="replay", expected="--population N with it", found="none",
            hint="add --population 500, or leave it out",
        )  # fmt: skip


def _account(account: str | None, example: str | None) -> AccountFile:
    from ringfence import account_file
    from ringfence.cli.load import STANDARD_INPUT
    from ringfence.errors import BadConfiguration
    from ringfence.study.examples import example_names, load_example

    if (account is None) == (example is None):
        raise BadConfiguration(
            "no account" if account is None else "two accounts", where="replay",
            expected="either an account file or --example", found="neither" if account is None else "both",
            hint=f"give a file, or one of --example {', --example '.join(example_names())}",
        )  # fmt: skip
    if example is not None:
        return load_example(example)
    if account == "-":
        text = sys.stdin.buffer.read().decode("utf-8-sig", errors="replace")
        return account_file.parse_text(text, where=STANDARD_INPUT)
    return account_file.read(str(account))


def _write(result: Replay, path: Path) -> None:
    from ringfence.errors import BadConfiguration
    from ringfence.study.replay.report import write_report

    try:
        write_report(result, path)
    except OSError as error:
        raise BadConfiguration(
            "the report cannot be written", where=f"--report {path}", expected="a file that can be made",
            found=error.strerror or str(error), hint="name a file in a folder you may write to",
        ) from None  # fmt: skip


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None] | None]:
    """Yield what draws a progress bar on standard error; None where nobody would see it."""
    from ringfence.cli import show

    screen = show.console(stderr=True)
    if show.settings.quiet or not screen.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[events]} events"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("replaying", total=1.0, events=0)

        def draw(reached: Progress) -> None:
            bar.update(task, completed=reached.done, description=f"{reached.ts:%d %b %H:%M}", events=reached.events)

        yield draw


__all__ = ["replay"]
