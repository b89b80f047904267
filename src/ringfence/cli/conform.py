"""``ringfence conform``: hold the margin maths to figures that exchanges published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ringfence.study.conform import Report

VERIFICATION_FAILED = 6


def conform(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Answer files, or folders of them.")],
    unsupported: Annotated[
        Path | None,
        typer.Option(metavar="LIST.toml", help="Topics that need not be computed yet, instead of the packaged list."),
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run figures that exchanges published, and compare each with what ringfence computes.

    Ends with 6 on any mismatch, and on any figure that is not computed and whose topic is not on the list.
    """
    from ringfence.cli import show
    from ringfence.study.conform import conform as run
    from ringfence.study.unsupported import read_list, unlisted

    listed = read_list(unsupported)
    report = run(paths, progress=lambda path: show.say(f"running {path}"))
    missing = unlisted(report, listed)
    if json:
        show.print_json(report.as_json())
        for entry in missing:
            show.say(f"not computed, not listed: {entry['case']} {entry['figure']}: {entry['reason']}")
    else:
        _print(show.console(), report, missing)
    if report.mismatched or missing:
        raise typer.Exit(VERIFICATION_FAILED)


def _print(screen: Console, report: Report, missing: list[dict[str, str]]) -> None:
    from ringfence.cli import show

    if report.mismatched:
        headers = ("case", "figure", "of", "expected", "computed")
        rows = [
            (
                str(entry["case"]),
                str(entry["figure"]),
                f"{entry['symbol'] or ''} {entry['side'] or ''}".strip(),
                str(entry["expected"]),
                str(entry["computed"]),
            )
            for entry in report.mismatched
        ]
        screen.print(show.simple_table("Mismatched", headers, rows, right=(3, 4)))
    if missing:
        rows_missing = [(entry["case"], entry["figure"], entry["reason"]) for entry in missing]
        screen.print(show.simple_table("Not computed, and not listed", ("case", "figure", "why"), rows_missing))
    reasons: dict[str, int] = {}
    for entry in report.unsupported:
        if entry not in missing:
            reasons[entry["reason"]] = reasons.get(entry["reason"], 0) + 1
    if reasons:
        counted = [(str(count), reason) for reason, count in reasons.items()]
        screen.print(show.simple_table("Not computed yet, as listed", ("figures", "why"), counted, right=(0,)))
    failed = bool(report.mismatched or missing)
    verdict = "[bold red]does not conform[/]" if failed else "[green]conforms[/]"
    screen.print(
        f"{verdict}: {report.cases} cases, {report.figures} figures: {report.matched} match, "
        f"{len(report.mismatched)} differ, {len(report.unsupported)} not computed ({len(missing)} of them not listed)",
        soft_wrap=True,
    )
