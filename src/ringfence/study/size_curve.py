"""What the pictures of the calculators show: one trade over the price, and the largest position over the leverage.

The figures are those of :mod:`ringfence.study.size` and of assessments, at many prices and leverages instead of one.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.account import Account, MarginMode
from ringfence.margin.assess import assess_account
from ringfence.margin.change import entry_margin
from ringfence.numbers import ONE, PRICE_PLACES, ZERO, divide, exact
from ringfence.study.size import liquidation, most_that_opens, profit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.account import Position
    from ringfence.margin.refusal import Refusal
    from ringfence.numbers import Price, Quantity, Rate, Value
    from ringfence.rulebook import Rulebook

STEPS = 60
"""How many prices or leverages a curve has at the least."""
FURTHEST = Decimal(3)
"""A price beyond so many times the entry, exit and mark stands in the figures, not in the picture."""
_UNKNOWN_LEVERAGE = Decimal(20)


class At(NamedTuple):
    """A trade at one price, in the settlement asset.

    ``pnl``: net of the course's fees. ``left``: margin balance, before fees; ``required``: what liquidates it once the
    balance is below. None where nothing is said to stand behind the position, or no rate is known.
    """

    price: Price
    pnl: Value
    left: Value | None
    required: Value | None


class Course(NamedTuple):
    """A trade over the price. ``marked``: prices with a name, those inside the picture; ``fee_rate``: charged twice.

    ``behind``: the isolated margin or the wallet that the position stands on, None where neither is said.
    """

    symbol: str
    side: str
    asset: str
    fee_rate: Rate
    isolated: bool
    behind: Value | None
    points: tuple[At, ...]
    marked: tuple[tuple[str, Price], ...]


class Reach(NamedTuple):
    """The largest position at one leverage, and why one quantity step more is refused (None: nothing limits it)."""

    leverage: Decimal
    quantity: Quantity
    value: Value
    refusal: Refusal | None


@exact
def course(
    rulebook: Rulebook,
    position: Position,
    *,
    named: Mapping[str, Price | None],
    wallet: Value | None = None,
    mark: Price | None = None,
    fee_rate: Rate = ZERO,
) -> Course:
    """Return ``position`` over the price, from below the lowest price that is marked to above the highest.

    ``named``: prices to mark beside entry, liquidation and bankruptcy, such as the exit. What stands behind the
    position: its isolated margin (entry value ÷ leverage where none is given), or ``wallet``; with neither, nothing
    liquidates it. ``mark``: where the liquidation price is asked for (:func:`~ringfence.study.size.liquidation`).
    """
    contract = rulebook.contract(position.symbol)
    isolated = position.margin_mode is MarginMode.ISOLATED
    if isolated and position.isolated_margin is None:
        position = replace(position, isolated_margin=entry_margin(position, rulebook))
    behind = position.isolated_margin if isolated else wallet
    chosen = {"entry": position.entry_price, **named}
    marked = {name: price for name, price in chosen.items() if price is not None}
    edge = FURTHEST * max(marked.values())
    if behind is not None:
        dies = liquidation(rulebook, position, wallet=wallet, mark=mark)
        for name in ("liquidation", "bankruptcy"):
            price = dies.value(f"{name}_price")
            if price is not None and ZERO < price <= edge:
                marked[name] = price
    account = Account(positions=(position,), wallet={contract.settle_asset: wallet})

    def at(price: Price) -> At:
        made = profit(
            contract, side=position.side, quantity=abs(position.quantity), entry=position.entry_price,
            exit_price=price, fee_rate=fee_rate,
        ).value("net_pnl")  # fmt: skip
        if behind is None:
            return At(price, made or ZERO, None, None)
        held = next(a for a in assess_account(account, {position.symbol: price}, rulebook) if a.lines)
        return At(price, made or ZERO, held.balance_held_against, held.liquidation_requirement)

    points = tuple(at(price) for price in _prices(sorted(marked.values())))
    return Course(
        position.symbol, position.side, contract.settle_asset, fee_rate, isolated, behind, points,
        tuple(marked.items()),
    )  # fmt: skip


def _prices(marked: list[Price]) -> list[Price]:
    """Return evenly spaced prices around the marked ones, and these; all above 0."""
    low, high = marked[0], marked[-1]
    pad = divide(high - low if high > low else low, Decimal(6), places=PRICE_PLACES)
    start = max(low - pad, divide(low, Decimal(2), places=PRICE_PLACES))
    step = divide(high + pad - start, Decimal(STEPS), places=PRICE_PLACES)
    return sorted({*marked, *(start + step * n for n in range(STEPS + 1))})


@exact
def reach(
    rulebook: Rulebook,
    symbol: str,
    *,
    side: str,
    balance: Value,
    leverage: Decimal,
    price: Price,
    mode: MarginMode = MarginMode.CROSS,
    fee_rate: Rate | None = None,
) -> tuple[Reach, ...]:
    """Return the largest position at leverages from 1 to the highest that a tier allows, ``leverage`` among them.

    Both sides of each tier's highest leverage are asked, so that its step is not drawn as a slope. Where no tier names
    a highest leverage: to 20, or twice the leverage asked about.
    """
    table = rulebook.tiers(symbol)
    ends = {tier.max_leverage for tier in table.tiers if tier.max_leverage} if table is not None else set()
    top = max(leverage, max(ends) if ends else max(_UNKNOWN_LEVERAGE, 2 * leverage))
    every = divide(top - ONE, Decimal(STEPS), places=2)
    asked = {ONE, top, leverage, *ends, *(end + Decimal("0.01") for end in ends if end < top)}
    asked |= {ONE + every * n for n in range(1, STEPS)} if every > 0 else set()
    value = rulebook.contract(symbol).contract_value(price)
    found = []
    for each in sorted(asked):
        most = most_that_opens(
            rulebook, symbol, side=side, balance=balance, leverage=each, price=price, mode=mode, fee_rate=fee_rate
        )
        found.append(Reach(each, most.quantity, most.quantity * value, most.refusal))
    return tuple(found)


__all__ = ["FURTHEST", "STEPS", "At", "Course", "Reach", "course", "reach"]
