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
    Traded,
)
from ringfence.engine.matching import Execution, Outcome, execute, forced, trim_reduce_only
from ringfence.engine.orderbook import Incoming
from ringfence.engine.settle import Side, Trade, traded
from ringfence.engine.state import FUND, HOUSE
from ringfence.ledger import move
from ringfence.margin.assess import assess
from ringfence.margin.price import bankruptcy_price
from ringfence.margin.restore import smallest_reduction
from ringfence.numbers import (
    ONE,
    PRICE_PLACES,
    RATIO_PLACES,
    ROUND_CEILING,
    ROUND_FLOOR,
    VALUE_PLACES,
    ZERO,
    divide,
    exact,
    round_to,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import Held, State
    from ringfence.margin.assess import Assessment, PositionLine
    from ringfence.numbers import Price, Quantity, Rate, Value

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
        if assessment is None or safe(state, assessment):
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


def safe(state: State, assessment: Assessment) -> bool:
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
        yield from trim_reduce_only(state, name, symbol, command)


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
        if assessment is None or safe(state, assessment):
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
                if assessment is None or safe(state, assessment):
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

    The clearance fee is charged once at the end, so that it never makes a later fill one that the pool cannot bear.
    """
    bound = bankruptcy_price(assessment, line)
    position = line.position
    side = "sell" if position.quantity > 0 else "buy"
    leg = _leg(state, name, position.side)
    wallet = books.wallet(name)
    value = released = ZERO
    own, most = Side(name, leg), min(quantity, abs(position.quantity))
    for event in forced(state, own, position.symbol, side, most, bound, command):
        yield event
        if isinstance(event, Traded) and name in {event.buyer, event.seller} and event.cause == "liquidation":
            value += event.quantity * line.contract.contract_value(event.price)
            released += sum((one.amount for one in event.postings if one.account == wallet), ZERO)
    if value:
        yield from _clearance_fee(state, name, assessment.pool.name, line, value, released, command)


def _clearance_fee(
    state: State, name: str, pool_name: str, line: PositionLine, value: Value, released: Value, command: Command
) -> Iterator[Event]:
    """Yield the clearance fee on the ``value`` closed, into the insurance fund, as far as the pool has equity and cash.

    An isolated position pays it out of what the closing ``released`` to the wallet, then out of its margin, and out of
    nothing else.
    """
    asset = line.contract.settle_asset
    fee = value * _clearance(state, line)
    left = _assessed(state, name, pool_name)
    if pool_name.startswith("isolated "):
        sources = [(books.wallet(name), min(released, state.ledger.balance(books.wallet(name), asset)))]
        if left is not None and left.margin_balance is not None:
            margin = books.isolated(name, line.position.symbol, _leg(state, name, line.position.side))
            sources.append((margin, min(left.margin_balance, state.ledger.balance(margin, asset))))
    else:
        cash = state.ledger.balance(books.wallet(name), asset)
        equity = cash if left is None or left.margin_balance is None else left.margin_balance
        sources = [(books.wallet(name), min(cash, equity))]
    for source, available in sources:
        part = min(fee, available)
        if part > 0:
            fee -= part
            yield InsuranceUsed(command.id, command.at, name, "clearance_fee", asset, part,
                                move(asset, part, out_of=source, into=books.INSURANCE))  # fmt: skip


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
        if assessment is None or safe(state, assessment):
            return
        line = _line(assessment, key)
        if line is not None:
            yield from _hand_over(state, name, assessment, line, command)


def _take_over(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    """Hand over everything left: orders are cancelled, legs of one symbol netted, and each line goes to the fund."""
    yield from _cancel_orders(state, name, pool_name, command)
    yield from _net_opposing_legs(state, name, pool_name, command)
    assessment = _assessed(state, name, pool_name)
    if assessment is None:
        yield from _settle_wallet(state, name, pool_name, command)
        return
    # A long can be handed over at any price, however much is missing; a short at none below 0. So longs come last.
    lines = sorted(assessment.lines, key=lambda line: line.position.quantity > 0)
    for line in lines:
        price = _hand_over_price(state, name, assessment, line, last=line is lines[-1])
        yield from _to_fund(state, name, line, price, command)
        yield from trim_reduce_only(state, name, line.position.symbol, command)
    yield from _settle_rest(state, name, assessment, command)
    for line in lines:
        yield from dispose(state, line.position.symbol, command)


def _hand_over(
    state: State, name: str, assessment: Assessment, line: PositionLine, command: Command
) -> Iterator[Event]:
    alone = len(assessment.lines) == 1
    yield from _to_fund(state, name, line, _hand_over_price(state, name, assessment, line, last=alone), command)
    yield from trim_reduce_only(state, name, line.position.symbol, command)
    if alone:
        yield from _settle_rest(state, name, assessment, command)
    yield from dispose(state, line.position.symbol, command)


def _hand_over_price(state: State, name: str, assessment: Assessment, line: PositionLine, *, last: bool) -> Price:
    """Return the price at which a line goes to the fund: its bankruptcy price.

    For the last line of a pool it is never one that leaves the trader owing: then it is the price at which exactly
    nothing is left, rounded for the trader.
    """
    price = bankruptcy_price(assessment, line)
    if not last and price is not None:
        return price
    quantity, contract = line.position.quantity, line.contract
    held = state.trader(name).held[line.position.symbol, _leg(state, name, line.position.side)]
    cash = _pool_cash(state, name, assessment, line)
    if price is not None and quantity * contract.unit_value(price) - held.entry_value + cash >= 0:
        return price
    # quantity · unit_value − entry_value + cash = 0
    numerator = (held.entry_value - cash) * contract.orientation
    if not last or numerator * quantity <= 0:
        return line.mark_price
    rounding = ROUND_CEILING if quantity > 0 else ROUND_FLOOR
    return contract.price_at(abs(numerator), abs(quantity), places=PRICE_PLACES, rounding=rounding)


def _pool_cash(state: State, name: str, assessment: Assessment, line: PositionLine) -> Value:
    """Return what a pool holds in money, bonus included, after what was realised so far."""
    asset = line.contract.settle_asset
    if assessment.pool.isolated:
        leg = _leg(state, name, line.position.side)
        return state.ledger.balance(books.isolated(name, line.position.symbol, leg), asset)
    return state.ledger.balance(books.wallet(name), asset) + state.ledger.balance(books.bonus(name), asset)


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
    """Cover what a pool that was taken over still owes: nothing, where its prices could be found."""
    if assessment.pool.isolated:
        position = assessment.lines[0].position
        account = books.isolated(name, position.symbol, _leg(state, name, position.side))
        for asset in assessment.pool.balances:
            yield from _from_fund(state, name, account, asset, command)
        return
    yield from _settle_wallet(state, name, assessment.pool.name, command)


def _settle_wallet(state: State, name: str, pool_name: str, command: Command) -> Iterator[Event]:
    """Cover what a wallet without positions owes: with bonus first, then by the insurance fund as far as it can."""
    asset, wallet, given = pool_name.removeprefix("cross "), books.wallet(name), books.bonus(name)
    covered = min(state.ledger.balance(given, asset), -state.ledger.balance(wallet, asset))
    if covered > 0:
        yield MoneyMoved(command.id, command.at, name, "bonus_used",
                         move(asset, covered, out_of=given, into=wallet))  # fmt: skip
    yield from _from_fund(state, name, wallet, asset, command)


def _from_fund(state: State, name: str, account: str, asset: str, command: Command) -> Iterator[Event]:
    paid = min(-state.ledger.balance(account, asset), state.ledger.balance(books.INSURANCE, asset))
    if paid > 0:
        yield InsuranceUsed(command.id, command.at, name, "shortfall", asset, -paid,
                            move(asset, paid, out_of=books.INSURANCE, into=account))  # fmt: skip


@exact
def dispose(state: State, symbol: str, command: Command) -> Iterator[Event]:
    """Yield how the fund gets rid of what it holds of ``symbol``: at market while it can pay, then by deleveraging."""
    held = state.trader(FUND).held.get((symbol, "net"))
    if held is None:
        return
    side = "sell" if held.quantity > 0 else "buy"
    incoming = Incoming(account=FUND, side=side, quantity=abs(held.quantity), limit=None, time_in_force="IOC")
    execution = Execution(Side(FUND), "disposal")  # bounded: the fund is never left owing
    yield from execute(state, symbol, incoming, execution, Outcome(), command)
    yield from _deleverage(state, symbol, command)


def _deleverage(state: State, symbol: str, command: Command) -> Iterator[Event]:
    """Close what the fund still holds against the opposite side at its entry price, best ranked first.

    Rounded for the fund, which may have nothing. A leg that could not bear the price (its pool would be left owing) is
    passed over; the tape's market comes last, if it is on the opposite side. What is left then, nobody who won holds
    against: it goes to the market at the mark, and the venue pays for it.
    """
    held = state.trader(FUND).held.get((symbol, "net"))
    if held is None:
        return
    price = state.rulebook.contract(symbol).price_at(
        abs(held.entry_value), abs(held.quantity), places=PRICE_PLACES,
        rounding=ROUND_CEILING if held.quantity > 0 else ROUND_FLOOR,
    )  # fmt: skip
    ranked = rank_for_deleveraging(state, symbol, opposite_of=held.quantity, price=price)
    for trader, leg in [*ranked, (HOUSE, "net")]:
        held = state.trader(FUND).held.get((symbol, "net"))
        other = state.trader(trader).held.get((symbol, leg))
        if held is None or other is None or (other.quantity > 0) == (held.quantity > 0):
            continue
        quantity = min(abs(held.quantity), abs(other.quantity))
        yield _away(state, symbol, held, quantity, price, Side(trader, leg), "auto_deleveraging", command)
        if trader != HOUSE:
            yield from trim_reduce_only(state, trader, symbol, command)
    yield from _at_cost_of_the_venue(state, symbol, command)


def _at_cost_of_the_venue(state: State, symbol: str, command: Command) -> Iterator[Event]:
    """Close at the mark what the fund still holds; the venue pays what the fund cannot."""
    held = state.trader(FUND).held.get((symbol, "net"))
    if held is None:
        return
    contract, mark = state.rulebook.contract(symbol), state.marks[symbol]
    asset = contract.settle_asset
    realised = held.quantity * contract.unit_value(mark) - held.entry_value
    missing = -realised - state.ledger.balance(books.INSURANCE, asset)
    if missing > 0:
        yield InsuranceUsed(command.id, command.at, FUND, "venue_pays", asset, missing,
                            move(asset, missing, out_of=books.VENUE, into=books.INSURANCE))  # fmt: skip
    yield _away(state, symbol, held, abs(held.quantity), mark, Side(HOUSE), "disposal", command)


def _away(
    state: State, symbol: str, held: Held, quantity: Quantity, price: Price, other: Side, cause: str, command: Command
) -> Traded:
    """Return the trade that takes ``quantity`` of what the fund holds away from it."""
    own = Side(FUND)
    buyer, seller = (other, own) if held.quantity > 0 else (own, other)
    trade = Trade(symbol, price, quantity, cause, buyer, seller)
    return traded(state, trade, command=command.id, at=command.at)


def rank_for_deleveraging(
    state: State, symbol: str, *, opposite_of: Quantity, price: Price | None = None
) -> list[tuple[str, str]]:
    """Return the traders' legs on the other side, first to be deleveraged first; only those that can bear ``price``.

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
                if price is not None and not _bears(assessment, line, price):
                    continue
                scored.append((_score(assessment, line), name, _leg(state, name, position.side)))
    return [(name, leg) for _, name, leg in sorted(scored, key=lambda row: (-row[0], row[1], row[2]))]


def _bears(assessment: Assessment, line: PositionLine, price: Price) -> bool:
    """Whether a pool has equity left when a whole line is closed at ``price`` instead of at its mark."""
    change = line.position.quantity * (line.contract.unit_value(price) - line.contract.unit_value(line.mark_price))
    return assessment.margin_balance is None or assessment.margin_balance + change >= 0


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

__all__ = ["STEPS", "MarginMode", "dispose", "liquidate", "rank_for_deleveraging", "replenish", "safe"]
