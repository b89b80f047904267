"""The full sweep: every pool revalued at new prices, near the speed at which memory can be read.

A sweep says of each pool "safe" or "look"; the exact lane decides about those to look at. The error bound and its proof
stand in :mod:`ringfence.screen.kernels`. Tiers are kept right from sweep to sweep: the legs that a price could carry
over a tier's edge are sorted by size, so that a new price moves a few pointers and no leg is checked in the sweep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.errors import BadInput
from ringfence.screen.columns import pack
from ringfence.screen.compiled import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.screen.columns import Columns, Legs

    Floats = NDArray[np.float64]


#: Legs below which one thread is used: a sweep of fewer takes no longer than the time slice (some milliseconds) that is
#: lost when another thread has to wait for its processor.
ONE_THREAD = 10_000_000


class Sweep:
    """Sweeps over one set of columns at several levels of health (1: liquidation; 1.25: a call at that health).

    ``threads``: how many a sweep uses; default all of numba's, one for a small fleet.
    It changes the columns' ``code`` as tiers change, so that one set of columns belongs to one sweep.
    ``apart``: pools at places below this are swept by :meth:`look` alone, so that their constants may wait for that.
    ``edges_crossed``: how many times a leg changed its tier. Where a contract is worth over four times what it was at
    packing, constants are bounded and edges sorted anew (:meth:`rebase`), by itself.
    """

    def __init__(self, columns: Columns, levels: Sequence[float] = (1.0,), *, threads: int | None = None) -> None:
        require()
        import numpy as np
        from numba import get_num_threads

        from ringfence.screen import kernels

        if any(not level >= 0 for level in levels):
            raise BadInput("a level of health below 0", where="levels", expected="0 or more", found=str(list(levels)))
        self._kernels = kernels
        self.columns = columns
        self.levels = tuple(float(level) for level in levels)
        self.edges_crossed = self.apart = 0
        self._waiting = False  # whether constants of pools apart are
        self.threads = threads if threads is not None else 1 if columns.legs < ONE_THREAD else get_num_threads()
        self.rebases = 0
        self.moved = 0  # how many times tiers were brought to new prices, or pools changed
        of = columns.instruments
        self._values = np.empty(of.count)
        self._table = np.zeros(of.rows)
        self._chunks = pieces_of(columns.groups, kernels.CHUNK)
        self._found = np.zeros(len(self._chunks), np.int64)
        self._hits = np.empty(columns.pools, np.uint32)
        self._constants = [np.empty(columns.pools) for _ in self.levels]
        self._watched = of.moving & ~of.by_contracts & (of.tiers > 1)
        self._changed = np.empty(max(1024, columns.pools // 16), np.uint32)
        self._loose = np.zeros(columns.legs, np.uint8)  # legs that are not among the sorted ones
        self._loose_legs = np.empty((max(1024, columns.legs // 32), 2), np.int64)  # leg, pool
        self._loose_count = 0
        kernels.unit_values(columns.prices, of.price_of, of.size, of.inverse, of.lot, self._values)
        self._prices = columns.prices.copy()  # at which tiers are right
        self._standing = self._values.copy()  # of one lot, at which every leg's code is in the right tier
        self._base = self._values.copy()  # of one lot, at which gross bounds the errors
        self.rebase(self._values)

    def rebase(self, values: Floats) -> None:
        """Bound the errors for contract values up to four times ``values`` (I, of one lot) and sort edges for them."""
        import numpy as np

        self.rebases += 1
        columns, of, kernels = self.columns, self.columns.instruments, self._kernels
        known = np.isfinite(values) & np.isfinite(self._base)
        grown = float(np.max(values[known] / self._base[known], initial=1.0))
        columns.gross *= grown
        self._base *= grown
        self._loose[:] = 0
        self._loose_count = 0
        self.reach = self._base * kernels.REACH
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
        """Compute every constant anew."""
        self._fill(level, 1.0, constant)

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
        self.moved += 1
        kernels.unit_values(prices, of.price_of, of.size, of.inverse, of.lot, self._values)
        if bool(np.any(self._values > self.reach)):
            self.rebase(self._values)
        touched = kernels.cross_edges(
            self._values, of.floor, of.tiers, self._start, *self._edges, self._loose, columns.code,
            self._changed,
        )  # fmt: skip
        np.copyto(self._standing, self._values, where=self._values > 0)
        np.copyto(self._prices, prices, where=prices > 0)
        if self._loose_count:
            touched = self._settle_loose(touched)
        self.edges_crossed += touched
        for level, constant in zip(self.levels, self._constants, strict=True):
            if touched > len(self._changed):
                self._renew_all(level, constant)
            elif touched:
                self._waiting |= kernels.renew_constants(
                    self._changed[:touched], self.apart, level, 1.0, columns.groups, columns.code, columns.cash,
                    columns.fixed, columns.gross, of.deduction, of.moving, of.charge, constant,
                )  # fmt: skip

    def look(self, prices: Floats, level: int = 0) -> NDArray[np.uint32]:
        """Return which of the caller's pools must be looked at at ``prices``, for the ``level``-th of the levels.

        Every pool at or below that level of health is among them; pools that cannot be packed come last.
        """
        import numpy as np

        self.move(prices)
        if self._waiting:
            for each, constant in zip(self.levels, self._constants, strict=True):
                self._renew_all(each, constant)
            self._waiting = False
        found = self._sweep(self._chunks, self._found, level)
        columns = self.columns
        return found if not len(columns.looks) else np.concatenate([found, columns.looks])

    def look_in(
        self, chunks: NDArray[np.int64], found: NDArray[np.int64], prices: Floats, level: int
    ) -> NDArray[np.uint32]:
        """Return which of the caller's pools in ``chunks`` must be looked at; ``found``: room for a number for each."""
        self.move(prices)
        return self._sweep(chunks, found, level)

    def _sweep(self, chunks: NDArray[np.int64], found: NDArray[np.int64], level: int) -> NDArray[np.uint32]:
        """Sweep over ``chunks`` at the prices that tiers were brought to last."""
        from numba import get_num_threads, set_num_threads

        columns = self.columns
        self._fill_table(self.levels[level])
        before = get_num_threads()
        set_num_threads(self.threads)
        hits = self._kernels.sweep(
            columns.groups, chunks, columns.code, columns.lots, self._constants[level], self._table, self._hits, found
        )
        set_num_threads(before)
        return columns.number[self._hits[:hits]]

    def table(self, prices: Floats, level: int) -> Floats:
        """Bring the tiers to ``prices`` and return what a lot adds to the surplus there: what ``code`` refers to."""
        self.move(prices)
        self._fill_table(self.levels[level])
        return self._table

    def constants(self, level: int) -> Floats:
        """Return the constants of all pools at the ``level``-th of the levels, one error bound taken off."""
        return self._constants[level]

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

    def _settle_loose(self, touched: int) -> int:
        """Bring the tiers of loose legs to the present values; return how many pools have changed, these added."""
        import numpy as np

        of, columns = self.columns.instruments, self.columns
        concerned = self._changed[min(touched, len(self._changed)) :]
        if len(concerned) < self._loose_count:
            concerned = np.empty(self._loose_count, np.uint32)
            touched = len(self._changed) + 1  # all constants anew
        return touched + int(
            self._kernels.settle_loose(
                self._loose_legs,
                self._loose_count,
                self._values,
                of.floor,
                of.tiers,
                self._watched,
                columns.code,
                columns.lots,
                concerned,
            )
        )

    def change(self, numbers: Sequence[int], legs: Legs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Put pools that have changed, or are new, in their places: after a fill, a deposit, a closed position.

        ``legs``: their new contents, in the order of ``numbers``, the caller's; a pool without legs is taken out.
        A pool goes where it was when it has as many legs as before, else to a spare place (``pack(…, spare=…)``), and
        is looked at every time when there is none. Returns the places filled and the places left.
        """
        import numpy as np

        self.moved += 1
        columns, kernels = self.columns, self._kernels
        packed = pack(columns.instruments, legs, self._prices, refit=False)
        counts = np.diff(legs.first)
        highest = max(numbers, default=-1)
        if highest >= len(columns.place):
            columns.place = np.concatenate([columns.place, np.full(highest + 1 - len(columns.place), -1)])
        filled: list[int] = []
        left: list[int] = []
        looks: list[int] = []
        known = self._standing > 0
        further = float(np.max(self._base[known] / self._standing[known], initial=1.0))  # what errors are bounded for
        group_of = np.repeat(columns.groups[:, 0], columns.groups[:, 2])
        money, other = (columns.cash, columns.fixed, columns.gross), (packed.cash, packed.fixed, packed.gross)
        for number, source, count in zip(numbers, packed.place.tolist(), counts.tolist(), strict=True):
            before = int(columns.place[number])
            at = before if before >= 0 and source >= 0 and group_of[before] == count else -1
            if before >= 0 and at < 0:
                columns.leave(np.array([number]))
                left.append(before)
            if source >= 0 and at < 0 and columns.free.get(count):
                at = columns.free[count].pop()
            if at < 0:
                looks += [number] if count or source < 0 else []
                continue
            self._loose_count = kernels.overwrite(
                at, source, columns.groups, packed.groups, columns.code, columns.lots, money, packed.code, packed.lots,
                other, self._loose, self._loose_legs, self._loose_count,
            )  # fmt: skip
            columns.gross[at] *= further
            columns.place[number], columns.number[at] = at, number
            filled.append(at)
            if self._loose_count + 64 > len(self._loose_legs):
                self.rebase(self._standing)
        columns.looks = np.union1d(np.setdiff1d(columns.looks, numbers), looks).astype(np.uint32)
        done = np.array(filled, np.int64), np.array(left, np.int64)
        for level, constant in zip(self.levels, self._constants, strict=True):
            kernels.renew_constants(
                np.concatenate(done), 0, level, 1.0, columns.groups, columns.code, columns.cash, columns.fixed,
                columns.gross, columns.instruments.deduction, columns.instruments.moving, columns.instruments.charge,
                constant,
            )  # fmt: skip
        return done

    def take_out(self, pools: NDArray[Any]) -> NDArray[np.int64]:
        """Leave the caller's ``pools`` out from now on: they are gone. Returns the places that they had."""
        import numpy as np

        places = self.columns.leave(pools)
        for constant in self._constants:
            constant[places] = np.inf
        if len(self.columns.looks):
            self.columns.looks = np.setdiff1d(self.columns.looks, pools).astype(np.uint32)
        return places

    def _fill_table(self, level: float) -> None:
        of = self.columns.instruments
        self._kernels.fill_table(
            level, self._values, of.inverse, of.fee_slope, of.moving, of.funding, of.rate, of.tiers, of.credit,
            of.charge, self._table,
        )  # fmt: skip


def pieces_of(groups: NDArray[np.int64], size: int, *, least: int = 1) -> NDArray[np.int64]:
    """Return (group, first, end) of pieces of ``size`` pools, counted within their group, of ``least`` legs or more."""
    import numpy as np

    found = [
        (group, first, min(first + size, pools))
        for group, (legs, _, pools, _) in enumerate(groups.tolist())
        for first in range(0, pools if legs >= least else 0, size)
    ]
    return np.array(found, np.int64).reshape(-1, 3)


__all__ = ["Sweep", "pieces_of"]
