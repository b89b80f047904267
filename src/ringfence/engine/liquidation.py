"""Liquidation, step by step, as the rulebook orders it, looking at the pool again after every step.

========================  =============================================================================================
step                      what it does
========================  =============================================================================================
cancel_orders             cancels the pool's orders
net_opposing_legs         closes the smaller leg of a hedged symbol against the larger one at the mark
reduce_at_market          one reducing order per position, no larger than what restores health, bounded by its
                          bankruptcy price
step_down_tiers           closes down to the end of the tier below, tier by tier, at market within the bankruptcy price
step_down_two_tiers       the same, two tiers at a time, from the third tier on
close_largest_loss_first  hands whole positions to the fund at their bankruptcy price, the largest loss first
reduce_in_parts           a fifth first above a size, then a cooldown (Hyperliquid)
take_over                 hands everything left to the insurance fund at its bankruptcy price
========================  =============================================================================================

Whoever takes over disposes at market; the fund keeps what is gained and pays what is lost. When it cannot pay, the
position is closed against traders of the opposite side at the bankruptcy price, the most profitable and most leveraged
first (auto-deleveraging). Steps of a sequence that are not in the table are venue-specific names for the nearest one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import MarginMode
from ringfence.engine.events import (
    InsuranceUsed,
    LiquidationEnded,
    LiquidationStarted,
    LiquidationStep,
    MoneyMoved,
    OrderClosed,
)
from ringfence.engine.matching import after_fill, fills_at_market
from ringfence.engine.settle import Side, Trade, traded
from ringfence.engine.state import FUND, HOUSE
from ringfence.ledger import move
from ringfence.margin.assess import assess
from ringfence.margin.price import bankruptcy_price
from ringfence.margin.restore import smallest_reduction
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_CEILING, VALUE_PLACES, ZERO, divide, exact, round_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.margin.assess import Assessment, PositionLine
    from ringfence.numbers import Price, Quantity, Rate

_LARGE = Decimal(100_000)  # Hyperliquid: above this value a fifth is closed first
_FIFTH = Decimal("0.2")
_COOLDOWN = 30_000_000  # microseconds

_ALSO_CALLED = {
    "reduce_fill_or_kill": "reduce_at_market",
    "reduce_in_increments": "reduce_at_market",
    "reduce_at_fillable_price": "reduce_at_market",
    "step_down_to_90_percent": "reduce_at_market",
    "auto_repay": "cancel_orders",
    "freeze": "cancel_orders",
    "backstop_vault": "take_over",
    "assignment": "take_over",
}
_AFTERWARDS = frozenset({"insurance_fund", "auto_deleveraging", "unwind"})  # part of every take-over


@exact
def liquidate(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    """Yield the liquidation of a pool that its venue liquidates at the present marks."""
    assessment = _assessed(state, name, pool_name)
    if assessment is None:
        return
    if pool_name not in state.trader(name).liquidating:
        yield LiquidationStarted(
            command.id, command.at, name, pool_name, assessment.balance_held_against or ZERO,
            assessment.liquidation_requirement or ZERO,
        )  # fmt: skip
    steps = [step for step in state.rulebook.liquidation_sequence if step not in _AFTERWARDS]
    steps = list(dict.fromkeys([*steps, "take_over"]))
    for given in steps:
        step = _ALSO_CALLED.get(given, given)
        assessment = _assessed(state, name, pool_name)
        if assessment is None or _safe(state, assessment):
            break
        yield LiquidationStep(
            command.id, command.at, name, pool_name, given, assessment.balance_held_against or ZERO,
            assessment.liquidation_requirement or ZERO,
        )  # fmt: skip
        cooled = False
        for event in _STEPS[step](state, name, pool_name, command):
            yield event
            cooled = cooled or (isinstance(event, LiquidationEnded) and event.outcome.startswith("cooldown"))
        if cooled:
            return
    left = _assessed(state, name, pool_name)
    outcome = "closed" if left is None or not left.lines else "safe"
    yield LiquidationEnded(command.id, command.at, name, pool_name, outcome)


def _assessed(state: State, name: str, pool_name: str) -> Assessment | None:
    pool = next((pool for pool in state.pools(name) if pool.name == pool_name), None)
    if pool is None or not (pool.positions or pool.orders):
        return None
    return assess(pool, state.marks, state.rulebook)


def _safe(state: State, assessment: Assessment) -> bool:
    """Whether the liquidation may end: not liquidatable, and above the bar the venue ends at."""
    if not assessment.lines:
        return not assessment.liquidatable
    bar = state.rulebook.stop_at_health
    return not assessment.liquidatable and not (bar > 1 and assessment.reached(bar) and not _at_bar(assessment, bar))


def _at_bar(assessment: Assessment, bar: Decimal) -> bool:
    return assessment.balance_held_against == bar * (assessment.liquidation_requirement or ZERO)


def _cancel_orders(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    symbols = {p.symbol for pool in state.pools(name) if pool.name == pool_name for p in pool.positions}
    isolated = pool_name.startswith("isolated ")
    asset = pool_name.removeprefix("cross ")
    for order in list(state.trader(name).orders.values()):
        own = order.symbol in symbols if isolated else state.rulebook.contract(order.symbol).settle_asset == asset
        if own:
            yield OrderClosed(command.id, command.at, name, order.id, "liquidation")


def _net_opposing_legs(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    assessment = _assessed(state, name, pool_name)
    if assessment is None or assessment.pool.isolated:
        return
    for symbol in dict.fromkeys(line.position.symbol for line in assessment.lines):
        held = state.trader(name).held
        long, short = held.get((symbol, "long")), held.get((symbol, "short"))
        if long is None or short is None:
            continue
        quantity = min(long.quantity, -short.quantity)
        trade = Trade(symbol, state.marks[symbol], quantity, "netting", Side(name, "short"), Side(name, "long"))
        yield traded(state, trade, command=command.id, at=command.at)


def _lines_to_close(state: State, assessment: Assessment) -> list[PositionLine]:
    """Return the pool's lines in the order in which its venue closes them; ties by symbol and side."""
    lines = [line for line in assessment.lines if line.liquidation_requirement]
    if state.rulebook.close_first == "largest_loss":
        return sorted(lines, key=lambda line: (line.unrealised_pnl, line.position.symbol, line.position.side))
    return sorted(
        lines, key=lambda line: (-(line.liquidation_requirement or ZERO), line.position.symbol, line.position.side)
    )


def _reduce_at_market(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    assessment = _assessed(state, name, pool_name)
    for key in [_key(line) for line in (_lines_to_close(state, assessment) if assessment else [])]:
        assessment = _assessed(state, name, pool_name)
        if assessment is None or _safe(state, assessment):
            return
        line = _line(assessment, key)
        if line is None:
            continue
        rate = _taker(state, line) + _clearance(state, line)
        bar = max(state.rulebook.stop_at_health, ONE + Decimal("0.000001"))
        wanted = smallest_reduction(assessment, line, bar, fee_rate=rate)
        yield from _close(state, name, assessment, line, wanted or abs(line.position.quantity), command)


def _step_down(tiers: int, lowest: int) -> Callable[[State, str, str, Command], Iterator[Event]]:
    """Return the step that closes ``tiers`` tiers at a time while a position stands above tier ``lowest``."""

    def step(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
        assessment = _assessed(state, name, pool_name)
        for key in [_key(line) for line in (_lines_to_close(state, assessment) if assessment else [])]:
            while True:
                assessment = _assessed(state, name, pool_name)
                if assessment is None or _safe(state, assessment):
                    return
                line = _line(assessment, key)
                if line is None or line.tier is None or line.tier < lowest:
                    break
                before = abs(line.position.quantity)
                excess = _above_tier(line, max(0, line.tier - tiers + 1))
                yield from _close(state, name, assessment, line, excess, command)
                after = _line(_assessed(state, name, pool_name) or assessment, key)
                if after is None or abs(after.position.quantity) == before:
                    break  # nobody would take it: the next step will

    return step


def _above_tier(line: PositionLine, tier: int) -> Quantity:
    """Return how much of a position lies above the floor of ``tier``, rounded up to the quantity step."""
    table = line.charge.table
    assert table is not None  # noqa: S101 - the line has a tier
    size, floor = abs(line.position.quantity), table.floors[tier]
    per_contract = ONE if table.unit == "contracts" else line.contract_value
    kept = divide(floor, per_contract, places=VALUE_PLACES)
    step = line.contract.quantity_step or Decimal("0.00000001")
    return min(size, round_to(max(ZERO, size - kept), step, rounding=ROUND_CEILING) or step)


def _reduce_in_parts(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    assessment = _assessed(state, name, pool_name)
    if assessment is None:
        return
    first = pool_name in state.trader(name).liquidating and state.trader(name).liquidating[pool_name] == 0
    if assessment.notional > _LARGE and first:
        for line in _lines_to_close(state, assessment):
            part = abs(line.position.quantity) * _FIFTH
            step = line.contract.quantity_step
            yield from _close(
                state, name, assessment, line, part if step is None else round_to(part, step, rounding=ROUND_CEILING),
                command,
            )  # fmt: skip
        left = _assessed(state, name, pool_name)
        if left is not None and left.liquidatable and not _below_two_thirds(left):
            yield LiquidationEnded(command.id, command.at, name, pool_name, f"cooldown {command.at + _COOLDOWN}")
        return
    for line in _lines_to_close(state, assessment):
        if not _below_two_thirds(assessment):
            yield from _close(state, name, assessment, line, abs(line.position.quantity), command)


def _below_two_thirds(assessment: Assessment) -> bool:
    """Whether equity is below two thirds of the requirement, where Hyperliquid's backstop vault takes over."""
    return 3 * (assessment.balance_held_against or ZERO) < 2 * (assessment.liquidation_requirement or ZERO)


def _close(
    state: State, name: str, assessment: Assessment, line: PositionLine, quantity: Quantity, command: Command
) -> Iterator[Event]:
    """Yield the fills of a forced order of ``quantity`` of a line, no worse than the line's bankruptcy price.

    The taker fee goes to the venue, the clearance fee to the insurance fund, both only as far as the pool has equity.
    """
    bound = bankruptcy_price(assessment, line)
    position = line.position
    side = "sell" if position.quantity > 0 else "buy"
    leg = _leg(state, name, position.side)
    for fill in fills_at_market(state, name, position.symbol, side, min(quantity, abs(position.quantity)), bound):
        own, other = Side(name, leg), fill.maker
        buyer, seller = (own, other) if side == "buy" else (other, own)
        trade = Trade(
            position.symbol, fill.price, fill.quantity, "liquidation", buyer, seller, fill.owner, fill.maker_order
        )
        yield traded(state, trade, command=command.id, at=command.at)
        yield from after_fill(state, position.symbol, fill, command)
        yield from _clearance_fee(state, name, assessment.pool.name, line, fill.quantity, fill.price, command)


def _clearance_fee(
    state: State, name: str, pool_name: str, line: PositionLine, quantity: Quantity, price: Price, command: Command
) -> Iterator[Event]:
    asset = line.contract.settle_asset
    value = quantity * line.contract.contract_value(price)
    left = _assessed(state, name, pool_name)
    cash = left.margin_balance if left is not None else None
    source = books.wallet(name)
    if pool_name.startswith("isolated "):
        source = books.isolated(name, line.position.symbol, _leg(state, name, line.position.side))
        if left is None:  # closed whole: what was left went back to the wallet with the last fill
            source = books.wallet(name)
    available = max(ZERO, cash if cash is not None else ZERO)
    available = min(available, max(ZERO, state.ledger.balance(source, asset)))
    fee = min(value * _clearance(state, line), available)
    if fee:
        yield InsuranceUsed(command.id, command.at, name, "clearance_fee", asset, fee,
                            move(asset, fee, out_of=source, into=books.INSURANCE))  # fmt: skip


def _clearance(state: State, line: PositionLine) -> Rate:
    rate = line.contract.liquidation_fee_rate
    return state.setup.fees.clearance if rate is None else rate


def _taker(state: State, line: PositionLine) -> Rate:
    del state, line
    return ZERO  # forced orders pay the clearance fee instead of the taker fee


def _close_largest_loss_first(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    assessment = _assessed(state, name, pool_name)
    if assessment is None:
        return
    losses = sorted(assessment.lines, key=lambda line: (line.unrealised_pnl, line.position.symbol, line.position.side))
    for key in [_key(line) for line in losses]:
        assessment = _assessed(state, name, pool_name)
        if assessment is None or _safe(state, assessment):
            return
        line = _line(assessment, key)
        if line is not None:
            yield from _hand_over(state, name, assessment, line, command)


def _take_over(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    assessment = _assessed(state, name, pool_name)
    if assessment is None:
        return
    prices = [(_key(line), line, bankruptcy_price(assessment, line)) for line in assessment.lines]
    for _, line, price in prices:
        yield from _to_fund(state, name, line, price if price is not None else line.mark_price, command)
    yield from _settle_rest(state, name, assessment, command)
    for _, line, _ in prices:
        yield from dispose(state, line.position.symbol, name, command)


def _hand_over(
    state: State, name: str, assessment: Assessment, line: PositionLine, command: Command
) -> Iterator[Event]:
    price = bankruptcy_price(assessment, line)
    yield from _to_fund(state, name, line, price if price is not None else line.mark_price, command)
    yield from dispose(state, line.position.symbol, name, command)


def _to_fund(state: State, name: str, line: PositionLine, price: Price, command: Command) -> Iterator[Event]:
    leg = _leg(state, name, line.position.side)
    own, fund = Side(name, leg), Side(FUND)
    long = line.position.quantity > 0
    trade = Trade(
        line.position.symbol,
        price,
        abs(line.position.quantity),
        "take_over",
        fund if long else own,
        own if long else fund,
    )
    yield traded(state, trade, command=command.id, at=command.at)


def _settle_rest(state: State, name: str, assessment: Assessment, command: Command) -> Iterator[Event]:
    """Bring a pool that was taken over to 0: what rounding left goes to the fund, what is missing comes from it."""
    if assessment.pool.isolated:
        position = assessment.lines[0].position
        account = books.isolated(name, position.symbol, _leg(state, name, position.side))
    else:
        account = books.wallet(name)
    for asset in list(assessment.pool.balances):
        rest = state.ledger.balance(account, asset)
        if rest and (rest < 0 or assessment.pool.isolated):
            cause = "shortfall" if rest < 0 else "remainder"
            yield InsuranceUsed(command.id, command.at, name, cause, asset, rest,
                                move(asset, rest, out_of=account, into=books.INSURANCE))  # fmt: skip


@exact
def dispose(state: State, symbol: str, name: str, command: Command) -> Iterator[Event]:
    """Yield how the fund gets rid of what it holds of ``symbol``: at market while it can pay, else by deleveraging."""
    held = state.trader(FUND).held.get((symbol, "net"))
    if held is None:
        return
    contract = state.rulebook.contract(symbol)
    side = "sell" if held.quantity > 0 else "buy"
    size = abs(held.quantity)
    planned = fills_at_market(state, FUND, symbol, side, size, None)
    value = sum((fill.quantity * contract.unit_value(fill.price) for fill in planned), ZERO)
    filled = sum((fill.quantity for fill in planned), ZERO)
    signed = held.quantity if filled == size else (filled if held.quantity > 0 else -filled)
    entry = (
        held.entry_value if filled == size else divide(held.entry_value * signed, held.quantity, places=VALUE_PLACES)
    )
    gain = (value if held.quantity > 0 else -value) - entry
    fund = state.ledger.balance(books.INSURANCE, contract.settle_asset)
    if fund + gain >= 0:
        for fill in planned:
            own = Side(FUND)
            buyer, seller = (own, fill.maker) if side == "buy" else (fill.maker, own)
            trade = Trade(symbol, fill.price, fill.quantity, "disposal", buyer, seller, fill.owner, fill.maker_order)
            yield traded(state, trade, command=command.id, at=command.at)
            yield from after_fill(state, symbol, fill, command)
    yield from _deleverage(state, symbol, command)
    del name


def _deleverage(state: State, symbol: str, command: Command) -> Iterator[Event]:
    """Close what the fund still holds against the opposite side at its entry price, best ranked first."""
    held = state.trader(FUND).held.get((symbol, "net"))
    if held is None:
        return
    price = held.entry_price
    ranked = rank_for_deleveraging(state, symbol, opposite_of=held.quantity)
    for trader, leg in [*ranked, (HOUSE, "net")]:
        held = state.trader(FUND).held.get((symbol, "net"))
        if held is None:
            return
        other = state.trader(trader).held.get((symbol, leg))
        available = abs(held.quantity) if trader == HOUSE or other is None else abs(other.quantity)
        quantity = min(abs(held.quantity), available)
        own, them = Side(FUND), Side(trader, leg)
        buyer, seller = (them, own) if held.quantity > 0 else (own, them)
        trade = Trade(symbol, price, quantity, "auto_deleveraging", buyer, seller)
        yield traded(state, trade, command=command.id, at=command.at)


def rank_for_deleveraging(state: State, symbol: str, *, opposite_of: Quantity) -> list[tuple[str, str]]:
    """Return the traders' legs on the other side, first to be deleveraged first.

    Score: PnL as a share of entry value, times effective leverage (notional ÷ equity of the pool) when in profit,
    divided by it when in loss (BitMEX; Binance: PnL % times margin ratio, the same order for one position). Ties by
    name.
    """
    scored: list[tuple[Decimal, str, str]] = []
    for name in state.holders.get(symbol, {}):
        if name in {HOUSE, FUND}:
            continue
        for pool in state.pools(name):
            for position in pool.positions:
                if position.symbol != symbol or position.quantity * opposite_of > 0:
                    continue
                assessment = assess(pool, state.marks, state.rulebook)
                line = next(line for line in assessment.lines if line.position is position)
                scored.append((_score(assessment, line), name, _leg(state, name, position.side)))
    return [(name, leg) for _, name, leg in sorted(scored, key=lambda row: (-row[0], row[1], row[2]))]


def _score(assessment: Assessment, line: PositionLine) -> Decimal:
    profit = divide(line.unrealised_pnl, abs(line.entry_value), places=RATIO_PLACES)
    equity = assessment.margin_balance or ZERO
    if equity <= 0:
        return profit
    leverage = divide(assessment.notional, equity, places=RATIO_PLACES)
    if not leverage:
        return profit
    return profit * leverage if profit > 0 else divide(profit, leverage, places=RATIO_PLACES)


@exact
def replenish(state: State, name: str, assessment: Assessment, command: Command) -> Iterator[Event]:
    """Yield the automatic top-up of an isolated position from the wallet, where it is on and the venue has one.

    ``one_initial``: one current initial margin at a time, or all that is free (Bybit). ``to_initial``: up to the
    initial margin (OKX). ``user_amount``: what the trader set, as far as it is free (BingX).
    """
    line = assessment.lines[0]
    symbol, asset = line.position.symbol, line.contract.settle_asset
    trader = state.trader(name)
    chosen = trader.replenishment.get(symbol, "off")
    policy = state.rulebook.replenishment
    if chosen == "off" or policy == "none" or line.initial_margin is None:
        return
    shared = next((pool for pool in state.pools(name) if pool.name == f"cross {asset}"), None)
    free = ZERO if shared is None else assess(shared, state.marks, state.rulebook).available_balance or ZERO
    free = min(free, state.ledger.balance(books.wallet(name), asset))
    missing = (assessment.liquidation_requirement or ZERO) - (assessment.margin_balance or ZERO)
    if policy == "to_initial":
        amount = line.initial_margin - (assessment.margin_balance or ZERO)
    elif policy == "user_amount":
        amount = Decimal(chosen.removeprefix("on ") or 0) if chosen.startswith("on ") else line.initial_margin
    else:
        times = divide(max(missing, ZERO), line.initial_margin, places=0, rounding=ROUND_CEILING) or ONE
        amount = times * line.initial_margin
    amount = min(amount, free)
    if amount > 0:
        account = books.isolated(name, symbol, _leg(state, name, line.position.side))
        yield MoneyMoved(command.id, command.at, name, "replenishment",
                         move(asset, amount, out_of=books.wallet(name), into=account))  # fmt: skip


def _key(line: PositionLine) -> tuple[str, str]:
    return line.position.symbol, line.position.side


def _line(assessment: Assessment, key: tuple[str, str]) -> PositionLine | None:
    return next((line for line in assessment.lines if _key(line) == key), None)


def _leg(state: State, name: str, side: str) -> str:
    return "net" if state.trader(name).position_mode.value == "one_way" else side


_STEPS: dict[str, Callable[[State, str, str, Command], Iterator[Event]]] = {
    "cancel_orders": _cancel_orders,
    "net_opposing_legs": _net_opposing_legs,
    "reduce_at_market": _reduce_at_market,
    "step_down_tiers": _step_down(1, 1),
    "step_down_two_tiers": _step_down(2, 2),
    "close_largest_loss_first": _close_largest_loss_first,
    "reduce_in_parts": _reduce_in_parts,
    "take_over": _take_over,
}

STEPS = frozenset({*_STEPS, *_ALSO_CALLED, *_AFTERWARDS})  #: every name a rulebook's sequence may use

__all__ = ["STEPS", "MarginMode", "dispose", "liquidate", "rank_for_deleveraging", "replenish"]
