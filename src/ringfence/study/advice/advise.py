"""Which positions to ring-fence and which to pool: a verdict per position, decided by what happens to *this* book.

1. What hedges what (:mod:`.groups`), what each position is (:class:`Role`), how prices move (:mod:`.moves`).
2. Ways of holding the book, all from the same capital: as given, all isolated, all cross, hedges pooled and the rest
   ring-fenced, long shots ring-fenced and the rest pooled, a sub-account per group, a basket where the venue has one.
3. What the trader's circumstances decide (:mod:`.circumstances`): sizes and leverages of somebody new
   (:mod:`.stake`), of which all that follows is said, and places that are fixed. All others are searched, on paths of
   their own: the best of the ways above, then one position or group after the other moved as long as the score rises.
4. The trial: every way and the advised one on the same fat-tailed, correlated paths, beside past crashes
   (:mod:`.crashes`); and the advised one with each single position held the other way, which is the evidence per
   position.

A book that portfolio margin alone can hold, such as one with options, is judged position by position instead:
:mod:`.options`.

The verdict says what the evidence is, where it decided, and where circumstances overruled it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode
from ringfence.errors import BadAccount
from ringfence.study.advice.circumstances import Circumstances
from ringfence.study.advice.desk import ADVISED, GIVEN, SAFE, SMALLER, Desk, Question, Role, as_given
from ringfence.study.advice.groups import exposures
from ringfence.study.advice.holding import Book, Holding, book_of
from ringfence.study.advice.moves import moves_of
from ringfence.study.advice.options import find as find_in_portfolio
from ringfence.study.advice.options import leading, only_portfolio
from ringfence.study.advice.scene import Outlook, check_outlook
from ringfence.study.advice.search import FENCE, Search
from ringfence.study.advice.stake import smaller
from ringfence.study.advice.trials import Chance, Runner, run_trials
from ringfence.study.likelihood import numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from ringfence.account import Account, Marks, Position
    from ringfence.numbers import Rate
    from ringfence.rulebook import Rulebook
    from ringfence.study.advice.crashes import Crashes
    from ringfence.study.advice.groups import Group
    from ringfence.study.advice.moves import Moves
    from ringfence.study.advice.options import OptionsFound
    from ringfence.study.advice.stake import Closing
    from ringfence.study.advice.trials import Trial, Trials
    from ringfence.tape.bars import Tape

SCHEMA = "ringfence.advise/1"

_ALONE = "by the evidence alone"
_DECIDED = "what your circumstances decide"


class Turned(NamedTuple):
    """The advised way with one position held the other way (``to``); None: the capital does not reach for it."""

    position: int
    to: str
    trial: Trial | None


class Advice(NamedTuple):
    """The advice and all it stands on. ``fixed``: places that circumstances decided, by position: the reason.

    ``book``: what the advice ends at, of which all its figures are; ``given``: the account as it is, in the way
    ``as given``; ``closings``: from the one to the other, ``after``: the account once they are made, None where nothing
    is closed. ``now``: exposure of each given position, ``prices``: of settlement assets, in dollars.

    ``free``: what the evidence alone would have chosen where circumstances fixed something, else the advised one.
    ``scores``: by way, of the paths and of past crashes weighed together; ``crash_chance``: the weight of the latter.
    ``unavailable``: ways that cannot be, what circumstances decide among them: (name, why). ``needed``: capital in
    dollars that keeps the whole book, pooled, alive on :data:`SAFE` of the paths (None where it is settled in several
    assets).
    ``options``: what a book is judged by that portfolio margin alone can hold; then there are no groups, roles and
    turned positions.
    """

    book: Book
    given: Account
    circumstances: Circumstances
    moves: Moves
    outlook: Outlook
    groups: tuple[Group, ...]
    roles: tuple[Role, ...]
    chosen: str
    fixed: Mapping[int, str]
    free: str
    trials: Trials
    scores: Mapping[str, Chance]
    crash_chance: float
    turned: tuple[Turned, ...]
    crashes: Crashes
    unavailable: tuple[tuple[str, str], ...]
    needed: float | None
    notes: tuple[str, ...]
    options: OptionsFound | None = None
    closings: tuple[Closing, ...] = ()
    after: Account | None = None
    now: tuple[float, ...] = ()
    prices: Mapping[str, float] = {}
    fee_rate: Rate | None = None

    def trial(self, name: str) -> Trial:
        """Return the trial of a way by its name."""
        return next(trial for trial in self.trials.trials if trial.holding.name == name)

    @property
    def holding(self) -> Holding:
        """The advised way."""
        return self.trial(self.chosen).holding

    def as_now(self, index: int) -> Position:
        """Return the position of the book as the account holds it now."""
        return self._held(self.given, index)

    def as_left(self, index: int) -> Position:
        """Return the position of the book as the account holds it after the closings."""
        return self._held(self.after or self.given, index)

    def _held(self, account: Account, index: int) -> Position:
        wanted = self.book.positions[index]
        return next(p for p in account.positions if (p.symbol, p.side) == (wanted.symbol, wanted.side))

    def closing(self, index: int) -> Closing | None:
        """Return what is to be closed of the position of the book, None for nothing."""
        now = self.as_now(index)
        return next((closing for closing in self.closings if closing.position == now), None)


def advise(  # noqa: PLR0913 - what advice can be asked with
    account: Account,
    *,
    marks: Marks,
    rulebook: Rulebook,
    circumstances: Circumstances | None = None,
    tape: Tape | None = None,
    outlook: Outlook | None = None,
    volatilities: Mapping[str, float] | None = None,
    correlations: Mapping[tuple[str, str], float] | None = None,
    fee_rate: Rate | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Advice:
    """Return advice on how to hold ``account``. The same arguments, the same advice. Needs numpy.

    ``fee_rate``: what closing pays of the value; the taker rate if None.

    Raises BadAccount where something that decides is not known or nothing is left, BadTape for a tape that is too short
    or lacks a symbol, BadConfiguration for what cannot be simulated or correlations that cannot be.
    """
    outlook = outlook or Outlook()
    circumstances = circumstances or Circumstances()
    check_outlook(outlook)
    np = numpy("advise", otherwise="")
    alone = only_portfolio(account, marks, rulebook)
    if alone is not None:
        return _in_portfolio(
            np, account, *alone, outlook,
            circumstances=circumstances, tape=tape, volatilities=volatilities, correlations=correlations,
            progress=progress,
        )  # fmt: skip
    present = book_of(replace(account, collateral_mode=CollateralMode.SINGLE_ASSET), marks, rulebook)
    symbols = tuple(dict.fromkeys(position.symbol for position in present.positions))
    moves = moves_of(symbols, tape=tape, volatilities=volatilities, correlations=correlations)
    say = progress or (lambda _share, _what: None)
    say(0.02, "searching")
    case = _case(np, account, present, moves, Question(circumstances, outlook, tape), fee_rate)
    desk = case.desk
    ways, unavailable = desk.ways(case.account)
    free = Search(desk).best(ways, {})
    advised, fixed, why_not = _kept(desk, ways, free)
    if why_not is not None:
        unavailable.append((_DECIDED, why_not))
    overruled = bool(fixed) and (free.places, free.moved) != (advised.places, advised.moved)
    alone_way = [replace(free, name=_ALONE, what="what the evidence alone would choose")] if overruled else []
    kept = advised.name == GIVEN and not fixed
    advised = replace(advised, name=ADVISED, what=advised.what if kept else "each position as said above")
    named = [*case.beside(ways), *alone_way, advised]
    turned = list(desk.turned(advised))
    say(0.1, "simulating")
    others = {holding.name: holding for *_, holding in turned if holding is not None}
    runner = case.runner()
    trials = run_trials(runner, symbols, moves, outlook, [*named, *others.values()], margins=desk.margins,
                        progress=lambda share: say(0.1 + 0.8 * share, "simulating"))  # fmt: skip
    say(0.9, "replaying past crashes")
    crashes = desk.windows.replays(runner, named, desk.capital)
    say(1.0, "done")
    by_name = {trial.holding.name: trial for trial in trials.trials}
    return Advice(
        book=desk.book, given=account, circumstances=circumstances, moves=moves, outlook=outlook, groups=desk.groups,
        roles=desk.roles, chosen=ADVISED, fixed={index: why for index, (_, why) in fixed.items()},
        free=_ALONE if overruled else ADVISED,
        trials=trials._replace(trials=trials.trials[: len(named)]),
        scores={t.holding.name: desk.combined(runner, t.holding, t.score) for t in trials.trials},
        crash_chance=desk.crash_chance,
        turned=tuple(Turned(index, to, None if way is None else by_name[way.name]) for index, to, way in turned),
        crashes=crashes, unavailable=tuple(unavailable), needed=desk.needed(advised),
        notes=(*moves.notes, *crashes.notes), closings=case.closings, after=case.account if case.now else None,
        now=tuple(exposures(present, desk.prices)), prices=desk.prices, fee_rate=fee_rate,
    )  # fmt: skip


class _Case(NamedTuple):
    """What is advised on. ``account``: after the ``closings``, where there are any; ``desk``: of its book.

    ``now``: the account as given, in its present sizes, where they are not those of the desk; ``stakes``: long shots of
    either.
    """

    account: Account
    closings: tuple[Closing, ...]
    desk: Desk
    now: Holding | None
    stakes: frozenset[tuple[str, Decimal]]

    def runner(self) -> Runner:
        """Return what plays the book and the one that it is now: legs that are to be closed come last."""
        held = self.desk.book.positions
        legs = dict.fromkeys((p.symbol, p.side) for p in (*held, *self.desk.present.positions))
        return Runner(self.desk.np, self.desk.present, self.stakes, tuple(legs))

    def beside(self, ways: Sequence[Holding]) -> list[Holding]:
        """Return the ways as they are shown: as given is what there is now."""
        if self.now is None:
            return list(ways)
        what = "sizes as advised, held as the account stands"
        rest = [replace(way, name=SMALLER, what=what) if way.name == GIVEN else way for way in ways]
        return [self.now, *(way for way in rest if self.closings or way.name != SMALLER)]


def _case(
    np: Any, account: Account, present: Book, moves: Moves, question: Question, fee_rate: Rate | None
) -> _Case:  # fmt: skip
    """Return what is advised on: for somebody new, the account at the sizes and leverages of a beginning."""
    margins = [position.isolated_margin for position in account.positions]
    now = Desk(np, present, moves, question, margins)
    if now.capital <= 0:
        raise BadAccount("nothing is left to advise on", where="account.wallet", expected="an equity above 0",
                         found=f"{now.capital:.2f}", hint="see `ringfence rescue`")  # fmt: skip
    if question.circumstances.experience != "new":
        return _Case(account, (), now, None, now.long_shots)
    found = smaller(
        account, present, now.groups, capital=now.capital, prices=now.prices, fee_rate=fee_rate
    )  # fmt: skip
    if found.book == present:
        return _Case(account, (), now, None, now.long_shots)
    held = [position.isolated_margin for position in found.account.positions]
    desk = Desk(np, found.book, moves, question, held, now=now)
    given = as_given(present, account, GIVEN, "as the account stands, at its present sizes and leverages")
    return _Case(found.account, found.closings, desk, given, now.long_shots | desk.long_shots)


def _kept(
    desk: Desk, ways: Sequence[Holding], free: Holding
) -> tuple[Holding, Mapping[int, tuple[str, str]], str | None]:
    """Return the best way that keeps to what circumstances fix, and that; ``free`` and why not where none can be."""
    fixed = desk.fixed()
    if not fixed:
        return free, fixed, None
    try:
        return Search(desk).best(ways, fixed), fixed, None
    except BadAccount as error:
        return free, {}, error.message.removeprefix(f"{ADVISED}: ")


def _in_portfolio(  # noqa: PLR0913 - what advice was asked with
    np: Any,
    account: Account,
    book: Book,
    why: str,
    outlook: Outlook,
    *,
    circumstances: Circumstances,
    tape: Tape | None,
    volatilities: Mapping[str, float] | None,
    correlations: Mapping[tuple[str, str], float] | None,
    progress: Callable[[float, str], None] | None,
) -> Advice:
    """Return advice on a book that portfolio margin alone can hold: the question is what of it."""
    say = progress or (lambda _share, _what: None)
    first = leading(book)
    named = {p.symbol: first[book.rulebook.contract(p.symbol).risk_unit] for p in book.positions}
    moves = moves_of(
        tuple(first.values()),
        tape=tape,
        volatilities={named.get(symbol, symbol): sigma for symbol, sigma in (volatilities or {}).items()},
        correlations={(named.get(a, a), named.get(b, b)): rho for (a, b), rho in (correlations or {}).items()},
    )
    found = find_in_portfolio(np, book, moves, outlook, why=why, tape=tape, progress=say)
    say(1.0, "done")
    return Advice(
        book=book, given=account, circumstances=circumstances, moves=moves, outlook=outlook, groups=(), roles=(),
        chosen=ADVISED, fixed={}, free=ADVISED, trials=found.trials, scores=found.scores,
        crash_chance=found.crash_chance, turned=(), crashes=found.crashes, unavailable=found.unavailable,
        needed=found.needed, notes=(*moves.notes, *found.crashes.notes), options=found,
    )  # fmt: skip


def decide(account: Account, *, marks: Marks, rulebook: Rulebook, moves: Moves, question: Question) -> Holding:
    """Return how to hold ``account``, as :func:`advise` finds it, without the trial that shows why. Needs numpy."""
    np = numpy("advise", otherwise="")
    book = book_of(replace(account, collateral_mode=CollateralMode.SINGLE_ASSET), marks, rulebook)
    case = _case(np, account, book, moves, question, None)
    desk = case.desk
    ways, _ = desk.ways(case.account)
    fixed = desk.fixed()
    try:
        return Search(desk).best(ways, fixed)
    except BadAccount:
        if not fixed:
            raise
        return Search(desk).best(ways, {})


__all__ = ["ADVISED", "FENCE", "GIVEN", "SAFE", "SCHEMA", "SMALLER", "Advice", "Question", "Role", "Turned", "advise",
           "decide"]  # fmt: skip
