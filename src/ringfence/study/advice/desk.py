"""The desk at which advice is worked out: what each position is, what circumstances fix, the ways to hold a book."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import CollateralMode
from ringfence.errors import BadInput
from ringfence.numbers import ZERO, exact
from ringfence.study.advice.crashes import Windows
from ringfence.study.advice.groups import exposures, groups
from ringfence.study.advice.holding import MAIN, Holding, Place, basket, checked, hold, initial_margins, pooled, whole
from ringfence.study.advice.moves import class_of
from ringfence.study.advice.scene import Margins, Outlook, scenes, valued
from ringfence.study.advice.stake import STAKE, stake_margin
from ringfence.study.advice.trials import CHARGE, Chance, Runner, start_capital
from ringfence.study.cores import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ringfence.account import Account
    from ringfence.numbers import Quantity, Value
    from ringfence.study.advice.circumstances import Circumstances
    from ringfence.study.advice.holding import Book
    from ringfence.study.advice.moves import Moves
    from ringfence.study.advice.scene import Scene
    from ringfence.tape.bars import Tape

SAFE = 0.95
"""A comfortable margin keeps a position alive on this share of the paths. Ours."""

GAP = Decimal("0.5")
"""By that share a small coin may gap. Ours: the three on record fell by 39 to 55 % within hours on 10 October 2025."""

LONG_SHOT = Decimal(5)
"""A position in a small coin is a long shot where a gap takes its own margin that many times over. Ours."""

LOW_LEVERAGE = Decimal(5)
"""Up to this leverage a position in a major coin is called calm. Ours."""

_SEARCH_PATHS = 6_000
_SEARCH_CELLS = 60_000  # paths × positions of the search: a large book is searched on fewer paths
_MOST_TURNED = 16  # positions whose other way is tried, the largest first
ADVISED = "advised"
GIVEN = "as given"
SMALLER = "smaller only"
"""The way that has the sizes advised and is otherwise held as given."""


class Question(NamedTuple):
    """What advice is asked with. ``before``: past windows from that day on are not known yet; ``paths``: of the search.

    ``charge``: what a liquidation counts as in the search's score. ``baskets``: whether accounts over all assets are
    tried.
    """

    circumstances: Circumstances
    outlook: Outlook
    tape: Tape | None = None
    before: datetime | None = None
    paths: int = _SEARCH_PATHS
    charge: float = CHARGE
    baskets: bool = True


class Role(NamedTuple):
    """What a position is in its book. ``kind``: hedge, long shot, calm or other. A day's ``sigma``: of its return.

    ``alone``: chance that it is liquidated on its initial margin; None without a leverage. ``comfortable``: the margin
    that keeps it alive on :data:`SAFE` of the paths. ``initial``: entry notional ÷ leverage.
    """

    kind: str
    coin: str
    leverage: Decimal | None
    sigma: float
    exposure: float
    alone: float | None
    initial: Value | None
    comfortable: Value
    group: int | None
    purpose: str | None


class Desk:
    """What advice on one book works with: its positions' roles, the ways to hold it, paths and past windows.

    ``scenes``: paths of the search, of which roles are judged too; ``present``: the book as it is now.
    """

    present: Book
    margins: Margins
    windows: Windows

    def __init__(
        self, np: Any, book: Book, moves: Moves, question: Question, margins: Sequence[Value | None],
        *, now: Desk | None = None,
    ) -> None:  # fmt: skip
        """``margins``: that isolated positions have; ``now``: the desk of the book as it is, where ``book`` is smaller.

        Paths, past windows and capital are those of ``now``.
        """
        self.np, self.book, self.question = np, book, question
        self.circumstances, outlook = question.circumstances, question.outlook
        self.book_margins = margins
        self.present = present = book if now is None else now.present
        symbols = moves.estimate.symbols
        worth = valued(present, symbols)
        here = np.array([float(book.marks[symbol]) for symbol in symbols])
        self.prices = {present.asset(p): float(worth.at(present.asset(p), here)) for p in present.positions}
        exposure = exposures(book, self.prices)
        self.groups = groups(book, moves, exposure)
        few = max(500, min(question.paths, _SEARCH_CELLS // len(present.positions)))
        search = outlook._replace(paths=few, seed=outlook.seed + 1_000_003)
        self.margins = Margins() if now is None else now.margins
        self.scenes: tuple[Scene, ...] = (
            tuple(scenes(np, present, symbols, moves, search, margins=self.margins)) if now is None else now.scenes
        )
        self.windows = (
            Windows(np, present, symbols, tape=question.tape, before=question.before, margins=self.margins)
            if now is None else now.windows
        )  # fmt: skip
        self.crash_chance = self.windows.chance(outlook.days)
        self.runner = Runner(np, book)
        self.capital = start_capital(present, worth, symbols, np)
        self.initial = initial_margins(book)
        self._lines(())  # before several threads ask for them
        needs = tuple(in_order(self._needs, self.scenes))
        self.roles = tuple(
            self._role(index, moves, exposure[index], np.concatenate([need[index] for need in needs]))
            for index in range(len(book.positions))
        )

    @property
    def long_shots(self) -> frozenset[tuple[str, Quantity]]:
        """The positions whose margin, ring-fenced, is a stake that is meant to be lost: symbol, signed quantity."""
        return frozenset((self.book.positions[i].symbol, self.book.positions[i].quantity) for i in self.gamble)

    @property
    def gamble(self) -> frozenset[int]:
        """The same by index."""
        return frozenset(index for index, role in enumerate(self.roles) if role.kind == "long shot")

    # ── What each position is ────────────────────────────────────────────────────────────────────────────────────

    def _lines(self, members: Sequence[int]) -> list[Any]:
        """Return the position lines of members, as one cross pool of them has them."""
        wanted = {(self.book.positions[i].symbol, self.book.positions[i].side) for i in members}
        return [line for _, a in self.runner.assessed(pooled(self.book)) for line in a.lines
                if (line.position.symbol, line.position.side) in wanted]  # fmt: skip

    def _need(self, members: Sequence[int], share: float = SAFE) -> float:
        """Return the cash, in their asset, with which members pooled together live on ``share`` of the paths."""
        lines = self._lines(members)
        return float(self.np.quantile(self.np.concatenate([scene.need(lines) for scene in self.scenes]), share))

    def _needs(self, scene: Scene) -> list[Any]:
        """Return the cash with which each position alone lives, by path."""
        return [scene.need(self._lines((index,))) for index in range(len(self.book.positions))]

    def _role(self, index: int, moves: Moves, exposure: float, needs: Any) -> Role:
        position, initial = self.book.positions[index], self.initial[index]
        asset = self.book.asset(position)
        alone = None if initial is None else float((needs >= float(initial)).mean())
        comfortable = whole(Decimal(f"{max(0.0, float(self.np.quantile(needs, SAFE))):.12f}"), asset)
        group = next((number for number, found in enumerate(self.groups) if index in found.members), None)
        coin = class_of(position.symbol)
        leverage = position.leverage
        kind = "other"
        if group is not None:
            kind = "hedge"
        elif coin == "small" and self._may_gap_far(index):
            kind = "long shot"
        elif coin != "small" and leverage is not None and leverage <= LOW_LEVERAGE:
            kind = "calm"
        return Role(
            kind, coin, leverage, moves.daily(position.symbol), exposure, alone, initial, comfortable, group,
            self.circumstances.purpose_of(position.symbol),
        )  # fmt: skip

    @exact
    def _may_gap_far(self, index: int) -> bool:
        """Whether a gap takes a position's margin, its own or the initial one, several times over."""
        position, given = self.book.positions[index], self.book_margins[index]
        margin = self.initial[index] if given is None else given
        if margin is None:
            return False
        contract = self.book.rulebook.contract(position.symbol)
        value = abs(position.quantity) * contract.contract_value(position.entry_price)
        return GAP * value >= LONG_SHOT * (margin - _step(contract.settle_asset))

    def needed(self, advised: Holding) -> float | None:
        """Return the capital that the pooled book needs, in dollars; None where several assets settle it.

        Where it is advised to be held in portfolio margin, by that requirement, else by its tiers; in an account over
        all assets, with what is in it, which moves too.
        """
        mode = advised.accounts[MAIN].collateral_mode
        if mode is CollateralMode.PORTFOLIO or (mode is CollateralMode.MULTI_ASSET and len(self.prices) == 1):
            held = next(a for _, a in self.runner.assessed(advised) if a.lines)
            lowest = self.np.concatenate([scene.lowest(held) for scene in self.scenes])
            return max(0.0, self.capital - float(self.np.quantile(lowest, 1 - SAFE)))
        if len(self.prices) != 1:
            return None
        if not self.book.positions:
            return 0.0
        return self._need(range(len(self.book.positions))) * next(iter(self.prices.values()))

    # ── The ways ─────────────────────────────────────────────────────────────────────────────────────────────────

    def ways(self, given: Account) -> tuple[list[Holding], list[tuple[str, str]]]:
        """Return the ways that can be, and those that cannot with the reason. Ways that are the same stand once."""
        found: list[Holding] = []
        unavailable: list[tuple[str, str]] = []
        for name, what, build in self._builders(given):
            try:
                holding = build(name, what)
            except BadInput as error:
                unavailable.append((name, error.message.removeprefix(f"{name}: ")))
                continue
            if not any(_same(holding, other) for other in found):
                found.append(holding)
        return found, unavailable

    def _builders(self, given: Account) -> Iterator[tuple[str, str, Callable[[str, str], Holding]]]:
        count = len(self.book.positions)
        yield GIVEN, "as the account stands", lambda n, w: as_given(self.book, given, n, w)
        yield ("all isolated", "each position behind itself, on entry notional ÷ leverage; the rest idle",
               lambda n, w: self.placed(n, w, {}, default="isolated"))  # fmt: skip
        yield "all cross", "everything stands behind everything of its asset", lambda n, w: self.placed(n, w, {})
        if any(role.kind == "hedge" for role in self.roles):
            apart = {i: "cross" if self.roles[i].group is not None else "isolated" for i in range(count)}
            yield ("hedges pooled", "what hedges one another is pooled, the rest ring-fenced",
                   lambda n, w: self.placed(n, w, apart))  # fmt: skip
        if any(role.kind == "long shot" for role in self.roles):
            fenced = {i: "isolated" if self.roles[i].kind == "long shot" else "cross" for i in range(count)}
            yield ("long shots fenced", "long shots ring-fenced, the rest pooled",
                   lambda n, w: self.placed(n, w, fenced))  # fmt: skip
        offers = {offer.name: offer.offered for offer in self.book.rulebook.architectures()}
        assets = {asset for asset, held in self.book.account.wallet.items() if held} | set(self.prices)
        for mode in (CollateralMode.MULTI_ASSET, CollateralMode.PORTFOLIO):
            wanted = (
                self.question.baskets
                and self.book.positions
                and offers.get(mode.value)
                and (len(assets) > 1 or mode is CollateralMode.PORTFOLIO)
            )
            if wanted and given.collateral_mode is not mode:
                yield (mode.value.replace("_", "-"), "one pool for the whole account, behind it every asset",
                       lambda n, w, mode=mode: basket(self.book, n, w, mode))  # type: ignore[misc]  # fmt: skip

    @exact
    def placed(
        self, name: str, what: str, states: Mapping[int, str], *, default: str = "cross",
        fixed: Mapping[int, tuple[str, str]] | None = None,
    ) -> Holding:  # fmt: skip
        """Return the book with each position in a state: cross, isolated, comfortable, or sub:NAME."""
        places: list[Place] = []
        members: dict[str, list[int]] = {}
        for index in range(len(self.book.positions)):
            state = (fixed or {}).get(index, (states.get(index, default), ""))[0]
            if state.startswith("sub:"):
                members.setdefault(state[4:], []).append(index)
                places.append(Place("sub_account", None, state[4:]))
            elif state == "cross":
                places.append(Place("cross"))
            else:
                places.append(Place("isolated", self._margin(index, state)))
        moved = {key: amount for sub, held in members.items() for key, amount in self._stakes(sub, held)}
        return hold(self.book, name, what, places, moved)

    def _margin(self, index: int, state: str) -> Value:
        role = self.roles[index]
        given = self.book_margins[index]
        if state == "given" and given is not None:
            return given
        if state == "stake" and role.leverage is not None:
            position = self.book.positions[index]
            contract, mark = self.book.rulebook.contract(position.symbol), self.book.marks[position.symbol]
            wanted = stake_margin(position, mark, contract)
            if given is None or given <= wanted:
                return wanted
            at_stake = given + position.quantity * (
                contract.unit_value(mark) - contract.unit_value(position.entry_price)
            )
            allowed = float(STAKE["new"]) * self.capital / self.prices[contract.settle_asset]
            return given if float(at_stake) <= allowed else wanted
        if state == "comfortable" or role.initial is None:
            return max(role.comfortable, role.initial or ZERO)
        return role.initial

    def _stakes(self, name: str, members: Sequence[int]) -> Iterator[tuple[tuple[str, str], Value]]:
        """Yield what a sub-account is given, by asset: the initial margins of its positions, or what they need."""
        by_asset: dict[str, list[int]] = {}
        for index in members:
            by_asset.setdefault(self.book.asset(self.book.positions[index]), []).append(index)
        for asset, held in by_asset.items():
            least = sum((self.roles[i].initial or ZERO for i in held), ZERO)
            need = whole(Decimal(f"{max(0.0, self._need(held)):.12f}"), asset)
            yield (name, asset), min(max(least, need), max(least, self.book.capital(asset)))

    # ── What circumstances fix ───────────────────────────────────────────────────────────────────────────────────

    def fixed(self) -> dict[int, tuple[str, str]]:
        """Return the places that the trader's circumstances decide: state and reason, by position."""
        found: dict[int, tuple[str, str]] = {}
        everything = len({role.purpose for role in self.roles}) == 1
        for index, role in enumerate(self.roles):
            if role.purpose in {"testing", "bot"}:
                name = "test" if role.purpose == "testing" else "bot"
                why = f"{role.purpose} the whole account" if everything else role.purpose
                found[index] = (f"sub:{name}", why)
            elif self.circumstances.experience == "new":
                hedged = role.group is not None and self.groups[role.group].kind in {"hedge", "calendar spread"}
                found[index] = (f"sub:hedge {(role.group or 0) + 1}", "new, hedged") if hedged else ("stake", "new")
        return found

    def combined(self, runner: Runner, holding: Holding, score: Chance) -> Chance:
        """Return a score on paths weighed together with that of past crashes."""
        crash = self.windows.score(runner, holding, self.capital)
        weight = self.crash_chance
        return Chance((1 - weight) * score.share + weight * crash, (1 - weight) * score.error)

    # ── One position the other way ───────────────────────────────────────────────────────────────────────────────

    def turned(self, advised: Holding) -> Iterator[tuple[int, str, Holding | None]]:
        """Yield, for the largest positions, the advised way with that one held the other way; None: it cannot be."""
        if advised.accounts[MAIN].collateral_mode is not CollateralMode.SINGLE_ASSET:
            return
        largest = sorted(range(len(self.roles)), key=lambda index: -abs(self.roles[index].exposure))[:_MOST_TURNED]
        done: dict[str, Holding] = {}
        for index in sorted(largest):
            place = advised.places[index]
            fenced = place.kind != "cross"
            alone = Place("cross") if fenced else Place("isolated", self._margin(index, "isolated"))
            unit = {index} if place.kind != "sub_account" else {i for i, p in enumerate(advised.places) if p == place}
            places = [alone if i in unit else p for i, p in enumerate(advised.places)]
            kept = {key: value for key, value in advised.moved.items() if any(
                p.kind == "sub_account" and p.name == key[0] for p in places)}  # fmt: skip
            to, name = ("pooled" if fenced else "isolated"), f"turned {min(unit)}"
            try:
                done[name] = done.get(name) or hold(self.book, name, f"{to} instead", places, kept)
                yield index, to, done[name]
            except BadInput:
                yield index, to, None


def _same(one: Holding, other: Holding) -> bool:
    return (one.places, one.moved) == (other.places, other.moved) and (
        one.accounts[MAIN].collateral_mode is other.accounts[MAIN].collateral_mode
    )


def _step(asset: str) -> Value:
    """Return the step in which an asset is transferred."""
    return whole(Decimal("0.00000001"), asset)


def as_given(book: Book, given: Account, name: str, what: str) -> Holding:
    """Return the account as it stands, without its orders."""
    places = [
        Place("cross") if position.isolated_margin is None else Place("isolated", position.isolated_margin)
        for position in given.positions
    ]
    if given.collateral_mode is CollateralMode.SINGLE_ASSET:
        return hold(book, name, what, places)
    account = replace(given, orders=())
    checked(account, book.marks, book.rulebook)
    return Holding(name, what, tuple(places), {MAIN: account}, {})


__all__ = ["ADVISED", "GAP", "GIVEN", "LONG_SHOT", "SAFE", "SMALLER", "Desk", "Question", "Role", "as_given"]
