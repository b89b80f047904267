"""Pools as packed columns: what a sweep over millions of them reads, 10 bytes a position.

**Form.** Pools are sorted into groups by how many legs they have, and a group's legs are stored slot by slot: first
the first leg of each of its pools, then the second of each. All groups stand one after another in the same flat arrays:

==========  ==========  ============================================================================================
array       shape       meaning
==========  ==========  ============================================================================================
code        N u16, u32  row of the price tables: ``tier · 2 I + side · I + instrument``; side 0 long, 1 short
lots        N int32     unsigned lots of the leg
cash        P f64       balance held against the requirement at no price: balance − Σ entry value (signed)
fixed       P f64       requirement that no price moves: fees and margins at the entry, orders; deductions left out
gross       P f64       |balance| + Σ (|entry value| + size · value · (1 + highest rate)) at the marks of packing
number      P uint32    which of the caller's pools it is
groups      G,4 int64   legs a pool, first pool, pools, first leg: leg ``j`` of pool ``first pool + i`` stands at
                        ``first leg + j · pools + i``
looks       ? uint32    the caller's pools that do not fit and must be looked at every time (not in the arrays above)
free        by legs     places that are not taken: ``cash`` infinite, ``number`` ``NOBODY``
==========  ==========  ============================================================================================

Amounts are in the pool's settlement asset (in the account's currency in a basket). ``N`` legs, ``P`` pools.

**Meaning.** At level ``L`` (1: liquidation; 1.25: a call at that health) the surplus of a pool is ::

    balance − L · requirement  =  cash − L · (fixed − Σ deduction[code]) + Σ lots · B[code]

with ``B`` a table of one number per instrument, side and tier, made anew for new prices (:mod:`.kernels`). Level 0
gives the margin balance itself, and level 0 less level 1 the liquidation requirement.

**What is packed, what is looked at.** One watch per pool where its surplus is linear in the marks between tier edges:
isolated, cross, a basket whose settlement assets count the same held and owed; progressive and step tiers, by notional
or by contracts; rates linear in size (rounded up to steps); requirements and fees at the entry, at the mark, or frozen;
hedge legs charged in full or by the larger side. Everything else goes into ``looks``.

**Fill them** in bulk with :func:`pack` (NumPy arrays, which Arrow columns become without a copy), from exact pools with
:func:`pack_pools`. A quantity that is no whole number of lots is rounded, and ``gross`` carries what that may
cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.account import Backing, Collateral, Requirement
from ringfence.errors import BadInput
from ringfence.numbers import EXACT, ZERO, exact
from ringfence.screen.compiled import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.account import Pool
    from ringfence.numbers import Price
    from ringfence.rulebook import Rulebook
    from ringfence.screen.instruments import Instruments

    Floats = NDArray[np.float64]


NOBODY = 0xFFFFFFFF  #: the number of a place that is not taken


class Legs(NamedTuple):
    """Positions and pools as plain arrays. The legs of pool ``p`` are ``first[p]`` up to ``first[p + 1]``.

    ==============  ===========  ==================================================================================
    first           P + 1 int64  offsets into the leg arrays, ascending from 0 to N
    balance         P f64        what stands behind the pool: wallet or isolated margin, without unrealised PnL;
                                 in a basket what all balances count for; less the order margin a venue sets aside
    fixed           P f64        requirement of open orders and the like that no mark moves; None: nothing
    instrument      N int32      :meth:`~ringfence.screen.instruments.Instruments.of` the symbol
    quantity        N f64        signed contracts, + long, − short, not 0
    entry_price     N f64        average entry
    leverage        N f64        needed where a closing fee counts it; NaN: not known; None: nowhere known
    ==============  ===========  ==================================================================================

    NaN anywhere else sends the pool to ``looks``.
    """

    first: NDArray[np.int64]
    balance: Floats
    instrument: NDArray[np.int32]
    quantity: Floats
    entry_price: Floats
    leverage: Floats | None = None
    fixed: Floats | None = None


@dataclass(slots=True)
class Columns:
    """The arrays of the module's tables. ``prices``: the marks of packing, S f64, in the order of the instruments."""

    instruments: Instruments
    code: NDArray[Any]
    lots: NDArray[np.int32]
    cash: Floats
    fixed: Floats
    gross: Floats
    number: NDArray[np.uint32]
    groups: NDArray[np.int64]
    looks: NDArray[np.uint32]
    prices: Floats
    place: NDArray[np.int64] = field(repr=False)  # P' int64: where the caller's pool stands, −1 among the looks
    free: dict[int, list[int]] = field(repr=False)  # places that are not taken, by how many legs they have room for

    @property
    def pools(self) -> int:
        """How many places for pools there are, without the looks."""
        return len(self.cash)

    def leave(self, numbers: NDArray[Any]) -> NDArray[np.int64]:
        """Free the places of some of the caller's pools; return them."""
        import numpy as np

        numbers = np.unique(numbers)
        numbers = numbers[self.place[numbers] >= 0]
        places: NDArray[np.int64] = self.place[numbers]
        self.cash[places], self.gross[places], self.fixed[places] = np.inf, 0.0, 0.0
        self.number[places], self.place[numbers] = NOBODY, -1
        group = self.groups[:, 1].searchsorted(places, side="right") - 1
        for one in np.unique(group):
            self.free.setdefault(int(self.groups[one, 0]), []).extend(places[group == one].tolist())
        return places

    @property
    def legs(self) -> int:
        """How many legs are packed."""
        return len(self.lots)

    @property
    def hot_bytes(self) -> int:
        """How many bytes a sweep reads: code and lots of every leg, one constant per pool."""
        return self.code.nbytes + self.lots.nbytes + 8 * self.pools


def pack(instruments: Instruments, legs: Legs, marks: Floats, *, spare: float = 0.0, refit: bool = True) -> Columns:
    """Return ``legs`` as columns, with tiers as they are at ``marks`` (S f64, the instruments' symbols' prices).

    ``spare``: by what share a group has more places than pools, for pools to come (:meth:`.sweep.Sweep.change`).
    ``refit``: whether lots may be made larger so that all quantities fit; else pools that do not fit go to the looks.

    Raises BadInput, naming the pool, when offsets are not ascending or an instrument is not one of ``instruments``.
    """
    require()
    import numpy as np

    from ringfence.screen import packing

    held = _held(legs)
    _check(instruments, held, marks)
    of = replace(instruments, lot=_fitting_lots(instruments, held)) if refit else instruments
    counts = np.diff(held.first)
    fits = np.ones(len(counts), np.bool_)
    prices = np.array(marks, np.float64)
    packing.mark_fitting(held, of.lot, of.look, of.jumps, of.alone, of.family, prices[of.price_of], fits)
    place, groups = _places(counts, fits, spare)
    legs_packed, packed = int((groups[:, 0] * groups[:, 2]).sum()), int(groups[:, 2].sum())
    into = packing.Packed(
        np.zeros(legs_packed, np.uint16 if of.rows <= 1 << 16 else np.uint32),
        np.zeros(legs_packed, np.int32),
        np.full(packed, np.inf),
        np.zeros(packed),
        np.zeros(packed),
        np.full(packed, NOBODY, np.uint32),
    )
    terms = packing.Terms(*(getattr(of, name) for name in packing.Terms._fields))
    packing.fill(held, terms, prices, place, groups, into)
    free: dict[int, list[int]] = {}
    for size, begin, room, _ in groups.tolist():
        free[size] = (begin + np.flatnonzero(into.number[begin : begin + room] == NOBODY)).tolist()
    return Columns(of, *into, groups, np.flatnonzero(~fits).astype(np.uint32), prices, place, free)


def _held(legs: Legs) -> Any:
    """Return the legs as contiguous arrays of the types that the compiled code is made for."""
    import numpy as np

    from ringfence.screen.packing import Held

    nothing = np.empty(0)
    return Held(
        np.ascontiguousarray(legs.first, np.int64),
        np.ascontiguousarray(legs.balance, np.float64),
        np.ascontiguousarray(legs.instrument, np.int32),
        np.ascontiguousarray(legs.quantity, np.float64),
        np.ascontiguousarray(legs.entry_price, np.float64),
        nothing if legs.leverage is None else np.ascontiguousarray(legs.leverage, np.float64),
        nothing if legs.fixed is None else np.ascontiguousarray(legs.fixed, np.float64),
    )


def _fitting_lots(of: Instruments, held: Any) -> Floats:
    """Return the lots: the instruments' own, ten times larger as often as 32 bits ask; the finest where not known."""
    import numpy as np

    from ringfence.screen import packing

    most = np.zeros(of.count)
    packing.largest(held.instrument, held.quantity, most)
    np.maximum.at(most, of.bare, most.copy())
    finest = 10.0 ** np.ceil(np.log10(np.maximum(most, 1e-12) / packing.MOST_LOTS))
    over = np.maximum(most / of.lot / packing.MOST_LOTS, 1.0)
    return np.where(np.isnan(of.lot), finest, of.lot * 10.0 ** np.ceil(np.log10(over)))


def _check(instruments: Instruments, legs: Any, marks: Floats) -> None:
    import numpy as np

    first, instrument = legs.first, legs.instrument

    if len(marks) != len(instruments.symbols):
        raise BadInput(
            "not one mark per symbol", where="marks", expected=str(len(instruments.symbols)), found=str(len(marks))
        )
    wrong = np.flatnonzero(np.diff(first) < 0)
    if len(first) < 1 or first[0] != 0 or first[-1] != len(instrument) or len(wrong):
        at = int(wrong[0]) if len(wrong) else 0
        raise BadInput("offsets are not ascending from 0 to the number of legs", where=f"pool {at}")
    outside = np.flatnonzero((instrument < 0) | (instrument >= instruments.count))
    if len(outside):
        leg = int(outside[0])
        pool = int(np.searchsorted(first, leg, side="right")) - 1
        raise BadInput(
            "an instrument that is not known", where=f"pool {pool}, leg {leg}",
            expected=f"0 to {instruments.count - 1}", found=str(int(instrument[leg])),
        )  # fmt: skip
    for name, values, length in (
        ("balance", legs.balance, len(first) - 1),
        ("fixed", legs.fixed, len(first) - 1),
        ("quantity", legs.quantity, len(instrument)),
        ("entry_price", legs.entry_price, len(instrument)),
        ("leverage", legs.leverage, len(instrument)),
    ):
        if len(values) != length and (len(values) or name not in {"fixed", "leverage"}):
            raise BadInput(f"{name} has the wrong length", where=name, expected=str(length), found=str(len(values)))


def _places(
    counts: NDArray[np.int64], fits: NDArray[np.bool_], spare: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each pool goes, and the groups with their spare places."""
    import numpy as np

    place = np.full(len(counts), -1, np.int64)
    groups = []
    pool, leg = 0, 0
    for size in np.unique(counts[fits]):
        members = np.flatnonzero(fits & (counts == size))
        place[members] = np.arange(pool, pool + len(members))
        room = len(members) + (int(len(members) * spare) + 16 if spare else 0)
        groups.append((int(size), pool, room, leg))
        pool += room
        leg += int(size) * room
    return place, np.array(groups, np.int64).reshape(-1, 4)


def pack_pools(
    instruments: Instruments, pools: Sequence[Pool], marks: Mapping[str, Price], rulebook: Rulebook
) -> Columns:
    """Return exact pools as columns; ``number`` is their index in ``pools``.

    What orders require or set aside is taken as it stands at these marks where no mark moves it; a pool for which one
    does, or whose tier is looked up by more than its own leg, is looked at every time.
    """
    require()
    import numpy as np

    first, balance, fixed = [0], [], []
    instrument: list[int] = []
    quantity: list[float] = []
    entry: list[float] = []
    leverage: list[float] = []
    for pool in pools:
        held = _constants(pool, marks, rulebook)
        balance.append(held[0])
        fixed.append(held[1])
        for position in pool.positions:
            instrument.append(instruments.of(position.symbol, _architecture(pool)))
            quantity.append(float(position.quantity))
            entry.append(float(position.entry_price))
            leverage.append(float("nan") if position.leverage is None else float(position.leverage))
        first.append(len(instrument))
    return pack(
        instruments,
        Legs(
            np.array(first, np.int64),
            np.array(balance, np.float64),
            np.array(instrument, np.int32),
            np.array(quantity, np.float64),
            np.array(entry, np.float64),
            np.array(leverage, np.float64),
            np.array(fixed, np.float64),
        ),
        np.array([float(marks.get(symbol, "nan")) for symbol in instruments.symbols], np.float64),
    )


def _architecture(pool: Pool) -> str:
    if pool.isolated:
        return "isolated"
    return "basket" if pool.mode.backing is Backing.BASKET else "cross"


def _constants(pool: Pool, marks: Mapping[str, Price], rulebook: Rulebook) -> tuple[float, float]:
    """Return (balance, requirement of orders) that no mark moves; NaN where the pool must be looked at."""
    from ringfence.margin.assess import assess
    from ringfence.screen.bands import orders_are_constant

    nan = float("nan")
    policies = rulebook.policies_for(isolated=pool.isolated, basket=pool.mode.backing is Backing.BASKET)
    symbols = [position.symbol for position in pool.positions]
    with_orders = policies.tier_key == "with_orders" and policies.tier_type != "progressive" and pool.orders
    if with_orders or any(amount is None for amount in pool.balances.values()):
        return nan, nan
    if pool.mode.requirement is Requirement.SCENARIO:
        return nan, nan  # no sum of tiers bounds a requirement by scenarios: the exact lane looks
    if pool.mode.backing is Backing.BASKET:
        return (nan, nan) if pool.orders else (_basket_balance(pool, rulebook), 0.0)
    (amount,) = pool.balances.values()
    if not pool.orders or amount is None:
        return (nan if amount is None else float(amount)), 0.0
    if any(symbol not in marks for symbol in symbols):
        return nan, nan
    assessment = assess(pool, marks, rulebook)
    if not orders_are_constant(assessment):
        return nan, nan
    held, margin, required = (
        assessment.balance_held_against,
        assessment.margin_balance,
        assessment.liquidation_requirement,
    )
    if held is None or margin is None or required is None:
        return nan, nan
    aside = EXACT.subtract(margin, held)
    ordered: Decimal = ZERO
    for line in assessment.orders:
        ordered = EXACT.add(ordered, line.liquidation_requirement)
    return float(EXACT.subtract(amount, aside)), float(ordered)


def _basket_balance(pool: Pool, rulebook: Rulebook) -> float:
    """Return what a basket's balances count for where its settlement assets count 1 held and owed; else NaN.

    NaN also where a balance's index moves with marks: what it counts for at others is not in the columns.
    """
    settled = {rulebook.contract(position.symbol).settle_asset for position in pool.positions}
    if any(pool.collateral[asset].bid != 1 or pool.collateral[asset].ask != 1 for asset in settled):
        return float("nan")
    total = ZERO
    for asset, amount in pool.balances.items():
        terms = pool.collateral[asset]
        if amount and terms.moves_with is not None:
            return float("nan")
        if amount is not None:
            total = EXACT.add(total, _value(terms, amount))
    return float(total)


_value = exact(Collateral.value)


__all__ = ["NOBODY", "Columns", "Legs", "pack", "pack_pools"]
