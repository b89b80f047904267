"""Any other exchange: what ccxt's own structures tell, and no more than they are sure of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ringfence.errors import BadAccount
from ringfence.watch.book import ZERO, Book, needed, order, position, positive, set_modes, stated
from ringfence.watch.figures import EXACT, digits, exact, first
from ringfence.watch.tiers import symbol_of

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.watch.figures import Json
    from ringfence.watch.replies import Reply
    from ringfence.watch.venues import Venue

#: The exchange's own figures, preferred to ccxt's floats; the unified field is the fallback.
_ENTRY = ("avgPx", "openPriceAvg", "holdAvgPrice", "avgEntryPrice", "avgPrice", "entry_price", "entryPx", "entryPrice")
_MARK = ("markPx", "markPrice", "mark_price")
#: The exchange's own name of a contract.
_NAMES = ("instId", "contract", "contract_code", "instrument_name", "symbol", "market", "coin")


def read_unified(reply: Reply, venue: Venue) -> Book:
    """Return the account that ccxt's structures of ``venue`` tell.

    Isolated margin is ccxt's ``positionMargin`` (without unrealised PnL). ccxt's balances hold unrealised PnL and
    isolated margins at some exchanges and not at others: where that is not settled the wallet is unknown, with a note.
    """
    book = Book()
    legs, isolated = [], dict[str, "Decimal | None"]()
    for number, (record, unified) in enumerate(reply.positions):
        if not unified:
            raise BadAccount(
                f"a bare reply of {venue.exchange} is not among the accepted forms",
                where=f"positions[{number}]",
                expected="what ccxt's fetch_positions returns",
                hint="save ccxt's structures: balance, positions, orders",
            )
        contracts = needed(unified, "contracts", where=f"positions[{number}]")
        if contracts == 0:
            continue
        line = _position(book, reply, record, unified, contracts, where=f"positions[{number}]")
        legs.append(unified.get("hedged") is True)
        book.positions.append(line)
        if line["margin_mode"] == "isolated":
            asset = _settle_asset(unified)
            margin, before = exact(line["isolated_margin"]), isolated.get(asset, ZERO)
            isolated[asset] = None if margin is None or before is None else EXACT.add(before, margin)
    set_modes(book, reply, sides=legs)
    if book.collateral_mode is None:
        book.note("the reply does not tell the collateral mode (single_asset, multi_asset or portfolio)")
    _wallet(book, reply, venue, isolated)
    for record, unified in reply.orders:
        _order(book, reply, record, unified)
    return book


def _position(
    book: Book,
    reply: Reply,
    record: Mapping[str, Json],
    unified: Mapping[str, Json],
    contracts: Decimal,
    *,
    where: str,
) -> dict[str, str | None]:
    symbol = _symbol(reply, record, unified)
    side = unified.get("side")
    if side not in ("long", "short"):
        side = "short" if contracts < 0 else "long"
    mode = unified.get("marginMode")
    if mode not in ("cross", "isolated"):
        mode = None
        book.note(f"{symbol}: the reply does not tell whether the position is cross or isolated")
    margin = digits(unified.get("positionMargin")) if mode == "isolated" else None
    if mode == "isolated" and margin is None:
        book.note(f"{symbol}: the reply does not tell the isolated margin without unrealised PnL")
    mark = positive(first(record, *_MARK)) or positive(unified.get("markPrice"))
    if mark is None:
        book.note(f"{symbol}: the reply does not tell the mark price; the entry price is taken for it")
    leverage = positive(unified.get("leverage")) or positive(stated(reply, "leverage", symbol))
    if leverage is None:
        book.note(f"{symbol}: the reply does not tell the leverage")
    entry = positive(first(record, *_ENTRY))
    return position(
        symbol=symbol,
        side=side,
        quantity=contracts,
        entry_price=entry or format(needed(unified, "entryPrice", where=where), "f"),
        mark_price=mark,
        margin_mode=mode,
        isolated_margin=margin,
        leverage=leverage,
    )


def _symbol(reply: Reply, record: Mapping[str, Json], unified: Mapping[str, Json]) -> str:
    market = reply.markets.get(str(unified.get("symbol")))
    if isinstance(market, Mapping) and "id" in market:
        return symbol_of(market)
    return str(first(record, *_NAMES) or unified.get("symbol") or "")


def _settle_asset(unified: Mapping[str, Json]) -> str:
    """Return the settlement asset in a unified symbol: BTC/USDT:USDT, BTC/USD:BTC-260327."""
    return str(unified.get("symbol") or "").partition(":")[2].partition("-")[0]


def _wallet(book: Book, reply: Reply, venue: Venue, isolated: Mapping[str, Decimal | None]) -> None:
    rows = _own_rows(reply)
    for asset, total in _totals(reply).items():
        row = rows.get(asset, {})
        if venue.exchange == "bingx":
            own = exact(row.get("balance"))
        elif venue.exchange == "mexc" and exact(row.get("equity")) is not None:
            own = EXACT.subtract(exact(row["equity"]) or ZERO, exact(row.get("unrealized")) or ZERO)
        else:
            own = None
        margin = isolated.get(asset, ZERO)
        if own is None or margin is None:
            book.wallet[asset] = None
            book.note(
                f"{asset}: the wallet balance is not known. ccxt's total is {total}, which at {venue.exchange} "
                "may hold unrealised PnL or isolated margins; put in the balance without them"
            )
        else:
            book.wallet[asset] = format(EXACT.subtract(own, margin), "f")
    if not book.wallet and book.positions:
        book.note("the reply holds no balance: save what ccxt's fetch_balance returns too")


def _totals(reply: Reply) -> dict[str, str]:
    totals = reply.balance.get("total")
    if not isinstance(totals, Mapping):
        return {}
    texts = {str(asset): digits(total) for asset, total in totals.items() if exact(total)}
    return {asset: text for asset, text in texts.items() if text is not None}


def _own_rows(reply: Reply) -> dict[str, Mapping[str, Json]]:
    """Return the exchange's own records of balances by asset, wherever they lie in its reply."""
    rows = first(reply.wallet, "data", "list")
    if not isinstance(rows, list):
        return {}
    return {str(first(row, "asset", "currency")): row for row in rows if isinstance(row, Mapping)}


def _order(book: Book, reply: Reply, record: Mapping[str, Json], unified: Mapping[str, Json]) -> None:
    if exact(unified.get("triggerPrice")):
        book.note("orders that wait for a trigger price are left out: they need no margin until then")
        return
    symbol = _symbol(reply, record, unified)
    remaining = exact(unified.get("remaining"))
    order(
        book,
        symbol=symbol,
        side=str(unified.get("side") or ""),
        quantity=exact(unified.get("amount")) if remaining is None else remaining,
        price=positive(unified.get("price")),
        leverage=positive(stated(reply, "leverage", symbol)),
        reduce_only=unified.get("reduceOnly") is True,
        position_side=None,
    )
