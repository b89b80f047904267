"""Portfolio accounts in a running venue: choosing the mode, what they may hold and order, and debts repaid early.

Their one pool is named ``account``, as a multi-asset account's is, and holds no isolated positions. What is required of
it is :mod:`ringfence.margin.portfolio`'s, at the moment of the latest mark; how it is liquidated is in
:mod:`~ringfence.engine.reduction`. Options are not played: their premium is money that no trade here moves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import CollateralMode, MarginMode, pools
from ringfence.engine.collateral import assets_of, liquidated_by, repay, uncounted, with_asset
from ringfence.margin.assess import assess
from ringfence.margin.change import trade
from ringfence.margin.order import check_order
from ringfence.margin.rails import as_fill, opens
from ringfence.margin.refusal import Refusal, refuse
from ringfence.numbers import RATIO_PLACES, ROUND_FLOOR, ZERO, divide, plain
from ringfence.portfolio_rules import UnifiedTerms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from ringfence.account import OpenOrder, Pool
    from ringfence.engine.commands import Command, SetCollateralMode
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.margin.assessment import Assessment
    from ringfence.numbers import Value
    from ringfence.rulebook import Rulebook

    No: TypeAlias = tuple[str, str] | None  # the name of a refusal, and its sentence

ISOLATED_NOT_HELD = "portfolio margin holds every position against all others: none of them is isolated"


def not_offered(rulebook: Rulebook) -> str | None:
    """Return why a venue's rules of the day hold no portfolio accounts, or None."""
    offer = next(offer for offer in rulebook.architectures() if offer.name == "portfolio")
    if not offer.offered:
        return f"{rulebook.name}: {offer.reason}"
    if rulebook.portfolio is None:
        days = ", ".join(rulebook.portfolio_days) or "none"
        return f"{rulebook.name}: no rules of portfolio margin on {rulebook.as_of}; there are some from: {days}"
    return None


def cannot_choose(state: State, command: SetCollateralMode) -> No:
    """Return why a trader cannot go over to portfolio margin, or None.

    The venue must offer it on the day, and the account be one: nothing isolated, nothing past its expiry, assets that
    count, at least the equity that the venue asks for; and it must not be liquidated by going over.
    """
    name, trader, rulebook = command.account, state.trader(command.account), state.rulebook
    if trader.portfolio:
        return "unchanged", "the account is in portfolio mode already"
    if trader.liquidating:
        return "being_liquidated", f"{name} is being liquidated"
    why = not_offered(rulebook)
    if why is not None:
        return "collateral_mode_not_offered", why
    isolated = sorted(symbol for symbol, each in trader.margin_mode.items() if each is MarginMode.ISOLATED)
    if isolated:
        return "isolated_margin_in_portfolio", f"{', '.join(isolated)} isolated: {ISOLATED_NOT_HELD}"
    over = state.past_expiry(name)
    if over is not None:
        return "past_expiry", f"{over} is past its expiry, or nobody knows what time it is"
    no = uncounted(state, assets_of(state, name), rulebook) or liquidated_by(state, name, CollateralMode.PORTFOLIO)
    return no or _below_minimum(state, name)


def _below_minimum(state: State, name: str) -> No:
    """Return what an account lacks of the equity its venue asks a portfolio account to hold, or None."""
    least = None if state.rulebook.portfolio is None else state.rulebook.portfolio.minimum_equity
    if least is None:
        return None
    trader = state.trader(name)
    account = replace(
        state.account(name), collateral_mode=CollateralMode.PORTFOLIO, index_prices=state.index,
        risk=state.risk_inputs(trader),
    )  # fmt: skip
    (pool,) = pools(account, state.rulebook.contract, state.rulebook.collateral)
    equity = assess(pool, state.marks, state.rulebook).margin_balance or ZERO
    if equity >= least:
        return None
    return "equity_below_minimum", f"an equity of {plain(equity)}: {state.rulebook.name} asks for {plain(least)}"


def check(state: State, name: str, pool: Pool, order: OpenOrder, *, cost: Value) -> Refusal | Assessment:
    """Return the account before ``order``, or why a portfolio account may not place it.

    The contract's steps and limits first. Then, where a requirement by scenarios gates: what the worse side of all
    orders would add to the initial margin if it were filled, and what the order ``cost`` at once (its fees, and what it
    loses against the mark), must be available; an order that adds nothing needs nothing. Where the venue's ratio
    (uniMMR) gates, see :func:`_ratio_gate`.
    """
    contract = state.rulebook.contract(order.symbol)
    if contract.expiry is not None and state.moment is None:
        return refuse("no_price", f"{order.symbol} expires, and no mark has come since the restart")
    pool = with_asset(pool, contract.settle_asset, state.rulebook, state.index.get(contract.settle_asset))
    pool = replace(pool, risk=state.risk_inputs(state.trader(name), order.symbol))
    found = check_order(pool, order, state.marks, state.rulebook)
    before = found.before
    no = found.refusal
    if no is not None and no.reason != "price_step":  # an average of fills has no step
        return no
    if _by_ratio(state.rulebook):
        return _ratio_gate(state, name, order, before) or before
    needed, available = found.needed, before.available_balance
    if needed and available is not None and needed + cost > available:
        said = f"needs {plain(needed + cost)} in the account's currency with fees, {plain(available)} is available"
        return refuse("insufficient_balance", said)
    return before


def _by_ratio(rulebook: Rulebook) -> bool:
    """Whether the venue gates orders by its ratio of equity to maintenance margin, and not by initial margin."""
    return rulebook.portfolio is not None and isinstance(rulebook.portfolio.terms, UnifiedTerms)


def _ratio_gate(state: State, name: str, order: OpenOrder, before: Assessment) -> Refusal | None:
    """Return why an order that opens may not be placed by the venue's bands, or None.

    At or below the opening ratio only what reduces is taken (Binance: 120 %). That the order filled must leave the
    account above it too is ours: how the venue holds an order to its ratio is not published.
    """
    account, fill = state.account(name), as_fill(order, MarginMode.CROSS)
    if order.reduce_only or not opens(account, fill):
        return None
    no = _at_ratio(before, "is")
    if no is not None:
        return no
    after = trade(account, fill, marks=state.marks, rulebook=state.rulebook)
    if isinstance(after, Refusal):
        return after
    return _at_ratio(next(found for found in after.after if not found.pool.isolated), "would be")


def _at_ratio(found: Assessment, when: str) -> Refusal | None:
    """Return the refusal of an account whose ratio is not above the opening ratio, or None."""
    balance, required, kept = found.balance_held_against, found.initial_margin, found.maintenance_margin
    if balance is None or not required or not kept or balance > required:  # the opening ratio times maintenance
        return None
    ratio = divide(balance, kept, places=RATIO_PLACES, rounding=ROUND_FLOOR)
    least = plain(divide(required, kept, places=RATIO_PLACES).normalize())
    return refuse("ratio_too_low_to_open", f"the ratio {when} {plain(ratio)}: above {least} only is opened")


def repay_early(state: State, name: str, assessment: Assessment, command: Command) -> Iterator[Event]:
    """Yield the repayment of a portfolio account's debts where its venue repays before it liquidates (Bybit: 85 %)."""
    portfolio, balance = assessment.portfolio, assessment.balance_held_against
    at = None if portfolio is None else portfolio.rules.repay_at
    required = assessment.maintenance_margin
    if at is None or balance is None or not required or balance > at * required:
        return
    if any(held < ZERO for held in state.ledger.assets_of(books.wallet(name)).values()):
        yield from repay(state, name, command, "maintenance_rate")


__all__ = ["ISOLATED_NOT_HELD", "cannot_choose", "check", "not_offered", "repay_early"]
