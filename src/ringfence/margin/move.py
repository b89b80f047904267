"""How far all of a pool's marks can move together before it is called or liquidated.

A liquidation price holds the pool's other marks fixed. In a crash they do not hold: :func:`combined_move` asks for the
move ``x`` at which marks ``price · (1 + beta · x)`` bring health to a level, the same for all symbols (beta 1) or along
given betas, down and up.

In a basket the index of every asset moves too, but of those that move with nothing (:mod:`ringfence.margin.basket`):
by the beta given for the asset, else by that of a symbol of its coin (:func:`asset_betas`).

Exact where contract values move linearly with ``x`` (linear and quanto contracts; an inverse one whose coin's index
moves with it, since its value in the account's currency then does) or with ``1 ÷ (1 + beta · x)`` (inverse contracts
that share one beta, where no index moves). Otherwise, and where fees follow the pool's equity, found by an outward
scan and bisection on exact assessments, and said to be so. So is portfolio margin, whose worst scenario changes.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing, Requirement
from ringfence.contract import coin
from ringfence.margin.assess import assess
from ringfence.margin.basket import Line, counted, set_aside
from ringfence.margin.portfolio.crossing import narrowed
from ringfence.margin.portfolio.marks import scaled_marks
from ringfence.margin.price import unit_prices
from ringfence.margin.walk import Equity, Leg, Walk
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ringfence.account import Marks, Pool
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import AssetLine, PositionLine
    from ringfence.margin.walk import Hinge
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook

_SCAN_STEPS = 256
_FURTHEST_RISE = 16 * ONE  # the scan looks for a rise up to seventeen-fold
_BISECTIONS = 64
_SCENARIO_SCAN_STEPS = 64  # a portfolio's requirement takes longer than a sum of tiers
_SCENARIO_STEP = ONE.scaleb(-14)
_FURTHEST_RISE_BY_SCENARIO = 4 * ONE


class CombinedMove(NamedTuple):
    """Moves of all marks at which a pool's health reaches a level. −0.25 is a fall of 25 %. None: never that way.

    ``exact``: solved; otherwise found by scan and bisection, good to 12 digits, and a second crossing inside one scan
    step (1/256 of the way) could be passed over.
    """

    down: Decimal | None
    up: Decimal | None
    exact: bool


class Exposure(NamedTuple):
    """A pool's exposure at its marks: ``gross`` adds notionals up, ``net`` lets shorts offset longs (by beta)."""

    gross: Value
    net: Value


@exact
def combined_move(
    pool: Pool,
    marks: Marks,
    rulebook: Rulebook,
    *,
    health: Decimal = ONE,
    betas: Mapping[str, Decimal] | None = None,
) -> CombinedMove:
    """Return the moves of all marks, down and up, at which the pool's health reaches ``health``.

    ``betas``: how much of the move each symbol (and each asset of a basket) makes; 1 where none is given. Rounded to 18
    places toward 0 (the earlier move). (None, None) when balance or requirement is not known.
    """
    return move_of(assess(pool, marks, rulebook), marks, rulebook, health=health, betas=betas)


@exact
def move_of(
    assessment: Assessment,
    marks: Marks,
    rulebook: Rulebook,
    *,
    health: Decimal = ONE,
    betas: Mapping[str, Decimal] | None = None,
    toward: str | None = None,
) -> CombinedMove:
    """Return :func:`combined_move` of a pool that is assessed at ``marks`` already.

    ``toward``: ``down`` or ``up``, where only that is asked for; the other may then come back as None.
    """
    pool = assessment.pool
    if not assessment.lines or assessment.balance_held_against is None or assessment.liquidation_requirement is None:
        return CombinedMove(None, None, exact=True)
    beta = {line.position.symbol: (betas or {}).get(line.position.symbol, ONE) for line in assessment.lines}
    of_assets = asset_betas(pool, betas or {})
    moving = {symbol: share for symbol, share in beta.items() if share}
    if not moving and not any(of_assets.values()):
        return CombinedMove(None, None, exact=True)
    if pool.mode.requirement is Requirement.SCENARIO:
        return _by_scenario(assessment, marks, beta, of_assets, health, toward)  # the worst scenario changes: no line
    if assessment.policies.closing_fee == "bankruptcy_price":
        return _by_scan(pool, marks, rulebook, beta, of_assets, health)  # the fees follow the pool's equity: no line
    if all(_is_linear(line, beta, of_assets) for line in assessment.lines):
        return _along_prices(assessment, beta, of_assets, health)
    inverse = {line.contract.inverse for line in assessment.lines if line.position.symbol in moving}
    if inverse == {True} and len(set(moving.values())) == 1 and not any(of_assets.values()):
        return _along_inverse_prices(assessment, beta, health)
    return _by_scan(pool, marks, rulebook, beta, of_assets, health)


def asset_betas(pool: Pool, betas: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return how much of a combined move the index of each asset of a basket makes; empty for another pool.

    The beta given for the asset, else that of the first symbol of its coin that the pool holds. An asset of which
    ``betas`` say nothing stays where it is, but moves like all marks where there are none.
    """
    found: dict[str, Decimal] = {}
    if pool.mode.backing is not Backing.BASKET:
        return found
    for asset, terms in pool.collateral.items():
        if terms.moves_with is None:
            found[asset] = ZERO
            continue
        own = next((p.symbol for p in pool.positions if coin(p.symbol) == terms.moves_with), None)
        default = ZERO if betas and own is None else ONE
        found[asset] = betas.get(asset, default if own is None else betas.get(own, ONE))
    return found


def _is_linear(line: PositionLine, beta: dict[str, Decimal], of_assets: dict[str, Decimal]) -> bool:
    """Whether what a position gains and needs, in the account's currency, is piecewise linear in the move."""
    own, index = beta[line.position.symbol], of_assets.get(line.contract.settle_asset, ZERO)
    return not own or (own == index if line.contract.inverse else not index)


def _walk(
    assessment: Assessment,
    start: dict[str, Decimal],
    rate: dict[str, Decimal],
    of_assets: dict[str, Decimal],
    health: Decimal,
) -> Walk:
    """Return the pool's surplus when each line's contract value is ``start + rate · t`` times its value at the mark.

    An index of a basket is ``1 + beta · t`` times what it is, and an inverse contract's value that of its mark over its
    coin's.
    """
    basket = assessment.pool.mode.backing is Backing.BASKET
    legs = []
    gains: dict[str, list[Line]] = {}
    for line in assessment.lines:
        symbol, asset = line.position.symbol, line.contract.settle_asset
        ask = assessment.pool.collateral[asset].ask if basket else ONE
        value, turn = line.contract_value, of_assets.get(asset, ZERO)
        worth = Line(value * rate[symbol], value * start[symbol])  # of a contract, times the change of its index
        if turn:
            worth = Line(ZERO if rate[symbol] else value * turn, value)
        legs.append(Leg(line.charge, worth.constant, worth.slope, health * ask, line.tier or 0, ONE, turn))
        signed = line.position.quantity * line.contract.orientation
        gains.setdefault(asset, []).append(worth.by(signed))
        if not line.contract.option:  # of an option the whole value counts, the premium included
            gains[asset].append(Line(turn, ONE).by(-line.entry_value))
    if not basket:
        fees = (assessment.margin_balance or ZERO) - (assessment.balance_held_against or ZERO)
        orders = health * sum((order.liquidation_requirement for order in assessment.orders), ZERO)
        total = _sum([*gains[next(iter(gains))], Line(ZERO, assessment.wallet_balance or ZERO)])
        return Walk(tuple(legs), (Equity(*total),), -fees - orders)
    parts: list[Line] = []
    hinges: list[Hinge] = []
    for held in assessment.assets:
        index = Line(of_assets.get(held.asset, ZERO), ONE)
        product = _sum([*gains.get(held.asset, []), index.by(held.balance or ZERO)])
        straight, bends = counted(held.terms, product, index=index, scale=Line(ZERO, ONE))
        parts += [straight, index.by(-set_aside(held, assessment) - health * _of_orders(held, assessment))]
        hinges += bends
    return Walk(tuple(legs), (Equity(*_sum(parts)),), ZERO, tuple(hinges))


def _sum(lines: list[Line]) -> Line:
    return Line(sum((line.slope for line in lines), ZERO), sum((line.constant for line in lines), ZERO))


def _of_orders(held: AssetLine, assessment: Assessment) -> Value:
    """Return what the open orders settled in an asset of a basket add to the requirement."""
    own = (order for order in assessment.orders if order.contract.settle_asset == held.asset)
    return held.terms.ask * sum((order.liquidation_requirement for order in own), ZERO)


def _along_prices(
    assessment: Assessment, beta: dict[str, Decimal], of_assets: dict[str, Decimal], health: Decimal
) -> CombinedMove:
    walk = _walk(assessment, dict.fromkeys(beta, ONE), beta, of_assets, health)
    sign, down, up = walk.crossings(ZERO)
    lowest, highest = _reach({**beta, **{f"index of {asset}": share for asset, share in of_assets.items()}})
    moves = []
    for point, rounding in ((down, ROUND_CEILING), (up, ROUND_FLOOR)):
        move = None if point is None else divide(*point, places=RATIO_PLACES, rounding=rounding)
        moves.append(move if move is not None and lowest < move < highest else None)
    return _ordered(moves[0], moves[1], sign)


def _along_inverse_prices(assessment: Assessment, beta: dict[str, Decimal], health: Decimal) -> CombinedMove:
    """With ``y = 1 ÷ (1 + beta · x)`` every moving contract value is its value at the mark times ``y``."""
    share = next(value for value in beta.values() if value)
    start = {symbol: ZERO if value else ONE for symbol, value in beta.items()}
    walk = _walk(assessment, start, {symbol: ONE - value for symbol, value in start.items()}, {}, health)
    sign, smaller, larger = walk.crossings(ONE)
    moves: list[Decimal | None] = []
    for point, upward in ((larger, True), (smaller, False)):  # a larger y is a lower price
        if point is None or point[0] <= 0:
            moves.append(None)
            continue
        numerator, denominator = point
        rounding = ROUND_CEILING if upward == (share > 0) else ROUND_FLOOR
        moves.append(divide(denominator - numerator, numerator * share, places=RATIO_PLACES, rounding=rounding))
    down, up = moves if share > 0 else reversed(moves)
    return _ordered(down, up, sign)


def _ordered(down: Decimal | None, up: Decimal | None, sign: int) -> CombinedMove:
    """For a pool already past the level the way back up is the move it happened at, so the two change places."""
    return CombinedMove(up, down, exact=True) if sign < 0 else CombinedMove(down, up, exact=True)


def _reach(beta: dict[str, Decimal]) -> tuple[Decimal, Decimal]:
    """Return the open interval of moves that leave every price above 0."""
    falling = max((value for value in beta.values() if value > 0), default=None)
    rising = min((value for value in beta.values() if value < 0), default=None)
    lowest = -divide(ONE, falling, places=RATIO_PLACES) if falling else -_FURTHEST_RISE
    highest = divide(ONE, -rising, places=RATIO_PLACES) if rising else _FURTHEST_RISE * 1000
    return lowest, highest


@exact
def pool_moved(pool: Pool, of_assets: Mapping[str, Decimal], move: Decimal) -> Pool:
    """Return a basket with each index moved by its share of a combined move (:func:`asset_betas`).

    In portfolio margin a coin's index follows the marks of its risk unit by itself (:mod:`.portfolio.marks`).
    """
    if not any(of_assets.values()):
        return pool
    follow: set[str] = set()
    if pool.mode.requirement is Requirement.SCENARIO:
        follow = {coin(position.symbol) for position in pool.positions}
    moved = {
        asset: terms
        if terms.moves_with in follow
        else replace(terms, index=terms.index * (ONE + of_assets.get(asset, ZERO) * move))
        for asset, terms in pool.collateral.items()
    }
    return replace(pool, collateral=moved)


def _by_scan(
    pool: Pool,
    marks: Marks,
    rulebook: Rulebook,
    beta: dict[str, Decimal],
    of_assets: dict[str, Decimal],
    health: Decimal,
) -> CombinedMove:
    lowest, highest = _reach({**beta, **{f"index of {asset}": share for asset, share in of_assets.items()}})
    highest = min(highest, _FURTHEST_RISE)

    def short_of(move: Decimal) -> bool:
        moved = {**marks, **{symbol: marks[symbol] * (ONE + share * move) for symbol, share in beta.items()}}
        at = assess(pool_moved(pool, of_assets, move), moved, rulebook)
        return bool((at.balance_held_against or ZERO) < health * (at.liquidation_requirement or ZERO))

    state = short_of(ZERO)
    found: list[Decimal | None] = []
    for end in (lowest, highest):
        step = divide(end, _SCAN_STEPS * ONE, places=12, rounding=ROUND_HALF_EVEN)
        outside = next((step * n for n in range(1, _SCAN_STEPS) if short_of(step * n) != state), None)
        if outside is None:
            found.append(None)
            continue
        inside = outside - step
        for _ in range(_BISECTIONS):
            middle = divide(inside + outside, 2 * ONE, places=RATIO_PLACES)
            inside, outside = (middle, outside) if short_of(middle) == state else (inside, middle)
        found.append(inside)
    down, up = found
    return CombinedMove(up, down, exact=False) if state else CombinedMove(down, up, exact=False)


def _by_scenario(
    assessment: Assessment,
    marks: Marks,
    beta: dict[str, Decimal],
    of_assets: dict[str, Decimal],
    health: Decimal,
    toward: str | None,
) -> CombinedMove:
    """Scan a portfolio account, whose worst scenario changes on the way; what a coin needs at a move is kept."""
    portfolio, pool = assessment.portfolio, assessment.pool
    assert portfolio is not None  # noqa: S101 - the caller asks a portfolio account
    parts, contract_of = unit_prices(assessment).parts, portfolio.rulebook.contract
    lowest, highest = _reach({**beta, **{f"index of {asset}": share for asset, share in of_assets.items()}})
    highest = min(highest, _FURTHEST_RISE_BY_SCENARIO)
    known: dict[Decimal, Decimal] = {}
    tried: list[Decimal] = []

    def surplus(move: Decimal) -> Decimal:
        if move not in known:
            moved = scaled_marks(
                pool, marks, contract_of, {symbol: ONE + share * move for symbol, share in beta.items()}
            )
            there = pool_moved(pool, of_assets, move)
            if parts is None:
                at = assess(there, moved, portfolio.rulebook, known=portfolio.known)
                balance, required = at.balance_held_against or ZERO, at.liquidation_requirement or ZERO
            else:
                balance, required, _ = parts.together([parts.part(coin, moved) for coin in parts.held], there)
            known[move] = balance - health * required
            insort(tried, move)
        return known[move]

    state = surplus(ZERO) < 0
    found: list[Decimal | None] = []
    for way, end in (("down", lowest), ("up", highest)):
        if toward not in (None, way) and not state:  # past the level already, the two change places
            found.append(None)
            continue
        step = divide(end, _SCENARIO_SCAN_STEPS * ONE, places=12, rounding=ROUND_HALF_EVEN)
        places = [step * n for n in range(1, _SCENARIO_SCAN_STEPS)]
        outside = next((move for move in places if (surplus(move) < 0) != state), None)
        found.append(
            None
            if outside is None
            else narrowed(
                outside - step,
                outside,
                step=_SCENARIO_STEP,
                changed=lambda move: (surplus(move) < 0) != state,
                surplus=lambda move: float(surplus(move)),
                tried=tried,
            )[0]
        )
    down, up = found
    return CombinedMove(up, down, exact=False) if state else CombinedMove(down, up, exact=False)


@exact
def exposure(assessment: Assessment, betas: Mapping[str, Decimal] | None = None) -> Exposure:
    """Return the gross and the net (by beta; 1 where none is given) notional of an assessed pool."""
    gross = net = ZERO
    basket = assessment.pool.mode.backing is Backing.BASKET
    for line in assessment.lines:
        index = assessment.pool.collateral[line.contract.settle_asset].index if basket else ONE
        value = line.notional * index
        gross += value
        share = (betas or {}).get(line.position.symbol, ONE)
        net += share * (value if line.position.quantity > 0 else -value)
    return Exposure(gross, net)


__all__ = ["CombinedMove", "Exposure", "asset_betas", "combined_move", "exposure", "move_of", "pool_moved"]
