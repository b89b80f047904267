"""freqtrade's margin functions, on a Binance object that was built without a network.

Only its formulas run: the object gets our tier tables, the configuration of a backtest and nothing else. Its numbers
(question ``prices``) are taken with ``runmode`` dry_run and the marks handed in, so that it values other positions at
their marks; its times (question ``round``) with runmode backtest, its fastest way.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from freqtrade import __version__
from freqtrade.enums import MarginMode, RunMode, TradingMode
from freqtrade.exchange.binance import Binance
from measuring import seconds_per_call


def exchange(tiers: dict[str, list[dict[str, float]]], mode: MarginMode, run: RunMode = RunMode.BACKTEST) -> Any:
    """Return a Binance object that can do nothing but compute."""
    built: Any = object.__new__(Binance)
    built.__dict__ |= {"_config": {"runmode": run, "dry_run": True}, "_leverage_tiers": tiers}
    built.trading_mode = TradingMode.FUTURES
    built.margin_mode = mode
    built.exchange_has = lambda _endpoint: True
    return built


def price(binance: Any, trade: Any, wallet: float, trades: list[Any]) -> float:
    """Return freqtrade's liquidation price of one trade."""
    return binance.dry_run_liquidation_price(
        trade.pair, trade.open_rate, trade.is_short, trade.amount, trade.stake_amount, trade.leverage, wallet, trades
    )


def prices(tiers: dict[str, Any], book: dict[str, Any], marks: dict[str, float]) -> dict[str, Any]:
    """Return its liquidation prices of a book held isolated and held cross."""
    trades = [SimpleNamespace(**trade) for trade in book["trades"]]
    isolated = exchange(tiers, MarginMode.ISOLATED)
    cross = exchange(tiers, MarginMode.CROSS, RunMode.DRY_RUN)
    cross.fetch_funding_rates = lambda pairs: {pair: {"markPrice": marks[pair]} for pair in pairs}
    return {
        "isolated": [price(isolated, trade, trade.stake_amount, []) for trade in trades],
        "cross": [price(cross, trade, book["wallet"], trades) for trade in trades],
    }


def timed(tiers: dict[str, Any], books: list[dict[str, Any]], seconds: float) -> dict[str, float]:
    """Return seconds per call: all liquidation prices, and all tier lookups, of each book."""
    isolated, cross = exchange(tiers, MarginMode.ISOLATED), exchange(tiers, MarginMode.CROSS)
    result = {}
    for book in books:
        trades = [SimpleNamespace(**trade) for trade in book["trades"]]

        def all_isolated(trades: list[Any] = trades) -> list[float]:
            return [price(isolated, trade, trade.stake_amount, []) for trade in trades]

        def all_cross(trades: list[Any] = trades, wallet: float = book["wallet"]) -> list[float]:
            return [price(cross, trade, wallet, trades) for trade in trades]

        def all_tiers(trades: list[Any] = trades) -> list[tuple[float, float]]:
            return [isolated.get_maintenance_ratio_and_amt(trade.pair, trade.stake_amount) for trade in trades]

        for name, call in (("isolated", all_isolated), ("cross", all_cross), ("tiers", all_tiers)):
            result[f"{name} {len(trades)}"] = seconds_per_call(call, at_least=seconds)
    return result


def main() -> None:
    """Answer questions until there are no more."""
    Binance.__del__ = lambda _self: None  # it would close connections that were never made
    start: dict[str, Any] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if question["ask"] == "prepare":
            start = question
            answer: dict[str, Any] = {"version": __version__}
            answer |= prices(start["tiers"], start["compared"], start["marks"])
        else:
            answer = timed(start["tiers"], start["books"], question["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
