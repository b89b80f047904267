"""What the insurance fund does with what it took over: at market while it can pay, then auto-deleveraging.

Auto-deleveraging closes what is left against traders of the opposite side at the price the fund took it over at, the
bankruptcy price, ranked by the venue's score:

==================  ===============================================================================================
``leverage``        PnL as a share of entry value, times effective leverage (notional ÷ equity of the pool) when in
                    profit, divided by it when in loss (BitMEX, and the venues whose own score was not read)
``margin_ratio``    the same with requirement ÷ equity of the pool in place of the leverage (Binance)
==================  ===============================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.engine.events import InsuranceUsed
from ringfence.engine.matching import Execution, Outcome, at_once, execute, trim_reduce_only
from ringfence.engine.orderbook import Incoming
from ringfence.engine.settle import INSURANCE_FUND, MARKET, Side, Trade, fund_account, overdraws, traded
from ringfence.engine.state import FUND, HOUSE
from ringfence.ledger import move
from ringfence.numbers import PRICE_PLACES, RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event, Traded
    from ringfence.engine.state import State
    from ringfence.engine.trader import Held
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Price, Quantity


@exact
def dispose(state: State, symbol: str, command: Command, *, taken_from: str) -> Iterator[Event]:
    """Yield how the fund gets rid of what it holds of ``symbol``: at market while it can pay, then by deleveraging.

    Orders of the trader it was taken from are cancelled where they stand in the way: he must not buy back by accident,
    with money that his isolated position had nothing to do with.
    """
    held = state.trader(FUND).held.get((symbol, "net"))
    if held is None:
        return
    side = "sell" if held.quantity > 0 else "buy"
    fill = at_once(state, symbol, side, abs(held.quantity))
    if fill is not None:  # nearly always: most of what a crash leaves behind is smaller than one level
        event = _away(state, symbol, held, fill.quantity, fill.price, MARKET, "disposal", command)
        if not overdraws(state, event, INSURANCE_FUND):
            yield event
        yield from _deleverage(state, symbol, command)
        return
    incoming = Incoming(
        account=taken_from, side=side, quantity=abs(held.quantity), time_in_force="IOC", self_trade="cancel_maker"
    )
    execution = Execution(INSURANCE_FUND, "disposal")  # bounded: the fund is never left owing
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
    fund = fund_account(state, symbol)
    missing = -realised - state.ledger.balance(fund, asset)
    if missing > 0:
        yield InsuranceUsed(command.id, command.at, FUND, "venue_pays", asset, missing,
                            move(asset, missing, out_of=books.VENUE, into=fund))  # fmt: skip
    yield _away(state, symbol, held, abs(held.quantity), mark, MARKET, "disposal", command)


def _away(
    state: State, symbol: str, held: Held, quantity: Quantity, price: Price, other: Side, cause: str, command: Command
) -> Traded:
    """Return the trade that takes ``quantity`` of what the fund holds away from it."""
    own = INSURANCE_FUND
    buyer, seller = (other, own) if held.quantity > 0 else (own, other)
    trade = Trade(symbol, price, quantity, cause, buyer, seller)
    return traded(state, trade, command=command.id, at=command.at)


def rank_for_deleveraging(
    state: State, symbol: str, *, opposite_of: Quantity, price: Price | None = None
) -> list[tuple[str, str]]:
    """Return the traders' legs on the other side, first to be deleveraged first; only those that can bear ``price``.

    Ties by name. The score is the venue's: see the module.
    """
    scored: list[tuple[Decimal, str, str]] = []
    for name in state.holders.get(symbol, {}):
        if name in {HOUSE, FUND}:
            continue
        for pool in state.pools(name):
            for position in pool.positions:
                if position.symbol != symbol or position.quantity * opposite_of > 0:
                    continue
                assessment = state.assessment(name, pool.name)
                if assessment is None:  # another of its symbols has no price yet: nobody can say what it bears
                    continue
                line = next(line for line in assessment.lines if line.position is position)
                if price is not None and not _bears(assessment, line, price):
                    continue
                leg = "net" if (symbol, "net") in state.trader(name).held else position.side
                scored.append((_score(state, assessment, line), name, leg))
    return [(name, leg) for _, name, leg in sorted(scored, key=lambda row: (-row[0], row[1], row[2]))]


def _bears(assessment: Assessment, line: PositionLine, price: Price) -> bool:
    """Whether a pool has equity left when a whole line is closed at ``price`` instead of at its mark."""
    change = line.position.quantity * (line.contract.unit_value(price) - line.contract.unit_value(line.mark_price))
    if assessment.pool.collateral:
        terms = assessment.pool.collateral[line.contract.settle_asset]
        held = next(asset.equity for asset in assessment.assets if asset.asset == line.contract.settle_asset)
        change = ZERO if held is None else terms.value(held + change) - terms.value(held)
    return assessment.margin_balance is None or assessment.margin_balance + change >= 0


def _score(state: State, assessment: Assessment, line: PositionLine) -> Decimal:
    profit = divide(line.unrealised_pnl, abs(line.entry_value), places=RATIO_PLACES)
    equity = assessment.margin_balance or ZERO
    if equity <= 0:
        return profit
    weight = assessment.notional
    if state.rulebook.deleveraging_rank == "margin_ratio":
        weight = assessment.liquidation_requirement or ZERO
    factor = divide(weight, equity, places=RATIO_PLACES)
    if not factor:
        return profit
    return profit * factor if profit > 0 else divide(profit, factor, places=RATIO_PLACES)


__all__ = ["dispose", "rank_for_deleveraging"]
