"""API keys by reference: the command line and the settings name where a key is, never the key itself."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from ringfence.errors import BadConfiguration

_FORMS = "env:NAME, file:PATH or keyring:NAME"
_CONTENT = (
    'a JSON object {"apiKey": …, "secret": …} (password, uid, walletAddress where the exchange needs them), '
    "or key, secret and passphrase on one line each, or separated by colons"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs a request. No part of it ever appears in a representation or a message."""

    apiKey: str = field(default="", repr=False)  # noqa: N815 - ccxt's own names: they are passed on as they are
    secret: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    uid: str = field(default="", repr=False)
    walletAddress: str = field(default="", repr=False)  # noqa: N815

    def settings(self) -> dict[str, str]:
        """Return the parts that are given, under the names ccxt knows them by."""
        parts = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in parts.items() if value}


def read_keys(reference: str) -> Keys:
    """Return the key that ``reference`` names: ``env:NAME``, ``file:PATH`` or ``keyring:NAME``.

    The environment variable, the file or the keyring entry (service ``ringfence``, user NAME) holds a JSON object with
    ``apiKey`` and ``secret``, or key, secret and passphrase line by line. Raises BadConfiguration, which never repeats
    what was found.
    """
    return _parse(_content(reference), where=reference)


def read_key_and_secret(key: str, secret: str) -> Keys:
    """Return the key whose two parts are kept apart, each under a reference of its own.

    What each reference names holds that part alone. Raises BadConfiguration, which never repeats what was found.
    """
    return Keys(apiKey=_content(key), secret=_content(secret))


def _content(reference: str) -> str:
    scheme, _, name = reference.partition(":")
    readers = {"env": _from_environment, "file": _from_file, "keyring": _from_keyring}
    if scheme not in readers or not name:
        _refuse("a key is given by reference, not by itself", expected=_FORMS, found="something else (not shown)")
    return readers[scheme](name).strip()


def _refuse(message: str, *, expected: str, found: str, where: str | None = None, hint: str | None = None) -> NoReturn:
    raise BadConfiguration(
        message, where=where, expected=expected, found=found, hint=hint or f"name where the key is: {_FORMS}"
    )


def _from_environment(name: str) -> str:
    if not os.environ.get(name):
        _refuse(
            "the environment variable of the key is not set",
            where=f"env:{name}",
            expected=_CONTENT,
            found="nothing",
            hint=f"set {name} in the environment, not on the command line",
        )
    return os.environ[name]


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    where = f"file:{name}"
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            _refuse(
                "other users of this machine can read the key file",
                where=where,
                expected="a file only its owner can read (mode 600)",
                found=f"mode {stat.S_IMODE(mode):o}",
                hint=f"run `chmod 600 {name}`",
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a text file"
        _refuse("the key file cannot be read", where=where, expected=_CONTENT, found=reason, hint="check the path")


def _from_keyring(name: str) -> str:
    where = f"keyring:{name}"
    try:
        keyring = import_module("keyring")
    except ImportError:
        _refuse(
            "reading the system's keyring needs the package keyring, which is not installed",
            where=where,
            expected="the package keyring",
            found="no such package",
            hint="install it with `pip install keyring`, or use env:NAME or file:PATH",
        )
    try:
        content = keyring.get_password("ringfence", name)
    except import_module("keyring.errors").KeyringError as error:
        _refuse("the keyring did not answer", where=where, expected=_CONTENT, found=type(error).__name__)
    if not content:
        _refuse(
            "the keyring has no such entry",
            where=where,
            expected=_CONTENT,
            found="nothing",
            hint=f"store it with `keyring set ringfence {name}`",
        )
    return str(content)


def _parse(content: str, *, where: str) -> Keys:
    content = content.strip()
    if content.startswith("{"):
        try:
            parts = json.loads(content)
        except json.JSONDecodeError:
            _refuse("the key is not readable", where=where, expected=_CONTENT, found="broken JSON (not shown)")
        known = Keys.__slots__
        unknown = sorted(set(parts) - set(known))
        if unknown or not all(isinstance(value, str) for value in parts.values()):
            _refuse(
                "the key has parts that are not known or no texts",
                where=where,
                expected=f"texts under {', '.join(known)}",
                found=f"unknown: {', '.join(unknown)}" if unknown else "a part that is no text",
            )
        return Keys(**parts)
    pieces = [piece.strip() for piece in (content.splitlines() if "\n" in content else content.split(":"))]
    pieces = [piece for piece in pieces if piece]
    if len(pieces) not in (2, 3):
        _refuse("the key is not readable", where=where, expected=_CONTENT, found=f"{len(pieces)} part(s)")
    return Keys(*pieces)
