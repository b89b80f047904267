"""Liquidating a portfolio account: delta, then basis, then positions, as far as each brings its health back.

=======================  ==============================================================================================
step                     what it does
=======================  ==============================================================================================
hedge_delta              unit by unit, the largest net delta first: reduces what stands on the side of the net delta,
                         at most down to none (OKX, dynamic delta hedging)
hedge_basis              closes pairs of opposite sides and different expiries against each other, the largest first
                         (OKX)
reduce_in_increments     one position after the other, by what restores health with the least value closed (Deribit; the
                         positions of OKX, Binance and Bybit)
=======================  ==============================================================================================

No venue publishes sizes or the order of positions. Ours: of a position (or a pair) the smallest share that restores
health is closed, looked for in :data:`PARTS` equal steps and then by halves down to the quantity step; where none does,
the share with the least shortfall, if that is less than before. The requirement of a book of hedges may rise when one
leg of a hedge is closed, so that every size is tried on the whole account, exactly, at the marks and with the clearance
fee; what the book's prices cost beyond the marks is seen at the next look, up to :data:`LOOKS` of them. A forced order
takes no price at which its share of the equity (by value, ours) would be used up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ringfence.engine.closing import clearance_rate, close, key_of
from ringfence.margin.assess import assess
from ringfence.numbers import ONE, ROUND_CEILING, VALUE_PLACES, ZERO, divide, exact, round_to

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from decimal import Decimal
    from typing import TypeAlias

    from ringfence.engine.closing import Case
    from ringfence.engine.events import Event
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.margin.portfolio.exposure import Exposure
    from ringfence.margin.portfolio.unit import Unit
    from ringfence.numbers import Quantity, Value

    Way: TypeAlias = dict[tuple[str, str], Quantity]  # how much to close of which line, by symbol and side

PARTS = 4
LOOKS = 16
_SMALLEST_STEP = ONE.scaleb(-8)  # of a quantity whose step is not known
CLEAR = ONE + ONE.scaleb(-6)  #: at 1 most venues still liquidate: a reduction aims just above. Ours


class Closing(NamedTuple):
    """What to close, and what the account's balance would then have beyond its bar. ``value``: of what is closed."""

    sizes: Way
    surplus: Value
    value: Value


def hedge_delta(case: Case) -> Iterator[Event]:
    """Reduce what stands on the side of each unit's net delta."""
    assessment = case.assessed()
    units = () if assessment is None or assessment.portfolio is None else assessment.portfolio.units
    for coin in [unit.coin for unit in sorted(units, key=lambda unit: (-abs(_delta(unit)) * unit.index, unit.coin))]:
        for _ in range(LOOKS):
            found = _next(case)
            unit = None if found is None else _unit(found, coin)
            if found is None or unit is None:
                break
            best = _best(case, found, [_toward_none(found, unit, one) for one in _same_side(unit)])
            if best is None or not (yield from _closed(case, best)):
                break


def hedge_basis(case: Case) -> Iterator[Event]:
    """Close pairs of opposite sides and different expiries against each other."""
    for _ in range(LOOKS):
        found = _next(case)
        if found is None or found.portfolio is None:
            return
        pairs = [pair for unit in found.portfolio.units for pair in _pairs(found, unit)]
        best = _best(case, found, pairs)
        if best is None or not (yield from _closed(case, best)):
            return


def reduce_in_increments(case: Case) -> Iterator[Event]:
    """Close what restores health with the least value, position by position."""
    for _ in range(LOOKS):
        found = _next(case)
        if found is None:
            return
        best = _best(case, found, [{key_of(line): abs(line.position.quantity)} for line in found.lines])
        if best is None or not (yield from _closed(case, best)):
            return


def bar_of(case: Case) -> Decimal:
    """Return the health that a reduction aims at: where the venue ends a liquidation, and just above 1 at the least."""
    return max(case.state.rulebook.stop_at_health, CLEAR)


def _next(case: Case) -> Assessment | None:
    """Return the account as it is now, or None where nothing is left to do."""
    found = case.assessed()
    if found is None or not found.lines or _surplus(found, bar_of(case)) >= 0:
        return None
    return found


def _surplus(found: Assessment, bar: Decimal) -> Value:
    return (found.balance_held_against or ZERO) - bar * (found.liquidation_requirement or ZERO)


# ── What may be closed ────────────────────────────────────────────────────────────────────────────────────────────


def _delta(unit: Unit) -> Decimal:
    return sum((item.delta for item in unit.exposures), ZERO)


def _unit(found: Assessment, coin: str) -> Unit | None:
    units = () if found.portfolio is None else found.portfolio.units
    return next((unit for unit in units if unit.coin == coin), None)


def _same_side(unit: Unit) -> list[Exposure]:
    net = _delta(unit)
    return [item for item in unit.exposures if item.contract is not None and item.delta * net > 0]


def _line(found: Assessment, item: Exposure) -> PositionLine:
    return next(line for line in found.lines if key_of(line) == (item.symbol, item.side))


def _share_of(line: PositionLine, share: Decimal) -> Quantity:
    """Return a share of a line's size, rounded up to its quantity step."""
    size = abs(line.position.quantity)
    step = line.contract.quantity_step or _SMALLEST_STEP
    return min(size, round_to(size * share, step, rounding=ROUND_CEILING))


def _toward_none(found: Assessment, unit: Unit, item: Exposure) -> Way:
    """Return how much of a line takes its unit's net delta to none, or all of the line where that is not enough."""
    line = _line(found, item)
    share = min(ONE, divide(abs(_delta(unit)), abs(item.delta), places=VALUE_PLACES))
    return {key_of(line): _share_of(line, share)}


def _pairs(found: Assessment, unit: Unit) -> Iterator[Way]:
    """Yield what two lines of opposite sides and different expiries offset, of each."""
    items = [item for item in unit.exposures if item.contract is not None]
    for one in (item for item in items if item.delta > 0):
        for other in (item for item in items if item.delta < 0 and item.expiry != one.expiry):
            both = min(one.delta, -other.delta)
            way: Way = {}
            for item in (one, other):
                line = _line(found, item)
                way[key_of(line)] = _share_of(line, divide(both, abs(item.delta), places=VALUE_PLACES))
            yield way


# ── How much of it ────────────────────────────────────────────────────────────────────────────────────────────────


@exact
def _best(case: Case, found: Assessment, ways: list[Way]) -> Closing | None:
    """Return the way that restores health with the least value closed; else the one with the least shortfall.

    None where no way makes the shortfall less. Ties go to the first by symbol and side.
    """
    start = _surplus(found, bar_of(case))
    tried = [closing for way in ways if (closing := _smallest(case, found, way)) is not None]
    better = [closing for closing in tried if closing.surplus > start]
    restoring = [closing for closing in better if closing.surplus >= 0]
    if restoring:
        return min(restoring, key=lambda one: (one.value, tuple(one.sizes)))
    return min(better, key=lambda one: (-one.surplus, tuple(one.sizes)), default=None)


def _smallest(case: Case, found: Assessment, way: Way) -> Closing | None:
    """Return the smallest share of ``way`` that restores health, else the share with the least shortfall."""
    tried: list[Closing] = []
    below = ZERO
    for part in range(1, PARTS + 1):
        share = divide(ONE * part, ONE * PARTS, places=VALUE_PLACES)
        closing = _tried(case, found, way, share)
        if closing.surplus >= 0:
            return _halved(case, found, way, below=below, enough=share, best=closing)
        tried.append(closing)
        below = share
    return max(tried, key=lambda one: one.surplus, default=None)


def _halved(case: Case, found: Assessment, way: Way, *, below: Decimal, enough: Decimal, best: Closing) -> Closing:
    """Return the smallest closing that restores health between two shares, of which the larger does: to one step."""
    half = divide(ONE, ONE + ONE, places=1)
    while True:
        lower = _sizes(found, way, below)
        if all(size - lower.get(key, ZERO) <= _step(found, key) for key, size in best.sizes.items()):
            return best
        middle = (below + enough) * half
        if _sizes(found, way, middle) == best.sizes:
            enough = middle
            continue
        closing = _tried(case, found, way, middle)
        if closing.surplus >= 0:
            enough, best = middle, closing
        else:
            below = middle


def _step(found: Assessment, key: tuple[str, str]) -> Quantity:
    return next(line for line in found.lines if key_of(line) == key).contract.quantity_step or _SMALLEST_STEP


def _sizes(found: Assessment, way: Way, share: Decimal) -> Way:
    """Return a share of a way, each size rounded up to its line's quantity step; no line of which none."""
    sizes: Way = {}
    for key, most in way.items():
        closed = min(most, round_to(most * share, _step(found, key), rounding=ROUND_CEILING))
        if closed:
            sizes[key] = closed
    return sizes


def _tried(case: Case, found: Assessment, way: Way, share: Decimal) -> Closing:
    """Return what is left of the account when a share of ``way`` is closed at the marks and its fee is paid."""
    sizes = _sizes(found, way, share)
    pool, balances = found.pool, dict(found.pool.balances)
    positions, value = [], ZERO
    for line in found.lines:
        closed, size = sizes.get(key_of(line), ZERO), abs(line.position.quantity)
        asset = line.contract.settle_asset
        if closed:
            gained = line.unrealised_pnl
            if closed < size:
                gained = divide(gained * closed, size, places=VALUE_PLACES)
            worth = closed * line.contract_value
            balances[asset] = (balances[asset] or ZERO) + gained - worth * clearance_rate(case.state, line)
            value += worth * pool.collateral[asset].ask
        if closed < size:
            left = size - closed
            positions.append(replace(line.position, quantity=left if line.position.quantity > 0 else -left))
    marks = {line.position.symbol: line.mark_price for line in found.lines}
    rest = replace(pool, balances=balances, positions=tuple(positions))
    known = found.portfolio.known if found.portfolio is not None else None
    after = assess(rest, {**case.state.marks, **marks}, case.state.rulebook, known=known)
    return Closing(sizes, _surplus(after, bar_of(case)), value)


def _closed(case: Case, closing: Closing) -> Generator[Event, None, bool]:
    """Yield the forced orders of a closing; return whether anybody took any of them."""
    keys = list(closing.sizes)
    before = _held(case, keys)
    for key, size in closing.sizes.items():
        now = case.line(key)
        if now is not None:
            yield from close(case, *now, size)
    return _held(case, keys) != before


def _held(case: Case, keys: list[tuple[str, str]]) -> list[Quantity]:
    held = case.state.trader(case.name).held
    return [ZERO if (leg := held.get((symbol, case.leg(side)))) is None else leg.quantity for symbol, side in keys]


__all__ = ["CLEAR", "LOOKS", "PARTS", "hedge_basis", "hedge_delta", "reduce_in_increments"]
