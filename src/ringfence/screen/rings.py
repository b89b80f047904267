"""The incremental screen: at nearly every price nearly every pool is proved safe without being read.

**Pools of one position** have a trigger price (:mod:`ringfence.screen.triggers`): a price names those that it passes.

**Rings** are for all others, and for tables in which a requirement jumps. After a pool has been valued, its surplus
says how far prices may move against it before it can reach the line. All prices between two ends each are a **box**; a
pool *outlasts* a box when no prices in it can bring it to the line. Pools stand in rings, each with a box twice as wide
as that of the one inside, in expected moves of each symbol (and a little wider for symbols that few hold); a pool
stands in the widest whose box it outlasts with ease. While prices are inside of a ring's box nobody in the ring is
read: two comparisons a symbol, whatever the number of pools and rings. Who outlasts no box is *near* and is valued at
every price. Who outlasts the widest is *far*.

**When prices leave a ring's box**, a new one is laid around them, and all pools of the ring are valued, block by block
as they stand in memory, by their *outlooks* (:mod:`ringfence.screen.outlooks`): how low a pool can come. Those that do
not outlast the new box are put further inside; now and then those that outlast the next one are put further out. A box
twice as wide lasts four times as long, so that the many pools of wide rings are hardly ever read.

**Far pools** have no outlook. They are put into a new box by a sweep with a table of what each leg is worth where the
prices of the box are worst for it, a piece at each price, in good time before the old box ends.

**In a crash** boxes are not worth laying. When a quarter of all prices moves far at once, everything is let go of,
and whoever has no trigger is swept (:class:`ringfence.screen.sweep.Sweep`) until it is calm. Then far pools are put
into a box again, piece by piece; only pieces that are not held yet are swept.

**Claim.** :meth:`Incremental.look` names exactly the pools that a sweep names.

**Proof.** Let ``s`` be a pool's exact surplus, ``b`` the error bound that a sweep takes off
(:mod:`ringfence.screen.kernels`). A sweep's value is ``s − b`` with an error below ``b``, so that it names a pool only
if ``s < 2 b``, and whenever ``s < 0``.

1.  *Bends.* A leg of a size (contracts times their size) that is hurt while its unit falls loses at most ``size ·
    (credit − charge · lowest rate)`` per unit, since the requirement falls, too; while the unit rises it gains at least
    ``size · (credit − charge · highest rate)``. One that is hurt while its unit rises loses at most ``size · (credit +
    charge · highest rate)``, and gains at least ``size · (credit + charge · lowest rate)`` while it falls. The lowest
    rate is that of all tiers, the highest one of those that are reached while the unit grows to ``1.25 · 1.4`` of what
    it was. An outlook on a unit that has risen to more than 1.25 of that is made anew before it counts, and a box that
    ends more than 40 % above present prices is one that nobody outlasts. (A leg of the first kind may find itself
    further up for a while; it loses nothing on the way, since what a level asks for is at most the whole value. Where
    it is more, no bound is given.) Requirements that jump at an edge do so upward: on the way down that helps, and on
    the way up a jump ``J`` costs at most ``J · way ÷ (edge − at)``, which the second bend takes off.
2.  *Outlooks.* Prices move independently, so that legs add up. A base is the surplus where the outlook was made, by the
    terms of a sweep and fewer than ``2 k`` more, less ``4 b`` and ``2⁻²² · Σ hurt · unit``; that is more than it costs
    to round ``at`` to 32 bits (``2⁻²⁴ · hurt · unit``), ``hurt`` and ``gain`` being rounded outward, and to sum up. So
    what is not below 0 says ``s ≥ 4 b − b``. As long as no leg has left its tier, the surplus is linear in all units,
    and ``base + Σ slope · way`` is below it by the same, which is less than ``over`` says.
3.  *Near.* Who is not below 0 by its outlook, or within its tiers, is not named by a sweep. Who is below 0 by more than
    ``over`` within its tiers is named. All others are computed by the sweep's own steps, to the same bits.
4.  *Rings.* Who outlasts a box has an outlook that is not below 0 where each leg's unit is at the end that hurts it. So
    it is nowhere in the box, whatever the way there and however often prices move in it: it is monotonic in each unit.
    (The second bend of a leg has its own end of the box.)
5.  *Far.* The table of :func:`.ring_kernels.corner_table` takes the same off each row, for a leg that may be anywhere
    in its tier: the next tier is always among those that it can reach, and a jump costs the share ``J ÷ floor`` of
    the value at the end of the box, at least ``J`` for who reaches the floor. Constants are lowered by 3 more bounds,
    to ``s − 4 b``. Rows are computed at prices for which the columns' tiers are right.
6.  *Everybody, at every price.* Who has a trigger is found by it. For the others, prices are inside of all boxes, or
    each ring that they have left is gone through after a new box was laid. Far pools are held by the old box; or, of
    pieces that have been put there, by the new one; or they are swept. Who is put among the far ones outlasts both
    boxes. An outlook whose pool has changed since is left over: it names nobody, and its pool has another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence.errors import BadInput
from ringfence.screen.columns import NOBODY
from ringfence.screen.compiled import require
from ringfence.screen.sweep import pieces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.screen.columns import Legs
    from ringfence.screen.instruments import Instruments
    from ringfence.screen.sweep import Sweep

    Floats = NDArray[np.float64]

#: of the rings' boxes and, last, of the far pools', in expected moves of one price update
RADII = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 400.0)
RARE = 0.08  #: a box is wider for a symbol by this power of how few hold it: it ends for few, but for all at once
PIECE = 1 << 12  #: far pools that are gone through at a time
PIECES = 4  #: of those at one price, at most
MADE_SHARE = 1024  #: at one price outlooks are made of about this share of the pools, at most
MOVED_SHARE = 64  #: where more than this share of the pools would have to be put elsewhere, there is a sweep
MOVED_BLOCK = 1024  #: outlooks of a ring that are gone through at a time
OUTWARD = (
    16,
    64,
    512,
    2048,
    8192,
    8192,
    8192,
)  #: for how many prices near pools, and those of each ring, do not go outward
RUSH = 16.0  #: expected moves: where a quarter of all prices moves further at once, there are sweeps until it is calm
CALM = 6.0  #: expected moves per update, of the price that moved furthest, over the last updates
UPDATES, UPDATES_IN_RINGS = 8, 64  #: how many those are, at least: while there are sweeps, and while there are rings
PATIENCE = 1024  #: sweeps before rings are tried again where there was no room for them


class Incremental:
    """Looks at every price of a fleet and reads hardly any of its pools.

    ``sweep``: the columns and levels; ``level``: which of its levels is watched. ``expected_moves`` (S f64): how far
    each symbol's price is expected to move from one update to the next, as a share, to begin with; it is learned from
    the prices, and decides about speed alone. ``mode`` is ``rings`` or ``sweep``. ``valued`` counts pools of which an
    outlook was made or put elsewhere, ``sweeps`` prices at which all far pools or some were swept, ``laid`` boxes that
    were laid for far pools.
    """

    def __init__(self, sweep: Sweep, *, level: int = 0, expected_moves: Floats | None = None) -> None:
        require()
        import numpy as np

        from ringfence.screen import outlooks, ring_kernels
        from ringfence.screen.triggers import Triggers

        self._kernels: Any = ring_kernels  # arrays go in by the dozen
        self._forget = outlooks.forget
        self.sweep = sweep
        self._level, self._health = level, sweep.levels[level]
        self.valued = self.sweeps = self.laid = 0
        self._fresh = self._dropped = True  # whether all outlooks were let go of, and none has been made since
        self._old_holds = self._building = False  # whether far pools are held by a box, and put into another
        self._calm, self._corner_of, self._ease = True, -1, 1.0
        self._done = self._wait = 0  # how many pieces are in the new box; how many sweeps to wait
        self._updates = self._looked = 0
        columns = sweep.columns
        of = columns.instruments
        symbols = self._symbols = len(of.symbols)
        moves = np.full(symbols, 1e-4) if expected_moves is None else np.asarray(expected_moves, np.float64)
        if len(moves) != symbols or not bool(np.all(moves > 0)):
            raise BadInput(
                "expected moves are not one positive number per symbol", where="expected_moves",
                expected=str(symbols), found=str(len(moves)),
            )  # fmt: skip
        self._held = outlooks.Held(
            columns.groups, columns.code, columns.lots, columns.cash, columns.fixed, columns.gross, *_rules(of)
        )
        self._sides = 2 if bool(self._held.terms[:, outlooks.JUMPS].any()) else 1
        self._lines = np.zeros((10, symbols))
        self._states = np.full(columns.pools, outlooks.FAR)
        self._states[columns.number == NOBODY] = outlooks.GONE
        self._triggers = Triggers(self._held, self._health, self._lines, self._states)
        self._lay_out(moves)
        self.settle(columns.prices)

    @property
    def mode(self) -> str:
        """How the next price is looked at: ``rings``, or ``sweep`` where far pools are not held by a box."""
        return "rings" if self._old_holds else "sweep"

    @property
    def near(self) -> int:
        """How many pools are valued at every price."""
        return int(self._outlooks.areas[0, :, self._kernels.COUNT].sum())

    @property
    def standing(self) -> list[int]:
        """How many pools stand in each ring, the near ones first."""
        return [int(count) for count in self._outlooks.areas[:, :, self._kernels.COUNT].sum(axis=1)]

    @property
    def swept(self) -> int:
        """How many pools a sweep reads."""
        return int((self._chunks[:, 2] - self._chunks[:, 1]).sum())

    def look(self, prices: Floats) -> NDArray[np.uint32]:
        """Return which of the caller's pools must be looked at at ``prices``: those that a sweep would name."""
        if len(prices) != self._symbols:
            raise BadInput(
                "not one price per symbol", where="prices", expected=str(self._symbols), found=str(len(prices)),
            )  # fmt: skip
        self._updates += 1
        self._looked += 1
        found = self._kernels.look_near(prices, *self._near) if self._old_holds else self._kernels.BOX_ENDED
        if found < 0 or self._building:
            return self._look_closer(prices)
        return self._named(prices, found) if found else self.sweep.columns.looks

    def _named(self, prices: Floats, found: int) -> NDArray[np.uint32]:
        """Return the caller's numbers of those candidates that a sweep would name."""
        doubted, sure = divmod(found, self._kernels.DOUBTED)
        if doubted:
            sure = self._kernels.confirm(
                sure, doubted, self._candidates, self._held, self._health, self._sides, prices, self._lines,
                self._ends, self._outlooks, self._own,
            )  # fmt: skip
        return self._with_looks(self.sweep.columns.number[self._candidates[:sure]])

    def _with_looks(self, *parts: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return all parts together, and who is looked at at every price."""
        import numpy as np

        looks = self.sweep.columns.looks
        parts = (*parts, looks) if len(looks) else parts
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    # ── When prices leave a box ──────────────────────────────────────────────────────────────────────────────────

    def _look_closer(self, prices: Floats) -> NDArray[np.uint32]:
        """Look at prices at which rings have to be gone through, or far pools swept or held by a new box."""
        import numpy as np

        kernels = self._kernels
        left, rushed, spent = kernels.examine(
            prices, RUSH, self._old, self._lines, self._boxes, self._ends, self._outlooks.born
        )
        if left < 0:
            return self._out_of_reach(prices)
        if self._updates >= (UPDATES_IN_RINGS if self._old_holds else UPDATES):
            self._calm = bool(kernels.pace(prices, self._updates, self._lines) < CALM)
            self._updates = 0
        if not self._hold_far(prices, left, rushed=rushed, spent=spent):
            return self._sweep_all(prices)
        if left:
            moved = kernels.renew(
                left, self._outward(left), self._most_moved, self._radii, self._lines, self._boxes, self._held,
                self._health, self._sides, prices, self._outlooks, self._ends, self._scan, self._own, self._moving,
            )  # fmt: skip
            if moved < 0:
                self._drop()
                return self._sweep_all(prices)
            self.valued += moved
        swept = None
        if not self._old_holds:
            done = self._done
            swept = self.sweep.look_in(self._pieces[done:], self._found[done:], prices, self._level)
            self.sweeps += 1
        if self._building:
            if not self._anchor(prices):
                return self._sweep_all(prices)
            self._guard()
        found = kernels.look_near(prices, *self._near)
        if found < 0:
            return self._sweep_all(prices)
        named = self._named(prices, found)
        return named if swept is None else np.union1d(named, swept)

    def _hold_far(self, prices: Floats, left: int, *, rushed: bool, spent: float) -> bool:
        """See to the boxes of the far pools; False where everything is to be swept."""
        old, new = self._old, self._old + 1
        if self._dropped:
            self._wait -= self._wait > 0
            if not self._calm or self._wait:
                return False
            self._dropped = False
        elif rushed:
            self._drop()
            return False
        if left & (1 << old):
            self._close(old)
            self._old_holds = False
        if left & (1 << new):
            self._close(new)
            self._building, self._done = False, 0
        if self._building or (self._old_holds and spent < 0.5):
            return True
        if not self._old_holds and not self._calm:
            self._drop()
            return False
        self._building, self._done = True, 0
        self.laid += 1
        self._ease = self._kernels.OUTWARD if self._old_holds else self._kernels.EASE
        self._lay(1 << new, prices)
        self._corner_of = -1
        return True

    def _outward(self, left: int) -> int:
        """Return from which of the rings that prices have left, and from the near pools, some are put outward now."""
        outward = 0
        for ring in range(self._old):
            if left & (1 << max(ring, 1)) and self._looked >= self._outward_from[ring]:
                outward |= 1 << ring
                self._outward_from[ring] = self._looked + OUTWARD[ring]
        return outward

    def _lay(self, boxes: int, prices: Floats) -> None:
        """Lay boxes around ``prices``, a bit for each, and those of rings that nobody was in."""
        self._kernels.lay(boxes, self._old, self._radii, prices, self._lines, self._boxes, self._ends)

    def _close(self, box: int | slice) -> None:
        """Close a box: nobody can be in it."""
        self._boxes[box, 0], self._boxes[box, 1] = float("inf"), 0.0

    def _anchor(self, prices: Floats, *, all_of_them: bool = False) -> bool:
        """Put some more of the far pools into the new box; False when there is no room for those that do not fit."""
        kernels, sweep, new = self._kernels, self.sweep, self._old + 1
        if self._corner_of != sweep.moved:
            table = sweep.table(prices, self._level)
            self._corner_of = sweep.moved
            held = self._held
            kernels.corner_table(
                self._health, new, self._ease, prices, self._boxes, table, held.terms, held.tiers, self._corner
            )
        self._lay(0, prices)
        pieces, made = (len(self._pieces), 1 << 62) if all_of_them else (
            PIECES, max(256, sweep.columns.pools // MADE_SHARE))  # fmt: skip
        self._done, many = kernels.anchor(
            int(self._fresh), self._done, pieces, made, self._pieces, sweep.constants(self._level), self._corner,
            self._sums, self._hits, *self._making(prices),
        )  # fmt: skip
        if many < 0:
            self._drop()
            self._wait = PATIENCE
            return False
        self.valued += many
        if self._done == len(self._pieces):
            self._boxes[self._old] = self._boxes[new]
            self._close(new)
            self._old_holds, self._building, self._fresh, self._done = True, False, False, 0
        return True

    def _making(self, prices: Floats) -> Any:
        """Return what putting pools where they belong reads and writes."""
        return self._held, self._health, self._sides, prices, self._outlooks, self._ends, self._own

    def _guard(self) -> None:
        self._kernels.guard(self._outlooks, self._boxes, self._lines)

    def _drop(self) -> None:
        """Let go of all rings and boxes: everything is swept until it is calm."""
        self._outlooks.areas[:, :, self._kernels.COUNT] = 0  # states are put right piece by piece
        self._outlooks.born[:] = float("inf")
        self._close(slice(None))
        self._dropped, self._old_holds, self._building, self._calm, self._fresh = True, False, False, False, True
        self._done = 0

    def _sweep_all(self, prices: Floats) -> NDArray[np.uint32]:
        """Look by a sweep, and by triggers where whoever has one position has one."""
        import numpy as np

        self.sweeps += 1
        if not self._triggers.everybody:
            return self.sweep.look(prices, self._level)
        swept = self.sweep.look_in(self._chunks, self._found, prices, self._level)
        found = self._kernels.look_passed(prices, self._lines, self._states, *self._by_trigger)
        return np.concatenate([swept, self._named(prices, found)])

    def _out_of_reach(self, prices: Floats) -> NDArray[np.uint32]:
        """Look by a sweep at prices of which one is missing, or so high that all errors are bounded anew."""
        rebases = self.sweep.rebases
        self.sweeps += 1
        hits = self.sweep.look(prices, self._level)
        if self.sweep.rebases > rebases:
            self.settle(prices)
        return hits

    # ── Changes ──────────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self, prices: Floats) -> None:
        """Put every pool where it belongs at ``prices``, all at once: at the start, or between two prices."""
        import numpy as np

        kernels, of = self._kernels, self.sweep.columns.instruments
        self.sweep.move(prices)
        low, high = np.zeros(self._symbols), np.full(self._symbols, np.inf)
        most = self.sweep.reach / (of.lot * of.size)  # in units: prices, or one over them
        with np.errstate(invalid="ignore"):  # a symbol without a price has no reach
            np.minimum.at(high, of.price_of[~of.inverse], most[~of.inverse])
            np.maximum.at(low, of.price_of[of.inverse], 1.0 / most[of.inverse])
        self._lines[kernels.LEAST], self._lines[kernels.GREATEST] = low, high
        self._lines[kernels.BEFORE] = prices
        self._triggers.settle()
        self._hand_over()
        self._drop()
        self._updates, self._looked, self._wait = 0, 0, 0
        self._outward_from = list(OUTWARD)
        self._dropped, self._building, self._calm = False, True, True
        self._ease = kernels.EASE
        self._lay(1 << (self._old + 1), prices)
        self._corner_of = -1
        if self._anchor(prices, all_of_them=True):
            self._guard()
            self._take_memory()

    def _take_memory(self) -> None:
        """Write where outlooks are going to be added next: memory that is new costs as much as hundreds of pools."""
        kernels, of = self._kernels, self._outlooks
        for first, begin, count, room, each in of.areas.reshape(-1, 5).tolist():
            until = min(room, count + count // 2 + kernels.BLOCK)
            of.bases[first + count : first + until] = 0.0
            of.owners[first + count : first + until] = 0
            of.bends[begin + count * each : begin + until * each] = 0
            of.slopes[begin + count * each : begin + until * each] = 0.0

    def take_out(self, pools: NDArray[Any]) -> None:
        """Leave the caller's ``pools`` out from now on: they are gone, or were placed elsewhere."""
        self._forget(self.sweep.take_out(pools), self._states)

    def change(self, prices: Floats, numbers: Sequence[int], legs: Legs) -> None:
        """Put pools that have changed, or are new, where they belong at ``prices`` (:meth:`.sweep.Sweep.change`)."""
        from ringfence.screen import outlooks

        self.sweep.move(prices)
        rebases = self.sweep.rebases
        filled, left = self.sweep.change(numbers, legs)
        for places in (left, filled):
            self._forget(places, self._states)
        self._states[filled] += outlooks.FAR - outlooks.GONE
        if self.sweep.rebases != rebases:
            self.settle(prices)
            return
        keys = self._triggers.keys
        others = filled[~self._triggers.add(filled)]
        if self._triggers.keys is not keys:
            self._hand_over()
        if self._dropped:
            return
        self._lay(0, prices)
        if self._kernels.place_all(others, *self._making(prices)):
            self.valued += len(filled)
            self._guard()
        else:
            self.settle(prices)

    # ── What the kernels read ────────────────────────────────────────────────────────────────────────────────────

    def _lay_out(self, moves: Floats) -> None:
        """Make room for outlooks, boxes and what else the kernels read and write."""
        import numpy as np

        from ringfence.screen.kernels import CHUNK
        from ringfence.screen.outlooks import MOST_LEGS, OWNER, Outlooks, Own, bend_of

        columns, symbols, rings = self.sweep.columns, self._symbols, len(RADII)
        self._old = rings  # the far pools' box; the new one of them comes next
        groups = columns.groups
        least = 2 if self._triggers.everybody else 1  # legs of those that have outlooks, and are swept
        areas = np.zeros((rings, len(groups), 5), np.int64)
        outlooks = legs = 0
        for ring in range(rings):
            for group, (size, _, pools, _) in enumerate(groups.tolist()):
                room = 0 if size < least else pools if ring else min(pools, max(4096, pools // 8))
                each = size * self._sides if size <= MOST_LEGS else 0
                areas[ring, group] = outlooks, legs, 0, room, each
                outlooks += room
                legs += room * each
        units = symbols * (2 if bool(columns.instruments.inverse.any()) else 1)
        bend = bend_of(2 * units)
        # Of what is not used, zeros take no memory.
        self._outlooks = Outlooks(
            areas, np.zeros(outlooks), np.zeros(outlooks, OWNER), np.zeros(legs, bend), np.zeros(legs, np.float32),
            np.full((rings, units), np.inf), self._states,
        )  # fmt: skip
        self._radii = np.array([0.0, *RADII, RADII[-1]])
        self._boxes = np.zeros((rings + 2, 2, symbols))
        self._ends, self._scan = np.zeros((2, rings + 1, 2 * units)), np.zeros((2, 2 * units))
        self._lines[self._kernels.MOVES] = moves
        self._lines[self._kernels.LEAST_MOVE] = moves / 4.0
        code = columns.code[min(groups[groups[:, 0] >= least, 3], default=columns.legs) :]
        held = np.bincount(columns.instruments.price_of[code % columns.instruments.count], minlength=symbols)
        share = ((held + 1.0) / (held.mean() + 1.0)) ** -RARE
        self._lines[self._kernels.SHARE] = share * (held.sum() + 1.0) / ((held * share).sum() + 1.0)
        if self._triggers.everybody:
            sweep_from = groups[groups[:, 0] >= least, 1]
            self.sweep.apart = int(min(sweep_from, default=columns.pools))
        self._pieces, self._chunks = (pieces_of(groups, size, least=least) for size in (PIECE, CHUNK))
        self._found = np.zeros(len(self._pieces), np.int64)
        self._corner = np.zeros(columns.instruments.rows)
        self._sums, self._hits = np.empty(PIECE), np.empty(PIECE, np.uint32)
        self._own = Own(
            np.zeros(2 * MOST_LEGS, bend), np.zeros(2 * MOST_LEGS, np.float32), np.zeros(1, OWNER)
        )  # fmt: skip
        self._most_moved, self._moving = columns.pools // MOVED_SHARE + 1024, np.empty((MOVED_BLOCK, 2), np.int64)

    def _hand_over(self) -> None:
        """Make ready what the kernels are handed at every price, once there is other room for triggers."""
        import numpy as np

        triggers = self._triggers
        self._candidates = np.empty(
            int(self._outlooks.areas[0, :, self._kernels.ROOM].sum()) + len(triggers.keys), np.int64
        )
        self._by_trigger = (triggers.lists, triggers.keys, triggers.heads, self._candidates)
        self._near = (self._lines, self._ends[0, 0], self._outlooks, *self._by_trigger)


def _rules(of: Instruments) -> tuple[Floats, Floats]:
    """Return the instruments as ``terms`` and ``tiers`` (:class:`ringfence.screen.outlooks.Held`)."""
    import numpy as np

    rise = np.zeros_like(of.rate)
    floors = np.where(np.isfinite(of.floor), of.floor, 0.0)
    with np.errstate(invalid="ignore"):
        rise[:, 1:] = floors[:, 1:] * np.diff(of.rate, axis=1) - np.diff(of.deduction, axis=1)
    watched = of.moving & ~of.by_contracts & (of.tiers > 1)
    columns = (
        of.lot, of.size, of.inverse, of.fee_slope, of.moving, of.funding, of.tiers, watched, of.credit, of.charge,
        of.price_of, of.jumps & watched,
        np.where(np.arange(of.rate.shape[1]) < of.tiers[:, None], of.rate, np.inf).min(axis=1), of.rate.max(axis=1),
    )  # fmt: skip
    terms = np.ascontiguousarray(np.stack([column.astype(np.float64) for column in columns], axis=1))
    parts = (
        of.floor, of.rate, np.maximum.accumulate(of.rate, axis=1),
        np.where(of.jumps[:, None], np.maximum(rise, 0.0), 0.0), of.deduction,
    )  # fmt: skip
    return terms, np.ascontiguousarray(np.stack(parts, axis=2))


__all__ = ["Incremental"]
