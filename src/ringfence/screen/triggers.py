"""Trigger prices: of pools of one position, only those are read that a price reaches.

A pool of one position is called from one price on: its **trigger**. Triggers of one symbol and one side stand sorted,
the next one first, so that a new price is compared with two of them, whatever the number of pools, and names those that
it has passed. A trigger depends on no price: nothing has to be moved when prices do, in a calm or in a crash.

**Claim.** :func:`.trigger_kernels.pass_triggers` finds exactly those of its pools that a sweep names, once those in
doubt are confirmed.

**Proof.** Let ``s(p)`` be a pool's exact surplus at a price, ``b`` the error bound that a sweep takes off
(:mod:`ringfence.screen.kernels`), ``f(p)`` the value of :func:`.trigger_kernels.surplus_alone`: its terms are those of
a sweep, so that it is ``s(p) − b`` with an error below ``b``. That is, ``s > f``, and ``s < f + 2 b``.

1.  *Monotonic.* A long position's surplus never falls while the price rises, a short one's never rises: the value of a
    contract, in its settlement asset, is linear in the price or in one over it. Where value and requirement both grow,
    the requirement takes at most the whole of what is gained (``level · charge · highest rate ≤ credit``); where a
    contract is inverse, the same holds of one over the price. A requirement without jumps at edges is continuous. Who
    is in a table with jumps, or with higher rates, has no trigger (:func:`.trigger_kernels.has_trigger`): it stands in
    rings.
2.  *Safe.* A trigger ``T`` is a price at which ``f(T) ≥ 2 b`` was computed. At prices that are no worse, ``s ≥ s(T) >
    2 b``, so that a sweep's value is above 0. How ``T`` was found does not matter.
3.  *Sure.* At ``S`` it was computed that ``f(S) ≤ − 2 b``. From there on ``s ≤ s(S) < 0``, so that a sweep's value is
    below 0. ``S`` is rounded to the far side.
4.  Between ``T`` and ``S`` a pool is computed by the sweep's own steps, to the same bits.
5.  All of it holds at prices for which errors are bounded; at others everything is swept. ``f(T)`` and ``f(S)`` are
    computed at such prices, too. Is a long position safe however low its price, because ``s`` is above ``2 b`` where
    it is worth nothing, its trigger is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ringfence.screen.outlooks import Held

    Floats = NDArray[np.float64]


class Triggers:
    """The triggers of a fleet's pools of one position, at one level of health.

    ``held``: what the columns hold; ``lines``: between which prices errors are bounded, and where the first triggers
    are written; ``states``: of each pool, where it is. ``everybody``: whether there is none of one position that has
    no trigger, whatever is to come. ``lists``, ``keys``, ``heads``: the tables of :mod:`.trigger_kernels`; other
    arrays after there was no room any more.
    """

    def __init__(self, held: Held, level: float, lines: Floats, states: NDArray[np.int64]) -> None:
        import numpy as np

        from ringfence.screen import trigger_kernels
        from ringfence.screen.outlooks import CHARGE, CREDIT, FEE, FUNDING, HIGHEST, JUMPS, MOVING

        self._kernels: Any = trigger_kernels  # arrays go in by the dozen
        self._held, self._level, self._lines, self._states = held, level, lines, states
        terms = held.terms
        highest = terms[:, FEE] + (terms[:, HIGHEST] + terms[:, FUNDING]) * terms[:, MOVING]
        plain = (terms[:, JUMPS] == 0) & (level * terms[:, CHARGE] * highest <= terms[:, CREDIT])
        self.everybody = bool(plain.all())
        self.lists = np.zeros((2 * lines.shape[1], 4), np.int64)
        self.keys, self.heads = np.empty(0), np.empty(0, trigger_kernels.HEAD)

    def settle(self) -> None:
        """Find the triggers of all pools of one position anew."""
        import numpy as np

        kernels, groups = self._kernels, self._held.groups
        for group in np.flatnonzero(groups[:, 0] == 1).tolist():
            pools = int(groups[group, 2])
            keys, heads, into = np.empty(pools), np.empty(pools, kernels.HEAD), np.empty(pools, np.int32)
            kernels.find_all(group, self._held, self._level, self._lines, self._states, keys, heads, into)
            self._lay_out(np.bincount(into[into >= 0], minlength=len(self.lists)))
            kernels.fill(np.argsort(keys), keys, heads, into, self.lists, self.keys, self.heads)
        kernels.find_first(self.lists, self.keys, self._lines)

    def add(self, pools: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Find the triggers of pools that have changed, or are new; return which of them have one now."""
        import numpy as np

        have = np.zeros(len(pools), np.bool_)
        done = 0
        while done < len(pools):
            done = self._kernels.add(
                done, pools, self._held, self._level, self._lines, self._states, self.lists, self.keys, self.heads, have
            )
            if done < len(pools):
                self._make_room()
        return have

    def _lay_out(self, counts: NDArray[np.int64]) -> None:
        """Make room for so many triggers in each list, and some more."""
        import numpy as np

        kernels, lists = self._kernels, self.lists
        rooms = counts + counts // 4 + 2 * kernels.MOST_FRESH
        ends = np.cumsum(rooms)
        lists[:, kernels.BEGIN] = lists[:, kernels.END] = ends - rooms
        lists[:, kernels.ROOM], lists[:, kernels.FRESH] = ends, 0
        self.keys, self.heads = np.empty(int(ends[-1])), np.empty(int(ends[-1]), kernels.HEAD)

    def _make_room(self) -> None:
        """Lay out all lists anew, leaving out those of pools that have changed since."""
        kernels, lists, keys, heads = self._kernels, self.lists.copy(), self.keys, self.heads
        for one in range(len(lists)):
            kernels.merge(one, lists, keys, heads)
        self._lay_out(lists[:, kernels.END] - lists[:, kernels.BEGIN])
        kernels.copy(lists, keys, heads, self._states, self.lists, self.keys, self.heads)
        kernels.find_first(self.lists, self.keys, self._lines)


__all__ = ["Triggers"]
