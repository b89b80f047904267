"""One book under another margin architecture: the same positions and the same capital, held isolated or cross.

Capital is what the account holds in cash: its wallets and the margins of its isolated positions. Held **isolated**,
each position is funded with its entry notional ÷ leverage and the rest stays idle in the wallet; held **cross**,
everything is in the wallet behind all positions of the settlement asset. Unrealised PnL belongs to the positions either
way, so both start from the same equity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.account import CollateralMode, MarginMode
from ringfence.errors import BadAccount
from ringfence.margin.change import entry_margin
from ringfence.numbers import ZERO, exact, plain

if TYPE_CHECKING:
    from ringfence.account import Account
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook


@exact
def all_cross(account: Account, rulebook: Rulebook) -> Account:
    """Return ``account`` with every position cross and every isolated margin back in its settlement asset's wallet."""
    wallet: dict[str, Value | None] = dict(account.wallet)
    positions = []
    for position in account.positions:
        if position.margin_mode is MarginMode.ISOLATED:
            asset = rulebook.contract(position.symbol).settle_asset
            held = wallet.get(asset, ZERO)
            wallet[asset] = None if held is None else held + (position.isolated_margin or ZERO)
        positions.append(replace(position, margin_mode=MarginMode.CROSS, isolated_margin=None))
    return replace(account, positions=tuple(positions), wallet=wallet)


@exact
def all_isolated(account: Account, rulebook: Rulebook) -> Account:
    """Return ``account`` with every position isolated, funded with entry notional ÷ leverage from the same capital.

    Raises BadAccount for a position without a leverage, for a wallet that cannot fund the positions (by how much), and
    for a basket account, in which nothing can be isolated.
    """
    if account.collateral_mode is not CollateralMode.SINGLE_ASSET:
        raise BadAccount(
            "a basket account holds no isolated positions",
            where="account.collateral_mode",
            expected="single_asset",
            found=account.collateral_mode.value,
        )
    pooled = all_cross(account, rulebook)
    wallet: dict[str, Value | None] = dict(pooled.wallet)
    positions = []
    for position in pooled.positions:
        margin = entry_margin(position, rulebook)
        if margin is None:
            raise BadAccount(
                f"{position.symbol} {position.side} has no leverage",
                where="account.positions",
                expected="leverage, from which an isolated position's margin follows",
                found="null",
                hint="give the leverage the position was opened with",
            )
        asset = rulebook.contract(position.symbol).settle_asset
        held = wallet.get(asset, ZERO)
        wallet[asset] = None if held is None else held - margin
        positions.append(replace(position, margin_mode=MarginMode.ISOLATED, isolated_margin=margin))
    for asset, held in wallet.items():
        if held is not None and held < 0:
            capital = pooled.wallet[asset] or ZERO
            raise BadAccount(
                f"the wallet cannot fund every position on its own: {plain(-held)} {asset} short",
                where=f"account.wallet.{asset}",
                expected=f"at least the sum of entry notional ÷ leverage, {plain(capital - held)}",
                found=plain(capital),
                hint="raise leverages, or lower quantities",
            )
    return replace(pooled, positions=tuple(positions), wallet=wallet)


__all__ = ["all_cross", "all_isolated"]
