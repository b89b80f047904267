"""Advice on a book with options, which portfolio margin alone can hold: what each position does, and what to close.

A book at a venue whose other requirements are not known here is judged in the same way.

Where the venue has one architecture for a book, the question is not how to hold it but what of it. Each position is
taken out in turn: what the requirement is then, how often the account is liquidated on the same paths, what is left of
it. Nothing is closed as long as the account as it stands outlasts :data:`~ringfence.study.advice.desk.SAFE` of the
paths: an account is not improved by emptying it. Where it does not, the smallest way to get there is looked for, of
halves of up to four positions or all of them (:mod:`.closings`).

Volatility stays what it is on every path, and options get no older: said so wherever results are.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode
from ringfence.errors import BadAccount
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.portfolio.marks import at_volatility
from ringfence.margin.portfolio.requirement import hedges
from ringfence.numbers import ZERO, exact
from ringfence.study.advice.alert import SIGMAS
from ringfence.study.advice.closings import closed, search
from ringfence.study.advice.crashes import Crashes, Past
from ringfence.study.advice.desk import ADVISED
from ringfence.study.advice.holding import MAIN, Book, Holding, Place
from ringfence.study.advice.moves import MINUTES_A_DAY
from ringfence.study.advice.option_table import Table, leading
from ringfence.study.advice.scene import Agreement
from ringfence.study.advice.trials import WORST, Chance, Outcome, Runner, Trials, chance, trial_of
from ringfence.study.architecture import all_cross

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ringfence.account import Account, Marks
    from ringfence.margin.portfolio.requirement import Hedge
    from ringfence.numbers import Quantity, Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.advice.moves import Moves
    from ringfence.study.advice.option_table import Played
    from ringfence.study.advice.scene import Outlook
    from ringfence.tape.bars import Tape

GIVEN = "as given"
BARE = "without options"
SHOCKS = ("0.75", "1.5", "2")
"""Implied volatility times these, at once, everything else unchanged. Ours."""

_OTHERS = ("all isolated", "all cross", "multi-asset")


class Part(NamedTuple):
    """What one position does for the book. Amounts are in the account's currency.

    ``hedge``: what it needs alone, adds and is spared, None where the venue's rules have no scenarios to say it by.

    ``required``: liquidation requirement of the book without it. ``liquidated``, ``worst``: of the book without it, on
    the same paths. ``kept``: by past window, without it. Of the last four none where it cannot be closed: ``refused``
    says why. ``close``: how much of it the advice closes, in contracts; ``turn``: as which of the closings, from 1.
    """

    hedge: Hedge | None
    required: Value | None
    liquidated: Chance | None
    worst: float | None
    kept: Mapping[str, float]
    refused: str
    close: Quantity
    turn: int = 0


class Shocked(NamedTuple):
    """The account where implied volatilities are ``factor`` times what they are: its health, whether it is over."""

    factor: str
    health: Any
    liquidatable: bool


class OptionsFound(NamedTuple):
    """All that advice on a book with options stands on.

    ``leading``: by coin, the symbol whose prices move its risk unit. ``needed``, ``needed_advised``: balance that
    outlasts :data:`SAFE` of the paths, as given and as advised. ``fall``: of the surplus as advised, at the worst
    prices within three standard deviations of a day. ``required``, ``required_advised``: liquidation requirement now.
    ``clamped``: share of path points beyond the curves' ends, where the last point stands.
    """

    book: Book
    coins: tuple[str, ...]
    leading: Mapping[str, str]
    parts: tuple[Part, ...]
    trials: Trials
    scores: Mapping[str, Chance]
    crash_chance: float
    crashes: Crashes
    needed: float
    needed_advised: float
    fall: float
    required: Value
    required_advised: Value
    shocks: tuple[Shocked, ...]
    clamped: float
    unavailable: tuple[tuple[str, str], ...]
    why: str

    @property
    def options(self) -> bool:
        """Whether any of the positions is an option."""
        return any(self.book.rulebook.contract(position.symbol).option for position in self.book.positions)


def only_portfolio(account: Account, marks: Marks, rulebook: Rulebook) -> tuple[Book, str] | None:
    """Return the book of an account that portfolio margin alone can hold, without its orders, and why; None otherwise.

    That is one with options, and one in portfolio margin at a venue whose other requirements are not known here.
    Raises BadAccount for a balance that is not known.
    """
    if any(rulebook.contract(position.symbol).option for position in account.positions):
        why = "options are held in portfolio margin only"
    elif account.collateral_mode is CollateralMode.PORTFOLIO and not _tiers_known(account, marks, rulebook):
        why = "what this venue requires outside portfolio margin is not known here"
    else:
        return None
    for asset, balance in account.wallet.items():
        if balance is None:
            raise BadAccount(f"the balance of {asset} is not known", where=f"account.wallet.{asset}",
                             expected="a decimal string", found="null",
                             hint="advice needs to know what stands behind the positions")  # fmt: skip
    return Book(replace(account, orders=()), marks, rulebook), why


def _tiers_known(account: Account, marks: Marks, rulebook: Rulebook) -> bool:
    apart = replace(all_cross(account, rulebook), collateral_mode=CollateralMode.SINGLE_ASSET, orders=())
    pools = assess_account(apart, marks, rulebook)
    return all(pool.liquidation_requirement is not None for pool in pools if pool.lines)


def find(
    np: Any,
    book: Book,
    moves: Moves,
    outlook: Outlook,
    *,
    why: str,
    tape: Tape | None = None,
    progress: Callable[[float, str], None],
) -> OptionsFound:
    """Return what each position does, what of it to close, and what that is worth.

    ``moves``: of the symbols of :func:`leading`; ``why``: nothing but portfolio margin holds the book.
    """
    table = Table(np, book, moves, outlook, tape)
    progress(0.1, "simulating")
    given = table.play(book.account)
    without: list[Played | str] = []
    for index, position in enumerate(book.positions):
        after = closed(book, book.account, position, abs(position.quantity))
        without.append(after if isinstance(after, str) else table.play(after))
        progress(0.1 + 0.4 * (index + 1) / len(book.positions), "simulating")
    advised, closing = search(table, given, without, progress=lambda share: progress(0.5 + 0.4 * share, "searching"))
    progress(0.9, "replaying past crashes")
    ways = {GIVEN: ("as the account stands, in portfolio margin", given)}
    bare = _bare(book)
    if bare is not None:
        ways[BARE] = ("every option closed at its mark, the rest as it stands", table.play(bare))
    said = "as given" if not closing else "after what is to be closed"
    ways[ADVISED] = (f"{said}, in portfolio margin", advised)
    required = given.surface.assessment.liquidation_requirement or ZERO
    trials, crashes = _trials(table, ways)
    required_advised = advised.surface.assessment.liquidation_requirement or ZERO
    days = {c: SIGMAS * moves.estimate.volatility(s) * sqrt(MINUTES_A_DAY) for c, s in table.leading.items()}
    return OptionsFound(
        book=book, coins=table.coins, leading=table.leading,
        parts=tuple(_parts(table, without, given, closing)), trials=trials, crashes=crashes,
        scores={name: played.total for name, (_, played) in ways.items()}, crash_chance=table.weight,
        needed=table.needed(given), needed_advised=table.needed(advised), fall=advised.surface.fall(days),
        required=required, required_advised=required_advised, shocks=tuple(_shocks(given)), clamped=table.clamped(),
        unavailable=tuple((way, why) for way in _OTHERS), why=why,
    )  # fmt: skip


def _bare(book: Book) -> Account | None:
    """Return the account with its options closed; None where it holds nothing else or one cannot be closed."""
    account: Account = book.account
    options = [p for p in book.positions if book.rulebook.contract(p.symbol).option]
    if len(options) in {0, len(book.positions)}:
        return None
    for position in options:
        after = closed(book, account, position, abs(position.quantity))
        if isinstance(after, str):
            return None
        account = after
    return account


def _parts(
    table: Table, without: Sequence[Played | str], given: Played, closing: Mapping[int, Quantity]
) -> Iterator[Part]:
    np = table.np
    portfolio = given.surface.assessment.portfolio
    alone = {} if portfolio is None else {
        hedge.name: hedge for unit in portfolio.units for hedge in hedges(portfolio, unit)
    }  # fmt: skip
    for index, (position, played) in enumerate(zip(table.book.positions, without, strict=True)):
        hedge = alone.get(f"{position.symbol} {position.side}") or alone.get(position.symbol)
        close = closing.get(index, ZERO)
        turn = 1 + list(closing).index(index) if index in closing else 0
        if isinstance(played, str):
            yield Part(hedge, None, None, None, {}, played, close, turn)
            continue
        result = np.sort(played.left / table.capital - 1)
        worst = float(result[: max(1, int(len(result) * WORST))].mean())
        kept = {name: share for name, (_, share) in played.windows.items()}
        required = played.surface.assessment.liquidation_requirement or ZERO
        yield Part(hedge, required, chance(played.dead), worst, kept, "", close, turn)


def _trials(table: Table, ways: Mapping[str, tuple[str, Played]]) -> tuple[Trials, Crashes]:
    np, book = table.np, table.book
    results = [played.left / table.capital - 1 for _, played in ways.values()]
    top = max(0.1, round(max(float(np.quantile(result, 0.995)) for result in results) + 0.05, 1))
    runner, found, past = Runner(np, book), [], []
    agreement = table.checked(ways[GIVEN][1])
    if ways[ADVISED][1] is not ways[GIVEN][1]:
        agreement += table.checked(ways[ADVISED][1])
    for name, (what, played) in ways.items():
        places = tuple(Place("cross") for _ in book.positions)
        holding = Holding(name, what, places, {MAIN: played.surface.account}, {})
        outcome = Outcome(played.left, played.dead, tuple(played.dead for _ in places), played.dead)
        found.append(trial_of(np, runner, holding, outcome, played.scores, capital=table.capital, top=top))
        held = tuple(f"{p.symbol} {p.side}" for p in played.surface.account.positions)
        past += [Past(window, name, held if dead else (), Decimal(f"{kept:.4f}")) for window, (dead, kept) in
                 played.windows.items()]  # fmt: skip
    trials = Trials(tuple(found), {}, top, table.outlook.paths, table.capital, agreement)
    notes, counted = tuple(table.windows.notes), tuple(table.windows.crashes)
    return trials, Crashes(tuple(past), notes, Agreement(0, 0, 0.0), counted)


def _shocks(given: Played) -> Iterator[Shocked]:
    """Yield the account under other implied volatilities, index and everything else unchanged."""
    surface = given.surface
    found = surface.assessment
    if found.portfolio is None or not any(line.contract.option for line in found.lines):
        return
    rulebook = found.portfolio.rulebook
    marks = {line.position.symbol: line.mark_price for line in found.lines}
    for factor in SHOCKS:
        pool, moved = _at_volatility(found.pool, marks, rulebook, factor)
        after = assess(pool, moved, rulebook)
        yield Shocked(factor, after.health, bool(after.liquidatable))


@exact
def _at_volatility(pool: Any, marks: Marks, rulebook: Rulebook, factor: str) -> tuple[Any, Marks]:
    return at_volatility(pool, marks, rulebook.contract, Decimal(factor))


__all__ = ["BARE", "GIVEN", "OptionsFound", "Part", "Shocked", "find", "leading", "only_portfolio"]
