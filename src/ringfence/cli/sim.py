"""``ringfence sim``: seeded worlds of traders, prices and faults under the eyes of an independent auditor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from ringfence.sim import SimReport

VERIFICATION_FAILED = 6


def sim(
    seed: Annotated[int, typer.Option(help="Which worlds: the same seed gives the same run on any machine.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="How many commands.")] = 20_000,
    world: Annotated[int, typer.Option(min=0, help="Begin at this world, leaving the ones before it out.")] = 0,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run simulated venues, and hold every step to the laws: money conserved, nobody healthy liquidated, and so on.

    Ends with 6 and the line that replays it at the first step that breaks one.
    """
    from ringfence.cli import show
    from ringfence.sim import run

    with _progress(steps) as done:
        report = run(seed, steps, progress=done, first_world=world)
    if json:
        show.print_json(as_json(report))
    else:
        _print(report)
    if report.failure is not None:
        show.say(replay_line(report))
        raise typer.Exit(VERIFICATION_FAILED)


def _progress(steps: int) -> AbstractContextManager[Callable[[int], None] | None]:
    """Return a bar on standard error; nothing with ``--quiet`` or without a terminal."""
    from contextlib import contextmanager

    from ringfence.cli import show

    @contextmanager
    def bar() -> Iterator[Callable[[int], None] | None]:
        screen = show.console(stderr=True)
        if show.settings.quiet or not screen.is_terminal:
            yield None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        with Progress("steps", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=screen) as drawn:
            task = drawn.add_task("steps", total=steps)
            yield lambda done: drawn.update(task, completed=done)

    return bar()


def replay_line(report: SimReport) -> str:
    """Return the command that runs into the same failure again."""
    failure = report.failure
    assert failure is not None  # noqa: S101 - asked for only then
    return f"ringfence sim --seed {report.seed} --steps {failure.step} --world {failure.world}"


def as_json(report: SimReport) -> dict[str, Any]:
    """Return the report as one JSON object."""
    from ringfence import __version__
    from ringfence.numbers import text

    failure = report.failure
    return {
        "schema": "ringfence.sim/1",
        "version": __version__,
        "seed": report.seed,
        "steps": report.steps,
        "worlds": report.worlds,
        "digest": report.digest,
        "venues": report.venues,
        "commands": report.commands,
        "repeated": report.repeated,
        "events": report.events,
        "refusals": report.refusals,
        "rejected_prices": report.rejected_prices,
        "fills": report.fills,
        "margin_calls": report.calls,
        "liquidations": report.liquidations,
        "liquidation_steps": report.liquidation_steps,
        "liquidation_ends": report.liquidation_ends,
        "paid": {who: {asset: text(paid) for asset, paid in sums.items()} for who, sums in report.paid.items()},
        "laws": report.laws,
        "failure": None
        if failure is None
        else {
            "step": failure.step,
            "world": failure.world,
            "venue": failure.venue,
            "law": failure.law,
            "figures": failure.figures,
            "command": failure.command,
            "replay": replay_line(report),
            "smallest": list(failure.shrunk),
        },
    }


def _print(report: SimReport) -> None:
    from ringfence.cli import show
    from ringfence.sim import LAWS

    screen = show.console()
    counted = [
        (title, name.replace("_", " "), f"{count:,}")
        for title, counts in (
            ("venues", report.venues), ("commands", report.commands), ("refusals", report.refusals),
            ("prices rejected", report.rejected_prices), ("fills", report.fills), ("margin calls", report.calls),
            ("liquidations by step reached", report.liquidation_steps), ("liquidations ended", report.liquidation_ends),
        )
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]  # fmt: skip
    counted += [
        (f"paid by the {who}", asset, show.amount(paid, asset))
        for who, sums in sorted(report.paid.items())
        for asset, paid in sorted(sums.items())
    ]
    rows = [(title if index == 0 or counted[index - 1][0] != title else "", name, count)
            for index, (title, name, count) in enumerate(counted)]  # fmt: skip
    screen.print(show.simple_table("What happened", ("", "", "times"), rows, right=(2,)))
    laws = [(f"{report.laws[law]:,}", said) for law, said in LAWS.items() if report.laws[law]]
    screen.print(show.simple_table("Laws", ("checked", "law"), laws, right=(0,)))
    failure = report.failure
    if failure is None:
        screen.print(
            f"[green]all laws held[/]: seed {report.seed}, {report.steps:,} steps in {report.worlds} worlds, "
            f"{report.events:,} events, {report.liquidations:,} liquidations, {report.deleveraged:,} deleveraged · "
            f"digest {report.digest}",
            soft_wrap=True,
        )
        return
    screen.print(
        f"[bold red]a law was broken[/] at step {failure.step} (world {failure.world}, {failure.venue}): "
        f"{LAWS[failure.law]}", soft_wrap=True,
    )  # fmt: skip
    screen.print(f"found: {failure.figures}", markup=False, soft_wrap=True)
    screen.print(f"on: {failure.command}", markup=False, soft_wrap=True)
    screen.print(f"the same with {len(failure.shrunk)} commands:", markup=False)
    for command in failure.shrunk:
        screen.print(f"  {command}", markup=False, soft_wrap=True)


__all__ = ["as_json", "replay_line", "sim"]
