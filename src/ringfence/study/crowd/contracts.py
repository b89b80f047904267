"""Which contracts of a venue a crowd trades on a tape: by the tape's names, or by the coins they stand for.

A tape says ``BTCUSDT``; venues say ``BTC-USDT-SWAP``, ``XBTUSDTM``, ``PF_XBTUSD`` or ``BTC``. A symbol that the venue
lists under its very name is that contract. Another one is matched by its coin (:func:`ringfence.contract.coin`): the
one perpetual of that coin that is settled in the crowd's asset, has tiers and the same multiplier (1000SHIB is not
SHIB). Then the tape's price stands in for that contract's, and the result says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import STABLE
from ringfence.contract import ContractKind, coin
from ringfence.errors import BadConfiguration, BadInput, BadTape
from ringfence.rulebooks import folders, names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ringfence.contract import Contract
    from ringfence.rulebook import Rulebook

_EXPIRES = re.compile(r"\d{6}|\d{1,2}[A-Z]{3}\d{2}|[FGHJKMNQUVXZ]\d{2}$")
_MULTIPLIER = re.compile(r"^(?:[PF][FI]_)?(10{2,6}|1M(?=[A-Z]{2}))?")
_FIRST = ("USDT", "USDC", "USD")  # of assets that as many symbols settle in


class Traded(NamedTuple):
    """What a crowd trades: the venue's symbol by the tape's, the settlement asset, and what is left out, with why."""

    asset: str
    symbols: Mapping[str, str]
    left_out: Mapping[str, str]

    @property
    def renamed(self) -> tuple[str, ...]:
        """Contracts whose prices another symbol's stand in for, as a clause each."""
        return tuple(f"{tape} for {venue}" for tape, venue in self.symbols.items() if tape != venue)


def contracts_of(rulebook: Rulebook, symbols: Iterable[str], *, asset: str | None = None) -> Traded:
    """Return the contracts that a crowd with capital in ``asset`` trades.

    ``asset`` None: that which the tape's symbols are quoted in; else the one that most of them can be traded in.

    Raises BadTape where the venue has none of them, BadConfiguration for an asset that none is settled in; both say
    what there is.
    """
    asked = tuple(symbols)
    matches = {symbol: _matches(rulebook, symbol) for symbol in asked}
    assets = _in_order(matches)
    if not assets:
        raise _nothing(rulebook, asked)
    if asset is not None and asset not in assets:
        raise BadConfiguration(
            f"no contract of {rulebook.title} for this tape is settled in {asset}", where="--asset",
            expected=" or ".join(assets), found=asset, hint="leave it out for the first of these",
        )  # fmt: skip
    chosen = asset or assets[0]
    found: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for symbol, contracts in matches.items():
        here = [contract.symbol for contract in contracts if contract.settle_asset == chosen]
        if symbol in here or len(here) == 1:
            found[symbol] = symbol if symbol in here else here[0]
        else:
            left_out[symbol] = f"it could be {' or '.join(here)}" if here else f"no tiers of it, settled in {chosen}"
    return Traded(chosen, found, left_out)


def is_coin(asset: str) -> bool:
    """Whether an asset is worth what its price says, rather than about a dollar."""
    return asset not in STABLE and asset != "USD"


def _matches(rulebook: Rulebook, symbol: str) -> list[Contract]:
    """Return the perpetuals with tiers that a tape's symbol can stand for: that of its name, then those of its coin."""
    named = _tradable(rulebook, symbol)
    stem, times = coin(symbol), _MULTIPLIER.match(symbol)
    others = [
        other
        for other in rulebook.symbols()
        if other != symbol
        and coin(other) == stem
        and not _EXPIRES.search(other)
        and (found := _MULTIPLIER.match(other)) is not None
        and times is not None
        and found[1] == times[1]
    ]
    return [contract for contract in (named, *(_tradable(rulebook, other) for other in others)) if contract is not None]


def _tradable(rulebook: Rulebook, symbol: str) -> Contract | None:
    try:
        contract, table = rulebook.entry(symbol)
    except BadInput:
        return None
    known = table is not None and table.tiers and all(tier.maintenance_rate is not None for tier in table.tiers)
    return contract if known and contract.kind in {ContractKind.LINEAR, ContractKind.INVERSE} else None


def _nothing(rulebook: Rulebook, symbols: tuple[str, ...]) -> BadTape:
    dated = folders(rulebook.name) if rulebook.name in names() else ()
    days = [str(folder.day) for folder in dated if folder.day is not None]
    later = [day for day in days if rulebook.as_of is not None and day > str(rulebook.as_of)]
    hint = "choose another tape, or another --rulebook"
    if later:
        hint = f"its tables begin later: give a day, --as-of {later[-1]}, or choose another --rulebook"
    return BadTape(
        f"{rulebook.title} has no table for any symbol of the tape", where="crowd",
        expected="perpetuals of coins that the venue has tiers of on the day, whatever it calls them",
        found=", ".join(symbols), hint=hint,
    )  # fmt: skip


def _in_order(matches: Mapping[str, list[Contract]]) -> list[str]:
    """Return the settlement assets of the matches: what the tape is quoted in first, then by how many are traded."""
    counts: dict[str, int] = {}
    for contracts in matches.values():
        for asset in {contract.settle_asset for contract in contracts}:
            counts[asset] = counts.get(asset, 0) + 1
    quoted = {asset for asset in counts if any(symbol.endswith(asset) and symbol != asset for symbol in matches)}
    rank = {asset: number for number, asset in enumerate(_FIRST)}
    return sorted(counts, key=lambda one: (one not in quoted, -counts[one], rank.get(one, len(rank)), one))


__all__ = ["Traded", "contracts_of", "is_coin"]
