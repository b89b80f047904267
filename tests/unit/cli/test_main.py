"""What holds for every verb: global options, help, exit codes, errors without tracebacks, pipes, imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from ringfence import __version__
from ringfence.cli import command_line, main, show
from ringfence.errors import RingfenceError, SourceUnavailable, VerificationFailed
from tests.unit.cli.command import ACCOUNT, changed, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.cli.command import Command

SOURCE = Path(__file__).parents[3] / "src"


def _commands(group: object, *names: str) -> Iterator[tuple[str, ...]]:
    inner = getattr(group, "commands", None)
    if inner is None:
        yield names
        return
    for name, command in inner.items():
        yield from _commands(command, *names, name)


VERBS = list(_commands(get_command(command_line())))


def test_the_version_is_the_package_s(ringfence: Command) -> None:
    assert ringfence("--version").out == f"ringfence {__version__}\n"


@pytest.mark.parametrize("verb", VERBS, ids=[" ".join(verb) for verb in VERBS])
def test_the_help_of_every_verb_has_an_example(verb: tuple[str, ...], ringfence: Command) -> None:
    outcome = ringfence(*verb, "--help")
    assert outcome.code == 0
    assert f"Example: ringfence {' '.join(verb)}" in " ".join(outcome.out.split())


def test_a_usage_error_ends_with_2(ringfence: Command) -> None:
    assert ringfence("assess").code == 2
    assert ringfence("asses", "account.json").code == 2
    assert ringfence("assess", "account.json", "--moon").code == 2


def test_python_dash_m_runs_the_command_line() -> None:
    done = _process("--version")
    assert (done.returncode, done.stdout) == (0, f"ringfence {__version__}\n")


def _process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ringfence", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


# ── Errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ringfence.account_file.read", fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [(SourceUnavailable("no answer\n  do: try later"), 5), (VerificationFailed("no"), 6), (RingfenceError("no"), 1)],
)
def test_an_error_of_ours_ends_with_its_own_code(
    error: RingfenceError, code: int, ringfence: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(error, monkeypatch)
    outcome = ringfence("assess", "account.json")
    assert outcome.code == code
    assert outcome.err.startswith("error: no")
    assert "Traceback" not in outcome.err


def test_an_unexpected_error_is_one_line_and_says_how_to_see_more(
    ringfence: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(ZeroDivisionError("by zero"), monkeypatch)
    outcome = ringfence("assess", "account.json")
    assert outcome.code == 1
    assert outcome.err == "unexpected ZeroDivisionError: by zero\n  do: run it again with -v and report the traceback\n"
    for arguments in (("-v", "assess", "account.json"), ("assess", "account.json", "-v")):
        assert "Traceback (most recent call last)" in ringfence(*arguments).err


def test_an_interruption_ends_with_130(ringfence: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _raising(KeyboardInterrupt(), monkeypatch)
    outcome = ringfence("assess", "account.json")
    assert outcome.code == 130
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_goes_away_is_no_error(options: tuple[str, ...], tmp_path: Path) -> None:
    path = written(tmp_path, ACCOUNT)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "ringfence", "assess", path, *options],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == show.BROKEN_PIPE


# ── Colour ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _colours(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """What the command prints where rich takes the screen for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    return str(main([str(argument) for argument in arguments]))


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_colour_can_be_turned_off(
    place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = written(tmp_path, ACCOUNT)
    _colours(monkeypatch, "assess", path)
    assert "\x1b[" in capsys.readouterr().out
    if place == "environment":
        monkeypatch.setenv("NO_COLOR", "1")
    off = {"before": ("--no-color", "assess", path), "after": ("assess", path, "--no-color")}
    _colours(monkeypatch, *off.get(place, ("assess", path)))
    assert "\x1b[" not in capsys.readouterr().out


def test_an_error_is_red(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _colours(monkeypatch, "assess", written(tmp_path, changed("account.positions.0.side", "lng")))
    assert "\x1b[1;31merror: " in capsys.readouterr().err


# ── What is imported ─────────────────────────────────────────────────────────────────────────────────────────────

HEAVY = ("ccxt", "pyarrow", "numpy", "numba", "ray", "fastapi", "asyncio", "sqlite3")


@pytest.mark.parametrize("verb", ["assess", "check"])
def test_json_is_printed_without_importing_what_draws_or_asks_exchanges(verb: str, tmp_path: Path) -> None:
    path = written(tmp_path, ACCOUNT)
    program = (
        "import sys; from ringfence.cli import main; main(sys.argv[1:]); "
        f"print(sorted(set(sys.modules) & {{'rich', *{HEAVY!r}}}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, verb, str(path), "--json"],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.stderr == "[]\n"


def test_a_verb_alone_reads_the_module_of_no_other() -> None:
    code = "import sys; from ringfence.cli import main; main(['check', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ringfence.cli.assess" in loaded
    assert not loaded & {"ringfence.cli.replay", "ringfence.cli.sim", "ringfence.cli.journal", "ringfence.cli.size"}
