"""Multi-asset accounts in a running venue: choosing the mode, what may be in a basket, debts and their exchange.

A basket is reviewed as one pool named ``account``. Its assets count at their index prices, which come with the prices
(:class:`~ringfence.engine.commands.UpdatePrices`, an ``index`` named after the asset); USD, USDT and USDC count from an
index of 1 where none came. What an account owes is a negative wallet; :mod:`ringfence.margin.exchange` says when the
venue pays it back and with what, and the exchange desk of the ledger stands on the other side.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import DOLLARS, Collateral, CollateralMode, MarginMode, Pool, pools
from ringfence.engine.events import CollateralExchanged, InsuranceUsed, MoneyMoved
from ringfence.engine.state import index_of
from ringfence.errors import BadInput
from ringfence.ledger import move
from ringfence.margin.assess import assess
from ringfence.margin.exchange import debts_due, pay_back
from ringfence.numbers import ZERO
from ringfence.rulebook import AutoExchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from ringfence.engine import commands as asked
    from ringfence.engine.commands import Command
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.margin.exchange import Sale
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook

    No: TypeAlias = tuple[str, str] | None  # the name of a refusal, and its sentence


# ── What may be in a basket ──────────────────────────────────────────────────────────────────────────────────────────


def not_accepted(state: State, name: str, asset: str) -> No:
    """Return why an asset cannot come into a trader's basket, or None; None for a trader without one."""
    if not state.trader(name).basket:
        return None
    return uncounted(state, (asset,), state.rulebook)


def uncounted(state: State, assets: Iterable[str], rulebook: Rulebook) -> No:
    """Return why one of ``assets`` cannot be counted in a basket: no index price, or no terms of the venue's."""
    for asset in assets:
        if asset not in state.index and asset not in DOLLARS:
            return "no_price", f"no index price for {asset} yet, which would count as collateral"
        try:
            terms = rulebook.collateral(asset)
        except BadInput as error:
            return "collateral_not_accepted", error.message
        if terms is None and asset not in DOLLARS:
            return "collateral_not_accepted", f"how {asset} counts at {rulebook.name} is not known"
    return None


def assets_of(state: State, name: str) -> list[str]:
    """Return every asset that a trader holds, owes, or has shared positions or orders settled in."""
    trader = state.trader(name)
    symbols = {symbol for symbol, _ in trader.held} | {order.symbol for order in trader.orders.values()}
    found = {*state.ledger.assets_of(books.wallet(name)), *state.ledger.assets_of(books.bonus(name))}
    found |= {voucher.asset for voucher in trader.vouchers.values()}
    return sorted(found | {state.rulebook.contract(symbol).settle_asset for symbol in symbols})


def counted_at(state: State, pool: Pool) -> set[str]:
    """Return the assets whose index a basket counts at: its own, and in portfolio margin the coins it is exposed to."""
    if pool.risk is None:
        return set(pool.collateral)
    contract = state.rulebook.contract
    return {*pool.collateral, *(contract(position.symbol).risk_unit for position in pool.positions)}


def indices_fresh(state: State, pool: Pool, at: int) -> bool:
    """Whether every index a basket is counted at came, is not in doubt, and is not older than the guard allows.

    An asset that counts from an index of 1, because none ever came for it, is always fresh.
    """
    limit = state.setup.guard.stale_after
    for asset in counted_at(state, pool):
        if asset not in state.index:
            continue
        if ("index", asset) in state.doubts:
            return False
        came = state.marked_at.get(asset if asset in state.marks else index_of(asset))
        if came is None or (limit is not None and at - came > limit):
            return False
    return True


def with_asset(pool: Pool, asset: str, rulebook: Rulebook, index: Value | None) -> Pool:
    """Return a basket in which ``asset`` stands too, with nothing held of it, so that an order in it can be checked."""
    if asset in pool.balances:
        return pool
    terms = rulebook.collateral(asset) or Collateral()
    counted = terms if index is None else replace(terms, index=index)
    return replace(pool, balances={**pool.balances, asset: ZERO}, collateral={**pool.collateral, asset: counted})


# ── Choosing the mode ────────────────────────────────────────────────────────────────────────────────────────────────


def cannot_choose(state: State, command: asked.SetCollateralMode) -> No:
    """Return why a trader cannot choose ``single_asset`` or ``multi_asset``, or None."""
    if command.mode not in {"single_asset", "multi_asset"}:
        return "unknown_choice", f"collateral mode {command.mode}"
    trader, rulebook = state.trader(command.account), state.rulebook
    mode = CollateralMode(command.mode)
    if trader.collateral_mode is mode:
        return "unchanged", f"the account is in {command.mode} mode already"
    if trader.liquidating:
        return "being_liquidated", f"{command.account} is being liquidated"
    if mode is CollateralMode.MULTI_ASSET:
        offer = next(offer for offer in rulebook.architectures() if offer.name == "multi_asset")
        if not offer.offered:
            return "collateral_mode_not_offered", f"{rulebook.name}: {offer.reason}"
        said = rulebook.refusals.get("isolated_margin_in_basket")
        isolated = sorted(symbol for symbol, each in trader.margin_mode.items() if each is MarginMode.ISOLATED)
        if said is not None and isolated:
            return "isolated_margin_in_basket", f"{', '.join(isolated)} isolated: {said}"
        no = uncounted(state, assets_of(state, command.account), rulebook)
        if no is not None:
            return no
    elif any(amount < 0 for amount in state.ledger.assets_of(books.wallet(command.account)).values()):
        return "debt_open", f"{command.account} owes an asset: a single-asset account cannot"
    return liquidated_by(state, command.account, mode)


def liquidated_by(state: State, name: str, mode: CollateralMode) -> No:
    """Return why a trader cannot go over to a collateral mode at the present marks, or None: he would be liquidated."""
    unpriced = next((symbol for symbol, _ in state.trader(name).held if symbol not in state.marks), None)
    if unpriced is not None:
        return "no_price", f"no mark for {unpriced} yet, which {name} holds"
    account = replace(
        state.account(name), collateral_mode=mode, index_prices=state.index,
        risk=state.risk_inputs(state.trader(name)) if mode is CollateralMode.PORTFOLIO else None,
    )  # fmt: skip
    for pool in pools(account, state.rulebook.contract, state.rulebook.collateral):
        if pool.positions and assess(pool, state.marks, state.rulebook).liquidatable:
            return "would_be_liquidated", f"{pool.name} would be liquidated"
    return None


# ── Debts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_AT_THE_INDEX = AutoExchange()  #: where a venue says nothing of a price: ours


def exchange_due(state: State, name: str, command: Command) -> Iterator[Event]:
    """Yield what the venue exchanges of a basket's debts now: beyond a threshold, or by loan-to-value."""
    rule = state.rulebook.auto_exchange
    pool = basket(state, name)
    if rule is None or pool is None or not indices_fresh(state, pool, command.at):
        return
    trader = state.trader(name)
    if trader.liquidating:
        return
    balances = _wallet(state, name, pool)
    idle = not trader.held and not trader.orders
    for asset in debts_due(balances, pool.collateral, rule, idle=idle):
        cause = "threshold" if asset in rule.thresholds and -balances[asset] >= rule.thresholds[asset] else (
            "loan_to_value"
        )  # fmt: skip
        yield from _pay(state, name, pool, asset, rule, cause, command)


def repay(state: State, name: str, command: Command, cause: str = "liquidation") -> Iterator[Event]:
    """Yield the repayment of every debt of a basket in liquidation, by the venue's rule, else at the index (ours).

    ``cause``: ``maintenance_rate`` where the venue repays before it liquidates, ``delivery`` after a settlement.
    """
    pool = basket(state, name)
    if pool is None:
        return
    rule = state.rulebook.auto_exchange or _AT_THE_INDEX
    for asset, held in state.ledger.assets_of(books.wallet(name)).items():
        if held < 0:
            yield from _pay(state, name, pool, asset, rule, cause, command)


def settle_rest(state: State, name: str, command: Command, cause: str = "liquidation") -> Iterator[Event]:
    """Yield what covers a basket's debts when nothing else is left: its bonus, its other assets, the insurance fund.

    ``cause``: of the exchange: liquidation, or delivery where what expired left nothing behind.
    """
    wallet, given = books.wallet(name), books.bonus(name)
    for asset, credit in state.ledger.assets_of(given).items():
        covered = min(credit, -state.ledger.balance(wallet, asset))
        if covered > 0:
            yield MoneyMoved(command.id, command.at, name, "bonus_used",
                             move(asset, covered, out_of=given, into=wallet))  # fmt: skip
    yield from repay(state, name, command, cause)
    for asset, held in state.ledger.assets_of(wallet).items():
        paid = min(-held, state.ledger.balance(books.INSURANCE, asset))
        if paid > 0:
            yield InsuranceUsed(command.id, command.at, name, "shortfall", asset, -paid,
                                move(asset, paid, out_of=books.INSURANCE, into=wallet))  # fmt: skip


def basket(state: State, name: str) -> Pool | None:
    """Return a trader's basket, or None for a trader without one."""
    if not state.trader(name).basket:
        return None
    return next((pool for pool in state.pools(name) if pool.name == "account"), None)


def _wallet(state: State, name: str, pool: Pool) -> dict[str, Value]:
    """Return a trader's own balance of every asset of the basket; bonus is no money to be sold."""
    return {asset: state.ledger.balance(books.wallet(name), asset) for asset in pool.balances}


def _pay(
    state: State, name: str, pool: Pool, asset: str, rule: AutoExchange, cause: str, command: Command
) -> Iterator[Event]:
    sale = pay_back(asset, _wallet(state, name, pool), pool.collateral, rule)
    if sale is None or not sale.debt:
        return
    yield CollateralExchanged(
        command.id, command.at, name, cause, asset, sale.debt, sale.sold, sale.unpaid, _postings(name, sale)
    )


def _postings(name: str, sale: Sale) -> tuple[books.Posting, ...]:
    wallet = books.wallet(name)
    made = move(sale.asset, sale.debt, out_of=books.EXCHANGE, into=wallet)
    for asset, amount in sale.sold:
        made += move(asset, amount, out_of=wallet, into=books.EXCHANGE)
    return made


__all__ = ["assets_of", "basket", "cannot_choose", "counted_at", "exchange_due", "indices_fresh", "liquidated_by",
           "not_accepted", "repay", "settle_rest", "uncounted", "with_asset"]  # fmt: skip
