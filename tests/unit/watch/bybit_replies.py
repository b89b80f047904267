"""Replies of Bybit's v5 shapes, small: two linear contracts, one position, one order, a unified wallet."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


def reply(result: dict[str, Any]) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1790000000000}


def instrument(name: str, *, base: str) -> dict[str, Any]:
    return {
        "symbol": name,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000",
            "minOrderQty": "0.001",
            "qtyStep": "0.001",
            "postOnlyMaxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
    }


def level(number: int, cap: str, rate: str, initial: str, leverage: str, deduction: str) -> dict[str, Any]:
    return {
        "id": number,
        "symbol": "BTCUSDT",
        "riskLimitValue": cap,
        "maintenanceMargin": rate,
        "initialMargin": initial,
        "isLowestRisk": int(number == 1),
        "maxLeverage": leverage,
        "mmDeduction": deduction,
    }


RISK_LIMITS = reply(
    {
        "category": "linear",
        "list": [
            level(1, "2000000", "0.005", "0.01", "100.00", ""),
            level(2, "2600000", "0.0056", "0.0111", "90.00", "1200"),
        ],
        "nextPageCursor": "",
    }
)

POSITION = {
    "positionIdx": 0,
    "riskId": 1,
    "riskLimitValue": "2000000",
    "symbol": "BTCUSDT",
    "side": "Sell",
    "size": "0.250",
    "avgPrice": "60000.50",
    "positionValue": "15000.125",
    "tradeMode": 0,
    "positionStatus": "Normal",
    "autoAddMargin": 0,
    "leverage": "12.5",
    "positionBalance": "",
    "markPrice": "61000.10",
    "liqPrice": "",
    "bustPrice": "",
    "positionMM": "84",
    "positionIM": "1208",
    "tpslMode": "Full",
    "unrealisedPnl": "-249.9",
    "curRealisedPnl": "0",
    "cumRealisedPnl": "0",
    "createdTime": "1790000000000",
    "updatedTime": "1790000000000",
}


def coin(name: str, *, wallet: str, equity: str, usd: str) -> dict[str, Any]:
    return {
        "coin": name,
        "equity": equity,
        "usdValue": usd,
        "walletBalance": wallet,
        "availableToWithdraw": "",
        "locked": "0",
        "borrowAmount": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
    }


WALLET = reply(
    {
        "list": [
            {
                "accountType": "UNIFIED",
                "accountIMRate": "0.05",
                "accountMMRate": "0.01",
                "totalEquity": "8000",
                "totalWalletBalance": "8250",
                "totalMarginBalance": "8000",
                "totalAvailableBalance": "7000",
                "totalPerpUPL": "-249.9",
                "totalInitialMargin": "1208",
                "totalMaintenanceMargin": "84",
                "coin": [
                    coin("USDT", wallet="5000.25", equity="4750.35", usd="4745.59965"),
                    coin("BTC", wallet="0.05", equity="0.05", usd="3050"),
                    coin("ETH", wallet="0", equity="0", usd="0"),
                ],
            }
        ]
    }
)

ORDER = {
    "symbol": "BTCUSDT",
    "orderId": "o-1",
    "orderLinkId": "",
    "orderType": "Limit",
    "orderStatus": "New",
    "side": "Sell",
    "price": "62000.00",
    "qty": "0.100",
    "leavesQty": "0.100",
    "cumExecQty": "0",
    "cumExecValue": "0",
    "avgPrice": "",
    "reduceOnly": True,
    "closeOnTrigger": False,
    "positionIdx": 0,
    "timeInForce": "GTC",
    "triggerPrice": "",
    "createdTime": "1790000000000",
    "updatedTime": "1790000000000",
}


def settled_in_usdt(*records: dict[str, Any]) -> Any:
    """Return what answers a query for one settlement coin: ``records`` for USDT, one a page, nothing for others."""

    def answer(query: dict[str, str], _: str) -> dict[str, Any]:
        rows = list(records) if query.get("settleCoin") == "USDT" else []
        start = int(query.get("cursor", "0"))
        more = str(start + 1) if start + 1 < len(rows) else ""
        return reply({"category": "linear", "list": rows[start : start + 1], "nextPageCursor": more})

    return answer


def replies() -> dict[str, Any]:
    """Return a fresh set of replies by path, to be changed by a test as it likes."""
    instruments = [instrument("BTCUSDT", base="BTC"), instrument("ETHUSDT", base="ETH")]
    return deepcopy(
        {
            "/v5/market/instruments-info": reply({"category": "linear", "list": instruments, "nextPageCursor": ""}),
            "/v5/market/risk-limit": RISK_LIMITS,
            "/v5/position/list": settled_in_usdt(POSITION),
            "/v5/order/realtime": settled_in_usdt(ORDER),
            "/v5/account/wallet-balance": WALLET,
            "/v5/account/info": reply({"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 6}),
            "/v5/user/query-api": reply({"readOnly": 1, "permissions": {}, "unified": 0, "uta": 1}),
        }
    )
