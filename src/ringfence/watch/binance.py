"""Binance futures, USDⓈ-M and COIN-M: what its account and position records mean for margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.watch.book import ZERO, Book, needed, order, position, positive, set_modes, stated
from ringfence.watch.figures import EXACT, digits, exact, first

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ringfence.watch.figures import Json
    from ringfence.watch.replies import Reply


def read_binance(reply: Reply) -> Book:
    """Return the account that Binance's records tell.

    Isolated margin is ``isolatedWallet``, or ``isolatedMargin`` less unrealised PnL (it contains it). The cross wallet
    is ``crossWalletBalance``, or ``walletBalance`` less the isolated wallets of that asset.
    """
    book = Book()
    isolated: dict[str, Decimal] = {}
    legs = []
    for number, (record, _) in enumerate(reply.positions):
        where = f"positions[{number}]"
        amount = needed(record, "positionAmt", where=where)
        legs.append(record.get("positionSide") in ("LONG", "SHORT"))
        if amount == 0:
            continue
        line = _position(book, reply, record, amount, where=where)
        book.positions.append(line)
        margin = exact(line["isolated_margin"])
        if margin is not None:
            asset = _settle_asset(record)
            isolated[asset] = EXACT.add(isolated.get(asset, ZERO), margin)
    set_modes(book, reply, sides=legs)
    _wallet(book, reply, isolated)
    for record, _ in reply.orders:
        _order(book, reply, record)
    return book


def _position(
    book: Book, reply: Reply, record: Mapping[str, Json], amount: Decimal, *, where: str
) -> dict[str, str | None]:
    symbol = str(first(record, "symbol") or "")
    mode = _margin_mode(reply, record, symbol)
    margin = None
    if mode == "isolated":
        margin = _isolated_margin(record)
        if margin is None:
            book.note(f"{symbol}: the reply does not tell the isolated margin")
    leverage = positive(first(record, "leverage")) or positive(stated(reply, "leverage", symbol))
    if leverage is None:
        book.note(f"{symbol}: the reply does not tell the leverage (positionRisk v3 has none, symbolConfig has it)")
    mark = positive(first(record, "markPrice"))
    if mark is None:
        book.note(f"{symbol}: the reply does not tell the mark price; the entry price is taken for it")
    if mode is None:
        book.note(f"{symbol}: the reply does not tell whether the position is cross or isolated")
    side = record.get("positionSide")
    return position(
        symbol=symbol,
        side="short" if amount < 0 or side == "SHORT" else "long",
        quantity=amount,
        entry_price=format(needed(record, "entryPrice", where=where), "f"),
        mark_price=mark,
        margin_mode=mode,
        isolated_margin=margin,
        leverage=leverage,
    )


def _margin_mode(reply: Reply, record: Mapping[str, Json], symbol: str) -> str | None:
    """Return the margin mode; v3 does not name it, but only an isolated position has an isolated margin."""
    named = str(first(record, "marginType") or "").lower()
    if named:
        return "isolated" if named == "isolated" else "cross"
    if isinstance(record.get("isolated"), bool):
        return "isolated" if record["isolated"] else "cross"
    amounts = [exact(record.get(name)) for name in ("isolatedWallet", "isolatedMargin")]
    if any(amounts):
        return "isolated"
    if any(amount is not None for amount in amounts):
        return "cross"
    named = str(stated(reply, "margin_mode", symbol) or "").lower()
    return named or None


def _isolated_margin(record: Mapping[str, Json]) -> str | None:
    if exact(record.get("isolatedWallet")):
        return digits(record["isolatedWallet"])
    margin = exact(record.get("isolatedMargin"))
    profit = exact(first(record, "unRealizedProfit", "unrealizedProfit"))
    if margin is None or profit is None:
        return None
    return format(EXACT.subtract(margin, profit), "f")


def _settle_asset(record: Mapping[str, Json]) -> str:
    """Return the asset that settles a contract: the quote of BTCUSDT and BTCUSDT_260327, the base of BTCUSD_PERP."""
    named = first(record, "marginAsset")
    if named is not None:
        return str(named)
    pair = str(first(record, "symbol") or "").partition("_")[0]
    if pair.endswith("USD") and not pair.endswith("BUSD"):
        return pair.removesuffix("USD")
    quotes = ("USDT", "USDC", "FDUSD", "BUSD", "USD1", "BTC", "ETH")
    return next((quote for quote in quotes if pair.endswith(quote)), "USDT")


def _wallet(book: Book, reply: Reply, isolated: Mapping[str, Decimal]) -> None:
    if reply.wallet is None:
        assets = sorted({_settle_asset(record) for record, _ in reply.positions if exact(record.get("positionAmt"))})
        book.wallet = dict.fromkeys(assets)
        book.note("the reply holds no balance: save GET /fapi/v3/account too")
        return
    for row in reply.wallet.get("assets", ()):
        cross = exact(row.get("crossWalletBalance"))
        text = digits(row.get("crossWalletBalance"))
        if cross is None:
            total = exact(row.get("walletBalance"))
            cross = None if total is None else EXACT.subtract(total, isolated.get(str(row.get("asset")), ZERO))
            text = None if cross is None else format(cross, "f")
        if cross != 0:
            book.wallet[str(row.get("asset"))] = text
    together = reply.wallet.get("multiAssetsMargin")
    if book.collateral_mode is None and isinstance(together, bool):
        book.collateral_mode = "multi_asset" if together else "single_asset"
    if book.collateral_mode is None:
        book.note("the reply does not tell whether Multi-Assets mode is on (GET /fapi/v1/multiAssetsMargin does)")
    if book.collateral_mode == "multi_asset" and not book.collateral:
        book.note("the reply does not tell the collateral rates of the assets (GET /fapi/v1/assetIndex does)")


def _order(book: Book, reply: Reply, record: Mapping[str, Json]) -> None:
    symbol = str(first(record, "symbol") or "")
    if exact(record.get("stopPrice")):
        book.note("orders that wait for a trigger price are left out: they need no margin until then")
        return
    total, filled = exact(record.get("origQty")), exact(record.get("executedQty")) or ZERO
    order(
        book,
        symbol=symbol,
        side=str(record.get("side") or ""),
        quantity=None if total is None else EXACT.subtract(total, filled),
        price=positive(record.get("price")),
        leverage=positive(stated(reply, "leverage", symbol)),
        reduce_only=record.get("reduceOnly") is True,
        position_side={"LONG": "long", "SHORT": "short"}.get(str(record.get("positionSide"))),
    )
