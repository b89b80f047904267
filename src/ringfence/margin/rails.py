"""Orders held to guard rails: refused where the venue would have taken them.

Only what opens is held to them: a fill that reduces or closes always passes, so that nobody is locked in. Numbers of
refusals are 6xx (:mod:`ringfence.margin.refusal`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence.account import Account, CollateralMode, MarginMode, PositionMode, Requirement
from ringfence.margin.change import Fill, entry_margin, trade
from ringfence.margin.refusal import Refusal, refuse
from ringfence.numbers import RATIO_PLACES, ROUND_CEILING, ZERO, divide, exact, plain

if TYPE_CHECKING:
    from decimal import Decimal

    from ringfence.account import Marks, OpenOrder, Pool, Position
    from ringfence.guard_rails import GuardRails
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook


@exact
def against_rails(
    account: Account, fill: Fill, rails: GuardRails, *, marks: Marks, rulebook: Rulebook
) -> Refusal | None:
    """Return why guard rails refuse the order that would fill as ``fill``, or None; the venue's own refusal first.

    - leverage: of the fill, or of the position it adds to, above the symbol's ceiling.
    - share: the position's margin after the fill (its initial margin, or an isolated one's own margin when larger)
      ÷ the account's wallet in the settlement asset, isolated margins included, above ``largest_share``.
    - health: of the pool that then holds the position, below ``health_floor``. A health that is not known passes.
    """
    if not opens(account, fill):
        return None
    ceiling = rails.leverage_of(fill.symbol)
    held = account.position(fill.symbol)
    leverage = fill.leverage or (held.leverage if held is not None else None)
    if ceiling is not None and leverage is not None and leverage > ceiling:
        return refuse("guard_rail_leverage", f"{fill.symbol}: leverage {plain(leverage)}, at most {plain(ceiling)}")
    if rails.largest_share is None and rails.health_floor is None:
        return None
    outcome = trade(account, fill, marks=marks, rulebook=rulebook)
    if isinstance(outcome, Refusal):
        return outcome
    holding = [a for a in outcome.after if any(line.position.symbol == fill.symbol for line in a.lines)]
    return _against_share(account, fill, rails.largest_share, holding, rulebook) or _against_health(
        rails.health_floor, holding
    )


@exact
def against_rails_in_pool(
    pool: Pool, order: OpenOrder, rails: GuardRails, *, marks: Marks, rulebook: Rulebook
) -> Refusal | None:
    """Return why guard rails refuse an order of a shared pool, filled whole at its price, or None.

    The pool is all there is: its balances are the wallet that the share is taken of.
    """
    portfolio = pool.mode.requirement is Requirement.SCENARIO
    basket = CollateralMode.PORTFOLIO if portfolio else CollateralMode.MULTI_ASSET
    account = Account(
        positions=pool.positions,
        orders=pool.orders,
        wallet=dict(pool.balances),
        collateral=pool.collateral,
        position_mode=PositionMode.HEDGE if pool.hedge else PositionMode.ONE_WAY,
        collateral_mode=CollateralMode.SINGLE_ASSET if pool.asset is not None else basket,
    )
    if order.reduce_only:
        return None
    return against_rails(account, as_fill(order, MarginMode.CROSS), rails, marks=marks, rulebook=rulebook)


def as_fill(order: OpenOrder, mode: MarginMode | None) -> Fill:
    """Return an order as the fill it would be at its own price, without fee."""
    return Fill(order.symbol, order.quantity, order.price, order.leverage, mode, order.position_side)


def opens(account: Account, fill: Fill) -> bool:
    """Whether a fill opens a position, adds to one or turns one around, and so does not only reduce."""
    if account.position_mode is PositionMode.HEDGE:
        return fill.position_side is None or (fill.quantity > 0) == (fill.position_side == "long")
    held = account.position(fill.symbol)
    return held is None or held.quantity * fill.quantity > 0 or abs(fill.quantity) > abs(held.quantity)


def _against_share(
    account: Account, fill: Fill, largest: Decimal | None, holding: list[Assessment], rulebook: Rulebook
) -> Refusal | None:
    if largest is None:
        return None
    asset = rulebook.contract(fill.symbol).settle_asset
    wallet = account.wallet.get(asset, ZERO)
    if wallet is None:
        return refuse("balance_unknown", f"a share of the wallet is asked for, and the {asset} in it is not known")
    own = [p for p in account.positions if rulebook.contract(p.symbol).settle_asset == asset]
    wallet += sum((p.isolated_margin or ZERO for p in own), ZERO)
    margin = sum(
        (
            _margin(line.position, line.initial_margin, rulebook)
            for assessment in holding
            for line in assessment.lines
            if line.position.symbol == fill.symbol
        ),
        ZERO,
    )
    if margin <= largest * wallet:
        return None
    shown = f"{plain(divide(margin, wallet, places=RATIO_PLACES, rounding=ROUND_CEILING))} of" if wallet > 0 else "of"
    return refuse(
        "guard_rail_share",
        f"{fill.symbol}: margin {plain(margin)} would be {shown} a wallet of {plain(wallet)} {asset}, "
        f"at most {plain(largest)}",
    )


def _margin(position: Position, initial: Value | None, rulebook: Rulebook) -> Value:
    """Return what a position ties up: its initial margin, or the margin it was given when that is more."""
    needed = initial if initial is not None else entry_margin(position, rulebook) or ZERO
    return max(needed, position.isolated_margin or ZERO)


def _against_health(floor: Decimal | None, holding: list[Assessment]) -> Refusal | None:
    if floor is None:
        return None
    for found in holding:
        balance, required = found.balance_held_against, found.liquidation_requirement
        if balance is not None and required is not None and balance < floor * required:
            shown = "none" if found.health is None else plain(found.health)
            return refuse(
                "guard_rail_health", f"{found.pool.name}: health would be {shown}, at least {plain(floor)} is wanted"
            )
    return None


__all__ = ["against_rails", "against_rails_in_pool", "as_fill", "opens"]
