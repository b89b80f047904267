"""Advice on a book with options, which portfolio margin alone can hold: what each position does, and what to close.

A book at a venue whose other requirements are not known here is judged in the same way.

Where the venue has one architecture for a book, the question is not how to hold it but what of it. Each position is
taken out in turn: what the requirement is then, how often the account is liquidated on the same paths, what is left of
it. Nothing is closed as long as the account as it stands outlasts :data:`~ringfence.study.advice.desk.SAFE` of the
paths: an account is not improved by emptying it. Where it does not, the smallest single step that gets there is looked
for, half of a position before a whole one; where no single one does, the most helpful is taken and the search goes on.

Volatility stays what it is on every path, and options get no older: said so wherever results are.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode
from ringfence.errors import BadAccount
from ringfence.margin import change
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.portfolio.marks import at_volatility
from ringfence.margin.portfolio.requirement import hedges
from ringfence.margin.refusal import Refusal
from ringfence.numbers import ROUND_CEILING, ZERO, exact, round_to
from ringfence.study.advice.alert import SIGMAS
from ringfence.study.advice.crashes import Crashes, Past, Windows
from ringfence.study.advice.desk import ADVISED, SAFE
from ringfence.study.advice.holding import MAIN, Book, Holding, Place
from ringfence.study.advice.moves import MINUTES_A_DAY
from ringfence.study.advice.option_curves import Surface
from ringfence.study.advice.scene import Agreement, scenes
from ringfence.study.advice.trials import WORST, Chance, Outcome, Runner, Trials, chance, score_of, trial_of
from ringfence.study.architecture import all_cross
from ringfence.study.portfolio_curve import LEAST, MOST, surplus_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ringfence.account import Account, Marks, Position
    from ringfence.margin.portfolio.requirement import Hedge
    from ringfence.numbers import Quantity, Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.advice.moves import Moves
    from ringfence.study.advice.scene import Outlook
    from ringfence.tape.bars import Tape

GIVEN = "as given"
BARE = "without options"
SHOCKS = ("0.75", "1.5", "2")
"""Implied volatility times these, at once, everything else unchanged. Ours."""

_OTHERS = ("all isolated", "all cross", "multi-asset")
_STEP = Decimal("0.00000001")  # of a quantity whose venue's step is not known
_TRIED = 8  # positions of a book that may be closed or reduced
_CLOSINGS = 4  # one after the other, each half of a position or a whole one
_IDLE = 2  # closings one after the other that make nothing rarer: in a large book the search then ends
_LOOKS = 60  # points of paths at which the exact lane is asked


class Part(NamedTuple):
    """What one position does for the book. Amounts are in the account's currency.

    ``hedge``: what it needs alone, adds and is spared, None where the venue's rules have no scenarios to say it by.

    ``required``: liquidation requirement of the book without it. ``liquidated``, ``worst``: of the book without it, on
    the same paths. ``kept``: by past window, without it. Of the last four none where it cannot be closed: ``refused``
    says why. ``close``: how much of it the advice closes, in contracts.
    """

    hedge: Hedge | None
    required: Value | None
    liquidated: Chance | None
    worst: float | None
    kept: Mapping[str, float]
    refused: str
    close: Quantity


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


class _Played(NamedTuple):
    """One account on all paths and in all windows. ``scores``: by path; ``total``: crashes weighed in."""

    surface: Surface
    lowest: Any
    dead: Any
    left: Any
    scores: Any
    windows: Mapping[str, tuple[bool, float]]
    total: Chance


class _Table:
    """Where accounts are played: the same paths and past windows for each, as ratios of every coin's price."""

    def __init__(self, np: Any, book: Book, moves: Moves, outlook: Outlook, tape: Tape | None) -> None:
        self.np, self.book, self.outlook = np, book, outlook
        self.leading = leading(book)
        self.coins, symbols = tuple(self.leading), tuple(self.leading.values())
        start = np.array([float(book.marks[symbol]) for symbol in symbols])
        self.blocks = [scene.prices / start for scene in scenes(np, book, symbols, moves, outlook)]
        self.windows = Windows(np, book, symbols, tape=tape)
        self.past = {name: scene.prices / start for name, scene in self.windows.scenes.items()}
        self.weight = self.windows.chance(outlook.days)
        self.capital = Surface(book.account, book.marks, book.rulebook, self.coins).balance
        if self.capital <= 0:
            raise BadAccount("nothing is left to advise on", where="account.wallet", expected="a balance above 0",
                             found=f"{self.capital:.2f}", hint="see `ringfence rescue`")  # fmt: skip

    def play(self, account: Account) -> _Played:
        """Return what becomes of an account."""
        np = self.np
        surface = Surface(account, self.book.marks, self.book.rulebook, self.coins)
        walks = [surface.walk(np, block) for block in self.blocks]
        lowest, dead, left = (np.concatenate([walk[part] for walk in walks]) for part in range(3))
        scores = score_of(np, Outcome(left, dead, (), dead), self.capital)
        windows, crashed = {}, []
        for name, ratios in self.past.items():
            walk = surface.walk(np, ratios)
            windows[name] = (bool(walk.dead[0]), float(walk.left[0]) / self.capital)
            if name in self.windows.crashes:
                crashed.append(float(score_of(np, Outcome(walk.left, walk.dead, (), walk.dead), self.capital)[0]))
        mean = float(scores.mean())
        crash = sum(crashed) / len(crashed) if crashed else mean
        error = float(np.std(scores) / sqrt(max(1, len(scores) - 1)))
        total = Chance((1 - self.weight) * mean + self.weight * crash, (1 - self.weight) * error)
        return _Played(surface, lowest, dead, left, scores, windows, total)

    def checked(self, played: _Played) -> Agreement:
        """Hold the curves to the exact lane: at random points of the paths, and where past windows come nearest."""
        np, draw = self.np, self.np.random.Generator(self.np.random.PCG64([self.outlook.seed, 2]))
        points = []
        for _ in range(_LOOKS):
            block = self.blocks[int(draw.integers(len(self.blocks)))]
            points.append(block[int(draw.integers(block.shape[0])), int(draw.integers(block.shape[1]))])
        points += [ratios[int(np.argmin(played.surface.change(np, ratios)[:, 0])), 0] for ratios in self.past.values()]
        same, worst = 0, 0.0
        for point in points:
            found = played.surface.exactly([float(ratio) for ratio in point])
            near = played.surface.surplus + float(played.surface.change(np, point))
            exactly = float(surplus_of(found))
            same += (near <= 0) == (exactly <= 0)
            worst = max(worst, abs(near - exactly) / max(abs(float(found.liquidation_requirement or 0)), 1e-9))
        return Agreement(same, len(points), worst)

    def needed(self, played: _Played) -> float:
        """Return the balance with which an account outlasts :data:`SAFE` of the paths."""
        return max(0.0, played.surface.balance - float(self.np.quantile(played.lowest, 1 - SAFE)))


def leading(book: Book) -> dict[str, str]:
    """Return by coin the symbol whose prices move its risk unit: its first that is no option, else its first."""
    found: dict[str, str] = {}
    for options in (False, True):
        for position in book.positions:
            contract = book.rulebook.contract(position.symbol)
            if contract.option is options:
                found.setdefault(contract.risk_unit, position.symbol)
    return found


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
    table = _Table(np, book, moves, outlook, tape)
    progress(0.1, "simulating")
    given = table.play(book.account)
    without = []
    for index, position in enumerate(book.positions):
        closed = _closed(book, book.account, position, abs(position.quantity))
        without.append(closed if isinstance(closed, str) else table.play(closed))
        progress(0.1 + 0.6 * (index + 1) / len(book.positions), "simulating")
    advised, closing = _search(table, given, without)
    progress(0.9, "replaying past crashes")
    ways = {GIVEN: ("as the account stands, in portfolio margin", given)}
    bare = _bare(book)
    if bare is not None:
        ways[BARE] = ("every option closed at its mark, the rest as it stands", table.play(bare))
    said = "as given" if not closing else "after what is to be closed"
    ways[ADVISED] = (f"{said}, in portfolio margin", advised)
    required = given.surface.assessment.liquidation_requirement or ZERO
    trials, crashes = _trials(table, ways)
    beyond = sum(int(((block < LEAST) | (block > MOST)).sum()) for block in table.blocks)
    clamped = beyond / sum(block.size for block in table.blocks)
    after = advised.surface.assessment.liquidation_requirement or ZERO
    days = {c: SIGMAS * moves.estimate.volatility(s) * sqrt(MINUTES_A_DAY) for c, s in table.leading.items()}
    return OptionsFound(
        book=book, coins=table.coins, leading=table.leading,
        parts=tuple(_parts(table, without, given, closing)), trials=trials, crashes=crashes,
        scores={name: played.total for name, (_, played) in ways.items()}, crash_chance=table.weight,
        needed=table.needed(given), needed_advised=table.needed(advised), fall=advised.surface.fall(days),
        required=required, required_advised=after, shocks=tuple(_shocks(given)), clamped=clamped,
        unavailable=tuple((way, why) for way in _OTHERS), why=why,
    )  # fmt: skip


@exact
def _closed(book: Book, account: Account, position: Position, size: Quantity) -> Account | str:
    """Return the account with ``size`` of a position closed at its mark, taker fee paid where known; or why not."""
    contract = book.rulebook.contract(position.symbol)
    fill = change.Fill(
        position.symbol, -size if position.quantity > 0 else size, book.marks[position.symbol],
        position_side=position.side, fee_rate=contract.taker_fee_rate or ZERO,
    )  # fmt: skip
    outcome = change.trade(account, fill, marks=book.marks, rulebook=book.rulebook)
    return str(outcome) if isinstance(outcome, Refusal) else outcome.account


def _bare(book: Book) -> Account | None:
    """Return the account with its options closed; None where it holds nothing else or one cannot be closed."""
    account: Account = book.account
    options = [p for p in book.positions if book.rulebook.contract(p.symbol).option]
    if len(options) in {0, len(book.positions)}:
        return None
    for position in options:
        closed = _closed(book, account, position, abs(position.quantity))
        if isinstance(closed, str):
            return None
        account = closed
    return account


def _search(table: _Table, given: _Played, without: Sequence[_Played | str]) -> tuple[_Played, dict[int, Quantity]]:
    """Return the account after the smallest closing found that outlasts enough paths, and what is closed of what.

    Better is what is liquidated more rarely, and where nothing is, what is short of less. At most :data:`_CLOSINGS`, of
    the :data:`_TRIED` positions without which the account does best; none where all of that makes nothing rarer.
    """
    now = given
    closing: dict[int, Quantity] = {}
    idle = 0
    best_without = sorted((_rank(table, p), index) for index, p in enumerate(without) if not isinstance(p, str))
    tried = {index for _, index in best_without[:_TRIED]}
    for _ in range(_CLOSINGS):
        if _share(now) <= 1 - SAFE:
            break
        steps = [step for step in _steps(table.book, now.surface.account) if step.position in tried]
        best = None
        for halves in (True, False):
            played = [(step, table.play(step.after)) for step in steps if step.half is halves]
            ranked = [(_rank(table, p), step.position, step, p) for step, p in played]
            found = min(ranked, key=lambda item: item[:2], default=None)
            if found is not None and found[0] < _rank(table, now) and (best is None or found[0] < best[0]):
                best = found
            if best is not None and best[0][0] <= 1 - SAFE:
                break
        if best is None:
            break
        _, _, step, after = best
        idle = 0 if _share(after) < _share(now) else idle + 1
        now = after
        closing[step.position] = closing.get(step.position, ZERO) + step.size
        if idle == _IDLE and len(without) > _TRIED:
            break
    return (now, closing) if _share(now) < _share(given) else (given, {})


def _rank(table: _Table, played: _Played) -> tuple[float, float]:
    """Return how often an account is liquidated, and by how much it is short of outlasting enough paths: less first."""
    return _share(played), table.needed(played) - played.surface.balance


def _share(played: _Played) -> float:
    return float(played.dead.mean())


class _Step(NamedTuple):
    """A single closing: of which position by the book's order, how much, the account after it, whether only half."""

    position: int
    size: Quantity
    after: Account
    half: bool


def _steps(book: Book, account: Account) -> Iterator[_Step]:
    """Yield every single closing from an account that the venue takes and that does not empty it."""
    for index, given in enumerate(book.positions):
        held = account.position(given.symbol, given.side)
        if held is None:
            continue
        step = book.rulebook.contract(held.symbol).quantity_step or _STEP
        whole, half = abs(held.quantity), _half(abs(held.quantity), step)
        for size in (half, whole) if half < whole else (whole,):
            after = _closed(book, account, held, size)
            if not isinstance(after, str) and after.positions:
                yield _Step(index, size, after, size != whole)


@exact
def _half(size: Quantity, step: Quantity) -> Quantity:
    return round_to(size * Decimal("0.5"), step, rounding=ROUND_CEILING)


def _parts(
    table: _Table, without: Sequence[_Played | str], given: _Played, closing: Mapping[int, Quantity]
) -> Iterator[Part]:
    np = table.np
    portfolio = given.surface.assessment.portfolio
    alone = {} if portfolio is None else {
        hedge.name: hedge for unit in portfolio.units for hedge in hedges(portfolio, unit)
    }  # fmt: skip
    for index, (position, played) in enumerate(zip(table.book.positions, without, strict=True)):
        hedge = alone.get(f"{position.symbol} {position.side}") or alone.get(position.symbol)
        close = closing.get(index, ZERO)
        if isinstance(played, str):
            yield Part(hedge, None, None, None, {}, played, close)
            continue
        result = np.sort(played.left / table.capital - 1)
        worst = float(result[: max(1, int(len(result) * WORST))].mean())
        kept = {name: share for name, (_, share) in played.windows.items()}
        required = played.surface.assessment.liquidation_requirement or ZERO
        if hedge is not None:
            hedge = _in_the_account(hedge, given.surface.assessment.liquidation_requirement or ZERO, required)
        yield Part(hedge, required, chance(played.dead), worst, kept, "", close)


@exact
def _in_the_account(hedge: Hedge, required: Value, without: Value) -> Hedge:
    """Return what a position adds to the account's whole requirement: closing it also changes which spot hedges."""
    added = required - without
    return hedge._replace(added=added, saved=hedge.alone - added)


def _trials(table: _Table, ways: Mapping[str, tuple[str, _Played]]) -> tuple[Trials, Crashes]:
    np, book = table.np, table.book
    results = [played.left / table.capital - 1 for _, played in ways.values()]
    top = max(0.1, round(max(float(np.quantile(result, 0.995)) for result in results) + 0.05, 1))
    runner, found, past = Runner(np, book), [], []
    agreement = table.checked(ways[GIVEN][1])
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


def _shocks(given: _Played) -> Iterator[Shocked]:
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
