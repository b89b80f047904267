"""``ringfence journal show | verify | export``: what a venue's journal holds, and whether it holds what it should."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.errors import RingfenceError
    from ringfence.journal import Entry, JournalReader

app = typer.Typer(name="journal", help="A venue's journal: look into it, verify it, export it.", no_args_is_help=True)

VERIFICATION_FAILED = 6
_SCHEMA = "ringfence.journal-verification/1"

JournalArgument = Annotated[str, typer.Argument(metavar="JOURNAL", help="A file, or a URL such as postgresql://…")]
FromOption = Annotated[int, typer.Option("--from", metavar="ENTRY", min=1, help="Begin with this entry.")]
AccountOption = Annotated[str | None, typer.Option(metavar="NAME", help="Only what concerns this account.")]
KindOption = Annotated[str | None, typer.Option(metavar="KIND", help="Only this kind of command or event.")]

_ACCOUNTS = ("account", "to_account", "buyer", "seller", "maker")


@app.command(epilog="Example: ringfence journal show venue.journal --last 20 --account ann")
def show(
    journal: JournalArgument,
    first: FromOption = 1,
    last: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the last N entries.")] = None,
    account: AccountOption = None,
    kind: KindOption = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per entry and line.")] = False,
) -> None:
    """Show entries: each command with the events it led to."""
    from ringfence.cli import show as screen
    from ringfence.journal import open_reader

    with open_reader(_one(journal)) as reader:
        start = first if last is None else max(first, reader.head().sequence - last + 1)
        for entry, command, events in _read(reader, start):
            chosen = _chosen(command, events, account=account, kind=kind)
            if chosen is None:
                continue
            if json:
                screen.print_text(_json_line(entry, command, chosen))
            else:
                screen.print_text("\n".join(_lines(entry, command, chosen)))


@app.command(epilog="Example: ringfence journal verify venue.journal")
def verify(
    journal: JournalArgument,
    *,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Look at every account at every price, instead of proving most healthy.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Decide everything again from the commands alone, and compare every byte, every digest and the hash chain.

    Ends with 6 at the first entry that is not what its commands lead to, and names it. The name that a replay was
    journaled as stands for all of its journals. Accounts that no price can have moved out of the band in which nothing
    happens to them are not looked at, exactly as in a replay; --thorough looks at everybody, which takes far longer.
    """
    from ringfence.cli import show as screen

    family = _family(journal)
    verdicts = []
    for name in family or (journal,):
        verdicts.append(_verified(name, thorough=thorough))
        if not json:
            _say(verdicts[-1], name if family else None)
    holds = all(verdict.wrong is None for verdict in verdicts)
    if json:
        parts = [verdict.as_json() for verdict in verdicts]
        if family:
            journals = [{"journal": name, **part} for name, part in zip(family, parts, strict=True)]
            screen.print_json({"schema": _SCHEMA, "holds": holds, "journals": journals})
        else:
            screen.print_json({"schema": _SCHEMA, **parts[0]})
    if not holds:
        raise typer.Exit(VERIFICATION_FAILED)


class _Verdict(NamedTuple):
    """What came of deciding a journal again: how much of it held, and what was wrong then."""

    entries: int
    events: int
    total: int
    seconds: float
    wrong: RingfenceError | None
    older: int = 0  # entries whose events are in an older form, and say the same
    other_digests: int | None = None  # the first entry whose digest is of another making
    decided_by: tuple[str, ...] = ()  # the programs and rules that the journal names, in their order

    @property
    def rate(self) -> float:
        """Entries a second."""
        return self.entries / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as part of a JSON object."""
        wrong, difference = self.wrong, None
        if wrong is not None:
            difference = {
                "entry": getattr(wrong, "sequence", None),
                "event": getattr(wrong, "event", None),
                "expected": getattr(wrong, "expected", None),
                "found": getattr(wrong, "found", None),
                "message": str(wrong).split("\n", maxsplit=1)[0],
            }
        return {
            "holds": wrong is None,
            "entries": self.entries,
            "events": self.events,
            "of_entries": self.total,
            "seconds": f"{self.seconds:.3f}",
            "older_form": self.older,
            "other_digests_from": self.other_digests,
            "decided_by": list(self.decided_by),
            "difference": difference,
        }


def _verified(journal: str, *, thorough: bool) -> _Verdict:
    from time import perf_counter

    from ringfence.host import Difference, redecide
    from ringfence.journal import JournalCorrupt, open_reader
    from ringfence.screen import BandScreen

    started = perf_counter()
    screen = None if thorough else BandScreen()
    entries = events = older = 0
    other_digests: int | None = None
    named: dict[str, None] = {}
    wrong: RingfenceError | None = None
    with open_reader(journal) as reader:
        total = reader.head().sequence
        try:
            for step in _with_progress(redecide(reader, screen=screen), total):
                entries, events = entries + 1, events + step.events
                named[step.decided_by] = None
                older += not step.same_bytes
                if not step.digest and other_digests is None:
                    other_digests = step.sequence
        except (Difference, JournalCorrupt) as error:
            wrong = error
    return _Verdict(entries, events, total, perf_counter() - started, wrong, older, other_digests, tuple(named))


def _say(verdict: _Verdict, name: str | None) -> None:
    """Say what came of one journal, with its name where there are several."""
    from ringfence.cli import show as screen

    called = "" if name is None else f"{name}: "
    if verdict.wrong is None:
        alike = "equal byte for byte" if not verdict.older else "equal in what they say"
        screen.print_text(
            f"{called}holds: {verdict.entries:,} entries with {verdict.events:,} events, decided again and {alike}, "
            f"in {verdict.seconds:.1f} s ({verdict.rate:,.0f} entries/s)"
        )
        if verdict.older:
            screen.print_text(f"  {verdict.older:,} of them are in an older form")
        if verdict.other_digests is not None:
            screen.print_text(
                f"  digests of the state were not compared from entry {verdict.other_digests:,} on: they are of "
                "another making"
            )
        if verdict.older or verdict.other_digests is not None:
            by = "; ".join(
                name or "a ringfence that did not yet write down which it was" for name in verdict.decided_by
            )
            screen.print_text(f"  decided by: {by}")
        return
    screen.say(f"{called}{verdict.entries:,} of {verdict.total:,} entries held ({verdict.rate:,.0f} entries/s)")
    screen.print_error(verdict.wrong)


def _family(journal: str) -> tuple[str, ...]:
    """Return the journals of a replay that was journaled as ``journal``; none where that is a journal itself."""
    from ringfence.study.replay.engine_run import journals_of

    if "://" in journal or Path(journal).exists():
        return ()
    return tuple(str(path) for path in journals_of(Path(journal)))


def _one(journal: str) -> str:
    """Return the journal asked for. Raises BadConfiguration where the name stands for several."""
    from ringfence.errors import BadConfiguration

    family = _family(journal)
    if not family:
        return journal
    raise BadConfiguration(
        "a replay has a journal per way of holding", where=journal, expected="one of them", found=", ".join(family),
        hint="name the one you mean",
    )  # fmt: skip


@app.command(epilog="Example: ringfence journal export venue.journal --postings --out postings.csv")
def export(
    journal: JournalArgument,
    first: FromOption = 1,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here, not to standard output.")] = None,
    *,
    postings: Annotated[bool, typer.Option("--postings", help="The ledger's postings as CSV, one per line.")] = False,
) -> None:
    """Write all of a journal as JSON lines, or its money movements as CSV."""
    import sys

    from ringfence.cli import show as screen
    from ringfence.errors import BadConfiguration
    from ringfence.journal import open_reader

    with open_reader(_one(journal)) as reader:
        write = _write_postings if postings else _write_entries
        try:
            if out is None:
                write(reader, first, sys.stdout)
            else:
                out.parent.mkdir(parents=True, exist_ok=True)
                with out.open("w", encoding="utf-8", newline="") as file:
                    count = write(reader, first, file)
                screen.say(f"{count:,} {'postings' if postings else 'entries'} written to {out}")
        except BrokenPipeError:
            screen.leave_broken_pipe()
        except OSError as error:
            raise BadConfiguration("cannot be written", where=str(out), found=error.strerror) from error


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _read(reader: JournalReader, start: int) -> Iterator[tuple[Entry, Command, tuple[Event, ...]]]:
    from ringfence.engine.wire import decode_command, decode_event

    for entry in reader.read(start=start):
        yield entry, decode_command(entry.command), tuple(map(decode_event, entry.events))


def _chosen(
    command: Command, events: tuple[Event, ...], *, account: str | None, kind: str | None
) -> tuple[Event, ...] | None:
    """Return the events to show: all of them when the command is asked for; None when nothing of the entry is."""
    if _concerns(command, account) and kind in {None, _kind(command)}:
        return events
    found = tuple(event for event in events if _concerns(event, account) and kind in {None, _kind(event)})
    return found or None


def _concerns(message: Command | Event, account: str | None) -> bool:
    return account is None or any(getattr(message, name, None) == account for name in _ACCOUNTS)


def _kind(message: Command | Event) -> str:
    return str(message.kind)  # type: ignore[union-attr]


def _with_progress(steps: Iterable[Any], total: int) -> Iterator[Any]:
    """Yield the steps with a bar on a terminal's standard error."""
    from ringfence.cli import show as screen

    console = screen.console(stderr=True)
    if screen.settings.quiet or not console.is_terminal:
        yield from steps
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("deciding again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        for number, step in enumerate(steps, 1):
            if not number % 100:
                bar.update(task, completed=number)
            yield step


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _lines(entry: Entry, command: Command, events: tuple[Event, ...]) -> Iterator[str]:
    yield f"{entry.sequence:>8}  {_time(command.at)}  {_kind(command)}  {command.id}  {_told(command)}".rstrip()
    for event in events:
        yield f"{'':>8}    → {_kind(event)}  {_told(event)}".rstrip()


def _time(at: int) -> str:
    from datetime import UTC, datetime, timedelta

    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).strftime("%Y-%m-%d %H:%M:%S.%f")
    except OverflowError:
        return f"{at} µs"


def _told(message: Command | Event) -> str:
    """Return a message's own fields in a line; what is not set is left out."""
    parts = []
    for name, value in _own(message):
        if value is None or value is False or value == ():
            continue
        if name == "postings":
            told = ", ".join(f"{account} {_plain(amount)} {asset}" for account, asset, amount in value)
            parts.append(f"[{told}]")
        elif isinstance(value, tuple):
            parts.append(f"{name}=" + ",".join(f"{symbol}:{_plain(price)}" for symbol, price in value))
        else:
            parts.append(f"{name}={_plain(value)}")
    return " ".join(parts)


def _plain(value: object) -> str:
    from ringfence.numbers import plain

    return plain(value) if isinstance(value, Decimal) and value.is_finite() else str(value)


def _own(message: Command | Event) -> list[tuple[str, Any]]:
    """Return a message's fields without those of every message: id and time, or whose event it is."""
    return [
        (field.name, getattr(message, field.name))
        for field in fields(message)
        if field.name not in {"id", "at", "command"}
    ]


def _json_line(entry: Entry, command: Command, events: tuple[Event, ...]) -> str:
    import json

    data = {
        "schema": "ringfence.journal-entry/1",
        "entry": entry.sequence,
        "command": {"kind": _kind(command), "id": command.id, "at": command.at, **_as_json(command)},
        "events": [{"kind": _kind(event), **_as_json(event)} for event in events],
        "digest": entry.digest.hex(),
        "chain": entry.chain.hex(),
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _as_json(message: Command | Event) -> dict[str, Any]:
    return {name: _value(value) for name, value in _own(message)}


def _value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _plain(value)
    return [[_value(part) for part in item] for item in value] if isinstance(value, tuple) else value


def _write_entries(reader: JournalReader, start: int, file: TextIO) -> int:
    count = 0
    for entry, command, events in _read(reader, start):
        file.write(_json_line(entry, command, events) + "\n")
        count += 1
    return count


def _write_postings(reader: JournalReader, start: int, file: TextIO) -> int:
    import csv

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("entry", "at", "command", "event", "cause", "account", "asset", "amount"))
    count = 0
    for entry, command, events in _read(reader, start):
        for event in events:
            for account, asset, amount in getattr(event, "postings", ()):
                cause = getattr(event, "cause", "")
                writer.writerow((
                    entry.sequence, command.at, command.id, _kind(event), cause, account, asset, _plain(amount),
                ))  # fmt: skip
                count += 1
    return count


__all__ = ["app", "export", "show", "verify"]
