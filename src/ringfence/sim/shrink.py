"""Making a failure small: leave traders out, then commands, as long as the same law still breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.engine.commands import Command

    _Run = Callable[[list[Command]], tuple[int, str] | None]

_TRIES = 250  # how often a smaller run is tried


def smallest(commands: list[Command], law: str, run: _Run) -> list[Command]:
    """Return a short list of commands that still breaks ``law``: whole traders are left out first, then stretches.

    ``run`` runs a list and returns where a law broke and which one, None when all held.
    """
    best = _still_broken(run, commands, law)
    if best is None:
        return commands
    tries = 0
    for name in dict.fromkeys(who for one in commands if (who := getattr(one, "account", None)) is not None):
        without = [one for one in best if name not in {getattr(one, "account", None), getattr(one, "to_account", None)}]
        best = _still_broken(run, without, law) or best
        tries += 1
    size = max(1, len(best) // 2)
    while tries < _TRIES:
        position, before = 0, len(best)
        while position < len(best) and tries < _TRIES:
            tries += 1
            smaller = _still_broken(run, best[:position] + best[position + size :], law)
            if smaller is not None:
                best = smaller
            else:
                position += size
        if size == 1 and len(best) == before:
            break
        size = max(1, size // 2)
    return best


def _still_broken(run: _Run, commands: list[Command], law: str) -> list[Command] | None:
    """Return the commands up to the one that breaks ``law``, or None when another or none is broken."""
    found = run(commands)
    if found is None or found[1] != law:
        return None
    return commands[: found[0] + 1]


__all__ = ["smallest"]
