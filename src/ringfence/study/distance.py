"""How far an account is from its death, in every sense that can be given a number.

Exact, from the account alone: the price below and above at which each symbol *alone* kills its pool; the move of all
marks together, one for one or by betas; the share of each past crash that is enough. With a tape, by estimated
volatilities and correlations: minutes until a move of one standard deviation gets there; the *nearest* point of death,
the marks that are likeliest of all those at which the pool dies (least Mahalanobis distance); and how likely it dies
within a horizon, by simulation (:mod:`~ringfence.study.likelihood`).

For a pool that is linear in its prices and stays in its tiers the nearest point has a closed form: with surplus ``s``,
slopes ``g`` per relative move and covariance ``C`` it is ``−s · C g ÷ (g · C g)`` at the distance ``s ÷ √(g · C g)``.
Elsewhere that step is repeated with the slopes found where it ended (the iteration of Hasofer, Lind, Rackwitz and
Fiessler), from several starts, and the point is put exactly on the edge by :func:`ringfence.margin.move.combined_move`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadAccount, BadConfiguration
from ringfence.margin.assess import assess_account
from ringfence.margin.move import CombinedMove, move_of
from ringfence.margin.price import liquidation_prices
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_FLOOR, ZERO, divide, exact, plain
from ringfence.study.likelihood import Horizon, check, simulate
from ringfence.study.portfolio_curve import POINTS
from ringfence.study.portfolio_words import portfolio_summary
from ringfence.study.stress import crashes
from ringfence.study.surface import Surface
from ringfence.study.unknown import nothing_known, unknown_of
from ringfence.study.volatility import estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ringfence.account import Account, Marks
    from ringfence.numbers import Price
    from ringfence.rulebook import Rulebook
    from ringfence.study.likelihood import Likelihood
    from ringfence.study.stand_in import PutIn
    from ringfence.study.stress import Shocked
    from ringfence.study.volatility import Estimate
    from ringfence.tape.bars import Tape

SCHEMA = "ringfence.distance/1"

_ROUNDS = 60
_STARTS = 6
_SETTLED = 1e-10
_NUDGE = Decimal("1e-7")  # relative: slopes are differences over it, exact inside a tier
_FURTHEST = 0.999  # a fall beyond this is no price


class SymbolDistance(NamedTuple):
    """Where one symbol alone kills a pool. Moves are signed shares of the mark. None: no such price; no tape.

    ``minutes``: until a move of one standard deviation is as far as the nearer of the two: ``(move ÷ volatility)²``.
    """

    pool: str
    symbol: str
    mark: Price
    below: Price | None
    above: Price | None
    move_below: Decimal | None
    move_above: Decimal | None
    minutes: float | None


class CommonMove(NamedTuple):
    """The move of all marks at which a pool dies. ``by``: ``uniform``, ``betas`` given, or ``estimated betas``."""

    by: str
    pool: str
    down: Decimal | None
    up: Decimal | None
    exact: bool


class CrashShare(NamedTuple):
    """How much of a past crash kills a pool: 0.4 is 40 % of every symbol's move in it. None: no multiple of it.

    ``put_in``: moves of the pool's symbols that the tape does not tell of, the median of its symbols; ``between``: the
    share with all of these as small and as large as the tape's symbols moved, in that order.
    """

    crash: str
    pool: str
    share: Decimal | None
    put_in: tuple[PutIn, ...] = ()
    between: tuple[Decimal | None, Decimal | None] | None = None


class Nearest(NamedTuple):
    """The likeliest marks at which a pool dies. ``moves``: by symbol, shares of the mark.

    ``sigmas``: distance in standard deviations of one minute; ``minutes``: its square, how long one standard deviation
    takes to get there. ``settled``: whether the search came to rest; ``on_edge``: whether the point is exact.
    """

    pool: str
    moves: Mapping[str, Decimal]
    marks: Mapping[str, Price]
    sigmas: float
    minutes: float
    settled: bool
    on_edge: bool


class Distance(NamedTuple):
    """All of it. What needs a tape is empty or None without one. ``assumptions``: in sentences."""

    symbols: tuple[SymbolDistance, ...]
    common: tuple[CommonMove, ...]
    crashes: tuple[CrashShare, ...]
    estimate: Estimate | None
    betas: Mapping[str, Decimal]
    nearest: tuple[Nearest, ...]
    horizon: Horizon | None
    likelihood: tuple[Likelihood, ...]
    assumptions: tuple[str, ...]


@exact
def distance(
    account: Account,
    *,
    marks: Marks,
    rulebook: Rulebook,
    tape: Tape | None = None,
    betas: Mapping[str, Decimal] | None = None,
    horizon: Horizon | None = None,
    progress: Callable[[str], None] | None = None,
) -> Distance:
    """Return how far ``account`` is from death. ``horizon``: what to simulate; None simulates nothing.

    Raises BadAccount for an account without a position in a pool whose health is known, BadTape for a tape that is too
    short or has no coin of it, BadConfiguration for a horizon without a tape.
    """
    if horizon is not None:
        check(horizon)
        if tape is None:
            raise BadConfiguration("a likelihood needs volatilities", where="distance", expected="--tape",
                                   found="none", hint="name a packaged window or a file of prices")  # fmt: skip
    surfaces, notes = _surfaces(account, marks, rulebook)
    held = tuple(dict.fromkeys(symbol for surface in surfaces for symbol in surface.symbols))
    found = None if tape is None else estimate(tape, held)
    past, stood_in = crashes(surfaces)
    likelihood: tuple[Likelihood, ...] = ()
    if horizon is not None and found is not None:
        if progress is not None:
            progress(f"simulating {horizon.paths:,} paths of {len(held)} symbols")
        at = {symbol: float(marks[symbol]) for symbol in held}
        likelihood = simulate([surface.assessment for surface in surfaces], found, at, horizon)
    estimated = {} if found is None else found.betas(_reference(held))
    return Distance(
        tuple(item for surface in surfaces for item in _alone(surface, found)),
        tuple(item for surface in surfaces for item in _together(surface, betas, estimated)),
        tuple(_crash_share(surface, crash) for crash in past for surface in surfaces),
        found,
        estimated,
        () if found is None else tuple(n for s in surfaces if (n := _nearest(s, found)) is not None),
        horizon,
        likelihood,
        _assumptions(found, held, horizon, [*stood_in, *notes], surfaces),
    )


def _surfaces(account: Account, marks: Marks, rulebook: Rulebook) -> tuple[tuple[Surface, ...], list[str]]:
    """Return the pools that hold positions and whose health is known, and sentences on the rest."""
    held = [Surface(a, marks, rulebook) for a in assess_account(account, marks, rulebook) if a.lines]
    known = tuple(surface for surface in held if surface.known)
    unknown = [surface.assessment for surface in held if not surface.known]
    if not known and held:
        raise nothing_known([surface.assessment for surface in held], rulebook, asked="measure")
    if not known:
        raise BadAccount("nothing to measure: the account holds no position", where="account.positions",
                         expected="at least one position", found="none",
                         hint="add a position; `ringfence account example` prints an account")  # fmt: skip
    dead = [surface.assessment.pool.name for surface in known if surface.assessment.liquidatable]
    notes = [
        f"the health of {a.pool.name} is not known: it is left out; not known: {'; '.join(unknown_of([a], rulebook))}"
        for a in unknown
    ]
    notes += [f"{name} is liquidatable now: its prices are those at which it would stop being so" for name in dead]
    return known, notes


def _reference(held: Sequence[str]) -> str:
    """Return the symbol that betas are measured against: bitcoin where it is held, else the first one."""
    return next((symbol for symbol in held if "BTC" in symbol.upper() or "XBT" in symbol.upper()), held[0])


def _assumptions(
    found: Estimate | None,
    held: Sequence[str],
    horizon: Horizon | None,
    notes: Sequence[str],
    surfaces: Sequence[Surface],
) -> tuple[str, ...]:
    said = ["positions stay as they are: no fee, funding, fill or partial liquidation on the way",
            "alone: the other marks stay where they are; together: every mark moves by the same share, or by its beta",
            "past crashes: every symbol at its own extreme at once; last prices"]  # fmt: skip
    said += notes
    said += portfolio_summary(surface.assessment for surface in surfaces)
    if any(line.contract.option for surface in surfaces for line in surface.assessment.lines):
        said.append("alone, an option's own mark moves nothing else: see the combined moves for its coin's price")
    if any(surface.basket for surface in surfaces):
        said.append(
            "the index of a collateral asset moves with its coin's mark, one to one, stable coins excepted; without a "
            "symbol of its coin it moves only where all marks do"
        )
    if found is not None:
        error = 1 / sqrt(2 * found.returns)
        said.append(
            f"volatilities and correlations: {found.returns} returns of {found.minutes_a_return:g} min on the tape "
            f"{found.tape} ({found.price_kind} prices), standard error of a volatility {error:.1%}; they may not last"
        )
        said += found.notes()
        said.append(f"estimated betas are against {_reference(held)}; variance grows with time, moves have no memory")
    if horizon is not None and any(surface.assessment.portfolio is not None for surface in surfaces):
        said.append(f"simulated portfolio margin: each risk unit moves as one, exact at {POINTS} prices of its coin")
    if horizon is not None:
        said.append(
            f"simulated: {horizon.paths:,} paths of {horizon.minutes} min in {horizon.steps} steps, Student t with "
            f"{horizon.tail:g} degrees of freedom, seed {horizon.seed}; dead where a step ends at the requirement"
        )
    return tuple(said)


# ── Exact distances ──────────────────────────────────────────────────────────────────────────────────────────────


def _alone(surface: Surface, found: Estimate | None) -> list[SymbolDistance]:
    measured = []
    for symbol in surface.symbols:
        mark = surface.marks[symbol]
        prices = liquidation_prices(surface.assessment, symbol)
        moves = [
            None if price is None else divide(price - mark, mark, places=RATIO_PLACES, rounding=ROUND_FLOOR)
            for price in (prices.below, prices.above)
        ]
        minutes = None
        near = [abs(move) for move in moves if move is not None]
        if found is not None and near:
            minutes = 0.0 if surface.assessment.liquidatable else (float(min(near)) / found.volatility(symbol)) ** 2
        name = surface.assessment.pool.name
        measured.append(SymbolDistance(name, symbol, mark, prices.below, prices.above, moves[0], moves[1], minutes))
    return measured


def _together(
    surface: Surface, betas: Mapping[str, Decimal] | None, estimated: Mapping[str, Decimal]
) -> list[CommonMove]:
    ways: list[tuple[str, Mapping[str, Decimal] | None]] = [("uniform", None)]
    ways += [("betas", betas)] if betas else []
    ways += [("estimated betas", estimated)] if len(surface.symbols) > 1 and estimated else []
    name = surface.assessment.pool.name
    return [CommonMove(by, name, move.down, move.up, move.exact)
            for by, shares in ways for move in [_deadly(surface, shares)]]  # fmt: skip


def _deadly(surface: Surface, betas: Mapping[str, Decimal] | None, *, toward: str | None = None) -> CombinedMove:
    if surface.assessment.liquidatable:
        return CombinedMove(ZERO, ZERO, exact=True)
    return move_of(surface.assessment, surface.marks, surface.rulebook, betas=betas, toward=toward)


def _crash_share(surface: Surface, crash: Shocked) -> CrashShare:
    name = surface.assessment.pool.name
    share = _share(surface, crash.moves)
    given = tuple(one for one in crash.put_in if one.symbol in surface.symbols)
    if not given:
        return CrashShare(crash.name, name, share)
    least = _share(surface, {**crash.moves, **{one.symbol: one.least for one in given}})
    most = _share(surface, {**crash.moves, **{one.symbol: one.most for one in given}})
    return CrashShare(crash.name, name, share, given, (least, most))


def _share(surface: Surface, moves: Mapping[str, Decimal]) -> Decimal | None:
    """Return what multiple of ``moves`` kills the pool: the combined move whose betas they are."""
    own = {symbol: moves.get(symbol, ZERO) for symbol in surface.symbols}
    return _deadly(surface, own, toward="up").up if any(own.values()) else None


# ── The nearest point of death ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Covariance:
    """The covariance of a pool's symbols, as a list of rows."""

    rows: list[list[float]]

    def times(self, vector: Sequence[float]) -> list[float]:
        """Return the matrix times a vector."""
        return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in self.rows]


def _nearest(surface: Surface, found: Estimate) -> Nearest | None:
    """Return the likeliest point of death; None where no move kills the pool."""
    name = surface.assessment.pool.name
    symbols = surface.symbols
    here = dict.fromkeys(symbols, ZERO)
    if surface.assessment.liquidatable:
        return Nearest(name, here, {s: surface.marks[s] for s in symbols}, 0.0, 0.0, settled=True, on_edge=True)
    index = [found.symbols.index(symbol) for symbol in symbols]
    covariance = _Covariance([[found.covariance[i][j] for j in index] for i in index])
    starts = _starts(surface, found)
    ends = [end for start in starts if (end := _descend(surface, covariance, start)) is not None]
    if not ends:
        return None
    sigmas, moves, settled = min(ends, key=lambda end: (not end[2], end[0]))
    exactly = {symbol: Decimal(f"{move:.12f}") for symbol, move in zip(symbols, moves, strict=True)}
    scale = _deadly(surface, exactly, toward="up").up if any(exactly.values()) else None
    on_edge = scale is not None and abs(scale - ONE) < Decimal("0.01")
    if on_edge and scale is not None:
        exactly = {symbol: move * scale for symbol, move in exactly.items()}
        sigmas *= float(scale)
    at = {symbol: surface.marks[symbol] * (ONE + move) for symbol, move in exactly.items()}
    return Nearest(name, exactly, at, sigmas, sigmas**2, settled, on_edge)


def _starts(surface: Surface, found: Estimate) -> list[list[float]]:
    """Return where to begin: here, and where single symbols kill the pool, the likeliest of them first."""
    symbols = surface.symbols
    alone: list[tuple[float, list[float]]] = []
    for position, symbol in enumerate(symbols):
        prices = liquidation_prices(surface.assessment, symbol)
        for price in (prices.below, prices.above):
            if price is not None and price < surface.marks[symbol] * 2:
                start = [0.0] * len(symbols)
                start[position] = float(price) / float(surface.marks[symbol]) - 1
                alone.append((abs(start[position]) / found.volatility(symbol), start))
    return [[0.0] * len(symbols), *(start for _, start in sorted(alone)[:_STARTS])]


def _descend(surface: Surface, covariance: _Covariance, start: list[float]) -> tuple[float, list[float], bool] | None:
    """Repeat the closed form with the slopes of where it ended. Return (distance, moves, whether it came to rest)."""
    at, sigmas = start, 0.0
    for _ in range(_ROUNDS):
        local = _local(surface, at)
        if local is None:
            return None
        surplus, slopes = local
        spread = covariance.times(slopes)
        variance = sum(a * b for a, b in zip(slopes, spread, strict=True))
        if variance <= 0:
            return None
        missing = sum(a * b for a, b in zip(slopes, at, strict=True)) - surplus
        after = [missing / variance * value for value in spread]
        sigmas = abs(missing) / sqrt(variance)
        if not all(isfinite(move) and move > -_FURTHEST for move in after):
            return None
        moved = max(abs(a - b) for a, b in zip(after, at, strict=True))
        at = after
        if moved < _SETTLED:
            return sigmas, at, True
    return sigmas, at, False


@exact
def _local(surface: Surface, at: Sequence[float]) -> tuple[float, list[float]] | None:
    """Return the surplus at relative moves, and its slope per relative move of each symbol."""
    moves = {symbol: Decimal(f"{move:.15f}") for symbol, move in zip(surface.symbols, at, strict=True)}
    prices = {symbol: surface.marks[symbol] * (ONE + move) for symbol, move in moves.items()}
    surplus = _surplus(surface, prices)
    if surplus is None:
        return None
    slopes = []
    for symbol in surface.symbols:
        nudged = _surplus(surface, {**prices, symbol: prices[symbol] + surface.marks[symbol] * _NUDGE})
        if nudged is None:
            return None
        slopes.append(float((nudged - surplus) / _NUDGE))
    return float(surplus), slopes


def _surplus(surface: Surface, prices: Mapping[str, Price]) -> Decimal | None:
    found = surface.at(prices)
    if found is None or found.balance_held_against is None or found.liquidation_requirement is None:
        return None
    return found.balance_held_against - found.liquidation_requirement


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_json(found: Distance) -> dict[str, Any]:
    """Return a distance as ``ringfence distance --json`` prints it: numbers as strings, none and unknown as null."""
    known = found.estimate
    return {
        "schema": SCHEMA,
        "symbols": [_texts(item._asdict()) for item in found.symbols],
        "common_moves": [_texts(item._asdict()) for item in found.common],
        "crashes": [_crash_json(item) for item in found.crashes],
        "estimate": None
        if known is None
        else {
            "tape": known.tape,
            "price_kind": known.price_kind,
            "returns": known.returns,
            "minutes_a_return": f"{known.minutes_a_return:g}",
            "volatility_a_minute": {symbol: f"{known.volatility(symbol):.6g}" for symbol in known.symbols},
            "correlations": [[f"{known.correlation(a, b):.4f}" for b in known.symbols] for a in known.symbols],
            "betas": _texts(dict(found.betas)),
            "stand_ins": dict(known.stand_ins),
            "put_in": [one.as_json() for one in known.put_in],
            "put_in_correlation": None if known.common is None else {
                "with_common_move": f"{known.common.correlation:.4f}", "least": f"{known.common.least:.4f}",
                "most": f"{known.common.most:.4f}",
            },
        },
        "nearest": [
            {**_texts(n._asdict()), "moves": _texts(dict(n.moves)), "marks": _texts(dict(n.marks))}
            for n in found.nearest
        ],
        "likelihood": None
        if found.horizon is None
        else {
            "minutes": found.horizon.minutes,
            "paths": found.horizon.paths,
            "seed": found.horizon.seed,
            "tail": f"{found.horizon.tail:g}",
            "steps": found.horizon.steps,
            "pools": [
                {"pool": chance.pool, "deaths": chance.deaths, "probability": f"{chance.probability:.6g}",
                 "standard_error": f"{chance.error:.2g}", "spread": f"{chance.spread:.2g}"}
                for chance in found.likelihood
            ],
        },
        "assumptions": list(found.assumptions),
    }  # fmt: skip


def _crash_json(item: CrashShare) -> dict[str, Any]:
    between = None if item.between is None else [None if share is None else plain(share) for share in item.between]
    return {
        **_texts({"crash": item.crash, "pool": item.pool, "share": item.share}),
        "put_in": [one.as_json() for one in item.put_in],
        "share_between": between,
    }


def _texts(document: Mapping[str, Any]) -> dict[str, Any]:
    def text(value: Any) -> Any:
        if isinstance(value, Decimal):
            return plain(value)
        return f"{value:.6g}" if isinstance(value, float) else value

    return {key: text(value) for key, value in document.items()}


__all__ = [
    "SCHEMA",
    "CommonMove",
    "CrashShare",
    "Distance",
    "Nearest",
    "SymbolDistance",
    "as_json",
    "distance",
]
