"""Bands of plain traders' pools, without assessing them: after a crash thousands have to be given new ones.

The bands are those that :class:`~ringfence.screen.bands.PoolBands` finds for an assessment of the same pool
(:mod:`ringfence.margin.plain`); a law test holds both together. No policy that has terms there is without bands here: a
requirement that is a rate of the tier times a value is linear inside the tier, and so is a fee on the mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.engine.plain import plain_pools, terms_at
from ringfence.margin.plain import parts
from ringfence.numbers import ZERO
from ringfence.screen.bands import OneSymbol, between, tier_band

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal
    from typing import TypeAlias

    from ringfence.engine.state import State
    from ringfence.engine.trader import Trader
    from ringfence.margin.plain import Parts, Terms
    from ringfence.numbers import Price, Quantity, Value
    from ringfence.rulebook import Rulebook, TierTable
    from ringfence.screen.bands import Band

    Watched: TypeAlias = tuple[tuple[Decimal, ...], tuple[Decimal, ...]]
    Bands: TypeAlias = dict[str, Band]
    Row: TypeAlias = tuple[Terms, Quantity, Parts]


class PlainBands:
    """Finds the bands of plain traders. Keeps the terms of symbols as long as their mark and the rules hold."""

    __slots__ = ("_terms",)

    def __init__(self) -> None:
        self._terms: dict[tuple[str, bool], tuple[Price, Rulebook, Terms | None]] = {}

    def around(
        self, state: State, trader: Trader, marks: Mapping[str, Price], edges: Edges,
        watched: Callable[[State, Trader, str], Watched | None],
    ) -> dict[str, Bands] | None:  # fmt: skip
        """Return the bands of every pool of a trader by its name: empty ones for a pool without; None: not plain.

        ``watched`` tells what levels a pool has to stay between, None for one that has no bands.
        """
        pools = plain_pools(state, trader)
        if pools is None:
            return None
        found: dict[str, Bands] = {}
        for pool, symbols in pools.items():
            levels = watched(state, trader, pool)
            rows = None if levels is None else self._rows(state, trader, marks, symbols, isolated=pool[0] == "i")
            if levels is None or rows is None:
                return None
            account = f"wallet:{trader.name}" if pool[0] == "c" else f"isolated:{trader.name}:{symbols[0]}:net"
            cash = state.ledger.balance(account, rows[0][0].contract.settle_asset)
            found[pool] = bands_of(rows, cash, edges, above=levels[0], not_above=levels[1])
        return found

    def _rows(
        self, state: State, trader: Trader, marks: Mapping[str, Price], symbols: list[str], *, isolated: bool
    ) -> list[Row] | None:
        rows = []
        for symbol in symbols:
            terms = self._at(state, symbol, marks, isolated=isolated)
            held = trader.held[symbol, "net"]
            told = None if terms is None else parts(terms, held.quantity, held.entry_price)
            if terms is None or told is None:
                return None
            rows.append((terms, held.quantity, told))
        return rows

    def _at(self, state: State, symbol: str, marks: Mapping[str, Price], *, isolated: bool) -> Terms | None:
        key, mark = (symbol, isolated), marks.get(symbol)
        kept = self._terms.get(key)
        if mark is None:
            return None
        if kept is None or kept[0] is not mark or kept[1] is not state.rulebook:
            kept = self._terms[key] = (mark, state.rulebook, terms_at(state, symbol, mark, isolated=isolated))
        return kept[2]


class Edges:
    """The tier edges of one trader's positions, kept as long as their sizes and tiers are what they were."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Quantity, TierTable, int, Band]] = {}

    def of(self, terms: Terms, quantity: Quantity, tier: int) -> Band:
        """Return the prices between which a position stays in its tier."""
        symbol = terms.contract.symbol
        kept = self._kept.get(symbol)
        if kept is None or kept[0] is not quantity or kept[1] is not terms.table or kept[2] != tier:
            band = tier_band(terms.contract, terms.table, tier, abs(quantity))
            kept = self._kept[symbol] = (quantity, terms.table, tier, band)
        return kept[3]


def bands_of(
    rows: list[Row], cash: Value, edges: Edges, *, above: tuple[Decimal, ...], not_above: tuple[Decimal, ...]
) -> Bands:
    """Return a band per symbol of a plain pool of these positions, with ``cash`` behind it; none without room."""
    pnl = required = ZERO
    symbols: dict[str, OneSymbol] = {}
    tiers: dict[str, Band] = {}
    for terms, quantity, told in rows:
        contract, size = terms.contract, abs(quantity)
        pnl += told.unrealised_pnl
        required += told.liquidation_requirement
        slope = size * terms.fee_rate
        charge = terms.charges[told.tier]
        if not terms.at_entry and charge is not None:
            slope += size * charge[0]
        symbols[contract.symbol] = OneSymbol(contract, terms.mark, terms.value, quantity, slope)
        if not terms.by_contracts:
            tiers[contract.symbol] = edges.of(terms, quantity, told.tier)
    return between(cash + pnl, required, symbols, tiers, above=above, not_above=not_above)


__all__ = ["Edges", "PlainBands", "bands_of"]
