"""Debts in a basket: what an account owes, when its venue sells collateral for that, how much, and what may leave.

An account owes an asset when its wallet balance of it is negative. Venues pay such a debt back with other assets of the
account: beyond a threshold of the debt, when what is owed comes near what the rest counts for (loan-to-value), or in a
liquidation. For a debt of ``d`` worth ``d · index`` they sell ``d · index ÷ (1 − haircut)`` of other assets.

Sources: Binance, Multi-Assets mode (multi-asset-info: thresholds, 2.5 %, assets in proportion); BingX, help
12140157478927 (loan-to-value); Bybit, liquidation in the unified account (auto-repay). What a venue does not publish is
named in :attr:`~ringfence.rulebook.AutoExchange.assumed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringfence.margin.basket import amount_for
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, VALUE_PLACES, ZERO, divide, exact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ringfence.account import Collateral
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Rate, Value
    from ringfence.rulebook import AutoExchange


class Sale(NamedTuple):
    """A debt that is paid back. ``debt``: amount of ``asset`` bought (> 0); ``sold``: amounts of other assets for it.

    ``due``: what is sold is worth, at the index, in the account's currency; ``unpaid``: what of the debt the account's
    other assets do not cover.
    """

    asset: str
    debt: Value
    sold: tuple[tuple[str, Value], ...]
    due: Value
    unpaid: Value


@exact
def worth_sold(debt: Value, haircut: Rate) -> Value:
    """Return what must be sold for a debt: ``debt ÷ (1 − haircut)``, rounded up to 24 places."""
    return divide(debt, ONE - haircut, places=VALUE_PLACES, rounding=ROUND_CEILING)


def beyond_threshold(balance: Value, threshold: Value) -> bool:
    """Whether a wallet balance is a debt at or beyond a threshold (> 0)."""
    return balance < 0 and -balance >= threshold


@exact
def loan_to_value(balances: Mapping[str, Value], terms: Mapping[str, Collateral]) -> Decimal | None:
    """Return what is owed, at the index, over what is held counts for; None where nothing that is held counts.

    18 places, rounded down; 0 where nothing is owed. Source: BingX, help 12140157478927.
    """
    owed = sum((-held * terms[asset].index for asset, held in balances.items() if held < 0), ZERO)
    counted = sum((terms[asset].value(held) for asset, held in balances.items() if held > 0), ZERO)
    if not owed:
        return ZERO
    return divide(owed, counted, places=RATIO_PLACES, rounding=ROUND_FLOOR) if counted > 0 else None


@exact
def debts_due(
    balances: Mapping[str, Value], terms: Mapping[str, Collateral], rule: AutoExchange, *, idle: bool
) -> tuple[str, ...]:
    """Return the assets whose debt the venue pays back now: by threshold, or all of them by loan-to-value.

    ``idle``: the account has neither positions nor orders.
    """
    owed = [asset for asset, held in balances.items() if held < 0]
    if rule.loan_to_value is not None and owed and (idle or not rule.idle_only):
        share = loan_to_value(balances, terms)
        if share is None or share >= rule.loan_to_value:
            return tuple(owed)
    return tuple(a for a in owed if a in rule.thresholds and beyond_threshold(balances[a], rule.thresholds[a]))


@exact
def lost_in_sale(asset: str, terms: Mapping[str, Collateral], rule: AutoExchange) -> Rate:
    """Return the share of an asset's worth at the index that its sale loses."""
    named = rule.haircuts.get(asset)
    if named is not None:
        return named
    own = terms[asset]
    return rule.haircut_share * (ONE - own.ratio * (ONE - own.bid_buffer))


@exact
def pay_back(
    asset: str, balances: Mapping[str, Value], terms: Mapping[str, Collateral], rule: AutoExchange
) -> Sale | None:
    """Return the sale that pays the whole debt of ``asset`` back, or as much of it as the other balances bring.

    The same share of every other asset goes (``pro_rata``), or the one that brings most first (``largest_value``; ties
    by name). Amounts sold are rounded up to 24 places, at most what is held; what is bought of the debt is rounded
    down. None where nothing is owed or nothing is there to sell.
    """
    debt, price = -balances[asset], terms[asset].index
    held = {a: amount for a, amount in balances.items() if amount > 0 and a != asset}
    net = {a: terms[a].index * (ONE - lost_in_sale(a, terms, rule)) for a in held}  # what a unit brings
    brings = {a: amount * net[a] for a, amount in held.items()}
    total = sum(brings.values(), ZERO)
    if debt <= 0 or total <= 0:
        return None
    needed, bought = debt * price, debt
    if needed > total:
        needed = total
        bought = min(debt, divide(total, price, places=VALUE_PLACES, rounding=ROUND_FLOOR))
    sold: list[tuple[str, Value]] = []
    left = needed
    for name in sorted(held, key=lambda a: (-brings[a], a)):
        if rule.order_of_sale == "pro_rata":
            amount = divide(held[name] * needed, total, places=VALUE_PLACES, rounding=ROUND_CEILING)
        else:
            part = min(left, brings[name])
            amount = divide(part, net[name], places=VALUE_PLACES, rounding=ROUND_CEILING)
            left -= part
        amount = min(amount, held[name])
        if amount > 0:
            sold.append((name, amount))
    due = sum((amount * terms[name].index for name, amount in sold), ZERO)
    return Sale(asset, bought, tuple(sold), due, debt - bought)


@exact
def withdrawable(assessment: Assessment, asset: str) -> Value | None:
    """Return how much of an asset may leave a basket: what is held of it, as far as what it counts for is available.

    Taken from the top slice down, where an asset is discounted by tiers. 0 for a debt. None when not known.
    """
    line = next((line for line in assessment.assets if line.asset == asset), None)
    if line is None:
        return ZERO
    if line.balance is None or assessment.available_balance is None or line.equity is None:
        return None
    if line.balance <= 0:
        return ZERO
    free = amount_for(line.terms, line.equity, assessment.available_balance)
    return line.balance if free is None else max(ZERO, min(line.balance, free))


__all__ = [
    "Sale",
    "beyond_threshold",
    "debts_due",
    "loan_to_value",
    "lost_in_sale",
    "pay_back",
    "withdrawable",
    "worth_sold",
]
