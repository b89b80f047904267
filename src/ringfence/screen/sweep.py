"""The full sweep: every pool revalued at new prices, near the speed at which memory can be read.

A sweep says of each pool "safe" or "look"; the exact lane decides about those to look at. The error bound and its proof
stand in :mod:`ringfence.screen.kernels`. Tiers are kept right from sweep to sweep: the legs that a price could carry
over a tier's edge are sorted by size, so that a new price moves a few pointers and no leg is checked in the sweep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.errors import BadInput
from ringfence.screen.compiled import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.screen.columns import Columns

    Floats = NDArray[np.float64]


class Sweep:
    """Sweeps over one set of columns at several levels of health (1: liquidation; 1.25: a call at that health).

    It changes the columns' ``code`` as tiers change, so that one set of columns belongs to one sweep.
    ``edges_crossed``: how many times a leg changed its tier. Where a contract is worth over four times what it was at
    packing, constants are bounded and edges sorted anew (:meth:`rebase`), by itself.
    """

    def __init__(self, columns: Columns, levels: Sequence[float] = (1.0,)) -> None:
        require()
        import numpy as np

        from ringfence.screen import kernels

        if any(not level >= 0 for level in levels):
            raise BadInput("a level of health below 0", where="levels", expected="0 or more", found=str(list(levels)))
        self._kernels = kernels
        self.columns = columns
        self.levels = tuple(float(level) for level in levels)
        self.edges_crossed = 0
        of = columns.instruments
        self._values = np.empty(of.count)
        self._table = np.zeros(of.rows)
        self._chunks = _chunks(columns.groups, kernels.CHUNK)
        self._found = np.zeros(len(self._chunks), np.int64)
        self._hits = np.empty(columns.pools, np.uint32)
        self._constants = [np.empty(columns.pools) for _ in self.levels]
        self._watched = of.moving & ~of.by_contracts & (of.tiers > 1)
        self._changed = np.empty(max(1024, columns.pools // 16), np.uint32)
        self._out: NDArray[np.uint32] = np.empty(0, np.uint32)
        kernels.unit_values(columns.prices, of.price_of, of.size, of.inverse, of.lot, self._values)
        self._standing = self._values.copy()  # of one lot, at which every leg's code is in the right tier
        self._base = self._values.copy()  # of one lot, at which gross bounds the errors
        self.rebase(self._values)

    def rebase(self, values: Floats) -> None:
        """Bound the errors for contract values up to four times ``values`` (I, of one lot) and sort edges for them."""
        import numpy as np

        columns, of, kernels = self.columns, self.columns.instruments, self._kernels
        known = np.isfinite(values) & np.isfinite(self._base)
        grown = float(np.max(values[known] / self._base[known], initial=1.0))
        columns.gross *= grown
        self._base *= grown
        self._reach = self._base * kernels.REACH
        counts = np.zeros(of.count, np.int64)
        held = (columns.code, columns.lots, self._base, of.floor, self._watched)
        if bool(self._watched.any()):
            kernels.count_edges(*held, counts)
        self._start = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        total = int(self._start[-1])
        legs = (np.empty(total, np.int32), np.empty(total, np.int64), np.empty(total, np.uint32))
        bounds = np.zeros(of.floor.shape, np.int64)
        guards = np.tile([0.0, np.inf], (of.count, 1))
        if total:
            kernels.fill_edges(columns.groups, *held, self._start, *legs)
            kernels.place_bounds(self._standing, of.floor, of.tiers, self._start, legs[0], bounds, guards)
        self._edges = (*legs, bounds, guards)
        for level, constant in zip(self.levels, self._constants, strict=True):
            self._renew_all(level, constant)

    def _renew_all(self, level: float, constant: Floats) -> None:
        """Compute every constant anew; who was taken out stays out."""
        self._fill(level, 1.0, constant)
        if len(self._out):
            constant[self._out] = float("inf")

    def _fill(self, level: float, margins: float, constant: Floats) -> None:
        columns, of = self.columns, self.columns.instruments
        self._kernels.fill_constants(
            level, margins, columns.groups, self._chunks, columns.code, columns.cash, columns.fixed, columns.gross,
            of.deduction, of.moving, of.charge, constant,
        )  # fmt: skip

    def move(self, prices: Floats) -> None:
        """Bring the tiers and constants of all pools to ``prices`` (S f64)."""
        import numpy as np

        columns, of, kernels = self.columns, self.columns.instruments, self._kernels
        if len(prices) != len(of.symbols):
            raise BadInput(
                "not one price per symbol", where="prices", expected=str(len(of.symbols)), found=str(len(prices))
            )
        kernels.unit_values(prices, of.price_of, of.size, of.inverse, of.lot, self._values)
        if bool(np.any(self._values > self._reach)):
            self.rebase(self._values)
        touched = kernels.cross_edges(
            self._values, of.floor, of.tiers, self._start, *self._edges, columns.code,
            self._changed,
        )  # fmt: skip
        np.copyto(self._standing, self._values, where=self._values > 0)
        self.edges_crossed += touched
        for level, constant in zip(self.levels, self._constants, strict=True):
            if touched > len(self._changed):
                self._renew_all(level, constant)
            elif touched:
                kernels.renew_constants(
                    self._changed[:touched], level, 1.0, columns.groups, columns.code, columns.cash, columns.fixed,
                    columns.gross, of.deduction, of.moving, of.charge, constant,
                )  # fmt: skip

    def look(self, prices: Floats, level: int = 0) -> NDArray[np.uint32]:
        """Return which of the caller's pools must be looked at at ``prices``, for the ``level``-th of the levels.

        Every pool at or below that level of health is among them; pools that cannot be packed come last.
        """
        import numpy as np

        self.move(prices)
        columns = self.columns
        self._fill_table(self.levels[level])
        found = self._kernels.sweep(
            columns.groups, self._chunks, columns.code, columns.lots, self._constants[level], self._table, self._hits,
            self._found,
        )  # fmt: skip
        hits = columns.number[self._hits[:found]]
        return hits if not len(columns.looks) else np.concatenate([hits, columns.looks])

    def surplus(self, prices: Floats, level: float) -> Floats:
        """Return ``balance − level · requirement`` of each of the caller's pools in floats; NaN where not packed.

        Level 0: margin balance. Level 0 less level 1: liquidation requirement. Without the error bound: to show and to
        rank by, not to decide on.
        """
        import numpy as np

        self.move(prices)
        columns = self.columns
        constant = np.empty(columns.pools)
        self._fill(level, 0.0, constant)
        self._fill_table(level)
        result = np.full(len(columns.place), np.nan)
        self._kernels.surpluses(
            columns.groups, self._chunks, columns.code, columns.lots, constant, self._table, columns.number, result
        )
        return result

    def take_out(self, pools: NDArray[Any]) -> None:
        """Leave the caller's ``pools`` out from now on (they were placed elsewhere, or are gone)."""
        import numpy as np

        at = self.columns.place[pools]
        at = at[at >= 0]
        self._out = np.union1d(self._out, at.astype(np.uint32))
        for constant in self._constants:
            constant[at] = np.inf
        self.columns.looks = np.setdiff1d(self.columns.looks, pools)

    def _fill_table(self, level: float) -> None:
        of = self.columns.instruments
        self._kernels.fill_table(
            level, self._values, of.inverse, of.fee_slope, of.moving, of.funding, of.rate, of.tiers, of.credit,
            of.charge, self._table,
        )  # fmt: skip


def _chunks(groups: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return (group, first, end) of the pieces that threads take, pools counted within their group."""
    import numpy as np

    found = [
        (group, first, min(first + size, int(pools)))
        for group, pools in enumerate(groups[:, 2])
        for first in range(0, int(pools), size)
    ]
    return np.array(found, np.int64).reshape(-1, 3)


__all__ = ["Sweep"]
