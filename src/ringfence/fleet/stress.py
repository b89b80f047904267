"""What scenarios do to a whole fleet: who is liquidated and called, what is lost, what the insurance fund would need.

Everything is summed unit by unit and put together in their order, so that the result is the same to the last bit
whoever computed which unit. Counts are exact: what floating point leaves open the exact lane decides, account by
account. Amounts are sums of floats, whose error (about 1e-13 of the sizes added up) is far below what is shown.

**Losses** are what pools are worth less than now, gains of others not set against them. The **fund** would need what
liquidatable pools are below zero when everything is closed at the scenario's marks: no slippage, no fees, nobody
liquidated on the way. **Forced** is the value, at those marks, of the positions in liquidatable pools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadConfiguration
from ringfence.fleet.in_turn import Told, counted, in_turn
from ringfence.fleet.judging import (
    CALLED,
    LIQUIDATABLE,
    LOOK,
    STATES,
    ExactPools,
    books_stand,
    prepared,
    prices_of,
    tiers_of,
)
from ringfence.fleet.market import market_of, symbols_of
from ringfence.fleet.pooling import pools_of
from ringfence.fleet.scenarios import NOW
from ringfence.fleet.unknown import reasons_of, said, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ringfence.fleet.fleet import Fleet
    from ringfence.fleet.judging import Prices
    from ringfence.fleet.market import Market
    from ringfence.fleet.pooling import Pools
    from ringfence.fleet.scenarios import Scenario
    from ringfence.fleet.schema import Terms
    from ringfence.fleet.unknown import Reasons
    from ringfence.margin.assessment import Assessment

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]


class UnitSums(NamedTuple):
    """What one unit adds to the result. ``C`` scenarios, the first of them now; ``A`` assets; ``S`` symbols.

    Counts ``accounts``, ``liquidatable``, ``called`` are (C), amounts ``equity``, ``loss``, ``fund`` (A, C), ``forced``
    (S, C). ``held``: accounts, pools and positions. ``exact``: pools that the exact lane decided; ``unknown``: pools of
    which it is not known, and which nothing is added of.
    """

    accounts: Counts
    liquidatable: Counts
    called: Counts
    equity: Floats
    loss: Floats
    fund: Floats
    forced: Floats
    held: Counts
    exact: int
    unknown: int
    reasons: Reasons  #: why those are not known


class Stress(NamedTuple):
    """A fleet under scenarios. Arrays as in :class:`UnitSums`, over the whole fleet; ``scenarios[0]`` is now."""

    scenarios: tuple[Scenario, ...]
    symbols: tuple[str, ...]
    assets: tuple[str | None, ...]
    sums: UnitSums
    assumptions: tuple[str, ...]


class Plan:
    """What every unit is put through: the market, and prices by scenario. Made once, and handed to every worker."""

    at_once = 1

    def __init__(self, fleet: Fleet, scenarios: Sequence[Scenario]) -> None:
        self._make(fleet.terms, (NOW, *scenarios), symbols_of(fleet))

    def _make(self, terms: Terms, scenarios: tuple[Scenario, ...], symbols: Sequence[str]) -> None:
        self.terms, self.scenarios = terms, scenarios
        self.progress: Callable[[int], None] | None = None
        named = dict.fromkeys(symbol for scenario in scenarios for symbol in scenario.moves)
        self.market = market_of(terms.rulebook(), symbols, terms, named=tuple(named))
        # An option has no move of its own: it follows its coin (ringfence.margin.portfolio.marks).
        options = [name for name in self.market.symbols if self.market.rulebook.contract(name).option]
        stay = {name: terms.marks[name] for name in options if name in terms.marks}
        self.prices = prices_of(self.market, [{**scenario.marks(terms.marks), **stay} for scenario in scenarios])

    def unit(self, batch: Any) -> UnitSums:
        """Return what one unit adds."""
        return unit_sums(batch, self.market, self.prices, self.progress)

    def __getstate__(self) -> tuple[Any, ...]:
        """Go to another process as what it is made of: a rulebook reads files, which are there as well."""
        return self.terms, self.scenarios, self.market.symbols

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._make(*state)


def stress(
    fleet: Fleet,
    scenarios: Sequence[Scenario],
    *,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
    sums: Callable[[Plan], Iterable[UnitSums]] | None = None,
) -> Stress:
    """Put a fleet through ``scenarios``, starting from its marks. ``progress`` is told the accounts done.

    ``threads``: as many as there are cores if not given; ``sums``: who computes the units instead, in their order
    (Ray). Raises BadConfiguration without scenarios or marks.
    """
    if not scenarios or not fleet.terms.marks:
        what = "scenario" if not scenarios else "marks"
        raise BadConfiguration(f"no {what}", where="fleet stress", expected=f"at least one {what}", found="none",
                               hint="give --marks FILE" if scenarios else "give at least one")  # fmt: skip
    plan = Plan(fleet, scenarios)
    told = Told(progress)
    plan.progress = told.more if sums is None and progress is not None else None
    found = in_turn(fleet, plan, threads) if sums is None else sums(plan)
    total: UnitSums | None = None
    for unit in found:
        total = unit if total is None else added(total, unit)
        if sums is not None:
            told.more(int(unit.held[0]))
    assert total is not None  # noqa: S101 - a fleet has at least one unit
    return Stress(plan.scenarios, plan.market.symbols, plan.market.assets, total, _assumptions(fleet, plan, total))


def added(one: UnitSums, other: UnitSums) -> UnitSums:
    """Return two units' sums added up, in this order."""
    arrays = [left + right for left, right in zip(one[:8], other[:8], strict=True)]
    counts = (one.exact + other.exact, one.unknown + other.unknown)
    return UnitSums._make([*arrays, *counts, together((one.reasons, other.reasons))])


def unit_sums(batch: Any, market: Market, prices: Prices, told: Callable[[int], None] | None = None) -> UnitSums:
    """Return what the pools of one unit add up to in the scenarios of ``prices``.

    ``told`` hears how many more accounts are done.
    """
    import numpy as np

    found = pools_of(batch, market)
    got = prepared(found, market, missing=prices.missing)
    _whole_accounts(got.look, found)
    while True:
        swept, unsure = _swept(got, found, batch.num_rows, market, prices)
        if np.array_equal(unsure, got.look):
            break
        got.look[:] = unsure  # rare: a pool so close to a line that all of its account goes to the exact lane
        _whole_accounts(got.look, found)
    arrays = [np.ascontiguousarray(array[..., : len(prices.marks)]) for array in swept]
    arrays[:3] = [counts.astype(np.int64) for counts in arrays[:3]]
    arrays[6] *= np.where(prices.missing[:, None], 0.0, prices.values[:, : len(prices.marks)])  # contracts to value
    held = np.array([batch.num_rows, len(found.balance), len(found.symbol)])
    sums = UnitSums._make([*arrays, held, 0, 0, {}])
    looked = _with_books(sums, batch, found, got.look, market, prices)
    return _with_exact(sums, batch, found, np.flatnonzero(looked), market, prices, told)


def _whole_accounts(look: Any, found: Pools) -> None:
    """Let all pools of an account be looked at when one is: whether an account is struck depends on all of them."""
    import numpy as np

    if look.any():
        look[:] = np.isin(found.account, found.account[look])


def _swept(
    got: Any, found: Pools, accounts: int, market: Market, prices: Prices
) -> tuple[list[Floats], NDArray[np.bool_]]:
    """Return the kernel's sums over a unit, by scenario as ``prices`` has them, and which pools it is not sure of."""
    import numpy as np

    from ringfence.fleet import scenario_kernel as kernel

    chunks = np.searchsorted(found.account, np.arange(0, accounts + kernel.CHUNK, kernel.CHUNK))
    sweep = kernel.sweep_baskets if len(found.parts.cash) else kernel.sweep
    level, tiers = float(market.rulebook.levels.margin_call), tiers_of(market)
    unsure, now = got.look.copy(), np.full(len(found.balance), np.nan)
    parts = []
    for begin in range(0, prices.values.shape[1], kernel.ROOM):
        values, moves = (np.ascontiguousarray(array[:, begin : begin + kernel.ROOM])
                         for array in (prices.values, prices.moves))  # fmt: skip
        points = kernel.Points(values, prices.ends, moves, prices.least, prices.most, level)
        parts.append(_empty(market, values.shape[1]))
        sweep(got, tiers, chunks, points, now, parts[-1], unsure)
    return [np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)], unsure


def _empty(market: Market, scenarios: int) -> Any:
    import numpy as np

    from ringfence.fleet.scenario_kernel import Sums

    counts = [np.zeros(scenarios) for _ in range(3)]
    amounts = [np.zeros((len(market.assets), scenarios)) for _ in range(3)]
    return Sums._make([*counts, *amounts, np.zeros((len(market.symbols), scenarios))])


def _with_books(
    sums: UnitSums, batch: Any, found: Pools, look: NDArray[np.bool_], market: Market, prices: Prices
) -> NDArray[np.bool_]:
    """Add the books whose every verdict is certain to the sums; return which pools are still to be looked at.

    Only of accounts of which nothing else is looked at: whether an account is struck depends on all of its pools.
    """
    import numpy as np

    left = look.copy()
    if not found.by_scenarios.any():
        return left
    stand = books_stand(batch, found, market, prices)
    pool = stand.books.pool
    many = np.bincount(found.account[look], minlength=batch.num_rows)
    sure = np.flatnonzero((stand.state != LOOK).all(axis=1) & look[pool] & (many[found.account[pool]] == 1))
    equity, dead = stand.balance[sure], stand.state[sure] == LIQUIDATABLE
    sums.accounts[:] += dead.sum(axis=0)
    sums.liquidatable[:] += dead.sum(axis=0)
    sums.called[:] += (stand.state[sure] == CALLED).sum(axis=0)
    asset = len(market.assets) - 1
    sums.equity[asset] += equity.sum(axis=0)
    sums.loss[asset] += np.maximum(equity[:, :1] - equity, 0.0).sum(axis=0)
    sums.fund[asset] += np.where(dead, np.maximum(-equity, 0.0), 0.0).sum(axis=0)
    values = np.where(prices.missing[:, None], 0.0, prices.values[:, : len(prices.marks)])
    for at in np.flatnonzero(dead.any(axis=1)).tolist():
        legs = slice(int(found.first[pool[sure[at]]]), int(found.first[pool[sure[at]] + 1]))
        symbol = found.symbol[legs]
        np.add.at(sums.forced, symbol, dead[at] * np.abs(found.quantity[legs])[:, None] * values[symbol])
    left[pool[sure]] = False
    return left


def _with_exact(
    sums: UnitSums, batch: Any, found: Pools, looked: Counts, market: Market, prices: Prices,
    told: Callable[[int], None] | None,
) -> UnitSums:  # fmt: skip
    """Return the sums with the pools added that the exact lane decides, in their order."""
    import numpy as np

    lane = ExactPools(batch, market)
    struck: dict[int, Any] = {}
    unknown: list[int] = []
    for number in counted(looked, found.account, batch.num_rows, told):
        legs = slice(int(found.first[number]), int(found.first[number + 1]))
        answers = _answers(lane, found, number, prices) if not prices.missing[found.symbol[legs]].any() else None
        if answers is None:
            unknown.append(number)
            continue
        _add_exact(sums, answers, int(found.asset[number]), {symbol: at for at, symbol in enumerate(market.symbols)})
        dead = np.array([STATES[answer.status] == LIQUIDATABLE for answer in answers])
        account = int(found.account[number])
        struck[account] = struck.get(account, False) | dead
    for dead in struck.values():
        sums.accounts[:] += dead
    reasons = reasons_of(batch, found, unknown, market, prices) if unknown else {}
    return sums._replace(exact=len(looked) - len(unknown), unknown=len(unknown), reasons=reasons)


def _answers(lane: ExactPools, found: Pools, number: int, prices: Prices) -> list[Assessment] | None:
    answers = []
    for marks in prices.marks:
        answer = lane.assess(found, number, marks)
        if answer is None or answer.status is None:
            return None
        answers.append(answer)
    return answers


def _add_exact(sums: UnitSums, answers: Sequence[Assessment], asset: int, numbers: Mapping[str, int]) -> None:
    start = float(answers[0].balance_held_against or 0)
    for at, answer in enumerate(answers):
        state, equity = STATES[answer.status], float(answer.balance_held_against or 0)
        sums.called[at] += state == CALLED
        sums.equity[asset, at] += equity
        sums.loss[asset, at] += max(start - equity, 0.0)
        if state == LIQUIDATABLE:
            sums.liquidatable[at] += 1
            sums.fund[asset, at] += max(-equity, 0.0)
            for line in answer.lines:
                sums.forced[numbers[line.position.symbol], at] += float(line.notional)


def _assumptions(fleet: Fleet, plan: Plan, total: UnitSums) -> tuple[str, ...]:
    levels = plan.market.rulebook.levels
    whose = "the venue's" if levels.source == "venue" else levels.source
    found = [
        "marks move at once; fees, slippage, funding and liquidations on the way are not played",
        "insurance fund: what liquidatable pools are below zero, everything closed at the scenario's marks",
        f"a margin call is a health of {levels.margin_call} or less ({whose})",
        "counts are exact; amounts are sums in floating point, to about 13 digits",
    ]
    if total.exact:
        found.append(f"{total.exact:,} of {int(total.held[1]):,} pools were decided by the exact lane")
    return (*found, *said(total.reasons, total.unknown, left_out=" and left out"), *fleet.terms.notes)


__all__ = ["Plan", "Stress", "UnitSums", "added", "stress", "unit_sums"]
