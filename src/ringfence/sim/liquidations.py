"""What a liquidation may touch, and what may be left owing after it: the auditor's side of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.engine import events as happened
from ringfence.sim.laws import figure
from ringfence.sim.shadow import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from ringfence.engine.events import Event
    from ringfence.sim.shadow import Shadow


class Liquidation:
    """One liquidation while it goes on: what it may touch, and what was required at its last step."""

    def __init__(self, shadow: Shadow, name: str, pool: str) -> None:
        self.name, self.pool = name, pool
        self.required: Fraction | None = None
        self.step = ""
        self.outside: dict[tuple[str, str], Fraction] = {}
        members = shadow.members(name, pool)
        self.own = {f"isolated:{name}:{leg.symbol}:{which}" for which, leg in members}
        self.legs = {(leg.symbol, which) for which, leg in members}

    def posted(self, event: Event, account: str, asset: str, amount: Fraction) -> None:
        """Note what moves on the trader's other accounts."""
        if not self.isolated or account in self.own:
            return
        kind, _, rest = account.partition(":")
        if kind not in {"wallet", "bonus", "isolated", "voucher"} or rest.split(":", 1)[0] != self.name:
            return
        if isinstance(event, happened.Traded) and event.cause == "auto_deleveraging":
            return  # its other leg may be the one that is deleveraged
        self.outside[account, asset] = self.outside.get((account, asset), NOTHING) + amount

    @property
    def isolated(self) -> bool:
        """Whether the pool is one that nothing outside it may be touched for."""
        return self.pool.startswith("isolated ")

    def contained(self) -> Iterator[tuple[bool, str]]:
        """Yield for each other account of the trader that moved whether it may have, and by how much it did.

        Nothing may be taken; only what is left over comes back, to the wallet.
        """
        for (account, _), change in self.outside.items():
            good = change >= 0 if account.startswith("wallet:") else change == 0
            yield good, f"{account} {figure(change)}"


def what_a_closed_basket_still_owes(shadow: Shadow, name: str) -> str | None:
    """Return what a closed basket owes although something is left that could pay, or None."""
    wallet = f"wallet:{name}"
    held = {asset: total for (account, asset), total in shadow.books.items() if account == wallet and total}
    owed = {asset: total for asset, total in held.items() if total < 0}
    if not owed:
        return None
    if any(total > 0 for total in held.values()):
        return f"owes {owed} and holds {held}"
    fund = {asset: shadow.balance("insurance", asset) for asset in owed}
    return f"owes {owed}, and the fund has {fund}" if any(fund.values()) else None


__all__ = ["Liquidation", "what_a_closed_basket_still_owes"]
