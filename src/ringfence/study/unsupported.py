"""The list of published figures that ringfence does not compute yet, by topic and with the reason.

``unsupported.toml`` names kinds of topic, never cases: a case that nobody has seen is covered when its topic is, and a
figure that is missing for any other reason is a failure. An entry without ``rulebook`` holds for every venue.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadConfiguration

if TYPE_CHECKING:
    from pathlib import Path

    from ringfence.study.conform import Report


class Listed(NamedTuple):
    """A topic that is not computed, of one venue or (``rulebook`` None) of all, and why."""

    kind: str
    rulebook: str | None
    reason: str


def read_list(path: Path | None = None) -> tuple[Listed, ...]:
    """Return the entries of a list of unsupported topics; None takes the packaged one. Raises BadConfiguration."""
    where = str(path or "unsupported.toml")
    try:
        packaged = files("ringfence.study") / "unsupported.toml"
        text = (path or packaged).read_text(encoding="utf-8")
        entries = tomllib.loads(text).get("unsupported", [])
        return tuple(Listed(entry["kind"], entry.get("rulebook"), entry["reason"]) for entry in entries)
    except OSError as error:
        found = error.strerror or str(error)
    except KeyError as error:
        found = f"an entry without {error}"
    except (AttributeError, TypeError, ValueError) as error:
        found = str(error)
    raise BadConfiguration(
        "not a list of unsupported figures", where=where, found=found,
        expected="[[unsupported]] entries with kind, reason and, for one venue only, rulebook",
        hint="see src/ringfence/study/unsupported.toml for one",
    )  # fmt: skip


def unlisted(report: Report, listed: tuple[Listed, ...]) -> list[dict[str, str]]:
    """Return the unsupported figures of a report whose topic is not listed; those listed take the list's reason."""
    found = []
    for entry in report.unsupported:
        topic = report.topics.get(entry["case"])
        reason = next((known.reason for known in listed if topic is not None and _covers(known, *topic)), None)
        if reason is None:
            found.append(entry)
        else:
            entry["reason"] = reason
    return found


def _covers(known: Listed, kind: str, rulebook: str) -> bool:
    return known.kind == kind and known.rulebook in (None, rulebook)


__all__ = ["Listed", "read_list", "unlisted"]
