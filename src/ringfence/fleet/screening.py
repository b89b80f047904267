"""Who of a fleet is called or liquidatable at these marks, worst first.

The fast lane says of each pool where it stands and is certain of it, or the exact lane decides. Who is shown has exact
figures; the order of those shown is exact, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.fleet.in_turn import Told, in_turn
from ringfence.fleet.judging import CALLED, LIQUIDATABLE, SOUND, STATES, UNKNOWN, ExactPools, judge, prices_of
from ringfence.fleet.market import market_of, symbols_of
from ringfence.fleet.pooling import pools_of
from ringfence.fleet.unknown import reasons_of, said, together
from ringfence.numbers import ZERO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.judging import Judged
    from ringfence.fleet.schema import Terms
    from ringfence.fleet.unknown import Reasons
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Value

ALL = -1  #: as a limit: whoever is called or liquidatable
_NEAR = 1e-6  # relative: floats order what is further apart; what is closer is ordered exactly
_FAR = ZERO + 10**30
_SEVERITY = {"liquidatable": 0, "margin_call": 1}


class Found(NamedTuple):
    """A pool that is called or liquidatable, in exact figures. ``health``: None where nothing is required."""

    account: str
    pool: str
    status: str
    asset: str | None
    balance: Value
    required: Value
    health: Decimal | None
    shortfall: Value

    @property
    def order(self) -> tuple[int, Decimal, str, str]:
        """What they are sorted by: liquidatable first, then health, then name."""
        return _SEVERITY[self.status], _FAR if self.health is None else self.health, self.account, self.pool


class UnitScreen(NamedTuple):
    """What one unit adds: counts of accounts by state of their worst pool, of pools by state, and the worst pools.

    ``reasons``: why pools are not known.
    """

    accounts: tuple[int, int, int, int]
    pools: tuple[int, int, int, int]
    positions: int
    exact: int
    worst: tuple[Found, ...]
    reasons: Reasons


class Screening(NamedTuple):
    """A fleet at its marks. Counts are by (healthy, called, liquidatable, not known).

    ``exact``: pools that the exact lane had to decide. ``worst``: worst first, up to the limit. ``reasons``: why pools
    are not known.
    """

    accounts: tuple[int, int, int, int]
    pools: tuple[int, int, int, int]
    positions: int
    exact: int
    worst: tuple[Found, ...]
    assumptions: tuple[str, ...]
    reasons: Reasons


class ScreenPlan:
    """What every unit is screened with: market, prices, and how many pools are wanted. Handed to every worker."""

    at_once = 1

    def __init__(self, fleet: Fleet, limit: int) -> None:
        self._make(fleet.terms, limit, symbols_of(fleet))

    def _make(self, terms: Terms, limit: int, symbols: Sequence[str]) -> None:
        self.terms, self.limit = terms, limit
        self.market = market_of(terms.rulebook(), symbols, terms)
        self.prices = prices_of(self.market, [terms.marks])
        self.progress: Callable[[int], None] | None = None

    def __getstate__(self) -> tuple[Any, ...]:
        """Go to another process as what it is made of: a rulebook reads files, which are there as well."""
        return self.terms, self.limit, self.market.symbols

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._make(*state)

    def unit(self, batch: Any) -> UnitScreen:
        """Return what one unit adds."""
        import numpy as np

        judged = judge(batch, pools_of(batch, self.market), self.market, self.prices, self.progress)
        state = judged.state
        # The worst pool's state is the account's; one that is not known counts only where no other is in danger.
        rank = np.where(state == UNKNOWN, 0.5, state)
        worst = np.zeros(batch.num_rows)
        np.maximum.at(worst, judged.pools.account, rank)
        return UnitScreen(
            tuple(int((worst == at).sum()) for at in (SOUND, CALLED, LIQUIDATABLE, 0.5)),  # type: ignore[arg-type]
            tuple(int((state == at).sum()) for at in (SOUND, CALLED, LIQUIDATABLE, UNKNOWN)),  # type: ignore[arg-type]
            len(judged.pools.symbol),
            judged.exact,
            self._worst(batch, judged),
            self._reasons(batch, judged),
        )

    def _reasons(self, batch: Any, judged: Judged) -> Reasons:
        import numpy as np

        unknown = np.flatnonzero(judged.state == UNKNOWN).tolist()
        return reasons_of(batch, judged.pools, unknown, self.market, self.prices) if unknown else {}

    def _worst(self, batch: Any, judged: Judged) -> tuple[Found, ...]:
        """Return the unit's worst pools, exactly."""
        import numpy as np

        bad = np.flatnonzero(judged.state > SOUND)
        if self.limit >= 0 and len(bad) > self.limit:
            bad = self._candidates(judged, bad)
        lane = ExactPools(batch, self.market)
        names = batch.column("account")
        found = []
        for number in bad.tolist():
            answer = judged.exactly.get(number) or lane.assess(judged.pools, number, self.prices.marks[0])
            if answer is None or STATES[answer.status] != judged.state[number]:
                raise AssertionError(f"fast and exact lane differ: {names[judged.pools.account[number]]}")
            found.append(_found(names[int(judged.pools.account[number])].as_py(), answer))
        return worst_of(found, self.limit)

    def _candidates(self, judged: Judged, bad: Any) -> Any:
        """Return at least the ``limit`` worst of ``bad``, and whoever floats cannot tell from the last of them."""
        import numpy as np

        required = judged.required[bad]
        health = np.where(required > 0, judged.balance[bad] / np.where(required > 0, required, 1.0), np.inf)
        if not self.limit:
            return bad[:0]
        calls = judged.state[bad] == CALLED
        dead = bad[~calls]
        if len(dead) >= self.limit:
            own = health[~calls]
            edge = np.partition(own, self.limit - 1)[self.limit - 1]
            return dead[own <= edge + _NEAR * max(1.0, abs(edge))] if np.isfinite(edge) else dead
        left = self.limit - len(dead)
        own = health[calls]
        edge = np.partition(own, left - 1)[left - 1]
        return np.sort(np.concatenate([dead, bad[calls][own <= edge + _NEAR * max(1.0, abs(edge))]]))


def _found(account: str, answer: Assessment) -> Found:
    balance, required = answer.balance_held_against, answer.liquidation_requirement
    assert answer.status is not None  # noqa: S101 - called or liquidatable
    assert balance is not None  # noqa: S101 - as above
    assert required is not None  # noqa: S101 - as above
    return Found(account, answer.pool.name, answer.status, answer.asset, balance, required, answer.health,
                 answer.shortfall or ZERO)  # fmt: skip


def worst_of(found: Iterable[Found], limit: int) -> tuple[Found, ...]:
    """Return the worst, first the worst of all; all of them for a negative limit."""
    ordered = sorted(found, key=lambda pool: pool.order)
    return tuple(ordered if limit < 0 else ordered[:limit])


def screen(
    fleet: Fleet,
    *,
    limit: int = 20,
    progress: Callable[[int], None] | None = None,
    units: Callable[[ScreenPlan], Iterable[UnitScreen]] | None = None,
) -> Screening:
    """Screen a fleet at its marks and return the ``limit`` worst pools with exact figures (:data:`ALL`: all of them).

    ``progress`` is told the accounts done. ``units``: who screens them instead, in their order (Ray).
    Raises BadConfiguration where the fleet has no marks.
    """
    if not fleet.terms.marks:
        raise BadConfiguration("no marks", where="fleet screen", expected="a mark for every symbol", found="none",
                               hint="give --marks FILE, or build the fleet with marks")  # fmt: skip
    plan = ScreenPlan(fleet, limit)
    accounts = pools = (0, 0, 0, 0)
    told = Told(progress)
    plan.progress = told.more if units is None and progress is not None else None
    positions = exact = 0
    worst: tuple[Found, ...] = ()
    reasons: Reasons = {}
    for unit in in_turn(fleet, plan) if units is None else units(plan):
        accounts, pools = _sum(accounts, unit.accounts), _sum(pools, unit.pools)
        positions, exact = positions + unit.positions, exact + unit.exact
        worst = worst_of((*worst, *unit.worst), limit)
        reasons = together((reasons, unit.reasons))
        if units is not None:
            told.more(sum(unit.accounts))
    notes = (*_assumptions(plan), *said(reasons, pools[3]), *fleet.terms.notes)
    return Screening(accounts, pools, positions, exact, worst, notes, reasons)


def _sum(one: Sequence[int], other: Sequence[int]) -> tuple[int, int, int, int]:
    return tuple(left + right for left, right in zip(one, other, strict=True))  # type: ignore[return-value]


def _assumptions(plan: ScreenPlan) -> tuple[str, ...]:
    levels = plan.market.rulebook.levels
    whose = "the venue's" if levels.source == "venue" else levels.source
    return (f"a margin call is a health of {levels.margin_call} or less ({whose})",)


__all__ = ["ALL", "Found", "ScreenPlan", "Screening", "UnitScreen", "screen", "worst_of"]
