"""Where rulebooks are kept: one folder per venue, packaged or the user's, and in it one folder per day."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadRulebook, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

ALWAYS = "always"  #: folder of what holds as far back as is known
PACKAGED = Path(__file__).parent


class Folder(NamedTuple):
    """One dated folder of a venue. ``day`` is None for what holds as far back as is known."""

    day: date | None
    path: Path

    def not_after(self, as_of: date | None) -> bool:
        """Whether the folder counts on the day ``as_of`` (None: on the latest)."""
        return self.day is None or as_of is None or self.day <= as_of


def user_directory() -> Path:
    """Return where a user's own tables are kept: ``RINGFENCE_RULEBOOKS``, or ringfence/rulebooks in the data home."""
    given = os.environ.get("RINGFENCE_RULEBOOKS")
    if given:
        return Path(given)
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")  # noqa: PTH111, PTH118 - pathlib would fail without a home
    return Path(home) / "ringfence" / "rulebooks"


def names() -> tuple[str, ...]:
    """Return the names of all rulebooks, packaged and the user's."""
    venues = (path for root in _roots() for path in root.iterdir() if path.is_dir())
    return tuple(sorted({path.name for path in venues if any(_is_dated(child) for child in path.iterdir())}))


def folders(name: str) -> tuple[Folder, ...]:
    """Return the dated folders of a rulebook, oldest first; on one day the user's after the packaged one.

    Raises BadRulebook, with the nearest names, when unknown.
    """
    found = [
        Folder(None if path.name == ALWAYS else date.fromisoformat(path.name), path)
        for root in _roots()
        if name == Path(name).name and (root / name).is_dir()  # a name, no path
        for path in (root / name).iterdir()
        if _is_dated(path)
    ]
    if not found:
        raise BadRulebook(
            f"no rulebook {name!r}",
            where="rulebook",
            expected="one of " + ", ".join(names()),
            found=name,
            hint=nearest(name, names()) or "run `ringfence rulebooks list`",
        )
    return tuple(sorted(found, key=lambda folder: folder.day or date.min))


def _roots() -> Iterator[Path]:
    yield PACKAGED
    user = user_directory()
    if user.is_dir():
        yield user


def _is_dated(path: Path) -> bool:
    if path.name == ALWAYS:
        return path.is_dir()
    try:
        date.fromisoformat(path.name)
    except ValueError:
        return False
    return path.is_dir()


__all__ = ["ALWAYS", "PACKAGED", "Folder", "folders", "names", "user_directory"]
