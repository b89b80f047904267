"""The example accounts that come with the package: account files one can start from."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from ringfence.account_file import parse_text
from ringfence.errors import BadAccount, nearest

if TYPE_CHECKING:
    from ringfence.account_file import AccountFile

_SUFFIX = ".json"


def example_names() -> tuple[str, ...]:
    """Return the names of the packaged example accounts."""
    folder = files("ringfence") / "examples"
    return tuple(sorted(f.name.removesuffix(_SUFFIX) for f in folder.iterdir() if f.name.endswith(_SUFFIX)))


def example_text(name: str) -> str:
    """Return an example's account file as text. Raises BadAccount, with the nearest names, when there is none."""
    if name not in example_names():
        known = example_names()
        raise BadAccount(
            f"no example {name!r}", where="--example", expected=f"one of {', '.join(known)}", found=name,
            hint=nearest(name, known) or "choose one of these",
        )  # fmt: skip
    return (files("ringfence") / "examples" / f"{name}{_SUFFIX}").read_text(encoding="utf-8")


def load_example(name: str) -> AccountFile:
    """Return the example account ``name``. Raises BadAccount when there is none."""
    return parse_text(example_text(name), where=f"example {name}")


__all__ = ["example_names", "example_text", "load_example"]
