"""``ringfence account import | example | schema``: account files that nobody has to write by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ringfence.watch.keys import Keys

app = typer.Typer(name="account", help="Account files: imported, as examples, and their schema.", no_args_is_help=True)


@app.command("import", epilog="Example: ringfence account import binance-usdm --key env:BINANCE_KEY --out account.json")
def import_account(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="The rulebook of the exchange, such as binance-usdm.")],
    reply: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A saved reply (JSON) instead of the live account.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="A read-only key: env:NAME, file:PATH or keyring:NAME.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="The key's secret, where it is kept apart from the key.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the account there; else it is printed.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE when it exists.")] = False,
) -> None:
    """Turn what an exchange says of balances and positions into an account file.

    A key is never given itself, only where it is kept, and it may only read.
    """
    from datetime import UTC, datetime

    from ringfence.cli import show
    from ringfence.errors import BadConfiguration

    if reply is not None and (key is not None or secret is not None):
        raise BadConfiguration(
            "a saved reply and a key", where="--reply, --key", expected="one of the two", found="both",
            hint="leave out --key to read the saved reply, or --reply to ask the exchange",
        )  # fmt: skip
    if out is not None and out.exists() and not force:
        raise BadConfiguration(
            "the file is there already", where=f"--out {out}", expected="a new file", found="an older one",
            hint="name another file, or give --force",
        )  # fmt: skip
    today = datetime.now(UTC).date()
    if reply is not None:
        from ringfence.watch.accounts import account_from_reply, load_reply

        document = account_from_reply(venue, load_reply(reply), as_of=today)
    else:
        from ringfence.watch import accounts

        document = accounts.import_account(venue, keys=_keys(key, secret), as_of=today)
    content = _text(document)
    if out is None:
        show.print_text(content)
    else:
        _write(out, content)
        held = document["account"]
        show.say(f"{out}: {len(held.get('positions') or [])} positions, {len(held.get('orders') or [])} orders")
    for note in document.get("notes", ()):
        show.say(f"note: {note}")


@app.command("example", epilog="Example: ringfence account example > account.json")
def example(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which one; without it, the first.")] = None,
    *,
    names: Annotated[bool, typer.Option("--list", help="List the names instead.")] = False,
) -> None:
    """Print an account file that comes with the package, to try things on or to start from."""
    from ringfence.cli import show
    from ringfence.study.examples import example_names, example_text

    if names:
        show.print_text("\n".join(example_names()))
        return
    show.print_text(example_text(name or example_names()[0]))


@app.command("schema", epilog="Example: ringfence account schema > account.schema.json")
def schema() -> None:
    """Print the JSON Schema (2020-12) of account files."""
    from importlib.resources import files

    from ringfence.cli import show

    show.print_text((files("ringfence") / "account.schema.json").read_text(encoding="utf-8"))


def _keys(key: str | None, secret: str | None) -> Keys | str | None:
    from ringfence.errors import BadConfiguration
    from ringfence.watch.keys import read_key_and_secret

    if secret is None:
        return key
    if key is None:
        raise BadConfiguration(
            "a secret without its key", where="--secret", expected="--key and --secret", found="--secret only",
            hint="name where the key is: env:NAME, file:PATH or keyring:NAME",
        )  # fmt: skip
    return read_key_and_secret(key, secret)


def _text(document: dict[str, Any]) -> str:
    import json

    return json.dumps(document, ensure_ascii=False, indent=2)


def _write(path: Path, content: str) -> None:
    """Write a file whole or not at all; folders that are missing are made."""
    import os
    from contextlib import suppress

    from ringfence.errors import BadConfiguration

    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(content + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):  # its folder may be no folder
            unfinished.unlink()
        raise BadConfiguration(
            "cannot be written", where=str(path), expected="a file that can be made",
            found=error.strerror or str(error), hint="check the path and its permissions",
        ) from None  # fmt: skip
