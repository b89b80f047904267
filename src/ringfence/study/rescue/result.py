"""What a rescue says: the endangered pools, and the ways out of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.numbers import plain, text

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Account
    from ringfence.numbers import Value

SCHEMA = "ringfence.rescue/1"


class Way(NamedTuple):
    """One way out. ``refusal``: why it is none; then no ``account``, and ``health`` what it would come to, if known.

    ``kind``: add_margin, deposit, move_margin, reduce, add_and_reduce, reduce_all, cancel_orders, hedge, switch_mode,
    switch_architecture.
    ``amount``: contracts, a share or cash, in ``unit``. ``cost``: fees, paid for good. ``outside``: cash the account
    does not have.
    ``tied``: cash or margin that the way locks up; these three in the settlement asset of the pool (or of the deposit).
    ``room``: the smallest move of one mark alone that then liquidates the pool, a share of it (None: no such move).
    """

    kind: str
    what: str
    amount: Decimal | None
    unit: str | None
    cost: Value
    outside: Value
    tied: Value
    health: Decimal | None
    room: Decimal | None
    refusal: str | None
    account: Account | None


class Endangered(NamedTuple):
    """A pool at or below the target, and the ways out, cheapest first; those that are none come last."""

    pool: str
    asset: str | None
    health: Decimal | None
    balance: Value
    required: Value
    status: str | None
    ways: tuple[Way, ...]


class Rescue(NamedTuple):
    """Every endangered pool. ``level_source``: who says that the target is one. ``unknown``: pools without a health."""

    target: Decimal
    level_source: str
    pools: tuple[Endangered, ...]
    notes: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def as_json(found: Rescue) -> dict[str, Any]:
    """Return a rescue as ``ringfence rescue --json`` prints it: decimals as strings, none and unknown as null."""
    return {
        "schema": SCHEMA,
        "target_health": plain(found.target),
        "target_source": found.level_source,
        "unknown_pools": list(found.unknown),
        "pools": [
            {
                "pool": pool.pool,
                "asset": pool.asset,
                "status": pool.status,
                "health": text(pool.health),
                "balance": plain(pool.balance),
                "liquidation_requirement": plain(pool.required),
                "ways": [_way_json(way) for way in pool.ways],
            }
            for pool in found.pools
        ],
        "notes": list(found.notes),
    }


def _way_json(way: Way) -> dict[str, Any]:
    document: dict[str, Any] = way._asdict()
    del document["account"]
    numbers = ("amount", "cost", "outside", "tied", "health", "room")
    return {key: text(value) if key in numbers else value for key, value in document.items()}


__all__ = ["SCHEMA", "Endangered", "Rescue", "Way", "as_json"]
