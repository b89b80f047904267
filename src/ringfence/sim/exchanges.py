"""A sale of collateral for a debt, as the auditor sees it: was it due, at the venue's loss, and is all of it paid?"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ringfence.sim.laws import figure
from ringfence.sim.reckoning import TOLERANCE
from ringfence.sim.shadow import NOTHING

if TYPE_CHECKING:
    from ringfence.engine.events import CollateralExchanged
    from ringfence.sim.shadow import Shadow


def what_is_wrong_with_an_exchange(
    shadow: Shadow, event: CollateralExchanged, liquidated: str | None, *, settling: bool = False
) -> str | None:
    """Return what is wrong with a sale of collateral, before it is applied, or None.

    ``liquidated``: whose pool is being liquidated now; ``settling``: whether what expired is being settled.
    """
    rule = shadow.rulebook.auto_exchange
    wallet = f"wallet:{event.account}"
    held = {asset: total for (account, asset), total in shadow.books.items() if account == wallet and total}
    debt, bought = -held.get(event.asset, NOTHING), Fraction(event.debt)
    sold = {asset: Fraction(amount) for asset, amount in event.sold}
    if not shadow.pooled.get(event.account) or not 0 < bought <= debt or Fraction(event.unpaid) != debt - bought:
        return f"{figure(debt)} is owed"
    if any(not 0 < amount <= held.get(asset, NOTHING) for asset, amount in sold.items()):
        return f"{held} is held"
    got = NOTHING
    for asset, amount in sold.items():
        how, lost = shadow.counts(asset), NOTHING
        if rule is not None and asset in rule.haircuts:
            lost = Fraction(rule.haircuts[asset])
        elif rule is not None:
            lost = Fraction(rule.haircut_share) * (1 - how.tranches[0].share)
        got += amount * how.price * (1 - lost)
    paid = bought * shadow.counts(event.asset).price
    if abs(got - paid) > TOLERANCE * (1 + paid):
        return f"{figure(got)} for {figure(paid)}"
    everything = {asset: total for asset, total in held.items() if total > 0}
    if event.unpaid and any(sold.get(asset) != total for asset, total in everything.items()):
        return f"{everything} is held and not all sold"
    if event.cause == "delivery":
        over = settling and not shadow.members(event.account, "account")
        return None if over else "no settlement, or positions are left"
    return _not_due(shadow, event, held, debt, liquidated)


def _not_due(
    shadow: Shadow, event: CollateralExchanged, held: dict[str, Fraction], debt: Fraction, liquidated: str | None
) -> str | None:
    """Return why a debt is not due, or None."""
    rule = shadow.rulebook.auto_exchange
    if event.cause == "liquidation":
        return None if liquidated == event.account else "no liquidation"
    if event.cause == "maintenance_rate":
        return _not_repaid_early(shadow, event)
    if rule is None:
        return "the venue has no such rule"
    if event.cause == "threshold":
        limit = rule.thresholds.get(event.asset)
        return None if limit is not None and debt >= Fraction(limit) else f"a threshold of {limit}"
    owed = sum((-total * shadow.counts(asset).price for asset, total in held.items() if total < 0), NOTHING)
    counted = sum((shadow.counts(asset).of(total) for asset, total in held.items() if total > 0), NOTHING)
    idle = not shadow.legs.get(event.account) and not shadow.orders.get(event.account)
    share = Fraction(rule.loan_to_value or 0)
    good = rule.loan_to_value is not None and owed >= share * counted * (1 - TOLERANCE)
    return None if good and (idle or not rule.idle_only) else f"{figure(owed)} of {figure(counted)}"


def _not_repaid_early(shadow: Shadow, event: CollateralExchanged) -> str | None:
    """Return why a debt of a portfolio account is not repaid before a liquidation, or None (Bybit: 85 %)."""
    rules, found = shadow.rulebook.portfolio, shadow.reckoned(event.account, "account")
    if rules is None or rules.repay_at is None or found is None:
        return "the venue has no such rule"
    if found.balance <= Fraction(rules.repay_at) * found.required * (1 + TOLERANCE):
        return None
    return f"{figure(found.balance)} for {figure(found.required)}"


__all__ = ["what_is_wrong_with_an_exchange"]
