"""Replies of Binance's shapes, small: two USDⓈ-M contracts, an isolated and a cross position, one order."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


def symbol(name: str, *, base: str, step: str = "0.001") -> dict[str, Any]:
    return {
        "symbol": name,
        "pair": name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "underlyingType": "COIN",
        "liquidationFee": "0.012500",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000", "stepSize": step},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC"],
    }


def bracket(number: int, floor: int, cap: int, rate: float, cum: float, leverage: int) -> dict[str, Any]:
    return {
        "bracket": number,
        "initialLeverage": leverage,
        "notionalCap": cap,
        "notionalFloor": floor,
        "maintMarginRatio": rate,
        "cum": cum,
    }


EXCHANGE_INFO: dict[str, Any] = {
    "timezone": "UTC",
    "serverTime": 1790000000000,
    "symbols": [symbol("BTCUSDT", base="BTC"), symbol("ETHUSDT", base="ETH", step="0.01")],
}

BRACKETS: list[dict[str, Any]] = [
    {
        "symbol": "BTCUSDT",
        "brackets": [
            bracket(2, 300_000, 800_000, 0.005, 300.0, 100),
            bracket(1, 0, 300_000, 0.004, 0.0, 125),
        ],
    },
    {"symbol": "ETHUSDT", "brackets": [bracket(1, 0, 250_000, 0.0065, 0.0, 75)]},
]

POSITION_RISK: list[dict[str, Any]] = [
    {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "-0.500",
        "entryPrice": "60000.10",
        "breakEvenPrice": "59970.0",
        "markPrice": "61000.00000000",
        "unRealizedProfit": "-499.95000000",
        "liquidationPrice": "64000",
        "isolatedMargin": "2500.05000000",
        "notional": "-30500.00000000",
        "isolatedWallet": "3000.00000000",
        "marginAsset": "USDT",
        "initialMargin": "1525",
        "maintMargin": "122",
        "positionInitialMargin": "1525",
        "openOrderInitialMargin": "0",
        "adl": 2,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": 1790000000000,
    },
    {
        "symbol": "ETHUSDT",
        "positionSide": "BOTH",
        "positionAmt": "2.00",
        "entryPrice": "3000.5",
        "breakEvenPrice": "3001",
        "markPrice": "3100.25000000",
        "unRealizedProfit": "199.50000000",
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": "6200.50000000",
        "isolatedWallet": "0",
        "marginAsset": "USDT",
        "initialMargin": "310",
        "maintMargin": "40",
        "positionInitialMargin": "310",
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": 1790000000000,
    },
]


def asset(name: str, *, wallet: str, cross: str) -> dict[str, Any]:
    return {
        "asset": name,
        "walletBalance": wallet,
        "unrealizedProfit": "-300.45000000",
        "marginBalance": "9699.55000000",
        "maintMargin": "162",
        "initialMargin": "1835",
        "positionInitialMargin": "1835",
        "openOrderInitialMargin": "0",
        "crossWalletBalance": cross,
        "crossUnPnl": "199.50000000",
        "availableBalance": "5000",
        "maxWithdrawAmount": "5000",
        "updateTime": 1790000000000,
    }


ACCOUNT: dict[str, Any] = {
    "totalInitialMargin": "1835",
    "totalMaintMargin": "162",
    "totalWalletBalance": "10000.00000000",
    "totalUnrealizedProfit": "-300.45000000",
    "totalMarginBalance": "9699.55000000",
    "totalCrossWalletBalance": "7000.00000000",
    "availableBalance": "5000",
    "assets": [
        asset("USDT", wallet="10000.00000000", cross="7000.00000000"),
        asset("USDC", wallet="0.00000000", cross="0.00000000"),
    ],
    "positions": [
        {
            "symbol": "BTCUSDT",
            "positionSide": "BOTH",
            "positionAmt": "-0.500",
            "unrealizedProfit": "-499.95000000",
            "isolatedMargin": "2500.05",
            "notional": "-30500",
            "isolatedWallet": "3000",
            "initialMargin": "1525",
            "maintMargin": "122",
            "updateTime": 1790000000000,
        }
    ],
}

OPEN_ORDERS: list[dict[str, Any]] = [
    {
        "orderId": 77,
        "symbol": "ETHUSDT",
        "status": "PARTIALLY_FILLED",
        "clientOrderId": "a",
        "price": "2900.00",
        "avgPrice": "2900.00",
        "origQty": "3.00",
        "executedQty": "1.00",
        "cumQuote": "2900",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "origType": "LIMIT",
        "time": 1790000000000,
        "updateTime": 1790000000000,
    }
]

READ_ONLY = {
    "ipRestrict": True,
    "createTime": 1700000000000,
    "enableReading": True,
    "enableFutures": False,
    "enableSpotAndMarginTrading": False,
    "enableWithdrawals": False,
    "permitsUniversalTransfer": False,
}


def replies() -> dict[str, Any]:
    """Return a fresh set of replies by path, to be changed by a test as it likes."""
    return deepcopy(
        {
            "/fapi/v1/exchangeInfo": EXCHANGE_INFO,
            "/fapi/v1/leverageBracket": BRACKETS,
            "/fapi/v3/account": ACCOUNT,
            "/fapi/v3/positionRisk": POSITION_RISK,
            "/fapi/v1/openOrders": OPEN_ORDERS,
            "/fapi/v1/positionSide/dual": {"dualSidePosition": False},
            "/fapi/v1/multiAssetsMargin": {"multiAssetsMargin": False},
            "/fapi/v1/symbolConfig": [
                {"symbol": "BTCUSDT", "marginType": "ISOLATED", "isAutoAddMargin": False, "leverage": 20},
                {"symbol": "ETHUSDT", "marginType": "CROSSED", "isAutoAddMargin": False, "leverage": 25},
            ],
            "/sapi/v1/account/apiRestrictions": READ_ONLY,
        }
    )
