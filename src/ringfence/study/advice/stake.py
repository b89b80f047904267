"""How large a position somebody new may hold, and the account that is left once what is larger has been closed.

A position is held at its own leverage or at the ceiling of its class of coin, whichever is lower, and may put at stake,
margin and unrealised PnL together, :data:`STAKE` of the capital. What is above is closed at the mark, the taker fee
paid, down to a whole number of the contract's lots; positions that hedge one another shrink by one factor, so that they
still do. Where less is left than the venue's smallest order, all of it is closed: the rest could not be placed again.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from ringfence.errors import BadAccount
from ringfence.margin import change
from ringfence.margin.refusal import Refusal
from ringfence.numbers import ONE, RATIO_PLACES, ROUND_CEILING, ROUND_FLOOR, VALUE_PLACES, ZERO, divide, exact, round_to
from ringfence.study.advice.holding import Book, whole
from ringfence.study.advice.moves import class_of
from ringfence.study.architecture import all_cross

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringfence.account import Account, Marks, Position
    from ringfence.contract import Contract
    from ringfence.numbers import Price, Quantity, Rate, Value
    from ringfence.rulebook import Rulebook
    from ringfence.study.advice.groups import Group

STAKE = {"new": Decimal("0.05"), None: Decimal("0.2"), "experienced": Decimal("0.2")}
"""The largest share of the capital to put at stake in one ring-fenced position, by experience. Ours."""

CEILING = {"bitcoin": 5, "ether": 5, "major": 3, "small": 2, "dollar": 2}
"""The highest leverage for somebody who is new, by class of coin. Ours."""

_DIGITS = 3  # a lot that is not known: what is left is rounded to that many digits


class Closing(NamedTuple):
    """What to close of one position as it is held, in contracts: ``size``, so that ``left`` is left.

    ``least``: the venue's smallest order in contracts, where that is why nothing is left. ``fee``: in its settlement
    asset, None where the rate is not known (and none was charged). ``lot_known``: whether the contract's lot is.
    """

    position: Position
    size: Quantity
    left: Quantity
    least: Quantity | None
    fee: Value | None
    lot_known: bool


class Smaller(NamedTuple):
    """The account after the closings, in the modes it is in now but at the leverages of a beginning, and its book."""

    account: Account
    book: Book
    closings: tuple[Closing, ...]


def leverage_of(position: Position) -> Decimal:
    """Return the leverage at which somebody new holds a position: its own, its class's ceiling at most."""
    ceiling = Decimal(CEILING[class_of(position.symbol)])
    return ceiling if position.leverage is None else min(ceiling, position.leverage)


def stake_margin(position: Position, mark: Price, contract: Contract) -> Value:
    """Return the isolated margin that holds a position at its leverage, in whole steps up: at entry and at the mark.

    ``max(entry notional ÷ leverage, notional ÷ leverage − unrealised PnL)``: a loss so far does not make the leverage
    higher than it is set.
    """
    assert position.leverage is not None, "asked of a position with a leverage"  # noqa: S101
    size = abs(position.quantity)
    value = divide(size * contract.contract_value(mark), position.leverage, places=VALUE_PLACES, rounding=ROUND_CEILING)
    entry = divide(
        size * contract.contract_value(position.entry_price), position.leverage,
        places=VALUE_PLACES, rounding=ROUND_CEILING,
    )  # fmt: skip
    return whole(max(entry, value - _pnl(position, mark, contract), ZERO), contract.settle_asset)


def taker_rate(rulebook: Rulebook, symbol: str, given: Rate | None = None) -> Rate | None:
    """Return what closing pays of the value: as given, the contract's or account's rate, the venue's base level."""
    return given if given is not None else rulebook.fees.rates(rulebook.contract(symbol)).taker


@exact
def smaller(
    given: Account, present: Book, groups: Sequence[Group], *, capital: float, prices: Mapping[str, float],
    fee_rate: Rate | None = None,
) -> Smaller:  # fmt: skip
    """Return what is left of ``given`` for somebody new.

    ``present``: its book; ``groups``: what hedges in it; ``capital``: its equity in dollars; ``prices``: of settlement
    assets in dollars. Raises BadAccount where the venue's rules refuse a closing.
    """
    held = [replace(position, leverage=leverage_of(position)) for position in present.positions]
    budgets = [_budget(present.asset(position), capital, prices) for position in held]
    factors = [_factor(p, present, budget) for p, budget in zip(held, budgets, strict=True)]
    for group in groups:
        least = min(factors[index] for index in group.members)
        for index in group.members:
            factors[index] = least
    sizes = [_left(*parts, present) for parts in zip(held, factors, budgets, strict=True)]
    for group in groups:
        if any(not sizes[index][0] for index in group.members):
            for index in group.members:
                sizes[index] = (ZERO, sizes[index][1])
    return _closed(given, present, sizes, fee_rate)


def _budget(asset: str, capital: float, prices: Mapping[str, float]) -> Value:
    """Return what may be at stake in one position, in its settlement asset."""
    price = Decimal(f"{prices[asset]:.12g}")
    return divide(Decimal(f"{capital:.2f}") * STAKE["new"], price, places=VALUE_PLACES, rounding=ROUND_FLOOR)


def _factor(position: Position, book: Book, budget: Value) -> Decimal:
    """Return the share of a position that may stay, up to the rounding of its margin; 1 for all of it."""
    at_stake = _at_stake(position, book)
    return ONE if at_stake <= budget else max(ZERO, divide(budget, at_stake, places=RATIO_PLACES, rounding=ROUND_FLOOR))


def _at_stake(position: Position, book: Book) -> Value:
    contract, mark = book.rulebook.contract(position.symbol), book.marks[position.symbol]
    return stake_margin(position, mark, contract) + _pnl(position, mark, contract)


def _pnl(position: Position, mark: Price, contract: Contract) -> Value:
    return position.quantity * (contract.unit_value(mark) - contract.unit_value(position.entry_price))


def _left(position: Position, factor: Decimal, budget: Value, book: Book) -> tuple[Quantity, Quantity | None]:
    """Return how many contracts stay, and the venue's smallest order where that is more than may stay."""
    size, contract = abs(position.quantity), book.rulebook.contract(position.symbol)
    if factor == ONE:
        return size, None
    lot = _lot(size * factor, contract)
    left = round_to(size * factor, lot, rounding=ROUND_FLOOR)
    sign = 1 if position.quantity > 0 else -1
    if left and _at_stake(replace(position, quantity=sign * left), book) > budget:
        left -= lot  # its margin is rounded up
    least = _least(contract, book.marks[position.symbol])
    return (left, None) if left and left >= least else (ZERO, max(least, contract.quantity_step or ZERO))


def _lot(size: Quantity, contract: Contract) -> Quantity:
    if contract.quantity_step is not None:
        return contract.quantity_step
    return Decimal((0, (1,), size.adjusted() + 1 - _DIGITS)) if size else ONE


def _least(contract: Contract, mark: Price) -> Quantity:
    """Return the venue's smallest order in contracts, 0 where nothing is known of one."""
    least = contract.minimum_quantity or ZERO
    if contract.minimum_notional is not None:
        value = contract.contract_value(mark)
        enough = divide(contract.minimum_notional, value, places=RATIO_PLACES, rounding=ROUND_CEILING)
        step = contract.quantity_step
        least = max(least, enough if step is None else round_to(enough, step, rounding=ROUND_CEILING))
    return least


def _closed(
    given: Account, present: Book, sizes: Sequence[tuple[Quantity, Quantity | None]], fee_rate: Rate | None
) -> Smaller:
    rulebook, marks = present.rulebook, present.marks
    account = replace(
        given, orders=(), positions=tuple(replace(p, leverage=leverage_of(p)) for p in given.positions)
    )  # fmt: skip
    closings = []
    for position, (left, least) in zip(given.positions, sizes, strict=True):
        size = abs(position.quantity) - left
        if not size:
            continue
        rate = taker_rate(rulebook, position.symbol, fee_rate)
        account = _less(account, position, size, rate or ZERO, marks, rulebook)
        contract = rulebook.contract(position.symbol)
        fee = None if rate is None else rate * size * contract.contract_value(marks[position.symbol])
        known = contract.quantity_step is not None
        closings.append(Closing(position, size, left, None if left else least, fee, known))
    book = present._replace(
        account=all_cross(replace(account, collateral_mode=present.account.collateral_mode), rulebook)
    )
    return Smaller(account, book, tuple(closings))


def _less(
    account: Account, position: Position, size: Quantity, rate: Rate, marks: Marks, rulebook: Rulebook
) -> Account:  # fmt: skip
    """Return the account with ``size`` of a position closed at the mark."""
    fill = change.Fill(
        position.symbol, -size if position.quantity > 0 else size, marks[position.symbol],
        position_side=position.side, fee_rate=rate,
    )  # fmt: skip
    outcome = change.trade(account, fill, marks=marks, rulebook=rulebook)
    if isinstance(outcome, Refusal):
        raise BadAccount(f"{position.symbol} {position.side} cannot be made smaller: {outcome}",
                         where="account.positions", expected="a position that may be reduced", found=position.symbol,
                         hint="ask without --experience new")  # fmt: skip
    return outcome.account


__all__ = ["CEILING", "STAKE", "Closing", "Smaller", "leverage_of", "smaller", "stake_margin", "taker_rate"]
