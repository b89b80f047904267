"""What the rules say of each symbol, as arrays: the tables that the compiled screen computes with.

An **instrument** is one symbol under one set of policies. The same symbol is two instruments where isolated and cross
margin differ, and a further one for legs that owe no requirement of their own. ``I`` instruments, ``S`` symbols, ``T``
tiers (the longest table; shorter ones are filled up with floors of infinity).

==================  =======  ==========================================================================================
array               shape    meaning
==================  =======  ==========================================================================================
symbols             S names  the order in which prices are given
price_of            I int32  which price the instrument follows
size                I f64    contract size (base units linear, quote units inverse, settlement units quanto)
inverse             I bool   value of one contract: ``size ÷ price`` instead of ``size · price``
lot                 I f64    contracts in one lot; a quantity is a whole number of lots. NaN: not known, the
                             finest that fits is taken when packing
fee_slope           I f64    closing-fee rate on the value at the mark, inside the requirement
fee_kind            I int8   a closing fee that no price moves: ``FEE_…`` below
fee_rate            I f64    its rate
moving              I bool   maintenance follows the mark; else it is that of the entry value
funding             I f64    funding reserve, a rate on the maintenance basis
by_contracts        I bool   tier floors count contracts, not notional
larger_side         I bool   of two legs of a pool in this instrument only the larger one is charged
isolated            I bool   its pools hold one position, whose margin a closing fee may count
jumps               I bool   the requirement jumps at tier edges; a quantity must be a whole number of lots
alone               I bool   its tier is looked up by more than one leg's size: a pool with another leg of its family is
                             looked at every time
family              I int32  what that counts over: the symbol, or all expiries of an underlying
bare                I int32  the instrument of a leg that is not charged (itself where there is no other)
look                I bool   the rules are not linear between tier edges: pools with it are looked at every time
floor               I,T f64  where a tier begins: notional in the settlement asset, or contracts
rate                I,T f64  maintenance rate of the tier
deduction           I,T f64  deduction of the tier
tiers               I int64  how many tiers there are, at least 1
credit, charge      I f64    account currency per unit of the settlement asset, held and owed; 1 but in baskets
==================  =======  ==========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadConfiguration, BadRulebook
from ringfence.margin.assess import closing_rate, stem
from ringfence.margin.formulas import rate_by_size
from ringfence.numbers import ONE, ZERO
from ringfence.screen.compiled import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.contract import Contract
    from ringfence.rulebook import Policies, Rulebook, TierTable

    Floats = NDArray[np.float64]

FEE_NONE, FEE_ENTRY, FEE_ENTRY_AND_MARGIN, FEE_LEVERAGE_BANKRUPTCY = 0, 1, 2, 3
_FEES = {
    "entry": FEE_ENTRY,
    "entry_and_margin": FEE_ENTRY_AND_MARGIN,
    "leverage_bankruptcy_price": FEE_LEVERAGE_BANKRUPTCY,
}
SIZE_STEPS = 48  #: tiers per instrument whose rate grows with the size: each asks for the rate of its upper end
_SIZE_RATIO = Decimal("1.25")


@dataclass(frozen=True, slots=True)
class Instruments:
    """The arrays of the module's table. Made by :func:`instruments`; nothing in it changes."""

    symbols: tuple[str, ...]
    price_of: NDArray[np.int32]
    size: Floats
    inverse: NDArray[np.bool_]
    lot: Floats
    fee_slope: Floats
    fee_kind: NDArray[np.int8]
    fee_rate: Floats
    moving: NDArray[np.bool_]
    funding: Floats
    by_contracts: NDArray[np.bool_]
    larger_side: NDArray[np.bool_]
    isolated: NDArray[np.bool_]
    jumps: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    family: NDArray[np.int32]
    bare: NDArray[np.int32]
    look: NDArray[np.bool_]
    floor: Floats
    rate: Floats
    deduction: Floats
    tiers: NDArray[np.int64]
    credit: Floats
    charge: Floats
    number: Mapping[tuple[str, str], int]

    @property
    def count(self) -> int:
        """How many instruments there are."""
        return len(self.price_of)

    @property
    def rows(self) -> int:
        """How many rows the price tables of a sweep have: one per tier, side and instrument."""
        return int(self.floor.shape[1]) * 2 * self.count

    def of(self, symbol: str, architecture: str = "cross") -> int:
        """Return the instrument of a symbol in ``isolated``, ``cross`` or ``basket`` pools. Raises BadRulebook."""
        found = self.number.get((symbol, architecture))
        if found is None:
            raise BadRulebook(
                f"no instrument for {symbol} in {architecture} pools", where=symbol,
                expected="a symbol and architecture that the instruments were made for",
                found=", ".join(sorted({name for _, name in self.number})),
            )  # fmt: skip
        return found


class _Row(NamedTuple):
    """One instrument before it is put into arrays."""

    price: int
    contract: Contract
    lot: Decimal
    fee_slope: Decimal
    fee_kind: int
    fee_rate: Decimal
    moving: bool
    funding: Decimal
    by_contracts: bool
    larger_side: bool
    isolated: bool
    jumps: bool
    alone: bool
    family: int
    bare: int
    look: bool
    tiers: tuple[tuple[Decimal, Decimal, Decimal], ...]
    weights: tuple[Decimal, Decimal]


def instruments(
    rulebook: Rulebook,
    symbols: Sequence[str],
    *,
    architectures: Iterable[str] = ("isolated", "cross"),
    lots: Mapping[str, Decimal] | None = None,
    weights: Mapping[str, tuple[Decimal, Decimal]] | None = None,
) -> Instruments:
    """Return the instruments of ``symbols`` in each architecture (``isolated``, ``cross``, ``basket``) by a rulebook.

    ``lots``: contracts in one lot, by symbol; default the contract's quantity step. ``weights``: for
    baskets, what a unit of a settlement asset counts when it is held and when it is owed (bid and ask); default 1.
    Where the two differ, pools with it are looked at every time.
    Raises BadRulebook for a symbol without a table, BadConfiguration where the extra ``fleet`` is missing.
    """
    require()
    rows: list[_Row] = []
    number: dict[tuple[str, str], int] = {}
    families: dict[str, int] = {}
    for architecture in architectures:
        isolated, basket = architecture == "isolated", architecture == "basket"
        for price, symbol in enumerate(symbols):
            contract, table = rulebook.entry(symbol)
            policies = rulebook.policies_for(isolated=isolated, basket=basket, inverse=contract.inverse)
            lot = (lots or {}).get(symbol) or contract.quantity_step or Decimal("NaN")
            pair = (weights or {}).get(contract.settle_asset, (ONE, ONE)) if architecture == "basket" else (ONE, ONE)
            number[symbol, architecture] = len(rows)
            row = _row(price, contract, table, policies, lot, pair)
            row = row._replace(isolated=architecture == "isolated")
            if policies.tier_key == "underlying_total":
                row = row._replace(family=families.setdefault(stem(symbol), len(families)))
            if row.larger_side:
                bare = row._replace(
                    fee_slope=ZERO, fee_kind=FEE_NONE, moving=True, funding=ZERO, by_contracts=False,
                    larger_side=False, bare=len(rows) + 1, tiers=((ZERO, ZERO, ZERO),),
                )  # fmt: skip
                rows += [row._replace(bare=len(rows) + 1), bare]
            else:
                rows.append(row._replace(bare=len(rows)))
    return _arrays(tuple(symbols), rows, number)


def _row(
    price: int,
    contract: Contract,
    table: TierTable | None,
    policies: Policies,
    lot: Decimal,
    weights: tuple[Decimal, Decimal],
) -> _Row:
    tiers = _tiers(table, contract, policies)
    fee = closing_rate(contract, policies)
    follows = policies.closing_fee in {"mark", "frozen_mark"}
    return _Row(
        price,
        contract,
        lot,
        fee if follows else ZERO,
        FEE_NONE if follows or not fee else _FEES.get(policies.closing_fee, FEE_NONE),
        fee,
        policies.maintenance_at != "entry",
        policies.funding_reserve_rate,
        policies.maintenance_rate_base is not None or (table is not None and table.unit == "contracts"),
        policies.hedge_charge == "larger_side",
        False,  # noqa: FBT003 - of a named tuple
        table is not None and not table.smooth,
        _is_alone(policies),
        price,
        0,
        tiers is None or weights[0] != weights[1] or _is_not_linear(contract, table, policies),
        ((ZERO, ZERO, ZERO),) if tiers is None else tiers,
        weights,
    )


def _is_alone(policies: Policies) -> bool:
    """Whether a second leg of the same symbol (or underlying) changes what is looked up in the tiers."""
    if policies.tier_key == "larger_side":
        return (
            policies.hedge_charge != "larger_side"
        )  # else the larger leg is charged by its own size, which is the key
    return policies.tier_key in {"net", "underlying_total"}


def _is_not_linear(contract: Contract, table: TierTable | None, policies: Policies) -> bool:
    """Whether a requirement between tier edges is more than a rate times the value of the position's own size."""
    if policies.closing_fee == "bankruptcy_price" or policies.maintenance_from_initial:
        return True
    if policies.maintenance_rate_base is not None:
        return contract.inverse
    if policies.tier_type == "adjustment_factor" and policies.adjustment_factor is not None:
        return True  # a rate of each position's own leverage
    if table is None or not table.tiers:
        return True
    rates = [tier.maintenance_rate for tier in table.tiers]
    if any(rate is None for rate in rates):
        return True
    # A jump at an edge is met from its upper side, which is the safe one only where it asks for more.
    return not table.smooth and any(
        after.floor * ((after.maintenance_rate or ZERO) - (before.maintenance_rate or ZERO))
        < after.deduction - before.deduction
        for before, after in zip(table.tiers, table.tiers[1:], strict=False)
    )


def _tiers(
    table: TierTable | None, contract: Contract, policies: Policies
) -> tuple[tuple[Decimal, Decimal, Decimal], ...] | None:
    """Return (floor, rate, deduction) of each tier; a rate that grows with size as steps that ask for no less."""
    if policies.maintenance_rate_base is not None:
        if contract.inverse or not policies.rate_per_unit_of_base:
            return ((ZERO, policies.maintenance_rate_base, ZERO),)
        ends = [_SIZE_RATIO**step for step in range(SIZE_STEPS)]
        rates = [
            rate_by_size(policies.maintenance_rate_base, policies.rate_per_unit_of_base, end * contract.contract_size)
            for end in ends
        ]
        # Beyond the last step no rate is known: NaN, which a sweep takes for "look".
        return tuple(zip([ZERO, *ends], [*rates, Decimal("NaN")], [ZERO] * (SIZE_STEPS + 1), strict=True))
    if table is None or any(tier.maintenance_rate is None for tier in table.tiers) or not table.tiers:
        return None
    return tuple((tier.floor, tier.maintenance_rate or ZERO, tier.deduction) for tier in table.tiers)


def _arrays(symbols: tuple[str, ...], rows: list[_Row], number: dict[tuple[str, str], int]) -> Instruments:
    import numpy as np

    if not rows:
        raise BadConfiguration("no instruments", expected="at least one symbol", found="none")
    longest = max(len(row.tiers) for row in rows)

    def column(values: Iterable[object], kind: Any = np.float64) -> NDArray[Any]:
        return np.array([float(v) if isinstance(v, Decimal) else v for v in values], dtype=kind)

    def tiered(part: int, filler: float) -> Floats:
        return np.array([[float(t[part]) for t in row.tiers] + [filler] * (longest - len(row.tiers)) for row in rows])

    floor = tiered(0, np.inf)
    floor[:, 0] = 0.0  # below the first floor the first tier holds
    return Instruments(
        symbols,
        column((row.price for row in rows), np.int32),
        column(row.contract.contract_size for row in rows),
        column((row.contract.inverse for row in rows), np.bool_),
        column(row.lot for row in rows),
        column(row.fee_slope for row in rows),
        column((row.fee_kind for row in rows), np.int8),
        column(row.fee_rate for row in rows),
        column((row.moving for row in rows), np.bool_),
        column(row.funding for row in rows),
        column((row.by_contracts for row in rows), np.bool_),
        column((row.larger_side for row in rows), np.bool_),
        column((row.isolated for row in rows), np.bool_),
        column((row.jumps for row in rows), np.bool_),
        column((row.alone for row in rows), np.bool_),
        column((row.family for row in rows), np.int32),
        column((row.bare for row in rows), np.int32),
        column((row.look for row in rows), np.bool_),
        floor,
        tiered(1, 0.0),
        tiered(2, 0.0),
        column((len(row.tiers) for row in rows), np.int64),
        column(row.weights[0] for row in rows),
        column(row.weights[1] for row in rows),
        number,
    )


__all__ = [
    "FEE_ENTRY",
    "FEE_ENTRY_AND_MARGIN",
    "FEE_LEVERAGE_BANKRUPTCY",
    "FEE_NONE",
    "Instruments",
    "instruments",
]
