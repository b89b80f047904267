"""A venue that a study drives by commands alone, and the journal of it where one is asked for.

Everything goes through :meth:`Run.do`: the set-up first, then money, settings and positions, then prices. So the
commands are all there is to know, and ``ringfence journal verify`` decides the whole study again from them.

Group commit: a few thousand events are kept back and appended in one go, and the rest when the run ends. A run that is
broken off leaves a journal of what was appended: shorter, and it verifies.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.engine import commands as asked
from ringfence.engine import setup_text
from ringfence.engine.decide import handle
from ringfence.engine.events import Refused
from ringfence.engine.state import State
from ringfence.engine.wire import encode
from ringfence.errors import BadAccount, BadConfiguration, RingfenceError
from ringfence.journal import Batch, open_journal
from ringfence.numbers import ZERO, plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal
    from types import TracebackType
    from typing import Self

    from ringfence.account import CollateralMode, PositionMode
    from ringfence.engine.events import Event
    from ringfence.engine.setup import Setup
    from ringfence.journal import Journal
    from ringfence.numbers import Price, Quantity, Value

GROUP = 4_000
"""Events that are appended to the journal in one go."""

_OUTCOMES_KEPT = 64  # the screen reads the latest ones


class Run:
    """A venue from its set-up on. Use it as a context, so that the journal's last group is appended.

    ``journal``: a path; None keeps none. Raises BadConfiguration where there is one already, or for a set-up that no
    journal can hold, and what the journal raises.
    """

    def __init__(self, setup: Setup, *, at: int, journal: str | None = None) -> None:
        self.state = State(setup)
        self.state.outcomes_kept = _OUTCOMES_KEPT
        self._at = at
        self._opened = 0
        self._journal: Journal | None = None
        self._waiting: list[Batch] = []
        self._events = self._appended = 0
        text = ""
        try:
            text = setup_text.write(setup)
        except BadConfiguration:  # a rulebook that text cannot hold: only a journal needs it
            if journal is not None:
                raise
        if journal is not None:
            self._journal = _new_journal(journal)
        try:
            self.do(asked.SetUp("set up", at, text, "" if journal is None else _decided_by(setup)))
        except BaseException:
            self._let_go()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        with ExitStack() as stack:
            stack.callback(self._let_go)
            self._append()

    def drop(self) -> None:
        """Let go of the journal without appending what waits: the run came to nothing."""
        self._waiting = []
        self._let_go()

    def _let_go(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    # ── Commands ─────────────────────────────────────────────────────────────────────────────────────────────────

    def do(self, command: asked.Command, suspects: Iterable[str] | None = None) -> tuple[Event, ...]:
        """Handle a command and return its events."""
        events = handle(self.state, command, suspects)
        if self._journal is not None:
            self._waiting.append(
                Batch(
                    self._appended + len(self._waiting) + 1, encode(command), tuple(map(encode, events)),
                    self.state.digest(),
                )
            )  # fmt: skip
            self._events += len(events)
            if self._events >= GROUP:
                self._append()
        return events

    def _append(self) -> None:
        if self._journal is not None and self._waiting:
            waiting, self._waiting, self._events = self._waiting, [], 0
            self._journal.append(waiting, after=self._appended)
            self._appended += len(waiting)

    # ── Accounts as they are when a study begins ─────────────────────────────────────────────────────────────────

    def money(self, name: str, asset: str, amount: Value) -> None:
        """Bring capital in."""
        if amount > 0:
            self._open(asked.Deposit(self._next(), self._at, name, asset, amount))

    def position_mode(self, name: str, mode: PositionMode) -> None:
        """Choose one-way or hedge mode; one-way is what a trader starts with."""
        if mode.value != "one_way":
            self._open(asked.SetPositionMode(self._next(), self._at, name, mode.value))

    def position(
        self, name: str, symbol: str, quantity: Quantity, price: Price, *, leverage: Decimal, mode: str
    ) -> None:
        """Open a position of signed ``quantity`` at a price, isolated or cross."""
        side = "long" if quantity > ZERO else "short"
        self._open(
            asked.AdoptPosition(self._next(), self._at, name, symbol, side, abs(quantity), price, leverage, mode)
        )

    def collateral_mode(self, name: str, mode: CollateralMode) -> None:
        """Choose what backs cross positions; single assets are what a trader starts with."""
        if mode.value != "single_asset":
            self._open(asked.SetCollateralMode(self._next(), self._at, name, mode.value))

    def _next(self) -> str:
        self._opened += 1
        return f"open {self._opened}"

    def _open(self, command: asked.Command) -> None:
        for event in self.do(command):
            if isinstance(event, Refused):
                raise _cannot_begin(command, event)


def _cannot_begin(command: asked.Command, refused: Refused) -> RingfenceError:
    what = command.kind.replace("_", " ")  # type: ignore[attr-defined]
    if isinstance(command, asked.AdoptPosition):
        what = f"{command.margin_mode} {command.side} of {plain(command.quantity)} {command.symbol}"
    return BadAccount(
        f"the venue refuses what the account begins with: {refused.message}", where=what,
        expected="an account that its venue could hold", found=f"refusal {refused.number}, {refused.reason}",
        hint="change the account, or the rules it is held under",
    )  # fmt: skip


# ── Journals of a study ──────────────────────────────────────────────────────────────────────────────────────────


PARTS = ("isolated", "cross", "multi_asset", "portfolio", "mixed", "isolated-impact", "cross-impact", "mixed-impact")
"""What a study may be made of: each is a venue of its own, and its journal a file of its own."""


def journal_name(file: Path, part: str) -> Path:
    """Return where a part of a study is journaled: ``run.journal`` and ``cross`` give ``run.cross.journal``."""
    return file.with_name(f"{file.stem}.{part}{file.suffix}")


def journals_of(file: Path) -> tuple[Path, ...]:
    """Return the journals that there are of the study that was journaled as ``file``."""
    return tuple(path for part in PARTS if (path := journal_name(file, part)).is_file())


def refuse_journals(files: Iterable[Path]) -> None:
    """Raise BadConfiguration where a journal that is to be begun is there already: nothing is written over."""
    for file in files:
        if file.exists():
            raise BadConfiguration(
                "there is a file of that name already, and no journal is written over", where=f"--journal: {file}",
                expected="a name that is not taken", hint="give another name, or move the old journal away",
            )  # fmt: skip


def _new_journal(file: str) -> Journal:
    refuse_journals([Path(file)])
    return open_journal(file)


def _decided_by(setup: Setup) -> str:
    from ringfence.host import decided_by

    return decided_by(setup)


__all__ = ["GROUP", "PARTS", "Run", "journal_name", "journals_of", "refuse_journals"]
