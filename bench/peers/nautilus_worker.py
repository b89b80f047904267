"""nautilus_trader's margin functions: maintenance margin and unrealised PnL of open positions, at a flat rate.

All positions are of one instrument, which is the cheapest for it; it has neither tiers nor a liquidation price.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

from measuring import seconds_per_call
from nautilus_trader import __version__
from nautilus_trader.accounting.accounts.margin import MarginAccount
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import AccountType, LiquiditySide, OrderSide, OrderType
from nautilus_trader.model.events import AccountState, OrderFilled
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientOrderId,
    PositionId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.model.position import Position
from nautilus_trader.test_kit.providers import TestInstrumentProvider

INSTRUMENT = TestInstrumentProvider.btcusdt_perp_binance()
OWNER = AccountId("BINANCE-001")


def account() -> MarginAccount:
    """Return a margin account in USDT at ten times leverage."""
    state = AccountState(
        account_id=OWNER,
        account_type=AccountType.MARGIN,
        base_currency=None,
        reported=True,
        balances=[AccountBalance(Money(1_000_000, USDT), Money(0, USDT), Money(1_000_000, USDT))],
        margins=[],
        info={},
        event_id=UUID4(),
        ts_event=0,
        ts_init=0,
    )
    built = MarginAccount(state)
    built.set_default_leverage(Decimal(10))
    return built


def position(number: int) -> Position:
    """Return an open position."""
    fill = OrderFilled(
        trader_id=TraderId("T-001"),
        strategy_id=StrategyId("S-001"),
        instrument_id=INSTRUMENT.id,
        client_order_id=ClientOrderId(f"O-{number}"),
        venue_order_id=VenueOrderId(str(number)),
        account_id=OWNER,
        trade_id=TradeId(str(number)),
        position_id=PositionId(f"P-{number}"),
        order_side=OrderSide.SELL if number % 3 == 0 else OrderSide.BUY,
        order_type=OrderType.MARKET,
        last_qty=Quantity.from_str(f"{number % 7 + 1}.250"),
        last_px=Price.from_str(f"{117_000 + number}.5"),
        currency=USDT,
        commission=Money(0, USDT),
        liquidity_side=LiquiditySide.TAKER,
        event_id=UUID4(),
        ts_event=0,
        ts_init=0,
    )
    return Position(INSTRUMENT, fill)


def timed(sizes: list[int], seconds: float) -> dict[str, float]:
    """Return seconds per call: maintenance margin, and that with PnL, of all positions of an account."""
    owner, mark = account(), Price.from_str("116000.0")
    result = {}
    for size in sizes:
        held = [position(number) for number in range(1, size + 1)]

        def maintenance(held: list[Position] = held) -> list[Money]:
            return [owner.calculate_margin_maint(INSTRUMENT, each.side, each.quantity, mark) for each in held]

        def with_pnl(held: list[Position] = held) -> list[tuple[Money, Money]]:
            return [
                (owner.calculate_margin_maint(INSTRUMENT, each.side, each.quantity, mark), each.unrealized_pnl(mark))
                for each in held
            ]

        result[f"maintenance {size}"] = seconds_per_call(maintenance, at_least=seconds)
        result[f"maintenance and pnl {size}"] = seconds_per_call(with_pnl, at_least=seconds)
    return result


def main() -> None:
    """Answer questions until there are no more."""
    sizes: list[int] = []
    for line in sys.stdin:
        question = json.loads(line)
        if question["ask"] == "prepare":
            sizes = [len(book["trades"]) for book in question["books"]]
            answer: dict[str, Any] = {"version": __version__}
        else:
            answer = timed(sizes, question["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
