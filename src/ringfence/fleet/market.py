"""What the symbols of a fleet are, as arrays: instruments, settlement assets, and the index prices that follow them.

One :class:`Market` per rulebook and set of symbols; every unit of the fleet is cut into pools (:mod:`.pooling`) and
given its collateral (:mod:`.parts`) with the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringfence.fleet.indices import Indices, indices_of
from ringfence.fleet.models import Models, models_of
from ringfence.fleet.schema import pyarrow
from ringfence.numbers import ZERO
from ringfence.screen.instruments import Instruments, instruments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.schema import Terms
    from ringfence.rulebook import Policies, Rulebook

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

ISOLATED, CROSS, BASKET = 0, 1, 2
ARCHITECTURES = ("isolated", "cross", "basket")


@dataclass(frozen=True, slots=True)
class Market:
    """What a fleet's symbols are, as arrays: made once, used for every unit.

    ``symbols`` in a fixed order; ``assets``: the settlement assets, and last the account's currency of baskets (None).
    ``number[architecture, symbol]``: the instrument, −1 where there is none; ``settle[symbol]``: its asset's number;
    ``units``: its coin, one of ``coins``; ``options``: whether it is one. ``base_rate`` and ``rate_per_unit`` by
    instrument: of venues whose rate grows with the size; else NaN. ``follow``: rows of symbols whose marks index prices
    may move with: all of ``symbols``, then others. ``models``: of portfolio margin by scenarios, None without one.
    """

    rulebook: Rulebook
    instruments: Instruments
    symbols: tuple[str, ...]
    assets: tuple[str | None, ...]
    number: NDArray[np.int32]
    settle: Integers
    base_rate: Floats
    rate_per_unit: Floats
    orders_matter: tuple[bool, bool, bool]
    units: tuple[str, ...]
    coins: tuple[str, ...]
    options: NDArray[np.bool_]
    indices: Indices
    follow: Mapping[str, int]
    models: Models | None = None
    terms: Terms | None = None


def market_of(
    rulebook: Rulebook, symbols: Sequence[str], terms: Terms | None = None, *, named: Sequence[str] = ()
) -> Market:
    """Return the market of ``symbols``, each with a table in ``rulebook``.

    ``terms``: what the fleet says of all accounts. ``named``: symbols that what moves the prices names
    (:mod:`ringfence.fleet.indices`).
    """
    import numpy as np

    made = instruments(rulebook, symbols, architectures=ARCHITECTURES)
    number = np.array([[made.of(symbol, name) for symbol in symbols] for name in ARCHITECTURES], np.int32)
    settled = [rulebook.contract(symbol).settle_asset for symbol in symbols]
    assets = tuple(dict.fromkeys(settled))
    base, per_unit = np.full(made.count, np.nan), np.full(made.count, np.nan)
    for row in range(len(ARCHITECTURES)):
        policies = _policies(rulebook, row)
        if policies.maintenance_rate_base is not None:
            for column, symbol in enumerate(symbols):
                contract = rulebook.contract(symbol)
                base[number[row, column]] = float(policies.maintenance_rate_base)
                slope = policies.rate_per_unit_of_base or ZERO
                per_unit[number[row, column]] = float(slope * contract.contract_size)
    units = tuple(rulebook.contract(symbol).risk_unit for symbol in symbols)
    coins = tuple(dict.fromkeys(units))
    indices = Indices({}, {}) if terms is None else indices_of(terms, named)
    return Market(
        rulebook,
        made,
        tuple(symbols),
        (*assets, None),
        number,
        np.array([assets.index(asset) for asset in settled], np.int64),
        base,
        per_unit,
        tuple(_orders_matter(_policies(rulebook, row)) for row in range(3)),  # type: ignore[arg-type]
        units,
        coins,
        np.array([rulebook.contract(symbol).option for symbol in symbols], np.bool_),
        indices,
        {symbol: row for row, symbol in enumerate(dict.fromkeys((*symbols, *indices.leaders.values())))},
        models_of(rulebook, symbols, coins, terms),
        terms,
    )


def symbols_of(fleet: Fleet) -> tuple[str, ...]:
    """Return the symbols of all positions of a fleet, in alphabetical order: as its terms say, else by reading it."""
    if fleet.terms.symbols:
        return fleet.terms.symbols
    pa = pyarrow()
    found: set[str] = set()
    for index in range(fleet.units):
        lists = fleet.unit(index, ("positions",)).column("positions")
        found.update(pa.compute.unique(lists.flatten().field("symbol")).to_pylist())
    return tuple(sorted(found))


def _policies(rulebook: Rulebook, kind: int) -> Policies:
    return rulebook.policies_for(isolated=kind == ISOLATED, basket=kind == BASKET)


def _orders_matter(policies: Policies) -> bool:
    """Whether open orders change what a pool is held against, or what is required of its positions."""
    keyed = policies.tier_key == "with_orders" and policies.tier_type != "progressive"
    return policies.orders_in_requirement or policies.opening_fees_deducted or policies.order_margin_deducted or keyed


__all__ = ["ARCHITECTURES", "BASKET", "CROSS", "ISOLATED", "Market", "market_of", "symbols_of"]
