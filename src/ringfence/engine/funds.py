"""Money in and out: deposits, withdrawals, transfers, bonus, isolated margin, funding.

Each function yields the events of its command: first the money, then what the account's review leads to; or one
``Refused`` where the amount is not above 0, not there, not free, or nothing can be decided without a believed mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringfence import ledger as books
from ringfence.account import MarginMode
from ringfence.engine.collateral import not_accepted
from ringfence.engine.doubt import in_doubt
from ringfence.engine.events import FundingPaid, MoneyMoved
from ringfence.engine.refuse import as_event, refused
from ringfence.engine.review import review, unpriced
from ringfence.engine.settle import cash_account, pay
from ringfence.engine.state import HOUSE
from ringfence.ledger import move
from ringfence.margin import change
from ringfence.margin.assess import assess
from ringfence.margin.exchange import withdrawable
from ringfence.margin.refusal import Refusal
from ringfence.numbers import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.engine import commands as asked
    from ringfence.engine.events import Event
    from ringfence.engine.state import State
    from ringfence.ledger import Posting
    from ringfence.numbers import Value


def deposit(state: State, command: asked.Deposit) -> Iterator[Event]:
    """Bring money into the wallet, of an asset that the account may hold."""
    if command.amount <= 0:
        yield refused(command, "not_positive", f"a deposit of {command.amount}")
        return
    if (no := not_accepted(state, command.account, command.asset)) is not None:
        yield refused(command, *no)
        return
    into = books.wallet(command.account)
    yield MoneyMoved(command.id, command.at, command.account, "deposit",
                     move(command.asset, command.amount, out_of=books.EXTERNAL, into=into))  # fmt: skip
    yield from review(state, (command.account,), command)


def withdraw(state: State, command: asked.Withdraw) -> Iterator[Event]:
    """Take money out, as far as it is free and not bonus; where the venue says so, all bonus is forfeited with it."""
    no = _not_free(state, command.account, command.asset, command.amount)
    if no is not None:
        yield refused(command, *no)
        return
    yield from _forfeit(state, command, command.account)
    postings = move(command.asset, command.amount, out_of=books.wallet(command.account), into=books.EXTERNAL)
    yield MoneyMoved(command.id, command.at, command.account, "withdrawal", postings)
    yield from review(state, (command.account,), command)


def transfer(state: State, command: asked.Transfer) -> Iterator[Event]:
    """Move money between two wallets; bonus stays, and is forfeited where the venue says so."""
    no = _not_free(state, command.account, command.asset, command.amount)
    no = no or not_accepted(state, command.to_account, command.asset)
    if no is not None:
        yield refused(command, *no)
        return
    yield from _forfeit(state, command, command.account)
    postings = move(
        command.asset, command.amount, out_of=books.wallet(command.account), into=books.wallet(command.to_account)
    )
    yield MoneyMoved(command.id, command.at, command.account, "transfer", postings)
    yield from review(state, (command.account, command.to_account), command)


def credit_bonus(state: State, command: asked.CreditBonus) -> Iterator[Event]:
    """Credit bonus, of an asset that the account may hold; its issuer is debited."""
    if command.amount <= 0:
        yield refused(command, "not_positive", f"a bonus of {command.amount}")
        return
    if (no := not_accepted(state, command.account, command.asset)) is not None:
        yield refused(command, *no)
        return
    postings = move(command.asset, command.amount, out_of=books.BONUS_ISSUER, into=books.bonus(command.account))
    yield MoneyMoved(command.id, command.at, command.account, "bonus", postings)
    yield from review(state, (command.account,), command)


def expire_bonus(state: State, command: asked.ExpireBonus) -> Iterator[Event]:
    """Take back what is left of a bonus, if anything is."""
    left = state.ledger.balance(books.bonus(command.account), command.asset)
    if left:
        postings = move(command.asset, left, out_of=books.bonus(command.account), into=books.BONUS_ISSUER)
        yield MoneyMoved(command.id, command.at, command.account, "bonus_expired", postings)
        yield from review(state, (command.account,), command)


def _forfeit(state: State, command: asked.Withdraw | asked.Transfer, name: str) -> Iterator[Event]:
    if state.rulebook.bonus_use.get("on_transfer") != "forfeited":
        return
    postings: tuple[Posting, ...] = ()
    for asset, left in state.ledger.assets_of(books.bonus(name)).items():
        postings += move(asset, left, out_of=books.bonus(name), into=books.BONUS_ISSUER)
    if postings:
        yield MoneyMoved(command.id, command.at, name, "bonus_forfeited", postings)


def _not_free(state: State, name: str, asset: str, amount: Value) -> tuple[str, str] | None:
    """Return why ``amount`` may not leave a wallet, or None: it must be free after any bonus is gone."""
    if amount <= 0:
        return "not_positive", f"an amount of {amount}"
    own = state.ledger.balance(books.wallet(name), asset)
    if amount > own:
        return "insufficient_balance", f"{amount} {asset} asked for, the wallet holds {own}"
    shared = next((pool for pool in state.pools(name) if asset in pool.balances and not pool.isolated), None)
    owing = shared is not None and any((held or ZERO) < 0 for held in shared.balances.values())
    if shared is None or not (shared.positions or shared.orders or owing):
        return None
    if (missing := unpriced(state, name)) is not None:
        return "no_price", f"no mark for {missing} yet"
    if in_doubt(state, shared):
        return (
            "price_in_doubt",
            "a mark that the account is valued at jumped: what is free is not known until it is believed",
        )
    assessment = assess(shared, state.marks, state.rulebook)
    free = withdrawable(assessment, asset) if shared.collateral else assessment.available_balance
    if free is None:
        return "balance_unknown", f"what is free in {asset} is not known"
    stays = state.ledger.balance(books.bonus(name), asset)
    free -= state.voucher_margin(state.trader(name)).get(asset, ZERO)
    if state.rulebook.bonus_use.get("on_transfer") == "forfeited":
        free -= stays
    if amount > free:
        return "insufficient_balance", f"{amount} {asset} asked for, {max(ZERO, free)} is free"
    return None


def add_margin(state: State, command: asked.AddIsolatedMargin) -> Iterator[Event]:
    """Move own money, as far as it is free, from the wallet into an isolated position."""
    if (missing := unpriced(state, command.account)) is not None:
        yield refused(command, "no_price", f"no mark for {missing} yet")
        return
    outcome = change.add_isolated_margin(
        state.account(command.account), command.symbol, command.side, command.amount, marks=state.marks,
        rulebook=state.rulebook,
    )  # fmt: skip
    yield from _moved_margin(state, command, outcome, command.amount)


def remove_margin(state: State, command: asked.RemoveIsolatedMargin) -> Iterator[Event]:
    """Move money above its initial margin from an isolated position back into the wallet."""
    if (missing := unpriced(state, command.account)) is not None:
        yield refused(command, "no_price", f"no mark for {missing} yet")
        return
    if ("mark", command.symbol) in state.doubts:
        yield refused(
            command, "price_in_doubt", f"the mark of {command.symbol} jumped: its margin stays until it is believed"
        )
        return
    outcome = change.remove_isolated_margin(
        state.account(command.account), command.symbol, command.side, command.amount, marks=state.marks,
        rulebook=state.rulebook,
    )  # fmt: skip
    yield from _moved_margin(state, command, outcome, -command.amount)


def _moved_margin(
    state: State,
    command: asked.AddIsolatedMargin | asked.RemoveIsolatedMargin,
    outcome: change.Outcome,
    amount: Value,
) -> Iterator[Event]:
    if command.amount <= 0:
        yield refused(command, "not_positive", f"an amount of {command.amount}")
        return
    if isinstance(outcome, Refusal):
        yield as_event(command, outcome)
        return
    asset = state.rulebook.contract(command.symbol).settle_asset
    leg = "net" if (command.symbol, "net") in state.trader(command.account).held else command.side
    account = books.isolated(command.account, command.symbol, leg)
    own = books.wallet(command.account)
    if amount > state.ledger.balance(own, asset):
        yield refused(command, "bonus_not_withdrawable", "an isolated position takes own money, not bonus")
        return
    yield MoneyMoved(command.id, command.at, command.account, "margin", move(asset, amount, out_of=own, into=account))
    yield from review(state, (command.account,), command)


def settle_funding(state: State, command: asked.SettleFunding) -> Iterator[Event]:
    """Settle funding at the mark: longs pay ``rate`` of their value, shorts receive it.

    Charged to the wallet, or to the margin of an isolated position; a venue with ``wallet_first`` takes an isolated
    position's funding from the wallet and only what is missing there from its margin (Bybit).
    """
    symbol = command.symbol
    mark = state.marks.get(symbol)
    if mark is None:
        yield refused(command, "no_price", f"no mark for {symbol}")
        return
    contract = state.rulebook.contract(symbol)
    value = contract.contract_value(mark)
    through = f"funding:{symbol}"
    for name in list(state.holders.get(symbol, {})):
        for (held_symbol, leg), held in list(state.trader(name).held.items()):
            if held_symbol != symbol:
                continue
            amount = -held.quantity * value * command.rate
            postings = _funding_postings(state, name, symbol, leg, amount, through, command.at)
            if postings:
                yield FundingPaid(command.id, command.at, name, symbol, leg, command.rate, amount, postings)
    yield from review(state, list(state.holders.get(symbol, {})), command)


def charge_interest(state: State, command: asked.ChargeInterest) -> Iterator[Event]:
    """Charge interest on what baskets owe of an asset, and look at those that paid.

    What is owed is a wallet below 0, whatever its positions have won (ours: venues net it in ways of their own). It is
    added to the debt; an account without a basket owes nothing.
    """
    if not command.rate.is_finite() or command.rate <= 0:
        yield refused(command, "not_positive", f"a rate of {command.rate}")
        return
    if not command.source.strip():
        yield refused(command, "unknown_choice", "interest without a source: say where its rate was read")
        return
    charged = []
    for name in list(state.baskets):
        owed = -state.ledger.balance(books.wallet(name), command.asset)
        if owed > 0:
            charged.append(name)
            postings = move(command.asset, owed * command.rate, out_of=books.wallet(name), into=books.INTEREST)
            yield MoneyMoved(command.id, command.at, name, "interest", postings)
    yield from review(state, charged, command)


def _funding_postings(
    state: State, name: str, symbol: str, leg: str, amount: Value, through: str, at: int
) -> tuple[Posting, ...]:
    asset = state.rulebook.contract(symbol).settle_asset
    own = cash_account(state, name, symbol)
    margin = books.isolated(name, symbol, leg)
    ringfenced = name != HOUSE and state.trader(name).margin_mode.get(symbol) is MarginMode.ISOLATED
    if amount >= 0:
        return move(asset, amount, out_of=through, into=margin if ringfenced else own)
    if not ringfenced:
        return pay(state, name, asset, -amount, into=through, use="funding", at=at)
    from_wallet = ZERO
    if state.rulebook.funding_from == "wallet_first":
        from_wallet = min(-amount, max(ZERO, state.ledger.balance(own, asset)))
    return move(asset, from_wallet, out_of=own, into=through) + move(
        asset, -amount - from_wallet, out_of=margin, into=through
    )


__all__ = ["add_margin", "charge_interest", "credit_bonus", "deposit", "expire_bonus", "remove_margin",
           "settle_funding", "transfer", "withdraw"]  # fmt: skip
