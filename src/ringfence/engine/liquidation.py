"""Liquidation, step by step, as the rulebook orders it, looking at the pool again after every step.

=============================  ========================================================================================
step                           what it does
=============================  ========================================================================================
cancel_orders                  cancels the pool's orders
cancel_orders_if_replenishing  the same, where automatic margin is switched on for the position (MEXC, KuCoin)
auto_repay, auto_exchange      pays the debts of a multi-asset account back with its other assets (Bybit unified)
net_opposing_legs              closes the smaller leg of a hedged symbol against the larger one at the mark
reduce_at_market               one immediate-or-cancel order per position, just large enough to restore health after its
                               fee and slippage, no worse than the bankruptcy price (Binance; Bybit unified to 90 %)
step_down_tiers                closes down to the end of the tier below, tier by tier, by immediate-or-cancel orders
step_down_fill_or_kill         the same by orders that fill whole or not at all (Bybit, KuCoin, BitMEX)
step_down_at_bankruptcy        the same, handing each slice to the fund at the bankruptcy price (MEXC)
step_down_two_tiers            two tiers at a time, from the third tier on, and only while the pool could stand in the
                               lowest tier (OKX)
step_down_two_tiers_per_pass   two tiers at a time, from the second tier on (Bitget, WEEX)
close_largest_loss_first       hands whole positions to the fund at their bankruptcy price, the largest loss first
                               (BingX)
close_at_market                closes whole positions by immediate-or-cancel orders (Bitget, WEEX, Kraken)
reduce_in_parts                closes at market, a fifth of a large position first; for 30 seconds after that, whole
                               ones (Hyperliquid)
backstop_vault                 takes over where equity is below two thirds of the requirement; else the pool waits for
                               the next price (Hyperliquid)
hedge_delta, hedge_basis,      of portfolio accounts: :mod:`~ringfence.engine.reduction`. There reduce_at_market and
reduce_in_increments           step_down_to_90_percent are the last of them
take_over                      hands everything left to the insurance fund at its bankruptcy price
=============================  ========================================================================================

Whoever takes over disposes at market; the fund keeps what is gained and pays what is lost
(:mod:`~ringfence.engine.deleveraging`). Steps of a sequence that are not in the table are venue-specific names for the
nearest one: see ``docs/reference/liquidation.md``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence.engine.closing import (
    Case,
    cancel_orders,
    close,
    hand_over,
    key_of,
    net_opposing_legs,
    nobody_takes,
    restoring_quantity,
    take_over,
)
from ringfence.engine.collateral import repay, settle_rest
from ringfence.engine.events import LiquidationEnded, LiquidationStarted, LiquidationStep
from ringfence.engine.reduction import CLEAR, hedge_basis, hedge_delta, reduce_in_increments
from ringfence.margin.assess import assess
from ringfence.numbers import ONE, ROUND_CEILING, VALUE_PLACES, ZERO, divide, exact, round_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Quantity

    Step: TypeAlias = Callable[[Case], Iterator[Event]]
    Key: TypeAlias = tuple[str, str]

_LARGE = Decimal(100_000)  # Hyperliquid: of a position above this value a fifth is closed first
_FIFTH = Decimal("0.2")
_COOLDOWN = 30_000_000  # microseconds after it in which whole positions are closed
_SMALLEST_STEP = Decimal("0.00000001")  # of a quantity whose step is not known

_ALSO_CALLED = {
    "reduce_in_increments": "reduce_at_market",
    "reduce_at_fillable_price": "reduce_at_market",
    "step_down_to_90_percent": "reduce_at_market",
    "assignment": "take_over",
}
_NOTHING_TO_DO = frozenset({"freeze"})  # one command at a time: nothing can get between
_AFTERWARDS = frozenset({"insurance_fund", "auto_deleveraging", "unwind"})  # part of every take-over


@exact
def liquidate(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    """Yield the liquidation of a pool that its venue liquidates at the present marks."""
    case = Case(state, name, pool_name, command)
    assessment = case.assessed()
    if assessment is None:
        return
    if pool_name not in state.trader(name).liquidating:
        yield LiquidationStarted(command.id, command.at, name, pool_name, *_margin(assessment))
    changed = True
    for given in sequence(state, isolated=case.isolated, portfolio=case.portfolio):
        if changed:  # most steps find nothing to do
            assessment, changed = case.assessed(), False
            if assessment is None or safe(state, assessment):
                break
            margin = _margin(assessment)
        yield LiquidationStep(command.id, command.at, name, pool_name, given, *margin)
        for event in _step(case, given)(case):
            changed = True
            yield event
            if isinstance(event, LiquidationEnded):  # it goes on later: after a cooldown, at the next price
                return
    left = None if case.closed() else case.assessed()
    outcome = "closed" if left is None or not left.lines else "safe"
    if outcome == "closed" and not case.isolated and state.trader(name).basket:
        yield from settle_rest(state, name, command)  # what was realised is owed, and other assets pay for it
    yield LiquidationEnded(command.id, command.at, name, pool_name, outcome)


def _step(case: Case, name: str) -> Step:
    found = _OF_PORTFOLIOS.get(name) if case.portfolio else None
    return found or _STEPS[_ALSO_CALLED.get(name, name)]


def sequence(state: State, *, isolated: bool, portfolio: bool = False) -> list[str]:
    """Return the venue's steps for a pool. A take-over ends every sequence in which nothing else can."""
    book = state.rulebook
    if portfolio and book.portfolio is not None and book.portfolio.sequence:
        steps = book.portfolio.sequence
    else:
        steps = book.isolated_sequence if isolated and book.isolated_sequence is not None else book.liquidation_sequence
    left_out = _AFTERWARDS | {"net_opposing_legs"} if isolated else _AFTERWARDS  # one position has no opposing leg
    found = [step for step in steps if step not in left_out]
    return found if "backstop_vault" in found else list(dict.fromkeys([*found, "take_over"]))


def _margin(assessment: Assessment) -> tuple[Decimal, Decimal]:
    return assessment.balance_held_against or ZERO, assessment.liquidation_requirement or ZERO


def triggered(state: State, assessment: Assessment) -> bool:
    """Whether the venue liquidates a pool now: at its marks, and where both must breach at the last prices too.

    A symbol without a last price takes its mark.
    """
    if not assessment.liquidatable or state.rulebook.trigger_prices == "mark":
        return bool(assessment.liquidatable)
    return bool(assess(assessment.pool, {**state.marks, **state.last}, state.rulebook).liquidatable)


def safe(state: State, assessment: Assessment) -> bool:
    """Whether the liquidation may end: not liquidatable, and a shared pool above the bar the venue ends at."""
    if not assessment.lines or assessment.pool.isolated:
        return not assessment.liquidatable
    bar = state.rulebook.stop_at_health
    return not assessment.liquidatable and not (bar > 1 and assessment.reached(bar) and not _at_bar(assessment, bar))


def _at_bar(assessment: Assessment, bar: Decimal) -> bool:
    return assessment.balance_held_against == bar * (assessment.liquidation_requirement or ZERO)


def _nothing(case: Case) -> Iterator[Event]:
    del case
    yield from ()


def _repay(case: Case) -> Iterator[Event]:
    """Pay a basket's debts back with its other assets; a pool that one asset backs has none."""
    if not case.isolated:
        yield from repay(case.state, case.name, case.command)


def _cancel_orders_if_replenishing(case: Case) -> Iterator[Event]:
    symbol = case.pool.split(" ")[1]
    if not case.isolated or case.state.trader(case.name).replenishment.get(symbol, "off") != "off":
        yield from cancel_orders(case)


# ── Position by position ──────────────────────────────────────────────────────────────────────────────────────────


def _keys_in_order(case: Case) -> list[Key]:
    """Return the pool's positions in the order in which its venue closes them; ties by symbol and side."""
    assessment = case.assessed()
    lines = [line for line in assessment.lines if line.liquidation_requirement] if assessment is not None else []
    if case.state.rulebook.close_first == "largest_loss":
        lines.sort(key=lambda line: (line.unrealised_pnl, *key_of(line)))
    else:
        lines.sort(key=lambda line: (-(line.liquidation_requirement or ZERO), *key_of(line)))
    return [key_of(line) for line in lines]


def _unsafe(case: Case, key: Key) -> tuple[Assessment, PositionLine] | None:
    """Return a position's line in the pool as it is now, or None where it is closed or the pool is safe."""
    found = case.line(key)
    return None if found is None or safe(case.state, found[0]) else found


def _reduce_at_market(case: Case) -> Iterator[Event]:
    assessment = case.assessed()
    if assessment is not None and nobody_takes(case, assessment):
        return
    bar = CLEAR if case.isolated else max(case.state.rulebook.stop_at_health, CLEAR)
    for key in _keys_in_order(case):
        found = _unsafe(case, key)
        if found is None:
            continue
        assessment, line = found
        wanted = restoring_quantity(case, assessment, line, bar)
        yield from close(case, assessment, line, wanted or abs(line.position.quantity))


def _close_at_market(case: Case) -> Iterator[Event]:
    for key in _keys_in_order(case):
        found = _unsafe(case, key)
        if found is not None:
            assessment, line = found
            yield from close(case, assessment, line, abs(line.position.quantity))


def _close_largest_loss_first(case: Case) -> Iterator[Event]:
    for key in _keys_in_order(case):
        found = _unsafe(case, key)
        if found is not None:
            yield from hand_over(case, *found)


# ── Tier by tier ──────────────────────────────────────────────────────────────────────────────────────────────────


def _step_down(tiers: int, *, from_tier: int, by: str, while_: Callable[[Assessment], bool] = lambda _: True) -> Step:
    """Return the step that goes down ``tiers`` tiers at a time while a position stands in ``from_tier`` or above.

    Tiers count from 1. ``by``: immediate_or_cancel, fill_or_kill, or bankruptcy (to the fund). Ends for a position that
    nobody takes, and for all where ``while_`` no longer holds.
    """

    def step(case: Case) -> Iterator[Event]:
        for key in _keys_in_order(case):
            while True:
                found = _unsafe(case, key)
                if found is None or not while_(found[0]):
                    break
                assessment, line = found
                if line.tier is None or line.tier + 1 < max(from_tier, 2):
                    break
                excess = _above_tier(line, max(0, line.tier - tiers))
                if not excess:
                    break
                if by == "bankruptcy":
                    yield from hand_over(case, assessment, line, excess)
                else:
                    order = "FOK" if by == "fill_or_kill" else "IOC"
                    yield from close(case, assessment, line, excess, time_in_force=order)
                after = case.line(key)
                if after is None or after[1].position.quantity == line.position.quantity:
                    break  # closed, or nobody would take it: the next step will

    return step


def _above_tier(line: PositionLine, tier: int) -> Quantity:
    """Return the least that must be closed for a position to stand in ``tier`` (from 0), in whole quantity steps.

    On the basis its venue takes the tier by: contracts, or their value at the mark, or at entry. 0 where the size of
    the position is not what keeps it above.
    """
    table = line.charge.table
    assert table is not None  # noqa: S101 - the line has a tier
    size, end = abs(line.position.quantity), table.floors[tier + 1]
    per_contract = line.contract_value
    if table.unit == "contracts":
        per_contract = ONE
    elif not line.charge.moving:
        per_contract = divide(abs(line.entry_value), size, places=VALUE_PLACES)
    step = line.contract.quantity_step or _SMALLEST_STEP
    kept = divide(end, per_contract, places=VALUE_PLACES)
    excess = round_to(max(ZERO, size - kept), step, rounding=ROUND_CEILING)
    if size >= kept and (size - excess) * per_contract >= end:  # the end of a tier is the beginning of the next
        excess += step
    return min(size, excess)


def _could_stand_in_the_lowest_tier(assessment: Assessment) -> bool:
    """Whether the pool would be safe if all its positions were charged the rate of their lowest tier."""
    required = ZERO
    for line in assessment.lines:
        charge = line.charge
        lowest = charge.table.tiers[0] if charge.table is not None else None
        if lowest is None or lowest.maintenance_rate is None or charge.flat_rate is not None:
            required += line.liquidation_requirement or ZERO
        else:
            value = charge.size * line.contract_value
            required += value * (lowest.maintenance_rate + charge.funding) - lowest.deduction + line.closing_fee
    return (assessment.balance_held_against or ZERO) > required


# ── Hyperliquid ───────────────────────────────────────────────────────────────────────────────────────────────────


def _reduce_in_parts(case: Case) -> Iterator[Event]:
    command = case.command
    cooling = command.at < case.state.trader(case.name).liquidating.get(case.pool, 0)
    in_part = False
    for key in _keys_in_order(case):
        found = _unsafe(case, key)
        if found is None or _below_two_thirds(found[0]):
            continue
        assessment, line = found
        size = abs(line.position.quantity)
        part = size
        if line.notional > _LARGE and not cooling:
            part = round_to(size * _FIFTH, line.contract.quantity_step or _SMALLEST_STEP, rounding=ROUND_CEILING)
            in_part = True
        yield from close(case, assessment, line, part)
    left = case.assessed()
    if in_part and left is not None and not (left.liquidatable and _below_two_thirds(left)):
        yield LiquidationEnded(command.id, command.at, case.name, case.pool, f"cooldown {command.at + _COOLDOWN}")


def _backstop_vault(case: Case) -> Iterator[Event]:
    assessment = case.assessed()
    if assessment is not None and not _below_two_thirds(assessment):
        yield LiquidationEnded(case.command.id, case.command.at, case.name, case.pool, "waiting")
        return
    yield from take_over(case)


def _below_two_thirds(assessment: Assessment) -> bool:
    """Whether equity is below two thirds of the requirement, where Hyperliquid's backstop vault takes over."""
    return 3 * (assessment.balance_held_against or ZERO) < 2 * (assessment.liquidation_requirement or ZERO)


_STEPS: dict[str, Step] = {
    "cancel_orders": cancel_orders,
    "cancel_orders_if_replenishing": _cancel_orders_if_replenishing,
    "auto_repay": _repay,
    "auto_exchange": _repay,
    "net_opposing_legs": net_opposing_legs,
    "reduce_at_market": _reduce_at_market,
    "step_down_tiers": _step_down(1, from_tier=2, by="immediate_or_cancel"),
    "step_down_fill_or_kill": _step_down(1, from_tier=2, by="fill_or_kill"),
    "step_down_at_bankruptcy": _step_down(1, from_tier=2, by="bankruptcy"),
    "step_down_two_tiers": _step_down(2, from_tier=3, by="immediate_or_cancel", while_=_could_stand_in_the_lowest_tier),
    "step_down_two_tiers_per_pass": _step_down(2, from_tier=2, by="immediate_or_cancel"),
    "close_largest_loss_first": _close_largest_loss_first,
    "close_at_market": _close_at_market,
    "reduce_in_parts": _reduce_in_parts,
    "backstop_vault": _backstop_vault,
    "take_over": take_over,
    **dict.fromkeys(_NOTHING_TO_DO, _nothing),
}

_OF_PORTFOLIOS: dict[str, Step] = {
    "hedge_delta": hedge_delta,
    "hedge_basis": hedge_basis,
    **dict.fromkeys(
        ("reduce_in_increments", "reduce_at_market", "step_down_to_90_percent", "step_down_two_tiers"),
        reduce_in_increments,
    ),
}  # a position has no requirement of its own there: these look at the whole account

STEPS = frozenset({*_STEPS, *_ALSO_CALLED, *_AFTERWARDS, *_OF_PORTFOLIOS})  #: every name a rulebook's sequence may use

__all__ = ["STEPS", "liquidate", "safe", "sequence", "triggered"]
