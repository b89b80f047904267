"""The command line: one thin command per verb; what it shows comes from the packages below.

Results go to standard output, progress and diagnostics to standard error. Exit codes: 0 done; 1 unexpected; 2 usage;
3 a bad account, rulebook, tape or configuration; 4 authentication; 5 a source is unavailable; 6 a verification failed;
10, 11, 12 ``check``: warning, margin call, liquidatable; 130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from typer.main import get_command

from ringfence.cli import account, assess, conform, journal, rulebooks, show, size, tape
from ringfence.cli.compare import compare
from ringfence.cli.distance import distance
from ringfence.cli.replay import replay
from ringfence.cli.rescue import rescue
from ringfence.cli.sim import sim
from ringfence.cli.stress import stress
from ringfence.errors import RingfenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="ringfence",
    help="The margin of crypto-futures accounts, exact, by each exchange's own dated rules.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_ANYWHERE = {"--no-color", "--quiet", "-q", "--verbose", "-v"}
_INTERRUPTED = 130


def _print_version(value: bool) -> None:
    if value:
        from ringfence import __version__

        typer.echo(f"ringfence {__version__}")
        raise typer.Exit


@app.callback()
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


app.command(epilog="Example: ringfence assess account.json --mark BTCUSDT=61000 --explain")(assess.assess)
app.command(epilog="Example: ringfence check account.json || notify-send 'margin call'")(assess.check)
app.command()(compare)
app.command(epilog="Example: ringfence distance account.json --tape 2025-10-10")(distance)
app.command(epilog="Example: ringfence stress account.json --symbol ETHUSDT --symbol BTCUSDT --report s.html")(stress)
app.command(epilog="Example: ringfence rescue account.json --health 2 --fee-rate 0.0005")(rescue)
app.command(epilog="Example: ringfence replay --example crash-book --tape 2025-10-10 --report crash.html")(replay)
app.command(epilog="Example: ringfence conform answers/ --json")(conform.conform)
app.command(epilog="Example: ringfence sim --seed 7 --steps 100000")(sim)
app.add_typer(size.app)
app.add_typer(rulebooks.app)
app.add_typer(account.app)
app.add_typer(tape.app)
app.add_typer(journal.app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    ``arguments``: those after the program's name; None takes the process's own. Errors of the RingfenceError tree are
    printed without a traceback and end with their own code. ``--no-color``, ``--quiet`` and ``-v`` are taken before or
    after the verb.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        get_command(app)(args=_global_first(given), prog_name="ringfence")
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


__all__ = ["app", "main"]
