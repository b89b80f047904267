"""The command line: one thin command per verb; what it shows comes from the packages below.

Results go to standard output, progress and diagnostics to standard error. Exit codes: 0 done; 1 unexpected; 2 usage;
3 a bad account, rulebook, tape or configuration; 4 authentication; 5 a source is unavailable; 6 a verification failed;
10, 11, 12 ``check``: warning, margin call, liquidatable; 20, 21 ``size change``: refused by the venue's rules, by guard
rails; 130 interrupted; 141 the reader of the output went away.

The verbs, each with what shows its answer on a terminal and to programs::

    assess              ``check`` too: ``assessment_tables``, ``assessment_json``, ``explanation``, ``portfolio_view``
    compare, distance   an account under every architecture; how far it is from its end
    stress, rescue      what may happen to it; the ways out of danger
    advise              which positions to ring-fence
    replay, crowd       through real prices: ``replay_tables``, ``replay_json``, ``replay_ways``; a whole population
    size                ``size_tables``
    fleet               ``fleet_tables``
    rulebooks           ``rulebook_collateral``
    account, tape       account files, prices
    journal, sim        what a venue wrote down; simulated worlds
    conform             published figures

What they share::

    load                from what stands on the command line to an account, its marks and its rulebook
    options             arguments and options that several verbs have
    show                how everything is shown; errors, too
    notes               what an assessment assumed or could not know
    policy_words        what every policy means, in plain words
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from typer.main import get_command

from ringfence.cli import show
from ringfence.errors import RingfenceError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Verb(NamedTuple):
    """A verb and where it is: its function, or (``example`` None) a group of commands with examples of their own."""

    name: str
    module: str
    attribute: str
    example: str | None = None


VERBS = (
    Verb("assess", "assess", "assess", "assess account.json --mark BTCUSDT=61000 --explain"),
    Verb("check", "assess", "check", "check account.json || notify-send 'margin call'"),
    Verb("compare", "compare", "compare", "compare account.json"),
    Verb("distance", "distance", "distance", "distance account.json --tape 2025-10-10"),
    Verb("stress", "stress", "stress", "stress account.json --symbol ETHUSDT --symbol BTCUSDT --report s.html"),
    Verb("rescue", "rescue", "rescue", "rescue account.json --health 2 --fee-rate 0.0005"),
    Verb("advise", "advise", "advise", "advise account.json --experience new --report advice.html"),
    Verb("replay", "replay", "replay", "replay --example crash-book --tape 2025-10-10 --report crash.html"),
    Verb("conform", "conform", "conform", "conform answers/ --json"),
    Verb("sim", "sim", "sim", "sim --seed 7 --steps 100000"),
    Verb("size", "size", "app"),
    Verb("rulebooks", "rulebooks", "app"),
    Verb("account", "account", "app"),
    Verb("tape", "tape", "app"),
    Verb("journal", "journal", "app"),
    Verb("fleet", "fleet", "app"),
)

_ANYWHERE = {"--no-color", "--quiet", "-q", "--verbose", "-v"}
_INTERRUPTED = 130


def _print_version(value: bool) -> None:
    if value:
        from ringfence import __version__

        typer.echo(f"ringfence {__version__}")
        raise typer.Exit


def _choose(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text (also: NO_COLOR=1).")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no diagnostics.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tracebacks of unexpected errors.")] = False,
) -> None:
    del version
    show.settings.colour, show.settings.quiet, show.settings.verbose = not no_color, quiet, verbose


def command_line(verb: str | None = None) -> typer.Typer:
    """Return the command line with all verbs, or with the one asked for alone: the others' modules are then not read.

    A name that is no verb gives all of them, so that the error can name them.
    """
    line = typer.Typer(
        name="ringfence",
        help="The margin of crypto-futures accounts, exact, by each exchange's own dated rules.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    line.callback()(_choose)
    for found in [known for known in VERBS if known.name == verb] or VERBS:
        command = getattr(import_module(f"ringfence.cli.{found.module}"), found.attribute)
        if found.example is None:
            line.add_typer(command)
        else:
            line.command(found.name, epilog=f"Example: ringfence {found.example}")(command)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    ``arguments``: those after the program's name; None takes the process's own. Errors of the RingfenceError tree are
    printed without a traceback and end with their own code. ``--no-color``, ``--quiet`` and ``-v`` are taken before or
    after the verb.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        ordered = _global_first(given)
        verb = next((argument for argument in ordered if argument not in _ANYWHERE), None)
        get_command(command_line(verb))(args=ordered, prog_name="ringfence")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except RingfenceError as error:
        show.print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last stop: nobody is shown a traceback they did not ask for
        return _unexpected(error, verbose="-v" in given or "--verbose" in given)
    return 0


def _global_first(arguments: list[str]) -> list[str]:
    """Return the arguments with the global options moved in front of the verb; what follows ``--`` stays."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument in _ANYWHERE]
    return options + [argument for argument in arguments[:end] if argument not in _ANYWHERE] + arguments[end:]


def _unexpected(error: Exception, *, verbose: bool) -> int:
    if verbose:
        import traceback

        traceback.print_exception(error)
    else:
        first = str(error).split("\n", maxsplit=1)[0]
        sys.stderr.write(
            f"unexpected {type(error).__name__}: {first}\n  do: run it again with -v and report the traceback\n"
        )
    return 1


__all__ = ["VERBS", "Verb", "command_line", "main"]
