"""Automatic margin replenishment: an isolated position is topped up from the wallet before it would be liquidated.

==================  ===============================================================================================
``one_initial``     one current initial margin at a time, or all that is free (Bybit, KuCoin)
``to_initial``      up to the initial margin (OKX)
``user_amount``     what the trader set, as far as it is free, after the symbol's orders are cancelled (BingX)
==================  ===============================================================================================

Never beyond the position's value: the effective leverage has a floor of 1 (Bybit says so; elsewhere it is ours).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.engine.events import MoneyMoved, OrderClosed
from ringfence.ledger import move
from ringfence.margin.assess import assess
from ringfence.margin.exchange import withdrawable
from ringfence.numbers import ONE, ROUND_CEILING, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.margin.assessment import Assessment
    from ringfence.margin.lines import PositionLine
    from ringfence.numbers import Value


@exact
def replenish(state: State, name: str, assessment: Assessment, command: Command) -> Iterator[Event]:
    """Yield the top-up of an isolated position that is liquidatable, where it is switched on and the venue has one."""
    line = assessment.lines[0]
    symbol, asset = line.position.symbol, line.contract.settle_asset
    chosen, policy = state.trader(name).replenishment.get(symbol, "off"), state.rulebook.replenishment
    if chosen == "off" or policy == "none" or line.initial_margin is None:
        return
    if policy == "user_amount":
        for order in list(state.trader(name).orders.values()):
            if order.symbol == symbol:
                yield OrderClosed(command.id, command.at, name, order.id, "replenishment")
    balance = assessment.margin_balance or ZERO
    if policy == "to_initial":
        wanted = line.initial_margin - balance
    elif policy == "user_amount":
        wanted = Decimal(chosen.removeprefix("on ")) if chosen.startswith("on ") else line.initial_margin
    else:
        missing = max(ZERO, (assessment.liquidation_requirement or ZERO) - balance)
        wanted = (divide(missing, line.initial_margin, places=0, rounding=ROUND_CEILING) or ONE) * line.initial_margin
    leg = "net" if (symbol, "net") in state.trader(name).held else line.position.side
    account = books.isolated(name, symbol, leg)
    room = line.position_value - state.ledger.balance(account, asset)
    amount = min(wanted, _free(state, name, line), room)
    if amount > 0:
        postings = move(asset, amount, out_of=books.wallet(name), into=account)
        yield MoneyMoved(command.id, command.at, name, "replenishment", postings)


def _free(state: State, name: str, line: PositionLine) -> Value:
    """Return what of a wallet's own money no shared position or order ties up."""
    asset = line.contract.settle_asset
    shared = next((pool for pool in state.pools(name) if pool.name == state.trader(name).shared_pool(asset)), None)
    if shared is None:
        return ZERO
    assessed = assess(shared, state.marks, state.rulebook)
    free = (withdrawable(assessed, asset) if shared.collateral else assessed.available_balance) or ZERO
    return min(free, state.ledger.balance(books.wallet(name), asset))


__all__ = ["replenish"]
