"""Ways out by cash: paid in, added to an isolated position, or taken from another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringfence.account import Backing, MarginMode
from ringfence.margin import change
from ringfence.margin.refusal import Refusal
from ringfence.margin.restore import smallest_deposit
from ringfence.numbers import ONE, ROUND_CEILING, ZERO, divide, plain
from ringfence.study.rescue.case import FURTHEST, STEP, Case, no_way, smallest, way_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.account import Account, Position
    from ringfence.numbers import Value
    from ringfence.study.rescue.result import Way


def _deposited(account: Account, asset: str, amount: Value) -> Account:
    return replace(account, wallet={**account.wallet, asset: (account.wallet.get(asset) or ZERO) + amount})


def deposits(case: Case) -> Iterator[Way]:
    """Pay into the shared wallet: in each of a basket's assets that counts for something."""
    pool = case.pool.pool
    need = smallest_deposit(case.pool, case.target) or ZERO
    for asset in pool.balances:
        credit = pool.collateral[asset].bid if pool.mode.backing is Backing.BASKET else ONE
        what = f"deposit {asset}"
        if credit <= 0:
            yield no_way("deposit", what, f"{asset} does not count as collateral")
            continue
        guess = divide(need, credit, places=24, rounding=ROUND_CEILING)

        def reaches(amount: Value, asset: str = asset) -> bool:
            return case.saved(_deposited(case.account, asset, amount))

        amount = smallest(reaches, step=STEP, most=(guess + ONE) * FURTHEST, guess=guess)
        if amount is None:
            yield no_way("deposit", what, "no deposit reaches that health: another pool falls below it")
            continue
        after = _deposited(case.account, asset, amount)
        what = f"deposit {plain(amount)} {asset}"
        yield way_of(case, "deposit", what, after, amount=amount, unit=asset, cash=(ZERO, amount, amount))


def additions(case: Case) -> Iterator[Way]:
    """Add margin to an isolated position: from what is free in the wallet, after cancelling orders, or paid in."""
    line = case.pool.lines[0]
    position, asset = line.position, line.contract.settle_asset
    guess = smallest_deposit(case.pool, case.target) or ZERO
    rich = _deposited(case.account, asset, (guess + ONE) * FURTHEST)

    def reaches(amount: Value) -> bool:
        after = added(case, rich, position, amount)
        return not isinstance(after, Refusal) and case.saved(after)

    amount = smallest(reaches, step=STEP, most=guess * 2 + ONE, guess=guess)
    if amount is None:
        yield no_way("add_margin", f"add margin to {position.symbol}", "no margin reaches that health")
        return
    what = f"add {plain(amount)} {asset} of margin to {position.symbol} {position.side}"
    cash = (ZERO, ZERO, amount)
    if case.account.wallet.get(asset, ZERO) is None:
        yield no_way("add_margin", what, f"what is free in {asset} is not known")
        return
    after = added(case, case.account, position, amount)
    if isinstance(after, Refusal) or not case.saved(after):
        why = str(after) if isinstance(after, Refusal) else "the wallet it comes from would fall below that health"
        yield no_way("add_margin", f"{what} from the wallet", why)
        if case.account.orders:
            cancelled = added(case, replace(case.account, orders=()), position, amount)
            if not isinstance(cancelled, Refusal) and case.saved(cancelled):
                said = f"cancel every order and {what} from what that frees"
                yield way_of(case, "add_margin", said, cancelled, amount=amount, unit=asset, cash=cash)
        yield _paid_in(case, position, asset, amount)
        return
    yield way_of(case, "add_margin", f"{what} from the wallet", after, amount=amount, unit=asset, cash=cash)


def _paid_in(case: Case, position: Position, asset: str, amount: Value) -> Way:
    """Deposit what is missing and add it as margin."""

    def both(cash: Value) -> Account | Refusal:
        return added(case, _deposited(case.account, asset, cash), position, amount)

    def reaches(cash: Value) -> bool:
        after = both(cash)
        return not isinstance(after, Refusal) and case.saved(after)

    free = change.free_balance(case.account, asset, marks=case.marks, rulebook=case.rulebook) or ZERO
    cash = smallest(reaches, step=STEP, most=(amount + ONE) * FURTHEST, guess=amount - free)
    what = f"deposit and add {plain(amount)} {asset} of margin to {position.symbol} {position.side}"
    after = None if cash is None else both(cash)
    if cash is None or after is None or isinstance(after, Refusal):
        return no_way("deposit", what, "the wallet stays below that health whatever is paid in")
    said = f"deposit {plain(cash)} {asset} and add {plain(amount)} of margin to {position.symbol} {position.side}"
    return way_of(case, "deposit", said, after, amount=amount, unit=asset, cash=(ZERO, cash, amount))


def added(case: Case, account: Account, position: Position, amount: Value) -> Account | Refusal:
    """Return an account with margin added to an isolated position, or why the venue refuses."""
    outcome = change.add_isolated_margin(
        account, position.symbol, position.side, amount, marks=case.marks, rulebook=case.rulebook
    )
    return outcome if isinstance(outcome, Refusal) else outcome.account


def moves(case: Case) -> Iterator[Way]:
    """Take margin that another isolated position does not need."""
    asset = case.pool.asset
    for position in case.account.positions:
        own = case.pool.pool.isolated and position == case.pool.lines[0].position
        contract = case.rulebook.contract(position.symbol)
        if position.margin_mode is not MarginMode.ISOLATED or own or contract.settle_asset != asset:
            continue
        what = f"take margin out of {position.symbol} {position.side}"
        most = change.removable_margin(
            case.account, position.symbol, position.side, marks=case.marks, rulebook=case.rulebook
        )
        if isinstance(most, Refusal):
            yield no_way("move_margin", what, str(most))
            continue
        if not most:
            yield no_way("move_margin", what, "it holds no more than its initial margin")
            continue

        def reaches(amount: Value, position: Position = position) -> bool:
            after = _moved(case, position, amount)
            return not isinstance(after, Refusal) and case.saved(after)

        guess = smallest_deposit(case.pool, case.target)
        amount = smallest(reaches, step=STEP, most=most, guess=guess)
        after = None if amount is None else _moved(case, position, amount)
        if amount is None or after is None or isinstance(after, Refusal):
            yield no_way("move_margin", what, f"the {plain(most)} {asset} it can spare is not enough")
            continue
        what = f"move {plain(amount)} {asset} of margin from {position.symbol} {position.side} to {case.pool.pool.name}"
        yield way_of(case, "move_margin", what, after, amount=amount, unit=asset, cash=(ZERO, ZERO, amount))


def _moved(case: Case, source: Position, amount: Value) -> Account | Refusal:
    outcome = change.remove_isolated_margin(
        case.account, source.symbol, source.side, amount, marks=case.marks, rulebook=case.rulebook
    )
    if isinstance(outcome, Refusal):
        return outcome
    if not case.pool.pool.isolated:
        return outcome.account
    return added(case, outcome.account, case.pool.lines[0].position, amount)


__all__ = ["added", "additions", "deposits", "moves"]
