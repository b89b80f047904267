"""The incremental screen: at nearly every price nearly every pool is proved safe without being read.

**Rings.** After a pool has been valued, its surplus says how far prices may move against it before it can reach the
line. It is put into the widest *ring* that it outlasts; each ring is a quarter wider than the one before, and a
symbol's band in a ring is as wide as the ring in expected moves of that symbol. So a pool stands in one *bucket* per
leg: (ring, side, symbol). All pools of a bucket share one price at which their band ends, below the price for who is
hurt by a fall and above it for who is hurt by a rise. While every price is between the innermost of these ends of its
symbol, nobody who stands in a bucket can have reached the line: two comparisons a symbol, whatever the number of
pools. Who is closer than the innermost ring is *near* and is valued at every price, from copies that stand in memory
in the order in which they are read. A pool of one position is no special case: its band ends by its trigger price.

**When a band ends**, the pools of that bucket are valued and put where they belong by now, and the next one to be put
into the emptied bucket lays its band anew. A ring twice as wide lasts about four times as long.

**In a crash** bands end by the thousand. Where valuing their pools one by one would take longer than a full sweep,
there is a sweep (:class:`ringfence.screen.sweep.Sweep`); the buckets whose bands have ended wait, and the others go
on holding. Once hardly any more end, the waiting ones are emptied, a slice at each price, so that no price costs much
more than a sweep; then the rings alone do again.

**Claim.** :meth:`Incremental.look` names exactly the pools that a sweep names.

**Proof.** (1) A near pool is first summed from its copy, with a constant lowered by twice the error bound of
:mod:`ringfence.screen.kernels`: the sweep's sum and this one differ by less. Candidates are then computed by the
sweep's own steps, to the same bits. A copy holds while none of its legs changes tier; the prices between which none
does are guarded per symbol. (2) A pool in buckets was put there with ``surplus > Σ loss + 4 error bounds``. A leg's
loss is the most that its surplus can fall while its price goes from where it was anywhere up to the end of its band:
its size times the way to that end, times the steepest slope on it. For who is hurt while the contract's value grows
that is ``1 + level · highest rate`` of the tiers up to 1.4 times its value, and no band in which it is put ends
further away; for who is hurt while it falls, 1, as a requirement falls with the value; moves the other way do no
harm. (Where a rate times the level is more than 1, or a price is missing, the pool is near.) Tables whose requirement
jumps at an edge can do harm both ways: such a leg stands in the buckets of both sides, and what the edges up to the
upper end add is part of its loss. Between edges the surplus is continuous, and prices move independently, so that the
sum over the legs bounds the fall of the pool. Inside all of its bands its surplus stays above 4 error bounds, and the
sweep's value of it above 0. (3) Every price is either inside the innermost ends, or the buckets passed are emptied
before the near pools are summed, or there is a sweep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.errors import BadInput
from ringfence.screen.columns import NOBODY
from ringfence.screen.compiled import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.screen.columns import Legs
    from ringfence.screen.instruments import Instruments
    from ringfence.screen.sweep import Sweep

    Floats = NDArray[np.float64]

INNERMOST = 16.0  #: radius of the innermost ring, in expected moves of one price update
WIDER = 1.25  #: each ring's radius over that of the one inside
SWEEP_SHARE = 1024  #: a sweep is taken to cost as much as valuing this share of the pools one by one
SLICE_SHARE = 4096  #: what share of the pools is put into place at each price after a crash
RENEWED = 128  #: after how many prices the near pools are put into place anew


class Incremental:
    """Looks at every price of a fleet and reads hardly any of its pools.

    ``sweep``: the columns and levels; ``level``: which of its levels is watched. ``expected_moves`` (S f64): how far
    each symbol's price is expected to move from one update to the next, as a share; it decides about speed alone.
    ``mode`` is ``rings`` or ``sweep``. ``valued`` counts pools valued one by one, ``sweeps`` full sweeps.
    """

    def __init__(self, sweep: Sweep, *, level: int = 0, expected_moves: Floats | None = None) -> None:
        require()
        import numpy as np

        from ringfence.screen import ring_kernels

        self._kernels: Any = ring_kernels  # arrays go in by the dozen
        self.sweep = sweep
        self._level = level
        self.valued = 0
        self.sweeps = 0
        of = sweep.columns.instruments
        symbols = self._symbols = len(of.symbols)
        moves = np.full(symbols, 1e-4) if expected_moves is None else np.asarray(expected_moves, np.float64)
        if len(moves) != symbols or not bool(np.all(moves > 0)):
            raise BadInput(
                "expected moves are not one positive number per symbol", where="expected_moves",
                expected=str(symbols), found=str(len(moves)),
            )  # fmt: skip
        columns = sweep.columns
        self._terms, self._tiers = self._rules(of)
        self._money = np.empty((columns.pools + 1, 4))
        self._held = np.empty((columns.legs, 4), np.int32)
        ring_kernels.gather(columns.groups, columns.code, columns.lots, of.count, self._held, self._money)
        self._pools = np.zeros((columns.pools, 2), np.int64)
        self._pools[columns.number == NOBODY, 0] = ring_kernels.GONE
        self._lay_out(moves)
        self._legs = np.empty((ring_kernels.MOST_LEGS, 8))
        self._scratch = np.empty(columns.pools + 1, np.int64)
        self._begin = self._end = 0  # of the buckets whose bands have ended and that wait
        self._swept_before = self._crowded = False
        self._now = self._age = 0
        self.settle(columns.prices)

    @property
    def mode(self) -> str:
        """How the next price is looked at: ``rings`` or ``sweep``."""
        return "sweep" if self._crowded or self._swept_before or self._begin < self._end else "rings"

    @property
    def near(self) -> int:
        """How many pools are valued at every price."""
        return int(self._counts[0])

    def look(self, prices: Floats) -> NDArray[np.uint32]:
        """Return which of the caller's pools must be looked at at ``prices``: those that a sweep would name."""
        if len(prices) != self._symbols:
            raise BadInput(
                "not one price per symbol", where="prices", expected=str(self._symbols), found=str(len(prices)),
            )  # fmt: skip
        found = self._near_at(prices) if self.mode == "rings" else -1
        self._age += 1
        if found >= 0 and self.mode == "rings" and self._age < RENEWED:
            return self._confirmed(prices, found)
        ended = 0
        if found == -1:
            if self._begin:  # a bucket waits once at most, so that there is room for all from the front on
                waiting = self._end - self._begin
                self._waiting[:waiting] = self._waiting[self._begin : self._end].copy()
                self._begin, self._end = 0, waiting
            many, ended = self._kernels.ended(
                prices, self._lines, self._edges, self._buckets, self._waiting[self._end :]
            )
            if many < 0:
                return self._out_of_reach(prices)
            self._end += many
        if self._mostly_swept(ended):
            return self._swept(prices, ended)
        self._empty(prices, len(self._scratch))
        found = self._near_at(prices)
        if found == -2 or self._age >= RENEWED:
            self._renew_near(prices)
            found = self._near_at(prices)
        return self._swept(prices, ended) if found < 0 else self._confirmed(prices, found)

    def _near_at(self, prices: Floats) -> int:
        return int(self._kernels.look_near(prices, self._lines, *self._copies, self._candidates))

    def _confirmed(self, prices: Floats, found: int) -> NDArray[np.uint32]:
        import numpy as np

        columns = self.sweep.columns
        if not found:
            return columns.looks
        kept = self._kernels.confirm(
            found, self._candidates, *self._valuing(prices), self._pools, self._legs, self._near_pool, self._hits
        )
        hits = columns.number[np.unique(self._hits[:kept])]
        return hits if not len(columns.looks) else np.concatenate([hits, columns.looks])

    def _valuing(self, prices: Floats) -> Any:
        """Return what valuing a pool reads."""
        return self._held, self._money, self.sweep.levels[self._level], self._terms, self._tiers, prices

    # ── When bands end ───────────────────────────────────────────────────────────────────────────────────────────

    def _mostly_swept(self, ended: int) -> bool:
        """Whether a sweep is faster than valuing who waits and who has just been added, ``ended``, one by one."""
        return (
            self._crowded
            or self._swept_before
            or ended * SWEEP_SHARE > self._enough
            or self.near * SWEEP_SHARE > 8 * self._enough
        )

    @property
    def _enough(self) -> int:
        return self.sweep.columns.pools + 64 * SWEEP_SHARE

    def _empty(self, prices: Floats, most: int) -> None:
        """Value the pools of waiting buckets, about ``most`` of them, and put them where they belong."""
        if self._begin == self._end:
            return
        self._now += 1
        total, self._begin = self._kernels.take(
            self._waiting, self._begin, self._end, self._now, most, self._pools, self._edges, self._buckets,
            self._chunks, self._scratch,
        )  # fmt: skip
        if self._begin == self._end:
            self._begin = self._end = 0
        if not self._distribute(prices, total):
            self.settle(prices)

    def _renew_near(self, prices: Floats) -> None:
        self._now += 1
        self._age = 0
        total = self._kernels.take_near(
            self._now, self._pools, self._lines, self._near_pool, self._copies[1], self._counts, self._scratch
        )
        if not self._distribute(prices, total):
            self.settle(prices)

    def _distribute(self, prices: Floats, total: int) -> bool:
        """Put the first ``total`` pools of the scratch where they belong; False when there was no room."""
        self.valued += total
        return bool(
            self._kernels.distribute(
                total,
                self._scratch,
                self._now,
                *self._valuing(prices),
                self._pools,
                self._edges,
                self._buckets,
                self._chunks,
                self._radius,
                self._lines,
                self._legs,
                self._near_pool,
                *self._copies,
            )
        )

    def _swept(self, prices: Floats, ended: int) -> NDArray[np.uint32]:
        """Look by a sweep; empty some of the waiting buckets once hardly any are added."""
        self.sweeps += 1
        hits = self.sweep.look(prices, self._level)
        if self._crowded:
            return hits
        slice_of = max(32, self.sweep.columns.pools // SLICE_SHARE)
        if ended <= slice_of:
            self._empty(prices, slice_of)
        self._swept_before = self._begin < self._end
        if not self._swept_before and self._near_at(prices) != -1:
            self._renew_near(prices)
        return hits

    def _out_of_reach(self, prices: Floats) -> NDArray[np.uint32]:
        """Look by a sweep at prices of which one is missing, or so high that all errors are bounded anew."""
        self.sweeps += 1
        rebases = self.sweep.rebases
        hits = self.sweep.look(prices, self._level)
        if self.sweep.rebases > rebases:
            self.settle(prices)
        return hits

    def settle(self, prices: Floats) -> None:
        """Put every pool where it belongs at ``prices``, all at once: at the start, or between two prices."""
        import numpy as np

        kernels, columns = self._kernels, self.sweep.columns
        self.sweep.move(prices)
        for part, amounts in enumerate((columns.cash, columns.fixed, columns.gross)):
            self._money[:-1, part] = amounts
        of = columns.instruments
        low, high = np.zeros(self._symbols), np.full(self._symbols, np.inf)
        most = self.sweep.reach / (of.lot * of.size)  # in units: prices, or one over them
        np.minimum.at(high, of.price_of[~of.inverse], most[~of.inverse])
        np.maximum.at(low, of.price_of[of.inverse], 1.0 / most[of.inverse])
        self._lines[kernels.LEAST, : self._symbols] = low
        self._lines[kernels.GREATEST, : self._symbols] = high
        self._begin = self._end = 0
        self._swept_before = False
        self._now += 1
        self._age = 0
        total = kernels.empty_all(self._pools, self._edges, self._buckets, self._chunks, self._lines, self._scratch)
        kernels.clear_near(self._lines, self._copies[1], self._counts)
        # Where more are near than there is room for, there are sweeps until it is settled again.
        self._crowded = not self._distribute(prices, total)

    def take_out(self, pools: NDArray[Any]) -> None:
        """Leave the caller's ``pools`` out from now on: they are gone, or were placed elsewhere."""
        self._forget(self.sweep.take_out(pools))

    def change(self, prices: Floats, numbers: Sequence[int], legs: Legs) -> None:
        """Put pools that have changed, or are new, where they belong at ``prices`` (:meth:`.sweep.Sweep.change`)."""
        columns = self.sweep.columns
        self.sweep.move(prices)
        rebases = self.sweep.rebases
        filled, left = self.sweep.change(numbers, legs)
        self._forget(left)
        self._forget(filled)
        self._now += 1
        for part, amounts in enumerate((columns.cash, columns.fixed, columns.gross)):
            self._money[filled, part] = amounts[filled]
        self._kernels.gather_some(
            filled, columns.groups, columns.code, columns.lots, columns.instruments.count, self._held, self._money
        )
        self._scratch[: len(filled)] = filled
        self._pools[filled, 0] = self._kernels.STALE
        if self.sweep.rebases > rebases or not self._distribute(prices, len(filled)):
            self.settle(prices)

    def _forget(self, places: NDArray[np.int64]) -> None:
        """Mark places as gone; their copies among the near pools are candidates no more."""
        import numpy as np

        self._pools[places, 0] = self._kernels.GONE
        near = self.near
        self._copies[0][:near][np.isin(self._near_pool[:near], places)] = np.inf

    # ── What the kernels read ────────────────────────────────────────────────────────────────────────────────────

    def _rules(self, of: Instruments) -> tuple[Floats, Floats]:
        """Return the instruments as ``terms`` and ``tiers`` (:mod:`ringfence.screen.ring_kernels`)."""
        import numpy as np

        rise = np.zeros_like(of.rate)
        floors = np.where(np.isfinite(of.floor), of.floor, 0.0)
        with np.errstate(invalid="ignore"):
            rise[:, 1:] = floors[:, 1:] * np.diff(of.rate, axis=1) - np.diff(of.deduction, axis=1)
        watched = of.moving & ~of.by_contracts & (of.tiers > 1)
        columns = (
            of.lot, of.size, of.inverse, of.fee_slope, of.moving, of.funding, of.tiers, watched, of.credit, of.charge,
            of.price_of, of.jumps & watched,
        )  # fmt: skip
        terms = np.ascontiguousarray(np.stack([column.astype(np.float64) for column in columns], axis=1))
        parts = (
            of.floor, of.rate, np.maximum.accumulate(of.rate, axis=1),
            np.where(of.jumps[:, None], np.maximum(rise, 0.0), 0.0), of.deduction,
        )  # fmt: skip
        return terms, np.ascontiguousarray(np.stack(parts, axis=2))

    def _lay_out(self, moves: Floats) -> None:
        """Make room for rings, buckets and near pools."""
        import numpy as np

        columns, symbols, kernels = self.sweep.columns, self._symbols, self._kernels
        rings = 1
        while INNERMOST * WIDER ** (rings - 1) * float(moves.min()) < kernels.WIDEST and rings < 48:
            rings += 1
        self._radius = INNERMOST * WIDER ** np.arange(rings)
        self._edges = np.zeros((symbols, 2, rings))
        self._buckets = np.zeros((symbols, 2, rings, 3), np.int64)
        self._buckets[..., 2] = -1
        chunks = rings * 2 * symbols + int(1.5 * columns.legs) // kernels.HELD + 64
        self._chunks = np.empty((chunks + 1, kernels.HELD + 1), np.int64)
        self._waiting = np.empty((rings * 2 * symbols, 3), np.int64)
        units = symbols * (2 if bool(columns.instruments.inverse.any()) else 1)
        self._lines = np.zeros((8, units))
        self._lines[kernels.MOVES, :symbols] = moves
        room = max(4096, columns.pools // 8)
        legs = 6 * room
        self._near_pool = np.empty(room, np.int64)
        self._counts = np.zeros(2, np.int64)
        # constant, first leg; unit and slope of each leg
        self._copies = (
            np.empty(room), np.zeros(room + 1, np.int64), np.empty(legs, np.int64), np.empty(legs), self._counts
        )  # fmt: skip
        self._candidates = np.empty(room, np.int64)
        self._hits = np.empty(room, np.int64)


__all__ = ["Incremental"]
