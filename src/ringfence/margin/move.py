"""How far all of a pool's marks can move together before it is called or liquidated.

A liquidation price holds the pool's other marks fixed. In a crash they do not hold: :func:`combined_move` asks for the
move ``x`` at which marks ``price · (1 + beta · x)`` bring health to a level, the same for all symbols (beta 1) or along
given betas, down and up.

Exact where contract values move linearly with ``x`` (linear and quanto contracts) or with ``1 ÷ (1 + beta · x)``
(inverse contracts that share one beta). Otherwise, and where fees follow the pool's equity, found by an outward scan
and bisection on exact assessments, and said to be so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Backing
from ringfence.margin.assess import assess
from ringfence.margin.walk import Equity, Leg, Walk
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ringfence.account import Marks, Pool
    from ringfence.margin.assess import Assessment
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook

_SCAN_STEPS = 256
_FURTHEST_RISE = 16 * ONE  # the scan looks for a rise up to seventeen-fold
_BISECTIONS = 64


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

    ``betas``: how much of the move each symbol makes; 1 where none is given. Rounded to 18 places toward 0 (the earlier
    move). (None, None) when balance or requirement is not known. Collateral prices of a basket stay fixed.
    """
    assessment = assess(pool, marks, rulebook)
    if not assessment.lines or assessment.balance_held_against is None or assessment.liquidation_requirement is None:
        return CombinedMove(None, None, exact=True)
    beta = {line.position.symbol: (betas or {}).get(line.position.symbol, ONE) for line in assessment.lines}
    moving = {symbol: share for symbol, share in beta.items() if share}
    inverse = {line.contract.inverse for line in assessment.lines if line.position.symbol in moving}
    if not inverse:
        return CombinedMove(None, None, exact=True)
    if assessment.policies.closing_fee == "bankruptcy_price":
        return _by_scan(pool, marks, rulebook, beta, health)  # the fees follow the pool's equity: no line
    if inverse == {False}:
        return _along_prices(assessment, beta, health)
    if inverse == {True} and len(set(moving.values())) == 1:
        return _along_inverse_prices(assessment, beta, health)
    return _by_scan(pool, marks, rulebook, beta, health)


def _walk(assessment: Assessment, start: dict[str, Decimal], rate: dict[str, Decimal], health: Decimal) -> Walk:
    """Return the pool's surplus when each line's contract value is ``start + rate · t`` times its value at the mark."""
    basket = assessment.pool.mode.backing is Backing.BASKET
    legs = []
    slopes: dict[str, Decimal] = {}
    constants: dict[str, Decimal] = {}
    for line in assessment.lines:
        symbol, asset = line.position.symbol, line.contract.settle_asset
        ask = assessment.pool.collateral[asset].ask if basket else ONE
        value = line.contract_value
        legs.append(Leg(line.charge, value * start[symbol], value * rate[symbol], health * ask, line.tier or 0))
        signed = line.position.quantity * line.contract.orientation
        slopes[asset] = slopes.get(asset, ZERO) + signed * value * rate[symbol]
        constants[asset] = constants.get(asset, ZERO) + signed * value * start[symbol] - line.entry_value
    fees = (assessment.margin_balance or ZERO) - (assessment.balance_held_against or ZERO)
    orders = ZERO
    for order in assessment.orders:
        ask = assessment.pool.collateral[order.contract.settle_asset].ask if basket else ONE
        orders += health * ask * order.liquidation_requirement
    if not basket:
        asset = next(iter(slopes))
        cash = (assessment.wallet_balance or ZERO) + constants[asset]
        return Walk(tuple(legs), (Equity(slopes[asset], cash),), -fees - orders)
    equities = []
    for held in assessment.assets:
        terms = assessment.pool.collateral[held.asset]
        cash = (held.balance or ZERO) + constants.get(held.asset, ZERO)
        equities.append(Equity(slopes.get(held.asset, ZERO), cash, terms.bid, terms.ask))
    return Walk(tuple(legs), tuple(equities), -fees - orders)


def _along_prices(assessment: Assessment, beta: dict[str, Decimal], health: Decimal) -> CombinedMove:
    walk = _walk(assessment, dict.fromkeys(beta, ONE), beta, health)
    sign = walk.sign(ZERO)
    down, up = walk.crossing(ZERO, upward=False), walk.crossing(ZERO, upward=True)
    lowest, highest = _reach(beta)
    moves = []
    for point, rounding in ((down, ROUND_CEILING), (up, ROUND_FLOOR)):
        move = None if point is None else divide(*point, places=RATIO_PLACES, rounding=rounding)
        moves.append(move if move is not None and lowest < move < highest else None)
    return _ordered(moves[0], moves[1], sign)


def _along_inverse_prices(assessment: Assessment, beta: dict[str, Decimal], health: Decimal) -> CombinedMove:
    """With ``y = 1 ÷ (1 + beta · x)`` every moving contract value is its value at the mark times ``y``."""
    share = next(value for value in beta.values() if value)
    start = {symbol: ZERO if value else ONE for symbol, value in beta.items()}
    walk = _walk(assessment, start, {symbol: ONE - value for symbol, value in start.items()}, health)
    sign = walk.sign(ONE)
    moves: list[Decimal | None] = []
    for upward in (True, False):  # a larger y is a lower price
        point = walk.crossing(ONE, upward=upward)
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


def _by_scan(pool: Pool, marks: Marks, rulebook: Rulebook, beta: dict[str, Decimal], health: Decimal) -> CombinedMove:
    lowest, highest = _reach(beta)
    highest = min(highest, _FURTHEST_RISE)

    def short_of(move: Decimal) -> bool:
        moved = {**marks, **{symbol: marks[symbol] * (ONE + share * move) for symbol, share in beta.items()}}
        at = assess(pool, moved, rulebook)
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


__all__ = ["CombinedMove", "Exposure", "combined_move", "exposure"]
