"""What moves of prices, past crashes, lower haircuts and days of funding do to an account.

:func:`grid` moves one or two symbols; :func:`ladder` moves all marks together, by betas; :func:`crashes` moves each
symbol as far as it once fell or rose on a packaged tape; :func:`haircuts` lets a basket's collateral count for less;
:func:`funding` lets days of funding be paid. Every figure is that of assessing the account so; the lines at which calls
and liquidations begin are solved, not read off cells. Fees, slippage and liquidations on the way are not played.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Backing, CollateralMode, pools
from ringfence.errors import BadAccount, BadConfiguration, nearest
from ringfence.margin.assess import assess, assess_account
from ringfence.margin.move import move_of
from ringfence.margin.portfolio.marks import at_volatility
from ringfence.margin.price import liquidation_prices, unit_prices
from ringfence.numbers import (
    ONE,
    RATIO_PLACES,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ZERO,
    divide,
    exact,
    plain,
)
from ringfence.study.portfolio_words import portfolio_summary
from ringfence.study.stand_in import PutIn, put_in, said
from ringfence.study.surface import Surface
from ringfence.study.unknown import nothing_known, unknown_of
from ringfence.tape.coins import standing
from ringfence.tape.packaged import packaged_windows, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ringfence.account import Account, Collateral, Marks
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price, Rate, Value
    from ringfence.rulebook import Rulebook

SCHEMA = "ringfence.stress/1"
LADDER = tuple(Decimal(m) / 100 for m in (-60, -50, -40, -30, -20, -10, -5, 5, 10, 20, 30, 40, 60))
VOLATILITIES = tuple(Decimal(percent) / 100 for percent in (50, 75, 125, 150, 200, 300))
"""Shares of today's implied volatility that options are valued at. Ours."""
HAIRCUTS = (Decimal("0.05"), Decimal("0.1"), Decimal("0.2"), Decimal("0.5"))
DAYS = (1, 7, 30)
MOST_STEPS = 401
"""The most points of a grid each way. Ours."""
FUNDINGS_A_DAY = 3
"""Every eight hours: the most common interval."""

_RISE_SHOWN = Decimal("0.05")  # a tape that rises less has no scenario of its own for shorts


class PoolState(NamedTuple):
    """One pool after a shock. None: not known, or nothing required."""

    pool: str
    asset: str | None
    balance: Value | None
    required: Value | None
    health: Decimal | None
    status: str | None


class Shocked(NamedTuple):
    """The account after one shock. ``moves``: by symbol, with the moment they happened where they did.

    ``put_in``: moves that the tape does not tell of, the median of its symbols; ``between``: the lowest health of the
    pools with all of these as small and as large as the tape's symbols moved, lower one first.
    """

    name: str
    moves: Mapping[str, Decimal]
    at: Mapping[str, datetime]
    pools: tuple[PoolState, ...]
    put_in: tuple[PutIn, ...] = ()
    between: tuple[Decimal, Decimal] | None = None

    @property
    def worst(self) -> PoolState | None:
        """The pool in the worst state."""
        order = ("liquidatable", "margin_call", None, "healthy")
        far = Decimal(10) ** 30
        return min(
            self.pools, key=lambda p: (order.index(p.status), far if p.health is None else p.health), default=None
        )


class Cell(NamedTuple):
    """The account at a point of the grid: the lowest health of its pools, and how many are called and liquidated.

    ``unknown``: whether a pool has no figures there, such as in a tier whose rate is not published.
    """

    health: Decimal | None
    called: int
    liquidated: int
    unknown: bool


class Edge(NamedTuple):
    """Where a pool's health reaches ``level`` as the first symbol moves, for each move of the second one.

    ``below`` and ``above``: prices of the first symbol (None: none), one per row of the grid.
    """

    pool: str
    level: Decimal
    below: tuple[Price | None, ...]
    above: tuple[Price | None, ...]


class Grid(NamedTuple):
    """Health over moves of one or two symbols: ``cells[row][column]``, columns the first symbol, rows the second."""

    symbols: tuple[str, ...]
    marks: tuple[Price, ...]
    columns: tuple[Decimal, ...]
    rows: tuple[Decimal, ...]
    cells: tuple[tuple[Cell, ...], ...]
    edges: tuple[Edge, ...]


class Turn(NamedTuple):
    """The combined move, down and up, at which a pool reaches a level. None: never that way."""

    pool: str
    level: Decimal
    down: Decimal | None
    up: Decimal | None
    exact: bool


class FundingDays(NamedTuple):
    """What funding takes from a pool a day (negative: gives), and the days until it is called and liquidated by it."""

    pool: str
    asset: str | None
    a_day: Value
    days_to_call: Decimal | None
    days_to_liquidation: Decimal | None


class Stress(NamedTuple):
    """All shocks of one account. ``assumptions``: what was taken for granted, in sentences."""

    levels: tuple[Decimal, Decimal]
    now: Shocked
    grid: Grid
    ladder: tuple[Shocked, ...]
    turns: tuple[Turn, ...]
    crashes: tuple[Shocked, ...]
    haircuts: tuple[Shocked, ...]
    volatilities: tuple[Shocked, ...]
    funding: tuple[FundingDays, ...]
    funding_rate: Rate
    after_funding: tuple[Shocked, ...]
    assumptions: tuple[str, ...]


@exact
def stress(
    account: Account,
    *,
    marks: Marks,
    rulebook: Rulebook,
    symbols: Sequence[str] = (),
    span: Decimal = Decimal("0.5"),
    steps: int = 21,
    betas: Mapping[str, Decimal] | None = None,
    funding_rate: Rate = Decimal("0.0001"),
) -> Stress:
    """Return every shock of ``account``. ``symbols``: one or two for the grid, the largest if none are given.

    ``span``: how far the grid moves each way, 0.5 is 50 %, below 1; ``steps``: points, from 2 to :data:`MOST_STEPS`.
    ``funding_rate``: what longs pay shorts per eight hours. Raises BadAccount for an account without positions, and
    where the health of no pool is known.
    """
    surfaces = _surfaces(account, marks, rulebook)
    chosen = _chosen(account, marks, rulebook, symbols)
    found = grid(surfaces, chosen, span=span, steps=steps)
    past, stood_in = crashes(surfaces)
    owed, after = funding(surfaces, funding_rate)
    levels = (rulebook.levels.margin_call, ONE)
    given = ", ".join(f"{symbol} {plain(beta)}" for symbol, beta in (betas or {}).items())
    assumptions = [
        "marks move at once; fees, slippage, funding and liquidations on the way are not played",
        f"all marks together: betas {given}, 1 for the rest" if given else "all marks together: every beta is 1",
        "past crashes: every symbol at its own extreme at once, from the window's first price; last prices",
        f"funding: {plain(funding_rate)} per 8 hours at today's value, {FUNDINGS_A_DAY} times a day, longs pay shorts",
    ]
    assumptions += [
        f"the health of {surface.assessment.pool.name} is not known; not known: "
        f"{'; '.join(unknown_of([surface.assessment], rulebook))}"
        for surface in surfaces
        if not surface.known
    ]
    assumptions += stood_in
    assumptions += portfolio_summary(surface.assessment for surface in surfaces)
    if any(surface.basket and surface.assessment.portfolio is None for surface in surfaces):
        assumptions.append(
            "the index of a coin held as collateral moves with the coin's mark; haircuts are shocked alone"
        )
    return Stress(
        levels,
        _shocked("now", surfaces, {}),
        found,
        ladder(surfaces, betas),
        tuple(_turns(surfaces, betas)),
        past,
        haircuts(account, marks, rulebook),
        volatilities(account, marks, rulebook),
        owed,
        funding_rate,
        after,
        tuple(assumptions),
    )


def _surfaces(account: Account, marks: Marks, rulebook: Rulebook) -> tuple[Surface, ...]:
    held = tuple(Surface(a, marks, rulebook) for a in assess_account(account, marks, rulebook) if a.lines)
    if not held:
        raise BadAccount("nothing to stress: the account holds no position", where="account.positions",
                         expected="at least one position", found="none",
                         hint="add a position; `ringfence account example` prints an account")  # fmt: skip
    if not any(surface.known for surface in held):
        raise nothing_known([surface.assessment for surface in held], rulebook, asked="stress")
    return held


def _chosen(account: Account, marks: Marks, rulebook: Rulebook, symbols: Sequence[str]) -> tuple[str, ...]:
    value: dict[str, Decimal] = {}
    for assessment in assess_account(account, marks, rulebook):
        for line in assessment.lines:
            index = ONE
            if assessment.pool.mode.backing is Backing.BASKET:
                index = assessment.pool.collateral[line.contract.settle_asset].index
            value[line.position.symbol] = value.get(line.position.symbol, ZERO) + line.notional * index
    if len(symbols) > 2 or len(set(symbols)) < len(symbols):
        raise BadConfiguration("a grid has one or two symbols", where="--symbol", expected="one or two of them",
                               found=", ".join(symbols), hint="the other marks stay where they are")  # fmt: skip
    for symbol in symbols:
        if symbol not in value:
            raise BadConfiguration(
                f"no position in {symbol}", where="--symbol", expected=f"one of {', '.join(value)}", found=symbol,
                hint=nearest(symbol, value) or "name a symbol that the account holds",
            )  # fmt: skip
    if account.collateral_mode is CollateralMode.PORTFOLIO:
        return _of_units(account, rulebook, value, symbols)
    return tuple(symbols) or tuple(sorted(value, key=lambda symbol: -value[symbol])[:2])


def _of_units(
    account: Account, rulebook: Rulebook, value: Mapping[str, Decimal], symbols: Sequence[str]
) -> tuple[str, ...]:
    """Return the axes of a portfolio's grid, a contract for each risk unit: those named, or of the two largest units.

    A unit's axis is its first contract that is no option: options have no move of their own.
    """
    unit = {position.symbol: rulebook.contract(position.symbol).risk_unit for position in account.positions}
    futures = [symbol for symbol in unit if not rulebook.contract(symbol).option]
    axes = {coin: next(s for s in (*futures, *unit) if unit[s] == coin) for coin in dict.fromkeys(unit.values())}
    for symbol in symbols:
        if symbol not in futures and axes[unit[symbol]] != symbol:
            raise BadConfiguration(f"{symbol} is an option: it follows its coin", where="--symbol",
                                   expected=f"a contract that moves {unit[symbol]}", found=symbol,
                                   hint=f"--symbol {axes[unit[symbol]]}")  # fmt: skip
    if len({unit[symbol] for symbol in symbols}) < len(symbols):
        raise BadConfiguration("a risk unit moves as one", where="--symbol", expected="symbols of two coins",
                               found=", ".join(symbols), hint=f"--symbol {symbols[0]} alone")  # fmt: skip
    size = {coin: sum((v for s, v in value.items() if unit[s] == coin), ZERO) for coin in axes}
    return tuple(symbols) or tuple(axes[coin] for coin in sorted(size, key=lambda coin: -size[coin])[:2])


# ── Grid ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@exact
def grid(surfaces: Sequence[Surface], symbols: tuple[str, ...], *, span: Decimal, steps: int) -> Grid:
    """Return the account's health over moves of one or two symbols from −``span`` to +``span`` in ``steps`` points.

    Raises BadConfiguration for a span outside (0, 1), for fewer than two steps and for more than :data:`MOST_STEPS`.
    """
    if not 0 < span < 1 or not 2 <= steps <= MOST_STEPS:
        raise BadConfiguration(
            "not a grid", where="--range, --steps",
            expected=f"a range between 0 and 100 %, 2 to {MOST_STEPS} steps",
            found=f"{plain(span * 100)} %, {steps} steps", hint="such as --range 50 --steps 41",
        )  # fmt: skip
    moves = tuple(
        divide(span * (2 * i - steps + 1), ONE * (steps - 1), places=12, rounding=ROUND_HALF_EVEN) for i in range(steps)
    )
    marks = surfaces[0].marks
    columns = {move: marks[symbols[0]] * (ONE + move) for move in moves}
    rows = {move: marks[symbols[1]] * (ONE + move) for move in moves} if len(symbols) == 2 else {ZERO: ZERO}
    cells = _cells(
        surfaces,
        [{symbols[0]: price} for price in columns.values()],
        [{symbols[1]: price} for price in rows.values()] if len(symbols) == 2 else [{}],
    )
    edges = tuple(
        edge
        for surface in surfaces
        if surface.known and set(symbols) & set(surface.symbols)
        for edge in _edges(surface, symbols, rows)
    )
    return Grid(symbols, tuple(marks[symbol] for symbol in symbols), moves, tuple(rows), cells, edges)


def _cells(
    surfaces: Sequence[Surface], columns: Sequence[Marks], rows: Sequence[Marks]
) -> tuple[tuple[Cell, ...], ...]:
    """Return the account's cells, row by row, where each of ``columns`` and of ``rows`` is moved."""
    pools = []
    for surface in surfaces:
        across = [surface.with_units(column) for column in columns]
        pools.append(list(surface.over(across, [surface.with_units(row) for row in rows])))
    return tuple(tuple(_cell(found) for found in zip(*row, strict=True)) for row in zip(*pools, strict=True))


def _cell(pools: Sequence[Assessment | None]) -> Cell:
    lowest: Decimal | None = None
    called = liquidated = 0
    unknown = False
    for found in pools:
        if found is None:
            unknown = True
            continue
        status, health = found.status, found.health
        liquidated += status == "liquidatable"
        called += status == "margin_call"
        if health is not None and (lowest is None or health < lowest):
            lowest = health
    return Cell(lowest, called, liquidated, unknown)


def _edges(surface: Surface, symbols: tuple[str, ...], rows: Mapping[Decimal, Price]) -> list[Edge]:
    """Solve, for every row, the prices of the first symbol at which the pool is called and liquidated.

    None for an option: the grid moves its coin, and no mark of the option says where that stands.
    """
    options = {line.position.symbol for line in surface.assessment.lines if line.contract.option}
    if symbols[0] not in surface.symbols or symbols[0] in options:
        return []
    levels = (surface.assessment.levels.margin_call, ONE)
    found: dict[Decimal, list[tuple[Price | None, Price | None]]] = {level: [] for level in levels}
    for move, price in rows.items():
        assessment = surface.assessment
        row = surface.with_units({symbols[1]: price}) if move and symbols[1] in surface.symbols else {}
        if assessment.portfolio is not None:
            at_once = unit_prices(assessment).at_levels(symbols[0], levels, row)
            for level, both in zip(levels, at_once, strict=True):
                found[level].append(both)
            continue
        if row:
            assessment = assess(assessment.pool, {**surface.marks, **row}, surface.rulebook)
        for level, prices in found.items():
            solved = liquidation_prices(assessment, symbols[0], health=level)
            prices.append((solved.below, solved.above))
    return [
        Edge(surface.assessment.pool.name, level, tuple(p[0] for p in prices), tuple(p[1] for p in prices))
        for level, prices in found.items()
    ]


# ── Shocks ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _state(assessment: Assessment, found: Assessment | None) -> PoolState:
    name, asset = assessment.pool.name, assessment.asset
    if found is None:
        return PoolState(name, asset, None, None, None, None)
    return PoolState(name, asset, found.balance_held_against, found.liquidation_requirement, found.health, found.status)


def _shocked(
    name: str,
    surfaces: Sequence[Surface],
    moves: Mapping[str, Decimal],
    at: Mapping[str, datetime] | None = None,
) -> Shocked:
    marks = surfaces[0].marks
    prices = {symbol: marks[symbol] * (ONE + move) for symbol, move in moves.items() if move}
    pools = tuple(_state(surface.assessment, surface.at(prices)) for surface in surfaces)
    return Shocked(name, moves, at or {}, pools)


def _held(surfaces: Sequence[Surface]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(symbol for surface in surfaces for symbol in surface.symbols))


@exact
def ladder(surfaces: Sequence[Surface], betas: Mapping[str, Decimal] | None = None) -> tuple[Shocked, ...]:
    """Return the account after every move of :data:`LADDER` of all marks, each by its beta (1 if none is given).

    A move that would take a price to 0 or below is left out.
    """
    found = []
    for move in LADDER:
        moves = {symbol: move * (betas or {}).get(symbol, ONE) for symbol in _held(surfaces)}
        if all(share > -1 for share in moves.values()):
            found.append(_shocked(f"{'+' if move > 0 else '−'}{plain(abs(move) * 100)} %", surfaces, moves))
    return tuple(found)


def _turns(surfaces: Sequence[Surface], betas: Mapping[str, Decimal] | None) -> list[Turn]:
    found = []
    for surface in surfaces:
        if not surface.known:
            continue
        for level in (surface.assessment.levels.margin_call, ONE):
            move = move_of(surface.assessment, surface.marks, surface.rulebook, health=level, betas=betas)
            found.append(Turn(surface.assessment.pool.name, level, move.down, move.up, move.exact))
    return found


@exact
def crashes(surfaces: Sequence[Surface]) -> tuple[tuple[Shocked, ...], list[str]]:
    """Return the account at the extremes of every packaged tape that has a coin of it, and what stood in for what.

    By the rule of :mod:`ringfence.study.stand_in`: another contract on the same coin, else the median.
    """
    held = _held(surfaces)
    found: list[Shocked] = []
    notes: list[str] = []
    for window in packaged_windows():
        names = standing(held, window.symbols)
        if not names:
            continue
        summaries = {s.symbol: s for s in summarise(window.load())}
        extremes = [("low", {name: -s.largest_drop for name, s in summaries.items()})]
        rises = {name: s.largest_rise for name, s in summaries.items()}
        extremes += [("high", rises)] if max(rises.values()) >= _RISE_SHOWN else []
        for end, moves in extremes:
            given = [put_in(symbol, moves.values(), tape=window.name) for symbol in held if symbol not in names]
            guessed = {one.symbol: one.median for one in given}
            applied = {s: guessed[s] if s in guessed else moves[names[s]] for s in held}
            at = {s: summaries[name].low_at if end == "low" else summaries[name].high_at for s, name in names.items()}
            shock = _shocked(f"{window.name} {end}", surfaces, applied, at)
            found.append(shock._replace(put_in=tuple(given), between=_between(surfaces, applied, given)))
            notes += said(given, of=f"{window.name} {end}")
        notes += [f"{name} stands in for {symbol} on past tapes" for symbol, name in names.items() if symbol != name]
    return tuple(found), list(dict.fromkeys(notes))


def _between(
    surfaces: Sequence[Surface], moves: Mapping[str, Decimal], given: Sequence[PutIn]
) -> tuple[Decimal, Decimal] | None:
    """Return the lowest health with what was put in at its least and at its most; None where nothing was."""
    if not given:
        return None
    ends = [{**moves, **{one.symbol: one.least for one in given}}, {**moves, **{one.symbol: one.most for one in given}}]
    found = [worst.health for end in ends if (worst := _shocked("", surfaces, end).worst) is not None]
    known = sorted(health for health in found if health is not None)
    return (known[0], known[-1]) if len(known) == len(ends) else None


@exact
def haircuts(account: Account, marks: Marks, rulebook: Rulebook) -> tuple[Shocked, ...]:
    """Return a basket account with each collateral counting for less, by every share of :data:`HAIRCUTS`.

    Assets that count whole at an index of 1 (the account's currency) stay. Empty for other accounts.
    """
    found = []
    shared = [pool for pool in pools(account, rulebook.contract, rulebook.collateral) if pool.collateral]
    given = {asset: terms for pool in shared for asset, terms in pool.collateral.items()}
    for share in HAIRCUTS if given else ():
        lower = {asset: _lowered(terms, share) for asset, terms in given.items()}
        if lower == given:
            return ()
        after = assess_account(replace(account, collateral=lower), marks, rulebook)
        states = tuple(_state(a, a) for a in after if a.lines)
        found.append(Shocked(f"collateral ratios −{plain(share * 100)} %", {}, {}, states))
    return tuple(found)


def _lowered(terms: Collateral, share: Decimal) -> Collateral:
    """Return terms under which a balance counts for less by ``share``; an asset that counts whole at 1 stays."""
    if terms.index == 1 and terms.ratio == 1 and not terms.slices:
        return terms
    slices = tuple(one._replace(ratio=one.ratio * (1 - share)) for one in terms.slices)
    return replace(terms, ratio=terms.ratio * (1 - share), slices=slices)


@exact
def volatilities(account: Account, marks: Marks, rulebook: Rulebook) -> tuple[Shocked, ...]:
    """Return an account with options at every share of today's implied volatility of :data:`VOLATILITIES`.

    Empty for an account without options.
    """
    held = pools(account, rulebook.contract, rulebook.collateral)
    if not any(rulebook.contract(position.symbol).option for pool in held for position in pool.positions):
        return ()
    found = []
    for factor in VOLATILITIES:
        states = []
        for pool in held:
            shifted, after = at_volatility(pool, marks, rulebook.contract, factor)
            assessment = assess(shifted, after, rulebook)
            if assessment.lines:
                states.append(_state(assessment, assessment))
        found.append(Shocked(f"implied volatilities × {plain(factor)}", {}, {}, tuple(states)))
    return tuple(found)


@exact
def funding(surfaces: Sequence[Surface], rate: Rate) -> tuple[tuple[FundingDays, ...], tuple[Shocked, ...]]:
    """Return what funding takes from every pool, and the account after :data:`DAYS` of it at today's values."""
    owed: list[FundingDays] = []
    states: dict[int, list[PoolState]] = {days: [] for days in DAYS}
    for surface in surfaces:
        held = surface.assessment
        a_day = ZERO
        for line in held.lines:
            index = held.pool.collateral[line.contract.settle_asset].index if surface.basket else ONE
            a_day += (line.notional if line.position.quantity > 0 else -line.notional) * index * rate * FUNDINGS_A_DAY
        balance, required = held.balance_held_against, held.liquidation_requirement
        until = [_days(balance, required, level, a_day) for level in (held.levels.margin_call, ONE)]
        owed.append(FundingDays(held.pool.name, held.asset, a_day, *until))
        for days in DAYS:
            after = None if balance is None else held._replace(balance_held_against=balance - a_day * days)
            states[days].append(_state(held, after))
    after_days = tuple(
        Shocked(f"{days} {'day' if days == 1 else 'days'} of funding", {}, {}, tuple(states[days])) for days in DAYS
    )
    return tuple(owed), after_days


def _days(balance: Value | None, required: Value | None, level: Decimal, a_day: Value) -> Decimal | None:
    if balance is None or required is None or a_day <= 0:
        return None
    return max(ZERO, divide(balance - level * required, a_day, places=RATIO_PLACES, rounding=ROUND_FLOOR))


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_json(found: Stress) -> dict[str, Any]:
    """Return a stress as ``ringfence stress --json`` prints it: decimals as strings, none and unknown as null."""
    grid_, call = found.grid, found.levels[0]
    return {
        "schema": SCHEMA,
        "margin_call_level": plain(call),
        "now": _shocked_json(found.now),
        "grid": {
            "symbols": list(grid_.symbols),
            "marks": [plain(mark) for mark in grid_.marks],
            "columns": [plain(move) for move in grid_.columns],
            "rows": [plain(move) for move in grid_.rows],
            "health": [[_text(cell.health) for cell in row] for row in grid_.cells],
            "called": [[cell.called for cell in row] for row in grid_.cells],
            "liquidated": [[cell.liquidated for cell in row] for row in grid_.cells],
            "unknown": [[cell.unknown for cell in row] for row in grid_.cells],
            "edges": [
                {
                    "pool": edge.pool,
                    "health": plain(edge.level),
                    "below": [_text(price) for price in edge.below],
                    "above": [_text(price) for price in edge.above],
                }
                for edge in grid_.edges
            ],
        },
        "all_marks": [_shocked_json(shock) for shock in found.ladder],
        "turns": [
            {"pool": t.pool, "health": plain(t.level), "down": _text(t.down), "up": _text(t.up), "exact": t.exact}
            for t in found.turns
        ],
        "crashes": [_shocked_json(shock) for shock in found.crashes],
        "haircuts": [_shocked_json(shock) for shock in found.haircuts],
        "volatilities": [_shocked_json(shock) for shock in found.volatilities],
        "funding": {
            "rate": plain(found.funding_rate),
            "pools": [
                {key: _text(value) if isinstance(value, Decimal) else value for key, value in owes._asdict().items()}
                for owes in found.funding
            ],
            "days": [_shocked_json(shock) for shock in found.after_funding],
        },
        "assumptions": list(found.assumptions),
    }


def _shocked_json(shock: Shocked) -> dict[str, Any]:
    return {
        "name": shock.name,
        "moves": {symbol: plain(move) for symbol, move in shock.moves.items()},
        "at": {symbol: moment.isoformat().replace("+00:00", "Z") for symbol, moment in shock.at.items()},
        "pools": [
            {key: _text(value) if isinstance(value, Decimal) else value for key, value in pool._asdict().items()}
            for pool in shock.pools
        ],
        "put_in": [one.as_json() for one in shock.put_in],
        "health_between": None if shock.between is None else [plain(health) for health in shock.between],
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


__all__ = [
    "DAYS",
    "FUNDINGS_A_DAY",
    "HAIRCUTS",
    "LADDER",
    "MOST_STEPS",
    "SCHEMA",
    "Cell",
    "Edge",
    "FundingDays",
    "Grid",
    "PoolState",
    "Shocked",
    "Stress",
    "Turn",
    "as_json",
    "crashes",
    "funding",
    "grid",
    "haircuts",
    "ladder",
    "stress",
    "volatilities",
]
