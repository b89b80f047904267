"""Why the state of some pools is not known: each reason, how many pools it holds back, the first, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import BadInput
from ringfence.fleet.judging import ExactPools
from ringfence.margin.assess import assess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ringfence.fleet.judging import Prices
    from ringfence.fleet.market import Market
    from ringfence.fleet.pooling import Pools
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Price

FIRST = 3  #: accounts that a reason names
_REASONS = 8  # that are told, of so many reasons
_ASKED = 256  # pools of a unit that the exact lane is asked for a reason; the rest are counted with the last of them


class Why(NamedTuple):
    """What is not known, as a clause, and how it is given."""

    what: str
    do: str


class Held(NamedTuple):
    """How many pools a reason holds back, and the accounts of the first of them."""

    pools: int
    first: tuple[str, ...]


Reasons = dict[Why, Held]


def noted(reasons: Reasons, why: Why, pools: int, accounts: Iterable[str]) -> None:
    """Add pools to a reason."""
    before = reasons.get(why, Held(0, ()))
    names = dict.fromkeys((*before.first, *accounts))
    reasons[why] = Held(before.pools + pools, tuple(names)[:FIRST])


def together(several: Iterable[Mapping[Why, Held]]) -> Reasons:
    """Return the reasons of several units, in their order, as one."""
    found: Reasons = {}
    for reasons in several:
        for why, held in reasons.items():
            noted(found, why, held.pools, held.first)
    return found


def reasons_of(batch: Any, found: Pools, numbers: Sequence[int], market: Market, prices: Prices) -> Reasons:
    """Return why pools ``numbers`` of a unit are not known at the first scenario of ``prices``.

    A pool that lacks two marks is counted with each.
    """
    import numpy as np

    names = batch.column("account")
    asked = np.asarray(numbers, np.int64)
    reasons: Reasons = {}
    legs = np.repeat(np.arange(len(found.first) - 1), np.diff(found.first))
    chosen = np.isin(legs, asked) & prices.missing[found.symbol]
    pairs = np.unique(np.stack([found.symbol[chosen], legs[chosen]]), axis=1)
    for symbol in np.unique(pairs[0]).tolist():
        pools = pairs[1][pairs[0] == symbol]
        first = [names[int(found.account[pool])].as_py() for pool in pools[:FIRST].tolist()]
        noted(reasons, without_mark(market.symbols[symbol]), len(pools), first)
    lane = ExactPools(batch, market)
    why = None
    for turn, number in enumerate(np.setdiff1d(asked, pairs[1]).tolist()):
        if why is None or turn < _ASKED:
            why = why_unknown(lane, found, number, market, prices.marks[0])
        noted(reasons, why, 1, [names[int(found.account[number])].as_py()])
    return reasons


def without_mark(symbol: str) -> Why:
    """Return the reason of a pool that holds a symbol without a mark."""
    return Why(f"no mark for {symbol}", "give marks that have it (--marks FILE: symbol, price)")


def why_unknown(lane: ExactPools, found: Pools, number: int, market: Market, marks: Mapping[str, Price]) -> Why:
    """Return why the exact lane does not know the state of a pool."""
    for symbol in dict.fromkeys(found.symbol[found.first[number] : found.first[number + 1]].tolist()):
        if market.symbols[symbol] not in marks:
            return without_mark(market.symbols[symbol])
    try:
        pool, at = market.indices.pool_at(lane.pool(found, number), marks, market.rulebook.contract)
        return why_of(assess(pool, at, market.rulebook))
    except BadInput as error:
        return Why(error.message, error.hint or f"expected {error.expected or 'what `ringfence fleet explain` says'}")


def why_of(answer: Assessment) -> Why:
    """Return what keeps an assessment from having a state."""
    if answer.balance_held_against is None:
        assets = sorted(asset for asset, held in answer.pool.balances.items() if held is None)
        if assets:
            return Why(f"no balance of {', '.join(assets)}", "give it in the table of wallets, or as isolated_margin")
    rates = sorted({line.position.symbol for line in answer.lines if line.liquidation_requirement is None})
    if rates:
        told = f"{', '.join(rates[:FIRST])}{' …' if len(rates) > FIRST else ''}"
        return Why(
            f"no maintenance rate for {told}", "bring its tiers in account files, or name a day whose tables have it"
        )
    return Why("what the pool holds or must hold", "`ringfence fleet explain FLEET ACCOUNT` says what of it is missing")


def said(reasons: Mapping[Why, Held], pools: int, *, left_out: str = "") -> tuple[str, ...]:
    """Return a sentence for the pools that are not known, and one for each reason, those with most pools first.

    ``left_out``: what that means for the result.
    """
    if not pools:
        return ()
    head = f"{pools:,} {'pool is' if pools == 1 else 'pools are'} not known{left_out}"
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1].pools, pair[0]))
    told = [
        f"not known, {held.pools:,} {'pool' if held.pools == 1 else 'pools'}: {why.what} "
        f"({', '.join(held.first)}{' …' if held.pools > len(held.first) else ''}); do: {why.do}"
        for why, held in ordered[:_REASONS]
    ]
    if len(ordered) > _REASONS:
        told.append(f"not known: {len(ordered) - _REASONS} reasons more")
    return (head, *told)


def as_json(reasons: Mapping[Why, Held]) -> list[dict[str, Any]]:
    """Return the reasons for ``--json``."""
    return [
        {"reason": why.what, "pools": held.pools, "accounts": list(held.first), "do": why.do}
        for why, held in sorted(reasons.items(), key=lambda pair: (-pair[1].pools, pair[0]))
    ]


__all__ = ["Held", "Reasons", "Why", "as_json", "noted", "reasons_of", "said", "together", "why_of",
           "why_unknown", "without_mark"]  # fmt: skip
