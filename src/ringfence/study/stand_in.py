"""Which symbol of a tape stands in for a symbol of an account, and what does where the tape lacks the coin.

Tapes are of one venue and its names; accounts are of all of them. What a coin did is the same story under every name,
to a basis: ``BTC-USDT-SWAP``, ``PI_XBTUSD`` and ``BTCUSD_PERP`` all move with ``BTCUSDT``. A coin that the tape lacks
is taken to have done the median of what the tape's symbols did, between the least and the most of them; a tape that has
no coin of the account says nothing. One rule for crashes, estimates and advice, ours, and results say what was put in.
"""

from __future__ import annotations

import re
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

from ringfence.numbers import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_PREFIX = re.compile(r"^(?:PI|PF|FI|FF)_")
_QUOTE = re.compile(r"(?:USDTM|USDCM|USDM|USDT|USDC|FDUSD|BUSD|USD|PERP)$")
_SEPARATOR = re.compile(r"[-_/:]")
_SAME = {"XBT": "BTC"}
_DEEPEST = Decimal("-0.99")  # a fall beyond it is no price

Measure = Literal["move", "volatility"]


class PutIn(NamedTuple):
    """What was put in for a coin that a tape lacks: the median of the tape's symbols, and the least and most of them.

    ``measure``: ``move``, a share of the price, or ``volatility``, a standard deviation of the return over a day.
    ``of``: how many symbols the tape has.
    """

    symbol: str
    tape: str
    measure: Measure
    median: Decimal
    least: Decimal
    most: Decimal
    of: int

    def said(self) -> str:
        """Return it as a sentence."""
        middle, least, most = (_percent(share) for share in (self.median, self.least, self.most))
        what = "daily volatility" if self.measure == "volatility" else "move"
        if self.of == 1:
            return (
                f"the {what} of its only symbol stands in, {middle}; {least} to {most} are taken to be possible (ours)"
            )
        return f"the median {what} of its {self.of} symbols stands in, {middle}; theirs are {least} to {most}"

    def as_json(self) -> dict[str, str | int]:
        """Return it with numbers as strings."""
        return {"symbol": self.symbol, "tape": self.tape, "measure": self.measure, "median": plain(self.median),
                "least": plain(self.least), "most": plain(self.most), "of": self.of}  # fmt: skip


def coin_of(symbol: str) -> str:
    """Return the coin that a contract is on, read off its name: ``BTC`` of ``PI_XBTUSD`` and of ``BTC-USDT-SWAP``."""
    first = _SEPARATOR.split(_PREFIX.sub("", symbol.upper()), maxsplit=1)[0]
    coin = _QUOTE.sub("", first) or first
    return _SAME.get(coin, coin)


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


def put_in(symbol: str, known: Collection[Decimal], *, tape: str, measure: Measure = "move") -> PutIn:
    """Return what stands in for a figure of ``symbol``, which the tape lacks. ``known``: those of the tape's symbols.

    One symbol has no spread: half and twice its figure are the least and the most then. Ours.
    """
    by_size = sorted(known, key=abs)
    least, most = (by_size[0], by_size[-1]) if len(by_size) > 1 else (by_size[0] / 2, by_size[0] * 2)
    return PutIn(symbol, tape, measure, median(known), least, max(most, _DEEPEST), len(known))


def said(given: Iterable[PutIn], *, of: str) -> list[str]:
    """Return sentences on what was put in, a sentence for the symbols that were given the same. ``of``: the tape."""
    symbols: dict[str, list[str]] = {}
    for one in given:
        symbols.setdefault(one.said(), []).append(one.symbol)
    return [f"* {of} has no {', '.join(names)}: {sentence}" for sentence, names in symbols.items()]


def _percent(share: Decimal) -> str:
    return f"{'−' if share < 0 else ''}{abs(share) * 100:.1f} %"


__all__ = ["PutIn", "coin_of", "put_in", "said", "stand_in", "standing"]
