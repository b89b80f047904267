"""Plain traders, whose pools can be told by name without making them: nothing is behind these but positions and money.

Very many are looked at in a crash, before and after it; to make accounts and pools of all of them takes longer than to
decide about them (:mod:`ringfence.margin.plain`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import CollateralMode, MarginMode, PositionMode
from ringfence.margin.plain import terms_of

if TYPE_CHECKING:
    from ringfence.engine.state import State
    from ringfence.engine.trader import Trader
    from ringfence.margin.plain import Terms
    from ringfence.numbers import Price


# Members of enumerations, looked up once: it takes as long as all else that is asked of a position.
_ALONE, _ONE_WAY, _ISOLATED = CollateralMode.SINGLE_ASSET, PositionMode.ONE_WAY, MarginMode.ISOLATED


def plain_pools(state: State, trader: Trader) -> dict[str, list[str]] | None:
    """Return the symbols of each pool of a plain trader that holds any, in the order of :meth:`.State.pools`.

    None for a trader who is not plain: with an order, a bonus, a voucher or automatic margin, in hedge mode or with a
    basket, or with cross positions settled in more than one asset, whose order depends on the wallet.
    """
    if (
        trader.orders
        or trader.vouchers
        or trader.replenishment
        or trader.collateral_mode is not _ALONE
        or trader.position_mode is not _ONE_WAY
        or state.ledger.assets_of(f"bonus:{trader.name}")
    ):
        return None
    found: dict[str, list[str]] = {}
    shared: dict[str, list[str]] = {}
    mode_of, contract = trader.margin_mode.get, state.rulebook.contract
    for (symbol, leg), held in trader.held.items():
        if leg != "net":
            return None
        if mode_of(symbol) is _ISOLATED:
            found[f"isolated {symbol} {'long' if held.quantity > 0 else 'short'}"] = [symbol]
        else:
            shared.setdefault(f"cross {contract(symbol).settle_asset}", []).append(symbol)
    if not shared:
        return found
    return None if len(shared) > 1 else found | shared


def terms_at(state: State, symbol: str, mark: Price, *, isolated: bool) -> Terms | None:
    """Return the terms of a symbol's positions in pools of one kind at a mark; None where these have to be assessed."""
    key = (symbol, isolated)
    if key in state.terms:
        found = state.terms[key]
    else:
        policies = state.rulebook.policies_for(isolated=isolated)
        found = state.terms[key] = terms_of(*state.rulebook.entry(symbol), policies)
    return None if found is None else found.at(mark)


__all__ = ["plain_pools", "terms_at"]
