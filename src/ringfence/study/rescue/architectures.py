"""Ways out by another margin architecture: the same book and cash as one basket, by scenarios, or taken apart again.

What a venue asks before it lets an account go over is asked here too: that it offers it, nothing isolated in a basket,
no debt outside one, every asset accepted and priced, and the least equity of portfolio margin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.account import CollateralMode, MarginMode
from ringfence.errors import BadInput
from ringfence.numbers import ZERO, plain
from ringfence.study.architecture import WORDS, held_as, isolated_not_held, with_indices
from ringfence.study.rescue.case import Case, health_after, no_way, way_of
from ringfence.study.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.account import Account
    from ringfence.rulebook import Offer
    from ringfence.study.rescue.result import Way

_NAMES = {
    CollateralMode.SINGLE_ASSET: "cross",
    CollateralMode.MULTI_ASSET: "multi_asset",
    CollateralMode.PORTFOLIO: "portfolio",
}


def other_architectures(case: Case) -> Iterator[Way]:
    """Hold the whole account under every other shared architecture that the venue is known to offer, or to refuse.

    Not from an isolated position: that is first put on the shared wallet (:func:`.trades.switches`).
    """
    if case.pool.pool.isolated:
        return
    now = _NAMES[case.account.collateral_mode]
    options = any(line.contract.option for line in case.pool.lines)
    for offer in case.rulebook.architectures():
        if offer.name not in _NAMES.values() or offer.name == now or offer.offered is None:
            continue
        if options and offer.name != "portfolio":
            continue  # options are held in portfolio margin only
        yield _over(case, offer)


def _over(case: Case, offer: Offer) -> Way:
    kind, what = "switch_architecture", f"hold the account {WORDS[offer.name]}"
    if not offer.offered:
        return no_way(kind, what, f"{case.rulebook.name} does not offer it: {offer.reason}")
    why = _refused(case.account, offer, case)
    if why is not None:
        return no_way(kind, what, why)
    try:
        after = held_as(case.account, offer.name, case.rulebook)
        stand_ins: tuple[str, ...] = ()
        if after.collateral_mode is not CollateralMode.SINGLE_ASSET:
            after, stand_ins = with_indices(after, case.marks, case.rulebook)
        if not case.saved(after, shared=True):
            return no_way(kind, what, "it is not enough", health_after(case, after))
        why = _below_minimum(case, after)
    except BadInput as error:
        return no_way(kind, what, error.message)
    if why is not None:
        return no_way(kind, what, why)
    said = f" (no index price of {listed(stand_ins)} is given: the mark stands in)" if stand_ins else ""
    asks = f"; the venue: {offer.reason}" if offer.reason else ""
    return way_of(case, kind, f"{what}{said}{asks}", after)


def _refused(account: Account, offer: Offer, case: Case) -> str | None:
    """Return why the venue would not let the account go over as it is, or None."""
    if offer.name == "cross":
        owed = [asset for asset, balance in account.wallet.items() if (balance or ZERO) < 0]
        return f"it owes {listed(owed)}: a single-asset account cannot" if owed else None
    isolated = [f"{p.symbol} {p.side}" for p in account.positions if p.margin_mode is MarginMode.ISOLATED]
    if not isolated:
        return None
    return f"{listed(isolated)} isolated: {isolated_not_held(offer.name, case.rulebook)}"


def _below_minimum(case: Case, after: Account) -> str | None:
    """Return what a portfolio account lacks of the equity that its venue asks for, or None."""
    rules = case.rulebook.portfolio
    if after.collateral_mode is not CollateralMode.PORTFOLIO or rules is None or rules.minimum_equity is None:
        return None
    equity = sum((a.margin_balance or ZERO for a in case.assessed(replace(after, orders=()))), ZERO)
    if equity >= rules.minimum_equity:
        return None
    return f"an equity of {plain(equity)}: {case.rulebook.name} asks for {plain(rules.minimum_equity)}"


__all__ = ["other_architectures"]
