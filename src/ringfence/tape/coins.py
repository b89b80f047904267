"""Which symbol of a tape stands in for a symbol of an account.

Tapes are of one venue and its names; accounts are of all of them. What a coin did is the same story under every name,
to a basis: ``BTC-USDT-SWAP``, ``PI_XBTUSD`` and ``BTCUSD_PERP`` all move with ``BTCUSDT``. One rule, ours, for whatever
takes accounts through a tape; results say which symbol stood in for which.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_PREFIX = re.compile(r"^(?:PI|PF|FI|FF)_")
_QUOTE = re.compile(r"(?:USDTM|USDCM|USDM|USDT|USDC|FDUSD|BUSD|USD|PERP)$")
_SEPARATOR = re.compile(r"[-_/:]")
_SAME = {"XBT": "BTC"}


def coin_of(symbol: str) -> str:
    """Return the coin that a contract is on, read off its name: ``BTC`` of ``PI_XBTUSD`` and of ``BTC-USDT-SWAP``."""
    first = _SEPARATOR.split(_PREFIX.sub("", symbol.upper()), maxsplit=1)[0]
    coin = _QUOTE.sub("", first) or first
    return _SAME.get(coin, coin)


def in_dollars(symbol: str) -> bool:
    """Whether a symbol is quoted in dollars, read off its name: not ``BTC-EUR``; where the name does not say, it is."""
    rest = _PREFIX.sub("", symbol.upper())
    after = _SEPARATOR.split(rest, maxsplit=1)
    return len(after) == 1 or "USD" in rest or after[1].startswith(("PERP", "SWAP")) or after[1][:1].isdigit()


def stand_in(symbol: str, known: Iterable[str]) -> str | None:
    """Return ``symbol`` where ``known`` has it, else the first of them on the same coin, else None."""
    names = list(known)
    if symbol in names:
        return symbol
    coin = coin_of(symbol)
    return next((name for name in names if coin_of(name) == coin), None)


def standing(symbols: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return the tape's symbol for each of ``symbols`` whose coin it has; empty: the tape says nothing of them."""
    return {symbol: name for symbol in symbols if (name := stand_in(symbol, known)) is not None}


__all__ = ["coin_of", "in_dollars", "stand_in", "standing"]
