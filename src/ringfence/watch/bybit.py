"""Bybit v5: what its wallet, position and order records mean for margin."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context
from typing import TYPE_CHECKING

from ringfence.watch.book import ZERO, Book, needed, order, position, positive, set_modes, stated
from ringfence.watch.figures import EXACT, digits, exact, first

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.watch.figures import Json
    from ringfence.watch.replies import Reply

#: An index is the quotient of two of Bybit's figures: half even to 18 digits, far beyond those figures themselves.
_INDEX = Context(prec=18, rounding=ROUND_HALF_EVEN)


def read_bybit(reply: Reply) -> Book:
    """Return the account that Bybit's records tell.

    In a unified account the margin mode belongs to the account, not to the position: a wallet without an initial
    margin rate is in isolated mode. Isolated margin is ``positionBalance`` (without unrealised PnL); the cross wallet
    is ``walletBalance`` less the isolated margins of that coin.
    """
    book = Book()
    account = _account(reply)
    set_modes(book, reply, sides=[str(record.get("positionIdx", 0)) in ("1", "2") for record, _ in reply.positions])
    if book.collateral_mode is None and account is not None:
        book.collateral_mode = _collateral_mode(book, account)
    isolated: dict[str, Decimal | None] = {}
    for number, (record, _) in enumerate(reply.positions):
        size = needed(record, "size", where=f"positions[{number}]")
        if size == 0:
            continue
        line = _position(book, reply, account, record, size, where=f"positions[{number}]")
        book.positions.append(line)
        if line["margin_mode"] == "isolated":
            coin = settle_coin(str(record.get("symbol")))
            margin, before = exact(line["isolated_margin"]), isolated.get(coin, ZERO)
            isolated[coin] = None if margin is None or before is None else EXACT.add(before, margin)
    _wallet(book, account, isolated)
    for record, _ in reply.orders:
        _order(book, reply, record)
    return book


def settle_coin(symbol: str) -> str:
    """Return the coin that settles a contract: BTCUSDT in USDT, BTCPERP and BTC-26JUN26 in USDC, BTCUSD in BTC."""
    pair = symbol.partition("-")[0]
    if pair.endswith("USDT"):
        return "USDT"
    if pair.endswith("PERP") or "-" in symbol:
        return "USDC"
    base, usd, _ = pair.partition("USD")
    return base if usd else pair


def _account(reply: Reply) -> Mapping[str, Json] | None:
    if reply.wallet is None:
        return None
    result = reply.wallet.get("result")
    rows = result.get("list") if isinstance(result, Mapping) else None
    return rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], Mapping) else None


def _is_isolated_account(account: Mapping[str, Json] | None) -> bool:
    """Return whether a unified account is in isolated mode: it has no account-wide rates then."""
    return account is not None and account.get("accountType") == "UNIFIED" and account.get("accountIMRate") == ""


def _collateral_mode(book: Book, account: Mapping[str, Json]) -> str:
    if account.get("accountType") != "UNIFIED" or _is_isolated_account(account):
        return "single_asset"
    book.note("the reply does not tell cross from portfolio margin; cross (multi_asset) is taken")
    return "multi_asset"


def _position(
    book: Book,
    reply: Reply,
    account: Mapping[str, Json] | None,
    record: Mapping[str, Json],
    size: Decimal,
    *,
    where: str,
) -> dict[str, str | None]:
    symbol = str(first(record, "symbol") or "")
    mode = stated(reply, "margin_mode", symbol) or stated(reply, "margin_mode", "*")
    if mode is None:
        isolated = str(record.get("tradeMode")) == "1" or _is_isolated_account(account)
        mode = "isolated" if isolated else "cross"
        if account is None and not isolated:
            book.note("without the wallet balance the margin mode is not certain; cross is taken")
    margin = positive(record.get("positionBalance")) if mode == "isolated" else None
    if mode == "isolated" and margin is None:
        book.note(f"{symbol}: the reply does not tell the isolated margin (positionBalance is empty)")
    mark, leverage = positive(record.get("markPrice")), positive(record.get("leverage"))
    if mark is None:
        book.note(f"{symbol}: the reply does not tell the mark price; the entry price is taken for it")
    if leverage is None:
        book.note(f"{symbol}: the reply does not tell the leverage")
    return position(
        symbol=symbol,
        side=_side(record),
        quantity=size,
        entry_price=format(needed(record, "avgPrice", "entryPrice", where=where), "f"),
        mark_price=mark,
        margin_mode=str(mode),
        isolated_margin=margin,
        leverage=leverage,
    )


def _side(record: Mapping[str, Json]) -> str:
    leg = str(record.get("positionIdx", 0))
    if leg in ("1", "2"):
        return "long" if leg == "1" else "short"
    return "short" if record.get("side") == "Sell" else "long"


def _wallet(book: Book, account: Mapping[str, Json] | None, isolated: Mapping[str, Decimal | None]) -> None:
    if account is None:
        coins = sorted({settle_coin(str(line["symbol"])) for line in book.positions})
        book.wallet = dict.fromkeys(coins)
        book.note("the reply holds no balance: save GET /v5/account/wallet-balance too")
        return
    for row in account.get("coin", ()):
        coin, balance = str(row.get("coin")), exact(row.get("walletBalance"))
        if balance is None or balance == 0:
            continue
        margin = isolated.get(coin, ZERO)
        if margin is None:
            book.wallet[coin] = None
            book.note(f"{coin}: the shared wallet is not known, because an isolated margin in it is not")
            continue
        book.wallet[coin] = (
            digits(row["walletBalance"]) if margin == 0 else format(EXACT.subtract(balance, margin), "f")
        )
        if book.collateral_mode == "multi_asset" and coin not in book.collateral:
            book.collateral[coin] = {"index": _index(row)}
    if book.collateral_mode == "multi_asset":
        book.note("the reply does not tell the collateral ratios of the coins: they are the rulebook's")


def _index(row: Mapping[str, Json]) -> str | None:
    """Return the coin's price in USD that Bybit counted with: usdValue ÷ equity."""
    value, equity = exact(row.get("usdValue")), exact(row.get("equity"))
    if not value or not equity:
        return None
    return format(_INDEX.divide(value, equity), "f")


def _order(book: Book, reply: Reply, record: Mapping[str, Json]) -> None:
    symbol = str(first(record, "symbol") or "")
    if record.get("orderStatus") == "Untriggered":
        book.note("orders that wait for a trigger price are left out: they need no margin until then")
        return
    quantity = exact(first(record, "leavesQty"))
    order(
        book,
        symbol=symbol,
        side=str(record.get("side") or ""),
        quantity=exact(record.get("qty")) if quantity is None else quantity,
        price=positive(record.get("price")),
        leverage=positive(stated(reply, "leverage", symbol)),
        reduce_only=record.get("reduceOnly") is True or record.get("closeOnTrigger") is True,
        position_side={"1": "long", "2": "short"}.get(str(record.get("positionIdx"))),
    )
