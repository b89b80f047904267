"""Looking at a trader's pools at the prices there are: margin calls, and whether to liquidate.

A review of a healthy pool leaves no event, so whoever can prove a pool healthy may skip it: the journal is the same.
Nothing is decided on a price that is missing or stale.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.engine.bankrupt import Bankruptcies, Fall
from ringfence.engine.closing import Case, cancel_orders
from ringfence.engine.collateral import exchange_due, indices_fresh
from ringfence.engine.doubt import in_doubt
from ringfence.engine.events import LiquidationEnded, MarginCalled, Traded
from ringfence.engine.liquidation import liquidate, safe, triggered
from ringfence.engine.plain import plain_pools
from ringfence.engine.portfolio import repay_early
from ringfence.engine.replenishment import replenish
from ringfence.engine.state import FUND, HOUSE
from ringfence.margin.restore import smallest_deposit
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_CEILING, ZERO, divide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from ringfence.account import Pool
    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.margin.assessment import Assessment

_FORCED = frozenset({"liquidation", "take_over", "netting"})
_VENUES_OWN = frozenset({HOUSE, FUND})
_RANK = {"none": 0, "warning": 1, "margin_call": 2}


def review(state: State, traders: Iterable[str], command: Command) -> Iterator[Event]:
    """Yield what a look at every pool of ``traders`` leads to, trader by trader in the order given.

    Whoever a liquidation traded with on the way (a maker, someone deleveraged) is looked at once more at the end, until
    nobody is changed any more.
    """
    changed: dict[str, None] = {}
    short = Bankruptcies(state, command)
    for name in traders:
        yield from _review_trader(state, name, command, changed, short)
    while changed:
        again, changed = changed, {}
        for name in again:
            yield from _review_trader(state, name, command, changed, short)


def _review_trader(
    state: State, name: str, command: Command, changed: dict[str, None], short: Bankruptcies
) -> Iterator[Event]:
    if name in _VENUES_OWN:
        return
    trader = state.trader(name)
    if trader.basket:
        yield from exchange_due(state, name, command)
    plain = plain_pools(state, trader)
    for pool_name in [pool.name for pool in state.pools(name)] if plain is None else plain:
        if plain is not None:
            found = short.look(trader, pool_name, plain[pool_name])
            if isinstance(found, Fall):
                yield found
            if found:
                continue
        for event in review_pool(state, name, pool_name, command):
            yield event
            if isinstance(event, Traded):
                forced = event.cause in _FORCED  # then ``name`` is one of the two
                for one in (event.buyer, event.seller):
                    if one not in _VENUES_OWN and (one != name or not forced):
                        changed[one] = None
    if trader.basket:
        yield from exchange_due(state, name, command)  # what a liquidation has left owing


def review_pool(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    """Yield the margin call, replenishment or liquidation that one pool is due, if any."""
    assessment = current(state, name, pool_name, command.at)
    if assessment is None or assessment.liquidatable is None:
        return
    if assessment.liquidatable and assessment.pool.isolated:
        yield from replenish(state, name, assessment, command)
        assessment = current(state, name, pool_name, command.at)
        if assessment is None:
            return
    if assessment.portfolio is not None:
        yield from repay_early(state, name, assessment, command)
        assessment = current(state, name, pool_name, command.at) or assessment
    yield from _call(state, name, assessment, command)
    until = state.trader(name).liquidating.get(pool_name)
    if until is None:
        if triggered(state, assessment):
            yield from liquidate(state, name, pool_name, command)
        else:
            yield from _cancel_orders_early(state, name, assessment, command)
    elif not safe(state, assessment):
        yield from liquidate(state, name, pool_name, command)
    elif command.at >= until:  # a cooldown is remembered until it is over
        yield LiquidationEnded(command.id, command.at, name, pool_name, "safe")


def _cancel_orders_early(state: State, name: str, assessment: Assessment, command: Command) -> Iterator[Event]:
    """Cancel the orders of a shared pool whose requirement has come near its balance, where the venue does (KuCoin)."""
    share, balance = state.rulebook.cancel_orders_at, assessment.balance_held_against
    if share is None or assessment.pool.isolated or balance is None or not assessment.liquidation_requirement:
        return
    if assessment.liquidation_requirement >= share * balance:
        for event in cancel_orders(Case(state, name, assessment.pool.name, command)):
            yield replace(event, reason="margin")


def current(state: State, name: str, pool_name: str, at: int) -> Assessment | None:
    """Return the assessment of a trader's pool at the present prices, or None where a price is missing or stale."""
    pool = state.pool(name, pool_name)
    if pool is None or not (pool.positions or pool.orders) or not fresh(state, pool, at):
        return None
    return state.assessment(name, pool_name)


def unpriced(state: State, name: str) -> str | None:
    """Return a symbol that a trader holds and that has no mark yet: nothing that depends on margin can be decided.

    In portfolio margin also one that is past its expiry.
    """
    missing = next((symbol for symbol, _ in state.trader(name).held if symbol not in state.marks), None)
    return missing or (state.past_expiry(name) if state.trader(name).portfolio else None)


def fresh(state: State, pool: Pool, at: int) -> bool:
    """Whether every mark the pool is valued at is there, not in doubt, and not older than the guard allows."""
    if in_doubt(state, pool) or (pool.collateral and not indices_fresh(state, pool, at)):
        return False
    limit = state.setup.guard.stale_after
    for position in pool.positions:
        marked = state.marked_at.get(position.symbol)
        if marked is None or (limit is not None and at - marked > limit):
            return False
    return True


def _call(state: State, name: str, assessment: Assessment, command: Command) -> Iterator[Event]:
    """Yield a margin call when health reached a worse level, or rose clear of the one it was at."""
    levels = assessment.levels
    was = state.trader(name).levels.get(assessment.pool.name, "none")
    now = "none"
    if assessment.reached(levels.margin_call):
        now = "margin_call"
    elif assessment.reached(levels.warning):
        now = "warning"
    if _RANK[now] < _RANK[was]:
        bound = levels.margin_call if was == "margin_call" else levels.warning
        if assessment.reached(bound * state.setup.rearm):
            return  # not clear of it yet: it would be called again at every tick
    if now != was:
        yield margin_call(name, assessment, now, command)


def margin_call(name: str, assessment: Assessment, level: str, command: Command) -> MarginCalled:
    """Return a margin call with the figures a person needs to answer it."""
    bound = assessment.levels.margin_call if level != "warning" else assessment.levels.warning
    balance = assessment.balance_held_against or ZERO
    required = assessment.liquidation_requirement or ZERO
    return MarginCalled(
        command.id,
        command.at,
        name,
        assessment.pool.name,
        level,
        assessment.health,
        balance,
        required,
        assessment.shortfall or ZERO,
        smallest_deposit(assessment, bound) or ZERO,
        _share_to_close(assessment, bound),
    )


def _share_to_close(assessment: Assessment, bound: Decimal) -> Decimal | None:
    """Return the share of all the pool's positions to close at the marks for health ``bound``; None if none is enough.

    For a requirement in proportion to size, ``1 − balance ÷ (bound · requirement)``; tiers can only make it less.
    """
    balance = assessment.balance_held_against or ZERO
    needed = bound * (assessment.liquidation_requirement or ZERO)
    if not needed or balance >= needed:
        return ZERO
    if balance <= 0:
        return None
    return min(ONE, divide(needed - balance, needed, places=RATIO_PLACES, rounding=ROUND_CEILING))


__all__ = ["current", "fresh", "margin_call", "review", "review_pool", "unpriced"]
